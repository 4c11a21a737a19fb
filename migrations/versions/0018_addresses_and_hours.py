"""The mail addresses of people who signed in at a provider, and notices that wait until the hours of their route begin.

Revision ID: 0018
Revises: 0017
"""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

# Frozen: what schema.py says later is a later revision's matter.
UPGRADE = (
    """CREATE TABLE mail_addresses (
    person TEXT NOT NULL,
    address TEXT NOT NULL,
    provider TEXT NOT NULL,
    salt TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    PRIMARY KEY (person)
)
 WITHOUT ROWID""",
    "CREATE INDEX mail_addresses_of_sign_in ON mail_addresses (sequence)",
    "ALTER TABLE outbox ADD COLUMN opens_at INTEGER",
    "DROP INDEX outbox_due",
    "CREATE INDEX outbox_due ON outbox (channel, due_at, route) WHERE status = 'pending' AND lease IS NULL",
)

# Forgets the addresses; the next sign-in of a person brings theirs again. What waits for the hours of its route still has the
# time in due_at, and goes out then.
DOWNGRADE = (
    "DROP INDEX outbox_due",
    "CREATE INDEX outbox_due ON outbox (channel, due_at) WHERE status = 'pending' AND lease IS NULL",
    "ALTER TABLE outbox DROP COLUMN opens_at",
    "DROP TABLE mail_addresses",
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
