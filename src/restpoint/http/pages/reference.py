"""The reference of the HTTP interface as a page: the OpenAPI document, written out by the server.

It has no script and loads nothing, so it works without the internet and under the strictest content security policy.
"""

import json
from collections.abc import Mapping
from html import escape
from typing import Any

from starlette.responses import Response

from restpoint.http.pages import html

_METHODS = ("get", "post", "delete")


def page(document: Mapping[str, Any]) -> Response:
    """The page of an OpenAPI document that ``openapi.document`` made."""
    info = document["info"]
    operations = [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in _METHODS
    ]
    access = _text(document["components"]["securitySchemes"]["bearer"]["description"])
    parts = [
        f"<p>{escape(info['summary'])} Version {escape(info['version'])}.</p>",
        '<p>For programs the same is in <a href="openapi.json">openapi.json</a>: generators make clients of it.</p>',
        f"<p>{access}</p>",
    ]
    for tag in document["tags"]:
        parts.append(f"<h2>{escape(tag['name'].capitalize())}</h2><p>{escape(tag['description'])}</p>")
        parts += [_operation(*each) for each in operations if tag["name"] in each[2]["tags"]]
    parts.append("<h2>Schemas</h2>")
    parts += [
        f'<details id="{escape(name)}"><summary><code>{escape(name)}</code> {escape(schema.get("description", ""))}</summary>'
        f"{_code(schema)}</details>"
        for name, schema in document["components"]["schemas"].items()
    ]
    return html.page(f"{info['title']}: HTTP", "".join(parts))


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> str:
    name, summary = escape(operation["operationId"]), escape(operation["summary"])
    parts = [f'<details id="{name}"><summary><code>{method.upper()} {escape(path)}</code> {summary}</summary>']
    if operation["parameters"]:
        rows = "".join(_parameter(each) for each in operation["parameters"])
        parts.append(f"<h3>Parameters</h3><dl>{rows}</dl>")
    if "requestBody" in operation:
        parts.append(f"<h3>Body</h3>{_content(operation['requestBody']['content'])}")
    parts.append("<h3>Replies</h3><dl>")
    for status, reply in operation["responses"].items():
        content = "" if int(status) >= 400 else _content(reply.get("content", {}))
        parts.append(f"<dt>{status}</dt><dd>{_text(reply['description'])}{content}</dd>")
    return "".join(parts) + "</dl></details>"


def _parameter(parameter: Mapping[str, Any]) -> str:
    required = ", required" if parameter["required"] else ""
    return (
        f"<dt><code>{escape(parameter['name'])}</code> ({escape(parameter['in'])}{required})</dt>"
        f"<dd>{_text(parameter['description'])}</dd>"
    )


def _content(content: Mapping[str, Any]) -> str:
    """The media types of a body, its schema and its examples."""
    if not content:
        return ""
    media = next(iter(content.values()))
    types = ", ".join(f"<code>{escape(each)}</code>" for each in content)
    examples = "".join(_code(each["value"]) for each in media.get("examples", {}).values())
    return f"<p>{types}{_schema(media['schema'])}</p>{examples}"


def _schema(schema: Mapping[str, Any]) -> str:
    """A link to the schema where it is a component; nothing where it is too simple to be one."""
    references = [each["$ref"] for each in [schema, *schema.get("anyOf", ())] if "$ref" in each]
    names = [escape(reference.rpartition("/")[2]) for reference in references]
    return "".join(f': <a href="#{name}">{name}</a>' for name in names)


def _code(value: object) -> str:
    return f"<pre>{escape(json.dumps(value, indent=2, ensure_ascii=False))}</pre>"


def _text(text: str) -> str:
    """Text with `code` in it."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts))
