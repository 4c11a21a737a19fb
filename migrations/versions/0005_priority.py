"""A priority of each execution, which lists show. It changes no order of work.

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
    op.execute(
        "UPDATE executions SET priority = json_extract(h.detail, '$.priority') FROM history AS h"
        " WHERE h.execution_id = executions.id AND h.event = 'execution_created'"
        " AND json_type(h.detail, '$.priority') = 'integer'"
    )


# Drops the priorities, which the history keeps.
def downgrade() -> None:
    op.execute("ALTER TABLE executions DROP COLUMN priority")
