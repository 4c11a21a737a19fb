"""Who may do what: the policy's rules, one by one."""

from pathlib import Path

import pytest

from restpoint import ExecutionStore
from restpoint.access import DEFAULT_POLICY, Actor, Question, Subject
from restpoint.errors import InvalidArgument
from restpoint.prompts import HumanResponseText
from support import TEXT, dump

ADA, GRACE = Actor("ada"), Actor("grace")
CLERK = Actor("joan", groups=frozenset({"finance"}))
OPERATOR, READER = Actor("op", roles=frozenset({"operator"})), Actor("eye", roles=frozenset({"reader"}))
EVERYONE = (ADA, GRACE, CLERK, OPERATOR, READER)

policy = DEFAULT_POLICY


def who(allowed: object) -> set[str]:
    return {actor.id for actor in EVERYONE if allowed(actor)}  # type: ignore[operator]


def test_an_execution_exists_for_its_owner_its_assignees_operators_and_readers() -> None:
    mine = Subject("ada", frozenset({"group:finance"}))
    assert who(lambda actor: policy.may_see(actor, mine)) == {"ada", "joan", "op", "eye"}
    assert who(lambda actor: policy.may_see(actor, Subject("ada"))) == {"ada", "op", "eye"}
    assert who(lambda actor: policy.may_see(actor, Subject(None))) == {"op", "eye"}


def test_an_assignee_sees_the_prompts_addressed_to_them_and_no_others() -> None:
    assert who(lambda actor: policy.may_see_prompt(actor, Question("ada", ("grace",)))) == {
        "ada",
        "grace",
        "op",
        "eye",
    }
    assert who(lambda actor: policy.may_see_prompt(actor, Question("ada"))) == {"ada", "op", "eye"}


def test_a_prompt_that_names_nobody_is_answered_by_the_owner() -> None:
    assert who(lambda actor: policy.may_answer(actor, Question("ada"))) == {"ada", "op"}
    assert who(lambda actor: policy.may_answer(actor, Question(None))) == {"op"}


def test_a_prompt_that_names_people_or_groups_is_answered_by_these() -> None:
    assert who(lambda actor: policy.may_answer(actor, Question("ada", ("grace", "group:finance")))) == {
        "grace", "joan", "op",
    }  # fmt: skip


def test_with_four_eyes_the_owner_never_answers_not_even_as_an_operator_or_assignee() -> None:
    boss = Actor("ada", groups=frozenset({"finance"}), roles=frozenset({"operator"}))
    assert not policy.may_answer(boss, Question("ada", ("ada", "group:finance"), four_eyes=True))
    assert policy.may_answer(OPERATOR, Question("ada", four_eyes=True))
    assert policy.may_answer(CLERK, Question("ada", ("group:finance",), four_eyes=True))


def test_by_what_right_a_prompt_is_answered_is_the_first_of_those_that_hold() -> None:
    boss = Actor("ada", groups=frozenset({"finance"}), roles=frozenset({"operator"}))
    addressed = ("ada", "group:finance", "grace")
    for assignees, right in ((addressed, "assignee"), (addressed[1:], "group:finance"), ((), "owner")):
        assert policy.authority(boss, Question("ada", assignees)) == right
    # Who owns it may not answer what is addressed to others; an operator may.
    assert policy.authority(boss, Question("ada", ("grace",))) == "operator"
    assert policy.authority(boss, Question("grace")) == "operator"
    assert policy.authority(GRACE, Question("ada", ("joan",))) == "policy"


def test_a_person_and_a_group_of_one_name_are_two_things() -> None:
    person = Actor("finance")
    assert not policy.may_answer(person, Question("ada", ("group:finance",)))
    assert not policy.may_answer(CLERK, Question("ada", ("finance",)))
    with pytest.raises(InvalidArgument, match="name of a group"):
        Actor("group:finance")


@pytest.mark.parametrize(
    "name", ["", " ", "group:", "group: ", "ada ", " ada", "group: finance", "group:finance ", "\tada"]
)
async def test_an_assignee_that_can_reach_nobody_is_refused(store: ExecutionStore, path: Path, name: str) -> None:
    record = await store.create_execution(owner="ada")
    before = dump(path)
    with pytest.raises(InvalidArgument, match="can reach nobody"):
        await store.set_interaction_required(record.execution_id, TEXT, assignees=["grace", name])
    assert dump(path) == before


async def test_a_name_is_one_however_its_accents_are_written(store: ExecutionStore, path: Path) -> None:
    """A letter with an accent is one character, or a letter and the accent behind it."""
    composed, decomposed = "Jos\u00e9", "Jose\u0301"
    assert Actor(decomposed, groups=frozenset({decomposed})) == Actor(composed, groups=frozenset({composed}))
    record = await store.create_execution(owner=decomposed, actor=decomposed)
    await store.set_interaction_required(record.execution_id, TEXT, "w", assignees=[decomposed, f"group:{decomposed}"])
    assert record.owner == composed
    for name in (composed, decomposed):
        assert [item.assignees for item in (await store.inbox([name])).items] == [(composed, f"group:{composed}")]
        for page in (await store.list(owner=name), await store.list(visible_to=[name])):
            assert [item.execution_id for item in page.items] == [record.execution_id]
    await store.resolve_interaction(record.execution_id, "w", HumanResponseText(text="yes"), actor=decomposed)
    assert await store.has_answered(record.execution_id, composed)
    assert [each.answered_by for each in await store.answered_by(decomposed)] == [composed]
    assert {entry.actor for entry in await store.history(record.execution_id)} == {None, composed}


def test_a_consent_is_shown_to_the_owner_only() -> None:
    assert who(lambda actor: policy.may_see_consent(actor, Subject("ada"))) == {"ada"}
    assert who(lambda actor: policy.may_see_consent(actor, Subject(None))) == {"op"}


@pytest.mark.parametrize("verb", ["may_cancel", "may_remove"])
def test_cancelling_and_removing_is_for_owners_and_operators(verb: str) -> None:
    subject = Subject("ada", frozenset({"grace", "group:finance"}))
    assert who(lambda actor: getattr(policy, verb)(actor, subject)) == {"ada", "op"}


def test_histories_are_for_owners_operators_and_readers() -> None:
    subject = Subject("ada", frozenset({"grace"}))
    assert who(lambda actor: policy.may_read_history(actor, subject)) == {"ada", "op", "eye"}


def test_actors_are_equal_by_value_and_take_any_set_of_names() -> None:
    assert Actor("ada", groups={"a", "b"}) == Actor("ada", groups=frozenset({"b", "a"}))  # type: ignore[arg-type]
    assert len({Actor("ada"), Actor("ada")}) == 1
    with pytest.raises(InvalidArgument, match="set of names"):
        Actor("ada", groups="finance")  # type: ignore[arg-type]
