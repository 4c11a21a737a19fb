"""The settings of the file: how to write it, for programs that open it without settings of their own.

An answer at a terminal must write the same history as the server does, and the execution that it ends must stay in the file as
long. So a store with explicit settings stores them in the file, and one without reads them from there. The latest ones count.
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

IDEMPOTENCY_RETENTION: Final = "idempotency_retention"
"""How long after the end of an execution its idempotency key is known, in milliseconds; null: for ever."""

ABANDONED_AFTER: Final = "abandoned_after"
"""After how long without an event an execution is failed that nothing can go on with, in milliseconds; null: never."""

_ALL: Final = prepare(select(settings.c.name, settings.c.value))
_SET: Final = prepare(
    insert(settings)
    .values(name=bindparam("the_name"), value=bindparam("the_value"), changed_at=bindparam("now"))
    .on_conflict_do_update(
        index_elements=["name"], set_={"value": bindparam("the_value"), "changed_at": bindparam("now")}
    )
)


async def read(database: Database) -> dict[str, Any]:
    """Return the settings of the file by name. Raises ``DamagedFile``."""
    try:
        return {name: json.loads(value) for name, value in await database.read(_ALL)}
    except ValueError as error:
        raise DamagedFile(f"The settings of the file cannot be read ({error}); restore a backup.") from error


def check(used: Mapping[str, Any]) -> None:
    """Raise ``DamagedFile`` for settings that no release wrote. A guess might keep in the history what must not be there."""
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
    IDEMPOTENCY_RETENTION: _is_time,
    ABANDONED_AFTER: _is_time,
}


def change(tx: Transaction, given: Mapping[str, Any]) -> None:
    """Keep these settings in the file. Where this changes what the history keeps, an event says so."""
    before = {name: json.loads(value) for name, value in tx.all(_ALL)}
    for name, value in given.items():
        if name in before and before[name] == value:
            continue
        tx.execute(_SET, {"the_name": name, "the_value": encode(value), "now": tx.now})
        if name == HISTORY and head(tx)[0] and value != before.get(name, "full"):
            detail = encode({"setting": name, "from": before.get(name, "full"), "to": value})
            append(tx, EventKind.SETTING_CHANGED, detail=detail)
