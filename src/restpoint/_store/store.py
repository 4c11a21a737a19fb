"""The store: executions that pause for people, in one SQLite file.

Each write takes the same way: the store checks the arguments and gives one function of ``_storage`` to the writer, which returns
after COMMIT. Then the events are told, which resolves futures; nobody hears of anything before it is durable.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, TypeVar

from pydantic import BaseModel

from restpoint._core.addresses import DEFAULT_DATABASE
from restpoint._core.clock import Clock, SystemClock
from restpoint._core.execution_row import ExecutionRow, check_priority
from restpoint._core.retention_rules import DEFAULT_EXECUTION_TTL, TimeToLive, milliseconds
from restpoint._core.serialization import check_text, encode
from restpoint._storage import Synchronous, Transaction, event_details, executions, locate, waits
from restpoint._store.futures import PendingInteraction
from restpoint._store.handle import FileHandle
from restpoint._store.open_file import FileOptions, fallback_settings, given_settings
from restpoint._store.prompt_request import Duration, Durations, PromptRequest, read_assignees
from restpoint._store.prompts import Prompts, addressed_text
from restpoint._store.reader import StoreReader
from restpoint._store.records import ExecutionRecord
from restpoint.access import Actor, ActorLike, actor_name, normal, spellings
from restpoint.events import EventKind
from restpoint.prompts import HumanPrompt, HumanResponse
from restpoint.prompts.prompt_models import PromptModels

if TYPE_CHECKING:
    from restpoint._storage import Erasure

__all__ = ["DEFAULT_EXECUTION_TTL", "ExecutionStore", "TimeToLive"]

T = TypeVar("T")
P = ParamSpec("P")


class ExecutionStore(StoreReader):
    """Executions of interactive workflows, in a SQLite file, where they survive restarts.

    Recommended as ``async with ExecutionStore(database="app.db") as store``; without that it opens at its first use.

    Arguments, all optional:

    - ``ttl_seconds``: how long an ended execution stays. Seconds, None (for ever), or a mapping from final status to
      either, such as ``{"completed": 600, "failed": None}``; under ``"workflows"`` it may have rules of their own by the
      name of the workflow: ``{"completed": 600, "workflows": {"refund": None, "hello": {"failed": 60}}}``.
    - ``database``: a path or a URL ``sqlite+aiosqlite:///PATH``. Default: ``RESTPOINT_DATABASE``, else ``restpoint.db``.
    - ``history``: ``"full"`` keeps prompts and responses in the history, ``"digest"`` only their SHA-256.
    - ``history_retention_seconds``: how long history stays; ``math.inf`` keeps it.
    - ``idempotency_retention_seconds``: how long after the end of an execution its idempotency key is known, also when the
      execution was swept by then. A day by default.
    - ``abandoned_after_seconds``: an execution that no runner runs, and whose process is gone, is failed with the code
      ``abandoned`` when nothing has happened to it for so long. 90 days by default; ``math.inf``: never.
    - ``remember``: save these five in the file, for programs that open it without them, such as the command line. One that
      is not given is as the file has it; a new file has 600 seconds, ``"full"``, and keeps its history.
    - ``sweep_interval_seconds``: how often the sweep runs while the store is open.
    - ``synchronous``: ``"FULL"`` survives loss of power; ``"NORMAL"`` may then lose the last transitions.
    - ``migrate``: ``"refuse"`` a file of an older release, or upgrade it (``"auto"``), after a backup beside it.
    - ``create``: make a new file also where a key ring, backups or a log show that there was one. Without that the store is not
      opened then (``UnusableFile``), because the file was deleted or moved by mistake.
    - ``models``: the classes that prompts and responses are read as, whoever asked or answered, and in whichever process:
      a module that has ``HumanPrompt`` and ``HumanResponse``, such as that of the original store, or a ``PromptModels``.
      Default: those of ``restpoint.prompts``.
    - ``clock``: the source of time.

    Every method may raise ``StorageError`` and its kinds, and ``StoreClosed``. A caller that is cancelled still waits until the
    outcome is known. ``actor`` is who does it, for the history.
    """

    def __init__(
        self,
        ttl_seconds: TimeToLive = DEFAULT_EXECUTION_TTL,
        *,
        database: str | os.PathLike[str] | None = None,
        history: Literal["full", "digest"] | None = None,
        history_retention_seconds: float | None = None,
        idempotency_retention_seconds: float | None = None,
        abandoned_after_seconds: float | None = None,
        remember: bool = True,
        sweep_interval_seconds: float = 60.0,
        synchronous: Synchronous = "FULL",
        migrate: Literal["refuse", "auto"] = "refuse",
        create: bool = False,
        models: ModuleType | PromptModels | None = None,
        clock: Clock | None = None,
    ) -> None:
        path = locate(database if database is not None else os.environ.get("RESTPOINT_DATABASE", DEFAULT_DATABASE))
        settings = given_settings(
            ttl_seconds,
            history,
            history_retention=history_retention_seconds,
            idempotency_retention=idempotency_retention_seconds,
            abandoned_after=abandoned_after_seconds,
        )
        interval = max(milliseconds("sweep_interval_seconds", sweep_interval_seconds), 1)
        known_models = PromptModels.of(models)
        fallback = fallback_settings(ttl_seconds)
        options = FileOptions(
            path,
            settings,
            fallback,
            remember,
            interval,
            synchronous,
            migrate,
            create,
            clock or SystemClock(),
            known_models,
        )
        super().__init__(FileHandle(options))
        self._prompts = Prompts(self._handle)

    async def _write(self, job: Callable[Concatenate[Transaction, P], T], *arguments: P.args, **named: P.kwargs) -> T:
        return await (await self.file()).database.write(job, *arguments, **named)

    # --- Executions ---

    async def create_execution(
        self, *, workflow: str | None = None, owner: str | None = None, priority: int = 0, actor: ActorLike = None
    ) -> ExecutionRecord:
        """Create an execution, which is running. ``workflow`` and ``owner`` are names to list it by.

        ``priority`` is a whole number from -100 to 100 that lists show; it changes no order of work. Raises
        ``InvalidArgument`` and ``NotJSON``.
        """
        _check_texts(workflow=workflow, owner=owner)
        owner = None if owner is None else normal(owner)
        check_priority(priority)
        who = actor_name(actor)
        file = self._handle.open_file or await self.file()
        lease = file.lease_keeper.lease or await file.take_lease()
        row = ExecutionRow(
            file.identifiers.new(), "running", workflow=workflow, owner=owner, priority=priority, lease=lease
        )
        writing = file.database.write(executions.create, row, who)
        creation = file.records.create(file.records.draft(row), writing)
        try:
            await writing
        finally:
            file.records.finish(row.id)
        return creation.record

    # --- Transitions ---

    async def set_interaction_required(
        self,
        execution_id: str,
        prompt: HumanPrompt | BaseModel | Mapping[str, Any],
        interaction_id: str | None = None,
        *,
        timeout: float | None = None,
        assignees: Sequence[str] | None = None,
        four_eyes: bool = False,
        on_deadline: Literal["raise", "fail"] = "raise",
        default: HumanResponse | BaseModel | Mapping[str, Any] | None = None,
        other_than: str | Sequence[str] | None = None,
        priority: int | None = None,
        due: float | None = None,
        votes: int | None = None,
        remind_after: Durations | None = None,
        escalate_after: Duration | None = None,
        escalate_to: Sequence[str] | None = None,
        actor: ActorLike = None,
    ) -> PendingInteraction:
        """Ask a person: opens one more prompt, whose ``future`` resolves with the response.

        - ``timeout``: seconds from now; overrides the prompt's own.
        - ``assignees``: the people and groups that it is addressed to. With ``four_eyes`` the store refuses an answer by the
          execution's owner. Who else may answer is up to the policy of ``access.py``, which the service asks.
        - At the deadline the prompt expires, or with ``on_deadline="fail"`` the execution fails too (code
          ``deadline_passed``), or it is answered with ``default``, a response that it accepts.
        - ``other_than``: the id of an answered prompt of this execution, or several. Who answered those must not answer this one,
          which the store holds as it holds ``four_eyes``.
        - ``priority``: a whole number from -100 to 100, for the order of inboxes; by default that of the execution.
        - ``due``: when it should be answered, in seconds from now, for the order of inboxes. Nothing happens then.
        - ``votes``: how many of the ``assignees`` (members of groups among them) must give the same answer, each once. The first
          answer that so many gave is the response; the comment does not count. Where no answer can get so many votes any more,
          what the deadline would do happens at once (with ``on_deadline="fail"`` the code is ``undecided``). Nobody claims it.
        - ``remind_after``: when those who have the prompt are reminded of it: seconds from now or a ``timedelta``, or a list of
          up to 100 of these. Each is one event, ``interaction_reminded``. Where several are overdue together, because no process
          had the file open, they are one.
        - ``escalate_after`` and ``escalate_to``: when the prompt is addressed to these people and groups and to nobody else,
          which ends a claim of it: ``interaction_escalated``. Those of them who must not answer it, by ``four_eyes`` or
          ``other_than``, are left out; where nobody is left, it stays as it is (``interaction_not_escalated``). Its deadline
          stays, and so do later reminders. A reminder that is overdue by then is not given.

        Raises ``PromptNotAccepted``, ``ResponseNotAccepted`` (the default), ``InvalidArgument``, ``ExecutionNotFound``,
        ``InteractionExists``, ``IllegalTransition`` on an execution that has ended, and ``LeaseLost`` where this process drove
        the execution, stood still, and another process took it over.
        """
        asked = PromptRequest.read(
            *(prompt, timeout, assignees, four_eyes, on_deadline, default, other_than, priority, due),
            *(votes, remind_after, escalate_after, escalate_to),
        )
        return await self._prompts.ask(execution_id, interaction_id, asked, prompt, actor_name(actor))

    async def set_oauth_required(
        self,
        execution_id: str,
        auth_url: str,
        oauth_state: str,
        *,
        timeout: float | None = None,
        actor: ActorLike = None,
    ) -> None:
        """Wait for a consent that the caller drives: stores and shows its ``auth_url`` and ``oauth_state``.

        ``timeout`` is in seconds from now. Raises ``NotJSON``, ``InvalidArgument``, ``ExecutionNotFound``,
        ``IllegalTransition``, and ``LeaseLost`` where another process took the execution over from this one.
        """
        _check_texts(auth_url=auth_url, oauth_state=oauth_state)
        due = None if timeout is None else milliseconds("timeout", timeout)
        who = actor_name(actor)
        file = self._handle.open_file or await self.file()
        wait_id, lease = file.identifiers.new(), await file.take_lease()
        claim = file.claim(execution_id)
        await file.database.write(
            waits.authorize, execution_id, wait_id, auth_url, oauth_state, due, lease, who, claim=claim
        )

    async def set_running(self, execution_id: str, *, actor: ActorLike = None) -> None:
        """Continue a paused execution: withdraws its consents, and the prompts that nobody awaits any more.

        A prompt stays open while someone in this process awaits its future, or while a workflow that a runner runs does. On an
        execution that runs nothing changes.

        This process drives the execution from now on, unless it runs already and a living process drives it.
        Raises ``ExecutionNotFound``, ``IllegalTransition`` on one that has ended, and ``LeaseLost`` where a living process took
        the execution over from this one.
        """
        who = actor_name(actor)
        file = self._handle.open_file or await self.file()
        lease = file.lease_keeper.lease or await file.take_lease()
        record = file.records.get(execution_id)
        awaited = () if record is None else record.awaited
        claim = await file.database.write(
            executions.resume, execution_id, lease, file.claim(execution_id), who, awaited
        )
        if claim is not None and (record := file.records.get(execution_id)) is not None:
            record.drive(claim.lease, claim.epoch)

    async def set_completed(self, execution_id: str, result: Any, *, actor: ActorLike = None) -> None:
        """Complete an execution with a result, which is any JSON value.

        Raises ``NotJSON`` with the path of what is not, before anything changes; ``ExecutionNotFound``;
        ``IllegalTransition`` on one that waits or has ended; and ``LeaseLost`` where another process took it over from this one.
        """
        text, who = encode(result), actor_name(actor)
        file = self._handle.open_file or await self.file()
        await file.database.write(executions.complete, execution_id, text, file.keeping, who, file.claim(execution_id))

    async def set_failed(
        self, execution_id: str, error: str, *, code: str | None = None, actor: ActorLike = None
    ) -> None:
        """Fail an execution with a message for people, and optionally a stable code for programs.

        Raises ``NotJSON``, ``ExecutionNotFound``, ``IllegalTransition`` on one that has ended, and ``LeaseLost`` where another
        process took it over from this one.
        """
        _check_texts(error=check_text("error", error), code=code)
        who = actor_name(actor)
        file = self._handle.open_file or await self.file()
        await file.database.write(
            executions.fail, execution_id, error, code, file.keeping, who, file.claim(execution_id)
        )

    async def cancel(self, execution_id: str, reason: str | None = None, *, actor: ActorLike = None) -> None:
        """Cancel an execution: withdraws its open waits and cancels ``record.task``, wherever it runs.

        Nothing happens on one that is cancelled already. Raises ``NotJSON``, ``ExecutionNotFound``, and ``IllegalTransition``
        on one that ended otherwise.
        """
        _check_texts(reason=reason)
        who = actor_name(actor)
        await self._write(executions.cancel, execution_id, reason, (await self.file()).keeping, who)

    async def retry(self, execution_id: str, reason: str | None = None, *, actor: ActorLike = None) -> None:
        """Let a failed execution go on at the call that failed, in whichever process has a runner for its workflow.

        What people answered and what its steps returned is kept. The step that failed runs again, and a prompt or consent that
        nobody answered is asked again. Where its own code raised, that runs again, and raises again unless it has changed. Its
        time to live begins anew when it ends.

        Raises ``NotJSON``, ``ExecutionNotFound``, ``IllegalTransition`` unless it has failed, and ``CannotRetry`` where no runner
        ran it, or where what is recorded of it is not whole any more.
        """
        from restpoint._storage import retries

        _check_texts(reason=reason)
        await self._write(retries.retry, execution_id, actor_name(actor), reason)

    # --- Waits ---

    async def resolve_interaction(
        self,
        execution_id: str,
        interaction_id: str,
        response: HumanResponse | BaseModel | Mapping[str, Any],
        *,
        actor: ActorLike = None,
        authority: str | None = None,
        addressed: Sequence[str] | None = None,
    ) -> None:
        """Answer a prompt. The same response of the same actor again is a success, as long as the execution is in the file.

        The history keeps the groups and roles of an ``Actor``, and by what right they answered: ``authority``, as
        ``Policy.authority`` has it, else ``application``, which vouches for whoever calls the store. Of an actor that is
        given as a name it keeps that name. ``addressed`` are the assignees that their right was judged by: where the prompt has
        others by now, ``Conflict`` is raised.

        Raises ``ResponseNotAccepted`` (with the reason), ``ExecutionNotFound``, ``InteractionNotFound``,
        ``InteractionAlreadyResolved`` (somebody else's was accepted, or another), ``InteractionExpired``,
        ``InteractionWithdrawn``, ``InteractionClaimed`` while somebody else has claimed it, ``FourEyes`` for a prompt that asked
        for them: whoever started the execution cannot answer it, nor can anyone without a name; and ``SamePerson`` for one that
        must be answered by others than a prompt before it.

        On a prompt that takes votes it is the one vote of the actor: ``AlreadyVoted`` for another one, and ``VoterUnknown``
        without a name and for ``local``, who may be anybody.
        """
        await self._prompts.answer(execution_id, interaction_id, response, actor, authority, addressed)

    async def claim_interaction(
        self,
        execution_id: str,
        interaction_id: str,
        *,
        actor: Actor | str,
        authority: str | None = None,
        addressed: Sequence[str] | None = None,
    ) -> None:
        """Have the actor alone answer an open prompt, until they answer it, release it, or it is addressed to others.

        Nothing happens where they have claimed it already. ``authority`` and ``addressed`` are as ``resolve_interaction`` has
        them. Raises ``InteractionClaimed`` (by somebody else), what answering raises for this actor, and ``NotAllowed`` where the
        prompt takes votes: a claim would keep the others from voting.
        """
        from restpoint._storage import assignments

        who = normal(check_text("actor", actor.id if isinstance(actor, Actor) else actor, limit=1_000))
        detail = event_details.claimed(actor, authority) if isinstance(actor, Actor) else None
        await self._write(assignments.claim, execution_id, interaction_id, who, detail, addressed_text(addressed))

    async def release_interaction(
        self,
        execution_id: str,
        interaction_id: str,
        reason: str | None = None,
        *,
        anyone: bool = False,
        actor: ActorLike = None,
    ) -> None:
        """End the actor's claim of an open prompt, or with ``anyone`` that of anyone. Nothing happens where there is none.

        Raises ``InteractionClaimed`` where somebody else has claimed it, ``NotJSON``, ``ExecutionNotFound``,
        ``InteractionNotFound``, and why the prompt is not open.
        """
        from restpoint._storage import assignments

        _check_texts(reason=reason)
        who = actor_name(actor)
        await self._write(assignments.release, execution_id, interaction_id, who, reason, anyone=anyone)

    async def address_interaction(
        self,
        execution_id: str,
        interaction_id: str,
        assignees: Sequence[str],
        reason: str | None = None,
        *,
        event: Literal[EventKind.INTERACTION_DELEGATED, EventKind.INTERACTION_REASSIGNED] = (
            EventKind.INTERACTION_REASSIGNED
        ),
        anyone: bool = True,
        actor: ActorLike = None,
        authority: str | None = None,
        addressed: Sequence[str] | None = None,
    ) -> None:
        """Address an open prompt to other people and groups, which ends a claim of it. Its deadline stays.

        ``event`` says how: handed on by somebody whom it was addressed to, or reassigned. Without ``anyone``, a claim of somebody
        else is respected: ``InteractionClaimed``. ``authority`` and ``addressed`` are as ``resolve_interaction`` has them.
        Nothing happens where it is addressed so already. Raises ``InvalidArgument``, also where none of them may answer it, or
        where they cannot give it the votes that it takes; ``AlreadyVoted`` without ``anyone``; ``NotJSON``,
        ``ExecutionNotFound``, ``InteractionNotFound``, ``Conflict``, and why the prompt is not open.
        """
        from restpoint._storage import assignments

        _check_texts(reason=reason)
        names = read_assignees(assignees)
        credentials = actor if isinstance(actor, Actor) else None
        detail = event_details.readdressed(names, credentials, authority)
        await self._write(
            assignments.address, event, execution_id, interaction_id, names, actor_name(actor), reason, detail,
            addressed_text(addressed), anyone=anyone,
        )  # fmt: skip

    async def withdraw(
        self, execution_id: str, wait_id: str, reason: str | None = None, *, actor: ActorLike = None
    ) -> None:
        """Withdraw one open prompt or consent. Nothing happens on one that is withdrawn already.

        Raises ``NotJSON``, ``ExecutionNotFound``, ``InteractionNotFound``, and ``IllegalTransition`` on one that was closed
        otherwise.
        """
        _check_texts(reason=reason)
        await self._write(waits.withdraw, execution_id, wait_id, reason, actor_name(actor))

    # --- For operators ---

    async def recover(self, *, fail: bool = True) -> Sequence[ExecutionRecord]:
        """Fail the executions that a dead process left running, with the code ``interrupted_by_restart``; returns them.

        Those that wait for an answer are kept as they are. With ``fail=False`` they are only listed, for a caller who can go
        on with them.
        """
        return await (await self.file()).recover(fail=fail)

    async def hold(self, execution_id: str, reason: str, *, actor: ActorLike = None) -> None:
        """Keep an execution in the file whatever its time to live, until it is released.

        Raises ``NotJSON`` and ``ExecutionNotFound``.
        """
        from restpoint._storage import retention

        await self._write(retention.hold, execution_id, check_text("reason", reason), actor_name(actor))

    async def release(self, execution_id: str, *, actor: ActorLike = None) -> None:
        """End a hold. Nothing happens where there is none. Raises ``ExecutionNotFound``."""
        from restpoint._storage import retention

        await self._write(retention.release, execution_id, actor_name(actor))

    async def remove(self, execution_id: str, *, actor: ActorLike = None) -> None:
        """Delete an execution, cancelling it first where it has not ended. Nothing happens where there is none.

        Its history stays. Raises ``ExecutionHeld``.
        """
        from restpoint._storage import retention

        file = self._handle.open_file or await self.file()
        await file.database.write(retention.remove, execution_id, file.keeping, actor_name(actor))
        file.records.drop(execution_id)

    async def erase(self, execution_id: str, reason: str | None = None, *, actor: ActorLike = None) -> "Erasure":
        """Erase everything that one execution holds, also of one that has left the file; see ``erasure.py``.

        Raises ``NotJSON``, ``ExecutionNotFound``, ``ExecutionHeld``, and ``IllegalTransition`` where it has not ended.
        """
        from restpoint._storage import Erasure, erasure

        _check_texts(reason=reason)
        await self._write(erasure.erase_execution, execution_id, actor_name(actor), reason)
        file = self._handle.open_file or await self.file()
        file.records.drop(execution_id)
        return Erasure([execution_id], scrubbed=await erasure.scrub(file.database))

    async def would_erase(self, execution_id: str) -> "Erasure":
        """What ``erase`` would do; nothing is written. Raises ``ExecutionNotFound``."""
        from restpoint._storage import erasure

        await self.history(execution_id)
        return await erasure.preview((await self.file()).database, erasure.Scope([execution_id]))

    async def erase_person(
        self,
        person: str,
        reason: str | None = None,
        *,
        whole: bool = False,
        dry_run: bool = False,
        actor: ActorLike = None,
    ) -> "Erasure":
        """Erase what one person said and was asked; ``erasure.py`` says what that is, and what ``whole`` adds.

        Executions that have not ended, or are on hold, are left and named in the result. With ``dry_run`` nothing is erased,
        and the result says what would be. Raises ``NotJSON``.
        """
        from restpoint._storage import erasure

        _check_texts(person=check_text("person", person), reason=reason)
        who, file = actor_name(actor), await self.file()
        scope = await erasure.scope(file.database, spellings(person), whole=whole)
        if dry_run:
            return await erasure.preview(file.database, scope)
        return await erasure.erase(file.database, scope, who, reason, file.records.drop)

    async def cleanup_expired(self) -> int:
        """Sweep now: delete what ended longer ago than its time to live. Returns the number of executions deleted."""
        return await (await self.file()).maintenance.sweep()


def _check_texts(**texts: str | None) -> None:
    """Raise ``NotJSON`` for a text that cannot be stored; None is none."""
    for name, text in texts.items():
        if text is not None:
            check_text(name, text)
