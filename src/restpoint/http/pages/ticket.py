"""The page of a ticket: one prompt, for somebody without an account, who has a link of a mail.

A GET or HEAD changes nothing and sets no cookie, so programs that open every link of a mail do no harm. Only the form of the page
answers, by POST, with the proof that this server put into it; from then on the page counts as opened. The ticket says who
answers, as credentials do elsewhere, and the service decides whether they may. No address with a ticket leaves the page by
``Referer``, is kept in a cache, or is logged.
"""

import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from restpoint import errors
from restpoint._storage import Asked
from restpoint.access import LOCAL, Actor
from restpoint.http.pages import html, rendering
from restpoint.http.pages.answers import MOST_BYTES, NOT_TAKEN, Mistake, Sent, form_of, response_of
from restpoint.http.pages.rendering import Route
from restpoint.http.pages.waiting import state_of
from restpoint.http.problems import Problem, problem_of
from restpoint.http.requests import read_body
from restpoint.notify.tickets import PATH, Ticket, Tickets
from restpoint.service import Service

_UNAUTHORIZED: Final = 401
_NOTHING: Final = "Nothing more is needed from you."
_OVER: Final = {
    "answered": ("Answered already", f"Somebody else has answered this question. {_NOTHING}"),
    "late": ("Too late to answer", f"The time for an answer is over. {_NOTHING}"),
    "withdrawn": ("Withdrawn", f"The workflow does not need an answer any more. {_NOTHING}"),
    "open": ("Not yours to answer", f"This question is not put to you, or not any more. {_NOTHING}"),
}
"""What a ticket shows that does not count any more, by the state of its prompt: that, and nothing of the question."""

_THANKS: Final = ("Your answer is recorded", "The workflow goes on. You may close this window.")
_VOTED: Final = ("Your vote is recorded", "The others are still asked. You may close this window.")
_ONCE: Final = ("You answered this before", "That answer counts. What you sent now was not recorded.")
_UNKNOWN: Final = (
    "This link does not work",
    "It was cut short or changed on its way, or it is not of this server. Open it once more from the mail, as a whole.",
)
_ANOTHER: Final = (
    "This link is for somebody else",
    "You are signed in here under another name, so this question is not shown. Look into your own inbox for what waits for you.",
)
_CROSS_SITE: Final = ("Sent from another site", "A page of another site sent this, so nothing was changed.")


