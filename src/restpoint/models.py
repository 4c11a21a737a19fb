"""What goes over the wire: the bodies of requests and replies. What the original store had is as it was there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Discriminator, Field, model_validator

from restpoint.events import EventKind
from restpoint.lifecycle import TERMINAL, ExecutionStatus
from restpoint.prompts import HumanPrompt, HumanPromptNotification, HumanResponse


class _Execution(BaseModel):
    execution_id: str


class ExecutionRunningStatus(_Execution):
    """The execution runs: it waits for nobody and has not ended."""

    status: Literal[ExecutionStatus.RUNNING] = ExecutionStatus.RUNNING


class ExecutionInteractionRequiredStatus(_Execution):
    """The execution waits for a person. The response is posted to ``response_url``."""

    status: Literal[ExecutionStatus.INTERACTION_REQUIRED] = ExecutionStatus.INTERACTION_REQUIRED
    interaction_id: str
    prompt: HumanPrompt
    response_url: str


class ExecutionOAuthRequiredStatus(_Execution):
    """The execution waits for a consent. The person opens ``auth_url``."""

    status: Literal[ExecutionStatus.OAUTH_REQUIRED] = ExecutionStatus.OAUTH_REQUIRED
    auth_url: str
    oauth_state: str


class ExecutionCompletedStatus(_Execution):
    """The execution ended with a result."""

    status: Literal[ExecutionStatus.COMPLETED] = ExecutionStatus.COMPLETED
    result: Any


class ExecutionFailedStatus(_Execution):
    """The execution ended with an error. The text is for people."""

    status: Literal[ExecutionStatus.FAILED] = ExecutionStatus.FAILED
    error: str


class ExecutionCancelledStatus(_Execution):
    """The execution was cancelled. The original had no such status."""

    status: Literal[ExecutionStatus.CANCELLED] = ExecutionStatus.CANCELLED


class ExecutionAcceptedInteraction(ExecutionInteractionRequiredStatus):
    """The start was accepted, and the execution waits for a person already. ``status_url`` is where to poll."""

    status_url: str


class ExecutionAcceptedOAuth(ExecutionOAuthRequiredStatus):
    """The start was accepted, and the execution waits for a consent already. ``status_url`` is where to poll."""

    status_url: str


class InteractionResponseRequest(BaseModel, extra="forbid"):
    """The body that answers a prompt."""

    response: HumanResponse


# --- What the original did not have ----------------------------------------------------------------------------------


class Reminders(BaseModel):
    """The reminders and the escalation of an open prompt. Times are seconds since the epoch; None where there is none."""

    remind_at: float | None = None
    """When those who have the prompt are reminded next."""
    reminded_at: float | None = None
    """When they were reminded last."""
    escalate_at: float | None = None
    """When the prompt is addressed to ``escalate_to`` instead."""
    escalated_at: float | None = None
    """When that was done. It is neither to come nor done where none of them may answer the prompt."""
    escalate_to: list[str] = Field(default_factory=list)


class OpenInteraction(BaseModel):
    """One of the open prompts of an execution. Times are seconds since the epoch."""

    interaction_id: str
    prompt: HumanPrompt
    response_url: str
    created_at: float | None = None
    deadline: float | None = None
    assignees: list[str] | None = None
    four_eyes: bool = False
    priority: int = 0
    due: float | None = None
    """When it should be answered; nothing happens then."""
    claimed_by: str | None = None
    """Who alone may answer it now; None: nobody has claimed it."""
    claimed_at: float | None = None
    votes: int | None = None
    """How many equal votes answer it; None: the answer of one person does."""
    voted: list[str] = Field(default_factory=list)
    """Who has voted so far, the first one first."""
    reminders: Reminders | None = None
    """Its reminders and its escalation; None where it was asked without any."""


class InboxItem(BaseModel):
    """An open prompt in an inbox. Times are seconds since the epoch."""

    execution_id: str
    interaction_id: str
    workflow: str | None = None
    owner: str | None = None
    priority: int = 0
    """Its own, or else that of its execution."""
    due: float | None = None
    """When it should be answered; nothing happens then."""
    deadline: float | None = None
    """When it cannot be answered any more."""
    created_at: float
    assignees: list[str] = Field(default_factory=list)
    four_eyes: bool = False
    excluded: list[str] = Field(default_factory=list)
    """People who must not answer it, because they answered another prompt."""
    claimed_by: str | None = None
    """Who alone may answer it now; None: nobody has claimed it."""
    claimed_at: float | None = None
    votes: int | None = None
    """How many equal votes answer it; None: the answer of one person does."""
    voted: list[str] = Field(default_factory=list)
    """Who has voted so far, the first one first."""
    reminders: Reminders | None = None
    """Its reminders and its escalation; None where it was asked without any."""
    prompt: HumanPrompt
    response_url: str = ""


class InboxList(BaseModel):
    """A page of an inbox, the most urgent first. ``next_cursor`` gets the next page; it is None on the last one."""

    items: list[InboxItem]
    next_cursor: str | None = None


class SessionItem(BaseModel):
    """A session of somebody who signed in at a browser, with the rights that it began with. Times are seconds since the epoch.

    ``provider`` is None where it began with a bearer token. It ends at ``ends_at`` unless it is used before, and at
    ``expires_at`` in any case.
    """

    id: str
    person: str
    groups: list[str] = []
    roles: list[str] = []
    provider: str | None = None
    created_at: float
    used_at: float
    ends_at: float
    expires_at: float


class SessionList(BaseModel):
    """The sessions that are not over, the oldest first."""

    items: list[SessionItem]


class NoticeItem(BaseModel):
    """A notice of the outbox: what is told, to whom, and what became of it. Times are seconds since the epoch."""

    id: str
    """The same at every attempt."""
    status: Literal["pending", "delivered", "moot", "given_up", "dropped"]
    event: str
    """What is told."""
    sequence: int
    """The row of history of that event."""
    route: str
    channel: str
    recipient: str | None = None
    """The person; None where the channel has one receiver, or where the people are not looked up yet."""
    execution_id: str
    wait_id: str | None = None
    attempts: int
    created_at: float
    due_at: float | None = None
    """When it is tried next; None: it is settled, or its route is disabled."""
    ended_at: float | None = None
    opened_at: float | None = None
    """When the recipient opened the page of the prompt."""
    problem: str | None = None
    """Why the last attempt failed."""
    opens_at: float | None = None
    """When the hours of its route begin, which it waits for; None: it does not wait for them."""


class NoticeList(BaseModel):
    """A page of the outbox, the newest first. ``next_cursor`` gets the next page; it is None on the last one."""

    items: list[NoticeItem]
    next_cursor: str | None = None


class RouteItem(BaseModel):
    """A route by which people are told of events."""

    name: str
    channel: str
    events: list[str]
    disabled_at: float | None = None
    """Since when nothing is sent by it because the receiver is gone, in seconds since the epoch."""
    problem: str | None = None
    """What the receiver said then."""


class RouteList(BaseModel):
    """Every route by which people are told of events."""

    items: list[RouteItem]


class Notification(BaseModel):
    """A message of a workflow that nobody waits for."""

    prompt: HumanPromptNotification
    created_at: float
    """In seconds since the epoch."""


class ExecutionLabels(BaseModel):
    """What was chosen when an execution was started. It never changes."""

    workflow: str | None = None
    owner: str | None = None
    priority: int = 0


class StepUnderWay(BaseModel):
    """A step that has failed so many times and is tried again. Times are seconds since the epoch."""

    name: str
    attempts: int
    failed_at: float
    next_at: float
    error_type: str
    error_message: str


class Failure(BaseModel):
    """What a workflow raised. Only operators see it."""

    type: str
    message: str
    traceback: str


class _AnyExecution(_Execution):
    status: ExecutionStatus
    version: int | None = None
    """The version of its workflow; None where no runner runs it."""
    problem: str | None = None
    """Why nobody goes on with it; None where somebody does, or nobody need."""
    sleeping_until: float | None = None
    """Until when it sleeps, in seconds since the epoch; None where it does not sleep."""


class ExecutionListItem(ExecutionLabels, _AnyExecution):
    """An execution in a list. Times are seconds since the epoch."""

    created_at: float
    completed_at: float | None = None
    expires_at: float | None = None
    hold: str | None = None
    open_waits: int = 0
    error: str | None = None
    error_code: str | None = None


class ExecutionList(BaseModel):
    """A page of a list, the newest execution first. ``next_cursor`` gets the next page; it is None on the last one."""

    items: list[ExecutionListItem]
    next_cursor: str | None = None


class HistoryItem(BaseModel):
    """One row of history. ``time`` is seconds since the epoch; ``digest`` is hexadecimal."""

    sequence: int
    execution_id: str | None = None
    event: str
    wait_id: str | None = None
    from_status: str | None = None
    to_status: str | None = None
    actor: str | None = None
    cause: str | None = None
    time: float
    detail: Any = None
    digest: str | None = None

    @property
    def kind(self) -> EventKind | None:
        """What kind of event it is; None for one that this version does not know."""
        return EventKind.named(self.event)


class HistoryList(BaseModel):
    """A page of the history of an execution, in order. ``next_after`` is the ``after`` of the next page; null at the end."""

    items: list[HistoryItem]
    next_after: int | None = None


class WorkflowItem(BaseModel):
    """A workflow that can be started, with the JSON Schema of its input and output."""

    name: str
    version: int = 1
    description: str | None = None
    input_schema: dict[str, Any] | None = None
    output_schema: dict[str, Any] | None = None


class WorkflowList(BaseModel):
    """The workflows that can be started."""

    items: list[WorkflowItem]


# --- What a client is given ------------------------------------------------------------------------------------------


class Execution(ExecutionLabels, _AnyExecution):
    """An execution as the server shows it to this client. Times are seconds since the epoch.

    ``interactions`` are the open prompts that this client may see, the oldest first. A completed execution has ``result``, and
    a failed one has ``error`` (a text for people) and ``error_code`` (which stays the same from release to release).
    """

    created_at: float | None = None
    completed_at: float | None = None
    expires_at: float | None = None
    hold: str | None = None
    interactions: list[OpenInteraction] = Field(default_factory=list)
    auth_url: str | None = None
    oauth_state: str | None = None
    result: Any = None
    error: str | None = None
    error_code: str | None = None
    notifications: list[Notification] = Field(default_factory=list)
    """What its workflow notified people of: the newest 20, the oldest of them first."""
    steps: list[StepUnderWay] = Field(default_factory=list)
    """The steps that have failed and are tried again."""
    failure: Failure | None = None
    """What the workflow of a failed execution raised; None for clients that are no operators."""

    @model_validator(mode="before")
    @classmethod
    def _one_prompt_is_a_list_of_one(cls, data: object) -> object:
        # A server of the original's wire shows one prompt, in the body itself.
        if isinstance(data, Mapping) and "interaction_id" in data and not data.get("interactions"):
            return {**data, "interactions": [data]}
        return data

    @property
    def has_ended(self) -> bool:
        """Whether the execution is completed, failed or cancelled."""
        return self.status in TERMINAL

    @property
    def needs_someone(self) -> bool:
        """Whether the execution waits for an answer or a consent."""
        return self.status in {ExecutionStatus.INTERACTION_REQUIRED, ExecutionStatus.OAUTH_REQUIRED}


@dataclass(frozen=True, slots=True)
class Event:
    """An event of an execution, as a stream has it: ``sequence`` is its row of history, and ``data`` what that row says."""

    sequence: int
    event: str
    data: Any


# --- What only code that was written for the original store uses -----------------------------------------------------

ExecutionStatusResponse = Annotated[
    ExecutionRunningStatus
    | ExecutionInteractionRequiredStatus
    | ExecutionOAuthRequiredStatus
    | ExecutionCompletedStatus
    | ExecutionFailedStatus
    | ExecutionCancelledStatus,
    Discriminator("status"),
]
"""The body of ``GET /executions/{id}``."""

ExecutionAcceptedResponse = Annotated[ExecutionAcceptedInteraction | ExecutionAcceptedOAuth, Discriminator("status")]
"""The body of a start that was accepted and waits for someone."""


class _StreamEvent(BaseModel):
    event_type: str
    execution_id: str

    def get_stream_data(self) -> str:
        """The event as text/event-stream has it (HTML Living Standard, section 9.2)."""
        return f"event: {self.event_type}\ndata: {self.model_dump_json()}\n\n"


class StreamInteractionEvent(_StreamEvent):
    """A stream says that a person is asked."""

    event_type: Literal["interaction_required"] = "interaction_required"
    interaction_id: str
    prompt: HumanPrompt
    response_url: str


class StreamOAuthEvent(_StreamEvent):
    """A stream says that a consent is needed."""

    event_type: Literal["oauth_required"] = "oauth_required"
    auth_url: str
    oauth_state: str
