"""The routes of a consent for browsers: its page, the redirect to the provider, and the callback.

Only the person whom the consent is addressed to may see the page and go to the provider. The server knows them in one of three
ways:

- ``authenticate`` recognises the browser, as on a server that only this machine can reach, or in an application with sessions.
  Then the policy decides for that actor, and a link helps nobody else.
- ``authenticate`` does not recognise the browser, as with bearer tokens, which browsers do not send. Then the link has a
  *ticket*: sealed by this server for the person who polled, shown to nobody else, valid for a quarter of an hour or until
  someone goes to the provider.
- The browser has the cookie of an earlier attempt, so a person can try again.

Showing the page changes nothing. Its form has a proof, which no other site can know.
"""

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from restpoint import errors
from restpoint._storage import Consent
from restpoint._store.futures import PendingOAuth
from restpoint.access import Actor, Policy, Subject
from restpoint.http.pages import html
from restpoint.http.pages.html import Form
from restpoint.http.problems import Problem, problem_of
from restpoint.http.requests import form_pairs, is_from_another_site, origin_of, read_body
from restpoint.oauth.callbacks import Callback, CallbackResult
from restpoint.oauth.flow import Consents
from restpoint.oauth.providers import CALLBACK, CALLBACK_PARAMETERS
from restpoint.oauth.signed_links import STATE_SECONDS, cookie_name, on_https, page_path, urlpath

log = logging.getLogger(__name__)

_MOST_FORM_BYTES: Final = 16 * 1024
_UNAUTHORIZED: Final = 401

_UNCHANGED: Final = "Nothing was changed."
_NEW_LINK: Final = (
    "A link is good for 15 minutes, and until somebody sets out with it. To get a new one, go back to where you got it and "
    "reload that, or ask whoever sent it: whatever shows the execution shows a new link, and so does the command restpoint "
    "authorize."
)
_NOT_SET_UP: Final = "This server lacks what this consent needs; its log says what."
_RESULTS: Final = {
    "granted": ("Access granted", "The workflow goes on. You may close this window.", 200),
    "denied": ("Access refused", "The workflow was told. You may close this window.", 200),
    "failed": ("That did not work yet", "", 502),
    "not_set_up": ("Not set up", f"{_NOT_SET_UP} Nothing is lost: try again when it was corrected.", 503),
    "sealed": ("That did not work yet", f"This server cannot open what it sealed; its log says why. {_UNCHANGED}", 503),
    "malformed": ("This is no callback", f"The address lacks what a provider would have sent. {_UNCHANGED}", 400),
    "forged": ("Not known here", f"Nobody here set out with this state, or set out again since. {_UNCHANGED} {_NEW_LINK}", 400),
    "replayed": (  # a browser may come back twice, and show the reply to its second request only
        "Used already",
        f"This answer was taken before, so nothing more is needed from you: you may close this window. {_UNCHANGED}",
        409,
    ),
    "expired": ("Too late", "The time for this consent, or for this attempt, is over.", 410),
    "other_browser": ("Another browser", f"It was another browser that set out. {_UNCHANGED} {_NEW_LINK}", 403),
    "other_person": ("Another person", f"It was another person who set out. {_UNCHANGED}", 403),
    "wrong_issuer": ("Another provider", f"This is not of the provider that you were sent to. {_UNCHANGED}", 400),
    "wrong_address": ("Another address", f"This came to another address than it was asked for at. {_UNCHANGED}", 400),
}  # fmt: skip
_OVER: Final = {
    "granted": "Access was granted already. You may close this window.",
    "denied": "Access was refused. You may close this window.",
    "expired": "The time for this consent is over. Ask whoever sent you here to start again.",
    "withdrawn": "The workflow does not need this any more. You may close this window.",
    "exchanging": "The provider's answer is being looked at. Come back in a moment.",
}
_NO_RESULT: Final = (
    "This was taken before, and came to nothing: nobody was granted or refused anything. You may try again."
)
_RETRIABLE: Final = frozenset(
    {"failed", "not_set_up", "malformed", "replayed", "expired", "wrong_issuer", "wrong_address"}
)


