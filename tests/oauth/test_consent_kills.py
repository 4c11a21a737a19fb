"""A real server is killed, or told to end, in the middle of a consent; and nothing of its secrets is found anywhere.

Each ends in exactly one exchange and a completed execution, or in an honest new consent. The provider and the browser live on.
"""

import asyncio
import json
import os
import random
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

import hunt
from fake_provider import CLIENT_SECRET, FakeProvider, Surfer, fake_provider
from marks import within
from served import Served, typed
from support import PATIENCE, eventually, folded_statuses, rows

TARGET = """
import asyncio
from restpoint import Context, workflow
from restpoint.prompts import HumanPromptText

async def use(token):
    return f"used with {', '.join(token.scopes)}"

async def fails(token):
    raise RuntimeError("the service said no")

@workflow
async def connect(ctx: Context) -> str:
    token = await ctx.authorize("fake", scopes=["read"])
    return await ctx.step(use, token)

@workflow
async def pause(ctx: Context) -> str:
    token = await ctx.authorize("fake")
    await ctx.ask(HumanPromptText(text="Go on?"))
    return await ctx.step(use, token)

@workflow
async def breaks(ctx: Context) -> str:
    token = await ctx.authorize("fake")
    await ctx.step(fails, token)
    raise AssertionError("not reached")
"""


class Place:
    """A folder with a server in it that can be killed and started again at the same address."""

    def __init__(self, folder: Path, provider: FakeProvider) -> None:
        self.folder = folder
        self.provider = provider
        self.database = folder / "restpoint.db"
        (folder / "flows.py").write_text(TARGET)
        (folder / "providers.toml").write_text(
            f'[fake]\nissuer = "{provider.issuer}"\nclient_id = "restpoint-tests"\nclient_secret_env = "FAKE_SECRET"\n'
            'scopes = ["read"]\n'
        )
        self.port = "0"
        self.said: list[str] = []
        self.server: Served | None = None

    async def start(self) -> str:
        """Serve; returns the address."""
        options = ("--database", str(self.database), "--providers", "providers.toml", "--port", self.port)
        logs = ("--log-level", "debug", "--log-format", "json")
        self.server = await asyncio.to_thread(
            Served, "flows.py", self.folder, *options, *logs, FAKE_SECRET=CLIENT_SECRET
        )
        self.port = self.server.port
        return self.server.url

    async def kill(self) -> None:
        assert self.server is not None
        await asyncio.to_thread(self.server.kill)
        assert self.server.process.returncode == -signal.SIGKILL
        self.said += self.server.said
        self.server = None

    async def end(self) -> float:
        """SIGTERM; returns how long it took, in seconds."""
        assert self.server is not None
        code, took = await asyncio.to_thread(self.server.end)
        assert code in {0, -signal.SIGTERM}
        self.said += self.server.said
        await asyncio.to_thread(self.server.kill)
        self.server = None
        return took

    def consents(self) -> list[tuple[Any, ...]]:
        return rows(self.database, "SELECT status, attempts, verifier IS NOT NULL FROM consents ORDER BY key")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


async def start(url: str, workflow: str = "connect") -> dict[str, Any]:
    async with httpx.AsyncClient(timeout=PATIENCE) as client:
        reply = await client.post(f"{url}/v1/workflows/{workflow}")
        assert reply.status_code == 202, reply.text
        body: dict[str, Any] = reply.json()
        return body


async def poll(url: str, execution_id: str, *, until: str) -> dict[str, Any]:
    async with httpx.AsyncClient(timeout=PATIENCE) as client, asyncio.timeout(PATIENCE):
        while True:
            body: dict[str, Any] = (await client.get(f"{url}/executions/{execution_id}")).json()
            if body["status"] == until:
                return body
            await asyncio.sleep(0.02)


async def pending_again(place: Place) -> None:
    await eventually(lambda: place.consents()[-1][0] == "pending")


async def test_killed_between_the_redirect_and_the_callback_and_between_the_callback_and_the_grant(
    folder: Path,
) -> None:
    async with fake_provider() as provider, Surfer() as browser:
        place = Place(folder, provider)
        told = await start(await place.start())
        back = await browser.to_the_callback(told["auth_url"])
        await place.kill()
        url = await place.start()
        assert (await browser.http.get(back)).status_code == 200
        assert (await poll(url, told["execution_id"], until="completed"))["result"] == "used with read"
        assert len(provider.asked) == len(provider.redeemed) == 1
        for reached in ("hangs", "grants and hangs"):  # before the provider has redeemed the code, and after it has
            provider.asked.clear()
            url = await killed_during_the_exchange(place, url, browser, reached)
        await place.end()


