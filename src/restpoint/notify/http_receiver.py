"""An HTTP server that notices are posted to.

The name of the receiver is resolved here, each address is checked, and the connection is made to an address that was checked, so
that no second look at the DNS can lead elsewhere (DNS rebinding). The certificate is verified against the name. h11 reads and
writes HTTP/1.1. No redirect is followed, no cookie is kept, no compressed reply is unpacked, and no proxy of the environment is
used, behind which nobody could check addresses.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

import h11

from restpoint._core.threads import in_thread
from restpoint.errors import InvalidArgument
from restpoint.notify.destinations import Destinations
from restpoint.notify.notices import DeliveryFailed

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Returns the IP addresses of a host name, the best first. Raises ``OSError``."""

_MAX_URL: Final = 2_000  # characters
_MAX_HEAD: Final = 64 * 1024  # bytes of the head of a reply
_MAX_REPLY: Final = 64 * 1024  # bytes that are read of its body, so that its connection can be used again
_READ_BYTES: Final = 64 * 1024
_IDLE_SECONDS: Final = 4.0  # less than many servers keep an idle connection open
_CONNECT_SECONDS: Final = 8.0  # for each address, with TLS, so that the next one is tried too
_MOST_ADDRESSES: Final = 8
_PORTS: Final = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Reply:
    """The head of a reply: its status, and what it says in ``Retry-After`` (RFC 9110, section 10.2.3)."""

    status: int
    retry_after: str | None = None

    @property
    def is_success(self) -> bool:
        """Whether the receiver has the notice."""
        return 200 <= self.status < 300

    @property
    def words(self) -> str:
        """The status with its name in the standard; the receiver's own words are not shown."""
        try:
            return f"{self.status} ({HTTPStatus(self.status).phrase})"
        except ValueError:
            return str(self.status)


class HttpReceiver:
    """The server at one URL. Used from one event loop.

    ``timeout`` is the limit in seconds of one whole request, from the look-up of the name to the end of the reply. Connections
    are used again; there are as many as requests under way, of which the caller sets the limit. ``ca_file`` has the
    certificates of the authorities that are trusted instead of the public ones. Raises ``InvalidArgument``.
    """

    def __init__(
        self,
        url: str,
        destinations: Destinations,
        *,
        timeout: float,
        ca_file: Path | None = None,
        resolve: Resolve | None = None,
    ) -> None:
        parts = read_url(url, destinations)
        self.origin: Final = f"{parts.scheme}://{parts.netloc}"
        """What messages call the receiver. A path or a query may hold secrets, so they are never shown."""
        self._name = parts.hostname or ""
        self._port = parts.port or _PORTS[parts.scheme]
        self._host = parts.netloc
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._destinations = destinations
        self._timeout = timeout
        self._tls = _trust(ca_file) if parts.scheme == "https" else None
        self._resolve = resolve or look_up
        self._idle: list[_Connection] = []

    async def post(self, headers: Mapping[str, str], body: bytes) -> Reply:
        """Send a request and return the head of the reply, whatever its status. Raises ``DeliveryFailed``."""
        request = h11.Request(
            method="POST",
            target=self._target,
            headers=[
                ("Host", self._host),
                ("Accept-Encoding", "identity"),
                ("Content-Length", str(len(body))),
                *headers.items(),
            ],
        )
        connection: _Connection | None = None
        problem = ""
        try:
            async with asyncio.timeout(self._timeout):
                connection = self._kept() or await self._connect()
                await connection.exchange(request, body)
        except TimeoutError:
            problem = f"did not answer within {self._timeout:g} s"
        except (OSError, h11.RemoteProtocolError, EOFError) as error:
            problem = f"broke the connection off, or answered something that is not HTTP ({type(error).__name__})"
        finally:
            if connection is not None and not connection.is_usable:
                connection.close()
        if connection is not None and connection.reply is not None:  # once its head is here the rest does not matter
            if connection.is_usable:
                self._idle.append(connection)
            return connection.reply
        raise DeliveryFailed(f"The receiver {self.origin} {problem}.")

    async def close(self) -> None:
        """Close the connections."""
        closing, self._idle = self._idle, []
        for connection in closing:
            connection.close()
        for connection in closing:
            await connection.closed()

    def _kept(self) -> "_Connection | None":
        """A connection that was used before."""
        oldest = asyncio.get_running_loop().time() - _IDLE_SECONDS
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable and connection.used_at > oldest:
                return connection
            connection.close()
        return None

    async def _connect(self) -> "_Connection":
        """Connect to the first address of the receiver that may be connected to and that answers. Raises ``DeliveryFailed``."""
        try:
            addresses = await self._resolve(self._name, self._port)
        except (OSError, UnicodeError):  # for a part of a name that is empty or too long there is no encoding
            addresses = []
        if not addresses:
            raise DeliveryFailed(f"The name {self._name} has no address.")
        refusals = []
        for address in addresses[:_MOST_ADDRESSES]:
            refusal = self._destinations.refusal(address, encrypted=self._tls is not None)
            if refusal is None:
                try:
                    async with asyncio.timeout(_CONNECT_SECONDS):
                        return _Connection(
                            *await asyncio.open_connection(
                                address,
                                self._port,
                                limit=_READ_BYTES,
                                ssl=self._tls,
                                server_hostname=None if self._tls is None else self._name,
                            )
                        )
                except ssl.SSLCertVerificationError as error:
                    refusal = f"the certificate at {address} is not accepted ({error.verify_message})"
                except ssl.SSLError as error:
                    refusal = f"there is no TLS at {address}, port {self._port} ({error.reason})"
                except (OSError, TimeoutError):
                    refusal = f"nothing answered at {address}, port {self._port}"
            refusals.append(refusal)
        raise DeliveryFailed(f"No connection was made to {self._name}: {'; '.join(dict.fromkeys(refusals))}.")


