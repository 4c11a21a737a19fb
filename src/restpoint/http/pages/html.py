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
    ":root{color-scheme:light dark;--ground:#f6f5f1;--surface:#fff;--sunken:#efede6;--ink:#1d2420;--quiet:#5a635d;--line:#dcd9cf;"
    "--edge:#85897f;--accent:#0f6b5c;--strong:#0a5246;--on:#fff;--bad:#a4262c;--focus:#1f5fd6}"
    "@media(prefers-color-scheme:dark){:root{--ground:#131715;--surface:#1c211e;--sunken:#262c29;--ink:#e9ece9;--quiet:#a7b0aa;"
    "--line:#333b37;--edge:#7d8781;--accent:#6cc9b3;--strong:#8fdcc9;--on:#08231d;--bad:#ff9d96;--focus:#8db8ff}}"
    "*{box-sizing:border-box}"
    "body{font:1rem/1.55 ui-sans-serif,system-ui,sans-serif;margin:0;padding:clamp(1rem,8vh,5rem) 1rem 3rem;color:var(--ink);"
    "background:var(--ground);overflow-wrap:anywhere}"
    "header,main{max-width:34rem;margin:0 auto}header{display:flex;align-items:center;gap:.55rem;padding:0 .2rem .9rem;"
    "font-weight:680;letter-spacing:-.01em}svg .tile{fill:var(--accent)}svg .bar{fill:var(--on)}"
    "main{padding:clamp(1.1rem,5vw,2rem);background:var(--surface);border:1px solid var(--line);border-radius:.75rem;"
    "box-shadow:0 1px 2px rgb(30 36 32/6%),0 4px 16px rgb(30 36 32/5%)}"
    "h1{font-size:1.5rem;line-height:1.25;letter-spacing:-.012em;margin:0 0 1rem}h2{font-size:1.05rem;margin:1.75rem 0 .5rem}"
    "h3{font-size:.9rem;margin:1rem 0 0}p{margin:.75rem 0}dl{margin:0}dt{color:var(--quiet);font-size:.85rem;margin-top:.8rem}"
    "dd{margin:0}ul{margin:.2rem 0;padding-left:1.2rem}a{color:var(--accent);text-underline-offset:.18em}"
    "p[role=alert]{padding:.7rem 1rem;border:1px solid var(--line);border-left:4px solid var(--bad);border-radius:.5rem}"
    "label{font-weight:600}input,button{font:inherit;min-height:2.75rem;border:1px solid var(--edge);border-radius:.5rem;"
    "background:var(--surface);color:var(--ink)}input{width:100%;margin-top:.3rem;padding:.55rem .75rem}"
    "button{padding:.55rem 1.25rem;margin:1rem .5rem 0 0;font-weight:600;cursor:pointer;max-width:100%}"
    "button:hover{background:var(--sunken)}button.main{background:var(--accent);border-color:var(--accent);color:var(--on)}"
    "button.main:hover{background:var(--strong);border-color:var(--strong)}"
    ":focus-visible{outline:3px solid var(--focus);outline-offset:2px;border-radius:.3rem}"
    "summary{cursor:pointer;padding:.2rem 0}code,pre{font-family:ui-monospace,Menlo,Consolas,monospace;font-size:.875em}"
    "pre{overflow-x:auto;padding:.6rem;background:var(--sunken);border-radius:.5rem}code{overflow-wrap:anywhere}"
    "@media print{button,input{display:none}body{padding:0}}"
)
_BRAND: Final = (
    '<header><svg viewBox="0 0 24 24" width="24" height="24" aria-hidden="true"><rect x="2" y="2" width="20" height="20" rx="6" '
    'class="tile"/><rect x="8" y="7.5" width="2.75" height="9" rx="1.2" class="bar"/><rect x="13.25" y="7.5" width="2.75" '
    'height="9" rx="1.2" class="bar"/></svg>restpoint</header>'
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
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{_BRAND}<main><h1>{escape(title)}</h1>{body}</main>"
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
