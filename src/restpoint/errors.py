"""Every error that restpoint raises. Each has a stable code and a message that says what to do.

::

    RestpointError
    ├── NotFound (KeyError)                the file has nothing with this id
    │   ├── ExecutionNotFound              execution_not_found
    │   │   └── ExecutionGone              execution_gone: it was in the file, and was swept or removed
    │   ├── InteractionNotFound            interaction_not_found
    │   ├── WorkflowNotFound               workflow_not_found
    │   └── NothingToExport                nothing_to_export
    ├── Refused (ValueError)               a rule forbids it; nothing was written
    │   ├── IllegalTransition              illegal_transition
    │   ├── Conflict                       conflict
    │   ├── InteractionAlreadyResolved     already_resolved
    │   ├── InteractionClaimed             interaction_claimed
    │   ├── AlreadyVoted                   already_voted
    │   ├── InteractionExpired (TimeoutError)   interaction_expired
    │   ├── InteractionWithdrawn           interaction_withdrawn
    │   ├── InteractionExists              interaction_exists
    │   ├── PromptDeclined                 prompt_declined: by whoever a form asked
    │   ├── ConsentDenied                  consent_denied
    │   ├── ConsentExpired (TimeoutError)  consent_expired
    │   ├── ConsentWithdrawn               consent_withdrawn
    │   ├── ExecutionHeld                  execution_held
    │   ├── CannotRetry                    cannot_retry
    │   ├── OwnerLimitReached              owner_limit_reached
    │   ├── PromptNotAccepted              prompt_not_accepted
    │   ├── ResponseNotAccepted            response_not_accepted
    │   ├── NotJSON                        not_json
    │   ├── InputNotAccepted               input_not_accepted
    │   ├── IdempotencyConflict            idempotency_conflict
    │   ├── LeaseLost                      lease_lost
    │   └── InvalidArgument                invalid_argument
    │       └── TimeLimitRefused           time_limit_refused: asyncio's time limits do not outlast a restart
    ├── NotAllowed                         not_allowed: the policy forbids it to this actor; nothing was written
    │   ├── FourEyes                       four_eyes
    │   ├── SamePerson                     same_person
    │   └── VoterUnknown                   voter_unknown
    ├── ExecutionCancelled                 execution_cancelled: a wait ended because its execution was cancelled or failed
    ├── StepFailed                         step_failed: a step of a workflow raised, and so did its retries
    ├── WorkflowFailed                     workflow_failed: a workflow raises it to give up, with a code of its own
    ├── ReplayMismatch                     replay_mismatch: the workflow's code does not fit the journal
    ├── StoreClosed                        store_closed
    ├── SealBroken                         seal_broken: a secret in the file cannot be decrypted; nothing was changed
    │   └── KeyMissing                     key_missing
    ├── ProviderUnreachable (ConnectionError)   provider_unreachable: an OAuth provider gave no usable answer
    ├── ServerUnreachable (ConnectionError)   server_unreachable: no restpoint server answered the client
    └── StorageError (OSError)             storage_error: SQLite or the file system failed; nothing was acknowledged
        ├── StorageBusy                    storage_busy
        ├── StorageFull                    storage_full
        ├── DamagedFile                    damaged_file
        ├── UnusableFile                   unusable_file
        ├── FileGone                       file_gone
        ├── SchemaTooOld                   schema_too_old
        └── SchemaTooNew                   schema_too_new

The original store raised ``KeyError`` and ``ValueError``, so the classes that replace them inherit from them.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, NamedTuple


class RestpointError(Exception):
    """The root of the tree. ``code`` is stable across releases; the message is for people and may change."""

    code: ClassVar[str] = "error"


class NotFound(RestpointError, KeyError):
    """The file has nothing with this id."""

    code = "not_found"

    def __str__(self) -> str:
        # KeyError shows the repr of its argument; people need the message itself.
        return str(self.args[0]) if self.args else self.code


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
    """No workflow with this name is registered here."""

    code = "workflow_not_found"

    def __init__(self, name: str, known: Iterable[str]) -> None:
        names = ", ".join(sorted(known)) or "none"
        super().__init__(f"Workflow {name} not found. The workflows here are: {names}.")
        self.name = name


class NothingToExport(NotFound):
    """The requested range has no rows of history."""

    code = "nothing_to_export"


class Refused(RestpointError, ValueError):
    """A rule forbids it. Nothing was written."""

    code = "refused"


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


class InteractionAlreadyResolved(Refused):
    """Somebody's response was accepted first. Whoever sent that one may send it again: a retry succeeds.

    ``answered_at`` is in milliseconds since the epoch.
    """

    code = "already_resolved"

    def __init__(self, execution_id: str, interaction_id: str, answered_by: str | None, answered_at: int) -> None:
        by = "" if answered_by is None else f" by {answered_by}"
        super().__init__(
            f"Interaction {interaction_id} of execution {execution_id} has already been resolved{by} at "
            f"{datetime.fromtimestamp(answered_at / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC. That response stands."
        )
        self.execution_id = execution_id
        self.interaction_id = interaction_id
        self.answered_by = answered_by
        self.answered_at = answered_at


class InteractionClaimed(Refused):
    """Somebody else has claimed the prompt, so only they may answer it until they release it.

    ``claimed_at`` is in milliseconds since the epoch.
    """

    code = "interaction_claimed"

    def __init__(self, execution_id: str, interaction_id: str, claimed_by: str, claimed_at: int) -> None:
        super().__init__(
            f"Interaction {interaction_id} of execution {execution_id} is claimed by {claimed_by} since "
            f"{datetime.fromtimestamp(claimed_at / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC. Ask them to answer or to release it, "
            "or an operator to reassign it."
        )
        self.execution_id = execution_id
        self.interaction_id = interaction_id
        self.claimed_by = claimed_by
        self.claimed_at = claimed_at


class AlreadyVoted(Refused):
    """The actor has voted on this prompt already, otherwise than now. A vote stays.

    ``voted_at`` is in milliseconds since the epoch.
    """

    code = "already_voted"

    def __init__(self, execution_id: str, interaction_id: str, voted_at: int) -> None:
        super().__init__(
            f"You have voted on interaction {interaction_id} of execution {execution_id} at "
            f"{datetime.fromtimestamp(voted_at / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC. That vote stands; it is neither changed nor "
            "handed on."
        )
        self.execution_id = execution_id
        self.interaction_id = interaction_id
        self.voted_at = voted_at


class InteractionExpired(Refused, TimeoutError):
    """The prompt's deadline passed before a response was accepted, or its votes could not come to an answer any more.

    In a workflow, ``votes`` has the votes that were given by then, where the prompt takes votes, each as an ``Answer``.
    """

    code = "interaction_expired"
    votes: Sequence[Any] = ()

    def __init__(self, execution_id: str, interaction_id: str) -> None:
        super().__init__(
            f"Interaction {interaction_id} of execution {execution_id} expired: its deadline passed without a response, "
            "or its votes could not come to one. Ask again to get one."
        )
        self.execution_id = execution_id
        self.interaction_id = interaction_id


class InteractionWithdrawn(Refused):
    """The prompt was withdrawn, or its execution ended, before a response was accepted."""

    code = "interaction_withdrawn"

    def __init__(self, execution_id: str, interaction_id: str) -> None:
        super().__init__(
            f"Interaction {interaction_id} of execution {execution_id} was withdrawn and no longer takes a response. "
            "Ask again if the execution is still running."
        )
        self.execution_id = execution_id
        self.interaction_id = interaction_id


class InteractionExists(Refused):
    """An interaction or consent of this execution already has the id that was asked for."""

    code = "interaction_exists"

    def __init__(self, execution_id: str, interaction_id: str) -> None:
        super().__init__(
            f"Interaction {interaction_id} of execution {execution_id} exists already. Give another id or none."
        )
        self.execution_id = execution_id
        self.interaction_id = interaction_id


class PromptDeclined(Refused):
    """Whoever was asked declined to fill in a form. Times are seconds since the epoch.

    ``reason`` is what they said, ``declined_by`` who it was (None: somebody whom nobody named), and ``declined_at`` when.
    """

    code = "prompt_declined"

    def __init__(self, reason: str, declined_by: str | None, declined_at: float) -> None:
        super().__init__(f"{declined_by or 'An unnamed actor'} declined: {reason}")
        self.reason = reason
        self.declined_by = declined_by
        self.declined_at = declined_at


class ConsentDenied(Refused):
    """A consent was denied. ``denial_code`` is the OAuth error code, usually ``access_denied`` (RFC 6749, section 4.1.2.1).

    The person said no, or the provider did in their place. An error that is nobody's refusal, such as ``invalid_client``,
    ends no consent: it stays open, and the log of the server says what to correct.
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
    """A consent was withdrawn before it was granted."""

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


