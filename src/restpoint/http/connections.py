"""The connections of the ready server: how many there may be, and how long a client may keep one waiting.

uvicorn gives a client as long as it likes to send the head of a request or to take a reply, and accepts connections until the
process has no file descriptors left; from then on it is deaf, and asyncio logs each failed attempt. Here a client has
``ConnectionLimits.head_seconds`` for the head of a request (then 408, RFC 9110, section 15.5.9), ``read_body`` limits the time of
a body, and a client that takes nothing of a reply is dropped. At most ``most`` connections are open. A new one beyond these
takes the place of the one that has kept the server waiting longest, so that connections that only wait can never make the
server deaf; where every connection has a request under way, the new one is answered with 503.
"""

import asyncio
import logging
import resource
import time
from collections import OrderedDict
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from weakref import WeakKeyDictionary

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from restpoint.http.problems import Problem
from restpoint.http.requests import BODY_SECONDS

MAX_CONNECTIONS: Final = 1_000
ACCEPTED_AT_ONCE: Final = 32
"""How many connections asyncio accepts in one turn of the loop, before this module sees the first of them."""

_RESERVED_DESCRIPTORS: Final = (
    64 + 3 * ACCEPTED_AT_ONCE
)  # for the file and the log, and for what was accepted and not seen yet
_READ_BYTES: Final = 8 * 1024  # handled in one turn: h11 takes 25 us for each chunk, and a chunk may be six bytes
_LOOK_SECONDS: Final = 1.0
_DRAIN_SECONDS: Final = 10.0  # beyond the time of a body, after which a client that still sends one is dropped


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """The limits of the connections of one process; the times are in seconds."""

    most: int = MAX_CONNECTIONS
    """How many may be open, where the process may have descriptors enough; see ``most_connections``."""
    head_seconds: float = 10.0
    """How long the head of a request may take, from the connection or from its first byte on."""
    unread_seconds: float = 30.0
    """How long a client may take nothing of a reply that waits for it."""
    look_seconds: float = _LOOK_SECONDS
    """How often all of this is looked at."""


