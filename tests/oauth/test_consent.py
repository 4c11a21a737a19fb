"""A workflow asks for a consent, a person gives it or not, and the workflow goes on with what came of it."""

import asyncio
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from consents import USED, Site, connect, site
from fake_provider import CLIENT_SECRET, fake_provider, query
from restpoint import Context, workflow
from restpoint._core.oauth_token import OAuthToken
from restpoint._engine import writes
from restpoint.errors import StorageError
from restpoint.http import loader
from restpoint.oauth.flow import Consents
from restpoint.oauth.providers import Provider
from restpoint.oauth.providers import read as read_providers
from runners import until
from served import EXAMPLES
from serving import asked, ended, events, make_app, served, take
from support import ManualClock, eventually, rows
from transcripts import DOCS, PAGES


async def test_a_person_consents_and_the_workflow_goes_on_with_the_token(path: Path) -> None:
    async with site(path) as at:
        told = await at.asked()
        consent_id = told["oauth_state"]
        assert told["auth_url"].startswith(
            f"{at.client.base_url}/executions/{told['execution_id']}/consents/{consent_id}?"
        )
        assert at.consent(told["execution_id"]) == ("pending", None, 0, 0, None)

        page = await at.browser.http.get(told["auth_url"])
        assert page.status_code == 200
        for word in ("fake", "<code>read</code>", "<code>write</code>", "connect", "local", told["execution_id"]):
            assert word in page.text
        assert at.consent(told["execution_id"]) == ("pending", None, 0, 0, None), "looking changes nothing"

        away = await at.browser.press(page)
        assert away.status_code == 303
        sent = query(away.headers["location"])
        assert sent["response_type"] == "code"
        assert (sent["scope"], sent["code_challenge_method"]) == ("read write", "S256")
        assert sent["redirect_uri"] == f"{at.client.base_url}/auth/redirect"
        assert at.consent(told["execution_id"]) == ("pending", 1, 1, 0, "local")

        back = await at.browser.at_the_provider(away.headers["location"])
        reply = await at.browser.http.get(back)
        assert (reply.status_code, "Access granted" in reply.text) == (200, True)
        assert await at.ended(told["execution_id"]) == ["read", "write"]
        assert USED[-1].access_token == at.provider.access_tokens[-1]
        assert at.events(told["execution_id"]) == [
            "execution_created", "consent_asked", "consent_exchanging", "consent_granted", "execution_completed",
        ]  # fmt: skip
        assert at.consent(told["execution_id"]) == ("granted", 1, 0, 0, "local"), (
            "a secret stays no longer than it must"
        )
        assert rows(path, "SELECT count(*) FROM consents WHERE browser_sha256 IS NOT NULL OR lease IS NOT NULL") == [
            (0,)
        ]
        granted = (await at.store.history(told["execution_id"]))[3]
        assert (granted.actor, granted.detail) == ("local", {"provider": "fake", "scopes": ["read", "write"]})


async def test_the_ready_server_makes_its_key_ring_and_takes_its_providers_from_a_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with fake_provider() as provider, site(path.with_name("other.db"), provider) as at:
        (path.parent / "providers.toml").write_text(
            f'[fake]\nissuer = "{provider.issuer}"\nclient_id = "restpoint-tests"\nclient_secret_env = "FAKE_SECRET"\n'
        )
        monkeypatch.setenv("FAKE_SECRET", CLIENT_SECRET)
        monkeypatch.setenv("RESTPOINT_PROVIDERS_FILE", str(path.parent / "providers.toml"))
        app = make_app(path, workflows=[connect])
        ring = path.with_name(f"{path.name}.keys")
        assert ring.stat().st_mode & 0o777 == 0o600
        async with served(app) as client:
            told = await asked(client, "connect")
            assert (await at.browser.consent(told["auth_url"])).status_code == 200
            assert (await ended(client, told["execution_id"]))["result"] == ["read", "write"]
            metrics = (await client.get("/metrics")).text
            assert 'restpoint_oauth_callbacks_total{outcome="granted"} 1.0' in metrics


async def test_a_stream_tells_where_the_consent_is_given_and_then_the_result(path: Path) -> None:
    async with site(path) as at, at.client.stream("POST", "/v1/workflows/connect/stream") as reply:
        stream = events(reply)
        told = (await take(stream, "oauth_required"))[-1].data
        assert set(told) == {"event_type", "execution_id", "auth_url", "oauth_state"}
        assert f"/consents/{told['oauth_state']}?ticket=" in told["auth_url"]
        assert (await at.browser.consent(told["auth_url"])).status_code == 200
        assert (await take(stream, "message"))[-1].data == ["read", "write"]
        happened = (await at.client.get(f"/executions/{told['execution_id']}/events")).text
        assert "consent_granted" in happened
        assert "ticket" not in happened


