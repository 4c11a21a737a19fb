"""A notice as a mail: its headers, its text and its HTML.

Nothing that workflows or people wrote can add a header or an address. Headers are encoded here and handed over as they are:
``email`` would read them once more before it folds them, decode words of theirs that look encoded, line breaks included, and
leave out the quotes around a long name. The same notice has the same ``Message-ID`` at every attempt (RFC 5322, section 3.6.4),
and all mails about one execution refer to one id, by which mail programs show them as a thread.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.header import Header
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime, quote
from hashlib import sha256
from typing import Any, Final
from urllib.parse import urlsplit

from restpoint._core.mail_addresses import check_address
from restpoint.notify.notices import Notice, Recipient
from restpoint.notify.wording import Worded, is_question, one_line

_WORDS: Final = re.compile(
    r"[A-Za-z0-9!#$%&'*+/^_`{|}~ -]*"
)  # atoms (RFC 5322, section 3.2.3) that look like no encoded word


class _Encoded(str):
    """The value of a header as it goes over the wire, with its line breaks."""

    __slots__ = ()


class _AsWritten(EmailPolicy):
    """Takes an encoded value as it is. What ``email`` itself sets of the parts of a mail it may fold as it likes."""

    def header_store_parse(self, name: str, value: Any) -> tuple[str, Any]:
        """Return what is kept of a header."""
        return (name, value) if isinstance(value, _Encoded) else super().header_store_parse(name, value)


_SEVEN_BITS: Final = _AsWritten(linesep="\r\n", cte_type="7bit", refold_source="none")
_EIGHT_BITS: Final = _SEVEN_BITS.clone(utf8=True)


def check_unsubscribe(url: str) -> str:
    """Return the URL if a mail may have it as ``List-Unsubscribe`` (RFC 2369). Raises ``ValueError`` otherwise."""
    plain = url.isascii() and url.isprintable() and not set(url) & set(' <>,"\\')
    if not plain or urlsplit(url).scheme not in {"https", "mailto"} or len(url) > 500:
        raise ValueError(f"{url[:80]!r} is no address to unsubscribe at; give one that begins with https: or mailto:.")
    return url


@dataclass(frozen=True, slots=True)
class Sender:
    """Whom mails are from. ``unsubscribe`` is where a recipient ends mails that ask nothing of them."""

    address: str
    name: str = ""
    reply_to: str | None = None
    unsubscribe: str | None = None

    @property
    def domain(self) -> str:
        """The domain of the address."""
        return self.address.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as it is handed to a server. ``needs_utf8`` says that an address is not in ASCII (RFC 6531)."""

    sender: str
    recipient: str
    content: bytes
    needs_utf8: bool


def mail_of(notice: Notice, recipient: Recipient, worded: Worded, sender: Sender) -> Mail:
    """The mail of a notice for one person. Raises ``ValueError`` for an address that is none."""
    address = check_address(recipient.address)
    needs_utf8 = not (address.isascii() and sender.address.isascii())
    message = EmailMessage(_EIGHT_BITS if needs_utf8 else _SEVEN_BITS)
    thread = f"<{_id('execution', notice.execution_id)}@{sender.domain}>"
    headers = {
        "From": _mailbox(sender.name, sender.address),
        "To": _mailbox(recipient.name, address),
        "Reply-To": sender.reply_to,
        "Subject": _words(one_line(worded.subject)),
        "Date": format_datetime(datetime.fromtimestamp(notice.time // 1000, UTC)),
        "Message-ID": f"<{_id('notice', notice.id)}@{sender.domain}>",
        "In-Reply-To": thread,
        "References": thread,
        "Auto-Submitted": "auto-generated",  # RFC 3834: nobody's holiday answers
        "X-Auto-Response-Suppress": "All",  # for Exchange, which goes by its own header
    }
    if sender.unsubscribe is not None and not is_question(notice):
        headers["List-Unsubscribe"] = f"<{sender.unsubscribe}>"
    for name, value in headers.items():
        if value is not None:
            message[name] = _Encoded(value)
    message.set_content(worded.text)
    if worded.html is not None:
        message.add_alternative(worded.html, subtype="html")
    return Mail(sender.address, address, message.as_bytes(), needs_utf8)


def _mailbox(name: str, address: str) -> str:
    """A name and an address, as one mailbox (RFC 5322, section 3.4)."""
    name = one_line(name)
    if not name:
        return address
    shown = f'"{quote(name)}"' if _is_plain(name) and not _WORDS.fullmatch(name) else _words(name)
    return f"{shown} <{address}>"


def _words(text: str) -> str:
    """Text as it stands in a header: as it is, or as encoded words (RFC 2047), folded."""
    return text if _is_plain(text) else Header(text, "utf-8", header_name="Subject").encode(linesep="\r\n")


def _is_plain(text: str) -> bool:
    """Whether a text, which is one line, may stand in a header as it is: in ASCII, and not to be taken for encoded words."""
    return text.isascii() and "=?" not in text


def _id(kind: str, text: str) -> str:
    """The left part of a message id: ids of executions may have any character, so what stands here is a digest."""
    return f"{kind}.{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:40]}"
