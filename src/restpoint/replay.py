"""Replay: recorded outcomes are given again, in the order in which they were recorded.

A run that was dropped from memory, or whose process died, begins anew: its function is called again, and each call of its
context finds at its *position* in the journal what it gave the last time. The position is assigned when the call is made,
counted for each branch of the workflow: a task that the workflow started is a branch of the one that started it. What stands
at a position must be the call that is made now; anything else is a mismatch, and no outcome is given to another question.

The order matters to a workflow that races its branches: of two answers the one that came first must come first again. So an
outcome is held back until those that were recorded before it have been given, or until it is clear that nobody asks for them.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Final

from restpoint.runs import Call, Entry

_TURNS: Final = 25
"""Turns of the loop in which no branch asked for anything, after which those asked for are given without the one missing."""

_GAP: Final = 10
"""Turns of the loop between two outcomes, in which who was given the first gets to act on it."""

_When = tuple[int, int, int]


class Journal:
    """What a run has recorded, by position, and how much of it has been given again."""

    def __init__(self, entries: list[Entry], closings: Mapping[str, int]) -> None:
        self.entries = {entry.call.position: entry for entry in entries}
        self.ordinal = max((entry.ordinal or 0 for entry in entries), default=0)
        self._closings = closings
        self._unvisited = {position for position in self.entries if "/" not in position}
        self._missing: dict[_When, str] = {}
        for position, entry in self.entries.items():
            when = self._when(entry)
            if when is not None:
                self._missing[when] = position
        self._order = sorted(self._missing, reverse=True)
        self._asked: dict[_When, asyncio.Future[None]] = {}
        self._quiet: asyncio.Task[None] | None = None
        self._asks = 0
        self._giving = False
        self._given_to: asyncio.Task[object] | None = None
        self._queue: deque[asyncio.Future[None]] = deque()

    def _when(self, entry: Entry) -> _When | None:
        """When the outcome was recorded; None where it was not."""
        if entry.settled is not None:
            return entry.settled, 1, entry.ordinal or 0
        if entry.call.kind in {"ask", "authorize"} and entry.result is not None:
            closed = self._closings.get(entry.result.strip('"'))
            return None if closed is None else (closed, 0, 0)
        return None

    def visit(self, position: str) -> Entry | None:
        """What is recorded at a position; None where nothing is."""
        self._unvisited.discard(position)
        return self.entries.get(position)

    @property
    def unvisited(self) -> str | None:
        """A position of the main branch that was recorded and that this run of the function did not come to."""
        return min(self._unvisited, key=int) if self._unvisited else None

    def is_news(self, wait_id: str, asked: int) -> bool:
        """Whether a wait was closed after the last that the run recorded; ``asked`` is the row of its last asking."""
        last = max((entry.settled or 0 for entry in self.entries.values()), default=0)
        return self._closings.get(wait_id, 0) > max(last, asked)

    async def turn(self, entry: Entry) -> None:
        """Return when it is the turn of this outcome."""
        when = self._when(entry)
        if when is None or when not in self._missing:
            return
        self._asks += 1
        if self._order[-1] != when:
            mine = self._asked[when] = asyncio.get_running_loop().create_future()
            if self._quiet is None or self._quiet.done():
                self._quiet = asyncio.create_task(self._until_quiet())
            try:
                await mine
            finally:
                self._asked.pop(when, None)
        self._given(when)

    async def give(self, *, alone: bool) -> None:
        """Return when an outcome may be given: one at a time, the first time as on every replay.

        Two that were recorded together would else reach the workflow together now and one after the other then, and one that
        waits for the first of several would see it. ``alone``: no other branch awaits an outcome, so the one that was given
        the last need not be waited for if it is this one again; another may only not have begun to ask.
        """
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        if self._giving and not (alone and task is self._given_to):
            mine = loop.create_future()
            self._queue.append(mine)
            try:
                await mine
            except asyncio.CancelledError:
                if mine.done() and not mine.cancelled():
                    self._after(0)
                raise
        elif self._giving:
            return
        self._giving, self._given_to = True, task
        loop.call_soon(self._after, _GAP)

    def _after(self, turns: int) -> None:
        if turns:
            asyncio.get_running_loop().call_soon(self._after, turns - 1)
            return
        while self._queue:
            following = self._queue.popleft()
            if not following.done():
                following.set_result(None)
                return
        self._giving, self._given_to = False, None

    async def settled(self) -> None:
        """Return when nothing that was recorded is asked for and not given: what is new comes after it."""
        while self._asked:
            await asyncio.wait(list(self._asked.values()))

    def _given(self, when: _When) -> None:
        self._missing.pop(when, None)
        while self._order and self._order[-1] not in self._missing:
            self._order.pop()
        if self._order and (asked := self._asked.get(self._order[-1])) is not None and not asked.done():
            _resolve(asked)

    async def _until_quiet(self) -> None:
        """Give the oldest that is asked for, once no branch asks for one that is older."""
        while self._asked:
            before = self._asks
            for _ in range(_TURNS):
                await asyncio.sleep(0)
                if not self._asked:
                    return
            waiting = [asked for asked in self._asked.values() if not asked.done()]
            if before == self._asks and len(waiting) == len(self._asked):
                _resolve(self._asked[min(self._asked)])

    def close(self) -> None:
        """The run leaves memory."""
        if self._quiet is not None:
            self._quiet.cancel()


def _resolve(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


class Branch:
    """One line of control of a workflow: its main task, or a task that it started. Counts the calls made in it."""

    __slots__ = ("_calls", "_children", "prefix", "task")

    def __init__(self, task: "asyncio.Task[object] | None", prefix: str = "") -> None:
        self.task = task
        self.prefix = prefix
        self._calls = 0
        self._children = 0

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
