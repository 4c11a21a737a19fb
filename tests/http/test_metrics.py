"""The metrics: what Prometheus reads is what happened here and what is in the file."""

import asyncio
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from prometheus_client.parser import text_string_to_metric_families

from restpoint import ExecutionStore, Runner
from restpoint._storage import counts
from restpoint.errors import ExecutionNotFound, StorageError
from restpoint.http import metrics as module
from restpoint.http.metrics import Metrics
from support import ADA, TEXT, ManualClock, sql


async def read(metrics: Metrics) -> dict[str, float]:
    """Each series with its value, as Prometheus' own parser understands the text."""
    found = {}
    for family in text_string_to_metric_families((await metrics.text()).decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


@pytest.fixture(autouse=True)
def always_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FRESH_SECONDS", -1.0)


@pytest.fixture
def metrics(store: ExecutionStore) -> Iterator[Metrics]:
    made = Metrics(store)
    yield made
    made.close()


async def test_each_transition_is_counted_by_its_event(store: ExecutionStore, metrics: Metrics) -> None:
    record, *_ = [await store.create_execution() for _ in range(3)]
    pending = await store.set_interaction_required(record.execution_id, TEXT)
    await store.resolve_interaction(record.execution_id, pending.interaction_id, ADA)
    await store.resolve_interaction(record.execution_id, pending.interaction_id, ADA)  # a retry is no transition
    await store.set_completed(record.execution_id, None)
    with pytest.raises(ExecutionNotFound):
        await store.set_completed("absent", None)
    found = await read(metrics)
    assert {name: value for name, value in found.items() if name.startswith("restpoint_transitions")} == {
        "restpoint_transitions_total{event=execution_created}": 3,
        "restpoint_transitions_total{event=interaction_asked}": 1,
        "restpoint_transitions_total{event=interaction_answered}": 1,
        "restpoint_transitions_total{event=execution_completed}": 1,
    }


async def test_open_waits_are_counted_by_kind_with_the_age_of_the_oldest(
    store: ExecutionStore, metrics: Metrics, clock: ManualClock
) -> None:
    records = [await store.create_execution() for _ in range(3)]
    first = await store.set_interaction_required(records[0].execution_id, TEXT, timeout=3600)
    clock.step(10)
    await store.set_interaction_required(records[1].execution_id, TEXT, timeout=60)
    clock.step(20)
    await store.set_oauth_required(records[2].execution_id, "https://example.org", "state")
    clock.step(5)
    found = await read(metrics)
    assert found["restpoint_open_waits{kind=interaction}"] == 2
    assert found["restpoint_oldest_open_wait_seconds{kind=interaction}"] == 35
    assert found["restpoint_open_waits{kind=consent}"] == 1
    assert found["restpoint_oldest_open_wait_seconds{kind=consent}"] == 5

    await store.resolve_interaction(records[0].execution_id, first.interaction_id, ADA)
    await store.set_running(records[2].execution_id)
    found = await read(metrics)
    assert found["restpoint_oldest_open_wait_seconds{kind=interaction}"] == 25
    assert found["restpoint_open_waits{kind=consent}"] == 0
    assert found["restpoint_oldest_open_wait_seconds{kind=consent}"] == 0


async def test_what_another_process_put_into_the_file_is_counted_in_the_file_and_not_as_done_here(
    store: ExecutionStore, metrics: Metrics, path: Path, clock: ManualClock
) -> None:
    async with ExecutionStore(database=path, clock=clock) as other:
        record = await other.create_execution()
        await other.set_interaction_required(record.execution_id, TEXT)
    found = await read(metrics)
    assert found["restpoint_open_waits{kind=interaction}"] == 1
    assert not [name for name in found if name.startswith("restpoint_transitions_total{")]


async def test_writes_that_are_asked_for_at_once_are_one_batch(store: ExecutionStore, metrics: Metrics) -> None:
    record = await store.create_execution()  # with the lease of this process, in batches of their own
    before = await read(metrics)
    await asyncio.gather(*(store.hold(record.execution_id, str(number)) for number in range(30)))
    after = await read(metrics)
    count, jobs = "restpoint_commit_batch_jobs_count", "restpoint_commit_batch_jobs_sum"
    assert after[count] - before[count] == 1
    assert after[jobs] - before[jobs] == 30
    assert after["restpoint_commit_seconds_count"] == after[count]
    assert 0 < after["restpoint_commit_seconds_sum"] - before["restpoint_commit_seconds_sum"] < 60
    assert after["restpoint_storage_failures_total"] == 0


async def test_a_write_that_the_storage_fails_is_counted_and_a_refusal_is_not(
    store: ExecutionStore, metrics: Metrics, path: Path
) -> None:
    record = await store.create_execution()
    with pytest.raises(ExecutionNotFound):
        await store.hold("absent", "why")
    assert (await read(metrics))["restpoint_storage_failures_total"] == 0
    with sql(path) as connection:
        connection.execute("CREATE TRIGGER broken BEFORE UPDATE ON executions BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(StorageError):
        await store.hold(record.execution_id, "why")
    assert (await read(metrics))["restpoint_storage_failures_total"] == 1


async def test_the_sweep_is_counted_and_dated(store: ExecutionStore, metrics: Metrics, clock: ManualClock) -> None:
    found = await read(metrics)
    assert found["restpoint_swept_executions_total"] == 0
    assert "restpoint_last_sweep_timestamp_seconds" not in found
    for _ in range(3):
        record = await store.create_execution()
        await store.set_completed(record.execution_id, None)
    clock.step(3600)
    await store.cleanup_expired()
    found = await read(metrics)
    assert found["restpoint_swept_executions_total"] == 3
    assert found["restpoint_last_sweep_timestamp_seconds"] == clock.now() / 1000


async def test_a_runner_tells_what_it_has(store: ExecutionStore) -> None:
    class Counts:
        running = 2
        paused_in_memory = 5
        queued = 1

    metrics = Metrics(store, cast("Runner", Counts()))
    found = await read(metrics)
    metrics.close()
    told = {name: value for name, value in found.items() if name.startswith("restpoint_runner_executions")}
    assert told == {
        "restpoint_runner_executions{state=running}": 2,
        "restpoint_runner_executions{state=paused_in_memory}": 5,
        "restpoint_runner_executions{state=queued}": 1,
    }


async def test_runs_are_counted_by_state(store: ExecutionStore, metrics: Metrics, path: Path) -> None:
    states = [(0, 7, None), (0, 7, None), (1, None, None), (0, None, "no such workflow"), (0, None, None)]
    for ready, lease, problem in states:
        record = await store.create_execution()
        with sql(path) as connection:
            connection.execute(
                "UPDATE executions SET ready = ?, lease = ?, problem = ? WHERE id = ?",
                (ready, lease, problem, record.execution_id),
            )
    found = await read(metrics)
    told = {state: found[f"restpoint_runs{{state={state}}}"] for state in ("claimed", "ready", "problem")}
    assert told == {"claimed": 2, "ready": 1, "problem": 1}


async def test_two_applications_in_one_process_count_for_themselves(
    store: ExecutionStore, metrics: Metrics, fresh: Path, tmp_path: Path
) -> None:
    shutil.copyfile(fresh, tmp_path / "other.db")
    async with ExecutionStore(database=tmp_path / "other.db") as other:
        others = Metrics(other)
        await other.create_execution()
        assert (await read(others))["restpoint_transitions_total{event=execution_created}"] == 1
        assert "restpoint_transitions_total{event=execution_created}" not in await read(metrics)


async def test_a_store_that_opens_with_its_first_use_is_counted_from_there(path: Path) -> None:
    store = ExecutionStore(database=path)
    metrics = Metrics(store)
    await store.create_execution()
    found = await read(metrics)
    await store.close()
    assert found["restpoint_commit_batch_jobs_sum"] >= 1
    assert found["restpoint_transitions_total{event=execution_created}"] == 1


async def test_after_close_nothing_is_counted(store: ExecutionStore, metrics: Metrics) -> None:
    await store.create_execution()
    before = await read(metrics)
    metrics.close()
    metrics.close()
    await store.create_execution()
    after = await read(metrics)
    for name in ("restpoint_commit_batch_jobs_count", "restpoint_transitions_total{event=execution_created}"):
        assert after[name] == before[name]


async def test_where_the_file_cannot_be_read_the_rest_is_told(store: ExecutionStore, metrics: Metrics) -> None:
    await store.create_execution()
    assert (await read(metrics))["restpoint_file_up"] == 1
    await store.close()
    found = await read(metrics)
    assert found["restpoint_file_up"] == 0
    assert found["restpoint_transitions_total{event=execution_created}"] == 1
    assert "restpoint_open_waits{kind=interaction}" not in found


async def test_who_asks_all_the_time_does_not_make_it_read_all_the_time(
    store: ExecutionStore, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FRESH_SECONDS", 3600.0)
    counted = 0
    count = store.gauges

    async def counting() -> counts.Gauges:
        nonlocal counted
        counted += 1
        return await count()

    monkeypatch.setattr(store, "gauges", counting)
    await asyncio.gather(*(metrics.text() for _ in range(10)))
    assert counted == 1


async def test_no_id_is_told(store: ExecutionStore, metrics: Metrics) -> None:
    record = await store.create_execution(workflow="canary", owner="canary")
    pending = await store.set_interaction_required(record.execution_id, TEXT, "canary")
    text = (await metrics.text()).decode()
    assert record.execution_id not in text
    assert pending.interaction_id not in text


def test_an_observer_that_fails_does_not_stop_the_writes(
    fresh: Path, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    async def write() -> str:
        shutil.copyfile(fresh, path)
        async with ExecutionStore(database=path) as store:
            store.observe(fail)
            return (await store.create_execution()).execution_id

    assert asyncio.run(write())
    assert "could not be observed" in caplog.text


def test_counting_reads_live_rows_only(fresh: Path) -> None:
    """Whatever has ended, the plan walks partial indexes; the one row that is looked up is found by its key."""
    connection = sqlite3.connect(fresh)
    plan = [detail for *_, detail in connection.execute(f"EXPLAIN QUERY PLAN {counts.COUNT}")]
    connection.close()
    reads = [line for line in plan if line.startswith(("SCAN", "SEARCH")) and "anon_" not in line]
    indexes = ("claimed", "ready", "with_a_problem")
    notices = ("outbox_due", "outbox_leased", "outbox_given_up")
    live = ("interactions_open_of_execution", "consents_open", *(f"executions_{name}" for name in indexes), *notices)
    assert {name for name in live for line in reads if f"INDEX {name}" in line} == set(live)
    assert [line for line in reads if not any(f"INDEX {name}" in line for name in live)] == [
        "SEARCH interactions_1 USING INTEGER PRIMARY KEY (rowid=?)",
        "SEARCH consents_1 USING INTEGER PRIMARY KEY (rowid=?)",
        "SCAN routes",
    ]
