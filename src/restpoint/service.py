"""The service: what an actor may do with executions.

Every interface (HTTP, the command line) uses it, so each rule of access is in one place. A verb asks the policy, then calls the
store or the runner. What an actor may not see does not exist for them: the error is that of an unknown id.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Unpack
from weakref import WeakKeyDictionary

from restpoint._core import json_thread
from restpoint._storage import InboxPage
from restpoint._store.owner_limits import OwnerLimiter, OwnerLimits
from restpoint.access import DEFAULT_POLICY, OPERATOR, Actor, Policy, Question, Subject
from restpoint.audit.reader import Auditor
from restpoint.errors import (
    Conflict,
    ExecutionGone,
    ExecutionNotFound,
    FourEyes,
    IllegalTransition,
    InteractionNotFound,
    NotAllowed,
    RestpointError,
    SamePerson,
    StorageError,
    StoreClosed,
    WorkflowNotFound,
)
from restpoint.events import EventKind
from restpoint.lifecycle import PAUSED, TERMINAL, ExecutionStatus

if TYPE_CHECKING:
    from pydantic import BaseModel

    from restpoint._core.execution_row import StartOptions, StepDone
    from restpoint._engine.runner import Runner
    from restpoint._engine.started import Started
    from restpoint._engine.workflow import Workflow
    from restpoint._storage import Asked, Failure, HistoryEntry, Page, Progress
    from restpoint._store.futures import PendingInteraction, PendingOAuth
    from restpoint._store.records import ExecutionRecord
    from restpoint._store.store import ExecutionStore
    from restpoint.audit.signing import SigningKey
    from restpoint.prompts import HumanResponse

Reauthenticate = Callable[[], Awaitable[Actor]]
"""Returns the actor as the credentials say now; raises where they are no longer valid."""

BATCH: Final = 500
"""Rows of history that are read at a time."""

_INBOX_READINGS: Final = 10  # for a page, where the policy refuses some of what is read


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


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Some of a history. ``next_after`` is the sequence that the next page comes after; None at the end."""

    items: "Sequence[HistoryEntry]"
    next_after: int | None


