"""What executions that run are doing, and whether anybody goes on with them.

Each process with a runner says with its lease which workflows it has. An execution that runs has a *problem* where its process is
gone and none that is alive has its workflow in its version, or where no runner runs it at all; or where a runner found that it
cannot go on with it, and left the reason in the row. An execution that waits for a person needs no process until it is answered.
"""

import json
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, bindparam, delete, exists, func, or_, select
from sqlalchemy.dialects.sqlite import insert

from restpoint._core.execution_row import ExecutionSummary, StepDone
from restpoint._core.timestamps import span
from restpoint._storage.leases import Holder
from restpoint._storage.schema import executions, failures, journal, leases, runners, runs, step_attempts
from restpoint._storage.sqlite.connection import ONE, ZERO, limited, listed, prepare, word, words
from restpoint._storage.sqlite.database import Database, Row, Transaction
from restpoint._storage.sqlite.triggers import RETIRED
from restpoint.lifecycle import TERMINAL, ExecutionStatus

_e, _r, _l, _j, _a, _f = executions.c, runs.c, leases.c, journal.c, step_attempts.c, failures.c

_workflows = select(func.json_group_array(runners.c.workflow)).where(runners.c.lease == _l.id).scalar_subquery()
_LEASES: Final = prepare(select(_l.id, _l.host, _l.pid, _l.started, _l.expires_at, _workflows))
_RUNNING_ROW: Final[Select[Any]] = select(
    _e.id, _e.status, _e.ready, _e.lease, _e.wake_at, _e.problem, _e.workflow, _r.version
).select_from(executions.outerjoin(runs, _r.execution_key == _e.key))


# --- Who is there ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes on a file, as their leases tell at one moment: ``silent`` ones with when their lease ran out."""

    now: int
    living: Collection[int]
    silent: dict[int, int]
    workflows: Collection[str]
    """The workflows of all that are alive, as ``name@version``."""

    @classmethod
    def read(cls, rows: Iterable[Row], now: int) -> "Processes":
        """From the rows of the leases, at ``now`` (milliseconds since the epoch)."""
        living, silent, known = set[int](), dict[int, int](), set[str]()
        for lease, host, pid, started, until, workflows in rows:
            if not Holder(host, pid, started).is_alive(until, now):
                continue
            living.add(lease)
            known.update(json.loads(workflows))
            if until <= now:
                silent[lease] = until
        return cls(now, living, silent, known)

    def problem_of(self, row: Row) -> str | None:
        """Why nobody goes on with an execution; None where somebody does, or nobody need. The row is a ``_RUNNING_ROW``."""
        _, status, ready, lease, _, problem, workflow, version = row
        if problem is not None or status != ExecutionStatus.RUNNING:
            return None if problem is None else str(problem)
        if ready is None:
            if lease in self.living:
                return None
            return (
                "The process that ran it is gone, and no runner runs it: a program that opens the file may go on with it, or "
                "fail it with ExecutionStore.recover()."
            )
        if f"{workflow}@{version}" in self.workflows or (lease in self.living and lease not in self.silent):
            return None
        if lease in self.silent:
            return f"The process that runs it has given no sign for {span((self.now - self.silent[lease]) // 1000)}."
        gone = "" if lease is None else "The process that ran it is gone. "
        return f"{gone}No process that is alive has the workflow {workflow} in version {version}: start a server that has it."

    def parameters(self) -> dict[str, str]:
        """Those of ``HAS_A_PROBLEM``."""
        heard = [lease for lease in self.living if lease not in self.silent]
        given = {"living": list(self.living), "heard": heard, "known": list(self.workflows)}
        return {name: json.dumps(values) for name, values in given.items()}


_of_its_run = select(_r.version).where(_r.execution_key == _e.key).correlate(executions).scalar_subquery()
_code = _e.workflow.op("||")(word("@")).op("||")(_of_its_run)
HAS_A_PROBLEM: Final[ColumnElement[bool]] = or_(
    _e.problem.is_not(None),
    and_(_e.ready.is_(None), _e.lease.is_(None) | _e.lease.not_in(listed("living"))),
    and_(_e.ready.is_not(None), _e.lease.is_(None) | _e.lease.not_in(listed("heard")), _code.not_in(listed("known"))),
)
"""In SQL, that ``Processes.problem_of`` an execution that runs is not None."""


async def processes(database: Database, now: int) -> Processes:
    """The processes on the file at ``now`` (milliseconds since the epoch)."""
    return Processes.read(await database.read(_LEASES), now)


_ANNOUNCE: Final = prepare(insert(runners).on_conflict_do_nothing(), order=("lease", "workflow"))
_RETRACT: Final = prepare(
    delete(runners).where(runners.c.lease == bindparam("lease"), runners.c.workflow.in_(listed("workflows")))
)
_FORGET_DEAD: Final = prepare(delete(runners).where(~exists().where(_l.id == runners.c.lease)))


def announce(tx: Transaction, lease: int, workflows: Collection[str], *, leaving: bool = False) -> None:
    """Say that the process with this lease runs these workflows (``name@version``), or with ``leaving`` that it does no more."""
    tx.execute(_FORGET_DEAD, ())
    if leaving:
        tx.execute(_RETRACT, {"lease": lease, "workflows": json.dumps(list(workflows))})
        return
    for workflow in workflows:
        tx.execute(_ANNOUNCE, (lease, workflow))


# --- One execution ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StepUnderWay:
    """A step whose last attempt failed, and which is tried again. Times are seconds since the epoch.

    ``attempts`` have failed; the next one begins at ``next_at``. ``error_type`` is the class of what the last one raised.
    """

    name: str
    attempts: int
    failed_at: float
    next_at: float
    error_type: str
    error_message: str


