"""People sign in at a provider: what its ID token must be, who somebody is by it, what they are told where it does not work."""

import logging
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from consents import KEYS
from fake_provider import CLIENT_ID, CLIENT_SECRET, FakeProvider, Surfer, fake_provider, query
from restpoint.errors import InvalidArgument
from restpoint.http import bearer_tokens
from restpoint.oauth.keyring import KeyText, Vault
from restpoint.oauth.providers import Provider, by_name
from serving import make_app, served
from support import rows


@pytest.fixture
def path(path: Path, fresh: Path) -> Path:
    """A new file."""
    shutil.copyfile(fresh, path)
    return path


class Site:
    """A server that people sign in to with the provider."""

    def __init__(self, client: httpx.AsyncClient, browser: Surfer, provider: FakeProvider, path: Path) -> None:
        self.client, self.browser, self.provider, self.path = client, browser, provider, path

    async def set_out(self, next_path: str = "/executions") -> httpx.Response:
        origin = str(self.client.base_url).rstrip("/")
        form = {"provider": "fake", "next": next_path}
        return await self.browser.http.post(f"{origin}/auth/sign-in", data=form, headers={"origin": origin})

    async def come_back(self) -> httpx.Response:
        away = await self.set_out()
        assert away.status_code == 303, away.text
        return await self.browser.http.get(await self.browser.at_the_provider(away.headers["location"]))

    async def actor(self) -> dict[str, Any] | None:
        """Who the browser is, by the file."""
        found = rows(self.path, "SELECT actor, groups, roles, provider FROM sessions")
        return dict(zip(("id", "groups", "roles", "provider"), found[-1], strict=True)) if found else None

    def refusals(self) -> list[tuple[Any, ...]]:
        return rows(self.path, "SELECT actor, cause FROM history WHERE event = 'sign_in_refused' ORDER BY sequence")


@asynccontextmanager
async def site(path: Path, person: dict[str, Any] | None = None, **settings: Any) -> AsyncIterator[Site]:
    others = settings.pop("others", ())
    async with fake_provider(person={"sub": "ada"} if person is None else person) as provider:
        known = [provider.provider(sign_in=True, **settings), *others]
        app = make_app(path, providers=known, keys=Vault(KeyText(KEYS)))
        async with served(app) as client, Surfer() as browser:
            yield Site(client, browser, provider, path)


async def test_a_person_signs_in_and_is_who_the_provider_says_with_groups_and_roles(path: Path) -> None:
    person = {"sub": "ada", "https://claims.example/groups": ["finance", "admins", 7, " "]}
    settings = {
        "sign_in_groups_claim": "https://claims.example/groups", "sign_in_roles": {"operator": ["admins"]},
        "sign_in_prefix": "corporate:", "title": "Example Corporation",
    }  # fmt: skip
    async with site(path, person, **settings) as at:
        page = await at.browser.http.get(f"{at.client.base_url}/auth/sign-in")
        assert "Continue with Example Corporation" in page.text
        assert "Token" not in page.text, "there are none here"
        away = await at.set_out("/executions?limit=3")
        sent = query(away.headers["location"])
        assert (sent["scope"], sent["code_challenge_method"], len(sent["nonce"])) == ("openid", "S256", 43)
        assert "Secure" not in away.headers["set-cookie"]
        back = await at.browser.http.get(await at.browser.at_the_provider(away.headers["location"]))
        assert (back.status_code, back.headers["location"]) == (303, "/executions?limit=3")
        assert await at.actor() == {
            "id": "corporate:ada", "groups": '["admins","finance"]', "roles": '["operator"]', "provider": "fake",
        }  # fmt: skip
        assert (await at.browser.http.get(f"{at.client.base_url}/metrics")).status_code == 200, "an operator"
        assert (await at.client.get("/executions")).status_code == 401, "others of this machine are nobody"
        assert list(at.browser.http.cookies) == ["restpoint"], "the cookie of the attempt is gone"


