"""The former name of ``restpoint.http``, which stays for one release."""

from restpoint.http.app import create_app, router

__all__ = ["create_app", "router"]
