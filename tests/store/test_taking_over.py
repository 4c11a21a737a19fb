"""What a process writes that stood still for so long that another one took its execution over."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio

from restpoint import Context, ExecutionStore, Runner, workflow
from restpoint.errors import ExecutionNotFound, IllegalTransition, LeaseLost
from support import ADA, START, TEXT, ManualClock, eventually, file_of, rows, sql

Verb = Callable[[ExecutionStore, str], Awaitable[object]]

VERBS: dict[str, Verb] = {
    "complete": lambda store, one: store.set_completed(one, "of a process that stood still"),
    "fail": lambda store, one: store.set_failed(one, "it broke"),
    "ask": lambda store, one: store.set_interaction_required(one, TEXT),
    "authorize": lambda store, one: store.set_oauth_required(one, "https://provider.example", "state"),
    "resume": lambda store, one: store.set_running(one),
}


@pytest_asyncio.fixture
async def slow(path: Path, clock: ManualClock) -> AsyncIterator[ExecutionStore]:
    async with ExecutionStore(database=path, clock=clock) as opened:
        yield opened


@pytest_asyncio.fixture
async def other(slow: ExecutionStore, path: Path, clock: ManualClock) -> AsyncIterator[ExecutionStore]:
    async with ExecutionStore(database=path, clock=clock) as opened:
        yield opened


def stand_still(path: Path) -> None:
    """Let the only lease of the file run out, of a process that cannot be seen from here."""
    assert len(rows(path, "SELECT id FROM leases")) == 1
    with sql(path) as connection:
        connection.execute("UPDATE leases SET host = 'elsewhere', expires_at = 0")


def written(path: Path) -> list[tuple[object, ...]]:
    return rows(path, "SELECT status, version, lease, epoch FROM executions") + rows(
        path, "SELECT count(*) FROM history"
    )


@pytest.mark.parametrize("verb", VERBS)
async def test_a_process_that_stood_still_cannot_write_for_what_another_took_over(
    path: Path, slow: ExecutionStore, other: ExecutionStore, verb: str
) -> None:
    record = await slow.create_execution()
    stand_still(path)
    await other.set_running(record.execution_id)
    before = written(path)
    for _ in range(2):
        with pytest.raises(LeaseLost):
            await VERBS[verb](slow, record.execution_id)
        assert await slow.get(record.execution_id) is record  # having read who drives it changes nothing
    assert written(path) == before
    await VERBS[verb](other, record.execution_id)


@pytest.mark.parametrize("verb", ["fail", "ask", "authorize", "resume"])
async def test_a_process_that_stood_still_cannot_write_for_what_another_asked_since(
    path: Path, slow: ExecutionStore, other: ExecutionStore, verb: str
) -> None:
    record = await slow.create_execution()
    stand_still(path)
    pending = await other.set_interaction_required(record.execution_id, TEXT)
    before = written(path)
    with pytest.raises(LeaseLost):
        await VERBS[verb](slow, record.execution_id)
    with pytest.raises(IllegalTransition):
        await slow.set_completed(record.execution_id, None)
    assert written(path) == before
    assert not pending.future.done()
    await VERBS[verb](other, record.execution_id)


async def test_the_task_of_a_process_that_stood_still_fails_nothing_that_another_took_over(
    path: Path, slow: ExecutionStore, other: ExecutionStore, caplog: pytest.LogCaptureFixture
) -> None:
    record = await slow.create_execution()
    stand_still(path)
    await other.set_running(record.execution_id)

    async def work() -> None:
        raise ValueError("it broke")

    record.task = asyncio.ensure_future(work())
    await asyncio.wait([record.task])
    await slow.close()
    assert "LeaseLost" in caplog.text
    assert rows(path, "SELECT status FROM executions") == [("running",)]


async def test_an_answer_a_cancellation_and_a_look_need_no_claim(
    path: Path, slow: ExecutionStore, other: ExecutionStore
) -> None:
    record = await slow.create_execution()
    stand_still(path)
    pending = await other.set_interaction_required(record.execution_id, TEXT)
    await slow.resolve_interaction(record.execution_id, pending.interaction_id, ADA)
    assert await pending.future == ADA
    await slow.cancel(record.execution_id)
    assert rows(path, "SELECT status FROM executions") == [("cancelled",)]


async def test_a_second_process_may_complete_what_nobody_took_over(slow: ExecutionStore, other: ExecutionStore) -> None:
    first, second = await slow.create_execution(), await slow.create_execution()
    await other.set_completed(first.execution_id, "there")
    await other.get(second.execution_id)
    await other.set_completed(second.execution_id, "there, after a look")


async def test_processes_that_live_may_drive_one_execution_in_turns(
    path: Path, slow: ExecutionStore, other: ExecutionStore
) -> None:
    record = await slow.create_execution()
    held = await other.get(record.execution_id)
    for store in (other, slow, other):
        pending = await store.set_interaction_required(record.execution_id, TEXT)
        assert rows(path, "SELECT lease, epoch FROM executions") == [(file_of(store).lease_keeper.lease, 0)]
        await slow.resolve_interaction(record.execution_id, pending.interaction_id, ADA)
    await slow.set_completed(record.execution_id, "in turns")
    assert held is not None


@pytest_asyncio.fixture
async def third(other: ExecutionStore, path: Path, clock: ManualClock) -> AsyncIterator[ExecutionStore]:
    async with ExecutionStore(database=path, clock=clock) as opened:
        yield opened


def lose(path: Path, store: ExecutionStore, how: str) -> None:
    """Have others take the process of this store for dead: it ``died``, or it ``stood still`` where they cannot see it."""
    values = "started = 0" if how == "died" else "host = 'elsewhere', expires_at = 0"
    with sql(path) as connection:
        connection.execute(f"UPDATE leases SET {values} WHERE id = ?", [file_of(store).lease_keeper.lease])


async def renewed(store: ExecutionStore) -> None:
    """Renew the lease of a store, as its thread does, and return when that is done."""
    await asyncio.to_thread(file_of(store).lease_keeper.renew_now)
    with suppress(ExecutionNotFound):
        await store.release("nobody")  # comes back when what was queued before it is done


async def ask_and_answer(store: ExecutionStore, execution_id: str) -> None:
    pending = await store.set_interaction_required(execution_id, TEXT)
    await store.resolve_interaction(execution_id, pending.interaction_id, ADA)


@pytest.mark.parametrize("how", ["left", "died", "stood still"])
async def test_who_handed_an_execution_over_may_write_for_it_however_the_process_ended_that_it_handed_it_to(
    path: Path, slow: ExecutionStore, other: ExecutionStore, third: ExecutionStore, how: str
) -> None:
    records = {verb: await slow.create_execution() for verb in VERBS}
    for record in records.values():
        await ask_and_answer(other, record.execution_id)  # of which ``slow`` reads nothing
    if how == "left":
        await other.close()
    else:
        lose(path, other, how)
    for record in records.values():
        await ask_and_answer(third, record.execution_id)
    assert rows(path, "SELECT DISTINCT lease, epoch FROM executions") == [(file_of(third).lease_keeper.lease, 1)]
    for verb, record in records.items():
        await VERBS[verb](slow, record.execution_id)


async def test_a_process_that_was_taken_for_dead_cannot_write_by_its_old_claims_after_it_renewed_its_lease(
    path: Path, slow: ExecutionStore, other: ExecutionStore
) -> None:
    records = {verb: await slow.create_execution() for verb in VERBS}
    stand_still(path)
    for record in records.values():
        await other.set_running(record.execution_id)
    await renewed(slow)
    assert len(rows(path, "SELECT id FROM leases")) == 2
    before = written(path)
    for verb, record in records.items():
        with pytest.raises(LeaseLost):
            await VERBS[verb](slow, record.execution_id)
    assert written(path) == before


async def test_a_process_that_was_taken_for_dead_by_another_clock_cannot_write_whatever_its_own_clock_says(
    path: Path, slow: ExecutionStore
) -> None:
    records = {verb: await slow.create_execution() for verb in VERBS}
    lose(path, slow, "stood still")
    with sql(path) as connection:
        connection.execute("UPDATE leases SET expires_at = ?", [START + 10_000])
    async with ExecutionStore(database=path, clock=ManualClock(START + 11_000)) as other:
        for record in records.values():
            await other.set_running(record.execution_id)
        for verb, record in records.items():
            with pytest.raises(LeaseLost):
                await VERBS[verb](slow, record.execution_id)


async def test_who_takes_an_execution_back_from_a_process_that_stands_still_fences_that_one_off(
    path: Path, slow: ExecutionStore, other: ExecutionStore
) -> None:
    records = {verb: await slow.create_execution() for verb in VERBS}
    held = [await other.get(record.execution_id) for record in records.values()]
    for record in records.values():
        await ask_and_answer(other, record.execution_id)
    lose(path, other, "stood still")
    for record in records.values():
        await ask_and_answer(slow, record.execution_id)
    for verb, record in records.items():
        with pytest.raises(LeaseLost):
            await VERBS[verb](other, record.execution_id)
        await VERBS[verb](slow, record.execution_id)
    assert all(held)


async def test_a_process_that_lost_an_execution_may_resume_it_once_nobody_drives_it(
    path: Path, clock: ManualClock, slow: ExecutionStore
) -> None:
    record = await slow.create_execution()
    stand_still(path)
    async with ExecutionStore(database=path, clock=clock) as other:
        await other.set_running(record.execution_id)
    with pytest.raises(LeaseLost):
        await slow.set_completed(record.execution_id, "too early")
    await slow.set_running(record.execution_id)
    await slow.set_completed(record.execution_id, "driven again")
    assert record.status == "completed"


async def test_a_record_that_is_read_again_is_driven_by_its_process_still(path: Path, slow: ExecutionStore) -> None:
    execution_id = (await slow.create_execution()).execution_id
    record = await slow.get(execution_id)
    assert record is not None
    stand_still(path)
    async with ExecutionStore(database=path) as other:
        await other.set_running(execution_id)
        with pytest.raises(LeaseLost):
            await slow.set_completed(execution_id, None)


async def test_recovery_leaves_what_a_process_drives_that_only_stands_still(
    path: Path, slow: ExecutionStore, other: ExecutionStore
) -> None:
    @workflow
    async def patient(ctx: Context) -> None:
        await ctx.ask(TEXT)

    record = await slow.create_execution()
    async with Runner(slow, [patient], hold_paused_for=600) as runner:
        run = (await runner.start("patient")).record
        while not run.pending_interactions:
            await run.changed()
        with sql(path) as connection:
            connection.execute("UPDATE leases SET expires_at = 0")  # which a process of this machine may outlive
        async with Runner(other, [patient]):
            await eventually(lambda: rows(path, "SELECT 1 FROM history WHERE event = 'execution_recovered'"))
        assert await other.recover() == []
    await slow.set_completed(record.execution_id, "in its own time")


async def test_a_renewal_that_comes_when_the_lease_is_dropped_does_not_make_it_anew(
    path: Path, store: ExecutionStore
) -> None:
    await store.create_execution()
    keeper = file_of(store).lease_keeper
    await keeper.close()
    await asyncio.to_thread(keeper.renew_now)  # as the thread does that found it open a moment ago
    await store.release((await store.list()).items[0].execution_id)  # comes back when what was queued before it is done
    assert rows(path, "SELECT id FROM leases") == []
