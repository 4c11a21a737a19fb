"""An approval: finance is asked whether a refund may be sent, and whoever requested it must not be the one who answers.

Serve it, with tokens for those who take part (``restpoint tokens add``)::

    restpoint serve examples/approval.py --tokens-file tokens.json

A refund of up to 50 needs nobody. One above is asked of the group ``finance`` for a day, and declined if nobody answers.
"""

from typing import Literal

from pydantic import BaseModel, Field

from restpoint import Context, workflow
from restpoint.errors import InteractionExpired
from restpoint.prompts import BinaryHumanPromptOption, HumanPromptBinary

FREE_LIMIT = 50
DAY = 24 * 3600  # seconds


class Order(BaseModel):
    """What is to be paid back, and to whom."""

    customer: str
    amount: float = Field(gt=0)


class Refund(BaseModel):
    """What became of it."""

    status: Literal["sent", "declined"]
    receipt: str | None = None
    reason: str | None = None


@workflow
async def refund(ctx: Context, order: Order) -> Refund:
    """Pay an amount back, after an approval where it is more than a little."""
    if order.amount > FREE_LIMIT:
        prompt = HumanPromptBinary(
            text=f"Refund {order.amount:.2f} EUR to {order.customer}?",
            options=[
                BinaryHumanPromptOption(id="yes", label="Yes, send it", value="yes"),
                BinaryHumanPromptOption(id="no", label="No", value="no"),
            ],
        )
        try:
            answer = await ctx.ask(prompt, timeout=DAY, assignees=["group:finance"], four_eyes=True)
        except InteractionExpired:
            return Refund(status="declined", reason="nobody answered within a day")
        if answer.selected_option.id == "no":
            return Refund(status="declined", reason="finance said no")
    receipt = await ctx.step(send_money, order)
    return Refund(status="sent", receipt=receipt)


async def send_money(order: Order) -> str:
    """Stands for a call of a payment provider: as a step it is not done again after a restart, once it is recorded."""
    return f"receipt for {order.amount:.2f} EUR to {order.customer}"
