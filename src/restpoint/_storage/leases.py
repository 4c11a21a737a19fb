"""Leases: which process drives which execution, and how to tell that the holder of a lease is dead.

An execution names the lease of the process that drives it, which has a claim. Where a caller drives it, one rule says whether a
claim holds: **whoever takes an execution over from a process that it takes for dead removes the lease of that process and raises
the epoch of the execution; a claim of an older epoch holds as long as its own lease was never removed.** So a process that only
stood still is refused: its lease is gone, or was made anew when it renewed it. A process that is alive hands an execution over to
whoever drives it next, and may go on writing for it, however that one ends. A run of a runner is its claim's alone, and nobody
hands it over: see ``claims.py``.

On Linux, the holder of a lease on this machine is alive exactly as long as its process is: ``/proc`` tells, and the start time
tells a reused pid. Elsewhere, and for a lease from another machine or container, the holder is alive until the lease runs out.
Both rules are needed: a restart must not wait for a lease to run out, and a process that cannot be seen from here must not be
taken for dead.
"""

import functools
import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import bindparam, delete, exists, select, update
from sqlalchemy.dialects.sqlite import insert

from restpoint._storage.schema import executions, leases
from restpoint._storage.sqlite.connection import prepare
from restpoint._storage.sqlite.database import Database, Row, Transaction

DURATION: Final = 30_000
"""How long a lease lasts without being renewed, in milliseconds."""

_l, _e = leases.c, executions.c

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
_REMOVE: Final = prepare(delete(leases).where(_l.id == bindparam("the_id")), order=("the_id",))
_EXPIRY: Final = prepare(select(_l.expires_at).where(_l.id == bindparam("the_id")), order=("the_id",))
# A lease that runs name stays: whoever takes the runs over finds them by it.
_DROP: Final = prepare(
    delete(leases).where(
        _l.id == bindparam("the_id"),
        ~exists(select(_e.key).where(_e.lease == bindparam("the_id"), _e.ready.is_not(None))),
    )
)
ALL: Final = prepare(select(_l.id, _l.host, _l.pid, _l.started, _l.expires_at))
_HOLDER: Final = prepare(
    select(_l.host, _l.pid, _l.started, _l.expires_at).where(_l.id == bindparam("the_id")), order=("the_id",)
)
_HOLDERS: Final = prepare(
    select(_l.id, _l.host, _l.pid, _l.started, _l.expires_at, exists().where(_e.lease == _l.id, _e.ready.is_not(None)))
)
# Leases without a row: the process stood still, was taken for dead, claimed another run, and died before it renewed its lease.
_ORPHANED: Final = prepare(
    select(_e.lease)
    .distinct()
    .where(_e.lease.is_not(None), _e.ready.is_not(None), ~exists(select(_l.id).where(_l.id == _e.lease)))
)
# Only of executions that a caller drives, and that have not ended. What a runner runs is claimed in ``claims.py``.
_DRIVER: Final = prepare(
    select(_e.lease, _e.epoch).where(_e.id == bindparam("id"), _e.completed_at.is_(None), _e.ready.is_(None))
)
_DRIVE: Final = prepare(
    update(executions)
    .where(_e.id == bindparam("the_id"))
    .values(lease=bindparam("the_lease"), epoch=bindparam("the_epoch")),
    order=("the_lease", "the_epoch", "the_id"),
)


@dataclass(slots=True, eq=False)
class Standing:
    """What a process knows of its lease by itself, for all its claims: whether another process ever removed it."""

    is_lost: bool = False
    """Set by the renewal that finds the lease removed, in the thread that writes, and for good."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right of a process to write for an execution that it drives. One of an older epoch may be lost: see ``stands``.

    ``workflow``, ``version``, ``suspect`` and ``owner`` tell a runner what to run, and for whom; they are unset where a caller
    drives the execution, and ``standing`` is unset where a runner does.
    """

    execution_id: str
    lease: int
    epoch: int
    workflow: str = ""
    version: int = 0
    suspect: bool = False
    owner: str | None = None
    standing: Standing | None = None


@dataclass(frozen=True, slots=True)
class Holder:
    """What identifies a process to other processes."""

    host: str
    pid: int
    started: int | None

    def is_alive(self, expires_at: int, now: int) -> bool:
        """Whether a lease of this holder that runs out at ``expires_at`` still counts at ``now`` (milliseconds)."""
        if self.started is not None and self.host == this_host():
            return _started(self.pid) == self.started
        return now < expires_at


def this_process() -> Holder:
    """Return the holder that this process is. The result is not cached, because a process may fork."""
    return Holder(this_host(), os.getpid(), _started(os.getpid()))


@functools.cache
def this_host() -> str:
    """Return a name for this machine since its last boot, and for this container: only within these can pids be compared."""
    parts = [platform.node()]
    for source in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        path = Path(source)
        try:
            parts.append(str(path.readlink()) if path.is_symlink() else path.read_text().strip())
        except OSError:
            continue
    return "/".join(parts)


