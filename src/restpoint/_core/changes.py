"""What goes into the ledger and what comes out of it: plain values, which the store applies to its records after COMMIT."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from restpoint._core.retention_rules import Keeping
from restpoint.errors import InteractionExpired
from restpoint.events import EventKind, WaitKind


@dataclass(slots=True)
class Wait:
    """A row of ``interactions`` or ``consents``. Times are milliseconds since the epoch."""

    kind: WaitKind
    id: str
    status: str
    opened: int
    created_at: int
    deadline_at: int | None
    prompt: str | None = None
    response: str | None = None
    auth_url: str | None = None
    oauth_state: str | None = None
    ended: bool = False
    """Withdrawn because its execution ended."""
    assignees: str | None = None
    four_eyes: int | None = None
    provider: str | None = None
    """Of a consent that restpoint drives."""
    scopes: str | None = None


@dataclass(slots=True)
class Change:
    """What one row of history did to an execution."""

    sequence: int
    execution_id: str
    event: EventKind
    before: str | None
    status: str
    at: int
    wait: Wait | None = None
    expires_at: int | None = None
    result: str | None = None
    error: str | None = None
    code: str | None = None


Changes = list[Change]


@dataclass(frozen=True, slots=True)
class Terms:
    """Whom an interaction is addressed to, and what happens at its deadline. Payloads are JSON text."""

    assignees: str | None = None
    four_eyes: int | None = None
    on_deadline: Literal["default", "fail"] | None = None
    default_response: str | None = None


NO_TERMS: Final = Terms()


@dataclass(frozen=True, slots=True)
class Deadlines:
    """What expiring needs to know of its store: how history tells of a default response, and how long what fails stays."""

    detail: Callable[[str], str]
    keeping: Keeping


@dataclass(slots=True)
class Refusal:
    """A job that had to write something and still says no: the change it made, and the error for the caller."""

    changes: Changes
    error: InteractionExpired
