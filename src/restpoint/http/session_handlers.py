"""The handlers of the routes on sessions: who is signed in, and the end of that."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from restpoint.http import parameters, requests
from restpoint.http.bodies import json_response
from restpoint.http.handlers import Handlers
from restpoint.http.problems import Problem

_UNSTORED: Final = {"cache-control": "no-store"}


class SessionHandlers:
    """The routes on sessions of one service."""

    def __init__(self, handlers: Handlers) -> None:
        self._handlers = handlers
        self._sessions = handlers.service.sessions

    async def list(self, request: Request) -> Response:
        """List the sessions that are not over."""
        actor = await self._handlers.actor(request)
        found = await self._sessions.list(actor, of=parameters.OF.of(request))
        return json_response({"items": [each.model_dump() for each in found]}, headers=_UNSTORED)

    async def revoke(self, request: Request) -> Response:
        """End one session, those of a person, or all."""
        actor = await self._handlers.writer(request)
        body = await requests.read_object(request, self._handlers.limits, ["session", "of", "all"])
        session, of, every = body.get("session"), body.get("of"), body.get("all", False)
        if not isinstance(session, str | None) or not isinstance(of, str | None) or not isinstance(every, bool):
            raise Problem("invalid_body", 'The body must be {"session": "..."}, {"of": "..."} or {"all": true}.')
        ended = await self._sessions.end(actor, session=session, of=of, every=every)
        return json_response({"ended": ended}, headers=_UNSTORED)
