"""Commands on the sessions of people who signed in at a browser: in the file, also while a server has it open, or at a server."""

import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from restpoint.cli import terminal
from restpoint.cli.options import DEFAULT_DATABASE, Database, Format, Output, Url, existing, user_name, with_database

if TYPE_CHECKING:
    from restpoint._storage import Database as File
    from restpoint.client.client import Client
    from restpoint.models import SessionItem

T = TypeVar("T")

sessions = typer.Typer(help="The sessions of people who signed in at a browser.", no_args_is_help=True)


@sessions.command("list")
def list_sessions(
    database: Database = DEFAULT_DATABASE,
    url: Url = None,
    of: Annotated[str | None, typer.Option("--of", help="Only those of this person.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """List the sessions that are not over: whose each is, how it began, when it was last used, and until when it lasts."""
    from restpoint._core.clock import SystemClock
    from restpoint._storage import sessions as stored
    from restpoint.cli import output as shown
    from restpoint.service.sessions import item_of

    async def in_file(file: "File") -> "list[SessionItem]":
        found = await stored.open_ones(file, SystemClock().now())
        return [item_of(each) for each in found if of in {None, each.actor.id}]

    async def at_server(client: "Client") -> "list[SessionItem]":
        return list(await client.sessions(of=of))

    found = _found(database, url, in_file, at_server)
    if output is not Format.TABLE:
        shown.show_items([each.model_dump() for each in found], output)
        return
    rows = [
        (
            each.id,
            each.person,
            ", ".join(each.groups),
            ", ".join(each.roles),
            each.provider or "a token",
            *(shown.when(at) for at in (each.created_at, each.used_at, each.expires_at)),
        )
        for each in found
    ]
    shown.table(("session", "person", "groups", "roles", "with", "since (UTC)", "used (UTC)", "ends by (UTC)"), rows)


@sessions.command()
def revoke(
    session: Annotated[
        str | None, typer.Argument(help="The id of a session, or its beginning, as `restpoint sessions list` shows it.")
    ] = None,
    database: Database = DEFAULT_DATABASE,
    url: Url = None,
    of: Annotated[str | None, typer.Option("--of", help="Every session of this person.")] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="Every session of everybody.")] = False,
) -> None:
    """End a session, those of a person, or all. A running server asks whoever had one to sign in again at the next request.

    It takes no token and no account away: the person may sign in again. See `restpoint tokens revoke`.
    """
    from functools import partial

    from restpoint._core.clock import SystemClock
    from restpoint._storage import sessions as stored

    if sum((session is not None, of is not None, every)) != 1:
        raise terminal.Usage(
            "Say which sessions to end.\nGive the id of one, --of NAME for those of a person, or --all."
        )

    async def in_file(file: "File") -> int:
        chosen = await stored.chosen(file, SystemClock().now(), session=session, of=of, every=every)
        return await file.write(partial(stored.end_these, ids=chosen, actor=user_name(), cause="revoked"))

    async def at_server(client: "Client") -> int:
        return await client.end_sessions(session=session, of=of, every=every)

    ended = _found(database, url, in_file, at_server)
    terminal.print_message(f"Ended {ended} session{'' if ended == 1 else 's'}.")
    if not ended:
        raise typer.Exit(terminal.NOT_FOUND)


def _found(
    database: str,
    url: str | None,
    in_file: Callable[["File"], Awaitable[T]],
    at_server: Callable[["Client"], Awaitable[T]],
) -> T:
    """What is found in the file, or at the server where there is a ``url``."""
    if url is None:
        return terminal.run(with_database(existing(database), in_file))
    from restpoint.client.client import Client

    async def work() -> T:
        async with Client(url, os.environ.get("RESTPOINT_TOKEN") or None) as client:
            return await at_server(client)

    return terminal.run(work())
