"""Executions as the wire shows them: the bodies of replies and the data of events, and their schemas for OpenAPI.

The bodies are made as plain dicts, because a poll is the request that is made most.
"""

from functools import lru_cache
from http import HTTPStatus
from typing import Annotated, Any, Final
from urllib.parse import quote

from pydantic import BaseModel, Discriminator, Field, TypeAdapter

from restpoint._store.futures import PendingInteraction
from restpoint.http.problems import MEDIA_TYPE
from restpoint.lifecycle import ExecutionStatus
from restpoint.models import (
    ExecutionAcceptedInteraction,
    ExecutionAcceptedOAuth,
    ExecutionCancelledStatus,
    ExecutionCompletedStatus,
    ExecutionFailedStatus,
    ExecutionInteractionRequiredStatus,
    ExecutionOAuthRequiredStatus,
    ExecutionRunningStatus,
    OpenInteraction,
)
from restpoint.service import View


@lru_cache(maxsize=1024)
def _in_a_path(text: str) -> str:
    return quote(text, safe="")


def status_url(base: str, execution_id: str) -> str:
    """Where an execution is polled; ``base`` is where the routes are mounted."""
    return f"{base}/executions/{_in_a_path(execution_id)}"


def response_url(base: str, execution_id: str, interaction_id: str) -> str:
    """Where a response to an interaction goes."""
    return f"{status_url(base, execution_id)}/interactions/{_in_a_path(interaction_id)}/response"


def status_body(view: View, base: str, consent_url: str = "") -> dict[str, Any]:
    """What a poll shows of an execution; ``consent_url`` is where the consent that is shown is granted."""
    record, status = view.record, view.status
    execution_id = record.execution_id
    body: dict[str, Any] = {
        "execution_id": execution_id,
        "status": status.value,
        "workflow": record.workflow,
        "owner": record.owner,
        "created_at": record.created_at,
    }
    if view.ended:
        body["completed_at"], body["expires_at"] = record.completed_at, record.expires_at
        if status is ExecutionStatus.COMPLETED:
            body["result"] = record.result
        elif status is ExecutionStatus.FAILED:
            body["error"], body["error_code"] = record.error or "", record.error_code
        return body
    if status is ExecutionStatus.INTERACTION_REQUIRED and (prompt := view.prompt) is not None:
        body |= asked(prompt, execution_id, base)
        body["deadline"] = prompt.deadline
    elif status is ExecutionStatus.OAUTH_REQUIRED:
        # The address has the state in it: both are the person's whose consent it is, and empty for all others.
        body["auth_url"] = consent_url
        body["oauth_state"] = "" if view.consent is None else view.consent.oauth_state
    body["interactions"] = [
        {
            **asked(prompt, execution_id, base),
            "created_at": prompt.created_at,
            "deadline": prompt.deadline,
            "assignees": list(prompt.assignees) or None,
            "four_eyes": prompt.four_eyes,
            "may_answer": prompt.interaction_id in view.answerable,
        }
        for prompt in view.prompts
    ]
    return body


def asked(prompt: PendingInteraction, execution_id: str, base: str) -> dict[str, Any]:
    """A prompt with its id and where the response goes."""
    return {
        "interaction_id": prompt.interaction_id,
        "prompt": prompt.data,
        "response_url": response_url(base, execution_id, prompt.interaction_id),
    }


# --- Schemas ---------------------------------------------------------------------------------------------------------


class _Details(BaseModel):
    workflow: str | None = None
    owner: str | None = None
    created_at: float | None = Field(None, description="Seconds since the epoch.")


class _OpenInteraction(OpenInteraction):
    may_answer: bool = Field(True, description="Whether the response of whoever asks would count.")


class _Live(_Details):
    interactions: list[_OpenInteraction] = Field([], description="Every open prompt, the oldest first.")


class _Ended(_Details):
    completed_at: float | None = Field(None, description="Seconds since the epoch.")
    expires_at: float | None = Field(None, description="When it leaves the file, in seconds since the epoch.")


class _Asks(_Live):
    deadline: float | None = Field(None, description="When the prompt falls due, in seconds since the epoch.")


class _Running(ExecutionRunningStatus, _Live): ...


class _Interaction(ExecutionInteractionRequiredStatus, _Asks): ...


class _OAuth(ExecutionOAuthRequiredStatus, _Live): ...


class _Completed(ExecutionCompletedStatus, _Ended): ...


class _Failed(ExecutionFailedStatus, _Ended):
    error_code: str | None = None


class _Cancelled(ExecutionCancelledStatus, _Ended): ...


class _StartedRunning(_Running):
    status_url: str


class _StartedInteraction(ExecutionAcceptedInteraction, _Asks): ...


class _StartedOAuth(ExecutionAcceptedOAuth, _Live): ...


_Polled = Annotated[
    _Running | _Interaction | _OAuth | _Completed | _Failed | _Cancelled,
    Discriminator("status"),
]
_Accepted = Annotated[_StartedRunning | _StartedInteraction | _StartedOAuth, Discriminator("status")]


def schema_of(annotation: Any) -> dict[str, Any]:
    """The JSON schema of what is written, in one piece."""
    return inlined(TypeAdapter(annotation).json_schema(mode="validation"))


def inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema with its definitions in their places, as a router needs it that owns no document; ``{}`` if it is recursive."""
    definitions = schema.get("$defs", {})

    def resolve(part: Any, inside: tuple[str, ...]) -> Any:
        if isinstance(part, list):
            return [resolve(item, inside) for item in part]
        if not isinstance(part, dict):
            return part
        if isinstance(reference := part.get("$ref"), str):
            name = reference.rpartition("/")[2]
            if name in inside:
                raise RecursionError(name)
            rest = {key: value for key, value in part.items() if key != "$ref"}
            return {**resolve(definitions[name], (*inside, name)), **rest}
        # A discriminator maps to definitions, which are gone.
        return {key: resolve(value, inside) for key, value in part.items() if key not in {"$defs", "discriminator"}}

    try:
        resolved: dict[str, Any] = resolve(schema, ())
    except (RecursionError, KeyError):
        return {}
    return resolved


POLLED: Final = schema_of(_Polled)
ACCEPTED: Final = schema_of(_Accepted)
PROBLEM: Final[dict[str, Any]] = {
    "title": "Problem",
    "description": "What went wrong (RFC 9457). The code is stable; the detail is for people and says what to do.",
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
    },
    "required": ["type", "title", "status", "detail", "code"],
}


def json_reply(schema: dict[str, Any], description: str = "OK", media_type: str = "application/json") -> dict[str, Any]:
    """A reply with a body, as OpenAPI documents it."""
    return {"description": description, "content": {media_type: {"schema": schema}}}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Replies that are problems, as OpenAPI documents them."""
    return {status: json_reply(PROBLEM, HTTPStatus(status).phrase, MEDIA_TYPE) for status in statuses}
