"""Prompts that several people vote on: one vote of each, an answer by equal votes, and what the store holds whoever asks."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from restpoint import ExecutionStore
from restpoint.access import Actor
from restpoint.errors import (
    AlreadyVoted,
    ExecutionNotFound,
    FourEyes,
    InteractionAlreadyResolved,
    InteractionExpired,
    InteractionWithdrawn,
    InvalidArgument,
    NotAllowed,
    SamePerson,
    VoterUnknown,
)
from restpoint.prompts import (
    HumanPromptBinary,
    HumanPromptCheckbox,
    HumanPromptForm,
    HumanResponseBinary,
    HumanResponseCheckbox,
    HumanResponseForm,
)
from restpoint.service import Service
from support import CALL, MAIL, NO, TEXT, YES, ManualClock, rows

PAY = HumanPromptBinary(text="Pay?", options=[YES, NO])
PAY_YES, PAY_NO = HumanResponseBinary(selected_option=YES), HumanResponseBinary(selected_option=NO)
PEOPLE = ["ada", "eve", "joe"]


async def asked(
    store: ExecutionStore, votes: int = 2, prompt: Any = PAY, owner: str | None = "olga", **terms: Any
) -> tuple[str, str]:
    record = await store.create_execution(owner=owner)
    terms.setdefault("assignees", PEOPLE)
    pending = await store.set_interaction_required(record.execution_id, prompt, votes=votes, **terms)
    return record.execution_id, pending.interaction_id


async def vote(store: ExecutionStore, ids: tuple[str, str], actor: Any, response: Any = PAY_YES) -> None:
    await store.resolve_interaction(*ids, response, actor=actor)


async def status(store: ExecutionStore, ids: tuple[str, str]) -> str:
    return (await store.asked(*ids)).status


def events(path: Path) -> list[tuple[Any, ...]]:
    query = "SELECT substr(event, 13), actor, cause FROM history WHERE event LIKE 'interaction%' ORDER BY sequence"
    return rows(path, query)[1:]


async def test_the_first_answer_that_enough_people_gave_is_the_answer(store: ExecutionStore, path: Path) -> None:
    ids = await asked(store)
    record = await store.get(ids[0])
    assert record is not None
    future = record.pending_interactions[0].future
    await vote(store, ids, "ada", HumanResponseBinary(selected_option=YES, comment="Of course."))
    await vote(store, ids, "joe", PAY_NO)
    pending = record.pending_interactions[0]
    assert (pending.votes, pending.voted, future.done()) == (2, ("ada", "joe"), False)
    await vote(store, ids, "eve")
    assert await future == PAY_YES  # without anybody's comment
    assert record.status == "running"
    assert events(path) == [
        ("voted", "ada", None),
        ("voted", "joe", None),
        ("voted", "eve", None),
        ("answered", None, "votes"),
    ]
    kept = await store.asked(*ids)
    assert (kept.status, kept.answered_by, kept.response) == ("answered", None, PAY_YES.model_dump(mode="json"))
    assert [(each.voter, each.response["selected_option"]["id"]) for each in kept.voted if each.response] == [
        ("ada", "yes"), ("joe", "no"), ("eve", "yes"),
    ]  # fmt: skip
    assert kept.voted[0].response is not None
    assert kept.voted[0].response["comment"] == "Of course."
    with pytest.raises(InteractionAlreadyResolved):
        await vote(store, ids, "zoe")


async def test_the_same_vote_again_is_a_success_also_later_and_another_one_is_refused(
    store: ExecutionStore, path: Path, clock: ManualClock
) -> None:
    ids = await asked(store)
    at = clock.now()
    await vote(store, ids, "ada")
    clock.step(5)
    await vote(store, ids, "ada")
    for other in (PAY_NO, HumanResponseBinary(selected_option=YES, comment="After all")):
        with pytest.raises(AlreadyVoted) as raised:
            await vote(store, ids, "ada", other)
        assert raised.value.voted_at == at
    assert events(path) == [("voted", "ada", None)]
    await vote(store, ids, "eve")
    for who in ("ada", "eve"):
        await vote(store, ids, who)
        with pytest.raises(InteractionAlreadyResolved):
            await vote(store, ids, who, PAY_NO)
    assert len(events(path)) == 3


@pytest.mark.parametrize(
    ("prompt", "one", "other"),
    [
        (
            HumanPromptCheckbox(text="How?", options=[MAIL, CALL]),
            HumanResponseCheckbox(selected_options=[CALL, MAIL]),
            {"type": "checkbox", "selected_options": ["mail", {"id": "call", "label": "Ring", "value": "call"}]},
        ),
        (
            HumanPromptForm(
                text="How much?",
                requested_schema={  # type: ignore[arg-type] # JSON
                    "type": "object",
                    "properties": {
                        "sum": {"type": "number"},
                        "ways": {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}},
                    },
                },
            ),
            HumanResponseForm(content={"sum": 5, "ways": ["b", "a"]}, comment="x"),
            HumanResponseForm(content={"ways": ["a", "b"], "sum": 5.0}),
        ),
        (TEXT, {"type": "text", "text": "4711"}, {"type": "text", "text": "4711", "comment": "Typed twice"}),
    ],
)
async def test_answers_are_equal_however_they_are_written(
    store: ExecutionStore, prompt: Any, one: Any, other: Any
) -> None:
    ids = await asked(store, prompt=prompt)
    await vote(store, ids, "ada", one)
    await vote(store, ids, "eve", other)
    assert await status(store, ids) == "answered"


async def test_where_no_answer_can_get_enough_votes_the_deadline_is_at_once(store: ExecutionStore, path: Path) -> None:
    raised, failing = await asked(store, 3), await asked(store, 3, on_deadline="fail", timeout=90)
    defaulted = await asked(store, 3, default=PAY_NO, timeout=90)
    futures = []
    for ids in (raised, failing, defaulted):
        record = await store.get(ids[0])
        assert record is not None
        futures.append(record.pending_interactions[0].future)
        await vote(store, ids, "ada")
        assert await status(store, ids) == "pending"
        await vote(store, ids, "eve", PAY_NO)
    with pytest.raises(InteractionExpired):
        await futures[0]
    record = await store.get(failing[0])
    assert record is not None
    assert (record.status, record.error_code) == ("failed", "undecided")
    assert await futures[2] == PAY_NO
    assert [each for each in events(path) if each[0] in {"expired", "answered"}] == [
        ("expired", None, "undecided"), ("expired", None, "undecided"), ("answered", None, "undecided"),
    ]  # fmt: skip
    with pytest.raises(InteractionExpired):
        await vote(store, raised, "joe")


async def test_with_a_group_among_those_asked_it_stays_open_until_enough_agree(store: ExecutionStore) -> None:
    ids = await asked(store, assignees=["group:board", "ada"])
    for number, response in enumerate((PAY_YES, PAY_NO)):
        await vote(store, ids, f"member {number}", response)
    assert await status(store, ids) == "pending"
    await vote(store, ids, "ada", PAY_NO)
    assert (await store.asked(*ids)).response == PAY_NO.model_dump(mode="json")


async def test_votes_that_are_in_do_not_stop_the_deadline(store: ExecutionStore, clock: ManualClock) -> None:
    expiring, defaulted = await asked(store, timeout=5), await asked(store, timeout=5, default=PAY_NO)
    records = []
    for ids in (expiring, defaulted):
        await vote(store, ids, "ada")
        records.append(await store.get(ids[0]))
    clock.step(6)
    with pytest.raises(InteractionExpired):  # also before anything has noticed the deadline
        await vote(store, expiring, "eve")
    for record in records:
        assert record is not None
        while record.pending_interactions:
            await record.changed()
    assert await status(store, expiring) == "expired"
    kept = await store.asked(*defaulted)
    assert (kept.response, [each.voter for each in kept.voted]) == (PAY_NO.model_dump(mode="json"), ["ada"])


async def test_what_is_withdrawn_takes_no_votes_and_keeps_those_that_it_has(store: ExecutionStore) -> None:
    ids = await asked(store)
    await vote(store, ids, "ada")
    await store.withdraw(*ids)
    with pytest.raises(InteractionWithdrawn):
        await vote(store, ids, "eve")
    await vote(store, ids, "ada")  # again: it was accepted
    assert [each.voter for each in (await store.asked(*ids)).voted] == ["ada"]


@pytest.mark.parametrize("actor", [None, "local"])
async def test_a_vote_needs_a_name_that_tells_people_apart(store: ExecutionStore, actor: Any) -> None:
    ids = await asked(store)
    with pytest.raises(VoterUnknown, match="takes one vote of each person"):
        await vote(store, ids, actor)


async def test_nobody_claims_a_prompt_that_takes_votes(store: ExecutionStore) -> None:
    ids = await asked(store)
    with pytest.raises(NotAllowed, match="takes votes"):
        await store.claim_interaction(*ids, actor="ada")
    await store.release_interaction(*ids, actor="ada")  # there is none: nothing happens


@pytest.mark.parametrize("votes", [0, -1, 1_001, True, 2.0, "2"])
async def test_so_many_votes_are_none(store: ExecutionStore, votes: Any) -> None:
    with pytest.raises(InvalidArgument, match="votes"):
        await asked(store, votes)


@pytest.mark.parametrize(
    "terms",
    [
        {"assignees": None},
        {"assignees": ["ada"]},
        {"assignees": ["ada", "ada"]},
        {"assignees": ["ada", "local"]},
        {"assignees": ["ada", "olga"], "four_eyes": True},
    ],
)
async def test_more_votes_than_there_are_people_are_refused(store: ExecutionStore, terms: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match="name"):
        await asked(store, **terms)
    assert (await store.list()).items[0].status == "running"


async def test_one_vote_is_an_answer(store: ExecutionStore) -> None:
    ids = await asked(store, 1, assignees=["ada"])
    await vote(store, ids, "ada")
    kept = await store.asked(*ids)
    assert (kept.votes, kept.voted, kept.answered_by) == (None, (), "ada")


async def test_under_four_eyes_the_owner_has_no_vote(store: ExecutionStore) -> None:
    ids = await asked(store, assignees=["olga", "ada", "eve"], four_eyes=True)
    with pytest.raises(FourEyes):
        await vote(store, ids, "olga")
    await vote(store, ids, "ada")
    assert await status(store, ids) == "pending"
    await vote(store, ids, "eve", PAY_NO)  # nobody is left
    assert await status(store, ids) == "expired"


async def test_whoever_voted_is_among_those_whom_other_than_keeps_out(store: ExecutionStore) -> None:
    ids = await asked(store)
    for who in ("ada", "eve"):
        await vote(store, ids, who)
    second = await store.set_interaction_required(ids[0], PAY, assignees=["group:all"], other_than=ids[1], votes=2)
    for who in ("ada", "eve"):
        with pytest.raises(SamePerson):
            await vote(store, (ids[0], second.interaction_id), who)
    for who in ("joe", "zoe"):
        await vote(store, (ids[0], second.interaction_id), who)
    assert await second.future == PAY_YES


# --- Handing on ------------------------------------------------------------------------------------------------------


async def test_a_place_is_handed_on_until_its_holder_has_voted(store: ExecutionStore) -> None:
    service, ids = Service(store), await asked(store)
    await service.delegate(Actor("joe"), *ids, "zoe")
    await vote(store, ids, "ada")
    with pytest.raises(AlreadyVoted):
        await service.delegate(Actor("ada"), *ids, "pat")
    with pytest.raises(InvalidArgument, match="no answer can get so many"):  # Ada has voted no more than once
        await store.address_interaction(*ids, ["ada"])
    await store.address_interaction(*ids, ["ada", "pat"])
    with pytest.raises(ExecutionNotFound):
        await service.answer(Actor("eve"), *ids, PAY_YES)
    await service.answer(Actor("pat"), *ids, PAY_YES)
    assert (await store.asked(*ids)).response == PAY_YES.model_dump(mode="json")


async def test_a_vote_stays_although_the_prompt_is_addressed_to_others(store: ExecutionStore) -> None:
    ids = await asked(store)
    await vote(store, ids, "ada")
    await store.address_interaction(*ids, ["pat", "zoe"])
    await vote(store, ids, "pat")
    assert await status(store, ids) == "answered"


@pytest.mark.parametrize(
    ("terms", "to"),
    [({"four_eyes": True}, ["olga"]), ({"four_eyes": True}, ["olga", "local"]), ({"other_than": "first"}, ["ada"])],
)
async def test_a_prompt_is_not_handed_on_to_those_alone_who_must_not_answer_it(
    store: ExecutionStore, terms: dict[str, Any], to: list[str]
) -> None:
    record = await store.create_execution(owner="olga")
    first = await store.set_interaction_required(record.execution_id, TEXT, "first", assignees=["ada"])
    await store.resolve_interaction(record.execution_id, "first", {"type": "text", "text": "x"}, actor="ada")
    assert await first.future is not None
    pending = await store.set_interaction_required(record.execution_id, PAY, assignees=["eve"], **terms)
    ids = record.execution_id, pending.interaction_id
    with pytest.raises(InvalidArgument, match="None of these people may answer"):
        await store.address_interaction(*ids, to)
    with pytest.raises(InvalidArgument, match="None of these people may answer"):
        await Service(store).delegate(Actor("eve"), *ids, to[0])
    await store.address_interaction(*ids, [*to, "pat"])


# --- Who sees it ------------------------------------------------------------------------------------------------------


async def test_whoever_has_voted_has_it_among_the_decided_and_not_in_the_inbox(store: ExecutionStore) -> None:
    service, ids = Service(store), await asked(store, assignees=["group:board", "ada"])
    member = Actor("mia", groups=frozenset({"board"}))
    operator = Actor("op", roles=frozenset({"operator"}))
    others = await asked(store, 1, assignees=["group:board"])
    await service.answer(member, *ids, PAY_YES)
    inboxes = [
        [item.interaction_id for item in (await service.inbox(who)).items] for who in (member, Actor("ada"), operator)
    ]
    assert inboxes == [[others[1]], [ids[1]], [ids[1], others[1]]]
    assert (await service.inbox(Actor("ada"))).items[0].voted == ("mia",)
    assert [each.interaction_id for each in await service.answered(member)] == [ids[1]]
    view = await service.status(member, ids[0])
    assert (view.answerable, view.prompts[0].voted) == (frozenset(), ("mia",))


async def test_who_voted_is_seen_by_those_asked_and_what_only_by_themselves_and_the_owner(
    store: ExecutionStore,
) -> None:
    service, ids = Service(store), await asked(store, 3, assignees=[*PEOPLE, "pat"])
    for who in ("ada", "eve"):
        await vote(store, ids, who)
    seen = {}
    for who in ("ada", "joe", "olga"):
        kept = await service.asked(Actor(who), *ids)
        seen[who] = [(each.voter, each.response is not None) for each in kept.voted]
    assert seen == {
        "ada": [("ada", True), ("eve", False)],
        "joe": [("ada", False), ("eve", False)],
        "olga": [("ada", True), ("eve", True)],
    }
    await vote(store, ids, "pat")
    assert [(await service.asked(Actor(who), *ids)).response is not None for who in ("ada", "olga")] == [True, True]
    assert (await service.answered(Actor("ada")))[0].voted[1].response is None
    assert (await service.status(Actor("ada"), ids[0])).record.execution_id == ids[0]  # also afterwards
    assert [each.execution_id for each in (await service.list(Actor("eve"))).items] == [ids[0]]


async def test_a_vote_is_seen_by_another_process_and_by_who_polls(
    store: ExecutionStore, path: Path, clock: ManualClock
) -> None:
    ids = await asked(store)
    async with ExecutionStore(database=path, clock=clock) as other:
        service = Service(other)
        seen = await service.status(Actor("ada"), ids[0])
        future = seen.prompts[0].future
        await vote(store, ids, "ada")
        after = await service.wait_for_change(Actor("ada"), seen)
        assert (after.answerable, after.prompts[0].voted) == (frozenset(), ("ada",))
        await vote(other, ids, "eve")
        assert await future == PAY_YES


async def test_of_two_votes_at_the_same_instant_both_count(
    store: ExecutionStore, path: Path, clock: ManualClock
) -> None:
    async with ExecutionStore(database=path, clock=clock) as other:
        for needed in (2, 3):
            ids = await asked(store, needed, assignees=["group:board"])
            voting = [vote(each, ids, f"{n}{name}") for n in range(2) for each, name in ((store, "a"), (other, "b"))]
            outcomes = await asyncio.gather(*voting, return_exceptions=True)
            refused = [each for each in outcomes if each is not None]
            assert len(refused) == 4 - needed
            assert all(isinstance(each, InteractionAlreadyResolved) for each in refused)
            assert (await store.asked(*ids)).status == "answered"
            assert len((await store.asked(*ids)).voted) == needed


async def test_of_two_different_votes_of_one_person_at_the_same_instant_one_counts(
    store: ExecutionStore, path: Path, clock: ManualClock
) -> None:
    async with ExecutionStore(database=path, clock=clock) as other:
        ids = await asked(store)
        both = (vote(store, ids, "ada"), vote(other, ids, "ada", PAY_NO))
        outcomes = await asyncio.gather(*both, return_exceptions=True)
        assert [type(each) for each in outcomes if each is not None] == [AlreadyVoted]
        assert len((await store.asked(*ids)).voted) == 1
