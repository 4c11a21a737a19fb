"""The lease of this process, which tells the others in the file which executions it drives, because it runs or awaits them.

A thread of its own renews it, so that a process which is busy is not taken for one that stands still.

Also the tasks that callers set on records: one that is cancelled or fails must not leave its execution running for ever.
"""

import asyncio
import logging
import threading
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from restpoint._core.clock import Clock, elapse
from restpoint._core.log_limit import STORAGE_FAILURES
from restpoint._storage import Database, leases
from restpoint._store.futures import Observer
from restpoint._store.listener import Listener
from restpoint._store.records import ExecutionRecord
from restpoint.errors import RestpointError, StorageError
from restpoint.lifecycle import TERMINAL, ExecutionStatus

log = logging.getLogger(__name__)


class LeaseKeeper:
    """The lease of one open file, and what this process drives by it."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        listener: Listener,
        standing: leases.Standing,
        *,
        cancel: Callable[[ExecutionRecord], Awaitable[None]],
        fail: Callable[[ExecutionRecord], Awaitable[None]],
    ) -> None:
        self.lease: int | None = None
        self._database = database
        self._clock = clock
        self._listener = listener
        self._standing = standing
        self._cancel = cancel
        self._fail = fail
        self._tasks: dict[asyncio.Task[Any], list[ExecutionRecord]] = {}
        self._adopting: weakref.WeakValueDictionary[str, ExecutionRecord] = weakref.WeakValueDictionary()
        self._adoption: asyncio.Task[None] | None = None
        self._afterwards: set[asyncio.Task[None]] = set()
        self._taking = asyncio.Lock()
        self.expired: list[Callable[[], None]] = []
        """Called on the loop when the lease had run out before it was renewed, because this process stood still."""
        self._due = threading.Event()
        self._is_closed = threading.Event()
        self._renewing = threading.Lock()
        """Held while a renewal is queued, so that none is queued behind the job that drops the lease."""

    async def take_lease(self) -> int:
        """The lease of this process, taken at the first call."""
        async with self._taking:
            if self.lease is None:
                holder = leases.this_process()
                self.lease = await self._database.write(lambda tx: leases.take(tx, holder))
                # A thread, because a step may block the loop for longer than the lease lasts.
                me, loop = weakref.ref(self), asyncio.get_running_loop()
                threading.Thread(
                    target=_renew_in_time,
                    args=(me, loop, self._due, self._is_closed),
                    name="restpoint-lease",
                    daemon=True,
                ).start()
        return self.lease

    def watch(self, record: ExecutionRecord, waiter: object) -> None:
        """Follow the file for a waiter of a record, and adopt its execution if no living process drives that.

        ``waiter`` is a future, an event or a task; None if the listener follows for it already.
        """
        if isinstance(waiter, asyncio.Task):
            if waiter not in self._tasks:
                waiter.add_done_callback(self._task_done)
            self._tasks.setdefault(waiter, []).append(record)
        if isinstance(waiter, asyncio.Future | asyncio.Event):
            self._listener.watch(waiter)
        if record.is_run or isinstance(waiter, Observer):
            return  # a runner drives it, or the waiter only looks
        if record.status not in TERMINAL and (self.lease is None or record.lease != self.lease):
            self._adopting[record.execution_id] = record
            if self._adoption is None or self._adoption.done():
                self._adoption = self._later(self._adopt())

    async def _adopt(self) -> None:
        lease = self.lease if self.lease is not None else await self.take_lease()
        while adopting := dict(self._adopting):
            self._adopting.clear()
            try:
                take_over = partial(leases.take_over, execution_ids=list(adopting), lease=lease)
                for claim in await self._database.write(take_over):
                    adopting[claim.execution_id].drive(claim.lease, claim.epoch)
            except StorageError:
                self._adopting.update(adopting)  # with the next one
                raise

    def _task_done(self, task: "asyncio.Task[Any]") -> None:
        for record in self._tasks.pop(task, []):
            if record.task is task and record.status not in TERMINAL:
                self._left_by(task, record)

    def _left_by(self, task: "asyncio.Task[Any]", record: ExecutionRecord) -> None:
        if task.cancelled():
            # A paused execution outlives its task, as it outlives its process; a running one has nobody to run it now.
            if record.status == ExecutionStatus.RUNNING:
                self._later(self._cancel(record))
        elif (error := task.exception()) is not None:
            log.error("the task of execution %s failed", record.execution_id, exc_info=error)
            self._later(self._fail(record))
        elif record.status == ExecutionStatus.RUNNING:
            log.warning("the task of execution %s returned and left it running", record.execution_id)

    def _later(self, change: Awaitable[None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(_logged(change))
        self._afterwards.add(task)
        task.add_done_callback(self._afterwards.discard)
        return task

    async def renew(self) -> None:
        """Have the lease renewed whenever the store's clock says so, until cancelled.

        By itself the thread that renews goes by the time that passes, and does not see a clock that was set.
        """
        while True:
            await elapse(self._clock, leases.DURATION // 3)
            self._due.set()

    def renew_now(self) -> None:
        """In the thread that renews: queue a renewal with the writer."""
        lease, holder, standing = self.lease, leases.this_process(), self._standing
        with self._renewing:
            if lease is not None and not self._is_closed.is_set():
                self._database.write_from_thread(lambda tx: leases.renew(tx, lease, holder, standing), self._renewed)

    def _renewed(self, renewal: asyncio.Future[bool]) -> None:
        error = renewal.exception()
        if error is not None:
            log.error("the lease of this process could not be renewed", exc_info=error)
        elif renewal.result():
            log.info(
                "the lease of this process had run out, or the clock was set; looking for runs that others took over"
            )
            for hear in self.expired:
                hear()

    async def close(self) -> None:
        """Finish the changes under way and drop the lease, so that others may drive what still runs here."""
        with self._renewing:
            self._is_closed.set()
        self._due.set()
        self._tasks.clear()
        await asyncio.gather(*self._afterwards)
        if self.lease is not None:
            await _logged(self._drop(self.lease))

    async def _drop(self, lease: int) -> None:
        await self._database.write(lambda tx: leases.drop(tx, lease))


def _renew_in_time(
    keeper: "weakref.ref[LeaseKeeper]",
    loop: asyncio.AbstractEventLoop,
    due: threading.Event,
    is_closed: threading.Event,
) -> None:
    """Renew a lease well before it runs out, for as long as its loop runs, whatever blocks that."""
    while True:
        due.wait(leases.DURATION / 3 / 1000)
        due.clear()
        kept = keeper()
        if kept is None or is_closed.is_set() or not loop.is_running():
            return
        kept.renew_now()
        del kept


async def _logged(change: Awaitable[None] | Coroutine[Any, Any, None]) -> None:
    """Await a change for which no caller waits, and log its error."""
    try:
        await change
    except StorageError as error:
        STORAGE_FAILURES.error(log, "a change in the background failed: %s", error)
    except RestpointError:
        log.exception("a change in the background failed")
