"""The handlers that start workflows: one waits a little for the outcome, the others stream what happens."""

from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Any, Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from restpoint import logs
from restpoint._core import json_thread, tracing
from restpoint._engine.workflow import Workflow
from restpoint._storage import HistoryEntry
from restpoint._store.records import ExecutionRecord
from restpoint.access import Actor, Subject
from restpoint.errors import (
    ExecutionCancelled,
    ExecutionNotFound,
    WorkflowNotFound,
)
from restpoint.events import EventKind
from restpoint.http import bodies, json_bodies, parameters, requests
from restpoint.http.bodies import json_response
from restpoint.http.handlers import Handlers
from restpoint.http.original_wire import Input, input_of, input_of_chat
from restpoint.http.problems import Problem
from restpoint.http.sse import EventStream, event
from restpoint.lifecycle import ExecutionStatus
from restpoint.service import Reauthenticate

START_WAIT: Final = 10.0
"""Seconds that a start waits for an outcome, unless ``?wait=`` says otherwise."""


class _Start(NamedTuple):
    """An execution that a request started, or found by its idempotency key; ``base`` is where the routes are mounted."""

    actor: Actor
    input: Input
    record: ExecutionRecord
    created: bool
    base: str
    request: Request

    @property
    def headers(self) -> dict[str, str]:
        """Where the execution is, and whether an earlier request started it."""
        place = {"location": bodies.status_url(self.base, self.record.execution_id)}
        return place if self.created else {**place, "idempotency-replayed": "true"}


