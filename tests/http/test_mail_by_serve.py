"""People are told by mail of what `restpoint serve --routes` asks, and answer by the link of the mail."""

import asyncio
import json
import re
from asyncio import to_thread
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from selenium.webdriver.common.by import By

from barriers import Barriers
from chromium import Browser
from mail_server import PASSWORD, USER, MailServer, Received, mail_server, write_certificate
from notices import until
from served import Served
from support import PATIENCE, dump, rows

QUESTION = "canary-question-77 is due. Pay it?"
INPUT = "canary-input-78"
TARGET = f'''
from restpoint import Context, workflow
from restpoint.prompts import BinaryHumanPromptOption, HumanPromptBinary, HumanPromptText

@workflow
async def refund(ctx: Context, given: dict) -> str:
    answer = await ctx.ask(HumanPromptText(text="{QUESTION}"), assignees=given["assignees"])
    return answer.text
'''
ROUTES = """
[people.anna]
mail = "anna@example.com"
[people.ben]
mail = "ben@example.com"

[groups]
finance = ["ben"]

[channels.post]
kind = "mail"
host = "localhost"
port = {port}
security = "starttls"
ca_file = "server.pem"
username = "{user}"
password_env = "MAIL_PASSWORD"
sender = "approvals@example.com"

[[routes]]
name = "questions"
channel = "post"
tickets = {tickets}
[[routes]]
name = "ends"
channel = "post"
events = ["execution_completed"]
to = ["anna"]
"""
HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]+)">')


@dataclass
class Office:
    """A served file, and the mail server that its people are told by."""

    server: Served
    mails: MailServer
    client: httpx.AsyncClient
    folder: Path

    async def asked(self, *assignees: str) -> str:
        """The id of a new execution that asks these."""
        given = {"assignees": list(assignees), "note": INPUT}
        reply = await self.client.post("/v1/workflows/refund", json=given)
        assert reply.status_code == 202, reply.text
        return str(reply.json()["execution_id"])

    def link(self, mail: Received) -> str:
        (link,) = mail.links
        return link.removeprefix(self.server.url)

    async def fill(self, link: str, **sent: str) -> httpx.Response:
        form = dict(HIDDEN.findall((await self.client.get(link)).text))
        return await self.client.post("/ticket", data={**form, **sent})


@asynccontextmanager
async def office_in(folder: Path, *, tickets: bool = True) -> AsyncIterator[Office]:
    certificate = write_certificate(folder / "server.pem")
    (folder / "target.py").write_text(TARGET)
    async with asyncio.timeout(PATIENCE), mail_server(certificate=certificate, auth=True) as mails:
        routes = ROUTES.format(port=mails.port, user=USER, tickets=str(tickets).lower())
        (folder / "routes.toml").write_text(routes)
        options = ("--routes", "routes.toml", "--database", "app.db", "--log-level", "debug")
        server = await to_thread(Served, "target.py", folder, *options, MAIL_PASSWORD=PASSWORD)
        try:
            async with httpx.AsyncClient(base_url=server.url, timeout=PATIENCE) as client:
                yield Office(server, mails, client, folder)
        finally:
            await to_thread(server.end)
            await to_thread(server.kill)


def of(mails: list[Received]) -> dict[str, Received]:
    return {mail.recipient.partition("@")[0]: mail for mail in mails}


async def test_each_person_gets_a_link_of_their_own_and_one_of_them_answers(tmp_path: Path) -> None:
    async with office_in(tmp_path) as office:
        execution_id = await office.asked("anna", "group:finance")
        mails = of(await office.mails.mail(2))
        assert set(mails) == {"anna", "ben"}
        links = {name: office.link(mail) for name, mail in mails.items()}
        assert links["anna"] != links["ben"]
        for mail in mails.values():
            assert mail.is_encrypted
            assert mail.user == USER
            assert QUESTION in mail.text
            assert mail.message["Subject"].strip() == f"A question for you: refund ({execution_id})"
        delivered = "SELECT count(*) FROM outbox WHERE status = 'delivered'"
        await until(lambda: rows(tmp_path / "app.db", delivered) == [(2,)])
        for _ in range(5):  # a scanner, before anybody reads the mail
            for link in links.values():
                for method in ("GET", "HEAD"):
                    assert (await office.client.request(method, link)).status_code == 200
        assert (await office.client.get(f"/executions/{execution_id}")).json()["status"] == "interaction_required"

        crossed = dict(HIDDEN.findall((await office.client.get(links["anna"])).text))
        crossed["ticket"] = links["ben"].partition("=")[2]
        assert (await office.client.post("/ticket", data={**crossed, "text": "No"})).status_code == 403
        opened = "SELECT actor FROM history WHERE event = 'notice_opened'"
        assert rows(tmp_path / "app.db", opened) == [], "a scanner, or a form of another link, opens nothing"
        assert (await office.fill(links["ben"], text="")).status_code == 422
        assert (await office.fill(links["ben"], text="Yes")).status_code == 303
        assert rows(tmp_path / "app.db", opened) == [("ben",)]
        assert (await office.client.get(links["anna"])).status_code == 410

        done = (await office.mails.mail(3))[-1]
        assert done.recipient == "anna@example.com"
        assert done.message["References"] == mails["anna"].message["References"]
        assert "ticket" not in done.text
        ((actor, detail),) = rows(
            tmp_path / "app.db", "SELECT actor, detail FROM history WHERE event = 'interaction_answered'"
        )
        assert actor == "ben"
        told = json.loads(detail)
        assert (told["authority"], told["known_by"], told["groups"]) == ("group:finance", "ticket", ["finance"])
    everything = "".join(office.server.said) + "\n".join(dump(tmp_path / "app.db"))
    for secret in (PASSWORD, *(link.partition("=")[2] for link in links.values())):
        assert secret not in everything
    assert QUESTION not in "".join(office.server.said)
    for mail in office.mails.mails:
        assert INPUT not in mail.raw.decode()
        assert INPUT not in mail.text + mail.html
        assert QUESTION not in str(mail.message.items())
    assert QUESTION not in done.text + done.html


