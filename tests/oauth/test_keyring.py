"""Secrets are sealed for one place, by keys that can be rotated; a ring says clearly what is wrong with it."""

import json
import multiprocessing
import os
import subprocess
import sys
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest

from restpoint._core import secret_files
from restpoint.errors import InvalidArgument, KeyMissing, SealBroken
from restpoint.oauth.keyring import (
    KeyFile,
    KeyText,
    Vault,
    as_text,
    beside,
    create,
    keys_for,
    new_key,
    rotate,
    sealed_with,
)
from support import PATIENCE

SECRET = "canary-é-secret"
PLACE = ("consents", "execution", "consent", "token")


def vault() -> Vault:
    return Vault(KeyText(as_text(new_key())))


def test_what_was_sealed_opens_as_what_it_was() -> None:
    mine = vault()
    sealed = mine.seal(SECRET, *PLACE)
    assert mine.unseal(sealed, *PLACE) == SECRET
    assert "canary" not in sealed
    assert json.loads(sealed)["key"] == sealed_with(sealed) == mine.primary
    assert mine.seal(SECRET, *PLACE) != sealed, "a nonce is used once"


@pytest.mark.parametrize(
    "place", [("consents", "execution", "consent", "verifier"), ("consents", "other", "consent", "token"), ()]
)
def test_what_was_sealed_opens_in_no_other_place(place: tuple[str, ...]) -> None:
    mine = vault()
    with pytest.raises(SealBroken, match="does not open"):
        mine.unseal(mine.seal(SECRET, *PLACE), *place)


def test_the_names_of_a_place_are_told_apart_where_they_say_the_same_together() -> None:
    mine = vault()
    with pytest.raises(SealBroken):
        mine.unseal(mine.seal(SECRET, "ab", "c"), "a", "bc")
    with pytest.raises(SealBroken):
        mine.unseal_token(mine.seal_token(SECRET, "ab", "c"), "abc")


@pytest.mark.parametrize("length", [0, 16, 24, 31, 33, 64])
def test_a_key_that_is_not_256_bits_is_refused_also_where_the_cipher_would_take_it(length: int) -> None:
    with pytest.raises(InvalidArgument, match="is not 32 bytes"):
        KeyText(f"a:{urlsafe_b64encode(bytes(length)).decode()}")


@pytest.mark.parametrize("change", ["", "AAAA", "é", "\x00"])
def test_what_was_changed_does_not_open(change: str) -> None:
    mine = vault()
    members = json.loads(mine.seal(SECRET, *PLACE))
    members["sealed"] = change or members["sealed"][:-4] + "AAAA"
    with pytest.raises(SealBroken):
        mine.unseal(json.dumps(members), *PLACE)


@pytest.mark.parametrize("value", ["", "{", "[]", "null", '{"key":"a"}', '"text"'])
def test_what_is_no_sealed_value_does_not_open(value: str) -> None:
    with pytest.raises(SealBroken):
        vault().unseal(value, *PLACE)


def test_a_key_that_is_not_in_the_ring_is_named() -> None:
    sealed = vault().seal(SECRET, *PLACE)
    with pytest.raises(KeyMissing, match=str(sealed_with(sealed))):
        vault().unseal(sealed, *PLACE)


@pytest.mark.parametrize("token", ["", ".", "x", "x.y", "a.b.c", "x." + "A" * 10_000])
def test_a_token_that_somebody_made_up_does_not_open(token: str) -> None:
    with pytest.raises(SealBroken):
        vault().unseal_token(token, "ticket")


def test_the_first_key_seals_and_all_open() -> None:
    old, new = as_text(new_key()), as_text(new_key())
    sealed = Vault(KeyText(old)).seal(SECRET, *PLACE)
    both = Vault(KeyText(f"{new}, {old}"))
    assert both.unseal(sealed, *PLACE) == SECRET
    assert sealed_with(both.seal(SECRET, *PLACE)) == new.partition(":")[0]


def test_a_ring_file_is_its_owners_alone_and_is_not_made_twice(tmp_path: Path) -> None:
    path = beside(tmp_path / "app.db")
    made = create(path)
    assert (path.name, path.stat().st_mode & 0o777) == ("app.db.keys", 0o600)
    assert create(path).ring() == made.ring()
    assert "secret" not in repr(made.ring()[0])


def _create(path: Path) -> str:
    return create(path).ring()[0].id


def test_processes_that_start_at_once_make_one_ring(tmp_path: Path) -> None:
    path = tmp_path / "app.keys"
    with multiprocessing.get_context("fork").Pool(8) as pool:
        made = set(pool.map(_create, [path] * 32, chunksize=1))
    assert len(made) == 1
    assert [each.name for each in tmp_path.iterdir()] == ["app.keys"]


