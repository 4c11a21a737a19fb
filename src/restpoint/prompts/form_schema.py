"""The restricted JSON Schema of a form: what its fields are, and which content they take.

It is the schema of MCP elicitation (revision 2025-11-25, "Requested Schema"): a flat object of texts, numbers, booleans, and
choices of one or of several. Two keys are ours: ``x-multiline`` for a text of several lines, and ``x-readonly`` for a field that
is shown and not changed. A schema validates content by itself, wherever it is read, without the code of the application that
asked.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, Final, Literal, Self
from urllib.parse import quote

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic_core import ErrorDetails, to_json

from restpoint.errors import FieldError, ResponseNotAccepted
from restpoint.prompts.form_properties import WANTED, FormChoices, FormProperty, Property, optional
from restpoint.prompts.options import named

MAX_FIELDS: Final = 250
"""Fields of a form. A validator of so many is built in 0.1 s, and kept."""


_EXACT: Final = 1 << 53  # whole numbers up to this are numbers of JSON without loss
_NAMED: Final = 10  # fields that a message names


class FormSchema(BaseModel, extra="forbid", serialize_by_alias=True, validate_by_name=True, strict=True):
    """The schema of what a form asks for: the fields by name, and which of them an answer must have."""

    type: Literal["object"] = "object"
    properties: dict[str, FormProperty] = Field(min_length=1, max_length=MAX_FIELDS)
    required: list[str] | None = optional("required")

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
