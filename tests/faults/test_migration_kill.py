"""FAULTS row 20: migrations that are killed, that fail in the middle, that race. Old or new schema, never between."""

import asyncio
import os
import random
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from elsewhere import FOLLOWING, Nursery, copied_scripts, next_release, run_python, schema_of
from marks import within
from restpoint import ExecutionStore
from restpoint._storage.schema import APPLICATION_ID, REVISION
from restpoint._storage.sqlite import migrations
from restpoint.errors import StorageError
from support import ADA, TEXT, dump, folded_statuses, rows, sql

NEXT = FOLLOWING

# Each script says where it is, by an empty file; and fails at the statement that it is told to fail at.
INSTRUMENTS = """

class _Instrumented:
    def __init__(self, real):
        self._real = real
        self._left = int(os.environ.get("FAIL_AT", "0"))

    def execute(self, statement):
        self._left -= 1
        if self._left == 0:
            self._real.execute("INSERT INTO no_such_table VALUES ('the fault')")
        return self._real.execute(statement)

    def __getattr__(self, name):
        return getattr(self._real, name)


def _marked(move):
    def marking():
        folder = os.environ.get("MARKS")
        if folder:
            Path(folder, "begun").touch()
        move()
        if folder:
            Path(folder, "done").touch()
    return marking


import os
from pathlib import Path

op = _Instrumented(op)
upgrade, downgrade = _marked(upgrade), _marked(downgrade)
"""


@dataclass(frozen=True)
class Move:
    """One way to move a file: from what, by which call, to what."""

    action: str
    to: str
    before: str | None
    after: str | None


MOVES = {
    "create": Move("upgrade", "head", None, NEXT),
    "upgrade": Move("upgrade", "head", REVISION, NEXT),
    "downgrade": Move("downgrade", REVISION, NEXT, REVISION),
    "downgrade to base": Move("downgrade", "base", NEXT, None),
}


class Files:
    """A file at each revision, with data in it, and the schema that belongs to it."""

    def __init__(self, folder: Path) -> None:
        self.scripts = copied_scripts(folder, upto=NEXT)
        for script in (self.scripts / "versions").glob("*.py"):
            script.write_text(script.read_text() + INSTRUMENTS)
        self._folder = folder
        old, new, base = (folder / name for name in ("old.db", "new.db", "base.db"))
        asyncio.run(self._fill(old))
        for copy in (new, base):
            shutil.copy(old, copy)
        with pytest.MonkeyPatch.context() as patch:
            next_release(patch, self.scripts, NEXT)
            migrations.upgrade(new)
            migrations.downgrade(base, "base")
        self.at: dict[str | None, Path] = {REVISION: old, NEXT: new}
        self.schema: dict[str | None, dict[str, str]] = {
            revision: schema_of(path) for revision, path in {None: base, **self.at}.items()
        }
        assert self.schema[None] == {}
        assert len(self.schema[NEXT]) == len(self.schema[REVISION]) + 1
        self.data = self._data(old)

    async def _fill(self, path: Path) -> None:
        async with ExecutionStore(database=path) as store:
            self.paused = (await store.create_execution()).execution_id
            self.prompt = (await store.set_interaction_required(self.paused, TEXT)).interaction_id
            made = await asyncio.gather(*(store.create_execution(workflow="w" * 500) for _ in range(500)))
            await asyncio.gather(*(store.set_interaction_required(record.execution_id, TEXT) for record in made[:250]))

    def _data(self, path: Path) -> list[object]:
        columns = "id, status, version, open_waits, workflow, created_at"
        return [
            rows(path, f"SELECT {columns} FROM executions ORDER BY key"),
            rows(path, "SELECT * FROM interactions ORDER BY key"),
            rows(path, "SELECT * FROM history WHERE event <> 'migrated' ORDER BY sequence"),
        ]

    def put(self, revision: str | None, path: Path) -> None:
        """The file at ``revision``; none at all for None."""
        if revision is not None:
            shutil.copy(self.at[revision], path)

    def revision(self, path: Path) -> str | None:
        """The revision of the file, whose schema and data must be exactly that revision's."""
        if not path.exists() or path.stat().st_size == 0:
            return None
        assert rows(path, "PRAGMA integrity_check") == [("ok",)]
        assert rows(path, "PRAGMA foreign_key_check") == []
        found = migrations.current(path)
        assert schema_of(path) == self.schema[found], f"between two schemas, said to be {found}"
        return found

    def check(self, path: Path, move: Move) -> str | None:
        """Before or after the move, with the data of then."""
        revision = self.revision(path)
        assert revision in {move.before, move.after, *([REVISION] if move.action == "create" else [])}
        if revision is not None and move.before is not None:
            assert self._data(path) == self.data
            # The move and the row of history that tells of it are one.
            told = rows(path, "SELECT count(*) FROM history WHERE event = 'migrated'")
            assert told == rows(
                self.at[move.before],
                "SELECT count(*) + ? FROM history WHERE event = 'migrated'",
                revision != move.before,
            )
        for saved in path.parent.glob(f"{path.name}.*.bak"):
            assert self.revision(saved) == move.before
            assert self._data(saved) == self.data
        return revision

    def do(self, move: Move, path: Path) -> None:
        """The move, in this process; where it was made already, nothing."""
        with pytest.MonkeyPatch.context() as patch:
            next_release(patch, self.scripts, NEXT)
            if move.action == "upgrade":
                migrations.upgrade(path, move.to)
            elif migrations.current(path) != move.after:
                migrations.downgrade(path, move.to)

    def command(self, move: Move) -> dict[str, object]:
        return {"scripts": str(self.scripts), "revision": NEXT, "to": move.to}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as nursery:
        yield nursery


