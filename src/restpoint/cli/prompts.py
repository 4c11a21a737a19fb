"""Answers at the terminal: from the options of the command, or asked for. What they mean is up to the class of the prompt."""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from pydantic_core import from_json

from restpoint.cli.abbreviations import unique_end
from restpoint.cli.output import when
from restpoint.cli.terminal import Usage, one_line, print_message, printable
from restpoint.errors import ResponseNotAccepted
from restpoint.models import Execution, OpenInteraction
from restpoint.prompts import (
    AnswerOptions,
    BinaryHumanPromptOption,
    FormField,
    HumanPrompt,
    HumanPromptForm,
    HumanResponse,
    HumanResponseForm,
    MultipleChoiceOption,
    NotUnderstood,
    read_response,
)
from restpoint.prompts.form_fields import LEFT_OUT
from restpoint.prompts.options import NO, YES

T = TypeVar("T")

_SHOWN: Final = 100  # options; the others are answered by id or label


@dataclass(frozen=True, slots=True, kw_only=True)
class Given(AnswerOptions):
    """What the command line says of the answer: beside the options, words behind the id, or JSON."""

    words: str | None = None
    json: str | None = None

    @property
    def anything(self) -> bool:
        """Whether it says anything of the answer, to which a comment does not belong."""
        return replace(self, comment=None) != Given()

    def __post_init__(self) -> None:
        said = (
            self.words is not None,
            self.text is not None,
            bool(self.choices),
            self.yes is not None,
            self.acknowledge,
            self.json is not None,
            bool(self.settings),
            self.decline,
        )
        if sum(said) > 1:
            raise Usage(
                "Several answers are given.\n"
                "Give one of --text, --choose, --yes, --no, --acknowledge, --set, --decline and --json, or one behind the id."
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
        print_message(f"  {number}  {_told(each)}")
    while True:
        typed = _read(f"Which of the {len(open_ones)}? ").strip()
        if typed.isdecimal() and 1 <= int(typed[:9]) <= len(open_ones):
            return open_ones[int(typed[:9]) - 1]
        print_message(f"Type a number from 1 to {len(open_ones)}.")


def given(prompt: HumanPrompt, options: Given) -> HumanResponse:
    """The response that the command line means. Raises ``Usage`` where it means none, and ``ResponseNotAccepted``."""
    if options.json is not None:
        return _read_json(prompt, options.json, options.comment)
    if options.words is not None:
        return _with_comment(_understood(prompt.typed, options.words), options.comment)
    return _with_comment(_understood(prompt.given, options), options.comment)


def asked(waiting: OpenInteraction, comment: str | None = None) -> HumanResponse:
    """The response that the person at the terminal types, with the comment. Asks again until it is one."""
    prompt = waiting.prompt
    print_message(printable(prompt.text))
    if waiting.deadline is not None:
        left = max(round(waiting.deadline - time.time()), 0)
        at = datetime.fromtimestamp(waiting.deadline, UTC)
        print_message(f"(until {at:%Y-%m-%d %H:%M:%S} UTC, {left} s from now)")
    _offer(prompt.offers)
    if isinstance(prompt, HumanPromptForm):
        return _filled_in(prompt, comment)
    while True:
        typed = _read(printable(prompt.question))
        try:
            return _with_comment(prompt.typed(typed), comment)
        except (NotUnderstood, ResponseNotAccepted) as error:
            print_message(printable(str(error)))


def _offer(options: Sequence[BinaryHumanPromptOption | MultipleChoiceOption]) -> None:
    for number, option in enumerate(options[:_SHOWN], 1):
        note = f"  {one_line(option.note)}" if option.note else ""
        print_message(f"  {number}  {one_line(option.label)}{note}")
    if len(options) > _SHOWN:
        print_message(f"  … and {len(options) - _SHOWN} more: type an id or a label")


def _filled_in(form: HumanPromptForm, comment: str | None) -> HumanResponse:
    """The response to a form, asked for field by field; each is asked for again until it is right."""
    if form.may_be_declined and not _is_wanted():
        while comment is None or not comment.strip():
            comment = _read("Why not? ")
        return form.accepts(HumanResponseForm(action="decline", comment=comment))
    content: dict[str, Any] = {}
    for field in form.fields:
        if field.readonly:
            print_message(f"{one_line(field.title)}: {one_line(field.shown, 200)}")
        elif (value := _field_asked(form, field)) is not LEFT_OUT:
            content[field.name] = value
    return _with_comment(form.accepts(HumanResponseForm(content=content)), comment)


def _is_wanted() -> bool:
    while True:
        typed = _read("Fill in the form? [yes] ").strip().lower()
        if typed in {"", *YES}:
            return True
        if typed in NO:
            return False
        print_message("Type yes, or no to decline.")


def _field_asked(form: HumanPromptForm, field: FormField) -> Any:
    if field.description:
        print_message(printable(field.description))
    _offer(field.options)
    while True:
        typed = _read(printable(field.question))
        try:
            value = field.typed(typed)
        except NotUnderstood as error:
            print_message(printable(str(error)))
            continue
        problem = None if value is LEFT_OUT else form.problem_with(field.name, value)
        if problem is None:
            return value
        print_message(printable(problem))


def _understood(understand: Callable[[T], HumanResponse], answer: T) -> HumanResponse:
    try:
        return understand(answer)
    except NotUnderstood as error:
        raise Usage(str(error)) from None


def _with_comment(response: HumanResponse, comment: str | None) -> HumanResponse:
    return response if comment is None else read_response({**response.model_dump(mode="json"), "comment": comment})


def _read_json(prompt: HumanPrompt, text: str, comment: str | None) -> HumanResponse:
    try:
        data = from_json(text)
    except ValueError as error:
        raise Usage(
            f"--json is not JSON: {error}.\nGive a response like " + '{"type": "text", "text": "Ada"}'
        ) from None
    if not isinstance(data, dict):
        raise Usage('--json is no response.\nGive one like {"type": "text", "text": "Ada"}')
    if comment is not None and "comment" in data:
        raise Usage("Two comments are given.\nGive one, in the JSON or with --comment.")
    said = {} if comment is None else {"comment": comment}
    return prompt.accepts(read_response({"type": str(prompt.input_type), **data, **said}))


def _read(question: str) -> str:
    sys.stderr.write(question)
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        print_message()
        raise KeyboardInterrupt  # Ctrl-D: nobody answers any more
    return line.rstrip("\r\n")


def _listed(interactions: Sequence[OpenInteraction]) -> str:
    ids = [each.interaction_id for each in interactions]
    return "\n".join(f"-i {unique_end(each.interaction_id, ids)}  {_told(each)}" for each in interactions)


def _told(each: OpenInteraction) -> str:
    """A prompt in a line that tells it from others with the same question: for whom it is, since when, and until when."""
    about = [f"for {', '.join(each.assignees)}"] if each.assignees else []
    about += [f"asked {when(each.created_at)}"] if each.created_at is not None else []
    about += [f"until {when(each.deadline)}"] if each.deadline is not None else []
    return one_line(each.prompt.summary) + (f"  ({one_line('; '.join(about), 120)})" if about else "")
