"""Errors as HTTP shows them: problem details (RFC 9457) with a stable ``code`` and a ``detail`` that says what to do.

What an error says is restpoint's own text about ids, names and limits. What is not a ``RestpointError`` is a defect: the
client gets no word of it but ``internal_error``, the log gets the traceback.
"""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from pydantic_core import to_json
from starlette.responses import Response

from restpoint.errors import InteractionAlreadyResolved, NotFound, Refused, RestpointError, StorageError

log = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"

_STATUS: Final[dict[str, int]] = {
    "illegal_transition": 409,
    "conflict": 409,
    "already_resolved": 409,
    "interaction_exists": 409,
    "execution_held": 409,
    "execution_cancelled": 409,
    "interaction_expired": 410,
    "interaction_withdrawn": 410,
    "not_allowed": 403,
    "four_eyes": 403,
    "store_closed": 503,
    "storage_full": 507,
}
_TOLD: Final = ("execution_id", "interaction_id", "answered_by", "answered_at", "path", "reason", "sqlite_name")
_SOON: Final = "1"  # seconds


class Problem(Exception):
    """A refusal that only HTTP has. ``more`` are further members of its body, ``headers`` those of its reply."""

    def __init__(
        self, status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: object
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers
        self.more = more

    def reply(self) -> Response:
        """The reply that tells it."""
        body = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            **self.more,
        }
        # Some statuses of refusals, 404 and 410 among them, caches may keep unasked (RFC 9110, section 15.1).
        headers = {"cache-control": "no-store", **(self.headers or {})}
        return Response(to_json(body, inf_nan_mode="null"), self.status, headers=headers, media_type=MEDIA_TYPE)


def problem_of(error: Exception) -> Problem:
    """The problem that an error is."""
    if isinstance(error, Problem):
        return error
    if not isinstance(error, RestpointError):
        log.error("a request ended with a defect", exc_info=error)
        return Problem(500, "internal_error", "The server has a defect; its log says more. Trying again may help.")
    headers: dict[str, str] = {}
    status = _STATUS.get(error.code)
    if status is None:
        status = 404 if isinstance(error, NotFound) else 422 if isinstance(error, Refused) else 500
        if isinstance(error, StorageError):
            status = 503
            log.error("the storage failed a request: %s", error)
    if status in {503, 507}:
        headers["retry-after"] = _SOON
    more: dict[str, Any] = {name: getattr(error, name) for name in _TOLD if getattr(error, name, None) is not None}
    if error.code == "idempotency_conflict":
        # The problem of a start that names an execution tells how that one failed; this start began none.
        more.pop("execution_id", None)
    if isinstance(error, InteractionAlreadyResolved):
        more["answered_at"] = error.answered_at / 1000  # seconds, as everywhere on the wire
    detail = str(error)
    if isinstance(error, StorageError):
        detail = "The storage failed; nothing was acknowledged. Try again, and have the operator read the log."
    return Problem(status, error.code, detail, headers=headers, **more)
