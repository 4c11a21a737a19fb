"""People at a browser: signing in with a token, the session that begins, what it opens, and every way that it ends."""

import asyncio
import json
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from restpoint.http import bearer_tokens
from restpoint.http.pages.sign_in import _path
from served import typed
from serving import asked, make_app, served, whoever
from support import ManualClock, rows

ADA = "ada"
NAVIGATES = {"sec-fetch-mode": "navigate", "accept": "text/html"}


@pytest.fixture
def tokens(tmp_path: Path, clock: ManualClock) -> Path:
    file = tmp_path / "tokens.json"
    bearer_tokens.add(file, "grace", clock=clock)
    return file


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch, clock: ManualClock) -> None:
    """The ready server takes the time from the clock of the test."""
    for module in ("_store.store", "http.bearer_tokens", "http.credentials"):
        monkeypatch.setattr(f"restpoint.{module}.SystemClock", lambda: clock)


@asynccontextmanager
async def server(file: Path, tokens: Path | None, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with served(make_app(file, tokens_file=tokens, **settings)) as client:
        yield client


@pytest.fixture
def token(tokens: Path, clock: ManualClock) -> str:
    return bearer_tokens.add(tokens, ADA, groups=["finance"], roles=["operator"], clock=clock)


async def sign_in(client: httpx.AsyncClient, token: str, **form: str) -> httpx.Response:
    return await client.post("/auth/sign-in", data={"token": token, **form}, headers={"origin": origin(client)})


def origin(client: httpx.AsyncClient) -> str:
    return str(client.base_url).rstrip("/")


async def me(client: httpx.AsyncClient, cookie: str | None = None) -> int:
    """What the list of executions is answered with."""
    headers = {} if cookie is None else {"cookie": f"restpoint={cookie}"}
    return (await client.get("/executions", headers=headers)).status_code


def told(file: Path) -> list[tuple[Any, ...]]:
    """The events of people, with who and why."""
    return rows(
        file, "SELECT event, actor, cause FROM history WHERE event LIKE 'sign%' ORDER BY sequence"
    )  # fmt: skip


async def test_a_token_that_is_typed_in_begins_a_session_that_opens_what_the_token_opens(
    file: Path, tokens: Path, token: str
) -> None:
    async with server(file, tokens) as client:
        assert await me(client) == 401
        page = await client.get("/auth/sign-in")
        assert (page.status_code, "Token" in page.text) == (200, True)
        reply = await sign_in(client, token, next="/executions?limit=1")
        assert (reply.status_code, reply.headers["location"]) == (303, "/executions?limit=1")
        cookie = reply.headers["set-cookie"]
        for word in ("restpoint=", "HttpOnly", "Path=/", "SameSite=lax", "Max-Age=86400"):
            assert word in cookie
        assert "Secure" not in cookie, "by plain http on this machine a browser would not keep it"
        assert await me(client) == 200
        assert (await client.get("/metrics")).status_code == 200, "with the roles of the token"
        assert f"signed in as <b>{ADA}</b>" in (await client.get("/auth/sign-in")).text
    assert told(file) == [("signed_in", ADA, "token")]
    verified = typed("audit", "verify", "--database", str(file), cwd=file.parent)
    assert verified.returncode == 0, verified.stdout


async def test_what_is_not_known_is_refused_and_the_history_says_so_and_no_token_is_anywhere(
    file: Path, tokens: Path, token: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with server(file, tokens) as client:
        reply = await sign_in(client, "rp_canary-that-nobody-knows")
        assert (reply.status_code, "set-cookie" in reply.headers) == (403, False)
        await sign_in(client, token)
        cookie = client.cookies["restpoint"]
        await client.post("/auth/sign-out", headers={"origin": origin(client)})
    assert told(file) == [
        ("sign_in_refused", None, "unknown token"), ("signed_in", ADA, "token"), ("signed_out", ADA, "signed out"),
    ]  # fmt: skip
    said = [record.message for record in caplog.records if record.name == "restpoint.http.sessions"]
    assert said == ["a sign-in was refused: unknown token", "signed in", "signed out"]
    ours = [record for record in caplog.records if record.name.startswith(("restpoint", "uvicorn"))]
    everything = "\n".join(f"{vars(record)}" for record in ours).encode() + b"".join(
        path.read_bytes() for path in file.parent.iterdir() if path.name.startswith(file.name)
    )
    for secret in (cookie, token, "canary-that-nobody-knows"):
        assert secret.encode() not in everything


async def test_nonsense_all_day_does_not_fill_the_history(file: Path, tokens: Path, clock: ManualClock) -> None:
    async with server(file, tokens) as client:
        for _ in range(30):
            assert (await sign_in(client, "rp_nonsense")).status_code == 403
        assert len(told(file)) == 20
        clock.step(60)
        await sign_in(client, "rp_nonsense")
    (last,) = rows(file, "SELECT detail FROM history ORDER BY sequence DESC LIMIT 1")
    assert last == ('{"provider":null,"unrecorded":10}',)


async def test_a_session_ends_when_it_was_idle_for_too_long_and_not_while_it_is_used(
    file: Path, tokens: Path, token: str, clock: ManualClock
) -> None:
    async with server(file, tokens, session_idle_seconds=600) as client:
        await sign_in(client, token)
        for _ in range(3):
            clock.step(599)
            assert await me(client) == 200
        clock.step(600)
        assert await me(client) == 401
        assert told(file) == [("signed_in", ADA, "token")], "nobody ended it"


async def test_a_use_is_noted_at_most_once_a_minute(file: Path, tokens: Path, token: str, clock: ManualClock) -> None:
    async with server(file, tokens) as client:
        await sign_in(client, token)
        begun = clock.now()
        clock.step(59)
        await me(client)
        assert rows(file, "SELECT used_at FROM sessions") == [(begun,)]
        clock.step(1)
        await me(client)
        assert rows(file, "SELECT used_at FROM sessions") == [(begun + 60_000,)]


async def test_a_session_ends_after_its_lifetime_however_much_it_is_used_and_the_sweep_takes_it(
    file: Path, tokens: Path, token: str, clock: ManualClock
) -> None:
    app = make_app(file, tokens_file=tokens, session_idle_seconds=600, session_lifetime_seconds=1500)
    async with served(app) as client:
        await sign_in(client, token)
        for _ in range(2):
            clock.step(500)
            assert await me(client) == 200
        clock.step(499)
        assert await me(client) == 200
        clock.step(1)
        assert await me(client) == 401
        await app.state.store.cleanup_expired()
        assert rows(file, "SELECT count(*) FROM sessions") == [(0,)]


async def test_a_cookie_that_was_stolen_opens_nothing_after_its_person_signed_out(
    file: Path, tokens: Path, token: str
) -> None:
    async with server(file, tokens) as client, httpx.AsyncClient(base_url=client.base_url) as thief:
        await sign_in(client, token)
        stolen = client.cookies["restpoint"]
        assert await me(thief, stolen) == 200
        reply = await client.post("/auth/sign-out", headers={"origin": origin(client)})
        assert (reply.status_code, "Max-Age=0" in reply.headers["set-cookie"]) == (200, True)
        assert await me(thief, stolen) == 401
        assert await me(client) == 401


async def test_signing_out_everywhere_ends_every_session_of_the_person_and_nobody_elses(
    file: Path, tokens: Path, token: str, clock: ManualClock
) -> None:
    other = bearer_tokens.add(tokens, "bob", clock=clock)
    async with server(file, tokens) as client:
        cookies = []
        for each in (token, token, other):
            client.cookies.clear()
            await sign_in(client, each)
            cookies.append(client.cookies["restpoint"])
        client.cookies.clear()
        headers = {"origin": origin(client), "cookie": f"restpoint={cookies[0]}"}
        assert (await client.post("/auth/sign-out-everywhere", headers=headers)).status_code == 200
        assert [await me(client, each) for each in cookies] == [401, 401, 200]


async def test_a_session_of_before_is_never_the_one_of_after(file: Path, tokens: Path, token: str) -> None:
    async with server(file, tokens) as client:
        await sign_in(client, token)
        before = client.cookies["restpoint"]
        await sign_in(client, token)
        assert client.cookies["restpoint"] != before
        assert await me(client, before) == 401, "and it has ended"
        chosen = "A" * 43
        client.cookies.clear()
        client.cookies.set("restpoint", chosen)
        reply = await sign_in(client, token)
        assert chosen not in reply.headers["set-cookie"]
        assert await me(client, chosen) == 401


async def test_a_session_ends_with_the_token_that_it_began_with(
    file: Path, tokens: Path, token: str, clock: ManualClock
) -> None:
    async with server(file, tokens) as client:
        await sign_in(client, token)
        assert await me(client) == 200
        bearer_tokens.revoke(tokens, token=token)
        assert await me(client) == 401
        assert rows(file, "SELECT count(*) FROM sessions") == [(0,)]
        expiring = bearer_tokens.add(tokens, ADA, expires=clock.now() + 60_000, clock=clock)
        await sign_in(client, expiring)
        assert await me(client) == 200
        clock.step(60)
        assert await me(client) == 401
    assert told(file)[1] == ("signed_out", None, "credentials gone")


async def test_a_stream_ends_with_its_session(file: Path, tokens: Path, token: str) -> None:
    async with server(file, tokens) as client:
        await sign_in(client, token)
        started = await asked(client, "greet", "Ada")
        stream = f"/executions/{started['execution_id']}/events"
        async with client.stream("GET", stream) as reply:
            lines = reply.aiter_lines()
            while "interaction_asked" not in await anext(lines):
                pass
            await client.post("/auth/sign-out", headers={"origin": origin(client)})
            answered = await client.post(
                started["response_url"],
                json={"response": {"type": "text", "text": "x"}},
                headers={"authorization": f"Bearer {token}"},
            )
            assert answered.status_code == 204
            rest = "\n".join([line async for line in lines])
    assert "execution_completed" not in rest


async def test_a_page_of_another_site_signs_nobody_in_or_out_and_changes_nothing_by_a_session(
    file: Path, tokens: Path, token: str
) -> None:
    async with server(file, tokens) as client:
        evil = {"origin": "https://evil.example"}
        reply = await client.post("/auth/sign-in", data={"token": token}, headers=evil)
        assert (reply.status_code, "set-cookie" in reply.headers) == (403, False)
        await sign_in(client, token)
        for path in ("/auth/sign-out", "/auth/sign-out-everywhere", "/v1/workflows/echo"):
            for headers in (
                evil,
                {"sec-fetch-site": "cross-site"},
                {"sec-fetch-site": "same-site"},
                {"origin": "null"},
            ):
                assert (await client.post(path, headers=headers)).status_code == 403, (path, headers)
        assert await me(client) == 200
        assert (await client.post("/v1/workflows/echo", json=1, headers={"origin": origin(client)})).status_code == 200


async def test_a_request_with_a_bearer_token_has_the_rights_of_that_and_not_of_a_session(
    file: Path, tokens: Path, token: str
) -> None:
    async with server(file, tokens) as client:
        await sign_in(client, token)
        for wrong in ("Bearer rp_unknown", "bearer", "BEARER x"):
            assert (await client.get("/executions", headers={"authorization": wrong})).status_code == 401
        assert (await client.get("/executions", headers={"authorization": "Basic YTpi"})).status_code == 200


async def test_beyond_this_machine_the_cookie_is_secure_and_no_other_name_counts(
    file: Path, tokens: Path, token: str
) -> None:
    async with server(file, tokens, public_url="https://approvals.example/inbox") as client:
        reply = await client.post(
            "/auth/sign-in", data={"token": token, "next": "/inbox/x"}, headers={"origin": "https://approvals.example"}
        )
        assert (reply.status_code, reply.headers["location"]) == (303, "/inbox/x")
        cookie = reply.headers["set-cookie"]
        assert cookie.startswith("__Host-restpoint=")
        assert ("Secure" in cookie, "Path=/;" in cookie, "Domain" in cookie) == (True, True, False)
        value = re.split("[=;]", cookie)[1]
        assert await me(client, value) == 401
        found = await client.get("/executions", headers={"cookie": f"__Host-restpoint={value}"})
        assert found.status_code == 200


async def test_by_plain_http_beyond_this_machine_people_are_told_why_they_cannot_sign_in(
    file: Path, tokens: Path, token: str
) -> None:
    async with server(file, tokens) as client:
        headers = {"origin": "http://approvals.example", "host": "approvals.example"}
        reply = await client.post("/auth/sign-in", data={"token": token}, headers=headers)
        assert (reply.status_code, "https" in reply.text) == (403, True)


async def test_a_browser_that_is_not_signed_in_is_sent_there_and_back_and_a_program_is_told(
    file: Path, tokens: Path, token: str
) -> None:
    async with server(file, tokens) as client:
        reply = await client.get("/executions?limit=2", headers=NAVIGATES)
        assert (reply.status_code, reply.headers["location"]) == (303, "/auth/sign-in?next=/executions%3Flimit%3D2")
        page = await client.get(reply.headers["location"])
        assert 'name="next" value="/executions?limit=2"' in page.text
        assert (await client.get("/executions")).status_code == 401
        assert (await client.post("/v1/workflows/echo", headers=NAVIGATES)).status_code == 401
    async with server(file, tokens, public_url="https://approvals.example/inbox") as client:
        reply = await client.get("/executions", headers=NAVIGATES)
        assert reply.headers["location"] == "/inbox/auth/sign-in?next=/inbox/executions"


@pytest.mark.parametrize(
    "wrong",
    [
        "https://evil.example", "//evil.example", "/\\evil.example", "/\t/evil.example", "javascript:alert(1)", "evil", "",
        "/a/../../evil", "/a/%2E./evil", "/\r\nset-cookie: x=y", "/é", "/" + "x" * 1_001,
    ],
)  # fmt: skip
def test_next_leads_to_no_other_place_than_this_server(wrong: str) -> None:
    assert _path(wrong, "") == "/"
    assert _path("/inbox/x?y=/../z", "/inbox") == "/inbox/x?y=/../z"
    assert _path("/elsewhere", "/inbox") == "/inbox/"


async def test_a_server_of_this_machine_alone_has_nothing_to_sign_in_to_and_keeps_others_out(file: Path) -> None:
    async with server(file, None) as client:
        assert await me(client) == 200
        page = await client.get("/auth/sign-in")
        assert (page.status_code, "local" in page.text) == (200, True)
        for path in ("/auth/sign-in", "/executions"):
            assert (await client.get(path, headers={"x-forwarded-for": "198.51.100.1"})).status_code == 403
        assert (await client.post("/auth/sign-in", data={"token": "x"})).status_code == 200
    assert rows(file, "SELECT count(*) FROM sessions") == [(0,)]


async def test_an_application_with_its_own_credentials_has_no_pages_to_sign_in(file: Path, tokens: Path) -> None:
    async with server(file, tokens, authenticate=whoever) as client:
        for method, path in (("GET", "sign-in"), ("POST", "sign-in"), ("POST", "sign-out")):
            assert (await client.request(method, f"/auth/{path}")).status_code == 404
        assert (await client.get("/executions", headers={"x-user": "ada"})).status_code == 200


async def test_the_file_keeps_what_a_session_began_with(file: Path, tokens: Path, token: str) -> None:
    async with server(file, tokens) as client:
        await sign_in(client, token)
    with sqlite3.connect(file) as connection:
        for change in ("actor = 'eve'", "roles = '[\"operator\"]', groups = '[]'", "expires_at = expires_at + 1"):
            with pytest.raises(sqlite3.IntegrityError, match="what a session began with stays"):
                connection.execute(f"UPDATE sessions SET {change}")


async def test_an_operator_lists_sessions_and_ends_them_while_the_server_runs(
    file: Path, tokens: Path, token: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("restpoint._core.clock.SystemClock", lambda: clock)
    command = ("--database", str(file))

    def run(*words: str) -> Any:
        return typed("sessions", *words, *command, cwd=file.parent)

    async with server(file, tokens) as client:
        await sign_in(client, token)
        (item,) = json.loads((await asyncio.to_thread(run, "list", "-o", "json")).stdout)
        assert (item["person"], item["groups"], item["roles"], item["provider"]) == (
            ADA,
            ["finance"],
            ["operator"],
            None,
        )
        table = (await asyncio.to_thread(run, "list", "--of", ADA)).stdout
        assert ADA in table
        assert client.cookies["restpoint"] not in table
        nobody = await asyncio.to_thread(run, "revoke", "--of", "bob")
        assert (nobody.returncode, await me(client)) == (3, 200)
        assert (await asyncio.to_thread(run, "revoke")).returncode == 2
        ended = await asyncio.to_thread(run, "revoke", item["id"][:13])
        assert (ended.returncode, ended.stderr) == (0, "Ended 1 session.\n")
        assert await me(client) == 401
        await sign_in(client, token)
        assert (await asyncio.to_thread(run, "revoke", "--all")).returncode == 0
        assert await me(client) == 401
    assert [(event, cause) for event, _, cause in told(file)] == [
        ("signed_in", "token"), ("signed_out", "revoked"), ("signed_in", "token"), ("signed_out", "revoked"),
    ]  # fmt: skip


async def test_an_operator_lists_and_ends_sessions_at_a_server_and_nobody_else_does(
    file: Path, tokens: Path, token: str
) -> None:
    plain = bearer_tokens.add(tokens, "bob")

    def run(*words: str, said: str = token) -> Any:
        return typed("sessions", *words, "--url", str(client.base_url), cwd=file.parent, RESTPOINT_TOKEN=said)

    async with server(file, tokens) as client:
        await sign_in(client, token)
        (item,) = json.loads((await asyncio.to_thread(run, "list", "-o", "json")).stdout)
        assert (item["person"], item["groups"], item["roles"], item["provider"]) == (
            ADA,
            ["finance"],
            ["operator"],
            None,
        )
        table = (await asyncio.to_thread(run, "list", "--of", ADA)).stdout
        assert ADA in table
        assert client.cookies["restpoint"] not in table
        assert json.loads((await asyncio.to_thread(run, "list", "--of", "bob", "-o", "json")).stdout) == []
        for words in (("list",), ("revoke", "--all")):
            refused = await asyncio.to_thread(partial(run, *words, said=plain))
            assert (refused.returncode, "role operator" in refused.stderr) == (4, True), refused.stderr
        nobody = await asyncio.to_thread(run, "revoke", "--of", "bob")
        assert (nobody.returncode, await me(client)) == (3, 200)
        wrong = await client.post("/sessions/revoke", json={"of": ADA, "all": True}, headers={"origin": origin(client)})
        assert wrong.status_code == 422
        evil = {"origin": "https://evil.example"}
        assert (await client.post("/sessions/revoke", json={"all": True}, headers=evil)).status_code == 403
        ended = await asyncio.to_thread(run, "revoke", item["id"][:13])
        assert (ended.returncode, ended.stderr) == (0, "Ended 1 session.\n")
        assert await me(client) == 401
    assert told(file) == [("signed_in", ADA, "token"), ("signed_out", ADA, "revoked")]


@pytest.mark.parametrize("how", ["somebody else", "more rights", "one that had ended"])
async def test_a_session_that_another_program_put_there_is_found_by_the_verification(
    file: Path, tokens: Path, token: str, how: str
) -> None:
    def verified() -> Any:
        return typed("audit", "verify", "--database", str(file), cwd=file.parent)

    async with server(file, tokens) as client:
        await sign_in(client, token)
        assert (await asyncio.to_thread(verified)).returncode == 0
        (row,) = rows(file, "SELECT * FROM sessions")
        digest, session, actor, groups, roles, *rest = row
        if how == "one that had ended":
            await client.post("/auth/sign-out", headers={"origin": origin(client)})
    forged = {
        "somebody else": (bytes(32), "made up", "eve", "[]", roles, *rest),
        "more rights": (digest, session, actor, groups, '["operator","reader"]', *rest),
        "one that had ended": row,
    }[how]
    with sqlite3.connect(file) as connection:
        connection.execute(f"INSERT OR REPLACE INTO sessions VALUES ({', '.join('?' * len(forged))})", forged)
    found = verified()
    assert (found.returncode, "is not one that the history tells of" in found.stdout) == (1, True), found.stdout


async def test_a_restored_backup_signs_nobody_in(file: Path, tokens: Path, token: str) -> None:
    def run(*words: str) -> Any:
        return typed("db", *words, "--database", str(file), cwd=file.parent)

    async with server(file, tokens) as client:
        await sign_in(client, token)
        cookie = client.cookies["restpoint"]
        assert (await asyncio.to_thread(run, "backup")).returncode == 0
        await client.post("/auth/sign-out", headers={"origin": origin(client)})
    (backup,) = file.parent.glob("*.backup")
    restored = run("restore", str(backup))
    assert restored.returncode == 0, restored.stderr
    async with server(file, tokens) as client:
        assert await me(client, cookie) == 401
