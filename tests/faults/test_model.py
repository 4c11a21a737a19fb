"""The store against a model of it: random programs over two stores on one file, restarts and a clock that jumps.

The model is a dictionary of what every execution must look like. After each step the file, and what one or both of
the stores say, must equal it: status, waits, result and error through ``get`` and ``list``, the futures that someone
awaits, the history folded to statuses, and the chain of its digests. A call that must be refused must leave the history
as it was.

What the model says of a wait whose deadline passed: nobody can answer it any more, from that instant on, whether or not
the clockwork has come round to it; and it is expired in the file once the clockwork has had its turn (``_settle``).
"""

import asyncio
import math
import os
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import hypothesis
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from restpoint import ExecutionStore
from restpoint._storage import leases, queries
from restpoint._storage.sqlite import migrations
from restpoint._store.futures import PendingInteraction
from restpoint._store.records import ExecutionRecord
from restpoint.errors import (
    ExecutionCancelled,
    ExecutionHeld,
    ExecutionNotFound,
    IllegalTransition,
    InteractionAlreadyResolved,
    InteractionExists,
    InteractionExpired,
    InteractionNotFound,
    InteractionWithdrawn,
    NotJSON,
    ResponseNotAccepted,
    RestpointError,
    StoreClosed,
)
from restpoint.prompts import (
    HumanPrompt,
    HumanResponse,
    HumanResponseBinary,
    HumanResponseCheckbox,
    HumanResponseDropdown,
    HumanResponseNotification,
    HumanResponseRadio,
    HumanResponseText,
)
from support import (
    ADA,
    CALL,
    GRACE,
    MAIL,
    NO,
    PAIRS,
    PATIENCE,
    TEXT,
    YES,
    ManualClock,
    eventually,
    file_of,
    first_break,
    folded_statuses,
    rows,
    sql,
)

if TYPE_CHECKING:
    from restpoint._storage.listing import ExecutionSummary
    from restpoint._storage.sqlite.database import Database

PROMPTS: Final = [prompt for prompt, _ in PAIRS]
# Two right answers and one wrong one to each kind of prompt.
ANSWERS: Final[dict[str, tuple[HumanResponse, HumanResponse, HumanResponse]]] = {
    "text": (HumanResponseText(text="Ada"), HumanResponseText(text="Grace"), HumanResponseText(text=" ")),
    "notification": (
        HumanResponseNotification(),
        HumanResponseNotification(text="Seen."),
        HumanResponseText(text="Ada"),
    ),
    "binary_choice": (
        HumanResponseBinary(selected_option=YES),
        HumanResponseBinary(selected_option=NO),
        HumanResponseBinary(selected_option=YES.model_copy(update={"id": "maybe"})),
    ),
    "radio": (
        HumanResponseRadio(selected_option=MAIL),
        HumanResponseRadio(selected_option=CALL),
        HumanResponseRadio(selected_option=MAIL.model_copy(update={"value": "pigeon"})),
    ),
    "checkbox": (
        HumanResponseCheckbox(selected_option=MAIL, selected_options=[MAIL, CALL]),
        HumanResponseCheckbox(selected_option=CALL),
        HumanResponseCheckbox(selected_option=MAIL, selected_options=[MAIL, MAIL]),
    ),
    "dropdown": (
        HumanResponseDropdown(selected_option=MAIL),
        HumanResponseDropdown(selected_option=CALL),
        HumanResponseRadio(selected_option=MAIL),
    ),
}
RIGHT: Final = (0, 1)
WRONG: Final = 2

TIMES_TO_LIVE: Final[dict[str, int | None]] = {"completed": 30, "failed": 0, "cancelled": None}
TERMINAL: Final = ("completed", "failed", "cancelled")
STATUSES: Final = ("running", "interaction_required", "oauth_required", *TERMINAL)
NEVER: Final = 10 * 366 * 24 * 3600.0  # seconds; the sweep goes when a rule says so


# --- The model -------------------------------------------------------------------------------------------------------


@dataclass
class Wait:
    """An interaction or a consent, as it must be."""

    kind: str
    id: str
    created_at: int
    deadline: int | None
    prompt: HumanPrompt | None = None
    status: str = "pending"
    response: HumanResponse | None = None
    closed_by: str = ""
    asked: int = 0
    """Its place among all that were asked. What was asked at once is in the file in any order, and in this one here."""

    @property
    def open(self) -> bool:
        return self.status == "pending"

    def close(self, status: str, by: str) -> None:
        self.status, self.closed_by = status, by


@dataclass
class Execution:
    """An execution, as it must be."""

    id: str
    workflow: str | None
    created_at: int
    driver: object
    """The store that runs it; the file names its lease."""
    status: str = "running"
    in_file: bool = True
    told: str | None = "running"
    """The status as history tells it; None once it was removed."""
    hold: str | None = None
    result: Any = None
    error: str | None = None
    code: str | None = None
    completed_at: int | None = None
    expires_at: int | None = None
    outcome_seen: bool = False
    waits: dict[str, Wait] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        return self.status in TERMINAL

    @property
    def as_asked(self) -> list[Wait]:
        """The waits in an order that every run of a program has, whatever came first into the file."""
        return sorted(self.waits.values(), key=lambda wait: wait.asked)

    @property
    def open_waits(self) -> list[Wait]:
        return [wait for wait in self.waits.values() if wait.open]

    def settle(self) -> None:
        """On to the kind of the oldest wait still open, else back to running."""
        waits = self.open_waits
        self.status = "running"
        if waits:
            self.status = "interaction_required" if waits[0].kind == "interaction" else "oauth_required"
            self.outcome_seen = True
        self.told = self.status

    def end(self, status: str, now: int) -> None:
        for wait in self.open_waits:
            wait.close("withdrawn", "end")
        ttl = TIMES_TO_LIVE[status]
        self.status = self.told = status
        self.completed_at, self.expires_at = now, None if ttl is None else now + ttl * 1000
        self.outcome_seen, self.driver = True, None


