"""The outbox as operators see it: pages of notices, one of them, and trying again, dropping and opening."""

import functools
import re
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import bindparam, case, exists, func, null, select, update

from restpoint._storage.listing import MAX_PAGE
from restpoint._storage.outbox.delivery import PATIENCE
from restpoint._storage.outbox.telling import TOLD, tell
from restpoint._storage.schema import consents, executions, history, interactions, outbox
from restpoint._storage.sqlite.connection import ONE, ZERO, limited, prepare, word, words
from restpoint._storage.sqlite.database import Database, Row, Transaction
from restpoint._storage.sqlite.triggers import NOTICE_STATUSES
from restpoint.errors import Conflict, InvalidArgument, NoticeNotFound
from restpoint.events import EventKind
from restpoint.lifecycle import OPEN

STATUSES: Final = NOTICE_STATUSES

_o, _h, _e, _i, _c = outbox.c, history.c, executions.c, interactions.c, consents.c

_DROP: Final = prepare(
    update(outbox)
    .where(_o.id == bindparam("the_id"), _o.status.in_(words(("pending", "given_up"))))
    .values(status=word("dropped"), due_at=null(), lease=null(), ended_at=bindparam("now"))
    .returning(*TOLD)
)
_IS_NEEDED: Final = (_o.asks == ZERO) | exists().where(
    _e.id == _o.execution_id, _i.execution_key == _e.key, _i.id == _o.wait_id, _i.status == word("pending")
) | exists().where(
    _e.id == _o.execution_id, _c.execution_key == _e.key, _c.id == _o.wait_id, _c.status.in_(words(OPEN))
)  # fmt: skip
_RETRY: Final = prepare(
    update(outbox)
    .where(
        _o.id == bindparam("the_id"),
        _o.lease.is_(None),
        _o.status.in_(words(("pending", "given_up", "dropped"))),
        _IS_NEEDED,
    )
    .values(
        status=word("pending"), due_at=bindparam("now"), give_up_at=bindparam("until"), ended_at=null(), opens_at=null()
    )
    .returning(*TOLD)
)
_STANDING: Final = prepare(select(_o.status, _o.lease).where(_o.id == bindparam("the_id")))
_OF_PERSON: Final = (
    _o.execution_id == bindparam("id"),
    _o.wait_id == bindparam("wait"),
    _o.status == word("delivered"),
    _o.recipient == bindparam("person"),
    _o.opened_at.is_(None),
)
_UNOPENED: Final = prepare(limited(select(_o.id).where(*_OF_PERSON), ONE))
_OPENED: Final = prepare(update(outbox).where(*_OF_PERSON).values(opened_at=bindparam("now")).returning(*TOLD))


@dataclass(frozen=True, slots=True)
class Entry:
    """A notice as operators see it. Times are seconds since the epoch; None where there is none.

    ``event`` is what it tells of, and ``sequence`` the row of that in the history. ``recipient`` is the person; None where the
    channel has one receiver, or where the people are not looked up yet. ``opens_at`` is when the hours of its route begin, where
    it waits for these.
    """

    id: str
    status: str
    event: str
    sequence: int
    route: str
    channel: str
    recipient: str | None
    execution_id: str
    wait_id: str | None
    attempts: int
    created_at: float
    due_at: float | None
    ended_at: float | None
    opened_at: float | None
    problem: str | None
    opens_at: float | None


@dataclass(frozen=True, slots=True)
class EntryPage:
    """Some of the outbox, the newest first. ``next_cursor`` gets the page after it; None on the last one."""

    items: tuple[Entry, ...]
    next_cursor: str | None


_IS_ID: Final = re.compile("[0-9a-f-]{36}")
_ENTRY: Final = select(
    *(_o.id, _o.status, func.coalesce(_h.event, word("?")), _o.sequence, _o.route, _o.channel, _o.recipient),
    *(_o.execution_id, _o.wait_id, _o.attempts, _o.created_at, _o.due_at, _o.ended_at, _o.opened_at, _o.problem),
    case((_o.status == word("pending"), _o.opens_at)),
).select_from(outbox.outerjoin(history, _h.sequence == _o.sequence))
_FIND: Final = prepare(_ENTRY.where(_o.id == bindparam("the_id")))


