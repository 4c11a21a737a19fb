"""Clients that are slow on purpose: bodies that are long to read, requests without an end, streams that nobody takes."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from faults import slow_bodies
from faults.slow_bodies import Served, watched
from restpoint.http.connections import ConnectionLimits
from restpoint.http.json_bodies import BodyLimits, parse
from restpoint.http.problems import Problem
from schema_cases import hold_to_its_document
from support import PATIENCE

MEBIBYTE = 1024 * 1024
DESCRIPTORS = 224  # of which the server keeps 80 connections
HALF = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: "
TAKEN = {
    "text", "letters of three bytes", "escaped letters", "escaped quotes", "backslashes", "digits behind the point",
}  # fmt: skip


def expected(name: str) -> str:
    if name == "half an escape":
        return "malformed_json"
    taken = name in TAKEN - {"digits behind the point"} or name == "depth of 99, often" or "within the limit" in name
    return "ok" if taken else "body_too_complex"


async def test_a_body_that_was_built_to_be_slow_is_refused_before_it_is_parsed_or_is_quick() -> None:
    outcomes: dict[str, str] = {}
    for name, body in slow_bodies.bodies():
        try:
            await parse(body, BodyLimits())
            outcomes[name] = "ok"
        except Problem as problem:
            outcomes[name] = problem.code
    assert outcomes == {name: expected(name) for name in outcomes}
    assert len(outcomes) > 20


@contextmanager
def half_open(port: int, count: int) -> Iterator[list[socket.socket]]:
    """So many connections, each with half a request."""
    with ExitStack() as opened:
        made = []
        for _ in range(count):
            connection = opened.enter_context(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE))
            connection.sendall(HALF)
            made.append(connection)
        yield made


def healthy(served: Served) -> float:
    """Ask for the health on a new connection. Returns the seconds that took."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", served.port), timeout=PATIENCE) as asking:
        asking.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert asking.makefile("rb").readline() == b"HTTP/1.1 200 OK\r\n"
    return time.monotonic() - began


def test_half_open_requests_beyond_the_limit_of_open_files_do_not_make_the_server_deaf(tmp_path: Path) -> None:
    with watched(tmp_path / "app.db", ConnectionLimits(), DESCRIPTORS) as served:
        with half_open(served.port, 2 * DESCRIPTORS):
            healthy(served)
        healthy(served)


@pytest.mark.deep
def test_no_body_and_no_case_of_the_document_holds_the_loop_for_a_quarter_of_a_second(tmp_path: Path) -> None:
    with watched(tmp_path / "app.db", ConnectionLimits()) as served:
        url = f"http://127.0.0.1:{served.port}"
        answer = httpx.post(f"{url}/v1/workflows/tick").json()["response_url"]
        served.longest()
        held: dict[str, float] = {}
        for name, body in slow_bodies.bodies():
            for workflow in ("echo", "typed", "mapped"):
                slow_bodies.send(served.port, f"/v1/workflows/{workflow}", body)
                held[f"{name}, {workflow}"] = served.longest()
        for name, body in slow_bodies.answers():
            slow_bodies.send(served.port, answer, body)
            held[f"{name}, as an answer"] = served.longest()
        for size in (1, 7, 64):
            slow_bodies.send(served.port, "/v1/workflows/echo", b'"' + b"a" * MEBIBYTE + b'"', in_chunks_of=size)
            held[f"chunks of {size} bytes"] = served.longest()
        for half in (0, 1):
            cases = hold_to_its_document(url, 200, half)
            held[f"{sum(cases.values())} cases of schemathesis"] = served.longest()
    for name, seconds in sorted(held.items(), key=lambda each: -each[1])[:12]:
        print(f"{seconds * 1000:8.1f} ms  {name}")
    assert max(held.values()) < 0.25


@pytest.mark.deep
def test_health_is_answered_within_a_second_while_half_open_requests_press_for_a_minute(tmp_path: Path) -> None:
    slowest, opened = 0.0, 0
    with watched(tmp_path / "app.db", ConnectionLimits(), DESCRIPTORS) as served:
        calm = max(healthy(served) for _ in range(200))
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with half_open(served.port, 2 * DESCRIPTORS) as made:
                opened += len(made)
                slowest = max(slowest, *(healthy(served) for _ in range(10)))
        print(
            f"\n{opened} half-open requests in a minute; the slowest /healthz took {slowest * 1000:.0f} ms, "
            f"and {calm * 1000:.0f} ms without them"
        )
    assert slowest < 1


@pytest.mark.deep
def test_streams_that_nobody_takes_cost_a_bounded_memory(tmp_path: Path) -> None:
    with watched(tmp_path / "app.db", ConnectionLimits(unread_seconds=5)) as served:
        url = f"http://127.0.0.1:{served.port}"
        place = httpx.post(f"{url}/v1/workflows/heavy?wait=60", json=100, timeout=PATIENCE).headers["location"]
        before = most = 0
        for _ in range(2):  # so that what the first readers need is there already
            before = most = served.resident()
            with ExitStack() as opened:
                readers = []
                for _ in range(6):
                    reader = opened.enter_context(socket.create_connection(("127.0.0.1", served.port)))
                    reader.sendall(f"GET {place}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                    readers.append(reader)
                for _ in range(30):
                    time.sleep(0.1)
                    most = max(most, served.resident())
                    healthy(served)
        print(f"\nSix readers that take nothing of 100 MiB each: {(most - before) / MEBIBYTE:.0f} MiB more")
    assert most - before < 48 * MEBIBYTE
