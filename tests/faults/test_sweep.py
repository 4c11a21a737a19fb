"""FAULTS row 27: the sweep of many expired rows while writers work, and one that is killed midway."""

import asyncio
import itertools
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from elsewhere import environment
from faults.prefilled import expired_executions, without_triggers
from restpoint import ExecutionStore
from restpoint._storage import verification
from restpoint._storage.sqlite import migrations
from restpoint._storage.sqlite.vacuum import FREE_PAGES_KEPT, PAGES_FREED_AT_ONCE
from restpoint._store.maintenance import PRUNED_AT_ONCE, SWEPT_AT_ONCE
from restpoint.audit import reports
from restpoint.audit.reports import Filters
from support import ADA, PATIENCE, TEXT, ManualClock, broken_history, file_of, folded_statuses, line_of, rows, sql


async def kept_ones(store: ExecutionStore, clock: ManualClock) -> dict[str, str]:
    """One of everything that a sweep must leave alone, made long before it; statuses by id."""
    kept = {}
    for status in ("running", "interaction_required", "oauth_required", "completed"):
        record = await store.create_execution()
        kept[record.execution_id] = status
        match status:
            case "interaction_required":
                await store.set_interaction_required(record.execution_id, TEXT)
            case "oauth_required":
                await store.set_oauth_required(record.execution_id, "https://example.org/", "state")
            case "completed":
                await store.set_completed(record.execution_id, "held")
                await store.hold(record.execution_id, "an audit")
    return kept


def swept_ids(path: Path) -> list[list[str]]:
    """What each row of history says that a batch took."""
    told = rows(path, "SELECT detail, execution_id FROM history WHERE event = 'swept' ORDER BY sequence")
    batches = []
    for text, execution_id in told:
        detail = json.loads(text)
        assert execution_id is None
        assert detail["count"] == len(detail["execution_ids"]) > 0
        batches.append(detail["execution_ids"])
    return batches


class Writers:
    """Trips beside the sweep, at a pace, and how long each of their writes took."""

    def __init__(self, store: ExecutionStore, path: Path, pace: float) -> None:
        self._store = store
        self._log = path.with_name(f"{path.name}-wal")
        self._pause = 1 / pace
        self._trips: set[asyncio.Task[None]] = set()
        self.seconds: list[float] = []
        self.largest_log = 0
        self.finished: list[str] = []
        self.warm = asyncio.Event()

    async def _trip(self) -> None:
        began = time.perf_counter()
        record = await self._store.create_execution()
        execution_id, marks = record.execution_id, [time.perf_counter() - began]
        for step in range(3):
            began = time.perf_counter()
            match step:
                case 0:
                    pending = await self._store.set_interaction_required(execution_id, TEXT, "w")
                    assert pending.interaction_id == "w"
                case 1:
                    await self._store.resolve_interaction(execution_id, "w", ADA)
                case 2:
                    await self._store.set_completed(execution_id, "live")
            marks.append(time.perf_counter() - began)
        self.seconds += marks
        self.finished.append(execution_id)
        if len(self.finished) >= 10:
            self.warm.set()

    async def run(self) -> None:
        """A trip (four writes) every so often, until cancelled."""
        due = time.perf_counter()
        while True:
            trip = asyncio.create_task(self._trip())
            self._trips.add(trip)
            trip.add_done_callback(self._trips.discard)
            self.largest_log = max(self.largest_log, size(self._log))
            due += self._pause
            await asyncio.sleep(max(due - time.perf_counter(), 0))

    async def finish(self) -> None:
        await asyncio.gather(*self._trips)

    def quantile(self, part: float) -> float:
        ordered = sorted(self.seconds)
        return ordered[min(int(len(ordered) * part), len(ordered) - 1)]


