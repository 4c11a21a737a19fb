"""The handlers of the routes: each reads the request, asks the service, and makes the reply.

``operations.py`` has the table of the routes that they serve.
"""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import replace
from hashlib import blake2b
from typing import Any, Final, NamedTuple, TypedDict, Unpack
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from restpoint import logs
from restpoint._core import json_thread, tracing
from restpoint._engine.workflow import Workflow
from restpoint._storage import HistoryEntry
from restpoint._store.futures import PendingOAuth
from restpoint._store.records import ExecutionRecord
from restpoint.access import Actor, Subject
from restpoint.errors import (
    ExecutionCancelled,
    ExecutionNotFound,
    InvalidArgument,
    NotAllowed,
    StorageError,
    WorkflowNotFound,
)
from restpoint.events import EventKind
from restpoint.http import bodies, json_bodies, parameters, requests
from restpoint.http.bodies import json_response
from restpoint.http.json_bodies import MAX_BODY_BYTES, MAX_BODY_VALUES, BodyLimits
from restpoint.http.metrics import CONTENT_TYPE, Metrics
from restpoint.http.original_wire import Input, input_of, input_of_chat
from restpoint.http.pages.consent import ConsentPages
from restpoint.http.pages.sign_in import SignInPages
from restpoint.http.problems import STATUS, Problem, problem_of
from restpoint.http.sse import EventStream, LongRequests, event
from restpoint.lifecycle import ExecutionStatus
from restpoint.oauth.flow import Consents
from restpoint.oauth.providers import check_url
from restpoint.service import BATCH, Reauthenticate, Service, View

Authenticate = Callable[[Request], Actor | Awaitable[Actor | None] | None]

START_WAIT: Final = 10.0
"""Seconds that a start waits for an outcome, unless ``?wait=`` says otherwise."""

_PAGE: Final = 50
_RESPONSE_VALUES: Final = 10_000  # of a response, which is checked on the event loop: two thousand options, written out
_END: Final = "-end"
_UNSTORED: Final = {"cache-control": "no-store"}
_OPAQUE_TAG: Final = re.compile(r'"[^"]*"')


class RouteOptions(TypedDict, total=False):
    """What may be said of the routes of a service.

    - ``authenticate``: says who sent a request; None is answered with 401. It is asked again, with the same request, before each
      reply of a long poll and each part of a stream or an export. Without one, only requests from this machine are answered, as
      the operator ``local``.
    - ``default``: the workflow that ``/v1/workflow`` starts; where there is only one workflow, that one.
    - ``max_body_bytes``: larger bodies are refused with 413; 4 MiB by default.
    - ``max_body_values``: bodies with more JSON values (lists, objects and their members count as one each) are refused with
      422; 50,000 by default. What a body may cost the event loop depends on it, so raise it only for callers whom you trust.
    - ``trusted_origins``: origins of pages whose browsers may send requests that change something, such as
      ``https://inbox.example``.
    - ``metrics``: what ``/metrics`` shows.
    - ``consents``: the OAuth consents that the runner has, for their pages and callbacks.
    - ``starts``: whether there are routes that start and list workflows. With False only executions are served, which the
      application starts itself.
    - ``pages``: whether there are pages for people: ``/`` shows each what waits for them, and they answer there. False by
      default.
    - ``public_url``: the URL of the routes as clients see it, such as ``https://host.example/approvals``, where a proxy takes a
      part of the path away. Every address in a reply begins with its path. By default the one of ``consents``, or else the path
      that requests come to.
    """

    authenticate: Authenticate | None
    default: str | None
    max_body_bytes: int
    max_body_values: int
    trusted_origins: Collection[str]
    metrics: Metrics | None
    consents: Consents | None
    starts: bool
    pages: bool
    public_url: str | None


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


