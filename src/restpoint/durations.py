"""How long: the seconds that callers give, and the milliseconds that the file has."""

from collections.abc import Mapping
from typing import Final

from restpoint.errors import InvalidArgument
from restpoint.lifecycle import TERMINAL
from restpoint.prompts import MAX_TIMEOUT_SECONDS

TimeToLive = float | Mapping[str, float | None] | None

DEFAULT_EXECUTION_TTL: Final = 600
"""Seconds that an ended execution stays in the file, unless told otherwise."""

_MAX_SECONDS: Final = MAX_TIMEOUT_SECONDS


def milliseconds(name: str, seconds: float) -> int:
    """``seconds`` in milliseconds; ``name`` is what an error calls it. Raises ``InvalidArgument``."""
    if type(seconds) not in {int, float} or not 0 <= seconds <= _MAX_SECONDS:
        raise InvalidArgument(f"{name} is {seconds!r}; give seconds from 0 to {_MAX_SECONDS}.")
    return round(seconds * 1000)


def times_to_live(ttl: TimeToLive) -> dict[str, int | None]:
    """What ``ttl_seconds`` means: for each final status how long an execution stays, in milliseconds; None: for ever."""
    by_status: dict[str, float | None] = {}
    if isinstance(ttl, Mapping):
        unknown = set(ttl) - set(TERMINAL)
        if unknown:
            raise InvalidArgument(f"ttl_seconds names {sorted(unknown)}; the final statuses are {', '.join(TERMINAL)}.")
        by_status.update(ttl)
    else:
        by_status.update((str(status), ttl) for status in TERMINAL)
    return {
        str(status): None if seconds is None else milliseconds("ttl_seconds", seconds)
        for status in TERMINAL
        for seconds in [by_status.get(status, DEFAULT_EXECUTION_TTL)]
    }
