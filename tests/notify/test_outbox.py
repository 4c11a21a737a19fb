"""The outbox in the file: what the transaction of an event writes, and what makes a notice moot."""

import asyncio
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from notices import notices
from restpoint import ExecutionStore
from restpoint._storage import leases, outbox
from restpoint._storage.sqlite import checks
from restpoint.events import EventKind
from support import ADA, TEXT, ManualClock, broken_history, file_of, rows, sql

QUESTIONS = outbox.Route("questions", "office", (EventKind.INTERACTION_ASKED, EventKind.INTERACTION_REASSIGNED))


OPEN = {"questions": None, "ends": None}


async def register(store: ExecutionStore, *routes: outbox.Route) -> None:
    await (await store.file()).database.write(outbox.register, routes)


async def asked(
    store: ExecutionStore, workflow: str = "refund", owner: str = "ada", **terms: object
) -> tuple[str, str]:
    record = await store.create_execution(workflow=workflow, owner=owner)
    pending = await store.set_interaction_required(record.execution_id, TEXT, **terms)  # type: ignore[arg-type]
    return record.execution_id, pending.interaction_id


async def test_a_question_has_its_notice_in_the_same_transaction(store: ExecutionStore, path: Path) -> None:
    await register(store, QUESTIONS)
    execution_id, interaction_id = await asked(store)
    ((sequence, time),) = rows(path, "SELECT sequence, time FROM history WHERE event = 'interaction_asked'")
    found = notices(path, "sequence, route, channel, execution_id, wait_id, status, attempts, created_at, due_at, asks")
    assert found == [(sequence, "questions", "office", execution_id, interaction_id, "pending", 0, time, time, 1)]
    (notice_id,) = notices(path, "id")
    assert notice_id[14] == "7"
    assert len(notice_id) == 36
    assert int(notice_id.replace("-", "")[:12], 16) == time


async def test_the_check_of_a_file_names_what_has_failed_for_over_an_hour(
    store: ExecutionStore, path: Path, clock: ManualClock
) -> None:
    await register(store, QUESTIONS)
    await asked(store)
    await asked(store)

    def looked_at() -> checks.Finding:
        (found,) = (each for each in checks.examine(path, clock.now(), quick=True) if each.name == "outbox")
        return found

    clock.step(3_599)
    with sql(path) as connection:
        connection.execute("UPDATE outbox SET due_at = ?", (clock.now() + 600_000,))
        connection.execute(
            "UPDATE outbox SET attempts = 5, problem = '502 Bad Gateway' WHERE id = (SELECT min(id) FROM outbox)"
        )
    assert looked_at().severity == "ok", "an outage may be short"
    clock.step(2)
    found = looked_at()
    assert found.severity == "warning"
    assert found.figures == {"pending": 2, "overdue": 0, "failing": 1, "given_up": 0, "disabled_routes": []}
    assert "1 have failed for over an hour" in found.word


async def test_the_check_of_a_file_counts_what_is_claimed_and_tells_of_what_a_process_that_is_gone_had_claimed(
    store: ExecutionStore, path: Path, clock: ManualClock
) -> None:
    await register(store, QUESTIONS)
    await asked(store)
    file = file_of(store)
    lease = await file.take_lease()
    (claimed,) = await file.database.write(outbox.claim, "office", lease, 10, OPEN)
    assert await file.database.write(outbox.failed, claimed, lease, "502 Bad Gateway", 1) == "pending"
    clock.step(3_601)
    rows(path, "UPDATE leases SET expires_at = ?", clock.now() + 60_000)
    assert len(await file.database.write(outbox.claim, "office", lease, 10, OPEN)) == 1

    def looked_at() -> checks.Finding:
        (found,) = (each for each in checks.examine(path, clock.now(), quick=True) if each.name == "outbox")
        return found

    figures = {"pending": 1, "overdue": 0, "failing": 1, "given_up": 0, "disabled_routes": []}
    assert looked_at().figures == figures, "whoever is alive sends what it has claimed"
    assert "1 notices wait, the oldest for" in looked_at().word
    rows(path, "UPDATE outbox SET lease = 4711")
    found = looked_at()
    assert (found.severity, found.figures) == ("warning", {**figures, "overdue": 1})
    assert "1 are due and nobody sends them" in found.word


