"""The command line: the file's operations for operators, the sweep for cron, and a demonstration.

Data goes to standard output, words to standard error. Exit codes: 0 done, 1 refused by the rules, 2 wrong usage, 3 not
found, 5 the storage failed.
"""

import sys
from pathlib import Path
from typing import Annotated, Any

try:
    import typer
except ImportError as missing:
    print("The restpoint command needs the server extra; run: pip install 'restpoint[server]'", file=sys.stderr)
    raise SystemExit(2) from missing

DEFAULT_DATABASE = "restpoint.db"


def main() -> None:
    """The entry point of the ``restpoint`` command."""
    from restpoint.errors import NotFound, RestpointError, StorageError  # noqa: PLC0415 - see _path

    try:
        _app()()
    except RestpointError as error:
        typer.echo(f"restpoint: {error}", err=True)
        code = 5 if isinstance(error, StorageError) else 3 if isinstance(error, NotFound) else 1
        raise SystemExit(code) from None


def _path(database: str) -> Path:
    from restpoint.engine import locate  # noqa: PLC0415 - `--help` need not wait for SQLAlchemy

    return locate(database)


def _app() -> Any:  # noqa: ANN401, C901 - the commands, one function each
    app = typer.Typer(
        name="restpoint",
        help="Interactive workflow executions that survive restarts, in one SQLite file.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    db = typer.Typer(help="Create, upgrade, check and back up the file.", no_args_is_help=True)
    app.add_typer(db, name="db")
    Database = Annotated[  # noqa: N806 - a type
        str, typer.Option("--database", "-d", envvar="RESTPOINT_DATABASE", help="The SQLite file: a path, or a URL.")
    ]

    @app.command()
    def demo(
        *, keep: Annotated[bool, typer.Option("--keep", help="Leave the file behind, to look into it.")] = False
    ) -> None:
        """Watch a prompt survive kill -9: real processes, a real file, your own answer."""
        from rich.console import Console  # noqa: PLC0415

        from restpoint import demo as demonstration  # noqa: PLC0415

        demonstration.run(Console(), keep=keep)

    @app.command()
    def sweep(
        database: Database = DEFAULT_DATABASE,
        *,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would go, and delete nothing.")] = False,
    ) -> None:
        """Delete ended executions whose time to live is over. For cron; an open store does it by itself."""
        import asyncio  # noqa: PLC0415

        asyncio.run(_sweep(_existing(database), dry_run=dry_run))

    @db.command()
    def upgrade(
        database: Database = DEFAULT_DATABASE, revision: Annotated[str, typer.Argument(help="Which revision.")] = "head"
    ) -> None:
        """Create the file, or bring it to the newest revision. A backup is made beside it first."""
        from restpoint import migrate  # noqa: PLC0415

        path = _path(database)
        backup = migrate.upgrade(path, revision)
        if backup is not None:
            typer.echo(f"The file as it was: {backup}", err=True)
        typer.echo(f"{path} is at revision {migrate.current(path)}", err=True)

    @db.command()
    def downgrade(
        revision: Annotated[str, typer.Argument(help="Which revision; base drops every table, with all they hold.")],
        database: Database = DEFAULT_DATABASE,
    ) -> None:
        """Take the file back to an older revision. A backup is made beside it first."""
        from restpoint import migrate  # noqa: PLC0415

        path = _path(database)
        backup = migrate.downgrade(path, revision)
        if backup is not None:
            typer.echo(f"The file as it was: {backup}", err=True)
        typer.echo(f"{path} is at revision {migrate.current(path) or 'none: it holds no tables'}", err=True)

    @db.command()
    def current(database: Database = DEFAULT_DATABASE) -> None:
        """Print the revision of the file."""
        from restpoint import migrate  # noqa: PLC0415

        typer.echo(migrate.current(_path(database)) or "none")

    @db.command()
    def check(database: Database = DEFAULT_DATABASE) -> None:
        """Check the revision, the schema, the integrity and the history of the file. Exit code 5 if anything is wrong."""
        import asyncio  # noqa: PLC0415

        from restpoint import migrate  # noqa: PLC0415

        path = _existing(database)
        results = migrate.check(path)
        if all(fine for _, fine, _ in results):
            results.append(asyncio.run(_check_history(path)))
        for name, fine, word in results:
            typer.echo(f"{'ok   ' if fine else 'WRONG'}  {name:<13} {word}")
        if not all(fine for _, fine, _ in results):
            raise typer.Exit(5)

    @db.command()
    def backup(
        target: Annotated[Path, typer.Argument(help="The file to write; it must not exist.")],
        database: Database = DEFAULT_DATABASE,
    ) -> None:
        """Copy the file as it is at one moment, while others use it, and check the copy."""
        from restpoint import migrate  # noqa: PLC0415

        migrate.backup(_existing(database), target.absolute())
        typer.echo(str(target))

    return app


def _existing(database: str) -> Path:
    """The path of a file that is there: these commands have no business creating one."""
    from restpoint import migrate  # noqa: PLC0415
    from restpoint.errors import UnusableFile  # noqa: PLC0415

    path = _path(database)
    if migrate.current(path) is None:
        raise UnusableFile(f"{path} holds no tables; run: restpoint db upgrade --database {path}")
    return path


async def _sweep(path: Path, *, dry_run: bool) -> None:
    from restpoint.store import ExecutionStore  # noqa: PLC0415

    async with ExecutionStore(database=path) as store:
        if not dry_run:
            count = await store.cleanup_expired()
            typer.echo(f"executions swept: {count}", err=True)
            return
        count = 0
        async for execution_id, status, since in store.expired():
            typer.echo(f"{execution_id} {status} {since:.3f}")
            count += 1
        typer.echo(f"executions that would be swept: {count}; times are seconds since the epoch", err=True)


async def _check_history(path: Path) -> tuple[str, bool, str]:
    from restpoint import queries  # noqa: PLC0415
    from restpoint.clock import SystemClock  # noqa: PLC0415
    from restpoint.database import Database  # noqa: PLC0415

    database = await Database.open(path, SystemClock())
    try:
        broken = await queries.broken_history(database)
        last = await queries.last_sequence(database)
    finally:
        await database.close()
    return ("history", broken is None, f"{last} rows, unbroken" if broken is None else f"broken at row {broken}")


if __name__ == "__main__":
    main()
