"""One open file: how it is opened, written and read.

**Writing.** Every write is a *job*, and jobs are committed in batches, by the writer (``writer.py``).

**Reading** is one statement in one hop on an aiosqlite connection in autocommit mode, so no read transaction is ever held
across an await.

**Telling.** After COMMIT returned, the *sink* is called on the event loop with the events of the transaction, in commit order;
after that the futures of its jobs are resolved. There is one sink, which the store
registers. A job's future cannot be cancelled: a cancelled caller still waits for the outcome, and then gets its
``CancelledError``.
"""

import asyncio
import logging
import os
import sqlite3
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Concatenate, Final, Literal, ParamSpec, TypeVar, cast

import aiosqlite

from restpoint._core.clock import Clock
from restpoint._core.threads import in_thread
from restpoint._storage.schema import APPLICATION_ID
from restpoint._storage.sqlite.connection import (
    Synchronous,
    check_revision,
    inspect,
    open_connection,
    opened,
    opening_error,
    reading_connection,
    storage_error,
)
from restpoint._storage.sqlite.glance import NEWEST, Glance
from restpoint._storage.sqlite.guard import in_use
from restpoint._storage.sqlite.writer import (
    LARGEST_BATCH,
    Committed,
    Job,
    Observer,
    Parameters,
    Row,
    Transaction,
    Writer,
)
from restpoint.errors import FileGone, InvalidArgument, SchemaTooOld, StorageError, StorageFull, StoreClosed

__all__ = ["Committed", "Database", "Observer", "Row", "Transaction"]

log = logging.getLogger(__name__)

T = TypeVar("T")
P = ParamSpec("P")

_MOST_TURNS: Final = 5
"""Iterations of the loop after which the waiting jobs are handed over, even if each iteration brought more."""

_LONE_BATCHES: Final = 16
"""Batches of one job in a row, none of which anything was asked for beside, after which the next job waits for no mates."""

_ROOM_BYTES: Final = 1024 * 1024
"""After a write found no room, the file counts as writable again once this much is free: a small write finds room sooner."""


