"""The schema of the file: tables, named checks and indexes. Triggers and the auditors' views are in ``sqlite`` beside it.

The revisions in ``migrations/`` build the file; nothing here creates anything. A test holds that a file built by the
revisions has exactly this schema, so this is the place to read what is in it.

Inside the file keys are integers and times are integer milliseconds since the epoch, UTC. Ids seen outside are text.
Payloads are JSON text.
"""

from typing import Final

from sqlalchemy import column, table
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from restpoint._storage.schema.executions import (
    erasures,
    executions,
    failures,
    history,
    history_anchor,
    journal,
    kept_keys,
    metadata,
    runs,
    step_attempts,
)
from restpoint._storage.schema.outbox import outbox, routes
from restpoint._storage.schema.processes import leases, mail_addresses, runners, sessions, settings
from restpoint._storage.schema.waits import assignments, consents, interactions, reminders, votes
from restpoint._storage.sqlite.triggers import triggers
from restpoint._storage.sqlite.views import VIEWS

__all__ = [
    "APPLICATION_ID", "REVISION", "TRIGGERS", "alembic_version", "assignments", "consents", "ddl", "erasures",
    "executions", "failures", "history", "history_anchor", "interactions", "journal", "kept_keys", "leases", "mail_addresses",
    "metadata",
    "outbox", "reminders", "routes", "runners", "runs", "sessions", "settings", "sqlite_master", "step_attempts",
    "votes",
]  # fmt: skip

REVISION: Final = "0019"
"""The newest revision in ``migrations/versions``; the only one this program reads and writes."""

APPLICATION_ID: Final = 0x72737470
"""``PRAGMA application_id`` of every restpoint file: the letters ``rstp`` (https://www.sqlite.org/fileformat2.html)."""

# Not ours to make, so not in the metadata: what SQLite and Alembic keep of the file.
sqlite_master: Final = table("sqlite_master", *map(column, ("type", "name", "sql", "rowid")))
alembic_version: Final = table("alembic_version", column("version_num"))

TRIGGERS: Final = triggers(tuple(column.name for column in history.c))


def ddl() -> dict[str, str]:
    """Every object of the schema by name, with the SQL that SQLite keeps of it in ``sqlite_master``."""
    objects = {}
    for made in metadata.sorted_tables:
        objects[made.name] = str(CreateTable(made).compile(dialect=sqlite.dialect()))
        for index in sorted(made.indexes, key=lambda index: str(index.name)):
            objects[str(index.name)] = str(CreateIndex(index).compile(dialect=sqlite.dialect()))
    for trigger in TRIGGERS:
        objects[trigger.split()[2]] = trigger
    for name, query in VIEWS.items():
        objects[name] = f"CREATE VIEW {name} AS {query}"
    return {name: "\n".join(line.rstrip() for line in sql.strip().splitlines()) for name, sql in objects.items()}
