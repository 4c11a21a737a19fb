"""What a caller holds: live records of executions, and the futures of what they wait for.

A record is live: ``status`` follows every transition, made here or by another process. It is also the only one of its
execution in this process, for as long as anyone holds it. "Anyone" is counted by the garbage collector: references lead
from a future to its pending interaction and from there to its record, and only weak ones lead back, so a paused execution
that nobody holds or awaits costs no memory, and its rows make new objects when someone asks again.
"""

import asyncio
import logging
import weakref
from collections.abc import Callable
from typing import Any, Final, Self

from restpoint._core.changes import Wait
from restpoint._core.serialization import decode
from restpoint._storage.queries import Address
from restpoint._store.futures import FirstOutcome, Observer, PendingInteraction, PendingOAuth, read_answer
from restpoint.errors import (
    ExecutionCancelled,
    ExecutionNotFound,
    InteractionExpired,
    InteractionNotFound,
    InteractionWithdrawn,
    RestpointError,
    StoreClosed,
)
from restpoint.lifecycle import TERMINAL, ExecutionStatus
from restpoint.prompts import HumanPrompt, stored_prompt

log = logging.getLogger(__name__)

_STATUS: Final = {str(status): status for status in ExecutionStatus}


class Asking:
    """A prompt on its way into the file, for ``with``.

    ``pending`` is there once the sink was told that it was asked, also where it is closed by then.
    """

    __slots__ = ("_pending", "_record", "_wait_id")

    def __init__(self, record: "ExecutionRecord", wait_id: str) -> None:
        self._record = record
        self._wait_id = wait_id
        self._pending: PendingInteraction | None = None

    def __enter__(self) -> Self:
        self._record._asking.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._record._asking.remove(self)

    def look(self) -> None:
        """The record has changed: hold the prompt, if it is open now."""
        if self._pending is None:
            self._pending = self._record.open_interaction(self._wait_id)

    @property
    def pending(self) -> PendingInteraction:
        """The prompt that was asked."""
        if self._pending is None:
            raise InteractionNotFound(self._record.execution_id, self._wait_id)
        return self._pending