class ConsentPages:
    """The handlers of the routes of consents. ``actor_of`` says who sent a request, or None if it does not know."""

    def __init__(
        self, consents: Consents, policy: Policy, actor_of: Callable[[Request], Awaitable[Actor | None]]
    ) -> None:
        self.consents = consents
        self._policy = policy
        self._actor_of = actor_of

    def link(self, actor: Actor, execution_id: str, consent: PendingOAuth, request: Request, mount: str) -> str:
        """The URL of the page for the actor who asked, who may see the consent."""
        here = origin_of(request) + mount
        return self.consents.link(consent.provider or "", execution_id, consent.consent_id, actor.id, here)

    async def show(self, request: Request) -> Response:
        """Show the page that asks a person whether to go to the provider."""
        return await self._page(request, self._show)

    async def decide(self, request: Request) -> Response:
        """Redirect to the provider, or record the refusal."""
        return await self._page(request, self._decide)

    async def callback(self, request: Request) -> Response:
        """Receive the browser that a provider sent back."""
        return await self._page(request, self._callback)

    async def receive_form(self, request: Request) -> Response:
        """Take a callback that a provider sent as a form (OAuth 2.0 Form Post Response Mode), and go on with it by GET.

        A browser sends no ``SameSite=Lax`` cookie with a form of another site, and it does with the GET after a redirect. So
        the cookie stays as strict as it is, and there is one way to handle a callback. Nothing is decided here.
        """
        return await self._page(request, self._receive_form)

    # --- Inside ---

    async def _page(self, request: Request, handler: Callable[[Request], Awaitable[Response]]) -> Response:
        try:
            return await handler(request)
        except HTTPException:  # of an application's authenticate, such as one that redirects to its sign-in
            raise
        except Exception as error:  # noqa: BLE001 - a browser gets a page, never a traceback
            return _wrong(error)

    async def _known(self, request: Request) -> Actor | None:
        try:
            return await self._actor_of(request)
        except HTTPException as refused:
            if refused.status_code != _UNAUTHORIZED:
                raise
            return None  # a browser without credentials; the link may say more

    async def _found(self, request: Request) -> tuple[Consent, str]:
        """The consent, and the person whom the page is for. A consent of somebody else is reported as missing."""
        execution_id, consent_id = request.path_params["execution_id"], request.path_params["consent_id"]
        actor = await self._known(request)
        consent = await self.consents.find(execution_id, consent_id)
        if actor is not None:
            if not self._policy.may_see_consent(actor, Subject(consent.owner)):
                raise errors.ExecutionNotFound(execution_id)
            return consent, actor.id
        ticket = self.consents.links.read_ticket(consent, request.query_params.get("ticket"), self.consents.now)
        if ticket is not None:
            return consent, ticket.person
        if consent.begun_by is not None and self.consents.is_browser_of(consent, request.cookies):
            return consent, consent.begun_by
        raise errors.ExecutionNotFound(execution_id)

    async def _show(self, request: Request) -> Response:
        consent, person = await self._found(request)
        if consent.status != "pending":
            return html.words("Nothing to do", _OVER[consent.status])
        provider = self.consents.provider(consent.provider)
        place = await self.consents.authorization_endpoint(provider)
        return html.consent(
            self._form(consent, person, quote(consent.id, safe=""), place),
            provider=provider.shown,
            place=urlsplit(place).hostname or "",
            scopes=consent.scopes,
            workflow=consent.workflow,
            owner=consent.owner,
            execution_id=consent.execution_id,
            deadline=None if consent.deadline_at is None else consent.deadline_at / 1000,
        )

    def _form(self, consent: Consent, person: str, action: str, place: str | None = None) -> Form:
        return Form(action, self.consents.links.proof(consent, person, self.consents.now), place)

    async def _decide(self, request: Request) -> Response:
        # The proof in the form cannot be forged. But a person with a proof for their own consent must not make another person's
        # browser send it: that browser would go to the provider unasked, and the consent would get the other person's token.
        if is_from_another_site(request, self.consents.links.hosts):
            raise Problem("cross_site", f"A page of another site sent this. Open the link again. {_NEW_LINK}")
        body = await read_body(request, _MOST_FORM_BYTES)
        execution_id, consent_id = request.path_params["execution_id"], request.path_params["consent_id"]
        sent = dict(form_pairs(body.decode("ascii", "replace"), 10))
        actor = await self._known(request)
        consent, proof = None, None
        with suppress(errors.NotFound):  # without a proof, do not say whether there is such a consent
            consent = await self.consents.find(execution_id, consent_id)
            proof = self.consents.links.read_proof(consent, sent.get("proof"), self.consents.now)
        if consent is None or proof is None:
            text = f"This form is too old, or not of this server. {_NEW_LINK}"
            return html.words("Open the link again", text, 403)
        if actor is not None and actor.id != proof.person:
            raise errors.ExecutionNotFound(execution_id)
        if proof.attempts != consent.attempts:
            raise errors.Conflict(consent.subject, f"at attempt {proof.attempts}")
        if sent.get("decision") == "deny":
            await self.consents.deny(consent, proof.person)
            return html.words(*_RESULTS["denied"])
        here = origin_of(request) + urlpath(str(request.url)).removesuffix(page_path(execution_id, consent_id))
        authorization = await self.consents.begin(consent, proof.person, here)
        reply = RedirectResponse(authorization.url, 303, dict(html.HEADERS))
        set_attempt_cookie(reply, consent.id, authorization.redirect_uri, authorization.cookie, STATE_SECONDS)
        return reply

    async def _callback(self, request: Request) -> Response:
        pairs = form_pairs(request.url.query, 50)
        parameters = dict(pairs)
        if len(parameters) != len(pairs):  # no parameter twice (RFC 6749, section 3.1)
            parameters = {}
        actor = await self._known(request)
        name = request.path_params.get("provider")
        path = CALLBACK if name is None else f"{CALLBACK}/{name}"
        result = await self.consents.handle_callback(
            Callback(parameters, request.cookies, None if actor is None else actor.id, path)
        )
        return await self._answer(result, path)

    async def _receive_form(self, request: Request) -> Response:
        body = await read_body(request, _MOST_FORM_BYTES)
        pairs = form_pairs(body.decode("ascii", "replace"), 50)
        known = [(name, value) for name, value in pairs if name in CALLBACK_PARAMETERS]
        # Relative, so that it is right behind a proxy that takes a part of the path away.
        return RedirectResponse(f"?{urlencode(known)}", 303, dict(html.HEADERS))

    async def _answer(self, result: CallbackResult, path: str) -> Response:
        title, text, status = _RESULTS[result.outcome]
        consent, form = result.consent, None
        if result.outcome == "failed":
            text = f"{result.problem or ''} Nothing is lost."
        if result.outcome in _RETRIABLE and consent is not None and consent.begun_by is not None:
            consent, seen = await self.consents.find(consent.execution_id, consent.id), consent
            # If another attempt was begun meanwhile, its own page shows the form.
            if consent.status == "pending" and consent.begun_by is not None and consent.attempts == seen.attempts:
                # Relative, so that it is right behind a proxy that takes a part of the path away.
                up = "/".join([".."] * (path.count("/") - 1))
                action = f"{up}{page_path(consent.execution_id, consent.id)}"
                form = self._form(consent, consent.begun_by, action, await self._place(consent))
                if result.outcome == "replayed":  # for example a person reloads after the server died
                    text = _NO_RESULT
        reply = html.words(title, text, status, form)
        if result.consent is not None and result.outcome in {"granted", "denied"}:
            set_attempt_cookie(reply, result.consent.id, result.consent.redirect_uri or "", "", 0)
        return reply

    async def _place(self, consent: Consent) -> str | None:
        try:
            return await self.consents.authorization_endpoint(self.consents.provider(consent.provider))
        except (errors.ProviderUnreachable, errors.InvalidArgument):
            return None


