"""Signed links to consent pages, and the proof in the forms of these pages. Both are valid for one person and a short time.

A *ticket* in a link identifies the person who got the link, where browsers have no credentials of their own. It becomes
invalid when someone starts an attempt after it was made. The *proof* in a form shows that the page was shown to this person,
at this attempt. No other site can send it (CSRF).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final
from urllib.parse import quote, urlsplit

from restpoint._core.serialization import decode, encode
from restpoint._storage import Consent
from restpoint.errors import SealBroken
from restpoint.oauth.keyring import Vault
from restpoint.oauth.providers import CALLBACK, Provider, check_url

STATE_SECONDS: Final = 600
"""How long an attempt is valid: the time that the person may spend at the provider."""

_TICKET_SECONDS: Final = 900
"""How long a link to a consent page, and the form on it, is valid."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """The content of a link or form: for whom it was made, and when (milliseconds since the epoch)."""

    person: str
    made_at: int
    attempts: int | None = None


def page_path(execution_id: str, consent_id: str) -> str:
    """Return the path of a consent's page, below the mount of the routes."""
    return f"/executions/{quote(execution_id, safe='')}/consents/{quote(consent_id, safe='')}"


def with_ticket(url: str, ticket: str) -> str:
    """Return the link with the ticket in its query."""
    return f"{url}?ticket={ticket}"


def cookie_name(consent_id: str, *, secure: bool) -> str:
    """Return the name of the cookie that binds a browser to a consent. Over https it has the prefix ``__Host-``."""
    return f"{'__Host-' if secure else ''}restpoint-{sha256(consent_id.encode()).hexdigest()[:16]}"


def on_https(url: str | None) -> bool:
    """Whether a URL is https."""
    return urlsplit(url or "").scheme == "https"


def urlpath(url: str) -> str:
    """Return the path of a URL."""
    return urlsplit(url).path


class SignedLinks:
    """Makes and reads links and proofs.

    ``public_url`` is the configured base URL of the routes, or None. ``address`` is the base URL at which this process
    listens, for links that are not made for a request.
    """

    def __init__(
        self, vault: Vault, providers: Mapping[str, Provider], public_url: str | None, address: str | None = None
    ) -> None:
        self._vault = vault
        self._providers = providers
        self.public_url = None if public_url is None else check_url("public_url", public_url).rstrip("/")
        self.address = address

    @property
    def hosts(self) -> frozenset[str]:
        """The configured hosts of the pages, with their ports, in lower case."""
        known = (self.public_url, *(provider.mount for provider in self._providers.values()))
        return frozenset(urlsplit(url).netloc.lower() for url in known if url)

    def redirect_uri(self, here: str | None = None) -> str | None:
        """Return the redirect URI of providers that have none of their own; None if no base URL is known."""
        base = self.public_url or here or self.address
        return None if base is None else f"{base}{CALLBACK}"

    def page_url(self, provider: str, execution_id: str, consent_id: str, here: str | None = None) -> str:
        """Return the URL of a consent's page, or an empty text if no base URL is known.

        The origin is that of the provider's redirect URI if it is configured, because the cookie must come back to it.
        Otherwise it is the public URL, then ``here``, the base URL that a request used.
        """
        known = self._providers.get(provider)
        base = (known.mount if known is not None else None) or self.public_url or here or self.address
        return "" if base is None else f"{base}{page_path(execution_id, consent_id)}"

    def ticket(self, execution_id: str, consent_id: str, person: str, now: int) -> str:
        """Make a ticket for a person who may see the consent. Show it to no one else."""
        return self._seal("ticket", execution_id, consent_id, person, now)

    def proof(self, consent: Consent, person: str, now: int) -> str:
        """Make the proof for the form on the page."""
        return self._seal("form", consent.execution_id, consent.id, person, now, consent.attempts)

    def read_ticket(self, consent: Consent, text: str | None, now: int) -> Ticket | None:
        """Return the ticket of a link; None if it is forged, too old, or older than the latest attempt."""
        ticket = self._read("ticket", consent, text, now)
        if ticket is None or consent.state_expires_at is None:
            return ticket
        return ticket if ticket.made_at > consent.state_expires_at - STATE_SECONDS * 1000 else None

    def read_proof(self, consent: Consent, text: str | None, now: int) -> Ticket | None:
        """Return the proof of a form; None if it is forged or too old."""
        return self._read("form", consent, text, now)

    def _seal(
        self, kind: str, execution_id: str, consent_id: str, person: str, now: int, attempts: int | None = None
    ) -> str:
        return self._vault.seal_token(encode([person, now, attempts]), kind, execution_id, consent_id)

    def _read(self, kind: str, consent: Consent, text: str | None, now: int) -> Ticket | None:
        if not text:
            return None
        try:
            ticket = Ticket(*decode(self._vault.unseal_token(text, kind, consent.execution_id, consent.id)))
        except (SealBroken, TypeError, ValueError):
            return None
        return ticket if 0 <= now - ticket.made_at <= _TICKET_SECONDS * 1000 else None
