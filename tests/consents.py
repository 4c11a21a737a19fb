"""What the tests of consents share: a server by hand, with a clock and a vault, and the workflows that ask."""

import asyncio
import atexit
import functools
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from fake_provider import FakeProvider, Surfer, fake_provider
from restpoint import Context, ExecutionStore, Runner, Workflow, workflow
from restpoint._core.oauth_token import OAuthToken
from restpoint._storage.sqlite import migrations
from restpoint.errors import ConsentDenied, ConsentExpired, ConsentWithdrawn
from restpoint.http.app import router
from restpoint.http.metrics import Metrics
from restpoint.oauth.flow import Consents
from restpoint.oauth.keyring import Key, Keys, KeyText, Vault, as_text, new_key
from restpoint.prompts import HumanPromptText
from serving import served
from support import PATIENCE, rows

USED: list[OAuthToken] = []
"""The tokens that the steps of this process were given."""

KEYS = as_text(new_key())


async def use(token: OAuthToken) -> list[str]:
    USED.append(token)
    return list(token.scopes)


@workflow
async def connect(ctx: Context) -> Any:
    """Ask for a consent and use it, or say why not."""
    try:
        token = await ctx.authorize("fake", scopes=["read", "write"], timeout=3600)
    except ConsentDenied as error:
        return {"denied": error.denial_code}
    except ConsentExpired:
        return "expired"
    except ConsentWithdrawn:
        return "withdrawn"
    return await ctx.step(use, token)


@workflow
async def connect_and_ask(ctx: Context) -> Any:
    """The token is used after a question, which may take its time."""
    token = await ctx.authorize("fake")
    answer = await ctx.ask(HumanPromptText(text="Go on?"))
    scopes = await ctx.step(use, token)
    return [answer.text, scopes]


WORKFLOWS: tuple[Workflow, ...] = (connect, connect_and_ask)


@dataclass
class Site:
    """A server with consents."""

    path: Path
    provider: FakeProvider
    client: httpx.AsyncClient
    browser: Surfer
    store: ExecutionStore
    runner: Runner
    consents: Consents

    async def asked(self, name: str = "connect", **headers: str) -> dict[str, Any]:
        """An execution that waits for a consent: what its start was answered with."""
        reply = await self.client.post(f"/v1/workflows/{name}", headers=headers)
        assert reply.status_code == 202, reply.text
        body: dict[str, Any] = reply.json()
        assert body["status"] == "oauth_required", body
        return body

    async def link(self, execution_id: str, **headers: str) -> str:
        """The address of the page, as a poll shows it now."""
        body = (await self.client.get(f"/executions/{execution_id}", headers=headers)).json()
        return str(body["auth_url"])

    async def ended(self, execution_id: str) -> Any:
        """What it completed with."""
        async with asyncio.timeout(PATIENCE):
            record = await self.store.get(execution_id)
            assert record is not None
            while record.status not in {"completed", "failed", "cancelled"}:
                await record.changed()
        return record.result if record.status == "completed" else record.error_code

    def consent(self, execution_id: str) -> tuple[Any, ...]:
        """Status, attempts, whether there is a verifier and a token, and who set out."""
        (row,) = rows(
            self.path,
            "SELECT c.status, c.attempts, verifier IS NOT NULL, token IS NOT NULL, begun_by FROM consents AS c"
            " JOIN executions AS e ON e.key = c.execution_key WHERE e.id = ?",
            execution_id,
        )
        return row

    def events(self, execution_id: str) -> list[str]:
        return [
            event
            for (event,) in rows(
                self.path, "SELECT event FROM history WHERE execution_id = ? ORDER BY sequence", execution_id
            )
        ]


class Ring:
    """Keys that a test changes while a server runs."""

    place = "the ring of a test"

    def __init__(self, *keys: str) -> None:
        self.keys = list(keys or (KEYS,))

    def ring(self, wanted: str | None = None) -> Sequence[Key]:
        return KeyText(" ".join(self.keys)).ring(wanted)


def _make_quickly(path: Path) -> None:
    """A file is copied ten times faster than it is made."""
    if not path.exists():
        shutil.copyfile(_fresh(), path)


@functools.cache
def _fresh() -> Path:
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    migrations.upgrade(folder / "fresh.db")
    return folder / "fresh.db"


@asynccontextmanager
async def site(
    path: Path,
    provider: FakeProvider | None = None,
    *,
    authenticate: Any = None,
    workflows: Iterable[Workflow] = WORKFLOWS,
    ring: Keys | None = None,
    clock: Any = None,
    timeout: float = 10.0,
    hold: float = 5.0,
    providers: Any = None,
    mount: str = "",
    **settings: Any,
) -> AsyncIterator[Site]:
    """A server on this file, its provider beside it unless one is given."""
    if provider is None:
        async with (
            fake_provider() as made,
            site(
                path, made, authenticate=authenticate, workflows=workflows, ring=ring, clock=clock,
                timeout=timeout, hold=hold, providers=providers, mount=mount, **settings,
            ) as running,
        ):  # fmt: skip
            yield running
        return
    _make_quickly(path)
    store = ExecutionStore(None, database=path, clock=clock)
    known = [provider.provider(**settings)] if providers is None else providers
    consents = Consents(store, known, Vault(ring or Ring()), timeout=timeout)
    runner = Runner(store, workflows, hold_paused_for=hold, consents=consents)
    app = FastAPI()
    metrics = Metrics(store, runner, consents)
    app.include_router(
        router(store, runner, consents=consents, authenticate=authenticate, metrics=metrics), prefix=mount
    )
    async with store, consents, runner, served(app) as client, Surfer() as browser:
        client.base_url = httpx.URL(f"{client.base_url}".rstrip("/") + mount)
        yield Site(path, provider, client, browser, store, runner, consents)
    metrics.close()
