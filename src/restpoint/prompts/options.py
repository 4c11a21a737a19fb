"""The options that a prompt offers, and how an answer's choice is compared with them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, SerializerFunctionWrapHandler, WrapSerializer, field_validator

from restpoint._core.serialization import MAX_PROMPT_BYTES, encode
from restpoint.errors import ResponseNotAccepted

MAX_OPTIONS: Final = 10_000
_UNSAID: Final = "default"  # the id, label or value of an option that was given none, as the original has it

# The SQL of the view `answers` has these words in it, so a change of them takes a revision of the file.
YES: Final = ("yes", "y", "true", "ok", "approve", "approved", "accept", "allow", "confirm", "continue", "grant")
"""What an option that plainly means yes is called."""
NO: Final = ("no", "n", "false", "cancel", "reject", "rejected", "decline", "deny", "denied", "refuse", "stop")
"""What an option that plainly means no is called."""


class BinaryHumanPromptOption(BaseModel, extra="forbid"):
    """One of the two choices of a binary prompt. ``value`` is any JSON value."""

    id: str = _UNSAID
    label: str = _UNSAID
    value: Any = _UNSAID

    @field_validator("value")
    @classmethod
    def _value_is_json(cls, value: object) -> object:
        if type(value) is not str:
            encode(value, limit=MAX_PROMPT_BYTES)
        return value

    @property
    def note(self) -> str:
        """What is said of the option beside its label: nothing."""
        return ""


class MultipleChoiceOption(BaseModel, extra="forbid"):
    """One choice of a radio, checkbox or dropdown prompt."""

    id: str = _UNSAID
    label: str = _UNSAID
    value: str = _UNSAID
    description: str = _UNSAID

    @property
    def note(self) -> str:
        """What is said of the option beside its label; empty where it has no description."""
        return "" if self.description == _UNSAID else self.description


Option = BinaryHumanPromptOption | MultipleChoiceOption


# --- What a response chooses ---


class _BinaryWord(BinaryHumanPromptOption):
    """A word in place of an option: ``value`` is an id, a value or a label, and only the prompt can say which."""


class _MultipleWord(MultipleChoiceOption):
    """As ``_BinaryWord``."""


def _binary_word(value: object) -> object:
    if isinstance(value, str | bool | int | float):
        return _BinaryWord(id=str(value), label=str(value), value=value)
    return value


def _multiple_word(value: object) -> object:
    return _MultipleWord(id=value, label=value, value=value) if isinstance(value, str) else value


def _as_given(option: Option, dump: SerializerFunctionWrapHandler) -> Any:
    """What somebody gave of an option, without the defaults of the rest, so that it means the same to who reads it."""
    if isinstance(option, _BinaryWord | _MultipleWord):
        return option.value
    given, dumped = option.model_fields_set, dump(option)
    return dumped if "id" in given and "value" in given else {name: dumped[name] for name in dumped if name in given}


ChosenBinary = Annotated[
    BinaryHumanPromptOption,
    BeforeValidator(_binary_word, json_schema_input_type=BinaryHumanPromptOption | str | bool | int | float),
    WrapSerializer(_as_given),
]
"""An option of a binary prompt as a response has it: the option, some of its fields, or its id, value or label."""

ChosenOption = Annotated[
    MultipleChoiceOption,
    BeforeValidator(_multiple_word, json_schema_input_type=MultipleChoiceOption | str),
    WrapSerializer(_as_given),
]
"""An option of another prompt as a response has it: the option, some of its fields, or its id, value or label."""


def offered(options: Sequence[Option], chosen: Option) -> Any:
    """The option that was chosen, as the prompt offers it. Raises ``ResponseNotAccepted``.

    It is the option with the id and the value that ``chosen`` has, or with the one of the two that it has, or else with its
    label. A word is the id, the value or the label of an option. Nothing is chosen where that stands for several options.
    """
    if {"id", "value"} <= chosen.model_fields_set and not isinstance(chosen, _BinaryWord | _MultipleWord):
        wanted = identity_of(chosen)
        for option in options:
            if option.id == chosen.id and identity_of(option) == wanted:
                return option
        what, found = f"The option with id {_quoted(chosen.id)} and value {_quoted(chosen.value)}", []
    else:
        what, fits = _part(chosen)
        found = [option for option in options if fits(option)]
    if len(found) == 1:
        return found[0]
    if found:
        raise ResponseNotAccepted(
            f"{what} stands for several options: {named(found)}. Give the id and the value of the one that is meant."
        )
    raise ResponseNotAccepted(f"{what} was not offered. Choose one of: {named(options)}.")


def _part(chosen: Option) -> tuple[str, Callable[[Option], bool]]:
    """What a response says of an option where it does not say both id and value, in words; and whether an option is that one."""
    if isinstance(chosen, _BinaryWord | _MultipleWord):
        return f"The option {_quoted(chosen.value)}", lambda option: goes_by(option, chosen.value)
    given = chosen.model_fields_set
    if "id" in given:
        return f"The option with id {_quoted(chosen.id)}", lambda option: option.id == chosen.id
    if "value" in given:
        value = _comparable(chosen.value)
        return f"The option with value {_quoted(chosen.value)}", lambda option: _comparable(option.value) == value
    if "label" in given:
        return f"The option with label {_quoted(chosen.label)}", lambda option: option.label == chosen.label
    raise ResponseNotAccepted("The option that was chosen has no id, no value and no label; give one of these.")


def goes_by(option: Option, word: object) -> bool:
    """Whether a word is the id, the label or the value of an option."""
    return word in (option.id, option.label) or _comparable(option.value) == _comparable(word)


def named(options: Sequence[Option], most: int = 10) -> str:
    """Some options for a message: the id of each, and its label where that says more."""
    shown = (list(dict.fromkeys(name for name in (each.id, each.label) if name != _UNSAID)) for each in options[:most])
    names = [
        names[0] + (f" ({names[1]})" if len(names) > 1 else "") if names else "an option without a name"
        for names in shown
    ]
    return ", ".join([*map(_shortened, names), *(["…"] if len(options) > most else [])])


def _quoted(value: object) -> str:
    return repr(value) if isinstance(value, bool) or not isinstance(value, str) else repr(_shortened(value))


def _shortened(text: str, width: int = 80) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - 1]}…"


def identity_of(option: Option) -> tuple[str, str]:
    """What tells two options apart: the id and the value as JSON, where 1, true and "1" are three things."""
    return option.id, _comparable(option.value)


def _comparable(value: object) -> str:
    return f'"{value}' if type(value) is str else encode(_as_a_browser_sends_it(value))


def _as_a_browser_sends_it(value: object) -> object:
    """JSON as it may come back: 1.0 as 1, and the keys of an object in any order."""
    if type(value) is float and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: _as_a_browser_sends_it(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [_as_a_browser_sends_it(item) for item in value]
    return value


def refuse_repeats(chosen: Sequence[Option]) -> None:
    """Raise ``ResponseNotAccepted`` where an option is chosen twice."""
    seen = set()
    for option in chosen:
        if (identity := identity_of(option)) in seen:
            raise ResponseNotAccepted(f"The option {option.id} is chosen twice; choose each option once.")
        seen.add(identity)


def check_distinct(options: Sequence[Option]) -> None:
    """Raise ``ValueError`` where two options cannot be told apart."""
    if len({option.id for option in options}) == len(options):
        return
    if len({identity_of(option) for option in options}) != len(options):
        raise ValueError("two options have the same id and value, so an answer could not tell them apart")


def called(option: Option) -> set[str]:
    """What an option goes by, in small letters: its id, its label, its value."""
    return {option.id.lower(), option.label.lower(), str(option.value).lower()}


def meant(options: Sequence[Option], word: str) -> list[Option]:
    """The options that a person may mean by a word; several where it is not clear which.

    The word is an id, a label or a value, to the letter or else in small letters; the number in the list; or the beginning of an
    id or label: the first of these that fits any option decides.
    """
    low = word.lower()
    number = int(word) if word.isdecimal() and len(word) < 6 else 0
    ways: tuple[list[Option], ...] = (
        [option for option in options if goes_by(option, word)],
        [option for option in options if low in called(option)],
        [options[number - 1]] if 1 <= number <= len(options) else [],
        [option for option in options if option.label.lower().startswith(low) or option.id.lower().startswith(low)],
    )
    return next((found for found in ways if found), [])


def between_commas(options: Sequence[Option], words: str) -> list[str]:
    """The words for one option each. A comma parts them, unless it belongs to an id, a label or a value that is typed whole."""
    known = {name for option in options for name in called(option)}
    longest = 1 + max((name.count(",") for name in known), default=0)
    parts, found = words.split(","), []
    while parts:
        lengths = range(min(longest, len(parts)), 1, -1)
        length = next((each for each in lengths if ",".join(parts[:each]).strip().lower() in known), 1)
        found.append(",".join(parts[:length]))
        del parts[:length]
    return found
