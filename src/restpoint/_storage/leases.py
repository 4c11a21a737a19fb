"""Which process drives what: leases, and how to tell that the holder of one is dead.

An execution that runs names the lease of the process that drives it. On Linux the holder of a lease on this machine is
alive exactly while its process is (``/proc``, with the start time to tell a reused pid); elsewhere, and for a lease from
another machine or container, it is alive until the lease runs out. Both are needed: a restart must not wait for a lease to
run out, and a process that cannot be seen from here must not be taken for dead.
"""

import functools
import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import bindparam, delete, exists, select
from sqlalchemy.dialects.sqlite import insert

from restpoint._storage.schema import leases, runs
from restpoint._storage.sqlite.connection import prepare
from restpoint._storage.sqlite.database import Database, Row, Transaction

DURATION: Final = 30_000
"""How long a lease lasts without being renewed, in milliseconds."""

_l = leases.c

_TAKE: Final = prepare(
    insert(leases).values(
        host=bindparam("host"), pid=bindparam("pid"), started=bindparam("started"), expires_at=bindparam("until")
    )
)
_RENEW: Final = prepare(
    insert(leases)
    .values(
        id=bindparam("the_id"),
        host=bindparam("the_host"),
        pid=bindparam("the_pid"),
        started=bindparam("the_start"),
        expires_at=bindparam("until"),
    )
    .on_conflict_do_update(index_elements=["id"], set_={"expires_at": bindparam("until")})
)
# Not while runs name it: who takes them over finds them by it.
_DROP: Final = prepare(
    delete(leases).where(
        _l.id == bindparam("the_id"), ~exists(select(runs.c.execution_key).where(runs.c.lease == bindparam("the_id")))
    )
)
_ALL: Final = prepare(select(_l.id, _l.host, _l.pid, _l.started, _l.expires_at))
# Claimed by a process that stood still, was taken for dead, went on to claim, and died before it renewed its lease.
_ORPHANED: Final = prepare(
    select(runs.c.lease)
    .distinct()
    .where(runs.c.lease.is_not(None), ~exists(select(_l.id).where(_l.id == runs.c.lease)))
)


@dataclass(frozen=True, slots=True)
class Holder:
    """A process, as other processes can recognise it."""

    host: str
    pid: int
    started: int | None

    def is_alive(self, expires_at: int, now: int) -> bool:
        """Whether a lease of this holder that runs out at ``expires_at`` still counts at ``now`` (milliseconds)."""
        if self.started is not None and self.host == this_host():
            return _started(self.pid) == self.started
        return now < expires_at


def this_process() -> Holder:
    """The process that asks. Not cached: a process may fork."""
    return Holder(this_host(), os.getpid(), _started(os.getpid()))


@functools.cache
def this_host() -> str:
    """This machine since its last boot, and this container: pids compare only within one."""
    parts = [platform.node()]
    for source in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        path = Path(source)
        try:
            parts.append(str(path.readlink()) if path.is_symlink() else path.read_text().strip())
        except OSError:
            continue
    return "/".join(parts)


def _started(pid: int) -> int | None:
    """When a process began, in clock ticks since boot (proc(5), stat, field 22); None where that cannot be known."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (OSError, UnicodeDecodeError):
        return None
    # The second field is a name in parentheses that may itself hold spaces and parentheses.
    state, *fields = stat.rpartition(")")[2].split()
    return None if state in {"Z", "X"} else int(fields[18])


def take(tx: Transaction, holder: Holder) -> int:
    """A new lease; its id, which is never used again."""
    values = {"host": holder.host, "pid": holder.pid, "started": holder.started, "until": tx.now + DURATION}
    return tx.execute(_TAKE, values).lastrowid or 0


def renew(tx: Transaction, lease: int, holder: Holder) -> None:
    """Still here; also where another process had taken the holder for dead."""
    values = {"the_host": holder.host, "the_pid": holder.pid, "the_start": holder.started}
    tx.execute(_RENEW, {"the_id": lease, "until": tx.now + DURATION, **values})


def drop(tx: Transaction, lease: int) -> None:
    """This process drives nothing any more."""
    tx.execute(_DROP, {"the_id": lease})


def live(tx: Transaction) -> set[int]:
    """The leases whose holders are alive."""
    return {lease for lease, *holder, until in tx.all(_ALL) if Holder(*holder).is_alive(until, tx.now)}


def idle(tx: Transaction, own: int) -> list[int]:
    """The leases that do not count any more, but for the asking process's own."""
    return [*_idle(tx.all(_ALL), tx.now, own), *_others(tx.all(_ORPHANED), own)]


async def any_idle(database: Database, now: int, own: int) -> bool:
    """Whether there is a lease that does not count any more, at ``now`` (milliseconds), but for the asker's own."""
    return bool(_idle(await database.read(_ALL), now, own) or _others(await database.read(_ORPHANED), own))


def _others(rows: Iterable[Row], own: int) -> list[int]:
    return [lease for (lease,) in rows if lease != own]


def _idle(rows: Iterable[Row], now: int, own: int) -> list[int]:
    """A process that stood still for longer than its lease has lost its runs, though it may be alive."""
    return [
        lease
        for lease, *holder, until in rows
        if lease != own and not (now < until and Holder(*holder).is_alive(until, now))
    ]


def bury(tx: Transaction) -> None:
    """Forget the leases of the dead."""
    alive = live(tx)
    for lease, *_ in tx.all(_ALL):
        if lease not in alive:
            tx.execute(_DROP, {"the_id": lease})
