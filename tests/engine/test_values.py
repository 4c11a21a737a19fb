"""What is written is what is read: results and inputs come back equal and of the same types, or are refused before that."""

import asyncio
import gc
import json
import sys
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any
from zoneinfo import ZoneInfo

import hypothesis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

import annotated
import support
from annotated import ANNOTATIONS, FIRST, flow, shown
from restpoint import Context, ExecutionStore, Runner, workflow
from restpoint._engine.typed import Typed, is_large, is_long
from restpoint.errors import IdempotencyConflict, InputNotAccepted, NotJSON
from runners import WAYS, completed, question, until
from support import rows, sql

# --- Values for each annotation ---

_text = st.text(max_size=8)
_whole = st.integers()
_fractions = st.floats(allow_nan=True)
_zones = st.none() | st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_moments = st.datetimes(timezones=_zones) | st.just(
    datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin"))
)
_decimals = st.decimals() | st.sampled_from([Decimal("1.0"), Decimal("1.00"), Decimal("1E+3"), Decimal("NaN")])
_json: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | _whole | st.floats(allow_nan=False) | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=8,
)
_leaves = st.one_of(
    _json, st.binary(max_size=4), _moments, st.dates(), st.times(timezones=_zones), st.timedeltas(), _decimals, st.uuids(),
    st.sampled_from([*annotated.Colour, *annotated.Size, *annotated.State, *annotated.Corner]),
    st.builds(annotated.Text, _text), st.builds(SecretStr, _text), st.builds(PurePosixPath, st.sampled_from(["/a", "b"])),
)  # fmt: skip
_anything: st.SearchStrategy[Any] = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.lists(inner, max_size=3).map(tuple), st.dictionaries(_text, inner, max_size=3),
        st.dictionaries(_whole | st.dates() | st.booleans() | st.none(), inner, max_size=2),
        st.sets(_whole | _text, max_size=3), st.builds(annotated.Page[Any], items=st.lists(inner, max_size=2)),
    ),
    max_leaves=6,
)  # fmt: skip
_addresses = st.builds(annotated.Address, street=_text, number=st.none() | _whole)
_person = {
    "name": _text,
    "born": st.none() | st.dates(),
    "address": st.none() | _addresses,
    "tags": st.sets(_text, max_size=3),
}
_people = st.builds(annotated.Person, **_person)
_customers = st.builds(annotated.Customer, **_person, discount=_decimals.filter(lambda each: each.is_finite()))
_receipts = st.builds(
    annotated.Receipt, number=_whole, at=_moments, lines=st.lists(st.tuples(_text, _decimals), max_size=2)
)
_rows = st.fixed_dictionaries({"id": _whole, "label": _text}) | st.fixed_dictionaries({"label": _text, "id": _whole})
_nodes = st.recursive(
    st.builds(annotated.Node, value=_whole),
    lambda inner: st.builds(annotated.Node, value=_whole, children=st.lists(inner, max_size=2)),
)  # fmt: skip
_names = st.lists(_text, max_size=3)

