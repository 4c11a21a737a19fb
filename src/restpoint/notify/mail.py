"""The channel of mail: a notice is handed to an SMTP server, one mail for each person.

The connection is encrypted from the start (``tls``), or after STARTTLS, which is never left out; ``none`` is for a server on this
machine. Connections are kept for a moment, so that several mails go over one. What the server may take later (4xx, RFC 5321,
section 4.2.1) is tried again, and what it refuses of one recipient or mail (5xx) is final for them. Anything that is wrong
with the server itself, such as a refused password, a quota or a relay that is not allowed, is tried again too, because it
passes or an operator can mend it.
"""

import asyncio
import os
import re
import socket
import ssl
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal

import aiosmtplib
from pydantic import AfterValidator, BaseModel, Field

from restpoint._core.addresses import is_loopback
from restpoint._core.mail_addresses import check_address
from restpoint._core.threads import in_thread
from restpoint.access import GROUP, Actor
from restpoint.errors import InvalidArgument
from restpoint.notify.hours import zone
from restpoint.notify.mail_messages import Mail, Sender, check_unsubscribe, mail_of
from restpoint.notify.notices import DeliveryFailed, Notice, Recipient
from restpoint.notify.routes_file import ASSIGNEES, ChannelContext
from restpoint.notify.secrets import secret
from restpoint.notify.tickets import is_addressed
from restpoint.notify.wording import Given, Wordings

_PORTS: Final = {"starttls": 587, "tls": 465, "none": 25}
_IDLE_SECONDS: Final = 10.0  # servers close what waits for longer than a few minutes (RFC 5321, section 4.5.3.2)
_NAME_SECONDS: Final = 3.0
_CHECKED_AFTER: Final = 1.0  # seconds; a connection that rested for longer is asked whether it is still there
_ENHANCED: Final = re.compile(r"[245]\.\d{1,3}\.\d{1,3}\b")
_FINAL: Final = re.compile(r"5\.(0|1\.(?!7\b|8\b|90\b)|2\.(?!2\b)|3\.4\b|6)")
"""The enhanced codes (RFC 3463) by which a recipient or a mail is refused for good. The others are of the server, its network or
its policy, as at a quota (5.4.5, 5.7.0) or where nothing may be relayed (5.7.1); and so are, of those, a refused sender (5.1.7,
5.1.8), Exchange's daily limit (5.1.90), and a full mailbox (5.2.2)."""
_LEAST_FINAL: Final = 550  # lower codes, such as 530 (log in first) or 521, are of the server (RFC 4954, RFC 7504)
_PLAIN_WORD: Final = re.compile(r"[A-Za-z0-9.,:;'()!_-]{1,30}")
_MOST_WORDS: Final = 120  # characters of a server's words

Security = Literal["starttls", "tls", "none"]

_Address = Annotated[str, AfterValidator(check_address)]


class MailSettings(BaseModel, extra="forbid", frozen=True, strict=True):
    """A channel with ``kind = "mail"``, as the routes file has it. The password comes from the environment or a file."""

    default_to: ClassVar[tuple[str, ...]] = (ASSIGNEES,)
    needs_address: ClassVar[bool] = True

    kind: Literal["mail"] = "mail"
    host: str = Field(min_length=1, max_length=255)
    """The SMTP server."""
    port: int | None = Field(default=None, ge=1, le=65_535)
    """Its port: 587 for ``starttls``, 465 for ``tls`` and 25 for ``none`` unless given."""
    security: Security = "starttls"
    """``starttls``, ``tls`` from the start, or ``none``, which only a server on this machine may have."""
    username: str | None = Field(default=None, min_length=1, max_length=500)
    password_env: str | None = None
    password_file: str | None = None
    ca_file: str | None = None
    """The certificates (PEM) of the authorities that are trusted instead of the public ones."""
    sender: _Address
    """The address that mails are from."""
    sender_name: str = Field(default="", max_length=200)
    reply_to: _Address | None = None
    unsubscribe: Annotated[str, AfterValidator(check_unsubscribe)] | None = None
    """Where people end the mails that ask nothing of them, as https: or mailto:."""
    timezone: Annotated[str, AfterValidator(lambda name: zone(name) and name)] = "UTC"
    """The zone that times are said in."""
    show_question: bool = True
    """Whether a mail has the words of the question, and not only that there is one."""
    connections: int = Field(default=4, ge=1, le=20)
    """How many connections are open at once."""
    timeout: int = Field(default=30, ge=1, le=300)
    """The time limit of each command of SMTP, in seconds."""

    def channel(self, context: ChannelContext) -> "MailChannel":
        """Make the channel. Where the context has no tickets, mails have the plain link. Raises ``InvalidArgument``."""
        if self.security == "none" and not is_loopback(self.host):
            raise InvalidArgument(
                f'The mail server {self.host} is beyond this machine, so security = "none" would show every link and the '
                'password to whoever listens. Use "starttls" or "tls".'
            )
        password = secret(context, self.password_env, self.password_file, "password of the mail server")
        if (self.username is None) != (password is None):
            raise InvalidArgument(
                "A mail server wants both a username and a password (password_env or password_file), or neither."
            )
        trust = None if self.security == "none" else _trust(context.folder, self.ca_file)
        return MailChannel(self, context, _Connections(self, password, trust))


