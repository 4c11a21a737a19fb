"""Search for executions: by a part of their id, and for how they left the file."""

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, bindparam, func, literal_column, select, union

from restpoint._storage.schema import executions, history
from restpoint._storage.sqlite.connection import ONE, limited, prepare, word, words
from restpoint._storage.sqlite.database import Database, Row
from restpoint.events import ENDINGS, EventKind

_e, _h = executions.c, history.c
_part: Final[ColumnElement[Any]] = bindparam("part")


def _begins(id_: ColumnElement[Any]) -> ColumnElement[bool]:
    # An id that begins with the part sorts before the part followed by the last of all characters; an index finds these.
    return (id_ >= _part) & (id_ < _part.concat(literal_column("char(1114111)")))


def _ends(id_: ColumnElement[Any]) -> ColumnElement[bool]:
    return func.substr(id_, -func.length(_part)) == _part


_IN_FILE: Final = (
    prepare(
        limited(union(select(_e.id).where(_begins(_e.id)), select(_h.execution_id).where(_begins(_h.execution_id))))
    ),
    prepare(limited(select(_e.id).where(_ends(_e.id)))),
)
_IN_HISTORY: Final = (
    prepare(limited(select(_h.execution_id).distinct().where(_begins(_h.execution_id)))),
    prepare(
        limited(select(_h.execution_id).where(_h.event == word(EventKind.EXECUTION_CREATED), _ends(_h.execution_id)))
    ),
)


async def ids_with(database: Database, part: str, most: int) -> list[str]:
    """Ids of executions that begin with ``part``, also of those that left the file; else those in the file that end with it."""
    for query in _IN_FILE:
        if found := _ids(await database.read(query, {"part": part, "max": most}, lane="long")):
            return found
    return []


def ids_in_history(connection: sqlite3.Connection, part: str, most: int) -> list[str]:
    """Ids of executions that the history tells of and that begin with ``part``; else those that end with it."""
    for query in _IN_HISTORY:
        if found := _ids(connection.execute(query, {"part": part, "max": most})):
            return found
    return []


def _ids(rows: Iterable[Row]) -> list[str]:
    return [execution_id for (execution_id,) in rows]


_LEAVING: Final = prepare(
    select(_h.sequence, _h.event, _h.time, _h.cause, _h.detail)
    .where(
        _h.execution_id == bindparam("id"),
        _h.event.in_(words((EventKind.EXECUTION_CREATED, EventKind.EXECUTION_REMOVED, *ENDINGS))),
    )
    .order_by(_h.sequence)
)
_SWEPT_AT: Final = prepare(
    limited(
        select(_h.time)
        .where(
            _h.execution_id.is_(None),
            _h.event == word(EventKind.SWEPT),
            _h.sequence > bindparam("after"),
            func.instr(_h.detail, bindparam("quoted_id")) > literal_column("0"),
        )
        .order_by(_h.sequence),
        ONE,
    )
)


@dataclass(frozen=True, slots=True)
class Departure:
    """How an execution left the file: ``swept``, ``removed`` or ``erased``, when (seconds since the epoch), and whose it was."""

    how: str
    at: float
    owner: str | None


async def departure(database: Database, execution_id: str) -> Departure | None:
    """How an execution left the file, for one that is not in it; None where the history does not tell."""
    owner, last = None, None
    for row in await database.read(_LEAVING, {"id": execution_id}):
        sequence, event, time, cause, detail = row
        if event == EventKind.EXECUTION_CREATED:
            owner = json.loads(detail).get("owner") if detail else None
        else:
            last = sequence, event, time, cause
    if last is None:
        return None
    sequence, event, time, cause = last
    if event == EventKind.EXECUTION_REMOVED:
        return Departure("erased" if cause == "erased" else "removed", time / 1000, owner)
    quoted = json.dumps(execution_id)
    for (swept_at,) in await database.read(_SWEPT_AT, {"after": sequence, "quoted_id": quoted}, lane="long"):
        return Departure(str(EventKind.SWEPT), swept_at / 1000, owner)
    return None
