"""What the processes of the runner's fault tests do. Each coroutine is the life of one; ``harness.py`` starts and ends it.

A *program* is a workflow that does what a seed says: it asks, steps, sleeps, emits and notifies, one after the other, beside
each other, and in races. Its result says what it was given, so that whoever knows the seed knows what must be in it.
"""

import asyncio
import contextlib
import os
import resource
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final
from unittest.mock import patch

from faults.harness import Link
from restpoint import Context, ExecutionRecord, ExecutionStore, Runner, workflow
from restpoint._engine.run import Run
from restpoint._engine.steps import step_key
from restpoint._storage import leases
from restpoint._storage.sqlite.database import Committed
from restpoint.errors import NotFound, Refused, StorageError
from restpoint.lifecycle import TERMINAL
from restpoint.prompts import HumanPromptText, HumanResponseText
from support import eventually, sought

DEFAULT: Final = "nobody said"


def reply_to(question: str) -> str:
    """What everybody answers to a question, so that an answer tells which one it was given to."""
    return f"reply to {question}"


def note(effects: str, *words: object) -> None:
    """An effect outside the file: a line that is there when this returns, whatever happens to this process then."""
    descriptor = os.open(effects, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(descriptor, (" ".join(map(str, words)) + "\n").encode())
    finally:
        os.close(descriptor)


# --- Programs --------------------------------------------------------------------------------------------------------


def _effect(effects: str, tag: str) -> list[Any]:
    note(effects, step_key(), os.getpid(), tag)
    return [tag, os.getpid()]


async def _slow_effect(effects: str, tag: str) -> list[Any]:
    await asyncio.sleep(0.004)
    return _effect(effects, tag)


class _Program:
    """One execution's way through its seed. Everything random comes from the seed, so every replay goes the same way."""

    def __init__(self, ctx: Context, seed: int, effects: str) -> None:
        self.ctx = ctx
        self.random = Random(seed)
        self.effects = effects
        self.said: list[Any] = []

    async def _ask(self, tag: str, **terms: Any) -> list[Any]:
        response = await self.ctx.ask(HumanPromptText(text=tag), **terms)
        return ["asked", tag, response.text]

    async def _step(self, tag: str) -> list[Any]:
        function: Callable[..., Any] = _effect if ord(tag[-1]) % 2 else _slow_effect
        told, pid = await self.ctx.step(function, self.effects, tag)
        return ["stepped", tag, told, pid]

    async def _sleep(self, tag: str) -> list[Any]:
        await self.ctx.sleep(0.003)
        return ["slept", tag]

    async def _twice(self, tag: str) -> list[Any]:
        """A branch with several calls of its own."""
        return ["twice", tag, await self._step(f"{tag}.1"), await self._ask(f"{tag}.2")]

    def _work(self, tag: str, *, most: int = 4) -> Callable[[], Coroutine[Any, Any, list[Any]]]:
        return partial([self._step, self._sleep, self._ask, self._twice][self.random.randrange(most)], tag)

    async def _race(self, tag: str) -> list[Any]:
        """Which of them is first must be the same in every replay: the journal takes nothing else for an answer."""
        arrived: list[list[Any]] = []
        tasks = [asyncio.create_task(self._race_one(f"{tag}.{number}", arrived)) for number in range(3)]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        first = arrived[0]
        await self.ctx.emit(["first", first])
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return ["race", tag, first]

    async def _race_one(self, tag: str, arrived: list[list[Any]]) -> None:
        arrived.append(await (self._sleep(tag) if tag.endswith("0") else self._ask(tag)))

    async def run(self, tag: str) -> list[Any]:
        for number in range(self.random.randint(2, 5)):
            here = f"{tag}.{number}"
            way = self.random.randrange(7)
            if way == 0:
                self.said.append(await self._race(here))
            elif way == 1:
                work = [self._work(f"{here}.{branch}") for branch in range(self.random.randint(2, 4))]
                self.said.append(["gathered", here, *await asyncio.gather(*(each() for each in work))])
            elif way == 2:
                async with asyncio.TaskGroup() as group:
                    work = [self._work(f"{here}.{branch}") for branch in range(self.random.randint(2, 3))]
                    tasks = [group.create_task(each()) for each in work]
                self.said.append(["grouped", here, *(task.result() for task in tasks)])
            elif way == 3:
                terms = {"timeout": 0.02, "default": HumanResponseText(text=DEFAULT)}
                self.said.append(await self._ask(here, **terms))
            elif way == 4:
                await self.ctx.notify(f"at {here}")
                await self.ctx.emit([here, (await self.ctx.now()).isoformat()])
            else:
                self.said.append(await self._work(here)())
        return self.said


@workflow
async def program(ctx: Context, plan: dict[str, Any]) -> list[Any]:
    return await _Program(ctx, plan["seed"], plan["effects"]).run(str(plan["seed"]))


def told_by(result: Any) -> list[tuple[str, list[Any]]]:
    """Every answer and every step that a result of a program tells of."""
    if not isinstance(result, list) or not result:
        return []
    if isinstance(result[0], str) and result[0] in {"asked", "stepped"}:
        return [(result[0], result[1:])]
    return [told for part in result for told in told_by(part)]


# --- Row 1 for runs --------------------------------------------------------------------------------------------------


async def answer_what_is_open(store: ExecutionStore, link: Link | None, random: Random) -> int:
    """Answer every open prompt, in any order; others may do the same. How many were answered."""
    answered = 0
    summaries = list((await store.list(status="interaction_required", limit=200)).items)
    random.shuffle(summaries)
    for summary in summaries:
        record = await store.get(summary.execution_id)
        for pending in () if record is None else record.pending_interactions:
            reply = reply_to(pending.prompt.text)
            try:
                await store.resolve_interaction(
                    summary.execution_id, pending.interaction_id, HumanResponseText(text=reply), actor="ada"
                )
            except (Refused, NotFound):
                continue
            answered += 1
            if link is not None:
                link.tell("interaction_answered", summary.execution_id, pending.interaction_id, None, reply)
    return answered


async def programs(
    link: Link, path: str, effects: str, seed: int, most: int, hold: float, concurrency: int, answers: bool
) -> None:
    """Start programs, run what is there, and answer what is open, until killed."""
    random = Random(seed)
    async with (
        ExecutionStore(database=path) as store,
        Runner(store, [program], hold_paused_for=hold, concurrency=concurrency, max_attempts=10_000) as runner,
    ):
        for number in range(most):
            plan = {"seed": random.getrandbits(40), "effects": effects}
            started = await runner.start("program", plan, idempotency_key=f"{seed}-{number}" if number % 2 else None)
            link.tell("execution_created", started.record.execution_id, None, "running", None)
            await asyncio.sleep(random.choice([0, 0, 0.002]))
        while True:
            if answers:
                await answer_what_is_open(store, link, random)
            await asyncio.sleep(0.002)


async def to_the_end(link: Link, path: str, hold: float) -> None:
    """Run and answer until nothing is left, then say so."""
    random = Random(0)
    async with (
        ExecutionStore(database=path) as store,
        Runner(store, [program], hold_paused_for=hold, max_attempts=10_000),
    ):
        while (await store.list(status=["running", "interaction_required"], limit=1)).items:
            await answer_what_is_open(store, None, random)
            await asyncio.sleep(0.005)
    link.tell("ended")


async def ended(record: ExecutionRecord) -> None:
    """Return when the execution has ended."""
    while record.status not in TERMINAL:
        await record.changed()


def lines(effects: Path) -> list[list[str]]:
    """The effects so far, each as the words that were noted."""
    return [line.split() for line in effects.read_text().splitlines()] if effects.exists() else []


# --- Row 17 ----------------------------------------------------------------------------------------------------------


@workflow
async def killer(ctx: Context) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@workflow("killer-after-a-while")
async def slow_killer(ctx: Context) -> None:
    await asyncio.sleep(0.1)
    os.kill(os.getpid(), signal.SIGKILL)


async def _long_step(effects: str) -> str:
    note(effects, step_key(), os.getpid(), "begun")
    await asyncio.sleep(0.3)
    return "done"


@workflow("long")
async def long_one(ctx: Context, effects: str) -> str:
    return await ctx.step(_long_step, effects)


@workflow
async def quick(ctx: Context) -> str:
    return (await ctx.now()).isoformat()


@workflow
async def asking(ctx: Context) -> str:
    return (await ctx.ask(HumanPromptText(text="Well?"))).text


async def crash_loop(link: Link, path: str, effects: str, names: list[str], attempts: int) -> None:
    """Start these workflows at once and run what is there; once no other is left, answer prompts; then say so."""
    store = await ExecutionStore(database=path, ttl_seconds=None).open()
    known = [killer, slow_killer, long_one, quick, asking]
    starter = await Runner(store, known, concurrency=0).open()
    for name in names:
        await starter.start(name, effects if name == "long" else None)
    async with Runner(store, known, max_attempts=attempts):
        await sought(lambda: store.list(status="running", limit=1), lambda page: not page.items)
        while (await store.list(status=["running", "interaction_required"], limit=1)).items:
            await answer_what_is_open(store, None, Random(0))
            await asyncio.sleep(0.01)
    await store.close()
    link.tell("ended")


# --- Row 16 ----------------------------------------------------------------------------------------------------------


@workflow
async def steady(ctx: Context, effects: str) -> list[Any]:
    """Steps under way, prompts beside each other, and a sleep: something of each for a process that stands still."""
    said = []
    for number in range(3):
        said.append(await ctx.step(_slow_effect, effects, f"{number}"))
        await ctx.emit(number)
        await ctx.sleep(0.05)
        replies = await asyncio.gather(*(ctx.ask(HumanPromptText(text=f"{number}{side}")) for side in "ab"))
        said.append([reply.text for reply in replies])
    return said


async def live_for_a_moment(link: Link, path: str, effects: str, starts: int, lease: int, answers: bool) -> None:
    """Run and answer with leases that last ``lease`` milliseconds, until killed; tells of each write that it was refused."""
    patch.object(leases, "DURATION", lease).start()
    lost = Run.leave

    def leave(run: Run, why: Any) -> None:
        if why == "lost" and run.exit_reason is None:
            link.tell("lost", run.claim.execution_id, run.claim.epoch)
        lost(run, why)

    patch.object(Run, "leave", leave).start()
    random = Random(0)
    async with ExecutionStore(database=path) as store, Runner(store, [steady], hold_paused_for=0.3) as runner:
        for _ in range(starts):
            await runner.start("steady", effects)
        link.tell("begun", runner._require().lease)
        while True:
            if answers:
                await answer_what_is_open(store, None, random)
            await asyncio.sleep(0.01)


def size_of(path: str) -> int:
    """In bytes."""
    return Path(path).stat().st_size


async def _until_the_gate_opens(effects: str, gate: str) -> int:
    note(effects, "gated", os.getpid(), "begun")
    await eventually(Path(gate).exists)
    note(effects, "gated", os.getpid(), "done")
    return os.getpid()


async def _block(effects: str, seconds: float) -> int:
    note(effects, "blocking", os.getpid(), "begun")
    threading.Event().wait(seconds)  # a defect of an application: it stops the loop
    note(effects, "blocking", os.getpid(), "done")
    return os.getpid()


@workflow
async def gated(ctx: Context, about: list[str]) -> int:
    return await ctx.step(_until_the_gate_opens, *about)


@workflow
async def blocking(ctx: Context, about: list[Any]) -> int:
    return await ctx.step(_block, *about)


async def stand_still(link: Link, path: str, lease: int, name: str | None, about: list[Any]) -> None:
    """Start an execution and run it, or another process's, with leases of ``lease`` milliseconds, until killed.

    Tells of each run that it finds to have lost.
    """
    patch.object(leases, "DURATION", lease).start()
    leave = Run.leave

    def told(run: Run, why: Any) -> None:
        if why == "lost" and run.exit_reason is None:
            link.tell("lost", run.claim.execution_id, run.claim.epoch)
        leave(run, why)

    patch.object(Run, "leave", told).start()
    async with ExecutionStore(database=path) as store, Runner(store, [gated, blocking]) as runner:
        link.tell("open", runner._require().lease)
        if name is not None:
            await runner.start(name, about)
        await asyncio.Event().wait()


# --- Rows 7 and 8 for runs -------------------------------------------------------------------------------------------


async def full_disk(link: Link, path: str, effects: str, starts: int) -> None:
    """Run and answer; for a while no file may grow; tells how many batches failed then, and how all ended."""
    failed = 0

    def observe(jobs: int, seconds: float, failures: int) -> None:
        nonlocal failed
        failed += failures

    random = Random(0)
    async with ExecutionStore(database=path, ttl_seconds=None) as store:
        store.observe(observe)
        async with Runner(store, [steady], hold_paused_for=random.choice([0.0, 0.05])) as runner:
            records = [(await runner.start("steady", effects)).record for _ in range(starts)]
            await answer_what_is_open(store, None, random)
            await asyncio.sleep(0.02)
            used = size_of(f"{path}-wal")
            resource.setrlimit(resource.RLIMIT_FSIZE, (used, resource.RLIM_INFINITY))
            for _ in range(50):
                with contextlib.suppress(StorageError):
                    await answer_what_is_open(store, None, random)
                await asyncio.sleep(0.01)
            ended_meanwhile = sum(record.status in TERMINAL for record in records)
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            while any(record.status not in TERMINAL for record in records):
                await answer_what_is_open(store, None, random)
                await asyncio.sleep(0.01)
    link.tell(failed, ended_meanwhile, sorted({str(record.status) for record in records}))


# --- Row 3 for runs --------------------------------------------------------------------------------------------------


@workflow
async def echo(ctx: Context, text: str) -> str:
    return (await ctx.ask(HumanPromptText(text=text))).text


async def answer_and_die(link: Link, path: str, text: str) -> None:
    """Start, and answer; die after COMMIT, before anyone here is told of it."""
    async with ExecutionStore(database=path) as store, Runner(store, [echo]) as runner:
        record = (await runner.start("echo", text)).record
        while not record.pending_interactions:
            await record.changed()
        (pending,) = record.pending_interactions
        link.tell(record.execution_id)
        database = (await store.file()).database
        told, file = database.sink, sqlite3.connect(path, isolation_level=None)
        assert told is not None

        def sink(committed: Committed) -> None:
            # Not at any commit: the leases of dead processes are looked after beside it.
            asked = "SELECT status FROM interactions WHERE id = ?"
            if file.execute(asked, (pending.interaction_id,)).fetchone() == ("answered",):
                os.kill(os.getpid(), signal.SIGKILL)
            told(committed)

        database.sink = sink
        await store.resolve_interaction(record.execution_id, pending.interaction_id, HumanResponseText(text=text))
        link.tell("acknowledged")


async def go_on(link: Link, path: str, execution_id: str) -> None:
    """Open, and tell how soon the execution was completed, with what."""
    began = time.monotonic()
    async with ExecutionStore(database=path) as store, Runner(store, [echo]):
        record = await store.get(execution_id)
        assert record is not None
        await ended(record)
        link.tell(record.status, record.result, time.monotonic() - began)


# --- A program that closes nothing -----------------------------------------------------------------------------------


async def close_nothing(link: Link, path: str, effects: str) -> None:
    """Wait in a prompt and in a step, and let the event loop end: it cancels every task."""
    store = await ExecutionStore(database=path).open()
    runner = await Runner(store, [echo, long_one]).open()
    asking = (await runner.start("echo", "Well?")).record
    await runner.start("long", effects)
    await eventually(lambda: asking.pending_interactions and lines(Path(effects)))
