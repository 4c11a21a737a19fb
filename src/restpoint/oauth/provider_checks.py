"""Checks of how providers are configured, before the first person needs one: at start, and by ``restpoint providers check``.

``check_metadata`` reads the metadata, and asks nothing else of the provider. ``check_endpoints`` also sends the requests of a
consent, as far as they go without a person: an authorization request that nobody follows, and a made-up code, which a provider
refuses only after it has accepted the client. Neither message contains a secret.
"""

import logging
import re
import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

from restpoint.errors import InvalidArgument, ProviderUnreachable
from restpoint.oauth.provider_client import Endpoints, ProviderClient, read_endpoints
from restpoint.oauth.providers import CALLBACK, Provider
from restpoint.oauth.refusals import TokenRefused, one_line, read_refusal

log = logging.getLogger(__name__)

Verdict = Literal["ok", "note", "unreachable", "wrong"]

_BAD_CODE: Final = frozenset({"invalid_grant", "bad_verification_code", "invalid_code"})  # the last two: GitHub, Slack
_CODE: Final = "restpoint-providers-check"
_ENTRA_ERROR: Final = re.compile(r"AADSTS\d{4,8}[^<\"\r\n]{0,300}")
_REFUSED, _SERVER_ERROR = 400, 500


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found. ``subject`` is what was checked; ``text`` says what is wrong and what to do."""

    provider: str
    subject: Literal[
        "metadata", "redirect URI", "scopes", "PKCE", "response mode", "authorization endpoint", "token endpoint"
    ]
    verdict: Verdict
    text: str


async def check_metadata(
    client: ProviderClient, provider: Provider, redirect_uri: str | None, others: Collection[str] = ()
) -> tuple[list[Finding], Endpoints | None]:
    """Check a provider by its configuration and metadata; return its endpoints too, or None if they are not known.

    ``redirect_uri`` is None if it depends on the request. ``others`` are the names of the other providers.
    """
    name, metadata = provider.name, None
    try:
        if provider.token_endpoint is None:
            metadata = await client.metadata(provider)
            endpoints = read_endpoints(provider, metadata)
        else:
            endpoints = await client.endpoints(provider)
    except InvalidArgument as error:
        return [Finding(name, "metadata", "wrong", str(error))], None
    except ProviderUnreachable as error:
        return [Finding(name, "metadata", "unreachable", _unreachable(provider, error))], None
    places = f"The endpoints are {endpoints.authorization} and {endpoints.token}"
    how = "by configuration" if metadata is None else "by the metadata"
    found = [
        Finding(name, "metadata", "ok", f"{places} ({how}); the client authenticates by {endpoints.auth_method}."),
        *_redirect_uri(provider, endpoints, redirect_uri, others),
    ]
    return [*found, *_abilities(provider, metadata or {})], endpoints


async def log_problems(client: ProviderClient, providers: Collection[Provider], redirect_uri: str | None) -> None:
    """Log what is wrong with the configuration of each provider. ``redirect_uri`` is that of providers without their own."""
    for provider in providers:
        others = {each.name for each in providers} - {provider.name}
        try:
            found, _ = await check_metadata(client, provider, provider.redirect_uri or redirect_uri, others)
        except Exception:
            log.exception("the provider %s could not be checked", provider.name)
            continue
        for finding in found:
            if finding.verdict in {"wrong", "unreachable"}:
                level = logging.ERROR if finding.verdict == "wrong" else logging.WARNING
                log.log(level, "the provider %s, %s: %s", finding.provider, finding.subject, finding.text)


async def check_endpoints(
    client: ProviderClient, provider: Provider, endpoints: Endpoints, redirect_uri: str
) -> list[Finding]:
    """Send the requests of a consent, as far as they go without a person."""
    return [
        await _authorization(client, provider, endpoints, redirect_uri),
        await _token(client, provider, endpoints, redirect_uri),
    ]


def mix_up_risk(provider: Provider, endpoints: Endpoints, redirect_uri: str, others: Collection[str]) -> str | None:
    """Return what to do if a callback cannot be attributed to one of several providers; None if it can.

    Another provider could then impersonate this one (mix-up attack, RFC 9700, section 4.4.2).
    """
    own = f"{CALLBACK}/{provider.name}"
    if not others or endpoints.sends_issuer or redirect_uri.endswith(own):
        return None
    return (
        f"The provider {provider.name} does not promise to send iss (RFC 9207), so another provider could impersonate it: "
        f"register a redirect URI that ends with {own} there, and configure it as its redirect_uri."
    )


def _unreachable(provider: Provider, error: ProviderUnreachable) -> str:
    where = provider.issuer or provider.token_endpoint
    return f"{error} Look at whether {where} is the right address, and whether this machine may reach it."


def _redirect_uri(
    provider: Provider, endpoints: Endpoints, redirect_uri: str | None, others: Collection[str]
) -> Iterable[Finding]:
    name: Final = provider.name
    if redirect_uri is None:
        text = f"It depends on the address of each request: register ADDRESS{CALLBACK}, or give --public-url."
        yield Finding(name, "redirect URI", "note", text)
        return
    yield Finding(name, "redirect URI", "ok", f"Register exactly this one there: {redirect_uri}")
    if risk := mix_up_risk(provider, endpoints, redirect_uri, others):
        yield Finding(name, "redirect URI", "note", risk)


def _abilities(provider: Provider, metadata: dict[str, Any]) -> Iterable[Finding]:
    """Compare the configuration with what the metadata name (RFC 8414, section 2). A list that is missing says nothing."""
    name = provider.name
    scopes = _listed(metadata, "scopes_supported")
    if scopes and (unknown := [each for each in provider.scopes if each not in scopes]):
        text = (
            f"The metadata do not name {', '.join(unknown)}; if the provider answers invalid_scope, correct its scopes."
        )
        yield Finding(name, "scopes", "note", text)
    if "offline_access" in scopes and provider.scopes and "offline_access" not in provider.scopes:
        text = "offline_access is not among them, so there may be no refresh token: a token is of use until it expires."
        yield Finding(name, "scopes", "note", text)
    methods = _listed(metadata, "code_challenge_methods_supported")
    if provider.pkce and methods and "S256" not in methods:
        text = "The metadata do not name PKCE with S256; if the provider refuses it, set pkce = false."
        yield Finding(name, "PKCE", "note", text)
    modes = _listed(metadata, "response_modes_supported")
    if provider.response_mode is not None and modes and provider.response_mode not in modes:
        text = f"The metadata do not name {provider.response_mode}, but {one_line(', '.join(modes))}; correct response_mode."
        yield Finding(name, "response mode", "wrong", text)


def _listed(metadata: dict[str, Any], key: str) -> list[str]:
    value = metadata.get(key)
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


async def _authorization(
    client: ProviderClient, provider: Provider, endpoints: Endpoints, redirect_uri: str
) -> Finding:
    """Send an authorization request that nobody follows. Providers show an error in it to the person, in words of their own."""

    def found(verdict: Verdict, text: str) -> Finding:
        return Finding(provider.name, "authorization endpoint", verdict, text)

    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    url = client.authorization_url(provider, endpoints, provider.scopes, state, verifier, redirect_uri)
    try:
        reply = await client.get(provider, url)
    except ProviderUnreachable as error:
        return found("unreachable", _unreachable(provider, error))
    location = reply.headers.get("location", "")
    told = dict(reply.url.copy_with(query=location.partition("?")[2].encode()).params) if location else {}
    entra = _ENTRA_ERROR.search(reply.text)
    if location.startswith(redirect_uri) and "error" in told:
        refusal = read_refusal(told["error"], told.get("error_description"))
        return found("wrong", f"It answered {refusal}. Correct what it names, here or in the provider's registration.")
    if reply.status_code >= _SERVER_ERROR:
        return found("unreachable", f"It answered {reply.status_code}; try again later.")
    if reply.status_code >= _REFUSED or entra is not None or "/oauth/error" in location:
        said = f" ({one_line(entra[0])})" if entra is not None else ""
        return found(
            "wrong",
            f"It refused with {reply.status_code}{said} a request of the client {provider.client_id} with the redirect URI "
            f"{redirect_uri}. Open the address of the authorization request in a browser to read why; most often the client_id "
            "is wrong, or exactly this redirect URI is not registered there.",
        )
    return found(
        "ok", f"It answered {reply.status_code}. Some providers tell only a signed-in person of a wrong redirect URI."
    )


async def _token(client: ProviderClient, provider: Provider, endpoints: Endpoints, redirect_uri: str) -> Finding:
    """Try to redeem a code that does not exist."""

    def found(verdict: Verdict, text: str) -> Finding:
        return Finding(provider.name, "token endpoint", verdict, text)

    try:
        await client.redeem(provider, endpoints, _CODE, secrets.token_urlsafe(32), redirect_uri)
    except ProviderUnreachable as error:
        return found("unreachable", _unreachable(provider, error))
    except TokenRefused as error:
        refusal = error.refusal
    else:
        return found("note", "It gave a token for a code that does not exist.")
    if refusal.code in _BAD_CODE:
        return found("ok", f"It accepted the client, and refused a made-up code with {refusal.code}.")
    if refusal.kind == "not_set_up" and refusal.code != "invalid_request":
        return found("wrong", f"It answered {refusal}. Correct the client_id, the client secret or the token_endpoint.")
    return found("note", f"It refused a made-up code with {refusal}, which may say nothing of the client.")
