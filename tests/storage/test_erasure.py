"""What a person said and was asked is gone from the file for good, and that they were asked is not."""

import asyncio
import sqlite3
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import pytest

from inside import Command
from paused_workflows import CALLS
from restpoint import Context, ExecutionStore, Runner, workflow
from restpoint._storage import verification
from restpoint._storage.erasure import AT_ONCE
from restpoint._storage.sqlite import migrations
from restpoint.errors import ExecutionHeld, ExecutionNotFound, IllegalTransition, InteractionAlreadyResolved
from restpoint.events import EventKind
from restpoint.prompts import HumanPromptText, HumanResponseText
from runners import answer, ended
from support import ManualClock, dump, folded_statuses, rows, sql

ADA, BOB = "ada@example.org", "bob@example.org"


def said(words: str) -> HumanResponseText:
    return HumanResponseText(text=words)


def asked(words: str) -> HumanPromptText:
    return HumanPromptText(text=words)


def bytes_of(path: Path) -> bytes:
    """The file and everything beside it."""
    return b"".join(each.read_bytes() for each in sorted(path.parent.glob(f"{path.name}*")))


def canaries(path: Path) -> set[str]:
    """Which of the planted words are anywhere in the file."""
    content = bytes_of(path)
    return {f"canary-{number}" for number in range(30) if f"canary-{number}-".encode() in content}


def named(*numbers: int) -> set[str]:
    return {f"canary-{number}" for number in numbers}


def holds(path: Path) -> bool:
    """Whether the history verifies: its chain, the details that are gone, and the tables by it."""
    with sql(path) as connection:
        verdict = verification.verify(connection)
    return verdict.holds


def step(order: str) -> str:
    CALLS.append(order)
    return "canary-4-step"


@workflow("erased.order", version=1)
async def order(ctx: Context, given: str) -> str:
    await ctx.step(step, given)
    await ctx.emit({"told": "canary-5-emitted"})
    reply = await ctx.ask(asked("canary-6-asked"))
    return f"canary-8-result {reply.text}"


async def everything(store: ExecutionStore, path: Path) -> dict[str, str]:
    """Words of Ada's and of others in every place where words can be."""
    ids = {}
    # All hers: a run, one that failed, one that was swept already.
    async with Runner(store, [order]) as runner:
        run = (await runner.start("erased.order", "canary-3-input", owner=ADA)).record
        await answer(store, run, "canary-6-asked", "canary-7-answer")
        await ended(run)
        ids["run"] = run.execution_id
    for name in ("failed", "swept", "held", "live"):
        ids[name] = (await store.create_execution(owner=ADA)).execution_id
    await store.set_failed(ids["failed"], "canary-9-error")
    await store.set_interaction_required(ids["swept"], asked("canary-10-swept"), "w")
    await store.resolve_interaction(ids["swept"], "w", said("canary-11-swept"), actor=BOB)
    await store.set_completed(ids["swept"], "canary-12-swept")
    await store.remove(ids["swept"])
    await store.set_completed(ids["held"], "canary-20-held")
    await store.hold(ids["held"], "a lawsuit")
    await store.set_interaction_required(ids["live"], asked("canary-21-live"), "w")
    # Bob's, in which she had a part.
    for name in ("answered", "alone", "together"):
        ids[name] = (await store.create_execution(owner=BOB)).execution_id
    await store.set_interaction_required(ids["answered"], asked("canary-22-asked"), "w")
    await store.resolve_interaction(ids["answered"], "w", said("canary-13-answer"), actor=ADA)
    await store.set_interaction_required(
        ids["alone"], asked("canary-14-alone"), "w", assignees=[ADA], default=said("canary-15-default"), timeout=600
    )
    await store.resolve_interaction(ids["alone"], "w", said("canary-16-alone"), actor=ADA)
    await store.set_interaction_required(ids["together"], asked("canary-23-both"), "w", assignees=[ADA, BOB])
    await store.resolve_interaction(ids["together"], "w", said("canary-24-bob"), actor=BOB)
    for name in ("answered", "alone", "together"):
        await store.set_completed(ids[name], f"canary-{25 if name == 'answered' else 26}-result")
    return ids


HERS = (3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)
OTHERS = (20, 21, 22, 23, 24, 25, 26)


