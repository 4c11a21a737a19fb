"""FAULTS row 34: a loop that a step blocks, and a process that is stopped and goes on, over and over, beside another server.

No death is counted while nobody died, a busy process keeps its run, one that stood still ends its copy of what it lost, and
each run completes once.
"""

import os
import signal
import time
from pathlib import Path
from random import Random

import pytest

from faults.harness import Child, Zygote, problems, stop_outside_a_write, until_rows
from faults.run_workloads import lines
from restpoint._storage.sqlite import migrations
from support import rows

LEASE = 600  # milliseconds
_NO_DEATH = "SELECT count(*) FROM history WHERE cause = 'its process is gone'"


def _two_servers(zygote: Zygote, path: Path, name: str, about: list[object]) -> dict[int, Child]:
    """Two processes by their leases; the first one runs the execution that it started."""
    migrations.prepare(path)
    servers = {}
    for started in (name, None):
        child = zygote.run("run_workloads:stand_still", path=str(path), lease=LEASE, name=started, about=about)
        _, lease = child.line()
        servers[lease] = child
        if started:
            until_rows(path, "SELECT count(*) FROM executions WHERE lease IS NOT NULL", 1)
    return servers


def _end(zygote: Zygote, path: Path, servers: dict[int, Child]) -> None:
    for child in servers.values():
        child.kill()
        assert child.died_by_sigkill()
        zygote.forget(child)
    assert problems(path, []) == []
    assert rows(path, _NO_DEATH) == [(0,)]
    assert rows(path, "SELECT status, attempts FROM executions") == [("completed", 0)]
    assert rows(path, "SELECT count(*) FROM journal WHERE kind = 'step'") == [(1,)]


def _block(zygote: Zygote, path: Path, random: Random) -> None:
    """A step blocks the loop of its process for several leases: nobody takes the run over."""
    effects = path.with_suffix(".effects")
    seconds = random.uniform(2.5, 4) * LEASE / 1000
    servers = _two_servers(zygote, path, "blocking", [str(effects), seconds])
    until_rows(path, "SELECT status FROM executions", "completed")
    _end(zygote, path, servers)
    assert [what for _, _, what in lines(effects)] == ["begun", "done"]
    assert rows(path, "SELECT count(*) FROM history WHERE event = 'execution_recovered'") == [(0,)]


def _stop_and_go_on(zygote: Zygote, path: Path, times: int, random: Random) -> int:
    """Whoever runs it is stopped for longer than its lease, and goes on. How many copies were ended by those who lost them."""
    effects, gate = path.with_suffix(".effects"), path.with_suffix(".gate")
    servers = _two_servers(zygote, path, "gated", [str(effects), str(gate)])
    for _ in range(times):
        until_rows(path, "SELECT count(*) FROM executions WHERE lease IS NOT NULL", 1)
        ((holder,),) = rows(path, "SELECT lease FROM executions")
        stop_outside_a_write(servers[holder].pid, path)
        try:
            # Beside it a server is idle, so the run must not lie unclaimed.
            until_rows(path, f"SELECT count(*) FROM executions WHERE lease <> {holder}", 1)
            time.sleep(random.choice([0, 0.05, 0.2]))
        finally:
            os.kill(servers[holder].pid, signal.SIGCONT)
        assert servers[holder].line()[0] == "lost", "it ends its copy, without waiting for a write that is refused"
    gate.touch()
    until_rows(path, "SELECT status FROM executions", "completed")
    _end(zygote, path, servers)
    told = lines(effects)
    assert sum(what == "done" for _, _, what in told) == 1
    causes = "SELECT DISTINCT cause FROM history WHERE event = 'execution_recovered'"
    assert rows(path, causes) == [("its process stood still",)]
    return times


def test_a_process_that_stands_still_or_is_busy_is_not_taken_for_dead(zygote: Zygote, tmp_path: Path) -> None:
    random = Random()
    _block(zygote, tmp_path / "blocked.db", random)
    _stop_and_go_on(zygote, tmp_path / "stopped.db", 2, random)


@pytest.mark.deep
def test_a_hundred_times_a_process_stands_still_or_is_busy(zygote: Zygote, tmp_path: Path) -> None:
    random = Random(seed := Random().getrandbits(32))
    blocked = stopped = 0
    for number in range(20):
        _block(zygote, tmp_path / f"{number}-blocked.db", random)
        blocked += 1
        stopped += _stop_and_go_on(zygote, tmp_path / f"{number}-stopped.db", random.randrange(3, 6), random)
    print(
        f"\n{blocked} loops blocked for longer than a lease, {stopped} processes stopped and continued (seed {seed}): "
        f"0 deaths counted, {stopped} copies ended by those who lost them, {blocked + 20} runs completed once"
    )
    assert blocked + stopped >= 80
