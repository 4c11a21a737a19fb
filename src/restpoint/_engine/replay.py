"""Replay: a workflow's function runs again from the top, and each call gets what the journal has at its position.

A call that differs from the one that the journal has at its position is a mismatch.

A workflow whose branches race depends on the order in which its calls returned. So the outcomes of calls are *given* to it one
after the other, and numbered in that order. The journal has these numbers, and for each call (and each abandoning of one) the
number of the newest outcome that was given before it. A replay gives an outcome when those with lower numbers have been given
and every call that was made before it the first time has been made again; it waits for them for as long as the workflow takes.
Outcomes that were given after the last recorded call have no number in the file; nothing depends on their order, and they come
last, in the order in which the history has them.

Between two outcomes a workflow with several tasks gets some turns of the event loop. The order of calls does not rest on them,
only what its tasks do among themselves without any call.
"""

import asyncio
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from heapq import heappop, heappush
from operator import attrgetter
from typing import Final, Literal

from restpoint._storage import Call, Entry

TURNS: Final = 25
"""Turns of the loop without any progress after which a workflow with several tasks counts as settled: each task has come to its
next call. Then it gets the next outcome, or is parked. A replay must count the same number: with fewer turns a task would lag
behind what it did the first time, with more it would get further."""

# Where only the main task calls the context: as many as writing an outcome takes the first time.
_TURNS_ALONE: Final = 2

STALLED_AFTER: Final = 300.0
"""Seconds without progress after which a replay that still has to come to something recorded counts as stalled."""

Action = tuple[Literal["called", "abandoned"], str]
"""What a workflow did, and the position of the call."""

_by_closing = attrgetter("closing")


class Outcome:
    """The outcome of one call, which is given once."""

    __slots__ = ("_turn", "closing", "from_file", "is_given", "number", "position")

    def __init__(
        self, number: int | None, position: str | None = None, closing: int = sys.maxsize, *, from_file: bool = False
    ) -> None:
        self.number = number
        """Its place in the order; None until it has one."""
        self.position = position
        """The position of its call, where its number is not written together with the outcome."""
        self.closing = closing
        """The sequence of the event that closed the wait, by which outcomes without a number are ordered."""
        self.from_file = from_file
        """Whether the file had it when the run was taken up."""
        self.is_given = False
        self._turn: asyncio.Future[None] | None = None

    @property
    def is_awaited(self) -> bool:
        """Whether a call awaits it now."""
        return self._turn is not None and not self._turn.done()

    def turn(self) -> "asyncio.Future[None]":
        """A future that is done when the outcome is given."""
        self._turn = asyncio.get_running_loop().create_future()
        return self._turn

    def give(self) -> None:
        """Give it to the call that awaits it."""
        self.is_given = True
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(None)