async def test_no_byte_of_what_a_person_said_is_left_and_all_of_the_trail_is(path: Path, clock: ManualClock) -> None:
    async with ExecutionStore(None, database=path, clock=clock) as store:
        ids = await everything(store, path)
        assert canaries(path) == named(*HERS, *OTHERS), "the harness: every one is there"
        trail = rows(path, "SELECT sequence, event, actor, time, hex(digest) FROM history ORDER BY sequence")
        would = await store.erase_person(ADA, dry_run=True)
        assert canaries(path) == named(*HERS, *OTHERS), "and a dry run erases nothing"
        done = await store.erase_person(ADA, "request 7", actor="otto")
        assert (would.executions, would.waits, would.left) == (done.executions, done.waits, done.left)
        assert done.scrubbed
        assert canaries(path) == named(*OTHERS)
        assert set(done.executions) == {ids["run"], ids["failed"], ids["swept"]}
        assert set(done.waits) == {(ids["answered"], "w"), (ids["alone"], "w")}
        assert {execution_id for execution_id, _ in done.left} == {ids["held"], ids["live"]}
        assert holds(path)
        now = rows(path, "SELECT sequence, event, actor, time, hex(digest) FROM history ORDER BY sequence")
        assert now[: len(trail)] == trail
        told = rows(path, "SELECT DISTINCT event, actor, cause FROM history WHERE sequence > ?", len(trail))
        assert sorted(told) == [("execution_removed", "otto", "erased"), ("payloads_erased", "otto", "request 7")]
        # What others see.
        assert await store.get(ids["run"]) is None
        assert [entry.event for entry in await store.history(ids["run"])][-2:] == [
            "payloads_erased",
            "execution_removed",
        ]
        assert [entry.detail for entry in await store.events(ids["run"]) if entry.event == "emitted"] == [
            {"position": "2", "data_sha256": sha256(b'{"told":"canary-5-emitted"}').hexdigest()}
        ]
        kept = await store.get(ids["answered"])
        assert kept is not None
        assert kept.result == "canary-25-result"
        with pytest.raises(InteractionAlreadyResolved):
            await store.resolve_interaction(ids["answered"], "w", said("again"))
        # Again: nothing is left to do, until what was left has ended and is released.
        again = await store.erase_person(ADA)
        assert (again.executions, again.waits) == ([], [])
        await store.release(ids["held"])
        await store.cancel(ids["live"])
        last = await store.erase_person(ADA)
        assert set(last.executions) == {ids["held"], ids["live"]}
        assert last.left == []
        assert holds(path)
    assert canaries(path) == named(22, 23, 24, 25, 26)
    assert all(fine for _, fine, _ in migrations.check(path))
    told_now = {name: status for name, status in folded_statuses(path).items() if status is not None}
    told_now.pop(ids["swept"], None)
    assert told_now == dict(rows(path, "SELECT id, status FROM executions"))


async def test_the_executions_of_others_go_as_a_whole_where_that_is_asked_for(path: Path, clock: ManualClock) -> None:
    async with ExecutionStore(None, database=path, clock=clock) as store:
        ids = await everything(store, path)
        done = await store.erase_person(ADA, whole=True)
        assert set(done.executions) == {ids[name] for name in ("run", "failed", "swept", "answered", "alone")}
        assert done.waits == []
        assert holds(path)
    assert canaries(path) == named(20, 21, 23, 24, 26), "together was addressed to Bob too, who answered"


@pytest.mark.parametrize("event", [EventKind.INTERACTION_DELEGATED, EventKind.INTERACTION_REASSIGNED])
async def test_a_prompt_that_was_handed_to_a_person_alone_goes_too(
    path: Path,
    clock: ManualClock,
    event: Literal[EventKind.INTERACTION_DELEGATED, EventKind.INTERACTION_REASSIGNED],
) -> None:
    async with ExecutionStore(None, database=path, clock=clock) as store:
        ids = {name: (await store.create_execution(owner=BOB)).execution_id for name in ("alone", "together")}
        for number, (execution_id, people) in enumerate(zip(ids.values(), ([ADA], [ADA, BOB]), strict=True)):
            words = asked(f"canary-{number}-asked")
            await store.set_interaction_required(execution_id, words, "w", assignees=["group:finance"])
            await store.address_interaction(execution_id, "w", people, event=event, anyone=True)
            await store.resolve_interaction(execution_id, "w", said(f"canary-{number + 2}-bob"), actor=BOB)
            await store.set_completed(execution_id, None)
        assert (await store.erase_person(ADA)).waits == [(ids["alone"], "w")]
        assert holds(path)
    assert canaries(path) == named(1, 3)


