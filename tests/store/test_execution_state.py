"""The fold: what is known of an execution after an event, after a reading of the file, and after its history."""

import dataclasses
from typing import Any

import pytest

from restpoint._core.changes import Change, Wait
from restpoint._core.execution_row import ExecutionRow
from restpoint._storage.history import HistoryEntry
from restpoint._storage.queries import Snapshot
from restpoint._store.execution_state import ExecutionState, end_by_history, fold, replace, unread
from restpoint.events import EventKind

ROW = ExecutionRow("e", "running", workflow="refund", owner="ada", lease=7, created_at=1_000)
CREATED = Change(1, "e", EventKind.EXECUTION_CREATED, None, "running", 1_000, execution=ROW)
ASKED = Wait("interaction", "q", "pending", 2, 2_000, None, prompt="{}")
ASKS = Change(2, "e", EventKind.INTERACTION_ASKED, "running", "interaction_required", 2_000, ASKED, lease=9)
ANSWERED = Wait("interaction", "q", "answered", 0, 0, None, response='{"text":"yes"}')
ANSWERS = Change(3, "e", EventKind.INTERACTION_ANSWERED, "interaction_required", "running", 3_000, ANSWERED)
COMPLETES = Change(
    4, "e", EventKind.EXECUTION_COMPLETED, "running", "completed", 4_000, result='"done"', expires_at=5_000
)  # fmt: skip


def folded(*events: Change) -> ExecutionState:
    state = unread("e")
    for event in events:
        state = fold(state, event)
    return state


def test_the_events_of_an_execution_give_its_state_from_the_beginning_to_the_end() -> None:
    assert folded(CREATED) == (1, ROW, {}, (), False)
    asked = folded(CREATED, ASKS)
    assert (asked.row.status, asked.row.lease, asked.open, asked.has_paused) == (
        "interaction_required", 9, {"q": ASKED}, True,
    )  # fmt: skip
    answered = folded(CREATED, ASKS, ANSWERS)
    assert (answered.row.status, answered.open, answered.closed) == ("running", {}, (ANSWERED,))
    ended = folded(CREATED, ASKS, ANSWERS, COMPLETES)
    assert (ended.as_of, ended.row.status, ended.row.completed_at, ended.row.expires_at) == (
        4,
        "completed",
        4_000,
        5_000,
    )
    assert (ended.row.result, ended.row.lease, ended.row.owner, ended.closed) == ('"done"', None, "ada", ())


def test_an_event_that_closes_no_wait_leaves_the_wait_open_as_it_is_after_the_event() -> None:
    taken = Wait("interaction", "q", "pending", 2, 2_000, None, prompt="{}", assignees='["grace"]')
    status = "interaction_required"
    state = folded(CREATED, ASKS, Change(3, "e", EventKind.INTERACTION_CLAIMED, status, status, 3_000, taken))
    assert (state.row.status, state.open, state.closed) == (status, {"q": taken}, ())


def test_a_state_is_never_changed_by_a_fold() -> None:
    asked = folded(CREATED, ASKS)
    fold(asked, ANSWERS)
    assert (dict(asked.open), asked.row.status) == ({"q": ASKED}, "interaction_required")


@pytest.mark.parametrize("event", [CREATED, ASKS])
def test_an_event_that_is_not_newer_than_the_state_changes_nothing(event: Change) -> None:
    state = folded(CREATED, ASKS)
    assert fold(state, event) is state


def test_of_an_execution_that_was_not_read_an_event_says_only_how_new_a_reading_must_be() -> None:
    state = folded(ANSWERS)
    assert (state.as_of, state.is_read) == (3, False)
    assert replace(state, Snapshot(2, ROW, ())) is None
    assert replace(state, Snapshot(3, ROW, ())) == (3, ROW, {}, (), False)


FAILS = Change(
    4, "e", EventKind.EXECUTION_FAILED, "running", "failed", 4_000, error="no", code="no_luck", expires_at=5_000
)
RETRIES = Change(5, "e", EventKind.EXECUTION_RETRIED, "failed", "running", 6_000)


def test_an_execution_that_is_retried_is_as_if_it_had_not_ended_and_may_end_again() -> None:
    retried = folded(CREATED, ASKS, ANSWERS, FAILS, RETRIES)
    assert (retried.row.status, retried.row.completed_at, retried.row.expires_at) == ("running", None, None)
    assert (retried.row.error, retried.row.error_code, retried.row.created_at) == (None, None, 1_000)
    again = fold(retried, dataclasses.replace(COMPLETES, sequence=7))
    assert (again.row.status, again.row.completed_at, again.row.result) == ("completed", 4_000, '"done"')


