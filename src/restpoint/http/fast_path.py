"""The application of the ready server: FastAPI, with a shorter way to the routes of restpoint.

Through FastAPI a request passes seven layers and is compared with one route after another, which costs more than what most
of these routes do. Nothing of that is needed by functions that take the request, turn every error into a problem by
themselves and give the reply. So a request to one of them goes there at once; every other one goes FastAPI's way.
"""

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from restpoint._core import tracing
from restpoint.logs import about

_PARAMETER: Final = re.compile(r"{(\w+)(:path)?}")


class PlainRoute(APIRoute):
    """A route whose function takes the request and gives the reply, with nothing in between.

    Where an application includes the router with dependencies of its own, FastAPI makes another ``app`` of the function,
    which asks these first.
    """

    def __init__(self, path: str, endpoint: Callable[[Request], Awaitable[Response]], **settings: object) -> None:
        super().__init__(path, endpoint, **settings)  # type: ignore[arg-type]  # handed on as they came

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            with about():  # the reply too: the server logs a request when that begins
                reply = await endpoint(Request(scope, receive, send))
                await reply(scope, receive, send)

        self.app = app


class Application(FastAPI):
    """FastAPI with a shorter way to its plain routes, once ``take_shortcuts`` was called."""

    _exact: dict[tuple[str, str], PlainRoute] | None = None
    _patterns: dict[str, list[tuple[Callable[[str], re.Match[str] | None], PlainRoute]]]

    def take_shortcuts(self, routes: Iterable[PlainRoute]) -> None:
        """From now on, have requests to these routes go there at once. To be called when the server starts.

        Where the application added middleware, put routes of its own before these, or has OpenTelemetry trace and count its
        requests, everything goes FastAPI's way.
        """
        plain = list(routes)
        if self.user_middleware or tracing.is_configured() or list(self.router.routes[: len(plain)]) != plain:
            return
        self._patterns = {}
        exact: dict[tuple[str, str], PlainRoute] = {}
        for route in plain:
            for method in route.methods or ():
                if _PARAMETER.search(route.path) is None:
                    exact[method, route.path] = route
                else:
                    self._patterns.setdefault(method, []).append((route.path_regex.match, route))
        self._exact = exact

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request (ASGI)."""
        if self._exact is not None and scope["type"] == "http" and not scope.get("root_path"):
            method, path = scope["method"], scope["path"]
            route, parameters = self._exact.get((method, path)), {}
            if route is None:
                for match, candidate in self._patterns.get(method, ()):
                    if (found := match(path)) is not None:
                        route, parameters = candidate, found.groupdict()
                        break
            if route is not None:
                scope["app"], scope["router"], scope["route"] = self, self.router, route
                scope["endpoint"], scope["path_params"] = route.endpoint, parameters
                try:
                    await route.app(scope, receive, send)
                except HTTPException as error:  # of the application's own authenticate: its handlers answer it
                    await self._refuse(error)(scope, receive, send)
                return
        await super().__call__(scope, receive, send)

    def _refuse(self, error: HTTPException) -> ExceptionMiddleware:
        async def refuse(_: Scope, __: Receive, ___: Send) -> None:
            raise error

        return ExceptionMiddleware(refuse, self.exception_handlers)