@dataclass
class Awaited:
    """A future that someone holds in one of the stores."""

    store: ExecutionStore
    execution_id: str
    wait: Wait
    future: "asyncio.Future[HumanResponse]"
    heard: bool = False
    """The store had heard what became of the wait before the rule that is under way now."""
    missed: bool = False
    """The execution left the file before this store had heard what became of the wait: then it can only say that."""


# --- The machine -----------------------------------------------------------------------------------------------------


class Programs(RuleBasedStateMachine):
    """One program: a fresh file, two stores on it in one event loop, and the model."""

    home: ClassVar[Path]
    done: ClassVar[Counter[str]]

    executions: Bundle[str] = Bundle("executions")

    SLOT: ClassVar = st.integers(0, 1)
    """Which of the two stores a call goes through."""
    SEEN: ClassVar = st.sampled_from([(0,), (1,), (0, 1), (1, 0)])
    """Through which stores the outcome is looked at: a store that nobody asks must not have missed anything later."""
    PICK: ClassVar = st.integers(0, 9)
    """Which of the waits, counted round."""
    ASKED: ClassVar = st.lists(
        st.tuples(st.sampled_from([*PROMPTS, None]), st.sampled_from([None, None, 0, 5, 60, 600])),
        min_size=1,
        max_size=3,
    )
    """Prompts, None for a consent, each with its timeout."""

    def __init__(self) -> None:
        super().__init__()
        self.done["programs"] += 1
        self.path = self.home / f"{self.done['programs']}.db"
        shutil.copyfile(self.home / "template.db", self.path)
        self.clock = ManualClock()
        self.model: dict[str, Execution] = {}
        self.awaited: list[Awaited] = []
        self.held: list[dict[str, ExecutionRecord]] = [{}, {}]
        self.seen: tuple[int, ...] = (0, 1)
        self.names = 0
        self.runner = asyncio.Runner()
        self.stores = [self._new_store(), self._new_store()]
        for store in self.stores:
            self.runner.run(self._opened(store))
        self.file = sqlite3.connect(self.path, isolation_level=None)

    def teardown(self) -> None:
        try:
            self.seen = (0, 1)
            self.runner.run(self._compare(page=2))
        finally:
            for store in self.stores:
                self.runner.run(store.close())
            self.runner.close()
            self.file.close()
            for leftover in self.home.glob(f"{self.path.name}*"):
                leftover.unlink()

    def _new_store(self) -> ExecutionStore:
        return ExecutionStore(
            TIMES_TO_LIVE, database=self.path, clock=self.clock, sweep_interval_seconds=NEVER, synchronous="NORMAL"
        )

    async def _opened(self, store: ExecutionStore) -> None:
        await store.open()

    # --- What the rules are made of ---

    def _run(self, step: str, seen: tuple[int, ...], work: Awaitable[Any]) -> Any:
        async def whole() -> Any:
            outcome = await work
            await self._settle()
            return outcome

        self.done["steps"] += 1
        self.done[step] += 1
        self.seen = seen
        for awaited in self.awaited:
            awaited.heard = awaited.future.done()
        return self.runner.run(whole())

    async def _attempt(self, call: Awaitable[Any], *refusals: type[RestpointError]) -> Any:
        """Await a call that must succeed, or, where refusals are given, raise one of them and write nothing."""
        before = self._last_sequence()
        if not refusals:
            return await call
        with pytest.raises(refusals) as refused:
            await call
        assert self._last_sequence() == before, f"refused with {refused.value!r}, and yet it wrote"
        self.done[f"refused: {refused.value.code}"] += 1
        return None

    def _last_sequence(self) -> int:
        return int(self._rows("SELECT coalesce(max(sequence), 0) FROM history")[0][0])

    def _rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """All of them, so that no statement is left open that would keep this connection at an old snapshot."""
        return self.file.execute(query, parameters).fetchall()

    def _here(self, execution_id: str) -> Execution | None:
        execution = self.model.get(execution_id)
        return execution if execution is not None and execution.in_file else None

    def _refusal(self, execution: Execution | None, *legal: str) -> tuple[type[RestpointError], ...]:
        """What a call says that is legal only in these statuses."""
        if execution is None:
            return (ExecutionNotFound,)
        return () if execution.status in legal else (IllegalTransition,)

    def _due(self) -> list[tuple[Execution, Wait]]:
        """The open waits whose deadline has passed."""
        now = self.clock.now()
        return [
            (execution, wait)
            for execution in self.model.values()
            for wait in execution.open_waits
            if wait.deadline is not None and wait.deadline <= now
        ]

    async def _settle(self) -> None:
        """Let both clockworks have their turn: what is due is expired, what is awaited here is driven here, none sweeps."""
        for execution, wait in self._due():
            wait.close("expired", "deadline")
            execution.settle()
            self.done["expired"] += 1
        driven = {execution.id for execution in self.model.values() if execution.in_file and self._is_driven(execution)}
        overdue: list[tuple[Any, ...]] = []
        found: set[str] = set()
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up:
            overdue = self._rows("SELECT wait_id FROM open_waits WHERE deadline_ms <= ?", self.clock.now())
            found = {
                row[0] for row in self._rows("SELECT e.id FROM executions AS e JOIN leases AS l ON l.id = e.lease")
            }
            quiet = all(begun <= self.clock.now() for begun in self._sweepers()) and not self._adoptions()
            if not overdue and found == driven and quiet:
                return
            for store in self.stores:
                # A write that changes nothing: it comes back when whatever was queued before it has been done.
                with suppress(ExecutionNotFound):
                    await store.release("nobody")
        raise AssertionError(f"still open past their deadline: {overdue}; driven: {found}, expected {driven}")

    def _await(self, store: ExecutionStore, execution: Execution, record: ExecutionRecord, wait: Wait) -> None:
        """Hold the future of a wait, which makes a store the driver of an execution that has none."""
        (pending,) = [found for found in record.pending_interactions if found.interaction_id == wait.id]
        future = pending.future
        assert pending.future is future
        self.awaited.append(Awaited(store, execution.id, wait, future))
        if not self._is_driven(execution):
            execution.driver = store

    def _is_driven(self, execution: Execution) -> bool:
        """Whether one of the stores drives it that are open now."""
        return any(execution.driver is store for store in self.stores)

    def _leave(self, execution: Execution, told: str | None) -> None:
        execution.in_file, execution.told = False, told
        for awaited in self.awaited:
            # Not by what it has heard now: a store that takes an execution out of the file itself says so at once.
            if awaited.execution_id == execution.id and not awaited.heard:
                awaited.missed = True

    # --- Rules: executions ---

    @initialize(target=executions, asked=ASKED, touch=st.booleans())
    def begin(self, asked: list[tuple[HumanPrompt | None, int | None]], touch: bool) -> Any:
        """Two executions that wait: most of what can go wrong begins there."""
        begun = self.create(on=0, seen=(0, 1), many=2, workflow=None)
        for slot, execution_id in enumerate(self.model):
            self.ask(execution_id, slot, (0, 1), asked, touch)
        return begun

    @rule(target=executions, on=SLOT, seen=SEEN, many=st.integers(1, 2), workflow=st.sampled_from([None, "refund"]))
    def create(self, on: int, seen: tuple[int, ...], many: int, workflow: str | None) -> Any:
        async def work() -> list[str]:
            store = self.stores[on]
            records = await asyncio.gather(*(store.create_execution(workflow=workflow) for _ in range(many)))
            rows = self._rows("SELECT id FROM executions ORDER BY key DESC LIMIT ?", many)
            for (execution_id,) in reversed(rows):
                self.model[execution_id] = Execution(execution_id, workflow, self.clock.now(), store)
            self.held[on].update((record.execution_id, record) for record in records)
            assert {record.execution_id for record in records} == {row[0] for row in rows}
            return [row[0] for row in reversed(rows)]  # as the model has them: any of them may have come first

        return multiple(*self._run("create", seen, work()))

    @rule(execution_id=executions, on=SLOT, seen=SEEN)
    def set_running(self, execution_id: str, on: int, seen: tuple[int, ...]) -> None:
        execution = self._here(execution_id)

        async def work() -> None:
            refusal = self._refusal(execution, "running", "interaction_required", "oauth_required")
            await self._attempt(self.stores[on].set_running(execution_id), *refusal)
            if execution is None or execution.ended:
                return
            if execution.status != "running" or not self._is_driven(execution):
                execution.driver = self.stores[on]
            if execution.status != "running":
                for wait in execution.open_waits:
                    wait.close("withdrawn", "withdraw")
                execution.settle()

        self._run("set_running", seen, work())

    @rule(
        execution_id=executions,
        on=SLOT,
        seen=SEEN,
        result=st.sampled_from([None, "done", {"total": 12.5, "lines": [1, None, "é"]}, {1, 2}]),
    )
    def complete(self, execution_id: str, on: int, seen: tuple[int, ...], result: Any) -> None:
        execution = self._here(execution_id)

        async def work() -> None:
            refusal = (NotJSON,) if isinstance(result, set) else self._refusal(execution, "running")
            await self._attempt(self.stores[on].set_completed(execution_id, result), *refusal)
            if execution is not None and not refusal:
                execution.end("completed", self.clock.now())
                execution.result = result

        self._run("complete", seen, work())

    @rule(execution_id=executions, on=SLOT, seen=SEEN, code=st.sampled_from([None, "no_funds"]))
    def fail(self, execution_id: str, on: int, seen: tuple[int, ...], code: str | None) -> None:
        execution = self._here(execution_id)

        async def work() -> None:
            refusal = self._refusal(execution, "running", "interaction_required", "oauth_required")
            await self._attempt(self.stores[on].set_failed(execution_id, "It broke.", code=code), *refusal)
            if execution is not None and not refusal:
                execution.end("failed", self.clock.now())
                execution.error, execution.code = "It broke.", code

        self._run("fail", seen, work())

    @rule(execution_id=executions, on=SLOT, seen=SEEN)
    def cancel(self, execution_id: str, on: int, seen: tuple[int, ...]) -> None:
        execution = self._here(execution_id)

        async def work() -> None:
            refusal = self._refusal(execution, "running", "interaction_required", "oauth_required", "cancelled")
            await self._attempt(self.stores[on].cancel(execution_id, "enough"), *refusal)
            if execution is not None and not execution.ended:
                execution.end("cancelled", self.clock.now())

        self._run("cancel", seen, work())

    @rule(execution_id=executions, on=SLOT, seen=SEEN)
    def remove(self, execution_id: str, on: int, seen: tuple[int, ...]) -> None:
        execution = self._here(execution_id)

        async def work() -> None:
            refusal = (ExecutionHeld,) if execution is not None and execution.hold is not None else ()
            await self._attempt(self.stores[on].remove(execution_id), *refusal)
            if execution is not None and not refusal:
                if not execution.ended:
                    execution.end("cancelled", self.clock.now())
                self._leave(execution, None)

        self._run("remove", seen, work())

    @rule(execution_id=executions, on=SLOT, seen=SEEN, reason=st.sampled_from(["audit", "dispute", None]))
    def hold_or_release(self, execution_id: str, on: int, seen: tuple[int, ...], reason: str | None) -> None:
        execution, store = self._here(execution_id), self.stores[on]

        async def work() -> None:
            call = store.release(execution_id) if reason is None else store.hold(execution_id, reason)
            await self._attempt(call, *self._refusal(execution, *STATUSES))
            if execution is not None:
                execution.hold = reason

        self._run("hold", seen, work())

    # --- Rules: waits ---

    @rule(execution_id=executions, on=SLOT, seen=SEEN, asked=ASKED, touch=st.booleans())
    def ask(
        self,
        execution_id: str,
        on: int,
        seen: tuple[int, ...],
        asked: list[tuple[HumanPrompt | None, int | None]],
        touch: bool,
    ) -> None:
        """Prompts, or consents for None, all at once."""
        execution, store = self._here(execution_id), self.stores[on]
        named: dict[str, Wait] = {}
        now = self.clock.now()
        for prompt, timeout in asked:
            self.names += 1
            deadline = None if timeout is None else now + timeout * 1000
            kind = "consent" if prompt is None else "interaction"
            named[f"w{self.names}"] = Wait(kind, f"w{self.names}", now, deadline, prompt, asked=self.names)

        async def one(name: str, wait: Wait, seconds: int | None) -> None:
            refusal = self._refusal(execution, "running", "interaction_required", "oauth_required")
            if wait.prompt is None:
                asking: Awaitable[Any] = store.set_oauth_required(
                    execution_id, "https://auth.test", name, timeout=seconds
                )
            else:
                asking = store.set_interaction_required(execution_id, wait.prompt, name, timeout=seconds)
            if refusal:
                await self._attempt(asking, *refusal)
                return
            pending = await asking
            if pending is not None:
                assert pending.interaction_id == name
                assert pending.prompt == wait.prompt

        async def work() -> None:
            await asyncio.gather(
                *(one(name, named[name], seconds) for name, (_, seconds) in zip(named, asked, strict=True))
            )
            if execution is None or execution.ended:
                return
            # The file says which came first. A consent is known by its state until its own id is read here.
            opened = self._rows(
                "SELECT c.oauth_state, c.id, opened FROM consents AS c JOIN executions AS e ON e.key = c.execution_key"
                " WHERE e.id = ? UNION ALL SELECT i.id, i.id, opened FROM interactions AS i JOIN executions AS e"
                " ON e.key = i.execution_key WHERE e.id = ? ORDER BY opened",
                execution_id,
                execution_id,
            )
            new = [(name, wait_id) for name, wait_id, _ in opened if name in named]
            assert len(new) == len(named)
            for name, wait_id in new:
                named[name].id = wait_id
                execution.waits[wait_id] = named[name]
            execution.driver = store
            execution.settle()
            if touch and not self._due():
                record = await store.get(execution_id)
                assert record is not None
                for wait in execution.open_waits:
                    if wait.kind == "interaction":
                        self._await(store, execution, record, wait)

        self._run("ask", seen, work())

    @precondition(lambda self: self._waits())
    @rule(pick=PICK, on=SLOT, seen=SEEN)
    def ask_again_under_the_same_name(self, pick: int, on: int, seen: tuple[int, ...]) -> None:
        execution_id, wait_id = self._waits(pick)[0]
        execution = self._here(execution_id)

        async def work() -> None:
            refusal = self._refusal(execution, "running", "interaction_required", "oauth_required")
            asking = self.stores[on].set_interaction_required(execution_id, PROMPTS[0], wait_id)
            await self._attempt(asking, *(refusal or (InteractionExists,)))

        self._run("ask again", seen, work())

    @precondition(lambda self: self._open())
    @rule(pick=PICK, on=SLOT, seen=SEEN)
    def touch(self, pick: int, on: int, seen: tuple[int, ...]) -> None:
        """Look an open prompt up, as a process does that did not ask it, and await its future."""
        execution, wait = self._open(pick)[0]

        async def work() -> None:
            record = await self.stores[on].get(execution.id)
            assert record is not None
            self._await(self.stores[on], execution, record, wait)

        self._run("touch", seen, work())

    @precondition(lambda self: self.awaited or any(self.held))
    @rule(on=SLOT, seen=SEEN)
    def let_go(self, on: int, seen: tuple[int, ...]) -> None:
        """Nobody holds the records of one store, and its futures are cancelled, as by ``asyncio.wait_for``."""
        self.held[on].clear()
        for awaited in self.awaited:
            if awaited.store is self.stores[on]:
                awaited.future.cancel()
        self.awaited = [awaited for awaited in self.awaited if awaited.store is not self.stores[on]]
        self._run("let go", seen, asyncio.sleep(0))

    def _open(self, first: int = 0, *, with_deadline: bool = False) -> list[tuple[Execution, Wait]]:
        """The open prompts, turned round so that the one with the index ``first`` comes first."""
        found = [
            (execution, wait)
            for execution in self.model.values()
            for wait in execution.as_asked
            if wait.open and wait.prompt is not None and (wait.deadline is not None or not with_deadline)
        ]
        turn = first % len(found) if found else 0
        return found[turn:] + found[:turn]

    def _waits(self, first: int = 0) -> list[tuple[str, str]]:
        """Every wait there ever was, by its ids, turned round as by ``_open``."""
        found = [(execution.id, wait.id) for execution in self.model.values() for wait in execution.as_asked]
        turn = first % len(found) if found else 0
        return found[turn:] + found[:turn]

    def _closed(self) -> list[tuple[Execution, Wait]]:
        return [
            (execution, wait)
            for execution in self.model.values()
            for wait in execution.as_asked
            if execution.in_file and wait.prompt is not None and not wait.open
        ]

    def _answers(self, wait: Wait) -> tuple[HumanResponse, HumanResponse, HumanResponse]:
        assert wait.prompt is not None
        return ANSWERS[wait.prompt.input_type]

    def _answer(self, wait: Wait | None, execution: Execution | None, which: int) -> tuple[type[RestpointError], ...]:
        """What the model says of an answer; with no refusal it is accepted, or was before."""
        if execution is None:
            # A store that still holds the record knows the prompt, and says first what is wrong with the answer.
            return (ExecutionNotFound, ResponseNotAccepted) if which == WRONG else (ExecutionNotFound,)
        if wait is None or wait.prompt is None:
            return (InteractionNotFound,)
        if which == WRONG:
            return (ResponseNotAccepted,)
        if wait.status == "answered":
            same = wait.response == self._answers(wait)[which]
            return () if same else (InteractionAlreadyResolved,)
        return {"pending": (), "expired": (InteractionExpired,), "withdrawn": (InteractionWithdrawn,)}[wait.status]

    def _accept(self, execution: Execution, wait: Wait, response: HumanResponse) -> None:
        wait.close("answered", "answer")
        wait.response = response
        execution.settle()

    @precondition(lambda self: self._waits())
    @rule(pick=PICK, on=SLOT, seen=SEEN, which=st.sampled_from([0, 0, 1, WRONG]))
    def answer_any(self, pick: int, on: int, seen: tuple[int, ...], which: int) -> None:
        self._answer_it(self._waits(pick)[0], on, seen, which)

    @precondition(lambda self: self._open())
    @rule(pick=PICK, on=SLOT, seen=SEEN)
    def answer_one_that_is_open(self, pick: int, on: int, seen: tuple[int, ...]) -> None:
        execution, wait = self._open(pick)[0]
        self._answer_it((execution.id, wait.id), on, seen, 0)

    @precondition(lambda self: self._closed())
    @rule(pick=PICK, on=SLOT, seen=SEEN, which=st.sampled_from(RIGHT))
    def answer_one_that_is_closed(self, pick: int, on: int, seen: tuple[int, ...], which: int) -> None:
        closed = self._closed()
        execution, wait = closed[pick % len(closed)]
        self._answer_it((execution.id, wait.id), on, seen, which)

    def _answer_it(self, wait: tuple[str, str], on: int, seen: tuple[int, ...], which: int) -> None:
        """A right answer, another right one, or a wrong one; to an answered prompt, the same again or another."""
        execution = self._here(wait[0])
        gone = self.model.get(wait[0])
        asked = None if gone is None else gone.waits.get(wait[1])
        kind = str(asked.prompt.input_type) if asked is not None and asked.prompt is not None else "text"
        response = ANSWERS[kind][which]

        async def work() -> None:
            found = asked if execution is not None else None
            refusal = self._answer(found, execution, which)
            again = found is not None and found.status == "answered" and not refusal
            before = self._last_sequence()
            await self._attempt(self.stores[on].resolve_interaction(*wait, response), *refusal)
            if execution is not None and found is not None and found.open and not refusal:
                self._accept(execution, found, response)
                self.done["answered"] += 1
            elif again:
                assert self._last_sequence() == before, "the same answer again wrote something"
                self.done["same answer again"] += 1

        self._run("answer", seen, work())

    @precondition(lambda self: self._open())
    @rule(pick=PICK, seen=SEEN)
    def two_answers_at_once(self, pick: int, seen: tuple[int, ...]) -> None:
        """Two different right answers through both stores: exactly one is accepted."""
        execution, wait = self._open(pick)[0]

        async def work() -> None:
            answers = self._answers(wait)
            outcomes = await asyncio.gather(
                *(self.stores[slot].resolve_interaction(execution.id, wait.id, answers[slot]) for slot in RIGHT),
                return_exceptions=True,
            )
            assert sorted(type(outcome).__name__ for outcome in outcomes) == ["InteractionAlreadyResolved", "NoneType"]
            self._accept(execution, wait, answers[outcomes.index(None)])

        self._run("two answers", seen, work())

    @precondition(lambda self: self._waits())
    @rule(pick=PICK, execution_id=executions, on=SLOT, seen=SEEN)
    def answer_in_the_wrong_execution(self, pick: int, execution_id: str, on: int, seen: tuple[int, ...]) -> None:
        execution, wait = self._here(execution_id), self._waits(pick)[0]

        async def work() -> None:
            if execution_id == wait[0]:
                return
            refusal = ExecutionNotFound if execution is None else InteractionNotFound
            await self._attempt(self.stores[on].resolve_interaction(execution_id, wait[1], ANSWERS["text"][0]), refusal)

        self._run("answer elsewhere", seen, work())

    @precondition(lambda self: self._waits())
    @rule(pick=PICK, on=SLOT, seen=SEEN)
    def withdraw(self, pick: int, on: int, seen: tuple[int, ...]) -> None:
        wait = self._waits(pick)[0]
        execution = self._here(wait[0])
        found = None if execution is None else execution.waits.get(wait[1])

        async def work() -> None:
            refusal: tuple[type[RestpointError], ...] = ()
            if execution is None:
                refusal = (ExecutionNotFound,)
            elif found is None:
                refusal = (InteractionNotFound,)
            elif found.status not in {"pending", "withdrawn"}:
                refusal = (IllegalTransition,)
            await self._attempt(self.stores[on].withdraw(*wait, "never mind"), *refusal)
            if execution is not None and found is not None and found.open:
                found.close("withdrawn", "withdraw")
                execution.settle()

        self._run("withdraw", seen, work())

    # --- Rules: time, restarts, recovery, the sweep ---

    @rule(seconds=st.sampled_from([-3600, -1, 1, 5, 29, 30, 59, 60, 600, 3600]), seen=SEEN)
    def step_the_clock(self, seconds: int, seen: tuple[int, ...]) -> None:
        self.clock.step(seconds)
        if any(begun > self.clock.now() for begun in self._sweepers()):
            # Who counts an interval from an instant that is now to come counts it as over: nothing is swept too late.
            self._sweep()
            self.done["sweep at a clock set back"] += 1
        self._run("clock back" if seconds < 0 else "clock forward", seen, asyncio.sleep(0))

    @precondition(lambda self: self._open(with_deadline=True))
    @rule(pick=PICK, on=SLOT, seen=SEEN, late=st.sampled_from([0, 0.001, 100]))
    def answer_too_late(self, pick: int, on: int, seen: tuple[int, ...], late: float) -> None:
        """The deadline passes and an answer comes at once, before the clockwork has had its turn, or beside it."""
        execution, wait = self._open(pick, with_deadline=True)[0]
        assert wait.deadline is not None
        self.clock.step((wait.deadline - self.clock.now()) / 1000 + late)

        async def work() -> None:
            with pytest.raises(InteractionExpired):
                await self.stores[on].resolve_interaction(execution.id, wait.id, self._answers(wait)[0])

        self._run("answer too late", seen, work())

    @rule(which=st.sampled_from([(0,), (1,), (0, 1)]), away=st.sampled_from([0, 0, 10, 700]), seen=SEEN)
    def restart(self, which: tuple[int, ...], away: int, seen: tuple[int, ...]) -> None:
        """Close one store or both, let time pass, and open the file again."""

        async def work() -> None:
            for slot in which:
                closed = self.stores[slot]
                await closed.close()
                for awaited in self.awaited:
                    if awaited.store is closed:
                        self._check_future(awaited, closed=True)
                self.awaited = [awaited for awaited in self.awaited if awaited.store is not closed]
                self.held[slot].clear()
                self.stores[slot] = self._new_store()
            self.clock.step(away)
            for slot in which:
                await self.stores[slot].open()

        self._run("restart", seen, work())

    @rule(on=SLOT, seen=SEEN, fail=st.booleans())
    def recover(self, on: int, seen: tuple[int, ...], fail: bool) -> None:
        async def work() -> None:
            interrupted = [
                execution
                for execution in self.model.values()
                if execution.in_file and execution.status == "running" and not self._is_driven(execution)
            ]
            found = await self._attempt(self.stores[on].recover(fail=fail))
            assert [record.execution_id for record in found] == [execution.id for execution in interrupted]
            if fail:
                for execution, record in zip(interrupted, found, strict=True):
                    execution.end("failed", self.clock.now())
                    execution.error, execution.code = record.error, "interrupted_by_restart"
                    assert record.error
                    self.done["interrupted"] += 1

        self._run("recover", seen, work())

    @rule(on=SLOT, seen=SEEN)
    def sweep(self, on: int, seen: tuple[int, ...]) -> None:
        async def work() -> None:
            expired = len(self._expired())
            assert await self._attempt(self.stores[on].cleanup_expired()) == expired
            self._sweep()

        self._run("sweep", seen, work())

    def _expired(self) -> list[Execution]:
        now = self.clock.now()
        return [
            execution
            for execution in self.model.values()
            if execution.in_file
            and execution.hold is None
            and execution.expires_at is not None
            and execution.expires_at <= now
        ]

    def _sweep(self) -> None:
        for execution in self._expired():
            self._leave(execution, execution.status)
            self.done["swept"] += 1

    def _adoptions(self) -> list[ExecutionStore]:
        """The stores that are about to look who drives what is awaited in them: by then, that may be someone else."""
        adoptions = {store: file_of(store).lease_keeper._adoption for store in self.stores}
        return [store for store, adoption in adoptions.items() if adoption is not None and not adoption.done()]

    def _sweepers(self) -> list[float]:
        """For each store that counts an interval until its next sweep, since when; infinity for one that is at it."""
        tasks = [task for store in self.stores for task in file_of(store).background]
        return [
            self.clock.asleep.get(task, math.inf) - NEVER * 1000
            for task in tasks
            if task.get_name() == "restpoint:run_sweeps"
        ]

    # --- What must hold after every step ---

    @invariant()
    def the_store_is_as_the_model_says(self) -> None:
        self.runner.run(self._compare())

    async def _compare(self, page: int = 50) -> None:
        self._compare_file()
        if len(self.seen) > 1:  # a list costs as much as the rest of a comparison
            await self._compare_list(self.stores[self.seen[0]], page)
        for slot in self.seen:
            for execution in self.model.values():
                await self._compare_record(slot, execution)
            for awaited in self.awaited:
                if awaited.store is self.stores[slot]:
                    self._check_future(awaited)

    def _compare_file(self) -> None:
        assert folded_statuses(self.path) == {execution.id: execution.told for execution in self.model.values()}
        chain = self._rows(
            "SELECT sequence, execution_id, event, wait_id, from_status, to_status, actor, cause, time, detail,"
            " detail_sha256, digest FROM history ORDER BY sequence"
        )
        assert first_break(chain, 0, bytes(32)) is None
        stored = self._rows(
            "SELECT e.id, i.id, i.status, i.response FROM interactions AS i JOIN executions AS e"
            " ON e.key = i.execution_key UNION ALL"
            " SELECT e.id, c.id, c.status, NULL FROM consents AS c JOIN executions AS e ON e.key = c.execution_key"
        )
        assert sorted(stored, key=repr) == sorted(
            (
                (execution.id, wait.id, wait.status, wait.response.model_dump_json() if wait.response else None)
                for execution in self.model.values()
                if execution.in_file
                for wait in execution.waits.values()
            ),
            key=repr,
        )

    async def _compare_list(self, store: ExecutionStore, limit: int) -> None:
        expected = [execution for execution in reversed(self.model.values()) if execution.in_file]
        found: list[ExecutionSummary] = []
        cursor = None
        while True:
            page = await store.list(limit=limit, cursor=cursor)
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                break
        assert [
            (
                item.execution_id,
                item.status,
                item.workflow,
                item.hold,
                item.open_waits,
                item.error,
                item.error_code,
                item.created_at,
                item.completed_at,
                item.expires_at,
            )
            for item in found
        ] == [
            (
                execution.id,
                execution.status,
                execution.workflow,
                execution.hold,
                len(execution.open_waits),
                execution.error,
                execution.code,
                _seconds(execution.created_at),
                _seconds(execution.completed_at),
                _seconds(execution.expires_at),
            )
            for execution in expected
        ]

    async def _compare_record(self, slot: int, execution: Execution) -> None:
        record = await self.stores[slot].get(execution.id)
        if not execution.in_file:
            assert record is None, f"{execution.id} left the file"
            self.held[slot].pop(execution.id, None)
            return
        assert record is not None, f"{execution.id} is in the file"
        assert self.held[slot].setdefault(execution.id, record) is record, "two records of one execution"
        assert (
            record.status,
            record.workflow,
            record.result,
            record.error,
            record.error_code,
            record.created_at,
            record.completed_at,
            record.expires_at,
            record.first_outcome.is_set(),
        ) == (
            execution.status,
            execution.workflow,
            execution.result,
            execution.error,
            execution.code,
            _seconds(execution.created_at),
            _seconds(execution.completed_at),
            _seconds(execution.expires_at),
            execution.outcome_seen,
        )
        waits = execution.open_waits
        assert [
            (pending.interaction_id, pending.prompt, pending.created_at, pending.deadline)
            for pending in record.pending_interactions
        ] == [
            (wait.id, wait.prompt, _seconds(wait.created_at), _seconds(wait.deadline))
            for wait in waits
            if wait.kind == "interaction"
        ]
        assert [(consent.consent_id, consent.deadline) for consent in record.pending_oauths] == [
            (wait.id, _seconds(wait.deadline)) for wait in waits if wait.kind == "consent"
        ]

    def _check_future(self, awaited: Awaited, *, closed: bool = False) -> None:
        """``closed``: the store was closed; what it had not heard of until then, it says nothing about."""
        wait, future = awaited.wait, awaited.future
        where = f"the future of {wait.id} ({wait.status}) of {awaited.execution_id}"
        if closed and (wait.open or isinstance(future.exception(), StoreClosed)):
            assert isinstance(future.exception(), StoreClosed), where
            return
        if wait.open:
            assert not future.done(), where
            return
        assert future.done(), f"{where} is not resolved"
        if awaited.missed and isinstance(future.exception(), ExecutionCancelled):
            return
        if wait.status == "answered":
            assert future.result() == wait.response, where
            return
        error = {"deadline": InteractionExpired, "withdraw": InteractionWithdrawn, "end": ExecutionCancelled}
        assert type(future.exception()) is error[wait.closed_by], where


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def explore(
    home: Path, programs: int, phases: Collection[Phase] = (Phase.explicit, Phase.generate), *, seed: int | None = None
) -> Counter[str]:
    """Run this many programs, with a ``seed`` the same ones each time; what was done in them.

    Not made smaller where one fails: that takes minutes.
    """
    migrations.upgrade(home / "template.db")
    machine = type("Programs", (Programs,), {"home": home, "done": Counter[str]()})
    run_state_machine_as_test(
        machine if seed is None else hypothesis.seed(seed)(machine),
        settings=settings(
            max_examples=programs,
            stateful_step_count=16,
            deadline=None,
            database=None,
            derandomize=False,
            print_blob=True,
            phases=phases,
            suppress_health_check=list(HealthCheck),
        ),
    )
    done: Counter[str] = machine.done  # type: ignore[attr-defined]
    return done


