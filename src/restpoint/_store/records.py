"""Records: the live objects of executions, which follow every transition, made by this process or another.

There is at most one record of an execution in a process, for as long as anyone holds it. A future refers to its pending
interaction and that to its record; the references back are weak. So a paused execution that nobody holds or awaits costs no
memory, and new objects are made from its rows when someone asks for it again.

A record shows its ``ExecutionState``, which is replaced and never changed: see ``execution_state.py``.
"""

import asyncio
import weakref
from collections.abc import Callable
from typing import Any

from restpoint._core.changes import Change, Wait
from restpoint._core.execution_row import STATUS, SUMMARIZED, ExecutionSummary, summary_of
from restpoint._core.serialization import decode
from restpoint._storage import Address, Claim, Snapshot, leases
from restpoint._store import execution_state
from restpoint._store.execution_state import ExecutionState
from restpoint._store.futures import Asking, FirstOutcome, Observer, PendingInteraction, PendingOAuth, read_answer
from restpoint.errors import (
    ExecutionCancelled,
    ExecutionNotFound,
    InteractionExpired,
    InteractionWithdrawn,
    RestpointError,
    StoreClosed,
)
from restpoint.lifecycle import TERMINAL, ExecutionStatus
from restpoint.prompts.prompt_models import PromptModels


