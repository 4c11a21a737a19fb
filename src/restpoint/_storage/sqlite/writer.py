"""The writer: the one thread and the one connection that write to the file.

Every write is a *job*: a function of a ``Transaction``. Jobs are collected while the last batch commits and become
the next one: one ``BEGIN IMMEDIATE``, all jobs, one COMMIT, one fsync for all of them (*group commit*). A job that raises
before it wrote anything fails alone; one that raises later rolls the batch back, and the batch is run again one job at a
time, so that its mates commit. Jobs must therefore depend on nothing but their arguments and the file. A job returns its
value to the caller and *emits* events (``Transaction.emit``), one for each row of history that changed an execution.

Once the thread has begun, no other thread touches the connection.
"""

import asyncio
import logging
import queue
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar, cast

from sqlalchemy import select

from restpoint._core.changes import Change
from restpoint._core.clock import Clock
from restpoint._core.log_limit import STORAGE_FAILURES
from restpoint._storage.schema import APPLICATION_ID, REVISION, alembic_version, history
from restpoint._storage.sqlite.connection import (
    BUSY_TIMEOUT_SECONDS,
    ONE,
    REVISION_OF_FILE,
    ZERO,
    Synchronous,
    beside,
    check_revision,
    open_connection,
    prepare,
    set_log_aside,
    storage_error,
    use_log,
)
from restpoint._storage.sqlite.guard import Guard
from restpoint.errors import FileGone, InvalidArgument, StorageBusy, StorageError, UnusableFile

log = logging.getLogger(__name__)

T = TypeVar("T")
Parameters = Mapping[str, object] | Sequence[object]
Row = tuple[Any, ...]

LARGEST_BATCH: Final = 1_000  # jobs; bounds how long another process waits for the file
_GATE: Final = prepare(
    select(alembic_version.c.version_num, history.c.sequence, history.c.digest)
    .order_by(history.c.sequence.desc())
    .limit(ONE)
    .offset(ZERO)
)
"""The revision of the file and the head of its history, in one reading, because each transaction begins with both."""
_LONGEST_PAUSE: Final = 0.002  # seconds, between two attempts to begin

Observer = Callable[[int, float, int], None]
"""Is called for each batch with the number of jobs, the seconds from BEGIN to COMMIT, and how many jobs the storage failed."""


class Committed(NamedTuple):
    """What one transaction committed: its first and last row of history (0 for none), and its events in order."""

    first: int
    last: int
    events: list[Change]


