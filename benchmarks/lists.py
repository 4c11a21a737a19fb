"""What a page of a list costs in a large file, and what an answer costs beside many open prompts of its execution.

    python benchmarks/lists.py [--executions 1000000] [--open 100000] [--prompts 10 100 2000]

The file has so many executions, the newest of which wait for an answer; the others have completed, and one in 200,000 has
failed. A page has 50 lines; what counts is the median of nine readings, with the SQL and the objects. The target is 100 ms. An
answer is one of a hundred to an execution with so many open prompts, through the store, in milliseconds, without flushes.
"""

import argparse
import asyncio
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from prefill import FINISHED, prefill  # type: ignore[import-not-found]

from restpoint import ExecutionStore
from restpoint.prompts import HumanPromptText, HumanResponseText

NEVER = 10 * 366 * 24 * 3600.0  # seconds until the sweep
OWNERS = 1_000


async def _median(work: Callable[[], Awaitable[Any]]) -> float:
    """Milliseconds."""
    took = []
    for _ in range(9):
        began = time.perf_counter()
        await work()
        took.append(time.perf_counter() - began)
    return 1_000 * statistics.median(took)


def _shape(connection: sqlite3.Connection, waiting: int) -> None:
    """Give the executions owners, workflows and statuses, as a large company has them."""
    connection.execute("UPDATE executions SET expires_at = NULL")
    connection.execute(
        f"UPDATE executions SET owner = 'person' || (key % {OWNERS}), workflow = CASE WHEN key % 100 = 0 THEN 'rare'"
        " WHEN key = 7 THEN 'once' ELSE 'usual' END"
    )
    connection.execute("UPDATE executions SET owner = 'boss' WHERE key % 3 = 0")
    connection.execute("UPDATE executions SET status = 'failed', result = NULL, error = 'no' WHERE key % 200000 = 11")
    newest = f"SELECT key FROM executions WHERE status = 'completed' ORDER BY key DESC LIMIT {waiting}"
    connection.execute(
        "UPDATE interactions SET status = 'pending', closed_at = NULL, response = NULL, answered_by = NULL,"
        " assignees = CASE WHEN execution_key % 2"
        " THEN '[\"group:finance\"]' ELSE '[\"person' || (execution_key % 50) || '\"]' END"
        f" WHERE execution_key IN ({newest})"
    )
    connection.execute(
        "UPDATE executions SET status = 'interaction_required', open_waits = 1, completed_at = NULL, result = NULL"
        f" WHERE key IN ({newest})"
    )
    connection.commit()


async def lists(path: Path) -> None:
    """Print what each list costs."""
    async with ExecutionStore(database=path, sweep_interval_seconds=NEVER) as store:
        middle = (await store.list(limit=1_000)).next_cursor
        for name, filters in {
            "no filter": {},
            "no filter, from the middle": {"cursor": middle},
            "status failed": {"status": "failed"},
            "status running (none)": {"status": "running"},
            "status completed": {"status": "completed"},
            "status interaction_required": {"status": "interaction_required"},
            "statuses failed, cancelled": {"status": ["failed", "cancelled"]},
            "owner with a thousandth": {"owner": "person1"},
            "owner with a third": {"owner": "boss"},
            "owner with nothing": {"owner": "nobody"},
            "workflow once": {"workflow": "once"},
            "workflow rare": {"workflow": "rare"},
            "workflow usual, failed": {"workflow": "usual", "status": "failed"},
            "owner with a third, failed": {"owner": "boss", "status": "failed"},
            "owner with a thousandth, completed": {"owner": "person1", "status": "completed"},
            "visible to an owner": {"visible_to": ["person1"]},
            "visible to finance": {"visible_to": ["ada", "group:finance"]},
            "visible to nobody": {"visible_to": ["nobody", "group:none"]},
        }.items():
            found: list[int] = []

            async def work(filters: Any = filters, found: list[int] = found) -> None:
                found.append(len((await store.list(**filters)).items))

            print(f"{name:<36} {await _median(work):8.2f} ms  {found[0]:>3} lines", flush=True)


async def answers(folder: Path, prompts: int) -> float:
    """Milliseconds for an answer to an execution with so many open prompts."""
    # Without a flush for each commit, whose time would hide what the prompts cost.
    database = folder / f"{prompts}.db"
    async with ExecutionStore(database=database, sweep_interval_seconds=NEVER, synchronous="NORMAL") as store:
        took = []
        for _ in range(max(1, 300 // prompts)):
            record = await store.create_execution()
            pending = [
                await store.set_interaction_required(record.execution_id, HumanPromptText(text="q" * 2_000))
                for _ in range(prompts)
            ]
            for each in pending[:100]:
                began = time.perf_counter()
                await store.resolve_interaction(record.execution_id, each.interaction_id, HumanResponseText(text="yes"))
                took.append(time.perf_counter() - began)
        return 1_000 * statistics.median(took)


async def main() -> None:
    """Read the arguments, and print what each costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executions", type=int, default=1_000_000)
    parser.add_argument("--open", type=int, default=100_000)
    parser.add_argument("--prompts", type=int, nargs="*", default=[10, 100, 2_000])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for prompts in options.prompts:
            print(
                f"an answer beside {prompts:>5} open prompts {await answers(Path(folder), prompts):8.2f} ms", flush=True
            )
        if options.executions:
            path = Path(folder) / "large.db"
            prefill(path, options.executions, FINISHED, lambda connection: _shape(connection, options.open))
            await lists(path)


if __name__ == "__main__":
    asyncio.run(main())
