"""What an operation is: its handler, parameters, body and every possible reply. ``operations.py`` is the table of them."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from starlette.requests import Request
from starlette.responses import Response

from restpoint import errors
from restpoint.http.parameters import Parameter

Handler = Callable[[Request], Awaitable[Response]]
_Error = type[errors.RestpointError] | str


@dataclass(frozen=True, slots=True)
class Content:
    """A body. ``schema`` is an annotation that pydantic reads; Any is any JSON. ``examples`` have a name each."""

    schema: Any
    media_types: tuple[str, ...] = ("application/json",)
    examples: Mapping[str, Any] = field(default_factory=dict)
    required: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply that is no problem; ``content`` is None where it has no body."""

    description: str
    content: Content | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation.

    - ``path``: as Starlette writes it; ``{name:path}`` may contain slashes.
    - ``errors``: the errors that it has beside those of every operation of its ``kind``: classes, or codes that only HTTP has.
      ``problems.STATUS`` has their statuses.
    - ``kind``: a ``guarded`` operation needs an actor, an ``open`` one does not, and a ``page`` shows its errors to browsers as
      pages.
    """

    method: Literal["GET", "POST", "DELETE"]
    path: str
    handler: Handler
    id: str
    tag: str
    replies: Mapping[int, Reply]
    errors: tuple[_Error, ...] = ()
    parameters: tuple[Parameter[Any], ...] = ()
    body: Content | None = None
    kind: Literal["guarded", "open", "page"] = "guarded"

    @property
    def query(self) -> frozenset[str] | None:
        """The names that its query may have; None where it may have any.

        A page takes no offence: whoever links to it may have added something, and a provider may send parameters to a callback
        that OAuth does not know, which a client ignores (RFC 6749, section 4.1.2).
        """
        if self.kind == "page":
            return None
        return frozenset(each.name for each in self.parameters if each.place == "query")

    @property
    def codes(self) -> list[str]:
        """The codes of every problem that it can be answered with."""
        found = ["internal_error", *self.errors]
        if self.query is not None:
            found += ["unknown_parameter", errors.InvalidArgument, "malformed_request"]
        if self.kind == "guarded":
            found += [*_GUARDED, *STORAGE]
            found += [] if self.method == "GET" else ["cross_site"]
            found += [] if self.body is None else _BODY
        return sorted({each if isinstance(each, str) else each.code for each in found})


STORAGE: Final[tuple[type[errors.RestpointError], ...]] = (
    errors.StoreClosed,
    *(kind for kind in errors.by_code().values() if issubclass(kind, errors.StorageError)),
)
"""What every operation that reads or writes the file may fail with."""

_BODY: Final = ("malformed_json", "request_timeout", "body_too_large", "body_too_complex", "invalid_body")
_GUARDED: Final = ("not_authenticated", "loopback_only", errors.NotAllowed, errors.InvalidArgument)
