"""Pydantic models as forms: the schema of a model, and the model that an answer becomes.

Others answer a form without the code of the application, so its schema must be at least as strict as the model. A model that
says more than the schema can is refused, with what to do instead.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from enum import Enum
from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, NoReturn, TypeVar, Union, get_args, get_origin

from annotated_types import Ge, GroupedMetadata, Gt, Le, Lt, MaxLen, MinLen
from pydantic import AllowInfNan, AnyUrl, AwareDatetime, BaseModel, RootModel, Strict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticSerializationError, PydanticUndefined, to_json, to_jsonable_python
from typing_extensions import TypeAliasType

from restpoint._core.serialization import first_problem
from restpoint.errors import InvalidArgument, PromptNotAccepted
from restpoint.prompts.form import FormAction, HumanPromptForm, HumanResponseForm
from restpoint.prompts.form_schema import FormSchema

M = TypeVar("M", bound=BaseModel)

_PLAIN: Final[Mapping[Any, Mapping[str, str]]] = {
    str: {"type": "string"},
    AnyUrl: {"type": "string", "format": "uri"},
    date: {"type": "string", "format": "date"},
    datetime: {"type": "string", "format": "date-time"},
    AwareDatetime: {"type": "string", "format": "date-time"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
}
_EXTRAS: Final[Mapping[str, frozenset[str]]] = {
    "string": frozenset({"format", "x-multiline", "x-readonly"}),
    "number": frozenset({"x-readonly"}),
    "choice": frozenset({"oneOf", "x-readonly"}),
    "array": frozenset({"anyOf", "x-readonly"}),
}
"""What ``json_schema_extra`` may add, by the shape of a field."""
_CONFIG: Final = frozenset(
    {
        "title", "extra", "frozen", "strict", "validate_assignment", "validate_default", "use_attribute_docstrings",
        "protected_namespaces", "hide_input_in_errors", "json_schema_extra", "use_enum_values", "revalidate_instances",
    }
)  # fmt: skip
"""The settings of a model that do not change which content it takes."""
_USABLE: Final = "str, int, float, bool, date, datetime, AnyUrl, an Enum or a Literal of texts, or a list of these two"
_INSTEAD: Final[Mapping[str, str]] = {
    "EmailStr": 'use str with Field(json_schema_extra={"format": "email"}), which takes what browsers take',
    "HttpUrl": "use AnyUrl",
    "Decimal": "use float, or str",
    "NaiveDatetime": "use datetime: the answer has an offset",
}
_CHECK_LATER: Final = "check the answer in the workflow, and ask again"


@lru_cache(maxsize=256)
def schema_of(model: type[BaseModel]) -> FormSchema:
    """The schema of the form that asks for a model. Raises ``PromptNotAccepted`` for a model that it cannot say."""
    _refuse_code(model)
    properties: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        properties[name] = _Field(model, name, field).schema()
    required = [name for name, field in model.model_fields.items() if field.is_required()]
    written = {"type": "object", "properties": properties, **({"required": required} if required else {})}
    try:
        return FormSchema.model_validate(written)
    except ValidationError as error:
        raise PromptNotAccepted(f"The model {model.__name__} is no form: {first_problem(error)}.") from None


def form_of(
    model: type[BaseModel],
    *,
    text: str | None = None,
    initial: BaseModel | Mapping[str, Any] | None = None,
    actions: Sequence[FormAction] = ("submit",),
) -> HumanPromptForm:
    """The form that asks for a model. Raises ``PromptNotAccepted``, and ``InvalidArgument`` without a text."""
    if not issubclass(model, BaseModel):
        raise InvalidArgument(f"{model.__name__} is no pydantic model; ask for a model, or with a prompt.")
    if text is None:
        raise InvalidArgument(f"A form needs a text: ctx.ask({model.__name__}, text=...).")
    try:
        return HumanPromptForm(
            text=text, requested_schema=schema_of(model), initial=_json_of(initial or {}), actions=list(actions)
        )
    except ValidationError as error:
        raise PromptNotAccepted(f"This is not a form that can be asked: {first_problem(error)}.") from None


def default_of(
    model: type[BaseModel], default: BaseModel | Mapping[str, Any] | None
) -> BaseModel | Mapping[str, Any] | None:
    """What a form is answered with at its deadline: a model becomes the response that submits it."""
    return HumanResponseForm(content=_json_of(default)) if isinstance(default, model) else default


def read_model(model: type[M], content: Mapping[str, Any]) -> M:
    """The model that an answer is. Raises ``pydantic.ValidationError`` where the model has changed so that it is none.

    A field that the answer leaves out is None, also if the model has another default by now.
    """
    return model.model_validate_json(to_json({name: content.get(name) for name in model.model_fields}))


def _json_of(values: BaseModel | Mapping[str, Any]) -> dict[str, Any]:
    """Values of fields as JSON has them, without those that are None. Raises ``PromptNotAccepted``."""
    given = (
        {name: getattr(values, name) for name in type(values).model_fields} if isinstance(values, BaseModel) else values
    )
    try:
        return {name: to_jsonable_python(value) for name, value in given.items() if value is not None}
    except PydanticSerializationError as error:
        raise PromptNotAccepted(f"A value that the form begins with has no JSON form: {error}.") from None


def _refuse_code(model: type[BaseModel]) -> None:
    """Refuse what a model checks or changes by code or by settings, which the schema does not have."""

    def refuse(what: str, instead: str) -> NoReturn:
        raise PromptNotAccepted(f"The model {model.__name__} cannot be asked: it has {what}. Leave it out; {instead}.")

    if issubclass(model, RootModel):
        raise PromptNotAccepted(f"{model.__name__} is a RootModel; ask for a model that has fields.")
    if not model.model_fields:
        raise PromptNotAccepted(f"The model {model.__name__} has no fields; give it at least one.")
    found = model.__pydantic_decorators__
    checked = [each.info.fields for each in found.field_validators.values()]
    checked += [each.info.fields for each in found.validators.values()]
    if checked:
        refuse(f"a validator of {', '.join(map(repr, checked[0]))}", _CHECK_LATER)
    if found.model_validators or found.root_validators:
        refuse(f"the validator {[*found.model_validators, *found.root_validators][0]!r}", _CHECK_LATER)
    if model.__pydantic_custom_init__ or model.__pydantic_post_init__ is not None:
        refuse("an __init__, a model_post_init or private attributes of its own", "make what you need from the answer")
    if "__get_pydantic_core_schema__" in {
        name for each in model.__mro__[: -len(BaseModel.__mro__)] for name in vars(each)
    }:
        refuse("a __get_pydantic_core_schema__", _CHECK_LATER)
    if unknown := model.model_config.keys() - _CONFIG:
        refuse(f"the setting {min(unknown)!r}, which may change the values", "do it in the workflow")


class _Field:
    """One field of a model, on its way to its schema."""

    def __init__(self, model: type[BaseModel], name: str, field: FieldInfo) -> None:
        self._name = f"The field {name!r} of the model {model.__name__}"
        self._title = field.title or name.replace("_", " ").capitalize()
        self._field = field

    def _refuse(self, what: str, instead: str) -> NoReturn:
        raise PromptNotAccepted(f"{self._name} cannot be asked: {what}. Instead, {instead}.")

    def schema(self) -> dict[str, Any]:
        """The schema, with title, description and default."""
        field = self._field
        if field.alias is not None or field.validation_alias is not None or field.serialization_alias is not None:
            self._refuse("it has an alias", "name the field so, or give it a title")
        if field.default_factory is not None:
            self._refuse("its default is made by a function", "write the default itself, or give it in initial")
        kind, metadata = self._unwrapped(field.annotation, field.metadata)
        schema: dict[str, Any] = {"title": self._title}
        if field.description is not None:
            schema["description"] = field.description
        schema |= self._shape(kind)
        self._constrain(schema, metadata)
        self._extend(schema)
        if field.default not in (None, PydanticUndefined):
            default = to_jsonable_python(field.default)
            schema["default"] = sorted(default) if isinstance(field.default, set | frozenset) else default
        return schema

    def _unwrapped(self, annotation: Any, metadata: list[Any]) -> tuple[Any, list[Any]]:
        """The type without ``Annotated`` and ``| None``, and all that was said of it."""
        found, is_optional = list(metadata), False
        while True:
            if isinstance(annotation, TypeAliasType):
                annotation = annotation.__value__
            elif get_origin(annotation) is Annotated:
                annotation, *more = get_args(annotation)
                for each in more:
                    found += each.metadata if isinstance(each, FieldInfo) else [each]
            elif get_origin(annotation) in {Union, UnionType}:
                kinds = [kind for kind in get_args(annotation) if kind is not NoneType]
                if len(kinds) > 1:
                    self._refuse(f"it is a union, {annotation}", "give it one type, or make two fields of it")
                annotation, is_optional = kinds[0], True
            else:
                break
        if is_optional and (self._field.is_required() or self._field.default is not None):
            self._refuse("it may be None, which a form says by leaving it out", "give it the default None, or no None")
        if not is_optional and self._field.default is None:
            self._refuse("its default is None, which its type does not have", "annotate it with | None")
        return annotation, found

    def _shape(self, kind: Any) -> dict[str, Any]:
        if kind in _PLAIN:
            return dict(_PLAIN[kind])
        if (values := self._values(kind)) is not None:
            return {"type": "string", "enum": values}
        if get_origin(kind) in {list, set, frozenset}:
            (item,) = get_args(kind)
            item, metadata = self._unwrapped_item(item)
            if not metadata and (values := self._values(item)) is not None:
                return {"type": "array", "items": {"type": "string", "enum": values}}
            self._refuse(f"it is {kind}", "ask for a list of an Enum or a Literal, or for text with x-multiline")
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            self._refuse(f"it is the model {kind.__name__}, and a form is flat", "put its fields into this one")
        named = getattr(kind, "__name__", str(kind))
        return self._refuse(f"it is {named}", _INSTEAD.get(named, f"use {_USABLE}"))

    @staticmethod
    def _unwrapped_item(item: Any) -> tuple[Any, list[Any]]:
        while isinstance(item, TypeAliasType):
            item = item.__value__
        if get_origin(item) is Annotated:
            item, *metadata = get_args(item)
            return item, metadata
        return item, []

    def _values(self, kind: Any) -> list[str] | None:
        """The texts that a type offers; None where it is no choice."""
        if get_origin(kind) is Literal:
            values = list(get_args(kind))
        elif isinstance(kind, type) and issubclass(kind, Enum):
            if hasattr(kind, "__get_pydantic_core_schema__"):
                self._refuse(f"{kind.__name__} has a schema of its own", "use a plain Enum")
            values = [each.value for each in kind]
        else:
            return None
        if any(type(value) is not str or not value for value in values):
            self._refuse(f"it offers {values}", "offer texts, none of them empty")
        return values

    def _constrain(self, schema: dict[str, Any], metadata: list[Any]) -> None:
        lengths = {"string": ("minLength", "maxLength"), "array": ("minItems", "maxItems")}
        kind = "choice" if "enum" in schema else schema["type"]
        for each in _flat(metadata):
            if isinstance(each, Strict) or (isinstance(each, AllowInfNan) and not each.allow_inf_nan):
                continue
            if isinstance(each, MinLen | MaxLen) and kind in lengths and "format" not in schema:
                least, most = lengths[kind]
                if isinstance(each, MinLen):
                    schema[least] = max(schema.get(least, 0), each.min_length)
                else:
                    schema[most] = min(schema.get(most, each.max_length), each.max_length)
            elif isinstance(each, Ge | Gt | Le | Lt) and kind in {"integer", "number"}:
                self._bound(schema, each)
            else:
                self._refuse(f"its schema cannot say {each!r}", f"leave it out, and {_CHECK_LATER}")

    def _bound(self, schema: dict[str, Any], each: Ge | Gt | Le | Lt) -> None:
        is_least = isinstance(each, Ge | Gt)
        limit: Any = getattr(each, type(each).__name__.lower())
        if type(limit) not in {int, float}:
            self._refuse(f"its schema cannot say {each!r}", "give an int or a float as the limit")
        if schema["type"] == "integer":
            whole = math.ceil(limit) if isinstance(each, Ge | Lt) else math.floor(limit)
            limit = whole + 1 if isinstance(each, Gt) else whole - 1 if isinstance(each, Lt) else whole
        elif isinstance(each, Gt | Lt):
            self._refuse(f"its schema cannot say {each!r}", "use ge or le, which include the limit")
        key, strictest = ("minimum", max) if is_least else ("maximum", min)
        schema[key] = strictest(schema.get(key, limit), limit)

    def _extend(self, schema: dict[str, Any]) -> None:
        """Add what ``json_schema_extra`` says."""
        extra = self._field.json_schema_extra or {}
        if callable(extra):
            self._refuse("its json_schema_extra is a function", "write a dict")
        kind = (
            "choice"
            if "enum" in schema
            else {"integer": "number", "boolean": "number"}.get(schema["type"], schema["type"])
        )
        for key, value in extra.items():
            if key not in _EXTRAS[kind] or (key == "format" and "format" in schema):
                allowed = ", ".join(sorted(_EXTRAS[kind]))
                self._refuse(f"json_schema_extra has {key!r}", f"use one of {allowed} there")
            if key in {"oneOf", "anyOf"}:
                place = schema if key == "oneOf" else schema["items"]
                offered = [each.get("const") if isinstance(each, Mapping) else None for each in value]  # type: ignore[union-attr]
                if sorted(map(str, offered)) != sorted(place.pop("enum")):
                    self._refuse(f"{key} offers {offered}", "give each value of its type as const, with a title")
                place[key] = value
                if key == "anyOf":
                    place.pop("type")
            else:
                schema[key] = value


def _flat(metadata: list[Any]) -> list[Any]:
    return [part for each in metadata for part in (each if isinstance(each, GroupedMetadata) else [each])]
