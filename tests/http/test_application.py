"""The ready application: its replies, and that middleware, routes and handlers which somebody adds to it are obeyed."""

import asyncio
import io
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from restpoint import Context, ExecutionStore, logs, workflow
from restpoint.prompts import HumanPromptText
from serving import TEXT_ANSWER, make_app, served, whoever
from support import PATIENCE


class Counter:
    """Middleware of an application."""

    seen: list[str]

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.seen.append(scope["path"])
        await self.app(scope, receive, send)


async def test_an_exchange_has_the_replies_and_headers_that_clients_rely_on(file: Path) -> None:
    async with served(make_app(file)) as http:
        started = await http.post("/v1/workflows/greet", json="Grace")
        body = started.json()
        assert (started.status_code, body["status"]) == (202, "interaction_required")
        assert (await http.post(body["response_url"], json=TEXT_ANSWER)).status_code == 204
        ended = await http.get(f"{body['status_url']}?wait=5")
        while ended.json()["status"] == "running":
            ended = await http.get(f"{body['status_url']}?wait=5")
        assert (ended.json()["result"], ended.headers["content-type"]) == ("Grace Hopper", "application/json")
        assert {"etag", "cache-control", "content-length"} <= set(ended.headers)
        missing = await http.get("/executions/nobody/interactions")
        assert (missing.status_code, missing.json()["code"]) == (404, "route_not_found")
        wrong = await http.put(body["status_url"])
        assert (wrong.status_code, wrong.headers["allow"]) == (405, "DELETE, GET, HEAD")


async def test_a_path_with_a_slash_too_many_is_not_there_and_leads_nowhere_else(file: Path) -> None:
    async with served(make_app(file)) as http:
        reply = await http.get("/executions/", headers={"host": "elsewhere.example"})
    assert (reply.status_code, reply.json()["code"]) == (404, "route_not_found")


async def test_head_is_answered_wherever_get_is_with_the_same_headers_and_no_body(file: Path) -> None:
    async with served(make_app(file)) as http:
        started = (await http.post("/v1/workflows/greet")).json()
        url = started["status_url"]
        history = (await http.get(f"{url}/history")).json()["items"]
        audit = ["query", "report", "report/approvals", f"timeline/{started['execution_id']}", "export", "export/manifest",
                 "head"]  # fmt: skip
        paths = [
            url, f"{url}/history", "/executions", "/workflows", "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json",
            *(f"/audit/{each}" for each in audit),
        ]  # fmt: skip
        for path in paths:
            head, get = await http.head(path), await http.get(path)
            assert (head.status_code, head.content) == (get.status_code, b""), path
            assert head.headers["content-type"] == get.headers["content-type"], path
        # A stream of events that nobody reads ends at once, although the execution goes on.
        stream = await http.head(f"{url}/events")
        assert (stream.status_code, stream.content) == (200, b"")
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert (await http.get(f"{url}/history")).json()["items"] == history


async def test_middleware_of_the_application_sees_every_request(file: Path) -> None:
    Counter.seen = []
    app = make_app(file)
    app.add_middleware(Counter)
    async with served(app) as http:
        await http.get("/executions")
    assert Counter.seen == ["/executions"]


async def test_a_route_that_an_application_puts_first_is_asked_first(file: Path) -> None:
    app = make_app(file)

    async def mine(_: Request) -> Response:
        return PlainTextResponse("mine")

    app.add_route("/executions", mine)
    app.router.routes.insert(0, app.router.routes.pop())
    async with served(app) as http:
        assert (await http.get("/executions")).text == "mine"