async def test_a_person_refuses_on_our_page(path: Path) -> None:
    async with site(path) as at:
        told = await at.asked()
        reply = await at.browser.decide(told["auth_url"], "deny")
        assert (reply.status_code, "Access refused" in reply.text) == (200, True)
        assert await at.ended(told["execution_id"]) == {"denied": "access_denied"}
        assert at.provider.asked == []
        denied = (await at.store.history(told["execution_id"]))[2]
        assert (denied.event, denied.actor, denied.detail) == (
            "consent_denied", "local", {"provider": "fake", "code": "access_denied"},
        )  # fmt: skip


async def callback(at: Site, told: dict[str, Any], **parameters: str) -> Any:
    """Set out, and come back with these parameters beside the right state."""
    away = await at.browser.decide(told["auth_url"])
    state = query(away.headers["location"])["state"]
    return await at.browser.http.get(f"{at.client.base_url}/auth/redirect", params={"state": state, **parameters})


async def test_a_person_refuses_at_the_provider(path: Path) -> None:
    async with site(path) as at:
        told = await at.asked()
        evil = "<script>alert(1)</script>"
        reply = await callback(at, told, error="access_denied", error_description=evil, iss=at.provider.issuer)
        assert (reply.status_code, evil in reply.text) == (200, False)
        assert await at.ended(told["execution_id"]) == {"denied": "access_denied"}


async def test_what_a_provider_says_is_text_of_a_stranger(path: Path) -> None:
    async with site(path) as at:
        told = await at.asked()
        reply = await callback(at, told, error="<b>no\x00" * 100, iss=at.provider.issuer)
        assert (reply.status_code, "<b>" in reply.text, "unknown_error" in reply.text) == (502, False, True)
        assert at.consent(told["execution_id"])[:3] == ("pending", 1, 0)


async def test_a_provider_that_cannot_do_it_now_is_tried_again(path: Path) -> None:
    async with site(path) as at:
        told = await at.asked()
        reply = await callback(at, told, error="temporarily_unavailable", iss=at.provider.issuer)
        assert (reply.status_code, "Try again" in reply.text) == (502, True)
        assert at.consent(told["execution_id"]) == ("pending", 1, 0, 0, "local")
        again = await at.browser.http.get(await at.browser.to_the_callback("", page=reply))
        assert again.status_code == 200
        assert await at.ended(told["execution_id"]) == ["read", "write"]


async def test_a_consent_expires_and_says_so(path: Path, clock: ManualClock) -> None:
    async with site(path, clock=clock) as at:
        told = await at.asked()
        back = await at.browser.to_the_callback(told["auth_url"])
        clock.step(3601)
        assert await at.ended(told["execution_id"]) == "expired"
        reply = await at.browser.http.get(back)
        assert reply.status_code == 409
        assert at.provider.asked == []
        page = await at.browser.http.get(told["auth_url"])
        assert (page.status_code, "time for this consent is over" in page.text, "<form" in page.text) == (
            200,
            True,
            False,
        )


async def test_a_consent_that_is_taken_back_ends_the_wait(path: Path) -> None:
    async with site(path) as at:
        told = await at.asked()
        await at.store.withdraw(told["execution_id"], told["oauth_state"], "changed my mind")
        assert await at.ended(told["execution_id"]) == "withdrawn"
        page = await at.browser.http.get(told["auth_url"])
        assert (page.status_code, "<form" in page.text) == (200, False)


async def test_a_cancelled_execution_forgets_its_secrets(path: Path) -> None:
    async with site(path) as at:
        told = await at.asked()
        back = await at.browser.to_the_callback(told["auth_url"])
        await at.client.post(f"/executions/{told['execution_id']}/cancel")
        assert at.consent(told["execution_id"]) == ("withdrawn", 1, 0, 0, "local")
        assert (await at.browser.http.get(back)).status_code == 409
        assert at.provider.asked == []


async def test_a_token_becomes_no_result_no_event_and_no_repr(path: Path) -> None:
    @workflow("leaks")
    async def leaks(ctx: Context) -> Any:
        token = await ctx.authorize("fake")
        assert token.access_token not in f"{token} {token!r}"
        return {"token": token}

    async with site(path, workflows=[leaks]) as at:
        told = await at.asked("leaks")
        await at.browser.consent(told["auth_url"])
        assert await at.ended(told["execution_id"]) == "not_json"


async def test_several_consents_wait_at_once(path: Path) -> None:
    @workflow("two")
    async def two(ctx: Context) -> Any:
        tokens = await asyncio.gather(ctx.authorize("fake", scopes=["a"]), ctx.authorize("fake", scopes=["b"]))
        return [list(token.scopes) for token in tokens]

    async with site(path, workflows=[two]) as at:
        told = await at.asked("two")
        record = await at.store.get(told["execution_id"])
        assert record is not None
        first, second = record.pending_oauths
        assert (first.provider, first.scopes, second.scopes) == ("fake", ("a",), ("b",))
        await at.browser.consent(told["auth_url"])
        await until(record, lambda: [each.consent_id for each in record.pending_oauths] == [second.consent_id])
        await at.browser.consent(await at.link(told["execution_id"]))
        assert await at.ended(told["execution_id"]) == [["a"], ["b"]]


