"""What may be asked of a person, and what counts as an answer to it.

Each kind of prompt is a class, with its fields and everything else about the kind: the class of its responses, what it accepts,
its summary, whether its answer is a decision, and how it is asked on a command line. The wire format is that of the original
store. ``prompt.accepts(response)`` decides whether a response is an answer, and returns it in its stored form.

Responses are read generously, because two forms of them are in the field: the kind may stand under ``type`` or
``input_type``, and a checkbox response may carry ``selected_option`` (one) or ``selected_options`` (one or many).

A new kind is a member of ``HumanPromptModelType``, a class for the prompt and one for its responses, and a place in each of
the two unions below.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, Final, Self, get_args

from pydantic import BaseModel, Discriminator, Tag, TypeAdapter, ValidationError, model_validator
from pydantic_core import PydanticSerializationError

from restpoint._core.sameness import difference
from restpoint._core.serialization import MAX_PROMPT_BYTES, MAX_RESPONSE_BYTES, first_problem, path_of, unreadable
from restpoint.errors import PromptNotAccepted, ResponseNotAccepted
from restpoint.prompts.base import (
    AnswerOptions,
    HumanPromptBase,
    HumanPromptModelType,
    HumanResponseBase,
    NotUnderstood,
)
from restpoint.prompts.choices import (
    HumanPromptBinary,
    HumanPromptCheckbox,
    HumanPromptDropdown,
    HumanPromptMultipleChoiceBase,
    HumanPromptRadio,
    HumanResponseBinary,
    HumanResponseCheckbox,
    HumanResponseDropdown,
    HumanResponseRadio,
)
from restpoint.prompts.form import HumanPromptForm, HumanResponseForm
from restpoint.prompts.form_fields import FormField
from restpoint.prompts.form_schema import FormSchema
from restpoint.prompts.options import BinaryHumanPromptOption, MultipleChoiceOption
from restpoint.prompts.plain import (
    HumanPromptNotification,
    HumanPromptText,
    HumanResponseNotification,
    HumanResponseText,
)

__all__ = [
    "PROMPT", "PROMPTS", "RESPONSE", "RESPONSES", "AnswerOptions", "BinaryChoiceOptionsType", "BinaryHumanPromptOption",
    "FormField", "FormSchema", "HumanPrompt", "HumanPromptBase", "HumanPromptBinary", "HumanPromptCheckbox",
    "HumanPromptDropdown", "HumanPromptForm", "HumanPromptModelType", "HumanPromptMultipleChoiceBase",
    "HumanPromptNotification", "HumanPromptRadio", "HumanPromptText", "HumanResponse", "HumanResponseBase",
    "HumanResponseBinary", "HumanResponseCheckbox", "HumanResponseDropdown", "HumanResponseForm", "HumanResponseNotification",
    "HumanResponseRadio", "HumanResponseText", "InteractionBase", "InteractionPrompt", "InteractionResponse",
    "InteractionStatus", "MultipleChoiceOption", "MultipleChoiceOptionType", "NotUnderstood", "accepts", "accepts_stored",
    "read_prompt", "read_response", "stored_prompt", "summary_of", "write_prompt", "write_response",
]  # fmt: skip

HumanPrompt = Annotated[
    HumanPromptText
    | HumanPromptNotification
    | HumanPromptBinary
    | HumanPromptRadio
    | HumanPromptCheckbox
    | HumanPromptDropdown
    | HumanPromptForm,
    Discriminator("input_type"),
]


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
    | Annotated[HumanResponseDropdown, Tag("dropdown")]
    | Annotated[HumanResponseForm, Tag("form")],
    Discriminator(_response_kind),
]

PROMPT: Final[TypeAdapter[HumanPrompt]] = TypeAdapter(HumanPrompt)
RESPONSE: Final[TypeAdapter[HumanResponse]] = TypeAdapter(HumanResponse)
PROMPTS: Final[tuple[type[HumanPromptBase[Any]], ...]] = get_args(get_args(HumanPrompt)[0])
RESPONSES: Final = tuple(prompt.response_model for prompt in PROMPTS)


def stored_prompt(text: str) -> HumanPrompt:
    """The prompt that is in the file. Raises ``DamagedFile`` where the text is no prompt."""
    try:
        return PROMPT.validate_json(text)
    except ValidationError as error:
        raise unreadable("a prompt", error) from error


def read_prompt(value: BaseModel | Mapping[str, object]) -> HumanPrompt:
    """``value`` as one of our prompts: it is one already, or another library's model of the same fields, or a mapping.

    Raises ``PromptNotAccepted``.
    """
    if type(value) in PROMPTS:
        return value  # type: ignore[return-value]
    if not isinstance(value, BaseModel | Mapping):
        raise PromptNotAccepted(
            f"{value!r:.80} is not a prompt that can be asked. Give a prompt, such as HumanPromptText(text=...), or the class "
            "of a pydantic model."
        )
    try:
        return PROMPT.validate_python(_data(value))
    except (ValidationError, PydanticSerializationError, RecursionError) as error:
        raise PromptNotAccepted(f"This is not a prompt that can be asked: {_problem(error, 'input_type')}.") from None


def write_prompt(prompt: HumanPrompt) -> str:
    """The prompt as the JSON text that is stored.

    Raises ``PromptNotAccepted`` past the size limit, where another prompt would be read back, and where it cannot be asked.
    """
    prompt.check()
    return _written(prompt, PROMPT, "prompt", MAX_PROMPT_BYTES, PromptNotAccepted)


def read_response(value: BaseModel | Mapping[str, object]) -> HumanResponse:
    """``value`` as one of our responses, read as generously as ``read_prompt`` does. Raises ``ResponseNotAccepted``."""
    if type(value) in RESPONSES:
        return value  # type: ignore[return-value]
    try:
        return RESPONSE.validate_python(_with_one_kind(_data(value)))
    except (ValueError, PydanticSerializationError, RecursionError) as error:
        raise ResponseNotAccepted(f"This is not a response: {_problem(error, 'type')}.") from None


def _with_one_kind(data: object) -> object:
    """A response that names its kind twice, for servers of either sort, with one of the names. Raises ``ValueError``."""
    if not isinstance(data, Mapping) or "type" not in data or "input_type" not in data:
        return data
    if data["type"] != data["input_type"]:
        raise ValueError("type and input_type are the same thing and differ; give one of them")
    return {name: value for name, value in data.items() if name != "input_type"}


def write_response(response: HumanResponse) -> str:
    """The response as the JSON text that is stored.

    Raises ``ResponseNotAccepted`` past the size limit, and where another response would be read back.
    """
    return _written(response, RESPONSE, "response", MAX_RESPONSE_BYTES, ResponseNotAccepted)


def accepts(prompt: HumanPrompt, response: HumanResponse) -> HumanResponse:
    """The response in its stored form, with each option as the prompt offered it.

    Raises ``ResponseNotAccepted`` where the response is no answer to this prompt: it is of another kind, is blank although
    text is required, or chooses an option twice or one that was not offered. An option that has an id and a value is compared
    by both; one of the id, the value and the label is enough where it stands for one option only.
    """
    return prompt.accepts(response)


def accepts_stored(text: str, response: HumanResponse) -> HumanResponse:
    """Do the same as ``accepts`` with the prompt that is in the file, which is read once for many answers.

    Raises ``DamagedFile`` too, where the text is no prompt.
    """
    if len(text) <= _READ_ONCE_BYTES:
        try:
            accepted: HumanResponse = _read_again(PROMPT, text).accepts(response)
        except ValidationError as error:
            raise unreadable("a prompt", error) from error
        if accepted is response:  # otherwise it may have parts of the prompt, which must not be shared
            return response
    return accepts(stored_prompt(text), response)


def summary_of(value: Mapping[str, object]) -> str:
    """The summary of a prompt or a response that is given as JSON; empty where it is neither."""
    for adapter in (PROMPT, RESPONSE):
        try:
            return adapter.validate_python(value).summary
        except (ValidationError, RecursionError):
            continue
    return ""


def _problem(error: Exception, tag: str) -> str:
    """What is wrong first; all kinds, where ``tag``, which says the kind, is missing or unknown."""
    if (
        isinstance(error, ValidationError)
        and error.error_count() == 1
        and error.errors()[0]["type"].startswith("union_tag")
    ):
        kinds = ", ".join(kind for kind in HumanPromptModelType if kind != HumanPromptModelType.OAUTH_CONSENT)
        return f"its {tag} must be one of {kinds}"
    return first_problem(error)


def _data(value: BaseModel | Mapping[str, object]) -> object:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value


_READ_ONCE_BYTES: Final = 4_096


@lru_cache(maxsize=256)
def _read_again(adapter: TypeAdapter[Any], text: str) -> Any:
    """What this text is read as, to look at only, because it is shared: the same small prompts and answers come often."""
    return adapter.validate_json(text)


def _written(
    model: BaseModel,
    adapter: TypeAdapter[Any],
    noun: str,
    limit: int,
    error: type[PromptNotAccepted | ResponseNotAccepted],
) -> str:
    try:
        text = model.model_dump_json(warnings=False)
    except (PydanticSerializationError, ValueError, RecursionError) as problem:
        raise error(f"This {noun} has no JSON form: {problem}.") from None
    size = len(text) if text.isascii() else len(text.encode())
    if size > limit:
        raise error(
            f"The {noun} is {size} bytes of JSON and the limit is {limit}; keep large content elsewhere and link to it."
        )
    try:
        read = _read_again(adapter, text) if size <= _READ_ONCE_BYTES else adapter.validate_json(text)
        found = difference(model, read)
    except (ValidationError, RecursionError) as problem:
        raise error(f"This {noun} cannot be read back: {first_problem(problem)}.") from None
    if found is not None:
        raise error(f"This {noun} would read back as another one: at {path_of(found[0])}, {found[1]}.")
    return text


# --- Names that only code which was written for the original store uses ----------------------------------------------------


class BinaryChoiceOptionsType(StrEnum):
    """What the original calls the two options of a binary prompt, for those who use its names as ids."""

    CONTINUE = "continue"
    CANCEL = "cancel"


class MultipleChoiceOptionType(StrEnum):
    """What the original calls some options, for those who use its names as ids."""

    EMAIL = "email"
    SMS = "sms"
    PUSH = "push"


class InteractionStatus(StrEnum):
    """Where an interaction is, in the words of the original's envelope."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"


class InteractionBase(BaseModel, extra="forbid", defer_build=True):
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
