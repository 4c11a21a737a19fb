"""Commands on what waits for people: the inbox, and claiming, releasing, delegating and reassigning a prompt."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from restpoint.cli import terminal
from restpoint.cli.options import DEFAULT_DATABASE, Database, Format, Id, Output, Url

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from restpoint.cli.backend import FileBackend, ServerBackend

Interaction = Annotated[str | None, typer.Option("--interaction", "-i", help="Which prompt, if several are open.")]
Reason = Annotated[str | None, typer.Option("--reason", "-r", help="The reason; it goes into the history.")]


def inbox(
    database: Database = DEFAULT_DATABASE,
    url: Url = None,
    output: Output = Format.TABLE,
    workflow: Annotated[str | None, typer.Option("--workflow", "-w", help="Only of this workflow.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most this many, the most urgent.")] = 50,
) -> None:
    """List the prompts that you may answer: the next due ones first, then by priority, then by age."""
    from restpoint.cli import output as shown
    from restpoint.cli.backend import open_backend

    async def work() -> None:
        items: list[Any] = []
        more = False
        async with open_backend(database, url) as backend:
            async for item in backend.inbox(workflow=workflow):
                if len(items) == limit:
                    more = True
                    break
                items.append(item)
        if output is Format.TABLE and items:
            shown.show_inbox(items)
        elif output is not Format.TABLE:
            shown.show_items(items, output)
        if not items:
            terminal.print_message("Nothing waits for you.")
        elif more:
            terminal.print_message(f"The first {limit}; there are more: --limit {limit * 10}")

    terminal.run(work())


def claim(
    execution: Id, database: Database = DEFAULT_DATABASE, url: Url = None, interaction: Interaction = None
) -> None:
    """Claim a prompt, so that nobody else answers it meanwhile."""
    _do(execution, interaction, database, url, lambda backend, *ids: backend.claim(*ids), "Claimed {}.")


def unclaim(
    execution: Id,
    database: Database = DEFAULT_DATABASE,
    url: Url = None,
    interaction: Interaction = None,
    reason: Reason = None,
) -> None:
    """End the claim of a prompt, so that others may answer it again."""
    _do(execution, interaction, database, url, lambda backend, *ids: backend.unclaim(*ids, reason), "Released {}.")


def delegate(
    execution: Id,
    to: Annotated[str, typer.Argument(help="A person by id, or a group as group:NAME.", show_default=False)],
    database: Database = DEFAULT_DATABASE,
    url: Url = None,
    interaction: Interaction = None,
    reason: Reason = None,
) -> None:
    """Hand a prompt that is addressed to you on to somebody else."""
    _do(
        execution, interaction, database, url,
        lambda backend, *ids: backend.delegate(*ids, to, reason), f"Handed {{}} on to {terminal.one_line(to)}.",
    )  # fmt: skip


def reassign(
    execution: Id,
    to: Annotated[list[str], typer.Argument(help="People by id, and groups as group:NAME.", show_default=False)],
    database: Database = DEFAULT_DATABASE,
    url: Url = None,
    interaction: Interaction = None,
    reason: Reason = None,
) -> None:
    """Address a prompt to these people and groups, and to nobody else. A claim of it ends. For operators."""
    _do(
        execution, interaction, database, url,
        lambda backend, *ids: backend.reassign(*ids, to, reason),
        f"{{}} is addressed to {terminal.one_line(', '.join(to))} now.",
    )  # fmt: skip


def _do(
    execution: str,
    interaction: str | None,
    database: str,
    url: str | None,
    verb: "Callable[[FileBackend | ServerBackend, str, str], Awaitable[None]]",
    done: str,
) -> None:
    from restpoint.cli import prompts
    from restpoint.cli.backend import open_backend

    async def work() -> None:
        async with open_backend(database, url) as backend:
            execution_id = await backend.find(execution)
            waiting = prompts.which(await backend.show(execution_id), interaction, ask=False)
            await verb(backend, execution_id, waiting.interaction_id)
            terminal.print_message(done.format(waiting.interaction_id))

    terminal.run(work())
