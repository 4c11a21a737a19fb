"""``restpoint``, or a program that uses it, in processes that begin with its libraries loaded, which takes most of a start.

One process a test run loads them and forks the others. Each of these is a process like any other: with a pid, an environment,
a folder, signals and an exit code of its own. Tests of the start itself run Python anew (``served.restpoint``).
"""

import atexit
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import new_files
import support
from restpoint._storage.sqlite import migrations

LOADED = (
    "alembic.command", "httpx", "restpoint.http.app", "restpoint.cli.app", "restpoint.client.client",
    "restpoint.http.server", "rich.table", "rich.prompt", "uvicorn.lifespan.on", "uvicorn.protocols.http.auto",
    "uvicorn.loops.auto",
)  # fmt: skip
_MOST = 1 << 20  # bytes of an order


# --- In the process that loads ---


def main(descriptor: int) -> None:
    """Fork for each order that comes, and tell how each child ended; until the other side is gone."""
    for name in LOADED:
        __import__(name)
    new_files.first()  # those that are forked need not find them
    migrations._migrate = new_files.migrate
    gc.collect()
    gc.freeze()
    orders = socket.socket(fileno=descriptor)
    children: dict[int, tuple[int, int]] = {}  # by a descriptor of the process: its pid, and where its end is told
    while True:
        ready: list[int] = select.select([descriptor, *children], [], [])[0]
        for each in ready:
            if each != descriptor:
                pid, told = children.pop(each)
                os.close(each)
                status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                with suppress(BrokenPipeError):
                    os.write(told, str(status).encode())
                os.close(told)
                continue
            order, descriptors, _, _ = socket.recv_fds(orders, _MOST, 4)
            if not order:
                for pid, _ in children.values():
                    os.kill(pid, signal.SIGKILL)
                return
            pid = os.fork()
            if pid == 0:
                orders.close()
                for open_ in (*children, *(told for _, told in children.values()), descriptors[3]):
                    os.close(open_)
                _be(json.loads(order), descriptors[:3])
            children[os.pidfd_open(pid)] = pid, descriptors[3]
            for given in descriptors[:3]:
                os.close(given)
            orders.send(str(pid).encode())


def _be(order: dict[str, Any], standard: Sequence[int]) -> None:
    """Become the command. Does not return."""
    code = 1
    try:
        for number, given in enumerate(standard):
            os.dup2(given, number)
        for given in standard:
            os.close(given)
        if order["session"]:
            os.setsid()
        os.environ.clear()
        os.environ.update(order["environment"])
        time.tzset()
        tempfile.tempdir = None  # by the environment, not by that of the process that was forked
        os.chdir(order["cwd"])
        arguments = order["arguments"]
        is_program = arguments[0].endswith(".py")
        sys.argv = arguments if is_program else ["restpoint", *arguments]
        sys.path[0] = order["cwd"]
        sys.stdin, sys.stdout, sys.stderr = (
            os.fdopen(number, mode, buffering=1, closefd=False) for number, mode in enumerate("rww")
        )
        if is_program:
            warnings.simplefilter("error")
            runpy.run_path(arguments[0], run_name="__main__")
        else:
            from restpoint.cli import main as command

            subprocess.Popen = _forking_popen  # type: ignore[assignment, misc]
            command()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)


_popen: Any = subprocess.Popen


def _forking_popen(command: Sequence[str], **options: Any) -> Any:
    """As ``subprocess.Popen``; a ``restpoint`` that the command starts itself is forked from it, with the libraries loaded."""
    if list(command[:3]) != [sys.executable, "-m", "restpoint.cli"]:
        return _popen(command, **options)

    def become() -> None:  # when standard input, output and error are those of the new process
        os.closerange(3, 256)
        order = {"arguments": command[3:], "cwd": str(Path.cwd()), "environment": options["env"], "session": False}
        _be(order, ())

    return _popen(command, **options, preexec_fn=become)


# --- In the process of the tests ---

_orders: socket.socket | None = None


def _connected() -> socket.socket:
    global _orders
    if _orders is None:
        _orders, theirs = socket.socketpair()
        with theirs:
            loading = subprocess.Popen(
                [sys.executable, "-c", f"import prefork; prefork.main({theirs.fileno()})"],
                pass_fds=[theirs.fileno()],
                env=support.variables(PYTHONPATH=str(Path(__file__).parent)),
                start_new_session=True,
            )
        atexit.register(loading.wait, 30)
        atexit.register(_orders.close)
    return _orders


class Forked:
    """A running command, with the methods of ``subprocess.Popen`` that the tests use."""

    def __init__(
        self,
        *arguments: str,
        cwd: Path,
        environment: Mapping[str, str],
        standard: Sequence[int],
        session: bool = False,
    ) -> None:
        self.arguments = arguments
        self.returncode: int | None = None
        self._end, told = os.pipe()
        order = {"arguments": arguments, "cwd": str(cwd), "environment": dict(environment), "session": session}
        orders = _connected()
        socket.send_fds(orders, [json.dumps(order).encode()], [*standard, told])
        os.close(told)
        self.pid = int(orders.recv(32))

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, negative for a signal. Raises ``subprocess.TimeoutExpired``."""
        if self.returncode is None:
            if not select.select([self._end], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.arguments, timeout or 0)
            self.returncode = int(os.read(self._end, 32))
            os.close(self._end)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)
