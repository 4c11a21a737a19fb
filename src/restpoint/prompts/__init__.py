"""What may be asked of a person, and what counts as an answer to it.

Six kinds of prompt, each with its kind of response, wire-compatible with the original store. ``accepts`` is the law:
it compares a response with the prompt as it was asked and returns it in its stored form, or says why it is no answer.

Responses are read generously, because two forms of them are in the field: the kind may stand under ``type`` or
``input_type``, and a checkbox response may carry ``selected_option`` (one) or ``selected_options`` (one or many).
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import (
    BaseModel,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticSerializationError

from restpoint._core.serialization import MAX_PROMPT_BYTES, MAX_RESPONSE_BYTES, unreadable
from restpoint._core.timestamps import MAX_TIMEOUT_SECONDS
from restpoint.errors import PromptNotAccepted, ResponseNotAccepted
from restpoint.prompts.options import MAX_OPTIONS, check_distinct, offered, refuse_repeats

# As the original has them, from here.
from restpoint.prompts.options import BinaryHumanPromptOption as BinaryHumanPromptOption
from restpoint.prompts.options import MultipleChoiceOption as MultipleChoiceOption


class HumanPromptModelType(StrEnum):
    """The six kinds of prompt and response."""

    TEXT = "text"
    NOTIFICATION = "notification"
    BINARY_CHOICE = "binary_choice"
    RADIO = "radio"
    CHECKBOX = "checkbox"
    DROPDOWN = "dropdown"


# --- Prompts ---------------------------------------------------------------------------------------------------------


class HumanPromptBase(BaseModel, validate_assignment=True):
    """What every prompt has.

    ``text`` is shown to the person. ``timeout`` is in seconds, from the moment of asking (none: no deadline). ``error``
    is what a client shows when the prompt is no longer open.
    """

    text: str
    timeout: int | None = Field(default=None, gt=0, le=MAX_TIMEOUT_SECONDS)
    error: str | None = None


class HumanPromptText(HumanPromptBase):
    """Asks for text; when ``required``, blank text is no answer."""

    input_type: Literal[HumanPromptModelType.TEXT] = HumanPromptModelType.TEXT
    placeholder: str | None = None
    required: bool = True


class HumanPromptNotification(HumanPromptBase):
    """Tells something; the response acknowledges it."""

    input_type: Literal[HumanPromptModelType.NOTIFICATION] = HumanPromptModelType.NOTIFICATION


class HumanPromptBinary(HumanPromptBase):
    """Asks for one of exactly two options."""

    input_type: Literal[HumanPromptModelType.BINARY_CHOICE] = HumanPromptModelType.BINARY_CHOICE
    options: list[BinaryHumanPromptOption] = Field(min_length=2, max_length=2)

    @model_validator(mode="after")
    def _options_differ(self) -> Self:
        check_distinct(self.options)
        return self


class HumanPromptMultipleChoiceBase(HumanPromptBase):
    """What radio, checkbox and dropdown prompts share."""

    options: list[MultipleChoiceOption] = Field(min_length=1, max_length=MAX_OPTIONS)

    @model_validator(mode="after")
    def _options_differ(self) -> Self:
        check_distinct(self.options)
        return self


class HumanPromptRadio(HumanPromptMultipleChoiceBase):
    """Asks for one of several options, shown as buttons."""

    input_type: Literal[HumanPromptModelType.RADIO] = HumanPromptModelType.RADIO


class HumanPromptCheckbox(HumanPromptMultipleChoiceBase):
    """Asks for one or more of several options."""

    input_type: Literal[HumanPromptModelType.CHECKBOX] = HumanPromptModelType.CHECKBOX


class HumanPromptDropdown(HumanPromptMultipleChoiceBase):
    """Asks for one of several options, shown as a list."""

    input_type: Literal[HumanPromptModelType.DROPDOWN] = HumanPromptModelType.DROPDOWN


HumanPrompt = Annotated[
    HumanPromptText
    | HumanPromptNotification
    | HumanPromptBinary
    | HumanPromptRadio
    | HumanPromptCheckbox
    | HumanPromptDropdown,
    Discriminator("input_type"),
]


# --- Responses -------------------------------------------------------------------------------------------------------


class HumanResponseText(BaseModel, validate_assignment=True):
    """The text that was asked for."""

    type: Literal[HumanPromptModelType.TEXT] = HumanPromptModelType.TEXT
    text: str


class HumanResponseNotification(BaseModel, validate_assignment=True):
    """Acknowledges a notification."""

    type: Literal[HumanPromptModelType.NOTIFICATION] = HumanPromptModelType.NOTIFICATION
    text: str = "Acknowledged."


class HumanResponseBinary(BaseModel, validate_assignment=True):
    """The choice of a binary prompt."""

    type: Literal[HumanPromptModelType.BINARY_CHOICE] = HumanPromptModelType.BINARY_CHOICE
    selected_option: BinaryHumanPromptOption


class HumanResponseRadio(BaseModel, validate_assignment=True):
    """The choice of a radio prompt."""

    type: Literal[HumanPromptModelType.RADIO] = HumanPromptModelType.RADIO
    selected_option: MultipleChoiceOption


class HumanResponseCheckbox(BaseModel):
    """The choices of a checkbox prompt: ``selected_options`` has all of them, ``selected_option`` is the first."""

    type: Literal[HumanPromptModelType.CHECKBOX] = HumanPromptModelType.CHECKBOX
    # Either of the two may be given, so neither is required, but both are always there.
    selected_option: MultipleChoiceOption = Field(default=None)  # type: ignore[assignment]
    selected_options: list[MultipleChoiceOption] = Field(default_factory=list, max_length=MAX_OPTIONS)

    @model_validator(mode="before")
    @classmethod
    def _either_form(cls, data: object) -> object:
        if isinstance(data, Mapping):
            one, many = data.get("selected_option"), data.get("selected_options")
            if many and isinstance(many, list | tuple) and one is None:
                return {**data, "selected_option": many[0]}
            if one is not None and not many:
                return {**data, "selected_options": [one]}
            if one is None and not many:
                raise ValueError("no option is chosen; give selected_options, one or many")
        return data

    @model_validator(mode="after")
    def _both_forms_agree(self) -> Self:
        if self.selected_option != self.selected_options[0]:
            raise ValueError("selected_option must be the first of selected_options; give only one of the two")
        return self


class HumanResponseDropdown(BaseModel, validate_assignment=True):
    """The choice of a dropdown prompt."""

    type: Literal[HumanPromptModelType.DROPDOWN] = HumanPromptModelType.DROPDOWN
    selected_option: MultipleChoiceOption


def _response_kind(data: object) -> object:
    if isinstance(data, Mapping):
        return data.get("type", data.get("input_type"))
    return getattr(data, "type", None)


HumanResponse = Annotated[
    Annotated[HumanResponseText, Tag("text")]
    | Annotated[HumanResponseNotification, Tag("notification")]
    | Annotated[HumanResponseBinary, Tag("binary_choice")]
    | Annotated[HumanResponseRadio, Tag("radio")]
    | Annotated[HumanResponseCheckbox, Tag("checkbox")]
    | Annotated[HumanResponseDropdown, Tag("dropdown")],
    Discriminator(_response_kind),
]


# --- The envelope of the original's wire -----------------------------------------------------------------------------


class InteractionStatus(StrEnum):
    """Where an interaction is, in the words of the original's envelope."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"


