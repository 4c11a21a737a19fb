"""The client against a real server, over a network that loses replies, and against servers that are none."""

import asyncio
import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

import serving
from restpoint.client import responses
from restpoint.client.client import POLL_SECONDS, Client
from restpoint.client.sse import StreamEvent, read_events
from restpoint.errors import (
    ExecutionNotFound,
    IdempotencyConflict,
    IllegalTransition,
    InputNotAccepted,
    InteractionAlreadyResolved,
    InteractionExpired,
    InteractionNotFound,
    InvalidArgument,
    NotAllowed,
    NotJSON,
    ResponseNotAccepted,
    RestpointError,
    ServerUnreachable,
    StorageError,
    WorkflowNotFound,
)
from restpoint.lifecycle import ExecutionStatus
from restpoint.prompts import HumanResponseText
from served import PATIENCE, TARGET, Served, served
from support import ADA, GRACE, eventually


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("server")
    (folder / "target.py").write_text(TARGET)
    with served("target.py", folder) as running:
        yield running


class Losing(httpx.AsyncHTTPTransport):
    """A network that delivers every request and loses the replies of the first ``count``."""

    def __init__(self, count: int = 1) -> None:
        super().__init__()
        self.left = count
        self.keys: list[str | None] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.keys.append(request.headers.get("idempotency-key"))
        reply = await super().handle_async_request(request)
        if self.left > 0:
            self.left -= 1
            await reply.aread()
            raise httpx.ReadError("the reply was lost", request=request)
        return reply


def every(root: type[RestpointError]) -> Iterator[type[RestpointError]]:
    yield root
    for kind in root.__subclasses__():
        yield from every(kind)


async def asked(client: Client, name: str = "Ada") -> tuple[str, str]:
    started = await client.start("greet", name)
    execution = await client.wait_until_asked(started.execution_id, timeout=PATIENCE)
    return execution.execution_id, execution.interactions[0].interaction_id


# --- The whole way ---------------------------------------------------------------------------------------------------


async def test_a_workflow_is_started_answered_and_awaited(server: Served) -> None:
    async with Client(server.url) as client:
        started = await client.start("greet", "Ada")
        execution = await client.wait_until_asked(started.execution_id, timeout=PATIENCE)
        assert (execution.status, execution.needs_someone, execution.has_ended) == ("interaction_required", True, False)
        (waiting,) = execution.interactions
        assert waiting.prompt.text == "Hello Ada?"
        await client.answer(execution.execution_id, waiting.interaction_id, HumanResponseText(text="Lovelace"))
        ended = await client.wait_until_ended(execution.execution_id, timeout=PATIENCE)
        assert (ended.status, ended.result, ended.has_ended) == (ExecutionStatus.COMPLETED, "Ada Lovelace", True)
        events = [item.event for item in await client.history(execution.execution_id)]
        assert events == ["execution_created", "interaction_asked", "interaction_answered", "execution_completed"]


async def test_a_start_that_ends_at_once_gives_its_end(server: Served) -> None:
    async with Client(server.url) as client:
        done = await client.start("echo", 7, wait=10)
        assert (done.status, done.result) == ("completed", 7)
        assert (await client.status(done.execution_id)).result == 7


@pytest_asyncio.fixture
async def here(fresh: Path, path: Path) -> AsyncIterator[str]:
    """The address of a server in this process."""
    shutil.copyfile(fresh, path)
    async with serving.served(serving.make_app(path)) as client:
        yield str(client.base_url)


async def test_a_wait_hears_of_the_end_that_another_client_brings_about(here: str, endless: Counter[float]) -> None:
    async with Client(here) as client, Client(here) as other, asyncio.timeout(PATIENCE):
        execution_id, interaction_id = await asked(client)
        endless.clear()
        waiting = asyncio.create_task(client.wait_until_ended(execution_id))
        await eventually(lambda: endless[POLL_SECONDS])
        await other.answer(execution_id, interaction_id, {"type": "text", "text": "L."})
        assert (await waiting).result == "Ada L."
    # It may hear of the answer first and ask again; a poll that hears of nothing would be given up, and made again.
    assert endless[POLL_SECONDS] <= 2


class Pausing(httpx.AsyncHTTPTransport):
    """A network that has something else happen before it delivers the first reply."""

    def __init__(self, meanwhile: Callable[[], Awaitable[object]]) -> None:
        super().__init__()
        self._meanwhile: Callable[[], Awaitable[object]] | None = meanwhile

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        reply = await super().handle_async_request(request)
        meanwhile, self._meanwhile = self._meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        return reply


