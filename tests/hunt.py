"""Looking for secrets where none may be: in files, logs, replies and whatever else was written or sent."""

from base64 import b64encode
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus


def files_of(folder: Path) -> dict[str, bytes]:
    """What the files of a folder hold, by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def found(places: Mapping[str, bytes], secrets: Iterable[str]) -> dict[str, list[str]]:
    """The secrets by the place where they are, also as a URL or base64 has them; empty if there are none."""
    ways = {secret: _ways(secret) for secret in secrets}
    return {
        name: hits
        for name, content in places.items()
        if (hits := [secret for secret, written in ways.items() if any(each in content for each in written)])
    }


def _ways(secret: str) -> set[bytes]:
    """How a secret may be written. Of base64 it is the part that is the same whatever stands before and after."""
    assert len(secret) > 12, "so short a text could be anywhere"
    encoded = {b64encode(bytes(before) + secret.encode()).rstrip(b"=")[4:-2] for before in range(3)}
    return {secret.encode(), quote(secret, safe="").encode(), quote_plus(secret).encode()} | encoded
