"""Prompt-and-answer round trips per second, beside hand-written sqlite3 that writes the same rows in the same run.

    python benchmarks/roundtrip.py [--seconds 3] [--synchronous FULL NORMAL] [--in-flight 1 100 1000] [--route]

One trip is four durable transitions of one execution: create, ask, answer, complete. The baseline is what one would write
by hand: prepared SQL on one connection, the same tables, the same rows (digests of the history included), no checks, no
asyncio; it commits each transition at 1 in flight, and every IN-FLIGHT transitions beyond that. Only ratios from one run
mean anything: the machine's speed varies. See `--help`.
"""

import argparse
import asyncio
import json
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from restpoint import ExecutionStore
from restpoint._core.ids import uuid7
from restpoint._storage.sqlite import migrations
from restpoint.prompts import BinaryHumanPromptOption, HumanPromptBinary, HumanResponseBinary

sys.path.append(str(Path(__file__).parent / "servers"))
if TYPE_CHECKING:  # else only for ``--route``: benchmarks/opening.py measures what it costs to import this module
    from webhook_receiver import Receiver

YES = BinaryHumanPromptOption(id="yes", label="Yes", value="yes")
NO = BinaryHumanPromptOption(id="no", label="No", value="no")
PROMPT = HumanPromptBinary(text="May the refund of 120.00 EUR to Ada Lovelace go out?", options=[YES, NO])
RESPONSE = HumanResponseBinary(selected_option=YES)
RESULT = {"refunded": True, "amount": "120.00"}


# --- The baseline ----------------------------------------------------------------------------------------------------


class ByHand:
    """The same rows with nothing in between."""

    def __init__(self, path: Path, synchronous: str) -> None:
        migrations.upgrade(path)
        self.connection = sqlite3.connect(path, isolation_level=None, cached_statements=256)
        for pragma in (
            "journal_mode = WAL",
            f"synchronous = {synchronous}",
            "foreign_keys = ON",
            "cache_size = -16384",
        ):
            self.connection.execute(f"PRAGMA {pragma}")
        for (name,) in self.connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            self.connection.execute(f"DROP TRIGGER {name}")
        row = self.connection.execute("SELECT sequence, digest FROM history ORDER BY sequence DESC LIMIT 1").fetchone()
        self.sequence: int = row[0] if row else 0
        self.digest: bytes = row[1] if row else bytes(32)

    def history(
        self,
        execution: str,
        event: str,
        wait: str | None,
        before: str | None,
        after: str,
        detail: str | None,
        unkept: str | None = None,
    ) -> None:
        now = time.time_ns() // 1_000_000
        self.sequence += 1
        told = unkept or detail
        hashed = None if told is None else sha256(told.encode()).digest()
        columns = (self.sequence, execution, event, wait, before, after, None, None, now)
        row = "\0".join(["" if value is None else f"={value}" for value in columns])
        self.digest = sha256(self.digest + (hashed or bytes(32)) + row.encode()).digest()
        self.connection.execute(
            "INSERT INTO history VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
            (self.sequence, execution, event, wait, before, after, None, None, now, detail, hashed, self.digest),
        )

    def trip(self) -> Iterator[None]:
        """The four transitions, one at each step."""
        execute, now = self.connection.execute, time.time_ns() // 1_000_000
        execution, wait = uuid7(now, os.urandom(10)), uuid7(now, os.urandom(10))
        key = execute(
            "INSERT INTO executions (id, status, version, open_waits, lease, created_at) VALUES (?,'running',1,0,1,?)",
            (execution, now),
        ).lastrowid
        self.history(execution, "execution_created", None, None, "running", None)
        yield
        prompt = PROMPT.model_dump_json()
        asked = execute(
            "INSERT INTO interactions (execution_key, id, status, opened, prompt, created_at) VALUES (?,?,'pending',?,?,?)",
            (key, wait, self.sequence + 1, prompt, now),
        ).lastrowid
        execute(
            "UPDATE executions SET status='interaction_required', version=2, open_waits=1, lease=1 WHERE key=? AND version=1",
            (key,),
        )
        self.history(execution, "interaction_asked", wait, "running", "interaction_required", f'{{"prompt":{prompt}}}')
        yield
        response = RESPONSE.model_dump_json()
        execute(
            "UPDATE interactions SET status='answered', closed_at=?, response=? WHERE key=? AND status='pending'",
            (now, response, asked),
        )
        execute("UPDATE executions SET status='running', version=3, open_waits=0 WHERE key=? AND version=2", (key,))
        self.history(
            execution, "interaction_answered", wait, "interaction_required", "running", f'{{"response":{response}}}'
        )
        yield
        result = json.dumps(RESULT, separators=(",", ":"))
        execute(
            "UPDATE executions SET status='completed', version=4, lease=NULL, completed_at=?, expires_at=?, result=?"
            " WHERE key=? AND version=3",
            (now, now + 600_000, result, key),
        )
        self.history(execution, "execution_completed", None, "running", "completed", None, unkept=result)
        yield


