"""A real headless Chromium, driven as a person would: by what is written on buttons and beside fields."""

import json
import os
import shlex
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.common.exceptions import (
    NoSuchElementException,
    StaleElementReferenceException,
    TimeoutException,
    WebDriverException,
)
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

import support

PATIENCE = support.PATIENCE
QUIET = [
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Whatever a page asks for, nothing but this machine is asked.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
]


_FOCUSED = """
    const it = document.activeElement;
    const names = [...[...(it.labels ?? [])].map((label) => label.textContent), it === document.body ? "" : it.textContent];
    return names.map((name) => name.replaceAll(/\\s+/g, " ").trim()).filter((name) => name !== "");
"""
"""What the part of a page that has the focus is called: its labels, and what it contains."""


def missing() -> str | None:
    """What a browser needs and this machine has not."""
    absent = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"{' and '.join(absent)}: not installed" if absent else None


@dataclass(frozen=True)
class Sent:
    """A request that the browser sent."""

    url: str
    referer: str
    method: str


class Browser:
    """A browser with a profile of its own: another one knows none of its cookies."""

    def __init__(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="restpoint-chromium-"))
        options = webdriver.ChromeOptions()
        options.binary_location = self._program()
        for flag in [*QUIET, f"--user-data-dir={self._home / 'profile'}"]:
            options.add_argument(flag)
        if os.geteuid() == 0:
            options.add_argument("--no-sandbox")  # Chromium refuses root its sandbox
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        options.add_experimental_option("perfLoggingPrefs", {"enableNetwork": True, "enablePage": False})
        # With the path of the driver given Selenium looks for none to download; SE_OFFLINE says it again.
        service = Service(
            str(shutil.which("chromedriver")), env={**os.environ, "HOME": str(self._home), "SE_OFFLINE": "true"}
        )
        self.driver = webdriver.Chrome(options=options, service=service)
        self._console: list[dict[str, Any]] = []
        self._sent: list[Sent] = []

    def _program(self) -> str:
        """Chromium without its windows, where that is installed: it takes two thirds of the time. Else Chromium itself."""
        shell = shutil.which("chromium-headless-shell")
        if shell is None:
            return str(shutil.which("chromium"))
        # The driver waits for a first page, which this program opens only if it is told to.
        program = self._home / "chromium"
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(shell)} "$@" about:blank\n')
        program.chmod(0o700)
        return str(program)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.driver.quit()
        shutil.rmtree(self._home, ignore_errors=True)

    @property
    def url(self) -> str:
        return self.driver.current_url

    @property
    def text(self) -> str:
        """What can be read on the page. (The driver's own word for it asks after each element, ten times as long.)"""
        text: str = self.driver.execute_script("return document.body.innerText")
        return text

    def open(self, url: str) -> None:
        self.driver.get(url)

    def press(self, label: str) -> None:
        """Click the button or the link that says ``label``, as soon as it is there, also where the page is just changing."""
        path = f"//button[normalize-space()='{label}'] | //a[normalize-space()='{label}']"

        def click() -> bool:
            element = self.driver.find_element(By.XPATH, path)
            if element.is_displayed():
                element.click()
                return True
            return False

        self._wait(click, path)

    def press_and_look_away(self, label: str) -> None:
        """The same, without waiting for the page that comes."""
        button = self._find(f"//button[normalize-space()='{label}']")
        # A moment later, or the driver would notice and wait all the same.
        self.driver.execute_script("setTimeout(() => arguments[0].click(), 200)", button)

    def fill(self, label: str, text: str) -> None:
        """Type into the field inside the label that says ``label``."""
        self._find(f"//label[normalize-space()='{label}']//input").send_keys(text)

    def until_typed(self, name: str, text: str) -> None:
        """Wait for the page to have a field of this name in which this text is."""
        field = (By.NAME, name)
        self._wait(lambda: self.driver.find_element(*field).get_property("value") == text, f"{text!r} in {name}")

    def until(self, text: str) -> str:
        """Wait for the page to say ``text``. Returns all that it says."""
        self._wait(lambda: text in self.text, f"{text!r} on the page")
        return self.text

    def until_at(self, url: str) -> str:
        """Wait for the address to begin with ``url``. Returns the address."""
        self._wait(lambda: self.url.startswith(url), url)
        return self.url

    def _find(self, path: str) -> WebElement:
        found: list[WebElement] = []

        def is_shown() -> bool:
            found[:] = [self.driver.find_element(By.XPATH, path)]
            return bool(self.driver.execute_script("return arguments[0].checkVisibility()", *found))

        self._wait(is_shown, path)
        return found[0]

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        gone = [NoSuchElementException, StaleElementReferenceException]

        def holds(_: object) -> bool:
            try:
                return condition()
            except WebDriverException as error:
                # The page was replaced between finding a part of it and reading that; the driver has no class for it.
                if "does not belong to the document" in str(error):
                    return False
                raise

        try:
            WebDriverWait(self.driver, PATIENCE, 0.02, gone).until(holds)
        except TimeoutException:
            raise AssertionError(f"no {what}, but at {self.url}:\n{self.text}") from None

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script of the page gives: the body of an async function."""
        given = "const given = [...arguments], done = given.pop();"
        return self.driver.execute_async_script(f"{given} (async () => {{{script}}})().then(done)", *arguments)

    # --- By keyboard only ---

    def key(self, name: str, code: int, text: str = "") -> None:
        """Press a key, as the keyboard does, whatever has the focus."""
        for kind in ("keyDown" if text else "rawKeyDown", "keyUp"):
            event = {"type": kind, "key": name, "code": name, "windowsVirtualKeyCode": code}
            self.driver.execute_cdp_cmd("Input.dispatchKeyEvent", {**event, **({"text": text} if text else {})})

    def tab_to(self, words: str, *, exactly: bool = False) -> None:
        """Go on with the tabulator until the name of what has the focus has these words, or is ``exactly`` these."""
        called: list[str] = []
        for _ in range(80):
            self.key("Tab", 9)
            names = self.driver.execute_script(_FOCUSED)
            if any(name == words if exactly else words in name for name in names):
                return
            called += names
        raise AssertionError(f"the tabulator comes to no {words!r}, but to {called} at {self.url}")

    def enter(self) -> None:
        """Press the enter key."""
        self.key("Enter", 13, "\r")

    def space(self) -> None:
        """Press the space key."""
        self.key(" ", 32, " ")

    def type(self, text: str) -> None:
        """Write into what has the focus."""
        self.driver.execute_cdp_cmd("Input.insertText", {"text": text})

    def size(self, width: int, height: int) -> None:
        """The page as on a screen of this many pixels (``--headless`` windows have a least width)."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def forget(self) -> None:
        """Begin anew: an empty page, no cookies, nothing logged. (What else a browser keeps is of an origin, and each server
        has a port of its own.)"""
        self.driver.get("about:blank")
        self.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
        self._read()
        self._console.clear()
        self._sent.clear()

    def complaints(self) -> list[str]:
        """What the console warns of since the last ``forget``, such as a violated Content-Security-Policy. A reply of 400
        and above is no complaint."""
        self._read()
        return [
            entry["message"]
            for entry in self._console
            if entry["level"] in {"WARNING", "SEVERE"} and entry["source"] != "network"
        ]

    def sent(self) -> list[Sent]:
        """Every HTTP request since the last ``forget``, also each hop of a redirect."""
        self._read()
        return list(self._sent)

    def outside(self) -> list[str]:
        """The requests that were not for this machine."""
        return [each.url for each in self.sent() if urlsplit(each.url).hostname not in {"127.0.0.1", "localhost"}]

    def _read(self) -> None:
        self._console += self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        for entry in self.driver.get_log("performance"):  # type: ignore[no-untyped-call]
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                request = message["params"]["request"]
                if request["url"].startswith("http"):
                    self._sent.append(Sent(request["url"], request["headers"].get("Referer", ""), request["method"]))
