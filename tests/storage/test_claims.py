"""Whoever lost a run, or an execution, writes nothing of it any more: claims by their epoch, executions by their lease."""

from functools import partial
from pathlib import Path

import pytest

from restpoint import Context, ExecutionStore, Runner, workflow
from restpoint._core.execution_row import ExecutionRow
from restpoint._core.retention_rules import FOREVER
from restpoint._storage import claims, executions, leases
from restpoint._storage.sqlite.database import Database, Transaction
from restpoint.errors import LeaseLost
from support import file_of, rows, sql


@workflow("claimed", version=1)
async def claimed(ctx: Context) -> None:
    """Nobody here runs it."""


def database_of(store: ExecutionStore) -> Database:
    return file_of(store).database


def claim(tx: Transaction, lease: int) -> leases.Claim:
    (one,) = claims.claim(tx, lease, ["claimed@1"], most=1, suspects=1, max_attempts=5, keeping=FOREVER)
    return one


async def test_a_claim_that_was_lost_writes_nothing_also_where_its_own_lease_claimed_the_run_again(
    store: ExecutionStore,
) -> None:
    database = database_of(store)
    async with Runner(store, [claimed], concurrency=0) as runner:
        await runner.start("claimed")
        lease = await database.write(lambda tx: leases.take(tx, leases.this_process()))
        other = await database.write(lambda tx: leases.take(tx, leases.this_process()))

        def lose_and_claim_again(tx: Transaction) -> tuple[leases.Claim, leases.Claim]:
            first = claim(tx, lease)
            assert claims.fence(tx, first)[1] == "running"
            tx.execute("UPDATE leases SET expires_at = 0 WHERE id = ?", (lease,))  # it stood still
            claims.inherit(tx, other)
            leases.renew(tx, lease, leases.this_process(), leases.Standing())
            return first, claim(tx, lease)

        first, second = await database.write(lose_and_claim_again)
        assert (first.lease, first.epoch) == (second.lease, second.epoch - 1)
        await database.write(partial(claims.fence, run=second))
        with pytest.raises(LeaseLost):
            await database.write(partial(claims.fence, run=first))


async def test_only_the_death_of_its_process_counts_as_an_attempt_of_a_run(store: ExecutionStore, path: Path) -> None:
    database = database_of(store)
    async with Runner(store, [claimed], concurrency=0) as runner:
        await runner.start("claimed")
        lease, other = [await database.write(lambda tx: leases.take(tx, leases.this_process())) for _ in range(2)]
        for spoil, attempts, is_left in (
            ("expires_at = 0", 0, True),
            ("expires_at = 0, started = started - 1", 1, False),
        ):
            await database.write(lambda tx: leases.renew(tx, lease, leases.this_process(), leases.Standing()))
            await database.write(lambda tx: claim(tx, lease))
            assert not await leases.any_lost(database, 0, other)
            with sql(path) as connection:
                connection.execute(f"UPDATE leases SET {spoil} WHERE id = ?", (lease,))
            assert await leases.any_lost(database, 1, other)
            await database.write(partial(claims.inherit, own=other))
            assert not await leases.any_lost(database, 1, other)
            assert rows(path, "SELECT lease, ready, attempts FROM executions") == [(None, 1, attempts)]
            assert bool(rows(path, f"SELECT id FROM leases WHERE id = {lease}")) is is_left
    told = "SELECT cause, json_extract(detail, '$.attempt') FROM history WHERE event = 'execution_recovered' ORDER BY sequence"
    assert rows(path, told) == [("its process stood still", 0), ("its process is gone", 1)]


async def test_an_execution_that_was_taken_over_meanwhile_is_not_failed_by_a_recovery(store: ExecutionStore) -> None:
    database = database_of(store)
    dead, heir = [await database.write(lambda tx: leases.take(tx, leases.this_process())) for _ in range(2)]

    def recover_too_late(tx: Transaction) -> tuple[bool, bool]:
        executions.create(tx, ExecutionRow("e", "running", lease=dead), None)
        tx.execute("UPDATE leases SET expires_at = 0, started = NULL WHERE id = ?", (dead,))
        assert leases.take_over(tx, ["e"], heir) == [leases.Claim("e", heir, 1)]
        too_late = executions.interrupt(tx, "e", dead, 0, "its process is gone", FOREVER)
        assert executions.read(tx, "e").status == "running"
        in_time = executions.interrupt(tx, "e", heir, 1, "its process is gone", FOREVER)
        return too_late, in_time

    assert await database.write(recover_too_late) == (False, True)