FITTING: dict[str, st.SearchStrategy[Any]] = {
    "nothing said": _json, "anything": _json, "int": _whole, "float": _fractions | _whole, "str": _text, "bool": st.booleans(),
    "bytes": st.binary(max_size=6), "decimal": _decimals, "datetime": _moments, "date": st.dates(),
    "time": st.times(timezones=_zones), "timedelta": st.timedeltas(), "uuid": st.uuids(),
    "path": st.builds(PurePosixPath, st.sampled_from(["/a/b", "c", ""])), "address": st.ip_addresses(v=4),
    "colour": st.sampled_from(annotated.Colour), "size": st.sampled_from(annotated.Size),
    "state": st.sampled_from(annotated.State), "corner": st.sampled_from(annotated.Corner),
    "literal": st.sampled_from(["a", 1, True]), "optional": st.none() | _whole,
    "union": _whole | _fractions | _text | st.booleans(), "dates": st.dates() | _text | st.just("2026-01-01"),
    "list": st.lists(_anything, max_size=3), "dict": st.dictionaries(_text | _whole, _anything, max_size=3),
    "tuple": st.lists(_anything, max_size=3).map(tuple), "set": st.sets(_whole | _text, max_size=3),
    "ints": st.lists(_whole), "decimals": st.lists(_decimals, max_size=3),
    "pairs": st.dictionaries(_text, st.tuples(_whole, _text), max_size=3),
    "by number": st.dictionaries(_whole, _text, max_size=3), "by date": st.dictionaries(st.dates(), _fractions, max_size=3),
    "by pair": st.dictionaries(st.tuples(_whole, _whole), _text, max_size=2), "strings": st.sets(_text, max_size=3),
    "frozen": st.frozensets(_whole | st.booleans(), max_size=3), "bounded": st.lists(_whole, max_size=3).map(tuple),
    "mixed": st.tuples(_whole, _text, _fractions), "queue": st.lists(_whole, max_size=3).map(deque),
    "defaults": st.dictionaries(_text, _whole, max_size=3).map(lambda each: defaultdict(int, each)),
    "secret": st.builds(SecretStr, _text), "json": st.lists(_whole, max_size=3), "positive": _whole,
    "person": _people | _customers,
    "people": st.lists(_people | _customers, max_size=3), "customer or person": _customers | _people,
    "aliased": st.builds(annotated.Aliased, cardNo=_text, creditLimit=_decimals.filter(lambda each: each.is_finite())),
    "read by alias": st.builds(annotated.ReadByAlias, cardNo=_text), "swapped": st.builds(annotated.Swapped, a=_whole, b=_whole),
    "excluded": st.builds(annotated.Excluded, name=_text, hint=_text), "computed": st.builds(annotated.Computed, width=_whole),
    "open": st.builds(annotated.Open, name=_text, more=_anything),
    "private": st.builds(annotated.Private.noticed, _text, st.integers(0, 1)),
    "login": st.builds(annotated.Login, user=_text, password=st.builds(SecretStr, _text)),
    "page": st.builds(annotated.Page[annotated.Person], items=st.lists(_people | _customers, max_size=2)),
    "page of ints": st.builds(annotated.Page[int], items=st.lists(_whole, max_size=2), next=_text),
    "names": st.builds(annotated.Names, _names), "node": _nodes,
    "pet": st.builds(annotated.Cat, lives=_whole) | st.builds(annotated.Dog, tricks=_names),
    "receipt": _receipts, "receipts": st.dictionaries(_text, _receipts, max_size=2),
    "checked": st.builds(annotated.Checked, width=st.floats(allow_nan=False) | _whole, unit=st.sampled_from(["mm", "cm"])),
    "row": _rows, "rows": st.lists(_rows, max_size=2), "point": st.builds(annotated.Point, _fractions, st.floats() | _whole),
}  # fmt: skip

EXAMPLES = st.sampled_from(list(ANNOTATIONS)).flatmap(
    lambda name: st.tuples(st.just(name), st.one_of(FITTING[name], FITTING[name], FITTING[name], _anything))
)


