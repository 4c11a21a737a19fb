"""The handlers of prompts: the inbox, answering, and who has a prompt."""

from dataclasses import replace
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from restpoint.http import bodies, parameters, requests
from restpoint.http.bodies import json_response
from restpoint.http.handlers import Handlers
from restpoint.http.problems import Problem

_PAGE: Final = 50
_RESPONSE_VALUES: Final = 10_000  # of a response, which is checked on the event loop: two thousand options, written out
_UNSTORED: Final = {"cache-control": "no-store"}


class PromptHandlers:
    """The routes of the prompts of one service. ``handlers`` are those of its other routes."""

    def __init__(self, handlers: Handlers) -> None:
        self._handlers = handlers
        self._service = handlers.service

    async def inbox(self, request: Request) -> Response:
        """List the open prompts that the actor may answer."""
        actor = await self._handlers.actor(request)
        page = await self._service.inbox(
            actor,
            workflow=parameters.WORKFLOW.of(request),
            limit=parameters.LIMIT.of(request) or _PAGE,
            cursor=parameters.CURSOR.of(request),
        )
        base = self._handlers.base_of(request, "/inbox")
        return json_response(bodies.inbox_body(page, base), headers=_UNSTORED)

    async def answer(self, request: Request) -> Response:
        """Answer a prompt."""
        actor = await self._handlers.writer(request)
        limits = replace(self._handlers.limits, values=min(self._handlers.limits.values, _RESPONSE_VALUES))
        body = await requests.read_object(request, limits, ["response"])
        response = body.get("response")
        if not isinstance(response, dict):
            raise Problem("invalid_body", 'The body must be {"response": {"type": ..., ...}}.')
        ids = request.path_params
        await self._service.answer(actor, ids["execution_id"], ids["interaction_id"], response)
        return Response(status_code=204)

    async def claim(self, request: Request) -> Response:
        """Claim a prompt."""
        actor = await self._handlers.writer(request)
        await requests.read_object(request, self._handlers.limits, [], optional=True)
        ids = request.path_params
        await self._service.claim(actor, ids["execution_id"], ids["interaction_id"])
        return Response(status_code=204)

    async def release(self, request: Request) -> Response:
        """End the claim of a prompt."""
        actor, reason = await self._handlers.writer(request), await self._handlers.reason(request)
        ids = request.path_params
        await self._service.release(actor, ids["execution_id"], ids["interaction_id"], reason)
        return Response(status_code=204)

    async def delegate(self, request: Request) -> Response:
        """Hand a prompt on."""
        actor = await self._handlers.writer(request)
        body = await requests.read_object(request, self._handlers.limits, ["to", "reason"])
        to, reason, ids = body.get("to"), body.get("reason"), request.path_params
        if not isinstance(to, str) or not isinstance(reason, str | None):
            raise Problem("invalid_body", 'The body must be {"to": "..."}: a person, or a group as group:NAME.')
        await self._service.delegate(actor, ids["execution_id"], ids["interaction_id"], to, reason)
        return Response(status_code=204)

    async def reassign(self, request: Request) -> Response:
        """Address a prompt to others."""
        actor = await self._handlers.writer(request)
        body = await requests.read_object(request, self._handlers.limits, ["to", "reason"])
        to, reason, ids = body.get("to"), body.get("reason"), request.path_params
        is_list = isinstance(to, list) and bool(to) and all(isinstance(name, str) for name in to)
        if not is_list or not isinstance(reason, str | None):
            raise Problem("invalid_body", 'The body must be {"to": ["...", ...]}: people, and groups as group:NAME.')
        await self._service.reassign(actor, ids["execution_id"], ids["interaction_id"], to or [], reason)
        return Response(status_code=204)
