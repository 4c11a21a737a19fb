"""Spans: one trace for an execution, whatever processes it lives through; nothing where nobody traces."""

import asyncio
import json
import signal
import subprocess
import sys
import timeit
from contextlib import suppress
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from restpoint._core import tracing
from support import PATIENCE, variables

PARENT = f"00-{'a' * 32}-{'b' * 16}-01"

# Both halves of an execution that a restart cut in two: each a program with a tracer provider of its own.
TRACED = """
import json, os, signal, sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, ConsoleSpanExporter
from restpoint._core import tracing

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(
    out=sys.stdout, formatter=lambda span: json.dumps(json.loads(span.to_json())) + "\\n")))
trace.set_tracer_provider(provider)
"""
FIRST = """
with tracing.start_span("refund") as start:
    stored = start.carrier
print(json.dumps({"stored": stored}), flush=True)
with tracing.run_span("refund", "e1", stored):
    with tracing.step_span("quote"):
        pass
    os.kill(os.getpid(), signal.SIGKILL)
"""
SECOND = """
with tracing.run_span("refund", "e1", json.loads(sys.argv[1])):
    tracing.wait_span("interaction", "w1", 1_000_000_000, outcome="answered")
"""


def finished(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in exporter.get_finished_spans()}


def trace_id(span: ReadableSpan) -> int:
    assert span.context is not None
    return int(span.context.trace_id)


def parent_of(span: ReadableSpan) -> int | None:
    return None if span.parent is None else span.parent.span_id


def span_id(span: ReadableSpan) -> int:
    assert span.context is not None
    return int(span.context.span_id)


