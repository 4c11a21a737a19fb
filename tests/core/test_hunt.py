"""The hunt for secrets finds them, in whatever way they are written."""

from base64 import b64encode
from pathlib import Path
from urllib.parse import quote

import pytest

import hunt

SECRET = "canary/with+signs=and-letters"
WRITTEN = [
    SECRET.encode(),
    quote(SECRET, safe="").encode(),
    *(b64encode(b"x" * n + SECRET.encode() + b"y") for n in range(4)),
]


@pytest.mark.parametrize("written", WRITTEN)
def test_a_secret_is_found_however_it_is_written(tmp_path: Path, written: bytes) -> None:
    (tmp_path / "log").write_bytes(b"before " + written + b" after")
    (tmp_path / "clean").write_bytes(b"nothing")
    assert hunt.found(hunt.files_of(tmp_path), [SECRET, "another-secret-of-it"]) == {"log": [SECRET]}
