"""FAULTS rows 7 and 8: fsync fails, the disk is full, and then there is space again.

Each case is a process of its own that dies without closing its store, and the file is looked at afterwards: what was
acknowledged is stored, and what was refused is not.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from elsewhere import environment, run_python
from marks import need_program
from restpoint import ExecutionStore
from restpoint._storage.sqlite import migrations
from restpoint.errors import StorageFull
from restpoint.prompts import HumanPromptText
from support import PATIENCE, file_of, folded_statuses, line_of, rows

SHIM = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

/* kind 1: fsync and fdatasync fail; kind 2: writes fail. From the nth call on, once or for ever. */
static int kind, left, forever, number, hits;

void shim_arm(int a_kind, int nth, int for_ever, int an_errno) {
    kind = a_kind; left = nth; forever = for_ever; number = an_errno; hits = 0;
}
int shim_hits(void) { return hits; }

static int fails(int of_kind) {
    if (kind != of_kind) return 0;
    if (left > 1) { left--; return 0; }
    if (left == 0 && !forever) return 0;
    left = forever ? 1 : 0;
    hits++;
    errno = number;
    return 1;
}
int fsync(int fd) { return fails(1) ? -1 : syscall(SYS_fsync, fd); }
int fdatasync(int fd) { return fails(1) ? -1 : syscall(SYS_fdatasync, fd); }
/* The index of the log grows by writes of one byte, into the room that emptying the former one gave. */
ssize_t pwrite64(int fd, const void *data, size_t size, off_t at) {
    return size > 1 && fails(2) ? -1 : syscall(SYS_pwrite64, fd, data, size, at);
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    return size > 1 && fails(2) ? -1 : syscall(SYS_pwrite64, fd, data, size, at);
}
"""

PROGRAM = """
import asyncio, ctypes, errno, json, os, resource, sys
from restpoint import ExecutionStore
from restpoint.errors import RestpointError, StorageError
from restpoint.prompts import HumanPromptText, HumanResponseText

TEXT = HumanPromptText(text="?" * 3000)
FSYNC, WRITE = 1, 2

def arm(case, path):
    if case["fault"] == "limit":
        used = os.stat(path + "-wal").st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (used + 2060 * case["nth"], resource.RLIM_INFINITY))
    else:
        kind, number = (FSYNC, errno.EIO) if case["fault"] == "fsync" else (WRITE, errno.ENOSPC)
        shim.shim_arm(kind, case["nth"], int(case["forever"]), number)

def disarm(case):
    if case["fault"] == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        return 1
    hits = shim.shim_hits()
    if not case["forever"]:
        shim.shim_arm(0, 0, 0, 0)
    return hits

async def one(case):
    path = case["path"]
    told = {"acknowledged": [], "refused": [], "read": []}
    store = await ExecutionStore(database=path, sweep_interval_seconds=1e6).open()
    record = await store.create_execution()
    told["execution"] = record.execution_id

    async def ask(name):
        try:
            await store.set_interaction_required(record.execution_id, TEXT, name)
        except StorageError as error:
            told["refused"].append([name, type(error).__name__, error.sqlite_name, str(error)])
        else:
            told["acknowledged"].append(name)

    await ask("before")
    arm(case, path)
    for number in range(case.get("writes", 14)):
        await ask(f"during-{number}")
        again = await store.get(record.execution_id)  # reads work all the while
        told["read"].append(sorted(p.interaction_id for p in again.pending_interactions) == sorted(told["acknowledged"]))
        if told["refused"] and number > case["nth"] + 3:
            break
    told["hits"] = disarm(case)
    if not case["forever"]:
        for number in range(3):
            await ask(f"after-{number}")
        again = await store.get(record.execution_id)
        told["read"].append(sorted(p.interaction_id for p in again.pending_interactions) == sorted(told["acknowledged"]))
    return told

async def whole(case):
    # A whole lifecycle, from opening to closing, with the fault from its beginning on.
    path = case["path"]
    told = {"acknowledged": [], "refused": []}
    arm(case, path)
    store = ExecutionStore({"completed": 0}, database=path, sweep_interval_seconds=1e6)

    async def attempt(name, work):
        try:
            done = await work()
        except StorageError as error:
            told["refused"].append([name, type(error).__name__, error.sqlite_name, str(error)])
            return None
        except RestpointError:
            return None  # what it rests on was refused
        told["acknowledged"].append(name)
        return done

    for name in ("a", "b", "c"):
        record = await attempt(f"create {name}", lambda: store.create_execution(workflow=name))
        if record is None:
            continue
        one = record.execution_id
        await attempt(f"ask {name}", lambda: store.set_interaction_required(one, TEXT, "w"))
        await attempt(f"answer {name}", lambda: store.resolve_interaction(one, "w", HumanResponseText(text=name)))
        if name != "c":
            await attempt(f"complete {name}", lambda: store.set_completed(one, name))
    await attempt("sweep", store.cleanup_expired)
    try:
        await store.close()
    except StorageError as error:
        told["refused"].append(["close", type(error).__name__, error.sqlite_name, str(error)])
    told["hits"] = disarm(case)
    return told

def run(case):
    try:
        told = asyncio.Runner().run((whole if case.get("whole") else one)(case))
    except BaseException as error:
        told = {"crash": repr(error)}
    os.write(1, (json.dumps(told) + "\\n").encode())

shim = ctypes.CDLL(None) if os.environ.get("LD_PRELOAD") else None
import restpoint._store.store, sqlalchemy.dialects.sqlite.aiosqlite
for line in sys.stdin:
    if (pid := os.fork()) == 0:
        run(json.loads(line))
        os._exit(0)  # no store is closed, as when the process is killed
    if os.waitpid(pid, 0)[1] != 0:
        sys.exit("a case ended otherwise than by itself")
"""