async def _came_to(path: Path) -> dict[str, tuple[list[str] | None, str | None]]:
    """What each execution came to in another process, by its owner."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, annotated.__file__, str(path), stdout=asyncio.subprocess.PIPE, env=support.variables()
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return {owner: (result, problem) for owner, result, problem in map(json.loads, out.splitlines())}


@pytest.mark.parametrize("count", [150, pytest.param(10_000, marks=pytest.mark.deep)])
async def test_a_result_is_equal_and_of_the_same_type_after_a_replay_in_another_process_or_is_refused(
    store: ExecutionStore, path: Path, count: int, request: pytest.FixtureRequest
) -> None:
    examples: list[tuple[str, Any]] = []
    deep = request.node.get_closest_marker("deep") is not None

    @settings(
        max_examples=count, derandomize=not deep, suppress_health_check=list(hypothesis.HealthCheck), database=None
    )
    @given(EXAMPLES)
    def collect(example: tuple[str, Any]) -> None:
        examples.append(example)

    collect()
    batches = {str(at): examples[at : at + 100] for at in range(0, len(examples), 100)}
    values = {owner: [value for _, value in batch] for owner, batch in batches.items()}
    async with Runner(store, [flow(values)], hold_paused_for=0) as runner:
        for owner, batch in batches.items():
            record = (await runner.start("values", [name for name, _ in batch], owner=owner)).record
            await until(record, lambda record=record: record.status != "running")  # type: ignore[misc]
    await store.close()

    came_to = await _came_to(path)
    assert came_to == {owner: (FIRST[owner], None) for owner in batches}
    kept = Counter[bool]()
    for owner, batch in batches.items():
        for (name, value), first in zip(batch, FIRST[owner], strict=True):
            kept[first == shown(value)] += 1
            whole_for_float = annotated.floats(first) == annotated.floats(shown(value))
            assert first == shown(value) or first.startswith("NotJSON ") or whole_for_float, (name, value)
    assert kept[True] > count / 4, "what fits its annotation is mostly kept"
    print(f"{len(examples)} results: {kept[True]} equal, {kept[False]} refused or a float for a whole number")


@pytest.mark.parametrize("count", [150, pytest.param(10_000, marks=pytest.mark.deep)])
def test_an_input_comes_back_equal_and_of_the_same_type_or_is_refused(
    count: int, request: pytest.FixtureRequest
) -> None:
    deep = request.node.get_closest_marker("deep") is not None

    @settings(
        max_examples=count, derandomize=not deep, suppress_health_check=list(hypothesis.HealthCheck), database=None
    )
    @given(EXAMPLES)
    def each(example: tuple[str, Any]) -> None:
        _comes_back_equal_or_is_refused(*example)

    each()


def _comes_back_equal_or_is_refused(name: str, value: Any) -> None:
    taking = workflow("w")(_taking(ANNOTATIONS[name]))
    try:
        text = taking.write_input(value)
    except InputNotAccepted:
        return
    (read,) = taking.arguments(text)
    if not _is_json(value):  # JSON is read as the annotation says, as what comes over HTTP is
        assert annotated.floats(shown(read)) == annotated.floats(shown(value))
    else:
        assert shown(taking.arguments(text)[0]) == shown(read)


def _taking(annotation: Any) -> Callable[..., Any]:
    async def take(ctx: Context, value: Any) -> None: ...

    take.__annotations__["value"] = annotation
    return take


def _is_json(value: Any) -> bool:
    try:
        return shown(json.loads(json.dumps(value))) == shown(value)
    except (TypeError, ValueError):
        return False


# --- Sentences ---


def _card() -> annotated.Aliased:
    return annotated.Aliased(cardNo="42")


def _area() -> annotated.Computed:
    return annotated.Computed(width=3)


def _lie() -> int:
    return None  # type: ignore[return-value]


def _customer() -> annotated.Person:
    return annotated.Customer(name="Ada", born=None, discount=Decimal("0.1"))


def _login() -> annotated.Login:
    return annotated.Login(user="ada", password=SecretStr("hunter2"))


def _corner() -> annotated.Corner:
    return annotated.Corner.TOP


def _hinted() -> annotated.Excluded:
    return annotated.Excluded(name="Ada", hint="her mother")


def _by_pair() -> dict[tuple[int, int], str]:
    return {(1, 2): "x"}


def _numbered() -> dict:  # type: ignore[type-arg]
    return {"a": {1: "x"}}


def _times() -> list:  # type: ignore[type-arg]
    return [1, datetime(2026, 1, 1, tzinfo=UTC)]


def _unsaid():  # type: ignore[no-untyped-def] # noqa: ANN202
    return {"pair": (1, 2)}


def _unsaid_model():  # type: ignore[no-untyped-def] # noqa: ANN202
    return annotated.Computed(width=3)


def _state() -> str:
    return annotated.State.NEW


def _zero() -> float:
    return 0


def _berlin() -> datetime:
    return datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize("step", [_card, _area, _berlin])
@pytest.mark.parametrize("way", WAYS)
async def test_a_result_that_reads_back_is_the_same_on_the_first_run_and_on_every_replay(
    store: ExecutionStore, step: Callable[[], Any], way: str
) -> None:
    seen = await _seen(store, step, way)
    assert set(map(shown, seen)) == {shown(step())}


@pytest.mark.parametrize("way", WAYS)
async def test_a_whole_number_that_is_annotated_as_a_float_is_a_float_on_every_run(
    store: ExecutionStore, way: str
) -> None:
    assert set(map(repr, await _seen(store, _zero, way))) == {"0.0"}


MISFITS: list[tuple[Callable[[], Any], str, str]] = [
    (_lie, "$", "it is NoneType and annotated as int"),
    (_customer, "$", "is Customer and would read back as Person"),
    (_login, "$.password", "SecretStr"),
    (_corner, "$", "does not read back as Corner"),
    (_hinted, "$.hint", "another value"),
    (_by_pair, '$["1,2"]["[key]"]', "does not read back"),
    (_numbered, "$.a", "key 1 is int"),
    (_times, "$[1]", "datetime is not JSON"),
    (_unsaid, "$.pair", "tuple would read back as a list"),
    (_unsaid_model, "$", "Computed would read back as a dict"),
    (_state, "$", "State and would read back as str"),
]


# Whatever the value is, its refusal is recorded in the same way; a run that is dropped at every await reads it back most often.
@pytest.mark.parametrize(
    ("step", "at", "says", "way"),
    [(*each, "rebuilt") for each in MISFITS] + [(*MISFITS[0], way) for way in WAYS if way != "rebuilt"],
)
async def test_a_result_that_would_read_back_as_another_is_not_json_and_is_recorded_so(
    store: ExecutionStore, path: Path, step: Callable[[], Any], at: str, says: str, way: str
) -> None:
    seen = await _seen(store, step, way)
    assert {type(each) for each in seen} == {NotJSON}
    assert all(each.path == at and says in str(each) for each in seen)
    assert "hunter2" not in str(seen[0])
    assert rows(path, "SELECT result IS NULL, error IS NULL FROM journal WHERE kind = 'step'") == [(1, 0)]


async def _seen(store: ExecutionStore, step: Callable[[], Any], way: str) -> list[Any]:
    """What a workflow gets of a step, on its first run and on the replay after an answer."""
    seen: list[Any] = []

    @workflow
    async def see(ctx: Context) -> None:
        try:
            seen.append(await ctx.step(step))
        except NotJSON as error:
            seen.append(error)
        await ctx.ask(question("Go on?"))

    record = await completed(store, [see], "see", answers={"Go on?": "yes"}, **WAYS[way])
    assert record.status == "completed"
    assert seen
    return seen


async def test_a_large_result_is_equal_on_the_replay(store: ExecutionStore) -> None:
    """Large ones are written and read in a thread, by other code."""
    people = [annotated.Person(name=f"é{number}", born=date(2026, 1, 1), tags={"a"}) for number in range(1_500)]
    plain = [{"name": f"é{number:0250}", "price": 1.5, "more": [None, True, number]} for number in range(2_000)]
    assert is_long(json.dumps(plain, ensure_ascii=False))

    def listed() -> list[annotated.Person]:
        return people

    def named() -> dict[str, annotated.Person]:
        return {each.name: each for each in people}

    def unsaid():  # type: ignore[no-untyped-def] # noqa: ANN202
        return plain

    for step, value in ((listed, people), (named, named()), (unsaid, plain)):
        assert is_large(value)
        seen, words = await _seen(store, step, "rebuilt"), shown(value)
        assert len(seen) > 1
        assert all(each == value and shown(each) == words for each in seen)


class Line(BaseModel):
    number: int


@pytest.mark.parametrize("is_on", [True, False])
def test_no_garbage_is_collected_while_a_large_value_is_written_and_read(is_on: bool) -> None:
    """Each collection would look at all that was made until then, and hold the event loop meanwhile."""
    kind, collected = Typed(list[Line]), list[str]()

    def note(phase: str, _: object) -> None:
        collected.append(phase)

    value = [Line(number=number) for number in range(5_000)]
    threshold = gc.get_threshold()
    if not is_on:
        gc.disable()
    gc.set_threshold(1, 1, 1)
    gc.callbacks.append(note)
    try:
        collected.clear()
        written = kind.write(value, is_large=True)
        read = kind.read_beside(written.text)
        while_made = len(collected)
        assert gc.isenabled() == is_on
    finally:
        gc.callbacks.remove(note)
        gc.set_threshold(*threshold)
        gc.enable()
    assert written.value == read == value
    assert while_made < 100, "but for those between the two"


async def test_a_large_result_that_would_read_back_as_another_names_the_part(store: ExecutionStore) -> None:
    error = (await _seen(store, lambda: [*range(20_000), {"pair": (1, 2)}], "rebuilt"))[-1]
    assert isinstance(error, NotJSON)
    assert error.path == "$[20000].pair"


async def test_a_workflow_whose_result_would_read_back_as_another_fails_and_says_where(store: ExecutionStore) -> None:
    @workflow
    async def sloppy(ctx: Context) -> dict[str, Any]:
        return {"at": {"when": date(2026, 1, 1)}}

    record = await completed(store, [sloppy], "sloppy")
    assert (record.status, record.error_code) == ("failed", "not_json")
    assert "$.at.when" in str(record.error)


async def test_a_result_of_another_type_than_its_annotation_says_which_both_are(store: ExecutionStore) -> None:
    async def answer() -> str:
        return "Fine"

    @workflow
    async def unread(ctx: Context) -> str:
        return await ctx.ask(question("How are you?"))  # type: ignore[return-value]

    @workflow
    async def forgetful(ctx: Context) -> str:
        return forgotten  # type: ignore[return-value]

    forgotten = answer()
    first = (await completed(store, [unread], "unread", answers={"How are you?": "Fine"})).error
    second = (await completed(store, [forgetful], "forgetful")).error
    forgotten.close()
    assert "it is HumanResponseText and annotated as str (the workflow returned it)" in str(first)
    assert "it is coroutine and annotated as str; await the call that made it (the workflow returned it)" in str(second)


async def test_a_model_with_aliases_is_taken_as_an_input_and_read_by_its_aliases(store: ExecutionStore) -> None:
    @workflow
    async def pay(ctx: Context, card: annotated.Aliased) -> str:
        return shown(card)

    given = annotated.Aliased(cardNo="42", creditLimit=Decimal("1.50"))
    assert (await completed(store, [pay], "pay", given)).result == shown(given)
    assert (await completed(store, [pay], "pay", {"cardNo": "42", "creditLimit": "1.50"})).result == shown(given)


async def test_an_input_that_would_be_read_as_another_is_refused(store: ExecutionStore, path: Path) -> None:
    @workflow
    async def greet(ctx: Context, person: annotated.Person) -> str:
        return person.name

    async with Runner(store, [greet]) as runner:
        with pytest.raises(InputNotAccepted, match="Customer and would read back as Person"):
            await runner.start("greet", _customer())
    assert rows(path, "SELECT count(*) FROM executions") == [(0,)]


@pytest.mark.parametrize("again", [{"b": {"d": 1, "c": 2.0}, "a": [1, 2]}, {"a": [1, 2.0], "b": {"c": 2, "d": 1}}])
async def test_the_same_json_in_another_order_is_the_same_request_under_an_idempotency_key(
    store: ExecutionStore, again: Any
) -> None:
    @workflow
    async def echo(ctx: Context, value: Any) -> Any:
        return value

    async with Runner(store, [echo]) as runner:
        first = await runner.start("echo", {"a": [1, 2], "b": {"c": 2, "d": 1}}, idempotency_key="k")
        second = await runner.start("echo", again, idempotency_key="k")
        assert (second.created, second.record) == (False, first.record)
        with pytest.raises(IdempotencyConflict):
            await runner.start("echo", {"a": [2, 1], "b": {"c": 2, "d": 1}}, idempotency_key="k")


async def test_a_request_that_an_older_program_stored_as_it_was_sent_is_still_the_same_request(
    store: ExecutionStore, path: Path
) -> None:
    @workflow
    async def echo(ctx: Context, value: Any) -> Any:
        return value

    async with Runner(store, [echo]) as runner:
        first = await runner.start("echo", {"b": 1, "a": 2}, idempotency_key="k")
        digest = sha256(b'echo\n{"b":1,"a":2}').hexdigest()
        with sql(path) as connection:
            connection.execute(f"UPDATE runs SET request_sha256 = x'{digest}'")
        assert (await runner.start("echo", {"b": 1, "a": 2}, idempotency_key="k")).record is first.record
