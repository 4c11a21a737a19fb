"""Reading an execution while it changes: what overtakes the reading is never lost, whoever still holds its record."""

import asyncio
import gc

import pytest

from restpoint import EventKind
from restpoint._core.changes import Change
from restpoint._store.identity_map import Records
from restpoint._store.records import ExecutionRecord


def ignore(record: ExecutionRecord, waiter: object) -> None:
    pass


@pytest.mark.parametrize("let_go", [True, False])
async def test_a_change_that_overtakes_a_reading_is_noticed_also_when_the_record_that_heard_it_is_gone(
    let_go: bool,
) -> None:
    records = Records(ignore)
    created = Change(1, "e", EventKind.EXECUTION_CREATED, None, "running", 1_000)
    held: list[ExecutionRecord] = [records.draft("e", None, None)]
    coming = records.expect(held[0], asyncio.get_running_loop().create_future())
    records.apply(created)
    coming.written.set_result(None)
    await asyncio.sleep(0)
    del coming
    records.begin_loading("e")  # reads the file as of row 1
    records.apply(Change(2, "e", EventKind.EXECUTION_COMPLETED, "running", "completed", 2_000))
    if let_go:
        held.clear()
        gc.collect()
    assert not records.end_loading("e", 1)
    records.begin_loading("e")
    assert records.end_loading("e", 2)
