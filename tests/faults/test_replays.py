"""Whatever a workflow did in its branches, it does again: from each state in which its process may have died.

A random workflow (``branchy.py``) runs to its end while its file is copied after every commit, before anyone here is told of
that commit: so each copy is what a process leaves behind that is killed there. From each copy another process goes on, and
must neither be stuck nor contradict what had been recorded.
"""

import asyncio
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest

from faults.branchy import Plan, answer_some, branchy, plan_of
from restpoint import ExecutionRecord, ExecutionStore, Runner
from restpoint.lifecycle import TERMINAL
from runners import WAYS
from support import PATIENCE, rows, sql


@contextmanager
def _copied(store: ExecutionStore, path: Path, folder: Path) -> Iterator[list[Path]]:
    """The file after each of its commits."""
    copies: list[Path] = []

    def copy(*_: Any) -> None:
        copies.append(folder / f"{len(copies)}.db")
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copies[-1])) as target:
            source.backup(target)

    store.observe(copy)
    try:
        yield copies
    finally:
        store.observe(None)


async def _to_the_end(
    stores: list[ExecutionStore], record: ExecutionRecord, random: Random, *, reluctance: float = 0.3
) -> None:
    async with asyncio.timeout(PATIENCE):
        while record.status not in TERMINAL and record.problem is None:
            if random.random() >= reluctance:
                await answer_some(stores, record.execution_id, random)
            with suppress(TimeoutError):
                async with asyncio.timeout(random.choice([0.001, 0.003, 0.02])):
                    await record.changed()


def _emitted(path: Path) -> list[list[Any]]:
    """What the workflow gave out, in the order in which it was told that it had."""
    query = "SELECT result FROM journal WHERE kind = 'emit' AND error IS NULL ORDER BY ordinal"
    return [json.loads(result) for (result,) in rows(path, query)]


def _look_at(path: Path, record: ExecutionRecord, plan: Plan) -> None:
    assert (record.status, record.problem) == ("completed", None), (plan, record.error)
    trail = record.result
    for emitted in _emitted(path):
        told = [each for each in emitted[1:] if isinstance(each, str)]
        assert told == trail[: len(told)], (plan, emitted)


async def _first_run(path: Path, folder: Path, plan: Plan, way: dict[str, Any], random: Random) -> list[Path]:
    async with ExecutionStore(database=path) as store, ExecutionStore(database=path) as other:
        with _copied(store, path, folder) as copies:
            async with Runner(store, [branchy], **way) as runner:
                record = (await runner.start("branchy", plan)).record
                await _to_the_end([store, other], record, random)
        _look_at(path, record, plan)
    return copies


async def _go_on_from(copy: Path, plan: Plan, random: Random) -> None:
    with sql(copy) as connection:
        connection.execute("UPDATE executions SET lease = NULL, ready = 1")
    recorded = _emitted(copy)
    hold = random.choice([0.0, 600.0])
    async with ExecutionStore(database=copy) as store, Runner(store, [branchy], hold_paused_for=hold):
        (execution_id,) = (row[0] for row in rows(copy, "SELECT id FROM executions"))
        record = await store.get(execution_id)
        assert record is not None
        await _to_the_end([store], record, random)
    _look_at(copy, record, plan)
    if recorded and recorded[-1][0] == "end":
        assert record.result == recorded[-1][1:], plan


async def _replay_from_everywhere(fresh: Path, folder: Path, seed: int, most: int) -> int:
    """One plan, run in one of the ways; then from at most so many of the states that its file was in. How many those were."""
    random = Random(seed)
    folder.mkdir()  # noqa: ASYNC240 - a test's
    path = shutil.copyfile(fresh, folder / "first.db")
    plan, way = plan_of(random), random.choice(list(WAYS.values()))
    try:
        copies = await _first_run(path, folder, plan, way, random)
        copies = [copy for copy in copies if rows(copy, "SELECT 1 FROM runs")]
        chosen = random.sample(copies, min(most, len(copies)))
        for copy in chosen:
            await _go_on_from(copy, plan, random)
    except BaseException:
        print(f"seed {seed}")
        raise
    shutil.rmtree(folder)
    return len(chosen)


@pytest.mark.parametrize("seed", range(4))
async def test_a_run_goes_on_from_wherever_its_process_died_as_it_had_begun(
    fresh: Path, tmp_path: Path, seed: int
) -> None:
    assert await _replay_from_everywhere(fresh, tmp_path / "run", seed, most=12)


@pytest.mark.deep
async def test_many_runs_go_on_from_wherever_their_processes_died(fresh: Path, tmp_path: Path) -> None:
    give_up = time.monotonic() + float(os.environ.get("RESTPOINT_DEEP_SECONDS", "600"))
    seed = first = Random().getrandbits(32)
    replays = 0
    while time.monotonic() < give_up:
        replays += await _replay_from_everywhere(fresh, tmp_path / str(seed), seed, most=1_000)
        seed += 1
    print(
        f"\n{seed - first} random workflows from seed {first}, and {replays} runs that went on from one of their states"
    )
