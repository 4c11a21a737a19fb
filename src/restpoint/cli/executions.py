"""Commands for people: what waits, and answers to it. On the file while the server runs, or by way of the server."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from restpoint.cli import terminal
from restpoint.cli.options import DEFAULT_DATABASE, Database, Format, Id, Output, TimeToLive, Url


def list_executions(
    database: Database = DEFAULT_DATABASE,
    url: Url = None,
    output: Output = Format.TABLE,
    status: Annotated[
        list[str] | None, typer.Option("--status", "-s", help="Only of this status, such as failed; may be repeated.")
    ] = None,
    workflow: Annotated[str | None, typer.Option("--workflow", "-w", help="Only of this workflow.")] = None,
    owner: Annotated[str | None, typer.Option("--owner", help="Only of this owner.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many, the newest.")] = 50,
) -> None:
    """List executions, the newest first."""
    from restpoint.cli import output as shown
    from restpoint.cli.backend import place

    async def work() -> None:
        items: list[Any] = []
        more = False
        async with place(database, url) as here:
            filters = {"status": status or None, "workflow": workflow, "owner": owner}
            async for item in here.list(filters):
                if len(items) == limit:
                    more = True
                    break
                items.append(item)
        if output is Format.TABLE and items:
            shown.show_list(items)
        elif output is not Format.TABLE:
            shown.show_items(items, output)
        if not items:
            terminal.say("No executions.")
        elif more:
            terminal.say(f"The newest {limit}; there are more: --limit {limit * 10}")

    terminal.run(work())


def show(id: Id, database: Database = DEFAULT_DATABASE, url: Url = None, output: Output = Format.TABLE) -> None:  # noqa: A002
    """Show one execution, and what it waits for."""
    from restpoint.cli import output as shown
    from restpoint.cli.backend import place

    async def work() -> None:
        async with place(database, url) as here:
            execution = await here.show(await here.find(id))
        if output is Format.TABLE:
            shown.show_execution(execution)
        else:
            shown.show_json(execution, output)

    terminal.run(work())


def answer(
    id: Id,  # noqa: A002
    answer: Annotated[
        str | None,
        typer.Argument(
            help="The answer, as one would type it: the text, or an option by id, label or number, several with commas.",
            show_default=False,
        ),
    ] = None,
    database: Database = DEFAULT_DATABASE,
    url: Url = None,
    interaction: Annotated[
        str | None, typer.Option("--interaction", "-i", help="Which prompt, if several wait.")
    ] = None,
    text: Annotated[str | None, typer.Option("--text", help="The text that is asked for.")] = None,
    choose: Annotated[
        list[str] | None, typer.Option("--choose", "-c", help="An option, by id, label or number; may be repeated.")
    ] = None,
    yes: Annotated[bool | None, typer.Option("--yes/--no", help="The option that means yes, or no.")] = None,
    acknowledge: Annotated[bool, typer.Option("--acknowledge", help="A notification is read.")] = False,
    json: Annotated[str | None, typer.Option("--json", help="The response as JSON.")] = None,
) -> None:
    """Answer a prompt. Without an answer behind the id or among the options it asks, by the kind of the prompt."""
    from restpoint.cli import prompts
    from restpoint.cli.backend import place

    options = prompts.Given(
        words=answer, text=text, choices=tuple(choose or ()), yes=yes, acknowledge=acknowledge, json=json
    )

    async def read() -> tuple[str, Any]:
        async with place(database, url) as here:
            execution_id = await here.find(id)
            return execution_id, await here.show(execution_id)

    async def send(execution_id: str, interaction_id: str, response: Any) -> None:
        async with place(database, url) as here:
            await here.answer(execution_id, interaction_id, response)

    # Nothing is held while the person thinks: no connection, no file.
    execution_id, execution = terminal.run(read())
    ask = not options.anything and sys.stdin is not None and sys.stdin.isatty()
    waiting = prompts.which(execution, interaction, ask=ask)
    if options.anything:
        response = prompts.given(waiting.prompt, options)
    elif ask:
        response = prompts.asked(waiting)
    else:
        raise terminal.Usage(
            f"Nobody is at the keyboard, and no answer is given to: {terminal.one_line(waiting.prompt.summary)}\n"
            "Give it behind the id, or with --text, --choose, --yes, --no, --acknowledge or --json."
        )
    terminal.run(send(execution_id, waiting.interaction_id, response))
    terminal.say(f"Answered {waiting.interaction_id}.")


def cancel(
    id: Id,  # noqa: A002
    database: Database = DEFAULT_DATABASE,
    url: Url = None,
    reason: Annotated[str | None, typer.Option("--reason", "-r", help="Why; the history keeps it.")] = None,
    ttl: TimeToLive = None,
) -> None:
    """Cancel an execution. What it waits for is withdrawn."""
    from restpoint.cli.backend import place

    async def work() -> None:
        async with place(database, url, ttl) as here:
            execution_id = await here.find(id)
            await here.cancel(execution_id, reason)
            terminal.say(f"Cancelled {execution_id}.")

    terminal.run(work())


def history(id: Id, database: Database = DEFAULT_DATABASE, url: Url = None, output: Output = Format.TABLE) -> None:  # noqa: A002
    """Show everything that happened to an execution, also after it has left the file."""
    from restpoint.cli import output as shown
    from restpoint.cli.backend import place

    async def work() -> None:
        async with place(database, url) as here:
            items = await here.history(await here.find(id))
        if output is Format.TABLE:
            shown.show_history(items)
        else:
            shown.show_items(items, output)

    terminal.run(work())


def watch(
    id: Annotated[str | None, typer.Argument(help="One execution only, until it has ended.")] = None,  # noqa: A002
    database: Database = DEFAULT_DATABASE,
    url: Url = None,
    output: Output = Format.TABLE,
) -> None:
    """Follow what happens, a line each, until Ctrl-C."""
    from restpoint.cli import output as shown
    from restpoint.cli.backend import place

    async def work() -> None:
        async with place(database, url) as here:
            execution_id = await here.find(id) if id is not None else None
            if execution_id is None:
                terminal.say("Watching; Ctrl-C ends it.")
            async for item in here.follow(execution_id, 0):
                if output is Format.TABLE:
                    terminal.put(shown.event_line(item, with_id=execution_id is None))
                else:
                    shown.show_json(item, Format.JSONL)

    try:
        terminal.run(work())
    except KeyboardInterrupt:
        terminal.say()


def start(
    workflow: Annotated[str, typer.Argument(help="The workflow's name.")],
    url: Annotated[
        str | None,
        typer.Option("--url", envvar="RESTPOINT_URL", help="The server; its bearer token comes from RESTPOINT_TOKEN."),
    ] = None,
    given: Annotated[
        str, typer.Option("--input", help="The input as JSON, or @FILE, or @- for standard input.")
    ] = "null",
    wait: Annotated[
        float, typer.Option("--wait", min=0, max=60, help="Seconds to wait for a result or a question.")
    ] = 0,
    key: Annotated[str | None, typer.Option("--idempotency-key", help="The same key starts it once only.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Start a workflow on a server."""
    from restpoint.cli import output as shown
    from restpoint.cli.backend import Server, place

    if url is None:
        raise terminal.Usage(
            "Only a server knows its workflows, and none is named.\n"
            f"Try: restpoint start {workflow} --url http://127.0.0.1:8000"
        )
    data = _input(given)

    async def work() -> None:
        async with place("", url) as here:
            assert isinstance(here, Server)  # noqa: S101 - a url was given
            execution = await here.start(workflow, data, wait, key)
        if output is Format.TABLE:
            shown.show_execution(execution)
        else:
            shown.show_json(execution, output)

    terminal.run(work())


def _input(given: str) -> Any:
    from pydantic_core import from_json

    text = given
    try:
        if given == "@-":
            text = sys.stdin.read()
        elif given.startswith("@"):
            text = Path(given[1:]).read_text("utf-8")
        return from_json(text, allow_inf_nan=False)
    except OSError as error:
        raise terminal.Usage(f"The input {given[1:]} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise terminal.Usage(
            f"The input is not JSON: {error}.\n"
            """Quote it, such as --input '{"amount": 12}', or name a file: --input @order.json"""
        ) from None
