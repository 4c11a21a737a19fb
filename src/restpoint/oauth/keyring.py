"""Secrets at rest: sealed with AES-256-GCM under a key ring, or not there at all.

A sealed value is JSON text, ``{"key": ID, "sealed": BASE64}``: which key of the ring sealed it, and nonce, ciphertext and tag
(NIST SP 800-38D). What the value belongs to (table, row, column) is its associated data, so that one that is moved to another
row opens nowhere. A ring has several keys so that it can be rotated: the first one seals, all of them open.

A ring comes from a file (JSON, mode 0600), which is read again when it changes or when an unknown key is met, so a server
follows a rotation without a restart; or from text such as an environment variable holds: ``ID:BASE64 ID:BASE64``.
"""

import json
import logging
import os
import re
import secrets
from base64 import b64decode, urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

from restpoint._core import secret_files
from restpoint._core.secret_files import Stamp
from restpoint.errors import InvalidArgument, KeyMissing, SealBroken

log = logging.getLogger(__name__)

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a ring. ``created_at`` is ISO 8601 text, for people."""

    id: str
    secret: bytes
    created_at: str | None = None

    def __repr__(self) -> str:
        return f"<Key {self.id}>"


def new_key() -> Key:
    """A key that nobody has: 256 random bits."""
    now = datetime.now(UTC)
    return Key(f"{now:%Y%m%d}-{secrets.token_hex(4)}", secrets.token_bytes(KEY_BYTES), f"{now:%Y-%m-%dT%H:%M:%SZ}")


class Keys(Protocol):
    """Where the keys of a ring come from."""

    def ring(self, wanted: str | None = None) -> Sequence[Key]:
        """All keys, the one that seals first. ``wanted`` is one that was met: look again where it is unknown."""

    @property
    def place(self) -> str:
        """Where they come from, for messages."""


class KeyText:
    """Keys given as text, ``ID:BASE64`` each, with spaces or commas between them; the first one seals.

    Raises ``InvalidArgument``.
    """

    def __init__(self, text: str, place: str = "RESTPOINT_KEYS") -> None:
        self.place = place
        entries = [entry for entry in re.split(r"[\s,]+", text) if entry]
        if not all(":" in entry for entry in entries):  # which might be a key, so it is not shown
            raise InvalidArgument(
                f"{place} has an entry that is not ID:KEY; make one with: restpoint keys generate --text"
            )
        self._keys = _checked([(*entry.partition(":")[::2], None) for entry in entries], place)

    def ring(self, wanted: str | None = None) -> Sequence[Key]:  # noqa: ARG002 - the protocol's
        """As ``Keys.ring``."""
        return self._keys


class KeyFile:
    """Keys in a file. Raises ``InvalidArgument`` where it is missing, may be read by others, or holds something else."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()
        self._seen, self._keys = _read(self.path)
        self._problem = ""

    @property
    def place(self) -> str:
        """As ``Keys.place``."""
        return str(self.path)

    def ring(self, wanted: str | None = None) -> Sequence[Key]:
        """As ``Keys.ring``: read again when the file has changed. One that became unreadable leaves what was read before."""
        try:
            if secret_files.stamp(self.path) != self._seen or (wanted and all(key.id != wanted for key in self._keys)):
                self._seen, self._keys = _read(self.path)
        except (OSError, InvalidArgument) as error:
            if str(error) != self._problem:
                log.error("the keys of before stay in use: %s", error)  # noqa: TRY400 - the message says it all
            self._problem = str(error)
        else:
            self._problem = ""
        return self._keys


