"""The page on a small company, played by real processes: one refund is told, claimed, reminded of, escalated and answered.

Afterwards every secret that took part in it is looked for wherever something was written or sent.
"""

import json
import re
from asyncio import to_thread
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

import hunt
from chromium import Browser
from mail_server import PASSWORD, MailServer, Received, mail_server, write_certificate
from notices import notices, until
from receivers import Receiver, receiving, says
from served import Served, typed
from support import PATIENCE, rows
from transcripts import DOCS, UUID, Replay, block, blocks, turns

PAGE = DOCS / "how-to" / "company.md"
QUESTION = "Refund 120 EUR to Ada Lovelace?"
CHAT = "canary-of-the-chat-4d1f"
# Beside what the page has: a chat by Apprise, and a workflow whose step fails with a traceback.
MORE_ROUTES = """
[channels.chat]
kind = "apprise"
url_env = "CHAT_URL"

[[routes]]
name = "chat"
channel = "chat"
events = ["execution_failed"]
"""
MORE_FLOWS = """

@workflow
async def breaks(ctx: Context) -> None:
    await ctx.step(broken)

async def broken() -> None:
    raise RuntimeError("the ledger is closed")
"""


@dataclass
class Company:
    """The server of the page, with whom it tells."""

    folder: Path
    server: Served
    mails: MailServer
    ledger: Receiver
    chat: Receiver
    tokens: dict[str, str]
    replies: list[str] = field(default_factory=list)
    """What the server replied, and what commands printed."""

    @property
    def database(self) -> Path:
        return self.folder / "restpoint.db"

    async def ask(self, method: str, path: str, who: str | None = "sam", **more: Any) -> httpx.Response:
        headers = {} if who is None else {"authorization": f"Bearer {self.tokens[who]}"}
        async with httpx.AsyncClient(base_url=self.server.url, timeout=PATIENCE, headers=headers) as client:
            reply = await client.request(method, path, **more)
        shown = f"{reply.headers}\n{reply.text}"
        self.replies.append(shown.replace(path.partition("?ticket=")[2] or "\0", ""))  # its own page has it
        return reply

    async def start(self, seconds: float) -> str:
        """A refund that finance is reminded of after so many seconds, and that escalates after as many more."""
        order = {"customer": "Ada Lovelace", "amount": 120, "days": seconds / 86_400}
        reply = await self.ask("POST", "/v1/workflows/refund", json=order)
        assert reply.status_code == 202, reply.text
        return str(reply.json()["execution_id"])

    async def events(self, execution_id: str) -> list[str]:
        reply = await self.ask("GET", f"/executions/{execution_id}/history")
        return [item["event"] for item in reply.json()["items"]]

    def mails_of(self, execution_id: str, heading: str) -> dict[str, Received]:
        """Who got a mail with this heading about the execution."""
        return {
            mail.recipient.partition("@")[0]: mail
            for mail in self.mails.mails
            if str(mail.message["Subject"]).strip() == f"{heading}: refund ({execution_id})"
        }

    def hooks_of(self, execution_id: str) -> list[str]:
        """What the ledger heard of the execution, each request verified as a receiver does it."""
        webhook = Webhook((self.folder / "ledger.secret").read_text().strip())
        heard = [webhook.verify(request.body.decode(), request.headers) for request in self.ledger.requests]
        return list(dict.fromkeys(str(each["type"]) for each in heard if each["subject"] == execution_id))


@asynccontextmanager
async def company_in(folder: Path) -> AsyncIterator[Company]:
    """Set it up, with the files and the commands of the page."""
    async with AsyncExitStack() as stack:
        certificate = write_certificate(folder / "server.pem")
        mails = await stack.enter_async_context(mail_server(certificate=certificate, auth=True))
        ledger = await stack.enter_async_context(receiving())
        chat = await stack.enter_async_context(receiving(says(500), says(204)))  # it fails once
        ports = {"port = 2525": f"port = {mails.port}", ":9000": f":{ledger.port}"}
        routes = block(PAGE, "company routes")
        for shown, real in ports.items():
            assert shown in routes
            routes = routes.replace(shown, real)
        (folder / "routes.toml").write_text(routes + MORE_ROUTES)
        (folder / "company.py").write_text(block(PAGE, "company.py") + MORE_FLOWS)
        secrets = {"SMTP_PASSWORD": PASSWORD, "CHAT_URL": f"json://user:{CHAT}@127.0.0.1:{chat.port}/{CHAT}"}
        tokens = {}
        for who, rights in (("sam", ()), ("anna", ("--group", "finance")), ("rita", ("--role", "reader"))):
            made = typed("tokens", "add", who, *rights, "--tokens-file", "tokens.json", cwd=folder)
            tokens[who] = made.stdout.strip()
        printed = []
        for command in (("keygen", "ledger.secret"), ("check", "--routes", "routes.toml")):
            done = typed("routes", *command, cwd=folder, **secrets)
            assert done.returncode == 0, done.stderr
            printed += [done.stdout, done.stderr]
        options = ("--tokens-file", "tokens.json", "--routes", "routes.toml", "--database", "restpoint.db")
        logs = ("--log-level", "debug", "--log-format", "json")
        server = await to_thread(Served, "company.py", folder, *options, *logs, **secrets)
        stack.push_async_callback(to_thread, server.kill)
        yield Company(folder, server, mails, ledger, chat, tokens, printed)


