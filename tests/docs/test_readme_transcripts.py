"""The README's transcripts, replayed line by line against a real server; its table of routes; the house's picture of errors."""

import re
from pathlib import Path

import pytest

from restpoint import workflow
from restpoint.http.app import create_app
from restpoint.oauth.providers import Provider
from transcripts import TEXT, Replay, block, turns


def test_the_transcripts_are_what_happens(tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text(block("<!-- hello", "python"))
    shown = [*turns(block("<!-- curl", "console")), *turns(block("<!-- people", "console"))]
    assert [command.split()[0] for command, _ in shown].count("curl") >= 5
    with Replay(tmp_path) as shell:
        for command, output in shown:
            shell.compare(command, output)
        assert len(shell.ids) == 2


def test_a_transcript_that_is_not_true_would_be_found(tmp_path: Path) -> None:
    with Replay(tmp_path) as shell, pytest.raises(AssertionError, match="the README shows"):
        shell.compare("echo completed", "failed\n")


@workflow
async def nothing(ctx: object) -> None:
    """For a server to have one."""


def test_the_table_of_routes_has_every_route_and_no_other(tmp_path: Path) -> None:
    provider = Provider(
        "nowhere", "a client", authorization_endpoint="https://n.example", token_endpoint="https://n.example"
    )
    document = create_app([nothing], database=tmp_path / "restpoint.db", providers=[provider]).openapi()
    served = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    table = TEXT.partition("| route | what |")[2].partition("\n\n")[0]
    listed: set[str] = set()
    for row in table.splitlines()[2:]:
        for each in re.findall(r"`([^`]*/[^`]*)`", row.split("|")[1]):
            method, _, path = each.rpartition(" ")
            listed.add(f"{method or next(iter(listed)).split()[0]} {path}")
    assert listed == served


@pytest.mark.parametrize("call", re.findall(r"await ctx\.(\w+)\(", TEXT.partition("| call | what it does |")[2]))
def test_every_call_of_the_context_that_is_named_is_there(call: str) -> None:
    from restpoint import Context

    assert callable(getattr(Context, call))
