"""The connections of the server: a client that keeps one waiting loses it, and many that do cannot make the server deaf."""

import asyncio
import json
import logging
import resource
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

from restpoint.http import connections, requests
from restpoint.http.connections import ConnectionLimits, OncePerSecond, most_connections
from serving import asked, make_app, served, served_within
from support import PATIENCE

SHORT = ConnectionLimits(head_seconds=0.05, unread_seconds=0.05, look_seconds=0.01)


class Line:
    """A connection of which a test sends and reads the bytes itself."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    @asynccontextmanager
    async def dribbling(self) -> AsyncIterator[None]:
        """A byte now and then, in the background."""

        async def dribble() -> None:
            while True:
                self.send(b"1")
                await asyncio.sleep(0.005)

        sending = asyncio.create_task(dribble())
        try:
            yield
        finally:
            sending.cancel()

    async def rest(self) -> bytes:
        """What the server sends until it closes the connection."""
        async with asyncio.timeout(PATIENCE):
            try:
                return await self._reader.read()
            except ConnectionResetError:
                return b""

    async def head(self) -> bytes:
        """The head of one reply."""
        async with asyncio.timeout(PATIENCE):
            return await self._reader.readuntil(b"\r\n\r\n")


@asynccontextmanager
async def line(client: httpx.AsyncClient) -> AsyncIterator[Line]:
    reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    try:
        yield Line(reader, writer)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def test_the_head_of_a_request_that_does_not_end_is_answered_with_408(file: Path) -> None:
    async with served_within(SHORT, make_app(file)) as client, line(client) as sent:
        sent.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ")
        reply = await sent.rest()
    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert b"connection: close" in head
    assert json.loads(body)["code"] == "request_timeout"


async def test_a_connection_that_sends_nothing_is_closed_without_a_word(file: Path) -> None:
    async with served_within(SHORT, make_app(file)) as client, line(client) as sent:
        assert await sent.rest() == b""


async def test_a_head_that_comes_byte_by_byte_gets_no_more_time(file: Path) -> None:
    async with served_within(SHORT, make_app(file)) as client, line(client) as sent:
        sent.send(b"GET /healthz HTTP/1.1\r\n")
        async with sent.dribbling():
            await sent.rest()  # ends; what it was told is lost where it sends on after the close


async def test_a_long_poll_takes_as_long_as_it_likes(file: Path) -> None:
    async with served_within(SHORT, make_app(file)) as client:
        paused = await asked(client, "greet")
        reply = await client.get(paused["status_url"], params={"wait": "0.3"})
        assert reply.json()["status"] == "interaction_required"


async def test_a_body_that_does_not_arrive_is_answered_with_408(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "BODY_SECONDS", 0.05)
    async with served(make_app(file)) as client, line(client) as sent:
        sent.send(b"POST /v1/workflows/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n[1,")
        reply = await sent.rest()
        assert reply.startswith(b"HTTP/1.1 408 ")
        assert not (await client.get("/executions")).json()["items"]


async def test_who_has_an_answer_already_cannot_send_a_body_for_ever(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "BODY_SECONDS", -10.0)
    async with served_within(SHORT, make_app(file)) as client, line(client) as sent:
        sent.send(b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n[1,")
        assert (await sent.head()).startswith(b"HTTP/1.1 404 ")
        async with sent.dribbling():
            await sent.rest()  # ends


async def test_a_new_connection_takes_the_place_of_the_one_that_has_waited_longest(file: Path) -> None:
    async with served_within(ConnectionLimits(8), make_app(file)) as client:
        assert (await client.get("/healthz")).status_code == 200  # keeps its connection, the eldest
        async with line(client) as first, line(client) as second:
            for each in (first, second):
                each.send(b"GET /healthz HTTP/1.1\r\nX: ")
            others = [line(client) for _ in range(7)]
            for other in others:
                await other.__aenter__()
            assert await first.rest() == b""
            assert (await client.get("/healthz")).status_code == 200
            assert await second.rest() == b""
            for other in others:
                await other.__aexit__(None, None, None)


async def test_where_every_connection_has_a_request_under_way_a_new_one_is_told_so(file: Path) -> None:
    async with served_within(ConnectionLimits(8), make_app(file)) as client:
        paused = await asked(client, "greet")
        async with asyncio.TaskGroup() as tasks:
            streams = [client.stream("GET", f"/executions/{paused['execution_id']}/events") for _ in range(8)]
            for stream in streams:
                await stream.__aenter__()
            async with line(client) as late:
                reply = await late.rest()
            assert reply.startswith(b"HTTP/1.1 503 ")
            assert b"retry-after: 1" in reply
            for stream in streams:
                tasks.create_task(stream.__aexit__(None, None, None))


async def test_a_client_that_takes_nothing_of_its_reply_is_dropped(file: Path) -> None:
    # On a server that is patient: the reply to the start may have it all, which takes longer than this client would be given.
    async with served(make_app(file)) as patient:
        started = await patient.post("/v1/workflows/echo", json="a" * 4_000_000)
        location = started.headers["location"]
    async with served_within(SHORT, make_app(file)) as client, line(client) as deaf:
        ask = b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % location.encode()
        deaf.send(ask * 4)  # more than the kernel's buffers take
        await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE):
            while not deaf.writer.transport.is_closing():
                await asyncio.sleep(0.01)
                deaf.send(b"X")  # learns of a reset when it sends


def test_the_limit_of_connections_is_below_that_of_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 256))
    assert most_connections(1_000) == 112
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert most_connections(1_000) == 1_000


def test_a_line_that_comes_a_thousand_times_is_logged_once_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    limit = OncePerSecond()

    def passes() -> logging.LogRecord | None:
        record = logging.LogRecord("asyncio", logging.ERROR, "", 0, "no file left: %d", (5,), None)
        return record if limit.filter(record) else None

    assert [passes() is not None for _ in range(1_000)] == [True] + [False] * 999
    now[0] += 1.5
    record = passes()
    assert record is not None
    assert record.getMessage() == "no file left: 5 (999 more of these were not logged)"
