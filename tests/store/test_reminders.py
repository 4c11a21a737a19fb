"""Reminders and escalation: each is done once, when it is due, of prompts that are open, whichever process does it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from restpoint import ExecutionStore
from restpoint._core.reminders import Reminders
from restpoint.access import Actor
from restpoint.errors import FourEyes, InteractionClaimed, InvalidArgument, NotJSON, SamePerson
from restpoint.service import Service
from second_process import WatchedClock
from support import ADA, START, TEXT, ManualClock, broken_history, dump, eventually, file_of, rows, sql

DAY = 86_400
LAST = "last"
"""The workflow of an execution that is reminded after all others."""
TOLD = "('interaction_reminded', 'interaction_escalated', 'interaction_not_escalated')"


async def asked(store: ExecutionStore, owner: str | None = "ada", **terms: Any) -> tuple[str, str]:
    record = await store.create_execution(owner=owner)
    return record.execution_id, (
        await store.set_interaction_required(record.execution_id, TEXT, **terms)
    ).interaction_id


def told(path: Path) -> list[tuple[str, float, str]]:
    """The event of each reminder and escalation, the seconds after the start, and its detail, in order."""
    return rows(
        path,
        f"SELECT event, (time - {START}) / 1000, detail FROM history WHERE event IN {TOLD}"
        " AND execution_id NOT IN (SELECT execution_id FROM history WHERE event = 'execution_created'"
        f" AND json_extract(detail, '$.workflow') = '{LAST}') ORDER BY sequence",
    )


def reminded(*people: str) -> str:
    return '{"to":[' + ",".join(f'"{each}"' for each in people) + "]}"


@asynccontextmanager
async def opened(path: Path, clock: ManualClock) -> AsyncIterator[ExecutionStore]:
    async with ExecutionStore(database=path, clock=clock) as store:
        yield store
        assert await broken_history(file_of(store).database) is None


async def all_done(store: ExecutionStore, clock: WatchedClock) -> None:
    """Return once all has been done that is due: reminders are given in the order of their times, after the deadlines."""
    record = await store.create_execution(workflow=LAST, owner="ada")
    await store.set_interaction_required(record.execution_id, TEXT, remind_after=0.001)
    clock.step(0.001)
    given = f"SELECT 1 FROM history WHERE execution_id = '{record.execution_id}' AND event = 'interaction_reminded'"
    await eventually(lambda: rows(store.path, given))
    await store.cancel(record.execution_id)
    clock.step(0.001)


async def test_those_who_have_a_prompt_are_reminded_once_for_each_time(path: Path) -> None:
    clock = WatchedClock()
    async with opened(path, clock) as store:
        ids = await asked(store, assignees=["joan", "group:finance"], remind_after=[timedelta(days=1), 2 * DAY])
        await clock.someone_sleeps_until(START + DAY * 1000)
        assert told(path) == []
        clock.step(DAY)
        await clock.someone_sleeps_until(START + 2 * DAY * 1000)
        assert told(path) == [("interaction_reminded", DAY, reminded("joan", "group:finance"))]
        await store.claim_interaction(*ids, actor="zoe")
        clock.step(DAY)
        await all_done(store, clock)
        assert told(path)[1:] == [("interaction_reminded", 2 * DAY, reminded("zoe"))]
        clock.step(10 * DAY)
        await all_done(store, clock)
        assert len(told(path)) == 2


async def test_the_owner_is_reminded_of_a_prompt_that_is_addressed_to_nobody(path: Path) -> None:
    clock = WatchedClock()
    async with opened(path, clock) as store:
        await asked(store, owner="ada", remind_after=5)
        clock.step(5)
        await all_done(store, clock)
    assert [detail for _, _, detail in told(path)] == [reminded("ada")]


async def test_whoever_has_answered_is_not_reminded(path: Path) -> None:
    clock = WatchedClock()
    async with opened(path, clock) as store:
        answered, withdrawn, cancelled, _ = [
            await asked(store, remind_after=[5, 10], escalate_after=20, escalate_to=["boss"]) for _ in range(4)
        ]
        await store.resolve_interaction(*answered, ADA, actor="ada")
        await store.withdraw(*withdrawn)
        await store.cancel(cancelled[0])
        assert len(rows(path, "SELECT * FROM reminders")) == 3, "what is closed has nothing to come"
        clock.step(100)
        await all_done(store, clock)
    assert [event for event, _, _ in told(path)] == ["interaction_escalated"]
    assert len(rows(path, "SELECT * FROM reminders")) == 3


async def test_a_prompt_escalates_to_others_and_a_claim_of_it_ends(path: Path) -> None:
    clock = WatchedClock()
    async with opened(path, clock) as store:
        ids = await asked(
            store, assignees=["joan"], remind_after=[5, 17], escalate_after=11, escalate_to=["boss"], timeout=99
        )
        await store.claim_interaction(*ids, actor="joan")
        record = await store.get(ids[0])
        assert record is not None
        (pending,) = record.pending_interactions
        shown = pending.reminders
        assert shown is not None
        assert (shown.remind_at, shown.reminded_at) == (START / 1000 + 5, None)
        assert (shown.escalate_at, shown.escalated_at, shown.escalate_to) == (START / 1000 + 11, None, ("boss",))
        clock.step(5)
        await clock.someone_sleeps_until(START + 11_000)
        clock.step(6)
        await clock.someone_sleeps_until(START + 17_000)
        (pending,) = record.pending_interactions
        assert (pending.assignees, pending.claimed_by) == (("boss",), None)
        shown = pending.reminders
        assert shown is not None
        assert (shown.remind_at, shown.reminded_at) == (START / 1000 + 17, START / 1000 + 5)
        assert (shown.escalate_at, shown.escalated_at) == (None, START / 1000 + 11)
        assert pending.deadline == START / 1000 + 99
        assert [item.interaction_id for item in (await store.inbox(["boss"])).items] == [ids[1]]
        assert (await store.inbox(["joan"])).items == ()
        clock.step(6)
        await all_done(store, clock)
        await Service(store).answer(Actor("boss"), *ids, ADA)
    assert told(path) == [
        ("interaction_reminded", 5, reminded("joan")),
        ("interaction_escalated", 11, '{"assignees":["boss"]}'),
        ("interaction_reminded", 17, reminded("boss")),
    ]
    assert rows(path, "SELECT assignees, answered_by FROM answers") == [('["boss"]', "boss")]


async def test_nobody_who_must_not_answer_is_the_only_one_that_a_prompt_escalates_to(path: Path) -> None:
    clock = WatchedClock()
    to: dict[str, Any] = {"escalate_after": 5, "assignees": ["joan"]}
    async with opened(path, clock) as store:
        await asked(store, four_eyes=True, escalate_to=["ada", "boss"], **to)
        alone = await asked(store, four_eyes=True, escalate_to=["ada"], **to)
        record = await store.create_execution(owner="ada")
        first = await store.set_interaction_required(record.execution_id, TEXT)
        await store.resolve_interaction(record.execution_id, first.interaction_id, ADA, actor="zoe")
        other = await store.set_interaction_required(
            record.execution_id, TEXT, other_than=first.interaction_id, escalate_to=["zoe", "local"], **to
        )
        await asked(store, escalate_to=["ada"], **to)
        await store.claim_interaction(*alone, actor="joan")
        clock.step(5)
        await all_done(store, clock)
        assert sorted(told(path)) == [
            ("interaction_escalated", 5, '{"assignees":["ada"]}'),
            ("interaction_escalated", 5, '{"assignees":["boss"],"kept_out":["ada"]}'),
            ("interaction_not_escalated", 5, '{"kept_out":["ada"]}'),
            ("interaction_not_escalated", 5, '{"kept_out":["zoe","local"]}'),
        ]
        (pending,) = record.pending_interactions
        assert pending.assignees == other.assignees == ("joan",)
        assert pending.reminders == Reminders(escalate_to=("zoe", "local"))
        assert [each.claimed_by for each in (await store.inbox(["joan"])).items] == ["joan", None]
        with pytest.raises(SamePerson):
            await store.resolve_interaction(record.execution_id, other.interaction_id, ADA, actor="zoe")
        with pytest.raises(InteractionClaimed):
            await store.resolve_interaction(*alone, ADA, actor="zoe")
        await store.release_interaction(*alone, anyone=True)
        with pytest.raises(FourEyes):
            await store.resolve_interaction(*alone, ADA, actor="ada")


async def test_a_prompt_that_takes_votes_does_not_escalate_to_too_few(path: Path) -> None:
    clock = WatchedClock()
    to: dict[str, Any] = {"assignees": ["joan", "zoe", "eve"], "votes": 2, "escalate_after": 5}
    async with opened(path, clock) as store:
        await asked(store, escalate_to=["boss"], **to)
        voted = await asked(store, escalate_to=["boss"], **to)
        await store.resolve_interaction(*voted, ADA, actor="joan")
        clock.step(5)
        await all_done(store, clock)
    assert sorted(told(path)) == [
        ("interaction_escalated", 5, '{"assignees":["boss"]}'),
        ("interaction_not_escalated", 5, '{"kept_out":["boss"]}'),
    ]


async def test_what_fell_due_while_no_process_ran_is_done_at_open_and_reminders_are_one(path: Path) -> None:
    clock = ManualClock()
    async with opened(path, clock) as store:
        await asked(store, remind_after=[1, 2, 3])
        await asked(store, remind_after=[1, 5], escalate_after=2, escalate_to=["boss"])
        await asked(store, remind_after=[1], timeout=4)
    clock = WatchedClock(START + 4_000)
    async with opened(path, clock) as store:
        await clock.someone_sleeps_until(START + 5_000)
        (item,) = (await store.inbox(["boss"])).items
        assert item.reminders == Reminders(START / 1000 + 5, None, None, START / 1000 + 4, ("boss",))
        assert [(event, when) for event, when, _ in told(path)] == [
            ("interaction_reminded", 4),
            ("interaction_escalated", 4),
        ], "of the prompt whose deadline is over nobody is reminded"


@pytest.mark.parametrize("jump", [-10 * DAY, 10 * DAY])
async def test_a_reminder_is_given_once_over_a_clock_that_jumps(path: Path, jump: float) -> None:
    clock = WatchedClock()
    async with opened(path, clock) as store:
        await asked(store, remind_after=[DAY, 2 * DAY])
        clock.step(DAY)
        await clock.someone_sleeps_until(START + 2 * DAY * 1000)
        clock.step(jump)
        await all_done(store, clock)
        clock.step(-jump)
        await all_done(store, clock)
        clock.step(DAY)
        await all_done(store, clock)
        clock.step(-DAY)
        clock.step(3 * DAY)
        await all_done(store, clock)
    assert [event for event, _, _ in told(path)] == ["interaction_reminded"] * 2


@pytest.mark.parametrize("first", ["the answer", "the reminder"])
async def test_nobody_is_reminded_after_an_answer_in_the_same_instant(path: Path, first: str) -> None:
    clock = WatchedClock()
    async with opened(path, clock) as store:
        each = [await asked(store, remind_after=5) for _ in range(40)]
        if first == "the answer":
            answers = [asyncio.ensure_future(store.resolve_interaction(*ids, ADA, actor="ada")) for ids in each]
            clock.step(5)
        else:
            clock.step(5)
            await asyncio.sleep(0)
            answers = [asyncio.ensure_future(store.resolve_interaction(*ids, ADA, actor="ada")) for ids in each]
        await asyncio.gather(*answers)
        await all_done(store, clock)
    late = "SELECT count(*) FROM history AS r JOIN history AS a USING (wait_id) WHERE r.event = 'interaction_reminded'"
    assert rows(path, f"{late} AND a.event = 'interaction_answered' AND r.sequence > a.sequence") == [(0,)]
    assert rows(path, "SELECT count(*) FROM history WHERE event = 'interaction_answered'") == [(40,)]


@pytest.mark.parametrize("count", [300, pytest.param(100_000, marks=pytest.mark.deep)])
async def test_of_many_prompts_those_are_reminded_that_nobody_answered_each_once(path: Path, count: int) -> None:
    clock = WatchedClock()
    async with ExecutionStore(None, database=path, clock=clock) as store, ExecutionStore(database=path, clock=clock):
        unanswered = set[str]()
        for start in range(0, count, 1_000):
            some = await asyncio.gather(*(asked(store, remind_after=DAY) for _ in range(min(1_000, count - start))))
            unanswered |= {wait_id for _, wait_id in some[1::2]}
            await asyncio.gather(*(store.resolve_interaction(*ids, ADA, actor="ada") for ids in some[::2]))
        last = await asked(store, remind_after=DAY + 1)
        clock.step(DAY)
        await clock.someone_sleeps_until(START + (DAY + 1) * 1000)
        found = rows(path, "SELECT wait_id FROM history WHERE event = 'interaction_reminded'")
        assert len(found) == len(unanswered)
        assert {wait_id for (wait_id,) in found} == unanswered
        assert rows(path, "SELECT count(*) FROM reminders WHERE done_at IS NULL") == [(1,)]
        await store.withdraw(*last)


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ({"remind_after": 0}, "remind_after is 0 seconds; give more than 0"),
        ({"remind_after": [5, -1]}, "remind_after is -1"),
        ({"remind_after": timedelta(days=-1)}, "remind_after is -86400"),
        ({"remind_after": []}, "remind_after is empty"),
        ({"remind_after": float("nan")}, "remind_after is nan"),
        ({"remind_after": [1] * 101}, "remind_after has 101 times; give at most 100"),
        (
            {"remind_after": [5, 60], "timeout": 60},
            "remind_after is 60 seconds, and the prompt is over after 60 seconds",
        ),
        (
            {"escalate_after": 61, "escalate_to": ["boss"], "timeout": 60},
            "escalate_after is 61 seconds, and the prompt is",
        ),
        ({"escalate_after": 61}, "escalate_after is given without escalate_to"),
        ({"escalate_to": ["boss"]}, "escalate_to is given without escalate_after"),
        ({"escalate_after": 61, "escalate_to": "boss"}, "escalate_to is the text 'boss'; give a list"),
        ({"escalate_after": 61, "escalate_to": []}, "escalate_to is a list of people and groups"),
        ({"escalate_after": 61, "escalate_to": ["group:"]}, "can reach nobody"),
        ({"escalate_after": 0, "escalate_to": ["boss"]}, "escalate_after is 0 seconds"),
        ({"remind_after": "5"}, "remind_after is '5'"),
    ],
)
async def test_times_that_cannot_be_meant_are_refused_before_anything_is_written(
    store: ExecutionStore, path: Path, terms: dict[str, Any], message: str
) -> None:
    record = await store.create_execution()
    before = dump(path)
    with pytest.raises((InvalidArgument, NotJSON)) as raised:
        await store.set_interaction_required(record.execution_id, TEXT, **terms)
    assert message in str(raised.value)
    assert dump(path) == before


async def test_another_process_sees_a_reminder_and_an_escalation(path: Path) -> None:
    clock = WatchedClock()
    async with opened(path, clock) as store:
        ids = await asked(store, assignees=["joan"], remind_after=5, escalate_after=10, escalate_to=["boss"])
        async with ExecutionStore(database=path, clock=clock) as other:
            service = Service(other)
            seen = await service.status(Actor("joan"), ids[0])
            clock.step(5)
            changed = await service.wait_for_change(Actor("joan"), seen)
            assert changed.prompts[0].reminders is not None
            assert changed.prompts[0].reminders.reminded_at == START / 1000 + 5
            clock.step(5)
            seen = await service.wait_for_change(Actor("ada"), changed)
            assert seen.prompts[0].assignees == ("boss",)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE reminders SET at = at + 1 WHERE what = 'remind' AND at = 1800000007000",
        "UPDATE reminders SET assignees = '[\"mallory\"]' WHERE what = 'escalate'",
        "DELETE FROM reminders WHERE at = 1800000007000",
        "UPDATE reminders SET done_at = at WHERE what = 'escalate'",
        "UPDATE reminders SET done_at = NULL",
        "INSERT INTO reminders (interaction_key, at, what) SELECT interaction_key, 9, 'remind' FROM reminders LIMIT 1",
    ],
)
async def test_audit_verify_finds_reminders_that_another_program_changed(path: Path, statement: str) -> None:
    clock = WatchedClock()
    async with opened(path, clock) as store:
        await asked(store, remind_after=[5, 7], escalate_after=9, escalate_to=["boss"])
        clock.step(5)
        await clock.someone_sleeps_until(START + 7_000)
        assert await broken_history(file_of(store).database) is None
    with sql(path) as connection:
        connection.execute(statement)
    async with ExecutionStore(database=path, clock=ManualClock(START)) as store:
        assert await broken_history(file_of(store).database) is not None