class Service:
    """The verbs. ``runner`` is None where nothing is started; ``policy`` may be the application's own.

    ``audit_key`` signs exports. ``owner_limits`` say how much one owner may start.
    """

    def __init__(
        self,
        store: "ExecutionStore",
        runner: "Runner | None" = None,
        policy: Policy = DEFAULT_POLICY,
        audit_key: "SigningKey | None" = None,
        owner_limits: OwnerLimits | None = None,
    ) -> None:
        self.store = store
        self.runner = runner
        self.policy = policy
        self._told: WeakKeyDictionary[ExecutionRecord, tuple[int, Sequence[Mapping[str, Any]]]] = WeakKeyDictionary()
        """What each execution had notified people of, as of a row of history."""
        self._limiter = None if owner_limits is None else OwnerLimiter(store, owner_limits)
        self._auditor = Auditor(store.path, audit_key)

    # --- Starting ---

    @property
    def workflows(self) -> "Mapping[str, Workflow]":
        """The workflows that can be started here, by name."""
        return {} if self.runner is None else self.runner.workflows

    def startable(self, actor: Actor) -> "Mapping[str, Workflow]":
        """The workflows that the actor may start, by name."""
        return {name: each for name, each in self.workflows.items() if self.policy.may_start(actor, name)}

    async def start(
        self,
        actor: Actor,
        workflow: str,
        input: Any = None,  # noqa: A002 - what the workflow calls it; any JSON
        *,
        is_long: bool = False,
        trace: Mapping[str, str] | None = None,
        **options: "Unpack[StartOptions]",
    ) -> "Started":
        """Start a workflow; the actor owns the execution. The options are those of ``Runner.start``.

        An input that ``is_long`` is checked in a thread, so that the event loop goes on meanwhile.
        Raises ``WorkflowNotFound``, ``NotAllowed``, ``InputNotAccepted``, ``IdempotencyConflict`` and ``OwnerLimitReached``.
        """
        runner = self.runner
        if runner is None or workflow not in runner.workflows:
            raise WorkflowNotFound(workflow, self.startable(actor))
        if not self.policy.may_start(actor, workflow):
            raise NotAllowed(f"{actor.id} may not start the workflow {workflow}.")
        if is_long:
            input = await json_thread.run(runner.workflows[workflow].written, input)  # noqa: A001 - as above
        async with nullcontext() if self._limiter is None else self._limiter.admitted(actor.id):
            return await runner.start(workflow, input, owner=actor.id, actor=actor, trace=trace, **options)

    # --- Reading ---

    async def status(self, actor: Actor, execution_id: str) -> View:
        """The execution as it is now. Raises ``ExecutionNotFound``."""
        record = await self.store.get(execution_id)
        if record is None:
            raise await self._absent(actor, execution_id)
        try:
            return self.view(actor, record)
        except ExecutionNotFound:
            if not await self.store.has_answered(execution_id, actor.id):
                raise
            return self.view(actor, record, has_answered=True)

    def view(self, actor: Actor, record: "ExecutionRecord", *, has_answered: bool = False) -> View:
        """The execution as this process knows it. Raises ``ExecutionNotFound`` where the actor may not see it.

        ``has_answered`` says that they have answered a prompt of it, which ``status`` finds out.
        """
        policy, owner, status = self.policy, record.owner, record.status
        pending = record.pending_interactions if status in PAUSED else ()
        subject = _subject(record, pending, actor.id if has_answered else None)
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
                if prompt.claimed_by in {None, actor.id} and policy.may_answer(actor, question):
                    answerable.append(prompt.interaction_id)
        consent = record.pending_oauth
        if consent is not None and not policy.may_see_consent(actor, subject):
            consent = None
        # Now, because the prompts follow what happens to them.
        state = (status, *map(_told, prompts), *(() if consent is None else (consent.consent_id,)))
        return View(record, status, tuple(prompts), frozenset(answerable), consent, state)

    async def progress(self, view: View) -> "Progress":
        """What an execution that the actor sees is doing now, and why nobody goes on with it where that is so."""
        return await self.store.progress(view.record.execution_id)

    async def notifications(self, view: View) -> "Sequence[Mapping[str, Any]]":
        """What a workflow has notified people of: the newest 20, the oldest of them first."""
        record = view.record
        if record.version is None:
            return ()
        as_of, told = self._told.get(record, (-1, ()))
        if as_of != record.state.as_of:  # a poll that finds nothing new reads nothing
            as_of, told = record.state.as_of, await self.store.notifications(record.execution_id)
            self._told[record] = as_of, told
        return told

    async def failure(self, actor: Actor, view: View) -> "Failure | None":
        """What the workflow of a failed execution raised, with its traceback; None for actors who may not see that."""
        if view.status is not ExecutionStatus.FAILED or not self.policy.may_see_failure(
            actor, _subject(view.record, ())
        ):
            return None
        return await self.store.failure(view.record.execution_id)

    async def asked(self, actor: Actor, execution_id: str, interaction_id: str) -> "Asked":
        """An interaction in any status, for whoever may see it or has answered it.

        Its response is only there for whoever gave it or may read the history. Raises ``ExecutionNotFound`` and
        ``InteractionNotFound``.
        """
        try:
            asked = await self.store.asked(execution_id, interaction_id)
        except ExecutionNotFound:
            raise await self._absent(actor, execution_id) from None
        except InteractionNotFound:
            await self.status(actor, execution_id)
            raise
        is_theirs = asked.answered_by == actor.id
        if not is_theirs and not self.policy.may_see_prompt(actor, asked):
            await self.status(actor, execution_id)
            raise InteractionNotFound(execution_id, interaction_id)
        if is_theirs or self.policy.may_read_history(actor, Subject(asked.owner)):
            return asked
        return replace(asked, response=None)

    async def answered(self, actor: Actor, *, limit: int = 50) -> "Sequence[Asked]":
        """What the actor answered, the newest first, as far as the executions are in the file."""
        return await self.store.answered_by(actor.id, limit=limit)

    async def steps(self, actor: Actor, execution_id: str) -> "Sequence[StepDone]":
        """The steps of an execution that have an outcome. Raises ``ExecutionNotFound`` and ``NotAllowed``."""
        await self._readable(actor, execution_id)
        return await self.store.steps(execution_id)

    async def wait_for_change(self, actor: Actor, seen: View) -> View:
        """Wait until the status or the open waits differ from those of ``seen``.

        Waits without limit: wrap it in ``asyncio.timeout``. Raises ``ExecutionNotFound`` when the execution is removed or the
        actor may not see it any more, and ``StoreClosed``.
        """
        view = await self._seen_again(actor, seen.record)
        while view.state == seen.state and not view.ended:
            await view.record.changed()
            if view.record.is_detached:
                view = await self.status(actor, view.record.execution_id)
            else:
                view = await self._seen_again(actor, view.record)
        return view

    async def _seen_again(self, actor: Actor, record: "ExecutionRecord") -> View:
        """The execution as this process knows it: the record is as new as any change, so the file need not be read for most."""
        try:
            return self.view(actor, record)
        except ExecutionNotFound:
            return await self.status(actor, record.execution_id)

    async def list(
        self,
        actor: Actor,
        *,
        status: str | Iterable[str] | None = None,
        workflow: str | None = None,
        version: int | None = None,
        owner: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> "Page":
        """List the executions that the actor may see, the newest first; arguments as those of ``ExecutionStore.list``."""
        names = None if self.policy.sees_everything(actor) else actor.names
        return await self.store.list(
            status=status, workflow=workflow, version=version, owner=owner, limit=limit, cursor=cursor, visible_to=names,
        )  # fmt: skip

    async def inbox(
        self, actor: Actor, *, workflow: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> InboxPage:
        """The open prompts that the actor may answer: by ``due`` or ``deadline``, then by priority, then by age.

        Those that somebody else has claimed are among them, because they may come free. Arguments are as those of
        ``ExecutionStore.inbox``; a page may have fewer than ``limit`` where the policy refuses many. Raises ``InvalidArgument``.
        """
        names, policy = self.policy.inbox_names(actor), self.policy
        items: list[Any] = []
        for _ in range(_INBOX_READINGS):
            page = await self.store.inbox(names, workflow=workflow, limit=limit - len(items), cursor=cursor)
            for item in page.items:
                question = Question(item.owner, item.assignees, item.four_eyes, item.excluded)
                if policy.may_answer(actor, question):
                    items.append(item)
            cursor = page.next_cursor
            if cursor is None or len(items) == limit:
                break
        return InboxPage(tuple(items), cursor)

    async def history(self, actor: Actor, execution_id: str, *, after: int = 0, limit: int = BATCH) -> HistoryPage:
        """A page of the history of an execution after the sequence ``after``, oldest first, at most ``limit`` entries.

        There are fewer where they are large; see ``ExecutionStore.events``. It includes what was emitted and notified. Actors
        who may see everything may read it after the execution has left the file, too.

        Raises ``ExecutionNotFound`` and ``NotAllowed``.
        """
        record = await self._readable(actor, execution_id)
        entries = await self.store.events(execution_id, after=after, limit=limit)
        if record is None and not entries and not after:
            raise ExecutionNotFound(execution_id)
        last = entries[-1].sequence if entries else after
        has_more = bool(entries) and bool(await self.store.events(execution_id, after=last, limit=1))
        return HistoryPage(entries, last if has_more else None)

    async def follow(
        self, actor: Actor, execution_id: str, *, after: int = 0, reauthenticate: Reauthenticate | None = None
    ) -> "AsyncIterator[HistoryEntry]":
        """The history of an execution after the sequence ``after``, entry by entry as it is written, until the execution ends.

        Before each batch ``reauthenticate`` is called, and the policy asked about the actor that it returns. Raises
        ``ExecutionNotFound``, ``NotAllowed``, ``StoreClosed``, and what ``reauthenticate`` raises.
        """
        record = await self._readable(actor, execution_id)
        if record is None and not await self.store.events(execution_id, after=0, limit=1):
            raise ExecutionNotFound(execution_id)
        while True:
            # Check before reading the rows: an end that comes in between is among the rows of the next turn.
            ended = record is None or record.status in TERMINAL
            # Watch for changes before reading, for the same reason.
            news = None if ended or record is None else asyncio.ensure_future(record.changed())
            try:
                entries = await self.store.events(execution_id, after=after, limit=BATCH)
                await self._check_again(actor, reauthenticate, execution_id)
                for entry in entries:
                    after = entry.sequence
                    yield entry
                if entries:
                    # Only the last entry counts: before it, the execution may have failed and been retried.
                    if entries[-1].to_status in TERMINAL or entries[-1].kind is EventKind.EXECUTION_REMOVED:
                        record = None
                    continue
                if news is None:
                    return
                try:
                    await news
                except (StoreClosed, StorageError):
                    raise
                except RestpointError:  # it left the file
                    record = None
            finally:
                if news is not None:
                    news.cancel()

    def auditor(self, actor: Actor) -> Auditor:
        """The reader of the history of the whole file. Raises ``NotAllowed``."""
        if not self.policy.may_audit(actor):
            raise NotAllowed(
                f"{actor.id} may not read the history of the file: that takes the role reader or operator."
            )
        return self._auditor

    # --- Changing ---

    async def answer(
        self,
        actor: Actor,
        execution_id: str,
        interaction_id: str,
        response: "HumanResponse | BaseModel | Mapping[str, Any]",
    ) -> None:
        """Answer a prompt.

        Raises what ``ExecutionStore.resolve_interaction`` does, ``NotAllowed``, ``FourEyes`` and ``SamePerson``.
        """

        async def act(question: Question) -> None:
            await self.store.resolve_interaction(
                execution_id, interaction_id, response, actor=actor,
                authority=self.policy.authority(actor, question), addressed=question.assignees,
            )  # fmt: skip

        await self._judged(actor, execution_id, interaction_id, self.policy.may_answer, act)

    async def claim(self, actor: Actor, execution_id: str, interaction_id: str) -> None:
        """Claim a prompt, so that nobody else answers it meanwhile. Nothing happens where the actor has claimed it already.

        Raises what ``ExecutionStore.claim_interaction`` does, ``NotAllowed``, ``FourEyes`` and ``SamePerson``.
        """

        async def act(question: Question) -> None:
            await self.store.claim_interaction(
                execution_id, interaction_id, actor=actor,
                authority=self.policy.authority(actor, question), addressed=question.assignees,
            )  # fmt: skip

        await self._judged(actor, execution_id, interaction_id, self.policy.may_answer, act)

    async def release(self, actor: Actor, execution_id: str, interaction_id: str, reason: str | None = None) -> None:
        """End the actor's claim of a prompt; whoever may reassign the prompt ends that of anyone. Where there is none, nothing.

        Raises what ``ExecutionStore.release_interaction`` does, and ``NotAllowed``.
        """

        async def act(question: Question) -> None:
            anyone = self.policy.may_reassign(actor, question)
            await self.store.release_interaction(execution_id, interaction_id, reason, anyone=anyone, actor=actor)

        await self._judged(actor, execution_id, interaction_id, self._may_release, act)

    def _may_release(self, actor: Actor, question: Question) -> bool:
        return self.policy.may_answer(actor, question) or self.policy.may_reassign(actor, question)

    async def delegate(
        self, actor: Actor, execution_id: str, interaction_id: str, to: str, reason: str | None = None
    ) -> None:
        """Hand a prompt on to a person, or to a group as ``group:NAME``.

        ``to`` takes the place of what the prompt reached the actor by: their id, or else their group. Everyone else whom it is
        addressed to keeps it. Raises what ``ExecutionStore.address_interaction`` does, ``NotAllowed``, ``FourEyes`` and
        ``SamePerson``.
        """

        async def act(question: Question) -> None:
            authority = self.policy.authority(actor, question)
            through = actor.id if authority == "assignee" else authority
            names = [to if name == through else name for name in question.assignees]
            names += [] if to in names else [to]
            await self.store.address_interaction(
                execution_id, interaction_id, list(dict.fromkeys(names)), reason,
                event=EventKind.INTERACTION_DELEGATED, anyone=False, actor=actor, authority=authority,
                addressed=question.assignees,
            )  # fmt: skip

        await self._judged(actor, execution_id, interaction_id, self.policy.may_delegate, act)

    async def reassign(
        self, actor: Actor, execution_id: str, interaction_id: str, to: Sequence[str], reason: str | None = None
    ) -> None:
        """Address a prompt to these people and groups and to nobody else, which ends a claim. That takes the role operator.

        Raises what ``ExecutionStore.address_interaction`` does, and ``NotAllowed``.
        """

        async def act(_: Question) -> None:
            await self.store.address_interaction(
                execution_id, interaction_id, to, reason, actor=actor, authority=OPERATOR
            )

        await self._judged(actor, execution_id, interaction_id, self.policy.may_reassign, act)

    async def _judged(
        self,
        actor: Actor,
        execution_id: str,
        interaction_id: str,
        may: Callable[[Actor, Question], bool],
        act: Callable[[Question], Awaitable[None]],
    ) -> None:
        """Do something with a prompt if the actor may, judged by whom it is addressed to at that moment."""
        question = await self._question(actor, execution_id, interaction_id)
        if may(actor, question):
            try:
                return await act(question)
            except Conflict:  # it was addressed to others meanwhile
                question = await self._question(actor, execution_id, interaction_id, as_stored=True)
                if may(actor, question):
                    return await act(question)
        # This process may not have heard yet that it is addressed to them now.
        question = await self._question(actor, execution_id, interaction_id, as_stored=True)
        if not may(actor, question):
            await self._refuse(actor, execution_id, interaction_id, question)
        return await act(question)

    async def _question(
        self, actor: Actor, execution_id: str, interaction_id: str, *, as_stored: bool = False
    ) -> Question:
        try:
            return await self.store.address(execution_id, interaction_id, as_stored=as_stored)
        except ExecutionNotFound:
            raise await self._absent(actor, execution_id) from None
        except InteractionNotFound:
            await self.status(
                actor, execution_id
            )  # hide existence: report the execution, not the interaction, as missing
            raise

    async def _refuse(self, actor: Actor, execution_id: str, interaction_id: str, question: Question) -> None:
        await self.status(actor, execution_id)
        policy = self.policy
        if not policy.may_see_prompt(actor, question):
            raise InteractionNotFound(execution_id, interaction_id)
        if not policy.may_answer(actor, question):
            without = replace(question, four_eyes=False)
            if question.four_eyes and (policy.owns(actor, question.owner) or policy.may_answer(actor, without)):
                raise FourEyes(execution_id, interaction_id)
            if question.excluded and policy.may_answer(actor, replace(question, excluded=())):
                raise SamePerson(execution_id, interaction_id)
        asked = ", ".join(question.assignees) or question.owner or "an operator"
        raise NotAllowed(
            f"Interaction {interaction_id} of execution {execution_id} is addressed to {asked}; {actor.id} may not do that."
        )

    async def cancel(self, actor: Actor, execution_id: str, reason: str | None = None) -> View:
        """Cancel an execution, and return it as it is then. Nothing happens on one that is cancelled already.

        Raises ``ExecutionNotFound``, ``NotAllowed``, and ``IllegalTransition`` on one that ended otherwise.
        """
        view = await self.status(actor, execution_id)
        if not self.policy.may_cancel(actor, _subject(view.record, view.record.pending_interactions)):
            raise NotAllowed(f"{actor.id} may not cancel execution {execution_id}.")
        await self.store.cancel(execution_id, reason, actor=actor)
        return self.view(actor, view.record)

    async def retry(self, actor: Actor, execution_id: str, reason: str | None = None) -> View:
        """Let a failed execution go on at the call that failed, and return it as it is then; see ``ExecutionStore.retry``.

        Raises ``ExecutionNotFound``, ``NotAllowed``, ``IllegalTransition`` unless it has failed, and ``CannotRetry``.
        """
        view = await self.status(actor, execution_id)
        if not self.policy.may_retry(actor, _subject(view.record, view.record.pending_interactions)):
            raise NotAllowed(f"{actor.id} may not retry execution {execution_id}: that takes the role operator.")
        await self.store.retry(execution_id, reason, actor=actor)
        return self.view(actor, view.record)

    async def remove(self, actor: Actor, execution_id: str) -> None:
        """Delete an execution that has ended; its history stays.

        Raises ``ExecutionNotFound``, ``NotAllowed``, ``ExecutionHeld``, and ``IllegalTransition`` on one that has not ended.
        """
        view = await self.status(actor, execution_id)
        if not self.policy.may_remove(actor, _subject(view.record, view.record.pending_interactions)):
            raise NotAllowed(f"{actor.id} may not remove execution {execution_id}.")
        if not view.ended:
            raise IllegalTransition(f"Execution {execution_id}", view.status, "be removed", ("be cancelled first",))
        await self.store.remove(execution_id, actor=actor)

    # --- Inside ---

    async def _absent(self, actor: Actor, execution_id: str) -> ExecutionNotFound:
        """The error for an execution that is not in the file: whoever could have seen it is told when it left."""
        left = await self.store.departure(execution_id)
        if left is None or not self.policy.may_see(actor, Subject(left.owner)):
            return ExecutionNotFound(execution_id)
        return ExecutionGone(execution_id, left.how, left.at)

    async def _readable(self, actor: Actor, execution_id: str) -> "ExecutionRecord | None":
        """The execution whose history the actor may read; None where it left the file and they may see everything."""
        record = await self.store.get(execution_id)
        if record is None:
            if not self.policy.sees_everything(actor):
                raise await self._absent(actor, execution_id)
            return None
        self._must_read(actor, record)
        return record

    def _must_read(self, actor: Actor, record: "ExecutionRecord") -> None:
        subject = _subject(record, record.pending_interactions)
        if not self.policy.may_see(actor, subject):
            raise ExecutionNotFound(record.execution_id)
        if not self.policy.may_read_history(actor, subject):
            raise NotAllowed(f"{actor.id} may not read the history of execution {record.execution_id}.")

    async def _check_again(self, actor: Actor, reauthenticate: Reauthenticate | None, execution_id: str) -> None:
        """Raise where the actor may not read on. Whoever follows an execution still sees that it leaves the file."""
        actor = actor if reauthenticate is None else await reauthenticate()
        record = await self.store.get(execution_id)
        if record is not None:
            self._must_read(actor, record)


def _subject(
    record: "ExecutionRecord", pending: "tuple[PendingInteraction, ...]", answerer: str | None = None
) -> Subject:
    if not pending and answerer is None:
        return Subject(record.owner)
    answered_by = frozenset[str]() if answerer is None else frozenset((answerer,))
    return Subject(record.owner, frozenset(name for prompt in pending for name in prompt.assignees), answered_by)


def _told(prompt: "PendingInteraction") -> str:
    """A prompt, and what may change of it while it is open."""
    if prompt.claimed_by is None and not prompt.assignees and prompt.reminders is None:
        return prompt.interaction_id
    return "\n".join((prompt.interaction_id, f"{prompt.claimed_by}", *prompt.assignees, f"{prompt.reminders}"))
