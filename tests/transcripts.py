"""The documentation, as a test reads it: pages, their code blocks, and a shell that replays what they show.

A comment before a block says what a test does with it:

- ``<!-- test: file hello.py -->``: the block is written to that file, in the folder of its page, where the programs
  that lie beside the page are too.
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
import signal
import subprocess
import sys
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
    CHECKOUT / "examples" / "auditing" / "README.md",
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
        self.port = "0"  # whichever is free, and afterwards the same one again
        self.output, self.words = folder.parent / f"{folder.name}.output", folder.parent / f"{folder.name}.words"
        tools = folder / "bin"
        tools.mkdir()
        for name, arguments in (("python3", ""), ("pytest", "-m pytest -p no:asyncio ")):
            tool = tools / name
            tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments}"$@"\n')
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
        return text.replace(f":{PORT}", f":{self.port}")

    def run(self, command: str) -> str:
        """Run one command, and return what it prints."""
        if command == "kill -9 $!":
            assert self.server is not None
            self.server.kill()
            assert self.server.process.returncode == -signal.SIGKILL
            return ""
        if command.endswith(" &"):
            target, *options = shlex.split(self.here(command))[2:-1]
            self.server = Served(target, self.folder, *options, "--port", self.port)
            self.port = self.server.port
            return self.server.said[0]
        command, told = self.here(command), ""
        if (program := re.fullmatch(r"python3 (\w+\.py)", command)) is not None:
            path = self.folder / program[1]
            path.write_text(self.here(path.read_text()))
            return "".join(self.fork(program[1])[1:])
        if (ours := re.match(r"""restpoint ((?:"[^"]*"|'[^']*'|[^"';>|])+)""", command)) is not None:
            arguments = self._bash(f"printf '%s\\0' {ours[1]}").stdout.split("\0")[:-1]
            code, _, told = self.fork(*arguments)
            command = f"(cat {shlex.quote(str(self.output))}; exit {code}) {command.removeprefix(ours[0])}"
        done = self._bash(command)
        return done.stdout + done.stderr + told

    def fork(self, *arguments: str) -> tuple[int, str, str]:
        """Run ``restpoint``, or a program whose file is the first argument, forked from a process with the libraries.

        Returns the exit code, and what went to standard output and to standard error.
        """
        with (
            self.output.open("wb") as output,
            self.words.open("wb") as words,
            Path(os.devnull).open("rb") as nothing,
        ):
            forked = Forked(
                *arguments,
                cwd=self.folder,
                environment=self.variables,
                standard=(nothing.fileno(), output.fileno(), words.fileno()),
            )
            try:
                code = forked.wait(PATIENCE)
            finally:
                forked.kill()
        return code, self.output.read_text(), self.words.read_text()

    def _bash(self, command: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["bash", "-c", command], cwd=self.folder, env=self.variables, capture_output=True, text=True,
            timeout=PATIENCE, check=False,
        )  # fmt: skip

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
