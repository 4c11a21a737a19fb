"""Votes in the file: what it refuses from any program, what verification finds, and what erasures and revisions keep."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from restpoint import ExecutionStore
from restpoint._storage import verification
from restpoint._storage.hash_chain import Finding
from restpoint._storage.sqlite import migrations
from restpoint._storage.sqlite.connection import reading
from restpoint.prompts import HumanPromptText, HumanResponseText
from support import ManualClock, rows, sql

ASK = HumanPromptText(text="Which code?")


def said(text: str, comment: str | None = None) -> HumanResponseText:
    return HumanResponseText(text=text, comment=comment)


async def asked(store: ExecutionStore, owner: str | None = "olga", votes: int = 2, **terms: Any) -> tuple[str, str]:
    record = await store.create_execution(owner=owner, workflow="refund")
    pending = await store.set_interaction_required(
        record.execution_id, ASK, votes=votes, assignees=["group:board", "ada"], **terms
    )
    return record.execution_id, pending.interaction_id


async def voted(store: ExecutionStore, ids: tuple[str, str], *votes: tuple[str, str]) -> None:
    for voter, text in votes:
        await store.resolve_interaction(*ids, said(text), actor=voter)


def findings(path: Path) -> tuple[Finding, ...]:
    with reading(path) as connection:
        return verification.verify(connection).findings


CAST = (
    "INSERT INTO votes (interaction_key, voter, sequence, voted_at, response) VALUES ({key}, '{voter}', 99, 1, '{{}}')"
)
ANSWER = "UPDATE interactions SET status = 'answered', closed_at = 1,"
ASSIGN = "INSERT INTO assignments SELECT {} FROM assignments LIMIT 1"


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (CAST.format(key=1, voter="ada"), "one vote of each person"),  # again
        (CAST.format(key=1, voter="ada").replace("INSERT", "INSERT OR REPLACE"), "one vote of each person"),
        (CAST.format(key=1, voter="olga"), "one vote of each person"),  # the owner, with four eyes
        (CAST.format(key=2, voter="pat"), "one vote of each person"),  # who answered the prompt before
        (CAST.format(key=3, voter="ada"), "one vote of each person"),  # it takes none
        (CAST.format(key=4, voter="ada"), "one vote of each person"),  # it is closed
        ("UPDATE votes SET response = '1'", "a vote stays"),
        ("UPDATE votes SET voter = 'eve'", "a vote stays"),
        ("UPDATE votes SET voted_at = 1", "a vote stays"),
        ("DELETE FROM votes", "a vote goes only with its prompt"),
        ("UPDATE interactions SET votes = 3 WHERE key = 1", "what stays"),
        ("UPDATE interactions SET votes = NULL WHERE key = 1", "what stays"),
        ("UPDATE interactions SET claimed_by = 'eve' WHERE key = 1", "what stays"),
        (f"{ANSWER} response = '{{}}', answered_by = 'eve' WHERE key = 1", "what stays"),
        (f"{ANSWER} response = '{{}}' WHERE key = 1", "what stays"),
        (f"{ANSWER} response = (SELECT response FROM votes) WHERE key = 1", "what stays"),
    ],
)  # fmt: skip
async def test_the_file_itself_refuses_what_gets_round_the_votes(
    store: ExecutionStore, path: Path, statement: str, message: str
) -> None:
    ids = await asked(store, four_eyes=True)  # key 1
    first = await store.set_interaction_required(ids[0], ASK)
    await store.resolve_interaction(ids[0], first.interaction_id, said("x"), actor="pat")  # key 2
    second = await store.set_interaction_required(
        ids[0], ASK, other_than=first.interaction_id, votes=2, assignees=["group:all"]
    )
    third = await store.set_interaction_required(ids[0], ASK)
    await voted(store, ids, ("ada", "1"))
    keys = dict(rows(path, "SELECT id, key FROM interactions"))
    places = {2: keys[second.interaction_id], 3: keys[third.interaction_id], 4: keys[first.interaction_id]}
    for number, key in places.items():
        statement = statement.replace(f"VALUES ({number},", f"VALUES ({key},")
    with sql(path) as connection, pytest.raises(sqlite3.IntegrityError, match=message):
        connection.execute(statement)


async def test_votes_go_with_their_execution(store: ExecutionStore, path: Path) -> None:
    ids = await asked(store)
    await voted(store, ids, ("ada", "1"), ("eve", "1"))
    await store.remove(ids[0])
    assert rows(path, "SELECT * FROM votes") == []
    assert findings(path) == ()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def with_votes(fresh: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file in which nothing is wrong, with a prompt that was answered by votes and one that has the first of them."""
    path = tmp_path_factory.mktemp("votes") / "restpoint.db"
    shutil.copyfile(fresh, path)
    async with ExecutionStore(database=path, clock=ManualClock()) as store:
        await voted(store, await asked(store), ("ada", "4711"), ("joe", "4712"), ("eve", "4711"))
        await voted(store, await asked(store, timeout=60, priority=3), ("ada", "4711"))
    assert findings(path) == ()
    return path


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("DELETE FROM votes WHERE voter = 'ada'", "vote_differs"),
        ("UPDATE votes SET response = replace(response, '4711', '4712')", "vote_differs"),
        ("UPDATE votes SET voter = 'mallory' WHERE voter = 'ada'", "vote_differs"),
        ("UPDATE votes SET voted_at = voted_at + 1", "vote_differs"),
        ("UPDATE votes SET sequence = 1", "vote_differs"),
        (CAST.format(key=2, voter="mallory"), "vote_differs"),
        ("UPDATE interactions SET votes = NULL", "payload_differs"),
        ("UPDATE interactions SET votes = 3", "payload_differs"),
        ("UPDATE interactions SET votes = 3", "vote_differs"),
        ("DELETE FROM assignments WHERE name = 'ada'", "assignment_differs"),
        ("DELETE FROM assignments WHERE name = ''", "assignment_differs"),
        ("UPDATE assignments SET workflow = NULL", "assignment_differs"),
        ("UPDATE assignments SET due = 1", "assignment_differs"),
        ("UPDATE assignments SET name = 'mallory' WHERE name = 'ada'", "assignment_differs"),
        (ASSIGN.format("'mallory', due, urgency, opened, interaction_key, workflow"), "assignment_differs"),
        (ASSIGN.format("name, due, urgency, 1, 1, workflow"), "assignment_differs"),
    ],
)  # fmt: skip
def test_votes_and_assignments_are_verified(with_votes: Path, path: Path, statement: str, problem: str) -> None:
    shutil.copyfile(with_votes, path)
    with closing(sqlite3.connect(path)) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        assert connection.execute(statement).rowcount > 0
        connection.commit()
    assert problem in [finding.problem for finding in findings(path)]


