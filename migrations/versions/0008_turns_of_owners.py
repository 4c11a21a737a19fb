"""Indexes of what is ready: by owner, because owners take turns, and of what has been tried without getting on.

Revision ID: 0008
Revises: 0007
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# Frozen: what schema.py says later is a later revision's matter.
UPGRADE = (
    "DROP INDEX executions_ready",
    'CREATE INDEX executions_ready ON executions (owner, "key") WHERE ready = 1 AND lease IS NULL',
    (
        'CREATE INDEX executions_getting_nowhere ON executions (attempts, "key")'
        " WHERE ready = 1 AND lease IS NULL AND attempts > 0"
    ),
)

# Drops nothing but indexes.
DOWNGRADE = (
    "DROP INDEX executions_getting_nowhere",
    "DROP INDEX executions_ready",
    'CREATE INDEX executions_ready ON executions ("key") WHERE ready = 1 AND lease IS NULL',
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
