"""The one list of events: complete, documented, spelled nowhere else, and enough for one more event to be right everywhere."""

import ast
import asyncio
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

import pytest

import restpoint
from past_files import load
from restpoint import EventKind, ExecutionStore, errors
from restpoint._storage import history, verification
from restpoint._storage.hash_chain import Finding
from restpoint._storage.sqlite import checks
from restpoint._storage.sqlite.connection import reading
from restpoint.events import CLOSINGS, ENDINGS, UNDOINGS
from restpoint.lifecycle import ends
from support import ADA, START, TEXT, file_of, rows, sql

PACKAGE: Final = Path(restpoint.__file__).parent
A_NEW_EVENT: Final = "interaction_admired"

# As the lifecycle's table does, this one stands here a second time, by hand.
OPENS: Final = {"interaction_asked", "consent_asked"}
CLOSES: Final = {
    "interaction_answered", "interaction_expired", "interaction_withdrawn",
    "consent_granted", "consent_denied", "consent_expired", "consent_withdrawn",
}  # fmt: skip
ENDS: Final = {"execution_completed", "execution_failed", "execution_cancelled"}
WAKES: Final = {"execution_created", "execution_recovered", "execution_retried", *CLOSES}
STREAMED: Final = {"emitted", "notified", *OPENS, *CLOSES}
ERASED: Final = {
    "execution_failed", "execution_stuck", "interaction_asked", "interaction_reworded",
    "interaction_voted", "interaction_answered", "consent_asked", "consent_granted", "consent_denied", "notice_given_up",
}  # fmt: skip

# Some errors have a code that is called like an event, and whoever tells of errors spells codes.
CODES: Final = {kind.code for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "code")}
TELLERS_OF_ERRORS: Final = ("errors", "http", "client", "cli")


@pytest.mark.parametrize("kind", EventKind)
def test_an_event_is_documented_and_found_by_its_name(kind: EventKind) -> None:
    assert re.fullmatch(r"[A-Z].{10,}\.", kind.description)
    assert kind.__doc__ == kind.description
    assert kind == kind.name.lower()
    assert EventKind.named(str(kind)) is kind


def test_an_event_does_what_it_is_known_for() -> None:
    assert {str(kind) for kind in EventKind if kind.opens_wait} == OPENS
    assert {str(kind) for kind in CLOSINGS} == CLOSES
    assert {str(kind) for kind in ENDINGS} == ENDS
    assert {str(kind) for kind in UNDOINGS} == {"execution_retried"}
    assert {str(kind) for kind in EventKind if kind.wakes_runner} == WAKES
    assert {str(kind) for kind in EventKind if kind.is_streamed} == STREAMED
    assert {str(kind) for kind in EventKind if kind.has_payload} == ERASED
    assert {str(kind) for kind in EventKind if kind.is_decision} == {"interaction_voted", "interaction_answered"}


def test_each_end_of_the_lifecycle_has_its_event() -> None:
    assert {EventKind.ended(status).ends_as for status in ends("execution")} == set(ends("execution"))
    assert {EventKind.moved("interaction", status).wait_status for status in ends("interaction")} == set(
        ends("interaction")
    )
    assert {EventKind.moved("consent", status).wait_status for status in ends("consent")} == set(ends("consent"))
    assert EventKind.asked("interaction") is EventKind.INTERACTION_ASKED


@pytest.mark.parametrize("revision", ["0001", "0002", "0003", "0004", "0005", "0006"])
def test_every_event_that_a_past_version_wrote_is_in_the_list(tmp_path: Path, revision: str) -> None:
    written = [event for (event,) in rows(load(revision, tmp_path / "past.db"), "SELECT event FROM history")]
    assert written
    assert [event for event in written if EventKind.named(event) is None] == []


def spelled(module: Path) -> Iterator[str]:
    """The text of every literal of a module, but for docstrings."""
    prose = set()
    for node in ast.walk(ast.parse(module.read_text())):  # what a node has in it comes after it
        if isinstance(node, ast.Expr):
            prose.add(id(node.value))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.value


def test_no_other_module_spells_the_name_of_an_event() -> None:
    # By itself, or quoted within SQL. `swept` is also a word of a view, which says how an execution left the file.
    quoted = re.compile("|".join(f"'{kind}'" for kind in EventKind if kind is not EventKind.SWEPT))
    found = [
        f"{module.relative_to(PACKAGE)}: {text}"
        for module in sorted(PACKAGE.rglob("*.py"))
        if module.name != "events.py"
        for text in spelled(module)
        if EventKind.named(text) is not None or quoted.search(text)
        if not (text in CODES and module.relative_to(PACKAGE).parts[0] in TELLERS_OF_ERRORS)
    ]
    assert found == []


