"""Sessions of browsers: who sent a request, by its bearer token or by the cookie of a session.

The cookie has 256 random bits, of which the file has the SHA-256 only. It is ``__Host-restpoint``, so no other host can set it
(RFC 6265bis, section 4.1.3.2), and a request of a page of another site does not carry it (``SameSite=Lax``). On a server that is
reached by plain http on its own machine, where there is no ``Secure``, the name has no prefix.

A session of a bearer token has the groups and roles that the tokens file gives now, and ends when the token is revoked or
expires. A session of a provider has those of the sign-in, and ends when the server no longer signs people in with that provider.
"""

import logging
import re
import secrets
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from restpoint._core.addresses import is_loopback
from restpoint._core.ids import Identifiers
from restpoint._storage import Session, sessions
from restpoint.access import Actor
from restpoint.errors import InvalidArgument, StorageError
from restpoint.http.bearer_tokens import Tokens, token_digest

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from restpoint._store.store import ExecutionStore

log = logging.getLogger(__name__)

IDLE_SECONDS: Final = 3_600.0
"""How long a session lasts without a request, and ``LIFETIME_SECONDS`` in all: NIST SP 800-63B-4, section 2.2.3."""
LIFETIME_SECONDS: Final = 86_400.0

_LEAST_SECONDS: Final = 120.0  # twice the time between two notes of a use
_MOST_SECONDS: Final = 400 * 86_400.0  # of a cookie (RFC 6265bis, section 5.5)
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_RANDOM_BYTES: Final = 32
_NOTED: Final = "restpoint.session_noted"
_REFUSALS_PER_MINUTE: Final = 20


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """How long a session lasts, in seconds: ``idle`` without a request, ``lifetime`` in all. Raises ``InvalidArgument``."""

    idle: float = IDLE_SECONDS
    lifetime: float = LIFETIME_SECONDS

    def __post_init__(self) -> None:
        for name, seconds in (("session_idle_seconds", self.idle), ("session_lifetime_seconds", self.lifetime)):
            if not _LEAST_SECONDS <= seconds <= _MOST_SECONDS:
                raise InvalidArgument(
                    f"{name} is {seconds:g}; give from {_LEAST_SECONDS:g} to {_MOST_SECONDS:g} seconds."
                )


