"""Every error that restpoint raises, with a stable code and a message that says what to do.

::

    RestpointError
    ├── NotFound (KeyError)                the thing named by the id is not in the file
    │   ├── ExecutionNotFound              execution_not_found
    │   ├── InteractionNotFound            interaction_not_found
    │   ├── WorkflowNotFound               workflow_not_found
    │   └── NothingToExport                nothing_to_export
    ├── Refused (ValueError)               the rules say no; nothing was written
    │   ├── IllegalTransition              illegal_transition
    │   ├── Conflict                       conflict
    │   ├── InteractionAlreadyResolved     already_resolved
    │   ├── InteractionExpired (TimeoutError)   interaction_expired
    │   ├── InteractionWithdrawn           interaction_withdrawn
    │   ├── InteractionExists              interaction_exists
    │   ├── ConsentDenied                  consent_denied
    │   ├── ConsentExpired (TimeoutError)  consent_expired
    │   ├── ConsentWithdrawn               consent_withdrawn
    │   ├── ExecutionHeld                  execution_held
    │   ├── PromptNotAccepted              prompt_not_accepted
    │   ├── ResponseNotAccepted            response_not_accepted
    │   ├── NotJSON                        not_json
    │   ├── InputNotAccepted               input_not_accepted
    │   ├── IdempotencyConflict            idempotency_conflict
    │   ├── LeaseLost                      lease_lost
    │   └── InvalidArgument                invalid_argument
    ├── NotAllowed                         not_allowed: the policy says no to this actor; nothing was written
    │   └── FourEyes                       four_eyes
    ├── ExecutionCancelled                 execution_cancelled: a wait ended because its execution was cancelled or failed
    ├── StepFailed                         step_failed: a step of a workflow raised, and so did its retries
    ├── WorkflowFailed                     workflow_failed: raised by a workflow that gives up, with a code of its own
    ├── ReplayMismatch                     replay_mismatch: the workflow's code is not the code that wrote the journal
    ├── StoreClosed                        store_closed
    ├── SealBroken                         seal_broken: a secret in the file does not open, and nothing was changed
    │   └── KeyMissing                     key_missing
    ├── ProviderUnreachable (ConnectionError)   provider_unreachable: an OAuth provider gave no answer that says anything
    ├── ServerUnreachable (ConnectionError)   server_unreachable: no server, or none of ours, answered the client
    └── StorageError (OSError)             storage_error: SQLite or the file system said no; nothing was acknowledged
        ├── StorageBusy                    storage_busy
        ├── StorageFull                    storage_full
        ├── DamagedFile                    damaged_file
        ├── UnusableFile                   unusable_file
        ├── SchemaTooOld                   schema_too_old
        └── SchemaTooNew                   schema_too_new

The original store raised ``KeyError`` and ``ValueError``, so the classes that stand for those are also those.
"""

from collections.abc import Iterable
from typing import ClassVar


class RestpointError(Exception):
    """The root of the tree. ``code`` is stable over releases; the message is for people and may change."""

    code: ClassVar[str] = "error"


class NotFound(RestpointError, KeyError):
    """What the id names is not in the file."""

    code = "not_found"

    def __str__(self) -> str:
        # KeyError shows the repr of its argument; a message for people is wanted here.
        return str(self.args[0]) if self.args else self.code


class ExecutionNotFound(NotFound):
    """No execution has this id: it never existed, was removed, or was swept after its time to live."""

    code = "execution_not_found"

    def __init__(self, execution_id: str) -> None:
        super().__init__(
            f"Execution {execution_id} not found. It never existed, was removed, or its time to live ended."
        )
        self.execution_id = execution_id


class InteractionNotFound(NotFound):
    """The execution has no interaction or consent with this id."""

    code = "interaction_not_found"

    def __init__(self, execution_id: str, interaction_id: str) -> None:
        super().__init__(
            f"Interaction {interaction_id} not found for execution {execution_id}. "
            "Read the execution's open waits for the ids it has."
        )
        self.execution_id = execution_id
        self.interaction_id = interaction_id


class WorkflowNotFound(NotFound):
    """No workflow has this name here."""

    code = "workflow_not_found"

    def __init__(self, name: str, known: Iterable[str]) -> None:
        names = ", ".join(sorted(known)) or "none"
        super().__init__(f"Workflow {name} not found. The workflows here are: {names}.")
        self.name = name


class NothingToExport(NotFound):
    """No row of the history is in the range that was asked for."""

    code = "nothing_to_export"


class Refused(RestpointError, ValueError):
    """The rules say no. Nothing was written."""

    code = "refused"


class IllegalTransition(Refused):
    """The lifecycle has no such move (see ``lifecycle.py`` for the table)."""

    code = "illegal_transition"

    def __init__(self, subject: str, status: str, trigger: str, legal: tuple[str, ...]) -> None:
        allowed = f"from {status} it can only: {', '.join(legal)}" if legal else f"{status} is final"
        super().__init__(f"{subject} is {status} and cannot {trigger}; {allowed}.")
        self.subject = subject
        self.status = status
        self.trigger = trigger