async def test_a_refused_question_has_no_notice(store: ExecutionStore, path: Path) -> None:
    await register(store, QUESTIONS)
    record = await store.create_execution()
    await store.set_completed(record.execution_id, None)
    with pytest.raises(Exception, match="completed"):
        await store.set_interaction_required(record.execution_id, TEXT)
    assert notices(path) == []


@pytest.mark.parametrize(
    ("route", "matches"),
    [
        ({"workflows": ("refund",)}, True),
        ({"workflows": ("hello", "bye")}, False),
        ({"owners": ("ada", "bob")}, True),
        ({"owners": ("bob",)}, False),
        ({"assignees": ("group:finance",)}, True),
        ({"assignees": ("joan",)}, True),
        ({"assignees": ("group:legal",)}, False),
        ({"workflows": ("refund",), "owners": ("bob",)}, False),
        ({"workflows": ("refund",), "owners": ("ada",), "assignees": ("group:legal", "joan")}, True),
    ],
)
async def test_a_route_tells_of_what_it_names(
    store: ExecutionStore, path: Path, route: dict[str, tuple[str, ...]], matches: bool
) -> None:
    await register(store, outbox.Route("one", "office", (EventKind.INTERACTION_ASKED,), **route))
    await asked(store, assignees=["joan", "group:finance"])
    assert len(notices(path)) == matches


async def test_each_route_has_a_notice_of_its_own(store: ExecutionStore, path: Path) -> None:
    ends = outbox.Route("ends", "mail", (EventKind.EXECUTION_COMPLETED, EventKind.INTERACTION_ASKED))
    await register(store, QUESTIONS, ends)
    execution_id, interaction_id = await asked(store)
    await store.resolve_interaction(execution_id, interaction_id, ADA)
    await store.set_completed(execution_id, None)
    assert notices(path, "route, status, asks") == [
        ("ends", "moot", 1), ("questions", "moot", 1), ("ends", "pending", 0),
    ]  # fmt: skip
    assert len(set(notices(path, "id"))) == 3


@pytest.mark.parametrize("how", ["answered", "expired", "withdrawn", "cancelled", "failed"])
async def test_a_notice_is_moot_once_its_prompt_is_over(
    store: ExecutionStore, path: Path, clock: ManualClock, how: str
) -> None:
    await register(store, QUESTIONS)
    execution_id, interaction_id = await asked(store, timeout=60)
    other, _ = await asked(store)
    match how:
        case "answered":
            await store.resolve_interaction(execution_id, interaction_id, ADA)
        case "expired":
            clock.step(61)
            with pytest.raises(TimeoutError):
                await store.resolve_interaction(execution_id, interaction_id, ADA)
        case "withdrawn":
            await store.withdraw(execution_id, interaction_id)
        case "cancelled":
            await store.cancel(execution_id)
        case _:
            await store.set_failed(execution_id, "It failed.")
    assert notices(path, "execution_id, status") == [(execution_id, "moot"), (other, "pending")]
    assert await broken_history(file_of(store).database) is None


async def test_a_prompt_that_is_addressed_to_others_is_told_to_those(store: ExecutionStore, path: Path) -> None:
    await register(store, QUESTIONS)
    ids = await asked(store, assignees=["joan"])
    await store.address_interaction(*ids, ["zoe"], actor="op")
    assert notices(path, "status, due_at IS NOT NULL") == [("moot", 0), ("pending", 1)]


