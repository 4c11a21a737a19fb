"""The outbox: the routes by which people are told of events, and the notices that the triggers of the file make of them.

A notice is written by a trigger on ``history``, in the transaction of the event, whatever program appends that. It becomes
``moot`` the same way when the wait that it asks about is over, or is addressed to others. A *deliverer* claims what is due with
the lease of its process; ``attempts`` is the fencing token, so the outcome of an attempt that another process took over is
refused. A notice is given up three days after its first attempt, or a week after it was written where nobody has tried it.

The functions that take a transaction are jobs for the writer.
"""

import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import bindparam, case, delete, exists, func, insert, null, select, update

from restpoint._core.serialization import encode
from restpoint._storage.history import append
from restpoint._storage.leases import live
from restpoint._storage.listing import MAX_PAGE
from restpoint._storage.schema import consents, executions, history, interactions, outbox, routes
from restpoint._storage.sqlite.connection import ONE, ZERO, limited, listed, prepare, word, words
from restpoint._storage.sqlite.database import Database, Row, Transaction
from restpoint._storage.sqlite.triggers import NOTICE_STATUSES
from restpoint.errors import Conflict, InvalidArgument, NoticeNotFound, UnknownRoute
from restpoint.events import EventKind
from restpoint.lifecycle import OPEN

PATIENCE: Final = 3 * 86_400_000
"""Milliseconds after its first attempt at which a notice is given up."""

STATUSES: Final = NOTICE_STATUSES

_o, _r, _h, _e, _i, _c = outbox.c, routes.c, history.c, executions.c, interactions.c, consents.c

# --- Routes ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Route:
    """Which events are told, and by which channel. Empty ``workflows``, ``owners`` or ``assignees`` stand for all."""

    name: str
    channel: str
    events: tuple[EventKind, ...]
    workflows: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    assignees: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KnownRoute:
    """A route as the file has it.

    ``disabled_at`` is since when nothing is sent by it, in seconds since the epoch, and ``problem`` what the receiver said then.
    """

    name: str
    channel: str
    events: tuple[str, ...]
    disabled_at: float | None
    problem: str | None


_ROUTES: Final = prepare(select(routes).order_by(_r.name, _r.event))
_CLEAR_ROUTES: Final = prepare(delete(routes))
_ADD_ROUTE: Final = prepare(insert(routes))
_MOVE_TO_CHANNEL: Final = prepare(
    update(outbox)
    .where(_o.route == bindparam("the_route"), _o.status == word("pending"), _o.channel != bindparam("the_channel"))
    .values(channel=bindparam("the_channel"))
)
_DISABLE: Final = prepare(
    update(routes)
    .where(_r.name == bindparam("the_route"), _r.disabled_at.is_(None))
    .values(disabled_at=bindparam("at"), problem=bindparam("why"))
)
_ENABLE: Final = prepare(
    update(routes)
    .where(_r.name == bindparam("the_route"), _r.disabled_at.is_not(None))
    .values(disabled_at=null(), problem=null())
)
_SET_DUE: Final = prepare(
    update(outbox)
    .where(_o.route == bindparam("the_route"), _o.status == word("pending"))
    .values(due_at=bindparam("due"))
)


def register(tx: Transaction, given: Iterable[Route]) -> bool:
    """Make these the routes of the file; return whether they were others before. One that is disabled stays so."""
    there = tx.all(_ROUTES)
    disabled = {name: (at, why) for _, name, *_, at, why in there if at is not None}
    wanted = []
    for route in given:
        lists = [encode(list(names)) if names else None for names in (route.workflows, route.owners, route.assignees)]
        for event in dict.fromkeys(route.events):
            row = (
                str(event),
                route.name,
                route.channel,
                *lists,
                int(event.asks),
                *disabled.get(route.name, (None, None)),
            )
            wanted.append(row)
    if sorted(wanted, key=repr) == sorted(there, key=repr):
        return False
    tx.execute(_CLEAR_ROUTES, ())
    names = routes.c.keys()
    for row in wanted:
        tx.execute(_ADD_ROUTE, dict(zip(names, row, strict=True)))
    channels = {name: channel for _, name, channel, *_ in wanted}
    for name, channel in channels.items():
        tx.execute(_MOVE_TO_CHANNEL, {"the_route": name, "the_channel": channel})
    append(tx, EventKind.ROUTES_CHANGED, cause="start", detail=encode({"routes": channels}))
    return True


async def known_routes(database: Database) -> list[KnownRoute]:
    """The routes of the file, by name."""
    found: dict[str, KnownRoute] = {}
    for event, name, channel, _, _, _, _, at, why in await database.read(_ROUTES):
        before = found[name].events if name in found else ()
        found[name] = KnownRoute(name, channel, (*before, event), None if at is None else at / 1000, why)
    return list(found.values())


