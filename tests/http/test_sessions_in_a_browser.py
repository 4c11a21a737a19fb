"""A session that ends while a page is open, in a real browser: nothing that was typed is lost, and the page says what to do."""

from asyncio import to_thread
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from selenium.webdriver.common.by import By

from chromium import Browser
from people import ask
from restpoint.http import bearer_tokens
from restpoint.http.app import create_app
from restpoint.http.pages import live
from serving import ended, served
from visiting import FOLLOWING

pytestmark = pytest.mark.browser


class Ada:
    """Somebody who has signed in with a token, at the page of a prompt that she is asked."""

    def __init__(self, client: httpx.AsyncClient, browser: Browser, token: str) -> None:
        self._browser, self.token, self.base = browser, token, str(client.base_url)
        self.headers = {"authorization": f"Bearer {token}"}
        self.execution_id = ""

    async def asked(self, client: httpx.AsyncClient, kind: str = "text") -> None:
        reply = await client.post("/v1/workflows/ask", json={"kind": kind}, headers=self.headers)
        self.execution_id = reply.json()["execution_id"]
        (prompt,) = reply.json()["interactions"]
        self.path = f"/view/{self.execution_id}/prompt/{prompt['interaction_id']}"

    def opens(self) -> None:
        """Open the page, which leads to the sign-in and back."""
        self._browser.open(self.base + self.path)
        self.signs_in()
        assert self._browser.until_at(self.base + self.path)

    def signs_in(self) -> None:
        self._browser.fill("Token", self.token)
        self._browser.press("Sign in")

    def signs_in_in_another_tab(self) -> None:
        """Follow the link of the page, sign in there, close that tab, and come back."""
        driver = self._browser.driver
        here = driver.current_window_handle
        self._browser.press("Sign in (in a new tab)")
        (there,) = set(driver.window_handles) - {here}
        driver.switch_to.window(there)
        self.signs_in()
        self._browser.until("Waiting for you")
        driver.close()
        driver.switch_to.window(here)


@pytest_asyncio.fixture
async def signed(file: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[httpx.AsyncClient, str]]:
    """A client of a server that people sign in to with a token, and the token of Ada."""
    monkeypatch.setattr(live, "CHECK_EVERY", 0.05)
    tokens = file.parent / "tokens.json"
    token = bearer_tokens.add(tokens, "ada")
    async with served(create_app([ask], database=file, tokens_file=tokens)) as client:
        yield client, token


SIGN_OUT = "return (await fetch('/auth/sign-out-everywhere', {method: 'POST'})).status"


async def test_an_open_page_says_that_its_session_has_ended_and_keeps_what_was_typed(
    signed: tuple[httpx.AsyncClient, str], browser: Browser
) -> None:
    client, token = signed
    ada = Ada(client, browser, token)
    await ada.asked(client)

    def walk() -> None:
        ada.opens()
        browser.run(FOLLOWING)
        browser.driver.find_element(By.NAME, "text").send_keys("half a sentence")
        assert browser.run(SIGN_OUT) == 200
        browser.until("You are signed out")
        browser.until_typed("text", "half a sentence")
        ada.signs_in_in_another_tab()
        browser.driver.execute_script("dispatchEvent(new Event('focus'))")  # which no window of a headless browser gets
        browser.run(FOLLOWING)
        assert "You are signed out" not in browser.text
        browser.until_typed("text", "half a sentence")
        browser.press("Send the answer")
        browser.until("You answered this")

    await to_thread(walk)
    assert (await ended(client, ada.execution_id, **ada.headers))["result"]["text"] == "half a sentence"


async def test_without_javascript_what_was_sent_after_the_session_had_ended_comes_back(
    signed: tuple[httpx.AsyncClient, str], browser: Browser
) -> None:
    client, token = signed
    ada = Ada(client, browser, token)
    await ada.asked(client)

    def walk() -> None:
        ada.opens()
        browser.run(SIGN_OUT)
        browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
        try:
            field = browser.driver.find_element(By.NAME, "text")
            field.send_keys("two\nlines")
            browser.press("Send the answer")
            browser.until("You are signed out, so nothing was recorded")
            ada.signs_in_in_another_tab()
            browser.press("Go on with what you wrote")
            browser.until_typed("text", "two\nlines")
            browser.press("Send the answer")
            browser.until("You answered this")
        finally:
            browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})

    await to_thread(walk)
    assert (await ended(client, ada.execution_id, **ada.headers))["result"]["text"] == "two\nlines"


@pytest.mark.deep  # test_sign_in.py has this without a browser
async def test_a_cookie_that_was_stolen_answers_nothing_after_its_person_has_signed_out(
    signed: tuple[httpx.AsyncClient, str], browser: Browser, another_browser: Browser
) -> None:
    client, token = signed
    ada = Ada(client, browser, token)
    await ada.asked(client, "binary_choice")

    def walk() -> None:
        ada.opens()
        (cookie,) = browser.driver.get_cookies()
        another_browser.open(f"{ada.base}/healthz")
        another_browser.driver.add_cookie({"name": cookie["name"], "value": cookie["value"]})
        another_browser.open(ada.base + ada.path)
        another_browser.until("Pay?")
        assert browser.run(SIGN_OUT) == 200
        another_browser.press("Yes")
        another_browser.until("You are signed out, so nothing was recorded")
        another_browser.open(ada.base + ada.path)
        another_browser.until("Token")

    await to_thread(walk)
    assert (await client.get(f"/executions/{ada.execution_id}", headers=ada.headers)).json()["interactions"]
