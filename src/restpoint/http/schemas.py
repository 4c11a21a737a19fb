"""Models of what requests and replies contain, for the OpenAPI document: their names are those of its components."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field
from typing_extensions import TypeAliasType

from restpoint import models
from restpoint._core.serialization import MAX_TEXT_LENGTH


class _Details(models.ExecutionLabels):
    created_at: float | None = Field(None, description="When it was created, in seconds since the epoch.")
    version: int | None = Field(None, description="The version of its workflow; null where no runner runs it.")
    notifications: list[models.Notification] = Field(
        [], description="What the workflow notified people of: the newest 20, the oldest of them first."
    )


class OpenInteraction(models.OpenInteraction):
    """One open prompt of an execution, of perhaps several."""

    may_answer: bool = Field(True, description="Whether a response by whoever asks would be accepted.")


class _Live(_Details):
    interactions: list[OpenInteraction] = Field([], description="Every open prompt, the oldest first.")
    problem: str | None = Field(
        None, description="Why nobody goes on with it; null where somebody does, or nobody need."
    )


class _Ended(_Details):
    completed_at: float | None = Field(None, description="When it ended, in seconds since the epoch.")
    expires_at: float | None = Field(None, description="When it is deleted, in seconds since the epoch.")


class _Asks(_Live):
    deadline: float | None = Field(None, description="The deadline of the prompt, in seconds since the epoch.")


class ExecutionRunning(models.ExecutionRunningStatus, _Live):
    """An execution that is at work: nothing is asked."""

    sleeping_until: float | None = Field(None, description="Until when it sleeps, in seconds since the epoch.")
    steps: list[models.StepUnderWay] = Field([], description="The steps that have failed and are tried again.")


class ExecutionInteractionRequired(models.ExecutionInteractionRequiredStatus, _Asks):
    """An execution that waits for a person. The fields of the prompt are those of the oldest that the caller may answer."""


class ExecutionOAuthRequired(models.ExecutionOAuthRequiredStatus, _Live):
    """An execution that waits for an OAuth consent, which is granted at ``auth_url``."""


class ExecutionCompleted(models.ExecutionCompletedStatus, _Ended):
    """An execution that ended with a result."""


class ExecutionFailed(models.ExecutionFailedStatus, _Ended):
    """An execution that ended with an error: ``error`` is for people, ``error_code`` is stable."""

    error_code: str | None = None
    failure: models.Failure | None = Field(None, description="What the workflow raised; for operators only.")


class ExecutionCancelled(models.ExecutionCancelledStatus, _Ended):
    """An execution that somebody cancelled."""


class StartedRunning(ExecutionRunning):
    """A start that was accepted; the execution is still at work. ``status_url`` is where to poll."""

    status_url: str


class StartedInteractionRequired(models.ExecutionAcceptedInteraction, _Asks):
    """A start that was accepted; the execution waits for a person. ``status_url`` is where to poll."""


class StartedOAuthRequired(models.ExecutionAcceptedOAuth, _Live):
    """A start that was accepted; the execution waits for an OAuth consent. ``status_url`` is where to poll."""


Execution = TypeAliasType(
    "Execution",
    Annotated[
        ExecutionRunning
        | ExecutionInteractionRequired
        | ExecutionOAuthRequired
        | ExecutionCompleted
        | ExecutionFailed
        | ExecutionCancelled,
        Discriminator("status"),
    ],
)
StartedExecution = TypeAliasType(
    "StartedExecution",
    Annotated[StartedRunning | StartedInteractionRequired | StartedOAuthRequired, Discriminator("status")],
)


class InteractionResponse(models.InteractionResponseRequest):
    """The response to a prompt, of the kind that the prompt asks for."""


class Cancellation(BaseModel):
    """Why an execution is cancelled, for its history."""

    model_config = ConfigDict(extra="forbid")

    # What may be stored (check_text): no NUL, and not without end.
    reason: Annotated[str, Field(max_length=MAX_TEXT_LENGTH, pattern=r"^[^\u0000]*$")] | None = None


class Delegation(Cancellation):
    """Whom a prompt is handed on to: a person by id, or a group as ``group:NAME``; and why, for the history."""

    to: str


class Reassignment(Cancellation):
    """The people and groups that a prompt is addressed to from now on; and why, for the history."""

    to: Annotated[list[str], Field(min_length=1)]


class Retrial(Cancellation):
    """Why a failed execution is taken up again, for its history."""


class Health(BaseModel):
    """The server is well."""

    status: Literal["ok"]


class AuditQuestion(BaseModel):
    """A question of auditors that the server answers, and the SQL view that answers it."""

    name: str
    title: str
    view: str


class AuditQuestionList(BaseModel):
    """The questions of auditors."""

    items: list[AuditQuestion]


class ConsentDecision(BaseModel):
    """The form of a consent's page. ``proof`` shows that the page was shown to the person who may send it."""

    proof: str | None = None
    decision: str | None = None


class SignInForm(BaseModel):
    """What the page to sign in sends: a provider or a token."""

    provider: str | None = None
    token: str | None = None
    next: str | None = Field(default=None, description="A path of this server to go on at.")


class RevocationOfOne(BaseModel, extra="forbid"):
    """The session that ends: its id, or enough of its beginning."""

    session: str = Field(min_length=1)


class RevocationOfPerson(BaseModel, extra="forbid"):
    """The person whose sessions end."""

    of: str = Field(min_length=1)


class RevocationOfAll(BaseModel, extra="forbid"):
    """Every session of everybody ends."""

    all: Literal[True]


Revocation = RevocationOfOne | RevocationOfPerson | RevocationOfAll


class Revoked(BaseModel):
    """How many sessions ended."""

    ended: int


class CallbackForm(BaseModel):
    """A callback of a provider whose response mode is ``form_post``."""

    state: str | None = None
    code: str | None = None
    iss: str | None = None
    error: str | None = None
    error_description: str | None = None


class StreamEvent(BaseModel):
    """One server-sent event. ``id`` is the row of history, and ``data`` one line of JSON."""

    event: str | None = None
    id: str | None = None
    data: str


class ProblemField(BaseModel):
    """What is wrong with one field of a form: a JSON pointer into its content (RFC 6901), and what to do."""

    pointer: str
    detail: str


class ProblemDetails(BaseModel):
    """What went wrong (RFC 9457). ``code`` is stable; ``detail`` is for people and says what to do."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[ProblemField] | None = Field(None, description="What is wrong with each field of a form.")
