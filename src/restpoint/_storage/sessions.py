"""Sessions of people at a browser, in the file, and what the history tells of signing in and out.

The functions that take a transaction are jobs for the writer. A session is found by the SHA-256 of its token, which only the
browser has. It ends at ``ends_at``, which each use moves on but never beyond ``expires_at``, or when somebody ends it; only the
latter is an event. A session that is over is not found, and the sweep deletes it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import bindparam, delete, func, insert, select, update

from restpoint._core.serialization import decode, encode
from restpoint._storage.history import append
from restpoint._storage.outbox import mail_addresses
from restpoint._storage.schema import sessions
from restpoint._storage.sqlite.connection import limited, listed, prepare
from restpoint._storage.sqlite.database import Database, Transaction
from restpoint.access import Actor
from restpoint.errors import InvalidArgument
from restpoint.events import EventKind

_s = sessions.c

USED_EVERY: Final = 60_000
"""Milliseconds between two notes that a session is used."""


@dataclass(frozen=True, slots=True)
class Session:
    """A session as the file has it; times are milliseconds since the epoch.

    It began at a ``provider``, or with the bearer token that has this ``bearer_sha256`` in hexadecimal.
    """

    id: str
    actor: Actor
    provider: str | None
    bearer_sha256: str | None
    created_at: int
    expires_at: int
    used_at: int
    ends_at: int


_COLUMNS: Final = (
    _s.id, _s.actor, _s.groups, _s.roles, _s.provider, _s.bearer_sha256, _s.created_at, _s.expires_at, _s.used_at, _s.ends_at,
)  # fmt: skip
_THIS: Final = _s.token_sha256 == bindparam("token")
_IS_OPEN: Final = _s.ends_at > bindparam("now")
_FIND: Final = prepare(select(*_COLUMNS).where(_THIS, _IS_OPEN))
_OPEN: Final = prepare(select(*_COLUMNS).where(_IS_OPEN).order_by(_s.created_at, _s.id))
_BEGIN: Final = prepare(insert(sessions))
_USE: Final = prepare(
    update(sessions)
    .where(_THIS, _s.used_at <= bindparam("before"))
    .values(used_at=bindparam("now"), ends_at=func.min(bindparam("until"), _s.expires_at))
)
_gone = (_s.id, _s.actor)
_END_ONE: Final = prepare(delete(sessions).where(_THIS, _IS_OPEN).returning(*_gone))
_END_ALL: Final = prepare(delete(sessions).where(_s.actor == bindparam("who"), _IS_OPEN).returning(*_gone))
_END_THESE: Final = prepare(delete(sessions).where(_s.id.in_(listed("ids")), _IS_OPEN).returning(*_gone))
_SWEEP: Final = prepare(
    delete(sessions).where(
        _s.token_sha256.in_(limited(select(_s.token_sha256).where(_s.ends_at <= bindparam("now")).order_by(_s.ends_at)))
    )
)


def _session(row: Sequence[Any]) -> Session:
    session_id, name, groups, roles, *rest = row
    actor = Actor(name, groups=frozenset(decode(groups)), roles=frozenset(decode(roles)))
    return Session(session_id, actor, *rest)


async def find(database: Database, token_sha256: bytes, now: int) -> Session | None:
    """Return the session whose token has this SHA-256; None where there is none, or where it is over."""
    for row in await database.read(_FIND, {"token": token_sha256, "now": now}):
        return _session(row)
    return None


async def open_ones(database: Database, now: int) -> list[Session]:
    """Return every session that is not over, the oldest first."""
    return [_session(row) for row in await database.read(_OPEN, {"now": now})]


async def chosen(
    database: Database, now: int, *, session: str | None = None, of: str | None = None, every: bool = False
) -> list[str]:
    """The ids of open sessions: the one that ``session`` is the id of, or begins it, those ``of`` a person, or ``every`` one.

    Raises ``InvalidArgument`` unless exactly one of the three is given, and where several ids begin so.
    """
    if (bool(session), bool(of), every).count(True) != 1:
        raise InvalidArgument("Say which sessions to end: one by its id, those of a person, or all.")
    known = await open_ones(database, now)
    found = [each.id for each in known if every or each.actor.id == of or (session and each.id.startswith(session))]
    if session and len(found) > 1:
        raise InvalidArgument(f"{session!r} begins the ids of {len(found)} sessions; give more of it.")
    return found


def begin(
    tx: Transaction, session: Session, token_sha256: bytes, *, instead_of: bytes | None = None, mail: str | None = None
) -> None:
    """Begin a session. The one whose token has the SHA-256 ``instead_of``, which this browser had before, ends.

    ``mail`` is the mail address that the provider vouches for, and takes the place of the one that was known. It is empty where
    the provider vouches for none, so that the one that was known is forgotten, and None where it stays.
    """
    if instead_of is not None:
        end(tx, instead_of, session.actor.id, "another sign-in")
    groups, roles = sorted(session.actor.groups), sorted(session.actor.roles)
    row = {
        "token_sha256": token_sha256,
        "id": session.id,
        "actor": session.actor.id,
        "groups": encode(groups),
        "roles": encode(roles),
        "provider": session.provider,
        "bearer_sha256": session.bearer_sha256,
        "created_at": session.created_at,
        "expires_at": session.expires_at,
        "used_at": session.used_at,
        "ends_at": session.ends_at,
    }
    tx.execute(_BEGIN, row)
    told = {"session": session.id, "provider": session.provider, "groups": groups, "roles": roles}
    salt = mail_addresses.new_salt()
    if mail:
        told["mail_sha256"] = mail_addresses.digest(salt, mail)
    if mail is None and session.provider is not None:
        told["mail"] = mail_addresses.UNCHANGED
    sequence = append(tx, EventKind.SIGNED_IN, actor=session.actor.id, cause="provider" if session.provider else "token",
                      detail=encode(told))  # fmt: skip
    if mail is not None and session.provider is not None:
        mail_addresses.replace(tx, session.actor.id, mail or None, session.provider, salt, sequence)


def use(tx: Transaction, token_sha256: bytes, idle: int) -> None:
    """Note that a session is used, unless that was noted within the last minute. ``idle`` is in milliseconds."""
    values = {"token": token_sha256, "before": tx.now - USED_EVERY, "now": tx.now, "until": tx.now + idle}
    tx.execute(_USE, values)


def end(tx: Transaction, token_sha256: bytes, actor: str | None, cause: str) -> int:
    """End a session; return 0 where there is none any more, else 1."""
    return _told(tx, tx.all(_END_ONE, {"token": token_sha256, "now": tx.now}), actor, cause)


def end_all(tx: Transaction, whose: str, actor: str | None, cause: str) -> int:
    """End every session of a person, and return their number."""
    return _told(tx, tx.all(_END_ALL, {"who": whose, "now": tx.now}), actor, cause)


def end_these(tx: Transaction, ids: Sequence[str], actor: str | None, cause: str) -> int:
    """End the sessions with these ids, and return the number of those that there were."""
    return _told(tx, tx.all(_END_THESE, {"ids": encode(list(ids)), "now": tx.now}), actor, cause)


def _told(tx: Transaction, ended: Sequence[Sequence[Any]], actor: str | None, cause: str) -> int:
    for session_id, person in ended:
        append(tx, EventKind.SIGNED_OUT, actor=actor, cause=cause,
               detail=encode({"session": session_id, "person": person}))  # fmt: skip
    return len(ended)


def refused(tx: Transaction, actor: str | None, cause: str, provider: str | None, unrecorded: int) -> None:
    """Append that somebody was not let in. ``unrecorded`` are the refusals since the last one that the history tells of."""
    told = {"provider": provider, **({"unrecorded": unrecorded} if unrecorded else {})}
    append(tx, EventKind.SIGN_IN_REFUSED, actor=actor, cause=cause, detail=encode(told))


def sweep(tx: Transaction, most: int) -> int:
    """Delete sessions that are over, at most ``most``; their number."""
    return tx.execute(_SWEEP, {"now": tx.now, "max": most}).rowcount
