"""The routes: starts, polls, streams, bodies, health; embedded in an application; and how they end with the process."""

import asyncio
import json
import re
import shutil
import signal
import socket
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import Depends, FastAPI, HTTPException
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from elsewhere import environment
from marks import within
from restpoint import ExecutionStore, Runner
from restpoint._core.log_limit import STORAGE_FAILURES
from restpoint._storage import queries
from restpoint._storage.schema import REVISION
from restpoint._storage.sqlite.database import Database
from restpoint._store.listener import Listener
from restpoint.errors import InvalidArgument
from restpoint.http.app import asgi_app, create_app, router
from restpoint.http.sse import LongRequests
from serving import (
    GATES,
    TEXT_ANSWER,
    WORKFLOWS,
    asked,
    echo,
    ended,
    events,
    greet,
    make_app,
    served,
    take,
    whoever,
)  # fmt: skip
from support import PATIENCE, eventually, file_of, rows, sought

# --- Starting ---


async def test_a_start_is_answered_with_the_result_itself(client: httpx.AsyncClient) -> None:
    for value in ({"a": [1, None, "ü"]}, None, 0, "text", 2**70):
        reply = await client.post("/v1/workflows/echo", content=json.dumps(value))
        assert (reply.status_code, reply.json()) == (200, value)
        assert (await client.get(reply.headers["location"])).json()["result"] == value


async def test_an_empty_body_is_no_input(client: httpx.AsyncClient) -> None:
    assert (await client.post("/v1/workflows/echo")).json() is None


async def test_an_input_that_is_none_of_the_workflows_is_refused_with_its_place(client: httpx.AsyncClient) -> None:
    reply = await client.post("/v1/workflows/gated", json={"not": "text"})
    assert (reply.status_code, reply.json()["code"]) == (422, "input_not_accepted")
    assert "execution_id" not in reply.json()
    assert (await client.get("/executions")).json()["items"] == []


async def test_an_unknown_workflow_is_told_with_the_known_ones(client: httpx.AsyncClient) -> None:
    for path in ("/v1/workflows/nothing", "/v1/workflows/nothing/stream", "/v1/workflow", "/v1/workflow/stream"):
        reply = await client.post(path)
        assert (reply.status_code, reply.json()["code"]) == (404, "workflow_not_found")
        assert "echo" in reply.json()["detail"]


async def test_the_only_or_the_default_workflow_is_the_one_of_the_original_route(file: Path) -> None:
    async with served(make_app(file, workflows=[echo])) as client:
        assert (await client.post("/v1/workflow", json=1)).json() == 1
    async with served(make_app(file, default="greet")) as client:
        body = (await client.post("/v1/workflow", json="Ada")).json()
        assert body["response_url"].startswith("/executions/")
    with pytest.raises(InvalidArgument, match="the workflows here are"):
        create_app([echo], database=file, default="nothing")


