"""Providers that differ from the standard, each by one setting: what is sent to them, and that a consent comes to its end."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from starlette.responses import Response

from consents import USED, Site, site
from fake_provider import FakeProvider, Surfer, fake_provider, query
from restpoint.oauth.provider_client import Endpoints
from support import ManualClock

TOKEN = {"access_token": "a", "token_type": "Bearer", "scope": "read write"}


async def granted(at: Site, told: dict[str, Any]) -> None:
    reply = await at.browser.consent(told["auth_url"])
    assert (reply.status_code, "Access granted" in reply.text) == (200, True)
    assert await at.ended(told["execution_id"]) == ["read", "write"]


async def test_without_pkce_no_challenge_and_no_verifier_is_sent(path: Path) -> None:
    async with site(path, pkce=False) as at:
        at.provider.token = (TOKEN, 200)
        told = await at.asked()
        away = await at.browser.decide(told["auth_url"])
        assert not {"code_challenge", "code_challenge_method"} & set(query(away.headers["location"]))
        back = await at.browser.at_the_provider(away.headers["location"])
        assert (await at.browser.http.get(back)).status_code == 200
        assert "code_verifier" not in at.provider.asked[0]
        assert (await at.browser.http.get(back)).status_code == 409, "a code is taken once all the same"


async def test_resources_are_named_at_both_endpoints_and_on_a_refresh(path: Path, clock: ManualClock) -> None:
    resource = ("https://api.example/a?b=c&d", "urn:example:b")
    async with site(path, clock=clock, hold=0.0, resource=resource) as at:
        told = await at.asked("connect_and_ask")
        await at.browser.consent(told["auth_url"])
        (asked,) = at.provider.authorizations
        assert parse_qs(urlsplit(asked).query)["resource"] == list(resource)
        clock.step(7200)
        await at.consents.outcomes(told["execution_id"])
        assert at.provider.resources == [list(resource)] * 2
        assert [form["grant_type"] for form in at.provider.asked] == ["authorization_code", "refresh_token"]


async def test_scopes_go_into_the_parameter_that_the_provider_has_for_them(path: Path) -> None:
    slack: dict[str, Any] = {"scope_parameter": "user_scope", "scope_separator": ","}
    async with site(path, token_path="authed_user", token_type="user", **slack) as at:
        at.provider.token = (
            {"ok": True, "access_token": "xoxb", "token_type": "bot",
             "authed_user": {"id": "U1", "access_token": "xoxp", "token_type": "user", "scope": "read,write"}},
            200,
        )  # fmt: skip
        await granted(at, await at.asked())
        (asked,) = at.provider.authorizations
        sent = query(asked)
        assert (sent["user_scope"], "scope" in sent) == ("read,write", False)
        assert (USED[-1].access_token, USED[-1].token_type, USED[-1].extra["id"]) == ("xoxp", "Bearer", "U1")


async def test_a_token_response_may_be_a_form(path: Path) -> None:
    async with site(path) as at:
        body = "access_token=gho_1&scope=read%2Cwrite&token_type=bearer"
        at.provider.token = Response(body, media_type="application/x-www-form-urlencoded")
        await granted(at, await at.asked())
        assert USED[-1].access_token == "gho_1"


# --- Answers that come as a form -------------------------------------------------------------------------------------


async def posted(at: Site, told: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """Set out, and return the address and the form that the provider's page sends."""
    back = await at.browser.to_the_callback(told["auth_url"])
    return back.partition("?")[0], query(back)


