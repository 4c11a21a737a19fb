"""The whole way in and out: a server as people start it, a provider that nobody here wrote, a person at a browser."""

import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from chromium import Browser
from provider import Provider
from restpoint._storage.sqlite import migrations
from restpoint.http import bearer_tokens
from served import PATIENCE, TARGET, Served, typed
from support import rows

pytestmark = pytest.mark.browser

PROVIDERS = """
[corporate]
title = "Example Corporation"
issuer = "{issuer}"
client_id = "{client_id}"
client_secret_env = "CORPORATE_CLIENT_SECRET"
sign_in = true

[down]
title = "Directory"
issuer = "http://localhost:9"
client_id = "nobody"
sign_in = true
sign_in_prefix = "directory:"
"""


class Site:
    """A server of ``restpoint serve`` that people sign in to."""

    def __init__(self, folder: Path, provider: Provider) -> None:
        (folder / "flows.py").write_text(TARGET)
        (folder / "providers.toml").write_text(PROVIDERS.format(issuer=provider.issuer, client_id=provider.client_id))
        self.token = bearer_tokens.add(folder / "tokens.json", "grace")
        self.file = folder / "restpoint.db"
        migrations.upgrade(self.file)
        self.folder, self._provider, self._port = folder, provider, "0"
        self._server = self._started()
        self._port = self._server.port
        provider.register(f"{self.url}/auth/redirect")

    def _started(self) -> Served:
        return Served(
            "flows.py",
            self.folder,
            *(
                "--port",
                self._port,
                "--providers",
                "providers.toml",
                "--tokens-file",
                "tokens.json",
                "--log-level",
                "debug",
            ),
            CORPORATE_CLIENT_SECRET=self._provider.client_secret,
        )

    @property
    def url(self) -> str:
        return self._server.url

    def everything(self) -> bytes:
        """What is in the files beside the database, and what the server has logged."""
        files = [path.read_bytes() for path in self.folder.iterdir() if path.name.startswith("restpoint.db")]
        return b"".join([*files, *(line.encode() for line in self._server.said)])

    def kill(self) -> None:
        """SIGKILL."""
        self._server.kill()

    def start(self) -> None:
        """Start again where it was, unless it still runs."""
        if self._server.process.poll() is not None:
            self._server = self._started()

    def end(self) -> None:
        if self._server.process.poll() is None:
            self._server.end()
        self._server.kill()


