"""A server in a process of its own that says for how long its event loop was held, and bodies that were built to hold it."""

import asyncio
import multiprocessing
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from restpoint import Context, workflow
from restpoint.http.connections import Config, ConnectionLimits
from restpoint.http.server import listen
from restpoint.prompts import HumanPromptCheckbox
from schema_cases import PROVIDER
from serving import WORKFLOWS, Server, make_app
from support import CALL, MAIL, eventually

LIMIT = 4 * 1024 * 1024


class Line(BaseModel):
    amount: int
    text: str | int | None = None


@workflow
async def typed(ctx: Context, lines: list[Line | dict[str, int] | int]) -> int:
    return len(lines)


@workflow
async def mapped(ctx: Context, value: dict[str, Any]) -> int:
    return len(value)


@workflow
async def tick(ctx: Context) -> Any:
    return await ctx.ask(HumanPromptCheckbox(text="Which?", options=[MAIL, CALL]))


@workflow
async def heavy(ctx: Context, count: int) -> None:
    """Give out a mebibyte so many times."""
    for _ in range(count):
        await ctx.emit("a" * 1024 * 1024)


def filled(head: bytes, part: bytes, tail: bytes, most: int = LIMIT) -> bytes:
    """As many parts as there is room for."""
    return head + part * ((most - len(head) - len(tail)) // len(part)) + tail


def bodies() -> Iterator[tuple[str, bytes]]:
    """Bodies by what they have much of, each up to the largest size that is read, and some just within every limit."""
    yield "empty objects", filled(b"[", b"{},", b"0]")
    yield "empty lists", filled(b"[", b"[],", b"0]")
    yield "numbers", filled(b"[", b"0,", b"0]")
    yield "floats", filled(b"[", b"0.1234567890123,", b"0]")
    yield "numbers of 4,000 digits", filled(b"[", b"9" * 4_000 + b",", b"0]")
    yield "numbers of 1,000 digits", filled(b"[", b"9" * 1_000 + b",", b"0]")
    yield "one number of all digits", filled(b"", b"9", b"")
    yield "digits behind the point", filled(b"0.", b"9", b"")
    yield "exponents", filled(b"[", b"1e308,", b"0]")
    yield "keys", b"{" + b",".join(b'"k%d":1' % at for at in range(300_000)) + b"}"
    yield "duplicate keys", filled(b"{", b'"k":1,', b'"k":1}')
    yield "depth", filled(b"", b"[", b"")
    yield "depth, closed", b"[" * (LIMIT // 2) + b"]" * (LIMIT // 2)
    yield "depth of 99, often", b"[" + (b"[" * 99 + b"]" * 99 + b",") * 200 + b"0]"
    yield "text", filled(b'"', b"a", b'"')
    yield "letters of three bytes", filled(b'"', "\u20ac".encode(), b'"')
    yield "escaped letters", filled(b'"', b"\\u20ac", b'"')
    yield "escaped quotes", filled(b'"', b'\\"', b'"')
    yield "backslashes", filled(b'"', b"\\\\", b'"')
    yield "quotes", filled(b"", b'"', b"")
    yield "half an escape", filled(b'"', b"\\", b"")
    yield "texts", filled(b"[", b'"a",', b"0]")
    yield "objects within the limit", filled(b"[", b"{},", b"0]", 3 * 24_990)
    yield "numbers within the limit", filled(b"[", b"0,", b"0]", 2 * 49_990)
    yield "floats within the limit", filled(b"[", b"0.5,", b"0]", 4 * 49_990)
    yield "keys within the limit", b"{" + b",".join(b'"k%d":1' % at for at in range(49_990)) + b"}"
    yield "texts within the limit", filled(b"[", b'"' + b"a" * 80 + b'",', b"0]", 83 * 49_980)
    yield "escapes within the limit", filled(b"[", b'"' + b"\\n" * 40 + b'",', b"0]", 83 * 49_980)


def answers() -> Iterator[tuple[str, bytes]]:
    """Bodies that are responses to a prompt with options."""
    option = b'{"id":"mail","label":"E-mail","value":"mail"},'
    head, tail = b'{"response":{"type":"checkbox","selected_options":[', b"{}]}}"
    yield "options", filled(head, option, tail)
    yield "options within the limit", filled(head, option, tail, len(option) * 2_490)
    yield "empty options within the limit", filled(head, b"{},", tail, 3 * 4_990)
    yield "ids within the limit", filled(head, b'"mail",', tail, 7 * 9_980)
    yield "unknown fields", b'{"response":{' + b",".join(b'"k%d":1' % at for at in range(9_900)) + b"}}"


def chunked(body: bytes, size: int) -> bytes:
    """A body in chunks of so many bytes."""
    pieces = (body[at : at + size] for at in range(0, len(body), size))
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


class Served:
    """The server of the other process."""

    def __init__(self, port: int, pipe: Connection) -> None:
        self.port = port
        self._pipe = pipe

    def longest(self) -> float:
        """The longest time in seconds that the process held its loop since the last call."""
        self._pipe.send("longest")
        held: float = self._pipe.recv()
        return held

    def resident(self) -> int:
        """The bytes of memory that the process has."""
        self._pipe.send("resident")
        size: int = self._pipe.recv()
        return size


@contextmanager
def watched(database: Path, limits: ConnectionLimits, descriptors: int = 0) -> Iterator[Served]:
    """A server of the workflows above whose loop is watched; with a limit of open files, if one is given."""
    here, there = multiprocessing.Pipe()
    arguments = (str(database), limits, descriptors, there)
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=arguments, daemon=True)
    process.start()
    there.close()
    try:
        yield Served(here.recv(), here)
    finally:
        here.close()
        process.join(30)
        process.kill()


def _serve(database: str, limits: ConnectionLimits, descriptors: int, pipe: Connection) -> None:
    if descriptors:
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
    asyncio.run(_serve_until_told(database, limits, pipe))


async def _serve_until_told(database: str, limits: ConnectionLimits, pipe: Connection) -> None:
    listening = listen("127.0.0.1", 0)
    workflows = [*WORKFLOWS, typed, mapped, tick, heavy]
    app = make_app(Path(database), workflows=workflows, default="echo", providers=[PROVIDER])
    server = Server(Config(app, limits, log_config=None, lifespan="on"))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    loop = asyncio.get_running_loop()
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            before, worked = loop.time(), time.process_time()
            await asyncio.sleep(0.005)
            # What other programs take of a busy machine is no fault of the server: count the time that it worked itself.
            longest = max(longest, min(loop.time() - before - 0.005, time.process_time() - worked))

    def told() -> None:
        nonlocal longest
        try:
            question = pipe.recv()
        except EOFError:
            loop.remove_reader(pipe.fileno())
            app.state.shutdown()
            server.told_to_end.set()
            return
        if question == "longest":
            pipe.send(longest)
            longest = 0.0
        else:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            pipe.send(pages * 4096)

    await eventually(lambda: server.started)
    loop.add_reader(pipe.fileno(), told)
    watching = asyncio.create_task(watch())
    pipe.send(listening.getsockname()[1])
    await serving
    watching.cancel()


def send(port: int, path: str, body: bytes, *, in_chunks_of: int = 0) -> int:
    """POST a body on a connection of its own. Returns the status of the reply."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as to:
        framing = b"Transfer-Encoding: chunked" if in_chunks_of else b"Content-Length: %d" % len(body)
        sent = chunked(body, in_chunks_of) if in_chunks_of else body
        head = b"POST %b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%b\r\n\r\n" % (path.encode(), framing)
        to.sendall(head + sent)
        reply = to.makefile("rb").readline()
        return int(reply.split()[1])
