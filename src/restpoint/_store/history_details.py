"""What the history tells of prompts and responses: all of them, or only their digests."""

from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

from restpoint._core.changes import Terms
from restpoint._core.serialization import check_text, encode
from restpoint.access import Actor

APPLICATION: Final = "application"
"""The authority of an actor whom an application handed to the store itself, past the doors and their policy."""


def full(name: str, text: str) -> str:
    """The detail of a row of history that keeps the payload ``text``, which is JSON."""
    return f'{{"{name}":{text}}}'


def digest(name: str, text: str) -> str:
    """The detail of a row of history that keeps only the SHA-256 of the payload."""
    return f'{{"{name}_sha256":"{sha256(text.encode()).hexdigest()}"}}'


def asked(detail: str, terms: Terms) -> str:
    """The detail of a prompt, with whom it is addressed to."""
    if terms.assignees is None and not terms.four_eyes:
        return detail
    about = f',"assignees":{terms.assignees or "null"},"four_eyes":{"true" if terms.four_eyes else "false"}'
    return f"{detail[:-1]}{about}}}"


def answered(detail: str, actor: Actor, authority: str | None) -> str:
    """The detail of an answer, with the right by which the actor gave it, their groups and their roles."""
    return f"{detail[:-1]},{_credentials(actor, authority or APPLICATION)}}}"


@lru_cache(maxsize=1_024)
def _credentials(actor: Actor, authority: str) -> str:
    told: dict[str, Any] = {"authority": check_text("authority", authority, limit=1_000)}
    told |= {name: sorted(getattr(actor, name)) for name in ("groups", "roles") if getattr(actor, name)}
    return encode(told)[1:-1]
