"""Processes that are made to be killed, and the examination of what they leave behind.

A *zygote* is one process that has imported everything and done nothing: no event loop, no thread, no connection. It
forks a child for each round, so that a round costs milliseconds rather than the second that an import takes. A child
runs one coroutine of ``workloads.py`` and tells of every acknowledged transition with one write to a pipe, so what it
told is known up to the instant of its death.
"""

import asyncio
import fcntl
import gc
import importlib
import json
import os
import select
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import new_files
import support
from restpoint._storage.hash_chain import first_wrong
from restpoint._storage.sqlite import migrations
from restpoint._storage.sqlite.guard import lock

PATIENCE: Final = support.PATIENCE
"""Seconds after which a child that should have said something is taken for hung."""

_TESTS: Final = Path(__file__).resolve().parents[1]
_ENVIRONMENT: Final = {
    **support.variables(),
    "PYTHONPATH": os.pathsep.join(filter(None, [str(_TESTS), os.environ.get("PYTHONPATH")])),
}

Acknowledged = list[list[Any]]
"""What callers were told: event, execution id, wait id, status, payload (the answer's text, the result, the count)."""


# --- Inside a child --------------------------------------------------------------------------------------------------


class Link:
    """A child's line to the test."""

    def __init__(self, out: int, control: int) -> None:
        self._out = out
        self._control = os.fdopen(control, "r")

    def tell(self, *what: Any) -> None:
        """One line, in one write: it is with the test when this returns, whatever happens to this process then."""
        os.write(self._out, (json.dumps(what) + "\n").encode())

    def tell_all(self, lines: Iterable[Iterable[Any]]) -> None:
        """Many lines, at the end."""
        with os.fdopen(os.dup(self._out), "w") as out:
            out.writelines(json.dumps(list(line)) + "\n" for line in lines)

    async def hear(self) -> Any:
        """The next line of the test; None when it has no more to say."""
        line = await asyncio.to_thread(self._control.readline)
        return json.loads(line) if line else None


def _live(name: str, arguments: dict[str, Any], out: int, control: int) -> int:
    module, _, function = name.rpartition(":")
    link = Link(out, control)
    try:
        work = getattr(importlib.import_module(f"faults.{module or 'workloads'}"), function)
        asyncio.run(work(link, **arguments))
    except BaseException as error:
        link.tell("error", f"{type(error).__name__}: {error}", traceback.format_exc())
        return 1
    return 0


# --- The zygote ------------------------------------------------------------------------------------------------------


def _breed(inbox: socket.socket) -> None:
    """Fork a child for each order, reap the one that is asked for; until the test closes its end."""
    for module in (
        "faults.workloads",
        "faults.run_workloads",
        "restpoint._store.store",
        "alembic.command",
        "sqlalchemy.dialects.sqlite.aiosqlite",
    ):
        importlib.import_module(module)
    new_files.first()
    migrations._migrate = new_files.migrate
    gc.collect()
    gc.freeze()
    inbox.sendall(b"0")
    while True:
        order, descriptors, _, _ = socket.recv_fds(inbox, 65_536, 2)
        if not order:
            return
        what = json.loads(order)
        if "reap" in what:
            inbox.sendall(str(os.waitpid(what["reap"], 0)[1]).encode())
            continue
        assert threading.active_count() == 1, "a thread would not survive the fork"
        pid = os.fork()
        if pid == 0:
            inbox.close()
            os._exit(_live(what["run"], what["arguments"], *descriptors))
        for descriptor in descriptors:
            os.close(descriptor)
        inbox.sendall(str(pid).encode())


