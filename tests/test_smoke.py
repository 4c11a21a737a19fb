from support import ADA, TEXT, ManualClock

from restpoint import ExecutionStore
from restpoint.errors import InteractionExpired
import pytest


async def test_an_answer_resolves_the_future(store: ExecutionStore) -> None:
    record = await store.create_execution()
    pending = await store.set_interaction_required(record.execution_id, TEXT)
    await store.resolve_interaction(record.execution_id, pending.interaction_id, ADA)
    assert await pending.future == ADA


async def test_a_deadline_fires(store: ExecutionStore, clock: ManualClock) -> None:
    record = await store.create_execution()
    pending = await store.set_interaction_required(record.execution_id, TEXT, timeout=5)
    future = pending.future
    clock.step(5)
    with pytest.raises(InteractionExpired):
        await future
    assert record.status == "running"
