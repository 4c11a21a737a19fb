"""Answers at the terminal: from the options of the command, or asked for by the kind of the prompt."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pydantic_core import from_json

from restpoint.cli.terminal import Usage, one_line, printable, say
from restpoint.errors import ResponseNotAccepted
from restpoint.models import Execution, OpenInteraction
from restpoint.prompts import (
    HumanPrompt,
    HumanPromptCheckbox,
    HumanPromptNotification,
    HumanPromptText,
    HumanResponse,
    accepts,
    read_response,
)

_YES: Final = frozenset({"yes", "y", "true", "ok", "approve", "approved", "accept", "continue", "confirm", "allow"})
_NO: Final = frozenset({"no", "n", "false", "cancel", "reject", "rejected", "deny", "denied", "decline", "stop"})
_NAMED: Final = 20  # options in an error
_SHOWN: Final = 100  # options; the others are answered by id or label


@dataclass(frozen=True, slots=True)
class Given:
    """What the options of the command say of the answer."""

    words: str | None = None
    text: str | None = None
    choices: tuple[str, ...] = ()
    yes: bool | None = None
    acknowledge: bool = False
    json: str | None = None

    @property
    def anything(self) -> bool:
        """Whether they say anything."""
        return self != Given()

    def __post_init__(self) -> None:
        said = (
            self.words is not None,
            self.text is not None,
            bool(self.choices),
            self.yes is not None,
            self.acknowledge,
            self.json is not None,
        )
        if sum(said) > 1:
            raise Usage(
                "Several answers are given.\n"
                "Give one of --text, --choose, --yes, --no, --acknowledge and --json, or one behind the id."
            )


def which(execution: Execution, wanted: str | None, *, ask: bool) -> OpenInteraction:
    """The open prompt that is meant: the only one, the one named by id (or its beginning or end), or the one chosen."""
    open_ones = execution.interactions
    if not open_ones:
        raise Usage(
            f"Execution {execution.execution_id} asks nothing; it is {execution.status}.\n"
            f"Try: restpoint show {execution.execution_id}"
        )
    if wanted is not None:
        meant = [each for each in open_ones if each.interaction_id == wanted] or [
            each for each in open_ones if each.interaction_id.startswith(wanted) or each.interaction_id.endswith(wanted)
        ]
        if len(meant) == 1:
            return meant[0]
        raise Usage(
            f"{wanted!r} names {'several' if meant else 'none'} of the open prompts; they are:\n{_listed(open_ones)}"
        )
    if len(open_ones) == 1:
        return open_ones[0]
    if not ask:
        raise Usage(f"Several prompts are open; name one with --interaction:\n{_listed(open_ones)}")
    for number, each in enumerate(open_ones, 1):
        say(f"  {number}  {one_line(each.prompt.text, 100)}")
    while True:
        typed = _read(f"Which of the {len(open_ones)}? ").strip()
        if typed.isdecimal() and 1 <= int(typed[:9]) <= len(open_ones):
            return open_ones[int(typed[:9]) - 1]
        say(f"Type a number from 1 to {len(open_ones)}.")


def given(prompt: HumanPrompt, options: Given) -> HumanResponse:
    """The response that the options mean. Raises ``Usage`` where they do not fit, and ``ResponseNotAccepted``."""
    if options.words is not None:
        return _understood(prompt, options.words)
    if options.json is not None:
        return _read_json(prompt, options.json)
    if isinstance(prompt, HumanPromptText):
        if options.text is None:
            raise Usage("The prompt asks for text.\nGive it with --text.")
        return _response(prompt, text=options.text)
    if isinstance(prompt, HumanPromptNotification):
        if not options.acknowledge:
            raise Usage("The prompt is a notification.\nAcknowledge it with --acknowledge.")
        return _response(prompt)
    words = options.choices
    if options.yes is not None:
        words = (_plain_word(prompt, yes=options.yes),)
    if not words:
        raise Usage(f"The prompt offers options.\nChoose with --choose, by id or label: {_offer(prompt)}")
    return _chosen(prompt, words)


def asked(waiting: OpenInteraction) -> HumanResponse:
    """The response that the person at the terminal types. Asks again until it is one."""
    prompt = waiting.prompt
    say(printable(prompt.text))
    if waiting.deadline is not None:
        left = max(round(waiting.deadline - time.time()), 0)
        at = datetime.fromtimestamp(waiting.deadline, UTC)
        say(f"(until {at:%Y-%m-%d %H:%M:%S} UTC, {left} s from now)")
    if isinstance(prompt, HumanPromptNotification):
        _read("Press Enter to acknowledge: ")
        return _response(prompt)
    if isinstance(prompt, HumanPromptText):
        label = f"[{one_line(prompt.placeholder)}] " if prompt.placeholder else ""
        return _until_accepted(prompt, f"{label}> ")
    options: Sequence[Any] = prompt.options
    for number, option in enumerate(options[:_SHOWN], 1):
        about = getattr(option, "description", "default")
        note = "" if about in {"default", ""} else f"  {one_line(about)}"
        say(f"  {number}  {one_line(option.label)}{note}")
    if len(options) > _SHOWN:
        say(f"  … and {len(options) - _SHOWN} more: type an id or a label")
    question = "Which? (several: 1,3) " if isinstance(prompt, HumanPromptCheckbox) else "Which? "
    return _until_accepted(prompt, question)


# --- Inside ----------------------------------------------------------------------------------------------------------


def _read_json(prompt: HumanPrompt, text: str) -> HumanResponse:
    try:
        data = from_json(text)
    except ValueError as error:
        raise Usage(
            f"--json is not JSON: {error}.\nGive a response like " + '{"type": "text", "text": "Ada"}'
        ) from None
    if not isinstance(data, dict):
        raise Usage('--json is no response.\nGive one like {"type": "text", "text": "Ada"}')
    return accepts(prompt, read_response({"type": str(prompt.input_type), **data}))


def _understood(prompt: HumanPrompt, words: str) -> HumanResponse:
    """What a person's words mean at this prompt. Raises ``Usage`` and ``ResponseNotAccepted``."""
    if isinstance(prompt, HumanPromptText):
        return _response(prompt, text=words)
    if isinstance(prompt, HumanPromptNotification):
        return _response(prompt, **({"text": words} if words else {}))
    return _chosen(prompt, words.split(",") if isinstance(prompt, HumanPromptCheckbox) else [words])


