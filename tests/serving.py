"""A real server on a real socket, in this process, and what the tests of it share: workflows, people, events of a stream."""

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
import uvicorn
import uvicorn.server
from starlette.applications import Starlette
from starlette.requests import Request

from restpoint import Context, WorkflowFailed, workflow
from restpoint.access import Actor
from restpoint.http.app import create_app
from restpoint.http.connections import Config, ConnectionLimits
from restpoint.prompts import HumanPromptBinary, HumanPromptCheckbox, HumanPromptText
from support import CALL, MAIL, NO, PATIENCE, YES

T = TypeVar("T")

GATES: dict[str, asyncio.Event] = {}
"""What the workflow ``gated`` waits for, by its input."""

PEOPLE = {
    "ada": Actor("ada"),
    "grace": Actor("grace"),
    "joan": Actor("joan", groups=frozenset({"finance"})),
    "op": Actor("op", roles=frozenset({"operator"})),
    "eye": Actor("eye", roles=frozenset({"reader"})),
}

TEXT_ANSWER = {"response": {"type": "text", "text": "Hopper"}}


def whoever(request: Request) -> Actor | None:
    """The person that the header ``x-user`` names."""
    return PEOPLE.get(request.headers.get("x-user", ""))


@workflow
async def echo(ctx: Context, value: Any = None) -> Any:
    return value


@workflow
async def greet(ctx: Context, name: str = "you") -> str:
    """Ask for a second name."""
    answer = await ctx.ask(HumanPromptText(text=f"Hello {name}?", timeout=3600))
    return f"{name} {answer.text}"


@workflow
async def choose(ctx: Context) -> Any:
    answer = await ctx.ask(HumanPromptCheckbox(text="How?", options=[MAIL, CALL]))
    return [option.id for option in answer.selected_options]


@workflow
async def both(ctx: Context) -> Any:
    first, second = await asyncio.gather(ctx.ask(HumanPromptText(text="One?")), ctx.ask(HumanPromptText(text="Two?")))
    return [first.text, second.text]


@workflow
async def approve(ctx: Context) -> Any:
    answer = await ctx.ask(
        HumanPromptBinary(text="Pay?", options=[YES, NO]), assignees=["group:finance", "ada"], four_eyes=True
    )
    return answer.selected_option.value


@workflow
async def hurried(ctx: Context) -> str:
    return (await ctx.ask(HumanPromptText(text="Quick?"), timeout=0.05, on_deadline="raise")).text


@workflow
async def consent(ctx: Context) -> str:
    await ctx.authorize(auth_url="https://id.example/go?state=s3cret", oauth_state="s3cret")
    return "granted"


@workflow
async def connect(ctx: Context) -> str:
    return (await ctx.authorize("nowhere")).token_type


@workflow
async def gated(ctx: Context, gate: str) -> str:
    await ctx.step(GATES.setdefault(gate, asyncio.Event()).wait)
    return gate


@workflow
async def progress(ctx: Context) -> str:
    await ctx.emit({"done": 1})
    await ctx.notify("half\u2028way\x85\r\n\r\nevent: forged")
    answer = await ctx.ask(HumanPromptText(text="Go on?"))
    await ctx.emit("two")
    return answer.text


@workflow
async def broken(ctx: Context) -> None:
    raise ValueError("the password is hunter2")


@workflow
async def refused(ctx: Context) -> None:
    raise WorkflowFailed("The account is closed.", code="account_closed")


@workflow
async def unserialisable(ctx: Context) -> Any:
    return {"fine": 1, "not": object()}


WORKFLOWS = [
    echo, greet, choose, both, approve, hurried, consent, connect, gated, progress, broken, refused, unserialisable,
]  # fmt: skip


