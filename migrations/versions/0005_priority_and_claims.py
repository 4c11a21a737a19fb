"""A priority of each execution, which lists show; and one kind of claim: the columns of a run's claim move to its execution.

Revision ID: 0005
Revises: 0004
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# Frozen: what schema.py says later is a later revision's matter.
UPGRADE = (
    "ALTER TABLE executions ADD COLUMN priority INTEGER DEFAULT 0 NOT NULL",
    # Where a file was downgraded before, its history still tells the priorities.
    (
        "UPDATE executions SET priority = json_extract(h.detail, '$.priority') FROM history AS h"
        " WHERE h.execution_id = executions.id AND h.event = 'execution_created'"
        " AND json_type(h.detail, '$.priority') = 'integer'"
    ),
    "ALTER TABLE executions ADD COLUMN epoch INTEGER DEFAULT 0 NOT NULL",
    "ALTER TABLE executions ADD COLUMN ready INTEGER CONSTRAINT executions_ready_is_yes_or_no CHECK (ready IN (0, 1))",
    "ALTER TABLE executions ADD COLUMN attempts INTEGER DEFAULT 0 NOT NULL",
    "ALTER TABLE executions ADD COLUMN wake_at INTEGER",
    "ALTER TABLE executions ADD COLUMN problem TEXT",
    (
        "UPDATE executions SET lease = r.lease, epoch = r.epoch, ready = r.ready, attempts = r.attempts, wake_at = r.wake_at,"
        " problem = r.problem FROM runs AS r WHERE r.execution_key = executions.key"
    ),
    "ALTER TABLE runs RENAME TO runs_before",
    """CREATE TABLE runs (
    execution_key INTEGER NOT NULL,
    version INTEGER NOT NULL,
    input TEXT NOT NULL,
    trace TEXT,
    start_sha256 BLOB,
    request_sha256 BLOB,
    PRIMARY KEY (execution_key),
    CONSTRAINT runs_input_is_json CHECK (json_valid(input)),
    CONSTRAINT runs_trace_is_json CHECK (trace IS NULL OR json_valid(trace)),
    FOREIGN KEY(execution_key) REFERENCES executions ("key") ON DELETE CASCADE
)""",
    "INSERT INTO runs SELECT execution_key, version, input, trace, start_sha256, request_sha256 FROM runs_before",
    "DROP TABLE runs_before",
    "CREATE UNIQUE INDEX runs_start_is_unique ON runs (start_sha256) WHERE start_sha256 IS NOT NULL",
    "CREATE INDEX executions_asleep ON executions (wake_at) WHERE wake_at IS NOT NULL",
    "CREATE INDEX executions_claimed ON executions (lease) WHERE ready IS NOT NULL AND lease IS NOT NULL",
    'CREATE INDEX executions_ready ON executions ("key") WHERE ready = 1 AND lease IS NULL',
    'CREATE INDEX executions_with_a_problem ON executions ("key") WHERE problem IS NOT NULL',
)

# Drops the priorities, which the history keeps, and the epochs of executions that no runner runs: a process that stood still
# is not fenced off from those any more.
DOWNGRADE = (
    "DROP INDEX executions_asleep",
    "DROP INDEX executions_claimed",
    "DROP INDEX executions_ready",
    "DROP INDEX executions_with_a_problem",
    "ALTER TABLE runs RENAME TO runs_after",
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
    (
        "INSERT INTO runs SELECT r.execution_key, r.version, r.input, e.ready, e.lease, e.epoch, e.attempts, e.wake_at, e.problem,"
        " r.trace, r.start_sha256, r.request_sha256 FROM runs_after AS r JOIN executions AS e ON e.key = r.execution_key"
    ),
    "DROP TABLE runs_after",
    "CREATE INDEX runs_asleep ON runs (wake_at) WHERE wake_at IS NOT NULL",
    "CREATE INDEX runs_claimed ON runs (lease) WHERE lease IS NOT NULL",
    "CREATE INDEX runs_ready ON runs (execution_key) WHERE ready = 1 AND lease IS NULL",
    "CREATE UNIQUE INDEX runs_start_is_unique ON runs (start_sha256) WHERE start_sha256 IS NOT NULL",
    "CREATE INDEX runs_with_a_problem ON runs (execution_key) WHERE problem IS NOT NULL",
    "UPDATE executions SET lease = NULL WHERE ready IS NOT NULL",
    "ALTER TABLE executions DROP COLUMN problem",
    "ALTER TABLE executions DROP COLUMN wake_at",
    "ALTER TABLE executions DROP COLUMN attempts",
    "ALTER TABLE executions DROP COLUMN ready",
    "ALTER TABLE executions DROP COLUMN epoch",
    "ALTER TABLE executions DROP COLUMN priority",
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
