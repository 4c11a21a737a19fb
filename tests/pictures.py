"""Writes the pictures of the pages in ``docs/images``: ``PYTHONPATH=src:tests python tests/pictures.py``."""

import tempfile
from pathlib import Path
from typing import Any

import httpx

from chromium import Browser
from restpoint import Context, workflow
from restpoint._storage.sqlite import migrations
from restpoint.http.app import create_app
from restpoint.prompts import (
    BinaryHumanPromptOption,
    HumanPromptBinary,
    HumanPromptNotification,
    HumanPromptRadio,
    HumanPromptText,
    MultipleChoiceOption,
)
from serving import Serving

IMAGES = Path(__file__).parents[1] / "docs" / "images"
SIZE = (860, 600)

YES = BinaryHumanPromptOption(id="yes", label="Yes, send it", value="yes")
NO = BinaryHumanPromptOption(id="no", label="No", value="no")
REFUND = """# Refund 120.00 EUR to Ada Lovelace?

The parcel came back **unopened**.

| Item | Price |
| --- | --- |
| Lamp | 80.00 |
| Bulb | 40.00 |

See [the order](https://shop.example/orders/4711).
"""
WAYS = [MultipleChoiceOption(id=each, label=each, value=each) for each in ("mail", "telephone")]


@workflow
async def refund(ctx: Context) -> Any:
    return await ctx.ask(HumanPromptBinary(text=REFUND, options=[YES, NO]), timeout=3 * 3600)


@workflow
async def survey(ctx: Context, number: int) -> Any:
    prompts = (
        (HumanPromptRadio(text="How shall we reach her?", options=WAYS), 5 * 86_400),
        (HumanPromptText(text="What shall we tell the customer?"), None),
        (HumanPromptNotification(text="The backup of **last night** is complete."), None),
    )
    prompt, timeout = prompts[number]
    return await ctx.ask(prompt, timeout=timeout, priority=10 if number == 1 else 0)


def main() -> None:
    """Take the pictures."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "restpoint.db"
        migrations.upgrade(file)
        with Serving(create_app([refund, survey], database=file)) as server, Browser() as browser:
            reply = httpx.post(f"{server.url}/v1/workflows/refund").json()
            for number in range(3):
                httpx.post(f"{server.url}/v1/workflows/survey", json=number)
            browser.size(*SIZE)
            browser.driver.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
            prompt = f"/view/{reply['execution_id']}/prompt/{reply['interactions'][0]['interaction_id']}"
            for name, path, scheme in (("inbox", "/", "light"), ("prompt", prompt, "dark")):
                features = [{"name": "prefers-color-scheme", "value": scheme}]
                browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
                browser.open(server.url + path)
                browser.driver.save_screenshot(str(IMAGES / f"{name}.png"))


if __name__ == "__main__":
    main()
