"""The settings of the file: how it is to be written, for those who open it and do not say.

Whoever answers at a terminal must write the history that the server writes, and an execution that they end must stay as
long as one that the server ends. So a store that is told these things keeps them in the file, and one that is not told finds
them there. What is set is that of the last who said it.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.sqlite import insert

from restpoint._core.retention_rules import WORKFLOWS
from restpoint._core.serialization import encode
from restpoint._core.timestamps import MAX_TIMEOUT_SECONDS
from restpoint._storage.history import append, head
from restpoint._storage.schema import settings
from restpoint._storage.sqlite.connection import prepare
from restpoint._storage.sqlite.database import Database, Transaction
from restpoint.errors import DamagedFile
from restpoint.events import EventKind

HISTORY: Final = "history"
"""``full`` or ``digest``: whether history keeps prompts and responses, or only their SHA-256."""

TIMES_TO_LIVE: Final = "times_to_live"
"""How long ended executions stay, as ``retention_rules.RetentionRules.plain`` writes it."""

HISTORY_RETENTION: Final = "history_retention"
"""How long history stays, in milliseconds; null: for ever."""

_ALL: Final = prepare(select(settings.c.name, settings.c.value))
_SET: Final = prepare(
    insert(settings)
    .values(name=bindparam("the_name"), value=bindparam("the_value"), changed_at=bindparam("now"))
    .on_conflict_do_update(
        index_elements=["name"], set_={"value": bindparam("the_value"), "changed_at": bindparam("now")}
    )
)


async def read(database: Database) -> dict[str, Any]:
    """Every setting that the file has, by name."""
    try:
        return {name: json.loads(value) for name, value in await database.read(_ALL)}
    except ValueError as error:
        raise DamagedFile(f"The settings of the file cannot be read ({error}); restore a backup.") from error


def check(used: Mapping[str, Any]) -> None:
    """Raise ``DamagedFile`` for settings that no release wrote: to guess would keep in the history what must not be there."""
    for name, is_sound in _SOUND.items():
        if name in used and not is_sound(used[name]):
            raise DamagedFile(
                f"The file is damaged: its setting {name} is {str(used[name])[:80]!r}. Say it anew to the store that opens it, "
                "or restore a backup."
            )


def _is_time(value: object) -> bool:
    return value is None or (type(value) is int and 0 <= value <= MAX_TIMEOUT_SECONDS * 1000)


def _are_times(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_time, value.values()))


def _are_rules(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    by_name = value.get(WORKFLOWS, {})
    return (
        _are_times(value.get("statuses", {})) and isinstance(by_name, dict) and all(map(_are_times, by_name.values()))
    )


_SOUND: Final[Mapping[str, Callable[[object], bool]]] = {
    HISTORY: lambda value: value in ("full", "digest"),
    TIMES_TO_LIVE: _are_rules,
    HISTORY_RETENTION: _is_time,
}


def change(tx: Transaction, given: Mapping[str, Any]) -> None:
    """Keep these settings in the file. That the history is kept another way from here on, the history says."""
    before = {name: json.loads(value) for name, value in tx.all(_ALL)}
    for name, value in given.items():
        if name in before and before[name] == value:
            continue
        tx.execute(_SET, {"the_name": name, "the_value": encode(value), "now": tx.now})
        if name == HISTORY and head(tx)[0] and value != before.get(name, "full"):
            detail = encode({"setting": name, "from": before.get(name, "full"), "to": value})
            append(tx, EventKind.SETTING_CHANGED, detail=detail)
