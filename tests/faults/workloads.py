"""What the processes of the fault tests do. Each coroutine is the life of one; ``harness.py`` starts and ends it."""

import asyncio
import os
import signal
import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any, Final

from faults.harness import Link
from restpoint import ExecutionRecord, ExecutionStore
from restpoint.errors import InteractionAlreadyResolved, NotFound, Refused
from restpoint.prompts import HumanPromptText, HumanResponseText
from support import file_of

QUESTION: Final = HumanPromptText(text="Which way?")


# --- Row 1 -----------------------------------------------------------------------------------------------------------


class _Mix:
    """Executions on every way through the lifecycle, each step told once it is acknowledged."""

    def __init__(self, store: ExecutionStore, link: Link, random: Random) -> None:
        self.store = store
        self.link = link
        self.random = random

    async def create(self, workflow: str = "mixed") -> str:
        execution_id = (await self.store.create_execution(workflow=workflow)).execution_id
        self.link.tell("execution_created", execution_id, None, "running", None)
        return execution_id

    async def ask(self, execution_id: str) -> str:
        pending = await self.store.set_interaction_required(execution_id, QUESTION)
        self.link.tell("interaction_asked", execution_id, pending.interaction_id, None, None)
        return pending.interaction_id

    async def answer(self, execution_id: str, wait_id: str) -> None:
        text = f"{self.random.random()} {'x' * self.random.choice([1, 100, 5_000])}"
        await self.store.resolve_interaction(execution_id, wait_id, HumanResponseText(text=text), actor="ada")
        self.link.tell("interaction_answered", execution_id, wait_id, None, text)

    async def ask_and_answer(self, execution_id: str) -> None:
        await self.answer(execution_id, await self.ask(execution_id))

    async def complete(self, execution_id: str) -> None:
        result = {"number": self.random.random()}
        await self.store.set_completed(execution_id, result)
        self.link.tell("execution_completed", execution_id, None, "completed", result)

    async def fail(self, execution_id: str) -> None:
        await self.store.set_failed(execution_id, "It failed.", code="planned")
        self.link.tell("execution_failed", execution_id, None, "failed", None)

    async def cancel(self, execution_id: str) -> None:
        await self.store.cancel(execution_id, "no longer wanted")
        self.link.tell("execution_cancelled", execution_id, None, "cancelled", None)

    async def write(self) -> None:
        """One execution after the other, for ever."""
        ends: list[Callable[[str], Awaitable[None]]] = [self.complete, self.complete, self.fail, self.cancel]
        while True:
            way = self.random.randrange(6)
            if way == 0:  # left for whoever comes after
                await self.ask(await self.create("left"))
                continue
            execution_id = await self.create()
            if way == 1:  # several prompts at once
                await asyncio.gather(*(self.ask_and_answer(execution_id) for _ in range(3)))
            elif way == 2:  # a prompt beside a consent, both withdrawn
                await self.store.set_oauth_required(execution_id, "https://provider.example/authorize", "state")
                await self.ask(execution_id)
                await self.store.set_running(execution_id)
            elif way == 3:  # ended while it waits
                await self.ask(execution_id)
                await self.random.choice([self.fail, self.cancel])(execution_id)
                continue
            else:
                await self.ask_and_answer(execution_id)
            await self.random.choice(ends)(execution_id)

    async def sweep(self) -> None:
        """Sweep every few milliseconds."""
        while True:
            swept = await self.store.cleanup_expired()
            if swept:
                self.link.tell("swept", None, None, None, swept)
            await asyncio.sleep(0.005)

    async def inherit(self) -> None:
        """Go on with what others left: fail what ran in a dead process, answer what waits. Others may do the same."""
        for failed in await self.store.recover():
            self.link.tell("execution_failed", failed.execution_id, None, "failed", None)
        left = await self.store.list(status="interaction_required", workflow="left", limit=20)
        for summary in left.items:
            record = await self.store.get(summary.execution_id)
            if record is None:
                continue
            try:
                for pending in record.pending_interactions:
                    await self.answer(record.execution_id, pending.interaction_id)
                await self.fail(record.execution_id)
            except (Refused, NotFound):
                continue


