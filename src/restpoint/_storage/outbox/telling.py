"""The events of telling: what the history says of a notice."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import bindparam, select

from restpoint._core.serialization import encode
from restpoint._storage.history import append
from restpoint._storage.schema import executions, history, outbox
from restpoint._storage.sqlite.connection import prepare
from restpoint._storage.sqlite.database import Transaction
from restpoint.events import EventKind

_o, _h, _e = outbox.c, history.c, executions.c

TOLD: Final = (_o.id, _o.sequence, _o.route, _o.channel, _o.execution_id, _o.wait_id, _o.recipient, _o.attempts)
"""The columns that ``tell`` takes, for ``RETURNING``."""

_STATUS: Final = prepare(select(_e.status).where(_e.id == bindparam("id")))
_EVENT: Final = prepare(select(_h.event).where(_h.sequence == bindparam("sequence")))


def tell(
    tx: Transaction,
    event: EventKind,
    row: Sequence[Any],
    *,
    actor: str | None = None,
    cause: str | None = None,
    problem: str | None = None,
) -> None:
    """Append an event of telling. ``row`` has the columns of ``TOLD``."""
    notice_id, sequence, route, channel, execution_id, wait_id, recipient, attempts = row
    (status,) = tx.one(_STATUS, {"id": execution_id}) or (None,)
    (told,) = tx.one(_EVENT, {"sequence": sequence}) or (None,)
    detail = {"notice": notice_id, "of": sequence, "event": told, "route": route, "channel": channel}
    detail |= {} if recipient is None else {"recipient": recipient}
    detail |= {"attempts": attempts} | ({} if problem is None else {"problem": problem})
    append(
        tx,
        event,
        execution_id,
        wait_id=wait_id,
        moved=(status, status),
        actor=actor,
        cause=cause,
        detail=encode(detail),
    )
