"""The routes of the file: which events are told, and by which channel.

The trigger ``history_is_told`` goes by them. They are those of the last process that was given some.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import bindparam, delete, insert, null, select, update

from restpoint._core.serialization import encode
from restpoint._storage.history import append
from restpoint._storage.schema import outbox, routes
from restpoint._storage.sqlite.connection import prepare, word
from restpoint._storage.sqlite.database import Database, Transaction
from restpoint.errors import UnknownRoute
from restpoint.events import EventKind

_o, _r = outbox.c, routes.c


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
# The outbox keeps what was told, so these read what is pending by the indexes of that: by channel, and what is claimed.
_UNCLAIMED: Final = (_o.route == bindparam("the_route"), _o.status == word("pending"), _o.lease.is_(None))
_CHANNELS: Final = select(_o.channel).distinct().where(_o.status == word("pending"), _o.lease.is_(None))
_MOVE_TO_CHANNEL: Final = tuple(
    prepare(
        update(outbox).where(*which, _o.channel != bindparam("the_channel")).values(channel=bindparam("the_channel"))
    )
    for which in (
        (*_UNCLAIMED, _o.channel.in_(_CHANNELS)),
        (_o.route == bindparam("the_route"), _o.status == word("pending"), _o.lease.is_not(None)),
    )
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
# Of a notice that is claimed, the outcome of its attempt says when it is due.
_SET_DUE: Final = prepare(
    update(outbox).where(*_UNCLAIMED, _o.channel.in_(_CHANNELS)).values(due_at=bindparam("due"), opens_at=null())
)
# What waited for a route that was disabled has no time, and must not wait for ever where the route is gone, and then is back.
_RESUME: Final = prepare(
    update(outbox).where(*_UNCLAIMED, _o.channel.in_(_CHANNELS), _o.due_at.is_(None)).values(due_at=bindparam("due"))
)


def _rows(given: Iterable[Route]) -> Iterator[tuple[Any, ...]]:
    """The rows of routes, without whether they are disabled."""
    for route in given:
        lists = [encode(list(names)) if names else None for names in (route.workflows, route.owners, route.assignees)]
        for event in dict.fromkeys(route.events):
            yield str(event), route.name, route.channel, *lists, int(event.asks)


async def are_registered(database: Database, given: Iterable[Route]) -> bool:
    """Whether these are the routes of the file, and no other process has given it others since."""
    there = {tuple(row[:-2]) for row in await database.read(_ROUTES)}
    return there == set(_rows(given))


def register(tx: Transaction, given: Iterable[Route]) -> bool:
    """Make these the routes of the file; return whether they were others before. One that is disabled stays so."""
    there = tx.all(_ROUTES)
    disabled = {name: (at, why) for _, name, *_, at, why in there if at is not None}
    wanted = [(*row, *disabled.get(row[1], (None, None))) for row in _rows(given)]
    if sorted(wanted, key=repr) == sorted(there, key=repr):
        return False
    tx.execute(_CLEAR_ROUTES, ())
    names = routes.c.keys()
    for row in wanted:
        tx.execute(_ADD_ROUTE, dict(zip(names, row, strict=True)))
    channels = {name: channel for _, name, channel, *_ in wanted}
    for name, channel in channels.items():
        for move in _MOVE_TO_CHANNEL:
            tx.execute(move, {"the_route": name, "the_channel": channel})
        if name not in disabled:
            tx.execute(_RESUME, {"the_route": name, "due": tx.now})
    append(tx, EventKind.ROUTES_CHANGED, cause="start", detail=encode({"routes": channels}))
    return True


async def known_routes(database: Database) -> list[KnownRoute]:
    """The routes of the file, by name."""
    found: dict[str, KnownRoute] = {}
    for event, name, channel, _, _, _, _, at, why in await database.read(_ROUTES):
        before = found[name].events if name in found else ()
        found[name] = KnownRoute(name, channel, (*before, event), None if at is None else at / 1000, why)
    return list(found.values())


def disable(tx: Transaction, route: str, problem: str) -> None:
    """Send nothing by a route, whose receiver is gone, until it is enabled. Nothing happens where it is disabled already."""
    if tx.execute(_DISABLE, {"the_route": route, "at": tx.now, "why": problem}).rowcount:
        tx.flush()
        tx.execute(_SET_DUE, {"the_route": route, "due": None})
        append(tx, EventKind.ROUTE_DISABLED, cause="receiver gone", detail=encode({"route": route}))


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
