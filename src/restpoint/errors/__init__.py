"""Every error that restpoint raises. Each has a stable code and a message that says what to do.

::

    RestpointError
    ├── NotFound (KeyError)                the file has nothing with this id
    │   ├── ExecutionNotFound              execution_not_found
    │   │   └── ExecutionGone              execution_gone: it was in the file, and was swept or removed
    │   ├── InteractionNotFound            interaction_not_found
    │   ├── WorkflowNotFound               workflow_not_found
    │   ├── NothingToExport                nothing_to_export
    │   ├── NoticeNotFound                 notice_not_found
    │   └── UnknownRoute                   unknown_route: by which people would be told
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

from restpoint.errors.arguments import (
    InvalidArgument,
    NotJSON,
)
from restpoint.errors.consents import (
    ConsentDenied,
    ConsentExpired,
    ConsentWithdrawn,
    KeyMissing,
    ProviderUnreachable,
    SealBroken,
)
from restpoint.errors.executions import (
    CannotRetry,
    Conflict,
    ExecutionCancelled,
    ExecutionGone,
    ExecutionHeld,
    ExecutionNotFound,
    IllegalTransition,
    LeaseLost,
    NothingToExport,
    OwnerLimitReached,
)
from restpoint.errors.interactions import (
    AlreadyVoted,
    FieldError,
    FourEyes,
    InteractionAlreadyResolved,
    InteractionClaimed,
    InteractionExists,
    InteractionExpired,
    InteractionNotFound,
    InteractionWithdrawn,
    PromptDeclined,
    PromptNotAccepted,
    ResponseNotAccepted,
    SamePerson,
    VoterUnknown,
)
from restpoint.errors.roots import (
    NotAllowed,
    NotFound,
    Refused,
    RestpointError,
    by_code,
)
from restpoint.errors.storage import (
    DamagedFile,
    FileGone,
    SchemaTooNew,
    SchemaTooOld,
    ServerUnreachable,
    StorageBusy,
    StorageError,
    StorageFull,
    StoreClosed,
    UnusableFile,
)
from restpoint.errors.telling import NoticeNotFound, UnknownRoute
from restpoint.errors.workflows import (
    IdempotencyConflict,
    InputNotAccepted,
    ReplayMismatch,
    StepFailed,
    TimeLimitRefused,
    WorkflowFailed,
    WorkflowNotFound,
)

__all__ = [
    "AlreadyVoted",
    "CannotRetry",
    "Conflict",
    "ConsentDenied",
    "ConsentExpired",
    "ConsentWithdrawn",
    "DamagedFile",
    "ExecutionCancelled",
    "ExecutionGone",
    "ExecutionHeld",
    "ExecutionNotFound",
    "FieldError",
    "FileGone",
    "FourEyes",
    "IdempotencyConflict",
    "IllegalTransition",
    "InputNotAccepted",
    "InteractionAlreadyResolved",
    "InteractionClaimed",
    "InteractionExists",
    "InteractionExpired",
    "InteractionNotFound",
    "InteractionWithdrawn",
    "InvalidArgument",
    "KeyMissing",
    "LeaseLost",
    "NotAllowed",
    "NotFound",
    "NotJSON",
    "NothingToExport",
    "NoticeNotFound",
    "OwnerLimitReached",
    "PromptDeclined",
    "PromptNotAccepted",
    "ProviderUnreachable",
    "Refused",
    "ReplayMismatch",
    "ResponseNotAccepted",
    "RestpointError",
    "SamePerson",
    "SchemaTooNew",
    "SchemaTooOld",
    "SealBroken",
    "ServerUnreachable",
    "StepFailed",
    "StorageBusy",
    "StorageError",
    "StorageFull",
    "StoreClosed",
    "TimeLimitRefused",
    "UnknownRoute",
    "UnusableFile",
    "VoterUnknown",
    "WorkflowFailed",
    "WorkflowNotFound",
    "by_code",
]
