"""The file holds its rules by itself, also against other programs; and consents are moved up and down with it."""

import sqlite3
from pathlib import Path

import pytest

from consents import Ring, site
from fake_provider import fake_provider
from restpoint._storage.schema import REVISION
from restpoint._storage.sqlite import migrations
from served import typed
from support import rows, sql


async def test_consents_are_moved_down_and_up_with_the_file(path: Path) -> None:
    ring = Ring()
    async with fake_provider() as provider:
        async with site(path, provider, ring=ring, hold=0.0) as at:
            waiting, under_way, held = await at.asked(), await at.asked(), await at.asked("connect_and_ask")
            back = await at.browser.to_the_callback(under_way["auth_url"])
            await at.browser.consent(held["auth_url"])
            cookies = at.browser.http.cookies
        before = rows(path, "SELECT * FROM consents ORDER BY key")
        migrations.downgrade(path, "0003")
        assert migrations.current(path) == "0003"
        migrations.upgrade(path)
        assert rows(path, "SELECT * FROM consents ORDER BY key") == before
        assert migrations.current(path) == REVISION
        async with site(path, provider, ring=ring) as at:
            at.browser.http.cookies = cookies
            here = back.replace(back.partition("/auth/")[0], str(at.client.base_url).rstrip("/"))
            assert (await at.browser.http.get(here)).status_code == 200
            assert await at.ended(under_way["execution_id"]) == ["read", "write"]
            assert (await at.browser.consent(await at.link(waiting["execution_id"]))).status_code == 200
            assert await at.ended(waiting["execution_id"]) == ["read", "write"]


async def test_below_0003_a_consent_stays_and_its_secrets_go(path: Path) -> None:
    async with site(path) as at:
        told = await at.asked()
        await at.browser.to_the_callback(told["auth_url"])
    kept = "SELECT key, execution_key, id, status, opened, auth_url, oauth_state, created_at, deadline_at FROM consents"
    before = rows(path, kept)
    migrations.downgrade(path, "0002")
    assert rows(path, kept) == before
    assert "verifier" not in {row[1] for row in rows(path, "PRAGMA table_info(consents)")}
    migrations.upgrade(path)
    assert rows(path, kept) == before
    assert rows(path, "SELECT provider, verifier FROM consents") == [(None, None)]


@pytest.mark.parametrize(
    "change",
    [
        "status = 'granted'",
        "status = 'exchanging'",  # with the verifier, which is for one use
        "token = '{}'",
        "provider = 'another'",
        "scopes = '[\"admin\"]'",
        "verifier = 'not JSON'",
    ],
)
async def test_the_file_refuses_what_another_program_must_not_do(path: Path, change: str) -> None:
    async with site(path) as at:
        told = await at.asked()
        await at.browser.to_the_callback(told["auth_url"])
        with sql(path) as connection, pytest.raises(sqlite3.IntegrityError):
            connection.execute(f"UPDATE consents SET {change}")
        assert at.consent(told["execution_id"]) == ("pending", 1, 1, 0, "local")


async def test_what_ended_keeps_why_and_who(path: Path) -> None:
    async with site(path) as at:
        told = await at.asked()
        await at.browser.decide(told["auth_url"], "deny")
        await at.ended(told["execution_id"])
        for change in ("denial = 'server_error'", "begun_by = 'somebody'", "status = 'granted'"):
            with sql(path) as connection, pytest.raises(sqlite3.IntegrityError):
                connection.execute(f"UPDATE consents SET {change}")


async def test_the_history_of_consents_is_evidence(path: Path) -> None:
    async with site(path, hold=0.0) as at:
        done, denied, failed, waiting = [await at.asked() for _ in range(4)]
        await at.browser.consent(done["auth_url"])
        await at.browser.decide(denied["auth_url"], "deny")
        at.provider.token = "html"
        assert (await at.browser.consent(failed["auth_url"])).status_code == 502
        await at.browser.to_the_callback(waiting["auth_url"])
        await at.ended(done["execution_id"])
        await at.ended(denied["execution_id"])
    verified = typed("audit", "verify", "--database", str(path), cwd=path.parent)
    assert verified.returncode == 0, verified.stdout + verified.stderr
