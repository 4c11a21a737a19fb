"""Workflows that ask somebody else than whoever answered before."""

from pathlib import Path

import pytest

from restpoint import Context, ExecutionStore, Runner, Workflow
from restpoint.errors import InvalidArgument, SamePerson
from restpoint.prompts import HumanPromptText
from runners import asked, ended, until
from support import ADA, GRACE


async def twice(ctx: Context) -> list[str]:
    first = await ctx.ask(HumanPromptText(text="One?"), assignees=["group:finance"])
    second = await ctx.ask(
        HumanPromptText(text="Two?"), assignees=["group:finance"], other_than=first, priority=5, due=60
    )
    return [first.text, second.text]


async def test_what_ask_returned_names_the_prompt_also_after_a_restart(store: ExecutionStore, path: Path) -> None:
    async with Runner(store, [Workflow(twice, "twice", 1)]) as runner:
        record = (await runner.start("twice")).record
        await asked(record, "One?")
        await store.resolve_interaction(
            record.execution_id, record.pending_interactions[0].interaction_id, ADA, actor="joan"
        )
        await asked(record, "Two?")
    async with Runner(store, [Workflow(twice, "twice", 1)]):
        await until(record, lambda: record.pending_interactions)
        pending = record.pending_interactions[0]
        assert (pending.excluded, pending.priority, pending.due is not None) == (("joan",), 5, True)
        with pytest.raises(SamePerson):
            await store.resolve_interaction(record.execution_id, pending.interaction_id, GRACE, actor="joan")
        await store.resolve_interaction(record.execution_id, pending.interaction_id, GRACE, actor="zoe")
        assert (await ended(record)).result == ["Ada", "Grace"]


async def test_other_than_takes_nothing_that_ask_did_not_return(store: ExecutionStore) -> None:
    async def wrong(ctx: Context) -> str:
        try:
            await ctx.ask(HumanPromptText(text="?"), other_than=ADA)
        except InvalidArgument as error:
            return str(error)
        return ""

    async with Runner(store, [Workflow(wrong, "wrong", 1)]) as runner:
        record = (await runner.start("wrong")).record
        assert "what ctx.ask returned in this execution" in (await ended(record)).result
