"""The restricted JSON Schema of a form: what its fields are, and which content they take.

It is the schema of MCP elicitation (revision 2025-11-25, "Requested Schema"): a flat object of texts, numbers, booleans, and
choices of one or of several. Two keys are ours: ``x-multiline`` for a text of several lines, and ``x-readonly`` for a field that
is shown and not changed. A schema validates content by itself, wherever it is read, without the code of the application that
asked.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache
from itertools import islice
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import quote

from pydantic import (
    AfterValidator,
    AllowInfNan,
    AnyUrl,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic_core import ErrorDetails, to_json

from restpoint.errors import FieldError, ResponseNotAccepted
from restpoint.prompts.options import MAX_OPTIONS, MultipleChoiceOption, named

MAX_FIELDS: Final = 250
"""Fields of a form. A validator of so many is built in 0.1 s, and kept."""

FieldKind = Literal[
    "text", "email", "uri", "date", "date-time", "number", "integer", "boolean", "single choice", "multiple choice"
]

_EXACT: Final = 1 << 53  # whole numbers up to this are numbers of JSON without loss
_NAMED: Final = 10  # fields that a message names
_EMAIL: Final = re.compile(
    r"[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
    r"(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*"
)
"""A valid e-mail address by the HTML Living Standard, section 4.10.5.1.5, which browsers check by."""
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATE_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})"
)
"""A date-time of RFC 3339, section 5.6, with no more digits than a ``datetime`` has."""

_date: Final = TypeAdapter(date)
_date_time: Final = TypeAdapter(datetime)
_uri: Final = TypeAdapter(AnyUrl)


def _optional(alias: str, **constraints: Any) -> Any:
    return Field(default=None, alias=alias, exclude_if=lambda value: value is None, **constraints)


# --- What a field takes ----------------------------------------------------------------------------------------------


class Property(BaseModel, extra="forbid", serialize_by_alias=True, validate_by_name=True, strict=True):
    """What every field has."""

    title: str | None = _optional("title")
    description: str | None = _optional("description")
    readonly: bool | None = _optional("x-readonly")

    @property
    def kind(self) -> FieldKind:
        """What is asked for."""
        raise NotImplementedError

    @property
    def offers(self) -> tuple[MultipleChoiceOption, ...]:
        """The options; none where the answer is no choice."""
        return ()

    def annotation(self) -> Any:
        """The type that a value is validated as, in strict mode."""
        raise NotImplementedError


class FormText(Property):
    """A text, of a format if one is given. Lengths are in characters."""

    type: Literal["string"] = "string"
    min_length: int | None = _optional("minLength", ge=0)
    max_length: int | None = _optional("maxLength", ge=0)
    format: Literal["email", "uri", "date", "date-time"] | None = _optional("format")
    default: str | None = _optional("default")
    multiline: bool | None = _optional("x-multiline")

    @property
    def kind(self) -> FieldKind:
        """The format, or text."""
        return self.format or "text"

    def annotation(self) -> Any:
        """A text, checked by its format."""
        lengths = Field(min_length=self.min_length, max_length=self.max_length)
        return Annotated[str, lengths, AfterValidator(_FORMATS[self.kind])]


class FormNumber(Property):
    """A number, or a whole number."""

    type: Literal["number", "integer"]
    minimum: int | float | None = _optional("minimum", allow_inf_nan=False)
    maximum: int | float | None = _optional("maximum", allow_inf_nan=False)
    default: int | float | None = _optional("default", allow_inf_nan=False)

    @property
    def kind(self) -> FieldKind:
        """A number, or a whole number."""
        return self.type

    def annotation(self) -> Any:
        """A number within the bounds."""
        bounds = Field(ge=self.minimum, le=self.maximum)
        return Annotated[int, bounds] if self.type == "integer" else Annotated[float, bounds, AllowInfNan(False)]


class FormBoolean(Property):
    """Yes or no."""

    type: Literal["boolean"] = "boolean"
    default: bool | None = _optional("default")

    @property
    def kind(self) -> FieldKind:
        """Yes or no."""
        return "boolean"

    def annotation(self) -> Any:
        """True or false."""
        return bool


class FormOption(BaseModel, extra="forbid", strict=True):
    """A value that may be chosen, and how it is shown."""

    const: str = Field(min_length=1)
    title: str


def _offers(enum: Sequence[str] | None, titled: Sequence[FormOption] | None) -> tuple[MultipleChoiceOption, ...]:
    """The options of a choice, with the value as the id."""
    if titled is not None:
        return tuple(MultipleChoiceOption(id=each.const, label=each.title, value=each.const) for each in titled)
    return tuple(MultipleChoiceOption(id=each, label=each, value=each) for each in enum or ())


def _check_options(enum: Sequence[str] | None, titled: Sequence[FormOption] | None, titles: str) -> None:
    if (enum is None) == (titled is None):
        raise ValueError(f"the options stand under enum, or with their titles under {titles}")
    values = {option.value for option in _offers(enum, titled)}
    if len(values) != len(titled or enum or ()):
        raise ValueError("two options have the same value, so an answer could not tell them apart")


_Values = list[Annotated[str, Field(min_length=1)]]


class FormChoice(Property):
    """One of several options."""

    type: Literal["string"] = "string"
    enum: _Values | None = _optional("enum", min_length=1, max_length=MAX_OPTIONS)
    one_of: list[FormOption] | None = _optional("oneOf", min_length=1, max_length=MAX_OPTIONS)
    default: str | None = _optional("default")

    @model_validator(mode="after")
    def _options_differ(self) -> Self:
        _check_options(self.enum, self.one_of, "oneOf")
        return self

    @property
    def kind(self) -> FieldKind:
        """A choice."""
        return "single choice"

    @property
    def offers(self) -> tuple[MultipleChoiceOption, ...]:
        """The options."""
        return _offers(self.enum, self.one_of)

    def annotation(self) -> Any:
        """One of the values."""
        return Literal[tuple(option.value for option in self.offers)]


class FormItems(BaseModel, extra="forbid", serialize_by_alias=True, validate_by_name=True, strict=True):
    """The options of which several may be chosen."""

    type: Literal["string"] | None = _optional("type")
    enum: _Values | None = _optional("enum", min_length=1, max_length=MAX_OPTIONS)
    any_of: list[FormOption] | None = _optional("anyOf", min_length=1, max_length=MAX_OPTIONS)

    @model_validator(mode="after")
    def _options_differ(self) -> Self:
        _check_options(self.enum, self.any_of, "anyOf")
        return self


class FormChoices(Property):
    """Some of several options, each at most once."""

    type: Literal["array"] = "array"
    items: FormItems
    min_items: int | None = _optional("minItems", ge=0)
    max_items: int | None = _optional("maxItems", ge=0)
    default: list[str] | None = _optional("default")

    @property
    def kind(self) -> FieldKind:
        """Several choices."""
        return "multiple choice"

    @property
    def offers(self) -> tuple[MultipleChoiceOption, ...]:
        """The options."""
        return _offers(self.items.enum, self.items.any_of)

    def annotation(self) -> Any:
        """A list of the values, without repeats."""
        several: Any = list[Literal[tuple(option.value for option in self.offers)]]  # type: ignore[misc]
        bounds = Field(min_length=self.min_items, max_length=self.max_items)
        return Annotated[several, bounds, AfterValidator(_no_repeats)]


def _shape(data: object) -> str:
    """Which of the classes the schema of a field is read as."""
    if isinstance(data, BaseModel):
        return next(shape for shape, kind in _SHAPES.items() if isinstance(data, kind))
    if not isinstance(data, Mapping):
        return "string"
    found = str(data.get("type"))
    if found == "string" and ("enum" in data or "oneOf" in data):
        return "choice"
    return "number" if found == "integer" else found


_SHAPES: Final[Mapping[str, type[BaseModel]]] = {
    "choice": FormChoice, "string": FormText, "number": FormNumber, "boolean": FormBoolean, "array": FormChoices,
}  # fmt: skip
FormProperty = Annotated[
    Annotated[FormText, Tag("string")]
    | Annotated[FormNumber, Tag("number")]
    | Annotated[FormBoolean, Tag("boolean")]
    | Annotated[FormChoice, Tag("choice")]
    | Annotated[FormChoices, Tag("array")],
    Discriminator(
        _shape,
        custom_error_type="form_field",
        custom_error_message="a field is of type string, number, integer, boolean, or array for several choices; nothing nests",
    ),
]


class FormSchema(BaseModel, extra="forbid", serialize_by_alias=True, validate_by_name=True, strict=True):
    """The schema of what a form asks for: the fields by name, and which of them an answer must have."""

    type: Literal["object"] = "object"
    properties: dict[str, FormProperty] = Field(min_length=1, max_length=MAX_FIELDS)
    required: list[str] | None = _optional("required")

    @model_validator(mode="after")
    def _requires_what_it_has(self) -> Self:
        for name in self.required or ():
            if name not in self.properties:
                raise ValueError(f"the field {name!r} is required and is not among the properties")
        if "" in self.properties:
            raise ValueError("a field has a name")
        return self

    def complete(self, content: Mapping[str, Any], initial: Mapping[str, Any]) -> dict[str, Any]:
        """Content in the order of the fields, with the defaults of the optional fields and the values of the read-only ones."""
        required, found = frozenset(self.required or ()), dict[str, Any]()
        for name, each in self.properties.items():
            if name in content:
                found[name] = content[name]
            elif each.readonly and (shown := initial.get(name, each.default)) is not None:
                found[name] = shown
            elif each.default is not None and name not in required:
                found[name] = each.default
        return found

    def normal(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """Content in which equal values are written alike: choices in the order of the options, and 5.0 for a number of 5."""
        found = dict(content)
        for name, value in content.items():
            each = self.properties[name]
            if isinstance(each, FormChoices):
                found[name] = [option.value for option in each.offers if option.value in value]
            elif each.kind == "number" and type(value) is int and abs(value) <= _EXACT:
                found[name] = float(value)
        return found

    def problems(self, content: Mapping[str, Any], initial: Mapping[str, Any]) -> dict[str, str]:
        """What is wrong with content, by the names of the fields that are wrong, unknown or missing; one sentence for each."""
        complete = self.complete(content, initial)
        found = self._problems(complete)
        for name, value in content.items():
            each = self.properties.get(name)
            if each is None:
                found[name] = f"The form has no such field. It has: {_listed(self.properties)}."
            elif each.readonly and (
                value != (shown := initial.get(name, each.default)) or type(value) is not type(shown)
            ):
                found[name] = f"This field is read-only. Leave it out, or send {_json(shown)}."
        return found

    def check_values(self, values: Mapping[str, Any]) -> str | None:
        """What is wrong with some values that a form begins with; None where nothing is."""
        for name, detail in self._problems(values, all_of_them=False).items():
            return f"the field {name!r} begins with {_json(values[name])}: {detail}"
        return None

    def _problems(self, values: Mapping[str, Any], *, all_of_them: bool = True) -> dict[str, str]:
        """What is wrong, by field."""
        text = self.model_dump_json()
        try:
            _validator(text, all_of_them).__pydantic_validator__.validate_json(to_json(dict(values)))
        except ValidationError as error:
            found: dict[str, str] = {}
            for each in error.errors(include_url=False, include_input=False):
                name = str(each["loc"][0])
                found.setdefault(name, _detail(self.properties[name], each))
            return found
        return {}


@lru_cache(maxsize=64)
def _validator(text: str, all_of_them: bool) -> type[BaseModel]:
    """A model that validates the content of a form, made from the schema alone. Names may be any text, so they are aliases."""
    schema = FormSchema.model_validate_json(text)
    required = frozenset(schema.required or ()) if all_of_them else frozenset()
    fields: dict[str, Any] = {
        f"field_{number}": (each.annotation(), Field(... if name in required else None, validation_alias=name))
        for number, (name, each) in enumerate(schema.properties.items())
    }
    return create_model("Form", __config__=ConfigDict(strict=True, extra="forbid"), **fields)


# --- What is wrong ---------------------------------------------------------------------------------------------------

WANTED: Final[Mapping[FieldKind, str]] = {
    "text": "Give a text.",
    "email": "Give an e-mail address, such as ada@example.org.",
    "uri": "Give a URL, such as https://example.org/.",
    "date": "Give a date, such as 2026-01-31.",
    "date-time": "Give a date and a time with its offset, such as 2026-01-31T09:30:00Z.",
    "number": "Give a number.",
    "integer": "Give a whole number.",
    "boolean": "Give true or false.",
    "single choice": "Choose one of the options",
    "multiple choice": "Choose among the options",
}
"""What each kind of field takes, for people."""

_DETAILS: Final[Mapping[str, str]] = {
    "missing": "This field is required.",
    "string_too_short": "Give at least {min_length} character(s).",
    "string_too_long": "Give at most {max_length} character(s).",
    "greater_than_equal": "Give a number from {minimum}.",
    "less_than_equal": "Give a number of at most {maximum}.",
    "too_short": "Choose at least {min_length}.",
    "too_long": "Choose at most {max_length}.",
}
"""By the types of pydantic's errors."""


