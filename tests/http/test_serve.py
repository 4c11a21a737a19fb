"""``restpoint serve``: what it refuses to start, how it ends, and several processes on one file behind one port."""

import asyncio
import json
import os
import signal
import socket
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import httpx
import pytest

from marks import within
from restpoint.client.client import Client
from restpoint.errors import InteractionAlreadyResolved
from restpoint.prompts import HumanResponseText
from served import PATIENCE, TARGET, Terminal, restpoint, served, typed

GONE = "from restpoint import workflow\n"
TWICE = """
from restpoint import workflow
@workflow("same")
async def one(ctx): ...
@workflow("same")
async def two(ctx): ...
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "target.py").write_text(TARGET)
    return tmp_path


@pytest.fixture
def modules() -> Iterator[None]:
    """Undoes what a target that is loaded here leaves among the modules."""
    paths, loaded = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = paths
    for name in set(sys.modules) - loaded:
        if name == "target" or name.startswith("restpoint_target"):
            del sys.modules[name]


@pytest.mark.parametrize(
    ("target", "content", "told"),
    [
        ("absent.py", None, "absent.py does not exist"),
        (".", None, ". is no Python file"),
        ("absent_module", None, "There is no module absent_module"),
        ("target", "import not_there_either", "ModuleNotFoundError: No module named 'not_there_either'"),
        ("a b", None, "neither a .py file nor the name of a module"),
        ("target.py", GONE, "target.py has no workflows"),
        ("target.py", "from restpoint import HumanPromptText", "write: from restpoint.prompts import HumanPromptText"),
        ("target.py", "from restpoint.prompts import workflow", "write: from restpoint import workflow"),
        ("target.py", "from restpoint import nothing", "cannot import name 'nothing'"),
        ("target.py", "x = 1\nraise RuntimeError('the moon\\nis full')", "target.py:2"),
        ("target.py", "def broken(:", "target.py:1"),
        ("target.py", "raise SystemExit(3)", "SystemExit: 3"),
        ("target.py", TWICE, "Two workflows are named same"),
    ],
)
def test_a_target_that_cannot_be_served_is_told_in_a_few_lines(
    tmp_path: Path, modules: None, target: str, content: str | None, told: str
) -> None:
    if content is not None:
        (tmp_path / "target.py").write_text(content)
    ran = typed("serve", target, "--port", "0", cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert told in ran.stderr
    assert ran.stderr.startswith("restpoint: ")
    assert len(ran.stderr.splitlines()) <= 3
    assert "Traceback" not in ran.stderr
    assert not list(tmp_path.glob("*.db"))


def test_a_port_that_cannot_be_had_is_told_and_leaves_no_new_file(folder: Path, modules: None) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        taken = str(other.getsockname()[1])
        for port, told in ((taken, "Choose another with --port"), ("99999", "Give one from 0 to 65535")):
            ran = typed("serve", "target.py", "--port", port, cwd=folder)
            assert (ran.returncode, told in ran.stderr) == (2, True), ran.stderr
    assert [each.name for each in folder.iterdir() if "db" in each.name] == []


def test_two_files_are_served_together_and_a_start_that_fails_exits_with_1(folder: Path) -> None:
    (folder / "other.py").write_text(
        "from target import greet\nfrom restpoint import workflow\n\n"
        "@workflow\nasync def fails(ctx) -> None:\n    raise ValueError('no luck')\n"
    )
    with served("target.py", folder, "other.py") as server:
        for name, status, code in (
            ("greet", "interaction_required", 0),
            ("echo", "completed", 0),
            ("fails", "failed", 1),
        ):
            ran = typed("start", name, "--input", "1" if name == "echo" else "null", "--wait", "60",
                        "-o", "json", "--url", server.url, cwd=folder)  # fmt: skip
            assert (json.loads(ran.stdout)["status"], ran.returncode) == (status, code), ran.stderr


def test_two_files_with_a_workflow_of_one_name_are_refused(folder: Path, modules: None) -> None:
    (folder / "other.py").write_text("from restpoint import workflow\n\n@workflow\nasync def greet(ctx) -> None: ...\n")
    ran = typed("serve", "target.py", "other.py", "--port", "0", cwd=folder)
    assert ran.returncode == 2
    assert "Two workflows are named greet" in ran.stderr


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--default", "farewell"), "It has: chatty, echo, gated, greet, quick, tally"),
        (("--host", "0.0.0.0"), "restpoint tokens add"),
        (("--host", "name.invalid", "--tokens-file", "tokens.json"), "name.invalid is no address"),
        (("--port", "70000"), "port is 70000"),
        (("--tokens-file", "absent.json"), "absent.json"),
    ],
)
def test_an_option_that_cannot_be_meant_is_told_with_what_to_do(
    folder: Path, modules: None, options: tuple[str, ...], told: str
) -> None:
    (folder / "tokens.json").write_text("[]")
    (folder / "tokens.json").chmod(0o600)
    ran = typed("serve", "target.py", *options, cwd=folder)
    assert ran.returncode == 2
    assert told in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_port_in_use_is_told_at_once(folder: Path, modules: None) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        for workers in ("1", "2"):
            ran = typed("serve", "target.py", "--port", str(port), "--workers", workers, cwd=folder)
            assert ran.returncode == 2
            assert f"port {port}" in ran.stderr
            assert "--port" in ran.stderr


def test_a_file_that_cannot_be_used_is_a_storage_error(folder: Path) -> None:
    (folder / "restpoint.db").write_text("this is no database, and it is longer than a header of one would be" * 20)
    ran = restpoint("serve", "target.py", "--port", "0", cwd=folder)
    assert ran.returncode == 5
    assert "Traceback" not in ran.stderr


async def follow(url: str, execution_id: str, opened: asyncio.Event) -> str:
    text, path = "", f"{url}/executions/{execution_id}/events"
    async with httpx.AsyncClient(timeout=PATIENCE) as http, http.stream("GET", path) as reply:
        async for chunk in reply.aiter_text():
            text += chunk
            if "interaction_asked" in text:
                opened.set()
    return text


@within(5)
@pytest.mark.parametrize("workers", [1, 2])
async def test_sigterm_ends_streams_with_a_reason_and_everything_within_five_seconds(
    folder: Path, workers: int, seconds: float
) -> None:
    with served("target.py", folder, "--workers", str(workers)) as server:
        async with Client(server.url) as client:
            execution = await client.start("greet", "Ada")
            await client.wait_until_asked(execution.execution_id, timeout=PATIENCE)
            opened = asyncio.Event()
            stream = asyncio.create_task(follow(server.url, execution.execution_id, opened))
            async with httpx.AsyncClient(timeout=PATIENCE) as http:
                poll = asyncio.create_task(
                    http.get(f"{server.url}/executions/{execution.execution_id}", params={"wait": 60})
                )
                async with asyncio.timeout(PATIENCE):
                    await opened.wait()
                code, took = await asyncio.to_thread(server.end)
                assert (await poll).json()["status"] == "interaction_required"
            assert "event: shutdown" in await stream
    assert code == 0
    assert took < seconds
    assert [line for line in server.said if not line.startswith("Serving ")] == []


@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_ends_it_as_sigterm_does(folder: Path, workers: str) -> None:
    with Terminal("serve", "target.py", "--port", "0", "--workers", workers, cwd=folder) as terminal:
        terminal.until("Ctrl-C ends it.")
        os.killpg(terminal.process.pid, signal.SIGINT)  # as a terminal does: all of its processes hear it
        assert terminal.ended() == 0
        assert len(terminal.shown.splitlines()) == 1, terminal.shown


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Look until it is so; what is waited for is another process's, which gives no other sign."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def test_a_worker_that_dies_is_replaced(folder: Path) -> None:
    with served("target.py", folder, "--workers", "2") as server:
        before = server.workers()
        assert len(before) == 2
        os.kill(before[0], signal.SIGKILL)
        wait_for(
            lambda: len(set(server.workers()) - {before[0]}) == 2 and before[0] not in server.workers(),
            "no worker took the place of the dead one",
        )
        os.kill(before[1], signal.SIGKILL)  # so that the new one must answer
        wait_for(lambda: before[1] not in server.workers(), "the killed worker stays")
        assert httpx.get(f"{server.url}/healthz", timeout=PATIENCE).status_code == 200


def test_workers_end_when_their_parent_is_gone(folder: Path) -> None:
    with served("target.py", folder, "--workers", "2") as server:
        workers = server.workers()
        server.process.kill()
        server.process.wait(PATIENCE)

        def gone(pid: int) -> bool:
            with suppress(FileNotFoundError):
                return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
            return True

        try:
            wait_for(lambda: all(gone(pid) for pid in workers), "a worker outlives its parent")
        except AssertionError:
            for pid in workers:
                os.kill(pid, signal.SIGKILL)
            raise
        with served("target.py", folder) as again:
            assert httpx.get(f"{again.url}/readyz", timeout=PATIENCE).status_code == 200


async def exchange(url: str, number: int, told: Counter[str]) -> None:
    """Start, be asked twice, answer each prompt twice at once with different answers, and be told the result."""
    name = f"n{number}"
    async with Client(url) as one, Client(url) as other:
        started = await one.start("tally", name, idempotency_key=name)
        again = await other.start("tally", name, idempotency_key=name)
        assert started.execution_id == again.execution_id
        async with asyncio.timeout(PATIENCE):
            asked = await other.wait_until_asked(started.execution_id)
            while len(asked.interactions) < 2:
                asked = await one.status(started.execution_id)
        chosen: dict[str, str] = {}
        for waiting in asked.interactions:
            answers = [f"{name}-a", f"{name}-b"]
            outcomes = await asyncio.gather(
                *(
                    client.answer(started.execution_id, waiting.interaction_id, HumanResponseText(text=text))
                    for client, text in zip((one, other), answers, strict=True)
                ),
                return_exceptions=True,
            )
            won = [text for text, outcome in zip(answers, outcomes, strict=True) if outcome is None]
            lost = [outcome for outcome in outcomes if outcome is not None]
            assert len(won) == 1, outcomes
            assert isinstance(lost[0], InteractionAlreadyResolved), lost
            chosen[waiting.prompt.text] = won[0]
            told["won"] += 1
        ended = await one.wait_until_ended(started.execution_id, timeout=PATIENCE)
        assert ended.result == f"{chosen['One?']} {chosen['Two?']}"
        told["completed"] += 1


async def load(folder: Path, count: int, workers: int) -> Counter[str]:
    told: Counter[str] = Counter()
    with served("target.py", folder, "--workers", str(workers), "--ttl", "never") as server:
        gate = asyncio.Semaphore(20)

        async def one(number: int) -> None:
            async with gate:
                await exchange(server.url, number, told)

        await asyncio.gather(*(one(number) for number in range(count)))
    assert told == {"won": 2 * count, "completed": count}
    # Each effect once, each prompt answered once, and nothing left over.
    noted = Counter(line.partition(":")[0] for line in (folder / "notes.txt").read_text().splitlines())
    assert noted == {f"n{number}": 1 for number in range(count)}
    with closing(sqlite3.connect(folder / "restpoint.db")) as file:
        assert file.execute("SELECT status, count(*) FROM executions GROUP BY status").fetchall() == [
            ("completed", count)
        ]
        answered = file.execute(
            "SELECT count(*), count(DISTINCT wait_id) FROM history WHERE event = 'interaction_answered'"
        )
        assert answered.fetchone() == (2 * count, 2 * count)
    return told


async def test_two_workers_on_one_file_lose_nothing_answer_once_and_leave_nothing_stuck(folder: Path) -> None:
    await load(folder, 20, workers=2)


@pytest.mark.deep
async def test_four_workers_under_a_long_load(folder: Path) -> None:
    began = time.monotonic()
    told = await load(folder, 1_500, workers=4)
    print(f"\n4 workers: {dict(told)} in {time.monotonic() - began:.1f} s; 0 lost, 0 answered twice, 0 stuck")
