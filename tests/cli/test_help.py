"""The help of every command: complete, and with examples that the command line takes."""

import shlex
from pathlib import Path

import pytest

from commands import COMMANDS, ROOT
from restpoint.cli.app import EXAMPLES, EXIT_CODES
from restpoint.cli.terminal import GROUPS
from served import typed

FILE_ONLY = ("hold 4f1c09 --reason x", "release 4f1c09", "erase 4f1c09 --yes", "sweep")


def test_every_command_has_examples_and_says_what_each_of_its_parameters_means() -> None:
    assert set(EXAMPLES) == set(COMMANDS)
    for name, command in COMMANDS.items():
        assert command.help, name
        assert command.epilog, name
        for parameter in command.params:
            assert parameter.help, f"{name} {parameter.name}"
            assert parameter.help.endswith((".", "]")), f"{name} {parameter.name}: {parameter.help}"


@pytest.mark.parametrize("line", [line for lines in EXAMPLES.values() for line in lines])
def test_the_command_line_takes_what_help_shows(line: str) -> None:
    name = next(name for name, lines in EXAMPLES.items() if line in lines)
    words = shlex.split(line)
    taken = len(name.split()) + 1
    assert words[:taken] == ["restpoint", *name.split()]
    COMMANDS[name].make_context(name, words[taken:])


def test_an_example_with_an_option_that_is_not_there_would_be_found() -> None:
    with pytest.raises(Exception, match="nowhere"):
        COMMANDS["list"].make_context("list", ["--nowhere"])


def test_hints_name_the_commands_of_groups() -> None:
    assert {name for name, each in ROOT.commands.items() if hasattr(each, "commands")} == GROUPS


@pytest.mark.parametrize("line", FILE_ONLY)
def test_what_works_on_the_file_only_says_so_of_a_url(line: str, tmp_path: Path) -> None:
    ran = typed(*line.split(), "--url", "http://127.0.0.1:1", cwd=tmp_path)
    assert ran.returncode == 2
    assert "works on the file only" in ran.stderr
    assert list(tmp_path.iterdir()) == []


def test_wrong_usage_is_told_with_the_help_of_that_command(tmp_path: Path) -> None:
    assert typed("db", "upgrade", cwd=tmp_path).returncode == 0
    for line, its in (("audit query --from yesterday", "audit query"), ("list --status done", "list")):
        ran = typed(*line.split(), cwd=tmp_path)
        assert ran.returncode == 2, ran.stderr
        assert ran.stderr.splitlines()[-1] == f"  Try: restpoint {its} --help"


def test_the_command_says_its_version_and_its_exit_codes(tmp_path: Path) -> None:
    from importlib.metadata import version

    assert typed("--version", cwd=tmp_path).stdout == f"restpoint {version('restpoint')}\n"
    shown = " ".join(typed("--help", cwd=tmp_path).stdout.split())
    assert EXIT_CODES in shown


@pytest.mark.parametrize("command", COMMANDS)
def test_no_help_is_cut_at_80_columns(command: str, tmp_path: Path) -> None:
    ran = typed(*command.split(), "--help", cwd=tmp_path, COLUMNS="80")
    assert ran.returncode == 0
    box = [line for line in ran.stdout.splitlines() if line.startswith("│")]
    assert not [line for line in box if "…" in line]
    shown = "".join("".join(line.strip("│").split()) for line in box)
    for parameter in COMMANDS[command].params:
        if getattr(parameter, "hidden", False):
            continue
        if variable := getattr(parameter, "envvar", None):
            assert any(variable in line for line in box), variable
        if parameter.metavar:
            assert any(parameter.metavar in line for line in box), parameter.metavar
        assert "".join((parameter.help or "").split())[:12] in shown


def test_a_shell_completes_commands_and_options(tmp_path: Path) -> None:
    for line, expected in (
        ("restpoint sh", "show"),
        ("restpoint answer --com", "--comment"),
        ("restpoint db up", "upgrade"),
    ):
        words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
        ran = typed(cwd=tmp_path, _RESTPOINT_COMPLETE="complete_bash", **words)
        assert expected in ran.stdout.split()
