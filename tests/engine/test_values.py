"""What is written is what is read: results and inputs come back equal and of the same types, or are refused before that."""

import asyncio
import json
import sys
from collections import Counter, defaultdict, deque
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any
from zoneinfo import ZoneInfo

import annotated
import hypothesis
import pytest
from annotated import ANNOTATIONS, FIRST, flow, shown
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

import support
from restpoint import ExecutionStore, Runner
from runners import until

# --- Values for each annotation ---

_text = st.text(max_size=8)
_whole = st.integers()
_fractions = st.floats(allow_nan=True)
_zones = st.none() | st.just(UTC) | st.builds(timezone, st.timedeltas(timedelta(hours=-23), timedelta(hours=23)))
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
_people = st.builds(annotated.Person, **_person)  # type: ignore[arg-type]
_customers = st.builds(annotated.Customer, **_person, discount=_decimals.filter(lambda each: each.is_finite()))  # type: ignore[arg-type]
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


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=pytest.mark.deep)])
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
    assert kept[True] > kept[False], "most values that fit their annotation are kept"
    print(f"{len(examples)} results: {kept[True]} equal, {kept[False]} refused or a float for a whole number")