class Order:
    """The order of the outcomes of one run: which were given, and which come next.

    ``recorded`` are the numbers that the journal has. ``expected`` are the actions that a replay must see again, each with the
    number of the newest outcome that had been given before it.
    """

    def __init__(self, recorded: Iterable[int] = (), expected: Iterable[tuple[int, Action]] = ()) -> None:
        self.newest_given = 0
        """The number of the newest outcome that was given."""
        self.unwritten: dict[str, int] = {}
        """Numbers that the file does not have yet, by position; the next write of the run takes them along."""
        self.is_alone: Callable[[], bool] = _yes
        """Whether only the main task of the workflow calls the context."""
        # Heaps in lists, because an empty deque takes 0.6 kB of every run in memory.
        self._due = sorted(recorded)
        self._expected = sorted(expected)
        self._newest = self._due[-1] if self._due else 0
        self._last = max(self._newest, self._expected[-1][0] if self._expected else 0)
        self._happened: set[Action] = set()
        self._dropped: set[int] = set()
        self._numbered: dict[int, Outcome] = {}
        self._unnumbered: list[Outcome] = []
        self._behind: list[tuple[int, asyncio.Future[None]]] = []
        self._moves = 0
        self._abandoning = 0
        self._is_ticking = False
        self._loop: asyncio.AbstractEventLoop
        self._alarm: asyncio.TimerHandle | None = None

    def happened(self, action: Action) -> None:
        """Note an action of the workflow."""
        if self._expected:
            self._happened.add(action)
        self._move()

    def written(self, numbers: Mapping[str, int]) -> None:
        """Note that the file has these numbers now."""
        for position in numbers:
            self.unwritten.pop(position, None)

    # --- Outcomes ---

    def reserve(self) -> tuple[Outcome, int]:
        """The next number, for an outcome that is written together with it. Outcomes that came before get lower numbers."""
        for outcome in sorted(self._unnumbered, key=_by_closing):
            self._number(outcome)
        self._unnumbered.clear()
        outcome = Outcome(None)
        self._number(outcome)
        return outcome, self._last

    def _number(self, outcome: Outcome) -> None:
        self._last += 1
        outcome.number = self._last
        heappush(self._due, self._last)
        self._numbered[self._last] = outcome

    def recorded(self, number: int) -> Outcome:
        """An outcome whose number the journal has."""
        outcome = self._numbered[number] = Outcome(number, from_file=True)
        return outcome

    def unnumbered(self, position: str, closing: int | None, *, from_file: bool = True) -> Outcome:
        """The outcome of a wait that is closed, without a number. ``closing`` is the row of history that tells of that."""
        outcome = Outcome(None, position, sys.maxsize if closing is None else closing, from_file=from_file)
        self._unnumbered.append(outcome)
        return outcome

    async def give(self, outcome: Outcome) -> None:
        """Return when it is the turn of this outcome."""
        if not outcome.from_file and self._next() is outcome and self.is_alone():
            self._give(outcome)
            return
        turn = outcome.turn()
        self._move()
        try:
            await turn
        except asyncio.CancelledError:
            self.drop(outcome)
            raise

    def drop(self, outcome: Outcome) -> None:
        """Forget an outcome that nobody awaits any more."""
        if outcome.is_given:
            # It was given, but the workflow was cancelled before it got it.
            if outcome.position is not None:
                self.unwritten.pop(outcome.position, None)
        elif outcome in self._unnumbered:
            self._unnumbered.remove(outcome)
        elif outcome.number is not None and self._numbered.pop(outcome.number, None) is not None:
            self._dropped.add(outcome.number)
        self._move()

    async def caught_up(self) -> None:
        """Return when every recorded outcome was given."""
        await self.reached(self._newest)

    async def reached(self, number: int) -> None:
        """Return when every recorded outcome up to this number was given."""
        while self._is_behind(min(number, self._newest)):
            moved = asyncio.get_running_loop().create_future()
            self._behind.append((min(number, self._newest), moved))
            await moved

    def _is_behind(self, number: int) -> bool:
        self._skip()
        return bool(self._due) and self._due[0] <= number

    # --- One at a time ---

    def _skip(self) -> None:
        """Remove dropped outcomes and actions that happened from the heads of the queues."""
        while self._due and self._due[0] in self._dropped:
            self._dropped.remove(heappop(self._due))
        while self._expected and self._expected[0][1] in self._happened:
            self._happened.remove(heappop(self._expected)[1])

    def _next(self) -> Outcome | None:
        """The outcome whose turn it is; None while nobody awaits it, or while an earlier action has not happened again."""
        self._skip()
        due = self._due
        outcome = self._numbered.get(due[0]) if due else min(self._unnumbered, key=_by_closing, default=None)
        if outcome is not None and self._expected:
            after = self._expected[0][0]
            if outcome.number is None or after < outcome.number:
                return None
        return outcome

    def _give(self, outcome: Outcome) -> None:
        if outcome.number is None:
            self._unnumbered.remove(outcome)
            self._number(outcome)
        number = heappop(self._due)
        del self._numbered[number]
        self.newest_given = number
        if outcome.position is not None:
            self.unwritten[outcome.position] = number
        outcome.give()
        self._move()

    def _move(self) -> None:
        """Note progress, and give the next outcome once the workflow has settled."""
        self._moves += 1
        if self._behind:
            for number, behind in self._behind:
                if not behind.done() and not self._is_behind(number):
                    behind.set_result(None)
            self._behind = [each for each in self._behind if not each[1].done()]
        if not self._is_ticking and (outcome := self._next()) is not None and outcome.is_awaited:
            self._is_ticking = True
            self._loop = asyncio.get_running_loop()
            self._loop.call_soon(self._tick, self._moves, 1)

    def _tick(self, moves: int, turns: int) -> None:
        if moves != self._moves:
            moves, turns = self._moves, 0
        if turns < TURNS and not (turns == _TURNS_ALONE and self.is_alone()):
            self._loop.call_soon(self._tick, moves, turns + 1)
            return
        self._is_ticking = False
        outcome = self._next()
        if outcome is not None and outcome.is_awaited:
            self._give(outcome)

    # --- A replay that stalls ---

    def watch(self, stalled: Callable[[], None]) -> None:
        """Call ``stalled`` once the replay makes no progress for ``STALLED_AFTER`` though something is missing."""
        if self.missing is not None:
            self._look(stalled, -1)

    def _look(self, stalled: Callable[[], None], moves: int) -> None:
        if self.missing is None:
            self._alarm = None
        elif moves == self._moves and not self._abandoning:
            stalled()
        else:
            loop = asyncio.get_running_loop()
            self._alarm = loop.call_later(STALLED_AFTER, self._look, stalled, self._moves)

    @property
    def missing(self) -> Action | int | None:
        """What a replay must come to next: an action, or the number of an outcome; None if nothing is left."""
        self._skip()
        if self._expected and (not self._due or self._expected[0][0] < self._due[0]):
            return self._expected[0][1]
        return self._due[0] if self._is_behind(self._newest) else None

    @contextmanager
    def abandoning(self) -> Iterator[None]:
        """While a branch waits at a call that it will abandon: a workflow may take its time with that, so it is not stalled."""
        self._abandoning += 1
        try:
            yield
        finally:
            self._abandoning -= 1

    def close(self) -> None:
        """The run leaves memory."""
        self.is_alone = _yes
        if self._alarm is not None:
            self._alarm.cancel()


