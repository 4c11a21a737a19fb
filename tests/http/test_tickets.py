"""The page of a ticket: who answers by it, what ends it, and that nothing but its own form answers."""

import logging
import re
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from people import PROMPTS, ask, by_cookie
from restpoint import ExecutionStore, Runner
from restpoint._core.clock import Clock
from restpoint.access import Actor
from restpoint.errors import ExecutionNotFound
from restpoint.http.app import asgi_app
from restpoint.notify.tickets import Ticket, Tickets
from restpoint.oauth.keyring import KeyText, Vault, as_text, new_key
from serving import served
from support import ManualClock, dump, rows

HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]+)">')


@dataclass
class Office:
    """A server whose tickets are known, and its file."""

    client: httpx.AsyncClient
    store: ExecutionStore
    runner: Runner
    tickets: Tickets
    path: Path
    groups: dict[str, set[str]] = field(default_factory=dict)

    async def asked(self, kind: str = "text", owner: str = "ada", **given: Any) -> tuple[str, str]:
        """The ids of a prompt of a new execution."""
        record = (await self.runner.start("ask", {"kind": kind, **given}, owner=owner)).record
        while not record.pending_interactions:
            await record.changed()
        return record.execution_id, record.pending_interactions[0].interaction_id

    def link(self, ids: tuple[str, str], person: str) -> str:
        return f"/ticket?ticket={self.tickets.seal(Ticket(*ids, person))}"

    async def form(self, link: str) -> dict[str, str]:
        """The hidden fields of the form of a page."""
        return dict(HIDDEN.findall((await self.client.get(link)).text))

    async def answer(self, link: str, **sent: str) -> httpx.Response:
        """What comes of the form of a page, filled in."""
        return await self.client.post("/ticket", data={**await self.form(link), **sent})

    def answers(self) -> list[tuple[str | None, str]]:
        """Who answered, and the detail that the history has."""
        return rows(self.path, "SELECT actor, detail FROM history WHERE event = 'interaction_answered'")


@asynccontextmanager
async def office_at(path: Path, clock: Clock | None = None) -> AsyncIterator[Office]:
    groups: dict[str, set[str]] = {"finance": {"ben", "joan"}}

    async def groups_of(person: str, among: Collection[str]) -> Collection[str]:
        return [group for group in among if person in groups.get(group, ())]

    tickets = Tickets(Vault(KeyText(as_text(new_key()))), "https://approvals.example", groups_of)
    async with ExecutionStore(database=path, clock=clock) as store, Runner(store, [ask]) as runner:
        app = asgi_app(store, runner, pages=True, tickets=tickets, authenticate=by_cookie)
        async with served(app) as client:
            yield Office(client, store, runner, tickets, path, groups)


@pytest_asyncio.fixture
async def office(file: Path) -> AsyncIterator[Office]:
    async with office_at(file) as running:
        yield running


async def test_whoever_has_a_ticket_sees_the_question_and_answers_it(office: Office) -> None:
    ids = await office.asked(assignees=["anna"])
    link = office.link(ids, "anna")
    page = await office.client.get(link)
    assert page.status_code == 200
    assert "What shall we tell her?" in page.text
    assert "set-cookie" not in page.headers
    reply = await office.answer(link, text="Yes, today", comment="By ticket")
    assert reply.status_code == 303
    after = await office.client.get(f"/ticket{reply.headers['location']}")
    assert "Your answer is recorded" in after.text
    assert "What shall we tell her?" not in after.text
    ((actor, detail),) = office.answers()
    assert actor == "anna"
    assert '"authority":"assignee"' in detail
    assert '"known_by":"ticket"' in detail


@pytest.mark.parametrize("kind", [kind for kind in PROMPTS if kind != "form"])
async def test_each_kind_has_its_form(office: Office, kind: str) -> None:
    link = office.link(await office.asked(kind, assignees=["anna"]), "anna")
    reply = await office.answer(link, text="Well", option="0")
    assert reply.status_code == 303


