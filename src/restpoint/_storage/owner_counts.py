"""What one owner has in the file: how many executions are open, and when the n-th newest was created."""

from typing import Final

from sqlalchemy import bindparam, func, select

from restpoint._storage.schema import executions
from restpoint._storage.sqlite.connection import ONE, limited, prepare, words
from restpoint._storage.sqlite.database import Database
from restpoint.lifecycle import TERMINAL, ExecutionStatus

_e = executions.c
_OF_OWNER: Final = _e.owner == bindparam("owner")
_OPEN: Final = words(status for status in ExecutionStatus if status not in TERMINAL)
_COUNT_OPEN: Final = prepare(
    select(func.count()).select_from(limited(select(_e.key).where(_OF_OWNER, _e.status.in_(_OPEN))).subquery())
)
_NEWEST: Final = prepare(
    select(_e.created_at).where(_OF_OWNER).order_by(_e.key.desc()).limit(ONE).offset(bindparam("before"))
)


async def open_executions(database: Database, owner: str, most: int) -> int:
    """How many executions of an owner have not ended; counted up to ``most``."""
    ((count,),) = await database.read(_COUNT_OPEN, {"owner": owner, "max": most})
    return int(count)


async def nth_newest(database: Database, owner: str, nth: int) -> int | None:
    """When the ``nth`` newest execution of an owner was created, in milliseconds since the epoch; None where there are fewer."""
    rows = list(await database.read(_NEWEST, {"owner": owner, "before": nth - 1}))
    return int(rows[0][0]) if rows else None
