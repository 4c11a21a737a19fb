"""What waits for a person: prompts that they may answer, and consents that they may grant, the most urgent first."""

import math
import time
from dataclasses import dataclass
from typing import Any, Final, Self

from restpoint._core.reminders import Reminders
from restpoint._storage import Asked, assignments
from restpoint.access import Actor
from restpoint.errors import NotFound
from restpoint.lifecycle import ExecutionStatus
from restpoint.service import Service

_PAGE: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One prompt or consent that is open. Times are seconds since the epoch; ``prompt`` is None for a consent.

    ``due`` is when it should be answered, or else when it cannot be answered any more. ``voted`` is how many have voted.
    """

    execution_id: str
    interaction_id: str
    workflow: str | None
    owner: str | None
    priority: int
    due: float | None
    created_at: float
    claimed_by: str | None = None
    prompt: dict[str, Any] | None = None
    provider: str | None = None
    reminders: Reminders | None = None
    votes: int | None = None
    voted: int = 0

    @classmethod
    def of(cls, asked: Asked | assignments.InboxItem) -> Self:
        """A prompt that is open."""
        return cls(
            execution_id=asked.execution_id,
            interaction_id=asked.interaction_id,
            workflow=asked.workflow,
            owner=asked.owner,
            priority=asked.priority,
            due=asked.deadline if asked.due is None else asked.due,
            created_at=asked.created_at,
            claimed_by=asked.claimed_by,
            prompt=asked.prompt,
            reminders=asked.reminders,
            votes=asked.votes,
            voted=len(asked.voted),
        )

    @property
    def address(self) -> tuple[str, str]:
        """What tells it from every other."""
        return self.execution_id, self.interaction_id

    @property
    def key(self) -> str:
        """What pages know its row by."""
        return key_of(self)

    @property
    def urgency(self) -> tuple[float, int, float]:
        """What the list is sorted by: when it is due, then the priority, then the age."""
        return (math.inf if self.due is None else self.due, -self.priority, self.created_at)


@dataclass(frozen=True, slots=True)
class WaitingPage:
    """Some of what waits, the most urgent first. ``next_cursor`` gets the page after it; None on the last one.

    ``lacks_consents`` says that more consents wait than are among the items.
    """

    items: list[Waiting]
    next_cursor: str | None
    lacks_consents: bool = False


def key_of(asked: Asked | Waiting) -> str:
    """What pages know the row of a prompt or consent by. No id of an execution has a slash."""
    return f"{asked.execution_id}/{asked.interaction_id}"


async def waiting(
    service: Service, actor: Actor, *, workflow: str | None = None, cursor: str | None = None
) -> WaitingPage:
    """What the actor may answer or grant. The consents are on the first page. Raises ``InvalidArgument`` for another cursor."""
    page = await service.inbox(actor, workflow=workflow, limit=_PAGE, cursor=cursor)
    found = [Waiting.of(each) for each in page.items]
    lacks_consents = False
    if cursor is None:
        consents = await _consents(service, actor, workflow)
        lacks_consents = len(consents) > _PAGE
        found += consents[:_PAGE]
        found.sort(key=lambda each: each.urgency)
    return WaitingPage(found, page.next_cursor, lacks_consents)


async def _consents(service: Service, actor: Actor, workflow: str | None) -> list[Waiting]:
    """The consents that the actor may grant: one more than a page has, where there are more."""
    ids = dict.fromkeys(await service.awaiting_consent(actor, workflow=workflow, limit=_PAGE + 1))
    # A policy of the application's own may let people see consents of others, too.
    page = await service.list(actor, status=ExecutionStatus.OAUTH_REQUIRED, workflow=workflow, limit=_PAGE)
    ids |= dict.fromkeys(each.execution_id for each in page.items)
    found = []
    for execution_id in ids:
        try:
            view = await service.status(actor, execution_id)
        except NotFound:  # it was granted meanwhile
            continue
        if (consent := view.consent) is not None:
            record = view.record
            found.append(
                Waiting(
                    execution_id=execution_id,
                    interaction_id=consent.consent_id,
                    workflow=record.workflow,
                    owner=record.owner,
                    priority=record.priority,
                    due=consent.deadline,
                    created_at=consent.created_at,
                    provider=consent.provider or "",
                )
            )
    return found


def state_of(asked: Asked) -> str:
    """Where the prompt is: ``open``, ``late`` (nobody answered in time), ``answered`` or ``withdrawn``."""
    if asked.status == "pending":
        return "late" if asked.deadline is not None and asked.deadline <= time.time() else "open"
    return {"answered": "answered", "expired": "late"}.get(asked.status, "withdrawn")
