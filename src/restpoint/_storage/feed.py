"""The feed: which rows of the history, over all executions, an actor may be shown, and the facts that the policy judges them by.

A reader who is close to the end of the history goes through its newest rows. One who is far behind and sees few executions is
given their rows by the index of each execution, so that it costs nothing how much others have written meanwhile.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, bindparam, exists, func, literal_column, select, union_all

from restpoint._core.serialization import decode, encode
from restpoint._storage.history import ANCHOR, last_sequence
from restpoint._storage.schema import assignments, executions, history, interactions
from restpoint._storage.sqlite.connection import limited, listed, prepare, word
from restpoint._storage.sqlite.database import Database
from restpoint.access import GROUP, Question, Subject
from restpoint.events import EventKind

_a, _e, _h, _i = assignments.c, executions.c, history.c, interactions.c

WINDOW: Final = 5_000
"""Rows of the history that one reading goes through."""

MOST_BY_INDEX: Final = 1_000
"""The executions of a reader who is far behind that are read one by one; one who sees more goes through all of the history."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a reader wants of what they may see. ``names`` are those that reach them; None: they see everything."""

    actor: str
    names: Collection[str] | None
    workflow: str | None = None
    events: Collection[EventKind] = ()

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of the queries."""
        names = list(self.names or ())
        return {
            "actor": self.actor,
            "names": encode(names),
            "owners": encode([name for name in names if not name.startswith(GROUP)]),  # groups own nothing
            "workflow": self.workflow,
            "events": json.dumps([str(kind) for kind in self.events]),
        }


class Place(NamedTuple):
    """A row of the history, and the execution and the wait that it is about."""

    sequence: int
    execution_id: str
    event: str
    wait_id: str | None


@dataclass(frozen=True, slots=True)
class Reading:
    """Some rows that a reader may see, and the row of the history up to which there are no more of them."""

    places: list[Place]
    through: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What the policy judges an execution by, and those of its prompts that were asked about."""

    subject: Subject
    prompts: Mapping[str, Question] = field(default_factory=dict)


# --- Which rows ------------------------------------------------------------------------------------------------------

_PLACE: Final = (_h.sequence, _h.execution_id, _h.event, _h.wait_id)
_assignee = func.json_each(_i.assignees).table_valued("value", name="assignee")
_IS_ADDRESSED: Final = (
    exists(_i.key)
    .where(
        _i.execution_key == _e.key,
        _i.status == word("pending"),
        _i.assignees.is_not(None),
        exists(_assignee.c.value).where(_assignee.c.value.in_(listed("names"))).correlate(interactions),
    )
    .correlate(executions)
)
_IS_ANSWERED: Final = (
    exists(_i.key).where(_i.answered_by == bindparam("actor"), _i.execution_key == _e.key).correlate(executions)
)
_IS_THEIRS: Final = _e.owner.in_(listed("owners")) | _IS_ADDRESSED | _IS_ANSWERED
_created = history.alias("created")
# The history knows the workflow of an execution that has left the file.
_WORKFLOW: Final = func.coalesce(
    _e.workflow,
    limited(
        select(func.json_extract(_created.c.detail, word("$.workflow"))).where(
            _created.c.execution_id == _h.execution_id, _created.c.event == word(EventKind.EXECUTION_CREATED)
        ),
        literal_column("1"),
    )
    .correlate(history)
    .scalar_subquery(),
)


def _filters(wanted: Wanted) -> list[ColumnElement[bool]]:
    return [
        *([bindparam("workflow") == _WORKFLOW] if wanted.workflow is not None else []),
        *([_h.event.in_(listed("events"))] if wanted.events else []),
    ]


def _scan(wanted: Wanted) -> str:
    theirs = [_IS_THEIRS] if wanted.names is not None else []
    return prepare(
        limited(
            select(*_PLACE)
            .select_from(history.outerjoin(executions, _e.id == _h.execution_id))
            .where(
                _h.sequence > bindparam("after"),
                _h.sequence <= bindparam("through"),
                _h.execution_id.is_not(None),
                *theirs,
                *_filters(wanted),
            )
            .order_by(_h.sequence)
        )
    )


_of_name = (
    select(_e.id)
    .select_from(
        assignments.join(interactions, _i.key == _a.interaction_key).join(executions, _e.key == _i.execution_key)
    )
    .where(_a.name.in_(listed("names")))
)
_answered = (
    select(_e.id)
    .select_from(interactions.join(executions, _e.key == _i.execution_key))
    .where(_i.answered_by == bindparam("actor"))
)
_THEIRS: Final = prepare(
    union_all(
        *(
            select(limited(each).subquery())
            for each in (select(_e.id).where(_e.owner.in_(listed("owners"))), _of_name, _answered)
        )
    )
)
_in_order: ColumnElement[int] = literal_column("+history.sequence")  # so that the index of the executions is used


