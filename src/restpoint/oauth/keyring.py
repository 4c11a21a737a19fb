"""The key ring, which seals the secrets in the file with AES-256-GCM. No secret is stored unsealed.

A sealed value is JSON text, ``{"key": ID, "sealed": BASE64}``: the id of the key that sealed it, and nonce, ciphertext and tag
(NIST SP 800-38D). Table, row and column of the value are its associated data, so a value that is moved to another row does
not open. A ring has several keys so that it can be rotated: the first key seals, and all of them open.

A ring comes from a file (JSON, mode 0600) or from text, as in an environment variable: ``ID:BASE64 ID:BASE64``. The file is
read again when it changes or when an unknown key is met, so a server follows a rotation without a restart.
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
    """Make a key of 256 random bits."""
    now = datetime.now(UTC)
    return Key(f"{now:%Y%m%d}-{secrets.token_hex(4)}", secrets.token_bytes(KEY_BYTES), f"{now:%Y-%m-%dT%H:%M:%SZ}")


class Keys(Protocol):
    """A source of the keys of a ring."""

    def ring(self, wanted: str | None = None, /) -> Sequence[Key]:
        """Return all keys; the first one seals. If the id ``wanted`` is unknown, read the source again."""

    @property
    def place(self) -> str:
        """The name of the source, for messages."""


class KeyText:
    """Keys in text: ``ID:BASE64``, separated by spaces or commas. Raises ``InvalidArgument``."""

    def __init__(self, text: str, place: str = "RESTPOINT_KEYS") -> None:
        self.place = place
        entries = [entry for entry in re.split(r"[\s,]+", text) if entry]
        if not all(":" in entry for entry in entries):  # do not show the entry: it may be a key
            raise InvalidArgument(
                f"{place} has an entry that is not ID:KEY; make one with: restpoint keys generate --text"
            )
        self._keys = _checked([(*entry.partition(":")[::2], None) for entry in entries], place)

    def ring(self, _wanted: str | None = None, /) -> Sequence[Key]:
        """Return the keys of the text."""
        return self._keys


class KeyFile:
    """Keys in a file. Raises ``InvalidArgument`` if it is missing, malformed, or may be read by others."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()
        self._seen, self._keys = _read(self.path)
        self._problem = ""

    @property
    def place(self) -> str:
        """The path of the file, for messages."""
        return str(self.path)

    def ring(self, wanted: str | None = None, /) -> Sequence[Key]:
        """Return the keys, read again if the file changed. If it became unreadable, the keys read before stay in use."""
        problem = ""
        try:
            if secret_files.stamp(self.path) != self._seen or (wanted and all(key.id != wanted for key in self._keys)):
                self._seen, self._keys = _read(self.path)
        except (OSError, InvalidArgument) as error:
            problem = str(error)
        if problem and problem != self._problem:
            log.error("the key file is not usable, so the keys read before stay in use: %s", problem)
        self._problem = problem
        return self._keys