def enable(tx: Transaction, route: str, actor: str | None) -> None:
    """Send by a disabled route again, first of all what has waited. Nothing happens where it is not disabled.

    Raises ``UnknownRoute`` where the file has none of this name.
    """
    if tx.execute(_ENABLE, {"the_route": route}).rowcount:
        tx.flush()
        tx.execute(_SET_DUE, {"the_route": route, "due": tx.now})
        append(tx, EventKind.ROUTE_ENABLED, actor=actor, detail=encode({"route": route}))
    else:
        known = {name for _, name, *_ in tx.all(_ROUTES)}
        if route not in known:
            raise UnknownRoute(route, known)


# --- Delivery --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Claimed:
    """A notice that a process has claimed to deliver, with what it tells. Times are milliseconds since the epoch.

    ``attempt`` counts from 1. ``event`` to ``detail`` are of the row of history, as is the ``status`` that the event left
    the execution in; ``prompt`` and what follows are of the prompt that the event is about, if it is about one. ``prompt``,
    ``assignees``, ``excluded`` and ``detail`` are JSON text.
    """

    id: str
    attempt: int
    route: str
    recipient: str | None
    execution_id: str
    wait_id: str | None
    asks: int
    sequence: int
    event: str
    actor: str | None
    time: int
    detail: str | None
    workflow: str | None
    owner: str | None
    status: str
    execution_priority: int
    prompt: str | None
    assignees: str | None
    four_eyes: int | None
    excluded: str | None
    priority: int | None
    due_at: int | None
    deadline_at: int | None


_PENDING: Final = _o.status == word("pending")
_IS_DUE: Final = (_o.channel == bindparam("channel"), _PENDING, _o.lease.is_(None), _o.due_at <= bindparam("now"))
_CLAIM: Final = prepare(
    update(outbox)
    .where(_o.id.in_(limited(select(_o.id).where(*_IS_DUE).order_by(_o.due_at))))
    .values(
        lease=bindparam("the_lease"),
        attempts=_o.attempts + ONE,
        give_up_at=case((_o.attempts == ZERO, bindparam("patience")), else_=_o.give_up_at),
    )
    .returning(_o.id)
)
_CLAIMED: Final = prepare(
    select(
        *(_o.id, _o.attempts, _o.route, _o.recipient, _o.execution_id, _o.wait_id, _o.asks),
        *(_h.sequence, _h.event, _h.actor, _h.time, _h.detail),
        *(_e.workflow, _e.owner, func.coalesce(_h.to_status, _e.status), _e.priority),
        *(_i.prompt, _i.assignees, _i.four_eyes, _i.excluded, _i.priority, _i.due_at, _i.deadline_at),
    )
    .select_from(
        outbox.join(executions, _e.id == _o.execution_id)
        .join(history, _h.sequence == _o.sequence)
        .outerjoin(interactions, (_i.execution_key == _e.key) & (_i.id == _o.wait_id))
    )
    .where(_o.id.in_(listed("ids")))
    .order_by(_o.due_at, _o.id)
)
_NEXT_DUE: Final = prepare(
    select(func.min(_o.due_at)).where(
        _o.channel == bindparam("channel"), _PENDING, _o.lease.is_(None), _o.due_at.is_not(None)
    )
)
_LEASES: Final = prepare(select(_o.lease).distinct().where(_o.lease.is_not(None)))
_TAKE_OVER: Final = prepare(update(outbox).where(_o.lease == bindparam("the_lease")).values(lease=null()))
_MINE: Final = (_o.id == bindparam("the_id"), _o.lease == bindparam("the_lease"), _o.attempts == bindparam("attempt"))
_UNDELIVERED: Final = _o.status.in_(words(("pending", "moot")))
_TOLD: Final = (_o.id, _o.sequence, _o.route, _o.channel, _o.execution_id, _o.wait_id, _o.recipient, _o.attempts)
# One that became moot on its way was delivered all the same.
_DELIVERED: Final = prepare(
    update(outbox)
    .where(*_MINE, _UNDELIVERED)
    .values(status=word("delivered"), lease=null(), due_at=null(), ended_at=bindparam("now"), problem=null())
    .returning(*_TOLD)
)
_TRY_AGAIN: Final = prepare(
    update(outbox)
    .where(*_MINE)
    .values(
        lease=null(),
        due_at=case((_PENDING & ~exists().where(_r.name == _o.route, _r.disabled_at.is_not(None)), bindparam("due"))),
        problem=bindparam("why"),
    )
)
_GIVE_UP_AT: Final = prepare(select(_o.give_up_at).where(*_MINE, _PENDING))
_GIVE_UP: Final = prepare(
    update(outbox)
    .where(*_MINE, _PENDING)
    .values(status=word("given_up"), lease=null(), due_at=null(), ended_at=bindparam("now"), problem=bindparam("why"))
    .returning(*_TOLD)
)
_IS_OLD: Final = (_PENDING, _o.lease.is_(None), _o.give_up_at <= bindparam("now"))
_OLD: Final = prepare(limited(select(_o.id).where(*_IS_OLD)))
_GIVE_UP_OLD: Final = prepare(
    update(outbox)
    .where(_o.id.in_(listed("ids")), *_IS_OLD)
    .values(
        status=word("given_up"),
        due_at=null(),
        ended_at=bindparam("now"),
        problem=func.coalesce(_o.problem, bindparam("why")),
    )
    .returning(*_TOLD, _o.problem)
)
_REMOVE: Final = prepare(delete(outbox).where(*_MINE, _PENDING).returning(*_o))
_ADD: Final = prepare(insert(outbox))
_STATUS: Final = prepare(select(_e.status).where(_e.id == bindparam("id")))
_EVENT: Final = prepare(select(_h.event).where(_h.sequence == bindparam("sequence")))


