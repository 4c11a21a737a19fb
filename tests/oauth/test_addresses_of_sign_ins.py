"""Mail reaches people who signed in once, at the address that their provider vouched for; and who is reached no more."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest
from starlette.responses import JSONResponse, Response

from consents import KEYS
from fake_provider import FakeProvider, Surfer, fake_provider
from mail_server import mail_server
from restpoint import Context, ExecutionStore, workflow
from restpoint._storage import outbox, retention
from restpoint._storage.sqlite.connection import reading
from restpoint._storage.verification import verify
from restpoint.errors import InvalidArgument
from restpoint.notify.addresses import Addresses
from restpoint.notify.routes_file import Routes
from restpoint.oauth.keyring import KeyText, Vault
from restpoint.oauth.providers import Provider
from restpoint.prompts import HumanPromptText
from served import typed
from serving import make_app, served
from support import PATIENCE, dump, rows, sql

EMAIL = {"sign_in_address_claim": "email"}
ADA = {"sub": "ada", "email": "ada@example.org", "email_verified": True}
ROUTES = """
[channels.post]
kind = "mail"
host = "localhost"
port = {port}
security = "none"
sender = "approvals@example.com"

[[routes]]
name = "questions"
channel = "post"
"""


@pytest.fixture
def path(path: Path, fresh: Path) -> Path:
    """A new file."""
    shutil.copyfile(fresh, path)
    return path


class Site:
    """A server that people sign in to with the provider, and whose file keeps their addresses."""

    def __init__(self, url: str, provider: FakeProvider, path: Path) -> None:
        self.url, self.provider, self.path = url, provider, path

    async def sign_in(self, person: dict[str, Any], userinfo: dict[str, Any] | Response | None = None) -> None:
        """Sign in with these claims in the ID token, and those at the userinfo endpoint."""
        self.provider.person, self.provider.userinfo = person, userinfo if userinfo is not None else dict(person)
        async with Surfer() as browser:
            form = {"provider": "fake", "next": "/executions"}
            away = await browser.http.post(f"{self.url}/auth/sign-in", data=form, headers={"origin": self.url})
            back = await browser.http.get(await browser.at_the_provider(away.headers["location"]))
            assert (back.status_code, back.headers.get("location")) == (303, "/executions"), back.text

    def addresses(self) -> list[tuple[Any, ...]]:
        return rows(self.path, "SELECT person, address, provider FROM mail_addresses ORDER BY person")


@asynccontextmanager
async def site(path: Path, **settings: Any) -> AsyncIterator[Site]:
    async with fake_provider(person={}) as provider:
        app = make_app(path, providers=[provider.provider(sign_in=True, **settings)], keys=Vault(KeyText(KEYS)))
        async with served(app) as client:
            yield Site(str(client.base_url).rstrip("/"), provider, path)


def findings(path: Path) -> list[str]:
    with reading(path) as connection:
        return [finding.problem for finding in verify(connection).findings]


def changed(path: Path, statement: str) -> None:
    """Another program changes the file."""
    with sql(path) as connection:
        connection.execute(statement)
        connection.commit()


async def test_the_address_of_the_last_sign_in_counts_and_goes_with_one_that_has_none(path: Path) -> None:
    async with site(path, **EMAIL) as at:
        await at.sign_in(ADA)
        assert at.addresses() == [("ada", "ada@example.org", "fake")]
        assert "scope=openid+email" in at.provider.authorizations[-1].replace("%20", "+")
        await at.sign_in({"sub": "bob", "email": "bob@example.org", "email_verified": True})
        await at.sign_in({**ADA, "email": "lovelace@example.org"})
        assert at.addresses() == [("ada", "lovelace@example.org", "fake"), ("bob", "bob@example.org", "fake")]
        await at.sign_in({"sub": "ada"})
        assert at.addresses() == [("bob", "bob@example.org", "fake")]


@pytest.mark.parametrize(
    "claims",
    [
        {"email": "ada@example.org"},
        {"email": "ada@example.org", "email_verified": False},
        {"email": "ada@example.org", "email_verified": "true"},
        {"email": "ada", "email_verified": True},
        {"email": "ada@example.org\r\nBcc: eve@example.org", "email_verified": True},
        {"email": ["ada@example.org"], "email_verified": True},
        {"email": f"{'a' * 300}@example.org", "email_verified": True},
    ],
)
async def test_what_the_provider_does_not_vouch_for_or_is_no_address_is_not_kept(
    path: Path, claims: dict[str, Any]
) -> None:
    async with site(path, **EMAIL) as at:
        await at.sign_in({"sub": "ada", **claims})
        assert at.addresses() == []


async def test_nothing_is_kept_unless_the_providers_file_names_the_claim(path: Path) -> None:
    async with site(path) as at:
        await at.sign_in(ADA)
        assert at.addresses() == []
        assert "email" not in at.provider.authorizations[-1]


async def test_another_claim_has_the_address_where_the_providers_file_says_so(path: Path) -> None:
    async with site(path, sign_in_address_claim="contact.mail", sign_in_prefix="corporate:") as at:
        await at.sign_in({"sub": "ada", "contact": {"mail": "ada@example.org"}})
        assert at.addresses() == [("corporate:ada", "ada@example.org", "fake")]


async def test_a_provider_whose_id_token_has_no_address_is_asked_for_it(path: Path) -> None:
    async with site(path, **EMAIL) as at:
        await at.sign_in({"sub": "ada"}, ADA)
        assert at.addresses() == [("ada", "ada@example.org", "fake")]


@pytest.mark.parametrize(
    "answer",
    [Response("busy", 503), Response("<h1>Welcome</h1>"), JSONResponse([ADA]), JSONResponse({**ADA, "sub": "eve"})],
    ids=["down", "no JSON", "no claims", "of another person"],
)
async def test_a_provider_that_cannot_be_asked_lets_the_person_in_and_changes_no_address(
    path: Path, answer: Response
) -> None:
    async with site(path, **EMAIL) as at:
        await at.sign_in({"sub": "ada"}, {**ADA, "email": "before@example.org"})
        await at.sign_in({"sub": "ada"}, answer)
        assert at.addresses() == [("ada", "before@example.org", "fake")]
        assert findings(path) == []


async def test_the_routes_file_counts_before_the_application_and_that_before_the_sign_in(path: Path) -> None:
    async with site(path, **EMAIL) as at:
        for name in ("anna", "ben", "carl"):
            await at.sign_in({"sub": name, "email": f"{name}@claims.example", "email_verified": True})
    routes = Routes(kinds={"post": "mail"}, people={"anna": {"mail": "anna@file.example"}})
    known = {name: {"mail": f"{name}@function.example"} for name in ("anna", "ben")}
    async with ExecutionStore(database=path) as store:
        addresses = Addresses(routes, known.get, store=store)
        reached = {name: await addresses.address(name, "post") for name in ("anna", "ben", "carl", "dora", "e@x.org")}
        assert await addresses.address("carl", "chat") is None, "a mail address is for mail alone"
    assert reached == {
        "anna": "anna@file.example",
        "ben": "ben@function.example",
        "carl": "carl@claims.example",
        "dora": None,
        "e@x.org": "e@x.org",
    }


async def test_an_operator_sees_whom_the_routes_file_does_not_reach_and_sends_a_sample_to_where_they_signed_in(
    path: Path, tmp_path: Path
) -> None:
    async with site(path, **EMAIL) as at:
        await at.sign_in(ADA)
    async with mail_server() as mails, asyncio.timeout(PATIENCE):
        (tmp_path / "routes.toml").write_text(
            ROUTES.format(port=mails.port) + 'to = ["ada", "group:finance", "owner"]\n'
        )
        with (tmp_path / "routes.toml").open("a") as file:
            file.write('[people.ben]\nmail = "ben@example.com"\n[groups]\nfinance = ["ada", "ben"]\n')
        check = await asyncio.to_thread(typed, "routes", "check", "--routes", "routes.toml", cwd=tmp_path)
        assert (check.returncode, check.stderr.count("has no address")) == (0, 1)
        assert "ada has no address for post in the file" in check.stderr
        assert "All is well" not in check.stderr
        sample = ("routes", "test", "questions", "--routes", "routes.toml", "--to", "ada")
        without = await asyncio.to_thread(typed, *sample, cwd=tmp_path)
        assert (without.returncode, "Nobody knows where post reaches ada" in without.stdout) == (5, True)
        done = await asyncio.to_thread(typed, *sample, "--database", str(path), cwd=tmp_path)
        assert done.returncode == 0, done.stdout
        assert [mail.recipient for mail in await mails.mail()] == ["ada@example.org"]


async def test_an_erasure_forgets_the_address_and_the_history_cannot_tell_what_it_was(path: Path) -> None:
    async with site(path, **EMAIL) as at:
        await at.sign_in(ADA)
        await at.sign_in({"sub": "bob", "email": "bob@example.org", "email_verified": True})
    salts = dict(rows(path, "SELECT person, salt FROM mail_addresses"))
    before = typed("erase", "--person", "ada", "--dry-run", "--database", str(path), cwd=path.parent)
    assert "mail addresses would be erased: 1" in before.stderr
    assert len(rows(path, "SELECT * FROM mail_addresses")) == 2
    done = typed("erase", "--person", "ada", "--yes", "--reason", "Request 7", "--database", str(path), cwd=path.parent)
    assert (done.returncode, "mail addresses erased: 1" in done.stderr) == (0, True), done.stderr
    assert rows(path, "SELECT person FROM mail_addresses") == [("bob",)]
    assert rows(path, "SELECT cause, detail FROM history WHERE event = 'mail_address_erased'") == [
        ("Request 7", '{"person":"ada"}')
    ]
    left = dump(path)
    assert "ada@example.org" not in left
    assert salts["ada"] not in left, "with it, whoever can guess the address could compare it"
    assert findings(path) == []


async def test_the_history_has_no_address_and_one_that_another_program_put_there_is_found(path: Path) -> None:
    async with site(path, **EMAIL) as at:
        await at.sign_in(ADA)
        await at.sign_in({"sub": "bob", "email": "bob@example.org", "email_verified": True})
    told = rows(path, "SELECT detail FROM history WHERE event = 'signed_in'")
    assert "example.org" not in str(told)
    assert findings(path) == []
    changed(path, "UPDATE mail_addresses SET address = 'eve@example.org' WHERE person = 'ada'")
    assert findings(path) == ["mail_address_differs"]
    async with site(path, **EMAIL) as at:
        changed(path, "CREATE TABLE kept AS SELECT * FROM mail_addresses")
        await at.sign_in({"sub": "bob"})
    changed(path, "INSERT INTO mail_addresses SELECT * FROM kept WHERE person = 'bob'")
    changed(path, "DELETE FROM mail_addresses WHERE person = 'ada'")
    assert findings(path) == ["mail_address_differs"], "bob has signed in without one since"
    changed(path, "DELETE FROM mail_addresses")
    assert findings(path) == []
    changed(
        path,
        "INSERT INTO mail_addresses SELECT 'eve', address, provider, salt, sequence FROM kept WHERE person = 'bob'",
    )
    assert findings(path) == ["mail_address_differs"]


async def test_an_address_goes_with_the_history_of_its_sign_in(path: Path) -> None:
    async with site(path, **EMAIL) as at:
        await at.sign_in(ADA)
        await at.sign_in({"sub": "bob", "email": "bob@example.org", "email_verified": True})
    (last,) = rows(path, "SELECT sequence FROM mail_addresses WHERE person = 'ada'")[0]
    async with ExecutionStore(database=path) as store:
        file = await store.file()
        assert await file.database.write(retention.prune_history, 2**60, last, 1_000) > 0
        assert await outbox.mail_address(file.database, "ada") is None
        assert await outbox.mail_address(file.database, "bob") == "bob@example.org"
    assert findings(path) == []


def test_a_claim_without_a_name_or_without_a_sign_in_is_refused() -> None:
    given: tuple[dict[str, Any], ...] = (
        {"sign_in": True, "sign_in_address_claim": ""},
        {"sign_in_address_claim": "email"},
    )
    for settings in given:
        with pytest.raises(InvalidArgument, match="sign_in"):
            Provider("one", "id", "secret", issuer="https://one.example", **settings)


# --- The whole way, at a provider and a mail server that nobody here wrote ---------------------------------------------------


@workflow
async def refund(ctx: Context, assignee: str) -> str:
    answer = await ctx.ask(HumanPromptText(text="Refund 120.00 EUR?"), assignees=[assignee])
    return answer.text


async def walked(browser: httpx.AsyncClient, url: str, forms: list[dict[str, str]]) -> httpx.Response:
    """Follow redirects, and send these forms where a page of the provider asks."""
    reply = await browser.get(url)
    while True:
        if reply.is_redirect:
            reply = await browser.get(urljoin(str(reply.url), reply.headers["location"]))
        elif forms and reply.url.path.startswith("/interaction/"):
            reply = await browser.post(reply.url, data=forms.pop(0))
        else:
            return reply


async def test_somebody_signs_in_once_is_asked_and_gets_the_mail(path: Path, openid: Any, tmp_path: Path) -> None:
    provider = Provider(
        "corporate",
        openid.client_id,
        openid.client_secret,
        issuer=openid.issuer,
        sign_in=True,
        sign_in_address_claim="email",
    )
    async with mail_server() as mails, asyncio.timeout(PATIENCE):
        (tmp_path / "routes.toml").write_text(ROUTES.format(port=mails.port))
        app = make_app(
            path,
            workflows=[refund],
            providers=[provider],
            keys=Vault(KeyText(KEYS)),
            routes=tmp_path / "routes.toml",
        )
        async with served(app) as client, httpx.AsyncClient(timeout=PATIENCE) as browser:
            origin = str(client.base_url).rstrip("/")
            await asyncio.to_thread(openid.register, f"{origin}/auth/redirect")
            form = {"provider": "corporate", "next": "/inbox"}
            away = await browser.post(f"{origin}/auth/sign-in", data=form, headers={"origin": origin})
            back = await walked(
                browser, away.headers["location"], [{"name": "ada", "password": "any"}, {"answer": "allow"}]
            )
            assert back.status_code == 200, back.text
            asked = await browser.post(f"{origin}/v1/workflows/refund", json="ada", headers={"origin": origin})
            assert asked.status_code == 202, asked.text
            (mail,) = await mails.mail()
            assert (mail.recipient, "Refund 120.00 EUR?" in mail.text) == ("ada@example.org", True)
    assert rows(path, "SELECT person, provider FROM mail_addresses") == [("ada", "corporate")]
