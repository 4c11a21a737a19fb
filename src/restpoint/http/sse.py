"""Long requests: long polls, and streams of server-sent events. A shutdown ends both.

A stream is ``text/event-stream`` (HTML Living Standard, section 9.2): every event has a name and one line of JSON, and the event
of a row of history has its sequence as id. While nothing happens, a comment is sent now and then, so that proxies keep the
connection and the server notices that a client has left. The execution continues when its stream ends.
"""

import asyncio
import signal
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import Any, Final

from pydantic_core import to_json
from starlette.responses import StreamingResponse

from restpoint.errors import StoreClosed
from restpoint.http.problems import problem_of

KEEP_ALIVE: Final = 15.0
"""Seconds without an event after which a comment is sent."""

# JSON escapes the line breaks of this format by itself. These are no line breaks in it, but some readers take them for such.
_LINE_BREAKS: Final = tuple(
    (character.encode(), f"\\u{ord(character):04x}".encode()) for character in "\x85\u2028\u2029"
)
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

Handler = Callable[[int, FrameType | None], Any] | int | None


class _AtMost:
    """One time limit, which is in the set of open limits while it is entered."""

    __slots__ = ("_limit", "_open")

    def __init__(self, open_: set[asyncio.Timeout], limit: asyncio.Timeout) -> None:
        self._open = open_
        self._limit = limit

    async def __aenter__(self) -> None:
        await self._limit.__aenter__()
        self._open.add(self._limit)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._open.discard(self._limit)
        await self._limit.__aexit__(kind, error, traceback)


class LongRequests:
    """The long polls and streams of a process, which a shutdown ends at once."""

    def __init__(self) -> None:
        self.ending = False
        self._open: set[asyncio.Timeout] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def at_most(self, seconds: float | None) -> "_AtMost":
        """For ``async with``: raises ``TimeoutError`` after so many seconds, or at a shutdown."""
        return _AtMost(self._open, asyncio.timeout(0 if self.ending else seconds))

    def end(self) -> None:
        """End every long request now, and every later one at once. Any thread may call it, and a signal handler."""
        if self._loop is None or self._loop.is_closed():
            self.ending = True
        else:
            self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        self.ending = True
        now = asyncio.get_running_loop().time()
        for limit in list(self._open):
            with suppress(RuntimeError):  # the limit has passed, and its task has not run since
                limit.reschedule(now)

    @contextmanager
    def ended_by_signals(self) -> Iterator[None]:
        """End the requests at SIGTERM and SIGINT, before the server's own handlers of these begin to wait for replies."""
        self._loop = asyncio.get_running_loop()
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before: dict[int, Handler] = {number: signal.getsignal(number) for number in _SIGNALS}

        def handle(number: int, frame: FrameType | None) -> None:
            self.end()
            earlier = before[number]
            if callable(earlier):
                earlier(number, frame)

        replaced = {number: handler for number, handler in before.items() if callable(handler)}
        for number in replaced:
            signal.signal(number, handle)
        try:
            yield
        finally:
            for number, handler in replaced.items():
                if signal.getsignal(number) is handle:
                    signal.signal(number, handler)


def event(name: str | None, data: object, event_id: str | int | None = None) -> bytes:
    """Return one event as bytes. Its data is one line of JSON.

    The id is first, because a documented client of the original store takes the line after ``event:`` for the data.
    """
    head = b"" if event_id is None else b"id: %b\n" % str(event_id).encode()
    if name is not None:
        head += b"event: %b\n" % name.encode()
    text = to_json(data, inf_nan_mode="null")
    if not text.isascii():
        for character, escaped in _LINE_BREAKS:
            text = text.replace(character, escaped)
    return b"%bdata: %b\n\n" % (head, text)


def position(event_id: int) -> bytes:
    """Return the id that a reader goes on from, with no event: a blank line without data only sets the last event's id."""
    return b"id: %d\n\n" % event_id


_SHUTDOWN: Final = event("shutdown", {"reason": "The server is going down; go on from the last id once it is back."})


class EventStream(StreamingResponse):
    """A reply that streams the events of a generator, with comments between them. A shutdown ends it with an event.

    The reply to a HEAD request has no events.
    """

    def __init__(
        self,
        events: AsyncGenerator[bytes, None],
        requests: LongRequests,
        *,
        headers: dict[str, str] | None = None,
        keep_alive: float = KEEP_ALIVE,
        is_head: bool = False,
    ) -> None:
        # No buffering, by caches or by proxies such as nginx.
        sent = {"cache-control": "no-store", "x-accel-buffering": "no", **(headers or {})}
        content = () if is_head else _kept_alive(events, requests, keep_alive)
        super().__init__(content, headers=sent, media_type="text/event-stream")


async def _kept_alive(
    events: AsyncGenerator[bytes, None], requests: LongRequests, keep_alive: float
) -> AsyncGenerator[bytes, None]:
    # A comment does not cancel the wait for the next event: a generator that is cancelled gives nothing any more.
    next_event: asyncio.Task[bytes] | None = None
    yield b": open\n\n"
    try:
        while True:
            next_event = next_event or asyncio.ensure_future(anext(events))
            try:
                async with requests.at_most(keep_alive):
                    await asyncio.wait({next_event})
            except TimeoutError:
                if requests.ending and not next_event.done():
                    yield _SHUTDOWN
                    return
                if not next_event.done():
                    yield b": waiting\n\n"
                    continue
            done, next_event = next_event, None
            try:
                yield done.result()
            except StopAsyncIteration:
                return
            except StoreClosed:
                yield _SHUTDOWN
                return
            except Exception as error:  # noqa: BLE001 - as for every reply: a client gets a problem, never a traceback
                problem = problem_of(error)
                yield event("error", {"code": problem.code, "detail": problem.detail, **problem.members})
                return
    finally:
        if next_event is not None:
            next_event.cancel()
            await asyncio.gather(next_event, return_exceptions=True)
        await events.aclose()
