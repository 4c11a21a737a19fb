"""The file over time: what the revisions build, what moves between them keep, backups and checks (FAULTS row 21)."""

import asyncio
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from io import StringIO
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config, main
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from elsewhere import CHECKOUT, FOLLOWING, copied_scripts, environment, next_release, schema_of, tree
from restpoint import ExecutionStore
from restpoint._storage import schema
from restpoint._storage.sqlite import backup, migrations
from restpoint.errors import DamagedFile, InvalidArgument, UnusableFile
from support import ADA, PATIENCE, TEXT, ManualClock, broken_history, dump, file_of, folded_statuses, rows, sql

MADE_UP = FOLLOWING


def script_directory(folder: Path) -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.set_main_option("path_separator", "os")
    return ScriptDirectory.from_config(config)


SCRIPTS = list(reversed(list(script_directory(CHECKOUT / "migrations").walk_revisions())))
REVISIONS = [script.revision for script in SCRIPTS]


def normal(sql: str) -> str:
    return " ".join(sql.replace('"', "").split())


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


async def paused(path: Path, clock: ManualClock) -> dict[str, str]:
    """A file with an execution in every status; the ids by status, and that of the open prompt."""
    async with ExecutionStore(database=path, clock=clock, ttl_seconds=None) as store:
        ids = {}
        for name in ("running", "interaction_required", "oauth_required", "completed", "failed", "cancelled"):
            record = await store.create_execution(workflow="refund", owner="ada")
            ids[name] = record.execution_id
        answered = await store.set_interaction_required(ids["interaction_required"], TEXT)
        await store.resolve_interaction(ids["interaction_required"], answered.interaction_id, ADA, actor="ada")
        asked = await store.set_interaction_required(ids["interaction_required"], TEXT, timeout=900)
        ids["prompt"] = asked.interaction_id
        await store.set_oauth_required(ids["oauth_required"], "https://example.org/", "state")
        await store.set_completed(ids["completed"], {"price": [1, 2.5, None, "é"]})
        await store.set_failed(ids["failed"], "no", code="no_luck")
        await store.cancel(ids["cancelled"], "enough")
        await store.hold(ids["completed"], "an audit")
    return ids


async def answered_and_completed(path: Path, clock: ManualClock, ids: dict[str, str]) -> None:
    """The paused execution goes on where it was, and everything else is where it was."""
    async with ExecutionStore(database=path, clock=clock, ttl_seconds=None) as store:
        for status in ("running", "oauth_required", "completed", "failed", "cancelled"):
            other = await store.get(ids[status])
            assert other is not None
            assert other.status == status
        record = await store.get(ids["interaction_required"])
        assert record is not None
        pending = record.pending_interaction
        assert pending is not None
        assert pending.interaction_id == ids["prompt"]
        assert pending.prompt == TEXT
        future = pending.future
        await store.resolve_interaction(record.execution_id, ids["prompt"], ADA)
        assert await future == ADA
        await store.set_completed(record.execution_id, "done")
        assert await broken_history(file_of(store).database) is None
    told = folded_statuses(path)
    assert told[ids["interaction_required"]] == "completed"
    assert told == dict(rows(path, "SELECT id, status FROM executions"))


def moves(path: Path) -> list[tuple[str, str]]:
    """From where to where the file was migrated, as its history tells."""
    told = rows(path, "SELECT detail FROM history WHERE event = 'migrated' ORDER BY sequence")
    return [(detail["from"], detail["to"]) for detail in (json.loads(each) for (each,) in told)]


def test_revision_is_the_head_of_the_scripts() -> None:
    assert script_directory(migrations.scripts()).get_heads() == [schema.REVISION]
    assert REVISIONS[-1] == schema.REVISION
    assert sorted(REVISIONS) == REVISIONS, "revisions are compared as text, so they must sort as they follow"


def test_the_revisions_build_exactly_the_schema_that_is_written_down(path: Path) -> None:
    migrations.upgrade(path)
    assert schema_of(path) == {name: normal(text) for name, text in schema.ddl().items()}


def test_autogenerate_finds_no_difference(path: Path) -> None:
    migrations.upgrade(path)
    engine = create_engine(f"sqlite:///{path}")
    try:
        with engine.connect() as connection:
            context = MigrationContext.configure(
                connection, opts={"compare_type": True, "compare_server_default": True}
            )
            assert compare_metadata(context, schema.metadata) == []
    finally:
        engine.dispose()


