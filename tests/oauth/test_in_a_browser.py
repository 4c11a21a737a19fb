"""The whole way of a consent: a server as people start it, a provider that nobody here wrote, a person at a browser."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from chromium import Browser
from provider import Provider
from restpoint._storage.sqlite import migrations
from restpoint.http import bearer_tokens
from served import PATIENCE, Served, Terminal, typed

pytestmark = pytest.mark.browser

TARGET = """
import httpx
from restpoint import Context, workflow
from restpoint._core.oauth_token import OAuthToken
from restpoint.errors import ConsentDenied
from restpoint.prompts import HumanPromptText

SCOPES = ["openid", "email", "offline_access"]

async def whose(issuer: str, token: OAuthToken) -> dict[str, str | bool]:
    async with httpx.AsyncClient() as http:
        reply = await http.get(f"{issuer}/me", headers={"authorization": f"{token.token_type} {token.access_token}"})
        return reply.raise_for_status().json()

@workflow
async def whoami(ctx: Context, issuer: str) -> dict[str, str | bool]:
    token = await ctx.authorize("corporate", scopes=SCOPES)
    return await ctx.step(whose, issuer, token)

@workflow
async def careful(ctx: Context, issuer: str) -> str:
    try:
        await ctx.authorize("corporate", scopes=SCOPES)
    except ConsentDenied as denied:
        return f"denied: {denied.denial_code}"
    return "granted"

@workflow
async def by_form(ctx: Context, issuer: str) -> dict[str, str | bool]:
    return await ctx.step(whose, issuer, await ctx.authorize("by_form", scopes=SCOPES))

@workflow
async def misconfigured(ctx: Context, issuer: str) -> str:
    await ctx.authorize("without_pkce", scopes=SCOPES)
    return "granted"

@workflow
async def unhurried(ctx: Context, issuer: str) -> dict[str, str | bool]:
    token = await ctx.authorize("corporate", scopes=SCOPES)
    await ctx.ask(HumanPromptText(text="Shall I look?"))
    return await ctx.step(whose, issuer, token)
"""

PROVIDERS = """
[corporate]
title = "Example Corporation"
issuer = "{issuer}"
client_id = "{client_id}"
client_secret_env = "CORPORATE_CLIENT_SECRET"
authorization_parameters = {{ prompt = "consent" }} # or the provider gives no refresh token

[by_form]
title = "Example Corporation"
issuer = "{issuer}"
client_id = "{client_id}"
client_secret_env = "CORPORATE_CLIENT_SECRET"
authorization_parameters = {{ prompt = "consent" }}
response_mode = "form_post"

