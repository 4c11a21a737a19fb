"""A notice as a mail: its headers, its text and its HTML.

Every value of a header is one line, and the policy of ``email`` refuses what is not, so nothing that workflows or people
wrote can add a header. The same notice has the same ``Message-ID`` at every attempt (RFC 5322, section 3.6.4), and all mails
about one execution refer to one id, by which mail programs show them as a thread.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

from restpoint._core.mail_addresses import check_address
from restpoint.notify.notices import Notice, Recipient
from restpoint.notify.wording import Worded, is_question, one_line

_SEVEN_BITS: Final = SMTP.clone(cte_type="7bit")
_EIGHT_BITS: Final = SMTPUTF8.clone(cte_type="7bit")


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
    message["From"] = _mailbox(sender.name, sender.address)
    message["To"] = _mailbox(recipient.name, address)
    if sender.reply_to is not None:
        message["Reply-To"] = sender.reply_to
    message["Subject"] = one_line(worded.subject)
    message["Date"] = datetime.fromtimestamp(notice.time // 1000, UTC)
    thread = f"<{_id('execution', notice.execution_id)}@{sender.domain}>"
    message["Message-ID"] = f"<{_id('notice', notice.id)}@{sender.domain}>"
    message["In-Reply-To"] = thread
    message["References"] = thread
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday answers
    message["X-Auto-Response-Suppress"] = "All"  # for Exchange, which goes by its own header
    if sender.unsubscribe is not None and not is_question(notice):
        message["List-Unsubscribe"] = f"<{sender.unsubscribe}>"
    message.set_content(worded.text)
    if worded.html is not None:
        message.add_alternative(worded.html, subtype="html")
    return Mail(sender.address, address, message.as_bytes(), needs_utf8)


def _mailbox(name: str, address: str) -> Address:
    local, _, domain = address.rpartition("@")
    return Address(one_line(name), local, domain)


def _id(kind: str, text: str) -> str:
    """The left part of a message id: ids of executions may have any character, so what stands here is a digest."""
    return f"{kind}.{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:40]}"
