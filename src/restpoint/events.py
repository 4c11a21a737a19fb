"""The one list of events: every kind of row that the history can have, and what each kind does.

The history is append-only, and each row of it has the name of an event. Nothing outside this module spells such a name or
derives anything from its spelling. What ``audit verify`` compares with the tables, what wakes a runner, what an erasure takes,
what a stream shows and what a view selects follows from the members of ``EventKind`` and their attributes. A new event is one
line here, and the code that appends it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, Self

from restpoint.errors import InvalidArgument
from restpoint.lifecycle import ExecutionStatus, WaitStatus, ends

WaitKind = Literal["interaction", "consent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Effect:
    """What an event does; ``EventKind`` documents each attribute."""

    ends_as: ExecutionStatus | None = None
    undoes_end: bool = False
    wait: WaitKind | None = None
    wait_status: WaitStatus | None = None
    opens_wait: bool = False
    claims: bool = False
    releases: bool = False
    readdresses: bool = False
    wakes_runner: bool = False
    has_payload: bool = False
    keeps_digest_only: bool = False
    journal_field: str | None = None
    is_streamed: bool = False
    is_decision: bool = False
    can_be_told: bool = True


def _asked(wait: WaitKind) -> _Effect:
    return _Effect(
        wait=wait, wait_status=WaitStatus.PENDING, opens_wait=True, has_payload=True, is_streamed=True
    )  # fmt: skip


def _closed(wait: WaitKind, status: WaitStatus, *, has_payload: bool = False, is_decision: bool = False) -> _Effect:
    return _Effect(
        wait=wait, wait_status=status, wakes_runner=True, has_payload=has_payload, is_decision=is_decision, is_streamed=True
    )  # fmt: skip


def _shown(journal_field: str) -> _Effect:
    return _Effect(journal_field=journal_field, is_streamed=True)


_UNTOLD: Final = _Effect(can_be_told=False)


class EventKind(StrEnum):
    """A kind of event. The value of a member is the name that the history stores, and that streams and exports show.

    A file may hold events that this version does not know, because a newer one appended them. Where a name was read,
    ``EventKind.named`` gives the member, or None for such an event.
    """

    description: str
    """What happened, as a sentence."""
    ends_as: ExecutionStatus | None
    """The status that the execution ends with; None where the event does not end it."""
    undoes_end: bool
    """Whether the execution, which had ended, runs again."""
    wait: WaitKind | None
    """The kind of wait that the event is about; None where it is about no single wait."""
    wait_status: WaitStatus | None
    """The status that the wait has from this event on; None where the event leaves it as it is."""
    opens_wait: bool
    """Whether the execution has one more open wait."""
    closes_wait: bool
    """Whether the wait is over: it is answered, granted or denied, or nobody can answer it any more."""
    claims: bool
    """Whether its actor has claimed the prompt from then on."""
    releases: bool
    """Whether nobody has claimed the prompt from then on."""
    readdresses: bool
    """Whether the prompt is addressed to others from then on: those whom the detail names."""
    wakes_runner: bool
    """Whether a runner may have something to do now: a run was started, was left behind, or a wait of it was closed."""
    has_payload: bool
    """Whether the detail holds what people or workflows said, so that an erasure takes it away."""
    keeps_digest_only: bool
    """Whether the detail is never stored, only its SHA-256: the execution's row holds the value and takes it along."""
    journal_field: str | None
    """The name that the detail shows a payload of the journal under; None where the journal has none for it."""
    is_streamed: bool
    """Whether the stream of a start shows the event (``/history`` and ``/events`` show every event)."""
    is_decision: bool
    """Whether a person decided something, so that the views for auditors list it as an answer."""
    can_be_told: bool
    """Whether a route may tell people of the event: it is about an execution that is in the file, and not about telling."""
    asks: bool
    """Whether the event leaves a wait open, so that a notice of it is moot once the wait is over."""

    def __new__(cls, name: str, description: str, effect: _Effect) -> Self:
        """A member, with its description and what it does as attributes."""
        self = str.__new__(cls, name)
        self._value_ = name
        self.description = self.__doc__ = description
        self.ends_as, self.undoes_end = effect.ends_as, effect.undoes_end
        self.wait, self.wait_status = effect.wait, effect.wait_status
        self.opens_wait = effect.opens_wait
        self.claims, self.releases, self.readdresses = effect.claims, effect.releases, effect.readdresses
        self.closes_wait = effect.wait is not None and effect.wait_status in ends(effect.wait)
        self.wakes_runner = effect.wakes_runner
        self.has_payload, self.keeps_digest_only = effect.has_payload, effect.keeps_digest_only
        self.journal_field, self.is_streamed = effect.journal_field, effect.is_streamed
        self.is_decision, self.can_be_told = effect.is_decision, effect.can_be_told
        self.asks = effect.wait is not None and not self.closes_wait
        return self

    # --- Executions ---
    EXECUTION_CREATED = "execution_created", "An execution was created and runs.", _Effect(wakes_runner=True)
    EXECUTION_COMPLETED = (
        "execution_completed",
        "An execution ended with a result.",
        _Effect(ends_as=ExecutionStatus.COMPLETED, keeps_digest_only=True),
    )
    EXECUTION_FAILED = (
        "execution_failed",
        "An execution ended with an error.",
        _Effect(ends_as=ExecutionStatus.FAILED, has_payload=True),
    )
    EXECUTION_CANCELLED = (
        "execution_cancelled",
        "An execution was cancelled.",
        _Effect(ends_as=ExecutionStatus.CANCELLED),
    )
    EXECUTION_RETRIED = (
        "execution_retried",
        "A failed execution was taken up again at the call that failed; the detail names what is called again.",
        _Effect(undoes_end=True, wakes_runner=True),
    )
    EXECUTION_RECOVERED = (
        "execution_recovered",
        "The process that ran an execution is gone or stood still, and another may take it up.",
        _Effect(wakes_runner=True),
    )
    EXECUTION_STUCK = (
        "execution_stuck",
        "The workflow's code does not fit what was recorded of an execution, so this process cannot go on with it.",
        _Effect(has_payload=True),
    )
    EXECUTION_HELD = "execution_held", "An execution was put on hold: no sweep and no erasure takes it.", _Effect()
    EXECUTION_RELEASED = "execution_released", "The hold of an execution was ended.", _Effect()
    EXECUTION_REMOVED = "execution_removed", "An execution was deleted from the file.", _UNTOLD
    EMITTED = "emitted", "A workflow emitted data for whoever follows it.", _shown("data")
    NOTIFIED = "notified", "A workflow told people something that needs no answer.", _shown("prompt")
    # --- Interactions ---
    INTERACTION_ASKED = "interaction_asked", "A prompt was put to people.", _asked("interaction")
    INTERACTION_CLAIMED = (
        "interaction_claimed",
        "Somebody took a prompt to answer it; until they release it nobody else may.",
        _Effect(wait="interaction", claims=True),
    )
    INTERACTION_RELEASED = (
        "interaction_released",
        "The claim of a prompt was ended, so others may answer it again.",
        _Effect(wait="interaction", releases=True),
    )
    INTERACTION_DELEGATED = (
        "interaction_delegated",
        "Somebody whom a prompt was addressed to handed it on; the detail names whom it is addressed to now.",
        _Effect(wait="interaction", releases=True, readdresses=True),
    )
    INTERACTION_REASSIGNED = (
        "interaction_reassigned",
        "A prompt was addressed to others; the detail names whom it is addressed to now.",
        _Effect(wait="interaction", releases=True, readdresses=True),
    )
    INTERACTION_REMINDED = (
        "interaction_reminded",
        "A prompt is still open, and those who have it are reminded; the detail names them.",
        _Effect(wait="interaction"),
    )
    INTERACTION_ESCALATED = (
        "interaction_escalated",
        "Nobody answered a prompt in time, so it was addressed to others; the detail names whom it is addressed to now.",
        _Effect(wait="interaction", releases=True, readdresses=True),
    )
    INTERACTION_NOT_ESCALATED = (
        "interaction_not_escalated",
        "Nobody answered a prompt in time, but those whom it was to escalate to may not answer it: it stays as it is.",
        _Effect(wait="interaction"),
    )
    INTERACTION_REWORDED = (
        "interaction_reworded",
        "A workflow's code asks in other words now; the prompt stays as it was asked.",
        _Effect(wait="interaction", has_payload=True),
    )
    INTERACTION_VOTED = (
        "interaction_voted",
        "Somebody voted on a prompt that several people answer.",
        _Effect(wait="interaction", has_payload=True, is_decision=True),
    )
    INTERACTION_ANSWERED = (
        "interaction_answered",
        "A prompt was answered: by a person, by enough equal votes, or by its default.",
        _closed("interaction", WaitStatus.ANSWERED, has_payload=True, is_decision=True),
    )
    INTERACTION_EXPIRED = (
        "interaction_expired",
        "The deadline of a prompt passed without an answer.",
        _closed("interaction", WaitStatus.EXPIRED),
    )
    INTERACTION_WITHDRAWN = (
        "interaction_withdrawn",
        "A prompt was taken back, or its execution ended.",
        _closed("interaction", WaitStatus.WITHDRAWN),
    )
    # --- Consents ---
    CONSENT_ASKED = "consent_asked", "An OAuth consent is needed.", _asked("consent")
    CONSENT_EXCHANGING = (
        "consent_exchanging",
        "The person came back from the provider, and the code is being exchanged for a token.",
        _Effect(wait="consent", wait_status=WaitStatus.EXCHANGING),
    )
    CONSENT_PENDING = (
        "consent_pending",
        "The provider could not be reached for the exchange, so the consent is open for another attempt.",
        _Effect(wait="consent", wait_status=WaitStatus.PENDING),
    )
    CONSENT_GRANTED = (
        "consent_granted",
        "A consent was granted, and the token is stored.",
        _closed("consent", WaitStatus.GRANTED, has_payload=True),
    )
    CONSENT_DENIED = (
        "consent_denied",
        "A consent was denied.",
        _closed("consent", WaitStatus.DENIED, has_payload=True),
    )
    CONSENT_EXPIRED = ("consent_expired", "The deadline of a consent passed.", _closed("consent", WaitStatus.EXPIRED))
    CONSENT_WITHDRAWN = (
        "consent_withdrawn",
        "A consent was taken back, or its execution ended.",
        _closed("consent", WaitStatus.WITHDRAWN),
    )
    # --- People ---
    SIGNED_IN = (
        "signed_in",
        "A person signed in, and a session began; the detail has its id, and what the person is.",
        _UNTOLD,
    )
    SIGN_IN_REFUSED = "sign_in_refused", "Somebody was not let in; the cause says why.", _UNTOLD
    SIGNED_OUT = (
        "signed_out",
        "A session was ended before its time: by its person, by an operator, or with the token that it began with.",
        _UNTOLD,
    )
    MAIL_ADDRESS_ERASED = (
        "mail_address_erased",
        "The mail address that a person was known by since they signed in was erased.",
        _UNTOLD,
    )
    # --- Telling people ---
    NOTICE_DELIVERED = (
        "notice_delivered",
        "A notice was delivered; the detail says of which event, by which route and channel, and to whom.",
        _UNTOLD,
    )
    NOTICE_GIVEN_UP = (
        "notice_given_up",
        "A notice could not be delivered, and is not tried any more; the detail says why.",
        _Effect(has_payload=True, can_be_told=False),
    )
    NOTICE_DROPPED = "notice_dropped", "An operator dropped a notice, so that it is not delivered.", _UNTOLD
    NOTICE_RETRIED = "notice_retried", "An operator had a notice tried again.", _UNTOLD
    NOTICE_OPENED = "notice_opened", "Somebody who was told of a prompt opened its page.", _UNTOLD
    # --- The file ---
    SWEPT = "swept", "Executions whose time to live was over were deleted.", _UNTOLD
    PAYLOADS_ERASED = "payloads_erased", "Details of earlier rows were erased; the detail names them.", _UNTOLD
    HISTORY_PRUNED = "history_pruned", "The oldest rows of the history were deleted by retention.", _UNTOLD
    SETTING_CHANGED = "setting_changed", "A setting of the file was changed.", _UNTOLD
    ROUTES_CHANGED = "routes_changed", "The routes by which people are told were changed; the detail has them.", _UNTOLD
    ROUTE_DISABLED = (
        "route_disabled",
        "A receiver is gone for good, so its route is disabled until an operator enables it.",
        _UNTOLD,
    )
    ROUTE_ENABLED = "route_enabled", "An operator enabled a route again.", _UNTOLD
    KEYS_ROTATED = "keys_rotated", "Secrets in the file were sealed with another key.", _UNTOLD
    MIGRATED = "migrated", "The file was brought to another revision.", _UNTOLD
    RESTORED = "restored", "The file was restored from a backup.", _UNTOLD

    @classmethod
    def named(cls, name: str) -> "EventKind | None":
        """The member with this name; None for an event that this version does not know."""
        return _BY_NAME.get(name)

    @classmethod
    def read(cls, names: Iterable[str]) -> "tuple[EventKind, ...]":
        """The members with these names, as somebody gave them. Raises ``InvalidArgument`` for one that is no event."""
        given = {name: cls.named(name) for name in names}
        unknown = [name for name, kind in given.items() if kind is None]
        if unknown:
            raise InvalidArgument(f"{unknown[0][:80]!r} is no event; the reference of events has their names.")
        return tuple(kind for kind in given.values() if kind is not None)

    @classmethod
    def asked(cls, wait: WaitKind) -> "EventKind":
        """The event that opens a wait of this kind."""
        return _ASKED[wait]

    @classmethod
    def moved(cls, wait: WaitKind, status: str) -> "EventKind":
        """The event that an open wait of this kind moves to ``status`` with."""
        return _MOVED[wait, status]

    @classmethod
    def ended(cls, status: str) -> "EventKind":
        """The event that an execution ends with ``status`` by."""
        return _ENDED[status]


