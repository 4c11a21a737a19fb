"""Claims, handing on, and who must not answer: what the store holds whatever interface asks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from restpoint import ExecutionStore
from restpoint.access import Actor, Policy, Question
from restpoint.errors import (
    FourEyes,
    InteractionAlreadyResolved,
    InteractionClaimed,
    InteractionExpired,
    InteractionNotFound,
    InteractionWithdrawn,
    InvalidArgument,
    NotAllowed,
    SamePerson,
)
from restpoint.service import Service
from support import ADA, GRACE, TEXT, ManualClock, rows

JOAN, ZOE = Actor("joan", groups=frozenset({"finance"})), Actor("zoe", groups=frozenset({"finance"}))
OPERATOR = Actor("op", roles=frozenset({"operator"}))


async def asked(store: ExecutionStore, owner: str | None = "ada", **terms: Any) -> tuple[str, str]:
    record = await store.create_execution(owner=owner)
    return record.execution_id, (
        await store.set_interaction_required(record.execution_id, TEXT, **terms)
    ).interaction_id


def events(path: Path) -> list[tuple[Any, ...]]:
    return rows(path, "SELECT event, actor FROM history WHERE event LIKE 'interaction%' ORDER BY sequence")


async def test_while_somebody_has_claimed_a_prompt_nobody_else_answers_it(
    store: ExecutionStore, path: Path, clock: ManualClock
) -> None:
    ids = await asked(store, assignees=["group:finance"])
    await store.claim_interaction(*ids, actor=JOAN)
    await store.claim_interaction(*ids, actor="joan")  # again: nothing happens
    since = clock.now()
    clock.step(5)
    for refused in (
        store.resolve_interaction(*ids, ADA, actor="zoe"),
        store.resolve_interaction(*ids, ADA),
        store.claim_interaction(*ids, actor="zoe"),
        store.release_interaction(*ids, actor="zoe"),
    ):
        with pytest.raises(InteractionClaimed) as raised:
            await refused
        assert (raised.value.claimed_by, raised.value.claimed_at) == ("joan", since)
    record = await store.get(ids[0])
    assert record is not None
    assert (record.status, record.pending_interactions[0].claimed_by) == ("interaction_required", "joan")
    await store.resolve_interaction(*ids, ADA, actor="joan")
    assert events(path) == [
        ("interaction_asked", None),
        ("interaction_claimed", "joan"),
        ("interaction_answered", "joan"),
    ]


async def test_a_claim_ends_when_it_is_released_and_by_an_operator(store: ExecutionStore, path: Path) -> None:
    ids = await asked(store, assignees=["group:finance"])
    await store.release_interaction(*ids, actor="joan")  # none: nothing happens
    await store.claim_interaction(*ids, actor="joan")
    await store.release_interaction(*ids, actor="joan")
    await store.claim_interaction(*ids, actor="zoe")
    await store.release_interaction(*ids, "on holiday", anyone=True, actor="op")
    await store.resolve_interaction(*ids, ADA, actor="joan")
    assert [each[0] for each in events(path)][1:] == [
        "interaction_claimed", "interaction_released", "interaction_claimed", "interaction_released", "interaction_answered",
    ]  # fmt: skip


async def test_a_claimed_prompt_is_still_answered_by_its_default_and_withdrawn(
    store: ExecutionStore, clock: ManualClock
) -> None:
    defaulted, withdrawn = await asked(store, timeout=5, default=ADA), await asked(store)
    for ids in (defaulted, withdrawn):
        await store.claim_interaction(*ids, actor="joan")
    record = await store.get(defaulted[0])
    assert record is not None
    future = record.pending_interactions[0].future
    clock.step(6)
    assert await future == ADA
    await store.cancel(withdrawn[0])


@pytest.mark.parametrize(
    "close",
    [
        lambda store, ids: store.resolve_interaction(*ids, ADA, actor="grace"),
        lambda store, ids: store.withdraw(*ids),
    ],
)
async def test_what_is_not_open_any_more_is_neither_claimed_nor_handed_on(
    store: ExecutionStore, close: Callable[[ExecutionStore, tuple[str, str]], Any]
) -> None:
    ids = await asked(store)
    await close(store, ids)
    for refused in (
        store.claim_interaction(*ids, actor="joan"),
        store.release_interaction(*ids, actor="joan"),
        store.address_interaction(*ids, ["joan"]),
    ):
        with pytest.raises((InteractionAlreadyResolved, InteractionWithdrawn)):
            await refused
    with pytest.raises(InteractionNotFound):
        await store.claim_interaction(ids[0], "none", actor="joan")


async def test_after_the_deadline_nothing_is_claimed(store: ExecutionStore, clock: ManualClock) -> None:
    ids = await asked(store, timeout=5)
    clock.step(6)
    with pytest.raises(InteractionExpired):
        await store.claim_interaction(*ids, actor="joan")


@pytest.mark.parametrize("assignees", [[], "joan", ["group:"], ["joan", " "], [""]])
async def test_a_prompt_is_not_addressed_to_nobody(store: ExecutionStore, assignees: Any) -> None:
    ids = await asked(store)
    with pytest.raises(InvalidArgument):
        await store.address_interaction(*ids, assignees)


async def test_a_claim_is_seen_by_another_process_and_by_who_polls(
    store: ExecutionStore, path: Path, clock: ManualClock
) -> None:
    ids = await asked(store, assignees=["joan", "zoe"])
    async with ExecutionStore(database=path, clock=clock) as other:
        service = Service(other)
        seen = await service.status(ZOE, ids[0])
        assert seen.answerable == {ids[1]}
        await store.claim_interaction(*ids, actor="joan")
        after = await service.wait_for_change(ZOE, seen)
        assert (after.answerable, after.prompts[0].claimed_by) == (frozenset(), "joan")
        await other.address_interaction(*ids, ["zoe"])
        record = await store.get(ids[0])
        assert record is not None
        pending = record.pending_interactions[0]
        assert (pending.assignees, pending.claimed_by) == (("zoe",), None)


# --- Handing on ------------------------------------------------------------------------------------------------------


async def test_whoever_a_prompt_is_addressed_to_hands_it_on_in_their_own_place(
    store: ExecutionStore, path: Path
) -> None:
    service = Service(store)
    ids = await asked(store, assignees=["joan", "group:legal"])
    await service.claim(JOAN, *ids)
    await service.delegate(JOAN, *ids, "grace", "Your customer")
    question = await store.address(*ids)
    assert question.assignees == ("grace", "group:legal")
    with pytest.raises(NotAllowed):  # it is not theirs any more
        await service.delegate(OPERATOR, *ids, "x")
    await service.answer(Actor("grace"), *ids, ADA)
    assert rows(path, "SELECT actor, cause, json_extract(detail, '$.assignees') FROM history WHERE event = ?",
                "interaction_delegated") == [("joan", "Your customer", '["grace","group:legal"]')]  # fmt: skip


async def test_an_owner_hands_on_what_is_addressed_to_nobody_and_a_group_what_is_the_groups(
    store: ExecutionStore,
) -> None:
    service = Service(store)
    own, groups = await asked(store), await asked(store, assignees=["group:finance", "grace"])
    await service.delegate(Actor("ada"), *own, "group:legal")
    await service.delegate(JOAN, *groups, "grace")
    assert (await store.address(*own)).assignees == ("group:legal",)
    assert (await store.address(*groups)).assignees == ("grace",)


async def test_a_process_that_has_not_heard_that_a_prompt_was_handed_on_goes_by_the_file(
    store: ExecutionStore, path: Path, clock: ManualClock
) -> None:
    ids = await asked(store, assignees=["joan"])
    record = await store.get(ids[0])
    assert record is not None
    assert record.address(ids[1]) is not None
    service = Service(store)
    async with ExecutionStore(database=path, clock=clock) as other:
        stale = await store.address(*ids)
        await other.address_interaction(*ids, ["grace"])

        async def as_known(*_: str, as_stored: bool = False) -> Question:
            return await ExecutionStore.address(store, *ids, as_stored=True) if as_stored else stale

        store.address = as_known  # type: ignore[assignment,method-assign]
        with pytest.raises((InteractionNotFound, NotAllowed, KeyError)):
            await service.answer(JOAN, *ids, ADA)
        assert (await store.get(ids[0])).status == "interaction_required"  # type: ignore[union-attr]
        await service.answer(Actor("grace"), *ids, GRACE)


async def test_only_operators_reassign_which_ends_the_claim_of_anyone(store: ExecutionStore) -> None:
    service = Service(store)
    ids = await asked(store, assignees=["joan", "zoe"])
    await service.claim(JOAN, *ids)
    for actor in (JOAN, ZOE, Actor("ada")):
        with pytest.raises(NotAllowed):
            await service.reassign(actor, *ids, ["grace"])
    with pytest.raises(InteractionClaimed):
        await service.delegate(ZOE, *ids, "grace")
    await service.reassign(OPERATOR, *ids, ["grace", "zoe"], "on holiday")
    await service.claim(ZOE, *ids)
    await service.answer(ZOE, *ids, ADA)


# --- Who must not answer ---------------------------------------------------------------------------------------------


async def test_who_answered_the_other_prompt_does_not_answer_this_one_by_any_door(store: ExecutionStore) -> None:
    execution_id, first = await asked(store, assignees=["group:finance"])
    service = Service(store)
    await service.answer(JOAN, execution_id, first, ADA)
    second = (
        await store.set_interaction_required(execution_id, TEXT, assignees=["group:finance"], other_than=[first])
    ).interaction_id
    boss = Actor("joan", groups=frozenset({"finance"}), roles=frozenset({"operator"}))
    for refused in (
        service.answer(boss, execution_id, second, ADA),
        service.claim(JOAN, execution_id, second),
        service.delegate(JOAN, execution_id, second, "grace"),
        store.resolve_interaction(execution_id, second, ADA, actor="joan"),
        store.resolve_interaction(execution_id, second, ADA),
        store.resolve_interaction(execution_id, second, ADA, actor="local"),
        store.claim_interaction(execution_id, second, actor="joan"),
    ):
        with pytest.raises(SamePerson):
            await refused
    assert (await service.inbox(JOAN)).items == ()
    assert [item.interaction_id for item in (await service.inbox(ZOE)).items] == [second]
    await service.answer(ZOE, execution_id, second, ADA)


async def test_an_answer_of_nobody_known_keeps_nobody_from_answering_and_one_of_anybody_everybody(
    store: ExecutionStore,
) -> None:
    for actor, may in ((None, True), ("local", False)):
        execution_id, first = await asked(store)
        await store.resolve_interaction(execution_id, first, ADA, actor=actor)
        second = await store.set_interaction_required(execution_id, TEXT, other_than=first)
        answering = store.resolve_interaction(execution_id, second.interaction_id, ADA, actor="joan")
        if may:
            await answering
        else:
            with pytest.raises(SamePerson):
                await answering


async def test_other_than_names_a_prompt_of_the_execution_that_has_an_answer(store: ExecutionStore) -> None:
    execution_id, first = await asked(store)
    for other_than, refusal in ((first, InvalidArgument), ("none", InteractionNotFound), ([], InvalidArgument)):
        with pytest.raises(refusal):
            await store.set_interaction_required(execution_id, TEXT, other_than=other_than)
    record = await store.get(execution_id)
    assert record is not None
    assert len(record.pending_interactions) == 1


# --- What stays visible ----------------------------------------------------------------------------------------------


async def test_what_somebody_answered_stays_visible_to_them_and_to_nobody_else_of_the_group(
    store: ExecutionStore,
) -> None:
    service = Service(store)
    ids = await asked(store, assignees=["group:finance"])
    await service.answer(JOAN, *ids, ADA)
    await store.set_completed(ids[0], "done")
    assert (await service.status(JOAN, ids[0])).record.result == "done"
    assert [item.execution_id for item in (await service.list(JOAN)).items] == [ids[0]]
    for filters in ({"status": "completed"}, {"workflow": None}, {"owner": "ada"}):
        assert len((await service.list(JOAN, **filters)).items) == 1
    with pytest.raises(KeyError):
        await service.status(ZOE, ids[0])
    assert (await service.list(ZOE)).items == ()
    with pytest.raises(KeyError):  # its history is not theirs
        await service.history(JOAN, ids[0])


async def test_an_inbox_has_what_the_policy_allows_and_whole_pages_of_it(store: ExecutionStore) -> None:
    class Even(Policy):
        def may_answer(self, actor: Actor, prompt: Question) -> bool:
            return super().may_answer(actor, prompt) and prompt.owner is not None and int(prompt.owner) % 2 == 0

    for number in range(20):
        await asked(store, str(number), assignees=["joan"])
    service = Service(store, policy=Even())
    page = await service.inbox(JOAN, limit=4)
    assert [item.owner for item in page.items] == ["0", "2", "4", "6"]
    page = await service.inbox(JOAN, limit=50, cursor=page.next_cursor)
    assert [item.owner for item in page.items] == ["8", "10", "12", "14", "16", "18"]
    assert page.next_cursor is None


async def test_with_four_eyes_the_owner_neither_claims_nor_finds_it_in_the_inbox(store: ExecutionStore) -> None:
    service = Service(store)
    ids = await asked(store, assignees=["ada", "joan"], four_eyes=True)
    assert (await service.inbox(Actor("ada"))).items == ()
    with pytest.raises(FourEyes):
        await service.claim(Actor("ada"), *ids)
    with pytest.raises(FourEyes):
        await store.claim_interaction(*ids, actor="ada")
    await service.claim(JOAN, *ids)
