"""Consents and keys at the command line: on the file and by way of a server, with bearer tokens and without."""

import asyncio
import contextlib
import os
from pathlib import Path
from typing import IO, Self

import pytest

from consents import connect, site
from fake_provider import Surfer, fake_provider
from prefork import Forked
from restpoint.http.app import bearer
from restpoint.http.bearer_tokens import Tokens, add
from restpoint.oauth.keyring import Vault, beside, create
from served import environment, typed
from support import PATIENCE, line_of, rows


class Waiting:
    """``restpoint authorize``, which prints a link and waits. A context manager; leaves no process behind."""

    def __init__(self, *arguments: str, cwd: Path, **variables: str) -> None:
        with contextlib.ExitStack() as theirs:
            ends = [theirs.enter_context(Path(os.devnull).open("rb")).fileno()]
            self._streams: list[IO[str]] = []
            for _ in ("stdout", "stderr"):
                ours, end = os.pipe()
                theirs.callback(os.close, end)
                ends.append(end)
                self._streams.append(os.fdopen(ours))
            given = environment(**variables)
            self.process = Forked("authorize", *arguments, cwd=cwd, environment=given, standard=ends)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)
        for each in self._streams:
            each.close()

    async def link(self) -> str:
        return (await asyncio.to_thread(line_of, self._streams[0])).strip()

    async def ended(self) -> tuple[int, str]:
        code = await asyncio.to_thread(self.process.wait, PATIENCE)
        return code, self._streams[1].read()


async def test_authorize_on_the_file_prints_the_link_and_waits(path: Path) -> None:
    ring = create(beside(path))
    async with site(path, ring=ring) as at:
        at.consents.links.address = str(at.client.base_url).rstrip("/")
        told = await at.asked()
        with Waiting(told["execution_id"], "--database", str(path), cwd=path.parent) as waiting:
            assert (await at.browser.consent(await waiting.link())).status_code == 200
            code, words = await waiting.ended()
        assert (code, "The consent is granted." in words) == (0, True)
        assert await at.ended(told["execution_id"]) == ["read", "write"]


async def test_authorize_by_way_of_a_server_is_for_the_person_of_the_consent(path: Path) -> None:
    tokens = path.with_name("tokens.json")
    ada, grace = add(tokens, "ada"), add(tokens, "grace")
    ring = create(beside(path))
    async with site(path, ring=ring, authenticate=bearer(Tokens(tokens))) as at:
        url = str(at.client.base_url).rstrip("/")
        told = await at.asked(authorization=f"Bearer {ada}")
        refused = await asyncio.to_thread(
            typed, "authorize", told["execution_id"], "--url", url, cwd=path.parent, RESTPOINT_TOKEN=grace
        )
        assert refused.returncode == 3, refused.stderr
        with Waiting(told["execution_id"], "--url", url, cwd=path.parent, RESTPOINT_TOKEN=ada) as waiting:
            link = await waiting.link()
            reply = await at.browser.decide(link, "deny")
            assert reply.status_code == 200
            code, words = await waiting.ended()
        assert (code, "The consent is denied." in words) == (1, True)
        on_the_file = await asyncio.to_thread(
            typed, "authorize", (await at.asked(authorization=f"Bearer {ada}"))["execution_id"], "--database", str(path),
            cwd=path.parent,
        )  # fmt: skip
        assert (on_the_file.returncode, "is for someone else" in on_the_file.stderr) == (2, True)


async def test_authorize_says_where_nothing_waits_for_a_consent(path: Path) -> None:
    async with site(path) as at:
        told = await at.asked()
        await at.browser.consent(told["auth_url"])
        await at.ended(told["execution_id"])
        said = await asyncio.to_thread(
            typed, "authorize", told["execution_id"], "--database", str(path), cwd=path.parent
        )
        assert (said.returncode, "has no open consent" in said.stderr) == (2, True)


async def test_keys_are_made_listed_and_rotated_while_a_server_runs(path: Path) -> None:
    folder, database = path.parent, ("--database", str(path))
    made = typed("keys", "generate", *database, cwd=folder)
    assert made.returncode == 0, made.stderr
    assert typed("keys", "generate", *database, cwd=folder).returncode == 2
    ring = create(beside(path))
    async with site(path, ring=ring, hold=0.0) as at:
        told = await at.asked()
        back = await at.browser.to_the_callback(told["auth_url"])
        old = Vault(ring).primary
        before = await asyncio.to_thread(typed, "keys", "list", *database, "--output", "jsonl", cwd=folder)
        assert f'"id": "{old}"' in before.stdout
        assert '"seals": true, "secrets": 1' in before.stdout
        rotated = await asyncio.to_thread(typed, "keys", "rotate", *database, cwd=folder)
        assert (rotated.returncode, "Resealed 1 secrets." in rotated.stderr) == (0, True)
        new = Vault(ring).primary
        assert new != old
        listed = await asyncio.to_thread(typed, "keys", "list", *database, cwd=folder)
        assert [line.split()[0] for line in listed.stdout.splitlines()[1:]] == [new, old]
        assert (await at.browser.http.get(back)).status_code == 200
        assert await at.ended(told["execution_id"]) == ["read", "write"]
        ((actor,),) = rows(path, "SELECT actor FROM history WHERE event = 'keys_rotated'")
        assert actor


def test_a_key_as_text_is_for_the_environment(tmp_path: Path) -> None:
    made = typed("keys", "generate", "--text", cwd=tmp_path)
    assert made.returncode == 0
    name, _, secret = made.stdout.strip().partition(":")
    assert (bool(name), len(secret)) == (True, 44)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--providers", "missing.toml"), "cannot be read"),
        (("--providers", "fine.toml", "--keys", "missing.keys"), "cannot be read"),
        (("--providers", "fine.toml", "--public-url", "http://approvals.example"), "needs https"),
    ],
)
def test_serve_tells_what_is_wrong_before_it_serves(tmp_path: Path, options: tuple[str, ...], problem: str) -> None:
    (tmp_path / "fine.toml").write_text('[a]\nclient_id = "i"\nissuer = "https://login.example"\n')
    (tmp_path / "flows.py").write_text("from restpoint import workflow\n@workflow\nasync def a(ctx): return 1\n")
    said = typed("serve", "flows.py", "--port", "0", *options, cwd=tmp_path)
    assert (said.returncode, problem in said.stderr) == (2, True), said.stderr


async def test_the_ready_server_shows_its_own_link_where_no_request_tells(path: Path) -> None:
    async with fake_provider() as provider, Surfer() as browser, site(path, provider) as at:
        at.consents.links.address = str(at.client.base_url).rstrip("/")
        told = await at.asked()
        record = await at.store.get(told["execution_id"])
        assert record is not None
        assert record.pending_oauth is not None
        url = record.pending_oauth.auth_url
        assert url == told["auth_url"].partition("?")[0]
        assert (await browser.consent(url)).status_code == 200
        assert connect.name == "connect"
