"""The table of all operations: method, path, handler, what may be sent, and every reply that can come.

Starlette's routes and the OpenAPI document are both made from this table.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from starlette.requests import Request
from starlette.responses import Response

from restpoint.audit.export import FORMATS, MEDIA_TYPES
from restpoint.audit.reports import QUESTIONS
from restpoint.errors import (
    Conflict,
    ExecutionCancelled,
    ExecutionHeld,
    ExecutionNotFound,
    FourEyes,
    IdempotencyConflict,
    IllegalTransition,
    InputNotAccepted,
    InteractionAlreadyResolved,
    InteractionExpired,
    InteractionNotFound,
    InteractionWithdrawn,
    InvalidArgument,
    NotAllowed,
    NothingToExport,
    NotJSON,
    ResponseNotAccepted,
    RestpointError,
    StorageError,
    StoreClosed,
    WorkflowFailed,
    WorkflowNotFound,
    by_code,
)
from restpoint.events import EventKind
from restpoint.http import schemas
from restpoint.http.audit_handlers import LINES, AuditHandlers
from restpoint.http.handlers import Handlers
from restpoint.http.requests import MAX_WAIT_SECONDS
from restpoint.lifecycle import ExecutionStatus
from restpoint.models import ExecutionList, HistoryList, WorkflowList
from restpoint.oauth.providers import CALLBACK

Handler = Callable[[Request], Awaitable[Response]]


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
    - ``errors``: what it may be answered with beside the errors of every operation of its ``kind``: classes, or codes that only
      HTTP has. ``problems.STATUS`` has their statuses.
    - ``parameters``: as OpenAPI documents them.
    - ``kind``: ``guarded`` asks who sends the request, ``open`` does not, and a ``page`` is for browsers: what is wrong is a
      page, too.
    """

    method: Literal["GET", "POST", "DELETE"]
    path: str
    handler: Handler
    id: str
    tag: str
    replies: Mapping[int, Reply]
    errors: tuple[type[RestpointError] | str, ...] = ()
    parameters: tuple[dict[str, Any], ...] = ()
    body: Content | None = None
    kind: Literal["guarded", "open", "page"] = "guarded"

    @property
    def codes(self) -> list[str]:
        """The codes of every problem that it can be answered with."""
        errors = ["internal_error", *self.errors]
        if self.kind == "guarded":
            errors += [*_GUARDED, *_STORAGE]
            errors += [] if self.method == "GET" else ["cross_site"]
            errors += [] if self.body is None else ["malformed_json", "body_too_large", "invalid_body"]
        return sorted({each if isinstance(each, str) else each.code for each in errors})


_STORAGE: Final[tuple[type[RestpointError], ...]] = (
    StoreClosed,
    *(kind for kind in by_code().values() if issubclass(kind, StorageError)),
)
_GUARDED: Final = ("not_authenticated", "loopback_only", NotAllowed, InvalidArgument)
_MAX_SEQUENCE: Final = (1 << 63) - 1

# --- Parameters ------------------------------------------------------------------------------------------------------


def _path(name: str, description: str, **schema: Any) -> dict[str, Any]:
    shape = {"type": "string", **schema}
    return {"name": name, "in": "path", "required": True, "description": description, "schema": shape}