[without_pkce]
title = "Example Corporation"
issuer = "{issuer}"
client_id = "{client_id}"
client_secret_env = "CORPORATE_CLIENT_SECRET"
pkce = false # which this provider insists on
"""

ADA = {"sub": "ada", "email": "ada@example.org", "email_verified": True}


class Site:
    """A server of ``restpoint serve`` that lets people in by tokens, which browsers do not send."""

    def __init__(self, folder: Path, provider: Provider) -> None:
        (folder / "flows.py").write_text(TARGET)
        (folder / "providers.toml").write_text(PROVIDERS.format(issuer=provider.issuer, client_id=provider.client_id))
        self.token = bearer_tokens.add(folder / "tokens.json", "ada")
        migrations.upgrade(folder / "restpoint.db")
        self.folder, self._provider, self._port = folder, provider, "0"
        self._server = self._started()
        self._port = self._server.port
        provider.register(f"{self.url}/auth/redirect")

    def _started(self) -> Served:
        return Served(
            "flows.py",
            self.folder,
            *("--port", self._port),
            *("--providers", "providers.toml"),
            *("--tokens-file", "tokens.json"),
            *("--log-level", "debug"),
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
        assert self._server.process.returncode == -9

    def start(self) -> None:
        """Start again where it was, unless it still runs."""
        if self._server.process.poll() is not None:
            self._server = self._started()

    def end(self) -> None:
        if self._server.process.poll() is None:
            self._server.end()
        self._server.kill()

    def call(self, method: str, path: str, json: Any = None) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.token}"}
        return httpx.request(method, f"{self.url}{path}", json=json, headers=headers, timeout=PATIENCE)

    def begin(self, workflow: str) -> dict[str, Any]:
        """Start a workflow. Returns what it waits for."""
        reply = self.call("POST", f"/v1/workflows/{workflow}", self._provider.issuer)
        assert reply.status_code == 202, reply.text
        told: dict[str, Any] = reply.json()
        assert told["status"] == "oauth_required"
        return told

    def poll(self, told: dict[str, Any], wait: int = 0) -> dict[str, Any]:
        body: dict[str, Any] = self.call("GET", f"/executions/{told['execution_id']}?wait={wait}").json()
        return body

    def until(self, told: dict[str, Any], *statuses: str) -> dict[str, Any]:
        """Wait for the execution to have one of these. Returns what it is then."""
        deadline = time.monotonic() + PATIENCE
        while (body := self.poll(told, wait=1))["status"] not in statuses:
            assert time.monotonic() < deadline, f"it stays at {body}"
        return body

    def until_consent(self, told: dict[str, Any], event: str) -> None:
        """Wait for this to be the last thing that happened to the consent, by the history."""
        deadline = time.monotonic() + PATIENCE
        while (last := self._of_consent(told)[-1]) != event:
            assert time.monotonic() < deadline, f"the last is {last}"
            time.sleep(0.02)

    def _of_consent(self, told: dict[str, Any]) -> list[str]:
        items = self.call("GET", f"/executions/{told['execution_id']}/history").json()["items"]
        return [each["event"] for each in items if each["event"].startswith("consent_")]

    def result(self, told: dict[str, Any]) -> Any:
        """What the workflow came to."""
        body = self.until(told, "completed", "failed", "cancelled")
        assert body["status"] == "completed", body
        return body["result"]


@pytest.fixture(scope="module")
def running_site(running_provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"), running_provider)
    yield site
    site.end()


@pytest.fixture
def site(running_site: Site, openid: Provider) -> Site:
    running_site.start()
    return running_site


def set_out(browser: Browser, told: dict[str, Any]) -> None:
    """From the link to the provider's question."""
    browser.open(told["auth_url"])
    browser.press("Continue to Example Corporation")
    browser.fill("Name", "ada")
    browser.fill("Password", "anything")
    browser.press("Log in")
    browser.until("ada, may restpoint use openid email offline_access?")


def test_a_person_consents_and_the_workflow_uses_the_token(site: Site, openid: Provider, browser: Browser) -> None:
    told = site.begin("whoami")
    browser.open(told["auth_url"])
    page = browser.until("Allow access?")
    for shown in ("Example Corporation (localhost)", "openid", "email", "offline_access", "whoami", "ada"):
        assert shown in page
    set_out(browser, told)
    browser.press("Allow")
    browser.until("Access granted")

    assert site.result(told) == ADA
    assert openid.token_requests() == [("authorization_code", 200)]
    # Our pages tell nobody where a person came from: a link has a ticket, a callback a code (RFC 9700, section 4.2.4). Our
    # form tells us which server it is of, and no more.
    told_by_us = [each for each in browser.sent() if each.referer.startswith(site.url)]
    assert [each for each in told_by_us if each.referer != f"{site.url}/" or not each.url.startswith(site.url)] == []
    assert browser.driver.get_cookies() == []


def test_a_provider_sends_its_answer_as_a_form_of_its_own_site(
    site: Site, openid: Provider, browser: Browser, another_browser: Browser
) -> None:
    told = site.begin("by_form")
    set_out(browser, told)
    browser.press("Allow")
    browser.until("Access granted")
    posts = [each for each in browser.sent() if each.url.startswith(f"{site.url}/auth/redirect")]
    assert [each.method for each in posts] == ["POST", "GET"]
    assert site.result(told) == ADA
    assert openid.token_requests() == [("authorization_code", 200)]

    another_browser.open(posts[-1].url)
    another_browser.until("Used already")


