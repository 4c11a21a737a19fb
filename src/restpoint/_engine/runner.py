"""The runner: claims executions that are ready, runs their workflows, and releases the claims of those that it stops running.

Any number of processes may have a runner on one file. Each run is claimed by one of them, whichever has a free slot; the runs of
a process that died are ready again once another one notices.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping
from contextlib import suppress
from hashlib import sha256
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from restpoint._core import tracing
from restpoint._core.changes import Change
from restpoint._core.execution_row import ExecutionRow, check_priority
from restpoint._core.serialization import canonical, check_text, encode
from restpoint._core.threads import ThreadPool
from restpoint._engine import executor
from restpoint._engine.loader import Loader
from restpoint._engine.poller import Poller
from restpoint._engine.run import Run
from restpoint._engine.slots import Slots
from restpoint._engine.started import Started
from restpoint._engine.workflow import Function, Workflow, by_key
from restpoint._storage import Claim, progress, starts
from restpoint._store.open_file import OpenFile
from restpoint._store.records import ExecutionRecord
from restpoint._store.store import ExecutionStore
from restpoint.access import Actor, actor_name, name_of
from restpoint.errors import (
    InvalidArgument,
    StorageError,
    StorageFull,
    StoreClosed,
    WorkflowNotFound,
)

if TYPE_CHECKING:
    from restpoint.oauth.flow import Consents

log = logging.getLogger(__name__)

_TRY_AGAIN: Final = 1.0  # seconds, after the storage failed
_BLOCKED: Final = 5_000  # milliseconds within which a process that is told to end is gone


class Runner:
    """Runs the executions of some workflows in this process. Recommended as ``async with Runner(store, [...])``.

    - ``concurrency``: how many runs may work at once, from 0; one that waits for an answer or sleeps does not count. Owners
      whose runs wait for that take turns. A process with 0 only starts executions, for other processes to run.
    - ``hold_paused_for``: seconds that a waiting run stays in memory; after that it costs only its rows.
    - ``max_attempts``: how often an execution may be taken up with nothing new recorded, because its process died or gave it
      up, before it is failed with the code ``attempts_exhausted``.
    - ``replay_always``: for tests; replays a workflow after every call.
    - ``consents``: the OAuth flow for consents that workflows ask for by the name of a provider.

    Raises ``InvalidArgument``.
    """

    def __init__(
        self,
        store: ExecutionStore,
        workflows: Iterable[Workflow],
        *,
        concurrency: int = 100,
        hold_paused_for: float = 5.0,
        max_attempts: int = 5,
        replay_always: bool = False,
        consents: "Consents | None" = None,
    ) -> None:
        if type(concurrency) is not int or concurrency < 0:
            raise InvalidArgument(f"concurrency is {concurrency!r}; give a whole number from 0.")
        if type(max_attempts) is not int or max_attempts < 1:
            raise InvalidArgument(f"max_attempts is {max_attempts!r}; give a whole number from 1.")
        if not 0 <= hold_paused_for < float("inf"):
            raise InvalidArgument(f"hold_paused_for is {hold_paused_for!r}; give seconds from 0.")
        self.store = store
        self.hold_paused_for = hold_paused_for
        self.replay_always = replay_always
        self.consents = consents
        self._known = by_key(workflows)
        newest: dict[str, Workflow] = {}
        for each in self._known.values():
            if each.name not in newest or newest[each.name].version < each.version:
                newest[each.name] = each
        self.workflows: Mapping[str, Workflow] = MappingProxyType(newest)
        """By name, each in its newest version, which new executions get."""
        self.max_attempts = max_attempts
        self.concurrency = concurrency
        self.news = asyncio.Event()
        self.slots = Slots(concurrency, self.news)
        self.threads = ThreadPool(max(concurrency, 1), "restpoint-step")
        """Where sync steps work: as many at once as there are slots."""
        self._runs: dict[str, Run] = {}
        self._loader: Loader
        self._poller: Poller
        self._work: set[asyncio.Task[None]] = set()
        self._starting: set[asyncio.Future[str | None]] = set()
        self._claimed_here: set[str] = set()
        """Executions whose start is being written, with a claim of this process."""
        self._looking: list[asyncio.Task[None]] = []
        self._idling: asyncio.Task[Any] | None = None
        """Does nothing at all, so whoever cancels it cancels every task: the event loop ends."""
        self._file: OpenFile | None = None
        self.is_closing = False
        self._unsubscribe: Callable[[], None] | None = None

    # --- Opening and closing ---

    async def open(self) -> Self:
        """Begin to claim and run executions, or do so as soon as there is room where the disk is full.

        Raises ``InvalidArgument`` if the runner was opened before, and ``StorageError``.
        """
        if self._file is not None or self.is_closing:
            raise InvalidArgument("This runner was opened before; make a new one.")
        file = await self.store.file()
        self._file = file
        self._loader = Loader(self, file, self._known)
        self._poller = Poller(
            file, self._known, self.slots, self.news, self._loader.take_up, max_attempts=self.max_attempts
        )
        try:
            await (self._poller.begin() if self.concurrency else file.take_lease())
            if self.concurrency:
                await file.database.write(progress.announce, lease=file.lease, workflows=list(self._known))
        except StorageFull:
            log.warning(
                "%s has no room: what is in it can be read, and runs begin once there is room", file.database.path
            )
        if self.concurrency:
            self.later(self._name_strangers())
            self._unsubscribe = self.store.subscribe(self._heard)
            file.lease_keeper.expired.append(self._loader.stood_still)
            self._idling = asyncio.create_task(asyncio.Event().wait(), name="restpoint:idle")
            self._looking = [
                asyncio.create_task(self._poller.look_for_work(), name="restpoint:look_for_work"),
                asyncio.create_task(self._poller.look_for_dead(), name="restpoint:look_for_dead"),
            ]
        return self

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop every run and release its claim, so that another process can go on with it. Nothing is failed."""
        if self.is_closing:
            return
        self.is_closing = True
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._require().lease_keeper.expired.remove(self._loader.stood_still)
        if self._idling is not None:
            self._idling.cancel()
        for task in self._looking:
            task.cancel()
        await asyncio.gather(*self._looking, *self._starting, return_exceptions=True)
        stopping = list(self._runs.values())
        for run in list(self._runs.values()):
            run.leave("released")
        if stopping:
            await asyncio.wait([asyncio.ensure_future(run.stopped()) for run in stopping], timeout=_TRY_AGAIN)
        while self._work:
            await asyncio.gather(*self._work, return_exceptions=True)
        self.threads.close()
        await self._take_leave()

    async def _name_strangers(self) -> None:
        """Log the open executions that this process has no code for, so that nobody waits for them in vain."""
        with suppress(StorageError, StoreClosed):
            for workflow, count in await progress.without_code(self._require().database, self._known):
                log.warning(
                    "%d open execution%s of %s: this process has no code for %s; start one that has it, or cancel %s",
                    count, "s"[: count - 1], workflow, *(("them", "them") if count > 1 else ("it", "it")),
                )  # fmt: skip

    async def _take_leave(self) -> None:
        """Say that this process runs these workflows no more."""
        file = self._file
        if file is not None and self.concurrency:
            with suppress(StorageError, StoreClosed):
                await file.database.write(
                    progress.announce, lease=file.lease, workflows=list(self._known), leaving=True
                )

    @property
    def accepts(self) -> bool:
        """Whether it is open and takes new work."""
        return self._file is not None and not self.is_closing

    @property
    def running(self) -> int:
        """How many runs work now."""
        return self.concurrency - self.slots.free

    @property
    def paused_in_memory(self) -> int:
        """How many runs wait and are still in memory."""
        return sum(not run.parking.has_slot for run in self._runs.values())

    @property
    def queued(self) -> int:
        """How many runs in memory wait for a slot."""
        return self.slots.queued

    # --- Starting ---

    async def start(
        self,
        workflow: str | Workflow | Function,
        input: Any = None,  # noqa: A002 - the word for it; any JSON or model
        *,
        owner: str | None = None,
        actor: Actor | str | None = None,
        idempotency_key: str | None = None,
        priority: int = 0,
        trace: Mapping[str, str] | None = None,
    ) -> Started:
        """Start an execution of a workflow. It is in the file when this returns; await the handle's ``result()`` for the rest.

        - ``workflow``: its name, for its newest version here; or the function itself, for the version that it is.
        - ``input``: any JSON value or model that the workflow's annotation accepts.
        - ``owner``: the id of the actor whose execution it is. ``actor``: who starts it, for the history.
        - ``idempotency_key``: the same request of the same owner with the same key returns the first execution again, until a
          day (``idempotency_retention_seconds`` of the store) after it has ended; the order of an object's members does not
          matter. Raises ``ExecutionGone`` where that execution has left the file by then.
        - ``priority``: a whole number from -100 to 100 that lists show; it changes no order of work.
        - ``trace``: the caller's trace context, as W3C headers.

        The function begins before COMMIT, and its steps after it. Raises ``WorkflowNotFound``, ``InputNotAccepted``,
        ``IdempotencyConflict``, ``InvalidArgument``, ``NotJSON``, and ``StoreClosed`` if the runner is not open.
        """
        found = self._find(workflow)
        text = found.write_input(input)
        who, owner = actor_name(actor), name_of("owner", owner)
        if idempotency_key is not None:
            check_text("idempotency_key", idempotency_key, limit=1_000)
        check_priority(priority)
        if self._file is None or self.is_closing:
            raise StoreClosed("The runner is not open; open it, or start the execution in a process that has one.")
        file, execution_id = self._file, self._file.identifiers.new()
        own = await file.take_lease()
        with tracing.start_span(found.name, trace) as span:
            trace_text = encode(span.carrier) if span.carrier else None
            row = ExecutionRow(
                execution_id, "running", workflow=found.name, owner=owner, priority=priority, run_version=found.version
            )
            what = starts.Start(text, trace_text, *_digests(idempotency_key, row, text), file.keeping.key_time)
            claim = None
            if not self.slots.saturated and self.slots.try_take(owner):  # else others have their turns first
                claim = Claim(execution_id, own, 1, found.name, found.version, owner=owner)
            draft = file.records.draft(row)
            run = None
            if claim is not None:
                run = Run(claim, found, draft, file, self, input_text=text, trace=span.carrier or None)
            outcome = await self._write_start(draft, row, what, run, who)
        if isinstance(outcome, ExecutionRecord):
            return Started(outcome, created=True, _output=found.output)
        record = await self.store.get(outcome)
        if record is None:  # it was swept, and its key is kept
            raise await self.store.absent(outcome)
        return Started(record, created=False, _output=found.output)

    def _find(self, workflow: str | Workflow | Function) -> Workflow:
        """The workflow that a start names. Raises ``WorkflowNotFound``."""
        if isinstance(workflow, str):
            found = self.workflows.get(workflow)
        else:
            found = next((each for each in self._known.values() if workflow in (each, each.function)), None)
        if found is None:
            name = workflow.key if isinstance(workflow, Workflow) else getattr(workflow, "__qualname__", str(workflow))
            raise WorkflowNotFound(name, self.workflows)
        return found

    async def _write_start(
        self, draft: ExecutionRecord, row: ExecutionRow, what: starts.Start, run: Run | None, who: str | None
    ) -> ExecutionRecord | str:
        """Write a start. Returns its record, or the id of the execution that was started earlier with the same key."""
        file, execution_id = self._require(), row.id
        lease = None if run is None else run.claim.lease
        try:
            starting = file.database.write(starts.start, row, what, lease, who)
        except BaseException:
            if run is not None:
                self.slots.give()
            raise
        self._starting.add(starting)
        starting.add_done_callback(self._starting.discard)
        creation = file.records.create(draft, starting)
        if run is not None:
            # The run does not wait for COMMIT: its first call goes into the same transaction.
            run.follow_creation(creation)
            self.begin(run)
            self._claimed_here.add(execution_id)
        try:
            earlier = await starting
        finally:
            file.records.finish(execution_id)
            self._claimed_here.discard(execution_id)
        return earlier if earlier is not None else creation.record

    # --- Its runs ---

    def _heard(self, change: Change) -> None:
        """Pass on an event that this process committed. Creating an execution with a claim of its own wakes no poller."""
        run = self._runs.get(change.execution_id)
        if run is not None:
            run.hear(change)
        elif change.execution_id not in self._claimed_here and change.event.wakes_runner:
            self.news.set()

    def trust(self, execution_id: str) -> None:
        """Stop suspecting an execution that made progress or is gone, so that another suspect may run."""
        self._poller.trust(execution_id)

    @property
    def runs(self) -> Collection[Run]:
        """The runs that are in memory."""
        return self._runs.values()

    def find(self, execution_id: str) -> Run | None:
        """The run of an execution, if it is in memory."""
        return self._runs.get(execution_id)

    @property
    def is_ending(self) -> bool:
        """Whether it closes, or its event loop does, which cancels every task."""
        # Not by the poller's task: its own time limit cancels that ten times a second, and takes it back a turn later.
        loop_ends = self._idling is not None and self._idling.cancelling() > 0
        return self.is_closing or loop_ends or any(task.done() for task in self._looking)

    def forget(self, run: Run) -> None:
        """Remove a run that left memory, and release its claim if it still has it."""
        execution_id = run.claim.execution_id
        if self._runs.get(execution_id) is run:
            del self._runs[execution_id]
        self.trust(execution_id)
        if run.exit_reason in {"released", "stuck"}:
            # A thread that is still in a step cannot be stopped: nobody else should begin the step before this process is gone.
            pause = _BLOCKED if self.is_ending and run.attempts.are_blocked else 0
            got_on = run.got_on or self.is_ending or run.problem is not None
            self.later(self._loader.release(run.claim, run.problem, pause=pause, got_on=got_on))
        elif run.refusal is not None:
            self.later(self._refuse(run, run.refusal))
        elif run.exit_reason == "failing storage":
            self.later(self._loader.try_again(run.claim))

    async def _refuse(self, run: Run, refusal: BaseException) -> None:
        """Fail an execution whose workflow was refused. Where the end cannot be written, give its claim back."""
        await executor.fail(run, refusal)
        await self._loader.release(run.claim, None)

    def begin(self, run: Run) -> None:
        """Run a run that is claimed and has its journal."""
        self._runs[run.claim.execution_id] = run
        run.begin(executor.follow)

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do a piece of work beside the runs, which closing waits for."""
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._worked)

    def _worked(self, task: asyncio.Task[None]) -> None:
        self._work.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a run could not be looked after", exc_info=error)

    # --- Inside ---

    def _require(self) -> OpenFile:
        if self._file is None:
            raise StoreClosed("The runner is not open.")
        return self._file


def _digests(key: str | None, row: ExecutionRow, text: str) -> tuple[bytes | None, tuple[bytes, ...]]:
    """The hashes of an idempotency key with its owner, and of the request; None and none without a key.

    The request has two where its JSON is not in canonical form: that of the canonical form is stored from now on, and the other
    one was stored by programs before.
    """
    if key is None:
        return None, ()
    asked = [
        f"{row.workflow}\n{each}" + (f"\n{row.priority}" if row.priority else "") for each in (canonical(text), text)
    ]
    return sha256(json.dumps([row.owner, key]).encode()).digest(), tuple(
        sha256(each.encode()).digest() for each in asked
    )