def size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@pytest.mark.parametrize(("count", "pace"), [(10_000, 25), pytest.param(1_000_000, 25, marks=pytest.mark.deep)])
async def test_a_sweep_beside_writers_takes_what_expired_and_nothing_else(
    path: Path, clock: ManualClock, count: int, pace: float
) -> None:
    clock.step(-3_600)
    async with ExecutionStore(database=path, clock=clock, ttl_seconds=600) as store:
        kept = await kept_ones(store, clock)
    began = time.perf_counter()
    expired_executions(path, count)
    generated = time.perf_counter() - began
    told_before = rows(path, "SELECT max(sequence) FROM history")[0][0]
    assert told_before >= 4 * count
    clock.step(3_600)
    before = size(path)
    async with ExecutionStore(database=path, clock=clock, ttl_seconds=600, sweep_interval_seconds=1e6) as store:
        assert len([row async for row in store.expired()]) == count
        writers = Writers(store, path, pace)
        quiet = asyncio.create_task(writers.run())
        await asyncio.wait_for(writers.warm.wait(), PATIENCE)  # the harness: writers work before, during and after
        during_from = len(writers.seconds)
        began = time.perf_counter()
        assert await store.cleanup_expired() == count
        took = time.perf_counter() - began
        during = len(writers.seconds) - during_from
        del writers.seconds[:during_from]
        quiet.cancel()
        await writers.finish()
        assert during > 0
        assert await store.cleanup_expired() == 0
        live = {*kept, *writers.finished}
        for execution_id, status in kept.items():
            record = await store.get(execution_id)
            assert record is not None
            assert record.status == status
        assert {row[0] for row in rows(path, "SELECT id FROM executions")} == live, "0 live rows deleted"
        assert await broken_history(file_of(store).database) is None
        page, log = rows(path, "PRAGMA page_count")[0][0] * 4096, writers.largest_log
    batches = swept_ids(path)
    gone = list(itertools.chain.from_iterable(batches))
    assert len(gone) == len(set(gone)) == count
    assert not set(gone) & live
    began = time.perf_counter()
    with sql(path) as connection:
        verdict = verification.verify(connection)
        verified = time.perf_counter() - began
        assert verdict.holds, verdict.findings
        # What the auditors ask is answered of what has gone as of what is there.
        asked = {name: sum(1 for _ in reports.answers(connection, name, Filters())) for name in ("sweeps", "others")}
        (answered,) = connection.execute("SELECT count(*) FROM answers").fetchone()
        story = [row["event"] for row in reports.timeline(connection, gone[-1])]
    questioned = time.perf_counter() - began - verified
    assert asked["sweeps"] == count
    assert answered == count + len(writers.finished)
    assert story[:4] == ["execution_created", "interaction_asked", "interaction_answered", "execution_completed"]
    assert max(map(len, batches)) <= 1_000, "bounded batches"
    (told,) = rows(path, "SELECT count(*) FROM history WHERE sequence <= ?", told_before)
    assert told == (told_before,), "history keeps everything"
    assert rows(path, "SELECT count(*) FROM interactions")[0][0] == len(writers.finished) + 1
    after = size(path)
    print(
        f"\nsweep of {count:,} in {took:.1f} s ({count / took:,.0f}/s, {len(batches):,} batches; made in {generated:.0f} s)"
        f" beside {during / took:.0f} writes/s: p50 {writers.quantile(0.5) * 1e3:.1f} ms,"
        f" p99 {writers.quantile(0.99) * 1e3:.1f} ms, worst {max(writers.seconds) * 1e3:.0f} ms;"
        f" {verdict.rows:,} events verified in {verified:.1f} s, questions answered in {questioned:.1f} s;"
        f" log at most {log / 2**20:.1f} MB; file {before / 2**20:.1f} -> {page / 2**20:.1f} -> {after / 2**20:.1f} MB"
    )
    assert log < 64 * 2**20
    if count > 100_000:
        assert writers.quantile(0.99) < 1, "a bound for a bad day; the figure is printed"
        assert after < before * 0.9, "the file shrinks"


async def test_the_file_shrinks_in_steps_when_history_goes_too(path: Path, clock: ManualClock) -> None:
    async with ExecutionStore(database=path, clock=clock):
        pass
    count = 8_000
    expired_executions(path, count)
    before = size(path)
    async with ExecutionStore(database=path, clock=clock, history_retention_seconds=60) as store:
        database = file_of(store).database
        assert database is not None
        jobs, write = [0], database.write

        def counted(*arguments: Any) -> Any:
            jobs[0] += 1
            return write(*arguments)

        database.write = counted  # type: ignore[method-assign, assignment]
        assert await store.cleanup_expired() == count
    assert size(path) < before / 2
    free = rows(path, "PRAGMA freelist_count")[0][0]
    assert free <= FREE_PAGES_KEPT + PAGES_FREED_AT_ONCE
    assert all(passed for _, passed, _ in migrations.check(path))
    freed = before // 4096 - rows(path, "PRAGMA page_count")[0][0]
    wanted = count / SWEPT_AT_ONCE + 4 * count / PRUNED_AT_ONCE + freed / PAGES_FREED_AT_ONCE
    assert freed > 500
    assert jobs[0] <= 1.5 * wanted + 10, "each step frees as many pages as it says"


@pytest.mark.parametrize("retention", [7_200, 1_800])
async def test_retention_of_history_moves_the_anchor_and_the_chain_still_verifies(
    path: Path, clock: ManualClock, retention: float
) -> None:
    """What ended an hour ago goes under a retention of half an hour, and stays under one of two."""
    async with ExecutionStore(database=path, clock=clock):
        pass
    expired_executions(path, 2_000)
    async with ExecutionStore(
        database=path, clock=clock, ttl_seconds=600, history_retention_seconds=retention
    ) as store:
        live = await store.create_execution()
        assert await store.cleanup_expired() == 2_000
        assert await broken_history(file_of(store).database) is None
        ((anchor, digest),) = rows(path, "SELECT sequence, digest FROM history_anchor")
        first = rows(path, "SELECT min(sequence) FROM history")[0][0]
        assert first == anchor + 1
        if retention > 3_600:
            assert anchor == 0
            assert digest == bytes(32)
        else:
            assert anchor >= 8_000
            pruned = [
                json.loads(row[0]) for row in rows(path, "SELECT detail FROM history WHERE event = 'history_pruned'")
            ]
            spans = [(span["first"], span["last"]) for span in pruned]
            assert all(later[0] == earlier[1] + 1 for earlier, later in itertools.pairwise(spans)), "each row said once"
            assert spans[-1][1] == anchor
        assert [entry.event for entry in await store.history(live.execution_id)] == ["execution_created"]
        # A row that is changed after the pruning is still found.
        with without_triggers(path) as connection:
            connection.execute("UPDATE history SET cause = 'x' WHERE sequence = (SELECT max(sequence) FROM history)")
        assert await broken_history(file_of(store).database) is not None


