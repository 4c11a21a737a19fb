"""The mail addresses of people who signed in at a provider, as that provider vouches for them.

The functions that take a transaction are jobs for the writer. An address comes with a sign-in. It goes with a later one of the
same person that has none, with an erasure of the person, and when retention removes the row of history of its sign-in.

That row has the SHA-256 of the address and of random bits, which only the row here has. So an address that another program put
here is found, and once the row here is gone, nobody can find out from the history what it was.
"""

import sqlite3
from collections.abc import Iterator
from hashlib import sha256
from secrets import token_hex
from typing import Final

from sqlalchemy import bindparam, delete, func, insert, select

from restpoint._core.serialization import decode, encode
from restpoint._storage.hash_chain import Finding
from restpoint._storage.history import append
from restpoint._storage.schema import history, mail_addresses
from restpoint._storage.sqlite.connection import listed, prepare, words
from restpoint._storage.sqlite.database import Database, Transaction
from restpoint.events import EventKind

UNCHANGED: Final = "unchanged"
"""What the history says of the address where the provider could not be asked."""

_SALT_BYTES: Final = 16
_NAMED: Final = 5  # differences that are reported

_m, _h = mail_addresses.c, history.c

_FIND: Final = prepare(select(_m.address).where(_m.person == bindparam("who")))
_ADD: Final = prepare(insert(mail_addresses), order=("person", "address", "provider", "salt", "sequence"))
_REMOVE: Final = prepare(delete(mail_addresses).where(_m.person == bindparam("who")))
_COUNT: Final = prepare(select(func.count()).select_from(mail_addresses).where(_m.person.in_(listed("names"))))
_ERASE: Final = prepare(delete(mail_addresses).where(_m.person.in_(listed("names"))).returning(_m.person))
_PRUNE: Final = prepare(delete(mail_addresses).where(_m.sequence <= bindparam("to")))
_ALL: Final = prepare(select(_m.person, _m.address, _m.salt, _m.sequence))
_TOLD: Final = prepare(
    select(_h.sequence, _h.event, _h.actor, _h.cause, _h.detail)
    .where(_h.execution_id.is_(None), _h.event.in_(words((EventKind.SIGNED_IN, EventKind.MAIL_ADDRESS_ERASED))))
    .order_by(_h.sequence)
)


async def mail_address(database: Database, person: str) -> str | None:
    """The mail address of a person, by their id; None where no provider vouched for one when they signed in last."""
    for (address,) in await database.read(_FIND, {"who": person}):
        return str(address)
    return None


async def count(database: Database, names: str) -> int:
    """How many addresses there are of the people in ``names``, a JSON list."""
    ((number,),) = await database.read(_COUNT, {"names": names})
    return int(number)


def new_salt() -> str:
    """Random bits for one address."""
    return token_hex(_SALT_BYTES)


def digest(salt: str, address: str) -> str:
    """What the history has of an address: a SHA-256 in hexadecimal."""
    return sha256(f"{salt}{address}".encode()).hexdigest()


def replace(tx: Transaction, person: str, address: str | None, provider: str, salt: str, sequence: int) -> None:
    """Make this the address of a person, or forget the one that there is. ``sequence`` is the row of history of the sign-in."""
    tx.execute(_REMOVE, {"who": person})
    if address is not None:
        tx.execute(_ADD, (person, address, provider, salt, sequence))


def erase(tx: Transaction, names: str, actor: str | None, reason: str | None) -> int:
    """Forget the addresses of the people in ``names``, a JSON list, and return their number."""
    gone = [person for (person,) in tx.all(_ERASE, {"names": names})]
    for person in gone:
        append(tx, EventKind.MAIL_ADDRESS_ERASED, actor=actor, cause=reason, detail=encode({"person": person}))
    return len(gone)


def prune(tx: Transaction, to: int) -> None:
    """Forget the addresses whose sign-in is told of by a row of history up to ``to``, which retention removes."""
    tx.execute(_PRUNE, {"to": to})


def differences(connection: sqlite3.Connection) -> Iterator[Finding]:
    """Yield the addresses that no sign-in brought; nothing in a file of a revision that has none."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'mail_addresses'").fetchone():
        return
    kept = connection.execute(_ALL, ()).fetchall()
    if not kept:
        return
    told: dict[str | None, tuple[int, str | None]] = {}
    for sequence, event, actor, cause, detail in connection.execute(_TOLD, ()):
        of = decode(detail)
        if event == EventKind.MAIL_ADDRESS_ERASED:
            told[of["person"]] = sequence, None
        elif cause == "provider" and of.get("mail") != UNCHANGED:
            told[actor] = sequence, of.get("mail_sha256")
    others = [person for person, address, salt, at in kept if told.get(person) != (at, digest(salt, address))]
    for person in others[:_NAMED]:
        what = f"The mail address of {person} is not the one that the history tells of at their last sign-in."
        yield Finding("mail_address_differs", None, what, "Another program put it there: have them sign in again.")
