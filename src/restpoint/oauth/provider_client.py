"""The client of an OAuth provider: its metadata, the authorization request, the exchange of a code, and the refresh.

Authlib implements the protocol and httpx sends the requests. Redirects are not followed, and answers are limited in time and
size. The message of an exception contains nothing that was sent or received, except an OAuth error code of the known form.
"""

import asyncio
import json
import re
import time
from base64 import b64encode
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from hmac import compare_digest
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote_plus

from restpoint._core.serialization import encode
from restpoint.errors import InvalidArgument, NotJSON, ProviderUnreachable
from restpoint.oauth.providers import AuthMethod, Provider, check_url

if TYPE_CHECKING:
    import httpx

_METADATA_SECONDS: Final = 3600.0
_MAX_BYTES: Final = 256 * 1024
_CODE: Final = re.compile(r"[A-Za-z0-9_.:/-]{1,100}")
_RETRYABLE: Final = (408, 425, 429)
_WELL_KNOWN: Final = ("openid-configuration", "oauth-authorization-server")
_OK, _SERVER_ERROR = 200, 500
_MAX_LIFETIME: Final = 100 * 365 * 86_400  # seconds
_STANDARD: Final = frozenset(
    {"access_token", "token_type", "scope", "expires_in", "expires_at", "refresh_token", "id_token"}
)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The endpoints of a provider. ``sends_issuer`` says whether its callbacks have ``iss`` (RFC 9207)."""

    authorization: str
    token: str
    auth_method: AuthMethod
    issuer: str | None = None
    sends_issuer: bool = False

    def has_issuer(self, iss: str | None, others: Collection[str | None]) -> bool:
        """Whether a callback with ``iss`` is of this provider (RFC 9207, section 2.4). ``others`` are the other issuers."""
        if iss is None:
            return not self.sends_issuer
        return iss not in others if self.issuer is None else compare_digest(iss.encode(), self.issuer.encode())


@dataclass(frozen=True, slots=True)
class TokenReply:
    """A token response (RFC 6749, section 5.1). ``expires_in`` is in seconds."""

    access_token: str = field(repr=False)
    token_type: str
    scopes: tuple[str, ...] | None
    expires_in: float | None
    refresh_token: str | None = field(repr=False)
    id_token: str | None = field(repr=False)
    extra: dict[str, Any] = field(repr=False)


class TokenRefused(Exception):
    """The provider refused for good. ``code`` is its OAuth error code (RFC 6749, section 5.2)."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


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
            return Endpoints(provider.authorization_endpoint, provider.token_endpoint, method, provider.issuer)
        read_at, known = self._known.get(provider.name, (0.0, None))
        if known is not None and time.monotonic() - read_at < _METADATA_SECONDS:
            return known
        found = _endpoints(provider, await self._metadata(provider))
        self._known[provider.name] = time.monotonic(), found
        return found

    async def _metadata(self, provider: Provider) -> dict[str, Any]:
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

    # --- The flow ---

    def authorization_url(
        self,
        provider: Provider,
        endpoints: Endpoints,
        scopes: Sequence[str],
        state: str,
        verifier: str,
        redirect_uri: str,
    ) -> str:
        """Return the URL of the authorization request (RFC 6749, section 4.1.1) with PKCE (RFC 7636, S256)."""
        from authlib.common.urls import add_params_to_uri

        place = add_params_to_uri(endpoints.authorization, list(provider.authorization_parameters.items()))
        url, _ = self._protocol(provider, endpoints, redirect_uri).create_authorization_url(
            place, state=state, code_verifier=verifier, scope=" ".join(scopes) or None
        )
        return str(url)

    async def redeem(
        self, provider: Provider, endpoints: Endpoints, code: str, verifier: str, redirect_uri: str
    ) -> TokenReply:
        """Exchange a code for a token. Raises ``TokenRefused`` and ``ProviderUnreachable``."""
        client = self._protocol(provider, endpoints, redirect_uri)
        return await self._token_request(
            provider, client.fetch_token(endpoints.token, code=code, code_verifier=verifier, grant_type="authorization_code")
        )  # fmt: skip

    async def refresh(self, provider: Provider, endpoints: Endpoints, refresh_token: str) -> TokenReply:
        """Exchange a refresh token for a new token. Raises ``TokenRefused`` and ``ProviderUnreachable``."""
        client = self._protocol(provider, endpoints, None)
        return await self._token_request(provider, client.refresh_token(endpoints.token, refresh_token=refresh_token))

    async def _token_request(self, provider: Provider, request: Any) -> TokenReply:
        from authlib.oauth2.base import OAuth2Error
        from httpx import HTTPStatusError

        try:
            answer = await request
        except OAuth2Error as error:
            code = str(error.error)
            raise TokenRefused(code if _CODE.fullmatch(code) else "unknown_error") from None
        except HTTPStatusError as error:
            raise ProviderUnreachable(provider.shown, f"it answered {error.response.status_code}") from None
        except (ValueError, TypeError, ArithmeticError, RecursionError):
            raise ProviderUnreachable(provider.shown, "its answer is not a token response") from None
        return _token_reply(answer)

    def _protocol(self, provider: Provider, endpoints: Endpoints, redirect_uri: str | None) -> Any:
        from authlib.oauth2.client import OAuth2Client

        send = self._send

        class Client(OAuth2Client):  # type: ignore[misc] # Authlib has no types
            """Authlib's protocol over our own transport, because Authlib's httpx classes choose their HTTP package themselves."""

            async def _fetch_token(
                self, url: str, body: str = "", headers: Any = None, auth: Any = None, **_: Any
            ) -> Any:
                url, headers, body = auth.prepare("POST", url, dict(headers), body)
                reply = await send(provider.shown, "POST", url, headers, body.encode())
                if reply.status_code in _RETRYABLE:
                    reply.raise_for_status()
                return self.parse_response_token(reply)

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
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._http.stream(method, url, headers=headers, content=body) as reply,
            ):
                content = bytearray()
                async for chunk in reply.aiter_bytes():
                    content += chunk
                    if len(content) > _MAX_BYTES:
                        raise ProviderUnreachable(shown, f"its answer is larger than {_MAX_BYTES} bytes")
        except TimeoutError:
            raise ProviderUnreachable(shown, f"it did not answer within {self._timeout:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise ProviderUnreachable(shown, type(error).__name__) from None
        return httpx.Response(reply.status_code, content=bytes(content), request=reply.request)


def _basic(client: Any, _: str, uri: str, headers: dict[str, str], body: str) -> tuple[str, dict[str, str], str]:
    """Authenticate by HTTP Basic with form-encoded id and secret (RFC 6749, section 2.3.1); Authlib does not encode them."""
    name, secret = quote_plus(client.client_id), quote_plus(client.client_secret)
    headers["Authorization"] = f"Basic {b64encode(f'{name}:{secret}'.encode()).decode()}"
    return uri, headers, body


def _endpoints(provider: Provider, metadata: dict[str, Any]) -> Endpoints:
    if metadata.get("issuer") != provider.issuer:
        raise InvalidArgument(
            f"The metadata of the provider {provider.name} name the issuer {str(metadata.get('issuer'))[:200]!r} and not "
            f"{provider.issuer!r}; both must be identical (RFC 8414, section 3.3). Correct its issuer."
        )
    places = []
    for key in ("authorization_endpoint", "token_endpoint"):
        place = metadata.get(key)
        if not isinstance(place, str):
            raise InvalidArgument(
                f"The metadata of the provider {provider.name} have no {key}; configure both endpoints."
            )
        name = f"{key} in the metadata of the provider {provider.name}"
        # A remote issuer must not make this machine send requests to itself.
        if str(provider.issuer).startswith("https:") and not place.startswith("https:"):
            raise InvalidArgument(f"{name} is {place[:200]!r}, but its issuer is https; configure both endpoints.")
        places.append(check_url(name, place))
    method = provider.token_endpoint_auth_method
    if method is None:
        supported = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        basic: AuthMethod = "client_secret_basic" if "client_secret_basic" in supported else "client_secret_post"
        method = "none" if provider.client_secret is None else basic
    sends = metadata.get("authorization_response_iss_parameter_supported") is True
    return Endpoints(places[0], places[1], method, provider.issuer, sends)


def _seconds(value: object) -> float | None:
    """Return the lifetime of a token in seconds; None if the value is missing or malformed."""
    try:
        seconds = float(value) if isinstance(value, int | float | str) else -1.0
    except ValueError:
        return None
    return seconds if 0 <= seconds <= _MAX_LIFETIME else None


def _token_reply(answer: dict[str, Any]) -> TokenReply:
    token, kind = answer.get("access_token"), answer.get("token_type", "Bearer")
    try:
        encode(dict(answer))
    except NotJSON:
        token = None  # a response that cannot be stored is refused
    if not isinstance(token, str) or not token or not isinstance(kind, str):
        raise TokenRefused("invalid_token_response")
    scope, seconds = answer.get("scope"), answer.get("expires_in")
    if isinstance(scope, str):  # some providers separate scopes by commas
        scope = scope.replace(",", " ").split()
    scopes = tuple(scope) if isinstance(scope, list) and all(isinstance(each, str) for each in scope) else None
    refresh, identity = answer.get("refresh_token"), answer.get("id_token")
    return TokenReply(
        token,
        kind,
        scopes,
        _seconds(seconds),
        refresh if isinstance(refresh, str) and refresh else None,
        identity if isinstance(identity, str) else None,
        {key: value for key, value in answer.items() if key not in _STANDARD},
    )