class PromptNotAccepted(Refused):
    """The prompt is malformed, too large, or of an unknown kind."""

    code = "prompt_not_accepted"


class FieldError(NamedTuple):
    """What is wrong with one field of a form: the JSON pointer to it (RFC 6901, as a URI fragment), and a sentence."""

    pointer: str
    detail: str


class ResponseNotAccepted(Refused):
    """The response does not fit the prompt. For a form, ``errors`` has what is wrong with each field."""

    code = "response_not_accepted"

    def __init__(self, message: str, *, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(message)
        self.errors = tuple(errors)


class NotJSON(Refused):
    """A value that must be stored has no JSON that reads back equal and of the same types.

    ``path`` names the part, such as ``$.rows[3].price``, and ``problem`` says what is wrong with it.
    """

    code = "not_json"

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"The value at {path} cannot be stored: {problem}.")
        self.path = path
        self.problem = problem


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


class LeaseLost(Refused):
    """Another process has taken over this execution, or its run has ended. Writes of this process are refused."""

    code = "lease_lost"

    def __init__(self, execution_id: str) -> None:
        super().__init__(
            f"This process no longer drives execution {execution_id}: another process took it over, or it ended."
        )
        self.execution_id = execution_id


class InvalidArgument(Refused):
    """An argument is outside its documented range."""

    code = "invalid_argument"