def _detail(field: Property, error: ErrorDetails) -> str:
    """What to tell a person of a wrong value."""
    context = error.get("ctx", {})
    if error["type"] == "value_error":
        return str(context["error"])
    if (words := _DETAILS.get(error["type"])) is not None:
        limits = {name: getattr(field, name, None) for name in ("minimum", "maximum")}  # 5 and not 5.0
        return words.format(**limits, **context)
    return WANTED[field.kind] + (f": {named(field.offers)}." if field.offers else "")


def not_accepted(errors: Mapping[str, str], fields: Iterable[str]) -> ResponseNotAccepted:
    """The refusal of some fields of a form, each with what is wrong: those of the form first, in their order."""
    names = [*(name for name in fields if name in errors), *(name for name in errors if name not in fields)]
    told = "\n".join(f"{name[:80]}: {errors[name]}" for name in names[:_NAMED])
    more = f"\nand {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    found = tuple(FieldError(pointer_to(name), errors[name]) for name in names)
    return ResponseNotAccepted(f"The form is not filled in as it asks.\n{told}{more}", errors=found)


def pointer_to(name: str) -> str:
    """The JSON pointer to a field, as a URI fragment (RFC 6901, section 6)."""
    return "#/" + quote(name.replace("~", "~0").replace("/", "~1"), safe="~")


