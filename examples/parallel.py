"""Several questions at once: three reviewers are asked side by side, and whoever is silent is taken to have no objection.

Serve it::

    restpoint serve examples/parallel.py

The answers may come in any order, minutes or weeks apart, over restarts. A deadline with a default answers for those who do
not; the history tells the two apart.
"""

import asyncio

from pydantic import BaseModel, Field

from restpoint import Context, workflow
from restpoint.prompts import HumanPromptRadio, HumanResponseRadio, MultipleChoiceOption

APPROVE = MultipleChoiceOption(id="approve", label="Approve", value="approve", description="Publish it as it is.")
OBJECT = MultipleChoiceOption(id="object", label="Object", value="object", description="Do not publish it.")


class Draft(BaseModel):
    """What is to be published, and who should look at it first. ``days`` is how long they have."""

    title: str
    reviewers: list[str] = Field(default=["legal", "press", "security"], min_length=1, max_length=20)
    days: float = Field(default=3, gt=0)


class Verdict(BaseModel):
    """Whether it was published, and what each reviewer chose."""

    published: bool
    votes: dict[str, str]


@workflow
async def review(ctx: Context, draft: Draft) -> Verdict:
    """Ask every reviewer at once, and publish unless one of them objects."""
    votes = await asyncio.gather(*(vote(ctx, draft, reviewer) for reviewer in draft.reviewers))
    chosen = dict(zip(draft.reviewers, votes, strict=True))
    published = "object" not in votes
    await ctx.notify(f"{draft.title!r} is {'published' if published else 'held back'}.")
    return Verdict(published=published, votes=chosen)


async def vote(ctx: Context, draft: Draft, reviewer: str) -> str:
    """What one reviewer chooses; at the deadline, the default."""
    prompt = HumanPromptRadio(text=f"For {reviewer}: may {draft.title!r} be published?", options=[APPROVE, OBJECT])
    silence = HumanResponseRadio(selected_option=APPROVE)
    answer = await ctx.ask(prompt, timeout=draft.days * 24 * 3600, default=silence)
    await ctx.emit({"reviewer": reviewer, "vote": answer.selected_option.id})
    return answer.selected_option.id
