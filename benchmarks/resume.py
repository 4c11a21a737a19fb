"""How many paused executions a process holds, and how fast an answer resumes the workflow that waits for it.

    python benchmarks/resume.py [--held 1000 10000] [--parked 100000 1000000] [--answers 500]

`held`: that many executions are started here and stay in memory. `parked`: a file with that many, in a new process that has
none of them in memory. Columns: resident memory with all of them paused; seconds until the first answer can be taken;
milliseconds from the call that answers to the line of the workflow after its prompt (median, p99), and to the end of the
execution, answered one at a time and 50 at a time.
"""

import argparse
import asyncio
import json
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from prefill import PAUSED, prefill  # type: ignore[import-not-found]
from roundtrip import PROMPT, RESPONSE  # type: ignore[import-not-found]

from restpoint import Context, ExecutionStore, Runner, workflow
from restpoint._engine.calls import fingerprint
from restpoint.prompts import write_prompt

resumed: dict[str, float] = {}


@workflow
async def refund(ctx: Context) -> dict[str, Any]:
    response = await ctx.ask(PROMPT)
    resumed[ctx.execution_id] = time.perf_counter()
    return {"refunded": response.selected_option.id == "yes"}


def park(connection: sqlite3.Connection) -> None:
    """Make runs of this workflow of what ``prefill`` wrote, parked at their prompt."""
    print_ = fingerprint(write_prompt(PROMPT), None, None, None, None)
    connection.execute("UPDATE executions SET workflow = 'refund', lease = NULL, ready = 0")
    connection.execute("INSERT INTO runs (execution_key, version, input) SELECT key, 1, 'null' FROM executions")
    connection.execute(
        "INSERT INTO journal (execution_key, position, kind, name, fingerprint, result, recorded_at)"
        " SELECT execution_key, '1', 'ask', 'binary_choice', ?, json_quote(id), created_at FROM interactions",
        (print_,),
    )
    connection.commit()


def resident_mb() -> float:
    text = Path("/proc/self/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) / 1024


async def answer_one(store: ExecutionStore, execution_id: str, interaction_id: str) -> tuple[float, float]:
    """Milliseconds until the workflow went on, and until it was completed."""
    begun = time.perf_counter()
    await store.resolve_interaction(execution_id, interaction_id, RESPONSE)
    record = await store.get(execution_id)
    assert record is not None
    while record.status != "completed":
        await record.changed()
    return (resumed[execution_id] - begun) * 1000, (time.perf_counter() - begun) * 1000


async def measure(path: Path, held: int, answers: int) -> dict[str, Any]:
    begun = time.perf_counter()
    async with (
        ExecutionStore(database=path, ttl_seconds=None) as store,
        Runner(store, [refund], hold_paused_for=3600 if held else 5.0) as runner,
    ):
        records = []
        for _ in range(0, held, 500):
            batch = await asyncio.gather(*(runner.start("refund") for _ in range(min(500, held))))
            records += [each.record for each in batch]
        for record in records:
            while not record.pending_interactions:
                await record.changed()
        ready = time.perf_counter() - begun
        memory = resident_mb()
        with closing(sqlite3.connect(path)) as connection:
            open_ = connection.execute(
                "SELECT e.id, i.id FROM interactions AS i JOIN executions AS e ON e.key = i.execution_key"
                " WHERE i.status = 'pending' ORDER BY random() LIMIT ?",
                (2 * answers,),
            ).fetchall()
        random.shuffle(open_)
        alone = [await answer_one(store, *each) for each in open_[:answers]]
        together: list[tuple[float, float]] = []
        rest = open_[answers:]

        async def drive() -> None:
            while rest:
                together.append(await answer_one(store, *rest.pop()))

        await asyncio.gather(*(drive() for _ in range(50)))
        return {"ready": ready, "memory": memory, "after": resident_mb(), "alone": alone, "together": together}


def told(values: list[list[float]], index: int) -> str:
    times = sorted(value[index] for value in values)
    return f"{statistics.median(times):.1f}/{times[int(len(times) * 0.99)]:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--held", type=int, nargs="*", default=[1_000, 10_000])
    parser.add_argument("--parked", type=int, nargs="*", default=[100_000, 1_000_000])
    parser.add_argument("--answers", type=int, default=500)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        path, held = Path(arguments.measure[0]), int(arguments.measure[1])
        print(json.dumps(asyncio.run(measure(path, held, arguments.answers))))
        return
    print("                     memory MB    ready s  one at a time: resumed/ended ms (p50/p99)   50 at a time")
    for kind, counts in (("held", arguments.held), ("parked", arguments.parked)):
        for count in counts:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "restpoint.db"
                if kind == "parked":
                    prefill(path, count, PAUSED, park)
                command = [sys.executable, __file__, "--answers", str(arguments.answers), "--measure", str(path)]
                done = subprocess.run(
                    [*command, str(count if kind == "held" else 0)], check=True, capture_output=True, text=True
                )
                found = json.loads(done.stdout)
            print(
                f"{kind:>7} {count:>9}  {found['memory']:>4.0f} -> {found['after']:<4.0f}  {found['ready']:>7.2f}"
                f"  {told(found['alone'], 0):>14} {told(found['alone'], 1):>14}"
                f"      {told(found['together'], 0):>14} {told(found['together'], 1):>14}"
            )


if __name__ == "__main__":
    main()
