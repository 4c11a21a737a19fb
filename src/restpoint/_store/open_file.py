"""The maintenance of a store's file: opened at its first use, kept going while it is open, and closed.

Kept going are its deadlines and sweeps (``maintenance.py``), its lease (``lease_keeper.py``), and those who wait for what other
processes write (``listener.py``). And here is what an operator asks for: recovery, retention, health.
"""

import asyncio
import math
import os
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

from restpoint._core.addresses import DEFAULT_DATABASE
from restpoint._core.changes import Change
from restpoint._core.clock import Clock, SystemClock
from restpoint._core.ids import Identifiers
from restpoint._core.retention_rules import (
    DEFAULT_EXECUTION_TTL,
    RetentionRules,
    TimeToLive,
    is_default,
    milliseconds,
    times_to_live,
)
from restpoint._core.serialization import check_text
from restpoint._storage import (
    Committed,
    Database,
    Erasure,
    Gauges,
    Observer,
    Synchronous,
    counts,
    erasure,
    executions,
    history,
    leases,
    locate,
    migrations,
    queries,
    retention,
    settings,
)
from restpoint._store.identity_map import Records
from restpoint._store.internals import Parts
from restpoint._store.lease_keeper import Driver
from restpoint._store.listener import Follower
from restpoint._store.maintenance import Scheduler
from restpoint._store.records import ExecutionRecord
from restpoint._store.sink import EventSink
from restpoint.access import ActorLike, actor_name
from restpoint.errors import ExecutionNotFound, InvalidArgument, StoreClosed

_TASK_CANCELLED: Final = "its task was cancelled"
_TASK_FAILED: Final = "The task of this execution ended with an error, which is in the log."


