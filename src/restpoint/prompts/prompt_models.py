"""The classes that the prompts and responses of a file are read as: ours, or those that an application has already."""

from typing import TYPE_CHECKING, Any, Final, cast

from pydantic import BaseModel, PydanticSchemaGenerationError, PydanticUserError, TypeAdapter, ValidationError

from restpoint._core.serialization import first_problem, unreadable
from restpoint.errors import InvalidArgument
from restpoint.prompts import PROMPT, RESPONSE

if TYPE_CHECKING:
    from types import ModuleType

_NAMES: Final = ("HumanPrompt", "HumanResponse")


class PromptModels:
    """The pydantic types that stored prompts and stored responses are read as.

    ``prompt`` and ``response`` are anything that pydantic validates, such as a discriminated union of models. They have the
    fields of ours, or some of them. Raises ``InvalidArgument`` for what is no such type.
    """

    def __init__(self, prompt: Any, response: Any) -> None:
        try:
            self._prompt, self._response = _adapter(prompt), _adapter(response)
        except (PydanticSchemaGenerationError, PydanticUserError, TypeError) as error:
            raise InvalidArgument(f"models has a type that pydantic cannot read: {first_problem(error)}.") from error

    @classmethod
    def of(cls, models: "ModuleType | PromptModels | None") -> "PromptModels":
        """What the argument ``models`` of a store stands for: a module with ``HumanPrompt`` and ``HumanResponse``, say.

        Raises ``InvalidArgument``.
        """
        if models is None:
            return OUR_MODELS
        if isinstance(models, PromptModels):
            return models
        missing = [name for name in _NAMES if not hasattr(models, name)]
        if missing:
            raise InvalidArgument(
                f"models has no {' and no '.join(missing)}; give a module that has {' and '.join(_NAMES)}, or "
                "PromptModels(prompt=..., response=...)."
            )
        return cls(*(getattr(models, name) for name in _NAMES))

    def prompt(self, text: str) -> BaseModel:
        """The stored prompt as one of these models. Raises ``DamagedFile``, and ``InvalidArgument`` where it is none."""
        return self._read(self._prompt, PROMPT, text, "prompt")

    def response(self, text: str) -> BaseModel:
        """The stored response as one of these models. Raises ``DamagedFile``, and ``InvalidArgument`` where it is none."""
        return self._read(self._response, RESPONSE, text, "response")

    def own_prompt(self, given: object) -> BaseModel | None:
        """The prompt that was given, where it is one of these models already; None where it is not."""
        return self._own(self._prompt, given)

    def own_response(self, given: object) -> BaseModel | None:
        """The response that was given, where it is one of these models already; None where it is not."""
        return self._own(self._response, given)

    @staticmethod
    def _own(models: TypeAdapter[Any], given: object) -> BaseModel | None:
        if not isinstance(given, BaseModel):
            return None
        try:
            return cast("BaseModel", models.validate_python(given))
        except ValidationError:
            return None

    @staticmethod
    def _read(models: TypeAdapter[Any], ours: TypeAdapter[Any], text: str, noun: str) -> BaseModel:
        try:
            return cast("BaseModel", models.validate_json(text))
        except ValidationError as error:
            if models is ours:
                raise unreadable(f"a {noun}", error) from error
            problem = first_problem(error)
        try:
            ours.validate_json(text)
        except ValidationError as error:
            raise unreadable(f"a {noun}", error) from error
        raise InvalidArgument(
            f"A {noun} in the file is none of the models that the store was opened with ({problem}); open it with models "
            f"that have this kind of {noun}, or without models."
        )


def _adapter(models: Any) -> TypeAdapter[Any]:
    return models if isinstance(models, TypeAdapter) else TypeAdapter(models)


OUR_MODELS: Final = PromptModels(PROMPT, RESPONSE)
