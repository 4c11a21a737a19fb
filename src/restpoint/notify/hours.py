"""The hours of a route: when its receivers may be told.

Hours are those that a clock on the wall shows in their time zone. Where clocks are set forward over the beginning, they begin at
the moment of the change; where clocks are set back into the hours, they begin again.
"""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cached_property
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME: Final = re.compile("(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00")
_MIDNIGHT: Final = 24 * 60
_LOOKED_AHEAD: Final = 16
"""Days in which there is an opening, also where the one of a week falls into the hour that clocks are set forward over."""

_Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def zone(name: str) -> tzinfo:
    """The time zone of this name (IANA). Raises ``ValueError`` where this machine knows none."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):  # what zoneinfo raises for names that are none, or are paths
        pass
    if not _has_zones():
        raise ValueError(
            f"this machine has no time zones, so {name[:60]!r} is unknown; install them: pip install tzdata"
        )
    raise ValueError(f"{name[:60]!r} is no time zone that this machine knows; use one such as Europe/Berlin")


def _has_zones() -> bool:
    try:
        ZoneInfo("Europe/Berlin")
    except (OSError, LookupError):
        return False
    return True


def _is_time(text: str) -> str:
    if not _TIME.fullmatch(text):
        raise ValueError(
            f"{text[:20]!r} is no time of day; give one such as 08:00 or 17:30, and 24:00 for the end of the day"
        )
    return text


_Time = Annotated[str, AfterValidator(_is_time)]


class Hours(BaseModel):
    """When the receivers of a route may be told: on ``days``, ``from`` a time of day ``to`` another one, in ``timezone``.

    Times are ``"HH:MM"``, ``to`` up to ``"24:00"``. Hours whose end is before their beginning go on after midnight, and belong to
    the day on which they begin.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)

    begin: _Time = Field(default="00:00", alias="from")
    end: _Time = Field(default="24:00", alias="to")
    days: tuple[_Day, ...] = Field(default=_DAYS, min_length=1)
    timezone: Annotated[str, AfterValidator(lambda name: zone(name) and name)] = "UTC"

    @model_validator(mode="after")
    def _are_some(self) -> Self:
        if self._begin == self._end or self.begin == "24:00":
            raise ValueError("from is a time before 24:00, and to is another one, such as from 08:00 to 18:00")
        if set(self.days) == set(_DAYS) and self._end - self._begin == _MIDNIGHT:
            raise ValueError("these are all hours; leave them out, or give from and to, or days")
        return self

    @cached_property
    def _zone(self) -> tzinfo:
        return zone(self.timezone)

    @cached_property
    def _begin(self) -> int:
        return _minutes(self.begin)

    @cached_property
    def _end(self) -> int:
        return _minutes(self.end)

    def __str__(self) -> str:
        return f"{', '.join(self.days)} {self.begin}-{self.end} {self.timezone}"

    def has(self, now: int) -> bool:
        """Whether a moment is within the hours; ``now`` is in milliseconds since the epoch."""
        return self._has(_moment(now))

    def next_opening(self, now: int) -> int:
        """The first moment from ``now`` on that is within the hours; both in milliseconds since the epoch."""
        moment = _moment(now)
        if self._has(moment):
            return now
        today = moment.astimezone(self._zone).date()
        candidates: list[datetime] = []
        for days in range(-1, _LOOKED_AHEAD):
            day = datetime.combine(today + timedelta(days), datetime.min.time())
            candidates.extend(_moments(day + timedelta(minutes=self._begin), self._zone))
            candidates.extend(_change(day, self._zone))
        later = sorted(each for each in candidates if each > moment and self._has(each))
        return round(later[0].timestamp() * 1000) if later else now

    def _has(self, moment: datetime) -> bool:
        shown = moment.astimezone(self._zone)
        minute, today = shown.hour * 60 + shown.minute, shown.weekday()
        if self._begin < self._end:
            return self._begin <= minute < self._end and _DAYS[today] in self.days
        return (minute >= self._begin and _DAYS[today] in self.days) or (
            minute < self._end and _DAYS[today - 1] in self.days
        )


def _minutes(time: str) -> int:
    hours, _, minutes = time.partition(":")
    return int(hours) * 60 + int(minutes)


def _moment(milliseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)


def _moments(shown: datetime, of: tzinfo) -> tuple[datetime, datetime]:
    """The moments at which clocks show this; it is shown twice on the day on which they are set back."""
    first, second = (shown.replace(tzinfo=of, fold=fold).astimezone(UTC) for fold in (0, 1))
    return first, second


def _change(day: datetime, of: tzinfo) -> tuple[datetime, ...]:
    """The moment within the 24 hours from this midnight at which clocks are set forward or back, if there is one."""
    low, _ = _moments(day, of)
    high = low + timedelta(days=1)
    before: Any = low.astimezone(of).utcoffset()
    if high.astimezone(of).utcoffset() == before:
        return ()
    while high - low > timedelta(seconds=1):
        middle = (low + (high - low) / 2).replace(microsecond=0)
        if middle.astimezone(of).utcoffset() == before:
            low = middle
        else:
            high = middle
    return (high,)
