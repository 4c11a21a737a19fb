"""A real SMTP server in this process, with and without TLS and a password, and certificates for it."""

import asyncio
import email
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTPUTF8
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

USER, PASSWORD = "restpoint", "s3cret-of-the-mail-server"


@dataclass
class Received:
    """A mail as the server got it."""

    sender: str
    recipient: str
    raw: bytes
    is_encrypted: bool
    user: str | None

    @property
    def message(self) -> EmailMessage:
        return email.message_from_bytes(self.raw, policy=SMTPUTF8)

    @property
    def text(self) -> str:
        return self._part("plain")

    @property
    def html(self) -> str:
        return self._part("html")

    @property
    def links(self) -> list[str]:
        return [word for word in self.text.split() if word.startswith("http")]

    def _part(self, kind: Literal["plain", "html"]) -> str:
        part = self.message.get_body([kind])
        assert part is not None, f"the mail has no part {kind}"
        return str(part.get_content())


@dataclass
class MailServer:
    """What a server got, and what it answers. ``replies`` are those of RCPT and DATA, in place of 250."""

    port: int = 0
    mails: list[Received] = field(default_factory=list)
    connections: list[SMTP] = field(default_factory=list)
    replies: dict[str, str] = field(default_factory=dict)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _: Any, __: Session, envelope: Envelope, address: str, ___: Any
    ) -> str:
        reply = self.replies.get(address) or self.replies.get("RCPT", "250 OK")
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        reply = self.replies.get("DATA", "250 OK")
        if reply.startswith("250"):
            content = envelope.original_content or b""
            known: Any = session.auth_data
            user = None if known is None else known.login.decode()
            for address in envelope.rcpt_tos:
                encrypted = session.ssl is not None or getattr(server, "is_tls", False)
                self.mails.append(Received(str(envelope.mail_from), address, content, encrypted, user))
            self.arrived.set()
        return reply

    async def mail(self, count: int = 1) -> list[Received]:
        """The mails, once there are so many."""
        while len(self.mails) < count:
            self.arrived.clear()
            await self.arrived.wait()
        return self.mails

    def hang_up(self) -> None:
        """Close every connection, as a server that ends or has waited for too long does."""
        for each in self.connections:
            if each.transport is not None:
                each.transport.close()


def _authenticate(_: Any, __: Any, ___: Any, ____: Any, data: Any) -> AuthResult:
    known = isinstance(data, LoginPassword) and data == LoginPassword(USER.encode(), PASSWORD.encode())
    return AuthResult(success=known, handled=False, auth_data=data)


@asynccontextmanager
async def mail_server(
    *, certificate: Path | None = None, from_the_start: bool = False, auth: bool = False, utf8: bool = False
) -> AsyncIterator[MailServer]:
    """A server on a free port of this machine. With a ``certificate`` it offers STARTTLS, or has TLS ``from_the_start``."""
    made, context = MailServer(), None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)

    class Connection(SMTP):
        is_tls = from_the_start

    def connection() -> SMTP:
        each = Connection(
            made,
            hostname="mail.example.com",
            enable_SMTPUTF8=utf8,
            tls_context=None if from_the_start else context,
            require_starttls=context is not None and not from_the_start,
            auth_required=auth and not from_the_start,  # it would warn: it does not know that it is behind TLS
            auth_require_tls=not from_the_start and context is not None,
            authenticator=_authenticate if auth else None,
            loop=asyncio.get_running_loop(),
        )
        made.connections.append(each)
        return each

    loop = asyncio.get_running_loop()
    server = await loop.create_server(connection, "127.0.0.1", 0, ssl=context if from_the_start else None)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        made.hang_up()
        tasks = [each._handler_coroutine for each in made.connections if each._handler_coroutine is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def write_certificate(path: Path) -> Path:
    """Write a certificate of this machine's own authority for localhost, with its key, to trust and to serve with."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return path