async def claimed_and_reminded(company: Company, browser: Browser, seconds: float) -> str | None:
    """Finance is asked, Anna takes the question, and is reminded. None where the machine was too slow for these seconds."""

    def take() -> None:
        browser.open(company.server.url)
        browser.press(QUESTION)
        browser.press("Take it, so that nobody else answers it")
        browser.until("You have taken this")
        browser.open("about:blank")

    execution_id = await company.start(seconds)
    asked = "A question for you"
    await until(lambda: set(company.mails_of(execution_id, asked)) == {"anna", "ben"})
    await to_thread(take)
    bens = await company.ask("GET", company.mails_of(execution_id, asked)["ben"].links[0], None)
    if "interaction_reminded" not in await company.events(execution_id):
        assert "Taken by <bdi>anna</bdi>" in bens.text
        reminder, escalation = "A question still waits for you", "A question is yours now"
        await until(
            lambda: bool(company.mails_of(execution_id, reminder) or company.mails_of(execution_id, escalation))
        )
        if company.mails_of(execution_id, reminder):
            assert set(company.mails_of(execution_id, reminder)) == {"anna"}
            return execution_id
    await company.ask("POST", f"/executions/{execution_id}/cancel")
    return None


async def walk(company: Company, browser: Browser) -> str:
    """What the page tells, from the start of the refund to the mail about its end. Returns the id."""

    def sign_in() -> None:
        browser.open(company.server.url)
        browser.fill("Token", company.tokens["anna"])
        browser.press("Sign in")
        browser.until("Nothing waits for you")
        (cookie,) = browser.driver.get_cookies()
        company.tokens["session"] = str(cookie["value"])

    def answer(link: str) -> None:
        browser.open(link)
        browser.until("You answer as")
        browser.press("Yes, send it")
        browser.until("Your answer is recorded")

    await to_thread(sign_in)
    for seconds in (2, 8, 32):
        if (execution_id := await claimed_and_reminded(company, browser, seconds)) is not None:
            break
    else:
        pytest.fail("The machine is too slow for half a minute.")

    await until(lambda: bool(company.mails_of(execution_id, "A question is yours now")))
    (link,) = company.mails_of(execution_id, "A question is yours now")["grace"].links
    asked = company.mails_of(execution_id, "A question for you")
    for method in ("GET", "HEAD") * 5:  # what looks into mails
        assert (await company.ask(method, link, None)).status_code == 200
    for name in ("anna", "ben"):
        assert (await company.ask("GET", asked[name].links[0], None)).status_code == 410
    browser.forget()
    await to_thread(answer, link)

    ended = (await company.ask("GET", f"/executions/{execution_id}?wait=30")).json()
    assert (ended["status"], ended["result"]) == ("completed", "Yes, send it: 120 EUR to Ada Lovelace")
    await until(lambda: set(company.mails_of(execution_id, "Execution completed")) == {"sam"})
    heard = ["restpoint.interaction_asked", "restpoint.interaction_answered", "restpoint.execution_completed"]
    await until(lambda: sorted(company.hooks_of(execution_id)) == sorted(heard))
    await until(lambda: "pending" not in notices(company.database), lambda: str(notices(company.database)))
    return execution_id


def alike(text: str) -> list[str]:
    """The lines of a table without their numbers and without an order: people are told in no order of their own."""
    return sorted(re.sub(r"\s+", " ", re.sub(r"\d+", "0", line)).strip() for line in text.strip().splitlines())