async def test_a_retry_with_the_same_key_gets_the_first_execution(client: httpx.AsyncClient) -> None:
    key = {"idempotency-key": "k-1"}
    replies = await asyncio.gather(*(client.post("/v1/workflows/greet", json="Ada", headers=key) for _ in range(10)))
    assert {reply.status_code for reply in replies} == {202}
    assert len({reply.json()["execution_id"] for reply in replies}) == 1
    assert [reply.headers.get("idempotency-replayed") for reply in replies].count(None) == 1
    async with client.stream("POST", "/v1/workflows/greet/stream", json="Ada", headers=key) as reply:
        streamed = await take(events(reply), "interaction_required")
    assert streamed[-1].data["execution_id"] == replies[0].json()["execution_id"]
    other = await client.post("/v1/workflows/greet", json="Grace", headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_conflict")
    assert "execution_id" not in other.json()
    for bad in (b"", b"x" * 256, b"\xfc"):
        assert (await client.post("/v1/workflows/echo", headers={b"idempotency-key": bad})).status_code == 422


async def test_two_people_may_use_the_same_key(guarded: httpx.AsyncClient) -> None:
    ids = set()
    for name in ("ada", "grace"):
        reply = await guarded.post("/v1/workflows/greet", headers={"x-user": name, "idempotency-key": "k"})
        ids.add(reply.json()["execution_id"])
    assert len(ids) == 2


# --- Polling ---


async def test_a_long_poll_returns_when_the_open_waits_change_and_not_before(
    client: httpx.AsyncClient, endless: Counter[float]
) -> None:
    body = await asked(client, "both")
    poll = asyncio.create_task(client.get(body["status_url"], params={"wait": 20}))
    await eventually(lambda: endless[20])
    assert (await client.get(body["status_url"])).json()["status"] == "interaction_required"
    assert not poll.done()
    await client.post(body["response_url"], json=TEXT_ANSWER)
    async with asyncio.timeout(PATIENCE):
        after = (await poll).json()
    assert (after["status"], len(after["interactions"])) == ("interaction_required", 1)
    assert after["interaction_id"] == after["interactions"][0]["interaction_id"]


async def test_no_long_poll_misses_what_became_of_an_answer(client: httpx.AsyncClient, endless: Counter[float]) -> None:
    async def once(number: int) -> None:
        body = await asked(client, "greet", str(number))
        assert (await client.post(body["response_url"], json=TEXT_ANSWER)).status_code == 204
        assert (await ended(client, body["execution_id"]))["result"] == f"{number} Hopper"

    for number in range(20):
        await once(number)
    await asyncio.gather(*(once(number) for number in range(40)))
    assert endless, "nobody waited"


async def test_a_long_poll_that_nothing_happens_to_says_how_it_is(client: httpx.AsyncClient) -> None:
    body = await asked(client, "greet")
    reply = await client.get(body["status_url"], params={"wait": 0.05})
    assert (reply.status_code, reply.json()["interaction_id"]) == (200, body["interaction_id"])


async def test_with_an_etag_no_change_is_missed_between_two_polls(
    client: httpx.AsyncClient, request: pytest.FixtureRequest
) -> None:
    body = await asked(client, "both")
    tag = {"if-none-match": (await client.get(body["status_url"])).headers["etag"]}
    assert (await client.get(body["status_url"], headers=tag)).status_code == 304
    assert (await client.get(body["status_url"], params={"wait": 0.05}, headers=tag)).status_code == 304
    request.getfixturevalue("endless")
    await client.post(body["response_url"], json=TEXT_ANSWER)
    async with asyncio.timeout(PATIENCE):
        reply = await client.get(body["status_url"], params={"wait": 20}, headers=tag)
    assert (reply.status_code, len(reply.json()["interactions"])) == (200, 1)


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_start_whose_result_is_gone_before_it_was_read_says_so(
    file: Path, monkeypatch: pytest.MonkeyPatch, *, streamed: bool
) -> None:
    swept = asyncio.Event()
    look = Listener._look

    async def look_later(listener: Listener) -> None:
        await swept.wait()
        await look(listener)

    snapshot = queries.snapshot

    async def read_later(database: Database, *arguments: Any) -> queries.Snapshot | None:
        if (
            database is not file_of(elsewhere).database
        ):  # the server's reading: else it may see the result before that is swept
            await swept.wait()
        return await snapshot(database, *arguments)

    monkeypatch.setattr(Listener, "_look", look_later)
    monkeypatch.setattr(queries, "snapshot", read_later)
    async with served(make_app(file, concurrency=0)) as client, ExecutionStore(0, database=file) as elsewhere:

        async def run_and_sweep() -> None:
            found = (await sought(elsewhere.list, lambda page: page.items)).items
            await elsewhere.set_completed(found[0].execution_id, "paid")
            assert await elsewhere.cleanup_expired() == 1
            swept.set()

        running = asyncio.create_task(run_and_sweep())
        if streamed:
            async with client.stream("POST", "/v1/workflows/echo/stream", json=1) as reply:
                told = [each.data["code"] async for each in events(reply) if each.name == "error"]
        else:
            reply = await client.post("/v1/workflows/echo", json=1)
            assert reply.status_code == 404
            told = [reply.json()["code"]]
        await running
    assert told == ["execution_not_found"]


@pytest.mark.parametrize("known", ["*", '"other", {tag}', 'W/"a,b", {strong} , "c"', '"x"\n{tag}'])
async def test_an_etag_is_known_in_every_form_that_the_standard_has(client: httpx.AsyncClient, known: str) -> None:
    url = (await asked(client, "both"))["status_url"]
    tag = (await client.get(url)).headers["etag"]
    lines = known.format(tag=tag, strong=tag.removeprefix("W/")).split("\n")
    reply = await client.get(url, headers=[("if-none-match", line) for line in lines])
    assert (reply.status_code, reply.headers["etag"], reply.content) == (304, tag, b"")


@pytest.mark.parametrize("known", ["", '"other", W/"another"', "{bare}", '"{bare} "'])
async def test_an_etag_that_is_not_named_is_news(client: httpx.AsyncClient, known: str) -> None:
    url = (await asked(client, "both"))["status_url"]
    bare = (await client.get(url)).headers["etag"].removeprefix("W/").strip('"')
    assert (await client.get(url, headers={"if-none-match": known.format(bare=bare)})).status_code == 200


async def test_parallel_prompts_are_all_shown_and_each_is_answered_by_its_id(client: httpx.AsyncClient) -> None:
    body = await asked(client, "both")
    while len(body["interactions"]) < 2:
        body = (await client.get(body["status_url"], params={"wait": 5})).json()
    assert [each["prompt"]["text"] for each in body["interactions"]] == ["One?", "Two?"]
    for each, text in zip(reversed(body["interactions"]), ("second", "first"), strict=True):
        reply = await client.post(each["response_url"], json={"response": {"type": "text", "text": text}})
        assert reply.status_code == 204
    assert (await ended(client, body["execution_id"]))["result"] == ["first", "second"]


async def test_ids_that_applications_choose_are_found_by_their_urls(file: Path) -> None:
    async with served(make_app(file)) as client:
        store = client_store(file)
        async with store:
            record = await store.create_execution(owner="local")
            for name in ("a/b", "ü ?#%", "../x", "/executions/1", "response"):
                await store.set_interaction_required(record.execution_id, {"input_type": "text", "text": name}, name)
            body = (await client.get(f"/executions/{record.execution_id}")).json()
            for each in body["interactions"]:
                reply = await client.post(each["response_url"], json=TEXT_ANSWER)
                assert reply.status_code == 204, each
        assert rows(file, "SELECT count(*) FROM interactions WHERE status = 'answered'") == [(5,)]


def client_store(file: Path) -> ExecutionStore:
    return ExecutionStore(database=file)


# --- Streams ---


async def test_a_start_stream_has_what_the_workflow_gave_out_what_it_asks_and_its_result(
    client: httpx.AsyncClient,
) -> None:
    async with client.stream("POST", "/v1/workflows/progress/stream") as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        taken = []
        async for each in events(reply):
            taken.append(each)
            if each.name == "interaction_required":
                assert (await client.post(each.data["response_url"], json=TEXT_ANSWER)).status_code == 204
    names = [each.name for each in taken]
    assert names == ["message", "notification", "interaction_required", "interaction_answered", "message", "message"]
    assert [each.data for each in taken if each.name == "message"] == [{"done": 1}, "two", "Hopper"]
    assert taken[1].data["prompt"]["text"] == "half\u2028way\x85\r\n\r\nevent: forged"
    assert all(len(each.lines) == 1 and each.lines[0].splitlines() == each.lines for each in taken)
    sequence = [int(each.id) for each in taken]
    assert sequence == sorted(set(sequence))


async def test_a_start_stream_tells_a_failure_and_a_cancellation_as_an_error(client: httpx.AsyncClient) -> None:
    async with client.stream("POST", "/v1/workflows/refused/stream") as reply:
        taken = [each async for each in events(reply)]
    assert [(each.name, each.data["code"], each.data["detail"]) for each in taken] == [
        ("error", "account_closed", "The account is closed.")
    ]
    async with client.stream("POST", "/v1/workflows/gated/stream", json="g") as reply:
        assert (await client.post(f"{reply.headers['location']}/cancel")).status_code == 200
        taken = [each async for each in events(reply)]
    assert [(each.name, each.data["code"]) for each in taken] == [("error", "execution_cancelled")]


async def test_a_consent_is_an_event_of_the_stream(client: httpx.AsyncClient) -> None:
    async with client.stream("POST", "/v1/workflows/consent/stream") as reply:
        told = (await take(events(reply), "oauth_required"))[-1].data
    assert (told["event_type"], told["oauth_state"]) == ("oauth_required", "s3cret")


async def test_the_events_of_an_execution_are_resumed_from_any_of_them_also_over_a_restart(file: Path) -> None:
    async with served(make_app(file)) as client:
        body = await asked(client, "progress")
        url = f"{body['status_url']}/events"
        async with client.stream("GET", url) as reply:
            before = await take(events(reply), "interaction_asked")
    async with served(make_app(file)) as client:
        headers = {"last-event-id": before[-1].id}
        async with client.stream("GET", url, headers=headers) as reply:
            await client.post(body["response_url"], json=TEXT_ANSWER)
            async with asyncio.timeout(PATIENCE):
                rest = [each async for each in events(reply)]
        whole = [*before, *rest]
        async with client.stream("GET", url, params={"after": 0}) as reply:
            assert [each.id for each in [one async for one in events(reply)]] == [each.id for each in whole]
        history = (await client.get(f"{body['status_url']}/history")).json()["items"]
        assert [each.data for each in whole[:-1]] == history
        assert (whole[-1].name, whole[-1].data["status"]) == ("end", "completed")
        again = await client.get(url, headers={"last-event-id": whole[-1].id})
        assert again.status_code == 204
        for bad in ("x", "-1", "9" * 30, ""):
            assert (await client.get(url, headers={"last-event-id": bad})).status_code == 422


async def test_events_go_on_after_the_execution_has_left_the_file_for_who_sees_everything(
    client: httpx.AsyncClient,
) -> None:
    location = (await client.post("/v1/workflows/echo", json=1)).headers["location"]
    await client.delete(location)
    async with client.stream("GET", f"{location}/events") as reply:
        names = [each.name async for each in events(reply)]
    assert names[-2:] == ["execution_removed", "end"]


# --- Bodies ---

BAD_JSON = [
    b"{", b"[1,]", b"NaN", b"[Infinity]", b'{"a": -Infinity}', b'"\xff"', b'"\\ud800"', b"[" * 100_000, b"\x00", b"nul",
    b'{"a":1}{"b":2}', b"9" * 100_000, b"\xef\xbb\xbf1", b" ", b"\r\n",
]  # fmt: skip


@pytest.mark.parametrize("body", BAD_JSON, ids=[repr(body[:12]) for body in BAD_JSON])
async def test_a_body_that_is_no_json_is_refused_before_anything_is_written(
    client: httpx.AsyncClient, body: bytes
) -> None:
    paused = await asked(client, "greet")
    for path in (
        "/v1/workflows/echo",
        "/v1/workflows/echo/stream",
        paused["response_url"],
        f"{paused['status_url']}/cancel",
    ):
        reply = await client.post(path, content=body)
        assert reply.status_code in {400, 422}, (path, reply.text[:200])
        assert reply.headers["content-type"] == "application/problem+json"
    assert len((await client.get("/executions")).json()["items"]) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (2**70, 200),
        ("a\x00b", 200),
        ("\u202eright to left\u2066", 200),
        ([[[[[]]]]], 200),
        ("x" * 1_000_000, 200),
    ],
)
async def test_strange_json_comes_back_as_it_was_sent(client: httpx.AsyncClient, body: Any, status: int) -> None:
    reply = await client.post("/v1/workflows/echo", json=body)
    assert (reply.status_code, reply.json()) == (status, body)