class InteractionBase(BaseModel):
    """What ``InteractionPrompt`` and ``InteractionResponse`` share. ``timestamp`` is like ``2025-01-13T10:00:03Z``."""

    id: str
    type: str = "system_human_interaction"
    thread_id: str | None = None
    parent_id: str | None = None
    status: InteractionStatus = InteractionStatus.PENDING
    timestamp: str

    @model_validator(mode="after")
    def _timestamp_is_utc(self) -> Self:
        try:
            datetime.strptime(self.timestamp, "%Y-%m-%dT%H:%M:%SZ")  # noqa: DTZ007 - the Z is in the format
        except ValueError:
            raise ValueError("timestamp must look like 2025-01-13T10:00:03Z") from None
        return self


class InteractionPrompt(InteractionBase):
    """An envelope around a prompt."""

    content: HumanPrompt


class InteractionResponse(InteractionBase):
    """An envelope around a response."""

    content: HumanResponse


# --- Reading and the law ---------------------------------------------------------------------------------------------

PROMPT: Final[TypeAdapter[HumanPrompt]] = TypeAdapter(HumanPrompt)
RESPONSE: Final[TypeAdapter[HumanResponse]] = TypeAdapter(HumanResponse)


def stored_prompt(text: str) -> HumanPrompt:
    """The prompt that is in the file. Raises ``DamagedFile`` where that is none."""
    try:
        return PROMPT.validate_json(text)
    except ValidationError as error:
        raise unreadable("a prompt", error) from error


