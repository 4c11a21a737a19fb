"""The OAuth flow of a consent: from its page, through the provider, to a sealed token.

This is the authorization code flow with PKCE (RFC 6749, RFC 7636) and the checks of RFC 9700: a state is used once and is
bound to the browser and the person that started the attempt, ``iss`` is compared if the provider sends it (RFC 9207), and
redirect URIs match exactly. All state that must survive is a row of ``consents``, so the callback may reach another process,
or come after a restart. Authlib implements the protocol.

A callback is checked before anything is written, so a forged one changes nothing; ``callbacks`` counts it. The exchange of a
code runs between two writes, so a code is never sent twice, whatever happens to the exchange.
"""

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from hashlib import sha256
from hmac import compare_digest
from typing import Final, Self

from restpoint import errors
from restpoint._core.oauth_token import OAuthToken
from restpoint._core.serialization import encode
from restpoint._storage import Consent, Transaction, consents
from restpoint._store.open_file import OpenFile
from restpoint._store.store import ExecutionStore
from restpoint.lifecycle import OPEN
from restpoint.oauth.callbacks import AuthorizationRequest, Callback, CallbackResult, Outcome
from restpoint.oauth.keyring import Vault
from restpoint.oauth.provider_checks import log_problems, mix_up_risk
from restpoint.oauth.provider_client import Endpoints, ProviderClient
from restpoint.oauth.providers import Provider, by_name
from restpoint.oauth.refusals import Refusal, TokenRefused, read_refusal
from restpoint.oauth.signed_links import STATE_SECONDS, SignedLinks, cookie_name, on_https, urlpath, with_ticket
from restpoint.oauth.tokens import TokenStore, associated_data, token_data

log = logging.getLogger(__name__)

_RECOVER_INTERVAL: Final = 1.0  # seconds
_RETRY_DELAY: Final = 1.0  # seconds, after the storage failed


