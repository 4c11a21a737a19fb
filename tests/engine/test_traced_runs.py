"""What a runner traces and logs: one trace for each execution, each pause once, over restarts of the runner."""

import asyncio
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from restpoint import Context, ExecutionStore, Runner, WorkflowFailed, logs, workflow
from restpoint._core import tracing
from runners import WAYS, answer, asked, ended, journaled, question, unloaded
from support import PATIENCE, ManualClock


@pytest.fixture(params=["held", "parked"])
def way(request: pytest.FixtureRequest) -> dict[str, Any]:
    return WAYS[request.param]


def named(exporter: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if span.name == name]


def traces(exporter: InMemorySpanExporter) -> set[int]:
    return {span.context.trace_id for span in exporter.get_finished_spans() if span.context is not None}


def attribute(span: ReadableSpan, name: str) -> Any:
    assert span.attributes is not None
    return span.attributes.get(f"restpoint.{name}")


async def test_an_execution_is_one_trace_with_each_pause_and_step_in_it_once(
    store: ExecutionStore, clock: ManualClock, exporter: InMemorySpanExporter, way: dict[str, Any]
) -> None:
    def quote() -> int:
        return 1

    @workflow
    async def refund(ctx: Context) -> str:
        await ctx.step(quote, name="quote")
        first = await ctx.ask(question("First?"))
        both = await asyncio.gather(ctx.ask(question("Left?")), ctx.ask(question("Right?")))
        await ctx.step(quote, name="quote")
        return first.text + both[0].text + both[1].text

    with trace.get_tracer("application").start_as_current_span("request"):
        began = clock.now()
        async with Runner(store, [refund], **way) as runner:
            record = (await runner.start("refund")).record
            for text in ("First?", "Left?", "Right?"):
                await asked(record, text) if text != "Left?" else await asked(record, "Left?", "Right?")
                if way["hold_paused_for"] == 0:
                    await unloaded(runner)
                clock.step(60)
                await answer(store, record, text, "x")
            await ended(record)
    assert record.result == "xxx"
    assert len(traces(exporter)) == 1
    waits = named(exporter, "wait interaction")
    assert [attribute(span, "wait.outcome") for span in waits] == ["answered"] * 3
    assert len({attribute(span, "wait.id") for span in waits}) == 3
    assert min(span.start_time or 0 for span in waits) == began * 1_000_000
    assert len(named(exporter, "step quote")) == 2
    runs = named(exporter, "workflow refund")
    assert len(runs) == 1 if way["hold_paused_for"] else len(runs) >= 3
    (start,) = named(exporter, "start refund")
    assert start.context is not None
    assert {span.parent and span.parent.span_id for span in [*runs, *waits]} == {start.context.span_id}
    assert {attribute(span, "execution_id") for span in runs} == {record.execution_id}


async def test_the_trace_goes_on_where_the_answer_came_while_nothing_ran(
    fresh: Path, path: Path, exporter: InMemorySpanExporter, way: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    @workflow
    async def refund(ctx: Context) -> str:
        return (await ctx.ask(question("First?"))).text + (await ctx.ask(question("Second?"))).text

    shutil.copyfile(fresh, path)
    async with ExecutionStore(database=path) as store, Runner(store, [refund], **way) as runner:
        record = (await runner.start("refund")).record
        await asked(record, "First?")
    for text in ("First?", "Second?"):
        monkeypatch.setattr(tracing, "_recorded", {})  # another process knows nothing of what this one told
        async with ExecutionStore(database=path) as store:
            found = await store.get(record.execution_id)
            assert found is not None
            await answer(store, found, text, "x")
            async with Runner(store, [refund], **way):
                await (asked(found, "Second?") if text == "First?" else ended(found))
    waits = named(exporter, "wait interaction")
    assert len(waits) == len({attribute(span, "wait.id") for span in waits}) == 2
    assert len(traces(exporter)) == 1


async def test_a_sleep_is_a_pause_from_its_beginning_also_over_a_restart(
    store: ExecutionStore, clock: ManualClock, path: Path, exporter: InMemorySpanExporter, way: dict[str, Any]
) -> None:
    @workflow
    async def nap(ctx: Context) -> None:
        await ctx.sleep(3600)

    began = clock.now()
    async with Runner(store, [nap], **way) as runner:
        record = (await runner.start("nap")).record
        await journaled(path, "sleep", 1)
        clock.step(1800)
    async with Runner(store, [nap], **way):
        clock.step(1801)
        await ended(record)
    (slept,) = named(exporter, "wait sleep")
    assert slept.start_time == began * 1_000_000
    assert len(traces(exporter)) == 1


async def test_a_consent_is_a_pause(store: ExecutionStore, exporter: InMemorySpanExporter, way: dict[str, Any]) -> None:
    @workflow
    async def connect(ctx: Context) -> None:
        await ctx.authorize(auth_url="https://example.org/canary", oauth_state="canary")

    async with Runner(store, [connect], **way) as runner:
        record = (await runner.start("connect")).record
        async with asyncio.timeout(PATIENCE):
            while record.status != "oauth_required":
                await record.changed()
        if way["hold_paused_for"] == 0:
            await unloaded(runner)
        await store.set_running(record.execution_id)
        await ended(record)
    assert len(named(exporter, "wait consent")) == 1
    assert not [span for span in exporter.get_finished_spans() if "canary" in span.to_json()]


async def test_a_failed_run_is_an_error_by_its_type_and_without_its_message(
    store: ExecutionStore, exporter: InMemorySpanExporter
) -> None:
    @workflow
    async def broken(ctx: Context) -> None:
        raise LookupError("canary")

    @workflow
    async def given_up(ctx: Context) -> None:
        raise WorkflowFailed("canary", code="no_money")

    async with Runner(store, [broken, given_up]) as runner:
        for name in ("broken", "given_up"):
            await ended((await runner.start(name)).record)
    failed = [*named(exporter, "workflow broken"), *named(exporter, "workflow given_up")]
    assert [span.status.status_code for span in failed] == [StatusCode.ERROR] * 2
    assert [span.status.description for span in failed] == ["LookupError", "WorkflowFailed"]
    assert not [span for span in exporter.get_finished_spans() if "canary" in span.to_json()]


async def test_what_a_workflow_logs_says_which_execution_it_is(store: ExecutionStore, way: dict[str, Any]) -> None:
    about: list[tuple[str, Any]] = []
    everyone = asyncio.Barrier(3)

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            about.append((record.getMessage(), record.about["execution_id"]))  # type: ignore[attr-defined]

    log = logging.getLogger("application")
    handler = Keep()
    handler.addFilter(logs.ContextFilter())

    def in_a_thread(name: str) -> None:
        log.warning(name)

    @workflow
    async def speak(ctx: Context) -> None:
        await everyone.wait()
        log.warning(ctx.execution_id)
        await ctx.step(in_a_thread, ctx.execution_id)

    log.addHandler(handler)
    try:
        async with Runner(store, [speak], **way) as runner:
            for record in [(await runner.start("speak")).record for _ in range(3)]:
                await ended(record)
    finally:
        log.removeHandler(handler)
    assert len(about) == 6
    assert len({said for _, said in about}) == 3
    assert all(message == said for message, said in about)
