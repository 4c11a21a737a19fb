"""Reading requests within limits: the body, and whether a page of another site sent it.

What is refused here is refused before anything is parsed further or written.
"""

import asyncio
from collections.abc import Collection
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request

from restpoint._core.addresses import is_loopback
from restpoint.access import LOCAL, OPERATOR, Actor
from restpoint.errors import InvalidArgument
from restpoint.http import json_bodies
from restpoint.http.json_bodies import BodyLimits
from restpoint.http.problems import Problem

BODY_SECONDS: Final = 60.0
"""How long a body may take to arrive."""
LOCAL_ACTOR: Final = Actor(LOCAL, roles=frozenset({OPERATOR}))
"""The actor of every request from this machine, on a server without authentication."""

_DRAINED_BYTES: Final = 16 * 1024 * 1024  # read and thrown away, so that the client gets to read the refusal
_PROXY_HEADERS: Final = frozenset(
    {
        b"forwarded", b"via", b"x-real-ip", b"true-client-ip", b"x-client-ip", b"x-cluster-client-ip", b"fastly-client-ip",
        b"x-envoy-external-address", b"x-azure-clientip", b"x-appengine-user-ip", b"cdn-loop",
    }
)  # fmt: skip
_PROXY_PREFIXES: Final = (b"x-forwarded", b"x-original-", b"cf-")


def refuse_two_lengths(request: Request) -> None:
    """Raise ``Problem`` 400 where a request has Content-Length beside Transfer-Encoding, which smuggling needs (RFC 9112, 6.1).

    A proxy and a server that believe different ones of the two see different requests on one connection.
    """
    headers = request.headers
    if headers.get("transfer-encoding") is not None and headers.get("content-length") is not None:
        raise Problem(
            "malformed_request",
            "The request has both Content-Length and Transfer-Encoding. Send one of them (RFC 9112, section 6.1).",
            headers={"connection": "close"},
        )


def mount_of(request: Request, path: str) -> str:
    """The path under which the routes are mounted, from a request to the route that has this ``path`` in itself."""
    whole: str = request.scope["path"]
    return whole.removesuffix(path)


def origin_of(request: Request) -> str:
    """Scheme and authority of the address that a request came to."""
    return f"{request.url.scheme}://{request.url.netloc}"


def form_pairs(text: str, most: int) -> list[tuple[str, str]]:
    """The names and values of a query or a form; none if there are more than ``most``."""
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=most)
    except ValueError:
        return []


async def read_body(request: Request, limit: int) -> bytes:
    """The body, at most ``limit`` bytes, whatever Content-Length says.

    Raises ``Problem``: 413 for a longer one, and 408 for one that has not arrived after ``BODY_SECONDS``.
    """
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _read_body(request, limit)
    except TimeoutError:
        text = f"The body did not arrive within {BODY_SECONDS:g} seconds. Send it again, at once."
        raise Problem("request_timeout", text, headers={"connection": "close"}) from None


async def _read_body(request: Request, limit: int) -> bytes:
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


async def read_object(
    request: Request, limits: BodyLimits, keys: Collection[str], *, optional: bool = False
) -> dict[str, Any]:
    """The JSON object of a body that has these keys and no others. Raises ``Problem``."""
    data = await json_bodies.parse(await read_body(request, limits.bytes), limits)
    if data is None and optional:
        return {}
    if not isinstance(data, dict):
        raise Problem("invalid_body", f"The body must be a JSON object with {', '.join(keys)}.")
    if unknown := sorted(set(data) - set(keys)):
        raise Problem("invalid_body", f"The body has {unknown[0][:80]!r}; it may have only {', '.join(keys)}.")
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

    A browser of this machine that was led here under another name (DNS rebinding) sends that name as its Host. A proxy on
    this machine is known by any header that proxies add; one that adds none cannot be told from a user of the machine.
    """
    client = "" if (address := request.client) is None else address.host
    forwarded = any(name in _PROXY_HEADERS or name.startswith(_PROXY_PREFIXES) for name, _ in request.headers.raw)
    if is_loopback(client) and not forwarded and is_loopback(_host_name(request.headers.get("host") or "")):
        return LOCAL_ACTOR
    raise Problem(
        "loopback_only",
        "This server has no authentication and answers only its own machine, as localhost and without a proxy. Give it a "
        "tokens file (RESTPOINT_TOKENS_FILE) or an authenticate function to let others in.",
    )


@lru_cache(maxsize=256)
def _host_name(header: str) -> str:
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""
