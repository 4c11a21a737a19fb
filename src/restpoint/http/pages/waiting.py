"""What waits for a person: prompts that they may answer, and consents that they may grant, the most urgent first."""

import math
from dataclasses import dataclass
from typing import Any, Final

from restpoint.access import Actor
from restpoint.errors import NotFound
from restpoint.lifecycle import PAUSED
from restpoint.service import Service, View

_PAGES: Final = 4
_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class Waiting:
    """One prompt or consent that is open. Times are seconds since the epoch; ``prompt`` is None for a consent."""

    execution_id: str
    interaction_id: str
    workflow: str | None
    owner: str | None
    priority: int
    deadline: float | None
    created_at: float
    assignees: tuple[str, ...] = ()
    prompt: dict[str, Any] | None = None
    provider: str | None = None

    @property
    def address(self) -> tuple[str, str]:
        """What tells it from every other."""
        return self.execution_id, self.interaction_id

    @property
    def urgency(self) -> tuple[float, int, float]:
        """What the list is sorted by: the deadline, then the priority, then the age."""
        return (math.inf if self.deadline is None else self.deadline, -self.priority, self.created_at)


async def waiting(service: Service, actor: Actor) -> list[Waiting]:
    """What the actor may answer or grant, the most urgent first, of the newest executions that wait."""
    found: list[Waiting] = []
    cursor: str | None = None
    for _ in range(_PAGES):
        page = await service.list(actor, status=PAUSED, limit=_PAGE, cursor=cursor)
        for summary in page.items:
            try:
                view = await service.status(actor, summary.execution_id)
            except NotFound:  # it was answered meanwhile
                continue
            found += _open(view)
        cursor = page.next_cursor
        if cursor is None:
            break
    return sorted(found, key=lambda each: each.urgency)


def _open(view: View) -> list[Waiting]:
    record = view.record
    labels = (record.workflow, record.owner, record.priority)
    found = [
        Waiting(
            record.execution_id, each.interaction_id, *labels, each.deadline, each.created_at, each.assignees, each.data
        )
        for each in view.prompts
        if each.interaction_id in view.answerable
    ]
    if (consent := view.consent) is not None:
        provider = consent.provider or ""
        found.append(
            Waiting(
                record.execution_id,
                consent.consent_id,
                *labels,
                consent.deadline,
                consent.created_at,
                provider=provider,
            )
        )
    return found
