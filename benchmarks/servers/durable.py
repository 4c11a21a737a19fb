"""The other side of ``over_http.py``: a workflow behind ``create_app``, in the file that ``RESTPOINT_DATABASE`` names."""

from typing import Any

from restpoint import Context, workflow
from restpoint.http.app import create_app
from restpoint.prompts import BinaryHumanPromptOption, HumanPromptBinary


@workflow
async def refund(ctx: Context, order: dict[str, Any]) -> dict[str, Any]:
    options = [
        BinaryHumanPromptOption(id="yes", label="Yes", value="yes"),
        BinaryHumanPromptOption(id="no", label="No", value="no"),
    ]
    prompt = HumanPromptBinary(text=f"Refund {order['amount']} to {order['name']}?", options=options)
    response = await ctx.ask(prompt)
    return {"refunded": response.selected_option.id == "yes"}


app = create_app([refund])
