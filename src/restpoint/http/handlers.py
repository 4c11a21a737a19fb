"""The handlers of the routes: each reads the request, asks the service, and makes the reply.

Those that start workflows are in ``start_handlers.py``, those of prompts in ``prompt_handlers.py``, and those of auditors in
``audit_handlers.py``.
``operations.py`` has the table of the routes that they serve.
"""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from contextlib import aclosing, suppress
from hashlib import blake2b
from typing import Any, Final, TypedDict, Unpack
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from restpoint._storage import HistoryEntry
from restpoint._store.futures import PendingOAuth
from restpoint.access import Actor
from restpoint.errors import (
    ExecutionNotFound,
    InvalidArgument,
    NotAllowed,
    StorageError,
)
from restpoint.http import bodies, parameters, requests
from restpoint.http.bodies import json_response
from restpoint.http.json_bodies import MAX_BODY_BYTES, MAX_BODY_VALUES, BodyLimits
from restpoint.http.metrics import CONTENT_TYPE, Metrics
from restpoint.http.pages.consent import ConsentPages
from restpoint.http.pages.sign_in import SignInPages
from restpoint.http.pages.ticket import TicketPages
from restpoint.http.problems import STATUS, Problem, problem_of
from restpoint.http.sse import EventStream, LongRequests, event, position
from restpoint.lifecycle import ExecutionStatus
from restpoint.notify.tickets import Tickets
from restpoint.oauth.flow import Consents
from restpoint.oauth.providers import check_url
from restpoint.service import BATCH, Gap, Position, Reauthenticate, Service, View

Authenticate = Callable[[Request], Actor | Awaitable[Actor | None] | None]

_PAGE: Final = 50
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
    - ``tickets``: what made the links with tickets that mails have, for the page that these lead to.
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
    tickets: Tickets | None
    public_url: str | None


class Handlers:
    """The handlers of one service. Raises ``InvalidArgument`` for a default that is no workflow here.

    ``sign_in`` are the pages on which people sign in to the ready server.
    """

    def __init__(self, service: Service, sign_in: SignInPages | None = None, **options: Unpack[RouteOptions]) -> None:
        self.service = service
        self.sign_in = sign_in
        self.long_requests = LongRequests()
        self._authenticate: Authenticate = options.get("authenticate") or requests.local
        self.limits = BodyLimits(
            options.get("max_body_bytes", MAX_BODY_BYTES), options.get("max_body_values", MAX_BODY_VALUES)
        )
        self.trusted = frozenset(map(requests.check_origin, options.get("trusted_origins", ())))
        self._metrics = options.get("metrics")
        self.starts = options.get("starts", True)
        self.has_pages = options.get("pages", False)
        consents, default = options.get("consents"), options.get("default")
        self.pages = None if consents is None else ConsentPages(consents, service.policy, self._actor_or_none)
        tickets = options.get("tickets")
        self.ticket_pages = (
            None if tickets is None else TicketPages(service, tickets, self.base_of, self._actor_or_none)
        )
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

    async def writer(self, request: Request) -> Actor:
        """Who sent a request that changes something. Raises ``Problem`` where a browser sent it for another site."""
        requests.refuse_other_sites(request, self.trusted)
        return await self.actor(request)

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
        return self.address(actor, view.record.execution_id, view.consent, request, base)

    def address(self, actor: Actor, execution_id: str, consent: PendingOAuth, request: Request, base: str) -> str:
        """The URL where the actor grants this consent."""
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
            problem=parameters.PROBLEM.of(request) or False,
            limit=parameters.LIMIT.of(request) or _PAGE,
            cursor=parameters.CURSOR.of(request),
        )
        return json_response(page, headers=_UNSTORED)

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

    async def feed(self, request: Request) -> Response:
        """Stream what happens to all executions that the caller may see."""
        actor = await self.actor(request)
        last, after = parameters.LAST_ROW.of(request), parameters.AFTER.of(request)
        has_end = parameters.FOLLOW.of(request) is False
        feed = self.service.feed(
            actor,
            after=after if last is None else last,
            workflow=parameters.WORKFLOW.of(request),
            events=parameters.EVENTS.of(request) or (),
            has_end=has_end,
            reauthenticate=self.reauthenticates(request),
        )
        return EventStream(_fed(feed), self.long_requests, is_head=request.method == "HEAD")

    # --- Doing ---

    async def cancel(self, request: Request) -> Response:
        """Cancel an execution."""
        actor, reason = await self.writer(request), await self.reason(request)
        view = await self.service.cancel(actor, request.path_params["execution_id"], reason)
        return json_response(self._status(actor, view, request, "/cancel"))

    async def retry(self, request: Request) -> Response:
        """Let a failed execution go on at the call that failed."""
        actor, reason = await self.writer(request), await self.reason(request)
        view = await self.service.retry(actor, request.path_params["execution_id"], reason)
        return json_response(self._status(actor, view, request, "/retry"))

    async def reason(self, request: Request) -> str | None:
        """The reason in a body, if there is one."""
        body = await requests.read_object(request, self.limits, ["reason"], optional=True)
        reason = body.get("reason")
        if reason is not None and not isinstance(reason, str):
            raise Problem("invalid_body", "The reason must be text.")
        return reason

    async def remove(self, request: Request) -> Response:
        """Delete an execution that has ended."""
        await self.service.remove(await self.writer(request), request.path_params["execution_id"])
        return Response(status_code=204)

    # --- About the server ---

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


_DOING: Final = ("problem", "sleeping_until", "steps", "notifications")


def _tag(view: View, now: dict[str, Any]) -> str:
    """An entity tag (RFC 9110, section 8.8.3) that changes when the status or the open waits do, or what it is doing."""
    doing = map(str, map(now.get, _DOING))
    state = "\0".join((*view.state, *doing)).encode()
    return f'W/"{blake2b(state, digest_size=9).hexdigest()}"'


def _names(known: str, tag: str) -> bool:
    """Whether an ``If-None-Match`` names this tag (RFC 9110, section 13.1.2), weakly compared (section 8.8.3.2)."""
    return known in {tag, "*"} or tag.removeprefix("W/") in _OPAQUE_TAG.findall(known)


async def _fed(feed: AsyncGenerator[HistoryEntry | Position | Gap, None]) -> AsyncGenerator[bytes, None]:
    last = 0
    async with aclosing(feed):
        async for each in feed:
            last = each.sequence
            match each:
                case Position():
                    yield position(last)
                case Gap():
                    yield event("gap", {"code": each.code, "detail": each.reason}, last)
                case _:
                    yield event(each.event, each, last)
    yield event("end", {"sequence": last}, last)