class Database:
    """One open file. Made by ``open``; used from the event loop that opened it."""

    def __init__(self, path: Path, loop: asyncio.AbstractEventLoop) -> None:
        self.path = path
        self.sink: Callable[[Committed], None] | None = None
        """Called on the loop with what each transaction committed, before the futures of its jobs are resolved."""
        self._loop = loop
        self._waiting: list[Job[Any]] = []
        self._lone_batches = 0
        self._writer: Writer | None = None
        self._readers: dict[str, asyncio.Task[aiosqlite.Connection]] = {}
        self._glance: Glance | None = None
        self._under_way = 0
        self._told = 0
        self._expecting: list[asyncio.Future[None]] = []
        self._from_threads: deque[Job[Any]] = deque()

    @classmethod
    async def open(cls, path: Path, clock: Clock, synchronous: Synchronous = "FULL") -> "Database":
        """Open a file that is at the current revision.

        Raises ``SchemaTooOld``, also for one that does not exist yet, and the other kinds of ``StorageError``. Where it does,
        it has changed nothing.
        """
        if synchronous not in {"FULL", "NORMAL"}:
            raise InvalidArgument(f"synchronous is FULL or NORMAL, not {synchronous!r}.")
        loop = asyncio.get_running_loop()
        self = cls(path, loop)
        # The thread must not keep the database alive, so that one that was dropped unclosed ends its thread.
        me = weakref.ref(self)

        def deliver(batch: list[Job[Any]], committed: list[Committed]) -> None:
            database = me()
            try:
                if database is not None:
                    database.tell(committed)
                _resolve(batch)
            finally:  # an interrupt too: who waits for a delivery must not wait for ever
                if database is not None:
                    database.delivered(len(batch) - database.from_threads())

        def tell(*arguments: Any) -> None:
            try:
                loop.call_soon_threadsafe(deliver, *arguments)
            except RuntimeError:
                log.debug("the event loop closed before a batch could be told")

        try:
            connecting = asyncio.ensure_future(in_thread(_connect, path, clock, synchronous, tell))
            try:
                writer, connection = await asyncio.shield(connecting)
            except asyncio.CancelledError:
                connecting.add_done_callback(_disconnect)
                raise
            self._writer = writer
            writer.start()
            self._glance = Glance(path, writer.guard)
            weakref.finalize(self, writer.end)
            self._readers["short"] = asyncio.create_task(self._open_reader(writer, connection))
            await self._reader("short")
        except (sqlite3.Error, UnicodeDecodeError) as error:
            await self.close()
            raise storage_error(error) from error
        except BaseException:
            await self.close()
            raise
        return self

    def write(
        self, function: Callable[Concatenate[Transaction, P], T], *arguments: P.args, **named: P.kwargs
    ) -> "asyncio.Future[T]":
        """Queue a job: a function that is called with the transaction and these arguments.

        The future resolves after COMMIT and after the sink, or with what the job or the storage raised.
        """
        if asyncio.get_running_loop() is not self._loop:
            raise InvalidArgument("This store was opened in another event loop; make one store for each loop.")
        job: Job[T] = Job(loop=self._loop)
        job.function, job.arguments, job.named = function, arguments, named
        if self._writer is None:
            job.set_exception(StoreClosed("The store is closed; make a new one to go on."))
            return job
        self._waiting.append(job)
        if len(self._waiting) == 1:
            if self._lone_batches >= _LONE_BATCHES and not self._under_way:
                self._put(self._writer)
            else:
                self._loop.call_soon(self._hand_over, 0, 1)
        return job

    @staticmethod
    def follow(earlier: "asyncio.Future[Any]") -> None:
        """For a job to call first: raise what the storage refused an earlier job with, so that it is not stored without that."""
        error = cast("Job[Any]", earlier).error
        if isinstance(error, StorageError):
            raise error

    def write_from_thread(
        self, function: Callable[[Transaction], T], done: Callable[[asyncio.Future[T]], None]
    ) -> None:
        """Queue a job from a thread other than the loop's, which may be blocked meanwhile. ``done`` is called on the loop."""
        writer = self._writer
        if writer is not None:
            job: Job[T] = Job(loop=self._loop)
            job.function, job.arguments, job.named = function, (), {}
            job.add_done_callback(done)
            self._from_threads.append(job)
            writer.put([job])

    def from_threads(self) -> int:
        """How many of the jobs that other threads queued were resolved since the last call."""
        resolved = 0
        while self._from_threads and self._from_threads[0].done():
            self._from_threads.popleft()
            resolved += 1
        return resolved

    def observe(self, observer: Observer | None) -> None:
        """Set the one observer, which is called for each batch in the thread that writes; None for none."""
        if self._writer is not None:
            self._writer.observer = observer

    def _hand_over(self, seen: int, turn: int) -> None:
        """Give the waiting jobs to the writer, once an iteration of the loop brought no more than were ``seen`` before it.

        Jobs that the tasks of this process ask for while they have the processor are handed over in one piece. They share a
        commit, and the writer's thread does not take the processor from the tasks meanwhile. Where one task after another asks,
        nothing comes of waiting but two iterations of the loop, a twentieth of what a write costs. So after ``_LONE_BATCHES``
        each job is handed over at once, until two are asked for together again.
        """
        if seen < len(self._waiting) < LARGEST_BATCH and turn < _MOST_TURNS:
            self._loop.call_soon(self._hand_over, len(self._waiting), turn + 1)
        elif self._waiting and self._writer is not None:
            self._put(self._writer)

    def _put(self, writer: Writer) -> None:
        """Give the waiting jobs to the writer."""
        waiting, self._waiting = self._waiting, []
        self._lone_batches = self._lone_batches + 1 if len(waiting) == 1 and not self._under_way else 0
        self._under_way += len(waiting)
        writer.put(waiting)

    def tell(self, committed: list[Committed]) -> None:
        """Tell the sink of these transactions."""
        if committed:
            self._told = committed[-1].last
        if self.sink is not None:
            for each in committed:
                self.sink(each)

    async def told(self, sequence: int) -> None:
        """Return when the sink was told of what this process committed up to this row of history.

        A reader of the file as of that row may have read what the sink has not been told of yet. It waits only for a write that
        COMMIT was called for, and not for one that waits for another process.
        """
        while self._writer is not None and self._under_way and self._told < min(sequence, self._writer.reached):
            await self.delivery()

    def delivered(self, count: int) -> None:
        """Note that ``count`` jobs were resolved, and wake the callers of ``delivery``."""
        self._under_way -= count
        expecting, self._expecting = self._expecting, []
        for each in expecting:
            if not each.done():
                each.set_result(None)

    async def delivery(self) -> None:
        """Return when the batch that is being written has been told to the sink and to its callers; at once if there is none."""
        if self._under_way:
            told: asyncio.Future[None] = self._loop.create_future()
            self._expecting.append(told)
            await told

    async def read(
        self, sql: str, parameters: Parameters = (), *, lane: Literal["short", "long"] = "short"
    ) -> Iterable[Row]:
        """Every row of one query, read in one snapshot. ``long`` queries have a connection of their own."""
        connection = await self._reader(lane)
        try:
            return cast("Iterable[Row]", await connection.execute_fetchall(sql, parameters))
        except UnicodeEncodeError as error:
            raise InvalidArgument(
                f"Half of a surrogate pair is no text and can be the name of nothing: {error}."
            ) from None
        except (sqlite3.Error, UnicodeDecodeError, ValueError) as error:
            if self._writer is None:
                raise StoreClosed("The store was closed while it was read.") from error
            if getattr(error, "sqlite_errorname", None) == "SQLITE_ERROR":  # no such table or column: another schema?
                await self.pass_gate()
            raise storage_error(error) from error

    def newest(self) -> int | None:
        """The sequence of the newest row of history, read here and now; None where a proper reading must find out."""
        return None if self._glance is None else self._glance.newest()

    async def check(self) -> None:
        """Raise what a read or a write would raise now, without writing unless the last write failed."""
        writer = self._writer
        if writer is None:
            raise StoreClosed("The store is closed; make a new one to go on.")
        try:
            await in_thread(writer.guard.check)
        except FileGone:
            await self.write(_try_to_write)  # so that the writer logs it, and saves the log
            raise
        if writer.failure is not None:
            if isinstance(writer.failure, StorageFull):
                await in_thread(_find_room, self.path)
            await self.write(_try_to_write)
        await self.pass_gate()
        await self.read(NEWEST)

    async def pass_gate(self) -> None:
        """Raise ``SchemaTooNew`` or ``SchemaTooOld`` if the file was moved to another revision since it was opened."""

        def look() -> None:
            with opened(self.path) as connection:
                check_revision(connection, self.path)

        await in_thread(look)

    async def _reader(self, lane: str) -> aiosqlite.Connection:
        opening = self._readers.get(lane)
        if opening is None or (opening.done() and (opening.cancelled() or opening.exception() is not None)):
            if self._writer is None:
                raise StoreClosed("The store is closed; open it again to go on.")
            opening = self._readers[lane] = asyncio.create_task(self._open_reader(self._writer))
        # Whoever reads first may be cancelled; the connection is there for the others, and is closed with the file.
        return opening.result() if opening.done() else await asyncio.shield(opening)

    async def _open_reader(self, writer: Writer, opened: sqlite3.Connection | None = None) -> aiosqlite.Connection:
        try:
            connection = await reading_connection(self.path, opened)
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise storage_error(error) from error
        try:
            writer.guard.check()  # this may be long after the file was opened, and another one may stand there
        except StorageError:
            await connection.close()
            raise
        return connection

    async def close(self) -> None:
        """Finish what was queued, then close. The last one to close checkpoints the log away."""
        writer, self._writer = self._writer, None
        if writer is not None and self._waiting:  # what was asked for before is done before
            self._put(writer)
        glance, self._glance = self._glance, None
        readers, self._readers = list(self._readers.values()), {}
        for connection in await asyncio.gather(*readers, return_exceptions=True):
            if not isinstance(connection, BaseException):
                await connection.close()
        if glance is not None:
            await glance.close()
        if writer is not None:
            # After the readers, because the last connection to close moves the log into the file, and they may not write.
            writer.end()
            await in_thread(writer.join)


