"""The pages for people as a browser asks for them: what they show, what they take, and what they refuse."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st

from html_pages import Read
from people import NASTY, PROMPTS, as_, ask, asked_by, by_cookie, execution_of, inbox_served, live_address
from restpoint import ExecutionStore, Runner
from restpoint._core import markdown
from restpoint.http.app import router
from restpoint.http.pages import rendering
from restpoint.http.pages.answers import READERS
from restpoint.prompts import PROMPTS as KINDS
from restpoint.service import service
from serving import ended, events, served
from support import PATIENCE, sql

FORM = {"content-type": "application/x-www-form-urlencoded"}
ANSWERS: dict[str, tuple[str, dict[str, Any]]] = {
    "text": ("text=Dear+Grace%0D%0Ahello", {"text": "Dear Grace\nhello"}),
    "notification": ("", {"text": "Acknowledged."}),
    "binary_choice": ("option=1", {"selected_option": PROMPTS["binary_choice"].options[1].model_dump()}),  # type: ignore[union-attr]
    "radio": ("option=2", {"selected_option": PROMPTS["radio"].options[2].model_dump()}),  # type: ignore[union-attr]
    "checkbox": (
        "option=0&option=2",
        {"selected_options": [PROMPTS["checkbox"].options[n].model_dump() for n in (0, 2)]},  # type: ignore[union-attr]
    ),
    "form": (
        "content.amount=12.5&content.way=bank&content.reasons=late&content.note=a%0D%0Ab&content.country=&action=submit",
        {
            "action": "submit",
            "content": {
                "customer": "Grace Hopper",
                "amount": 12.5,
                "parcels": 1,
                "way": "bank",
                "reasons": ["late"],
                "urgent": False,
                "note": "a\nb",
            },
        },
    ),
    "dropdown": ("option=0", {"selected_option": PROMPTS["dropdown"].options[0].model_dump()}),  # type: ignore[union-attr]
}


@pytest_asyncio.fixture
async def inbox(file: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with inbox_served(file) as client:
        yield client


async def page(client: httpx.AsyncClient, path: str, name: str, status: int = 200) -> Read:
    reply = await client.get(path, headers=as_(name))
    assert reply.status_code == status, reply.text
    return Read(reply.text)


async def post(client: httpx.AsyncClient, path: str, name: str, form: str, **headers: str) -> httpx.Response:
    return await client.post(path, content=form, headers={**FORM, **as_(name), **headers})


def test_every_kind_of_prompt_has_a_form() -> None:
    kinds = {str(kind.model_fields["input_type"].default) for kind in KINDS}
    assert set(READERS) == kinds


# --- Whose it is -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["/", "/decided", "/attention", "/view/x", "/view/x/prompt/y"])
async def test_a_page_for_nobody_leads_to_the_sign_in(inbox: httpx.AsyncClient, address: str) -> None:
    reply = await inbox.get(address)
    assert reply.status_code == 401
    assert 'href="/auth/sign-in"' in reply.text
    assert reply.headers["content-type"].startswith("text/html")


async def test_a_prompt_is_shown_to_whom_it_is_for_and_to_nobody_else(inbox: httpx.AsyncClient) -> None:
    path = await asked_by(inbox, "ada", "text", assignees=["group:finance"])
    for name, status in {"joan": 200, "ada": 200, "op": 200, "eye": 200, "grace": 404}.items():
        assert (await inbox.get(path, headers=as_(name))).status_code == status
    assert "for you to see" in (await page(inbox, path, "grace", 404)).words
    assert (await page(inbox, path, "joan")).of("textarea")
    for name in ("ada", "eye"):  # who started it, and a reader, see it and cannot answer
        read = await page(inbox, path, name)
        assert "This is not yours to answer" in read.words
        assert "the group finance" in read.words
        assert not read.of("textarea")
    refused = await post(inbox, path, "ada", "text=mine")
    assert refused.status_code == 403
    assert "mine" in Read(refused.text).words, "nothing that was typed is lost"


async def test_whoever_sees_everything_finds_their_own_consents_among_those_of_others(
    inbox: httpx.AsyncClient, file: Path
) -> None:
    async with ExecutionStore(database=file) as store:
        for number, owner in enumerate(["eye", "eye", *["grace"] * 51]):
            record = await store.create_execution(owner=owner)
            if number == 1:
                await store.set_interaction_required(record.execution_id, PROMPTS["text"], assignees=["joan"])
            await store.set_oauth_required(record.execution_id, f"https://id.example/?state={number}", str(number))
    assert (await page(inbox, "/", "eye")).words.count("Allow access") == 2, "also where a prompt was asked before it"
    assert (await page(inbox, "/", "joan")).words.count("Allow access") == 0
    assert (await page(inbox, "/", "op")).words.count("Allow access") == 0


async def test_a_consent_beside_a_question_is_found_however_many_questions_are_newer(
    inbox: httpx.AsyncClient, file: Path
) -> None:
    async with ExecutionStore(database=file) as store:
        for owner in ("ada", None):
            record = await store.create_execution(owner=owner)
            await store.set_interaction_required(record.execution_id, PROMPTS["text"], assignees=["joan"])
            await store.set_oauth_required(record.execution_id, f"https://id.example/?state={owner}", f"{owner}")
            newer = await asyncio.gather(*(store.create_execution(owner=owner) for _ in range(51)))
            await asyncio.gather(
                *(
                    store.set_interaction_required(each.execution_id, PROMPTS["text"], assignees=["joan"])
                    for each in newer
                )
            )
    assert (await page(inbox, "/", "ada")).words.count("Allow access") == 1
    assert (await page(inbox, "/", "op")).words.count("Allow access") == 1, "of nobody, for operators"
    assert (await page(inbox, "/", "grace")).words.count("Allow access") == 0


async def test_an_inbox_that_has_not_all_consents_says_that_there_are_more(
    inbox: httpx.AsyncClient, file: Path
) -> None:
    async with ExecutionStore(database=file) as store:

        async def needs_consent(number: int) -> None:
            record = await store.create_execution(owner="ada")
            await store.set_oauth_required(record.execution_id, f"https://id.example/?state={number}", str(number))

        await asyncio.gather(*map(needs_consent, range(50)))
        full = await page(inbox, "/", "ada")
        assert (full.words.count("Allow access"), "Waiting for you 50\n" in full.words) == (50, True)
        await needs_consent(50)
        cut = await page(inbox, "/", "ada")
    assert (cut.words.count("Allow access"), "Waiting for you 50+\n" in cut.words) == (50, True)
    assert "There are more consents" in cut.words
    assert "There are more consents" not in full.words


async def test_a_page_of_what_somebody_may_not_answer_does_not_say_that_nothing_waits(
    inbox: httpx.AsyncClient, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_INBOX_READINGS", 1)  # as if there were ten times as many
    async with ExecutionStore(database=file) as store:
        for owner in (*["op"] * 50, "ada"):
            record = await store.create_execution(owner=owner)
            await store.set_interaction_required(
                record.execution_id, PROMPTS["text"], four_eyes=True, assignees=["joan"]
            )
    first = await page(inbox, "/", "op")
    (link,) = [str(each["href"]) for each in first.of("a") if "cursor=" in str(each["href"])]
    assert "hidden" in next(each for each in first.of("div") if each.get("id") == "nothing")
    last = await page(inbox, link, "op")
    assert [str(each["href"]) for each in last.of("a") if "/prompt/" in str(each["href"])]


async def test_a_timeline_that_is_cut_says_so(inbox: httpx.AsyncClient, file: Path) -> None:
    async with ExecutionStore(database=file) as store:
        record = await store.create_execution(owner="ada")
        await asyncio.gather(*(store.hold(record.execution_id, f"reason {number}") for number in range(499)))
        whole = await page(inbox, f"/view/{record.execution_id}", "op")
        await store.set_failed(record.execution_id, "the card was refused")
        cut = await page(inbox, f"/view/{record.execution_id}", "op")
    assert [read.words.count("Put on hold") for read in (whole, cut)] == [499, 499]
    assert ["More happened after this" in read.words for read in (whole, cut)] == [False, True]


async def test_the_inbox_is_sorted_by_deadline_and_counts(inbox: httpx.AsyncClient) -> None:
    assert "Nothing waits for you" in (await page(inbox, "/", "ada")).words
    for timeout in (None, 9_000, 600):
        await asked_by(inbox, "ada", "radio" if timeout == 600 else "text", **({"timeout": timeout} if timeout else {}))
    await asked_by(inbox, "grace", "text")
    reply = await inbox.get("/", headers=as_("ada"))
    assert "<title>(3) Inbox · restpoint</title>" in reply.text
    assert re.findall(r"Due in ([^<]+)<", reply.text) == ["10 minutes", "2 hours"]
    assert reply.text.index("How shall we reach her?") < reply.text.index("What shall we tell her?")


async def test_the_pages_say_who_was_reminded_and_when_a_prompt_escalates(inbox: httpx.AsyncClient) -> None:
    path = await asked_by(
        *(inbox, "ada", "text"),
        assignees=["joan", "group:legal"],
        remind_after=[0.05, 7_000],
        escalate_after=9_000,
        escalate_to=["op"],
    )
    shown = await until_in(inbox, "/", "joan", "Reminded")
    assert re.findall(r"Escalates in ([^<]+)<", shown) == ["2 hours"]
    about = (await page(inbox, path, "joan")).words
    assert re.search(r"Reminder\s*given \d+ \w+ .* UTC\s*next \d+ \w+ ", about)
    assert re.search(r"Escalates\s*\d+ \w+ .* UTC\s*to op", about)
    view = (await page(inbox, f"/view/{execution_of(path)}", "ada")).words
    assert "Escalates in 2 hours" in view
    assert re.search(r"Reminded\s.* UTC\s*joan, the group legal", view)
    (prompt,) = (await inbox.get(f"/executions/{execution_of(path)}", headers=as_("joan"))).json()["interactions"]
    assert prompt["reminders"]["remind_at"] == pytest.approx(prompt["created_at"] + 7_000)
    assert prompt["reminders"]["reminded_at"] >= prompt["created_at"] + 0.05
    assert (prompt["reminders"]["escalate_to"], prompt["reminders"]["escalated_at"]) == (["op"], None)
    (item,) = (await inbox.get("/inbox", headers=as_("joan"))).json()["items"]
    assert item["reminders"] == prompt["reminders"]


async def test_the_pages_say_that_a_prompt_escalated_and_that_one_could_not(inbox: httpx.AsyncClient) -> None:
    terms = {"assignees": ["joan"], "four_eyes": True, "escalate_after": 0.05}
    path = await asked_by(inbox, "ada", "text", escalate_to=["grace"], **terms)
    await until_in(inbox, "/", "grace", "Escalated")
    assert re.search(r"Escalated\s*\d+ \w+ .* UTC\s*to you", (await page(inbox, path, "grace")).words)
    assert path not in (await inbox.get("/", headers=as_("joan"))).text
    path = await asked_by(inbox, "ada", "text", escalate_to=["ada"], **terms)
    await until_in(inbox, path, "joan", "Could not escalate")


async def test_the_inbox_can_be_filtered_by_workflow(inbox: httpx.AsyncClient) -> None:
    await asked_by(inbox, "ada", "text")
    await inbox.post("/v1/workflows/tell", headers=as_("ada"))
    text = await until_in(inbox, "/?workflow=tell", "ada", "What shall we tell her?")
    shown = [each for each in Read(text).of("li") if str(each.get("class")).startswith("item")]
    assert len(shown) == 1
    assert "Nothing of this workflow" in (await page(inbox, "/?workflow=other", "ada")).words


async def until_in(client: httpx.AsyncClient, path: str, name: str, words: str) -> str:
    async with asyncio.timeout(PATIENCE):
        while True:
            text = (await client.get(path, headers=as_(name))).text
            if words in text:
                return text
            await asyncio.sleep(0.01)


async def test_an_address_without_a_page_is_told_in_a_page_to_people_and_as_a_problem_to_programs(
    inbox: httpx.AsyncClient,
) -> None:
    page = await inbox.get("/nowhere", headers={"sec-fetch-mode": "navigate"})
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "There is no page at this address" in page.text
    problem = await inbox.get("/nowhere")
    assert (problem.status_code, problem.json()["code"]) == (404, "route_not_found")


# --- Answering -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ANSWERS)
async def test_each_kind_is_answered_with_its_form(inbox: httpx.AsyncClient, kind: str) -> None:
    path = await asked_by(inbox, "ada", kind)
    form, wanted = ANSWERS[kind]
    reply = await post(inbox, path, "ada", f"{form}&comment=As+agreed")
    assert (reply.status_code, reply.headers["location"]) == (303, path)
    result = (await ended(inbox, execution_of(path), **as_("ada")))["result"]
    assert wanted.items() <= result.items()
    assert result["comment"] == "As agreed"
    read = await page(inbox, path, "ada")
    assert "You answered this" in read.words
    assert "As agreed" in read.words
    assert not read.of("form")
    assert "As agreed" not in (await page(inbox, "/", "ada")).words
    assert path in {each["href"] for each in (await page(inbox, "/decided", "ada")).of("a")}


@pytest.mark.parametrize(
    ("kind", "form", "says"),
    [
        ("text", "text=+%0D%0A&comment=kept", "Write an answer."),
        ("radio", "comment=kept", "Choose one of the options."),
        ("radio", "option=0&option=1&comment=kept", "Choose one of the options."),
        ("radio", "option=99&comment=kept", "Choose one of the options."),
        ("dropdown", "option=&comment=kept", "Choose one of the options."),
        ("checkbox", "comment=kept", "Choose at least one of the options."),
        ("checkbox", "option=0&option=0&comment=kept", "chosen twice"),
        ("form", "action=submit&content.note=kept&content.way=bank&content.amount=much", "Amount in EUR: "),
        ("form", "action=decline&content.note=kept", "Say in the comment why you decline."),
        ("binary_choice", "comment=kept", "Choose one of the options."),
        ("notification", "comment=kept" + "x" * 10_000, "The comment has 10,004 characters"),
        ("text", "text=kept&comment=%00", "control character"),
    ],
)
async def test_a_wrong_answer_shows_the_page_again(inbox: httpx.AsyncClient, kind: str, form: str, says: str) -> None:
    path = await asked_by(inbox, "ada", kind)
    reply = await post(inbox, path, "ada", form)
    assert reply.status_code == 422
    read = Read(reply.text)
    assert says in read.words
    assert "kept" in read.words
    assert "<title>Error: " in reply.text
    ids = {attributes.get("id") for _, attributes in read.elements}
    links = [each["href"] for each in read.of("a") if str(each.get("href")).startswith("#")]
    assert {str(link)[1:] for link in links} <= ids, "each mistake leads to its field"
    assert (await inbox.get(f"/executions/{execution_of(path)}", headers=as_("ada"))).json()["status"] != "completed"


async def test_what_was_chosen_is_still_chosen_after_a_mistake(inbox: httpx.AsyncClient) -> None:
    path = await asked_by(inbox, "ada", "checkbox")
    reply = await post(inbox, path, "ada", f"option=0&option=2&comment={'x' * 10_001}")
    chosen = [each["value"] for each in Read(reply.text).of("input") if "checked" in each]
    assert (reply.status_code, chosen) == (422, ["0", "2"])


async def test_a_form_is_declined_with_a_reason(inbox: httpx.AsyncClient) -> None:
    path = await asked_by(inbox, "ada", "form")
    assert (await post(inbox, path, "ada", "action=decline&comment=Not+mine")).status_code == 303
    assert "Not mine" in (await page(inbox, path, "ada")).words


async def test_who_comes_second_is_told_who_was_first_and_keeps_what_they_wrote(inbox: httpx.AsyncClient) -> None:
    path = await asked_by(inbox, "ada", "text", assignees=["ada", "grace"])
    assert (await post(inbox, path, "grace", "text=first")).status_code == 303
    reply = await post(inbox, path, "ada", "text=second&comment=mine")
    assert reply.status_code == 409
    words = Read(reply.text).words
    assert "Answered by grace" in words
    assert "second" in words
    assert "mine" in words
    assert "Somebody else was first" in words


async def test_who_answers_again_otherwise_is_told_that_the_first_answer_stays(inbox: httpx.AsyncClient) -> None:
    path = await asked_by(inbox, "ada", "text")
    assert (await post(inbox, path, "ada", "text=first")).status_code == 303
    reply = await post(inbox, path, "ada", "text=second")
    words = Read(reply.text).words
    assert (reply.status_code, "Somebody else" in words) == (409, False)
    assert "You have answered already, and your first answer stays." in words
    assert "second" in words, "what was written is there to be kept"


async def test_a_late_and_a_withdrawn_prompt_say_so(inbox: httpx.AsyncClient) -> None:
    late = await asked_by(inbox, "ada", "text", timeout=0.01)
    withdrawn = await asked_by(inbox, "ada", "text")
    await ended(inbox, execution_of(late), **as_("ada"))
    reply = await post(inbox, f"/view/{execution_of(withdrawn)}/cancel", "ada", "reason=Paid+already")
    assert (reply.status_code, reply.headers["location"]) == (303, f"/view/{execution_of(withdrawn)}")
    for path, says, status in ((late, "Too late to answer", 410), (withdrawn, "Withdrawn", 410)):
        assert says in (await page(inbox, path, "ada")).words
        reply = await post(inbox, path, "ada", "text=kept")
        assert reply.status_code == status
        assert "kept" in Read(reply.text).words


async def test_a_get_answers_nothing(inbox: httpx.AsyncClient) -> None:
    path = await asked_by(inbox, "ada", "binary_choice")
    for each in (
        f"{path}?option=0",
        f"{path}/response?option=0",
        f"/view/{execution_of(path)}/cancel",
        "/",
        "/decided",
    ):
        await inbox.get(each, headers=as_("ada"))
        await inbox.head(each, headers=as_("ada"))
    assert (await inbox.get(f"/executions/{execution_of(path)}", headers=as_("ada"))).json()["interactions"]


@pytest.mark.parametrize("headers", [{"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}])
async def test_a_form_of_another_site_is_refused(inbox: httpx.AsyncClient, headers: dict[str, str]) -> None:
    path = await asked_by(inbox, "ada", "binary_choice")
    for each in (path, f"/view/{execution_of(path)}/cancel", f"/view/{execution_of(path)}/retry"):
        reply = await post(inbox, each, "ada", "option=0", **headers)
        assert reply.status_code == 403
        assert "another site" in reply.text
    assert (await inbox.get(f"/executions/{execution_of(path)}", headers=as_("ada"))).json()["interactions"]


# --- Executions ------------------------------------------------------------------------------------------------------


async def test_the_timeline_tells_steps_notices_prompts_and_answers_in_order(inbox: httpx.AsyncClient) -> None:
    started = (await inbox.post("/v1/workflows/tell", headers=as_("ada"))).json()
    path = f"/view/{started['execution_id']}"
    text = await until_in(inbox, path, "ada", "What shall we tell her?")
    words = " ".join(Read(text).words.split())
    told = ["Started by ada", "Step look_up", "The order was found.", "Is anybody there?", "Nobody answered in time"]
    # The last of each: a prompt that was open when the page was begun is named above the timeline too.
    assert sorted(told, key=words.rindex) == told


async def test_an_operator_finds_what_failed_and_takes_it_up_again(inbox: httpx.AsyncClient) -> None:
    assert "All is well" in (await page(inbox, "/attention", "op")).words
    await inbox.post("/v1/workflows/fail", headers=as_("ada"))
    failed = await page(inbox, "/attention", "op")
    (path,) = {str(each["href"]) for each in failed.of("a") if str(each["href"]).startswith("/view/")}
    assert "account_closed" in (await page(inbox, path, "op")).words
    assert f"{path}/retry" in {each.get("action") for each in (await page(inbox, path, "op")).of("form")}
    assert not (await page(inbox, path, "ada")).of("form"), "who started it cannot retry"
    assert (await post(inbox, f"{path}/retry", "ada", "")).status_code == 403
    assert (await post(inbox, f"{path}/retry", "op", "reason=again")).status_code == 303
    assert (await inbox.get("/attention", headers=as_("ada"))).status_code == 403


async def test_an_operator_finds_what_nobody_goes_on_with_however_much_is_newer(
    file: Path, inbox: httpx.AsyncClient
) -> None:
    path = await asked_by(inbox, "ada", "text")
    with sql(file) as another:
        another.execute("UPDATE executions SET problem = 'Its code has changed.'")
    for _ in range(101):
        await asked_by(inbox, "ada", "text")
    found = await page(inbox, "/attention", "op")
    (link,) = {str(each["href"]) for each in found.of("a") if str(each["href"]).startswith("/view/")}
    assert link == f"/view/{execution_of(path)}"
    assert "Its code has changed." in found.words
    listed = await inbox.get("/executions", params={"problem": "true"}, headers=as_("op"))
    assert [each["execution_id"] for each in listed.json()["items"]] == [execution_of(path)]
    assert (await inbox.get("/executions", params={"problem": "yes"}, headers=as_("op"))).status_code == 422


async def test_a_change_that_is_not_possible_any_more_says_why(inbox: httpx.AsyncClient) -> None:
    path = await asked_by(inbox, "ada", "notification")
    await post(inbox, path, "ada", "")
    await ended(inbox, execution_of(path), **as_("ada"))
    reply = await post(inbox, f"/view/{execution_of(path)}/cancel", "ada", "reason=paid+already")
    assert reply.status_code == 409
    assert "Nothing was changed" in reply.text
    assert "paid already" in Read(reply.text).words


# --- What others wrote -----------------------------------------------------------------------------------------------


async def test_script_in_every_text_field_is_shown_as_text(inbox: httpx.AsyncClient) -> None:
    radio, text = await asked_by(inbox, "ada", "nasty"), await asked_by(inbox, "ada", "nasty_text")
    form = await asked_by(inbox, "ada", "form")
    comment = httpx.QueryParams({"option": "0", "text": NASTY, "comment": NASTY})
    wrong = await post(inbox, radio, "ada", f"comment={'x' * 10_001}&{comment}&option=7")
    await post(inbox, text, "ada", str(comment))
    told = (await inbox.post("/v1/workflows/tell", headers=as_("ada"))).json()["execution_id"]
    await inbox.post("/v1/workflows/fail", headers=as_("ada"))
    paths = [
        "/",
        "/decided",
        radio,
        text,
        form,
        f"/view/{execution_of(text)}",
        f"/view/{told}",
        "/attention",
        f"/?workflow={NASTY}",
    ]
    pages = [wrong.text] + [
        (await inbox.get(path, headers=as_("op" if path == "/attention" else "ada"))).text for path in paths
    ]
    for shown in pages:
        read = Read(shown)
        assert [each["src"].split("?")[0] for each in read.of("script")] == ["/assets/inbox.js"]  # type: ignore[union-attr]
        assert not read.of("img")
        for tag, attributes in read.elements:
            assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
            assert not str(attributes.get("href", "")).startswith(("javascript:", "data:"))
            for name in ("src", "action", "href"):
                link = attributes.get(name)
                assert link is None or tag == "a" or str(link).startswith("/"), "nothing is loaded from elsewhere"
    assert sum("<script>alert(1)</script>" in Read(shown).words for shown in pages) > 5


_ALLOWED = {
    "p", "br", "strong", "em", "code", "pre", "a", "ul", "ol", "li", "blockquote", "hr", "h2", "h3", "h4", "h5", "h6",
    "table", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip


@given(
    st.text(st.sampled_from("<>&\"'`*_[]()!#|-:/ \n\tabscriptjvho=\\\u202e\x00"), max_size=120) | st.text(max_size=200)
)
@settings(max_examples=300, deadline=None)
def test_markdown_of_any_text_is_safe(text: str) -> None:
    title, rest = markdown.opening(text)
    for made in (title, rest, markdown.markdown(text)):
        for tag, attributes in Read(str(made)).elements:
            assert tag in _ALLOWED
            assert set(attributes) <= {"href", "title", "rel", "dir", "class", "start", "style"}
            assert str(attributes.get("href", "https:")).lower().startswith(("https:", "http:", "mailto:"))


@pytest.mark.parametrize(
    "text",
    [
        "[x](javascript:alert(1))", "[x](JaVaScRiPt:alert(1))", "[x](data:text/html,x)", "[x](/view/1/cancel)",
        "<a href='javascript:alert(1)'>x</a>", "![x](https://elsewhere.example/x.png)", "[x](vbscript:x)",
        "<https://good.example> [x]: javascript:alert(1)", "[x](&#106;avascript:alert(1))",
    ],
)  # fmt: skip
def test_markdown_has_no_way_to_run_or_load_anything(text: str) -> None:
    read = Read(str(markdown.markdown(text)))
    links = [each["href"] for each in read.of("a")]
    assert [link for link in links if not str(link).startswith("https://")] == []
    assert not read.of("img")


# --- How it is sent --------------------------------------------------------------------------------------------------


async def test_pages_are_stored_nowhere_and_run_only_their_own_script(inbox: httpx.AsyncClient) -> None:
    path = await asked_by(inbox, "ada", "text")
    for each in ("/", "/decided", path, f"/view/{execution_of(path)}", "/view/none"):
        reply = await inbox.get(each, headers=as_("ada"))
        policy = dict(part.split(" ", 1) for part in reply.headers["content-security-policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert {policy[name] for name in ("script-src", "style-src", "connect-src", "form-action")} == {"'self'"}
        assert "unsafe" not in reply.headers["content-security-policy"]
        assert reply.headers["cache-control"] == "no-store"
        assert "style=" not in reply.text
    for name in rendering.NAMES:
        reply = await inbox.get(f"/assets/{name}")
        assert (reply.status_code, "immutable" in reply.headers["cache-control"]) == (200, True)
    assert (await inbox.get("/assets/..%2Finbox.py")).status_code == 404


async def test_an_application_mounts_the_pages_below_a_path_of_its_own(file: Path) -> None:
    store = ExecutionStore(database=file)
    async with store, Runner(store, [ask]) as runner:
        app = FastAPI()
        app.include_router(router(store, runner, authenticate=by_cookie, pages=True), prefix="/approvals")
        async with served(app) as client:
            reply = await client.post("/approvals/v1/workflows/ask", json={"kind": "text"}, headers=as_("ada"))
            assert reply.status_code == 202
            read = await page(client, "/approvals/", "ada")
            links = {str(each.get("href")) for tag, each in read.elements if tag in {"a", "link"} and "href" in each}
            assert {link for link in links if not link.startswith(("/approvals/", "#"))} == set()
            (prompt,) = [link for link in links if "/prompt/" in link]
            reply = await post(client, prompt, "ada", "text=yes")
            assert (reply.status_code, reply.headers["location"]) == (303, prompt)


async def test_routes_have_no_pages_unless_an_application_wants_them(file: Path) -> None:
    async with inbox_served(file, pages=False) as client:
        assert (await client.get("/", headers=as_("ada"))).status_code == 404


# --- Live ------------------------------------------------------------------------------------------------------------


async def test_an_open_list_hears_of_what_concerns_its_reader_and_of_nothing_else(inbox: httpx.AsyncClient) -> None:
    async with inbox.stream("GET", await live_address(inbox, "/", "joan"), headers=as_("joan")) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        stream = events(reply)
        first = asyncio.ensure_future(anext(stream))
        await asked_by(inbox, "ada", "text")  # not for Joan
        path = await asked_by(inbox, "ada", "text", assignees=["group:finance"])
        async with asyncio.timeout(PATIENCE):
            told = await first
            assert (told.name, told.data["gone"]) == ("rows", [])
            assert [Read(row).of("a")[0]["href"] for row in told.data["rows"]] == [path]
            await post(inbox, path, "joan", "text=yes")
            gone = path.removeprefix("/view/").replace("/prompt/", "/")
            assert (await anext(stream)).data == {"rows": [], "gone": [gone]}


async def test_an_open_prompt_hears_that_somebody_else_answered(inbox: httpx.AsyncClient) -> None:
    path = await asked_by(inbox, "ada", "text", assignees=["ada", "grace"])
    address = f"/live?execution={execution_of(path)}"
    async with inbox.stream("GET", await live_address(inbox, path, "grace"), headers=as_("grace")) as reply:
        stream = events(reply)
        first = asyncio.ensure_future(anext(stream))
        await post(inbox, path, "ada", "text=yes")
        async with asyncio.timeout(PATIENCE):
            assert (await first).name == "changed"
    assert (await inbox.get(address, headers=as_("joan"))).status_code == 404
    assert (await inbox.get(address)).status_code == 401


# --- Claims ----------------------------------------------------------------------------------------------------------


async def test_a_prompt_that_somebody_has_taken_is_theirs_until_they_give_it_back(inbox: httpx.AsyncClient) -> None:
    path = await asked_by(inbox, "ada", "text", assignees=["ada", "grace"])
    assert f"/claim{path}" in {each.get("formaction") for each in (await page(inbox, path, "ada")).of("button")}
    assert (await post(inbox, f"/claim{path}", "ada", "")).headers["location"] == path
    assert "You have taken this" in (await page(inbox, path, "ada")).words
    for address in (path, "/"):
        assert "aken by ada" in (await page(inbox, address, "grace")).words
    assert not (await page(inbox, path, "grace")).of("form")
    refused = await post(inbox, path, "grace", "text=mine")
    assert refused.status_code == 409
    assert "mine" in Read(refused.text).words
    assert (await post(inbox, f"/claim{path}", "grace", "")).status_code == 303, "the page says who has it"
    assert (await post(inbox, f"/release{path}", "ada", "")).status_code == 303
    assert (await page(inbox, path, "grace")).of("form")
    assert (await post(inbox, path, "grace", "text=mine")).status_code == 303


async def test_an_inbox_of_many_goes_over_pages(inbox: httpx.AsyncClient) -> None:
    for _ in range(52):
        await asked_by(inbox, "ada", "notification")
    first = await inbox.get("/", headers=as_("ada"))
    assert "<title>(50+) Inbox" in first.text
    (following,) = [each["href"] for each in Read(first.text).of("a") if str(each["href"]).startswith("/?cursor=")]
    second = await page(inbox, str(following), "ada")
    assert len([each for each in second.of("li") if str(each.get("class")).startswith("item")]) == 2
