"""Delivering: claims of notices that are due, and what came of each attempt.

A deliverer claims with the lease of its process; ``attempts`` is the fencing token, so the outcome of an attempt that another
process took over is refused. A notice is given up three days after its first attempt, or a week after it was written where nobody
has tried it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import bindparam, case, delete, exists, func, insert, null, select, update

from restpoint._core.serialization import encode
from restpoint._storage.leases import renewed
from restpoint._storage.outbox.routes import disable
from restpoint._storage.outbox.telling import TOLD, tell
from restpoint._storage.schema import executions, history, interactions, outbox, routes, votes
from restpoint._storage.sqlite.connection import ONE, ZERO, limited, listed, prepare, word, words
from restpoint._storage.sqlite.database import Database, Transaction
from restpoint._storage.votes import BARRED
from restpoint.events import EventKind

PATIENCE: Final = 3 * 86_400_000
"""Milliseconds after its first attempt at which a notice is given up."""

HELD_AT_ONCE: Final = 1_000
"""How many notices of one route a transaction has wait for its hours."""

_o, _r, _h, _e, _i = outbox.c, routes.c, history.c, executions.c, interactions.c


@dataclass(frozen=True, slots=True)
class Claimed:
    """A notice that a process has claimed to deliver, with what it tells. Times are milliseconds since the epoch.

    ``attempt`` counts from 1. ``event`` to ``detail`` are of the row of history, as is the ``status`` that the event left
    the execution in; ``prompt`` and what follows are of the prompt that the event is about, if it is about one. ``prompt``,
    ``assignees``, ``excluded`` (who must not answer it, or has voted) and ``detail`` are JSON text. ``votes`` is how many equal
    votes answer it, None where one person does, and ``voted`` how many have voted.
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
    votes: int | None
    voted: int


_PENDING: Final = _o.status == word("pending")
_UNCLAIMED: Final = (_o.channel == bindparam("the_channel"), _PENDING, _o.lease.is_(None))
_IS_DUE: Final = (*_UNCLAIMED, _o.due_at <= bindparam("due"))
_CLAIM: Final = prepare(
    update(outbox)
    .where(
        _o.id.in_(limited(select(_o.id).where(*_IS_DUE, _o.route.in_(listed("routes"))).order_by(_o.due_at))),
    )
    .values(
        lease=bindparam("the_lease"),
        opens_at=null(),
        attempts=_o.attempts + ONE,
        give_up_at=case((_o.attempts == ZERO, bindparam("patience")), else_=_o.give_up_at),
    )
    .returning(_o.id)
)
_VOTED: Final = (
    select(func.count())
    .select_from(votes)
    .where(votes.c.interaction_key == _i.key)
    .correlate(interactions)
    .scalar_subquery()
)
_CLAIMED: Final = prepare(
    select(
        *(_o.id, _o.attempts, _o.route, _o.recipient, _o.execution_id, _o.wait_id, _o.asks),
        *(_h.sequence, _h.event, _h.actor, _h.time, _h.detail),
        *(_e.workflow, _e.owner, func.coalesce(_h.to_status, _e.status), _e.priority),
        *(_i.prompt, _i.assignees, _i.four_eyes, BARRED, _i.priority, _i.due_at, _i.deadline_at, _i.votes, _VOTED),
    )
    .select_from(
        outbox.join(executions, _e.id == _o.execution_id)
        .join(history, _h.sequence == _o.sequence)
        .outerjoin(interactions, (_i.execution_key == _e.key) & (_i.id == _o.wait_id))
    )
    .where(_o.id.in_(listed("ids")))
    .order_by(_o.due_at, _o.id)
)
_newer: Final = outbox.alias("newer")
# A person who could not be told in time is told once, by the newest of what asks them the same by the same route.
_SUPERSEDED: Final = prepare(
    update(outbox)
    .where(
        _o.id.in_(listed("ids")),
        _o.asks == ONE,
        _o.recipient.is_not(None),
        exists().where(
            _newer.c.execution_id == _o.execution_id,
            _newer.c.wait_id == _o.wait_id,
            _newer.c.route == _o.route,
            _newer.c.recipient == _o.recipient,
            _newer.c.sequence > _o.sequence,
            _newer.c.status.in_(words(("pending", "delivered"))),
        ),
    )
    .values(status=word("moot"), attempts=_o.attempts - ONE, lease=null(), due_at=null(), ended_at=bindparam("at"))
    .returning(_o.id)
)
# The time during which a route is closed is not counted among the days after which a notice is given up.
_HOLD: Final = prepare(
    update(outbox)
    .where(_o.id.in_(limited(select(_o.id).where(*_IS_DUE, _o.route == bindparam("the_route")).order_by(_o.due_at))))
    .values(
        due_at=bindparam("opens"),
        opens_at=bindparam("opens"),
        give_up_at=_o.give_up_at + (bindparam("opens") - bindparam("now")),
    )
)
_WAITING: Final = (*_UNCLAIMED, _o.due_at > bindparam("now"), _o.opens_at.is_not(None), _o.route.in_(listed("routes")))
_LET_GO: Final = prepare(
    update(outbox)
    .where(_o.id.in_(limited(select(_o.id).where(*_WAITING))))
    .values(due_at=bindparam("now"), opens_at=null(), give_up_at=_o.give_up_at - (_o.opens_at - bindparam("now")))
)
_NEXT_DUE: Final = prepare(
    select(func.min(_o.due_at)).where(*_UNCLAIMED, _o.due_at.is_not(None), _o.route.in_(listed("routes")))
)
_LEASES: Final = prepare(select(_o.lease).distinct().where(_o.lease.is_not(None)))
_TAKE_OVER: Final = prepare(update(outbox).where(_o.lease == bindparam("the_lease")).values(lease=null()))
_MINE: Final = (_o.id == bindparam("the_id"), _o.lease == bindparam("the_lease"), _o.attempts == bindparam("attempt"))
_UNDELIVERED: Final = _o.status.in_(words(("pending", "moot")))
# One that became moot on its way was delivered all the same.
_DELIVERED: Final = prepare(
    update(outbox)
    .where(*_MINE, _UNDELIVERED)
    .values(status=word("delivered"), lease=null(), due_at=null(), ended_at=bindparam("now"), problem=null())
    .returning(*TOLD)
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
    .returning(*TOLD)
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
    .returning(*TOLD, _o.problem)
)
_REMOVE: Final = prepare(delete(outbox).where(*_MINE, _PENDING).returning(*_o))
_ADD: Final = prepare(insert(outbox))