OFTEN: Final = (
    "restart",
    "clock forward",
    "clock back",
    "expired",
    "touch",
    "answered",
    "two answers",
    "answer too late",
    "sweep",
    "recover",
    "refused: illegal_transition",
    "refused: execution_not_found",
)
SELDOM: Final = (
    "swept",
    "interrupted",
    "same answer again",
    "refused: already_resolved",
    "refused: response_not_accepted",
    "refused: interaction_expired",
    "refused: interaction_withdrawn",
    "refused: interaction_exists",
    "refused: execution_held",
    "refused: not_json",
)


def check_that_it_happened(done: Counter[str], programs: int, whats: tuple[str, ...]) -> None:
    assert done["programs"] >= programs
    assert not [what for what in whats if not done[what]], "some of what was to be tried never happened"


# --- What random programs have found ---------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def other(path: Path, clock: ManualClock, store: ExecutionStore) -> AsyncIterator[ExecutionStore]:
    """A second store on the file of ``store``."""
    async with ExecutionStore(database=path, clock=clock) as opened:
        yield opened


async def test_a_prompt_that_another_store_withdrew_is_not_shown_after_an_own_change(
    store: ExecutionStore, other: ExecutionStore
) -> None:
    record = await store.create_execution()
    for wait_id in ("first", "second"):
        await store.set_interaction_required(record.execution_id, TEXT, wait_id)
    await other.withdraw(record.execution_id, "second")
    await store.resolve_interaction(record.execution_id, "first", ADA)
    assert await store.get(record.execution_id) is record
    assert record.status == "running"
    assert record.pending_interactions == ()


