"""Routing: how the table of operations, its documentation and the pages become the routes of a Starlette application.

Every error of a handler, and whatever Starlette itself refuses, is answered with a problem (``problems.py``).
"""

import logging
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import cached_property
from importlib.metadata import version
from itertools import takewhile
from typing import Any, Final

from pydantic_core import to_json
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

from restpoint import logs
from restpoint.http.dispatcher import DispatchedRequest, Dispatcher
from restpoint.http.handlers import Handlers
from restpoint.http.openapi import document
from restpoint.http.operation import Handler
from restpoint.http.operations import operations
from restpoint.http.pages import html, reference, rendering
from restpoint.http.pages.inbox import InboxPages
from restpoint.http.parameters import refuse_unknown
from restpoint.http.problems import Problem, problem_of
from restpoint.http.requests import refuse_two_lengths

log = logging.getLogger(__name__)


# What is shown is for whoever asked, now, and no browser should guess what it is (Fetch, section 3.6).
_UNLESS_GIVEN: Final = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))


class Endpoint:
    """A handler as an ASGI application that turns every error into a problem.

    ``query`` are the names that the query may have, None for any.
    """

    def __init__(self, handler: Handler, query: frozenset[str] | None) -> None:
        self._handler = handler
        self._query = query

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        with logs.about():  # while the reply is sent, too: the server logs a request when its reply begins
            response = await self.respond(DispatchedRequest(scope, receive, send))
            try:
                await response(scope, receive, send)
            except Problem as problem:  # the reply has begun, so all that is left is to end it too early
                log.warning("a reply was cut off: %s", problem)

    async def respond(self, request: Request) -> Response:
        """The reply to a request. Raises the ``HTTPException`` of an application's ``authenticate``."""
        logs.add(execution_id=request.path_params.get("execution_id"))
        response = await self._respond(request)
        given = dict(response.raw_headers)
        response.raw_headers += [each for each in _UNLESS_GIVEN if each[0] not in given]
        return response

    async def _respond(self, request: Request) -> Response:
        try:
            refuse_two_lengths(request)
            if self._query is not None:
                refuse_unknown(request, self._query)
            return await self._handler(request)
        except HTTPException:
            raise
        except ClientDisconnect:
            return Response(status_code=400)  # which nobody receives
        except Exception as error:  # noqa: BLE001 - a client gets a problem, never a traceback
            return problem_of(error).response()


class Routes:
    """The routes of a table of operations, and of their documentation."""

    def __init__(self, handlers: Handlers, title: str) -> None:
        self._title = title
        self._base_of = handlers.base_of
        self._operations = operations(handlers)
        pages = InboxPages(handlers).routes if handlers.has_pages else ()
        tickets = () if handlers.ticket_pages is None else handlers.ticket_pages.routes
        assets = rendering.ROUTES if pages or tickets else ()
        self._pages = (*pages, *tickets, *assets)

    def __iter__(self) -> Iterator[Route]:
        for each in self._operations:
            yield _route(each.path, Endpoint(each.handler, each.query), each.method, each.id)
        yield _route("/openapi.json", Endpoint(self.openapi, frozenset()), "GET", "openapi")
        yield _route("/docs", Endpoint(self.docs, frozenset()), "GET", "docs")
        for page in self._pages:
            yield _route(page.path, Endpoint(page.handler, None), page.method, page.name)

    @cached_property
    def _document(self) -> dict[str, Any]:
        return document(self._operations, title=self._title, version=version("restpoint"))

    async def openapi(self, request: Request) -> Response:
        """The OpenAPI document."""
        servers = [{"url": self._base_of(request, "/openapi.json") or "/"}]
        return Response(to_json({**self._document, "servers": servers}), media_type="application/json")

    async def docs(self, _: Request) -> Response:
        """The OpenAPI document as a page for people."""
        return reference.page(self._document)


def _route(path: str, endpoint: Endpoint, method: str, name: str) -> Route:
    route = Route(path, endpoint, methods=[method], name=name)
    # Starlette's pattern for the rest of a path takes no line break, and an id may have one like any other character.
    route.path_regex = re.compile(route.path_regex.pattern, re.DOTALL)
    return route


def lifespan_of(handlers: Handlers) -> Lifespan[Any]:
    """The lifespan of an application with these handlers: its long polls and streams end with it, and at a signal."""

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        with handlers.long_requests.ended_by_signals():
            yield
            handlers.long_requests.end()

    return lifespan


class _Application(Starlette):
    """Starlette whose requests go to their routes past its layers."""

    def build_middleware_stack(self) -> ASGIApp:
        """The layers, with the dispatcher in front of them unless the application has middleware of its own."""
        layers = super().build_middleware_stack()
        if self.user_middleware:
            return layers
        first = takewhile(lambda route: isinstance(getattr(route, "endpoint", None), Endpoint), self.router.routes)
        return Dispatcher(self, (route for route in first if isinstance(route, Route)), layers)


def application(routes: Iterable[Route], lifespan: Lifespan[Starlette]) -> Starlette:
    """An application with these routes, which answers every error with a problem."""
    app = _Application(
        routes=list(routes), lifespan=lifespan, exception_handlers={HTTPException: _refuse, Exception: _fail}
    )
    app.router.redirect_slashes = False  # a redirect would name a host that the request made up
    return app


async def _refuse(request: Request, error: Exception) -> Response:
    """The problem that stands for what Starlette says in plain text: no such route, or not with this method."""
    if not isinstance(error, HTTPException):
        raise error
    try:
        refuse_two_lengths(request)
    except Problem as problem:
        return problem.response()
    if error.status_code == 405:
        allowed = ", ".join(_methods(request.app.routes, request.scope))
        text = f"{request.url.path[:200]} takes {allowed}."
        return Problem("method_not_allowed", text, headers={"allow": allowed}).response()
    if error.status_code == 404:
        if request.headers.get("sec-fetch-mode") == "navigate":  # somebody at a browser (W3C Fetch Metadata)
            return html.words("Not found", "There is no page at this address.", 404)
        return Problem(
            "route_not_found", f"There is no {request.url.path[:200]} here; /openapi.json lists all."
        ).response()
    if error.status_code < 400:  # a browser is sent to sign in
        return Response(status_code=error.status_code, headers=error.headers)
    return Problem("refused", str(error.detail), status=error.status_code, headers=error.headers).response()


async def _fail(_: Request, error: Exception) -> Response:
    return problem_of(error).response()


def _methods(routes: Sequence[BaseRoute], scope: Scope) -> list[str]:
    """Every method that some route takes at this path."""
    matching = (route for route in routes if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE)
    return sorted({method for route in matching for method in route.methods or ()})
