"""The auditors' guide: its tables, compared with what there is. ``tests/docs`` runs its transcripts."""

import re
from typing import get_args

from restpoint._storage.hash_chain import Problem
from restpoint._storage.sqlite.views import CONTRACT, VIEWS
from served import EXAMPLES

GUIDE = EXAMPLES / "auditing" / "README.md"
TEXT = GUIDE.read_text()


def test_every_view_and_every_problem_is_in_the_guide() -> None:
    table = TEXT.partition("| view | a row is |")[2]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(VIEWS)
    assert f"of version {CONTRACT}:" in TEXT
    named = set(re.findall(r"`(\w+_\w+)`", TEXT))
    assert set(get_args(Problem)) <= named