async def test_a_prompt_that_another_store_asked_is_shown_after_an_own_change(
    store: ExecutionStore, other: ExecutionStore
) -> None:
    record = await store.create_execution()
    await other.set_interaction_required(record.execution_id, TEXT, "theirs")
    await store.set_interaction_required(record.execution_id, TEXT, "ours")
    assert await store.get(record.execution_id) is record
    assert [pending.interaction_id for pending in record.pending_interactions] == ["theirs", "ours"]


async def test_a_prompt_of_another_store_that_is_older_comes_first(
    store: ExecutionStore, other: ExecutionStore
) -> None:
    record = await store.create_execution()
    await other.set_interaction_required(record.execution_id, TEXT, "theirs")
    await store.set_interaction_required(record.execution_id, TEXT, "ours")
    await other.create_execution()
    assert await store.get(record.execution_id) is record
    assert [pending.interaction_id for pending in record.pending_interactions] == ["theirs", "ours"]


async def test_who_awaits_an_execution_that_another_store_removed_is_told(
    store: ExecutionStore, other: ExecutionStore
) -> None:
    record = await store.create_execution()
    pending = await store.set_interaction_required(record.execution_id, TEXT)
    future = pending.future
    await other.remove(record.execution_id)
    assert await store.get(record.execution_id) is None
    assert future.done()
    assert isinstance(future.exception(), ExecutionCancelled)


