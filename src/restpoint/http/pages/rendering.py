"""How the pages for people become HTML: the templates, their filters, safe Markdown, the files beside them, the headers.

Whatever people or workflows wrote reaches a template as text, which the template escapes. Only ``markdown`` makes HTML of it,
with raw HTML switched off and links that lead to the web or to a mailbox.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from importlib import resources
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from restpoint import prompts
from restpoint.http.pages import html
from restpoint.http.problems import Problem

_CSP: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
# With no-referrer, browsers would send a form with the origin null (Fetch, section 3.2).
_HEADERS: Final = {**html.HEADERS, "content-security-policy": _CSP, "referrer-policy": "same-origin"}
_MEDIA_TYPES: Final = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_SCHEMES: Final = ("https:", "http:", "mailto:")
_UNITS: Final = (("day", 86_400), ("hour", 3_600), ("minute", 60))
_SHOWN: Final = 160  # characters of a text in a list
_MOST_MARKDOWN: Final = 50_000  # characters; longer text is shown as it is


# --- Text ------------------------------------------------------------------------------------------------------------

_MARKDOWN: Final = MarkdownIt("commonmark", {"html": False, "breaks": True}).disable("image").enable("table")
_MARKDOWN.validateLink = lambda url: url.lower().startswith(_SCHEMES)  # type: ignore[method-assign]
_DIRECTED: Final = frozenset({"p", "li", "h2", "h3", "h4", "h5", "h6", "blockquote", "th", "td"})


def markdown(text: str) -> Markup:
    """The HTML of a text in Markdown (CommonMark and tables): no raw HTML, no images, links of the web and of mail only.

    Headings begin at the second level, because the page has the first. Each block has the direction of its own script.
    """
    if len(text) > _MOST_MARKDOWN:
        return Markup('<pre class="long" tabindex="0" dir="auto">{}</pre>').format(text)
    return _rendered(_MARKDOWN.parse(text))


def _rendered(tokens: Sequence[Token]) -> Markup:
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(int(token.tag[1:]) + 1, 6)}"
        if token.tag in _DIRECTED and token.nesting == 1:
            token.attrSet("dir", "auto")
        if token.type in {"fence", "code_block"}:
            token.attrSet("dir", "auto")
        for inner in token.children or ():
            if inner.type == "link_open":
                inner.attrSet("rel", "noopener noreferrer nofollow")
    return Markup(_MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {}))  # noqa: S704 - made above, with HTML off


def opening(text: str) -> tuple[Markup, Markup]:
    """The title of a text in Markdown, and the rest of it.

    The title is its first block where that is one line, and else its headline, which the rest then begins with again.
    """
    if len(text) <= _MOST_MARKDOWN:
        first, *_ = tokens = [*_MARKDOWN.parse(text), Token("", "", 0)]
        inline = tokens[1] if first.type in {"heading_open", "paragraph_open"} else None
        line = "" if inline is None else _plain(inline.children or ())
        if inline is not None and 0 < len(line.strip()) <= _SHOWN and "\n" not in line:
            title = _rendered([inline])
            return title, _rendered(tokens[3:-1])
    return Markup("{}").format(headline(text)), markdown(text)


def headline(text: str) -> str:
    """The first line of a text in Markdown, as plain text, shortened."""
    for token in _MARKDOWN.parse(text[: 4 * _SHOWN]):
        if token.type == "inline" and (line := _plain(token.children or ()).strip()):
            return short(line.split("\n")[0])
    return short(text.strip().split("\n")[0]) or "A question without words"


def _plain(tokens: Sequence[Token]) -> str:
    return "".join("\n" if "break" in token.type else token.content for token in tokens)


def short(text: str) -> str:
    """The text, or its beginning where it is long."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN].rstrip()}…"


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


def who(name: str | None) -> str:
    """A person or a group, as people say it."""
    if name is None:
        return "nobody by name"
    return f"the group {name.removeprefix('group:')}" if name.startswith("group:") else name


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
