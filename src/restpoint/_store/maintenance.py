"""Maintenance: the tasks that end waits at their deadlines, remind and escalate before those, and sweep the file.

There is one task for each, and no timer per row. Every process on the file runs them; what one has done, the others find done.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from restpoint._core.changes import Change
from restpoint._core.clock import Clock, elapse
from restpoint._core.reminders import next_due
from restpoint._core.retention_rules import RetentionRules
from restpoint._storage import Database, Transaction, history, queries, vacuum, waits
from restpoint._store.identity_map import Records
from restpoint.errors import StorageError

log = logging.getLogger(__name__)

DUE_AT_ONCE: Final = 100
SWEPT_AT_ONCE: Final = 100
PRUNED_AT_ONCE: Final = 500
ABANDONED_INTERVAL: Final = 3_600_000
"""Milliseconds between two looks for executions that nothing can go on with: each reads all the old ones that are in the file."""


class Maintenance:
    """The background tasks of one open file."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        records: Records,
        *,
        sweep_interval: int,
        history_retention: int | None,
        keeping: RetentionRules,
    ) -> None:
        self._database = database
        self._clock = clock
        self._sweep_interval = sweep_interval
        self._history_retention = history_retention
        self._keeping = keeping
        self._records = records
        self.swept = 0
        """Executions that this process has swept."""
        self.swept_at: int | None = None
        """When its last sweep succeeded, in milliseconds since the epoch."""
        self._abandoned_sought_at = -ABANDONED_INTERVAL
        self._next_due: int | None = None
        self._undoable: set[tuple[str, str]] = set()
        self._earlier = asyncio.Event()

    def wake_at(self, instant: int) -> None:
        """Look at ``instant`` (milliseconds since the epoch), when something falls due of a wait."""
        if self._next_due is None or instant < self._next_due:
            self._next_due = instant
            self._earlier.set()

    def hear(self, change: Change) -> None:
        """Note when something falls due of a wait that was opened, or that is open."""
        wait = change.wait
        if wait is None or change.event.closes_wait:
            return
        if wait.deadline_at is not None:
            self.wake_at(wait.deadline_at)
        if wait.reminders is not None and (reminder := next_due(wait.reminders)) is not None:
            self.wake_at(reminder)

    async def run_due(self) -> None:
        """End waits at their deadlines, and remind of prompts and escalate them before, until cancelled."""
        await _repeat(self._do_next, "what falls due")

    async def _do_next(self) -> None:
        is_known = self._next_due is not None
        # Forget the next instant before the file is read: what is set from here on may not be in what is read.
        self._earlier.clear()
        self._next_due = None
        # A process that has just opened the file asks first when something falls due: mostly it is not now.
        instant = None if is_known else await queries.next_due(self._database)
        if is_known or (instant is not None and instant <= self._clock.now()):
            instant = await queries.next_due(self._database, after=await self._do_what_is_due())
        if instant is not None:
            self.wake_at(instant)  # unless an earlier one was set meanwhile
        await self._until_due()

    async def _do_what_is_due(self) -> int:
        """Returns the time up to which nothing more is due."""
        from restpoint._storage import reminders

        await self._do_all(queries.past_deadline, partial(waits.expire, keeping=self._keeping))
        return await self._do_all(reminders.overdue, reminders.fall_due)

    async def _do_all(
        self,
        find: Callable[[Database, int, int], Awaitable[list[tuple[str, str]]]],
        job: Callable[[Transaction, str, str], None],
    ) -> int:
        """Do the job with every wait that ``find`` gives. Returns the time at which it gave no more."""
        while True:
            now = self._clock.now()
            most = DUE_AT_ONCE + len(self._undoable)
            due = [wait for wait in await find(self._database, now, most) if wait not in self._undoable]
            if not due:
                return now
            jobs = [self._database.write(job, execution_id, wait_id) for execution_id, wait_id in due]
            for wait, outcome in zip(due, await asyncio.gather(*jobs, return_exceptions=True), strict=True):
                if isinstance(outcome, StorageError):
                    raise outcome
                if isinstance(outcome, BaseException):
                    # One damaged row must not keep the others from their turn.
                    log.error(
                        "nothing can be done of what is due of the wait %s of execution %s",
                        *reversed(wait),
                        exc_info=outcome,
                    )
                    self._undoable.add(wait)
            await asyncio.sleep(vacuum.PAUSE_SECONDS)

    async def _until_due(self) -> None:
        while self._next_due is None or self._clock.now() < self._next_due:
            wakers: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._earlier.wait())]
            if self._next_due is not None:
                wakers.append(asyncio.ensure_future(self._clock.sleep_until(self._next_due)))
            try:
                await asyncio.wait(wakers, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for waker in wakers:
                    waker.cancel()
            self._earlier.clear()

    async def run_sweeps(self) -> None:
        """Sweep once in each interval, until cancelled."""
        await _repeat(self._sweep_after_interval, "the sweep")

    async def _sweep_after_interval(self) -> None:
        await elapse(self._clock, self._sweep_interval)
        await self.sweep()
        # A process that opened a wait may have died since, so look in the file too.
        instant = await queries.next_due(self._database)
        if instant is not None:
            self.wake_at(instant)

    async def sweep(self) -> int:
        """Delete ended executions whose time to live is over, and history past its retention; then shrink the file.

        Uses short transactions with pauses between them. Returns the number of executions deleted.
        """
        from restpoint._storage import outbox, retention, sessions

        total = 0
        sweep = partial(retention.sweep, most=SWEPT_AT_ONCE, keeping=self._keeping)
        while (swept := await self._database.write(sweep)).ids or swept.postponed:
            self._records.swept(swept.ids)
            total += len(swept.ids)
            self.swept += len(swept.ids)
            await asyncio.sleep(vacuum.PAUSE_SECONDS)
        # What nobody delivers any more keeps no execution in the file for longer.
        while overdue := await outbox.overdue(self._database, self._clock.now(), SWEPT_AT_ONCE):
            await self._database.write(outbox.give_up, overdue)
            await asyncio.sleep(vacuum.PAUSE_SECONDS)
        await self._until_none_is_left(partial(retention.forget_keys, most=SWEPT_AT_ONCE))
        await self._until_none_is_left(partial(sessions.sweep, most=SWEPT_AT_ONCE))
        if (
            not 0 <= self._clock.now() - self._abandoned_sought_at < ABANDONED_INTERVAL
        ):  # also where the clock was set back
            abandon = partial(retention.fail_abandoned, most=SWEPT_AT_ONCE, keeping=self._keeping)
            await self._until_none_is_left(abandon)
            self._abandoned_sought_at = self._clock.now()
        if self._history_retention is not None:
            before, last = self._clock.now() - self._history_retention, await history.last_sequence(self._database) - 1
            prune = partial(retention.prune_history, before=before, last=last, most=PRUNED_AT_ONCE)
            await self._until_none_is_left(prune)
        await vacuum.shrink(self._database)
        self.swept_at = self._clock.now()
        return total

    async def _until_none_is_left(self, job: Callable[[Transaction], int]) -> None:
        """Do a job again and again, with pauses in which others write, until it says that it found nothing to do."""
        while True:
            if not await self._database.write(job):
                return
            await asyncio.sleep(vacuum.PAUSE_SECONDS)


async def _repeat(step: Callable[[], Awaitable[None]], what: str) -> None:
    """Repeat a step for ever; after an error, such as a full disk, try again a second later."""
    while True:
        try:
            await step()
        except Exception:
            log.exception("%s: something is wrong; trying again", what)
            await asyncio.sleep(1)
