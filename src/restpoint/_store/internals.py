"""The parts of an open store, for the runner, which works on the same file, records and clock as the store does."""

from dataclasses import dataclass

from restpoint._core.clock import Clock
from restpoint._core.ids import Identifiers
from restpoint._core.retention_rules import RetentionRules
from restpoint._storage.sqlite.database import Database
from restpoint._store.identity_map import Records
from restpoint._store.listener import Follower
from restpoint._store.maintenance import Scheduler


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
    keeping: RetentionRules
