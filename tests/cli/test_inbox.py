"""The inbox on the command line, and what is done with a prompt of it: claimed, given back, handed on, voted on."""

import asyncio
import json
import shutil
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from inside import Command
from restpoint import ExecutionStore
from restpoint.prompts import HumanPromptBinary, HumanPromptText, HumanResponseBinary
from support import NO, TEXT, YES, rows

PAY = HumanPromptBinary(text="Pay?", options=[YES, NO])


@pytest.fixture
def asked(fresh: Path, path: Path) -> Callable[..., str]:
    """Asks a prompt under these terms in an execution of its own, and returns the id of that."""
    shutil.copyfile(fresh, path)

    def ask(prompt: Any = TEXT, workflow: str = "refund", **terms: Any) -> str:
        async def asking() -> str:
            async with ExecutionStore(database=path) as store:
                record = await store.create_execution(workflow=workflow, owner="olga")
                await store.set_interaction_required(record.execution_id, prompt, **terms)
                return record.execution_id

        return asyncio.run(asking())

    return ask


def act(path: Path, job: Callable[[ExecutionStore], Coroutine[Any, Any, Any]]) -> Any:
    """Do something with the store, as somebody else."""

    async def acting() -> Any:
        async with ExecutionStore(database=path) as store:
            return await job(store)

    return asyncio.run(acting())


def stored(path: Path) -> tuple[Any, ...]:
    """Whom the newest prompt is addressed to, and who has claimed it."""
    return rows(path, "SELECT assignees, claimed_by FROM interactions ORDER BY key DESC LIMIT 1")[0]


def events(path: Path) -> list[tuple[Any, ...]]:
    return rows(
        path, "SELECT substr(event, 13), actor, cause FROM history WHERE wait_id IS NOT NULL ORDER BY sequence"
    )[1:]


@pytest.fixture(autouse=True)
def _named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pwd.getpwuid", lambda _: SimpleNamespace(pw_name="ursula"))


def test_an_empty_inbox_says_so(restpoint: Command, path: Path, fresh: Path) -> None:
    shutil.copyfile(fresh, path)
    ran = restpoint("inbox")
    assert (ran.returncode, ran.stdout, ran.stderr.strip()) == (0, "", "Nothing waits for you.")


def test_the_inbox_lists_what_is_due_next_with_who_is_asked_and_who_has_it(
    restpoint: Command, asked: Callable[..., str], path: Path
) -> None:
    later, first = (
        asked(assignees=["ada", "group:legal"], priority=4),
        asked(HumanPromptText(text="Quick?"), timeout=600),
    )
    act(path, lambda store: claim(store, later, "ada"))
    ran = restpoint("inbox")
    assert ran.returncode == 0, ran.stderr
    head, *lines = ran.stdout.splitlines()
    assert head.split() == ["ID", "WORKFLOW", "DUE", "(UTC)", "PRIORITY", "OWNER", "FOR", "ASKS"]
    assert [line.split()[0] for line in lines] == [first, later]
    assert "claimed by ada: What is your name?" in lines[1]
    assert "ada, group:legal" in lines[1]


async def claim(store: ExecutionStore, execution_id: str, who: str) -> None:
    record = await store.get(execution_id)
    assert record is not None
    await store.claim_interaction(execution_id, record.pending_interactions[0].interaction_id, actor=who)


def test_the_inbox_is_of_one_workflow_or_its_first_lines_or_json(restpoint: Command, asked: Callable[..., str]) -> None:
    asked()
    hello = asked(workflow="hello")
    (item,) = json.loads(restpoint("inbox", "--workflow", "hello", "--output", "json").stdout)
    assert (item["execution_id"], item["workflow"], item["votes"], item["voted"]) == (hello, "hello", None, [])
    assert restpoint("inbox", "--workflow", "none").stderr.strip() == "Nothing waits for you."
    ran = restpoint("inbox", "--limit", "1")
    assert len(ran.stdout.splitlines()) == 2
    assert "there are more: --limit 10" in ran.stderr


def test_a_prompt_is_claimed_and_given_back(restpoint: Command, asked: Callable[..., str], path: Path) -> None:
    execution_id = asked(assignees=["group:legal"])
    for _ in range(2):  # again: nothing happens
        ran = restpoint("claim", execution_id)
        assert ran.returncode == 0, ran.stderr
        assert ran.stderr.startswith("Claimed ")
    assert stored(path)[1] == "ursula"
    assert "claimed     by ursula" in restpoint("show", execution_id).stdout
    ran = restpoint("unclaim", execution_id, "--reason", "No time")
    assert ran.stderr.startswith("Released ")
    assert stored(path)[1] is None
    assert events(path) == [("claimed", "ursula", None), ("released", "ursula", "No time")]


