"""Starts of workflows: an execution with its input and, where it was given, its idempotency key, which counts once."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, delete, insert, null, select, union_all, update

from restpoint._core.execution_row import ExecutionRow
from restpoint._storage.executions import create
from restpoint._storage.schema import executions, kept_keys, runs
from restpoint._storage.sqlite.connection import prepare
from restpoint._storage.sqlite.database import Transaction
from restpoint.errors import IdempotencyConflict

_e, _r, _k = executions.c, runs.c, kept_keys.c

_INSERT: Final = prepare(
    insert(runs).from_select(
        ["execution_key", "version", "input", "trace", "start_sha256", "request_sha256"],
        select(
            _e.key, bindparam("version"), bindparam("input"), bindparam("trace"), bindparam("start"), bindparam("request")
        ).where(_e.id == bindparam("id")),
    ),
    order=("version", "input", "trace", "start", "request", "id"),
)  # fmt: skip
_STARTED: Final = prepare(
    union_all(
        select(_e.id, _r.request_sha256, _e.completed_at + bindparam("kept"))
        .select_from(runs.join(executions, _e.key == _r.execution_key))
        .where(_r.start_sha256 == bindparam("start")),
        select(_k.execution_id, _k.request_sha256, _k.expires_at).where(_k.start_sha256 == bindparam("start")),
    )
)
# The time of the key is over, so that it may start another execution.
_FREE_KEY: Final = (
    prepare(
        update(runs).where(_r.start_sha256 == bindparam("start")).values(start_sha256=null(), request_sha256=null())
    ),
    prepare(delete(kept_keys).where(_k.start_sha256 == bindparam("start"))),
)


@dataclass(frozen=True, slots=True)
class Start:
    """What a run begins with. Payloads are JSON text.

    ``start`` is a digest of an idempotency key, which is known for ``key_time`` milliseconds after the end. ``request`` has the
    digests that mean the same request, the first of which is stored.
    """

    input: str
    trace: str | None = None
    start: bytes | None = None
    request: tuple[bytes, ...] = ()
    key_time: int = 0


def start(tx: Transaction, row: ExecutionRow, what: Start, lease: int | None, actor: str | None) -> str | None:
    """Create an execution with a run. It is claimed at once with ``lease``, or else is ready for whoever claims it.

    Returns the id of the execution that was started with this idempotency key before; None where it starts now. Raises
    ``IdempotencyConflict``.
    """
    if what.start is not None:
        for earlier, request, known_until in tx.all(_STARTED, {"start": what.start, "kept": what.key_time}):
            if known_until is not None and known_until <= tx.now:
                continue
            if request not in what.request:
                raise IdempotencyConflict(earlier)
            return str(earlier)
        for statement in _FREE_KEY:
            tx.execute(statement, {"start": what.start})
    claimed = int(lease is not None)
    create(tx, row.changed(lease=lease, epoch=claimed, ready=1 - claimed), actor, what.input)
    request = what.request[0] if what.request else None
    tx.execute(_INSERT, (row.run_version, what.input, what.trace, what.start, request, row.id))
    return None
