"""The frame of every page, and the pages of consents: plain HTML, no script, nothing from elsewhere.

Everything in them that somebody else wrote (names, scopes, messages of a provider) is escaped, and their headers keep them out
of frames, caches and ``Referer`` (RFC 9700, sections 2.1 and 4.2.4; OWASP's secure headers).
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from html import escape
from typing import Final
from urllib.parse import urlsplit

from starlette.responses import Response

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:4rem auto;padding:0 1rem;color:#1b1b1b;background:#fff}"
    "h1{font-size:1.4rem}dt{color:#5a5a5a;font-size:.85rem;margin-top:.8rem}dd{margin:0;overflow-wrap:anywhere}"
    "input{font:inherit;box-sizing:border-box;width:100%;max-width:24rem;margin-top:.3rem;padding:.5rem;border-radius:.4rem;"
    "border:1px solid #6b6b6b;background:#fff;color:#1b1b1b}"
    "ul{margin:.2rem 0;padding-left:1.2rem}button{font:inherit;padding:.5rem 1rem;margin:1.5rem .5rem 0 0;border-radius:.4rem;"
    "border:1px solid #6b6b6b;background:#fff;color:#1b1b1b;cursor:pointer}"
    "h2{font-size:1.15rem;margin-top:2rem}h3{font-size:.9rem;margin:1rem 0 0}summary{cursor:pointer;padding:.2rem 0}"
    "pre{overflow-x:auto;font-size:.8rem;padding:.6rem;border:1px solid #b8b8b8;border-radius:.4rem}code{overflow-wrap:anywhere}"
    "button.main{background:#0b57d0;border-color:#0b57d0;color:#fff}"
    "@media(prefers-color-scheme:dark){body{background:#151515;color:#eee}dt{color:#a8a8a8}"
    "button,input{background:#222;color:#eee}a{color:#8ab4f8}}"
)
_STYLE_HASH: Final = b64encode(sha256(_STYLE.encode()).digest()).decode()
_SHOWN: Final = 200  # characters of a name

HEADERS: Final[Mapping[str, str]] = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class Form:
    """A form that posts back to the page of a consent. ``proof`` shows that the page was shown to the person who may send it."""

    action: str
    proof: str
    goes_to: str | None = None
    """The authorization endpoint of the provider, to which the reply redirects."""


def page(title: str, body: str, status: int = 200, *, form: Form | None = None) -> Response:
    """A page. ``body`` is HTML, with the ``form`` in it."""
    goes_to = None if form is None else form.goes_to
    # Browsers apply form-action to the redirects that follow a form, too; sign-in pages redirect further, over https.
    targets = ["'self'", "https:"]
    if goes_to is not None and urlsplit(goes_to).scheme == "http":
        targets.append("http:")
    policy = (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action {' '.join(targets)}; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main><h1>{escape(title)}</h1>{body}</main>"
        "</body></html>"
    )
    headers = {**HEADERS, "content-security-policy": policy}
    if form is not None:  # with no-referrer, browsers would send the form with the origin null (Fetch, section 3.2)
        headers["referrer-policy"] = "strict-origin"
    return Response(text, status, headers, "text/html")


def words(title: str, text: str, status: int = 200, form: Form | None = None) -> Response:
    """A page with a sentence or two, and with a button to try again if there is a form."""
    again = "" if form is None else _form(form, '<button class="main" name="decision" value="allow">Try again</button>')
    return page(title, f"<p>{escape(text)}</p>{again}", status, form=form)


def consent(
    form: Form,
    *,
    provider: str,
    place: str,
    scopes: Sequence[str],
    workflow: str | None,
    owner: str | None,
    execution_id: str,
    deadline: float | None,
) -> Response:
    """The page on which a person decides whether to go to the provider.

    ``place`` is the host of the provider, ``deadline`` is in seconds since the epoch.
    """
    asked = "".join(f"<li><code>{escape(_short(scope))}</code></li>" for scope in scopes)
    facts = [
        ("At", escape(f"{_short(provider)} ({_short(place)})")),
        ("Access to", f"<ul>{asked}</ul>" if asked else "what the provider gives by default"),
        ("For the workflow", escape(_short(workflow or "that has no name"))),
        ("Started by", escape(_short(owner or "nobody by name"))),
        ("Execution", f"<code>{escape(execution_id)}</code>"),
    ]
    if deadline is not None:
        at = datetime.fromtimestamp(deadline, UTC)
        facts.append(("Open until", f"{at:%Y-%m-%d %H:%M} UTC"))
    listed = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts)
    buttons = (
        f'<button class="main" name="decision" value="allow">Continue to {escape(_short(provider))}</button>'
        '<button name="decision" value="deny">Refuse</button>'
    )
    note = "<p>Go on only if you expected this. You decide at the provider what to allow.</p>"
    return page("Allow access?", f"<dl>{listed}</dl>{note}{_form(form, buttons)}", form=form)


def _form(form: Form, buttons: str) -> str:
    return (
        f'<form method="post" action="{escape(form.action)}">'
        f'<input type="hidden" name="proof" value="{escape(form.proof)}">{buttons}</form>'
    )


def _short(text: str) -> str:
    line = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"
