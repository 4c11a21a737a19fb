"""Sessions of people who signed in at a browser.

Revision ID: 0011
Revises: 0010
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# Frozen: what schema.py says later is a later revision's matter.
UPGRADE = (
    """CREATE TABLE sessions (
    token_sha256 BLOB NOT NULL,
    id TEXT NOT NULL,
    actor TEXT NOT NULL,
    groups TEXT NOT NULL,
    roles TEXT NOT NULL,
    provider TEXT,
    bearer_sha256 TEXT,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    PRIMARY KEY (token_sha256),
    CONSTRAINT sessions_id_is_unique UNIQUE (id),
    CONSTRAINT sessions_end_when_they_expire CHECK (ends_at <= expires_at),
    CONSTRAINT sessions_token_is_hashed CHECK (length(token_sha256) = 32),
    CONSTRAINT sessions_begin_in_one_way CHECK ((provider IS NULL) = (bearer_sha256 IS NOT NULL)),
    CONSTRAINT sessions_groups_and_roles_are_json CHECK (json_valid(groups) AND json_valid(roles))
)
 WITHOUT ROWID""",
    "CREATE INDEX sessions_of_actor ON sessions (actor)",
    "CREATE INDEX sessions_to_sweep ON sessions (ends_at)",
    (
        "CREATE TRIGGER sessions_rights_stay BEFORE UPDATE OF token_sha256, id, actor, groups, roles, provider, "
        "bearer_sha256, created_at, expires_at ON sessions WHEN NEW.token_sha256 IS NOT OLD.token_sha256 OR NEW.id IS "
        "NOT OLD.id OR NEW.actor IS NOT OLD.actor OR NEW.groups IS NOT OLD.groups OR NEW.roles IS NOT OLD.roles OR "
        "NEW.provider IS NOT OLD.provider OR NEW.bearer_sha256 IS NOT OLD.bearer_sha256 OR NEW.created_at IS NOT "
        "OLD.created_at OR NEW.expires_at IS NOT OLD.expires_at BEGIN SELECT RAISE(ABORT, 'what a session began with "
        "stays'); END"
    ),
)

# Signs everybody out.
DOWNGRADE = ("DROP TABLE sessions",)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
