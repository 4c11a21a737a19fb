"""Receivers of webhooks, and a notice: servers on loopback, over HTTP or TLS, that answer what the tests tell them to."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from restpoint.events import EventKind
from restpoint.notify.notices import Notice
from support import START, TEXT

ASKED = Notice(
    id="01990c7e-4000-7abc-8def-0123456789ab",
    event=EventKind.INTERACTION_ASKED,
    sequence=7,
    time=START + 250,
    route="finance",
    attempt=1,
    execution_id="01990c7e-3fff-7abc-8def-0123456789ab",
    workflow="refund",
    owner="ada",
    status="interaction_required",
    interaction_id="01990c7e-3fff-7abc-8def-ba9876543210",
    prompt=TEXT,
    assignees=("group:finance", "grace"),
    actor=None,
    priority=2,
    due_at=START + 3_600_000,
    deadline_at=START + 7_200_500,
    detail={"amount": None, "note": "naïve ☕"},
    link="https://flows.example.com/executions/01990c7e-3fff-7abc-8def-0123456789ab",
)


def asked(**changes: Any) -> Notice:
    """A notice of a prompt, with changes."""
    return replace(ASKED, **changes)


Behaviour = Callable[[asyncio.StreamWriter], Awaitable[None]]
"""What a receiver does with a request that it has read. The connection is closed when it raises ``ConnectionError``."""


@dataclass
class Request:
    """One request as it came over the wire."""

    head: bytes
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        """By name in lower case."""
        lines = self.head.decode("ascii").split("\r\n")[1:]
        return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


@dataclass
class Receiver:
    """``answers`` are what the next requests get, the last of them for ever."""

    answers: list[Behaviour] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def url(self, scheme: str = "http", host: str = "127.0.0.1") -> str:
        """Where it is."""
        return f"{scheme}://{host}:{self.port}/hooks/restpoint"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read requests from one connection, and answer each."""
        self.connections += 1
        self.writers.append(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                request = Request(head.removesuffix(b"\r\n\r\n"), b"")
                request.body = await reader.readexactly(int(request.headers["content-length"]))
                self.requests.append(request)
                self.arrived.set()
                await (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def says(status: int, headers: Sequence[str] = (), body: bytes = b"") -> Behaviour:
    """Answer with a status, and keep the connection."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status} Said", f"content-length: {len(body)}", *headers]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await writer.drain()

    return answer


def sends(data: bytes, *, for_ever: bytes = b"") -> Behaviour:
    """Send bytes as they are, and others again and again until nobody takes them; then break off."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        while for_ever:
            writer.write(for_ever)
            await writer.drain()
            await asyncio.sleep(0)
        raise ConnectionAbortedError

    return answer


@asynccontextmanager
async def receiving(
    *answers: Behaviour, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Receiver]:
    """A receiver on loopback; it answers 204 if no answers are given."""
    receiver = Receiver(list(answers) or [says(204)])
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(receiver.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(serve, host, port, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


@dataclass(frozen=True)
class Authority:
    """A certificate authority that lives as long as a test. ``file`` has its certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    file: Path

    def server(self, *names: str, age: timedelta = timedelta()) -> ssl.SSLContext:
        """What a TLS server of these names, or IP addresses, shows: a certificate that is valid for an hour, ``age`` ago."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = _certificate(names[0], self.certificate.subject, key, age).add_extension(
            x509.SubjectAlternativeName([_name(name) for name in names]), critical=False
        )
        chain = self.file.with_name(f"{names[0]}.pem")
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        chain.write_bytes(private + _pem(made.sign(self.key, hashes.SHA256())))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(chain)
        return context


def authority(folder: Path, name: str = "Tests") -> Authority:
    """Make an authority, with its files in ``folder``."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        _certificate(name, subject, key, timedelta())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"authority-{name}.pem"
    file.write_bytes(_pem(made))
    return Authority(key, made, file)


def _certificate(
    name: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, age: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - age - timedelta(minutes=1))
        .not_valid_after(now - age + timedelta(hours=1))
    )


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
