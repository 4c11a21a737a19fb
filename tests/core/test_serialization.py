"""What may be stored: JSON and nothing else, the same after a restart as before."""

import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from restpoint import ExecutionStore
from restpoint._core.serialization import MAX_DEPTH, MAX_TEXT_LENGTH, check_text, decode, encode
from restpoint.errors import NotJSON
from support import TEXT, ManualClock, dump, rows


class Money(BaseModel):
    amount: Decimal
    paid_on: datetime


class Broken(BaseModel):
    thing: Any


def nested(depth: int, *, of: str = "list") -> Any:
    """``depth`` containers in one another."""
    value: Any = 1
    for _ in range(depth):
        value = [value] if of == "list" else {"k": value}
    return value


FINE: dict[str, Any] = {
    "null": None,
    "true": True,
    "zero": 0,
    "2**63": 2**63,
    "2**70": 2**70,
    "-2**70": -(2**70),
    "a float": 0.1,
    "the largest float": 1.7976931348623157e308,
    "minus zero": -0.0,
    "empty text": "",
    "a NUL": "a\x00b",
    "bidi controls": "\u202eabc\u2066def\u2069",
    "an emoji": "🧑‍🚀",
    "line separators": "a\u2028b\u2029c",
    "the last code point": "\U0010ffff",
    "quotes and braces": '"}]{[\\"',
    "an empty list": [],
    "an empty dict": {},
    "an empty key": {"": 1},
    "a long list": list(range(1000)),
    "many small ones": [{"a": [1]}] * 500,
    "as deep as may be": nested(MAX_DEPTH),
    "as deep as may be, dicts": nested(MAX_DEPTH, of="dict"),
}


@pytest.mark.parametrize("value", FINE.values(), ids=FINE.keys())
def test_what_is_json_comes_back_equal(value: Any) -> None:
    text = encode(value)
    assert decode(text) == value
    assert json.loads(text) == value
    assert type(decode(text)) is type(value)


def test_a_whole_number_stays_one_and_a_float_stays_a_float() -> None:
    assert encode([1, 1.0, True]) == "[1,1.0,true]"
    assert [type(item) for item in decode(encode([1, 1.0, True]))] == [int, float, bool]


def test_a_tuple_is_an_array() -> None:
    assert decode(encode({"pair": (1, (2,))})) == {"pair": [1, [2]]}


def test_models_are_taken_in_their_json_form_wherever_they_stand() -> None:
    money = Money(amount=Decimal("9.90"), paid_on=datetime(2027, 1, 15, tzinfo=UTC))
    as_json = {"amount": "9.90", "paid_on": "2027-01-15T00:00:00Z"}
    assert decode(encode(money)) == as_json
    assert decode(encode({"rows": [1, money]})) == {"rows": [1, as_json]}


REFUSED: list[tuple[str, Any, str, str]] = [
    ("an object", object(), "$", "object"),
    ("a set", {"a": [{1}]}, "$.a[0]", "set"),
    ("bytes", [b"x"], "$[0]", "bytes"),
    ("a date", {"when": datetime(2027, 1, 1, tzinfo=UTC)}, "$.when", "datetime"),
    ("a decimal", {"rows": [0, {"price": Decimal(1)}]}, "$.rows[1].price", "Decimal"),
    ("a uuid", UUID(int=1), "$", "UUID"),
    ("NaN", [1, math.nan], "$[1]", "not a JSON number"),
    ("infinity", {"x": math.inf}, "$.x", "not a JSON number"),
    ("minus infinity", -math.inf, "$", "not a JSON number"),
    ("a number as key", {"a": {1: 2}}, "$.a", "key 1 is int"),
    ("a bool as key", {True: 2}, "$", "key True is bool"),
    ("None as key", {None: 2}, "$", "key None is NoneType"),
    ("half a surrogate pair", ["ok", "\udc00"], "$[1]", "surrogate"),
    ("half a surrogate pair as key", {"a": {"\ud83d": 1}}, "$.a", "surrogate"),
    ("under a key with a blank", {"a b": {"c-d": {1}}}, '$["a b"]["c-d"]', "set"),
    ("a model with no JSON form", [Broken(thing=object())], "$[0]", "no JSON form"),
    ("a generator", [iter([1])], "$[0]", "iterator"),
]


@pytest.mark.parametrize(("value", "path", "problem"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_is_not_json_is_refused_with_its_path(value: Any, path: str, problem: str) -> None:
    with pytest.raises(NotJSON) as caught:
        encode(value)
    assert caught.value.path == path
    assert path in str(caught.value)
    assert problem in str(caught.value)
    assert caught.value.code == "not_json"


@pytest.mark.parametrize("of", ["list", "dict"])
@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 5_000, 100_000])
def test_what_is_nested_too_deep_is_refused(depth: int, of: str) -> None:
    with pytest.raises(NotJSON, match=f"nested deeper than {MAX_DEPTH}") as caught:
        encode(nested(depth, of=of))
    assert len(str(caught.value)) < 1_000  # and the message stays one that can be read


