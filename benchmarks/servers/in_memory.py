"""The baseline of ``http.py``: the same wire from a dict, behind the same FastAPI and uvicorn. Nothing survives anything.

Written as one would write it with FastAPI: request and response models, one dict of executions, one future a prompt.
"""

import asyncio
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from fastapi import FastAPI, HTTPException, Response

from restpoint.models import (
    ExecutionAcceptedInteraction,
    ExecutionCompletedStatus,
    ExecutionInteractionRequiredStatus,
    ExecutionRunningStatus,
    ExecutionStatusResponse,
    InteractionResponseRequest,
)
from restpoint.prompts import BinaryHumanPromptOption, HumanPromptBinary, HumanResponse, accepts


class Record:
    """An execution as the in-memory store has it."""

    def __init__(self) -> None:
        self.id = str(uuid.uuid4())
        self.status = "running"
        self.result: Any = None
        self.pending: tuple[str, HumanPromptBinary, asyncio.Future[HumanResponse]] | None = None
        self.first_outcome = asyncio.Event()
        self.task: asyncio.Task[None] | None = None


def _keep(_: str) -> None:
    """Nothing: what happens is forgotten."""


kept: Callable[[str], None] = _keep
"""Called with each change before anyone is told of it: ``floor.py`` puts another function here."""

executions: dict[str, Record] = {}
app = FastAPI()


async def refund(record: Record, order: dict[str, Any]) -> None:
    options = [
        BinaryHumanPromptOption(id="yes", label="Yes", value="yes"),
        BinaryHumanPromptOption(id="no", label="No", value="no"),
    ]
    prompt = HumanPromptBinary(text=f"Refund {order['amount']} to {order['name']}?", options=options)
    future: asyncio.Future[HumanResponse] = asyncio.get_running_loop().create_future()
    record.pending = (str(uuid.uuid4()), prompt, future)
    record.status = "interaction_required"
    record.first_outcome.set()
    response = await future
    record.status, record.pending = "running", None
    record.result = {"refunded": response.selected_option.id == "yes"}  # type: ignore[union-attr]
    kept(record.id)
    record.status = "completed"


@app.post("/v1/workflow", status_code=202)
async def start(order: dict[str, Any]) -> ExecutionAcceptedInteraction:
    record = Record()
    executions[record.id] = record
    kept(record.id)
    record.task = asyncio.create_task(refund(record, order))
    await record.first_outcome.wait()
    assert record.pending is not None
    interaction_id, prompt, _ = record.pending
    return ExecutionAcceptedInteraction(
        execution_id=record.id,
        interaction_id=interaction_id,
        prompt=prompt,
        status_url=f"/executions/{record.id}",
        response_url=f"/executions/{record.id}/interactions/{interaction_id}/response",
    )


@app.get("/executions/{execution_id}")
async def status(execution_id: str) -> ExecutionStatusResponse:
    record = executions.get(execution_id)
    if record is None:
        raise HTTPException(404, "not found")
    if record.status == "completed":
        return ExecutionCompletedStatus(execution_id=record.id, result=record.result)
    if record.pending is not None:
        interaction_id, prompt, _ = record.pending
        return ExecutionInteractionRequiredStatus(
            execution_id=record.id,
            interaction_id=interaction_id,
            prompt=prompt,
            response_url=f"/executions/{record.id}/interactions/{interaction_id}/response",
        )
    return ExecutionRunningStatus(execution_id=record.id)


@app.post("/executions/{execution_id}/interactions/{interaction_id}/response", status_code=204)
async def respond(execution_id: str, interaction_id: str, body: InteractionResponseRequest) -> Response:
    record = executions.get(execution_id)
    if record is None or record.pending is None or record.pending[0] != interaction_id:
        raise HTTPException(404, "not found")
    _, prompt, future = record.pending
    with suppress(asyncio.InvalidStateError):
        response = accepts(prompt, body.response)
        kept(record.id)
        future.set_result(response)
    return Response(status_code=204)
