"""One open file: how it is opened, written and read.

**Writing.** Every write is a *job*: a function that is given a ``Transaction``. Jobs are collected while the last batch
commits and become the next one: one ``BEGIN IMMEDIATE``, all jobs, one COMMIT, one fsync for all of them (*group commit*).
The batch runs in one thread on the DBAPI connection of a SQLAlchemy engine, so that a transition costs no thread hop of
its own. A job that raises before it wrote anything fails alone; one that raises later rolls the batch back, and the batch
is run again one job at a time, so that its mates commit. Jobs must therefore depend on nothing but their arguments and
the file.

**Reading** is one statement in one hop on an aiosqlite connection in autocommit mode, so no read transaction is ever held
across an await.

**Waking.** Only after COMMIT returned are a job's effects told to anyone: ``applied`` runs on the event loop, in commit
order, and then the job's future is resolved. That future cannot be cancelled: a cancelled caller still waits for the
outcome, and then gets its ``CancelledError``.
"""

import asyncio
import logging
import queue
import random
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, cast

import aiosqlite
from sqlalchemy.exc import DBAPIError

from restpoint.clock import Clock
from restpoint.engine import (
    BUSY_TIMEOUT_SECONDS,
    Synchronous,
    check_revision,
    glancing_connection,
    reading_engine,
    storage_error,
    use_log,
    writing_engine,
)
from restpoint.errors import InvalidArgument, StorageError, StoreClosed
from restpoint.schema import APPLICATION_ID, REVISION

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

log = logging.getLogger(__name__)

T = TypeVar("T")
Parameters = Mapping[str, object] | Sequence[object]
Row = tuple[Any, ...]

_LONGEST_PAUSE: Final = 0.002  # seconds, between two attempts to begin
_REVISION_OF_FILE: Final = "SELECT version_num FROM alembic_version"
_GLANCE: Final = "SELECT (SELECT max(sequence) FROM history), (SELECT version_num FROM alembic_version)"
LARGEST_BATCH: Final = 1_000  # jobs; bounds how long another process waits for the file

Observer = Callable[[int, float, int], None]
"""Told of each batch: its jobs, the seconds from BEGIN to COMMIT, and how many of the jobs the storage failed."""


# --- The writer ------------------------------------------------------------------------------------------------------


