"""What a page of another site can make a person's browser do: the rules are in the browser, so a real one is asked."""

import asyncio

import httpx
import pytest

from chromium import Browser
from serving import asked

pytestmark = pytest.mark.browser

# Each gives what the page learns.
POST = """
    const body = JSON.stringify(given[1]);
    try {
        const reply = await fetch(given[0], {method: "POST", mode: "no-cors", credentials: "include", body});
        return `${reply.type} ${reply.status}`;
    } catch (error) {
        return "refused";
    }
"""
READ = "try { return await (await fetch(given[0])).text(); } catch (error) { return 'refused'; }"
FORM = """
    document.body.innerHTML = '<form method="post" enctype="text/plain"><button>Win a prize</button></form>';
    const form = document.querySelector("form"), field = document.createElement("input");
    form.action = given[0];
    field.type = "hidden";
    [field.name, field.value] = ['{"name": "', '"}'];
    form.append(field);
"""
FRAME = """
    const frame = document.createElement("iframe");
    const loaded = new Promise((go) => { frame.onload = go; });
    frame.src = given[0];
    document.body.append(frame);
    await loaded;
    try { return frame.contentDocument.body.textContent; } catch (error) { return "refused"; }
"""


async def test_a_page_of_another_site_learns_nothing_and_changes_nothing(
    client: httpx.AsyncClient, browser: Browser
) -> None:
    accepted = await asked(client, "greet", "Ada")
    here = str(client.base_url)
    elsewhere = here.replace("127.0.0.1", "localhost")  # another site to a browser, whoever serves it
    execution = f"{here}/executions/{accepted['execution_id']}"
    answer = {"response": {"type": "text", "text": "x"}}

    def visit() -> dict[str, str]:
        browser.open(f"{elsewhere}/healthz")
        learned = {
            "start": browser.run(POST, f"{here}/v1/workflows/greet", "Eve"),
            "answer": browser.run(POST, f"{here}{accepted['response_url']}", answer),
            "cancel": browser.run(POST, f"{execution}/cancel", {}),
            "read": browser.run(READ, execution),
            "frame": browser.run(FRAME, execution),
        }
        browser.run(FORM, f"{here}/v1/workflows/greet")
        browser.press("Win a prize")
        browser.until("A page of another site sent this")
        browser.forget()  # the console complained, and should
        return learned

    assert await asyncio.to_thread(visit) == {
        "start": "opaque 0",
        "answer": "opaque 0",
        "cancel": "opaque 0",
        "read": "refused",
        "frame": "refused",
    }
    [only] = (await client.get("/executions")).json()["items"]
    assert (only["execution_id"], only["status"]) == (accepted["execution_id"], "interaction_required")

    def at_home() -> list[str]:
        browser.open(f"{here}/healthz")
        return [browser.run(POST, f"{here}{accepted['response_url']}", answer), browser.run(READ, execution)]

    answered, read = await asyncio.to_thread(at_home)
    assert answered == "basic 204"
    assert accepted["execution_id"] in read