class ExecutionRecord:
    """One execution, live. Times are seconds since the epoch.

    ``is_run`` says that a runner runs it; ``problem``, why none can go on with it at the moment.
    """

    __slots__ = (
        "__weakref__", "_as_of", "_asking", "_ended", "_first_outcome", "_gone", "_lease", "_observers", "_open", "_outcome_seen",
        "_pending", "_result", "_task", "_watch", "completed_at", "created_at", "error", "error_code", "execution_id",
        "expires_at", "is_run", "owner", "problem", "status", "workflow",
    )  # fmt: skip

    def __init__(
        self,
        execution_id: str,
        created_at: float,
        watch: Callable[["ExecutionRecord", object], None],
        *,
        workflow: str | None = None,
        owner: str | None = None,
        lease: int | None = None,
        as_of: int = 0,
    ) -> None:
        self.execution_id = execution_id
        self.status = ExecutionStatus.RUNNING
        self.workflow = workflow
        self.owner = owner
        self.created_at = created_at
        self.completed_at: float | None = None
        self.expires_at: float | None = None
        self.error: str | None = None
        self.error_code: str | None = None
        self._as_of = as_of
        self._lease = lease
        self._watch = watch
        self._task: asyncio.Task[Any] | None = None
        self._result: str | None = None
        self._outcome_seen = False
        self._gone: RestpointError | None = None
        self._first_outcome: weakref.ref[FirstOutcome] | None = None
        self.is_run = False
        self.problem: str | None = None
        self._ended: Callable[[], None] | None = None
        self._observers: list[Observer] = []
        self._asking: list[Asking] = []
        self._open: dict[str, Wait] = {}
        self._pending: dict[str, weakref.ref[PendingInteraction]] = {}

    @property
    def lease(self) -> int | None:
        """The lease of the process that drives it, as far as this process knows."""
        return self._lease

    @lease.setter
    def lease(self, lease: int) -> None:
        self._lease = lease

    @property
    def is_gone(self) -> bool:
        """Whether it follows its execution no more: that left the file, or the store was closed."""
        return self._gone is not None

    @property
    def result(self) -> Any:
        """The result as it is stored: None until the execution is completed.

        Raises ``ExecutionNotFound`` where it was completed by another process and swept before this one had read it.
        """
        if self._result is None and self.status is ExecutionStatus.COMPLETED:
            raise ExecutionNotFound(self.execution_id)
        return decode(self._result)

    @property
    def task(self) -> "asyncio.Task[Any] | None":
        """The task that runs the execution here: the caller's to set.

        ``ExecutionStore.cancel`` cancels it, wherever the cancellation came from. While it runs, it keeps the record.
        """
        return self._task

    @task.setter
    def task(self, task: "asyncio.Task[Any] | None") -> None:
        self._task = task
        if task is not None:
            self._watch(self, task)

    @property
    def first_outcome(self) -> asyncio.Event:
        """Set once the execution has paused or ended for the first time."""
        event = self._first_outcome() if self._first_outcome is not None else None
        if event is None:
            event = FirstOutcome(self)
            self._first_outcome = weakref.ref(event)
            if self._outcome_seen:
                event.set()
        return event

    async def changed(self) -> None:
        """Return at the next change of this execution, made here or by another process. Only looks; drives nothing.

        Raises ``StoreClosed`` when the store closes first.
        """
        observer = Observer()
        if self._gone is not None:
            raise self._gone
        self._observers.append(observer)
        self._watch(self, observer)
        try:
            await observer
        finally:
            if observer in self._observers:
                self._observers.remove(observer)

    @property
    def pending_interaction(self) -> PendingInteraction | None:
        """The oldest open prompt."""
        return next(iter(self.pending_interactions), None)

    @property
    def pending_interactions(self) -> tuple[PendingInteraction, ...]:
        """Every open prompt, the oldest first."""
        return tuple(self._pending_interaction(wait) for wait in self._open.values() if wait.kind == "interaction")

    @property
    def pending_oauth(self) -> PendingOAuth | None:
        """The oldest open consent."""
        return next(iter(self.pending_oauths), None)

    @property
    def pending_oauths(self) -> tuple[PendingOAuth, ...]:
        """Every open consent, the oldest first."""
        return tuple(PendingOAuth(wait) for wait in self._open.values() if wait.kind == "consent")

    def _address(self, interaction_id: str) -> Address | None:
        """Whom an open interaction is addressed to, as this process knows it: that never changes."""
        wait = self._open.get(interaction_id)
        if wait is None or wait.kind != "interaction":
            return None
        return Address(self.owner, tuple(decode(wait.assignees) or ()), bool(wait.four_eyes), wait.status)

    def _open_prompt(self, interaction_id: str) -> HumanPrompt | None:
        """The prompt of an open interaction, as this process knows it."""
        wait = self._open.get(interaction_id)
        if wait is None or wait.kind != "interaction":
            return None
        # As it was asked: the object that the caller gave may have changed since.
        return stored_prompt(wait.prompt or "")

    def asking(self, interaction_id: str) -> Asking:
        """For ``with``: hold the prompt that is asked meanwhile under this id, from the moment when its commit is told."""
        return Asking(self, interaction_id)

    def open_interaction(self, interaction_id: str) -> PendingInteraction | None:
        """The open prompt with this id; None where it is not open."""
        wait = self._open.get(interaction_id)
        return None if wait is None or wait.kind != "interaction" else self._pending_interaction(wait)

    def _pending_interaction(self, wait: Wait) -> PendingInteraction:
        reference = self._pending.get(wait.id)
        pending = reference() if reference is not None else None
        if pending is None:
            pending = PendingInteraction(self, wait)
            self._pending[wait.id] = weakref.ref(pending)
        return pending

    def _close(self, wait: Wait) -> None:
        self._open.pop(wait.id, None)
        reference = self._pending.pop(wait.id, None)
        pending = reference() if reference is not None else None
        if pending is None:
            return
        if wait.status == "answered":
            pending._close(wait.given or read_answer(wait))
        elif wait.status == "expired":
            pending._close(InteractionExpired(self.execution_id, wait.id))
        elif wait.ended:
            pending._close(ExecutionCancelled(f"Execution {self.execution_id} has {self.status} while it waited."))
        else:
            pending._close(InteractionWithdrawn(self.execution_id, wait.id))

    def _abandon(self, why: RestpointError) -> None:
        """Tell whoever waits for this object that nothing will come to it any more."""
        self._gone = why
        self._pulse(why if isinstance(why, StoreClosed) else None)
        event = self._first_outcome() if self._first_outcome is not None else None
        if event is not None:
            event.set()
        for reference in list(self._pending.values()):
            pending = reference()
            if pending is not None and pending._outcome is None:
                pending._close(why)

    def _move(self, status: str, *, outcome_seen: bool = False) -> None:
        before, self.status = self.status, _STATUS[status]
        if (outcome_seen or status != "running") and not self._outcome_seen:
            self._outcome_seen = True
            event = self._first_outcome() if self._first_outcome is not None else None
            if event is not None:
                event.set()
        if status == "cancelled" and before != status and self._task is not None:
            self._task.cancel(f"execution {self.execution_id} was cancelled")
        if status in TERMINAL and before != status and self._ended is not None:
            self._ended()

    def _pulse(self, why: RestpointError | None = None) -> None:
        """Something changed: tell who looks."""
        for asking in self._asking:
            asking.look()
        observers, self._observers = self._observers, []
        for observer in observers:
            if observer.done():
                continue
            if why is None:
                observer.set_result(None)
            else:
                observer.set_exception(why)

    def __repr__(self) -> str:
        return f"<ExecutionRecord {self.execution_id} {self.status}>"