def _query(name: str, description: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


def _header(name: str, description: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


_WAIT: Final = _query("wait", "Seconds to wait for an outcome.", type="number", minimum=0, maximum=MAX_WAIT_SECONDS)
_KEY: Final = _header(
    "Idempotency-Key",
    "Makes a retry return the execution that the first request started.",
    type="string", minLength=1, maxLength=255, pattern="^[ -~]+$",
)  # fmt: skip
_ID: Final = _path("execution_id", "The id of an execution.")
_AFTER: Final = _query(
    "after", "Only rows of history after this one.", type="integer", minimum=0, maximum=_MAX_SEQUENCE
)
_LIMIT: Final = _query("limit", "How many at most.", type="integer", minimum=1, maximum=1000)
_STATUS: Final = {"type": "string", "enum": list(ExecutionStatus)}
_MOMENT: Final[dict[str, Any]] = {
    "anyOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}]
}
_TIMES: Final = (
    _query("from", "Since this day or moment, in UTC unless it says.", **_MOMENT),
    _query("to", "Through this day, or up to this moment, in UTC unless it says.", **_MOMENT),
)
_WORKFLOW: Final = _query("workflow", "Only of this workflow.", type="string")

# --- Bodies ----------------------------------------------------------------------------------------------------------

_EXECUTION_ID: Final = "019ac0de-0000-7000-8000-000000000001"
_INTERACTION_ID: Final = "019ac0de-0000-7000-8000-000000000002"
_RESPONSE_URL: Final = f"/executions/{_EXECUTION_ID}/interactions/{_INTERACTION_ID}/response"
_ASKED: Final[dict[str, Any]] = {
    "interaction_id": _INTERACTION_ID,
    "prompt": {"input_type": "text", "text": "How are you, Ada?", "placeholder": None, "required": True},
    "response_url": _RESPONSE_URL,
}
_WAITING: Final[dict[str, Any]] = {
    "execution_id": _EXECUTION_ID,
    "status": "interaction_required",
    "workflow": "hello",
    "owner": "ada",
    "created_at": 1795908188.91,
    **_ASKED,
    "deadline": 1795994588.91,
    "interactions": [
        {
            **_ASKED,
            "created_at": 1795908188.92,
            "deadline": 1795994588.91,
            "assignees": None,
            "four_eyes": False,
            "may_answer": True,
        }
    ],
}
_COMPLETED: Final[dict[str, Any]] = {
    "execution_id": _EXECUTION_ID,
    "status": "completed",
    "workflow": "hello",
    "owner": "ada",
    "created_at": 1795908188.91,
    "completed_at": 1795911788.02,
    "expires_at": 1795912388.02,
    "result": "Ada said: Fine",
}
_OPTION: Final = {"id": "yes", "label": "Yes, send it", "value": "yes"}
_INPUT: Final = Content(Any, examples={"text": "Ada", "object": {"name": "Ada Lovelace", "amount": "120.00 EUR"}})
_RESPONSE: Final = Content(
    schemas.InteractionResponse,
    examples={
        "text": {"response": {"type": "text", "text": "Fine"}},
        "binary_choice": {"response": {"type": "binary_choice", "selected_option": _OPTION}},
    },
    required=True,
)
_DONE: Final = Reply("Done.")
_EXECUTION: Final = Reply(
    "The execution.", Content(schemas.Execution, examples={"waiting": _WAITING, "completed": _COMPLETED})
)
_ACCEPTED: Final = Reply(
    "The execution goes on.",
    Content(schemas.StartedExecution, examples={"waiting": {**_WAITING, "status_url": f"/executions/{_EXECUTION_ID}"}}),
)
_RESULT: Final = Reply("The result, which is of the workflow's own type.", Content(Any))
_STREAM: Final = Reply(
    "Server-sent events, each with one line of JSON for its data.", Content(schemas.StreamEvent, ("text/event-stream",))
)
_PAGE: Final = Reply("A page for people.", Content(str, ("text/html",)))
_ROWS: Final = Reply("Rows of history, a JSON object a line.", Content(str, (LINES,)))
_OBJECT: Final = dict[str, Any]


# --- The table -------------------------------------------------------------------------------------------------------


def operations(handlers: Handlers) -> list[Operation]:
    """Every operation, those that are called most often first: Starlette compares a path with one route after another."""
    often = {"start_default_workflow": 0, "get_execution": 1, "answer_interaction": 2, "start_workflow": 3}
    table = [*_starts(handlers), *_executions(handlers), *_server(handlers), *_consents(handlers)]
    table += _audit(AuditHandlers(handlers.desk, handlers.actor))
    return sorted(table, key=lambda each: often.get(each.id, len(often)))


def _starts(handlers: Handlers) -> list[Operation]:
    errors = (WorkflowNotFound, ExecutionNotFound, ExecutionCancelled, InputNotAccepted, WorkflowFailed,
              IdempotencyConflict)  # fmt: skip
    name = _path("name", "The name of a workflow.")
    tag, started, streamed = "workflows", {200: _RESULT, 202: _ACCEPTED}, {200: _STREAM}
    start, stream = handlers.start, handlers.start_stream
    return [
        Operation(
            "POST", "/v1/workflow", start, "start_default_workflow", tag, started, errors, (_WAIT, _KEY), _INPUT
        ),
        Operation(
            "POST", "/v1/workflow/stream", stream, "stream_default_workflow", tag, streamed, errors, (_KEY,), _INPUT
        ),
        Operation(
            "POST", "/v1/workflows/{name}", start, "start_workflow", tag, started, errors, (name, _WAIT, _KEY), _INPUT
        ),
        Operation(
            "POST", "/v1/workflows/{name}/stream", stream, "stream_workflow", tag, streamed, errors, (name, _KEY), _INPUT
        ),
        Operation(
            "GET", "/workflows", handlers.workflows, "list_workflows", tag,
            {200: Reply("The workflows, with the JSON Schemas of their inputs and results.", Content(WorkflowList))},
        ),
    ]  # fmt: skip


def _executions(handlers: Handlers) -> list[Operation]:
    tag = "executions"
    filters = (
        _query("status", "Only these statuses.", type="array", items=_STATUS),
        _WORKFLOW,
        _query("owner", "Only of this owner.", type="string"),
        _LIMIT,
        _query("cursor", "next_cursor of the page before.", type="string"),
    )
    known = _header("If-None-Match", "The ETag of the last poll: wait as long as nothing has changed.", type="string")
    last = _header(
        "Last-Event-ID", "The id of the last event that arrived.", type="string", pattern="^[0-9]{1,18}(-end)?$"
    )
    changed = (ExecutionNotFound, IllegalTransition, Conflict)
    return [
        Operation(
            "GET", "/executions", handlers.list, "list_executions", tag,
            {200: Reply("A page of executions, the newest first.", Content(ExecutionList))}, (), filters,
        ),
        Operation(
            "GET", "/executions/{execution_id}", handlers.status, "get_execution", tag,
            {200: _EXECUTION, 304: Reply("Nothing has changed.")}, (ExecutionNotFound,), (_ID, _WAIT, known),
        ),
        Operation(
            "GET", "/executions/{execution_id}/events", handlers.events, "stream_execution", tag,
            {200: _STREAM, 204: Reply("The execution has ended, and the client has every event.")},
            (ExecutionNotFound,), (_ID, _AFTER, last),
        ),
        Operation(
            "GET", "/executions/{execution_id}/history", handlers.history, "get_history", tag,
            {200: Reply("Rows of history, the oldest first.", Content(HistoryList))}, (ExecutionNotFound,),
            (_ID, _AFTER, _LIMIT),
        ),
        Operation(
            "POST", "/executions/{execution_id}/interactions/{interaction_id:path}/response", handlers.answer,
            "answer_interaction", tag, {204: _DONE},
            (*changed, InteractionNotFound, InteractionAlreadyResolved, FourEyes, InteractionExpired,
             InteractionWithdrawn, ResponseNotAccepted, NotJSON),
            (_ID, _path("interaction_id", "The id of one of its prompts.")), _RESPONSE,
        ),
        Operation(
            "POST", "/executions/{execution_id}/cancel", handlers.cancel, "cancel_execution", tag, {200: _EXECUTION},
            changed, (_ID,), Content(schemas.Cancellation | None, examples={"reason": {"reason": "Paid already"}}),
        ),
        Operation(
            "DELETE", "/executions/{execution_id}", handlers.remove, "remove_execution", tag, {204: _DONE},
            (*changed, ExecutionHeld), (_ID,),
        ),
    ]  # fmt: skip


def _consents(handlers: Handlers) -> list[Operation]:
    """The pages that browsers come to, where the server has OAuth providers."""
    pages = handlers.pages
    if pages is None:
        return []
    tag, path = "consents", "/executions/{execution_id}/consents/{consent_id}"
    consent = _path("consent_id", "The id of one of its consents.")
    ticket = _query("ticket", "Shows for whom the link was made.", type="string")
    returned = tuple(
        _query(name, "As OAuth 2.0 has it (RFC 6749, section 4.1.2).", type="string")
        for name in ("state", "code", "iss", "error", "error_description")
    )
    form = Content(schemas.ConsentDecision, ("application/x-www-form-urlencoded",))
    shown = {200: _PAGE}
    return [
        Operation("GET", path, pages.show, "show_consent", tag, shown, (), (_ID, consent, ticket), kind="page"),
        Operation(
            "POST", path, pages.decide, "decide_consent", tag, {200: _PAGE, 303: Reply("On to the provider.")}, (),
            (_ID, consent), form, kind="page",
        ),
        Operation("GET", CALLBACK, pages.callback, "receive_callback", tag, shown, (), returned, kind="page"),
        Operation(
            "GET", f"{CALLBACK}/{{provider}}", pages.callback, "receive_callback_of_provider", tag, shown, (),
            (_path("provider", "The name of a provider."), *returned), kind="page",
        ),
    ]  # fmt: skip


def _audit(handlers: AuditHandlers) -> list[Operation]:
    tag = "audit"
    more = (
        _query("actor", "Only what they did.", type="string"),
        _query("event", f"Only this event, such as {EventKind.INTERACTION_ANSWERED}.", type="string"),
        _query("status", "Only what led to this status.", **_STATUS),
        _AFTER,
        _query("limit", "How many at most.", type="integer", minimum=1, maximum=_MAX_SEQUENCE),
    )
    sequence: dict[str, Any] = {"type": "integer", "minimum": 1, "maximum": _MAX_SEQUENCE}
    which = (
        _query("format", "The format of the export.", type="string", enum=list(FORMATS), default="jsonl"),
        *_TIMES,
        _query("first", "From this row of history on.", **sequence),
        _query("last", "Up to this row of history.", **sequence),
    )
    exported = Reply("The bytes, the same every time.", Content(str, tuple(MEDIA_TYPES.values())))
    question = _path("question", "The name of a question.", enum=list(QUESTIONS))
    return [
        Operation("GET", "/audit/query", handlers.query, "query_history", tag, {200: _ROWS}, (),
                  (*_TIMES, _WORKFLOW, *more)),
        Operation("GET", "/audit/report", handlers.questions, "list_questions", tag,
                  {200: Reply("The questions.", Content(schemas.AuditQuestionList))}),
        Operation("GET", "/audit/report/{question}", handlers.report, "answer_question", tag, {200: _ROWS}, (),
                  (question, *_TIMES, _WORKFLOW)),
        Operation("GET", "/audit/timeline/{execution_id}", handlers.timeline, "get_timeline", tag, {200: _ROWS},
                  (ExecutionNotFound,), (_ID,)),
        Operation("GET", "/audit/export", handlers.export, "export_history", tag, {200: exported},
                  (NothingToExport,), which),
        Operation("GET", "/audit/export/manifest", handlers.manifest, "get_manifest", tag,
                  {200: Reply("What the bytes of the export are.", Content(_OBJECT))}, (NothingToExport,), which),
        Operation("GET", "/audit/head", handlers.head, "get_head", tag,
                  {200: Reply("The newest row.", Content(_OBJECT))}),
    ]  # fmt: skip


def _server(handlers: Handlers) -> list[Operation]:
    well = {200: Reply("All is well.", Content(schemas.Health, examples={"ok": {"status": "ok"}}))}
    text = {200: Reply("Metrics in the text format of Prometheus.", Content(str, ("text/plain",)))}
    tag = "server"
    return [
        Operation("GET", "/healthz", handlers.healthz, "get_health", tag, well, kind="open"),
        Operation("GET", "/readyz", handlers.readyz, "get_readiness", tag, well, ("not_ready", *_STORAGE), kind="open"),
        Operation("GET", "/metrics", handlers.metrics, "get_metrics", tag, text, ("no_metrics",)),
    ]