class TimeLimitRefused(InvalidArgument):
    """A workflow waits for an answer, a consent or a sleep within a time limit of asyncio, which a restart would lose."""

    code = "time_limit_refused"

    def __init__(self, limit: str) -> None:
        super().__init__(
            f"The workflow waits within {limit}, which outlasts no restart, and is gone when the run leaves memory to wait. "
            "Give the limit to the call itself, as in ctx.ask(..., timeout=60), or race the call with ctx.sleep."
        )


class NotAllowed(RestpointError):
    """The actor may see this, but may not do that to it. Nothing was written."""

    code = "not_allowed"


class FourEyes(NotAllowed):
    """Someone else than the owner of the execution must answer this prompt, and it must be plain that it is someone else."""

    code = "four_eyes"

    def __init__(self, execution_id: str, interaction_id: str) -> None:
        super().__init__(
            f"Interaction {interaction_id} of execution {execution_id} needs a second pair of eyes: whoever started the "
            "execution cannot answer it, nor can anyone who may be the same person. Have someone else answer; where nobody can "
            "be told apart, as on a server without tokens, start and answer with tokens (restpoint serve --tokens-file)."
        )
        self.execution_id = execution_id
        self.interaction_id = interaction_id


class SamePerson(NotAllowed):
    """The prompt must be answered by someone else than whoever answered another one."""

    code = "same_person"

    def __init__(self, execution_id: str, interaction_id: str) -> None:
        super().__init__(
            f"Interaction {interaction_id} of execution {execution_id} must be answered by someone other than whoever answered "
            "the prompt before it, and by someone who can be told from them. Ask a colleague."
        )
        self.execution_id = execution_id
        self.interaction_id = interaction_id


