"""The table of all operations: method, path, handler, parameters, body, and every possible reply.

Starlette's routes and the OpenAPI document are both made from this table.
"""

from typing import Any, Final

from restpoint import errors
from restpoint.audit.export import MEDIA_TYPES
from restpoint.audit.reports import QUESTIONS
from restpoint.http import parameters, schemas
from restpoint.http.audit_handlers import LINES, AuditHandlers
from restpoint.http.handlers import Handlers
from restpoint.http.operation import STORAGE, Content, Operation, Reply
from restpoint.http.outbox_handlers import OutboxHandlers
from restpoint.http.pages.sign_in import SIGN_IN, SIGN_OUT, SIGN_OUT_EVERYWHERE
from restpoint.http.parameters import path, text
from restpoint.http.prompt_handlers import PromptHandlers
from restpoint.http.session_handlers import SessionHandlers
from restpoint.http.start_handlers import StartHandlers
from restpoint.models import (
    ExecutionList,
    HistoryList,
    InboxList,
    NoticeItem,
    NoticeList,
    RouteList,
    SessionList,
    WorkflowList,
)
from restpoint.oauth.providers import CALLBACK, CALLBACK_PARAMETERS

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
            "priority": 0,
            "due": None,
            "claimed_by": None,
            "claimed_at": None,
            "reminders": {
                "remind_at": 1795994588.91,
                "reminded_at": None,
                "escalate_at": None,
                "escalated_at": None,
                "escalate_to": [],
            },
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
_CHAT: Final = Content(
    Any, examples={"text": {"messages": [{"role": "user", "content": "Analyze the sales data"}]}}, required=True
)
_RESPONSE: Final = Content(
    schemas.InteractionResponse,
    examples={
        "text": {"response": {"type": "text", "text": "Fine"}},
        "binary_choice": {"response": {"type": "binary_choice", "selected_option": _OPTION}},
        "form": {
            "response": {"type": "form", "content": {"amount": 70, "until": "2026-12-31"}, "comment": "As agreed"}
        },
        "declined": {"response": {"type": "form", "action": "decline", "comment": "Not my customer"}},
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
    prompts = PromptHandlers(handlers)
    starts = _starts(StartHandlers(handlers)) if handlers.starts else []
    table = [*starts, *_executions(handlers, prompts), *_assignment(prompts), *_server(handlers), *_consents(handlers)]
    table += _sign_in(handlers)
    table += _outbox(OutboxHandlers(handlers))
    table += _audit(AuditHandlers(handlers.service, handlers.actor))
    return sorted(table, key=lambda each: often.get(each.id, len(often)))


def _starts(handlers: StartHandlers) -> list[Operation]:
    refused = (errors.WorkflowNotFound, errors.ExecutionNotFound, errors.ExecutionGone, errors.ExecutionCancelled,
               errors.InputNotAccepted, errors.WorkflowFailed, errors.IdempotencyConflict,
               errors.OwnerLimitReached)  # fmt: skip
    name = path("name", "The name of a workflow.")
    tag, started, streamed = "workflows", {200: _RESULT, 202: _ACCEPTED}, {200: _STREAM}
    start, stream = handlers.start, handlers.start_stream
    said, waits = parameters.START, (parameters.WAIT, *parameters.START)
    return [
        Operation(
            "POST", "/v1/workflow", start, "start_default_workflow", tag, started, refused, waits, _INPUT
        ),
        Operation(
            "POST", "/v1/workflow/stream", stream, "stream_default_workflow", tag, streamed, refused, said, _INPUT
        ),
        Operation(
            "POST", "/v1/chat/stream", handlers.start_chat, "stream_default_workflow_as_chat", tag, streamed, refused, said,
            _CHAT,
        ),
        Operation(
            "POST", "/v1/workflows/{name}", start, "start_workflow", tag, started, refused, (name, *waits), _INPUT
        ),
        Operation(
            "POST", "/v1/workflows/{name}/stream", stream, "stream_workflow", tag, streamed, refused, (name, *said), _INPUT
        ),
        Operation(
            "GET", "/workflows", handlers.workflows, "list_workflows", tag,
            {200: Reply("The workflows, with the JSON Schemas of their inputs and results.", Content(WorkflowList))},
        ),
    ]  # fmt: skip


def _executions(handlers: Handlers, prompts: PromptHandlers) -> list[Operation]:
    tag = "executions"
    filters = (
        parameters.STATUSES,
        parameters.WORKFLOW,
        parameters.VERSION,
        parameters.OWNER,
        parameters.PROBLEM,
        parameters.LIMIT,
        parameters.CURSOR,
    )
    id_, wait, after, limit = parameters.ID, parameters.WAIT, parameters.AFTER, parameters.LIMIT
    absent = (errors.ExecutionNotFound, errors.ExecutionGone)
    changed = (*absent, errors.IllegalTransition, errors.Conflict)
    return [
        Operation(
            "GET", "/executions", handlers.list, "list_executions", tag,
            {200: Reply("A page of executions, the newest first.", Content(ExecutionList))}, (), filters,
        ),
        Operation(
            "GET", "/executions/{execution_id}", handlers.status, "get_execution", tag,
            {200: _EXECUTION, 304: Reply("Nothing has changed.")}, absent, (id_, wait, parameters.KNOWN_TAG),
        ),
        Operation(
            "GET", "/executions/{execution_id}/events", handlers.events, "stream_execution", tag,
            {200: _STREAM, 204: Reply("The execution has ended, and the client has every event.")},
            absent, (id_, after, parameters.LAST_EVENT),
        ),
        Operation(
            "GET", "/events", handlers.feed, "stream_events", tag, {200: _STREAM}, (),
            (after, parameters.LAST_ROW, parameters.WORKFLOW, parameters.EVENTS, parameters.FOLLOW),
        ),
        Operation(
            "GET", "/executions/{execution_id}/history", handlers.history, "get_history", tag,
            {200: Reply("Rows of history, the oldest first.", Content(HistoryList))}, absent,
            (id_, after, limit),
        ),
        Operation(
            "POST", "/executions/{execution_id}/interactions/{interaction_id:path}/response", prompts.answer,
            "answer_interaction", tag, {204: _DONE},
            (*changed, errors.InteractionNotFound, errors.InteractionAlreadyResolved, errors.FourEyes, errors.InteractionExpired,
             errors.InteractionWithdrawn, errors.ResponseNotAccepted, errors.NotJSON, errors.InteractionClaimed,
             errors.SamePerson, errors.AlreadyVoted, errors.VoterUnknown),
            (id_, path("interaction_id", "The id of one of its prompts.")), _RESPONSE,
        ),
        Operation(
            "POST", "/executions/{execution_id}/cancel", handlers.cancel, "cancel_execution", tag, {200: _EXECUTION},
            changed, (id_,), Content(schemas.Cancellation | None, examples={"reason": {"reason": "Paid already"}}),
        ),
        Operation(
            "POST", "/executions/{execution_id}/retry", handlers.retry, "retry_execution", tag, {200: _EXECUTION},
            (*changed, errors.CannotRetry), (id_,),
            Content(schemas.Retrial | None, examples={"reason": {"reason": "The bank answers again"}}),
        ),
        Operation(
            "DELETE", "/executions/{execution_id}", handlers.remove, "remove_execution", tag, {204: _DONE},
            (*changed, errors.ExecutionHeld), (id_,),
        ),
    ]  # fmt: skip


def _assignment(handlers: PromptHandlers) -> list[Operation]:
    """Who does what: the inbox, and the verbs on one open prompt but for answering it."""
    tag, prompt = "inbox", "/executions/{execution_id}/interactions/{interaction_id:path}"
    ids = (parameters.ID, path("interaction_id", "The id of one of its prompts."))
    closed = (errors.ExecutionNotFound, errors.ExecutionGone, errors.InteractionNotFound, errors.InteractionAlreadyResolved,
              errors.InteractionExpired, errors.InteractionWithdrawn)  # fmt: skip
    refused = (*closed, errors.InteractionClaimed, errors.FourEyes, errors.SamePerson, errors.Conflict, errors.NotJSON)
    reason = Content(schemas.Cancellation | None, examples={"reason": {"reason": "On holiday"}})
    return [
        Operation(
            "GET", "/inbox", handlers.inbox, "list_inbox", tag,
            {200: Reply("A page of the open prompts that the caller may answer, the most urgent first.", Content(InboxList))},
            (), (parameters.WORKFLOW, parameters.LIMIT, parameters.CURSOR),
        ),
        Operation("POST", f"{prompt}/claim", handlers.claim, "claim_interaction", tag, {204: _DONE}, refused, ids),
        Operation(
            "POST", f"{prompt}/release", handlers.release, "release_interaction", tag, {204: _DONE}, refused, ids, reason
        ),
        Operation(
            "POST", f"{prompt}/delegate", handlers.delegate, "delegate_interaction", tag, {204: _DONE},
            (*refused, errors.AlreadyVoted), ids,
            Content(schemas.Delegation, examples={"group": {"to": "group:legal"}}, required=True),
        ),
        Operation(
            "POST", f"{prompt}/reassign", handlers.reassign, "reassign_interaction", tag, {204: _DONE}, refused, ids,
            Content(schemas.Reassignment, examples={"people": {"to": ["grace", "group:finance"]}}, required=True),
        ),
    ]  # fmt: skip


def _outbox(handlers: OutboxHandlers) -> list[Operation]:
    """What is told to people, for operators."""
    tag, notice = "outbox", path("notice_id", "The id of a notice.")
    filters = (parameters.NOTICE_STATUS, parameters.ROUTE, parameters.EXECUTION, parameters.LIMIT, parameters.CURSOR)
    absent, settled = (errors.NoticeNotFound,), (errors.NoticeNotFound, errors.Conflict)
    reason = Content(schemas.Cancellation | None, examples={"reason": {"reason": "They were called"}})
    return [
        Operation(
            "GET", "/outbox", handlers.list, "list_notices", tag,
            {200: Reply("A page of notices, the newest first.", Content(NoticeList))}, (), filters,
        ),
        Operation(
            "GET", "/outbox/{notice_id}", handlers.show, "get_notice", tag,
            {200: Reply("The notice.", Content(NoticeItem))}, absent, (notice,),
        ),
        Operation("POST", "/outbox/{notice_id}/retry", handlers.retry, "retry_notice", tag, {204: _DONE}, settled, (notice,)),
        Operation(
            "POST", "/outbox/{notice_id}/drop", handlers.drop, "drop_notice", tag, {204: _DONE},
            (*settled, errors.NotJSON), (notice,), reason,
        ),
        Operation(
            "GET", "/routes", handlers.routes, "list_routes", tag,
            {200: Reply("The routes by which people are told.", Content(RouteList))},
        ),
        Operation(
            "POST", "/routes/{route}/enable", handlers.enable, "enable_route", tag, {204: _DONE}, (errors.UnknownRoute,),
            (path("route", "The name of a route."),),
        ),
    ]  # fmt: skip


def _consents(handlers: Handlers) -> list[Operation]:
    """The pages that browsers come to, where the server has OAuth providers."""
    pages = handlers.pages
    if pages is None:
        return []
    tag, page = "consents", "/executions/{execution_id}/consents/{consent_id}"
    consent = path("consent_id", "The id of one of its consents.")
    ticket = text("ticket", "Shows for whom the link was made.")
    returned = tuple(text(name, "As OAuth 2.0 has it (RFC 6749, section 4.1.2).") for name in CALLBACK_PARAMETERS)
    posted = Content(schemas.CallbackForm, ("application/x-www-form-urlencoded",))
    back = {200: _PAGE, 303: Reply("On to the same address with GET.")}
    provider = path("provider", "The name of a provider.")
    form = Content(schemas.ConsentDecision, ("application/x-www-form-urlencoded",))
    shown = {200: _PAGE}
    return [
        Operation("GET", page, pages.show, "show_consent", tag, shown, (), (parameters.ID, consent, ticket), kind="page"),
        Operation(
            "POST", page, pages.decide, "decide_consent", tag, {200: _PAGE, 303: Reply("On to the provider.")}, (),
            (parameters.ID, consent), form, kind="page",
        ),
        Operation("GET", CALLBACK, handlers.callback, "receive_callback", tag, shown, (), returned, kind="page"),
        Operation(
            "GET", f"{CALLBACK}/{{provider}}", handlers.callback, "receive_callback_of_provider", tag, shown, (),
            (provider, *returned), kind="page",
        ),
        Operation("POST", CALLBACK, pages.receive_form, "receive_callback_form", tag, back, (), (), posted, kind="page"),
        Operation(
            "POST", f"{CALLBACK}/{{provider}}", pages.receive_form, "receive_callback_form_of_provider", tag, back, (),
            (provider,), posted, kind="page",
        ),
    ]  # fmt: skip


def _sign_in(handlers: Handlers) -> list[Operation]:
    """The pages on which people sign in and out, at a server that knows them itself."""
    pages = handlers.sign_in
    if pages is None:
        return []
    tag, shown, wanted = "sign-in", {200: _PAGE}, text("next", "A path of this server to go on at.")
    form = Content(schemas.SignInForm, ("application/x-www-form-urlencoded",))
    onward = {200: _PAGE, 303: Reply("On to the provider, or to where the person wanted to go.")}
    sessions, ended = SessionHandlers(handlers), {200: Reply("How many ended.", Content(schemas.Revoked))}
    listed = {200: Reply("The sessions that are not over.", Content(SessionList))}
    which = Content(schemas.Revocation, examples={"a person": {"of": "ada"}}, required=True)
    return [
        Operation("GET", "/sessions", sessions.list, "list_sessions", tag, listed, (), (parameters.OF,)),
        Operation("POST", "/sessions/revoke", sessions.revoke, "revoke_sessions", tag, ended, (), (), which),
        Operation("GET", SIGN_IN, pages.show, "show_sign_in", tag, shown, (), (wanted,), kind="page"),
        Operation("POST", SIGN_IN, pages.begin, "sign_in", tag, onward, (), (), form, kind="page"),
        Operation("POST", SIGN_OUT, pages.sign_out, "sign_out", tag, shown, kind="page"),
        Operation("POST", SIGN_OUT_EVERYWHERE, pages.sign_out_everywhere, "sign_out_everywhere", tag, shown, kind="page"),
    ]  # fmt: skip


def _audit(handlers: AuditHandlers) -> list[Operation]:
    tag = "audit"
    times = (parameters.FROM, parameters.TO)
    found = (*times, parameters.WORKFLOW, parameters.EXECUTION)
    more = (parameters.ACTOR, parameters.EVENT, parameters.STATUS, parameters.AFTER, parameters.ROWS)
    which = (parameters.FORMAT, *times, parameters.FIRST, parameters.LAST)
    exported = Reply("The bytes, the same every time.", Content(str, tuple(MEDIA_TYPES.values())))
    question = path("question", "The name of a question.", enum=list(QUESTIONS))
    return [
        Operation("GET", "/audit/query", handlers.query, "query_history", tag, {200: _ROWS}, (),
                  (*found, *more)),
        Operation("GET", "/audit/report", handlers.questions, "list_questions", tag,
                  {200: Reply("The questions.", Content(schemas.AuditQuestionList))}),
        Operation("GET", "/audit/report/{question}", handlers.report, "answer_question", tag, {200: _ROWS}, (),
                  (question, *found)),
        Operation("GET", "/audit/timeline/{execution_id}", handlers.timeline, "get_timeline", tag, {200: _ROWS},
                  (errors.ExecutionNotFound,), (parameters.ID,)),
        Operation("GET", "/audit/export", handlers.export, "export_history", tag, {200: exported},
                  (errors.NothingToExport,), which),
        Operation("GET", "/audit/export/manifest", handlers.manifest, "get_manifest", tag,
                  {200: Reply("What the bytes of the export are.", Content(_OBJECT))}, (errors.NothingToExport,), which),
        Operation("GET", "/audit/head", handlers.head, "get_head", tag,
                  {200: Reply("The newest row.", Content(_OBJECT))}),
    ]  # fmt: skip


def _server(handlers: Handlers) -> list[Operation]:
    well = {200: Reply("All is well.", Content(schemas.Health, examples={"ok": {"status": "ok"}}))}
    text = {200: Reply("Metrics in the text format of Prometheus.", Content(str, ("text/plain",)))}
    tag = "server"
    return [
        Operation("GET", "/healthz", handlers.healthz, "get_health", tag, well, kind="open"),
        Operation("GET", "/readyz", handlers.readyz, "get_readiness", tag, well, ("not_ready", *STORAGE), kind="open"),
        Operation("GET", "/metrics", handlers.metrics, "get_metrics", tag, text, ("no_metrics",)),
    ]