async def test_a_wrong_answer_is_shown_again_with_what_is_wrong(office: Office) -> None:
    link = office.link(await office.asked("form", assignees=["anna"]), "anna")
    reply = await office.answer(link, action="submit", **{"content.amount": "lots", "content.note": "kept"})
    assert reply.status_code == 422
    assert "Your answer was not sent yet" in reply.text
    assert "kept" in reply.text
    assert office.answers() == []
    again = dict(HIDDEN.findall(reply.text))
    sent = {**again, "action": "submit", "content.amount": "12", "content.way": "bank", "content.urgent": "yes"}
    assert (await office.client.post("/ticket", data=sent)).status_code == 303


async def test_a_scanner_that_fetches_every_link_changes_nothing(office: Office) -> None:
    ids = await office.asked(assignees=["anna"])
    link = office.link(ids, "anna")
    before = dump(office.path)
    for _ in range(5):
        for method in ("GET", "HEAD"):
            reply = await office.client.request(method, link, headers={"user-agent": "scanner"})
            assert reply.status_code == 200
            assert "set-cookie" not in reply.headers
    for method in ("PUT", "DELETE", "PATCH"):
        assert (await office.client.request(method, link)).status_code == 405
    assert dump(office.path) == before
    assert (await office.answer(link, text="Yes")).status_code == 303