def _started(pid: int) -> int | None:
    """Return when a process began, in clock ticks since boot (proc(5), stat, field 22); None where that cannot be known."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (OSError, UnicodeDecodeError):
        return None
    # The second field is a name in parentheses that may itself hold spaces and parentheses.
    state, *fields = stat.rpartition(")")[2].split()
    return None if state in {"Z", "X"} else int(fields[18])


def take(tx: Transaction, holder: Holder) -> int:
    """Take a new lease and return its id, which is never used again."""
    values = {"host": holder.host, "pid": holder.pid, "started": holder.started, "until": tx.now + DURATION}
    return tx.execute(_TAKE, values).lastrowid or 0


def renew(tx: Transaction, lease: int, holder: Holder, standing: Standing) -> bool:
    """Extend a lease. Makes it anew if another process took the holder for dead and removed it, which the standing shows then.

    Returns whether it had run out: then the process stood still, and others may have taken its runs over.
    """
    row = tx.one(_EXPIRY, (lease,))
    if row is None:
        standing.is_lost = True
    values = {"the_host": holder.host, "the_pid": holder.pid, "the_start": holder.started}
    tx.execute(_RENEW, {"the_id": lease, "until": tx.now + DURATION, **values})
    return row is None or row[0] <= tx.now


def drop(tx: Transaction, lease: int) -> None:
    """Give a lease up, because its process drives nothing any more. A lease that runs name stays, so that they are found."""
    tx.execute(_DROP, {"the_id": lease})


def stands(tx: Transaction, claim: Claim) -> bool:
    """Whether nobody took the process of this claim for dead: its lease was never removed. False for the claim of a runner."""
    standing = claim.standing
    return standing is not None and not standing.is_lost and tx.one(_EXPIRY, (claim.lease,)) is not None


def live(tx: Transaction) -> set[int]:
    """Return the leases whose holders are alive."""
    return {lease for lease, *holder, until in tx.all(ALL) if Holder(*holder).is_alive(until, tx.now)}


def renewed(tx: Transaction) -> set[int]:
    """Return the leases that were renewed in time: their holders are alive and do not stand still."""
    return {
        lease
        for lease, *holder, until in tx.all(ALL)
        if tx.now < until and Holder(*holder).is_alive(until, tx.now)
    }  # fmt: skip


def lost(tx: Transaction, own: int) -> dict[int, bool]:
    """The leases that lost the runs that they claimed, each with whether its process died; the caller's own is left out.

    A process that only stood still for longer than its lease loses its runs too. Its lease stays, for what else it drives.
    """
    return _lost(tx.all(_HOLDERS), tx.all(_ORPHANED), tx.now, own)


async def any_lost(database: Database, now: int, own: int) -> bool:
    """Whether some lease lost its runs by ``now`` (milliseconds since the epoch), or is of a process that died."""
    return bool(_lost(await database.read(_HOLDERS), await database.read(_ORPHANED), now, own))


def _lost(holders: Iterable[Row], orphaned: Iterable[Row], now: int, own: int) -> dict[int, bool]:
    found = {lease: True for (lease,) in orphaned}
    for lease, host, pid, started, until, has_runs in holders:
        alive = Holder(host, pid, started).is_alive(until, now)
        if not alive or (has_runs and until <= now):
            found[lease] = not alive
    found.pop(own, None)
    return found


def bury(tx: Transaction) -> None:
    """Remove the leases of dead processes."""
    alive = live(tx)
    for lease, *_ in tx.all(ALL):
        if lease not in alive:
            tx.execute(_DROP, {"the_id": lease})


# --- Who drives what ---------------------------------------------------------------------------------------------------


def take_over(tx: Transaction, execution_ids: Iterable[str], lease: int) -> list[Claim]:
    """Let this lease drive those of the executions that no living process drives.

    Returns a claim for each execution that it drives afterwards, including those that it drove before.
    """
    alive: set[int] | None = None
    claims = []
    for execution_id in execution_ids:
        row = tx.one(_DRIVER, {"id": execution_id})
        if row is None:
            continue
        driver, epoch = row
        if driver != lease:
            alive = live(tx) if alive is None else alive
            if driver in alive:
                continue
            epoch = _fence_off(tx, driver, epoch)
            tx.execute(_DRIVE, (lease, epoch, execution_id))
        claims.append(Claim(execution_id, lease, epoch))
    return claims


def drive(tx: Transaction, execution_id: str, lease: int) -> Claim | None:
    """Let this lease drive an execution, whoever drove it before. None where a runner runs it, or it has ended.

    A living process hands the execution over, and one that is taken for dead is fenced off.
    """
    row = tx.one(_DRIVER, {"id": execution_id})
    if row is None:
        return None
    driver, epoch = row
    if driver != lease:
        if not _is_live(tx, driver):
            epoch = _fence_off(tx, driver, epoch)
        tx.execute(_DRIVE, (lease, epoch, execution_id))
    return Claim(execution_id, lease, epoch)


def _is_live(tx: Transaction, lease: int | None) -> bool:
    row = tx.one(_HOLDER, (lease,))
    return row is not None and Holder(*row[:3]).is_alive(row[3], tx.now)


def _fence_off(tx: Transaction, driver: int | None, epoch: int) -> int:
    """Remove the lease of a driver that is taken for dead, and return the epoch of whoever takes over from it.

    The lease is removed even where runs name it, which are found without it too, so that its holder learns what it was taken for
    whatever its own clock says.
    """
    tx.execute(_REMOVE, (driver,))
    return epoch + 1