def test_a_value_that_contains_itself_is_refused() -> None:
    value: list[Any] = [1]
    value.append({"again": value})
    with pytest.raises(NotJSON, match="nested deeper"):
        encode(value)


def test_the_limit_is_in_bytes_and_exact() -> None:
    assert encode("ä" * 10, limit=22) == '"ääääääääää"'
    with pytest.raises(NotJSON, match="22 bytes of JSON and the limit is 21"):
        encode("ä" * 10, limit=21)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON_VALUES)
def test_any_json_value_comes_back_equal(value: Any) -> None:
    assert decode(encode(value)) == value


@pytest.mark.parametrize(
    ("text", "problem"),
    [("a\x00b", "NUL"), ("\ud800", "surrogate"), ("x" * (MAX_TEXT_LENGTH + 1), "limit is 65536")],
    ids=["a NUL", "half a surrogate pair", "too long"],
)
def test_text_that_names_something_is_refused_where_it_cannot_be_stored(text: str, problem: str) -> None:
    with pytest.raises(NotJSON, match=problem):
        check_text("reason", text)


def test_text_that_names_something_must_be_text() -> None:
    with pytest.raises(NotJSON, match=r"reason .*it is int and must be text"):
        check_text("reason", 7)  # type: ignore[arg-type]
    assert check_text("reason", "x" * MAX_TEXT_LENGTH) == "x" * MAX_TEXT_LENGTH
    assert check_text("reason", "\u202e weird but text") == "\u202e weird but text"


# --- Through a store, and a restart ----------------------------------------------------------------------------------


async def test_every_fine_result_survives_a_restart(path: Path, clock: ManualClock) -> None:
    ids = {}
    async with ExecutionStore(database=path, clock=clock) as store:
        for name, value in FINE.items():
            record = await store.create_execution()
            await store.set_completed(record.execution_id, value)
            assert record.result == value
            ids[name] = record.execution_id
    async with ExecutionStore(database=path, clock=clock) as store:
        for name, one in ids.items():
            found = await store.get(one)
            assert found is not None
            assert found.result == FINE[name]
            assert type(found.result) is type(FINE[name])
    assert rows(path, "SELECT count(*) FROM executions WHERE json_valid(result)") == [(len(FINE),)]


@pytest.mark.parametrize(
    "value", [row[1] for row in REFUSED] + [nested(100_000)], ids=[row[0] for row in REFUSED] + ["too deep"]
)
async def test_no_refused_result_changes_anything(store: ExecutionStore, path: Path, value: Any) -> None:
    record = await store.create_execution()
    before = dump(path)
    with pytest.raises(NotJSON):
        await store.set_completed(record.execution_id, value)
    assert dump(path) == before
    assert record.status == "running"


async def test_the_result_is_a_value_and_not_the_callers_object(store: ExecutionStore) -> None:
    record = await store.create_execution()
    mine = {"list": [1]}
    await store.set_completed(record.execution_id, mine)
    mine["list"].append(2)
    assert record.result == {"list": [1]}
    record.result["list"].append(3)
    assert record.result == {"list": [1]}


@pytest.mark.parametrize("bad", ["a\x00b", "\ud800", "x" * (MAX_TEXT_LENGTH + 1), 7])
async def test_every_text_argument_is_checked_before_anything_is_written(
    store: ExecutionStore, path: Path, bad: Any
) -> None:
    record = await store.create_execution()
    one = record.execution_id
    pending = await store.set_interaction_required(one, TEXT)
    before = dump(path)
    for attempt in (
        store.create_execution(workflow=bad),
        store.create_execution(owner=bad),
        store.create_execution(actor=bad),
        store.set_interaction_required(one, TEXT, bad),
        store.set_interaction_required(one, TEXT, actor=bad),
        store.set_oauth_required(one, bad, "state"),
        store.set_oauth_required(one, "https://id.example/go", bad),
        store.set_running(one, actor=bad),
        store.set_completed(one, 1, actor=bad),
        store.set_failed(one, bad),
        store.set_failed(one, "error", code=bad),
        store.cancel(one, bad),
        store.cancel(one, "reason", actor=bad),
        store.resolve_interaction(one, pending.interaction_id, {"type": "text", "text": "x"}, actor=bad),
        store.withdraw(one, pending.interaction_id, bad),
        store.hold(one, bad),
        store.release(one, actor=bad),
        store.remove(one, actor=bad),
    ):
        with pytest.raises(NotJSON):
            await attempt
    assert dump(path) == before
