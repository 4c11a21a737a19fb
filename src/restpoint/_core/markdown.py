"""Text in Markdown that people or workflows wrote, as safe HTML and as plain text.

Raw HTML is switched off, images are not shown, and links lead to the web or to a mailbox. It needs the packages markdown-it-py
and markupsafe of the extra ``server``.
"""

from collections.abc import Sequence
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

_SCHEMES: Final = ("https:", "http:", "mailto:")
_SHOWN: Final = 160  # characters of a text in a list
_MOST_MARKDOWN: Final = (
    20_000  # characters; longer text is shown as it is, because to read it would hold the event loop
)

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
