"""Links to consent pages, and the proof in their forms: sealed by this server, for one person, for a short time.

A *ticket* makes a link good for the person who was shown it, where browsers have no credentials of their own; it is void once
someone set out after it was made. The *proof* in a form shows that this page was shown to this person, at this attempt: it is
what no other site can send.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlsplit

from restpoint._core.serialization import decode, encode
from restpoint._storage.consents import Consent
from restpoint.errors import SealBroken
from restpoint.oauth.keyring import Vault
from restpoint.oauth.providers import Provider, check_url

STATE_SECONDS: Final = 600
"""How long someone may be away at the provider."""

_TICKET_SECONDS: Final = 900
"""How long a link to a consent page is good, and the form on it."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a link or a form proves: for whom it was made, and when (milliseconds since the epoch)."""

    person: str
    made_at: int
    attempts: int | None = None


def page_path(execution_id: str, consent_id: str) -> str:
    """Where the page of a consent is, below the mount of the routes."""
    return f"/executions/{quote(execution_id, safe='')}/consents/{quote(consent_id, safe='')}"


def with_ticket(url: str, ticket: str) -> str:
    """The link that a person is given."""
    return f"{url}?ticket={ticket}"


class SignedLinks:
    """Makes and reads links. ``public_url`` is where the routes are as browsers see them, if that is known for good."""

    def __init__(self, vault: Vault, providers: Mapping[str, Provider], public_url: str | None) -> None:
        self._vault = vault
        self._providers = providers
        self.public_url = None if public_url is None else check_url("public_url", public_url).rstrip("/")
        self.address: str | None = None
        """Where this process answers, as far as it knows: for those who look at the file and not at a reply."""

    @property
    def hosts(self) -> frozenset[str]:
        """Hosts, with their ports, under which browsers find the pages as far as that was configured; in lower case."""
        known = (self.public_url, *(provider.mount for provider in self._providers.values()))
        return frozenset(urlsplit(url).netloc.lower() for url in known if url)

    def page_url(self, provider: str, execution_id: str, consent_id: str, here: str | None = None) -> str:
        """Where the page of a consent is. ``here`` is where the routes are as a request saw them.

        On the origin that the provider's redirect URI names, where it names one: the cookie must come back to it. Empty where
        nothing tells.
        """
        known = self._providers.get(provider)
        base = (known.mount if known is not None else None) or self.public_url or here or self.address
        return "" if base is None else f"{base}{page_path(execution_id, consent_id)}"

    def ticket(self, execution_id: str, consent_id: str, person: str, now: int) -> str:
        """A ticket for a person who may see the consent, for nobody else's eyes."""
        return self._seal("ticket", execution_id, consent_id, person, now)

    def proof(self, consent: Consent, person: str, now: int) -> str:
        """What the form on the page has in it."""
        return self._seal("form", consent.execution_id, consent.id, person, now, consent.attempts)

    def read_ticket(self, consent: Consent, text: str | None, now: int) -> Ticket | None:
        """The ticket of a link; None for one that is forged, too old, or from before the last time someone set out."""
        ticket = self._read("ticket", consent, text, now)
        if ticket is None or consent.state_expires_at is None:
            return ticket
        return ticket if ticket.made_at > consent.state_expires_at - STATE_SECONDS * 1000 else None

    def read_proof(self, consent: Consent, text: str | None, now: int) -> Ticket | None:
        """What came back with the form; None for one that is forged or too old."""
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
