"""Reminders and escalation of what a workflow asks: replays see the same, and other times in changed code strand nobody."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from restpoint import Context, ExecutionRecord, ExecutionStore, Runner, Workflow
from restpoint.errors import InvalidArgument
from restpoint.prompts import HumanPromptText
from runners import answer, asked, ended, unloaded, until
from second_process import WatchedClock
from support import START, rows

PLANNED = {"remind_after": [timedelta(seconds=7), 13], "escalate_after": 17, "escalate_to": ["boss"]}


def asking(**terms: Any) -> Workflow:
    async def body(ctx: Context) -> str:
        return str((await ctx.ask(HumanPromptText(text="Pay?"), assignees=["joan"], **terms)).text)

    return Workflow(body, "pay", 1)


async def begun(store: ExecutionStore, flow: Workflow) -> ExecutionRecord:
    async with Runner(store, [flow], hold_paused_for=0) as runner:
        record = (await runner.start("pay", owner="ada")).record
        await until(record, lambda: record.pending_interactions)
        await unloaded(runner)
    return record


@pytest.mark.parametrize(
    "changed",
    [{}, PLANNED, {"remind_after": 60}, {"escalate_after": 99, "escalate_to": ["zoe"]}],
    ids=["none", "the same", "another reminder", "another escalation"],
)
async def test_changed_reminders_strand_nobody_and_an_open_prompt_keeps_its_own(
    path: Path, changed: dict[str, Any]
) -> None:
    clock = WatchedClock()
    async with ExecutionStore(database=path, clock=clock) as store:
        record = await begun(store, asking(**PLANNED))
        clock.step(7)
        await clock.someone_sleeps_until(START + 13_000)
        async with Runner(store, [asking(**changed)], hold_paused_for=0):
            clock.step(6)
            await clock.someone_sleeps_until(START + 17_000)
            clock.step(4)
            await until(record, lambda: record.pending_interactions[0].assignees == ("boss",))
            assert record.problem is None
            await asked(record, "Pay?")
            await answer(store, record, "Pay?", "Yes", "boss")
            assert (await ended(record)).result == "Yes"
    events = rows(path, "SELECT event FROM history WHERE wait_id IS NOT NULL ORDER BY sequence")
    assert [event for (event,) in events] == [
        "interaction_asked",
        "interaction_reminded",
        "interaction_reminded",
        "interaction_escalated",
        "interaction_answered",
    ]


async def test_the_history_has_the_times_that_a_prompt_was_asked_with(store: ExecutionStore, path: Path) -> None:
    await begun(store, asking(**PLANNED))
    told = "SELECT detail ->> '$.remind_after_ms', detail ->> '$.escalate_after_ms', detail ->> '$.escalate_to' FROM history"
    assert rows(path, f"{told} WHERE event = 'interaction_asked'") == [("[7000,13000]", 17_000, '["boss"]')]


async def test_an_escalation_after_the_deadline_fails_the_workflow_with_what_to_do(store: ExecutionStore) -> None:
    async def body(ctx: Context) -> str:
        with pytest.raises(InvalidArgument, match="give a shorter time, or a longer timeout"):
            await ctx.ask(HumanPromptText(text="Pay?"), timeout=5, escalate_after=6, escalate_to=["boss"])
        return "told"

    async with Runner(store, [Workflow(body, "pay", 1)]) as runner:
        assert (await ended((await runner.start("pay")).record)).result == "told"
