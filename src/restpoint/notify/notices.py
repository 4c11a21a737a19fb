"""The values of telling: a notice, whom it goes to, what a channel does with it, and how that fails."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final, Protocol
from urllib.parse import quote

from restpoint._core.serialization import decode
from restpoint._storage import outbox
from restpoint.events import EventKind
from restpoint.prompts import HumanPrompt, read_prompt

LONGEST_WAIT: Final = 24 * 3_600.0
"""Seconds; a receiver that asks to be left alone for longer is asked again after a day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """A person who is told: ``name`` is their id as actors have it, ``address`` is where the channel reaches them.

    It is empty where the channel has one receiver, who is only told whom the notice is meant for.
    """

    name: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What is told: one event, by one route, to one receiver.

    ``id`` is the same at every attempt, so that a receiver knows a repetition. ``time``, ``due_at`` and ``deadline_at`` are
    milliseconds since the epoch. ``sequence`` is that of the event's row of history, ``attempt`` counts from 1, and
    ``is_sample`` marks what an operator sends to try a route. ``status`` is that of the execution as the event left it.
    ``votes`` is how many equal votes answer the prompt, None where one person does; ``voted`` is how many have voted.
    ``detail`` is what the event's row of history shows; it holds no secret. ``link`` is the address of the prompt's page, or
    of the execution's, where a public address is known. ``recipient`` is None for a channel that has one receiver.
    """

    id: str
    event: EventKind
    sequence: int
    time: int
    route: str
    attempt: int
    is_sample: bool = False
    execution_id: str
    workflow: str | None
    owner: str | None
    status: str
    interaction_id: str | None = None
    prompt: HumanPrompt | None = None
    assignees: tuple[str, ...] = ()
    actor: str | None = None
    priority: int = 0
    due_at: int | None = None
    deadline_at: int | None = None
    votes: int | None = None
    voted: int = 0
    detail: Mapping[str, Any] | None = None
    link: str | None = None
    recipient: Recipient | None = None


def notice_of(
    row: outbox.Claimed,
    kind: EventKind,
    detail: Mapping[str, Any] | None,
    recipient: Recipient | None,
    public_url: str | None,
) -> Notice:
    """The notice that a claimed row of the outbox tells."""
    link = None
    if public_url is not None:
        link = f"{public_url}/view/{quote(row.execution_id, safe='')}"
        if row.prompt is not None and row.wait_id is not None:
            link = f"{link}/prompt/{quote(row.wait_id, safe='')}"
    return Notice(
        id=row.id,
        event=kind,
        sequence=row.sequence,
        time=row.time,
        route=row.route,
        attempt=row.attempt,
        execution_id=row.execution_id,
        workflow=row.workflow,
        owner=row.owner,
        status=row.status,
        interaction_id=None if row.prompt is None else row.wait_id,
        prompt=None if row.prompt is None else read_prompt(decode(row.prompt)),
        assignees=tuple(decode(row.assignees) or ()),
        actor=row.actor,
        priority=row.execution_priority if row.priority is None else row.priority,
        due_at=row.due_at,
        deadline_at=row.deadline_at,
        votes=row.votes,
        voted=row.voted,
        detail=detail,
        link=link,
        recipient=recipient,
    )


class Channel(Protocol):
    """A way to tell somebody something."""

    async def send(self, notice: Notice) -> None:
        """Hand the notice over, and return once the receiver has it.

        Raises ``DeliveryFailed`` where the receiver does not have it, or nobody knows whether it has.
        """

    async def close(self) -> None:
        """Let go of connections. Nothing is sent after that."""


class DeliveryFailed(Exception):
    """A receiver does not have a notice, or nobody knows whether it has.

    ``problem`` says why, as a sentence for operators; it never holds a secret. With ``is_final`` another attempt would fail as
    well. ``retry_after`` are the seconds that the receiver asked to be left alone for, at most ``LONGEST_WAIT``; None where it
    said nothing, or nothing that is a time.
    ``disables`` says that the receiver is gone for good, so that nothing more is sent to it until an operator enables the route.
    """

    def __init__(
        self, problem: str, *, is_final: bool = False, retry_after: float | None = None, disables: bool = False
    ) -> None:
        super().__init__(problem)
        self.problem = str(problem).encode("utf-8", "replace").decode()  # a file has no room for half a character
        self.is_final = is_final
        self.retry_after = _seconds(retry_after)
        self.disables = disables


def _seconds(given: object) -> float | None:
    """A number of seconds from 0 to ``LONGEST_WAIT``; None for what is no number."""
    if not isinstance(given, int | float) or (isinstance(given, float) and not isfinite(given)):
        return None
    return float(min(max(given, 0), LONGEST_WAIT))
