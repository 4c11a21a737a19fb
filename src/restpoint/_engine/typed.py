"""Values by the annotations of functions: written as JSON text, and read again equal and of the same types, or refused.

A value always goes through its text, also where that is not read from the file. So a workflow sees the same on its first run as
on every replay: what was read back, after it was compared with what had been written.
"""

from collections.abc import Coroutine, Iterable, Iterator, Mapping
from inspect import Parameter
from itertools import islice
from typing import Annotated, Any, Final, NamedTuple, get_args, get_origin

from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_json

from restpoint._core.sameness import difference
from restpoint._core.serialization import (
    MAX_RESULT_BYTES,
    check_json,
    decode,
    decode_beside,
    encode_exactly,
    encode_walking,
    first_problem,
    limited,
    path_of,
)
from restpoint._core.threads import uncollected
from restpoint.errors import InvalidArgument, NotJSON

_MANY: Final = 10_000  # parts of a value, which a core reads back in some 10 ms
_BATCH: Final = 500  # items that are written and read at once
_LONG: Final = 500_000  # characters of JSON text, likewise

_PLAIN: Final[tuple[tuple[type, tuple[Any, ...]], ...]] = (
    (object, (Any,)), (dict, (dict, dict[str, Any])), (list, (list, list[Any])),
)  # fmt: skip
"""The annotations that say no more than that a value is JSON, or an object of it, or an array."""

_FORMS: Final[tuple[Mapping[str, Any], ...]] = ({}, {"round_trip": True, "by_alias": True})
"""How pydantic may dump a value, the most usual first. The second one has the names of aliases and no computed fields."""


class Written(NamedTuple):
    """A value as JSON text, and the equal value of the same types that this text reads back as."""

    text: str
    value: Any


class Typed:
    """The type of an annotation, which writes its values as JSON text and reads them again."""

    def __init__(self, annotation: Any) -> None:
        self.annotation: Any = Any if annotation is None or annotation is Parameter.empty else annotation
        self.adapter: TypeAdapter[Any] = TypeAdapter(self.annotation)
        self.is_any = self.annotation is Any
        self._plain = next((kind for kind, names in _PLAIN if self.annotation in names), None)
        # A list or dict of a type can be written and read in batches, and the event loop runs between two of them.
        self._container = origin if (origin := get_origin(self.annotation)) in {list, dict} else None

    def write(self, value: object, *, limit: int = MAX_RESULT_BYTES, is_large: bool = False) -> Written:
        """Write ``value``, and read it back. Raises ``NotJSON`` where what is read back differs in value or in type.

        Write one that ``is_large`` in a thread.
        """
        if self._plain is not None:
            if not isinstance(value, self._plain):
                raise NotJSON("$", _misfit(value, self._plain))
            return Written(*(encode_walking if is_large else encode_exactly)(value, limit=limit))
        if is_large:
            with uncollected():
                return self._write_large(value, limit)
        return self._write_model(value, limit)

    def _write_large(self, value: Any, limit: int) -> Written:
        if type(value) is self._container:
            parts = [self.write(batch) for batch in _batches(value)]
            texts = ",".join(part.text[1:-1] for part in parts)
            text = f"{{{texts}}}" if self._container is dict else f"[{texts}]"
            return Written(limited(text.encode(), limit), _joined(part.value for part in parts))
        return self._write_model(value, limit)

    def _write_model(self, value: object, limit: int) -> Written:
        problem: tuple[str, str] | None = None
        for form in _FORMS:
            try:
                text = check_json(self.adapter.dump_json(value, warnings=False, **form), limit=limit)
                read = self.adapter.validate_json(text)
                found = difference(value, read)
            except (PydanticSerializationError, ValidationError, ValueError, TypeError, RecursionError) as error:
                problem = problem or self._unlike(value, error)
            else:
                if found is None:
                    return Written(text, read)
                problem = problem or (path_of(found[0]), found[1])
        raise NotJSON(*(problem or ("$", "it has no JSON form")))

    def _unlike(self, value: object, error: Exception) -> tuple[str, str]:
        """Where and why a value does not go through JSON."""
        if isinstance(error, NotJSON):
            return error.path, error.problem
        kind = self.annotation
        kind = get_args(kind)[0] if get_origin(kind) is Annotated else kind
        # Of a mapping or a list, the place that is wrong says more.
        if type(kind) is type and not isinstance(value, (kind, Mapping, list, tuple)):
            return "$", _misfit(value, kind)
        words = f"{type(value).__name__} does not read back as {kind.__name__ if isinstance(kind, type) else kind}"
        if isinstance(error, ValidationError):
            return path_of(error.errors(include_input=False)[0]["loc"][::-1]), f"{words}: {first_problem(error)}"
        try:
            encode_exactly(value)
        except NotJSON as problem:
            if problem.path != "$":
                return problem.path, problem.problem
        return "$", f"{words}: {first_problem(error)}"

    def read(self, text: str) -> Any:
        """The value of JSON text. Raises ``pydantic.ValidationError``."""
        return decode(text) if self.is_any else self.adapter.validate_json(text)

    def read_beside(self, text: str) -> Any:
        """Read a long text in a thread. Raises ``pydantic.ValidationError``."""
        with uncollected():
            return self._read_long(text)

    def _read_long(self, text: str) -> Any:
        if self._plain is not None:
            return self.adapter.validate_python(decode_beside(text))
        if self._container is None:
            return self.adapter.validate_json(text)
        batches = _batches(decode_beside(text))
        return _joined(self.adapter.validate_json(to_json(batch)) for batch in batches)

    def schema(self) -> dict[str, Any]:
        """The JSON schema of its values; ``{}`` where there is none."""
        try:
            return self.adapter.json_schema()
        except PydanticUserError:
            return {}


