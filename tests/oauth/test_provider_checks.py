"""Providers are checked before the first person needs them: when a server starts, and by ``restpoint providers check``."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from starlette.responses import HTMLResponse, RedirectResponse, Response

from consents import site
from fake_provider import CLIENT_SECRET, FakeProvider, fake_provider
from restpoint.oauth.provider_checks import Finding, check_endpoints, check_metadata
from restpoint.oauth.provider_client import ProviderClient
from restpoint.oauth.providers import Provider
from served import environment, typed
from support import eventually

REDIRECT_URI = "https://approvals.example/auth/redirect"


@pytest_asyncio.fixture
async def fake() -> AsyncIterator[FakeProvider]:
    async with fake_provider() as made:
        yield made


async def checked(provider: Provider, redirect_uri: str | None = REDIRECT_URI, *others: str) -> list[Finding]:
    client = ProviderClient(5)
    try:
        found, endpoints = await check_metadata(client, provider, redirect_uri, others)
        if endpoints is not None and redirect_uri is not None:
            found += await check_endpoints(client, provider, endpoints, redirect_uri)
    finally:
        await client.close()
    return found


def verdicts(found: list[Finding]) -> dict[str, str]:
    return {finding.subject: finding.verdict for finding in found}


def text_of(found: list[Finding], subject: str) -> str:
    return " ".join(finding.text for finding in found if finding.subject == subject)


async def test_a_provider_that_is_right_is_ok_and_nothing_happens_there(fake: FakeProvider) -> None:
    found = await checked(fake.provider())
    assert verdicts(found) == dict.fromkeys(
        ("metadata", "redirect URI", "authorization endpoint", "token endpoint"), "ok"
    )
    assert f"{fake.issuer}/token" in text_of(found, "metadata")
    assert REDIRECT_URI in text_of(found, "redirect URI")
    assert (fake.redeemed, fake.access_tokens) == ([], [])


async def test_a_wrong_secret_is_told(fake: FakeProvider) -> None:
    wrong = Provider("fake", fake.provider().client_id, "canary-wrong-secret", issuer=fake.issuer)
    found = await checked(wrong)
    assert verdicts(found)["token endpoint"] == "wrong"
    assert "invalid_client" in text_of(found, "token endpoint")
    assert "canary" not in str(found)


@pytest.mark.parametrize(
    ("reply", "verdict", "said"),
    [
        (HTMLResponse("Invalid parameter: redirect_uri", 400), "wrong", REDIRECT_URI),
        (
            HTMLResponse("<p>AADSTS50011: The redirect URI does not match.</p>"),
            "wrong",
            "AADSTS50011: The redirect URI",
        ),
        (RedirectResponse("https://accounts.example/signin/oauth/error?authError=x"), "wrong", "client_id"),
        (
            RedirectResponse(f"{REDIRECT_URI}?error=invalid_scope&error_description=no+such"),
            "wrong",
            "invalid_scope (no such)",
        ),
        (RedirectResponse("https://accounts.example/signin"), "ok", "307"),
        (HTMLResponse("Sign in"), "ok", "200"),
        (HTMLResponse("Down", 503), "unreachable", "503"),
    ],
)
async def test_an_authorization_request_that_is_refused_is_told(
    fake: FakeProvider, reply: Response, verdict: str, said: str
) -> None:
    fake.authorization = reply
    found = await checked(fake.provider())
    assert verdicts(found)["authorization endpoint"] == verdict
    assert said in text_of(found, "authorization endpoint")


@pytest.mark.parametrize(
    ("token", "verdict", "said"),
    [
        (({"error": "bad_verification_code"}, 200), "ok", "accepted the client"),
        (({"ok": False, "error": "invalid_code"}, 200), "ok", "accepted the client"),
        (({"error": "incorrect_client_credentials"}, 200), "wrong", "client secret"),
        (({"error": "redirect_uri_mismatch"}, 400), "wrong", "redirect_uri_mismatch"),
        (({"error": "invalid_request"}, 400), "note", "made-up code"),
        ((b"<h1>Not here</h1>", 404), "wrong", "404"),
        ((b"", 503), "unreachable", "503"),
        (({"access_token": "a"}, 200), "note", "a code that does not exist"),
    ],
)
async def test_what_the_token_endpoint_says_to_a_made_up_code_tells_of_the_client(
    fake: FakeProvider, token: tuple[Any, int], verdict: str, said: str
) -> None:
    fake.token = token
    found = await checked(fake.provider())
    assert verdicts(found)["token endpoint"] == verdict
    assert said in text_of(found, "token endpoint")


@pytest.mark.parametrize(
    ("metadata", "settings", "subject", "verdict", "said"),
    [
        ({"issuer": "https://login.example/{tenantid}/v2.0"}, {}, "metadata", "wrong", "metadata_issuer"),
        ({"token_endpoint": 5}, {}, "metadata", "wrong", "configure both endpoints"),
        ({"scopes_supported": ["openid"]}, {}, "scopes", "note", "do not name read"),
        ({"scopes_supported": ["read", "offline_access"]}, {}, "scopes", "note", "no refresh token"),
        ({"code_challenge_methods_supported": ["plain"]}, {}, "PKCE", "note", "pkce = false"),
        (
            {"response_modes_supported": ["query"]},
            {"response_mode": "form_post"},
            "response mode",
            "wrong",
            "form_post",
        ),
    ],
)
async def test_what_the_metadata_say_against_the_configuration_is_told(
    fake: FakeProvider, metadata: dict[str, Any], settings: dict[str, Any], subject: str, verdict: str, said: str
) -> None:
    fake.metadata = metadata
    found = await checked(fake.provider(**settings))
    assert verdicts(found)[subject] == verdict
    assert said in text_of(found, subject)


async def test_a_provider_that_is_not_there_is_unreachable() -> None:
    nowhere = Provider("fake", "id", "secret", issuer="http://127.0.0.1:9")
    found = await checked(nowhere)
    assert verdicts(found) == {"metadata": "unreachable"}
    assert "http://127.0.0.1:9 is the right address" in found[0].text
    endpoints = Provider(
        "fake", "id", "s", authorization_endpoint="http://127.0.0.1:9/a", token_endpoint="http://127.0.0.1:9/t"
    )
    found = await checked(endpoints)
    assert {finding.subject for finding in found if finding.verdict == "unreachable"} == {
        "authorization endpoint", "token endpoint",
    }  # fmt: skip


async def test_without_an_address_the_redirect_uri_is_not_known(fake: FakeProvider) -> None:
    found = await checked(fake.provider(), None)
    assert verdicts(found) == {"metadata": "ok", "redirect URI": "note"}
    assert "--public-url" in text_of(found, "redirect URI")


async def test_of_several_providers_one_that_sends_no_issuer_needs_its_own_redirect_uri() -> None:
    async with fake_provider(iss=None) as fake:
        assert "/auth/redirect/fake" in text_of(await checked(fake.provider(), REDIRECT_URI, "other"), "redirect URI")
        own = fake.provider(redirect_uri=f"{REDIRECT_URI}/fake")
        assert verdicts(await checked(own, own.redirect_uri, "other"))["redirect URI"] == "ok"


# --- When a server starts --------------------------------------------------------------------------------------------


async def test_a_server_tells_at_its_start_what_is_wrong_and_starts(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with fake_provider(metadata={"issuer": "https://login.example/{tenantid}/v2.0"}) as fake:
        nowhere = Provider("nowhere", "id", "secret", issuer="http://127.0.0.1:9")
        async with site(path, fake, providers=[fake.provider(), nowhere]) as at:
            await eventually(lambda: len([each for each in caplog.records if "the provider" in each.getMessage()]) >= 2)
            assert (await at.asked())["status"] == "oauth_required"
    levels = {each.levelname: each.getMessage() for each in caplog.records if "the provider" in each.getMessage()}
    assert "metadata_issuer" in levels["ERROR"]
    assert "nowhere" in levels["WARNING"]


# --- At the command line ---------------------------------------------------------------------------------------------


def configured(folder: Path, fake: FakeProvider, *more: str) -> Path:
    path = folder / "providers.toml"
    path.write_text(
        f'[fake]\nclient_id = "{fake.provider().client_id}"\nclient_secret_env = "FAKE"\nissuer = "{fake.issuer}"\n'
        + "\n".join(more)
    )
    return path


async def check(folder: Path, *arguments: str, secret: str = CLIENT_SECRET) -> Any:
    variables = environment(FAKE=secret)
    return await asyncio.to_thread(typed, "providers", "check", *arguments, cwd=folder, **variables)


async def test_the_command_says_that_all_is_well(tmp_path: Path, fake: FakeProvider) -> None:
    configured(tmp_path, fake)
    done = await check(tmp_path, "--providers", "providers.toml", "--public-url", "https://approvals.example/sub/")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["fake"] * 4
    assert "https://approvals.example/sub/auth/redirect" in done.stdout


async def test_the_command_says_what_is_wrong_and_ends_with_1(tmp_path: Path, fake: FakeProvider) -> None:
    configured(tmp_path, fake)
    done = await check(
        tmp_path, "fake", "--providers", "providers.toml", "--public-url", "https://approvals.example", "-o", "jsonl",
        secret="canary-wrong",
    )  # fmt: skip
    assert done.returncode == 1
    found = [json.loads(line) for line in done.stdout.splitlines()]
    (wrong,) = [each for each in found if each["verdict"] == "wrong"]
    assert (wrong["provider"], wrong["subject"]) == ("fake", "token endpoint")
    assert "canary" not in done.stdout + done.stderr


async def test_the_command_ends_with_5_where_a_provider_is_not_reached(tmp_path: Path, fake: FakeProvider) -> None:
    path = configured(tmp_path, fake)
    path.write_text(path.read_text().replace(fake.issuer, "http://127.0.0.1:9"))
    done = await check(tmp_path, "--providers", "providers.toml")
    assert (done.returncode, "unreachable" in done.stdout) == (5, True)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((), "--providers"),
        (("--providers", "missing.toml"), "cannot be read"),
        (("--providers", "empty.toml"), "has no provider"),
        (("other", "--providers", "providers.toml"), "It has: fake"),
        (("--providers", "providers.toml", "--public-url", "http://approvals.example"), "needs https"),
    ],
)
async def test_the_command_is_used_wrongly(
    tmp_path: Path, fake: FakeProvider, arguments: tuple[str, ...], problem: str
) -> None:
    configured(tmp_path, fake)
    (tmp_path / "empty.toml").touch()
    done = await check(tmp_path, *arguments)
    assert (done.returncode, problem in done.stderr) == (2, True), done.stderr
