"""How the pages for people become HTML: the templates, their filters, safe Markdown, the files beside them, the headers.

Whatever people or workflows wrote reaches a template as text, which the template escapes. Only ``markdown`` of ``_core`` makes
HTML of it, with raw HTML switched off and links that lead to the web or to a mailbox.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from importlib import resources
from typing import Any, Final, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from restpoint import prompts
from restpoint._core.markdown import headline, markdown, opening, short
from restpoint.access import who
from restpoint.http.pages import html
from restpoint.http.problems import Problem

_CSP: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
# With no-referrer, browsers would send a form with the origin null (Fetch, section 3.2).
_HEADERS: Final = {**html.HEADERS, "content-security-policy": _CSP, "referrer-policy": "same-origin"}
_MEDIA_TYPES: Final = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_UNITS: Final = (("day", 86_400), ("hour", 3_600), ("minute", 60))


# --- Routes ----------------------------------------------------------------------------------------------------------

Handler = Callable[[Request], Awaitable[Response]]


class Route(NamedTuple):
    """A route of the pages."""

    method: str
    path: str
    handler: Handler
    name: str


# --- Text ------------------------------------------------------------------------------------------------------------


def answer(response: Mapping[str, Any] | None) -> str:
    """What was answered, in words; empty where it may not be told."""
    return "" if response is None else prompts.summary_of(response)


def data(value: object) -> str:
    """Any JSON value, written so that people can read it."""
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


# --- Time ------------------------------------------------------------------------------------------------------------


def moment(seconds: float) -> Markup:
    """A moment (seconds since the epoch) in UTC; the script of the pages writes it in the time of the browser."""
    at = datetime.fromtimestamp(seconds, UTC)
    return Markup('<time datetime="{}" data-moment>{} UTC</time>').format(
        f"{at:%Y-%m-%dT%H:%M:%SZ}", f"{at:%-d %b %Y, %H:%M}"
    )


def span(seconds: float) -> str:
    """A length of time in words, in its two largest units."""
    rest, words = int(abs(seconds)), []
    for unit, size in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            words.append(f"{count} {unit}{'s' if count > 1 else ''}")
        if len(words) == 2 or (words and unit == "hour" and words[0].endswith(("day", "days"))):
            break
    return " ".join(words) or "less than a minute"


def about(seconds: float) -> str:
    """A length of time in words, rounded to one unit."""
    for unit, size in _UNITS:
        count = round(abs(seconds) / size)
        if count:
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return "a moment"


# --- Templates -------------------------------------------------------------------------------------------------------


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("restpoint.http.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "markdown": markdown, "headline": headline, "short": short, "answer": answer, "data": data, "moment": moment,
        "span": span, "about": about, "opening": opening, "who": who,
    }  # fmt: skip
    made.globals["asset"] = lambda name: f"assets/{name}?{asset_digest(name)}"
    return made


def page(template: str, status: int = 200, **values: Any) -> Response:
    """A page that a template makes of these values."""
    text = _environment().get_template(template).render(**values)
    return Response(text, status, _HEADERS, "text/html")


def macro(template: str, name: str, *values: Any) -> str:
    """A part of a page: what a macro of a template makes of these values."""
    return str(getattr(_environment().get_template(template).module, name)(*values))


# --- Files beside the pages ------------------------------------------------------------------------------------------


@cache
def _asset(name: str) -> bytes:
    return (resources.files("restpoint.http.pages") / "assets" / name).read_bytes()


@cache
def asset_digest(name: str) -> str:
    """What the address of a file ends with, so that a browser asks for a new one when it has changed."""
    return sha256(_asset(name)).hexdigest()[:12]


NAMES: Final = ("inbox.css", "inbox.js", "icon.svg")


async def asset(request: Request) -> Response:
    """Send the stylesheet, the script or the icon."""
    name = request.path_params["name"]
    if name not in NAMES:
        raise Problem("route_not_found", f"There is no {name[:80]} here.")
    headers = {"cache-control": "max-age=31536000, immutable", "x-content-type-options": "nosniff"}
    return Response(_asset(name), 200, headers, _MEDIA_TYPES[name.rpartition(".")[2]])


ROUTES: Final = (Route("GET", "/assets/{name}", asset, "asset"),)
"""The routes of what stands beside the pages."""
