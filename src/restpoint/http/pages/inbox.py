"""The pages for people: what waits for me, one prompt, one execution, what I decided, and what needs an operator.

Every page is whole without JavaScript. A GET changes nothing; a POST from a page of another site is refused. The pages ask the
service, as every interface does, so that what somebody may see and do is decided below them.
"""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from restpoint import errors
from restpoint._storage import Asked, queries
from restpoint.access import LOCAL, Actor, Subject
from restpoint.http.handlers import Handlers
from restpoint.http.pages import html, rendering
from restpoint.http.pages.answers import CLOSED, MOST_BYTES, NOT_TAKEN, Mistake, Sent, form_of, response_of
from restpoint.http.pages.live import Changes
from restpoint.http.pages.rendering import Handler, Route
from restpoint.http.pages.timeline import timeline
from restpoint.http.pages.waiting import state_of, waiting
from restpoint.http.problems import Problem, problem_of
from restpoint.http.requests import read_body, refuse_other_sites
from restpoint.http.sse import EventStream, event
from restpoint.lifecycle import PAUSED, ExecutionStatus
from restpoint.service import View

_MOST_DECIDED: Final = 100
_MOST_ATTENTION: Final = 100
_SIGN_IN: Final = "/auth/sign-in"
_PATH: Final = "restpoint.page"


