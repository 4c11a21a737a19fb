"""Commands on retention: hold and release an execution, and erase payloads."""

import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from restpoint.cli import terminal
from restpoint.cli.options import DEFAULT_DATABASE, Database, FileOnly, Id, refuse_url

if TYPE_CHECKING:
    from restpoint._storage import Erasure


def hold(
    execution: Id,
    reason: Annotated[
        str, typer.Option("--reason", "-r", help="The reason; it is shown by `show` and goes into the history.")
    ],
    database: Database = DEFAULT_DATABASE,
    url: FileOnly = None,
) -> None:
    """Keep an execution in the file until it is released, whatever its time to live. Works on the file only, not with --url."""
    _change(execution, database, url, lambda store, *of, actor: store.hold(*of, reason, actor=actor), "Held")


def release(execution: Id, database: Database = DEFAULT_DATABASE, url: FileOnly = None) -> None:
    """End a hold. If its time to live is over, the next sweep deletes the execution. Works on the file only, not with --url."""
    _change(execution, database, url, lambda store, *of, actor: store.release(*of, actor=actor), "Released")


def _change(execution: str, database: str, url: str | None, change: Callable[..., Awaitable[None]], done: str) -> None:
    from restpoint.cli.backend import file_backend

    refuse_url(url)

    async def work() -> None:
        async with file_backend(database) as backend:
            execution_id = await backend.find(execution)
            await change(backend.store, execution_id, actor=backend.actor)
            terminal.print_message(f"{done} {execution_id}.")

    terminal.run(work())


def erase(
    execution: Annotated[
        str | None, typer.Argument(metavar="id", help="One execution, which may have left the file.")
    ] = None,
    database: Database = DEFAULT_DATABASE,
    person: Annotated[
        str | None,
        typer.Option("--person", help="All answers of this person and their prompts, by the name in the history."),
    ] = None,
    reason: Annotated[str | None, typer.Option("--reason", "-r", help="The reason; it goes into the history.")] = None,
    *,
    whole: Annotated[
        bool,
        typer.Option(
            "--whole", help="With --person: also the whole executions of others in which this person answered."
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would be erased, and erase nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    url: FileOnly = None,
) -> None:
    """Erase payloads for good: prompts, answers, inputs, results. The history still shows that there was a prompt and an answer.

    The executions leave the file. Those that have not ended or are on hold stay and are listed; the exit code is then 1.
    Existing backups do not change. Works on the file only, not with --url.
    """
    from restpoint.cli.backend import file_backend

    refuse_url(url)
    if (execution is None) == (person is None):
        raise terminal.Usage(
            "Give either an execution to erase, or a person with --person.\nTry: restpoint erase --help"
        )
    if not dry_run and not yes:
        what = f"all that {person} said" if person is not None else f"what execution {execution} holds"
        if sys.stdin is None or not sys.stdin.isatty():
            raise terminal.Usage(f"There is no terminal to confirm that {what} is erased for good.\nAdd --yes.")
        typer.confirm(terminal.printable(f"Erase {what} for good?"), abort=True, err=True)

    async def work() -> "Erasure":
        async with file_backend(database) as backend:
            if person is not None:
                return await backend.store.erase_person(
                    person, reason, whole=whole, dry_run=dry_run, actor=backend.actor
                )
            execution_id = await backend.find(str(execution))
            if dry_run:
                return await backend.store.would_erase(execution_id)
            return await backend.store.erase(execution_id, reason, actor=backend.actor)

    done = terminal.run(work())
    _tell(done, "would be erased" if dry_run else "erased")
    if done.left:
        raise typer.Exit(terminal.REFUSED)


def _tell(done: "Erasure", verb: str) -> None:
    for execution_id in done.executions:
        terminal.print_data(f"{execution_id}\n")
    for execution_id, wait_id in done.waits:
        terminal.print_data(f"{execution_id} {terminal.printable(wait_id)}\n")
    terminal.print_message(
        f"executions {verb}: {len(done.executions)}; prompts and answers in those of others: {len(done.waits)}"
    )
    if done.mail_addresses:
        terminal.print_message(f"mail addresses {verb}: {done.mail_addresses}")
    if not done.scrubbed:
        terminal.print_message(
            "A program has a read transaction open, so the log still has the erased data; run: restpoint db vacuum"
        )
    for _, why in done.left:
        terminal.print_message(f"left: {terminal.printable(why)}")