_BY_NAME: Final = {kind.value: kind for kind in EventKind}
_ASKED: Final = {kind.wait: kind for kind in EventKind if kind.opens_wait}
_MOVED: Final = {
    (kind.wait, str(kind.wait_status)): kind
    for kind in EventKind
    if kind.wait_status is not None and not kind.opens_wait
}
_ENDED: Final = {str(kind.ends_as): kind for kind in EventKind if kind.ends_as is not None}

CLOSINGS: Final = tuple(kind for kind in EventKind if kind.closes_wait)
"""The events that close a wait."""
ENDINGS: Final = tuple(kind for kind in EventKind if kind.ends_as is not None)
"""The events that end an execution."""
UNDOINGS: Final = tuple(kind for kind in EventKind if kind.undoes_end)
"""The events by which an execution that had ended runs again."""
CLAIMINGS: Final = tuple(kind for kind in EventKind if kind.claims or kind.releases)
"""The events after which a prompt is claimed by somebody else than before, or by nobody."""
ESCALATIONS: Final = (EventKind.INTERACTION_ESCALATED, EventKind.INTERACTION_NOT_ESCALATED)
"""The events that an escalation ends in."""
DECISIONS: Final = tuple(kind for kind in EventKind if kind.is_decision)
"""The events by which a person decides something."""
READDRESSINGS: Final = tuple(kind for kind in EventKind if kind.readdresses)
"""The events that address a prompt to others."""
