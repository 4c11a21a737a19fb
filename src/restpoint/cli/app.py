"""The commands, put together. What a command needs is imported when it runs, so that ``--help`` is there at once."""

from typing import Annotated

import typer

from restpoint.cli import audit, consenting, files, keeping, people, servers


def application() -> typer.Typer:
    """The ``restpoint`` command."""
    app = typer.Typer(
        name="restpoint",
        help="Interactive workflow executions that survive restarts, in one SQLite file.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    waiting, running, the_file = "What waits and runs", "Serving", "The file"
    for command, name in (
        (people.list_executions, "list"),
        (people.show, "show"),
        (people.answer, "answer"),
        (consenting.authorize, "authorize"),
        (people.cancel, "cancel"),
        (people.watch, "watch"),
        (people.history, "history"),
        (people.start, "start"),
    ):
        app.command(name, rich_help_panel=waiting)(command)
    app.command(rich_help_panel=running)(servers.serve)
    app.command(rich_help_panel=running)(demo)
    app.add_typer(servers.tokens, name="tokens", rich_help_panel=running)
    app.add_typer(consenting.keys, name="keys", rich_help_panel=running)
    app.command(rich_help_panel=the_file)(files.sweep)
    app.command(rich_help_panel=the_file)(keeping.hold)
    app.command(rich_help_panel=the_file)(keeping.release)
    app.command(rich_help_panel=the_file)(keeping.erase)
    app.add_typer(files.db, name="db", rich_help_panel=the_file)
    app.add_typer(audit.audit, name="audit", rich_help_panel=the_file)
    return app


def demo(
    *, keep: Annotated[bool, typer.Option("--keep", help="Leave the file behind, to look into it.")] = False
) -> None:
    """Watch a prompt survive kill -9: a real server, a real file, your own answer."""
    from rich.console import Console  # noqa: PLC0415

    from restpoint import demo as demonstration  # noqa: PLC0415

    demonstration.run(Console(), keep=keep)