async def test_a_path_of_a_claim_leads_into_it(path: Path) -> None:
    person = {"sub": "ada", "realm_access": {"roles": ["finance"]}}
    async with site(path, person, sign_in_groups_claim="realm_access.roles") as at:
        await at.come_back()
        assert (await at.actor() or {})["groups"] == '["finance"]'


WRONG: dict[str, dict[str, Any]] = {
    "of another issuer": {"iss": "https://evil.example"},
    "for another client": {"aud": "another"},
    "for several": {"aud": [CLIENT_ID, "another"]},
    "asked for by another": {"aud": [CLIENT_ID, "another"], "azp": "another"},
    "expired": {"exp": 1_000_000},
    "without an end": {"exp": None},
    "of a time to come": {"iat": 99_999_999_999},
    "of another attempt": {"nonce": "another"},
    "about nobody": {"sub": None},
}


@pytest.mark.parametrize("how", WRONG)
async def test_an_id_token_that_is_wrong_lets_nobody_in(path: Path, how: str) -> None:
    async with site(path, {"sub": "ada", **WRONG[how]}) as at:
        reply = await at.come_back()
        assert (reply.status_code, "cannot be verified" in reply.text) == (502, True)
        assert await at.actor() is None
        assert at.refusals() == [(None, "invalid id token")]


