"""Processes that remind and escalate are killed in the middle: each reminder and each escalation is done once all the same."""

import asyncio
from pathlib import Path
from typing import Any

from restpoint import ExecutionStore
from restpoint._core.clock import SystemClock
from second_process import child
from support import ADA, TEXT, ManualClock, broken_history, file_of, rows

DAY = 86_400
LIFE = """
store = ExecutionStore(None, database=path)
def told(change):
    tell(change.event)
    if arguments:
        sys.stdin.readline()  # the loop stands still, so that there is more to do after the kill

store.subscribe(told)
async with store:
    await heard()
"""


async def ask(store: ExecutionStore, number: int) -> None:
    """Ask a prompt whose reminder is overdue; every second one is answered, and half of the others are to escalate too."""
    execution_id = (await store.create_execution(owner="ada")).execution_id
    terms: dict[str, Any] = {"remind_after": DAY}
    if number % 4 == 1:
        terms |= {"escalate_after": 2 * DAY, "escalate_to": ["boss"]}
    asked = await store.set_interaction_required(execution_id, TEXT, **terms)
    if number % 2 == 0:
        await store.resolve_interaction(execution_id, asked.interaction_id, ADA, actor="ada")


async def test_processes_that_are_killed_while_they_remind_do_all_of_it_once(path: Path) -> None:
    ago = ManualClock(SystemClock().now() - 10 * DAY * 1000)
    async with ExecutionStore(None, database=path, clock=ago) as store:
        await asyncio.gather(*(ask(store, number) for number in range(1_200)))
    async with child(LIFE, path, "and stop") as alone:
        await alone.line()
        await alone.kill()
    async with child(LIFE, path) as one, child(LIFE, path) as other:
        lines = {asyncio.ensure_future(each.line()): each for each in (one, other)}
        heard, waiting = await asyncio.wait(lines, return_when=asyncio.FIRST_COMPLETED)
        for line in heard:
            assert line.result()
            await lines[line].kill()
        for line in waiting:
            line.cancel()
    done = rows(path, "SELECT count(*) FROM reminders WHERE done_at IS NOT NULL")
    assert done[0][0] >= 2, "what was told of is in the file"
    async with ExecutionStore(None, database=path) as store, child(LIFE, path):
        for _ in range(2):  # what falls due is done after the deadlines of the same look
            record = await store.create_execution()
            pending = await store.set_interaction_required(record.execution_id, TEXT, timeout=0.001)
            await asyncio.wait([pending.future])
        assert rows(path, "SELECT count(*) FROM reminders WHERE done_at IS NULL") == [(0,)]
        assert await broken_history(file_of(store).database) is None
    told = (
        "SELECT event, count(*), count(DISTINCT wait_id) FROM history WHERE event LIKE 'interaction_%ed' GROUP BY event"
    )
    found = {event: (events, prompts) for event, events, prompts in rows(path, told)}
    assert found["interaction_reminded"] == (300, 300)
    assert found["interaction_escalated"] == (300, 300)
    assert found["interaction_answered"] == (600, 600)
