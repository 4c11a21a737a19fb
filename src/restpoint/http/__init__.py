"""The HTTP interface: a ready application, or routes for an application that you have (needs the extra ``server``)."""

from typing import TYPE_CHECKING

from restpoint._core.lazy_names import lazy_names

if TYPE_CHECKING:
    from restpoint.http.app import asgi_app, bearer, create_app, router
    from restpoint.http.metrics import Metrics

__all__ = ["Metrics", "asgi_app", "bearer", "create_app", "router"]

_HOMES = {"app": ("asgi_app", "bearer", "create_app", "router"), "metrics": ("Metrics",)}

__getattr__, __dir__ = lazy_names(__name__, globals(), _HOMES)
