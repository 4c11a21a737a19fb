"""Reads the replies of the server: as a model, or as the error that the store would have raised."""

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final, TypeVar

import httpx
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from restpoint._core.serialization import first_problem
from restpoint.errors import FieldError, Refused, ResponseNotAccepted, RestpointError, ServerUnreachable, by_code
from restpoint.errors.roots import INSTANTS, MEMBERS

M = TypeVar("M", bound=BaseModel)

_LONGEST_PAUSE: Final = 30.0
_BY_STATUS: Final = {
    401: "not_allowed",
    403: "not_allowed",
    404: "not_found",
    409: "conflict",
    410: "interaction_expired",
}


def retry_after(reply: httpx.Response) -> float:
    """The seconds of ``Retry-After``, which is a number or a date (RFC 9110, section 10.2.3); at most 30."""
    text = reply.headers.get("retry-after", "").strip()
    if text.isdecimal():
        return min(float(text[:9]), _LONGEST_PAUSE)
    try:
        return min(max(parsedate_to_datetime(text).timestamp() - time.time(), 0.0), _LONGEST_PAUSE)
    except (ValueError, OverflowError):
        return 0.0


def body(reply: httpx.Response) -> Any:
    """The JSON of a reply. Raises ``ServerUnreachable`` if it is no JSON."""
    try:
        return from_json(reply.content)
    except ValueError:
        raise ServerUnreachable(str(reply.request.url), "what answers there is no restpoint server") from None


def read(model: type[M], reply: httpx.Response) -> M:
    """The JSON of a reply as a model. Raises ``ServerUnreachable`` if it does not have that form.

    Fields that this release does not know are left out, so that a newer server can be talked to.
    """
    try:
        return model.model_validate(body(reply), extra="ignore")
    except ValidationError as error:
        raise ServerUnreachable(
            str(reply.request.url), f"its reply is not what this release knows ({first_problem(error)})"
        ) from None


def id_in(reply: httpx.Response) -> str:
    """The id of the execution of a reply whose body is only the result."""
    place = reply.headers.get("content-location") or reply.headers.get("location") or ""
    return str(place.rstrip("/").rpartition("/")[2])


def problem_in(reply: httpx.Response) -> dict[str, Any]:
    """The members of a problem (RFC 9457); empty if the reply is no problem."""
    try:
        problem = from_json(reply.content)
    except ValueError:
        problem = None
    return problem if isinstance(problem, dict) else {}


def error_in(reply: httpx.Response, problem: Mapping[str, Any] | None = None) -> RestpointError:
    """The error of a reply: its class is found by the ``code`` of the problem (RFC 9457), else by the status."""
    problem = problem_in(reply) if problem is None else problem
    answered = f"{reply.status_code} {reply.reason_phrase}"
    kind = _kind(problem.get("code")) or _kind(_BY_STATUS.get(reply.status_code))
    if kind is None and (reply.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR or "detail" not in problem):
        return ServerUnreachable(str(reply.request.url), f"it answered {answered}")
    return _made(kind or Refused, {"detail": f"The server answered {answered}.", **problem})


def error_of(problem: object) -> RestpointError:
    """The error of an ``error`` event in a stream."""
    members = problem if isinstance(problem, dict) else {}
    return _made(_kind(members.get("code")) or Refused, {"detail": "The server ended the stream.", **members})


def _kind(code: object) -> type[RestpointError] | None:
    return by_code().get(code) if isinstance(code, str) else None


def _made(kind: type[RestpointError], members: Mapping[str, Any]) -> RestpointError:
    # Do not call its constructor: that would make another message, from fields that the problem may not have.
    message = str(members["detail"])
    error: RestpointError = (OSError if issubclass(kind, OSError) else Exception).__new__(kind, message)
    error.args = (message,)
    for name in MEMBERS:
        told = members.get(name)
        setattr(error, name, round(told * 1000) if name in INSTANTS and told is not None else told)
    if isinstance(error, ResponseNotAccepted):
        error.errors = _field_errors(members.get("errors"))
    return error


def _field_errors(told: object) -> tuple[FieldError, ...]:
    """The ``errors`` of a problem, as far as they have the form that this release knows."""
    found = told if isinstance(told, list) else []
    return tuple(
        FieldError(str(each["pointer"]), str(each["detail"]))
        for each in found
        if isinstance(each, dict) and {"pointer", "detail"} <= each.keys()
    )