class Child:
    """A process that runs a workload until it is done or killed."""

    def __init__(self, zygote: "Zygote", pid: int, out: int, control: int) -> None:
        self.pid = pid
        self._zygote = zygote
        self._out = out
        self._control = control
        self._lines: deque[bytes] = deque()
        self._unread = b""
        self._status: int | None = None

    def say(self, what: Any) -> None:
        os.write(self._control, (json.dumps(what) + "\n").encode())

    def _read(self, seconds: float) -> bool:
        """Wait for more; False when there is none, in this time or ever."""
        if not select.select([self._out], [], [], max(seconds, 0))[0]:
            return False
        data = os.read(self._out, 1 << 20)
        *whole, self._unread = (self._unread + data).split(b"\n")
        self._lines += whole
        return bool(data)

    def _next(self) -> list[Any]:
        told: list[Any] = json.loads(self._lines.popleft())
        assert told[0] != "error", f"the child failed: {told[1]}\n{told[2]}"
        return told

    def line(self, seconds: float = PATIENCE) -> list[Any]:
        """The next line; the child must tell one in this time."""
        give_up = time.monotonic() + seconds
        while not self._lines:
            if not self._read(give_up - time.monotonic()):
                raise AssertionError("the child told nothing before it ended or its time was over")
        return self._next()

    def lines(self, seconds: float = PATIENCE) -> Iterator[list[Any]]:
        """What the child tells, until it ends or ``seconds`` have passed. An error that it tells of is raised here."""
        give_up = time.monotonic() + seconds
        while self._lines or self._read(give_up - time.monotonic()):
            if self._lines:
                yield self._next()

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def reap(self) -> int:
        """The status with which the child ended, as ``waitpid`` tells it."""
        if self._status is None:
            self._status = self._zygote.order({"reap": self.pid})
        return self._status

    def died_by_sigkill(self) -> bool:
        return os.WIFSIGNALED(self.reap()) and os.WTERMSIG(self.reap()) == signal.SIGKILL

    def close(self) -> None:
        for descriptor in (self._out, self._control):
            os.close(descriptor)


class Zygote:
    """The process that forks the others. A context manager; leaves no process behind."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", f"from faults import harness; harness.main({theirs.fileno()})"],
                pass_fds=[theirs.fileno()],
                env=_ENVIRONMENT,
            )
        self._children: list[Child] = []
        self._ordering = threading.Lock()
        self._socket.settimeout(PATIENCE)
        assert self._socket.recv(1) == b"0"

    def order(self, what: dict[str, Any], descriptors: Iterable[int] = ()) -> int:
        with self._ordering:
            socket.send_fds(self._socket, [json.dumps(what).encode()], list(descriptors))
            answer = self._socket.recv(64)
        assert answer, "the zygote is gone"
        return int(answer)

    def run(self, workload: str, **arguments: Any) -> Child:
        """A new process that runs the coroutine of ``workloads.py`` with this name, or ``module:name`` of another."""
        out, their_out = os.pipe()
        their_control, control = os.pipe()
        try:
            pid = self.order({"run": workload, "arguments": arguments}, [their_out, their_control])
        finally:
            os.close(their_out)
            os.close(their_control)
        child = Child(self, pid, out, control)
        self._children.append(child)
        return child

    def forget(self, child: Child) -> None:
        child.close()
        self._children.remove(child)

    def end_children(self) -> None:
        """Kill those that were not forgotten."""
        for child in list(self._children):
            if child._status is None:
                child.kill()
                child.reap()
            self.forget(child)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end_children()
        self._socket.close()
        self._process.wait(PATIENCE)


def main(descriptor: int) -> None:
    """The zygote's life."""
    with socket.socket(fileno=descriptor) as inbox:
        _breed(inbox)


def run_alone(workload: str, **arguments: Any) -> list[Any]:
    """Run a workload in a process of its own, with no zygote's memory, to its end; the one line that it tells."""
    out, theirs = os.pipe()
    program = f"from faults import harness; harness.alone({workload!r}, {json.dumps(json.dumps(arguments))}, {theirs})"
    with os.fdopen(out) as told:
        command = [sys.executable, "-c", program]
        process = subprocess.Popen(command, pass_fds=[theirs], stdin=subprocess.DEVNULL, env=_ENVIRONMENT)
        os.close(theirs)
        lines = [json.loads(line) for line in told]
        status = process.wait(PATIENCE)
    assert status == 0, lines
    (line,) = lines
    return list(line)


