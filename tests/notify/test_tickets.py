"""Tickets: what they say, and that nobody but this server makes or alters one."""

from collections.abc import Collection
from dataclasses import replace

import pytest

from restpoint.events import EventKind
from restpoint.notify.notices import Notice, Recipient
from restpoint.notify.tickets import PROOF_SECONDS, Ticket, Tickets
from restpoint.notify.wording import sample
from restpoint.oauth.keyring import KeyText, Vault, as_text, new_key

TICKET = Ticket("an execution\nwith a line", "a prompt", "anna ü")
FINANCE = {"ben"}


async def groups_of(person: str, groups: Collection[str]) -> Collection[str]:
    return [group for group in groups if group == "finance" and person in FINANCE]


def tickets_of(*keys: str, base: str | None = "https://approvals.example/app/") -> Tickets:
    return Tickets(Vault(KeyText(" ".join(keys))), base, groups_of)


@pytest.fixture
def key() -> str:
    return as_text(new_key())


def notice_for(person: str, assignees: tuple[str, ...] = ("anna", "group:finance"), **more: object) -> Notice:
    made = replace(sample(EventKind.INTERACTION_ASKED), is_sample=False, assignees=assignees)
    return replace(made, recipient=Recipient(name=person, address="x@example.com"), **more)  # type: ignore[arg-type]


def test_a_ticket_says_its_prompt_and_its_person(key: str) -> None:
    tickets = tickets_of(key)
    text = tickets.seal(TICKET)
    assert tickets.read(text) == TICKET
    assert text.isascii()
    for name in (TICKET.execution_id, TICKET.interaction_id, "anna"):
        assert name not in text


def test_an_altered_ticket_is_none(key: str) -> None:
    tickets = tickets_of(key)
    text = tickets.seal(TICKET)
    for place in range(len(text)):
        for other in ("A", "B"):
            altered = f"{text[:place]}{other}{text[place + 1 :]}"
            if altered != text and place != len(text) - 1:  # whose last bits base64 ignores
                assert tickets.read(altered) is None
    for wrong in ("", "x", text[:-5], f"{text}AAAA", "é", "a" * 10_000, text.partition(".")[2]):
        assert tickets.read(wrong) is None


def test_nothing_else_that_this_server_seals_is_a_ticket(key: str) -> None:
    tickets, vault = tickets_of(key), Vault(KeyText(key))
    assert tickets.read(tickets.proof(TICKET, 1_000)) is None
    assert tickets.read(vault.seal_token('["a","b","c"]', "ticket", "a", "b")) is None
    assert not tickets.is_proof(tickets.seal(TICKET), TICKET, 1_000)


def test_a_ticket_outlives_a_rotation_of_the_keys_until_its_key_is_gone(key: str) -> None:
    text, newer = tickets_of(key).seal(TICKET), as_text(new_key())
    assert tickets_of(newer, key).read(text) == TICKET
    assert tickets_of(newer).read(text) is None


@pytest.mark.parametrize(
    ("later", "counts"), [(0, True), (PROOF_SECONDS, True), (PROOF_SECONDS + 1, False), (-60, False)]
)
def test_a_proof_counts_for_half_a_day(key: str, later: float, counts: bool) -> None:
    tickets = tickets_of(key)
    assert tickets.is_proof(tickets.proof(TICKET, 1_000_000.0), TICKET, 1_000_000.0 + later) is counts


@pytest.mark.parametrize("other", ["execution_id", "interaction_id", "person"])
def test_the_proof_of_another_prompt_or_person_is_none(key: str, other: str) -> None:
    tickets = tickets_of(key)
    assert not tickets.is_proof(tickets.proof(replace(TICKET, **{other: "another"}), 1_000), TICKET, 1_000)


@pytest.mark.parametrize(
    ("person", "assignees", "has_one"),
    [
        ("anna", ("anna", "group:finance"), True), ("ben", ("anna", "group:finance"), True), ("zoe", ("anna",), False),
        ("ben", ("group:legal",), False), ("ada", (), True), ("anna", (), False), ("ada", ("anna",), False),
        ("group:finance", ("group:finance",), False),
    ],
)  # fmt: skip
async def test_only_who_is_asked_gets_a_link_with_a_ticket(
    key: str, person: str, assignees: tuple[str, ...], has_one: bool
) -> None:
    link = await tickets_of(key).url(notice_for(person, assignees))
    assert (link is not None) is has_one
    assert link is None or link.startswith("https://approvals.example/app/ticket?ticket=")


async def test_what_is_no_open_question_and_what_has_no_public_address_has_no_ticket(key: str) -> None:
    tickets = tickets_of(key)
    for event in (EventKind.INTERACTION_ANSWERED, EventKind.INTERACTION_WITHDRAWN, EventKind.EXECUTION_COMPLETED):
        assert await tickets.url(notice_for("anna", event=event)) is None
    assert await tickets_of(key, base=None).url(notice_for("anna")) is None


async def test_the_person_of_a_ticket_has_no_role_and_only_the_groups_that_are_asked(key: str) -> None:
    tickets = tickets_of(key)
    actor = await tickets.actor(replace(TICKET, person="ben"), ["group:finance", "group:legal", "anna"])
    assert actor is not None
    assert (actor.id, actor.groups, actor.roles, actor.known_by) == (
        *("ben", frozenset({"finance"}), frozenset[str](), "ticket"),
    )
    assert await tickets.actor(replace(TICKET, person="group:finance"), []) is None