FULL = """
import asyncio, ctypes, errno, json, logging, os, sys
from restpoint import ExecutionStore
from serving import make_app, served
from support import TEXT

path = sys.argv[1]
shim = ctypes.CDLL(None)
lines = []

class Kept(logging.Handler):
    def emit(self, record):
        lines.append(record)

async def leave():
    store = await ExecutionStore(database=path).open()
    record = await store.create_execution()
    await store.set_interaction_required(record.execution_id, TEXT)
    os._exit(0)  # as when it is killed

async def serve():
    told = {}
    async with served(make_app(path, ttl_seconds=700)) as client:
        async def statuses():
            start = await client.post("/v1/workflows/greet?wait=0", json="Ada")
            ready = await client.get("/readyz")
            items = (await client.get("/executions")).json()["items"]
            return [start.status_code, start.json().get("code"), ready.status_code, len(items)]

        told["full"] = [await statuses() for _ in range(20)]
        shim.shim_arm(0, 0, 0, 0)
        while (await client.get("/readyz")).status_code != 200:
            await asyncio.sleep(0.05)
        told["room"] = await statuses()
    return told

if (pid := os.fork()) == 0:
    asyncio.run(leave())
os.waitpid(pid, 0)
logging.getLogger("restpoint").addHandler(Kept())
shim.shim_arm(2, 1, 1, errno.ENOSPC)
told = asyncio.run(serve())
errors = [record.created for record in lines if record.levelno >= logging.ERROR]
told["closest"] = min((after - before for before, after in zip(errors, errors[1:])), default=None)
told["errors"] = [record.getMessage() for record in lines if record.levelno >= logging.ERROR]
print(json.dumps(told))
"""


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that makes fsync and writes fail, preloaded into the process under test."""
    compiler = need_program("gcc", "cc", package="gcc libc6-dev")
    folder = tmp_path_factory.mktemp("shim")
    source, library = folder / "shim.c", folder / "shim.so"
    source.write_text(SHIM)
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source)], check=True, timeout=PATIENCE)
    return library


class Cases:
    """A process that has everything loaded and forks one for each case."""

    def __init__(self, shim: Path | None) -> None:
        # The loader splits the list at spaces, and the path of a temporary folder may have some.
        env = environment(**({"LD_PRELOAD": f"./{shim.name}"} if shim else {}))
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            env=env,
            cwd=shim.parent if shim else None,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            self._process.communicate(timeout=PATIENCE)

    def run(self, cases: list[dict[str, Any]], fresh: Path) -> list[dict[str, Any]]:
        """What each case told, on a copy of a ``fresh`` file."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        told = []
        for case in cases:
            shutil.copy(fresh, case["path"])
            self._process.stdin.write(json.dumps(case) + "\n")
            self._process.stdin.flush()
            line = line_of(self._process.stdout)
            assert line, (case, "the process ended")
            told.append(json.loads(line))
            assert "crash" not in told[-1], case
        return told


