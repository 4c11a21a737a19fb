"""Backups: whole while others write, verified before they have a name, rotated, and put back in one step."""

import asyncio
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import pytest

from elsewhere import FOLLOWING, environment, stamp, tree
from past_files import load
from restpoint import ExecutionStore
from restpoint._storage.schema import REVISION
from restpoint._storage.sqlite import backup, migrations
from restpoint.errors import DamagedFile, InvalidArgument, SchemaTooNew, StorageBusy, UnusableFile
from support import ADA, PATIENCE, TEXT, broken_history, dump, file_of, folded_statuses, line_of, rows, sql


def filled(path: Path) -> str:
    """A file with a paused execution; its id."""

    async def fill() -> str:
        async with ExecutionStore(database=path) as store:
            record = await store.create_execution(workflow="refund", owner="ada")
            await store.set_interaction_required(record.execution_id, TEXT, "asked")
            return record.execution_id

    return asyncio.run(fill())


async def completed(path: Path, execution_id: str) -> None:
    """Answer and complete the paused execution, in a file whose history holds."""
    async with ExecutionStore(database=path) as store:
        assert await broken_history(file_of(store).database) is None
        await store.resolve_interaction(execution_id, "asked", ADA)
        await store.set_completed(execution_id, "done")


def break_history(path: Path) -> None:
    with sql(path) as connection:
        (trigger,) = connection.execute(
            "SELECT sql FROM sqlite_master WHERE name = 'history_is_never_changed'"
        ).fetchone()
        connection.execute("DROP TRIGGER history_is_never_changed")
        connection.execute("UPDATE history SET actor = 'eve' WHERE sequence = 1")
        connection.execute(trigger)


async def test_a_backup_made_while_others_write_is_the_file_at_one_moment(path: Path, tmp_path: Path) -> None:
    copies = [tmp_path / f"{number}.db" for number in range(3)]
    async with ExecutionStore(None, database=path) as store:

        async def write() -> None:
            while True:
                record = await store.create_execution()
                await store.set_interaction_required(record.execution_id, TEXT, "asked")
                await store.resolve_interaction(record.execution_id, "asked", ADA)
                await store.set_completed(record.execution_id, "done")

        writers = [asyncio.create_task(write()) for _ in range(20)]
        for copy in copies:
            before = (await store.create_execution(workflow="before")).execution_id
            await asyncio.to_thread(backup.backup, path, copy)
            assert rows(copy, "SELECT count(*) FROM executions WHERE id = ?", before) == [(1,)]
        for writer in writers:
            writer.cancel()
        await asyncio.gather(*writers, return_exceptions=True)
    sizes = []
    for copy in copies:
        assert folded_statuses(copy) == dict(rows(copy, "SELECT id, status FROM executions"))
        assert all(fine for _, fine, _ in migrations.check(copy))
        sizes.append(rows(copy, "SELECT count(*) FROM history")[0][0])
    assert sizes[0] < sizes[1] < sizes[2], "there was writing beside it"


def test_a_backup_of_a_broken_history_is_kept_only_when_that_is_asked_for(path: Path, tmp_path: Path) -> None:
    filled(path)
    break_history(path)
    before = tree(tmp_path)
    with pytest.raises(DamagedFile, match="row 1 "):
        backup.backup(path, tmp_path / "copy.db")
    assert tree(tmp_path) == before
    backup.backup(path, tmp_path / "copy.db", verified=False)
    assert dump(tmp_path / "copy.db") == dump(path)


# --- Rotation --------------------------------------------------------------------------------------------------------


