"""FAULTS row 22: a program and a file of different releases. Refused with what to do, and nothing written."""

import asyncio
from pathlib import Path

import pytest

from elsewhere import FOLLOWING, copied_scripts, next_release, schema_of, stamp, tree
from restpoint import ExecutionStore
from restpoint._storage.schema import REVISION
from restpoint._storage.sqlite import migrations
from restpoint.errors import RestpointError, SchemaTooNew, SchemaTooOld
from support import ADA, TEXT, ManualClock, dump, rows

NEWER = FOLLOWING
DDL = "ALTER TABLE executions ADD COLUMN made_up INTEGER NOT NULL DEFAULT 3"


async def paused(path: Path, clock: ManualClock) -> tuple[str, str]:
    async with ExecutionStore(database=path, clock=clock) as store:
        record = await store.create_execution()
        pending = await store.set_interaction_required(record.execution_id, TEXT)
        return record.execution_id, pending.interaction_id


@pytest.mark.parametrize("ddl", [[DDL], []], ids=["with DDL", "data only"])
async def test_a_newer_file_is_refused_at_the_start(path: Path, clock: ManualClock, ddl: list[str]) -> None:
    await paused(path, clock)
    stamp(path, NEWER, *ddl)
    before = tree(path.parent)
    for store in (
        ExecutionStore(database=path, clock=clock),
        ExecutionStore(database=path, clock=clock, migrate="auto"),
    ):
        with pytest.raises(SchemaTooNew) as raised:
            await store.create_execution()
        assert str(path) in str(raised.value)
        assert NEWER in str(raised.value)
        assert raised.value.code == "schema_too_new"
    for move in (migrations.upgrade, migrations.prepare, lambda path: migrations.downgrade(path, REVISION)):
        with pytest.raises(SchemaTooNew):
            move(path)
    assert migrations.current(path) == NEWER
    assert tree(path.parent) == before


async def attempts(store: ExecutionStore, execution_id: str, interaction_id: str) -> list[object]:
    """Every kind of write at once."""
    return await asyncio.gather(
        store.create_execution(),
        store.set_interaction_required(execution_id, TEXT),
        store.set_oauth_required(execution_id, "https://example.org/", "state"),
        store.resolve_interaction(execution_id, interaction_id, ADA),
        store.set_failed(execution_id, "no"),
        store.cancel(execution_id),
        store.set_running(execution_id),
        store.withdraw(execution_id, interaction_id),
        store.hold(execution_id, "audit"),
        store.remove(execution_id),
        store.cleanup_expired(),
        store.recover(),
        *(store.create_execution() for _ in range(20)),
        return_exceptions=True,
    )


async def test_a_program_that_already_runs_writes_nothing_once_another_has_upgraded(
    path: Path, clock: ManualClock
) -> None:
    execution_id, interaction_id = await paused(path, clock)
    async with ExecutionStore(database=path, clock=clock) as store:
        ended = await store.create_execution()
        await store.set_completed(ended.execution_id, None)
        record = await store.get(execution_id)
        assert record is not None
        stamp(path, NEWER, DDL)
        before = dump(path)
        clock.step(3_600)  # deadlines and sweeps fall due too
        for _ in range(2):  # not only the first write after the upgrade
            told = await attempts(store, execution_id, interaction_id)
            assert [type(outcome) for outcome in told] == [SchemaTooNew] * len(told)
            assert dump(path) == before
    assert dump(path) == before, "closing wrote nothing either"


async def test_a_running_program_notices_a_real_upgrade(
    path: Path, clock: ManualClock, tmp_path_factory: pytest.TempPathFactory
) -> None:
    scripts = copied_scripts(tmp_path_factory.mktemp("next"), upto=NEWER)
    execution_id, interaction_id = await paused(path, clock)
    async with ExecutionStore(database=path, clock=clock) as store:
        await store.create_execution()
        with pytest.MonkeyPatch.context() as patch:
            next_release(patch, scripts, NEWER)
            migrations.upgrade(path)
        before = dump(path)
        told = await attempts(store, execution_id, interaction_id)
        assert {type(outcome) for outcome in told} == {SchemaTooNew}
        assert dump(path) == before
        migrate_back(path, scripts)
        # And once the file is what it was, the same store goes on.
        await store.resolve_interaction(execution_id, interaction_id, ADA)
    assert rows(path, "SELECT status FROM interactions") == [("answered",)]


