"""The auditors' guide: its transcripts, executed; its tables, compared with what there is."""

import re
import shutil
from pathlib import Path
from typing import get_args

from marks import need_program
from restpoint._storage.hash_chain import Problem
from restpoint._storage.sqlite.views import CONTRACT, VIEWS
from served import EXAMPLES
from transcripts import Replay, turns

GUIDE = EXAMPLES / "auditing" / "README.md"
TEXT = GUIDE.read_text()
TRANSCRIPTS = "".join(re.findall(r"```console\n(.*?)```", TEXT, re.DOTALL))


def test_the_transcripts_of_the_guide_are_what_happens(tmp_path: Path) -> None:
    need_program("sqlite3", package="sqlite3")
    shutil.copy(GUIDE.with_name("week.py"), tmp_path)
    shown = turns(TRANSCRIPTS)
    assert sum(command.startswith("sqlite3 ") for command, _ in shown) >= 4
    with Replay(tmp_path) as shell:
        for command, output in shown:
            shell.compare(command, output)


def test_every_view_and_every_problem_is_in_the_guide() -> None:
    table = TEXT.partition("| view | a row is |")[2]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(VIEWS)
    assert f"of version {CONTRACT}:" in TEXT
    named = set(re.findall(r"`(\w+_\w+)`", TEXT))
    assert set(get_args(Problem)) <= named