def look_up(company: Company, execution_id: str, since: str) -> None:
    """What the auditor asks is answered as the page shows."""
    variables = {"RESTPOINT_URL": company.server.url, "RESTPOINT_TOKEN": company.tokens["rita"]}
    with Replay(company.folder) as shell:
        shell.variables |= {**variables, "COLUMNS": "200"}
        for command, wanted in turns("".join(each.text for each in blocks(PAGE) if each.marker == "company report")):
            of_this, shown = (re.sub(UUID, execution_id, each) for each in (command, wanted))
            printed = shell.run(f"{of_this} --from {since}" if "--workflow" in command else of_this)
            company.replies.append(printed)
            assert alike(printed) == alike(shown), f"$ {command}\nprinted:\n{printed}\nand the page shows:\n{shown}"


async def everything_else(company: Company, execution_id: str) -> None:
    """A failure with a traceback, told by a chat; all that can be asked of the server and the file; a copy; and a kill."""
    failed = (await company.ask("POST", "/v1/workflows/breaks?wait=30")).json()
    assert failed["code"] == "step_failed", failed
    refused = "SELECT id FROM outbox WHERE route = 'chat' AND problem IS NOT NULL"
    await until(lambda: bool(rows(company.database, refused)))
    ((notice,),) = rows(company.database, refused)
    done = await to_thread(typed, "outbox", "retry", notice, cwd=company.folder)
    company.replies += [done.stdout, done.stderr]
    await until(lambda: "pending" not in notices(company.database))
    assert len(company.chat.requests) == 2
    for path in ("/executions", "/outbox", "/routes", "/audit/query", "/audit/report/told", "/metrics", "/attention"):
        assert (await company.ask("GET", path, "rita")).status_code == 200, path
    for each in (execution_id, failed["execution_id"]):
        for path in (f"/executions/{each}", f"/executions/{each}/events", f"/view/{each}", f"/audit/timeline/{each}"):
            assert (await company.ask("GET", path, "rita")).status_code == 200, path
    for command in (
        ("db", "backup", "copy.sqlite"), ("db", "check"), ("audit", "export", "--out", "history.jsonl"),
        ("outbox", "list", "-o", "json"), ("routes", "list"), ("show", failed["execution_id"]), ("keys", "list"),
    ):  # fmt: skip
        done = await to_thread(typed, *command, cwd=company.folder)
        company.replies += [done.stdout, done.stderr]
        assert done.returncode == 0, (command, done.stderr)
    await to_thread(company.server.kill)


def where_secrets_are(company: Company) -> dict[str, list[str]]:
    """Every secret of the run, by where it was found."""
    key = str(json.loads((company.folder / "restpoint.db.keys").read_text())["keys"][0]["key"])
    shared = (company.folder / "ledger.secret").read_text().strip()
    tickets = {mail.links[0].partition("?ticket=")[2] for mail in company.mails.mails if "?ticket=" in mail.links[0]}
    assert len(tickets) >= 4
    secrets = [PASSWORD, CHAT, key.rstrip("="), shared.removeprefix("whsec_"), *tickets, *company.tokens.values()]
    places = hunt.files_of(company.folder) | {"the log": "".join(company.server.said).encode()}
    assert {"restpoint.db", "restpoint.db-wal", "copy.sqlite", "tokens.json"} <= set(places)
    places["replies"] = "\n".join(company.replies).encode()
    for number, request in enumerate(company.ledger.requests):
        places[f"webhook {number}"] = request.head + request.body
    places["chat"] = b"".join(request.body for request in company.chat.requests)
    for number, mail in enumerate(company.mails.mails):
        own = mail.links[0].partition("?ticket=")[2]
        decoded = f"{mail.message.items()}\n{mail.text}\n{mail.html}".replace(own or "\0", "")
        places[f"mail {number}"] = decoded.encode()
    return hunt.found(places, secrets)


@pytest.mark.browser
@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # Apprise
async def test_a_refund_is_told_from_the_question_to_the_report_and_no_secret_gets_out(
    tmp_path: Path, browser: Browser
) -> None:
    folder = tmp_path / "company"
    folder.mkdir()
    async with company_in(folder) as company:
        execution_id = await walk(company, browser)
        created_at = (await company.ask("GET", f"/executions/{execution_id}")).json()["created_at"]
        since = datetime.fromtimestamp(created_at, UTC).isoformat(timespec="milliseconds")
        await to_thread(look_up, company, execution_id, since)
        await everything_else(company, execution_id)
    assert any("the ledger is closed" in line for line in company.server.said if '"exception"' in line)
    assert set(where_secrets_are(company)) == {"ledger.secret", "restpoint.db.keys"}, where_secrets_are(company)
    assert not any("ticket" in request.referer for request in browser.sent())
