"""How a notice is worded: the templates of mails and messages, and what they are given.

A template is a file ``NAME.txt``, with the HTML of a mail beside it as ``NAME.html`` where there is any. Its first line may be
``Subject: ...``. Templates are Jinja2, sandboxed: they see the values that ``docs/how-to/mail.md`` lists and nothing else. In
``.html`` every value is escaped.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PackageLoader,
    PrefixLoader,
    StrictUndefined,
    TemplateError,
    TemplateNotFound,
    select_autoescape,
)
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from restpoint._core.markdown import markdown
from restpoint.access import who
from restpoint.errors import InvalidArgument
from restpoint.events import EventKind
from restpoint.notify.notices import DeliveryFailed, Notice, Recipient
from restpoint.prompts import HumanPrompt, HumanPromptText

MAIL: Final = "mail.txt"
"""The template of mails unless a route names its own."""
MESSAGE: Final = "message.txt"
"""The template of short messages, as chats show them, unless a route names its own."""

_OURS: Final = "restpoint"
_MOST_LINE: Final = 160  # characters of a name, an id or a subject
_MOST_QUESTION: Final = 10_000  # characters
_MOST_LABEL: Final = 200
_MOST_OPTIONS: Final = 100
_MOST_NAMES: Final = 20
"""What is longer is cut, and stands on the page of the prompt: nobody reads a mail of a megabyte, a chat takes none, and to make
one holds the event loop for seconds."""
_SUBJECT: Final = "Subject:"
_UNSEEN: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")

_HEADINGS: Final[Mapping[EventKind, tuple[str, str]]] = {
    EventKind.INTERACTION_ASKED: ("A question for you", "A question is open"),
    EventKind.INTERACTION_DELEGATED: ("A question was handed on to you", "A question was handed on"),
    EventKind.INTERACTION_REASSIGNED: ("A question is yours now", "A question is addressed to others now"),
    EventKind.INTERACTION_REMINDED: ("A question still waits for you", "A question still waits"),
    EventKind.INTERACTION_ESCALATED: ("A question is yours now", "A question was escalated"),
    EventKind.INTERACTION_NOT_ESCALATED: ("A question still waits for you", "A question could not be escalated"),
    EventKind.INTERACTION_RELEASED: ("A question is free again", "A question is free again"),
    EventKind.CONSENT_ASKED: ("Your access is needed", "Access is needed"),
}
"""The heading for somebody who is asked, and that for everybody else. Other events are headed by their name."""


@dataclass(frozen=True, slots=True)
class Worded:
    """A notice in words. ``subject`` is one line; ``html`` is None where only text is sent."""

    subject: str
    text: str
    html: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a template is given beside the notice.

    ``link`` is where the receiver goes; with ``is_personal`` it is a ticket, which lets whoever has it answer as the recipient.
    ``is_addressed`` says that the question is put to the recipient.
    """

    link: str | None
    is_personal: bool = False
    is_addressed: bool = False


