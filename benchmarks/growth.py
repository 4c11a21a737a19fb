"""How the cost of a round trip holds as the file grows, and how large a finished execution is in it.

    python benchmarks/growth.py [--executions 1000 100000 1000000] [--rounds 15] [--seconds 0.5]

Trips (create, ask, answer, complete) per second through the store, IN-FLIGHT at once, on files that hold so many finished
executions already. In each round every file gets one short slice, in an order that turns, and what counts is the median
over the rounds of its rate divided by the rate of the smallest file in the same round: the machine's speed varies, and only
slices that lie next to each other compare. The smallest file is copied afresh for each slice, so that it stays small.
The prefilled rows are those that the store writes (see `roundtrip.py`); the last line is of a file that only the store wrote.
"""

import argparse
import asyncio
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from prefill import FINISHED, prefill, used_bytes  # type: ignore[import-not-found]
from roundtrip import trip  # type: ignore[import-not-found]

from restpoint import ExecutionStore
from restpoint._storage.sqlite import migrations

NEVER = 10 * 366 * 24 * 3600.0  # seconds until the sweep, which would take what a slow machine prefilled long ago


async def _slice(path: Path, in_flight: int, seconds: float) -> float:
    """Trips per second, after a warm-up of the same length: a store just opened has nothing in its cache."""
    async with ExecutionStore(database=path, synchronous="FULL", sweep_interval_seconds=NEVER) as store:
        warm = time.perf_counter() + seconds
        end = warm + seconds
        done = 0

        async def work() -> None:
            nonlocal done
            while (now := time.perf_counter()) < end:
                await trip(store)
                done += now >= warm

        await asyncio.gather(*(work() for _ in range(in_flight)))
        return done / (time.perf_counter() - warm)


async def _trips(path: Path, count: int, in_flight: int) -> None:
    async with ExecutionStore(database=path, sweep_interval_seconds=NEVER) as store:
        left = iter(range(count))

        async def work() -> None:
            for _ in left:
                await trip(store)

        await asyncio.gather(*(work() for _ in range(in_flight)))


def growth(folder: Path, sizes: list[int], rounds: int, seconds: float, in_flight: int) -> None:
    files = {size: folder / f"{size}.db" for size in sizes}
    bytes_each = {}
    migrations.upgrade(folder / "empty.db")
    empty = used_bytes(folder / "empty.db")
    for size, path in files.items():
        began = time.perf_counter()
        prefill(path, size, FINISHED)
        bytes_each[size] = (used_bytes(path) - empty) / size
        print(f"prefilled {size:,} in {time.perf_counter() - began:.0f} s", flush=True)
    smallest = min(sizes)
    rates: dict[int, list[float]] = {size: [] for size in sizes}
    for number in range(rounds):
        turn = number % len(sizes)
        for size in sizes[turn:] + sizes[:turn]:
            path = files[size]
            if size == smallest:
                path = folder / "copy.db"
                shutil.copyfile(files[size], path)
            rates[size].append(asyncio.run(_slice(path, in_flight, seconds)))
    print(f"\n{'executions':>12} {'trips/s':>9} {'ratio':>7} {'quartiles':>14} {'bytes each':>12}")
    for size in sizes:
        ratios = [a / b for a, b in zip(rates[size], rates[smallest], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4) if rounds > 1 else ratios * 3
        print(
            f"{size:>12,} {statistics.median(rates[size]):>9,.0f} {middle:>7.2f} {f'{low:.2f} to {high:.2f}':>14}"
            f" {bytes_each[size]:>12,.0f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executions", nargs="+", type=int, default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each slice, after as long a warm-up")
    parser.add_argument("--in-flight", type=int, default=100)
    parser.add_argument("--written", type=int, default=20_000, help="trips of the file that only the store writes")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        growth(folder, arguments.executions, arguments.rounds, arguments.seconds, arguments.in_flight)
        path = folder / "written.db"
        asyncio.run(_trips(path, arguments.written, arguments.in_flight))
        each = (used_bytes(path) - used_bytes(folder / "empty.db")) / arguments.written
        print(f"\n{arguments.written:,} executions written by the store: {each:,.0f} bytes each, history included")


if __name__ == "__main__":
    main()
