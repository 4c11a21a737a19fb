"""Commands on executions: list, show, answer, cancel, retry, watch. They work on the file, beside a server too, or with --url."""

import sys
from contextlib import aclosing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from restpoint.cli import terminal
from restpoint.cli.options import DEFAULT_DATABASE, Database, Format, Id, Output, TimeToLive, Url
from restpoint.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from restpoint.cli.backend import FileBackend, ServerBackend
    from restpoint.models import HistoryItem

    Backend = FileBackend | ServerBackend

_QUIET_SECONDS: Final = 2.0
"""Seconds without an event after which ``watch`` looks for executions that nobody goes on with."""

_LOOKED_AT: Final = 100  # executions that nobody goes on with, the newest

_ASKED: Final = 100  # executions of a list whose questions are shown


def list_executions(
    database: Database = DEFAULT_DATABASE,
    url: Url = None,
    output: Output = Format.TABLE,
    status: Annotated[
        list[str] | None, typer.Option("--status", "-s", help="Only with this status, such as failed; may be repeated.")
    ] = None,
    workflow: Annotated[str | None, typer.Option("--workflow", "-w", help="Only of this workflow.")] = None,
    version: Annotated[
        int | None, typer.Option("--version", min=1, help="Only of this version of its workflow.")
    ] = None,
    owner: Annotated[str | None, typer.Option("--owner", help="Only of this owner.")] = None,
    problem: Annotated[bool, typer.Option("--problem", help="Only those that nobody goes on with.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most this many, the newest.")] = 50,
) -> None:
    """List executions, the newest first."""
    from restpoint.cli import output as shown
    from restpoint.cli.backend import open_backend

    async def work() -> None:
        items: list[Any] = []
        asked: dict[str, Any] = {}
        more = False
        async with open_backend(database, url) as backend:
            filters = {"status": status or None, "workflow": workflow, "version": version, "owner": owner}
            async for item in backend.list(**filters, problem=problem):
                if len(items) == limit:
                    more = True
                    break
                items.append(item)
            if output is Format.TABLE:
                asked = await backend.asked([item.execution_id for item in items if item.open_waits][:_ASKED])
        if output is Format.TABLE and items:
            shown.show_list(items, asked)
        elif output is not Format.TABLE:
            shown.show_items(items, output)
        if not items:
            terminal.print_message("No executions.")
        elif more:
            terminal.print_message(f"The newest {limit}; there are more: --limit {limit * 10}")

    terminal.run(work())


def show(execution: Id, database: Database = DEFAULT_DATABASE, url: Url = None, output: Output = Format.TABLE) -> None:
    """Show one execution and its open prompts."""
    from restpoint.cli import output as shown
    from restpoint.cli.backend import open_backend

    async def work() -> None:
        async with open_backend(database, url) as backend:
            found = await backend.show(await backend.find(execution))
            answers = await backend.answers(found.execution_id) if output is Format.TABLE else ()
        shown.show(found, output, lambda execution: shown.show_execution(execution, answers))

    terminal.run(work())