async def test_what_is_asked_and_settled_in_one_transaction_has_a_notice_that_is_moot(
    store: ExecutionStore, path: Path
) -> None:
    await register(store, QUESTIONS)
    record = await store.create_execution()
    asking = asyncio.ensure_future(store.set_interaction_required(record.execution_id, TEXT, "first"))
    await asyncio.sleep(0)
    cancelling = asyncio.ensure_future(store.cancel(record.execution_id))
    await asyncio.gather(asking, cancelling)
    assert notices(path) == ["moot"]


async def test_a_claim_takes_nothing_that_its_own_transaction_settles(store: ExecutionStore, path: Path) -> None:
    await register(store, QUESTIONS)
    ids = await asked(store)
    file = file_of(store)
    lease = await file.take_lease()
    settling = asyncio.ensure_future(store.withdraw(*ids))
    await asyncio.sleep(0)
    claiming = file.database.write(outbox.claim, "office", lease, 10, OPEN)
    await settling
    assert await claiming == []
    assert notices(path) == ["moot"]


@pytest.mark.parametrize("stands_still", [False, True])
async def test_what_a_process_that_is_gone_or_stands_still_had_claimed_is_claimed_by_another(
    store: ExecutionStore, path: Path, clock: ManualClock, stands_still: bool
) -> None:
    await register(store, QUESTIONS)
    await asked(store)
    if stands_still:  # a process that is alive has not renewed its lease
        holder = leases.this_process()
        columns = "id, host, pid, started, expires_at"
        found = (holder.host, holder.pid, holder.started, clock.now())
        rows(path, f"INSERT INTO leases ({columns}) VALUES (4711, ?, ?, ?, ?)", *found)
    file = file_of(store)
    lease = await file.take_lease()
    (claimed,) = await file.database.write(outbox.claim, "office", 4_711, 10, OPEN)
    assert await file.database.write(outbox.claim, "office", lease, 10, OPEN) == []
    assert await file.database.write(outbox.take_over, lease) == 1
    (again,) = await file.database.write(outbox.claim, "office", lease, 10, OPEN)
    assert (again.id, claimed.attempt, again.attempt) == (claimed.id, 1, 2)
    # The first one was only slow: what it has to say comes too late.
    assert not await file.database.write(outbox.delivered, claimed, 4_711)
    assert await file.database.write(outbox.failed, claimed, 4_711, "It is down.", 5) is None
    assert notices(path, "status, lease") == [("pending", lease)]
    assert await file.database.write(outbox.delivered, again, lease)
    assert notices(path, "status, lease") == [("delivered", None)]


async def test_the_routes_of_a_file_are_replaced_as_a_whole_and_told_of(store: ExecutionStore, path: Path) -> None:
    await register(store, QUESTIONS)
    await register(store, QUESTIONS)
    await asked(store)
    moved = outbox.Route("questions", "mail", (EventKind.INTERACTION_ASKED,))
    await register(store, moved)
    assert notices(path, "channel") == ["mail"]
    assert rows(path, "SELECT name, channel, event FROM routes") == [("questions", "mail", "interaction_asked")]
    await register(store)
    await asked(store)
    assert len(notices(path)) == 1
    told = rows(path, "SELECT detail FROM history WHERE event = 'routes_changed' ORDER BY sequence")
    assert [detail for (detail,) in told] == [
        '{"routes":{"questions":"office"}}', '{"routes":{"questions":"mail"}}', '{"routes":{}}',
    ]  # fmt: skip


async def test_what_waited_for_a_disabled_route_is_due_where_that_is_gone_and_then_back(
    store: ExecutionStore, path: Path, clock: ManualClock
) -> None:
    await register(store, QUESTIONS)
    await asked(store)
    await asked(store)
    file = file_of(store)
    lease = await file.take_lease()
    (claimed,) = await file.database.write(outbox.claim, "office", lease, 1, {QUESTIONS.name: None})
    gone = partial(outbox.failed, disables=True)
    assert await file.database.write(gone, claimed, lease, "It is gone.", 5) == "pending"
    await register(store, QUESTIONS, replace(QUESTIONS, name="others"))
    assert notices(path, "due_at") == [None, None]
    await register(store)
    await register(store, QUESTIONS)
    assert notices(path, "due_at") == [clock.now(), clock.now()]