class Vault:
    """Seals and opens secrets with the keys of a ring."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        _aead(bytes(KEY_BYTES))  # says now, and not at the first secret, that cryptography is not installed

    @property
    def primary(self) -> str:
        """The id of the key that seals."""
        return self._keys.ring()[0].id

    def seal(self, secret: str, *belongs_to: str) -> str:
        """``secret`` as JSON text that only this ring opens, and only as what belongs to the same place."""
        key, sealed = self._seal(secret, belongs_to)
        return json.dumps({"key": key, "sealed": sealed}, separators=(",", ":"))

    def unseal(self, value: str, *belongs_to: str) -> str:
        """The secret of ``seal``. Raises ``KeyMissing`` and ``SealBroken``."""
        try:
            members = json.loads(value)
            key, sealed = str(members["key"]), str(members["sealed"])
        except (ValueError, TypeError, KeyError):
            raise SealBroken("A sealed value in the file is not in the form in which it was written.") from None
        return self._unseal(key, sealed, belongs_to)

    def seal_token(self, content: str, *belongs_to: str) -> str:
        """The same in the characters of a URL, for what goes out and comes back."""
        return ".".join(self._seal(content, belongs_to))

    def unseal_token(self, token: str, *belongs_to: str) -> str:
        """The content of ``seal_token``. Raises ``KeyMissing`` and ``SealBroken``."""
        key, _, sealed = token.partition(".")
        return self._unseal(key, sealed, belongs_to)

    def _seal(self, secret: str, belongs_to: Iterable[str]) -> tuple[str, str]:
        key, nonce = self._keys.ring()[0], secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + _aead(key.secret).encrypt(nonce, secret.encode(), _associated(belongs_to))
        return key.id, urlsafe_b64encode(sealed).decode().rstrip("=")

    def _unseal(self, key_id: str, sealed: str, belongs_to: Iterable[str]) -> str:
        from cryptography.exceptions import InvalidTag

        key = next((each for each in self._keys.ring(key_id) if each.id == key_id), None)
        if key is None:
            raise KeyMissing(key_id, self._keys.place)
        try:
            data = urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))
            opened: bytes = _aead(key.secret).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], _associated(belongs_to))
            return opened.decode()
        except (InvalidTag, ValueError, NotBase64):
            raise SealBroken(
                f"A value sealed with the key {key_id} does not open: it was changed, or moved to where it does not belong, "
                "or the ring has another key by this id."
            ) from None


def sealed_with(value: str) -> str | None:
    """The id of the key that sealed a value."""
    try:
        members = json.loads(value)
    except ValueError:
        return None
    return str(members["key"]) if isinstance(members, dict) and "key" in members else None


def beside(database: Path) -> Path:
    """Where the ready server keeps the ring of a database that it is given none for."""
    return database.with_name(f"{database.name}.keys")


def vault_for(database: Path, file: str | os.PathLike[str] | None, environ: Mapping[str, str]) -> Vault:
    """The vault of the ready server and the command line. Raises ``InvalidArgument``."""
    return Vault(keys_for(database, file, environ))


def keys_for(database: Path, file: str | os.PathLike[str] | None, environ: Mapping[str, str]) -> KeyFile | KeyText:
    """The keys in ``file``; or in the file, or the text, that the environment has; or else in the file beside the database,
    which is made where there is none. Raises ``InvalidArgument``.
    """  # noqa: D205 - one sentence
    given = file or environ.get("RESTPOINT_KEYS_FILE")
    if given:
        return KeyFile(given)
    text = environ.get("RESTPOINT_KEYS")
    return KeyText(text) if text else create(beside(database))


def as_text(key: Key) -> str:
    """A key as ``KeyText`` takes it."""
    return f"{key.id}:{urlsafe_b64encode(key.secret).decode()}"


def create(path: Path) -> KeyFile:
    """The ring in this file, which is made with one new key, mode 0600, where there is none. Raises ``InvalidArgument``."""
    if not path.exists():
        _write(path, [new_key()], new=True)
    return KeyFile(path)


def rotate(path: Path) -> Key:
    """Put a new key first in the ring of a file: from now on it seals, the others still open. Raises ``InvalidArgument``."""
    path = path.resolve()  # what a link leads to is replaced, not the link
    key = new_key()
    with secret_files.folder_lock(path.parent):
        _write(path, [key, *_read(path)[1]], new=False)
    return key


# --- Inside ----------------------------------------------------------------------------------------------------------


def _aead(secret: bytes) -> Any:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError:
        raise InvalidArgument("Sealing needs the package cryptography; run: pip install 'restpoint[server]'") from None
    return AESGCM(secret)


def _associated(belongs_to: Iterable[str]) -> bytes:
    return "\0".join(("restpoint", *belongs_to)).encode()


def _checked(entries: Iterable[tuple[str, str, str | None]], place: str) -> tuple[Key, ...]:
    keys: list[Key] = []
    for key_id, text, created_at in entries:
        if not _ID.fullmatch(key_id):
            raise InvalidArgument(f"{place} has a key by the id {key_id[:80]!r}; ids are letters, digits, - and _.")
        try:
            secret = b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (ValueError, NotBase64):
            secret = b""
        if len(secret) != KEY_BYTES:
            raise InvalidArgument(
                f"The key {key_id} of {place} is not {KEY_BYTES} bytes in URL-safe base64; make one with: "
                "restpoint keys generate"
            )
        if any(key.id == key_id for key in keys):
            raise InvalidArgument(f"{place} has two keys by the id {key_id}; an id is for one key.")
        keys.append(Key(key_id, secret, created_at))
    if not keys:
        raise InvalidArgument(f"{place} has no key; make one with: restpoint keys generate")
    return tuple(keys)


def _read(path: Path) -> tuple[Stamp, tuple[Key, ...]]:
    found, content = secret_files.read(path, "key file", "restpoint keys generate")
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        raise InvalidArgument(f"The key file {path} is not JSON; restore it from your copy.") from None
    entries = data.get("keys") if isinstance(data, dict) else None
    if not isinstance(entries, list) or not all(_is_entry(entry) for entry in entries):
        raise InvalidArgument(f'The key file {path} must hold {{"keys": [{{"id": ..., "key": ...}}, ...]}}.')
    told = [(entry["id"], entry["key"], entry.get("created_at")) for entry in entries]
    return found, _checked(told, f"The key file {path}")


def _is_entry(entry: object) -> bool:
    return isinstance(entry, Mapping) and isinstance(entry.get("id"), str) and isinstance(entry.get("key"), str)


def _write(path: Path, keys: Sequence[Key], *, new: bool) -> None:
    entries = [
        {"id": key.id, "key": urlsafe_b64encode(key.secret).decode(), "created_at": key.created_at} for key in keys
    ]
    # Several processes start at once: the first one's ring is everybody's. And it is on the disk before anything is sealed
    # with it: a secret must not be in the database while its key could still be lost.
    secret_files.write(path, json.dumps({"keys": entries}, indent=2) + "\n", "key file", new=new)