async def test_a_waiter_gets_the_answer_that_was_accepted_not_one_that_is_being_refused(
    path: Path, store: ExecutionStore, other: ExecutionStore
) -> None:
    record = await store.create_execution()
    pending = await store.set_interaction_required(record.execution_id, TEXT)
    future = pending.future
    await other.resolve_interaction(record.execution_id, pending.interaction_id, ADA)
    with sql(path) as outside:
        outside.execute("BEGIN IMMEDIATE")  # no writer gets further, readers do
        late = asyncio.create_task(store.resolve_interaction(record.execution_id, pending.interaction_id, GRACE))
        await asyncio.sleep(0)
        await store.get(record.execution_id)
        outside.execute("ROLLBACK")
    with pytest.raises(InteractionAlreadyResolved):
        await late
    assert future.result() == ADA


async def test_a_prompt_cannot_have_the_id_of_a_consent_of_its_execution(store: ExecutionStore) -> None:
    record = await store.create_execution()
    await store.set_oauth_required(record.execution_id, "https://auth.test", "state")
    consent = record.pending_oauth
    assert consent is not None
    with pytest.raises(InteractionExists):
        await store.set_interaction_required(record.execution_id, TEXT, consent.consent_id)


async def test_a_deadline_set_while_the_clockwork_looks_for_the_next_one_is_not_forgotten(
    path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked, go_on = asyncio.Event(), asyncio.Event()
    next_due = queries.next_due

    async def slowly(database: "Database", after: int = 0) -> int | None:
        found = await next_due(database, after)
        looked.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(queries, "next_due", slowly)
    async with ExecutionStore(database=path, clock=clock, sweep_interval_seconds=NEVER) as store:
        await looked.wait()
        record = await store.create_execution()
        pending = await store.set_interaction_required(record.execution_id, TEXT, timeout=5)
        future = pending.future
        go_on.set()
        clock.step(5)
        await asyncio.wait([future], timeout=PATIENCE)
        assert future.done(), "the deadline was forgotten"
        assert isinstance(future.exception(), InteractionExpired)


async def driven_by(path: Path, lease: int | None) -> None:
    """Return once every execution is driven by this lease. Nothing tells of it."""
    await eventually(lambda: rows(path, "SELECT DISTINCT lease FROM executions") == [(lease,)])


async def test_who_awaits_a_prompt_still_drives_its_execution_when_its_last_driver_has_gone(
    path: Path, store: ExecutionStore, clock: ManualClock
) -> None:
    execution_id = (await store.create_execution()).execution_id
    pending = await store.set_interaction_required(execution_id, TEXT)
    future = pending.future
    async with ExecutionStore(database=path, clock=clock) as another:
        await another.set_interaction_required(execution_id, TEXT)  # it is the other's from here on
    assert await store.get(execution_id) is not None
    assert pending.future is future
    await driven_by(path, file_of(store).lease_keeper.lease)
    for open_one in (await store.get(execution_id)).pending_interactions:  # type: ignore[union-attr]
        await store.resolve_interaction(execution_id, open_one.interaction_id, ADA)
    async with ExecutionStore(database=path, clock=clock) as another:
        assert await another.recover() == []
    await store.set_completed(execution_id, (await future).text)  # type: ignore[union-attr]


async def left_paused(
    path: Path, store: ExecutionStore, clock: ManualClock
) -> tuple[ExecutionRecord, PendingInteraction]:
    """An execution with an open prompt whose driver has gone."""
    async with ExecutionStore(database=path, clock=clock) as gone:
        execution_id = (await gone.create_execution()).execution_id
        await gone.set_interaction_required(execution_id, TEXT)
    record = await store.get(execution_id)
    assert record is not None
    assert record.pending_interaction is not None
    return record, record.pending_interaction


async def test_a_prompt_whose_future_is_looked_at_often_is_adopted_once_and_followed_once(
    path: Path, store: ExecutionStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    adoptions: list[Any] = []
    take_over = leases.take_over

    def counted(*arguments: Any, **named: Any) -> list[leases.Claim]:
        adoptions.append(named)
        return take_over(*arguments, **named)

    monkeypatch.setattr(leases, "take_over", counted)
    record, pending = await left_paused(path, store, clock)
    future = pending.future
    await driven_by(path, await file_of(store).lease_keeper.take_lease())
    await store.release(record.execution_id)  # which comes back once that was told
    assert len(adoptions) == 1
    for _ in range(100):
        assert pending.future is future
        await asyncio.sleep(0)
    await store.release(record.execution_id)
    assert len(adoptions) == 1
    assert len(file_of(store).listener._waiters) == 1


async def test_a_reading_that_an_adoption_overtakes_does_not_undo_it(
    path: Path, store: ExecutionStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, pending = await left_paused(path, store, clock)
    read, adopted = asyncio.Event(), asyncio.Event()
    snapshot = queries.snapshot

    async def overtaken(*arguments: Any) -> queries.Snapshot | None:
        seen = await snapshot(*arguments)
        read.set()
        await adopted.wait()
        return seen

    monkeypatch.setattr(queries, "snapshot", overtaken)
    reading = asyncio.ensure_future(store.get(record.execution_id))
    await read.wait()
    future = pending.future
    lease = await file_of(store).lease_keeper.take_lease()
    await driven_by(path, lease)
    await store.release(record.execution_id)  # which comes back once that was told
    adopted.set()
    assert await reading is record
    assert (record.lease, future.done()) == (lease, False)


async def test_who_goes_on_with_what_a_process_left_running_drives_it(
    path: Path, store: ExecutionStore, clock: ManualClock
) -> None:
    async with ExecutionStore(database=path, clock=clock) as gone:
        execution_id = (await gone.create_execution()).execution_id
    (record,) = await store.recover(fail=False)
    await store.set_running(execution_id)
    async with ExecutionStore(database=path, clock=clock) as another:
        assert await another.recover() == []
        await another.set_running(execution_id)  # which changes nothing: it has a driver
    assert await store.recover() == []
    await store.set_completed(execution_id, "after all")
    assert record.status == "completed"


async def test_who_handed_an_execution_over_may_still_ask_after_that_process_is_gone_and_another_drives_it(
    path: Path, store: ExecutionStore, clock: ManualClock
) -> None:
    record = await store.create_execution()
    async with ExecutionStore(database=path, clock=clock) as another:
        await another.set_interaction_required(record.execution_id, TEXT)
        await store.get(record.execution_id)  # which tells it who drives it now
    async with ExecutionStore(database=path, clock=clock) as third:
        await third.set_running(record.execution_id)
        pending = await store.set_interaction_required(record.execution_id, TEXT)
    assert await store.get(record.execution_id) is record
    assert record.pending_interaction is pending


# --- The programs ----------------------------------------------------------------------------------------------------


# The same programs at every ordinary run; the deep one looks for new ones. In halves, so that two workers share them.
@pytest.mark.parametrize("half", [0, 1])
def test_the_store_does_what_the_model_says_in_random_programs(tmp_path: Path, half: int) -> None:
    done = Counter[str]()
    # With these seeds everything happens at once. A change of the rules changes what a seed leads to: then further ones follow.
    for seed in range(3 + half, 23, 2):
        done += explore(tmp_path, 15, seed=seed)
        if all(done[what] for what in OFTEN):
            break
    check_that_it_happened(done, 15, OFTEN)


@pytest.mark.deep
def test_the_store_does_what_the_model_says_in_thousands_of_random_programs(tmp_path: Path) -> None:
    programs = int(os.environ.get("RESTPOINT_DEEP_PROGRAMS", "5000"))
    done = explore(tmp_path, programs)
    check_that_it_happened(done, programs, OFTEN + SELDOM if programs >= 2_000 else OFTEN)
    print(f"\n{done['programs']} programs, {done['steps']} steps, 0 divergences")
    for what, count in done.most_common():
        print(f"{count:>8}  {what}")
