"""A view for auditors: who was told what, when, and how long until they answered.

Revision ID: 0014
Revises: 0013
"""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# Frozen: what schema.py says later is a later revision's matter.
UPGRADE = (
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
)

DOWNGRADE = ("DROP VIEW told",)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
