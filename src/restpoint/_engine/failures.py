"""Failures: what clients may know of an exception, and what the journal keeps of it."""

from collections.abc import Mapping
from typing import Any, Final

from restpoint._core.serialization import storable_text
from restpoint.errors import (
    ConsentDenied,
    ConsentExpired,
    ConsentWithdrawn,
    InteractionExpired,
    InteractionWithdrawn,
    NotJSON,
    StepFailed,
    WorkflowFailed,
)

_EXPECTED: Final = (
    InteractionExpired, InteractionWithdrawn, ConsentDenied, ConsentExpired, ConsentWithdrawn, NotJSON,
)  # fmt: skip


def public_failure(error: BaseException, workflow: str) -> tuple[str, str, bool]:
    """What clients may know of a failure: a message, a code, and whether that is all there is to know."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, WorkflowFailed):
        return storable_text(error) or "The workflow failed.", storable_text(error.failure_code) or error.code, True
    if isinstance(error, _EXPECTED):
        return storable_text(error), error.code, True
    if isinstance(error, StepFailed):
        return (
            f"The step {error.step} failed with {error.error_type}; the log of the server has more.",
            error.code,
            False,
        )
    message = f"The workflow {workflow} failed with {type(error).__name__}; the log of the server has more."
    return message, "workflow_error", False


def kept_failure(step: str, error: Exception) -> dict[str, Any]:
    """What the journal keeps of an exception: enough to raise the same again."""
    if isinstance(error, WorkflowFailed):
        return {"failed": storable_text(error), "code": storable_text(error.failure_code)}
    if isinstance(error, NotJSON):
        return {"path": storable_text(error.path), "problem": storable_text(f"step {step} returned it, and {error}")}
    return {"step": step, "type": type(error).__name__, "message": storable_text(error)[:10_000]}


def raised_failure(failure: Mapping[str, Any]) -> Exception:
    """The exception that was kept, to be raised again."""
    if "failed" in failure:
        return WorkflowFailed(failure["failed"], failure["code"])
    if "path" in failure:
        return NotJSON(failure["path"], failure["problem"])
    return StepFailed(failure["step"], failure["type"], failure["message"])
