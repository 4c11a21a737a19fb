"""How long what stays, by status, by workflow and by file; and what the history keeps of it."""

import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import typer

from inside import Command
from restpoint import Context, ExecutionStore, Runner, workflow
from restpoint._core.retention_rules import DEFAULT_EXECUTION_TTL, times_to_live
from restpoint._storage.retention import prune_history
from restpoint.cli.options import times_to_live as typed
from restpoint.errors import InvalidArgument
from restpoint.prompts import HumanPromptText, HumanResponseText
from runners import ended
from support import TEXT, ManualClock, broken_history, file_of, rows, sql

HOURS = 3_600_000


@workflow("kept.refund", version=1)
async def refund(ctx: Context, given: str) -> str:
    if given == "fail":
        raise ValueError(given)
    return given


# --- Times to live ---------------------------------------------------------------------------------------------------


async def test_times_to_live_go_by_status_and_by_workflow(path: Path, clock: ManualClock) -> None:
    ttl = {"completed": 60, "workflows": {"refund": None, "hello": {"failed": 3_600}}}
    wanted = {
        ("refund", "completed"): None,
        ("refund", "failed"): None,
        ("hello", "completed"): 60,
        ("hello", "failed"): 3_600,
        ("other", "completed"): 60,
        ("other", "failed"): 600,
        (None, "cancelled"): 600,
    }
    async with ExecutionStore(ttl, database=path, clock=clock) as store:
        for (name, status), seconds in wanted.items():
            one = await store.create_execution(workflow=name)
            match status:
                case "completed":
                    await store.set_completed(one.execution_id, 1)
                case "failed":
                    await store.set_failed(one.execution_id, "no")
                case _:
                    await store.cancel(one.execution_id)
            assert one.expires_at == (None if seconds is None else clock.now() / 1000 + seconds), (name, status)


async def test_times_to_live_of_a_workflow_hold_for_its_runs_and_deadlines(path: Path, clock: ManualClock) -> None:
    ttl = {"workflows": {"kept.refund": {"completed": 7, "failed": 8}, "asks": 9}}
    async with ExecutionStore(ttl, database=path, clock=clock) as store, Runner(store, [refund]) as runner:
        for given, seconds in (("yes", 7), ("fail", 8)):
            record = await ended((await runner.start("kept.refund", given)).record)
            assert record.expires_at == clock.now() / 1000 + seconds
        one = await store.create_execution(workflow="asks")
        await store.set_interaction_required(one.execution_id, TEXT, timeout=5, on_deadline="fail")
        clock.step(5)
        await ended(one)
        assert one.expires_at == clock.now() / 1000 + 9


