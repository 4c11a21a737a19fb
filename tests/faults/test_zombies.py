"""FAULTS row 16: a process that stands still for longer than its lease, is taken over, and goes on as if nothing were.

Nothing that it then writes for the runs that it lost is accepted. That is read from the file: each step's record is by a
process that held the run when it was written, each position is there once, and everything completes.
"""

import json
import os
import signal
import time
from pathlib import Path
from random import Random

import pytest

from faults.harness import Zygote, problems, stop_outside_a_write, until_rows
from faults.run_workloads import lines
from restpoint._storage.sqlite import migrations
from support import rows

LEASE = 700  # milliseconds
EXECUTIONS = 6


def _stop_one(zygote: Zygote, path: Path, random: Random) -> tuple[int, int, int]:
    """One round. How many runs the sleeper held when it was stopped, how many of its runs it learnt to have lost,
    and how many effects it made after it had lost them."""
    migrations.prepare(path)
    effects = path.with_suffix(".effects")
    about = {"path": str(path), "effects": str(effects), "lease": LEASE}
    sleeper = zygote.run("run_workloads:live_for_a_moment", starts=EXECUTIONS, answers=True, **about)
    _, lease = sleeper.line()
    heir = zygote.run("run_workloads:live_for_a_moment", starts=0, answers=False, **about)
    heir.line()
    time.sleep(random.uniform(0, 0.15))  # whatever it is doing then
    stop_outside_a_write(sleeper.pid, path)
    try:
        ((held,),) = rows(path, f"SELECT count(*) FROM executions WHERE lease = {lease}")
        until_rows(path, f"SELECT count(*) FROM executions WHERE lease = {lease}", 0)
        answering = zygote.run("run_workloads:live_for_a_moment", starts=0, answers=True, **about)
        answering.line()
        time.sleep(random.choice([0, 0.1, 0.5]))
        before = len(lines(effects))
    finally:
        os.kill(sleeper.pid, signal.SIGCONT)
    until_rows(path, "SELECT count(*) FROM executions WHERE status <> 'completed'", 0)
    for child in (sleeper, heir, answering):
        child.kill()
    told = list(sleeper.lines())
    for child in (sleeper, heir, answering):
        assert child.died_by_sigkill()
        zygote.forget(child)
    assert problems(path, []) == []
    assert rows(path, "SELECT 1 FROM history WHERE event IN ('execution_stuck', 'execution_failed')") == []
    done = lines(effects)
    recorded = rows(
        path,
        "SELECT e.id || ':' || j.position, j.result FROM journal j JOIN executions e ON e.key = j.execution_key"
        " WHERE j.kind = 'step'",
    )
    assert len(recorded) == 3 * EXECUTIONS
    by_step: dict[str, list[int]] = {}
    for key, pid, _ in done:
        by_step.setdefault(key, []).append(int(pid))
    for key, result in recorded:
        _, pid = json.loads(result)
        if by_step[key][-1] != pid:
            # Who did it last was refused: a zombie whose step was done by its heir meanwhile.
            assert by_step[key][-1] == sleeper.pid != pid, (key, by_step[key], pid)
    for (result,) in rows(path, "SELECT result FROM executions"):
        for number, (step, replies) in enumerate(zip(*[iter(json.loads(result))] * 2, strict=True)):
            assert step[0] == str(number)
            assert replies == [f"reply to {number}a", f"reply to {number}b"]
    # An execution's history and journal were written under ever higher epochs: what came of an older one would show
    # as an effect whose record is another process's, or as a second row, which the key of the journal forbids.
    assert len(rows(path, "SELECT DISTINCT execution_key, position FROM journal")) == len(
        rows(path, "SELECT 1 FROM journal")
    )
    after = sum(int(pid) == sleeper.pid for _, pid, _ in done[before:])
    return held, sum(line[0] == "lost" for line in told), after


def _stop_many(zygote: Zygote, folder: Path, rounds: int, seed: int) -> None:
    random = Random(seed)
    held = lost = effects = number = 0
    # A few may all be stopped between two writes.
    while number < rounds or (not (held and lost) and number < 10 * rounds):
        more = _stop_one(zygote, folder / f"{number}.db", random)
        held, lost, effects = held + more[0], lost + more[1], effects + more[2]
        number += 1
    assert held, "the stopped processes had nothing to lose"
    assert lost, "and none of them tried to go on with it"
    print(
        f"\n{number} processes stopped past their lease (seed {seed}): {held} runs taken over, {lost} times a zombie was "
        f"refused a write, 0 writes of an old epoch accepted; {effects} effects of zombies and of what they claimed since"
    )


def test_a_zombie_writes_nothing(zygote: Zygote, tmp_path: Path) -> None:
    _stop_many(zygote, tmp_path, 3, Random().getrandbits(32))


@pytest.mark.deep
def test_a_hundred_zombies_write_nothing(zygote: Zygote, tmp_path: Path) -> None:
    _stop_many(zygote, tmp_path, int(os.environ.get("RESTPOINT_DEEP_ZOMBIES", "100")), Random().getrandbits(32))
