"""Commands for operators of the file: ``restpoint db`` and the sweep for cron."""

from pathlib import Path
from typing import Annotated

import typer

from restpoint.cli import terminal
from restpoint.cli.options import DEFAULT_DATABASE, Database

db = typer.Typer(help="Create, upgrade, check and back up the file.", no_args_is_help=True)


def sweep(
    database: Database = DEFAULT_DATABASE,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would go, and delete nothing.")] = False,
) -> None:
    """Delete ended executions whose time to live is over. For cron; an open store does it by itself."""
    terminal.run(_sweep(existing(database), dry_run=dry_run))


@db.command()
def upgrade(
    database: Database = DEFAULT_DATABASE, revision: Annotated[str, typer.Argument(help="Which revision.")] = "head"
) -> None:
    """Create the file, or bring it to the newest revision. A backup is made beside it first."""
    from restpoint import migrate  # noqa: PLC0415

    path = path_of(database)
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

    path = path_of(database)
    backup = migrate.downgrade(path, revision)
    if backup is not None:
        typer.echo(f"The file as it was: {backup}", err=True)
    typer.echo(f"{path} is at revision {migrate.current(path) or 'none: it holds no tables'}", err=True)


@db.command()
def current(database: Database = DEFAULT_DATABASE) -> None:
    """Print the revision of the file."""
    from restpoint import migrate  # noqa: PLC0415

    typer.echo(migrate.current(path_of(database)) or "none")


@db.command()
def check(database: Database = DEFAULT_DATABASE) -> None:
    """Check the revision, the schema, the integrity and the history of the file. Exit code 5 if anything is wrong."""
    from restpoint import migrate  # noqa: PLC0415

    path = existing(database)
    results = migrate.check(path)
    if all(fine for _, fine, _ in results):
        results.append(terminal.run(_check_history(path)))
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

    migrate.backup(existing(database), target.absolute())
    typer.echo(str(target))


def path_of(database: str) -> Path:
    """Where the file stands, or will. Raises ``InvalidArgument`` for what is neither a path nor a URL of SQLite."""
    from restpoint.engine import locate  # noqa: PLC0415 - `--help` need not wait for SQLAlchemy

    return locate(database)


def existing(database: str) -> Path:
    """The path of a file that is there: these commands have no business creating one."""
    from restpoint import migrate  # noqa: PLC0415
    from restpoint.errors import UnusableFile  # noqa: PLC0415

    path = path_of(database)
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
    from restpoint import history  # noqa: PLC0415
    from restpoint.clock import SystemClock  # noqa: PLC0415
    from restpoint.database import Database  # noqa: PLC0415

    database = await Database.open(path, SystemClock())
    try:
        broken = await history.broken_history(database)
        last = await history.last_sequence(database)
    finally:
        await database.close()
    return ("history", broken is None, f"{last} rows, unbroken" if broken is None else f"broken at row {broken}")