async def killed_during_the_exchange(place: Place, url: str, browser: Surfer, reached: str) -> str:
    provider = place.provider
    told = await start(url)
    provider.token = reached
    provider.arrived.clear()
    back = await browser.to_the_callback(told["auth_url"])
    coming = asyncio.ensure_future(browser.http.get(back))
    await provider.arrived.wait()
    assert place.consents()[-1] == ("exchanging", 1, 0)
    await place.kill()
    with pytest.raises(httpx.TransportError):
        await coming
    provider.token = "grants"
    url = await place.start()
    await pending_again(place)
    assert (await browser.http.get(back)).status_code == 409, "its code is not sent a second time"
    assert len(provider.asked) == 1
    link = (await poll(url, told["execution_id"], until="oauth_required"))["auth_url"]
    assert (await browser.consent(link)).status_code == 200
    assert (await poll(url, told["execution_id"], until="completed"))["result"] == "used with read"
    assert len({form["code"] for form in provider.asked}) == len(provider.asked) == 2
    assert folded_statuses(place.database)[told["execution_id"]] == "completed"
    return url


@within(5)
async def test_told_to_end_during_an_exchange(folder: Path, seconds: float) -> None:
    async with fake_provider() as provider, Surfer() as browser:
        place = Place(folder, provider)
        told = await start(await place.start())
        provider.token = "hangs"
        back = await browser.to_the_callback(told["auth_url"])
        coming = asyncio.ensure_future(browser.http.get(back))
        await provider.arrived.wait()
        assert await place.end() < seconds
        await asyncio.gather(coming, return_exceptions=True)
        assert place.consents() == [("pending", 1, 0)], "what was accepted is recorded"
        assert folded_statuses(place.database)[told["execution_id"]] == "oauth_required"


async def everything_happens(place: Place, browser: Surfer) -> list[str]:
    """Consents of every kind, and a kill that leaves the log of the file behind. Returns every reply and event."""
    provider, replies = place.provider, list[str]()
    url = await place.start()

    async def seen(told: dict[str, Any]) -> None:
        async with httpx.AsyncClient(timeout=PATIENCE) as client:
            for tail in ("", "/history"):
                replies.append((await client.get(f"{url}/executions/{told['execution_id']}{tail}")).text)

    done = await start(url)
    replies.append((await browser.consent(done["auth_url"])).text)
    await poll(url, done["execution_id"], until="completed")
    broken = await start(url, "breaks")
    replies.append((await browser.consent(broken["auth_url"])).text)
    await poll(url, broken["execution_id"], until="failed")
    provider.token = "echoes"
    echoed = await start(url)
    replies.append((await browser.consent(echoed["auth_url"])).text)
    provider.token = ({"error": "access_denied"}, 403)
    denied = await start(url)
    replies.append((await browser.consent(denied["auth_url"])).text)
    await poll(url, denied["execution_id"], until="failed")
    provider.token = "html"
    failed = await start(url)
    replies.append((await browser.consent(failed["auth_url"])).text)
    provider.token, provider.expires_in = "grants", 0  # so that it is refreshed however quick the machine is
    paused = await start(url, "pause")
    replies.append((await browser.consent(paused["auth_url"])).text)
    body = await poll(url, paused["execution_id"], until="interaction_required")
    under_way = await start(url)
    await browser.to_the_callback(under_way["auth_url"])
    for told in (done, broken, echoed, denied, failed, paused, under_way):
        await seen(told)
    async with httpx.AsyncClient(timeout=PATIENCE) as client:
        replies.append((await client.get(f"{url}/metrics")).text)
    await place.kill()
    url = await place.start()
    async with httpx.AsyncClient(timeout=PATIENCE) as client:
        answer = {"response": {"type": "text", "text": "yes"}}
        assert (await client.post(f"{url}{body['response_url']}", json=answer)).status_code == 204
        await poll(url, paused["execution_id"], until="completed")
        events = await client.get(f"{url}/executions/{paused['execution_id']}/events")
        replies.append(events.text)
    assert any(form["grant_type"] == "refresh_token" for form in provider.asked), "nothing was refreshed"
    await place.kill()
    assert any("canary-said" in line for line in place.said), "the log lacks what the provider said of its error"
    return replies


