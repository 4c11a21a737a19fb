"""The parts of the documentation that are made from the source, so that they cannot differ from it.

A page has ``<!-- generated: NAME -->`` before such a part and ``<!-- end -->`` behind it. ``PYTHONPATH=src:tests python
tests/reference.py`` writes all of them; a test compares.
"""

import ast
import asyncio
import dataclasses
import inspect
import json
import re
import sqlite3
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from contextlib import closing
from enum import Enum
from html import escape
from pathlib import Path
from typing import Any, Final, Literal, Unpack, get_args, get_origin, get_overloads, get_type_hints

import httpx
from pydantic import BaseModel

import restpoint
from commands import COMMANDS
from restpoint import errors, lifecycle
from restpoint._storage.sqlite import migrations
from restpoint._storage.sqlite.views import VIEWS
from restpoint.cli.app import EXAMPLES
from restpoint.client import Client
from restpoint.events import EventKind
from restpoint.http import asgi_app, create_app, router
from restpoint.notify.webhook_bodies import WebhookBody, WebhookData
from restpoint.notify.webhooks import WebhookSettings
from restpoint.oauth import Consents, Provider
from transcripts import DOCS, PAGES, name_of

_PART: Final = re.compile(r"(?<=<!-- generated: )(\w+)( -->\n)(.*?)(?=\n<!-- end -->)", re.DOTALL)


def cell(text: str) -> str:
    """Text as a cell of a table."""
    return " ".join(text.split()).replace("|", r"\|")


def code(text: str) -> str:
    """Text as code in a cell of a table, where backticks and a bar do not go together."""
    return f"`{text}`" if "|" not in text else f"<code>{escape(text, quote=False)}</code>".replace("|", "&#124;")


def markdown(docstring: str) -> str:
    """A docstring as Markdown."""
    text = re.sub(r"``(.+?)``", r"`\1`", inspect.cleandoc(docstring))
    text = re.sub(r"(?m)^(.*\S)\n- ", r"\1\n\n- ", text)
    # A list item that follows another one needs no empty line between them.
    text = re.sub(r"(?m)^(- .*(?:\n  .*)*)\n\n(?=- )", r"\1\n", text)
    return re.sub(r"::\n\n", ":\n\n", text)


def table(*rows: tuple[str, ...]) -> str:
    """A table of Markdown; the first row is its head."""
    head, *others = rows
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ("---",) * len(head), *others))


# --- The command line ---


def command_line() -> str:
    """Every command with its arguments, options and examples."""
    return "\n\n".join(_command(name, command) for name, command in COMMANDS.items())


def _command(name: str, command: Any) -> str:
    usage = ["restpoint", name]
    rows = []
    hints = get_type_hints(inspect.unwrap(command.callback))
    for parameter in command.params:
        if getattr(parameter, "hidden", False) or parameter.name == "help":
            continue
        if parameter.param_type_name == "argument":
            word = (parameter.metavar or parameter.name or "").upper()
            usage.append(word if parameter.required else f"[{word}]")
            shown = f"`{word}`"
        else:
            shown = ", ".join(f"`{option}`" for option in (*parameter.opts, *parameter.secondary_opts))
            if hints[parameter.name] not in (bool, bool | None):
                shown += " " + code(parameter.metavar or _value(hints[parameter.name]))
        default = parameter.default
        if parameter.required:
            default = "required"
        elif default is None or default == () or default is False or callable(default):
            default = ""
        else:
            default = f"`{getattr(default, 'value', default)}`"
        variable = f"`{parameter.envvar}`" if parameter.envvar else ""
        rows.append((shown, cell(parameter.help or ""), default, variable))
    usage += ["[OPTIONS]"] if any(row[0].startswith("`-") for row in rows) else []
    text = f"### restpoint {name}\n\n{markdown(command.help or '')}\n\n```text\n{' '.join(usage)}\n```"
    if rows:
        text += "\n\n" + table(("argument or option", "what", "default", "variable"), *rows)
    lines = "\n".join(line for line in EXAMPLES[name])
    return f"{text}\n\n```sh\n{lines}\n```"


def _value(annotation: Any) -> str:
    """What a person types as the value of an option, such as ``TEXT``, ``INTEGER`` or ``table|json``."""
    if get_origin(annotation) is Literal:
        return "|".join(get_args(annotation))
    if get_args(annotation):
        return _value(next(each for each in get_args(annotation) if each is not type(None)))
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return "|".join(each.value for each in annotation)
    return {str: "TEXT", int: "INTEGER", float: "NUMBER", Path: "FILE"}[annotation]


