"""Auditors see how long people took only of what they were told before they answered, and a timeline says whom it was told.

Revision ID: 0017
Revises: 0016
"""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

# Frozen: what schema.py says later is a later revision's matter.
UPGRADE = (
    "DROP VIEW told",
    (
        "CREATE VIEW told AS SELECT h.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', h.time / 1000.0, 'unixepoch') AS at, "
        "h.time AS at_ms, h.execution_id, json_extract(c.detail, '$.workflow') AS workflow, json_extract(c.detail, "
        "'$.owner') AS owner, CASE h.event WHEN 'notice_delivered' THEN 'delivered' ELSE 'given up' END AS outcome, "
        "json_extract(h.detail, '$.recipient') AS recipient, json_extract(h.detail, '$.channel') AS channel, "
        "json_extract(h.detail, '$.route') AS route, json_extract(h.detail, '$.event') AS told, h.wait_id AS "
        "interaction_id, json_extract(q.detail, '$.prompt.text') AS question, strftime('%Y-%m-%dT%H:%M:%fZ', o.time "
        "/ 1000.0, 'unixepoch') AS opened_at, a.actor AS answered_by, strftime('%Y-%m-%dT%H:%M:%fZ', a.time / "
        "1000.0, 'unixepoch') AS answered_at, CASE WHEN a.sequence > h.sequence THEN a.time - h.time END AS "
        "answered_after_ms, json_extract(h.detail, '$.attempts') AS attempts, json_extract(h.detail, '$.notice') AS "
        "notice FROM history AS h LEFT JOIN history AS c ON c.execution_id = h.execution_id AND c.event = "
        "'execution_created' LEFT JOIN history AS q ON q.execution_id = h.execution_id AND q.wait_id = h.wait_id AND "
        "q.event = 'interaction_asked' LEFT JOIN history AS a ON a.execution_id = h.execution_id AND a.wait_id = "
        "h.wait_id AND a.event = 'interaction_answered' LEFT JOIN history AS o ON o.execution_id = h.execution_id "
        "AND o.wait_id = h.wait_id AND o.event = 'notice_opened' AND json_extract(o.detail, '$.notice') = "
        "json_extract(h.detail, '$.notice') WHERE h.event IN ('notice_delivered', 'notice_given_up')"
    ),
    "DROP VIEW execution_timeline",
    (
        "CREATE VIEW execution_timeline AS SELECT h.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', h.time / 1000.0, "
        "'unixepoch') AS at, h.time AS at_ms, h.execution_id, h.time - c.time AS after_ms, h.event, h.to_status AS "
        "status, h.actor, h.cause, coalesce(json_extract(h.detail, '$.prompt.text'), json_extract(h.detail, "
        "'$.error'), json_extract(h.detail, '$.problem'), coalesce(json_extract(h.detail, "
        "'$.response.selected_option.label'), (SELECT group_concat(json_extract(value, '$.label'), ', ') FROM "
        "json_each(h.detail, '$.response.selected_options')), json_extract(h.detail, '$.response.text'), CASE "
        "json_extract(h.detail, '$.response.action') WHEN 'decline' THEN 'declined' ELSE (SELECT group_concat(key || "
        "': ' || CASE type WHEN 'true' THEN 'yes' WHEN 'false' THEN 'no' ELSE value END, ', ') FROM "
        "json_each(h.detail, '$.response.content')) END), (SELECT 'to ' || group_concat(value, ', ') FROM "
        "json_each(h.detail, '$.to')), (SELECT 'to ' || group_concat(value, ', ') FROM json_each(h.detail, "
        "'$.assignees')), coalesce('to ' || json_extract(h.detail, '$.recipient') || ' ', '') || 'by ' || "
        "json_extract(h.detail, '$.channel'), h.cause) AS about, h.wait_id, h.detail FROM history AS h LEFT JOIN "
        "history AS c ON c.execution_id = h.execution_id AND c.event = 'execution_created' WHERE h.execution_id IS "
        "NOT NULL UNION ALL SELECT s.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', s.time / 1000.0, 'unixepoch') AS at, "
        "s.time AS at_ms, gone.value, s.time - c.time, 'swept', NULL, s.actor, s.cause, s.cause, NULL, NULL FROM "
        "history AS s JOIN json_each(s.detail, '$.execution_ids') AS gone LEFT JOIN history AS c ON c.execution_id = "
        "gone.value AND c.event = 'execution_created' WHERE s.execution_id IS NULL AND s.event = 'swept'"
    ),
)