@dataclass(frozen=True, slots=True)
class Progress:
    """What an execution that runs is doing. Times are seconds since the epoch."""

    problem: str | None = None
    """Why nobody goes on with it; None where somebody does."""
    sleeping_until: float | None = None
    """When it has slept enough; None where it does not sleep."""
    steps: tuple[StepUnderWay, ...] = ()
    """The steps that have failed and are tried again."""


_until = func.json_extract(_j.result, word("$.until"))
_SLEEP: Final = (
    select(func.min(_until))
    .where(
        _j.execution_key == _e.key,
        _j.kind == word("sleep"),
        _j.settled.is_(None),
        func.instr(_j.position, word(RETIRED)) == ZERO,
    )
    .correlate(executions)
    .scalar_subquery()
)
_tried = func.json_array(_a.name, _a.attempts, _a.failed_at, _a.next_at, func.json(_a.error))
_STEPS: Final = (
    select(func.json_group_array(_tried)).where(_a.execution_key == _e.key).correlate(executions).scalar_subquery()
)
_PROGRESS: Final = prepare(_RUNNING_ROW.add_columns(_SLEEP, _STEPS).where(_e.id == bindparam("id")))


async def progress(database: Database, execution_id: str, now: int) -> Progress:
    """What an execution does at ``now`` (milliseconds since the epoch); nothing where it does not run."""
    for *row, until, steps in await database.read(_PROGRESS, {"id": execution_id}):
        if row[1] != ExecutionStatus.RUNNING:
            return Progress(row[5])
        problem = (await processes(database, now)).problem_of(tuple(row))
        tried = tuple(
            StepUnderWay(name, attempts, failed_at / 1000, next_at / 1000, *_error(error))
            for name, attempts, failed_at, next_at, error in json.loads(steps)
        )
        return Progress(problem, None if until is None else until / 1000, tried)
    return Progress()


def _error(kept: dict[str, Any]) -> tuple[str, str]:
    """The class and the message of an error that the journal keeps."""
    if "failed" in kept:
        return "WorkflowFailed", str(kept["failed"])
    return str(kept.get("type", "NotJSON")), str(kept.get("message", kept.get("problem", "")))


# --- Several ---------------------------------------------------------------------------------------------------------

_THESE: Final = prepare(_RUNNING_ROW.where(_e.id.in_(listed("ids"))))
_STRANDED: Final = prepare(
    limited(
        _RUNNING_ROW.add_columns(func.count().over())
        .where(_e.status == word(ExecutionStatus.RUNNING), _e.problem.is_(None), HAS_A_PROBLEM)
        .order_by(_e.key),
        ONE,
    )
)


async def with_progress(
    database: Database, items: Sequence[ExecutionSummary], now: int
) -> tuple[ExecutionSummary, ...]:
    """The lines of a list, those that run with their problem and with the end of their sleep."""
    ids = [item.execution_id for item in items if item.status == ExecutionStatus.RUNNING]
    if not ids:
        return tuple(items)
    there = await processes(database, now)
    rows = {row[0]: row for row in await database.read(_THESE, {"ids": json.dumps(ids)}, lane="long")}

    def told(item: ExecutionSummary) -> ExecutionSummary:
        row = rows.get(item.execution_id)
        if row is None:
            return item
        wake_at = None if row[4] is None else row[4] / 1000
        return replace(item, problem=there.problem_of(row), sleeping_until=wake_at)

    return tuple(told(item) if item.execution_id in rows else item for item in items)


def stranded(connection: sqlite3.Connection, now: int) -> tuple[int, str, str]:
    """How many executions run that nobody goes on with; the oldest of them, and why. The texts are empty where there is none."""
    there = Processes.read(connection.execute(_LEASES).fetchall(), now)
    for *row, count in connection.execute(_STRANDED, there.parameters()).fetchall():
        return count, row[0], there.problem_of(tuple(row)) or ""
    return 0, "", ""


_OPEN_BY_CODE: Final = prepare(
    select(_e.workflow, _r.version, func.count())
    .select_from(executions.join(runs, _r.execution_key == _e.key))
    .where(_e.status.in_(words(status for status in ExecutionStatus if status not in TERMINAL)))
    .group_by(_e.workflow, _r.version)
    .order_by(_e.workflow, _r.version)
)


async def without_code(database: Database, known: Collection[str]) -> list[tuple[str, int]]:
    """The workflows that open executions have and that are not among the ``known`` (``name@version``), each with how many."""
    rows = await database.read(_OPEN_BY_CODE, lane="long")
    found = [(f"{workflow}@{version}", count) for workflow, version, count in rows]
    return [(workflow, count) for workflow, count in found if workflow not in known]


# --- Failures --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Failure:
    """What a workflow raised, for operators: the class, its message, and the traceback as Python prints it."""

    type: str
    message: str
    traceback: str


_FAILURE: Final = prepare(
    select(_f.type, _f.message, _f.traceback)
    .select_from(failures.join(executions, _f.execution_key == _e.key))
    .where(_e.id == bindparam("id"))
)


async def failure(database: Database, execution_id: str) -> Failure | None:
    """What the workflow of a failed execution raised; None where it did not raise."""
    for row in await database.read(_FAILURE, {"id": execution_id}):
        return Failure(*row)
    return None


_STEPS_DONE: Final = prepare(
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
        for name, settled, at, failed in await database.read(
            _STEPS_DONE, {"id": execution_id, "max": most}, lane="long"
        )
    ]