@pytest.mark.parametrize("text", ["x" * 1_000_000, "a\x00b", "\u202e", "9" * 5_000, ""])
async def test_strange_answers_are_taken_or_refused_and_never_a_defect(client: httpx.AsyncClient, text: str) -> None:
    paused = await asked(client, "greet", "Ada")
    reply = await client.post(paused["response_url"], json={"response": {"type": "text", "text": text}})
    assert reply.status_code == (422 if not text else 204)
    if text:
        assert (await ended(client, paused["execution_id"]))["result"] == f"Ada {text}"


@pytest.mark.parametrize(
    "body", [[], 1, "x", {"response": None}, {"response": []}, {"response": {"type": []}}, {"answer": {}}, {}, None]
)
async def test_a_body_of_another_shape_is_refused_with_the_right_one(client: httpx.AsyncClient, body: Any) -> None:
    paused = await asked(client, "greet")
    reply = await client.post(paused["response_url"], json=body)
    assert reply.status_code == 422
    assert "response" in reply.json()["detail"]


@pytest.mark.parametrize("how", ["declared", "chunked"])
async def test_a_body_over_the_limit_is_413_before_it_is_parsed(file: Path, how: str) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b"[" * 1024

    async with served(make_app(file, max_body_bytes=10_000)) as client:
        content: Any = b"[" * 65_536 if how == "declared" else chunks()
        reply = await client.post("/v1/workflows/echo", content=content)
        assert (reply.status_code, reply.json()["code"]) == (413, "body_too_large")
        assert (await client.get("/executions")).json()["items"] == []
        assert (await client.post("/v1/workflows/echo", json="x" * 9_000)).status_code == 200