@pytest.fixture(scope="module")
def shimmed(shim: Path) -> Iterator[Cases]:
    with Cases(shim) as cases:
        yield cases


def stored(path: Path) -> list[str]:
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    return [row[0] for row in rows(path, "SELECT id FROM interactions ORDER BY key")]


def check(case: dict[str, Any], told: dict[str, Any], errors: set[str], names: set[str]) -> None:
    assert told["hits"] > 0, "the fault happened"
    assert told["refused"], "and a caller was told"
    assert {refusal[1] for refusal in told["refused"]} <= errors
    assert {refusal[2] for refusal in told["refused"]} <= names, "with SQLite's name for it"
    assert all(told["read"]), "reads work, and show what was acknowledged"
    path = Path(case["path"])
    assert stored(path) == told["acknowledged"], "acknowledged = stored, after reopening"
    assert folded_statuses(path) == {told["execution"]: "interaction_required"}
    if not case["forever"]:
        assert told["acknowledged"][-3:] == ["after-0", "after-1", "after-2"], "writes work again without a restart"


@pytest.mark.parametrize("most", [5, pytest.param(60, marks=pytest.mark.deep)])
@pytest.mark.parametrize("forever", [False, True], ids=["once", "for ever"])
def test_nobody_is_told_done_when_fsync_failed(
    shimmed: Cases, fresh: Path, tmp_path: Path, forever: bool, most: int
) -> None:
    cases = [
        {"fault": "fsync", "nth": nth, "forever": forever, "path": str(tmp_path / f"{nth}.db"), "writes": nth + 5}
        for nth in range(1, most + 1)
    ]
    told = shimmed.run(cases, fresh)
    print(f"\nfsync failed {sum(outcome['hits'] for outcome in told)} times in {len(cases)} processes")
    for case, outcome in zip(cases, told, strict=True):
        check(case, outcome, {"StorageError"}, {"SQLITE_IOERR_FSYNC"})


def told_by_history(path: Path) -> set[str]:
    """What the file says was done, as the program of a whole lifecycle names it."""
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    names = {"execution_created": "create", "interaction_asked": "ask", "interaction_answered": "answer"}
    names["execution_completed"] = "complete"
    found = rows(path, "SELECT execution_id, event, detail FROM history ORDER BY sequence")
    workflows = {one: json.loads(detail)["workflow"] for one, event, detail in found if event == "execution_created"}
    return {f"{names[event]} {workflows[one]}" for one, event, _ in found if event in names}


@pytest.mark.parametrize("at_once", [5, pytest.param(20, marks=pytest.mark.deep)])
@pytest.mark.parametrize("forever", [False, True], ids=["once", "for ever"])
def test_each_fsync_of_a_whole_lifecycle_may_fail(
    shimmed: Cases, fresh: Path, tmp_path: Path, forever: bool, at_once: int, request: pytest.FixtureRequest
) -> None:
    """From the first to beyond the last: nobody is told done, and what was acknowledged is there afterwards."""
    deep = request.node.get_closest_marker("deep") is not None
    first, faults, refusals = 1, 0, 0
    while True:
        cases: list[dict[str, Any]] = [
            {"fault": "fsync", "nth": nth, "forever": forever, "whole": True, "path": str(tmp_path / f"{nth}.db")}
            for nth in range(first, first + at_once)
        ]
        outcomes = shimmed.run(cases, fresh)
        for case, told in zip(cases, outcomes, strict=True):
            faults += told["hits"] > 0
            refusals += len(told["refused"])
            # What only cleans up, such as folding the log in at the end, may fail unheard: nobody was promised it.
            assert {refusal[1] for refusal in told["refused"]} <= {"StorageError"}, told
            assert {refusal[2] for refusal in told["refused"]} <= {"SQLITE_IOERR_FSYNC"}, told
            done = {name for name in told["acknowledged"] if name != "sweep"}
            assert told_by_history(Path(case["path"])) == done, "acknowledged = stored, after reopening"
        first += at_once
        if not deep or any(told["hits"] == 0 for told in outcomes):
            break
    print(
        f"\n{faults} of a lifecycle's fsyncs failed, each {'for ever' if forever else 'once'}: {refusals} callers told"
    )
    assert faults >= (5 if not deep else 10)
    assert refusals > 0


