"""Tickets: links by which somebody without an account sees one prompt and answers it.

A ticket is sealed with the key ring (AES-256-GCM), so nobody can make one or alter it, and nothing is stored: it names the prompt
and the person, and the prompt itself says whether it still counts. It is for one prompt and one person, and good for as long as
that person may answer that prompt: not after the prompt was answered, withdrawn, expired or addressed to others.

Whoever has the link can answer, as with any link in a mail. A GET answers nothing, so programs that open every link of a mail do
no harm. The form on the page has a *proof*, made when the page was shown, and nothing is answered without it.
"""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Final

from restpoint._core.serialization import decode, encode
from restpoint.access import GROUP, Actor
from restpoint.errors import InvalidArgument, KeyMissing, SealBroken
from restpoint.notify.notices import Notice
from restpoint.notify.wording import is_question
from restpoint.oauth.keyring import Vault

PATH: Final = "/ticket"
"""The path of the page of tickets, below the mount of the routes."""

TICKET: Final = "ticket"
"""What ``Actor.known_by`` says of somebody who came with a ticket, and with it the history."""

PROOF_SECONDS: Final = 43_200
"""How long a form may stay open before it is shown once more: half a day."""

_SEALED_FOR: Final = "ticket of a prompt"
_PROOF_FOR: Final = "form of a ticket"
_LONGEST: Final = 8_192  # characters; the ids and names of a ticket have at most 1,000 each

GroupsOf = Callable[[str, Collection[str]], Awaitable[Collection[str]]]
"""Says in which of these groups a person is, now. Names of groups are without ``group:``."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a ticket says: which prompt, and for whom."""

    execution_id: str
    interaction_id: str
    person: str


class Tickets:
    """Makes and reads tickets and proofs.

    ``base`` is the public URL of the routes, or None where it is not known. ``groups_of`` says in which groups people are.
    """

    def __init__(self, vault: Vault, base: str | None, groups_of: GroupsOf) -> None:
        self._vault = vault
        self._base = None if base is None else base.rstrip("/")
        self._groups_of = groups_of

    async def url(self, notice: Notice) -> str | None:
        """The link of a notice for its recipient; None where it asks nothing of them, or no public URL is known."""
        if self._base is None or notice.recipient is None or notice.interaction_id is None or not is_question(notice):
            return None
        ticket = Ticket(notice.execution_id, notice.interaction_id, notice.recipient.name)
        if not is_addressed(await self.actor(ticket, notice.assignees), notice.assignees, notice.owner):
            return None
        return f"{self._base}{PATH}?ticket={self.seal(ticket)}"

    def seal(self, ticket: Ticket) -> str:
        """The ticket as text for a link. Show it to its person only."""
        return self._vault.seal_token(encode(_names(ticket)), _SEALED_FOR)

    def read(self, text: str) -> Ticket | None:
        """The ticket that ``seal`` wrote; None if it is no ticket of this server."""
        if not text or len(text) > _LONGEST or not text.isascii():
            return None
        try:
            return Ticket(*decode(self._vault.unseal_token(text, _SEALED_FOR)))
        except (SealBroken, KeyMissing, TypeError, ValueError):
            return None

    async def actor(self, ticket: Ticket, assignees: Collection[str]) -> Actor | None:
        """The person of a ticket; None if nobody can have that name.

        They have the groups among ``assignees``, to whom the prompt is addressed, that they are in now, and no role.
        """
        groups = [name.removeprefix(GROUP) for name in assignees if name.startswith(GROUP)]
        theirs = frozenset(await self._groups_of(ticket.person, groups)) if groups else frozenset[str]()
        try:
            return Actor(ticket.person, theirs.intersection(groups), known_by=TICKET)
        except InvalidArgument:
            return None

    def proof(self, ticket: Ticket, now: float) -> str:
        """The proof for the form on the page. ``now`` is in seconds since the epoch."""
        return self._vault.seal_token(encode([int(now), *_names(ticket)]), _PROOF_FOR)

    def is_proof(self, text: str, ticket: Ticket, now: float) -> bool:
        """Whether a form has the proof of this ticket, from the last half day."""
        if not text or len(text) > _LONGEST or not text.isascii():
            return False
        try:
            made_at, *names = decode(self._vault.unseal_token(text, _PROOF_FOR))
        except (SealBroken, KeyMissing, TypeError, ValueError):
            return False
        return bool(names == _names(ticket) and 0 <= now - made_at <= PROOF_SECONDS)


def is_addressed(actor: Actor | None, assignees: Collection[str], owner: str | None) -> bool:
    """Whether a prompt is put to somebody: they are an assignee, or in a group that is one, or its owner where it has none."""
    if actor is None:
        return False
    return not actor.names.isdisjoint(assignees) if assignees else actor.id == owner


def _names(ticket: Ticket) -> list[str]:
    return [ticket.execution_id, ticket.interaction_id, ticket.person]