@pytest.fixture(scope="module")
def running_site(running_provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"), running_provider)
    yield site
    site.end()


@pytest.fixture
def site(running_site: Site, openid: Provider) -> Site:
    running_site.start()
    return running_site


def to_the_provider(site: Site, browser: Browser) -> None:
    """From a page that wants to know who it is to the provider's question."""
    browser.open(f"{site.url}/executions?limit=1")
    browser.press("Continue with Example Corporation")
    browser.fill("Name", "ada")
    browser.fill("Password", "anything")
    browser.press("Log in")
    browser.until("ada, may restpoint use openid?")


def sign_in(site: Site, browser: Browser) -> str:
    """Sign in, and return the token of the session."""
    to_the_provider(site, browser)
    browser.press("Allow")
    assert browser.until_at(f"{site.url}/executions") == f"{site.url}/executions?limit=1", "where they wanted to go"
    browser.until("items")
    (cookie,) = browser.driver.get_cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == ("restpoint", True, "Lax", "/")
    return str(cookie["value"])


START = (
    "return (await fetch(given[0], {method: 'POST', body: '7', headers: {'content-type': 'application/json'}})).status"
)


def test_a_person_signs_in_uses_the_session_and_signs_out_and_a_stolen_cookie_opens_nothing_then(
    site: Site, openid: Provider, browser: Browser, another_browser: Browser
) -> None:
    cookie = sign_in(site, browser)
    assert openid.token_requests() == [("authorization_code", 200)]
    assert browser.run(START, f"{site.url}/v1/workflows/echo") == 200
    assert rows(site.file, "SELECT owner FROM executions ORDER BY key DESC LIMIT 1") == [("ada",)]

    another_browser.open(f"{site.url}/healthz")
    another_browser.driver.add_cookie({"name": "restpoint", "value": cookie})
    another_browser.open(f"{site.url}/executions")
    another_browser.until("items")

    browser.open(f"{site.url}/auth/sign-in")
    browser.until("You are signed in as ada, at corporate")
    browser.press("Sign out")
    browser.until("You are signed out")
    assert browser.driver.get_cookies() == []
    for each in (browser, another_browser):
        each.open(f"{site.url}/executions")
        each.until("Continue with Example Corporation")
        each.open(f"{site.url}/healthz")  # whose policy lets a script of the test send something
        assert each.run(START, f"{site.url}/v1/workflows/echo") == 401
    assert browser.complaints() == []
    assert browser.outside() == []


@pytest.mark.deep  # tests/http/test_sign_in.py has this without a browser
def test_signing_out_everywhere_reaches_the_other_browser(
    site: Site, browser: Browser, another_browser: Browser
) -> None:
    sign_in(site, browser)
    sign_in(site, another_browser)
    browser.open(f"{site.url}/auth/sign-in")
    browser.press("Sign out everywhere")
    browser.until("in all browsers")
    another_browser.open(f"{site.url}/executions")
    another_browser.until("Continue with Example Corporation")


@pytest.mark.deep  # tests/http/test_sign_in.py has this without a browser
def test_a_session_that_an_operator_ends_is_over_at_the_next_page(site: Site, browser: Browser) -> None:
    sign_in(site, browser)
    done = typed("sessions", "revoke", "--of", "ada", cwd=site.folder)
    assert done.returncode == 0, done.stderr
    browser.open(f"{site.url}/executions")
    browser.until("Continue with Example Corporation")
    assert typed("audit", "verify", cwd=site.folder).returncode == 0


@pytest.mark.deep  # tests/http/test_sign_in.py has this without a browser
def test_a_token_in_the_form_signs_in_too_and_another_ones_is_refused(site: Site, browser: Browser) -> None:
    browser.open(f"{site.url}/auth/sign-in?next=/executions")
    browser.fill("Token", "rp_nobodys")
    browser.press("Sign in")
    browser.until("This token is not known here")
    browser.fill("Token", site.token)
    browser.press("Sign in")
    assert browser.until_at(f"{site.url}/executions")
    browser.until("items")
    assert browser.complaints() == []


@pytest.mark.deep  # test_sign_in_at_a_provider.py has this without a browser
def test_a_provider_that_is_down_is_told_and_another_way_is_offered(
    site: Site, openid: Provider, browser: Browser
) -> None:
    browser.open(f"{site.url}/auth/sign-in?next=/executions")
    browser.press("Continue with Directory")
    page = browser.until("Directory does not answer")
    assert "Try again in a moment" in page
    browser.press("Ways to sign in")
    browser.press("Continue with Example Corporation")
    browser.until("Log in")

    openid.control(tokenFaults=["unavailable"])
    to_the_provider(site, browser)
    browser.press("Allow")
    browser.until("Example Corporation does not answer")
    browser.press("Try again")
    browser.until("items")


def test_a_person_who_refuses_at_the_provider_is_not_signed_in(site: Site, browser: Browser) -> None:
    to_the_provider(site, browser)
    browser.press("Deny")
    browser.until("Not signed in")
    assert browser.driver.get_cookies() == []


def test_a_server_that_dies_while_a_person_is_at_the_provider_takes_them_in_later_or_lets_them_begin_again(
    site: Site, openid: Provider, browser: Browser
) -> None:
    to_the_provider(site, browser)
    site.kill()
    browser.press("Allow")
    callback = browser.until_at(f"{site.url}/auth/redirect?")  # an error page of the browser: nobody is there
    site.start()
    browser.open(f"{site.url}/executions")
    browser.press("Continue with Example Corporation")
    browser.until("items")
    browser.open(f"{site.url}/auth/sign-in")
    browser.press("Sign out")
    browser.until("You are signed out")

    browser.open(callback)
    assert browser.until_at(f"{site.url}/executions"), "the first attempt is as good as it was"
    browser.open(callback)
    browser.until("Please sign in again")
    browser.press("Ways to sign in")
    browser.until("You are signed in as ada")


def test_a_server_that_dies_during_the_exchange_signs_nobody_in_and_lets_them_begin_again(
    site: Site, openid: Provider, browser: Browser
) -> None:
    before = rows(site.file, "SELECT count(*) FROM sessions")
    openid.control(tokenFaults=["hold-reply"])
    to_the_provider(site, browser)
    browser.press_and_look_away("Allow")
    openid.until_held()
    site.kill()
    openid.control(letGo=True)
    site.start()
    assert rows(site.file, "SELECT count(*) FROM sessions") == before
    browser.open(browser.until_at(f"{site.url}/auth/redirect?"))
    browser.until("Please sign in again")  # the code was redeemed
    browser.press("Try again")
    browser.press("Allow")  # the provider was shown a code twice, and has forgotten what it was allowed
    browser.until("items")


def test_no_secret_of_a_session_is_in_the_clear(site: Site, openid: Provider, browser: Browser) -> None:
    cookie = sign_in(site, browser)
    sent = next(each for each in browser.sent() if each.url.startswith(f"{openid.issuer}/auth?"))
    back = next(each for each in browser.sent() if each.url.startswith(f"{site.url}/auth/redirect?"))
    asked, came = (dict(parse_qsl(urlsplit(each.url).query)) for each in (sent, back))
    deadline = time.monotonic() + PATIENCE
    while b"signed in" not in (said := site.everything()):
        assert time.monotonic() < deadline
    tokens = openid.tokens()
    assert len(tokens) == 2  # access and id
    for secret in (cookie, *tokens, came["code"], asked["state"], asked["nonce"], openid.client_secret, site.token):
        assert len(secret) > 20
        assert secret.encode() not in said