@pytest.mark.parametrize("most", [10, pytest.param(50, marks=pytest.mark.deep)])
def test_a_full_disk_refuses_writes_and_space_brings_them_back(
    shimmed: Cases, fresh: Path, tmp_path: Path, most: int
) -> None:
    cases = [
        {"fault": "full", "nth": nth, "forever": False, "path": str(tmp_path / f"{nth}.db"), "writes": nth + 5}
        for nth in range(1, most + 1)
    ]
    for case, outcome in zip(cases, shimmed.run(cases, fresh), strict=True):
        check(case, outcome, {"StorageFull"}, {"SQLITE_FULL"})


def test_a_server_starts_on_a_full_disk_serves_reads_and_goes_on_once_there_is_room(shim: Path, path: Path) -> None:
    migrations.upgrade(path)
    env = environment(LD_PRELOAD=f"./{shim.name}")
    told = run_python(FULL, path, env=env, cwd=shim.parent, timeout=PATIENCE)
    assert told["full"] == [[507, "storage_full", 503, 1]] * 20
    assert told["room"] == [202, None, 200, 2]
    assert "There is no room for this write" in told["errors"][0]
    assert told["closest"] is None or told["closest"] > 0.9, "at most one line a second"


@pytest.mark.parametrize("most", [10, pytest.param(50, marks=pytest.mark.deep)])
def test_a_limit_on_the_size_of_files_is_survived(fresh: Path, tmp_path: Path, most: int) -> None:
    """``RLIMIT_FSIZE``, which needs no library: the log cannot grow, and then it can."""
    cases = [
        {"fault": "limit", "nth": nth, "forever": False, "path": str(tmp_path / f"{nth}.db"), "writes": nth + 5}
        for nth in range(1, most + 1)
    ]
    with Cases(None) as plain:
        outcomes = plain.run(cases, fresh)
    for case, outcome in zip(cases, outcomes, strict=True):
        check(case, outcome, {"StorageFull", "StorageError"}, {"SQLITE_FULL", "SQLITE_IOERR_WRITE"})


@pytest.mark.parametrize("most", [10, pytest.param(50, marks=pytest.mark.deep)])
async def test_a_file_that_may_not_grow_refuses_writes_and_goes_on_once_it_may(path: Path, most: int) -> None:
    """``PRAGMA max_page_count``, at each size that the first writes come to."""
    async with ExecutionStore(database=path, sweep_interval_seconds=1e6) as store:
        database = file_of(store).database
        assert database is not None
        record = await store.create_execution()
        acknowledged, refused = [], 0

        async def limit(pages: int) -> None:
            await database.write(lambda tx: tx.all(f"PRAGMA max_page_count = {pages}"))

        for number in range(most):
            await limit(rows(path, "PRAGMA page_count")[0][0] + number % 3)
            for attempt in range(20):
                name = f"{number}-{attempt}"
                try:
                    await store.set_interaction_required(record.execution_id, HumanPromptText(text="?" * 3_000), name)
                except StorageFull:
                    refused += 1
                    break
                acknowledged.append(name)
            again = await store.get(record.execution_id)  # reads work all the while
            assert again is not None
            assert [each.interaction_id for each in again.pending_interactions] == acknowledged
            await limit(1 << 30)
            name = f"{number}-after"
            await store.set_interaction_required(record.execution_id, HumanPromptText(text="?"), name)
            acknowledged.append(name)
    assert refused == most, "the fault happened"
    assert stored(path) == acknowledged