class _ShortPauses:
    """What uvicorn uses of asyncio. It looks ten times a second whether a connection has closed, and so each test would wait."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    @staticmethod
    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds / 50)


vars(uvicorn.server)["asyncio"] = _ShortPauses()


class Server(uvicorn.Server):
    """Leaves the signals of the tests alone, and ends when it is told to rather than at the next look."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.told_to_end = asyncio.Event()

    async def main_loop(self) -> None:
        await self.on_tick(0)  # makes the headers that every reply has
        await self.told_to_end.wait()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def served(app: Any, **headers: str) -> AbstractAsyncContextManager[httpx.AsyncClient]:
    """A client of the app behind uvicorn on a port of its own. Ends as SIGTERM would."""
    return served_within(ConnectionLimits(), app, **headers)


@asynccontextmanager
async def served_within(limits: ConnectionLimits, app: Any, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
    """As ``served``, with other limits of its connections."""
    listening = socket.socket(proto=socket.IPPROTO_TCP)  # asyncio sends small replies at once on sockets that say so
    listening.bind(("127.0.0.1", 0))
    config = Config(app, limits, log_config=None, lifespan="on", timeout_graceful_shutdown=5)
    server = Server(config)

    async def run() -> None:
        try:
            await server.serve(sockets=[listening])
        except SystemExit as error:  # uvicorn's word for a lifespan that failed
            raise AssertionError("the application did not start") from error

    running = asyncio.create_task(run())
    try:
        while not server.started:
            if running.done():
                running.result()
            await asyncio.sleep(0.005)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=PATIENCE) as client:
            yield client
    finally:
        if hasattr(app.state, "shutdown"):
            app.state.shutdown()
        server.told_to_end.set()
        await running
        listening.close()


class Serving:
    """A client of an app behind uvicorn, for tests that are no coroutines: the server has a thread and a loop of its own."""

    def __init__(self, app: Any) -> None:
        self._app, self._began, self._over = app, threading.Event(), asyncio.Event()
        self.url = ""

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(),), daemon=True)
        self._thread.start()
        assert self._began.wait(PATIENCE), "the server does not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(PATIENCE)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What a coroutine gives that runs beside the server."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with served(self._app) as client:
            self.url = str(client.base_url)
            self._began.set()
            await self._over.wait()


def make_app(path: Path, **settings: Any) -> Starlette:
    return create_app(settings.pop("workflows", WORKFLOWS), database=path, **settings)


@dataclass
class Event:
    """An event of a stream, as the standard reads it: nothing but lines and colons."""

    name: str = "message"
    id: str = ""
    lines: list[str] = field(default_factory=list)

    @property
    def data(self) -> Any:
        return json.loads("\n".join(self.lines))


async def events(reply: httpx.Response) -> AsyncIterator[Event]:
    """The events of a reply (HTML Living Standard, section 9.2.6), split at CR and LF and nowhere else."""
    rest, now = "", Event()
    async for chunk in reply.aiter_text():
        *lines, rest = (rest + chunk).replace("\r\n", "\n").replace("\r", "\n").split("\n")
        for line in lines:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if not line:
                if now.lines:
                    yield now
                now = Event()
            elif name == "event":
                now.name = value
            elif name == "data":
                now.lines.append(value)
            elif name == "id":
                now.id = value


async def take(stream: AsyncIterator[Event], until: str) -> list[Event]:
    """The next events, as far as the first with this name."""
    taken = []
    async for each in stream:
        taken.append(each)
        if each.name == until:
            break
    return taken


async def asked(client: httpx.AsyncClient, name: str, value: Any = None, **headers: str) -> dict[str, Any]:
    """An execution that waits for someone: what its start was answered with."""
    reply = await client.post(f"/v1/workflows/{name}", json=value, headers=headers)
    assert reply.status_code == 202, reply.text
    body: dict[str, Any] = reply.json()
    return body


async def ended(client: httpx.AsyncClient, execution_id: str, **headers: str) -> dict[str, Any]:
    """What a poll says once the execution has ended."""
    async with asyncio.timeout(PATIENCE):
        while True:
            body: dict[str, Any] = (
                await client.get(f"/executions/{execution_id}", params={"wait": 10}, headers=headers)
            ).json()
            if body["status"] in {"completed", "failed", "cancelled"}:
                return body
