"""Reads ``text/event-stream`` (HTML Living Standard, section 9.2.6) from chunks of bytes."""

from codecs import getincrementaldecoder
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from typing import Final

MAX_EVENT_CHARACTERS: Final = 128 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event: ``id`` is the last id of the stream, or "" if there was none; ``data`` is text.

    A block that has an id and no data is none of the stream, but says where to go on from: its ``event`` and ``data`` are "".
    """

    id: str
    event: str
    data: str


async def read_events(chunks: AsyncIterable[bytes]) -> AsyncIterator[StreamEvent]:
    """The events of a stream, each as soon as its blank line has arrived. An event that is cut off is dropped.

    Raises ``ValueError`` if one event is larger than ``MAX_EVENT_CHARACTERS``.
    """
    last_id, event, data, size, is_new = "", "", list[str](), 0, False
    async for line in _lines(chunks):
        if not line:
            if data:
                yield StreamEvent(last_id, event or "message", "\n".join(data))
            elif is_new:
                yield StreamEvent(last_id, "", "")
            event, data, size, is_new = "", [], 0, False
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
            size += len(value)
            if size > MAX_EVENT_CHARACTERS:
                raise ValueError("one event of the stream is too large")
        elif name == "event":
            event = value
        elif name == "id" and "\x00" not in value:
            last_id, is_new = value, True


async def _lines(chunks: AsyncIterable[bytes]) -> AsyncIterator[str]:
    """Lines, which end with CR LF, LF or CR only: JSON may contain the other line separators of Unicode."""
    decoder = getincrementaldecoder("utf-8-sig")("replace")
    parts: list[str] = []
    size, after_return = 0, False
    async for chunk in chunks:
        text = decoder.decode(chunk)
        if after_return and text:
            text, after_return = text.removeprefix("\n"), False
        if text.endswith("\r"):  # it ends the line, even if it is the first half of CR LF
            after_return = True
        *whole, rest = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        for line in whole:
            yield "".join([*parts, line])
            parts, size = [], 0
        parts.append(rest)
        size += len(rest)
        if size > MAX_EVENT_CHARACTERS:
            raise ValueError("one event of the stream is too large")
