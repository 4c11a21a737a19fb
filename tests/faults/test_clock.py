"""FAULTS row 11: the clock goes back an hour, forward ten years, through the nights when the hour changes.

Order is taken from the sequence of the history, never from a time.
"""

import asyncio
import itertools
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from marks import need
from restpoint import ExecutionStore, PendingInteraction
from restpoint._core.clock import SystemClock
from restpoint._storage.sqlite.database import Committed
from restpoint.errors import IllegalTransition, InteractionAlreadyResolved, InteractionExpired
from support import ADA, GRACE, PATIENCE, START, TEXT, ManualClock, broken_history, file_of, folded_statuses, rows

HOUR = 3_600.0
TEN_YEARS = 10 * 365.25 * 24 * HOUR
STEPS = {"back an hour": -HOUR, "forward ten years": TEN_YEARS}


class WatchedClock(ManualClock):
    """Tells the test who sleeps, and returns from a sleep at every move, as the contract of a clock allows."""

    def __init__(self, now: int = START) -> None:
        super().__init__(now)
        self._asleep: list[int] = []
        self._fell_asleep = asyncio.Event()

    async def sleep_until(self, instant: int) -> None:
        self._asleep.append(instant)
        self._fell_asleep.set()
        moved = self._moved
        try:
            if self._now < instant:
                await moved.wait()
        finally:
            self._asleep.remove(instant)

    async def until_asleep(self, instant: int) -> None:
        """Return when someone sleeps until exactly ``instant``."""
        while instant not in self._asleep:
            self._fell_asleep.clear()
            await asyncio.wait_for(self._fell_asleep.wait(), PATIENCE)


async def broken(store: ExecutionStore) -> int | None:
    return await broken_history(file_of(store).database)


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS.keys())
async def test_no_answered_prompt_reopens_when_the_clock_moves(path: Path, clock: ManualClock, step: float) -> None:
    async with ExecutionStore(database=path, clock=clock, ttl_seconds=None) as store:
        record = await store.create_execution()
        pending = await store.set_interaction_required(record.execution_id, TEXT, timeout=60)
        await store.resolve_interaction(record.execution_id, pending.interaction_id, ADA)
        clock.step(step)
        await store.cleanup_expired()
        assert await pending.future == ADA
        assert record.status == "running"
        assert record.pending_interaction is None
    async with ExecutionStore(database=path, clock=clock, ttl_seconds=None) as store:
        again = await store.get(record.execution_id)
        assert again is not None
        assert again.status == "running"
        assert again.pending_interactions == ()
        await store.resolve_interaction(record.execution_id, pending.interaction_id, ADA)  # a retry is still a success
        with pytest.raises(InteractionAlreadyResolved):
            await store.resolve_interaction(record.execution_id, pending.interaction_id, GRACE)
        await store.set_completed(record.execution_id, "done")
        with pytest.raises(IllegalTransition):
            await store.set_interaction_required(record.execution_id, TEXT)
        assert await broken(store) is None
    assert rows(path, "SELECT status FROM interactions") == [("answered",)]


async def test_a_step_back_sweeps_nothing_early(path: Path, clock: ManualClock) -> None:
    async with ExecutionStore(database=path, clock=clock, ttl_seconds=600, sweep_interval_seconds=1e6) as store:
        before = (await store.create_execution()).execution_id
        await store.set_completed(before, 1)
        clock.step(-HOUR)
        after = (await store.create_execution()).execution_id
        await store.set_completed(after, 2)
        assert await store.cleanup_expired() == 0
        clock.step(599)
        assert await store.cleanup_expired() == 0
        clock.step(1)
        assert await store.cleanup_expired() == 1, "what ended after the step, its time to live later"
        assert await store.get(after) is None
        clock.step(HOUR - 1)
        assert await store.cleanup_expired() == 0, "what ended before the step waits for its own instant"
        assert await store.get(before) is not None
        clock.step(1)
        assert await store.cleanup_expired() == 1
        assert await store.get(before) is None


async def test_nothing_that_lives_or_is_held_is_swept_ten_years_on(path: Path, clock: ManualClock) -> None:
    async with ExecutionStore(database=path, clock=clock, ttl_seconds=600) as store:
        running = (await store.create_execution()).execution_id
        paused = (await store.create_execution()).execution_id
        asked = await store.set_interaction_required(paused, TEXT)
        consenting = (await store.create_execution()).execution_id
        await store.set_oauth_required(consenting, "https://example.org/", "state")
        held = (await store.create_execution()).execution_id
        await store.set_completed(held, 1)
        await store.hold(held, "an audit")
        ended = (await store.create_execution()).execution_id
        await store.set_completed(ended, 1)
        clock.step(TEN_YEARS)
        await store.cleanup_expired()
        assert await store.get(ended) is None
        for kept, status in (
            (running, "running"),
            (paused, "interaction_required"),
            (consenting, "oauth_required"),
            (held, "completed"),
        ):
            record = await store.get(kept)
            assert record is not None
            assert record.status == status
        await store.resolve_interaction(paused, asked.interaction_id, ADA)
        assert await asked.future == ADA


