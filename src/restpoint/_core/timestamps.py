"""Parsing of the times that people type: ISO 8601, in UTC unless the text has an offset."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from restpoint.errors import InvalidArgument

MAX_TIMEOUT_SECONDS: Final = 100 * 366 * 24 * 3600
"""The longest timeout or retention time: 100 years."""

_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def since(text: str) -> int:
    """Return the first millisecond (since the epoch) of the day or moment in ``text``. Raises ``InvalidArgument``."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidArgument(
            f"{text[:80]!r} is not a time. Give a day, 2026-11-25, or a moment, 2026-11-25T14:02:08Z (UTC without an offset)."
        ) from None
    # Do not use astimezone: it overflows on the first and the last day of the calendar.
    return (moment.replace(tzinfo=UTC) - _EPOCH - (moment.utcoffset() or timedelta())) // _MILLISECOND


def until(text: str) -> int:
    """Return the end (exclusive, milliseconds since the epoch): the moment itself, or the end of the day.

    Raises ``InvalidArgument``.
    """
    return since(text) + (timedelta(days=1) // _MILLISECOND if _DAY.fullmatch(text) else 0)


def span(seconds: int) -> str:
    """A length of time for people, in the largest unit that fits twice: ``45 s``, ``2 min``, ``47 h``, ``2 d``."""
    for name, unit in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * unit:
            return f"{seconds // unit} {name}"
    return f"{seconds} s"
