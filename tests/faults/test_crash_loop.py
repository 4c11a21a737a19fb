"""FAULTS row 17: a workflow that kills its process every time it runs, and a supervisor that starts the process again."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from faults.harness import Zygote, problems
from faults.run_workloads import lines
from restpoint._storage.sqlite import migrations
from support import rows

RESTARTS = 40
ATTEMPTS = 5


def _supervise(zygote: Zygote, path: Path, names: list[str]) -> int:
    """Start the process again each time that it was killed, until it has nothing left to do. How often it was killed."""
    migrations.prepare(path)
    effects = str(path.with_suffix(".effects"))
    for killed in range(RESTARTS):
        child = zygote.run(
            "run_workloads:crash_loop",
            path=str(path),
            effects=effects,
            names=names if killed == 0 else [],
            attempts=ATTEMPTS,
        )
        told = list(child.lines())
        if not child.died_by_sigkill():
            assert told == [["ended"]], told
            assert child.reap() == 0
            return killed
        zygote.forget(child)
    raise AssertionError(f"still killed after {RESTARTS} restarts: {_ends(path)}")


def _ends(path: Path) -> list[tuple[str, str, str | None]]:
    return rows(path, "SELECT workflow, status, error_code FROM executions ORDER BY key")


def test_a_workflow_that_kills_its_process_is_failed_and_the_others_complete(zygote: Zygote, path: Path) -> None:
    names = ["killer", "long", "quick", "asking", "quick"]
    killed = _supervise(zygote, path, names)
    assert killed == ATTEMPTS
    assert _ends(path) == [
        ("killer", "failed", "attempts_exhausted"),
        *((name, "completed", None) for name in names[1:]),
    ]
    assert problems(path, []) == []
    with closing(sqlite3.connect(path)) as connection:
        ((error,),) = connection.execute("SELECT error FROM executions WHERE workflow = 'killer'")
    assert str(ATTEMPTS) in error


@pytest.mark.parametrize(
    "names",
    [
        ["long", "long", "killer", "long"],
        ["killer", "long", "killer", "long"],
        ["long", "killer-after-a-while", "long"],
        [*["asking"] * 50, "killer", *["asking"] * 50, *["long"] * 3],
    ],
    ids=["long steps first", "two killers", "a slow killer", "a hundred that wait"],
)
def test_long_steps_beside_a_killer_complete(zygote: Zygote, path: Path, names: list[str]) -> None:
    killed = _supervise(zygote, path, names)
    killers = sum(name.startswith("killer") for name in names)
    assert killed <= ATTEMPTS * killers
    assert [status for name, status, _ in _ends(path) if name.startswith("killer")] == ["failed"] * killers
    assert {status for name, status, _ in _ends(path) if not name.startswith("killer")} == {"completed"}, _ends(path)
    assert problems(path, []) == []
    # A long step is begun again after each death that it was beside, and no oftener.
    begun = [key for key, _, what in lines(path.with_suffix(".effects")) if what == "begun"]
    assert max(begun.count(key) for key in set(begun)) <= killed + 1
    assert os.getpid() not in {int(pid) for _, pid, _ in lines(path.with_suffix(".effects"))}
