"""What documentation shows of a shell, replayed line by line against a real server."""

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

from prefork import Forked
from served import Served, environment
from support import PATIENCE

README = Path(__file__).parents[1] / "README.md"
TEXT = README.read_text()

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
_ESCAPED_TIME = TIME.replace("-", r"\\-").replace(" ", r"\\ ")
PORT = "8000"


class Replay:
    """A shell that runs what a transcript shows, with the ids and the port of this run in place of those shown."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ids: dict[str, str] = {}
        self.server: Served | None = None
        self.port = "0"  # whichever is free, and afterwards the same one again
        self.output, self.words = folder.parent / f"{folder.name}.output", folder.parent / f"{folder.name}.words"
        tools = folder / "bin"
        tools.mkdir()
        python = tools / "python3"
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
        self.variables = environment(PATH=f"{tools}:{os.environ['PATH']}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.server is not None:
            self.server.kill()

    def here(self, text: str) -> str:
        for shown, real in self.ids.items():
            text = text.replace(shown, real)
        return text.replace(f":{PORT}", f":{self.port}")

    def run(self, command: str) -> str:
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
        if (ours := re.match(r"""restpoint ((?:"[^"]*"|'[^']*'|[^"';>|])+)""", command)) is not None:
            arguments = self._bash(f"printf '%s\\0' {ours[1]}").stdout.split("\0")[:-1]
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
            told = self.words.read_text()
            command = f"(cat {shlex.quote(str(self.output))}; exit {code}) {command.removeprefix(ours[0])}"
        done = self._bash(command)
        return done.stdout + done.stderr + told

    def _bash(self, command: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["bash", "-c", command], cwd=self.folder, env=self.variables, capture_output=True, text=True,
            timeout=PATIENCE, check=False,
        )  # fmt: skip

    def compare(self, command: str, shown: str) -> None:
        """What the command prints is what is shown; ids that are shown for the first time become this run's."""
        printed = self.run(command).strip("\n")
        new = [each for each in dict.fromkeys(re.findall(UUID, shown)) if each not in self.ids]
        pattern = re.escape(self.here(shown.strip("\n"))).replace("…", ".*?")
        pattern = re.sub(_ESCAPED_TIME, lambda _: TIME, pattern)
        for number, each in enumerate(new):
            pattern = pattern.replace(re.escape(each), f"(?P<id{number}>{UUID})", 1)
            pattern = pattern.replace(re.escape(each), f"(?P=id{number})")
        found = re.fullmatch(pattern, "\n".join(line.rstrip() for line in printed.splitlines()), re.DOTALL)
        assert found is not None, f"$ {command}\nprinted:\n{printed}\nand the README shows:\n{shown}"
        self.ids |= {each: found[f"id{number}"] for number, each in enumerate(new)}


def turns(transcript: str) -> list[tuple[str, str]]:
    """Each command with what it printed."""
    found = re.split(r"^\$ ", transcript, flags=re.MULTILINE)[1:]
    return [(command, shown) for command, _, shown in (each.partition("\n") for each in found)]


def block(after: str, language: str) -> str:
    found = re.search(rf"{re.escape(after)}.*?```{language}\n(.*?)```", TEXT, re.DOTALL)
    assert found is not None
    return found[1]
