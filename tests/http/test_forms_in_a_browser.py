"""Forms in a real browser: any model that a form can say is shown, filled in as a person does, and comes back equal."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from pydantic import BaseModel, Field
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from asking import Asking
from chromium import Browser
from forms import Case, cases
from restpoint.prompts.form_fields import FormField
from restpoint.prompts.form_models import form_of, read_model

pytestmark = pytest.mark.browser

# --- As a person fills it in ------------------------------------------------------------------------------------------


def fill(browser: Browser, number: int, field: FormField, value: Any) -> None:
    """Give a field this value; None leaves it empty."""
    place = f"field-{number}"
    if field.readonly:
        return
    options = browser.driver.find_elements(
        By.CSS_SELECTOR, f"#{place} input[type=radio], #{place} input[type=checkbox]"
    )
    element = browser.driver.find_element(By.ID, place)
    if options:
        values = {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value
        wanted = values if isinstance(values, list) else ["" if values is None else values]
        for each in options:
            has = each.get_attribute("type") == "checkbox" or each.get_property("value") in wanted
            if has and each.is_selected() != (each.get_property("value") in wanted):
                each.click()
    elif field.kind == "boolean":
        if element.is_selected() != bool(value):
            element.click()
    elif element.tag_name == "select":
        places = [""] + [option.value for option in field.options]
        browser.driver.find_elements(By.CSS_SELECTOR, f"#{place} option")[places.index(value or "")].click()
    else:
        write(browser, element, "" if value is None else value if isinstance(value, str) else json.dumps(value))


def write(browser: Browser, element: WebElement, text: str) -> None:
    """Put a text in place of what a field has: by typing it, or by pasting it where no key writes it."""
    if element.get_property("value") == text:
        return
    element.clear()
    if element.get_attribute("type") == "date":
        year, month, day = text.split("-")
        element.send_keys(f"{month}{day}{year}")
    elif text.isascii() and text.isprintable():
        element.send_keys(text)
    if element.get_property("value") != text:
        browser.driver.execute_script("arguments[0].value = arguments[1]", element, text)


def can_be_given(field: FormField, value: Any) -> bool:
    """Whether a person can give this value on a page: no key writes a line end into a field of one line, and a required text
    has at least one character."""
    if field.kind != "text" or not isinstance(value, str):
        return True
    is_shown = value == field.default
    if value == "":
        return field.has_default
    return is_shown or ("\r" not in value and (field.has_lines or "\n" not in value))


def as_given(field: FormField, value: Any) -> Any:
    """The value as a page can give it: options come in the order in which they are offered, and nothing chosen of a field that
    begins empty and may be left out is the same as left out."""
    if not isinstance(value, list):
        return value
    chosen = [option.value for option in field.options if option.value in value]
    return chosen if chosen or field.required or field.default is not None else None


def comes_back(asking: Asking, case: Case) -> None:
    content = json.loads(case.value.model_dump_json(exclude_none=True))
    prompt = form_of(case.model, text="?")
    fields = {field.name: field for field in prompt.fields}
    if not all(can_be_given(field, content.get(name)) for name, field in fields.items()):
        return
    asking.asks(prompt)
    for number, (name, field) in enumerate(fields.items()):
        fill(asking.browser, number, field, content.get(name))
    asking.browser.press("Send the answer")
    asking.browser.until("You answered this")
    wanted = {name: as_given(field, content.get(name)) for name, field in fields.items()}
    assert read_model(case.model, asking.content()) == read_model(case.model, wanted)


class Hard(BaseModel):
    """What a browser could change on the way: ends of lines, what begins with one, no and nothing."""

    lines: str = "a\r\nb"
    old: str = "a\rb"
    more: str = Field(default="\n\nc\n", json_schema_extra={"x-multiline": True})
    sure: bool | None = None
    blank: str = "  "


OTHER = Hard(sure=True, lines="x\ny", blank=" \t ")


@pytest.mark.parametrize(
    "value", [Hard(sure=False), *(pytest.param(each, marks=pytest.mark.deep) for each in (Hard(), OTHER))]
)
def test_what_a_browser_could_change_on_the_way_comes_back_as_it_was(asking: Asking, value: Hard) -> None:
    comes_back(asking, Case(Hard, value))


def examples(count: int, *, deep: bool) -> settings:
    return settings(
        max_examples=count,
        derandomize=not deep,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
    )


def test_every_model_is_filled_in_in_a_browser_and_comes_back_equal(asking: Asking) -> None:
    @examples(3, deep=False)
    @given(case=cases())
    def each(case: Case) -> None:
        comes_back(asking, case)

    each()


@pytest.mark.deep
def test_many_models_are_filled_in_in_a_browser_and_come_back_equal(asking: Asking) -> None:
    @examples(400, deep=True)
    @given(case=cases())
    def each(case: Case) -> None:
        comes_back(asking, case)

    each()