async def test_a_content_length_that_lies_harms_nobody(client: httpx.AsyncClient) -> None:
    host, port = client.base_url.host, client.base_url.port

    def told(declared: int, sent: bytes) -> bytes:
        """What the server replies, until it hangs up."""
        head = f"POST /v1/workflows/echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: {declared}\r\n\r\n"
        reply = b""
        with socket.create_connection((host, port), timeout=PATIENCE) as connection:
            with suppress(ConnectionError):  # it may hang up on the rest of what is sent, after what it replies
                connection.sendall(head.encode() + sent)
                connection.shutdown(socket.SHUT_WR)
            with suppress(ConnectionError):
                while chunk := connection.recv(65_536):
                    reply += chunk
        return reply

    replies = [
        await asyncio.to_thread(told, declared, sent)
        for declared, sent in (
            (5, b'"xxx"' + b"x" * 6_000_000),
            (6_000_000, b'"x"'),
            (99_999_999_999, b"1"),
            (-1, b"1"),
        )
    ]
    # What comes after a body is no request, and whoever says less than was declared is not there for a reply.
    assert [reply.partition(b"\r\n")[0] for reply in replies] == [
        b"HTTP/1.1 200 OK", b"", b"", b"HTTP/1.1 400 Bad Request",
    ]  # fmt: skip
    assert [item["status"] for item in (await client.get("/executions")).json()["items"]] == ["completed"]