class Wording:
    """The words of one route. ``zone`` is what times are said in; without ``shows_question`` the question is left out.

    Raises ``InvalidArgument`` where the template is missing, or cannot be used.
    """

    def __init__(
        self, template: Path | None = None, ours: str = MAIL, *, zone: tzinfo = UTC, shows_question: bool = True
    ) -> None:
        self._zone = zone
        self._shows_question = shows_question
        self._place = f"{_OURS}/{ours}" if template is None else str(template)
        environment = _environment(None if template is None else template.parent)
        name = f"{_OURS}/{ours}" if template is None else template.name
        if template is not None and template.suffix != ".txt":
            raise InvalidArgument(
                f"The template {template} must be a file that ends in .txt; its HTML stands beside it."
            )
        try:
            self._text = environment.get_template(name)
            self._html = _or_none(environment, f"{name.removesuffix('.txt')}.html")
            for event in (EventKind.INTERACTION_ASKED, EventKind.EXECUTION_COMPLETED):
                self._render(sample(event), Given(link="https://restpoint.example/"))
        except TemplateNotFound as error:
            raise InvalidArgument(f"There is no template {error.name} in {self._folder(template)}.") from None
        except Exception as error:
            raise InvalidArgument(f"The template {self._place} cannot be used: {_reason(error)}.") from error

    def words(self, notice: Notice, given: Given) -> Worded:
        """Put a notice in words. Raises ``DeliveryFailed`` where the template cannot; it may be mended meanwhile."""
        try:
            return self._render(notice, given)
        except Exception as error:
            raise DeliveryFailed(f"The template {self._place} cannot be used: {_reason(error)}.") from error

    # --- Inside ---

    @staticmethod
    def _folder(template: Path | None) -> str:
        return str(template.parent) if template is not None else _OURS

    def _render(self, notice: Notice, given: Given) -> Worded:
        values = self._values(notice, given)
        text = self._text.render(values).strip()
        subject = f"{values['heading']} ({values['execution_id']})"
        if text.startswith(_SUBJECT):
            first, _, rest = text.partition("\n")
            subject, text = first.removeprefix(_SUBJECT), rest.strip()
        if notice.is_sample:
            subject = f"[Sample] {subject}"
        html = None if self._html is None else self._html.render(values).strip()
        return Worded(one_line(subject), f"{text}\n", html)

    def _values(self, notice: Notice, given: Given) -> dict[str, Any]:
        """What a template sees. What there is none of is empty, so that no mail says None."""
        prompt, asks = notice.prompt, is_question(notice)
        asked = notice.assignees or ((notice.owner,) if notice.owner is not None else ())
        options = [_text(str(option.label), _MOST_LABEL) for option in _options(prompt)[:_MOST_OPTIONS]]
        if len(_options(prompt)) > _MOST_OPTIONS:
            options.append("…")
        recipient = notice.recipient
        return {
            "id": notice.id,
            "event": str(notice.event),
            "heading": _heading(notice.event, is_addressed=asks and given.is_addressed),
            "happened": _happened(notice.event),
            "route": one_line(notice.route),
            "is_sample": notice.is_sample,
            "workflow": _line(notice.workflow),
            "execution_id": one_line(notice.execution_id),
            "interaction_id": _line(notice.interaction_id),
            "owner": _line(notice.owner),
            "status": notice.status,
            "actor": _line(notice.actor),
            "assignees": [one_line(name) for name in asked],
            "asked": _listed([one_line(who(name)) for name in asked]),
            "asks": asks,
            "question": _text(prompt.text, _MOST_QUESTION)
            if asks and prompt is not None and self._shows_question
            else "",
            "options": options if asks and self._shows_question else [],
            "priority": notice.priority,
            "votes": notice.votes if asks and notice.votes is not None else "",
            "voted": notice.voted,
            "time": self._moment(notice.time),
            "due": self._moment(notice.due_at),
            "deadline": self._moment(notice.deadline_at),
            "link": given.link or "",
            "is_personal": given.is_personal,
            "is_addressed": given.is_addressed,
            "recipient": "" if recipient is None else one_line(recipient.name),
        }

    def _moment(self, at: int | None) -> str:
        """A moment (milliseconds since the epoch) in the zone of the route, with the name of the zone; empty without one."""
        if at is None:
            return ""
        return f"{datetime.fromtimestamp(at / 1000, self._zone):%-d %b %Y, %H:%M %Z}"


class Wordings:
    """The words of the routes of one channel: each by its own template, or by ours. The arguments are those of ``Wording``.

    Raises ``InvalidArgument``.
    """

    def __init__(
        self, templates: Mapping[str, Path], ours: str = MAIL, *, zone: tzinfo = UTC, shows_question: bool = True
    ) -> None:
        self._ours = Wording(None, ours, zone=zone, shows_question=shows_question)
        self._own = {
            route: Wording(template, ours, zone=zone, shows_question=shows_question)
            for route, template in templates.items()
        }

    def words(self, notice: Notice, given: Given) -> Worded:
        """Put a notice in words, as its route has it. Raises ``DeliveryFailed``."""
        return self._own.get(notice.route, self._ours).words(notice, given)