class Handlers:
    """The handlers of one service. Raises ``InvalidArgument`` for a default that is no workflow here.

    ``sign_in`` are the pages on which people sign in to the ready server.
    """

    def __init__(self, service: Service, sign_in: SignInPages | None = None, **options: Unpack[RouteOptions]) -> None:
        self.service = service
        self.sign_in = sign_in
        self.long_requests = LongRequests()
        self._authenticate: Authenticate = options.get("authenticate") or requests.local
        self._limits = BodyLimits(
            options.get("max_body_bytes", MAX_BODY_BYTES), options.get("max_body_values", MAX_BODY_VALUES)
        )
        self.trusted = frozenset(map(requests.check_origin, options.get("trusted_origins", ())))
        self._metrics = options.get("metrics")
        self.starts = options.get("starts", True)
        self.has_pages = options.get("pages", False)
        consents, default = options.get("consents"), options.get("default")
        self.pages = None if consents is None else ConsentPages(consents, service.policy, self._actor_or_none)
        public_url = options.get("public_url") or (None if consents is None else consents.links.public_url)
        self._base = None if public_url is None else urlsplit(check_url("public_url", public_url)).path.rstrip("/")
        known = service.workflows
        if default is not None and default not in known:
            raise InvalidArgument(
                f"default is {default!r}; the workflows here are: {', '.join(sorted(known)) or 'none'}."
            )
        self.default = default if default is not None else next(iter(known)) if len(known) == 1 else None

    # --- Requests ---

    def base_of(self, request: Request, path: str) -> str:
        """The path that clients find the routes under, from a request to the route that has this ``path`` in itself."""
        return requests.mount_of(request, path) if self._base is None else self._base

    async def _actor_or_none(self, request: Request) -> Actor | None:
        found = self._authenticate(request)
        return found if found is None or isinstance(found, Actor) else await found

    async def actor(self, request: Request) -> Actor:
        """Who sent a request. If that is unknown, a browser is sent to sign in, and others get ``Problem`` 401."""
        actor = await self._actor_or_none(request)
        if actor is None:
            # Programs, and the scripts of pages, send no such header, or another one (W3C Fetch Metadata).
            is_opened = request.method == "GET" and request.headers.get("sec-fetch-mode") == "navigate"
            place = self.sign_in.place(request) if self.sign_in is not None and is_opened else None
            if place is not None:
                raise HTTPException(303, "Sign in.", headers={"location": place})
            raise Problem(
                "not_authenticated",
                "Say who you are: send the header Authorization: Bearer TOKEN with a token that is known here.",
                headers={"www-authenticate": "Bearer"},
            )
        return actor

    def reauthenticates(self, request: Request) -> Reauthenticate:
        """Return a function that says who sent a request, now: it calls ``authenticate`` again."""

        async def reauthenticate() -> Actor:
            try:
                return await self.actor(request)
            except HTTPException as error:  # of an application's authenticate
                raise Problem("refused", str(error.detail), status=error.status_code) from error

        return reauthenticate

    async def _writer(self, request: Request) -> Actor:
        requests.refuse_other_sites(request, self.trusted)
        return await self.actor(request)

    # --- Starting ---

    async def start(self, request: Request) -> Response:
        """Start a workflow and wait a little for its outcome."""
        given = parameters.WAIT.of(request)
        limit = START_WAIT if given is None else given
        start = await self._start(request, "/v1/workflow", input_of)
        record = start.record
        if limit and record.status is ExecutionStatus.RUNNING:
            with suppress(
                TimeoutError, ExecutionCancelled
            ):  # the latter if the execution ended and was removed already
                async with self.long_requests.at_most(limit):
                    while record.status is ExecutionStatus.RUNNING:
                        await record.changed()
            start = start._replace(actor=await self.actor(request))  # who may have lost their rights meanwhile
        return self._outcome(start)

    async def _start(self, request: Request, path: str, read: Callable[[Workflow | None, Any], Input]) -> _Start:
        options = parameters.start_options(request)
        actor = await self._writer(request)
        body = await requests.read_body(request, self._limits.bytes)
        data = await json_bodies.parse(body, self._limits)
        named = request.path_params.get("name")
        own = path if named is None else path.replace("/v1/workflow", f"/v1/workflows/{named}", 1)
        name = self.default if named is None else named
        if name is None:
            raise WorkflowNotFound("(default)", self.service.startable(actor))
        trace = tracing.accepted(request.headers) if "traceparent" in request.headers else None
        given = Input(data) if named is not None else read(self.service.workflows.get(name), data)
        started = await self.service.start(
            actor, name, given.value, is_long=len(body) >= json_thread.LONG, trace=trace or None, **options
        )
        logs.add(execution_id=started.record.execution_id, workflow=name)
        return _Start(actor, given, started.record, started.created, self.base_of(request, own), request)

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
        view = self.service.view(start.actor, record)
        body = bodies.status_body(view, start.base, self.link(start.actor, view, start.request, start.base))
        return json_response({**body, "status_url": headers["location"]}, 202, headers=headers)

    async def start_stream(self, request: Request) -> Response:
        """Start a workflow and stream its events."""
        return self._streamed(await self._start(request, "/v1/workflow/stream", input_of))

    async def start_chat(self, request: Request) -> Response:
        """Start the default workflow with what the user of a chat said last, and stream its events."""
        return self._streamed(await self._start(request, "/v1/chat/stream", input_of_chat))

    def _streamed(self, start: _Start) -> Response:
        request = start.request
        reauthenticate = self.reauthenticates(request)
        return EventStream(self._run_events(start, reauthenticate), self.long_requests, headers=start.headers)

    async def _run_events(self, start: _Start, reauthenticate: Reauthenticate) -> AsyncGenerator[bytes, None]:
        actor, record = start.actor, start.record
        end: HistoryEntry | None = None  # the last one counts: an execution that failed may have been retried
        async for entry in self.service.follow(actor, record.execution_id, reauthenticate=reauthenticate):
            shown = self._shown(start, entry)
            if shown is not None:
                yield shown
            if entry.kind is not None and (entry.kind.ends_as is not None or entry.kind.undoes_end):
                end = entry if entry.kind.ends_as is not None else None
        with suppress(ExecutionNotFound):  # swept already: the record knows
            await self.service.status(actor, record.execution_id)
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
                if not consents or not self.service.policy.may_see_consent(start.actor, Subject(record.owner)):
                    return None
                name = "oauth_required"
                url = self._address(start.actor, record.execution_id, consents[0], start.request, base)
                data = {"auth_url": url, "oauth_state": consents[0].oauth_state}
            case kind if kind.closes_wait:  # without the response, which the history has
                if kind.wait == "consent" and not self.service.policy.may_see_consent(
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

    # --- Looking ---

    async def status(self, request: Request) -> Response:
        """Show an execution now, or after its next change."""
        limit = parameters.WAIT.of(request)
        actor = await self.actor(request)
        execution_id = request.path_params["execution_id"]
        view = await self.service.status(actor, execution_id)
        # Several lines are one list (RFC 9110, section 5.3).
        known = ", ".join(request.headers.getlist("if-none-match"))
        if limit and not view.ended and (not known or _names(known, _tag(view, await self._now(actor, view)))):
            try:
                async with self.long_requests.at_most(limit):
                    await self.service.wait_for_change(actor, view)
            except TimeoutError:
                pass
            actor = await self.actor(request)  # who may have lost their rights meanwhile
            view = await self.service.status(actor, execution_id)
        now = await self._now(actor, view)
        headers = {"etag": _tag(view, now), "cache-control": "no-store"}
        if known and _names(known, headers["etag"]):
            return Response(status_code=304, headers=headers)
        return json_response({**self._status(actor, view, request, ""), **now}, headers=headers)

    async def _now(self, actor: Actor, view: View) -> dict[str, Any]:
        """What a poll shows beside the record: what was notified, what it is doing, and what it raised if it failed."""
        told = await self.service.notifications(view)
        return {**({"notifications": told} if told else {}), **await self._doing(actor, view)}

    async def _doing(self, actor: Actor, view: View) -> dict[str, Any]:
        if view.status is ExecutionStatus.RUNNING:
            return bodies.progress_body(await self.service.progress(view))
        if view.status is ExecutionStatus.FAILED:
            failure = await self.service.failure(actor, view)
            return {} if failure is None else {"failure": failure}
        return {} if view.ended else {"problem": view.record.problem}

    def _status(self, actor: Actor, view: View, request: Request, tail: str) -> dict[str, Any]:
        base = self.base_of(request, f"/executions/{view.record.execution_id}{tail}")
        return bodies.status_body(view, base, self.link(actor, view, request, base))

    def link(self, actor: Actor, view: View, request: Request, base: str) -> str:
        """The URL where the actor grants the consent that the execution waits for; empty if they may see none."""
        if view.consent is None or view.status is not ExecutionStatus.OAUTH_REQUIRED:
            return ""
        return self._address(actor, view.record.execution_id, view.consent, request, base)

    def _address(self, actor: Actor, execution_id: str, consent: PendingOAuth, request: Request, base: str) -> str:
        if consent.provider is None or self.pages is None:
            return consent.auth_url
        return self.pages.link(actor, execution_id, consent, request, base)

    async def list(self, request: Request) -> Response:
        """List executions."""
        actor = await self.actor(request)
        page = await self.service.list(
            actor,
            status=parameters.STATUSES.of(request),
            workflow=parameters.WORKFLOW.of(request),
            version=parameters.VERSION.of(request),
            owner=parameters.OWNER.of(request),
            limit=parameters.LIMIT.of(request) or _PAGE,
            cursor=parameters.CURSOR.of(request),
        )
        return json_response(page, headers=_UNSTORED)

    async def inbox(self, request: Request) -> Response:
        """List the open prompts that the actor may answer."""
        actor = await self.actor(request)
        page = await self.service.inbox(
            actor,
            workflow=parameters.WORKFLOW.of(request),
            limit=parameters.LIMIT.of(request) or _PAGE,
            cursor=parameters.CURSOR.of(request),
        )
        base = self.base_of(request, "/inbox")
        return json_response(bodies.inbox_body(page, base), headers=_UNSTORED)

    async def history(self, request: Request) -> Response:
        """Show what happened to an execution."""
        actor = await self.actor(request)
        page = await self.service.history(
            actor,
            request.path_params["execution_id"],
            after=parameters.AFTER.of(request) or 0,
            limit=parameters.LIMIT.of(request) or BATCH,
        )
        return json_response(page, headers=_UNSTORED)

    async def events(self, request: Request) -> Response:
        """Stream what happens to an execution, from any row of its history on."""
        actor = await self.actor(request)
        execution_id = request.path_params["execution_id"]
        last, after = parameters.LAST_EVENT.of(request), parameters.AFTER.of(request) or 0
        number = None if last is None else last.removesuffix(_END)
        if number is not None:
            after = parameters.read_whole("Last-Event-ID", number)
        await self.service.history(actor, execution_id, after=after, limit=1)  # so that a refusal still has a status
        if last != number and not (await self.service.history(actor, execution_id, after=after, limit=1)).items:
            return Response(status_code=204)  # so that a browser's EventSource comes no more (HTML, section 9.2.3)
        events = self._all_events(actor, execution_id, after, self.reauthenticates(request))
        return EventStream(events, self.long_requests, is_head=request.method == "HEAD")

    async def _all_events(
        self, actor: Actor, execution_id: str, after: int, reauthenticate: Reauthenticate
    ) -> AsyncGenerator[bytes, None]:
        status: str | None = None
        async for entry in self.service.follow(actor, execution_id, after=after, reauthenticate=reauthenticate):
            after, status = entry.sequence, entry.to_status or status
            yield event(entry.event, entry, entry.sequence)
        with suppress(ExecutionNotFound):
            status = (await self.service.status(actor, execution_id)).status
        yield event("end", {"execution_id": execution_id, "status": status}, f"{after}{_END}")

    # --- Doing ---

    async def answer(self, request: Request) -> Response:
        """Answer a prompt."""
        actor = await self._writer(request)
        limits = replace(self._limits, values=min(self._limits.values, _RESPONSE_VALUES))
        body = await requests.read_object(request, limits, ["response"])
        response = body.get("response")
        if not isinstance(response, dict):
            raise Problem("invalid_body", 'The body must be {"response": {"type": ..., ...}}.')
        ids = request.path_params
        await self.service.answer(actor, ids["execution_id"], ids["interaction_id"], response)
        return Response(status_code=204)

    async def claim(self, request: Request) -> Response:
        """Claim a prompt."""
        actor = await self._writer(request)
        await requests.read_object(request, self._limits, [], optional=True)
        ids = request.path_params
        await self.service.claim(actor, ids["execution_id"], ids["interaction_id"])
        return Response(status_code=204)

    async def release(self, request: Request) -> Response:
        """End the claim of a prompt."""
        actor, reason = await self._writer(request), await self._reason(request)
        ids = request.path_params
        await self.service.release(actor, ids["execution_id"], ids["interaction_id"], reason)
        return Response(status_code=204)

    async def delegate(self, request: Request) -> Response:
        """Hand a prompt on."""
        actor = await self._writer(request)
        body = await requests.read_object(request, self._limits, ["to", "reason"])
        to, reason, ids = body.get("to"), body.get("reason"), request.path_params
        if not isinstance(to, str) or not isinstance(reason, str | None):
            raise Problem("invalid_body", 'The body must be {"to": "..."}: a person, or a group as group:NAME.')
        await self.service.delegate(actor, ids["execution_id"], ids["interaction_id"], to, reason)
        return Response(status_code=204)

    async def reassign(self, request: Request) -> Response:
        """Address a prompt to others."""
        actor = await self._writer(request)
        body = await requests.read_object(request, self._limits, ["to", "reason"])
        to, reason, ids = body.get("to"), body.get("reason"), request.path_params
        is_list = isinstance(to, list) and bool(to) and all(isinstance(name, str) for name in to)
        if not is_list or not isinstance(reason, str | None):
            raise Problem("invalid_body", 'The body must be {"to": ["...", ...]}: people, and groups as group:NAME.')
        await self.service.reassign(actor, ids["execution_id"], ids["interaction_id"], to or [], reason)
        return Response(status_code=204)

    async def cancel(self, request: Request) -> Response:
        """Cancel an execution."""
        actor, reason = await self._writer(request), await self._reason(request)
        view = await self.service.cancel(actor, request.path_params["execution_id"], reason)
        return json_response(self._status(actor, view, request, "/cancel"))

    async def retry(self, request: Request) -> Response:
        """Let a failed execution go on at the call that failed."""
        actor, reason = await self._writer(request), await self._reason(request)
        view = await self.service.retry(actor, request.path_params["execution_id"], reason)
        return json_response(self._status(actor, view, request, "/retry"))

    async def _reason(self, request: Request) -> str | None:
        body = await requests.read_object(request, self._limits, ["reason"], optional=True)
        reason = body.get("reason")
        if reason is not None and not isinstance(reason, str):
            raise Problem("invalid_body", "The reason must be text.")
        return reason

    async def remove(self, request: Request) -> Response:
        """Delete an execution that has ended."""
        await self.service.remove(await self._writer(request), request.path_params["execution_id"])
        return Response(status_code=204)

    # --- About the server ---

    async def workflows(self, request: Request) -> Response:
        """List the workflows that can be started."""
        actor = await self.actor(request)
        shown = ("name", "version", "description", "input_schema", "output_schema")
        items = [{name: getattr(each, name) for name in shown} for each in self.service.startable(actor).values()]
        return json_response({"items": items})

    async def callback(self, request: Request) -> Response:
        """Receive the browser that a provider sent back: of a consent, or of somebody who signs in."""
        if self.sign_in is not None and self.sign_in.takes(request):
            return await self.sign_in.callback(request)
        if self.pages is None:
            raise Problem("route_not_found", "This server has no providers.")
        return await self.pages.callback(request)

    async def healthz(self, _: Request) -> Response:
        """Say that the process answers."""
        return json_response({"status": "ok"})

    async def readyz(self, _: Request) -> Response:
        """Say whether the server takes work: it can use its file, whose revision is this program's, and is not closing."""
        if self.long_requests.ending or (self.service.runner is not None and not self.service.runner.accepts):
            raise Problem("not_ready", "The server is going down, or not up yet.", headers={"retry-after": "1"})
        try:
            await self.service.store.check()
        except StorageError as error:
            problem = problem_of(error)
            problem.status = STATUS["not_ready"]  # a full disk, too
            raise problem from error
        return json_response({"status": "ok"})

    async def metrics(self, request: Request) -> Response:
        """Show metrics in the text format of Prometheus."""
        actor = await self.actor(request)
        if not self.service.policy.sees_everything(actor):
            raise NotAllowed(f"{actor.id} may not read the metrics: that takes the role reader or operator.")
        if self._metrics is None:
            raise Problem("no_metrics", "This server keeps no metrics.")
        return Response(await self._metrics.text(), media_type=CONTENT_TYPE)


def _tag(view: View, now: dict[str, Any]) -> str:
    """An entity tag (RFC 9110, section 8.8.3) that changes when the status or the open waits do, or what it is doing."""
    doing = (str(now.get(name)) for name in ("problem", "sleeping_until", "steps", "notifications"))
    state = "\0".join((*view.state, *doing)).encode()
    return f'W/"{blake2b(state, digest_size=9).hexdigest()}"'


def _names(known: str, tag: str) -> bool:
    """Whether an ``If-None-Match`` names this tag (RFC 9110, section 13.1.2), weakly compared (section 8.8.3.2)."""
    return known in {tag, "*"} or tag.removeprefix("W/") in _OPAQUE_TAG.findall(known)


def _failure(record: ExecutionRecord) -> tuple[str, str]:
    """The code and the message of an execution that did not complete."""
    if record.status is ExecutionStatus.FAILED:
        return record.error_code or "failed", record.error or "The execution failed without a word."
    return ExecutionCancelled.code, f"Execution {record.execution_id} was cancelled."


def _detail(entry: HistoryEntry) -> dict[str, Any]:
    return entry.detail if isinstance(entry.detail, dict) else {}
