"""What the error of a provider means: the person said no, this server is not set up, or it may work the next time.

Only the first ends a consent. An error that this server caused is for the operator, who finds it in the log and can correct it
while the consent stays open. Providers have codes beside those of RFC 6749; a code that is not listed here is taken as one
that may pass, so that nothing ends because of a word that nobody knew.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal

INVALID_TOKEN_RESPONSE: Final = "invalid_token_response"  # noqa: S105 - an error code
"""The code of a token response from which no token can be taken."""

_CODE: Final = re.compile(r"[A-Za-z0-9_.:/-]{1,100}")
_DENIED: Final = frozenset(
    {
        "access_denied",  # RFC 6749, section 4.1.2.1
        "user_cancelled_authorize", "user_cancelled_login",  # LinkedIn; Sign in with Apple has the first
    }
)  # fmt: skip
_NOT_SET_UP: Final = frozenset(
    {
        "invalid_client", "invalid_request", "invalid_scope", "unauthorized_client", "unsupported_grant_type",
        "unsupported_response_type",  # RFC 6749, sections 4.1.2.1 and 5.2
        "account_selection_required", "consent_required", "interaction_required", "login_required",  # of prompt=none
        "invalid_request_object", "invalid_request_uri", "registration_not_supported", "request_not_supported",
        "request_uri_not_supported",  # OpenID Connect Core, section 3.1.2.6
        "invalid_target",  # RFC 8707, section 2
        "invalid_redirect_uri", "invalid_resource", "redirect_uri_mismatch", "unsupported_response_mode",
        "application_suspended", "incorrect_client_credentials",  # GitHub
        "bad_client_secret", "bad_redirect_uri", "invalid_client_id", "invalid_team_for_non_distributed_app", "no_scopes",
        "oauth_authorization_url_mismatch", "pkce_not_allowed",  # Slack
        INVALID_TOKEN_RESPONSE,
    }
)  # fmt: skip
_LIKE_A_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{40,}")  # a UUID, by which an operator finds an error, has 36
_MAX_DESCRIPTION: Final = 500  # characters


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error of a provider. ``code`` and ``description`` are safe to be logged: ``read_refusal`` has cleaned them."""

    code: str
    description: str = ""

    @property
    def kind(self) -> Literal["denied", "not_set_up", "passing"]:
        """Whether the person said no, the operator must correct something, or trying again may help."""
        if self.code in _DENIED:
            return "denied"
        return "not_set_up" if self.code in _NOT_SET_UP else "passing"

    def __str__(self) -> str:
        return f"{self.code} ({self.description})" if self.description else self.code


class TokenRefused(Exception):
    """The token endpoint gave no token. ``refresh_token`` is one that came without a usable access token, and must be kept."""

    def __init__(self, refusal: Refusal, refresh_token: str | None = None) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal
        self.refresh_token = refresh_token


def read_refusal(code: object, description: object, sent: Collection[str] = ()) -> Refusal:
    """Return the error of a provider, which is untrusted text (RFC 6749, sections 4.1.2.1 and 5.2).

    A code of another form is ``unknown_error``. The description is one printable line of at most 500 characters, without
    what was ``sent`` to the provider, such as a code or a secret.
    """
    known = code if isinstance(code, str) and _CODE.fullmatch(code) else "unknown_error"
    return Refusal(known, one_line(description, sent) if isinstance(description, str) else "")


def one_line(text: str, sent: Collection[str] = ()) -> str:
    """Return untrusted text as one printable line of at most 500 characters, without what was ``sent`` or looks like a token."""
    for secret in sent:
        if secret:
            text = text.replace(secret, "[removed]")
    text = _LIKE_A_SECRET.sub("[removed]", text)
    line = "".join(character if character.isprintable() else " " for character in text[: 4 * _MAX_DESCRIPTION])
    line = " ".join(line.split())
    return line if len(line) <= _MAX_DESCRIPTION else f"{line[:_MAX_DESCRIPTION]}…"
