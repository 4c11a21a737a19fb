"""Commands on what stays in the file and what goes: holds, and the erasure of what a person said."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from restpoint.cli import terminal
from restpoint.cli.options import DEFAULT_DATABASE, Database, FileOnly, Id, on_the_file

if TYPE_CHECKING:
    from restpoint._storage.erasure import Erasure


def hold(
    id: Id,  # noqa: A002
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; `show` and the history keep it.")],
    database: Database = DEFAULT_DATABASE,
    url: FileOnly = None,
) -> None:
    """Keep an execution in the file, whatever its time to live, until it is released. On the file only, not with --url."""
    from restpoint.cli.backend import file_place

    on_the_file(url)

    async def work() -> None:
        async with file_place(database) as here:
            execution_id = await here.find(id)
            await here.store.hold(execution_id, reason, actor=here.actor)
            terminal.say(f"Held {execution_id}.")

    terminal.run(work())


def release(id: Id, database: Database = DEFAULT_DATABASE, url: FileOnly = None) -> None:  # noqa: A002
    """End a hold. What is past its time to live goes with the next sweep. On the file only, not with --url."""
    from restpoint.cli.backend import file_place

    on_the_file(url)

    async def work() -> None:
        async with file_place(database) as here:
            execution_id = await here.find(id)
            await here.store.release(execution_id, actor=here.actor)
            terminal.say(f"Released {execution_id}.")

    terminal.run(work())


def erase(
    id: Annotated[str | None, typer.Argument(help="One execution, also one that has left the file.")] = None,  # noqa: A002
    database: Database = DEFAULT_DATABASE,
    person: Annotated[
        str | None,
        typer.Option("--person", help="All that this person said and was asked, by the name in the history."),
    ] = None,
    reason: Annotated[str | None, typer.Option("--reason", "-r", help="Why; the history keeps it.")] = None,
    *,
    whole: Annotated[
        bool,
        typer.Option("--whole", help="With --person: the executions of others, too, in which they gave an answer."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would go, and erase nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask first.")] = False,
    url: FileOnly = None,
) -> None:
    """Erase payloads for good: prompts, answers, inputs, results. That they were asked and answered stays in the history.

    The executions leave the file. What has not ended, or is on hold, is left and listed; the exit code is then 1. Backups
    keep what was in them. On the file only, not with --url.
    """
    from restpoint.cli.backend import file_place

    on_the_file(url)
    if (id is None) == (person is None):
        raise terminal.Usage("Erase what? Name one execution, or a person with --person.\nTry: restpoint erase --help")
    if not dry_run and not yes:
        what = f"all that {person} said" if person is not None else f"what execution {id} holds"
        if sys.stdin is None or not sys.stdin.isatty():
            raise terminal.Usage(f"Nobody is at the keyboard to confirm that {what} is erased for good.\nAdd --yes.")
        typer.confirm(terminal.printable(f"Erase {what} for good?"), abort=True, err=True)

    async def work() -> "Erasure":
        async with file_place(database) as here:
            if person is not None:
                return await here.store.erase_person(person, reason, whole=whole, dry_run=dry_run, actor=here.actor)
            execution_id = await here.find(str(id))
            if dry_run:
                return await here.store.would_erase(execution_id)
            return await here.store.erase(execution_id, reason, actor=here.actor)

    done = terminal.run(work())
    _tell(done, "would be erased" if dry_run else "erased")
    if done.left:
        raise typer.Exit(terminal.REFUSED)


def _tell(done: "Erasure", verb: str) -> None:
    for execution_id in done.executions:
        terminal.put(f"{execution_id}\n")
    for execution_id, wait_id in done.waits:
        terminal.put(f"{execution_id} {terminal.printable(wait_id)}\n")
    terminal.say(
        f"executions {verb}: {len(done.executions)}; prompts and answers in those of others: {len(done.waits)}"
    )
    if not done.scrubbed:
        terminal.say("A program keeps a snapshot open, so the log still has what was erased; run: restpoint db vacuum")
    for _, why in done.left:
        terminal.say(f"left: {terminal.printable(why)}")
