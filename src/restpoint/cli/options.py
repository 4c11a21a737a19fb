"""Options that several commands have."""

import re
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from restpoint._core import addresses
from restpoint.cli.terminal import Usage

DEFAULT_DATABASE = addresses.DEFAULT_DATABASE


class Format(StrEnum):
    """How data is shown."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"


Database = Annotated[
    str, typer.Option("--database", "-d", envvar="RESTPOINT_DATABASE", help="The SQLite file: a path, or a URL.")
]
Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="RESTPOINT_URL",
        help="A server to ask rather than the file; its bearer token comes from RESTPOINT_TOKEN.",
    ),
]
FileOnly = Annotated[
    str | None, typer.Option("--url", hidden=True, help="Refused: what these commands do, no server does for others.")
]
Output = Annotated[
    Format,
    typer.Option("--output", "-o", envvar="RESTPOINT_OUTPUT", help="A table for people, or JSON for programs."),
]
KeysFile = Annotated[
    Path | None,
    typer.Option(
        "--keys",
        envvar="RESTPOINT_KEYS_FILE",
        help="The key ring that seals secrets; by default a file beside the database.",
    ),
]
Id = Annotated[str, typer.Argument(help="The execution's id, or its beginning or its end, if that names one only.")]


def on_the_file(url: str | None) -> None:
    """Refuse the ``--url`` of a command that works on the file only."""
    if url is not None:
        raise Usage(
            f"This works on the file only, and --url names a server: {url}\n"
            "Run it on the machine that has the file, with --database; the server may go on meanwhile."
        )


def seconds_or_never(text: str) -> float | None:
    """A time to live as it is typed: seconds, or ``never``."""
    if text == "never":
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 3_000_000_000:
        raise typer.BadParameter(f"{text!r} is neither seconds nor the word never")
    return seconds


def times_to_live(rules: Sequence[str] | None) -> Any:
    """Times to live as they are typed, each ``[WORKFLOW:][STATUS=]SECONDS`` or ``never``, in what ``ttl_seconds`` takes.

    Where none is typed: what says so.
    """
    from restpoint._core.retention_rules import DEFAULT_EXECUTION_TTL, WORKFLOWS
    from restpoint.lifecycle import TERMINAL

    words = [word for rule in rules or () for word in re.split(r"[,\s]+", rule) if word]
    if not words:
        return DEFAULT_EXECUTION_TTL
    general: dict[str, float | None] = {}
    workflows: dict[str, dict[str, float | None]] = {}
    # What is said of all statuses first, so that what is said of one holds whatever the order.
    for word in sorted(words, key=lambda word: "=" in word):
        workflow, colon, rule = word.rpartition(":")
        status, equals, seconds = rule.rpartition("=")
        if (colon and not workflow) or (equals and status not in TERMINAL):
            raise typer.BadParameter(
                f"{word!r} is no rule: write [WORKFLOW:][STATUS=]SECONDS or never, with a status of {', '.join(TERMINAL)}"
            )
        into = workflows.setdefault(workflow, {}) if workflow else general
        into.update(dict.fromkeys([status] if equals else list(map(str, TERMINAL)), seconds_or_never(seconds)))
    return {**general, WORKFLOWS: workflows} if workflows else general


TimeToLive = Annotated[
    list[str] | None,
    typer.Option(
        "--ttl",
        envvar="RESTPOINT_TTL",
        metavar="[WORKFLOW:][STATUS=]SECONDS|never",
        help="How long an execution that has ended stays in the file; may be repeated. Unless told: as the file says, or 600.",
    ),
]
