"""The OpenAPI document and its page: what generators, readers and people need of them."""

import json
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter

from restpoint import ExecutionStore
from restpoint.http.handlers import Handlers
from restpoint.http.openapi import document
from restpoint.http.operation import Content, Operation
from restpoint.http.operations import operations
from restpoint.service import Service
from serving import make_app, served

METHODS = {"get", "post", "delete"}


@pytest.fixture
def table(path: Path) -> list[Operation]:
    service = Service(ExecutionStore(database=path))
    return operations(Handlers(service, authenticate=None, default=None, max_body_bytes=1000, trusted_origins=()))


@pytest.fixture
def made(table: list[Operation]) -> dict[str, Any]:
    return document(table, title="Approvals", version="1.2")


def every(part: Any, key: str) -> Iterator[Any]:
    """What a document has under this key, wherever it stands."""
    if isinstance(part, list):
        for each in part:
            yield from every(each, key)
    elif isinstance(part, dict):
        for name, value in part.items():
            if name == key:
                yield value
            yield from every(value, key)


def described(made: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The operations of a document by method and path."""
    return {f"{method} {path}": each for path, methods in made["paths"].items() for method, each in methods.items()}


def test_a_start_that_fails_is_described_with_the_status_that_it_has(made: dict[str, Any]) -> None:
    start = described(made)["post /v1/workflow"]["responses"]
    assert "`workflow_failed`" in start["422"]["description"]
    assert "`workflow_failed`" not in start["500"]["description"]


def test_every_operation_has_an_id_of_its_own_a_summary_and_a_tag_that_is_described(made: dict[str, Any]) -> None:
    found = described(made)
    ids = [each["operationId"] for each in found.values()]
    assert len(set(ids)) == len(ids) == 36
    tags = {tag["name"] for tag in made["tags"]}
    for name, each in found.items():
        assert each["summary"].endswith("."), name
        assert set(each["tags"]) <= tags, name
        assert any(status.startswith("2") for status in each["responses"]), name
    assert {tag for each in found.values() for tag in each["tags"]} == tags


def test_every_reference_leads_to_a_component_that_has_a_plain_name(made: dict[str, Any]) -> None:
    references = [each for each in every(made, "$ref") if isinstance(each, str)]
    assert len(references) > 100
    for reference in references:
        root, components, kind, name = reference.split("/")
        assert (root, components) == ("#", "components")
        assert name in made["components"][kind]
    assert {"Execution", "StartedExecution", "InteractionResponse", "ProblemDetails"} <= set(
        made["components"]["schemas"]
    )
    assert all(name.isalnum() for name in made["components"]["schemas"])


def test_each_operation_says_whether_it_wants_a_bearer_token(made: dict[str, Any]) -> None:
    assert made["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert made["security"] == [{}, {"bearer": []}]
    open_ = {name for name, each in described(made).items() if each.get("security") == []}
    assert open_ == {"get /healthz", "get /readyz"}


def test_every_example_is_of_the_form_that_it_is_an_example_of(table: list[Operation]) -> None:
    contents = [
        content for each in table for content in (each.body, *(reply.content for reply in each.replies.values()))
    ]
    shown = [(content, example) for content in contents if content for example in content.examples.values()]
    assert len(shown) > 10
    for content, example in shown:
        checked: Content = content
        TypeAdapter(checked.schema).validate_json(json.dumps(example))
    for each in table:
        assert each.body is None or each.body.examples, f"{each.id} shows no body"


def test_every_code_of_a_problem_is_an_example_under_its_status(table: list[Operation], made: dict[str, Any]) -> None:
    for each in table:
        responses = described(made)[f"{each.method.lower()} {each.path.replace(':path', '')}"]["responses"]
        documented = set()
        for status, reply in responses.items():
            for media in reply.get("content", {}).values():
                for code, example in media["examples"].items() if int(status) >= 400 else ():
                    assert example["$ref"] == f"#/components/examples/{code}"
                    value = made["components"]["examples"][code]["value"]
                    assert (value["status"], value["code"]) == (int(status), code)
                    documented.add(code)
        assert documented == set(each.codes)


async def test_the_document_tells_strangers_nothing_of_the_workflows(file: Path) -> None:
    async with served(make_app(file, default="greet", authenticate=lambda _: None)) as http:
        text = (await http.get("/openapi.json")).text
        assert (await http.get("/workflows")).status_code == 401
    assert "greet" not in text
    assert "Ask for a second name" not in text


class Page(HTMLParser):
    """What a page refers to, and what can be referred to in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name == "id":
                assert value not in self.ids, value
                self.ids.add(value or "")
            elif name in {"href", "src", "action", "srcset", "data", "poster"}:
                self.links.add(value or "")


async def test_the_page_of_the_document_has_every_operation_and_loads_nothing(client: httpx.AsyncClient) -> None:
    reply = await client.get("/docs")
    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = reply.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "script-src" not in policy
    page = Page(reply.text)
    assert not page.tags & {"script", "img", "link", "iframe", "object", "embed", "form"}
    assert {link for link in page.links if not link.startswith("#")} == {"openapi.json"}
    assert {link[1:] for link in page.links if link.startswith("#")} <= page.ids
    made = (await client.get("/openapi.json")).json()
    for name, each in described(made).items():
        assert each["operationId"] in page.ids, name
        assert f"<code>{name.split()[0].upper()} {name.split()[1]}</code>" in reply.text
    assert set(made["components"]["schemas"]) <= page.ids


async def test_what_an_application_calls_itself_is_escaped_in_the_page(file: Path) -> None:
    async with served(make_app(file, title="<script>alert(1)</script>")) as http:
        text = (await http.get("/docs")).text
        assert (await http.get("/openapi.json")).json()["info"]["title"] == "<script>alert(1)</script>"
    assert "<script" not in text
