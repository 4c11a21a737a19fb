"""The pages for people in a real browser: with and without JavaScript, by keyboard, on a small screen, and read by axe-core."""

from asyncio import to_thread
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from selenium.webdriver.common.by import By

from chromium import Browser
from people import as_, asked_by, execution_of, inbox_served
from served import Served
from serving import ended
from visiting import FOLLOWING, Person

pytestmark = pytest.mark.browser


@pytest_asyncio.fixture
async def inbox(file: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with inbox_served(file) as client:
        yield client


BY_FORM = {
    "text": ("textarea[name=text]", "Dear Grace", "Send the answer"),
    "notification": ("", "", "I have read this"),
    "binary_choice": ("", "", "No"),
    "radio": ("#option-1", "", "Send the answer"),
    "checkbox": ("#option-0,#option-2", "", "Send the answer"),
    "dropdown": ("select[name=option]", "Call", "Send the answer"),
}
CHOSEN = {"binary_choice": ["no"], "radio": ["call"], "checkbox": ["mail", "post"], "dropdown": ["call"]}


def chosen(result: dict[str, Any]) -> list[str]:
    options = result.get("selected_options") or [result.get("selected_option")]
    return [each["id"] for each in options if each]


@pytest.mark.deep  # test_pages.py sends the same forms without a browser
async def test_each_kind_is_answered_without_javascript(inbox: httpx.AsyncClient, browser: Browser) -> None:
    paths = {kind: await asked_by(inbox, "ada", kind) for kind in BY_FORM}

    def walk() -> None:
        ada = Person(browser, inbox, "ada")
        ada.scripts(on=False)
        try:
            for kind, path in paths.items():
                fields, text, button = BY_FORM[kind]
                ada.open("/")
                ada.driver.find_element(By.CSS_SELECTOR, f"a[href='{path}']").click()
                for field in filter(None, fields.split(",")):
                    element = ada.driver.find_element(By.CSS_SELECTOR, field)
                    if text:
                        element.send_keys(text)
                    else:
                        element.click()
                browser.press(button)
                browser.until("You answered this")
            ada.open("/")
            browser.until("Nothing waits for you")
        finally:
            ada.scripts(on=True)

    await to_thread(walk)
    for kind, path in paths.items():
        result = (await ended(inbox, execution_of(path), **as_("ada")))["result"]
        assert chosen(result) == CHOSEN.get(kind, [])


@pytest.mark.parametrize(
    "kinds",
    [
        ["radio", "dropdown"],
        pytest.param(["text", "notification", "binary_choice", "checkbox"], marks=pytest.mark.deep),
    ],
    ids=" ".join,
)
async def test_each_kind_is_answered_by_keyboard_only(
    inbox: httpx.AsyncClient, browser: Browser, kinds: list[str]
) -> None:
    paths = {kind: await asked_by(inbox, "ada", kind) for kind in kinds}
    opened = {
        "text": "What shall we tell her?", "notification": "The backup is complete.", "binary_choice": "Pay?",
        "radio": "How shall we reach her?", "checkbox": "Which ways may we use?", "dropdown": "Which way is the best?",
    }  # fmt: skip

    def walk() -> None:
        ada = Person(browser, inbox, "ada")
        for kind in kinds:
            ada.open("/")
            browser.tab_to(opened[kind])
            browser.enter()
            browser.until("Add a comment")
            match kind:
                case "text":
                    browser.tab_to("Your answer")
                    browser.type("Dear Grace")
                case "radio":
                    browser.tab_to("E-mail")
                    browser.space()
                    browser.key("ArrowDown", 40)
                case "checkbox":
                    browser.tab_to("E-mail")
                    browser.space()
                    browser.tab_to("By letter")
                    browser.space()
                case "dropdown":
                    browser.tab_to("Choose one")
                    browser.key("c", 67, "c")
                case _:
                    pass
            browser.tab_to(BY_FORM[kind][2])
            browser.enter()
            browser.until("You answered this")

    await to_thread(walk)
    for kind, path in paths.items():
        result = (await ended(inbox, execution_of(path), **as_("ada")))["result"]
        assert chosen(result) == CHOSEN.get(kind, [])


async def test_after_a_mistake_the_summary_has_the_focus_and_leads_to_the_field(
    inbox: httpx.AsyncClient, browser: Browser
) -> None:
    path = await asked_by(inbox, "ada", "text")

    def walk() -> None:
        ada = Person(browser, inbox, "ada")
        ada.open(path)
        browser.press("Send the answer")
        browser.until("Your answer was not sent yet")
        assert ada.driver.switch_to.active_element.get_attribute("id") == "summary"
        browser.tab_to("Write an answer.")
        browser.enter()
        assert ada.driver.switch_to.active_element.get_attribute("name") == "text"

    await to_thread(walk)


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
async def test_a_begun_answer_is_kept_where_a_prompt_is_handed_to_nobody(
    inbox: httpx.AsyncClient, browser: Browser, scripts: bool
) -> None:
    path = await asked_by(inbox, "ada", "text", assignees=["ada", "grace"])

    def hand_on() -> Person:
        ada = Person(browser, inbox, "ada")
        ada.scripts(on=scripts)
        ada.open(path)
        ada.driver.find_element(By.NAME, "text").send_keys("half a sentence")
        ada.driver.find_element(By.XPATH, "//summary[normalize-space()='Hand it on…']").click()
        ada.driver.find_element(By.ID, "delegate-to").send_keys("group:")
        browser.press("Hand it on")
        browser.until("Nobody else was asked yet")
        return ada

    def go_on(ada: Person) -> None:
        try:
            browser.press("Send the answer")
            browser.until("You answered this")
        finally:
            ada.scripts(on=True)

    ada = await to_thread(hand_on)
    if scripts:
        await to_thread(browser.run, FOLLOWING)
        for verb in ("claim", "release"):  # the page hears of both, while it has the address of the form
            assert (await inbox.post(f"/{verb}{path}", headers=as_("grace"))).status_code == 303
        await to_thread(browser.run, "await refresh()")
    await to_thread(go_on, ada)
    assert (await ended(inbox, execution_of(path), **as_("ada")))["result"]["text"] == "half a sentence"


# --- Others act meanwhile --------------------------------------------------------------------------------------------


async def test_of_two_browsers_with_one_prompt_the_second_is_told_who_was_first(
    inbox: httpx.AsyncClient, browser: Browser, another_browser: Browser
) -> None:
    path = await asked_by(inbox, "ada", "text", assignees=["ada", "grace"])

    def walk() -> None:
        ada, grace = Person(browser, inbox, "ada"), Person(another_browser, inbox, "grace")
        ada.scripts(on=False)  # so that nothing but her own answer tells her
        try:
            for each in (ada, grace):
                each.open(path)
                each.driver.find_element(By.NAME, "text").send_keys(f"from {each.browser is browser}")
            another_browser.press("Send the answer")
            another_browser.until("You answered this")
            browser.press("Send the answer")
            words = browser.until("Answered by grace")
        finally:
            ada.scripts(on=True)
        assert "Your answer was not recorded" in words
        assert "from True" in words, "what she wrote is not lost"

    await to_thread(walk)


async def test_an_open_page_changes_when_somebody_else_acts(
    inbox: httpx.AsyncClient, browser: Browser, another_browser: Browser
) -> None:
    path = await asked_by(inbox, "ada", "text", assignees=["ada", "grace"])

    def begin() -> tuple[Person, Person]:
        ada, grace = Person(browser, inbox, "ada"), Person(another_browser, inbox, "grace")
        ada.open("/")
        grace.open(path)
        grace.driver.find_element(By.NAME, "text").send_keys("half a sentence")
        for each in (browser, another_browser):
            each.run(FOLLOWING)
        return ada, grace

    await to_thread(begin)
    more = await asked_by(inbox, "ada", "notification")
    await to_thread(browser.until, "The backup is complete.")
    reply = await inbox.post(path, data={"text": "mine"}, headers=as_("ada"))
    assert reply.status_code == 303
    words = await to_thread(another_browser.until, "Answered by ada")
    assert "half a sentence" in words, "what she was writing is not lost"
    await inbox.post(more, headers=as_("ada"))
    await to_thread(browser.until, "Nothing waits for you")


async def test_a_form_that_was_open_while_the_server_was_killed_is_taken(tmp_path: Path, browser: Browser) -> None:
    (tmp_path / "flows.py").write_text(
        "from restpoint import workflow\nfrom restpoint.prompts import HumanPromptText\n"
        "@workflow\nasync def hello(ctx, _: object = None):\n"
        "    return (await ctx.ask(HumanPromptText(text='Who is there?'))).text\n"
    )

    def walk() -> None:
        server = Served("flows.py", tmp_path, "--database", "x.db")
        try:
            started = httpx.post(f"{server.url}/v1/workflows/hello?wait=10", timeout=30).json()
            browser.open(server.url)
            browser.press("Who is there?")
            browser.until("Your answer")
            browser.driver.find_element(By.NAME, "text").send_keys("Ada")
            server.kill()
            server = Served("flows.py", tmp_path, "--database", "x.db", "--port", server.port)
            browser.press("Send the answer")
            browser.until("You answered this")
            address = f"{server.url}/executions/{started['execution_id']}?wait=20"
            assert httpx.get(address, timeout=30).json()["result"] == "Ada"
        finally:
            server.kill()

    await to_thread(walk)


# --- For everybody ---------------------------------------------------------------------------------------------------


async def test_text_from_right_to_left_is_laid_out_so(inbox: httpx.AsyncClient, browser: Browser) -> None:
    path = await asked_by(inbox, "ada", "arabic")

    def walk() -> None:
        ada = Person(browser, inbox, "ada")
        ada.open(path)
        title = ada.driver.find_element(By.TAG_NAME, "h1")
        assert title.value_of_css_property("direction") == "rtl"
        field = ada.driver.find_element(By.NAME, "text")
        field.send_keys("نعم")
        assert field.value_of_css_property("direction") == "rtl"
        browser.press("Send the answer")
        browser.until("You answered this")

    await to_thread(walk)
