"""Handing a prompt on from its page, and the session that ends while somebody types: as a browser sends it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from html_pages import Read
from people import as_, asked_by, execution_of, inbox_served, live_address
from restpoint.http import bearer_tokens
from restpoint.http.pages import live
from serving import asked, events, make_app, served, take
from support import PATIENCE

FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest_asyncio.fixture
async def inbox(file: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with inbox_served(file) as client:
        yield client


async def post(client: httpx.AsyncClient, path: str, name: str, form: str, **headers: str) -> httpx.Response:
    return await client.post(path, content=form, headers={**FORM, **as_(name), **headers})


async def page(client: httpx.AsyncClient, path: str, name: str) -> Read:
    return Read((await client.get(path, headers=as_(name))).text)


# --- Handing on ------------------------------------------------------------------------------------------------------


async def test_a_prompt_is_handed_on_and_waits_for_the_other_person_then(inbox: httpx.AsyncClient) -> None:
    path = await asked_by(inbox, "ada", "text", assignees=["joan"])
    reply = await post(inbox, f"/delegate{path}", "joan", "delegate-to=+grace+&delegate-reason=on+holiday")
    assert (reply.status_code, reply.headers["location"]) == (303, "/?done=delegate")
    assert "You handed it on" in (await page(inbox, reply.headers["location"], "joan")).words
    assert path in {each.get("href") for each in (await page(inbox, "/", "grace")).of("a")}
    assert "on holiday" in (await page(inbox, path, "ada")).words, "the history has the reason"
    assert (await post(inbox, path, "joan", "text=mine")).status_code == 404
    assert (await post(inbox, path, "grace", "text=hers")).status_code == 303


async def test_whoever_hands_their_own_prompt_on_still_sees_it(inbox: httpx.AsyncClient) -> None:
    path = await asked_by(inbox, "ada", "text")
    reply = await post(inbox, f"/delegate{path}", "ada", "delegate-to=group:finance")
    assert (reply.status_code, reply.headers["location"]) == (303, path)
    assert "the group finance" in (await page(inbox, path, "ada")).words


async def test_an_operator_addresses_a_prompt_to_several_others(inbox: httpx.AsyncClient) -> None:
    path = await asked_by(inbox, "ada", "text", assignees=["grace"])
    assert (await post(inbox, f"/claim{path}", "grace", "")).status_code == 303
    reply = await post(inbox, f"/reassign{path}", "op", "reassign-to=joan%0D%0A%0D%0Agroup:finance%0D%0A")
    assert (reply.status_code, reply.headers["location"]) == (303, path)
    assert "joan, the group finance" in (await page(inbox, path, "op")).words
    assert (await inbox.get(path, headers=as_("grace"))).status_code == 404


@pytest.mark.parametrize("verb", ["delegate", "reassign"])
@pytest.mark.parametrize(
    ("to", "says"),
    [("", "Say to whom"), ("+%0D%0A+", "Say to whom"), ("group:", "can reach nobody"), ("a%00b", "NUL character")],
)
async def test_a_name_that_reaches_nobody_shows_the_page_again_with_what_was_typed(
    inbox: httpx.AsyncClient, verb: str, to: str, says: str
) -> None:
    path, name = await asked_by(inbox, "ada", "form"), "ada" if verb == "delegate" else "op"
    reply = await post(inbox, f"/{verb}{path}", name, f"{verb}-to={to}&{verb}-reason=kept")
    read = Read(reply.text)
    assert (reply.status_code, says in read.words) == (422, True)
    assert "<title>Error: " in reply.text
    assert ">\nkept</textarea>" in reply.text
    wrong = next(each for each in [*read.of("input"), *read.of("textarea")] if each.get("aria-invalid"))
    assert wrong["id"] == f"{verb}-to"
    assert f"#{verb}-to" in {each.get("href") for each in read.of("a")}
    assert "open" in next(each for each in read.of("details") if "hand" in str(each.get("class")))
    assert 'value="1"' in reply.text, "the form shows its default, as before"


# What the form of an answer has, of which the fields for handing on are a part.
BEGUN = {
    "text": ("text=half+a+sentence&comment=and+why", [">\nhalf a sentence</textarea>", ">\nand why</textarea>"]),
    "radio": ("option=1&comment=and+why", ['id="option-1" value="1" checked', ">\nand why</textarea>"]),
    "form": ("content.amount=12.5&content.parcels=7&comment=", ['value="12.5"', 'value="7"']),
}


@pytest.mark.parametrize("kind", BEGUN)
@pytest.mark.parametrize("verb", ["delegate", "reassign"])
async def test_an_answer_that_was_begun_is_kept_where_a_prompt_is_handed_to_nobody(
    inbox: httpx.AsyncClient, kind: str, verb: str
) -> None:
    path, (begun, kept) = await asked_by(inbox, "op", kind, assignees=["op", "grace"]), BEGUN[kind]
    reply = await post(inbox, f"/{verb}{path}", "op", f"{begun}&{verb}-to=group:")
    assert reply.status_code == 422
    for each in kept:
        assert each in reply.text
    form = next(each for each in Read(reply.text).of("form") if each.get("class") == "answer")
    assert form["action"] == path, "the next button sends the answer, and hands nothing on"


@pytest.mark.parametrize("kind", BEGUN)
async def test_an_answer_that_was_begun_is_kept_where_a_prompt_is_taken_and_given_back(
    inbox: httpx.AsyncClient, kind: str
) -> None:
    path, (begun, kept) = await asked_by(inbox, "ada", kind, assignees=["ada", "grace"]), BEGUN[kind]
    for verb, words in (("claim", "You have taken this"), ("release", "Take it, so that nobody else answers it")):
        reply = await post(inbox, f"/{verb}{path}", "ada", begun)
        assert reply.status_code == 200
        assert words in Read(reply.text).words
        for each in kept:
            assert each in reply.text


async def test_an_answer_that_was_begun_is_shown_where_somebody_else_has_taken_the_prompt(
    inbox: httpx.AsyncClient,
) -> None:
    path = await asked_by(inbox, "ada", "text", assignees=["ada", "grace"])
    await post(inbox, f"/claim{path}", "grace", "")
    reply = await post(inbox, f"/claim{path}", "ada", "text=half+a+sentence&comment=")
    assert (reply.status_code, "Somebody else has taken it" in reply.text) == (409, True)
    assert "half a sentence" in Read(reply.text).words


async def test_an_answer_to_a_prompt_that_was_addressed_to_others_meanwhile_is_shown_to_its_sender(
    inbox: httpx.AsyncClient,
) -> None:
    path = await asked_by(inbox, "ada", "text", assignees=["grace"])
    await post(inbox, f"/reassign{path}", "op", "reassign-to=joan")
    reply = await post(inbox, path, "grace", "text=a+long+<b>sentence")
    assert reply.status_code == 404
    assert "a long <b>sentence" in Read(reply.text).words


async def test_a_page_that_a_form_made_says_which_page_it_shows(inbox: httpx.AsyncClient) -> None:
    path = await asked_by(inbox, "ada", "text")
    for address in (f"/delegate{path}", path):
        (main,) = Read((await post(inbox, address, "ada", "delegate-to=&text=")).text).of("main")
        assert main["data-page"] == path, "the script asks for that one, and not for the address of the form"


async def test_what_somebody_else_has_claimed_or_answered_is_not_handed_on(inbox: httpx.AsyncClient) -> None:
    path = await asked_by(inbox, "ada", "text", assignees=["ada", "grace"])
    await post(inbox, f"/claim{path}", "grace", "")
    reply = await post(inbox, f"/delegate{path}", "ada", "delegate-to=joan")
    assert (reply.status_code, "Somebody else has taken it" in reply.text) == (409, True)
    await post(inbox, path, "grace", "text=yes")
    for verb, name in (("delegate", "ada"), ("reassign", "op")):
        reply = await post(inbox, f"/{verb}{path}", name, f"{verb}-to=joan&{verb}-reason=kept")
        assert (reply.status_code, "Nothing was changed" in reply.text) == (409, True)
        assert "kept" in Read(reply.text).words


@pytest.mark.parametrize("verb", ["delegate", "reassign", "claim", "release"])
async def test_a_form_of_another_site_hands_nothing_on_and_a_get_neither(inbox: httpx.AsyncClient, verb: str) -> None:
    path = await asked_by(inbox, "op", "text", assignees=["op", "group:finance"])
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}):
        assert (await post(inbox, f"/{verb}{path}", "op", f"{verb}-to=eve", **headers)).status_code == 403
    assert (await inbox.get(f"/{verb}{path}?to=eve", headers=as_("op"))).status_code == 405
    (item,) = (await inbox.get("/inbox", headers=as_("op"))).json()["items"]
    assert (item["assignees"], item.get("claimed_by")) == (["op", "group:finance"], None)


# --- A session that ends while a page is open --------------------------------------------------------------------------


async def test_what_was_typed_when_the_session_ended_fills_the_form_after_a_new_sign_in(
    inbox: httpx.AsyncClient,
) -> None:
    path = await asked_by(inbox, "ada", "form")
    form = (
        "content.note=%0D%0Atwo%0D%0Alines&content.amount=12.5&content.way=bank&content.reasons=late"
        "&content.reasons=broken&comment=mine&action=submit"
    )
    ended = await inbox.post(path, content=form, headers=FORM)
    assert ended.status_code == 401
    read = Read(ended.text)
    assert "nothing was recorded" in read.words
    assert "two\nlines" in read.words
    (link,) = (each for each in read.of("a") if each.get("href") == "/auth/sign-in")
    assert link["target"] == "_blank"
    kept = [(str(each["name"]), str(each["value"])) for each in read.of("input")]
    again = await inbox.post(path, data=_form(kept), headers=as_("ada"))
    assert again.status_code == 200, "the form is shown, and nothing answered"
    filled = Read(again.text)
    assert "\ntwo\nlines" in again.text
    chosen = {(each["name"], each["value"]) for each in filled.of("input") if "checked" in each}
    assert {("content.way", "bank"), ("content.reasons", "late"), ("content.reasons", "broken")} <= chosen
    assert "12.5" in {each.get("value") for each in filled.of("input")}
    assert "mine" in filled.words
    assert "Error" not in again.text
    assert (await inbox.get(f"/executions/{execution_of(path)}", headers=as_("ada"))).json()["interactions"]


def _form(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


async def test_a_page_of_another_site_gets_nothing_shown_that_it_sent(inbox: httpx.AsyncClient) -> None:
    path = await asked_by(inbox, "ada", "text")
    reply = await inbox.post(path, content="text=evil", headers={**FORM, "sec-fetch-site": "cross-site"})
    assert (reply.status_code, "evil" in reply.text) == (403, False)


async def test_what_was_typed_before_a_late_sign_in_is_shown_where_somebody_else_was_first(
    inbox: httpx.AsyncClient,
) -> None:
    path = await asked_by(inbox, "ada", "text", assignees=["ada", "grace"])
    await post(inbox, path, "grace", "text=first")
    reply = await post(inbox, path, "ada", "text=second&again=yes")
    assert reply.status_code == 409
    assert "second" in Read(reply.text).words


async def test_the_stream_of_an_open_page_ends_with_the_session_and_says_so(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "CHECK_EVERY", 0.02)
    tokens = file.parent / "tokens.json"
    token = bearer_tokens.add(tokens, "ada")
    async with served(make_app(file, tokens_file=tokens)) as client:
        origin = {"origin": str(client.base_url).rstrip("/")}
        await client.post("/auth/sign-in", data={"token": token}, headers=origin)
        started = await asked(client, "greet", "Ada")
        address = f"/live?execution={started['execution_id']}"
        async with (
            client.stream("GET", "/live") as of_the_list,
            client.stream("GET", address) as of_the_prompt,
            asyncio.timeout(PATIENCE),
        ):
            ends = [asyncio.ensure_future(take(events(each), "error")) for each in (of_the_list, of_the_prompt)]
            await client.post("/auth/sign-out", headers=origin)
            for (last,) in await asyncio.gather(*ends):
                assert (last.name, last.data["code"]) == ("error", "not_authenticated")
        assert (await client.head("/live")).status_code == 401


async def test_an_open_list_hears_of_a_prompt_that_was_handed_to_somebody_and_away_from_them(
    inbox: httpx.AsyncClient,
) -> None:
    path = await asked_by(inbox, "ada", "text", assignees=["joan"])
    async with (
        inbox.stream("GET", await live_address(inbox, "/", "grace"), headers=as_("grace")) as hers,
        inbox.stream("GET", await live_address(inbox, "/", "joan"), headers=as_("joan")) as theirs,
        asyncio.timeout(PATIENCE),
    ):
        heard = [asyncio.ensure_future(anext(events(each))) for each in (hers, theirs)]
        await post(inbox, f"/delegate{path}", "joan", "delegate-to=grace")
        assert [each.name for each in await asyncio.gather(*heard)] == ["rows", "changed"]
