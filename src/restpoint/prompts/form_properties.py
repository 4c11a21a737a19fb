"""The fields of a form: what each may be, and the type that its value is validated as."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from functools import cache
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    AllowInfNan,
    BaseModel,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from restpoint.prompts.options import MAX_OPTIONS, MultipleChoiceOption

FieldKind = Literal[
    "text", "email", "uri", "date", "date-time", "number", "integer", "boolean", "single choice", "multiple choice"
]
# The patterns are compiled, and kept, by ``re`` when they are first used, because most processes show no form.
_EMAIL: Final = (
    r"[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
    r"(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*"
)
"""A valid e-mail address by the HTML Living Standard, section 4.10.5.1.5, which browsers check by."""
_DATE: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_DATE_TIME: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})"
"""A date-time of RFC 3339, section 5.6, with no more digits than a ``datetime`` has."""


def optional(alias: str, **constraints: Any) -> Any:
    """A key of the schema that may be left out, and is not written where it is None."""
    return Field(default=None, alias=alias, exclude_if=lambda value: value is None, **constraints)


class Property(BaseModel, extra="forbid", serialize_by_alias=True, validate_by_name=True, strict=True):
    """What every field has."""

    title: str | None = optional("title")
    description: str | None = optional("description")
    readonly: bool | None = optional("x-readonly")

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
    min_length: int | None = optional("minLength", ge=0)
    max_length: int | None = optional("maxLength", ge=0)
    format: Literal["email", "uri", "date", "date-time"] | None = optional("format")
    default: str | None = optional("default")
    multiline: bool | None = optional("x-multiline")

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
    minimum: int | float | None = optional("minimum", allow_inf_nan=False)
    maximum: int | float | None = optional("maximum", allow_inf_nan=False)
    default: int | float | None = optional("default", allow_inf_nan=False)

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
    default: bool | None = optional("default")

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
    enum: _Values | None = optional("enum", min_length=1, max_length=MAX_OPTIONS)
    one_of: list[FormOption] | None = optional("oneOf", min_length=1, max_length=MAX_OPTIONS)
    default: str | None = optional("default")

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

    type: Literal["string"] | None = optional("type")
    enum: _Values | None = optional("enum", min_length=1, max_length=MAX_OPTIONS)
    any_of: list[FormOption] | None = optional("anyOf", min_length=1, max_length=MAX_OPTIONS)

    @model_validator(mode="after")
    def _options_differ(self) -> Self:
        _check_options(self.enum, self.any_of, "anyOf")
        return self


class FormChoices(Property):
    """Some of several options, each at most once."""

    type: Literal["array"] = "array"
    items: FormItems
    min_items: int | None = optional("minItems", ge=0)
    max_items: int | None = optional("maxItems", ge=0)
    default: list[str] | None = optional("default")

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
WANTED: Final[Mapping[FieldKind, str]] = {
    "text": "Give a text.",
    "email": "Give an e-mail address, such as ada@example.org.",
    "uri": "Give a URL, such as https://example.org/.",
    "date": "Give a date, such as 2026-01-31.",
    "date-time": "Give a date and a time with its offset, such as 2026-01-31T09:30:00Z.",
    "number": "Give a number, such as 1234.5.",
    "integer": "Give a whole number, such as 1234.",
    "boolean": "Give true or false.",
    "single choice": "Choose one of the options",
    "multiple choice": "Choose among the options",
}
"""What each kind of field takes, for people."""


def _email(text: str) -> str:
    if not re.fullmatch(_EMAIL, text):
        raise ValueError(WANTED["email"])
    return text


@cache
def _parser(kind: FieldKind) -> TypeAdapter[Any]:
    # Made at the first use too: pydantic's addresses are a module of their own.
    from pydantic import AnyUrl

    return TypeAdapter({"uri": AnyUrl, "date": date, "date-time": datetime}[kind])


def _parsed(kind: FieldKind, pattern: str = "(?s:.*)") -> Callable[[str], str]:
    def check(text: str) -> str:
        is_one = re.fullmatch(pattern, text) is not None
        try:
            _parser(kind).validate_python(text)
        except ValidationError:
            is_one = False
        if not is_one:
            raise ValueError(WANTED[kind])
        return text

    return check


_FORMATS: Final[Mapping[FieldKind, Callable[[str], str]]] = {
    "text": str,
    "email": _email,
    "uri": _parsed("uri"),
    "date": _parsed("date", _DATE),
    "date-time": _parsed("date-time", _DATE_TIME),
}


def _no_repeats(values: list[str]) -> list[str]:
    if len(set(values)) != len(values):
        raise ValueError("Choose each option once.")
    return values
