"""The dispatcher: brings a request to its route past the layers of Starlette, which would cost more than a poll itself.

Starlette has two layers that turn exceptions into replies, a router that tries one route after the other, and headers that are
searched by name each time. The routes of restpoint turn their errors into problems themselves, so they need none of the layers.
Everything else goes Starlette's way: what no route takes, and applications that have middleware or routes of their own in front.
"""

from collections.abc import Callable, Iterable
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, NoReturn, TypeVar, overload

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

if TYPE_CHECKING:
    import re

T = TypeVar("T")


class Dispatcher:
    """An ASGI application that calls the routes of ``app``, and ``otherwise`` for what none of them takes."""

    def __init__(self, app: Starlette, routes: Iterable[Route], otherwise: ASGIApp) -> None:
        self._app = app
        self._otherwise = otherwise
        self._exact: dict[tuple[str, str], Route] = {}
        self._patterns: dict[str, list[tuple[Callable[[str], re.Match[str] | None], Route]]] = {}
        for route in routes:
            for method in route.methods or ():
                patterns = self._patterns.setdefault(method, [])
                if route.param_convertors or any(match(route.path) for match, _ in patterns):
                    patterns.append((route.path_regex.match, route))
                else:
                    self._exact.setdefault((method, route.path), route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request (ASGI)."""
        if scope["type"] != "http" or scope.get("root_path"):  # mounted: Starlette knows what of the path is ours
            await self._otherwise(scope, receive, send)
            return
        method, path, parameters = scope["method"], scope["path"], {}
        route = self._exact.get((method, path))
        if route is None:
            for match, candidate in self._patterns.get(method, ()):
                if (found := match(path)) is not None:
                    route, parameters = candidate, found.groupdict()  # every parameter of these paths is a text
                    break
            else:
                await self._otherwise(scope, receive, send)
                return
        scope["router"], scope["route"] = self._app.router, route
        scope["endpoint"], scope["path_params"] = route.endpoint, parameters
        try:
            await route.app(scope, receive, send)
        except HTTPException as error:  # of an application's authenticate
            await self._refuse(error)(scope, receive, send)

    def _refuse(self, error: HTTPException) -> ASGIApp:
        """The reply that the application's own handlers make of this."""

        async def refuse(_: Scope, __: Receive, ___: Send) -> NoReturn:
            raise error

        return ExceptionMiddleware(refuse, self._app.exception_handlers)


class HeadersByName(Headers):
    """Headers of which each ``get`` is one look-up."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope=scope)
        self._first = dict(reversed(self.raw))  # of several lines with one name, ``get`` gives the first

    @overload
    def get(self, key: str, /) -> str | None: ...
    @overload
    def get(self, key: str, /, default: str | T) -> str | T: ...
    def get(self, key: str, /, default: str | T | None = None) -> str | T | None:
        """The first header with this name, in any case; ``default`` where there is none."""
        value = self._first.get(_as_sent(key))
        return default if value is None else value.decode("latin-1")


@lru_cache(maxsize=128)
def _as_sent(name: str) -> bytes:
    """The name of a header as ASGI has it: in lower case."""
    return name.lower().encode("latin-1")


class DispatchedRequest(Request):
    """A request whose headers are read by a look-up."""

    @cached_property
    def headers(self) -> Headers:
        """The headers."""
        return HeadersByName(self.scope)
