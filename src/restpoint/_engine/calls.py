"""Calls of the context: the position, the fingerprint and the description of each, by which a replay finds it again."""

import asyncio
import weakref
from contextlib import suppress
from contextvars import ContextVar
from hashlib import sha256
from typing import Final, NoReturn

from restpoint._core.changes import Terms
from restpoint._core.serialization import encode
from restpoint.errors import InvalidArgument, NotJSON


def this_task() -> "asyncio.Task[object] | None":
    """The current task; None in a thread and in a callback."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


class Branch:
    """One task of a workflow: its first one, or one that it started. Counts the calls that the task makes."""

    __slots__ = ("_calls", "_children", "_task", "prefix")

    def __init__(self, task: "asyncio.Task[object] | None", prefix: str = "") -> None:
        # A weak reference: the task keeps its context, and the context keeps this branch.
        self._task = None if task is None else weakref.ref(task)
        self.prefix = prefix
        self._calls = 0
        self._children = 0

    def is_of(self, task: "asyncio.Task[object]") -> bool:
        """Whether this is the branch of ``task``."""
        return self._task is not None and self._task() is task

    def child(self, task: "asyncio.Task[object] | None") -> "Branch":
        """The branch of a task that this one started."""
        self._children += 1
        return Branch(task, f"{self.prefix}{self._children}/")

    def next(self) -> str:
        """The position of the next call."""
        self._calls += 1
        return f"{self.prefix}{self._calls}"


current_branch: ContextVar[Branch | None] = ContextVar("restpoint_branch", default=None)

current_step: ContextVar[str | None] = ContextVar("restpoint_step", default=None)
"""The key of the step that calls."""


def fingerprint(*parts: str | int | None) -> str:
    """A hash of what a call asks for."""
    return sha256("\0".join(["" if part is None else f"={part}" for part in parts]).encode()).hexdigest()[:16]


def asked_for(text: str, terms: Terms, default: str | None) -> str:
    """A hash of a prompt and of the rules of its answer: not of how urgent it is, when it is due, reminded of and escalated."""
    others = () if terms.other_than is None else (terms.other_than,)
    votes = () if terms.votes is None else ("votes", terms.votes)
    return fingerprint(text, terms.assignees, terms.four_eyes, terms.on_deadline, default, *others, *votes)


class Answered:
    """What the workflow was given for answered prompts, by which it may name them: ``other_than`` of ``Context.ask``."""

    def __init__(self) -> None:
        self._responses: weakref.WeakValueDictionary[str, object] | None = None  # made late: it takes 0.7 kB of a run

    def add(self, wait_id: str, response: object) -> None:
        """Note what the workflow is given for the answer to a prompt."""
        if self._responses is None:
            self._responses = weakref.WeakValueDictionary()
        with suppress(TypeError):  # a class of the application's own that has no weak references: its id names it
            self._responses[wait_id] = response

    def ids_of(self, other_than: object) -> list[str]:
        """The ids of prompts, each of which may be given as what the workflow got for it. Raises ``InvalidArgument``."""
        each_of = other_than if isinstance(other_than, list | tuple) else [other_than]
        return [one if isinstance(one, str) else self._id_of(one) for one in each_of]

    def _id_of(self, response: object) -> str:
        for wait_id, given in (self._responses or {}).items():
            if given is response:
                return wait_id
        raise InvalidArgument(
            "other_than takes what ctx.ask returned in this execution, the very object and no copy, or the id of an interaction."
        )


def fingerprint_of(arguments: tuple[object, ...]) -> str:
    """A hash of the arguments of a step: of their JSON, or of the type of one that is not JSON."""
    digest = sha256()
    for part in arguments:
        try:
            text = encode(part)
        except NotJSON:
            text = f"<{type(part).__name__}>"
        digest.update(f"{len(text)}:{text}".encode())
    return digest.hexdigest()[:16]


# --- After the end of a run ---

_MOST_REFUSED: Final = 20
"""Calls after the end of a run that are answered with ``asyncio.CancelledError``. A workflow that asks for more swallows it."""


class RunIsOver(BaseException):
    """Ends a workflow that swallows ``asyncio.CancelledError`` after the end of its run."""


class LateCalls:
    """The calls that a workflow makes of a run that is over."""

    def __init__(self) -> None:
        self._refused = 0

    async def refuse(self, reason: str) -> NoReturn:
        """Raise ``asyncio.CancelledError`` for a call after the end of the run, without holding the loop meanwhile.

        A workflow that swallows cancellations and calls on in a loop must not stop everything else that the process does. One
        that catches nothing but ``CancelledError`` ends after some calls, by ``RunIsOver``; any other waits for ever.
        """
        self._refused += 1
        if self._refused > 2 * _MOST_REFUSED:
            await asyncio.get_running_loop().create_future()
        await asyncio.sleep(0)
        if self._refused > _MOST_REFUSED:
            raise RunIsOver(f"restpoint: this run is {reason}, and its workflow swallows cancellations")
        raise asyncio.CancelledError(f"restpoint: this run is {reason}")