async def test_a_step_under_way_is_not_begun_again_where_the_consent_of_another_branch_cannot_be_read(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writes, "AGAIN", 0.01)
    called: list[str] = []
    go = asyncio.Event()

    async def slow() -> str:
        called.append("slow")
        await go.wait()
        return "done"

    @workflow("connect")
    async def both(ctx: Context) -> str:
        step = asyncio.create_task(ctx.step(slow))
        await ctx.authorize("fake", scopes=["read"])
        return await step

    outcome = Consents.outcome

    async def refused(*arguments: Any) -> Any:
        called.append("read")
        if len(called) < 4:
            raise StorageError("The disk does not answer.", "SQLITE_IOERR_READ")
        go.set()
        return await outcome(*arguments)

    monkeypatch.setattr(Consents, "outcome", refused)
    async with site(path, workflows=[both]) as at:
        told = await at.asked()
        await eventually(lambda: called)
        assert (await at.browser.consent(told["auth_url"])).status_code == 200
        assert await at.ended(told["execution_id"]) == "done"
    assert called == ["slow", "read", "read", "read"]


async def test_an_unknown_provider_leaves_the_execution_for_a_server_that_knows_it(path: Path) -> None:
    async with fake_provider() as provider:
        async with site(path, provider, name="another") as at:
            started = await at.client.post("/v1/workflows/connect?wait=0")
            record = await at.store.get(started.json()["execution_id"])
            assert record is not None
            await until(record, lambda: record.problem)
            assert "no provider 'fake' here; the providers are: another" in str(record.problem)
            assert record.status == "running"
        async with site(path, provider) as at:
            again = await at.store.get(record.execution_id)
            assert again is not None
            await until(again, lambda: again.pending_oauth)
            await at.browser.consent(await at.link(record.execution_id))
            assert await at.ended(record.execution_id) == ["read", "write"]


async def test_a_server_without_providers_says_what_is_missing(path: Path) -> None:
    async with served(make_app(path, workflows=[connect])) as client:
        started = await client.post("/v1/workflows/connect?wait=0")
        await eventually(lambda: rows(path, "SELECT problem FROM executions WHERE problem IS NOT NULL"))
        ((problem,),) = rows(path, "SELECT problem FROM executions")
        assert "RESTPOINT_PROVIDERS_FILE" in problem
        assert (await client.get(f"/executions/{started.json()['execution_id']}")).json()["status"] == "running"
        assert (await client.get("/auth/redirect?state=x")).status_code == 404
    assert not path.with_name(f"{path.name}.keys").exists(), "no providers, no keys"


async def test_the_example_gets_what_the_service_has_for_the_token(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workflows = loader.load(str(EXAMPLES / "connect.py"))
    async with site(path, workflows=workflows, name="github") as at:
        monkeypatch.setenv("GITHUB_API", at.provider.issuer)
        told = await at.asked("repositories")
        assert (await at.browser.consent(told["auth_url"])).status_code == 200
        assert await at.ended(told["execution_id"]) == ["ada/engine"]
        refused = await at.asked("repositories")
        await at.browser.decide(refused["auth_url"], "deny")
        assert await at.ended(refused["execution_id"]) == "no_access"


@pytest.mark.parametrize(
    "page", [page for page in PAGES if "<!-- test: providers -->" in page.read_text()], ids=lambda p: p.name
)
def test_the_providers_of_the_documentation_are_as_providers_are(tmp_path: Path, page: Path) -> None:
    for shown in re.findall(r"<!-- test: providers -->\n```toml\n(.*?)```", page.read_text(), re.DOTALL):
        (tmp_path / "providers.toml").write_text(shown)
        variables = re.findall(r'client_secret_env = "(\w+)"', shown)
        for provider in read_providers(tmp_path / "providers.toml", dict.fromkeys(variables, "secret")):
            assert provider.mount in {None, "https://approvals.example.com"}


def test_every_setting_of_a_provider_is_in_the_reference_of_the_configuration() -> None:
    text = (DOCS / "reference" / "configuration.md").read_text()
    settings = {each.name for each in fields(Provider)} - {"name", "client_secret"} | {"client_secret_env"}
    assert {name for name in settings if f"| `{name}`" not in text} == set()


async def test_the_caller_driven_form_shows_what_the_caller_gave(path: Path) -> None:
    @workflow("by_hand")
    async def by_hand(ctx: Context) -> str:
        await ctx.authorize(auth_url="https://id.example/go?state=s", oauth_state="s")
        return "done"

    async with site(path, workflows=[by_hand]) as at:
        told = await at.asked("by_hand")
        assert (told["auth_url"], told["oauth_state"]) == ("https://id.example/go?state=s", "s")
        await at.store.set_running(told["execution_id"])
        assert await at.ended(told["execution_id"]) == "done"


def test_a_token_shows_no_secret() -> None:
    token = OAuthToken("fake", "canary-access", id_token="canary-id", extra={"a": "canary-extra"})
    assert "canary" not in repr(token)
