"""What the pages for people show beside executions: an interaction in any status, what somebody answered, the steps of a run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import bindparam, select

from restpoint._core.serialization import decode
from restpoint._storage.queries import missing
from restpoint._storage.schema import executions, interactions, journal
from restpoint._storage.sqlite.connection import limited, prepare, word
from restpoint._storage.sqlite.database import Database
from restpoint.access import Question

_e, _i, _j = executions.c, interactions.c, journal.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked(Question):
    """An interaction in any status. Times are seconds since the epoch; ``prompt`` and ``response`` are the stored JSON.

    ``on_deadline`` is what happens at the deadline: None where the prompt expires, ``default`` where its default answers it,
    ``fail`` where the execution fails.
    """

    execution_id: str
    interaction_id: str
    workflow: str | None
    status: str
    prompt: dict[str, Any]
    created_at: float
    deadline: float | None
    closed_at: float | None
    response: dict[str, Any] | None
    answered_by: str | None
    on_deadline: str | None


_COLUMNS: Final = (
    _e.owner, _i.assignees, _i.four_eyes, _e.id, _i.id, _e.workflow, _i.status, _i.prompt, _i.created_at, _i.deadline_at,
    _i.closed_at, _i.response, _i.answered_by, _i.on_deadline,
)  # fmt: skip
_SELECT: Final = select(*_COLUMNS).select_from(interactions.join(executions, _i.execution_key == _e.key))
_ASKED: Final = prepare(_SELECT.where(_e.id == bindparam("id"), _i.id == bindparam("wait")))
_ANSWERED_BY: Final = prepare(
    limited(_SELECT.where(_i.answered_by == bindparam("actor")).order_by(_i.closed_at.desc(), _i.key.desc()))
)


def _asked(row: Sequence[Any]) -> Asked:
    owner, assignees, four_eyes, execution_id, wait_id, workflow, status, prompt, *rest = row
    created_at, deadline_at, closed_at, response, answered_by, on_deadline = rest
    return Asked(
        owner=owner,
        assignees=tuple(decode(assignees) or ()),
        four_eyes=bool(four_eyes),
        execution_id=execution_id,
        interaction_id=wait_id,
        workflow=workflow,
        status=status,
        prompt=decode(prompt),
        created_at=created_at / 1000,
        deadline=None if deadline_at is None else deadline_at / 1000,
        closed_at=None if closed_at is None else closed_at / 1000,
        response=decode(response),
        answered_by=answered_by,
        on_deadline=on_deadline,
    )


async def asked(database: Database, execution_id: str, interaction_id: str) -> Asked:
    """One interaction. Raises ``ExecutionNotFound`` and ``InteractionNotFound``."""
    for row in await database.read(_ASKED, {"id": execution_id, "wait": interaction_id}):
        return _asked(row)
    raise await missing(database, execution_id, interaction_id)


async def answered_by(database: Database, actor: str, most: int) -> list[Asked]:
    """What this actor answered, the newest first, as far as the executions are in the file."""
    return [_asked(row) for row in await database.read(_ANSWERED_BY, {"actor": actor, "max": most}, lane="long")]


@dataclass(frozen=True, slots=True)
class StepDone:
    """A step that has an outcome. ``after`` is the newest row of history at that moment, ``at`` in seconds since the epoch."""

    name: str
    after: int
    at: float
    has_failed: bool


_STEPS: Final = prepare(
    limited(
        select(_j.name, _j.settled, _j.recorded_at, _j.error.is_not(None))
        .select_from(journal.join(executions, _j.execution_key == _e.key))
        .where(_e.id == bindparam("id"), _j.kind == word("step"), _j.settled.is_not(None))
        .order_by(_j.ordinal, _j.recorded_at)
    )
)


async def steps(database: Database, execution_id: str, most: int) -> list[StepDone]:
    """The steps of a run that have an outcome, in the order of their outcomes."""
    return [
        StepDone(name, settled, at / 1000, bool(failed))
        for name, settled, at, failed in await database.read(_STEPS, {"id": execution_id, "max": most}, lane="long")
    ]
