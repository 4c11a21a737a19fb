"""A priority of each execution, which lists show, and the epoch of the claim by which a process drives an execution.

Revision ID: 0005
Revises: 0004
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


# Where a file was downgraded before, its history still tells the priorities.
def upgrade() -> None:
    op.execute("ALTER TABLE executions ADD COLUMN priority INTEGER DEFAULT 0 NOT NULL")
    op.execute("ALTER TABLE executions ADD COLUMN epoch INTEGER DEFAULT 0 NOT NULL")
    op.execute(
        "UPDATE executions SET priority = json_extract(h.detail, '$.priority') FROM history AS h"
        " WHERE h.execution_id = executions.id AND h.event = 'execution_created'"
        " AND json_type(h.detail, '$.priority') = 'integer'"
    )


# Drops the priorities, which the history keeps, and the epochs: a process that stood still is not fenced off any more.
def downgrade() -> None:
    op.execute("ALTER TABLE executions DROP COLUMN epoch")
    op.execute("ALTER TABLE executions DROP COLUMN priority")
