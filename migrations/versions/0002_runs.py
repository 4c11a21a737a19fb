"""The runner: runs, what a prompt is addressed by and what happens at its deadline, and the order of the journal.

Revision ID: 0002
Revises: 0001
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Frozen: what schema.py says later is a later revision's matter.
UPGRADE = (
    "DROP TRIGGER interactions_move_as_the_lifecycle_allows",
    "DROP VIEW open_waits",
    "ALTER TABLE interactions ADD COLUMN assignees TEXT",
    "ALTER TABLE interactions ADD COLUMN four_eyes INTEGER",
    "ALTER TABLE interactions ADD COLUMN on_deadline TEXT",
    "ALTER TABLE interactions ADD COLUMN default_response TEXT",
    "ALTER TABLE journal ADD COLUMN error TEXT",
    "ALTER TABLE journal ADD COLUMN settled INTEGER",
    "ALTER TABLE journal ADD COLUMN ordinal INTEGER",
    """CREATE TABLE runs (
    execution_key INTEGER NOT NULL,
    version INTEGER NOT NULL,
    input TEXT NOT NULL,
    ready INTEGER NOT NULL,
    lease INTEGER,
    epoch INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    wake_at INTEGER,
    problem TEXT,
    trace TEXT,
    start_sha256 BLOB,
    request_sha256 BLOB,
    PRIMARY KEY (execution_key),
    CONSTRAINT runs_ready_is_yes_or_no CHECK (ready = 0 OR ready = 1),
    CONSTRAINT runs_input_is_json CHECK (json_valid(input)),
    CONSTRAINT runs_trace_is_json CHECK (trace IS NULL OR json_valid(trace)),
    FOREIGN KEY(execution_key) REFERENCES executions ("key") ON DELETE CASCADE
)""",
    "CREATE INDEX runs_asleep ON runs (wake_at) WHERE wake_at IS NOT NULL",
    "CREATE INDEX runs_claimed ON runs (lease) WHERE lease IS NOT NULL",
    "CREATE INDEX runs_ready ON runs (execution_key) WHERE ready = 1 AND lease IS NULL",
    "CREATE UNIQUE INDEX runs_start_is_unique ON runs (start_sha256) WHERE start_sha256 IS NOT NULL",
    "CREATE INDEX runs_with_a_problem ON runs (execution_key) WHERE problem IS NOT NULL",
    "CREATE TRIGGER interactions_move_as_the_lifecycle_allows BEFORE UPDATE ON interactions WHEN NEW.key IS NOT OLD.key OR NEW.id IS NOT OLD.id OR NEW.execution_key IS NOT OLD.execution_key OR NEW.prompt IS NOT OLD.prompt OR NEW.opened IS NOT OLD.opened OR NEW.created_at IS NOT OLD.created_at OR NEW.assignees IS NOT OLD.assignees OR NEW.four_eyes IS NOT OLD.four_eyes OR NEW.on_deadline IS NOT OLD.on_deadline OR NEW.default_response IS NOT OLD.default_response OR (OLD.status <> NEW.status AND NOT (OLD.status = 'pending' AND (NEW.status = 'answered' OR NEW.status = 'expired' OR NEW.status = 'withdrawn'))) OR ((OLD.status = 'answered' OR OLD.status = 'expired' OR OLD.status = 'withdrawn') AND (NEW.status IS NOT OLD.status OR NEW.response IS NOT OLD.response OR NEW.answered_by IS NOT OLD.answered_by OR NEW.closed_at IS NOT OLD.closed_at)) BEGIN SELECT RAISE(ABORT, 'illegal transition of an interaction, or a change of what stays'); END",
    "CREATE VIEW open_waits AS SELECT e.id AS execution_id, e.workflow, e.owner, w.kind, w.id AS wait_id, w.text, strftime('%Y-%m-%dT%H:%M:%fZ', w.created_at / 1000.0, 'unixepoch') AS asked_at, strftime('%Y-%m-%dT%H:%M:%fZ', w.deadline_at / 1000.0, 'unixepoch') AS deadline, w.deadline_at AS deadline_ms, w.assignees FROM (SELECT 'interaction' AS kind, execution_key, id, opened, created_at, deadline_at, json_extract(prompt, '$.text') AS text, assignees FROM interactions WHERE status = 'pending' UNION ALL SELECT 'consent', execution_key, id, opened, created_at, deadline_at, auth_url, NULL FROM consents WHERE status IN ('pending', 'exchanging')) AS w JOIN executions AS e ON e.key = w.execution_key",
)

# Drops what only the runner knows: its runs with their inputs, who a prompt was addressed to, what its deadline does.
# Executions, prompts, answers, history and the results in the journal stay.
DOWNGRADE = (
    "DROP TRIGGER interactions_move_as_the_lifecycle_allows",
    "DROP VIEW open_waits",
    "DROP TABLE runs",
    "ALTER TABLE journal DROP COLUMN ordinal",
    "ALTER TABLE journal DROP COLUMN settled",
    "ALTER TABLE journal DROP COLUMN error",
    "ALTER TABLE interactions DROP COLUMN default_response",
    "ALTER TABLE interactions DROP COLUMN on_deadline",
    "ALTER TABLE interactions DROP COLUMN four_eyes",
    "ALTER TABLE interactions DROP COLUMN assignees",
    "CREATE TRIGGER interactions_move_as_the_lifecycle_allows BEFORE UPDATE ON interactions WHEN NEW.key IS NOT OLD.key OR NEW.id IS NOT OLD.id OR NEW.execution_key IS NOT OLD.execution_key OR NEW.prompt IS NOT OLD.prompt OR NEW.opened IS NOT OLD.opened OR NEW.created_at IS NOT OLD.created_at OR (OLD.status <> NEW.status AND NOT (OLD.status = 'pending' AND (NEW.status = 'answered' OR NEW.status = 'expired' OR NEW.status = 'withdrawn'))) OR ((OLD.status = 'answered' OR OLD.status = 'expired' OR OLD.status = 'withdrawn') AND (NEW.status IS NOT OLD.status OR NEW.response IS NOT OLD.response OR NEW.answered_by IS NOT OLD.answered_by OR NEW.closed_at IS NOT OLD.closed_at)) BEGIN SELECT RAISE(ABORT, 'illegal transition of an interaction, or a change of what stays'); END",
    "CREATE VIEW open_waits AS SELECT e.id AS execution_id, e.workflow, e.owner, w.kind, w.id AS wait_id, w.text, strftime('%Y-%m-%dT%H:%M:%fZ', w.created_at / 1000.0, 'unixepoch') AS asked_at, strftime('%Y-%m-%dT%H:%M:%fZ', w.deadline_at / 1000.0, 'unixepoch') AS deadline, w.deadline_at AS deadline_ms FROM (SELECT 'interaction' AS kind, execution_key, id, opened, created_at, deadline_at, json_extract(prompt, '$.text') AS text FROM interactions WHERE status = 'pending' UNION ALL SELECT 'consent', execution_key, id, opened, created_at, deadline_at, auth_url FROM consents WHERE status IN ('pending', 'exchanging')) AS w JOIN executions AS e ON e.key = w.execution_key",
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement.replace(":", "\\:"))


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement.replace(":", "\\:"))
