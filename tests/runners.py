"""What the tests of the runner share: runners in each way of keeping runs, and waiting for what a run comes to."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import support
from restpoint import ExecutionRecord, ExecutionStore, Runner, Workflow
from restpoint.lifecycle import TERMINAL
from restpoint.prompts import HumanPromptText, HumanResponseText
from support import eventually, rows

WAYS: dict[str, dict[str, Any]] = {
    "held": {"hold_paused_for": 600.0},
    "parked": {"hold_paused_for": 0.0},
    "rebuilt": {"hold_paused_for": 0.0, "replay_always": True},
}
"""In memory all the while; dropped at every wait; and dropped at every await, and rebuilt from the file."""

PATIENCE = support.PATIENCE


def question(text: str) -> HumanPromptText:
    return HumanPromptText(text=text)


async def until(record: ExecutionRecord, what: Callable[[], Any]) -> None:
    """Return when ``what`` holds, looked at after every change of the execution."""
    async with asyncio.timeout(PATIENCE):
        while not what():
            await record.changed()


async def ended(record: ExecutionRecord) -> ExecutionRecord:
    await until(record, lambda: record.status in TERMINAL)
    return record


async def asked(record: ExecutionRecord, *texts: str) -> None:
    """Return when exactly these prompts are open."""
    await until(record, lambda: sorted(each.prompt.text for each in record.pending_interactions) == sorted(texts))


async def answer(
    store: ExecutionStore, record: ExecutionRecord, text: str, reply: str, actor: str | None = None
) -> None:
    """Answer the open prompt with this text."""
    await until(record, lambda: any(each.prompt.text == text for each in record.pending_interactions))
    (pending,) = (each for each in record.pending_interactions if each.prompt.text == text)
    await store.resolve_interaction(
        record.execution_id, pending.interaction_id, HumanResponseText(text=reply), actor=actor
    )


async def unloaded(runner: Runner) -> None:
    """Return when the runner has nothing in memory."""
    await eventually(lambda: not (runner._runs or runner._work))


async def completed(
    store: ExecutionStore,
    workflows: Iterable[Workflow],
    name: str,
    input_value: Any = None,
    answers: dict[str, str] | None = None,
    **options: Any,
) -> ExecutionRecord:
    """Start one, give it the answers in this order, and see it end."""
    async with Runner(store, workflows, **options) as runner:
        record = (await runner.start(name, input_value)).record
        for text, reply in (answers or {}).items():
            await answer(store, record, text, reply)
        return await ended(record)


def journal(path: Path) -> list[tuple[Any, ...]]:
    """Every call in the journal, in the order of their positions."""
    return rows(path, "SELECT position, kind, name, result FROM journal ORDER BY execution_key, position")


async def journaled(path: Path, kind: str, count: int) -> None:
    """Return when the journal has this many calls of a kind."""
    await eventually(lambda: len(rows(path, f"SELECT 1 FROM journal WHERE kind = '{kind}'")) >= count)