def test_what_somebody_else_has_claimed_is_not_claimed_and_says_what_to_do(
    restpoint: Command, asked: Callable[..., str], path: Path
) -> None:
    execution_id = asked(assignees=["group:legal"])
    act(path, lambda store: claim(store, execution_id, "ada"))
    for command in (("claim", execution_id), ("answer", execution_id, "Ada")):
        ran = restpoint(*command)
        assert ran.returncode == 1
        assert "claimed by ada" in ran.stderr
        assert "restpoint reassign" in ran.stderr
    assert restpoint("unclaim", execution_id).returncode == 0  # as an operator


def test_a_prompt_is_handed_on_by_whom_it_is_for(restpoint: Command, asked: Callable[..., str], path: Path) -> None:
    execution_id = asked(assignees=["ursula", "group:legal"])
    ran = restpoint("delegate", execution_id, "grace", "--reason", "Her customer")
    assert ran.returncode == 0, ran.stderr
    assert "on to grace" in ran.stderr
    assert stored(path)[0] == '["grace","group:legal"]'
    refused = restpoint("delegate", execution_id, "joan")
    assert refused.returncode == 4
    assert events(path) == [("delegated", "ursula", "Her customer")]


def test_a_prompt_with_four_eyes_is_not_handed_on_to_its_owner_alone(
    restpoint: Command, asked: Callable[..., str], path: Path
) -> None:
    execution_id = asked(assignees=["ursula"], four_eyes=True)
    for command in ("delegate", "reassign"):
        ran = restpoint(command, execution_id, "olga")
        assert ran.returncode == 2
        assert "None of these people may answer the prompt" in ran.stderr
    assert stored(path)[0] == '["ursula"]'
    assert restpoint("reassign", execution_id, "olga", "group:legal").returncode == 0


def test_an_operator_addresses_a_prompt_to_others(restpoint: Command, asked: Callable[..., str], path: Path) -> None:
    execution_id = asked(assignees=["ada"])
    ran = restpoint("reassign", execution_id, "grace", "group:legal", "-r", "On holiday")
    assert ran.returncode == 0, ran.stderr
    assert "is addressed to grace, group:legal now." in ran.stderr
    assert stored(path)[0] == '["grace","group:legal"]'
    assert events(path) == [("reassigned", "ursula", "On holiday")]
    assert restpoint("reassign", execution_id, "group:").returncode == 2


def test_of_several_open_prompts_one_is_named(restpoint: Command, asked: Callable[..., str], path: Path) -> None:
    execution_id = asked()

    async def another(store: ExecutionStore) -> None:
        await store.set_interaction_required(execution_id, PAY, "second")

    act(path, another)
    ran = restpoint("claim", execution_id)
    assert ran.returncode == 2
    assert "--interaction" in ran.stderr
    assert restpoint("claim", execution_id, "--interaction", "second").returncode == 0
    assert stored(path)[1] == "ursula"


@pytest.mark.parametrize("command", [("claim",), ("unclaim",), ("delegate", "x"), ("reassign", "x")])
def test_where_nothing_is_asked_there_is_nothing_to_do(
    restpoint: Command, asked: Callable[..., str], path: Path, command: tuple[str, ...]
) -> None:
    execution_id = asked()
    restpoint("answer", execution_id, "Ada")
    name, *to = command
    ran = restpoint(name, execution_id, *to)
    assert ran.returncode == 2
    assert "asks nothing" in ran.stderr
    assert restpoint(name, "none", *to).returncode == 3


# --- Votes -----------------------------------------------------------------------------------------------------------


def test_votes_are_cast_and_shown(restpoint: Command, asked: Callable[..., str], path: Path) -> None:
    execution_id = asked(PAY, assignees=["ursula", "ada", "joan"], votes=2)
    assert "0 voted, 2 equal votes decide: Pay?" in restpoint("inbox").stdout
    for _ in range(2):  # again: it counts once
        ran = restpoint("answer", execution_id, "--yes")
        assert (ran.returncode, ran.stderr.startswith("Voted on ")) == (0, True), ran.stderr
    assert "votes       1 voted, 2 equal votes decide (ursula)" in restpoint("show", execution_id).stdout
    assert restpoint("inbox").stderr.strip() == "Nothing waits for you."
    for command in (("answer", execution_id, "--no"), ("delegate", execution_id, "zoe")):
        ran = restpoint(*command)
        assert ran.returncode == 1
        assert "That vote stands" in ran.stderr
    ran = restpoint("claim", execution_id)
    assert ran.returncode == 4
    assert "nobody claims it" in ran.stderr

    async def agree(store: ExecutionStore) -> None:
        record = await store.get(execution_id)
        assert record is not None
        ids = execution_id, record.pending_interactions[0].interaction_id
        await store.resolve_interaction(*ids, HumanResponseBinary(selected_option=YES), actor="joan")

    act(path, agree)
    assert "by its votes: Yes" in restpoint("show", execution_id).stdout
    told = restpoint("history", execution_id).stdout
    assert told.count("interaction_voted") == 2
