"""What every reply keeps to, and every query and URL: nothing unknown is ignored, nothing is cached or guessed, one base."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from restpoint import Context, workflow
from restpoint.http.operations import operations
from restpoint.prompts import HumanPromptText
from serving import TEXT_ANSWER, WORKFLOWS, asked, events, make_app, served, take, whoever
from support import PATIENCE

PUBLIC = "https://host.example/approvals"


def behind_a_proxy(app: Any, prefix: str) -> Any:
    """The application behind a proxy that takes a part of the path away."""

    async def proxy(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            if not scope["path"].startswith(prefix):
                await send({"type": "http.response.start", "status": 404, "headers": []})
                await send({"type": "http.response.body", "body": b"nothing here at the proxy"})
                return
            path = scope["path"].removeprefix(prefix)
            scope = {**scope, "path": path, "raw_path": path.encode()}
        await app(scope, receive, send)

    proxy.state = app.state  # type: ignore[attr-defined]
    return proxy


async def test_every_url_of_a_reply_has_the_path_of_the_public_url(file: Path) -> None:
    app = behind_a_proxy(make_app(file, public_url=PUBLIC), "/approvals")
    async with served(app) as client:
        reply = await client.post("/approvals/v1/workflows/greet")
        told = reply.json()
        place = f"/approvals/executions/{told['execution_id']}"
        assert reply.headers["location"] == told["status_url"] == place
        assert told["response_url"].startswith(f"{place}/interactions/")
        polled = (await client.get(place)).json()
        assert [each["response_url"] for each in polled["interactions"]] == [told["response_url"]]
        assert (await client.post(told["response_url"], json=TEXT_ANSWER)).status_code == 204
        assert (await client.get("/approvals/openapi.json")).json()["servers"] == [{"url": "/approvals"}]
        async with client.stream("POST", "/approvals/v1/workflows/greet/stream") as stream:
            assert stream.headers["location"].startswith("/approvals/executions/")
            shown = (await take(events(stream), "interaction_required"))[-1].data
            assert shown["response_url"].startswith("/approvals/executions/")
            await client.post(f"{stream.headers['location']}/cancel")


async def test_a_parameter_that_a_route_does_not_have_is_named_with_those_that_it_has(
    client: httpx.AsyncClient,
) -> None:
    reply = await client.get("/executions", params={"assignee": "ada"})
    assert (reply.status_code, reply.json()["code"]) == (400, "unknown_parameter")
    assert "'assignee'" in reply.json()["detail"]
    assert "cursor, limit, owner, problem, status, version, workflow" in reply.json()["detail"]


async def test_no_route_ignores_a_parameter_but_those_for_browsers(client: httpx.AsyncClient, file: Path) -> None:
    app = make_app(file)
    paths = [(each.method, each.path, each.kind) for each in table(app)]
    assert len(paths) > 20
    for method, path, kind in [*paths, ("GET", "/docs", "open"), ("GET", "/openapi.json", "open")]:
        if kind == "page":
            continue
        url = path.replace("{interaction_id:path}", "i").replace("{execution_id}", "e").replace("{name}", "echo")
        reply = await client.request(method, url.replace("{question}", "approvals"), params={"nonsense": "1"})
        assert (reply.status_code, reply.json()["code"]) == (400, "unknown_parameter"), (method, path)
    assert not (await client.get("/executions")).json()["items"]


def table(app: Any) -> Any:
    from restpoint.http.handlers import Handlers
    from restpoint.service import Service

    return operations(Handlers(Service(app.state.store, app.state.runner)))


async def test_a_query_of_a_thousand_parameters_is_not_read(client: httpx.AsyncClient) -> None:
    reply = await client.get("/executions?" + "&".join(["a=1"] * 1_000))
    assert (reply.status_code, reply.json()["code"]) == (422, "invalid_argument")


async def test_no_reply_may_be_cached_or_taken_for_something_else(client: httpx.AsyncClient) -> None:
    started = await client.post("/v1/workflows/echo", json="<script>")
    place = started.headers["location"]
    for path in (
        "/executions", place, f"{place}/history", f"{place}/events", "/executions/nobody", "/nowhere", "/workflows", "/metrics",
        "/docs", "/openapi.json", "/healthz", "/readyz", "/audit/head", "/audit/export", "/audit/query", "/audit/report",
    ):  # fmt: skip
        async with client.stream("GET", path) as reply:
            kept = (reply.headers.get("cache-control"), reply.headers.get("x-content-type-options"))
            assert kept == ("no-store", "nosniff"), path
    for method, path in (("POST", "/v1/workflows/echo"), ("PUT", "/executions"), ("DELETE", place)):
        kept_by = (await client.request(method, path)).headers
        assert (kept_by.get("cache-control"), kept_by.get("x-content-type-options")) == ("no-store", "nosniff"), path


@pytest.mark.parametrize("route", ["/v1/workflows/echo", "/nowhere"])
async def test_a_request_with_two_lengths_is_refused_and_its_connection_closed(
    client: httpx.AsyncClient, route: str
) -> None:
    reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    writer.write(
        b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"1\r\n1\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" % route.encode()
    )
    async with asyncio.timeout(PATIENCE):
        reply = await reader.read()
    writer.close()
    assert reply.startswith(b"HTTP/1.1 400 ")
    assert reply.count(b"HTTP/1.1 ") == 1
    assert not (await client.get("/executions")).json()["items"]


async def test_the_second_person_with_the_same_answer_hears_who_was_first(file: Path) -> None:
    async with served(make_app(file, authenticate=whoever)) as client:
        told = await asked(client, "approve", **{"x-user": "grace"})
        body = {"response": {"type": "binary_choice", "selected_option": told["prompt"]["options"][0]}}
        codes = [
            (await client.post(told["response_url"], json=body, headers={"x-user": who}))
            for who in ("ada", "joan", "ada")
        ]
    assert [each.status_code for each in codes] == [204, 409, 204]
    problem = codes[1].json()
    assert (problem["code"], problem["answered_by"]) == ("already_resolved", "ada")
    assert isinstance(problem["answered_at"], float)
    assert "has already been resolved by ada at 20" in problem["detail"]


@workflow
async def overtaken(ctx: Context) -> str:
    """Ask three times: one prompt is answered, one expires, one is withdrawn."""
    answered = asyncio.create_task(ctx.ask(HumanPromptText(text="Answered?")))
    expired = asyncio.create_task(ctx.ask(HumanPromptText(text="Expired?"), timeout=0.05, on_deadline="raise"))
    await asyncio.gather(answered, expired, return_exceptions=True)
    return "over"


async def test_the_stream_of_a_start_says_when_a_prompt_is_over_and_how(file: Path) -> None:
    app = make_app(file, workflows=[*WORKFLOWS, overtaken])
    async with served(app) as client:
        over: dict[str, Any] = {}
        url = ""
        async with client.stream("POST", "/v1/workflows/overtaken/stream") as reply:
            async for each in events(reply):
                if each.name == "interaction_required" and each.data["prompt"]["text"] == "Answered?":
                    url = each.data["response_url"]
                elif each.name.startswith("interaction_"):
                    over.setdefault(each.name, each.data)
                if each.name == "interaction_expired":
                    await client.post(url, json=TEXT_ANSWER)
        async with client.stream("POST", "/v1/workflows/greet/stream") as reply:
            stream = events(reply)
            asking = (await take(stream, "interaction_required"))[-1].data
            await app.state.store.withdraw(asking["execution_id"], asking["interaction_id"], actor="op")
            (withdrawn,) = await take(stream, "interaction_withdrawn")
            await client.post(f"/executions/{asking['execution_id']}/cancel")
    assert {name: data["status"] for name, data in over.items() if name != "interaction_required"} == {
        "interaction_answered": "answered",
        "interaction_expired": "expired",
    }
    assert over["interaction_answered"]["actor"] == "local"
    assert "response" not in over["interaction_answered"]
    assert (withdrawn.data["interaction_id"], withdrawn.data["actor"]) == (asking["interaction_id"], "op")


@workflow
async def heavy(ctx: Context) -> None:
    """Give out six times half a mebibyte."""
    for _ in range(6):
        await ctx.emit("a" * 600_000)


async def test_a_history_comes_in_pages_of_a_mebibyte_and_whole_to_who_follows_them(file: Path) -> None:
    async with served(make_app(file, workflows=[heavy])) as client:
        place = (await client.post("/v1/workflows/heavy")).headers["location"]
        sizes: list[int] = []
        kinds: list[str] = []
        after: int | None = 0
        while after is not None:
            reply = await client.get(f"{place}/history", params={"after": after})
            sizes.append(len(reply.content))
            kinds += [each["event"] for each in reply.json()["items"]]
            after = reply.json()["next_after"]
        assert kinds == ["execution_created", *["emitted"] * 6, "execution_completed"]
        assert max(sizes) < 1_300_000
        assert len(sizes) == 4
        two = (await client.get(f"{place}/history", params={"limit": 2})).json()
        assert (len(two["items"]), two["next_after"]) == (2, two["items"][-1]["sequence"])
        assert (await client.get(f"{place}/history", params={"limit": 1001})).status_code == 422
        async with client.stream("GET", f"{place}/events") as stream:
            names = [each.name async for each in events(stream)]
        assert names == [*kinds, "end"]


@pytest.mark.parametrize("given", ["%0Ay", "y%0A", "y%0Az"])
async def test_a_line_break_in_an_id_is_part_of_it(client: httpx.AsyncClient, given: str) -> None:
    reply = await client.post(f"/executions/x/interactions/{given}/response", json=TEXT_ANSWER)
    assert (reply.status_code, reply.json()["code"]) == (404, "execution_not_found")
    page = await client.get(f"/view/x/prompt/{given}")
    assert page.status_code == 404
    assert "There is no /view" not in page.text, "the page of a prompt has a route for it"