@pytest.mark.parametrize("kills", [10, pytest.param(200, marks=pytest.mark.deep)])
def test_a_migration_killed_at_any_instant_leaves_the_old_or_the_new_schema(
    files: Files, nursery: Nursery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kills: int
) -> None:
    instants, ends = random.Random(20), Counter[str]()
    until_begun: dict[str, float] = {}
    from_begun: dict[str, float] = {}
    for name, move in MOVES.items():
        folder = tmp_path / name
        folder.mkdir()
        path = folder / "x.db"
        files.put(move.before, path)
        whole = nursery.run(move.action, path, marks=str(folder), **files.command(move))
        assert whole["exits"] == [0]
        assert whole["told"] == ["ok"]
        assert files.check(path, move) == move.after
        until_begun[name] = whole["begun"]
        from_begun[name] = whole["took"] - whole["begun"]
    number = 0

    def killed() -> int:
        return sum(count for what, count in ends.items() if what.startswith("killed"))

    def enough() -> bool:
        return killed() >= kills // 2 and ends["killed in the middle"] >= kills // 10

    # On a busy machine more of them are over before their kill.
    while number < kills or (not enough() and number < 10 * kills):
        number += 1
        name = list(MOVES)[number % len(MOVES)]
        move = MOVES[name]
        folder = tmp_path / f"{number}"
        (folder / "marks").mkdir(parents=True)
        path = folder / "x.db"
        files.put(move.before, path)
        # Most of the time goes by before the first statement, so three kills of four are counted from there.
        late = instants.random() < 0.75
        instant = (from_begun if late else until_begun)[name] * instants.random()
        end = nursery.run(
            move.action,
            path,
            kill_after=instant,
            once_begun=late,
            marks=str(folder / "marks"),
            **files.command(move),
        )
        assert end["exits"] in ([-9], [0])
        begun, done = ((folder / "marks" / mark).exists() for mark in ("begun", "done"))
        revision = files.check(path, move)
        if end["exits"] == [0]:
            assert revision == move.after
            ends["finished before its kill"] += 1
        elif revision == move.after and begun:
            ends["killed after COMMIT"] += 1
        else:
            assert revision == move.before
            ends["killed in the middle" if begun else "killed before it wrote"] += 1
            ends["... with every statement run, before COMMIT"] += done
        files.do(move, path)
        assert files.check(path, move) == move.after
        ends["unfinished backups left"] += len(list(folder.glob("*.unfinished*")))
        shutil.rmtree(folder)
    print(f"\n{number} migrations: {dict(ends)}")
    assert killed() >= kills // 2, "the fault happened"
    assert ends["killed in the middle"] >= kills // 10


@within(5)
def test_a_migration_that_is_told_to_end_does_so_at_once_and_leaves_the_old_or_the_new_schema(
    files: Files, nursery: Nursery, tmp_path: Path, seconds: float
) -> None:
    """FAULTS row 30: SIGTERM during a migration."""
    stopped = number = 0
    # Each of them once, and again where all of them were over before they were told.
    while number < len(MOVES) or (not stopped and number < 10 * len(MOVES)):
        name, move = list(MOVES.items())[number % len(MOVES)]
        folder = tmp_path / f"{number} {name}"
        folder.mkdir()
        path = folder / "x.db"
        files.put(move.before, path)
        end = nursery.run(
            move.action,
            path,
            kill_after=0.004 * (number % len(MOVES)),
            once_begun=True,
            signal=signal.SIGTERM,
            marks=str(folder),
            **files.command(move),
        )
        assert end["exits"] in ([-signal.SIGTERM], [0])
        assert end["took"] < seconds
        stopped += end["exits"] != [0]
        number += 1
        assert files.check(path, move) in {move.before, move.after}
        files.do(move, path)
        assert files.check(path, move) == move.after
    assert stopped, "the fault happened"


@contextmanager
def suppress_storage_error(refused: list[str]) -> Iterator[None]:
    try:
        yield
    except StorageError as error:
        refused.append(str(error))


