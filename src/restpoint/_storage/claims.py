"""Which runner has which execution: from when it is ready until it is parked, let go or left behind.

An execution that a runner runs, a *run* for short, is *ready* when something happened that its workflow has not heard of: it was
started, a wait of it was settled, it slept enough, its process is gone. A runner claims what is ready and nobody's, with its
lease and a new epoch; every write of the run carries both, so a process that lost the run (it stood still for longer than its
lease) is refused. A run that waits is *parked*: it is nobody's, and not ready, until an answer makes it so. How a caller without
a runner drives an execution is in ``leases.py``.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import bindparam, func, literal_column, null, select, union_all, update

from restpoint._core.changes import Change
from restpoint._core.retention_rules import RetentionRules
from restpoint._core.serialization import encode
from restpoint._storage import leases
from restpoint._storage.executions import end
from restpoint._storage.history import append
from restpoint._storage.leases import Claim
from restpoint._storage.schema import consents, executions, interactions, runs
from restpoint._storage.sqlite.connection import ONE, ZERO, prepare, word, words
from restpoint._storage.sqlite.database import Database, Row, Transaction
from restpoint.errors import Conflict, LeaseLost
from restpoint.events import EventKind
from restpoint.lifecycle import OPEN

SUSPECT: Final = 2
"""Deaths without progress after which a run is claimed one at a time, so that it takes no others down with it."""

_INHERITED_AT_ONCE: Final = 500
_PAUSE: Final = 1_000  # milliseconds between two tries of a run that gets nowhere

_e, _r, _i, _c = executions.c, runs.c, interactions.c, consents.c


def _values(name: str) -> Any:
    return select(literal_column("value")).select_from(func.json_each(bindparam(name)))


_FENCE: Final = prepare(
    select(_e.key, _e.status, _e.attempts).where(
        _e.id == bindparam("id"), _e.lease == bindparam("lease"), _e.epoch == bindparam("epoch")
    ),
    order=("id", "lease", "epoch"),
)
_AWAKE: Final = prepare(update(executions).where(_e.wake_at <= bindparam("now")).values(ready=ONE, wake_at=null()))
_LEFT_BY: Final = prepare(
    select(_e.key, _e.id, _e.status, _e.attempts, _e.epoch)
    .where(_e.lease == bindparam("lease"), _e.ready.is_not(None))
    .order_by(_e.key)
    .limit(bindparam("max"))
    .offset(ZERO)
)
_INHERIT: Final = prepare(
    update(executions).where(_e.key == bindparam("run")).values(lease=null(), ready=ONE, attempts=bindparam("deaths"))
)
_IS_READY: Final = (_e.ready == ONE) & _e.lease.is_(None)
_IS_KNOWN: Final = _e.workflow.concat(word("@")).concat(_r.version).in_(_values("known"))
_RUN: Final = (
    select(_e.key, _e.id, _e.epoch, _e.attempts, _e.workflow, _r.version, _e.owner)
    .select_from(executions.join(runs, _r.execution_key == _e.key))
    .where(_IS_READY, _IS_KNOWN)
    .limit(bindparam("max"))
    .offset(ZERO)
)
# Among what is not suspect: the oldest run of the next owner, and more of one owner. Nobody (NULL) comes before all names.
_TRUSTED: Final = _RUN.where(_e.attempts < bindparam("below")).order_by(_e.owner, _e.key)
_FIRST_OWNER: Final = prepare(_TRUSTED)
_OWNER_AFTER_NOBODY: Final = prepare(_TRUSTED.where(_e.owner.is_not(None)))
_OWNER_AFTER: Final = prepare(_TRUSTED.where(_e.owner > bindparam("after")))
_MORE_OF: Final = prepare(
    _TRUSTED.where(_e.owner.is_not_distinct_from(bindparam("owner")), _e.key > bindparam("behind"))
)
# ``attempts > 0`` as it is written is what the index knows.
_GETTING_NOWHERE: Final = prepare(
    _RUN.where(_e.attempts > ZERO, _e.attempts.between(bindparam("least"), bindparam("most"))).order_by(_e.key)
)
_CLAIM: Final = prepare(
    update(executions)
    .where(_e.key == bindparam("run"), _e.epoch == bindparam("before"), _e.lease.is_(None))
    .values(lease=bindparam("the_lease"), epoch=_e.epoch + ONE, ready=ZERO, wake_at=null(), problem=null())
)
_LET_GO: Final = prepare(
    update(executions)
    .where(_e.key == bindparam("run"))
    .values(
        lease=null(),
        ready=bindparam("is_ready"),
        wake_at=bindparam("wake"),
        problem=bindparam("why"),
        attempts=bindparam("deaths"),
    )
)
_STILL_OPEN: Final = prepare(
    select(func.count()).select_from(
        union_all(
            select(_i.key).where(
                _i.execution_key == bindparam("run"), _i.status == word("pending"), _i.id.in_(_values("waits"))
            ),
            select(_c.key).where(
                _c.execution_key == bindparam("run"),
                _c.status.in_(words(OPEN)),
                _c.id.in_(_values("waits")),
            ),
        ).subquery()
    )
)
_RETRY: Final = prepare(
    update(executions)
    .where(
        _e.problem.is_not(None),
        _e.lease.is_(None),
        select(ONE).where(_r.execution_key == _e.key, _IS_KNOWN).correlate(executions).exists(),
    )
    .values(ready=ONE)
)


def fence(tx: Transaction, run: Claim) -> tuple[int, str, int]:
    """Key, status and attempts of a run that is this claim's. Raises ``LeaseLost``."""
    row = tx.one(_FENCE, (run.execution_id, run.lease, run.epoch))
    if row is None:
        raise LeaseLost(run.execution_id)
    return row[0], row[1], row[2]


