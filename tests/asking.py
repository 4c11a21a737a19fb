"""A server that asks somebody at a browser whatever a test tells it to."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chromium import Browser
from people import by_cookie
from restpoint import ExecutionStore
from restpoint.http.app import create_app
from serving import Serving
from support import rows


class Asking:
    """A server that asks Ada whatever it is told to, and her browser."""

    def __init__(self, folder: Path, fresh: Path, browser: Browser) -> None:
        self.file = folder / "restpoint.db"
        shutil.copyfile(fresh, self.file)
        app = create_app([], database=self.file, authenticate=by_cookie)
        self.server, self.store, self.browser = Serving(app), app.state.store, browser

    def asks(self, prompt: Any) -> str:
        """Open the page of a prompt of a new execution. Returns the path."""

        async def ask(store: ExecutionStore) -> tuple[str, str]:
            record = await store.create_execution(owner="ada")
            pending = await store.set_interaction_required(record.execution_id, prompt)
            return record.execution_id, pending.interaction_id

        path = "/view/{}/prompt/{}".format(*self.server.run(ask(self.store)))
        self.browser.open(self.server.url + path)
        return path

    def content(self) -> dict[str, Any]:
        """The newest answer."""
        (response,) = rows(self.file, "SELECT response FROM interactions ORDER BY key DESC LIMIT 1")[0]
        found: dict[str, Any] = json.loads(response)["content"]
        return found


@contextmanager
def asking_ada(folder: Path, fresh: Path, browser: Browser) -> Iterator[Asking]:
    """A server, and Ada at the browser."""
    made = Asking(folder, fresh, browser)
    with made.server:
        browser.open(f"{made.server.url}/assets/icon.svg")
        browser.driver.add_cookie({"name": "user", "value": "ada"})
        yield made