class _Connection:
    """One connection, over which requests go one after the other. ``used_at`` is the loop's time of the last one."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reply: Reply | None = None
        """The reply to the last request, once its head is here."""
        self.used_at = 0.0
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD)

    @property
    def is_usable(self) -> bool:
        """Whether another request can go over it."""
        return self._http.our_state is h11.IDLE and not self._reader.at_eof() and not self._writer.is_closing()

    async def exchange(self, request: h11.Request, body: bytes) -> None:
        """Send a request and read the reply, but no more of its body than is worth the connection.

        Raises ``OSError``, ``EOFError`` and ``h11.RemoteProtocolError``.
        """
        self.reply = None
        http, left = self._http, _MAX_REPLY
        sent = [http.send(each) or b"" for each in (request, h11.Data(data=body), h11.EndOfMessage())]
        self._writer.write(b"".join(sent))
        with suppress(ConnectionError):  # who refuses a request may close before it has read it, and its reply is here
            await self._writer.drain()
        while left > 0:
            match http.next_event():
                case h11.NEED_DATA:
                    http.receive_data(await self._more())
                case h11.Response() as response:
                    self.reply = Reply(response.status_code, _retry_after(response.headers))
                case h11.Data() as data:
                    left -= len(data.data)
                case h11.EndOfMessage():
                    if http.states == {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}:
                        http.start_next_cycle()
                        self.used_at = asyncio.get_running_loop().time()
                    return
                case h11.ConnectionClosed() | h11.PAUSED:
                    raise EOFError

    async def _more(self) -> bytes:
        """What came next; nothing at the end. Other tasks have their turn, whatever the receiver sends."""
        await asyncio.sleep(0)
        return await self._reader.read(_READ_BYTES)

    def close(self) -> None:
        """Close it, without waiting for the other side."""
        self._writer.transport.abort()

    async def closed(self) -> None:
        """Return once it is closed."""
        with suppress(OSError):
            await self._writer.wait_closed()


async def look_up(host: str, port: int) -> list[str]:
    """Return the addresses of a host name, in the order of RFC 6724. Raises ``OSError``.

    It runs in a thread of its own: a name whose servers do not answer delays no other.
    """
    found = await in_thread(socket.getaddrinfo, host, port, 0, socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def read_url(url: str, destinations: Destinations) -> SplitResult:
    """Return the parts of a receiver's URL.

    It is https, or http where the operator opens addresses that are not on the internet. Raises ``InvalidArgument``; the message
    shows nothing of the URL beyond its host, because the rest may be secret.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.port != 0 else None  # which raises ValueError for a port that is none
        if host is not None:
            host.encode("ascii")
    except ValueError:
        parts, host = urlsplit(""), None
    if not host or parts.scheme not in _PORTS or len(url) > _MAX_URL:
        raise InvalidArgument("The URL of a webhook begins with https:// and a host name in ASCII.")
    if parts.fragment or "@" in parts.netloc or not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidArgument(
            f"The URL of the webhook at {host} needs to be without a fragment, a user name or spaces."
        )
    if parts.scheme == "http" and not destinations.are_opened:
        raise InvalidArgument(
            f"The URL of the webhook at {host} needs to begin with https://. In a network of your own http:// is taken with "
            "allow_private = true, or with networks."
        )
    try:
        refusal = destinations.refusal(host, encrypted=parts.scheme == "https")
    except ValueError:  # a name, whose addresses are checked when it is connected to
        refusal = None
    if refusal is not None:
        raise InvalidArgument(f"Nothing is sent to the webhook at {host}: {refusal}.")
    return parts


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    """Return what verifies certificates: by the authorities in a file, or by the public ones."""
    if ca_file is None:
        import httpx

        return httpx.create_ssl_context(trust_env=False)
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError too
        raise InvalidArgument(
            f"The ca_file {ca_file} holds no certificates in PEM ({error.strerror or error})."
        ) from None


def _retry_after(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    found = [value for name, value in headers if name == b"retry-after"]
    return found[0].decode("latin-1")[:100] if found else None