# --- Errors ---


def error_table() -> str:
    """Every class of errors, with its code, as the tree has them."""
    rows = [("class", "is a", "code", "what it says")]
    for each in errors.by_code().values():
        if each in vars(errors).values():
            bases = ", ".join(f"`{base.__name__}`" for base in each.__bases__)
            rows.append((f"`{each.__name__}`", bases, f"`{each.code}`", cell(markdown(inspect.getdoc(each) or ""))))
    return table(*rows)


# --- HTTP ---


def document(folder: Path) -> dict[str, Any]:
    """The OpenAPI document of a server that has everything that a server may have."""

    @restpoint.workflow
    async def nothing(ctx: restpoint.Context) -> None:
        """A server has to have one."""

    provider = Provider(
        "nowhere", "a client", authorization_endpoint="https://n.example", token_endpoint="https://n.example"
    )
    app = create_app([nothing], database=folder / "restpoint.db", providers=[provider])

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return await client.get("/openapi.json")

    made: dict[str, Any] = asyncio.run(ask()).json()
    return made


_ALWAYS: Final = {"401", "403", "500", "503", "507"}


def route_table() -> str:
    """Every route, as the OpenAPI document of a server has it."""
    with tempfile.TemporaryDirectory() as folder:
        paths = document(Path(folder))["paths"]
    rows = [("route", "what it does", "query and headers", "replies")]
    for path, methods in paths.items():
        for method, operation in methods.items():
            given = [
                f"`{each['name']}`" for each in operation.get("parameters", ()) if each["in"] in {"query", "header"}
            ]
            replies = ", ".join(sorted(set(operation["responses"]) - _ALWAYS))
            told = operation.get("summary") or operation.get("description") or ""
            rows.append((f"`{method.upper()} {path}`", cell(markdown(told)), " ".join(given), replies))
    return table(*rows)


# --- The lifecycle ---


def picture() -> str:
    """The machines, drawn by Mermaid."""
    lines = ["stateDiagram-v2"]
    for kind, machine in lifecycle.MACHINES.items():
        lines += [f"    state {kind} {{", f"        [*] --> {kind}_{lifecycle.initial(kind)}"]
        lines += [f'        state "{status}" as {kind}_{status}' for status in lifecycle.statuses(kind)]
        arrows: dict[tuple[str, str], list[str]] = {}
        for trigger, event in machine.events.items():
            for source, found in event.transitions.items():
                for each in found:
                    arrows.setdefault((source, str(each.dest)), []).append(trigger)
        lines += [
            f"        {kind}_{source} --> {kind}_{dest}: {' / '.join(names)}"
            for (source, dest), names in arrows.items()
        ]
        lines += [f"        {kind}_{status} --> [*]" for status in lifecycle.ends(kind)]
        lines.append("    }")
    return "```mermaid\n" + "\n".join(lines) + "\n```"


def transitions() -> str:
    """Every transition, for those who do not see the picture."""
    rows = [("of", "from", "trigger", "to")]
    for kind, machine in lifecycle.MACHINES.items():
        moves: dict[tuple[str, str], list[str]] = {}
        for trigger, event in machine.events.items():
            for source, found in event.transitions.items():
                moves.setdefault((source, trigger), []).extend(str(each.dest) for each in found)
        for (source, trigger), targets in moves.items():
            rows.append((kind, f"`{source}`", trigger, " or ".join(f"`{target}`" for target in targets)))
    return table(*rows)


_ROW, _LANE, _BOX = (
    58,
    74,
    190,
)  # pixels: of a status, of a lane of arrows beside the statuses, of the width of a status


