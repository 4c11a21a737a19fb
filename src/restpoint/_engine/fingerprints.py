"""Fingerprints: what tells two calls of a workflow apart that have the same kind and name."""

from hashlib import sha256

from restpoint._core.serialization import encode
from restpoint.errors import NotJSON


def fingerprint(*parts: str | int | None) -> str:
    """A digest of what a call was made with."""
    return sha256("\0".join(["" if part is None else f"={part}" for part in parts]).encode()).hexdigest()[:16]


def fingerprint_of(arguments: tuple[object, ...]) -> str:
    """The same of any arguments: of those that are JSON, and of the types of the others."""
    digest = sha256()
    for part in arguments:
        try:
            text = encode(part)
        except NotJSON:
            text = f"<{type(part).__name__}>"
        digest.update(f"{len(text)}:{text}".encode())
    return digest.hexdigest()[:16]
