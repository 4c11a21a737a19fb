"""Forms: the schema of a model, what it takes, and what is refused."""

import json
from datetime import date, datetime
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Annotated, Any, Literal

import jsonschema
import pytest
from annotated_types import Gt
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    AnyUrl,
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    PositiveInt,
    RootModel,
    StringConstraints,
    TypeAdapter,
    create_model,
    field_validator,
    model_validator,
)

from forms import EMAILS, NAMES, TEXTS, URIS, WORDS, Case, cases
from restpoint.errors import InvalidArgument, PromptNotAccepted, ResponseNotAccepted
from restpoint.prompts import (
    HumanPromptForm,
    HumanResponseForm,
    read_prompt,
    read_response,
    stored_prompt,
    write_prompt,
)
from restpoint.prompts.form_models import default_of, form_of, read_model, schema_of
from restpoint.prompts.form_schema import MAX_FIELDS


class Way(Enum):
    MAIL = "mail"
    CALL = "call"


class Refund(BaseModel):
    amount: Annotated[float, Field(ge=0, le=100, title="How much?")]
    count: PositiveInt
    until: date
    at: datetime | None = None
    page: AnyUrl | None = None
    mail: str = Field(default="ada@example.org", json_schema_extra={"format": "email"})
    way: Way = Field(
        default=Way.CALL,
        json_schema_extra={"oneOf": [{"const": "mail", "title": "By mail"}, {"const": "call", "title": "By phone"}]},
    )
    tags: set[Literal["new", "old"]] = Field(default={"new", "old"}, max_length=2)
    urgent: bool
    notes: Annotated[str, StringConstraints(min_length=1, max_length=500)] | None = Field(
        default=None, description="For the file", json_schema_extra={"x-multiline": True}
    )


CONTENT: dict[str, Any] = {"amount": 5, "count": 1, "until": "2026-12-31", "urgent": False}
TEXT: dict[str, Any] = {"type": "string"}


def form(
    *, required: tuple[str, ...] = (), initial: dict[str, Any] | None = None, **properties: Any
) -> HumanPromptForm:
    """A form with these fields, as it is read from a file."""
    schema = {"type": "object", "properties": properties, "required": list(required)}
    prompt = read_prompt({"input_type": "form", "text": "?", "requested_schema": schema, "initial": initial or {}})
    written = stored_prompt(write_prompt(prompt))
    assert isinstance(written, HumanPromptForm)
    return written


def accepted(prompt: HumanPromptForm, content: dict[str, Any]) -> dict[str, Any] | None:
    response = prompt.accepts(read_response({"type": "form", "content": content}))
    return response.content