@pytest.mark.parametrize("how", ["another key", "the client secret", "nobody", "no token", "no words"])
async def test_an_id_token_that_the_provider_did_not_sign_lets_nobody_in(
    path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with site(path) as at:
        claims = {"iss": at.provider.issuer, "aud": CLIENT_ID, "iat": 0, "exp": 9_999_999_999, "sub": "ada"}

        def made(nonce: str | None) -> str:
            all_of_them = {**claims, "nonce": nonce}
            match how:
                case "another key":
                    return jwt.encode({"alg": "ES256", "kid": "now"}, all_of_them, ECKey.generate_key("P-256"))
                case "the client secret":
                    key = OctKey.import_key(CLIENT_SECRET)
                    return jwt.encode({"alg": "HS256"}, all_of_them, key, algorithms=["HS256"])
                case "nobody":
                    signed = jwt.encode({"alg": "ES256"}, all_of_them, ECKey.generate_key("P-256"))
                    return f"eyJhbGciOiJub25lIn0.{signed.split('.')[1]}."
                case "no words":
                    return "..."
            return ""

        monkeypatch.setattr(at.provider, "id_token", made)
        assert (await at.come_back()).status_code == 502
        assert await at.actor() is None


async def test_keys_are_kept_and_read_again_for_one_that_is_new(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with site(path) as at:
        for _ in range(3):
            assert (await at.come_back()).status_code == 303
        assert at.provider.keys_read == 1
        monkeypatch.setattr("restpoint.oauth.id_tokens._AGAIN_SECONDS", 0.0)
        at.provider.signs_with = ECKey.generate_key("P-256", {"kid": "next"})
        assert (await at.come_back()).status_code == 303
        assert at.provider.keys_read == 2


@pytest.mark.parametrize(
    ("person", "settings", "why"),
    [
        ({"sub": "1", "email": "ada@example.org"}, {"sign_in_claim": "email"}, "not verified"),
        (
            {"sub": "1", "email": "ada@example.org", "email_verified": "true"},
            {"sign_in_claim": "email"},
            "not verified",
        ),
        ({"sub": "group:finance"}, {}, "can be nobody"),
        ({"sub": "local"}, {}, "can be nobody"),
        ({"sub": " ada"}, {}, "can be nobody"),
        ({"sub": "x" * 256}, {}, "can be nobody"),
        ({"sub": "ada"}, {"sign_in_claim": "employee"}, "claim employee is missing"),
        (
            {"sub": "b:ada"},
            {"others": [Provider("b", "b", issuer="https://b.example", sign_in=True, sign_in_prefix="b:")]},
            "nobody",
        ),
    ],
)
async def test_what_cannot_be_a_persons_id_lets_nobody_in(
    path: Path, person: dict[str, Any], settings: dict[str, Any], why: str
) -> None:
    async with site(path, person, **settings) as at:
        reply = await at.come_back()
        assert (reply.status_code, why in reply.text) == (403, True), reply.text
        assert at.refusals() == [(None, "no id")]


async def test_a_verified_address_is_an_id(path: Path) -> None:
    person = {"sub": "1", "email": "Ada@Example.org", "email_verified": True}
    async with site(path, person, sign_in_claim="email") as at:
        away = await at.set_out()
        assert query(away.headers["location"])["scope"] == "openid email"
        await at.browser.http.get(await at.browser.at_the_provider(away.headers["location"]))
        assert (await at.actor() or {})["id"] == "ada@example.org"


@pytest.mark.parametrize(
    ("has", "lets_in"), [("example.com", True), (["x", "example.com"], True), ("evil.example", False)]
)
async def test_only_those_with_the_claims_that_are_required_are_let_in(path: Path, has: Any, lets_in: bool) -> None:
    async with site(path, {"sub": "ada", "hd": has}, sign_in_required={"hd": "example.com"}) as at:
        reply = await at.come_back()
        assert reply.status_code == (303 if lets_in else 403)
        assert at.refusals() == ([] if lets_in else [("ada", "not allowed")])


async def test_a_callback_counts_once_and_in_its_own_browser_only(path: Path) -> None:
    async with site(path) as at, Surfer() as thief:
        away = await at.set_out()
        back = await at.browser.at_the_provider(away.headers["location"])
        stolen = await thief.http.get(back)
        assert (stolen.status_code, "Please sign in again" in stolen.text) == (400, True)
        assert at.provider.redeemed == []
        cookies = dict(at.browser.http.cookies)
        assert (await at.browser.http.get(back)).status_code == 303
        again = await thief.http.get(back, headers={"cookie": "; ".join(f"{k}={v}" for k, v in cookies.items())})
        assert (again.status_code, "set-cookie" in again.headers and "restpoint=" in again.headers["set-cookie"]) == (
            400,
            False,
        )
        assert len(at.provider.redeemed) == 1


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"iss": "https://evil.example"}, 400), ({"iss": None}, 400), ({"code": None}, 400), ({"state": "sign-in.x"}, 400),
        ({"code": None, "error": "access_denied"}, 403), ({"code": None, "error": "temporarily_unavailable"}, 502),
        ({"code": None, "error": "invalid_scope"}, 503), ({"code": "made-up"}, 400),
    ],
)  # fmt: skip
async def test_a_callback_that_is_wrong_signs_nobody_in(path: Path, change: dict[str, Any], status: int) -> None:
    async with site(path) as at:
        away = await at.set_out()
        url, _, _ = (await at.browser.at_the_provider(away.headers["location"])).partition("?")
        sent = {
            "state": query(away.headers["location"])["state"],
            "code": at.provider.codes_given[-1],
            "iss": at.provider.issuer,
        }
        asked = {key: value for key, value in {**sent, **change}.items() if value is not None}
        reply = await at.browser.http.get(url, params=asked)
        assert reply.status_code == status, reply.text
        assert await at.actor() is None


