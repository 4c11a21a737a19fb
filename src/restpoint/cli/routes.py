"""Commands on the routes by which people are told of events, and on the secrets that webhooks are signed with."""

import os
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from restpoint.cli import terminal
from restpoint.cli.options import DEFAULT_DATABASE, Database, Format, Output, PublicUrl, RoutesFile, Url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restpoint.notify.routes_file import Routes
    from restpoint.notify.samples import Outcome

routes = typer.Typer(help="The routes by which people are told of events.", no_args_is_help=True)


@routes.command()
def check(routes: RoutesFile = None, output: Output = Format.TABLE) -> None:
    """Say what is wrong with a routes file, or what it says. It sends nothing, and needs no database."""
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
                "always" if each.hours is None else str(each.hours),
            )
            for each in found.routes
        ]
        shown.table(("route", "channel", "events", "workflows", "addressed to", "tells", "hours"), rows)
    lacking = list(found.without_address())
    for person, channel in lacking:
        terminal.print_message(
            terminal.printable(
                f"{person} has no address for {channel} in the file; a function of the application, or for mail their "
                "sign-in, must bring one."
            )
        )
    verdict = "The file has no mistake" if lacking else "All is well"
    terminal.print_message(f"{verdict}; routes: {len(found.routes)}, channels: {len(found.settings)}.")


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


@routes.command("test")
def send_sample(
    name: Annotated[str, typer.Argument(metavar="name", help="The name of the route.")],
    routes: RoutesFile = None,
    to: Annotated[
        list[str] | None, typer.Option("--to", help="A person to tell instead of those of the route; may be repeated.")
    ] = None,
    public_url: PublicUrl = None,
    database: Annotated[
        str | None,
        typer.Option("--database", help="A file that has addresses of people who signed in."),
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """Send a sample by a route, and say what came of it. It is marked as one, and nothing of it is in the history."""
    from restpoint.cli import output as shown
    from restpoint.notify import routes_file

    outcomes = terminal.run(_sent(routes_file.read(_given(routes)), name, to or [], public_url, database))
    if output is not Format.TABLE:
        shown.show_items([asdict(outcome) for outcome in outcomes], output)
    else:
        for outcome in outcomes:
            person = f" to {outcome.person}" if outcome.person is not None else ""
            what = "delivered" if outcome.problem is None else f"not delivered: {outcome.problem}"
            terminal.print_data(terminal.printable(f"{name} by {outcome.channel}{person}: {what}") + "\n")
    if any(outcome.problem is not None for outcome in outcomes):
        raise typer.Exit(terminal.STORAGE)


async def _sent(
    file: "Routes", name: str, to: "Sequence[str]", public_url: str | None, database: str | None
) -> "list[Outcome]":
    from restpoint._core.clock import SystemClock
    from restpoint.cli.backend import file_backend
    from restpoint.notify import samples
    from restpoint.notify.addresses import Addresses

    route = file.route(name)
    if route is None:
        known = ", ".join(each.name for each in file.routes) or "none"
        raise terminal.Usage(f"There is no route {name!r} in the file. It has: {known}.")
    if route.channel not in file.settings:
        raise terminal.Usage(f"The channel {route.channel!r} of this route is one that an application brings.")
    channels = file.channels(os.environ, public_url)
    try:
        async with AsyncExitStack() as opened:
            store = None if database is None else (await opened.enter_async_context(file_backend(database))).store
            addresses = Addresses(file, store=store)
            return await samples.send(route, channels[route.channel], addresses, SystemClock(), to=to)
    finally:
        for channel in channels.values():
            await channel.close()


@routes.command()
def keygen(
    file: Annotated[
        Path | None, typer.Argument(help="The new file to write; without one the secret is printed.")
    ] = None,
    *,
    ed25519: Annotated[
        bool, typer.Option("--ed25519", help="Make a key pair, of which receivers get the public key only.")
    ] = False,
) -> None:
    """Make what a webhook is signed with: a secret that its receiver gets too, or an Ed25519 key and its public key."""
    from restpoint._core import secret_files
    from restpoint.errors import UnusableFile
    from restpoint.notify import signatures

    text = signatures.new_private_key() if ed25519 else signatures.new_secret()
    if file is None:
        terminal.print_data(f"{text}\n")
    else:
        try:
            secret_files.write_whole(file, [f"{text}\n".encode()], replace=False)
        except FileExistsError:
            raise UnusableFile(f"{file} exists; name a new file, so that no secret is lost.") from None
        except OSError as error:
            raise UnusableFile(f"{file} cannot be written: {error.strerror}.") from error
    signer = signatures.read_signer(text, "The new secret")
    if isinstance(signer, signatures.PrivateKey):
        if file is not None:
            terminal.print_data(f"{signer.public}\n")
        else:  # what is printed is the private key alone, so that it can be piped
            terminal.print_message(f"The public key, for receivers: {signer.public}")
    elif file is not None:
        terminal.print_message(f"Give the receiver what {file} holds, by a way that nobody else reads.")
