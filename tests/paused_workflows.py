"""Workflows that wait at every kind of place. Files of past releases hold runs of them: their code must not change."""

import asyncio

from restpoint import Context, workflow
from restpoint.prompts import HumanPromptText

CALLS: list[str] = []
"""What the steps of this process did: a recorded step is not done again."""


def priced(order: str) -> int:
    CALLS.append(f"priced {order}")
    return len(order)


@workflow("paused.refund", version=1)
async def refund(ctx: Context, order: str) -> dict[str, object]:
    """A step, an answer, something emitted, and a second question."""
    price = await ctx.step(priced, order)
    first = await ctx.ask(HumanPromptText(text="Refund it?"))
    await ctx.emit({"price": price})
    await ctx.notify("Half of it is done.")
    second = await ctx.ask(HumanPromptText(text="Why?"), assignees=["ada", "group:finance"], four_eyes=True)
    return {"price": price, "answers": [first.text, second.text]}


@workflow("paused.parallel", version=1)
async def parallel(ctx: Context, order: str) -> list[str]:
    """Two questions at once."""
    answers = await asyncio.gather(
        ctx.ask(HumanPromptText(text="Left?"), timeout=90 * 86_400, on_deadline="fail"),
        ctx.ask(HumanPromptText(text="Right?")),
    )
    return [answer.text for answer in answers]


@workflow("paused.asleep", version=1)
async def asleep(ctx: Context, order: str) -> str:
    """A sleep of a day, and a question."""
    await ctx.sleep(86_400)
    answer = await ctx.ask(HumanPromptText(text="Awake?"))
    return answer.text


WORKFLOWS = (refund, parallel, asleep)
