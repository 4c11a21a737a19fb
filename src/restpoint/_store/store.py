"""The store: executions that pause for people, in one SQLite file.

``ExecutionStore`` has the names and signatures of the in-memory store it succeeds. Each of its writes goes the same way:
check what was given, hand one function of ``_storage`` to the writer, and return once COMMIT has returned and the sink was told,
which resolves futures and sets events. Nobody is told anything before it is durable.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel

from restpoint._core.execution_row import ExecutionRow, check_priority
from restpoint._core.retention_rules import DEFAULT_EXECUTION_TTL, TimeToLive, milliseconds
from restpoint._core.serialization import check_text, encode
from restpoint._storage import (
    Address,
    Claim,
    Database,
    HistoryEntry,
    Page,
    event_details,
    executions,
    history,
    listing,
    queries,
    waits,
)
from restpoint._store.ask_options import read_terms
from restpoint._store.futures import PendingInteraction
from restpoint._store.open_file import MaintainedFile
from restpoint._store.records import ExecutionRecord
from restpoint.access import Actor, ActorLike, actor_name
from restpoint.errors import ExecutionNotFound, InvalidArgument
from restpoint.lifecycle import ExecutionStatus
from restpoint.prompts import (
    HumanPrompt,
    HumanResponse,
    accepts,
    read_prompt,
    read_response,
    stored_prompt,
    write_prompt,
    write_response,
)

__all__ = ["DEFAULT_EXECUTION_TTL", "ExecutionStore", "TimeToLive"]


class ExecutionStore(MaintainedFile):
    """Executions of interactive workflows, in a SQLite file, where they survive restarts.

    Recommended as ``async with ExecutionStore(database="app.db") as store``; without that it opens at its first use.

    Arguments, all optional:

    - ``ttl_seconds``: how long an ended execution stays. Seconds, None (for ever), or a mapping from final status to
      either, such as ``{"completed": 600, "failed": None}``; under ``"workflows"`` it may have rules of their own by the
      name of the workflow: ``{"completed": 600, "workflows": {"refund": None, "hello": {"failed": 60}}}``.
    - ``database``: a path or a URL ``sqlite+aiosqlite:///PATH``. Default: ``RESTPOINT_DATABASE``, else ``restpoint.db``.
    - ``history``: ``"full"`` keeps prompts and responses in the history, ``"digest"`` only their SHA-256.
    - ``history_retention_seconds``: how long history stays; ``math.inf`` keeps it.
    - ``remember``: these three are kept in the file, for whoever opens it and does not say: the command line, other
      programs. What is not said is as the file has it; where that has nothing, it is 600 seconds, ``"full"``, and kept.
    - ``sweep_interval_seconds``: how often the sweep runs while the store is open.
    - ``synchronous``: ``"FULL"`` survives loss of power; ``"NORMAL"`` may then lose the last transitions.
    - ``migrate``: ``"refuse"`` a file of an older release, or upgrade it (``"auto"``), after a backup beside it.
    - ``clock``: the source of time.

    Every method may raise ``StorageError`` and its kinds. A caller that is cancelled still waits until the outcome is known.
    """

    # --- Executions ---

    async def create_execution(
        self, *, workflow: str | None = None, owner: str | None = None, priority: int = 0, actor: ActorLike = None
    ) -> ExecutionRecord:
        """A new execution, running. ``workflow`` and ``owner`` are names to list it by.

        ``priority`` is a whole number from -100 to 100 that lists show; it changes no order of work. Raises
        ``InvalidArgument``.
        """
        for name, text in (("workflow", workflow), ("owner", owner)):
            if text is not None:
                check_text(name, text)
        check_priority(priority)
        who = actor_name(actor)
        database = self._database or await self._ready()
        lease = self._driver.lease or await self._driver.take_lease()
        new = self._identifiers.new()
        row = ExecutionRow(new, "running", workflow=workflow, owner=owner, priority=priority, lease=lease)
        creating = database.write(lambda tx: executions.create(tx, row, who))
        coming = self._records.expect(self._records.draft(row), creating)
        await creating
        return coming.record

    async def get(self, execution_id: str) -> ExecutionRecord | None:
        """The execution as the file has it now; None if there is none. The same object while anyone holds it."""
        record = self._records.get(execution_id)
        # Only of what a runner runs: who drives anything else may change without a row of history.
        if record is not None and record.is_run and self._database is not None:
            heard = await self._follower.has_heard_all()
            if heard and self._records.get(execution_id) is record:  # it may have been removed meanwhile
                return record
        found = await self._load(execution_id)
        if found is None and (coming := self._records.coming(execution_id)) is not None:
            await asyncio.wait([coming.written])
            found = await self._load(execution_id)
        return found

    async def list(
        self,
        *,
        status: str | Iterable[str] | None = None,
        workflow: str | None = None,
        owner: str | None = None,
        visible_to: Collection[str] | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page:
        """Executions, the newest first, ``limit`` (1 to 1,000) at a time; ``cursor`` is the page before's ``next_cursor``.

        Filters by one status or several, by workflow and by owner; and with ``visible_to``, to those whose owner is among
        these names, or that have an open prompt which is addressed to one of them. Raises ``InvalidArgument``.
        """
        wanted = [status] if isinstance(status, str) else list(status or ())
        if status is not None and not wanted:
            raise InvalidArgument("status is empty; name one or several, or none to list all.")
        for name in wanted:
            if name not in set(ExecutionStatus):
                raise InvalidArgument(f"{name!r} is no status; use one of {', '.join(ExecutionStatus)}.")
        database = self._database or await self._ready()
        return await listing.page(
            database,
            statuses=[str(name) for name in wanted],
            workflow=workflow,
            owner=owner,
            limit=limit,
            cursor=cursor,
            audience=visible_to,
        )

    async def history(self, execution_id: str) -> Sequence[HistoryEntry]:
        """Everything that happened to an execution, in order, also after it was swept.

        Raises ``ExecutionNotFound`` where there is nothing to tell.
        """
        entries = await history.history_of(await self._ready(), execution_id)
        if not entries:
            raise ExecutionNotFound(execution_id)
        return entries

    async def events(self, execution_id: str, after: int = 0, limit: int = 500) -> Sequence[HistoryEntry]:
        """What happened to an execution after the row of history ``after``, in order, at most ``limit`` entries.

        ``detail`` of ``emitted`` has the ``data``, of ``notified`` the ``prompt``, for as long as the execution is in the file.
        """
        return await history.events_of(await self._ready(), execution_id, after, limit)

    async def address(self, execution_id: str, interaction_id: str) -> Address:
        """Whom an interaction is addressed to. Raises ``ExecutionNotFound`` and ``InteractionNotFound``."""
        record = self._records.get(execution_id)
        known = None if record is None else record.address(interaction_id)
        return known or await queries.address(await self._ready(), execution_id, interaction_id)

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
        actor: ActorLike = None,
    ) -> PendingInteraction:
        """Ask a person: one more open prompt, whose ``future`` resolves with the response.

        - ``timeout`` is in seconds from now and overrides the prompt's own.
        - ``assignees`` are the people and groups that it is addressed to; with ``four_eyes``, the execution's owner is not
          to answer it, which the store holds. Who else may answer is for the policy of ``access.py``, which the doors ask.
        - At the deadline the prompt expires, or with ``on_deadline="fail"`` the execution fails too (code
          ``deadline_passed``), or it is answered with ``default``, a response that it accepts.

        Raises ``PromptNotAccepted``, ``ResponseNotAccepted`` (the default), ``InvalidArgument``, ``ExecutionNotFound``,
        ``InteractionExists``, and ``IllegalTransition`` on an execution that has ended.
        """
        asked = read_prompt(prompt)
        text = write_prompt(asked)
        terms = read_terms(asked, assignees, four_eyes, on_deadline, default)
        wait_id = self._identifiers.new() if interaction_id is None else _interaction_id(interaction_id)
        seconds = timeout if timeout is not None else asked.timeout
        due = None if seconds is None else milliseconds("timeout", seconds)
        who = actor_name(actor)
        database = self._database or await self._ready()
        # Whether the history has whole prompts is a setting of the file, which is open only now.
        detail = event_details.asked(text, terms, digest=self._keeping.digest)
        lease = self._driver.lease or await self._driver.take_lease()
        # Keep a strong reference: the identity map is weak, and what is committed is folded into the record that it finds.
        record = self._records.get(execution_id) or await self._need(execution_id)
        # The caller's own object, also where it is another library's, so that it comes back as it was given.
        given = prompt if isinstance(prompt, BaseModel) else asked
        chosen, claim = interaction_id is not None, record.claim
        with record.asking(wait_id) as asking:
            await database.write(
                lambda tx: waits.ask(
                    tx,
                    execution_id,
                    wait_id,
                    text,
                    due,
                    lease,
                    who,
                    detail,
                    chosen=chosen,
                    terms=terms,
                    given=given,
                    claim=claim,
                )
            )
            return asking.pending

    async def set_oauth_required(
        self,
        execution_id: str,
        auth_url: str,
        oauth_state: str,
        *,
        timeout: float | None = None,
        actor: ActorLike = None,
    ) -> None:
        """Wait for a consent that the caller drives: stores and shows what it was given.

        ``timeout`` is in seconds from now. Raises ``NotJSON``, ``ExecutionNotFound`` and ``IllegalTransition``.
        """
        check_text("auth_url", auth_url)
        check_text("oauth_state", oauth_state)
        due = None if timeout is None else milliseconds("timeout", timeout)
        who, wait_id = actor_name(actor), self._identifiers.new()
        database = self._database or await self._ready()
        lease = self._driver.lease or await self._driver.take_lease()
        claim = self._claim(execution_id)
        await database.write(
            lambda tx: waits.authorize(tx, execution_id, wait_id, auth_url, oauth_state, due, lease, who, claim=claim)
        )

    async def set_running(self, execution_id: str, *, actor: ActorLike = None) -> None:
        """Back to running. On one that waits, what is still open is withdrawn; on one that runs, nothing happens.

        Raises ``ExecutionNotFound``, and ``IllegalTransition`` on one that has ended.
        """
        who = actor_name(actor)
        database = self._database or await self._ready()
        lease = self._driver.lease or await self._driver.take_lease()
        held = self._claim(execution_id)
        claim = await database.write(lambda tx: executions.resume(tx, execution_id, lease, held, who))
        if claim is not None and (record := self._records.get(execution_id)) is not None:
            record.drive(claim.lease, claim.epoch)

    async def set_completed(self, execution_id: str, result: Any, *, actor: ActorLike = None) -> None:
        """The end, with a result that is JSON.

        Raises ``NotJSON`` with the path of what is not, before anything changes; ``ExecutionNotFound``; and
        ``IllegalTransition`` on one that waits or has ended.
        """
        text, who = encode(result), actor_name(actor)
        database = self._database or await self._ready()
        keeping, claim = self._keeping, self._claim(execution_id)
        await database.write(lambda tx: executions.complete(tx, execution_id, text, keeping, who, claim))

    async def set_failed(
        self, execution_id: str, error: str, *, code: str | None = None, actor: ActorLike = None
    ) -> None:
        """The end, with an error: a message for people, and optionally a stable code for programs.

        Raises ``NotJSON``, ``ExecutionNotFound``, and ``IllegalTransition`` on one that has ended.
        """
        check_text("error", error)
        if code is not None:
            check_text("code", code)
        who = actor_name(actor)
        database = self._database or await self._ready()
        keeping, claim = self._keeping, self._claim(execution_id)
        await database.write(lambda tx: executions.fail(tx, execution_id, error, code, keeping, who, claim))

    async def cancel(self, execution_id: str, reason: str | None = None, *, actor: ActorLike = None) -> None:
        """The end, because someone said so: withdraws what is open and cancels ``record.task``, wherever it runs.

        Nothing happens on one that is cancelled already. Raises ``IllegalTransition`` on one that ended otherwise.
        """
        if reason is not None:
            check_text("reason", reason)
        who = actor_name(actor)
        database = self._database or await self._ready()
        keeping = self._keeping
        await database.write(lambda tx: executions.cancel(tx, execution_id, reason, keeping, who))

    # --- Waits ---

    async def resolve_interaction(
        self,
        execution_id: str,
        interaction_id: str,
        response: HumanResponse | BaseModel | Mapping[str, Any],
        *,
        actor: ActorLike = None,
        authority: str | None = None,
    ) -> None:
        """Answer a prompt. The same response again is a success, for as long as the execution is in the file.

        The history keeps the groups and roles of an ``Actor``, and by what right they answered: ``authority``, as
        ``Policy.authority`` has it, else ``application``, which vouches for whoever calls the store. Of an actor that is
        given as a name it keeps that name.

        Raises ``ResponseNotAccepted`` (with the reason), ``ExecutionNotFound``, ``InteractionNotFound``,
        ``InteractionAlreadyResolved`` (another response was accepted), ``InteractionExpired``, ``InteractionWithdrawn``,
        and ``FourEyes`` for a prompt that asked for them: whoever started the execution cannot answer it, nor can
        anyone without a name.
        """
        given = read_response(response)
        who = actor_name(actor)
        database = self._database or await self._ready()
        answer = accepts(await self._prompt(database, execution_id, interaction_id), given)
        text = write_response(answer)
        credentials = actor if isinstance(actor, Actor) else None
        detail = event_details.answered(text, digest=self._keeping.digest, actor=credentials, authority=authority)
        # Whoever awaits it here gets the response in the caller's own class, also where that is another library's.
        own = response if isinstance(response, BaseModel) and type(response) is not type(answer) else answer
        keeping = self._keeping
        refusal = await database.write(
            lambda tx: waits.answer(tx, execution_id, interaction_id, text, who, detail, keeping, own)
        )
        if refusal is not None:
            raise refusal

    async def withdraw(
        self, execution_id: str, wait_id: str, reason: str | None = None, *, actor: ActorLike = None
    ) -> None:
        """Take one open prompt or consent back. Nothing happens on one that is withdrawn already.

        Raises ``ExecutionNotFound``, ``InteractionNotFound``, and ``IllegalTransition`` on one that was closed otherwise.
        """
        if reason is not None:
            check_text("reason", reason)
        who = actor_name(actor)
        database = self._database or await self._ready()
        await database.write(lambda tx: waits.withdraw(tx, execution_id, wait_id, reason, who))

    # --- Inside ---

    def _claim(self, execution_id: str) -> Claim | None:
        """The claim by which this process drives the execution; None where it does not, or nobody here holds its record."""
        record = self._records.get(execution_id)
        return None if record is None else record.claim

    async def _need(self, execution_id: str) -> ExecutionRecord:
        record = await self._load(execution_id)
        if record is None:
            raise ExecutionNotFound(execution_id)
        return record

    async def _prompt(self, database: Database, execution_id: str, interaction_id: str) -> HumanPrompt:
        record = self._records.get(execution_id)
        prompt = record.open_prompt(interaction_id) if record is not None else None
        if prompt is not None:
            return prompt
        return stored_prompt(await queries.prompt_of(database, execution_id, interaction_id))


def _interaction_id(interaction_id: str) -> str:
    if not interaction_id:
        raise InvalidArgument("interaction_id is empty; give one, or none to have one made.")
    return check_text("interaction_id", interaction_id, limit=200)