def _wrong(error: Exception) -> Response:
    """The page of an error."""
    title = "That did not work"
    match error:
        case errors.ConsentExpired():
            shown = ("Too late", _OVER["expired"], 410)
        case errors.Conflict() | errors.IllegalTransition():
            shown = (
                "Not any more",
                f"Something happened to this consent meanwhile. Open the link again. {_NEW_LINK}",
                409,
            )
        case errors.ProviderUnreachable():
            shown = ("That did not work yet", f"{error} Go back, and try again in a moment.", 502)
        case errors.NotFound():
            shown = (
                "Not found",
                f"There is no such consent, or this link is not yours, or not good any more. {_NEW_LINK}",
                404,
            )
        case errors.InvalidArgument():
            log.error("a consent cannot be asked for: %s", error)
            shown = ("Not set up", _NOT_SET_UP, 503)
        case _:
            problem = problem_of(error)
            shown = (title, problem.detail, problem.status)
    return html.words(*shown)


def set_attempt_cookie(reply: Response, about: str, redirect_uri: str, value: str, seconds: int) -> None:
    """Set the cookie that binds the browser to an attempt: the id of a consent, or the state of somebody who signs in.

    With 0 ``seconds``, the browser deletes it.
    """
    secure = on_https(redirect_uri)
    # The prefix __Host- wants the whole site (RFC 6265bis, section 4.1.3.2).
    path = "/" if secure else urlpath(redirect_uri).partition(CALLBACK)[0] or "/"
    name = cookie_name(about, secure=secure)
    reply.set_cookie(name, value, max_age=seconds, path=path, secure=secure, httponly=True, samesite="lax")
