"""The tokens file of the ready server: its bearer tokens, and the actor that each stands for.

A JSON list of objects ``{"sha256": HEX, "id": "ada", "groups": ["finance"], "roles": ["operator"]}``; ``groups`` and
``roles`` may be missing, and so may ``created`` and ``expires``, which are ISO 8601 texts. The file holds only the SHA-256 of
each token, which is enough because tokens are 256 random bits. It is read again when it changes, so a token that is revoked stops
working at once; one that has expired stops by itself.
"""

import json
import logging
import os
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from restpoint._core import secret_files, timestamps
from restpoint._core.clock import Clock, SystemClock
from restpoint._core.secret_files import Stamp
from restpoint.access import LOCAL, ROLES, Actor
from restpoint.errors import InvalidArgument, RestpointError

log = logging.getLogger(__name__)

_RANDOM_BYTES: Final = 32  # of a token
_PREFIX: Final = "rp_"
_KEYS: Final = frozenset({"sha256", "id", "groups", "roles", "created", "expires"})
_HEX_DIGITS: Final = 64


@dataclass(frozen=True, slots=True)
class Token:
    """A token as the file has it: its SHA-256 in hexadecimal, and its actor.

    ``created`` and ``expires`` are milliseconds since the epoch; None where that is not known, or never.
    """

    sha256: str
    actor: Actor
    created: int | None = None
    expires: int | None = None

    def has_expired(self, now: int) -> bool:
        """Whether it has expired at ``now``, in milliseconds since the epoch."""
        return self.expires is not None and self.expires <= now


def token_digest(token: str) -> str:
    """The SHA-256 of a token in hexadecimal, as it is in the file."""
    return sha256(token.encode()).hexdigest()


def read(path: Path) -> list[Token]:
    """The tokens of a tokens file, those included that have expired.

    Raises ``InvalidArgument`` if the file is missing, can be read by others, or does not have the form above.
    """
    return list(_read(path)[1].values())


def add(
    path: Path,
    actor_id: str,
    *,
    groups: Iterable[str] = (),
    roles: Iterable[str] = (),
    expires: int | None = None,
    clock: Clock | None = None,
) -> str:
    """Make a token for an actor and add it to the file, which is created (mode 0600) if there is none.

    ``expires`` is when it stops working, in milliseconds since the epoch; None for never. Returns the token, which is kept
    nowhere else. Raises ``InvalidArgument``.
    """
    path = path.resolve()  # replace the file that a link points to, not the link
    now = (clock or SystemClock()).now()
    if expires is not None and expires <= now:
        raise InvalidArgument("The token would have expired already; give a time that is still to come.")
    for name in (actor_id, *groups):
        if name != name.strip():
            raise InvalidArgument(
                f"{name!r} has blanks around it, and nothing could be addressed to it; leave them out."
            )
    if actor_id == LOCAL:
        raise InvalidArgument(f"{LOCAL!r} stands for whoever uses a server without tokens; give another name.")
    token = f"{_PREFIX}{secrets.token_urlsafe(_RANDOM_BYTES)}"
    entry: dict[str, Any] = {
        "sha256": token_digest(token),
        "id": actor_id,
        "groups": sorted(groups),
        "roles": sorted(roles),
        "created": _moment(now),
    }
    if expires is not None:
        entry["expires"] = _moment(expires)
    _token(entry, path, 0)
    _change(path, lambda entries: [*entries, entry])
    return token


