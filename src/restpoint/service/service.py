"""The verbs of the service."""

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Unpack
from weakref import WeakKeyDictionary

from restpoint._core import json_thread
from restpoint._storage import InboxPage, consents
from restpoint._store.owner_limits import OwnerLimiter, OwnerLimits
from restpoint.access import DEFAULT_POLICY, OPERATOR, Actor, Policy, Question, Subject
from restpoint.audit.reader import Auditor
from restpoint.errors import (
    ExecutionNotFound,
    IllegalTransition,
    InteractionNotFound,
    NotAllowed,
    WorkflowNotFound,
)
from restpoint.events import EventKind
from restpoint.lifecycle import ExecutionStatus
from restpoint.service.feed import Feed, Gap, Position
from restpoint.service.histories import BATCH, Histories, HistoryPage, Reauthenticate
from restpoint.service.judgement import Judge
from restpoint.service.outbox import Outbox
from restpoint.service.sessions import PeoplesSessions
from restpoint.service.views import View, Views, subject_of

if TYPE_CHECKING:
    from pydantic import BaseModel

    from restpoint._core.execution_row import StartOptions, StepDone
    from restpoint._engine.runner import Runner
    from restpoint._engine.started import Started
    from restpoint._engine.workflow import Workflow
    from restpoint._storage import Asked, Failure, HistoryEntry, Page, Progress
    from restpoint._store.records import ExecutionRecord
    from restpoint._store.store import ExecutionStore
    from restpoint.audit.signing import SigningKey
    from restpoint.prompts import HumanResponse

_INBOX_READINGS: Final = 10  # for a page, where the policy refuses some of what is read


