"""The client of an OAuth provider: its metadata, the authorization request, the exchange of a code, and the refresh.

Authlib implements the protocol and httpx sends the requests. Redirects are not followed, and answers are limited in time and
size. The message of an exception contains nothing that was sent or received, except an OAuth error code of the known form.
"""

import asyncio
import json
import re
import time
import zlib
from base64 import b64encode
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hmac import compare_digest
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote_plus, urlencode

from restpoint.errors import InvalidArgument, ProviderUnreachable
from restpoint.oauth.providers import AuthMethod, Provider, check_url
from restpoint.oauth.refusals import one_line
from restpoint.oauth.token_replies import TokenReply, read_reply

if TYPE_CHECKING:
    import httpx

_METADATA_SECONDS: Final = 3600.0
_MAX_BYTES: Final = 256 * 1024
_WELL_KNOWN: Final = ("openid-configuration", "oauth-authorization-server")
_OK, _SERVER_ERROR = 200, 500
_TENANT: Final = "{tenantid}"
_TENANTS: Final = r"[0-9A-Za-z.-]{1,100}"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The endpoints of a provider. ``sends_issuer`` says whether its callbacks have ``iss`` (RFC 9207).

    ``keys`` is the address of the keys that it signs ID tokens with, where it signs people in, and ``userinfo`` where it says
    more of them (OpenID Connect Core, section 5.3).
    """

    authorization: str
    token: str
    auth_method: AuthMethod
    issuer: str | None = None
    sends_issuer: bool = False
    keys: str | None = None
    userinfo: str | None = None

    def has_issuer(self, iss: str | None, others: Collection[str | None]) -> bool:
        """Whether a callback with ``iss`` is of this provider (RFC 9207, section 2.4). ``others`` are the other issuers."""
        if iss is None:
            return not self.sends_issuer
        if self.issuer is None:
            return iss not in others
        if _TENANT in self.issuer:
            return re.fullmatch(re.escape(self.issuer).replace(re.escape(_TENANT), _TENANTS), iss) is not None
        return compare_digest(iss.encode(), self.issuer.encode())


class ProviderClient:
    """Sends requests to providers. ``timeout`` is the time limit of one whole request, in seconds."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._http: httpx.AsyncClient | None = None
        self._known: dict[str, tuple[float, Endpoints]] = {}

    async def close(self) -> None:
        """Close the connections."""
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    # --- Metadata ---

    async def endpoints(self, provider: Provider) -> Endpoints:
        """Return the configured endpoints, or those of the provider's metadata, which are cached for an hour.

        Raises ``ProviderUnreachable``, and ``InvalidArgument`` if the metadata are of another issuer or incomplete.
        """
        secret = provider.client_secret is not None
        if provider.authorization_endpoint is not None and provider.token_endpoint is not None:
            method = provider.token_endpoint_auth_method or ("client_secret_basic" if secret else "none")
            issuer = provider.metadata_issuer or provider.issuer
            return Endpoints(provider.authorization_endpoint, provider.token_endpoint, method, issuer)
        read_at, known = self._known.get(provider.name, (0.0, None))
        if known is not None and time.monotonic() - read_at < _METADATA_SECONDS:
            return known
        found = read_endpoints(provider, await self.metadata(provider))
        self._known[provider.name] = time.monotonic(), found
        return found

    async def metadata(self, provider: Provider) -> dict[str, Any]:
        """Read the metadata at the provider's issuer. Raises ``ProviderUnreachable``."""
        from authlib.oauth2.rfc8414 import get_well_known_url

        issuer = provider.issuer or ""
        # OpenID Connect Discovery appends the well-known path to the path of the issuer; RFC 8414 puts it in front.
        places = (
            f"{issuer.rstrip('/')}/.well-known/{_WELL_KNOWN[0]}",
            get_well_known_url(issuer, external=True, suffix=_WELL_KNOWN[1]),
        )
        for place in places:
            reply = await self._send(provider.shown, "GET", place, {"accept": "application/json"}, None)
            if reply.status_code == _OK:
                try:
                    metadata = json.loads(reply.content)
                except (ValueError, RecursionError):
                    continue
                if isinstance(metadata, dict):
                    return metadata
            elif reply.status_code >= _SERVER_ERROR:
                raise ProviderUnreachable(
                    provider.shown, f"the request for its metadata was answered with {reply.status_code}"
                )
        raise ProviderUnreachable(provider.shown, "it has no metadata at its issuer's address")

    async def keys(self, provider: Provider, endpoints: Endpoints) -> list[dict[str, Any]]:
        """Read the keys that the provider signs with (a JWK Set, RFC 7517, section 5). Raises ``ProviderUnreachable``."""
        reply = await self._send(provider.shown, "GET", endpoints.keys or "", {"accept": "application/json"}, None)
        try:
            read = json.loads(reply.content) if reply.status_code == _OK else None
        except (ValueError, RecursionError):
            read = None
        found = read.get("keys") if isinstance(read, dict) else None
        if not isinstance(found, list):
            raise ProviderUnreachable(provider.shown, f"its keys were asked for, and it answered {reply.status_code}")
        return [key for key in found if isinstance(key, dict)]

    async def userinfo(self, provider: Provider, endpoints: Endpoints, access_token: str) -> dict[str, Any]:
        """Ask for the claims about the person whose token this is (OpenID Connect Core, section 5.3).

        Raises ``ProviderUnreachable`` where the provider has no such endpoint, or does not answer with claims as JSON.
        """
        if endpoints.userinfo is None:
            raise ProviderUnreachable(provider.shown, "its metadata have no userinfo_endpoint")
        headers = {"accept": "application/json", "authorization": f"Bearer {access_token}"}
        reply = await self._send(provider.shown, "GET", endpoints.userinfo, headers, None)
        try:
            read = json.loads(reply.content) if reply.status_code == _OK else None
        except (ValueError, RecursionError):
            read = None
        if not isinstance(read, dict):
            raise ProviderUnreachable(provider.shown, f"it was asked for claims, and answered {reply.status_code}")
        return read

    async def get(self, provider: Provider, url: str) -> "httpx.Response":
        """Send a request as a browser would, and follow no redirect. Raises ``ProviderUnreachable``."""
        return await self._send(provider.shown, "GET", url, {"accept": "text/html"}, None)

    # --- The flow ---

    def authorization_url(
        self,
        provider: Provider,
        endpoints: Endpoints,
        scopes: Sequence[str],
        state: str,
        verifier: str,
        redirect_uri: str,
        nonce: str | None = None,
    ) -> str:
        """Return the URL of the authorization request (RFC 6749, section 4.1.1) with PKCE (RFC 7636, S256).

        A ``nonce`` comes back in the ID token (OpenID Connect Core, section 3.1.2.1).
        """
        from authlib.common.urls import add_params_to_uri

        extra = [*provider.authorization_parameters.items(), *(("resource", each) for each in provider.resource)]
        if provider.response_mode is not None:
            extra.append(("response_mode", provider.response_mode))
        if nonce is not None:
            extra.append(("nonce", nonce))
        place = add_params_to_uri(endpoints.authorization, extra)
        asked = {provider.scope_parameter: provider.scope_separator.join(scopes) or None}
        url, _ = self._protocol(provider, endpoints, redirect_uri).create_authorization_url(
            place, state=state, code_verifier=verifier if provider.pkce else None, **asked
        )
        return str(url)

    async def redeem(
        self, provider: Provider, endpoints: Endpoints, code: str, verifier: str, redirect_uri: str
    ) -> TokenReply:
        """Exchange a code for a token. Raises ``TokenRefused`` and ``ProviderUnreachable``."""
        reply = await self._protocol(provider, endpoints, redirect_uri).fetch_token(
            endpoints.token,
            code=code,
            code_verifier=verifier if provider.pkce else None,
            grant_type="authorization_code",
        )
        return _read(provider, reply, (code, verifier))

    async def refresh(self, provider: Provider, endpoints: Endpoints, refresh_token: str) -> TokenReply:
        """Exchange a refresh token for a new token. Raises ``TokenRefused`` and ``ProviderUnreachable``."""
        client = self._protocol(provider, endpoints, None)
        reply = await client.refresh_token(endpoints.token, refresh_token=refresh_token)
        return _read(provider, reply, (refresh_token,), refresh=True)

    def _protocol(self, provider: Provider, endpoints: Endpoints, redirect_uri: str | None) -> Any:
        from authlib.oauth2.client import OAuth2Client

        send = self._send

        class Client(OAuth2Client):  # type: ignore[misc] # Authlib has no types
            """Authlib's requests over our own transport, because Authlib's httpx classes choose their HTTP package themselves.

            The replies are read in ``token_replies.py``: Authlib takes a member ``error`` that is null for an error.
            """

            async def _fetch_token(
                self, url: str, body: str = "", headers: Any = None, auth: Any = None, **_: Any
            ) -> Any:
                if provider.resource:
                    body = f"{body}&{urlencode([('resource', each) for each in provider.resource])}"
                url, headers, body = auth.prepare("POST", url, dict(headers), body)
                return await send(provider.shown, "POST", url, headers, body.encode())

            async def _refresh_token(self, url: str, **rest: Any) -> Any:
                return await self._fetch_token(url, **rest)

        client = Client(
            None,
            client_id=provider.client_id,
            client_secret=provider.client_secret,
            token_endpoint_auth_method=endpoints.auth_method,
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
        )
        client.register_client_auth_method(("client_secret_basic", _basic))
        return client

    async def _send(
        self, shown: str, method: str, url: str, headers: dict[str, str], body: bytes | None
    ) -> "httpx.Response":
        import httpx

        if self._http is None:
            # Keep no cookies: a cookie from the exchange of one person must not be sent in that of another.
            no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
            self._http = httpx.AsyncClient(timeout=self._timeout, follow_redirects=False, cookies=no_cookies)
        headers = {**headers, "accept-encoding": "identity"}
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._http.stream(method, url, headers=headers, content=body) as reply,
            ):
                content = bytearray()
                async for chunk in reply.aiter_raw():
                    content += chunk
                    if len(content) > _MAX_BYTES:
                        raise ProviderUnreachable(shown, f"its answer is larger than {_MAX_BYTES} bytes")
        except TimeoutError:
            raise ProviderUnreachable(shown, f"it did not answer within {self._timeout:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise ProviderUnreachable(shown, type(error).__name__) from None
        return httpx.Response(
            reply.status_code,
            headers={each: reply.headers[each] for each in ("content-type", "location") if each in reply.headers},
            content=_unpacked(shown, reply.headers.get("content-encoding", ""), bytes(content)),
            request=reply.request,
        )


def _unpacked(shown: str, encoding: str, content: bytes) -> bytes:
    """Return content that a provider compressed although it was asked not to. Raises ``ProviderUnreachable``.

    At most ``_MAX_BYTES`` are unpacked: a thousand times what was sent may come out of gzip.
    """
    match encoding.strip().lower():
        case "" | "identity":
            return content
        case "gzip" | "x-gzip" | "deflate":
            packed = zlib.decompressobj(wbits=47)  # which finds out whether it is gzip or zlib
            try:
                unpacked = packed.decompress(content, _MAX_BYTES + 1)
            except zlib.error:
                raise ProviderUnreachable(shown, "its compressed answer cannot be unpacked") from None
            if len(unpacked) > _MAX_BYTES:
                raise ProviderUnreachable(shown, f"its answer is larger than {_MAX_BYTES} bytes")
            return unpacked
    raise ProviderUnreachable(shown, "its answer is compressed in a way that was not asked for")


def _read(provider: Provider, reply: "httpx.Response", sent: tuple[str, ...], *, refresh: bool = False) -> TokenReply:
    secrets = tuple(secret for each in (*sent, provider.client_secret) if each for secret in (each, quote_plus(each)))
    content_type = reply.headers.get("content-type", "").lower()
    return read_reply(provider, reply.status_code, content_type, reply.content, secrets, refresh=refresh)


def _basic(client: Any, _: str, uri: str, headers: dict[str, str], body: str) -> tuple[str, dict[str, str], str]:
    """Authenticate by HTTP Basic with form-encoded id and secret (RFC 6749, section 2.3.1); Authlib does not encode them."""
    name, secret = quote_plus(client.client_id), quote_plus(client.client_secret)
    headers["Authorization"] = f"Basic {b64encode(f'{name}:{secret}'.encode()).decode()}"
    return uri, headers, body


def read_endpoints(provider: Provider, metadata: dict[str, Any]) -> Endpoints:
    """Return the endpoints in a provider's metadata, every member of which may be of any type (RFC 8414, section 2).

    Raises ``InvalidArgument`` if they are of another issuer or incomplete; it says what to configure.
    """
    issuer = provider.metadata_issuer or provider.issuer
    if metadata.get("issuer") != issuer:
        raise InvalidArgument(_wrong_issuer(provider, metadata.get("issuer")))
    places: dict[str, str] = {}
    signs = ("jwks_uri",) if provider.sign_in else ()
    more = ("userinfo_endpoint",) if provider.sign_in_address_claim and "userinfo_endpoint" in metadata else ()
    for key in ("authorization_endpoint", "token_endpoint", *signs, *more):
        place = metadata.get(key)
        if not isinstance(place, str):
            raise InvalidArgument(
                f"The metadata of the provider {provider.name} have no {key}; "
                + ("it cannot sign people in." if key in signs else "configure both endpoints.")
            )
        name = f"{key} in the metadata of the provider {provider.name}"
        # A remote issuer must not make this machine send requests to itself.
        if str(provider.issuer).startswith("https:") and not place.startswith("https:"):
            raise InvalidArgument(f"{name} is {place[:200]!r}, but its issuer is https; configure both endpoints.")
        places[key] = check_url(name, place)
    sends = metadata.get("authorization_response_iss_parameter_supported") is True
    return Endpoints(
        places["authorization_endpoint"],
        places["token_endpoint"],
        _auth_method(provider, metadata),
        issuer,
        sends,
        places.get("jwks_uri"),
        places.get("userinfo_endpoint"),
    )


def _wrong_issuer(provider: Provider, told: object) -> str:
    """Return what to configure where the metadata name another issuer than the configuration."""
    wanted = provider.metadata_issuer or provider.issuer or ""
    named = one_line(str(told))[:200]
    begin = (
        f"The metadata of the provider {provider.name} name the issuer {named!r} and not {wanted!r}; both must be identical "
        "(RFC 8414, section 3.3)."
    )
    if not isinstance(told, str):
        return f"{begin} Correct its issuer, or configure both endpoints."
    if "{" in told:
        return (
            f"{begin} The issuer in them stands for many tenants. If all people are of one tenant, give the issuer of that "
            "tenant, such as https://login.microsoftonline.com/TENANT-ID/v2.0. If people of any tenant may consent, set "
            f"metadata_issuer = {named!r}, and give the provider a redirect_uri of its own that ends with "
            f"/auth/redirect/{provider.name}."
        )
    if told.rstrip("/") == wanted.rstrip("/"):
        return f"{begin} They differ in the slash at the end: set issuer = {named!r}."
    return (
        f"{begin} If {named!r} is the provider that you mean, set issuer to it; if its metadata are found at "
        f"{provider.issuer!r} only, set metadata_issuer = {named!r}."
    )


def _auth_method(provider: Provider, metadata: dict[str, Any]) -> AuthMethod:
    """Return how this client proves itself at the token endpoint: as configured, or in a way that the metadata name."""
    if provider.token_endpoint_auth_method is not None:
        return provider.token_endpoint_auth_method
    if provider.client_secret is None:
        return "none"
    named = metadata.get("token_endpoint_auth_methods_supported")
    known: tuple[AuthMethod, ...] = ("client_secret_basic", "client_secret_post")
    if not isinstance(named, list) or not named:
        return known[0]  # the default of RFC 8414, section 2
    for method in known:
        if method in named:
            return method
    raise InvalidArgument(
        f"The metadata of the provider {provider.name} name no way to send a client secret that restpoint has "
        f"({one_line(', '.join(map(str, named)))[:200]}). Register the client for one of {', '.join(known)}, and set "
        "token_endpoint_auth_method to it."
    )