def revoke(path: Path, *, token: str | None = None, of: str | None = None) -> list[Token]:
    """Remove tokens from the file, and return them: one token, or all tokens ``of`` an actor.

    ``token`` is the token itself, or the beginning of its SHA-256. Raises ``InvalidArgument`` where there is none, where the
    beginning is that of several, and for a file that is wrong.
    """
    path = path.resolve()
    revoked: list[Token] = []

    def without(entries: Sequence[Any]) -> list[Any]:
        known = read(path)
        if of is not None:
            revoked.extend(each for each in known if each.actor.id == of)
        else:
            begin = token_digest(token or "") if (token or "").startswith(_PREFIX) else (token or "").lower()
            revoked.extend(each for each in known if begin and each.sha256.startswith(begin))
        if not revoked:
            raise InvalidArgument(f"No such token is in {path}; see: restpoint tokens list --tokens-file {path}")
        if of is None and len(revoked) > 1:
            raise InvalidArgument(f"{token!r} begins the SHA-256 of {len(revoked)} tokens; give more of it.")
        gone = {each.sha256 for each in revoked}
        return [entry for entry in entries if entry["sha256"] not in gone]

    _change(path, without)
    return revoked


def _change(path: Path, change: Callable[[Sequence[Any]], list[Any]]) -> None:
    """Write the entries of the file anew, with no other process changing it meanwhile."""
    with secret_files.folder_lock(path.parent):
        entries = []
        if path.exists():
            read(path)  # do not touch a file that is wrong
            entries = json.loads(path.read_text("utf-8"))
        text = json.dumps(change(entries), indent=2, ensure_ascii=False) + "\n"
        secret_files.write(path, text, "tokens file")


def _moment(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


class Tokens:
    """The actors of a tokens file, read again when the file changes.

    If the file becomes unreadable or wrong, that is logged and the earlier tokens stay valid: one slip of an editor must not
    lock everyone out. Raises ``InvalidArgument`` if the file is wrong from the start.
    """

    def __init__(self, path: str | os.PathLike[str], clock: Clock | None = None) -> None:
        self._path = Path(path).absolute()
        self._clock = clock or SystemClock()
        self._seen: Stamp | None
        self._seen, self._tokens = _read(self._path)

    def actor(self, token: str) -> Actor | None:
        """The actor of a token; None for a token that is not in the file or has expired."""
        # The time of a look-up depends on digests, and nobody can choose a token by its digest.
        return self.of_digest(token_digest(token))

    def of_digest(self, digest: str) -> Actor | None:
        """The actor of the token with this SHA-256 in hexadecimal; None as above."""
        self._refresh()
        found = self._tokens.get(digest)
        return None if found is None or found.has_expired(self._clock.now()) else found.actor

    def _refresh(self) -> None:
        try:
            seen: Stamp | None = secret_files.stamp(self._path)
        except OSError:
            seen = None
        if seen == self._seen:
            return
        try:
            self._seen, self._tokens = _read(self._path)
        except RestpointError as error:
            self._seen = seen
            log.error("the earlier tokens stay valid: %s", error)  # noqa: TRY400 - the message says it all


def _read(path: Path) -> tuple[Stamp, dict[str, Token]]:
    found, content = secret_files.read(path, "tokens file", "restpoint tokens add")
    try:
        entries = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"The tokens file {path} is not JSON: {error}.") from None
    if not isinstance(entries, list):
        raise InvalidArgument(f"The tokens file {path} must hold a JSON list of tokens.")
    tokens: dict[str, Token] = {}
    for index, entry in enumerate(entries):
        token = _token(entry, path, index)
        if token.sha256 in tokens:
            raise InvalidArgument(f"The tokens file {path} has the token of entry {index} twice.")
        tokens[token.sha256] = token
    return found, tokens


def _token(entry: object, path: Path, index: int) -> Token:
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
    created, expires = _time(entry, "created", where), _time(entry, "expires", where)
    return Token(digest, Actor(name, groups=groups, roles=roles), created, expires)


def _time(entry: Mapping[Any, Any], key: str, where: str) -> int | None:
    text = entry.get(key)
    if text is None:
        return None
    try:
        return timestamps.until(text)
    except (InvalidArgument, TypeError):
        raise InvalidArgument(f"{where} needs {key} to be a time such as 2026-11-25T14:02:08Z.") from None


def _names(entry: Mapping[Any, Any], key: str, where: str) -> frozenset[str]:
    names = entry.get(key, [])
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise InvalidArgument(f"{where} needs {key} to be a list of names.")
    return frozenset(names)
