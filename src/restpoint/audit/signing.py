"""Signatures on evidence that leaves the file: Ed25519 (RFC 8032), which gives the same bytes the same signature every time.

A key is a PEM file: the private one PKCS #8 (RFC 5958) and readable by its owner only, the public one
SubjectPublicKeyInfo (RFC 5280) beside it with ``.pub`` after its name. A key's id is the beginning of the SHA-256 of the
public one. What is signed has a word on its kind before it, so that a signature on a head is none on an export.
"""

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from restpoint._core.secret_files import write_whole
from restpoint._storage import Head
from restpoint.errors import InvalidArgument, UnusableFile

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

Kind = Literal["head", "export"]

PUBLIC: Final = ".pub"
"""The suffix of a public key's file."""

_MOST_BYTES: Final = 16 * 1024  # of a key's file


class SigningKey:
    """A private key. Made by ``read``."""

    def __init__(self, key: "Ed25519PrivateKey") -> None:
        self._key = key
        self.public = VerifyingKey(key.public_key())

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "SigningKey":
        """Read a private key from a file. Raises ``InvalidArgument`` and ``UnusableFile``."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        file = Path(path)
        data = _read(file)
        if file.stat().st_mode & 0o077:
            raise InvalidArgument(f"{file} can be read by others than its owner; run: chmod 600 {file}")
        try:
            key = load_pem_private_key(data, None)
        except (ValueError, TypeError) as error:
            raise InvalidArgument(f"{file} holds no private key in PEM without a password ({error}).") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise InvalidArgument(
                f"{file} holds another kind of key than Ed25519; make one with: restpoint audit keygen"
            )
        return cls(key)

    def sign(self, kind: Kind, data: bytes) -> str:
        """Return the signature, in base64url without padding (RFC 4648, section 5)."""
        return urlsafe_b64encode(self._key.sign(_about(kind) + data)).decode().rstrip("=")


class VerifyingKey:
    """A public key. Made by ``read``."""

    def __init__(self, key: "Ed25519PublicKey") -> None:
        self._key = key
        self.id = sha256(key.public_bytes_raw()).hexdigest()[:16]
        """The id by which signatures name the key."""

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "VerifyingKey":
        """Read a public key from a file. Raises ``InvalidArgument`` and ``UnusableFile``."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        file = Path(path)
        try:
            key = load_pem_public_key(_read(file))
        except (ValueError, TypeError) as error:
            raise InvalidArgument(
                f"{file} holds no public key in PEM ({error}); its name ends with {PUBLIC}."
            ) from None
        if not isinstance(key, Ed25519PublicKey):
            raise InvalidArgument(f"{file} holds another kind of key than Ed25519.")
        return cls(key)

    def verifies(self, kind: Kind, data: bytes, signature: str) -> bool:
        """Whether a signature on these bytes was made with this key."""
        from cryptography.exceptions import InvalidSignature

        try:
            raw = urlsafe_b64decode(signature.encode("ascii") + b"=" * (-len(signature) % 4))
            self._key.verify(raw, _about(kind) + data)
        except (InvalidSignature, ValueError):
            return False
        return True


def generate(path: str | os.PathLike[str]) -> VerifyingKey:
    """Make a key pair: the private key at ``path``, the public one beside it. Raises ``UnusableFile`` if either exists."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    file = Path(path)
    public = file.with_name(file.name + PUBLIC)
    key = Ed25519PrivateKey.generate()
    form = serialization.PrivateFormat.PKCS8
    _write(file, key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()), 0o600)
    shown = serialization.PublicFormat.SubjectPublicKeyInfo
    try:
        _write(public, key.public_key().public_bytes(serialization.Encoding.PEM, shown), 0o644)
    except UnusableFile:
        file.unlink()
        raise
    return VerifyingKey(key.public_key())


def seal_head(head: Head, key: SigningKey) -> str:
    """Return a head with a signature, ``SEQUENCE:DIGEST:KEY:SIGNATURE``. It is the same every time."""
    return f"{head}:{key.public.id}:{key.sign('head', str(head).encode())}"


def read_head(text: str, key: VerifyingKey | None = None) -> Head:
    """Read a head that was kept, with a signature or without.

    With a ``key`` the signature must be there and be this key's. Raises ``InvalidArgument``.
    """
    number, digest, signature = [*text.strip().split(":", 2), "", ""][:3]
    head = Head.parse(f"{number}:{digest}")
    if key is None:
        return head
    signer, _, value = signature.partition(":")
    if not value:
        raise InvalidArgument(f"The head {number} has no signature; sign it with: restpoint audit head --key KEY")
    if not key.verifies("head", str(head).encode(), value):
        raise InvalidArgument(
            f"The signature on the head {number} is not one of the key {key.id}; it names {signer[:80]}."
        )
    return head


def _about(kind: Kind) -> bytes:
    return b"restpoint %b 1\n" % kind.encode()


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES)
    except OSError as error:
        raise UnusableFile(f"The key {path} cannot be read: {error.strerror}.") from error


def _write(path: Path, data: bytes, mode: int) -> None:
    try:
        write_whole(path, [data], replace=False, mode=mode)
    except FileExistsError:
        raise UnusableFile(f"{path} exists; name a new file, so that no key is lost.") from None
    except OSError as error:
        raise UnusableFile(f"{path} cannot be written: {error.strerror}.") from error