def _by_index(wanted: Wanted) -> str:
    return prepare(
        limited(
            select(*_PLACE)
            .select_from(history.outerjoin(executions, _e.id == _h.execution_id))
            .where(_h.execution_id.in_(listed("ids")), _h.sequence > bindparam("after"), *_filters(wanted))
            .order_by(_in_order)
        )
    )


async def read(database: Database, wanted: Wanted, after: int, most: int) -> Reading:
    """Rows after the row ``after`` that the reader may see, in order, at most ``most`` of them."""
    head = await last_sequence(database)
    given = {**wanted.parameters, "after": after, "max": most}
    if wanted.names is not None and head - after > 2 * WINDOW:
        ids = await _few_executions(database, given)
        if ids is not None:
            rows = list(await database.read(_by_index(wanted), {**given, "ids": json.dumps(ids)}, lane="long"))
            return Reading([Place(*row) for row in rows], rows[-1][0] if len(rows) == most else head)
    through = min(after + WINDOW, head)
    rows = list(await database.read(_scan(wanted), {**given, "through": through}, lane="long"))
    return Reading([Place(*row) for row in rows], rows[-1][0] if len(rows) == most else through)


async def _few_executions(database: Database, given: Mapping[str, Any]) -> list[str] | None:
    found = await database.read(_THEIRS, {**given, "max": MOST_BY_INDEX + 1}, lane="long")
    ids = sorted({row[0] for row in found})
    return ids if len(ids) <= MOST_BY_INDEX else None


# --- What the policy judges them by ----------------------------------------------------------------------------------

_FACTS: Final = prepare(
    select(_e.id, _e.owner, _i.id, _i.status, _i.assignees, _i.four_eyes, _i.excluded, _i.answered_by)
    .select_from(
        executions.outerjoin(
            interactions,
            (_i.execution_key == _e.key)
            & (
                ((_i.status == word("pending")) & _i.assignees.is_not(None))
                | (_i.answered_by == bindparam("actor"))
                | _i.id.in_(listed("waits"))
            ),
        )
    )
    .where(_e.id.in_(listed("ids")))
)


async def facts(database: Database, actor: str, places: Collection[Place]) -> dict[str, Facts]:
    """The facts of the executions that these rows are about, by their ids, as they are now; none of those that left the file."""
    ids = sorted({place.execution_id for place in places})
    waits = sorted({place.wait_id for place in places if place.wait_id is not None})
    given = {"actor": actor, "ids": json.dumps(ids), "waits": json.dumps(waits)}
    owners: dict[str, str | None] = {}
    addressed: dict[str, set[str]] = {}
    answered: dict[str, frozenset[str]] = {}
    prompts: dict[str, dict[str, Question]] = {}
    for row in await database.read(_FACTS, given, lane="long"):
        execution_id, owner, wait_id, status, assignees, four_eyes, excluded, answered_by = row
        owners[execution_id] = owner
        if wait_id is None:
            continue
        people = tuple(decode(assignees) or ())
        if status == "pending":
            addressed.setdefault(execution_id, set()).update(people)
        if answered_by == actor:
            answered[execution_id] = frozenset((actor,))
        asked = Question(owner, people, bool(four_eyes), tuple(decode(excluded) or ()))
        prompts.setdefault(execution_id, {})[wait_id] = asked
    return {
        execution_id: Facts(
            Subject(owner, frozenset(addressed.get(execution_id, ())), answered.get(execution_id, frozenset())),
            prompts.get(execution_id, {}),
        )
        for execution_id, owner in owners.items()
    }


# --- What is missing -------------------------------------------------------------------------------------------------

_gone = func.json_each(_h.detail, word("$.execution_ids")).table_valued("value", name="gone")
_missed = history.alias("missed")
_LOST: Final = prepare(
    limited(
        select(_h.sequence)
        .select_from(history)
        .join(_gone, literal_column("1") == literal_column("1"))
        .where(
            _h.execution_id.is_(None),
            _h.event == word(EventKind.SWEPT),
            _h.sequence > bindparam("after"),
            exists(_missed.c.sequence).where(
                _missed.c.execution_id == _gone.c.value, _missed.c.sequence > bindparam("after")
            ),
            exists(_created.c.sequence).where(
                _created.c.execution_id == _gone.c.value,
                _created.c.event == word(EventKind.EXECUTION_CREATED),
                func.json_extract(_created.c.detail, word("$.owner")).in_(listed("owners")),
            ),
        ),
        literal_column("1"),
    )
)


async def pruned_through(database: Database) -> int:
    """The last row of the history that retention has removed; 0 where it has removed none."""
    ((sequence, _),) = await database.read(ANCHOR)
    return int(sequence)


async def lost_executions(database: Database, wanted: Wanted, after: int) -> bool:
    """Whether executions of this reader were swept of which something happened after the row ``after``."""
    return bool(list(await database.read(_LOST, {**wanted.parameters, "after": after}, lane="long")))
