"""What it costs to open a file in which very many executions wait for an answer, in a fresh process.

    python benchmarks/opening.py [--executions 100000 1000000] [--rounds 5] [--deadlines 0.1]

Columns: seconds until `ExecutionStore.open` returned; milliseconds to answer one of the executions, and to answer and then
complete it; resident memory after that, and its peak; seconds of the whole process, imports and closing included. Medians,
each round a new process. `cold`: the file is dropped from the operating system's cache before, where that is possible.
"""

import argparse
import asyncio
import json
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from prefill import PAUSED, prefill, used_bytes  # type: ignore[import-not-found]
from roundtrip import RESPONSE, RESULT  # type: ignore[import-not-found]

from restpoint import ExecutionStore

HOUR = 3_600_000  # milliseconds


async def _measure(path: Path, execution_id: str, interaction_id: str) -> dict[str, float]:
    began = time.perf_counter()
    store = await ExecutionStore(database=path).open()
    ready = time.perf_counter()
    await store.resolve_interaction(execution_id, interaction_id, RESPONSE)
    answered = time.perf_counter()
    await store.set_completed(execution_id, RESULT)
    completed = time.perf_counter()
    record = await store.get(execution_id)
    if record is None or record.status != "completed":
        raise RuntimeError(f"{execution_id} was to be completed: {record}")
    figures = {
        "open": ready - began,
        "answer": (answered - ready) * 1000,
        "answer and complete": (completed - ready) * 1000,
        **_memory(),
    }
    await store.close()
    return figures


def _memory() -> dict[str, float]:
    """Resident memory and its peak in megabytes, as Linux tells them (proc(5))."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {name: int(status[name].split()[0]) / 1000 for name in ("VmRSS", "VmHWM")}


def _set_deadlines(connection: sqlite3.Connection, share: float) -> None:
    if share > 0:
        every = round(1 / share)
        # Spread over the weeks to come, so that none falls due meanwhile.
        connection.execute(
            f"UPDATE interactions SET deadline_at = created_at + {HOUR} * (1 + key % 1000) WHERE key % {every} = 0"
        )


def _drop_from_cache(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def _run(path: Path, count: int, *, cold: bool) -> dict[str, float]:
    with closing(sqlite3.connect(path)) as connection:
        chosen = None
        while chosen is None:  # not one that an earlier round has answered
            chosen = connection.execute(
                "SELECT e.id, i.id FROM executions AS e JOIN interactions AS i ON i.execution_key = e.key"
                " WHERE e.key = ? AND i.status = 'pending'",
                (random.randint(1, count),),
            ).fetchone()
    if cold:
        _drop_from_cache(path)
    began = time.perf_counter()
    ran = subprocess.run(
        [sys.executable, __file__, "--measure", path, *chosen], check=True, stdout=subprocess.PIPE, text=True
    )
    return {**json.loads(ran.stdout), "process": time.perf_counter() - began}


def opening(path: Path, count: int, rounds: int, deadlines: float) -> None:
    prefill(path, count, PAUSED, lambda connection: _set_deadlines(connection, deadlines))
    size = used_bytes(path) / 1e6
    for cold in (False, True):
        runs = [_run(path, count, cold=cold) for _ in range(rounds)]
        middle = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
        print(
            f"{count:>10,} {size:>9,.0f} {'cold' if cold else 'warm':>6} {middle['open']:>9.3f}"
            f" {middle['answer']:>10.1f} {middle['answer and complete']:>13.1f}"
            f" {middle['VmRSS']:>9.0f} {middle['VmHWM']:>8.0f} {middle['process']:>11.2f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executions", nargs="+", type=int, default=[100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--deadlines", type=float, default=0.1, help="the share of the prompts that have a deadline")
    parser.add_argument("--measure", nargs=3, metavar=("FILE", "EXECUTION", "INTERACTION"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        path, execution_id, interaction_id = arguments.measure
        print(json.dumps(asyncio.run(_measure(Path(path), execution_id, interaction_id))))
        return
    print(
        f"{'paused':>10} {'file, MB':>9} {'cache':>6} {'open, s':>9} {'answer, ms':>10} {'+complete, ms':>13}"
        f" {'VmRSS, MB':>9} {'peak, MB':>8} {'process, s':>11}",
        flush=True,
    )
    for count in arguments.executions:
        with tempfile.TemporaryDirectory() as folder:
            opening(Path(folder) / "restpoint.db", count, arguments.rounds, arguments.deadlines)


if __name__ == "__main__":
    main()
