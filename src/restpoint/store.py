"""The store: executions that pause for people, in one SQLite file.

``ExecutionStore`` has the names and signatures of the in-memory store it succeeds. Each of its writes goes the same way:
check what was given, hand one function of ``ledger.py`` or ``waits.py`` to the writer, and when COMMIT has returned apply what
changed to the records that anyone holds, which resolves futures and sets events. Nobody is told anything before it is durable.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeVar

from pydantic import BaseModel

from restpoint import gauges, leases, ledger, migrate, queries, retention, waits
from restpoint.access import Actor, actor_id
from restpoint.changes import Change, Changes, Deadlines, Refusal, Terms
from restpoint.clock import Clock, SystemClock
from restpoint.database import Database, Observer
from restpoint.driver import Driver
from restpoint.engine import Synchronous, locate
from restpoint.errors import ExecutionNotFound, InvalidArgument, StoreClosed
from restpoint.follower import Follower
from restpoint.gauges import Gauges
from restpoint.identifiers import Identifiers
from restpoint.lifecycle import TERMINAL, ExecutionStatus
from restpoint.parts import Parts
from restpoint.payloads import check_text, encode
from restpoint.prompts import (
    MAX_TIMEOUT_SECONDS,
    PROMPT,
    HumanPrompt,
    HumanResponse,
    accepts,
    read_prompt,
    read_response,
    write_prompt,
    write_response,
)
from restpoint.queries import Address, HistoryEntry, Page, Snapshot
from restpoint.records import ExecutionRecord, PendingInteraction, Records
from restpoint.scheduler import Scheduler
from restpoint.terms import read_terms

log = logging.getLogger(__name__)

T = TypeVar("T")
Who = Actor | str | None
TimeToLive = float | Mapping[str, float | None] | None

DEFAULT_EXECUTION_TTL: Final = 600
"""Seconds that an ended execution stays in the file, unless told otherwise."""

DEFAULT_DATABASE: Final = "restpoint.db"
_MAX_SECONDS: Final = MAX_TIMEOUT_SECONDS
_TASK_FAILED: Final = "The task of this execution ended with an error, which is in the log."


class ExecutionStore:
    """Executions of interactive workflows, in a SQLite file, where they survive restarts.

    Recommended as ``async with ExecutionStore(database="app.db") as store``; without that it opens at its first use.

    Arguments, all optional:

    - ``ttl_seconds``: how long an ended execution stays. A number, None (for ever), or a mapping from final status to
      either, such as ``{"completed": 600, "failed": None}``.
    - ``database``: a path or a URL ``sqlite+aiosqlite:///PATH``. Default: ``RESTPOINT_DATABASE``, else ``restpoint.db``.
    - ``history``: ``"full"`` keeps prompts and responses in the history, ``"digest"`` only their SHA-256.
    - ``history_retention_seconds``: how long history stays; None keeps it.
    - ``sweep_interval_seconds``: how often the sweep runs while the store is open.
    - ``synchronous``: ``"FULL"`` survives loss of power; ``"NORMAL"`` may then lose the last transitions.
    - ``migrate``: ``"refuse"`` a file of an older release, or upgrade it (``"auto"``), after a backup beside it.
    - ``clock``: the source of time.

    Every method may raise ``StorageError`` and its kinds. A caller that is cancelled still waits until the outcome is known.
    """

    def __init__(
        self,
        ttl_seconds: TimeToLive = DEFAULT_EXECUTION_TTL,
        *,
        database: str | os.PathLike[str] | None = None,
        history: Literal["full", "digest"] = "full",
        history_retention_seconds: float | None = None,
        sweep_interval_seconds: float = 60.0,
        synchronous: Synchronous = "FULL",
        migrate: Literal["refuse", "auto"] = "refuse",
        clock: Clock | None = None,
    ) -> None:
        self._path = locate(
            database if database is not None else os.environ.get("RESTPOINT_DATABASE", DEFAULT_DATABASE)
        )
        self._ttl = times_to_live(ttl_seconds)
        if history not in {"full", "digest"}:
            raise InvalidArgument(f"history is 'full' or 'digest', not {history!r}.")
        self._full_history = history == "full"
        self._retention = (
            None
            if history_retention_seconds is None
            else _milliseconds("history_retention_seconds", history_retention_seconds)
        )
        self._sweep_interval = max(_milliseconds("sweep_interval_seconds", sweep_interval_seconds), 1)
        self._synchronous: Synchronous = synchronous
        self._migrate = migrate
        self._clock: Clock = clock or SystemClock()
        self._identifiers = Identifiers(self._clock.now)
        self._deadlines = Deadlines(lambda text: self._detail("response", text), self._ttl["failed"])
        self._records = Records(self._watch)
        self._opening = asyncio.Lock()
        self._database: Database | None = None
        self._observer: Observer | None = None
        self._follower: Follower
        self._scheduler: Scheduler
        self._background: list[asyncio.Task[None]] = []
        self._driver: Driver
        self._closed = False
        self._closing: asyncio.Future[None] | None = None

    # --- Opening and closing ---

    async def open(self) -> Self:
        """Open the file, creating it if there is none. Called by the first use of the store.

        Raises ``UnusableFile``, ``DamagedFile``, ``SchemaTooOld`` (upgrade it) and ``SchemaTooNew``.
        """
        await self._ready()
        return self

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def _ready(self) -> Database:
        async with self._opening:
            if self._closed:
                raise StoreClosed("The store is closed; make a new ExecutionStore to go on.")
            if self._database is not None:
                return self._database
            await asyncio.to_thread(migrate.prepare, self._path, self._migrate)
            database = await Database.open(self._path, self._clock, self._synchronous)
            database.observe(self._observer)
            try:
                position = await queries.last_sequence(database)
            except BaseException:
                await database.close()
                raise
            self._follower = Follower(
                database,
                position,
                lambda execution_id: self._records.get(execution_id) is not None,
                self._records.ended,
                self._records.all,
                self._load,
            )
            self._scheduler = Scheduler(
                database,
                self._clock,
                self._apply,
                sweep_interval=self._sweep_interval,
                history_retention=self._retention,
                deadlines=self._deadlines,
                swept=self._records.swept,
            )
            self._driver = Driver(
                database,
                self._clock,
                self._follower,
                cancel=lambda execution_id: self.cancel(execution_id, "its task was cancelled"),
                fail=lambda execution_id: self.set_failed(execution_id, _TASK_FAILED, code="task_failed"),
            )
            self._background = [
                asyncio.create_task(run(), name=f"restpoint:{run.__name__}")
                for run in (
                    self._follower.run,
                    self._scheduler.run_deadlines,
                    self._scheduler.run_sweeps,
                    self._driver.renew,
                )
            ]
            self._database = database
        return self._database

    async def close(self) -> None:
        """Finish what was accepted and close the file. Prompts stay open in it; who awaits one here gets ``StoreClosed``."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)  # a caller that is cancelled leaves the closing under way, not half done

    async def _close(self) -> None:
        async with self._opening:
            self._closed = True
            database = self._database
            if database is None:
                return
            for task in self._background:
                task.cancel()
            await asyncio.gather(*self._background, return_exceptions=True)
            try:
                await self._driver.close()
                self._database = None
                await database.close()
            finally:
                self._records.close()

    # --- Executions ---

    async def create_execution(
        self, *, workflow: str | None = None, owner: str | None = None, actor: Who = None
    ) -> ExecutionRecord:
        """A new execution, running. ``workflow`` and ``owner`` are names to list it by."""
        for name, text in (("workflow", workflow), ("owner", owner)):
            if text is not None:
                check_text(name, text)
        who = _who(actor)
        database = self._database or await self._ready()
        lease = self._driver.lease or await self._driver.take_lease()
        execution_id = self._identifiers.new()
        made: list[ExecutionRecord] = []

        def applied(change: Change) -> None:
            made.append(self._records.new(change, workflow, owner, lease))

        await database.write(lambda tx: ledger.create(tx, execution_id, workflow, owner, lease, who), applied)
        return made[0]

    async def get(self, execution_id: str) -> ExecutionRecord | None:
        """The execution as the file has it now; None if there is none. The same object while anyone holds it."""
        record = self._records.get(execution_id)
        # Only of what a runner runs: who drives anything else may change without a row of history.
        if record is not None and record.is_run and self._database is not None:
            heard = await self._follower.has_heard_all()
            if heard and self._records.get(execution_id) is record:  # it may have been removed meanwhile
                return record
        return await self._load(execution_id)

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
        return await queries.page(
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
        entries = await queries.history_of(await self._ready(), execution_id)
        if not entries:
            raise ExecutionNotFound(execution_id)
        return entries

    async def events(self, execution_id: str, after: int = 0, limit: int = 500) -> Sequence[HistoryEntry]:
        """What happened to an execution after the row of history ``after``, in order, at most ``limit`` entries.

        ``detail`` of ``emitted`` has the ``data``, of ``notified`` the ``prompt``, for as long as the execution is in the file.
        """
        return await queries.events_of(await self._ready(), execution_id, after, limit)

    async def address(self, execution_id: str, interaction_id: str) -> Address:
        """Whom an interaction is addressed to. Raises ``ExecutionNotFound`` and ``InteractionNotFound``."""
        record = self._records.get(execution_id)
        known = None if record is None else record._address(interaction_id)  # noqa: SLF001 - the store makes records
        return known or await queries.address(await self._ready(), execution_id, interaction_id)

    async def parts(self) -> Parts:
        """What this store is made of, for a runner on the same file, records and clock."""
        database = self._database or await self._ready()
        lease = self._driver.lease or await self._driver.take_lease()
        return Parts(
            database,
            self._clock,
            self._identifiers,
            self._records,
            self._follower,
            self._scheduler,
            lease,
            self._ttl,
            self._asked_detail,
            self._apply,
            self._read,
        )

    def subscribe(self, listener: Callable[[Change], None]) -> Callable[[], None]:
        """Have ``listener`` called with every change that this process commits, right after COMMIT; returns what ends it."""
        self._records.listeners.append(listener)
        return lambda: self._records.listeners.remove(listener)

    def observe(self, observer: Observer | None) -> None:
        """Have each batch of writes told, from the thread that writes: its jobs, its seconds, how many the storage failed.

        One observer, or None for none. For metrics; it must not call the store.
        """
        self._observer = observer
        if self._database is not None:
            self._database.observe(observer)

    async def check(self) -> None:
        """Whether the file can be read and is of this program's revision: raises what a read or a write would raise now."""
        database = self._database or await self._ready()
        await database.pass_gate()
        await queries.last_sequence(database)

    async def gauges(self) -> Gauges:
        """How much waits and runs in the file, counted now, and what this process has swept. Costs what is open, no more."""
        counted = await gauges.count(await self._ready(), self._clock.now())
        return replace(counted, swept=self._scheduler.swept, swept_at=self._scheduler.swept_at)

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
        actor: Who = None,
    ) -> PendingInteraction:
        """Ask a person: one more open prompt, whose ``future`` resolves with the response.

        - ``timeout`` is in seconds from now and overrides the prompt's own.
        - ``assignees`` are the people and groups that it is addressed to; with ``four_eyes``, the execution's owner is not
          to answer it. Both are for the policy of ``access.py``, which the doors ask; the store keeps them.
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
        due = None if seconds is None else _milliseconds("timeout", seconds)
        who = _who(actor)
        detail = self._asked_detail(text, terms)
        database = self._database or await self._ready()
        lease = self._driver.lease or await self._driver.take_lease()
        # Held from here on, so that what is committed finds the record.
        record = self._records.get(execution_id) or await self._need(execution_id)
        asking: list[PendingInteraction] = []

        def applied(change: Change) -> None:
            self._records.apply(change)
            record._lease = lease  # noqa: SLF001 - the store makes records
            if change.wait is not None:
                # The caller's own object, also where it is another library's, so that it comes back as it was given.
                given = prompt if isinstance(prompt, BaseModel) else asked
                asking.append(record._pending_interaction(change.wait, given))  # noqa: SLF001 - the store makes records
            self._scheduler.due(change)

        chosen = interaction_id is not None
        await database.write(
            lambda tx: waits.ask(tx, execution_id, wait_id, text, due, lease, who, detail, chosen=chosen, terms=terms),
            applied,
        )
        return asking[0]

    async def set_oauth_required(
        self, execution_id: str, auth_url: str, oauth_state: str, *, timeout: float | None = None, actor: Who = None
    ) -> None:
        """Wait for a consent that the caller drives: stores and shows what it was given.

        ``timeout`` is in seconds from now. Raises ``NotJSON``, ``ExecutionNotFound`` and ``IllegalTransition``.
        """
        check_text("auth_url", auth_url)
        check_text("oauth_state", oauth_state)
        due = None if timeout is None else _milliseconds("timeout", timeout)
        who, wait_id = _who(actor), self._identifiers.new()
        database = self._database or await self._ready()
        lease = self._driver.lease or await self._driver.take_lease()

        def applied(change: Change) -> None:
            self._records.apply(change)
            self._scheduler.due(change)

        await database.write(
            lambda tx: waits.authorize(tx, execution_id, wait_id, auth_url, oauth_state, due, lease, who), applied
        )

    async def set_running(self, execution_id: str, *, actor: Who = None) -> None:
        """Back to running. On one that waits, what is still open is withdrawn; on one that runs, nothing happens.

        Raises ``ExecutionNotFound``, and ``IllegalTransition`` on one that has ended.
        """
        who = _who(actor)
        database = self._database or await self._ready()
        lease = self._driver.lease or await self._driver.take_lease()
        await database.write(lambda tx: ledger.resume(tx, execution_id, lease, who), self._apply)

    async def set_completed(self, execution_id: str, result: Any, *, actor: Who = None) -> None:  # noqa: ANN401 - any JSON
        """The end, with a result that is JSON.

        Raises ``NotJSON`` with the path of what is not, before anything changes; ``ExecutionNotFound``; and
        ``IllegalTransition`` on one that waits or has ended.
        """
        text, who, ttl = encode(result), _who(actor), self._ttl["completed"]
        database = self._database or await self._ready()
        await database.write(lambda tx: ledger.complete(tx, execution_id, text, ttl, who), self._apply)

    async def set_failed(self, execution_id: str, error: str, *, code: str | None = None, actor: Who = None) -> None:
        """The end, with an error: a message for people, and optionally a stable code for programs.

        Raises ``NotJSON``, ``ExecutionNotFound``, and ``IllegalTransition`` on one that has ended.
        """
        check_text("error", error)
        if code is not None:
            check_text("code", code)
        who, ttl = _who(actor), self._ttl["failed"]
        database = self._database or await self._ready()
        await database.write(lambda tx: ledger.fail(tx, execution_id, error, code, ttl, who), self._apply)

    async def cancel(self, execution_id: str, reason: str | None = None, *, actor: Who = None) -> None:
        """The end, because someone said so: withdraws what is open and cancels ``record.task``, wherever it runs.

        Nothing happens on one that is cancelled already. Raises ``IllegalTransition`` on one that ended otherwise.
        """
        if reason is not None:
            check_text("reason", reason)
        who, ttl = _who(actor), self._ttl["cancelled"]
        database = self._database or await self._ready()
        await database.write(lambda tx: ledger.cancel(tx, execution_id, reason, ttl, who), self._apply)

    # --- Waits ---

    async def resolve_interaction(
        self,
        execution_id: str,
        interaction_id: str,
        response: HumanResponse | BaseModel | Mapping[str, Any],
        *,
        actor: Who = None,
    ) -> None:
        """Answer a prompt. The same response again is a success, for as long as the execution is in the file.

        Raises ``ResponseNotAccepted`` (with the reason), ``ExecutionNotFound``, ``InteractionNotFound``,
        ``InteractionAlreadyResolved`` (another response was accepted), ``InteractionExpired``, ``InteractionWithdrawn``.
        """
        given = read_response(response)
        who = _who(actor)
        database = self._database or await self._ready()
        answer = accepts(await self._prompt(database, execution_id, interaction_id), given)
        text = write_response(answer)
        detail = self._detail("response", text)
        waiter = (execution_id, interaction_id, text)
        # Whoever awaits it here gets the response in the caller's own class, also where that is another library's.
        foreign = isinstance(response, BaseModel) and type(response) is not type(answer)
        self._records.given.setdefault(waiter, response if foreign else answer)  # type: ignore[arg-type]

        def applied(outcome: Changes | Refusal) -> None:
            self._apply(outcome.changes if isinstance(outcome, Refusal) else outcome)

        try:
            outcome = await database.write(
                lambda tx: waits.answer(tx, execution_id, interaction_id, text, who, detail, self._deadlines), applied
            )
        finally:
            self._records.given.pop(waiter, None)
        if isinstance(outcome, Refusal):
            raise outcome.error

    async def withdraw(self, execution_id: str, wait_id: str, reason: str | None = None, *, actor: Who = None) -> None:
        """Take one open prompt or consent back. Nothing happens on one that is withdrawn already.

        Raises ``ExecutionNotFound``, ``InteractionNotFound``, and ``IllegalTransition`` on one that was closed otherwise.
        """
        if reason is not None:
            check_text("reason", reason)
        who = _who(actor)
        database = self._database or await self._ready()
        await database.write(lambda tx: waits.withdraw(tx, execution_id, wait_id, reason, who), self._apply)

    # --- Recovery and retention ---

    async def recover(self, *, fail: bool = True) -> Sequence[ExecutionRecord]:
        """The executions that a dead process left running. Those that wait for an answer are kept as they are.

        By default each is failed with the code ``interrupted_by_restart``; with ``fail=False`` they are only listed, for
        a caller who can go on with them.
        """
        database = self._database or await self._ready()
        # In this order: a lease is taken before what names it, so none that is listed can be missing among the living.
        left_running = await queries.running(database)
        alive = await database.write(leases.live)
        found = []
        ttl, error = self._ttl["failed"], "The process that ran this execution ended before it did."
        for execution_id, lease in left_running:
            if lease in alive:
                continue
            if fail:
                interrupt = partial(
                    ledger.interrupt, execution_id=execution_id, lease=lease, error=error, time_to_live=ttl
                )
                if not await database.write(interrupt, self._apply):
                    continue
            record = await self._load(execution_id)
            if record is not None:
                found.append(record)
        await database.write(leases.bury)
        return found

    async def hold(self, execution_id: str, reason: str, *, actor: Who = None) -> None:
        """Keep an execution in the file whatever its time to live, until it is released. Raises ``ExecutionNotFound``."""
        check_text("reason", reason)
        who = _who(actor)
        database = self._database or await self._ready()
        await database.write(lambda tx: retention.hold(tx, execution_id, reason, who))

    async def release(self, execution_id: str, *, actor: Who = None) -> None:
        """End a hold. Nothing happens where there is none. Raises ``ExecutionNotFound``."""
        who = _who(actor)
        database = self._database or await self._ready()
        await database.write(lambda tx: retention.release(tx, execution_id, who))

    async def remove(self, execution_id: str, *, actor: Who = None) -> None:
        """Delete an execution, cancelling it first where it has not ended. Nothing happens where there is none.

        Its history stays. Raises ``ExecutionHeld``.
        """
        who = _who(actor)
        database = self._database or await self._ready()
        await database.write(lambda tx: retention.remove(tx, execution_id, who), self._apply)
        self._records.drop(execution_id)

    async def cleanup_expired(self) -> int:
        """Sweep now: delete what ended longer ago than its time to live. Returns how many executions went."""
        await self._ready()
        return await self._scheduler.sweep()

    async def expired(self) -> AsyncIterator[tuple[str, str, float]]:
        """What a sweep would delete now, the longest expired first: id, status, and since when (seconds since the epoch)."""
        async for row in queries.expired(await self._ready(), self._clock.now()):
            yield row

    # --- Inside ---

    def _watch(self, record: ExecutionRecord, waiter: object) -> None:
        self._driver.watch(record, waiter)

    def _detail(self, name: str, text: str) -> str:
        if self._full_history:
            return f'{{"{name}":{text}}}'
        return f'{{"{name}_sha256":"{sha256(text.encode()).hexdigest()}"}}'

    def _asked_detail(self, prompt: str, terms: Terms) -> str:
        detail = self._detail("prompt", prompt)
        if terms.assignees is None and not terms.four_eyes:
            return detail
        about = f',"assignees":{terms.assignees or "null"},"four_eyes":{"true" if terms.four_eyes else "false"}'
        return f"{detail[:-1]}{about}}}"

    def _apply(self, changes: Changes) -> None:
        for change in changes:
            self._records.apply(change)

    async def _load(self, execution_id: str) -> ExecutionRecord | None:
        found = await self._read(execution_id)
        return None if found is None else found[0]

    async def _read(
        self, execution_id: str, known_waits: Collection[str] = ()
    ) -> tuple[ExecutionRecord, Snapshot] | None:
        """The record as the file has it now, and the snapshot it was read from, which also has the known waits."""
        database = self._database or await self._ready()
        while True:
            self._records.begin_loading(execution_id)
            found = None
            try:
                waits = {*known_waits, *self._records.open_waits(execution_id)}
                found = await queries.snapshot(database, execution_id, waits)
            finally:
                current = self._records.end_loading(execution_id, found.as_of if found is not None else None)
            # What this process has told its records since then is newer: look again.
            if found is not None and current and self._records.is_current(found):
                return self._records.refresh(found), found
            if found is None:
                if self._records.get(execution_id) is not None:
                    self._records.close_by_history(execution_id, await queries.history_of(database, execution_id))
                    self._records.drop(execution_id)
                return None

    async def _need(self, execution_id: str) -> ExecutionRecord:
        record = await self._load(execution_id)
        if record is None:
            raise ExecutionNotFound(execution_id)
        return record

    async def _prompt(self, database: Database, execution_id: str, interaction_id: str) -> HumanPrompt:
        record = self._records.get(execution_id)
        prompt = record._open_prompt(interaction_id) if record is not None else None  # noqa: SLF001 - the store makes records
        if prompt is not None:
            return prompt
        return PROMPT.validate_json(await queries.prompt_of(database, execution_id, interaction_id))


def _who(actor: Who) -> str | None:
    return None if actor is None else check_text("actor", actor_id(actor), limit=1_000)


def _interaction_id(interaction_id: str) -> str:
    if not interaction_id:
        raise InvalidArgument("interaction_id is empty; give one, or none to have one made.")
    return check_text("interaction_id", interaction_id, limit=200)


def _milliseconds(name: str, seconds: float) -> int:
    if type(seconds) not in {int, float} or not 0 <= seconds <= _MAX_SECONDS:
        raise InvalidArgument(f"{name} is {seconds!r}; give seconds from 0 to {_MAX_SECONDS}.")
    return round(seconds * 1000)


def times_to_live(ttl: TimeToLive) -> dict[str, int | None]:
    """What ``ttl_seconds`` means: for each final status how long an execution stays, in milliseconds; None: for ever."""
    by_status: dict[str, float | None] = {}
    if isinstance(ttl, Mapping):
        unknown = set(ttl) - set(TERMINAL)
        if unknown:
            raise InvalidArgument(f"ttl_seconds names {sorted(unknown)}; the final statuses are {', '.join(TERMINAL)}.")
        by_status.update(ttl)
    else:
        by_status.update((str(status), ttl) for status in TERMINAL)
    return {
        str(status): None if seconds is None else _milliseconds("ttl_seconds", seconds)
        for status in TERMINAL
        for seconds in [by_status.get(status, DEFAULT_EXECUTION_TTL)]
    }
