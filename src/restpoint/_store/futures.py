"""The open waits of an execution, and the futures and events of those who await them in this process.

They refer to their record, which has only weak references to them: see ``records.py``.
"""

import asyncio
import weakref
from typing import TYPE_CHECKING, Any, Literal, Self, cast

from pydantic import BaseModel

from restpoint._core.changes import Wait
from restpoint._core.reminders import Reminders
from restpoint._core.serialization import decode
from restpoint.errors import RestpointError
from restpoint.prompts import HumanPrompt, HumanResponse
from restpoint.prompts.prompt_models import PromptModels

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

    from restpoint._store.records import ExecutionRecord


class AnswerFuture(asyncio.Future[HumanResponse]):
    """The future of a pending interaction, which it keeps in memory, so that the answer finds it."""

    def __init__(self, pending: "PendingInteraction") -> None:
        super().__init__()
        self.pending = pending
        self.waiting = 0
        """How many callbacks it has: whoever awaits it has added one."""

    def add_done_callback(self, fn: "Callable[[Self], object]", /, *, context: "Context | None" = None) -> None:
        """See ``asyncio.Future``."""
        self.waiting += 1
        super().add_done_callback(fn, context=context)

    def remove_done_callback(self, fn: "Callable[[Self], object]", /) -> int:
        """See ``asyncio.Future``."""
        removed = super().remove_done_callback(fn)
        self.waiting -= removed
        return removed


class Observer(asyncio.Future[None]):
    """The future of the next change of an execution. Whoever awaits it adopts nothing."""


class PendingInteraction:
    """An open prompt of an execution.

    Times are in seconds since the epoch: ``created_at``; ``deadline``; ``due``, when it should be answered; and ``claimed_at``.
    Each is None where there is none. ``assignees`` are the people and groups that it is addressed to now, and ``claimed_by`` is
    who alone may answer it now. With ``four_eyes``, the execution's owner must not answer it, and ``excluded`` are others who
    must not. ``priority`` is its own; None: that of the execution. ``votes`` is how many equal votes answer it (None: it takes
    none), and ``voted`` are those who have voted, the first one first. ``reminders`` are its reminders and its escalation; None
    where it was asked without any.
    """

    __slots__ = (
        "__weakref__",
        "_closed",
        "_future",
        "_outcome",
        "_prompt",
        "_record",
        "_text",
        "assignees",
        "claimed_at",
        "claimed_by",
        "created_at",
        "deadline",
        "due",
        "excluded",
        "four_eyes",
        "interaction_id",
        "priority",
        "reminders",
        "voted",
        "votes",
    )

    def __init__(self, record: "ExecutionRecord", wait: Wait) -> None:
        self.interaction_id = wait.id
        self._prompt = wait.given
        self._text = wait.prompt or ""
        self.created_at = wait.created_at / 1000
        self.deadline = None if wait.deadline_at is None else wait.deadline_at / 1000
        self.due = None if wait.due_at is None else wait.due_at / 1000
        self.priority = wait.priority
        self.votes = wait.votes
        self.four_eyes = bool(wait.four_eyes)
        self.excluded: tuple[str, ...] = tuple(decode(wait.excluded) or ())
        self.follow(wait)
        self._record = record
        self._future: weakref.ref[AnswerFuture] | None = None
        self._outcome: BaseModel | RestpointError | None = None
        self._closed: Wait | None = None

    def follow(self, wait: Wait) -> None:
        """Take over what may change while it is open, as whom it is for, and who has claimed it or voted. For the store."""
        self.assignees: tuple[str, ...] = tuple(decode(wait.assignees) or ())
        self.voted: tuple[str, ...] = tuple(decode(wait.voters) or ())
        self.claimed_by = wait.claimed_by
        self.claimed_at = None if wait.claimed_at is None else wait.claimed_at / 1000
        self.reminders = Reminders.read(wait.reminders)

    @property
    def prompt(self) -> HumanPrompt:
        """The prompt: the caller's own object in the process that asked, elsewhere one that is read at the first use.

        It is of the classes that the store was opened with. Raises ``DamagedFile``, and ``InvalidArgument`` where it is none.
        """
        if self._prompt is None:
            self._prompt = self._record.models.prompt(self._text)
        return cast("HumanPrompt", self._prompt)

    @property
    def data(self) -> dict[str, Any]:
        """The prompt as the JSON object that is stored and sent."""
        return cast("dict[str, Any]", decode(self._text))

    @property
    def future(self) -> "asyncio.Future[HumanResponse]":
        """Resolves with the response, or raises ``InteractionExpired``, ``InteractionWithdrawn`` or ``ExecutionCancelled``.

        It is made at the first use. One that a caller cancelled (``asyncio.wait_for`` does) is replaced by a new one for the
        next caller, because the prompt is still open.
        """
        future = self._future() if self._future is not None else None
        if future is None or future.cancelled():
            future = AnswerFuture(self)
            self._future = weakref.ref(future)
            outcome = self._outcome or self._record.detachment
            if outcome is None:
                self._record.watch(future)
            else:
                _settle(future, outcome)
        elif not future.done():
            self._record.watch(None)  # the process that drove the execution may have died since
        return future

    @property
    def is_awaited(self) -> bool:
        """Whether someone in this process awaits the future."""
        future = self._future() if self._future is not None else None
        return future is not None and not future.done() and future.waiting > 0

    @property
    def is_settled(self) -> bool:
        """Whether this process knows how it was closed."""
        return self._outcome is not None

    @property
    def closed(self) -> Wait | None:
        """The interaction as it was closed; None while it is open, and where this process does not know. For the engine."""
        return self._closed

    @property
    def answered_by(self) -> str | None:
        """Who answered it; None while it is open, where nobody was named, and where the answer is the default."""
        return None if self._closed is None else self._closed.answered_by

    @property
    def answered_at(self) -> float | None:
        """When it was answered, in seconds since the epoch; None where it was not."""
        if self._closed is None or self._closed.status != "answered" or self._closed.closed_at is None:
            return None
        return self._closed.closed_at / 1000

    def settle(self, outcome: BaseModel | RestpointError, closed: Wait | None = None) -> None:
        """Resolve the future with a response, or with the error that it raises. For the store."""
        self._outcome, self._closed = outcome, closed
        future = self._future() if self._future is not None else None
        if future is not None:
            _settle(future, outcome)

    def __repr__(self) -> str:
        state = "open" if self._outcome is None else type(self._outcome).__name__
        return f"<PendingInteraction {self.interaction_id} {state}>"


