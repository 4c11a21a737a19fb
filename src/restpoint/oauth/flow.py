"""OAuth consents that restpoint drives: from the page where someone sets out, by way of the provider, to a sealed token.

The authorization code flow with PKCE (RFC 6749, RFC 7636), kept as RFC 9700 asks: a state for one use, bound to the browser
that set out and to the person whom the consent is addressed to; ``iss`` compared where the provider sends it (RFC 9207); exact
redirect URIs. Everything that has to survive is a row (``grants.py``), so the callback may come to another process, or after
a restart. Authlib speaks the protocol.

What a callback must show is looked at before anything is written, so a forged one changes nothing; it is counted in
``callbacks``. The exchange runs between two writes: whatever becomes of it, its code is not sent a second time.
"""

import asyncio
import logging
import re
import secrets
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from hmac import compare_digest
from types import TracebackType
from typing import Final, Literal, Self
from urllib.parse import urlsplit

from restpoint._core.oauth_token import OAuthToken
from restpoint._core.serialization import encode
from restpoint._storage import consents
from restpoint._storage.consents import Attempt, Consent
from restpoint._storage.sqlite.database import Transaction
from restpoint._store.internals import Parts
from restpoint._store.store import ExecutionStore
from restpoint.errors import (
    Conflict,
    ConsentExpired,
    IllegalTransition,
    InvalidArgument,
    NotFound,
    ProviderUnreachable,
    RestpointError,
    SealBroken,
    StorageError,
    StoreClosed,
)
from restpoint.lifecycle import OPEN
from restpoint.oauth.keyring import Vault
from restpoint.oauth.provider_client import Endpoints, Exchanger, TokenRefused
from restpoint.oauth.providers import CALLBACK, Provider, by_name
from restpoint.oauth.signed_links import STATE_SECONDS, Links, with_ticket
from restpoint.oauth.tokens import Granted, place, stored

log = logging.getLogger(__name__)

_RECOVER_EVERY: Final = 1.0  # seconds
_TRY_AGAIN: Final = 1.0  # seconds, after the storage failed
_CODE: Final = re.compile(r"[A-Za-z0-9_.:/-]{1,100}")
_PASSING: Final = frozenset({"temporarily_unavailable", "server_error"})  # RFC 6749, section 4.1.2.1