class Transaction:
    """What a job is given: the open transaction, its time, and the head of the history as far as this batch wrote it."""

    __slots__ = ("_execute_many", "deferred", "execute", "first_sequence", "head", "now")

    def __init__(self, connection: sqlite3.Connection, now: int) -> None:
        # One cursor for all, which saves making one for each statement; whoever queries takes the rows at once.
        cursor = connection.cursor()
        self.execute: Callable[[str, Parameters], sqlite3.Cursor] = cursor.execute
        self._execute_many = cursor.executemany
        self.deferred: list[tuple[str, Row]] = []
        """Inserts that nothing in the batch reads back, with their parameters: done together at its end, which is cheaper."""
        self.now = now
        """Milliseconds since the epoch; one time for the whole batch."""
        self.head: tuple[int, bytes] | None = None
        """Sequence and digest of the last row of history; None until a job of this batch asked."""
        self.first_sequence = 0
        """The first row of history that this batch wrote; 0 for none."""

    def flush(self) -> None:
        """Do the deferred inserts: at the end of the batch, or earlier for a job that reads them back."""
        deferred, self.deferred = self.deferred, []
        for sql, rows in groupby(deferred, itemgetter(0)):
            self._execute_many(sql, map(itemgetter(1), rows))

    def one(self, sql: str, parameters: Parameters) -> Row | None:
        """The first row of a query, or None."""
        return cast("Row | None", self.execute(sql, parameters).fetchone())

    def all(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Every row of a query."""
        return self.execute(sql, parameters).fetchall()


class _Job(asyncio.Future[T]):
    """A write and its outcome. Awaited to its end: a cancelled task stays at the await until the outcome is known."""

    __slots__ = ("applied", "error", "function", "value")

    def __init__(
        self, function: Callable[[Transaction], T], applied: Callable[[T], None] | None, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(loop=loop)
        self.function = function
        self.applied = applied
        self.value: T
        self.error: Exception | None = None

    def cancel(self, msg: object = None) -> bool:  # noqa: ARG002 - the signature of asyncio.Future
        return False


class _Writer:
    """The thread that owns the writing connection. It knows nothing of who asked."""

    def __init__(self, path: Path, clock: Clock, synchronous: Synchronous, tell: Callable[..., None]) -> None:
        self._path = path
        self._clock = clock
        self._engine = writing_engine(path, synchronous)
        self._tell = tell
        self.queue: queue.SimpleQueue[list[_Job[Any]] | None] = queue.SimpleQueue()
        self.observer: Observer | None = None
        self._connection = self._connect()
        self._broken = False
        self.thread = threading.Thread(target=self._run, name=f"restpoint-writer:{path.name}", daemon=True)

    def _connect(self) -> sqlite3.Connection:
        # Detached from the pool, so it is ours alone and stays open until we close it.
        fairy = self._engine.raw_connection()
        connection = cast("sqlite3.Connection", fairy.driver_connection)
        fairy.detach()
        try:
            check_revision(connection, self._path)
            use_log(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _run(self) -> None:
        try:
            stopping = False
            while not stopping:
                batch = self.queue.get()
                while batch is not None and len(batch) < LARGEST_BATCH:
                    try:
                        more = self.queue.get_nowait()
                    except queue.Empty:
                        break
                    if more is None:
                        stopping = True
                        break
                    batch += more
                if batch is None:
                    break
                observer = self.observer
                began = time.perf_counter() if observer is not None else 0.0
                try:
                    spans = self._commit(batch)
                except Exception as error:  # a defect of ours, which must not leave the callers waiting for ever
                    log.exception("the writer failed")
                    spans = []
                    for job in batch:
                        job.error = error
                if observer is not None:
                    _observe(observer, batch, time.perf_counter() - began)
                self._tell(batch, spans)
                batch = None  # while this thread waits for more, it must not keep what the jobs refer to
        finally:
            self._connection.close()
            self._engine.dispose()

    def _commit(self, batch: list[_Job[Any]]) -> list[tuple[int, int]]:
        """Run the jobs of a batch in one transaction; returns the first and last history row of each that it took."""
        committing = False
        try:
            self._begin()
            transaction = Transaction(self._connection, self._clock.now())
            for job in batch:
                self._attempt(job, transaction)
            transaction.flush()
            committing = True
            self._connection.execute("COMMIT")
        except _Spoiled:
            self._rollback()
            return [] if len(batch) == 1 else [span for job in batch for span in self._commit([job])]
        except Exception as error:  # noqa: BLE001 - nothing of the batch is stored, and each caller must hear why
            self._rollback()
            if committing:
                self._overwrite()
            for job in batch:
                # A refusal too: it may rest on a batch-mate's write that is not stored after all.
                job.error = storage_error(error) if isinstance(error, sqlite3.Error | UnicodeDecodeError) else error
            return []
        if transaction.first_sequence and transaction.head:
            return [(transaction.first_sequence, transaction.head[0])]
        return []

    def _attempt(self, job: _Job[Any], transaction: Transaction) -> None:
        before, deferred = self._connection.total_changes, len(transaction.deferred)
        job.error = None
        try:
            job.value = job.function(transaction)
        except Exception as error:
            job.error = storage_error(error) if isinstance(error, sqlite3.Error | UnicodeDecodeError) else error
            if isinstance(error, UnicodeEncodeError):
                job.error = InvalidArgument(f"Half of a surrogate pair is no text and cannot be stored: {error}.")
            written = self._connection.total_changes != before or len(transaction.deferred) != deferred
            if written or not self._connection.in_transaction:
                raise _Spoiled from error

    def _begin(self) -> None:
        """BEGIN IMMEDIATE, waiting for other processes, and then the gate: the file may have been upgraded under us."""
        if self._broken:
            self._connection = self._connect()
            self._broken = False
        give_up = time.monotonic() + BUSY_TIMEOUT_SECONDS
        pause = 0.0002
        while True:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                break
            except sqlite3.OperationalError as error:
                if not (error.sqlite_errorname or "").startswith("SQLITE_BUSY") or time.monotonic() > give_up:
                    raise
            # Short and uneven pauses: SQLite's own handler sleeps up to 100 ms at a time, and who pauses long misses the gaps
            # (p99 of a write, four processes: 138 ms with pauses up to 10 ms, 61 ms with these).
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
            pause = min(pause * 1.5, _LONGEST_PAUSE)
        if self._connection.execute(_REVISION_OF_FILE).fetchone() != (REVISION,):
            check_revision(self._connection, self._path)

    def _overwrite(self) -> None:
        """Make sure that what was refused stays refused.

        A COMMIT whose fsync fails has its frames in the log already, ending in a commit mark. Rolling back forgets them,
        but should the process die now, recovery would find them and store what the callers were told is not stored. The
        next frames go in their place (https://www.sqlite.org/walformat.html, section 4), so write some.
        """
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            self._connection.execute("COMMIT")
        except sqlite3.Error:
            log.debug("nothing could be written over a refused transaction", exc_info=True)
            self._rollback()

    def _rollback(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            # A connection that cannot even roll back is of no more use; closing it rolls back.
            log.exception("rolling back failed; %s is opened again for the next write", self._path)
            self._connection.close()
            self._broken = True


def _observe(observer: Observer, batch: list[_Job[Any]], seconds: float) -> None:
    try:
        observer(len(batch), seconds, sum(isinstance(job.error, StorageError) for job in batch))
    except Exception:  # who counts must not stop what is counted
        log.exception("a batch could not be observed")


class _Spoiled(Exception):
    """A job failed after it had written: its batch must be undone and run again job by job."""


# --- The database ----------------------------------------------------------------------------------------------------


class Database:
    """One open file. Made by ``open``; used from the event loop that opened it."""

    def __init__(self, path: Path, loop: asyncio.AbstractEventLoop) -> None:
        self.path = path
        self.committed: Callable[[int, int], None] | None = None
        """Called on the loop after each batch, before its jobs are told, with its first and last history row."""
        self._loop = loop
        self._waiting: list[_Job[Any]] = []
        self._writer: _Writer | None = None
        self._engine = reading_engine(path)
        self._readers: dict[str, tuple[AsyncConnection, aiosqlite.Connection]] = {}
        self._connecting = asyncio.Lock()
        self._glancing: sqlite3.Connection | None = None
        self._glanced: tuple[int | None] | None = None
        self._under_way = 0
        self._expecting: list[asyncio.Future[None]] = []

    @classmethod
    async def open(cls, path: Path, clock: Clock, synchronous: Synchronous = "FULL") -> "Database":
        """Open an existing file at the current revision. Raises ``StorageError`` and its kinds."""
        if synchronous not in {"FULL", "NORMAL"}:
            raise InvalidArgument(f"synchronous is FULL or NORMAL, not {synchronous!r}.")
        loop = asyncio.get_running_loop()
        self = cls(path, loop)
        # The thread must not keep the database alive, so that one that was dropped unclosed ends its thread.
        me = weakref.ref(self)

        def deliver(batch: list[_Job[Any]], spans: list[tuple[int, int]]) -> None:
            database = me()
            if database is not None and database.committed is not None:
                for first, last in spans:
                    database.committed(first, last)
            _resolve(batch)
            if database is not None:
                database.delivered(len(batch))

        def tell(*arguments: Any) -> None:  # noqa: ANN401 - handed on
            try:
                loop.call_soon_threadsafe(deliver, *arguments)
            except RuntimeError:
                log.debug("the event loop closed before a batch could be told")

        try:
            self._writer = await asyncio.to_thread(_Writer, path, clock, synchronous, tell)
            self._writer.thread.start()
            weakref.finalize(self, self._writer.queue.put, None)
            await self._reader("short")
            self._glancing = await asyncio.to_thread(glancing_connection, path)
        except (sqlite3.Error, UnicodeDecodeError) as error:
            await self.close()
            raise storage_error(error) from error
        except BaseException:
            await self.close()
            raise
        return self

    def write(
        self, function: Callable[[Transaction], T], applied: Callable[[T], None] | None = None
    ) -> "asyncio.Future[T]":
        """Queue a job. The future resolves after COMMIT, or with what the job or the storage raised.

        ``applied`` is called on the loop with the result after COMMIT, in commit order, before anyone is woken.
        """
        if asyncio.get_running_loop() is not self._loop:
            raise InvalidArgument("This store was opened in another event loop; make one store for each loop.")
        job = _Job(function, applied, self._loop)
        if self._writer is None:
            job.set_exception(StoreClosed("The store is closed; make a new one to go on."))
            return job
        if not self._waiting:
            # At the end of this turn of the loop: all that its tasks ask for goes over in one piece.
            self._loop.call_soon(self._hand_over)
        self._waiting.append(job)
        return job

    def observe(self, observer: Observer | None) -> None:
        """Have each batch told, from the thread that writes; one observer, or None for none."""
        if self._writer is not None:
            self._writer.observer = observer

    def _hand_over(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting and self._writer is not None:
            self._under_way += len(waiting)
            self._writer.queue.put(waiting)

    def delivered(self, count: int) -> None:
        """So many jobs were told to everyone."""
        self._under_way -= count
        expecting, self._expecting = self._expecting, []
        for each in expecting:
            if not each.done():
                each.set_result(None)

    async def delivery(self) -> None:
        """Return when the batch that is being written has been told to everyone; at once where there is none."""
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
        """The sequence of the newest row of history, read here and now; None where a proper reading must find out.

        On the loop's own thread: the two pages are in memory, a reader of the log waits for nobody, and the hop to another
        thread costs ten times as much.
        """
        if self._glancing is None:
            return None
        if self._glanced is None:
            # Once for all who ask in this turn of the loop: what they ask for was asked before the turn began.
            self._glanced = (self._glance(self._glancing),)
            self._loop.call_soon(self._look_away)
        return self._glanced[0]

    def _look_away(self) -> None:
        self._glanced = None

    @staticmethod
    def _glance(connection: sqlite3.Connection) -> int | None:
        try:
            row = connection.execute(_GLANCE).fetchone()
        except sqlite3.Error:
            return None
        return row[0] if row is not None and row[1] == REVISION else None

    async def pass_gate(self) -> None:
        """Raise ``SchemaTooNew`` or ``SchemaTooOld`` if the file was moved to another revision since it was opened."""

        def look() -> None:
            with closing(sqlite3.connect(self.path, isolation_level=None, timeout=BUSY_TIMEOUT_SECONDS)) as connection:
                check_revision(connection, self.path)

        await asyncio.to_thread(look)

    async def _reader(self, lane: str) -> aiosqlite.Connection:
        if lane in self._readers:
            return self._readers[lane][1]
        async with self._connecting:
            if self._writer is None:
                raise StoreClosed("The store is closed; open it again to go on.")
            if lane not in self._readers:
                try:
                    connection = await self._engine.connect()
                except DBAPIError as error:
                    raise storage_error(error.orig if isinstance(error.orig, Exception) else error) from error
                raw = await connection.get_raw_connection()
                self._readers[lane] = connection, cast("aiosqlite.Connection", raw.driver_connection)
        return self._readers[lane][1]

    async def close(self) -> None:
        """Finish what was queued, then close. The last one to close checkpoints the log away."""
        self._hand_over()  # what was asked for before is done before
        writer, self._writer = self._writer, None
        glancing, self._glancing = self._glancing, None
        if glancing is not None:
            glancing.close()
        async with self._connecting:
            readers, self._readers = list(self._readers.values()), {}
            for connection, _ in readers:
                await connection.close()
            await self._engine.dispose()
        if writer is not None:
            # After the readers, because the last connection to close moves the log into the file, and they may not write.
            writer.queue.put(None)
            await asyncio.to_thread(writer.thread.join)


def _resolve(batch: list[_Job[Any]]) -> None:
    for job in batch:
        if job.error is not None:
            job.set_exception(job.error)
        else:
            if job.applied is not None:
                try:
                    job.applied(job.value)
                except Exception:
                    log.exception("a committed change could not be told to its record")
            job.set_result(job.value)
        # The writer may hold the job a little longer; it must not hold what the functions refer to.
        del job.function, job.applied
