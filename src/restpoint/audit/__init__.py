"""The history as evidence for outsiders: reports, exports and signatures."""

from typing import TYPE_CHECKING

from restpoint._core.lazy_names import lazy_names

if TYPE_CHECKING:
    from restpoint.audit.export import Export
    from restpoint.audit.signing import SigningKey, VerifyingKey

__all__ = ["Export", "SigningKey", "VerifyingKey"]

_HOMES = {"export": ("Export",), "signing": ("SigningKey", "VerifyingKey")}

__getattr__, __dir__ = lazy_names(__name__, globals(), _HOMES)
