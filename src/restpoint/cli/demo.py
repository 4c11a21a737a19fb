"""A demonstration of a workflow that survives ``kill -9``, with a real server, a real file and the person's own answer.

It runs ``restpoint serve`` on this module, kills the server while the workflow waits for an answer, starts it again, and takes
the answer of the person, who types it or gives it in a browser. The workflow continues where it was, and does not repeat what it
did before.
"""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from restpoint._core.threads import in_thread
from restpoint._engine.context import Context
from restpoint._engine.workflow import workflow
from restpoint.client.client import Client
from restpoint.errors import InteractionAlreadyResolved, InteractionWithdrawn
from restpoint.events import EventKind
from restpoint.prompts import BinaryHumanPromptOption, HumanPromptBinary, HumanResponseBinary

if TYPE_CHECKING:
    from rich.console import Console

    from restpoint.models import Execution, HistoryItem

_TIMEOUT_SECONDS: Final = 30.0
_OPTIONS: Final = [
    BinaryHumanPromptOption(id="yes", label="Yes, send it", value="yes"),
    BinaryHumanPromptOption(id="no", label="No", value="no"),
]


@workflow
async def refund(ctx: Context, customer: str) -> dict[str, object]:
    """Look up an amount, ask whether to refund it, and act on the answer."""
    amount = await ctx.step(open_amount, customer)
    answer = await ctx.ask(HumanPromptBinary(text=f"Refund {amount} EUR to {customer}?", options=_OPTIONS))
    return {"refunded": answer.selected_option.id == "yes"}


def open_amount(customer: str) -> str:
    """Stand in for a request to another system."""
    return "120.00" if customer else "0.00"


# --- The server that is watched --------------------------------------------------------------------------------------


class _Server:
    """A process of ``restpoint serve``. It is ready when it has printed its address."""

    def __init__(self, database: str, cleanup: ExitStack) -> None:
        command = [sys.executable, "-m", "restpoint.cli", "serve", "restpoint.cli.demo"]
        # Ignore the settings of the shell, which are for another server.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RESTPOINT_")}
        options = ["--database", database, "--host", "127.0.0.1", "--port", "0", "--ttl", "600"]
        self.process = subprocess.Popen(  # noqa: S603 - our own command
            [*command, *options],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment,
            text=True,
            encoding="utf-8",
        )
        cleanup.callback(self._end)
        self.pid = self.process.pid
        lines = []
        for line in self.process.stderr or ():
            lines.append(line)
            if line.startswith("Serving http"):
                self.url = line.split()[1].rstrip(";")
                break
        else:
            raise SystemExit("the server of the demonstration did not start:\n" + "".join(lines))
        # Drain the pipe, or the server blocks when it is full.
        threading.Thread(target=lambda: [None for _ in self.process.stderr or ()], daemon=True).start()

    def kill(self) -> str:
        """Kill the process with SIGKILL. Returns the name of the signal that ended it."""
        self.process.kill()
        return signal.Signals(-self.process.wait(_TIMEOUT_SECONDS)).name

    def _end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()


# --- What is shown ---------------------------------------------------------------------------------------------------


def run(console: "Console", *, keep: bool = False) -> None:
    """Run the demonstration on a file in a temporary folder, which is removed afterwards unless ``keep`` is true."""
    with ExitStack() as cleanup:
        if keep:
            folder = tempfile.mkdtemp(prefix="restpoint-demo-")
        else:
            folder = cleanup.enter_context(tempfile.TemporaryDirectory(prefix="restpoint-demo-"))
        database = str(Path(folder) / "restpoint.db")

        def show(words: str) -> None:
            console.print(words, soft_wrap=True)

        first = _Server(database, cleanup)
        execution = asyncio.run(_start(first.url))
        asked = execution.interactions[0]
        show(f"[bold]1[/] Server {first.pid} runs a workflow that asks: [cyan]{asked.prompt.text}[/]")
        show(f"  The pause is a row in {database}")

        show(f"[bold]2[/] [red]kill -9 {first.pid}[/]: it is gone ({first.kill()}).")

        second = _Server(database, cleanup)
        show(f"[bold]3[/] Server {second.pid} starts on the same file. The prompt is still open.")
        execution, history = asyncio.run(_decided(console, second.url, execution))
        answers = [entry.detail["response"] for entry in history if entry.kind is EventKind.INTERACTION_ANSWERED]
        if answers:
            said = answers[0]["selected_option"]["label"]
            show(f"[bold]4[/] Answered [green]{said}[/]; server {second.pid} went on where {first.pid} was.")
        else:
            show("[bold]4[/] Nobody answered: the execution was cancelled in the browser.")

        show(
            f"[bold]5[/] The execution is [green]{execution.status}[/] with the result {execution.result}. Its history:"
        )
        _show_history(console, history)
        if keep:
            show(f"Kept: {database}")


async def _start(url: str) -> "Execution":
    async with Client(url) as client:
        execution = await client.start("refund", "Ada Lovelace")
        return await client.wait_until_asked(execution.execution_id, timeout=_TIMEOUT_SECONDS)


async def _decided(console: "Console", url: str, execution: "Execution") -> "tuple[Execution, list[HistoryItem]]":
    """Wait until the person has answered, here or in a browser, and the workflow has ended."""
    execution_id, asked = execution.execution_id, execution.interactions[0]
    async with Client(url) as client:
        ending = asyncio.create_task(client.wait_until_ended(execution_id))
        if not sys.stdin.isatty():
            console.print(f"  Nobody is at the keyboard, so the answer is: {_OPTIONS[0].label}", soft_wrap=True)
            option: BinaryHumanPromptOption | None = _OPTIONS[0]
        else:
            page = f"{url}/view/{execution_id}/prompt/{asked.interaction_id}"
            console.print(f"  Answer it here, or in a browser: {page}", soft_wrap=True, highlight=False)
            option = await _chosen(console, asked.prompt.text, ending)
        if option is not None:
            with suppress(InteractionAlreadyResolved, InteractionWithdrawn):  # the browser was first
                await client.answer(execution_id, asked.interaction_id, HumanResponseBinary(selected_option=option))
        return await asyncio.wait_for(ending, _TIMEOUT_SECONDS), list(await client.history(execution_id))


async def _chosen(
    console: "Console", question: str, ending: "asyncio.Task[Execution]"
) -> BinaryHumanPromptOption | None:
    """Return the option that the person types; None where the execution has ended meanwhile."""
    while True:
        typing = asyncio.create_task(in_thread(console.input, f"  {question} [bold]\\[yes/no][/] "))
        await asyncio.wait({typing, ending}, return_when=asyncio.FIRST_COMPLETED)
        if not typing.done():
            typing.cancel()
            console.print()
            return None
        typed = typing.result().strip().lower()
        for option in _OPTIONS:
            if typed and option.id.startswith(typed):
                return option
        console.print("  Type yes or no.", soft_wrap=True)


def _show_history(console: "Console", history: "list[HistoryItem]") -> None:
    from rich.table import Table

    table = Table("#", "at (UTC)", "event", "status", "by", box=None, padding=(0, 1, 0, 2))
    for entry in history:
        at = datetime.fromtimestamp(entry.time, UTC).strftime("%H:%M:%S.%f")[:-3]
        table.add_row(str(entry.sequence), at, entry.event, entry.to_status or "", entry.actor or "")
    console.print(table)
