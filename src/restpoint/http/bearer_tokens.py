"""The tokens file of the ready server: its bearer tokens, and the actor that each stands for.

A JSON list of objects ``{"sha256": HEX, "id": "ada", "groups": ["finance"], "roles": ["operator"]}``; ``groups`` and
``roles`` may be missing. The file holds only the SHA-256 of each token, which is enough because tokens are 256 random
bits. It is read again when it changes, so a token that is removed from it stops working at once.
"""

import json
import logging
import os
import secrets
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from restpoint._core import secret_files
from restpoint._core.secret_files import Stamp
from restpoint.access import ROLES, Actor
from restpoint.errors import InvalidArgument, RestpointError

log = logging.getLogger(__name__)

_RANDOM_BYTES: Final = 32  # of a token
_KEYS: Final = frozenset({"sha256", "id", "groups", "roles"})
_HEX_DIGITS: Final = 64


def token_digest(token: str) -> str:
    """The SHA-256 of a token in hexadecimal, as it is in the file."""
    return sha256(token.encode()).hexdigest()


def read(path: Path) -> dict[str, Actor]:
    """The actors of a tokens file by the SHA-256 of their tokens.

    Raises ``InvalidArgument`` if the file is missing, can be read by others, or does not have the form above.
    """
    return _read(path)[1]


def add(path: Path, actor_id: str, *, groups: Iterable[str] = (), roles: Iterable[str] = ()) -> str:
    """Make a token for an actor and add it to the file, which is created (mode 0600) if there is none.

    Returns the token, which is kept nowhere else. Raises ``InvalidArgument``.
    """
    path = path.resolve()  # replace the file that a link points to, not the link
    token = f"rp_{secrets.token_urlsafe(_RANDOM_BYTES)}"
    entry = {"sha256": token_digest(token), "id": actor_id, "groups": sorted(groups), "roles": sorted(roles)}
    _actor(entry, path, 0)
    with secret_files.folder_lock(path.parent):
        entries = []
        if path.exists():
            read(path)  # do not add to a file that is wrong
            entries = json.loads(path.read_text("utf-8"))
        entries.append(entry)
        secret_files.write(path, json.dumps(entries, indent=2, ensure_ascii=False) + "\n", "tokens file")
    return token


class Tokens:
    """The actors of a tokens file, read again when the file changes.

    If the file becomes unreadable or wrong, that is logged and the earlier tokens stay valid: one slip of an editor must not
    lock everyone out. Raises ``InvalidArgument`` if the file is wrong from the start.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path).absolute()
        self._seen: Stamp | None
        self._seen, self._actors = _read(self._path)

    def actor(self, token: str) -> Actor | None:
        """The actor of a token; None for a token that is not in the file."""
        self._refresh()
        # The time of a look-up depends on digests, and nobody can choose a token by its digest.
        return self._actors.get(token_digest(token))

    def _refresh(self) -> None:
        try:
            seen: Stamp | None = secret_files.stamp(self._path)
        except OSError:
            seen = None
        if seen == self._seen:
            return
        try:
            self._seen, self._actors = _read(self._path)
        except RestpointError as error:
            self._seen = seen
            log.error("the earlier tokens stay valid: %s", error)  # noqa: TRY400 - the message says it all


def _read(path: Path) -> tuple[Stamp, dict[str, Actor]]:
    found, content = secret_files.read(path, "tokens file", "restpoint tokens add")
    try:
        entries = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"The tokens file {path} is not JSON: {error}.") from None
    if not isinstance(entries, list):
        raise InvalidArgument(f"The tokens file {path} must hold a JSON list of tokens.")
    actors: dict[str, Actor] = {}
    for index, entry in enumerate(entries):
        digest, actor = _actor(entry, path, index)
        if digest in actors:
            raise InvalidArgument(f"The tokens file {path} has the token of entry {index} twice.")
        actors[digest] = actor
    return found, actors


def _actor(entry: object, path: Path, index: int) -> tuple[str, Actor]:
    where = f"Entry {index} of the tokens file {path}"
    if not isinstance(entry, Mapping):
        raise InvalidArgument(f"{where} must be an object with sha256 and id.")
    unknown = sorted(str(key) for key in set(entry) - _KEYS)
    if unknown:
        raise InvalidArgument(f"{where} has {', '.join(unknown)}; its keys are {', '.join(sorted(_KEYS))}.")
    digest, name = entry.get("sha256"), entry.get("id")
    if not isinstance(digest, str) or len(digest) != _HEX_DIGITS or set(digest) - set("0123456789abcdef"):
        raise InvalidArgument(
            f"{where} needs sha256: the {_HEX_DIGITS} lower-case hexadecimal digits of a token's SHA-256."
        )
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise InvalidArgument(f"{where} needs id: the name that the history will show.")
    groups, roles = _names(entry, "groups", where), _names(entry, "roles", where)
    if wrong := sorted(roles - set(ROLES)):
        raise InvalidArgument(f"{where} has the role {wrong[0]!r}; the roles are {', '.join(ROLES)}.")
    return digest, Actor(name, groups=groups, roles=roles)


def _names(entry: Mapping[Any, Any], key: str, where: str) -> frozenset[str]:
    names = entry.get(key, [])
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise InvalidArgument(f"{where} needs {key} to be a list of names.")
    return frozenset(names)