# Views only: nothing is lost.
DOWNGRADE = (
    "DROP VIEW told",
    (
        "CREATE VIEW told AS SELECT h.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', h.time / 1000.0, 'unixepoch') AS at, "
        "h.time AS at_ms, h.execution_id, json_extract(c.detail, '$.workflow') AS workflow, json_extract(c.detail, "
        "'$.owner') AS owner, CASE h.event WHEN 'notice_delivered' THEN 'delivered' ELSE 'given up' END AS outcome, "
        "json_extract(h.detail, '$.recipient') AS recipient, json_extract(h.detail, '$.channel') AS channel, "
        "json_extract(h.detail, '$.route') AS route, json_extract(h.detail, '$.event') AS told, h.wait_id AS "
        "interaction_id, json_extract(q.detail, '$.prompt.text') AS question, strftime('%Y-%m-%dT%H:%M:%fZ', o.time "
        "/ 1000.0, 'unixepoch') AS opened_at, a.actor AS answered_by, strftime('%Y-%m-%dT%H:%M:%fZ', a.time / "
        "1000.0, 'unixepoch') AS answered_at, a.time - h.time AS answered_after_ms, json_extract(h.detail, "
        "'$.attempts') AS attempts, json_extract(h.detail, '$.notice') AS notice FROM history AS h LEFT JOIN history "
        "AS c ON c.execution_id = h.execution_id AND c.event = 'execution_created' LEFT JOIN history AS q ON "
        "q.execution_id = h.execution_id AND q.wait_id = h.wait_id AND q.event = 'interaction_asked' LEFT JOIN "
        "history AS a ON a.execution_id = h.execution_id AND a.wait_id = h.wait_id AND a.event = "
        "'interaction_answered' LEFT JOIN history AS o ON o.execution_id = h.execution_id AND o.wait_id = h.wait_id "
        "AND o.event = 'notice_opened' AND json_extract(o.detail, '$.notice') = json_extract(h.detail, '$.notice') "
        "WHERE h.event IN ('notice_delivered', 'notice_given_up')"
    ),
    "DROP VIEW execution_timeline",
    (
        "CREATE VIEW execution_timeline AS SELECT h.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', h.time / 1000.0, "
        "'unixepoch') AS at, h.time AS at_ms, h.execution_id, h.time - c.time AS after_ms, h.event, h.to_status AS "
        "status, h.actor, h.cause, coalesce(json_extract(h.detail, '$.prompt.text'), json_extract(h.detail, "
        "'$.error'), json_extract(h.detail, '$.problem'), coalesce(json_extract(h.detail, "
        "'$.response.selected_option.label'), (SELECT group_concat(json_extract(value, '$.label'), ', ') FROM "
        "json_each(h.detail, '$.response.selected_options')), json_extract(h.detail, '$.response.text'), CASE "
        "json_extract(h.detail, '$.response.action') WHEN 'decline' THEN 'declined' ELSE (SELECT group_concat(key || "
        "': ' || CASE type WHEN 'true' THEN 'yes' WHEN 'false' THEN 'no' ELSE value END, ', ') FROM "
        "json_each(h.detail, '$.response.content')) END), h.cause) AS about, h.wait_id, h.detail FROM history AS h "
        "LEFT JOIN history AS c ON c.execution_id = h.execution_id AND c.event = 'execution_created' WHERE "
        "h.execution_id IS NOT NULL UNION ALL SELECT s.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', s.time / 1000.0, "
        "'unixepoch') AS at, s.time AS at_ms, gone.value, s.time - c.time, 'swept', NULL, s.actor, s.cause, s.cause, "
        "NULL, NULL FROM history AS s JOIN json_each(s.detail, '$.execution_ids') AS gone LEFT JOIN history AS c ON "
        "c.execution_id = gone.value AND c.event = 'execution_created' WHERE s.execution_id IS NULL AND s.event = "
        "'swept'"
    ),
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