class MaintainedFile:
    """The file of an ``ExecutionStore``, which says what the arguments are."""

    def __init__(
        self,
        ttl_seconds: TimeToLive = DEFAULT_EXECUTION_TTL,
        *,
        database: str | os.PathLike[str] | None = None,
        history: Literal["full", "digest"] | None = None,
        history_retention_seconds: float | None = None,
        remember: bool = True,
        sweep_interval_seconds: float = 60.0,
        synchronous: Synchronous = "FULL",
        migrate: Literal["refuse", "auto"] = "refuse",
        clock: Clock | None = None,
    ) -> None:
        self._path = locate(
            database if database is not None else os.environ.get("RESTPOINT_DATABASE", DEFAULT_DATABASE)
        )
        self._given = _settings(ttl_seconds, history, history_retention_seconds)
        self._remember = remember
        self._keeping: RetentionRules
        self._sweep_interval = max(milliseconds("sweep_interval_seconds", sweep_interval_seconds), 1)
        self._synchronous: Synchronous = synchronous
        self._migrate = migrate
        self._clock: Clock = clock or SystemClock()
        self._identifiers = Identifiers(self._clock.now)
        self._records = Records(self._watch)
        self._sink = EventSink(self._records.hear)
        self._opening = asyncio.Lock()
        self._database: Database | None = None
        self._observer: Observer | None = None
        self._follower: Follower
        self._scheduler: Scheduler
        self._background: list[asyncio.Task[None]] = []
        self._driver: Driver
        self._closed = False
        self._closing: asyncio.Future[None] | None = None

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self._path

    # --- Opening and closing ---

    async def open(self) -> Self:
        """Open the file, creating it if there is none. Called by the first use of the store.

        Raises ``UnusableFile``, ``DamagedFile``, ``SchemaTooOld`` (upgrade it) and ``SchemaTooNew``.
        """
        await self._ready()
        return self

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def _ready(self) -> Database:
        async with self._opening:
            if self._closed:
                raise StoreClosed("The store is closed; make a new ExecutionStore to go on.")
            if self._database is not None:
                return self._database
            await asyncio.to_thread(migrations.prepare, self._path, self._migrate)
            database = await Database.open(self._path, self._clock, self._synchronous)
            database.observe(self._observer)
            try:
                position = await history.last_sequence(database)
                retention = await self._settle(database)
            except BaseException:
                await database.close()
                raise
            self._follower = Follower(database, position, self._records)
            self._scheduler = Scheduler(
                database,
                self._clock,
                self._records,
                sweep_interval=self._sweep_interval,
                history_retention=retention,
                keeping=self._keeping,
            )
            self._driver = Driver(
                database,
                self._clock,
                self._follower,
                cancel=partial(self._end_by_task, database, executions.cancel, reason=_TASK_CANCELLED),
                fail=partial(self._end_by_task, database, executions.fail, error=_TASK_FAILED, code="task_failed"),
            )
            self._sink.subscribe(self._scheduler.due)
            database.sink = self._committed
            self._background = [
                asyncio.create_task(run(), name=f"restpoint:{run.__name__}")
                for run in (
                    self._follower.run,
                    self._scheduler.run_deadlines,
                    self._scheduler.run_sweeps,
                    self._driver.renew,
                )
            ]
            self._database = database
        return self._database

    async def _settle(self, database: Database) -> int | None:
        """How the file is to be written: as was said here, else as it has it. Gives how long history stays."""
        stored = await settings.read(database)
        now = {**stored, **self._given}
        settings.check(now)
        if self._remember and now != stored:
            await database.write(partial(settings.change, given=self._given))
        rules = now.get(settings.TIMES_TO_LIVE)
        digest = now.get(settings.HISTORY) == "digest"
        self._keeping = RetentionRules.read(rules or {}, digest=digest)
        retention: int | None = now.get(settings.HISTORY_RETENTION)
        return retention

    async def close(self) -> None:
        """Finish what was accepted and close the file. Prompts stay open in it; who awaits one here gets ``StoreClosed``."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)  # a caller that is cancelled leaves the closing under way, not half done

    async def _close(self) -> None:
        async with self._opening:
            self._closed = True
            database = self._database
            if database is None:
                return
            for task in self._background:
                task.cancel()
            await asyncio.gather(*self._background, return_exceptions=True)
            try:
                await self._driver.close()
                self._database = None
                await database.close()
            finally:
                self._records.close()

    async def database(self) -> Database:
        """The open file, for look-ups that the store has no verb for; opens it if it is not open. The store closes it."""
        return self._database or await self._ready()

    async def parts(self) -> Parts:
        """What this store is made of, for a runner on the same file, records and clock."""
        database = self._database or await self._ready()
        lease = self._driver.lease or await self._driver.take_lease()
        return Parts(
            database,
            self._clock,
            self._identifiers,
            self._records,
            self._follower,
            self._scheduler,
            lease,
            self._keeping,
        )

    async def _end_by_task(
        self, database: Database, job: Callable[..., None], record: ExecutionRecord, **why: str
    ) -> None:
        """The task that a caller set on the record of an execution has ended, and the execution has not."""
        ended = partial(
            job, execution_id=record.execution_id, keeping=self._keeping, actor=None, claim=record.claim, **why
        )
        await database.write(ended)

    def _watch(self, record: ExecutionRecord, waiter: object) -> None:
        self._driver.watch(record, waiter)

    def _committed(self, committed: Committed) -> None:
        self._follower.committed(committed.first, committed.last)
        self._sink.tell(committed.events)

    async def _load(self, execution_id: str) -> ExecutionRecord | None:
        found = await self._records.load(self._database or await self._ready(), execution_id)
        if found is None:
            return None
        record = found[0]
        if (
            record.claim is None
            and not record.is_run
            and record.lease == self._driver.lease
            and record.lease is not None
        ):
            record.drive(record.lease, record.state.row.epoch)  # this process held another record of it before
        return record

    # --- Looking on ---

    def subscribe(self, listener: Callable[[Change], None]) -> Callable[[], None]:
        """Have ``listener`` called with every change that this process commits, right after COMMIT; returns what ends it."""
        return self._sink.subscribe(listener)

    def observe(self, observer: Observer | None) -> None:
        """Have each batch of writes told, from the thread that writes: its jobs, its seconds, how many the storage failed.

        One observer, or None for none. For metrics; it must not call the store.
        """
        self._observer = observer
        if self._database is not None:
            self._database.observe(observer)

    async def check(self) -> None:
        """Whether the file can be read and is of this program's revision: raises what a read or a write would raise now."""
        database = self._database or await self._ready()
        await database.pass_gate()
        await history.last_sequence(database)

    async def gauges(self) -> Gauges:
        """How much waits and runs in the file, counted now, and what this process has swept. Costs what is open, no more."""
        counted = await counts.count(await self._ready(), self._clock.now())
        return replace(counted, swept=self._scheduler.swept, swept_at=self._scheduler.swept_at)

    # --- Recovery and retention ---

    async def recover(self, *, fail: bool = True) -> Sequence[ExecutionRecord]:
        """The executions that a dead process left running. Those that wait for an answer are kept as they are.

        By default each is failed with the code ``interrupted_by_restart``; with ``fail=False`` they are only listed, for
        a caller who can go on with them.
        """
        database = self._database or await self._ready()
        # In this order: a lease is taken before what names it, so none that is listed can be missing among the living.
        left_running = await queries.running(database)
        alive = await database.write(leases.live)
        found = []
        error = "The process that ran this execution ended before it did."
        for execution_id, lease, epoch in left_running:
            if lease in alive:
                continue
            if fail:
                interrupt = partial(
                    executions.interrupt,
                    execution_id=execution_id,
                    lease=lease,
                    epoch=epoch,
                    error=error,
                    keeping=self._keeping,
                )
                if not await database.write(interrupt):
                    continue
            record = await self._load(execution_id)
            if record is not None:
                found.append(record)
        await database.write(leases.bury)
        return found

    async def hold(self, execution_id: str, reason: str, *, actor: ActorLike = None) -> None:
        """Keep an execution in the file whatever its time to live, until it is released. Raises ``ExecutionNotFound``."""
        check_text("reason", reason)
        who = actor_name(actor)
        database = self._database or await self._ready()
        await database.write(lambda tx: retention.hold(tx, execution_id, reason, who))

    async def release(self, execution_id: str, *, actor: ActorLike = None) -> None:
        """End a hold. Nothing happens where there is none. Raises ``ExecutionNotFound``."""
        who = actor_name(actor)
        database = self._database or await self._ready()
        await database.write(lambda tx: retention.release(tx, execution_id, who))

    async def remove(self, execution_id: str, *, actor: ActorLike = None) -> None:
        """Delete an execution, cancelling it first where it has not ended. Nothing happens where there is none.

        Its history stays. Raises ``ExecutionHeld``.
        """
        who = actor_name(actor)
        database = self._database or await self._ready()
        await database.write(lambda tx: retention.remove(tx, execution_id, who))
        self._records.drop(execution_id)

    async def erase(self, execution_id: str, reason: str | None = None, *, actor: ActorLike = None) -> Erasure:
        """Erase everything that one execution holds, also of one that has left the file; see ``erasure.py``.

        Raises ``ExecutionNotFound``, ``ExecutionHeld``, and ``IllegalTransition`` where it has not ended.
        """
        if reason is not None:
            check_text("reason", reason)
        who = actor_name(actor)
        database = self._database or await self._ready()
        await database.write(lambda tx: erasure.erase_execution(tx, execution_id, who, reason))
        self._records.drop(execution_id)
        return Erasure([execution_id], scrubbed=await erasure.scrub(database))

    async def would_erase(self, execution_id: str) -> Erasure:
        """What ``erase`` would do; nothing is written. Raises ``ExecutionNotFound``."""
        database = self._database or await self._ready()
        if not await history.history_of(database, execution_id):
            raise ExecutionNotFound(execution_id)
        return await erasure.preview(database, erasure.Scope([execution_id]))

    async def erase_person(
        self,
        person: str,
        reason: str | None = None,
        *,
        whole: bool = False,
        dry_run: bool = False,
        actor: ActorLike = None,
    ) -> Erasure:
        """Erase what one person said and was asked; ``erasure.py`` says what that is, and what ``whole`` adds.

        Executions that have not ended, or are on hold, are left and named in what is returned. With ``dry_run`` that says
        what would be erased, and nothing is.
        """
        check_text("person", person)
        if reason is not None:
            check_text("reason", reason)
        who = actor_name(actor)
        database = self._database or await self._ready()
        scope = await erasure.scope(database, person, whole=whole)
        if dry_run:
            return await erasure.preview(database, scope)
        return await erasure.erase(database, scope, who, reason, self._records.drop)

    async def cleanup_expired(self) -> int:
        """Sweep now: delete what ended longer ago than its time to live. Returns how many executions went."""
        await self._ready()
        return await self._scheduler.sweep()

    async def expired(self) -> AsyncIterator[tuple[str, str, float]]:
        """What a sweep would delete now, the longest expired first: id, status, and since when (seconds since the epoch)."""
        async for row in queries.expired(await self._ready(), self._clock.now()):
            yield row


def _settings(
    ttl_seconds: TimeToLive, history: Literal["full", "digest"] | None, history_retention_seconds: float | None
) -> dict[str, Any]:
    """What of the settings of the file was given. Raises ``InvalidArgument``."""
    given: dict[str, Any] = {}
    times = times_to_live(ttl_seconds)
    if not is_default(ttl_seconds):
        given[settings.TIMES_TO_LIVE] = times.plain()
    if history is not None:
        if history not in {"full", "digest"}:
            raise InvalidArgument(f"history is 'full' or 'digest', not {history!r}.")
        given[settings.HISTORY] = history
    if history_retention_seconds is not None:
        kept = history_retention_seconds == math.inf
        given[settings.HISTORY_RETENTION] = (
            None if kept else milliseconds("history_retention_seconds", history_retention_seconds)
        )
    return given
