"""The log: one line for each record, which says what it is about and cannot be forged."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from restpoint import logs

log = logging.getLogger("restpoint.test")


@contextmanager
def output(formatter: logging.Formatter) -> Iterator[io.StringIO]:
    """What a handler of an application writes that was set up as the module says."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(formatter)
    handler.addFilter(logs.ContextFilter())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield written
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def fail(error: Exception) -> None:
    raise error


def lines(written: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


def test_a_line_says_when_how_bad_who_what_and_about_which_execution() -> None:
    before = datetime.now(UTC)
    with output(logs.JSONFormatter()) as written, logs.about(execution_id="e1", workflow="refund", owner=None):
        log.warning("attempt %d failed", 2, extra={"attempt": 2})
    (line,) = lines(written)
    instant = datetime.fromisoformat(line.pop("time"))
    assert abs((instant - before).total_seconds()) < 60
    assert instant.utcoffset() is not None
    assert line == {
        "level": "warning",
        "logger": "restpoint.test",
        "message": "attempt 2 failed",
        "execution_id": "e1",
        "workflow": "refund",
        "attempt": 2,
    }


def test_what_it_is_about_ends_with_the_block_also_after_an_error() -> None:
    with output(logs.JSONFormatter()) as written:
        with logs.about(execution_id="e1"):
            with suppress(ZeroDivisionError), logs.about(step="quote"):
                log.info("inner")
                fail(ZeroDivisionError())
            log.info("outer")
        log.info("outside")
    inner, outer, outside = lines(written)
    assert (inner["execution_id"], inner["step"]) == ("e1", "quote")
    assert outer["execution_id"] == "e1"
    assert "step" not in outer
    assert "execution_id" not in outside


async def test_lines_of_executions_that_run_at_once_are_told_apart_in_tasks_and_threads() -> None:
    everyone = asyncio.Barrier(10)

    async def run(name: str) -> None:
        with logs.about(execution_id=name):
            await everyone.wait()
            await asyncio.create_task(inner(name))
            await asyncio.to_thread(log.info, name)

    async def inner(name: str) -> None:
        await everyone.wait()
        logging.getLogger("somebody.elses.library").info(name)

    with output(logs.JSONFormatter()) as written:
        await asyncio.gather(*(run(f"e{number}") for number in range(10)))
    found = lines(written)
    assert len(found) == 20
    assert all(line["message"] == line["execution_id"] for line in found)


async def test_a_stream_that_is_closed_by_another_task_does_no_harm() -> None:
    async def stream() -> Any:
        with logs.about(execution_id="e1"):
            yield 1
            yield 2

    opened = stream()
    await asyncio.create_task(anext(opened))
    await asyncio.create_task(opened.aclose())
    assert logs.context() == {}


def test_what_is_no_json_is_told_as_text() -> None:
    with output(logs.JSONFormatter()) as written:
        log.info("odd", extra={"when": datetime(2026, 1, 2, tzinfo=UTC), "text": "\ud800\n"})
        log.info("odder", extra={"number": float("nan")})
    odd, odder = lines(written)
    assert odd["when"] == "2026-01-02 00:00:00+00:00"
    assert odd["text"] == "\ud800\n"
    assert odder["number"] == "nan"


def test_an_extra_cannot_pretend_to_be_the_level_or_the_time() -> None:
    with output(logs.JSONFormatter()) as written:
        log.info("x", extra={"level": "critical", "time": "never", "logger": "root"})
    (line,) = lines(written)
    assert line["level"] == "info"
    assert line["time"] != "never"
    assert line["logger"] == "restpoint.test"


def test_a_traceback_is_in_the_line() -> None:
    with output(logs.JSONFormatter()) as written:
        try:
            fail(LookupError("nothing there"))
        except LookupError:
            log.exception("it failed")
    (line,) = lines(written)
    assert line["message"] == "it failed"
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("LookupError: nothing there")


@pytest.mark.parametrize("formatter", [logs.JSONFormatter(), logs.TextFormatter()])
def test_nothing_that_was_said_to_us_can_forge_a_line(formatter: logging.Formatter) -> None:
    forged = "2026-01-01T00:00:00.000Z ERROR   restpoint: stolen"
    with output(formatter) as written, logs.about(execution_id=f"e1\n{forged}"):
        log.info("no such id: %s", f"x\r\n{forged}\x1b[2J\u2028{forged}")
        try:
            fail(ValueError(f"x\n{forged}"))
        except ValueError:
            log.exception("it failed")
    text = written.getvalue()
    assert not [line for line in text.split("\n") if line.startswith(forged)]
    assert "\x1b" not in text
    assert "\u2028" not in text
    assert "\r" not in text


def test_text_for_people_has_the_same() -> None:
    with output(logs.TextFormatter()) as written, logs.about(execution_id="e1", workflow="my refund"):
        log.warning("it waits")
    line = written.getvalue()
    assert line.endswith('WARNING restpoint.test: it waits execution_id=e1 workflow="my refund"\n')


def test_the_access_log_has_no_query() -> None:
    with output(logs.TextFormatter()) as written:
        logging.getLogger("uvicorn.access").info(
            '%s - "%s %s HTTP/%s" %d', "127.0.0.1:5", "GET", "/auth/redirect?code=canary&state=canary", "1.1", 200
        )
    assert "GET /auth/redirect HTTP/1.1" in written.getvalue()
    assert "canary" not in written.getvalue()


def test_a_line_within_a_span_names_its_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", TracerProvider())
    with output(logs.JSONFormatter()) as written, trace.get_tracer("x").start_as_current_span("x") as span:
        log.info("inside")
    (line,) = lines(written)
    assert line["trace_id"] == f"{span.get_span_context().trace_id:032x}"
    assert line["span_id"] == f"{span.get_span_context().span_id:016x}"


@pytest.mark.parametrize("json_lines", [True, False])
def test_a_program_of_ours_sets_all_up_with_one_call(*, json_lines: bool) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    written = io.StringIO()
    try:
        root.handlers.clear()  # pytest's own, which setup would close
        logs.setup(json=json_lines, level="DEBUG", stream=written)
        with logs.about(execution_id="e1"):
            log.debug("hello")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    (line,) = written.getvalue().splitlines()
    assert (json.loads(line)["execution_id"] == "e1") if json_lines else line.endswith("hello execution_id=e1")