async def test_a_page_leaves_no_trace_elsewhere(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    ids = await office.asked(assignees=["anna"])
    link = office.link(ids, "anna")
    replies = [await office.client.get(link), await office.answer(link), await office.answer(link, text="Yes")]
    replies += [await office.client.get(link), await office.client.get("/ticket?ticket=x")]
    for reply in replies:
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["x-robots-tag"].startswith("noindex")
        assert "set-cookie" not in reply.headers
        assert "frame-ancestors 'none'" in reply.headers.get("content-security-policy", "frame-ancestors 'none'")
        assert reply.headers["referrer-policy"] == "no-referrer"
    ours = "\n".join(str(vars(each)) for each in caplog.records if each.name.startswith("restpoint"))
    assert office.tickets.seal(Ticket(*ids, "anna"))[:40] not in ours
    assert link.partition("=")[2] not in ours
    assert not [line for line in dump(office.path) if link.partition("=")[2] in line]


async def test_without_the_proof_of_the_page_nothing_is_answered(office: Office) -> None:
    ids, others = await office.asked(assignees=["anna"]), await office.asked(assignees=["anna"])
    link = office.link(ids, "anna")
    form, other = await office.form(link), await office.form(office.link(others, "anna"))
    bens = await office.form(office.link(await office.asked(assignees=["ben"]), "ben"))
    for proof in ("", "x", form["ticket"], other["proof"], bens["proof"]):
        reply = await office.client.post("/ticket", data={"ticket": form["ticket"], "proof": proof, "text": "kept"})
        assert reply.status_code == 403
        assert "This page was open for too long" in reply.text
        assert "kept" in reply.text
    assert office.answers() == []
    assert (await office.client.post("/ticket", data={**form, "text": "Yes"})).status_code == 303


async def test_a_page_of_another_site_answers_nothing(office: Office) -> None:
    form = await office.form(office.link(await office.asked(assignees=["anna"]), "anna"))
    for site in ("cross-site", "same-site"):
        headers = {"sec-fetch-site": site, "origin": "https://evil.example"}
        reply = await office.client.post("/ticket", data={**form, "text": "Yes"}, headers=headers)
        assert reply.status_code == 403
    assert office.answers() == []


@pytest.mark.parametrize("ticket", ["", "x", "a.b", "20260101-aaaaaaaa.AAAA", "é", "%00", "x" * 10_000])
async def test_what_is_no_ticket_is_not_found(office: Office, ticket: str) -> None:
    assert (await office.client.get("/ticket", params={"ticket": ticket})).status_code == 404
    assert (await office.client.post("/ticket", data={"ticket": ticket})).status_code == 404


async def test_the_ticket_of_another_server_is_not_found(office: Office) -> None:
    ids = await office.asked(assignees=["anna"])
    another = Tickets(Vault(KeyText(as_text(new_key()))), None, office.tickets._groups_of)
    reply = await office.client.get(f"/ticket?ticket={another.seal(Ticket(*ids, 'anna'))}")
    assert reply.status_code == 404
    assert "What shall we tell her?" not in reply.text


async def test_whoever_is_signed_in_under_another_name_does_not_use_a_forwarded_link(office: Office) -> None:
    link = office.link(await office.asked(assignees=["anna"]), "anna")
    form = await office.form(link)
    cookie = {"cookie": "user=grace"}
    for reply in (
        await office.client.get(link, headers=cookie),
        await office.client.post("/ticket", data={**form, "text": "Yes"}, headers=cookie),
    ):
        assert reply.status_code == 403
        assert "What shall we tell her?" not in reply.text
    assert office.answers() == []


async def test_a_ticket_gives_no_way_in_to_anything_else(office: Office) -> None:
    ids = await office.asked(assignees=["anna"])
    ticket = office.link(ids, "anna").partition("?")[2]
    for path in ("/", "/decided", f"/view/{ids[0]}", f"/view/{ids[0]}/prompt/{ids[1]}", f"/executions/{ids[0]}"):
        assert (await office.client.get(f"{path}?{ticket}")).status_code in {400, 401}


# --- What ends a ticket ----------------------------------------------------------------------------------------------


async def dead(office: Office, link: str, form: dict[str, str], words: str) -> None:
    """Whether a link shows nothing of its question any more, and answers nothing."""
    before = office.answers()
    for reply in (
        await office.client.get(link),
        await office.client.post("/ticket", data={**form, "text": "My words"}),
    ):
        assert reply.status_code == 410, reply.text
        assert words in reply.text
        assert "What shall we tell her?" not in reply.text
        assert "<form" not in reply.text
    assert "My words" in reply.text
    assert office.answers() == before


async def test_a_ticket_ends_with_the_answer_of_somebody_else(office: Office) -> None:
    ids = await office.asked(assignees=["anna", "grace"])
    link = office.link(ids, "anna")
    form = await office.form(link)
    await office.answer(office.link(ids, "grace"), text="No")
    await dead(office, link, form, "Somebody else has answered this question.")


async def test_a_ticket_ends_when_the_question_is_withdrawn_or_the_execution_cancelled(office: Office) -> None:
    ids = await office.asked(assignees=["anna"])
    link = office.link(ids, "anna")
    form = await office.form(link)
    await office.store.cancel(ids[0])
    await dead(office, link, form, "The workflow does not need an answer any more.")


async def test_a_ticket_ends_with_the_deadline(file: Path, clock: ManualClock) -> None:
    async with office_at(file, clock) as office:
        ids = await office.asked(assignees=["anna"], timeout=3_600)
        link = office.link(ids, "anna")
        form = await office.form(link)
        record = await office.store.get(ids[0])
        clock.step(3_601)
        while record is not None and record.pending_interactions:
            await record.changed()
        await dead(office, link, form, "The time for an answer is over.")


async def test_a_ticket_ends_when_the_question_is_handed_to_others(office: Office) -> None:
    ids = await office.asked(assignees=["anna"])
    link = office.link(ids, "anna")
    form = await office.form(link)
    await office.store.address_interaction(*ids, ["grace"])
    await dead(office, link, form, "This question is not put to you, or not any more.")
    await office.store.address_interaction(*ids, ["anna"])
    assert (await office.answer(link, text="Mine again")).status_code == 303


async def test_a_ticket_by_a_group_ends_when_its_person_leaves_the_group(office: Office) -> None:
    ids = await office.asked(assignees=["group:finance"])
    link = office.link(ids, "ben")
    form = await office.form(link)
    office.groups["finance"].remove("ben")
    await dead(office, link, form, "This question is not put to you, or not any more.")
    office.groups["finance"].add("ben")
    assert (await office.answer(link, text="Here again")).status_code == 303
    ((_, detail),) = office.answers()
    assert '"authority":"group:finance"' in detail
    assert '"groups":["finance"]' in detail


async def test_a_ticket_ends_with_its_execution(office: Office) -> None:
    ids = await office.asked(assignees=["anna"])
    link = office.link(ids, "anna")
    form = await office.form(link)
    await office.store.cancel(ids[0])
    record = await office.store.get(ids[0])
    del record
    await office.store.remove(ids[0])
    with pytest.raises(ExecutionNotFound):
        await office.store.asked(*ids)
    await dead(office, link, form, "not put to you")


# --- The rules of answering hold -------------------------------------------------------------------------------------


async def test_four_eyes_hold_for_the_owner_with_a_ticket(office: Office) -> None:
    ids = await office.asked(assignees=["ada", "anna"], four_eyes=True)
    reply = await office.client.get(office.link(ids, "ada"))
    assert reply.status_code == 410
    assert "<form" not in reply.text
    form = await office.form(office.link(ids, "anna"))
    mixed = {**form, "ticket": office.tickets.seal(Ticket(*ids, "ada")), "text": "Yes"}
    assert (await office.client.post("/ticket", data=mixed)).status_code in {403, 410}
    assert office.answers() == []


async def test_a_vote_by_ticket_is_given_once_and_the_others_still_vote(office: Office) -> None:
    ids = await office.asked("binary_choice", assignees=["anna", "grace", "zoe"], votes=2)
    annas = office.link(ids, "anna")
    form = await office.form(annas)
    assert (await office.answer(annas, option="0")).status_code == 303
    page = await office.client.get(annas)
    assert "Your vote is recorded" in page.text
    assert "<form" not in page.text
    assert (await office.client.post("/ticket", data={**form, "option": "1"})).status_code == 409
    assert office.answers() == []
    assert "2 equal votes answer it" in (await office.client.get(office.link(ids, "grace"))).text
    assert (await office.answer(office.link(ids, "grace"), option="0")).status_code == 303
    for name, words in (("anna", "recorded"), ("grace", "recorded"), ("zoe", "Answered already")):
        assert words in (await office.client.get(office.link(ids, name))).text
    assert len(office.answers()) == 1
    voted = rows(office.path, "SELECT actor, detail FROM history WHERE event = 'interaction_voted'")
    assert {actor for actor, _ in voted} >= {"anna"}
    assert all('"known_by":"ticket"' in detail for _, detail in voted)


async def test_a_claim_of_somebody_else_holds(office: Office) -> None:
    ids = await office.asked(assignees=["anna", "grace"])
    link = office.link(ids, "anna")
    form = await office.form(link)
    await office.store.claim_interaction(*ids, actor=Actor("grace"))
    page = await office.client.get(link)
    assert "Taken by" in page.text
    assert "<form" not in page.text
    reply = await office.client.post("/ticket", data={**form, "text": "My words"})
    assert reply.status_code == 409
    assert "My words" in reply.text
    assert office.answers() == []
    await office.store.release_interaction(*ids, anyone=True)
    assert (await office.answer(link, text="Yes")).status_code == 303


async def test_an_operator_has_no_more_rights_by_a_ticket_than_anybody(office: Office) -> None:
    ids = await office.asked(assignees=["anna"])
    assert (await office.client.get(office.link(ids, "op"))).status_code == 410


async def test_the_same_answer_again_is_taken_and_another_is_not(office: Office) -> None:
    ids = await office.asked(assignees=["anna"])
    link = office.link(ids, "anna")
    form = await office.form(link)
    assert [(await office.client.post("/ticket", data={**form, "text": "Yes"})).status_code for _ in range(2)] == [
        303
    ] * 2
    reply = await office.client.post("/ticket", data={**form, "text": "No, wait"})
    assert reply.status_code == 409
    assert "You answered this before" in reply.text
    assert "No, wait" in reply.text
    assert len(office.answers()) == 1


async def test_a_server_without_tickets_has_no_such_page(file: Path) -> None:
    async with ExecutionStore(database=file) as store, Runner(store, [ask]) as runner:
        app = asgi_app(store, runner, pages=True, authenticate=by_cookie)
        async with served(app) as client:
            assert (await client.get("/ticket")).status_code == 404