def lost(tx: Transaction, held: Iterable[Claim]) -> list[Claim]:
    """Those of the claims that do not stand any more."""
    return [claim for claim in held if tx.one(_FENCE, (claim.execution_id, claim.lease, claim.epoch)) is None]


def inherit(tx: Transaction, own: int) -> None:
    """Make the runs of processes that died, or stood still for longer than their lease, ready for others.

    Only a death counts as an attempt: a process that stood still says nothing about the run.
    """
    for lease, died in leases.lost(tx, own).items():
        for key, execution_id, status, attempts, epoch in tx.all(_LEFT_BY, {"lease": lease, "max": _INHERITED_AT_ONCE}):
            tx.execute(_INHERIT, {"run": key, "deaths": attempts + died})
            detail = encode({"attempt": attempts + died, "epoch": epoch})
            moved, cause = (status, status), "its process is gone" if died else "its process stood still"
            event = EventKind.EXECUTION_RECOVERED
            sequence = append(tx, event, execution_id, moved=moved, cause=cause, detail=detail)
            tx.emit(Change(sequence, execution_id, event, status, status, tx.now))
        if died:
            leases.drop(tx, lease)


def claim(
    tx: Transaction,
    lease: int,
    known: Collection[str],
    most: int,
    suspects: int,
    max_attempts: int,
    keeping: RetentionRules,
    after: str | None = None,
) -> list[Claim]:
    """Claim runs that are ready: at most ``most``, and of those that are suspect at most ``suspects``.

    Owners take turns, from the next one ``after`` this owner on (None: nobody); the oldest run of each comes first. ``known``
    are the workflows that this process has, as ``name@version``. Runs that were tried ``max_attempts`` times without progress
    are failed instead, with the code ``attempts_exhausted``.
    """
    tx.execute(_AWAKE, {"now": tx.now})
    about = {"known": json.dumps(list(known))}
    for _, execution_id, *_ in tx.all(_GETTING_NOWHERE, {**about, "least": max_attempts, "most": 1 << 60, "max": most}):
        error = f"This execution was tried {max_attempts} times in a row and got no further: its process died, or gave it up."
        end(tx, execution_id, "fail", keeping, cause="attempts exhausted", error=error, code="attempts_exhausted")
    found = _by_turns(tx, {**about, "below": min(SUSPECT, max_attempts)}, most, after)
    if len(found) < most and suspects and max_attempts > SUSPECT:
        few = {"least": SUSPECT, "most": max_attempts - 1, "max": min(most - len(found), suspects)}
        found += tx.all(_GETTING_NOWHERE, {**about, **few})
    claims = []
    for key, execution_id, epoch, attempts, workflow, version, owner in found:
        if tx.execute(_CLAIM, {"run": key, "before": epoch, "the_lease": lease}).rowcount != 1:
            raise Conflict(f"The run of execution {execution_id}", "as it was read in the same transaction")
        claims.append(Claim(execution_id, lease, epoch + 1, workflow, version, attempts >= SUSPECT, owner))
    return claims


