"""The outbox: routes by which people are told of events, and the notices that are still to be delivered.

Revision ID: 0012
Revises: 0011
"""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# Frozen: what schema.py says later is a later revision's matter.
UPGRADE = (
    """CREATE TABLE routes (
    event TEXT NOT NULL,
    name TEXT NOT NULL,
    channel TEXT NOT NULL,
    workflows TEXT,
    owners TEXT,
    assignees TEXT,
    asks INTEGER NOT NULL,
    disabled_at INTEGER,
    problem TEXT,
    PRIMARY KEY (event, name),
    CONSTRAINT routes_asks_is_yes_or_no CHECK (asks IN (0, 1)),
    CONSTRAINT routes_workflows_is_json CHECK (workflows IS NULL OR json_valid(workflows)),
    CONSTRAINT routes_owners_is_json CHECK (owners IS NULL OR json_valid(owners)),
    CONSTRAINT routes_assignees_is_json CHECK (assignees IS NULL OR json_valid(assignees))
)
 WITHOUT ROWID""",
    """CREATE TABLE outbox (
    id TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    route TEXT NOT NULL,
    channel TEXT NOT NULL,
    execution_id TEXT NOT NULL,
    wait_id TEXT,
    asks INTEGER NOT NULL,
    recipient TEXT,
    status TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    due_at INTEGER,
    give_up_at INTEGER NOT NULL,
    lease INTEGER,
    ended_at INTEGER,
    opened_at INTEGER,
    problem TEXT,
    PRIMARY KEY (id),
    CONSTRAINT outbox_status_is_known CHECK ((status = 'pending' OR status = 'delivered' OR status = 'moot' OR status = 'given_up' OR status = 'dropped')),
    CONSTRAINT outbox_ended_at_means_ended CHECK ((status = 'pending') = (ended_at IS NULL)),
    FOREIGN KEY(execution_id) REFERENCES executions (id) ON DELETE CASCADE
)
 WITHOUT ROWID""",
    "CREATE INDEX outbox_due ON outbox (channel, due_at) WHERE status = 'pending' AND lease IS NULL",
    "CREATE INDEX outbox_of_execution ON outbox (execution_id, wait_id)",
    "CREATE INDEX outbox_leased ON outbox (lease) WHERE lease IS NOT NULL",
    "CREATE INDEX outbox_given_up ON outbox (route) WHERE status = 'given_up'",
    (
        "CREATE TRIGGER history_makes_notices_moot AFTER INSERT ON history WHEN NEW.wait_id IS NOT NULL AND EXISTS "
        "(SELECT 1 FROM outbox WHERE execution_id = NEW.execution_id AND wait_id = NEW.wait_id) BEGIN UPDATE outbox "
        "SET status = 'moot', ended_at = NEW.time, due_at = NULL WHERE execution_id = NEW.execution_id AND wait_id = "
        "NEW.wait_id AND sequence < NEW.sequence AND (status = 'pending' OR status = 'given_up') AND asks = 1 AND "
        "(json_extract(NEW.detail, '$.assignees') IS NOT NULL OR NOT (EXISTS (SELECT 1 FROM executions AS e JOIN "
        "interactions AS i ON i.execution_key = e.key WHERE e.id = NEW.execution_id AND i.id = NEW.wait_id AND "
        "i.status = 'pending') OR EXISTS (SELECT 1 FROM executions AS e JOIN consents AS c ON c.execution_key = "
        "e.key WHERE e.id = NEW.execution_id AND c.id = NEW.wait_id AND (c.status = 'pending' OR c.status = "
        "'exchanging')))); END"
    ),
    (
        "CREATE TRIGGER history_is_told AFTER INSERT ON history WHEN NEW.execution_id IS NOT NULL AND EXISTS (SELECT "
        "1 FROM routes WHERE event = NEW.event) BEGIN INSERT INTO outbox (id, sequence, route, channel, "
        "execution_id, wait_id, asks, status, attempts, created_at, due_at, give_up_at) SELECT "
        "printf('%08x-%04x-7%03x-%04x-%012x', NEW.time >> 16, NEW.time & 65535, random() & 4095, 32768 | (random() & "
        "16383), random() & 281474976710655), NEW.sequence, r.name, r.channel, NEW.execution_id, NEW.wait_id, "
        "r.asks, 'pending', 0, NEW.time, CASE WHEN r.disabled_at IS NULL THEN NEW.time END, NEW.time + 604800000 "
        "FROM routes AS r JOIN executions AS e ON e.id = NEW.execution_id WHERE r.event = NEW.event AND (r.workflows "
        "IS NULL OR e.workflow IN (SELECT value FROM json_each(r.workflows))) AND (r.owners IS NULL OR e.owner IN "
        "(SELECT value FROM json_each(r.owners))) AND (r.assignees IS NULL OR EXISTS (SELECT 1 FROM interactions AS "
        "i, json_each(i.assignees) AS a WHERE i.execution_key = e.key AND i.id = NEW.wait_id AND a.value IN (SELECT "
        "value FROM json_each(r.assignees)))); END"
    ),
)

# What was not delivered is lost.
DOWNGRADE = (
    "DROP TRIGGER history_is_told",
    "DROP TRIGGER history_makes_notices_moot",
    "DROP TABLE outbox",
    "DROP TABLE routes",
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