Outcome = Literal[
    "granted", "denied", "failed", "malformed", "forged", "replayed", "expired", "other_browser", "other_person",
    "wrong_issuer", "wrong_address", "sealed",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Departure:
    """Someone sets out: where to, and what their browser must bring back. ``cookie`` is a secret of that browser."""

    url: str
    cookie: str
    redirect_uri: str


@dataclass(frozen=True, slots=True)
class Callback:
    """What came back from a provider. ``cookies`` and ``actor`` tell whose browser it is; ``path`` is where it arrived."""

    parameters: Mapping[str, str]
    cookies: Mapping[str, str]
    actor: str | None
    path: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """What became of a callback. ``consent`` only where the browser is the one that set out."""

    outcome: Outcome
    consent: Consent | None = None
    problem: str | None = None


class Consents:
    """The consents of a store, at these providers, with secrets sealed by this vault.

    ``public_url`` is where the routes are as browsers see them, such as ``https://approvals.example.com``; without one, where the
    request came that asks for a link. Recommended as ``async with``, around the runner that is given it.
    """

    def __init__(
        self,
        store: ExecutionStore,
        providers: Iterable[Provider],
        vault: Vault,
        *,
        public_url: str | None = None,
        timeout: float = 10.0,
    ) -> None:
        self.store = store
        self.providers: Mapping[str, Provider] = by_name(providers)
        self.callbacks: Counter[str] = Counter()
        """How many callbacks there were, by what became of them."""
        self.refreshes: Counter[str] = Counter()
        self._vault = vault
        self.links = Links(vault, self.providers, public_url)
        self._exchanger = Exchanger(timeout)
        self._parts: Parts | None = None
        self._granted: Granted
        self._under_way: set[asyncio.Task[Arrival]] = set()
        self._recovering: asyncio.Task[None] | None = None
        self._closing = False
        self._warned: set[str] = set()

    # --- Opening and closing ---

    async def open(self) -> Self:
        """Begin: what a dead process left behind is taken back, now and while this one lives."""
        parts = self._parts = await self.store.parts()
        self._granted = Granted(parts, self._vault, self._exchanger, self.provider, self.refreshes)
        self._recovering = asyncio.create_task(self._recover(), name="restpoint:recover_consents")
        return self

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End. An exchange that is still under way is given up: its consent is pending again, for another attempt."""
        self._closing = True
        tasks = [*self._under_way, *([self._recovering] if self._recovering is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._exchanger.close()

    async def _recover(self) -> None:
        parts = self._require()
        while True:
            try:
                if await consents.left_behind(parts.database):
                    await parts.database.write(consents.recover)
            except StoreClosed:
                return
            except Exception:
                log.exception("consents that were left behind could not be taken back; trying again")
            await asyncio.sleep(_RECOVER_EVERY)

    def _require(self) -> Parts:
        if self._parts is None:
            raise StoreClosed("The consents are not open; use: async with Consents(...)")
        return self._parts

    # --- For workflows ---

    def provider(self, name: str) -> Provider:
        """The provider of this name. Raises ``InvalidArgument``."""
        provider = self.providers.get(name)
        if provider is None:
            known = ", ".join(sorted(self.providers)) or "none"
            raise InvalidArgument(
                f"There is no provider {name!r} here; the providers are: {known}. Configure it (RESTPOINT_PROVIDERS_FILE) and "
                "start again."
            )
        return provider

    async def outcome(self, execution_id: str, consent_id: str) -> OAuthToken | RestpointError:
        """What a consent came to, which is over. Raises ``SealBroken`` where its token does not open."""
        return await self._granted.outcome(execution_id, consent_id)

    async def outcomes(self, execution_id: str) -> Mapping[str, OAuthToken | RestpointError]:
        """What each consent of an execution came to, of those that are over, with fresh tokens. Raises ``SealBroken``."""
        return await self._granted.outcomes(execution_id)

    async def authorization_endpoint(self, provider: Provider) -> str:
        """Where the provider asks people. Raises ``ProviderUnreachable`` and ``InvalidArgument``."""
        return (await self._exchanger.endpoints(provider)).authorization

    # --- Links ---

    def link(self, provider: str, execution_id: str, consent_id: str, person: str, here: str) -> str:
        """The address of the page with a ticket, for the eyes of that person only."""
        url = self.links.page_url(provider, execution_id, consent_id, here)
        return with_ticket(url, self.links.ticket(execution_id, consent_id, person, self.now))

    @property
    def now(self) -> int:
        """The store's time, in milliseconds since the epoch."""
        return self._require().clock.now()

    # --- Setting out ---

    async def find(self, execution_id: str, consent_id: str) -> Consent:
        """The consent. Raises ``ExecutionNotFound`` and ``InteractionNotFound``."""
        return await consents.find(self._require().database, execution_id, consent_id)

    def is_browser_of(self, consent: Consent, cookies: Mapping[str, str]) -> bool:
        """Whether it is the browser that set out the last time."""
        # By that one name: what has no prefix, a neighbouring host can set for this one (RFC 6265, section 8.6).
        cookie = cookies.get(cookie_name(consent.id, secure=on_https(consent.redirect_uri)))
        return bool(cookie) and compare_digest(_digest(cookie or ""), consent.browser_sha256 or b"")

    async def begin(self, consent: Consent, person: str, here: str) -> Departure:
        """Set out: a new state, verifier and browser in place of those before.

        ``here`` is where the routes are as the browser sees them. Raises ``ProviderUnreachable``, ``InvalidArgument``,
        ``ConsentExpired``, ``Conflict`` (someone else was faster) and ``IllegalTransition`` (it is over).
        """
        parts, provider = self._require(), self.provider(consent.provider)
        endpoints = await self._exchanger.endpoints(provider)
        redirect_uri = provider.redirect_uri or f"{self.links.public_url or here}{CALLBACK}"
        self._warn_of_mix_ups(provider, endpoints, redirect_uri)
        state, cookie, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        attempt = Attempt(
            person, _digest(state), _digest(cookie), self._vault.seal(verifier, *place(consent, "verifier")),
            redirect_uri, STATE_SECONDS * 1000,
        )  # fmt: skip
        await parts.database.write(partial(consents.begin, consent=consent, attempt=attempt))
        url = self._exchanger.authorization_url(provider, endpoints, consent.scopes, state, verifier, redirect_uri)
        return Departure(url, cookie, redirect_uri)

    def _warn_of_mix_ups(self, provider: Provider, endpoints: Endpoints, redirect_uri: str) -> None:
        """Of several providers, each has to be told from the others by what comes back (RFC 9700, section 4.4.2)."""
        own = f"{CALLBACK}/{provider.name}"
        if len(self.providers) == 1 or endpoints.sends_issuer or redirect_uri.endswith(own) or own in self._warned:
            return
        self._warned.add(own)
        log.warning(
            "the provider %s does not promise to send iss (RFC 9207), so another provider could pass for it: register the "
            "address that ends with %s there, and configure it as its redirect_uri",
            provider.name, own,
        )  # fmt: skip

    async def refuse(self, consent: Consent, person: str) -> None:
        """The person says no on our own page. Raises ``ConsentExpired``, ``Conflict`` and ``IllegalTransition``."""
        parts = self._require()
        await parts.database.write(partial(consents.deny, consent=consent, code="access_denied", actor=person))

    # --- Coming back ---

    async def arrive(self, callback: Callback) -> Arrival:
        """What came back from a provider, to its end. Raises ``StorageError`` and its kinds, with nothing changed."""
        arrival = await self._arrive(callback)
        self.callbacks[arrival.outcome] += 1
        if arrival.outcome not in {"granted", "denied"}:
            log.warning("a callback was not taken: %s", arrival.outcome)
        return arrival

    async def _arrive(self, callback: Callback) -> Arrival:
        told = callback.parameters
        if not told.get("state"):
            return Arrival("malformed")
        consent = await consents.find_by_state(self._require().database, _digest(told["state"]))
        if consent is None:
            return Arrival("forged")
        wrong = self._wrong_with(callback, consent)
        if wrong is not None:  # who does not come from the right browser is told nothing of the consent
            return Arrival(wrong, None if wrong.startswith("other_") else consent)
        return await self._from_the_provider(consent, told)

    async def _from_the_provider(self, consent: Consent, told: Mapping[str, str]) -> Arrival:
        """What the right browser brings, if it comes from the right provider."""
        try:
            provider = self.provider(consent.provider)
            endpoints = await self._exchanger.endpoints(provider)
        except (ProviderUnreachable, InvalidArgument) as error:
            return Arrival("failed", consent, str(error))
        if not _is_issuer(endpoints, told.get("iss"), self._issuers_but(provider)):
            return Arrival("wrong_issuer", consent)
        if "error" in told:
            return await self._refused(consent, told["error"])
        code = told.get("code")
        return await self._redeem(consent, provider, endpoints, code) if code else Arrival("malformed", consent)

    def _issuers_but(self, provider: Provider) -> set[str]:
        return {each.issuer for each in self.providers.values() if each.issuer is not None and each is not provider}

    def _wrong_with(self, callback: Callback, consent: Consent) -> Outcome | None:
        """Why a callback is not this consent's, as far as that can be seen here."""
        if consent.status not in OPEN:
            return "replayed"  # it has forgotten its browser
        now, deadline = self.now, consent.deadline_at
        checks: tuple[tuple[Outcome, bool], ...] = (
            ("other_browser", not self.is_browser_of(consent, callback.cookies)),
            ("other_person", callback.actor is not None and callback.actor != consent.begun_by),
            ("replayed", consent.verifier is None),
            ("wrong_address", not urlpath(consent.redirect_uri or "").endswith(callback.path)),
            ("expired", (consent.state_expires_at or 0) <= now or (deadline is not None and deadline <= now)),
        )
        return next((outcome for outcome, wrong in checks if wrong), None)

    async def _refused(self, consent: Consent, error: str) -> Arrival:
        """The provider says why there is no code. What it says is text of a stranger: only known forms are kept."""
        parts = self._require()
        code = error if _CODE.fullmatch(error) else "unknown_error"
        try:
            if code in _PASSING:
                await parts.database.write(partial(consents.spend, consent=consent))
                return Arrival("failed", consent, f"{consent.provider} says that it cannot do it now ({code}).")
            await parts.database.write(partial(consents.deny, consent=consent, code=code, actor=consent.begun_by))
        except ConsentExpired:
            return Arrival("expired", consent)
        except (Conflict, IllegalTransition):
            return Arrival("replayed", consent)
        return Arrival("denied", consent, code)

    async def _redeem(self, consent: Consent, provider: Provider, endpoints: Endpoints, code: str) -> Arrival:
        try:
            # Before anything is written: where the key is lost, the consent must stay as it is.
            verifier = self._vault.unseal(consent.verifier or "", *place(consent, "verifier"))
        except SealBroken as error:
            log.error("the callback of consent %s cannot be taken: %s", consent.id, error)  # noqa: TRY400 - says it all
            return Arrival("sealed", consent, str(error))
        if self._closing:
            return Arrival("failed", consent, "The server is going down; try again in a moment.")
        # A client that leaves, or a server that ends, must not leave the outcome unknown: this is a task of its own.
        task = asyncio.create_task(
            self._exchange(consent, provider, endpoints, code, verifier), name="restpoint:exchange"
        )
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)

    async def _exchange(
        self, consent: Consent, provider: Provider, endpoints: Endpoints, code: str, verifier: str
    ) -> Arrival:
        parts = self._require()
        try:
            await parts.database.write(partial(consents.redeem, consent=consent, lease=parts.lease))
        except ConsentExpired:
            return Arrival("expired", consent)
        except (Conflict, IllegalTransition):
            return Arrival("replayed", consent)
        except asyncio.CancelledError:
            await self._give_back(consent, "the server went down")
            raise
        try:
            reply = await self._exchanger.redeem(provider, endpoints, code, verifier, consent.redirect_uri or "")
        except ProviderUnreachable as error:
            await self._give_back(consent, "the provider could not be asked")
            return Arrival("failed", consent, str(error))
        except TokenRefused as error:
            log.warning("the provider %s refused a code: %s", provider.name, error.code)
            job = partial(consents.deny, consent=consent, code=error.code, actor=None, lease=parts.lease)
            return Arrival("denied" if await self._record(job) else "expired", consent, error.code)
        except asyncio.CancelledError:
            await self._give_back(consent, "the server went down")
            raise
        except Exception:
            await self._give_back(consent, "the exchange failed")
            raise
        token = stored(reply, consent.scopes, parts.clock.now())
        sealed = self._vault.seal(encode(token), *place(consent, "token"))
        granted = partial(
            consents.grant, consent=consent, lease=parts.lease, token=sealed, scopes=tuple(token["scopes"])
        )
        return Arrival("granted" if await self._record(granted) else "expired", consent)

    async def _give_back(self, consent: Consent, cause: str) -> None:
        await self._record(partial(consents.give_back, consent=consent, lease=self._require().lease, cause=cause))

    async def _record(self, job: Callable[[Transaction], None]) -> bool:
        """Write what an exchange came to; False where the consent was closed meanwhile. A full disk passes: try again."""
        parts = self._require()
        while True:
            try:
                await parts.database.write(job)
            except (Conflict, IllegalTransition, NotFound):
                return False
            except StorageError:
                if self._closing:  # whoever comes next takes it back, once this lease is gone
                    raise
                log.exception("the outcome of an exchange could not be written; trying again")
                await asyncio.sleep(_TRY_AGAIN)
            else:
                return True


def cookie_name(consent_id: str, *, secure: bool) -> str:
    """The cookie that binds a browser to a consent. With the prefix that only https can set, where there is https."""
    return f"{'__Host-' if secure else ''}restpoint-{sha256(consent_id.encode()).hexdigest()[:16]}"


def on_https(url: str | None) -> bool:
    """Whether an address is https."""
    return urlsplit(url or "").scheme == "https"


def urlpath(url: str) -> str:
    """The path of an address."""
    return urlsplit(url).path


def _digest(secret: str) -> bytes:
    return sha256(secret.encode()).digest()


def _is_issuer(endpoints: Endpoints, iss: str | None, others: Collection[str]) -> bool:
    """Whether a callback is the provider's that the person was sent to (RFC 9207, section 2.4), and not of the ``others``."""
    if iss is None:
        return not endpoints.sends_issuer
    return iss not in others if endpoints.issuer is None else compare_digest(iss.encode(), endpoints.issuer.encode())
