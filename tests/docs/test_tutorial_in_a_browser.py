"""The newcomer's walk in a browser, as the tutorial tells it: serve, answer on the page, ``kill -9``, start, go on."""

from pathlib import Path

import httpx
import pytest

from chromium import Browser
from served import Served
from support import PATIENCE
from transcripts import DOCS, block

pytestmark = pytest.mark.browser


def test_a_newcomer_answers_on_the_page_over_a_kill_of_the_server(tmp_path: Path, browser: Browser) -> None:
    (tmp_path / "refund.py").write_text(block(DOCS / "tutorial.md", "file refund.py"))
    server = Served("refund.py", tmp_path, "--database", "shop.db")
    try:
        started = []
        for customer in ("Ada", "Grace"):
            order = {"customer": customer, "cents": 4500}
            reply = httpx.post(f"{server.url}/v1/workflows/refund?wait=10", json=order, timeout=PATIENCE)
            assert reply.status_code == 202
            started.append(reply.json()["execution_id"])
        browser.open(server.url)
        browser.press("Refund 45.00 EUR to Ada?")
        browser.press("No")
        browser.until("You answered this")
        browser.press("Next: Refund 45.00 EUR to Grace?")
        browser.until("Yes, send it")
        server.kill()
        server = Served("refund.py", tmp_path, "--database", "shop.db", "--port", server.port)
        browser.press("Yes, send it")
        browser.until("You answered this")
        results = [
            httpx.get(f"{server.url}/executions/{each}", params={"wait": 30}, timeout=PATIENCE).json()["result"]
            for each in started
        ]
        assert results == ["declined", "sent 45.00 EUR"]
        assert (tmp_path / "world.txt").read_text() == "checked Ada\nchecked Grace\nsent 45.00\n"
    finally:
        server.kill()