def by_hand(path: Path, synchronous: str, in_flight: int, seconds: float) -> float:
    hand = ByHand(path, synchronous)
    done, began = 0, time.perf_counter()
    with closing(hand.connection):
        while (took := time.perf_counter() - began) < seconds:
            trips = [hand.trip() for _ in range(in_flight)]
            for _ in range(4):
                hand.connection.execute("BEGIN IMMEDIATE")
                for trip in trips:
                    next(trip)
                hand.connection.execute("COMMIT")
            done += in_flight
    return done / took


# --- restpoint -------------------------------------------------------------------------------------------------------


async def trip(store: ExecutionStore) -> None:
    record = await store.create_execution()
    pending = await store.set_interaction_required(record.execution_id, PROMPT)
    future = pending.future
    await store.resolve_interaction(record.execution_id, pending.interaction_id, RESPONSE)
    await future
    await store.set_completed(record.execution_id, RESULT)


async def _restpoint(
    path: Path, synchronous: str, in_flight: int, seconds: float, receiver: "Receiver | None"
) -> float:
    done = 0
    async with (
        ExecutionStore(database=path, synchronous=synchronous, ttl_seconds=600) as store,  # type: ignore[arg-type]
        telling(store, path.parent, receiver),
    ):
        began = time.perf_counter()

        async def work() -> None:
            nonlocal done
            while time.perf_counter() - began < seconds:
                await trip(store)
                done += 1

        await asyncio.gather(*(work() for _ in range(in_flight)))
        return done / (time.perf_counter() - began)


def restpoint(path: Path, synchronous: str, in_flight: int, seconds: float) -> float:
    return asyncio.run(_restpoint(path, synchronous, in_flight, seconds, None))


@asynccontextmanager
async def telling(store: ExecutionStore, folder: Path, receiver: "Receiver | None") -> AsyncIterator[None]:
    """While a webhook route is on, by which this process tells a receiver of every prompt."""
    if receiver is None:
        yield
        return
    from webhook_receiver import deliverer

    sender = await deliverer(store, folder, receiver).open()
    try:
        yield
    finally:
        await sender.close()


# --- The run ---------------------------------------------------------------------------------------------------------


def measure(
    design: Callable[[Path, str, int, float], float], synchronous: str, in_flight: int, seconds: float
) -> float:
    with tempfile.TemporaryDirectory() as folder:
        return design(Path(folder) / "restpoint.db", synchronous, in_flight, seconds)


def compare_routes(synchronous: list[str], in_flight: list[int], rounds: int, seconds: float) -> None:
    """Trips per second with a webhook route on, beside those without one."""
    from webhook_receiver import Receiver

    receiver = Receiver()

    def told(path: Path, synchronous: str, in_flight: int, seconds: float) -> float:
        return asyncio.run(_restpoint(path, synchronous, in_flight, seconds, receiver))

    try:
        print("synchronous  in flight  with route  without   ratio (median of rounds)")
        for mode in synchronous:
            for flight in in_flight:
                bare, routed = [], []
                for _ in range(rounds):
                    bare.append(measure(restpoint, mode, flight, seconds))
                    routed.append(measure(told, mode, flight, seconds))
                ratio = statistics.median(a / b for a, b in zip(routed, bare, strict=True))
                print(
                    f"{mode:<12} {flight:>9} {statistics.median(routed):>11,.0f} {statistics.median(bare):>8,.0f}   {ratio:.2f}",
                    flush=True,
                )
    finally:
        receiver.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=15, help="alternating; the median ratio is printed")
    parser.add_argument("--synchronous", nargs="+", default=["FULL", "NORMAL"])
    parser.add_argument("--in-flight", nargs="+", type=int, default=[1, 100, 1000])
    parser.add_argument(
        "--route", action="store_true", help="compare with a webhook route on and without one, and not with sqlite3"
    )
    arguments = parser.parse_args()
    if arguments.route:
        compare_routes(arguments.synchronous, arguments.in_flight, arguments.rounds, arguments.seconds)
        return
    print("synchronous  in flight  restpoint  by hand   ratio (median of rounds)")
    for synchronous in arguments.synchronous:
        for in_flight in arguments.in_flight:
            ours, theirs = [], []
            for _ in range(arguments.rounds):
                theirs.append(measure(by_hand, synchronous, in_flight, arguments.seconds))
                ours.append(measure(restpoint, synchronous, in_flight, arguments.seconds))
            ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
            print(
                f"{synchronous:<12} {in_flight:>9} {statistics.median(ours):>10,.0f} {statistics.median(theirs):>8,.0f}"
                f"   {ratio:.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
