"""What a page of an inbox costs in a large file, and what an answer costs with the table of assignments and without it.

    python benchmarks/inbox.py [--executions 1000000] [--open 100000] [--people 1000] [--groups 50]

So many executions have completed, and the newest of them have an open prompt each: three of ten are for a person, three for a
group, two to a person and a group, and two to nobody, which is their owner. A person is in three groups. A page has 50
lines; what counts is the median of nine readings by ``Service.inbox``, with the SQL, the objects and the policy. The target is
100 ms for the first page and for the tenth. What somebody decided is read too: a person of the thousand, and one who has answered
a ninth of everything.

An answer is one of ``--answers`` through the store, in milliseconds, without flushes; the other file has no triggers that keep
the table of assignments, and no index of who answered. Both are answered in turns. The target is a ratio of at most 1.2.
"""

import argparse
import asyncio
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from prefill import FINISHED, prefill  # type: ignore[import-not-found]

from restpoint import ExecutionStore
from restpoint._storage.schema import TRIGGERS
from restpoint.access import OPERATOR, Actor
from restpoint.prompts import HumanPromptText, HumanResponseText
from restpoint.service import Service

NEVER = 10 * 366 * 24 * 3600.0  # seconds until the sweep
LINES = 50
ASSIGNING = tuple(sql for sql in TRIGGERS if "interactions_are_assigned" in sql)


async def median(work: Callable[[], Awaitable[Any]]) -> float:
    """Milliseconds."""
    took = []
    for _ in range(9):
        began = time.perf_counter()
        await work()
        took.append(time.perf_counter() - began)
    return 1_000 * statistics.median(took)


def shape(connection: sqlite3.Connection, options: argparse.Namespace) -> None:
    """Open a prompt in each of the newest executions, and give everything an owner and a workflow."""
    people, groups = options.people, options.groups
    connection.execute("UPDATE executions SET expires_at = NULL")
    connection.execute(
        f"UPDATE executions SET owner = 'person' || (key % {people}), priority = key % 5,"
        " workflow = CASE WHEN key % 1000 = 0 THEN 'rare' ELSE 'usual' END"
    )
    (newest,) = connection.execute(
        "SELECT min(key) FROM (SELECT key FROM executions ORDER BY key DESC LIMIT ?)", (options.open,)
    ).fetchone()
    person, group = f"'person' || (execution_key * 7 % {people})", f"'group:group' || (execution_key % {groups})"
    connection.execute(
        "UPDATE interactions SET status = 'pending', closed_at = NULL, response = NULL, answered_by = NULL,"
        " deadline_at = CASE WHEN execution_key % 3 THEN created_at + 86400000 * (1 + execution_key % 30) END,"
        f" assignees = CASE WHEN execution_key % 10 < 3 THEN json_array({person}) WHEN execution_key % 10 < 6"
        f" THEN json_array({group}) WHEN execution_key % 10 < 8 THEN json_array({person}, {group}) END"
        " WHERE execution_key >= ?",
        (newest,),
    )
    connection.execute(
        "UPDATE interactions SET answered_by = CASE WHEN key % 9 THEN 'person' || (key % ?) ELSE 'busy' END"
        " WHERE status = 'answered'",
        (people,),
    )
    connection.execute(
        "UPDATE executions SET status = 'interaction_required', open_waits = 1, completed_at = NULL, result = NULL"
        " WHERE key >= ?",
        (newest,),
    )
    # As the triggers fill it, which are not there yet.
    for sql in ASSIGNING[:1]:
        connection.execute(sql.replace("AFTER INSERT ON", "AFTER UPDATE OF opened ON"))
    connection.execute("UPDATE interactions SET opened = opened WHERE status = 'pending'")
    connection.execute("DROP TRIGGER interactions_are_assigned")
    connection.commit()


