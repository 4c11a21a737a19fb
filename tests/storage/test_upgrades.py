"""Files that past releases wrote, with executions paused in the middle: brought to this release, they go on.

``files/NNNN.sql`` were written by the programs of those revisions (``files/make.py``), not made up here.
"""

import asyncio
from pathlib import Path

import pytest

from elsewhere import schema_of
from past_files import FILES, load
from paused_workflows import CALLS, WORKFLOWS
from restpoint import ExecutionStore, Runner
from restpoint._storage.schema import REVISION
from restpoint._storage.sqlite import migrations
from restpoint.errors import SchemaTooOld
from restpoint.prompts import HumanResponseText
from runners import answer, asked, ended
from served import typed
from support import ADA, PAIRS, START, ManualClock, broken_history, file_of, folded_statuses, rows

WRITTEN = sorted(script.stem for script in FILES.glob("[0-9]*.sql"))
WEEKS = 21 * 86_400_000
COLUMNS = "sequence, execution_id, event, wait_id, from_status, to_status, actor, cause, time, detail, hex(digest)"

# Every file is upgraded, answered and completed in an ordinary run. What else is done with them is the same for each: an ordinary
# run does it with the first ones, one from the middle and the last, the deep one with each.
OFTEN = {"0001", "0003", "0010", WRITTEN[-1]}

each_file = pytest.mark.parametrize("revision", WRITTEN)
some_files = pytest.mark.parametrize(
    "revision",
    [pytest.param(revision, marks=[] if revision in OFTEN else pytest.mark.deep) for revision in WRITTEN],
)


def ids(path: Path) -> dict[str, str]:
    return dict(rows(path, "SELECT workflow, id FROM executions"))


async def go_on(path: Path) -> None:
    """Answer everything that waits, and see it end."""
    clock = ManualClock(START + WEEKS)
    CALLS.clear()
    named = ids(path)
    store = ExecutionStore(None, database=path, clock=clock, sweep_interval_seconds=1e6)
    async with store, Runner(store, WORKFLOWS) as runner:
        recovered = await store.recover()
        assert [record.workflow for record in recovered] == ["running"]
        for prompt, response in PAIRS:
            record = await store.get(named[f"asks {prompt.input_type}"])
            assert record is not None
            assert record.pending_interaction is not None
            assert record.pending_interaction.prompt == prompt
            future = record.pending_interaction.future
            await store.resolve_interaction(
                record.execution_id, record.pending_interaction.interaction_id, response, actor="grace"
            )
            assert await future == response
            await store.set_completed(record.execution_id, "done")
        several = named["asks several"]
        await store.resolve_interaction(several, "first", PAIRS[0][1], actor="grace")  # as it was answered before
        await store.resolve_interaction(several, "second", PAIRS[2][1], actor="grace")
        for name in ("asks several", "consents"):
            record = await store.get(named[name])
            assert record is not None
            assert record.pending_oauth is not None
            await store.set_running(named[name])
            await store.set_completed(named[name], "done")
        if "paused.refund" in named:
            await runs_go_on(store, runner, clock, named)
        assert await broken_history(file_of(store).database) is None
    assert {row[0] for row in rows(path, "SELECT status FROM executions")} == {"completed", "failed", "cancelled"}
    kept = dict(rows(path, "SELECT workflow, coalesce(result, error) FROM executions"))
    assert kept["completed"] == '{"price":[1,2.5,null,"é"]}'
    assert kept["failed"] == "It failed."
    assert rows(path, "SELECT hold FROM executions WHERE hold IS NOT NULL") == [("an audit",)]
    told = {name: status for name, status in folded_statuses(path).items() if status is not None}
    assert told == dict(rows(path, "SELECT id, status FROM executions"))


