"""FAULTS row 9: 1 to 512 flipped bytes in the file. A typed error, or right data, or the check of the history fails."""

import asyncio
import shutil
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

from restpoint import ExecutionStore
from restpoint._storage import verification
from restpoint._storage.sqlite import migrations
from restpoint._storage.sqlite.connection import opened
from restpoint.errors import RestpointError
from support import PAIRS, ManualClock, rows

HISTORY = "SELECT * FROM history ORDER BY sequence"
EXECUTIONS = 24


@dataclass
class Truth:
    """What the file said before anything was flipped."""

    path: Path
    history: list[tuple[Any, ...]]
    executions: dict[str, tuple[Any, ...]]
    entries: dict[str, list[Any]]


def seen(record: Any) -> tuple[Any, ...]:
    """An execution as its caller sees it."""
    waits = tuple((each.interaction_id, each.prompt, each.deadline) for each in record.pending_interactions)
    consents = tuple((each.auth_url, each.oauth_state) for each in record.pending_oauths)
    ended = (record.completed_at, record.result if record.status == "completed" else None, record.error)
    return record.status, record.workflow, record.owner, record.created_at, waits, consents, ended


async def look(path: Path) -> tuple[dict[str, Any], dict[str, list[Any]], list[RestpointError]]:
    """Read all that can be read through the store."""
    found: dict[str, Any] = {}
    entries: dict[str, list[Any]] = {}
    errors: list[RestpointError] = []

    async def attempt(work: Any) -> Any:
        try:
            return await work
        except RestpointError as error:
            errors.append(error)
            return None

    store = ExecutionStore(None, database=path, clock=ManualClock(), sweep_interval_seconds=1e6)
    try:
        page = await attempt(store.list(limit=1_000))
        for item in page.items if page is not None else ():
            record = await attempt(store.get(item.execution_id))
            if record is not None:
                try:
                    found[item.execution_id] = (seen(record), item.hold)
                except RestpointError as error:
                    errors.append(error)
            entries[item.execution_id] = list(await attempt(store.history(item.execution_id)) or ())
    finally:
        await store.close()
    return found, entries, errors


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    path = tmp_path_factory.mktemp("truth") / "x.db"

    async def fill() -> tuple[dict[str, Any], dict[str, list[Any]]]:
        async with ExecutionStore(None, database=path, clock=ManualClock()) as store:
            for number in range(EXECUTIONS):
                prompt, response = PAIRS[number % len(PAIRS)]
                record = await store.create_execution(workflow=f"refund {number}", owner="ada")
                pending = await store.set_interaction_required(record.execution_id, prompt, timeout=900)
                if number % 4:
                    await store.resolve_interaction(
                        record.execution_id, pending.interaction_id, response, actor="grace"
                    )
                match number % 4:
                    case 1:
                        await store.set_completed(record.execution_id, {"number": number, "text": "x" * 300})
                    case 2:
                        await store.set_failed(record.execution_id, f"It failed at {number}.")
                    case 3:
                        await store.set_oauth_required(record.execution_id, "https://provider.example/", "state")
        found, entries, errors = await look(path)
        assert errors == []
        assert len(found) == EXECUTIONS
        return found, entries

    found, entries = asyncio.run(fill())
    return Truth(path, rows(path, HISTORY), found, entries)


def flip(path: Path, random: Random) -> int:
    """Flip bits of 1 to 512 bytes, scattered over the file or in one run; how many."""
    content = bytearray(path.read_bytes())
    count = min(1 << random.randrange(10), 512)
    start = random.randrange(len(content))
    for index in range(count):
        at = (start + index) % len(content) if random.random() < 0.5 else random.randrange(len(content))
        content[at] ^= random.randrange(1, 256)
    path.write_bytes(content)
    return count


def holds(path: Path) -> bool | None:
    """What the checks of the file and of its history say; None for an error that says why they cannot."""
    try:
        if not all(fine for _, fine, _ in migrations.check(path)):
            return False
        with opened(path) as connection:
            return verification.verify(connection).holds
    except RestpointError:
        return None


def examine(truth: Truth, path: Path) -> str:
    """What became of a file with flipped bytes."""
    holding = holds(path)
    found, entries, errors = asyncio.run(look(path))
    if holding:
        assert rows(path, HISTORY) == truth.history, "the check passed a history that was changed"
        assert all(told == truth.entries[name] for name, told in entries.items())
    if errors or holding is None:
        return "a typed error"
    if not holding:
        return "a check that fails"
    assert found == truth.executions, "and neither an error nor a check said so"
    return "right data"


@pytest.mark.parametrize("seeds", [30, pytest.param(1_000, marks=pytest.mark.deep)])
def test_flipped_bytes_are_told_and_never_a_silently_wrong_history(truth: Truth, tmp_path: Path, seeds: int) -> None:
    outcomes, began = Counter[str](), time.monotonic()
    path = tmp_path / "x.db"
    for seed in range(seeds):
        shutil.copyfile(truth.path, path)
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        flip(path, Random(seed))
        assert path.read_bytes() != truth.path.read_bytes(), "the fault happened"
        outcomes[examine(truth, path)] += 1
    assert outcomes.total() == seeds
    if seeds == 1_000:  # of a few, all may be heard of as soon as the file is opened
        assert len(outcomes) == 3, "each way of hearing of it was taken"
    print(f"\n{seeds} files with flipped bytes in {time.monotonic() - began:.0f} s: {dict(outcomes)}")