class TicketPages:
    """The handlers of the page of tickets.

    ``base_of`` says which path the routes are found under. ``actor_of`` says who is signed in with a request, or None: whoever
    is signed in under another name than that of the ticket is not shown the prompt.
    """

    def __init__(
        self,
        service: Service,
        tickets: Tickets,
        base_of: Callable[[Request, str], str],
        actor_of: Callable[[Request], Awaitable[Actor | None]],
    ) -> None:
        self._service = service
        self._tickets = tickets
        self._base_of = base_of
        self._actor_of = actor_of

    @property
    def routes(self) -> tuple[Route, ...]:
        """The routes of the page."""
        return (Route("GET", PATH, self.show, "ticket_page"), Route("POST", PATH, self.answer, "answer_ticket"))

    async def show(self, request: Request) -> Response:
        """Show the prompt of a ticket, with its form."""
        return await self._page(request, self._show)

    async def answer(self, request: Request) -> Response:
        """Take the answer of whoever has a ticket."""
        return await self._page(request, self._answer)

    # --- Inside ---

    async def _page(self, request: Request, handler: Callable[[Request], Awaitable[Response]]) -> Response:
        try:
            reply = await handler(request)
        except HTTPException:
            raise
        except Exception as error:  # noqa: BLE001 - a browser gets a page, never a traceback
            problem = problem_of(error)
            reply = self._say(request, "That did not work", problem.detail, problem.status)
        # With no-referrer, browsers send the form with the origin null (Fetch, section 3.2), which the proof makes up for.
        reply.headers["referrer-policy"] = "no-referrer"
        reply.headers["x-robots-tag"] = "noindex, nofollow"
        return reply

    async def _show(self, request: Request) -> Response:
        text = request.query_params.get("ticket", "")
        return await self._of(request, text)

    async def _answer(self, request: Request) -> Response:
        if request.headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}:  # W3C Fetch Metadata
            return self._say(request, *_CROSS_SITE, 403)
        sent = Sent.read(await read_body(request, MOST_BYTES))
        return await self._of(request, sent.one("ticket"), sent)

    async def _of(self, request: Request, text: str, sent: Sent | None = None) -> Response:
        """The page of a ticket; with ``sent``, once that was taken or refused."""
        ticket = self._tickets.read(text)
        if ticket is None:
            return self._say(request, *_UNKNOWN, 404)
        signed_in = await self._signed_in(request)
        if signed_in is not None and signed_in.id not in {LOCAL, ticket.person}:
            return self._say(request, *_ANOTHER, 403)
        actor, asked = await self._found(ticket)
        if actor is None or asked is None:
            return self._say(request, *_OVER["open"], 410, sent)
        if sent is None or (state_of(asked) == "open" and not self._is_theirs(actor, asked)):
            return self._shown(request, text, ticket, actor, asked, sent)
        if not self._tickets.is_proof(sent.one("proof"), ticket, time.time()):
            return self._shown(request, text, ticket, actor, asked, sent, 403, is_stale=True)
        return await self._taken(request, text, ticket, actor, asked, sent)

    async def _taken(
        self, request: Request, text: str, ticket: Ticket, actor: Actor, asked: Asked, sent: Sent
    ) -> Response:
        with suppress(errors.StorageError):  # whoever wants to answer must not be kept from it by a full disk
            await self._service.outbox.opened(actor, ticket.execution_id, ticket.interaction_id)
        response = response_of(asked.prompt, sent)
        if response is None and asked.status == "pending":
            return self._shown(request, text, ticket, actor, asked, sent, 422)
        try:
            await self._service.answer(actor, ticket.execution_id, ticket.interaction_id, response or {})
        except (errors.ResponseNotAccepted, errors.NotJSON) as refused:
            if asked.status == "pending":
                sent.mistakes.append(Mistake("answer", str(refused)))
            return self._shown(request, text, ticket, actor, asked, sent, 422)
        except NOT_TAKEN as refused:
            _, now = await self._found(ticket)
            if now is None:
                return self._say(request, *_OVER["open"], 410, sent)
            return self._shown(request, text, ticket, actor, now, sent, problem_of(refused).status)
        # Relative, so that it is right behind a proxy that takes a part of the path away.
        return RedirectResponse(f"?ticket={text}", 303, dict(html.HEADERS))

    async def _signed_in(self, request: Request) -> Actor | None:
        try:
            return await self._actor_of(request)
        except HTTPException:  # of an application's authenticate; the ticket says more
            return None
        except Problem:  # of a server that answers only its own machine
            return None

    async def _found(self, ticket: Ticket) -> tuple[Actor | None, Asked | None]:
        """The person of a ticket, and its prompt as they may see it; None where they may not, or not any more."""
        ids = ticket.execution_id, ticket.interaction_id
        try:
            question = await self._service.store.address(*ids, as_stored=True)
            actor = await self._tickets.actor(ticket, question.assignees)
            return actor, None if actor is None else await self._service.asked(actor, *ids)
        except errors.NotFound:
            return None, None

    def _is_theirs(self, actor: Actor, asked: Asked) -> bool:
        return self._service.policy.may_answer(actor, asked)

    def _shown(
        self,
        request: Request,
        text: str,
        ticket: Ticket,
        actor: Actor,
        asked: Asked,
        sent: Sent | None = None,
        status: int = 200,
        *,
        is_stale: bool = False,
    ) -> Response:
        state = state_of(asked)
        has_voted = any(vote.voter == ticket.person for vote in asked.voted)
        if has_voted or (state == "answered" and asked.answered_by == ticket.person):
            thanks = _VOTED if has_voted and state == "open" else _THANKS
            return self._say(request, *thanks, is_done=True) if sent is None else self._say(request, *_ONCE, 409, sent)
        if state != "open" or not self._is_theirs(actor, asked):
            return self._say(request, *_OVER[state], 410, sent)
        now = time.time()
        return rendering.page(
            "ticket.html",
            status,
            actor=None,
            base=self._base(request),
            path=PATH,
            asked=asked,
            fields=form_of(asked.prompt).fields if asked.prompt["input_type"] == "form" else (),
            state=state,
            sent=sent or Sent(),
            refused=sent is not None and not sent.mistakes and not is_stale,
            is_stale=is_stale,
            person=ticket.person,
            ticket=text,
            proof=self._tickets.proof(ticket, now),
            now=now,
        )

    def _say(
        self,
        request: Request,
        title: str,
        words: str,
        status: int = 200,
        sent: Sent | None = None,
        *,
        is_done: bool = False,
    ) -> Response:
        return rendering.page(
            "problem.html",
            status,
            actor=None,
            base=self._base(request),
            title=title,
            text=words,
            sign_in=None,
            has_home=False,
            is_done=is_done,
            typed=[] if sent is None else sent.typed,
        )

    def _base(self, request: Request) -> str:
        return self._base_of(request, PATH)
