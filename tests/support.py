"""What the tests share: a clock that the test moves, prompts with their answers, and a look at the file from outside."""

import asyncio
import os
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any, Final, TypeVar

from restpoint import ExecutionStore
from restpoint._storage import verification
from restpoint._storage.hash_chain import first_wrong
from restpoint._storage.sqlite.connection import reading
from restpoint._storage.sqlite.database import Database
from restpoint._store.open_file import OpenFile
from restpoint.prompts import (
    BinaryHumanPromptOption,
    HumanPrompt,
    HumanPromptBinary,
    HumanPromptCheckbox,
    HumanPromptDropdown,
    HumanPromptNotification,
    HumanPromptRadio,
    HumanPromptText,
    HumanResponse,
    HumanResponseBinary,
    HumanResponseCheckbox,
    HumanResponseDropdown,
    HumanResponseNotification,
    HumanResponseRadio,
    HumanResponseText,
    MultipleChoiceOption,
)

T = TypeVar("T")

PATIENCE: Final = 120.0
"""Seconds that a test waits for what is bound to happen: a test that needs them has failed. No other bound on time holds in
an ordinary run, because a machine may stand still for a second; the runs that are marked ``deep`` print and bound figures."""

YES = BinaryHumanPromptOption(id="yes", label="Yes", value=True)
NO = BinaryHumanPromptOption(id="no", label="No", value=False)
MAIL = MultipleChoiceOption(id="mail", label="E-mail", value="mail")
CALL = MultipleChoiceOption(id="call", label="Call", value="call")

TEXT = HumanPromptText(text="What is your name?")
ADA = HumanResponseText(text="Ada")
GRACE = HumanResponseText(text="Grace")

PAIRS: list[tuple[HumanPrompt, HumanResponse]] = [
    (TEXT, ADA),
    (HumanPromptNotification(text="The report is ready."), HumanResponseNotification()),
    (HumanPromptBinary(text="Go on?", options=[YES, NO]), HumanResponseBinary(selected_option=YES)),
    (HumanPromptRadio(text="How?", options=[MAIL, CALL]), HumanResponseRadio(selected_option=CALL)),
    (HumanPromptCheckbox(text="How?", options=[MAIL, CALL]), HumanResponseCheckbox(selected_options=[MAIL, CALL])),
    (HumanPromptDropdown(text="How?", options=[MAIL, CALL]), HumanResponseDropdown(selected_option=MAIL)),
]
KINDS = [str(prompt.input_type) for prompt, _ in PAIRS]


def file_of(store: ExecutionStore) -> OpenFile:
    """The open file of a store, for tests that look at the insides of an open store."""
    file = store._handle.open_file
    assert file is not None, "the store is not open"
    return file


START = 1_800_000_000_000  # milliseconds since the epoch


class ManualClock:
    """A clock that stands still until the test moves it. Whoever sleeps looks again at each move."""

    def __init__(self, now: int = START) -> None:
        self._now = now
        self._moved = asyncio.Event()
        self.asleep: dict[asyncio.Task[Any] | None, int] = {}
        """The tasks that sleep, and until when: who is not among them has not yet seen the last move."""

    def now(self) -> int:
        return self._now

    async def sleep_until(self, instant: int) -> None:
        if self._now < instant:
            task = asyncio.current_task()
            self.asleep[task] = instant
            try:
                await self._moved.wait()  # whichever way it moves: who sleeps looks again
            finally:
                del self.asleep[task]

    def step(self, seconds: float) -> None:
        """Move by ``seconds``, also back."""
        self._now += round(seconds * 1000)
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()


def line_of(stream: IO[str], seconds: float = PATIENCE) -> str:
    """The next line that a process prints, empty at its end. Fails where none comes in so many seconds."""
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(stream.readline()), daemon=True)
    reader.start()
    reader.join(seconds)
    assert read, f"the process printed nothing for {seconds:g} s"
    return read[0]


def variables(**more: str) -> dict[str, str]:
    """This process's environment for another one: nothing that points ``restpoint`` somewhere, or has Python tell more."""
    talkative = {"PYTHONDEVMODE", "PYTHONASYNCIODEBUG"}  # asyncio then remarks on whatever takes 0.1 seconds
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RESTPOINT_")}
    return {name: value for name, value in kept.items() if name not in talkative} | more


@contextmanager
def sql(path: Path) -> Iterator[sqlite3.Connection]:
    """The file as another program sees it, in autocommit mode."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=PATIENCE)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        yield connection


def rows(path: Path, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with sql(path) as connection:
        return connection.execute(query, parameters).fetchall()


def dump(path: Path) -> list[str]:
    """Everything in the file, to compare before and after: what its schema is, and each row with its table.

    (SQLite's own ``iterdump`` takes five times as long, and it writes what is in a BLOB in hexadecimal digits.)
    """
    with sql(path) as connection:
        made = connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY type, name").fetchall()
        return [text for _, _, text in made if text is not None] + [
            f'INSERT INTO "{name}" VALUES {row!r}'
            for kind, name, _ in made
            if kind == "table"
            for row in connection.execute(f'SELECT * FROM "{name}"')
        ]


def folded_statuses(path: Path) -> dict[str, str | None]:
    """Each execution's status as its history tells it: the last row that says where it went."""
    told: dict[str, str | None] = {}
    for execution_id, before, after in rows(
        path,
        "SELECT execution_id, from_status, to_status FROM history WHERE execution_id IS NOT NULL ORDER BY sequence",
    ):
        if execution_id in told:
            assert told[execution_id] == before, f"history of {execution_id} has a gap before {after}"
        told[execution_id] = after
    return told


def first_break(chain: list[tuple[Any, ...]], sequence: int, digest: bytes) -> int | None:
    """The first row of history that does not follow from row ``sequence``, whose digest this is; None when each does."""
    index = first_wrong(chain, sequence, digest)
    return None if index is None else sequence + 1 + index


async def eventually(condition: Callable[[], object]) -> None:
    """Wait until a condition holds that nothing announces; ``TimeoutError`` after ``PATIENCE``.

    It is looked at less and less often: a look may cost as much as what is waited for.
    """
    pause = 0.001
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(pause)
            pause = min(1.3 * pause, 0.05)


async def sought(look: Callable[[], Awaitable[T]], wanted: Callable[[T], object] = bool) -> T:
    """What a look finds, once it is what is ``wanted`` and nothing announces; ``TimeoutError`` after ``PATIENCE``."""
    pause = 0.001
    async with asyncio.timeout(PATIENCE):
        while not wanted(found := await look()):
            await asyncio.sleep(pause)
            pause = min(1.3 * pause, 0.05)
    return found


async def broken_history(database: Database) -> int | None:
    """The first row of history that is not what was written, 0 where it is the tables; None when everything holds."""

    def look() -> int | None:
        with reading(database.path) as connection:
            findings = verification.verify(connection).findings
        return (findings[0].sequence or 0) if findings else None

    return await asyncio.to_thread(look)
