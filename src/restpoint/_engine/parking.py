"""Parking: whether the branches of a run are busy or wait, and so whether the run needs its slot and its memory.

A run *waits* when some of its branches await a prompt, a consent or an instant and no branch is busy with anything that can be
seen here. It then gives its slot back, and after it has waited for some time it is parked: it leaves memory.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol, Self

from restpoint._engine.ordering import TURNS
from restpoint._storage import Claim

LEAVING: Final = "restpoint: this run leaves memory"
"""What its tasks are cancelled with."""


class Occupant(Protocol):
    """What an occupancy needs of its run."""

    @property
    def gone(self) -> str | None:
        """Why it is over, here; None while it is not."""

    def check(self) -> None:
        """Raise ``asyncio.CancelledError`` when it is over, here."""

    async def park(self, waiting: Sequence[str | int | None]) -> None:
        """Leave memory, if all that its branches await is still to come: ids of interactions, and instants."""


class _Departed:
    """Stands in for a run that is over, so that its occupancy does not keep the run in memory."""

    gone = "ended"

    def check(self) -> None:
        raise asyncio.CancelledError("restpoint: this run left memory")

    async def park(self, waiting: Sequence[str | int | None]) -> None:
        pass


_DEPARTED: Final = _Departed()


class SlotOwner(Protocol):
    """Who says how many runs may work, and how long one that waits stays in memory."""

    hold_paused_for: float

    def try_take_slot(self) -> bool:
        """Whether this run is among those that may work now, because there was room."""

    async def take_slot(self) -> None:
        """Return when this run is among those that may work."""

    def give_slot(self) -> None:
        """It waits: let another one work."""


class Occupancy:
    """What the branches of one run are at."""

    def __init__(self, run: Occupant, claim: Claim, owner: SlotOwner) -> None:
        self.has_slot = True
        self.inside: set[asyncio.Task[Any]] = set()
        """The tasks that make or await a call, but for the workflow's first one."""
        self.waiting: dict[object, int | str | None] = {}
        """What is awaited: ids of interactions, instants, None for anything else."""
        self.activity = 0
        """Counts the calls that were made, and the waits that are over."""
        self.main: asyncio.Task[Any] | None = None
        """The workflow's first task."""
        self._run = run
        self._claim = claim
        self._owner = owner
        self._busy = 0
        self._looking = False
        self._hold: asyncio.TimerHandle | None = None
        self._parking: asyncio.Task[None] | None = None
        self._taking_slot: asyncio.Task[None] | None = None

    def is_alone(self) -> bool:
        """Whether no task than the workflow's first one is at a call, or may come to one."""
        return not self.inside

    def close(self) -> None:
        """The run is over, here: give back what it holds, and cancel whatever it still does."""
        if self._hold is not None:
            self._hold.cancel()
        for task in set(self.inside):
            task.cancel(LEAVING)
        if self.has_slot:
            self.has_slot = False
            self._owner.give_slot()
        self._run = _DEPARTED

    def busy(self) -> Self:
        """For ``with``: one branch does something, from where it begins to where it has done it."""
        return self

    def __enter__(self) -> None:
        self.enter()
        self._busy += 1

    def __exit__(self, *_: object) -> None:
        self._busy -= 1
        self._look_soon()

    def enter(self) -> None:
        """Remember the task that makes a call or awaits it, which may be two: each ends with the run too."""
        task = this_task()
        if task is not None and task is not self.main and task not in self.inside:
            self.inside.add(task)
            task.add_done_callback(self.inside.discard)

    @contextmanager
    def wait(self, what: str | int | None) -> Iterator[None]:
        """One branch awaits something that a restart does not lose."""
        self.enter()
        token = object()
        self.waiting[token] = what
        self._look_soon()
        try:
            yield
        finally:
            del self.waiting[token]
            self.activity += 1

    async def be_here(self) -> None:
        """After a wait: in memory, and with a slot."""
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
                    if self._owner.try_take_slot():
                        self.has_slot = True
                        return
                    self._taking_slot = asyncio.create_task(self._take_slot())
                await asyncio.wait([self._taking_slot])
                self._run.check()

    async def _take_slot(self) -> None:
        await self._owner.take_slot()
        if self._run.gone is not None:
            self._owner.give_slot()
        else:
            self.has_slot = True
            self._look_soon()  # who asked for it may have been cancelled meanwhile

    def _look_soon(self) -> None:
        """Look whether it only waits, in the next turn of the loop."""
        if self.waiting and not self._busy and not self._looking and self._run.gone is None:
            self._looking = True
            asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        self._looking = False
        if not self.waiting or self._busy or self._run.gone is not None:
            return
        if self.has_slot:
            self.has_slot = False
            self._owner.give_slot()
        if self._hold is None and self._parking is None:
            # A suspect leaves at once: it only waits, and would be blamed if another run killed the process.
            hold = 0 if self._claim.suspect else self._owner.hold_paused_for
            self._hold = asyncio.get_running_loop().call_later(hold, self._hold_over, TURNS, self.activity)

    def _hold_over(self, turns: int, activity: int) -> None:
        """Park it, unless one of its tasks turns out to have something to do."""
        self._hold = None
        if not self.waiting or self._busy or self._run.gone is not None or self._parking is not None:
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


def this_task() -> asyncio.Task[Any] | None:
    """The task that this is called in; None in a thread."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
