"""``restpoint`` as people run it: real processes, a server on a port of its own, a terminal to type into."""

import io
import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Self

import support
from prefork import Forked
from restpoint.cli import main

PATIENCE = support.PATIENCE
EXAMPLES = Path(__file__).parents[1] / "examples"

TARGET = """
import asyncio
from pathlib import Path
from restpoint import Context, workflow
from restpoint.prompts import HumanPromptText

@workflow
async def greet(ctx: Context, name: str = "you") -> str:
    answer = await ctx.ask(HumanPromptText(text=f"Hello {name}?"))
    return f"{name} {answer.text}"

@workflow
async def echo(ctx: Context, value: int) -> int:
    return value

@workflow
async def quick(ctx: Context) -> str:
    return (await ctx.ask(HumanPromptText(text="Quick?"), timeout=0.05)).text

@workflow
async def chatty(ctx: Context, count: int) -> int:
    for number in range(count):
        await ctx.emit({"number": number, "line": "a\\u2028b"})
    await ctx.ask(HumanPromptText(text="Go on?"))
    for number in range(count, 2 * count):
        await ctx.emit({"number": number})
    return count

@workflow
async def tally(ctx: Context, name: str) -> str:
    first, second = await asyncio.gather(
        ctx.ask(HumanPromptText(text="One?")), ctx.ask(HumanPromptText(text="Two?"))
    )
    await ctx.step(note, f"{name}: {first.text} {second.text}")
    return f"{first.text} {second.text}"

@workflow
async def gated(ctx: Context, gate: str) -> str:
    await ctx.step(opened, gate)
    return (await ctx.ask(HumanPromptText(text="At last?"))).text

async def opened(gate: str) -> None:
    while not Path(gate).exists():
        await asyncio.sleep(0.01)

def note(line: str) -> None:
    with Path("notes.txt").open("a") as file:
        file.write(line + "\\n")
"""


def environment(**more: str) -> dict[str, str]:
    """The variables of this process without those that point ``restpoint`` somewhere."""
    return support.variables(**{"COLUMNS": "160", "PYTHONUNBUFFERED": "1", **more})


def restpoint(*arguments: str, cwd: Path, given: str = "", **variables: str) -> "subprocess.CompletedProcess[str]":
    """The command, run to its end, with nobody at the keyboard."""
    return subprocess.run(
        [sys.executable, "-m", "restpoint.cli", *arguments],
        cwd=cwd,
        env=environment(**variables),
        input=given,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def typed(*arguments: str, cwd: Path, given: str = "", **variables: str) -> "subprocess.CompletedProcess[str]":
    """As ``restpoint``, in a thread of this process, so that a command need not wait for Python to load."""
    said, words = io.StringIO(), io.StringIO()
    ended: list[int] = []

    def run() -> None:
        try:
            main()
        except SystemExit as end:
            ended.append(int(end.code or 0))

    kept, folder, line, stdin = dict(os.environ), Path.cwd(), sys.argv, sys.stdin
    try:
        os.environ.clear()
        os.environ.update(environment(**variables))
        os.chdir(cwd)
        sys.argv, sys.stdin = ["restpoint", *arguments], io.StringIO(given)
        with redirect_stdout(said), redirect_stderr(words):
            thread = threading.Thread(target=run)
            thread.start()
            thread.join(PATIENCE)
        assert ended, f"the command does not end, or ended with a defect: {words.getvalue()}"
    finally:
        os.environ.clear()
        os.environ.update(kept)
        os.chdir(folder)
        sys.argv, sys.stdin = line, stdin
    return subprocess.CompletedProcess(arguments, ended[0], said.getvalue(), words.getvalue())


class Served:
    """A running ``restpoint serve``."""

    def __init__(self, target: str, folder: Path, *options: str, **variables: str) -> None:
        port = () if "--port" in options else ("--port", "0")
        words, theirs = os.pipe()
        with Path(os.devnull).open("r+b") as nothing:
            self.process = Forked(
                *("serve", target, *port, *options),
                cwd=folder,
                environment=environment(**variables),
                standard=(nothing.fileno(), nothing.fileno(), theirs),
            )
        os.close(theirs)
        self._words = os.fdopen(words)
        self.said: list[str] = []
        self._ready = threading.Event()
        self.url = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._ready.wait(PATIENCE) or not self.url:
            self.kill()
            raise AssertionError("the server did not start:\n" + "".join(self.said))

    def _read(self) -> None:
        for line in self._words:
            self.said.append(line)
            if line.startswith("Serving "):
                self.url = line.split()[1].rstrip(";")
                self._ready.set()
        self._ready.set()

    @property
    def port(self) -> str:
        return self.url.rpartition(":")[2]

    def workers(self) -> list[int]:
        """The processes that serve, where there are several."""
        found = []
        for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            with suppress(FileNotFoundError):
                if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(int(pid))
        return found

    def end(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """Send a signal and wait. Returns the exit code and how long it took, in seconds."""
        began = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        took = time.monotonic() - began
        self._reader.join(PATIENCE)
        return code, took

    def kill(self) -> None:
        """SIGKILL, to the process that was started."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        self._words.close()


@contextmanager
def served(target: str, folder: Path, *options: str, **variables: str) -> Iterator[Served]:
    server = Served(target, folder, *options, **variables)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.end()
        server.kill()


class Terminal:
    """A command at a terminal: what it shows there, and what a person types."""

    def __init__(self, *arguments: str, cwd: Path, **variables: str) -> None:
        self._ours, theirs = pty.openpty()
        self.process = Forked(
            *arguments,
            cwd=cwd,
            environment=environment(**{"TERM": "xterm", **variables}),
            standard=(theirs, theirs, theirs),
            session=True,
        )
        os.close(theirs)
        self.shown = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)
        os.close(self._ours)

    def until(self, text: str) -> str:
        """Read until it shows ``text``, and return what it has shown since the last time."""
        deadline = time.monotonic() + PATIENCE
        seen = ""
        while text not in seen:
            chunk = self._read(deadline)
            assert chunk is not None, f"{text!r} was not shown, but: {self.shown}"
            seen += chunk
        return seen

    def type(self, line: str) -> None:
        os.write(self._ours, line.encode())

    def press_ctrl_c(self) -> None:
        """Once it waits for what is typed: of a signal just before that, Python hears only when something is."""
        deadline, asleep = time.monotonic() + PATIENCE, 0
        while asleep < 2:
            state = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0]
            asleep = asleep + 1 if state == "S" else 0
            assert time.monotonic() < deadline, f"it does not wait, and shows: {self.shown}"
            time.sleep(0.001)
        self.process.send_signal(signal.SIGINT)

    def ended(self) -> int:
        """Read to the end, and return the exit code."""
        deadline = time.monotonic() + PATIENCE
        while self._read(deadline) is not None:
            pass
        return self.process.wait(PATIENCE)

    def _read(self, deadline: float) -> str | None:
        ready, _, _ = select.select([self._ours], [], [], max(deadline - time.monotonic(), 0))
        assert ready, f"it shows nothing more than: {self.shown}"
        try:
            chunk = os.read(self._ours, 65_536).decode(errors="replace")
        except OSError:  # EIO: the other side is closed
            return None
        self.shown += chunk
        return chunk or None
