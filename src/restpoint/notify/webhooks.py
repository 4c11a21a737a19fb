"""The channel of webhooks: a notice is one signed POST, by the Standard Webhooks specification 1.0.0.

The headers are ``webhook-id``, ``webhook-timestamp`` and ``webhook-signature``. A reply of 2xx is delivery, 410 says that the
receiver is gone, and everything else is a failure that is tried again, later where ``Retry-After`` says so.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from typing import Annotated, ClassVar, Final, Literal

from pydantic import BaseModel, BeforeValidator, Field

from restpoint._core import secret_files
from restpoint._core.clock import Clock, SystemClock
from restpoint.errors import InvalidArgument
from restpoint.notify.destinations import Destinations, read_networks
from restpoint.notify.http_receiver import HttpReceiver, Reply, Resolve
from restpoint.notify.notices import LONGEST_WAIT, DeliveryFailed, Notice
from restpoint.notify.routes_file import ChannelContext
from restpoint.notify.signatures import Signer, read_signer, signature_header
from restpoint.notify.webhook_bodies import DEFAULT_SOURCE, Content, body_of

_MOST_SECRETS: Final = 4  # two of each kind, while one kind replaces the other
_GONE: Final = 410
_AGENT: Final = f"restpoint/{version('restpoint')}"

_Names = Annotated[
    tuple[str, ...], BeforeValidator(lambda given: (given,) if isinstance(given, str) else given), Field(strict=False)
]  # fmt: skip


class WebhookSettings(BaseModel, extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True):
    """A channel with ``kind = "webhook"``, as the routes file has it."""

    default_to: ClassVar[tuple[str, ...]] = ()
    needs_address: ClassVar[bool] = False

    url: str | None = None
    """Where the receiver is: https, or http in a network that is opened here."""
    url_env: str | None = None
    """The environment variable that holds the URL, instead of ``url``, where a part of it is secret."""
    secret_env: _Names = ()
    """The environment variable that holds the secret (``whsec_…``) or private key (``whsk_…``); two while they are rotated."""
    secret_file: _Names = ()
    """The file that holds it, which only its owner may read; two while they are rotated."""
    allow_private: bool = False
    """Whether the receiver may be in a private network, or on this machine."""
    networks: _Names = ()
    """Networks that the receiver may be in beside the internet, such as ``10.1.0.0/16``."""
    timeout: int = Field(default=20, ge=1, le=50)
    """The time limit of an attempt, in seconds."""
    ca_file: str | None = None
    """The certificates (PEM) of the authorities that are trusted instead of the public ones."""
    content: Content = "full"
    """``ids`` leaves out what people said and who they are, for a receiver that asks for it over HTTP."""
    content_type: Literal["application/json", "application/cloudevents+json"] = "application/json"
    """The second one is for a receiver that reads events with a CloudEvents library."""
    source: str | None = Field(default=None, min_length=1, pattern=r"^[!-~]+$")
    """The ``source`` of the events (a URI reference): the public address of the server by default, or ``/restpoint``."""

    def channel(
        self, context: ChannelContext, *, clock: Clock | None = None, resolve: Resolve | None = None
    ) -> "WebhookChannel":
        """Make the channel, with its secrets read. ``resolve`` looks names up.

        Raises ``InvalidArgument``; its message names the channel and shows no secret.
        """
        try:
            return self._channel(context, clock or SystemClock(), resolve)
        except InvalidArgument as error:
            raise InvalidArgument(f"The channel {context.name!r}: {error}") from None

    def _channel(self, context: ChannelContext, clock: Clock, resolve: Resolve | None) -> "WebhookChannel":
        url = self.url if self.url_env is None else _variable(context.environ, self.url_env)
        if url is None or (self.url is not None and self.url_env is not None):
            raise InvalidArgument("A webhook needs either url or url_env.")
        signers = self._signers(context)
        if not 1 <= len(signers) <= _MOST_SECRETS:
            raise InvalidArgument(
                f"A webhook needs 1 to {_MOST_SECRETS} secrets, named in secret_env or secret_file, and has {len(signers)}; "
                "make one with: restpoint routes keygen"
            )
        receiver = HttpReceiver(
            url,
            Destinations(self.allow_private, read_networks(self.networks)),
            timeout=self.timeout,
            ca_file=None if self.ca_file is None else context.folder / self.ca_file,
            resolve=resolve,
        )
        source = self.source or context.public_url or DEFAULT_SOURCE
        return WebhookChannel(receiver, signers, self, source, clock)

    def _signers(self, context: ChannelContext) -> tuple[Signer, ...]:
        held = [(_variable(context.environ, name), f"The environment variable {name}") for name in self.secret_env]
        for name in self.secret_file:
            path = context.folder / name
            _, raw = secret_files.read(path, "secret file", f"restpoint routes keygen {path}")
            held.append((raw.decode("utf-8", "replace"), f"The file {path}"))
        return tuple(read_signer(text, where) for text, where in held)


class WebhookChannel:
    """Posts notices to one receiver. Made by ``WebhookSettings.channel``."""

    def __init__(
        self,
        receiver: HttpReceiver,
        signers: tuple[Signer, ...],
        settings: WebhookSettings,
        source: str,
        clock: Clock,
    ) -> None:
        self._receiver = receiver
        self._signers = signers
        self._settings = settings
        self._source = source
        self._clock = clock

    async def send(self, notice: Notice) -> None:
        """Post the notice, and return once the receiver has said that it has it. Raises ``DeliveryFailed``."""
        body = body_of(notice, self._settings.content, self._source)
        timestamp = self._clock.now() // 1000
        reply = await self._receiver.post(
            {
                "Content-Type": self._settings.content_type,
                "User-Agent": _AGENT,
                "webhook-id": notice.id,
                "webhook-timestamp": str(timestamp),
                "webhook-signature": signature_header(self._signers, notice.id, timestamp, body),
            },
            body,
        )
        if not reply.is_success:
            raise self._failure(reply)

    async def close(self) -> None:
        """Close the connections."""
        await self._receiver.close()

    def _failure(self, reply: Reply) -> DeliveryFailed:
        problem = f"The receiver {self._receiver.origin} answered {reply.words}"
        if reply.status == _GONE:
            return DeliveryFailed(f"{problem}: it wants no more notices.", is_final=True, disables=True)
        if 300 <= reply.status < 400:
            return DeliveryFailed(f"{problem}, and redirects are not followed; change its URL.")
        wait = _wait(reply.retry_after, self._clock.now())
        asked = "" if wait is None else f", and asked for {wait:.0f} s without a request"
        return DeliveryFailed(f"{problem}{asked}.", retry_after=wait)


def _wait(retry_after: str | None, now: int) -> float | None:
    """The seconds that ``Retry-After`` asks for, as a number or a date (RFC 9110, section 10.2.3); None where it has neither.

    ``now`` is in milliseconds since the epoch.
    """
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_WAIT)
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:  # its zone is -0000, or one that is not known
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - datetime.fromtimestamp(now / 1000, UTC)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0.0), LONGEST_WAIT)


def _variable(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name)
    if not value:
        raise InvalidArgument(f"A webhook needs the environment variable {name}, which is not set.")
    return value
