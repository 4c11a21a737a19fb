"""The dispatcher finds the routes that Starlette finds."""

from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from restpoint.http.dispatcher import Dispatcher, HeadersByName
from serving import make_app

PATHS = [
    "/v1/workflow", "/v1/workflow/stream", "/v1/workflows/greet", "/v1/workflows/greet/stream", "/executions", "/executions/",
    "/executions/7", "/executions/7/events", "/executions/7/interactions/a/b/response", "/audit/report", "/audit/report/open",
    "/audit/export", "/audit/export/manifest", "/docs", "/openapi.json", "/healthz", "/", "/nothing",
]  # fmt: skip


async def _nothing(_: Scope, __: Receive, ___: Send) -> None:
    """Serve nothing."""


async def _dispatched(dispatcher: Dispatcher, scope: Scope) -> tuple[Any, Any]:
    async def receive() -> Any:
        raise AssertionError

    async def send(_: Any) -> None:
        """Ignore the reply: only the route matters here."""

    await dispatcher(scope, receive, send)
    return scope.get("route"), scope.get("path_params")


def _found_by_starlette(routes: list[Route], scope: Scope) -> tuple[Any, Any]:
    for route in routes:
        match, child = route.matches(scope)
        if match is Match.FULL:
            return route, child["path_params"]
    return None, None


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE", "PUT"])
async def test_the_dispatcher_finds_the_route_and_the_parameters_that_starlette_finds(file: Path, method: str) -> None:
    app = make_app(file)
    routes = [
        Route(route.path, _Noted(), methods=list(route.methods or ()))
        for route in app.routes
        if isinstance(route, Route)
    ]
    for path in PATHS:
        scope = {"type": "http", "method": method, "path": path, "root_path": "", "headers": []}
        expected = _found_by_starlette(routes, dict(scope))
        assert await _dispatched(Dispatcher(app, routes, _nothing), dict(scope)) == expected, path


async def test_a_pattern_that_comes_before_an_exact_path_is_asked_first() -> None:
    routes = [Route("/{any}", _Noted(), methods=["GET"]), Route("/exact", _Noted(), methods=["GET"])]
    scope = {"type": "http", "method": "GET", "path": "/exact", "headers": []}
    assert await _dispatched(Dispatcher(Starlette(), routes, _nothing), scope) == (routes[0], {"any": "exact"})


def test_headers_by_name_are_those_that_starlette_reads() -> None:
    scope = {"type": "http", "headers": [(b"host", b"a"), (b"x-two", b"\xe9"), (b"x-two", b"2")]}
    theirs, ours = Headers(scope=scope), HeadersByName(scope)
    for name in ("host", "Host", "x-two", "X-Two", "missing"):
        assert ours.get(name) == theirs.get(name)
        assert ours.get(name, "default") == theirs.get(name, "default")
    assert ours == theirs


class _Noted:
    """An endpoint that replies nothing."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await Response()(scope, receive, send)
