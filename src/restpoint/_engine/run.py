"""One run in memory: a workflow's function under way, from its claim until it ends, is parked, or is lost.

Everything that the context of a workflow does goes through here: the run looks it up in the journal, does it, writes it with
the claim's fence, and gives the outcome to the workflow. Once a run has an *exit reason* nothing is written for it any more: its
tasks are cancelled, and whatever they still ask of the context is answered with the same cancellation.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from contextvars import Context
from typing import TYPE_CHECKING, Any, Concatenate, Final, Literal, NoReturn, ParamSpec

from restpoint._core.changes import Change, Wait
from restpoint._engine import rewording
from restpoint._engine.attempts import Attempts
from restpoint._engine.calls import Answered, Branch, LateCalls, current_branch, current_step, this_task
from restpoint._engine.parking import LEAVING, Parking
from restpoint._engine.replay import Journal
from restpoint._engine.workflow import Workflow
from restpoint._engine.writes import Writes
from restpoint._storage import Call, Claim, Entry, Transaction, claims, journal
from restpoint._store.identity_map import Creation
from restpoint._store.open_file import OpenFile
from restpoint._store.records import ExecutionRecord
from restpoint.errors import InvalidArgument, LeaseLost, ReplayMismatch, RestpointError, StorageError, StoreClosed
from restpoint.lifecycle import TERMINAL

if TYPE_CHECKING:
    from restpoint._core.oauth_token import OAuthToken
    from restpoint._engine.runner import Runner
    from restpoint.oauth.flow import Consents

log = logging.getLogger(__name__)

P = ParamSpec("P")
ExitReason = Literal["parked", "ended", "lost", "stuck", "refused", "failing storage", "released"]

_RETRY_SECONDS: Final = 1.0  # after the storage failed
_GRACE_SECONDS: Final = 5.0  # for a cancelled workflow to end


class Run:
    """A claimed execution whose function is under way."""

    def __init__(
        self,
        claim: Claim,
        workflow: Workflow,
        record: ExecutionRecord,
        file: OpenFile,
        runner: "Runner",
        *,
        input_text: str,
        trace: dict[str, str] | None = None,
        waits: dict[str, Wait] | None = None,
    ) -> None:
        self.claim = claim
        self.workflow = workflow
        self.record = record
        self.file = file
        self.exit_reason: ExitReason | None = None
        self.problem: str | None = None
        self.refusal: RestpointError | None = None
        """Why the execution fails, whatever its workflow makes of it."""
        self.input_text = input_text
        self.trace = trace
        self.waits = waits or {}
        self.answered = Answered()
        self.outcomes: dict[str, OAuthToken | RestpointError] = {}
        """The outcomes of consents that restpoint drives, as far as they are known."""
        self.not_awaited: dict[str, Call] = {}
        """The calls that were made and not begun, by position: a coroutine begins when it is awaited or a task runs it."""
        self.has_branched = False
        self.got_on = False
        """Whether anything was recorded since it was claimed."""
        self.attempts = Attempts(runner.threads)
        self.writes = Writes(file.database, claim.execution_id)
        # Strong references to the open prompts from the moment of the snapshot, so that no answer is missed.
        self.pending = {pending.interaction_id: pending for pending in record.pending_interactions}
        self.closings = record.closings = {}
        """The waits that were closed since it was read: the row of history that tells of each, or a later one read before it."""
        self.parking = Parking(self, runner.slots, runner.hold_paused_for)
        self.busy = self.parking.busy
        """For ``with``: one branch is busy."""
        self._runner = runner
        self._grace: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_down = False
        self._late_calls = LateCalls()
        self._creation: Creation | None = None
        self.use(Journal([], {}))

    # --- From beginning to end ---

    def use(self, recorded: Journal) -> None:
        """Set the journal that it replays, before it begins."""
        self.journal = recorded
        recorded.order.is_alone = self.parking.is_alone

    def begin(self, body: Callable[["Run"], Coroutine[Any, Any, None]]) -> None:
        """Start ``body`` in a task; it runs the function to its end and calls ``tear_down``."""
        # In an empty context: a replay would not have the context variables of whoever starts it.
        self._task = asyncio.create_task(body(self), name=f"restpoint:{self.claim.execution_id}", context=Context())
        self.parking.main = self._task
        self._task.add_done_callback(self._ended_before_first_turn)
        self.journal.watch(self._stalled)
        self.attach(self.record)
        self.file.listener.watch(self._task)

    def attach(self, record: ExecutionRecord) -> None:
        """Follow the record of its execution, which reports a cancellation or an end."""
        self.record = record
        if self._is_down:
            return
        record.closings = self.closings
        record.attach_run(self._task, self._ended_elsewhere)
        if record.status in TERMINAL:
            self._ended_elsewhere()

    def detach(self) -> None:
        """Follow the record no more."""
        if self.record.closings is self.closings:
            self.record.closings = None
        self.record.detach_run(self._task, self._ended_elsewhere)

    def _ended_elsewhere(self) -> None:
        self.leave("ended")

    def follow_creation(self, creation: Creation) -> None:
        """Begin while the execution is being written: what the run writes comes after that, or not at all."""
        self._creation = creation
        creation.written.add_done_callback(self._created)

    def _created(self, starting: "asyncio.Future[str | None]") -> None:
        creation, self._creation = self._creation, None
        if starting.exception() is not None or starting.result() is not None:  # refused, or started before with its key
            self.leave("lost")
        elif creation is not None and creation.record is not self.record:  # someone else found it in the file first
            self.attach(creation.record)

    async def created(self) -> None:
        """Return when its execution is in the file, which must come before any effect on the world."""
        if self._creation is not None:
            await asyncio.wait([self._creation.written])
        self.check()

    def hear(self, event: Change) -> None:
        """Take note of an event of its execution that this process committed."""
        if event.status in TERMINAL:
            self.set_exit_reason("ended")
        elif event.wait is not None and event.wait.kind == "interaction" and event.wait.status == "pending":
            # Keep a strong reference to the prompt, so that its answer arrives here.
            record = self.file.records.get(self.claim.execution_id)
            pending = None if record is None else record.open_interaction(event.wait.id)
            if pending is not None:
                self.pending[pending.interaction_id] = pending

    def set_exit_reason(self, why: ExitReason) -> None:
        """Write nothing more from here on. The first reason counts."""
        if self.exit_reason is None:
            self.exit_reason = why
            self.writes.end()

    def leave(self, why: ExitReason) -> None:
        """Write nothing more, and cancel the tasks."""
        self.set_exit_reason(why)
        if self._task is not None and self._task is not this_task():  # a caller inside the task calls ``check`` next
            self._task.cancel(LEAVING)
        if self._grace is None and not self._is_down:
            self._grace = asyncio.get_running_loop().call_later(_GRACE_SECONDS, self._grace_over)

    def _grace_over(self) -> None:
        """Stop waiting for a workflow that ignores its cancellation or takes long to clean up."""
        log.warning(
            "workflow %s goes on though its run was told to leave (%s); nothing that it does is recorded any more",
            self.workflow.name, self.exit_reason, extra={"execution_id": self.claim.execution_id},
        )  # fmt: skip
        if self._task is not None:
            self._task.cancel(LEAVING)
        self.tear_down()

    def _ended_before_first_turn(self, _: "asyncio.Task[None]") -> None:
        """Clean up after a task that was cancelled before its first turn, which runs no code of its own."""
        if not self._is_down:
            self.set_exit_reason("released")
            self.tear_down()

    def tear_down(self) -> None:
        """Leave memory and give back what the run holds."""
        if self._is_down:
            return
        self._is_down = True
        if self._grace is not None:
            self._grace.cancel()
        self.journal.order.close()
        self.detach()
        self.parking.close()
        self.pending.clear()
        self.writes.close(at_last=self.exit_reason == "released")  # before its claim is given back
        self._runner.forget(self)

    async def stopped(self) -> None:
        """Return when all of its tasks have ended."""
        tasks = {task for task in (self._task, *self.parking.tasks) if task is not None}
        if tasks:
            await asyncio.wait(tasks)

    def stuck(self, error: RestpointError) -> None:
        """Leave the execution as it is, because this process cannot go on with it, for a process that can."""
        if self.exit_reason is None:
            log.error("%s", error)
            self.problem = str(error)
            self.leave("stuck")

    def refuse(self, error: RestpointError) -> None:
        """Leave memory, and fail the execution because its workflow does what could not be kept."""
        if self.exit_reason is None:
            self.refusal = error
            self.leave("refused")

    def check(self) -> None:
        """Raise ``asyncio.CancelledError`` when the run is over."""
        if self.exit_reason is not None:
            raise asyncio.CancelledError(f"restpoint: this run is {self.exit_reason}")

    @property
    def consents(self) -> "Consents | None":
        """The OAuth flow of this process; None where it has none."""
        return self._runner.consents

    # --- Calls ---

    def call(self, kind: str, name: str, fingerprint: str, about: rewording.About = None) -> tuple[Call, Entry | None]:
        """The call that is made now, at its position, and the journal's entry there.

        ``about`` is what it asks for, which may be the same in other words. A call after the end of the run has neither a
        position nor an entry, and ``first_time`` refuses it.
        """
        if self.exit_reason is not None:
            return Call("", kind, name, fingerprint, 0), None
        self.parking.activity += 1
        if current_step.get() is not None:
            raise InvalidArgument(f"ctx.{kind} was called inside a step; a step returns to its workflow first.")
        call = Call(self._branch().next(), kind, name, fingerprint, self.journal.order.newest_given)
        self.not_awaited[call.position] = call
        entry = self.journal.visit(call)
        if entry is None or entry.call == call:
            return call, entry
        # What is recorded at another place is another question, and no rewording of the one at this place.
        place = self.journal.place_of(call)
        if place is not None or not rewording.note(self, entry, call, about):
            recorded, asked = rewording.recorded(self, entry), rewording.described(call, about)
            asked += rewording.unlike(call) if asked == recorded else ""
            self.mismatch(call.position, recorded, asked + rewording.moved(place))
        return call, entry

    def _branch(self) -> Branch:
        task, branch = this_task(), current_branch.get()
        if task is None or branch is None:
            raise InvalidArgument("The context works in the tasks of its workflow only, not in threads and callbacks.")
        if not branch.is_of(task):
            branch = branch.child(task)
            current_branch.set(branch)
            self.has_branched = True
            self.parking.enter()
        return branch

    def mismatch(self, position: str, recorded: str, asked: str) -> NoReturn:
        """Stop, because the code differs from the journal, and leave the execution for the code that it was begun with."""
        self.stuck(ReplayMismatch(self.claim.execution_id, position, recorded, asked))
        raise asyncio.CancelledError("restpoint: replay mismatch")

    def _stalled(self, entry: Entry) -> None:
        recorded = rewording.recorded(self, entry)
        self.stuck(ReplayMismatch(self.claim.execution_id, entry.call.position, recorded, "nothing, and waits"))

    async def replayed(self, entry: Entry) -> Entry:
        """The entry, when it is the turn of its outcome. Never returns for a call that the workflow abandoned."""
        self.begun(entry.call)
        if entry.is_abandoned:
            await self._never(entry)
        if entry.ordinal is not None:
            with self.busy():
                await self.journal.order.give(self.journal.order.recorded(entry.ordinal))
            self.check()
        return entry

    async def _never(self, entry: Entry) -> NoReturn:
        order = self.journal.order
        # Busy, so that the run is not parked: nothing would bring it back, and the workflow abandons the call soon.
        with self.busy(), order.abandoning():
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                if self.exit_reason is None:
                    await order.reached(entry.ordinal or 0)  # a step may have cleaned up meanwhile
                raise
            finally:
                order.happened(("abandoned", entry.call.position))
        raise AssertionError("a future that nobody resolves")

    def begun(self, call: Call) -> None:
        """Note that the workflow awaits a call, or that a task of it does."""
        self.not_awaited.pop(call.position, None)

    async def first_time(self, call: Call) -> None:
        """Return when every recorded outcome was given: a new call comes after them."""
        self.begun(call)
        if self.exit_reason is not None:
            await self._late_calls.refuse(self.exit_reason)
        with self.busy():
            await self.journal.order.caught_up()
        self.check()

    # --- Writing ---

    async def write(
        self, job: Callable[Concatenate[Transaction, Claim, P], None], *arguments: P.args, **named: P.kwargs
    ) -> None:
        """Write with the fence of the claim, and return after COMMIT."""
        self.check()
        await self.queue(job, *arguments, **named)
        self.check()

    def queue(
        self, job: Callable[Concatenate[Transaction, Claim, P], None], *arguments: P.args, **named: P.kwargs
    ) -> "asyncio.Future[None]":
        """Give a job to the writer; the future is done after COMMIT.

        Cancelling the future cancels only the waiting, at once, as it happens on a replay; the job is done all the same.
        """
        order, claim = self.journal.order, self.claim
        unwritten = dict(order.unwritten)

        def fenced(tx: Transaction) -> None:
            job(tx, claim, *arguments, **named)
            if unwritten:
                journal.number(tx, claim, unwritten)

        def stored() -> None:
            self.got_on = True
            order.written(unwritten)
            if claim.suspect:
                self._runner.trust(claim.execution_id)

        return self.writes.queue(fenced, stored, self._leaves_after)

    def _leaves_after(self, error: BaseException) -> bool:
        """Whether the run leaves memory because of this error of a write."""
        if self.exit_reason is not None:
            return True
        if isinstance(error, LeaseLost):
            self.leave("lost")
        elif isinstance(error, StorageError | StoreClosed):
            log.warning("execution %s stops here, and is tried again: %s", self.claim.execution_id, error)
            self.leave("failing storage")
        return self.exit_reason is not None

    async def outcome(
        self,
        job: Callable[Concatenate[Transaction, Claim, Call, int, P], None],
        call: Call,
        *arguments: P.args,
        **named: P.kwargs,
    ) -> None:
        """Write the outcome of a call with the next number of the order, and return when it is its turn."""
        outcome, number = self.journal.order.reserve()
        try:
            await self.write(job, call, number, *arguments, **named)
            self.recorded()
            await self.journal.order.give(outcome)
        except BaseException as error:
            self.journal.order.drop(outcome)
            if isinstance(error, asyncio.CancelledError):
                self.abandon(call)
            raise
        self.check()

    def recorded(self) -> None:
        """With ``replay_always``, which is for tests, leave memory after every write, unless a replay would call a step twice."""
        if self._runner.replay_always and not self.attempts.are_in_threads:
            self.got_on = True  # what is queued is written before the claim is given up
            self.leave("released")
            self.check()

    def abandon(self, call: Call, wait_id: str | None = None) -> None:
        """Record that the workflow itself stopped awaiting a call, so that no replay gives it an outcome either."""
        if self.goes_on():
            self.queue(journal.abandon, call, wait_id, self.journal.order.newest_given)
            self.recorded()

    @property
    def is_to_stop(self) -> bool:
        """Whether its runner closes, or the event loop does."""
        return self._runner.is_ending

    def goes_on(self) -> bool:
        """Whether what happens to a task of it is the workflow's own doing, because the run goes on in this process."""
        if self.exit_reason is None and self.is_to_stop:
            self.leave("released")
        return self.exit_reason is None

    async def park(self, waiting: Sequence[str | int | None]) -> None:
        """Leave memory, if everything in ``waiting`` (ids of waits, and instants) is still to come."""
        waits = [each for each in waiting if isinstance(each, str)]
        wake_at = min((each for each in waiting if isinstance(each, int)), default=None)
        try:
            if self.writes.are_refused:
                await asyncio.sleep(_RETRY_SECONDS)
            elif await self.writes.submit(lambda tx: claims.park(tx, self.claim, waits, wake_at)):
                self.leave("parked")
        except LeaseLost:
            self.leave("lost")
        except (StorageError, StoreClosed) as error:
            log.warning("execution %s stays in memory: %s", self.claim.execution_id, error)
            await asyncio.sleep(_RETRY_SECONDS)
