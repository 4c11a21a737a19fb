"""The form that answers a prompt: what a browser sent, as a response of the kind that the prompt asks for.

``READERS`` and the macros of ``templates/_answer.html`` have one entry for each kind of prompt. An option is sent as its place in
the prompt, which never changes once it was asked.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs

from pydantic_core import to_json

from restpoint import errors
from restpoint.errors import ResponseNotAccepted
from restpoint.http.problems import Problem
from restpoint.prompts.base import MAX_COMMENT_LENGTH
from restpoint.prompts.form import HumanPromptForm
from restpoint.prompts.form_fields import FormField
from restpoint.prompts.form_schema import pointer_to
from restpoint.prompts.options import MAX_OPTIONS

MOST_BYTES: Final = 4 * 1024 * 1024
"""The size of the largest form that is read."""

CLOSED: Final = (errors.InteractionAlreadyResolved, errors.InteractionExpired, errors.InteractionWithdrawn)
"""What says that nobody can answer a prompt any more."""

NOT_TAKEN: Final = (
    *CLOSED,
    errors.NotAllowed,
    errors.InteractionClaimed,
    errors.AlreadyVoted,
    errors.IllegalTransition,
    errors.Conflict,
)
"""What says that an answer is not taken, though nothing is wrong with it."""

_MOST_FIELDS: Final = MAX_OPTIONS + 100
_TYPED: Final = frozenset(
    {"text", "comment", "reason", "delegate-to", "delegate-reason", "reassign-to", "reassign-reason"}
)
_OF_FORM: Final = "content."
"""What the name of a field of a form begins with, so that it is none of the other names."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """Something that is wrong with what was sent; ``place`` is the id of the field on the page."""

    place: str
    text: str


@dataclass(slots=True)
class Sent:
    """The fields of a form as a browser sent them, and what is wrong with them."""

    fields: Mapping[str, Sequence[str]] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)

    @classmethod
    def read(cls, body: bytes) -> "Sent":
        """The fields of a body. Raises ``Problem`` where it is no form."""
        try:
            fields = parse_qs(
                body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS
            )
        except ValueError:
            raise Problem("invalid_body", "The body is no form, or has too many fields.") from None
        # A browser sends line ends as CR LF (HTML, section 4.10.21.4).
        return cls({name: [each.replace("\r\n", "\n") for each in values] for name, values in fields.items()})

    def one(self, name: str) -> str:
        """The first value of a field; empty where there is none."""
        return next(iter(self.fields.get(name, ())), "")

    def lines(self, name: str) -> list[str]:
        """What is in the lines of a field, without those that are empty."""
        return [text for line in self.one(name).split("\n") if (text := line.strip())]

    @property
    def typed(self) -> list[str]:
        """What a person wrote: it is shown again where it was not taken."""
        return [
            value
            for name, values in self.fields.items()
            if name in _TYPED or name.startswith(_OF_FORM)
            for value in values
            if value.strip()
        ]

    def shown(self, field: FormField) -> list[str]:
        """What a field of a form shows: what was sent, or at first the value that it begins with."""
        if any(name == "comment" or name.startswith(_OF_FORM) for name in self.fields):
            return list(self.fields.get(f"{_OF_FORM}{field.name}", ()))
        if field.default is None or field.default is False:
            return []
        if field.default is True:
            return ["yes"]
        given = field.default if isinstance(field.default, list) else [field.default]
        return [each if isinstance(each, str) else to_json(each).decode() for each in given]

    def is_chosen(self, place: int) -> bool:
        """Whether the option at this place of the prompt was chosen."""
        return str(place) in self.fields.get("option", ())


def response_of(prompt: Mapping[str, Any], sent: Sent) -> dict[str, Any] | None:
    """The response that a form means, as the wire has it; None where there are mistakes, which ``sent`` has then."""
    kind = prompt["input_type"]
    if kind not in READERS:
        raise Problem("invalid_body", f"These pages have no form for a prompt of kind {kind}; answer it over HTTP.")
    found = READERS[kind](prompt, sent)
    comment = sent.one("comment")
    if len(comment) > MAX_COMMENT_LENGTH:
        text = f"The comment has {len(comment):,} characters, and {MAX_COMMENT_LENGTH:,} are the most."
        sent.mistakes.append(Mistake("comment", text))
    if sent.mistakes:
        return None
    return {"type": kind, **found, **({"comment": comment} if comment.strip() else {})}


def _text(prompt: Mapping[str, Any], sent: Sent) -> dict[str, Any]:
    text = sent.one("text")
    if prompt.get("required", True) and not text.strip():
        sent.mistakes.append(Mistake("answer", "Write an answer."))
    return {"text": text}


def _acknowledgement(_: Mapping[str, Any], __: Sent) -> dict[str, Any]:
    return {}


def _one_option(prompt: Mapping[str, Any], sent: Sent) -> dict[str, Any]:
    chosen = _chosen(prompt, sent)
    if len(chosen) != 1:
        sent.mistakes.append(Mistake("answer", "Choose one of the options."))
    return {"selected_option": chosen[0] if chosen else None}


def _options(prompt: Mapping[str, Any], sent: Sent) -> dict[str, Any]:
    chosen = _chosen(prompt, sent)
    if not chosen:
        sent.mistakes.append(Mistake("answer", "Choose at least one of the options."))
    return {"selected_options": chosen}


def form_of(prompt: Mapping[str, Any]) -> HumanPromptForm:
    """The prompt of a form, with its fields."""
    return HumanPromptForm.model_validate(prompt)


def _form(prompt: Mapping[str, Any], sent: Sent) -> dict[str, Any]:
    if sent.one("action") == "decline":
        if not sent.one("comment").strip():
            sent.mistakes.append(Mistake("comment", "Say in the comment why you decline."))
        return {"action": "decline"}
    form = form_of(prompt)
    values = {name.removeprefix(_OF_FORM): each for name, each in sent.fields.items() if name.startswith(_OF_FORM)}
    try:
        return {"action": "submit", "content": form.submitted(values).content}
    except ResponseNotAccepted as refused:
        places = {pointer_to(field.name): (f"field-{n}", field.title) for n, field in enumerate(form.fields)}
        for error in refused.errors:
            place, title = places.get(error.pointer, ("comment", ""))
            sent.mistakes.append(Mistake(place, f"{title}: {error.detail}"))
        if not refused.errors:
            sent.mistakes.append(Mistake("field-0", str(refused)))
        return {}


def _chosen(prompt: Mapping[str, Any], sent: Sent) -> list[Any]:
    options, places = prompt["options"], sent.fields.get("option", ())
    return [options[int(each)] for each in places if each.isascii() and each.isdecimal() and int(each) < len(options)]


READERS: Final[Mapping[str, Callable[[Mapping[str, Any], Sent], dict[str, Any]]]] = {
    "text": _text,
    "notification": _acknowledgement,
    "binary_choice": _one_option,
    "radio": _one_option,
    "checkbox": _options,
    "dropdown": _one_option,
    "form": _form,
}
