"""What goes to a provider with the browser, and what comes back: the request, the callback and its result."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from restpoint._storage import Consent

Outcome = Literal[
    "granted", "denied", "failed", "not_set_up", "malformed", "forged", "replayed", "expired", "other_browser", "other_person",
    "wrong_issuer", "wrong_address", "sealed",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """Where to send the browser, and the secret ``cookie`` that it must present with the callback."""

    url: str
    cookie: str
    redirect_uri: str


@dataclass(frozen=True, slots=True)
class Callback:
    """A request to the redirect URI. ``cookies`` and ``actor`` identify the browser; ``path`` is the requested path."""

    parameters: Mapping[str, str]
    cookies: Mapping[str, str]
    actor: str | None
    path: str


@dataclass(frozen=True, slots=True)
class CallbackResult:
    """The result of a callback. ``consent`` is set only if the request came from the browser that started the attempt."""

    outcome: Outcome
    consent: Consent | None = None
    problem: str | None = None