class MailChannel:
    """Sends notices to people. Made by ``MailSettings.channel``."""

    def __init__(self, settings: MailSettings, context: ChannelContext, connections: "_Connections") -> None:
        self._sender = Sender(settings.sender, settings.sender_name, settings.reply_to, settings.unsubscribe)
        self._wordings = Wordings(
            context.templates, zone=zone(settings.timezone), shows_question=settings.show_question
        )
        self._tickets = context.tickets
        self._ticketed = context.ticketed
        self._connections = connections

    async def send(self, notice: Notice) -> None:
        """Hand the mail to the server, and return once that has taken it. Raises ``DeliveryFailed``."""
        recipient = notice.recipient
        if recipient is None:
            raise DeliveryFailed("A mail goes to a person, and this notice is for nobody by name.", is_final=True)
        worded = self._wordings.words(notice, await self._given(notice, recipient))
        try:
            mail = mail_of(notice, recipient, worded, self._sender)
        except ValueError as error:
            raise DeliveryFailed(f"No mail can be made for {recipient.name[:80]}: {error}", is_final=True) from error
        await self._connections.send(mail)

    async def close(self) -> None:
        """Close the connections."""
        await self._connections.close()

    async def _given(self, notice: Notice, recipient: Recipient) -> Given:
        tickets = self._tickets if notice.route in self._ticketed and not notice.is_sample else None
        link = None if tickets is None else await tickets.url(notice)
        if link is not None:
            return Given(link=link, is_personal=True, is_addressed=True)
        # Who is in the groups is not known here; whoever is told of a prompt for groups is most likely asked.
        to_groups = any(name.startswith(GROUP) for name in notice.assignees)
        return Given(
            link=notice.link,
            is_addressed=to_groups or is_addressed(Actor(recipient.name), notice.assignees, notice.owner),
        )


class _Connections:
    """The connections to one server: at most as many as the settings say, and used again while they are fresh."""

    def __init__(self, settings: MailSettings, password: str | None, trust: ssl.SSLContext | None) -> None:
        self._settings = settings
        self._password = password
        self._place = f"the mail server {settings.host}"
        self._port = settings.port or _PORTS[settings.security]
        self._trust = trust
        self._own_name: str | None = None
        self._free = asyncio.Semaphore(settings.connections)
        self._idle: list[tuple[aiosmtplib.SMTP, float]] = []
        self._closing: asyncio.TimerHandle | None = None
        self._ends: set[asyncio.Task[None]] = set()

    async def send(self, mail: Mail) -> None:
        """Send a mail, over a connection that rests or over a new one. Raises ``DeliveryFailed``."""
        async with self._free:
            connection = await self._resting()
            is_used = connection is not None
            try:
                # Not the time of a command, but of all of them: a server may answer each at the last moment.
                async with asyncio.timeout(4 * self._settings.timeout):
                    if connection is None:
                        connection = await self._connected()
                    try:
                        await self._hand_over(connection, mail)
                    except (aiosmtplib.SMTPServerDisconnected, aiosmtplib.SMTPSenderRefused) as error:
                        # The server had enough of this connection, as after so many mails (421).
                        if not is_used or getattr(error, "code", 421) != 421:
                            raise
                        connection.close()
                        connection = await self._connected()
                        await self._hand_over(connection, mail)
            except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError) as error:
                self._drop(connection, error)
                raise self._failure(error) from error
            except BaseException:
                if connection is not None:
                    connection.close()
                raise
            self._rest(connection)

    async def close(self) -> None:
        """Close what rests."""
        if self._closing is not None:
            self._closing.cancel()
        resting, self._idle = self._idle, []
        await asyncio.gather(*(_quit(connection) for connection, _ in resting), *self._ends)

    # --- Inside ---

    async def _connected(self) -> aiosmtplib.SMTP:
        settings = self._settings
        if self._own_name is None:
            self._own_name = await _own_name()
        connection = aiosmtplib.SMTP(
            hostname=settings.host,
            port=self._port,
            username=settings.username,
            password=self._password,
            use_tls=settings.security == "tls",
            start_tls=settings.security == "starttls",
            tls_context=self._trust,
            local_hostname=self._own_name,
            timeout=settings.timeout,
        )
        try:
            await connection.connect()
        except BaseException:
            connection.close()
            raise
        return connection

    async def _hand_over(self, connection: aiosmtplib.SMTP, mail: Mail) -> None:
        options = ["SMTPUTF8", "BODY=8BITMIME"] if mail.needs_utf8 else []
        await connection.sendmail(mail.sender, [mail.recipient], mail.content, mail_options=options)

    async def _resting(self) -> aiosmtplib.SMTP | None:
        """A connection that rests and is still there; None where there is none."""
        now = asyncio.get_running_loop().time()
        while self._idle:
            connection, since = self._idle.pop()
            if not connection.is_connected or now - since > _IDLE_SECONDS:
                connection.close()
            elif now - since < _CHECKED_AFTER or await _is_there(connection):
                return connection
        return None

    def _rest(self, connection: aiosmtplib.SMTP) -> None:
        loop = asyncio.get_running_loop()
        self._idle.append((connection, loop.time()))
        if self._closing is not None:
            self._closing.cancel()
        self._closing = loop.call_later(_IDLE_SECONDS, self._end_idle)

    def _end_idle(self) -> None:
        resting, self._idle = self._idle, []
        for connection, _ in resting:
            task = asyncio.get_running_loop().create_task(_quit(connection))
            self._ends.add(task)
            task.add_done_callback(self._ends.discard)

    def _drop(self, connection: aiosmtplib.SMTP | None, error: Exception) -> None:
        """After a failure: the connection goes on where the server only refused this mail."""
        if connection is None:
            return
        refused = aiosmtplib.SMTPRecipientsRefused, aiosmtplib.SMTPDataError
        if isinstance(error, refused) and connection.is_connected:
            self._rest(connection)
        else:
            connection.close()

    def _failure(self, error: Exception) -> DeliveryFailed:
        place, is_final = self._place, False
        match error:
            case aiosmtplib.SMTPRecipientsRefused():
                first = error.recipients[0]
                told = f"{place} refused the recipient: {_words(first.code, first.message)}"
                is_final = _is_final(first.code, first.message)
            case aiosmtplib.SMTPDataError():  # without its words, which may repeat what the mail says
                number = _words(error.code, error.message, with_text=False)
                told, is_final = f"{place} refused the mail: {number}", _is_final(error.code, error.message)
            case aiosmtplib.SMTPNotSupported() if "SMTPUTF8" in error.message:
                told, is_final = f"{place} takes no addresses beyond ASCII (SMTPUTF8, RFC 6531)", True
            case aiosmtplib.SMTPAuthenticationError():  # without its words, which may repeat what was sent
                told = f"{place} refused the username or the password ({error.code})"
            case aiosmtplib.SMTPSenderRefused():
                told = f"{place} refused the sender {self._settings.sender}: {_words(error.code, error.message)}"
            case aiosmtplib.SMTPResponseException():
                told = f"{place} answered {_words(error.code, error.message)}"
            case TimeoutError():
                told = f"{place} did not answer in time"
            case _:
                told = f"{place} cannot be used: {_cause(error)}"
        return DeliveryFailed(f"{told[:1].upper()}{told[1:].rstrip('.')}.", is_final=is_final)


