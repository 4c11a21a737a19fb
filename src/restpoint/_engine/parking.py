"""Parking: which runs only wait, and when one that waits leaves memory.

A run *waits* when some of its branches await a prompt, a consent or an instant, and no branch is busy. It then gives its slot
back, and is parked after ``hold_paused_for``: it leaves memory.
"""

import asyncio
import gc
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import CoroutineType, MethodType
from typing import TYPE_CHECKING, Any, Final, Self, cast

from restpoint._engine.calls import this_task
from restpoint._engine.replay import TURNS
from restpoint._engine.slots import Slots
from restpoint.errors import TimeLimitRefused

if TYPE_CHECKING:
    from restpoint._engine.run import Run

LEAVING: Final = "restpoint: this run leaves memory"
"""The message that the tasks of a run are cancelled with."""


def time_limit(task: asyncio.Task[Any]) -> str | None:
    """The innermost time limit of asyncio that a suspended task is in, in words; None where there is none."""
    found, running = None, cast("object", task.get_coro())
    while isinstance(running, CoroutineType):
        # Python makes an object of a coroutine's frame, and a dict of its variables, when somebody looks at them, and keeps both
        # for as long as the coroutine waits: 4 kB for each run. So look at no others than these.
        if running.cr_code is _WAIT or running.cr_code is _WAIT_FOR:
            if running.cr_frame is not None and running.cr_frame.f_locals.get("timeout") is not None:
                found = f"asyncio.{running.cr_code.co_name} with a timeout"
        # A block keeps the exit of its context manager on the stack, which the garbage collector can see. The engine's own
        # coroutines, which are most of those that a run waits in, set no limit.
        elif not running.cr_code.co_filename.startswith(_ENGINE):
            kept = gc.get_referents(running)
            if any(_limits(each) for each in kept if isinstance(each, _MAY_LIMIT)):
                found = "asyncio.timeout"
        running = running.cr_await
    return found


_WAIT: Final = asyncio.wait.__code__
_WAIT_FOR: Final = asyncio.wait_for.__code__
# What the exit of a block is kept as. Most of what a coroutine keeps is something else, and this is asked at every wait.
_MAY_LIMIT: Final = (MethodType,) if sys.version_info < (3, 14) else (MethodType, asyncio.Timeout)
_ENGINE: Final = f"{Path(time_limit.__code__.co_filename).parent}{os.sep}"


def _limits(kept: object) -> bool:
    """Whether what a coroutine keeps is the exit of a time limit that is set."""
    if isinstance(kept, MethodType):
        kept = kept.__self__
    return isinstance(kept, asyncio.Timeout) and kept.when() is not None


class _NoRun:
    """Replaces a run that is over, so that its parking does not keep it in memory."""

    exit_reason = "ended"

    def check(self) -> None:
        raise asyncio.CancelledError("restpoint: this run left memory")

    async def park(self, waiting: Sequence[str | int | None]) -> None:
        pass

    def refuse(self, error: TimeLimitRefused) -> None:
        pass