def python(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", program, *arguments]
    return subprocess.run(command, env=variables(), capture_output=True, text=True, timeout=PATIENCE, check=False)


def test_the_trace_goes_on_in_the_process_after_the_one_that_was_killed() -> None:
    first = python(TRACED + FIRST)
    assert first.returncode == -signal.SIGKILL, first.stderr
    start, told, step = map(json.loads, first.stdout.splitlines())
    assert [start["name"], step["name"]] == ["start refund", "step quote"]  # the run itself died with its process

    second = python(TRACED + SECOND, json.dumps(told["stored"]))
    assert second.returncode == 0, second.stderr
    wait, run = map(json.loads, second.stdout.splitlines())
    assert [wait["name"], run["name"]] == ["wait interaction", "workflow refund"]
    assert {each["context"]["trace_id"] for each in (start, step, wait, run)} == {start["context"]["trace_id"]}
    # Of the start, which was told at once: the run that asked is told by nobody.
    assert wait["parent_id"] == run["parent_id"] == start["context"]["span_id"]
    assert wait["start_time"] == "1970-01-01T00:00:01.000000Z"


def test_the_start_belongs_to_the_request_that_it_is_made_in(exporter: InMemorySpanExporter) -> None:
    with trace.get_tracer("application").start_as_current_span("request"), tracing.start_span("refund") as start:
        assert tracing.carrier() == start.carrier
    spans = finished(exporter)
    assert parent_of(spans["start refund"]) == span_id(spans["request"])
    assert start.carrier["traceparent"].split("-")[2] == f"{span_id(spans['start refund']):016x}"
    assert spans["start refund"].kind == SpanKind.PRODUCER


def test_the_start_belongs_to_the_trace_of_the_caller_where_nothing_here_is_around_it(
    exporter: InMemorySpanExporter,
) -> None:
    with tracing.start_span("refund", {"TraceParent": PARENT, "tracestate": "vendor=1"}) as start:
        pass
    (span,) = exporter.get_finished_spans()
    assert trace_id(span) == int("a" * 32, 16)
    assert parent_of(span) == int("b" * 16, 16)
    assert start.carrier["tracestate"] == "vendor=1"


def test_the_run_belongs_to_what_is_stored_and_not_to_what_happens_to_be_around_it(
    exporter: InMemorySpanExporter,
) -> None:
    with trace.get_tracer("application").start_as_current_span("another request"):
        for wait_id, carrier in {"w1": {"traceparent": PARENT}, "w2": {}}.items():
            with tracing.run_span("refund", "e1", carrier):
                tracing.wait_span("consent", wait_id, 1)
    another, *_ = (span for span in exporter.get_finished_spans() if span.name == "another request")
    runs = [span for span in exporter.get_finished_spans() if span.name == "workflow refund"]
    waits = [span for span in exporter.get_finished_spans() if span.name == "wait consent"]
    assert [parent_of(span) for span in runs] == [int("b" * 16, 16), None]
    assert trace_id(another) not in {trace_id(span) for span in runs}
    # Where nothing was stored, the pause belongs to the run that it ended in.
    assert [parent_of(span) for span in waits] == [int("b" * 16, 16), span_id(runs[1])]
    assert all(span.attributes and span.attributes["restpoint.execution_id"] == "e1" for span in runs)


async def test_steps_belong_to_their_run_also_in_a_thread_and_beside_other_runs(exporter: InMemorySpanExporter) -> None:
    def work(name: str) -> None:
        with tracing.step_span(name, attempt=2):
            pass

    async def run(name: str) -> None:
        with tracing.run_span(name, name, None):
            await asyncio.gather(asyncio.to_thread(work, f"{name} 1"), asyncio.to_thread(work, f"{name} 2"))

    await asyncio.gather(run("a"), run("b"))
    spans = finished(exporter)
    for name in "ab":
        for number in (1, 2):
            assert parent_of(spans[f"step {name} {number}"]) == span_id(spans[f"workflow {name}"])
    assert spans["step a 1"].attributes == {"restpoint.step": "a 1", "restpoint.attempt": 2}


def test_an_error_is_told_by_its_type_and_never_by_its_message(exporter: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="secret"), tracing.run_span("refund", "e1", None):
        raise ValueError("a secret")
    (span,) = exporter.get_finished_spans()
    assert span.status.status_code == StatusCode.ERROR
    assert span.attributes is not None
    assert span.attributes["error.type"] == "ValueError"
    assert "secret" not in span.to_json()


def test_a_cancelled_run_has_not_failed(exporter: InMemorySpanExporter) -> None:
    with suppress(asyncio.CancelledError), tracing.run_span("refund", "e1", None) as run:
        run.annotate(outcome="paused")
        raise asyncio.CancelledError
    (span,) = exporter.get_finished_spans()
    assert span.status.status_code == StatusCode.UNSET
    assert span.attributes is not None
    assert span.attributes["restpoint.outcome"] == "paused"


def test_after_a_span_all_is_as_before_it(exporter: InMemorySpanExporter) -> None:
    with tracing.run_span("outer", "e1", {"traceparent": PARENT}):
        before = tracing.ids()
        with tracing.run_span("inner", "e2", None):
            assert tracing.ids() != before
        assert tracing.ids() == before
        tracing.wait_span("sleep", "w1", 5, ended_at_ns=4)  # by a clock that was set back
    assert tracing.ids() is None
    spans = finished(exporter)
    assert parent_of(spans["wait sleep"]) == int("b" * 16, 16)
    assert (spans["wait sleep"].start_time, spans["wait sleep"].end_time) == (5, 5)


def test_a_wait_is_told_once_by_a_process_and_only_so_many_are_remembered(
    exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing, "_MOST_RECORDED", 2)
    with tracing.run_span("refund", "e1", None):
        for wait_id in ("w1", "w1", "w2", "w2", "w3", "w1"):
            tracing.wait_span("interaction", wait_id, 1)
    *waits, _ = exporter.get_finished_spans()
    assert [span.attributes and span.attributes["restpoint.wait.id"] for span in waits] == ["w1", "w2", "w3", "w1"]
    assert len(tracing._recorded) == 2


@pytest.mark.parametrize(
    "headers",
    [
        {"traceparent": "00-" + "0" * 32 + "-" + "b" * 16 + "-01"},
        {"traceparent": "ff-" + "a" * 32 + "-" + "b" * 16 + "-01"},
        {"traceparent": PARENT.upper()},
        {"traceparent": PARENT + "-more"},
        {"traceparent": "'; DROP TABLE runs; --"},
        {"tracestate": "vendor=1"},
        {},
        None,
    ],
)
def test_what_is_no_trace_context_is_not_stored(headers: dict[str, str] | None) -> None:
    assert tracing.accepted(headers) == {}
    with tracing.start_span("refund", headers) as start:
        assert start.carrier == {}


def test_of_a_trace_context_nothing_else_is_stored() -> None:
    sent = {"Traceparent": PARENT, "tracestate": "x" * 513, "baggage": "user=ada", "cookie": "secret"}
    assert tracing.accepted(sent) == {"traceparent": PARENT}


def test_a_process_that_does_not_trace_hands_the_trace_on() -> None:
    with tracing.start_span("refund", {"traceparent": PARENT}) as start:
        assert start.carrier == {"traceparent": PARENT}
        with tracing.run_span("refund", "e1", start.carrier) as run, tracing.step_span("quote"):
            run.annotate(outcome="paused")
            tracing.wait_span("interaction", "w1", 1)
        assert tracing.carrier() == {}


WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "opentelemetry":
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Missing())
from restpoint import logs
from restpoint._core import tracing
with tracing.start_span("refund", {"traceparent": sys.argv[1]}) as start:
    with tracing.run_span("refund", "e1", start.carrier), tracing.step_span("quote"):
        tracing.wait_span("interaction", "w1", 1)
print(start.carrier, tracing.carrier(), tracing.ids())
"""


def test_without_opentelemetry_all_of_it_does_nothing() -> None:
    done = python(WITHOUT, PARENT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"{{'traceparent': '{PARENT}'}} {{}} None"


def test_importing_restpoint_does_not_import_opentelemetry() -> None:
    done = python(
        "import sys, restpoint._store.store, restpoint._core.tracing, restpoint.logs; print('opentelemetry' in sys.modules)"
    )
    assert done.stdout.strip() == "False", done.stderr


def test_where_nobody_traces_a_span_costs_next_to_nothing() -> None:
    def one() -> Any:
        with tracing.step_span("quote"):
            pass

    assert min(timeit.repeat(one, number=1_000, repeat=5)) / 1_000 < 20e-6  # measured 1.3 us; far from flaky
