"""The outbox: the routes by which people are told of events, and the notices that the triggers of the file make of them.

A notice is written by a trigger on ``history``, in the transaction of the event, whatever program appends that. It becomes
``moot`` the same way when the wait that it asks about is over, or is addressed to others. The functions that take a transaction
are jobs for the writer.
"""

from restpoint._storage.outbox.delivery import (
    PATIENCE,
    Claimed,
    claim,
    delivered,
    failed,
    fan_out,
    give_up,
    leases,
    let_go,
    next_due,
    overdue,
    release,
    take_over,
)
from restpoint._storage.outbox.entries import (
    STATUSES,
    Entry,
    EntryPage,
    drop,
    find,
    is_unopened,
    opened,
    page,
    retry,
)
from restpoint._storage.outbox.mail_addresses import mail_address
from restpoint._storage.outbox.routes import KnownRoute, Route, are_registered, enable, known_routes, register

__all__ = [
    "PATIENCE", "STATUSES", "Claimed", "Entry", "EntryPage", "KnownRoute", "Route", "are_registered", "claim", "delivered",
    "drop", "enable", "failed", "fan_out", "find", "give_up", "is_unopened", "known_routes", "leases", "let_go",
    "mail_address", "next_due", "opened", "overdue", "page", "register", "release", "retry", "take_over",
]  # fmt: skip