def _settle(future: AnswerFuture, outcome: BaseModel | RestpointError) -> None:
    if future.done():
        return
    if isinstance(outcome, RestpointError):
        future.set_exception(outcome)
        future.exception()  # mark it as retrieved: asyncio need not log an expiry that nobody awaits
    else:
        future.set_result(cast("HumanResponse", outcome))  # or a class of another library


class PendingOAuth:
    """An open consent of an execution. Times are seconds since the epoch.

    One that the application drives has the ``auth_url`` and the ``oauth_state`` that the application gave. One that restpoint
    drives has a ``provider`` and ``scopes`` too; its ``oauth_state`` is its id, and its ``auth_url`` is its page as far as the
    process that asked knew its own address. HTTP shows a link that is made for the actor who looks at it.
    """

    __slots__ = ("auth_url", "consent_id", "created_at", "deadline", "oauth_state", "provider", "scopes")

    def __init__(self, wait: Wait) -> None:
        self.consent_id = wait.id
        self.auth_url = wait.auth_url or ""
        self.oauth_state = wait.oauth_state or ""
        self.provider = wait.provider
        self.scopes: tuple[str, ...] = tuple(decode(wait.scopes) or ())
        self.created_at = wait.created_at / 1000
        self.deadline = None if wait.deadline_at is None else wait.deadline_at / 1000

    def __repr__(self) -> str:
        return f"<PendingOAuth {self.consent_id}>"


class FirstOutcome(asyncio.Event):
    """Set once the execution has paused or ended for the first time."""

    def __init__(self, record: "ExecutionRecord") -> None:
        super().__init__()
        self._record = record

    async def wait(self) -> Literal[True]:
        """Return once the execution has paused or ended. Raises ``StoreClosed`` when the store closes first."""
        if not self.is_set() and self._record.detachment is None:
            self._record.watch(self)
            await super().wait()
        if not self._record.has_paused and self._record.detachment is not None:
            raise self._record.detachment
        return True


def read_answer(models: PromptModels, wait: Wait) -> BaseModel | RestpointError:
    """The response of an answered interaction, or the error that says why it cannot be read."""
    try:
        return models.response(wait.response or "")
    except RestpointError as error:
        return error


class Asking:
    """A prompt that is being written: see ``ExecutionRecord.begin_asking``."""

    __slots__ = ("pending", "wait_id")

    def __init__(self, wait_id: str) -> None:
        self.wait_id = wait_id
        self.pending: PendingInteraction | None = None
        """Set at COMMIT, and kept where the prompt is closed by the time that its caller looks."""
