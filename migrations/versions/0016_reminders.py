"""Reminders and the escalation of open prompts.

Revision ID: 0016
Revises: 0015
"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

# Frozen: what schema.py says later is a later revision's matter.
UPGRADE = (
    """CREATE TABLE reminders (
    interaction_key INTEGER NOT NULL,
    at INTEGER NOT NULL,
    what TEXT NOT NULL,
    assignees TEXT,
    done_at INTEGER,
    PRIMARY KEY (interaction_key, at, what),
    CONSTRAINT reminders_what_is_known CHECK ((what = 'remind' OR what = 'escalate' OR what = 'stay')),
    CONSTRAINT reminders_assignees_is_json CHECK (assignees IS NULL OR json_valid(assignees)),
    CONSTRAINT reminders_stay_when_they_were_due CHECK (what <> 'stay' OR done_at IS NOT NULL),
    CONSTRAINT reminders_escalate_to_somebody CHECK ((what = 'remind') = (assignees IS NULL)),
    FOREIGN KEY(interaction_key) REFERENCES interactions ("key") ON DELETE CASCADE
)
 WITHOUT ROWID""",
    "CREATE INDEX reminders_due ON reminders (at) WHERE done_at IS NULL",
    (
        "CREATE TRIGGER interactions_remind_no_more AFTER UPDATE OF status ON interactions WHEN OLD.status = "
        "'pending' AND NEW.status <> 'pending' BEGIN DELETE FROM reminders WHERE interaction_key = NEW.key; END"
    ),
    "DROP VIEW answers",
    (
        "CREATE VIEW answers AS SELECT a.execution_id, a.wait_id AS interaction_id, a.actor AS answered_by, "
        "strftime('%Y-%m-%dT%H:%M:%fZ', a.time / 1000.0, 'unixepoch') AS answered_at, a.time AS answered_ms, "
        "strftime('%Y-%m-%dT%H:%M:%fZ', q.time / 1000.0, 'unixepoch') AS asked_at, a.time - q.time AS waited_ms, "
        "json_extract(q.detail, '$.prompt') AS prompt, json_extract(a.detail, '$.response') AS response, a.sequence, "
        "strftime('%Y-%m-%dT%H:%M:%fZ', a.time / 1000.0, 'unixepoch') AS at, a.time AS at_ms, json_extract(c.detail, "
        "'$.workflow') AS workflow, json_extract(c.detail, '$.owner') AS owner, json_extract(q.detail, "
        "'$.prompt.text') AS question, json_extract(q.detail, '$.position') AS position, "
        "coalesce(json_extract(a.detail, '$.response.selected_option.label'), (SELECT "
        "group_concat(json_extract(value, '$.label'), ', ') FROM json_each(a.detail, '$.response.selected_options')),"
        " json_extract(a.detail, '$.response.text'), CASE json_extract(a.detail, '$.response.action') WHEN 'decline' "
        "THEN 'declined' ELSE (SELECT group_concat(key || ': ' || CASE type WHEN 'true' THEN 'yes' WHEN 'false' THEN "
        "'no' ELSE value END, ', ') FROM json_each(a.detail, '$.response.content')) END) AS decision, CASE WHEN "
        "json_type(a.detail, '$.response.selected_option.value') = 'true' THEN 1 WHEN json_type(a.detail, "
        "'$.response.selected_option.value') = 'false' THEN 0 WHEN json_extract(a.detail, '$.response.action') = "
        "'decline' THEN 0 WHEN lower(json_extract(a.detail, '$.response.selected_option.id')) IN ('yes', 'y', 'true',"
        " 'ok', 'approve', 'approved', 'accept', 'allow', 'confirm', 'continue', 'grant') OR "
        "lower(json_extract(a.detail, '$.response.selected_option.value')) IN ('yes', 'y', 'true', 'ok', 'approve', "
        "'approved', 'accept', 'allow', 'confirm', 'continue', 'grant') THEN 1 WHEN lower(json_extract(a.detail, "
        "'$.response.selected_option.id')) IN ('no', 'n', 'false', 'cancel', 'reject', 'rejected', 'decline', 'deny',"
        " 'denied', 'refuse', 'stop') OR lower(json_extract(a.detail, '$.response.selected_option.value')) IN ('no', "
        "'n', 'false', 'cancel', 'reject', 'rejected', 'decline', 'deny', 'denied', 'refuse', 'stop') THEN 0 END AS "
        "approved, coalesce(a.cause IN ('deadline', 'undecided'), 0) AS by_default, coalesce((SELECT "
        "json_extract(d.detail, '$.assignees') FROM history AS d WHERE d.execution_id = a.execution_id AND d.wait_id "
        "= a.wait_id AND d.event IN ('interaction_delegated', 'interaction_reassigned', 'interaction_escalated') AND "
        "d.sequence < a.sequence ORDER BY d.sequence DESC LIMIT 1), json_extract(q.detail, '$.assignees')) AS "
        "assignees, coalesce(json_extract(q.detail, '$.four_eyes'), 0) AS four_eyes, json_extract(a.detail, "
        "'$.authority') AS authority, json_extract(a.detail, '$.groups') AS actor_groups, json_extract(a.detail, "
        "'$.roles') AS actor_roles, json_extract(a.detail, '$.response.comment') AS comment, a.event = "
        "'interaction_voted' AS is_vote, CASE a.event WHEN 'interaction_voted' THEN (SELECT "
        "coalesce(json_extract(o.detail, '$.response.selected_option.label'), (SELECT "
        "group_concat(json_extract(value, '$.label'), ', ') FROM json_each(o.detail, '$.response.selected_options')),"
        " json_extract(o.detail, '$.response.text'), CASE json_extract(o.detail, '$.response.action') WHEN 'decline' "
        "THEN 'declined' ELSE (SELECT group_concat(key || ': ' || CASE type WHEN 'true' THEN 'yes' WHEN 'false' THEN "
        "'no' ELSE value END, ', ') FROM json_each(o.detail, '$.response.content')) END) FROM history AS o WHERE "
        "o.execution_id = a.execution_id AND o.wait_id = a.wait_id AND o.event = 'interaction_answered') END AS "
        "outcome FROM history AS a LEFT JOIN history AS q ON q.execution_id = a.execution_id AND q.wait_id = "
        "a.wait_id AND q.event = 'interaction_asked' LEFT JOIN history AS c ON c.execution_id = a.execution_id AND "
        "c.event = 'execution_created' WHERE a.event IN ('interaction_voted', 'interaction_answered') AND a.cause IS "
        "NOT 'votes'"
    ),
)

# Forgets what is still to come: nobody is reminded any more, and nothing escalates. A prompt that has escalated stays addressed to
# whom it escalated to, and the history keeps both.
DOWNGRADE = (
    "DROP TRIGGER interactions_remind_no_more",
    "DROP TABLE reminders",
    "DROP VIEW answers",
    (
        "CREATE VIEW answers AS SELECT a.execution_id, a.wait_id AS interaction_id, a.actor AS answered_by, "
        "strftime('%Y-%m-%dT%H:%M:%fZ', a.time / 1000.0, 'unixepoch') AS answered_at, a.time AS answered_ms, "
        "strftime('%Y-%m-%dT%H:%M:%fZ', q.time / 1000.0, 'unixepoch') AS asked_at, a.time - q.time AS waited_ms, "
        "json_extract(q.detail, '$.prompt') AS prompt, json_extract(a.detail, '$.response') AS response, a.sequence, "
        "strftime('%Y-%m-%dT%H:%M:%fZ', a.time / 1000.0, 'unixepoch') AS at, a.time AS at_ms, json_extract(c.detail, "
        "'$.workflow') AS workflow, json_extract(c.detail, '$.owner') AS owner, json_extract(q.detail, "
        "'$.prompt.text') AS question, json_extract(q.detail, '$.position') AS position, "
        "coalesce(json_extract(a.detail, '$.response.selected_option.label'), (SELECT "
        "group_concat(json_extract(value, '$.label'), ', ') FROM json_each(a.detail, '$.response.selected_options')),"
        " json_extract(a.detail, '$.response.text'), CASE json_extract(a.detail, '$.response.action') WHEN 'decline' "
        "THEN 'declined' ELSE (SELECT group_concat(key || ': ' || CASE type WHEN 'true' THEN 'yes' WHEN 'false' THEN "
        "'no' ELSE value END, ', ') FROM json_each(a.detail, '$.response.content')) END) AS decision, CASE WHEN "
        "json_type(a.detail, '$.response.selected_option.value') = 'true' THEN 1 WHEN json_type(a.detail, "
        "'$.response.selected_option.value') = 'false' THEN 0 WHEN json_extract(a.detail, '$.response.action') = "
        "'decline' THEN 0 WHEN lower(json_extract(a.detail, '$.response.selected_option.id')) IN ('yes', 'y', 'true',"
        " 'ok', 'approve', 'approved', 'accept', 'allow', 'confirm', 'continue', 'grant') OR "
        "lower(json_extract(a.detail, '$.response.selected_option.value')) IN ('yes', 'y', 'true', 'ok', 'approve', "
        "'approved', 'accept', 'allow', 'confirm', 'continue', 'grant') THEN 1 WHEN lower(json_extract(a.detail, "
        "'$.response.selected_option.id')) IN ('no', 'n', 'false', 'cancel', 'reject', 'rejected', 'decline', 'deny',"
        " 'denied', 'refuse', 'stop') OR lower(json_extract(a.detail, '$.response.selected_option.value')) IN ('no', "
        "'n', 'false', 'cancel', 'reject', 'rejected', 'decline', 'deny', 'denied', 'refuse', 'stop') THEN 0 END AS "
        "approved, coalesce(a.cause IN ('deadline', 'undecided'), 0) AS by_default, coalesce((SELECT "
        "json_extract(d.detail, '$.assignees') FROM history AS d WHERE d.execution_id = a.execution_id AND d.wait_id "
        "= a.wait_id AND d.event IN ('interaction_delegated', 'interaction_reassigned') AND d.sequence < a.sequence "
        "ORDER BY d.sequence DESC LIMIT 1), json_extract(q.detail, '$.assignees')) AS assignees, "
        "coalesce(json_extract(q.detail, '$.four_eyes'), 0) AS four_eyes, json_extract(a.detail, '$.authority') AS "
        "authority, json_extract(a.detail, '$.groups') AS actor_groups, json_extract(a.detail, '$.roles') AS "
        "actor_roles, json_extract(a.detail, '$.response.comment') AS comment, a.event = 'interaction_voted' AS "
        "is_vote, CASE a.event WHEN 'interaction_voted' THEN (SELECT coalesce(json_extract(o.detail, "
        "'$.response.selected_option.label'), (SELECT group_concat(json_extract(value, '$.label'), ', ') FROM "
        "json_each(o.detail, '$.response.selected_options')), json_extract(o.detail, '$.response.text'), CASE "
        "json_extract(o.detail, '$.response.action') WHEN 'decline' THEN 'declined' ELSE (SELECT group_concat(key || "
        "': ' || CASE type WHEN 'true' THEN 'yes' WHEN 'false' THEN 'no' ELSE value END, ', ') FROM "
        "json_each(o.detail, '$.response.content')) END) FROM history AS o WHERE o.execution_id = a.execution_id AND "
        "o.wait_id = a.wait_id AND o.event = 'interaction_answered') END AS outcome FROM history AS a LEFT JOIN "
        "history AS q ON q.execution_id = a.execution_id AND q.wait_id = a.wait_id AND q.event = 'interaction_asked' "
        "LEFT JOIN history AS c ON c.execution_id = a.execution_id AND c.event = 'execution_created' WHERE a.event IN"
        " ('interaction_voted', 'interaction_answered') AND a.cause IS NOT 'votes'"
    ),
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
