"""Reading the reply of a token endpoint (RFC 6749, sections 5.1 and 5.2), of which only the access token must be right.

A person has said yes, the code is used up, and a refresh token may have been replaced when a reply is read. So a member that is
malformed or missing beside a usable access token is passed over: an ``error`` that is null or empty, a ``token_type`` that is
null, a lifetime as text, a member that cannot be stored.
"""

import json
import math
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

from restpoint._core.serialization import encode
from restpoint.errors import NotJSON, ProviderUnreachable
from restpoint.oauth.providers import Provider
from restpoint.oauth.refusals import INVALID_TOKEN_RESPONSE, Refusal, TokenRefused, one_line, read_refusal

_ACCESS_TOKEN: Final = re.compile(r"[\x20-\x7e]+")  # RFC 6749, appendix A.12
_MAX_LIFETIME: Final = 100 * 365 * 86_400  # seconds
_MAX_FIELDS: Final = 1_000
_OK, _REDIRECT, _SERVER_ERROR = 200, 300, 500
_RETRYABLE: Final = (408, 425, 429)
_NO_ERROR: Final = "the token endpoint answered {} without an OAuth error"
_FORM: Final = "application/x-www-form-urlencoded"
_STANDARD: Final = frozenset(
    {"access_token", "token_type", "scope", "expires_in", "expires_at", "refresh_token", "id_token", "error",
     "error_description", "error_uri"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TokenReply:
    """A token response. ``expires_in`` is in seconds; None if the provider did not say, or said it in no known form."""

    access_token: str = field(repr=False)
    scopes: tuple[str, ...] | None
    expires_in: float | None
    refresh_token: str | None = field(repr=False)
    id_token: str | None = field(repr=False)
    extra: dict[str, Any] = field(repr=False)


def read_reply(
    provider: Provider, status: int, content_type: str, content: bytes, sent: Collection[str], *, refresh: bool = False
) -> TokenReply:
    """Return the token in a reply. ``sent`` are the secrets of the request, which no message may repeat.

    Raises ``TokenRefused``, and ``ProviderUnreachable`` if the provider had no time, or its reply is none of a token endpoint.
    """
    if status in _RETRYABLE or status >= _SERVER_ERROR:
        raise ProviderUnreachable(provider.shown, f"it answered {status}")
    members = _members(provider, content_type, content)
    if members is None:
        if _OK <= status < _REDIRECT:
            raise ProviderUnreachable(provider.shown, "its answer is not a token response")
        # The address is not that of a token endpoint, or something in front of it refuses.
        raise TokenRefused(Refusal(INVALID_TOKEN_RESPONSE, _NO_ERROR.format(status)))
    token = _token_in(provider, members, refresh=refresh)
    access_token = token.get("access_token")
    error = members.get("error")
    if error and (not _OK <= status < _REDIRECT or not _is_usable(access_token)):
        raise TokenRefused(read_refusal(error, members.get("error_description"), sent), _text(token, "refresh_token"))
    wrong = _wrong(provider, status, members, token)
    if wrong is not None:
        raise TokenRefused(Refusal(INVALID_TOKEN_RESPONSE, one_line(wrong, sent)), _text(token, "refresh_token"))
    around = {} if token is members else {key: value for key, value in members.items() if value is not token}
    return TokenReply(
        str(access_token),
        _scopes(token.get("scope")),
        _seconds(token.get("expires_in")),
        _text(token, "refresh_token"),
        _text(token, "id_token"),
        {
            key: value
            for key, value in {**around, **token}.items()
            if key not in _STANDARD and _is_storable({key: value})
        },
    )


def _members(provider: Provider, content_type: str, content: bytes) -> dict[str, Any] | None:
    """Return the members of a reply, which is JSON or a form; None if it is neither."""
    kind = provider.token_response_format or ("form" if content_type.partition(";")[0].strip() == _FORM else "json")
    try:
        if kind == "form":
            return dict(parse_qsl(content.decode(), max_num_fields=_MAX_FIELDS)) or None
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _token_in(provider: Provider, members: dict[str, Any], *, refresh: bool) -> dict[str, Any]:
    """Return the object that has the token: the reply, or the one in it that the provider's ``token_path`` names."""
    found: Any = members
    for key in provider.token_path.split(".") if provider.token_path is not None else ():
        found = found.get(key) if isinstance(found, dict) else None
    if isinstance(found, dict):
        return found
    # Slack has a refreshed token at the top. In the first reply, the one at the top is somebody else's: that of the bot.
    return members if refresh else {}


def _wrong(provider: Provider, status: int, members: dict[str, Any], token: dict[str, Any]) -> str | None:
    """Return why there is no usable token, for the operator; None if there is one."""
    if not _OK <= status < _REDIRECT:
        return _NO_ERROR.format(status)
    access_token, kind = token.get("access_token"), token.get("token_type")
    if not access_token:
        names = ", ".join(sorted(str(name)[:50] for name in members)[:20]) or "nothing"
        where = "at the top" if provider.token_path is None else f"at {provider.token_path}"
        return f"the reply has no access_token {where}, but {names}; if it is elsewhere in it, set token_path of the provider"
    if not _is_usable(access_token):
        return "the access_token is no text of printable ASCII characters (RFC 6749, appendix A.12)"
    bearers = {"bearer", (provider.token_type or "bearer").lower()}
    if isinstance(kind, str) and kind.strip() and kind.strip().lower() not in bearers:
        return (
            f"the token_type is {kind[:50]!r} and not Bearer (RFC 6749, section 7.1); if it is used like one, set token_type of "
            "the provider to it"
        )
    return None


def _is_usable(access_token: object) -> bool:
    return isinstance(access_token, str) and _ACCESS_TOKEN.fullmatch(access_token) is not None


def _text(token: dict[str, Any], key: str) -> str | None:
    value = token.get(key)
    return value if isinstance(value, str) and value and _is_storable({key: value}) else None


def _is_storable(value: dict[str, Any]) -> bool:
    try:
        encode(value)
    except NotJSON:
        return False
    return True


def _scopes(scope: object) -> tuple[str, ...] | None:
    """Return the granted scopes; None if the reply does not say. Some providers separate them by commas, or send a list."""
    if isinstance(scope, str):
        scope = scope.replace(",", " ").split()
    if not isinstance(scope, list):
        return None
    return tuple(dict.fromkeys(each for each in scope if isinstance(each, str) and each.isprintable()))


def _seconds(value: object) -> float | None:
    """Return the lifetime of a token in seconds; None if the value is missing or malformed."""
    try:
        seconds = float(value) if isinstance(value, int | float | str) else -1.0
    except (ValueError, OverflowError):
        return None
    return seconds if math.isfinite(seconds) and 0 <= seconds <= _MAX_LIFETIME else None
