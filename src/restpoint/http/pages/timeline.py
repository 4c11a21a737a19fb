"""The timeline of an execution: its history and its steps, in words for people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from restpoint import prompts
from restpoint._core.execution_row import StepDone
from restpoint._storage import HistoryEntry
from restpoint.access import who
from restpoint.events import EventKind
from restpoint.lifecycle import WaitStatus
from restpoint.notify.tickets import TICKET

Tone = Literal["plain", "ask", "good", "bad", "quiet"]


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of a timeline. ``text`` is in Markdown where ``is_markdown``; ``at`` is in seconds since the epoch."""

    at: float
    title: str
    tone: Tone = "plain"
    by: str | None = None
    text: str = ""
    is_markdown: bool = False
    comment: str = ""
    data: Any = None
    asked: str | None = None
    """The id of the interaction, where the line says that a prompt was asked."""


_TITLES: Final[Mapping[EventKind, tuple[str, Tone]]] = {
    EventKind.EXECUTION_CREATED: ("Started", "plain"),
    EventKind.EXECUTION_COMPLETED: ("Completed", "good"),
    EventKind.EXECUTION_FAILED: ("Failed", "bad"),
    EventKind.EXECUTION_CANCELLED: ("Cancelled", "bad"),
    EventKind.EXECUTION_RETRIED: ("Taken up again after the failure", "plain"),
    EventKind.EXECUTION_RECOVERED: ("Taken up by another process", "quiet"),
    EventKind.EXECUTION_STUCK: ("Stuck", "bad"),
    EventKind.EXECUTION_HELD: ("Put on hold", "quiet"),
    EventKind.EXECUTION_RELEASED: ("Hold ended", "quiet"),
    EventKind.EMITTED: ("Reported", "quiet"),
    EventKind.NOTIFIED: ("Notice", "plain"),
    EventKind.INTERACTION_ASKED: ("Asked", "ask"),
    EventKind.INTERACTION_REWORDED: ("Asked in other words by the code now", "quiet"),
    EventKind.INTERACTION_CLAIMED: ("Taken to be answered", "quiet"),
    EventKind.INTERACTION_RELEASED: ("Given back", "quiet"),
    EventKind.INTERACTION_DELEGATED: ("Handed on", "plain"),
    EventKind.INTERACTION_REASSIGNED: ("Addressed to others", "plain"),
    EventKind.INTERACTION_REMINDED: ("Reminded", "quiet"),
    EventKind.INTERACTION_ESCALATED: ("Escalated, because nobody answered", "plain"),
    EventKind.INTERACTION_NOT_ESCALATED: ("Could not escalate: none of those named may answer", "bad"),
    EventKind.INTERACTION_VOTED: ("Voted", "plain"),
    EventKind.INTERACTION_ANSWERED: ("Answered", "good"),
    EventKind.INTERACTION_EXPIRED: ("Nobody answered in time", "bad"),
    EventKind.INTERACTION_WITHDRAWN: ("Question withdrawn", "quiet"),
    EventKind.NOTICE_DELIVERED: ("Told", "quiet"),
    EventKind.NOTICE_GIVEN_UP: ("Nobody could be told", "bad"),
    EventKind.NOTICE_DROPPED: ("A notice was dropped", "quiet"),
    EventKind.NOTICE_RETRIED: ("A notice is tried again", "quiet"),
    EventKind.NOTICE_OPENED: ("Opened by whom it was told to", "quiet"),
    EventKind.CONSENT_ASKED: ("Access asked for", "ask"),
    EventKind.CONSENT_EXCHANGING: ("Came back from the provider", "quiet"),
    EventKind.CONSENT_PENDING: ("The provider could not be reached", "bad"),
    EventKind.CONSENT_GRANTED: ("Access granted", "good"),
    EventKind.CONSENT_DENIED: ("Access refused", "bad"),
    EventKind.CONSENT_EXPIRED: ("Nobody granted access in time", "bad"),
    EventKind.CONSENT_WITHDRAWN: ("Access not needed any more", "quiet"),
}


def timeline(entries: Sequence[HistoryEntry], steps: Sequence[StepDone], *, is_cut: bool = False) -> list[Moment]:
    """What happened, the oldest first. A step stands behind the row of history that was the newest when it had its outcome.

    ``is_cut`` says that there are more entries or steps than these, which the last line then tells.
    """
    found: list[tuple[int, int, Moment]] = [(each.sequence, 0, _moment(each)) for each in entries]
    found += [(each.after, number, _step(each)) for number, each in enumerate(steps, 1)]
    moments = [moment for *_, moment in sorted(found, key=lambda each: each[:2])]
    if is_cut:
        more = "This page shows the first events and steps; restpoint history shows all events."
        moments.append(Moment(moments[-1].at, "More happened after this", "quiet", text=more))
    return moments


