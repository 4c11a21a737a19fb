"""Reading a JSON body within limits: how large it is, how many values it has, how deep they nest, how long its numbers are.

Parsing and checking JSON holds the interpreter's lock, and so the event loop, in whatever thread it happens. What that costs
depends on the number of values much more than on the bytes: 4 MiB of text are read in a millisecond, 4 MiB of ``{}`` in a
quarter of a second, and a list of them that a model refuses takes ten seconds. So the values are counted before anything is
parsed, with a few passes over the bytes that take milliseconds.
"""

from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import from_json

from restpoint._core import json_thread
from restpoint._core.serialization import MAX_DEPTH
from restpoint.http.problems import Problem

MAX_BODY_BYTES: Final = 4 * 1024 * 1024
MAX_BODY_VALUES: Final = 50_000
MAX_DIGITS: Final = 1_000
"""The most digits in a row of a number. Reading a whole number takes time that grows with the square of its digits."""

_LONG_NUMBER: Final = b"0" * 20  # what has more digits than 64 bits hold counts as a further value for each 20 of them
_ONLY_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")
_ROUND_TO_SQUARE: Final = bytes.maketrans(b"{}", b"[]")
_DIGITS_TO_ZERO: Final = bytes.maketrans(b"123456789", b"000000000")


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """The limits of a body: its size in bytes, and how many values it may have; each list, object and member counts as one."""

    bytes: int = MAX_BODY_BYTES
    values: int = MAX_BODY_VALUES


async def parse(body: bytes, limits: BodyLimits) -> Any:
    """The JSON of a body; None for an empty one. A long body is parsed off the event loop.

    Raises ``Problem``: 400 where it is not JSON, 422 where it has too many values, nests too deep or has too long a number.
    """
    if not body:
        return None
    if len(body) < json_thread.LONG:
        return _parse(body)
    return await json_thread.run(_parse_within, body, limits.values)


def _parse(body: bytes) -> Any:
    try:
        return from_json(body, allow_inf_nan=False)
    except (ValueError, RecursionError) as error:
        raise Problem("malformed_json", f"The body is not JSON that can be read: {error}.") from None


def _parse_within(body: bytes, most: int) -> Any:
    too_much = _excess(body, most)
    if too_much is not None:
        raise Problem("body_too_complex", too_much)
    return _parse(body)


def _excess(body: bytes, most: int) -> str | None:
    """What a body has too much of, as a sentence; None where it is within the limits.

    What this says of bytes that are no JSON does not matter: they are refused either way.
    """
    too_many = f"The body has more than {most} values; send fewer at once, or keep large content elsewhere and send a link to it."
    if b"\\" in body:
        body = body.replace(rb"\\", b"").replace(rb"\"", b"")
    if body.count(b'"') > 4 * most:  # a text is a value or the name of one
        return too_many
    # Outside the texts, a comma or an opening bracket stands before each value but the first.
    outside = b"".join(body.split(b'"')[::2])
    digits = outside.translate(_DIGITS_TO_ZERO)
    values = 1 + outside.count(b",") + outside.count(b"[") + outside.count(b"{") + digits.count(_LONG_NUMBER)
    if values > most:
        return too_many
    brackets = outside.translate(_ROUND_TO_SQUARE, _ONLY_BRACKETS)
    for _ in range(MAX_DEPTH):
        if not brackets:
            break
        brackets = brackets.replace(b"[]", b"")
    else:
        if brackets:
            return f"The body nests deeper than {MAX_DEPTH} levels."
    if b"0" * (MAX_DIGITS + 1) in digits:
        return f"The body has a number of more than {MAX_DIGITS} digits; send it as text."
    return None