class Conflict(Refused):
    """The row was not in the state that the write expected. Read it again and decide anew."""

    code = "conflict"

    def __init__(self, subject: str, expected: str) -> None:
        super().__init__(f"{subject} was expected to be {expected} and is not any more. Read it again.")


class InteractionAlreadyResolved(Refused):
    """Another response was accepted first. The same response again is no error: it is a retry, and succeeds."""

    code = "already_resolved"

    def __init__(self, execution_id: str, interaction_id: str, answered_by: str | None, answered_at: int) -> None:
        who = answered_by or "an unnamed actor"
        super().__init__(
            f"Interaction {interaction_id} of execution {execution_id} has already been resolved, with another response, "
            f"by {who} at {answered_at} ms since the epoch. The first response stands."
        )
        self.execution_id = execution_id
        self.interaction_id = interaction_id
        self.answered_by = answered_by
        self.answered_at = answered_at


class InteractionExpired(Refused, TimeoutError):
    """The prompt's deadline passed before a response was accepted."""

    code = "interaction_expired"

    def __init__(self, execution_id: str, interaction_id: str) -> None:
        super().__init__(
            f"Interaction {interaction_id} of execution {execution_id} expired: its deadline passed without a response. "
            "Ask again to get one."
        )
        self.execution_id = execution_id
        self.interaction_id = interaction_id


class InteractionWithdrawn(Refused):
    """The prompt was taken back, or its execution ended, before a response was accepted."""

    code = "interaction_withdrawn"

    def __init__(self, execution_id: str, interaction_id: str) -> None:
        super().__init__(
            f"Interaction {interaction_id} of execution {execution_id} was withdrawn and takes no response any more. "
            "Ask again to get one, if the execution still runs."
        )
        self.execution_id = execution_id
        self.interaction_id = interaction_id


class InteractionExists(Refused):
    """An interaction or consent of this execution already has the id that was asked for."""

    code = "interaction_exists"

    def __init__(self, execution_id: str, interaction_id: str) -> None:
        super().__init__(
            f"Interaction {interaction_id} of execution {execution_id} exists already. Give a new id, or none to have one made."
        )
        self.execution_id = execution_id
        self.interaction_id = interaction_id


class ConsentDenied(Refused):
    """A consent was refused. ``denial_code`` says why, as OAuth has it.

    ``access_denied``: by the person. ``invalid_grant`` and the like: by the provider, when the code was redeemed (RFC 6749,
    sections 4.1.2.1 and 5.2). ``invalid_token_response``: the provider's answer has no token.
    """

    code = "consent_denied"

    def __init__(self, provider: str, denial_code: str) -> None:
        super().__init__(f"The consent at {provider} was denied: {denial_code}. Ask again with another ctx.authorize.")
        self.provider = provider
        self.denial_code = denial_code


class ConsentExpired(Refused, TimeoutError):
    """The deadline of a consent passed before it was granted."""

    code = "consent_expired"

    def __init__(self, provider: str) -> None:
        super().__init__(
            f"The consent at {provider} expired: its deadline passed. Ask again with another ctx.authorize."
        )
        self.provider = provider


class ConsentWithdrawn(Refused):
    """A consent was taken back before it was granted."""

    code = "consent_withdrawn"

    def __init__(self, provider: str) -> None:
        super().__init__(f"The consent at {provider} was withdrawn. Ask again with another ctx.authorize.")
        self.provider = provider


class ExecutionHeld(Refused):
    """A hold keeps this execution in the file."""

    code = "execution_held"

    def __init__(self, execution_id: str, reason: str) -> None:
        super().__init__(f"Execution {execution_id} is on hold ({reason}). Release it before removing it.")
        self.execution_id = execution_id
        self.reason = reason


class PromptNotAccepted(Refused):
    """The prompt is malformed, too large, or of a kind that cannot be asked."""

    code = "prompt_not_accepted"


class ResponseNotAccepted(Refused):
    """The response does not answer the prompt that was asked."""

    code = "response_not_accepted"


class NotJSON(Refused):
    """A value that must be stored is not JSON; ``path`` says which part of it, such as ``$.rows[3].price``."""

    code = "not_json"

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"The value at {path} cannot be stored: {problem}.")
        self.path = path


class InputNotAccepted(Refused):
    """The input is not what the workflow takes."""

    code = "input_not_accepted"


class IdempotencyConflict(Refused):
    """The idempotency key was used before, for another request."""

    code = "idempotency_conflict"

    def __init__(self, execution_id: str) -> None:
        super().__init__(
            f"This idempotency key belongs to execution {execution_id}, which was started with another workflow or input. "
            "Use a new key for a new request."
        )
        self.execution_id = execution_id


