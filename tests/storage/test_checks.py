"""What an operator is told of the file: figures, words, and an exit code by how bad it is."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from faults.prefilled import expired_executions
from inside import Command
from past_files import load
from restpoint import ExecutionStore
from restpoint._core.clock import SystemClock
from restpoint._storage.schema import REVISION, ddl
from restpoint._storage.sqlite import checks, migrations, vacuum
from restpoint._storage.sqlite.database import Database
from support import START, TEXT, ManualClock, rows, sql

NAMES = [
    *("revision", "schema", "integrity", "foreign keys", "history", "log", "free pages"),
    *("leases", "waits", "sweep", "problems", "running", "outbox", "holds"),
]
HOUR = 3_600_000


def looked_at(path: Path, now: int = START, *, quick: bool = False) -> dict[str, checks.Finding]:
    return {each.name: each for each in checks.examine(path, now, quick=quick)}


def bad(path: Path, now: int = START) -> dict[str, str]:
    """What is not well, by name."""
    return {name: each.severity for name, each in looked_at(path, now).items() if each.severity != "ok"}


async def filled(path: Path, clock: ManualClock) -> None:
    async with ExecutionStore(database=path, clock=clock) as store:
        record = await store.create_execution()
        await store.set_interaction_required(record.execution_id, TEXT, timeout=600)
        held = await store.create_execution()
        await store.set_completed(held.execution_id, None)
        await store.hold(held.execution_id, "an audit")
        ended = await store.create_execution()
        await store.set_completed(ended.execution_id, None)


async def test_a_file_that_is_well_has_a_figure_for_everything(path: Path, clock: ManualClock) -> None:
    await filled(path, clock)
    found = looked_at(path, START + 5_000)
    assert list(found) == NAMES
    assert {each.severity for each in found.values()} == {"ok"}
    assert found["history"].figures == {"rows": 7}
    assert found["waits"].figures == {"open": 1, "oldest_age": 5_000, "overdue": 0}
    assert found["holds"].figures == {"executions": 1}
    assert "history" not in looked_at(path, quick=True)


async def test_what_falls_due_and_is_not_seen_to_is_told(path: Path, clock: ManualClock) -> None:
    await filled(path, clock)
    assert bad(path, START + 601_000) == {}, "whoever serves the file has a minute"
    assert bad(path, START + 670_000) == {"waits": "warning"}
    found = looked_at(path, START + 2 * HOUR)
    assert "1 past their deadline" in found["waits"].word
    assert found["sweep"].figures == {"expired": 1}, "the held one is not meant"
    assert "restpoint sweep" in found["sweep"].word


def test_what_a_dead_process_left_is_told(path: Path) -> None:
    load("0002", path)
    migrations.upgrade(path)
    found = looked_at(path, START)
    assert found["leases"].severity == "ok", "its lease still counts, seen from another machine"
    found = looked_at(path, START + HOUR)
    assert found["leases"].severity == "warning"
    assert found["leases"].figures == {"living": 0, "stuck_runs": 3, "left_running": 1}
    with sql(path) as connection:
        # The first one by its id has the last problem by its words.
        connection.execute("UPDATE executions SET problem = 'other code' WHERE key IN (SELECT execution_key FROM runs)")
        (first,) = connection.execute("SELECT min(id) FROM executions WHERE problem IS NOT NULL").fetchone()
        connection.execute("UPDATE executions SET problem = 'wrong key' WHERE id = ?", (first,))
    assert f"such as {first}: wrong key" in looked_at(path)["problems"].word


@pytest.mark.parametrize(
    ("harm", "found"),
    [
        ("UPDATE history SET actor = 'eve' WHERE sequence = 2", "history"),
        ("DELETE FROM history WHERE sequence = 3", "history"),
        ("DROP INDEX executions_to_sweep", "schema"),
    ],
)
async def test_damage_is_an_error(path: Path, clock: ManualClock, harm: str, found: str) -> None:
    await filled(path, clock)
    with sql(path) as connection:
        for trigger in ("history_is_never_changed", "history_goes_only_by_retention"):
            connection.execute(f"DROP TRIGGER {trigger}")
        connection.execute(harm)
        for trigger in ("history_is_never_changed", "history_goes_only_by_retention"):
            connection.execute(ddl()[trigger])
    assert bad(path) == {found: "error"}


def test_all_that_nobody_goes_on_with_are_counted_however_many_there_are(path: Path) -> None:
    migrations.upgrade(path)
    with sql(path) as connection:
        connection.execute(
            "WITH RECURSIVE n (key) AS (SELECT 1 UNION ALL SELECT key + 1 FROM n WHERE key < 10002)"
            " INSERT INTO executions (key, id, status, version, open_waits, created_at)"
            " SELECT key, 'execution ' || key, 'running', 1, 0, ? FROM n",
            (START,),
        )
    found = looked_at(path, quick=True)["running"]
    assert found.figures == {"stranded": 10_002}
    assert found.word.startswith("nobody goes on with execution 1, and 10001 others: The process that ran it is gone")


async def test_a_log_that_nobody_folds_in_is_told(path: Path, clock: ManualClock) -> None:
    await filled(path, clock)
    log = path.with_name(f"{path.name}-wal")
    async with ExecutionStore(database=path, clock=clock):
        with log.open("r+b") as file:
            file.truncate(checks.LARGE_LOG_BYTES + 1)  # what is after the last commit is not read
        assert bad(path) == {"log": "warning"}


def test_the_file_is_shrunk_beside_a_store_and_only_as_far_as_it_is_empty(path: Path) -> None:
    migrations.upgrade(path)
    expired_executions(path, 4_000)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("DELETE FROM executions")
    before, history = path.stat().st_size, rows(path, "SELECT count(*) FROM history")
    left: list[int] = []

    async def shrink() -> int:
        async with ExecutionStore(database=path) as store:
            database = await Database.open(path, SystemClock())
            shrinking = asyncio.create_task(vacuum.shrink(database, keep=0, told=left.append))
            made = 0
            while not shrinking.done():
                await store.create_execution()
                made += 1
            await database.close()
            assert made > 3, "beside a writer"
            return await shrinking

    freed = asyncio.run(shrink())
    assert freed > 100
    assert vacuum.fold_log(path)
    assert len(left) >= freed / vacuum.PAGES_FREED_AT_ONCE, "in small steps"
    assert path.stat().st_size < before - (freed - 50) * 4096
    assert (
        rows(path, "SELECT count(*) FROM history WHERE event <> 'execution_created' OR execution_id LIKE '%-%-%' ")[0]
        >= history[0]
    )
    assert all(fine for _, fine, _ in migrations.check(path))


def test_a_file_without_incremental_vacuum_is_told_and_rewritten(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("VACUUM")  # as another program might have made it
        connection.execute("CREATE TABLE t (x)")
        connection.execute("DROP TABLE t")
    migrations.upgrade(path)
    assert bad(path) == {"free pages": "warning"}
    vacuum.rewrite(path)
    assert bad(path) == {}
    assert rows(path, "PRAGMA auto_vacuum") == [(2,)]
    assert rows(path, "PRAGMA journal_mode") == [("wal",)]


# --- The command -----------------------------------------------------------------------------------------------------


def test_the_exit_code_says_how_bad_it_is(path: Path, restpoint: Command, clock: ManualClock) -> None:
    asyncio.run(filled(path, clock))  # by a clock that is ahead of the command's: nothing is due
    ran = restpoint("db", "check", "--database", str(path), "--output", "json")
    told = json.loads(ran.stdout)
    assert (ran.returncode, told["severity"], told["file"]) == (0, "ok", str(path))
    assert [each["name"] for each in told["checks"]] == NAMES
    with sql(path) as connection:
        name = "interactions_deadlines_stay"
        ((trigger,),) = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (name,)).fetchall()
        connection.execute(f"DROP TRIGGER {name}")
        connection.execute("UPDATE interactions SET deadline_at = 1")
        connection.execute(trigger)
    ran = restpoint("db", "check", "--quick", "--database", str(path))
    assert ran.returncode == 1
    assert "LOOK   waits" in ran.stdout
    with sql(path) as connection:
        connection.execute("DROP VIEW open_waits")
    ran = restpoint("db", "check", "--database", str(path), "--output", "jsonl")
    assert ran.returncode == 5
    assert json.loads(ran.stdout)["severity"] == "error"


def test_backups_are_made_rotated_and_put_back_by_command(
    path: Path, tmp_path: Path, restpoint: Command, clock: ManualClock
) -> None:
    asyncio.run(filled(path, clock))
    folder = tmp_path / "backups"
    folder.mkdir()
    made = [
        restpoint("db", "backup", str(folder), "--keep", "2", "--database", str(path)).stdout.strip() for _ in range(3)
    ]
    assert sorted(map(str, folder.iterdir())) == made[1:]
    ran = restpoint("db", "backup", "copy.db", "--keep", "2", "--database", str(path))
    assert ran.returncode == 2
    ran = restpoint("db", "restore", made[1], "--database", str(path))
    assert ran.returncode == 0, ran.stderr
    assert ".replaced" in ran.stderr
    ran = restpoint("db", "restore", str(tmp_path / "absent"), "--database", str(path))
    assert ran.returncode == 5
    assert "Traceback" not in ran.stderr
    ran = restpoint("db", "vacuum", "--database", str(path))
    assert ran.returncode == 0
    assert "bytes, now" in ran.stderr


def test_a_dry_run_prints_the_sql_that_would_run_and_a_downgrade_says_what_it_drops(
    path: Path, tmp_path: Path, restpoint: Command
) -> None:
    load("0002", path)
    before = path.read_bytes()
    ran = restpoint("db", "upgrade", "--dry-run", "--database", str(path))
    assert ran.returncode == 0, ran.stderr
    assert path.read_bytes() == before
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as copy, closing(sqlite3.connect(path)) as source:
        source.backup(copy)
        copy.executescript(ran.stdout)  # and it is what an upgrade does
        moved = dict(copy.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall())
        assert copy.execute("SELECT version_num FROM alembic_version").fetchall() == [(REVISION,)]
    migrations.upgrade(path)
    assert moved == dict(rows(path, "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
    assert restpoint("db", "upgrade", "--dry-run", "--database", str(path)).stdout == ""
    ran = restpoint("db", "downgrade", "0001", "--dry-run", "--database", str(path))
    assert "would drop table runs (3 rows)" in ran.stderr
    assert "would drop column interactions.assignees (1 values)" in ran.stderr
    assert "would drop view approvals" in ran.stderr
    assert "DROP TABLE runs" in ran.stdout
    assert migrations.current(path) == REVISION
    ran = restpoint("db", "downgrade", "0001", "--database", str(path))
    assert "drops table runs (3 rows)" in ran.stderr
    assert migrations.current(path) == "0001"
    assert not list(tmp_path.glob("*.unfinished"))
    ran = restpoint("db", "upgrade", "--dry-run", "--database", "absent.db")
    assert "CREATE TABLE executions" in ran.stdout
    assert not (tmp_path / "absent.db").exists()


async def test_the_log_of_a_file_that_was_replaced_is_told(path: Path, clock: ManualClock) -> None:
    await filled(path, clock)
    path.with_name(f"{path.name}.20260101T000000000000Z.replaced-wal").touch()
    assert bad(path) == {"log": "warning"}
    assert "replaced-wal" in looked_at(path)["log"].word
