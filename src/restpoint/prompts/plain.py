"""The prompts that offer no options: text, and notifications."""

from typing import ClassVar, Literal

from pydantic import Field

from restpoint.errors import ResponseNotAccepted
from restpoint.prompts.base import (
    EITHER_NAME,
    AnswerOptions,
    HumanPromptBase,
    HumanPromptModelType,
    HumanResponseBase,
    NotUnderstood,
)


class HumanResponseText(HumanResponseBase, validate_assignment=True):
    """The text that was asked for."""

    type: Literal[HumanPromptModelType.TEXT] = Field(default=HumanPromptModelType.TEXT, validation_alias=EITHER_NAME)
    text: str

    @property
    def summary(self) -> str:
        """What was written."""
        return self.text


class HumanPromptText(HumanPromptBase[HumanResponseText]):
    """Asks for text. If ``required``, blank text is no answer."""

    response_model: ClassVar[type[HumanResponseBase]] = HumanResponseText
    is_decision: ClassVar[bool] = False

    input_type: Literal[HumanPromptModelType.TEXT] = HumanPromptModelType.TEXT
    placeholder: str | None = None
    required: bool = True

    @property
    def identity(self) -> tuple[object, ...]:
        """Also whether text is required: where it is not, blank text may have been the answer."""
        return (*super().identity, self.required)

    def _checked(self, response: HumanResponseText) -> HumanResponseText:
        if self.required and not response.text.strip():
            raise ResponseNotAccepted("The prompt requires text and this response is blank.")
        return response

    @property
    def question(self) -> str:
        """The placeholder, if there is one."""
        return f"[{self.placeholder}] > " if self.placeholder else "> "

    def typed(self, words: str) -> HumanResponseText:
        """The words are the text."""
        return self.accepts(HumanResponseText(text=words))

    def given(self, answer: AnswerOptions) -> HumanResponseText:
        """``--text`` is the text."""
        if answer.text is None:
            raise NotUnderstood("The prompt asks for text.\nGive it with --text.")
        return self.typed(answer.text)


class HumanResponseNotification(HumanResponseBase, validate_assignment=True):
    """Acknowledges a notification."""

    type: Literal[HumanPromptModelType.NOTIFICATION] = Field(
        default=HumanPromptModelType.NOTIFICATION, validation_alias=EITHER_NAME
    )
    text: str = "Acknowledged."

    @property
    def summary(self) -> str:
        """The words of the acknowledgement."""
        return self.text


class HumanPromptNotification(HumanPromptBase[HumanResponseNotification]):
    """Tells something; the response acknowledges it."""

    response_model: ClassVar[type[HumanResponseBase]] = HumanResponseNotification
    is_decision: ClassVar[bool] = False

    input_type: Literal[HumanPromptModelType.NOTIFICATION] = HumanPromptModelType.NOTIFICATION

    @property
    def question(self) -> str:
        """How to acknowledge it."""
        return "Press Enter to acknowledge: "

    def typed(self, words: str) -> HumanResponseNotification:
        """The words acknowledge it; none do so too."""
        return HumanResponseNotification(text=words) if words else HumanResponseNotification()

    def given(self, answer: AnswerOptions) -> HumanResponseNotification:
        """``--acknowledge`` acknowledges it."""
        if not answer.acknowledge:
            raise NotUnderstood("The prompt is a notification.\nAcknowledge it with --acknowledge.")
        return HumanResponseNotification()