def refusals(prompt: HumanPromptForm, content: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(ResponseNotAccepted) as refused:
        accepted(prompt, content)
    return {error.pointer: error.detail for error in refused.value.errors}


def test_the_schema_of_a_model_is_that_of_elicitation() -> None:
    assert json.loads(schema_of(Refund).model_dump_json()) == {
        "type": "object",
        "properties": {
            "amount": {"title": "How much?", "type": "number", "minimum": 0, "maximum": 100},
            "count": {"title": "Count", "type": "integer", "minimum": 1},
            "until": {"title": "Until", "type": "string", "format": "date"},
            "at": {"title": "At", "type": "string", "format": "date-time"},
            "page": {"title": "Page", "type": "string", "format": "uri"},
            "mail": {"title": "Mail", "type": "string", "format": "email", "default": "ada@example.org"},
            "way": {
                "title": "Way", "type": "string", "default": "call",
                "oneOf": [{"const": "mail", "title": "By mail"}, {"const": "call", "title": "By phone"}],
            },
            "tags": {
                "title": "Tags", "type": "array", "items": {"type": "string", "enum": ["new", "old"]},
                "maxItems": 2, "default": ["new", "old"],
            },
            "urgent": {"title": "Urgent", "type": "boolean"},
            "notes": {
                "title": "Notes", "description": "For the file", "type": "string", "minLength": 1, "maxLength": 500,
                "x-multiline": True,
            },
        },
        "required": ["amount", "count", "until", "urgent"],
    }  # fmt: skip


@pytest.mark.parametrize("count", [50, pytest.param(1_000, marks=pytest.mark.deep)])
def test_every_stored_schema_is_accepted_by_jsonschema_and_by_mcp(count: int) -> None:
    from mcp_types._v2025_11_25 import PrimitiveSchemaDefinition, RequestedSchema  # here, because it takes a while

    @given(cases())
    @settings(max_examples=count)
    def each_of(case: Case) -> None:
        schema = json.loads(write_prompt(form_of(case.model, text="?")))["requested_schema"]
        jsonschema.Draft202012Validator.check_schema(schema)
        RequestedSchema.model_validate(schema)
        for each in schema["properties"].values():
            TypeAdapter(PrimitiveSchemaDefinition).validate_python(each)
        content = json.loads(case.value.model_dump_json(exclude_none=True))
        jsonschema.validate(content, schema, format_checker=jsonschema.FormatChecker())

    each_of()


@given(cases())
@settings(max_examples=50)
def test_every_value_of_a_model_is_accepted_and_comes_back_equal(case: Case) -> None:
    prompt = form_of(case.model, text="?")
    assert stored_prompt(write_prompt(prompt)) == prompt
    content = accepted(prompt, json.loads(case.value.model_dump_json(exclude_none=True)))
    assert content is not None
    assert read_model(case.model, content) == case.value


ANY_CONTENT = st.dictionaries(
    st.sampled_from(NAMES),
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), TEXTS, WORDS, EMAILS, URIS, st.lists(WORDS, max_size=3),
        st.dates().map(str), st.datetimes().map(lambda at: f"{at.isoformat()}Z"), st.sampled_from(["0", "2026-01-01T00:00"]),
    ),
)  # fmt: skip


@given(cases(), ANY_CONTENT)
@settings(max_examples=100)
def test_the_model_takes_whatever_the_schema_takes(case: Case, content: dict[str, Any]) -> None:
    given = {name: value for name, value in content.items() if name in case.model.model_fields}
    full = {**json.loads(case.value.model_dump_json(exclude_none=True)), **given}
    try:
        taken = accepted(form_of(case.model, text="?"), full)
    except ResponseNotAccepted:
        return
    assert taken is not None
    assert isinstance(read_model(case.model, taken), case.model)


# --- What a form takes ---


def test_defaults_are_filled_in_at_the_answer() -> None:
    full = {**CONTENT, "mail": "ada@example.org", "way": "call", "tags": ["new", "old"]}
    assert accepted(form_of(Refund, text="?"), CONTENT) == full


@pytest.mark.parametrize(
    ("name", "value", "detail"),
    [
        ("amount", 100.5, "Give a number of at most 100."),
        ("amount", "5", "Give a number, such as 1234.5."),
        ("amount", True, "Give a number, such as 1234.5."),
        ("count", 0, "Give a number from 1."),
        ("count", 1.5, "Give a whole number, such as 1234."),
        ("until", "31.12.2026", "Give a date, such as 2026-01-31."),
        ("until", "1700000000", "Give a date, such as 2026-01-31."),
        ("until", "2026-02-30", "Give a date, such as 2026-01-31."),
        ("at", "2026-12-31T10:00:00", "Give a date and a time with its offset, such as 2026-01-31T09:30:00Z."),
        ("at", "1700000000", "Give a date and a time with its offset, such as 2026-01-31T09:30:00Z."),
        ("page", "example.org", "Give a URL, such as https://example.org/."),
        ("mail", "ada@", "Give an e-mail address, such as ada@example.org."),
        ("way", "fax", "Choose one of the options: mail (By mail), call (By phone)."),
        ("tags", ["new", "new"], "Choose each option once."),
        ("tags", ["late"], "Choose among the options: new, old."),
        ("tags", "new", "Choose among the options: new, old."),
        ("urgent", "yes", "Give true or false."),
        ("notes", "", "Give at least 1 character(s)."),
        ("notes", "x" * 501, "Give at most 500 character(s)."),
        ("notes", None, "Give a text."),
    ],
)
def test_a_wrong_value_is_refused_with_what_to_give(name: str, value: Any, detail: str) -> None:
    assert refusals(form_of(Refund, text="?"), {**CONTENT, name: value}) == {f"#/{name}": detail}