async def test_a_provider_may_send_its_answer_as_a_form_of_its_own_site(path: Path) -> None:
    async with site(path, response_mode="form_post") as at, Surfer() as without_cookie:
        told = await at.asked()
        address, form = await posted(at, told)
        assert query(at.provider.authorizations[0])["response_mode"] == "form_post"
        # A browser sends no cookie with the form of another site.
        sent = {**form, "id_token": "canary-id-token", "session_state": "x"}
        reply = await without_cookie.http.post(address, data=sent, headers={"origin": at.provider.issuer})
        assert reply.status_code == 303
        assert at.consent(told["execution_id"])[:3] == ("pending", 1, 1), "the form itself decides nothing"
        onward = str(reply.url.join(reply.headers["location"]))
        assert (onward.partition("?")[0], query(onward)) == (address, form)
        assert (await without_cookie.http.get(onward)).status_code == 403
        assert (await at.browser.http.get(onward)).status_code == 200
        assert await at.ended(told["execution_id"]) == ["read", "write"]
        assert len(at.provider.asked) == 1


async def test_a_form_at_the_address_of_one_provider_stays_at_that(path: Path) -> None:
    async with site(path) as at:
        url = f"{at.client.base_url}/auth/redirect/fake"
        reply = await at.browser.http.post(url, data={"state": "s", "code": "c"})
        assert str(reply.url.join(reply.headers["location"])) == f"{url}?state=s&code=c"


@pytest.mark.parametrize("body", [b"", b"\xff\x00", b"state=a&state=b&code=c", b"&".join([b"state=a"] * 60), b"{}"])
async def test_a_form_that_is_no_callback_is_refused_where_a_query_is(path: Path, body: bytes) -> None:
    async with site(path) as at:
        url = f"{at.client.base_url}/auth/redirect"
        headers = {"content-type": "application/x-www-form-urlencoded"}
        reply = await at.browser.http.post(url, content=body, headers=headers)
        assert reply.status_code == 303
        assert (await at.browser.http.get(str(reply.url.join(reply.headers["location"])))).status_code == 400
        assert at.consents.callbacks == {"malformed": 1}


async def test_a_form_that_is_too_large_is_refused(path: Path) -> None:
    async with site(path) as at:
        reply = await at.browser.http.post(f"{at.client.base_url}/auth/redirect", data={"state": "x" * 20_000})
        assert reply.status_code == 413


# --- An issuer that stands for many ----------------------------------------------------------------------------------

COMMON = "https://login.example/{tenantid}/v2.0"


def many(provider: FakeProvider, **settings: Any) -> FakeProvider:
    provider.metadata = {"issuer": COMMON, "authorization_response_iss_parameter_supported": True, **settings}
    return provider


async def test_an_issuer_of_many_tenants_is_refused_with_a_way_out(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with fake_provider() as made, site(path, many(made)) as at:
        told = await at.asked()
        assert (await at.browser.http.get(told["auth_url"])).status_code == 503
    assert f"metadata_issuer = {COMMON!r}" in caplog.text
    assert "/v2.0" in caplog.text


async def test_an_issuer_of_many_tenants_works_where_the_operator_vouches_for_it(path: Path) -> None:
    async with fake_provider() as made, site(path, many(made), metadata_issuer=COMMON) as at:
        told = await at.asked()
        at.provider.iss = "https://evil.example/72f988bf/v2.0"
        back = await at.browser.to_the_callback(told["auth_url"])
        assert (await at.browser.http.get(back)).status_code == 400
        right = httpx.URL(back).copy_merge_params({"iss": "https://login.example/72f988bf-86f1-41af/v2.0"})
        assert (await at.browser.http.get(str(right))).status_code == 200
        assert await at.ended(told["execution_id"]) == ["read", "write"]


@pytest.mark.parametrize(
    ("iss", "taken"),
    [
        ("https://login.example/72f988bf-86f1/v2.0", True),
        ("https://login.example/contoso.example/v2.0", True),
        ("https://login.example//v2.0", False),
        ("https://login.example/a/b/v2.0", False),
        ("https://login.example/a/v2.0/", False),
        ("https://login.example/{tenantid}/v2.0", False),
        ("https://loginXexample/a/v2.0", False),
        ("", False),
        (None, False),
    ],
)
def test_one_segment_stands_for_one_tenant(iss: str | None, taken: bool) -> None:
    endpoints = Endpoints("https://login.example/a", "https://login.example/t", "none", COMMON, sends_issuer=True)
    assert endpoints.has_issuer(iss, set()) is taken