class Transaction:
    """The open transaction that jobs get, with its time, and the head of the history as far as this batch wrote it."""

    __slots__ = ("_cursor", "deferred", "emit", "events", "execute", "first_sequence", "head", "now")

    def __init__(self, connection: sqlite3.Connection, now: int, head: tuple[int, bytes] | None = None) -> None:
        # One cursor for all saves making one for each statement. A caller must take all rows before the next statement.
        self._cursor = connection.cursor()
        self.execute: Callable[[str, Parameters], sqlite3.Cursor] = self._cursor.execute
        self.deferred: list[tuple[str, Row]] = []
        """Inserts that nothing in the batch reads back, with their parameters: done together at its end, which is cheaper."""
        self.now = now
        """Milliseconds since the epoch; one time for the whole batch."""
        self.head = head
        """Sequence and digest of the last row of history; None where nobody has looked for it, or there is none."""
        self.first_sequence = 0
        """The first row of history that this batch wrote; 0 for none."""
        self.events: list[Change] = []
        """What the jobs of the batch did, in order; told to the sink of the database once COMMIT returned."""
        self.emit: Callable[[Change], None] = self.events.append

    def flush(self) -> None:
        """Do the deferred inserts: at the end of the batch, or earlier for a job that reads them back."""
        deferred, self.deferred = self.deferred, []
        if len(deferred) == 1:
            self.execute(*deferred[0])
            return
        for sql, rows in groupby(deferred, itemgetter(0)):
            self._cursor.executemany(sql, map(itemgetter(1), rows))

    def close(self) -> None:
        """Let go of the last statement, while the connection is still the caller's.

        The cursor itself may live on, in the traceback of a refusal for one. Where it is deleted with a statement, that is
        reset then, in whatever thread this happens, and no other thread has any business on this connection.
        """
        self._cursor.close()

    def one(self, sql: str, parameters: Parameters) -> Row | None:
        """The first row of a query, or None."""
        return cast("Row | None", self.execute(sql, parameters).fetchone())

    def all(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Every row of a query."""
        return self.execute(sql, parameters).fetchall()


class Job(asyncio.Future[T]):
    """A write and its outcome. A cancelled task stays at the await until the outcome is known."""

    __slots__ = ("arguments", "error", "function", "named", "value")

    # Set by ``Database.write``, because an __init__ in Python costs as much as all else that it does.
    function: Callable[..., T]
    """Is called with the transaction and these arguments."""
    arguments: tuple[object, ...]
    named: Mapping[str, object]
    # Set by the writer.
    value: T
    error: Exception | None

    def cancel(self, msg: object = None) -> bool:  # noqa: ARG002 - the signature of asyncio.Future
        """Do nothing, because the outcome will come."""
        return False


class Writer:
    """The thread that owns the writing connection. It knows nothing of who asked."""

    def __init__(self, path: Path, clock: Clock, synchronous: Synchronous, tell: Callable[..., None]) -> None:
        self._path = path
        self._clock = clock
        self._synchronous = synchronous
        self._tell = tell
        self._queue: queue.SimpleQueue[list[Job[Any]] | None] = queue.SimpleQueue()
        self.observer: Observer | None = None
        self.guard = guard_of(path)
        try:
            self._connection = self._connect()
        except BaseException:
            self.guard.close()
            raise
        self._broken = False
        self._log_is_saved = False
        self.failure: StorageError | None = None
        """What the storage failed the newest batch with; None once a batch was committed. Read by the loop."""
        self.reached = 0
        """The last row of history of the newest transaction whose COMMIT was called for, and did not fail. Read by the loop."""
        self._thread = threading.Thread(target=self._run, name=f"restpoint-writer:{path.name}", daemon=True)

    def _connect(self) -> sqlite3.Connection:
        connection = open_connection(self._path, "write", synchronous=self._synchronous)
        try:
            check_revision(connection, self._path)
            use_log(connection)
            connection.execute(REVISION_OF_FILE).fetchone()  # opens the log
            self.guard.connected()
        except BaseException:
            connection.close()
            raise
        return connection

    # --- Called by the event loop ---

    def start(self) -> None:
        """Begin to write what is put."""
        self._thread.start()

    def put(self, batch: list[Job[Any]]) -> None:
        """Write these jobs."""
        self._queue.put(batch)

    def end(self) -> None:
        """Write what was put before, close the connection and end."""
        self._queue.put(None)

    def join(self) -> None:
        """Return when it has ended."""
        self._thread.join()

    # --- In its own thread ---

    def _run(self) -> None:
        try:
            while (batch := self._next()) is not None:
                observer = self.observer
                began = time.perf_counter() if observer is not None else 0.0
                try:
                    committed = self._commit(batch)
                except Exception as error:  # a defect of ours, which must not leave the callers waiting for ever
                    log.exception("the writer failed")
                    committed = []
                    for job in batch:
                        job.error = error
                if observer is not None:
                    _observe(observer, batch, time.perf_counter() - began)
                self._note(batch)
                self._tell(batch, committed)
                del batch, committed  # while this thread waits for more, it must not keep what the jobs refer to
        finally:
            with suppress(FileGone):  # a log that is not the file's must neither be moved into the file nor be deleted
                self.guard.check()
                self.guard.unlock()
            self._connection.close()
            self.guard.close()

    def _note(self, batch: list[Job[Any]]) -> None:
        """Keep and log what the storage failed jobs of a batch with."""
        failures = [job.error for job in batch if isinstance(job.error, StorageError)]
        if failures:
            STORAGE_FAILURES.error(log, "%s refused a write: %s", self._path, failures[0])
            self.failure = None if isinstance(failures[0], StorageBusy) else failures[0]
        elif self.failure is not None and any(job.error is None for job in batch):
            log.warning("%s takes writes again", self._path)
            self.failure = None

    def _next(self) -> list[Job[Any]] | None:
        """The next batch, with all that was put meanwhile; None for the end."""
        batch = self._queue.get()
        # Nobody else takes from the queue, so what is not empty stays so; to be refused costs ten times as much as to look.
        while batch is not None and len(batch) < LARGEST_BATCH and not self._queue.empty():
            more = self._queue.get()
            if more is None:
                self._queue.put(None)  # nothing comes behind it
                break
            batch += more
        return batch

    def _commit(self, batch: list[Job[Any]]) -> list[Committed]:
        """Run the jobs of a batch in one transaction, or one by one if that fails. Returns what each transaction did."""
        committing, committed, reached = False, False, 0
        try:
            self._begin()
            self.guard.check_before()
            transaction = self._run_jobs(batch)
            transaction.close()
            committing, reached = True, self.reached
            # Before COMMIT, because a reader may see its rows before this thread runs again.
            if transaction.first_sequence and transaction.head:
                self.reached = transaction.head[0]
            self._connection.execute("COMMIT")
            committed = True
            self.guard.leave()
            self.guard.check_after()
        except _Spoiled:
            self._rollback()
            return [] if len(batch) == 1 else [each for job in batch for each in self._commit([job])]
        except Exception as error:  # noqa: BLE001 - nothing of the batch is stored, and each caller must hear why
            self._rollback()
            error = self._explained(error)
            if committing:
                self.reached = reached
            if committing and not committed:
                self._overwrite()
            if isinstance(error, FileGone):
                self._save_log()
            for job in batch:
                # A refusal too: it may rest on a batch-mate's write that is not stored after all.
                job.error = storage_error(error) if isinstance(error, sqlite3.Error | UnicodeDecodeError) else error
            return []
        if transaction.first_sequence and transaction.head:
            return [Committed(transaction.first_sequence, transaction.head[0], transaction.events)]
        return []

    def _run_jobs(self, batch: list[Job[Any]]) -> Transaction:
        """After BEGIN: everything but COMMIT. Raises ``_Spoiled`` when the jobs must be run again one by one."""
        head = self._pass_gate()
        transaction = Transaction(self._connection, self._clock.now(), head)
        try:
            for job in batch:
                self._attempt(job, transaction)
            transaction.flush()
        except BaseException:
            transaction.close()
            raise
        return transaction

    def _attempt(self, job: Job[Any], transaction: Transaction) -> None:
        before, deferred = self._connection.total_changes, len(transaction.deferred)
        job.error = None
        try:
            job.value = job.function(transaction, *job.arguments, **job.named)
        except Exception as error:
            job.error = storage_error(error) if isinstance(error, sqlite3.Error | UnicodeDecodeError) else error
            if isinstance(error, UnicodeEncodeError):
                job.error = InvalidArgument(f"Half of a surrogate pair is no text and cannot be stored: {error}.")
            written = self._connection.total_changes != before or len(transaction.deferred) != deferred
            if written or not self._connection.in_transaction:
                raise _Spoiled from error

    def _begin(self) -> None:
        """BEGIN IMMEDIATE, waiting for other processes."""
        if self._broken:
            self.guard.check()
            self._connection = self._connect()
            self._broken = False
        give_up = time.monotonic() + BUSY_TIMEOUT_SECONDS
        pause = 0.0002
        while True:
            try:
                if self.guard.enter():
                    self._connection.execute("BEGIN IMMEDIATE")
                    break
                if time.monotonic() > give_up:
                    raise StorageBusy("Another program keeps writing to the file; nothing was written.")
            except sqlite3.OperationalError as error:
                if not (error.sqlite_errorname or "").startswith("SQLITE_BUSY") or time.monotonic() > give_up:
                    raise
            # Short and uneven pauses: SQLite's own handler sleeps up to 100 ms at a time, and who pauses long misses the gaps
            # (p99 of a write, four processes: 138 ms with pauses up to 10 ms, 61 ms with these).
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    def _pass_gate(self) -> tuple[int, bytes] | None:
        """Check the revision in each transaction, because another process may upgrade the file at any time.

        Returns the sequence and the digest of the last row of history; None where it has no rows.
        """
        try:
            row = self._connection.execute(_GATE).fetchone()
        except sqlite3.OperationalError:  # no such table or column: another schema?
            check_revision(self._connection, self._path)
            raise
        if row is None or row[0] != REVISION:
            check_revision(self._connection, self._path)
        return None if row is None else (row[1], row[2])

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

    def _explained(self, error: Exception) -> Exception:
        """SQLite's failure, or ``FileGone`` where that is why."""
        if isinstance(error, sqlite3.Error):
            try:
                self.guard.check_before()
            except FileGone as gone:
                return gone
            except OSError:
                log.debug("the file could not be looked at", exc_info=True)
        return error

    def _save_log(self) -> None:
        """Move the log into the file where somebody deleted only the log: what was acknowledged before would be gone with it.

        Where another file stands at the path, move the log away from it: it is not that file's.
        """
        if self.guard.is_beside_another_file():
            aside = beside(self._path.resolve(), "replaced")
            set_log_aside(self._path.resolve(), aside)
            log.warning("the log of the file that was replaced at %s is now %s-wal", self._path, aside)
        if self._log_is_saved:
            return
        with self.guard.alone_with_the_file() as may_write:
            if not may_write:
                return
            try:
                _, frames, moved = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            except sqlite3.Error as error:
                STORAGE_FAILURES.error(log, "the deleted log of %s could not be saved: %s", self._path, error)
            else:
                self._log_is_saved = moved == frames
                log.warning("of the deleted log of %s, %d of %d pages are saved in the file", self._path, moved, frames)

    def _rollback(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            # A connection that cannot even roll back is of no more use; closing it rolls back.
            log.exception("rolling back failed; %s is opened again for the next write", self._path)
            self._connection.close()
            self._broken = True
        finally:
            self.guard.leave()


def guard_of(path: Path) -> Guard:
    """A guard for the file. Raises ``UnusableFile``."""
    try:
        return Guard(path)
    except OSError as error:
        raise UnusableFile(f"{path} cannot be opened: {error.strerror}.") from error


def _observe(observer: Observer, batch: list[Job[Any]], seconds: float) -> None:
    try:
        observer(len(batch), seconds, sum(isinstance(job.error, StorageError) for job in batch))
    except Exception:  # who counts must not stop what is counted
        log.exception("a batch could not be observed")


class _Spoiled(Exception):
    """A job failed after it had written: its batch must be undone and run again job by job."""