def _listed(names: Iterable[str]) -> str:
    shown = list(islice(names, _NAMED + 1))
    return ", ".join([*(name[:80] for name in shown[:_NAMED]), *(["…"] if len(shown) > _NAMED else [])])


def _json(value: object) -> str:
    text = to_json(value).decode()
    return text if len(text) <= 80 else f"{text[:79]}…"


# --- Formats ---------------------------------------------------------------------------------------------------------


def _email(text: str) -> str:
    if not _EMAIL.fullmatch(text):
        raise ValueError(WANTED["email"])
    return text


def _parsed(kind: FieldKind, pattern: re.Pattern[str] | None, parser: TypeAdapter[Any]) -> Callable[[str], str]:
    def check(text: str) -> str:
        is_one = pattern is None or pattern.fullmatch(text) is not None
        try:
            parser.validate_python(text)
        except ValidationError:
            is_one = False
        if not is_one:
            raise ValueError(WANTED[kind])
        return text

    return check


_FORMATS: Final[Mapping[FieldKind, Callable[[str], str]]] = {
    "text": str,
    "email": _email,
    "uri": _parsed("uri", None, _uri),
    "date": _parsed("date", _DATE, _date),
    "date-time": _parsed("date-time", _DATE_TIME, _date_time),
}


def _no_repeats(values: list[str]) -> list[str]:
    if len(set(values)) != len(values):
        raise ValueError("Choose each option once.")
    return values
