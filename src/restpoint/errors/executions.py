"""Errors about an execution: it is not there, or a rule forbids what was asked of it."""

from datetime import UTC, datetime

from restpoint.errors.roots import NotFound, Refused, RestpointError


class ExecutionNotFound(NotFound):
    """No execution has this id: it never existed, was removed, or was swept after its time to live."""

    code = "execution_not_found"

    def __init__(self, execution_id: str) -> None:
        super().__init__(
            f"Execution {execution_id} not found. It never existed, was removed, or its time to live ended."
        )
        self.execution_id = execution_id


class ExecutionGone(ExecutionNotFound):
    """The execution was in the file, and left it.

    ``how`` is ``swept`` (its time to live was over), ``removed`` or ``erased``; ``gone_at`` is when, in seconds since the epoch.
    """

    code = "execution_gone"

    def __init__(self, execution_id: str, how: str, gone_at: float) -> None:
        super().__init__(execution_id)
        when = datetime.fromtimestamp(gone_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        why = "" if how in {"removed", "erased"} else ", when its time to live was over"
        self.args = (f"Execution {execution_id} was {how} at {when}{why}. Its history tells how it went.",)
        self.how = how
        self.gone_at = gone_at


class NothingToExport(NotFound):
    """The requested range has no rows of history."""

    code = "nothing_to_export"


class IllegalTransition(Refused):
    """The lifecycle has no such transition; ``lifecycle.py`` has the table."""

    code = "illegal_transition"

    def __init__(self, subject: str, status: str, trigger: str, legal: tuple[str, ...]) -> None:
        allowed = f"from {status} it can only: {', '.join(legal)}" if legal else f"{status} is final"
        super().__init__(f"{subject} is {status} and cannot {trigger}; {allowed}.")
        self.subject = subject
        self.status = status
        self.trigger = trigger


class Conflict(Refused):
    """The row was not in the state that the write expected. Read it again and decide again."""

    code = "conflict"

    def __init__(self, subject: str, expected: str) -> None:
        super().__init__(f"{subject} was expected to be {expected}, but it no longer is. Read it again.")


class ExecutionHeld(Refused):
    """A hold keeps this execution in the file."""

    code = "execution_held"

    def __init__(self, execution_id: str, reason: str) -> None:
        super().__init__(f"Execution {execution_id} is on hold ({reason}). Release it before removing it.")
        self.execution_id = execution_id
        self.reason = reason


class CannotRetry(Refused):
    """A failed execution cannot go on from what is recorded of it; ``reason`` says why."""

    code = "cannot_retry"

    def __init__(self, execution_id: str, reason: str) -> None:
        super().__init__(f"Execution {execution_id} cannot be retried: {reason} Start a new one.")
        self.execution_id = execution_id
        self.reason = reason


class OwnerLimitReached(Refused):
    """An owner has as many executions as the server allows. Try again after ``retry_after`` seconds."""

    code = "owner_limit_reached"

    def __init__(self, owner: str, what: str, retry_after: int) -> None:
        super().__init__(f"{owner} {what}. Try again in {retry_after} seconds.")
        self.retry_after = retry_after


class LeaseLost(Refused):
    """Another process has taken over this execution, or its run has ended. Writes of this process are refused."""

    code = "lease_lost"

    def __init__(self, execution_id: str) -> None:
        super().__init__(
            f"This process no longer drives execution {execution_id}: another process took it over, or it ended."
        )
        self.execution_id = execution_id


class ExecutionCancelled(RestpointError):
    """A wait ended because its execution was cancelled or failed."""

    code = "execution_cancelled"
