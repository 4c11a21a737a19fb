"""restpoint keeps interactive workflow executions alive across restarts."""

from restpoint.access import Actor
from restpoint.lifecycle import ExecutionStatus
from restpoint.queries import ExecutionSummary, HistoryEntry, Page
from restpoint.records import ExecutionRecord, PendingInteraction, PendingOAuth
from restpoint.store import DEFAULT_EXECUTION_TTL, ExecutionStore

__all__ = [
    "DEFAULT_EXECUTION_TTL",
    "Actor",
    "ExecutionRecord",
    "ExecutionStatus",
    "ExecutionStore",
    "ExecutionSummary",
    "HistoryEntry",
    "Page",
    "PendingInteraction",
    "PendingOAuth",
]
