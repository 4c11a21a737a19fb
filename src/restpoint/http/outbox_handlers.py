"""The handlers of the outbox, for operators: read the request, ask the service, and make the reply."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from restpoint.http import parameters
from restpoint.http.bodies import json_response
from restpoint.http.handlers import Handlers

_PAGE: Final = 50
_UNSTORED: Final = {"cache-control": "no-store"}


class OutboxHandlers:
    """The routes of the outbox of one service."""

    def __init__(self, handlers: Handlers) -> None:
        self._handlers = handlers
        self._outbox = handlers.service.outbox

    async def list(self, request: Request) -> Response:
        """List notices."""
        page = await self._outbox.list(
            await self._handlers.actor(request),
            status=parameters.NOTICE_STATUS.of(request),
            route=parameters.ROUTE.of(request),
            execution_id=parameters.EXECUTION.of(request),
            limit=parameters.LIMIT.of(request) or _PAGE,
            cursor=parameters.CURSOR.of(request),
        )
        return json_response(page, headers=_UNSTORED)

    async def show(self, request: Request) -> Response:
        """Show one notice."""
        actor = await self._handlers.actor(request)
        return json_response(await self._outbox.show(actor, request.path_params["notice_id"]), headers=_UNSTORED)

    async def retry(self, request: Request) -> Response:
        """Have a notice tried again at once."""
        await self._outbox.retry(await self._handlers.writer(request), request.path_params["notice_id"])
        return Response(status_code=204)

    async def drop(self, request: Request) -> Response:
        """Have a notice never be delivered."""
        actor, reason = await self._handlers.writer(request), await self._handlers.reason(request)
        await self._outbox.drop(actor, request.path_params["notice_id"], reason)
        return Response(status_code=204)

    async def routes(self, request: Request) -> Response:
        """List the routes by which people are told."""
        items = await self._outbox.routes(await self._handlers.actor(request))
        return json_response({"items": items}, headers=_UNSTORED)

    async def enable(self, request: Request) -> Response:
        """Send by a route again whose receiver was gone."""
        await self._outbox.enable(await self._handlers.writer(request), request.path_params["route"])
        return Response(status_code=204)
