"""Forms for tests of every interface: models of the subset that a form can say, each with a value."""

from datetime import UTC, date, datetime, timedelta, timezone
from enum import Enum
from typing import Any, Literal, NamedTuple

from hypothesis import strategies as st
from pydantic import AnyUrl, BaseModel, Field, create_model

NAMES = ["amount", "until", "how", "notes", "id", "b_2"]
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
WORDS = st.text("abcdefgh ,=:'é√1", min_size=1, max_size=8).filter(lambda word: word.strip() == word)
EMAILS = st.sampled_from(["ada@example.org", "a.b+c@x", "o'neil@sub.example.com"])
URIS = st.sampled_from(
    ["https://example.org/a?b=c#d", "mailto:ada@example.org", "urn:isbn:0451450523", "http://[::1]:8000/"]
)


class Case(NamedTuple):
    """A model, and an instance of it."""

    model: type[BaseModel]
    value: BaseModel


class _One(NamedTuple):
    annotation: Any
    value: Any
    said: dict[str, Any]


def _between(draw: st.DrawFn, size: int, least: str, most: str) -> dict[str, int]:
    """Limits that ``size`` is within, or none."""
    said = {least: size - draw(st.integers(0, size)), most: size + draw(st.integers(0, 5))}
    return {name: limit for name, limit in said.items() if draw(st.booleans())}


@st.composite
def _texts(draw: st.DrawFn) -> _One:
    value = draw(TEXTS)
    said: dict[str, Any] = _between(draw, len(value), "min_length", "max_length")
    return _One(str, value, {**said, "json_schema_extra": {"x-multiline": True}} if draw(st.booleans()) else said)


@st.composite
def _numbers(draw: st.DrawFn) -> _One:
    if draw(st.booleans()):
        whole = draw(st.integers(-(10**20), 10**20))
        return _One(int, whole, {} if draw(st.booleans()) else {"ge": whole - 1, "lt": whole + 2})
    value = draw(st.floats(allow_nan=False, allow_infinity=False))
    return _One(float, value, {} if draw(st.booleans()) else {"ge": value, "le": value})


@st.composite
def _choices(draw: st.DrawFn) -> _One:
    values = draw(st.lists(WORDS, min_size=1, max_size=5, unique=True))
    kind: Any = Literal[tuple(values)]
    options: list[Any] = list(values)
    if draw(st.booleans()):
        members = Enum("Members", [(f"OPTION_{number}", value) for number, value in enumerate(values)])  # type: ignore[misc]
        kind, options = members, list(members)
    titled = [{"const": value, "title": draw(WORDS)} for value in values]
    said: dict[str, Any] = {}
    if draw(st.booleans()):
        if draw(st.booleans()):
            said["json_schema_extra"] = {"oneOf": titled}
        return _One(kind, draw(st.sampled_from(options)), said)
    chosen = draw(st.lists(st.sampled_from(options), unique=True))
    if draw(st.booleans()):
        said["json_schema_extra"] = {"anyOf": titled}
    return _One(list[kind], chosen, {**said, **_between(draw, len(chosen), "min_length", "max_length")})


ZONES = st.integers(-(23 * 60), 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)) if minutes else UTC)
FIELDS = st.one_of(
    _texts(),
    _numbers(),
    _choices(),
    st.booleans().map(lambda value: _One(bool, value, {})),
    st.dates().map(lambda value: _One(date, value, {})),
    st.datetimes(timezones=ZONES).map(lambda value: _One(datetime, value, {})),
    EMAILS.map(lambda value: _One(str, value, {"json_schema_extra": {"format": "email"}})),
    URIS.map(lambda value: _One(AnyUrl, AnyUrl(value), {})),
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A model of one to five fields; some of them are optional, or have a default."""
    fields: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True)):
        one = draw(FIELDS)
        said = {**one.said, **draw(st.sampled_from([{}, {"title": "A <title>"}, {"description": "Why <b>we</b> ask"}]))}
        match draw(st.sampled_from(["required", "optional", "left out", "default"])):
            case "required":
                fields[name] = (one.annotation, Field(**said))
                values[name] = one.value
            case "default":
                fields[name] = (one.annotation, Field(default=one.value, **said))
                values[name] = one.value
            case "optional":
                fields[name] = (one.annotation | None, Field(default=None, **said))
                values[name] = one.value
            case _:
                fields[name] = (one.annotation | None, Field(default=None, **said))
    model = create_model("Form", **fields)
    return Case(model, model(**values))
