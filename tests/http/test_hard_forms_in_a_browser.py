"""Forms that are hard to show: more than a hundred fields, labels of 500 characters, words from right to left, script in every
text; at three widths, and on paper."""

import base64
import re
import zlib
from typing import Any

import pytest
from selenium.webdriver.common.by import By

from asking import Asking
from chromium import Browser
from people import ARABIC, NASTY
from restpoint.prompts import HumanPromptForm

pytestmark = pytest.mark.browser

WIDTHS = (320, 800, 1280)
LONG = ("A label that is far longer than anybody should write it " * 9)[:500]
UNBROKEN = "W" * 500
KINDS: list[dict[str, Any]] = [
    {"type": "string"},
    {"type": "string", "x-multiline": True},
    {"type": "string", "format": "date"},
    {"type": "integer"},
    {"type": "boolean"},
    {"type": "string", "enum": ["a", "b", UNBROKEN]},
    {"type": "string", "enum": [str(number) for number in range(9)]},
    {"type": "array", "items": {"type": "string", "enum": ["a", LONG, NASTY]}},
]


def form(count: int, title: str, text: str, **more: Any) -> HumanPromptForm:
    """A form with so many fields of every kind, each with this title."""
    properties = {f"field_{number}": {**KINDS[number % len(KINDS)], "title": title} for number in range(count)}
    schema: Any = {"type": "object", "properties": properties}
    return HumanPromptForm(text=text, requested_schema=schema, **more)


@pytest.mark.parametrize(
    ("title", "text"),
    [
        pytest.param(LONG, LONG, marks=pytest.mark.deep),  # an unbroken text is harder to fit
        (UNBROKEN, UNBROKEN),
        (ARABIC, ARABIC),
        pytest.param(NASTY, NASTY, marks=pytest.mark.deep),  # test_faults.py has this in every text, without a browser
    ],
    ids=["long", "unbroken", "from right to left", "script"],
)
def test_a_form_of_many_fields_fits_every_width_and_is_sent_whole(
    asking: Asking, browser: Browser, title: str, text: str
) -> None:
    asking.asks(form(128, title, text))
    for width in WIDTHS:
        browser.size(width, 900)
        assert not browser.driver.execute_script("return document.documentElement.scrollWidth > innerWidth"), width
        outside = browser.driver.execute_script("""
            return [...document.querySelectorAll("main label, main legend, main input, main textarea, main select, main button")]
                .filter((each) => each.getBoundingClientRect().right > innerWidth + 1).map((each) => each.outerHTML)
        """)
        assert outside == [], width
    directions = set(
        browser.driver.execute_script(
            "return [...document.querySelectorAll('form.answer label[dir], form.answer legend')].map((each) =>"
            " getComputedStyle(each).direction)"
        )
    )
    assert ("rtl" in directions) == (title == ARABIC)
    assert browser.driver.title.startswith(text[:20])
    browser.driver.execute_script(
        """
        for (const each of document.querySelectorAll("form.answer input[type=text], form.answer textarea"))
            if (!each.classList.contains("number")) each.value = arguments[0];
    """,
        NASTY,
    )
    browser.driver.find_element(By.XPATH, "//button[normalize-space()='Send the answer']").click()
    browser.until("You answered this")
    content = asking.content()
    assert {name: content[name] for name in ("field_0", "field_1", "field_121")} == dict.fromkeys(
        ("field_0", "field_1", "field_121"), NASTY
    )
    browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_of_two_hundred_mistakes_each_leads_to_its_field(asking: Asking, browser: Browser) -> None:
    properties: dict[str, Any] = {f"field_{number}": {"type": "integer", "title": LONG} for number in range(200)}
    schema: Any = {"type": "object", "properties": properties, "required": list(properties)}
    asking.asks(HumanPromptForm(text="How many?", requested_schema=schema))
    browser.press("Send the answer")
    browser.until("Your answer was not sent yet")
    links = "return [...document.querySelectorAll('#summary a')].map((each) => each.hash)"
    assert browser.driver.execute_script(links) == [f"#field-{number}" for number in range(200)]


def printed(browser: Browser) -> str:
    """What stands on paper, without the blanks: the text of the PDF that the browser prints."""
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    words = browser.text
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    return words


def test_a_page_is_printed_with_what_it_says_and_without_what_is_pressed(asking: Asking, browser: Browser) -> None:
    text = (
        f"# {LONG}\n\n| Item | Price |\n| --- | --- |\n| Lamp | 80 |\n\nSee [the order](https://shop.example/o/4711)."
    )
    asking.asks(form(128, "A question", text, initial={"field_0": "what it begins with"}))
    words = printed(browser)
    for said in (LONG[:60], "Lamp", "80", "A question", "What happened so far", "Who is asked"):
        assert said in words
    for pressed in ("Send the answer", "Hand it on", "Decided", "Skip to the content", "Add a comment"):
        assert pressed not in words
    link = browser.driver.find_element(By.LINK_TEXT, "the order")
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    shown = browser.driver.execute_script("return getComputedStyle(arguments[0], '::after').content", link)
    ground = browser.driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert "https://shop.example/o/4711" in shown
    assert ground == "rgb(255, 255, 255)"
    pdf = base64.b64decode(browser.driver.print_page())
    assert pdf.startswith(b"%PDF")
    pages = len(re.findall(rb"/Type\s*/Page\b", pdf)) or _pages_of_streams(pdf)
    assert 3 < pages < 40, "all of the form is on paper"


def _pages_of_streams(pdf: bytes) -> int:
    found = 0
    for stream in re.findall(rb"stream\r?\n(.*?)endstream", pdf, re.DOTALL):
        try:
            found += len(re.findall(rb"/Type\s*/Page\b", zlib.decompress(stream)))
        except zlib.error:
            continue
    return found


def test_a_page_in_dark_colours_is_printed_dark_on_white(asking: Asking, browser: Browser) -> None:
    asking.asks(form(8, "A question", "?"))
    features = [{"name": "prefers-color-scheme", "value": "dark"}]
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": features})
    ink, ground = browser.driver.execute_script(
        "const style = getComputedStyle(document.body); return [style.color, style.backgroundColor]"
    )
    label = browser.driver.execute_script("return getComputedStyle(document.querySelector('label, legend')).color")
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    assert (ink, ground, label) == ("rgb(0, 0, 0)", "rgb(255, 255, 255)", "rgb(0, 0, 0)")
