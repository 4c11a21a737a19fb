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


class Writes:
    """The writes of the run of one execution. None is stored before, or without, one that was queued earlier."""

    def __init__(self, database: Database, execution_id: str) -> None:
        self._database = database
        self._execution_id = execution_id
        self._newest: asyncio.Future[Any] | None = None
        self._refused: list[Callable[[], None]] = []
        """What the storage refused, and what was queued behind that."""
        self._again: asyncio.TimerHandle | None = None
        self._is_over = False

    @property
    def are_refused(self) -> bool:
        """Whether something waits for the storage to take it."""
        return bool(self._refused)

    def queue(self, job: Callable[[Transaction], None], over: Callable[["asyncio.Future[None]"], None]) -> None:
        """Write, again and again if need be, and call ``over`` with the outcome."""

        def written(outcome: "asyncio.Future[None]") -> None:
            error = outcome.exception()
            if error is not None and not self._is_over and _may_pass(error):
                self._put_off(submit, error)
            else:
                over(outcome)

        def submit() -> None:
            self._newest = self.submit(job)
            self._newest.add_done_callback(written)

        if self._refused:
            self._refused.append(submit)
        else:
            submit()

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

    def _put_off(self, submit: Callable[[], None], error: BaseException) -> None:
        if not self._refused:
            STORAGE_FAILURES.error(
                log, "execution %s goes on once it can be written again: %s", self._execution_id, error
            )
            self._again = asyncio.get_running_loop().call_later(AGAIN, self._write_again)
        self._refused.append(submit)

    def _write_again(self) -> None:
        submitting, self._refused, self._newest = self._refused, [], None
        for submit in submitting:
            submit()


def _may_pass(error: BaseException) -> bool:
    """Whether what failed with this error may succeed later: no room, a lock, a failing disk, a file that was moved."""
    return isinstance(error, StorageError) and not (error.sqlite_name or "").startswith("SQLITE_CONSTRAINT")