class VoterUnknown(NotAllowed):
    """A vote needs a name, so that nobody votes twice."""

    code = "voter_unknown"

    def __init__(self, execution_id: str, interaction_id: str) -> None:
        super().__init__(
            f"Interaction {interaction_id} of execution {execution_id} takes one vote of each person, so it must be plain who "
            "votes. Where nobody can be told apart, as on a server without tokens, use tokens (restpoint serve --tokens-file)."
        )
        self.execution_id = execution_id
        self.interaction_id = interaction_id


class ExecutionCancelled(RestpointError):
    """A wait ended because its execution was cancelled or failed."""

    code = "execution_cancelled"


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
            f"for {asked}. Run the code that it was started with, or give the changed workflow a new version."
        )
        self.execution_id = execution_id
        self.position = position


class StoreClosed(RestpointError):
    """The store is closed. Everything that was acknowledged before is in the file."""

    code = "store_closed"


class SealBroken(RestpointError):
    """A sealed value cannot be decrypted: it was changed, or it belongs to another row."""

    code = "seal_broken"


class KeyMissing(SealBroken):
    """A value was sealed with a key that is not in the key ring."""

    code = "key_missing"

    def __init__(self, key_id: str, place: str) -> None:
        super().__init__(
            f"The key {key_id[:80]!r} is not in the ring of {place}, and the values that it sealed do not open without it. "
            "Put the key back from your copy of the ring; nothing was changed."
        )
        self.key_id = key_id


class ProviderUnreachable(RestpointError, ConnectionError):
    """An OAuth provider was not reached, or its answer was not usable. Trying again is safe."""

    code = "provider_unreachable"

    def __init__(self, provider: str, problem: str) -> None:
        super().__init__(f"The provider {provider} gave no usable answer: {problem}. Try again.")
        self.provider = provider


class ServerUnreachable(RestpointError, ConnectionError):
    """The client got no usable reply, after all its retries."""

    code = "server_unreachable"

    def __init__(self, url: str, problem: str) -> None:
        super().__init__(f"No restpoint server answered at {url}: {problem}. Check the address, and that it runs.")
        self.url = url


class StorageError(RestpointError, OSError):
    """SQLite or the file system failed. The write of this call was not acknowledged.

    ``sqlite_name`` is SQLite's result code (https://www.sqlite.org/rescode.html), for instance ``SQLITE_IOERR_FSYNC``.
    """

    code = "storage_error"

    def __init__(self, message: str, sqlite_name: str | None = None) -> None:
        super().__init__(f"{message} [{sqlite_name}]" if sqlite_name else message)
        self.sqlite_name = sqlite_name


class StorageBusy(StorageError):
    """Another program held the lock on the file for longer than the busy timeout."""

    code = "storage_busy"


class StorageFull(StorageError):
    """The disk, the quota or the page limit is exhausted. Writes work again when there is room."""

    code = "storage_full"


class DamagedFile(StorageError):
    """The content of the file is not what restpoint wrote. Restore a backup."""

    code = "damaged_file"


class UnusableFile(StorageError):
    """The path cannot hold a restpoint file: not a database, a directory, read-only, or without a parent folder."""

    code = "unusable_file"


class FileGone(StorageError):
    """The file or its log was deleted, moved, replaced or cut short while it was open.

    What was acknowledged before is where the file went to. Writes are refused until it is back in its place.
    """

    code = "file_gone"


class SchemaTooOld(StorageError):
    """The file was written by an older release and must be upgraded first."""

    code = "schema_too_old"


class SchemaTooNew(StorageError):
    """The file was upgraded by a newer release than this program."""

    code = "schema_too_new"


def by_code() -> dict[str, type[RestpointError]]:
    """Every class of error that there is, by its ``code``."""
    found: dict[str, type[RestpointError]] = {}

    def add(kind: type[RestpointError]) -> None:
        found.setdefault(kind.code, kind)
        for each in kind.__subclasses__():
            add(each)

    add(RestpointError)
    return found