def claim(
    tx: Transaction,
    channel: str,
    lease: int,
    most: int,
    routes: Mapping[str, int | None],
    settled: int = 0,
    *,
    newest: bool = False,
) -> list[Claimed]:
    """Claim what has been due for a channel for ``settled`` milliseconds, at most ``most`` notices, the longest due first.

    ``routes`` are those that this process sends by, others of the channel are for other processes. Each has None where its hours
    are now, and otherwise when they begin, in milliseconds since the epoch: what is due by it is due then. With ``newest``, what
    asks a person the same as a newer notice, such as a reminder, becomes moot instead.
    """
    tx.flush()  # what the batch has settled so far is moot
    due = {"the_channel": channel, "due": tx.now - settled}
    for route, opens in routes.items():
        if opens is not None:
            tx.execute(_HOLD, {**due, "now": tx.now, "max": HELD_AT_ONCE, "the_route": route, "opens": opens})
    which = {
        **due,
        "max": most,
        "routes": encode([name for name, opens in routes.items() if opens is None]),
        "the_lease": lease,
        "patience": tx.now + PATIENCE,
    }
    ids = {notice_id for (notice_id,) in tx.all(_CLAIM, which)}
    if ids and newest:
        ids -= {notice_id for (notice_id,) in tx.all(_SUPERSEDED, {"ids": encode(list(ids)), "at": tx.now})}
    return [Claimed(*row) for row in tx.all(_CLAIMED, {"ids": encode(list(ids))})] if ids else []


def let_go(tx: Transaction, channel: str, routes: Collection[str]) -> int:
    """Have some of what waits for the hours of these routes be due now, because they may be others; return the number."""
    which = {"the_channel": channel, "routes": encode(list(routes)), "now": tx.now, "max": HELD_AT_ONCE}
    return tx.execute(_LET_GO, which).rowcount


async def next_due(database: Database, channel: str, routes: Collection[str]) -> int | None:
    """When the next notice of these routes is due that nobody has claimed, in milliseconds since the epoch; None for never."""
    ((due,),) = await database.read(_NEXT_DUE, {"the_channel": channel, "routes": encode(list(routes))})
    return due if due is None else int(due)


async def leases(database: Database) -> set[int]:
    """The leases that claims of notices name."""
    return {lease for (lease,) in await database.read(_LEASES)}


def take_over(tx: Transaction, own: int) -> int:
    """End the claims of processes that are gone or stand still, and return how many there were; ``own`` is the caller's lease.

    What a process that stood still has to say of its attempts afterwards is refused.
    """
    gone = {lease for (lease,) in tx.all(_LEASES)} - renewed(tx) - {own}
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
            tell(tx, EventKind.NOTICE_GIVEN_UP, [child[column.name] for column in TOLD], problem=problem)
    return True


def delivered(tx: Transaction, notice: Claimed, lease: int) -> bool:
    """Note that the receiver has a notice. Returns whether the claim was still this process's."""
    row = tx.one(_DELIVERED, {**_mine(notice, lease), "now": tx.now})
    if row is not None:
        tell(tx, EventKind.NOTICE_DELIVERED, row)
    return row is not None


def failed(
    tx: Transaction, notice: Claimed, lease: int, problem: str, delay: int | None, *, disables: bool = False
) -> str | None:
    """Note that an attempt failed, and have the next one after ``delay`` milliseconds; None gives the notice up.

    It is given up too where that would be after its time. With ``disables``, nothing is sent by its route until an operator
    enables that. Returns its status then; None where the claim was lost.
    """
    if disables:
        disable(tx, notice.route, problem)
    mine = _mine(notice, lease)
    row = tx.one(_GIVE_UP_AT, mine)
    if row is not None and (delay is None or tx.now + delay > row[0]):
        told = tx.one(_GIVE_UP, {**mine, "now": tx.now, "why": problem})
        if told is not None:
            tell(tx, EventKind.NOTICE_GIVEN_UP, told, problem=problem)
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
        tell(tx, EventKind.NOTICE_GIVEN_UP, told, problem=problem)


def _mine(notice: Claimed, lease: int) -> dict[str, Any]:
    return {"the_id": notice.id, "the_lease": lease, "attempt": notice.attempt}