def _by_turns(tx: Transaction, about: Mapping[str, Any], most: int, after: str | None) -> list[Row]:
    """At most ``most`` runs that are ready: one of each owner, then another one of each, and so on."""
    turn: list[Row] = []
    owner, is_first = after, False
    while len(turn) < most:
        sql = _FIRST_OWNER if is_first else _OWNER_AFTER_NOBODY if owner is None else _OWNER_AFTER
        row = tx.one(sql, {**about, "max": 1, "after": owner})
        if row is None:
            if is_first:
                break
            is_first = True  # all the way round
        elif turn and row[_OWNED_BY] == turn[0][_OWNED_BY]:
            break
        else:
            turn.append(row)
            owner, is_first = row[_OWNED_BY], False
    found = list(turn)
    while turn and (left := most - len(found)) > 0:
        # As many of each as the others leave; who comes first in this turn gets the odd ones.
        share = -(-left // len(turn))
        more = []
        for last in turn:
            these = tx.all(_MORE_OF, {**about, "max": share, "owner": last[_OWNED_BY], "behind": last[0]})[:left]
            left -= len(these)
            found += these
            if len(these) == share:
                more.append(these[-1])
        turn = more
    return found


_OWNED_BY: Final = 6  # the place of the owner in a row of ``_RUN``


def park(tx: Transaction, run: Claim, waits: Sequence[str], wake_at: int | None) -> bool:
    """Give up the claim of a run that only waits for these waits or this instant. False if one of them was closed meanwhile."""
    key, _, _ = fence(tx, run)
    row = tx.one(_STILL_OPEN, {"run": key, "waits": json.dumps(list(waits))})
    if row is None or row[0] != len(waits):
        return False
    tx.execute(_LET_GO, {"run": key, "is_ready": 0, "wake": wake_at, "why": None, "deaths": 0})
    return True


def release(tx: Transaction, run: Claim, problem: str | None = None, *, pause: int = 0, got_on: bool = True) -> None:
    """Give up the claim of a run that is to go on in any process, or, with a ``problem``, in one that is started later.

    It is ready after ``pause`` milliseconds. One that recorded nothing since it was claimed (``got_on``) counts as an attempt,
    and is ready after a second at least, so that no run turns in a loop.
    """
    key, status, attempts = fence(tx, run)
    if not got_on:
        attempts, pause = attempts + 1, max(pause, _PAUSE)
    values = {
        "run": key,
        "is_ready": problem is None and not pause,
        "wake": tx.now + pause if problem is None and pause else None,
        "why": problem,
        "deaths": attempts,
    }
    tx.execute(_LET_GO, values)
    if problem is None:
        return
    event = EventKind.EXECUTION_STUCK
    sequence = append(
        tx,
        event,
        run.execution_id,
        moved=(status, status),
        cause="replay mismatch",
        detail=encode({"problem": problem}),
    )
    tx.emit(Change(sequence, run.execution_id, event, status, status, tx.now, problem=problem))


def retry(tx: Transaction, known: Collection[str]) -> None:
    """Make the runs of these workflows that no process could go on with ready again: a process with this code has started."""
    tx.execute(_RETRY, {"known": json.dumps(list(known))})


# --- What is ready -----------------------------------------------------------------------------------------------------

_CLAIMABLE: Final = prepare(
    select(ONE)
    .select_from(executions.join(runs, _r.execution_key == _e.key))
    .where(_IS_READY, _IS_KNOWN)
    .limit(ONE)
    .offset(ZERO)
)
_NEXT_WAKE: Final = prepare(select(func.min(_e.wake_at)).where(_e.wake_at.is_not(None)))


async def anything_ready(database: Database, known: Collection[str]) -> bool:
    """Whether a run of these workflows is ready and nobody's."""
    return bool(list(await database.read(_CLAIMABLE, {"known": json.dumps(list(known))})))


async def next_wake(database: Database) -> int | None:
    """When the next run has slept enough, in milliseconds since the epoch; None when none sleeps."""
    ((instant,),) = await database.read(_NEXT_WAKE)
    return None if instant is None else int(instant)