def test_autogenerate_would_find_a_difference(path: Path) -> None:
    migrations.upgrade(path)
    with sql(path) as connection:
        connection.execute("ALTER TABLE executions ADD COLUMN extra TEXT")
    engine = create_engine(f"sqlite:///{path}")
    try:
        with engine.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection), schema.metadata) != []
    finally:
        engine.dispose()


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_umask")
async def test_the_file_is_its_owners_alone_and_set_up_as_designed(path: Path, clock: ManualClock) -> None:
    async with ExecutionStore(database=path, clock=clock) as store:
        await store.create_execution()
        beside = {entry.name: mode(entry) for entry in path.parent.iterdir()}
        assert beside == dict.fromkeys((path.name, f"{path.name}-wal", f"{path.name}-shm"), 384)
        for pragma, wanted in (("foreign_keys", 1), ("journal_mode", "wal"), ("query_only", 1)):
            assert list(await file_of(store).database.read(f"PRAGMA {pragma}")) == [(wanted,)]
        written = await file_of(store).database.write(
            lambda tx: [tx.one(f"PRAGMA {name}", ()) for name in ("synchronous", "foreign_keys", "journal_mode")]
        )
        assert written == [(2,), (1,), ("wal",)]
    with sql(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,), "incremental"
        assert connection.execute("PRAGMA application_id").fetchone() == (schema.APPLICATION_ID,)
    assert mode(path) == 0o600


# An ordinary run goes down to the first ones, past what each later one undoes, and to the last; the deep one to each.
OFTEN = {None, "0001", "0003", "0010", REVISIONS[-2]}


@pytest.mark.parametrize(
    "down",
    [
        pytest.param(script.down_revision, marks=[] if script.down_revision in OFTEN else pytest.mark.deep)
        for script in SCRIPTS
    ],
)
async def test_every_revision_goes_up_and_down_and_up_with_executions_in_flight(
    path: Path, clock: ManualClock, down: str | None
) -> None:
    ids = await paused(path, clock)
    whole, content = schema_of(path), dump(path)
    saved = migrations.downgrade(path, down or "base")
    assert saved is not None
    if down is None:
        assert schema_of(path) == {}, "base has no tables at all"
        assert rows(path, "SELECT count(*) FROM sqlite_master WHERE name = 'alembic_version'") in ([(0,)], [(1,)])
    else:
        assert migrations.current(path) == down
    migrations.upgrade(path)
    assert schema_of(path) == whole
    assert all(passed for _, passed, _ in migrations.check(path))
    if down is None:
        # What the tables held is in the backup, and only there.
        assert rows(path, "SELECT count(*) FROM executions") == [(0,)]
        async with ExecutionStore(database=path, clock=clock) as store:
            await store.create_execution()
        assert dump(saved) == content
        await answered_and_completed(saved, clock, ids)
    else:
        # In another order of rows than before, where a table was made anew; and the history tells of both moves.
        told = [line for line in dump(path) if "'migrated'" not in line]
        kept = [line for line in content if down >= "0004" or 'INTO "settings"' not in line]  # as the downgrade says
        assert sorted(map(repr, told)) == sorted(map(repr, kept))
        assert moves(path) == [(schema.REVISION, down), (down, schema.REVISION)]
        await answered_and_completed(path, clock, ids)


