"""Commands of the server: serve workflows, and add, list and revoke bearer tokens."""

import math
import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from restpoint.cli import terminal
from restpoint.cli.options import (
    DEFAULT_DATABASE,
    Create,
    Database,
    Format,
    KeysFile,
    Output,
    ProvidersFile,
    PublicUrl,
    RoutesFile,
    TimeToLive,
    seconds_or_never,
    times_to_live,
)

tokens = typer.Typer(help="The bearer tokens that the server accepts.", no_args_is_help=True)

TokensFile = Annotated[
    Path | None,
    typer.Option(
        "--tokens-file", envvar="RESTPOINT_TOKENS_FILE", help="The accepted tokens; see `restpoint tokens add`."
    ),
]


def serve(
    targets: Annotated[
        list[str],
        typer.Argument(metavar="target", help="A .py file, or a module, with @workflow functions; may be repeated."),
    ],
    database: Database = DEFAULT_DATABASE,
    create: Create = False,
    host: Annotated[
        str,
        typer.Option(
            "--host",
            help="The address to listen on; one beyond this machine needs --tokens-file, or a provider to sign in with.",
        ),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", "-p", metavar="N", help="The port; 0 picks a free one.")] = 8000,
    workers: Annotated[
        int, typer.Option("--workers", min=1, metavar="N", help="Processes that share file and port.")
    ] = 1,
    tokens_file: TokensFile = None,
    providers: ProvidersFile = None,
    routes: RoutesFile = None,
    keys: KeysFile = None,
    public_url: PublicUrl = None,
    trusted_origin: Annotated[
        list[str] | None,
        typer.Option(
            "--trusted-origin",
            metavar="ORIGIN",
            help="Let pages of this origin, such as https://inbox.example, use the server in a browser; may be repeated.",
        ),
    ] = None,
    session_idle: Annotated[
        float,
        typer.Option(
            "--session-idle",
            envvar="RESTPOINT_SESSION_IDLE",
            metavar="SECONDS",
            help="How long a session of a browser lasts without a request.",
        ),
    ] = 3_600,
    session_lifetime: Annotated[
        float,
        typer.Option(
            "--session-lifetime",
            envvar="RESTPOINT_SESSION_LIFETIME",
            metavar="SECONDS",
            help="How long a session of a browser lasts, however much it is used.",
        ),
    ] = 86_400,
    ttl: TimeToLive = None,
    history: Annotated[
        Literal["full", "digest"] | None,
        typer.Option(
            "--history",
            envvar="RESTPOINT_HISTORY",
            metavar="MODE",
            help="Whether history stores prompts and responses (full), or only their SHA-256 (digest). Default: the rule in the "
            "file, or full.",
        ),
    ] = None,
    history_retention: Annotated[
        str | None,
        typer.Option(
            "--history-retention",
            envvar="RESTPOINT_HISTORY_RETENTION",
            metavar="SECONDS",
            help="How long history stays: seconds, or never to keep it all. Default: the rule in the file, or for ever.",
        ),
    ] = None,
    idempotency_retention: Annotated[
        str | None,
        typer.Option(
            "--idempotency-retention",
            envvar="RESTPOINT_IDEMPOTENCY_RETENTION",
            metavar="SECONDS",
            help="How long an idempotency key is known after the end. Default: the rule in the file, or 86400 (a day).",
        ),
    ] = None,
    abandoned_after: Annotated[
        str | None,
        typer.Option(
            "--abandoned-after",
            envvar="RESTPOINT_ABANDONED_AFTER",
            metavar="SECONDS",
            help="When to fail what no runner runs and a dead process left. Default: the rule in the file, or 7776000 (90 days).",
        ),
    ] = None,
    concurrency: Annotated[
        int, typer.Option("--concurrency", min=1, metavar="N", help="Runs at the same time, in each process.")
    ] = 100,
    max_connections: Annotated[
        int,
        typer.Option(
            "--max-connections",
            envvar="RESTPOINT_MAX_CONNECTIONS",
            min=8,
            metavar="N",
            help="Connections at the same time, in each process; fewer where its limit of open files is low.",
        ),
    ] = 1_000,
    owner_open: Annotated[
        int | None,
        typer.Option(
            "--owner-open",
            envvar="RESTPOINT_OWNER_OPEN",
            min=1,
            metavar="N",
            help="Executions that one owner may have open. Default: any.",
        ),
    ] = None,
    owner_starts: Annotated[
        int | None,
        typer.Option(
            "--owner-starts",
            envvar="RESTPOINT_OWNER_STARTS",
            min=1,
            metavar="N",
            help="Starts of one owner in a minute. Default: any.",
        ),
    ] = None,
    default: Annotated[str | None, typer.Option("--default", help="The workflow that /v1/workflow starts.")] = None,
    log_format: Annotated[
        Literal["text", "json"],
        typer.Option("--log-format", metavar="FORMAT", help="The format of the log: text or json."),
    ] = "text",
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        typer.Option(
            "--log-level", metavar="LEVEL", help="The lowest level that is logged: debug, info, warning or error."
        ),
    ] = "warning",
) -> None:
    """Serve the workflows of files and modules over HTTP."""
    try:
        from restpoint.http import server
    except ImportError as missing:
        raise terminal.Usage(
            f"The server needs {missing.name}, which is not installed.\nRun: pip install 'restpoint[server]'"
        ) from None

    from restpoint._store.owner_limits import OwnerLimits
    from restpoint.errors import InvalidArgument

    settings = server.Settings(
        targets=tuple(targets),
        database=database,
        host=host,
        port=port,
        workers=workers,
        tokens_file=None if tokens_file is None else str(tokens_file),
        ttl=times_to_live(ttl, serving=True),
        history=history,
        history_retention=_retention(history_retention),
        idempotency_retention=_retention(idempotency_retention),
        abandoned_after=_retention(abandoned_after),
        concurrency=concurrency,
        max_connections=max_connections,
        owner_limits=OwnerLimits(owner_open, owner_starts) if owner_open or owner_starts else None,
        default=default,
        log_json=log_format == "json",
        log_level=log_level.upper(),
        providers_file=None if providers is None else str(providers),
        routes_file=None if routes is None else str(routes),
        keys_file=None if keys is None else str(keys),
        public_url=public_url,
        trusted_origins=tuple(trusted_origin or ()),
        session_idle=session_idle,
        session_lifetime=session_lifetime,
        create=create,
    )
    try:
        server.run(settings)
    except InvalidArgument as error:
        raise terminal.Usage(str(error)) from None