# --- Filters, health, documents ---


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=1001", "limit=x", "limit=1&limit=2", "cursor=x", "cursor=", "status=done", "status=",
        "limit=٣", "workflow=a&workflow=b",
    ],
)  # fmt: skip
async def test_a_query_that_makes_no_sense_is_refused(client: httpx.AsyncClient, query: str) -> None:
    reply = await client.get(f"/executions?{query}")
    assert (reply.status_code, reply.json()["code"]) == (422, "invalid_argument")


@pytest.mark.parametrize("wait", ["-1", "61", "nan", "inf", "x", "1e400", "1&wait=2"])
async def test_a_wait_out_of_bounds_is_refused_before_anything_starts(client: httpx.AsyncClient, wait: str) -> None:
    for method, path in (("POST", "/v1/workflows/echo"), ("GET", "/executions/x")):
        reply = await client.request(method, f"{path}?wait={wait}")
        assert (reply.status_code, reply.json()["code"]) == (422, "invalid_argument")
    assert (await client.get("/executions")).json()["items"] == []


async def test_what_is_not_here_is_a_problem_too(client: httpx.AsyncClient) -> None:
    absent = await client.get("/nothing/of/the/kind")
    assert (absent.status_code, absent.json()["code"]) == (404, "route_not_found")
    wrong = await client.put("/executions/1")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "DELETE, GET, HEAD")
    assert wrong.headers["content-type"] == "application/problem+json"


