"""FAULTS row 6: another program keeps a snapshot of the file open while writers work."""

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from faults.harness import percentile, problems
from restpoint import ExecutionStore
from restpoint.prompts import HumanPromptText, HumanResponseText

YES = HumanResponseText(text="yes")
MEBIBYTE = 1024 * 1024
BOUND = 32 * MEBIBYTE
"""What the log is cut back to once nobody needs it (``journal_size_limit``)."""


class _Writers:
    """Eight writers that go through whole lifecycles until they are told to stop."""

    def __init__(self, store: ExecutionStore, text: str, trips_per_second: float | None) -> None:
        self._store = store
        self._prompt = HumanPromptText(text=text)
        self._pause = None if trips_per_second is None else 8 / trips_per_second
        self.took: list[float] = []

    async def _trip(self) -> None:
        begun = time.monotonic()
        record = await self._store.create_execution()
        pending = await self._store.set_interaction_required(record.execution_id, self._prompt)
        await self._store.resolve_interaction(record.execution_id, pending.interaction_id, YES)
        await self._store.set_completed(record.execution_id, None)
        self.took.append((time.monotonic() - begun) / 4)
        if self._pause is not None:
            await asyncio.sleep(max(begun + self._pause - time.monotonic(), 0))

    async def trips(self, number: int) -> None:
        for _ in range(0, number, 8):
            await asyncio.gather(*(self._trip() for _ in range(8)))

    async def work(self, seconds: float) -> None:
        async def write() -> None:
            while time.monotonic() < end:
                await self._trip()

        end = time.monotonic() + seconds
        await asyncio.gather(*(write() for _ in range(8)))


def _count(reader: sqlite3.Connection) -> int:
    return int(reader.execute("SELECT count(*) FROM history").fetchone()[0])


async def test_a_snapshot_held_by_a_reader_stops_no_writer_and_the_log_shrinks_after_it(path: Path) -> None:
    log = path.with_name(f"{path.name}-wal")
    async with ExecutionStore(database=path) as store:
        writers = _Writers(store, "x" * 100_000, None)
        await writers.trips(8)
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            seen = _count(reader)
            await writers.trips(240)
            grown = log.stat().st_size
            assert grown > BOUND, "the reader did not keep the log"
            assert _count(reader) == seen, "the reader held no snapshot"
            reader.execute("COMMIT")
            assert _count(reader) == seen + 4 * 240, "writes did not go on"
        await writers.trips(80)
        assert log.stat().st_size <= BOUND + MEBIBYTE
    assert problems(path, []) == []


@pytest.mark.deep
async def test_a_snapshot_held_for_a_minute_stops_no_writer(path: Path) -> None:
    log = path.with_name(f"{path.name}-wal")
    sizes: list[int] = []
    async with ExecutionStore(database=path) as store:
        before = _Writers(store, "Go on?", 200)
        await before.work(5)
        calm = log.stat().st_size
        during = _Writers(store, "Go on?", 200)
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            seen = _count(reader)
            for _ in range(6):
                await during.work(10)
                sizes.append(log.stat().st_size)
            assert _count(reader) == seen, "the reader held no snapshot"
            reader.execute("COMMIT")
            assert _count(reader) == seen + 4 * len(during.took), "writes did not go on"
        after = _Writers(store, "Go on?", 200)
        await after.work(5)
        bounded = log.stat().st_size
    assert problems(path, []) == []
    print(
        f"\nlog before {calm / MEBIBYTE:.1f} MiB, while the snapshot is held "
        f"{', '.join(f'{size / MEBIBYTE:.0f}' for size in sizes)} MiB (every 10 s), "
        f"after it {bounded / MEBIBYTE:.1f} MiB; "
        f"{(sizes[-1] - calm) / len(during.took) / 1024:.1f} KiB a trip; p99 of a write "
        f"{percentile(before.took, 0.99) * 1000:.1f} / {percentile(during.took, 0.99) * 1000:.1f} / "
        f"{percentile(after.took, 0.99) * 1000:.1f} ms before / during / after"
    )
    assert sizes[-1] > BOUND, "the reader did not keep the log"
    assert bounded <= BOUND + MEBIBYTE
