"""FAULTS row 30: SIGTERM while people ask and answer. Gone within 5 seconds, and whatever was accepted is recorded.

The others of that row: an exchange in ``tests/oauth/test_consent_kills.py``, a migration in ``test_migration_kill.py``.
"""

import asyncio
import json
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random

import httpx
import pytest

from faults.harness import problems
from served import PATIENCE, TARGET, Served, served
from support import folded_statuses, rows

PEOPLE = 8


class Crowd:
    """People who start workflows and answer them, as fast as they are answered; and what the server said yes to."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.started: list[str] = []
        self.answered: list[tuple[str, str]] = []
        self.cut_off: Counter[str] = Counter()
        self._going_on = True
        self._told_to_end = False

    async def person(self, number: int) -> None:
        async with httpx.AsyncClient(base_url=self.url, timeout=PATIENCE) as http:
            turn = 0
            while self._going_on:
                turn += 1
                name, doing = f"{number}-{turn}", "starting"
                try:
                    begun = await http.post("/v1/workflows/greet", json=name)
                    assert begun.status_code in {202, 503}, begun.text
                    if begun.status_code != 202:
                        continue
                    told = begun.json()
                    self.started.append(told["execution_id"])
                    if "response_url" not in told:  # it was told to end before the prompt was there, or is very slow
                        self.cut_off["waiting"] += self._told_to_end
                        continue
                    doing = "answering"
                    answer = {"response": {"type": "text", "text": name}}
                    reply = await http.post(told["response_url"], json=answer)
                    assert reply.status_code in {204, 503}, reply.text
                    if reply.status_code == 204:
                        self.answered.append((told["interaction_id"], name))
                except httpx.TransportError:
                    self.cut_off[doing] += 1
                    return

    async def until_it_ends(self, server: Served, after: int) -> float:
        """Have it told to end once this many were answered, in the middle of what they do; how long it took, in seconds."""
        people = [asyncio.create_task(self.person(number)) for number in range(PEOPLE)]
        async with asyncio.timeout(PATIENCE):
            while len(self.answered) < after:
                assert not any(person.done() for person in people), "someone was cut off before"
                await asyncio.sleep(0.001)
        self._told_to_end = True
        code, took = await asyncio.to_thread(server.end)
        self._going_on = False
        await asyncio.gather(*people)
        assert code == 0
        return took


async def told_to_end(folder: Path, rounds: int, workers: str, random: Random) -> float:
    """Returns the most seconds that a server took to end."""
    (folder / "target.py").write_text(TARGET)
    path = folder / "restpoint.db"
    cut_off: Counter[str] = Counter()
    longest, asked, answered, number = 0.0, 0, 0, 0
    # A few may all be told in an instant in which nobody waits for a reply.
    while number < rounds or (not cut_off.total() and number < 10 * rounds):
        number += 1
        with served("target.py", folder, "--workers", workers, "--ttl", "never") as server:
            crowd = Crowd(server.url)
            longest = max(longest, await crowd.until_it_ends(server, random.randrange(1, 40)))
            assert [line for line in server.said if not line.startswith("Serving ")] == []
        stored = dict(rows(path, "SELECT id, status FROM executions"))
        assert set(crowd.started) <= stored.keys()
        given = {
            wait: json.loads(text)["text"]
            for wait, text in rows(path, "SELECT id, response FROM interactions WHERE response IS NOT NULL")
        }
        assert [given.get(wait) for wait, _ in crowd.answered] == [text for _, text in crowd.answered]
        assert problems(path, []) == []
        assert folded_statuses(path) == stored
        cut_off += crowd.cut_off
        asked, answered = asked + len(crowd.started), answered + len(crowd.answered)
    assert cut_off.total(), "nobody was in the middle of anything"
    print(
        f"\n{number} times SIGTERM: {asked} starts and {answered} answers accepted, 0 lost; {dict(cut_off)} cut off; "
        f"gone after {longest:.2f} s at most"
    )
    return longest


BLOCKING = """
import asyncio, time
from pathlib import Path
from restpoint import Context, workflow

def sleep() -> None:
    Path("begun").touch()
    time.sleep(3600)

async def block() -> None:
    sleep()

async def use_the_pool_of_asyncio() -> None:
    await asyncio.to_thread(sleep)

@workflow
async def in_a_thread(ctx: Context) -> None:
    await ctx.step(sleep)

@workflow
async def on_the_loop(ctx: Context) -> None:
    await ctx.step(block)

@workflow
async def in_the_pool(ctx: Context) -> None:
    await ctx.step(use_the_pool_of_asyncio)
"""


def _told_to_end_while_blocked(folder: Path, workflow: str, workers: str) -> tuple[float, list[str]]:
    """How many seconds the server took to end, and what it said."""
    (folder / "blocking.py").write_text(BLOCKING)
    begun = folder / "begun"
    with served("blocking.py", folder, "--workers", workers) as server:
        with suppress(httpx.TimeoutException):  # one that blocks the loop does not answer
            httpx.post(f"{server.url}/v1/workflows/{workflow}?wait=0", json=None, timeout=0.5)
        give_up = time.monotonic() + PATIENCE
        while not begun.exists():
            assert time.monotonic() < give_up
            time.sleep(0.01)
        code, took = server.end()
    begun.unlink()
    assert code == 0
    assert problems(folder / "restpoint.db", []) == []
    return took, [line for line in server.said if not line.startswith("Serving ")]


def test_a_server_that_is_told_to_end_does_not_wait_for_a_sync_step_and_its_run_counts_no_death(tmp_path: Path) -> None:
    _, said = _told_to_end_while_blocked(tmp_path, "in_a_thread", "1")
    assert said == []
    path = tmp_path / "restpoint.db"
    ((status, attempts, lease, wake_at),) = rows(path, "SELECT status, attempts, lease, wake_at FROM executions")
    assert (status, attempts, lease) == ("running", 0, None)
    assert wake_at, "nobody begins the step again while the thread may still be at it"


def test_a_server_that_is_told_to_end_while_a_step_blocks_its_loop_ends_and_says_so(tmp_path: Path) -> None:
    _, said = _told_to_end_while_blocked(tmp_path, "on_the_loop", "1")
    assert len(said) == 1
    assert "something blocks this process" in said[0]


@pytest.mark.deep
@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("workflow", ["in_a_thread", "on_the_loop", "in_the_pool"])
def test_a_blocked_server_that_is_told_to_end_is_gone_within_five_seconds(
    tmp_path: Path, workflow: str, workers: str
) -> None:
    took = [_told_to_end_while_blocked(tmp_path, workflow, workers)[0] for _ in range(3)]
    print(f"\n{workflow}, {workers} processes: gone after {max(took):.2f} s at most")
    assert max(took) < 5


async def test_a_server_that_is_told_to_end_has_recorded_every_start_and_answer_that_it_accepted(
    tmp_path: Path,
) -> None:
    await told_to_end(tmp_path, 1, "1", Random())


@pytest.mark.deep
@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_server_that_is_told_to_end_fifty_times_has_recorded_all_that_it_accepted(
    tmp_path: Path, workers: str
) -> None:
    assert await told_to_end(tmp_path, 50, workers, Random()) < 5
