"""The reference and the tables of promises agree with the source."""

import re
from pathlib import Path

import pytest

from commands import COMMANDS
from reference import DRAWINGS, GENERATORS, SCHEMA, drawing, regenerated, webhook_schema
from restpoint._storage.sqlite.views import CONTRACT, VIEWS
from transcripts import CHECKOUT, DOCS, PAGES, name_of

GENERATED = [page for page in PAGES if "<!-- generated: " in page.read_text()]


@pytest.mark.parametrize("page", GENERATED, ids=name_of)
def test_what_is_made_from_the_source_is_as_the_source_has_it(page: Path) -> None:
    text = page.read_text()
    assert text == regenerated(text), "write it anew: PYTHONPATH=src:tests .venv/bin/python tests/reference.py"


@pytest.mark.parametrize(("file", "kind"), DRAWINGS.items(), ids=DRAWINGS.values())
def test_the_pictures_of_the_lifecycle_are_drawn_from_its_table(file: Path, kind: str) -> None:
    assert file.read_text() == drawing(kind), "draw it anew: PYTHONPATH=src:tests .venv/bin/python tests/reference.py"
    assert f"({file.name})" in (DOCS / "concepts" / "lifecycle.md").read_text()


def test_the_schema_of_webhooks_is_that_of_their_bodies() -> None:
    assert SCHEMA.read_text() == webhook_schema(), (
        "write it anew: PYTHONPATH=src:tests .venv/bin/python tests/reference.py"
    )
    assert f"({SCHEMA.name})" in (DOCS / "reference" / "webhooks.md").read_text()


def test_everything_that_can_be_made_from_the_source_is_in_a_page() -> None:
    made = [name for page in GENERATED for name in re.findall(r"<!-- generated: (\w+) -->", page.read_text())]
    assert sorted(made) == sorted(GENERATORS)


def test_the_table_of_variables_has_every_one_that_the_source_reads() -> None:
    sources = "".join(file.read_text() for file in (CHECKOUT / "src").rglob("*.py"))
    text = (DOCS / "reference" / "configuration.md").read_text()
    table = text.partition("| variable | what | option |")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in row.split("|")[1:4]] for row in table.splitlines()[2:]]
    listed = [name for row in rows for name in re.findall(r"RESTPOINT_[A-Z_]+", row[0])]
    assert sorted(listed) == sorted(set(re.findall(r"RESTPOINT_[A-Z_]*[A-Z]", sources)))
    # Typer fills an option from its variable; what stands beside it in the table is that option.
    options = {
        (str(parameter.envvar), option)
        for command in COMMANDS.values()
        for parameter in command.params
        if parameter.envvar
        for option in parameter.opts
        if option.startswith("--")
    }
    shown = [
        pair
        for variables, _, cell in rows
        for pair in zip(re.findall(r"RESTPOINT_[A-Z_]+", variables), cell.split(", "), strict=True)
    ]
    assert {(variable, option.strip("`")) for variable, option in shown if option != "none"} == options
    # What the text says of a star is what `create_app` reads, and those that it hands the environment to.
    starred = {name for row in rows for name in re.findall(r"`(RESTPOINT_[A-Z_]+)` \*", row[0])}
    outside = "".join(
        file.read_text() for file in (CHECKOUT / "src" / "restpoint").rglob("*.py") if file.parent.name != "cli"
    )
    assert starred == set(
        re.findall(r'(?:environ\.get\(|environ\[|variables\.get\(|get\()"(RESTPOINT_[A-Z_]+)"', outside)
    )


def test_every_view_has_its_line_and_the_contract_its_version() -> None:
    text = (DOCS / "reference" / "views.md").read_text()
    described = text.partition("| view | a row is |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", described, re.MULTILINE)) == set(VIEWS)
    assert f"of version {CONTRACT}:" in text


def test_every_promise_names_a_test_that_is_there() -> None:
    text = (DOCS / "promises.md").read_text()
    rows = text.partition("| promise | held by |")[2].partition("\n\n")[0].splitlines()[2:]
    assert len(rows) >= 39
    for row in rows:
        tests = re.findall(r"`(tests/[\w/]+\.py)`", row.split("|")[2])
        assert tests, row
        for name in tests:
            assert (CHECKOUT / name).is_file(), name
