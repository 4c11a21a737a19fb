"""What documentation shows of a shell, replayed line by line against a real server."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Self

from served import environment

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
        self.server: subprocess.Popen[str] | None = None
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port = str(found.getsockname()[1])
        tools = folder / "bin"
        tools.mkdir()
        tool = tools / "restpoint"
        tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m restpoint.cli "$@"\n')
        tool.chmod(0o755)
        self.variables = environment(PATH=f"{tools}:{os.environ['PATH']}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.server is not None:
            self.server.kill()
            self.server.communicate()

    def here(self, text: str) -> str:
        for shown, real in self.ids.items():
            text = text.replace(shown, real)
        return text.replace(f":{PORT}", f":{self.port}")

    def run(self, command: str) -> str:
        if command == "kill -9 $!":
            assert self.server is not None
            self.server.send_signal(signal.SIGKILL)
            assert self.server.wait() == -signal.SIGKILL
            self.server.communicate()
            return ""
        if command.endswith(" &"):
            words = [*self.here(command).split()[1:-1], "--port", self.port]
            self.server = subprocess.Popen(
                [sys.executable, "-m", "restpoint.cli", *words],
                cwd=self.folder, env=self.variables, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            assert self.server.stderr is not None
            return self.server.stderr.readline()
        done = subprocess.run(
            ["bash", "-c", self.here(command)], cwd=self.folder, env=self.variables, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        return done.stdout + done.stderr

    def compare(self, command: str, shown: str) -> None:
        """What the command prints is what is shown; ids that are shown for the first time become this run's."""
        new = [each for each in dict.fromkeys(re.findall(UUID, shown)) if each not in self.ids]
        pattern = re.escape(self.here(shown.strip("\n"))).replace("…", ".*?")
        pattern = re.sub(_ESCAPED_TIME, lambda _: TIME, pattern)
        for number, each in enumerate(new):
            pattern = pattern.replace(re.escape(each), f"(?P<id{number}>{UUID})", 1)
            pattern = pattern.replace(re.escape(each), f"(?P=id{number})")
        printed = self.run(command).strip("\n")
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
