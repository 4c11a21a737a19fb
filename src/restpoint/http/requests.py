"""What a request says, read with limits: its body, its numbers, whether a browser of another site sent it, and from where.

Everything that is refused here is refused before anything is parsed further or written.
"""

from collections.abc import Collection
from functools import lru_cache
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from pydantic_core import from_json
from starlette.requests import Request

from restpoint.access import OPERATOR, Actor
from restpoint.errors import InvalidArgument
from restpoint.http.problems import Problem

MAX_BODY_BYTES: Final = 4 * 1024 * 1024
MAX_WAIT_SECONDS: Final = 60.0
LOCAL_ACTOR: Final = Actor("local", roles=frozenset({OPERATOR}))
"""Who calls from this machine where nobody has to say who they are."""

_DRAINED_BYTES: Final = 16 * 1024 * 1024  # read and thrown away, so that the client gets to read the refusal
_MAX_KEY: Final = 255
_MAX_SEQUENCE: Final = (1 << 63) - 1
_OF_PROXIES: Final = frozenset(
    {b"x-forwarded-for", b"forwarded", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip", b"via"}
)
_HEADERS: Final = "restpoint.headers"  # in the scope of a request (ASGI), which others may put their own into


def header(request: Request, name: str) -> str | None:
    """A header by its name in lower case; of several with that name the first. Reading one costs a look-up."""
    value = _headers(request).get(name.encode())
    return None if value is None else value.decode("latin-1")


def _headers(request: Request) -> dict[bytes, bytes]:
    headers: dict[bytes, bytes] | None = request.scope.get(_HEADERS)
    if headers is None:
        headers = request.scope[_HEADERS] = dict(reversed(request.scope["headers"]))
    return headers


def listed(request: Request, name: str) -> str:
    """A header that is a list, by its name in lower case: all its lines as one (RFC 9110, section 5.3)."""
    found = [value for key, value in request.scope["headers"] if key == name.encode()]
    return b", ".join(found).decode("latin-1")


async def read_body(request: Request, limit: int) -> bytes:
    """The body, at most ``limit`` bytes, whatever Content-Length says. Raises ``Problem`` 413."""
    declared = header(request, "content-length") or ""
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
            413,
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
        raise Problem(400, "malformed_json", f"The body is not JSON that can be read: {error}.") from None


def object_of(body: bytes, keys: Collection[str], *, optional: bool = False) -> dict[str, Any]:
    """The JSON object of a body that has these keys and no others. Raises ``Problem``."""
    data = parse(body)
    if data is None and optional:
        return {}
    if not isinstance(data, dict):
        raise Problem(422, "invalid_body", f"The body must be a JSON object with {', '.join(keys)}.")
    if unknown := sorted(set(data) - set(keys)):
        raise Problem(422, "invalid_body", f"The body has {unknown[0][:80]!r}; its keys are {', '.join(keys)}.")
    return data


def one(request: Request, name: str) -> str | None:
    """A query parameter that may be given once. Raises ``InvalidArgument``."""
    query = request.scope["query_string"]
    if not query:
        return None
    given = [value for key, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True) if key == name]
    if len(given) > 1:
        raise InvalidArgument(f"{name} is given {len(given)} times; give it once.")
    return given[0] if given else None


def seconds(request: Request, default: float) -> float:
    """The query parameter ``wait``. Raises ``InvalidArgument``."""
    text = one(request, "wait")
    try:
        value = default if text is None else float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= MAX_WAIT_SECONDS:
        raise InvalidArgument(f"wait is {(text or '')[:80]!r}; give seconds from 0 to {MAX_WAIT_SECONDS:g}.")
    return value


def whole(name: str, text: str | None, default: int, least: int = 0, most: int = _MAX_SEQUENCE) -> int:
    """A whole number of a query or header. Raises ``InvalidArgument``."""
    if text is None:
        return default
    if text.isascii() and text.isdecimal() and len(text) < 20 and least <= int(text) <= most:
        return int(text)
    raise InvalidArgument(f"{name} is {text[:80]!r}; give a whole number from {least} to {most}.")


def idempotency_key(request: Request) -> str | None:
    """The header ``Idempotency-Key``. Raises ``InvalidArgument``."""
    key = header(request, "idempotency-key")
    if key is None:
        return None
    if not 0 < len(key) <= _MAX_KEY or not key.isascii() or not key.isprintable():
        raise InvalidArgument(f"Idempotency-Key must be 1 to {_MAX_KEY} printable ASCII characters, such as a UUID.")
    return key


def refuse_other_sites(request: Request, trusted: Collection[str]) -> None:
    """Raise ``Problem`` 403 where a page of another site made a browser send this.

    Told from ``Sec-Fetch-Site`` (W3C Fetch Metadata), from ``Origin`` where a browser sends none; programs send neither. What
    has a bearer token no page can send unless the application allows its origin (CORS); names and passwords (RFC 7617) a
    browser adds by itself, whoever's page asks.
    """
    origin, site = header(request, "origin"), header(request, "sec-fetch-site")
    if origin is None and site is None:
        return
    if (header(request, "authorization") or "").lower().startswith("bearer "):
        return
    if origin is not None and origin in trusted:
        return
    if site is not None:
        crossed = site not in {"same-origin", "none"}
    else:
        crossed = origin is not None and (
            origin == "null" or host_of(origin) != (header(request, "host") or "").lower()
        )
    if crossed:
        raise Problem(
            403,
            "cross_site",
            "A page of another site sent this, and it changes something. Send it from the same origin, or have the "
            "application trust that origin.",
        )


def host_of(origin: str) -> str:
    """Host and port of an origin, in lower case; empty for ``null`` and what is none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def local(request: Request) -> Actor:
    """The actor of a request from this machine, where there is no authentication. Raises ``Problem`` 403 for any other.

    A browser of this machine that was led here under another name (DNS rebinding) shows that name as its Host; a proxy on
    this machine says for whom it asks.
    """
    client = (request.scope.get("client") or ("",))[0]
    forwarded = not _OF_PROXIES.isdisjoint(_headers(request))
    if _is_loopback(client) and not forwarded and _is_loopback(_host(header(request, "host") or "")):
        return LOCAL_ACTOR
    raise Problem(
        403,
        "loopback_only",
        "This server has no authentication and answers only its own machine, as localhost. Give it a tokens file "
        "(RESTPOINT_TOKENS_FILE) or an authenticate function to let others in.",
    )


@lru_cache(maxsize=256)
def _host(header: str) -> str:
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


@lru_cache(maxsize=256)
def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