def test_rotation_keeps_the_newest_and_deletes_nothing_that_it_did_not_make(path: Path, tmp_path: Path) -> None:
    filled(path)
    folder = tmp_path / "backups"
    folder.mkdir()
    made = []
    for _ in range(5):
        made.append(backup.stamped(path, folder))
        backup.backup(path, made[-1])
    strangers = {
        f"{path.name}.backup": "mine",
        f"{path.name}.20260101T000000000000Z.backup.txt": "mine",
        f"{path.name}.2026.backup": "mine",
        "y.db.20260101T000000000000Z.backup": "of another file",
        f"{path.name}.0001-20260101T000000000000Z.bak": "of a migration",
        f"{path.name}.20260101T000000000000Z.backup": "a name of ours, and no database",
    }
    assert made == sorted(folder.iterdir()), "their names sort as they were made"
    for name, text in strangers.items():
        (folder / name).write_text(text)
    (folder / f"{path.name}.20260102T000000000000Z.backup").symlink_to(made[0])
    (folder / f"{path.name}.20260103T000000000000Z.backup").mkdir()
    with closing(sqlite3.connect(folder / f"{path.name}.20260104T000000000000Z.backup")) as other:
        other.execute("CREATE TABLE customers (name TEXT)")
    kept = set(folder.iterdir()) - set(made[:3])
    assert backup.rotate(path, folder, 2) == made[:3]
    assert set(folder.iterdir()) == kept
    assert backup.rotate(path, folder, 2) == []
    with pytest.raises(InvalidArgument):
        backup.rotate(path, folder, 0)


# --- Restoring -------------------------------------------------------------------------------------------------------


def test_what_is_restored_goes_on_where_the_backup_was_and_the_file_is_kept(path: Path, tmp_path: Path) -> None:
    execution_id = filled(path)
    copy = tmp_path / "copy.db"
    backup.backup(path, copy)
    saved = copy.read_bytes()
    asyncio.run(completed(path, execution_id))
    as_it_was = dump(path)
    ((sequence, digest),) = rows(path, "SELECT max(sequence), hex(digest) FROM history")
    done = backup.restore(copy, path, "otto")
    assert copy.read_bytes() == saved, "the backup stays as it is"
    assert done.revision == REVISION
    assert done.replaced is not None
    assert dump(done.replaced) == as_it_was
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert folded_statuses(path)[execution_id] == "interaction_required"
    asyncio.run(completed(path, execution_id))
    told = rows(path, "SELECT actor, detail FROM history WHERE event = 'restored'")
    detail = f'{{"backup":"copy.db","replaced":{{"sequence":{sequence},"digest":"{digest.lower()}"}}}}'
    assert told == [("otto", detail)]
    assert sorted(tmp_path.iterdir()) == sorted([path, copy, done.replaced])


def test_a_backup_can_be_restored_where_there_is_no_file(path: Path, tmp_path: Path) -> None:
    filled(path)
    copy, target = tmp_path / "copy.db", tmp_path / "elsewhere.db"
    backup.backup(path, copy)
    copy.chmod(0o400)
    assert backup.restore(copy, target).replaced is None
    assert all(fine for _, fine, _ in migrations.check(target))


def test_a_damaged_file_is_replaced_and_kept_with_its_log(path: Path, tmp_path: Path) -> None:
    execution_id = filled(path)
    copy = tmp_path / "copy.db"
    backup.backup(path, copy)
    content = b"\xff" * 4096 + path.read_bytes()[4096:]
    path.write_bytes(content)
    log = path.with_name(f"{path.name}-wal")
    log.write_bytes(b"what is left of a log")
    done = backup.restore(copy, path)
    assert done.replaced is not None
    assert done.replaced.read_bytes() == content
    assert done.replaced.with_name(f"{done.replaced.name}-wal").read_bytes() == b"what is left of a log"
    assert not log.exists()
    assert folded_statuses(path)[execution_id] == "interaction_required"


_HOLD = """
import asyncio, sys
from restpoint import ExecutionStore

async def hold():
    async with ExecutionStore(database=sys.argv[1]) as store:
        print("open", flush=True)
        await asyncio.to_thread(sys.stdin.readline)

asyncio.run(hold())
"""