def answer(
    execution: Id,
    answer: Annotated[
        str | None,
        typer.Argument(
            help="The answer: the text, or an option by id, label or number; separate several by commas.",
            show_default=False,
        ),
    ] = None,
    database: Database = DEFAULT_DATABASE,
    url: Url = None,
    interaction: Annotated[
        str | None, typer.Option("--interaction", "-i", help="Which prompt, if several are open.")
    ] = None,
    text: Annotated[str | None, typer.Option("--text", help="The text, for a prompt that asks for text.")] = None,
    choose: Annotated[
        list[str] | None, typer.Option("--choose", "-c", help="An option, by id, label or number; may be repeated.")
    ] = None,
    yes: Annotated[bool | None, typer.Option("--yes/--no", help="The option that means yes, or no.")] = None,
    acknowledge: Annotated[bool, typer.Option("--acknowledge", help="Acknowledge a notification.")] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="A field of a form, as NAME=VALUE; repeat it for each field, and for several choices."
        ),
    ] = None,
    decline: Annotated[
        bool, typer.Option("--decline", help="Decline to fill in a form, for the reason in --comment.")
    ] = False,
    json: Annotated[str | None, typer.Option("--json", help="The response as JSON.")] = None,
    comment: Annotated[
        str | None, typer.Option("--comment", help="What you want to say beside the answer; the history keeps it.")
    ] = None,
) -> None:
    """Answer a prompt. Without an answer after the id or in an option, it asks for one at the terminal."""
    from restpoint.cli import prompts
    from restpoint.cli.backend import open_backend

    options = prompts.Given(
        words=answer,
        text=text,
        choices=tuple(choose or ()),
        yes=yes,
        acknowledge=acknowledge,
        settings=tuple(settings or ()),
        decline=decline,
        json=json,
        comment=comment,
    )

    async def read() -> tuple[str, Any]:
        async with open_backend(database, url) as backend:
            execution_id = await backend.find(execution)
            return execution_id, await backend.show(execution_id)

    async def send(execution_id: str, interaction_id: str, response: Any) -> None:
        async with open_backend(database, url) as backend:
            await backend.answer(execution_id, interaction_id, response)

    # Keep no connection and no file open while the person thinks.
    execution_id, paused = terminal.run(read())
    ask = not options.anything and sys.stdin is not None and sys.stdin.isatty()
    waiting = prompts.which(paused, interaction, ask=ask)
    if options.anything:
        response = prompts.given(waiting.prompt, options)
    elif ask:
        response = prompts.asked(waiting, comment)
    else:
        raise terminal.Usage(
            "There is no terminal to ask at, and no answer is given to: "
            f"{terminal.one_line(waiting.prompt.summary)}\n"
            "Give the answer after the id, or with --text, --choose, --yes, --no, --acknowledge, --set, --decline or --json."
        )
    terminal.run(send(execution_id, waiting.interaction_id, response))
    terminal.print_message(f"{'Answered' if waiting.votes is None else 'Voted on'} {waiting.interaction_id}.")


def cancel(
    execution: Id,
    database: Database = DEFAULT_DATABASE,
    url: Url = None,
    reason: Annotated[str | None, typer.Option("--reason", "-r", help="The reason; it goes into the history.")] = None,
    ttl: TimeToLive = None,
) -> None:
    """Cancel an execution. Its open prompts and consents are withdrawn."""
    from restpoint.cli.backend import open_backend

    async def work() -> None:
        async with open_backend(database, url, ttl) as backend:
            execution_id = await backend.find(execution)
            await backend.cancel(execution_id, reason)
            terminal.print_message(f"Cancelled {execution_id}.")

    terminal.run(work())


def retry(
    execution: Id,
    database: Database = DEFAULT_DATABASE,
    url: Url = None,
    reason: Annotated[str | None, typer.Option("--reason", "-r", help="The reason; it goes into the history.")] = None,
) -> None:
    """Let a failed execution go on at the call that failed. What people answered is kept, and not asked again."""
    from restpoint.cli.backend import open_backend

    async def work() -> None:
        async with open_backend(database, url) as backend:
            execution_id = await backend.find(execution)
            await backend.retry(execution_id, reason)
            entries = await backend.history(execution_id)
        retried = [entry for entry in entries if entry.kind is not None and entry.kind.undoes_end][-1]
        again = retried.detail.get("again", []) if isinstance(retried.detail, dict) else []
        what = ", ".join(f"{call['kind']} {call['name']}" for call in again)
        terminal.print_message(f"{execution_id} runs again.")
        terminal.print_message(
            f"Called again: {terminal.one_line(what)}."
            if again
            else "No recorded call failed last: its own code runs again, and fails again unless it has changed."
        )

    terminal.run(work())


def history(
    execution: Id, database: Database = DEFAULT_DATABASE, url: Url = None, output: Output = Format.TABLE
) -> None:
    """Show the history of an execution, also after it has left the file."""
    from restpoint.cli import output as shown
    from restpoint.cli.backend import open_backend

    async def work() -> None:
        async with open_backend(database, url) as backend:
            items = await backend.history(await backend.find(execution))
        shown.show(items, output, shown.show_history)

    terminal.run(work())