def claim(tx: Transaction, channel: str, lease: int, most: int, settled: int = 0) -> list[Claimed]:
    """Claim what has been due for a channel for ``settled`` milliseconds, at most ``most`` notices, the longest due first."""
    tx.flush()  # what the batch has settled so far is moot
    which = {
        "channel": channel,
        "now": tx.now - settled,
        "max": most,
        "the_lease": lease,
        "patience": tx.now + PATIENCE,
    }
    ids = [notice_id for (notice_id,) in tx.all(_CLAIM, which)]
    return [Claimed(*row) for row in tx.all(_CLAIMED, {"ids": encode(ids)})] if ids else []


async def next_due(database: Database, channel: str) -> int | None:
    """When the next notice of a channel is due that nobody has claimed, in milliseconds since the epoch; None for never."""
    ((due,),) = await database.read(_NEXT_DUE, {"channel": channel})
    return due if due is None else int(due)


async def leases(database: Database) -> set[int]:
    """The leases that claims of notices name."""
    return {lease for (lease,) in await database.read(_LEASES)}


def take_over(tx: Transaction, /) -> int:
    """End the claims of processes that are gone, and return how many there were."""
    gone = {lease for (lease,) in tx.all(_LEASES)} - live(tx)
    return sum(tx.execute(_TAKE_OVER, {"the_lease": lease}).rowcount for lease in gone)


def fan_out(tx: Transaction, notice: Claimed, lease: int, people: Sequence[tuple[str, str, str | None]]) -> bool:
    """Replace a claimed notice by one for each person: an id, a name, and why they cannot be told, if that is so.

    Returns whether the notice was still this process's to replace.
    """
    row = tx.one(_REMOVE, _mine(notice, lease))
    if row is None:
        return False
    parent = dict(zip(outbox.c.keys(), row, strict=True))
    for notice_id, name, problem in people:
        child = {**parent, "id": notice_id, "recipient": name, "attempts": 0, "lease": None, "due_at": tx.now}
        if problem is not None:
            child |= {"status": "given_up", "due_at": None, "ended_at": tx.now, "problem": problem}
        tx.execute(_ADD, child)
        if problem is not None:
            _tell(tx, EventKind.NOTICE_GIVEN_UP, [child[column.name] for column in _TOLD], problem=problem)
    return True


def delivered(tx: Transaction, notice: Claimed, lease: int) -> bool:
    """Note that the receiver has a notice. Returns whether the claim was still this process's."""
    row = tx.one(_DELIVERED, {**_mine(notice, lease), "now": tx.now})
    if row is not None:
        _tell(tx, EventKind.NOTICE_DELIVERED, row)
    return row is not None


def failed(
    tx: Transaction, notice: Claimed, lease: int, problem: str, delay: int | None, *, disables: bool = False
) -> str | None:
    """Note that an attempt failed, and have the next one after ``delay`` milliseconds; None gives the notice up.

    It is given up too where that would be after its time. With ``disables``, nothing is sent by its route until an operator
    enables that. Returns its status then; None where the claim was lost.
    """
    if disables and tx.execute(_DISABLE, {"the_route": notice.route, "at": tx.now, "why": problem}).rowcount:
        tx.flush()
        tx.execute(_SET_DUE, {"the_route": notice.route, "due": None})
        append(tx, EventKind.ROUTE_DISABLED, cause="receiver gone", detail=encode({"route": notice.route}))
    mine = _mine(notice, lease)
    row = tx.one(_GIVE_UP_AT, mine)
    if row is not None and (delay is None or tx.now + delay > row[0]):
        told = tx.one(_GIVE_UP, {**mine, "now": tx.now, "why": problem})
        if told is not None:
            _tell(tx, EventKind.NOTICE_GIVEN_UP, told, problem=problem)
        return "given_up"
    changed = tx.execute(_TRY_AGAIN, {**mine, "due": tx.now + (delay or 0), "why": problem}).rowcount
    return ("moot" if row is None else "pending") if changed else None