def test_a_request_that_the_provider_refuses_is_no_refusal_of_the_person(
    site: Site, openid: Provider, browser: Browser
) -> None:
    told = site.begin("misconfigured")
    browser.open(told["auth_url"])
    browser.press("Continue to Example Corporation")
    browser.until("Not set up")
    assert site.poll(told)["status"] == "oauth_required"
    assert "invalid_request (" in site.everything().decode(errors="replace")
    assert openid.token_requests() == []


def test_the_providers_are_checked_at_the_provider_itself(site: Site, openid: Provider) -> None:
    variables = {"CORPORATE_CLIENT_SECRET": openid.client_secret}
    command = ("providers", "check", "--providers", "providers.toml", "--public-url", site.url)
    right = typed(*command, "corporate", cwd=site.folder, **variables)
    assert (right.returncode, "ok: token endpoint" in right.stdout) == (0, True), right.stdout
    for wrong, said in (
        ((*command, "without_pkce"), "wrong: authorization endpoint: It answered invalid_request"),
        ((*command[:-1], f"{site.url}/elsewhere", "corporate"), "exactly this redirect URI is not registered"),
    ):
        told = typed(*wrong, cwd=site.folder, **variables)
        assert (told.returncode, said in told.stdout) == (1, True), told.stdout
    told = typed(*command, "corporate", cwd=site.folder, CORPORATE_CLIENT_SECRET="canary-wrong")
    assert (told.returncode, "wrong: token endpoint: It answered invalid_client" in told.stdout) == (1, True), (
        told.stdout
    )


def test_a_person_refuses_at_the_provider_and_the_workflow_may_go_on(
    site: Site, openid: Provider, browser: Browser
) -> None:
    told = site.begin("careful")
    set_out(browser, told)
    browser.press("Deny")
    browser.until("Access refused")
    assert site.result(told) == "denied: access_denied"
    assert openid.token_requests() == []


@pytest.mark.deep  # test_consent.py has this without a browser
def test_a_person_refuses_before_the_provider_hears_of_it(site: Site, openid: Provider, browser: Browser) -> None:
    told = site.begin("careful")
    browser.open(told["auth_url"])
    browser.press("Refuse")
    browser.until("Access refused")
    assert site.result(told) == "denied: access_denied"
    assert [each.url for each in browser.sent() if each.url.startswith(f"{openid.issuer}/auth")] == []


@pytest.mark.deep  # test_callbacks.py has this without a browser
def test_a_provider_that_is_down_is_tried_again(site: Site, openid: Provider, browser: Browser) -> None:
    told = site.begin("whoami")
    openid.control(tokenFaults=["unavailable"])
    set_out(browser, told)
    browser.press("Allow")
    browser.until("Nothing is lost")
    assert site.poll(told)["status"] == "oauth_required"
    browser.press("Try again")
    browser.press("Allow")
    browser.until("Access granted")
    assert site.result(told) == ADA
    assert openid.token_requests() == [(None, 503), ("authorization_code", 200)]


def test_a_server_that_dies_while_a_person_is_away_takes_the_callback_later_and_from_their_browser_only(
    site: Site, openid: Provider, browser: Browser, another_browser: Browser
) -> None:
    told = site.begin("whoami")
    set_out(browser, told)
    site.kill()
    browser.press("Allow")
    callback = browser.until_at(f"{site.url}/auth/redirect?")  # an error page of the browser: nobody is there
    site.start()

    another_browser.open(callback)
    another_browser.until("Another browser")
    assert site.poll(told)["status"] == "oauth_required"
    assert openid.token_requests() == []

    browser.open(callback)
    browser.until("Access granted")
    assert site.result(told) == ADA

    for each in (browser, another_browser):
        each.open(callback)
        each.until("Nothing was changed.")
    assert openid.token_requests() == [("authorization_code", 200)]


