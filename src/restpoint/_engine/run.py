"""One run in memory: a workflow's function under way, from its claim until it ends, is parked, or is lost.

Everything that the context of a workflow does comes through here: it is looked up in the journal, done, written with the
claim's fence, and only then given to the workflow. While it waits it gives its slot back, and after a while its memory
(``parking.py``).

Once a run is *gone* nothing is written for it any more: its tasks are cancelled, and whatever they still ask of the context
is answered with the same cancellation.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from contextvars import Context, ContextVar
from typing import TYPE_CHECKING, Any, Concatenate, Final, Literal, NoReturn, ParamSpec, Protocol, TypeVar

from restpoint._core.changes import Change, Wait
from restpoint._engine.parking import LEAVING, Occupancy, SlotOwner, this_task
from restpoint._engine.replay import Branch, Journal, describe
from restpoint._engine.steps import step_here
from restpoint._engine.workflow import Workflow
from restpoint._storage import Call, Claim, Entry, Transaction, claims
from restpoint._storage import journal as runs
from restpoint._store.identity_map import Creation
from restpoint._store.open_file import OpenFile
from restpoint._store.records import ExecutionRecord
from restpoint.errors import (
    InvalidArgument,
    LeaseLost,
    ReplayMismatch,
    RestpointError,
    StorageError,
    StoreClosed,
)
from restpoint.lifecycle import TERMINAL

if TYPE_CHECKING:
    from restpoint._core.oauth_token import OAuthToken
    from restpoint.oauth.flow import Consents

log = logging.getLogger(__name__)

T = TypeVar("T")
P = ParamSpec("P")
Gone = Literal["parked", "ended", "lost", "stuck", "failing storage", "released"]

_RETRY_SECONDS: Final = 1.0
_GRACE_SECONDS: Final = 5.0  # for a workflow to end, once it is told to

branch_here: ContextVar[Branch | None] = ContextVar("restpoint_branch", default=None)


class Host(SlotOwner, Protocol):
    """What a run needs of its runner."""

    replay_always: bool
    consents: "Consents | None"

    @property
    def is_ending(self) -> bool:
        """Whether tasks are cancelled because the process ends, and not by their workflow."""

    def trust(self, execution_id: str) -> None:
        """It got on: it is no suspect any more."""

    def forget(self, run: "Run") -> None:
        """It is not in memory any more."""


class Run:
    """A claimed execution whose function is under way."""

    def __init__(
        self,
        claim: Claim,
        workflow: Workflow,
        record: ExecutionRecord,
        file: OpenFile,
        host: Host,
        *,
        input_text: str,
        trace: dict[str, str] | None = None,
        waits: dict[str, Wait] | None = None,
    ) -> None:
        self.claim = claim
        self.workflow = workflow
        self.record = record
        self.file = file
        self.gone: Gone | None = None
        self.problem: str | None = None
        self._host = host
        self.occupancy = Occupancy(self, claim, host)
        self.busy = self.occupancy.busy
        """One branch does something: a context manager."""
        self.input_text = input_text
        self.trace = trace
        self.use(Journal([], {}))
        self.waits = waits or {}
        self.outcomes: dict[str, OAuthToken | RestpointError] = {}
        """What consents that restpoint drives came to, as far as it is known."""
        # Held from the moment the snapshot was taken, so that no answer passes by.
        self.pending = {pending.interaction_id: pending for pending in record.pending_interactions}
        self.has_branched = False
        self._grace: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_down = False
        self._creation: Creation | None = None

    # --- From beginning to end ---

    def begin(self, course: Callable[["Run"], Coroutine[Any, Any, None]]) -> None:
        """Start the function; ``course`` takes it from there to its end, and tears this down."""
        # In a context of its own: nothing of whoever starts it, a step for one, is there when it is taken up again.
        self._task = asyncio.create_task(course(self), name=f"restpoint:{self.claim.execution_id}", context=Context())
        self.occupancy.main = self._task
        self._task.add_done_callback(self._did_not_begin)
        self.journal.watch(self._does_not_come_to)
        self.adopt(self.record)
        self.file.listener.watch(self._task)

    def adopt(self, record: ExecutionRecord) -> None:
        """The record of its execution, which then tells it of a cancellation or an end."""
        self.record = record
        if self._is_down:
            return
        record.runs_in(self._task, self._ended_elsewhere)
        if record.status in TERMINAL:
            self._ended_elsewhere()

    def let_record_go(self) -> None:
        """It ends here: what becomes of its execution now is no news to it."""
        self.record.runs_no_more(self._task, self._ended_elsewhere)

    def begins_before(self, creation: Creation) -> None:
        """It is begun while its start is being written: whatever it writes is written after that, or not at all."""
        self._creation = creation
        creation.written.add_done_callback(self._has_started)

    def _has_started(self, starting: "asyncio.Future[str | None]") -> None:
        """What comes of the start may be the id of the execution that was started with the same key before."""
        creation, self._creation = self._creation, None
        if starting.exception() is not None or starting.result() is not None:  # there is no such execution
            self.leave("lost")
        elif creation is not None and creation.record is not self.record:  # someone else found it in the file first
            self.adopt(creation.record)

    async def started(self) -> None:
        """Return when its start is in the file: nothing that it does to the world comes before that."""
        if self._creation is not None:
            await asyncio.wait([self._creation.written])
        self.check()

    def hear(self, event: Change) -> None:
        """The sink tells of its execution, once the record of that was told. Called for every event of it."""
        if event.status in TERMINAL:
            self.depart("ended")
        elif event.wait is not None and event.wait.kind == "interaction" and event.wait.status == "pending":
            # Hold the prompt, so that its answer comes here.
            record = self.file.records.get(self.claim.execution_id)
            pending = None if record is None else record.open_interaction(event.wait.id)
            if pending is not None:
                self.pending[pending.interaction_id] = pending

    def _did_not_begin(self, _: "asyncio.Task[None]") -> None:
        """A task that is cancelled before its first turn runs nothing of its function, not even what cleans up after it."""
        if not self._is_down:
            self.depart("released")
            self.tear_down()

    def depart(self, why: Gone) -> None:
        """Nothing more is written from here on. The first reason counts."""
        if self.gone is None:
            self.gone = why

    def leave(self, why: Gone) -> None:
        """Stop here, at once: nothing more is written, and the tasks are cancelled."""
        self.depart(why)
        if self._task is not None and self._task is not this_task():  # who calls from inside it asks next, and hears it
            self._task.cancel(LEAVING)
        if self._grace is None and not self._is_down:
            self._grace = asyncio.get_running_loop().call_later(_GRACE_SECONDS, self._grace_over)

    def _grace_over(self) -> None:
        """It swallows its cancellation, or takes long to clean up: it holds up nobody else any more."""
        log.warning(
            "workflow %s goes on though its run was told to leave (%s); nothing that it does is recorded any more",
            self.workflow.name, self.gone, extra={"execution_id": self.claim.execution_id},
        )  # fmt: skip
        if self._task is not None:
            self._task.cancel(LEAVING)
        self.tear_down()

    def _ended_elsewhere(self) -> None:
        self.leave("ended")

    def tear_down(self) -> None:
        """Leave memory: give back what it holds."""
        if self._is_down:
            return
        self._is_down = True
        if self._grace is not None:
            self._grace.cancel()
        self.journal.order.close()
        self.let_record_go()
        self.occupancy.close()
        self.pending.clear()
        self._host.forget(self)

    def use(self, journal: Journal) -> None:
        """What it has recorded, before it begins."""
        self.journal = journal
        journal.order.is_alone = self.occupancy.is_alone

    async def stopped(self) -> None:
        """Return when none of its tasks does anything any more."""
        tasks = {task for task in (self._task, *self.occupancy.inside) if task is not None}
        if tasks:
            await asyncio.wait(tasks)

    # --- Calls ---

    def call(self, kind: str, name: str, fingerprint: str) -> tuple[Call, Entry | None]:
        """The call that is made now, at its position, and what the journal has there."""
        self.check()
        self.occupancy.activity += 1
        if step_here.get() is not None:
            raise InvalidArgument(f"ctx.{kind} was called inside a step; a step returns to its workflow first.")
        call = Call(self._branch().next(), kind, name, fingerprint, self.journal.order.given)
        entry = self.journal.visit(call)
        if entry is not None and entry.call != call:
            self.mismatch(call.position, describe(entry.call), describe(call))
        return call, entry

    def _branch(self) -> Branch:
        task, branch = this_task(), branch_here.get()
        if task is None or branch is None:
            raise InvalidArgument("The context works in the tasks of its workflow only, not in threads and callbacks.")
        if not branch.is_of(task):
            branch = branch.child(task)
            branch_here.set(branch)
            self.has_branched = True
            self.occupancy.enter()
        return branch

    def mismatch(self, position: str, recorded: str, asked: str) -> NoReturn:
        """The journal has something else than the code: stop, and leave it for the code that it was begun with."""
        self.stuck(ReplayMismatch(self.claim.execution_id, position, recorded, asked))
        raise asyncio.CancelledError("restpoint: replay mismatch")

    def _does_not_come_to(self, position: str, recorded: str) -> None:
        self.stuck(ReplayMismatch(self.claim.execution_id, position, recorded, "nothing, and waits"))

    def stuck(self, error: RestpointError) -> None:
        """No code here can go on with it: leave it as it is, for a process that can."""
        if self.gone is None:
            log.error("%s", error)
            self.problem = str(error)
            self.leave("stuck")

    @property
    def consents(self) -> "Consents | None":
        """Who drives consents here; None where nobody does."""
        return self._host.consents

    @property
    def has_slot(self) -> bool:
        """Whether it is among those that may work."""
        return self.occupancy.has_slot

    def check(self) -> None:
        """Raise ``asyncio.CancelledError`` when it is over, here."""
        if self.gone is not None:
            raise asyncio.CancelledError(f"restpoint: this run is {self.gone}")

    async def replayed(self, entry: Entry) -> Entry:
        """An entry whose outcome is recorded, when it is its turn."""
        if entry.is_abandoned:
            await self._never(entry)
        if entry.ordinal is not None:
            with self.busy():
                await self.journal.order.give(self.journal.order.recorded(entry.ordinal))
            self.check()
        return entry

    async def first_time(self) -> None:
        """What is new comes after everything that was recorded."""
        with self.busy():
            await self.journal.order.caught_up()
        self.check()

    async def write(
        self, job: Callable[Concatenate[Transaction, Claim, P], None], *arguments: P.args, **named: P.kwargs
    ) -> None:
        """Hand a job with its arguments to the writer, fenced with the claim, and return after COMMIT."""
        self.check()
        await self._queue(job, *arguments, **named)
        self.check()

    def _queue(
        self, job: Callable[Concatenate[Transaction, Claim, P], None], *arguments: P.args, **named: P.kwargs
    ) -> "asyncio.Future[None]":
        """Hand a job to the writer, which takes jobs in their order; done after COMMIT.

        Who stops waiting for it stops at once, for that is what a replay of it will look like, and the job is done all the same.
        """
        order, told = self.journal.order, asyncio.get_running_loop().create_future()
        claim, untold = self.claim, dict(order.untold)

        def fenced(tx: Transaction) -> None:
            job(tx, claim, *arguments, **named)
            if untold:
                runs.number(tx, claim, untold)

        def over(written: "asyncio.Future[None]") -> None:
            error = written.exception()
            if error is None:
                order.told(untold)
                if claim.suspect:
                    self._host.trust(claim.execution_id)
            elif not self._is_left_for(error) and not told.done():
                told.set_exception(error)
                told.exception()  # seen: who awaited it may have been cancelled
            if not told.done():
                told.set_result(None)

        self.file.database.write(fenced).add_done_callback(over)
        return told

    async def end(
        self, job: Callable[Concatenate[Transaction, Claim, P], None], *arguments: P.args, **named: P.kwargs
    ) -> None:
        """Write the end of the execution, as often as it takes while the storage fails."""
        self.let_record_go()
        while True:
            try:
                await self.file.database.write(lambda tx: job(tx, self.claim, *arguments, **named))
            except (LeaseLost, StoreClosed):
                self.depart("lost")
            except StorageError:
                log.exception("the end of execution %s could not be written; trying again", self.claim.execution_id)
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            self.depart("ended")
            return

    def _is_left_for(self, error: BaseException) -> bool:
        """Whether the run leaves memory because something of it could not be written."""
        if self.gone is not None:
            return True
        if isinstance(error, LeaseLost):
            self.leave("lost")
        elif isinstance(error, StorageError | StoreClosed):
            log.warning("execution %s stops here, and is tried again: %s", self.claim.execution_id, error)
            self.leave("failing storage")
        return self.gone is not None

    async def outcome(
        self,
        job: Callable[Concatenate[Transaction, Claim, Call, int, P], None],
        call: Call,
        *arguments: P.args,
        **named: P.kwargs,
    ) -> None:
        """Write an outcome of the run's own with the next number of the order, and return when it is its turn."""
        outcome, number = self.journal.order.reserve()
        try:
            await self.write(job, call, number, *arguments, **named)
            self.recorded()
            await self.journal.order.give(outcome)
        except asyncio.CancelledError:
            self.journal.order.drop(outcome)
            self.abandon(call)
            raise
        except BaseException:
            self.journal.order.drop(outcome)
            raise
        self.check()

    async def record_outcome(self, call: Call, result: str | None, error: str | None = None) -> None:
        """Into the journal, for replays."""
        await self.outcome(runs.record, call, result, error)

    def recorded(self) -> None:
        """For tests: with ``replay_always`` the function begins anew after everything that is recorded."""
        if self._host.replay_always:
            self.leave("released")
            self.check()

    # --- What is given up ---

    async def _never(self, entry: Entry) -> NoReturn:
        """What was abandoned the last time: never comes, until it is abandoned again."""
        # Busy: it will not be long, and nothing else would bring the run back.
        with self.busy(), self.journal.until_abandoned(entry.call):
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                if self.gone is None:
                    await self.journal.order.reached(entry.ordinal or 0)  # a step may have cleaned up meanwhile
                raise
        raise AssertionError("a future that nobody resolves")

    def abandon(self, call: Call, wait_id: str | None = None) -> None:
        """The workflow's own code stopped awaiting a call that is in the journal: no replay gives it an outcome either."""
        if self._is_cancelled_by_workflow():
            seen = self.journal.order.given
            self._queue(runs.abandon, call, wait_id, seen)
            self.recorded()

    def abandon_step(self, call: Call) -> None:
        """The workflow's own code cancelled a step under way: no replay does it again."""
        task = this_task()
        if self._is_cancelled_by_workflow() and task is not None and task.cancelling():
            seen = self.journal.order.given
            self._queue(runs.record, call, seen, None, runs.ABANDONED)
            self.recorded()

    def _is_cancelled_by_workflow(self) -> bool:
        if self.gone is None and self._host.is_ending:
            self.leave("released")
        return self.gone is None

    async def park(self, waiting: Sequence[str | int | None]) -> None:
        """Leave memory, if all that its branches await is still to come."""
        waits = [each for each in waiting if isinstance(each, str)]
        wake_at = min((each for each in waiting if isinstance(each, int)), default=None)
        try:
            if await self.file.database.write(lambda tx: claims.park(tx, self.claim, waits, wake_at)):
                self.leave("parked")
        except LeaseLost:
            self.leave("lost")
        except (StorageError, StoreClosed) as error:
            log.warning("execution %s stays in memory: %s", self.claim.execution_id, error)
            await asyncio.sleep(_RETRY_SECONDS)
