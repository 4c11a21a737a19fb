"""Every page for people in every state, of a server that people sign in to: for those who look at all of them."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from chromium import Browser
from consents import KEYS
from people import PROMPTS, ask, connect, fail, tell
from restpoint.http import bearer_tokens
from restpoint.http.app import create_app
from restpoint.notify.notices import DeliveryFailed, Notice
from restpoint.notify.tickets import Ticket, Tickets
from restpoint.oauth.keyring import KeyText, Vault
from restpoint.oauth.providers import Provider
from serving import Serving
from support import PATIENCE

PROVIDERS: Final = (
    Provider("directory", "restpoint", "s3cret", issuer="http://localhost:9", title="Directory", sign_in=True),
    Provider(
        "github", "restpoint", "s3cret", authorization_endpoint="http://localhost:9/authorize",
        token_endpoint="http://localhost:9/token", title="GitHub",
    ),
)  # fmt: skip

ROUTES: Final = """
[people.ada]
paper = "Ada"
post = "ada@example.org"
[channels.post]
kind = "mail"
host = "localhost"
port = 9
security = "none"
sender = "approvals@example.org"
[[routes]]
name = "letters"
channel = "paper"
workflows = ["tell"]
to = ["ada"]
[[routes]]
name = "bells"
channel = "bell"
workflows = ["connect"]
events = ["consent_asked"]
[[routes]]
name = "links"
channel = "post"
workflows = ["none"]
tickets = true
"""
"""One channel takes nothing from Ada but the first letter, the other is gone; tickets are made without a mail."""
VAULT: Final = Vault(KeyText(KEYS))

EVERY_PART: Final = frozenset({
    "form", "form with a mistake", "nobody could be told", "handed on", "answered", "consent", "binary_choice",
    "reminding, and escalating later", "attention", "ticket, taken by somebody else", "access is needed", "failed",
    "nothing of a workflow", "voting, after a vote", "sign in", "not found", "handed to nobody", "late",
    "the session has ended", "failed, for an operator", "completed", "ticket, form with a mistake", "an empty inbox",
    "nothing needs attention", "notification", "checkbox", "arabic", "nasty", "taken", "withdrawn", "an execution",
    "the inbox, of one workflow", "decided", "nothing decided", "signed in", "taken while somebody wrote",
    "text with a mistake", "somebody else was first", "sign in, no token",
})  # fmt: skip
"""The names of states that have together every part that the pages have; a deep run holds that they do."""

Act = Callable[[Browser], object]


@dataclass(frozen=True)
class State:
    """A page that somebody has opened (nobody with ``who`` None), and what they have done there since."""

    name: str
    who: str | None
    path: str
    act: Act | None = None


class Site:
    """A server with something in every state."""

    def __init__(self, server: Serving, folder: Path) -> None:
        self.url = server.url
        people: Mapping[str, dict[str, Any]] = {
            "ada": {}, "grace": {}, "joan": {"groups": ["finance"]}, "op": {"roles": ["operator"]},
        }  # fmt: skip
        tokens = {name: bearer_tokens.add(folder / "tokens.json", name, **said) for name, said in people.items()}
        self._clients = {
            name: httpx.Client(base_url=self.url, timeout=PATIENCE, headers={"origin": self.url, "cookie": ""})
            for name in tokens
        }
        self.token = tokens["ada"]
        self._tickets_of = Tickets(VAULT, None, _groups_of)
        self.cookies: dict[str, str] = {}
        for name, client in self._clients.items():
            reply = client.post("/auth/sign-in", data={"token": tokens[name]})
            self.cookies[name] = reply.cookies["restpoint"]
            client.headers["cookie"] = f"restpoint={self.cookies[name]}"

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    # --- What is asked and done ---

    def start(self, name: str, workflow: str, given: Any = None) -> dict[str, Any]:
        body: dict[str, Any] = self._clients[name].post(f"/v1/workflows/{workflow}?wait=10", json=given).json()
        return body

    def asked(self, name: str, kind: str, **given: Any) -> str:
        """The path of the page of a new prompt."""
        body = self.start(name, "ask", {"kind": kind, **given})
        return f"/view/{body['execution_id']}/prompt/{body['interactions'][0]['interaction_id']}"

    def post(self, name: str, path: str, **form: str) -> None:
        reply = self._clients[name].post(path, data=form)
        assert reply.status_code in {200, 303}, reply.text

    def until_ended(self, name: str, path: str) -> str:
        """The path of the execution of a page, once that has ended."""
        execution_id = path.split("/")[2]
        while True:
            status = self._clients[name].get(f"/executions/{execution_id}?wait=10").json()["status"]
            if status in {"completed", "failed", "cancelled"}:
                return f"/view/{execution_id}"

    def until_in(self, path: str, words: str) -> None:
        """Return once an operator finds these words there."""
        deadline = time.monotonic() + PATIENCE
        while words not in self._clients["op"].get(path).text:
            assert time.monotonic() < deadline, words
            time.sleep(0.01)

    # --- Every state ---

    def states(self) -> Iterator[State]:
        """All of them, each to be looked at before the next one is made."""
        yield State("an empty inbox", "grace", "/")
        yield State("nothing needs attention", "op", "/attention")
        for some in (self._questions, self._tickets, self._executions, self._others, self._sign_in):
            yield from some()

    def _tickets(self) -> Iterator[State]:
        for kind in ("text", "form", "long"):
            yield State(f"ticket, {kind}", None, self.ticket(self.asked("ada", kind, assignees=["zoe"])))
        for kind in ("text", "form"):
            wrong = self.ticket(self.asked("ada", kind, assignees=["zoe"]))
            yield State(f"ticket, {kind} with a mistake", None, wrong, _send)
        stale = self.ticket(self.asked("ada", "text", assignees=["zoe"], timeout=1e6))
        yield State("ticket, open for too long", None, stale, _send_what_is_stale)
        taken = self.asked("ada", "text", assignees=["ada", "zoe"])
        self.post("ada", f"/claim{taken}")
        yield State("ticket, taken by somebody else", None, self.ticket(taken))
        voted = self.ticket(self.asked("ada", "radio", assignees=["zoe", "ada"], votes=2))
        yield State("ticket, a vote", None, voted)
        yield State("ticket, voted", None, voted, _choose)
        done = self.ticket(self.asked("ada", "text", assignees=["zoe"]))
        yield State("ticket, answered", None, done, _answer)
        over = self.asked("ada", "text", assignees=["ada", "zoe"])
        self.post("ada", over, text="first")
        yield State("ticket, over", None, self.ticket(over))
        yield State("ticket, of somebody else", "ada", self.ticket(self.asked("ada", "text", assignees=["zoe"])))
        yield State("ticket, cut short", None, "/ticket?ticket=abc")

    def ticket(self, path: str) -> str:
        """The path of the page of Zoe's ticket for a prompt."""
        _, _, execution_id, _, interaction_id = path.split("/")
        return f"/ticket?ticket={self._tickets_of.seal(Ticket(execution_id, interaction_id, 'zoe'))}"

    def _questions(self) -> Iterator[State]:
        for kind in PROMPTS:
            if kind != "nasty_text":
                yield State(kind, "ada", self.asked("ada", kind))
        for kind in ("text", "radio", "form"):
            yield State(f"{kind} with a mistake", "ada", self.asked("ada", kind), _send)
        shared = self.asked("ada", "text", assignees=["ada", "group:finance"])
        yield State("shared", "joan", shared)
        yield State("handing on", "ada", shared, lambda browser: _open(browser, "Hand it on…"))
        yield State("handed to nobody", "ada", shared, lambda browser: _hand(browser, "Hand it on…", "group:"))
        yield State("addressing", "op", shared, lambda browser: _open(browser, "Address it to others…"))
        yield State("addressed to nobody", "op", shared, lambda browser: _hand(browser, "Address it to others…", ""))
        taken = self.asked("ada", "text", assignees=["ada", "group:finance"])
        self.post("joan", f"/claim{taken}")
        yield State("taken", "joan", taken)

        def take_late(browser: Browser) -> None:
            browser.driver.find_element("name", "text").send_keys("half a sentence")
            self.post("joan", f"/claim{late_to_take}")
            browser.driver.execute_script(_SUBMIT, "answering", f"/claim{late_to_take}")
            browser.until("Nothing was changed")

        late_to_take = self.asked("ada", "text", assignees=["ada", "group:finance"])
        yield State("taken while somebody wrote", "ada", late_to_take, take_late)
        begun = self.asked("ada", "text", assignees=["ada", "group:finance"])
        yield State("taken with what was begun", "ada", begun, _take_what_is_begun)
        yield State("taken by somebody else", "ada", taken)
        yield State("theirs", "ada", self.asked("ada", "text", assignees=["grace"], four_eyes=True))
        voted = self.asked("ada", "radio", assignees=["grace", "group:finance", "ada"], votes=2)
        yield State("voting", "ada", voted)
        self.post("joan", voted, option="0", comment="As agreed")
        yield State("voted", "joan", voted)
        yield State("voting, after a vote", "ada", voted)
        decided = self.asked("ada", "radio", assignees=["joan", "ada"], votes=2)
        for voter in ("joan", "ada"):
            self.post(voter, decided, option="0")
        yield State("decided by votes", "ada", decided)
        reminding = self.asked(
            "ada",
            "text",
            assignees=["ada"],
            remind_after=0.05,
            escalate_after=86_400,
            escalate_to=["grace"],
            timeout=1e6,
        )
        yield State("reminding, and escalating later", "ada", reminding)
        answered = self.asked("ada", "radio")
        self.post("ada", answered, option="0", comment="As agreed")
        yield State("answered", "ada", answered)
        withdrawn = self.asked("ada", "text")
        self.post("ada", f"{'/'.join(withdrawn.split('/')[:3])}/cancel", reason="Paid already")
        yield State("withdrawn", "ada", withdrawn)
        late = self.asked("ada", "text", timeout=0.01)
        self._failed = self.until_ended("ada", late)
        yield State("late", "ada", late)
        first = self.asked("ada", "text", assignees=["ada", "grace"])

        def come_second(browser: Browser) -> None:
            field = browser.driver.find_element("name", "text")
            field.send_keys("too late")
            self.post("grace", first, text="first")
            browser.driver.execute_script("document.querySelector('form.answer').submit()")
            browser.until("Your answer was not recorded")

        yield State("somebody else was first", "ada", first, come_second)

        def lose_the_session(browser: Browser) -> None:
            browser.driver.find_element("name", "text").send_keys("half a sentence")
            browser.driver.delete_all_cookies()
            browser.press("Send the answer")
            browser.until("You are signed out, so nothing was recorded")

        yield State("the session has ended", "ada", self.asked("ada", "text"), lose_the_session)

    def _executions(self) -> Iterator[State]:
        told = self.start("ada", "tell")["execution_id"]
        yield State("an execution", "ada", f"/view/{told}")
        untold = self.start("ada", "tell")["execution_id"]
        for execution_id, event in ((told, "notice_delivered"), (untold, "notice_given_up")):
            self.until_in(f"/executions/{execution_id}/history", event)
        yield State("somebody was told", "ada", f"/view/{told}")
        yield State("nobody could be told", "op", f"/view/{untold}")
        yield State("cancelling", "ada", f"/view/{told}", lambda browser: _open(browser, "Cancel the execution…"))
        yield State("failed", "ada", self._failed)
        failed = self.start("ada", "fail")["execution_id"]
        yield State("failed, for an operator", "op", f"/view/{failed}", lambda browser: _open(browser, "Retry…"))
        done = self.asked("ada", "notification")
        self.post("ada", done)
        yield State("completed", "ada", self.until_ended("ada", done))

    def _others(self) -> Iterator[State]:
        yield State("the inbox", "ada", "/")
        yield State("handed on", "ada", "/?done=delegate")
        yield State("nothing of a workflow", "ada", "/?workflow=none")
        yield State("the inbox, of one workflow", "grace", "/?workflow=ask")
        yield State("decided", "ada", "/decided")
        yield State("nothing decided", "op", "/decided")
        self.start("ada", "connect")
        self.until_in("/attention", "410 Gone")
        yield State("attention", "op", "/attention")
        yield State("not found", "ada", "/view/none")
        yield State("no page", "ada", "/nowhere")
        yield State("not allowed", "ada", "/attention")
        gone = self.asked("ada", "notification")
        self.post("ada", gone)
        execution = self.until_ended("ada", gone)
        self._clients["ada"].delete(f"/executions/{execution.split('/')[2]}")
        yield State("no longer here", "ada", execution)

    def _sign_in(self) -> Iterator[State]:
        consent = self.start("ada", "connect")
        yield State("access is needed", "ada", f"/view/{consent['execution_id']}")
        page = consent["auth_url"].removeprefix(self.url)
        yield State("consent", "ada", page)
        yield State("consent refused", "ada", page, _refuse)
        yield State("consent unknown", "ada", "/auth/redirect?state=unknown&code=x")
        yield State("no consent", "ada", "/executions/none/consents/none")
        yield State("sign in", None, "/auth/sign-in")
        yield State("sign in, no token", None, "/auth/sign-in", _wrong_token)
        yield State("the provider is down", None, "/auth/sign-in", _to_a_provider)
        yield State("signed in", "ada", "/auth/sign-in")
        # The last one, because it ends the session.
        yield State("signed out", "grace", "/auth/sign-in", lambda browser: _press(browser, "Sign out", "signed out"))


