"""Votes over HTTP, on the pages and by the client: who sees how many are in, whose they are, and what they came to."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from starlette.requests import Request

from people import as_, asked_by, execution_of, inbox_served
from restpoint import Actor, Context, ExecutionStore, workflow
from restpoint.client import Client
from restpoint.errors import AlreadyVoted, VoterUnknown
from restpoint.prompts import HumanPromptBinary, HumanResponseBinary
from serving import PEOPLE, events, make_app, served, take, whoever
from support import NO, YES

BOARD = ["ada", "grace", "group:finance"]
PAY = HumanPromptBinary(text="Pay?", options=[YES, NO])
FORM = {"content-type": "application/x-www-form-urlencoded"}


def said(option: Any, **more: Any) -> dict[str, Any]:
    return {"response": {"type": "binary_choice", "selected_option": option.model_dump(mode="json"), **more}}


def by_token(request: Request) -> Actor | None:
    return PEOPLE.get(request.headers.get("authorization", "").removeprefix("Bearer "))


async def asked(store: ExecutionStore, **terms: Any) -> tuple[str, str]:
    record = await store.create_execution(owner="olga", workflow="refund")
    terms = {"assignees": BOARD, "votes": 2, **terms}
    return record.execution_id, (await store.set_interaction_required(record.execution_id, PAY, **terms)).interaction_id


async def test_a_poll_an_inbox_and_a_conflict_tell_of_votes(file: Path) -> None:
    async with served(make_app(file, authenticate=whoever)) as http, ExecutionStore(database=file) as store:
        execution_id, prompt = await asked(store)
        url = f"/executions/{execution_id}/interactions/{prompt}/response"

        async def vote(who: str, option: Any, **more: Any) -> httpx.Response:
            return await http.post(url, json=said(option, **more), headers={"x-user": who})

        for _ in range(2):  # sent again, it counts once
            assert (await vote("joan", YES)).status_code == 204
        told = (await vote("joan", NO)).json()
        assert (told["status"], told["code"]) == (409, "already_voted")
        assert 0 < told["voted_at"] < 1e11  # seconds
        poll = (await http.get(f"/executions/{execution_id}", headers={"x-user": "joan"})).json()
        (shown,) = poll["interactions"]
        assert (shown["votes"], shown["voted"], shown["may_answer"]) == (2, ["joan"], False)
        assert "Yes" not in json.dumps(shown["voted"])
        assert (await http.get("/inbox", headers={"x-user": "joan"})).json()["items"] == []
        (item,) = (await http.get("/inbox", headers={"x-user": "grace"})).json()["items"]
        assert (item["votes"], item["voted"]) == (2, ["joan"])
        tag = (await http.get(f"/executions/{execution_id}", headers={"x-user": "grace"})).headers["etag"]
        await vote("ada", NO)
        again = await http.get(f"/executions/{execution_id}", headers={"x-user": "grace", "if-none-match": tag})
        assert again.json()["interactions"][0]["voted"] == ["joan", "ada"]
        assert (await vote("grace", YES, comment="At last")).status_code == 204
        assert (await vote("op", YES)).json()["code"] == "already_resolved"
        assert (await vote("grace", YES, comment="At last")).status_code == 204
        history = (await http.get(f"/executions/{execution_id}/history", headers={"x-user": "op"})).json()["items"]
        assert [(each["event"], each["actor"], each["cause"]) for each in history[2:]] == [
            ("interaction_voted", "joan", None), ("interaction_voted", "ada", None),
            ("interaction_voted", "grace", None), ("interaction_answered", None, "votes"),
        ]  # fmt: skip
        assert history[2]["detail"]["authority"] == "group:finance"


async def test_without_authentication_nobody_votes(file: Path) -> None:
    async with served(make_app(file)) as http, ExecutionStore(database=file) as store:
        execution_id, prompt = await asked(store)
        reply = await http.post(f"/executions/{execution_id}/interactions/{prompt}/response", json=said(YES))
        assert (reply.status_code, reply.json()["code"]) == (403, "voter_unknown")
        async with Client(str(http.base_url)) as client:
            with pytest.raises(VoterUnknown):
                await client.answer(execution_id, prompt, HumanResponseBinary(selected_option=YES))


async def test_the_client_has_votes_and_raises_what_the_store_raises(file: Path) -> None:
    async with served(make_app(file, authenticate=by_token)) as http, ExecutionStore(database=file) as store:
        execution_id, prompt = await asked(store)
        async with Client(str(http.base_url), "joan") as client:
            await client.answer(execution_id, prompt, HumanResponseBinary(selected_option=YES))
            with pytest.raises(AlreadyVoted) as raised:
                await client.answer(execution_id, prompt, HumanResponseBinary(selected_option=NO))
            assert raised.value.voted_at > 1e12  # milliseconds
            with pytest.raises(AlreadyVoted):
                await client.delegate(execution_id, prompt, "zoe")
            (shown,) = (await client.status(execution_id)).interactions
            assert (shown.votes, shown.voted) == (2, ["joan"])
        async with Client(str(http.base_url), "grace") as client:
            assert [(item.votes, item.voted) async for item in client.inbox()] == [(2, ["joan"])]


@workflow
async def board(ctx: Context) -> str:
    return (await ctx.ask(PAY, assignees=BOARD, votes=2)).selected_option.id


async def test_the_stream_of_a_start_has_one_prompt_and_an_ordinary_answer(file: Path) -> None:
    async with served(make_app(file, workflows=[board], authenticate=whoever)) as http:
        said_by = {"x-user": "ada"}
        async with http.stream("POST", "/v1/workflows/board/stream", json={}, headers=said_by) as reply:
            stream = events(reply)
            (asked_for,) = await take(stream, "interaction_required")
            url = asked_for.data["response_url"]
            for who in ("joan", "grace"):
                sent = await http.post(url, json=said(YES), headers={"x-user": who})
                assert sent.status_code == 204
            told = [(each.name, each.data) async for each in stream]
    assert [name for name, _ in told] == ["interaction_answered", "message"]
    assert told[0][1]["status"] == "answered"
    assert told[1][1] == "yes"


# --- Pages -----------------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def inbox(file: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with inbox_served(file) as client:
        yield client


async def text(client: httpx.AsyncClient, path: str, name: str) -> str:
    reply = await client.get(path, headers=as_(name))
    assert reply.status_code == 200, reply.text
    return " ".join(reply.text.split())


async def post(client: httpx.AsyncClient, path: str, name: str, form: str = "") -> httpx.Response:
    return await client.post(path, content=form, headers={**FORM, **as_(name)})


async def test_the_pages_show_who_voted_and_what_only_to_those_who_may_see_it(inbox: httpx.AsyncClient) -> None:
    path = await asked_by(inbox, "ada", "binary_choice", assignees=["grace", "group:finance", "op"], votes=2)
    page = await text(inbox, path, "grace")
    assert "2 equal votes answer it. Nobody has voted yet." in page
    assert "Take it" not in page
    assert "0 voted, 2 equal votes decide" in await text(inbox, "/", "grace")
    assert (await post(inbox, path, "joan", "option=1&comment=Too+much")).status_code == 303
    mine = await text(inbox, path, "joan")
    for words in ("You have voted", '<blockquote dir="auto">No</blockquote>', "Too much", "<bdi>you</bdi>"):
        assert words in mine
    assert "<button" not in mine.split("<main")[1].split("You have voted")[1].split("</main")[0]
    theirs = await text(inbox, path, "grace")
    assert "Voted so far: <bdi>joan</bdi>" in theirs
    assert "Too much" not in theirs
    assert "Too much" in await text(inbox, path, "ada")  # whose execution it is: in the timeline
    assert "Nothing waits for you" in await text(inbox, "/", "joan")
    assert "1 voted, 2 equal votes decide" in await text(inbox, "/", "grace")
    decided = await text(inbox, "/decided", "joan")
    assert "your vote, still open" in decided
    assert ">No<" in decided
    again = await post(inbox, path, "joan", "option=0")
    assert again.status_code == 409
    assert "a vote stays" in again.text
    for name in ("grace", "op"):
        assert (await post(inbox, path, name, "option=0")).status_code == 303
    assert "Decided by 2 equal votes" in await text(inbox, path, "grace")
    assert "Decided by 2 equal votes" in await text(inbox, path, "joan")
    assert "your vote, decided: <bdi>Yes</bdi>" in await text(inbox, "/decided", "joan")
    whole = await text(inbox, f"/view/{execution_of(path)}", "ada")
    assert whole.count("<strong><bdi>Voted</bdi></strong>") == 3
    assert "Answered by the votes" in whole


async def test_the_pages_say_that_the_votes_came_to_no_answer(inbox: httpx.AsyncClient) -> None:
    path = await asked_by(inbox, "ada", "binary_choice", assignees=["grace", "joan"], votes=2)
    for name, option in (("grace", 0), ("joan", 1)):
        assert (await post(inbox, path, name, f"option={option}")).status_code == 303
    page = await text(inbox, path, "joan")
    assert "Undecided" in page
    assert "The votes came to no answer." in page
    assert "your vote, undecided" in await text(inbox, "/decided", "joan")
    assert "The votes came to no answer" in await text(inbox, f"/view/{execution_of(path)}", "ada")


# By the actor: what the page of the prompt, an answer and a claim on the pages reply; whether the page has buttons to vote by.
PAGES = {
    "ada": (200, False, 403, 403),  # owns it
    "grace": (200, True, 303, 403),
    "joan": (200, True, 303, 403),  # of the group
    "op": (200, True, 303, 403),
    "eye": (200, False, 403, 403),
}


@pytest.mark.parametrize("name", PAGES)
async def test_every_actor_may_do_on_the_pages_what_the_matrix_says(inbox: httpx.AsyncClient, name: str) -> None:
    path = await asked_by(inbox, "ada", "binary_choice", assignees=["grace", "group:finance"], votes=2)
    shown = await inbox.get(path, headers=as_(name))
    claimed = await post(inbox, f"/claim{path}", name)
    voted = await post(inbox, path, name, "option=0")
    found = (shown.status_code, 'class="answer"' in shown.text, voted.status_code, claimed.status_code)
    assert found == PAGES[name]
    elsewhere = await asked_by(inbox, "ada", "binary_choice", assignees=["op", "group:finance"], votes=2)
    assert [(await reply).status_code for reply in (
        inbox.get(elsewhere, headers=as_("grace")), post(inbox, elsewhere, "grace", "option=0"),
        post(inbox, f"/claim{elsewhere}", "grace"),
    )] == [404, 404, 404]  # fmt: skip