def _yes() -> bool:
    return True


class Journal:
    """The entries of a run by position. ``closings`` has the sequence of the event that closed each wait."""

    def __init__(self, entries: list[Entry], closings: Mapping[str, int]) -> None:
        self.entries = {entry.call.position: entry for entry in entries}
        self._closings = closings
        self._unvisited = {position for position in self.entries if "/" not in position}
        self._numbers = {entry.ordinal: entry.call.position for entry in entries if entry.is_given}
        expected: list[tuple[int, Action]] = []
        for entry in entries:
            if entry.call.seen is not None:
                expected.append((entry.call.seen, ("called", entry.call.position)))
            if entry.is_abandoned and entry.ordinal is not None:
                expected.append((entry.ordinal, ("abandoned", entry.call.position)))
        self.order = Order([number for number in self._numbers if number is not None], expected)

    def visit(self, call: Call) -> Entry | None:
        """The entry at the position of a call that is made now; None where there is none."""
        self._unvisited.discard(call.position)
        self.order.happened(("called", call.position))
        return self.entries.get(call.position)

    def place_of(self, call: Call) -> str | None:
        """Another position at which the same call is recorded; None where there is none."""
        same = (call.kind, call.name, call.fingerprint)
        recorded = (entry.call for entry in self.entries.values() if entry.call.position != call.position)
        return next((each.position for each in recorded if (each.kind, each.name, each.fingerprint) == same), None)

    @property
    def unvisited(self) -> Entry | None:
        """The first entry of the main branch whose call was not made again."""
        return self.entries[min(self._unvisited, key=int)] if self._unvisited else None

    def outcome_of(self, call: Call, wait_id: str, closed_since: int | None) -> Outcome:
        """The outcome of a wait that is closed. ``closed_since`` is its closing where that came after the run was read."""
        entry = self.entries.get(call.position)
        if entry is not None and entry.is_given and entry.ordinal is not None:
            return self.order.recorded(entry.ordinal)
        closing = self._closings.get(wait_id)
        if closing is None:
            return self.order.unnumbered(call.position, closed_since, from_file=False)
        return self.order.unnumbered(call.position, closing)

    def has(self, call: Call) -> bool:
        """Whether an earlier run of the function was given the outcome of a call."""
        entry = self.entries.get(call.position)
        return entry is not None and entry.is_given

    def watch(self, stalled: Callable[[Entry], None]) -> None:
        """Call ``stalled`` with the entry of a recorded call that the replay does not come to."""

        def report() -> None:
            missing = self.order.missing
            position = self._numbers[missing] if isinstance(missing, int) else (missing or ("", ""))[1]
            stalled(self.entries[position])

        self.order.watch(report)