async def test_what_authenticate_raises_is_answered_by_the_handlers_of_the_application(file: Path) -> None:
    def nobody(_: Request) -> None:
        raise HTTPException(418, "not here", headers={"x-why": "teapot"})

    app = make_app(file, authenticate=nobody)

    async def teapot(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return PlainTextResponse(str(error.detail), 418, headers=error.headers)

    app.add_exception_handler(418, teapot)
    async with served(app) as http:
        reply = await http.get("/executions")
    assert (reply.status_code, reply.text, reply.headers["x-why"]) == (418, "not here", "teapot")


async def test_authenticate_finds_the_application_in_its_request(file: Path) -> None:
    seen: list[Any] = []

    def looks(request: Request) -> Any:
        seen.append((request.app, request.scope["route"].path))
        return whoever(request)

    app = make_app(file, authenticate=looks)
    async with served(app) as http:
        assert (await http.get("/executions/1", headers={"x-user": "ada"})).status_code == 404
    assert seen == [(app, "/executions/{execution_id}")]


async def test_the_first_of_two_headers_with_one_name_counts(file: Path) -> None:
    async with served(make_app(file)) as http:
        both = [("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-origin")]
        assert (await http.post("/v1/workflows/echo", headers=both)).status_code == 403


@pytest.mark.parametrize("middleware", [False, True])
async def test_what_is_logged_of_a_request_names_its_execution(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, *, middleware: bool
) -> None:
    async def defect(*_: object) -> None:
        raise RuntimeError

    app = make_app(file)
    if middleware:
        app.add_middleware(Counter)
        Counter.seen = []
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logs.JSONFormatter())
    handler.addFilter(logs.ContextFilter())
    loggers = [logging.getLogger(name) for name in ("uvicorn.access", "restpoint")]
    for each in loggers:
        each.addHandler(handler)
    caplog.set_level(logging.INFO, "uvicorn.access")
    try:
        async with served(app) as client:
            begun = (await client.post("/v1/workflows/greet")).json()
            await client.get("/workflows")
            await client.get(begun["status_url"])
            monkeypatch.setattr(ExecutionStore, "get", defect)
            await client.get(begun["status_url"])
    finally:
        for each in loggers:
            each.removeHandler(handler)
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    told = [(line["logger"], line.get("execution_id"), line.get("workflow")) for line in lines]
    mine = begun["execution_id"]
    assert told == [
        ("uvicorn.access", mine, "greet"),
        ("uvicorn.access", None, None),
        ("uvicorn.access", mine, None),
        ("restpoint.http.problems", mine, None),
        ("uvicorn.access", mine, None),
    ]


async def test_an_application_may_leave_out_the_routes_that_start(file: Path) -> None:
    app = make_app(file, starts=False)
    async with served(app) as http:
        started = await app.state.runner.start("greet", "Grace")
        async with asyncio.timeout(PATIENCE):
            while (body := (await http.get(f"/executions/{started.id}?wait=5")).json())["status"] == "running":
                pass
        for path in ("workflow", "workflow/stream", "workflows/greet", "workflows/greet/stream", "chat/stream"):
            assert (await http.post(f"/v1/{path}", json="Ada")).json()["code"] == "route_not_found"
        assert (await http.get("/workflows")).json()["code"] == "route_not_found"
        assert (await http.post(body["response_url"], json=TEXT_ANSWER)).status_code == 204
        assert await started.result() == "Grace Hopper"
        paths = (await http.get("/openapi.json")).json()["paths"]
        assert not any(path.startswith("/v1") for path in paths)
        assert "/executions/{execution_id}" in paths


async def test_executions_are_listed_by_the_version_of_their_workflow(file: Path) -> None:
    async with served(make_app(file)) as http:
        started = (await http.post("/v1/workflows/greet", json="Grace")).json()["execution_id"]
        found = (await http.get("/executions", params={"version": 1, "workflow": "greet"})).json()["items"]
        assert [(item["execution_id"], item["version"]) for item in found] == [(started, 1)]
        assert (await http.get("/executions?version=2")).json()["items"] == []
        refused = await http.get("/executions?version=one")
        assert "version" in refused.json()["detail"]


async def test_who_polls_is_told_of_notifications_the_oldest_first(file: Path) -> None:
    async with served(make_app(file, workflows=[telling])) as http:
        started = (await http.post("/v1/workflows/telling", json=None)).json()
        assert started["status"] == "interaction_required"
        body = await http.get(started["status_url"])
        told = body.json()["notifications"]
        assert [each["prompt"]["text"] for each in told] == ["Your order was packed.", "It is on its way."]
        assert all(each["created_at"] >= body.json()["created_at"] for each in told)
        known = {"if-none-match": body.headers["etag"]}
        assert (await http.get(started["status_url"], headers=known)).status_code == 304
        await http.post(started["response_url"], json=TEXT_ANSWER)
        async with asyncio.timeout(PATIENCE):
            while (ended := (await http.get(f"{started['status_url']}?wait=5")).json())["status"] != "completed":
                pass
        assert [each["prompt"]["text"] for each in ended["notifications"]][2:] == ["It has arrived."]


@workflow
async def telling(ctx: Context) -> None:
    await ctx.notify("Your order was packed.")
    await ctx.notify("It is on its way.")
    await ctx.ask(HumanPromptText(text="Has it arrived?"))
    await ctx.notify("It has arrived.")