async def test_an_erasure_takes_both_spellings_of_a_name(path: Path, clock: ManualClock) -> None:
    """What was recorded before names were composed has the name as it came."""
    composed, decomposed = "Jos\u00e9", "Jose\u0301"
    async with ExecutionStore(None, database=path, clock=clock) as store:
        ids = [(await store.create_execution(owner=composed)).execution_id for _ in range(2)]
        for number, execution_id in enumerate(ids):
            await store.set_completed(execution_id, f"canary-{number}-result")
        with sql(path) as connection:
            connection.execute("DROP TRIGGER executions_labels_stay")
            connection.execute("UPDATE executions SET owner = ? WHERE id = ?", (decomposed, ids[0]))
        assert (await store.erase_person(composed)).executions == ids
    assert canaries(path) == set()


async def test_one_execution_is_erased_by_its_id_and_a_live_or_held_one_is_refused(
    path: Path, clock: ManualClock
) -> None:
    async with ExecutionStore(None, database=path, clock=clock) as store:
        ids = await everything(store, path)
        before = dump(path)
        with pytest.raises(IllegalTransition, match="cannot be erased"):
            await store.erase(ids["live"])
        with pytest.raises(ExecutionHeld):
            await store.erase(ids["held"])
        with pytest.raises(ExecutionNotFound):
            await store.erase("nobody's")
        assert dump(path) == before
        assert (await store.erase(ids["run"], actor="otto")).executions == [ids["run"]]
        assert holds(path)
    left = set(HERS[6:]) - {12}  # which had gone with its execution, but for the log
    assert canaries(path) == named(*left, *OTHERS)


async def test_an_erasure_that_could_not_empty_the_log_empties_it_the_next_time(path: Path, clock: ManualClock) -> None:
    async with ExecutionStore(None, database=path, clock=clock) as store:
        one = (await store.create_execution(owner=ADA)).execution_id
        await store.set_completed(one, "canary-1-result")
        with sql(path) as another:
            another.execute("BEGIN")
            another.execute("SELECT count(*) FROM executions").fetchone()
            assert not (await store.erase_person(ADA)).scrubbed
            assert not (await store.erase_person(ADA)).scrubbed, "nothing is left to erase, but in the log"
            another.execute("ROLLBACK")
        assert canaries(path) == named(1), "the harness: it is in the log"
        done = await store.erase_person(ADA)
        assert (done.executions, done.scrubbed) == ([], True)
        assert canaries(path) == set()


