"""Clients that were written for the original store: its envelopes of text, and its documented way of reading a stream.

That client takes the line after ``event: ...`` for the data, and ends at the first chunk that has a ``value``.
"""

import json
from asyncio import to_thread
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from restpoint import Context, workflow
from restpoint.errors import InvalidArgument
from restpoint.prompts import HumanPromptText
from serving import make_app, served
from support import PATIENCE


@workflow
async def assistant(ctx: Context, question: str) -> str:
    await ctx.emit({"step": 1})
    answer = await ctx.ask(HumanPromptText(text=f"{question} Should I go on?"))
    return f"{question} {answer.text}"


class Chat(BaseModel):
    messages: list[dict[str, str]]


@workflow
async def count(ctx: Context, chat: Chat) -> str:
    return f"{len(chat.messages)} messages"


@workflow
async def numbers(ctx: Context, body: dict[str, Any]) -> dict[str, Any]:
    return body


def stream_as_documented(server: str, path: str, body: object, answer: str) -> tuple[str, str]:
    """What was asked, and the value that the stream ended with."""
    asked = ""
    with (
        httpx.Client(base_url=server, timeout=PATIENCE) as client,
        client.stream("POST", path, json=body) as reply,
    ):
        lines = reply.iter_lines()
        for line in lines:
            if line.startswith("event: interaction_required"):
                event = json.loads(next(lines).removeprefix("data: "))
                asked = event["prompt"]["text"]
                response = {"input_type": "text", "text": answer}
                sent = client.post(event["response_url"], json={"response": response})
                assert sent.status_code == 204
            elif line.startswith("data: ") and "value" in (chunk := json.loads(line.removeprefix("data: "))):
                return asked, chunk["value"]
    raise AssertionError("the stream ended without a value")


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("/v1/workflow/stream", {"input_message": "Analyze."}),
        ("/v1/chat/stream", {"messages": [{"role": "user", "content": "Analyze."}]}),
        (
            "/v1/chat/stream",
            {
                "messages": [
                    {"role": "system", "content": "Be brief."},
                    {"role": "user", "content": "Hello."},
                    {"role": "assistant", "content": "Yes?"},
                    {"role": "user", "content": [{"type": "text", "text": "Ana"}, {"type": "text", "text": "lyze."}]},
                ]
            },
        ),
    ],
)
async def test_the_documented_client_answers_a_prompt_and_gets_the_value(file: Path, route: str, body: object) -> None:
    async with served(make_app(file, workflows=[assistant], default="assistant")) as http:
        got = await to_thread(stream_as_documented, str(http.base_url), route, body, "yes")
    assert got == ("Analyze. Should I go on?", "Analyze. yes")


async def test_text_in_an_envelope_comes_back_in_one_and_bare_text_bare(file: Path) -> None:
    async with served(make_app(file, workflows=[assistant], default="assistant")) as http:
        for body, result in (({"input_message": "Go."}, {"value": "Go. on"}), ("Go.", "Go. on")):
            told = (await http.post("/v1/workflow", json=body)).json()
            assert told["prompt"]["text"] == "Go. Should I go on?"
            answer = {"response": {"type": "text", "text": "on"}}
            assert (await http.post(told["response_url"], json=answer)).status_code == 204
            key = {"idempotency-key": str(result)}
            assert (await http.get(f"{told['status_url']}?wait=60", headers=key)).status_code == 200
    async with served(make_app(file, workflows=[greeting], default="greeting")) as http:
        assert (await http.post("/v1/workflow", json={"input_message": "Ada"})).json() == {"value": "Hello Ada"}
        assert (await http.post("/v1/workflow", json="Ada")).json() == "Hello Ada"
        assert (await http.post("/v1/workflows/greeting", json="Ada")).json() == "Hello Ada"


@workflow
async def greeting(ctx: Context, name: str) -> str:
    return f"Hello {name}"


@pytest.mark.parametrize(
    "body", [{"input_message": "Ada", "more": 1}, {"input_message": 1}, {"input_message": None}, {"name": "Ada"}]
)
async def test_what_is_no_envelope_is_no_input_of_a_workflow_of_text(file: Path, body: Mapping[str, Any]) -> None:
    async with served(make_app(file, workflows=[greeting], default="greeting")) as http:
        reply = await http.post("/v1/workflow", json=body)
    assert (reply.status_code, reply.json()["code"]) == (422, "input_not_accepted")


async def test_a_workflow_that_takes_an_object_gets_the_body_as_it_is(file: Path) -> None:
    async with served(make_app(file, workflows=[numbers, count], default="numbers")) as http:
        envelope = {"input_message": "Ada"}
        assert (await http.post("/v1/workflow", json=envelope)).json() == envelope
    async with served(make_app(file, workflows=[count], default="count")) as http:
        reply = await http.post("/v1/chat/stream", json={"messages": [{"role": "user", "content": "a"}]})
        assert 'data: {"value":"1 messages"}' in reply.text


@pytest.mark.parametrize(
    "body", [None, "Ada", {}, {"messages": "Ada"}, {"messages": []}, {"messages": [{"role": "system", "content": "x"}]}]
)
async def test_a_chat_in_which_the_user_says_nothing_is_refused_with_what_to_send(file: Path, body: Any) -> None:
    async with served(make_app(file, workflows=[greeting], default="greeting")) as http:
        reply = await http.post("/v1/chat/stream", json=body)
    assert reply.status_code == 422
    assert '{"messages": [{"role": "user"' in reply.json()["detail"]


# --- Front ends in a browser, on another origin ----------------------------------------------------------------------

START = """
    const reply = await fetch(given[0], {
        method: "POST", body: JSON.stringify("Ada"), headers: {"content-type": "application/json", "idempotency-key": given[1]},
    }).catch(() => null);
    return reply === null ? "refused" : [reply.status, reply.headers.get("location") !== null, await reply.json()];
"""


@pytest.mark.browser
async def test_a_front_end_of_a_trusted_origin_uses_the_server_and_another_does_not(file: Path, browser: Any) -> None:
    async with served(make_app(file.with_name("pages.db"))) as pages:
        front_end = str(pages.base_url)
        app = make_app(file, workflows=[greeting], default="greeting", trusted_origins=[front_end])
        async with served(app) as http:
            start = f"{http.base_url}/v1/workflow"

            def visit(origin: str, key: str) -> Any:
                browser.open(f"{origin}/healthz")
                return browser.run(START, start, key)

            assert await to_thread(visit, front_end, "a") == [200, True, "Hello Ada"]
            other = front_end.replace("127.0.0.1", "localhost")
            assert await to_thread(visit, other, "b") == "refused"
            browser.forget()  # the console complained, and should
            assert len((await http.get("/executions")).json()["items"]) == 1


@pytest.mark.parametrize("origin", ["*", "null", "inbox.example", "https://inbox.example/", "ftp://inbox.example", ""])
def test_a_trusted_origin_that_is_none_is_refused(file: Path, origin: str) -> None:
    with pytest.raises(InvalidArgument, match="is no origin; write scheme and host"):
        make_app(file, trusted_origins=[origin])