def test_the_history_of_what_was_retried_tells_its_last_end() -> None:
    history = [
        *HISTORY[:4],
        entry(5, EventKind.EXECUTION_RETRIED, "running"),
        entry(6, EventKind.EXECUTION_CANCELLED, "cancelled"),
    ]
    state = end_by_history(folded(CREATED, ASKS), history)
    assert (state.row.status, state.row.completed_at, state.row.error) == ("cancelled", 6_000, None)


def test_what_no_runner_can_go_on_with_says_why_until_it_ends() -> None:
    stuck = Change(2, "e", EventKind.EXECUTION_STUCK, "running", "running", 2_000, problem="other code")
    state = folded(CREATED, stuck)
    assert state.row.problem == "other code"
    assert fold(state, COMPLETES).row.problem is None


def test_a_reading_replaces_the_state_if_it_is_newer_and_closes_what_the_file_has_closed() -> None:
    state = folded(CREATED, ASKS)
    row = ROW._replace(version=3, status="running")
    assert replace(state, Snapshot(1, row, (ANSWERED,))) is None
    assert replace(state, Snapshot(3, row, (ANSWERED,))) == (3, row, {}, (ANSWERED,), True)


def test_what_another_process_closed_before_one_reading_is_in_the_order_of_the_closings() -> None:
    waits = tuple(
        Wait("interaction", each, "answered", opened, 2_000, None, response="{}", closed_at=closed_at)
        for opened, (each, closed_at) in enumerate([("a", 3_002), ("b", 3_003), ("c", 3_001)], 2)
    )
    state = replace(folded(CREATED), Snapshot(9, ROW, waits))
    assert state is not None
    assert [each.id for each in state.closed] == ["c", "a", "b"]


def test_a_reading_that_says_nothing_of_an_open_wait_is_not_taken() -> None:
    assert replace(folded(CREATED, ASKS), Snapshot(5, ROW, ())) is None


def test_a_reading_keeps_the_waits_that_are_known_and_orders_all_by_their_opening() -> None:
    state = folded(CREATED, ASKS)
    same, older = (
        Wait("interaction", "q", "pending", 2, 2_000, None),
        Wait("consent", "c", "exchanging", 1, 1_000, None),
    )
    read = replace(state, Snapshot(5, ROW._replace(status="oauth_required"), (same, older)))
    assert read is not None
    assert list(read.open.values()) == [older, ASKED]
    assert read.open["q"] is ASKED


def entry(sequence: int, event: EventKind, to: str | None, detail: Any = None, wait: str | None = None) -> HistoryEntry:
    return HistoryEntry(sequence, "e", event, wait, None, to, None, None, float(sequence), detail, "")


HISTORY = [
    entry(1, EventKind.EXECUTION_CREATED, "running"),
    entry(2, EventKind.INTERACTION_ASKED, "interaction_required", {}, "q"),
    entry(3, EventKind.INTERACTION_ANSWERED, "running", {"response": {"text": "yes"}}, "q"),
    entry(4, EventKind.EXECUTION_FAILED, "failed", {"error": "No funds.", "code": "no_funds"}),
    entry(5, EventKind.EXECUTION_REMOVED, None),
]


def test_the_history_of_what_left_the_file_tells_how_it_ended_and_what_was_answered() -> None:
    state = end_by_history(folded(CREATED, ASKS), HISTORY)
    assert (state.as_of, state.row.status, state.row.error, state.row.error_code) == (
        5,
        "failed",
        "No funds.",
        "no_funds",
    )
    assert (state.row.completed_at, state.open) == (4_000, {})
    assert [(wait.id, wait.status, wait.response) for wait in state.closed] == [("q", "answered", '{"text":"yes"}')]


def test_a_response_of_which_the_history_keeps_the_digest_leaves_its_wait_open() -> None:
    digests = [*HISTORY[:2], entry(3, EventKind.INTERACTION_ANSWERED, "running", {"response_sha256": "0"}, "q")]
    state = end_by_history(folded(CREATED, ASKS), digests)
    assert (state.closed, list(state.open)) == ((), ["q"])


def test_a_wait_that_is_withdrawn_with_the_end_of_its_execution_says_so() -> None:
    ended = [
        *HISTORY[:2],
        entry(3, EventKind.EXECUTION_CANCELLED, "cancelled"),
        entry(4, EventKind.INTERACTION_WITHDRAWN, "cancelled", None, "q"),
    ]
    (wait,) = end_by_history(folded(CREATED, ASKS), ended).closed
    assert (wait.status, wait.ended) == ("withdrawn", True)