class Vault:
    """Seals and opens secrets with the keys of a ring."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        _aead(bytes(KEY_BYTES))  # raise now, and not at the first secret, if cryptography is not installed

    @property
    def primary(self) -> str:
        """The id of the key that seals."""
        return self._keys.ring()[0].id

    def seal(self, secret: str, *belongs_to: str) -> str:
        """Seal ``secret`` as JSON text. It opens only with this ring and with the same ``belongs_to``."""
        key, sealed = self._seal(secret, belongs_to)
        return json.dumps({"key": key, "sealed": sealed}, separators=(",", ":"))

    def unseal(self, value: str, *belongs_to: str) -> str:
        """Return the secret that ``seal`` sealed. Raises ``KeyMissing`` and ``SealBroken``."""
        try:
            members = json.loads(value)
            key, sealed = str(members["key"]), str(members["sealed"])
        except (ValueError, TypeError, KeyError):
            raise SealBroken("A sealed value in the file is malformed: it was changed after it was written.") from None
        return self._unseal(key, sealed, belongs_to)

    def seal_token(self, content: str, *belongs_to: str) -> str:
        """Seal ``content`` as a token of URL-safe characters, for links and forms."""
        return ".".join(self._seal(content, belongs_to))

    def unseal_token(self, token: str, *belongs_to: str) -> str:
        """Return the content that ``seal_token`` sealed. Raises ``KeyMissing`` and ``SealBroken``."""
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
                f"A value sealed with the key {key_id} does not open: it was changed, or moved to another row, or the ring has "
                "another key with this id."
            ) from None


def sealed_with(value: str) -> str | None:
    """Return the id of the key that sealed a value; None if the value is malformed."""
    try:
        members = json.loads(value)
    except ValueError:
        return None
    return str(members["key"]) if isinstance(members, dict) and "key" in members else None


def beside(database: Path) -> Path:
    """Return the path of the default key file of a database."""
    return database.with_name(f"{database.name}.keys")


def vault_for(database: Path, file: str | os.PathLike[str] | None, environ: Mapping[str, str]) -> Vault:
    """Return the vault of the server and the command line; see ``keys_for``. Raises ``InvalidArgument``."""
    return Vault(keys_for(database, file, environ))


def keys_for(database: Path, file: str | os.PathLike[str] | None, environ: Mapping[str, str]) -> KeyFile | KeyText:
    """Return the keys of ``file``, of RESTPOINT_KEYS_FILE, of RESTPOINT_KEYS or of the default key file, in this order.

    The default key file is created if it is missing. Raises ``InvalidArgument``.
    """
    if path := file or environ.get("RESTPOINT_KEYS_FILE"):
        return KeyFile(path)
    text = environ.get("RESTPOINT_KEYS")
    return KeyText(text) if text else create(beside(database))


def as_text(key: Key) -> str:
    """Return a key in the form that ``KeyText`` reads."""
    return f"{key.id}:{urlsafe_b64encode(key.secret).decode()}"


def create(path: Path) -> KeyFile:
    """Return the ring in this file. A missing file is made with one new key, mode 0600. Raises ``InvalidArgument``."""
    if not path.exists():
        _write(path, [new_key()], new=True)
    return KeyFile(path)


def rotate(path: Path) -> Key:
    """Put a new key first in the ring of a file, so that it seals from now on. Raises ``InvalidArgument``."""
    path = path.resolve()  # replace the target of a symbolic link, not the link
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
            raise InvalidArgument(f"{place} has a key with the id {key_id[:80]!r}; use letters, digits, - and _.")
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
            raise InvalidArgument(f"{place} has two keys with the id {key_id}; give each key its own id.")
        keys.append(Key(key_id, secret, created_at))
    if not keys:
        raise InvalidArgument(f"{place} has no key; make one with: restpoint keys generate")
    return tuple(keys)


def _read(path: Path) -> tuple[Stamp, tuple[Key, ...]]:
    stamp, content = secret_files.read(path, "key file", "restpoint keys generate")
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        raise InvalidArgument(f"The key file {path} is not JSON; restore it from your copy.") from None
    entries = data.get("keys") if isinstance(data, dict) else None
    if not isinstance(entries, list) or not all(_is_entry(entry) for entry in entries):
        raise InvalidArgument(f'The key file {path} must hold {{"keys": [{{"id": ..., "key": ...}}, ...]}}.')
    keys = [(entry["id"], entry["key"], entry.get("created_at")) for entry in entries]
    return stamp, _checked(keys, f"The key file {path}")


def _is_entry(entry: object) -> bool:
    return isinstance(entry, Mapping) and isinstance(entry.get("id"), str) and isinstance(entry.get("key"), str)


def _write(path: Path, keys: Sequence[Key], *, new: bool) -> None:
    entries = [
        {"id": key.id, "key": urlsafe_b64encode(key.secret).decode(), "created_at": key.created_at} for key in keys
    ]
    # Processes that start at once share the ring of the first one. It is on the disk before it seals anything: a secret must
    # not be in the database while its key could still be lost.
    secret_files.write(path, json.dumps({"keys": entries}, indent=2) + "\n", "key file", new=new)
