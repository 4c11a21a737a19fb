"""Every (status, trigger) pair and every (from, to) pair: the legal ones move, the others are refused, nothing written.

The tables stand here a second time, by hand, so that a slip in the lifecycle is a failing test and not a new truth.
"""

import itertools
import shutil
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio

import reference
from restpoint import ExecutionStore, lifecycle
from restpoint._core.changes import Change
from restpoint._core.execution_row import ExecutionRow
from restpoint._core.retention_rules import FOREVER
from restpoint._storage import executions, queries, retries, waits
from restpoint._storage.sqlite import migrations
from restpoint._storage.sqlite.database import Database
from restpoint.errors import (
    IllegalTransition,
    InteractionAlreadyResolved,
    InteractionExpired,
    InteractionWithdrawn,
    Refused,
)
from support import ADA, GRACE, START, TEXT, ManualClock, dump, folded_statuses, rows, sql

EXECUTION: Final = ("running", "interaction_required", "oauth_required", "completed", "failed", "cancelled")
INTERACTION: Final = ("pending", "answered", "expired", "withdrawn")
CONSENT: Final = ("pending", "exchanging", "granted", "denied", "expired", "withdrawn")
STATUSES: Final = {"execution": EXECUTION, "interaction": INTERACTION, "consent": CONSENT}
TRIGGERS: Final = {
    "execution": ("ask", "authorize", "settle", "complete", "fail", "cancel", "retry"),
    "interaction": ("answer", "expire", "withdraw"),
    "consent": ("redeem", "retry", "grant", "deny", "expire", "withdraw"),
}
PAUSED: Final = ("interaction_required", "oauth_required")
LIVE: Final = ("running", *PAUSED)
ENDED: Final = ("completed", "failed", "cancelled")

LEGAL: Final[dict[str, dict[tuple[str, str], set[str]]]] = {
    "execution": {
        ("running", "ask"): {"interaction_required"},
        ("running", "authorize"): {"oauth_required"},
        ("running", "complete"): {"completed"},
        **{(paused, trigger): {paused} for paused in PAUSED for trigger in ("ask", "authorize")},
        **{(paused, "settle"): set(LIVE) for paused in PAUSED},
        **{(live, "fail"): {"failed"} for live in LIVE},
        **{(live, "cancel"): {"cancelled"} for live in LIVE},
        ("failed", "retry"): {"running"},
    },
    "interaction": {
        ("pending", "answer"): {"answered"},
        ("pending", "expire"): {"expired"},
        ("pending", "withdraw"): {"withdrawn"},
    },
    "consent": {
        ("pending", "redeem"): {"exchanging"},
        ("exchanging", "retry"): {"pending"},
        ("exchanging", "grant"): {"granted"},
        **{(status, "deny"): {"denied"} for status in ("pending", "exchanging")},
        **{(status, "expire"): {"expired"} for status in ("pending", "exchanging")},
        **{(status, "withdraw"): {"withdrawn"} for status in ("pending", "exchanging")},
    },
}
PAIRS: Final = [(kind, status, trigger) for kind in STATUSES for status in STATUSES[kind] for trigger in TRIGGERS[kind]]


def written(path: Path) -> list[str]:
    """Everything in the file but the leases, which are renewed by the clock."""
    return [line for line in dump(path) if not line.startswith('INSERT INTO "leases"')]


# --- The table -------------------------------------------------------------------------------------------------------


def test_the_statuses_and_triggers_are_those_that_are_documented() -> None:
    assert {kind: set(lifecycle.statuses(kind)) for kind in STATUSES} == {k: set(v) for k, v in STATUSES.items()}
    assert {kind: set(lifecycle.triggers(kind)) for kind in TRIGGERS} == {k: set(v) for k, v in TRIGGERS.items()}
    assert [lifecycle.initial(kind) for kind in STATUSES] == ["running", "pending", "pending"]


@pytest.mark.parametrize(("kind", "status", "trigger"), PAIRS)
def test_the_table_has_every_legal_move_and_no_other(kind: str, status: str, trigger: str) -> None:
    allowed = LEGAL[kind].get((status, trigger), set())
    for to in STATUSES[kind]:
        if to in allowed:
            assert lifecycle.move(kind, "x-1", status, trigger, to) == to
            continue
        with pytest.raises(IllegalTransition) as caught:
            lifecycle.move(kind, "x-1", status, trigger, to)
        assert (caught.value.subject, caught.value.status, caught.value.trigger) == (
            f"{kind.capitalize()} x-1",
            status,
            trigger,
        )
        for word in (kind.capitalize(), "x-1", status, trigger):
            assert word in str(caught.value)
    if len(allowed) == 1:
        assert lifecycle.move(kind, "x-1", status, trigger) in allowed
    else:
        with pytest.raises(IllegalTransition):
            lifecycle.move(kind, "x-1", status, trigger)


