"""A workflow that does what a plan says, in branches that share state, and says at each turn what it has seen so far.

A *plan* is JSON: a list of its kind and what is below it. Everything that comes to any branch is noted in one *trail*, and
what is emitted has the trail in it, so that a replay in which anything came in another order asks for another call.
"""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from random import Random
from typing import Any, Final

from restpoint import Context, ExecutionStore, StepFailed, workflow
from restpoint.errors import InteractionExpired, NotFound, Refused
from restpoint.prompts import HumanPromptText, HumanResponseText

Plan = list[Any]
Branch = Callable[[], Coroutine[Any, Any, None]]

_LIMIT: Final = 0.004  # seconds
_DEFAULT: Final = HumanResponseText(text="nobody said")


def reply_to(question: str) -> str:
    return f"reply to {question}"


def _same(tag: str) -> str:
    return tag


async def _slow(tag: str) -> str:
    await asyncio.sleep(0.002)
    return tag


async def _failing(tag: str) -> str:
    await asyncio.sleep(0.001)
    raise ValueError(tag)


class Branchy:
    """One run of a plan."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.trail: list[str] = []

    async def do(self, plan: Plan, tag: str) -> None:
        """One node of the plan, with everything below it."""
        kind, *rest = plan
        await getattr(self, f"_{kind}")(tag, *rest)

    def _below(self, plans: tuple[Plan, ...], tag: str) -> list[Branch]:
        return [partial(self.do, plan, f"{tag}.{number}") for number, plan in enumerate(plans)]

    # --- What comes to it ---

    async def _step(self, tag: str) -> None:
        self.trail.append(await self.ctx.step(_same, tag))

    async def _slow_step(self, tag: str) -> None:
        self.trail.append(await self.ctx.step(_slow, tag))

    async def _ask(self, tag: str) -> None:
        response = await self.ctx.ask(HumanPromptText(text=tag))
        assert response.text == reply_to(tag)
        self.trail.append(tag)

    async def _default(self, tag: str) -> None:
        response = await self.ctx.ask(HumanPromptText(text=tag), timeout=_LIMIT, default=_DEFAULT)
        self.trail.append(f"{tag}={response.text}")

    async def _expire(self, tag: str) -> None:
        try:
            response = await self.ctx.ask(HumanPromptText(text=tag), timeout=_LIMIT)
            self.trail.append(f"{tag}={response.text}")
        except InteractionExpired:
            self.trail.append(f"{tag} expired")

    async def _sleep(self, tag: str) -> None:
        await self.ctx.sleep(0.002)
        self.trail.append(tag)

    async def _now(self, tag: str) -> None:
        self.trail.append(f"{tag} {(await self.ctx.now()).isoformat()}")

    async def _emit(self, tag: str) -> None:
        await self.ctx.emit([tag, *self.trail])

    async def _spin(self, _tag: str, turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)

    # --- How it hangs together ---

    async def _seq(self, tag: str, *plans: Plan) -> None:
        for each in self._below(plans, tag):
            await each()

    async def _gather(self, tag: str, *plans: Plan) -> None:
        await asyncio.gather(*(each() for each in self._below(plans, tag)))

    async def _group(self, tag: str, *plans: Plan) -> None:
        async with asyncio.TaskGroup() as group:
            for each in self._below(plans, tag):
                group.create_task(each())

    async def _risky(self, tag: str, *plans: Plan) -> None:
        """A group in which a step fails, which cancels what is beside it."""
        try:
            async with asyncio.TaskGroup() as group:
                for each in self._below(plans, tag):
                    group.create_task(each())
                group.create_task(self.ctx.step(_failing, tag))
        except* StepFailed:
            self.trail.append(f"{tag} failed")

    async def _race(self, tag: str, *plans: Plan) -> None:
        """The first to finish wins; the others are given up."""
        arrived: list[int] = []

        async def run(number: int, each: Branch) -> None:
            await each()
            arrived.append(number)

        tasks = [asyncio.create_task(run(*each)) for each in enumerate(self._below(plans, tag))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            await self.ctx.emit([tag, *arrived[:1], *self.trail])
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _deep(self, tag: str, depth: int, plan: Plan) -> None:
        await (asyncio.gather(self._deep(tag, depth - 1, plan)) if depth else self.do(plan, f"{tag}.0"))

    async def _handoff(self, tag: str, before: Plan, after: Plan, beside: Plan) -> None:
        """One branch goes on when another one tells it."""
        told = asyncio.Event()

        async def first() -> None:
            await self.do(before, f"{tag}.before")
            told.set()
            await self.do(beside, f"{tag}.beside")

        async def then() -> None:
            await told.wait()
            await self.do(after, f"{tag}.after")

        await asyncio.gather(then(), first())

    async def _queue(self, tag: str, *plans: Plan) -> None:
        """Branches put what came to them into a queue; another one gives it out."""
        queue: asyncio.Queue[int] = asyncio.Queue(1)

        async def put(number: int, each: Branch) -> None:
            await each()
            await queue.put(number)

        async def give_out() -> None:
            for _ in plans:
                await self.ctx.emit([tag, await queue.get(), *self.trail])

        await asyncio.gather(give_out(), *(put(*each) for each in enumerate(self._below(plans, tag))))


@workflow
async def branchy(ctx: Context, plan: list[Any]) -> list[str]:
    run = Branchy(ctx)
    await run.do(plan, "")
    await ctx.emit(["end", *run.trail])
    return run.trail


# --- Plans from a seed -----------------------------------------------------------------------------------------------

_LEAVES: Final = ("step", "slow_step", "ask", "ask", "default", "expire", "sleep", "now", "emit", "emit")
_KNOTS: Final = ("seq", "seq", "gather", "group", "risky", "race", "race", "deep", "handoff", "queue")


def plan_of(random: Random, depth: int = 3) -> Plan:
    """A plan, of which the same seed makes the same."""
    more: Callable[[], Plan] = partial(plan_of, random, depth - 1)
    if depth == 0 or (depth < 3 and random.random() < 0.4):
        leaf = random.choice(_LEAVES)
        return ["seq", ["spin", random.randint(1, 5)], [leaf]] if random.random() < 0.2 else [leaf]
    kind = random.choice(_KNOTS)
    if kind == "deep":
        return ["gather", ["deep", random.randint(1, 4), more()], more()]
    if kind == "handoff":
        return ["handoff", more(), more(), more()]
    return [kind, *(more() for _ in range(random.randint(2, 3)))]


async def answer_some(stores: list[ExecutionStore], execution_id: str, random: Random) -> None:
    """Answer some of what is open, through any of the stores, in any order and all at once."""
    record = await stores[0].get(execution_id)
    pending = [] if record is None else list(record.pending_interactions)
    random.shuffle(pending)
    answers = [
        random.choice(stores).resolve_interaction(
            execution_id, each.interaction_id, HumanResponseText(text=reply_to(each.prompt.text))
        )
        for each in pending[: random.randint(1, 3)]
    ]
    for outcome in await asyncio.gather(*answers, return_exceptions=True):
        if isinstance(outcome, BaseException) and not isinstance(outcome, Refused | NotFound):
            raise outcome