async def test_readiness_ends_with_the_file_and_with_the_process(file: Path) -> None:
    app = make_app(file)
    async with served(app) as client:
        assert (await client.get("/readyz")).status_code == 200
        with_other_revision(file, "9999")
        assert (await client.get("/readyz")).status_code == 503
        assert (await client.get("/healthz")).status_code == 200
        with_other_revision(file, REVISION)
        assert (await client.get("/readyz")).status_code == 200
        app.state.shutdown()
        reply = await client.get("/readyz")
        assert (reply.status_code, reply.json()["code"]) == (503, "not_ready")


async def test_readiness_ends_while_the_file_is_not_in_its_place(
    file: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(STORAGE_FAILURES, "_next", 0.0)  # whatever was logged within the last second
    async with served(make_app(file)) as client:
        await asked(client, "greet")
        away = shutil.move(file, file.with_name("away.db"))
        for _ in range(5):
            reply = await client.post("/v1/workflows/greet", json="Ada")
            assert (reply.status_code, reply.json()["code"]) == (503, "file_gone")
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["code"]) == (503, "file_gone")
        assert "was deleted or moved" in caplog.text
        shutil.move(away, file)
        assert (await client.post("/v1/workflows/greet", json="Ada")).status_code == 202
        assert (await client.get("/readyz")).status_code == 200


def with_other_revision(file: Path, revision: str) -> None:
    rows(file, "UPDATE alembic_version SET version_num = ?", revision)


async def test_the_workflows_are_told_with_their_schemas(client: httpx.AsyncClient) -> None:
    items = {each["name"]: each for each in (await client.get("/workflows")).json()["items"]}
    assert set(items) == {each.name for each in WORKFLOWS}
    assert items["greet"]["description"] == "Ask for a second name."
    assert items["greet"]["input_schema"]["type"] == "string"


# --- In an application of one's own ---


def mounting(file: Path) -> Starlette:
    """An application without FastAPI that mounts the routes."""
    store = ExecutionStore(database=file)
    runner = Runner(store, [echo, greet])
    approvals = asgi_app(store, runner, authenticate=whoever)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with store, runner, approvals.router.lifespan_context(approvals):
            yield

    async def mine(_: Request) -> Response:
        return JSONResponse({"mine": "yes"})

    return Starlette(routes=[Mount("/approvals", approvals), Route("/mine", mine)], lifespan=lifespan)


def embedding(file: Path, *, dependency: bool = False) -> FastAPI:
    store = ExecutionStore(database=file)
    runner = Runner(store, [echo, greet])

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with store, runner:
            yield

    def nobody() -> None:
        raise HTTPException(418, "not today")

    app = FastAPI(lifespan=lifespan)
    dependencies = [Depends(nobody)] if dependency else []
    app.include_router(router(store, runner, authenticate=whoever), prefix="/approvals", dependencies=dependencies)

    @app.get("/mine")
    async def mine() -> dict[str, str]:
        return {"mine": "yes"}

    return app


def mounted(inner: Starlette, where: str) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with inner.router.lifespan_context(inner):
            yield

    outer = FastAPI(lifespan=lifespan)
    outer.mount(where, inner)
    return outer


@pytest.mark.parametrize("where", ["", "/outer"])
@pytest.mark.parametrize("application", [embedding, mounting])
async def test_the_routes_serve_under_a_prefix_and_their_urls_lead_there(
    file: Path, application: Callable[[Path], Starlette], where: str
) -> None:
    app = application(file)
    if where:
        app = mounted(app, where)
    async with served(app, **{"x-user": "ada"}) as client:
        reply = await client.post(f"{where}/approvals/v1/workflows/greet", json="Ada")
        body = reply.json()
        assert body["status_url"] == f"{where}/approvals/executions/{body['execution_id']}"
        polled = (await client.get(body["status_url"])).json()
        assert polled["response_url"] == body["response_url"]
        assert (await client.post(polled["response_url"], json=TEXT_ANSWER)).status_code == 204
        assert (await client.get(f"{where}/mine")).json() == {"mine": "yes"}
        problem = await client.get(f"{where}/approvals/executions/nothing")
        assert (problem.status_code, problem.json()["code"]) == (404, "execution_not_found")
        cancelled = await client.post(f"{body['status_url']}/cancel")
        assert cancelled.status_code in {200, 409}
        document = (await client.get(f"{where}/approvals/openapi.json")).json()
        assert document["servers"] == [{"url": f"{where}/approvals"}]
        assert "/executions" in document["paths"]
        assert (await client.get(f"{where}/approvals/docs")).status_code == 200