def test_the_refusal_of_an_illegal_move_says_what_is_legal() -> None:
    with pytest.raises(IllegalTransition, match="can only: ask, authorize, settle, fail, cancel"):
        lifecycle.move("execution", "x", "interaction_required", "complete")
    with pytest.raises(IllegalTransition, match="completed is final"):
        lifecycle.move("execution", "x", "completed", "cancel")
    assert IllegalTransition.code == "illegal_transition"
    assert issubclass(IllegalTransition, ValueError)


# --- Through the store -----------------------------------------------------------------------------------------------

Trigger = Callable[[ExecutionStore, str], Awaitable[Any]]

# Only what a runner ran can go on; so these executions get what a runner would have written at the start.
A_RUN: Final = (
    "INSERT INTO runs (execution_key, version, input) SELECT key, 1, 'null' FROM executions"
    " WHERE status = 'failed' AND id = ?"
)


async def retry(store: ExecutionStore, one: str) -> None:
    with sql(store.path) as connection:
        connection.execute(A_RUN, (one,))
    await store.retry(one, "try again")


def retry_in(tx: Any, one: str) -> None:
    tx.execute(A_RUN, (one,))
    retries.retry(tx, one, None, None)


CALLS: Final[dict[str, Trigger]] = {
    "ask": lambda store, one: store.set_interaction_required(one, TEXT),
    "authorize": lambda store, one: store.set_oauth_required(one, "https://id.example/go", "state"),
    "settle": lambda store, one: store.set_running(one),
    "complete": lambda store, one: store.set_completed(one, {"n": 1}),
    "fail": lambda store, one: store.set_failed(one, "it broke", code="broken"),
    "cancel": lambda store, one: store.cancel(one, "why not"),
    "retry": retry,
}
# Documented as idempotent: nothing moves, nothing is written, nobody is refused.
NOTHING_HAPPENS: Final = {("running", "settle"), ("cancelled", "cancel")}


async def execution_in(store: ExecutionStore, status: str) -> str:
    """A new execution, brought to ``status`` in the ordinary way."""
    one = (await store.create_execution()).execution_id
    way = dict(zip(EXECUTION, ("settle", "ask", "authorize", "complete", "fail", "cancel"), strict=True))
    await CALLS[way[status]](store, one)
    return one


@pytest.mark.parametrize("status", EXECUTION)
async def test_the_store_moves_an_execution_as_the_table_says_or_refuses(
    store: ExecutionStore, path: Path, status: str, subtests: pytest.Subtests
) -> None:
    for trigger in TRIGGERS["execution"]:
        with subtests.test(trigger=trigger):
            await _the_store_moves_or_refuses(store, path, status, trigger)


async def _the_store_moves_or_refuses(store: ExecutionStore, path: Path, status: str, trigger: str) -> None:
    one = await execution_in(store, status)
    record = await store.get(one)
    assert record is not None
    assert str(record.status) == status
    before = written(path)
    allowed = LEGAL["execution"].get((status, trigger))
    if allowed is None and (status, trigger) not in NOTHING_HAPPENS:
        with pytest.raises(IllegalTransition) as caught:
            await CALLS[trigger](store, one)
        assert (caught.value.subject, caught.value.status, caught.value.trigger) == (
            f"Execution {one}",
            status,
            trigger,
        )
        allowed = None
    else:
        await CALLS[trigger](store, one)
    if allowed is None:
        assert written(path) == before
        assert str(record.status) == status
    else:
        expected = "running" if trigger == "settle" else next(iter(allowed))
        assert str(record.status) == expected
        assert rows(path, "SELECT status FROM executions WHERE id = ?", one) == [(expected,)]
        assert folded_statuses(path)[one] == expected
        assert written(path) != before