def _retention(text: str | None) -> float | None:
    if text is None:
        return None
    seconds = seconds_or_never(text)
    return math.inf if seconds is None else seconds


OwnTokensFile = Annotated[
    Path, typer.Option("--tokens-file", envvar="RESTPOINT_TOKENS_FILE", help="The file that holds the tokens.")
]
DEFAULT_TOKENS = Path("tokens.json")
_SHOWN_DIGITS = 12  # of a token's SHA-256


@tokens.command()
def add(
    name: Annotated[str, typer.Argument(help="The owner of the token, as the history shows it.")],
    tokens_file: Annotated[
        Path,
        typer.Option(
            "--tokens-file", envvar="RESTPOINT_TOKENS_FILE", help="The file to add it to; it is made if it is missing."
        ),
    ] = DEFAULT_TOKENS,
    group: Annotated[
        list[str] | None, typer.Option("--group", "-g", help="A group of the owner; may be repeated.")
    ] = None,
    role: Annotated[
        list[str] | None, typer.Option("--role", "-r", help="A role of the owner, operator or reader; may be repeated.")
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option(
            "--expires",
            metavar="WHEN",
            help="When it stops working: 90d, 12h, or 2027-01-31. Default: never.",
        ),
    ] = None,
) -> None:
    """Make a token and print it. The file stores only its SHA-256, so the token cannot be shown again."""
    from restpoint.http import bearer_tokens as file

    until = None if expires is None else _expiry(expires)
    token = file.add(tokens_file, name, groups=group or (), roles=role or (), expires=until)
    terminal.print_data(f"{token}\n")
    terminal.print_message(f"{name} may use it with a server that is given --tokens-file {tokens_file}")


@tokens.command("list")
def list_tokens(tokens_file: OwnTokensFile = DEFAULT_TOKENS, output: Output = Format.TABLE) -> None:
    """List the tokens: the beginning of the SHA-256 of each, whose it is, and until when it works."""
    from restpoint.cli import output as shown
    from restpoint.http import bearer_tokens as file

    now = time.time_ns() // 1_000_000
    found = file.read(tokens_file)
    if output is Format.TABLE:
        rows = [
            (
                each.sha256[:_SHOWN_DIGITS],
                each.actor.id,
                ", ".join(sorted(each.actor.groups)),
                ", ".join(sorted(each.actor.roles)),
                "" if each.created is None else shown.when(each.created / 1000),
                "never" if each.expires is None else shown.when(each.expires / 1000),
                "expired" if each.has_expired(now) else "",
            )
            for each in found
        ]
        shown.table(("token", "owner", "groups", "roles", "created (UTC)", "expires (UTC)", ""), rows)
        return
    items = [
        {
            "sha256": each.sha256,
            "id": each.actor.id,
            "groups": sorted(each.actor.groups),
            "roles": sorted(each.actor.roles),
            "created_at": None if each.created is None else each.created / 1000,
            "expires_at": None if each.expires is None else each.expires / 1000,
            "expired": each.has_expired(now),
        }
        for each in found
    ]
    shown.show_items(items, output)


@tokens.command()
def revoke(
    token: Annotated[
        str | None,
        typer.Argument(help="The beginning of its SHA-256, as `restpoint tokens list` shows it; or the token."),
    ] = None,
    tokens_file: OwnTokensFile = DEFAULT_TOKENS,
    of: Annotated[str | None, typer.Option("--of", help="Every token of this owner.")] = None,
) -> None:
    """Revoke a token, or all tokens of an owner. A running server refuses them from the next request on."""
    from restpoint.http import bearer_tokens as file

    if (token is None) == (of is None):
        raise terminal.Usage("Say which token to revoke.\nGive the beginning of one, or --of NAME for all of an owner.")
    for each in file.revoke(tokens_file, token=token, of=of):
        terminal.print_message(f"Revoked {each.sha256[:_SHOWN_DIGITS]} of {each.actor.id}.")


def _expiry(text: str) -> int:
    """The time that ``--expires`` means, in milliseconds since the epoch. Raises ``InvalidArgument``."""
    from restpoint._core import timestamps

    unit = {"d": 86_400, "h": 3_600}.get(text[-1:])
    if unit is not None and text[:-1].isdecimal() and len(text) < 8:
        return time.time_ns() // 1_000_000 + int(text[:-1]) * unit * 1_000
    return timestamps.until(text)
