"""Writes of one run: in the order of the calls, and again for as long as the storage refuses them.

A run whose write finds no room, or a file that is locked or moved, stays in memory and writes again. Were it to leave and be
replayed, its steps under way would begin once more, and that every second while the disk is full.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final, TypeVar

from restpoint._core.log_limit import STORAGE_FAILURES
from restpoint._storage import Database, Transaction
from restpoint.errors import StorageError

log = logging.getLogger(__name__)

T = TypeVar("T")

AGAIN: Final = 1.0
"""Seconds from a refusal to the next attempt."""


class Write:
    """One write, until it is stored or its run is over. No closures, because two that refer to each other would keep the run."""

    __slots__ = ("done", "ends_run", "job", "stored")

    def __init__(
        self, job: Callable[[Transaction], None], stored: Callable[[], None], ends_run: Callable[[BaseException], bool]
    ) -> None:
        self.job = job
        self.stored = stored
        self.ends_run = ends_run
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def over(self, error: BaseException | None) -> None:
        """Tell whoever awaits it."""
        if error is None:
            self.stored()
        elif not self.ends_run(error) and not self.done.done():
            self.done.set_exception(error)
            self.done.exception()  # mark it as retrieved: whoever awaited it may have been cancelled
        if not self.done.done():
            self.done.set_result(None)


class Writes:
    """The writes of the run of one execution. None is stored before, or without, one that was queued earlier."""

    def __init__(self, database: Database, execution_id: str) -> None:
        self._database = database
        self._execution_id = execution_id
        self._newest: asyncio.Future[Any] | None = None
        self._refused: list[Write] = []
        """What the storage refused, and what was queued behind that."""
        self._again: asyncio.TimerHandle | None = None
        self._is_over = False

    @property
    def are_refused(self) -> bool:
        """Whether something waits for the storage to take it."""
        return bool(self._refused)

    def queue(
        self, job: Callable[[Transaction], None], stored: Callable[[], None], ends_run: Callable[[BaseException], bool]
    ) -> "asyncio.Future[None]":
        """Write, again and again if need be; the future is done after COMMIT. Cancelling it cancels only the waiting.

        ``stored`` is called after COMMIT. ``ends_run`` is told an error that does not pass; the future raises it unless the run
        ends by it.
        """
        write = Write(job, stored, ends_run)
        if self._refused:
            self._refused.append(write)
        else:
            self._attempt(write)
        return write.done

    def submit(self, job: Callable[[Transaction], T]) -> "asyncio.Future[T]":
        """Give a job to the writer once. It is refused where what was queued before it is."""
        earlier = self._newest
        if earlier is None or (earlier.done() and earlier.exception() is None):
            return self._database.write(job)

        def behind(tx: Transaction) -> T:
            Database.follow(earlier)
            return job(tx)

        return self._database.write(behind)

    def end(self) -> None:
        """Write nothing again from here on: the run is over."""
        self._is_over = True

    def close(self, *, at_last: bool) -> None:
        """Forget what was refused, or write it ``at_last`` once more."""
        if self._again is not None:
            self._again.cancel()
        if at_last:
            self._write_again()
        self._refused.clear()
        self._newest = None

    def _attempt(self, write: Write) -> None:
        def written(outcome: "asyncio.Future[None]") -> None:
            error = outcome.exception()
            if error is not None and not self._is_over and _may_pass(error):
                self._put_off(write, error)
            else:
                write.over(error)

        self._newest = self.submit(write.job)
        self._newest.add_done_callback(written)

    def _put_off(self, write: Write, error: BaseException) -> None:
        if not self._refused:
            STORAGE_FAILURES.error(
                log, "execution %s goes on once it can be written again: %s", self._execution_id, error
            )
            self._again = asyncio.get_running_loop().call_later(AGAIN, self._write_again)
        self._refused.append(write)

    def _write_again(self) -> None:
        refused, self._refused, self._newest = self._refused, [], None
        for write in refused:
            self._attempt(write)


def _may_pass(error: BaseException) -> bool:
    """Whether what failed with this error may succeed later: no room, a lock, a failing disk, a file that was moved."""
    return isinstance(error, StorageError) and not (error.sqlite_name or "").startswith("SQLITE_CONSTRAINT")