async def test_an_attempt_takes_ten_minutes_at_most(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with site(path) as at:
        away = await at.set_out()
        back = await at.browser.at_the_provider(away.headers["location"])
        monkeypatch.setattr("restpoint.oauth.sign_in.STATE_SECONDS", -1)
        assert (await at.browser.http.get(back)).status_code == 400
        assert await at.actor() is None


async def test_a_provider_that_is_down_is_told_with_what_to_do_and_tried_again(
    path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tokens = tmp_path / "tokens.json"
    bearer_tokens.add(tokens, "ada")
    down = Provider("down", CLIENT_ID, CLIENT_SECRET, issuer="http://127.0.0.1:9", sign_in=True, title="Our directory")
    app = make_app(path, providers=[down], keys=Vault(KeyText(KEYS)), tokens_file=tokens)
    async with served(app) as client:
        page = await client.get("/auth/sign-in")
        assert page.status_code == 200, "whoever has a token still signs in"
        with caplog.at_level(logging.WARNING):
            reply = await client.post("/auth/sign-in", data={"provider": "down", "next": "/executions"})
        assert reply.status_code == 502
        for word in ("Our directory does not answer", "Try again", "Ways to sign in", 'value="/executions"'):
            assert word in reply.text
        assert "nobody can sign in with down" in caplog.text
    async with site(path) as at:
        at.provider.token = ({}, 503)
        reply = await at.come_back()
        assert (reply.status_code, "does not answer" in reply.text) == (502, True)
        at.provider.token = "grants"
        assert (await at.come_back()).status_code == 303


async def test_people_of_a_provider_that_signs_nobody_in_any_more_are_signed_out(path: Path) -> None:
    async with site(path) as at:
        await at.come_back()
        cookie = at.browser.http.cookies["restpoint"]
        other = at.provider.provider("other", sign_in=True)
        async with served(make_app(path, providers=[other], keys=Vault(KeyText(KEYS)))) as client:
            reply = await client.get("/executions", headers={"cookie": f"restpoint={cookie}"})
            assert reply.status_code == 401


async def test_no_secret_of_signing_in_is_in_the_file_or_the_log(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with site(path) as at:
        away = await at.set_out()
        attempt = next(iter(at.browser.http.cookies.values()))
        sent = query(away.headers["location"])
        await at.browser.http.get(await at.browser.at_the_provider(away.headers["location"]))
        session = at.browser.http.cookies["restpoint"]
        secrets = [*at.provider.secrets(), attempt, session, sent["nonce"], sent["state"]]
    ours = [record for record in caplog.records if record.name.startswith(("restpoint", "uvicorn"))]
    said = "\n".join(record.getMessage() for record in ours if record.name != "uvicorn.access").encode()
    said += b"".join(each.read_bytes() for each in path.parent.iterdir() if each.name.startswith(path.name))
    assert b"signed_in" in said
    for secret in secrets:
        assert secret.encode() not in said


def provider(name: str = "one", **settings: Any) -> Provider:
    return Provider(name, "client", issuer="https://id.example", **{"sign_in": True, **settings})


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"sign_in": False, "sign_in_required": {"hd": "x"}}, "without sign_in"),
        (
            {"issuer": None, "authorization_endpoint": "https://a.example", "token_endpoint": "https://a.example"},
            "needs an issuer",
        ),
        (
            {"authorization_endpoint": "https://a.example", "token_endpoint": "https://a.example"},
            "leave both endpoints out",
        ),
        ({"metadata_issuer": "https://id.example/{tenantid}"}, "any tenant"),
        ({"sign_in_scopes": ["email"]}, "needs openid"),
        ({"sign_in_prefix": "group:"}, "sign_in_prefix"),
        ({"sign_in_roles": {"root": ["a"]}, "sign_in_groups_claim": "groups"}, "another role"),
        ({"sign_in_roles": {"operator": "admins"}, "sign_in_groups_claim": "groups"}, "list the names"),
        ({"sign_in_roles": {"operator": ["admins"]}}, "no sign_in_groups_claim"),
        ({"sign_in_required": {"hd": 7}}, "text for each claim"),
        ({"sign_in_claim": ""}, "sign_in_claim"),
    ],
)
def test_settings_that_would_let_in_the_wrong_people_are_refused(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidArgument, match=why):
        Provider("one", "client", **{"issuer": "https://id.example", "sign_in": True, **settings})


@pytest.mark.parametrize(
    ("one", "other", "right"), [("", "", False), ("a:", "a:b:", False), ("", "b:", True), ("a:", "b:", True)]
)
def test_two_providers_that_sign_people_in_never_give_two_people_one_name(one: str, other: str, right: bool) -> None:
    both = [provider(sign_in_prefix=one), provider("two", sign_in_prefix=other)]
    if right:
        assert len(by_name(both)) == 2
    else:
        with pytest.raises(InvalidArgument, match="sign_in_prefix"):
            by_name(both)
