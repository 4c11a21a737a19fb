"""The JSON codec for stored values (RFC 8259), with size limits.

``encode`` and ``encode_exactly`` refuse values that would read back different or not at all (a ``set``, a key that is not text,
``NaN``, half a surrogate pair). Their error names the part of the value that is at fault. ``encode_exactly`` is for values that a
workflow gets back, so it refuses a change of type too.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, Secret, SecretBytes, SecretStr, ValidationError
from pydantic_core import PydanticSerializationError, from_json, to_json

from restpoint._core.sameness import is_plain
from restpoint.errors import DamagedFile, NotJSON

MAX_PROMPT_BYTES: Final = 2 * 1024 * 1024
MAX_RESPONSE_BYTES: Final = 2 * 1024 * 1024
MAX_RESULT_BYTES: Final = 64 * 1024 * 1024
MAX_TEXT_LENGTH: Final = 64 * 1024  # characters of an error or a reason
MAX_DEPTH: Final = 100  # levels; pydantic's JSON parser stops at 200, and a prompt wraps the value in a few more

_PARSED_DEPTH: Final = 201  # levels that pydantic's JSON parser reads
_JSON_TYPES: Final = frozenset({str, int, float, bool, type(None), list, dict})
_MASK: Final = b'"**********"'
_CONVERT: Final = "convert it to text, a number, a list or a dict first"
_MOST_ERRORS: Final = 1_000
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def encode(value: object, *, limit: int = MAX_RESULT_BYTES) -> str:
    """Return ``value`` as compact JSON text of at most ``limit`` bytes in UTF-8, for readers who read JSON.

    A tuple becomes an array. Pydantic models anywhere in the value are dumped in JSON mode. Raises ``NotJSON`` with the
    path of the first part that is not JSON, and for a secret of pydantic's, whose JSON is asterisks.
    """
    if isinstance(value, BaseModel):
        value = _model_data(value, "$")
    try:
        data = to_json(value, inf_nan_mode="strings")
        # A value that does not read back equal is not JSON, or is harmless, as a tuple is. The slow path decides.
        exact = _read(data) == value
    except (TypeError, ValueError, RecursionError):
        exact, data = False, b""
    if not exact:
        data = to_json(_plain(value, "$", 0))
    return limited(data, limit)


def encode_exactly(value: object, *, limit: int = MAX_RESULT_BYTES) -> tuple[str, Any]:
    """Return ``value`` as JSON text, and what reads back: an equal value of the same types. Raises ``NotJSON`` where none does.

    So no tuple, no model and no subclass of ``str`` or ``dict`` is accepted.
    """
    try:
        data = to_json(value, inf_nan_mode="strings")
        read = _read(data)
        if read == value and is_plain(value):
            return limited(data, limit), read
    except NotJSON:
        raise
    except (TypeError, ValueError, RecursionError):
        pass
    return encode_walking(value, limit=limit)


def encode_walking(value: object, *, limit: int = MAX_RESULT_BYTES) -> tuple[str, Any]:
    """Do the same as ``encode_exactly`` for a large value, in a thread.

    It walks through the value in Python, and so lets the event loop run meanwhile; reading it back in C would not.
    """
    read = _plain(value, "$", 0, exactly=True)
    return limited(to_json(read), limit), read


def check_json(data: bytes, *, limit: int = MAX_RESULT_BYTES) -> str:
    """Return JSON that pydantic wrote as text. Raises ``NotJSON`` where it is too long or too deep, or has ``NaN`` in it."""
    text = limited(data, limit)
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH or b"NaN" in data or b"Infinity" in data:
        try:
            _read(data, allow_inf_nan=False)
        except ValueError:
            _plain(json.loads(text), "$", 0)
    return text


def path_of(steps: Sequence[str | int]) -> str:
    """The path of a part, from the steps to it: the innermost first."""
    path = "$"
    for step in reversed(steps):
        path = f"{path}[{step}]" if isinstance(step, int) else _step(path, step)
    return _short(path)


def limited(data: bytes, limit: int) -> str:
    """Return JSON as text. Raises ``NotJSON`` where it has more than ``limit`` bytes."""
    if len(data) > limit:
        raise NotJSON("$", f"it is {len(data)} bytes of JSON and the limit is {limit}")
    return data.decode()


def _read(data: bytes, *, allow_inf_nan: bool = True) -> Any:
    """Read JSON. Raises ``ValueError`` where it is nested deeper than ``MAX_DEPTH``."""
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return from_json(data, allow_inf_nan=allow_inf_nan)
    spare = _PARSED_DEPTH - MAX_DEPTH
    value = from_json(b"[" * spare + data + b"]" * spare, allow_inf_nan=allow_inf_nan)
    for _ in range(spare):
        value = value[0]
    return value


def decode(text: str | None) -> Any:
    """Return the value that ``encode`` wrote as ``text``. Raises ``DamagedFile`` if ``text`` is not JSON."""
    if text is None:
        return None
    try:
        return from_json(text)
    except (ValueError, TypeError) as error:
        raise unreadable("a payload", error) from error


def decode_beside(text: str) -> Any:
    """Do the same as ``decode`` for a large text, in a thread, and let the event loop run meanwhile.

    Each object and each number is a call of Python, between which the interpreter changes threads.
    """
    try:
        return json.loads(text, object_hook=_as_it_is, parse_int=_whole, parse_float=_fraction)
    except (ValueError, RecursionError):  # int() refuses more than 4,300 digits
        return decode(text)


def _as_it_is(value: dict[str, Any]) -> dict[str, Any]:
    return value


def _whole(digits: str) -> int:
    return int(digits)


def _fraction(digits: str) -> float:
    return float(digits)


def canonical(text: str) -> str:
    """The canonical form of JSON text: members in the order of their names, and 1.0 as 1 (RFC 8259, section 4; RFC 8785)."""
    try:
        return json.dumps(json.loads(text, parse_float=_number), sort_keys=True, separators=(",", ":"))
    except (ValueError, RecursionError):  # int() refuses more than 4,300 digits
        return text


def _number(digits: str) -> float | int:
    number = float(digits)
    return int(number) if number.is_integer() else number


def unreadable(what: str, error: Exception) -> DamagedFile:
    """Return the error for stored data that restpoint did not write: the disk or another program changed it."""
    why = str(error).partition("\n")[0]
    return DamagedFile(f"The file is damaged: {what} in it cannot be read ({why}). See: restpoint db check")


READ_ERRORS: Final = (ValueError, TypeError, KeyError, AttributeError)
"""The exceptions that stored data of an unexpected type or shape raises while it is read."""


def check_text(name: str, text: str, *, limit: int = MAX_TEXT_LENGTH) -> str:
    """Return ``text`` if it is valid UTF-8 of at most ``limit`` characters, without NUL. Raises ``NotJSON`` otherwise."""
    if not isinstance(text, str):
        raise NotJSON(name, f"it is {type(text).__name__} and must be text")
    if len(text) > limit:
        raise NotJSON(name, f"it has {len(text)} characters and the limit is {limit}")
    if "\x00" in text:
        raise NotJSON(name, "it has a NUL character, where C programs and SQL functions would cut it off")
    return _unicode(text, name)


def storable_text(text: object) -> str:
    """Make ``text`` pass ``check_text``: cut it to the limit and replace what UTF-8 cannot encode. For errors, say.

    Never raises, also where ``__str__`` of an application's exception does.
    """
    try:
        shown = str(text)
    except BaseException:  # noqa: BLE001 - whatever it is, there is something more important to tell
        shown = f"({type(text).__name__} has no text: its __str__ raised)"
    return shown[:MAX_TEXT_LENGTH].encode("utf-8", "replace").decode().replace("\x00", "")


def first_problem(error: Exception) -> str:
    """What is wrong first, as ``where: what``, by the error of a validation; without the value that was refused."""
    if isinstance(error, ValidationError):
        if error.error_count() > _MOST_ERRORS:  # pydantic can only list them all, which takes microseconds for each
            return f"it is wrong in {error.error_count()} places"
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        what = "there is no such field" if first["type"] == "extra_forbidden" else first["msg"]
        return f"{where}: {what}" if where else what
    return str(error) or type(error).__name__


def _plain(value: object, path: str, depth: int, *, exactly: bool = False) -> object:  # noqa: C901, PLR0911 - a case for each kind of JSON
    """Copy ``value`` into dict, list, str, int, float, bool and None. Raises ``NotJSON`` at the first part of another type.

    With ``exactly`` a part must be of one of these types and no subclass of it. Otherwise tuples and models are taken too.
    """
    if depth > MAX_DEPTH:
        raise NotJSON(_short(path), f"it is nested deeper than {MAX_DEPTH} levels")
    if exactly and type(value) not in _JSON_TYPES:
        raise NotJSON(path, _not_exactly(value))
    match value:
        case None | bool():
            return value
        case str():
            return _unicode(str(value), path)
        case int():
            return int(value)
        case float():
            if not math.isfinite(value):
                raise NotJSON(path, f"{value} is not a JSON number")
            return float(value)
        case BaseModel():
            return _plain(_model_data(value, path), path, depth)
        case Mapping():
            for key in value:
                if type(key) is not str and (exactly or not isinstance(key, str)):
                    raise NotJSON(path, f"its key {key!r} is {type(key).__name__} and JSON keys are text")
                _unicode(key, path)
            return {
                str(key): _plain(item, _step(path, str(key)), depth + 1, exactly=exactly) for key, item in value.items()
            }
        case list() | tuple():
            return [_plain(item, f"{path}[{index}]", depth + 1, exactly=exactly) for index, item in enumerate(value)]
    raise NotJSON(path, f"{type(value).__name__} is not JSON; {_CONVERT}")


def _not_exactly(value: object) -> str:
    name = type(value).__name__
    if isinstance(value, tuple):
        return f"{name} would read back as a list; return a list, or annotate the function, as in -> tuple[int, str]"
    if isinstance(value, BaseModel):
        return f"{name} would read back as a dict; annotate the function, as in -> {name}, or dump the model"
    for base in (str, int, float, dict, list):
        if isinstance(value, base):
            return f"{name} would read back as {base.__name__}; annotate the function with its type, or convert it"
    return f"{name} is not JSON; annotate the function with its type, or {_CONVERT}"


def _model_data(model: BaseModel, path: str) -> object:
    try:
        data = model.model_dump(mode="json")
        if _MASK in to_json(data) and _has_secret(model.model_dump()):
            raise NotJSON(
                path, f"{type(model).__name__} holds a secret, whose JSON is asterisks; leave it out of what is kept"
            )
    except (PydanticSerializationError, ValidationError, ValueError, RecursionError) as error:
        raise NotJSON(path, f"{type(model).__name__} has no JSON form: {error}") from None
    return data


def _has_secret(value: object) -> bool:
    """Whether one of pydantic's secrets is anywhere in what ``model_dump`` returned."""
    if isinstance(value, Secret | SecretStr | SecretBytes):
        return True
    if isinstance(value, Mapping):
        return any(map(_has_secret, value.values()))
    return isinstance(value, list | tuple | set | frozenset) and any(map(_has_secret, value))


def _unicode(text: str, path: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise NotJSON(path, "it has half of a surrogate pair, which UTF-8 cannot carry") from None
    return text


def _step(path: str, key: str) -> str:
    return f"{path}.{key}" if _PLAIN.fullmatch(key) else f"{path}[{json.dumps(key)}]"


def _short(path: str) -> str:
    return path if len(path) <= 80 else f"{path[:80]}…"
