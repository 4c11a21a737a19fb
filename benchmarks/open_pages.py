"""What an answer costs the server while many people have a page open that changes by itself.

    python benchmarks/open_pages.py [--people 500] [--answers 200] [--rate 20]

The server is a process of its own; 500 people follow the stream of their inbox over plain sockets. So many answers are given
each second, and the processor time that the server took is divided by their number: with nobody there, with everybody there,
and with everybody there where each page that is told asks for itself again, as its script does. What the open streams cost by
themselves in that time is part of it. A prompt is for one person, or for one of 50 groups, of which a person is in three. The
target is that an answer costs less than 5 ms more with 500 pages open.
"""

import argparse
import asyncio
import json
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from http_sockets import Connection, Server  # type: ignore[import-not-found]

ANSWER = json.dumps({"response": {"type": "text", "text": "yes"}}).encode()


class Page:
    """Somebody's inbox that is open in a browser. ``told`` counts how often it heard of a change."""

    def __init__(self, port: int, person: int) -> None:
        self._port, self._person = port, person
        self.told = 0
        self.asks_again = False

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        head = f"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\nx-user: {self._person}\r\n\r\n"
        self._writer.write(head.encode())
        await self._reader.readuntil(b": open\n\n")
        self._following = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        while line := await self._reader.readline():
            if line.startswith(b"event: changed"):
                self.told += 1
                if self.asks_again:
                    await asyncio.sleep(0.1)
                    connection = Connection(self._port)
                    await connection.open()
                    code, _ = await connection.request("GET", "/", more=f"x-user: {self._person}\r\n")
                    connection.close()
                    assert code == 200

    async def close(self) -> None:
        self._following.cancel()
        with suppress(asyncio.CancelledError):
            await self._following
        self._writer.close()


async def answers(server: Server, assignees: list[str], rate: float) -> float:
    """Milliseconds of processor time for each of these prompts' answers, at so many a second."""
    connection = Connection(server.port)
    await connection.open()
    prompts = []
    for name in assignees:
        body = json.dumps(name).encode()
        code, content = await connection.request("POST", "/v1/workflows/ask", body, more="x-user: 1\r\n")
        assert code == 202, content
        prompts.append(json.loads(content)["response_url"])
    # Who answers: a person whom it is addressed to.
    people = [
        name.removeprefix("person") if name.startswith("person") else name.removeprefix("group:group")
        for name in assignees
    ]
    await asyncio.sleep(1.5)
    before, begun = server.cpu(), time.perf_counter()
    for number, (url, person) in enumerate(zip(prompts, people, strict=True)):
        await asyncio.sleep(max(0.0, begun + number / rate - time.perf_counter()))
        code, content = await connection.request("POST", url, ANSWER, more=f"x-user: {person}\r\n")
        assert code == 204, content
    await asyncio.sleep(max(0.0, begun + len(prompts) / rate + 1.0 - time.perf_counter()))
    connection.close()
    spent: float = server.cpu() - before
    return 1_000 * spent / len(prompts)


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
            pages = [Page(server.port, number) for number in range(options.people)]
            await answers(server, kinds["for one person"][:50], 50.0)  # warm
            alone = {kind: await answers(server, names, options.rate) for kind, names in kinds.items()}
            for page in pages:
                await page.open()
            for again in (False, True):
                for kind, names in kinds.items():
                    for page in pages:
                        page.told, page.asks_again = 0, again
                    took = await answers(server, names, options.rate)
                    told = sum(page.told for page in pages) / len(names)
                    what = f"{kind}{', pages that are told ask again' if again else ''}"
                    print(
                        f"{what:<48} alone {alone[kind]:6.2f} ms, with {options.people} pages {took:6.2f} ms: "
                        f"{took - alone[kind]:+6.2f} ms, {told:.1f} told",
                        flush=True,
                    )
            for page in pages:
                await page.close()
        finally:
            server.stop()


if __name__ == "__main__":
    asyncio.run(main())