async def test_retention_of_history_stops_before_an_execution_that_is_still_there(
    path: Path, clock: ManualClock
) -> None:
    async with ExecutionStore(database=path, clock=clock):
        pass
    expired_executions(path, 100)
    async with ExecutionStore(database=path, clock=clock, history_retention_seconds=60) as store:
        record = await store.create_execution()
        await store.set_interaction_required(record.execution_id, TEXT)
        (asked,) = rows(path, "SELECT min(sequence) FROM history WHERE execution_id = ?", record.execution_id)
        clock.step(365 * 86_400)
        assert await store.cleanup_expired() == 100
        assert rows(path, "SELECT sequence FROM history_anchor") == [(asked[0] - 1,)]
        assert len(await store.history(record.execution_id)) == 2
        assert await broken_history(file_of(store).database) is None
    assert folded_statuses(path)[record.execution_id] == "interaction_required"


async def test_a_swept_execution_is_gone_and_its_history_is_not(path: Path, clock: ManualClock) -> None:
    async with ExecutionStore(database=path, clock=clock, ttl_seconds=600, sweep_interval_seconds=1e6) as store:
        record = await store.create_execution()
        await store.set_completed(record.execution_id, 1)
        before = await store.history(record.execution_id)
        clock.step(600)
        assert [item[0] async for item in store.expired()] == [record.execution_id]
        assert await store.cleanup_expired() == 1
        assert [item async for item in store.expired()] == []
        assert await store.get(record.execution_id) is None
        assert await store.history(record.execution_id) == before
    assert swept_ids(path) == [[record.execution_id]]


_SWEEP = """
import asyncio, sys
from support import ManualClock
from restpoint import ExecutionStore

async def sweep():
    async with ExecutionStore(database=sys.argv[1], clock=ManualClock(), sweep_interval_seconds=1e6) as store:
        print("sweeping", flush=True)
        await store.cleanup_expired()
        print("swept", flush=True)

asyncio.run(sweep())
"""


@pytest.mark.parametrize(
    ("count", "at"),
    [(6_000, 0.3), *(pytest.param(20_000, tenth / 10, marks=pytest.mark.deep) for tenth in range(10))],
)
async def test_a_sweep_that_is_killed_midway_is_finished_by_the_next(
    path: Path, clock: ManualClock, count: int, at: float
) -> None:
    async with ExecutionStore(database=path, clock=clock) as store:
        kept = await kept_ones(store, clock)
    expired_executions(path, count)
    everything = {row[0] for row in rows(path, "SELECT id FROM executions")}

    whole = path.with_name("whole.db")
    shutil.copyfile(path, whole)

    def kill_midway() -> bool:
        """Whether the kill came before it was done."""
        with (
            subprocess.Popen([sys.executable, "-c", _SWEEP, str(path)], stdout=subprocess.PIPE, text=True, env=environment())
            as sweeping,
            sql(path) as watching,
        ):  # fmt: skip
            try:
                assert sweeping.stdout is not None
                assert line_of(sweeping.stdout) == "sweeping\n"
                give_up = time.monotonic() + PATIENCE
                while time.monotonic() < give_up:
                    (left,) = watching.execute("SELECT count(*) FROM executions").fetchone()
                    if left - len(kept) < count * (1 - at):
                        break
            finally:
                sweeping.kill()
            said, _ = sweeping.communicate(timeout=PATIENCE)
            assert sweeping.returncode in ({0, -signal.SIGKILL} if said else {-signal.SIGKILL})
            return said == ""

    for _ in range(10):  # where this process stands still at the wrong moment, the other one is done before
        if kill_midway():
            break
        for left_over in path.parent.glob(f"{path.name}*"):
            left_over.unlink()
        shutil.copyfile(whole, path)
    else:
        pytest.fail("it was always done before it was killed")
    left = {row[0] for row in rows(path, "SELECT id FROM executions")}
    assert len(kept) < len(left) < len(everything), "midway"
    gone = list(itertools.chain.from_iterable(swept_ids(path)))
    assert len(gone) == len(set(gone))
    assert set(gone) == everything - left, "history tells of exactly what went"
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    async with ExecutionStore(database=path, clock=clock) as store:
        assert await store.cleanup_expired() == len(left) - len(kept)
        assert await broken_history(file_of(store).database) is None
    assert {row[0] for row in rows(path, "SELECT id FROM executions")} == set(kept)
    gone = list(itertools.chain.from_iterable(swept_ids(path)))
    assert len(gone) == len(set(gone)) == count
