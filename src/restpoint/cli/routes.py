"""Commands on the routes by which people are told of events."""

from pathlib import Path
from typing import Annotated

import typer

from restpoint.cli import terminal
from restpoint.cli.options import DEFAULT_DATABASE, Database, Format, Output, RoutesFile, Url

routes = typer.Typer(help="The routes by which people are told of events.", no_args_is_help=True)


@routes.command()
def check(routes: RoutesFile = None, output: Output = Format.TABLE) -> None:
    """Say what is wrong with a routes file, or what it says. It sends nothing, and needs no database."""
    import os

    from restpoint.cli import output as shown
    from restpoint.notify import routes_file

    found = routes_file.read(_given(routes))
    found.channels(os.environ)
    if output is not Format.TABLE:
        shown.show_items(found.routes, output)
    elif found.routes:
        rows = [
            (
                each.name,
                each.channel,
                ", ".join(each.events),
                ", ".join(each.workflows) or "all",
                ", ".join((*each.assignees, *(f"group:{name}" for name in each.groups))) or "all",
                ", ".join(each.to) or "the channel",
            )
            for each in found.routes
        ]
        shown.table(("route", "channel", "events", "workflows", "addressed to", "tells"), rows)
    terminal.print_message(f"{len(found.routes)} routes, {len(found.settings)} channels: all is well.")


def _given(path: Path | None) -> Path:
    if path is None:
        raise terminal.Usage("Say which file.\nGive it with --routes, or set RESTPOINT_ROUTES_FILE.")
    return path


@routes.command("list")
def list_routes(database: Database = DEFAULT_DATABASE, url: Url = None, output: Output = Format.TABLE) -> None:
    """List the routes that the file goes by now, as the last server that was given some left them."""
    from restpoint.cli import output as shown
    from restpoint.cli.outbox import open_outbox

    async def work() -> None:
        async with open_outbox(database, url) as opened:
            found = await opened.routes()
        if output is not Format.TABLE:
            shown.show_items(found, output)
        elif found:
            rows = [
                (
                    each.name,
                    each.channel,
                    ", ".join(each.events),
                    "" if each.disabled_at is None else f"{shown.when(each.disabled_at)}: {each.problem or ''}",
                )
                for each in found
            ]
            shown.table(("route", "channel", "events", "disabled since (UTC)"), rows)
        if not found:
            terminal.print_message("People are told of nothing: no server was started with --routes.")

    terminal.run(work())


@routes.command()
def enable(
    route: Annotated[str, typer.Argument(help="The name of a route.", show_default=False)],
    database: Database = DEFAULT_DATABASE,
    url: Url = None,
) -> None:
    """Send by a route again that is disabled because its receiver was gone; first of all what has waited."""
    from restpoint.cli.outbox import open_outbox

    async def work() -> None:
        async with open_outbox(database, url) as opened:
            await opened.enable(route)
        terminal.print_message(f"{terminal.one_line(route)} is enabled.")

    terminal.run(work())
