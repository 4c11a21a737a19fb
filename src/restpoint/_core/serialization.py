"""The JSON codec for stored values (RFC 8259), with size limits. A value reads back equal to what was written.

``encode`` refuses values that would read back different or not at all (a ``set``, a key that is not text, ``NaN``, half a
surrogate pair). Its error names the part of the value that is at fault.
"""

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError, from_json, to_json

from restpoint.errors import DamagedFile, NotJSON

MAX_PROMPT_BYTES: Final = 2 * 1024 * 1024
MAX_RESPONSE_BYTES: Final = 2 * 1024 * 1024
MAX_RESULT_BYTES: Final = 64 * 1024 * 1024
MAX_TEXT_LENGTH: Final = 64 * 1024  # characters of an error or a reason
MAX_DEPTH: Final = 100  # levels; pydantic's JSON parser stops at 200, and a prompt wraps the value in a few more

_MOST_ERRORS: Final = 1_000
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def encode(value: object, *, limit: int = MAX_RESULT_BYTES) -> str:
    """Return ``value`` as compact JSON text of at most ``limit`` bytes in UTF-8.

    Pydantic models anywhere in the value are dumped in JSON mode. Raises ``NotJSON`` with the path of the first part that is
    not JSON.
    """
    if isinstance(value, BaseModel):
        value = _model_data(value, "$")
    try:
        data = to_json(value, inf_nan_mode="strings")
        # A value that does not read back equal is not JSON, or is harmless, as a tuple is. The slow path decides.
        exact = data.count(b"[") + data.count(b"{") <= MAX_DEPTH and from_json(data) == value
    except (TypeError, ValueError, RecursionError):
        exact, data = False, b""
    if not exact:
        data = to_json(_plain(value, "$", 0))
    if len(data) > limit:
        raise NotJSON("$", f"it is {len(data)} bytes of JSON and the limit is {limit}")
    return data.decode()


def decode(text: str | None) -> Any:
    """Return the value that ``encode`` wrote as ``text``. Raises ``DamagedFile`` if ``text`` is not JSON."""
    if text is None:
        return None
    try:
        return from_json(text)
    except (ValueError, TypeError) as error:
        raise unreadable("a payload", error) from error


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


def _plain(value: object, path: str, depth: int) -> object:  # noqa: C901, PLR0911 - a case for each kind of JSON
    """Copy ``value`` into dict, list, str, int, float, bool and None. Raises ``NotJSON`` at the first part of another type."""
    if depth > MAX_DEPTH:
        raise NotJSON(_short(path), f"it is nested deeper than {MAX_DEPTH} levels")
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
                if not isinstance(key, str):
                    raise NotJSON(path, f"its key {key!r} is {type(key).__name__} and JSON keys are text")
                _unicode(key, path)
            return {str(key): _plain(item, _step(path, str(key)), depth + 1) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
    raise NotJSON(path, f"{type(value).__name__} is not JSON; convert it to text, a number, a list or a dict first")


def _model_data(model: BaseModel, path: str) -> object:
    try:
        return model.model_dump(mode="json")
    except (PydanticSerializationError, ValidationError, ValueError, RecursionError) as error:
        raise NotJSON(path, f"{type(model).__name__} has no JSON form: {error}") from None


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
