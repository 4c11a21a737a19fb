"""Whether an actor may do something with a prompt, judged by whom it is addressed to at that moment."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from restpoint.access import Actor, Policy, Question
from restpoint.errors import (
    Conflict,
    ExecutionNotFound,
    FourEyes,
    InteractionNotFound,
    NotAllowed,
    SamePerson,
)
from restpoint.service.views import Views

if TYPE_CHECKING:
    from restpoint._store.store import ExecutionStore


class Judge:
    """Lets an actor do something with a prompt, or says why they may not."""

    def __init__(self, store: "ExecutionStore", policy: Policy, views: Views) -> None:
        self._store = store
        self._policy = policy
        self._views = views

    async def permit(
        self,
        actor: Actor,
        execution_id: str,
        interaction_id: str,
        may: Callable[[Actor, Question], bool],
        act: Callable[[Question], Awaitable[None]],
    ) -> None:
        """Do something with a prompt if the actor may, judged by whom it is addressed to at that moment."""
        question = await self._question(actor, execution_id, interaction_id)
        if may(actor, question):
            try:
                return await act(question)
            except Conflict:  # it was addressed to others meanwhile
                question = await self._question(actor, execution_id, interaction_id, as_stored=True)
                if may(actor, question):
                    return await act(question)
        # This process may not have heard yet that it is addressed to them now.
        question = await self._question(actor, execution_id, interaction_id, as_stored=True)
        if not may(actor, question):
            await self._refuse(actor, execution_id, interaction_id, question)
        return await act(question)

    async def _question(
        self, actor: Actor, execution_id: str, interaction_id: str, *, as_stored: bool = False
    ) -> Question:
        try:
            return await self._store.address(execution_id, interaction_id, as_stored=as_stored)
        except ExecutionNotFound:
            raise await self._views.absent(actor, execution_id) from None
        except InteractionNotFound:
            await self._views.status(
                actor, execution_id
            )  # hide existence: report the execution, not the interaction, as missing
            raise

    async def _refuse(self, actor: Actor, execution_id: str, interaction_id: str, question: Question) -> None:
        await self._views.status(actor, execution_id)
        policy = self._policy
        if not policy.may_see_prompt(actor, question):
            raise InteractionNotFound(execution_id, interaction_id)
        if not policy.may_answer(actor, question):
            without = replace(question, four_eyes=False)
            if question.four_eyes and (policy.owns(actor, question.owner) or policy.may_answer(actor, without)):
                raise FourEyes(execution_id, interaction_id)
            if question.excluded and policy.may_answer(actor, replace(question, excluded=())):
                raise SamePerson(execution_id, interaction_id)
        asked = ", ".join(question.assignees) or question.owner or "an operator"
        raise NotAllowed(
            f"Interaction {interaction_id} of execution {execution_id} is addressed to {asked}, and {actor.id} may not do that."
        )
