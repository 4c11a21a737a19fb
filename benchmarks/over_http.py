"""Prompt-and-answer exchanges over HTTP, beside an in-memory dict behind the same FastAPI and uvicorn in the same run.

    python benchmarks/over_http.py [--seconds 3] [--rounds 5] [--connections 1 16 64]

One exchange is three requests: start (202 with the prompt), answer (204), poll (`?wait=5`: the result). The
servers are processes of their own with equal settings and take turns, round by round; the client is plain sockets,
so that it costs little beside them. What is told is requests per second and their ratio to those of the dict (median and
quartiles), and the processor time of an exchange and its ratio, which other work on the machine changes least.

``floor`` is the dict with one row committed for each of the three changes: what anything durable costs at the least here,
where each commit is waited for by itself.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path

from http_sockets import Connection, Server  # type: ignore[import-not-found]

ORDER = json.dumps({"name": "Ada Lovelace", "amount": "120.00 EUR"}).encode()
ANSWER = json.dumps(
    {"response": {"type": "binary_choice", "selected_option": {"id": "yes", "label": "Yes", "value": "yes"}}}
).encode()


async def exchange(connection: Connection) -> int:
    """One exchange; returns how many requests it took."""
    code, content = await connection.request("POST", "/v1/workflow", ORDER)
    assert code == 202, (code, content)
    accepted = json.loads(content)
    code, content = await connection.request("POST", accepted["response_url"], ANSWER)
    assert code == 204, (code, content)
    requests = 2
    while True:
        code, content = await connection.request("GET", f"{accepted['status_url']}?wait=5")
        requests += 1
        status = json.loads(content)
        if status["status"] == "completed":
            assert status["result"] == {"refunded": True}
            return requests
        assert status["status"] == "running", status


async def load(port: int, connections: int, seconds: float) -> tuple[float, float]:
    """Exchanges and requests per second."""
    opened = [Connection(port) for _ in range(connections)]
    await asyncio.gather(*(each.open() for each in opened))
    counts = [0, 0]
    begun = time.perf_counter()

    async def drive(connection: Connection) -> None:
        while time.perf_counter() < begun + seconds:
            requests = await exchange(connection)
            counts[0] += 1
            counts[1] += requests  # not in one line with the await, which would forget what others counted meanwhile

    await asyncio.gather(*map(drive, opened))
    taken = time.perf_counter() - begun
    for each in opened:
        each.close()
    return counts[0] / taken, counts[1] / taken


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 16, 64])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        servers = {name: Server(name, Path(folder) / "restpoint.db") for name in ("in_memory", "floor", "durable")}
        try:
            for server in servers.values():
                asyncio.run(load(server.port, 4, 1.0))  # warm
            print("                          requests/s  ratio (quartiles)   processor ms/exchange  ratio")
            for connections in arguments.connections:
                rates: dict[str, list[tuple[float, float]]] = {name: [] for name in servers}
                spent: dict[str, float] = dict.fromkeys(servers, 0.0)
                for _ in range(arguments.rounds):
                    for name, server in servers.items():
                        before = server.cpu()
                        rates[name].append(asyncio.run(load(server.port, connections, arguments.seconds)))
                        spent[name] += server.cpu() - before
                cpu = {
                    name: spent[name] * 1000 / sum(rate[0] * arguments.seconds for rate in each)
                    for name, each in rates.items()
                }
                for name, each in rates.items():
                    ratios = [ours[1] / dict_[1] for dict_, ours in zip(rates["in_memory"], each, strict=True)]
                    low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
                    print(
                        f"{connections:>4} connections  {name:<9} {statistics.median(rate[1] for rate in each):>8.0f}"
                        f"  {middle:.2f}  ({low:.2f}-{high:.2f})  {cpu[name]:>21.3f}  {cpu['in_memory'] / cpu[name]:.2f}"
                    )
        finally:
            for server in servers.values():
                server.stop()


if __name__ == "__main__":
    main()