def test_a_rotation_is_followed_without_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "app.keys"
    ring = create(path)
    running = Vault(ring)
    before = running.seal(SECRET, *PLACE)
    key = rotate(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert sealed_with(running.seal(SECRET, *PLACE)) == key.id
    assert running.unseal(before, *PLACE) == SECRET
    assert [each.id for each in ring.ring()] == [key.id, sealed_with(before)]


def test_a_key_that_is_not_known_is_looked_for_in_the_file_also_where_it_seems_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "app.keys"
    ring = create(path)
    old, stat = json.loads(path.read_text()), path.stat()
    text = path.read_text()
    new = new_key()
    changed = text.replace(old["keys"][0]["key"], urlsafe_b64encode(new.secret).decode())
    path.write_text(changed.replace(old["keys"][0]["id"], new.id))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert secret_files.stamp(path) == ring._seen, "the harness: the same file, time and size"
    assert [key.id for key in ring.ring()] == [old["keys"][0]["id"]]
    assert [key.id for key in ring.ring(new.id)] == [new.id]


def _rotate(path: Path) -> str:
    return rotate(path).id


def test_of_keys_that_are_put_into_a_ring_at_once_none_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "app.keys"
    first = create(path).ring()[0].id
    with multiprocessing.get_context("fork").Pool(8) as pool:
        made = pool.map(_rotate, [path] * 32, chunksize=1)
    assert {key.id for key in KeyFile(path).ring()} == {first, *made}


def test_a_ring_that_becomes_unreadable_is_told_once_and_leaves_what_was_read_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "app.keys"
    running = Vault(create(path))
    sealed = running.seal(SECRET, *PLACE)
    path.write_text("{")
    assert running.unseal(sealed, *PLACE) == SECRET
    assert running.unseal(sealed, *PLACE) == SECRET
    (told,) = caplog.messages
    assert "not JSON" in told
    path.unlink()
    assert running.unseal(running.seal(SECRET, *PLACE), *PLACE) == SECRET


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "not JSON"),
        ("[]", "must hold"),
        ('{"keys": [{"id": "a"}]}', "must hold"),
        ('{"keys": []}', "has no key"),
        ('{"keys": [{"id": "a b", "key": ""}]}', "use letters"),
        ('{"keys": [{"id": "a", "key": "AAAA"}]}', "is not 32 bytes"),
        ('{"keys": [{"id": "a", "key": "%s"}, {"id": "a", "key": "%s"}]}', "two keys"),
    ],
)
def test_a_ring_file_that_is_wrong_is_refused(tmp_path: Path, content: str, problem: str) -> None:
    path = tmp_path / "app.keys"
    path.write_text(content.replace("%s", "A" * 43))
    path.chmod(0o600)
    with pytest.raises(InvalidArgument, match=problem):
        KeyFile(path)


def test_a_ring_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "app.keys"
    create(path)
    path.chmod(0o644)
    with pytest.raises(InvalidArgument, match="chmod 600"):
        KeyFile(path)


@pytest.mark.parametrize("text", ["", "a", "a:", "a:AAAA", ":" + "A" * 43, "a:" + "*" * 43])
def test_a_ring_as_text_that_is_wrong_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="RESTPOINT_KEYS"):
        KeyText(text)


@pytest.mark.parametrize("form", ["{}", "a:b {}"])
def test_a_key_that_was_given_without_an_id_is_not_shown(form: str) -> None:
    secret = as_text(new_key()).partition(":")[2]
    with pytest.raises(InvalidArgument, match="keys generate --text") as refused:
        KeyText(form.format(secret))
    assert secret[:10] not in str(refused.value)


def test_the_store_and_the_runner_need_none_of_the_packages_of_the_server() -> None:
    code = (
        "import sys\n"
        "for name in ('authlib', 'cryptography', 'httpx', 'starlette', 'typer'): sys.modules[name] = None\n"
        "from restpoint import *\n"
        "from restpoint.oauth.flow import Consents\n"
    )
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert ran.returncode == 0, ran.stderr


def test_the_ring_is_where_it_was_said_to_be(tmp_path: Path) -> None:
    database, file, text = tmp_path / "app.db", tmp_path / "own.keys", as_text(new_key())
    create(file)
    environ = {"RESTPOINT_KEYS_FILE": str(file), "RESTPOINT_KEYS": text}
    assert keys_for(database, file, {}).place == str(file)
    assert keys_for(database, None, environ).place == str(file)
    assert keys_for(database, None, {"RESTPOINT_KEYS": text}).place == "RESTPOINT_KEYS"
    assert not beside(database).exists()
    assert keys_for(database, None, {}).place == str(beside(database))
    with pytest.raises(InvalidArgument, match="cannot be read"):
        keys_for(database, tmp_path / "missing.keys", {})