@pytest.mark.parametrize("first", PAUSED)
@pytest.mark.parametrize("second", PAUSED)
async def test_a_settled_wait_leads_to_the_kind_of_the_oldest_that_is_open(
    store: ExecutionStore, first: str, second: str
) -> None:
    ways = {"interaction_required": "ask", "oauth_required": "authorize"}
    record = await store.create_execution()
    one = record.execution_id
    await CALLS[ways[first]](store, one)
    await CALLS[ways[second]](store, one)
    assert str(record.status) == first
    oldest = [entry.wait_id for entry in await store.history(one) if entry.wait_id is not None]
    assert oldest[0] is not None
    assert oldest[1] is not None
    await store.withdraw(one, oldest[0])
    assert str(record.status) == second
    await store.withdraw(one, oldest[1])
    assert str(record.status) == "running"


async def test_the_younger_of_two_waits_may_settle_first(store: ExecutionStore) -> None:
    record = await store.create_execution()
    one = record.execution_id
    await store.set_oauth_required(one, "https://id.example/go", "state")
    pending = await store.set_interaction_required(one, TEXT)
    await store.resolve_interaction(one, pending.interaction_id, ADA)
    assert str(record.status) == "oauth_required"


WAIT: Final = "w-1"


async def interaction_in(store: ExecutionStore, clock: ManualClock, status: str) -> str:
    """The execution of an interaction ``w-1`` that is in ``status``."""
    one = (await store.create_execution()).execution_id
    pending = await store.set_interaction_required(one, TEXT, WAIT, timeout=60)
    if status == "answered":
        await store.resolve_interaction(one, WAIT, ADA)
    elif status == "expired":
        future = pending.future
        clock.step(60)
        with pytest.raises(InteractionExpired):
            await future
    elif status == "withdrawn":
        await store.withdraw(one, WAIT)
    return one


@pytest.mark.parametrize("trigger", TRIGGERS["interaction"])
@pytest.mark.parametrize("status", INTERACTION)
async def test_the_store_moves_an_interaction_as_the_table_says_or_refuses(
    store: ExecutionStore, path: Path, clock: ManualClock, status: str, trigger: str
) -> None:
    one = await interaction_in(store, clock, status)
    assert rows(path, "SELECT status FROM interactions") == [(status,)]
    before = written(path)
    expected = status
    # Whoever answers a closed prompt is told how it closed rather than what the table says.
    closed = {"answered": InteractionAlreadyResolved, "expired": InteractionExpired, "withdrawn": InteractionWithdrawn}
    if status == "pending":
        expected = {"answer": "answered", "expire": "expired", "withdraw": "withdrawn"}[trigger]
        if trigger == "answer":
            await store.resolve_interaction(one, WAIT, ADA)
        elif trigger == "withdraw":
            await store.withdraw(one, WAIT)
        else:
            clock.step(60)
            with pytest.raises(InteractionExpired):
                await store.resolve_interaction(one, WAIT, ADA)
    elif trigger == "answer":
        with pytest.raises(closed[status]) as refused:
            await store.resolve_interaction(one, WAIT, GRACE)
        assert isinstance(refused.value, Refused)
    elif trigger == "expire":
        clock.step(3600)
        assert await expire_everything(path, clock) == []
    elif status == "withdrawn":
        await store.withdraw(one, WAIT, "again")  # documented as idempotent
    else:
        with pytest.raises(IllegalTransition) as caught:
            await store.withdraw(one, WAIT)
        assert (caught.value.subject, caught.value.status, caught.value.trigger) == (
            f"Interaction {WAIT}",
            status,
            "withdraw",
        )
    assert rows(path, "SELECT status FROM interactions") == [(expected,)]
    assert (written(path) == before) is (expected == status)


async def expire_everything(path: Path, clock: ManualClock) -> list[Change]:
    """What the clockwork of another process would do now."""
    database, events = await Database.open(path, clock), list[Change]()
    database.sink = lambda committed: events.extend(committed.events)
    try:
        for execution_id, wait_id in await queries.past_deadline(database, clock.now(), 100):
            await database.write(partial(waits.expire, execution_id=execution_id, wait_id=wait_id, keeping=FOREVER))
        return events
    finally:
        await database.close()


CONSENT_MOVES: Final = [
    (source, to)
    for source in CONSENT
    for to in CONSENT
    if any(source == status and to in targets for (status, _), targets in LEGAL["consent"].items())
]
CONSENT_WAY: Final[dict[str, list[str]]] = {
    "pending": [],
    "exchanging": ["exchanging"],
    "granted": ["exchanging", "granted"],
    "denied": ["denied"],
    "expired": ["expired"],
    "withdrawn": ["withdrawn"],
}