class InboxPages:
    """The handlers of the pages for people, which use the service, the actor and the addresses of ``handlers``."""

    def __init__(self, handlers: Handlers) -> None:
        self._handlers = handlers
        self._service = handlers.service
        self._changes = Changes(handlers.service.store)

    @property
    def routes(self) -> Sequence[Route]:
        """The routes of all pages."""
        view, prompt = "/view/{execution_id}", "/view/{execution_id}/prompt/{interaction_id:path}"
        shown: list[tuple[str, str, Handler, str]] = [
            ("GET", "/", self.inbox, "inbox_page"),
            ("GET", "/decided", self.decided, "decided_page"),
            ("GET", "/attention", self.attention, "attention_page"),
            ("GET", prompt, self.prompt, "prompt_page"),
            ("POST", prompt, self.answer, "answer_page"),
            ("GET", view, self.execution, "execution_page"),
            ("POST", "/claim" + prompt, self.claim, "claim_page"),
            ("POST", "/release" + prompt, self.release, "release_page"),
            ("POST", f"{view}/cancel", self.cancel, "cancel_page"),
            ("POST", f"{view}/retry", self.retry, "retry_page"),
        ]
        pages = [Route(method, path, self._page(path, handler), name) for method, path, handler, name in shown]
        return [
            *pages,
            Route("GET", "/live", self.live, "live"),
        ]

    # --- Pages -------------------------------------------------------------------------------------------------------

    async def inbox(self, request: Request) -> Response:
        """Show what waits for whoever asks."""
        actor, base = await self._who(request)
        workflow, cursor = (request.query_params.get(name) or None for name in ("workflow", "cursor"))
        found = await waiting(self._service, actor, workflow=workflow, cursor=cursor)
        names = {each.workflow for each in found.items if each.workflow is not None}
        return self._show(
            "inbox.html",
            actor,
            base,
            items=found.items,
            next_cursor=found.next_cursor,
            cursor=cursor,
            workflow=workflow,
            workflows=sorted(names | set(self._service.workflows)),
        )

    async def decided(self, request: Request) -> Response:
        """Show what whoever asks has answered."""
        actor, base = await self._who(request)
        return self._show(
            "decided.html",
            actor,
            base,
            items=[(each, _vote_of(actor, each)) for each in await self._service.answered(actor, limit=_MOST_DECIDED)],
            most=_MOST_DECIDED,
        )

    async def attention(self, request: Request) -> Response:
        """Show what needs an operator: what failed, what nobody goes on with, and whom nobody could tell."""
        actor, base = await self._who(request)
        if not self._service.policy.sees_everything(actor):
            raise errors.NotAllowed(
                f"{actor.id} may not see what needs an operator: that takes the role operator or reader."
            )
        failed = await self._service.list(actor, status=ExecutionStatus.FAILED, limit=_MOST_ATTENTION)
        alive = await self._service.list(actor, status=[ExecutionStatus.RUNNING, *PAUSED], limit=_MOST_ATTENTION)
        stuck = [each for each in alive.items if each.problem is not None]
        outbox = self._service.outbox
        untold = (await outbox.list(actor, status="given_up", limit=_MOST_ATTENTION)).items
        disabled = [route for route in await outbox.routes(actor) if route.disabled_at is not None]
        return self._show(
            "attention.html", actor, base, failed=failed.items, stuck=stuck, untold=untold, disabled=disabled
        )

    async def prompt(self, request: Request) -> Response:
        """Show one prompt, with its form where whoever asks may answer it."""
        actor, base = await self._who(request)
        shown = await self._show_prompt(request, actor, base)
        if request.method == "GET":
            ids = request.path_params["execution_id"], request.path_params["interaction_id"]
            with suppress(errors.StorageError):  # whoever wants to answer must not be kept from it by a full disk
                await self._service.outbox.opened(actor, *ids)
        return shown

    async def answer(self, request: Request) -> Response:
        """Take the answer to a prompt. A wrong one shows the page again, with what was typed and what is wrong with it."""
        actor, base = await self._writer(request)
        execution_id, interaction_id = request.path_params["execution_id"], request.path_params["interaction_id"]
        sent = Sent.read(await read_body(request, MOST_BYTES))
        asked = await self._service.asked(actor, execution_id, interaction_id)
        response = response_of(asked.prompt, sent)
        if response is None and asked.status == "pending":
            return await self._show_prompt(request, actor, base, sent, 422)
        try:
            await self._service.answer(actor, execution_id, interaction_id, response or {})
        except (errors.ResponseNotAccepted, errors.NotJSON) as refused:
            if asked.status == "pending":
                sent.mistakes.append(Mistake("answer", str(refused)))
                return await self._show_prompt(request, actor, base, sent, 422)
            return await self._show_prompt(request, actor, base, sent, 409)
        except NOT_TAKEN as refused:
            return await self._show_prompt(request, actor, base, sent, problem_of(refused).status)
        return _to(f"{base}{_prompt_path(execution_id, interaction_id)}")

    async def claim(self, request: Request) -> Response:
        """Claim a prompt for whoever asks."""
        return await self._take(request, self._service.claim)

    async def release(self, request: Request) -> Response:
        """End the claim of a prompt."""
        return await self._take(request, self._service.release)

    async def execution(self, request: Request) -> Response:
        """Show an execution, with its timeline."""
        actor, base = await self._who(request)
        return await self._show_execution(request, actor, base)

    async def cancel(self, request: Request) -> Response:
        """Cancel an execution."""
        return await self._change(request, self._service.cancel)

    async def retry(self, request: Request) -> Response:
        """Let a failed execution go on at the call that failed."""
        return await self._change(request, self._service.retry)

    async def live(self, request: Request) -> Response:
        """Stream that something on the page has changed; ``execution`` says which one a page is about."""
        try:
            actor = await self._handlers.actor(request)
            execution_id = request.query_params.get("execution")
            if execution_id is not None:
                await self._service.status(actor, execution_id)
        except HTTPException:
            raise
        except Exception as error:  # noqa: BLE001 - a client gets a problem, never a traceback
            return problem_of(error).response()
        events = self._events(request, actor, execution_id)
        return EventStream(events, self._handlers.long_requests, is_head=request.method == "HEAD")

    # --- Inside ------------------------------------------------------------------------------------------------------

    def _page(self, path: str, handler: Handler) -> Handler:
        async def shown(request: Request) -> Response:
            request.scope[_PATH] = path
            try:
                return await handler(request)
            except HTTPException:  # of an application's authenticate, such as one that redirects to its sign-in
                raise
            except Exception as error:  # noqa: BLE001 - a browser gets a page, never a traceback
                return await self._wrong(request, error)

        return shown

    async def _who(self, request: Request) -> tuple[Actor, str]:
        """Who sent the request, and the path that the routes are found under."""
        return await self._handlers.actor(request), self._base(request)

    async def _writer(self, request: Request) -> tuple[Actor, str]:
        refuse_other_sites(request, self._handlers.trusted)
        return await self._who(request)

    def _base(self, request: Request) -> str:
        path = request.scope[_PATH]
        for name, value in request.path_params.items():
            path = path.replace(f"{{{name}:path}}", value).replace(f"{{{name}}}", value)
        return self._handlers.base_of(request, path)

    def _show(self, template: str, actor: Actor | None, base: str, status: int = 200, **values: Any) -> Response:
        operates = actor is not None and self._service.policy.sees_everything(actor)
        signed_in = self._handlers.sign_in is not None and actor is not None and actor.id != LOCAL
        account = f"{base}{_SIGN_IN}" if signed_in else None
        return rendering.page(
            template, status, actor=actor, base=base, operates=operates, account=account, now=time.time(), path_of=_prompt_path,
            view_of=_view_path, **values,
        )  # fmt: skip

    async def _show_prompt(
        self, request: Request, actor: Actor, base: str, sent: Sent | None = None, status: int = 200
    ) -> Response:
        execution_id, interaction_id = request.path_params["execution_id"], request.path_params["interaction_id"]
        asked = await self._service.asked(actor, execution_id, interaction_id)
        state = state_of(asked)
        is_theirs = state == "open" and self._service.policy.may_answer(actor, asked)
        own = _vote_of(actor, asked)
        found = await waiting(self._service, actor)
        following = [
            each
            for each in found.items
            if each.address != (execution_id, interaction_id) and each.claimed_by in {None, actor.id}
        ]
        return self._show(
            "prompt.html",
            actor,
            base,
            status,
            asked=asked,
            fields=form_of(asked.prompt).fields if asked.prompt["input_type"] == "form" else (),
            state=state,
            is_theirs=is_theirs,
            may_answer=is_theirs and asked.claimed_by in {None, actor.id} and own is None,
            own=own,
            sees_execution=await self._sees_execution(actor, asked),
            sent=sent or Sent(),
            refused=sent is not None and not sent.mistakes,
            following=following,
            moments=await self._moments(actor, asked.execution_id, asked.owner),
            prompt_url=lambda each: f"{base}{_prompt_path(execution_id, each)}",
        )

    async def _sees_execution(self, actor: Actor, asked: Asked) -> bool:
        try:
            await self._service.status(actor, asked.execution_id)
        except errors.NotFound:
            return False
        return True

    async def _moments(self, actor: Actor, execution_id: str, owner: str | None) -> Sequence[Any]:
        """The timeline, for those who may read the history."""
        if not self._service.policy.may_read_history(actor, Subject(owner)):
            return ()
        history = await self._service.history(actor, execution_id)
        return timeline(history.items, await self._service.steps(actor, execution_id))

    async def _show_execution(
        self, request: Request, actor: Actor, base: str, mistake: str = "", status: int = 200
    ) -> Response:
        execution_id = request.path_params["execution_id"]
        view = await self._service.status(actor, execution_id)
        subject, policy = Subject(view.record.owner), self._service.policy
        progress = await self._service.progress(view)
        return self._show(
            "execution.html",
            actor,
            base,
            status,
            view=view,
            record=view.record,
            progress=progress,
            failure=await self._service.failure(actor, view),
            consent_url=self._handlers.link(actor, view, request, base),
            may_cancel=not view.ended and policy.may_cancel(actor, subject),
            may_retry=view.status is ExecutionStatus.FAILED and policy.may_retry(actor, subject),
            moments=await self._moments(actor, execution_id, view.record.owner),
            prompt_url=lambda each: f"{base}{_prompt_path(execution_id, each)}",
            mistake=mistake,
        )

    async def _change(self, request: Request, verb: Callable[[Actor, str, str | None], Awaitable[View]]) -> Response:
        actor, base = await self._writer(request)
        execution_id = request.path_params["execution_id"]
        sent = Sent.read(await read_body(request, MOST_BYTES))
        try:
            await verb(actor, execution_id, sent.one("reason").strip() or None)
        except (errors.Refused, errors.IllegalTransition, errors.CannotRetry, errors.Conflict) as refused:
            return await self._show_execution(request, actor, base, str(refused), problem_of(refused).status)
        return _to(f"{base}{_view_path(execution_id)}")

    async def _take(self, request: Request, verb: Callable[[Actor, str, str], Awaitable[None]]) -> Response:
        actor, base = await self._writer(request)
        ids = request.path_params["execution_id"], request.path_params["interaction_id"]
        with suppress(*CLOSED, errors.InteractionClaimed):  # the page says so
            await verb(actor, *ids)
        return _to(f"{base}{_prompt_path(*ids)}")

    async def _events(self, request: Request, actor: Actor, execution_id: str | None) -> AsyncGenerator[bytes, None]:
        reauthenticate = self._handlers.reauthenticates(request)
        async with self._changes.followed() as touched:
            shown = {execution_id} if execution_id is not None else await self._shown(actor)
            while True:
                ids = await touched.next()
                actor = await reauthenticate()
                if execution_id is not None:
                    if execution_id in ids:
                        yield event("changed", {})
                elif ids & shown or await self._sees_any(actor, ids):
                    shown = await self._shown(actor)
                    yield event("changed", {})

    async def _shown(self, actor: Actor) -> set[str]:
        return {each.execution_id for each in (await waiting(self._service, actor)).items}

    async def _sees_any(self, actor: Actor, ids: Any) -> bool:
        for each in ids:
            record = await self._service.store.get(each)
            if record is None:
                continue
            try:
                self._service.view(actor, record)
            except errors.NotFound:
                continue
            return True
        return False

    async def _wrong(self, request: Request, error: Exception) -> Response:
        problem = problem_of(error)
        actor = None
        if problem.status != 401:
            try:
                actor = await self._handlers.actor(request)
            except Problem:
                actor = None
        title, text = _WORDS.get(problem.code, ("That did not work", problem.detail))
        base = self._base(request)
        sign_in = f"{base}{_SIGN_IN}" if problem.status == 401 else None
        reply = self._show(
            "problem.html", actor, base, problem.status, title=title, text=text, sign_in=sign_in, detail=problem.detail
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


def _vote_of(actor: Actor, asked: Asked) -> queries.Vote | None:
    """The actor's own vote on a prompt; None where they have not voted."""
    return next((vote for vote in asked.voted if vote.voter == actor.id), None)


def _view_path(execution_id: str) -> str:
    return f"/view/{quote(execution_id, safe='')}"


def _prompt_path(execution_id: str, interaction_id: str) -> str:
    return f"{_view_path(execution_id)}/prompt/{quote(interaction_id, safe='')}"


def _to(path: str) -> Response:
    return RedirectResponse(path, 303, dict(html.HEADERS))
