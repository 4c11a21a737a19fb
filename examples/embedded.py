"""The routes inside an application that you have already, beside its own, with its own idea of who is who.

Run it with any ASGI server::

    uvicorn examples.embedded:app

Orders are this application's; a cancelled order becomes an execution that asks the customer why. ``authenticate`` takes the
person from this application's session, here from a header that stands for one.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, Request

from restpoint import Actor, Context, ExecutionStore, Runner, workflow
from restpoint.http.app import router
from restpoint.prompts import HumanPromptText


@workflow
async def goodbye(ctx: Context, order: str) -> str:
    """Ask a customer why they cancelled; a week without an answer is an answer too."""
    prompt = HumanPromptText(text=f"Why did you cancel order {order}?", required=False)
    answer = await ctx.ask(prompt, timeout=7 * 24 * 3600, default={"type": "text", "text": ""})
    return answer.text


def whoever_is_logged_in(request: Request) -> Actor | None:
    """The person behind a request: of your session, your proxy, your identity provider. Never of the request's body."""
    name = request.headers.get("x-demo-user")
    return None if name is None else Actor(name)


store = ExecutionStore(database=os.environ.get("SHOP_DATABASE", "shop.db"), ttl_seconds=30 * 24 * 3600)
runner = Runner(store, [goodbye])


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """What this application opens and closes; the store and its runner among it."""
    async with store, runner:
        yield


app = FastAPI(title="A shop", lifespan=lifespan)
app.include_router(router(store, runner, authenticate=whoever_is_logged_in), prefix="/questions")


@app.post("/orders/{order}/cancel")
async def cancel(order: str, person: Annotated[Actor | None, Depends(whoever_is_logged_in)]) -> dict[str, str]:
    """This application's own route: cancels an order, and starts the workflow in the customer's name."""
    customer = None if person is None else person.id
    started = await runner.start("goodbye", order, owner=customer, actor=person, idempotency_key=f"cancel {order}")
    return {"order": order, "question": f"/questions/executions/{started.record.execution_id}"}
