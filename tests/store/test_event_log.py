"""The log of events: a line for each that this process committed, which says what happened and not what was said."""

import json
import logging
from pathlib import Path

import pytest

from restpoint import Context, ExecutionStore, Runner, logs, workflow
from restpoint.prompts import HumanPromptText
from runners import answer, ended
from support import ManualClock

SECRET = "canary"


@workflow
async def greet(ctx: Context, order: str) -> str:
    """Shows something, asks and ends, or fails."""
    await ctx.emit({"order": order})
    said = await ctx.ask(HumanPromptText(text=f"Who, {SECRET}?"))
    if order.startswith("bad"):
        raise ValueError(SECRET)
    return said.text


@pytest.fixture
def at_info(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="restpoint.events")
    return caplog


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, str]]:
    formatter = logs.JSONFormatter()
    return [json.loads(formatter.format(record)) for record in caplog.records if record.name == "restpoint.events"]


async def test_starts_prompts_answers_failures_and_ends_are_logged_at_level_info(
    store: ExecutionStore, at_info: pytest.LogCaptureFixture
) -> None:
    async with Runner(store, [greet]) as runner:
        good = (await runner.start("greet", f"good {SECRET}", owner="ada", actor="ada")).record
        await answer(store, good, f"Who, {SECRET}?", SECRET, "grace")
        await ended(good)
        bad = (await runner.start("greet", f"bad {SECRET}", owner="ada", actor="ada")).record
        await answer(store, bad, f"Who, {SECRET}?", SECRET, "grace")
        await ended(bad)
    told = lines(at_info)
    assert {line["workflow"] for line in told} == {"greet"}
    for record, end in ((good, "execution_completed"), (bad, "execution_failed")):
        its = [line for line in told if line["execution_id"] == record.execution_id]
        assert [(line["level"], line["message"], line.get("actor")) for line in its] == [
            ("info", "execution_created", "ada"),
            ("info", "interaction_asked", None),
            ("info", "interaction_answered", "grace"),
            ("info", end, None),
        ]
        assert [line["status"] for line in its] == ["running", "interaction_required", "running", record.status]
        assert its[1]["wait_id"] == its[2]["wait_id"]
    assert [line["code"] for line in told if "code" in line] == ["workflow_error"]
    assert SECRET not in json.dumps(told)


async def test_what_workflows_show_is_logged_at_level_debug_only(
    store: ExecutionStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="restpoint.events")
    async with Runner(store, [greet]) as runner:
        record = (await runner.start("greet", SECRET)).record
        await answer(store, record, f"Who, {SECRET}?", SECRET)
        await ended(record)
    (shown,) = [line for line in lines(caplog) if line["level"] == "debug"]
    assert shown["message"] == "emitted"
    assert SECRET not in json.dumps(lines(caplog))


async def test_each_event_is_logged_by_the_process_that_committed_it_and_by_no_other(
    path: Path, clock: ManualClock, at_info: pytest.LogCaptureFixture
) -> None:
    async with ExecutionStore(database=path, clock=clock) as one, ExecutionStore(database=path, clock=clock) as other:
        record = await one.create_execution(workflow="refund")
        seen = await other.get(record.execution_id)
        await one.set_completed(record.execution_id, None)
        assert seen is not None
        while seen.status != "completed":
            await seen.changed()
    assert [line["message"] for line in lines(at_info)] == ["execution_created", "execution_completed"]
