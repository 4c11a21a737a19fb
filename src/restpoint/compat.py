"""What only code that was written for the original store needs. restpoint itself uses none of it.

The original had these names in its modules of prompts and of wire models, so ``restpoint.prompts`` and ``restpoint.models``
offer them too. Code that is new to restpoint takes the same facts from ``restpoint.client`` and ``restpoint.models``.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Discriminator, model_validator

from restpoint.models import (
    ExecutionAcceptedInteraction,
    ExecutionAcceptedOAuth,
    ExecutionCancelledStatus,
    ExecutionCompletedStatus,
    ExecutionFailedStatus,
    ExecutionInteractionRequiredStatus,
    ExecutionOAuthRequiredStatus,
    ExecutionRunningStatus,
)
from restpoint.prompts import HumanPrompt, HumanResponse

# --- Envelopes around a prompt and a response ------------------------------------------------------------------------


class InteractionStatus(StrEnum):
    """Where an interaction is, in the words of the original's envelope."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"


class InteractionBase(BaseModel):
    """What ``InteractionPrompt`` and ``InteractionResponse`` share. ``timestamp`` is like ``2025-01-13T10:00:03Z``."""

    id: str
    type: str = "system_human_interaction"
    thread_id: str | None = None
    parent_id: str | None = None
    status: InteractionStatus = InteractionStatus.PENDING
    timestamp: str

    @model_validator(mode="after")
    def _timestamp_is_utc(self) -> Self:
        try:
            datetime.strptime(self.timestamp, "%Y-%m-%dT%H:%M:%SZ")  # noqa: DTZ007 - the Z is in the format
        except ValueError:
            raise ValueError("timestamp must look like 2025-01-13T10:00:03Z") from None
        return self


class InteractionPrompt(InteractionBase):
    """An envelope around a prompt."""

    content: HumanPrompt


class InteractionResponse(InteractionBase):
    """An envelope around a response."""

    content: HumanResponse


# --- Unions of the bodies of replies ---------------------------------------------------------------------------------

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

# --- Events of a stream ----------------------------------------------------------------------------------------------


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
