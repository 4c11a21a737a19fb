"""A prompt that survives ``kill -9``, to watch: real processes, a real file, the person's own answer.

Three processes share one file and nothing else. The first asks and is killed. The second finds the prompt in the file and
waits for it. The third is the one you type into; the answer it writes wakes the second, which completes the execution.
"""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from restpoint.errors import RestpointError
from restpoint.prompts import BinaryHumanPromptOption, HumanPromptBinary, HumanResponseBinary
from restpoint.store import ExecutionStore

PROMPT: Final = HumanPromptBinary(
    text="Refund 120.00 EUR to Ada Lovelace?",
    options=[
        BinaryHumanPromptOption(id="yes", label="Yes, send it", value="yes"),
        BinaryHumanPromptOption(id="no", label="No", value="no"),
    ],
)
_PATIENCE_SECONDS: Final = 15


# --- The processes that are watched ----------------------------------------------------------------------------------


async def ask(database: str) -> None:
    """Create an execution, ask, tell the ids on standard output, and wait: until killed."""
    async with ExecutionStore(database=database) as store:
        record = await store.create_execution(workflow="refund", owner="demo")
        pending = await store.set_interaction_required(record.execution_id, PROMPT, actor="workflow")
        print(record.execution_id, pending.interaction_id, flush=True)
        await pending.future


async def go_on(database: str, execution_id: str) -> None:
    """Find the execution in the file, wait for its open prompt, and complete it by the answer."""
    async with ExecutionStore(database=database) as store:
        record = await store.get(execution_id)
        pending = record.pending_interaction if record is not None else None
        if pending is None:
            raise SystemExit("the prompt is not in the file")
        future = pending.future
        print("waiting", flush=True)
        answer = await future
        assert isinstance(answer, HumanResponseBinary)  # noqa: S101 - the store checked it against the prompt
        refunded = answer.selected_option.id == "yes"
        await store.set_completed(execution_id, {"refunded": refunded}, actor="workflow")


def _start(*arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "restpoint.demo", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own module


# --- The one that is typed into --------------------------------------------------------------------------------------


def run(console: Console, *, keep: bool = False) -> None:
    """The demonstration, on a file in a temporary folder that is removed afterwards unless ``keep``."""
    with ExitStack() as cleanup:
        if keep:
            folder = tempfile.mkdtemp(prefix="restpoint-demo-")
        else:
            folder = cleanup.enter_context(tempfile.TemporaryDirectory(prefix="restpoint-demo-"))
        database = str(Path(folder) / "restpoint.db")

        first = _started(cleanup, "ask", database)
        execution_id, interaction_id = _line(first).split()
        console.print(
            f"[bold]1[/] Process {first.pid} runs a workflow that asks: [cyan]{PROMPT.text}[/]", soft_wrap=True
        )
        console.print(f"  The pause is a row in {database}", soft_wrap=True)

        first.send_signal(signal.SIGKILL)
        first.wait(_PATIENCE_SECONDS)
        console.print(
            f"[bold]2[/] [red]kill -9 {first.pid}[/]: it is gone ({signal.Signals(-first.returncode).name}).",
            soft_wrap=True,
        )

        second = _started(cleanup, "go-on", database, execution_id)
        _line(second)
        console.print(
            f"[bold]3[/] Process {second.pid} starts, finds the prompt in the file and waits for its answer.",
            soft_wrap=True,
        )

        option = _choose(console)
        asyncio.run(_answer(database, execution_id, interaction_id, option))
        if second.wait(_PATIENCE_SECONDS) != 0:
            raise SystemExit("the second process did not complete the execution; this is a defect of restpoint")
        console.print(
            f"[bold]4[/] Answered [green]{option.label}[/] from process {os.getpid()}, which woke {second.pid}."
        )

        asyncio.run(_show(console, database, execution_id))
        if keep:
            console.print(f"Kept: {database}", soft_wrap=True)


def _started(cleanup: ExitStack, *arguments: str) -> "subprocess.Popen[str]":
    process = _start(*arguments)

    def end() -> None:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()

    cleanup.callback(end)
    return process


def _line(process: "subprocess.Popen[str]") -> str:
    line = process.stdout.readline() if process.stdout is not None else ""
    if not line:
        raise SystemExit("a process of the demonstration ended early; its own message is above")
    return line


def _choose(console: Console) -> BinaryHumanPromptOption:
    """What the person types; the first option where nobody can type."""
    yes, no = PROMPT.options
    if not sys.stdin.isatty():
        console.print(f"  Nobody is at the keyboard, so the answer is: {yes.label}", soft_wrap=True)
        return yes
    while True:
        typed = console.input(f"  {PROMPT.text} [bold]\\[yes/no][/] ").strip().lower()
        for option in (yes, no):
            if typed and option.id.startswith(typed):
                return option
        console.print("  Type yes or no.", soft_wrap=True)


async def _answer(database: str, execution_id: str, interaction_id: str, option: BinaryHumanPromptOption) -> None:
    async with ExecutionStore(database=database) as store:
        response = HumanResponseBinary(selected_option=option)
        await store.resolve_interaction(execution_id, interaction_id, response, actor="you")


async def _show(console: Console, database: str, execution_id: str) -> None:
    async with ExecutionStore(database=database) as store:
        record = await store.get(execution_id)
        if record is None:
            raise RestpointError("the execution is not in the file")
        console.print(
            f"[bold]5[/] The execution is [green]{record.status}[/] with the result {record.result}. Its history:"
        )
        table = Table("#", "at (UTC)", "event", "status", "by", box=None, padding=(0, 1, 0, 2))
        for entry in await store.history(execution_id):
            at = datetime.fromtimestamp(entry.time, UTC).strftime("%H:%M:%S.%f")[:-3]
            table.add_row(str(entry.sequence), at, entry.event, entry.to_status or "", entry.actor or "")
        console.print(table)


if __name__ == "__main__":
    if sys.argv[1] == "ask":
        asyncio.run(ask(sys.argv[2]))
    else:
        asyncio.run(go_on(sys.argv[2], sys.argv[3]))