class Parking:
    """What the branches of one run do: the ``with`` block of one that is busy, and the waits of the others."""

    def __init__(self, run: "Run", slots: Slots, hold: float) -> None:
        self.has_slot = True
        self.tasks: set[asyncio.Task[Any]] = set()
        """The tasks that make or await a call, without the workflow's first one."""
        self.waiting: dict[object, int | str | None] = {}
        """What is awaited: ids of waits, instants, None for anything else."""
        self.activity = 0
        """Counts the calls that were made and the waits that are over."""
        self.opens_waits = False
        """Whether a wait was opened for the first time, and not by a replay. Only then time limits are looked for: executions
        that have waited within one since before that was refused go on."""
        self.main: asyncio.Task[Any] | None = None
        """The workflow's first task."""
        self._run: Run | _NoRun = run
        self._slots = slots
        self._owner = run.claim.owner
        # A suspect leaves at once when it waits: it would be blamed if another run killed the process.
        self._hold_seconds = 0 if run.claim.suspect else hold
        self._busy = 0
        self._resting = 0
        self._looking = False
        self._hold: asyncio.TimerHandle | None = None
        self._parking: asyncio.Task[None] | None = None
        self._taking_slot: asyncio.Task[None] | None = None

    def is_alone(self) -> bool:
        """Whether only the workflow's first task makes and awaits calls."""
        return not self.tasks

    def close(self) -> None:
        """Give the slot back and cancel the tasks, because the run leaves memory."""
        if self._hold is not None:
            self._hold.cancel()
        for task in set(self.tasks):
            task.cancel(LEAVING)
        if self.has_slot:
            self.has_slot = False
            self._slots.give()
        self._run = _NoRun()

    def busy(self) -> Self:
        """For ``with``: one branch is busy."""
        return self

    def __enter__(self) -> None:
        self.enter()
        self._busy += 1

    def __exit__(self, *_: object) -> None:
        self._busy -= 1
        self._look_soon()

    def enter(self) -> None:
        """Remember the current task, which makes or awaits a call; it is cancelled with the run."""
        task = this_task()
        if task is not None and task is not self.main and task not in self.tasks:
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    @contextmanager
    def wait(self, what: str | int | None) -> Iterator[None]:
        """One branch awaits something that survives a restart."""
        self.enter()
        token = object()
        self.waiting[token] = what
        self._look_soon()
        try:
            yield
        finally:
            del self.waiting[token]
            self.activity += 1

    @contextmanager
    def rest(self) -> Iterator[None]:
        """One branch awaits the next attempt of a step: it needs no slot, but the run stays in memory."""
        self._resting += 1
        try:
            with self.wait(None):
                yield
        finally:
            self._resting -= 1
            self._look_soon()

    async def be_here(self) -> None:
        """After a wait: return when the run has a slot again. Raises ``asyncio.CancelledError`` if it left memory."""
        if self._hold is not None:
            self._hold.cancel()
            self._hold = None
        with self.busy():
            if self._parking is not None:
                await asyncio.wait([self._parking])
            self._run.check()
            while not self.has_slot:
                # One of the branches takes the slot for all.
                if self._taking_slot is None or self._taking_slot.done():
                    if self._slots.try_take(self._owner):
                        self.has_slot = True
                        return
                    self._taking_slot = asyncio.create_task(self._take_slot())
                await asyncio.wait([self._taking_slot])
                self._run.check()

    async def _take_slot(self) -> None:
        await self._slots.take(self._owner)
        if self._run.exit_reason is not None:
            self._slots.give()
        else:
            self.has_slot = True
            self._look_soon()  # the branch that needed it may have been cancelled meanwhile

    @property
    def _only_waits(self) -> bool:
        return bool(self.waiting) and not self._busy and self._run.exit_reason is None

    def _look_soon(self) -> None:
        """In the next turn of the loop, look whether the run only waits."""
        if self._only_waits and not self._looking:
            self._looking = True
            asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        self._looking = False
        if not self._only_waits:
            return
        if self.opens_waits and (limit := self._time_limit()) is not None:
            self._run.refuse(TimeLimitRefused(limit))
            return
        if self.has_slot:
            self.has_slot = False
            self._slots.give()
        if self._hold is None and self._parking is None and not self._resting:
            loop = asyncio.get_running_loop()
            self._hold = loop.call_later(self._hold_seconds, self._hold_over, TURNS, self.activity)

    def _time_limit(self) -> str | None:
        """The time limit of asyncio in whose block a task of the run waits, in words; None where there is none.

        Every task is suspended now, so what it is in can be seen.
        """
        return next(filter(None, (time_limit(task) for task in (self.main, *self.tasks) if task is not None)), None)

    def _hold_over(self, turns: int, activity: int) -> None:
        """Park the run, unless one of its tasks does something within the next turns of the loop."""
        self._hold = None
        if not self._only_waits or self._parking is not None or self._resting:
            return
        if activity != self.activity:
            self._look_soon()
        elif turns:
            self._hold = asyncio.get_running_loop().call_later(0, self._hold_over, turns - 1, activity)
        else:
            # Snapshot what it waits for now; parking checks in its transaction that all of it is still open.
            self._parking = asyncio.create_task(self._park(list(self.waiting.values())))

    async def _park(self, waiting: Sequence[str | int | None]) -> None:
        try:
            await self._run.park(waiting)
        finally:
            self._parking = None
            self._look_soon()
