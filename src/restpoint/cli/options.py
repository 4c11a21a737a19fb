"""Options that several commands share, and the values that they stand for."""

import os
import pwd
import re
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from restpoint._core import addresses
from restpoint.cli.terminal import Usage

T = TypeVar("T")

DEFAULT_DATABASE = addresses.DEFAULT_DATABASE


class Format(StrEnum):
    """The output formats."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"


Database = Annotated[
    str, typer.Option("--database", "-d", envvar="RESTPOINT_DATABASE", help="The SQLite file: a path, or a URL.")
]
Create = Annotated[
    bool,
    typer.Option("--create", help="Make a new file also where a key ring, backups or a log show that there was one."),
]


def _unless_a_file_is_named(context: typer.Context, url: str | None) -> str | None:
    """The server to ask; None where its URL is in the environment and ``--database`` on the command line names a file."""
    # Typer has its own copy of click from 0.27 on, so their enumerations are compared by name.
    sources = [getattr(context.get_parameter_source(name), "name", None) for name in ("url", "database")]
    return None if sources == ["ENVIRONMENT", "COMMANDLINE"] else url


Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="RESTPOINT_URL",
        callback=_unless_a_file_is_named,
        help="Use this server instead of the file; the bearer token comes from RESTPOINT_TOKEN.",
    ),
]
FileOnly = Annotated[
    str | None, typer.Option("--url", hidden=True, help="Refused: this command works on the file only.")
]
Output = Annotated[
    Format, typer.Option("--output", "-o", envvar="RESTPOINT_OUTPUT", help="A table for people, or JSON for programs.")
]
KeysFile = Annotated[
    Path | None,
    typer.Option(
        "--keys",
        envvar="RESTPOINT_KEYS_FILE",
        help="The key ring that seals secrets; by default a file beside the database.",
    ),
]
ProvidersFile = Annotated[
    Path | None,
    typer.Option("--providers", envvar="RESTPOINT_PROVIDERS_FILE", help="The file of OAuth providers, as TOML."),
]
RoutesFile = Annotated[
    Path | None,
    typer.Option("--routes", envvar="RESTPOINT_ROUTES_FILE", help="The file that says who is told of what, as TOML."),
]
PublicUrl = Annotated[
    str | None,
    typer.Option("--public-url", envvar="RESTPOINT_PUBLIC_URL", help="The URL of the server as browsers see it."),
]
Id = Annotated[
    str,
    typer.Argument(metavar="id", help="The id of the execution, or enough of its beginning or its end to be unique."),
]


def path_of(database: str) -> Path:
    """Return the path of a database, which need not exist. Raises ``InvalidArgument`` if it is not a path or an SQLite URL."""
    from restpoint._storage import locate

    return locate(database)


def existing(database: str) -> Path:
    """Return the path of an existing database. Raises ``UnusableFile`` if it is missing."""
    from restpoint._storage import migrations
    from restpoint.errors import UnusableFile

    path = path_of(database)
    if migrations.current(path) is None:
        raise UnusableFile(f"{path} holds no tables; run: restpoint db upgrade --database {path}")
    return path


async def with_database(path: Path, work: Callable[[Any], Awaitable[T]]) -> T:
    """Open the database at ``path``, do the work with it, and close it."""
    from restpoint._core.clock import SystemClock
    from restpoint._storage import Database

    database = await Database.open(path, SystemClock())
    try:
        return await work(database)
    finally:
        await database.close()


def user_name() -> str:
    """Return the user of the operating system. It ignores the environment, which anyone may set."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def refuse_url(url: str | None) -> None:
    """Raise ``Usage`` for ``--url`` of a command that works on the file only."""
    if url is not None:
        raise Usage(
            f"This works on the file only, and --url names a server: {url}\n"
            "Run it on the machine that has the file, with --database; the server may keep running."
        )


def seconds_or_never(text: str) -> float | None:
    """Parse seconds; ``never`` is None."""
    if text == "never":
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 3_000_000_000:
        raise typer.BadParameter(f"{text!r} is neither a number of seconds nor the word never")
    return seconds


def times_to_live(rules: Sequence[str] | None, *, serving: bool = False) -> Any:
    """Parse ``--ttl``: rules of the form ``[WORKFLOW:][STATUS=]SECONDS`` or ``never``, for the argument ``ttl_seconds``.

    Without rules, it returns the default of that argument, or of a server.
    """
    from restpoint._core.retention_rules import DEFAULT_EXECUTION_TTL, SERVER_EXECUTION_TTL, WORKFLOWS
    from restpoint.lifecycle import TERMINAL

    words = [word for rule in rules or () for word in re.split(r"[,\s]+", rule) if word]
    if not words:
        return SERVER_EXECUTION_TTL if serving else DEFAULT_EXECUTION_TTL
    general: dict[str, float | None] = {}
    workflows: dict[str, dict[str, float | None]] = {}
    # Apply the rules for all statuses first, so that the order of the options does not matter.
    for word in sorted(words, key=lambda word: "=" in word):
        workflow, colon, rule = word.rpartition(":")
        status, equals, seconds = rule.rpartition("=")
        if (colon and not workflow) or (equals and status not in TERMINAL):
            raise typer.BadParameter(
                f"{word!r} is not a rule: write [WORKFLOW:][STATUS=]SECONDS or never, with a status of {', '.join(TERMINAL)}"
            )
        rules_of = workflows.setdefault(workflow, {}) if workflow else general
        rules_of.update(dict.fromkeys([status] if equals else list(map(str, TERMINAL)), seconds_or_never(seconds)))
    return {**general, WORKFLOWS: workflows} if workflows else general


TimeToLive = Annotated[
    list[str] | None,
    typer.Option(
        "--ttl",
        envvar="RESTPOINT_TTL",
        metavar="RULE",
        help="How long an ended execution stays in the file: [WORKFLOW:][STATUS=]SECONDS or never; may be repeated. "
        "Default: the rule in the file; where it has none, 600, and 2592000 (30 days) with a server.",
    ),
]