async def test_a_vote_of_the_owner_under_four_eyes_is_found(store: ExecutionStore, path: Path) -> None:
    ids = await asked(store, four_eyes=True)
    await store.close()
    with closing(
        sqlite3.connect(path)
    ) as connection:  # as a program that knows the rule from neither the store nor the file
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("UPDATE interactions SET four_eyes = NULL")
        connection.commit()
    async with ExecutionStore(database=path) as again:
        await voted(again, ids, ("olga", "1"))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE interactions SET four_eyes = 1")
        connection.commit()
    assert "four_eyes_violated" in [finding.problem for finding in findings(path)]


async def test_an_upgrade_has_the_votes_again_from_the_history(store: ExecutionStore, path: Path) -> None:
    open_, closed = await asked(store), await asked(store)
    await voted(store, open_, ("ada", "1"), ("eve", "2"))
    await voted(store, closed, ("ada", "1"), ("eve", "1"))
    await store.close()
    queries = (
        "SELECT * FROM votes ORDER BY sequence",
        "SELECT * FROM assignments",
        "SELECT id, votes FROM interactions",
    )
    before = [rows(path, query) for query in queries]
    migrations.downgrade(path, "0011")
    assert rows(path, "SELECT name FROM sqlite_master WHERE name LIKE '%vote%'") == []
    migrations.upgrade(path)
    assert [rows(path, query) for query in queries] == before
    assert findings(path) == ()
    async with ExecutionStore(database=path) as again:
        await voted(again, open_, ("joe", "2"))
        assert (await again.asked(*open_)).status == "answered"


# --- Erasure ---------------------------------------------------------------------------------------------------------


async def test_the_vote_of_a_person_is_erased_and_those_of_others_stay(store: ExecutionStore, path: Path) -> None:
    ids = await asked(store)
    for voter, words in (("ada", "canary-1"), ("eve", "canary-2"), ("joe", "canary-2")):
        await store.resolve_interaction(*ids, said(words, f"{words} of {voter}"), actor=voter)
    await store.set_completed(ids[0], None)
    assert (await store.erase_person("ada", dry_run=True)).waits == [ids]
    assert (await store.erase_person("ada")).waits == [ids]
    await store.erase_person("joe")
    kept = await store.asked(*ids)
    assert [each.response and each.response["comment"] for each in kept.voted] == [None, "canary-2 of eve", None]
    assert kept.response is not None
    assert kept.response["text"] == "canary-2"  # which Eve said too
    content = b"".join(each.read_bytes() for each in path.parent.glob(f"{path.name}*"))
    assert b"canary-1" not in content
    assert b"of joe" not in content
    assert findings(path) == ()
    await store.erase_person("eve", whole=True)
    assert rows(path, "SELECT * FROM votes") == []
    assert findings(path) == ()


async def test_a_file_of_digests_has_no_vote_in_its_history(path: Path) -> None:
    async with ExecutionStore(database=path, history="digest") as store:
        ids = await asked(store)
        await voted(store, ids, ("ada", "4711"), ("eve", "4711"))
        assert (await store.asked(*ids)).status == "answered"
    assert rows(path, "SELECT count(*) FROM history WHERE detail LIKE '%4711%'") == [(0,)]
    assert findings(path) == ()


# --- Views -----------------------------------------------------------------------------------------------------------


async def test_auditors_see_each_vote_and_what_the_votes_came_to(store: ExecutionStore, path: Path) -> None:
    ids = await asked(store, votes=2)
    await voted(store, ids, ("ada", "A"), ("joe", "B"), ("eve", "A"))
    undecided = await asked(store, votes=2, default=said("C"), timeout=9)
    await store.address_interaction(*undecided, ["ada", "eve"])
    await voted(store, undecided, ("ada", "A"), ("eve", "B"))
    assert rows(path, "SELECT answered_by, decision, by_default, is_vote, outcome FROM answers ORDER BY sequence") == [
        ("ada", "A", 0, 1, "A"), ("joe", "B", 0, 1, "A"), ("eve", "A", 0, 1, "A"),
        ("ada", "A", 0, 1, "C"), ("eve", "B", 0, 1, "C"), (None, "C", 1, 0, None),
    ]  # fmt: skip
    assert rows(path, "SELECT decision FROM default_answers") == [("C",)]
    assert rows(path, "SELECT * FROM four_eyes_violations") == []
    assert [about for (about,) in rows(path, "SELECT about FROM execution_timeline WHERE execution_id = ?", ids[0])][2:] == [
        "A", "B", "A", "A",
    ]  # fmt: skip
