"""The auditors' guide: its transcripts, executed; its tables, compared with what there is."""

import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import get_args

import pytest

from inside import Command
from restpoint._storage.hash_chain import Problem
from restpoint._storage.sqlite.views import CONTRACT, VIEWS
from served import EXAMPLES
from transcripts import Replay, turns

GUIDE = EXAMPLES / "auditing" / "README.md"
TEXT = GUIDE.read_text()
TRANSCRIPTS = "".join(re.findall(r"```console\n(.*?)```", TEXT, re.DOTALL))


class Shell(Replay):
    """A shell that runs plain commands of ours in this process, which takes a tenth of the time."""

    def __init__(self, folder: Path, restpoint: Command) -> None:
        super().__init__(folder)
        self._restpoint = restpoint
        python = folder / "bin" / "python3"
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)

    def run(self, command: str) -> str:
        command = self.here(command)
        if not command.startswith("restpoint ") or re.search(r"[;>|$]", command):
            return super().run(command)
        ran = self._restpoint(*shlex.split(command)[1:])
        return ran.stdout + ran.stderr


@pytest.mark.skipif(
    shutil.which("sqlite3") is None, reason="the sqlite3 shell is not installed: apt-get install sqlite3"
)
def test_the_transcripts_of_the_guide_are_what_happens(tmp_path: Path, restpoint: Command) -> None:
    shutil.copy(GUIDE.with_name("week.py"), tmp_path)
    shown = turns(TRANSCRIPTS)
    assert sum(command.startswith("sqlite3 ") for command, _ in shown) >= 4
    with Shell(tmp_path, restpoint) as shell:
        for command, output in shown:
            shell.compare(command, output)


def test_every_view_and_every_problem_is_in_the_guide() -> None:
    table = TEXT.partition("| view | a row is |")[2]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(VIEWS)
    assert f"of version {CONTRACT}:" in TEXT
    named = set(re.findall(r"`(\w+_\w+)`", TEXT))
    assert set(get_args(Problem)) <= named
