"""Options that several commands have."""

from enum import StrEnum
from typing import Annotated

import typer

DEFAULT_DATABASE = "restpoint.db"


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
Output = Annotated[
    Format,
    typer.Option("--output", "-o", envvar="RESTPOINT_OUTPUT", help="A table for people, or JSON for programs."),
]
Id = Annotated[str, typer.Argument(help="The execution's id, or its beginning or its end, if that names one only.")]


def seconds_or_never(text: str) -> float | None:
    """A time to live as it is typed: seconds, or ``never``."""
    if text == "never":
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 3_000_000_000:  # noqa: PLR2004 - what the store takes, about
        raise typer.BadParameter(f"{text!r} is neither seconds nor the word never")
    return seconds


TimeToLive = Annotated[
    str,
    typer.Option(
        "--ttl",
        envvar="RESTPOINT_TTL",
        metavar="SECONDS|never",
        help="How long an execution that has ended stays in the file.",
    ),
]
