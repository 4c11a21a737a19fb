"""The server of ``open_pages.py``: it asks whomever the input names, and the header ``x-user`` says who sent a request."""

from typing import Any

from starlette.requests import Request

from restpoint import Context, workflow
from restpoint.access import Actor
from restpoint.http.app import create_app
from restpoint.prompts import HumanPromptText

GROUPS = 50


def whoever(request: Request) -> Actor | None:
    """The person with this number, who is in three groups."""
    number = request.headers.get("x-user", "")
    if not number.isdecimal():
        return None
    groups = {f"group{(int(number) * factor) % GROUPS}" for factor in (1, 7, 11)}
    return Actor(f"person{number}", groups=frozenset(groups))


@workflow
async def ask(ctx: Context, assignee: str) -> Any:
    return (await ctx.ask(HumanPromptText(text="Is it all right?"), assignees=[assignee])).text


app = create_app([ask], authenticate=whoever)
