"""The access token that a granted consent gives to a workflow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class OAuthToken:
    """An access token. Pass it to steps as it is. Its ``repr`` shows no secret, and it cannot be stored as a result or an event.

    - ``token_type`` is usually ``Bearer``. ``scopes`` are the granted ones, which may be fewer than the workflow asked for.
    - ``expires_at`` is in seconds since the epoch, or None if the provider did not say.
    - ``id_token`` is what the provider sent. restpoint does not read it: verify it before you trust it.
    - ``extra`` holds the other members of the provider's token response.

    A later replay returns the token of the same consent, refreshed if it has expired and the provider issued a refresh token.
    A workflow must therefore not branch on the content of a token.
    """

    provider: str
    access_token: str = field(repr=False)
    token_type: str = "Bearer"  # noqa: S105 - a kind of token
    scopes: tuple[str, ...] = ()
    expires_at: float | None = None
    id_token: str | None = field(default=None, repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)
