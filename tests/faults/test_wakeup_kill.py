"""FAULTS row 3: death after COMMIT of an answer and before anyone is told of it."""

import asyncio
import time
from pathlib import Path

import pytest

from faults.harness import PATIENCE, Zygote, percentile, problems
from restpoint import ExecutionStore
from restpoint.prompts import HumanResponseText
from support import TEXT

SECONDS_TO_THE_ANSWER = 1.0  # in the deep runs


def _die_answering(zygote: Zygote, path: Path, text: str, *prompt: str) -> tuple[str, str, float]:
    """Returns the execution, the prompt, and when the process was dead."""
    named = dict(zip(("execution_id", "wait_id"), prompt, strict=True)) if prompt else {}
    child = zygote.run("answer_and_die_before_waking", path=str(path), text=text, **named)
    answering, execution_id, wait_id = child.line()
    assert answering == "answering"
    assert list(child.lines()) == [], "the answer was acknowledged, or its waiter woken, before the process died"
    assert child.died_by_sigkill()
    zygote.forget(child)
    return execution_id, wait_id, time.monotonic()


def _figures(took: list[float]) -> str:
    return f"{percentile(took, 0.5) * 1000:.0f} ms (median), {max(took) * 1000:.0f} ms (most)"


def _restart_many(zygote: Zygote, path: Path, rounds: int) -> float:
    """Returns the most seconds that it took."""
    took: list[float] = []
    for round_ in range(rounds):
        text = f"north {round_}"
        execution_id, wait_id, _ = _die_answering(zygote, path, text)
        heir = zygote.run("find_the_answer", path=str(path), execution_id=execution_id, wait_id=wait_id, text=text)
        found, status, still_open, answers, seconds = heir.line()
        assert (found, status, still_open, answers) == ("found", "running", [], [text])
        assert heir.reap() == 0
        zygote.forget(heir)
        took.append(seconds)
    assert problems(path, []) == []
    print(f"\n{rounds} restarts: the answer after {_figures(took)}, opening included")
    return max(took)


async def _survive_many(zygote: Zygote, path: Path, rounds: int) -> float:
    """Returns the most seconds that it took."""
    took: list[float] = []
    async with ExecutionStore(database=path) as store:
        for round_ in range(rounds):
            text = f"south {round_}"
            record = await store.create_execution()
            pending = await store.set_interaction_required(record.execution_id, TEXT)
            future = pending.future
            answer = asyncio.create_task(asyncio.wait_for(asyncio.shield(future), PATIENCE))
            _, _, died = await asyncio.to_thread(
                _die_answering, zygote, path, text, record.execution_id, pending.interaction_id
            )
            assert await answer == HumanResponseText(text=text)
            took.append(time.monotonic() - died)
            assert record.status == "running"
            assert record.pending_interactions == ()
    assert problems(path, []) == []
    print(f"\n{rounds} survivors: woken {_figures(took)} after the death")
    return max(took)


def test_an_answer_whose_process_died_before_telling_is_there_after_a_restart(zygote: Zygote, path: Path) -> None:
    _restart_many(zygote, path, 20)


async def test_an_answer_whose_process_died_before_telling_wakes_a_waiter_elsewhere(zygote: Zygote, path: Path) -> None:
    await _survive_many(zygote, path, 20)


@pytest.mark.deep
def test_five_hundred_answers_are_there_after_a_restart(zygote: Zygote, path: Path) -> None:
    assert _restart_many(zygote, path, 500) < SECONDS_TO_THE_ANSWER


@pytest.mark.deep
async def test_five_hundred_answers_wake_the_waiter_in_another_process(zygote: Zygote, path: Path) -> None:
    assert await _survive_many(zygote, path, 500) < SECONDS_TO_THE_ANSWER
