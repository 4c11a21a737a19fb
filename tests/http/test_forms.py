"""Forms over HTTP and on the command line: the same answer, and one error for each field that is wrong."""

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from pydantic import BaseModel, Field

from forms import Case, cases
from inside import Command
from restpoint import ExecutionStore
from restpoint.access import Actor
from restpoint.client import Client
from restpoint.errors import FieldError, ResponseNotAccepted
from restpoint.http.app import asgi_app
from restpoint.prompts import HumanPromptForm
from restpoint.prompts.form_models import form_of, read_model
from support import rows


class Refund(BaseModel):
    amount: int = Field(ge=0, le=100, title="How much?")
    until: date
    note: str | None = None


FORM = form_of(Refund, text="Refund?", actions=["submit", "decline"])
CONTENT = {"amount": 70, "until": "2026-12-31"}


@asynccontextmanager
async def client_of(store: ExecutionStore) -> AsyncIterator[tuple[Client, httpx.AsyncClient]]:
    """A client of ours and a plain one, of the routes of a store."""
    transport = httpx.ASGITransport(asgi_app(store, authenticate=lambda _: Actor("ada"), pages=True))
    plain = httpx.AsyncClient(transport=transport, base_url="http://testserver")
    async with Client("http://testserver", transport=transport) as client, plain:
        yield client, plain


async def asked(store: ExecutionStore, prompt: HumanPromptForm) -> tuple[str, str]:
    record = await store.create_execution(owner="ada")
    return record.execution_id, (await store.set_interaction_required(record.execution_id, prompt)).interaction_id


def content_in(path: Path) -> dict[str, Any]:
    (response,) = rows(path, "SELECT response FROM interactions ORDER BY key DESC LIMIT 1")[0]
    content = json.loads(response)["content"]
    assert isinstance(content, dict)
    return content


async def test_each_field_that_is_wrong_is_a_member_of_the_problem(store: ExecutionStore) -> None:
    ids = await asked(store, FORM)
    async with client_of(store) as (client, plain):
        body = {"response": {"type": "form", "content": {"amount": 101, "note/": "x"}}}
        reply = await plain.post(f"/executions/{ids[0]}/interactions/{ids[1]}/response", json=body)
        assert reply.status_code == 422
        assert reply.headers["content-type"] == "application/problem+json"
        assert reply.json()["code"] == "response_not_accepted"
        assert reply.json()["errors"] == [
            {"pointer": "#/amount", "detail": "Give a number of at most 100."},
            {"pointer": "#/until", "detail": "This field is required."},
            {"pointer": "#/note~1", "detail": "The form has no such field. It has: amount, until, note."},
        ]
        with pytest.raises(ResponseNotAccepted) as refused:
            await client.answer(*ids, body["response"])
        assert refused.value.errors[1] == FieldError("#/until", "This field is required.")
        await client.answer(*ids, {"type": "form", "content": CONTENT})
        await client.answer(*ids, {"type": "form", "content": CONTENT})  # again, as after a lost reply


class Payment(BaseModel):
    account: Literal["card", "voucher"] = "card"
    country: Literal["at", "be", "cz", "de", "dk", "es", "fi"] = "de"
    speed: Literal["slow", "fast"] | None = None
    parcels: int = 1
    note: str = ""


async def test_only_what_may_be_left_empty_is_shown_as_optional(store: ExecutionStore) -> None:
    """A choice that has a default would get it when it is left empty, so the page offers no empty choice."""
    ids = await asked(store, form_of(Payment, text="How?"))
    async with client_of(store) as (_, plain):
        page = "".join((await plain.get("/view/{}/prompt/{}".format(*ids))).text.split("\n"))
        fields = re.split(r"<(?:fieldset|div) class=\"field", page)[1:6]
        assert ["(optional)" in field for field in fields] == [False, False, True, False, True]
        assert ["No answer" in field for field in fields] == [False, False, True, False, False]
        shown = "content.account=card&content.country=de&content.parcels=1"
        sent = await plain.post(
            "/view/{}/prompt/{}".format(*ids),
            content=f"{shown}&content.speed=&content.note=&action=submit",
            headers={"content-type": "application/x-www-form-urlencoded"},
        )
        assert sent.status_code in {200, 303}, sent.text
    execution = await store.get(ids[0])
    assert execution is not None
    assert execution.status == "running"


async def test_a_poll_shows_the_schema_that_the_answer_is_checked_by(store: ExecutionStore) -> None:
    execution_id, _ = await asked(store, FORM)
    async with client_of(store) as (client, plain):
        prompt = (await plain.get(f"/executions/{execution_id}")).json()["prompt"]
        assert prompt["requested_schema"]["properties"]["amount"] == {
            "type": "integer", "title": "How much?", "minimum": 0, "maximum": 100,
        }  # fmt: skip
        assert prompt["requested_schema"]["required"] == ["amount", "until"]
        assert (await client.status(execution_id)).interactions[0].prompt == FORM


async def test_another_kind_than_a_form_is_refused(store: ExecutionStore) -> None:
    ids = await asked(store, FORM)
    async with client_of(store) as (client, _):
        with pytest.raises(ResponseNotAccepted, match="takes no text response") as refused:
            await client.answer(*ids, {"type": "text", "text": "70"})
        assert refused.value.errors == ()


def examples(count: int) -> settings:
    """So many: the same at every ordinary run, new ones in a deep one."""
    function_scoped = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(max_examples=count, derandomize=count < 100, database=None, suppress_health_check=function_scoped)


COUNTS = pytest.mark.parametrize("count", [15, pytest.param(1_000, marks=pytest.mark.deep)])


@COUNTS
def test_every_model_comes_back_equal_over_http(fresh: Path, path: Path, count: int) -> None:
    @examples(count)
    @given(case=cases())
    def each(case: Case) -> None:
        shutil.copyfile(fresh, path)

        async def answered() -> None:
            async with ExecutionStore(database=path) as store, client_of(store) as (client, _):
                ids = await asked(store, form_of(case.model, text="?"))
                content = json.loads(case.value.model_dump_json(exclude_none=True))
                await client.answer(*ids, {"type": "form", "content": content})

        asyncio.run(answered())
        assert read_model(case.model, content_in(path)) == case.value

    each()


def settings_of(case: Case) -> list[str]:
    """What a person types to give this value."""
    typed = []
    for name, value in case.value.model_dump(mode="json", exclude_none=True).items():
        for each in (value or [""]) if isinstance(value, list) else [value]:
            typed += ["--set", f"{name}={each if isinstance(each, str) else json.dumps(each)}"]
    return typed


@COUNTS
def test_every_model_comes_back_equal_from_the_command_line(
    fresh: Path, path: Path, restpoint: Command, count: int
) -> None:
    @examples(count)
    @given(case=cases())
    def each(case: Case) -> None:
        shutil.copyfile(fresh, path)

        async def begun() -> str:
            async with ExecutionStore(database=path) as store:
                return (await asked(store, form_of(case.model, text="?")))[0]

        execution_id = asyncio.run(begun())
        ran = restpoint("answer", execution_id, *settings_of(case))
        if not settings_of(case):
            assert (ran.returncode, "is a form" in ran.stderr or "no answer is given" in ran.stderr) == (2, True)
            return
        assert ran.returncode == 0, ran.stderr
        assert read_model(case.model, content_in(path)) == case.value

    each()
