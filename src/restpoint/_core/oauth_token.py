"""The access token that a granted consent gives to a workflow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


class TokenSource(Protocol):
    """Where a token comes from: the consent in the file, and its provider."""

    async def fresh(self, token: "OAuthToken") -> "OAuthToken":
        """Return a token of the same consent that has not expired, if there is one, else ``token``."""


@dataclass(frozen=True, slots=True)
class OAuthToken:
    """An access token. Pass it to steps as it is. Its ``repr`` shows no secret, and it cannot be stored as a result or an event.

    - ``token_type`` is ``Bearer`` (RFC 6750), whatever the provider calls it.
    - ``scopes`` are the granted ones, which may be fewer than the workflow asked for.
    - ``expires_at`` is in seconds since the epoch, or None if the provider did not say.
    - ``id_token`` is what the provider sent. restpoint does not read it: verify it before you trust it.
    - ``extra`` holds the other members of the provider's token response.

    A step that gets a token as an argument gets a fresh one at each attempt: one that has expired, or will within a minute, is
    refreshed, if the provider issued a refresh token. In a step that takes longer, or that has the token from elsewhere,
    ``await token.fresh()`` does the same. A workflow must not branch on the content of a token, because a replay may get
    another one.
    """

    provider: str
    access_token: str = field(repr=False)
    token_type: str = "Bearer"  # noqa: S105 - a kind of token
    scopes: tuple[str, ...] = ()
    expires_at: float | None = None
    id_token: str | None = field(default=None, repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)
    source: TokenSource | None = field(default=None, repr=False, compare=False)

    async def fresh(self) -> "OAuthToken":
        """Return a token of the same consent that is good now: this one, or a refreshed one. Call it inside a step.

        Returns the token as it is if it cannot be refreshed, for which the log has the reason; then the service that it is for
        refuses it.
        """
        return self if self.source is None else await self.source.fresh(self)


async def with_fresh_tokens(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the arguments of a step, with a fresh token for each token among them."""
    return tuple([await each.fresh() if isinstance(each, OAuthToken) else each for each in arguments])
