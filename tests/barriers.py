"""What keeps somebody from using a page, as axe-core and the width of a telephone tell it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import provider
from chromium import Browser
from marks import need

RULES = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]
_AXE = """
    const found = await axe.run(document, {runOnly: given[0]});
    return found.violations.map((each) => [each.id, each.nodes.map((node) => node.html)]);
"""
_CONTRAST = """
    const found = await axe.run(document, {runOnly: ["color-contrast"]});
    return found.violations.map((each) => [each.id, each.nodes.map((node) => node.html)]);
"""


class Barriers:
    """Looks at pages as they are shown, and collects what is wrong with them."""

    def __init__(self, browser: Browser) -> None:
        script = provider.modules() / "node_modules" / "axe-core" / "axe.min.js"
        missing = None if script.exists() else f"the npm package axe-core is not in {provider.modules()}"
        need(missing, "on a Debian .ci/browser installs it")
        self._script = script.read_text()
        self._browser = browser
        self.found: list[Any] = []

    @contextmanager
    def on_a_telephone(self) -> Iterator[None]:
        """Show pages 320 pixels wide."""
        self._browser.size(320, 900)
        try:
            yield
        finally:
            self._browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
            self._browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

    def look(self, where: str) -> None:
        """Look at the page that is shown, in light and in dark."""
        browser = self._browser
        browser.driver.execute_script(self._script)
        for scheme, script in (("light", _AXE), ("dark", _CONTRAST)):
            features = [{"name": "prefers-color-scheme", "value": scheme}]
            browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
            self.found.extend((where, scheme, barrier) for barrier in browser.run(script, RULES))
        if browser.driver.execute_script("return document.documentElement.scrollWidth > innerWidth"):
            self.found.append((where, "scrolls sideways"))