def _connect(
    path: Path, clock: Clock, synchronous: Synchronous, tell: Callable[..., None]
) -> tuple[Writer, sqlite3.Connection | None]:
    """The writer, and the connection of mode ``read`` that the file was checked with, because to read the schema takes time.

    None instead of that where another file was put at the path meanwhile.
    """
    if inspect(path) != "file":
        raise SchemaTooOld(f"{path} holds no tables; run: restpoint db upgrade --database {path}")
    with in_use(path) as identity:
        try:
            connection = open_connection(path)
        except sqlite3.Error as error:
            raise opening_error(error, path) from error
        try:
            try:
                check_revision(connection, path)
            except (sqlite3.Error, UnicodeDecodeError) as error:
                raise opening_error(error, path) from error
            writer = Writer(path, clock, synchronous, tell)
        except BaseException:
            connection.close()
            raise
        if writer.guard.identity != identity:
            connection.close()
            return writer, None
        return writer, connection


def _disconnect(connecting: "asyncio.Future[tuple[Writer, sqlite3.Connection | None]]") -> None:
    """Close what ``_connect`` opened, because nobody waits for it any more."""
    if connecting.cancelled() or connecting.exception() is not None:
        return
    writer, connection = connecting.result()
    if connection is not None:
        connection.close()
    writer.start()
    writer.end()


def _find_room(path: Path) -> None:
    """Raise ``StorageFull`` where next to nothing can be written beside the file."""
    free = os.statvfs(path.parent)
    if free.f_bavail * free.f_frsize < _ROOM_BYTES:
        raise StorageFull(f"There is no room for writes to {path}; make room on its disk.", "SQLITE_FULL")


def _try_to_write(tx: Transaction) -> None:
    """Write a page that says what it said before."""
    tx.execute(f"PRAGMA application_id = {APPLICATION_ID}", ())


def _resolve(batch: list[Job[Any]]) -> None:
    for job in batch:
        if job.error is not None:
            job.set_exception(job.error)
        else:
            job.set_result(job.value)
        # The writer may hold the job a little longer; it must not hold what the job refers to.
        del job.function, job.arguments, job.named