def test_each_field_has_one_error_and_unknown_ones_are_refused_by_name() -> None:
    found = refusals(form_of(Refund, text="?"), {"amount": "x", "count": "y", "amonut": 5})
    assert list(found) == ["#/amount", "#/count", "#/until", "#/urgent", "#/amonut"]
    assert found["#/urgent"] == "This field is required."
    assert found["#/amonut"].startswith("The form has no such field. It has: amount, count,")


def test_a_pointer_escapes_what_stands_for_something_else_in_one() -> None:
    """RFC 6901, sections 3 and 6."""
    assert list(refusals(form(a=TEXT), {"a/b~c d é": 1})) == ["#/a~1b~0c%20d%20%C3%A9"]


def test_a_read_only_field_keeps_its_value() -> None:
    prompt = form(order={**TEXT, "x-readonly": True}, note=TEXT, required=("order", "note"), initial={"order": "A7"})
    assert (
        accepted(prompt, {"note": "x"})
        == accepted(prompt, {"note": "x", "order": "A7"})
        == {"order": "A7", "note": "x"}
    )
    assert refusals(prompt, {"note": "x", "order": "A8"}) == {
        "#/order": 'This field is read-only. Leave it out, or send "A7".'
    }


def test_a_form_may_have_many_fields_and_long_labels() -> None:
    names = [f"field {number} " + "ü" * 490 for number in range(MAX_FIELDS)]
    right_to_left = {**TEXT, "title": "عنوان " * 80}
    prompt = form(**dict.fromkeys(names, right_to_left), required=tuple(names))
    assert accepted(prompt, dict.fromkeys(names, "<script>")) == dict.fromkeys(names, "<script>")
    assert len(refusals(prompt, {})) == MAX_FIELDS


@pytest.mark.parametrize(
    "response",
    [{"action": "submit"}, {"action": "decline", "content": {}, "comment": "x"}, {"action": "cancel"}, {"content": []}],
)
def test_a_response_that_is_no_form_is_refused(response: dict[str, Any]) -> None:
    with pytest.raises(ResponseNotAccepted):
        read_response({"type": "form", **response})


# --- Forms that cannot be asked ---


@pytest.mark.parametrize(
    ("properties", "named"),
    [
        ({}, "at least 1"),
        ({"a": {"type": "object", "properties": {}}}, "nothing nests"),
        ({"a": {"type": "string", "pattern": "x"}}, "pattern"),
        ({"a": {"type": "integer", "default": 1.5}}, "begins with 1.5"),
        ({"a": {"type": "string", "maxLength": 2, "default": "abc"}}, "at most 2"),
        ({"a": {"type": "string", "enum": ["x", "x"]}}, "same value"),
        ({"a": {"type": "string", "enum": []}}, "at least 1"),
        ({"a": {"type": "string", "enum": [""]}}, "at least 1 character"),
        ({"a": {"type": "array", "items": {"type": "integer"}}}, "Input should be 'string'"),
        ({"": {"type": "string"}}, "has a name"),
        ({f"f{number}": {"type": "string"} for number in range(MAX_FIELDS + 1)}, "at most 250"),
    ],
)
def test_a_schema_that_no_form_has_is_refused(properties: dict[str, Any], named: str) -> None:
    with pytest.raises(PromptNotAccepted, match=named):
        form(**properties)


def test_initial_values_must_be_values_of_fields() -> None:
    with pytest.raises(PromptNotAccepted, match="'b'"):
        form(a=TEXT, initial={"b": "x"})
    with pytest.raises(PromptNotAccepted, match="'a' begins with 5"):
        form(a=TEXT, initial={"a": 5})
    with pytest.raises(PromptNotAccepted, match="read-only and has no value"):
        form(a={**TEXT, "x-readonly": True}, required=("a",))


