"""The channel of Apprise: a notice goes to whatever a URL of that library names, such as a chat or a telephone.

The URL holds secrets, so it comes from the environment or a file. Apprise blocks, so it runs in threads. It says of a delivery
only whether it worked. HTTP redirects are not followed unless the URL asks for it (``redirect=yes``): a redirect would send
the message, and a token in it, to another host.
"""

import asyncio
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal

from pydantic import AfterValidator, BaseModel, Field

from restpoint._core.threads import ThreadPool
from restpoint.errors import InvalidArgument
from restpoint.notify.hours import zone
from restpoint.notify.notices import DeliveryFailed, Notice
from restpoint.notify.routes_file import ChannelContext
from restpoint.notify.secrets import secret
from restpoint.notify.wording import MESSAGE, Given, Worded, Wordings

if TYPE_CHECKING:
    from apprise import Apprise

_LOGGERS: Final = ("apprise", "urllib3.connectionpool")
"""The loggers that write addresses with secrets in them, at their lower levels."""
_STATUS: Final = re.compile(r"\berror=(\d{3})\b")

_heard: ContextVar[list[str] | None] = ContextVar("restpoint_apprise_heard", default=None)


class AppriseSettings(BaseModel, extra="forbid", frozen=True, strict=True):
    """A channel with ``kind = "apprise"``, as the routes file has it: one URL, in the environment or in a file."""

    default_to: ClassVar[tuple[str, ...]] = ()
    needs_address: ClassVar[bool] = False

    kind: Literal["apprise"] = "apprise"
    url_env: str | None = None
    url_file: str | None = None
    timezone: Annotated[str, AfterValidator(lambda name: zone(name) and name)] = "UTC"
    """The zone that times are said in."""
    show_question: bool = True
    """Whether a message has the words of the question, and not only that there is one."""
    concurrency: int = Field(default=4, ge=1, le=20)
    """How many messages are under way at once."""
    timeout: int = Field(default=60, ge=1, le=300)
    """The time limit of an attempt, in seconds."""

    def channel(self, context: ChannelContext) -> "AppriseChannel":
        """Make the channel. Raises ``InvalidArgument``; its message does not show the URL."""
        url = secret(context, self.url_env, self.url_file, "URL of Apprise")
        if url is None:
            raise InvalidArgument("A channel of Apprise needs url_env or url_file, which say where its URL is.")
        wordings = Wordings(context.templates, MESSAGE, zone=zone(self.timezone), shows_question=self.show_question)
        return AppriseChannel(self, _target(url.strip()), wordings)


class AppriseChannel:
    """Sends notices by Apprise. Made by ``AppriseSettings.channel``."""

    def __init__(self, settings: AppriseSettings, target: "Apprise", wordings: Wordings) -> None:
        self._settings = settings
        self._target = target
        self._wordings = wordings
        self._threads = ThreadPool(settings.concurrency, "restpoint-apprise")

    async def send(self, notice: Notice) -> None:
        """Send the message, and return once the receiver has it. Raises ``DeliveryFailed``."""
        worded = self._wordings.words(notice, Given(link=notice.link))
        try:
            async with asyncio.timeout(self._settings.timeout):
                outcome, error = await self._threads.call(_send, self._target, worded)
        except TimeoutError:
            raise DeliveryFailed("The receiver did not take the message in time.") from None
        if error is not None:
            raise DeliveryFailed(f"Apprise failed with {type(error).__name__}.") from error
        is_sent, heard = outcome
        if not is_sent:
            status = next((found.group(1) for line in heard if (found := _STATUS.search(line))), None)
            answered = "" if status is None else f": it answered {status}"
            raise DeliveryFailed(f"Apprise could not hand the message over{answered}.")

    async def close(self) -> None:
        """End the threads, once what they do is over."""
        self._threads.close()


def _send(target: "Apprise", worded: Worded) -> tuple[bool, list[str]]:
    """In a thread: whether it was sent, and what was logged about it."""
    with _listening() as heard:
        return bool(target.notify(body=worded.text, title=worded.subject, body_format="text")), heard


def _target(url: str) -> "Apprise":
    """What Apprise makes of a URL. Raises ``InvalidArgument``."""
    try:
        from apprise import Apprise, AppriseAsset
    except ImportError:
        raise InvalidArgument("A channel of Apprise needs that package; run: pip install 'restpoint[notify]'") from None
    with _listening():
        made = Apprise(asset=AppriseAsset(http_redirects=False, async_mode=False, secure_logging=True))
        is_known = made.add(url)
    if not is_known or len(made) != 1:
        raise InvalidArgument("The URL of Apprise is none that Apprise knows; see its documentation for how they look.")
    return made


# --- Logs ------------------------------------------------------------------------------------------------------------


@contextmanager
def _listening() -> Iterator[list[str]]:
    """Keep the lines of Apprise out of the log of this process, because they have addresses with secrets in them.

    Lines that an application's own use of Apprise causes go where they went.
    """
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if _OURS not in logger.filters:
            logger.addFilter(_OURS)
    heard: list[str] = []
    token = _heard.set(heard)
    try:
        yield heard
    finally:
        _heard.reset(token)


class _Ours(logging.Filter):
    """Takes the lines that this module causes."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line passes."""
        heard = _heard.get()
        if heard is None:
            return True
        heard.append(record.getMessage())
        return False


_OURS: Final = _Ours()
