"""The priority that an execution is given: it is kept, listed and told, and what the file says of it is verified."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from restpoint import ExecutionStore
from restpoint._storage import verification
from restpoint._storage.sqlite import migrations
from restpoint._storage.sqlite.connection import reading
from restpoint.errors import InvalidArgument
from support import ManualClock, rows, sql


async def test_a_priority_is_kept_and_listed(store: ExecutionStore, path: Path, clock: ManualClock) -> None:
    urgent = await store.create_execution(workflow="refund", priority=7)
    plain = await store.create_execution()
    assert (urgent.priority, plain.priority) == (7, 0)
    assert [item.priority for item in (await store.list()).items] == [0, 7]
    async with ExecutionStore(database=path, clock=clock) as other:
        found = await other.get(urgent.execution_id)
        assert found is not None
        assert (found.priority, found.summary.priority) == (7, 7)
        await other.set_completed(urgent.execution_id, None)
        assert found.priority == 7


@pytest.mark.parametrize("priority", [-101, 101, 1.0, "1", True, None])
async def test_a_priority_that_is_no_whole_number_within_bounds_is_refused(
    store: ExecutionStore, priority: Any
) -> None:
    with pytest.raises(InvalidArgument, match="priority"):
        await store.create_execution(priority=priority)
    assert (await store.list()).items == ()


async def test_the_history_tells_a_priority_that_is_not_the_default(store: ExecutionStore, path: Path) -> None:
    for priority in (-100, 0, 100):
        await store.create_execution(workflow="refund", owner="ada", priority=priority)
    assert rows(path, "SELECT detail FROM history WHERE event = 'execution_created' ORDER BY sequence") == [
        ('{"workflow":"refund","owner":"ada","priority":-100}',),
        ('{"workflow":"refund","owner":"ada"}',),
        ('{"workflow":"refund","owner":"ada","priority":100}',),
    ]


@pytest.mark.parametrize(("given", "written"), [(7, 0), (0, 7), (7, 8)])
async def test_a_priority_that_another_program_changed_is_found(
    store: ExecutionStore, path: Path, given: int, written: int
) -> None:
    await store.create_execution(priority=given)
    with reading(path) as connection:
        assert verification.verify(connection).holds
    with sql(path) as connection:
        with pytest.raises(sqlite3.IntegrityError, match="what an execution was started with stays"):
            connection.execute("UPDATE executions SET priority = ?", (written,))
        connection.execute("DROP TRIGGER executions_labels_stay")
        connection.execute("UPDATE executions SET priority = ?", (written,))
    with reading(path) as connection:
        assert [finding.problem for finding in verification.verify(connection).findings] == ["payload_differs"]


async def test_a_priority_is_found_again_after_a_downgrade(path: Path, clock: ManualClock) -> None:
    async with ExecutionStore(None, database=path, clock=clock) as store:
        urgent = (await store.create_execution(priority=7)).execution_id
        ended = (await store.create_execution(priority=-7)).execution_id
        await store.set_completed(ended, None)
        plain = (await store.create_execution(workflow="refund")).execution_id
    migrations.downgrade(path, "0004")
    with sql(path) as connection:
        assert verification.verify(connection).holds, "also a file of an older revision is verified"
    migrations.upgrade(path)
    assert dict(rows(path, "SELECT id, priority FROM executions")) == {urgent: 7, ended: -7, plain: 0}
    with reading(path) as connection:
        assert verification.verify(connection).holds