def watch(
    execution: Annotated[
        str | None, typer.Argument(metavar="id", help="Only this execution, until it has ended.")
    ] = None,
    database: Database = DEFAULT_DATABASE,
    url: Url = None,
    workflow: Annotated[str | None, typer.Option("--workflow", "-w", help="Only executions of this workflow.")] = None,
    events: Annotated[
        list[str] | None, typer.Option("--event", help="Only events of this kind; may be repeated.")
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """Follow events as they happen, one line each, until Ctrl-C."""
    from restpoint.cli import output as shown
    from restpoint.cli.backend import open_backend
    from restpoint.events import EventKind

    if execution is not None and (workflow is not None or events):
        raise terminal.Usage("Of one execution every event is shown.\nLeave out --workflow and --event.")
    EventKind.read(events or ())

    async def work() -> None:
        async with open_backend(database, url) as backend:
            execution_id = await backend.find(execution) if execution is not None else None
            if execution_id is None:
                terminal.print_message("Watching; Ctrl-C ends it.")
            async with aclosing(_followed(backend, execution_id, workflow, events or ())) as items:
                async for item in items:
                    if output is Format.TABLE:
                        terminal.print_data(shown.event_line(item, with_id=execution_id is None))
                    else:
                        shown.show_json(item, Format.JSONL)

    try:
        terminal.run(work())
    except KeyboardInterrupt:
        terminal.print_message()


async def _followed(
    backend: "Backend", execution_id: str | None, workflow: str | None, kinds: "Sequence[str]"
) -> "AsyncGenerator[HistoryItem, None]":
    """Events as they happen. While none comes, a message says which executions nobody goes on with, once for each reason."""
    import asyncio  # here, because the help of every command would pay for it

    told: set[tuple[str, str]] = set()
    events = backend.follow(execution_id, 0, workflow=workflow, events=kinds)
    coming = asyncio.ensure_future(anext(events, None))
    try:
        while True:
            done, _ = await asyncio.wait([coming], timeout=_QUIET_SECONDS)
            if not done:
                for who, problem in await _problems(backend, execution_id, workflow):
                    if (who, problem) not in told:
                        told.add((who, problem))
                        terminal.print_message(f"Nobody goes on with {who}: {problem}")
                continue
            item = coming.result()
            if item is None:
                return
            yield item
            coming = asyncio.ensure_future(anext(events, None))
    finally:
        # What reads the events ends here, and not beside what is closed next.
        coming.cancel()
        await asyncio.wait([coming])
        await events.aclose()


async def _problems(backend: "Backend", execution_id: str | None, workflow: str | None) -> list[tuple[str, str]]:
    """The executions that nobody goes on with, each with why: this one, or the newest of all."""
    found: list[Any] = []
    if execution_id is not None:
        with suppress(NotFound):  # it was swept meanwhile
            found.append(await backend.show(execution_id))
    else:
        async for item in backend.list(problem=True, workflow=workflow):
            found.append(item)
            if len(found) == _LOOKED_AT:
                break
    return [(each.execution_id, each.problem) for each in found if each.problem is not None]


def start(
    workflow: Annotated[str, typer.Argument(help="The workflow's name.")],
    url: Annotated[
        str | None,
        typer.Option("--url", envvar="RESTPOINT_URL", help="The server; its bearer token comes from RESTPOINT_TOKEN."),
    ] = None,
    data: Annotated[
        str, typer.Option("--input", help="The input as JSON, or @FILE, or @- for standard input.")
    ] = "null",
    wait: Annotated[float, typer.Option("--wait", min=0, max=60, help="Seconds to wait for a result or a prompt.")] = 0,
    key: Annotated[
        str | None, typer.Option("--idempotency-key", help="The same key starts one execution only.")
    ] = None,
    priority: Annotated[
        int, typer.Option("--priority", help="From -100 to 100, for lists; it changes no order of work.")
    ] = 0,
    output: Output = Format.TABLE,
) -> None:
    """Start a workflow on a server. The exit code is 1 if the execution has failed or was cancelled by then."""
    from restpoint.cli import output as shown
    from restpoint.cli.backend import server_backend

    if url is None:
        raise terminal.Usage(
            "Only a server can start a workflow, and no server is given.\n"
            f"Try: restpoint start {workflow} --url http://127.0.0.1:8000"
        )
    value = _read_input(data)

    async def work() -> None:
        async with server_backend(url) as backend:
            execution = await backend.start(workflow, value, wait=wait, idempotency_key=key, priority=priority)
        shown.show(execution, output, shown.show_execution)
        if execution.has_ended and execution.status != "completed":
            raise typer.Exit(terminal.REFUSED)

    terminal.run(work())


def _read_input(data: str) -> Any:
    from pydantic_core import from_json

    text = data
    try:
        if data == "@-":
            text = sys.stdin.read()
        elif data.startswith("@"):
            text = Path(data[1:]).read_text("utf-8")
        return from_json(text, allow_inf_nan=False)
    except OSError as error:
        raise terminal.Usage(f"The input {data[1:]} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise terminal.Usage(
            f"The input is not JSON: {error}.\n"
            """Quote it, as in --input '{"amount": 12}', or name a file: --input @order.json"""
        ) from None
