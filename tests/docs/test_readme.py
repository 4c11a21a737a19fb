"""The README: two commands to begin with, a demonstration that is what happens, and few enough lines to be read."""

import re
import subprocess
import sys
from pathlib import Path

import httpx

from served import Terminal
from support import PATIENCE, variables
from transcripts import CHECKOUT, README, TEXT, block

TEST_COMMAND = "python3 -m venv .venv && .venv/bin/pip install -e '.[dev]' && .venv/bin/pytest -n 4"
RUN_COMMAND = "python3 -m venv .venv && .venv/bin/pip install -e '.[server]' && .venv/bin/restpoint demo"


def words(line: str, folder: Path | str = "/tmp") -> str:
    """A line of the demonstration without what differs from run to run; ``folder`` is where it makes its own."""
    line = re.sub(rf"{re.escape(str(folder))}/restpoint-demo-\S*", "FILE", line)
    line = re.sub(r"\d\d:\d\d:\d\d\.\d{3}", "TIME", line)
    return " ".join(re.sub(r"\b([Ss]erver|kill -9|where) \d+\b", r"\1 PID", line).split())


def run(*command: str, cwd: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        cwd=cwd,
        env=variables(**environment),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_there_are_exactly_two_commands_to_begin_with() -> None:
    assert [line for line in TEXT.splitlines() if line.startswith("python3 -m venv")] == [RUN_COMMAND, TEST_COMMAND]


def test_the_demonstration_shows_what_the_readme_shows(tmp_path: Path) -> None:
    shown = [words(line) for line in block(README, "demo").splitlines()[1:]]
    ran = run(sys.executable, "-m", "restpoint.cli", "demo", cwd=tmp_path, TMPDIR=str(tmp_path), COLUMNS="100")
    assert ran.returncode == 0, ran.stderr
    # Nobody is at the keyboard of a test, so that these two lines differ.
    (page,) = [line for line in shown if line.startswith("Answer it here, or in a browser: http://127.0.0.1:")]
    shown.remove(page)
    typed = words("Refund 120.00 EUR to Ada Lovelace? [yes/no] yes")
    instead = words("Nobody is at the keyboard, so the answer is: Yes, send it")
    assert [words(line, tmp_path) for line in ran.stdout.splitlines()] == [
        instead if line == typed else line for line in shown
    ]
    assert list(tmp_path.iterdir()) == []


def test_the_demonstration_takes_the_answer_of_whoever_is_at_the_keyboard_and_leaves_its_file_when_asked(
    tmp_path: Path,
) -> None:
    with Terminal("demo", "--keep", cwd=tmp_path, TMPDIR=str(tmp_path), TERM="dumb", COLUMNS="200") as terminal:
        terminal.until("[yes/no] ")
        terminal.type("perhaps\n")
        terminal.until("[yes/no] ")
        terminal.type("no\n")
        assert terminal.ended() == 0
    assert "Type yes or no." in terminal.shown
    assert "with the result {'refunded': False}" in terminal.shown
    assert [str(path) for path in tmp_path.glob("*/restpoint.db")] == [terminal.shown.rstrip().rpartition("Kept: ")[2]]


def test_the_demonstration_takes_the_answer_that_is_given_in_a_browser(tmp_path: Path) -> None:
    with Terminal("demo", cwd=tmp_path, TMPDIR=str(tmp_path), TERM="dumb", COLUMNS="200") as terminal:
        terminal.until("[yes/no] ")
        found = re.search(r"in a browser: ((http://\S+?)/view/\S+)", terminal.shown)
        assert found is not None
        page, base = found.groups()
        assert "Refund 120.00 EUR to Ada Lovelace?" in httpx.get(page).text
        assert httpx.post(page, data={"option": "1"}, headers={"origin": base}).status_code == 303
        assert terminal.ended() == 0
    assert "Answered No" in terminal.shown
    assert "with the result {'refunded': False}" in terminal.shown


def test_the_demonstration_says_that_nobody_answered_where_it_is_cancelled_in_a_browser(tmp_path: Path) -> None:
    with Terminal("demo", cwd=tmp_path, TMPDIR=str(tmp_path), TERM="dumb", COLUMNS="200") as terminal:
        terminal.until("[yes/no] ")
        found = re.search(r"in a browser: ((http://\S+?)/view/[^/\s]+)", terminal.shown)
        assert found is not None
        execution, base = found.groups()
        reply = httpx.post(f"{execution}/cancel", data={"reason": "Enough"}, headers={"origin": base})
        assert reply.status_code == 303
        assert terminal.ended() == 0
    assert "Nobody answered: the execution was cancelled" in terminal.shown
    assert "The execution is cancelled" in terminal.shown


def test_the_readme_can_be_read_in_one_go() -> None:
    assert len(TEXT.splitlines()) <= 150


def test_ci_runs_the_test_command_of_the_readme() -> None:
    script = (CHECKOUT / ".ci" / "run").read_text()
    pattern = re.search(r"grep '(.*)' README.md", script)
    assert pattern is not None
    matched = [line for line in TEXT.splitlines() if re.search(pattern[1], line)]
    assert matched == [TEST_COMMAND]