async def test_a_change_between_two_polls_is_not_slept_through(here: str, endless: Counter[float]) -> None:
    async with Client(here) as other, asyncio.timeout(PATIENCE):
        execution_id = (await other.start("gated", "gate")).execution_id

        async def open_the_gate() -> None:
            serving.GATES.setdefault("gate", asyncio.Event()).set()
            while not (await other.status(execution_id)).has_ended:
                pass

        async with Client(here, transport=Pausing(open_the_gate)) as client:
            assert (await client.wait_until_ended(execution_id)).result == "gate"
    assert not endless[POLL_SECONDS], "the second poll waited, though something had changed since the first"


async def test_a_wait_that_lasts_too_long_says_so_and_the_execution_goes_on(server: Served) -> None:
    async with Client(server.url) as client:
        execution_id, _ = await asked(client)
        with pytest.raises(TimeoutError, match=execution_id):
            await client.wait_until_ended(execution_id, timeout=0.2)
        assert (await client.status(execution_id)).needs_someone


async def test_a_list_goes_over_its_pages(server: Served) -> None:
    async with Client(server.url) as client:
        made = [(await client.start("echo", number, wait=10)).execution_id for number in range(5)]
        listed = [item.execution_id async for item in client.list(workflow="echo", status="completed", page_size=2)]
        assert listed[:5] == made[::-1]
        assert [item async for item in client.list(owner="nobody at all")] == []
        assert [item async for item in client.list(status=["running", "completed"], problem=True)] == []


async def test_the_workflows_are_told_with_their_schemas(server: Served) -> None:
    async with Client(server.url) as client:
        known = {item.name: item for item in await client.workflows()}
    assert set(known) == {"chatty", "echo", "gated", "greet", "quick", "tally"}
    assert known["echo"].input_schema == {"type": "integer"}


# --- Refusals are the store's own ------------------------------------------------------------------------------------


async def test_refusals_come_as_the_errors_of_the_store(server: Served) -> None:
    async with Client(server.url) as client:
        execution_id, interaction_id = await asked(client)
        with pytest.raises(ResponseNotAccepted, match="blank"):
            await client.answer(execution_id, interaction_id, {"type": "text", "text": " "})
        with pytest.raises(InteractionNotFound) as missing:
            await client.answer(execution_id, "nothing", ADA)
        assert missing.value.interaction_id == "nothing"
        await client.answer(execution_id, interaction_id, ADA)
        await client.answer(execution_id, interaction_id, ADA)
        with pytest.raises(InteractionAlreadyResolved) as second:
            await client.answer(execution_id, interaction_id, GRACE)
        assert second.value.answered_by == "local"
        assert abs(second.value.answered_at / 1000 - time.time()) < 60  # milliseconds, as the store has it
        await client.wait_until_ended(execution_id, timeout=PATIENCE)
        with pytest.raises(IllegalTransition):
            await client.cancel(execution_id)
        with pytest.raises(ExecutionNotFound, match="never existed"):
            await client.status("nothing")
        with pytest.raises(ExecutionNotFound):
            await client.status("..")
        with pytest.raises(WorkflowNotFound, match="greet"):
            await client.start("farewell")
        with pytest.raises(InputNotAccepted, match="integer"):
            await client.start("echo", "seven")
        with pytest.raises(NotJSON):
            await client.start("echo", float("nan"))
        with pytest.raises(InvalidArgument, match="limit"):
            [item async for item in client.list(page_size=0)]


@pytest.mark.parametrize(
    "kind", sorted((kind for kind in every(RestpointError) if kind.__module__.startswith("restpoint.")), key=str)
)
def test_every_error_can_come_back_from_the_wire(kind: type[RestpointError]) -> None:
    request = httpx.Request("GET", "http://127.0.0.1/")
    body = {"status": 400, "code": kind.code, "detail": "What happened. What to do.", "answered_at": 1.5}
    error = responses.error_in(httpx.Response(400, json=body, request=request))
    assert type(error) is kind
    assert str(error) == "What happened. What to do."
    assert error.answered_at == 1500  # type: ignore[attr-defined]


async def test_an_answer_after_the_deadline_is_refused_as_expired(server: Served) -> None:
    async with Client(server.url) as client:
        started = await client.start("quick")
        execution = await client.wait_until_ended(started.execution_id, timeout=PATIENCE)
        assert (execution.status, execution.error_code) == ("failed", "interaction_expired")
        (late,) = [
            item.wait_id for item in await client.history(execution.execution_id) if item.event == "interaction_asked"
        ]
        assert late is not None
        with pytest.raises(InteractionExpired):
            await client.answer(execution.execution_id, late, ADA)


async def test_cancelling_and_removing_may_be_repeated_but_what_was_never_there_is_not_found(server: Served) -> None:
    async with Client(server.url) as client:
        execution_id, _ = await asked(client)
        with pytest.raises(IllegalTransition):
            await client.remove(execution_id)
        await client.cancel(execution_id, "a mistake")
        await client.cancel(execution_id)
        assert (await client.status(execution_id)).status == "cancelled"
        await client.remove(execution_id)
        with pytest.raises(ExecutionNotFound):
            await client.remove(execution_id)


