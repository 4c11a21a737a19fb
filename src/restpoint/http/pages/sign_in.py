"""Signing in and out at a browser: the page with the providers and the form for a token, the callback of a provider, the end.

A session begins by POST from a page of this server, or by a callback that belongs to this browser. So no other site signs a
person in as somebody else, or out (login CSRF). Where a person goes afterwards is a path of this server, whatever ``next`` says.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from html import escape
from typing import Final
from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from restpoint import errors
from restpoint._core.addresses import is_loopback
from restpoint._storage import Session
from restpoint.http import requests
from restpoint.http.pages import html
from restpoint.http.pages.consent import set_attempt_cookie
from restpoint.http.pages.html import Form
from restpoint.http.problems import Problem, problem_of
from restpoint.http.requests import form_pairs, is_from_another_site, origin_of, read_body
from restpoint.http.sessions import Sessions
from restpoint.oauth.callbacks import Callback
from restpoint.oauth.providers import CALLBACK, Provider
from restpoint.oauth.sign_in import SignIn, SignInResult, is_of_sign_in
from restpoint.oauth.signed_links import STATE_SECONDS

log = logging.getLogger(__name__)

SIGN_IN: Final = "/auth/sign-in"
SIGN_OUT: Final = "/auth/sign-out"
SIGN_OUT_EVERYWHERE: Final = "/auth/sign-out-everywhere"

_MOST_FORM_BYTES: Final = 16 * 1024
_MOST_NEXT: Final = 1_000  # characters: it travels in a cookie
_NOTHING: Final = "Nobody was signed in."
_RESULTS: Final = {
    "malformed": ("This is no callback", f"The address lacks what a provider would have sent. {_NOTHING}", 400),
    "begin_again": (
        "Please sign in again",
        "This attempt was begun in another browser, was completed already, or took longer than 10 minutes.",
        400,
    ),
    "wrong_issuer": ("Another provider", f"This is not of the provider that you were sent to. {_NOTHING}", 400),
    "wrong_address": ("Another address", f"This came to another address than it was asked for at. {_NOTHING}", 400),
    "denied": ("Not signed in", "{provider} says that you did not want to sign in, or may not.", 403),
    "unreachable": (
        "{provider} does not answer",
        "Nobody can sign in with it now. Try again in a moment. If it stays like this, tell whoever runs this server. {problem}",
        502,
    ),
    "not_set_up": (
        "Not set up",
        "This server and {provider} do not agree on how people sign in. Tell whoever runs this server; its log says more.",
        503,
    ),
    "invalid_id_token": (
        "Not signed in",
        "What {provider} says of you cannot be verified. Tell whoever runs this server; its log says why.",
        502,
    ),
    "not_allowed": ("You have no access", "{provider} knows you, but this server lets others in. Ask whoever runs it.", 403),
    "no_id": ("You have no access", "{provider} says nothing that you can be known by: {problem}. Ask whoever runs this.", 403),
}  # fmt: skip
_REFUSALS: Final = frozenset({"denied", "invalid_id_token", "not_allowed", "no_id", "wrong_issuer"})
"""The outcomes that are events of the history. The others are nobody's try to come in, such as a callback without an attempt."""