class ExecutionRecord:
    """One execution, live. Times are seconds since the epoch."""

    __slots__ = (
        "__weakref__", "_askings", "_claim", "_ended", "_first_outcome", "_observers", "_pending", "_standing", "_task",
        "_watch", "closings", "detachment", "models", "state",
    )  # fmt: skip

    def __init__(
        self,
        state: ExecutionState,
        watch: Callable[["ExecutionRecord", object], None],
        models: PromptModels,
        standing: leases.Standing,
    ) -> None:
        self.state = state
        """What this process knows of the execution. Replaced by ``become`` alone."""
        self.models = models
        """The classes that its prompts and responses are read as."""
        self._watch = watch
        self._standing = standing
        self._task: asyncio.Task[Any] | None = None
        self._claim: Claim | None = None
        self._ended: Callable[[], None] | None = None
        self._first_outcome: weakref.ref[FirstOutcome] | None = None
        # Tuples, because a record that has none of either holds no container for the garbage collector to walk.
        self._observers: tuple[Observer, ...] = ()
        self._pending: dict[str, weakref.ref[PendingInteraction]] = {}
        self._askings: tuple[Asking, ...] = ()
        self.detachment: RestpointError | None = None
        """Why it does not follow its execution any more; None while it does. For the store."""
        self.closings: dict[str, int] | None = None
        """For a run: its waits that were closed since it was read and that it awaits, each with the row of history that this
        process knew of it first. None where no run wants them."""

    # --- What it shows ---

    @property
    def execution_id(self) -> str:
        """The id of the execution."""
        return self.state.row.id

    @property
    def status(self) -> ExecutionStatus:
        """The status of the execution."""
        return STATUS[self.state.row.status]

    @property
    def workflow(self) -> str | None:
        """The name of its workflow; None where it has none."""
        return self.state.row.workflow

    @property
    def owner(self) -> str | None:
        """The id of the actor who owns it; None where it has no owner."""
        return self.state.row.owner

    @property
    def priority(self) -> int:
        """Its priority, a whole number from -100 to 100, which changes no order of work."""
        return self.state.row.priority

    @property
    def version(self) -> int | None:
        """The version of its workflow; None where no runner runs it."""
        return self.state.row.run_version

    @property
    def created_at(self) -> float:
        """When it was created, in seconds since the epoch."""
        return self.state.row.created_at / 1000

    @property
    def completed_at(self) -> float | None:
        """When it ended, in seconds since the epoch; None while it has not."""
        instant = self.state.row.completed_at
        return None if instant is None else instant / 1000

    @property
    def expires_at(self) -> float | None:
        """When the sweep may delete it, in seconds since the epoch; None: never, or it has not ended."""
        instant = self.state.row.expires_at
        return None if instant is None else instant / 1000

    @property
    def error(self) -> str | None:
        """The message that it failed with, for people."""
        return self.state.row.error

    @property
    def error_code(self) -> str | None:
        """The stable code of its failure, for programs."""
        return self.state.row.error_code

    @property
    def is_run(self) -> bool:
        """Whether a runner runs it."""
        return self.state.row.run_version is not None

    @property
    def problem(self) -> str | None:
        """Why no runner can go on with it now; None where nothing is wrong."""
        return self.state.row.problem

    @property
    def lease(self) -> int | None:
        """The lease of the process that drives it, as far as this process knows."""
        return self.state.row.lease

    @property
    def claim(self) -> Claim | None:
        """The claim by which this process drove the execution last, though another may have taken it over since."""
        return self._claim

    @property
    def summary(self) -> ExecutionSummary:
        """Its summary, as in a list. ``hold`` is as it was last read from the file."""
        row = self.state.row.changed(open_waits=len(self.state.open))
        return summary_of(tuple(getattr(row, name) for name in SUMMARIZED))

    @property
    def is_detached(self) -> bool:
        """Whether it stopped following its execution, which left the file or whose store was closed."""
        return self.detachment is not None

    @property
    def result(self) -> Any:
        """The result, a JSON value; None until the execution is completed.

        Raises ``ExecutionNotFound`` where another process completed it and it was swept before this process read it.
        """
        result = self.state.row.result
        if result is None and self.status is ExecutionStatus.COMPLETED:
            raise ExecutionNotFound(self.execution_id)
        return decode(result)

    @property
    def pending_interaction(self) -> PendingInteraction | None:
        """The oldest open prompt; None where there is none."""
        return next(iter(self.pending_interactions), None)

    @property
    def pending_interactions(self) -> tuple[PendingInteraction, ...]:
        """Every open prompt, the oldest first."""
        return tuple(self._interaction(wait) for wait in self.state.open.values() if wait.kind == "interaction")

    @property
    def pending_oauth(self) -> PendingOAuth | None:
        """The oldest open consent; None where there is none."""
        return next(iter(self.pending_oauths), None)

    @property
    def pending_oauths(self) -> tuple[PendingOAuth, ...]:
        """Every open consent, the oldest first."""
        return tuple(PendingOAuth(wait) for wait in self.state.open.values() if wait.kind == "consent")

    # --- Waiting for it ---

    @property
    def task(self) -> "asyncio.Task[Any] | None":
        """The task that runs the execution in this process, for the caller to set.

        It is cancelled with the execution, whichever process cancels that. While it runs, it keeps the record in memory.
        """
        return self._task

    @task.setter
    def task(self, task: "asyncio.Task[Any] | None") -> None:
        self._task = task
        if task is not None:
            self._watch(self, task)

    @property
    def has_paused(self) -> bool:
        """Whether the execution has paused or ended before."""
        return self.state.has_paused

    @property
    def first_outcome(self) -> asyncio.Event:
        """Set once the execution has paused or ended for the first time."""
        event = self._first_outcome() if self._first_outcome is not None else None
        if event is None:
            event = FirstOutcome(self)
            self._first_outcome = weakref.ref(event)
            if self.has_paused:
                event.set()
        return event

    async def changed(self) -> None:
        """Return at the next change of this execution, made by this process or another. Adopts nothing.

        Raises ``StoreClosed`` when the store closes first.
        """
        observer = Observer()
        if self.detachment is not None:
            raise self.detachment
        self._observers = (*self._observers, observer)
        self._watch(self, observer)
        try:
            await observer
        finally:
            self._observers = tuple(each for each in self._observers if each is not observer)

    # --- For the store and the runner ---

    @property
    def is_awaited(self) -> bool:
        """Whether someone here awaits something of it, or may."""
        return bool(self._pending or self._observers or self._first_outcome is not None or self._task is not None)

    @property
    def awaited(self) -> frozenset[str]:
        """The interactions whose futures someone in this process awaits, and those that are being asked at this moment."""
        pending = [each for reference in self._pending.values() if (each := reference()) is not None]
        asked = (asking.wait_id for asking in self._askings)
        return frozenset((*(each.interaction_id for each in pending if each.is_awaited), *asked))

    def watch(self, waiter: object) -> None:
        """Note that someone in this process waits for it: see ``lease_keeper.py``."""
        self._watch(self, waiter)

    def attach_run(self, task: "asyncio.Task[Any] | None", ended: Callable[[], None]) -> None:
        """Cancel this task of a run with the execution, and call ``ended`` when the execution ends.

        Unlike the setter of ``task``, this adopts nothing: the run has a claim.
        """
        self._task, self._ended = task, ended

    def detach_run(self, task: "asyncio.Task[Any] | None", ended: Callable[[], None]) -> None:
        """Undo ``attach_run``. Nothing happens where another run was attached since."""
        if self._ended == ended:
            self._ended = None
        if self._task is task:
            self._task = None

    def begin_asking(self, interaction_id: str) -> Asking:
        """Keep the prompt that is going to be written under this id, from COMMIT on, until ``end_asking`` is called."""
        asking = Asking(interaction_id)
        self._askings = (*self._askings, asking)
        return asking

    def end_asking(self, asking: Asking) -> None:
        """Undo ``begin_asking``."""
        left = list(self._askings)
        left.remove(asking)
        self._askings = tuple(left)

    def open_interaction(self, interaction_id: str) -> PendingInteraction | None:
        """The open prompt with this id; None where it is not open."""
        wait = self._open(interaction_id)
        return None if wait is None else self._interaction(wait)

    def address(self, interaction_id: str) -> Address | None:
        """Whom an open interaction is addressed to, as far as this process knows; None where it is not open.

        Another process may have addressed it to others since.
        """
        wait = self._open(interaction_id)
        if wait is None:
            return None
        people = tuple(decode(wait.assignees) or ()), bool(wait.four_eyes), tuple(decode(wait.excluded) or ())
        return Address(self.owner, *people, status=wait.status)

    def open_prompt(self, interaction_id: str) -> tuple[str, int | None] | None:
        """The prompt of an open interaction as JSON, and how many equal votes answer it."""
        wait = self._open(interaction_id)
        return None if wait is None else (wait.prompt or "", wait.votes)

    def _open(self, interaction_id: str) -> Wait | None:
        wait = self.state.open.get(interaction_id)
        return wait if wait is not None and wait.kind == "interaction" else None

    def _interaction(self, wait: Wait) -> PendingInteraction:
        reference = self._pending.get(wait.id)
        pending = reference() if reference is not None else None
        if pending is None:
            pending = PendingInteraction(self, wait)
            self._pending[wait.id] = weakref.ref(pending)
        else:
            pending.follow(wait)
        return pending

    # --- How it changes ---

    def hear(self, event: Change) -> None:
        """Fold an event that this process committed."""
        row = event if event.execution is None else event.execution
        claim = self._claim
        if (
            row.lease is not None
            and (claim is None or (row.lease, row.epoch) != (claim.lease, claim.epoch))
            and not self.is_run
        ):
            self._claim = Claim(event.execution_id, row.lease, row.epoch, standing=self._standing)
        self.become(execution_state.fold(self.state, event))

    def learn(self, reading: Snapshot) -> bool:
        """Take over a reading of the file. False where this process knows something newer, so it must read again."""
        state = execution_state.replace(self.state, reading)
        if state is None:
            return False
        self.become(state)
        return True

    def drive(self, lease: int, epoch: int) -> None:
        """Note that this process drives the execution from now on, of which there is no event."""
        self._claim = Claim(self.execution_id, lease, epoch, standing=self._standing)
        self.state = self.state._replace(row=self.state.row.changed(lease=lease, epoch=epoch))

    def become(self, state: ExecutionState) -> None:
        """Replace the state, and resolve futures and events by the difference of the two states."""
        old, self.state = self.state, state
        if state is old:
            return
        if state.has_paused and not old.has_paused and self._first_outcome is not None:
            event = self._first_outcome()
            if event is not None:
                event.set()
        if state.row.status != old.row.status:
            if state.row.status == "cancelled" and self._task is not None:
                self._task.cancel(f"execution {self.execution_id} was cancelled")
            if state.row.status in TERMINAL and self._ended is not None:
                self._ended()
        for wait in state.closed:
            self._settle(wait)
        if self._askings:
            self._keep_asked()
        # Compare the waits too: a reading as of the newest row known here may show that another process closed one before it.
        if self._observers and (state.as_of != old.as_of or state.open.keys() != old.open.keys()):
            self._tell_observers(None)

    def _keep_asked(self) -> None:
        for asking in self._askings:
            if asking.pending is None:
                asking.pending = self.open_interaction(asking.wait_id)

    def _settle(self, wait: Wait) -> None:
        """Resolve the future of a closed interaction, and note the closing for a run."""
        reference = self._pending.pop(wait.id, None)
        pending = None if reference is None else reference()
        if self.closings is not None and (pending is not None or wait.kind == "consent"):
            self.closings.setdefault(wait.id, self.state.as_of)
        if pending is None:
            return
        if wait.status == "answered":
            pending.settle(wait.given or read_answer(self.models, wait), wait)
        elif wait.status == "expired":
            pending.settle(InteractionExpired(self.execution_id, wait.id))
        elif wait.ended:
            pending.settle(ExecutionCancelled(f"Execution {self.execution_id} has {self.status} while it waited."))
        else:
            pending.settle(InteractionWithdrawn(self.execution_id, wait.id))

    def detach(self, why: RestpointError) -> None:
        """Stop following the execution, and wake whoever waits for this record."""
        self.detachment = why
        self._tell_observers(why if isinstance(why, StoreClosed) else None)
        event = self._first_outcome() if self._first_outcome is not None else None
        if event is not None:
            event.set()
        for reference in list(self._pending.values()):
            pending = reference()
            if pending is not None and not pending.is_settled:
                pending.settle(why)

    def _tell_observers(self, why: RestpointError | None) -> None:
        observers, self._observers = self._observers, ()
        for observer in observers:
            if observer.done():
                continue
            if why is None:
                observer.set_result(None)
            else:
                observer.set_exception(why)

    def __repr__(self) -> str:
        return f"<ExecutionRecord {self.execution_id} {self.status}>"
