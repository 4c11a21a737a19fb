"""People at browsers, who look at the pages of ``people.py``."""

from typing import Final

import httpx

from chromium import Browser

FOLLOWING: Final = """
    while (!("following" in document.getElementById("main").dataset)) await new Promise((go) => setTimeout(go, 10));
"""


class Person:
    """Somebody at a browser."""

    def __init__(self, browser: Browser, client: httpx.AsyncClient, name: str) -> None:
        self.browser, self.base = browser, str(client.base_url)
        self.driver = browser.driver
        browser.open(f"{self.base}/assets/icon.svg")
        self.driver.add_cookie({"name": "user", "value": name})
        self.scripts(on=True)

    def scripts(self, *, on: bool) -> None:
        self.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not on})

    def open(self, path: str) -> None:
        self.browser.open(self.base + path)
