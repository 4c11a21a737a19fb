"""Reads ``text/event-stream`` (HTML Living Standard, section 9.2.6), and follows the streams of a server."""

import asyncio
from codecs import getincrementaldecoder
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import httpx
from pydantic_core import from_json

from restpoint import errors
from restpoint.client import responses
from restpoint.client.connection import RETRIED, Connection, pause
from restpoint.models import Event

_FINAL_EVENT: Final = "end"
_SHUTDOWN_EVENT: Final = "shutdown"
_ERROR_EVENT: Final = "error"

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


# --- Streams of a server ---------------------------------------------------------------------------------------------


async def followed(
    server: Connection, path: str, params: Mapping[str, str | None], after: int | None
) -> AsyncGenerator[Event, None]:
    """The events of a stream until it says that it has ended, over as many connections as that takes."""
    last, failures = after, 0
    while True:
        problem: Exception | None = None
        try:
            async with aclosing(_connected(server, path, params, last)) as connected:
                async for event in connected:
                    failures = 0
                    if event.event == _FINAL_EVENT:
                        return
                    if event.event == _SHUTDOWN_EVENT:
                        break
                    if event.event == _ERROR_EVENT:
                        raise responses.error_of(event.data)
                    last = event.sequence
                    if event.event:
                        yield event
        except (httpx.TransportError, ValueError, errors.StorageError) as error:
            if isinstance(error, errors.RestpointError) and not isinstance(error, errors.StorageError):
                raise
            problem = error
        failures += 1
        if failures >= server.attempts:
            raise server.unreachable(problem)
        await asyncio.sleep(pause(failures))


async def _connected(
    server: Connection, path: str, params: Mapping[str, str | None], after: int | None
) -> AsyncGenerator[Event, None]:
    """One connection to a stream. An event without a name says where to go on from."""
    headers = {"accept": "text/event-stream", **({} if after is None else {"last-event-id": str(after)})}
    sent = {name: value for name, value in params.items() if value is not None}
    # Comments keep it alive.
    async with server.stream(path, params=sent, headers=headers, patience=60.0) as reply:
        if reply.status_code in RETRIED:
            return
        if reply.status_code != HTTPStatus.OK:
            await reply.aread()
            raise responses.error_in(reply)
        async for event in read_events(reply.aiter_bytes()):
            sequence = int(event.id) if event.id.isdecimal() else after or 0
            yield Event(sequence, event.event, from_json(event.data) if event.event else None)
