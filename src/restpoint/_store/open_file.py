"""The open file of a store: its database, its records, its lease, and the tasks that run while it is open."""

import asyncio
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, Self

from restpoint import logs
from restpoint._core.changes import Change
from restpoint._core.clock import Clock
from restpoint._core.ids import Identifiers
from restpoint._core.retention_rules import (
    ABANDONED_AFTER,
    DEFAULT_EXECUTION_TTL,
    IDEMPOTENCY_RETENTION,
    RetentionRules,
    TimeToLive,
    is_default,
    milliseconds,
    times_to_live,
)
from restpoint._core.threads import in_thread
from restpoint._storage import (
    Claim,
    Committed,
    Database,
    Observer,
    Synchronous,
    executions,
    history,
    leases,
    migrations,
    queries,
    settings,
)
from restpoint._store.identity_map import Records
from restpoint._store.lease_keeper import LeaseKeeper
from restpoint._store.listener import Listener
from restpoint._store.maintenance import Maintenance
from restpoint._store.records import ExecutionRecord
from restpoint.errors import InvalidArgument, SchemaTooOld, StorageFull
from restpoint.prompts.prompt_models import PromptModels

log = logging.getLogger(__name__)

Subscriber = Callable[[Change], None]

_TASK_CANCELLED: Final = "its task was cancelled"
_TASK_FAILED: Final = "The task of this execution ended with an error, which is in the log."


@dataclass(frozen=True, slots=True)
class FileOptions:
    """The arguments of a store that concern its file.

    ``settings`` are those of the file's settings that were given; ``fallback`` are those that hold where neither the caller nor
    the file has any. With ``remember`` both are saved in the file.
    ``sweep_interval`` is in milliseconds. ``models`` are the classes that prompts and responses are read as.
    """

    path: Path
    settings: Mapping[str, Any]
    fallback: Mapping[str, Any]
    remember: bool
    sweep_interval: int
    synchronous: Synchronous
    migrate: Literal["refuse", "auto"]
    create: bool
    clock: Clock
    models: PromptModels


def fallback_settings(ttl_seconds: TimeToLive) -> dict[str, Any]:
    """The settings of the file where it has none: a server has another default time to live than a store."""
    if not is_default(ttl_seconds) or ttl_seconds == DEFAULT_EXECUTION_TTL:
        return {}
    return {settings.TIMES_TO_LIVE: times_to_live(ttl_seconds).plain()}


def given_settings(
    ttl_seconds: TimeToLive, history: Literal["full", "digest"] | None, **seconds: float | None
) -> dict[str, Any]:
    """The settings of the file that the arguments of a store give. Raises ``InvalidArgument``.

    ``seconds`` are the arguments ``NAME_seconds`` of a store for the settings that are times, by their NAME; ``math.inf`` is for
    ever.
    """
    given: dict[str, Any] = {}
    times = times_to_live(ttl_seconds)
    if not is_default(ttl_seconds):
        given[settings.TIMES_TO_LIVE] = times.plain()
    if history is not None:
        if history not in {"full", "digest"}:
            raise InvalidArgument(f"history is 'full' or 'digest', not {history!r}.")
        given[settings.HISTORY] = history
    for name, time in seconds.items():
        if time is not None:
            given[name] = None if time == math.inf else milliseconds(f"{name}_seconds", time)
    return given