class Consents:
    """Drives the consents of a store.

    - ``providers`` are the OAuth providers that workflows may name, and ``vault`` seals their tokens.
    - ``public_url`` is the base URL of the routes as browsers see it, such as ``https://approvals.example.com``. By default it
      is taken from the request that asks for a link.
    - ``address`` is the base URL at which this process listens, for links that no request asks for.
    - ``timeout`` is the time limit of one request to a provider, in seconds.

    Use it as ``async with`` around the runner that gets it. Raises ``InvalidArgument``.
    """

    def __init__(
        self,
        store: ExecutionStore,
        providers: Iterable[Provider],
        vault: Vault,
        *,
        public_url: str | None = None,
        address: str | None = None,
        timeout: float = 10.0,
    ) -> None:
        self.store = store
        self.providers: Mapping[str, Provider] = by_name(providers)
        self.callbacks: Counter[str] = Counter()
        """The number of callbacks by outcome."""
        self.refreshes: Counter[str] = Counter()
        """The number of token refreshes by outcome: ``done``, ``refused`` or ``failed``."""
        self._vault = vault
        self.links = SignedLinks(vault, self.providers, public_url, address)
        self._client = ProviderClient(timeout)
        self._file: OpenFile | None = None
        self._tokens: TokenStore
        self._exchanges: set[asyncio.Task[CallbackResult]] = set()
        self._background: list[asyncio.Task[None]] = []
        self._closing = False
        self._warned: set[str] = set()

    # --- Opening and closing ---

    async def open(self) -> Self:
        """Check the providers, and reset consents whose exchange a dead process left unfinished, both in the background.

        A provider that is wrong or not reached is told in the log, and stops nothing: the others may be right.
        """
        file = await self.store.file()
        with suppress(errors.StorageFull):  # which the storage logs; ``_recover`` takes it once there is room
            await file.take_lease()
        self._file = file
        self._tokens = TokenStore(file, self._vault, self._client, self.provider, self.refreshes)
        self._background = [
            asyncio.create_task(self._recover(), name="restpoint:recover_consents"),
            asyncio.create_task(log_problems(self._client, self.providers.values(), self.links.redirect_uri())),
        ]
        return self

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop. A running exchange is cancelled and its consent is pending again, for another attempt."""
        self._closing = True
        for task in (tasks := [*self._exchanges, *self._background]):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._file is not None:
            await self._tokens.close()
        await self._client.close()

    async def _recover(self) -> None:
        file = self._require()
        while True:
            try:
                await file.take_lease()
                if await consents.left_behind(file.database):
                    await file.database.write(consents.recover)
            except errors.StoreClosed:
                return
            except errors.StorageFull:
                pass  # the storage logs it
            except Exception:
                log.exception("unfinished consents of dead processes could not be reset; trying again")
            await asyncio.sleep(_RECOVER_INTERVAL)

    def _require(self) -> OpenFile:
        if self._file is None:
            raise errors.StoreClosed("The consents are not open. Use: async with Consents(...)")
        return self._file

    # --- For workflows ---

    def provider(self, name: str) -> Provider:
        """Return the provider of this name. Raises ``InvalidArgument``."""
        provider = self.providers.get(name)
        if provider is None:
            known = ", ".join(sorted(self.providers)) or "none"
            raise errors.InvalidArgument(
                f"There is no provider {name!r} here; the providers are: {known}. Configure it (RESTPOINT_PROVIDERS_FILE) and "
                "restart."
            )
        return provider

    async def outcome(self, execution_id: str, consent_id: str) -> OAuthToken | errors.RestpointError:
        """Return the token or the error of a closed consent. Raises ``SealBroken`` if the token does not open."""
        return await self._tokens.outcome(execution_id, consent_id)

    async def outcomes(self, execution_id: str) -> Mapping[str, OAuthToken | errors.RestpointError]:
        """Return the token or the error of each closed consent, by id; expired tokens are refreshed. Raises ``SealBroken``."""
        return await self._tokens.outcomes(execution_id)

    async def authorization_endpoint(self, provider: Provider) -> str:
        """Return the authorization endpoint. Raises ``ProviderUnreachable`` and ``InvalidArgument``."""
        return (await self._client.endpoints(provider)).authorization

    # --- Links ---

    def link(self, provider: str, execution_id: str, consent_id: str, person: str, here: str) -> str:
        """Return the URL of the consent's page with a ticket. Show it to that person only."""
        url = self.links.page_url(provider, execution_id, consent_id, here)
        return with_ticket(url, self.links.ticket(execution_id, consent_id, person, self.now))

    @property
    def now(self) -> int:
        """The time of the store's clock, in milliseconds since the epoch."""
        return self._require().clock.now()

    # --- The authorization request ---

    async def find(self, execution_id: str, consent_id: str) -> Consent:
        """Return the consent. Raises ``ExecutionNotFound`` and ``InteractionNotFound``."""
        return await consents.find(self._require().database, execution_id, consent_id)

    def is_browser_of(self, consent: Consent, cookies: Mapping[str, str]) -> bool:
        """Whether the browser with these cookies started the latest attempt."""
        # Accept the prefixed name only over https: a neighbouring host can set a cookie without the prefix (RFC 6265, 8.6).
        cookie = cookies.get(cookie_name(consent.id, secure=on_https(consent.redirect_uri)))
        return bool(cookie) and compare_digest(_digest(cookie or ""), consent.browser_sha256 or b"")

    async def begin(self, consent: Consent, person: str, here: str) -> AuthorizationRequest:
        """Start an attempt, with a new state, verifier and cookie that replace those of the attempt before.

        ``here`` is the base URL of the routes as the browser sees it. Raises ``ProviderUnreachable``, ``InvalidArgument``,
        ``ConsentExpired``, ``Conflict`` (another attempt was faster) and ``IllegalTransition`` (the consent is closed).
        """
        file, provider = self._require(), self.provider(consent.provider)
        endpoints = await self._client.endpoints(provider)
        redirect_uri = provider.redirect_uri or self.links.redirect_uri(here) or ""
        self._warn_about_mix_up(provider, endpoints, redirect_uri)
        state, cookie, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        attempt = consents.Attempt(
            person, _digest(state), _digest(cookie), self._vault.seal(verifier, *associated_data(consent, "verifier")),
            redirect_uri, STATE_SECONDS * 1000,
        )  # fmt: skip
        await file.database.write(partial(consents.begin, consent=consent, attempt=attempt))
        url = self._client.authorization_url(provider, endpoints, consent.scopes, state, verifier, redirect_uri)
        return AuthorizationRequest(url, cookie, redirect_uri)

    def _warn_about_mix_up(self, provider: Provider, endpoints: Endpoints, redirect_uri: str) -> None:
        risk = mix_up_risk(provider, endpoints, redirect_uri, set(self.providers) - {provider.name})
        if risk is not None and provider.name not in self._warned:
            self._warned.add(provider.name)
            log.warning("%s", risk)

    async def deny(self, consent: Consent, person: str) -> None:
        """Record that the person said no on our page. Raises ``ConsentExpired``, ``Conflict`` and ``IllegalTransition``."""
        file = self._require()
        await file.database.write(partial(consents.deny, consent=consent, code="access_denied", actor=person))

    # --- The callback ---

    async def handle_callback(self, callback: Callback) -> CallbackResult:
        """Check a callback and exchange its code. Raises ``StorageError`` and its subclasses, with nothing changed."""
        result = await self._handle(callback)
        self.callbacks[result.outcome] += 1
        if result.outcome not in {"granted", "denied"}:
            log.warning("a callback was rejected: %s", result.outcome)
        return result

    async def _handle(self, callback: Callback) -> CallbackResult:
        parameters = callback.parameters
        if not parameters.get("state"):
            return CallbackResult("malformed")
        consent = await consents.find_by_state(self._require().database, _digest(parameters["state"]))
        if consent is None:
            return CallbackResult("forged")
        wrong = self._rejection(callback, consent)
        if wrong is not None:  # another browser must learn nothing about the consent
            return CallbackResult(wrong, None if wrong.startswith("other_") else consent)
        return await self._accept(consent, parameters)

    async def _accept(self, consent: Consent, parameters: Mapping[str, str]) -> CallbackResult:
        """Go on with a callback of the right browser, if it is of the right provider."""
        try:
            provider = self.provider(consent.provider)
            endpoints = await self._client.endpoints(provider)
        except errors.ProviderUnreachable as error:
            return CallbackResult("failed", consent, str(error))
        except errors.InvalidArgument as error:
            log.error("a callback of consent %s was not handled: %s", consent.id, error)  # noqa: TRY400 - no traceback
            return CallbackResult("not_set_up", consent)
        others = {each.issuer for each in self.providers.values() if each is not provider}
        if not endpoints.has_issuer(parameters.get("iss"), others):
            return CallbackResult("wrong_issuer", consent)
        if parameters.get("error"):
            return await self._refused(consent, provider, parameters)
        code = parameters.get("code")
        return await self._redeem(consent, provider, endpoints, code) if code else CallbackResult("malformed", consent)

    def _rejection(self, callback: Callback, consent: Consent) -> Outcome | None:
        """Return why a callback does not belong to this consent; None if it may."""
        if consent.status not in OPEN:
            return "replayed"  # a closed consent no longer has the digest of its cookie
        now, deadline = self.now, consent.deadline_at
        checks: tuple[tuple[Outcome, bool], ...] = (
            ("other_browser", not self.is_browser_of(consent, callback.cookies)),
            ("other_person", callback.actor is not None and callback.actor != consent.begun_by),
            ("replayed", consent.verifier is None),
            ("wrong_address", not urlpath(consent.redirect_uri or "").endswith(callback.path)),
            ("expired", (consent.state_expires_at or 0) <= now or (deadline is not None and deadline <= now)),
        )
        return next((outcome for outcome, wrong in checks if wrong), None)

    async def _refused(self, consent: Consent, provider: Provider, parameters: Mapping[str, str]) -> CallbackResult:
        """Record an error response of the provider's authorization endpoint (RFC 6749, section 4.1.2.1)."""
        file = self._require()
        refusal = read_refusal(parameters["error"], parameters.get("error_description"), [parameters["state"]])
        try:
            if refusal.kind == "denied":
                job = partial(consents.deny, consent=consent, code=refusal.code, actor=consent.begun_by)
                await file.database.write(job)
                return CallbackResult("denied", consent, refusal.code)
            await file.database.write(partial(consents.spend, consent=consent))
        except errors.ConsentExpired:
            return CallbackResult("expired", consent)
        except (errors.Conflict, errors.IllegalTransition):
            return CallbackResult("replayed", consent)
        return _kept_open(consent, provider, refusal)

    async def _redeem(self, consent: Consent, provider: Provider, endpoints: Endpoints, code: str) -> CallbackResult:
        try:
            # Decrypt before anything is written: if the key is lost, the consent must not change.
            verifier = self._vault.unseal(consent.verifier or "", *associated_data(consent, "verifier"))
        except errors.SealBroken as error:
            log.error("the callback of consent %s was not handled: %s", consent.id, error)  # noqa: TRY400 - no traceback
            return CallbackResult("sealed", consent, str(error))
        if self._closing:
            return CallbackResult("failed", consent, "The server is shutting down; try again in a moment.")
        # The exchange is a task of its own, so that a client that disconnects cannot leave its outcome unknown.
        task = asyncio.create_task(
            self._exchange(consent, provider, endpoints, code, verifier), name="restpoint:exchange"
        )
        self._exchanges.add(task)
        task.add_done_callback(self._exchanges.discard)
        return await asyncio.shield(task)

    async def _exchange(
        self, consent: Consent, provider: Provider, endpoints: Endpoints, code: str, verifier: str
    ) -> CallbackResult:
        file = self._require()
        try:
            await file.database.write(partial(consents.redeem, consent=consent, lease=file.lease))
        except errors.ConsentExpired:
            return CallbackResult("expired", consent)
        except (errors.Conflict, errors.IllegalTransition):
            return CallbackResult("replayed", consent)
        except asyncio.CancelledError:
            await self._give_back(consent, "the server went down")
            raise
        try:
            reply = await self._client.redeem(provider, endpoints, code, verifier, consent.redirect_uri or "")
        except errors.ProviderUnreachable as error:
            await self._give_back(consent, "the provider could not be asked")
            return CallbackResult("failed", consent, str(error))
        except TokenRefused as error:
            code = error.refusal.code
            if error.refusal.kind != "denied":
                await self._give_back(consent, f"the provider refused the code: {code}")
                return _kept_open(consent, provider, error.refusal)
            job = partial(consents.deny, consent=consent, code=code, actor=None, lease=file.lease)
            return CallbackResult("denied" if await self._record(job) else "expired", consent, code)
        except asyncio.CancelledError:
            await self._give_back(consent, "the server went down")
            raise
        except Exception:
            await self._give_back(consent, "the exchange failed")
            raise
        token = token_data(reply, consent.scopes, file.clock.now())
        sealed = self._vault.seal(encode(token), *associated_data(consent, "token"))
        granted = partial(
            consents.grant, consent=consent, lease=file.lease, token=sealed, scopes=tuple(token["scopes"])
        )
        return CallbackResult("granted" if await self._record(granted) else "expired", consent)

    async def _give_back(self, consent: Consent, cause: str) -> None:
        await self._record(partial(consents.give_back, consent=consent, lease=self._require().lease, cause=cause))

    async def _record(self, job: Callable[[Transaction], None]) -> bool:
        """Write the outcome of an exchange; return False if the consent was closed meanwhile. Retry while the storage fails."""
        file = self._require()
        while True:
            try:
                await file.database.write(job)
            except (errors.Conflict, errors.IllegalTransition, errors.NotFound):
                return False
            except errors.StorageError:
                if self._closing:  # the next process resets the consent when this lease has ended
                    raise
                log.exception("the outcome of an exchange could not be written; trying again")
                await asyncio.sleep(_RETRY_DELAY)
            else:
                return True


def _kept_open(consent: Consent, provider: Provider, refusal: Refusal) -> CallbackResult:
    """Tell the operator of an error that is nobody's refusal. The person may try again."""
    if refusal.kind == "not_set_up":
        text = "consent %s stays open: the provider %s refuses how it is configured here: %s; run: restpoint providers check"
        log.error(text, consent.id, provider.name, refusal)
        return CallbackResult("not_set_up", consent)
    log.warning("the provider %s gave no token, and the consent %s stays open: %s", provider.name, consent.id, refusal)
    return CallbackResult("failed", consent, f"The provider {provider.shown} answered with the error {refusal.code}.")


def _digest(secret: str) -> bytes:
    return sha256(secret.encode()).digest()