def move_consent(connection: sqlite3.Connection, to: str) -> int:
    closed_at = None if to in {"pending", "exchanging"} else START
    return connection.execute("UPDATE consents SET status = ?, closed_at = ?", (to, closed_at)).rowcount


@pytest.mark.parametrize("status", CONSENT)
async def test_the_store_withdraws_a_consent_that_is_open_and_refuses_for_one_that_is_not(
    store: ExecutionStore, path: Path, status: str
) -> None:
    record = await store.create_execution()
    one = record.execution_id
    await store.set_oauth_required(one, "https://id.example/go", "state")
    consent = record.pending_oauth
    assert consent is not None
    if status == "withdrawn":
        await store.withdraw(one, consent.consent_id)
    else:
        with sql(path) as connection:
            assert [move_consent(connection, to) for to in CONSENT_WAY[status]] == [1] * len(CONSENT_WAY[status])
    before = written(path)
    if status in {"pending", "exchanging"}:
        await store.withdraw(one, consent.consent_id)
        assert rows(path, "SELECT status FROM consents") == [("withdrawn",)]
        assert str(record.status) == "running"
        return
    if status == "withdrawn":
        await store.withdraw(one, consent.consent_id)
    else:
        with pytest.raises(IllegalTransition) as caught:
            await store.withdraw(one, consent.consent_id)
        assert (caught.value.subject, caught.value.status) == (f"Consent {consent.consent_id}", status)
        assert caught.value.trigger == "withdraw"
    assert written(path) == before


@pytest.mark.parametrize("status", CONSENT)
async def test_only_an_open_consent_expires(path: Path, clock: ManualClock, status: str) -> None:
    async with ExecutionStore(database=path, clock=clock) as store:
        one = (await store.create_execution()).execution_id
        await store.set_oauth_required(one, "https://id.example/go", "state", timeout=60)
    if status == "withdrawn":
        async with ExecutionStore(database=path, clock=clock) as store:
            await store.set_running(one)
    else:
        with sql(path) as connection:
            assert [move_consent(connection, to) for to in CONSENT_WAY[status]] == [1] * len(CONSENT_WAY[status])
    clock.step(60)
    before = written(path)
    changes = await expire_everything(path, clock)
    if status in {"pending", "exchanging"}:
        assert [(change.event, change.status) for change in changes] == [("consent_expired", "running")]
        assert rows(path, "SELECT status FROM consents") == [("expired",)]
    else:
        assert changes == []
        assert written(path) == before


# --- Through the ledger ----------------------------------------------------------------------------------------------

Job = Callable[[Any], Any]

JOBS: Final[dict[str, Callable[[str, str], Job]]] = {
    "ask": lambda one, wait: (
        lambda tx: waits.ask(tx, one, wait, '{"text":"?","input_type":"text"}', None, None, None, "{}")
    ),
    "authorize": lambda one, wait: lambda tx: waits.authorize(tx, one, wait, "https://x", "s", None, None, None),
    "settle": lambda one, _: lambda tx: executions.resume(tx, one, 1, None, None),
    "complete": lambda one, _: lambda tx: executions.complete(tx, one, "1", FOREVER, None),
    "fail": lambda one, _: lambda tx: executions.fail(tx, one, "it broke", None, FOREVER, None),
    "cancel": lambda one, _: lambda tx: executions.cancel(tx, one, None, FOREVER, None),
    "retry": lambda one, _: lambda tx: retry_in(tx, one),
}


@pytest_asyncio.fixture
async def database(path: Path, clock: ManualClock) -> AsyncIterator[Database]:
    migrations.prepare(path)
    opened = await Database.open(path, clock)
    yield opened
    await opened.close()


@pytest.mark.parametrize("status", EXECUTION)
async def test_the_ledger_moves_an_execution_as_the_table_says_or_refuses(
    database: Database, path: Path, status: str, subtests: pytest.Subtests
) -> None:
    for trigger in TRIGGERS["execution"]:
        with subtests.test(trigger=trigger):
            await _the_ledger_moves_or_refuses(database, path, status, trigger)


