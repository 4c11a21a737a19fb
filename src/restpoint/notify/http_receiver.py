"""An HTTP server that notices are posted to.

The name of the receiver is resolved here, each address is checked, and the connection is made to an address that was checked, so
that no second look at the DNS can lead elsewhere (DNS rebinding). The certificate is verified against the name. httpcore speaks
HTTP: it follows no redirect, keeps no cookie, unpacks no compressed reply, and knows no proxy of the environment, behind which
nobody could check addresses.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import httpcore

from restpoint._core.threads import in_thread
from restpoint.errors import InvalidArgument
from restpoint.notify.destinations import Destinations
from restpoint.notify.notices import DeliveryFailed

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Returns the IP addresses of a host name, the best first. Raises ``OSError``."""

_MAX_URL: Final = 2_000  # characters
_MAX_REPLY: Final = 64 * 1024  # bytes that are read of a reply, so that its connection can be used again
_IDLE_SECONDS: Final = 4.0  # less than many servers keep an idle connection open
_CONNECT_SECONDS: Final = 8.0  # for each address, so that the next one is tried too, and for TLS
_LIMITS: Final = {"timeout": {"connect": _CONNECT_SECONDS}}  # the others are those of the whole request
_MOST_CONNECTIONS: Final = 100
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
        self._timeout = timeout
        self._url = httpcore.URL(
            scheme=parts.scheme,
            host=parts.hostname or "",
            port=parts.port,
            target=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        )
        self._host = parts.netloc
        encrypted = parts.scheme == "https"
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=_trust(ca_file) if encrypted else None,
            max_connections=_MOST_CONNECTIONS,
            max_keepalive_connections=_MOST_CONNECTIONS,
            keepalive_expiry=_IDLE_SECONDS,
            network_backend=_CheckedConnections(destinations, resolve or look_up, encrypted=encrypted),
        )

    async def post(self, headers: Mapping[str, str], body: bytes) -> Reply:
        """Send a request and return the head of the reply, whatever its status. Raises ``DeliveryFailed``."""
        reply: Reply | None = None
        problem = f"did not answer within {self._timeout:g} s"
        sent = [("Host", self._host), ("Accept-Encoding", "identity"), *headers.items()]
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._pool.stream("POST", self._url, headers=sent, content=body, extensions=_LIMITS) as answered,
            ):
                reply = Reply(answered.status, _retry_after(answered.headers))
                await _read_rest(answered)
        except TimeoutError:
            pass
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:  # beyond the TCP connection, so it is TLS
            problem = f"has no TLS for us: {_of_tls(error)}"
        except httpcore.LocalProtocolError:
            problem = "got nothing: the request cannot be written in HTTP"
        except (httpcore.ProtocolError, httpcore.NetworkError) as error:
            problem = f"broke the connection off, or answered something that is not HTTP ({type(error).__name__})"
        if reply is None:  # once its head is here the rest does not matter
            raise DeliveryFailed(f"The receiver {self.origin} {problem}.")
        return reply

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.aclose()


class _CheckedConnections(httpcore.AnyIOBackend):
    """Connects to addresses that were checked. It looks a name up once for each connection."""

    def __init__(self, destinations: Destinations, resolve: Resolve, *, encrypted: bool) -> None:
        self._destinations = destinations
        self._resolve = resolve
        self._encrypted = encrypted

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first of the host's addresses that may be connected to and that answers. Raises ``DeliveryFailed``."""
        try:
            addresses = await self._resolve(host, port)
        except OSError:
            addresses = []
        if not addresses:
            raise DeliveryFailed(f"The name {host} has no address.")
        refusals = []
        for address in addresses[:_MOST_ADDRESSES]:
            refusal = self._destinations.refusal(address, encrypted=self._encrypted)
            if refusal is not None:
                refusals.append(refusal)
                continue
            try:
                stream = await super().connect_tcp(address, port, timeout, local_address, socket_options)
                return _BeforeTls(stream) if self._encrypted else stream
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                refusals.append(f"nothing answered at {address}, port {port}")
        raise DeliveryFailed(f"No connection was made to {host}: {'; '.join(dict.fromkeys(refusals))}.")


class _BeforeTls(httpcore.AsyncNetworkStream):
    """A connection that is closed where the attempt ends during the handshake of TLS, which httpcore leaves open."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read some bytes."""
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all bytes."""
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        """Return the connection with TLS."""
        try:
            return await self._stream.start_tls(ssl_context, server_hostname, timeout)
        except asyncio.CancelledError:
            await self._stream.aclose()
            raise

    def get_extra_info(self, info: str) -> Any:
        """What is known of the connection."""
        return self._stream.get_extra_info(info)


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
    """Return what verifies certificates: by the authorities in a file, or by the public ones and those of this machine."""
    if ca_file is None:
        return httpcore.default_ssl_context()
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError too
        raise InvalidArgument(
            f"The ca_file {ca_file} holds no certificates in PEM ({error.strerror or error})."
        ) from None


async def _read_rest(reply: httpcore.Response) -> None:
    """Read the body, so that its connection can be used again. A longer one is left, and its connection is closed."""
    read = 0
    async with aclosing(reply.aiter_stream()) as chunks:  # type: ignore[type-var] # it is an async generator
        async for chunk in chunks:
            read += len(chunk)
            if read > _MAX_REPLY:
                return


def _retry_after(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    found = [value for name, value in headers if name.lower() == b"retry-after"]
    return found[0].decode("latin-1")[:100] if found else None


def _of_tls(error: BaseException) -> str:
    """Why TLS failed, in the words of the TLS library, which knows no secret of ours."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not accepted ({cause.verify_message})"
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed ({cause.reason})"
        cause = cause.__cause__ or cause.__context__
    return "it was broken off"