class LeaseLost(Refused):
    """Another process has taken this run over, or it has ended: what this one still writes is refused."""

    code = "lease_lost"

    def __init__(self, execution_id: str) -> None:
        super().__init__(f"Execution {execution_id} is not run by this process any more; another one goes on with it.")
        self.execution_id = execution_id


class InvalidArgument(Refused):
    """An argument is outside what is documented for it."""

    code = "invalid_argument"


class NotAllowed(RestpointError):
    """The actor may see this and may not do that to it. Nothing was written."""

    code = "not_allowed"


class FourEyes(NotAllowed):
    """Whoever started the execution must not answer this prompt: someone else has to."""

    code = "four_eyes"

    def __init__(self, execution_id: str, interaction_id: str) -> None:
        super().__init__(
            f"Interaction {interaction_id} of execution {execution_id} asks for a second pair of eyes: whoever started the "
            "execution cannot answer it, nor can anybody without a name. Have someone else answer."
        )
        self.execution_id = execution_id
        self.interaction_id = interaction_id


class ExecutionCancelled(RestpointError):
    """A wait ended because its execution was cancelled or failed."""

    code = "execution_cancelled"


class StepFailed(RestpointError):
    """A step raised, and so did its retries. ``error_type`` and ``error_message`` are of the last exception.

    Recorded, so a replay raises it again: catch this one, not the exception of the step, which is its ``__cause__`` only
    where the step has just run.
    """

    code = "step_failed"

    def __init__(self, step: str, error_type: str, error_message: str) -> None:
        super().__init__(f"Step {step} failed with {error_type}: {error_message}")
        self.step = step
        self.error_type = error_type
        self.error_message = error_message


class WorkflowFailed(RestpointError):
    """For a workflow to raise when it gives up. The message and ``failure_code`` are public: clients get both."""

    code = "workflow_failed"

    def __init__(self, message: str, code: str = "workflow_failed") -> None:
        super().__init__(message)
        self.failure_code = code


class ReplayMismatch(RestpointError):
    """At ``position`` the journal has something else than the workflow's code asks for now.

    The execution is left as it is, for a process that has the code it was recorded with.
    """

    code = "replay_mismatch"

    def __init__(self, execution_id: str, position: str, recorded: str, asked: str) -> None:
        super().__init__(
            f"Execution {execution_id} cannot be gone on with: at {position} its journal has {recorded}, and the workflow "
            f"now asks for {asked}. Run the code that it was begun with, or give the changed workflow a new version."
        )
        self.execution_id = execution_id
        self.position = position


class StoreClosed(RestpointError):
    """The store was closed; what was acknowledged before is in the file."""

    code = "store_closed"


class SealBroken(RestpointError):
    """A sealed value does not open: it was changed, or it belongs to another row."""

    code = "seal_broken"


class KeyMissing(SealBroken):
    """A value was sealed with a key that is not in the ring."""

    code = "key_missing"

    def __init__(self, key_id: str, place: str) -> None:
        super().__init__(
            f"The key {key_id[:80]!r} is not in the ring of {place}, and what it sealed does not open without it. "
            "Put the key back from your copy of the ring; nothing was changed."
        )
        self.key_id = key_id


class ProviderUnreachable(RestpointError, ConnectionError):
    """An OAuth provider was not reached, or its answer says nothing. Trying again is safe."""

    code = "provider_unreachable"

    def __init__(self, provider: str, problem: str) -> None:
        super().__init__(f"The provider {provider} gave no usable answer: {problem}. Try again.")
        self.provider = provider


class ServerUnreachable(RestpointError, ConnectionError):
    """The client got no usable reply, however often it asked."""

    code = "server_unreachable"

    def __init__(self, url: str, problem: str) -> None:
        super().__init__(f"No restpoint server answered at {url}: {problem}. Check the address, and that it runs.")
        self.url = url


class StorageError(RestpointError, OSError):
    """SQLite or the file system said no. What this call asked for was not acknowledged.

    ``sqlite_name`` is SQLite's name for it (https://www.sqlite.org/rescode.html), for instance ``SQLITE_IOERR_FSYNC``.
    """

    code = "storage_error"

    def __init__(self, message: str, sqlite_name: str | None = None) -> None:
        super().__init__(f"{message} [{sqlite_name}]" if sqlite_name else message)
        self.sqlite_name = sqlite_name


class StorageBusy(StorageError):
    """Another program kept the file locked for longer than the busy timeout."""

    code = "storage_busy"


class StorageFull(StorageError):
    """The disk, the quota or the page limit is exhausted; writes work again once there is room."""

    code = "storage_full"


class DamagedFile(StorageError):
    """The file's content is not what was written. Restore a backup."""

    code = "damaged_file"


class UnusableFile(StorageError):
    """The path cannot hold a restpoint file: not a database, a directory, read-only, or without a parent folder."""

    code = "unusable_file"


class SchemaTooOld(StorageError):
    """The file was written by an older release and must be upgraded first."""

    code = "schema_too_old"


class SchemaTooNew(StorageError):
    """The file was upgraded by a newer release than this program."""

    code = "schema_too_new"
