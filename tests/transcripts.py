"""The documentation, as a test reads it: pages, their code blocks, and a shell that replays what they show.

A comment before a block says what a test does with it:

- ``<!-- test: file hello.py -->``: the block is written to that file, in the folder of its page.
- ``<!-- test: run -->``: a Python program that is run in that folder. ``<!-- test: output -->`` before a later block says what
  the last one printed.
- ``<!-- test: replay -->``: a transcript, each of whose commands is run and whose output is compared; ``…`` stands for
  anything on the line. The port 8000, ids and times are those of the run.
- ``<!-- test: fragment -->``: Python that only has to be valid, because it is a part of something.
- ``<!-- test: NAME -->`` with another name: a test of its own reads it.
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from prefork import Forked
from served import Served, environment
from support import PATIENCE

CHECKOUT = Path(__file__).parents[1]
README = CHECKOUT / "README.md"
TEXT = README.read_text()
DOCS = CHECKOUT / "docs"
PAGES = [
    README,
    CHECKOUT / "CONTRIBUTING.md",
    CHECKOUT / "SECURITY.md",
    CHECKOUT / "migrations" / "README.md",
    *sorted(DOCS.rglob("*.md")),
]

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
_ESCAPED_TIME = TIME.replace("-", r"\\-").replace(" ", r"\\ ")
PORT = "8000"
_BLOCK = re.compile(
    r"^(?:<!-- test: (?P<marker>.*?) -->\n)?^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A block of code in a page. ``marker`` is what the comment before it says; empty where there is none."""

    page: Path
    line: int
    language: str
    marker: str
    text: str

    @property
    def where(self) -> str:
        return f"{name_of(self.page)}:{self.line}"


def name_of(page: Path) -> str:
    """The path of a page in the checkout."""
    return page.relative_to(CHECKOUT).as_posix()


def blocks(page: Path) -> Iterator[Block]:
    """Every block of a page, from the top."""
    text = page.read_text()
    for found in _BLOCK.finditer(text):
        line = text.count("\n", 0, found.start("language")) + 1
        yield Block(page, line, found["language"], found["marker"] or "", found["text"])


def block(page: Path, marker: str) -> str:
    """The text of the one block of a page that has this marker."""
    (found,) = [each.text for each in blocks(page) if each.marker == marker]
    return found


class Replay:
    """A shell that runs what a page shows, with the ids and the port of this run in place of those shown."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ids: dict[str, str] = {}
        self.server: Served | None = None
        tools = folder / "bin"
        tools.mkdir()
        for name, command in (
            ("restpoint", "-m restpoint.cli"),
            ("python3", ""),
            ("pytest", "-m pytest -p no:asyncio"),
        ):
            tool = tools / name
            tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" {command} "$@"\n')
            tool.chmod(0o755)
        self.variables = environment(PATH=f"{tools}:{os.environ['PATH']}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.server is not None:
            self.server.kill()

    def here(self, text: str) -> str:
        """What a page shows, with the ids and the port of this run."""
        for shown, real in self.ids.items():
            text = text.replace(shown, real)
        return text if self.server is None else text.replace(f":{PORT}", f":{self.server.port}")

    def run(self, command: str) -> str:
        """Run one command, and return what it prints."""
        if command in {"kill -9 $!", "kill $!"}:
            assert self.server is not None
            if command == "kill $!":
                assert self.server.end()[0] == 0
            self.server.kill()
            return ""
        if command.endswith(" &"):
            words = shlex.split(self.here(command))[:-1]
            assert words[:2] == ["restpoint", "serve"]
            self.server = Served(words[2], self.folder, *words[3:])
            return self.server.said[-1]
        command = self.here(command)
        if re.match(r"restpoint |python3 \S+\.py", command) and not re.search(r"[;&>|$]", command):
            words = shlex.split(command)
            if words[0] == "python3":
                program = self.folder / words[1]
                program.write_text(self.here(program.read_text()))
            return "".join(self.fork(*words[1:])[1:])
        done = subprocess.run(
            ["bash", "-c", command], cwd=self.folder, env=self.variables, capture_output=True, text=True,
            timeout=PATIENCE, check=False,
        )  # fmt: skip
        return done.stdout + done.stderr

    def fork(self, *arguments: str) -> tuple[int, str, str]:
        """Run ``restpoint``, or a program whose file is the first argument, forked from a process with the libraries.

        Returns the exit code, and what went to standard output and to standard error.
        """
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, Path(os.devnull).open("rb") as none:
            process = Forked(
                *arguments,
                cwd=self.folder,
                environment=self.variables,
                standard=(none.fileno(), out.fileno(), err.fileno()),
            )
            code = process.wait(60)
            out.seek(0)
            err.seek(0)
            return code, out.read().decode(), err.read().decode()

    def compare(self, command: str, shown: str) -> None:
        """What the command prints is what is shown."""
        self.expect(self.run(command), shown, f"$ {command}")

    def expect(self, printed: str, shown: str, of: str) -> None:
        """What was printed is what is shown; ids that are shown for the first time become this run's."""
        printed = printed.strip("\n")
        new = [each for each in dict.fromkeys(re.findall(UUID, shown)) if each not in self.ids]
        pattern = re.escape(self.here(shown.strip("\n"))).replace("…", ".*?")
        pattern = re.sub(_ESCAPED_TIME, lambda _: TIME, pattern)
        for number, each in enumerate(new):
            pattern = pattern.replace(re.escape(each), f"(?P<id{number}>{UUID})", 1)
            pattern = pattern.replace(re.escape(each), f"(?P=id{number})")
        found = re.fullmatch(pattern, "\n".join(line.rstrip() for line in printed.splitlines()), re.DOTALL)
        assert found is not None, f"{of}\nprinted:\n{printed}\nand the page shows:\n{shown}"
        self.ids |= {each: found[f"id{number}"] for number, each in enumerate(new)}


def turns(transcript: str) -> list[tuple[str, str]]:
    """Each command with what it printed."""
    found = re.split(r"^\$ ", transcript, flags=re.MULTILINE)[1:]
    return [(command, shown) for command, _, shown in (each.partition("\n") for each in found)]
