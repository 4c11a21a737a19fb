"""What a provider's error does to a consent: only the person's refusal ends it, and the operator is told of the rest."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response

from consents import USED, Site, site
from fake_provider import CLIENT_SECRET, fake_provider, query
from support import rows

SAID = "AADSTS7000215: Invalid client secret provided."
NOT_SET_UP = ("invalid_client", "unauthorized_client", "invalid_scope", "invalid_request", "redirect_uri_mismatch")
PASSING = ("temporarily_unavailable", "server_error", "invalid_grant", "something_new")


async def came_back(at: Site, told: dict[str, Any], page: Any = None, **parameters: str) -> Any:
    """Set out, and come back with these parameters beside the right state."""
    away = await at.browser.decide(told["auth_url"], page=page)
    state = query(away.headers["location"])["state"]
    sent = {"state": state, "iss": at.provider.issuer, **parameters}
    return await at.browser.http.get(f"{at.client.base_url}/auth/redirect", params=sent)


async def goes_on(at: Site, told: dict[str, Any], page: Any) -> None:
    """The person tries again on the page that was shown, and it works."""
    at.provider.token = "grants"
    again = await at.browser.http.get(await at.browser.to_the_callback("", page=page))
    assert (again.status_code, "Access granted" in again.text) == (200, True)
    assert await at.ended(told["execution_id"]) == ["read", "write"]


async def test_an_error_of_the_token_endpoint_that_is_nobodys_refusal_keeps_the_consent_open(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with site(path) as at:
        told = await at.asked()
        page = None
        for attempt, code in enumerate((*NOT_SET_UP, "unsupported_grant_type", "invalid_target", *PASSING), 1):
            caplog.clear()
            at.provider.token = ({"error": code, "error_description": SAID}, 400)
            page = await at.browser.http.get(await at.browser.to_the_callback(told["auth_url"], page=page))
            assert at.consent(told["execution_id"]) == ("pending", attempt, 0, 0, "local"), code
            passes = code in PASSING
            title = "That did not work yet" if passes else "Not set up"
            assert (page.status_code, title in page.text, "Try again" in page.text) == (
                502 if passes else 503,
                True,
                True,
            )
            assert SAID not in page.text, "the description is for the operator"
            (record,) = [each for each in caplog.records if code in each.getMessage()]
            assert (record.levelname, SAID in record.getMessage()) == ("WARNING" if passes else "ERROR", True)
        assert at.events(told["execution_id"]).count("consent_denied") == 0
        causes = {cause for (cause,) in rows(path, "SELECT cause FROM history WHERE event = 'consent_pending'")}
        assert "the provider refused the code: invalid_client" in causes
        await goes_on(at, told, page)
        codes = [form["code"] for form in at.provider.asked]
        assert len(set(codes)) == len(codes), "no code is sent twice"


async def test_an_error_of_the_authorization_endpoint_that_is_nobodys_refusal_keeps_the_consent_open(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with site(path) as at:
        told = await at.asked()
        page = None
        for code in (
            *NOT_SET_UP,
            "unsupported_response_type",
            "login_required",
            "temporarily_unavailable",
            "server_error",
        ):
            caplog.clear()
            page = await came_back(at, told, page, error=code, error_description=f"{SAID}\r\n\x1b[2J forged line")
            assert at.consent(told["execution_id"])[0] == "pending", code
            passes = code in PASSING
            assert (page.status_code, "Try again" in page.text) == (502 if passes else 503, True), code
            (record,) = [each for each in caplog.records if code in each.getMessage()]
            assert record.levelname == ("WARNING" if passes else "ERROR")
            assert f"{SAID} [2J forged line" in record.getMessage()
        assert at.provider.asked == []
        await goes_on(at, told, page)


@pytest.mark.parametrize("code", ["access_denied", "user_cancelled_login", "user_cancelled_authorize"])
async def test_the_refusal_of_a_person_ends_the_consent(path: Path, code: str) -> None:
    async with site(path) as at:
        told = await at.asked()
        page = await came_back(at, told, error=code)
        assert (page.status_code, "Access refused" in page.text) == (200, True)
        assert await at.ended(told["execution_id"]) == {"denied": code}


async def test_an_empty_error_beside_a_code_is_none(path: Path) -> None:
    async with site(path) as at:
        told = await at.asked()
        back = await at.browser.to_the_callback(told["auth_url"])
        assert (await at.browser.http.get(f"{back}&error=")).status_code == 200
        assert await at.ended(told["execution_id"]) == ["read", "write"]


async def test_a_refusal_may_come_from_the_token_endpoint(path: Path) -> None:
    async with site(path) as at:
        at.provider.token = ({"error": "access_denied"}, 403)
        told = await at.asked()
        await at.browser.consent(told["auth_url"])
        assert await at.ended(told["execution_id"]) == {"denied": "access_denied"}


@pytest.mark.parametrize(
    "reply",
    [
        {"token_type": "Bearer"},
        {"access_token": "a\r\nset-cookie: x", "token_type": "Bearer"},
        {"access_token": "a", "token_type": "mac"},
    ],
)
async def test_a_reply_without_a_usable_token_is_no_refusal_and_the_log_says_what_it_has(
    path: Path, caplog: pytest.LogCaptureFixture, reply: dict[str, str]
) -> None:
    async with site(path) as at:
        at.provider.token = (reply, 200)
        told = await at.asked()
        page = await at.browser.consent(told["auth_url"])
        assert (page.status_code, "Not set up" in page.text) == (503, True)
        assert at.consent(told["execution_id"]) == ("pending", 1, 0, 0, "local")
        assert "invalid_token_response (" in caplog.text
        assert at.consents.callbacks == {"not_set_up": 1}
        await goes_on(at, told, page)


@pytest.mark.parametrize(
    "beside", [{"error": None}, {"error": ""}, {"token_type": None}, {"expires_in": "3600.0"}, {"extra": "\ud800"}]
)
async def test_a_wrong_member_beside_a_token_is_no_refusal(path: Path, beside: dict[str, Any]) -> None:
    reply = {"access_token": "a", "token_type": "Bearer", "scope": "read write", **beside}
    async with site(path) as at:
        at.provider.token = (json.dumps(reply).encode(), 200)
        told = await at.asked()
        assert (await at.browser.consent(told["auth_url"])).status_code == 200
        assert await at.ended(told["execution_id"]) == ["read", "write"]
        assert (USED[-1].access_token, USED[-1].token_type) == ("a", "Bearer")


async def test_what_a_provider_says_of_its_error_does_not_bring_a_secret_into_the_log(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with site(path) as at:
        told = await at.asked()
        back = await at.browser.to_the_callback(told["auth_url"])
        code = query(back)["code"]
        at.provider.token = ({"error": "invalid_grant", "error_description": f"{code} {CLIENT_SECRET} is wrong"}, 400)
        await at.browser.http.get(back)
        assert "[removed] [removed] is wrong" in caplog.text
        assert code not in caplog.text
        assert CLIENT_SECRET not in caplog.text


# --- Replies that are built to do harm -------------------------------------------------------------------------------


async def test_a_reply_that_grows_when_it_is_unpacked_is_given_up_before_it_does(path: Path) -> None:
    bomb = gzip.compress(b'{"access_token": "' + b"a" * 64_000_000 + b'"}', 9)
    assert len(bomb) < 256 * 1024
    async with site(path) as at:
        at.provider.token = Response(bomb, headers={"content-encoding": "gzip", "content-type": "application/json"})
        told = await at.asked()
        page = await at.browser.consent(told["auth_url"])
        assert (page.status_code, "larger than" in page.text) == (502, True)
        assert at.consent(told["execution_id"])[:3] == ("pending", 1, 0)


async def test_a_provider_is_asked_for_what_needs_no_unpacking_and_may_pack_it_all_the_same(path: Path) -> None:
    body = b'{"access_token": "a", "token_type": "Bearer", "scope": "read write"}'
    async with site(path) as at:
        at.provider.token = Response(gzip.compress(body), headers={"content-encoding": "gzip"})
        told = await at.asked()
        assert (await at.browser.consent(told["auth_url"])).status_code == 200
        assert await at.ended(told["execution_id"]) == ["read", "write"]
        assert at.provider.encodings == ["identity"]


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "gzip"])
async def test_a_reply_that_cannot_be_unpacked_is_no_answer(path: Path, encoding: str) -> None:
    async with site(path) as at:
        at.provider.token = Response(b'{"access_token": "a"}', headers={"content-encoding": encoding})
        told = await at.asked()
        page = await at.browser.consent(told["auth_url"])
        assert (page.status_code, at.consent(told["execution_id"])[0]) == (502, "pending")


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": ["https://login.example"]},
        {"issuer": {"a": 1}},
        {"authorization_endpoint": 5},
        {"token_endpoint": ["https://login.example/token"]},
        {"token_endpoint": "http://127.0.0.1:99999/token"},
        {"authorization_endpoint": "http://127.0.0.1/" + "a" * 5_000},
        {"token_endpoint_auth_methods_supported": 5, "token_endpoint": None},
        {"token_endpoint_auth_methods_supported": [["private_key_jwt"], 5]},
    ],
)
async def test_metadata_of_wrong_types_are_a_server_that_is_not_set_up(
    path: Path, caplog: pytest.LogCaptureFixture, metadata: dict[str, Any]
) -> None:
    async with fake_provider(metadata=metadata) as made, site(path, made) as at:
        told = await at.asked()
        page = await at.browser.http.get(told["auth_url"])
        assert (page.status_code, "Not set up" in page.text) == (503, True)
        assert "a consent cannot be asked for" in caplog.text
        assert at.consent(told["execution_id"])[0] == "pending"


@pytest.mark.parametrize("methods", [5, "client_secret_basic", {}, None, []])
async def test_a_member_of_the_metadata_that_can_be_passed_over_is(path: Path, methods: object) -> None:
    metadata = {"token_endpoint_auth_methods_supported": methods}
    async with fake_provider(metadata=metadata) as made, site(path, made) as at:
        told = await at.asked()
        assert (await at.browser.consent(told["auth_url"])).status_code == 200


async def test_a_callback_is_kept_for_later_where_the_server_has_lost_its_configuration(path: Path) -> None:
    async with site(path) as at:
        told = await at.asked()
        back = await at.browser.to_the_callback(told["auth_url"])
        providers, at.consents.providers = at.consents.providers, {}
        page = await at.browser.http.get(back)
        assert (page.status_code, "Not set up" in page.text) == (503, True)
        assert at.consent(told["execution_id"])[:3] == ("pending", 1, 1)
        at.consents.providers = providers
        assert (await at.browser.http.get(back)).status_code == 200
