"""What an actor sees of an execution at one moment. What they may not see does not exist for them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from restpoint.access import Actor, Policy, Question, Subject
from restpoint.errors import ExecutionGone, ExecutionNotFound
from restpoint.lifecycle import PAUSED, TERMINAL, ExecutionStatus

if TYPE_CHECKING:
    from restpoint._store.futures import PendingInteraction, PendingOAuth
    from restpoint._store.records import ExecutionRecord
    from restpoint._store.store import ExecutionStore


@dataclass(frozen=True, slots=True)
class View:
    """An execution as one actor sees it at one moment.

    ``prompts`` are the open prompts that they may see, the oldest first, and ``answerable`` the ids of those that they may
    answer. ``consent`` is the oldest open consent, if they may see it. ``state`` is the status and what may change of the open
    waits, to compare two views by; of an execution that has ended, when it did, because it may end again.
    """

    record: "ExecutionRecord"
    status: ExecutionStatus
    prompts: "tuple[PendingInteraction, ...]"
    answerable: frozenset[str]
    consent: "PendingOAuth | None"
    state: tuple[str, ...]

    @property
    def ended(self) -> bool:
        """Whether the execution has ended."""
        return self.status in TERMINAL

    @property
    def prompt(self) -> "PendingInteraction | None":
        """The oldest prompt that the actor may answer; where there is none, the oldest that they may see."""
        for prompt in self.prompts:
            if prompt.interaction_id in self.answerable:
                return prompt
        return self.prompts[0] if self.prompts else None


class Views:
    """The executions of a store, as the policy lets each actor see them."""

    def __init__(self, store: "ExecutionStore", policy: Policy) -> None:
        self._store = store
        self._policy = policy

    async def status(self, actor: Actor, execution_id: str) -> View:
        """The execution as it is now. Raises ``ExecutionNotFound``."""
        record = await self._store.get(execution_id)
        if record is None:
            raise await self.absent(actor, execution_id)
        try:
            return self.view(actor, record)
        except ExecutionNotFound:
            if not await self._store.has_answered(execution_id, actor.id):
                raise
            return self.view(actor, record, has_answered=True)

    def view(self, actor: Actor, record: "ExecutionRecord", *, has_answered: bool = False) -> View:
        """The execution as this process knows it. Raises ``ExecutionNotFound`` where the actor may not see it.

        ``has_answered`` says that they have answered a prompt of it, which ``status`` finds out.
        """
        policy, owner, status = self._policy, record.owner, record.status
        pending = record.pending_interactions if status in PAUSED else ()
        subject = subject_of(record, pending, actor.id if has_answered else None)
        if not policy.may_see(actor, subject):
            raise ExecutionNotFound(record.execution_id)
        if status not in PAUSED:
            state = (status, str(record.completed_at)) if status in TERMINAL else (status,)
            return View(record, status, (), frozenset(), None, state)
        prompts, answerable = [], []
        for prompt in pending:
            question = Question(owner, prompt.assignees, prompt.four_eyes, prompt.excluded)
            if policy.may_see_prompt(actor, question):
                prompts.append(prompt)
                is_free = prompt.claimed_by in {None, actor.id} and actor.id not in prompt.voted
                if is_free and policy.may_answer(actor, question):
                    answerable.append(prompt.interaction_id)
        consent = record.pending_oauth
        if consent is not None and not policy.may_see_consent(actor, subject):
            consent = None
        # Now, because the prompts follow what happens to them.
        state = (status, *map(_told, prompts), *(() if consent is None else (consent.consent_id,)))
        return View(record, status, tuple(prompts), frozenset(answerable), consent, state)

    async def absent(self, actor: Actor, execution_id: str) -> ExecutionNotFound:
        """The error for an execution that is not in the file: whoever could have seen it is told when it left."""
        left = await self._store.departure(execution_id)
        if left is None or not self._policy.may_see(actor, Subject(left.owner)):
            return ExecutionNotFound(execution_id)
        return ExecutionGone(execution_id, left.how, left.at)


def subject_of(
    record: "ExecutionRecord", pending: "tuple[PendingInteraction, ...]", answerer: str | None = None
) -> Subject:
    """Whom the policy is asked about: the owner of an execution, whom its open prompts are addressed to, and who answered one."""
    if not pending and answerer is None:
        return Subject(record.owner)
    answered_by = frozenset[str]() if answerer is None else frozenset((answerer,))
    return Subject(record.owner, frozenset(name for prompt in pending for name in prompt.assignees), answered_by)


def _told(prompt: "PendingInteraction") -> str:
    """A prompt, and what may change of it while it is open."""
    if prompt.claimed_by is None and not prompt.assignees and prompt.reminders is None:
        return prompt.interaction_id
    return "\n".join(
        (prompt.interaction_id, f"{prompt.claimed_by}", *prompt.assignees, "", *prompt.voted, f"{prompt.reminders}")
    )
