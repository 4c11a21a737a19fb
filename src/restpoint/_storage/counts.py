"""Counts of what is open in the file, made when the metrics are read.

Every count reads a partial index of the open rows, on the connection for long reads: 0.1 s for a million open prompts. Executions
are not counted by status, because that would read all of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import CompoundSelect, FromClause, Select, func, null, select, union_all
from sqlalchemy.sql.expression import ColumnElement

from restpoint._storage.schema import consents, executions, interactions, outbox, routes
from restpoint._storage.sqlite.connection import ONE, prepare, word, words
from restpoint._storage.sqlite.database import Database
from restpoint.lifecycle import OPEN

_e, _i, _c, _o = executions.c, interactions.c, consents.c, outbox.c


@dataclass(frozen=True, slots=True)
class OpenWaits:
    """How many waits of one kind are open, and since when the oldest one is; None where there is none."""

    count: int
    oldest: int | None


@dataclass(frozen=True, slots=True)
class Gauges:
    """What is in the file at one moment, from all processes together. Times are milliseconds since the epoch."""

    at: int
    waits: Mapping[str, OpenWaits]
    """By kind: ``interaction`` and ``consent``."""
    runs: Mapping[str, int]
    """By state: ``claimed`` by a runner, ``ready`` for one, or left by one with a ``problem``.

    Those that nobody goes on with because no process is there are among the former two.
    """
    notices: OpenWaits = OpenWaits(0, None)
    """Those that are still to be delivered."""
    given_up_notices: int = 0
    disabled_routes: int = 0
    swept: int = 0
    """Executions that this process has swept."""
    swept_at: int | None = None
    """When this process's last sweep ended."""


def _waits(kind: str, table: FromClause, is_open: ColumnElement[bool]) -> Select[Any]:
    # The oldest is the one with the smallest key: keys grow with time and are in every index, which the time itself is not.
    found = (
        select(func.count().label("open"), func.min(table.c.key).label("oldest"))
        .select_from(table)
        .where(is_open)
        .subquery()
    )
    asked = table.alias()
    since = select(asked.c.created_at).where(asked.c.key == found.c.oldest).scalar_subquery()
    return select(word(kind), found.c.open, since).select_from(found)


def _runs(state: str, condition: ColumnElement[bool]) -> Select[Any]:
    columns: tuple[ColumnElement[Any], ...] = word(state), func.count(), null()
    return select(*columns).select_from(executions).where(condition)


def _notices() -> Select[Any]:
    # Those that are claimed, and those that are not, each by the index of them. One that waits for the hours of its route is not
    # late before they begin.
    is_pending, since = _o.status == word("pending"), func.coalesce(_o.opens_at, _o.created_at).label("since")
    parts = union_all(
        select(since).where(is_pending, _o.lease.is_(None)),
        select(since).where(is_pending, _o.lease.is_not(None)),
    ).subquery()
    columns: tuple[ColumnElement[Any], ...] = word("notices"), func.count(), func.min(parts.c.since)
    return select(*columns).select_from(parts)


def _number(what: str, table: FromClause, condition: ColumnElement[bool], of: ColumnElement[Any]) -> Select[Any]:
    columns: tuple[ColumnElement[Any], ...] = word(what), func.count(of.distinct()), null()
    return select(*columns).select_from(table).where(condition)


_COUNT: Final[CompoundSelect[Any]] = union_all(
    _waits("interaction", interactions, _i.status == word("pending")),
    _waits("consent", consents, _c.status.in_(words(OPEN))),
    _runs("claimed", _e.ready.is_not(None) & _e.lease.is_not(None)),
    _runs("ready", (_e.ready == ONE) & _e.lease.is_(None)),
    _runs("problem", _e.problem.is_not(None)),
    _notices(),
    _number("given_up_notices", outbox, _o.status == word("given_up"), _o.id),
    _number("disabled_routes", routes, routes.c.disabled_at.is_not(None), routes.c.name),
)
COUNT: Final = prepare(_COUNT)


async def count(database: Database, now: int) -> Gauges:
    """Count everything in one snapshot of the file; ``now`` is in milliseconds since the epoch."""
    counted = {what: OpenWaits(number, oldest) for what, number, oldest in await database.read(COUNT, lane="long")}
    waits = {kind: counted[kind] for kind in ("interaction", "consent")}
    runs = {state: counted[state].count for state in ("claimed", "ready", "problem")}
    numbers = {name: counted[name].count for name in ("given_up_notices", "disabled_routes")}
    return Gauges(now, waits, runs, counted["notices"], **numbers)