@pytest.mark.parametrize(
    ("fault", "first"),
    [
        # The code gets nowhere; test_consent_kills.py has this without a browser.
        pytest.param("lose-request", (None, None), marks=pytest.mark.deep),
        ("hold-reply", ("authorization_code", 200)),  # the token is made, and nobody gets it
    ],
)
def test_a_server_that_dies_during_the_exchange_redeems_no_code_again_and_lets_the_person_try_again(
    site: Site, openid: Provider, browser: Browser, fault: str, first: tuple[str | None, int | None]
) -> None:
    told = site.begin("whoami")
    openid.control(tokenFaults=[fault])
    set_out(browser, told)
    browser.press_and_look_away("Allow")
    openid.until_held()
    site.until_consent(told, "consent_exchanging")
    site.kill()
    openid.control(letGo=True)
    site.start()
    site.until_consent(told, "consent_pending")

    # A person who sees that there was no answer reloads the page.
    browser.open(browser.until_at(f"{site.url}/auth/redirect?"))
    browser.press("Try again")
    browser.press("Allow")
    browser.until("Access granted")
    assert site.result(told) == ADA
    assert openid.token_requests() == [first, ("authorization_code", 200)]  # a code that comes twice gets 400


@pytest.mark.deep  # test_tokens_of_consents.py has this without a browser
def test_a_token_that_has_expired_when_the_workflow_goes_on_elsewhere_is_refreshed(
    site: Site, openid: Provider, browser: Browser
) -> None:
    told = site.begin("unhurried")
    openid.control(accessTokenSeconds=1)
    set_out(browser, told)
    browser.press("Allow")
    browser.until("Access granted")
    asked = site.until(told, "interaction_required")
    site.kill()
    openid.control(accessTokenSeconds=3600)
    site.start()
    reply = site.call("POST", asked["response_url"], {"response": {"type": "text", "text": "yes"}})
    assert reply.status_code == 204, reply.text
    assert site.result(told) == ADA
    first, *others = openid.token_requests()
    assert first == ("authorization_code", 200)
    assert set(others) == {("refresh_token", 200)}  # each with the refresh token of the one before, or it were refused


def test_no_secret_of_a_consent_is_in_the_clear_while_a_workflow_has_its_token(
    site: Site, openid: Provider, browser: Browser
) -> None:
    told = site.begin("unhurried")
    set_out(browser, told)
    browser.press("Allow")
    browser.until("Access granted")
    back = dict(parse_qsl(urlsplit(browser.url).query))
    asked = site.until(told, "interaction_required")
    history = site.call("GET", f"/executions/{told['execution_id']}/history")

    tokens = openid.tokens()
    assert len(tokens) == 3  # access, refresh, id
    said = site.everything() + history.content
    assert told["execution_id"].encode() in said
    assert b"/auth/redirect" in said  # requests are logged
    ticket = told["auth_url"].partition("?ticket=")[2]
    for secret in (*tokens, back["code"], back["state"], ticket, openid.client_secret, site.token):
        assert len(secret) > 20
        assert secret.encode() not in said

    site.call("POST", asked["response_url"], {"response": {"type": "text", "text": "yes"}})
    assert site.result(told) == ADA


@pytest.mark.deep  # test_consent_cli.py has this without a browser
def test_a_person_at_a_terminal_is_given_the_link_for_a_browser(site: Site, openid: Provider, browser: Browser) -> None:
    told = site.begin("whoami")
    command = ("authorize", told["execution_id"], "--url", site.url)
    with Terminal(*command, cwd=site.folder, RESTPOINT_TOKEN=site.token, COLUMNS="400") as terminal:
        [link] = re.findall(rf"{re.escape(site.url)}\S+", terminal.until("waiting"))
        set_out(browser, {"auth_url": link})
        browser.press("Allow")
        browser.until("Access granted")
        assert terminal.ended() == 0
    assert "The consent is granted." in terminal.shown
    assert site.result(told) == ADA


def test_the_page_of_a_consent_stands_in_no_frame_of_another_site(
    site: Site, openid: Provider, browser: Browser
) -> None:
    told = site.begin("careful")
    browser.open(f"{openid.issuer}/control")
    browser.run(
        """
        const frame = document.createElement("iframe");
        const loaded = new Promise((go) => { frame.onload = go; });
        frame.src = given[0];
        document.body.append(frame);
        await loaded;
    """,
        told["auth_url"],
    )
    assert any("frame-ancestors" in each for each in browser.complaints())
    browser.forget()
