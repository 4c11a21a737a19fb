"""What an execution pauses for, and the futures and events of those who wait for it here.

They lead to their record, and it leads back by weak references only: see ``records.py``, whose mechanism this is a part of.
"""

import asyncio
import weakref
from typing import Any, Literal, Protocol, cast

from pydantic import BaseModel, ValidationError

from restpoint._core.changes import Wait
from restpoint._core.serialization import decode, unreadable
from restpoint.errors import RestpointError
from restpoint.prompts import RESPONSE, HumanPrompt, HumanResponse, stored_prompt


class Paused(Protocol):
    """What those who wait for an execution need of its record."""

    detachment: RestpointError | None
    """Why nothing will come to it any more; None while something may."""

    @property
    def has_paused(self) -> bool:
        """Whether the execution has paused or ended before."""

    def watch(self, waiter: object) -> None:
        """Someone here waits for it."""


class Answer(asyncio.Future[HumanResponse]):
    """The future of a pending interaction. Holds what it belongs to, so that the answer finds it."""

    def __init__(self, pending: "PendingInteraction") -> None:
        super().__init__()
        self.pending = pending


class Observer(asyncio.Future[None]):
    """Waits for the next change of an execution, and drives nothing."""


class PendingInteraction:
    """An open prompt of an execution.

    ``created_at`` and ``deadline`` are seconds since the epoch; ``deadline`` is None where there is none. ``assignees`` are
    the people and groups that it is addressed to; with ``four_eyes``, the execution's owner is not to answer it.
    """

    __slots__ = (
        "__weakref__",
        "_future",
        "_outcome",
        "_prompt",
        "_record",
        "_text",
        "assignees",
        "created_at",
        "deadline",
        "four_eyes",
        "interaction_id",
    )

    def __init__(self, record: Paused, wait: Wait) -> None:
        self.interaction_id = wait.id
        self._prompt = wait.given
        self._text = wait.prompt or ""
        self.created_at = wait.created_at / 1000
        self.deadline = None if wait.deadline_at is None else wait.deadline_at / 1000
        self.assignees: tuple[str, ...] = tuple(decode(wait.assignees) or ())
        self.four_eyes = bool(wait.four_eyes)
        self._record = record
        self._future: weakref.ref[Answer] | None = None
        self._outcome: BaseModel | RestpointError | None = None

    @property
    def prompt(self) -> HumanPrompt:
        """What is asked. The object that was given by who asked here; elsewhere made when it is first asked for."""
        if self._prompt is None:
            self._prompt = stored_prompt(self._text)
        return cast("HumanPrompt", self._prompt)

    @property
    def data(self) -> dict[str, Any]:
        """What is asked, as the JSON object that is stored and sent."""
        return cast("dict[str, Any]", decode(self._text))

    @property
    def future(self) -> "asyncio.Future[HumanResponse]":
        """Resolves with the response, or raises ``InteractionExpired``, ``InteractionWithdrawn`` or ``ExecutionCancelled``.

        Made when it is first asked for. One that a caller cancelled (``asyncio.wait_for`` does) is replaced by a new one
        for the next caller: the prompt is still open.
        """
        future = self._future() if self._future is not None else None
        if future is None or future.cancelled():
            future = Answer(self)
            self._future = weakref.ref(future)
            outcome = self._outcome or self._record.detachment
            if outcome is None:
                self._record.watch(future)
            else:
                _settle(future, outcome)
        elif not future.done():
            self._record.watch(None)  # who drove the execution may be gone since
        return future

    @property
    def is_settled(self) -> bool:
        """Whether it is known what became of it."""
        return self._outcome is not None

    def settle(self, outcome: BaseModel | RestpointError) -> None:
        """It is closed: whoever awaits it gets this. For the store."""
        self._outcome = outcome
        future = self._future() if self._future is not None else None
        if future is not None:
            _settle(future, outcome)

    def __repr__(self) -> str:
        state = "open" if self._outcome is None else type(self._outcome).__name__
        return f"<PendingInteraction {self.interaction_id} {self.prompt.input_type} {state}>"


def _settle(future: Answer, outcome: BaseModel | RestpointError) -> None:
    if future.done():
        return
    if isinstance(outcome, RestpointError):
        future.set_exception(outcome)
        future.exception()  # seen: an expiry that nobody awaits is no news for the log
    else:
        future.set_result(cast("HumanResponse", outcome))  # or of a class of another library


class PendingOAuth:
    """An open consent of an execution. Times are seconds since the epoch.

    One that the caller drives has the ``auth_url`` and the ``oauth_state`` that it was given. One that restpoint drives has a
    ``provider`` and ``scopes`` too: its ``auth_url`` is its page, as far as the process that asked knew its own address (the
    door through which it is looked at knows better, and for whom to make a link); its ``oauth_state`` is its id.
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

    def __init__(self, record: Paused) -> None:
        super().__init__()
        self._record = record

    async def wait(self) -> Literal[True]:
        """Return once it is set, also by another process. Raises ``StoreClosed`` when the store closes first."""
        if not self.is_set() and self._record.detachment is None:
            self._record.watch(self)
            await super().wait()
        if not self._record.has_paused and self._record.detachment is not None:
            raise self._record.detachment
        return True


def read_answer(wait: Wait) -> BaseModel | RestpointError:
    """The response to an answered interaction as the file has it, or the error that it is damaged."""
    try:
        return RESPONSE.validate_json(wait.response or "")
    except ValidationError as error:
        return unreadable(f"the response to interaction {wait.id}", error)
