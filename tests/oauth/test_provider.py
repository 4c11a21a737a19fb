"""The provider that the tests of consents run against does what a provider must, or they would prove little."""

import base64
import hashlib
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from chromium import Browser
from provider import Provider

pytestmark = pytest.mark.browser

# Nothing listens on the port "discard", so that the browser stays at this address.
REDIRECT_URI = "http://127.0.0.1:9/auth/redirect"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture(autouse=True)
def registered(openid: Provider) -> None:
    openid.register(REDIRECT_URI)


def asked(openid: Provider, **changes: str) -> str:
    """The address at which the client asks for a consent."""
    parameters = {
        "client_id": openid.client_id,
        "response_type": "code",
        "redirect_uri": REDIRECT_URI,
        "scope": "openid email offline_access",
        "prompt": "consent",
        "state": "the-state",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changes,
    }
    return f"{openid.issuer}/auth?{urlencode({name: value for name, value in parameters.items() if value})}"


def consented(openid: Provider, browser: Browser, answer: str, **changes: str) -> dict[str, str]:
    """The parameters with which the provider sends the browser back."""
    browser.open(asked(openid, **changes))
    browser.fill("Name", "ada")
    browser.fill("Password", "anything")
    browser.press("Log in")
    browser.press(answer)
    back = urlsplit(browser.until_at(REDIRECT_URI))
    return {name: value for name, [value] in parse_qs(back.query, strict_parsing=True).items()}


def redeem(openid: Provider, **parameters: str) -> httpx.Response:
    return httpx.post(f"{openid.issuer}/token", data=parameters, auth=(openid.client_id, openid.client_secret))


def redeem_code(openid: Provider, code: str, verifier: str = VERIFIER) -> httpx.Response:
    return redeem(openid, grant_type="authorization_code", code=code, redirect_uri=REDIRECT_URI, code_verifier=verifier)


def test_a_code_is_given_to_a_person_who_consents_and_redeemed_once(openid: Provider, browser: Browser) -> None:
    back = consented(openid, browser, "Allow")
    assert back["state"] == "the-state"
    assert back["iss"] == openid.issuer  # RFC 9207

    tokens = redeem_code(openid, back["code"]).json()
    assert openid.userinfo(tokens["access_token"]).json() == {
        "sub": "ada",
        "email": "ada@example.org",
        "email_verified": True,
    }
    refreshed = redeem(openid, grant_type="refresh_token", refresh_token=tokens["refresh_token"]).json()
    assert openid.userinfo(refreshed["access_token"]).status_code == 200

    assert redeem_code(openid, back["code"]).json()["error"] == "invalid_grant"
    assert openid.userinfo(refreshed["access_token"]).status_code == 401  # a code that comes twice was stolen
    assert openid.token_requests() == [("authorization_code", 200), ("refresh_token", 200), ("authorization_code", 400)]


@pytest.mark.deep  # test_in_a_browser.py relies on this, and fails without it
def test_a_person_may_say_no(openid: Provider, browser: Browser) -> None:
    assert consented(openid, browser, "Deny") == {
        "error": "access_denied",
        "error_description": "The person said no.",
        "state": "the-state",
        "iss": openid.issuer,
    }
    assert openid.token_requests() == []


def test_a_code_is_worth_nothing_without_its_verifier(openid: Provider, browser: Browser) -> None:
    code = consented(openid, browser, "Allow")["code"]
    assert redeem_code(openid, code, "w" * 43).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"code_challenge": "", "code_challenge_method": ""}, 303),  # sent back with the error
        ({"code_challenge_method": "plain"}, 303),
        ({"redirect_uri": f"{REDIRECT_URI}/"}, 400),  # RFC 9700 section 2.1: the exact one, or nobody is sent anywhere
        ({"client_id": "nobody"}, 400),
    ],
)
def test_a_request_that_breaks_a_rule_is_refused(openid: Provider, changes: dict[str, str], status: int) -> None:
    reply = httpx.get(asked(openid, **changes))
    assert reply.status_code == status
    assert status != 303 or "error=invalid_request" in reply.headers["location"]


def test_the_token_endpoint_fails_as_it_is_told(openid: Provider) -> None:
    openid.control(tokenFaults=["unavailable"])
    assert redeem_code(openid, "no code").status_code == 503
    assert redeem_code(openid, "no code").status_code == 400
    assert openid.token_requests() == [(None, 503), ("authorization_code", 400)]


def test_the_provider_answers_to_no_other_name(openid: Provider) -> None:
    reply = httpx.get(f"{openid.issuer}/.well-known/openid-configuration", headers={"host": "provider.example"})
    assert reply.status_code == 421
