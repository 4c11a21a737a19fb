"""Maintenance: the tasks that end waits at their deadlines and sweep the file.

There is one task for each, and no timer per row. Every process on the file runs them; what one has done, the others find done.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from restpoint._core.changes import Change
from restpoint._core.clock import Clock, elapse
from restpoint._core.retention_rules import RetentionRules
from restpoint._storage import Database, history, outbox, queries, retention, sessions, vacuum, waits
from restpoint._store.identity_map import Records
from restpoint.errors import StorageError

log = logging.getLogger(__name__)

DEADLINES_AT_ONCE: Final = 100
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
        self._next_deadline: int | None = None
        self._inexpirable: set[tuple[str, str]] = set()
        self._earlier = asyncio.Event()

    def deadline(self, instant: int) -> None:
        """Wake up at ``instant`` (milliseconds since the epoch), when a wait falls due."""
        if self._next_deadline is None or instant < self._next_deadline:
            self._next_deadline = instant
            self._earlier.set()

    def hear(self, change: Change) -> None:
        """Note the deadline of a wait that was opened."""
        if change.wait is not None and change.wait.deadline_at is not None:
            self.deadline(change.wait.deadline_at)

    async def run_deadlines(self) -> None:
        """End waits at their deadlines, until cancelled."""
        await _repeat(self._expire_next, "deadlines")

    async def _expire_next(self) -> None:
        while True:
            most = DEADLINES_AT_ONCE + len(self._inexpirable)
            due = [
                wait
                for wait in await queries.due(self._database, self._clock.now(), most)
                if wait not in self._inexpirable
            ]
            if not due:
                break
            jobs = [
                self._database.write(partial(waits.expire, execution_id=e, wait_id=w, keeping=self._keeping))
                for e, w in due
            ]
            for wait, outcome in zip(due, await asyncio.gather(*jobs, return_exceptions=True), strict=True):
                if isinstance(outcome, StorageError):
                    raise outcome
                if isinstance(outcome, BaseException):
                    # One damaged row must not keep the others from expiring.
                    log.error("the wait %s of execution %s cannot expire", *reversed(wait), exc_info=outcome)
                    self._inexpirable.add(wait)
            await asyncio.sleep(vacuum.PAUSE_SECONDS)
        self._earlier.clear()
        self._next_deadline = None
        deadline = await queries.next_deadline(self._database)
        if deadline is not None:
            self.deadline(deadline)  # unless an earlier one was set meanwhile
        await self._until_due()

    async def _until_due(self) -> None:
        while self._next_deadline is None or self._clock.now() < self._next_deadline:
            wakers: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._earlier.wait())]
            if self._next_deadline is not None:
                wakers.append(asyncio.ensure_future(self._clock.sleep_until(self._next_deadline)))
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
        # A process that set a deadline may have died since, so look for deadlines in the file too.
        deadline = await queries.next_deadline(self._database)
        if deadline is not None:
            self.deadline(deadline)

    async def sweep(self) -> int:
        """Delete ended executions whose time to live is over, and history past its retention; then shrink the file.

        Uses short transactions with pauses between them. Returns the number of executions deleted.
        """
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
        while await self._database.write(partial(retention.forget_keys, most=SWEPT_AT_ONCE)):  # noqa: ASYNC110 - a pause
            await asyncio.sleep(vacuum.PAUSE_SECONDS)
        while await self._database.write(partial(sessions.sweep, most=SWEPT_AT_ONCE)):  # noqa: ASYNC110 - a pause
            await asyncio.sleep(vacuum.PAUSE_SECONDS)
        if (
            not 0 <= self._clock.now() - self._abandoned_sought_at < ABANDONED_INTERVAL
        ):  # also where the clock was set back
            abandon = partial(retention.fail_abandoned, most=SWEPT_AT_ONCE, keeping=self._keeping)
            while await self._database.write(abandon):  # noqa: ASYNC110 - a pause
                await asyncio.sleep(vacuum.PAUSE_SECONDS)
            self._abandoned_sought_at = self._clock.now()
        if self._history_retention is not None:
            before, last = self._clock.now() - self._history_retention, await history.last_sequence(self._database) - 1
            prune = partial(retention.prune_history, before=before, last=last, most=PRUNED_AT_ONCE)
            while await self._database.write(prune):  # noqa: ASYNC110 - a pause
                await asyncio.sleep(vacuum.PAUSE_SECONDS)
        await vacuum.shrink(self._database)
        self.swept_at = self._clock.now()
        return total


async def _repeat(step: Callable[[], Awaitable[None]], what: str) -> None:
    """Repeat a step for ever; after an error, such as a full disk, try again a second later."""
    while True:
        try:
            await step()
        except Exception:
            log.exception("%s: something is wrong; trying again", what)
            await asyncio.sleep(1)