# Of those with many statements an ordinary run has each 29th fail, and the deep one each.
@pytest.mark.parametrize("name", MOVES)
@pytest.mark.parametrize("every", [29, pytest.param(1, marks=pytest.mark.deep)])
def test_a_statement_that_fails_anywhere_in_a_migration_changes_nothing(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, every: int
) -> None:
    move, statement, tries = MOVES[name], 0, 0
    while True:
        statement += every if statement > 10 else 1
        tries += 1
        path = tmp_path / f"{statement}.db"
        files.put(move.before, path)
        monkeypatch.setenv("FAIL_AT", str(statement))
        refused: list[str] = []
        with suppress_storage_error(refused):
            files.do(move, path)
        if not refused:
            break
        assert "no_such_table" in refused[0]
        assert files.check(path, move) == move.before
        assert not list(tmp_path.glob("*.bak")), "nothing changed, nothing saved"
        monkeypatch.delenv("FAIL_AT")
        if tries % 5 == 1:
            files.do(move, path)
            assert files.check(path, move) == move.after
        for saved in tmp_path.glob("*.bak"):
            saved.unlink()
    assert files.check(path, move) == move.after
    least = {"create": 30, "upgrade": 4, "downgrade": 2, "downgrade to base": 10}
    assert statement > least[name], "there are statements to fail"


@pytest.mark.parametrize("rounds", [2, pytest.param(50, marks=pytest.mark.deep)])
@pytest.mark.parametrize("name", ["create", "upgrade"])
def test_four_at_once_upgrade_a_file_once(
    files: Files, nursery: Nursery, tmp_path: Path, name: str, rounds: int
) -> None:
    move = MOVES[name]
    for number in range(rounds):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        path = folder / "x.db"
        files.put(move.before, path)
        end = nursery.run(move.action, path, times=4, **files.command(move))
        assert end["exits"] == [0] * 4
        assert end["told"] == ["ok"] * 4
        assert files.check(path, move) == move.after
        assert len(list(folder.glob("*.bak"))) == (1 if move.before else 0), "one backup, of the one change"
        assert {entry.suffix for entry in folder.iterdir()} <= {".db", ".bak"}
        files.do(move, path)


@pytest.mark.parametrize("rounds", [3, pytest.param(50, marks=pytest.mark.deep)])
def test_four_at_once_create_one_file(nursery: Nursery, tmp_path: Path, rounds: int) -> None:
    for number in range(rounds):
        path = tmp_path / f"{number}.db"
        if number % 3 == 2:
            path.touch()
        end = nursery.run("prepare", path, times=4)
        assert end["told"] == ["ok"] * 4
        assert all(passed for _, passed, _ in migrations.check(path))
        with sql(path) as connection:
            for pragma, wanted in (("auto_vacuum", 2), ("journal_mode", "wal"), ("application_id", APPLICATION_ID)):
                assert connection.execute(f"PRAGMA {pragma}").fetchone() == (wanted,)
        assert rows(path, "SELECT count(*) FROM history_anchor") == [(1,)]
        assert not list(tmp_path.glob("*.bak"))


_STORE = """
import asyncio, json, os, sys
from restpoint import ExecutionStore

async def one():
    async with ExecutionStore(database=sys.argv[1]) as store:
        return (await store.create_execution()).execution_id

pids, (read, write) = [], os.pipe()
for _ in range(4):
    if (pid := os.fork()) == 0:
        try:
            os.write(write, (asyncio.run(one()) + " ").encode())
        finally:
            os._exit(0)
    pids.append(pid)
for pid in pids:
    os.waitpid(pid, 0)
os.close(write)
print(json.dumps(os.fdopen(read).read().split()))
"""


def test_four_stores_that_open_a_new_file_at_once_all_write_to_it(path: Path) -> None:
    made = run_python(_STORE, path)
    assert len(set(made)) == 4
    assert folded_statuses(path) == dict.fromkeys(made, "running")
    assert list(path.parent.iterdir()) == [path]


def test_a_migration_waits_for_the_writer_that_is_before_it(files: Files, nursery: Nursery, path: Path) -> None:
    """A transaction under way is neither lost nor cut in two."""
    files.put(REVISION, path)
    with sql(path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE leases SET expires_at = 7")
        end = nursery.run("upgrade", path, kill_after=0.3, **files.command(MOVES["upgrade"]))
        assert end["exits"] == [-9], "it waited"
        connection.execute("COMMIT")
    assert files.revision(path) == REVISION
    files.do(MOVES["upgrade"], path)
    assert files.revision(path) == NEXT


def test_the_paused_execution_goes_on_after_a_killed_and_a_finished_upgrade(
    files: Files, nursery: Nursery, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = MOVES["upgrade"]
    files.put(REVISION, path)
    nursery.run("upgrade", path, kill_after=0.001, **files.command(move))
    files.do(move, path)
    next_release(monkeypatch, files.scripts, NEXT)

    async def go_on() -> None:
        async with ExecutionStore(database=path) as store:
            await store.resolve_interaction(files.paused, files.prompt, ADA)
            await store.set_completed(files.paused, "done")

    asyncio.run(go_on())
    assert folded_statuses(path)[files.paused] == "completed"
    assert dump(path)
    assert os.environ.get("FAIL_AT") is None
