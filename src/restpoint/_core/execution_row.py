"""The one shape of an execution: a row of the file by the names of its columns. Whatever shows an execution derives from it.

The storage makes its SELECT lists and its INSERT from the field names, live records fold events into a row, and a list shows a
part of it. A new column is a field here, with its default, and a column of the schema.
"""

from dataclasses import dataclass, fields
from typing import Any, Final, NamedTuple, TypedDict

from restpoint.errors import InvalidArgument
from restpoint.lifecycle import ExecutionStatus

PRIORITIES: Final = range(-100, 101)


class StartOptions(TypedDict, total=False):
    """The options of a start, in every interface, beside the workflow and its input.

    - ``idempotency_key``: makes a retry return the execution that the first request with this key started.
    - ``priority``: a whole number from -100 to 100 that lists show; 0 by default. It changes no order of work.
    """

    idempotency_key: str | None
    priority: int


class ExecutionRow(NamedTuple):
    """A row of ``executions``, and last what ``runs`` says of it. Times are milliseconds since the epoch.

    ``version`` counts the transitions; 0 means that the row was not read yet. ``lease`` is that of the process that drives the
    execution, and ``epoch`` fences off the processes that drove it before. ``ready`` says whether a runner may claim it, and is
    None where no runner runs it; ``problem``, why none can go on with it. ``run_version`` is the version of its workflow.
    """

    id: str
    status: str
    version: int = 1
    open_waits: int = 0
    workflow: str | None = None
    owner: str | None = None
    lease: int | None = None
    created_at: int = 0
    completed_at: int | None = None
    expires_at: int | None = None
    hold: str | None = None
    result: str | None = None
    error: str | None = None
    error_code: str | None = None
    priority: int = 0
    epoch: int = 0
    ready: int | None = None
    problem: str | None = None
    run_version: int | None = None

    def changed(self, **values: Any) -> "ExecutionRow":
        """The row with other values. Half of the cost of ``_replace``, which matters: every event does this."""
        row = list(self)
        for name, value in values.items():
            row[_PLACE[name]] = value
        return tuple.__new__(ExecutionRow, row)


_PLACE: Final = {name: place for place, name in enumerate(ExecutionRow._fields)}


LABELS: Final = ("workflow", "owner", "priority")
"""The fields that are chosen when an execution is created. They never change, and the detail of ``execution_created`` has those
that differ from their defaults."""

OF_RUNS: Final = {"run_version": "version"}
"""The fields that are columns of ``runs``, with the names that they have there."""

OF_EXECUTIONS: Final = tuple(name for name in ExecutionRow._fields if name not in OF_RUNS)
"""The fields that are columns of ``executions``, under the same names. They come first in a row."""

_LATER: Final = frozenset({"completed_at", "expires_at", "hold", "result", "error", "error_code", "problem"})
AT_FIRST: Final = tuple(name for name in OF_EXECUTIONS if name not in _LATER)
"""The fields of ``OF_EXECUTIONS`` that a new execution has. The others are null until something happens to it."""


@dataclass(frozen=True, slots=True)
class ExecutionSummary:
    """One line of a list. Times are seconds since the epoch."""

    execution_id: str
    status: str
    workflow: str | None
    owner: str | None
    priority: int
    created_at: float
    completed_at: float | None
    expires_at: float | None
    hold: str | None
    open_waits: int
    error: str | None
    error_code: str | None
    version: int | None = None
    """The version of its workflow; None where no runner runs it."""
    problem: str | None = None
    """Why nobody goes on with it; None where somebody does, or nobody need."""
    sleeping_until: float | None = None
    """When it has slept enough; None where it does not sleep, or is in memory meanwhile."""


def check_priority(priority: int) -> int:
    """Return ``priority``. Raises ``InvalidArgument`` unless it is a whole number within ``PRIORITIES``."""
    if type(priority) is not int or priority not in PRIORITIES:
        raise InvalidArgument(
            f"priority is {priority!r}; give a whole number from {PRIORITIES[0]} to {PRIORITIES[-1]}."
        )
    return priority


_TIMES: Final = frozenset(name for name in ExecutionRow._fields if name.endswith("_at"))
_ROW_NAMES: Final = {"execution_id": "id", "version": "run_version"}
SUMMARIZED: Final = tuple(
    _ROW_NAMES.get(each.name, each.name) for each in fields(ExecutionSummary) if each.name != "sleeping_until"
)
"""The fields of a row that a list shows, in the order of ``ExecutionSummary``."""


def summary_of(values: tuple[Any, ...]) -> ExecutionSummary:
    """The line of a list, of the values of ``SUMMARIZED`` in their order."""
    return ExecutionSummary(
        *(
            value / 1000 if name in _TIMES and value is not None else value
            for name, value in zip(SUMMARIZED, values, strict=True)
        )
    )


STATUS: Final = {str(status): status for status in ExecutionStatus}
"""A status by the text that the file has for it."""


@dataclass(frozen=True, slots=True)
class StepDone:
    """A step that has an outcome. ``after`` is the newest row of history at that moment, ``at`` in seconds since the epoch."""

    name: str
    after: int
    at: float
    has_failed: bool