def found(place: Place, replies: list[str]) -> dict[str, list[str]]:
    """Every secret by where it is: in the files of the folder, in what was logged, in what was replied."""
    secrets = place.provider.secrets()
    assert len(secrets) > 12
    said = {"log": "".join(place.said).encode(), "replies": "\n".join(replies).encode()}
    return hunt.found(hunt.files_of(place.folder) | said, secrets)


async def test_no_secret_is_found_in_the_file_its_log_the_history_the_log_or_a_reply(folder: Path) -> None:
    """FAULTS row 29, the quick half: client secret, verifiers, codes, access and refresh tokens."""
    async with fake_provider() as provider, Surfer() as browser:
        place = Place(folder, provider)
        replies = await everything_happens(place, browser)
    assert {"restpoint.db", "restpoint.db-wal", "restpoint.db.keys"} <= set(os.listdir(folder))  # noqa: PTH208
    assert found(place, replies) == {}
    assert any("consent" in line for line in place.said), "the log says something"
    assert rows(place.database, "SELECT count(*) FROM consents WHERE token IS NOT NULL OR verifier IS NOT NULL") == [
        (1,)
    ]


@pytest.mark.deep
async def test_no_secret_is_found_in_backups_and_tracebacks_either(folder: Path) -> None:
    """FAULTS row 29, the deep half."""
    async with fake_provider() as provider, Surfer() as browser:
        place = Place(folder, provider)
        replies = await everything_happens(place, browser)
    backup = folder / "copy.db"
    made = typed("db", "backup", str(backup), "--database", str(place.database), cwd=folder)
    assert made.returncode == 0, made.stderr
    for command in (
        ("db", "downgrade", "0003", "--database", str(place.database)),
        ("db", "upgrade", "--database", str(place.database)),
        ("keys", "rotate", "--database", str(place.database)),
        ("keys", "list", "--database", str(place.database)),
    ):
        ran = typed(*command, cwd=folder)
        assert ran.returncode == 0, ran.stderr
        replies += [ran.stdout, ran.stderr]
    dumped = "\n".join(str(row) for row in rows(backup, "SELECT * FROM consents"))
    tracebacks = [json.loads(line) for line in place.said if '"exception"' in line]
    assert any("RuntimeError: the service said no" in each["exception"] for each in tracebacks)
    assert found(place, [*replies, dumped]) == {}
    print(
        f"{len(place.provider.secrets())} secrets, {len(place.said)} lines of log, {len(tracebacks)} tracebacks: 0 found"
    )


@pytest.mark.deep
async def test_killed_at_any_instant_of_a_consent(folder: Path) -> None:
    rounds, seed = 30, random.randrange(1 << 30)
    chance, again = random.Random(seed), 0
    async with fake_provider() as provider, Surfer() as browser:
        place = Place(folder, provider)
        url = await place.start()
        for _ in range(rounds):
            told = await start(url)
            back = await browser.to_the_callback(told["auth_url"])
            coming = asyncio.ensure_future(browser.http.get(back))
            await asyncio.sleep(chance.random() * 0.03)
            await place.kill()
            (reply,) = await asyncio.gather(coming, return_exceptions=True)
            url = await place.start()
            if not isinstance(reply, httpx.Response):  # nobody knows how far it came
                await eventually(lambda: place.consents()[-1][0] != "exchanging")
                retried = await browser.http.get(back)
                assert retried.status_code in {200, 409}
                if place.consents()[-1][0] == "pending":
                    again += 1
                    link = (await poll(url, told["execution_id"], until="oauth_required"))["auth_url"]
                    assert (await browser.consent(link)).status_code == 200
            body = await poll(url, told["execution_id"], until="completed")
            assert body["result"] == "used with read"
        await place.end()
        codes = [form["code"] for form in provider.asked]
        assert len(codes) == len(set(codes)), "a code was sent twice"
    print(f"seed {seed}: {rounds} kills, {len(codes)} exchanges, {again} new consents, 0 codes sent twice, 0 lost")