async def vote_until_killed(link: Link, path: str, execution_id: str, wait_id: str, voter: str, is_told: bool) -> None:
    """Vote, and say so before or after it is acknowledged; then wait to be killed."""
    async with ExecutionStore(database=path) as store:
        await store.get(execution_id)
        vote = store.resolve_interaction(execution_id, wait_id, HumanResponseText(text="north"), actor=voter)
        if is_told:
            await vote
            link.tell("voted")
        else:
            voting = asyncio.ensure_future(vote)
            link.tell("voting")
            await voting
        await link.hear()


async def leave_running(link: Link, path: str) -> None:
    """Two executions that run, until the test kills this process."""
    async with ExecutionStore(database=path) as store:
        link.tell(*[(await store.create_execution()).execution_id for _ in range(2)])
        await link.hear()


async def mixed(link: Link, path: str, seed: int, writers: int) -> None:
    ttl = {"completed": 0, "failed": 0.02, "cancelled": None}
    async with ExecutionStore(ttl, database=path, sweep_interval_seconds=0.02) as store:
        mix = _Mix(store, link, Random(seed))
        await asyncio.gather(mix.inherit(), mix.sweep(), *(mix.write() for _ in range(writers)))


# --- Row 3 -----------------------------------------------------------------------------------------------------------


async def answer_and_die_before_waking(
    link: Link, path: str, text: str, execution_id: str | None = None, wait_id: str | None = None
) -> None:
    """Answer a prompt, one's own where none is given, and die once COMMIT has returned and nobody has been told."""
    async with ExecutionStore(database=path) as store:
        record: ExecutionRecord | None = None
        if execution_id is None:
            record = await store.create_execution()
            execution_id = record.execution_id
        if wait_id is None:
            wait_id = (await store.set_interaction_required(execution_id, QUESTION)).interaction_id
            record = await store.get(execution_id)
            assert record is not None
            assert record.pending_interaction is not None
            record.pending_interaction.future.add_done_callback(lambda _: link.tell("woken"))
        writer = file_of(store).database._writer
        assert writer is not None
        tell = writer._tell

        def die(batch: list[Any], spans: list[tuple[int, int]]) -> None:
            # Another connection sees the answer: COMMIT is over. Other batches, such as a lease's, pass.
            with closing(sqlite3.connect(path)) as connection:
                answered = connection.execute("SELECT status FROM interactions WHERE id = ?", (wait_id,)).fetchall()
            if answered == [("answered",)]:
                os.kill(os.getpid(), signal.SIGKILL)
            tell(batch, spans)

        writer._tell = die
        link.tell("answering", execution_id, wait_id)
        await store.resolve_interaction(execution_id, wait_id, HumanResponseText(text=text))
        link.tell("acknowledged")


async def find_the_answer(link: Link, path: str, execution_id: str, wait_id: str, text: str) -> None:
    """After a restart: what became of the prompt, and how long finding out took, opening included."""
    begun = time.monotonic()
    async with ExecutionStore(database=path) as store:
        record = await store.get(execution_id)
        assert record is not None
        answers = [
            entry.detail["response"]["text"]
            for entry in await store.history(execution_id)
            if entry.event == "interaction_answered"
        ]
        took = time.monotonic() - begun
        await store.resolve_interaction(execution_id, wait_id, HumanResponseText(text=text))
        try:
            await store.resolve_interaction(execution_id, wait_id, HumanResponseText(text="something else"))
        except InteractionAlreadyResolved:
            link.tell(
                "found",
                record.status,
                [pending.interaction_id for pending in record.pending_interactions],
                answers,
                took,
            )
        else:
            link.tell("overwritten")


# --- Row 4 -----------------------------------------------------------------------------------------------------------


async def race(link: Link, path: str, name: str, answers: int) -> None:
    """For each prompt that the test names, answer it many times at once; tell how each answer fared."""
    async with ExecutionStore(database=path) as store:
        link.tell("ready")
        while (prompt := await link.hear()) is not None:
            execution_id, wait_id = prompt
            texts = [f"{name}{index}" for index in range(answers)]
            link.tell(*await answer_at_once(store, execution_id, wait_id, texts))


async def answer_at_once(
    store: ExecutionStore, execution_id: str, wait_id: str, texts: list[str]
) -> list[tuple[str, str]]:
    """Each text with what its caller was told: ``won``, or the name of the error."""

    async def answer(text: str) -> tuple[str, str]:
        try:
            await store.resolve_interaction(execution_id, wait_id, HumanResponseText(text=text))
        except Exception as error:
            return text, type(error).__name__
        return text, "won"

    return list(await asyncio.gather(*(answer(text) for text in texts)))


