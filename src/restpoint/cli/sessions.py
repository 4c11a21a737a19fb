"""Commands on the sessions of people who signed in at a browser. They work on the file, also while a server has it open."""

from typing import Annotated

import typer

from restpoint.cli import terminal
from restpoint.cli.options import DEFAULT_DATABASE, Database, Format, Output, existing, user_name, with_database

sessions = typer.Typer(help="The sessions of people who signed in at a browser.", no_args_is_help=True)


@sessions.command("list")
def list_sessions(
    database: Database = DEFAULT_DATABASE,
    of: Annotated[str | None, typer.Option("--of", help="Only those of this person.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """List the sessions that are not over: whose each is, how it began, when it was last used, and until when it lasts."""
    from restpoint._core.clock import SystemClock
    from restpoint._storage import sessions as stored
    from restpoint.cli import output as shown

    path = existing(database)
    found = terminal.run(with_database(path, lambda file: stored.open_ones(file, SystemClock().now())))
    found = [each for each in found if of in {None, each.actor.id}]
    if output is Format.TABLE:
        rows = [
            (
                each.id,
                each.actor.id,
                ", ".join(sorted(each.actor.groups)),
                ", ".join(sorted(each.actor.roles)),
                each.provider or "a token",
                *(shown.when(at / 1000) for at in (each.created_at, each.used_at, each.expires_at)),
            )
            for each in found
        ]
        shown.table(
            ("session", "person", "groups", "roles", "with", "since (UTC)", "used (UTC)", "ends by (UTC)"), rows
        )
        return
    items = [
        {
            "id": each.id,
            "person": each.actor.id,
            "groups": sorted(each.actor.groups),
            "roles": sorted(each.actor.roles),
            "provider": each.provider,
            "created_at": each.created_at / 1000,
            "used_at": each.used_at / 1000,
            "ends_at": each.ends_at / 1000,
            "expires_at": each.expires_at / 1000,
        }
        for each in found
    ]
    shown.show_items(items, output)


@sessions.command()
def revoke(
    session: Annotated[
        str | None, typer.Argument(help="The id of a session, or its beginning, as `restpoint sessions list` shows it.")
    ] = None,
    database: Database = DEFAULT_DATABASE,
    of: Annotated[str | None, typer.Option("--of", help="Every session of this person.")] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="Every session of everybody.")] = False,
) -> None:
    """End a session, those of a person, or all. A running server asks whoever had one to sign in again at the next request.

    It takes no token and no account away: the person may sign in again. See `restpoint tokens revoke`.
    """
    from functools import partial

    from restpoint._core.clock import SystemClock
    from restpoint._storage import Database as File
    from restpoint._storage import sessions as stored
    from restpoint.errors import InvalidArgument

    if sum((session is not None, of is not None, every)) != 1:
        raise terminal.Usage(
            "Say which sessions to end.\nGive the id of one, --of NAME for those of a person, or --all."
        )

    async def work(file: File) -> int:
        known = await stored.open_ones(file, SystemClock().now())
        chosen = [
            each.id for each in known if every or each.actor.id == of or (session and each.id.startswith(session))
        ]
        if session is not None and len(chosen) > 1:
            raise InvalidArgument(f"{session!r} begins the ids of {len(chosen)} sessions; give more of it.")
        return await file.write(partial(stored.end_these, ids=chosen, actor=user_name(), cause="revoked"))

    ended = terminal.run(with_database(existing(database), work))
    terminal.print_message(f"Ended {ended} session{'' if ended == 1 else 's'}.")
    if not ended:
        raise typer.Exit(terminal.NOT_FOUND)