# --- Lost replies ----------------------------------------------------------------------------------------------------


async def test_a_start_whose_reply_is_lost_starts_one_execution(server: Served) -> None:
    network = Losing(2)
    async with Client(server.url, transport=network) as client:
        started = await client.start("tally", "lost reply")
        assert len(network.keys) == 3
        assert len(set(network.keys)) == 1
        tallies = [item.execution_id async for item in client.list(workflow="tally")]
        assert tallies == [started.execution_id]


async def test_the_same_key_with_another_input_is_a_conflict(server: Served) -> None:
    async with Client(server.url) as client:
        first = await client.start("echo", 1, wait=10, idempotency_key="one key")
        again = await client.start("echo", 1, wait=10, idempotency_key="one key")
        assert first.execution_id == again.execution_id
        with pytest.raises(IdempotencyConflict):
            await client.start("echo", 2, idempotency_key="one key")


async def test_answers_cancellations_and_removals_whose_replies_are_lost_are_done_once(server: Served) -> None:
    async with Client(server.url) as plain:
        execution_id, interaction_id = await asked(plain)
        async with Client(server.url, transport=Losing()) as client:
            await client.answer(execution_id, interaction_id, ADA)
        await plain.wait_until_ended(execution_id, timeout=PATIENCE)
        answered = [item for item in await plain.history(execution_id) if item.event == "interaction_answered"]
        assert len(answered) == 1
        async with Client(server.url, transport=Losing()) as client:
            await client.remove(execution_id)
        other, _ = await asked(plain)
        async with Client(server.url, transport=Losing()) as client:
            await client.cancel(other)


async def test_a_network_that_loses_everything_is_given_up(server: Served) -> None:
    network = Losing(100)
    async with Client(server.url, transport=network, attempts=3) as client:
        with pytest.raises(ServerUnreachable, match="the reply was lost"):
            await client.workflows()
    assert network.left == 97


# --- Servers that are busy, or none ----------------------------------------------------------------------------------


@asynccontextmanager
async def answering(*replies_in_turn: str) -> AsyncIterator[tuple[str, list[float]]]:
    """A server that gives these replies, the last one again and again, and notes when it was asked."""
    left, times = list(replies_in_turn), []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        times.append(time.monotonic())
        writer.write((left.pop(0) if len(left) > 1 else left[0]).replace("\n", "\r\n").encode())
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", times


BUSY = "HTTP/1.1 503 Service Unavailable\nRetry-After: 1\nContent-Length: 0\nConnection: close\n\n"
GOOD = 'HTTP/1.1 200 OK\nContent-Length: 12\nConnection: close\n\n{"items":[]}'


async def test_a_busy_server_is_asked_again_when_it_said() -> None:
    async with answering(BUSY, GOOD) as (url, times), Client(url) as client:
        assert await client.workflows() == []
    assert times[1] - times[0] >= 1


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("7", 7, 7),
        ("999999", 30, 30),
        ("soon", 0, 0),
        ("-1", 0, 0),
        ("", 0, 0),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_bounded(text: str, least: float, most: float) -> None:
    assert least <= responses.retry_after(httpx.Response(503, headers={"retry-after": text})) <= most


def test_retry_after_as_a_date_is_the_time_until_then() -> None:
    for offset, least, most in [(1_000, 30, 30), (20, 1, 20), (-20, 0, 0)]:
        date = formatdate(time.time() + offset, usegmt=True)
        assert least <= responses.retry_after(httpx.Response(503, headers={"retry-after": date})) <= most


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        ("HTTP/1.1 200 OK\nContent-Length: 5\nConnection: close\n\nhello", ServerUnreachable),
        ('HTTP/1.1 200 OK\nContent-Length: 12\nConnection: close\n\n{"items": 7}', ServerUnreachable),
        ("HTTP/1.1 500 Oops\nContent-Length: 0\nConnection: close\n\n", ServerUnreachable),
        ("HTTP/1.1 404 Not Found\nContent-Length: 4\nConnection: close\n\nnone", RestpointError),
        ("HTTP/1.1 302 Found\nLocation: /else\nContent-Length: 0\nConnection: close\n\n", ServerUnreachable),
        ("HTTP/1.1 401 Unauthorized\nContent-Length: 0\nConnection: close\n\n", NotAllowed),
        ("this is no HTTP\n\n", ServerUnreachable),
    ],
)
async def test_what_is_no_server_of_ours_is_told_as_one_error(reply: str, kind: type[RestpointError]) -> None:
    async with answering(reply) as (url, _), Client(url, attempts=1) as client:
        with pytest.raises(kind):
            [item async for item in client.list()]


