"""What a poll, a list and the client tell beside the status: who goes on, what it does, what it raised, when it was swept."""

from pathlib import Path

import pytest

from restpoint import Context, ExecutionStore, workflow
from restpoint.client import Client
from restpoint.errors import ExecutionGone
from restpoint.prompts import HumanPromptText
from serving import TEXT_ANSWER, make_app, served, whoever
from support import sought

OP, ADA, GRACE = {"x-user": "op"}, {"x-user": "ada"}, {"x-user": "grace"}


@workflow
async def greet(ctx: Context) -> str:
    return (await ctx.ask(HumanPromptText(text="Who?"))).text


@workflow("greet", version=2)
async def newer(ctx: Context) -> str:
    return (await ctx.ask(HumanPromptText(text="Who is it?"))).text


@workflow
async def broken(ctx: Context) -> None:
    raise ValueError("the password is hunter2")


@workflow
async def sleepy(ctx: Context) -> None:
    await ctx.sleep(86_400)


async def test_an_accepted_answer_that_nobody_takes_up_is_told_to_whoever_polls(file: Path) -> None:
    async with served(make_app(file, workflows=[greet])) as http:
        asked = (await http.post("/v1/workflow?wait=20")).json()
    async with served(make_app(file, workflows=[newer])) as http, Client(str(http.base_url)) as client:
        first = await http.get(asked["status_url"])
        assert (first.json()["version"], first.json()["problem"]) == (1, None)
        assert (await http.post(asked["response_url"], json=TEXT_ANSWER)).status_code == 204
        reply = await http.get(asked["status_url"])
        assert (reply.json()["status"], reply.json()["version"]) == ("running", 1)
        assert reply.json()["problem"].startswith("No process that is alive has the workflow greet in version 1")
        assert (await http.get("/executions")).json()["items"][0]["problem"] == reply.json()["problem"]
        execution = await client.status(asked["execution_id"])
        assert (execution.problem, execution.version) == (reply.json()["problem"], 1)
        # A poll that knows the status, and not yet what is wrong, is told at once.
        known = {"if-none-match": reply.headers["etag"]}
        assert (await http.get(asked["status_url"], headers=known)).status_code == 304
        async with ExecutionStore(database=file) as store:
            await store.cancel(asked["execution_id"])
        assert (await http.get(asked["status_url"], headers=known)).json()["status"] == "cancelled"


async def test_a_poll_shows_until_when_an_execution_sleeps(file: Path) -> None:
    async with served(make_app(file, workflows=[sleepy])) as http:
        url = (await http.post("/v1/workflow?wait=0")).json()["status_url"]
        body = (await sought(lambda: http.get(url), lambda reply: reply.json()["sleeping_until"])).json()
        assert body["sleeping_until"] > body["created_at"] + 86_000
        assert (body["problem"], body["steps"]) == (None, [])


async def test_operators_see_the_traceback_of_a_failure_and_its_owner_sees_the_public_message(file: Path) -> None:
    async with served(make_app(file, workflows=[broken], authenticate=whoever)) as http:
        failed = await http.post("/v1/workflow?wait=20", headers=ADA)
        assert failed.status_code == 422
        url = failed.headers["location"]
        body = (await http.get(url, headers=OP)).json()
        assert (body["failure"]["type"], body["failure"]["message"]) == ("ValueError", "the password is hunter2")
        assert "in broken" in body["failure"]["traceback"]
        mine = await http.get(url, headers=ADA)
        assert "failure" not in mine.json()
        assert "hunter2" not in mine.text
        eye = await http.get(url, headers={"x-user": "eye"})
        assert "hunter2" not in eye.text, "an auditor is no operator"


async def test_what_was_swept_is_gone_to_whoever_could_see_it_and_absent_to_everybody_else(file: Path) -> None:
    async with ExecutionStore(0, database=file, remember=False) as store:
        record = await store.create_execution(owner="ada")
        await store.set_completed(record.execution_id, None)
        assert await store.cleanup_expired() == 1
    url = f"/executions/{record.execution_id}"
    async with served(make_app(file, workflows=[greet], authenticate=whoever)) as http:
        for headers in (ADA, OP):
            reply = await http.get(url, headers=headers)
            assert (reply.status_code, reply.json()["code"]) == (410, "execution_gone")
            assert reply.headers["content-type"] == "application/problem+json"
            assert reply.json()["how"] == "swept"
            assert "was swept at" in reply.json()["detail"]
        absent = await http.get(url, headers=GRACE)
        never = await http.get(f"/executions/{record.execution_id[:-1]}x", headers=GRACE)
        assert (absent.status_code, absent.json()["code"]) == (404, "execution_not_found")
        assert absent.json().keys() == never.json().keys()
        assert (await http.post(f"{url}/cancel", headers=ADA)).status_code == 410
        assert (await http.post(f"{url}/interactions/1/response", json=TEXT_ANSWER, headers=ADA)).status_code == 410
    async with served(make_app(file, workflows=[greet])) as open_http, Client(str(open_http.base_url)) as client:
        with pytest.raises(ExecutionGone) as gone:
            await client.status(record.execution_id)
        assert gone.value.how == "swept"


async def test_a_server_keeps_what_has_ended_for_thirty_days_and_tells_the_file(file: Path) -> None:
    async with served(make_app(file, workflows=[greet])) as http:
        asked = (await http.post("/v1/workflow?wait=20")).json()
        await http.post(asked["response_url"], json=TEXT_ANSWER)
        ended = (await http.get(asked["status_url"], params={"wait": 20})).json()
        assert round(ended["expires_at"] - ended["completed_at"]) == 30 * 86_400
    async with ExecutionStore(database=file) as store:  # which says nothing, as the command line
        record = await store.create_execution()
        await store.set_completed(record.execution_id, None)
        assert record.expires_at is not None
        assert record.completed_at is not None
        assert round(record.expires_at - record.completed_at) == 30 * 86_400


async def test_what_the_file_or_whoever_serves_it_says_comes_before_the_thirty_days(file: Path, tmp_path: Path) -> None:
    async def kept(database: Path, **options: float) -> int:
        async with served(make_app(database, workflows=[broken], **options)) as http:
            url = (await http.post("/v1/workflow?wait=20")).headers["location"]
            body = (await http.get(url)).json()
            return int(body["expires_at"] - body["completed_at"] + 0.5)

    assert await kept(file, ttl_seconds=60) == 60
    assert await kept(file) == 60, "the file remembers it"
    async with ExecutionStore(database=tmp_path / "own.db") as store:  # the class keeps the original's default
        record = await store.create_execution()
        await store.set_completed(record.execution_id, None)
        assert (record.expires_at or 0) - (record.completed_at or 0) == 600
