"""Signing in with a provider: the authorization code flow of OpenID Connect, from the sign-in page to a person.

State, PKCE, nonce, ``iss`` (RFC 9207) and redirect URI are checked as those of a consent (RFC 9700). What an attempt needs when
the browser comes back stands in a cookie of that browser, sealed for that attempt. So whoever only knocks writes nothing to
the file, an attempt goes on after a restart, and one that was begun in another browser is refused.
"""

import logging
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from restpoint import errors
from restpoint._core.clock import Clock
from restpoint._core.mail_addresses import check_address
from restpoint._core.serialization import decode, encode
from restpoint.access import Actor
from restpoint.oauth.callbacks import Callback
from restpoint.oauth.id_tokens import IDTokens, InvalidIDToken
from restpoint.oauth.keyring import Vault
from restpoint.oauth.provider_client import Endpoints, ProviderClient
from restpoint.oauth.providers import Provider, by_name, is_person
from restpoint.oauth.refusals import TokenRefused, read_refusal
from restpoint.oauth.signed_links import STATE_SECONDS, SignedLinks, cookie_name, on_https, urlpath

log = logging.getLogger(__name__)

_STATE: Final = "sign-in."
_PURPOSE: Final = "sign in"
_EMAIL: Final = "email"

Outcome = Literal[
    "known", "malformed", "begin_again", "wrong_issuer", "wrong_address", "denied", "unreachable", "not_set_up",
    "invalid_id_token", "not_allowed", "no_id",
]  # fmt: skip

_KINDS: Final[Mapping[str, Outcome]] = {"denied": "denied", "not_set_up": "not_set_up", "passing": "unreachable"}


@dataclass(frozen=True, slots=True)
class SignInRequest:
    """Where to send the browser, and the sealed ``cookie`` that it must present with the callback that has this ``state``."""

    url: str
    state: str
    cookie: str
    redirect_uri: str


