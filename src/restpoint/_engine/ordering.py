"""The order in which a workflow is given what comes to it: one outcome at a time, and on a replay as it was before.

A workflow whose branches race or share state does what it does because of the order in which its calls returned. So the
outcomes are *given* one after the other, and numbered as they are given, however they came into the file or were heard of.
The numbers are recorded, and each call (and each abandoning of one) is recorded with the number of the newest outcome that
was given before it. From this a replay knows all it needs: an outcome is given when those with lower numbers have been, and
not before every call that had been made by then has been made again. It waits for them for as long as the workflow takes.

What was given after the last call that was recorded has no number in the file, and nothing in the file depends on it: it
comes after all that has one, the oldest first.

Between two outcomes a workflow with several tasks has some turns of the event loop to do what the first one set in motion.
The order of calls does not rest on them, only that of what its tasks do among themselves without any call.
"""

import asyncio
import sys
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Final

TURNS: Final = 25
"""Turns of the loop in which nothing of a workflow with several tasks moved: whatever the last outcome set in motion has come to
its next call. Then the next outcome is given to it, or it is parked. The same on a replay: fewer turns would leave a task behind
what it had done, more would let it get further than it had."""

# The same where only the main task calls the context: no more than the writing of an outcome takes the first time.
_TURNS_ALONE: Final = 2

STALLED_AFTER: Final = 300.0
"""Seconds in which a replay has come to nothing, and there is still something recorded that it must come to."""

Doing = tuple[str, str]
"""What a workflow does at a position: ``called``, or ``abandoned`` the call there."""


class Outcome:
    """What is given once, to one call."""

    __slots__ = ("_turn", "closed", "is_given", "number", "position", "was_there")

    def __init__(
        self, number: int | None, position: str | None = None, closed: int = sys.maxsize, *, was_there: bool = False
    ) -> None:
        self.number = number
        """Its place in the order; None until it has one."""
        self.position = position
        """Of the call, where the number is not in the file and does not go there with the outcome itself."""
        self.closed = closed
        """The row of history that tells of it, by which those are numbered that come together."""
        self.was_there = was_there
        """Whether it was in the file when the run was taken up."""
        self.is_given = False
        self._turn: asyncio.Future[None] | None = None

    @property
    def is_awaited(self) -> bool:
        """Whether someone is there to take it."""
        return self._turn is not None and not self._turn.done()

    def turn(self) -> "asyncio.Future[None]":
        """Someone is there to take it: done when it is given."""
        self._turn = asyncio.get_running_loop().create_future()
        return self._turn

    def give(self) -> None:
        """Let it go to whoever is there."""
        self.is_given = True
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(None)