async def test_a_deadline_waits_through_a_step_back_and_fires_at_its_instant(path: Path, clock: ManualClock) -> None:
    async with ExecutionStore(database=path, clock=clock) as store:
        record = await store.create_execution()
        pending = await store.set_interaction_required(record.execution_id, TEXT, timeout=60)
        deadline = pending.deadline
        clock.step(-HOUR)
        await store.cleanup_expired()
        assert record.status == "interaction_required"
        other = await store.set_interaction_required(record.execution_id, TEXT, timeout=60)
        clock.step(60)
        with pytest.raises(InteractionExpired):
            await other.future  # asked after the step: its minute is over
        assert not pending.future.done()
        assert pending.deadline == deadline
        clock.step(HOUR)
        with pytest.raises(InteractionExpired):
            await pending.future
        assert record.status == "running"


async def test_a_deadline_missed_by_ten_years_fires_once_and_stays_fired(path: Path, clock: ManualClock) -> None:
    async with ExecutionStore(database=path, clock=clock) as store:
        record = await store.create_execution()
        expiring = await store.set_interaction_required(record.execution_id, TEXT, timeout=60)
        patient = await store.set_interaction_required(record.execution_id, TEXT)
        clock.step(TEN_YEARS)
        with pytest.raises(InteractionExpired):
            await expiring.future
        clock.step(-TEN_YEARS)
        with pytest.raises(InteractionExpired):
            await store.resolve_interaction(record.execution_id, expiring.interaction_id, ADA)
        assert record.pending_interaction is patient
        clock.step(61)
        await store.resolve_interaction(record.execution_id, patient.interaction_id, GRACE)
        assert await patient.future == GRACE
        entries = await store.history(record.execution_id)
        assert [entry.event for entry in entries].count("interaction_expired") == 1
        assert record.status == "running"


async def test_a_prompt_can_be_answered_after_the_clock_went_back_past_its_asking(
    path: Path, clock: ManualClock
) -> None:
    async with ExecutionStore(database=path, clock=clock) as store:
        record = await store.create_execution()
        pending = await store.set_interaction_required(record.execution_id, TEXT, timeout=60)
        clock.step(-HOUR)
        await store.resolve_interaction(record.execution_id, pending.interaction_id, ADA)
        assert await pending.future == ADA
        await store.set_completed(record.execution_id, "done")
        assert record.completed_at is not None
        assert record.completed_at < record.created_at, "times are what the clock said, and no more than that"
    assert folded_statuses(path) == {record.execution_id: "completed"}


async def test_order_is_by_sequence_and_never_by_time(path: Path, clock: ManualClock) -> None:
    async with ExecutionStore(database=path, clock=clock, ttl_seconds=None) as store:
        made: list[str] = []
        asked: list[PendingInteraction] = []
        for _ in range(5):
            record = await store.create_execution()
            made.append(record.execution_id)
            asked.clear()
            for _ in range(3):
                clock.step(-60)
                asked.append(await store.set_interaction_required(record.execution_id, TEXT))
            assert list(record.pending_interactions) == asked
            assert record.pending_interaction is asked[0], "the oldest was asked first, whatever the clock said"
            clock.step(-60)
            await store.resolve_interaction(record.execution_id, asked[1].interaction_id, ADA)
            assert list(record.pending_interactions) == [asked[0], asked[2]]
        assert len(set(made)) == len(made)
        page = await store.list()
        assert [item.execution_id for item in page.items] == made[::-1], "the newest first, by sequence"
        first, second = (await store.list(limit=3)), None
        assert first.next_cursor is not None
        second = await store.list(limit=3, cursor=first.next_cursor)
        assert [item.execution_id for item in (*first.items, *second.items)] == made[::-1]
        for execution_id in made:
            entries = await store.history(execution_id)
            sequences = [entry.sequence for entry in entries]
            times = [entry.time for entry in entries]
            assert sequences == sorted(sequences)
            assert times == sorted(times, reverse=True) != sorted(times), "the harness: the clock did go back"
            assert entries[0].event == "execution_created"
            assert entries[-1].event == "interaction_answered"
        assert await broken(store) is None
    async with ExecutionStore(database=path, clock=clock, ttl_seconds=None) as store:
        again = await store.get(made[-1])
        assert again is not None
        assert [pending.interaction_id for pending in again.pending_interactions] == [
            asked[0].interaction_id,
            asked[2].interaction_id,
        ]


