"""Retention: how long ended executions stay. Callers give seconds; the file stores milliseconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from restpoint._core.timestamps import MAX_TIMEOUT_SECONDS
from restpoint.errors import InvalidArgument
from restpoint.lifecycle import TERMINAL

TimeToLive = float | Mapping[str, Any] | None
"""How long an ended execution stays: seconds, None (for ever), or a mapping from final status to either.

A mapping may also have the key ``workflows``, which maps names of workflows to rules of their own."""


class _DefaultTTL(int):
    """The type of the default, which tells it from the same number in an argument. It is an int, as in the original store."""


DEFAULT_EXECUTION_TTL: Final[int] = _DefaultTTL(600)
"""Seconds that an ended execution stays if neither the caller nor the file sets a rule."""

SERVER_EXECUTION_TTL: Final[int] = _DefaultTTL(30 * 86_400)
"""Seconds that an ended execution stays if neither whoever runs a server nor the file sets a rule: 30 days."""

IDEMPOTENCY_RETENTION: Final = 86_400_000
"""Milliseconds after the end of an execution for which its idempotency key is known, unless a rule is set: a day."""

ABANDONED_AFTER: Final = 90 * 86_400_000
"""Milliseconds without an event after which an execution that nothing can go on with is failed, unless a rule is set: 90 days."""

WORKFLOWS: Final = "workflows"


def milliseconds(name: str, seconds: float) -> int:
    """Convert ``seconds`` to milliseconds. Raises ``InvalidArgument``, whose message calls the value ``name``."""
    if type(seconds) not in {int, float, _DefaultTTL} or not 0 <= seconds <= MAX_TIMEOUT_SECONDS:
        raise InvalidArgument(f"{name} is {seconds!r}; give seconds from 0 to {MAX_TIMEOUT_SECONDS}.")
    return round(seconds * 1000)


def is_default(ttl: TimeToLive) -> bool:
    """Whether the caller gave no rule."""
    return isinstance(ttl, _DefaultTTL)


@dataclass(frozen=True, slots=True)
class RetentionRules:
    """The retention rules of a file."""

    statuses: Mapping[str, int | None] = field(default_factory=dict)
    """Milliseconds by final status; None means for ever. A status that is missing here gets the default of 600 seconds."""
    workflows: Mapping[str, Mapping[str, int | None]] = field(default_factory=dict)
    """Rules by name of workflow. A status that is missing there gets its rule from ``statuses``."""
    digest: bool = False
    """Whether history stores the SHA-256 of an error instead of the error."""
    idempotency: int | None = IDEMPOTENCY_RETENTION
    """Milliseconds after the end for which an idempotency key is known; None means for ever."""
    abandoned: int | None = ABANDONED_AFTER
    """Milliseconds without an event after which an execution that nothing can go on with is failed; None means never."""

    def of(self, status: str, workflow: str | None) -> int | None:
        """How long an execution of this workflow stays after it ended with ``status``: milliseconds, or None for ever."""
        rule = self.workflows.get(workflow or "", {})
        return rule[status] if status in rule else self.statuses.get(status, _DEFAULT)

    @property
    def key_time(self) -> int:
        """Milliseconds after the end for which an idempotency key is known: very many where that is for ever."""
        return 1 << 62 if self.idempotency is None else self.idempotency

    def plain(self) -> dict[str, Any]:
        """Return the rules as JSON data, for the settings in the file."""
        return {"statuses": dict(self.statuses), WORKFLOWS: {name: dict(rule) for name, rule in self.workflows.items()}}

    @classmethod
    def read(cls, plain: Mapping[str, Any], **others: Any) -> Self:
        """Return the rules that ``plain`` returned as JSON data; ``others`` are the further fields."""
        return cls(plain.get("statuses", {}), plain.get(WORKFLOWS, {}), **others)


_DEFAULT: Final = DEFAULT_EXECUTION_TTL * 1000
FOREVER: Final = RetentionRules(dict.fromkeys(map(str, TERMINAL)))


def times_to_live(ttl: TimeToLive) -> RetentionRules:
    """Parse the argument ``ttl_seconds``. Raises ``InvalidArgument``."""
    if not isinstance(ttl, Mapping) or WORKFLOWS not in ttl:
        return RetentionRules(_rule("ttl_seconds", ttl))
    general = {name: value for name, value in ttl.items() if name != WORKFLOWS}
    by_workflow = ttl[WORKFLOWS]
    if not isinstance(by_workflow, Mapping) or not all(isinstance(name, str) and name for name in by_workflow):
        raise InvalidArgument(
            f"ttl_seconds[{WORKFLOWS!r}] is {by_workflow!r}; give a mapping from names of workflows to seconds, None, or "
            "a mapping from final status to either."
        )
    rules = {name: _rule(f"ttl_seconds[{WORKFLOWS!r}][{name!r}]", rule) for name, rule in by_workflow.items()}
    return RetentionRules(_rule("ttl_seconds", general), rules)


def _rule(name: str, rule: Any) -> dict[str, int | None]:
    if not isinstance(rule, Mapping):
        rule = dict.fromkeys(map(str, TERMINAL), rule)
        return {status: None if seconds is None else milliseconds(name, seconds) for status, seconds in rule.items()}
    unknown = sorted(map(str, set(rule) - set(TERMINAL)))
    if unknown:
        raise InvalidArgument(
            f"{name} has the key {', '.join(unknown)}; the final statuses are {', '.join(TERMINAL)}, and rules of workflows "
            f"belong under the key {WORKFLOWS!r}."
        )
    return {
        str(status): None if seconds is None else milliseconds(f"{name}[{str(status)!r}]", seconds)
        for status, seconds in rule.items()
    }