async def test_an_execution_stays_until_people_are_told_of_its_end(path: Path, clock: ManualClock) -> None:
    async with ExecutionStore(database=path, clock=clock, ttl_seconds=10) as store:
        await register(store, outbox.Route("ends", "office", (EventKind.EXECUTION_COMPLETED,)))
        record = await store.create_execution()
        await store.set_completed(record.execution_id, None)
        file = file_of(store)
        lease = await file.take_lease()
        clock.step(60)
        assert await store.cleanup_expired() == 0
        clock.step(3_600)
        assert await store.cleanup_expired() == 0
        (claimed,) = await file.database.write(outbox.claim, "office", lease, 10, OPEN)
        assert await file.database.write(outbox.delivered, claimed, lease)
        clock.step(3_600)
        assert await store.cleanup_expired() == 1
    assert notices(path) == []
    assert rows(path, "SELECT event FROM history WHERE event LIKE 'notice%'") == [("notice_delivered",)]


async def test_what_a_sweep_leaves_until_people_are_told_is_not_said_to_be_swept(
    path: Path, clock: ManualClock
) -> None:
    every = 10 * 86_400  # seconds; so no sweep comes by itself
    async with ExecutionStore(database=path, clock=clock, ttl_seconds=10, sweep_interval_seconds=every) as store:
        await register(store, outbox.Route("ends", "office", (EventKind.EXECUTION_COMPLETED,)))
        told, untold = [await store.create_execution() for _ in range(2)]
        for record in (told, untold):
            await store.set_completed(record.execution_id, None)
        file = file_of(store)
        lease = await file.take_lease()
        (claimed,) = await file.database.write(outbox.claim, "office", lease, 1, OPEN)
        assert await file.database.write(outbox.delivered, claimed, lease)
        clock.step(60)
        assert [each async for each, _, _ in store.expired()] == [claimed.execution_id]
        assert await store.cleanup_expired() == 1


async def test_what_nobody_delivers_is_given_up_after_a_week_and_keeps_no_execution(
    path: Path, clock: ManualClock
) -> None:
    async with ExecutionStore(database=path, clock=clock, ttl_seconds=10) as store:
        await register(store, outbox.Route("ends", "office", (EventKind.EXECUTION_COMPLETED,)))
        record = await store.create_execution()
        await store.set_completed(record.execution_id, None)
        clock.step(7 * 86_400 - 1)
        assert await store.cleanup_expired() == 0
        clock.step(3_601)
        assert await store.cleanup_expired() == 0
        clock.step(3_600)
        assert await store.cleanup_expired() == 1
    ((event, detail),) = rows(path, "SELECT event, detail FROM history WHERE event LIKE 'notice%'")
    assert event == "notice_given_up"
    assert "for a week" in detail


async def test_notices_leave_the_file_with_what_is_removed(store: ExecutionStore, path: Path) -> None:
    await register(store, QUESTIONS)
    execution_id, _ = await asked(store)
    await store.remove(execution_id)
    assert notices(path) == []
    execution_id, _ = await asked(store)
    await store.cancel(execution_id)
    await store.erase(execution_id)
    assert notices(path) == []


async def test_another_program_that_appends_an_event_writes_its_notice_too(store: ExecutionStore, path: Path) -> None:
    await register(store, QUESTIONS)
    execution_id, _ = await asked(store)
    with sql(path) as connection:
        connection.execute(
            "INSERT INTO history (sequence, execution_id, event, time, digest)"
            " SELECT max(sequence) + 1, ?, 'interaction_reassigned', 5, zeroblob(32) FROM history",
            (execution_id,),
        )
    assert notices(path) == ["pending", "pending"]
