"""FAULTS row 4: a hundred different answers to one prompt at once. One wins; the others all hear the same."""

import asyncio
import time
from collections import Counter
from pathlib import Path

import pytest

from faults.harness import PATIENCE, Zygote, problems
from faults.workloads import answer_at_once
from restpoint import ExecutionStore, PendingInteraction
from restpoint.prompts import HumanResponseText
from support import TEXT, rows

ANSWERS = 100
PROCESSES = 4


async def _ask(store: ExecutionStore) -> tuple[str, PendingInteraction]:
    record = await store.create_execution()
    return record.execution_id, await store.set_interaction_required(record.execution_id, TEXT)


async def _judge(path: Path, execution_id: str, pending: PendingInteraction, outcomes: list[tuple[str, str]]) -> str:
    """Exactly one won, it is the one that is stored and that the waiter got, and the others were refused alike."""
    assert Counter(outcome for _, outcome in outcomes) == {"won": 1, "InteractionAlreadyResolved": ANSWERS - 1}
    (winner,) = [text for text, outcome in outcomes if outcome == "won"]
    assert await asyncio.wait_for(asyncio.shield(pending.future), PATIENCE) == HumanResponseText(text=winner)
    stored = rows(path, "SELECT json_extract(response, '$.text') FROM answers WHERE execution_id = ?", execution_id)
    assert stored == [(winner,)]
    return winner


async def _race_here(path: Path, rounds: int) -> None:
    begun = time.monotonic()
    async with ExecutionStore(database=path) as store:
        for _ in range(rounds):
            execution_id, pending = await _ask(store)
            outcomes = await answer_at_once(
                store, execution_id, pending.interaction_id, [f"way {number}" for number in range(ANSWERS)]
            )
            await _judge(path, execution_id, pending, outcomes)
    assert problems(path, []) == []
    print(
        f"\n{rounds} rounds of {ANSWERS} answers in one process: one won each time, in {time.monotonic() - begun:.1f} s"
    )


async def _race_between_processes(zygote: Zygote, path: Path, rounds: int) -> None:
    begun = time.monotonic()
    won: Counter[str] = Counter()
    async with ExecutionStore(database=path) as store:
        each = ANSWERS // PROCESSES
        racers = [
            zygote.run("race", path=str(path), name=f"process {number}, way ", answers=each)
            for number in range(PROCESSES)
        ]
        for racer in racers:
            assert await asyncio.to_thread(racer.line) == ["ready"]
        for _ in range(rounds):
            execution_id, pending = await _ask(store)
            for racer in racers:
                racer.say([execution_id, pending.interaction_id])
            outcomes = [(text, outcome) for racer in racers for text, outcome in await asyncio.to_thread(racer.line)]
            winner = await _judge(path, execution_id, pending, outcomes)
            won[winner.partition(",")[0]] += 1
    for racer in racers:
        zygote.forget(racer)
        assert racer.reap() == 0
    assert problems(path, []) == []
    print(
        f"\n{rounds} rounds of {ANSWERS} answers in {PROCESSES} processes: one won each time, "
        f"in {time.monotonic() - begun:.1f} s; winners: {dict(sorted(won.items()))}"
    )


async def test_of_a_hundred_answers_at_once_one_wins(path: Path) -> None:
    await _race_here(path, 20)


async def test_of_a_hundred_answers_at_once_from_four_processes_one_wins(zygote: Zygote, path: Path) -> None:
    await _race_between_processes(zygote, path, 20)


@pytest.mark.deep
async def test_of_a_hundred_answers_one_wins_a_thousand_times(path: Path) -> None:
    await _race_here(path, 1_000)


@pytest.mark.deep
async def test_of_a_hundred_answers_from_four_processes_one_wins_a_thousand_times(zygote: Zygote, path: Path) -> None:
    await _race_between_processes(zygote, path, 1_000)