@pytest.mark.parametrize(
    ("ttl", "words"),
    [
        ({"workflows": 5}, "a mapping from names of workflows"),
        ({"workflows": {"": 5}}, "a mapping from names of workflows"),
        ({"workflows": {"refund": -1}}, "ttl_seconds\\['workflows'\\]\\['refund'\\]"),
        ({"workflows": {"refund": {"running": 5}}}, "has the key running"),
        ({"workflows": {"refund": {"failed": "x"}}}, "\\['refund'\\]\\['failed'\\] is 'x'"),
        ({"refund": 5}, "rules of workflows belong under the key 'workflows'"),
        ({"completed": True}, "give seconds"),
    ],
)
def test_times_to_live_that_make_no_sense_say_where(ttl: Any, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        times_to_live(ttl)


def test_times_to_live_are_typed_as_rules() -> None:
    assert typed(None) is DEFAULT_EXECUTION_TTL
    assert typed([""]) is DEFAULT_EXECUTION_TTL
    everything = dict.fromkeys(("completed", "failed", "cancelled"))
    assert typed(["never"]) == everything
    assert typed(["failed=never", "60"]) == {"completed": 60, "cancelled": 60, "failed": None}, "in any order"
    assert typed(["completed=60,refund:never", "a.b:failed=5 600"]) == {
        **dict.fromkeys(everything, 600),
        "completed": 60,
        "workflows": {"refund": everything, "a.b": {"failed": 5}},
    }
    for wrong in ("soon", "running=5", ":5", "refund:", "=5", "-1"):
        with pytest.raises(typer.BadParameter):
            typed([wrong])


# --- What the file says ----------------------------------------------------------------------------------------------


async def test_who_does_not_say_writes_as_the_file_says(path: Path, clock: ManualClock) -> None:
    ttl = {"completed": None, "workflows": {"refund": 60}}
    async with ExecutionStore(ttl, database=path, clock=clock, history="digest", history_retention_seconds=3_600):
        pass
    async with ExecutionStore(database=path, clock=clock) as store:
        one = await store.create_execution()
        await store.set_interaction_required(one.execution_id, HumanPromptText(text="canary"), "w")
        await store.resolve_interaction(one.execution_id, "w", HumanResponseText(text="canary"))
        await store.set_completed(one.execution_id, "canary")
        two = await store.create_execution(workflow="refund")
        await store.set_failed(two.execution_id, "canary", code="planned")
        assert one.expires_at is None
        assert two.expires_at == clock.now() / 1000 + 60
        told = [
            entry.detail for entry in [*await store.history(one.execution_id), *await store.history(two.execution_id)]
        ]
        assert "canary" not in str(told)
        assert {key for detail in told if detail for key in detail} == {
            *("prompt_sha256", "response_sha256", "result_sha256", "error_sha256", "code", "workflow")
        }
        clock.step(7_200)
        await store.cleanup_expired()
        assert rows(path, "SELECT count(*) FROM history WHERE event = 'history_pruned'") == [(0,)], "the first is there"
        await store.remove(one.execution_id)
        await store.cleanup_expired()
        assert rows(path, "SELECT count(*) FROM history WHERE event = 'history_pruned'") == [(1,)]


async def test_the_newest_row_of_a_history_that_is_all_old_stays(store: ExecutionStore, path: Path) -> None:
    for _ in range(3):
        one = await store.create_execution()
        await store.set_completed(one.execution_id, 1)
        await store.remove(one.execution_id)
    (*old, newest) = (sequence for (sequence,) in rows(path, "SELECT sequence FROM history ORDER BY sequence"))
    prune = partial(prune_history, before=file_of(store).clock.now() + 1, last=newest, most=1_000)
    assert await file_of(store).database.write(prune) == len(old)
    left = rows(path, "SELECT sequence, event FROM history ORDER BY sequence")
    assert left == [(newest, "execution_removed"), (newest + 1, "history_pruned")]
    assert await file_of(store).database.write(partial(prune, last=newest - 1)) == 0
    assert rows(path, "SELECT sequence, event FROM history ORDER BY sequence") == left
    assert await broken_history(file_of(store).database) is None


async def test_what_is_said_for_once_is_not_kept_and_what_is_said_again_is(path: Path, clock: ManualClock) -> None:
    def kept() -> dict[str, str]:
        return dict(rows(path, "SELECT name, value FROM settings"))

    async with ExecutionStore(database=path, clock=clock):
        pass
    assert kept() == {}
    async with ExecutionStore(None, database=path, clock=clock, history="digest", remember=False) as store:
        await store.create_execution()
    assert kept() == {}
    async with ExecutionStore(database=path, clock=clock, history="digest"):
        assert kept() == {"history": '"digest"'}
    async with ExecutionStore(database=path, clock=clock, history="full", history_retention_seconds=math.inf):
        assert kept() == {"history": '"full"', "history_retention": "null"}
    told = rows(path, "SELECT detail FROM history WHERE event = 'setting_changed' ORDER BY sequence")
    assert told == [
        ('{"setting":"history","from":"full","to":"digest"}',),
        ('{"setting":"history","from":"digest","to":"full"}',),
    ]
    with pytest.raises(InvalidArgument):
        ExecutionStore(database=path, history="some")  # type: ignore[arg-type]


def test_an_answer_at_a_terminal_is_written_as_the_server_writes(
    path: Path, tmp_path: Path, restpoint: Command, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    async def ask() -> str:
        async with ExecutionStore(None, database=path, history="digest") as store:
            one = await store.create_execution()
            await store.set_interaction_required(one.execution_id, TEXT, "w")
            return one.execution_id

    execution_id = asyncio.run(ask())
    ran = restpoint("answer", execution_id, "--text", "canary", "--database", str(path))
    assert ran.returncode == 0, ran.stderr
    assert rows(path, "SELECT count(*) FROM history WHERE detail LIKE '%canary%'") == [(0,)]
    assert rows(path, "SELECT count(*) FROM history WHERE detail LIKE '%response_sha256%'") == [(1,)]
    assert restpoint("cancel", execution_id, "--database", str(path)).returncode == 0
    assert rows(path, "SELECT expires_at FROM executions") == [(None,)], "as the server's would"
    with sql(path) as connection:
        assert connection.execute("SELECT count(*) FROM settings").fetchone() == (2,)
    other = asyncio.run(ask())
    monkeypatch.setenv("RESTPOINT_TTL", "60 cancelled=7200")
    assert restpoint("cancel", other, "--database", str(path)).returncode == 0
    ((completed, expires),) = rows(path, "SELECT completed_at, expires_at FROM executions WHERE id = ?", other)
    assert expires - completed == 2 * HOURS