def _step(step: StepDone) -> Moment:
    if step.has_failed:
        return Moment(step.at, f"Step {step.name} failed", "bad")
    return Moment(step.at, f"Step {step.name}")


_ADDRESSING: Final = (
    EventKind.INTERACTION_ASKED,
    EventKind.INTERACTION_DELEGATED,
    EventKind.INTERACTION_REASSIGNED,
    EventKind.INTERACTION_REMINDED,
    EventKind.INTERACTION_ESCALATED,
    EventKind.INTERACTION_NOT_ESCALATED,
)
"""The events that name people who are asked, or who could not be."""


def _addressed(
    entry: HistoryEntry, kind: EventKind, detail: Mapping[str, Any], text: str
) -> tuple[str, dict[str, Any]]:
    if kind is EventKind.INTERACTION_ASKED:
        return _asked(detail), {"comment": _whom(detail.get("assignees") or ()), "asked": entry.wait_id}
    if kind in {EventKind.INTERACTION_DELEGATED, EventKind.INTERACTION_REASSIGNED}:
        return text, {"comment": _whom(detail.get("assignees") or ())}
    names = detail.get("to") or detail.get("assignees") or detail.get("kept_out") or ()
    return ", ".join(map(who, names)), {}


def _title(entry: HistoryEntry, kind: EventKind) -> tuple[str, Tone]:
    if kind is EventKind.INTERACTION_EXPIRED and entry.cause == "undecided":
        return "The votes came to no answer", "bad"
    return _TITLES.get(kind, (kind.description.rstrip("."), "quiet"))


def _moment(entry: HistoryEntry) -> Moment:
    kind = entry.kind
    if kind is None:
        return Moment(entry.time, entry.event, "quiet", entry.actor)
    title, tone = _title(entry, kind)
    detail = entry.detail if isinstance(entry.detail, Mapping) else {}
    text = "" if kind.wait_status == WaitStatus.EXPIRED else entry.cause or ""
    more: dict[str, Any] = {}
    match kind:
        case EventKind.INTERACTION_ANSWERED | EventKind.INTERACTION_VOTED:
            return _answered(entry, detail, title, tone)
        case _ if kind in _ADDRESSING:
            text, more = _addressed(entry, kind, detail, text)
        case EventKind.NOTIFIED:
            text, more = _asked(detail), {"is_markdown": True}
        case EventKind.EMITTED:
            more = {"data": detail.get("data")}
        case EventKind.EXECUTION_FAILED | EventKind.EXECUTION_STUCK:
            text = str(detail.get("error") or detail.get("problem") or text)
        case EventKind.CONSENT_ASKED | EventKind.CONSENT_GRANTED | EventKind.CONSENT_DENIED:
            text = str(detail.get("provider") or "")
        case (
            EventKind.NOTICE_DELIVERED | EventKind.NOTICE_GIVEN_UP | EventKind.NOTICE_DROPPED | EventKind.NOTICE_RETRIED
        ):
            text = f"{detail.get('recipient') or 'The receiver'} by {detail.get('channel')}"
            more = {"comment": str(detail.get("problem") or entry.cause or "")}
        case _:
            pass
    return Moment(entry.time, title, tone, entry.actor, text, **more)


_BY_CAUSE: Final[Mapping[str, tuple[str, Tone]]] = {
    "deadline": ("Answered by the default at the deadline", "quiet"),
    "undecided": ("Answered by the default: the votes came to no answer", "quiet"),
    "votes": ("Answered by the votes", "good"),
}
"""What a prompt is answered by, where no person did it."""


def _answered(entry: HistoryEntry, detail: Mapping[str, Any], title: str, tone: Tone) -> Moment:
    title, tone = _BY_CAUSE.get(entry.cause or "", (title, tone))
    response = detail.get("response")
    if not isinstance(response, Mapping):
        return Moment(entry.time, title, tone, entry.actor)
    if detail.get("known_by") == TICKET:
        title = "Voted from a mail" if entry.kind is EventKind.INTERACTION_VOTED else "Answered from a mail"
    comment = response.get("comment")
    return Moment(
        entry.time, title, tone, entry.actor, prompts.summary_of(response), comment=f"“{comment}”" if comment else ""
    )


def _asked(detail: Mapping[str, Any]) -> str:
    prompt = detail.get("prompt")
    return str(prompt.get("text") or "") if isinstance(prompt, Mapping) else ""


def _whom(names: Sequence[str]) -> str:
    return f"Asked of {', '.join(map(who, names))}" if names else ""