def drawing(kind: str) -> str:
    """A machine as SVG: its statuses below each other, arrows down at their right and up at their left, each in a lane.

    A transition that leaves the status as it is has no arrow; the table below the picture has all of them.
    """
    statuses = lifecycle.statuses(kind)
    lanes: dict[tuple[str, str], list[str]] = {}
    for trigger, event in lifecycle.MACHINES[kind].events.items():
        for source, found in event.transitions.items():
            for each in found:
                lanes.setdefault((trigger, str(each.dest)), []).append(source)
    drawn: dict[bool, list[tuple[str, str, list[str]]]] = {True: [], False: []}
    for (trigger, target), sources in lanes.items():
        for down in (True, False):
            row = statuses.index(target)
            from_here = [each for each in sources if (statuses.index(each) < row) is down and each != target]
            if from_here:
                drawn[down].append((trigger, target, from_here))
    left = len(drawn[False]) * _LANE + 20
    lines = []
    for down, side in drawn.items():
        for number, (trigger, target, sources) in enumerate(side, 1):
            edge = left + _BOX if down else left
            x = edge + (number * _LANE if down else -number * _LANE)
            ys = {each: statuses.index(each) * _ROW + 36 for each in (*sources, target)}
            # Arrows leave a status above its middle and reach one below, so that the two are told apart.
            starts, end = [ys[each] - 8 for each in sources], ys[target] + 8
            lines += [f'<path d="M{edge} {y} H{x}"/>' for y in starts]
            begin, tip, text = (
                (min(starts), edge + 4, max(starts) + 20) if down else (max(starts), edge - 4, min(starts) - 10)
            )
            lines.append(f'<path d="M{x} {begin} V{end} H{tip}" class="to"/>')
            lines.append(f'<text x="{x + 4}" y="{text}">{trigger}</text>')
    for row, status in enumerate(statuses):
        y = row * _ROW + 18
        end_class = ' class="end"' if status in lifecycle.ends(kind) else ""
        lines.append(f'<rect x="{left}" y="{y}" width="{_BOX}" height="36" rx="6"{end_class}/>')
        lines.append(f'<text x="{left + _BOX / 2:g}" y="{y + 23}" class="status">{status}</text>')
    width, height = left + _BOX + len(drawn[True]) * _LANE + 90, len(statuses) * _ROW + 16
    style = (
        "path{fill:none;stroke:#555}.to{marker-end:url(#a)}rect{fill:#eef4fb;stroke:#2b6cb0}rect.end{fill:#eee;stroke:#777}"
        "text{font:13px sans-serif;fill:#222}.status{text-anchor:middle;font-weight:bold}"
    )
    arrow = '<marker id="a" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto"><path d="M0 0L8 4L0 8"/></marker>'
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
            f"<title>The lifecycle of an {kind}</title><style>{style}</style><defs>{arrow}</defs>",
            f'<rect x="0" y="0" width="{width}" height="{height}" style="fill:#fff;stroke:none"/>',
            *lines,
            "</svg>\n",
        )
    )


# --- Events ---


def event_table() -> str:
    """Every kind of event, with what it does."""
    rows: list[tuple[str, ...]] = [
        ("event", "what happened", "closes a wait", "ends as", "in a start's stream", "payload", "decision")
    ]
    for kind in EventKind:
        closes, *flags = (
            "yes" if flag else "" for flag in (kind.closes_wait, kind.is_streamed, kind.has_payload, kind.is_decision)
        )
        rows.append((f"`{kind}`", cell(kind.description), closes, f"`{kind.ends_as}`" if kind.ends_as else "", *flags))
    return table(*rows)


# --- The views ---


def view_table() -> str:
    """Every view with its columns."""
    rows = [("view", "columns")]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "restpoint.db"
        migrations.upgrade(path)
        with closing(sqlite3.connect(path)) as connection:
            for name in sorted(VIEWS):
                columns = [row[1] for row in connection.execute(f"PRAGMA table_info({name})")]
                rows.append((f"`{name}`", ", ".join(f"`{column}`" for column in columns)))
    return table(*rows)


# --- Webhooks ---


def webhook_schema() -> str:
    """The JSON Schema of the body of a webhook."""
    return json.dumps(WebhookBody.model_json_schema(mode="serialization"), indent=2) + "\n"


def member_table(model: type[BaseModel], head: str) -> str:
    """Every member of a model, with its default where it has one."""
    rows = [(head, "what it is", "what it says")]
    for name, member in model.model_json_schema(mode="serialization")["properties"].items():
        default = member.get("default")
        shown = f"; default {code(json.dumps(default))}" if default or default is False else ""
        rows.append((code(name), _json_type(member) + shown, cell(markdown(member["description"]))))
    return table(*rows)


