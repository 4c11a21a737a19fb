"""The fields of a form as they are shown and filled in: on a page, on a command line, or by another program that asks people."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from restpoint.prompts.base import NotUnderstood
from restpoint.prompts.form_properties import WANTED, FieldKind
from restpoint.prompts.form_schema import FormSchema
from restpoint.prompts.options import NO, YES, MultipleChoiceOption, between_commas, meant, named

_WANTED: Final[Mapping[FieldKind, str]] = {
    "text": "text",
    "email": "e-mail address",
    "uri": "URL",
    "date": "date, as in 2026-01-31",
    "date-time": "date and time, as in 2026-01-31T09:30, in UTC unless an offset follows",
    "number": "number",
    "integer": "whole number",
    "boolean": "yes or no",
    "single choice": "one",
    "multiple choice": "several, as in 1,3",
}
LEFT_OUT: Final = object()
"""What stands for a field that an answer leaves out."""

# The patterns are compiled, and kept, by ``re`` when they are first used, because most processes show no form.
_LOCAL: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"
_WHOLE: Final = r"[+-]?[0-9]{1,1000}"
_FRACTION: Final = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"
_LINE_END: Final = "\r\n|\r|\n"
_LIMITS: Final = ("minimum", "maximum", "min_length", "max_length", "min_items", "max_items")


@dataclass(frozen=True, slots=True, kw_only=True)
class FormField:
    """A field of a form, for whoever shows it.

    ``title`` is its name where the schema has no title. ``default`` is the value that it shows at first, as JSON has it; None
    where it begins empty. With ``has_default``, an answer that leaves it out gets the default of the schema. ``options`` are
    what may be chosen. The limits are None where there are none: of the value of a number (``minimum``, ``maximum``), the
    characters of a text (``min_length``, ``max_length``), and how many options may be chosen (``min_items``, ``max_items``). One
    that is ``readonly`` shows its value, and is not filled in.
    """

    name: str
    title: str
    description: str
    kind: FieldKind
    required: bool
    default: Any
    has_default: bool
    options: tuple[MultipleChoiceOption, ...]
    minimum: int | float | None
    maximum: int | float | None
    min_length: int | None
    max_length: int | None
    min_items: int | None
    max_items: int | None
    multiline: bool
    readonly: bool

    def read(self, words: Sequence[str]) -> Any:
        """The JSON value that a person means by some words: one, or for several choices any number. Raises ``NotUnderstood``.

        An option goes by its value, title, number or beginning; yes and no go by the usual words. A date-time without an offset
        is UTC. The value may still be one that the schema refuses.
        """
        if self.kind == "multiple choice":
            return [self._option(word) for word in words if word]
        if len(words) != 1:
            raise NotUnderstood("This field takes one value.")
        word = words[0]
        match self.kind:
            case "single choice":
                return self._option(word)
            case "boolean":
                return self._boolean(word)
            case "number" | "integer":
                return self._number(word.strip())
            case "date-time" if re.fullmatch(_LOCAL, word):
                return f"{word}{':00' if len(word) == len('2026-01-31T09:30') else ''}Z"
        return word

    @property
    def has_lines(self) -> bool:
        """Whether the field of a page needs several lines: it may have, or begins with some."""
        return self.multiline or (self.kind == "text" and re.search(_LINE_END, str(self.default or "")) is not None)

    @property
    def shown(self) -> str:
        """The value that it shows at first, in words; empty where it begins empty."""
        if self.default is None:
            return ""
        if self.kind == "boolean":
            return "yes" if self.default else "no"
        labels = {option.value: option.label for option in self.options}
        chosen = self.default if isinstance(self.default, list) else [self.default]
        return ", ".join(labels.get(each, str(each)) for each in chosen)

    @property
    def wanted(self) -> str:
        """What it takes, in words, such as ``whole number from 0 to 100``."""
        words = [_WANTED[self.kind]]
        least = self.minimum if self.min_items is None else self.min_items
        most = self.maximum if self.max_items is None else self.max_items
        words += [f"from {least}"] if least is not None else []
        words += [f"up to {most}" if least is None else f"to {most}"] if most is not None else []
        if self.max_length is not None:
            words.append(f"of at most {self.max_length} characters")
        return " ".join(words)

    @property
    def question(self) -> str:
        """What a terminal shows where the person types the value."""
        default = f" [{self.shown}]" if self.default is not None else "" if self.required else " [none]"
        return f"{self.title} ({self.wanted}){default}: "

    @property
    def may_be_empty(self) -> bool:
        """Whether a person may leave it empty. They may not where it would then get the default of the schema."""
        return not self.required and (not self.has_default or self.kind in {"text", "boolean", "multiple choice"})

    def typed(self, words: str) -> Any:
        """The JSON value that a person types at a terminal, or ``LEFT_OUT``. Raises ``NotUnderstood``.

        Nothing stands for the value that is shown; several options stand between commas.
        """
        if not words.strip() and self.default is not None:
            return self.default
        if not words.strip() and not self.required:
            return LEFT_OUT
        if self.kind == "multiple choice" and all(option.value != words for option in self.options):
            return self.read([word for each in between_commas(self.options, words) if (word := each.strip())])
        if not words.strip():
            raise NotUnderstood("This field is required.")
        return self.read([words])

    def submitted(self, words: Sequence[str] | None) -> Any:
        """The JSON value that a submitted HTML form has for this field, or ``LEFT_OUT``. Raises ``NotUnderstood``.

        ``words`` are the values under its name; None or ``[""]`` where nothing was ticked, chosen or typed. That is no, or no
        options, where an answer has the field anyway: where it is required or began with a value.
        """
        if words and words != [""]:
            given = [re.sub(_LINE_END, "\n", word) for word in words]
            if isinstance(self.default, str) and given == [re.sub(_LINE_END, "\n", self.default)]:
                return self.default  # HTML submits each end of a line alike (HTML, section 4.10.21.4)
            return self.read(given)
        if self.kind in {"boolean", "multiple choice"} and (self.required or self.default is not None):
            return False if self.kind == "boolean" else []
        if not words or not self.has_default:
            return LEFT_OUT
        if self.kind == "text":
            return ""
        raise NotUnderstood("This field cannot be left empty.")  # left out, it would get its default

    def _option(self, word: str) -> str:
        if any(option.value == word for option in self.options):
            return word
        found = meant(self.options, word.strip())
        if len(found) == 1:
            return found[0].value
        if found:
            raise NotUnderstood(f"{word!r} stands for several options: {named(found)}.")
        raise NotUnderstood(f"{word!r} is no option. Choose among: {named(self.options)}.")

    @staticmethod
    def _boolean(word: str) -> bool:
        low = word.strip().lower()
        if low in {*YES, "on", "1"}:
            return True
        if low in {*NO, "off", "0"}:
            return False
        raise NotUnderstood("Give yes or no.")

    def _number(self, word: str) -> int | float:
        try:
            if re.fullmatch(_WHOLE, word):
                return int(word)
            if self.kind == "number" and re.fullmatch(_FRACTION, word) and math.isfinite(number := float(word)):
                return number
        except ValueError:
            pass
        raise NotUnderstood(WANTED[self.kind])


def fields_of(schema: FormSchema, initial: Mapping[str, Any]) -> tuple[FormField, ...]:
    """The fields of a schema, in their order. One that ``initial`` has a value for shows that at first."""
    required, found = frozenset(schema.required or ()), []
    for name, each in schema.properties.items():
        limits = {limit: getattr(each, limit, None) for limit in _LIMITS}
        found.append(
            FormField(
                name=name,
                title=each.title or name,
                description=each.description or "",
                kind=each.kind,
                required=name in required,
                default=initial.get(name, each.default),
                has_default=name not in required and each.default is not None,
                options=each.offers,
                multiline=bool(getattr(each, "multiline", False)),
                readonly=bool(each.readonly),
                **limits,
            )
        )
    return tuple(found)
