"""What the README says is what happens."""

import pkgutil
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from commands import COMMANDS
from served import Terminal
from support import PATIENCE, variables
from transcripts import README, TEXT, block

TEST_COMMAND = "python3 -m venv .venv && .venv/bin/pip install -e '.[dev]' && .venv/bin/pytest -n 2"
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
    shown = [words(line) for line in block("<!-- demo", "console").splitlines()[1:]]
    ran = run(sys.executable, "-m", "restpoint.cli", "demo", cwd=tmp_path, TMPDIR=str(tmp_path), COLUMNS="100")
    assert ran.returncode == 0, ran.stderr
    # Nobody is at the keyboard of a test, so that one line differs.
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


def test_the_example_prints_what_the_readme_says(tmp_path: Path) -> None:
    ran = run(sys.executable, "-W", "error", "-c", block("<!-- example", "python"), cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == block("It prints:", "text")


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`((?:tests|src|benchmarks)/[\w/.]*)`", TEXT))))
def test_every_file_that_is_named_is_there(name: str) -> None:
    assert (README.parent / name).exists()


@pytest.mark.parametrize("name", ["README.md", "migrations/README.md"])
def test_the_command_line_takes_every_line_that_is_shown(name: str) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", (README.parent / name).read_text(), re.DOTALL)
    lines = [line for each in blocks for line in each.splitlines() if line.startswith("restpoint ")]
    assert len(lines) >= 3
    for line in lines:
        words = shlex.split(line, comments=True)[1:]
        command = next(each for each in COMMANDS if words[: len(each.split())] == each.split())
        COMMANDS[command].make_context(command, words[len(command.split()) :])


def test_the_table_of_commands_has_every_command_and_those_in_the_text_are_there() -> None:
    table = TEXT.partition("| command | what it does |")[2].partition("\n\n")[0]
    listed = re.findall(
        r"`restpoint ([a-z ]*[a-z])[^`]*`", "".join(row.split("|")[1] for row in table.splitlines()[2:])
    )
    assert sorted(listed) == sorted(COMMANDS)
    named = re.findall(r"`restpoint ([^`]*)`", TEXT)
    assert len(named) > len(listed)
    for each in named:
        assert any(f"{each} ".startswith(f"{command} ") for command in COMMANDS), each


def test_the_table_of_variables_has_every_one_that_the_source_reads() -> None:
    sources = "".join(file.read_text() for file in (README.parent / "src").rglob("*.py"))
    table = TEXT.partition("| variable | what | option |")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in row.split("|")[1:4]] for row in table.splitlines()[2:]]
    listed = [name for row in rows for name in re.findall(r"RESTPOINT_[A-Z_]+", row[0])]
    assert sorted(listed) == sorted(set(re.findall(r"RESTPOINT_[A-Z_]*[A-Z]", sources)))
    # Typer fills an option from its variable; what stands beside it in the table is that option.
    options = {
        (str(parameter.envvar), option)
        for command in COMMANDS.values()
        for parameter in command.params
        if parameter.envvar
        for option in parameter.opts
        if option.startswith("--")
    }
    shown = [
        pair
        for variables, _, cell in rows
        for pair in zip(re.findall(r"RESTPOINT_[A-Z_]+", variables), cell.split(", "), strict=True)
    ]
    assert {(variable, option.strip("`")) for variable, option in shown if option != "none"} == options
    # What the text says of a star is what `create_app` reads, and those that it hands the environment to.
    starred = {name for row in rows for name in re.findall(r"`(RESTPOINT_[A-Z_]+)` \*", row[0])}
    outside = "".join(
        file.read_text() for file in (README.parent / "src" / "restpoint").rglob("*.py") if file.parent.name != "cli"
    )
    assert starred == set(
        re.findall(r'(?:environ\.get\(|environ\[|variables\.get\(|get\()"(RESTPOINT_[A-Z_]+)"', outside)
    )


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(restpoint(?:\.\w+)+)", TEXT)) - {"restpoint.db"}))
def test_every_name_of_the_package_that_is_named_is_there(name: str) -> None:
    assert pkgutil.resolve_name(name) is not None


def test_ci_runs_the_test_command_of_the_readme() -> None:
    script = (README.parent / ".ci" / "run").read_text()
    pattern = re.search(r"grep '(.*)' README.md", script)
    assert pattern is not None
    matched = [line for line in TEXT.splitlines() if re.search(pattern[1], line)]
    assert matched == [TEST_COMMAND]
