"""The parameters of the operations: how each is documented, and how it is read from a request.

``operations.py`` says which operation has which of them.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, Literal, TypeVar
from urllib.parse import parse_qsl

from starlette.requests import Request

from restpoint._core import timestamps
from restpoint._core.execution_row import PRIORITIES, StartOptions
from restpoint._storage import listing, outbox
from restpoint.audit.export import FORMATS, Format, form_of
from restpoint.errors import InvalidArgument
from restpoint.events import EventKind
from restpoint.http.problems import Problem
from restpoint.lifecycle import ExecutionStatus

T = TypeVar("T")

MAX_WAIT_SECONDS: Final = 60.0
_MAX_SEQUENCE: Final = (1 << 63) - 1
_MAX_FIELDS: Final = 100
_PARSED: Final = "restpoint.query"
_MAX_KEY: Final = 255  # characters


@dataclass(frozen=True, slots=True)
class Parameter(Generic[T]):
    """A parameter of an operation. ``read`` makes its value of the text, and raises ``InvalidArgument``.

    A query parameter that may be ``repeated`` is read as one text with commas; any other may be given once.
    """

    name: str
    place: Literal["path", "query", "header"]
    description: str
    schema: Mapping[str, Any]
    read: Callable[[str], T]
    repeated: bool = False

    @property
    def document(self) -> dict[str, Any]:
        """The parameter as OpenAPI has it."""
        return {
            "name": self.name,
            "in": self.place,
            "required": self.place == "path",
            "description": self.description,
            "schema": dict(self.schema),
        }

    def of(self, request: Request) -> T | None:
        """The value that a request has for it; None if it has none. Raises ``InvalidArgument``."""
        text = request.headers.get(self.name) if self.place == "header" else self._query_text(request)
        return None if text is None else self.read(text)

    def _query_text(self, request: Request) -> str | None:
        given = [value for name, value in _query(request) if name == self.name]
        if len(given) > 1 and not self.repeated:
            raise InvalidArgument(f"{self.name} is given {len(given)} times; give it once.")
        return ",".join(given) if given else None


def refuse_unknown(request: Request, known: Collection[str]) -> None:
    """Raise ``Problem`` 400 where the query has a name that is not among the known ones, and ``InvalidArgument``."""
    unknown = sorted({name for name, _ in _query(request)} - set(known))
    if unknown:
        named = ", ".join(repr(name[:80]) for name in unknown[:5])
        has = f"the parameters here are {', '.join(sorted(known))}" if known else "there are none here"
        raise Problem("unknown_parameter", f"The query has {named}; {has}.")


def _query(request: Request) -> list[tuple[str, str]]:
    """The names and values of the query, which is parsed once for each request. Raises ``InvalidArgument``."""
    scope = request.scope
    if not scope["query_string"]:
        return []
    found: list[tuple[str, str]] | None = scope.get(_PARSED)
    if found is None:
        try:
            found = parse_qsl(
                scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=_MAX_FIELDS
            )
        except ValueError:
            raise InvalidArgument(f"The query has more than {_MAX_FIELDS} parameters; give fewer.") from None
        scope[_PARSED] = found
    return found


# --- Kinds of parameters ---------------------------------------------------------------------------------------------


def path(name: str, description: str, **schema: Any) -> Parameter[str]:
    """A part of the path. Starlette reads it."""
    return Parameter(name, "path", description, {"type": "string", **schema}, str)


def text(name: str, description: str, **schema: Any) -> Parameter[str]:
    """A text in the query."""
    return Parameter(name, "query", description, {"type": "string", **schema}, str)


def header(name: str, description: str, **schema: Any) -> Parameter[str]:
    """A text in a header."""
    return Parameter(name, "header", description, {"type": "string", **schema}, str)


def whole(name: str, description: str, least: int = 0, most: int = _MAX_SEQUENCE) -> Parameter[int]:
    """A whole number in the query."""
    schema = {"type": "integer", "minimum": least, "maximum": most}
    return Parameter(name, "query", description, schema, lambda given: read_whole(name, given, least, most))


def read_whole(name: str, given: str, least: int = 0, most: int = _MAX_SEQUENCE) -> int:
    """The whole number that a text has. Raises ``InvalidArgument``."""
    digits = given.removeprefix("-") if least < 0 else given
    if digits.isascii() and digits.isdecimal() and len(digits) < 20 and least <= int(given) <= most:
        return int(given)
    raise InvalidArgument(f"{name} is {given[:80]!r}; give a whole number from {least} to {most}.")


def read_boolean(name: str, given: str) -> bool:
    """Whether a text says ``true``; otherwise it says ``false``. Raises ``InvalidArgument``."""
    if given not in {"true", "false"}:
        raise InvalidArgument(f"{name} is {given[:80]!r}; give true or false.")
    return given == "true"


def _read_wait(given: str) -> float:
    try:
        value = float(given)
    except ValueError:
        value = -1.0
    if not 0 <= value <= MAX_WAIT_SECONDS:
        raise InvalidArgument(f"wait is {given[:80]!r}; give seconds from 0 to {MAX_WAIT_SECONDS:g}.")
    return value


def _read_key(key: str) -> str:
    if not 0 < len(key) <= _MAX_KEY or not key.isascii() or not key.isprintable():
        raise InvalidArgument(f"Idempotency-Key must be 1 to {_MAX_KEY} printable ASCII characters, such as a UUID.")
    return key


# --- Starting --------------------------------------------------------------------------------------------------------

WAIT: Final = Parameter(
    "wait", "query", "Seconds to wait for an outcome.",
    {"type": "number", "minimum": 0, "maximum": MAX_WAIT_SECONDS}, _read_wait,
)  # fmt: skip
KEY: Final = Parameter(
    "Idempotency-Key", "header", "Makes a retry return the execution that the first request started.",
    {"type": "string", "minLength": 1, "maxLength": _MAX_KEY, "pattern": "^[ -~]+$"}, _read_key,
)  # fmt: skip
PRIORITY: Final = whole(
    "priority", "The priority that lists show; it changes no order of work.", PRIORITIES[0], PRIORITIES[-1]
)
START: Final = (KEY, PRIORITY)
"""What a request may say of the execution that it starts, beside the input."""


def start_options(request: Request) -> StartOptions:
    """The values of ``START`` in a request. Raises ``InvalidArgument``."""
    return StartOptions(idempotency_key=KEY.of(request), priority=PRIORITY.of(request) or 0)


# --- Executions and their history ------------------------------------------------------------------------------------

ID: Final = path("execution_id", "The id of an execution.")
AFTER: Final = whole("after", "Only rows of history after this one.")
LIMIT: Final = whole("limit", "How many at most.", 1, listing.MAX_PAGE)
WORKFLOW: Final = text("workflow", "Only of this workflow.")
VERSION: Final = whole("version", "Only of this version of its workflow.", 1, (1 << 31) - 1)
OWNER: Final = text("owner", "Only of this owner.")
PROBLEM: Final = Parameter(
    "problem", "query", "Only those that nobody goes on with.", {"type": "boolean", "default": False},
    lambda given: read_boolean("problem", given),
)  # fmt: skip
CURSOR: Final = text("cursor", "next_cursor of the page before.")
_STATUS: Final = {"type": "string", "enum": list(ExecutionStatus)}
STATUSES: Final = Parameter(
    "status", "query", "Only these statuses.", {"type": "array", "items": _STATUS}, lambda given: given.split(","),
    repeated=True,
)  # fmt: skip
KNOWN_TAG: Final = header("If-None-Match", "The ETag of the last poll: wait as long as nothing has changed.")
LAST_EVENT: Final = header("Last-Event-ID", "The id of the last event that arrived.", pattern="^[0-9]{1,18}(-end)?$")
LAST_ROW: Final = Parameter(
    "Last-Event-ID", "header", "The id of the last event that arrived.", {"type": "string", "pattern": "^[0-9]{1,18}$"},
    lambda given: read_whole("Last-Event-ID", given),
)  # fmt: skip


FOLLOW: Final = Parameter(
    "follow", "query", "Whether to wait for what happens later; false: the stream ends when there is no more now.",
    {"type": "boolean", "default": True}, lambda given: read_boolean("follow", given),
)  # fmt: skip
EVENTS: Final = Parameter(
    "event", "query", "Only these events.", {"type": "array", "items": {"type": "string", "enum": list(EventKind)}},
    lambda given: EventKind.read(given.split(",")), repeated=True,
)  # fmt: skip

# --- For auditors ----------------------------------------------------------------------------------------------------

_MOMENT: Final = {"anyOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}]}
FROM: Final = Parameter("from", "query", "Since this day or moment, in UTC unless it says.", _MOMENT, timestamps.since)
TO: Final = Parameter(
    "to", "query", "Through this day, or up to this moment, in UTC unless it says.", _MOMENT, timestamps.until
)
NOTICE_STATUS: Final = text("status", "Only notices with this status.", enum=list(outbox.STATUSES))
ROUTE: Final = text("route", "Only by this route.")
EXECUTION: Final = text("execution", "Only of the execution with this id.")
ACTOR: Final = text("actor", "Only what they did.")
EVENT: Final = text("event", f"Only this event, such as {EventKind.INTERACTION_ANSWERED}.")
STATUS: Final = text("status", "Only what led to this status.", **_STATUS)
OF: Final = text("of", "Only those of this person.")
ROWS: Final = whole("limit", "How many at most.", 1)
FORMAT: Final[Parameter[Format]] = Parameter(
    "format", "query", "The format of the export.",
    {"type": "string", "enum": list(FORMATS), "default": "jsonl"}, form_of,
)  # fmt: skip
FIRST: Final = whole("first", "From this row of history on.", 1)
LAST: Final = whole("last", "Up to this row of history.", 1)