def is_question(notice: Notice) -> bool:
    """Whether the notice asks for an answer: it is about a prompt that is open, and that nobody has just claimed."""
    event = notice.event
    return notice.prompt is not None and event.wait == "interaction" and not event.closes_wait and not event.claims


def one_line(text: str) -> str:
    """The text as one line that can be shown: whatever cannot is replaced, and what is long is cut."""
    line = "".join(character if character.isprintable() else " " for character in text)
    line = " ".join(line.split())
    return line if len(line) <= _MOST_LINE else f"{line[: _MOST_LINE - 1].rstrip()}…"


def sample(event: EventKind) -> Notice:
    """A notice that is only made to try a template."""
    return Notice(
        id="sample",
        event=event,
        sequence=1,
        time=0,
        route="sample",
        attempt=1,
        is_sample=True,
        execution_id="00000000-0000-7000-8000-000000000000",
        workflow="refund",
        owner="ada",
        status="interaction_required",
        interaction_id="00000000-0000-7000-8000-000000000001",
        prompt=HumanPromptText(text="Is this a sample?"),
        assignees=("ben", "group:finance"),
        due_at=0,
        deadline_at=0,
        recipient=Recipient(name="ben", address="ben@example.com"),
    )


# --- Inside ----------------------------------------------------------------------------------------------------------


def _heading(event: EventKind, *, is_addressed: bool) -> str:
    known = _HEADINGS.get(event)
    return known[0 if is_addressed else 1] if known is not None else str(event).replace("_", " ").capitalize()


def _happened(event: EventKind) -> str:
    """What happened, in a sentence. That the detail of the event names more is for programs, which get the detail."""
    return f"{event.description.partition('; the detail')[0].removesuffix('.')}."


def _line(text: str | None) -> str:
    return "" if text is None else one_line(text)


def _options(prompt: HumanPrompt | None) -> Sequence[Any]:
    return getattr(prompt, "options", None) or ()


def _text(text: str, most: int) -> str:
    """What people or workflows wrote, at most so many characters, without those that control a terminal or a mail program."""
    text = text if len(text) <= most else f"{text[:most].rstrip()} […]"
    return _UNSEEN.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n"))


def _listed(names: Sequence[str]) -> str:
    """Names as people list them, at most ``_MOST_NAMES``, and how many there are beside these."""
    if len(names) > _MOST_NAMES:
        names = [*names[:_MOST_NAMES], f"{len(names) - _MOST_NAMES} more"]
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _quoted(text: str) -> str:
    """Each line behind a sign, so that nobody takes what was asked for words of the program that sends it."""
    return "\n".join(f"> {line}".rstrip() for line in text.strip().split("\n"))


def _markdown(text: str) -> Markup:
    return markdown(text)


@cache
def _environment(folder: Path | None) -> Environment:
    loaders: list[BaseLoader] = [PrefixLoader({_OURS: PackageLoader("restpoint.notify")})]
    if folder is not None:
        loaders.insert(0, FileSystemLoader(folder))
    made = ImmutableSandboxedEnvironment(
        loader=ChoiceLoader(loaders),
        autoescape=select_autoescape(["html"], default_for_string=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"markdown": _markdown, "quoted": _quoted}
    return made


def _or_none(environment: Environment, name: str) -> Any:
    try:
        return environment.get_template(name)
    except TemplateNotFound as error:
        if error.name != name:  # of a template that it extends
            raise
        return None


def _reason(error: Exception) -> str:
    """What is wrong with a template. Of other errors only the type: a message may hold what the template was given."""
    if isinstance(error, TemplateError):
        line = getattr(error, "lineno", None)
        return (
            f"{one_line(error.message or type(error).__name__).rstrip('.')}{'' if line is None else f' (line {line})'}"
        )
    return f"it raised {type(error).__name__}"