def test_a_file_in_use_is_not_replaced(path: Path, tmp_path: Path) -> None:
    filled(path)
    copy = tmp_path / "copy.db"
    backup.backup(path, copy)
    command = [sys.executable, "-c", _HOLD, str(path)]

    def attempt_beside_another_process() -> None:
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
        ) as other:
            try:
                assert other.stdout is not None
                assert line_of(other.stdout) == "open\n"
                with pytest.raises(StorageBusy, match="stop every program"):
                    backup.restore(copy, path)
                other.communicate("\n", PATIENCE)
            finally:
                other.kill()
        assert other.returncode == 0, "and the other one noticed nothing"

    attempt_beside_another_process()

    async def attempt_in_this_process() -> None:
        async with ExecutionStore(database=path) as store:
            with pytest.raises(StorageBusy):
                backup.restore(copy, path)
            await store.create_execution()

    asyncio.run(attempt_in_this_process())
    assert sorted(tmp_path.iterdir()) == sorted([path, copy])
    assert backup.restore(copy, path).replaced is not None


def test_what_is_no_good_backup_is_refused_before_anything_is_touched(path: Path, tmp_path: Path) -> None:
    filled(path)
    good, newer, torn, broken, other, text = (tmp_path / f"{name}.x" for name in ("a", "b", "c", "d", "e", "f"))
    for copy in (good, newer, torn, broken):
        backup.backup(path, copy)
    stamp(newer, FOLLOWING)
    os.truncate(torn, 3 * 4096)
    break_history(broken)
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE customers (name TEXT)")
    text.write_text("no database at all\n" * 100)
    before = tree(tmp_path)
    refusals = [
        (newer, SchemaTooNew, "newer release"),
        (torn, DamagedFile, "malformed|not pass"),
        (broken, DamagedFile, "row 1 "),
        (other, UnusableFile, "another program"),
        (text, UnusableFile, "not a SQLite database"),
        (tmp_path / "absent.x", UnusableFile, "not a file"),
        (path, UnusableFile, "the file itself"),
    ]
    for source, error, words in refusals:
        with pytest.raises(error, match=words):
            backup.restore(source, path)
        assert tree(tmp_path) == before
    with pytest.raises(UnusableFile, match="another program"):
        backup.restore(good, other)
    assert tree(tmp_path) == before


def test_a_backup_of_an_older_release_is_restored_as_it_is_and_upgraded_then(path: Path, tmp_path: Path) -> None:
    old = load("0001", tmp_path / "old.db")
    done = backup.restore(old, path)
    assert done.revision == "0001" == migrations.current(path)
    assert rows(path, "SELECT * FROM history") == rows(old, "SELECT * FROM history")
    migrations.upgrade(path)
    assert all(fine for _, fine, _ in migrations.check(path))


def test_a_restore_that_is_killed_leaves_the_one_or_the_other(path: Path, tmp_path: Path) -> None:
    """At every call that changes a name or a content: the file stands, whole, and the next attempt succeeds."""
    execution_id = filled(path)
    copy = tmp_path / "copy.db"
    backup.backup(path, copy)
    asyncio.run(completed(path, execution_id))
    ends = {"old": 0, "new": 0}
    statements = [(os, "link"), (Path, "replace"), (backup, "flush")]
    for number in range(6):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        target = folder / "x.db"
        shutil.copyfile(path, target)
        left = [number]

        def dying(real: object, left: list[int] = left) -> object:
            def call(*arguments: object) -> object:
                left[0] -= 1
                if left[0] < 0:
                    raise KeyboardInterrupt
                return real(*arguments)  # type: ignore[operator]

            return call

        with pytest.MonkeyPatch.context() as patch:
            for owner, name in statements:
                patch.setattr(owner, name, dying(getattr(owner, name)))
            with suppress(KeyboardInterrupt):
                backup.restore(copy, target)
        (status,) = rows(target, "SELECT status FROM executions")
        ends["new" if status == ("interaction_required",) else "old"] += 1
        assert all(fine for _, fine, _ in migrations.check(target))
        backup.restore(copy, target)
        assert rows(target, "SELECT status FROM executions") == [("interaction_required",)]
    assert ends["old"] > 0
    assert ends["new"] > 0
