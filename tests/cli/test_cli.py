"""The command line as an operator types it: exit codes, words on stderr and data on stdout.

A process of its own is run where that is what the test is about; else the command runs in this one (``typed``).
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from restpoint import ExecutionStore
from restpoint._storage.schema import REVISION
from served import typed
from support import ADA, PATIENCE, TEXT, ManualClock, rows, sql
from support import variables as environment_for


def restpoint(*arguments: str, cwd: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "restpoint.cli", *arguments],
        cwd=cwd,
        env=environment_for(COLUMNS="100", **environment),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_the_help_names_every_command(tmp_path: Path) -> None:
    ran = restpoint("--help", cwd=tmp_path)
    assert ran.returncode == 0
    for word in (
        *("list", "show", "answer", "cancel", "watch", "history", "start"),
        *("serve", "tokens", "demo", "sweep", "db", "kill -9"),
    ):
        assert word in ran.stdout
    ran = typed("db", "--help", cwd=tmp_path)
    for word in ("upgrade", "downgrade", "current", "check", "backup", "restore", "vacuum"):
        assert word in ran.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_help_does_not_wait_for_the_database_libraries(tmp_path: Path) -> None:
    code = (
        "import sys, restpoint.cli as c; sys.argv = ['restpoint', '--help']\ntry: c.main()\nexcept SystemExit: pass\n"
    )
    heavy = {
        "sqlalchemy",
        "alembic",
        "aiosqlite",
        "transitions",
        "pydantic",
        "starlette",
        "uvicorn",
        "httpx",
        "asyncio",
    }
    code += f"assert not {heavy} & set(sys.modules), sorted(sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert ran.returncode == 0, ran.stderr


def test_without_the_extra_it_says_which_to_install(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise ImportError('not installed')")
    ran = restpoint("--help", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert ran.returncode == 2
    assert "pip install 'restpoint[server]'" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_file_is_created_checked_backed_up_and_taken_back(tmp_path: Path) -> None:
    assert restpoint("db", "upgrade", cwd=tmp_path).returncode == 0
    assert typed("db", "current", cwd=tmp_path).stdout == f"{REVISION}\n"
    check = typed("db", "check", cwd=tmp_path)
    assert check.returncode == 0
    assert {line.split()[0] for line in check.stdout.splitlines()} == {"ok"}
    backup = typed("db", "backup", "copy.db", cwd=tmp_path)
    assert (backup.returncode, backup.stdout) == (0, "copy.db\n")
    assert typed("db", "current", "--database", "copy.db", cwd=tmp_path).stdout == f"{REVISION}\n"
    again = typed("db", "backup", "copy.db", cwd=tmp_path)
    assert (again.returncode, again.stdout) == (5, "")
    assert "exists" in again.stderr
    down = typed("db", "downgrade", "base", cwd=tmp_path)
    assert down.returncode == 0
    assert "The file as it was: " in down.stderr
    assert typed("db", "current", cwd=tmp_path).stdout == "none\n"


def test_the_database_may_come_from_the_environment_or_as_a_url(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'named.db'}"
    assert typed("db", "upgrade", cwd=tmp_path, RESTPOINT_DATABASE=url).returncode == 0
    assert (tmp_path / "named.db").exists()
    assert not (tmp_path / "restpoint.db").exists()


@pytest.mark.parametrize("command", [("db", "current"), ("db", "check"), ("db", "backup", "x"), ("sweep",)])
def test_what_has_no_business_creating_a_file_creates_none(tmp_path: Path, command: tuple[str, ...]) -> None:
    ran = typed(*command, "--database", "absent.db", cwd=tmp_path)
    assert ran.returncode == 5
    assert "restpoint db upgrade" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_meant_is_wrong_usage(tmp_path: Path) -> None:
    assert typed("db", "nonsense", cwd=tmp_path).returncode == 2
    ran = typed("db", "upgrade", "--database", "postgresql://elsewhere/db", cwd=tmp_path)
    assert ran.returncode == 2
    assert "sqlite+aiosqlite:///PATH" in ran.stderr
    ran = typed("db", "upgrade", "nonsense", cwd=tmp_path)
    assert ran.returncode == 2
    assert "nonsense" in ran.stderr


async def test_the_check_finds_a_tampered_history(path: Path, tmp_path: Path) -> None:
    async with ExecutionStore(database=path) as store:
        for _ in range(3):
            await store.create_execution()
    with sql(path) as connection:
        trigger = connection.execute(
            "SELECT sql FROM sqlite_master WHERE name = 'history_is_never_changed'"
        ).fetchone()[0]
        connection.execute("DROP TRIGGER history_is_never_changed")
        connection.execute("UPDATE history SET actor = 'eve' WHERE sequence = 2")
        connection.execute(trigger)
    ran = typed("db", "check", "--database", str(path), cwd=tmp_path)
    assert ran.returncode == 5
    assert "WRONG  history" in ran.stdout
    assert "row 2" in ran.stdout


async def test_the_check_finds_a_missing_trigger(path: Path, tmp_path: Path) -> None:
    async with ExecutionStore(database=path) as store:
        await store.create_execution()
    with sql(path) as connection:
        connection.execute("DROP TRIGGER history_is_never_changed")
    ran = typed("db", "check", "--database", str(path), cwd=tmp_path)
    assert ran.returncode == 5
    assert "history_is_never_changed" in ran.stdout


async def test_the_sweep_for_cron_deletes_what_its_dry_run_lists(
    path: Path, tmp_path: Path, clock: ManualClock
) -> None:
    clock.step(-1_000_000_000)  # long ago, by the clock of the command
    async with ExecutionStore(database=path, clock=clock) as store:
        paused = await store.create_execution()
        await store.set_interaction_required(paused.execution_id, TEXT)
        held = await store.create_execution()
        await store.set_completed(held.execution_id, None)
        await store.hold(held.execution_id, "a dispute")
        ended = await store.create_execution()
        pending = await store.set_interaction_required(ended.execution_id, TEXT)
        await store.resolve_interaction(ended.execution_id, pending.interaction_id, ADA)
        await store.set_completed(ended.execution_id, None)
    dry = typed("sweep", "--dry-run", "--database", str(path), cwd=tmp_path)
    assert dry.returncode == 0
    (line,) = dry.stdout.splitlines()
    assert re.fullmatch(rf"{ended.execution_id} completed \d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ", line)
    assert len(rows(path, "SELECT * FROM executions")) == 3
    ran = typed("sweep", "--database", str(path), cwd=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "executions swept: 1\n")
    left = {row[0] for row in rows(path, "SELECT id FROM executions")}
    assert left == {paused.execution_id, held.execution_id}


@pytest.mark.parametrize("command", [("sweep", "--dry-run"), ("sweep",), ("db", "check"), ("db", "backup", "x")])
def test_a_file_without_tables_is_left_without_tables(tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "empty.db").touch()
    ran = typed(*command, "--database", "empty.db", cwd=tmp_path)
    assert ran.returncode == 5
    assert "restpoint db upgrade" in ran.stderr
    assert (tmp_path / "empty.db").read_bytes() == b""
