"""The failed attempts of steps that are under way.

Revision ID: 0006
Revises: 0005
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# Frozen: what schema.py says later is a later revision's matter.
UPGRADE = (
    """CREATE TABLE step_attempts (
    execution_key INTEGER NOT NULL,
    position TEXT NOT NULL,
    name TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    error TEXT NOT NULL,
    failed_at INTEGER NOT NULL,
    next_at INTEGER NOT NULL,
    PRIMARY KEY (execution_key, position),
    CONSTRAINT step_attempts_count_from_one CHECK (attempts > 0),
    CONSTRAINT step_attempts_error_is_json CHECK (json_valid(error)),
    FOREIGN KEY(execution_key) REFERENCES executions ("key") ON DELETE CASCADE
)
 WITHOUT ROWID""",
)

# Drops how often steps under way have failed: they are tried as often again.
DOWNGRADE = ("DROP TABLE step_attempts",)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
