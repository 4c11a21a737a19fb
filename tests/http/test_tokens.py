"""The tokens file: minted, read, refused, read again."""

import json
import logging
import multiprocessing
from pathlib import Path
from typing import Any

import pytest

from restpoint.access import Actor
from restpoint.errors import InvalidArgument
from restpoint.http import bearer_tokens
from support import ManualClock


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tokens.json"


def write(file: Path, content: Any, mode: int = 0o600) -> None:
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    file.chmod(mode)


def test_a_minted_token_is_known_by_its_digest_only(file: Path) -> None:
    token = bearer_tokens.add(file, "ada", groups=["finance"], roles=["operator"])
    assert token not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    known = bearer_tokens.Tokens(file)
    assert known.actor(token) == Actor("ada", frozenset({"finance"}), frozenset({"operator"}))
    assert known.actor(token + "x") is None
    assert known.actor("") is None


def test_a_second_token_is_added_to_the_first(file: Path) -> None:
    one, two = bearer_tokens.add(file, "ada"), bearer_tokens.add(file, "grace")
    known = bearer_tokens.Tokens(file)
    assert [known.actor(token) for token in (one, two)] == [Actor("ada"), Actor("grace")]


def test_a_token_that_is_taken_out_stops_working_and_a_new_one_works(file: Path) -> None:
    one = bearer_tokens.add(file, "ada")
    known = bearer_tokens.Tokens(file)
    assert known.actor(one) == Actor("ada")
    file.unlink()
    two = bearer_tokens.add(file, "grace")
    assert known.actor(one) is None
    assert known.actor(two) == Actor("grace")


def test_a_slip_of_the_editor_leaves_the_tokens_of_before(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    token = bearer_tokens.add(file, "ada")
    known = bearer_tokens.Tokens(file)
    write(file, "[{")
    with caplog.at_level(logging.ERROR):
        assert known.actor(token) == Actor("ada")
        assert known.actor(token) == Actor("ada")
    assert [record.message.split(":")[0] for record in caplog.records] == ["the earlier tokens stay valid"]


def test_a_file_that_others_may_read_is_refused(file: Path) -> None:
    write(file, [], 0o640)
    with pytest.raises(InvalidArgument, match="chmod 600"):
        bearer_tokens.Tokens(file)


DIGEST = "0" * 64


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("nothing like JSON", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ({}, "JSON list"),
        ([1], "Entry 0"),
        ([{"id": "ada"}], "sha256"),
        ([{"sha256": DIGEST.upper() + "F", "id": "ada"}], "sha256"),
        ([{"sha256": DIGEST}], "id"),
        ([{"sha256": DIGEST, "id": " "}], "id"),
        ([{"sha256": DIGEST, "id": "group:finance"}], "name of a group"),
        ([{"sha256": DIGEST, "id": "ada", "roles": ["root"]}], "role 'root'"),
        ([{"sha256": DIGEST, "id": "ada", "groups": "finance"}], "list of names"),
        ([{"sha256": DIGEST, "id": "ada", "token": "x"}], "has token"),
        ([{"sha256": DIGEST, "id": "ada", "expires": "soon"}], "needs expires"),
        ([{"sha256": DIGEST, "id": "ada", "created": 7}], "needs created"),
        ([{"sha256": DIGEST, "id": "ada"}, {"sha256": DIGEST, "id": "eve"}], "twice"),
    ],
)
def test_a_wrong_file_is_refused_with_what_is_wrong(file: Path, content: Any, word: str) -> None:
    write(file, content)
    with pytest.raises(InvalidArgument, match=word):
        bearer_tokens.Tokens(file)


def test_a_missing_file_is_refused_with_what_to_type(file: Path) -> None:
    with pytest.raises(InvalidArgument, match="restpoint tokens add"):
        bearer_tokens.Tokens(file)


def test_a_token_stops_working_when_it_expires_and_not_before(file: Path, clock: ManualClock) -> None:
    token = bearer_tokens.add(file, "ada", expires=clock.now() + 60_000, clock=clock)
    other = bearer_tokens.add(file, "grace", clock=clock)
    known = bearer_tokens.Tokens(file, clock)
    clock.step(59)
    assert known.actor(token) == Actor("ada")
    clock.step(1)
    assert known.actor(token) is None
    assert known.actor(other) == Actor("grace")
    write(file, "[{")  # the earlier tokens stay valid, and an expired one does not come back
    assert (known.actor(token), known.actor(other)) == (None, Actor("grace"))
    with pytest.raises(InvalidArgument, match="expired already"):
        bearer_tokens.add(file, "ada", expires=clock.now(), clock=clock)


def test_a_revoked_token_stops_working_and_the_others_go_on(file: Path) -> None:
    one, two, three = (bearer_tokens.add(file, name) for name in ("ada", "ada", "grace"))
    known = bearer_tokens.Tokens(file)
    assert [each.actor.id for each in bearer_tokens.revoke(file, token=one)] == ["ada"]
    assert [known.actor(token) for token in (one, two, three)] == [None, Actor("ada"), Actor("grace")]
    assert len(bearer_tokens.revoke(file, token=bearer_tokens.token_digest(three)[:12])) == 1
    four = bearer_tokens.add(file, "ada")
    assert len(bearer_tokens.revoke(file, of="ada")) == 2
    assert [known.actor(token) for token in (one, two, three, four)] == [None] * 4
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_token_that_is_not_there_or_is_not_one_is_not_revoked(file: Path) -> None:
    write(file, [{"sha256": f"ab{number:062}", "id": "ada"} for number in range(2)])
    before = file.read_text()
    for given, word in (({"token": "ab"}, "2 tokens"), ({"token": "cd"}, "No such"), ({"token": ""}, "No such"),
                        ({"of": "eve"}, "No such")):  # fmt: skip
        with pytest.raises(InvalidArgument, match=word):
            bearer_tokens.revoke(file, **given)
    assert file.read_text() == before


@pytest.mark.parametrize(("name", "groups"), [("ada ", ()), (" ada", ()), ("ada", ("finance ",)), ("local", ())])
def test_nothing_is_added_under_a_name_that_nothing_could_be_addressed_to(
    file: Path, name: str, groups: tuple[str, ...]
) -> None:
    with pytest.raises(InvalidArgument):
        bearer_tokens.add(file, name, groups=groups)
    assert not file.exists()


def test_nothing_is_added_under_a_role_that_is_none(file: Path) -> None:
    with pytest.raises(InvalidArgument, match="the roles are"):
        bearer_tokens.add(file, "ada", roles=["root"])
    assert not file.exists()


def _add(given: tuple[Path, str]) -> str:
    return bearer_tokens.add(*given)


def test_of_tokens_that_are_added_at_once_none_is_lost(file: Path) -> None:
    names = [f"person {number}" for number in range(32)]
    with multiprocessing.get_context("fork").Pool(8) as pool:
        made = pool.map(_add, [(file, name) for name in names], chunksize=1)
    assert {bearer_tokens.token_digest(token): name for token, name in zip(made, names, strict=True)} == {
        each.sha256: each.actor.id for each in bearer_tokens.read(file)
    }
