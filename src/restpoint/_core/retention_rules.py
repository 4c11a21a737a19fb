"""How long: the seconds that callers give, and the milliseconds that the file has."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from restpoint._core.timestamps import MAX_TIMEOUT_SECONDS
from restpoint.errors import InvalidArgument
from restpoint.lifecycle import TERMINAL

Rule = float | Mapping[str, float | None] | None
"""How long an ended execution stays: seconds, None (for ever), or either by final status."""

TimeToLive = float | Mapping[str, Any] | None
"""A ``Rule``, which may have ``workflows``: rules of their own by the name of the workflow."""


class _Default(int):
    """An int like any other, which can be told from the same number given by a caller."""


DEFAULT_EXECUTION_TTL: Final[int] = _Default(600)
"""Seconds that an ended execution stays in the file, unless the caller or the file says otherwise."""

WORKFLOWS: Final = "workflows"
_MAX_SECONDS: Final = MAX_TIMEOUT_SECONDS


def milliseconds(name: str, seconds: float) -> int:
    """``seconds`` in milliseconds; ``name`` is what an error calls it. Raises ``InvalidArgument``."""
    if type(seconds) not in {int, float, _Default} or not 0 <= seconds <= _MAX_SECONDS:
        raise InvalidArgument(f"{name} is {seconds!r}; give seconds from 0 to {_MAX_SECONDS}.")
    return round(seconds * 1000)


def is_default(ttl: TimeToLive) -> bool:
    """Whether nobody said how long ended executions stay."""
    return isinstance(ttl, _Default)


@dataclass(frozen=True, slots=True)
class Keeping:
    """What of executions that have ended is kept, and for how long."""

    statuses: Mapping[str, int | None] = field(default_factory=dict)
    """Milliseconds by final status; None: for ever. One that is not named stays for the default."""
    workflows: Mapping[str, Mapping[str, int | None]] = field(default_factory=dict)
    """Rules of single workflows; a status that one does not name goes by ``statuses``."""
    digest: bool = False
    """Whether history tells of an error by its SHA-256 only."""

    def of(self, status: str, workflow: str | None) -> int | None:
        """How long an execution of this workflow stays that ended so."""
        rule = self.workflows.get(workflow or "", {})
        return rule[status] if status in rule else self.statuses.get(status, _DEFAULT)

    def plain(self) -> dict[str, Any]:
        """The times as JSON has them."""
        return {"statuses": dict(self.statuses), WORKFLOWS: {name: dict(rule) for name, rule in self.workflows.items()}}

    @classmethod
    def read(cls, plain: Mapping[str, Any], *, digest: bool) -> Self:
        """What ``plain`` wrote."""
        return cls(plain.get("statuses", {}), plain.get(WORKFLOWS, {}), digest)


_DEFAULT: Final = DEFAULT_EXECUTION_TTL * 1000
FOREVER: Final = Keeping(dict.fromkeys(map(str, TERMINAL)))


def times_to_live(ttl: TimeToLive) -> Keeping:
    """What ``ttl_seconds`` means. Raises ``InvalidArgument`` where it means nothing."""
    if not isinstance(ttl, Mapping) or WORKFLOWS not in ttl:
        return Keeping(_rule("ttl_seconds", ttl))
    general = {name: value for name, value in ttl.items() if name != WORKFLOWS}
    by_name = ttl[WORKFLOWS]
    if not isinstance(by_name, Mapping) or not all(isinstance(name, str) and name for name in by_name):
        raise InvalidArgument(
            f"ttl_seconds[{WORKFLOWS!r}] is {by_name!r}; give a mapping from names of workflows to seconds, None, or "
            "either by final status."
        )
    rules = {name: _rule(f"ttl_seconds[{WORKFLOWS!r}][{name!r}]", rule) for name, rule in by_name.items()}
    return Keeping(_rule("ttl_seconds", general), rules)


def _rule(name: str, rule: Any) -> dict[str, int | None]:
    if not isinstance(rule, Mapping):
        rule = dict.fromkeys(map(str, TERMINAL), rule)
        return {status: None if seconds is None else milliseconds(name, seconds) for status, seconds in rule.items()}
    unknown = sorted(map(str, set(rule) - set(TERMINAL)))
    if unknown:
        raise InvalidArgument(
            f"{name} names {', '.join(unknown)}; the final statuses are {', '.join(TERMINAL)}, and rules of workflows "
            f"stand under {WORKFLOWS!r}."
        )
    return {
        str(status): None if seconds is None else milliseconds(f"{name}[{str(status)!r}]", seconds)
        for status, seconds in rule.items()
    }
