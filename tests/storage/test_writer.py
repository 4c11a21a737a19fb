"""Where jobs run, in which order, and what does not stop the event loop."""

import asyncio
import shutil
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from restpoint._core.changes import Change
from restpoint._core.clock import SystemClock
from restpoint._storage import history
from restpoint._storage.history import append
from restpoint._storage.sqlite import database
from restpoint._storage.sqlite.database import _LONE_BATCHES, Committed, Database, Transaction
from restpoint._storage.sqlite.guard import used_here
from restpoint.errors import ExecutionNotFound, StorageError
from restpoint.events import EventKind
from support import PATIENCE, broken_history, eventually, sql

INSERT = "INSERT INTO leases (id, host, pid, started, expires_at) VALUES (?, 'h', 1, 'x', 1)"


@pytest.fixture
def file(fresh: Path, path: Path) -> Path:
    shutil.copyfile(fresh, path)
    return path


async def opened(path: Path) -> Database:
    return await Database.open(path, SystemClock())


def emits(tx: Transaction, number: int) -> int:
    sequence = history.append(tx, EventKind.SETTING_CHANGED)
    tx.emit(Change(sequence, "e", EventKind.EXECUTION_CREATED, None, "running", number))
    return number


def thread(_: Transaction) -> int:
    return threading.get_ident()


async def test_jobs_are_committed_in_the_order_in_which_they_were_asked_for(file: Path) -> None:
    database = await opened(file)
    order: list[int] = []

    database.sink = lambda committed: order.extend(event.at for event in committed.events)

    def job(number: int) -> "asyncio.Future[int]":
        return database.write(lambda tx: emits(tx, number))

    jobs = []
    for number in range(300):
        jobs.append(job(number))
        if number % 7 == 0:
            await asyncio.sleep(0)
    assert await asyncio.gather(*jobs) == order == list(range(300))
    await database.close()


async def test_the_sink_is_told_of_a_commit_before_its_caller_is(file: Path) -> None:
    database, told = await opened(file), list[str]()
    database.sink = lambda _: told.append("sink")
    job = database.write(lambda tx: emits(tx, 1))
    job.add_done_callback(lambda _: told.append("caller"))
    await job
    assert told == ["sink", "caller"]
    await database.close()


async def test_what_was_rolled_back_is_told_to_nobody(file: Path) -> None:
    database, told = await opened(file), list[int]()
    database.sink = lambda committed: told.extend(event.at for event in committed.events)

    def fails(tx: Transaction) -> None:
        emits(tx, 2)
        raise ExecutionNotFound("nobody")

    jobs = [database.write(job) for job in (lambda tx: emits(tx, 1), fails, lambda tx: emits(tx, 3))]
    outcomes = await asyncio.gather(*jobs, return_exceptions=True)
    assert isinstance(outcomes[1], ExecutionNotFound)
    assert told == [1, 3]
    await database.close()


async def test_a_file_that_another_process_holds_does_not_stop_the_event_loop(file: Path) -> None:
    database = await opened(file)
    turns = 0
    with sql(file) as another:
        another.execute("BEGIN IMMEDIATE")
        writing = database.write(thread)
        while turns < 1_000:
            turns += 1
            await asyncio.sleep(0)
        assert not writing.done()
        another.execute("ROLLBACK")
    assert await writing != threading.get_ident()
    await database.close()


async def test_a_job_that_fails_after_it_wrote_fails_alone_and_leaves_nothing(file: Path) -> None:
    database = await opened(file)

    def fails(tx: Transaction) -> None:
        tx.execute(INSERT, (1,))
        tx.execute(INSERT, (1,))

    def works(tx: Transaction) -> None:
        tx.execute(INSERT, (2,))

    first, second = await asyncio.gather(database.write(fails), database.write(works), return_exceptions=True)
    assert isinstance(first, StorageError)
    assert second is None
    with sql(file) as look:
        assert look.execute("SELECT id FROM leases").fetchall() == [(2,)]
    await database.close()


async def test_closing_does_what_was_asked_for_while_a_batch_was_written(file: Path) -> None:
    database = await opened(file)
    entered, go = threading.Event(), threading.Event()

    def slow(_: Transaction) -> None:
        entered.set()
        assert go.wait(PATIENCE)

    first = database.write(slow)
    await asyncio.to_thread(entered.wait, PATIENCE)
    second = database.write(lambda tx: tx.execute(INSERT, (3,)).rowcount)
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(database.close())
    await asyncio.sleep(0)
    go.set()
    await closing
    await first
    assert await second == 1
    with sql(file) as look:
        assert look.execute("SELECT id FROM leases").fetchall() == [(3,)]


