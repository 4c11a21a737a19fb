"""FAULTS row 2: SIGKILL at every system call that writes, of one whole lifecycle, by way of strace."""

import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from faults.harness import Acknowledged, Child, Zygote, copied, problems
from marks import need, need_program
from restpoint._storage.sqlite import migrations
from support import PATIENCE, line_of

CALLS = ("pwrite64", "fdatasync", "fsync", "ftruncate", "unlink", "fallocate", "rename")

pytestmark = pytest.mark.deep


@contextmanager
def traced(child: Child, *options: str) -> Iterator[None]:
    """Have strace look at a child and its threads from here on; it ends with the child."""
    command = [need_program("strace", package="strace"), "-f", "-p", str(child.pid), *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracing:
        try:
            assert tracing.stderr is not None
            while "attached" not in (line := line_of(tracing.stderr)):
                if not line:
                    need("strace may not attach to a process here", "it needs the capability SYS_PTRACE")
            yield
            tracing.communicate(timeout=PATIENCE)
        finally:
            tracing.kill()


def live(zygote: Zygote, path: Path, *options: str, opened: bool) -> tuple[Acknowledged, Child]:
    """One life under strace; what it acknowledged."""
    child = zygote.run("lifecycle", path=str(path), opened=opened)
    assert child.line() == ["ready"]
    with traced(child, *options):
        child.say("go")
        told = list(child.lines())
    return told, child


@pytest.mark.parametrize("opened", [True, False], ids=["once it is open", "from its opening"])
def test_a_kill_at_every_call_that_writes_loses_nothing_and_leaves_nothing_half_written(
    tmp_path: Path, opened: bool
) -> None:
    began = time.monotonic()
    template = tmp_path / "template.db"
    migrations.prepare(template)
    path, log = tmp_path / "x.db", tmp_path / "calls"
    with Zygote() as zygote:
        shutil.copyfile(template, path)
        told, child = live(zygote, path, "-o", str(log), "-e", f"trace={','.join(CALLS)}", opened=opened)
        assert told[-1] == ["closed"]
        assert child.reap() == 0
        zygote.forget(child)
        # strace counts the calls of each thread for itself; once the file is open, one thread of ours writes.
        made = Counter(re.findall(r"^(\d+) +(\w+)\(", log.read_text(), re.MULTILINE))
        most = {call: max((count for (_, name), count in made.items() if name == call), default=0) for call in CALLS}
        writers = {pid for (pid, name), count in made.items() if name == "pwrite64" and count > 2}
        assert len(writers) == 1 or not opened
        assert most["pwrite64"] > 20
        assert most["fdatasync"] + most["fsync"] > 10
        kills = acknowledged = 0
        for call, count in most.items():
            for number in range(1, count + 1):
                for suffix in ("", "-wal", "-shm"):
                    path.with_name(path.name + suffix).unlink(missing_ok=True)
                shutil.copyfile(template, path)
                told, child = live(
                    zygote, path, "-o", "/dev/null", "-e", f"trace={call}",
                    "-e", f"inject={call}:signal=KILL:when={number}", opened=opened,
                )  # fmt: skip
                status = child.reap()
                zygote.forget(child)
                if status != signal.SIGKILL:
                    assert told[-1] == ["closed"], "not a call that came, this time"
                    continue
                kills += 1
                assert ["closed"] not in told
                acknowledged += len(told)
                assert problems(copied(path, tmp_path / "copy.db"), told) == [], (call, number)
                assert problems(path, told) == [], (call, number)
    print(
        f"\n{kills} kills, one at each of {dict(most)}, in {time.monotonic() - began:.0f} s:"
        f" {acknowledged} transitions acknowledged, 0 lost, 0 half-written"
    )
    assert kills >= sum(most.values()) * 0.95