def alone(workload: str, arguments: str, out: int) -> None:
    """The life of a process that ``run_alone`` made."""
    sys.exit(_live(workload, json.loads(arguments), out, os.open(os.devnull, os.O_RDONLY)))


# --- The examination -------------------------------------------------------------------------------------------------

_PAST: Final = {
    "interaction_asked": "pending",
    "interaction_voted": "pending",
    "interaction_answered": "answered",
    "interaction_expired": "expired",
    "interaction_withdrawn": "withdrawn",
    "consent_asked": "pending",
    "consent_expired": "expired",
    "consent_withdrawn": "withdrawn",
}


def copied(path: Path, target: Path) -> Path:
    """The file and its log as a crash left them, elsewhere, so that looking at them recovers nothing in the original.

    The process that calls this must have no connection to the file: closing any descriptor of a file drops the locks
    that the process has on it.
    """
    for suffix in ("", "-wal", "-shm"):
        target.with_name(target.name + suffix).unlink(missing_ok=True)
    for suffix in ("", "-wal"):
        source = path.with_name(path.name + suffix)
        if source.exists():
            shutil.copyfile(source, target.with_name(target.name + suffix))
    return target


def problems(path: Path, acknowledged: Acknowledged) -> list[str]:
    """What is wrong with a file, given what callers were told of it; nothing, it is to be hoped."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=PATIENCE)) as connection:
        connection.execute("BEGIN")
        return [*_damage(connection), *_contradictions(connection), *_losses(connection, acknowledged)]


def _damage(connection: sqlite3.Connection) -> Iterator[str]:
    found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
    if found != ["ok"]:
        yield f"integrity_check: {found[:3]}"
    if broken := connection.execute("PRAGMA foreign_key_check").fetchall():
        yield f"{len(broken)} rows refer to nothing"
    anchor = connection.execute("SELECT sequence, digest FROM history_anchor").fetchone()
    chain = connection.execute(
        "SELECT sequence, execution_id, event, wait_id, from_status, to_status, actor, cause, time,"
        " detail, detail_sha256, digest FROM history ORDER BY sequence"
    ).fetchall()
    if (at := first_wrong(chain, *anchor)) is not None:
        yield f"the history breaks at row {anchor[0] + 1 + at}"


def _contradictions(connection: sqlite3.Connection) -> Iterator[str]:
    """Where the tables and the history tell different stories."""
    told: dict[str, str] = {}
    waits: dict[tuple[str, str], str] = {}
    for execution_id, event, wait_id, before, after in connection.execute(
        "SELECT execution_id, event, wait_id, from_status, to_status FROM history"
        " WHERE execution_id IS NOT NULL ORDER BY sequence"
    ):
        if told.get(execution_id) != before:
            yield f"the history of {execution_id} goes on from {before} and had come to {told.get(execution_id)}"
        told[execution_id] = after
        if wait_id is not None:
            waits[execution_id, wait_id] = _PAST[event]
    gone = [
        execution_id
        for (detail,) in connection.execute("SELECT detail FROM history WHERE event = 'swept'")
        for execution_id in json.loads(detail)["execution_ids"]
    ]
    for execution_id in gone:
        if told.pop(execution_id, None) not in {"completed", "failed", "cancelled"}:
            yield f"{execution_id} was swept and had not ended, or was swept twice"
    stored = dict(connection.execute("SELECT id, status FROM executions"))
    for execution_id in told.keys() | stored.keys():
        if told.get(execution_id) != stored.get(execution_id):
            yield f"{execution_id} is {stored.get(execution_id)} and its history says {told.get(execution_id)}"
    open_now: dict[str, int] = {}
    for execution_id, wait_id, status in connection.execute(
        "SELECT e.id, w.id, w.status FROM (SELECT execution_key, id, status FROM interactions"
        " UNION ALL SELECT execution_key, id, status FROM consents) AS w"
        " JOIN executions AS e ON e.key = w.execution_key"
    ):
        if waits.pop((execution_id, wait_id), None) != status:
            yield f"the wait {wait_id} of {execution_id} is {status} and its history says otherwise"
        open_now[execution_id] = open_now.get(execution_id, 0) + (status in {"pending", "exchanging"})
    for execution_id, wait_id in waits:
        if execution_id in told:
            yield f"the wait {wait_id} of {execution_id} is in the history only"
    for execution_id, counted in connection.execute("SELECT id, open_waits FROM executions"):
        if counted != open_now.get(execution_id, 0):
            yield f"{execution_id} counts {counted} open waits and has {open_now.get(execution_id, 0)}"


def _losses(connection: sqlite3.Connection, acknowledged: Acknowledged) -> Iterator[str]:
    """What callers were told and the file does not have."""
    history = {
        (event, execution_id, wait_id): (after, detail)
        for event, execution_id, wait_id, after, detail in connection.execute(
            "SELECT event, execution_id, wait_id, to_status, detail FROM history"
        )
    }
    results = dict(connection.execute("SELECT id, result FROM executions WHERE result IS NOT NULL"))
    swept = sum(
        json.loads(detail)["count"]
        for (detail,) in connection.execute("SELECT detail FROM history WHERE event = 'swept'")
    )
    for event, execution_id, wait_id, status, payload in acknowledged:
        if event == "swept":
            swept -= payload
            continue
        found = history.get((event, execution_id, wait_id))
        if found is None:
            yield f"lost: {event} of {execution_id}, {wait_id}"
        elif status is not None and found[0] != status:
            yield f"{event} of {execution_id} was acknowledged as {status} and is stored as {found[0]}"
        elif event == "interaction_answered" and json.loads(found[1])["response"]["text"] != payload:
            yield f"the answer to {wait_id} was acknowledged as {payload} and is stored as {found[1]}"
        elif (
            event == "execution_completed" and execution_id in results and json.loads(results[execution_id]) != payload
        ):
            yield f"the result of {execution_id} was acknowledged as {payload} and is stored as {results[execution_id]}"
    if swept < 0:
        yield f"lost: {-swept} sweepings"


def percentile(values: list[float], share: float) -> float:
    """The value that ``share`` of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


