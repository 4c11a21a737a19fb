"""The auditors' guide and the page of the views, compared with what there is. ``tests/docs`` runs the transcripts."""

import re
from typing import get_args

from restpoint._storage.hash_chain import Problem
from restpoint._storage.sqlite.views import CONTRACT, VIEWS
from served import EXAMPLES
from transcripts import DOCS

GUIDE = EXAMPLES / "auditing" / "README.md"


def test_every_view_is_on_the_page_of_the_views() -> None:
    page = (DOCS / "reference" / "views.md").read_text()
    table = page.partition("| view | a row is |")[2].partition("## Columns")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(VIEWS)
    assert f"of version {CONTRACT}:" in page


def test_every_problem_is_in_the_guide() -> None:
    named = set(re.findall(r"`(\w+_\w+)`", GUIDE.read_text()))
    assert set(get_args(Problem)) <= named
