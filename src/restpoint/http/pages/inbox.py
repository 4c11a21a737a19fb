"""The pages for people: what waits for me, one execution, what I decided, and what needs an operator.

Every page is whole without JavaScript. The pages ask the service, as every interface does, so that what somebody may see and do
is decided below them.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

from starlette.requests import Request
from starlette.responses import Response

from restpoint import errors
from restpoint.access import Actor, Subject
from restpoint.http.handlers import Handlers
from restpoint.http.pages.frame import Frame, prompt_path, to, view_path
from restpoint.http.pages.live import Live
from restpoint.http.pages.prompt import PromptPages, vote_of
from restpoint.http.pages.rendering import Route
from restpoint.http.pages.waiting import waiting
from restpoint.http.problems import problem_of
from restpoint.lifecycle import ExecutionStatus
from restpoint.service import View

if TYPE_CHECKING:
    from restpoint.notify.deliverer import Deliverer

_MOST_DECIDED: Final = 100
_MOST_ATTENTION: Final = 100
_DONE: Final = {
    "delegate": "You handed it on. It waits for somebody else now.",
    "reassign": "You addressed it to others.",
}


class InboxPages:
    """All pages for people. They use the service, the actor and the addresses of ``handlers``."""

    def __init__(self, handlers: Handlers) -> None:
        self._frame = Frame(handlers)
        self._service = handlers.service
        self._prompts = PromptPages(self._frame)
        self._live = Live(handlers)

    @property
    def routes(self) -> Sequence[Route]:
        """The routes of all pages."""
        view, route = "/view/{execution_id}", self._frame.route
        return [
            route("GET", "/", self.inbox, "inbox_page"),
            route("GET", "/decided", self.decided, "decided_page"),
            route("GET", "/attention", self.attention, "attention_page"),
            *self._prompts.routes,
            route("GET", view, self.execution, "execution_page"),
            route("POST", f"{view}/cancel", self.cancel, "cancel_page"),
            route("POST", f"{view}/retry", self.retry, "retry_page"),
            Route("GET", "/live", self._live.stream, "live"),
        ]

    async def inbox(self, request: Request) -> Response:
        """Show what waits for whoever asks."""
        actor, base = await self._frame.reader(request)
        workflow, cursor = (request.query_params.get(name) or None for name in ("workflow", "cursor"))
        position = await self._frame.position()
        found = await waiting(self._service, actor, workflow=workflow, cursor=cursor)
        names = {each.workflow for each in found.items if each.workflow is not None}
        return self._frame.show(
            "inbox.html",
            actor,
            base,
            position=position,
            items=found.items,
            next_cursor=found.next_cursor,
            lacks_consents=found.lacks_consents,
            cursor=cursor,
            workflow=workflow,
            workflows=sorted(names | set(self._service.workflows)),
            done=_DONE.get(request.query_params.get("done", "")),
        )

    async def decided(self, request: Request) -> Response:
        """Show what whoever asks has answered."""
        actor, base = await self._frame.reader(request)
        return self._frame.show(
            "decided.html",
            actor,
            base,
            items=[(each, vote_of(actor, each)) for each in await self._service.answered(actor, limit=_MOST_DECIDED)],
            most=_MOST_DECIDED,
        )

    async def attention(self, request: Request) -> Response:
        """Show what needs an operator: what failed, what nobody goes on with, and whom nobody could tell."""
        actor, base = await self._frame.reader(request)
        if not self._service.policy.sees_everything(actor):
            raise errors.NotAllowed(
                f"{actor.id} may not see what needs an operator: that takes the role operator or reader."
            )
        position = await self._frame.position()
        failed = await self._service.list(actor, status=ExecutionStatus.FAILED, limit=_MOST_ATTENTION)
        stuck = await self._service.list(actor, problem=True, limit=_MOST_ATTENTION)
        outbox = self._service.outbox
        untold = (await outbox.list(actor, status="given_up", limit=_MOST_ATTENTION)).items
        disabled = [route for route in await outbox.routes(actor) if route.disabled_at is not None]
        deliverer: Deliverer | None = getattr(request.app.state, "deliverer", None)
        return self._frame.show(
            "attention.html",
            actor,
            base,
            position=position,
            failed=failed.items,
            stuck=stuck.items,
            most=_MOST_ATTENTION,
            untold=untold,
            disabled=disabled,
            is_superseded=deliverer is not None and deliverer.is_superseded,
        )

    async def execution(self, request: Request) -> Response:
        """Show an execution, with its timeline."""
        actor, base = await self._frame.reader(request)
        return await self._show_execution(request, actor, base)

    async def cancel(self, request: Request) -> Response:
        """Cancel an execution."""
        return await self._change(request, self._service.cancel)

    async def retry(self, request: Request) -> Response:
        """Let a failed execution go on at the call that failed."""
        return await self._change(request, self._service.retry)

    # --- Inside ---

    async def _show_execution(
        self,
        request: Request,
        actor: Actor,
        base: str,
        mistake: str = "",
        status: int = 200,
        typed: Sequence[str] = (),
    ) -> Response:
        execution_id = request.path_params["execution_id"]
        position = await self._frame.position()
        view = await self._service.status(actor, execution_id)
        subject, policy = Subject(view.record.owner), self._service.policy
        progress = await self._service.progress(view)
        return self._frame.show(
            "execution.html",
            actor,
            base,
            status,
            position=position,
            view=view,
            record=view.record,
            progress=progress,
            failure=await self._service.failure(actor, view),
            consent_url=self._frame.handlers.link(actor, view, request, base),
            may_cancel=not view.ended and policy.may_cancel(actor, subject),
            may_retry=view.status is ExecutionStatus.FAILED and policy.may_retry(actor, subject),
            moments=await self._frame.moments(actor, execution_id, view.record.owner),
            prompt_url=lambda each: f"{base}{prompt_path(execution_id, each)}",
            mistake=mistake,
            typed=typed,
        )

    async def _change(self, request: Request, verb: Callable[[Actor, str, str | None], Awaitable[View]]) -> Response:
        actor, base, sent = await self._frame.writer(request)
        execution_id = request.path_params["execution_id"]
        try:
            await verb(actor, execution_id, sent.one("reason").strip() or None)
        except (errors.Refused, errors.IllegalTransition, errors.CannotRetry, errors.Conflict) as refused:
            return await self._show_execution(
                request, actor, base, str(refused), problem_of(refused).status, sent.typed
            )
        return to(f"{base}{view_path(execution_id)}")
