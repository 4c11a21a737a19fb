"""Errors about a prompt and its answer."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from restpoint.errors.roots import NotAllowed, NotFound, Refused


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
