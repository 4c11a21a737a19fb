"""Reading requests within limits: the body, and whether a page of another site sent it.

What is refused here is refused before anything is parsed further or written.
"""

from collections.abc import Collection
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic_core import from_json
from starlette.requests import Request

from restpoint._core.addresses import is_loopback
from restpoint.access import OPERATOR, Actor
from restpoint.errors import InvalidArgument
from restpoint.http.problems import Problem

MAX_BODY_BYTES: Final = 4 * 1024 * 1024
LOCAL_ACTOR: Final = Actor("local", roles=frozenset({OPERATOR}))
"""The actor of every request from this machine, on a server without authentication."""

_DRAINED_BYTES: Final = 16 * 1024 * 1024  # read and thrown away, so that the client gets to read the refusal
_PROXY_HEADERS: Final = frozenset(
    {b"x-forwarded-for", b"forwarded", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip", b"via"}
)


def mount_of(request: Request, path: str) -> str:
    """The path under which the routes are mounted, from a request to the route that has this ``path`` in itself."""
    whole: str = request.scope["path"]
    return whole.removesuffix(path)


async def read_body(request: Request, limit: int) -> bytes:
    """The body, at most ``limit`` bytes, whatever Content-Length says. Raises ``Problem`` 413."""
    declared = request.headers.get("content-length") or ""
    over = declared.isdecimal() and int(declared[:20]) > limit
    size, chunks = 0, []
    async for chunk in request.stream():
        size += len(chunk)
        over = over or size > limit
        if not over:
            chunks.append(chunk)
        elif size > limit + _DRAINED_BYTES:
            break
        else:
            chunks.clear()
    if over:
        raise Problem(
            "body_too_large",
            f"The body is larger than {limit} bytes; keep large content elsewhere and send a link to it.",
            headers={"connection": "close"},
        )
    return b"".join(chunks)


def parse(body: bytes) -> Any:
    """The JSON of a body; None for an empty one. Raises ``Problem`` 400."""
    if not body:
        return None
    try:
        return from_json(body, allow_inf_nan=False)
    except (ValueError, RecursionError) as error:
        raise Problem("malformed_json", f"The body is not JSON that can be read: {error}.") from None


def object_of(body: bytes, keys: Collection[str], *, optional: bool = False) -> dict[str, Any]:
    """The JSON object of a body that has these keys and no others. Raises ``Problem``."""
    data = parse(body)
    if data is None and optional:
        return {}
    if not isinstance(data, dict):
        raise Problem("invalid_body", f"The body must be a JSON object with {', '.join(keys)}.")
    if unknown := sorted(set(data) - set(keys)):
        raise Problem("invalid_body", f"The body has {unknown[0][:80]!r}; its keys are {', '.join(keys)}.")
    return data


def is_from_another_site(request: Request, own_hosts: Collection[str] = ()) -> bool:
    """Whether a page of another site made a browser send this. Programs send neither of the two headers.

    ``Sec-Fetch-Site`` says so (W3C Fetch Metadata); where a browser sends none, ``Origin`` is compared with ``Host`` and with
    ``own_hosts``: further hosts, with their ports, that are this server.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = request.headers.get("origin")
    if origin is None:
        return False
    host = _host_and_port(origin)
    return not host or (host != (request.headers.get("host") or "").lower() and host not in own_hosts)


def refuse_other_sites(request: Request, trusted_origins: Collection[str]) -> None:
    """Raise ``Problem`` 403 where a page of another site made a browser send this.

    A request with a bearer token passes: no page can send one unless the application allows its origin (CORS). Names and
    passwords (RFC 7617) do not count, because a browser adds these by itself for the page of any site.
    """
    if (request.headers.get("authorization") or "").lower().startswith("bearer "):
        return
    if request.headers.get("origin") in trusted_origins:
        return
    if is_from_another_site(request):
        raise Problem(
            "cross_site",
            "A page of another site sent this, and it changes something. Send it from the same origin, or have the "
            "application trust that origin.",
        )


def check_origin(origin: str) -> str:
    """The origin as browsers send it (RFC 6454, section 6.2). Raises ``InvalidArgument`` for what is none."""
    parts = urlsplit(origin)
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or origin != f"{parts.scheme}://{parts.netloc.lower()}"
    ):
        raise InvalidArgument(f"{origin!r} is no origin; write scheme and host, such as https://inbox.example.")
    return origin


def _host_and_port(origin: str) -> str:
    """Host and port of an origin, in lower case; empty for ``null`` and for what is no origin."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def local(request: Request) -> Actor:
    """The actor of a request from this machine, on a server without authentication. Raises ``Problem`` 403 for any other.

    A browser of this machine that was led here under another name (DNS rebinding) sends that name as its Host; a proxy on
    this machine names its client in a header.
    """
    client = "" if request.client is None else request.client.host
    forwarded = any(name in _PROXY_HEADERS for name, _ in request.headers.raw)
    if is_loopback(client) and not forwarded and is_loopback(_host_name(request.headers.get("host") or "")):
        return LOCAL_ACTOR
    raise Problem(
        "loopback_only",
        "This server has no authentication and answers only its own machine, as localhost. Give it a tokens file "
        "(RESTPOINT_TOKENS_FILE) or an authenticate function to let others in.",
    )


@lru_cache(maxsize=256)
def _host_name(header: str) -> str:
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""
