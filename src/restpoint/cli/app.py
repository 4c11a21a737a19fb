"""The commands, put together. What a command needs is imported when it runs, so that ``--help`` is there at once."""

from typing import Annotated

import typer

from restpoint.cli import audit, executions, files, oauth, retention, servers, terminal
from restpoint.cli.examples import EXIT_CODES, shown


def application() -> typer.Typer:
    """The ``restpoint`` command."""
    app = typer.Typer(
        name="restpoint",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
        epilog=f"{EXIT_CODES}\n\nEach command has examples: restpoint answer --help",
    )
    app.callback()(about)
    waiting, running, the_file = "What waits and runs", "Serving", "The file"
    for command, name in (
        (executions.list_executions, "list"),
        (executions.show, "show"),
        (executions.answer, "answer"),
        (oauth.authorize, "authorize"),
        (executions.cancel, "cancel"),
        (executions.watch, "watch"),
        (executions.history, "history"),
        (executions.start, "start"),
    ):
        app.command(name, rich_help_panel=waiting)(command)
    app.command("serve", rich_help_panel=running)(servers.serve)
    app.command("demo", rich_help_panel=running)(demo)
    app.add_typer(servers.tokens, name="tokens", rich_help_panel=running)
    app.add_typer(oauth.keys, name="keys", rich_help_panel=running)
    app.command("sweep", rich_help_panel=the_file)(files.sweep)
    app.command("hold", rich_help_panel=the_file)(retention.hold)
    app.command("release", rich_help_panel=the_file)(retention.release)
    app.command("erase", rich_help_panel=the_file)(retention.erase)
    app.add_typer(files.db, name="db", rich_help_panel=the_file)
    app.add_typer(audit.audit, name="audit", rich_help_panel=the_file)
    _show_examples(app)
    return app


def _show_examples(app: typer.Typer, group: str = "") -> None:
    for each in app.registered_commands:
        assert each.callback is not None  # noqa: S101 - it was made of one
        each.epilog = shown(f"{group}{each.name or each.callback.__name__}")
    for one in app.registered_groups:
        assert one.typer_instance is not None  # noqa: S101 - see above
        _show_examples(one.typer_instance, f"{one.name} ")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        terminal.put(f"restpoint {version('restpoint')}\n")
        raise typer.Exit


def about(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Interactive workflow executions that survive restarts, in one SQLite file."""


def demo(
    *, keep: Annotated[bool, typer.Option("--keep", help="Leave the file behind, to look into it.")] = False
) -> None:
    """Watch a prompt survive kill -9: a real server, a real file, your own answer."""
    from rich.console import Console

    from restpoint.cli import demo as demonstration

    demonstration.run(Console(), keep=keep)