def only_data(scripts: Path) -> None:
    (script,) = (scripts / "versions").glob(f"{NEWER}_*.py")
    header, _, _ = script.read_text().partition("def upgrade")
    statement = "UPDATE executions SET error = 'x'"
    script.write_text(
        f'{header}def upgrade() -> None:\n    op.execute("{statement}")\n\n\ndef downgrade() -> None:\n    pass\n'
    )


def migrate_back(path: Path, scripts: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        next_release(patch, scripts, NEWER)
        migrations.downgrade(path, REVISION)


async def test_a_running_program_notices_an_upgrade_that_changed_data_only(
    path: Path, clock: ManualClock, tmp_path_factory: pytest.TempPathFactory
) -> None:
    scripts = copied_scripts(tmp_path_factory.mktemp("next"), upto=NEWER)
    only_data(scripts)
    execution_id, interaction_id = await paused(path, clock)
    async with ExecutionStore(database=path, clock=clock) as store:
        await store.create_execution()
        with pytest.MonkeyPatch.context() as patch:
            next_release(patch, scripts, NEWER)
            migrations.upgrade(path)
        assert migrations.current(path) == NEWER
        before = dump(path)
        told = await attempts(store, execution_id, interaction_id)
        assert {type(outcome) for outcome in told} == {SchemaTooNew}
        assert dump(path) == before


async def test_a_running_program_writes_nothing_into_a_file_that_was_taken_back_to_base(
    path: Path, clock: ManualClock
) -> None:
    execution_id, interaction_id = await paused(path, clock)
    async with ExecutionStore(database=path, clock=clock) as store:
        await store.create_execution()
        migrations.downgrade(path, "base")
        before = dump(path)
        told = await attempts(store, execution_id, interaction_id)
        assert all(isinstance(outcome, RestpointError) for outcome in told)
        assert type(told[0]) is SchemaTooOld
        assert dump(path) == before


async def test_an_older_file_is_refused_with_the_command_to_run_and_auto_upgrades_it(
    path: Path, clock: ManualClock, tmp_path_factory: pytest.TempPathFactory
) -> None:
    execution_id, interaction_id = await paused(path, clock)
    before = tree(path.parent)
    with pytest.MonkeyPatch.context() as patch:
        next_release(patch, copied_scripts(tmp_path_factory.mktemp("next"), upto=NEWER), NEWER)
        with pytest.raises(SchemaTooOld) as raised:
            await ExecutionStore(database=path, clock=clock).open()
        assert f"restpoint db upgrade --database {path}" in str(raised.value)
        assert raised.value.code == "schema_too_old"
        assert tree(path.parent) == before, "refused, and nothing else"
        async with ExecutionStore(database=path, clock=clock, migrate="auto") as store:
            await store.resolve_interaction(execution_id, interaction_id, ADA)
            await store.set_completed(execution_id, "done")
        assert migrations.current(path) == NEWER
        assert f"notes_{NEWER}" in schema_of(path)
        assert len(list(path.parent.glob("*.bak"))) == 1
        async with ExecutionStore(database=path, clock=clock) as store:
            record = await store.get(execution_id)
            assert record is not None
            assert record.result == "done"
    with pytest.raises(SchemaTooNew):
        await ExecutionStore(database=path, clock=clock).open()


async def test_the_command_that_a_refusal_names_is_what_helps(
    path: Path, clock: ManualClock, tmp_path_factory: pytest.TempPathFactory
) -> None:
    await paused(path, clock)
    with pytest.MonkeyPatch.context() as patch:
        next_release(patch, copied_scripts(tmp_path_factory.mktemp("next"), upto=NEWER), NEWER)
        with pytest.raises(SchemaTooOld):
            await ExecutionStore(database=path, clock=clock).open()
        migrations.upgrade(path)
        async with ExecutionStore(database=path, clock=clock) as store:
            await store.create_execution()
