"""Notices by webhook to a local receiver: how many a minute, and what processor time each of them takes.

    python benchmarks/notices.py [--per-minute 10000] [--seconds 30] [--backlog 5000] [--ed25519]

First prompts are asked at an even rate while the same process delivers their notices: what is delivered, how far behind, and how
many processor cores the process takes; beside it the same prompts without a route, so that the difference is what telling costs.
Then a backlog is delivered as quickly as it goes. The receiver is another process, which verifies nothing; its own processor
time is printed too. See `--help`.
"""

import argparse
import asyncio
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from restpoint import ExecutionStore
from restpoint.notify import signatures
from restpoint.notify.deliverer import Deliverer
from restpoint.prompts import BinaryHumanPromptOption, HumanPromptBinary

sys.path.append(str(Path(__file__).parent / "servers"))
from webhook_receiver import Receiver, deliverer

PROMPT = HumanPromptBinary(
    text="May the refund of 120.00 EUR to Ada Lovelace go out?",
    options=[
        BinaryHumanPromptOption(id="yes", label="Yes", value="yes"),
        BinaryHumanPromptOption(id="no", label="No", value="no"),
    ],
)


@dataclass
class Taken:
    """What a run took: seconds, and processor seconds of the sender and of the receiver."""

    seconds: float
    sender: float
    receiver: float

    @classmethod
    def since(cls, receiver: Receiver, before: "Taken | None" = None) -> "Taken":
        """What was taken so far, or since then."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        now = cls(time.perf_counter(), used.ru_utime + used.ru_stime, receiver.processor_seconds())
        if before is None:
            return now
        return cls(now.seconds - before.seconds, now.sender - before.sender, now.receiver - before.receiver)


async def ask(store: ExecutionStore, per_minute: int, seconds: float) -> int:
    """Ask prompts at an even rate, and return how many."""
    began, asked = time.perf_counter(), 0
    asking: set[asyncio.Task[None]] = set()
    while (passed := time.perf_counter() - began) < seconds:
        while asked < passed * per_minute / 60:
            task = asyncio.create_task(one(store))
            asking.add(task)
            task.add_done_callback(asking.discard)
            asked += 1
        await asyncio.sleep(60 / per_minute)
    await asyncio.gather(*asking)
    return asked


async def one(store: ExecutionStore) -> None:
    """Ask one prompt."""
    record = await store.create_execution()
    await store.set_interaction_required(record.execution_id, PROMPT)


def delivered(sender: Deliverer) -> int:
    """How many notices the receiver has."""
    return sender.outcomes["local", "delivered"]


async def all_delivered(sender: Deliverer, count: int) -> None:
    """Return once the receiver has so many."""
    while delivered(sender) < count:  # noqa: ASYNC110 - it counts, and tells nobody
        await asyncio.sleep(0.005)


async def steady(receiver: Receiver, secret: str, per_minute: int, seconds: float) -> None:
    """Ask and tell at an even rate, beside asking alone."""
    with tempfile.TemporaryDirectory() as folder:
        async with ExecutionStore(database=Path(folder) / "restpoint.db", ttl_seconds=600) as store:
            before = Taken.since(receiver)
            asked = await ask(store, per_minute, seconds / 3)
            alone = Taken.since(receiver, before).sender / asked
            sender = await deliverer(store, Path(folder), receiver, secret).open()
            before = Taken.since(receiver)
            asked = await ask(store, per_minute, seconds)
            behind = asked - delivered(sender)
            await all_delivered(sender, asked)
            took = Taken.since(receiver, before)
            failed = sender.outcomes["local", "failed"]
            await sender.close()
    print(
        f"steady: {asked * 60 / took.seconds:,.0f} a minute; {behind} behind at the end, {failed} failed\n"
        f"  processor: sender {took.sender / took.seconds:.2f} cores, receiver {took.receiver / took.seconds:.2f} cores\n"
        f"  a notice: {1000 * (took.sender / asked - alone):.2f} ms of the sender beside asking ({1000 * alone:.2f} ms)",
        flush=True,
    )


async def drained(receiver: Receiver, secret: str, backlog: int) -> None:
    """Tell what has waited, as quickly as it goes."""
    with tempfile.TemporaryDirectory() as folder:
        async with ExecutionStore(database=Path(folder) / "restpoint.db", ttl_seconds=600) as store:
            sender = await deliverer(store, Path(folder), receiver, secret).open()
            await sender.close()  # the file has the route, and nobody delivers
            for _ in range(backlog // 100):
                await asyncio.gather(*(one(store) for _ in range(100)))
            sender = deliverer(store, Path(folder), receiver, secret)
            before = Taken.since(receiver)
            await sender.open()
            await all_delivered(sender, backlog // 100 * 100)
            took = Taken.since(receiver, before)
            await sender.close()
    print(
        f"backlog: {backlog * 60 / took.seconds:,.0f} a minute\n"
        f"  processor: sender {took.sender / took.seconds:.2f} cores, receiver {took.receiver / took.seconds:.2f} cores\n"
        f"  a notice: {1000 * took.sender / backlog:.2f} ms of the sender",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--per-minute", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--backlog", type=int, default=5_000)
    parser.add_argument("--ed25519", action="store_true", help="sign with a key and not with a shared secret")
    arguments = parser.parse_args()
    secret = signatures.new_private_key() if arguments.ed25519 else signatures.new_secret()
    receiver = Receiver()
    try:
        asyncio.run(steady(receiver, secret, arguments.per_minute, arguments.seconds))
        asyncio.run(drained(receiver, secret, arguments.backlog))
    finally:
        receiver.close()


if __name__ == "__main__":
    main()
