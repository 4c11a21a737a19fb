"""FAULTS row 1: SIGKILL at random instants of a mixed workload loses nothing that was acknowledged."""

import itertools
import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from faults.harness import Acknowledged, Zygote, copied, problems
from restpoint import ExecutionStore
from restpoint._storage import queries
from restpoint._storage.sqlite import migrations
from restpoint._storage.sqlite.database import Database
from support import ADA, TEXT

KILLS_OF_A_FILE = 25
WRITERS = 8


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new file, made once and copied: making one costs more than a whole round."""
    path = tmp_path_factory.mktemp("template") / "new.db"
    migrations.prepare(path)
    return path


def _kill_at_random(zygote: Zygote, path: Path, random: Random, acknowledged: Acknowledged) -> int:
    """One round: one writer process or two, killed one after the other or together. Returns how many were killed."""
    children = [
        zygote.run("mixed", path=str(path), seed=random.getrandbits(32), writers=WRITERS)
        for _ in range(random.choice([1, 1, 1, 2]))
    ]
    while_opening = random.random() < 0.1
    for child in children:
        if not while_opening:
            acknowledged.append(child.line())
            acknowledged.extend(itertools.islice(child.lines(), random.randint(0, 80)))
        acknowledged.extend(child.lines(random.uniform(0, 0.03 if while_opening else 0.005)))
        child.kill()
        if random.random() < 0.5:
            assert child.died_by_sigkill()
    for child in children:
        assert child.died_by_sigkill()
        acknowledged.extend(child.lines())
        zygote.forget(child)
    return len(children)


def _kill_many(zygote: Zygote, template: Path, folder: Path, kills: int, seed: int) -> None:
    random = Random(seed)
    begun = time.monotonic()
    killed = transitions = files = from_the_log = 0
    path = folder / "absent"
    acknowledged: Acknowledged = []
    of_this_file = KILLS_OF_A_FILE
    while killed < kills:
        if of_this_file >= KILLS_OF_A_FILE:
            if files:
                assert problems(path, acknowledged) == []  # the file itself, with its log taken in
                path.unlink()
            transitions += len(acknowledged)
            files, of_this_file, acknowledged = files + 1, 0, []
            path = folder / f"{files}.db"
            shutil.copyfile(template, path)
        now = _kill_at_random(zygote, path, random, acknowledged)
        killed += now
        of_this_file += now
        log = path.with_name(f"{path.name}-wal")
        from_the_log += log.exists() and log.stat().st_size > 0
        # A copy, so that it is the next process that recovers the file, and not this one.
        assert problems(copied(path, folder / "copy.db"), acknowledged) == []
    assert problems(path, acknowledged) == []
    transitions += len(acknowledged)
    assert transitions > killed, "the kills came before there was anything to lose"
    assert from_the_log > killed / 4, "the kills left no log to recover from"
    print(
        f"\n{killed} processes killed over {files} files in {time.monotonic() - begun:.0f} s (seed {seed}): "
        f"{transitions} transitions acknowledged, 0 lost, 0 statuses that differ from their history; "
        f"{from_the_log} rounds left a log to recover from"
    )


def test_fifty_kills_lose_no_acknowledged_transition(zygote: Zygote, template: Path, tmp_path: Path) -> None:
    _kill_many(zygote, template, tmp_path, kills=50, seed=Random().getrandbits(32))


@pytest.mark.deep
def test_five_thousand_kills_lose_no_acknowledged_transition(zygote: Zygote, template: Path, tmp_path: Path) -> None:
    kills = int(os.environ.get("RESTPOINT_DEEP_KILLS", "5000"))
    _kill_many(zygote, template, tmp_path, kills, seed=Random().getrandbits(32))


async def test_recovery_passes_over_what_another_process_recovered_and_swept_meanwhile(
    zygote: Zygote, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = zygote.run("leave_running", path=str(path))
    first, second = child.line()
    child.kill()
    assert child.died_by_sigkill()
    zygote.forget(child)
    running = queries.running

    async def read_and_then_overtaken(database: Database) -> list[tuple[str, int | None, int]]:
        found = await running(database)
        await store.remove(first)
        return found

    async with ExecutionStore(database=path) as store:
        monkeypatch.setattr(queries, "running", read_and_then_overtaken)
        assert [record.execution_id for record in await store.recover()] == [second]


# --- The examination itself ------------------------------------------------------------------------------------------


def _without_triggers(connection: sqlite3.Connection) -> None:
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")


def _forget_the_last_row(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM history WHERE sequence = (SELECT max(sequence) FROM history)")


def _change_a_status(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE executions SET status = 'interaction_required', open_waits = 1 WHERE status = 'running'")


def _change_an_answer(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE history SET detail = replace(detail, 'Ada', 'Eve') WHERE event = 'interaction_answered'")


def _reopen_an_answer(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE interactions SET status = 'pending', response = NULL, closed_at = NULL")


def _remove_an_execution(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM interactions")
    connection.execute("DELETE FROM executions")


@pytest.mark.parametrize(
    ("harm", "found"),
    [
        (_forget_the_last_row, "lost: interaction_answered"),
        (_change_a_status, "its history says running"),
        (_change_an_answer, "the history breaks at row 3"),
        (_reopen_an_answer, "is pending and its history says otherwise"),
        (_remove_an_execution, "is None and its history says running"),
    ],
)
async def test_the_examination_sees_what_a_crash_could_have_done(
    path: Path, harm: Callable[[sqlite3.Connection], None], found: str
) -> None:
    async with ExecutionStore(database=path) as store:
        record = await store.create_execution()
        pending = await store.set_interaction_required(record.execution_id, TEXT)
        await store.resolve_interaction(record.execution_id, pending.interaction_id, ADA)
    answered = ["interaction_answered", record.execution_id, pending.interaction_id, "running", "Ada"]
    assert problems(path, [answered]) == []
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        _without_triggers(connection)
        harm(connection)
    assert any(found in problem for problem in problems(path, [answered])), problems(path, [answered])


async def test_the_examination_sees_a_lost_sweep_and_a_lost_status(path: Path) -> None:
    async with ExecutionStore(database=path) as store:
        record = await store.create_execution()
    told: Acknowledged = [
        ["swept", None, None, None, 1],
        ["execution_created", record.execution_id, None, "completed", None],
    ]
    assert len(problems(path, told)) == 2