async def _own_name() -> str:
    """The name of this machine for EHLO (RFC 5321, section 4.1.1.1), which the resolver may take long to find out."""
    try:
        async with asyncio.timeout(_NAME_SECONDS):
            name = await in_thread(socket.getfqdn)
    except TimeoutError:
        name = socket.gethostname()
    return name if name.isascii() and name.isprintable() and " " not in name and name else "localhost"


async def _is_there(connection: aiosmtplib.SMTP) -> bool:
    try:
        await connection.noop()
    except Exception:  # noqa: BLE001 - whatever it is, another connection is made
        connection.close()
        return False
    return True


async def _quit(connection: aiosmtplib.SMTP) -> None:
    try:
        await connection.quit(timeout=2)
    except Exception:  # noqa: BLE001 - it is not used any more
        connection.close()


def _trust(folder: Path, ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else folder / ca_file)
    except OSError as error:  # ssl.SSLError too
        raise InvalidArgument(
            f"The ca_file {ca_file} holds no certificates in PEM ({error.strerror or error})."
        ) from None


def _is_final(code: int, text: str) -> bool:
    """Whether a refusal of a recipient or of a mail is for good."""
    return code >= _LEAST_FINAL and (_ENHANCED.match(text) is None or _FINAL.match(text) is not None)


def _words(code: int, text: str, *, with_text: bool = True) -> str:
    """The code of a reply, and as many of its words as can hold no address, no link and no secret."""
    enhanced = _ENHANCED.match(text)
    number = f"{code} {enhanced.group()}" if enhanced else f"{code}"
    rest = text[enhanced.end() :] if enhanced else text
    return f"{number} {_plain(rest)}".strip() if with_text else number


def _plain(text: str) -> str:
    return " ".join(word for word in text.split() if _PLAIN_WORD.fullmatch(word))[:_MOST_WORDS].strip()


def _cause(error: BaseException) -> str:
    """What the operating system or TLS says, by way of the errors that the library made of it."""
    chain: list[BaseException] = [error]
    while (before := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(before)
    for each in reversed(chain):
        if isinstance(each, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({each.verify_message})"
        if isinstance(each, OSError):
            return os.strerror(each.errno) if each.errno and not isinstance(each, ssl.SSLError) else type(each).__name__
    return _plain(str(error)) or type(error).__name__
