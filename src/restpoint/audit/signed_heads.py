"""Signed heads of the history, to be kept elsewhere."""

from restpoint._storage import Head
from restpoint.audit.signing import SigningKey, VerifyingKey
from restpoint.errors import InvalidArgument


def seal(head: Head, key: SigningKey) -> str:
    """Return a head with a signature, ``SEQUENCE:DIGEST:KEY:SIGNATURE``. It is the same every time."""
    return f"{head}:{key.public.id}:{key.sign('head', str(head).encode())}"


def read_kept(text: str, key: VerifyingKey | None = None) -> Head:
    """Read a head that was kept, with a signature or without.

    With a ``key`` the signature must be there and be this key's. Raises ``InvalidArgument``.
    """
    number, digest, signature = [*text.strip().split(":", 2), "", ""][:3]
    head = Head.parse(f"{number}:{digest}")
    if key is None:
        return head
    signer, _, value = signature.partition(":")
    if not value:
        raise InvalidArgument(f"The head {number} has no signature; sign it with: restpoint audit head --key KEY")
    if not key.verifies("head", str(head).encode(), value):
        raise InvalidArgument(
            f"The signature on the head {number} is not one of the key {key.id}; it names {signer[:80]}."
        )
    return head
