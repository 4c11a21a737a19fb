"""What a reply of the server says: an execution, or the error that the store would have raised."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final, TypeVar

import httpx
from pydantic import AliasChoices, BaseModel, Field, TypeAdapter, ValidationError, model_validator
from pydantic_core import from_json

from restpoint.errors import Refused, RestpointError, ServerUnreachable
from restpoint.lifecycle import TERMINAL, ExecutionStatus
from restpoint.models import OpenInteraction

T = TypeVar("T")

_LONGEST_PAUSE: Final = 30.0
_BY_STATUS: Final = {
    401: "not_allowed",
    403: "not_allowed",
    404: "not_found",
    409: "conflict",
    410: "interaction_expired",
}


class Execution(BaseModel):
    """An execution as the server shows it to this client. Times are seconds since the epoch.

    ``interactions`` are the open prompts that this client may see, the oldest first. ``result`` is there once it is
    completed, ``error`` (for people) and ``error_code`` (stable) once it has failed.
    """

    execution_id: str
    status: ExecutionStatus
    workflow: str | None = None
    owner: str | None = None
    created_at: float | None = None
    completed_at: float | None = None
    expires_at: float | None = None
    interactions: list[OpenInteraction] = Field(default_factory=list)
    auth_url: str | None = None
    oauth_state: str | None = None
    result: Any = None
    error: str | None = None
    error_code: str | None = Field(default=None, validation_alias=AliasChoices("error_code", "code"))

    @model_validator(mode="before")
    @classmethod
    def _one_prompt_is_a_list_of_one(cls, data: object) -> object:
        # A server of the original's wire shows one prompt, in the body itself.
        if isinstance(data, Mapping) and "interaction_id" in data and not data.get("interactions"):
            return {**data, "interactions": [data]}
        return data

    @property
    def has_ended(self) -> bool:
        """Whether it is completed, failed or cancelled."""
        return self.status in TERMINAL

    @property
    def needs_someone(self) -> bool:
        """Whether it waits for an answer or a consent."""
        return self.status in {ExecutionStatus.INTERACTION_REQUIRED, ExecutionStatus.OAUTH_REQUIRED}


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to an execution: ``data`` is what its row of history says, ``sequence`` is the row."""

    sequence: int
    event: str
    data: Any


def retry_after(reply: httpx.Response) -> float:
    """Seconds that the server asked to wait, as a number or a date (RFC 9110, section 10.2.3); at most 30."""
    text = reply.headers.get("retry-after", "").strip()
    if text.isdecimal():
        return min(float(text[:9]), _LONGEST_PAUSE)
    try:
        return min(max(parsedate_to_datetime(text).timestamp() - time.time(), 0.0), _LONGEST_PAUSE)
    except (ValueError, OverflowError):
        return 0.0


def body(reply: httpx.Response) -> Any:  # noqa: ANN401 - any JSON
    """The JSON of a reply. Raises ``ServerUnreachable`` where it is none."""
    try:
        return from_json(reply.content)
    except ValueError:
        raise ServerUnreachable(str(reply.request.url), "what answers there is no restpoint server") from None


def read(adapter: TypeAdapter[T], reply: httpx.Response) -> T:
    """The JSON of a reply as a model. Raises ``ServerUnreachable`` where it is not of that form."""
    try:
        return adapter.validate_python(body(reply))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ServerUnreachable(
            str(reply.request.url), f"its reply is not what this release knows ({where}: {first['msg']})"
        ) from None


def id_in(reply: httpx.Response) -> str:
    """The id of the execution that a reply is about, where the reply's body is its result."""
    place = reply.headers.get("content-location") or reply.headers.get("location") or ""
    return str(place.rstrip("/").rpartition("/")[2])


def problem_in(reply: httpx.Response) -> dict[str, Any]:
    """The members of a problem (RFC 9457); none where the reply is no such thing."""
    try:
        problem = from_json(reply.content)
    except ValueError:
        problem = None
    return problem if isinstance(problem, dict) else {}


def _every(root: type[RestpointError]) -> Iterator[type[RestpointError]]:
    yield root
    for kind in root.__subclasses__():
        yield from _every(kind)


def error_in(reply: httpx.Response, problem: Mapping[str, Any] | None = None) -> RestpointError:
    """The error that a reply stands for: the class by its ``code`` (RFC 9457 with that member), else by its status."""
    problem = problem_in(reply) if problem is None else problem
    detail = problem.get("detail") or problem.get("title")
    kinds = {kind.code: kind for kind in _every(RestpointError)}
    kind = kinds.get(str(problem.get("code"))) or kinds.get(_BY_STATUS.get(reply.status_code, ""))
    if kind is None and (reply.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR or detail is None):
        return ServerUnreachable(str(reply.request.url), f"it answered {reply.status_code} {reply.reason_phrase}")
    kind = kind or Refused
    message = str(detail or f"The server answered {reply.status_code} {reply.reason_phrase}.")
    # Not through its own constructor: that would write the message anew, from fields that need not be here.
    error = kind.__new__(kind, message)
    error.args = (message,)
    for name in ("execution_id", "interaction_id", "answered_by", "answered_at", "path", "reason"):
        if name in problem:
            setattr(error, name, problem[name])
    return error
