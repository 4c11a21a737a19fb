"""Notices by Apprise, to a real HTTP server of this machine: delivered, refused, redirected, and nothing secret in the log."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from notices import until
from restpoint.errors import InvalidArgument
from restpoint.events import EventKind
from restpoint.notify.apprise import AppriseChannel, AppriseSettings
from restpoint.notify.notices import DeliveryFailed
from restpoint.notify.routes_file import ChannelContext
from restpoint.notify.wording import sample
from served import Served
from serving import served
from support import PATIENCE, dump, rows

# Apprise imports it where Python still has it.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

TOKEN = "canary-3f9a"
PATIENT = f"cto={PATIENCE:g}&rto={PATIENCE:g}"
"""How long Apprise waits for a connection and for a reply: by default four seconds, for which a machine may stand still."""
NOTICE = sample(EventKind.INTERACTION_ASKED)


@dataclass
class Receiver:
    """What a receiver got, and what it answers."""

    client: httpx.AsyncClient
    got: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    gate: asyncio.Event | None = None

    @property
    def url(self) -> str:
        return f"json://user:{TOKEN}@{self.client.base_url.host}:{self.client.base_url.port}/{TOKEN}?{PATIENT}"


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    made: list[Receiver] = []

    async def take(request: Request) -> Response:
        receiver = made[0]
        receiver.paths.append(request.url.path)
        receiver.got.append(json.loads(await request.body() or b"{}"))
        if receiver.gate is not None:
            await receiver.gate.wait()
        return Response(status_code=receiver.status, headers=receiver.headers)

    app = Starlette(routes=[Route("/{path:path}", take, methods=["POST", "GET"])])
    async with asyncio.timeout(PATIENCE), served(app) as client:
        made.append(Receiver(client))
        yield made[0]


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """What was logged, without what the receiver logs of itself."""
    return "\n".join(each.getMessage() for each in caplog.records if not each.name.startswith("uvicorn"))


def channel_to(url: str, **more: Any) -> AppriseChannel:
    context = ChannelContext(name="chat", environ={"CHAT": url}, folder=Path())
    return AppriseSettings.model_validate({"url_env": "CHAT", **more}).channel(context)


async def test_a_message_says_who_is_asked_what_and_where() -> None:
    async with receiving() as receiver:
        channel = channel_to(receiver.url)
        await channel.send(NOTICE)
        await channel.close()
        (message,) = receiver.got
    assert message["title"] == "[Sample] A question is open: refund"
    assert "> Is this a sample?" in message["message"]
    assert "ben and the group finance" in message["message"]


async def test_a_channel_can_leave_the_question_out() -> None:
    async with receiving() as receiver:
        channel = channel_to(receiver.url, show_question=False)
        await channel.send(NOTICE)
        await channel.close()
        assert "Is this a sample?" not in json.dumps(receiver.got)


async def test_a_url_may_stand_in_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    async with receiving() as receiver:
        (tmp_path / "chat").write_text(f"{receiver.url}\n")
        (tmp_path / "chat").chmod(0o600)
        context = ChannelContext(name="chat", environ={}, folder=tmp_path)
        channel = AppriseSettings(url_file="chat").channel(context)
        await channel.send(NOTICE)
        await channel.close()
        assert len(receiver.got) == 1
        (tmp_path / "chat").chmod(0o644)
        with pytest.raises(InvalidArgument, match="may be used by others"):
            AppriseSettings(url_file="chat").channel(context)


@pytest.mark.parametrize("status", [400, 404, 410, 429, 500, 503])
async def test_what_a_receiver_refuses_is_a_failed_attempt_and_shows_no_secret(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with receiving() as receiver:
        receiver.status = status
        channel = channel_to(receiver.url)
        with pytest.raises(DeliveryFailed) as failed:
            await channel.send(NOTICE)
        await channel.close()
    assert not failed.value.is_final
    assert str(status) in failed.value.problem
    assert TOKEN not in failed.value.problem + logged(caplog)


async def test_a_redirect_is_not_followed() -> None:
    async with receiving() as receiver:
        receiver.status, receiver.headers = 307, {"location": "/elsewhere"}
        channel = channel_to(receiver.url)
        with pytest.raises(DeliveryFailed):
            await channel.send(NOTICE)
        await channel.close()
        assert receiver.paths == [f"/{TOKEN}"]


async def test_a_receiver_that_is_not_there_is_a_failed_attempt(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with receiving() as receiver:
        url = receiver.url
    channel = channel_to(url)
    with pytest.raises(DeliveryFailed) as failed:
        await channel.send(NOTICE)
    await channel.close()
    assert TOKEN not in failed.value.problem + logged(caplog)


async def test_a_receiver_that_does_not_answer_holds_up_nothing_else() -> None:
    async with receiving() as slow, receiving() as quick:
        slow.gate = asyncio.Event()
        waiting, channel = channel_to(slow.url, timeout=1), channel_to(quick.url)
        attempt = asyncio.create_task(waiting.send(NOTICE))
        await channel.send(NOTICE)
        assert len(quick.got) == 1
        with pytest.raises(DeliveryFailed, match="in time"):
            await attempt
        slow.gate.set()
        await waiting.close()
        await channel.close()


async def test_what_is_delivered_shows_nothing_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with receiving() as receiver:
        channel = channel_to(receiver.url)
        await channel.send(NOTICE)
        await channel.close()
    assert TOKEN not in logged(caplog)
    assert "Is this a sample?" not in logged(caplog)


@pytest.mark.parametrize(
    ("given", "url", "words"),
    [
        ({}, "", "needs url_env or url_file"),
        ({"url_env": "CHAT"}, "", "CHAT, which is not set"),
        ({"url_env": "CHAT"}, f"nothing://{TOKEN}", "none that Apprise knows"),
        ({"url_env": "CHAT"}, TOKEN, "none that Apprise knows"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_the_start(
    given: dict[str, Any], url: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    context = ChannelContext(name="chat", environ={"CHAT": url} if url else {}, folder=Path())
    with pytest.raises(InvalidArgument, match=words) as refused:
        AppriseSettings.model_validate(given).channel(context)
    assert TOKEN not in str(refused.value) + logged(caplog)


TARGET = """
from restpoint import Context, workflow
from restpoint.prompts import HumanPromptText