class SignInPages:
    """The handlers of signing in and out at the ready server.

    ``sessions`` is None on a server that only its own machine can use, where nobody needs to sign in; ``sign_in`` is None where
    no provider signs people in.
    """

    def __init__(self, sessions: Sessions | None, sign_in: SignIn | None, public_url: str | None) -> None:
        self._sessions = sessions
        self._sign_in = sign_in
        self._base = None if public_url is None else urlsplit(public_url).path.rstrip("/")
        self._hosts = frozenset() if public_url is None else frozenset({urlsplit(public_url).netloc.lower()})
        if sign_in is not None:
            self._hosts |= sign_in.links.hosts

    async def close(self) -> None:
        """Close the connections to providers."""
        if self._sign_in is not None:
            await self._sign_in.close()

    def place(self, request: Request) -> str | None:
        """Where a browser goes to sign in and then to what it asked for; None if nobody needs to sign in here."""
        if self._sessions is None:
            return None
        base = self._base_of(request, request.scope["path"])
        wanted = f"{base}{request.scope['path']}" + (f"?{request.url.query}" if request.url.query else "")
        return f"{base}{SIGN_IN}?next={quote(wanted, safe='/')}"

    def takes(self, request: Request) -> bool:
        """Whether a callback is of somebody who signs in."""
        return self._sign_in is not None and is_of_sign_in(request.query_params.get("state"))

    async def show(self, request: Request) -> Response:
        """Show the page to sign in, or who is signed in."""
        return await self._page(request, self._show)

    async def begin(self, request: Request) -> Response:
        """Sign in with a token, or redirect to a provider."""
        return await self._page(request, self._begin)

    async def callback(self, request: Request) -> Response:
        """Receive the browser of somebody who signs in, which a provider sent back."""
        return await self._page(request, self._callback)

    async def sign_out(self, request: Request) -> Response:
        """End the session of this browser."""
        return await self._page(request, self._end)

    async def sign_out_everywhere(self, request: Request) -> Response:
        """End every session of the person."""
        return await self._page(request, self._end_all)

    # --- Inside ---

    async def _page(self, request: Request, handler: Callable[[Request, Sessions], Awaitable[Response]]) -> Response:
        try:
            if self._sessions is None:
                requests.local(request)
                text = "Whoever uses this machine is let in here, under the name local. Nobody else is."
                return html.words("There is nothing to sign in to", text)
            return await handler(request, self._sessions)
        except Exception as error:  # noqa: BLE001 - a browser gets a page, never a traceback
            problem = problem_of(error)
            return html.words("That did not work", problem.detail, problem.status)

    def _base_of(self, request: Request, path: str) -> str:
        return requests.mount_of(request, path) if self._base is None else self._base

    async def _show(self, request: Request, sessions: Sessions) -> Response:
        base = self._base_of(request, SIGN_IN)
        wanted = _path(request.query_params.get("next"), base)
        session = await sessions.current(request)
        return self._offer(wanted) if session is None else self._signed_in(session, wanted)

    async def _begin(self, request: Request, sessions: Sessions) -> Response:
        base = self._base_of(request, SIGN_IN)
        sent = await self._form(request)
        wanted = _path(sent.get("next"), base)
        if sessions.is_secure(request) and _is_plain(request.headers.get("origin")):
            text = "This server is reached by plain http, over which a browser keeps no session. Put TLS (https) in front of it."
            return html.words("This needs https", text, 403)
        if "provider" in sent:
            return await self._set_out(request, sent["provider"], wanted)
        token = sent.get("token", "").strip()
        actor = None if sessions.tokens is None else sessions.tokens.actor(token)
        if actor is None:
            await sessions.refuse("unknown token")
            text = "This token is not known here, was revoked, or has expired. Look whether you pasted all of it."
            return self._offer(wanted, "Not signed in", text, 403)
        reply = RedirectResponse(wanted, 303, dict(html.HEADERS))
        await sessions.begin(request, reply, actor, token=token)
        return reply

    async def _set_out(self, request: Request, name: str, wanted: str) -> Response:
        provider = None if self._sign_in is None else self._sign_in.providers.get(name)
        if self._sign_in is None or provider is None:
            return self._offer(wanted, "Not signed in", "Nobody signs in with this provider here.", 404)
        here = origin_of(request) + requests.mount_of(request, SIGN_IN)
        try:
            attempt = await self._sign_in.begin(provider, here, wanted)
        except errors.ProviderUnreachable as error:
            log.warning("nobody can sign in with %s: %s", provider.name, error)
            return self._tell(SignInResult("unreachable", provider, next=wanted, problem=str(error)), "sign-in")
        except errors.InvalidArgument as error:
            log.error("nobody can sign in with %s: %s", provider.name, error)  # noqa: TRY400 - no traceback
            return self._tell(SignInResult("not_set_up", provider, next=wanted), "sign-in")
        reply = RedirectResponse(attempt.url, 303, dict(html.HEADERS))
        set_attempt_cookie(reply, attempt.state, attempt.redirect_uri, attempt.cookie, STATE_SECONDS)
        return reply

    async def _callback(self, request: Request, sessions: Sessions) -> Response:
        if self._sign_in is None:
            raise Problem("route_not_found", "Nobody signs in with a provider here.")
        pairs = form_pairs(request.url.query, 50)
        parameters = dict(pairs)
        if len(parameters) != len(pairs):  # no parameter twice (RFC 6749, section 3.1)
            parameters = {}
        name = request.path_params.get("provider")
        path = CALLBACK if name is None else f"{CALLBACK}/{name}"
        result = await self._sign_in.complete(Callback(parameters, request.cookies, None, path))
        wanted = _path(result.next, self._base_of(request, path))
        if result.outcome == "known" and result.actor is not None and result.provider is not None:
            reply: Response = RedirectResponse(wanted, 303, dict(html.HEADERS))
            await sessions.begin(request, reply, result.actor, provider=result.provider.name, mail=result.mail)
        else:
            if result.outcome in _REFUSALS:
                whose = None if result.actor is None else result.actor.id
                of = None if result.provider is None else result.provider.name
                await sessions.refuse(result.outcome.replace("_", " "), actor=whose, provider=of)
            # Relative, so that it is right behind a proxy that takes a part of the path away.
            reply = self._tell(result, f"{'../' * (path.count('/') - 2)}sign-in")
        if result.redirect_uri:
            set_attempt_cookie(reply, parameters.get("state", ""), result.redirect_uri, "", 0)
        return reply

    async def _end(self, request: Request, sessions: Sessions) -> Response:
        return await self._ended(request, sessions, everywhere=False)

    async def _end_all(self, request: Request, sessions: Sessions) -> Response:
        return await self._ended(request, sessions, everywhere=True)

    async def _ended(self, request: Request, sessions: Sessions, *, everywhere: bool) -> Response:
        await self._form(request)
        where = "in all browsers" if everywhere else "in this browser"
        body = (
            f"<p>You are signed out of this server {where}. You may still be signed in at the provider that you signed in with."
            '</p><p><a href="sign-in">Sign in again</a></p>'
        )
        reply = html.page("Signed out", body)
        await sessions.end(request, reply, everywhere=everywhere)
        return reply

    async def _form(self, request: Request) -> Mapping[str, str]:
        """The fields of a form that a page of this server sent. Raises ``Problem``."""
        if is_from_another_site(request, self._hosts):
            raise Problem(
                "cross_site", "A page of another site sent this. Open the page of this server, and try it there."
            )
        body = await read_body(request, _MOST_FORM_BYTES)
        return dict(form_pairs(body.decode("utf-8", "replace"), 10))

    # --- What people see ---

    def _offer(self, wanted: str, title: str = "Sign in", text: str = "", status: int = 200) -> Response:
        """The page with every way to sign in."""
        ways = [self._button("sign-in", each, wanted, f"Continue with {each.shown}") for each in self._providers]
        if self._sessions is not None and self._sessions.tokens is not None:
            label = "Or with a token" if ways else "With a token"
            ways.append(
                f'<form method="post" action="sign-in">{_hidden("next", wanted)}<h2>{label}</h2>'
                "<p>Whoever runs this server makes one for you.</p><p><label>Token<br>"
                '<input type="password" name="token" required autocomplete="off" spellcheck="false"></label></p>'
                '<button class="main">Sign in</button></form>'
            )
        told = f'<p role="alert">{escape(text)}</p>' if text else ""
        return html.page(title, told + "".join(ways), status, form=self._shown_form())

    def _signed_in(self, session: Session, wanted: str) -> Response:
        how = "with a token" if session.provider is None else f"at {session.provider}"
        since, until = map(_moment, (session.created_at, session.expires_at))
        body = (
            f"<p>You are signed in as <b>{escape(session.actor.id)}</b>, {escape(how)}, since {since}. Your session ends at "
            f'{until} at the latest.</p><p><a href="{escape(wanted)}">Go on</a></p>'
            '<form method="post" action="sign-out"><button class="main">Sign out</button></form>'
            '<form method="post" action="sign-out-everywhere"><button>Sign out everywhere</button></form>'
        )  # fmt: skip
        return html.page("Signed in", body, form=self._shown_form())

    def _tell(self, result: SignInResult, action: str) -> Response:
        """The page of a callback that nobody is signed in by, with a way to try again."""
        shown = "the provider" if result.provider is None else result.provider.shown
        title, text, status = _RESULTS[result.outcome]
        title, text = (each.format(provider=shown, problem=result.problem) for each in (title, text))
        title = f"{title[:1].upper()}{title[1:]}"
        again = "" if result.provider is None else self._button(action, result.provider, result.next, "Try again")
        others = f"{action}?next={quote(result.next, safe='/')}" if result.next else action
        body = f'<p role="alert">{escape(text)}</p>{again}<p><a href="{escape(others)}">Ways to sign in</a></p>'
        return html.page(title, body, status, form=self._shown_form())

    @property
    def _providers(self) -> list[Provider]:
        return [] if self._sign_in is None else list(self._sign_in.providers.values())

    def _button(self, action: str, provider: Provider, wanted: str, label: str) -> str:
        return (
            f'<form method="post" action="{escape(action)}">{_hidden("provider", provider.name)}{_hidden("next", wanted)}'
            f'<button class="main">{escape(label)}</button></form>'
        )

    def _shown_form(self) -> Form:
        """Where the forms of a page lead, for its headers: to a provider, which may be on this machine by plain http."""
        issuers = [each.issuer or "" for each in self._providers]
        return Form("", "", next((each for each in issuers if urlsplit(each).scheme == "http"), None))


def _moment(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M} UTC"


def _hidden(name: str, value: str) -> str:
    return f'<input type="hidden" name="{name}" value="{escape(value)}">'


def _path(text: str | None, base: str) -> str:
    """The path of this server that ``next`` names; that of its first page where it names anything else.

    A browser takes two slashes at the beginning, or a slash and a backslash, for another host, and drops a tab between them.
    """
    wanted, home = text or "", f"{base}/"
    steps = wanted.partition("?")[0].lower().replace("%2e", ".").split("/")
    is_path = wanted.startswith(home) and not wanted.startswith("//") and "\\" not in wanted and ".." not in steps
    return wanted if is_path and wanted.isascii() and wanted.isprintable() and len(wanted) <= _MOST_NEXT else home


def _is_plain(origin: str | None) -> bool:
    """Whether a browser says that it has a page by plain http, and not of this machine."""
    parts = urlsplit(origin or "")
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")
