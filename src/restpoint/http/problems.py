"""Errors as HTTP shows them: problem details (RFC 9457) with a stable ``code`` and a ``detail`` that says what to do.

The detail of a ``RestpointError`` is restpoint's own text about ids, names and limits. Any other exception is a defect: the
client gets ``internal_error`` and nothing else, and the log gets the traceback.
"""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from pydantic_core import to_json
from starlette.responses import Response

from restpoint import errors
from restpoint._core.log_limit import STORAGE_FAILURES
from restpoint.errors.roots import INSTANTS, MEMBERS

log = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"

_HTTP_STATUS: Final[Mapping[str, int]] = {
    "malformed_json": 400,
    "malformed_request": 400,
    "unknown_parameter": 400,
    "not_authenticated": 401,
    "cross_site": 403,
    "loopback_only": 403,
    "no_metrics": 404,
    "route_not_found": 404,
    "method_not_allowed": 405,
    "request_timeout": 408,
    "body_too_large": 413,
    "body_too_complex": 422,
    "invalid_body": 422,
    "internal_error": 500,
    "not_ready": 503,
    "too_many_connections": 503,
}
"""The codes that only HTTP has."""

_ERROR_STATUS: Final[Mapping[type[errors.RestpointError], int]] = {
    errors.NotAllowed: 403,
    errors.FourEyes: 403,
    errors.SamePerson: 403,
    errors.VoterUnknown: 403,
    errors.ExecutionGone: 410,  # RFC 9110, section 15.5.11
    errors.IllegalTransition: 409,
    errors.Conflict: 409,
    errors.InteractionAlreadyResolved: 409,
    errors.InteractionClaimed: 409,
    errors.AlreadyVoted: 409,
    errors.InteractionExists: 409,
    errors.ExecutionHeld: 409,
    errors.CannotRetry: 409,
    errors.ExecutionCancelled: 409,
    errors.InteractionExpired: 410,
    errors.InteractionWithdrawn: 410,
    errors.WorkflowFailed: 422,  # the reply to a start; the code is the one that the workflow gave
    errors.OwnerLimitReached: 429,
    errors.StoreClosed: 503,
    errors.StorageFull: 507,
}
"""The errors whose status does not follow from what they derive from."""

_RETRY_SECONDS: Final = "1"


def _status_of(kind: type[errors.RestpointError]) -> int:
    if kind in _ERROR_STATUS:
        return _ERROR_STATUS[kind]
    if issubclass(kind, errors.NotFound):
        return 404
    if issubclass(kind, errors.Refused):
        return 422
    return 503 if issubclass(kind, errors.StorageError) else 500


STATUS: Final[Mapping[str, int]] = {
    **{code: _status_of(kind) for code, kind in errors.by_code().items()},
    **_HTTP_STATUS,
}
"""The status of every code of a problem. A workflow that fails may have a code of its own, which is not among them."""


class Problem(Exception):
    """An error as HTTP replies with it.

    ``status`` is that of the code unless given. ``members`` are further members of the body, ``headers`` those of the reply.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        **members: object,
    ) -> None:
        super().__init__(detail)
        self.status = STATUS[code] if status is None else status
        self.code = code
        self.detail = detail
        self.headers = headers
        self.members = members

    def response(self) -> Response:
        """The reply that tells the client."""
        body = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            **self.members,
        }
        # Caches may keep a 404 or 410 that says nothing about it (RFC 9110, section 15.1).
        headers = {"cache-control": "no-store", "x-content-type-options": "nosniff", **(self.headers or {})}
        return Response(to_json(body, inf_nan_mode="null"), self.status, headers=headers, media_type=MEDIA_TYPE)


def problem_of(error: Exception) -> Problem:
    """The problem that an exception becomes."""
    if isinstance(error, Problem):
        return error
    if not isinstance(error, errors.RestpointError):
        log.error("a request ended with a defect", exc_info=error)
        return Problem("internal_error", "The server has a defect; its log says more. Trying again may help.")
    status, detail = _status_of(type(error)), str(error)
    if isinstance(error, errors.StorageError):
        STORAGE_FAILURES.error(log, "the storage failed a request: %s", error)
        detail = "The storage failed; nothing was acknowledged. Try again, and have the operator read the log."
        if status == HTTPStatus.INSUFFICIENT_STORAGE:
            detail = "The server has no room to write; nothing was written. Try again once its operator has made room."
    retry = status in {HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.INSUFFICIENT_STORAGE}
    headers = {"retry-after": _RETRY_SECONDS} if retry else {}
    if isinstance(error, errors.OwnerLimitReached):
        headers = {"retry-after": str(error.retry_after)}
    members: dict[str, Any] = {name: getattr(error, name) for name in MEMBERS if getattr(error, name, None) is not None}
    if isinstance(error, errors.IdempotencyConflict):
        # A problem of a start that names an execution says how that one failed; this start began none.
        members.pop("execution_id", None)
    if isinstance(error, errors.ResponseNotAccepted) and error.errors:
        members["errors"] = [each._asdict() for each in error.errors]  # as RFC 9457, section 3, has them
    for name in INSTANTS:
        if name in members:
            members[name] /= 1000  # seconds, as everywhere on the wire
    return Problem(error.code, detail, status=status, headers=headers, **members)