@dataclass(frozen=True, slots=True)
class SignInResult:
    """What came of a callback. ``actor`` is set where the person may come in; ``next`` is where they wanted to go.

    ``mail`` is the mail address that the provider vouches for: empty where it vouches for none, and None where it could not be
    asked.
    """

    outcome: Outcome
    provider: Provider | None = None
    actor: Actor | None = None
    mail: str | None = None
    next: str = ""
    redirect_uri: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What the cookie of an attempt holds; ``begun_at`` is in milliseconds since the epoch."""

    provider: str
    nonce: str
    verifier: str
    next: str
    redirect_uri: str
    begun_at: int


@dataclass(frozen=True, slots=True)
class _Found:
    """What came of a check, as ``SignInResult`` has it."""

    outcome: Outcome
    actor: Actor | None = None
    problem: str = ""
    mail: str | None = None


def is_of_sign_in(state: str | None) -> bool:
    """Whether a callback is of somebody who signs in, and not of a consent."""
    return (state or "").startswith(_STATE)


class SignIn:
    """Signs people in with those of the providers that have ``sign_in``.

    ``timeout`` is the time limit of one request to a provider, in seconds. Raises ``InvalidArgument``.
    """

    def __init__(
        self, providers: Iterable[Provider], vault: Vault, links: SignedLinks, clock: Clock, *, timeout: float = 10.0
    ) -> None:
        known = by_name(providers)
        self.providers: Mapping[str, Provider] = {name: each for name, each in known.items() if each.sign_in}
        self.links = links
        self._all = tuple(known.values())
        self._vault = vault
        self._clock = clock
        self._client = ProviderClient(timeout)
        self._id_tokens = IDTokens(self._client)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def begin(self, provider: Provider, here: str, next_path: str) -> SignInRequest:
        """Begin an attempt to sign in, after which the person wants to go to ``next_path``.

        ``here`` is the base URL of the routes as the browser sees it. Raises ``ProviderUnreachable`` and ``InvalidArgument``.
        """
        endpoints = await self._client.endpoints(provider)
        redirect_uri = provider.redirect_uri or self.links.redirect_uri(here) or ""
        state, nonce, verifier = f"{_STATE}{secrets.token_urlsafe(32)}", *(secrets.token_urlsafe(32) for _ in range(2))
        url = self._client.authorization_url(
            provider, endpoints, provider.sign_in_scopes, state, verifier, redirect_uri, nonce
        )
        attempt = [provider.name, nonce, verifier, next_path, redirect_uri, self._clock.now()]
        sealed = self._vault.seal_token(encode(attempt), _PURPOSE, state)
        return SignInRequest(url, state, sealed, redirect_uri)

    async def complete(self, callback: Callback) -> SignInResult:
        """Check a callback, redeem its code, and say who it is."""
        attempt = self._attempt(callback)
        if attempt is None:
            return SignInResult("begin_again")
        provider = self.providers.get(attempt.provider)
        if provider is None:
            return SignInResult("begin_again", next=attempt.next)
        try:
            found = await self._check(callback, attempt, provider)
        except errors.ProviderUnreachable as error:
            log.warning("nobody can sign in with %s: %s", provider.name, error)
            found = _Found("unreachable", problem=str(error))
        except errors.InvalidArgument as error:
            found = _Found("not_set_up", problem=str(error))
        if found.outcome == "not_set_up":
            log.error("nobody can sign in with %s: %s; run: restpoint providers check", provider.name, found.problem)
        return SignInResult(
            found.outcome, provider, found.actor, found.mail, attempt.next, attempt.redirect_uri, found.problem
        )

    def _attempt(self, callback: Callback) -> _Attempt | None:
        """The attempt that this browser began with this state; None if it did not, or too long ago."""
        state = callback.parameters.get("state", "")
        for secure in (True, False):
            sealed = callback.cookies.get(cookie_name(state, secure=secure))
            if not sealed:
                continue
            try:
                attempt = _Attempt(*decode(self._vault.unseal_token(sealed, _PURPOSE, state)))
            except (errors.SealBroken, TypeError, ValueError):
                continue
            # Over https only the name with the prefix counts: a neighbouring host can set the other one (RFC 6265, 8.6).
            is_current = 0 <= self._clock.now() - attempt.begun_at <= STATE_SECONDS * 1000
            if is_current and on_https(attempt.redirect_uri) is secure:
                return attempt
        return None

    async def _check(self, callback: Callback, attempt: _Attempt, provider: Provider) -> _Found:
        parameters = callback.parameters
        if not urlpath(attempt.redirect_uri).endswith(callback.path):
            return _Found("wrong_address")
        endpoints = await self._client.endpoints(provider)
        if not endpoints.has_issuer(parameters.get("iss"), {each.issuer for each in self._all if each is not provider}):
            return _Found("wrong_issuer")
        if parameters.get("error"):
            refusal = read_refusal(parameters["error"], parameters.get("error_description"), [parameters["state"]])
            return _Found(_KINDS[refusal.kind], problem=str(refusal))
        if not parameters.get("code"):
            return _Found("malformed")
        return await self._redeem(parameters["code"], attempt, provider, endpoints)

    async def _redeem(self, code: str, attempt: _Attempt, provider: Provider, endpoints: Endpoints) -> _Found:
        try:
            reply = await self._client.redeem(provider, endpoints, code, attempt.verifier, attempt.redirect_uri)
        except TokenRefused as refused:
            # A code that was redeemed before is nobody's fault: the page was loaded again.
            is_used = refused.refusal.code == "invalid_grant"
            return _Found("begin_again" if is_used else _KINDS[refused.refusal.kind], problem=str(refused.refusal))
        try:
            now = self._clock.now() / 1000
            claims = await self._id_tokens.claims(provider, endpoints, reply.id_token, attempt.nonce, now)
        except InvalidIDToken as wrong:
            log.warning("the ID token of the provider %s is refused: %s", provider.name, wrong)
            return _Found("invalid_id_token", problem=str(wrong))
        found = self._person(provider, claims)
        if found.outcome != "known":
            return found
        return replace(found, mail=await self._mail(provider, endpoints, claims, reply.access_token))

    def _person(self, provider: Provider, claims: Mapping[str, Any]) -> _Found:
        """Return whom the claims are about, and whether they may come in."""
        name = claims.get(provider.sign_in_claim)
        if provider.sign_in_claim == "email" and isinstance(name, str):
            name = name.lower()  # however it is spelled, one mailbox is one person, with one vote
        person = f"{provider.sign_in_prefix}{name}" if isinstance(name, str) and name else ""
        others = [each.sign_in_prefix for each in self.providers.values() if each is not provider]
        if provider.sign_in_claim == _EMAIL and not _is_verified(claims):
            return _Found("no_id", problem="the e-mail address is not verified at the provider (email_verified)")
        if not is_person(person) or any(each and person.startswith(each) for each in others):
            return _Found("no_id", problem=f"the claim {provider.sign_in_claim} is missing, or can be nobody's id here")
        groups = _names(_found(claims, provider.sign_in_groups_claim)) if provider.sign_in_groups_claim else frozenset()
        roles = frozenset(role for role, named in provider.sign_in_roles.items() if groups.intersection(named))
        actor = Actor(person, groups=groups, roles=roles)
        for claim, wanted in provider.sign_in_required.items():
            if wanted not in _names(_found(claims, claim)):
                return _Found("not_allowed", actor, f"the claim {claim} is not as sign_in_required has it")
        return _Found("known", actor)

    async def _mail(
        self, provider: Provider, endpoints: Endpoints, claims: Mapping[str, Any], access_token: str
    ) -> str | None:
        """The mail address of somebody who may come in, as ``SignInResult`` has it.

        The provider is asked where the ID token has no such claim: where it gives out an access token as well, a provider need
        not repeat in the ID token what the scopes ask for (OpenID Connect Core, section 5.4).
        """
        claim = provider.sign_in_address_claim
        if claim is None:
            return ""
        if _found(claims, claim) is None and endpoints.userinfo is not None:
            try:
                told = await self._client.userinfo(provider, endpoints, access_token)
            except errors.ProviderUnreachable as error:
                log.warning("the mail address of somebody who signed in with %s is unknown: %s", provider.name, error)
                return None
            if told.get("sub") != claims["sub"]:  # OpenID Connect Core, section 5.3.2: then it must not be used
                log.warning("the provider %s was asked for claims, and told those of another person", provider.name)
                return None
            claims = told
        address = _found(claims, claim)
        if not isinstance(address, str) or (claim == _EMAIL and not _is_verified(claims)):
            return ""
        try:
            return check_address(address)
        except ValueError:
            return ""


def _is_verified(claims: Mapping[str, Any]) -> bool:
    return claims.get("email_verified") is True


def _found(claims: Mapping[str, Any], name: str) -> Any:
    """The claim of this name, or what is found at this path with a dot before each next member."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for key in name.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _names(value: Any) -> frozenset[str]:
    """The texts of a claim that is a text or a list; such that cannot be a name of a group are left out."""
    listed = value if isinstance(value, list) else [value]
    return frozenset(
        each for each in listed if isinstance(each, str) and each.strip() == each and each.isprintable() and each
    )
