"""Every example, transcript, command, file and name in the documentation is what happens and what is there."""

import ast
import configparser
import pkgutil
import re
import shlex
import shutil
from pathlib import Path

import pytest

from commands import COMMANDS
from marks import need_program
from restpoint import Context
from transcripts import CHECKOUT, PAGES, README, Replay, blocks, name_of, turns

LANGUAGES = {
    # Tested: each block says how, by its marker.
    "python", "console", "toml",
    # Tested without a marker: every line that begins with `restpoint` is parsed.
    "sh", "ini", "dockerfile",
    # Read by people, or held by a test of its own page.
    "text", "mermaid", "nginx", "json", "sql", "yaml",
}  # fmt: skip
MARKED = {"python", "console", "toml"}
PLAYED = ("file ", "run", "replay")
PLAYING = [page for page in PAGES if any(block.marker.startswith(PLAYED) for block in blocks(page))]
EVERYTHING = "\n".join(page.read_text() for page in PAGES)


@pytest.mark.parametrize("page", PLAYING, ids=name_of)
def test_what_a_page_shows_is_what_happens(page: Path, tmp_path: Path) -> None:
    if "$ sqlite3 " in page.read_text():
        need_program("sqlite3", package="sqlite3")
    for program in page.parent.glob("*.py"):
        shutil.copy(program, tmp_path)
    with Replay(tmp_path) as shell:
        printed, programs = "", 0
        for block in blocks(page):
            kind, _, argument = block.marker.partition(" ")
            if kind == "file":
                (tmp_path / argument).write_text(block.text)
            elif kind == "run":
                programs += 1
                program = tmp_path / f"program{programs}.py"
                program.write_text(block.text)
                code, printed, errors = shell.fork(program.name)
                assert code == 0, errors
            elif kind == "output":
                shell.expect(printed, block.text, block.where)
            elif kind == "replay":
                for command, shown in turns(block.text):
                    shell.compare(command, shown)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_that_can_be_tested_says_how(page: Path) -> None:
    found = list(blocks(page))
    assert page.read_text().count("```") == 2 * len(found), "a block that no test sees: is its end missing?"
    for block in found:
        assert block.language in LANGUAGES, f"{block.where}: say in LANGUAGES whether {block.language!r} can be tested"
        assert block.marker or block.language not in MARKED, f"{block.where} needs a marker: see tests/transcripts.py"
        if block.marker == "fragment":
            compile(block.text, block.where, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST)
        if block.marker == "output":
            assert block.language == "text"


def test_a_transcript_that_is_not_true_would_be_found(tmp_path: Path) -> None:
    with Replay(tmp_path) as shell, pytest.raises(AssertionError, match="the page shows"):
        shell.compare("echo completed", "failed\n")


def test_the_command_line_takes_every_line_that_is_shown() -> None:
    shown: list[tuple[str, str]] = []
    for page in PAGES:
        for block in blocks(page):
            if block.language == "sh":
                lines = block.text.replace("\\\n", " ").splitlines()
                shown += [(block.where, line) for line in lines if line.startswith("restpoint ")]
            elif block.language == "ini":
                unit = configparser.ConfigParser(strict=False)
                unit.optionxform = str  # type: ignore[assignment,method-assign]
                unit.read_string(block.text.replace("\\\n", " "))
                shown += [
                    (block.where, line[line.index("restpoint ") :])
                    for section in unit
                    for key, line in unit[section].items()
                    if key.startswith("Exec")
                ]
            elif block.language == "dockerfile":
                shown += [
                    (block.where, shlex.join(ast.literal_eval(line.partition(" ")[2])))
                    for line in block.text.splitlines()
                    if line.startswith(("CMD", "ENTRYPOINT"))
                ]
    assert len(shown) > 30
    for where, line in shown:
        words = shlex.split(line, comments=True)[1:]
        command = next((each for each in COMMANDS if words[: len(each.split())] == each.split()), None)
        assert command is not None, f"{where}: {line}"
        COMMANDS[command].make_context(command, words[len(command.split()) :])


def test_every_command_that_is_named_is_there() -> None:
    named = re.findall(r"`restpoint ([a-z][^`]*)`", EVERYTHING)
    assert len(named) > 20
    for each in named:
        assert any(f"{each} ".startswith(f"{command} ") for command in COMMANDS), each


@pytest.mark.parametrize(
    "name",
    sorted(
        set(re.findall(r"`((?:tests|src|benchmarks|examples|migrations|\.ci)/[\w/.]*)`", EVERYTHING))
        - {"tests/files/NNNN.sql"}
    ),
)
def test_every_file_that_is_named_is_there(name: str) -> None:
    assert (CHECKOUT / name).exists()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(restpoint(?:\.\w+)+)", EVERYTHING)) - {"restpoint.db"}))
def test_every_name_of_the_package_that_is_named_is_there(name: str) -> None:
    assert pkgutil.resolve_name(name) is not None


@pytest.mark.parametrize("call", sorted(set(re.findall(r"\bctx\.(\w+)", EVERYTHING))))
def test_every_call_of_the_context_that_is_named_is_there(call: str) -> None:
    assert hasattr(Context, call)


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent == CHECKOUT], ids=name_of)
def test_every_link_of_a_page_that_the_site_does_not_have_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if not link.startswith("https://"):
            assert (page.parent / link.partition("#")[0]).exists(), link


def test_the_readme_leads_to_every_page_of_the_documentation() -> None:
    linked = set(re.findall(r"\]\((docs/[^)#]+)\)", README.read_text()))
    pages = {name_of(page) for page in PAGES if name_of(page).startswith("docs/")}
    assert pages - linked == {"docs/index.md"}


def test_the_picture_of_the_house_has_every_box() -> None:
    text = (CHECKOUT / "CONTRIBUTING.md").read_text()
    picture = text.partition("## The house")[2].partition("```text\n")[2].partition("```")[0]
    boxes = {
        path.stem for path in (CHECKOUT / "src" / "restpoint").iterdir() if not path.name.startswith(("__", "py."))
    }
    assert boxes <= set(re.findall(r"\w+", picture))