class Service:
    """The verbs. ``runner`` is None where nothing is started; ``policy`` may be the application's own.

    ``audit_key`` signs exports. ``owner_limits`` say how much one owner may start. ``sessions`` has the verbs on those.
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
        self._views = Views(store, policy)
        self._histories = Histories(store, policy, self._views)
        self.sessions = PeoplesSessions(store, policy)
        self._feed = Feed(store, policy)
        self._judge = Judge(store, policy, self._views)
        self.outbox = Outbox(store, policy)

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
        return await self._views.status(actor, execution_id)

    def view(self, actor: Actor, record: "ExecutionRecord") -> View:
        """The execution as this process knows it. Raises ``ExecutionNotFound`` where the actor may not see it."""
        return self._views.view(actor, record)

    async def progress(self, view: View) -> "Progress":
        """What an execution that the actor sees is doing now, and why nobody goes on with it where that is so."""
        return await self.store.progress(view.record.execution_id)

    async def notifications(self, view: View) -> "Sequence[Mapping[str, Any]]":
        """What a workflow has notified people of: the newest 20, the oldest of them first."""
        record = view.record
        if record.version is None or not record.state.may_have_notified:
            return ()
        as_of, told = self._told.get(record, (-1, ()))
        if as_of != record.state.as_of:  # a poll that finds nothing new reads nothing
            as_of, told = record.state.as_of, await self.store.notifications(record.execution_id)
            self._told[record] = as_of, told
        return told

    async def failure(self, actor: Actor, view: View) -> "Failure | None":
        """What the workflow of a failed execution raised, with its traceback; None for actors who may not see that."""
        if view.status is not ExecutionStatus.FAILED or not self.policy.may_see_failure(
            actor, subject_of(view.record, ())
        ):
            return None
        return await self.store.failure(view.record.execution_id)

    async def asked(self, actor: Actor, execution_id: str, interaction_id: str) -> "Asked":
        """An interaction in any status, for whoever may see it or has answered it.

        Its response is only there for whoever gave it, voted on it or may read the history, and what others voted for those who
        may read the history. Raises ``ExecutionNotFound`` and ``InteractionNotFound``.
        """
        try:
            asked = await self.store.asked(execution_id, interaction_id)
        except ExecutionNotFound:
            raise await self._views.absent(actor, execution_id) from None
        except InteractionNotFound:
            await self.status(actor, execution_id)
            raise
        is_theirs = actor.id in {asked.answered_by, *(vote.voter for vote in asked.voted)}
        if not is_theirs and not self.policy.may_see_prompt(actor, asked):
            await self.status(actor, execution_id)
            raise InteractionNotFound(execution_id, interaction_id)
        seen = self._as_seen(actor, asked)
        if is_theirs or self.policy.may_read_history(actor, Subject(asked.owner)):
            return seen
        return replace(seen, response=None)

    async def answered(self, actor: Actor, *, limit: int = 50) -> "Sequence[Asked]":
        """What the actor answered or voted on, the newest first, as far as the executions are in the file."""
        return [self._as_seen(actor, asked) for asked in await self.store.answered_by(actor.id, limit=limit)]

    def _as_seen(self, actor: Actor, asked: "Asked") -> "Asked":
        """An interaction without what others voted, for those who may not read the history."""
        if not asked.voted or self.policy.may_read_history(actor, Subject(asked.owner)):
            return asked
        own = tuple(vote if vote.voter == actor.id else replace(vote, response=None) for vote in asked.voted)
        return replace(asked, voted=own)

    async def steps(self, actor: Actor, execution_id: str, *, limit: int = 500) -> "Sequence[StepDone]":
        """The steps of an execution that have an outcome, the first ones. Raises ``ExecutionNotFound`` and ``NotAllowed``."""
        await self._histories.readable(actor, execution_id)
        return await self.store.steps(execution_id, limit=limit)

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
        problem: bool = False,
        limit: int = 50,
        cursor: str | None = None,
    ) -> "Page":
        """List the executions that the actor may see, the newest first; arguments as those of ``ExecutionStore.list``."""
        names = None if self.policy.sees_everything(actor) else actor.names
        return await self.store.list(
            status=status, workflow=workflow, version=version, owner=owner, problem=problem, limit=limit, cursor=cursor,
            visible_to=names,
        )  # fmt: skip

    async def awaiting_consent(self, actor: Actor, *, workflow: str | None = None, limit: int = 50) -> Sequence[str]:
        """The actor's own executions that wait for a consent, the newest first: their ids, at most ``limit``.

        For whoever may see the consents of executions that nobody owns, those are among them.
        """
        owners = [actor.id, *([None] if self.policy.may_see_consent(actor, Subject(None)) else [])]
        database = (await self.store.file()).database
        found = [await consents.awaiting(database, owner, workflow, limit) for owner in owners]
        return [execution_id for ids in found for execution_id in ids][:limit]

    async def inbox(
        self, actor: Actor, *, workflow: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> InboxPage:
        """The open prompts that the actor may answer: by ``due`` or ``deadline``, then by priority, then by age.

        Those that somebody else has claimed are among them, because they may come free; those that the actor has voted on are
        not. Arguments are as those of
        ``ExecutionStore.inbox``; a page may have fewer than ``limit`` where the policy refuses many. Raises ``InvalidArgument``.
        """
        names, policy = self.policy.inbox_names(actor), self.policy
        items: list[Any] = []
        for _ in range(_INBOX_READINGS):
            page = await self.store.inbox(
                names, workflow=workflow, voter=actor.id, limit=limit - len(items), cursor=cursor
            )
            for item in page.items:
                question = Question(item.owner, item.assignees, item.four_eyes, item.excluded)
                if policy.may_answer(actor, question):
                    items.append(item)
            cursor = page.next_cursor
            if cursor is None or len(items) == limit:
                break
        return InboxPage(tuple(items), cursor)

    def is_in_inbox(self, actor: Actor, asked: "Asked") -> bool:
        """Whether the inbox of the actor has a prompt."""
        if asked.status != "pending" or any(vote.voter == actor.id for vote in asked.voted):
            return False
        names = self.policy.inbox_names(actor)
        leads = names is None or not names.isdisjoint(asked.assignees or (asked.owner,))
        return leads and self.policy.may_answer(actor, asked)

    async def history(self, actor: Actor, execution_id: str, *, after: int = 0, limit: int = BATCH) -> HistoryPage:
        """A page of the history of an execution after the sequence ``after``, oldest first, at most ``limit`` entries.

        There are fewer where they are large; see ``ExecutionStore.events``. It includes what was emitted and notified. Actors
        who may see everything may read it after the execution has left the file, too.

        Raises ``ExecutionNotFound`` and ``NotAllowed``.
        """
        return await self._histories.page(actor, execution_id, after=after, limit=limit)

    def follow(
        self, actor: Actor, execution_id: str, *, after: int = 0, reauthenticate: Reauthenticate | None = None
    ) -> "AsyncIterator[HistoryEntry]":
        """The history of an execution after the sequence ``after``, entry by entry as it is written, until the execution ends.

        Before each batch ``reauthenticate`` is called, and the policy asked about the actor that it returns. Raises
        ``ExecutionNotFound``, ``NotAllowed``, ``StoreClosed``, and what ``reauthenticate`` raises.
        """
        return self._histories.follow(actor, execution_id, after=after, reauthenticate=reauthenticate)

    def feed(
        self,
        actor: Actor,
        *,
        after: int | None = None,
        workflow: str | None = None,
        events: Collection[EventKind] = (),
        has_end: bool = False,
        reauthenticate: Reauthenticate | None = None,
    ) -> "AsyncGenerator[HistoryEntry | Position | Gap, None]":
        """What happens to all executions that the actor may see, after the row ``after`` of the history or from now on.

        Only of this ``workflow``, and only these ``events``, where any are given. It goes on without end, or with ``has_end``
        until there is no more now; see ``Feed.follow``.
        """
        return self._feed.follow(
            actor, after=after, workflow=workflow, events=events, has_end=has_end, reauthenticate=reauthenticate
        )

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

        await self._judge.permit(actor, execution_id, interaction_id, self.policy.may_answer, act)

    async def claim(self, actor: Actor, execution_id: str, interaction_id: str) -> None:
        """Claim a prompt, so that nobody else answers it meanwhile. Nothing happens where the actor has claimed it already.

        Raises what ``ExecutionStore.claim_interaction`` does, ``NotAllowed``, ``FourEyes`` and ``SamePerson``.
        """

        async def act(question: Question) -> None:
            await self.store.claim_interaction(
                execution_id, interaction_id, actor=actor,
                authority=self.policy.authority(actor, question), addressed=question.assignees,
            )  # fmt: skip

        await self._judge.permit(actor, execution_id, interaction_id, self.policy.may_answer, act)

    async def release(self, actor: Actor, execution_id: str, interaction_id: str, reason: str | None = None) -> None:
        """End the actor's claim of a prompt; whoever may reassign the prompt ends that of anyone. Where there is none, nothing.

        Raises what ``ExecutionStore.release_interaction`` does, and ``NotAllowed``.
        """

        async def act(question: Question) -> None:
            anyone = self.policy.may_reassign(actor, question)
            await self.store.release_interaction(execution_id, interaction_id, reason, anyone=anyone, actor=actor)

        await self._judge.permit(actor, execution_id, interaction_id, self._may_release, act)

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

        await self._judge.permit(actor, execution_id, interaction_id, self.policy.may_delegate, act)

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

        await self._judge.permit(actor, execution_id, interaction_id, self.policy.may_reassign, act)

    async def cancel(self, actor: Actor, execution_id: str, reason: str | None = None) -> View:
        """Cancel an execution, and return it as it is then. Nothing happens on one that is cancelled already.

        Raises ``ExecutionNotFound``, ``NotAllowed``, and ``IllegalTransition`` on one that ended otherwise.
        """
        view = await self.status(actor, execution_id)
        if not self.policy.may_cancel(actor, subject_of(view.record, view.record.pending_interactions)):
            raise NotAllowed(f"{actor.id} may not cancel execution {execution_id}.")
        await self.store.cancel(execution_id, reason, actor=actor)
        return self.view(actor, view.record)

    async def retry(self, actor: Actor, execution_id: str, reason: str | None = None) -> View:
        """Let a failed execution go on at the call that failed, and return it as it is then; see ``ExecutionStore.retry``.

        Raises ``ExecutionNotFound``, ``NotAllowed``, ``IllegalTransition`` unless it has failed, and ``CannotRetry``.
        """
        view = await self.status(actor, execution_id)
        if not self.policy.may_retry(actor, subject_of(view.record, view.record.pending_interactions)):
            raise NotAllowed(f"{actor.id} may not retry execution {execution_id}: that takes the role operator.")
        await self.store.retry(execution_id, reason, actor=actor)
        return self.view(actor, view.record)

    async def remove(self, actor: Actor, execution_id: str) -> None:
        """Delete an execution that has ended; its history stays.

        Raises ``ExecutionNotFound``, ``NotAllowed``, ``ExecutionHeld``, and ``IllegalTransition`` on one that has not ended.
        """
        view = await self.status(actor, execution_id)
        if not self.policy.may_remove(actor, subject_of(view.record, view.record.pending_interactions)):
            raise NotAllowed(f"{actor.id} may not remove execution {execution_id}.")
        if not view.ended:
            raise IllegalTransition(f"Execution {execution_id}", view.status, "be removed", ("be cancelled first",))
        await self.store.remove(execution_id, actor=actor)
