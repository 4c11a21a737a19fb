"""The ways through the pages that are not answers: signing in and out, handing on, cancelling, a consent; by keyboard only, and
without JavaScript."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
from selenium.webdriver.common.by import By

import page_states
from chromium import Browser
from page_states import Site

pytestmark = pytest.mark.browser


class Hands(Protocol):
    """How somebody uses a page."""

    def press(self, label: str) -> None: ...
    def write(self, label: str, text: str) -> None: ...


class Keyboard:
    """With no mouse."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser

    def press(self, label: str) -> None:
        self._browser.tab_to(label, exactly=True)
        self._browser.enter()

    def write(self, label: str, text: str) -> None:
        self._browser.tab_to(label)
        self._browser.type(text)


class Mouse:
    """With a mouse; the page has no JavaScript."""

    def __init__(self, browser: Browser) -> None:
        self._driver = browser.driver

    def press(self, label: str) -> None:
        path = f"//*[self::a or self::button or self::summary][normalize-space()='{label}']"
        self._driver.find_element(By.XPATH, path).click()

    def write(self, label: str, text: str) -> None:
        field = self._driver.find_element(By.XPATH, f"//label[contains(., '{label}')]/descendant-or-self::label")
        name = field.get_attribute("for")
        where = f"//*[@id='{name}']" if name else f"//label[contains(., '{label}')]//input"
        self._driver.find_element(By.XPATH, where).send_keys(text)


# The forms of the pages are sent without a browser too, in test_pages.py and test_handing_on_pages.py.
@pytest.fixture(params=["by keyboard", pytest.param("without JavaScript", marks=pytest.mark.deep)])
def hands(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Hands]:
    """Somebody without a mouse, and somebody without JavaScript."""
    is_keyboard = request.param == "by keyboard"
    scripts(browser, on=is_keyboard)
    yield Keyboard(browser) if is_keyboard else Mouse(browser)
    scripts(browser, on=True)


def scripts(browser: Browser, *, on: bool) -> None:
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not on})


@pytest.fixture
def site(tmp_path: Path, fresh: Path) -> Iterator[Site]:
    file = tmp_path / "restpoint.db"
    file.write_bytes(fresh.read_bytes())
    with page_states.site(file) as made:
        yield made


def test_people_sign_in_hand_on_readdress_cancel_refuse_a_consent_and_sign_out(
    site: Site, browser: Browser, hands: Hands
) -> None:
    prompt = site.asked("ada", "text", assignees=["ada", "group:finance"])
    consent = site.start("ada", "connect")
    cancelled = "/".join(site.asked("ada", "radio").split("/")[:3])

    browser.open(f"{site.url}{prompt}")
    hands.write("Token", "rp_nobodys")
    hands.press("Sign in")
    browser.until("This token is not known here")
    hands.write("Token", site.token)
    hands.press("Sign in")
    browser.until("What shall we tell her?")

    hands.press("Hand it on…")
    hands.press("Hand it on")
    browser.until("Say to whom")
    hands.write("To whom", "grace")
    hands.write("Reason", "she knows her")
    hands.press("Hand it on")
    browser.until("It waits for grace, the group finance")
    browser.until("she knows her")

    browser.open(site.url + cancelled)
    hands.press("Cancel the execution…")
    hands.write("Reason", "paid already")
    hands.press("Yes, cancel it")
    browser.until("Cancelled")
    browser.until("paid already")

    browser.open(f"{site.url}/view/{consent['execution_id']}")
    hands.press("Go to the consent")
    browser.until("Allow access?")
    hands.press("Refuse")
    browser.until("Access refused")

    browser.open(f"{site.url}/")
    hands.press("ada")
    browser.until("You are signed in as ada")
    hands.press("Sign out")
    browser.until("You are signed out")


def test_an_operator_readdresses_a_prompt_and_retries_what_failed(site: Site, browser: Browser, hands: Hands) -> None:
    prompt = site.asked("ada", "text", assignees=["grace"])
    failed = site.start("ada", "fail")["execution_id"]
    page_states.Visitor(site, browser).visit(page_states.State("", "op", prompt))
    hands.press("Address it to others…")
    hands.write("To whom", "joan")
    hands.press("Address it to them")
    browser.until("Addressed to others")
    browser.until("Asked of joan")

    browser.open(f"{site.url}/attention")
    hands.press("fail")
    browser.until("It failed")
    assert browser.url == f"{site.url}/view/{failed}"
    hands.press("Retry…")
    hands.press("Retry it now")
    browser.until("Taken up again after the failure")


def test_two_people_vote_and_each_sees_how_the_others_stand(
    site: Site, browser: Browser, another_browser: Browser, hands: Hands
) -> None:
    prompt = site.asked("ada", "binary_choice", assignees=["ada", "group:finance"], votes=2)
    page_states.Visitor(site, browser).visit(page_states.State("", "ada", "/"))
    hands.press("Pay?")
    browser.until("Nobody has voted yet")
    hands.press("Yes")
    browser.until("You have voted")

    page_states.Visitor(site, another_browser).visit(page_states.State("", "joan", "/"))
    scripts(another_browser, on=isinstance(hands, Keyboard))
    try:
        another_browser.until("1 voted, 2 equal votes decide")
        joan = Keyboard(another_browser) if isinstance(hands, Keyboard) else Mouse(another_browser)
        joan.press("Pay?")
        another_browser.until("Voted so far: ada")
        joan.press("Yes")
        another_browser.until("Decided by 2 equal votes")
    finally:
        scripts(another_browser, on=True)

    if isinstance(hands, Mouse):
        browser.open(f"{site.url}{prompt}")  # without scripts the page stays as it was
    browser.until("Decided by 2 equal votes")