# --- Row 5 -----------------------------------------------------------------------------------------------------------


LEAST_TURNS: Final = 8
"""Turns of a writer, of which every fourth is on the shared execution, however little of the machine it gets."""


async def contend(link: Link, path: str, shared: str, writers: int, seconds: float) -> None:
    """Write as fast as the file takes it, on executions of one's own and on one that everybody writes to."""
    acknowledged: list[tuple[Any, ...]] = []
    took: list[float] = []

    async def timed(write: Awaitable[Any]) -> Any:
        begun = time.monotonic()
        result = await write
        took.append(time.monotonic() - begun)
        return result

    async with ExecutionStore({"completed": None}, database=path) as store:

        async def write(name: int) -> None:
            count = 0
            while time.monotonic() < end or count < LEAST_TURNS:
                count += 1
                ours = count % 4 == 0
                execution_id = shared if ours else (await timed(store.create_execution())).execution_id
                if not ours:
                    acknowledged.append(("execution_created", execution_id, None, "running", None))
                wait_id = (await timed(store.set_interaction_required(execution_id, QUESTION))).interaction_id
                acknowledged.append(("interaction_asked", execution_id, wait_id, "interaction_required", None))
                text = f"{os.getpid()} {name} {count}"
                await timed(store.resolve_interaction(execution_id, wait_id, HumanResponseText(text=text)))
                acknowledged.append(("interaction_answered", execution_id, wait_id, None, text))
                if not ours:
                    await timed(store.set_completed(execution_id, count))
                    acknowledged.append(("execution_completed", execution_id, None, "completed", count))

        link.tell("ready")
        await link.hear()
        end = time.monotonic() + seconds
        await asyncio.gather(*(write(name) for name in range(writers)))
    link.tell("took", took)
    link.tell_all(acknowledged)


# --- Row 12 ----------------------------------------------------------------------------------------------------------


def resident() -> int:
    """Bytes of this process in memory."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS in /proc/self/status")


async def answer_some(link: Link, path: str, every: int, at_once: int) -> None:
    """In a process that has just begun: open a file with many prompts; answer some, awaiting each one's future."""
    begun = time.monotonic()
    async with ExecutionStore(database=path) as store:
        opened = time.monotonic() - begun
        memory = resident()
        with closing(sqlite3.connect(path)) as connection:
            every_one = connection.execute(
                "SELECT execution_id, wait_id FROM open_waits ORDER BY execution_id"
            ).fetchall()
        prompts = every_one[::every]

        async def answer(execution_id: str, wait_id: str) -> bool:
            record = await store.get(execution_id)
            assert record is not None
            (pending,) = record.pending_interactions
            assert pending.interaction_id == wait_id
            future = pending.future
            await store.resolve_interaction(execution_id, wait_id, HumanResponseText(text=execution_id))
            return (await future) == HumanResponseText(text=execution_id) and record.status == "running"

        begun = time.monotonic()
        answered = 0
        for first in range(0, len(prompts), at_once):
            answered += sum(await asyncio.gather(*(answer(*prompt) for prompt in prompts[first : first + at_once])))
        took = time.monotonic() - begun
        link.tell(opened, memory, answered, took)


# --- Row 2 -----------------------------------------------------------------------------------------------------------


async def lifecycle(link: Link, path: str, opened: bool) -> None:
    """One whole life of a file to its closing, from where the test says so: before its opening, or after."""
    store = ExecutionStore({"completed": 0, "failed": None}, database=path, sweep_interval_seconds=1e6)
    if opened:
        await store.open()
    link.tell("ready")
    await link.hear()
    async with store:
        mix = _Mix(store, link, Random(2))
        first, second = await mix.create(), await mix.create()
        await mix.ask_and_answer(first)
        await asyncio.gather(*(mix.ask_and_answer(second) for _ in range(3)))
        await mix.complete(first)
        await store.set_oauth_required(second, "https://provider.example/authorize", "state")
        await store.set_running(second)
        await mix.fail(second)
        await mix.cancel(await mix.create())
        await mix.ask(await mix.create())
        link.tell("swept", None, None, None, await store.cleanup_expired())
    link.tell("closed")
