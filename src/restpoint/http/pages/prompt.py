"""The page of one prompt: what is asked, the form that answers it, claiming it, and handing it on."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

from starlette.requests import Request
from starlette.responses import Response

from restpoint import errors
from restpoint._storage import Asked, queries
from restpoint.access import Actor
from restpoint.http.pages.answers import CLOSED, NOT_TAKEN, Mistake, Sent, form_of, response_of
from restpoint.http.pages.frame import Frame, prompt_path, to
from restpoint.http.pages.rendering import Route
from restpoint.http.pages.waiting import state_of, waiting
from restpoint.http.problems import problem_of


class PromptPages:
    """The handlers of the page of a prompt."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._service = frame.service

    @property
    def routes(self) -> list[Route]:
        """The routes of the page, and of its forms."""
        path, route = "/view/{execution_id}/prompt/{interaction_id:path}", self._frame.route
        return [
            route("GET", path, self.show, "prompt_page"),
            route("POST", path, self.answer, "answer_page"),
            route("POST", f"/claim{path}", self.claim, "claim_page"),
            route("POST", f"/release{path}", self.release, "release_page"),
            route("POST", f"/delegate{path}", self.delegate, "delegate_page"),
            route("POST", f"/reassign{path}", self.reassign, "reassign_page"),
        ]

    async def show(self, request: Request) -> Response:
        """Show one prompt, with its form where whoever asks may answer it."""
        actor, base = await self._frame.reader(request)
        shown = await self._page(request, actor, base)
        if request.method == "GET":
            with suppress(errors.StorageError):  # whoever wants to answer must not be kept from it by a full disk
                await self._service.outbox.opened(actor, *_ids(request))
        return shown

    async def answer(self, request: Request) -> Response:
        """Take the answer to a prompt. A wrong one shows the page again, with what was typed and what is wrong with it.

        One that is sent ``again``, after its sender had to sign in, fills the form and answers nothing.
        """
        actor, base, sent = await self._frame.writer(request)
        execution_id, interaction_id = _ids(request)
        asked = await self._service.asked(actor, execution_id, interaction_id)
        if sent.one("again") and asked.status == "pending":
            return await self._page(request, actor, base, sent)
        response = response_of(asked.prompt, sent)
        if response is None and asked.status == "pending":
            return await self._page(request, actor, base, sent, status=422)
        try:
            await self._service.answer(actor, execution_id, interaction_id, response or {})
        except (errors.ResponseNotAccepted, errors.NotJSON) as wrong:
            if asked.status == "pending":
                sent.mistakes.append(Mistake("answer", str(wrong)))
                return await self._page(request, actor, base, sent, status=422)
            return await self._page(request, actor, base, sent, refused=wrong, status=409)
        except NOT_TAKEN as refused:
            return await self._page(request, actor, base, sent, refused=refused, status=problem_of(refused).status)
        return to(f"{base}{prompt_path(execution_id, interaction_id)}")

    async def claim(self, request: Request) -> Response:
        """Claim a prompt for whoever asks."""
        return await self._take(request, "claim", self._service.claim)

    async def release(self, request: Request) -> Response:
        """End the claim of a prompt."""
        return await self._take(request, "release", self._service.release)

    async def delegate(self, request: Request) -> Response:
        """Hand a prompt on to somebody."""

        async def act(actor: Actor, execution_id: str, interaction_id: str, sent: Sent) -> None:
            names = sent.lines("delegate-to")
            if len(names) != 1:
                raise errors.InvalidArgument("Say to whom: one person, or one group as group:NAME.")
            await self._service.delegate(actor, execution_id, interaction_id, names[0], _reason(sent, "delegate"))

        return await self._readdress(request, "delegate", act)

    async def reassign(self, request: Request) -> Response:
        """Address a prompt to others."""

        async def act(actor: Actor, execution_id: str, interaction_id: str, sent: Sent) -> None:
            names = sent.lines("reassign-to")
            if not names:
                raise errors.InvalidArgument("Say to whom: people, or groups as group:NAME, one on each line.")
            await self._service.reassign(actor, execution_id, interaction_id, names, _reason(sent, "reassign"))

        return await self._readdress(request, "reassign", act)

    # --- Inside ---

    async def _take(self, request: Request, verb: str, act: Callable[[Actor, str, str], Awaitable[None]]) -> Response:
        actor, base, sent = await self._frame.writer(request)
        ids = _ids(request)
        if not sent.fields:
            with suppress(*CLOSED, errors.InteractionClaimed):  # the page says so
                await act(actor, *ids)
            return to(f"{base}{prompt_path(*ids)}")
        try:
            await act(actor, *ids)
        except NOT_TAKEN as refused:
            status = problem_of(refused).status
            return await self._page(request, actor, base, sent, verb=verb, refused=refused, status=status)
        return await self._page(request, actor, base, sent)  # what they have begun to answer is not lost

    async def _readdress(
        self, request: Request, verb: str, act: Callable[[Actor, str, str, Sent], Awaitable[None]]
    ) -> Response:
        actor, base, sent = await self._frame.writer(request)
        ids = _ids(request)
        try:
            await act(actor, *ids, sent)
        except (errors.InvalidArgument, errors.NotJSON) as wrong:
            field = "reason" if isinstance(wrong, errors.NotJSON) and wrong.path == "reason" else "to"
            sent.mistakes.append(Mistake(f"{verb}-{field}", str(wrong)))
            return await self._page(request, actor, base, sent, verb=verb, status=422)
        except NOT_TAKEN as refused:
            status = problem_of(refused).status
            return await self._page(request, actor, base, sent, verb=verb, refused=refused, status=status)
        try:
            await self._service.asked(actor, *ids)
        except errors.NotFound:  # which is now for others alone
            return to(f"{base}/?done={verb}")
        return to(f"{base}{prompt_path(*ids)}")

    async def _page(
        self,
        request: Request,
        actor: Actor,
        base: str,
        sent: Sent | None = None,
        *,
        verb: str = "answer",
        refused: Exception | None = None,
        status: int = 200,
    ) -> Response:
        """The page: with the mistakes in ``sent``, or why what ``verb`` names was ``refused``."""
        execution_id, interaction_id = _ids(request)
        position = await self._frame.position()
        asked, policy = await self._service.asked(actor, execution_id, interaction_id), self._service.policy
        state = state_of(asked)
        is_theirs = state == "open" and policy.may_answer(actor, asked)
        own = vote_of(actor, asked)
        is_free = asked.claimed_by in {None, actor.id}
        found = await waiting(self._service, actor)
        following = [
            each
            for each in found.items
            if each.address != (execution_id, interaction_id) and each.claimed_by in {None, actor.id}
        ]
        return self._frame.show(
            "prompt.html",
            actor,
            base,
            status,
            position=position,
            asked=asked,
            fields=form_of(asked.prompt).fields if asked.prompt["input_type"] == "form" else (),
            state=state,
            is_theirs=is_theirs,
            may_answer=is_theirs and is_free and own is None,
            own=own,
            may_delegate=state == "open" and is_free and own is None and policy.may_delegate(actor, asked),
            may_reassign=state == "open" and policy.may_reassign(actor, asked),
            sees_execution=await self._sees_execution(actor, asked),
            sent=sent or Sent(),
            verb=verb,
            refused=refused is not None,
            following=following,
            moments=await self._frame.moments(actor, asked.execution_id, asked.owner),
            prompt_url=lambda each: f"{base}{prompt_path(execution_id, each)}",
        )

    async def _sees_execution(self, actor: Actor, asked: Asked) -> bool:
        try:
            await self._service.status(actor, asked.execution_id)
        except errors.NotFound:
            return False
        return True


def _ids(request: Request) -> tuple[str, str]:
    return request.path_params["execution_id"], request.path_params["interaction_id"]


def _reason(sent: Sent, verb: str) -> str | None:
    return sent.one(f"{verb}-reason").strip() or None


def vote_of(actor: Actor, asked: Asked) -> queries.Vote | None:
    """The actor's own vote on a prompt; None where they have not voted."""
    return next((vote for vote in asked.voted if vote.voter == actor.id), None)