@functools.cache
def _page_query(filters: frozenset[str], *, is_next: bool) -> str:
    which = [_o[name] == bindparam(f"the_{name}") for name in sorted(filters)]
    if is_next:
        which.append(_o.id < bindparam("after"))
    return prepare(limited(_ENTRY.where(*which).order_by(_o.id.desc())))


async def page(
    database: Database,
    *,
    status: str | None,
    route: str | None,
    execution_id: str | None,
    limit: int,
    cursor: str | None,
) -> EntryPage:
    """The notices of the outbox, the newest first. Raises ``InvalidArgument`` for a limit that is not from 1 to 1,000."""
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidArgument(f"limit is {limit}; give one from 1 to {MAX_PAGE}.")
    if status not in {None, *STATUSES}:
        raise InvalidArgument(f"{status!r} is no status of a notice; use one of {', '.join(STATUSES)}.")
    given = {"status": status, "route": route, "execution_id": execution_id}
    filters = {name: value for name, value in given.items() if value is not None}
    parameters: dict[str, Any] = {f"the_{name}": value for name, value in filters.items()} | {"max": limit + 1}
    if cursor is not None:
        if not _IS_ID.fullmatch(cursor):
            raise InvalidArgument(
                f"{cursor[:80]!r} is not a cursor; use next_cursor of the page before, or none to begin."
            )
        parameters["after"] = cursor
    query = _page_query(frozenset(filters), is_next=cursor is not None)
    entries = [_entry(row) for row in await database.read(query, parameters, lane="long")]
    if len(entries) <= limit:
        return EntryPage(tuple(entries), None)
    return EntryPage(tuple(entries[:limit]), entries[limit - 1].id)


async def find(database: Database, notice_id: str) -> Entry:
    """The notice with this id. Raises ``NoticeNotFound``."""
    for row in await database.read(_FIND, {"the_id": notice_id}):
        return _entry(row)
    raise NoticeNotFound(notice_id)


def _entry(row: Row) -> Entry:
    *columns, created_at, due_at, ended_at, opened_at, problem, opens_at = row
    seconds = [None if time is None else time / 1000 for time in (due_at, ended_at, opened_at)]
    return Entry(*columns, created_at / 1000, *seconds, problem, opens_at and opens_at / 1000)  # type: ignore[call-arg]


def drop(tx: Transaction, notice_id: str, actor: str | None, reason: str | None) -> None:
    """Have a notice never be delivered. Raises ``NoticeNotFound``, and ``Conflict`` where it was delivered, or is moot."""
    row = tx.one(_DROP, {"the_id": notice_id, "now": tx.now})
    if row is not None:
        tell(tx, EventKind.NOTICE_DROPPED, row, actor=actor, cause=reason)
    elif _standing(tx, notice_id)[0] != "dropped":
        raise Conflict(f"The notice {notice_id}", _standing(tx, notice_id)[0])


def retry(tx: Transaction, notice_id: str, actor: str | None) -> None:
    """Have a notice that was not delivered be tried at once, for three more days. Nothing happens where it is being sent.

    Raises ``NoticeNotFound``, and ``Conflict`` where it was delivered, or is of a prompt or consent that is over.
    """
    tx.flush()
    row = tx.one(_RETRY, {"the_id": notice_id, "now": tx.now, "until": tx.now + PATIENCE})
    if row is not None:
        tell(tx, EventKind.NOTICE_RETRIED, row, actor=actor)
        return
    status, lease = _standing(tx, notice_id)
    if status != "pending" or lease is None:
        raise Conflict(f"The notice {notice_id}", status if status in {"delivered", "moot"} else "moot")


def _standing(tx: Transaction, notice_id: str) -> tuple[str, int | None]:
    row = tx.one(_STANDING, {"the_id": notice_id})
    if row is None:
        raise NoticeNotFound(notice_id)
    return row[0], row[1]


async def is_unopened(database: Database, execution_id: str, wait_id: str, person: str) -> bool:
    """Whether a person was told of a prompt whose page they have not opened yet."""
    return bool(list(await database.read(_UNOPENED, {"id": execution_id, "wait": wait_id, "person": person})))


def opened(tx: Transaction, execution_id: str, wait_id: str, person: str) -> None:
    """Note that a person who was told of a prompt opened its page. The first time counts."""
    which = {"id": execution_id, "wait": wait_id, "person": person, "now": tx.now}
    for row in tx.all(_OPENED, which):
        tell(tx, EventKind.NOTICE_OPENED, row, actor=person)