def release(tx: Transaction, lease: int) -> None:
    """End the claims of a process that ends, so that others may try at once what it had under way."""
    tx.execute(_TAKE_OVER, {"the_lease": lease})


async def overdue(database: Database, now: int, most: int) -> list[str]:
    """Notices whose time is over and that nobody sends at ``now`` (milliseconds since the epoch), at most ``most``: their ids."""
    return [row[0] for row in await database.read(_OLD, {"now": now, "max": most}, lane="long")]


def give_up(tx: Transaction, ids: Sequence[str]) -> None:
    """Give up those of these notices whose time is over and that nobody sends."""
    why = "No process that has this route has run for a week."
    for *told, problem in tx.all(_GIVE_UP_OLD, {"ids": encode(list(ids)), "now": tx.now, "why": why}):
        _tell(tx, EventKind.NOTICE_GIVEN_UP, told, problem=problem)


def _mine(notice: Claimed, lease: int) -> dict[str, Any]:
    return {"the_id": notice.id, "the_lease": lease, "attempt": notice.attempt}


def _tell(
    tx: Transaction,
    event: EventKind,
    row: Sequence[Any],
    *,
    actor: str | None = None,
    cause: str | None = None,
    problem: str | None = None,
) -> None:
    """Append an event of telling. ``row`` has the columns of ``_TOLD``."""
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


# --- What operators and pages do -------------------------------------------------------------------------------------

_DROP: Final = prepare(
    update(outbox)
    .where(_o.id == bindparam("the_id"), _o.status.in_(words(("pending", "given_up"))))
    .values(status=word("dropped"), due_at=null(), lease=null(), ended_at=bindparam("now"))
    .returning(*_TOLD)
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
    .values(status=word("pending"), due_at=bindparam("now"), give_up_at=bindparam("until"), ended_at=null())
    .returning(*_TOLD)
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
_OPENED: Final = prepare(update(outbox).where(*_OF_PERSON).values(opened_at=bindparam("now")).returning(*_TOLD))


@dataclass(frozen=True, slots=True)
class Entry:
    """A notice as operators see it. Times are seconds since the epoch; None where there is none.

    ``event`` is what it tells of, and ``sequence`` the row of that in the history. ``recipient`` is the person; None where the
    channel has one receiver, or where the people are not looked up yet.
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


@dataclass(frozen=True, slots=True)
class EntryPage:
    """Some of the outbox, the newest first. ``next_cursor`` gets the page after it; None on the last one."""

    items: tuple[Entry, ...]
    next_cursor: str | None


_IS_ID: Final = re.compile("[0-9a-f-]{36}")
_ENTRY: Final = select(
    *(_o.id, _o.status, func.coalesce(_h.event, word("?")), _o.sequence, _o.route, _o.channel, _o.recipient),
    *(_o.execution_id, _o.wait_id, _o.attempts, _o.created_at, _o.due_at, _o.ended_at, _o.opened_at, _o.problem),
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
    *columns, created_at, due_at, ended_at, opened_at, problem = row
    seconds = [None if time is None else time / 1000 for time in (due_at, ended_at, opened_at)]
    return Entry(*columns, created_at / 1000, *seconds, problem)  # type: ignore[call-arg]


def drop(tx: Transaction, notice_id: str, actor: str | None, reason: str | None) -> None:
    """Have a notice never be delivered. Raises ``NoticeNotFound``, and ``Conflict`` where it was delivered, or is moot."""
    row = tx.one(_DROP, {"the_id": notice_id, "now": tx.now})
    if row is not None:
        _tell(tx, EventKind.NOTICE_DROPPED, row, actor=actor, cause=reason)
    elif _standing(tx, notice_id)[0] != "dropped":
        raise Conflict(f"The notice {notice_id}", _standing(tx, notice_id)[0])


def retry(tx: Transaction, notice_id: str, actor: str | None) -> None:
    """Have a notice that was not delivered be tried at once, for three more days. Nothing happens where it is being sent.

    Raises ``NoticeNotFound``, and ``Conflict`` where it was delivered, or is of a prompt or consent that is over.
    """
    tx.flush()
    row = tx.one(_RETRY, {"the_id": notice_id, "now": tx.now, "until": tx.now + PATIENCE})
    if row is not None:
        _tell(tx, EventKind.NOTICE_RETRIED, row, actor=actor)
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
        _tell(tx, EventKind.NOTICE_OPENED, row, actor=person)