@workflow
async def refund(ctx: Context) -> str:
    return (await ctx.ask(HumanPromptText(text="Pay it?"), assignees=["anna"])).text
"""
ROUTES = """
[channels.chat]
kind = "apprise"
url_env = "CHAT_URL"
[[routes]]
name = "chat"
channel = "chat"
"""


async def test_a_served_workflow_tells_a_chat_and_tries_again_what_that_refused(tmp_path: Path) -> None:
    (tmp_path / "target.py").write_text(TARGET)
    (tmp_path / "routes.toml").write_text(ROUTES)
    file = tmp_path / "app.db"
    options = ("--routes", "routes.toml", "--database", "app.db", "--log-level", "debug")
    async with receiving() as receiver:
        receiver.status = 503
        server = await asyncio.to_thread(Served, "target.py", tmp_path, *options, CHAT_URL=receiver.url)
        try:
            async with httpx.AsyncClient(base_url=server.url, timeout=PATIENCE) as client:
                assert (await client.post("/v1/workflows/refund")).status_code == 202
                await until(lambda: bool(rows(file, "SELECT 1 FROM outbox WHERE problem LIKE '%answered 503%'")))
                receiver.status = 200
                ((notice,),) = rows(file, "SELECT id FROM outbox")
                assert (await client.post(f"/outbox/{notice}/retry")).status_code == 204
                await until(lambda: rows(file, "SELECT status FROM outbox") == [("delivered",)])
        finally:
            await asyncio.to_thread(server.end)
            await asyncio.to_thread(server.kill)
    assert len(receiver.got) >= 2
    assert len({json.dumps(each) for each in receiver.got}) == 1
    assert f"{server.url}/view/" in receiver.got[0]["message"]
    everything = "".join(server.said) + "\n".join(dump(file))
    assert TOKEN not in everything
    assert "503" in everything
