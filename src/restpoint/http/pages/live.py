"""The stream that open pages follow: what has changed in a list, or only that a page should be asked for again.

A list is told the rows of the prompts that have changed, and which are gone, so that it need not be asked for again. A row is
rendered once for all who see the same. Each is told of nothing but what they may answer, by credentials that are looked at then.
"""

import time
from collections.abc import AsyncGenerator, Collection
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from restpoint.access import Actor
from restpoint.http import parameters
from restpoint.http.handlers import Handlers
from restpoint.http.pages import changes, rendering
from restpoint.http.pages.changes import ChangedPrompt, Listener
from restpoint.http.pages.frame import prompt_path, view_path
from restpoint.http.pages.waiting import Waiting, key_of
from restpoint.http.problems import problem_of
from restpoint.http.sse import EventStream, event

PATH: Final = "/live"
CHECK_EVERY: Final = 20.0
"""Seconds until an open page whose reader has signed out, or lost their rights, hears of that where nothing happens."""

_CHANGED: Final = event("changed", {})


class Live:
    """The handler of the stream that open pages follow."""

    def __init__(self, handlers: Handlers) -> None:
        self._handlers = handlers
        self._service = handlers.service
        self._changes = changes.Changes(handlers.service.store)

    async def stream(self, request: Request) -> Response:
        """Stream what has changed after the row of history ``after``.

        ``execution`` says which one a page is about, and ``attention`` that it is that for operators. Any other is an inbox.
        """
        try:
            actor = await self._handlers.actor(request)
            execution_id, after = request.query_params.get("execution"), parameters.AFTER.of(request)
            if execution_id is not None:
                await self._service.status(actor, execution_id)
        except HTTPException:
            raise
        except Exception as error:  # noqa: BLE001 - a client gets a problem, never a traceback
            return problem_of(error).response()
        events = self._events(request, actor, execution_id, after)
        return EventStream(events, self._handlers.long_requests, is_head=request.method == "HEAD")

    def _listener(self, request: Request, actor: Actor, execution_id: str | None) -> Listener:
        policy = self._service.policy
        if execution_id is not None:
            return changes.of_execution(execution_id)
        if "attention" in request.query_params and policy.sees_everything(actor):
            return changes.of_everything()
        return changes.of_inbox(policy.inbox_names(actor))

    async def _events(
        self, request: Request, actor: Actor, execution_id: str | None, after: int | None
    ) -> AsyncGenerator[bytes, None]:
        reauthenticate, base = self._handlers.reauthenticates(request), self._handlers.base_of(request, PATH)
        listener = self._listener(request, actor, execution_id)
        async with self._changes.told(listener, after):
            checked = time.monotonic()
            while True:
                has_heard = await listener.hears(CHECK_EVERY)
                is_due = time.monotonic() - checked >= CHECK_EVERY
                must_know = is_due or (has_heard and listener.lists_prompts)
                if must_know and await reauthenticate() != actor:  # in other groups by now: the browser comes again
                    return
                if is_due:
                    checked = time.monotonic()
                    if execution_id is not None:
                        await self._service.status(actor, execution_id)
                if has_heard:
                    prompts = listener.take()
                    told = _CHANGED if prompts is None else self._told(actor, base, prompts)
                    if told:
                        yield told

    def _told(self, actor: Actor, base: str, prompts: Collection[ChangedPrompt]) -> bytes:
        rows: list[str] = []
        gone: list[str] = []
        for each in prompts:
            asked = each.asked
            if self._service.is_in_inbox(actor, asked):
                rows.append(_row(actor, base, each))
            elif self._service.policy.may_answer(actor, asked):  # it is over, or they have voted on it
                gone.append(key_of(asked))
            elif asked.status == "pending":  # it was addressed to others
                return _CHANGED
        return event("rows", {"rows": rows, "gone": gone}) if rows or gone else b""


def _row(actor: Actor, base: str, changed: ChangedPrompt) -> str:
    asked = changed.asked
    seen = base, asked.owner == actor.id, asked.claimed_by == actor.id
    if seen not in changed.rows:
        changed.rows[seen] = rendering.macro(
            "_row.html", "row", Waiting.of(asked), actor, base, time.time(), prompt_path, view_path
        )
    return changed.rows[seen]
