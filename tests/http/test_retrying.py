"""A retry over HTTP, with the client and on the command line; and what followers see of an execution that ended twice."""

import asyncio
from pathlib import Path

import httpx
import pytest

from restpoint import Context, ExecutionStore, workflow
from restpoint.client import Client
from restpoint.errors import CannotRetry, IllegalTransition
from restpoint.prompts import HumanPromptText
from served import typed
from serving import TEXT_ANSWER, events, make_app, served, whoever
from support import PATIENCE

BROKEN = {"bank"}


async def bank() -> str:
    if BROKEN:
        raise ConnectionError("no bank")
    return "paid"


@workflow
async def pay(ctx: Context) -> str:
    answer = await ctx.ask(HumanPromptText(text="Pay?"))
    return f"{answer.text} {await ctx.step(bank)}"


@pytest.fixture(autouse=True)
def _broken() -> None:
    BROKEN.add("bank")


async def failed(client: httpx.AsyncClient, **headers: str) -> str:
    """Start one as ada, answer it, and see it fail; its URL."""
    started = await client.post("/v1/workflow", headers={"x-user": "ada", **headers})
    assert started.status_code == 202, started.text
    body = started.json()
    await client.post(body["response_url"], json=TEXT_ANSWER, headers={"x-user": "ada"})
    await ended(client, body["status_url"], "failed")
    return str(body["status_url"])


async def ended(client: httpx.AsyncClient, url: str, status: str) -> httpx.Response:
    async with asyncio.timeout(PATIENCE):
        while True:
            reply = await client.get(url, params={"wait": 20}, headers={"x-user": "op"})
            if reply.json()["status"] == status:
                return reply


async def test_an_operator_has_a_failed_execution_go_on_over_http(file: Path) -> None:
    async with served(make_app(file, workflows=[pay], authenticate=whoever)) as client:
        url = await failed(client)
        tag = (await client.get(url, headers={"x-user": "ada"})).headers["etag"]
        refused = await client.post(f"{url}/retry", headers={"x-user": "ada"})
        assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
        assert (await client.post(f"{url}/retry", headers={"x-user": "grace"})).status_code == 404
        BROKEN.clear()
        reply = await client.post(f"{url}/retry", json={"reason": "The bank answers again"}, headers={"x-user": "op"})
        assert (reply.status_code, reply.json()["status"]) == (200, "running")
        assert "expires_at" not in reply.json()
        done = await ended(client, url, "completed")
        assert done.json()["result"] == "Hopper paid"
        assert done.headers["etag"] != tag
        history = (await client.get(f"{url}/history", headers={"x-user": "op"})).json()["items"]
        (retried,) = [each for each in history if each["event"] == "execution_retried"]
        assert (retried["actor"], retried["cause"]) == ("op", "The bank answers again")
        assert [call["name"] for call in retried["detail"]["again"]] == ["bank"]
        again = await client.post(f"{url}/retry", headers={"x-user": "op"})
        assert (again.status_code, again.json()["code"]) == (409, "illegal_transition")


async def test_the_tag_of_a_failure_differs_from_that_of_the_failure_after_it(file: Path) -> None:
    async with served(make_app(file, workflows=[pay])) as client:
        url = await failed(client)
        first = (await client.get(url)).headers["etag"]
        await client.post(f"{url}/retry")
        second = await ended(client, url, "failed")
        assert second.headers["etag"] != first
        assert (await client.get(url, headers={"if-none-match": first})).status_code == 200


async def test_a_stream_that_ended_with_the_failure_is_resumed_after_the_retry(file: Path) -> None:
    async with served(make_app(file, workflows=[pay])) as client:
        url = await failed(client)
        async with client.stream("GET", f"{url}/events", params={"after": 0}) as reply:
            before = [each async for each in events(reply)]
        assert (before[-1].name, before[-1].data["status"]) == ("end", "failed")
        headers = {"last-event-id": before[-1].id}
        assert (await client.get(f"{url}/events", headers=headers)).status_code == 204
        BROKEN.clear()
        await client.post(f"{url}/retry")
        async with asyncio.timeout(PATIENCE), client.stream("GET", f"{url}/events", headers=headers) as reply:
            after = [each async for each in events(reply)]
    assert [each.name for each in after] == ["execution_retried", "execution_completed", "end"]
    assert after[-1].data["status"] == "completed"


async def test_the_stream_of_a_start_that_is_sent_again_ends_with_the_last_end(file: Path) -> None:
    async with served(make_app(file, workflows=[pay])) as client:
        url = await failed(client, **{"idempotency-key": "one"})
        BROKEN.clear()
        await client.post(f"{url}/retry")
        await ended(client, url, "completed")
        headers = {"idempotency-key": "one"}
        async with asyncio.timeout(PATIENCE), client.stream("POST", "/v1/workflow/stream", headers=headers) as reply:
            told = [each async for each in events(reply)]
    assert told[-1].data == "Hopper paid"
    assert "error" not in [each.name for each in told]


async def test_the_client_retries(file: Path) -> None:
    async with served(make_app(file, workflows=[pay])) as http, Client(str(http.base_url)) as client:
        execution_id = (await failed(http)).rpartition("/")[2]
        BROKEN.clear()
        await client.retry(execution_id, "mended")
        assert (await client.wait_until_ended(execution_id, timeout=PATIENCE)).result == "Hopper paid"
        with pytest.raises(IllegalTransition):
            await client.retry(execution_id)


async def test_a_refusal_to_retry_reaches_the_client_as_what_it_is(file: Path) -> None:
    async with ExecutionStore(database=file) as store:
        record = await store.create_execution()
        await store.set_failed(record.execution_id, "no")
    async with served(make_app(file, workflows=[pay])) as http, Client(str(http.base_url)) as client:
        with pytest.raises(CannotRetry, match="no runner ran it"):
            await client.retry(record.execution_id)
        reply = await http.post(f"/executions/{record.execution_id}/retry")
        assert (reply.status_code, reply.json()["code"]) == (409, "cannot_retry")


async def test_the_command_line_says_what_is_called_again(file: Path, tmp_path: Path) -> None:
    async with served(make_app(file, workflows=[pay])) as http:
        execution_id = (await failed(http)).rpartition("/")[2]
    BROKEN.clear()
    done = await asyncio.to_thread(
        typed, "retry", execution_id[-8:], "--database", str(file), "--reason", "mended", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert f"{execution_id} runs again." in done.stderr
    assert "Called again: step bank." in done.stderr
    again = await asyncio.to_thread(typed, "retry", execution_id, "--database", str(file), cwd=tmp_path)
    assert (again.returncode, "cannot retry" in again.stderr) == (1, True)
    async with served(make_app(file, workflows=[pay])) as http:
        assert (await ended(http, f"/executions/{execution_id}", "completed")).json()["result"] == "Hopper paid"
