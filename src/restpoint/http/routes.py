"""The routes, as a table: path, function, and every reply that can come, for OpenAPI."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from restpoint._core.serialization import MAX_TEXT_LENGTH
from restpoint._engine.workflow import Workflow
from restpoint.audit.export import FORMATS, MEDIA_TYPES
from restpoint.audit.reports import QUESTIONS
from restpoint.http import bodies
from restpoint.http.audit_handlers import LINES, Auditing
from restpoint.http.handlers import Endpoints
from restpoint.http.requests import MAX_WAIT_SECONDS
from restpoint.lifecycle import ExecutionStatus
from restpoint.models import ExecutionList, HistoryList, InteractionResponseRequest, WorkflowList
from restpoint.oauth.providers import CALLBACK

_HTML: Final[dict[int | str, dict[str, Any]]] = {
    200: bodies.json_reply({"type": "string"}, "A page for people", "text/html")
}

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Documented:
    """One route. ``refusals`` are the statuses of its problems, beside those that every route has."""

    method: str
    path: str
    handler: Handler
    operation: str
    replies: dict[int | str, dict[str, Any]]
    refusals: tuple[int, ...] = ()
    parameters: tuple[dict[str, Any], ...] = ()
    body: dict[str, Any] | None = None
    body_required: bool = False
    open: bool = field(default=False)
    """Whether it asks nobody who they are."""
    body_type: str = "application/json"
    pages: bool = False
    """Whether it is for browsers: what is wrong is a page too."""

    @property
    def responses(self) -> dict[int | str, dict[str, Any]]:
        """Every reply, as OpenAPI documents it."""
        if self.pages:
            wrong = (400, 401, 403, 404, 409, 410, 413, 422, 500, 502, 503, 507)
            return {**self.replies, **dict.fromkeys(wrong, _HTML[200])}
        always = (500, 503) if self.open else (401, 403, 422, 500, 503, 507)
        return {**self.replies, **bodies.problems(*always, *self.refusals)}

    @property
    def status(self) -> int:
        """The status of success."""
        return next(int(status) for status in self.replies)

    @property
    def extra(self) -> dict[str, Any]:
        """What FastAPI cannot tell of a function that takes the request itself."""
        extra: dict[str, Any] = {"parameters": list(self.parameters)}
        if self.body is not None:
            content = {self.body_type: {"schema": self.body}}
            extra["requestBody"] = {"required": self.body_required, "content": content}
        return extra


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
    "after", "Only rows of history after this one.", type="integer", minimum=0, maximum=(1 << 63) - 1
)
_NOTHING: Final[dict[int | str, dict[str, Any]]] = {204: {"description": "Done"}}
_LAST: Final = "^[0-9]{1,18}(-end)?$"
_EVENT: Final = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("event", "id", "data")},
    "required": ["data"],
}
_STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: bodies.json_reply(_EVENT, "Events, each with one line of JSON for its data", "text/event-stream")
}
_OK: Final = {"type": "object", "properties": {"status": {"const": "ok"}}, "required": ["status"]}
# What may be stored (payloads.check_text): no NUL, and not without end.
_TEXT: Final = {"type": "string", "maxLength": MAX_TEXT_LENGTH, "pattern": r"^[^\u0000]*$"}
_CANCEL: Final = {
    "anyOf": [
        {
            "type": "object",
            "properties": {"reason": {"anyOf": [_TEXT, {"type": "null"}]}},
            "additionalProperties": False,
        },
        {"type": "null"},
    ]
}


def routes(api: Endpoints) -> list[Documented]:
    """Every route, those that are called most first: each is compared with the path in this order."""
    default = api.desk.workflows.get(api.default or "")
    made = [*_starting(api, default), *_executions(api), *_about(api), *_consents(api)]
    made += _auditing(Auditing(api.desk, api.actor))
    often = {"start_default_workflow": 0, "get_execution": 1, "answer_interaction": 2, "start_workflow": 3}
    return sorted(made, key=lambda each: often.get(each.operation, len(often)))


def _starting(api: Endpoints, default: Workflow | None) -> list[Documented]:
    result = {} if default is None else bodies.inlined(default.output_schema)
    taken = {} if default is None else bodies.inlined(default.input_schema)
    accepted: dict[int | str, dict[str, Any]] = {202: bodies.json_reply(bodies.ACCEPTED, "It goes on")}
    refused = (400, 404, 409, 413)
    name = _path("name", "The name of a workflow.")
    return [
        Documented(
            "POST", "/v1/workflow", api.start, "start_default_workflow",
            {200: bodies.json_reply(result, "The result"), **accepted}, refused, (_WAIT, _KEY), taken,
        ),
        Documented(
            "POST", "/v1/workflow/stream", api.start_stream, "stream_default_workflow", _STREAM, refused, (_KEY,), taken
        ),
        Documented(
            "POST", "/v1/workflows/{name}", api.start, "start_workflow",
            {200: bodies.json_reply({}, "The result"), **accepted}, refused, (name, _WAIT, _KEY), {},
        ),
        Documented(
            "POST", "/v1/workflows/{name}/stream", api.start_stream, "stream_workflow", _STREAM, refused, (name, _KEY), {}
        ),
    ]  # fmt: skip


def _executions(api: Endpoints) -> list[Documented]:
    polled = bodies.json_reply(bodies.POLLED, "The execution")
    interaction = _path("interaction_id", "The id of one of its prompts.")
    limit = _query("limit", "How many at most.", type="integer", minimum=1, maximum=1000)
    filters = (
        _query("status", "Only these statuses.", type="array", items={"enum": list(ExecutionStatus)}),
        _query("workflow", "Only of this workflow.", type="string"),
        _query("owner", "Only of this owner.", type="string"),
        limit,
        _query("cursor", "next_cursor of the page before.", type="string"),
    )
    known = _header("If-None-Match", "The ETag of a poll: wait only while that is how it is.", type="string")
    last = _header("Last-Event-ID", "The id of the last event that arrived.", type="string", pattern=_LAST)
    return [
        Documented(
            "GET", "/executions", api.list, "list_executions",
            {200: bodies.json_reply(bodies.schema_of(ExecutionList), "A page, the newest first")}, (), filters,
        ),
        Documented(
            "GET", "/executions/{execution_id}", api.status, "get_execution",
            {200: polled, 304: {"description": "As the ETag said"}}, (404,), (_ID, _WAIT, known),
        ),
        Documented(
            "GET", "/executions/{execution_id}/events", api.events, "follow_execution",
            {**_STREAM, 204: {"description": "It has ended, and the client knows"}}, (404,), (_ID, _AFTER, last),
        ),
        Documented(
            "GET", "/executions/{execution_id}/history", api.history, "get_history",
            {200: bodies.json_reply(bodies.schema_of(HistoryList), "Rows of history, the oldest first")}, (404,),
            (_ID, _AFTER, limit),
        ),
        Documented(
            "POST", "/executions/{execution_id}/interactions/{interaction_id:path}/response", api.answer,
            "answer_interaction", _NOTHING, (400, 404, 409, 410, 413), (_ID, interaction),
            {**bodies.schema_of(InteractionResponseRequest), "additionalProperties": False}, body_required=True,
        ),
        Documented(
            "POST", "/executions/{execution_id}/cancel", api.cancel, "cancel_execution", {200: polled},
            (400, 404, 409, 413), (_ID,), _CANCEL,
        ),
        Documented(
            "DELETE", "/executions/{execution_id}", api.remove, "remove_execution", _NOTHING, (404, 409), (_ID,)
        ),
    ]  # fmt: skip


def _consents(api: Endpoints) -> list[Documented]:
    """What browsers come to; pages, also where something is wrong."""
    pages = api.pages
    if pages is None:
        return []
    consent = _path("consent_id", "The id of one of its consents.")
    ticket = _query("ticket", "Shows for whom the link was made.", type="string")
    came_back = tuple(
        _query(name, "As OAuth 2.0 has it.", type="string")
        for name in ("state", "code", "iss", "error", "error_description")
    )
    place, back = "/executions/{execution_id}/consents/{consent_id}", CALLBACK
    form = {"type": "object", "properties": {name: {"type": "string"} for name in ("proof", "decision")}}
    away: dict[int | str, dict[str, Any]] = {303: {"description": "On to the provider"}}
    return [
        Documented("GET", place, pages.show, "show_consent", _HTML, (), (_ID, consent, ticket), pages=True),
        Documented(
            "POST", place, pages.decide, "decide_consent", {**_HTML, **away}, (), (_ID, consent), form,
            body_type="application/x-www-form-urlencoded", pages=True,
        ),
        Documented("GET", back, pages.callback, "take_callback", _HTML, (), came_back, pages=True),
        Documented(
            "GET", f"{back}/{{provider}}", pages.callback, "take_callback_of_provider", _HTML, (),
            (_path("provider", "The name of a provider."), *came_back), pages=True,
        ),
    ]  # fmt: skip


def _auditing(api: Auditing) -> list[Documented]:
    moment: dict[str, Any] = {
        "anyOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}]
    }
    times = (
        _query("from", "Since this day or moment, in UTC unless it says.", **moment),
        _query("to", "Through this day, or up to this moment, in UTC unless it says.", **moment),
    )
    workflow = _query("workflow", "Only of this workflow.", type="string")
    more = (
        _query("actor", "Only what they did.", type="string"),
        _query("event", "Only this event, such as interaction_answered.", type="string"),
        _query("status", "Only what led to this status.", enum=list(ExecutionStatus)),
        _AFTER,
        _query("limit", "How many at most.", type="integer", minimum=1, maximum=(1 << 63) - 1),
    )
    sequence: dict[str, Any] = {"type": "integer", "minimum": 1, "maximum": (1 << 63) - 1}
    of = (
        _query("format", "What it is written as.", enum=list(FORMATS), default="jsonl"),
        *times,
        _query("first", "From this row of history on.", **sequence),
        _query("last", "Up to this row of history.", **sequence),
    )
    rows: dict[int | str, dict[str, Any]] = {200: bodies.json_reply({"type": "string"}, "A JSON object a line", LINES)}
    exported: dict[str, Any] = {media: {"schema": {"type": "string"}} for media in MEDIA_TYPES.values()}
    told = {"type": "object", "additionalProperties": True}
    question = _path("question", f"One of {', '.join(QUESTIONS)}.", enum=list(QUESTIONS))
    return [
        Documented("GET", "/audit/query", api.query, "query_history", rows, (), (*times, workflow, *more)),
        Documented("GET", "/audit/report", api.questions, "list_questions", {200: bodies.json_reply(told, "The questions")}),
        Documented(
            "GET", "/audit/report/{question}", api.report, "answer_question", rows, (), (question, *times, workflow)
        ),
        Documented("GET", "/audit/timeline/{execution_id}", api.timeline, "get_timeline", rows, (404,), (_ID,)),
        Documented(
            "GET", "/audit/export", api.export, "export_history",
            {200: {"description": "The bytes, the same every time", "content": exported}}, (404,), of,
        ),
        Documented(
            "GET", "/audit/export/manifest", api.manifest, "get_manifest",
            {200: bodies.json_reply(told, "What the bytes of the export are")}, (404,), of,
        ),
        Documented("GET", "/audit/head", api.head, "get_head", {200: bodies.json_reply(told, "The newest row")}),
    ]  # fmt: skip


def _about(api: Endpoints) -> list[Documented]:
    text = bodies.json_reply({"type": "string"}, "Prometheus' text format", "text/plain")
    return [
        Documented(
            "GET", "/workflows", api.workflows, "list_workflows",
            {200: bodies.json_reply(bodies.schema_of(WorkflowList), "What can be started")},
        ),
        Documented("GET", "/healthz", api.healthz, "get_health", {200: bodies.json_reply(_OK)}, open=True),
        Documented("GET", "/readyz", api.readyz, "get_readiness", {200: bodies.json_reply(_OK)}, (507,), open=True),
        Documented("GET", "/metrics", api.metrics, "get_metrics", {200: text}, (404,)),
    ]  # fmt: skip
