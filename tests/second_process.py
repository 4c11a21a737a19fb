"""A second process on the same file, and a clock that tells who sleeps on it."""

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Final

import support
from prefork import Forked
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

    def __init__(self, process: Forked, say: int, told: IO[str]) -> None:
        self.process, self._say, self._told = process, say, told

    async def line(self) -> str:
        """The next line it prints."""
        async with asyncio.timeout(PATIENCE):
            line = await asyncio.to_thread(self._told.readline)
        if not line:
            raise AssertionError(f"the child ended with {await self._code()} and said no more")
        return line.strip()

    def say(self, line: str) -> None:
        os.write(self._say, f"{line}\n".encode())

    async def kill(self) -> None:
        """SIGKILL, and the proof that it was that which ended it."""
        os.kill(self.process.pid, signal.SIGKILL)
        assert await self._code() == -signal.SIGKILL

    async def end(self) -> None:
        """Wait until it has ended by itself, successfully."""
        assert await self._code() == 0

    async def _code(self) -> int:
        return await asyncio.to_thread(self.process.wait, PATIENCE)


@asynccontextmanager
async def child(program: str, path: Path, *arguments: str) -> AsyncIterator[Child]:
    """Run ``program``, the body of an async function, in another process; whatever happens it is gone afterwards."""
    body = "\n".join(f"    {line}" for line in program.strip().splitlines())
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "program.py"
        source.write_text(f"{_PREAMBLE}\nasync def main():\n{body}\n\nasyncio.run(main())\n")
        heard, say = os.pipe()
        told, tell = os.pipe()
        process = Forked(
            *(str(source), str(path), *arguments),
            cwd=path.parent,
            environment=support.variables(),
            standard=(heard, tell, 2),
        )
        os.close(heard)
        os.close(tell)
        with os.fdopen(told) as lines:
            try:
                yield Child(process, say, lines)
            finally:
                os.close(say)
                process.kill()
                await asyncio.to_thread(process.wait, PATIENCE)


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