# --- One more --------------------------------------------------------------------------------------------------------


async def appended(store: ExecutionStore, event: str) -> None:
    """A file in which a prompt is open, was answered, and in between has an event of this name."""
    record = await store.create_execution(workflow="refund", owner="ada")
    ids = record.execution_id, (await store.set_interaction_required(record.execution_id, TEXT)).interaction_id
    other = await store.create_execution(workflow="refund")
    still = other.execution_id, (await store.set_interaction_required(other.execution_id, TEXT)).interaction_id

    def append(tx: Any) -> None:
        for execution_id, interaction_id in (ids, still):
            moved = ("interaction_required", "interaction_required")
            history.append(
                tx, cast("EventKind", event), execution_id, wait_id=interaction_id, moved=moved, actor="grace"
            )

    await file_of(store).database.write(append)
    await store.resolve_interaction(*ids, ADA, actor="grace")
    await store.set_completed(record.execution_id, {"fine": True})


def findings(path: Path) -> tuple[Finding, ...]:
    with reading(path) as connection:
        return verification.verify(connection).findings


def checked(path: Path) -> tuple[str, object]:
    """What ``restpoint db check`` says of the history."""
    (finding,) = [finding for finding in checks.examine(path, START) if finding.name == "history"]
    return finding.severity, finding.figures["problem"]


async def test_an_event_that_is_not_in_the_list_is_reported_as_unknown_and_as_nothing_else(
    store: ExecutionStore, path: Path
) -> None:
    await appended(store, A_NEW_EVENT)
    (finding,) = findings(path)
    assert (finding.problem, finding.sequence) == ("event_unknown", 5)
    assert A_NEW_EVENT in finding.what
    # To an operator it is no damage; and where there is damage, that comes first.
    assert checked(path) == ("warning", "event_unknown")
    with sql(path) as connection:
        name = "executions_labels_stay"
        ((trigger,),) = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (name,)).fetchall()
        connection.execute(f"DROP TRIGGER {name}")
        connection.execute("UPDATE executions SET owner = 'eve' WHERE owner = 'ada'")
        connection.execute(trigger)
    assert [finding.problem for finding in findings(path)] == ["event_unknown", "payload_differs"]
    assert checked(path) == ("error", "payload_differs")


async def test_an_event_that_is_not_in_the_list_is_shown_like_any_other(store: ExecutionStore) -> None:
    await appended(store, A_NEW_EVENT)
    page = await store.list()
    entries = [entry for item in page.items for entry in await store.history(item.execution_id)]
    assert [entry.kind for entry in entries if entry.event == A_NEW_EVENT] == [None, None]


# It reads the file whose path it is given, and says what a verification finds, with whatever list of events it has.
VERIFY: Final = (
    "import sys; from pathlib import Path; from restpoint import EventKind\n"
    "from restpoint._storage import verification\n"
    "from restpoint._storage.sqlite.connection import reading\n"
    "with reading(Path(sys.argv[1])) as connection:\n"
    "    verdict = verification.verify(connection)\n"
    "print(EventKind.named(sys.argv[2]) is not None, *(finding.problem for finding in verdict.findings))"
)


async def test_one_more_line_in_the_list_makes_a_new_event_right(
    store: ExecutionStore, path: Path, tmp_path: Path
) -> None:
    await appended(store, A_NEW_EVENT)
    copy = tmp_path / "src" / "restpoint"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(PACKAGE.parent.parent / "migrations", tmp_path / "migrations")
    module = copy / "events.py"
    before = '    INTERACTION_ASKED = "interaction_asked"'
    line = f'    ADMIRED = "{A_NEW_EVENT}", "Somebody liked a prompt.", _Effect(wait="interaction")\n'
    text = module.read_text()
    assert text.count(before) == 1
    module.write_text(text.replace(before, line + before))
    told = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", VERIFY, str(path), A_NEW_EVENT],
        env={"PYTHONPATH": str(copy.parent)},
        capture_output=True,
        check=False,
        text=True,
    )
    assert (told.stdout.split(), told.stderr) == (["True"], "")
