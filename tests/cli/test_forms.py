"""Forms on the command line: shown, filled in by options, asked for field by field, and declined."""

import asyncio
import json
import shutil
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

from inside import Command
from restpoint import ExecutionStore
from restpoint.prompts.form_models import form_of
from served import Terminal
from support import rows


class Speed(Enum):
    SLOW = "slow"
    FAST = "fast"


class Refund(BaseModel):
    order: str = Field(json_schema_extra={"x-readonly": True})
    amount: int = Field(ge=0, le=100, title="How much?")
    until: date
    speeds: list[Speed] = Field(min_length=1, description="All that will do")
    urgent: bool = False
    note: str | None = None


FORM = form_of(Refund, text="Refund?", actions=["submit", "decline"], initial={"order": "A7", "amount": 70})
SUBMITTED = {
    "type": "form",
    "action": "submit",
    "content": {"order": "A7", "amount": 5, "until": "2026-12-31", "speeds": ["fast", "slow"], "urgent": True},
}


@pytest.fixture
def execution_id(fresh: Path, path: Path) -> str:
    """An execution that waits for the form."""
    shutil.copyfile(fresh, path)

    async def asked() -> str:
        async with ExecutionStore(database=path) as store:
            record = await store.create_execution()
            await store.set_interaction_required(record.execution_id, FORM)
            return record.execution_id

    return asyncio.run(asked())


def answers(path: Path) -> list[dict[str, Any]]:
    return [json.loads(response) for (response,) in rows(path, "SELECT response FROM interactions") if response]


def test_show_names_the_fields_and_what_they_take(restpoint: Command, execution_id: str) -> None:
    shown = restpoint("show", execution_id).stdout
    assert "amount       How much? (whole number from 0 to 100)" in shown
    assert "note         Note (text), optional" in shown
    assert "      fast       fast" in shown


def test_a_form_is_filled_in_by_options(restpoint: Command, execution_id: str, path: Path) -> None:
    ran = restpoint(
        "answer", execution_id, "--set", "amount=5", "--set", "until=2026-12-31", "--set", "speeds=fast", "--set", "speeds=1",
        "--set", "urgent=yes", "--comment", "By phone",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert answers(path) == [{"comment": "By phone", **SUBMITTED}]


def test_wrong_options_are_all_told_at_once(restpoint: Command, execution_id: str, path: Path) -> None:
    ran = restpoint(
        "answer", execution_id, "--set", "amount=lots", "--set", "untill=2026-12-31", "--set", "speeds=warp"
    )
    assert (ran.returncode, answers(path)) == (1, [])
    for told in (
        "amount: Give a whole number, such as 1234.",
        "until: This field is required.",
        "untill: The form has no such field",
    ):
        assert told in ran.stderr
    assert "speeds: 'warp' is no option. Choose among: slow, fast." in ran.stderr


@pytest.mark.parametrize("given", [("yes",), ("--yes",), ("--set", "amount")])
def test_what_is_no_form_says_how_to_fill_it_in(restpoint: Command, execution_id: str, given: tuple[str, ...]) -> None:
    ran = restpoint("answer", execution_id, *given)
    assert ran.returncode == 2
    assert "--set" in ran.stderr


def test_a_form_is_declined_with_a_reason(restpoint: Command, execution_id: str, path: Path) -> None:
    assert "reason" in restpoint("answer", execution_id, "--decline").stderr
    assert restpoint("answer", execution_id, "--decline", "--comment", "Not mine").returncode == 0
    assert answers(path) == [{"comment": "Not mine", "type": "form", "action": "decline"}]


def test_each_field_is_asked_for_until_it_is_right(tmp_path: Path, execution_id: str, path: Path) -> None:
    typed = [
        ("Fill in the form? [yes] ", "perhaps"), ("Fill in the form? [yes] ", ""),
        ("[70]: ", "101"), ("[70]: ", "5"),
        ("2026-01-31): ", ""), ("2026-01-31): ", "tomorrow"), ("2026-01-31): ", "2026-12-31"),
        ("from 1): ", "warp"), ("from 1): ", "2, slow"),
        ("[no]: ", "yes"), ("[none]: ", ""),
    ]  # fmt: skip
    with Terminal("answer", execution_id, cwd=tmp_path) as terminal:
        for question, line in typed:
            terminal.until(question)
            terminal.type(f"{line}\n")
        assert terminal.ended() == 0, terminal.shown
    assert answers(path) == [SUBMITTED]
    for told in ("Order: A7", "All that will do", "Give a number of at most 100.", "This field is required."):
        assert told in terminal.shown


def test_a_form_is_declined_at_the_terminal(tmp_path: Path, execution_id: str, path: Path) -> None:
    with Terminal("answer", execution_id, cwd=tmp_path) as terminal:
        for question, line in (("[yes] ", "no"), ("Why not? ", ""), ("Why not? ", "Not mine")):
            terminal.until(question)
            terminal.type(f"{line}\n")
        assert terminal.ended() == 0, terminal.shown
    assert answers(path) == [{"comment": "Not mine", "type": "form", "action": "decline"}]
