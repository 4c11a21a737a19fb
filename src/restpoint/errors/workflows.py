"""Errors about starting a workflow, and about its code."""

from collections.abc import Iterable

from restpoint.errors.arguments import InvalidArgument
from restpoint.errors.roots import NotFound, Refused, RestpointError


class WorkflowNotFound(NotFound):
    """No workflow with this name is registered here."""

    code = "workflow_not_found"

    def __init__(self, name: str, known: Iterable[str]) -> None:
        names = ", ".join(sorted(known)) or "none"
        super().__init__(f"Workflow {name} not found. The workflows here are: {names}.")
        self.name = name


class InputNotAccepted(Refused):
    """The input does not fit the workflow's parameter."""

    code = "input_not_accepted"


class IdempotencyConflict(Refused):
    """The idempotency key was used before, with another request."""

    code = "idempotency_conflict"

    def __init__(self, execution_id: str) -> None:
        super().__init__(
            f"This idempotency key belongs to execution {execution_id}, which was started with another workflow or input. "
            "Use a new key for a new request."
        )
        self.execution_id = execution_id


class TimeLimitRefused(InvalidArgument):
    """A workflow waits for an answer, a consent or a sleep within a time limit of asyncio, which a restart would lose."""

    code = "time_limit_refused"

    def __init__(self, limit: str) -> None:
        super().__init__(
            f"The workflow waits within {limit}, which outlasts no restart, and is gone when the run leaves memory to wait. "
            "Give the limit to the call itself, as in ctx.ask(..., timeout=60), or race the call with ctx.sleep."
        )


class StepFailed(RestpointError):
    """A step raised, and so did its retries. ``error_type`` and ``error_message`` describe the last exception.

    It is recorded, and a replay raises it again. Catch this class, not the exception of the step: that is its ``__cause__``
    only in the process where the step ran.
    """

    code = "step_failed"

    def __init__(self, step: str, error_type: str, error_message: str) -> None:
        super().__init__(f"Step {step} failed with {error_type}: {error_message}")
        self.step = step
        self.error_type = error_type
        self.error_message = error_message


class WorkflowFailed(RestpointError):
    """A workflow raises this to give up. The message and ``failure_code`` are public: clients get both."""

    code = "workflow_failed"

    def __init__(self, message: str, code: str = "workflow_failed") -> None:
        super().__init__(message)
        self.failure_code = code


class ReplayMismatch(RestpointError):
    """The call at ``position`` was recorded as something else than the workflow's code asks for now.

    The execution stays as it is, so a process with the code that recorded it can continue it.
    """

    code = "replay_mismatch"

    def __init__(self, execution_id: str, position: str, recorded: str, asked: str) -> None:
        super().__init__(
            f"Execution {execution_id} cannot continue: call {position} was recorded as {recorded}, and the workflow now asks "
            f"for {asked}. Run the code that it was started with, or give the changed workflow a new version. If "
            "nothing was changed, what is random, reads a clock or depends on a set's order belongs in a step."
        )
        self.execution_id = execution_id
        self.position = position