async def test_a_long_history_is_erased_in_events_that_name_some_rows_each(path: Path, clock: ManualClock) -> None:
    count = AT_ONCE * 2 + 10
    async with ExecutionStore(None, database=path, clock=clock) as store:
        one = (await store.create_execution()).execution_id
        for number in range(count // 2):
            await store.set_interaction_required(one, asked("canary-1-?"), f"{number}")
            await store.resolve_interaction(one, f"{number}", said("canary-2-!"))
        await store.set_completed(one, None)
        await store.erase(one)
        assert holds(path)
    assert rows(path, "SELECT count(*) FROM history WHERE event = 'payloads_erased'") == [(3,)]
    assert rows(path, "SELECT count(*) FROM erasures") == [(count,)]
    assert canaries(path) == set()


async def test_retention_takes_the_list_of_what_was_erased_with_the_history(path: Path, clock: ManualClock) -> None:
    async with ExecutionStore(None, database=path, clock=clock, history_retention_seconds=60) as store:
        one = (await store.create_execution()).execution_id
        await store.set_interaction_required(one, asked("canary-1-?"), "q")
        await store.resolve_interaction(one, "q", said("canary-2-!"))
        await store.set_completed(one, "x")
        await store.erase(one)
        assert rows(path, "SELECT count(*) FROM erasures") == [(2,)]
        await store.create_execution()
        clock.step(3_600)
        await store.cleanup_expired()
        assert rows(path, "SELECT count(*) FROM erasures") == [(0,)]
        assert holds(path)


# --- The file's own wall ---------------------------------------------------------------------------------------------

TAMPERINGS = [
    "UPDATE history SET detail = NULL WHERE detail IS NOT NULL",
    "UPDATE history SET detail = '{}' WHERE sequence = 2",
    "INSERT INTO erasures VALUES (2, 3)",
    "INSERT INTO erasures VALUES (2, 99)",
    "UPDATE interactions SET response = 'null'",
    "UPDATE interactions SET prompt = '{}'",
    "UPDATE interactions SET default_response = '{}'",
]
AFTERWARDS = [
    "UPDATE history SET detail = '{}' WHERE sequence = 2",
    "UPDATE history SET actor = 'eve' WHERE sequence = 2",
    "UPDATE erasures SET ordered = ordered",
    "DELETE FROM erasures",
    "INSERT INTO erasures VALUES (1, (SELECT max(sequence) FROM history))",
    "UPDATE interactions SET answered_by = 'eve'",
    "UPDATE interactions SET status = 'pending', closed_at = NULL, response = NULL",
]


async def test_no_other_program_erases_a_detail_unsaid(path: Path, clock: ManualClock) -> None:
    async with ExecutionStore(None, database=path, clock=clock) as store:
        one = (await store.create_execution(owner=BOB)).execution_id
        await store.set_interaction_required(one, asked("?"), "w")
        await store.resolve_interaction(one, "w", said("!"), actor=ADA)
        await store.set_completed(one, None)
    for statements, erased in ((TAMPERINGS, False), (AFTERWARDS, True)):
        if erased:
            async with ExecutionStore(None, database=path, clock=clock) as store:
                assert (await store.erase_person(ADA)).waits == [(one, "w")]
        before = dump(path)
        for statement in statements:
            with sql(path) as connection, pytest.raises(sqlite3.IntegrityError):
                connection.execute(statement)
        assert dump(path) == before


# --- The command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def filled(path: Path, clock: ManualClock) -> dict[str, str]:
    async def fill() -> dict[str, str]:
        async with ExecutionStore(None, database=path, clock=clock) as store:
            return await everything(store, path)

    return asyncio.run(fill())


def test_operators_hold_release_and_erase_by_command(path: Path, filled: dict[str, str], restpoint: Command) -> None:
    def run(*arguments: str) -> Any:
        return restpoint(*arguments, "--database", str(path))

    failed = filled["failed"]
    assert run("hold", failed).returncode == 2, "without a reason"
    assert run("hold", failed, "--reason", "an audit").returncode == 0
    assert "an audit" in run("list").stdout
    assert "an audit" in run("show", failed).stdout
    assert run("erase", failed, "--yes").returncode == 1
    assert run("release", failed).returncode == 0
    assert "an audit" not in run("show", failed).stdout
    ran = run("erase", "--person", ADA, "--dry-run")
    assert ran.returncode == 1, "not all of it can be erased"
    assert failed in ran.stdout
    assert filled["live"] in ran.stderr
    assert canaries(path) == named(*set(HERS) - {12}, *OTHERS)
    assert run("erase", "--person", ADA).returncode == 2, "nobody is there to say yes"
    ran = run("erase", "--person", ADA, "--reason", "request 7", "--yes")
    assert ran.returncode == 1
    assert "on hold" in ran.stderr
    assert canaries(path) == named(*OTHERS)
    assert run("erase", "--yes").returncode == 2
    assert run("erase", failed, "--person", ADA, "--yes").returncode == 2
    assert run("erase", filled["answered"], "--yes").returncode == 0
    actors = rows(path, "SELECT DISTINCT actor FROM history WHERE event IN ('execution_held', 'payloads_erased')")
    assert len([actor for (actor,) in actors if actor]) == 1, "the user of the operating system"


def test_a_file_whose_unused_parts_were_not_overwritten_is_rewritten(path: Path, restpoint: Command) -> None:
    """What programs left behind that do not overwrite: ``db vacuum --full`` takes it."""
    migrations.upgrade(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("INSERT INTO settings VALUES ('x', '\"' || ? || '\"', 1)", ("canary-1-" * 50,))
        connection.execute("DELETE FROM settings")
    assert canaries(path) == named(1)
    assert restpoint("db", "vacuum", "--full", "--database", str(path)).returncode == 0
    assert canaries(path) == set()