class Inner(BaseModel):
    x: int


class Number(IntEnum):
    ONE = 1


class _Base(BaseModel):
    a: int = 0


class Checked(_Base):
    @field_validator("a")
    @classmethod
    def _even(cls, value: int) -> int:
        return value


class CheckedWhole(_Base):
    @model_validator(mode="after")
    def _whole(self) -> "CheckedWhole":
        return self


class Made(_Base):
    def __init__(self, **data: Any) -> None:
        super().__init__(**data)


class Private(_Base):
    _cache: int = 0


class Stripping(_Base):
    model_config = ConfigDict(str_strip_whitespace=True)


class Whole(RootModel[int]):
    pass


class NoFields(BaseModel):
    pass


def one(annotation: Any, **said: Any) -> type[BaseModel]:
    """A model with this field."""
    return create_model("Model", a=(annotation, Field(**said)))


REFUSED = {
    "a nested model": (one(Inner), "'a' .* put its fields into this one"),
    "a list of models": (one(list[Inner]), "'a' .* list of an Enum"),
    "a list of texts": (one(list[str]), "'a' .* list of an Enum"),
    "a dict": (one(dict[str, int]), "'a' .* Instead, use str"),
    "anything": (one(Any), "'a' .* Instead, use str"),
    "a union": (one(int | str), "'a' .* union"),
    "None that is required": (one(int | None), "'a' .* default None"),
    "None beside a default": (one(int | None, default=5), "'a' .* default None"),
    "a default that is None": (one(int, default=None), "'a' .* annotate it"),
    "numbers to choose from": (one(Literal[1, 2]), "'a' .* offer texts"),
    "an enum of numbers": (one(Number), "'a' .* offer texts"),
    "an empty option": (one(Literal["", "x"]), "'a' .* none of them empty"),
    "a decimal": (one(Decimal), "'a' .* use float"),
    "a URL of HTTP": (one(HttpUrl), "'a' .* use AnyUrl"),
    "a pattern": (one(str, pattern="x"), "'a' .* cannot say"),
    "a strict bound of a float": (one(float, gt=0), "'a' .* use ge or le"),
    "a multiple": (one(int, multiple_of=5), "'a' .* cannot say"),
    "a bound of a date": (one(date, ge=date(2026, 1, 1)), "'a' .* cannot say"),
    "a length of a URL": (one(AnyUrl, max_length=5), "'a' .* cannot say"),
    "a function": (one(Annotated[int, AfterValidator(abs)]), "'a' .* cannot say"),
    "stripped text": (one(Annotated[str, StringConstraints(strip_whitespace=True)]), "'a' .* cannot say"),
    "a constraint within None": (one(Annotated[float, Gt(0)] | None, default=None), "'a' .* use ge or le"),
    "an alias": (one(int, alias="b"), "'a' .* alias"),
    "a default that is made": (one(str, default_factory=str), "'a' .* default itself"),
    "a key of JSON Schema": (one(str, json_schema_extra={"pattern": "x"}), "'a' .* 'pattern'"),
    "an extra function": (one(str, json_schema_extra=dict.clear), "'a' .* write a dict"),
    "other options": (one(Way, json_schema_extra={"oneOf": [{"const": "fax", "title": "x"}]}), "'a' .* each value"),
    "a validator of a field": (Checked, "validator of 'a'"),
    "a validator of the model": (CheckedWhole, "'_whole'"),
    "an initialiser": (Made, "__init__"),
    "private attributes": (Private, "private attributes"),
    "a setting": (Stripping, "str_strip_whitespace"),
    "a root model": (Whole, "RootModel"),
    "no fields": (NoFields, "no fields"),
}


@pytest.mark.parametrize(("model", "named"), REFUSED.values(), ids=list(REFUSED))
def test_a_model_that_says_more_than_a_form_can_is_refused(model: type[BaseModel], named: str) -> None:
    with pytest.raises(PromptNotAccepted, match=named):
        form_of(model, text="?")


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="int is no pydantic model"):
        form_of(int, text="?")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="needs a text"):
        form_of(Refund)


