"""A real second process on the same file, and a clock that tells who sleeps on it."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import support
from support import START, ManualClock

PATIENCE: Final = support.PATIENCE

_PREAMBLE: Final = """
import asyncio, json, sys
from restpoint import ExecutionStore
from restpoint.prompts import *

def tell(*words):
    print(*words, flush=True)

async def heard():
    return (await asyncio.to_thread(sys.stdin.readline)).strip()

path, *arguments = sys.argv[1:]
"""


class Child:
    """A Python program in a process of its own, which prints lines and reads lines."""

    def __init__(self, process: Process) -> None:
        self.process = process

    async def line(self) -> str:
        """The next line it prints."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            line = await self.process.stdout.readline()
        if not line:
            raise AssertionError(f"the child ended with {await self.process.wait()} and said no more")
        return line.decode().strip()

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())

    async def kill(self) -> None:
        """SIGKILL, and the proof that it was that which ended it."""
        os.kill(self.process.pid, signal.SIGKILL)
        async with asyncio.timeout(PATIENCE):
            assert await self.process.wait() == -signal.SIGKILL

    async def end(self) -> None:
        """Wait until it has ended by itself, successfully."""
        async with asyncio.timeout(PATIENCE):
            assert await self.process.wait() == 0


@asynccontextmanager
async def child(program: str, path: Path, *arguments: str) -> AsyncIterator[Child]:
    """Run ``program``, the body of an async function, in another process; whatever happens it is gone afterwards."""
    body = "\n".join(f"    {line}" for line in program.strip().splitlines())
    source = f"{_PREAMBLE}\nasync def main():\n{body}\n\nasyncio.run(main())\n"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", source, str(path), *arguments, stdin=PIPE, stdout=PIPE, env=support.variables()
    )
    try:
        yield Child(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


class WatchedClock(ManualClock):
    """A manual clock that can wait for the moment when someone sleeps until an instant."""

    def __init__(self, now: int = START) -> None:
        super().__init__(now)
        self._slept: dict[int, asyncio.Event] = {}

    async def sleep_until(self, instant: int) -> None:
        self._slept.setdefault(instant, asyncio.Event()).set()
        await super().sleep_until(instant)

    async def someone_sleeps_until(self, instant: int) -> None:
        """Return once someone has gone to sleep until ``instant`` (milliseconds since the epoch)."""
        async with asyncio.timeout(PATIENCE):
            await self._slept.setdefault(instant, asyncio.Event()).wait()
