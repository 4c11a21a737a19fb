"""What people ask of the whole file: which execution an abbreviated id means, and what has happened since."""

from typing import Any, Final

from sqlalchemy import ColumnElement, bindparam, func, literal_column, select, union

from restpoint._storage.history import HistoryEntry, events_of
from restpoint._storage.schema import executions, history
from restpoint._storage.sqlite.connection import prepare
from restpoint._storage.sqlite.database import Database

_e, _h = executions.c, history.c
_MOST: Final = 500  # rows of history at a time

# Any id that begins so stands between the beginning and the beginning with the last of all characters.
_BEGINS: Final[ColumnElement[Any]] = bindparam("part").concat(literal_column("char(1114111)"))
_BEGINNING: Final = prepare(
    union(
        select(_e.id).where(_e.id >= bindparam("part"), _e.id < _BEGINS),
        select(_h.execution_id).where(_h.execution_id >= bindparam("part"), _h.execution_id < _BEGINS),
    )
    .limit(bindparam("max"))
    .offset(literal_column("0"))
)
_HOLD: Final = prepare(select(_e.hold).where(_e.id == bindparam("id")))
_ENDING: Final = prepare(
    select(_e.id)
    .where(func.substr(_e.id, -func.length(bindparam("part"))) == bindparam("part"))
    .limit(bindparam("max"))
    .offset(literal_column("0"))
)
_SINCE: Final = prepare(
    select(_h.sequence, _h.execution_id)
    .where(_h.sequence > bindparam("after"), _h.execution_id.is_not(None))
    .order_by(_h.sequence)
    .limit(bindparam("max"))
    .offset(literal_column("0"))
)


async def hold_of(database: Database, execution_id: str) -> str | None:
    """Why an execution is on hold; None where it is not."""
    for (reason,) in await database.read(_HOLD, {"id": execution_id}):
        return None if reason is None else str(reason)
    return None


async def ids_with(database: Database, part: str, most: int) -> list[str]:
    """Ids of executions that begin with ``part``, also of those that left the file; else those that end with it."""
    for query in (_BEGINNING, _ENDING):
        found = [row[0] for row in await database.read(query, {"part": part, "max": most}, lane="long")]
        if found:
            return found
    return []


async def happened_since(database: Database, sequence: int) -> list[HistoryEntry]:
    """What happened to any execution after a row of history, in order, some at a time, with what was emitted."""
    entries: list[HistoryEntry] = []
    for row, execution_id in await database.read(_SINCE, {"after": sequence, "max": _MOST}):
        entries += await events_of(database, execution_id, row - 1, 1)
    return entries
