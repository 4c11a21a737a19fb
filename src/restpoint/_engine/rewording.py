"""Prompts whose wording changed in the code, and calls in words.

What a prompt is, beside its wording, is its kind, its name, its options by id and value, and who may answer it under which
rules. A call that asks the same in other words fits the journal: what was asked stays as it was, and one event shows both
wordings.
"""

from typing import TYPE_CHECKING, Final

from restpoint._core.serialization import decode
from restpoint._engine.calls import asked_for
from restpoint._storage import Call, Entry, event_details, journal
from restpoint._store.prompt_request import PromptRequest
from restpoint.errors import DamagedFile, ResponseNotAccepted
from restpoint.prompts import FormField, HumanPrompt, accepts, read_response, stored_prompt, write_response

if TYPE_CHECKING:
    from restpoint._engine.run import Run

_LONGEST: Final = 80  # characters of what is quoted

About = PromptRequest | str | int | None
"""What a call asks for, beside its kind and name: a prompt, a payload or a list of scopes as JSON, or milliseconds."""


def note(run: "Run", entry: Entry, call: Call, request: About) -> bool:
    """Whether a call asks in other words what the journal has at its position. If so, one event of the history says so."""
    if not isinstance(request, PromptRequest) or entry.call.kind != call.kind or run.workflow.wording == "exact":
        return False
    wait = run.waits.get(str(decode(entry.result)))
    if wait is None or wait.prompt is None:
        return False
    if entry.call.name != call.name or not _is_same(entry, wait.prompt, request):
        return False
    detail = event_details.reworded(wait.prompt, request.text, digest=run.file.keeping.digest)
    run.queue(journal.reword, wait.id, detail)
    return True


def _is_same(entry: Entry, text: str, request: PromptRequest) -> bool:
    try:
        asked = stored_prompt(text)
        if asked.identity != request.prompt.identity:
            return False
        default = request.terms.default_response
        if default is not None:  # with the labels that the prompt was asked with
            default = write_response(accepts(asked, read_response(decode(default))))
    except (DamagedFile, ResponseNotAccepted):
        return False
    # The journal has no more of the rules than what went into the fingerprint.
    return entry.call.fingerprint == asked_for(text, request.terms, default)


# --- In words ---


def recorded(run: "Run", entry: Entry) -> str:
    """A call of the journal, for one side of a mismatch."""
    call, wait = entry.call, None
    if call.kind in journal.WAITING:
        wait = run.waits.get(str(decode(entry.result)))
    words = f"{call.kind} {call.name}"
    if wait is not None and wait.prompt is not None:
        try:
            return words + _prompt(call, stored_prompt(wait.prompt), wait.assignees, wait.four_eyes)
        except DamagedFile:
            return words
    if wait is not None and wait.scopes is not None:
        return f"{words} for {_quoted(wait.scopes)}"
    if call.kind in journal.SHOWN and entry.result is not None:
        return f"{words} {_quoted(entry.result)}"
    return words


def described(call: Call, about: About) -> str:
    """A call of the code, for the other side of a mismatch."""
    words = f"{call.kind} {call.name}"
    if isinstance(about, PromptRequest):
        return words + _prompt(call, about.prompt, about.terms.assignees, about.terms.four_eyes)
    if isinstance(about, int):
        return f"{words} of {about / 1000:g} seconds"
    if about is not None:
        return f"{words} {'for ' if call.kind == journal.AUTHORIZE else ''}{_quoted(about)}"
    return words


def unlike(call: Call) -> str:
    """What to add where the two sides have the same words."""
    if call.kind == "ask":
        # The journal has no words for these.
        return (
            " under other rules (assignees, four eyes, other than whom, how many votes, what its deadline does, whether text is "
            "required, or declining)"
        )
    return " with other arguments" if call.kind == "step" else " of another kind or length"


def moved(place: str | None) -> str:
    """What to add where the same call is recorded at another place."""
    if place is None:
        return ""
    return (
        f", which is recorded as call {place}: the calls come in another order. Where the code is the same, it goes by the order "
        "of a set, such as asyncio.wait returns and asyncio.as_completed makes; go by a list"
    )


def _prompt(call: Call, prompt: HumanPrompt, assignees: str | None, four_eyes: int | None) -> str:
    kind = "" if call.name == prompt.input_type else f" ({prompt.input_type})"
    options = ", ".join(f"{option.id}={option.value}" for option in prompt.offers)
    fields = ", ".join(_field(field) for field in prompt.fields)
    return (
        f"{kind} “{_quoted(prompt.text)}”"
        + (f" with the options {_quoted(options)}" if options else "")
        + (f" with the fields {_quoted(fields)}" if fields else "")
        + (f" for {', '.join(decode(assignees))}" if assignees else "")
        + (" under four eyes" if four_eyes else "")
    )


def _field(field: FormField) -> str:
    options = "/".join(option.value for option in field.options)
    return f"{field.name} ({field.kind}{f' of {options}' if options else ''})"


def _quoted(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
