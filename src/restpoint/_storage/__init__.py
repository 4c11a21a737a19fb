"""The storage: everything that knows SQL. The boxes above import the names below, and nothing else of it.

A name is a module of verbs on the file, a type that the verbs give or take, or a function that opens the file. Each is imported
when it is first used, so that a command that needs no database does not wait for SQLAlchemy. What only SQLite has is in
``sqlite``. ``tests/storage/test_names.py`` holds the rule.
"""

from typing import TYPE_CHECKING

from restpoint._core.lazy_names import lazy_names

if TYPE_CHECKING:
    from restpoint._storage import (
        assignments,
        audit_queries,
        claims,
        consents,
        counts,
        erasure,
        event_details,
        executions,
        feed,
        hash_chain,
        history,
        journal,
        leases,
        listing,
        outbox,
        progress,
        queries,
        reminders,
        retention,
        retries,
        search,
        sessions,
        settings,
        starts,
        verification,
        waits,
    )
    from restpoint._storage.assignments import InboxPage
    from restpoint._storage.audit_queries import Answer, Filters
    from restpoint._storage.consents import Consent
    from restpoint._storage.counts import Gauges
    from restpoint._storage.erasure import Erasure
    from restpoint._storage.hash_chain import Broken, Head
    from restpoint._storage.history import HistoryEntry
    from restpoint._storage.journal import Call, Entry
    from restpoint._storage.leases import Claim
    from restpoint._storage.listing import ExecutionSummary, Page
    from restpoint._storage.progress import Failure, Progress
    from restpoint._storage.queries import Address, Asked, Snapshot
    from restpoint._storage.schema import REVISION
    from restpoint._storage.sessions import Session
    from restpoint._storage.sqlite import backup, checks, migrations, vacuum
    from restpoint._storage.sqlite.connection import Connection, Synchronous, locate, reading
    from restpoint._storage.sqlite.database import Committed, Database, Observer, Transaction

__all__ = [
    "REVISION", "Address", "Answer", "Asked", "Broken", "Call", "Claim", "Committed", "Connection",
    "Consent", "Database", "Entry", "Erasure", "ExecutionSummary", "Failure", "Filters", "Gauges",
    "Head", "HistoryEntry", "InboxPage", "Observer", "Page", "Progress", "Session", "Snapshot", "Synchronous",
    "Transaction", "assignments", "audit_queries", "backup", "checks", "claims", "consents", "counts", "erasure",
    "event_details", "executions", "feed", "hash_chain", "history", "journal", "leases", "listing", "locate", "migrations",
    "outbox", "owner_counts", "progress", "queries", "reading", "reminders", "retention", "retries", "search", "sessions",
    "settings", "starts", "vacuum", "verification", "waits",
]  # fmt: skip

_HOMES = {
    "assignments": ("InboxPage",),
    "audit_queries": ("Answer", "Filters"),
    "consents": ("Consent",),
    "counts": ("Gauges",),
    "erasure": ("Erasure",),
    "hash_chain": ("Broken", "Head"),
    "history": ("HistoryEntry",),
    "journal": ("Call", "Entry"),
    "leases": ("Claim",),
    "listing": ("ExecutionSummary", "Page"),
    "progress": ("Failure", "Progress"),
    "queries": ("Address", "Asked", "Snapshot"),
    "schema": ("REVISION",),
    "sessions": ("Session",),
    "sqlite.connection": ("Connection", "Synchronous", "locate", "reading"),
    "sqlite.database": ("Committed", "Database", "Observer", "Transaction"),
}
_MODULES = (
    "assignments", "audit_queries", "claims", "consents", "counts", "erasure", "event_details", "executions", "feed",
    "hash_chain", "history", "journal", "leases", "listing", "outbox", "owner_counts", "progress", "queries", "reminders",
    "retention", "retries", "search", "sessions", "settings", "starts", "verification", "waits", "sqlite.backup",
    "sqlite.checks", "sqlite.migrations", "sqlite.vacuum",
)  # fmt: skip

__getattr__, __dir__ = lazy_names(__name__, globals(), _HOMES, _MODULES)
