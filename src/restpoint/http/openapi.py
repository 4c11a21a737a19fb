"""The OpenAPI document (version 3.1), as a pure function of the table of operations."""

import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from pydantic import TypeAdapter

from restpoint.errors import by_code
from restpoint.http import problems
from restpoint.http.operation import Content, Operation
from restpoint.http.schemas import ProblemDetails

_TAGS: Final = {
    "workflows": "What can be started, and starting it.",
    "executions": "What runs, waits and has ended: polls, streams, answers, cancellations.",
    "inbox": "What waits for whom: inboxes, claims, and handing a prompt on.",
    "outbox": "What people are told of, by which routes, and what became of it; it takes the role reader or operator.",
    "consents": "The pages of OAuth consents, for browsers.",
    "sign-in": "The pages on which people sign in and out, for browsers.",
    "audit": "The history, for auditors; it takes the role reader or operator.",
    "server": "Health and metrics.",
}
_BEARER: Final = {
    "type": "http",
    "scheme": "bearer",
    "description": (
        "A token that `restpoint tokens add` made (RFC 6750). A server without tokens asks for none and answers requests from "
        "its own machine only; an application that embeds the routes says who is who in its own way."
    ),
}
_SESSION: Final = {
    "type": "apiKey",
    "in": "cookie",
    "name": "__Host-restpoint",
    "description": (
        "The session of a browser whose person signed in at `/auth/sign-in`, on the ready server. By plain http on its own "
        "machine it is `restpoint`."
    ),
}
_CONVERTOR: Final = re.compile(r":\w+}")
_PAGE_STATUSES: Final = (400, 401, 403, 404, 409, 410, 413, 422, 500, 502, 503, 507)
"""Every status of a page that says what is wrong."""

_Schemas = Mapping[int, dict[str, Any]]


def document(operations: Sequence[Operation], *, title: str, version: str) -> dict[str, Any]:
    """The document of these operations, without ``servers``, which the route adds for each request."""
    schemas, components = _schemas_of(operations)
    paths: dict[str, dict[str, Any]] = {}
    for each in operations:
        paths.setdefault(_CONVERTOR.sub("}", each.path), {})[each.method.lower()] = _operation(each, schemas)
    codes = sorted({code for each in operations if each.kind != "page" for code in each.codes})
    used = {each.tag for each in operations}
    has_sessions = "sign-in" in used
    return {
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": version,
            "summary": "Interactive workflow executions that survive restarts.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items() if name in used],
        "security": [{}, {"bearer": []}, *([{"session": []}] if has_sessions else [])],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"bearer": _BEARER, **({"session": _SESSION} if has_sessions else {})},
            "examples": {code: _problem_example(code) for code in codes},
        },
    }


def _schemas_of(operations: Iterable[Operation]) -> tuple[_Schemas, dict[str, Any]]:
    """The schema of every body, by the ``id`` of its ``Content``; and the components that the schemas refer to."""
    contents = {id(content): content for each in operations for content in _contents(each)}
    adapters: list[tuple[int, Any, TypeAdapter[Any]]] = [
        (key, "validation", TypeAdapter(content.schema)) for key, content in contents.items()
    ]
    adapters.append((id(ProblemDetails), "validation", TypeAdapter(ProblemDetails)))
    found, definitions = TypeAdapter.json_schemas(adapters, ref_template="#/components/schemas/{model}")
    return {key: schema for (key, _), schema in found.items()}, dict(sorted(definitions["$defs"].items()))


def _contents(operation: Operation) -> list[Content]:
    replies = [reply.content for reply in operation.replies.values()]
    return [content for content in (operation.body, *replies) if content is not None]


def _operation(operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, reply in operation.replies.items():
        responses[str(status)] = {"description": reply.description}
        if reply.content is not None:
            responses[str(status)]["content"] = _media(reply.content, schemas)
    if operation.kind == "page":
        page = _media(next(reply.content for reply in operation.replies.values() if reply.content), schemas)
        for status in _PAGE_STATUSES:
            responses[str(status)] = {
                "description": f"A page that says what is wrong: {_phrase(status)}.",
                "content": page,
            }
    else:
        responses |= _problems(operation.codes, schemas)
    described: dict[str, Any] = {
        "operationId": operation.id,
        "summary": (operation.handler.__doc__ or "").strip().partition("\n")[0],
        "tags": [operation.tag],
        "parameters": [each.document for each in operation.parameters],
        "responses": dict(sorted(responses.items())),
    }
    if operation.body is not None:
        described["requestBody"] = {"required": operation.body.required, "content": _media(operation.body, schemas)}
    if operation.kind != "guarded":
        described["security"] = []
    return described


def _media(content: Content, schemas: _Schemas) -> dict[str, Any]:
    media: dict[str, Any] = {"schema": schemas[id(content)]}
    if content.examples:
        media["examples"] = {name: {"value": value} for name, value in content.examples.items()}
    return dict.fromkeys(content.media_types, media)


def _problems(codes: Iterable[str], schemas: _Schemas) -> dict[str, Any]:
    """A reply for each status of these codes, with an example for each code."""
    by_status: dict[int, list[str]] = {}
    for code in codes:
        by_status.setdefault(problems.STATUS[code], []).append(code)
    return {
        str(status): {
            "description": f"{_phrase(status)}: {', '.join(f'`{code}`' for code in found)}.",
            "content": {
                problems.MEDIA_TYPE: {
                    "schema": schemas[id(ProblemDetails)],
                    "examples": {code: {"$ref": f"#/components/examples/{code}"} for code in found},
                }
            },
        }
        for status, found in by_status.items()
    }


def _problem_example(code: str) -> dict[str, Any]:
    status, kind = problems.STATUS[code], by_code().get(code)
    summary = _phrase(status) if kind is None else (kind.__doc__ or "").partition("\n")[0].replace("``", "`")
    value = {"type": "about:blank", "title": _phrase(status), "status": status, "detail": summary, "code": code}
    return {"summary": summary, "value": value}


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase
