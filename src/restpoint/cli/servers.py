"""Commands that serve: the ready server, and the tokens of those whom it lets in."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from restpoint.cli import terminal
from restpoint.cli.options import DEFAULT_DATABASE, Database, TimeToLive, seconds_or_never

tokens = typer.Typer(help="The bearer tokens of those whom the server lets in.", no_args_is_help=True)

TokensFile = Annotated[
    Path | None,
    typer.Option("--tokens-file", envvar="RESTPOINT_TOKENS_FILE", help="Who is let in; see `restpoint tokens add`."),
]


def serve(
    target: Annotated[str, typer.Argument(help="A .py file, or a module, with @workflow functions.")],
    database: Database = DEFAULT_DATABASE,
    host: Annotated[
        str, typer.Option("--host", help="Where to listen; not beyond this machine without tokens.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", "-p", help="0: any that is free.")] = 8000,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes that share file and port.")] = 1,
    tokens_file: TokensFile = None,
    ttl: TimeToLive = "600",
    concurrency: Annotated[
        int, typer.Option("--concurrency", min=1, help="Runs at work at once, in each process.")
    ] = 100,
    default: Annotated[str | None, typer.Option("--default", help="The workflow that /v1/workflow starts.")] = None,
    log_format: Annotated[Literal["text", "json"], typer.Option("--log-format", help="How to log.")] = "text",
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], typer.Option("--log-level", help="How much to log.")
    ] = "warning",
) -> None:
    """Serve the workflows of a file or module over HTTP."""
    try:
        from restpoint import serve as server  # noqa: PLC0415 - `--help` need not wait for it
    except ImportError as missing:
        raise terminal.Usage(
            f"The server needs {missing.name}, which is not installed.\nRun: pip install 'restpoint[server]'"
        ) from None

    from restpoint.errors import InvalidArgument  # noqa: PLC0415

    settings = server.Settings(
        target=target,
        database=database,
        host=host,
        port=port,
        workers=workers,
        tokens_file=None if tokens_file is None else str(tokens_file),
        ttl=seconds_or_never(ttl),
        concurrency=concurrency,
        default=default,
        log_json=log_format == "json",
        log_level=log_level.upper(),
    )
    try:
        server.run(settings)
    except InvalidArgument as error:
        raise terminal.Usage(str(error)) from None


@tokens.command()
def add(
    name: Annotated[str, typer.Argument(help="Whose it is, as the history will show it.")],
    tokens_file: TokensFile = None,
    group: Annotated[
        list[str] | None, typer.Option("--group", "-g", help="A group they belong to; may be repeated.")
    ] = None,
    role: Annotated[list[str] | None, typer.Option("--role", "-r", help="operator or reader; may be repeated.")] = None,
) -> None:
    """Make a token and print it: it is nowhere else. The file keeps only its SHA-256."""
    from restpoint import tokens as file  # noqa: PLC0415

    path = tokens_file or Path("tokens.json")
    token = file.add(path, name, groups=group or (), roles=role or ())
    terminal.put(f"{token}\n")
    terminal.say(f"{name} may use it with a server that is given --tokens-file {path}")
