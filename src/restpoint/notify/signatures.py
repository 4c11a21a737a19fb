"""Signatures of webhooks, by the Standard Webhooks specification 1.0.0.

What is signed is ``{webhook-id}.{webhook-timestamp}.{body}``. A secret that begins with ``whsec_`` makes a ``v1`` signature
(HMAC-SHA256), which its receiver verifies with the same secret. A private key that begins with ``whsk_`` makes a ``v1a``
signature (Ed25519, RFC 8032), which anybody verifies with the public key that belongs to it and begins with ``whpk_``.

A private key is the 32 bytes of its seed with the 32 bytes of its public key behind them, as receivers' tools have it; the seed
alone is accepted too. All of it is in base64 (RFC 4648, section 4).
"""

import hmac
import secrets
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Protocol

from restpoint.errors import InvalidArgument

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SECRET: Final = "whsec_"  # noqa: S105 - the prefix of one
PRIVATE_KEY: Final = "whsk_"
PUBLIC_KEY: Final = "whpk_"

_LEAST_BYTES, _MOST_BYTES = 24, 64  # of a secret: 192 to 512 bits
_KEY_BYTES: Final = 32  # of a seed, and of a public key


class Signer(Protocol):
    """What signs webhooks. Its ``repr`` shows no secret."""

    def sign(self, content: bytes) -> str:
        """Return the signature with its version in front, such as ``v1,K5oZ…``."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret that sender and receiver share."""

    key: bytes = field(repr=False)

    def sign(self, content: bytes) -> str:
        """Return the signature, ``v1,`` and the HMAC-SHA256 in base64."""
        return f"v1,{_text(hmac.digest(self.key, content, sha256))}"


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """An Ed25519 key. ``public`` is what receivers verify with, such as ``whpk_1SiA…``."""

    key: "Ed25519PrivateKey" = field(repr=False)
    public: str

    def sign(self, content: bytes) -> str:
        """Return the signature, ``v1a,`` and the Ed25519 signature in base64."""
        return f"v1a,{_text(self.key.sign(content))}"


def signature_header(signers: Sequence[Signer], notice_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of ``webhook-signature``: the signatures by each of the signers, with spaces between them.

    ``timestamp`` is that of the attempt, in seconds since the epoch. A receiver that knows one of two secrets, while they are
    being rotated, finds its own.
    """
    content = b"%b.%d.%b" % (notice_id.encode(), timestamp, body)
    return " ".join(signer.sign(content) for signer in signers)


def new_secret() -> str:
    """Make a secret of 256 random bits, ``whsec_…``."""
    return SECRET + _text(secrets.token_bytes(32))


def new_private_key() -> str:
    """Make an Ed25519 private key, ``whsk_…``."""
    seed = secrets.token_bytes(_KEY_BYTES)
    return PRIVATE_KEY + _text(seed + _private_key(seed).public_key().public_bytes_raw())


def read_signer(text: str, where: str) -> Secret | PrivateKey:
    """Return what signs with a secret or a private key.

    Raises ``InvalidArgument``; its message names ``where`` the text came from, and shows nothing of the text itself.
    """
    text = text.strip()
    if text.startswith(PUBLIC_KEY):
        raise InvalidArgument(f"{where} holds a public key; webhooks are signed with the private one, {PRIVATE_KEY}…")
    for prefix, read in ((SECRET, _read_secret), (PRIVATE_KEY, _read_private_key)):
        if text.startswith(prefix):
            try:
                raw = b64decode(
                    text[len(prefix) :].encode("ascii") + b"=" * (-(len(text) - len(prefix)) % 4), validate=True
                )
            except ValueError:  # UnicodeEncodeError too
                raise InvalidArgument(f"{where} has something other than base64 behind {prefix}.") from None
            return read(raw, where)
    raise InvalidArgument(
        f"{where} holds no secret of a webhook, which begins with {SECRET} or {PRIVATE_KEY}; "
        "make one with: restpoint routes keygen"
    )


def _read_secret(raw: bytes, where: str) -> Secret:
    if not _LEAST_BYTES <= len(raw) <= _MOST_BYTES:
        raise InvalidArgument(
            f"{where} holds a secret of {len(raw)} bytes; Standard Webhooks takes {_LEAST_BYTES} to {_MOST_BYTES}. "
            "Make one with: restpoint routes keygen"
        )
    return Secret(raw)


def _read_private_key(raw: bytes, where: str) -> PrivateKey:
    seed, given = raw[:_KEY_BYTES], raw[_KEY_BYTES:]
    if len(seed) != _KEY_BYTES or len(given) not in {0, _KEY_BYTES}:
        raise InvalidArgument(
            f"{where} holds a private key of {len(raw)} bytes; an Ed25519 key has {_KEY_BYTES}, or {2 * _KEY_BYTES} with the "
            "public key behind them."
        )
    key = _private_key(seed)
    public = key.public_key().public_bytes_raw()
    if given not in {b"", public}:
        raise InvalidArgument(f"{where} holds a private key, and behind it the public key of another one.")
    return PrivateKey(key, PUBLIC_KEY + _text(public))


def _private_key(seed: bytes) -> "Ed25519PrivateKey":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(seed)


def _text(raw: bytes) -> str:
    return b64encode(raw).decode("ascii")