class Order:
    """What one run of a workflow's function was given, what it is to be given, and what it must have done before.

    ``recorded`` are the numbers that are in the file, and ``expected`` what must happen again: what a workflow did, and
    the number of the newest outcome that it had been given then.
    """

    def __init__(self, recorded: Iterable[int] = (), expected: Iterable[tuple[int, Doing]] = ()) -> None:
        self.given = 0
        """The number of the newest outcome that was given."""
        self.untold: dict[str, int] = {}
        """Numbers that are not in the file yet, by position: they go there with the next thing that the run writes."""
        self.is_alone: Callable[[], bool] = _yes
        """Whether only the main task of the workflow calls the context."""
        self._due = deque(sorted(recorded))
        self._expected = deque(sorted(expected))
        self._newest = self._due[-1] if self._due else 0
        self._last = max(self._newest, self._expected[-1][0] if self._expected else 0)
        self._happened: set[Doing] = set()
        self._gone: set[int] = set()
        self._numbered: dict[int, Outcome] = {}
        self._unnumbered: list[Outcome] = []
        self._behind: list[tuple[int, asyncio.Future[None]]] = []
        self._moves = 0
        self._patience = 0
        self._is_ticking = False
        self._loop: asyncio.AbstractEventLoop
        self._alarm: asyncio.TimerHandle | None = None

    # --- What the workflow does ---

    def happened(self, what: Doing) -> None:
        """The workflow did this, so it is getting on."""
        if self._expected:
            self._happened.add(what)
        self._move()

    def told(self, numbers: Mapping[str, int]) -> None:
        """These numbers are in the file now."""
        for position in numbers:
            self.untold.pop(position, None)

    # --- What comes to it ---

    def reserve(self) -> tuple[Outcome, int]:
        """The next number, for an outcome that is about to be written with it. What was heard of before comes before it."""
        for outcome in sorted(self._unnumbered, key=_closed):
            self._number(outcome)
        self._unnumbered.clear()
        outcome = Outcome(None)
        self._number(outcome)
        return outcome, self._last

    def _number(self, outcome: Outcome) -> None:
        self._last += 1
        outcome.number = self._last
        self._due.append(self._last)
        self._numbered[self._last] = outcome

    def recorded(self, number: int) -> Outcome:
        """One whose number is in the file."""
        outcome = self._numbered[number] = Outcome(number, was_there=True)
        return outcome

    def heard(self, position: str, closed: int | None) -> Outcome:
        """One that the file has, without a number so far. ``closed``: the row that tells of it, if the run found it there."""
        known = closed is not None
        outcome = Outcome(None, position, closed if closed is not None else sys.maxsize, was_there=known)
        self._unnumbered.append(outcome)
        return outcome

    async def give(self, outcome: Outcome) -> None:
        """Return when it is its turn."""
        if not outcome.was_there and self._next() is outcome and self.is_alone():
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
        """Nobody is there to take it any more."""
        if outcome.is_given:
            # It was its turn, and the workflow did not hear of it.
            if outcome.position is not None:
                self.untold.pop(outcome.position, None)
        elif outcome in self._unnumbered:
            self._unnumbered.remove(outcome)
        elif outcome.number is not None and self._numbered.pop(outcome.number, None) is not None:
            self._gone.add(outcome.number)
        self._move()

    async def caught_up(self) -> None:
        """Return when all that is recorded was given."""
        await self.reached(self._newest)

    async def reached(self, number: int) -> None:
        """Return when this outcome was given, if it is recorded, and all before it."""
        while self._is_behind(min(number, self._newest)):
            moved = asyncio.get_running_loop().create_future()
            self._behind.append((min(number, self._newest), moved))
            await moved

    def _is_behind(self, number: int) -> bool:
        self._skip()
        return bool(self._due) and self._due[0] <= number

    # --- One at a time ---

    def _skip(self) -> None:
        """Leave behind what happened, and what nobody takes."""
        while self._due and self._due[0] in self._gone:
            self._gone.remove(self._due.popleft())
        while self._expected and self._expected[0][1] in self._happened:
            self._happened.remove(self._expected.popleft()[1])

    def _next(self) -> Outcome | None:
        """The one whose turn it is; None where the workflow has not come to it, or to what it did before it."""
        self._skip()
        due, came = self._due, self._unnumbered
        outcome = self._numbered.get(due[0]) if due else min(came, key=_closed, default=None)
        if outcome is not None and self._expected:
            after = self._expected[0][0]
            if outcome.number is None or after < outcome.number:
                return None
        return outcome

    def _give(self, outcome: Outcome) -> None:
        if outcome.number is None:
            self._unnumbered.remove(outcome)
            self._number(outcome)
        number = self._due.popleft()
        del self._numbered[number]
        self.given = number
        if outcome.position is not None:
            self.untold[outcome.position] = number
        outcome.give()
        self._move()

    def _move(self) -> None:
        """Something moved: give what can be given, once nothing moves any more."""
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

    # --- Where it does not come to what is recorded ---

    def watch(self, stalled: Callable[[], None]) -> None:
        """Call ``stalled`` once a replay comes to nothing that it still has to come to."""
        if self.lacking is not None:
            self._look(stalled, -1)

    def _look(self, stalled: Callable[[], None], moves: int) -> None:
        if self.lacking is None:
            self._alarm = None
        elif moves == self._moves and not self._patience:
            stalled()
        else:
            loop = asyncio.get_running_loop()
            self._alarm = loop.call_later(STALLED_AFTER, self._look, stalled, self._moves)

    @property
    def lacking(self) -> Doing | int | None:
        """What a replay must come to next: something that the workflow did, or the taker of an outcome; None: all is done."""
        self._skip()
        if self._expected and (not self._due or self._expected[0][0] < self._due[0]):
            return self._expected[0][1]
        return self._due[0] if self._is_behind(self._newest) else None

    def be_patient(self, more: int) -> None:
        """One more, or one less, stands at a call that the workflow abandons in its own time."""
        self._patience += more

    def close(self) -> None:
        """The run leaves memory."""
        self.is_alone = _yes
        if self._alarm is not None:
            self._alarm.cancel()


def _closed(outcome: Outcome) -> int:
    return outcome.closed


def _yes() -> bool:
    return True
