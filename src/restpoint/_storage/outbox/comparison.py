"""The outbox against the history: notices that did not become what the history says."""

import sqlite3
from collections.abc import Iterator
from typing import Final

from sqlalchemy import and_, case, exists, func, or_, select

from restpoint._storage.hash_chain import Finding
from restpoint._storage.schema import history, outbox
from restpoint._storage.sqlite.connection import ONE, limited, prepare, word, words
from restpoint.events import EventKind

_NAMED: Final = 5  # differences that are reported

_o, _h = outbox.c, history.c
_BECOMES: Final = {
    EventKind.NOTICE_DELIVERED: "delivered",
    EventKind.NOTICE_GIVEN_UP: "given_up",
    EventKind.NOTICE_DROPPED: "dropped",
    EventKind.NOTICE_RETRIED: "pending",
}
_told = (
    limited(
        select(case(*((_h.event == word(kind), word(status)) for kind, status in _BECOMES.items())))
        .where(
            _h.execution_id == _o.execution_id,
            _h.event.in_(words(_BECOMES)),
            # An erasure takes the detail of one that was given up, and the notice cannot be known by it any more.
            func.coalesce(func.json_extract(_h.detail, word("$.notice")), _o.id) == _o.id,
        )
        .order_by(_h.sequence.desc()),
        ONE,
    )
    .correlate(outbox)
    .scalar_subquery()
)
_by_status = select(_o.id, _o.execution_id, _o.status, _o.sequence, _told.label("told")).subquery()
_b = _by_status.c
_DIFFERENCES: Final = prepare(
    limited(
        select(_b.id, _b.status, _b.told).where(
            or_(
                and_(_b.status == word("pending"), func.coalesce(_b.told, word("pending")) != word("pending")),
                and_(_b.status == word("moot"), _b.told.in_(words(("delivered", "dropped")))),
                and_(_b.status.in_(words(("delivered", "given_up", "dropped"))), _b.told.is_distinct_from(_b.status)),
                ~exists().where(_h.sequence == _b.sequence, _h.execution_id == _b.execution_id),
            )
        ),
        "most",
    )
)


def of_notices(connection: sqlite3.Connection) -> Iterator[Finding]:
    """Yield where the outbox differs from the history; nothing in a file of a revision that has none."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'outbox'").fetchone():
        return
    for notice_id, status, told in connection.execute(_DIFFERENCES, {"most": _NAMED}).fetchall():
        what = f"The notice {notice_id} is {status} in the outbox, and {told or 'nothing'} by the history."
        yield Finding("notice_differs", None, what, "It was changed where it is kept, and not in the history.")
