"""A receiver of webhooks for the benchmarks, in a process of its own, and a deliverer that sends to it."""

import asyncio
import os
import socket
from pathlib import Path

from restpoint import ExecutionStore
from restpoint.notify import routes_file, signatures
from restpoint.notify.deliverer import Deliverer

ROUTES = """\
[channels.local]
kind = "webhook"
url = "http://127.0.0.1:{port}/hook"
secret_env = "SECRET"
allow_private = true

[[routes]]
name = "asked"
channel = "local"
"""


class _Receiving(asyncio.Protocol):
    """Answers each request with 204."""

    def __init__(self) -> None:
        self._read = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._read += data
        while (end := self._read.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._read[:end]).lower()
            length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
            if len(self._read) < end + 4 + length:
                return
            del self._read[: end + 4 + length]
            self._transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")


class Receiver:
    """A receiver in a process of its own. ``port`` is where it listens."""

    def __init__(self) -> None:
        listening = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port: int = listening.getsockname()[1]
        self._pid = os.fork()
        if self._pid == 0:
            asyncio.run(self._serve(listening))
        listening.close()

    async def _serve(self, listening: socket.socket) -> None:
        server = await asyncio.get_running_loop().create_server(_Receiving, sock=listening)
        await server.serve_forever()

    def processor_seconds(self) -> float:
        """What the receiver has taken so far (Linux)."""
        fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """End it."""
        os.kill(self._pid, 9)
        os.waitpid(self._pid, 0)


def deliverer(store: ExecutionStore, folder: Path, receiver: Receiver, secret: str | None = None) -> Deliverer:
    """A deliverer to the receiver, by a routes file in ``folder``."""
    file = folder / "routes.toml"
    file.write_text(ROUTES.format(port=receiver.port))
    routes = routes_file.read(file)
    return Deliverer(store, routes, routes.channels({"SECRET": secret or signatures.new_secret()}))