async def _groups_of(_: str, __: Collection[str]) -> Collection[str]:
    return ()


class Paper:
    """A channel that takes what it is given so often, and then nothing more."""

    def __init__(self, takes: int, failure: DeliveryFailed) -> None:
        self._takes, self._failure = takes, failure

    async def send(self, _: Notice) -> None:
        self._takes -= 1
        if self._takes < 0:
            raise self._failure

    async def close(self) -> None:
        pass


_SUBMIT: Final = "const form = document.getElementById(arguments[0]); form.action = arguments[1]; form.submit()"


def _take_what_is_begun(browser: Browser) -> None:
    browser.driver.find_element("name", "text").send_keys("half a sentence")
    _press(browser, "Take it, so that nobody else answers it", "You have taken this")


def _send_what_is_stale(browser: Browser) -> None:
    browser.driver.execute_script("document.querySelector('[name=proof]').value = ''")
    browser.driver.find_element("name", "text").send_keys("half a sentence")
    _press(browser, "Send the answer", "This page was open for too long")


def _choose(browser: Browser) -> None:
    browser.driver.find_element("css selector", "label[for=option-0]").click()
    _press(browser, "Send the answer", "Your vote is recorded")


def _answer(browser: Browser) -> None:
    browser.driver.find_element("name", "text").send_keys("yes")
    _press(browser, "Send the answer", "Your answer is recorded")


