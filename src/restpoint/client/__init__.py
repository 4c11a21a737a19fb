"""A client of a restpoint server, in Python (with the extra ``server``)."""

from typing import TYPE_CHECKING

from restpoint._core.lazy_names import lazy_names

if TYPE_CHECKING:
    from restpoint.client.client import Client

__all__ = ["Client"]

_HOMES = {"client": ("Client",)}

__getattr__, __dir__ = lazy_names(__name__, globals(), _HOMES)
