"""What the tests of the pages for people share: workflows that ask in every way, and people whom a cookie names."""

from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request

from html_pages import Read
from restpoint import Context, WorkflowFailed, workflow
from restpoint.access import Actor
from restpoint.errors import InteractionExpired
from restpoint.http.app import create_app
from restpoint.prompts import (
    HumanPrompt,
    HumanPromptBinary,
    HumanPromptCheckbox,
    HumanPromptDropdown,
    HumanPromptForm,
    HumanPromptNotification,
    HumanPromptRadio,
    HumanPromptText,
    MultipleChoiceOption,
)
from serving import PEOPLE, served
from support import CALL, MAIL, NO, YES

NASTY = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
LONG = "An option whose label is far longer than anybody should write it " * 8
ARABIC = "هل توافق على رد مبلغ ١٢٠ يورو إلى العميل؟"

_FORM: dict[str, Any] = {
    "type": "object",
    "properties": {
        "customer": {"type": "string", "title": "Customer", "x-readonly": True, "default": "Grace Hopper"},
        "amount": {"type": "number", "title": "Amount in EUR", "minimum": 0, "description": "As on the receipt"},
        "parcels": {"type": "integer", "title": "Parcels", "default": 1},
        "way": {"type": "string", "title": "Way of the refund", "enum": ["bank", "voucher"]},
        "country": {"type": "string", "title": "Country", "enum": [f"country {n}" for n in range(20)]},
        "reasons": {"type": "array", "title": "Reasons", "items": {"type": "string", "enum": ["late", "broken"]}},
        "email": {"type": "string", "title": "E-mail address", "format": "email"},
        "on": {"type": "string", "title": "Day", "format": "date"},
        "at": {"type": "string", "title": "Moment", "format": "date-time"},
        "urgent": {"type": "boolean", "title": "It is urgent"},
        "note": {"type": "string", "title": NASTY, "description": NASTY, "x-multiline": True},
    },
    "required": ["amount", "way", "urgent"],
}
_POST = MultipleChoiceOption(id="post", label="By letter", value="post", description="Two to three days")
_OPTIONS = [MAIL, CALL, _POST]

PROMPTS: dict[str, HumanPrompt] = {
    "text": HumanPromptText(text="What shall we tell her?\n\nShe wrote *three* times.", placeholder="Dear Grace"),
    "notification": HumanPromptNotification(text="The backup is complete."),
    "binary_choice": HumanPromptBinary(text="# Pay?\n\n| Item | Price |\n|---|---|\n| Lamp | 80 |", options=[YES, NO]),
    "radio": HumanPromptRadio(text="How shall we reach her?", options=_OPTIONS),
    "checkbox": HumanPromptCheckbox(text="Which ways may we use?", options=_OPTIONS),
    "dropdown": HumanPromptDropdown(text="Which way is the best?", options=_OPTIONS),
    "form": HumanPromptForm(text="What shall be refunded?", requested_schema=_FORM, actions=["submit", "decline"]),  # type: ignore[arg-type] # JSON
    "arabic": HumanPromptText(text=ARABIC),
    "long": HumanPromptRadio(
        text="x" * 500, options=[MultipleChoiceOption(id=str(n), label=LONG[:500], value=str(n)) for n in range(3)]
    ),
    "long_binary": HumanPromptBinary(
        text=LONG, options=[YES.model_copy(update={"label": "W" * 500}), NO.model_copy(update={"label": LONG[:500]})]
    ),
    "nasty": HumanPromptRadio(
        text=f"{NASTY}\n\n[here](javascript:alert(1)) ![there](https://elsewhere.example/x.png)",
        options=[MultipleChoiceOption(id="a", label=NASTY, value="a", description=NASTY)],
    ),
    "nasty_text": HumanPromptText(text=NASTY, placeholder=NASTY, error=NASTY),
}


@workflow
async def ask(ctx: Context, given: dict[str, Any]) -> Any:
    """Ask one of the prompts, of whom and for how long the input says."""
    options = {name: value for name, value in given.items() if name != "kind"}
    response = await ctx.ask(PROMPTS[given["kind"]], **options)
    return response.model_dump(mode="json")


@workflow
async def tell(ctx: Context) -> str:
    """Do everything that a timeline shows."""
    await ctx.step(look_up, "4711")
    await ctx.notify("The order was **found**.")
    await ctx.emit({"done": 1, "script": NASTY})
    with suppress(InteractionExpired):
        await ctx.ask(HumanPromptText(text="Is anybody there?"), timeout=0.05)
    return (await ctx.ask(HumanPromptText(text="What shall we tell her?"))).text


def look_up(number: str) -> str:
    return number


@workflow
async def fail(ctx: Context) -> None:
    """Fail with markup in the message."""
    raise WorkflowFailed(f"The account is closed. {NASTY}", code="account_closed")


@workflow
async def connect(ctx: Context) -> str:
    """Ask for a consent."""
    return (await ctx.authorize("github", scopes=["repo", "read:org"], timeout=3600)).token_type


def by_cookie(request: Request) -> Actor | None:
    """The person that the cookie ``user`` names."""
    return PEOPLE.get(request.cookies.get("user", ""))


def make_people_app(file: Path, **settings: Any) -> Starlette:
    return create_app([ask, tell, fail], database=file, authenticate=by_cookie, **settings)


def inbox_served(file: Path, **settings: Any) -> AbstractAsyncContextManager[httpx.AsyncClient]:
    """A client of a server whose pages know Ada, Grace, Joan, the operator ``op`` and the reader ``eye`` by a cookie."""
    return served(make_people_app(file, **settings))


def as_(name: str) -> dict[str, str]:
    """The header by which a request is of this person."""
    return {"cookie": f"user={name}"}


async def asked_by(client: httpx.AsyncClient, name: str, kind: str, **given: Any) -> str:
    """The path of the page of a prompt of a new execution, which ``name`` owns."""
    reply = await client.post("/v1/workflows/ask", json={"kind": kind, **given}, headers=as_(name))
    assert reply.status_code == 202, reply.text
    body = reply.json()
    return f"/view/{body['execution_id']}/prompt/{body['interactions'][0]['interaction_id']}"


def execution_of(path: str) -> str:
    """The id of the execution that a page is about."""
    return path.split("/")[2]


async def live_address(client: httpx.AsyncClient, path: str, name: str) -> str:
    """The address of the stream that a page follows."""
    (main,) = Read((await client.get(path, headers=as_(name))).text).of("main")
    return str(main["data-live"])