async def _the_ledger_moves_or_refuses(database: Database, path: Path, status: str, trigger: str) -> None:
    one, (first, second) = f"for {trigger}", (f"first of {trigger}", f"second of {trigger}")
    await database.write(lambda tx: executions.create(tx, ExecutionRow(one, "running"), None))
    way = dict(zip(EXECUTION, ("settle", "ask", "authorize", "complete", "fail", "cancel"), strict=True))
    await database.write(JOBS[way[status]](one, first))
    assert rows(path, "SELECT status FROM executions WHERE id = ?", one) == [(status,)]
    before = written(path)
    allowed = LEGAL["execution"].get((status, trigger))
    if allowed is not None:
        await database.write(JOBS[trigger](one, second))
        expected = "running" if trigger == "settle" else next(iter(allowed))
        assert rows(path, "SELECT status FROM executions WHERE id = ?", one) == [(expected,)]
        assert folded_statuses(path)[one] == expected
        return
    if (status, trigger) in NOTHING_HAPPENS:
        await database.write(JOBS[trigger](one, second))
    else:
        with pytest.raises(IllegalTransition) as caught:
            await database.write(JOBS[trigger](one, second))
        assert (caught.value.subject, caught.value.status, caught.value.trigger) == (
            f"Execution {one}",
            status,
            trigger,
        )
    assert written(path) == before


async def test_an_illegal_move_costs_the_other_writes_of_its_batch_nothing(database: Database, path: Path) -> None:
    await database.write(lambda tx: executions.create(tx, ExecutionRow("ended", "running"), None))
    await database.write(JOBS["complete"]("ended", ""))
    new = [ExecutionRow(f"e-{n}", "running") for n in range(5)]
    writes = [database.write(partial(executions.create, row=row, actor=None)) for row in new]
    writes.insert(2, database.write(JOBS["fail"]("ended", "")))
    outcomes = []
    for write in writes:
        try:
            await write
            outcomes.append("written")
        except IllegalTransition:
            outcomes.append("refused")
    assert outcomes == ["written", "written", "refused", "written", "written", "written"]
    assert rows(path, "SELECT count(*) FROM executions WHERE status = 'running'") == [(5,)]


# --- Through SQL typed by hand ---------------------------------------------------------------------------------------


def legal(kind: str, source: str, to: str) -> bool:
    """Whether some trigger leads from one to the other; a paused one may stay paused in the same way."""
    return any(source == status and to in targets for (status, _), targets in LEGAL[kind].items())


@pytest.mark.parametrize("source", EXECUTION)
async def test_sql_moves_an_execution_only_as_the_table_says(path: Path, clock: ManualClock, source: str) -> None:
    async with ExecutionStore(database=path, clock=clock) as store:
        await execution_in(store, source)
    for to, verb in itertools.product(EXECUTION, ("UPDATE", "UPDATE OR REPLACE", "UPDATE OR IGNORE")):
        if source == to and source in LIVE:
            continue  # no move
        with sql(path) as connection:
            connection.execute("BEGIN")
            # Everything else as the checks want it, so that only the move can be what is refused.
            statement = f"{verb} executions SET status = ?, completed_at = ?, open_waits = ?, expires_at = NULL"
            values = (to, START + 5 if to in ENDED else None, 1 if to in PAUSED else 0)
            if legal("execution", source, to):
                assert connection.execute(statement, values).rowcount == 1
                assert connection.execute("SELECT status FROM executions").fetchall() == [(to,)]
            else:
                with pytest.raises(sqlite3.IntegrityError, match=r"illegal transition of an execution|has ended"):
                    connection.execute(statement, values)
            connection.execute("ROLLBACK")
    assert rows(path, "SELECT status FROM executions") == [(source,)]


@pytest.mark.parametrize("source", INTERACTION)
async def test_sql_moves_an_interaction_only_as_the_table_says(path: Path, clock: ManualClock, source: str) -> None:
    async with ExecutionStore(database=path, clock=clock) as store:
        await interaction_in(store, clock, source)
    for to in INTERACTION:
        if source == to == "pending":
            continue
        with sql(path) as connection:
            connection.execute("BEGIN")
            statement = "UPDATE interactions SET status = ?, closed_at = ?, response = ?"
            values = (to, None if to == "pending" else START + 5, "{}" if to == "answered" else None)
            if legal("interaction", source, to):
                assert connection.execute(statement, values).rowcount == 1
            else:
                with pytest.raises(sqlite3.IntegrityError, match=r"illegal transition|closes once"):
                    connection.execute(statement, values)
            connection.execute("ROLLBACK")