# --- Standing still -----------------------------------------------------------------------------------------------------


def until_rows(path: Path, query: str, expected: object) -> None:
    """Return when the query gives this one value."""
    give_up = time.monotonic() + PATIENCE
    while support.rows(path, query) != [(expected,)]:
        assert time.monotonic() < give_up, (query, support.rows(path, query))
        time.sleep(0.02)


def _stands_still(pid: int) -> bool:
    """Whether each of its threads is stopped: one that was in a system call may take the lock before it is."""
    stats = [each.read_text() for each in Path(f"/proc/{pid}/task").glob("*/stat")]
    return {stat.rpartition(")")[2].split()[0] for stat in stats} == {"T"}


def _is_writing(path: Path) -> bool:
    """Whether someone has the lock by which restpoint's writers exclude each other, beside that of SQLite."""
    with suppress(FileNotFoundError), path.with_name(f"{path.name}-wal").open("rb+") as log:
        try:
            lock(log.fileno(), fcntl.F_WRLCK, 0, 1)
        except OSError:
            return True
    return False


def stop_outside_a_write(pid: int, path: Path) -> None:
    """Stop a process, but not while it has one of the file's two locks for writers, which nobody could take from it."""
    for _ in range(1000):
        os.kill(pid, signal.SIGSTOP)
        while not _stands_still(pid):
            time.sleep(0.001)
        with closing(sqlite3.connect(path, isolation_level=None, timeout=0.3)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                os.kill(pid, signal.SIGCONT)
                time.sleep(0.003)
                continue
            connection.execute("ROLLBACK")
            if not _is_writing(path):
                return
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.003)
    raise AssertionError("it always had the write lock")