class Sessions:
    """The sessions of one server.

    ``tokens`` are the bearer tokens that it takes, and ``providers`` the names of those that people sign in with.
    ``public_url`` is where browsers find it, if not where requests say that they went.
    """

    def __init__(
        self,
        store: "ExecutionStore",
        tokens: Tokens | None,
        providers: Collection[str],
        limits: SessionLimits,
        public_url: str | None = None,
    ) -> None:
        self.tokens = tokens
        self._store = store
        self._providers = providers
        self._limits = limits
        self._public_url = public_url
        self._refusals = _RefusalLimit()

    # --- Who sent a request ---

    def authenticate(self, request: Request) -> "Actor | Awaitable[Actor | None] | None":
        """Who sent a request; None if that is unknown. With a bearer token a cookie does not count."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return None if self.tokens is None else self.tokens.actor(token.strip())
        return self._actor(request) if self._token(request) is not None else None

    async def _actor(self, request: Request) -> Actor | None:
        session = await self.current(request)
        return None if session is None else session.actor

    async def current(self, request: Request) -> Session | None:
        """The session of a request; None if it has none, or one that is over."""
        token = self._token(request)
        if token is None:
            return None
        file, digest = await self._store.file(), _digest(token)
        now = file.clock.now()
        found = await sessions.find(file.database, digest, now)
        if found is None:
            return None
        session = self._as_of_now(found)
        if session is None:
            await file.database.write(partial(sessions.end, token_sha256=digest, actor=None, cause="credentials gone"))
            log.info("a session ended with its credentials", extra={"actor": found.actor.id, "session": found.id})
            return None
        # A stream asks again and again who sent its request: that is one use, or an open window would never be idle.
        if session.used_at <= now - sessions.USED_EVERY and not request.scope.get(_NOTED):
            with suppress(StorageError):  # which the storage logs; a full disk must not keep people from reading
                await file.database.write(partial(sessions.use, token_sha256=digest, idle=_ms(self._limits.idle)))
        request.scope[_NOTED] = True
        return session

    def _as_of_now(self, session: Session) -> Session | None:
        """The session with the rights that its credentials have now; None where they are gone."""
        if session.provider is not None:
            return session if session.provider in self._providers else None
        actor = None if self.tokens is None else self.tokens.of_digest(session.bearer_sha256 or "")
        if actor is None or actor.id != session.actor.id:
            return None
        return Session(
            session.id, actor, None, session.bearer_sha256, session.created_at, session.expires_at, session.used_at,
            session.ends_at,
        )  # fmt: skip

    # --- Beginning and ending ---

    async def begin(
        self,
        request: Request,
        reply: Response,
        actor: Actor,
        *,
        provider: str | None = None,
        token: str | None = None,
        mail: str | None = None,
    ) -> None:
        """Begin a session of somebody who signed in at a provider or with a token, and give ``reply`` its cookie.

        It has a new token always, so nobody knows it who knew one that this browser had before (session fixation). ``mail`` is
        the address that the provider vouches for, empty where it vouches for none, and None where nothing is known.
        """
        file, before = await self._store.file(), self._token(request)
        now, secret = file.clock.now(), secrets.token_urlsafe(_RANDOM_BYTES)
        expires_at = now + _ms(self._limits.lifetime)
        session = Session(
            Identifiers(file.clock.now).new(), actor, provider, None if token is None else token_digest(token), now,
            expires_at, now, min(now + _ms(self._limits.idle), expires_at),
        )  # fmt: skip
        instead_of = None if before is None else _digest(before)
        await file.database.write(
            partial(sessions.begin, session=session, token_sha256=_digest(secret), instead_of=instead_of, mail=mail)
        )
        self._set_cookie(request, reply, secret, int(self._limits.lifetime))
        log.info("signed in", extra={"actor": actor.id, "session": session.id, "provider": provider or "a token"})

    async def end(self, request: Request, reply: Response, *, everywhere: bool) -> int:
        """End the session of a request, or all of its person's, and have ``reply`` delete the cookie. Returns their number."""
        session, token = await self.current(request), self._token(request)
        ended = 0
        if session is not None and token is not None:
            file, person = await self._store.file(), session.actor.id
            job = (
                partial(sessions.end_all, whose=person, actor=person, cause="signed out everywhere")
                if everywhere
                else partial(sessions.end, token_sha256=_digest(token), actor=person, cause="signed out")
            )
            ended = await file.database.write(job)
            log.info("signed out", extra={"actor": person, "session": session.id, "sessions": ended})
        self._set_cookie(request, reply, "", 0)
        return ended

    async def refuse(self, cause: str, *, actor: str | None = None, provider: str | None = None) -> None:
        """Tell the history and the log that somebody was not let in.

        Whoever sends nonsense all day must not fill the history: beyond some in a minute they are counted, and the next one that
        is recorded has the count.
        """
        about = {"actor": actor, "provider": provider}
        log.info("a sign-in was refused: %s", cause, extra={name: value for name, value in about.items() if value})
        file = await self._store.file()
        unrecorded = self._refusals.take(file.clock.now())
        if unrecorded is not None:
            await file.database.write(
                partial(sessions.refused, actor=actor, cause=cause, provider=provider, unrecorded=unrecorded)
            )

    # --- The cookie ---

    def is_secure(self, request: Request) -> bool:
        """Whether the cookie is ``Secure``: everywhere but by plain http on this machine."""
        url = urlsplit(self._public_url or str(request.base_url))
        return not (url.scheme == "http" and is_loopback(url.hostname or ""))

    def _token(self, request: Request) -> str | None:
        cookie = request.headers.get("cookie")
        if cookie is None or "restpoint=" not in cookie:
            return None
        token = request.cookies.get(_name(secure=self.is_secure(request)), "")
        return token if _TOKEN.fullmatch(token) else None

    def _set_cookie(self, request: Request, reply: Response, value: str, seconds: int) -> None:
        secure = self.is_secure(request)
        reply.set_cookie(
            _name(secure=secure), value, max_age=seconds, path="/", secure=secure, httponly=True, samesite="lax"
        )


class _RefusalLimit:
    """Lets some refusals a minute into the history, and counts the others."""

    def __init__(self) -> None:
        self._minute = 0
        self._in_minute = 0
        self._unrecorded = 0

    def take(self, now: int) -> int | None:
        """The number of those that were not recorded before this one; None where this one is not recorded, either."""
        if now // 60_000 != self._minute:
            self._minute, self._in_minute = now // 60_000, 0
        self._in_minute += 1
        if self._in_minute > _REFUSALS_PER_MINUTE:
            self._unrecorded += 1
            return None
        unrecorded, self._unrecorded = self._unrecorded, 0
        return unrecorded


def _name(*, secure: bool) -> str:
    return "__Host-restpoint" if secure else "restpoint"


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
