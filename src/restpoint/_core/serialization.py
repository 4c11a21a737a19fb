"""What may be stored: JSON (RFC 8259) and nothing else, within limits, and the same after a restart as before.

``encode`` refuses what would come back different or not at all (a ``set``, a key that is not text, ``NaN``, half a
surrogate pair), and says where in the value it stands.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError, from_json, to_json

from restpoint.errors import DamagedFile, NotJSON

MAX_PROMPT_BYTES: Final = 2 * 1024 * 1024
MAX_RESPONSE_BYTES: Final = 2 * 1024 * 1024
MAX_RESULT_BYTES: Final = 64 * 1024 * 1024
MAX_TEXT_LENGTH: Final = 64 * 1024  # characters of an error, a reason, an actor's name
MAX_DEPTH: Final = 100  # levels; the reader of JSON stops at 200, and a prompt adds some

_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def encode(value: object, *, limit: int = MAX_RESULT_BYTES) -> str:
    """``value`` as compact JSON text, at most ``limit`` bytes of UTF-8.

    Pydantic models anywhere in the value are taken in their JSON form. Raises ``NotJSON`` with the path of the first
    offending part.
    """
    if isinstance(value, BaseModel):
        value = _model_data(value, "$")
    try:
        data = to_json(value, inf_nan_mode="strings")
        # What does not read back equal is no JSON, or is harmless as a tuple is: the slow way tells.
        exact = data.count(b"[") + data.count(b"{") <= MAX_DEPTH and from_json(data) == value
    except (TypeError, ValueError, RecursionError):
        exact, data = False, b""
    if not exact:
        data = to_json(_plain(value, "$", 0))
    if len(data) > limit:
        raise NotJSON("$", f"it is {len(data)} bytes of JSON and the limit is {limit}")
    return data.decode()


def decode(text: str | None) -> Any:
    """The value that ``encode`` made ``text`` from. Raises ``DamagedFile`` where it did not."""
    if text is None:
        return None
    try:
        return from_json(text)
    except (ValueError, TypeError) as error:
        raise unreadable("a payload", error) from error


def unreadable(what: str, error: Exception) -> DamagedFile:
    """The error for something in the file that this program cannot have written: it was damaged, or bent by another one."""
    why = str(error).partition("\n")[0]
    return DamagedFile(f"The file is damaged: {what} in it cannot be read ({why}). See: restpoint db check")


BENT: Final = (ValueError, TypeError, KeyError, AttributeError)
"""What values of another kind than any that was written make Python raise."""


def check_text(name: str, text: str, *, limit: int = MAX_TEXT_LENGTH) -> str:
    """``text`` if it is text that UTF-8 can carry and no longer than ``limit`` characters; else ``NotJSON``."""
    if not isinstance(text, str):
        raise NotJSON(name, f"it is {type(text).__name__} and must be text")
    if len(text) > limit:
        raise NotJSON(name, f"it has {len(text)} characters and the limit is {limit}")
    if "\x00" in text:
        raise NotJSON(name, "it has a NUL character, at which C programs and SQL functions would cut it")
    return _unicode(text, name)


def storable(text: object) -> str:
    """``text`` as ``check_text`` would take it, for what must be stored whatever it says, such as an error."""
    return str(text)[:MAX_TEXT_LENGTH].encode("utf-8", "replace").decode().replace("\x00", "")


def first_problem(error: Exception) -> str:
    """What is wrong first, as ``where: what``, by the error of a validation; without the value that was refused."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return f"{where}: {first['msg']}" if where else first["msg"]
    return str(error) or type(error).__name__


def _plain(value: object, path: str, depth: int) -> object:  # noqa: C901, PLR0911 - a case for each kind of JSON
    """``value`` made of dict, list, str, int, float, bool and None only; raises ``NotJSON`` at the first other part."""
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
            if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124 - NaN differs from itself
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