async def test_without_tickets_the_link_is_that_of_the_page_for_whoever_signs_in(tmp_path: Path) -> None:
    async with office_in(tmp_path, tickets=False) as office:
        execution_id = await office.asked("anna")
        (mail,) = await office.mails.mail()
        assert office.link(mail).startswith(f"/view/{execution_id}/prompt/")
        assert (await office.client.get("/ticket?ticket=x")).status_code == 404
        assert not (tmp_path / "app.db.keys").exists()
        warning = f"with links to {office.server.url}: name the URL that they reach this server at, with --public-url"
        assert sum(warning in line for line in office.server.said) == 1


async def test_a_mail_server_that_was_away_is_tried_again(tmp_path: Path) -> None:
    async with office_in(tmp_path) as office:
        office.mails.replies["RCPT"] = "451 4.7.1 Come back later"
        await office.asked("anna")
        failed = "SELECT 1 FROM outbox WHERE problem LIKE '%451 4.7.1%'"
        await until(lambda: bool(rows(tmp_path / "app.db", failed)))
        assert office.mails.mails == []
        del office.mails.replies["RCPT"]
        (notice,) = rows(tmp_path / "app.db", "SELECT id FROM outbox WHERE recipient = 'anna'")[0]
        assert (await office.client.post(f"/outbox/{notice}/retry")).status_code == 204
        (mail,) = await office.mails.mail()
        assert mail.recipient == "anna@example.com"


async def test_what_a_mail_server_refuses_is_given_up_for_that_person_only(tmp_path: Path) -> None:
    async with office_in(tmp_path) as office:
        office.mails.replies["anna@example.com"] = "550 5.1.1 No such user"
        await office.asked("anna", "ben")
        (mail,) = await office.mails.mail()
        assert mail.recipient == "ben@example.com"
        query = "SELECT recipient, status FROM outbox WHERE recipient IS NOT NULL ORDER BY recipient"
        await until(lambda: rows(tmp_path / "app.db", query) == [("anna", "given_up"), ("ben", "delivered")])


# --- In a browser ----------------------------------------------------------------------------------------------------


@pytest.mark.browser
async def test_somebody_without_an_account_answers_from_the_mail(tmp_path: Path, browser: Browser) -> None:
    barriers = Barriers(browser)

    def walk(anna: str, ben: str) -> None:
        with barriers.on_a_telephone():
            browser.open(anna)
            browser.until("You answer as")
            barriers.look("a ticket")
            browser.press("Send the answer")
            browser.until("Your answer was not sent yet")
            barriers.look("a ticket with a mistake")
            browser.driver.find_element(By.CSS_SELECTOR, "textarea[name=text]").send_keys("Yes, pay it")
            browser.press("Send the answer")
            browser.until("Your answer is recorded")
            barriers.look("a ticket after the answer")
            browser.open(ben)
            browser.until("Answered already")
            barriers.look("a ticket that does not count any more")
            browser.open(f"{anna}x")
            browser.until("This link does not work")
            barriers.look("no ticket")

    async with office_in(tmp_path) as office:
        execution_id = await office.asked("anna", "ben")
        links = {name: mail.links[0] for name, mail in of(await office.mails.mail(2)).items()}
        for _ in range(5):
            for link in links.values():
                assert (await office.client.head(link)).status_code == 200
                assert (await office.client.get(link)).status_code == 200
        browser.forget()
        await to_thread(walk, links["anna"], links["ben"])
        reply = (await office.client.get(f"/executions/{execution_id}?wait=30")).json()
        assert (reply["status"], reply["result"]) == ("completed", "Yes, pay it")
    assert barriers.found == []
    assert browser.outside() == []
    assert browser.complaints() == []
    assert browser.driver.get_cookies() == []
    tickets = [link.partition("=")[2] for link in links.values()]
    for request in browser.sent():
        assert not any(ticket in request.referer for ticket in tickets)


@pytest.mark.browser
async def test_the_html_of_a_mail_has_no_barrier_and_loads_nothing(tmp_path: Path, browser: Browser) -> None:
    barriers = Barriers(browser)

    def walk(pages: list[Path]) -> None:
        with barriers.on_a_telephone():
            for page in pages:
                browser.open(page.as_uri())
                browser.until("refund")
                barriers.look(page.name)

    async with office_in(tmp_path) as office:
        await office.asked("anna")
        question = (await office.mails.mail())[0]
        await office.fill(office.link(question), text="Yes")
        mails = await office.mails.mail(2)
    pages = []
    for number, mail in enumerate(mails):
        page = tmp_path / f"mail-{number}.html"
        page.write_text(mail.html)
        pages.append(page)
    browser.forget()
    await to_thread(walk, pages)
    assert barriers.found == []
    assert browser.sent() == []
    assert browser.complaints() == []
