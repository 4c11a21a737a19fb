"""A failed execution may run again; idempotency keys outlive their executions; failures are kept for operators; indexes for lists.

Revision ID: 0007
Revises: 0006
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# Frozen: what schema.py says later is a later revision's matter.
UPGRADE = (
    "DROP TRIGGER executions_move_as_the_lifecycle_allows",
    "DROP VIEW recoveries",
    "DROP VIEW sweeps",
    "CREATE TRIGGER executions_move_as_the_lifecycle_allows BEFORE UPDATE ON executions WHEN NEW.key IS NOT OLD.key OR NEW.id IS NOT OLD.id OR NEW.created_at IS NOT OLD.created_at OR (OLD.status <> NEW.status AND NOT (OLD.status = 'running' AND (NEW.status = 'interaction_required' OR NEW.status = 'oauth_required' OR NEW.status = 'completed' OR NEW.status = 'failed' OR NEW.status = 'cancelled') OR OLD.status = 'interaction_required' AND (NEW.status = 'oauth_required' OR NEW.status = 'running' OR NEW.status = 'failed' OR NEW.status = 'cancelled') OR OLD.status = 'oauth_required' AND (NEW.status = 'interaction_required' OR NEW.status = 'running' OR NEW.status = 'failed' OR NEW.status = 'cancelled') OR OLD.status = 'failed' AND (NEW.status = 'running'))) OR ((OLD.status = 'completed' OR OLD.status = 'failed' OR OLD.status = 'cancelled') AND NEW.status = OLD.status AND (NEW.completed_at IS NOT OLD.completed_at OR NEW.result IS NOT OLD.result OR NEW.error IS NOT OLD.error OR NEW.error_code IS NOT OLD.error_code)) BEGIN SELECT RAISE(ABORT, 'illegal transition of an execution, or a change of what stays'); END",
    "CREATE VIEW recoveries AS SELECT h.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', h.time / 1000.0, 'unixepoch') AS at, h.time AS at_ms, h.execution_id, json_extract(c.detail, '$.workflow') AS workflow, json_extract(c.detail, '$.owner') AS owner, h.event, h.to_status AS status, h.cause, json_extract(h.detail, '$.attempt') AS attempt, json_extract(h.detail, '$.code') AS error_code FROM history AS h LEFT JOIN history AS c ON c.execution_id = h.execution_id AND c.event = 'execution_created' WHERE h.event = 'execution_recovered' OR (h.event = 'execution_failed' AND h.cause IN ('recover', 'attempts exhausted')) OR h.event IN ('execution_retried')",
    "CREATE VIEW sweeps AS SELECT g.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', g.time / 1000.0, 'unixepoch') AS at, g.time AS at_ms, g.execution_id, json_extract(c.detail, '$.workflow') AS workflow, json_extract(c.detail, '$.owner') AS owner, g.how, g.actor, e.to_status AS status, strftime('%Y-%m-%dT%H:%M:%fZ', e.time / 1000.0, 'unixepoch') AS ended_at FROM (SELECT s.sequence, s.time, gone.value AS execution_id, 'swept' AS how, s.actor FROM history AS s JOIN json_each(s.detail, '$.execution_ids') AS gone WHERE s.execution_id IS NULL AND s.event = 'swept' UNION ALL SELECT sequence, time, execution_id, 'removed', actor FROM history WHERE event = 'execution_removed') AS g LEFT JOIN history AS c ON c.execution_id = g.execution_id AND c.event = 'execution_created' LEFT JOIN history AS e ON e.execution_id = g.execution_id AND e.sequence = (SELECT max(l.sequence) FROM history AS l WHERE l.execution_id = g.execution_id AND l.event IN ('execution_completed', 'execution_failed', 'execution_cancelled'))",
    "CREATE INDEX executions_by_owner ON executions (owner) WHERE owner IS NOT NULL",
    "CREATE INDEX executions_by_status ON executions (status)",
    "CREATE INDEX executions_by_workflow ON executions (workflow) WHERE workflow IS NOT NULL",
    """CREATE TABLE kept_keys (
    start_sha256 BLOB NOT NULL,
    request_sha256 BLOB NOT NULL,
    execution_id TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (start_sha256)
)
 WITHOUT ROWID""",
    "CREATE INDEX kept_keys_expire ON kept_keys (expires_at)",
    """CREATE TABLE runners (
    lease INTEGER NOT NULL,
    workflow TEXT NOT NULL,
    PRIMARY KEY (lease, workflow)
)
 WITHOUT ROWID""",
    """CREATE TABLE failures (
    execution_key INTEGER NOT NULL,
    type TEXT NOT NULL,
    message TEXT NOT NULL,
    traceback TEXT NOT NULL,
    PRIMARY KEY (execution_key),
    FOREIGN KEY(execution_key) REFERENCES executions ("key") ON DELETE CASCADE
)""",
    "CREATE INDEX interactions_open_of_execution ON interactions (execution_key, opened, assignees) WHERE status = 'pending'",
)

# Drops what failed before a retry from the journal (an older release would replay it), with what was emitted beside it; the
# idempotency keys of executions that were swept; the tracebacks of failures; and what processes said of their workflows, which they
# say again. An execution that was retried goes on. An older release does not know the event that tells of it, so its verification
# names that event, and says that the end of such an execution is not in the table any more.
DOWNGRADE = (
    "DELETE FROM journal WHERE instr(position, '~') > 0",
    "DROP INDEX interactions_open_of_execution",
    "DROP TABLE failures",
    "DROP TABLE runners",
    "DROP TABLE kept_keys",
    "DROP INDEX executions_by_workflow",
    "DROP INDEX executions_by_status",
    "DROP INDEX executions_by_owner",
    "DROP TRIGGER executions_move_as_the_lifecycle_allows",
    "DROP VIEW recoveries",
    "DROP VIEW sweeps",
    "CREATE TRIGGER executions_move_as_the_lifecycle_allows BEFORE UPDATE ON executions WHEN NEW.key IS NOT OLD.key OR NEW.id IS NOT OLD.id OR NEW.created_at IS NOT OLD.created_at OR (OLD.status <> NEW.status AND NOT (OLD.status = 'running' AND (NEW.status = 'interaction_required' OR NEW.status = 'oauth_required' OR NEW.status = 'completed' OR NEW.status = 'failed' OR NEW.status = 'cancelled') OR OLD.status = 'interaction_required' AND (NEW.status = 'oauth_required' OR NEW.status = 'running' OR NEW.status = 'failed' OR NEW.status = 'cancelled') OR OLD.status = 'oauth_required' AND (NEW.status = 'interaction_required' OR NEW.status = 'running' OR NEW.status = 'failed' OR NEW.status = 'cancelled'))) OR ((OLD.status = 'completed' OR OLD.status = 'failed' OR OLD.status = 'cancelled') AND (NEW.status IS NOT OLD.status OR NEW.completed_at IS NOT OLD.completed_at OR NEW.result IS NOT OLD.result OR NEW.error IS NOT OLD.error OR NEW.error_code IS NOT OLD.error_code)) BEGIN SELECT RAISE(ABORT, 'illegal transition of an execution, or a change of what stays'); END",
    "CREATE VIEW recoveries AS SELECT h.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', h.time / 1000.0, 'unixepoch') AS at, h.time AS at_ms, h.execution_id, json_extract(c.detail, '$.workflow') AS workflow, json_extract(c.detail, '$.owner') AS owner, h.event, h.to_status AS status, h.cause, json_extract(h.detail, '$.attempt') AS attempt, json_extract(h.detail, '$.code') AS error_code FROM history AS h LEFT JOIN history AS c ON c.execution_id = h.execution_id AND c.event = 'execution_created' WHERE h.event = 'execution_recovered' OR (h.event = 'execution_failed' AND h.cause IN ('recover', 'attempts exhausted'))",
    "CREATE VIEW sweeps AS SELECT g.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', g.time / 1000.0, 'unixepoch') AS at, g.time AS at_ms, g.execution_id, json_extract(c.detail, '$.workflow') AS workflow, json_extract(c.detail, '$.owner') AS owner, g.how, g.actor, e.to_status AS status, strftime('%Y-%m-%dT%H:%M:%fZ', e.time / 1000.0, 'unixepoch') AS ended_at FROM (SELECT s.sequence, s.time, gone.value AS execution_id, 'swept' AS how, s.actor FROM history AS s JOIN json_each(s.detail, '$.execution_ids') AS gone WHERE s.execution_id IS NULL AND s.event = 'swept' UNION ALL SELECT sequence, time, execution_id, 'removed', actor FROM history WHERE event = 'execution_removed') AS g LEFT JOIN history AS c ON c.execution_id = g.execution_id AND c.event = 'execution_created' LEFT JOIN history AS e ON e.execution_id = g.execution_id AND e.event IN ('execution_completed', 'execution_failed', 'execution_cancelled')",
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement.replace(":", "\\:"))


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement.replace(":", "\\:"))
