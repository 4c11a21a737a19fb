"""Asking and answering: what the store does with a prompt of one of its executions."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from restpoint._core.serialization import check_text, encode
from restpoint._storage import (
    event_details,
    queries,
    waits,
)
from restpoint._store.futures import PendingInteraction
from restpoint._store.handle import FileHandle
from restpoint._store.prompt_request import PromptRequest
from restpoint._store.records import ExecutionRecord
from restpoint.access import Actor, ActorLike, actor_name
from restpoint.errors import ExecutionNotFound, InteractionNotFound, InvalidArgument
from restpoint.prompts import HumanPrompt, HumanResponse, accepts_stored, read_response, stored_prompt, write_response
from restpoint.prompts.prompt_models import OUR_MODELS


class Prompts:
    """The prompts of one store."""

    def __init__(self, handle: FileHandle) -> None:
        self._handle = handle
        self._models = handle.options.models

    async def ask(
        self,
        execution_id: str,
        interaction_id: str | None,
        asked: PromptRequest,
        prompt: HumanPrompt | BaseModel | Mapping[str, Any],
        who: str | None,
    ) -> PendingInteraction:
        """Ask a person; ``prompt`` is what the caller gave and ``asked`` what was read of it.

        Raises as ``ExecutionStore.set_interaction_required`` has it.
        """
        if interaction_id == "":
            raise InvalidArgument("interaction_id is empty; give one, or none to have one made.")
        chosen = None if interaction_id is None else check_text("interaction_id", interaction_id, limit=200)
        file = self._handle.open_file or await self._handle.opened()
        wait_id, detail = chosen or file.identifiers.new(), asked.detail(file.keeping)
        lease = file.lease_keeper.lease or await file.take_lease()
        # Keep a strong reference: the identity map is weak, and what is committed is folded into the record that it finds.
        record = file.records.get(execution_id) or await file.find(execution_id)
        if record is None:
            raise ExecutionNotFound(execution_id)
        own: BaseModel | None
        if self._models is not OUR_MODELS:
            own = self._models.own_prompt(prompt)
        else:  # return the caller's own object, also where its class is another library's
            own = prompt if isinstance(prompt, BaseModel) else asked.prompt
        asking = record.begin_asking(wait_id)
        try:
            await file.database.write(
                waits.ask, execution_id, wait_id, asked.text, asked.timeout, lease, who, detail,
                chosen=chosen is not None, terms=asked.terms, given=own, claim=record.claim,
            )  # fmt: skip
        finally:
            record.end_asking(asking)
        if asking.pending is None:
            raise InteractionNotFound(execution_id, wait_id)
        return asking.pending

    async def answer(
        self,
        execution_id: str,
        interaction_id: str,
        response: HumanResponse | BaseModel | Mapping[str, Any],
        actor: ActorLike,
        authority: str | None,
        addressed: Sequence[str] | None,
    ) -> None:
        """Answer a prompt. Raises as ``ExecutionStore.resolve_interaction`` has it."""
        answer, who = read_response(response), actor_name(actor)
        file = self._handle.open_file or await self._handle.opened()
        record = file.records.get(execution_id)
        known = None if record is None else record.open_prompt(interaction_id)
        stored, votes = known or await queries.prompt_of(file.database, execution_id, interaction_id)
        answer = accepts_stored(stored, answer) if votes is None else stored_prompt(stored).as_vote(answer)
        text = write_response(answer)
        credentials = actor if isinstance(actor, Actor) else None
        detail = event_details.answered(text, digest=file.keeping.digest, actor=credentials, authority=authority)
        given, terms = (execution_id, interaction_id, text, who, detail, file.keeping), addressed_text(addressed)
        if votes is not None:
            refusal = await file.database.write(waits.vote, *given, addressed=terms)
        else:
            own = self._as_awaited(record, response, answer)
            refusal = await file.database.write(waits.answer, *given, own, addressed=terms)
        if refusal is not None:
            raise refusal

    def _as_awaited(
        self, record: ExecutionRecord | None, response: BaseModel | Mapping[str, Any], answer: HumanResponse
    ) -> BaseModel | None:
        """The response for whoever awaits it in this process; None: it is read from the file."""
        if self._models is not OUR_MODELS:
            return self._models.own_response(response)
        if type(response) is type(answer) or not isinstance(response, BaseModel):
            return answer
        # A workflow gets what its replays get. Anyone else gets the caller's own object, also of another library's class.
        return answer if record is not None and record.is_run else response


def addressed_text(addressed: Sequence[str] | None) -> str | None:
    """Assignees as the file has them; the empty text for nobody. None: it does not matter whom."""
    return None if addressed is None else encode(list(addressed)) if addressed else ""
