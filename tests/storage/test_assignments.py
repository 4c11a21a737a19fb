"""The table of assignments: it is as the open prompts are, whatever is done to them, and an inbox is read from its index."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from past_files import load
from restpoint import ExecutionStore
from restpoint._storage import assignments, verification
from restpoint._storage.sqlite import migrations
from restpoint._storage.sqlite.connection import reading
from restpoint.errors import InvalidArgument
from restpoint.prompts import HumanPromptText
from support import ADA, ManualClock, rows, sql

NEVER = (1 << 63) - 1


def expected(path: Path) -> set[tuple[Any, ...]]:
    """What the table must have, made of the prompts by hand."""
    found = set()
    for key, opened, due, deadline, own, priority, listed, owner in rows(
        path,
        "SELECT i.key, i.opened, i.due_at, i.deadline_at, i.priority, e.priority, i.assignees, e.owner FROM interactions AS i"
        " JOIN executions AS e ON e.key = i.execution_key WHERE i.status = 'pending'",
    ):
        names = json.loads(listed) if listed else [] if owner is None else [owner]
        place = min(NEVER if moment is None else moment for moment in (due, deadline))
        found |= {(name, place, -(priority if own is None else own), opened, key) for name in ["", *names]}
    return found


def kept(path: Path) -> set[tuple[Any, ...]]:
    return set(rows(path, "SELECT name, due, urgency, opened, interaction_key FROM assignments"))


async def asked(
    store: ExecutionStore, owner: str | None = "ada", text: str = "?", urgency: int = 0, **terms: Any
) -> tuple[str, str]:
    """An execution that asks this."""
    record = await store.create_execution(owner=owner, priority=urgency)
    pending = await store.set_interaction_required(record.execution_id, HumanPromptText(text=text), **terms)
    return record.execution_id, pending.interaction_id


async def test_the_table_is_as_the_open_prompts_are_through_all_that_happens_to_them(
    store: ExecutionStore, path: Path, clock: ManualClock
) -> None:
    answered = await asked(store, assignees=["ada", "group:finance", "ada"], timeout=9, priority=3)
    expiring = await asked(store, None, timeout=5)
    withdrawn = await asked(store, due=2)
    defaulted = await asked(store, assignees=["grace"], timeout=5, default=ADA)
    readdressed = await asked(store, "joan", assignees=["grace"], timeout=50, due=3, priority=-4)
    cancelled = await asked(store, None)
    assert kept(path) == expected(path)
    assert len(kept(path)) == 3 + 1 + 2 + 2 + 2 + 1
    await store.resolve_interaction(*answered, ADA)
    assert kept(path) == expected(path)
    await store.withdraw(*withdrawn)
    await store.cancel(cancelled[0])
    await store.address_interaction(*readdressed, ["ada", "group:legal"])
    assert kept(path) == expected(path)
    clock.step(6)
    for execution_id, _ in (expiring, defaulted):
        record = await store.get(execution_id)
        assert record is not None
        while record.pending_interactions:
            await record.changed()
    assert kept(path) == expected(path)
    assert len(kept(path)) == 3


@pytest.mark.parametrize("revision", ["0002", "0005", "0008"])
def test_an_upgrade_fills_the_table_from_what_is_open_and_a_downgrade_drops_it(path: Path, revision: str) -> None:
    load(revision, path)
    migrations.upgrade(path)
    assert kept(path) == expected(path) != set()
    migrations.downgrade(path, "0009")
    assert rows(path, "SELECT name FROM sqlite_master WHERE name LIKE '%assign%'") == []
    migrations.upgrade(path)
    assert kept(path) == expected(path)


async def test_what_a_downgrade_drops_an_upgrade_has_again_from_the_history(store: ExecutionStore, path: Path) -> None:
    execution_id, first = await asked(store, assignees=["joan"])
    await store.resolve_interaction(execution_id, first, ADA, actor="joan")
    second = await store.set_interaction_required(
        execution_id, HumanPromptText(text="!"), assignees=["grace"], other_than=first, priority=7, due=60, timeout=90
    )
    await store.claim_interaction(execution_id, second.interaction_id, actor="grace")
    released = await asked(store, assignees=["grace"])
    await store.claim_interaction(*released, actor="grace")
    await store.release_interaction(*released, actor="grace")
    await store.close()
    query = "SELECT id, priority, due_at, excluded, claimed_by, claimed_at, assignees FROM interactions ORDER BY key"
    before = rows(path, query), kept(path)
    assert before[0][1][1:6] == (7, before[0][1][2], '["joan"]', "grace", before[0][1][5])
    migrations.downgrade(path, "0009")
    migrations.upgrade(path)
    assert (rows(path, query), kept(path)) == before
    with reading(path) as connection:
        assert verification.verify(connection).holds


async def test_an_inbox_has_the_next_due_first_then_the_most_urgent_then_the_oldest_page_by_page(
    store: ExecutionStore,
) -> None:
    for text, terms in {
        "old": {},
        "younger": {},
        "urgent": {"priority": 9},
        "its execution is urgent": {"execution": 9},
        "late deadline": {"timeout": 90},
        "deadline": {"timeout": 50},
        "due": {"timeout": 90, "due": 40},
    }.items():
        await asked(store, None, text, terms.pop("execution", 0), assignees=["ada", "group:finance"], **terms)
    wanted = ["due", "deadline", "late deadline", "urgent", "its execution is urgent", "old", "younger"]
    for names in (
        ["ada"],
        ["ada", "group:finance"],
        None,
        [f"group:{n}" for n in range(120)] + ["ada", "group:finance"],
    ):
        for limit in (1, 3, 7, 50):
            found, cursor = [], None
            while True:
                page = await store.inbox(names, limit=limit, cursor=cursor)
                assert len(page.items) <= limit
                found += [item.prompt["text"] for item in page.items]
                cursor = page.next_cursor
                if cursor is None:
                    break
            assert found == wanted
    assert (await store.inbox(["grace"])).items == (await store.inbox([])).items == ()


async def test_an_inbox_may_be_of_one_workflow(store: ExecutionStore) -> None:
    for workflow in ("refund", "hello", "refund"):
        record = await store.create_execution(workflow=workflow, owner="ada")
        await store.set_interaction_required(record.execution_id, HumanPromptText(text="?"))
    assert [item.workflow for item in (await store.inbox(["ada"], workflow="refund")).items] == ["refund", "refund"]
    assert (await store.inbox(["ada"], workflow="none")).items == ()


@pytest.mark.parametrize("cursor", ["", "x", "é", "MQ", "MS4yLjMuNA", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OS4xLjE", "a" * 999])
async def test_a_cursor_that_no_page_gave_is_refused(store: ExecutionStore, cursor: str) -> None:
    with pytest.raises(InvalidArgument, match="is not a cursor"):
        await store.inbox(["ada"], cursor=cursor)


@pytest.mark.parametrize("limit", [0, -1, 1_001])
async def test_a_page_of_no_or_too_many_lines_is_refused(store: ExecutionStore, limit: int) -> None:
    with pytest.raises(InvalidArgument, match="limit"):
        await store.inbox(["ada"], limit=limit)


@pytest.mark.parametrize("is_next", [False, True])
async def test_each_name_is_read_from_the_index_in_its_order(store: ExecutionStore, path: Path, is_next: bool) -> None:
    await asked(store)
    query = assignments._page_query(3, of_workflow=False, is_next=is_next)
    given = {"name0": "a", "name1": "b", "name2": "c", "max": 5, "after_due": 1, "after_urgency": 1, "after_opened": 1}
    plan = [row[3] for row in rows_named(path, f"EXPLAIN QUERY PLAN {query}", given)]
    reads = [step for step in plan if "assignments" in step]
    assert len(reads) == 3
    for step in reads:
        assert step.startswith("SEARCH assignments USING PRIMARY KEY (name=?"), plan
    assert not [step for step in plan if step.startswith("SCAN") and "(subquery" not in step and "anon" not in step], (
        plan
    )


def rows_named(path: Path, query: str, given: dict[str, Any]) -> list[tuple[Any, ...]]:
    with sql(path) as connection:
        names = {name: value for name, value in given.items() if f":{name}" in query}
        return connection.execute(query, names).fetchall()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("assignees = '[\"mallory\"]'", "assignees"),
        ("claimed_by = 'mallory', claimed_at = 1", "claim"),
        ("claimed_by = NULL", "claim"),
    ],
)
async def test_who_may_answer_is_verified_after_it_was_delegated_and_claimed(
    store: ExecutionStore, path: Path, change: str, named: str
) -> None:
    ids = await asked(store, assignees=["ada"])
    await store.claim_interaction(*ids, actor="ada")
    await store.address_interaction(*ids, ["grace", "group:legal"])
    await store.claim_interaction(*ids, actor="grace")
    with reading(path) as connection:
        assert verification.verify(connection).holds
    with sql(path) as connection:
        connection.execute("UPDATE interactions SET claimed_by = NULL") if "mallory'" in change else None
        connection.execute(f"UPDATE interactions SET {change}")
    with reading(path) as connection:
        verdict = verification.verify(connection)
    assert not verdict.holds
    assert any(f"The {named} of prompt" in finding.what for finding in verdict.findings)


@pytest.mark.parametrize(
    "change",
    [
        "status = 'answered', response = '1', closed_at = 1, answered_by = 'grace'",  # claimed by ada
        "status = 'answered', response = '1', closed_at = 1, answered_by = 'joan'",  # who answered the first one
        "claimed_by = 'grace'",
        "excluded = NULL",
        "priority = 5",
        "due_at = 5",
    ],
)
async def test_the_file_itself_refuses_what_gets_round_a_claim_or_who_must_not_answer(
    store: ExecutionStore, path: Path, change: str
) -> None:
    execution_id, first = await asked(store, None)
    await store.resolve_interaction(execution_id, first, ADA, actor="joan")
    second = await store.set_interaction_required(execution_id, HumanPromptText(text="!"), other_than=first)
    await store.claim_interaction(execution_id, second.interaction_id, actor="ada")
    with sql(path) as connection:
        with pytest.raises(sqlite3.IntegrityError, match="a change of what stays"):
            connection.execute(f"UPDATE interactions SET {change} WHERE id = ?", (second.interaction_id,))
        connection.execute(
            "UPDATE interactions SET status = 'answered', response = '1', closed_at = 1, answered_by = 'ada' WHERE id = ?",
            (second.interaction_id,),
        )
        for frozen in ("claimed_by = NULL", "assignees = '[\"x\"]'"):
            with pytest.raises(sqlite3.IntegrityError, match="a change of what stays"):
                connection.execute(f"UPDATE interactions SET {frozen} WHERE id = ?", (second.interaction_id,))
