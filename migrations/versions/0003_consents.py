"""Consents that restpoint drives: whom they are asked of, the attempt under way, and what was granted, sealed.

Revision ID: 0003
Revises: 0002
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# Frozen: what schema.py says later is a later revision's matter.
UPGRADE = (
    "DROP TRIGGER consents_move_as_the_lifecycle_allows",
    "DROP VIEW open_waits",
    "ALTER TABLE executions ADD COLUMN secrets INTEGER",
    "ALTER TABLE consents ADD COLUMN provider TEXT",
    "ALTER TABLE consents ADD COLUMN scopes TEXT CONSTRAINT consents_scopes_is_json CHECK (scopes IS NULL OR json_valid(scopes))",
    "ALTER TABLE consents ADD COLUMN denial TEXT",
    "ALTER TABLE consents ADD COLUMN attempts INTEGER",
    "ALTER TABLE consents ADD COLUMN begun_by TEXT",
    "ALTER TABLE consents ADD COLUMN state_sha256 BLOB",
    "ALTER TABLE consents ADD COLUMN browser_sha256 BLOB",
    "ALTER TABLE consents ADD COLUMN state_expires_at INTEGER",
    "ALTER TABLE consents ADD COLUMN redirect_uri TEXT",
    "ALTER TABLE consents ADD COLUMN verifier TEXT CONSTRAINT consents_verifier_is_for_one_use CHECK (verifier IS NULL OR (json_valid(verifier) AND status = 'pending'))",
    "ALTER TABLE consents ADD COLUMN lease INTEGER",
    "ALTER TABLE consents ADD COLUMN token TEXT CONSTRAINT consents_token_is_granted CHECK (token IS NULL OR (json_valid(token) AND status = 'granted'))",
    "CREATE INDEX consents_leased ON consents (lease) WHERE lease IS NOT NULL",
    'CREATE INDEX consents_sealed ON consents ("key") WHERE verifier IS NOT NULL OR token IS NOT NULL',
    "CREATE UNIQUE INDEX consents_state_is_unique ON consents (state_sha256) WHERE state_sha256 IS NOT NULL",
    "CREATE TRIGGER consents_move_as_the_lifecycle_allows BEFORE UPDATE ON consents WHEN NEW.key IS NOT OLD.key OR NEW.id IS NOT OLD.id OR NEW.execution_key IS NOT OLD.execution_key OR NEW.opened IS NOT OLD.opened OR NEW.created_at IS NOT OLD.created_at OR NEW.provider IS NOT OLD.provider OR NEW.scopes IS NOT OLD.scopes OR (OLD.status <> NEW.status AND NOT (OLD.status = 'pending' AND (NEW.status = 'exchanging' OR NEW.status = 'denied' OR NEW.status = 'expired' OR NEW.status = 'withdrawn') OR OLD.status = 'exchanging' AND (NEW.status = 'pending' OR NEW.status = 'granted' OR NEW.status = 'denied' OR NEW.status = 'expired' OR NEW.status = 'withdrawn'))) OR ((OLD.status = 'granted' OR OLD.status = 'denied' OR OLD.status = 'expired' OR OLD.status = 'withdrawn') AND (NEW.status IS NOT OLD.status OR NEW.closed_at IS NOT OLD.closed_at OR NEW.denial IS NOT OLD.denial OR NEW.begun_by IS NOT OLD.begun_by)) BEGIN SELECT RAISE(ABORT, 'illegal transition of a consent, or a change of what stays'); END",
    "CREATE VIEW open_waits AS SELECT e.id AS execution_id, e.workflow, e.owner, w.kind, w.id AS wait_id, w.text, strftime('%Y-%m-%dT%H:%M:%fZ', w.created_at / 1000.0, 'unixepoch') AS asked_at, strftime('%Y-%m-%dT%H:%M:%fZ', w.deadline_at / 1000.0, 'unixepoch') AS deadline, w.deadline_at AS deadline_ms, w.assignees FROM (SELECT 'interaction' AS kind, execution_key, id, opened, created_at, deadline_at, json_extract(prompt, '$.text') AS text, assignees FROM interactions WHERE status = 'pending' UNION ALL SELECT 'consent', execution_key, id, opened, created_at, deadline_at, coalesce(provider, auth_url), NULL FROM consents WHERE status IN ('pending', 'exchanging')) AS w JOIN executions AS e ON e.key = w.execution_key",
)

# Drops what only the driver of consents knows: providers, attempts, tokens. Every consent stays as its history tells of it; one
# that is still open waits, like one that an application drives, until it is withdrawn or its deadline passes.
DOWNGRADE = (
    "DROP TRIGGER consents_move_as_the_lifecycle_allows",
    "DROP VIEW open_waits",
    "DROP INDEX consents_leased",
    "DROP INDEX consents_sealed",
    "DROP INDEX consents_state_is_unique",
    "ALTER TABLE consents DROP COLUMN token",
    "ALTER TABLE consents DROP COLUMN lease",
    "ALTER TABLE consents DROP COLUMN verifier",
    "ALTER TABLE consents DROP COLUMN redirect_uri",
    "ALTER TABLE consents DROP COLUMN state_expires_at",
    "ALTER TABLE consents DROP COLUMN browser_sha256",
    "ALTER TABLE consents DROP COLUMN state_sha256",
    "ALTER TABLE consents DROP COLUMN begun_by",
    "ALTER TABLE consents DROP COLUMN attempts",
    "ALTER TABLE consents DROP COLUMN denial",
    "ALTER TABLE consents DROP COLUMN scopes",
    "ALTER TABLE consents DROP COLUMN provider",
    "ALTER TABLE executions DROP COLUMN secrets",
    "CREATE TRIGGER consents_move_as_the_lifecycle_allows BEFORE UPDATE ON consents WHEN NEW.key IS NOT OLD.key OR NEW.id IS NOT OLD.id OR NEW.execution_key IS NOT OLD.execution_key OR NEW.opened IS NOT OLD.opened OR NEW.created_at IS NOT OLD.created_at OR (OLD.status <> NEW.status AND NOT (OLD.status = 'pending' AND (NEW.status = 'exchanging' OR NEW.status = 'denied' OR NEW.status = 'expired' OR NEW.status = 'withdrawn') OR OLD.status = 'exchanging' AND (NEW.status = 'pending' OR NEW.status = 'granted' OR NEW.status = 'denied' OR NEW.status = 'expired' OR NEW.status = 'withdrawn'))) OR ((OLD.status = 'granted' OR OLD.status = 'denied' OR OLD.status = 'expired' OR OLD.status = 'withdrawn') AND (NEW.status IS NOT OLD.status OR NEW.closed_at IS NOT OLD.closed_at)) BEGIN SELECT RAISE(ABORT, 'illegal transition of a consent, or a change of what stays'); END",
    "CREATE VIEW open_waits AS SELECT e.id AS execution_id, e.workflow, e.owner, w.kind, w.id AS wait_id, w.text, strftime('%Y-%m-%dT%H:%M:%fZ', w.created_at / 1000.0, 'unixepoch') AS asked_at, strftime('%Y-%m-%dT%H:%M:%fZ', w.deadline_at / 1000.0, 'unixepoch') AS deadline, w.deadline_at AS deadline_ms, w.assignees FROM (SELECT 'interaction' AS kind, execution_key, id, opened, created_at, deadline_at, json_extract(prompt, '$.text') AS text, assignees FROM interactions WHERE status = 'pending' UNION ALL SELECT 'consent', execution_key, id, opened, created_at, deadline_at, auth_url, NULL FROM consents WHERE status IN ('pending', 'exchanging')) AS w JOIN executions AS e ON e.key = w.execution_key",
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement.replace(":", "\\:"))


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement.replace(":", "\\:"))
