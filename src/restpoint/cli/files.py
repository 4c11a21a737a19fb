"""Commands for operators of the file: ``restpoint db`` and the sweep for cron."""

import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from restpoint.cli import terminal
from restpoint.cli.options import (
    DEFAULT_DATABASE,
    Create,
    Database,
    FileOnly,
    Format,
    Output,
    existing,
    path_of,
    refuse_url,
    user_name,
    with_database,
)

db = typer.Typer(help="Create, upgrade, check, back up and restore the file.", no_args_is_help=True)


def sweep(
    database: Database = DEFAULT_DATABASE,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would be deleted, and delete nothing.")] = False,
    url: FileOnly = None,
) -> None:
    """Delete ended executions whose time to live is over. Use it from cron; a running server sweeps by itself."""
    refuse_url(url)
    terminal.run(_sweep(existing(database), dry_run=dry_run))


DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the SQL, and change nothing.")]


@db.command()
def upgrade(
    database: Database = DEFAULT_DATABASE,
    revision: Annotated[str, typer.Argument(help="The target revision.")] = "head",
    *,
    create: Create = False,
    dry_run: DryRun = False,
) -> None:
    """Create the file, or upgrade it to the newest revision. A backup is made beside it first."""
    from restpoint._storage import migrations

    path = path_of(database)
    if dry_run:
        terminal.print_data(migrations.plan(path, revision, "upgrade"))
        return
    backup = migrations.upgrade(path, revision, actor=user_name(), create=create)
    if backup is not None:
        terminal.print_message(f"The file as it was: {backup}")
    terminal.print_message(f"{path} is at revision {migrations.current(path)}")


@db.command()
def downgrade(
    revision: Annotated[str, typer.Argument(help="The target revision; base drops every table with all its data.")],
    database: Database = DEFAULT_DATABASE,
    *,
    dry_run: DryRun = False,
) -> None:
    """Downgrade the file to an older revision, and print what that drops. A backup is made beside it first."""
    from restpoint._storage import migrations

    path = path_of(database)
    sql = migrations.plan(path, revision, "downgrade")
    for dropped in migrations.losses(path, revision):
        terminal.print_message(f"{'would drop' if dry_run else 'drops'} {dropped}")
    if dry_run:
        terminal.print_data(sql)
        return
    backup = migrations.downgrade(path, revision, actor=user_name())
    if backup is not None:
        terminal.print_message(f"The file as it was: {backup}")
    terminal.print_message(f"{path} is at revision {migrations.current(path) or 'none: it holds no tables'}")


@db.command()
def current(database: Database = DEFAULT_DATABASE) -> None:
    """Print the revision of the file."""
    from restpoint._storage import migrations

    terminal.print_data(f"{migrations.current(path_of(database)) or 'none'}\n")


@db.command()
def check(
    database: Database = DEFAULT_DATABASE,
    output: Output = Format.TABLE,
    *,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="Skip the checks that take longer for larger files: the hash chain and the indexes."
        ),
    ] = False,
) -> None:
    """Check the file: schema, integrity, history, and executions that are stuck or overdue.

    Exit code 0: all is well; 1: something needs attention; 5: the file is damaged or unusable.
    """
    from restpoint._storage import checks as health
    from restpoint.cli import output as shown

    path = existing(database)
    findings = health.examine(path, time.time_ns() // 1_000_000, quick=quick)
    worst = health.worst(findings)
    if output is Format.TABLE:
        for each in findings:
            terminal.print_data(f"{_SEVERITIES[each.severity]:<5}  {each.name:<13} {terminal.printable(each.word)}\n")
    else:
        checks = [
            {"name": each.name, "severity": each.severity, "message": each.word, **each.figures} for each in findings
        ]
        shown.show_json({"file": str(path), "severity": worst, "checks": checks}, output)
    if worst != "ok":
        raise typer.Exit(terminal.STORAGE if worst == "error" else terminal.REFUSED)


_SEVERITIES = {"ok": "ok", "warning": "LOOK", "error": "WRONG"}


@db.command()
def backup(
    target: Annotated[
        Path | None, typer.Argument(help="A new file, or a folder; by default the folder of the database.")
    ] = None,
    database: Database = DEFAULT_DATABASE,
    keep: Annotated[
        int | None,
        typer.Option("--keep", min=1, help="Keep this many backups in the folder, and delete the older ones."),
    ] = None,
    *,
    unverified: Annotated[
        bool, typer.Option("--unverified", help="Keep the copy even if it is damaged, for evidence.")
    ] = False,
) -> None:
    """Copy the file at one moment, while others use it, verify the copy, and print its name."""
    from restpoint._storage import backup as backups

    path = existing(database)
    folder = path.parent if target is None else target.absolute() if target.is_dir() else None
    if keep is not None and target is not None and folder is None:
        what = "is not a folder" if target.exists() else "does not exist"
        raise terminal.Usage(f"{target} {what}, and --keep counts the backups in a folder.\nName a folder that exists.")
    made = backups.stamped(path, folder) if folder is not None else path_of(str(target))
    backups.backup(path, made, verified=not unverified)
    terminal.print_data(f"{target if folder is None else made}\n")
    if keep is not None and folder is not None:
        for deleted in backups.rotate(path, folder, keep):
            terminal.print_message(f"deleted {deleted}")


@db.command()
def restore(backup: Annotated[Path, typer.Argument(help="The backup.")], database: Database = DEFAULT_DATABASE) -> None:
    """Replace the file by a backup. No process may have the file open. The old file is kept beside it."""
    from restpoint._storage import REVISION
    from restpoint._storage import backup as backups

    path = path_of(database)
    done = backups.restore(backup.absolute(), path, user_name())
    if done.replaced is not None:
        terminal.print_message(f"The file as it was: {done.replaced}")
    terminal.print_message(f"{path} is what {backup} was, at revision {done.revision}")
    if done.revision != REVISION:
        terminal.print_message(f"This program needs revision {REVISION}; run: restpoint db upgrade --database {path}")


@db.command()
def vacuum(
    database: Database = DEFAULT_DATABASE,
    *,
    full: Annotated[bool, typer.Option("--full", help="Rewrite the whole file, while all other writers wait.")] = False,
) -> None:
    """Return the free space in the file to the disk, in small steps while others use the file."""
    from restpoint._storage import vacuum as spare

    path = existing(database)
    before = path.stat().st_size
    if full:
        spare.rewrite(path)
    else:
        terminal.run(with_database(path, partial(spare.shrink, keep=0)))
    emptied = spare.fold_log(path)
    terminal.print_message(f"{path}: {before:,} bytes, now {path.stat().st_size:,}")
    if not emptied:
        terminal.print_message("A program has a read transaction open; the file shrinks when that ends.")


async def _sweep(path: Path, *, dry_run: bool) -> None:
    from restpoint._store.store import ExecutionStore

    async with ExecutionStore(database=path, remember=False) as store:
        if not dry_run:
            count = await store.cleanup_expired()
            terminal.print_message(f"executions swept: {count}")
            return
        count = 0
        async for execution_id, status, since in store.expired():
            terminal.print_data(f"{execution_id} {status} {datetime.fromtimestamp(since, UTC):%Y-%m-%dT%H:%M:%SZ}\n")
            count += 1
        terminal.print_message(f"executions that would be swept: {count}, with the end of their time to live")
