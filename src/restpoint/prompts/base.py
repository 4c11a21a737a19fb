"""What every kind of prompt has: its fields, and what its class answers for."""

import re
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Generic, TypeVar

from pydantic import AfterValidator, AliasChoices, BaseModel, Field

from restpoint._core.timestamps import MAX_TIMEOUT_SECONDS
from restpoint.errors import ResponseNotAccepted
from restpoint.prompts.options import Option, identity_of

if TYPE_CHECKING:
    from restpoint.prompts.form_fields import FormField


class HumanPromptModelType(StrEnum):
    """The kinds of prompt and response, and ``OAUTH_CONSENT``, of which there is no prompt: a consent is a wait of its own."""

    TEXT = "text"
    NOTIFICATION = "notification"
    BINARY_CHOICE = "binary_choice"
    RADIO = "radio"
    CHECKBOX = "checkbox"
    DROPDOWN = "dropdown"
    FORM = "form"
    OAUTH_CONSENT = "oauth_consent"


MAX_COMMENT_LENGTH: Final = 10_000
"""Characters of the comment of a response."""

_CONTROLS: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def _plain_text(comment: str | None) -> str | None:
    """The comment as plain text, where blank is none. Raises ``ValueError`` for a control character but tab and line ends."""
    if comment is None or not comment.strip():
        return None
    if found := _CONTROLS.search(comment):
        raise ValueError(f"a comment is plain text, and this one has the control character U+{ord(found[0]):04X}")
    return comment


EITHER_NAME: Final = AliasChoices("type", "input_type")
"""The names that the kind of a response may stand under."""


class HumanResponseBase(BaseModel, extra="forbid"):
    """What every response has.

    ``comment`` is what the person wants to say beside the answer: plain text of at most ``MAX_COMMENT_LENGTH`` characters; None
    if there is nothing, and then the JSON form has no such field. It never changes what was answered.
    """

    comment: Annotated[str | None, AfterValidator(_plain_text)] = Field(
        default=None, max_length=MAX_COMMENT_LENGTH, exclude_if=lambda comment: comment is None
    )

    @property
    @abstractmethod
    def summary(self) -> str:
        """What was answered, in words: what somebody wrote, or the labels of the options that they chose."""


R = TypeVar("R", bound=HumanResponseBase)


class HumanPromptBase(BaseModel, Generic[R], validate_assignment=True, extra="forbid"):
    """What every prompt has. ``R`` is the class of the responses that it takes.

    ``text`` is shown to the person. ``timeout`` is in seconds, from the moment of asking (None: no deadline). ``error``
    is what a client shows when the prompt is no longer open.
    """

    response_model: ClassVar[type[HumanResponseBase]]
    """The class of the responses that the prompt takes; the same as ``R``."""
    is_decision: ClassVar[bool]
    """Whether an answer decides something. The view ``approvals`` leaves out the kinds whose answers do not, by name, so
    another such kind takes a revision of the file."""

    text: str
    timeout: int | None = Field(default=None, gt=0, le=MAX_TIMEOUT_SECONDS)
    error: str | None = None

    @property
    def summary(self) -> str:
        """What is asked, in words."""
        return self.text

    @property
    def identity(self) -> tuple[object, ...]:
        """What the prompt is beside its wording: its kind, and its options by id and value, in any order."""
        return (type(self).__name__, *sorted(map(identity_of, self.offers)))

    @property
    def offers(self) -> Sequence[Option]:
        """The options that may be chosen; none where the answer is no choice."""
        return ()

    @property
    def fields(self) -> "Sequence[FormField]":
        """The fields that are filled in; none where the prompt is no form."""
        return ()

    def check(self) -> None:
        """Raise ``PromptNotAccepted`` where the prompt cannot be asked although it can be read."""

    def accepts(self, response: BaseModel) -> R:
        """The response in its stored form. Raises ``ResponseNotAccepted`` where it does not answer this prompt."""
        if not isinstance(response, self.response_model):
            kind = getattr(response, "type", type(response).__name__)
            asked = getattr(self, "input_type", type(self).__name__)
            raise ResponseNotAccepted(
                f"The prompt is of kind {asked} and takes no {kind} response; send a response with type {asked}."
            )
        return self._checked(response)  # type: ignore[arg-type] # response_model is R

    def _checked(self, response: R) -> R:
        """The response of this kind in its stored form. Raises ``ResponseNotAccepted``."""
        return response

    def as_vote(self, response: BaseModel) -> R:
        """What ``accepts`` returns, in the one form that everybody's has who answers the same, but for the comment."""
        return self._alike(self.accepts(response))

    def _alike(self, response: R) -> R:
        """An accepted response with what makes no difference written in one way."""
        return response

    # --- On a command line ---

    @property
    @abstractmethod
    def question(self) -> str:
        """What a terminal shows where the person types the answer, after the text and what is offered."""

    @abstractmethod
    def typed(self, words: str) -> R:
        """The response that a person means by these words. Raises ``NotUnderstood`` and ``ResponseNotAccepted``."""

    @abstractmethod
    def given(self, answer: "AnswerOptions") -> R:
        """The response that the options of a command mean. Raises ``NotUnderstood`` and ``ResponseNotAccepted``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerOptions:
    """An answer as the options of a command give it, before a prompt says what it means."""

    text: str | None = None
    choices: tuple[str, ...] = ()
    yes: bool | None = None
    acknowledge: bool = False
    settings: tuple[str, ...] = ()
    """Fields of a form, as ``name=value``."""
    decline: bool = False
    comment: str | None = None


class NotUnderstood(ValueError):
    """What somebody typed stands for no answer. The message may have a second line, which says what would."""
