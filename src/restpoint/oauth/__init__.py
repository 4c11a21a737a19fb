"""OAuth consents: the flow, its providers, and the key ring that seals secrets. It needs the extra ``server``."""

from typing import TYPE_CHECKING

from restpoint._core.lazy_names import lazy_names

if TYPE_CHECKING:
    from restpoint.oauth.flow import Consents
    from restpoint.oauth.keyring import Vault
    from restpoint.oauth.providers import Provider

__all__ = ["Consents", "Provider", "Vault"]

_HOMES = {"flow": ("Consents",), "keyring": ("Vault",), "providers": ("Provider",)}

__getattr__, __dir__ = lazy_names(__name__, globals(), _HOMES)