def typed(owner: str, annotation: Any) -> Typed:
    """The type of an annotation. Raises ``InvalidArgument`` where pydantic has no schema for it."""
    try:
        return Typed(annotation)
    except (PydanticSchemaGenerationError, PydanticUserError, NameError) as error:
        raise InvalidArgument(
            f"{owner} is annotated with {annotation!r}, which pydantic cannot read: {str(error).splitlines()[0]}"
        ) from None


def _misfit(value: object, kind: type) -> str:
    """What is wrong with a value that is not of the type that it is annotated with."""
    forgotten = "; await the call that made it" if isinstance(value, Coroutine) else ""
    return f"it is {type(value).__name__} and annotated as {kind.__name__}{forgotten}"


def _batches(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        rest = iter(value.items())
        while batch := dict(islice(rest, _BATCH)):
            yield batch
    else:
        for begin in range(0, len(value), _BATCH):
            yield value[begin : begin + _BATCH]


def _joined(parts: Iterable[Any]) -> Any:
    first, *rest = parts
    for part in rest:
        (first.update if isinstance(first, dict) else first.extend)(part)
    return first


def is_large(value: object) -> bool:
    """Whether a value is so large that writing it and reading it back would hold up the event loop."""
    left, parts = _MANY, [value]
    while parts:
        part = parts.pop()
        left -= 1
        if isinstance(part, str | bytes):
            left -= len(part) * _MANY // _LONG
        elif isinstance(part, Mapping):
            left -= len(part)
            if left > 0:
                parts.extend(part.values())
        elif isinstance(part, list | tuple | set | frozenset):
            left -= len(part)
            if left > 0:
                parts.extend(part)
        elif (fields := getattr(part, "__dict__", None)) and not isinstance(part, type):
            parts.append(fields)
        if left < 0:
            return True
    return False


def is_long(text: str | None) -> bool:
    """Whether a text is so long that reading it would hold up the event loop."""
    return text is not None and len(text) > _LONG