async def test_a_file_that_cannot_be_begun_on_is_told_to_the_caller_and_not_to_the_loop(file: Path) -> None:
    database = await opened(file)
    unheard: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
    assert database._writer is not None
    database._writer._connection.close()  # what a file that is no database any more does: not an OperationalError
    with pytest.raises(StorageError):
        await database.write(thread)
    assert unheard == []
    assert await database.write(thread) != threading.get_ident()  # on a connection of its own
    await database.close()


def test_an_interrupt_while_a_commit_is_told_keeps_no_later_job_from_being_written(file: Path) -> None:
    loop = asyncio.new_event_loop()
    database = loop.run_until_complete(opened(file))

    def interrupt(_: Committed) -> None:
        database.sink = None
        raise KeyboardInterrupt

    async def interrupted() -> None:
        database.sink = interrupt
        database.write(lambda tx: emits(tx, 1))
        await loop.create_future()

    async def later() -> None:
        job = database.write(thread)
        await asyncio.wait([job], timeout=PATIENCE)
        assert job.done()
        await asyncio.wait_for(database.delivery(), PATIENCE)

    task = loop.create_task(interrupted())
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(task)
    task.cancel()
    loop.run_until_complete(later())
    loop.run_until_complete(database.close())
    loop.close()


async def test_no_statement_outlives_the_batch_whose_job_it_was(file: Path) -> None:
    """Else it is reset when its cursor is deleted, in any thread, while the next batch has the connection."""
    database = await opened(file)
    seen: list[Transaction] = []

    def looks(tx: Transaction) -> None:
        seen.append(tx)
        assert tx.one("SELECT 1", ()) == (1,)

    def refuses(tx: Transaction) -> None:
        looks(tx)
        raise ExecutionNotFound("nobody")

    def fails(tx: Transaction) -> None:
        looks(tx)
        tx.execute(INSERT, (1,))
        tx.execute(INSERT, (1,))

    for job in (looks, refuses, fails):
        await asyncio.gather(database.write(job), return_exceptions=True)
    assert len(seen) >= 3
    for transaction in seen:
        with pytest.raises(sqlite3.ProgrammingError, match="closed cursor"):
            transaction.execute("SELECT 1", ())
    await database.close()


async def test_what_tasks_ask_for_one_after_the_other_shares_a_commit(file: Path) -> None:
    database = await opened(file)
    await database.write(thread)
    batches: list[int] = []
    database.observe(lambda jobs, _seconds, _failed: batches.append(jobs))
    jobs = []
    for _ in range(3):
        jobs.append(database.write(thread))
        await asyncio.sleep(0)
    await asyncio.gather(*jobs)
    assert batches == [3]
    await database.close()


async def test_who_asks_in_every_turn_of_the_loop_keeps_nothing_from_being_written(file: Path) -> None:
    database = await opened(file)
    turns, jobs = 0, [database.write(thread)]
    while not database._under_way:
        turns += 1
        assert turns < 10
        await asyncio.sleep(0)
        jobs.append(database.write(thread))
    await asyncio.gather(*jobs)
    await database.close()


async def test_what_is_asked_for_alone_is_not_held_back(file: Path) -> None:
    database = await opened(file)
    alone = database.write(thread)
    for _ in range(2):
        await asyncio.sleep(0)
    assert database._under_way == 1
    await alone
    await database.close()


async def alone(database: Database) -> None:
    """One job after the other, until the next one waits for no mates."""
    for _ in range(_LONE_BATCHES):
        await database.write(thread)


async def test_after_many_jobs_with_nothing_beside_them_the_next_is_handed_over_at_once(file: Path) -> None:
    database = await opened(file)
    await alone(database)
    begun = threading.Event()
    job = database.write(lambda _: begun.set())
    assert begun.wait(PATIENCE), "it waits for a turn of the loop, which this test does not give"
    await job
    await database.close()


async def test_what_is_asked_for_together_shares_a_commit_again_once_something_was(file: Path) -> None:
    database = await opened(file)
    await alone(database)
    batches: list[int] = []
    database.observe(lambda jobs, _seconds, _failed: batches.append(jobs))
    await asyncio.gather(*(database.write(thread) for _ in range(3)))
    await asyncio.gather(*(database.write(thread) for _ in range(3)))
    # The first of them may have been written before it was known that others come.
    assert sum(batches) == 6
    assert batches[-1] == 3
    await database.close()