def test_the_default_at_the_deadline_may_be_a_model() -> None:
    value = Refund(amount=1, count=1, until=date(2026, 1, 1), urgent=True)
    found = default_of(Refund, value)
    assert isinstance(found, HumanResponseForm)
    assert read_model(Refund, form_of(Refund, text="?").accepts(found).content or {}) == value


# --- A submitted page ---

FIELDS: dict[str, Any] = {
    "text": TEXT,
    "noted": {**TEXT, "default": "hello", "x-multiline": True},
    "number": {"type": "number"},
    "counted": {"type": "integer", "default": 3},
    "ok": {"type": "boolean", "default": True},
    "maybe": {"type": "boolean"},
    "way": {"type": "string", "enum": ["mail", "call"]},
    "tags": {"type": "array", "items": {"enum": ["new", "old"]}, "default": ["new"]},
    "at": {"type": "string", "format": "date-time"},
}


@pytest.mark.parametrize(
    ("submitted", "content"),
    [
        (
            {"text": "a", "noted": "b\r\nc", "number": "1e3", "counted": "-4", "ok": "on", "maybe": "no", "way": "call",
             "tags": ["new", "old"], "at": "2026-01-31T09:30"},
            {"text": "a", "noted": "b\nc", "number": 1000.0, "counted": -4, "ok": True, "maybe": False, "way": "call",
             "tags": ["new", "old"], "at": "2026-01-31T09:30:00Z"},
        ),
        (
            {"text": "", "noted": "", "number": "", "counted": "7", "maybe": "", "way": "", "at": "", "other": "x"},
            {"noted": "", "counted": 7, "ok": False, "tags": []},
        ),
    ],
)  # fmt: skip
def test_a_submitted_page_becomes_content(submitted: dict[str, Any], content: dict[str, Any]) -> None:
    assert form(**FIELDS).submitted(submitted).content == content


def test_a_submitted_page_has_one_error_for_each_field() -> None:
    prompt = form(**FIELDS, required=("text", "number", "tags"))
    with pytest.raises(ResponseNotAccepted) as refused:
        prompt.submitted({"text": "", "number": "1,5", "counted": "", "way": "fax", "at": "soon"})
    assert {error.pointer: error.detail for error in refused.value.errors} == {
        "#/text": "This field is required.",
        "#/number": "Give a number, such as 1234.5.",
        "#/counted": "This field cannot be left empty.",
        "#/way": "'fax' is no option. Choose among: mail, call.",
        "#/at": "Give a date and a time with its offset, such as 2026-01-31T09:30:00Z.",
    }


def test_the_fields_say_how_they_are_shown() -> None:
    fields = {field.name: field for field in form_of(Refund, text="?", initial={"amount": 7, "urgent": False}).fields}
    amount, tags, notes, urgent = (fields[name] for name in ("amount", "tags", "notes", "urgent"))
    assert (amount.title, amount.default, amount.required, amount.minimum, amount.maximum) == (
        "How much?",
        7,
        True,
        0,
        100,
    )
    assert (tags.kind, [option.value for option in tags.options], tags.shown) == (
        "multiple choice",
        ["new", "old"],
        "new, old",
    )
    assert (notes.multiline, notes.description, notes.required, notes.default) == (True, "For the file", False, None)
    assert (amount.wanted, tags.wanted, urgent.shown) == ("number from 0 to 100", "several, as in 1,3 up to 2", "no")


class Painting(BaseModel):
    colours: list[Literal["red, light", "green"]]


def test_a_comma_may_be_a_part_of_an_option_of_a_form_that_is_typed_whole() -> None:
    (colours,) = form_of(Painting, text="?").fields
    for typed, chosen in (("red, light", ["red, light"]), ("green, Red, light", ["green", "red, light"])):
        assert colours.typed(typed) == chosen
    assert colours.typed("1,2") == ["red, light", "green"]
