"""restpoint keeps interactive workflow executions alive across restarts.

A workflow pauses for a person's answer or an OAuth consent; the pause is a row in SQLite; when the answer comes, after a
second, a ``kill -9`` or three weeks, the workflow goes on where it was.

``workflow`` makes a workflow of a function that is called with a ``Context``, a ``Runner`` runs it, and an ``ExecutionStore`` is
the file, which also serves by itself. What may be asked is in ``restpoint.prompts``, what can go wrong in ``restpoint.errors``,
the HTTP interface in ``restpoint.http`` (with the extra ``server``), and programs elsewhere use ``restpoint.client``.
"""

from typing import TYPE_CHECKING

from restpoint._core.lazy_names import lazy_names

if TYPE_CHECKING:
    from restpoint._core.oauth_token import OAuthToken
    from restpoint._engine.answers import Answer
    from restpoint._engine.context import Context
    from restpoint._engine.runner import Runner
    from restpoint._engine.started import Started
    from restpoint._engine.steps import step_key
    from restpoint._engine.workflow import Workflow, workflow
    from restpoint._storage import ExecutionSummary, HistoryEntry, Page
    from restpoint._store.futures import PendingInteraction, PendingOAuth
    from restpoint._store.records import ExecutionRecord
    from restpoint._store.store import DEFAULT_EXECUTION_TTL, ExecutionStore
    from restpoint.access import Actor
    from restpoint.errors import ConsentDenied, PromptDeclined, StepFailed, WorkflowFailed
    from restpoint.events import EventKind
    from restpoint.lifecycle import ExecutionStatus
    from restpoint.prompts.prompt_models import PromptModels

__all__ = [
    "DEFAULT_EXECUTION_TTL", "Actor", "Answer", "ConsentDenied", "Context", "EventKind", "ExecutionRecord", "ExecutionStatus",
    "ExecutionStore", "ExecutionSummary", "HistoryEntry", "OAuthToken", "Page", "PendingInteraction", "PendingOAuth",
    "PromptDeclined", "PromptModels", "Runner", "Started", "StepFailed", "Workflow", "WorkflowFailed", "step_key", "workflow",
]  # fmt: skip

_HOMES = {
    "_core.oauth_token": ("OAuthToken",),
    "_engine.answers": ("Answer",),
    "_engine.context": ("Context",),
    "_engine.runner": ("Runner",),
    "_engine.started": ("Started",),
    "_engine.steps": ("step_key",),
    "_engine.workflow": ("Workflow", "workflow"),
    "_storage": ("ExecutionSummary", "HistoryEntry", "Page"),
    "_store.futures": ("PendingInteraction", "PendingOAuth"),
    "_store.records": ("ExecutionRecord",),
    "_store.store": ("DEFAULT_EXECUTION_TTL", "ExecutionStore"),
    "access": ("Actor",),
    "errors": ("ConsentDenied", "PromptDeclined", "StepFailed", "WorkflowFailed"),
    "events": ("EventKind",),
    "lifecycle": ("ExecutionStatus",),
    "prompts.prompt_models": ("PromptModels",),
}

__getattr__, __dir__ = lazy_names(__name__, globals(), _HOMES)