def _send(browser: Browser) -> None:
    _press(browser, "Send the answer", "Your answer was not sent yet")


def _press(browser: Browser, button: str, words: str) -> None:
    browser.press(button)
    browser.until(words)


def _open(browser: Browser, summary: str) -> None:
    browser.driver.find_element("xpath", f"//summary[normalize-space()='{summary}']").click()


def _hand(browser: Browser, summary: str, to: str) -> None:
    _open(browser, summary)
    details = browser.driver.find_element("css selector", "details[open].hand")
    details.find_element("css selector", "[name$=-to]").send_keys(to)
    details.find_element("css selector", "button").click()
    browser.until("Nobody else was asked yet")


def _refuse(browser: Browser) -> None:
    _press(browser, "Refuse", "Access refused")


def _wrong_token(browser: Browser) -> None:
    browser.fill("Token", "rp_nobodys")
    _press(browser, "Sign in", "This token is not known here")


def _to_a_provider(browser: Browser) -> None:
    _press(browser, "Continue with Directory", "does not answer")


class Visitor:
    """Goes through states with a browser."""

    def __init__(self, site: Site, browser: Browser) -> None:
        self._site, self.browser = site, browser

    def visit(self, state: State) -> None:
        """Bring the browser into a state."""
        browser = self.browser
        browser.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
        if state.who is not None:
            cookie = {"name": "restpoint", "value": self._site.cookies[state.who], "url": self._site.url}
            browser.driver.execute_cdp_cmd("Network.setCookie", cookie)
        browser.open(self._site.url + state.path)
        if state.act is not None:
            state.act(browser)

    def scheme(self, name: str | None) -> None:
        """The colours that the person prefers: ``light`` or ``dark``."""
        features = [] if name is None else [{"name": "prefers-color-scheme", "value": name}]
        self.browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


@contextmanager
def site(file: Path) -> Iterator[Site]:
    """A server on a file, with something in every state."""
    tokens = file.parent / "tokens.json"
    bearer_tokens.add(tokens, "somebody")
    routes = file.parent / "routes.toml"
    routes.write_text(ROUTES)
    channels = {
        "paper": Paper(1, DeliveryFailed("No such letter box.", is_final=True)),
        "bell": Paper(0, DeliveryFailed("410 Gone", disables=True)),
    }
    app = create_app(
        [ask, tell, fail, connect], database=file, tokens_file=tokens, providers=PROVIDERS, keys=VAULT, routes=routes,
        channels=channels,
    )  # fmt: skip
    with Serving(app) as server:
        made = Site(server, file.parent)
        try:
            yield made
        finally:
            made.close()
