"""What counts as a mail address."""

import re
from typing import Final

_MOST_LOCAL: Final = 64  # octets (RFC 5321, section 4.5.3.1.1)
_MOST_ADDRESS: Final = 254
_ATEXT: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u00a1-\U0010ffff-]"  # RFC 5322, section 3.2.3, and RFC 6531, section 3.3
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS: Final = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*@({_LABEL}(?:\.{_LABEL})*)")


def check_address(address: str) -> str:
    """Return the address if mail can go there: ``local@domain``, the domain in ASCII. Raises ``ValueError`` otherwise."""
    local, _, domain = address.rpartition("@")
    if local and not domain.isascii() and domain.isprintable():
        raise ValueError(
            f"{address[:80]!r} has a domain that is not in ASCII; write it as xn--…, as a registrar shows it."
        )
    fits = len(local.encode("utf-8", "replace")) <= _MOST_LOCAL and len(address) <= _MOST_ADDRESS
    if not fits or not _ADDRESS.fullmatch(address) or not address.isprintable():
        raise ValueError(f"{address[:80]!r} is no mail address; give one such as anna@example.com.")
    return address
