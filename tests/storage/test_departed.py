"""What has left the file says so: how and when, to whoever could have seen it, and to nobody else."""

from pathlib import Path

import pytest

from restpoint import ExecutionStore
from restpoint.access import OPERATOR, READER, Actor
from restpoint.errors import ExecutionGone, ExecutionNotFound
from restpoint.service import Service
from support import ADA as ANSWER
from support import START, ManualClock

ADA, GRACE = Actor("ada"), Actor("grace")
OP, EYE = Actor("op", roles=frozenset({OPERATOR})), Actor("eye", roles=frozenset({READER}))


async def swept(store: ExecutionStore, clock: ManualClock) -> str:
    record = await store.create_execution(workflow="refund", owner="ada")
    await store.set_completed(record.execution_id, "done")
    for _ in range(3):  # others before and after it
        other = await store.create_execution()
        await store.set_completed(other.execution_id, None)
    clock.step(3_600)
    assert await store.cleanup_expired() == 4
    return record.execution_id


@pytest.mark.parametrize("actor", [ADA, OP, EYE])
async def test_whoever_could_see_an_execution_is_told_when_it_was_swept(
    store: ExecutionStore, clock: ManualClock, actor: Actor
) -> None:
    execution_id = await swept(store, clock)
    clock.step(60)
    with pytest.raises(ExecutionGone) as gone:
        await Service(store).status(actor, execution_id)
    assert (gone.value.how, gone.value.gone_at) == ("swept", (START + 3_600_000) / 1000)
    assert "was swept at 2027-01-15 09:00:00 UTC, when its time to live was over" in str(gone.value)
    assert isinstance(gone.value, KeyError), "as in the original store"


async def test_to_everybody_else_it_never_existed(store: ExecutionStore, clock: ManualClock) -> None:
    execution_id = await swept(store, clock)
    service = Service(store)
    refusals = []
    for unknown in (execution_id, "019ac0de-0000-7000-8000-000000000001"):
        for refused in (
            service.status(GRACE, unknown),
            service.history(GRACE, unknown),
            service.cancel(GRACE, unknown),
            service.answer(GRACE, unknown, "1", ANSWER),
        ):
            with pytest.raises(ExecutionNotFound) as absent:
                await refused
            refusals.append((type(absent.value), str(absent.value).replace(unknown, "ID")))
    assert len(set(refusals)) == 1
    assert refusals[0][0] is ExecutionNotFound


@pytest.mark.parametrize(("how", "word"), [("remove", "removed"), ("erase", "erased")])
async def test_what_somebody_removed_or_erased_says_so(
    store: ExecutionStore, clock: ManualClock, how: str, word: str
) -> None:
    record = await store.create_execution(owner="ada")
    await store.set_failed(record.execution_id, "no")
    clock.step(5)
    await getattr(store, how)(record.execution_id)
    with pytest.raises(ExecutionGone, match=f"was {word} at") as gone:
        await Service(store).status(ADA, record.execution_id)
    assert gone.value.gone_at == (START + 5_000) / 1000


async def test_every_verb_of_the_service_says_so(store: ExecutionStore, clock: ManualClock) -> None:
    execution_id = await swept(store, clock)
    service = Service(store)
    for refused in (
        service.history(ADA, execution_id),
        service.cancel(OP, execution_id),
        service.retry(OP, execution_id),
        service.remove(OP, execution_id),
        service.answer(ADA, execution_id, "1", ANSWER),
    ):
        with pytest.raises(ExecutionGone):
            await refused
    assert len((await service.history(OP, execution_id)).items) == 2, "its history stays, for those who see everything"


async def test_where_the_history_is_gone_too_nobody_can_say(path: Path, clock: ManualClock) -> None:
    async with ExecutionStore(60, database=path, clock=clock, history_retention_seconds=600) as store:
        record = await store.create_execution(owner="ada")
        await store.set_completed(record.execution_id, None)
        clock.step(61)
        await store.cleanup_expired()
        clock.step(10_000)
        await store.create_execution()
        await store.cleanup_expired()
        with pytest.raises(ExecutionNotFound) as absent:
            await Service(store).status(OP, record.execution_id)
        assert type(absent.value) is ExecutionNotFound