def _json_type(schema: dict[str, Any]) -> str:
    """A JSON Schema in words."""
    if "anyOf" in schema:
        return " or ".join(map(_json_type, schema["anyOf"]))
    if "const" in schema or "enum" in schema:
        return " or ".join(code(json.dumps(each)) for each in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {_json_type(schema['items'])}s"
    return str(schema.get("type", "object"))


# --- Python ---


def python() -> str:
    """Every public class and function, with its signature and docstring."""
    parts: list[str] = []
    for owner, names in (
        ("restpoint", restpoint.__all__),
        ("restpoint.client", [Client.__name__]),
        ("restpoint.http", [router.__name__, asgi_app.__name__, create_app.__name__]),
        ("restpoint.oauth", [Provider.__name__, Consents.__name__]),
    ):
        module = sys.modules[owner]
        parts.append(f"## {owner}")
        for name in names:
            parts += _documented(name, getattr(module, name))
    return "\n\n".join(parts)


_NOT_MADE_BY_CALLERS: Final = {
    "Context", "ExecutionRecord", "ExecutionStatus", "ExecutionSummary", "HistoryEntry", "Page", "PendingInteraction",
    "PendingOAuth", "Started", "Workflow",
}  # fmt: skip

# The other members of these are for the boxes beside them.
_FOR_CALLERS: Final[dict[str, set[str]]] = {
    "Consents": {"open", "close"},
    "ExecutionRecord": {
        "changed", "completed_at", "created_at", "error", "error_code", "execution_id", "expires_at", "first_outcome",
        "is_detached", "is_run", "owner", "pending_interaction", "pending_interactions", "pending_oauth", "pending_oauths",
        "priority", "problem", "result", "status", "task", "workflow",
    },
    "ExecutionStatus": set(),
    "Runner": {"accepts", "close", "open", "queued", "running", "start"},
    "Workflow": {"input_schema", "key", "output_schema"},
}  # fmt: skip


def _documented(name: str, thing: Any) -> Iterator[str]:
    if not (inspect.isclass(thing) or inspect.isfunction(thing)):
        yield f"### {name}\n\nThe value is `{thing!r}`." if isinstance(thing, int) else f"### {name}"
        return
    yield f"### {name}"
    if name not in _NOT_MADE_BY_CALLERS:
        yield _signature(name, thing)
    yield from _description(thing)
    if not inspect.isclass(thing) or issubclass(thing, Exception):
        return
    rows = [("member", "what it does")]
    if dataclasses.is_dataclass(thing):
        rows += [(f"`{each.name}`", code(_shown(each.type))) for each in dataclasses.fields(thing)]
    elif issubclass(thing, Enum):
        rows += [(f"`{each.name}`", f"`{each.value}`") for each in thing]
    else:
        names = {each for each in getattr(thing, "__slots__", ()) if not each.startswith("_")}
        rows += [(f"`{each}`", "") for each in sorted(names & _FOR_CALLERS.get(name, names))]
    for member, value in _members(thing):
        if isinstance(value, property):
            rows.append((f"`{member}`", cell(markdown(inspect.getdoc(value) or ""))))
    if len(rows) > 1:
        yield table(*rows)
    for member, value in _members(thing):
        if inspect.isfunction(value):
            yield f"#### {name}.{member}"
            yield _signature(member, value)
            yield from _description(value)


def _description(thing: Any) -> Iterator[str]:
    """The docstring, and that of the options if it ends by announcing them."""
    text = inspect.getdoc(thing) or ""
    yield markdown(text)
    if text.endswith("options are:"):
        yield markdown((inspect.getdoc(_options(thing)) or "").partition("\n\n")[2])


def _members(thing: type) -> list[tuple[str, Any]]:
    """What the class and its bases here define under public names."""
    found: dict[str, Any] = {}
    for each in reversed(thing.__mro__):
        if each.__module__.partition(".")[0] == "restpoint":
            found |= {name: value for name, value in vars(each).items() if not name.startswith("_")}
    wanted = _FOR_CALLERS.get(thing.__name__, set(found) - {"database", "parts"})
    return sorted((name, value) for name, value in found.items() if name in wanted)


def _signature(name: str, thing: Any) -> str:
    """A signature with its annotations and defaults as the source has them."""
    given: list[str] = []
    returned, is_awaited = "", False
    if dataclasses.is_dataclass(thing):
        for each in dataclasses.fields(thing):
            default = f" = {each.default!r}" if each.default is not dataclasses.MISSING else ""
            default = " = ..." if each.default_factory is not dataclasses.MISSING else default
            given.append(f"{each.name}: {_shown(each.type)}{default}")
    else:
        source = textwrap.dedent(inspect.getsource(thing.__init__ if inspect.isclass(thing) else thing))
        (function,) = ast.parse(source).body
        assert isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        arguments = function.args
        plain = [*arguments.posonlyargs, *arguments.args]
        defaults = [None] * (len(plain) - len(arguments.defaults)) + arguments.defaults
        given = [_argument(each, default) for each, default in zip(plain, defaults, strict=True) if each.arg != "self"]
        if arguments.vararg:
            given.append(f"*{_argument(arguments.vararg, None)}")
        elif arguments.kwonlyargs:
            given.append("*")
        given += map(_argument, arguments.kwonlyargs, arguments.kw_defaults)
        options = _options(thing)
        kinds = (
            _typed_members(options) if inspect.isfunction(thing) and get_overloads(thing) else _shown_members(options)
        )
        given += [f"{option}: {kind} = ..." for option, kind in kinds.items()]
        returned = "" if function.returns is None or inspect.isclass(thing) else _unquoted(function.returns)
        is_awaited = isinstance(function, ast.AsyncFunctionDef)
    if (coroutine := re.fullmatch(r"Coroutine\[Any, Any, (.*)\]", returned)) is not None:
        returned, is_awaited = coroutine[1], True
    head, tail = f"{'await ' if is_awaited else ''}{name}(", f"){returned and f' -> {returned}'}"
    line = head + ", ".join(given) + tail
    if len(line) > 110:
        line = head + "\n" + "".join(f"    {each},\n" for each in given) + tail
    return f"```text\n{line}\n```"


def _options(function: Any) -> type:
    """The class of the options that a function takes as ``**options: Unpack[...]``; one without members if it takes none.

    Of overloads it is the class with the most.
    """
    ways = [function, *get_overloads(function)] if inspect.isfunction(function) else []
    found = [kind for way in ways for kind in way.__annotations__.values() if get_origin(kind) is Unpack]
    return max((get_args(kind)[0] for kind in found), key=lambda kind: len(get_type_hints(kind)), default=object)


def _shown_members(kind: type) -> dict[str, str]:
    return {name: _shown(annotation) for name, annotation in get_type_hints(kind).items()}


def _typed_members(kind: Any) -> dict[str, str]:
    """The members of a ``TypedDict`` and of those that it is made from, with their annotations as the source has them."""
    if kind is object:
        return {}
    (made,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(made, ast.ClassDef)
    near = vars(sys.modules[kind.__module__])
    found: dict[str, str] = {}
    for base in map(ast.unparse, made.bases):
        found |= {} if base == "TypedDict" else _typed_members(near[base])
    for each in made.body:
        if isinstance(each, ast.AnnAssign):
            found[ast.unparse(each.target)] = re.sub(r"^Required\[(.*)\]$", r"\1", ast.unparse(each.annotation))
    return found


def _unquoted(annotation: ast.expr) -> str:
    """An annotation, also one that is text in the source because its names are imported only when they are needed."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return annotation.value
    return ast.unparse(annotation)


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    return ast.unparse(argument) + ("" if default is None else f" = {ast.unparse(default)}")


def _shown(annotation: Any) -> str:
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return re.sub(r"\b(?:[a-z_]+\.)+(?=[A-Z])", "", text)


GENERATORS: Final[dict[str, Callable[[], str]]] = {
    "command_line": command_line,
    "errors": error_table,
    "events": event_table,
    "routes": route_table,
    "picture": picture,
    "transitions": transitions,
    "views": view_table,
    "python": python,
    "webhook_body": lambda: member_table(WebhookBody, "member"),
    "webhook_data": lambda: member_table(WebhookData, "member"),
    "webhook_settings": lambda: member_table(WebhookSettings, "setting"),
}

SCHEMA: Final = DOCS / "reference" / "webhook.schema.json"
"""The JSON Schema of the body of a webhook."""


DRAWINGS: Final = {DOCS / "concepts" / f"{kind}.svg": kind for kind in lifecycle.MACHINES}
"""Each picture with the machine that it is of."""


def regenerated(text: str) -> str:
    """A page with its generated parts made anew."""
    return _PART.sub(lambda part: f"{part[1]}{part[2]}{GENERATORS[part[1]]()}", text)


def main() -> None:
    """Write the generated parts of all pages."""
    for page in PAGES:
        text = page.read_text()
        made = regenerated(text)
        if made != text:
            page.write_text(made)
            print(f"{name_of(page)} is written anew.")
    for file, kind in DRAWINGS.items():
        file.write_text(drawing(kind))
    SCHEMA.write_text(webhook_schema())


if __name__ == "__main__":
    main()
