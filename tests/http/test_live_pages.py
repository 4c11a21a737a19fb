"""What open pages are told of what others do: the rows of a list that have changed, and nothing that is for somebody else."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from html_pages import Read
from people import as_, asked_by, execution_of, inbox_served, live_address
from restpoint.http import bearer_tokens
from restpoint.http.pages import changes
from serving import Event, asked, events, make_app, served
from support import PATIENCE


@pytest_asyncio.fixture
async def inbox(file: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with inbox_served(file) as client:
        yield client


async def post(client: httpx.AsyncClient, path: str, name: str, **form: str) -> None:
    origin = str(client.base_url).rstrip("/")
    reply = await client.post(path, data=form, headers={"origin": origin, **as_(name)})
    assert reply.status_code == 303, reply.text


def key_of(path: str) -> str:
    """What the row of a prompt is known by."""
    _, _, execution_id, _, interaction_id = path.split("/")
    return f"{execution_id}/{interaction_id}"


async def told_until(stream: AsyncIterator[Event], path: str) -> list[Event]:
    """What is told until the row of this prompt is."""
    told: list[Event] = []
    async with asyncio.timeout(PATIENCE):
        async for each in stream:
            told.append(each)
            if any(path in row for row in each.data.get("rows", ())):
                break
    return told


async def test_a_list_is_told_which_prompt_somebody_else_has_answered(inbox: httpx.AsyncClient) -> None:
    path = await asked_by(inbox, "ada", "text", assignees=["ada", "grace"])
    async with inbox.stream("GET", await live_address(inbox, "/", "grace"), headers=as_("grace")) as reply:
        stream = events(reply)
        await post(inbox, path, "ada", text="yes")
        async with asyncio.timeout(PATIENCE):
            told = await anext(stream)
    assert (told.name, told.data) == ("rows", {"rows": [], "gone": [key_of(path)]})


async def test_a_list_is_told_of_no_prompt_that_its_reader_may_not_answer(inbox: httpx.AsyncClient) -> None:
    async with inbox.stream("GET", await live_address(inbox, "/", "joan"), headers=as_("joan")) as reply:
        stream = events(reply)
        path = await asked_by(inbox, "joan", "text", assignees=["group:finance", "ada"], four_eyes=True)
        await post(inbox, path, "ada", text="yes")
        told = await told_until(stream, await asked_by(inbox, "ada", "text", assignees=["joan"]))
    assert key_of(path) not in str([each.data for each in told])
    assert execution_of(path) not in str([each.data for each in told])


async def test_a_row_is_told_as_each_reader_sees_it(inbox: httpx.AsyncClient) -> None:
    path = await asked_by(inbox, "ada", "text", assignees=["ada", "grace"])
    await post(inbox, f"/claim{path}", "ada")
    words = {}
    for name in ("ada", "grace"):
        async with inbox.stream("GET", "/live?after=0", headers=as_(name)) as reply:
            (told,) = await told_until(events(reply), path)
            words[name] = Read(told.data["rows"][0]).words
    assert "taken by you" in words["ada"]
    assert "started by" not in words["ada"]
    assert "taken by ada" in words["grace"]
    assert "started by ada" in words["grace"]


async def test_the_lists_of_the_others_are_told_of_a_vote(inbox: httpx.AsyncClient) -> None:
    path = await asked_by(inbox, "ada", "radio", assignees=["ada", "grace", "joan"], votes=2)
    heard = {}
    async with (
        inbox.stream("GET", await live_address(inbox, "/", "ada"), headers=as_("ada")) as hers,
        inbox.stream("GET", await live_address(inbox, "/", "joan"), headers=as_("joan")) as theirs,
    ):
        await post(inbox, path, "ada", option="0")
        async with asyncio.timeout(PATIENCE):
            heard = {name: await anext(events(each)) for name, each in (("ada", hers), ("joan", theirs))}
    assert heard["ada"].data == {"rows": [], "gone": [key_of(path)]}, "she has voted on it"
    assert "1 voted, 2 equal votes decide" in Read(heard["joan"].data["rows"][0]).words


@pytest.mark.parametrize("page", ["the list", "the prompt"])
async def test_what_happens_while_a_page_is_on_its_way_to_a_browser_is_told(
    inbox: httpx.AsyncClient, page: str
) -> None:
    path = await asked_by(inbox, "ada", "text", assignees=["ada", "grace"])
    address = await live_address(inbox, "/" if page == "the list" else path, "ada")
    await post(inbox, path, "grace", text="yes")
    async with inbox.stream("GET", address, headers=as_("ada")) as reply, asyncio.timeout(PATIENCE):
        told = await anext(events(reply))
    assert told.name == ("rows" if page == "the list" else "changed")


async def test_a_list_that_has_missed_much_is_told_to_ask_again(
    inbox: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "_MOST_PROMPTS", 2)
    for _ in range(3):
        await asked_by(inbox, "ada", "text")
    async with inbox.stream("GET", "/live?after=0", headers=as_("ada")) as reply, asyncio.timeout(PATIENCE):
        assert (await anext(events(reply))).name == "changed"


async def test_a_list_is_told_no_row_once_its_reader_has_signed_out(file: Path) -> None:
    tokens = file.parent / "tokens.json"
    token = bearer_tokens.add(tokens, "ada")
    async with served(make_app(file, tokens_file=tokens)) as client:
        origin = {"origin": str(client.base_url).rstrip("/")}
        await client.post("/auth/sign-in", data={"token": token}, headers=origin)
        async with client.stream("GET", "/live") as reply, asyncio.timeout(PATIENCE):
            await client.post("/auth/sign-out", headers=origin)
            await asked(client, "greet", "Ada", authorization=f"Bearer {token}")
            told = await anext(events(reply))
            assert (told.name, told.data["code"]) == ("error", "not_authenticated")


async def test_a_place_to_follow_from_that_is_no_number_is_refused(inbox: httpx.AsyncClient) -> None:
    reply = await inbox.get("/live?after=yesterday", headers=as_("ada"))
    assert (reply.status_code, reply.json()["code"]) == (422, "invalid_argument")
