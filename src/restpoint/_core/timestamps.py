"""Times as people type them, for auditors' questions: ISO 8601, in UTC unless it says otherwise."""

import re
from datetime import datetime, timedelta
from typing import Final

from restpoint.errors import InvalidArgument

MAX_TIMEOUT_SECONDS: Final = 100 * 366 * 24 * 3600

_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - every time is moved to UTC before it is compared with it
_MILLISECOND: Final = timedelta(milliseconds=1)


def since(text: str) -> int:
    """The first millisecond of what ``text`` names, since the epoch. Raises ``InvalidArgument``."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidArgument(
            f"{text[:80]!r} is no time; give a day, 2026-11-25, or a moment, 2026-11-25T14:02:08Z (UTC unless it says)."
        ) from None
    # Not by way of a time in UTC: the first and the last day of the calendar may have none.
    return (moment.replace(tzinfo=None) - _EPOCH - (moment.utcoffset() or timedelta())) // _MILLISECOND


def until(text: str) -> int:
    """The millisecond after what ``text`` names, since the epoch: after all of it, where it is a day.

    Raises ``InvalidArgument``.
    """
    return since(text) + (timedelta(days=1) // _MILLISECOND if _DAY.fullmatch(text) else 0)
