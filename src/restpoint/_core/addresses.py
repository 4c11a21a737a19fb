"""Where things are unless someone says otherwise: the default database, and the host names that mean this machine."""

from functools import lru_cache
from ipaddress import ip_address
from typing import Final

DEFAULT_DATABASE: Final = "restpoint.db"
"""The SQLite file that is used where neither an argument nor ``RESTPOINT_DATABASE`` names one."""


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Whether a host name or IP address means this machine: ``localhost``, 127.0.0.0/8 or ::1."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
