"""What every page for people has: who asks, where the pages are found, and what is shown where something goes wrong.

A GET changes nothing; a POST from a page of another site is refused, and one without a session gives back what was typed.
"""

import time
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from restpoint.access import LOCAL, Actor, Subject
from restpoint.http.handlers import Handlers
from restpoint.http.pages import html, rendering
from restpoint.http.pages.answers import MOST_BYTES, Sent
from restpoint.http.pages.rendering import Handler, Route
from restpoint.http.pages.timeline import Moment, timeline
from restpoint.http.problems import Problem, problem_of
from restpoint.http.requests import read_body, refuse_other_sites

_MOST_BYTES_OF_NOBODY: Final = 512 * 1024
_SIGN_IN: Final = "/auth/sign-in"
_PATH: Final = "restpoint.page"
_SENT: Final = "restpoint.sent"
_UNAUTHORIZED: Final = 401
_MOST_STEPS: Final = 500  # of a timeline


class Frame:
    """What the pages share. They use the service, the actor and the addresses of ``handlers``."""

    def __init__(self, handlers: Handlers) -> None:
        self.handlers = handlers
        self.service = handlers.service

    def route(self, method: str, path: str, handler: Handler, name: str) -> Route:
        """The route of a page, on which every error is a page too."""

        async def shown(request: Request) -> Response:
            request.scope[_PATH] = path
            try:
                return await handler(request)
            except HTTPException:  # of an application's authenticate, such as one that redirects to its sign-in
                raise
            except Exception as error:  # noqa: BLE001 - a browser gets a page, never a traceback
                return await self._wrong(request, error)

        return Route(method, path, shown, name)

    async def reader(self, request: Request) -> tuple[Actor, str]:
        """Who sent the request, and the path that the routes are found under."""
        return await self.handlers.actor(request), self._base(request)

    async def writer(self, request: Request) -> tuple[Actor, str, Sent]:
        """The same for a form, and what it sent. Raises ``Problem`` for one of another site."""
        refuse_other_sites(request, self.handlers.trusted)
        actor, base = await self.reader(request)
        sent = Sent.read(await read_body(request, MOST_BYTES))
        request.scope[_SENT] = sent
        return actor, base, sent

    async def position(self) -> int:
        """The newest row of history: an open page follows what comes after it, so this is read before what the page shows."""
        position, _ = await self.service.store.touched(None)
        return position

    def show(self, template: str, actor: Actor | None, base: str, status: int = 200, **values: Any) -> Response:
        """A page of a template; ``base`` is the path that the routes are found under."""
        operates = actor is not None and self.service.policy.sees_everything(actor)
        signed_in = self.handlers.sign_in is not None and actor is not None and actor.id != LOCAL
        account = f"{base}{_SIGN_IN}" if signed_in else None
        return rendering.page(
            template, status, actor=actor, base=base, operates=operates, account=account, now=time.time(), path_of=prompt_path,
            view_of=view_path, sign_in=f"{base}{_SIGN_IN}", **values,
        )  # fmt: skip

    async def moments(self, actor: Actor, execution_id: str, owner: str | None) -> Sequence[Moment]:
        """The timeline of an execution, for those who may read its history."""
        if not self.service.policy.may_read_history(actor, Subject(owner)):
            return ()
        history = await self.service.history(actor, execution_id)
        steps = await self.service.steps(actor, execution_id, limit=_MOST_STEPS + 1)
        return timeline(
            history.items, steps[:_MOST_STEPS], is_cut=history.next_after is not None or len(steps) > _MOST_STEPS
        )

    # --- Inside ---

    def _base(self, request: Request) -> str:
        path = request.scope[_PATH]
        for name, value in request.path_params.items():
            path = path.replace(f"{{{name}:path}}", value).replace(f"{{{name}}}", value)
        return self.handlers.base_of(request, path)

    async def _wrong(self, request: Request, error: Exception) -> Response:
        problem = problem_of(error)
        base, actor = self._base(request), None
        if problem.status == _UNAUTHORIZED and request.method == "POST":
            # Whose session ended while they typed. Another site did not send it: that was looked at before.
            sent = Sent.read(await read_body(request, _MOST_BYTES_OF_NOBODY))
            return self.show("signed_out.html", None, base, problem.status, sent=sent)
        if problem.status != _UNAUTHORIZED:
            try:
                actor = await self.handlers.actor(request)
            except Problem:
                actor = None
        title, text = _WORDS.get(problem.code, ("That did not work", problem.detail))
        kept: Sent = request.scope.get(_SENT, Sent())
        reply = self.show(
            "problem.html", actor, base, problem.status, title=title, text=text, code=problem.status, typed=kept.typed
        )
        for name, value in (problem.headers or {}).items():
            reply.headers[name] = value
        return reply


_WORDS: Final = {
    "not_authenticated": (
        "Please sign in",
        "The inbox shows each person what waits for them, so it needs to know who you are.",
    ),
    "execution_not_found": ("Not found", "There is nothing here, or it is not for you to see."),
    "interaction_not_found": ("Not found", "There is no such question, or it is not for you to see."),
    "execution_gone": ("No longer here", "This was kept for its time, and was deleted then."),
    "cross_site": (
        "Sent from another site",
        "A page of another site sent this, so nothing was changed. Open the page here.",
    ),
}


def view_path(execution_id: str) -> str:
    """The path of the page of an execution."""
    return f"/view/{quote(execution_id, safe='')}"


def prompt_path(execution_id: str, interaction_id: str) -> str:
    """The path of the page of a prompt."""
    return f"{view_path(execution_id)}/prompt/{quote(interaction_id, safe='')}"


def to(path: str) -> Response:
    """Send the browser on to a page, after a form was taken."""
    return RedirectResponse(path, 303, dict(html.HEADERS))