async def pages(path: Path, options: argparse.Namespace) -> None:
    """Print what each page costs."""
    groups = frozenset(f"group{number}" for number in range(3))
    actors = {
        "a person in three groups": Actor("person7", groups=groups),
        "a person in every group": Actor("person7", groups=frozenset(f"group{n}" for n in range(options.groups))),
        "a person in none": Actor("person7"),
        "an operator": Actor("op", roles=frozenset({OPERATOR})),
        "nobody's": Actor("stranger"),
    }
    async with ExecutionStore(database=path, sweep_interval_seconds=NEVER) as store:
        service = Service(store)
        for name, actor in actors.items():
            for workflow in (None, "rare"):
                cursor, found = None, 0
                for page in range(1, 11):

                    async def read(actor: Actor = actor, cursor: Any = cursor, workflow: Any = workflow) -> Any:
                        return await service.inbox(actor, workflow=workflow, limit=LINES, cursor=cursor)

                    if page in {1, 10}:
                        took = await median(read)
                        found = len((await read()).items)
                        what = f"{name}{', one workflow in a thousand' if workflow else ''}"
                        print(f"{what:<55} page {page:>2} {took:8.2f} ms  {found:>3} lines", flush=True)
                    cursor = (await read()).next_cursor
                    if cursor is None:
                        break
        for name in ("person7", "busy"):

            async def decided(name: str = name) -> Any:
                return await service.answered(Actor(name), limit=100)

            took, found = await median(decided), len(await decided())
            print(f"{f'what {name} decided':<55} page  1 {took:8.2f} ms  {found:>3} lines", flush=True)


async def answers(folder: Path, count: int) -> None:
    """Print what an answer costs in a file with the table, in one without, and the ratio."""
    files = {"with": folder / "with.db", "without": folder / "without.db"}
    took: dict[str, list[float]] = {name: [] for name in files}
    stores: dict[str, ExecutionStore] = {}
    asked: dict[str, list[tuple[str, str, str]]] = {}
    for name, path in files.items():
        stores[name] = await ExecutionStore(database=path, sweep_interval_seconds=NEVER, synchronous="NORMAL").open()
        if name == "without":
            with closing(sqlite3.connect(path)) as connection:
                for sql in ASSIGNING:
                    connection.execute(f"DROP TRIGGER {sql.split()[2]}")
                connection.execute("DROP INDEX interactions_by_answerer")
    for name, store in stores.items():
        asked[name] = []
        for number in range(count):
            record = await store.create_execution(owner="ada")
            names = [f"person{number % 1_000}", f"group:group{number % 50}"]
            pending = await store.set_interaction_required(
                record.execution_id, HumanPromptText(text="?"), assignees=names
            )
            asked[name].append((record.execution_id, pending.interaction_id, f"person{number % 1_000}"))
    for number in range(count):
        for name in sorted(files, reverse=bool(number % 2)):
            execution_id, interaction_id, actor = asked[name][number]
            began = time.perf_counter()
            await stores[name].resolve_interaction(
                execution_id, interaction_id, HumanResponseText(text="yes"), actor=actor
            )
            took[name].append(time.perf_counter() - began)
    for store in stores.values():
        await store.close()
    medians = {name: 1_000 * statistics.median(each) for name, each in took.items()}
    for name, each in medians.items():
        print(f"an answer {name:<8} the table {each:8.3f} ms", flush=True)
    print(f"ratio {medians['with'] / medians['without']:.2f}", flush=True)


async def main() -> None:
    """Read the arguments, and print what each costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executions", type=int, default=1_000_000)
    parser.add_argument("--open", type=int, default=100_000)
    parser.add_argument("--people", type=int, default=1_000)
    parser.add_argument("--groups", type=int, default=50)
    parser.add_argument("--answers", type=int, default=2_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.answers:
            await answers(Path(folder), options.answers)
        if options.executions:
            path = Path(folder) / "large.db"
            prefill(path, options.executions, FINISHED, lambda connection: shape(connection, options))
            await pages(path, options)


if __name__ == "__main__":
    asyncio.run(main())
