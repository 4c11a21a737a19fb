"""restpoint keeps interactive workflow executions alive across restarts.

A workflow pauses for a person's answer or an OAuth consent; the pause is a row in SQLite; when the answer comes, after a
second, a ``kill -9`` or three weeks, the workflow goes on where it was.

``workflow`` makes a workflow of a function that is called with a ``Context``, a ``Runner`` runs it, and an ``ExecutionStore`` is
the file, which also serves by itself. What may be asked is in ``restpoint.prompts``, what can go wrong in ``restpoint.errors``,
the HTTP interface in ``restpoint.api`` (with the extra ``server``), and who calls it from elsewhere uses ``restpoint.client``.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from restpoint.access import Actor
    from restpoint.context import Context
    from restpoint.credentials import OAuthToken
    from restpoint.errors import ConsentDenied, StepFailed, WorkflowFailed
    from restpoint.history import HistoryEntry
    from restpoint.lifecycle import ExecutionStatus
    from restpoint.pages import ExecutionSummary, Page
    from restpoint.pending import PendingInteraction, PendingOAuth
    from restpoint.records import ExecutionRecord
    from restpoint.runner import Runner, Started
    from restpoint.steps import step_key
    from restpoint.store import DEFAULT_EXECUTION_TTL, ExecutionStore
    from restpoint.workflows import Workflow, workflow

__all__ = [
    "DEFAULT_EXECUTION_TTL",
    "Actor",
    "ConsentDenied",
    "Context",
    "ExecutionRecord",
    "ExecutionStatus",
    "ExecutionStore",
    "ExecutionSummary",
    "HistoryEntry",
    "OAuthToken",
    "Page",
    "PendingInteraction",
    "PendingOAuth",
    "Runner",
    "Started",
    "StepFailed",
    "Workflow",
    "WorkflowFailed",
    "step_key",
    "workflow",
]

_HOME = {
    "DEFAULT_EXECUTION_TTL": "store",
    "Actor": "access",
    "ConsentDenied": "errors",
    "Context": "context",
    "ExecutionRecord": "records",
    "ExecutionStatus": "lifecycle",
    "ExecutionStore": "store",
    "ExecutionSummary": "pages",
    "HistoryEntry": "history",
    "OAuthToken": "credentials",
    "Page": "pages",
    "PendingInteraction": "pending",
    "PendingOAuth": "pending",
    "Runner": "runner",
    "Started": "runner",
    "StepFailed": "errors",
    "Workflow": "workflows",
    "WorkflowFailed": "errors",
    "step_key": "steps",
    "workflow": "workflows",
}


def __getattr__(name: str) -> object:
    # On first use, so that `restpoint --help` need not wait for SQLAlchemy.
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
