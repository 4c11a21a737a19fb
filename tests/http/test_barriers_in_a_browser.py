"""Every page in every state is open to everybody: read by axe-core, on a small and a wide screen, in light and dark colours."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import page_states
import provider
from chromium import Browser
from marks import need
from page_states import Site, Visitor

pytestmark = pytest.mark.browser

RULES = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]
AXE = """
    const found = await axe.run(document, {runOnly: given[0], resultTypes: ["violations"], preload: false});
    return found.violations.map((each) => [each.id, each.nodes.map((node) => node.html)]);
"""
SMALL, WIDE = (320, 900), (1280, 900)


@pytest.fixture
def site(tmp_path: Path, fresh: Path) -> Iterator[Site]:
    file = tmp_path / "restpoint.db"
    file.write_bytes(fresh.read_bytes())
    with page_states.site(file) as made:
        yield made


def look_at(site: Site, browser: Browser, sizes: list[tuple[int, int]]) -> list[Any]:
    """What bars anybody from using a page, in all states."""
    script = provider.modules() / "node_modules" / "axe-core" / "axe.min.js"
    need(None if script.exists() else f"the npm package axe-core is not in {provider.modules()}", "see .ci/browser")
    found: list[Any] = []
    driver = browser.driver
    added = driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script.read_text()})
    visitor = Visitor(site, browser)
    try:
        for number, state in enumerate(site.states()):
            visitor.scheme(None)
            browser.size(*sizes[0])
            visitor.visit(state)
            for size in sizes:
                browser.size(*size)
                # Every state is read once, and every second one in dark colours; a deep run reads all in both.
                for scheme in ("light", "dark") if len(sizes) > 1 else (("light", "dark")[number % 2],):
                    visitor.scheme(scheme)
                    found += [(state.name, size, scheme, barrier) for barrier in browser.run(AXE, RULES)]
                if driver.execute_script("return document.documentElement.scrollWidth > innerWidth"):
                    found.append((state.name, size, "scrolls sideways"))
    finally:
        driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)
        visitor.scheme(None)
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    print(f"{number + 1} states read at {len(sizes)} widths: {len(found)} barriers")
    return found


def test_no_page_has_a_barrier_on_a_small_screen(site: Site, browser: Browser) -> None:
    assert look_at(site, browser, [SMALL]) == []


@pytest.mark.deep
def test_no_page_in_no_state_has_a_barrier_on_any_screen(site: Site, browser: Browser) -> None:
    assert look_at(site, browser, [SMALL, (800, 900), WIDE]) == []