async def test_a_failing_storage_comes_as_its_own_error() -> None:
    body = '{"status":507,"code":"storage_full","detail":"The storage failed."}'
    reply = f"HTTP/1.1 507 Insufficient Storage\nContent-Length: {len(body)}\nConnection: close\n\n{body}"
    async with answering(reply) as (url, _), Client(url) as client:
        with pytest.raises(StorageError, match="The storage failed"):
            await client.status("x")


async def test_nobody_at_the_address_is_told_after_bounded_attempts() -> None:
    async with answering(GOOD) as (url, _):
        pass
    async with Client(url, attempts=2) as client:
        with pytest.raises(ServerUnreachable, match="Check the address"):
            await client.status("x")


@pytest.mark.parametrize("address", ["", "127.0.0.1:8000", "ftp://x", "http://", "http://[::1"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(InvalidArgument, match="is no address"):
        Client(address)


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "ключ"])
def test_what_is_no_token_is_refused_without_showing_it(token: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        Client("http://127.0.0.1:1", token)
    assert not token or token not in str(refused.value)


# --- Events ----------------------------------------------------------------------------------------------------------


async def collect(client: Client, execution_id: str, found: list[Any], *, until: str, count: int) -> None:
    async for event in client.events(execution_id):
        found.append(event)
        if sum(each.event == until for each in found) >= count:
            return


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
async def test_events_are_followed_over_a_restart_of_the_server_each_once(tmp_path: Path, how: str) -> None:
    (tmp_path / "target.py").write_text(TARGET)
    found: list[Any] = []
    with served("target.py", tmp_path) as first:
        async with Client(first.url, attempts=40) as client:
            started = await client.start("chatty", 20)
            following = asyncio.create_task(collect(client, started.execution_id, found, until="never", count=1))
            asking = await client.wait_until_asked(started.execution_id, timeout=PATIENCE)
            await asyncio.to_thread(first.end if how == "SIGTERM" else first.kill)
            with served("target.py", tmp_path, "--port", first.port):
                waiting = asking.interactions[0].interaction_id
                await client.answer(started.execution_id, waiting, ADA)
                async with asyncio.timeout(PATIENCE):
                    await following
                history = await client.history(started.execution_id)
    assert [event.sequence for event in found] == [item.sequence for item in history]
    assert [event.event for event in found] == [item.event for item in history]
    emitted = [event.data["detail"]["data"] for event in found if event.event == "emitted"]
    assert [each["number"] for each in emitted] == list(range(40))
    assert emitted[0]["line"] == "a\u2028b"


async def test_events_begin_where_they_are_told_to(server: Served) -> None:
    async with Client(server.url) as client:
        done = await client.start("echo", 1, wait=10)
        every = [event async for event in client.events(done.execution_id)]
        assert [event.event for event in every] == ["execution_created", "execution_completed"]
        rest = [event async for event in client.events(done.execution_id, after=every[0].sequence)]
        assert rest == every[1:]
        with pytest.raises(ExecutionNotFound):
            [event async for event in client.events("nothing")]


STREAM = (
    b'\xef\xbb\xbf: a comment\r\n\r\nid: 1\r\nevent: first\r\ndata: {"a":\r\ndata:  1}\r\n\r\n'
    b"data: caf\xc3\xa9 \xe2\x80\xa8 one line\n\nid: 2\rdata\rdata: x\r\revent: nothing\n\nunknown: y\ndata: z\n\ndata: cut off"
)
EVENTS = [
    StreamEvent("1", "first", '{"a":\n 1}'),
    StreamEvent("1", "message", "café \u2028 one line"),
    StreamEvent("2", "message", "\nx"),
    StreamEvent("2", "message", "z"),
]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 1000])
async def test_a_stream_is_read_the_same_however_it_is_cut(size: int) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(STREAM), size):
            yield STREAM[start : start + size]

    assert [event async for event in read_events(chunks())] == EVENTS


# --- What cannot be sent ---


@pytest.mark.parametrize("key", ["Müller-7", "one\nline", " spaced", ""])
async def test_an_idempotency_key_that_no_header_can_have_is_refused_at_once(server: Served, key: str) -> None:
    network = Losing(0)
    async with Client(server.url, transport=network) as client:
        with pytest.raises(InvalidArgument, match="give printable ASCII characters, such as a UUID"):
            await client.start("greet", "Ada", idempotency_key=key)
    assert network.keys == []


async def test_an_id_that_is_too_long_for_an_address_is_refused() -> None:
    long = "x" * 100_000
    async with Client("http://127.0.0.1:9") as client:
        for call in (
            client.status(long), client.start(long), anext(client.list(owner=long)), anext(client.events(long)),
        ):  # fmt: skip
            with pytest.raises(InvalidArgument, match="URL"):
                await call
