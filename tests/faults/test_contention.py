"""FAULTS row 5: four processes with four writers each on one file. Nobody hears of a lock; nothing is lost."""

import asyncio
import os
from pathlib import Path

import pytest

from faults.harness import PATIENCE, Acknowledged, Zygote, percentile, problems
from restpoint import ExecutionStore
from support import rows

PROCESSES = 4
WRITERS = 4


async def _make_shared(path: Path) -> str:
    async with ExecutionStore(database=path) as store:
        return (await store.create_execution()).execution_id


def _contend(zygote: Zygote, path: Path, seconds: float) -> float:
    """Returns the 99th percentile of a write."""
    shared = asyncio.run(_make_shared(path))
    children = [
        zygote.run("contend", path=str(path), shared=shared, writers=WRITERS, seconds=seconds) for _ in range(PROCESSES)
    ]
    for child in children:
        assert child.line() == ["ready"]
    for child in children:
        child.say("go")
    took: list[float] = []
    acknowledged: Acknowledged = []
    for child in children:
        # An error that reached a caller, "database is locked" or any other, is raised here.
        word, times = child.line(seconds + PATIENCE)
        assert word == "took"
        took += times
        own = list(child.lines())
        assert len(own) == len(times) > WRITERS
        acknowledged += own
        assert os.waitstatus_to_exitcode(child.reap()) == 0
        zygote.forget(child)
    assert problems(path, acknowledged) == []
    asked = sum(event == "interaction_asked" and execution_id == shared for event, execution_id, *_ in acknowledged)
    assert asked > PROCESSES * WRITERS
    # Every asking and every answering of the execution that all wrote to counted: no update was lost.
    stored = rows(path, "SELECT version, open_waits, status FROM executions WHERE id = ?", shared)
    assert stored == [(1 + 2 * asked, 0, "running")]
    p99 = percentile(took, 0.99)
    print(
        f"\n{PROCESSES} processes x {WRITERS} writers for {seconds} s: {len(took)} writes, "
        f"{len(took) / seconds:.0f}/s, p50 {percentile(took, 0.5) * 1000:.1f} ms, "
        f"p99 {p99 * 1000:.1f} ms, most {max(took) * 1000:.0f} ms; "
        f"0 errors, 0 lost, {2 * asked} on one shared execution"
    )
    return p99


def test_processes_that_write_to_one_file_at_once_lose_nothing_and_hear_of_no_lock(zygote: Zygote, path: Path) -> None:
    _contend(zygote, path, 2)


@pytest.mark.deep
def test_processes_that_write_for_a_minute_lose_nothing_and_wait_little(zygote: Zygote, path: Path) -> None:
    assert _contend(zygote, path, 60) < 0.5, "the target is 0.1 s on a quiet machine"