class OpenFile:
    """An open file. The store, its runner and the OAuth flow share it; the store closes it.

    Events reach the records first and the subscribers after them, on the event loop, after COMMIT and in its order.
    """

    def __init__(
        self,
        database: Database,
        options: FileOptions,
        subscribers: Sequence[Subscriber],
        *,
        position: int,
        keeping: RetentionRules,
        history_retention: int | None,
    ) -> None:
        self.database = database
        self.clock = clock = options.clock
        self.identifiers = Identifiers(clock.now)
        self.keeping = keeping
        standing = leases.Standing()
        self.records = Records(database, self._watch, options.models, standing)
        self.listener = Listener(database, position, self.records)
        self.maintenance = Maintenance(
            database,
            clock,
            self.records,
            sweep_interval=options.sweep_interval,
            history_retention=history_retention,
            keeping=keeping,
        )
        self.lease_keeper = LeaseKeeper(
            database,
            clock,
            self.listener,
            standing,
            cancel=partial(self._end_by_task, executions.cancel, reason=_TASK_CANCELLED),
            fail=partial(self._end_by_task, executions.fail, error=_TASK_FAILED, code="task_failed"),
        )
        self._subscribers = subscribers
        database.sink = self._committed
        self.background = [
            asyncio.create_task(run(), name=f"restpoint:{run.__name__}")
            for run in (
                self.listener.run,
                self.maintenance.run_due,
                self.maintenance.run_sweeps,
                self.lease_keeper.renew,
            )
        ]

    @classmethod
    async def open(cls, options: FileOptions, observer: Observer | None, subscribers: Sequence[Subscriber]) -> Self:
        """Open the file, creating or upgrading it as the options say, and start its background tasks.

        Raises ``UnusableFile``, ``DamagedFile``, ``SchemaTooOld`` and ``SchemaTooNew``.
        """
        if options.migrate not in {"refuse", "auto"}:
            raise InvalidArgument(f"migrate is 'refuse' or 'auto', not {options.migrate!r}.")
        opening = partial(Database.open, options.path, options.clock, options.synchronous)
        try:
            database = await opening()
        except SchemaTooOld:
            await in_thread(partial(migrations.prepare, options.path, options.migrate, create=options.create))
            database = await opening()
        database.observe(observer)
        try:
            position = await history.last_sequence(database)
            stored = await settings.read(database)
            # Arguments override the settings stored in the file, and those override the defaults of a server.
            current = {**options.fallback, **stored, **options.settings}
            settings.check(current)
            if options.remember and current != stored:
                try:
                    await database.write(settings.change, given=current)
                except StorageFull:
                    log.warning(
                        "%s has no room to remember the settings of this process, which hold here", options.path
                    )
            keeping = RetentionRules.read(
                current.get(settings.TIMES_TO_LIVE) or {},
                digest=current.get(settings.HISTORY) == "digest",
                idempotency=current.get(settings.IDEMPOTENCY_RETENTION, IDEMPOTENCY_RETENTION),
                abandoned=current.get(settings.ABANDONED_AFTER, ABANDONED_AFTER),
            )
        except BaseException:
            await database.close()
            raise
        history_retention = current.get(settings.HISTORY_RETENTION)
        return cls(
            database, options, subscribers, position=position, keeping=keeping, history_retention=history_retention
        )

    async def close(self) -> None:
        """Finish what was accepted, then close the file."""
        for task in self.background:
            task.cancel()
        await asyncio.gather(*self.background, return_exceptions=True)
        try:
            await self.lease_keeper.close()
            await self.database.close()
        finally:
            self.records.close()

    async def take_lease(self) -> int:
        """The lease of this process, taken at the first call."""
        return self.lease_keeper.lease or await self.lease_keeper.take_lease()

    @property
    def lease(self) -> int:
        """The lease of this process, for those who have awaited ``take_lease``. Raises ``StorageFull`` where it had no room."""
        lease = self.lease_keeper.lease
        if lease is None:
            raise StorageFull("There is no room to write the lease of this process; make room on the disk of the file.")
        return lease

    # --- Claims ---

    async def find(self, execution_id: str) -> ExecutionRecord | None:
        """The record as the file has it now; None where the execution is not in the file. Raises ``DamagedFile``."""
        record = await self.records.find(execution_id)
        if record is not None and record.claim is None and not record.is_run:
            lease = record.lease
            if lease is not None and lease == self.lease_keeper.lease:  # this process held another record of it before
                record.drive(lease, record.state.row.epoch)
        return record

    def claim(self, execution_id: str) -> Claim | None:
        """The claim by which this process drives an execution; None where it does not, or where nobody holds the record."""
        record = self.records.get(execution_id)
        return None if record is None else record.claim

    async def recover(self, *, fail: bool) -> Sequence[ExecutionRecord]:
        """See ``ExecutionStore.recover``."""
        database = self.database
        # Read the executions before the live leases: a lease is taken before an execution names it.
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
                    keeping=self.keeping,
                )
                if not await database.write(interrupt):
                    continue
            record = await self.find(execution_id)
            if record is not None:
                found.append(record)
        await database.write(leases.bury)
        return found

    # --- What the parts of it call ---

    async def _end_by_task(self, job: Callable[..., None], record: ExecutionRecord, **why: str) -> None:
        """End an execution whose ``record.task`` has ended without ending it."""
        about = {"execution_id": record.execution_id, "claim": record.claim}
        await self.database.write(partial(job, **about, keeping=self.keeping, actor=None, **why))

    def _watch(self, record: ExecutionRecord, waiter: object) -> None:
        self.lease_keeper.watch(record, waiter)

    def _committed(self, committed: Committed) -> None:
        """The sink of the database."""
        self.listener.committed(committed.first, committed.last)
        listeners = (self.records.hear, self.maintenance.hear, *self._subscribers)
        for event in committed.events:
            for hear in listeners:
                try:
                    hear(event)
                except Exception:  # a subscriber must not keep a committed event from the others
                    log.exception("a subscriber failed at %s of execution %s", event.event, event.execution_id)
            if logs.EVENTS.isEnabledFor(logging.INFO):
                self._log(event)

    def _log(self, event: Change) -> None:
        record = self.records.get(event.execution_id)
        started = record.workflow if event.execution is None and record is not None else None
        logs.log_event(event, started)
