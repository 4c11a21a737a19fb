"""Write ``NNNN.sql``: a file of the present revision as SQL, with executions of every kind paused in the middle.

Run once for each revision, by the program of that revision, before the next one is added::

    PYTHONPATH=src:tests python tests/files/make.py

``tests/test_upgrades.py`` brings each of them to the newest revision and lets what is paused in it go on.
"""

import asyncio
import os
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from restpoint import ExecutionStore
from restpoint._storage import outbox
from restpoint._storage.schema import REVISION
from restpoint.events import EventKind
from support import PAIRS, ManualClock

CONSENT = "https://provider.example/authorize"


async def stores(store: ExecutionStore) -> None:
    """What an application does that drives its executions itself. Each is known by its workflow."""
    told = outbox.Route("questions", "office", (EventKind.INTERACTION_ASKED, EventKind.EXECUTION_COMPLETED))
    await (await store.file()).database.write(outbox.register, [told])

    async def new(workflow: str) -> str:
        return (await store.create_execution(workflow=workflow, owner="ada")).execution_id

    await new("running")
    for prompt, _ in PAIRS:
        await store.set_interaction_required(await new(f"asks {prompt.input_type}"), prompt)
    several = await new("asks several")
    first = await store.set_interaction_required(several, PAIRS[0][0], "first")
    await store.set_interaction_required(several, PAIRS[2][0], "second", timeout=90 * 86_400)
    await store.set_oauth_required(several, CONSENT, "state 1")
    await store.resolve_interaction(several, first.interaction_id, PAIRS[0][1], actor="grace")
    await store.set_oauth_required(await new("consents"), CONSENT, "state 2")
    await store.set_completed(await new("completed"), {"price": [1, 2.5, None, "é"]})
    held = await new("held")
    await store.set_completed(held, "held")
    await store.hold(held, "an audit", actor="otto")
    await store.set_failed(await new("failed"), "It failed.", code="planned")
    cancelled = await new("cancelled")
    await store.set_interaction_required(cancelled, PAIRS[0][0])
    await store.cancel(cancelled, "enough", actor="ada")
    gone = await new("removed")
    await store.set_completed(gone, None)
    await store.remove(gone)


async def runs(store: ExecutionStore, path: Path) -> None:
    """What a runner drives, from revision 0002 on."""
    from paused_workflows import WORKFLOWS
    from restpoint import Runner
    from runners import answer, asked, journaled

    runner = await Runner(store, WORKFLOWS, hold_paused_for=600).open()
    started: dict[str, Any] = {}
    for each in WORKFLOWS:
        key = f"key of {each.name}"
        started[each.name] = (await runner.start(each.name, "an order", owner="bob", idempotency_key=key)).record
    await answer(store, started["paused.refund"], "Refund it?", "Yes")
    await asked(started["paused.refund"], "Why?")
    await answer(store, started["paused.parallel"], "Left?", "L")
    await asked(started["paused.parallel"], "Right?")
    await journaled(path, "sleep", 1)


async def main() -> None:
    """Fill a file, and write it down as a process that is killed would leave it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.db"
        store = await ExecutionStore({"completed": 600, "failed": None}, database=path, clock=ManualClock()).open()
        await stores(store)
        await runs(store, path)
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            # Of no machine in particular, and dead wherever it is read.
            connection.execute("UPDATE leases SET host = 'elsewhere', pid = 1, started = 1")
            lines = [line for line in connection.iterdump() if line not in {"BEGIN TRANSACTION;", "COMMIT;"}]
        Path(__file__).with_name(f"{REVISION}.sql").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    asyncio.new_event_loop().run_until_complete(main())
    os._exit(0)  # with the store open, as when it is killed: nothing is parked or dropped politely
