"""The first schema: executions, their waits, the journal, the chained history, leases.

Revision ID: 0001
Revises:
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Frozen: what schema.py says later is a later revision's matter.
STATEMENTS = (
    """CREATE TABLE executions (
    "key" INTEGER NOT NULL,
    id TEXT NOT NULL,
    status TEXT NOT NULL,
    version INTEGER NOT NULL,
    open_waits INTEGER NOT NULL,
    workflow TEXT,
    owner TEXT,
    lease INTEGER,
    created_at INTEGER NOT NULL,
    completed_at INTEGER,
    expires_at INTEGER,
    hold TEXT,
    result TEXT,
    error TEXT,
    error_code TEXT,
    PRIMARY KEY ("key"),
    CONSTRAINT executions_id_is_unique UNIQUE (id),
    CONSTRAINT executions_status_is_known CHECK ((status = 'running' OR status = 'interaction_required' OR status = 'oauth_required' OR status = 'completed' OR status = 'failed' OR status = 'cancelled')),
    CONSTRAINT executions_completed_at_means_ended CHECK ((completed_at IS NOT NULL) = (status = 'completed' OR status = 'failed' OR status = 'cancelled')),
    CONSTRAINT executions_only_ended_ones_expire CHECK (expires_at IS NULL OR completed_at IS NOT NULL),
    CONSTRAINT executions_paused_means_open_waits CHECK ((open_waits > 0) = (status = 'interaction_required' OR status = 'oauth_required')),
    CONSTRAINT executions_result_is_json CHECK (result IS NULL OR json_valid(result))
)""",
    "CREATE INDEX executions_to_sweep ON executions (expires_at) WHERE expires_at IS NOT NULL AND hold IS NULL",
    """CREATE TABLE history (
    sequence INTEGER NOT NULL,
    execution_id TEXT,
    event TEXT NOT NULL,
    wait_id TEXT,
    from_status TEXT,
    to_status TEXT,
    actor TEXT,
    cause TEXT,
    time INTEGER NOT NULL,
    detail TEXT,
    detail_sha256 BLOB,
    digest BLOB NOT NULL,
    PRIMARY KEY (sequence),
    CONSTRAINT history_digest_is_sha256 CHECK (length(digest) = 32),
    CONSTRAINT history_detail_is_hashed CHECK (detail IS NULL OR detail_sha256 IS NOT NULL)
)""",
    "CREATE INDEX history_of_execution ON history (execution_id) WHERE execution_id IS NOT NULL",
    """CREATE TABLE history_anchor (
    only INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (only),
    CONSTRAINT history_anchor_is_one_row CHECK (only = 1),
    CONSTRAINT history_anchor_digest_is_sha256 CHECK (length(digest) = 32)
)""",
    """CREATE TABLE leases (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    started INTEGER,
    expires_at INTEGER NOT NULL
)""",
    """CREATE TABLE consents (
    "key" INTEGER NOT NULL,
    execution_key INTEGER NOT NULL,
    id TEXT NOT NULL,
    status TEXT NOT NULL,
    opened INTEGER NOT NULL,
    auth_url TEXT NOT NULL,
    oauth_state TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    deadline_at INTEGER,
    closed_at INTEGER,
    PRIMARY KEY ("key"),
    CONSTRAINT consents_id_is_unique_in_its_execution UNIQUE (execution_key, id),
    CONSTRAINT consents_status_is_known CHECK ((status = 'pending' OR status = 'exchanging' OR status = 'granted' OR status = 'denied' OR status = 'expired' OR status = 'withdrawn')),
    CONSTRAINT consents_closed_at_means_closed CHECK ((status = 'pending' OR status = 'exchanging') = (closed_at IS NULL)),
    FOREIGN KEY(execution_key) REFERENCES executions ("key") ON DELETE CASCADE
)""",
    "CREATE INDEX consents_open ON consents (deadline_at) WHERE status IN ('pending', 'exchanging')",
    """CREATE TABLE interactions (
    "key" INTEGER NOT NULL,
    execution_key INTEGER NOT NULL,
    id TEXT NOT NULL,
    status TEXT NOT NULL,
    opened INTEGER NOT NULL,
    prompt TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    deadline_at INTEGER,
    closed_at INTEGER,
    response TEXT,
    answered_by TEXT,
    PRIMARY KEY ("key"),
    CONSTRAINT interactions_id_is_unique_in_its_execution UNIQUE (execution_key, id),
    CONSTRAINT interactions_status_is_known CHECK ((status = 'pending' OR status = 'answered' OR status = 'expired' OR status = 'withdrawn')),
    CONSTRAINT interactions_answered_means_a_response CHECK ((status = 'answered') = (response IS NOT NULL)),
    CONSTRAINT interactions_closed_at_means_closed CHECK ((status = 'pending') = (closed_at IS NULL)),
    CONSTRAINT interactions_prompt_is_json CHECK (json_valid(prompt)),
    CONSTRAINT interactions_response_is_json CHECK (response IS NULL OR json_valid(response)),
    FOREIGN KEY(execution_key) REFERENCES executions ("key") ON DELETE CASCADE
)""",
    "CREATE INDEX interactions_open ON interactions (deadline_at) WHERE status = 'pending'",
    """CREATE TABLE journal (
    execution_key INTEGER NOT NULL,
    position TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    result TEXT,
    recorded_at INTEGER NOT NULL,
    PRIMARY KEY (execution_key, position),
    CONSTRAINT journal_result_is_json CHECK (result IS NULL OR json_valid(result)),
    FOREIGN KEY(execution_key) REFERENCES executions ("key") ON DELETE CASCADE
)
 WITHOUT ROWID""",
    (
        "CREATE TRIGGER executions_move_as_the_lifecycle_allows BEFORE UPDATE ON executions WHEN NEW.key IS NOT "
        "OLD.key OR NEW.id IS NOT OLD.id OR NEW.created_at IS NOT OLD.created_at OR (OLD.status <> NEW.status AND NOT "
        "(OLD.status = 'running' AND (NEW.status = 'interaction_required' OR NEW.status = 'oauth_required' OR "
        "NEW.status = 'completed' OR NEW.status = 'failed' OR NEW.status = 'cancelled') OR OLD.status = "
        "'interaction_required' AND (NEW.status = 'oauth_required' OR NEW.status = 'running' OR NEW.status = 'failed' "
        "OR NEW.status = 'cancelled') OR OLD.status = 'oauth_required' AND (NEW.status = 'interaction_required' OR "
        "NEW.status = 'running' OR NEW.status = 'failed' OR NEW.status = 'cancelled'))) OR ((OLD.status = 'completed' "
        "OR OLD.status = 'failed' OR OLD.status = 'cancelled') AND (NEW.status IS NOT OLD.status OR NEW.completed_at "
        "IS NOT OLD.completed_at OR NEW.result IS NOT OLD.result OR NEW.error IS NOT OLD.error OR NEW.error_code IS "
        "NOT OLD.error_code)) BEGIN SELECT RAISE(ABORT, 'illegal transition of an execution, or a change of what "
        "stays'); END"
    ),
    (
        "CREATE TRIGGER executions_begin_at_the_beginning BEFORE INSERT ON executions WHEN NEW.status <> 'running' OR "
        "EXISTS (SELECT 1 FROM executions WHERE key = NEW.key) OR EXISTS (SELECT 1 FROM executions WHERE id = NEW.id) "
        "BEGIN SELECT RAISE(ABORT, 'an execution begins as running, with a key and an id of its own'); END"
    ),
    (
        "CREATE TRIGGER interactions_move_as_the_lifecycle_allows BEFORE UPDATE ON interactions WHEN NEW.key IS NOT "
        "OLD.key OR NEW.id IS NOT OLD.id OR NEW.execution_key IS NOT OLD.execution_key OR NEW.prompt IS NOT "
        "OLD.prompt OR NEW.opened IS NOT OLD.opened OR NEW.created_at IS NOT OLD.created_at OR (OLD.status <> "
        "NEW.status AND NOT (OLD.status = 'pending' AND (NEW.status = 'answered' OR NEW.status = 'expired' OR "
        "NEW.status = 'withdrawn'))) OR ((OLD.status = 'answered' OR OLD.status = 'expired' OR OLD.status = "
        "'withdrawn') AND (NEW.status IS NOT OLD.status OR NEW.response IS NOT OLD.response OR NEW.answered_by IS NOT "
        "OLD.answered_by OR NEW.closed_at IS NOT OLD.closed_at)) BEGIN SELECT RAISE(ABORT, 'illegal transition of an "
        "interaction, or a change of what stays'); END"
    ),
    (
        "CREATE TRIGGER interactions_begin_at_the_beginning BEFORE INSERT ON interactions WHEN NEW.status <> "
        "'pending' OR EXISTS (SELECT 1 FROM interactions WHERE key = NEW.key) OR EXISTS (SELECT 1 FROM interactions "
        "WHERE execution_key = NEW.execution_key AND id = NEW.id) BEGIN SELECT RAISE(ABORT, 'an interaction begins as "
        "pending, with a key and an id of its own'); END"
    ),
    (
        "CREATE TRIGGER consents_move_as_the_lifecycle_allows BEFORE UPDATE ON consents WHEN NEW.key IS NOT OLD.key "
        "OR NEW.id IS NOT OLD.id OR NEW.execution_key IS NOT OLD.execution_key OR NEW.opened IS NOT OLD.opened OR "
        "NEW.created_at IS NOT OLD.created_at OR (OLD.status <> NEW.status AND NOT (OLD.status = 'pending' AND "
        "(NEW.status = 'exchanging' OR NEW.status = 'denied' OR NEW.status = 'expired' OR NEW.status = 'withdrawn') "
        "OR OLD.status = 'exchanging' AND (NEW.status = 'pending' OR NEW.status = 'granted' OR NEW.status = 'denied' "
        "OR NEW.status = 'expired' OR NEW.status = 'withdrawn'))) OR ((OLD.status = 'granted' OR OLD.status = "
        "'denied' OR OLD.status = 'expired' OR OLD.status = 'withdrawn') AND (NEW.status IS NOT OLD.status OR "
        "NEW.closed_at IS NOT OLD.closed_at)) BEGIN SELECT RAISE(ABORT, 'illegal transition of a consent, or a change "
        "of what stays'); END"
    ),
    (
        "CREATE TRIGGER consents_begin_at_the_beginning BEFORE INSERT ON consents WHEN NEW.status <> 'pending' OR "
        "EXISTS (SELECT 1 FROM consents WHERE key = NEW.key) OR EXISTS (SELECT 1 FROM consents WHERE execution_key = "
        "NEW.execution_key AND id = NEW.id) BEGIN SELECT RAISE(ABORT, 'a consent begins as pending, with a key and an "
        "id of its own'); END"
    ),
    (
        "CREATE TRIGGER executions_live_ones_stay BEFORE DELETE ON executions WHEN NOT (OLD.status = 'completed' OR "
        "OLD.status = 'failed' OR OLD.status = 'cancelled') BEGIN SELECT RAISE(ABORT, 'an execution that has not "
        "ended cannot be deleted'); END"
    ),
    (
        "CREATE TRIGGER history_is_only_appended_to BEFORE INSERT ON history WHEN NEW.sequence IS NOT 1 + "
        "coalesce((SELECT max(sequence) FROM history), (SELECT sequence FROM history_anchor)) BEGIN SELECT "
        "RAISE(ABORT, 'history is append-only'); END"
    ),
    (
        "CREATE TRIGGER history_is_never_changed BEFORE UPDATE ON history BEGIN SELECT RAISE(ABORT, 'history is "
        "append-only'); END"
    ),
    (
        "CREATE TRIGGER history_goes_only_by_retention BEFORE DELETE ON history WHEN OLD.sequence > (SELECT sequence "
        "FROM history_anchor) BEGIN SELECT RAISE(ABORT, 'history is append-only'); END"
    ),
    (
        "CREATE TRIGGER history_anchor_moves_only_forward BEFORE UPDATE ON history_anchor WHEN NEW.sequence <= "
        "OLD.sequence OR NEW.sequence >= (SELECT max(sequence) FROM history) OR NEW.digest IS NOT (SELECT digest FROM "
        "history WHERE sequence = NEW.sequence) BEGIN SELECT RAISE(ABORT, 'the anchor moves forward, to a row of "
        "history'); END"
    ),
    (
        "CREATE TRIGGER interactions_go_with_their_execution BEFORE DELETE ON interactions WHEN EXISTS (SELECT 1 FROM "
        "executions WHERE key = OLD.execution_key) BEGIN SELECT RAISE(ABORT, 'what was asked goes only with its "
        "execution'); END"
    ),
    (
        "CREATE TRIGGER consents_go_with_their_execution BEFORE DELETE ON consents WHEN EXISTS (SELECT 1 FROM "
        "executions WHERE key = OLD.execution_key) BEGIN SELECT RAISE(ABORT, 'what was asked goes only with its "
        "execution'); END"
    ),
    (
        "CREATE TRIGGER history_anchor_is_not_replaced BEFORE INSERT ON history_anchor WHEN EXISTS (SELECT 1 FROM "
        "history_anchor) BEGIN SELECT RAISE(ABORT, 'there is one anchor of the history'); END"
    ),
    (
        "CREATE TRIGGER history_anchor_stays BEFORE DELETE ON history_anchor BEGIN SELECT RAISE(ABORT, 'the anchor of "
        "the history stays'); END"
    ),
    (
        "CREATE VIEW execution_history AS SELECT sequence, execution_id, event, wait_id, from_status, to_status, "
        "actor, cause, strftime('%Y-%m-%dT%H:%M:%fZ', time / 1000.0, 'unixepoch') AS at, time AS at_ms, detail, "
        "lower(hex(digest)) AS digest FROM history"
    ),
    (
        "CREATE VIEW open_waits AS SELECT e.id AS execution_id, e.workflow, e.owner, w.kind, w.id AS wait_id, w.text, "
        "strftime('%Y-%m-%dT%H:%M:%fZ', w.created_at / 1000.0, 'unixepoch') AS asked_at, "
        "strftime('%Y-%m-%dT%H:%M:%fZ', w.deadline_at / 1000.0, 'unixepoch') AS deadline, w.deadline_at AS "
        "deadline_ms FROM (SELECT 'interaction' AS kind, execution_key, id, opened, created_at, deadline_at, "
        "json_extract(prompt, '$.text') AS text FROM interactions WHERE status = 'pending' UNION ALL SELECT "
        "'consent', execution_key, id, opened, created_at, deadline_at, auth_url FROM consents WHERE status IN "
        "('pending', 'exchanging')) AS w JOIN executions AS e ON e.key = w.execution_key"
    ),
    (
        "CREATE VIEW answers AS SELECT a.execution_id, a.wait_id AS interaction_id, a.actor AS answered_by, "
        "strftime('%Y-%m-%dT%H:%M:%fZ', a.time / 1000.0, 'unixepoch') AS answered_at, a.time AS answered_ms, "
        "strftime('%Y-%m-%dT%H:%M:%fZ', q.time / 1000.0, 'unixepoch') AS asked_at, a.time - q.time AS waited_ms, "
        "json_extract(q.detail, '$.prompt') AS prompt, json_extract(a.detail, '$.response') AS response, a.sequence "
        "FROM history AS a LEFT JOIN history AS q ON q.execution_id = a.execution_id AND q.wait_id = a.wait_id AND "
        "q.event = 'interaction_asked' WHERE a.event = 'interaction_answered'"
    ),
)


def upgrade() -> None:
    op.execute(f"PRAGMA application_id = {0x72737470}")
    for statement in STATEMENTS:
        op.execute(statement.replace(":", "\\:"))
    op.execute("INSERT INTO history_anchor (only, sequence, digest) VALUES (1, 0, zeroblob(32))")


def downgrade() -> None:
    """Drop everything: executions, waits and the whole history."""
    op.execute("DROP VIEW execution_history")
    op.execute("DROP VIEW open_waits")
    op.execute("DROP VIEW answers")
    op.execute("DROP TABLE journal")
    op.execute("DROP TABLE interactions")
    op.execute("DROP TABLE consents")
    op.execute("DROP TABLE leases")
    op.execute("DROP TABLE history_anchor")
    op.execute("DROP TABLE history")
    op.execute("DROP TABLE executions")