async def test_oldest_wait_decides_the_status_also_when_it_has_the_latest_time(path: Path, clock: ManualClock) -> None:
    async with ExecutionStore(database=path, clock=clock) as store:
        record = await store.create_execution()
        asked = await store.set_interaction_required(record.execution_id, TEXT)
        clock.step(-HOUR)
        await store.set_oauth_required(record.execution_id, "https://example.org/", "state")
        clock.step(-HOUR)
        last = await store.set_interaction_required(record.execution_id, TEXT)
        await store.resolve_interaction(record.execution_id, asked.interaction_id, ADA)
        assert record.status == "oauth_required"
        consent = record.pending_oauth
        assert consent is not None
        await store.withdraw(record.execution_id, consent.consent_id)
        assert record.status == "interaction_required"
        await store.resolve_interaction(record.execution_id, last.interaction_id, ADA)
        assert record.status == "running"


async def test_scheduled_sweeps_go_on_after_the_clock_was_ten_years_ahead_for_a_moment(path: Path) -> None:
    clock = WatchedClock()
    async with ExecutionStore(database=path, clock=clock, ttl_seconds=0, sweep_interval_seconds=60) as store:
        await clock.until_asleep(START + 60_000)
        clock.step(TEN_YEARS)
        await clock.until_asleep(clock.now() + 60_000)  # that sweep is over, and the next one is due in ten years
        clock.step(-TEN_YEARS)
        await clock.until_asleep(clock.now() + 60_000)  # it swept at once, because the clock was set back
        record = await store.create_execution()
        await store.set_completed(record.execution_id, "done")
        wrote, told = asyncio.Event(), file_of(store).database.sink

        def sink(committed: Committed) -> None:
            if told is not None:
                told(committed)
            wrote.set()

        file_of(store).database.sink = sink
        clock.step(180)
        try:
            await asyncio.wait_for(wrote.wait(), PATIENCE)
        except TimeoutError:
            pytest.fail("three intervals passed and nothing was swept")
        assert rows(path, "SELECT count(*) FROM executions") == [(0,)]


@pytest.fixture(params=["Europe/Berlin", "CET-1CEST,M3.5.0,M10.5.0/3", "UTC"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    known = Path("/usr/share/zoneinfo/Europe/Berlin").exists()  # a name that is not known means UTC
    need(
        None if known or "/" not in request.param else f"the zone {request.param} is not known",
        "apt-get install tzdata",
    )
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


NIGHTS = {"the hour comes twice": "2026-10-25T00:30:00", "the hour is left out": "2027-03-28T00:30:00"}


@pytest.mark.parametrize("night", NIGHTS.values(), ids=NIGHTS.keys())
async def test_the_nights_when_the_hour_changes_are_nights_like_others(path: Path, zone: str, night: str) -> None:
    begin = datetime.fromisoformat(night).replace(tzinfo=UTC)
    clock = ManualClock(round(begin.timestamp() * 1000))
    local_before, local_after = time.localtime(clock.now() / 1000), time.localtime(clock.now() / 1000 + HOUR)
    moved = local_before.tm_isdst != local_after.tm_isdst
    assert moved == (zone != "UTC"), "the harness: it is that night"
    async with ExecutionStore(database=path, clock=clock, ttl_seconds=2 * HOUR) as store:
        record = await store.create_execution()
        ended = await store.create_execution()
        await store.set_completed(ended.execution_id, None)
        pending = await store.set_interaction_required(record.execution_id, TEXT, timeout=HOUR)
        clock.step(HOUR - 0.001)
        assert await store.cleanup_expired() == 0
        await store.set_running(
            (await store.create_execution()).execution_id
        )  # a write, so that a deadline due is seen
        assert record.status == "interaction_required"
        clock.step(0.001)
        with pytest.raises(InteractionExpired):
            await pending.future
        clock.step(HOUR - 0.001)
        assert await store.cleanup_expired() == 0
        clock.step(0.001)
        assert await store.cleanup_expired() == 1
    told = rows(path, "SELECT at, at_ms FROM execution_history ORDER BY sequence")
    assert told[0][0] == f"{night}.000Z", "UTC, and said so"
    assert all(earlier <= later for earlier, later in itertools.pairwise(at for at, _ in told))
    for at, at_ms in told:
        assert round(datetime.fromisoformat(at).timestamp() * 1000) == at_ms


def test_the_machines_clock_is_utc_whatever_the_zone(zone: str) -> None:
    before = time.time_ns() // 1_000_000
    now = SystemClock().now()
    assert before <= now <= time.time_ns() // 1_000_000
    assert abs(now - datetime.now(UTC).timestamp() * 1000) < 60_000