async def test_dependencies_that_an_application_puts_before_the_router_hold(file: Path) -> None:
    async with served(embedding(file, dependency=True), **{"x-user": "ada"}) as client:
        assert (await client.post("/approvals/v1/workflows/echo", json=1)).status_code == 418
    assert rows(file, "SELECT count(*) FROM executions") == [(0,)]


# --- The end of the process ---


async def test_a_wait_that_is_over_at_that_moment_keeps_no_other_from_ending() -> None:
    requests = LongRequests()
    over: list[asyncio.Task[None]] = []

    async def wait(seconds: float) -> None:
        with suppress(TimeoutError):
            async with requests.at_most(seconds):
                await asyncio.get_running_loop().create_future()

    with requests.ended_by_signals():
        over += [asyncio.create_task(wait(seconds)) for seconds in (0.02, 60, 60, 60)]
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_later(0.01, requests.end)
        threading.Event().wait(0.05)  # so that it is told to end in the turn in which the first limit passes
        async with asyncio.timeout(PATIENCE):
            await asyncio.wait(over)


async def test_long_polls_streams_and_starts_end_with_a_reason_when_the_process_is_told_to_end(file: Path) -> None:
    app = make_app(file)
    async with served(app) as client:
        body = await asked(client, "greet")
        poll = asyncio.create_task(client.get(body["status_url"], params={"wait": 60}))
        start = asyncio.create_task(client.post("/v1/workflows/gated", json="g", params={"wait": 60}))
        async with client.stream("GET", f"{body['status_url']}/events") as reply:
            stream = events(reply)
            await take(stream, "execution_created")
            while len((await client.get("/executions")).json()["items"]) < 2:
                pass
            app.state.shutdown()
            async with asyncio.timeout(PATIENCE):
                last = [each async for each in stream][-1]
                assert (last.name, set(last.data)) == ("shutdown", {"reason"})
                assert (await poll).json()["status"] == "interaction_required"
                assert (await start).json()["status"] == "running"
    async with served(make_app(file)) as client:
        GATES["g"].set()
        assert (await ended(client, (await start).json()["execution_id"]))["result"] == "g"


@within(5)
async def test_a_server_that_gets_sigterm_ends_its_streams_and_is_gone_within_five_seconds(
    file: Path, seconds: float
) -> None:
    run = "uvicorn.run(make_app(sys.argv[1]), port=0, ws='none', use_colors=False)"
    code = f"import sys, uvicorn; from serving import make_app; {run}"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(file), env=environment(), stderr=asyncio.subprocess.PIPE
    )
    try:
        assert process.stderr is not None
        async with asyncio.timeout(PATIENCE):
            while (found := re.search(rb"running on (http://[\d.:]+)", await process.stderr.readline())) is None:
                assert not process.stderr.at_eof(), "the server did not start"
        async with httpx.AsyncClient(base_url=found[1].decode(), timeout=PATIENCE) as client:
            body = await asked(client, "greet", "Ada")
            running = (await client.post("/v1/workflows/gated", json="g", params={"wait": 0})).json()
            async with client.stream("GET", f"{body['status_url']}/events") as reply:
                stream = events(reply)
                await take(stream, "interaction_asked")
                poll = asyncio.create_task(client.get(running["status_url"], params={"wait": 60}))
                await client.get("/healthz")
                process.send_signal(signal.SIGTERM)
                async with asyncio.timeout(seconds):
                    assert [each async for each in stream][-1].name == "shutdown"
                    assert (await poll).status_code == 200
                    await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    async with served(make_app(file)) as client:
        GATES.setdefault("g", asyncio.Event()).set()
        assert (await ended(client, running["execution_id"]))["result"] == "g"
        assert (await client.post(body["response_url"], json=TEXT_ANSWER)).status_code == 204
        assert (await ended(client, body["execution_id"]))["result"] == "Ada Hopper"