async def test_a_release_that_follows_can_move_a_file_up_and_down_and_up(
    path: Path, clock: ManualClock, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """With a made-up next revision: what this release wrote is equal after every move, and goes on in both."""
    scripts = copied_scripts(tmp_path_factory.mktemp("next"), upto=MADE_UP)
    ids = await paused(path, clock)
    history = "SELECT * FROM history WHERE event <> 'migrated'"
    kept = (history, "SELECT * FROM interactions", "SELECT * FROM consents", "SELECT * FROM leases")
    plain = "SELECT id, status, version, open_waits, workflow, owner, hold, result, error FROM executions"
    before, first_schema = [rows(path, query) for query in (*kept, plain)], schema_of(path)
    assert all(before[index] for index in (0, 1, 2, 4)), "the harness: there is data to keep"
    with pytest.MonkeyPatch.context() as patch:
        next_release(patch, scripts, MADE_UP)
        assert migrations.upgrade(path) is not None
        assert migrations.current(path) == MADE_UP
        assert set(schema_of(path)) - set(first_schema) == {f"notes_{MADE_UP}"}
        assert [rows(path, query) for query in (*kept, plain)] == before
        assert rows(path, f"SELECT count(*) FROM notes_{MADE_UP}") == [(6,)]
        saved = migrations.downgrade(path, schema.REVISION)
        assert saved is not None
        assert [rows(path, query) for query in (*kept, plain)] == before
        assert schema_of(path) == first_schema
        assert migrations.upgrade(path) is not None
        await answered_and_completed(saved, clock, ids)  # the newer file, in the newer release
        migrations.downgrade(path, schema.REVISION)
    await answered_and_completed(path, clock, ids)  # and the older one in this release
    assert len(list(path.parent.glob(f"{path.name}.*.bak"))) == 4, "a backup of every move"


# --- Backups ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("open_umask")
async def test_a_backup_stands_beside_the_file_before_anything_changes(
    path: Path, clock: ManualClock, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ids = await paused(path, clock)
    content = dump(path)
    with pytest.MonkeyPatch.context() as patch:
        next_release(patch, copied_scripts(tmp_path_factory.mktemp("next"), upto=MADE_UP), MADE_UP)
        saved = migrations.upgrade(path)
        assert saved is not None
        assert migrations.upgrade(path) is None, "nothing to do, nothing to back up"
    assert sorted(entry.name for entry in path.parent.iterdir()) == sorted([path.name, saved.name])
    assert saved.parent == path.parent
    assert saved.name.startswith(f"{path.name}.{schema.REVISION}-")
    assert mode(saved) == 0o600
    assert dump(path) != content
    assert dump(saved) == content, "and it is the file before the move"
    assert all(passed for _, passed, _ in migrations.check(saved))
    # Restored as an operator would: put in the place of the file.
    saved.replace(path)
    await answered_and_completed(path, clock, ids)


def test_a_new_file_needs_no_backup(path: Path) -> None:
    assert migrations.upgrade(path) is None
    assert list(path.parent.iterdir()) == [path]
    assert migrations.upgrade(path) is None
    assert list(path.parent.iterdir()) == [path]


async def test_a_backup_of_a_file_in_use_is_whole(path: Path, clock: ManualClock) -> None:
    target = path.with_name("copy.db")
    async with ExecutionStore(database=path, clock=clock) as store:
        record = await store.create_execution()
        pending = await store.set_interaction_required(record.execution_id, TEXT)
        backup.backup(path, target)  # what is in it was acknowledged, and is in the log rather than in the file
        await store.set_running(record.execution_id)
    assert list(path.parent.iterdir()) in ([path, target], [target, path])
    assert mode(target) == 0o600
    assert all(passed for _, passed, _ in migrations.check(target))
    assert folded_statuses(target) == {record.execution_id: "interaction_required"}
    async with ExecutionStore(database=target, clock=clock) as store:
        await store.resolve_interaction(record.execution_id, pending.interaction_id, ADA)


@pytest.mark.parametrize("existing", ["file", "empty file", "symlink", "dangling symlink", "folder", "itself"])
def test_a_backup_replaces_nothing(fresh: Path, path: Path, existing: str) -> None:
    shutil.copyfile(fresh, path)
    target = path.with_name("copy.db")
    match existing:
        case "file":
            target.write_text("precious")
        case "empty file":
            target.touch()
        case "symlink":
            target.symlink_to(path)
        case "dangling symlink":
            target.symlink_to(path.with_name("nothing"))
        case "folder":
            target.mkdir()
        case "itself":
            target = path
    before = tree(path.parent)
    with pytest.raises(UnusableFile, match="exists"):
        backup.backup(path, target)
    assert tree(path.parent) == before


def test_a_backup_into_a_missing_folder_is_refused(path: Path) -> None:
    migrations.upgrade(path)
    before = tree(path.parent)
    with pytest.raises(UnusableFile):
        backup.backup(path, path.parent / "missing" / "copy.db")
    assert tree(path.parent) == before


def test_a_backup_of_a_damaged_file_gets_no_name(path: Path) -> None:
    migrations.upgrade(path)
    with path.open("r+b") as file:
        file.seek(4096 * 2)
        file.write(b"\xff" * 4096)
    before = tree(path.parent)
    with pytest.raises(DamagedFile):
        backup.backup(path, path.with_name("copy.db"))
    assert tree(path.parent) == before


# --- Check, and what is asked for wrongly ----------------------------------------------------------------------------


async def test_check_passes_a_good_file_and_changes_nothing(path: Path, clock: ManualClock) -> None:
    await paused(path, clock)
    before = tree(path.parent)
    checks = migrations.check(path)
    assert [name for name, _, _ in checks] == ["revision", "schema", "integrity", "foreign keys"]
    assert all(passed for _, passed, _ in checks)
    assert tree(path.parent) == before


@pytest.mark.parametrize(
    ("failing", "spoil"),
    [
        ("schema", "DROP TRIGGER history_is_never_changed"),
        ("schema", "DROP INDEX executions_to_sweep"),
        ("schema", "DROP VIEW answers"),
        ("schema", "ALTER TABLE executions ADD COLUMN extra TEXT"),
        ("revision", "UPDATE alembic_version SET version_num = '0000'"),
        ("revision", "DELETE FROM alembic_version"),
        ("integrity", "UPDATE executions SET open_waits = 7 WHERE status = 'running'"),
        ("foreign keys", "DELETE FROM executions WHERE status = 'interaction_required'"),
    ],
)
async def test_check_finds_what_is_not_as_it_should_be(
    fresh: Path, path: Path, clock: ManualClock, failing: str, spoil: str
) -> None:
    shutil.copyfile(fresh, path)
    await paused(path, clock)
    guard = "executions_live_ones_stay"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute(f"DROP TRIGGER {guard}")
        assert connection.execute(spoil).rowcount != 0
        connection.execute(schema.ddl()[guard])
    failed = {name: word for name, passed, word in migrations.check(path) if not passed}
    assert set(failed) == {failing}
    assert all(failed.values())


def test_check_finds_a_page_of_zeros(path: Path) -> None:
    migrations.upgrade(path)
    with sql(path) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'executions_to_sweep'").fetchone()
    with path.open("r+b") as file:
        file.seek(4096 * (root - 1))
        file.write(b"\x00" * 4096)
    try:
        whole = all(passed for _, passed, _ in migrations.check(path))
    except DamagedFile:  # where SQLite cannot even go on looking
        whole = False
    assert not whole


@pytest.mark.parametrize("revision", ["nonsense", "9999", "-99", ""])
@pytest.mark.parametrize("direction", ["upgrade", "downgrade"])
async def test_a_revision_that_does_not_exist_is_refused(
    fresh: Path, path: Path, clock: ManualClock, direction: str, revision: str
) -> None:
    shutil.copyfile(fresh, path)
    await paused(path, clock)
    before = dump(path)
    with pytest.raises(InvalidArgument):
        getattr(migrations, direction)(path, revision)
    assert dump(path) == before
    assert list(path.parent.iterdir()) == [path]


def test_current_of_a_file_without_tables_is_none(path: Path) -> None:
    migrations.upgrade(path)
    assert migrations.current(path) == schema.REVISION
    migrations.downgrade(path, "base")
    assert migrations.current(path) is None


# --- The `alembic` command in a checkout -----------------------------------------------------------------------------


async def test_the_alembic_command_upgrades_and_downgrades_from_a_checkout(
    path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def alembic(*arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "alembic", *arguments],
            cwd=CHECKOUT,
            env=environment(RESTPOINT_DATABASE=str(path)),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    alembic("upgrade", "head")
    assert schema_of(path) == {name: normal(text) for name, text in schema.ddl().items()}
    assert mode(path) == 0o600
    with sql(path) as connection:
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    ids = await paused(path, clock)
    monkeypatch.chdir(CHECKOUT)
    monkeypatch.setenv("RESTPOINT_DATABASE", str(path))
    main(["downgrade", "base"])  # the command again, without waiting for Python to load
    assert schema_of(path) == {}
    (saved,) = path.parent.glob("*.bak")
    await answered_and_completed(saved, clock, ids)


def test_the_alembic_command_takes_a_url_and_finds_nothing_to_generate(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESTPOINT_DATABASE", f"sqlite+aiosqlite:///{path}")
    said = StringIO()
    config = Config(CHECKOUT / "alembic.ini", stdout=said)
    command.upgrade(config, "head")
    command.current(config)
    assert schema.REVISION in said.getvalue()
    command.check(config)


def test_the_alembic_command_can_show_the_sql_and_does_nothing_then(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESTPOINT_DATABASE", str(path))
    said = StringIO()
    command.upgrade(Config(CHECKOUT / "alembic.ini", output_buffer=said), "head", sql=True)
    assert "CREATE TABLE executions" in said.getvalue()
    assert not path.exists()


@pytest.mark.parametrize("arguments", [["upgrade", "head"], ["downgrade", "base"], ["stamp", "head"], ["current"]])
def test_the_alembic_command_leaves_another_programs_file_alone(
    path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setenv("RESTPOINT_DATABASE", str(path))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE customers (name TEXT)")
    before = tree(path.parent)
    with pytest.raises(UnusableFile, match="another program"):
        main(["-c", str(CHECKOUT / "alembic.ini"), *arguments])
    assert tree(path.parent) == before


async def test_a_restored_backup_is_used_by_several_at_once_like_the_original(path: Path, tmp_path: Path) -> None:
    migrations.upgrade(path)
    copy = tmp_path / "copy.db"
    backup.backup(path, copy)
    assert rows(copy, "PRAGMA journal_mode") == [("delete",)]
    async with ExecutionStore(database=copy) as one, ExecutionStore(database=copy) as other:
        assert rows(copy, "PRAGMA journal_mode") == [("wal",)]
        for _ in range(50):
            await asyncio.gather(one.create_execution(), other.list(), other.create_execution(), one.list())