def _until_accepted(prompt: HumanPrompt, question: str) -> HumanResponse:
    while True:
        typed = _read(question)
        try:
            return _understood(prompt, typed)
        except (Usage, ResponseNotAccepted) as error:
            say(printable(str(error)))


def _read(question: str) -> str:
    sys.stderr.write(question)
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        say()
        raise KeyboardInterrupt  # Ctrl-D: nobody answers any more
    return line.rstrip("\r\n")


def _chosen(prompt: Any, words: Sequence[str]) -> HumanResponse:
    options = [_option(prompt.options, word.strip()) for word in words if word.strip()]
    if not options:
        raise Usage("Nothing is chosen.")
    if prompt.input_type == "checkbox":
        return _response(prompt, selected_options=[option.model_dump() for option in options])
    if len(options) > 1:
        raise Usage("The prompt takes one option.")
    return _response(prompt, selected_option=options[0].model_dump())


def _option(options: Sequence[Any], word: str) -> Any:
    """By id, by label, by number; the first of these that fits."""
    low = word.lower()
    ways = (
        [option for option in options if option.id == word],
        [option for option in options if low in {option.id.lower(), option.label.lower(), str(option.value).lower()}],
        [options[int(word) - 1]] if word.isdecimal() and len(word) < 6 and 1 <= int(word) <= len(options) else [],
        [option for option in options if option.label.lower().startswith(low) or option.id.lower().startswith(low)],
    )
    for found in ways:
        if len(found) == 1:
            return found[0]
        if found:
            raise Usage(f"{word!r} stands for several options; type more of it, or its number.")
    known = ", ".join(option.id for option in options[:_NAMED]) + (", …" if len(options) > _NAMED else "")
    raise Usage(f"{word!r} is no option.\nThe options are: {one_line(known, 200)}.")


def _plain_word(prompt: Any, *, yes: bool) -> str:
    """The id of the option that means yes, or no. Not guessed from its place."""
    meaning = _YES if yes else _NO
    found = [
        option
        for option in prompt.options
        if meaning & {option.id.lower(), option.label.lower(), str(option.value).lower()}
    ]
    if prompt.input_type != "binary_choice" or len(found) != 1:
        raise Usage(
            f"The prompt has no option that plainly means {'yes' if yes else 'no'}.\n"
            f"Choose with --choose, by id or label: {_offer(prompt)}"
        )
    return str(found[0].id)


def _offer(prompt: Any) -> str:
    shown = ", ".join(f"{option.id} ({one_line(option.label, 30)})" for option in prompt.options[:20])
    return shown if len(prompt.options) <= 20 else f"{shown}, …"


def _response(prompt: HumanPrompt, **fields: object) -> HumanResponse:
    return accepts(prompt, read_response({"type": str(prompt.input_type), **fields}))


def _listed(interactions: Sequence[OpenInteraction]) -> str:
    return "\n".join(f"{each.interaction_id}  {one_line(each.prompt.text)}" for each in interactions)