@pytest.mark.parametrize("source", CONSENT)
async def test_sql_moves_a_consent_only_as_the_table_says(path: Path, clock: ManualClock, source: str) -> None:
    async with ExecutionStore(database=path, clock=clock) as store:
        one = (await store.create_execution()).execution_id
        await store.set_oauth_required(one, "https://id.example/go", "state")
    with sql(path) as connection:
        assert [move_consent(connection, to) for to in CONSENT_WAY[source]] == [1] * len(CONSENT_WAY[source])
        for to in CONSENT:
            if source == to:
                continue
            connection.execute("BEGIN")
            if (source, to) in CONSENT_MOVES:
                assert move_consent(connection, to) == 1
            else:
                with pytest.raises(sqlite3.IntegrityError, match="illegal transition of a consent"):
                    move_consent(connection, to)
            connection.execute("ROLLBACK")


@pytest.mark.parametrize("table", ["executions", "interactions", "consents"])
async def test_sql_cannot_write_a_status_that_is_none(store: ExecutionStore, path: Path, table: str) -> None:
    one = await execution_in(store, "interaction_required")
    await store.set_oauth_required(one, "https://id.example/go", "state")
    before = written(path)
    for status in ("", "RUNNING", "done", None):
        with sql(path) as connection, pytest.raises(sqlite3.IntegrityError):
            connection.execute(f"UPDATE {table} SET status = ?", (status,))
        assert written(path) == before, status


