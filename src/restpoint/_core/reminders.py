"""Reminders and the escalation of an open prompt, as its interfaces show them.

The file has a row for each, and a ``Wait`` has these rows as JSON text: a list of ``[at, what, done_at, assignees]``, with times
in milliseconds since the epoch, and the assignees as JSON text of their own.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from restpoint._core.changes import Terms
from restpoint._core.serialization import decode, encode

REMIND: Final = "remind"
ESCALATE: Final = "escalate"
STAY: Final = "stay"
"""An escalation that was due when none of those whom it names could answer the prompt, so nothing came of it."""


class FallsDue(NamedTuple):
    """One row of ``reminders``: what falls due at which time, when it was done, and whom it escalates to, as a JSON list."""

    at: int
    what: str
    done_at: int | None = None
    assignees: str | None = None


@dataclass(frozen=True, slots=True)
class Reminders:
    """The reminders and the escalation of an open prompt. Times are seconds since the epoch; None where there is none.

    ``remind_at`` is the next reminder and ``reminded_at`` the last one. ``escalate_at`` is when the prompt is addressed to
    ``escalate_to``, and ``escalated_at`` when that was done. Where it is neither to come nor done, none of them may answer it.
    """

    remind_at: float | None = None
    reminded_at: float | None = None
    escalate_at: float | None = None
    escalated_at: float | None = None
    escalate_to: tuple[str, ...] = ()

    @classmethod
    def read(cls, text: str | None) -> "Reminders | None":
        """What a ``Wait`` has of them; None where none were asked for."""
        if text is None:
            return None
        each = _each(text)
        done = [one for one in each if one.done_at is not None]
        escalated = [one.done_at for one in done if one.what == ESCALATE]
        others = {
            one.done_at for one in done if one.what != REMIND
        }  # which took the place of a reminder that was due too
        reminded = [one.done_at for one in done if one.done_at not in others]
        to = [one.assignees for one in each if one.assignees is not None]
        return cls(
            _seconds(_next(each, REMIND)),
            _seconds(max(filter(None, reminded), default=None)),
            _seconds(_next(each, ESCALATE)),
            _seconds(max(filter(None, escalated), default=None)),
            tuple(decode(to[0])) if to else (),
        )


def planned(terms: Terms, now: int) -> list[FallsDue]:
    """What falls due of a prompt that is asked at ``now`` under these terms."""
    plan = [FallsDue(now + after, REMIND) for after in terms.remind_after]
    if terms.escalate_after is not None:
        plan.append(FallsDue(now + terms.escalate_after, ESCALATE, None, terms.escalate_to))
    return plan


def written(plan: Iterable[FallsDue]) -> str | None:
    """The rows as the JSON text of a ``Wait``; None where there are none."""
    rows = [list(one) for one in plan]
    return encode(rows) if rows else None


def next_due(text: str | None) -> int | None:
    """When the next of these rows falls due, in milliseconds since the epoch; None where nothing is to come."""
    return None if text is None else min((one.at for one in _each(text) if one.done_at is None), default=None)


def _each(text: str) -> list[FallsDue]:
    return [FallsDue(*row) for row in decode(text)]


def _next(each: Iterable[FallsDue], what: str) -> int | None:
    return min((one.at for one in each if one.what == what and one.done_at is None), default=None)


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
