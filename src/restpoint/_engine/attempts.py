"""Attempts: the steps of one run that are under way, with their failed attempts and the threads that are at work in them."""

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from restpoint._core.threads import Returned, ThreadCall, ThreadPool
from restpoint._engine.calls import this_task
from restpoint._storage import Call, journal

if TYPE_CHECKING:
    from restpoint._engine.run import Run


class Attempts:
    """What is known of the steps of one run that have no outcome yet.

    It does not refer to its run, because a run that left memory must go without waiting for the garbage collector.
    """

    def __init__(self, threads: ThreadPool) -> None:
        self._threads = threads
        self._failed: dict[str, journal.StepAttempts] = {}
        self._thread_calls: set[ThreadCall] = set()

    def use(self, failed: Iterable[journal.StepAttempts]) -> None:
        """Set what the file has, before the run begins."""
        self._failed = {each.position: each for each in failed}

    def of(self, call: Call) -> journal.StepAttempts | None:
        """The failed attempts of a step; None where there are none, or where they were another step's."""
        found = self._failed.get(call.position)
        is_same = found is not None and (found.name, found.fingerprint) == (call.name, call.fingerprint)
        return found if is_same else None

    async def record_failure(self, run: "Run", call: Call, attempts: int, error: str, next_at: int) -> None:
        """Write that a step failed for the ``attempts``-th time, with ``error`` (JSON), and is tried again at ``next_at``."""
        await run.write(journal.attempt_failed, call, attempts, error, next_at)
        now = run.file.clock.now()
        made = (call.position, call.name, call.fingerprint, attempts, error, now, next_at)
        self._failed[call.position] = journal.StepAttempts(*made)
        run.recorded()

    async def record_outcome(self, run: "Run", call: Call, result: str | None, error: str | None) -> None:
        """Write the outcome of a step, both as JSON, and remove its failed attempts from the file."""
        await run.outcome(journal.record_step, call, result, error, attempted=self._forget(call))

    def abandon(self, run: "Run", call: Call) -> None:
        """Record that the workflow itself cancelled a step under way, so that no replay runs it again."""
        if run.goes_on():
            given, attempted = run.journal.order.newest_given, self._forget(call)
            run.queue(journal.record_step, call, given, None, journal.ABANDONED, attempted=attempted)
            run.recorded()

    def _forget(self, call: Call) -> bool:
        """Forget the failed attempts of a step; whether there were any."""
        return self._failed.pop(call.position, None) is not None

    async def in_thread(self, work: Callable[[], Any]) -> Returned:
        """Call a function in a thread of the runner; what it returned, and what it raised."""
        call = self._threads.call(work)
        self._thread_calls.add(call)
        returned = await call
        self._thread_calls.discard(call)
        return returned

    @property
    def are_in_threads(self) -> bool:
        """Whether a step awaits a thread, or what that has just returned."""
        return any(not call.cancelled() for call in self._thread_calls)

    @property
    def are_blocked(self) -> bool:
        """Whether a thread is still at work in a step, which nothing can stop."""
        return any(not call.is_over for call in self._thread_calls)


# --- What a step or the workflow raises ---


def cancellations() -> int:
    """How often the current task was told to end, to compare with later."""
    task = this_task()
    return 0 if task is None else task.cancelling()


def is_outcome(run: "Run", error: BaseException, cancellations: int = -1) -> bool:
    """Whether what a step or the workflow raised is how it ended, rather than the end of its run in this process.

    Every kind of exception is an outcome, also ``SystemExit``, ``GeneratorExit`` and a ``CancelledError`` that nobody asked
    for, but

    - nothing that is raised once the run leaves memory, or its event loop ends;
    - Ctrl-C, and the closing of a coroutine that is not running;
    - of a step: the cancellation of its task, which was told to end ``cancellations`` times before the step began.
    """
    if not run.goes_on():
        return False
    task = this_task()
    if isinstance(error, asyncio.CancelledError):
        return cancellations < 0 or task is None or task.cancelling() <= cancellations
    return task is not None and not isinstance(error, KeyboardInterrupt)
