"""The parts of an open store, for the runner, which works on the same file, records and clock as the store does."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from restpoint.changes import Changes, Terms
from restpoint.clock import Clock
from restpoint.database import Database
from restpoint.durations import Keeping
from restpoint.follower import Follower
from restpoint.identifiers import Identifiers
from restpoint.queries import Snapshot
from restpoint.records import ExecutionRecord
from restpoint.registry import Records
from restpoint.scheduler import Scheduler


@dataclass(frozen=True, slots=True)
class Parts:
    """What an open store is made of."""

    database: Database
    clock: Clock
    identifiers: Identifiers
    records: Records
    follower: Follower
    scheduler: Scheduler
    lease: int
    keeping: Keeping
    asked_detail: Callable[[str, Terms], str]
    apply: Callable[[Changes], None]
    load: Callable[[str, Collection[str]], Awaitable[tuple[ExecutionRecord, Snapshot] | None]]
