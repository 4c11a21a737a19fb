"""What a workflow is given when a consent was granted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class OAuthToken:
    """An access token. Give it to a step as it is; its ``repr`` shows no secret, and it cannot become a result or an event.

    - ``token_type`` is ``Bearer`` as a rule. ``scopes`` are those that were granted, which may be fewer than were asked for.
    - ``expires_at`` is in seconds since the epoch; None where the provider did not say.
    - ``id_token`` is as the provider sent it: restpoint does not read it, so verify it before you trust what it says.
    - ``extra`` is what else the provider's answer had.

    A later replay gives the same consent, with a fresh token where this one has expired and the provider gave a refresh token.
    So a workflow does not decide anything by what is in it.
    """

    provider: str
    access_token: str = field(repr=False)
    token_type: str = "Bearer"  # noqa: S105 - a kind of token
    scopes: tuple[str, ...] = ()
    expires_at: float | None = None
    id_token: str | None = field(default=None, repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)