TAMPERING: Final = {
    "an insert that begins at the end": "INSERT INTO executions (id, status, version, open_waits, created_at,"
    " completed_at) VALUES ('forged', 'completed', 1, 0, 0, 0)",
    "replacing an ended execution by a running one": "INSERT OR REPLACE INTO executions (key, id, status, version,"
    " open_waits, created_at) SELECT key, id, 'running', 1, 0, created_at FROM executions WHERE status = 'completed'",
    "replacing by id": "REPLACE INTO executions (id, status, version, open_waits, created_at)"
    " SELECT id, 'running', 1, 0, created_at FROM executions WHERE status = 'completed'",
    "replacing by taking a key": "UPDATE OR REPLACE executions SET key ="
    " (SELECT key FROM executions WHERE status = 'completed') WHERE status = 'interaction_required'",
    "replacing by taking an id": "UPDATE OR REPLACE executions SET id ="
    " (SELECT id FROM executions WHERE status = 'completed') WHERE status = 'interaction_required'",
    "another result": "UPDATE executions SET result = '2' WHERE status = 'completed'",
    "another end": "UPDATE executions SET completed_at = 1 WHERE status = 'completed'",
    "an error beside a result": "UPDATE executions SET error = 'x' WHERE status = 'completed'",
    "deleting a live execution": "DELETE FROM executions WHERE status = 'interaction_required'",
    "deleting everything": "DELETE FROM executions",
    "a prompt changed after it was asked": "UPDATE interactions SET prompt = '{}' WHERE status = 'pending'",
    "another prompt for an answer": "UPDATE interactions SET prompt = '{}' WHERE status = 'answered'",
    "another answer": "UPDATE interactions SET response = '{}' WHERE status = 'answered'",
    "another answerer": "UPDATE interactions SET answered_by = 'eve' WHERE status = 'answered'",
    "an answer moved to another execution": "UPDATE interactions SET execution_key ="
    " (SELECT key FROM executions WHERE status = 'interaction_required') WHERE status = 'answered'",
    "another id for a prompt": "UPDATE interactions SET id = 'other'",
    "an interaction that begins answered": "INSERT INTO interactions (execution_key, id, status, opened, prompt,"
    " created_at, closed_at, response) SELECT key, 'forged', 'answered', 1, '{}', 0, 0, '{}' FROM executions LIMIT 1",
    "replacing an answer": "INSERT OR REPLACE INTO interactions (execution_key, id, status, opened, prompt, created_at)"
    " SELECT execution_key, id, 'pending', opened, prompt, created_at FROM interactions WHERE status = 'answered'",
    "replacing an answer by its key": "INSERT OR REPLACE INTO interactions (key, execution_key, id, status, opened,"
    " prompt, created_at) SELECT key, execution_key, 'x', 'pending', opened, prompt, created_at FROM interactions"
    " WHERE status = 'answered'",
    "replacing an answer by moving another on its key": "UPDATE OR REPLACE interactions SET key ="
    " (SELECT key FROM interactions WHERE status = 'answered') WHERE status = 'pending'",
    "deleting an answer": "DELETE FROM interactions WHERE status = 'answered'",
    "deleting an open prompt": "DELETE FROM interactions WHERE status = 'pending'",
    "rewriting history": "UPDATE history SET actor = 'eve'",
    "rewriting one digest": "UPDATE history SET digest = zeroblob(32) WHERE sequence = 2",
    "erasing a detail by hand": "UPDATE OR REPLACE history SET detail = NULL WHERE detail IS NOT NULL",
    "renumbering history": "UPDATE OR REPLACE history SET sequence = sequence + 1 WHERE sequence = 1",
    "deleting history": "DELETE FROM history",
    "deleting the newest row of history": "DELETE FROM history WHERE sequence = (SELECT max(sequence) FROM history)",
    "replacing a row of history": "INSERT OR REPLACE INTO history SELECT * FROM history WHERE sequence = 2",
    "inserting before the end of history": "INSERT INTO history (sequence, event, time, digest)"
    " VALUES (0, 'forged', 0, zeroblob(32))",
    "moving the anchor to a digest that is none": "UPDATE history_anchor SET sequence = 2, digest = zeroblob(32)",
    "moving the anchor past the end": "UPDATE history_anchor SET sequence = 999",
    "deleting the anchor": "DELETE FROM history_anchor",
    "replacing the anchor": "INSERT OR REPLACE INTO history_anchor VALUES (1, 999, zeroblob(32))",
    "a second anchor": "INSERT INTO history_anchor VALUES (2, 1, zeroblob(32))",
    "replacing the anchor by an update": "UPDATE OR REPLACE history_anchor SET only = 1, sequence = 999",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def a_life(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with an execution that was answered and is completed, and one that waits."""
    path = tmp_path_factory.mktemp("life") / "restpoint.db"
    async with ExecutionStore(database=path, clock=ManualClock()) as store:
        done = await store.create_execution()
        await store.set_interaction_required(done.execution_id, TEXT, "q-1")
        await store.resolve_interaction(done.execution_id, "q-1", ADA, actor="ada")
        await store.set_completed(done.execution_id, 1)
        waiting = await store.create_execution()
        await store.set_interaction_required(waiting.execution_id, TEXT, "q-2")
    return path


@pytest.mark.parametrize("statement", TAMPERING.values(), ids=TAMPERING.keys())
def test_the_database_refuses(a_life: Path, path: Path, statement: str) -> None:
    shutil.copy(a_life, path)
    before = dump(path)
    with sql(path) as connection:
        assert connection.execute(as_question(statement)).fetchone()[0] > 0  # there is something to tamper with
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(statement)
    assert dump(path) == before


def as_question(statement: str) -> str:
    """How many rows the statement would touch, as a question that changes nothing."""
    if "SELECT" in statement and statement.startswith(("INSERT", "REPLACE")):
        return f"SELECT count(*) FROM (SELECT {statement.partition('SELECT')[2]})"
    if "VALUES" in statement:
        return "SELECT 1"
    where = statement.rpartition(" WHERE ")[2] if statement.rpartition(" WHERE ")[0] else "1"
    words = statement.replace("OR REPLACE ", "").split()
    table = words[2] if words[0] == "DELETE" else words[1]
    if where.count(")") > where.count("("):
        where = "1"  # the last WHERE stands in a subquery
    return f"SELECT count(*) FROM {table} WHERE {where}"


# --- The picture -----------------------------------------------------------------------------------------------------


def test_the_picture_has_every_status_and_every_move() -> None:
    lines = [line.strip() for line in reference.picture().splitlines()]
    assert lines[:2] == ["```mermaid", "stateDiagram-v2"]
    for kind, table in LEGAL.items():
        for status in STATUSES[kind]:
            assert f'state "{status}" as {kind}_{status}' in lines
        for (source, trigger), targets in table.items():
            for to in targets:
                arrow = f"{kind}_{source} --> {kind}_{to}: "
                (label,) = [line.removeprefix(arrow) for line in lines if line.startswith(arrow)]
                assert trigger in label.split(" / ")
    moves = {(kind, source, to) for kind in LEGAL for (source, _), targets in LEGAL[kind].items() for to in targets}
    assert sum(" --> " in line and ": " in line for line in lines) == len(moves)


def test_the_documentation_shows_the_picture_that_the_table_draws() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "concepts" / "lifecycle.md"
    assert reference.picture() in page.read_text(encoding="utf-8")
