"""The form: a prompt for several typed fields at once."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import to_json

from restpoint.errors import PromptNotAccepted, ResponseNotAccepted
from restpoint.prompts.base import (
    EITHER_NAME,
    AnswerOptions,
    HumanPromptBase,
    HumanPromptModelType,
    HumanResponseBase,
    NotUnderstood,
)
from restpoint.prompts.form_fields import LEFT_OUT, FormField, fields_of
from restpoint.prompts.form_schema import FormSchema, not_accepted

FormAction = Literal["submit", "decline"]

_NAMED: Final = 20  # fields that a message names


class HumanResponseForm(HumanResponseBase):
    """A form that was submitted with ``content``, or declined, for which the comment is the reason.

    ``content`` has the value of each field by its name. A date, a date-time, an e-mail address and a URL are text.
    """

    type: Literal[HumanPromptModelType.FORM] = Field(default=HumanPromptModelType.FORM, validation_alias=EITHER_NAME)
    action: FormAction = "submit"
    content: dict[str, Any] | None = Field(default=None, exclude_if=lambda content: content is None)

    @model_validator(mode="after")
    def _content_is_submitted(self) -> Self:
        if self.action == "submit" and self.content is None:
            raise ValueError("content is missing; give the value of each field by its name")
        if self.action == "decline" and self.content is not None:
            raise ValueError("content is given although the form is declined; leave it out")
        return self

    @property
    def summary(self) -> str:
        """The values of the fields, or that it was declined."""
        if self.content is None:
            return "declined"
        return ", ".join(f"{name}: {_shown(value)}" for name, value in self.content.items())


class HumanPromptForm(HumanPromptBase[HumanResponseForm]):
    """Asks for several fields at once.

    ``requested_schema`` is the restricted JSON Schema of MCP elicitation, with ``x-multiline`` and ``x-readonly``. ``initial``
    has values that some fields show at first. ``actions`` may have ``decline``, for which a person gives a reason as comment.
    """

    response_model: ClassVar[type[HumanResponseBase]] = HumanResponseForm
    is_decision: ClassVar[bool] = True

    input_type: Literal[HumanPromptModelType.FORM] = HumanPromptModelType.FORM
    requested_schema: FormSchema
    initial: dict[str, Any] = Field(default_factory=dict, exclude_if=lambda initial: not initial)
    actions: list[FormAction] = Field(default=["submit"], min_length=1, max_length=2)

    @model_validator(mode="after")
    def _can_be_submitted(self) -> Self:
        if "submit" not in self.actions or len(set(self.actions)) != len(self.actions):
            raise ValueError('actions is ["submit"] or ["submit", "decline"]')
        return self

    @property
    def identity(self) -> tuple[object, ...]:
        """Its fields by name, with the kind of each and the values that it offers, and whether it may be declined."""
        fields = [
            (name, each.kind, *sorted(option.value for option in each.offers))
            for name, each in self.requested_schema.properties.items()
        ]
        return (*super().identity, *sorted(fields), *sorted(self.actions))

    @property
    def fields(self) -> Sequence[FormField]:
        """The fields, in their order."""
        return fields_of(self.requested_schema, self.initial)

    @property
    def may_be_declined(self) -> bool:
        """Whether declining is an answer."""
        return "decline" in self.actions

    def problem_with(self, name: str, value: object) -> str | None:
        """What is wrong with the value of one field; None where nothing is."""
        return self.requested_schema.problems({name: value}, self.initial).get(name)

    def check(self) -> None:
        """Raise ``PromptNotAccepted`` where a field begins with a value that it does not take."""
        properties = self.requested_schema.properties
        for name in self.initial:
            if name not in properties:
                raise PromptNotAccepted(f"initial has the field {name!r}, and the form has none of this name.")
        begins = {name: each.default for name, each in properties.items() if each.default is not None} | self.initial
        if (problem := self.requested_schema.check_values(begins)) is not None:
            raise PromptNotAccepted(f"This form cannot be asked: {problem}")
        for name in self.requested_schema.required or ():
            if properties[name].readonly and name not in begins:
                raise PromptNotAccepted(
                    f"The field {name!r} is required and read-only and has no value; give it one in initial."
                )

    def _checked(self, response: HumanResponseForm) -> HumanResponseForm:
        if response.content is None:
            if not self.may_be_declined:
                raise ResponseNotAccepted("The form cannot be declined; fill it in.")
            if response.comment is None:
                raise ResponseNotAccepted("Declining takes a reason; give it as the comment.")
            return response
        schema = self.requested_schema
        if found := schema.problems(response.content, self.initial):
            raise not_accepted(found, schema.properties)
        return response.model_copy(update={"content": schema.complete(response.content, self.initial)})

    def _alike(self, response: HumanResponseForm) -> HumanResponseForm:
        """With choices in the order in which they are offered, and numbers written in one way."""
        if response.content is None:
            return response
        return response.model_copy(update={"content": self.requested_schema.normal(response.content)})

    # --- On a page ---

    def submitted(self, values: Mapping[str, str | Sequence[str]]) -> HumanResponseForm:
        """The response that a submitted HTML form means: the values by the names of the fields, all of them text.

        Raises ``ResponseNotAccepted``, with one error for each field that is wrong. Names that are no fields are not looked at.
        """
        content: dict[str, Any] = {}
        errors: dict[str, str] = {}
        for field in self.fields:
            if field.readonly:
                continue
            given = values.get(field.name)
            try:
                value = field.submitted([given] if isinstance(given, str) else given)
            except NotUnderstood as error:
                errors[field.name] = str(error)
            else:
                if value is not LEFT_OUT:
                    content[field.name] = value
        return self._answer(content, errors)

    def _answer(self, content: dict[str, Any], errors: dict[str, str]) -> HumanResponseForm:
        """The response with this content. Raises ``ResponseNotAccepted`` with these errors and those of the schema."""
        found = {**self.requested_schema.problems(content, self.initial), **errors}
        if found:
            raise not_accepted(found, self.requested_schema.properties)
        return self.accepts(HumanResponseForm(content=content))

    # --- On a command line ---

    @property
    def question(self) -> str:
        """Asks for the fields, one after the other."""
        return "Fill in the form: "

    def typed(self, words: str) -> HumanResponseForm:  # noqa: ARG002 - no words are a form
        """Several values do not stand in one line of words."""
        raise NotUnderstood(f"The prompt is a form.\n{self._how_to_fill_in()}")

    def given(self, answer: AnswerOptions) -> HumanResponseForm:
        """``--set`` gives a field, several times one with several choices; ``--decline`` declines, with a comment."""
        if answer.decline:
            return self.accepts(HumanResponseForm(action="decline", comment=answer.comment))
        if not answer.settings:
            raise NotUnderstood(f"The prompt is a form.\n{self._how_to_fill_in()}")
        words: dict[str, list[str]] = {}
        for setting in answer.settings:
            name, equals, value = setting.partition("=")
            if not equals:
                raise NotUnderstood(f"--set {setting} has no value.\nWrite --set NAME=VALUE.")
            words.setdefault(name, []).append(value)
        fields = {field.name: field for field in self.fields}
        content: dict[str, Any] = {}
        errors: dict[str, str] = {}
        for name, given in words.items():
            try:
                content[name] = fields[name].read(given) if name in fields else given
            except NotUnderstood as error:
                errors[name] = str(error)
        return self._answer(content, errors)

    def _how_to_fill_in(self) -> str:
        names = [f"{name}=…" for name in self.requested_schema.properties]
        more = " …" if len(names) > _NAMED else ""
        decline = " Or decline with --decline --comment REASON." if self.may_be_declined else ""
        return f"Give its fields with --set: {', '.join(names[:_NAMED])}{more}.{decline}"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " + ".join(map(str, value)) or "none"
    return value if isinstance(value, str) else to_json(value).decode()
