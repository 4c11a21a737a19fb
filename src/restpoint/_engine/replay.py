"""Replay: what a run has recorded is given to it again.

A run that was dropped from memory, or whose process died, begins anew: its function is called again, and each call of its
context finds at its *position* in the journal what it gave the last time. The position is assigned when the call is made,
counted for each branch of the workflow: a task that the workflow started is a branch of the one that started it. What stands
at a position must be the call that is made now; anything else is a mismatch, and no outcome is given to another question.
Where several outcomes are there to be given, ``ordering.py`` gives them in the order of the first time.
"""

import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from restpoint._engine.ordering import Order, Outcome
from restpoint._storage import Call, Entry

if TYPE_CHECKING:
    import asyncio


class Journal:
    """What a run has recorded, by position. ``closings``: the row of history that tells of the end of each wait."""

    def __init__(self, entries: list[Entry], closings: Mapping[str, int]) -> None:
        self.entries = {entry.call.position: entry for entry in entries}
        self._closings = closings
        self._unvisited = {position for position in self.entries if "/" not in position}
        self._numbers = {entry.ordinal: entry.call.position for entry in entries if entry.is_given}
        calls = [(entry.call.seen, ("called", entry.call.position)) for entry in entries]
        abandoned = [(entry.ordinal, ("abandoned", entry.call.position)) for entry in entries if entry.is_abandoned]
        self.order = Order(
            [number for number in self._numbers if number is not None],
            [(after, what) for after, what in (*calls, *abandoned) if after is not None],
        )

    def visit(self, call: Call) -> Entry | None:
        """What is recorded at the position of a call that is made now; None where nothing is."""
        self._unvisited.discard(call.position)
        self.order.happened(("called", call.position))
        return self.entries.get(call.position)

    @property
    def unvisited(self) -> str | None:
        """A position of the main branch that was recorded and that this run of the function did not come to."""
        return min(self._unvisited, key=int) if self._unvisited else None

    def outcome_of(self, call: Call, wait_id: str) -> Outcome:
        """That of a wait which is open no more."""
        entry = self.entries.get(call.position)
        if entry is not None and entry.is_given and entry.ordinal is not None:
            return self.order.recorded(entry.ordinal)
        return self.order.heard(call.position, self._closings.get(wait_id))

    def has(self, call: Call) -> bool:
        """Whether the outcome of a call was given before, in an earlier run of the function."""
        entry = self.entries.get(call.position)
        return entry is not None and entry.is_given

    @contextmanager
    def until_abandoned(self, call: Call) -> Iterator[None]:
        """The workflow stands at a call that it abandoned the last time."""
        self.order.be_patient(1)
        try:
            yield
        finally:
            self.order.be_patient(-1)
            self.order.happened(("abandoned", call.position))

    def watch(self, stalled: Callable[[str, str], None]) -> None:
        """Call ``stalled`` with a position and what is recorded there if the run does not come to that."""

        def tell() -> None:
            lacking = self.order.lacking
            position = self._numbers[lacking] if isinstance(lacking, int) else (lacking or ("", ""))[1]
            stalled(position, describe(self.entries[position].call))

        self.order.watch(tell)


class Branch:
    """One line of control of a workflow: its main task, or a task that it started. Counts the calls made in it."""

    __slots__ = ("_calls", "_children", "_task", "prefix")

    def __init__(self, task: "asyncio.Task[object] | None", prefix: str = "") -> None:
        # Not to keep it: the task keeps its context, and that keeps this.
        self._task = None if task is None else weakref.ref(task)
        self.prefix = prefix
        self._calls = 0
        self._children = 0

    def is_of(self, task: "asyncio.Task[object]") -> bool:
        """Whether this is the branch of that task."""
        return self._task is not None and self._task() is task

    def child(self, task: "asyncio.Task[object] | None") -> "Branch":
        """The branch of a task that this one started."""
        self._children += 1
        return Branch(task, f"{self.prefix}{self._children}/")

    def next(self) -> str:
        """The position of the call that is made now."""
        self._calls += 1
        return f"{self.prefix}{self._calls}"


def describe(call: Call) -> str:
    """A call in words, for the two sides of a mismatch."""
    return f"{call.kind} {call.name} ({call.fingerprint or 'any arguments'})"