def most_connections(wanted: int) -> int:
    """How many connections a process can have: ``wanted``, or fewer where the limit of its descriptors is low."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors == resource.RLIM_INFINITY:
        return wanted
    return max(8, min(wanted, descriptors - _RESERVED_DESCRIPTORS))


class Config(uvicorn.Config):
    """The configuration of a uvicorn server whose connections have limits."""

    def __init__(self, app: Any, limits: ConnectionLimits, **options: Any) -> None:
        super().__init__(app, http=LimitedProtocol, ws="none", backlog=ACCEPTED_AT_ONCE, **options)
        self.connection_limits = limits


class LimitedProtocol(H11Protocol, asyncio.BufferedProtocol):
    """uvicorn's connection with limits. It reads into a buffer of its own, so that one read cannot hold the event loop."""

    _buffer: Final = bytearray(_READ_BYTES)  # of all connections: what was read into it is handled before the next read

    def __init__(self, config: Config, server_state: ServerState, *rest: Any, **named: Any) -> None:
        super().__init__(config, server_state, *rest, **named)
        self._watch = _Watch.of(server_state, config.connection_limits)
        self.owed: object = ("a head", None)
        """What the client owed when the watch last looked, and since when it does."""
        self.since = self.loop.time()

    # --- Of asyncio ---

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection; refuse it where there are too many and none of them only waits."""
        super().connection_made(transport)
        self._watch.admit(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._watch.idle.pop(self, None)
        super().connection_lost(exc)

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 - asyncio gives -1
        """Where to read to."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Handle what was read."""
        if self.transport.is_closing():
            return
        self.data_received(bytes(memoryview(self._buffer)[:nbytes]))
        self._watch.note(self)

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._watch.note(self)

    # --- Of the watch ---

    @property
    def waits_for_client(self) -> bool:
        """Whether the client owes something: the rest of a request, or the next one."""
        return self.waits_for_head or self.conn.their_state is h11.SEND_BODY

    @property
    def waits_for_head(self) -> bool:
        """Whether the client owes the next request, or the rest of its head."""
        return self.conn.their_state is h11.IDLE

    def drop(self) -> None:
        """Close the connection now, whatever still waits to be sent."""
        self._watch.idle.pop(self, None)
        self.transport.abort()

    def refuse(self, code: str, detail: str, **headers: str) -> None:
        """Reply with a problem and close the connection."""
        self._watch.idle.pop(self, None)
        reply = Problem(code, detail, headers={**headers, "connection": "close"}).response()
        phrase = HTTPStatus(reply.status_code).phrase
        head = b"".join(b"%b: %b\r\n" % pair for pair in reply.raw_headers)
        self.transport.write(
            b"HTTP/1.1 %d %b\r\n%b\r\n%b" % (reply.status_code, phrase.encode(), head, bytes(reply.body))
        )
        self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request."""
        self.refuse("malformed_request", f"{msg} Send HTTP/1.1 (RFC 9112).")


class _Watch:
    """What one server knows of its connections. ``idle`` are those that wait for their clients, the longest first."""

    _of_servers: Final[WeakKeyDictionary[ServerState, "_Watch"]] = WeakKeyDictionary()

    def __init__(self, connections: "set[LimitedProtocol]", limits: ConnectionLimits) -> None:
        self.idle: OrderedDict[LimitedProtocol, None] = OrderedDict()
        self._limits = limits
        self._most = most_connections(limits.most)
        self._connections = connections
        self._looking = False

    @classmethod
    def of(cls, state: ServerState, limits: ConnectionLimits) -> "_Watch":
        """The watch of a server."""
        found = cls._of_servers.get(state)
        if found is None:
            found = cls._of_servers[state] = cls(state.connections, limits)  # type: ignore[arg-type]
        return found

    def admit(self, made: LimitedProtocol) -> None:
        if not self._looking:
            self._looking = True
            made.loop.call_later(self._limits.look_seconds, self._look, made.loop)
        if len(self._connections) > self._most:
            if not self.idle:
                text = "The server has as many connections as it takes. Try again in a moment."
                made.refuse("too_many_connections", text, **{"retry-after": "1"})
                return
            next(iter(self.idle)).drop()
        self.idle[made] = None

    def note(self, connection: LimitedProtocol) -> None:
        """Note whether a connection waits for its client."""
        if not connection.waits_for_client or connection.transport.is_closing():
            self.idle.pop(connection, None)
        elif connection not in self.idle:
            self.idle[connection] = None

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for each in tuple(self._connections):
            self._look_at(each, now)
        self._looking = bool(self._connections)
        if self._looking:
            loop.call_later(self._limits.look_seconds, self._look, loop)

    def _look_at(self, connection: LimitedProtocol, now: float) -> None:
        owed, limit = self._owed(connection)
        if owed != connection.owed:
            connection.owed, connection.since = owed, now
        elif owed is None or now - connection.since < limit:
            return
        elif connection.waits_for_head and connection.conn.trailing_data[0]:
            connection.refuse("request_timeout", "The head of the request did not arrive in time. Send it at once.")
        else:
            connection.drop()

    def _owed(self, connection: LimitedProtocol) -> tuple[object, float]:
        """What a client owes, as something that changes when a part of it comes, and how many seconds it may take."""
        unsent = connection.transport.get_write_buffer_size()
        if unsent and (connection.flow.write_paused or connection.transport.is_closing()):
            return ("taking", unsent), self._limits.unread_seconds  # nothing is added to what a paused connection has
        if connection.waits_for_head:
            return ("a head", connection.cycle), self._limits.head_seconds
        if connection.conn.their_state is h11.SEND_BODY:
            return ("a body", connection.cycle), BODY_SECONDS + _DRAIN_SECONDS
        return None, 0.0


class OncePerSecond(logging.Filter):
    """Lets a line of a logger pass once a second; the next one that passes says how many did not.

    For lines that strangers can cause as often as they like, such as one for each connection that cannot be accepted.
    """

    def __init__(self) -> None:
        super().__init__()
        self._seen: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line passes."""
        line = record.getMessage()
        key, now = line.partition("\n")[0][:80], time.monotonic()
        passed, held_back = self._seen.get(key, (now - 1, 0))
        if now - passed < 1:
            self._seen[key] = (passed, held_back + 1)
            return False
        self._seen[key] = (now, 0)
        self._seen.move_to_end(key)
        if len(self._seen) > 100:
            self._seen.popitem(last=False)
        if held_back:
            record.msg, record.args = f"{line} ({held_back} more of these were not logged)", ()
        return True


def limit_log_lines() -> None:
    """Limit the lines that strangers can cause, by connections and by callbacks, to one of a kind in a second."""
    for name in ("uvicorn.error", "asyncio", "restpoint.oauth.flow"):
        logger = logging.getLogger(name)
        if not any(isinstance(each, OncePerSecond) for each in logger.filters):
            logger.addFilter(OncePerSecond())
