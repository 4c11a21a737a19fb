"""What jobs are given and what they emit: plain values. The store folds the events into its records after COMMIT."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from restpoint._core.execution_row import ExecutionRow
from restpoint.events import EventKind, WaitKind

if TYPE_CHECKING:
    from pydantic import BaseModel


@dataclass(slots=True)
class Wait:
    """A row of ``interactions`` or ``consents``. Times are milliseconds since the epoch."""

    kind: WaitKind
    id: str
    status: str
    opened: int
    created_at: int
    deadline_at: int | None
    prompt: str | None = None
    response: str | None = None
    auth_url: str | None = None
    oauth_state: str | None = None
    ended: bool = False
    """Whether it was withdrawn because its execution ended."""
    assignees: str | None = None
    four_eyes: int | None = None
    excluded: str | None = None
    priority: int | None = None
    due_at: int | None = None
    votes: int | None = None
    voters: str | None = None
    """Who has voted so far, the first one first, as a JSON list; None where the prompt takes no votes."""
    claimed_by: str | None = None
    claimed_at: int | None = None
    reminders: str | None = None
    """What falls due while it is open, as JSON; see ``reminders.py``."""
    provider: str | None = None
    """The provider of a consent that restpoint drives; None for a consent that the caller drives."""
    scopes: str | None = None
    answered_by: str | None = None
    closed_at: int | None = None
    given: "BaseModel | None" = None
    """The prompt or the response as the caller in this process gave it, which may be of a class of another library."""


@dataclass(slots=True)
class Change:
    """An event: what one row of history did to an execution. A job emits it, and the store hears of it after COMMIT.

    ``before`` and ``status`` are the status of the execution before and after it; ``at`` is its time, in milliseconds since the
    epoch. ``wait`` is the wait that the event is about, in the state that it has afterwards. ``lease`` is the lease of the
    process that asked, and so drives the execution, and ``epoch`` that of its claim. ``problem`` says why no runner can go on
    with it. ``execution`` is the whole execution, where the event created it. ``actor`` is who did it; None where that is
    nobody, or not said.
    """

    sequence: int
    execution_id: str
    event: EventKind
    before: str | None
    status: str
    at: int
    wait: Wait | None = None
    expires_at: int | None = None
    result: str | None = None
    error: str | None = None
    code: str | None = None
    lease: int | None = None
    epoch: int = 0
    problem: str | None = None
    execution: ExecutionRow | None = None
    actor: str | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """Whom an interaction is addressed to, how it stands in their inboxes, and what happens at its deadline.

    ``assignees``, ``other_than`` (the ids of prompts whose answerers must not answer it) and the response are JSON text. ``due``
    is in milliseconds from the asking, and so are ``remind_after`` and ``escalate_after``; ``escalate_to`` is JSON text too.
    ``votes`` is how many equal votes answer it; None: the answer of one person does.
    """

    assignees: str | None = None
    four_eyes: int | None = None
    on_deadline: Literal["default", "fail"] | None = None
    default_response: str | None = None
    priority: int | None = None
    due: int | None = None
    other_than: str | None = None
    votes: int | None = None
    remind_after: tuple[int, ...] = ()
    escalate_after: int | None = None
    escalate_to: str | None = None


NO_TERMS: Final = Terms()
