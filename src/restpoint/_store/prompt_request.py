"""A prompt to be asked, checked together with the options that it is asked with."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final, Literal, NamedTuple

from pydantic import BaseModel

from restpoint._core.changes import NO_TERMS, Terms
from restpoint._core.execution_row import check_priority
from restpoint._core.retention_rules import RetentionRules, milliseconds
from restpoint._core.serialization import check_text, encode
from restpoint._storage import event_details
from restpoint.access import read_assignee
from restpoint.errors import InvalidArgument
from restpoint.prompts import (
    HumanPrompt,
    HumanResponse,
    accepts,
    read_prompt,
    read_response,
    write_prompt,
    write_response,
)

Duration = float | timedelta
"""A time from the asking: in seconds, or as a ``timedelta``."""

Durations = Duration | Sequence[Duration]

MOST_REMINDERS: Final = 100
MAX_VOTES: Final = 1_000
"""The most votes that a prompt may take."""


class PromptRequest(NamedTuple):
    """A prompt, its JSON text, whom it is addressed to, and its timeout in milliseconds."""

    prompt: HumanPrompt
    text: str
    terms: Terms
    timeout: int | None

    @classmethod
    def read(
        cls,
        prompt: HumanPrompt | BaseModel | Mapping[str, Any],
        timeout: float | None,
        assignees: Sequence[str] | None,
        four_eyes: bool,
        on_deadline: Literal["raise", "fail"],
        default: HumanResponse | BaseModel | Mapping[str, Any] | None,
        other_than: str | Sequence[str] | None = None,
        priority: int | None = None,
        due: float | None = None,
        votes: int | None = None,
        remind_after: "Durations | None" = None,
        escalate_after: "Duration | None" = None,
        escalate_to: Sequence[str] | None = None,
    ) -> "PromptRequest":
        """Check the arguments of ``ExecutionStore.set_interaction_required``; ``timeout`` and ``due`` are in seconds.

        Raises ``PromptNotAccepted``, ``InvalidArgument``, ``NotJSON``, and ``ResponseNotAccepted`` for the default.
        """
        asked = read_prompt(prompt)
        seconds = asked.timeout if timeout is None else timeout
        text, terms = write_prompt(asked), _read_terms(asked, assignees, four_eyes, on_deadline, default)
        if other_than is not None or priority is not None or due is not None or votes is not None:
            terms = replace(
                terms,
                other_than=_read_other_than(other_than),
                priority=None if priority is None else check_priority(priority),
                due=None if due is None else milliseconds("due", due),
                votes=None if votes is None else _read_votes(votes, assignees),
            )
        limit = None if seconds is None else milliseconds("timeout", seconds)
        if remind_after is not None or escalate_after is not None or escalate_to is not None:
            terms = _with_reminders(terms, limit, remind_after, escalate_after, escalate_to)
        return cls(asked, text, terms, limit)

    def detail(self, keeping: RetentionRules, position: str | None = None) -> str:
        """The detail of the event that records it; ``position`` is that of the call of a workflow."""
        return event_details.asked(
            self.text, self.terms, digest=keeping.digest, position=position, timeout=self.timeout
        )


def read_assignees(assignees: Sequence[str], argument: str = "assignees") -> str:
    """The people and groups that a prompt is addressed to, as a JSON list. Raises ``InvalidArgument`` and ``NotJSON``."""
    if isinstance(assignees, str):
        raise InvalidArgument(
            f"{argument} is the text {assignees!r:.80}; give a list, such as ['ada', 'group:finance']."
        )
    if not assignees:
        raise InvalidArgument(
            f"{argument} is a list of people and groups, with at least one in it; None addresses nobody."
        )
    return encode(list(map(read_assignee, assignees)))


def _read_votes(votes: int, assignees: Sequence[str] | None) -> int | None:
    """How many equal votes answer a prompt; None for one, which is an answer. Raises ``InvalidArgument``."""
    if type(votes) is not int or not 1 <= votes <= MAX_VOTES:
        raise InvalidArgument(f"votes is {votes!r}; give a whole number from 1 to {MAX_VOTES:,}.")
    if votes == 1:
        return None
    if assignees is None:
        raise InvalidArgument("A prompt that takes votes is addressed to people or groups; name them as assignees.")
    return votes


def _read_other_than(other_than: str | Sequence[str] | None) -> str | None:
    if other_than is None:
        return None
    wait_ids = [other_than] if isinstance(other_than, str) else list(other_than)
    if not wait_ids:
        raise InvalidArgument("other_than is empty; name an answered prompt by its id, or leave it out.")
    for wait_id in wait_ids:
        check_text("other_than", wait_id, limit=200)
    return encode(wait_ids)


def _read_terms(
    prompt: HumanPrompt,
    assignees: Sequence[str] | None,
    four_eyes: bool,
    on_deadline: Literal["raise", "fail"],
    default: HumanResponse | BaseModel | Mapping[str, Any] | None,
) -> Terms:
    if assignees is None and not four_eyes and default is None and on_deadline == "raise":
        return NO_TERMS
    if on_deadline not in {"raise", "fail"}:
        raise InvalidArgument(
            f"on_deadline is 'raise' or 'fail', not {on_deadline!r}; give a default to have it answered."
        )
    if default is not None and on_deadline == "fail":
        raise InvalidArgument("A prompt that has a default is answered with it at its deadline; leave on_deadline out.")
    response = None if default is None else write_response(accepts(prompt, read_response(default)))
    then: Literal["default", "fail"] | None = (
        "default" if default is not None else "fail" if on_deadline == "fail" else None
    )
    names = None if assignees is None else read_assignees(assignees)
    return Terms(names, 1 if four_eyes else None, then, response)


def _with_reminders(
    terms: Terms,
    timeout: int | None,
    remind_after: Durations | None,
    escalate_after: Duration | None,
    escalate_to: Sequence[str] | None,
) -> Terms:
    if (escalate_after is None) != (escalate_to is None):
        missing, given = ("escalate_to", "escalate_after") if escalate_to is None else ("escalate_after", "escalate_to")
        raise InvalidArgument(f"{given} is given without {missing}; say both when and to whom the prompt escalates.")
    each = [remind_after] if isinstance(remind_after, int | float | timedelta) else list(remind_after or ())
    if len(each) > MOST_REMINDERS:
        raise InvalidArgument(f"remind_after has {len(each)} times; give at most {MOST_REMINDERS}.")
    if remind_after is not None and not each:
        raise InvalidArgument("remind_after is empty; give a time or several, or leave it out.")
    return replace(
        terms,
        remind_after=tuple(sorted({_before("remind_after", one, timeout) for one in each})),
        escalate_after=None if escalate_after is None else _before("escalate_after", escalate_after, timeout),
        escalate_to=None if escalate_to is None else read_assignees(escalate_to, "escalate_to"),
    )


def _before(name: str, duration: Duration, timeout: int | None) -> int:
    """The milliseconds of a time from the asking, which must be before the deadline."""
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else duration
    after = milliseconds(name, seconds)
    if not after:
        raise InvalidArgument(f"{name} is {seconds:g} seconds; give more than 0, because it counts from the asking.")
    if timeout is not None and after >= timeout:
        raise InvalidArgument(
            f"{name} is {seconds:g} seconds, and the prompt is over after {timeout / 1000:g} seconds by its timeout, so this "
            "would never happen; give a shorter time, or a longer timeout."
        )
    return after