async def runs_go_on(store: ExecutionStore, runner: Runner, clock: ManualClock, named: dict[str, str]) -> None:
    found = [await store.get(named[each.name]) for each in WORKFLOWS]
    refund, parallel, asleep = (record for record in found if record is not None)
    again = await runner.start("paused.refund", "an order", owner="bob", idempotency_key="key of paused.refund")
    assert (again.record.execution_id, again.created) == (refund.execution_id, False)
    await answer(store, refund, "Why?", "Broken", "grace")
    await answer(store, parallel, "Right?", "R")
    await asked(asleep, "Awake?")
    await answer(store, asleep, "Awake?", "Yes")
    assert (await ended(refund)).result == {"price": 8, "answers": ["Yes", "Broken"]}
    assert (await ended(parallel)).result == ["L", "R"]
    assert (await ended(asleep)).result == "Yes"
    assert CALLS == [], "what was recorded is not done again"
    assert clock.now() == START + WEEKS


def test_every_revision_but_the_newest_has_a_file_that_its_program_wrote() -> None:
    landed = {script.name[:4] for script in (migrations.scripts() / "versions").glob("[0-9]*.py")}
    assert landed >= set(WRITTEN) >= landed - {REVISION}


@each_file
async def test_what_a_past_release_left_paused_is_answered_and_completes(path: Path, revision: str) -> None:
    load(revision, path)
    told = rows(path, f"SELECT {COLUMNS} FROM history ORDER BY sequence")
    if revision != REVISION:
        with pytest.raises(SchemaTooOld):
            await ExecutionStore(database=path).open()
        saved = migrations.upgrade(path)
        assert saved is not None
        assert migrations.current(saved) == revision
    assert all(fine for _, fine, _ in migrations.check(path))
    assert rows(path, f"SELECT {COLUMNS} FROM history ORDER BY sequence")[: len(told)] == told
    assert dict(rows(path, "SELECT id, priority FROM executions")) == dict.fromkeys(ids(path).values(), 0)
    await go_on(path)


@some_files
def test_restpoint_db_upgrade_gives_what_a_past_release_left_the_default_priority(path: Path, revision: str) -> None:
    load(revision, path)
    known = ids(path)
    for command in (("db", "upgrade"), ("audit", "verify")):
        ran = typed(*command, "--database", str(path), cwd=path.parent)
        assert ran.returncode == 0, ran.stderr
    assert dict(rows(path, "SELECT id, priority FROM executions")) == dict.fromkeys(known.values(), 0)


@some_files
async def test_what_was_moved_up_and_down_and_up_is_answered_and_completes(path: Path, revision: str) -> None:
    load(revision, path)
    schema, waits = schema_of(path), rows(path, "SELECT * FROM open_waits ORDER BY wait_id")
    tables = ("executions", "interactions", "consents", "journal", "leases")
    before = {table: sorted(map(repr, rows(path, f"SELECT * FROM {table}"))) for table in tables}
    migrations.upgrade(path)
    migrations.downgrade(path, revision)
    assert schema_of(path) == schema
    assert rows(path, "SELECT * FROM open_waits ORDER BY wait_id") == waits
    assert {table: sorted(map(repr, rows(path, f"SELECT * FROM {table}"))) for table in tables} == before
    migrations.upgrade(path)
    assert all(fine for _, fine, _ in migrations.check(path))
    await go_on(path)


@some_files
async def test_a_store_that_may_upgrade_does_so_at_its_first_use(path: Path, revision: str) -> None:
    load(revision, path)
    execution_id = ids(path)["asks text"]
    async with ExecutionStore(database=path, migrate="auto", clock=ManualClock(START + WEEKS)) as store:
        record = await store.get(execution_id)
        assert record is not None
        assert record.pending_interaction is not None
        waiting = asyncio.ensure_future(record.pending_interaction.future)
        await store.resolve_interaction(execution_id, record.pending_interaction.interaction_id, ADA, actor="grace")
        assert await waiting == HumanResponseText(text="Ada")
    assert migrations.current(path) == REVISION