class StartHandlers:
    """The routes that start workflows of one service. ``handlers`` are those of its other routes."""

    def __init__(self, handlers: Handlers) -> None:
        self._handlers = handlers
        self._service = handlers.service

    async def start(self, request: Request) -> Response:
        """Start a workflow and wait a little for its outcome."""
        given = parameters.WAIT.of(request)
        limit = START_WAIT if given is None else given
        start = await self._start(request, "/v1/workflow", input_of)
        record = start.record
        if limit and record.status is ExecutionStatus.RUNNING:
            # An execution that has ended may have been removed already.
            with suppress(TimeoutError, ExecutionCancelled):
                async with self._handlers.long_requests.at_most(limit):
                    while record.status is ExecutionStatus.RUNNING:
                        await record.changed()
            # Who may have lost their rights meanwhile.
            start = start._replace(actor=await self._handlers.actor(request))
        return self._outcome(start)

    async def _start(self, request: Request, path: str, read: Callable[[Workflow | None, Any], Input]) -> _Start:
        options = parameters.start_options(request)
        actor = await self._handlers.writer(request)
        body = await requests.read_body(request, self._handlers.limits.bytes)
        data = await json_bodies.parse(body, self._handlers.limits)
        named = request.path_params.get("name")
        own = path if named is None else path.replace("/v1/workflow", f"/v1/workflows/{named}", 1)
        name = self._handlers.default if named is None else named
        if name is None:
            raise WorkflowNotFound("(default)", self._service.startable(actor))
        trace = tracing.accepted(request.headers) if "traceparent" in request.headers else None
        given = Input(data) if named is not None else read(self._service.workflows.get(name), data)
        started = await self._service.start(
            actor, name, given.value, is_long=len(body) >= json_thread.LONG, trace=trace or None, **options
        )
        logs.add(execution_id=started.record.execution_id, workflow=name)
        return _Start(actor, given, started.record, started.created, self._handlers.base_of(request, own), request)

    def _outcome(self, start: _Start) -> Response:
        record, headers = start.record, start.headers
        match record.status:
            case ExecutionStatus.COMPLETED:
                return json_response(start.input.shown(record.result), headers=headers)
            case ExecutionStatus.FAILED | ExecutionStatus.CANCELLED:
                code, detail = _failure(record)
                status = 422 if record.status is ExecutionStatus.FAILED else 409
                return Problem(
                    code, detail, status=status, headers=headers, execution_id=record.execution_id
                ).response()
            case ExecutionStatus.RUNNING:
                headers["retry-after"] = "1"
        view = self._service.view(start.actor, record)
        body = bodies.status_body(view, start.base, self._handlers.link(start.actor, view, start.request, start.base))
        return json_response({**body, "status_url": headers["location"]}, 202, headers=headers)

    async def start_stream(self, request: Request) -> Response:
        """Start a workflow and stream its events."""
        return self._streamed(await self._start(request, "/v1/workflow/stream", input_of))

    async def start_chat(self, request: Request) -> Response:
        """Start the default workflow with what the user of a chat said last, and stream its events."""
        return self._streamed(await self._start(request, "/v1/chat/stream", input_of_chat))

    def _streamed(self, start: _Start) -> Response:
        request = start.request
        reauthenticate = self._handlers.reauthenticates(request)
        return EventStream(self._run_events(start, reauthenticate), self._handlers.long_requests, headers=start.headers)

    async def _run_events(self, start: _Start, reauthenticate: Reauthenticate) -> AsyncGenerator[bytes, None]:
        actor, record = start.actor, start.record
        end: HistoryEntry | None = None  # the last one counts: an execution that failed may have been retried
        async for entry in self._service.follow(actor, record.execution_id, reauthenticate=reauthenticate):
            shown = self._shown(start, entry)
            if shown is not None:
                yield shown
            if entry.kind is not None and (entry.kind.ends_as is not None or entry.kind.undoes_end):
                end = entry if entry.kind.ends_as is not None else None
        with suppress(ExecutionNotFound):  # swept already: the record knows
            await self._service.status(actor, record.execution_id)
        if end is not None:
            yield self._last(start, end)

    def _shown(self, start: _Start, entry: HistoryEntry) -> bytes | None:
        """The event of a row of history in the stream of a start, or None; prompts and consents only while they are open."""
        record, base = start.record, start.base
        data: dict[str, Any]
        if entry.kind is None or not entry.kind.is_streamed:
            return None
        match entry.kind:
            case EventKind.EMITTED:
                return event(None, start.input.shown(_detail(entry).get("data")), entry.sequence)
            case EventKind.NOTIFIED:
                name, data = "notification", {"prompt": _detail(entry).get("prompt")}
            case EventKind.INTERACTION_ASKED:
                open_ = [prompt for prompt in record.pending_interactions if prompt.interaction_id == entry.wait_id]
                if not open_:
                    return None
                name, data = "interaction_required", bodies.prompt_body(open_[0], record.execution_id, base)
            case EventKind.CONSENT_ASKED:
                consents = [consent for consent in record.pending_oauths if consent.consent_id == entry.wait_id]
                if not consents or not self._service.policy.may_see_consent(start.actor, Subject(record.owner)):
                    return None
                name = "oauth_required"
                url = self._handlers.address(start.actor, record.execution_id, consents[0], start.request, base)
                data = {"auth_url": url, "oauth_state": consents[0].oauth_state}
            case kind if kind.closes_wait:  # without the response, which the history has
                if kind.wait == "consent" and not self._service.policy.may_see_consent(
                    start.actor, Subject(record.owner)
                ):
                    return None
                name = str(kind)
                data = {f"{kind.wait}_id": entry.wait_id, "status": kind.wait_status, "actor": entry.actor}
            case _:
                name, data = str(entry.kind), _detail(entry)
        return event(name, {"event_type": name, "execution_id": record.execution_id, **data}, entry.sequence)

    def _last(self, start: _Start, entry: HistoryEntry) -> bytes:
        record = start.record
        if entry.to_status == ExecutionStatus.COMPLETED:
            return event(None, start.input.shown(record.result), entry.sequence)
        code, detail = _failure(record)
        data = {"event_type": "error", "execution_id": record.execution_id, "code": code, "detail": detail}
        return event("error", data, entry.sequence)

    async def workflows(self, request: Request) -> Response:
        """List the workflows that can be started."""
        actor = await self._handlers.actor(request)
        shown = ("name", "version", "description", "input_schema", "output_schema")
        items = [{name: getattr(each, name) for name in shown} for each in self._service.startable(actor).values()]
        return json_response({"items": items})


def _failure(record: ExecutionRecord) -> tuple[str, str]:
    """The code and the message of an execution that did not complete."""
    if record.status is ExecutionStatus.FAILED:
        return record.error_code or "failed", record.error or "The execution failed without a word."
    return ExecutionCancelled.code, f"Execution {record.execution_id} was cancelled."


def _detail(entry: HistoryEntry) -> dict[str, Any]:
    return entry.detail if isinstance(entry.detail, dict) else {}
