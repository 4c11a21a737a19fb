"""ID tokens: whether what a provider says of a person is of that provider, for this server, for this attempt and of now.

The checks are those of OpenID Connect Core, section 3.1.3.7: signature, issuer, audience, authorized party, expiry, time of issue
and nonce. Keys are read from the provider's metadata (RFC 7517) and kept for an hour; one that is not among them has them read
again, at most once a minute.
"""

import json
import math
import time
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from hmac import compare_digest
from typing import Any, Final

from restpoint.oauth.provider_client import Endpoints, ProviderClient
from restpoint.oauth.providers import Provider

ALGORITHMS: Final = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
)
"""Those that a provider may sign with: asymmetric ones. With another one, whoever has the client secret could sign."""

_KEYS_SECONDS: Final = 3600.0
_AGAIN_SECONDS: Final = 60.0
_LEEWAY: Final = 60  # seconds by which two clocks may differ
_MOST_KEYS: Final = 50


class InvalidIDToken(Exception):
    """An ID token does not prove who somebody is. The message says why, for the log, and repeats nothing of the token."""


class IDTokens:
    """Verifies ID tokens."""

    def __init__(self, client: ProviderClient) -> None:
        self._client = client
        self._known: dict[str, tuple[float, list[dict[str, Any]]]] = {}

    async def claims(
        self, provider: Provider, endpoints: Endpoints, token: str | None, nonce: str, now: float
    ) -> Mapping[str, Any]:
        """Return the claims of an ID token; ``now`` is in seconds since the epoch.

        Raises ``InvalidIDToken``, and ``ProviderUnreachable`` if the keys cannot be read.
        """
        if not token:
            raise InvalidIDToken("the reply has no ID token; the scopes must contain openid")
        header = _header(token)
        if header.get("alg") not in ALGORITHMS:
            raise InvalidIDToken(f"it is signed with another algorithm than {', '.join(ALGORITHMS)}")
        claims = await self._signed(provider, endpoints, token, header)
        wrong = _wrong(claims, provider, endpoints, nonce, now)
        if wrong is not None:
            raise InvalidIDToken(wrong)
        return claims

    async def _signed(
        self, provider: Provider, endpoints: Endpoints, token: str, header: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        read_at, keys = self._known.get(provider.name, (0.0, []))
        age = time.monotonic() - read_at if read_at else float("inf")
        if age > _KEYS_SECONDS or (not _fitting(keys, header) and age > _AGAIN_SECONDS):
            keys = await self._client.keys(provider, endpoints)
            self._known[provider.name] = time.monotonic(), keys
        for key in _fitting(keys, header):
            claims = _verified(token, key)
            if claims is not None:
                return claims
        raise InvalidIDToken("none of the provider's keys has signed it")


def _header(token: str) -> Mapping[str, Any]:
    """The header, of which nothing is believed: it says which key to try."""
    begin = token.partition(".")[0]
    try:
        header = json.loads(urlsafe_b64decode(begin + "=" * (-len(begin) % 4)))
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise InvalidIDToken("it is no JSON Web Token")
    return header


def _fitting(keys: list[dict[str, Any]], header: Mapping[str, Any]) -> list[dict[str, Any]]:
    named = header.get("kid")
    return [
        key
        for key in keys
        if key.get("kty") in {"RSA", "EC", "OKP"}
        and key.get("use", "sig") == "sig"
        and (named is None or key.get("kid") == named)
    ][:_MOST_KEYS]


def _verified(token: str, key: dict[str, Any]) -> Mapping[str, Any] | None:
    from joserfc import jwt
    from joserfc.errors import JoseError
    from joserfc.jwk import import_key

    try:
        return dict(jwt.decode(token, import_key(key), algorithms=list(ALGORITHMS)).claims)
    except (JoseError, ValueError, TypeError, KeyError):  # the key is of another kind, or has not signed it
        return None


def _wrong(claims: Mapping[str, Any], provider: Provider, endpoints: Endpoints, nonce: str, now: float) -> str | None:
    """Return why the claims do not count; None if they do."""
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    party, expires, issued = claims.get("azp"), _number(claims.get("exp"), 0), _number(claims.get("iat"), math.inf)
    checks = (
        (claims.get("iss") != endpoints.issuer, "it is of another issuer"),
        (provider.client_id not in audiences, "it is for another client"),
        (len(audiences) > 1 and party is None, "it is for several clients, and does not say which one asked for it"),
        (party is not None and party != provider.client_id, "another client asked for it"),
        (expires + _LEEWAY <= now, "it has expired, or this server's clock is wrong"),
        (issued - _LEEWAY > now, "it is of a time to come; this server's clock may be wrong"),
        (not compare_digest(str(claims.get("nonce")).encode(), nonce.encode()), "it is of another attempt to sign in"),
        (not isinstance(claims.get("sub"), str) or not claims["sub"], "it does not say whom it is about"),
    )
    return next((why for is_wrong, why in checks if is_wrong), None)


def _number(value: object, otherwise: float) -> float:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else otherwise
