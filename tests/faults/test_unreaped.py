"""Who is alive is read from /proc: neither a process that took a dead one's pid, nor a dead one that nobody has reaped."""

import time
from pathlib import Path

from faults.harness import Zygote
from restpoint import ExecutionStore
from support import PATIENCE, ManualClock, rows, sql


def state(pid: int) -> str:
    """Of a process, as proc(5) has it."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


async def test_a_process_that_has_the_pid_of_a_dead_one_keeps_nothing_for_it(path: Path, clock: ManualClock) -> None:
    async with ExecutionStore(database=path, clock=clock) as here, ExecutionStore(database=path, clock=clock) as there:
        record = await here.create_execution()
        assert await there.recover() == []
        ((lease, started),) = rows(path, "SELECT l.id, started FROM leases AS l JOIN executions ON lease = l.id")
        assert started is not None
        with sql(path) as connection:
            connection.execute("UPDATE leases SET started = started - 1 WHERE id = ?", (lease,))
        assert [found.execution_id for found in await there.recover()] == [record.execution_id]


async def test_what_a_killed_process_left_is_recovered_though_its_parent_does_not_reap_it(
    zygote: Zygote, path: Path
) -> None:
    child = zygote.run("leave_running", path=str(path))
    left = child.line()
    child.kill()
    give_up = time.monotonic() + PATIENCE
    while state(child.pid) != "Z":
        assert time.monotonic() < give_up
    async with ExecutionStore(database=path) as store:
        assert sorted(found.execution_id for found in await store.recover()) == sorted(left)
    assert state(child.pid) == "Z", "it was reaped before"
    assert child.died_by_sigkill()
    zygote.forget(child)