async def test_closing_ends_where_it_is_asked_for_beside_a_batch(file: Path) -> None:
    database = await opened(file)
    writer = database._writer
    assert writer is not None
    entered, go = threading.Event(), threading.Event()

    def slow(_: Transaction) -> None:
        entered.set()
        assert go.wait(PATIENCE)

    first = database.write(slow)
    await asyncio.to_thread(entered.wait, PATIENCE)
    second = database.write(thread)
    closing = asyncio.ensure_future(database.close())
    try:
        await eventually(lambda: writer._queue.qsize() >= 2)  # the batch, and the end behind it
        go.set()
        await asyncio.wait([closing], timeout=PATIENCE)
        assert closing.done(), "the writer has not heard of its end"
    finally:
        go.set()
        writer.end()  # once more, so that a test that fails ends too
    await asyncio.gather(closing, first, second)


async def test_what_was_asked_for_in_the_turn_in_which_it_is_closed_is_done(file: Path) -> None:
    database = await opened(file)
    job = database.write(lambda tx: tx.execute(INSERT, (4,)).rowcount)
    await database.close()
    assert await asyncio.wait_for(asyncio.shield(job), PATIENCE) == 1
    with sql(file) as look:
        assert look.execute("SELECT id FROM leases").fetchall() == [(4,)]


async def test_the_history_of_a_job_that_fails_is_not_that_of_the_jobs_beside_it(file: Path) -> None:
    database = await opened(file)

    def fails(tx: Transaction) -> None:
        append(tx, EventKind.KEYS_ROTATED, cause="a lie")
        raise ExecutionNotFound("nobody")

    def works(tx: Transaction) -> int:
        return append(tx, EventKind.KEYS_ROTATED, cause="the truth")

    first, second = await asyncio.gather(database.write(fails), database.write(works), return_exceptions=True)
    assert isinstance(first, ExecutionNotFound)
    assert isinstance(second, int)
    with sql(file) as look:
        assert look.execute("SELECT sequence, cause FROM history").fetchall()[-1:] == [(second, "the truth")]
        assert look.execute("SELECT count(*) FROM history WHERE cause = 'a lie'").fetchone() == (0,)
    assert await broken_history(database) is None
    await database.close()


async def test_nobody_glances_at_another_file_that_was_put_at_the_path(file: Path) -> None:
    database = await opened(file)
    moved = shutil.move(file, file.with_name("moved.db"))
    shutil.copyfile(moved, file)
    assert database.newest() is None
    assert database._glance is not None
    assert database._glance._opening is not None
    assert await database._glance._opening is None
    assert database.newest() is None
    await database.close()


async def test_an_opening_that_was_given_up_leaves_nothing_open(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entered, go, made = (threading.Event() for _ in range(3))
    connect = database._connect

    def slowly(*arguments: Any) -> Any:
        entered.set()
        assert go.wait(PATIENCE)
        connected = connect(*arguments)
        assert used_here(file)
        made.set()
        return connected

    monkeypatch.setattr(database, "_connect", slowly)
    opening = asyncio.create_task(opened(file))
    await asyncio.to_thread(entered.wait, PATIENCE)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    go.set()
    assert await asyncio.to_thread(made.wait, PATIENCE)
    await eventually(lambda: not used_here(file))


async def test_a_database_is_closed_though_the_opening_of_its_glance_was_cancelled(file: Path) -> None:
    database = await opened(file)
    assert database.newest() is None
    glance = database._glance
    assert glance is not None
    assert glance._opening is not None
    glance._opening.cancel()
    await database.close()
    with sql(file) as another:
        assert another.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",), "nobody has the file open"


async def test_nobody_glances_at_a_file_that_was_moved_to_another_revision(file: Path) -> None:
    database = await opened(file)
    await database.write(lambda tx: append(tx, EventKind.KEYS_ROTATED))
    await eventually(lambda: database.newest() is not None)  # the first call opens the connection for it
    await asyncio.sleep(0)  # what was seen is seen for one turn of the loop
    with sql(file) as another:
        another.execute("UPDATE alembic_version SET version_num = '9999'")
    await asyncio.sleep(0)
    assert database.newest() is None
    await database.close()
