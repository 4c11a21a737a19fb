"""Every page in every state is open to everybody: read by axe-core, on a small and a wide screen, in light and dark colours.

An ordinary run reads as many states as have every part of the pages, a deep one all of them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import page_states
import provider
from chromium import Browser
from marks import need
from page_states import EVERY_PART, Site, Visitor

pytestmark = pytest.mark.browser

RULES = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]
AXE = """
    const found = await axe.run(document, {runOnly: given[0], resultTypes: ["violations"], preload: false});
    return found.violations.map((each) => [each.id, each.nodes.map((node) => node.html)]);
"""
PARTS = """
    const said = (name) => ["class", "type", "role"].includes(name)
        || (name.startsWith("aria-") && !["aria-describedby", "aria-labelledby", "aria-label"].includes(name));
    return [...document.querySelectorAll("body, body *")].map((element) => [
        `${element.parentElement.tagName}.${element.parentElement.className} > ${element.tagName}`,
        ...element.getAttributeNames().sort().map((name) => said(name) ? `${name}=${element.getAttribute(name)}` : name),
    ].join(" "));
"""
"""Of what kind each element of a page is: inside what, with which attributes, and with what is said by those that name a kind."""
SMALL, WIDE = (320, 900), (1280, 900)


@pytest.fixture
def site(tmp_path: Path, fresh: Path) -> Iterator[Site]:
    file = tmp_path / "restpoint.db"
    file.write_bytes(fresh.read_bytes())
    with page_states.site(file) as made:
        yield made


def look_at(
    site: Site, browser: Browser, sizes: list[tuple[int, int]], names: frozenset[str] | None, parts: dict[str, set[str]]
) -> list[Any]:
    """What bars anybody from using a page, in the states with these names or in all. ``parts`` gets what each consists of."""
    script = provider.modules() / "node_modules" / "axe-core" / "axe.min.js"
    need(None if script.exists() else f"the npm package axe-core is not in {provider.modules()}", "see .ci/browser")
    found: list[Any] = []
    driver = browser.driver
    added = driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script.read_text()})
    visitor = Visitor(site, browser)
    try:
        for state in site.states():
            if names is not None and state.name not in names:
                continue
            visitor.scheme(None)
            browser.size(*sizes[0])
            visitor.visit(state)
            parts[state.name] = set(driver.execute_script(PARTS))
            for size in sizes:
                browser.size(*size)
                # Every state is read once, and every second one in dark colours; a deep run reads all in both.
                for scheme in ("light", "dark") if len(sizes) > 1 else (("light", "dark")[len(parts) % 2],):
                    visitor.scheme(scheme)
                    found += [(state.name, size, scheme, barrier) for barrier in browser.run(AXE, RULES)]
                if driver.execute_script("return document.documentElement.scrollWidth > innerWidth"):
                    found.append((state.name, size, "scrolls sideways"))
    finally:
        driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)
        visitor.scheme(None)
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    print(f"{len(parts)} states read at {len(sizes)} widths: {len(found)} barriers")
    return found


def test_no_part_of_a_page_has_a_barrier_on_a_small_screen(site: Site, browser: Browser) -> None:
    parts: dict[str, set[str]] = {}
    assert look_at(site, browser, [SMALL], EVERY_PART, parts) == []
    assert set(parts) == EVERY_PART


@pytest.mark.deep  # in an ordinary run, as many states as have every part
def test_no_page_in_no_state_has_a_barrier_on_any_screen(site: Site, browser: Browser) -> None:
    parts: dict[str, set[str]] = {}
    assert look_at(site, browser, [SMALL, (800, 900), WIDE], None, parts) == []
    read = set().union(*(parts[name] for name in EVERY_PART))
    assert {name: found - read for name, found in parts.items() if found - read} == {}, "no ordinary run sees these"