PROMPTS: Final = (
    HumanPromptText,
    HumanPromptNotification,
    HumanPromptBinary,
    HumanPromptRadio,
    HumanPromptCheckbox,
    HumanPromptDropdown,
)
RESPONSES: Final = (
    HumanResponseText,
    HumanResponseNotification,
    HumanResponseBinary,
    HumanResponseRadio,
    HumanResponseCheckbox,
    HumanResponseDropdown,
)


def read_prompt(value: BaseModel | Mapping[str, object]) -> HumanPrompt:
    """``value`` as one of our prompts: one already, a model of another library with the same fields, or a mapping.

    Raises ``PromptNotAccepted``.
    """
    if type(value) in PROMPTS:
        return value  # type: ignore[return-value]
    try:
        return PROMPT.validate_python(_data(value))
    except (ValidationError, PydanticSerializationError, RecursionError) as error:
        raise PromptNotAccepted(f"This is not a prompt that can be asked: {_problem(error)}.") from None


def write_prompt(prompt: HumanPrompt) -> str:
    """The prompt as the JSON text that is stored. Raises ``PromptNotAccepted`` past the size limit."""
    try:
        text = prompt.model_dump_json()
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        raise PromptNotAccepted(f"This prompt has no JSON form: {error}.") from None
    _check_size(text, MAX_PROMPT_BYTES, "prompt", PromptNotAccepted)
    return text


def read_response(value: BaseModel | Mapping[str, object]) -> HumanResponse:
    """``value`` as one of our responses; the same generosity as ``read_prompt``. Raises ``ResponseNotAccepted``."""
    if type(value) in RESPONSES:
        return value  # type: ignore[return-value]
    try:
        return RESPONSE.validate_python(_data(value))
    except (ValidationError, PydanticSerializationError, RecursionError) as error:
        raise ResponseNotAccepted(f"This is not a response: {_problem(error)}.") from None


def write_response(response: HumanResponse) -> str:
    """The response as the JSON text that is stored. Raises ``ResponseNotAccepted`` past the size limit."""
    try:
        text = response.model_dump_json()
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        raise ResponseNotAccepted(f"This response has no JSON form: {error}.") from None
    _check_size(text, MAX_RESPONSE_BYTES, "response", ResponseNotAccepted)
    return text


def accepts(prompt: HumanPrompt, response: HumanResponse) -> HumanResponse:
    """The response in its stored form, with each option as the prompt offered it.

    Raises ``ResponseNotAccepted`` when the response is no answer to this prompt: another kind, blank text where text is
    required, an option that was not offered (options are compared by id and value), the same option twice.
    """
    if prompt.input_type != response.type:
        raise ResponseNotAccepted(
            f"The prompt is of kind {prompt.input_type} and takes no {response.type} response; "
            f"send a response with type {prompt.input_type}."
        )
    if isinstance(response, HumanResponseText):
        if isinstance(prompt, HumanPromptText) and prompt.required and not response.text.strip():
            raise ResponseNotAccepted("The prompt requires text and this response is blank.")
        return response
    if isinstance(response, HumanResponseNotification):
        return response
    if isinstance(prompt, HumanPromptText | HumanPromptNotification):  # pragma: no cover - the kinds were compared
        raise ResponseNotAccepted("The prompt offers no options.")
    if isinstance(response, HumanResponseCheckbox):
        chosen = [offered(prompt.options, option) for option in response.selected_options]
        refuse_repeats(chosen)
        if chosen == response.selected_options:
            return response
        return response.model_copy(update={"selected_option": chosen[0], "selected_options": chosen})
    option = offered(prompt.options, response.selected_option)
    if option == response.selected_option:
        return response
    return response.model_copy(update={"selected_option": option})


def _data(value: BaseModel | Mapping[str, object]) -> object:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value


def _problem(error: Exception) -> str:
    """The first problem of a validation, as ``where: what``."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return f"{where}: {first['msg']}" if where else first["msg"]
    return str(error) or type(error).__name__


def _check_size(text: str, limit: int, noun: str, error: type[PromptNotAccepted | ResponseNotAccepted]) -> None:
    size = len(text) if text.isascii() else len(text.encode())
    if size > limit:
        raise error(
            f"The {noun} is {size} bytes of JSON and the limit is {limit}; keep large content elsewhere and link to it."
        )
