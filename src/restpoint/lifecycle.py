"""The lifecycle: one table of every status, every trigger and every legal move.

An *execution* runs, pauses on *waits* (an *interaction* with a person, or an OAuth *consent*), and ends. Each of the
three has a machine below, defined with the ``transitions`` package. The machines have no model: a machine or a model for
each execution would cost tens of microseconds and some kilobytes, and would be kept for ever. Instead the tables are read out
of the machines once, at import, and a move is one look-up.

Three things are made from these tables and from nothing else: the check before every write (``move``), the triggers by which
the database refuses what the check would refuse (``legal_moves``, which ``triggers.py`` uses), and the pictures in the
documentation.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from transitions import Machine

from restpoint.errors import IllegalTransition


class ExecutionStatus(StrEnum):
    """The status of an execution. The original store had the first five, and the wire has them as it did."""

    RUNNING = "running"
    INTERACTION_REQUIRED = "interaction_required"
    OAUTH_REQUIRED = "oauth_required"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class WaitStatus(StrEnum):
    """The status of a wait: an interaction or a consent."""

    PENDING = "pending"
    EXCHANGING = "exchanging"
    ANSWERED = "answered"
    GRANTED = "granted"
    DENIED = "denied"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


PAUSED: Final = (ExecutionStatus.INTERACTION_REQUIRED, ExecutionStatus.OAUTH_REQUIRED)
TERMINAL: Final = (ExecutionStatus.COMPLETED, ExecutionStatus.FAILED, ExecutionStatus.CANCELLED)
"""The statuses of an execution that has ended. Of these only ``failed`` can be left, by a retry."""
OPEN: Final = (WaitStatus.PENDING, WaitStatus.EXCHANGING)

_LIVE: Final = ["running", "interaction_required", "oauth_required"]
_WAITING: Final = ["interaction_required", "oauth_required"]

# When a wait is settled, the execution moves to the kind of the oldest wait that is still open, or back to running. The three
# `settle` rows have the same sources, so the storage says which of them it means.
EXECUTION: Final = Machine(
    model=None,
    name="execution",
    states=[status.value for status in ExecutionStatus],
    initial="running",
    auto_transitions=False,
    transitions=[
        {"trigger": "ask", "source": "running", "dest": "interaction_required"},
        {"trigger": "authorize", "source": "running", "dest": "oauth_required"},
        {"trigger": "ask", "source": _WAITING, "dest": "="},
        {"trigger": "authorize", "source": _WAITING, "dest": "="},
        {"trigger": "settle", "source": _WAITING, "dest": "interaction_required"},
        {"trigger": "settle", "source": _WAITING, "dest": "oauth_required"},
        {"trigger": "settle", "source": _WAITING, "dest": "running"},
        {"trigger": "complete", "source": "running", "dest": "completed"},
        {"trigger": "fail", "source": _LIVE, "dest": "failed"},
        {"trigger": "cancel", "source": _LIVE, "dest": "cancelled"},
        {"trigger": "retry", "source": "failed", "dest": "running"},
    ],
)
INTERACTION: Final = Machine(
    model=None,
    name="interaction",
    states=["pending", "answered", "expired", "withdrawn"],
    initial="pending",
    auto_transitions=False,
    transitions=[
        {"trigger": "answer", "source": "pending", "dest": "answered"},
        {"trigger": "expire", "source": "pending", "dest": "expired"},
        {"trigger": "withdraw", "source": "pending", "dest": "withdrawn"},
    ],
)
CONSENT: Final = Machine(
    model=None,
    name="consent",
    states=["pending", "exchanging", "granted", "denied", "expired", "withdrawn"],
    initial="pending",
    auto_transitions=False,
    transitions=[
        {"trigger": "redeem", "source": "pending", "dest": "exchanging"},
        {"trigger": "retry", "source": "exchanging", "dest": "pending"},
        {"trigger": "grant", "source": "exchanging", "dest": "granted"},
        {"trigger": "deny", "source": ["pending", "exchanging"], "dest": "denied"},
        {"trigger": "expire", "source": ["pending", "exchanging"], "dest": "expired"},
        {"trigger": "withdraw", "source": ["pending", "exchanging"], "dest": "withdrawn"},
    ],
)
MACHINES: Final = {"execution": EXECUTION, "interaction": INTERACTION, "consent": CONSENT}


def _moves(machine: Machine) -> Iterator[tuple[str, str, str]]:
    """Every (status, trigger, next status) of a machine, in the order of its definition."""
    for trigger, event in machine.events.items():
        for source, transitions in event.transitions.items():
            for transition in transitions:
                yield source, trigger, str(transition.dest)


# (status, trigger) -> the statuses that it may lead to. Only `settle` of an execution has more than one.
_TABLE: Final[dict[str, dict[tuple[str, str], tuple[str, ...]]]] = {kind: {} for kind in MACHINES}
for _kind, _machine in MACHINES.items():
    for _source, _trigger, _dest in _moves(_machine):
        _TABLE[_kind][_source, _trigger] = (*_TABLE[_kind].get((_source, _trigger), ()), _dest)


def move(kind: str, subject_id: str, status: str, trigger: str, to: str | None = None) -> str:
    """Return the status that ``trigger`` leads to from ``status``.

    ``kind`` is ``execution``, ``interaction`` or ``consent``. ``to`` chooses one where the table has several (``settle``).
    Raises ``IllegalTransition``, which names the subject, its status and the trigger.
    """
    targets = _TABLE[kind].get((status, trigger))
    if targets is not None:
        if to is None and len(targets) == 1:
            return targets[0]
        if to is not None and to in targets:
            return to
    legal = tuple(dict.fromkeys(name for source, name in _TABLE[kind] if source == status))
    raise IllegalTransition(f"{kind.capitalize()} {subject_id}", status, trigger, legal)


def statuses(kind: str) -> tuple[str, ...]:
    """Return every status of the kind, in the order of its definition."""
    return tuple(MACHINES[kind].states)


def triggers(kind: str) -> tuple[str, ...]:
    """Return every trigger of the kind."""
    return tuple(dict.fromkeys(trigger for _, trigger in _TABLE[kind]))


def initial(kind: str) -> str:
    """Return the status that a new one has."""
    return str(MACHINES[kind].initial)


def legal_moves(kind: str) -> tuple[tuple[str, str], ...]:
    """Return every (from, to) pair of different statuses that some trigger allows."""
    pairs = ((source, dest) for (source, _), targets in _TABLE[kind].items() for dest in targets if source != dest)
    return tuple(dict.fromkeys(pairs))


def ends(kind: str) -> tuple[str, ...]:
    """Return every status of the kind that no trigger leads out of."""
    return tuple(status for status in statuses(kind) if not any(source == status for source, _ in _TABLE[kind]))
