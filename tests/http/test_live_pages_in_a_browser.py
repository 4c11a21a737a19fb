"""The inbox in a real browser while others act: rows come and go without the page being asked for again."""

from asyncio import to_thread
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio

from chromium import Browser
from people import as_, asked_by, execution_of, inbox_served
from visiting import FOLLOWING, Person

pytestmark = pytest.mark.browser

ROWS = "return [...document.querySelectorAll('#waiting > li a[href]')].map((each) => each.getAttribute('href'))"


@pytest_asyncio.fixture
async def inbox(file: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with inbox_served(file) as client:
        yield client


async def answer(client: httpx.AsyncClient, path: str, name: str) -> None:
    reply = await client.post(path, data={"text": "yes"}, headers=as_(name))
    assert reply.status_code == 303, reply.text


def opened(browser: Browser, client: httpx.AsyncClient, name: str, path: str = "/") -> Person:
    """Somebody whose page follows what happens."""
    person = Person(browser, client, name)
    person.open(path)
    browser.run(FOLLOWING)
    return person


def until_rows(person: Person, rows: list[str]) -> None:
    """Wait for the list to have these rows."""
    script = f"while (String((() => {{{ROWS}}})()) !== given[0]) await new Promise((go) => setTimeout(go, 10));"
    try:
        person.browser.run(script, ",".join(rows))
    except Exception as error:
        raise AssertionError(f"no {rows}, but {person.driver.execute_script(ROWS)}") from error


def asked_for(person: Person) -> int:
    """How often the browser has asked for the page of the list."""
    return sum(urlsplit(each.url).path == "/" for each in person.browser.sent())


async def test_what_one_person_answers_leaves_the_list_of_the_other(
    inbox: httpx.AsyncClient, browser: Browser, another_browser: Browser
) -> None:
    both = [await asked_by(inbox, "ada", "text", assignees=["ada", "grace"]) for _ in range(3)]

    def walk() -> None:
        ada, grace = opened(browser, inbox, "ada"), Person(another_browser, inbox, "grace")
        assert browser.driver.title.startswith("(3) Inbox")
        browser.driver.find_element("css selector", f"a[href='{both[1]}']").send_keys("")  # it has the focus
        grace.open(both[1])
        grace.driver.find_element("name", "text").send_keys("yes")
        another_browser.press("Send the answer")
        another_browser.until("You answered this")
        until_rows(ada, [both[0], both[2]])
        assert browser.driver.title.startswith("(2) Inbox")
        assert browser.driver.find_element("css selector", "h1 .count").text == "2"
        focused = browser.driver.switch_to.active_element.get_attribute("href")
        assert urlsplit(str(focused)).path == both[2], "the focus is on the row after it"
        assert asked_for(ada) == 1

    await to_thread(walk)
    for path in (both[0], both[2]):
        await answer(inbox, path, "grace")

    def look_again() -> None:
        browser.until("Nothing waits for you")
        assert browser.driver.title.startswith("Inbox")

    await to_thread(look_again)


async def test_a_row_comes_to_its_place_and_to_no_list_that_is_of_another_workflow(
    inbox: httpx.AsyncClient, browser: Browser, another_browser: Browser
) -> None:
    late = await asked_by(inbox, "ada", "text", timeout=9e5)

    def walk() -> tuple[Person, Person]:
        return opened(browser, inbox, "ada"), opened(another_browser, inbox, "ada", "/?workflow=tell")

    ada, of_tell = await to_thread(walk)
    soon = await asked_by(inbox, "ada", "text", timeout=3e5)
    never = await asked_by(inbox, "ada", "text")
    await to_thread(until_rows, ada, [soon, late, never])
    urgent = await asked_by(inbox, "ada", "text", priority=5)
    await to_thread(until_rows, ada, [soon, late, urgent, never])
    started = await inbox.post("/v1/workflows/tell?wait=10", headers=as_("ada"))
    assert started.status_code == 202
    await to_thread(another_browser.until, "What shall we tell her?")
    assert len(await to_thread(of_tell.driver.execute_script, ROWS)) == 1
    assert await to_thread(asked_for, ada) == 1


async def test_a_row_is_shown_anew_where_somebody_takes_it_and_keeps_the_focus(
    inbox: httpx.AsyncClient, browser: Browser
) -> None:
    path = await asked_by(inbox, "ada", "text", assignees=["ada", "grace"])

    def focus() -> None:
        opened(browser, inbox, "ada")
        browser.tab_to("What shall we tell her?")

    await to_thread(focus)
    assert (await inbox.post(f"/claim{path}", headers=as_("grace"))).status_code == 303
    await to_thread(browser.until, "taken by grace")
    focused = browser.driver.switch_to.active_element.get_attribute("href")
    assert urlsplit(str(focused)).path == path


async def test_what_is_unfolded_stays_so_and_keeps_the_focus_where_a_page_changes(
    inbox: httpx.AsyncClient, browser: Browser
) -> None:
    path = await asked_by(inbox, "ada", "text", assignees=["ada", "grace"])

    def unfold() -> None:
        opened(browser, inbox, "ada", f"/view/{execution_of(path)}")
        browser.tab_to("Cancel the execution…")
        browser.enter()

    await to_thread(unfold)
    assert (await inbox.post(f"/claim{path}", headers=as_("grace"))).status_code == 303
    await to_thread(browser.until, "Taken to be answered by grace")
    focused = browser.driver.switch_to.active_element
    assert focused.text == "Cancel the execution…"
    assert browser.driver.find_element("xpath", "//button[normalize-space()='Yes, cancel it']").is_displayed()


async def test_a_page_of_a_long_list_that_loses_rows_is_filled_up(inbox: httpx.AsyncClient, browser: Browser) -> None:
    paths = [await asked_by(inbox, "ada", "text", assignees=["ada", "grace"]) for _ in range(60)]

    def walk() -> Person:
        ada = opened(browser, inbox, "ada")
        assert browser.driver.title.startswith("(50+) Inbox")
        return ada

    ada = await to_thread(walk)
    for path in paths[:26]:
        await answer(inbox, path, "grace")
    await to_thread(until_rows, ada, paths[26:])

    def look_again() -> None:
        assert browser.driver.title.startswith("(34) Inbox")
        assert "Show the next ones" not in browser.text

    await to_thread(look_again)


async def test_a_row_that_belongs_on_another_page_of_a_long_list_does_not_come_in(
    inbox: httpx.AsyncClient, browser: Browser, another_browser: Browser
) -> None:
    paths = [await asked_by(inbox, "ada", "text", timeout=1e5) for _ in range(52)]

    def walk() -> tuple[Person, Person]:
        first = opened(browser, inbox, "ada")
        second = Person(another_browser, inbox, "ada")
        second.open("/")
        another_browser.press("Show the next ones")
        another_browser.run(FOLLOWING)
        return first, second

    first, second = await to_thread(walk)
    early = await asked_by(inbox, "ada", "text", timeout=5e4)
    late = await asked_by(inbox, "ada", "text", timeout=9e5)
    await to_thread(until_rows, first, [early, *paths[:50]])
    await to_thread(until_rows, second, [*paths[50:], late])


async def test_the_title_of_a_tab_that_nobody_looks_at_changes(inbox: httpx.AsyncClient, browser: Browser) -> None:
    def walk() -> str:
        opened(browser, inbox, "ada")
        first: str = browser.driver.current_window_handle
        browser.driver.switch_to.new_window("tab")
        return first

    first = await to_thread(walk)
    path = await asked_by(inbox, "ada", "text")

    def look() -> None:
        # The script of a tab in the background runs on.
        background = browser.driver.current_window_handle
        browser.driver.switch_to.window(background)
        browser.driver.close()
        browser.driver.switch_to.window(first)
        browser.run("while (!document.title.startsWith('(1) ')) await new Promise((go) => setTimeout(go, 10));")
        assert browser.driver.execute_script(ROWS) == [path]

    await to_thread(look)
