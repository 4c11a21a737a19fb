"""What an answer costs the server while many people have a page open that changes by itself.

    python benchmarks/open_pages.py [--people 500] [--answers 200] [--rate 20]

The server is a process of its own; 500 people have their inbox open over plain sockets, and each page does what its script
does (``src/restpoint/http/pages/assets/inbox.js``): it takes rows away and puts rows in as it is told, and asks for itself again
where it is told to, and where it has few rows and there are more. So many answers are given each second, and the processor time
that the server took is divided by their number: with nobody there, and with everybody there. The same is measured for asking.
What the open streams cost by themselves in that time is part of it. A prompt is for one person, or for one of 50 groups, of which
a person is in three. The target is that an answer costs less than 5 ms more with 500 pages open.
"""

import argparse
import asyncio
import html
import json
import random
import re
import tempfile
import time
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from http_sockets import Connection, Server  # type: ignore[import-not-found]

ANSWER = json.dumps({"response": {"type": "text", "text": "yes"}}).encode()
FEW_ROWS = 25


class Figures(NamedTuple):
    """What one prompt cost the server, and how many pages it was told to and how many of them asked again."""

    milliseconds: float
    told: float
    asked: float


class Page:
    """Somebody's inbox that is open in a browser. ``told`` counts how often it heard of a change, ``asked`` its requests."""

    def __init__(self, port: int, person: int) -> None:
        self._port, self._person = port, person
        self._rows: set[str] = set()
        self._has_more = False
        self._asking: set[asyncio.Task[None]] = set()
        self._is_to_ask = False
        self.told = self.asked = 0

    async def open(self) -> None:
        page = await self._ask()
        address = html.unescape(re.findall(r'data-live="([^"]+)"', page)[0])
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        head = f"GET {address} HTTP/1.1\r\nHost: 127.0.0.1\r\nx-user: {self._person}\r\n\r\n"
        self._writer.write(head.encode())
        await self._reader.readuntil(b": open\n\n")
        self._following = asyncio.create_task(self._follow())

    async def _ask(self) -> str:
        self.asked += 1
        connection = Connection(self._port)
        await connection.open()
        code, content = await connection.request("GET", "/", more=f"x-user: {self._person}\r\n")
        connection.close()
        assert code == 200
        page: str = content.decode()
        self._rows = set(re.findall(r'data-key="([^"]+)"', page))
        self._has_more = "data-more" in page
        return page

    async def _follow(self) -> None:
        while line := await self._reader.readline():
            if line.startswith(b"event: "):
                self.told += 1
                name, data = line[7:].strip(), (await self._reader.readline())[6:]
                assert name in {b"rows", b"changed"}, (name, data)
                if name == b"changed" or not self._change_rows(**json.loads(data)):
                    self._ask_soon()

    def _change_rows(self, rows: list[str], gone: list[str]) -> bool:
        """Whether that is all that there is to do."""
        self._rows -= set(gone)
        self._rows |= {re.findall(r'data-key="([^"]+)"', each)[0] for each in rows}
        return not self._has_more or len(self._rows) >= FEW_ROWS

    def _ask_soon(self) -> None:
        async def ask() -> None:
            await asyncio.sleep(random.uniform(0.1, 0.4))
            self._is_to_ask = False
            await self._ask()

        if not self._is_to_ask:
            self._is_to_ask = True
            task = asyncio.create_task(ask())
            self._asking.add(task)  # the loop itself keeps no strong reference
            task.add_done_callback(self._asking.discard)

    async def close(self) -> None:
        self._following.cancel()
        with suppress(asyncio.CancelledError):
            await self._following
        self._writer.close()


async def spent(server: Server, requests: list[Coroutine[Any, Any, None]], rate: float) -> float:
    """Milliseconds of processor time for each of these requests, at so many a second."""
    await asyncio.sleep(1.5)
    before, begun = server.cpu(), time.perf_counter()
    for number, each in enumerate(requests):
        await asyncio.sleep(max(0.0, begun + number / rate - time.perf_counter()))
        await each
    await asyncio.sleep(max(0.0, begun + len(requests) / rate + 1.0 - time.perf_counter()))
    took: float = server.cpu() - before
    return 1_000 * took / len(requests)


async def measured(server: Server, assignees: list[str], rate: float, pages: list[Page]) -> dict[str, Figures]:
    """What asking and answering cost for prompts to these, one after the other."""
    connection = Connection(server.port)
    await connection.open()
    prompts: list[tuple[str, str]] = []

    async def ask(name: str) -> None:
        body = json.dumps(name).encode()
        code, content = await connection.request("POST", "/v1/workflows/ask", body, more="x-user: 1\r\n")
        assert code == 202, content
        # Who answers: a person whom it is addressed to.
        person = name.removeprefix("person") if name.startswith("person") else name.removeprefix("group:group")
        prompts.append((json.loads(content)["response_url"], person))

    async def answer(number: int) -> None:
        url, person = prompts[number]
        code, content = await connection.request("POST", url, ANSWER, more=f"x-user: {person}\r\n")
        assert code == 204, content

    found = {}
    for what, requests in (
        ("asked", [ask(name) for name in assignees]),
        ("answered", [answer(number) for number in range(len(assignees))]),
    ):
        for page in pages:
            page.told = page.asked = 0
        took = await spent(server, requests, rate)
        count = len(assignees)
        found[what] = Figures(took, sum(page.told for page in pages) / count, sum(page.asked for page in pages) / count)
    connection.close()
    return found


async def main() -> None:
    """Read the arguments, and print what an answer costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=500)
    parser.add_argument("--answers", type=int, default=200)
    parser.add_argument("--rate", type=float, default=20.0)
    options = parser.parse_args()
    kinds = {
        "for one person": [f"person{number % options.people}" for number in range(options.answers)],
        "for a group": [f"group:group{number % 50}" for number in range(options.answers)],
    }
    with tempfile.TemporaryDirectory() as folder:
        server = Server("inboxes", Path(folder) / "restpoint.db")
        try:
            await measured(server, kinds["for one person"][:50], 50.0, [])  # warm
            alone = {kind: await measured(server, names, options.rate, []) for kind, names in kinds.items()}
            pages = [Page(server.port, number) for number in range(options.people)]
            for page in pages:
                await page.open()
            for kind, names in kinds.items():
                for what, found in (await measured(server, names, options.rate, pages)).items():
                    before = alone[kind][what].milliseconds
                    print(
                        f"{what} {kind:<15} alone {before:6.2f} ms, with {options.people} pages "
                        f"{found.milliseconds:6.2f} ms: {found.milliseconds - before:+6.2f} ms, "
                        f"{found.told:.1f} told, {found.asked:.1f} ask again",
                        flush=True,
                    )
            for page in pages:
                await page.close()
        finally:
            server.stop()


if __name__ == "__main__":
    asyncio.run(main())
