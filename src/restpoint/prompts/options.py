"""The options that a prompt offers, and how an answer's choice is compared with them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, field_validator

from restpoint._core.serialization import MAX_PROMPT_BYTES, encode
from restpoint.errors import ResponseNotAccepted

MAX_OPTIONS: Final = 10_000

# The SQL of the view `answers` has these words in it, so a change of them takes a revision of the file.
YES: Final = ("yes", "y", "true", "ok", "approve", "approved", "accept", "allow", "confirm", "continue", "grant")
"""What an option that plainly means yes is called."""
NO: Final = ("no", "n", "false", "cancel", "reject", "rejected", "decline", "deny", "denied", "refuse", "stop")
"""What an option that plainly means no is called."""


class BinaryHumanPromptOption(BaseModel):
    """One of the two choices of a binary prompt. ``value`` is any JSON value."""

    id: str = "default"
    label: str = "default"
    value: Any = "default"

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


class MultipleChoiceOption(BaseModel):
    """One choice of a radio, checkbox or dropdown prompt."""

    id: str = "default"
    label: str = "default"
    value: str = "default"
    description: str = "default"

    @property
    def note(self) -> str:
        """What is said of the option beside its label; empty where it has no description."""
        return "" if self.description == "default" else self.description


Option = BinaryHumanPromptOption | MultipleChoiceOption


def offered(options: Sequence[Option], chosen: Option) -> Any:
    """The option that was chosen, as the prompt offers it. Raises ``ResponseNotAccepted``."""
    wanted = identity_of(chosen)
    for option in options:
        if option.id == chosen.id and identity_of(option) == wanted:
            return option
    choices = ", ".join(f"{option.id} ({option.value})" for option in options[:10])
    raise ResponseNotAccepted(
        f"The option {chosen.id} ({str(chosen.value)[:80]}) was not offered. Choose one of: {choices}."
    )


def identity_of(option: Option) -> tuple[str, str]:
    """What tells two options apart: the id and the value as JSON, where 1, true and "1" are three things."""
    value = option.value
    return option.id, f'"{value}' if type(value) is str else encode(_as_a_browser_sends_it(value))


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

    The word is an id, a label, a value, the number in the list, or the beginning of an id or label: the first of these that
    fits any option decides.
    """
    low = word.lower()
    number = int(word) if word.isdecimal() and len(word) < 6 else 0
    ways: tuple[list[Option], ...] = (
        [option for option in options if option.id == word],
        [option for option in options if low in called(option)],
        [options[number - 1]] if 1 <= number <= len(options) else [],
        [option for option in options if option.label.lower().startswith(low) or option.id.lower().startswith(low)],
    )
    return next((found for found in ways if found), [])
