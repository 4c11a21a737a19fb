"""The chain of the history: what was changed, removed, inserted or moved is found, at its place."""

from collections.abc import Callable
from pathlib import Path

import pytest

from restpoint import ExecutionStore
from restpoint._core.clock import SystemClock
from restpoint._storage.hash_chain import Head
from restpoint._storage.history import GENESIS, row_digest
from restpoint._storage.sqlite.database import Database
from restpoint.errors import InvalidArgument
from support import ADA, TEXT, broken_history, first_break, rows, sql

ROWS = (
    "SELECT sequence, execution_id, event, wait_id, from_status, to_status, actor, cause, time, detail, detail_sha256, digest"
    " FROM history ORDER BY sequence"
)


async def lived(store: ExecutionStore, count: int = 3) -> None:
    for _ in range(count):
        record = await store.create_execution(workflow="w")
        pending = await store.set_interaction_required(record.execution_id, TEXT)
        await store.resolve_interaction(record.execution_id, pending.interaction_id, ADA, actor="ada")
        await store.set_completed(record.execution_id, {"fine": True})


def broken_at(path: Path) -> int | None:
    ((sequence, digest),) = rows(path, "SELECT sequence, digest FROM history_anchor")
    return first_break(rows(path, ROWS), sequence, digest)


def tamper(path: Path, *statements: str) -> None:
    """As someone with the file and no respect for triggers would."""
    with sql(path) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            assert connection.execute(statement).rowcount != 0


async def test_an_untouched_history_has_no_break(store: ExecutionStore, path: Path) -> None:
    await lived(store)
    assert len(rows(path, ROWS)) == 12
    assert broken_at(path) is None


@pytest.mark.parametrize(
    ("statements", "at"),
    [
        (["UPDATE history SET actor = 'bob' WHERE sequence = 3"], 3),
        (["UPDATE history SET actor = NULL WHERE sequence = 3"], 3),
        (["UPDATE history SET actor = '' WHERE sequence = 4"], 4),
        (["UPDATE history SET time = time + 1 WHERE sequence = 7"], 7),
        (["UPDATE history SET detail = replace(detail, 'Ada', 'Eve') WHERE sequence = 3"], 3),
        (["UPDATE history SET detail_sha256 = zeroblob(32) WHERE sequence = 3"], 3),
        (["UPDATE history SET to_status = 'failed' WHERE sequence = 12"], 12),
        (["UPDATE history SET digest = zeroblob(32) WHERE sequence = 5"], 5),
        (["DELETE FROM history WHERE sequence = 6"], 6),
        (["DELETE FROM history WHERE sequence = 1"], 1),
        (["UPDATE history SET sequence = 99 WHERE sequence = 2"], 2),
        (
            [
                "UPDATE history SET sequence = 99 WHERE sequence = 2",
                "UPDATE history SET sequence = 2 WHERE sequence = 3",
                "UPDATE history SET sequence = 3 WHERE sequence = 99",
            ],
            2,
        ),
        (
            [
                (
                    "INSERT INTO history SELECT 13, execution_id, event, wait_id, from_status, to_status, actor, cause, time,"
                    " detail, detail_sha256, digest FROM history WHERE sequence = 12"
                )
            ],
            13,
        ),
        (["UPDATE history_anchor SET sequence = 1"], 2),
        (["UPDATE history_anchor SET digest = randomblob(32)"], 1),
    ],
)
async def test_a_break_is_found_at_its_place(store: ExecutionStore, path: Path, statements: list[str], at: int) -> None:
    await lived(store)
    await store.close()
    tamper(path, *statements)
    assert broken_at(path) == at


async def test_a_detail_may_be_erased_and_the_chain_still_verifies(store: ExecutionStore, path: Path) -> None:
    await lived(store)
    await store.close()
    tamper(path, "UPDATE history SET detail = NULL WHERE sequence = 3")
    assert broken_at(path) is None


async def test_rows_cut_from_the_end_are_found_by_whoever_kept_a_digest(store: ExecutionStore, path: Path) -> None:
    await lived(store)
    kept = (await store.history((await store.list()).items[0].execution_id))[-1]
    await store.close()
    tamper(path, "DELETE FROM history WHERE sequence > 10")
    assert broken_at(path) is None
    assert kept.digest not in [digest.hex() for (digest,) in rows(path, "SELECT digest FROM history")]


@pytest.mark.parametrize(
    "other",
    [
        lambda row: (*row[:1], None, *row[2:]),
        lambda row: (*row[:1], "", *row[2:]),
        lambda row: (*row[:1], row[1] + "\0=" + row[2], None, *row[3:]),
        lambda row: (row[0] + 1, *row[1:]),
    ],
)
def test_rows_that_differ_have_different_digests(other: Callable[[tuple[object, ...]], tuple[object, ...]]) -> None:
    row = (1, "e", "event", "wait", "running", "failed", "actor", "cause", 1_800_000_000_000)
    assert row_digest(GENESIS, row, None) != row_digest(GENESIS, other(row), None)


def test_the_digest_of_a_row_is_what_the_documentation_says() -> None:
    row = (1, "e", "execution_created", None, None, "running", "ada", None, 1_800_000_000_000)
    # (printf '%0128d' 0 | xxd -r -p; printf '=1\\0=e\\0...') | sha256sum
    assert row_digest(GENESIS, row, None).hex() == "1607ae02b9b6b352b476137e630190c83cf4fc1d334eb2883bc0f58d2f52b7a5"


async def test_a_history_that_was_erased_behind_a_moved_anchor_is_found(store: ExecutionStore, path: Path) -> None:
    await lived(store)
    await store.close()
    with sql(path) as connection:  # past no trigger: each of these is allowed
        connection.execute(
            "UPDATE history_anchor SET sequence = 11, digest = (SELECT digest FROM history WHERE sequence = 11)"
        )
        connection.execute("DELETE FROM history WHERE sequence <= 11")
    database = await Database.open(path, SystemClock())
    try:
        assert await broken_history(database) == 11
    finally:
        await database.close()


@pytest.mark.parametrize("number", ["-1", "-0x1", "", "x", "1.0"])
def test_what_is_no_head_is_refused_whatever_digest_it_has(number: str) -> None:
    with pytest.raises(InvalidArgument, match="is no head"):
        Head.parse(f"{number}:{'0' * 64}")
    assert Head.parse(f"0:{'0' * 64}") == Head(0, bytes(32))
