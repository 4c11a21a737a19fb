"""The prompts that offer options: binary, radio, checkbox and dropdown."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from restpoint.prompts.base import (
    EITHER_NAME,
    AnswerOptions,
    HumanPromptBase,
    HumanPromptModelType,
    HumanResponseBase,
    NotUnderstood,
    R,
)
from restpoint.prompts.options import (
    MAX_OPTIONS,
    NO,
    YES,
    BinaryHumanPromptOption,
    ChosenBinary,
    ChosenOption,
    MultipleChoiceOption,
    Option,
    between_commas,
    called,
    check_distinct,
    meant,
    named,
    offered,
    refuse_repeats,
)

_NAMED: Final = 20  # options that a message names


class _Choice(HumanPromptBase[R]):
    """What all prompts with options share. One option is chosen, where a kind does not say otherwise."""

    is_decision: ClassVar[bool] = True

    @model_validator(mode="after")
    def _options_differ(self) -> Self:
        check_distinct(self.offers)
        return self

    @property
    def question(self) -> str:
        """Asks which."""
        return "Which? "

    def typed(self, words: str) -> R:
        """The words stand for one option: by id, label, value, number, or the beginning of one of these."""
        return self._chosen([words])

    def given(self, answer: AnswerOptions) -> R:
        """``--choose`` names an option; ``--yes`` and ``--no`` stand for one that plainly means that."""
        words: Sequence[str] = answer.choices
        if answer.yes is not None:
            words = [self._plainly(yes=answer.yes)]
        if not words:
            raise NotUnderstood(f"The prompt offers options.\n{self._how_to_choose()}")
        return self._chosen(words)

    def _checked(self, response: R) -> R:
        chosen: Option = response.selected_option  # type: ignore[attr-defined] # every response to a choice has it
        option = offered(self.offers, chosen)
        return response if option == chosen else response.model_copy(update={"selected_option": option})

    def _response(self, options: Sequence[Any]) -> R:
        """The response that chooses these options, of which there is at least one."""
        if len(options) > 1:
            raise NotUnderstood("The prompt takes one option.")
        return self.response_model(selected_option=options[0])  # type: ignore[return-value, call-arg]

    def _chosen(self, words: Sequence[str]) -> R:
        options = [self._option(word.strip()) for word in words if word.strip()]
        if not options:
            raise NotUnderstood("Nothing is chosen.")
        return self.accepts(self._response(options))

    def _option(self, word: str) -> Option:
        found = meant(self.offers, word)
        if len(found) == 1:
            return found[0]
        if found:
            raise NotUnderstood(
                f"{word!r} stands for several options: {named(found)}.\nType more of it, or the number of the option."
            )
        raise NotUnderstood(f"{word!r} is no option.\nThe options are: {named(self.offers, _NAMED)}.")

    def _plainly(self, *, yes: bool) -> str:
        """The id of the option that means yes, or no. Only a binary prompt has one."""
        raise NotUnderstood(
            f"The prompt has no option that plainly means {'yes' if yes else 'no'}.\n{self._how_to_choose()}"
        )

    def _how_to_choose(self) -> str:
        return f"Choose with --choose, by id or label: {named(self.offers, _NAMED)}"


# --- Two options -----------------------------------------------------------------------------------------------------


class HumanResponseBinary(HumanResponseBase, validate_assignment=True):
    """The choice of a binary prompt."""

    type: Literal[HumanPromptModelType.BINARY_CHOICE] = Field(
        default=HumanPromptModelType.BINARY_CHOICE, validation_alias=EITHER_NAME
    )
    selected_option: ChosenBinary

    @property
    def summary(self) -> str:
        """The label of the option."""
        return self.selected_option.label


class HumanPromptBinary(_Choice[HumanResponseBinary]):
    """Asks for one of exactly two options."""

    response_model: ClassVar[type[HumanResponseBase]] = HumanResponseBinary

    input_type: Literal[HumanPromptModelType.BINARY_CHOICE] = HumanPromptModelType.BINARY_CHOICE
    options: list[BinaryHumanPromptOption] = Field(min_length=2, max_length=2)

    @property
    def offers(self) -> Sequence[Option]:
        """The two options."""
        return self.options

    def _plainly(self, *, yes: bool) -> str:
        # By what the options are called, never by their places.
        found = [option for option in self.options if called(option) & set(YES if yes else NO)]
        return found[0].id if len(found) == 1 else super()._plainly(yes=yes)


# --- Many options ----------------------------------------------------------------------------------------------------


class HumanPromptMultipleChoiceBase(_Choice[R]):
    """What radio, checkbox and dropdown prompts share."""

    options: list[MultipleChoiceOption] = Field(min_length=1, max_length=MAX_OPTIONS)

    @property
    def offers(self) -> Sequence[Option]:
        """The options."""
        return self.options


class HumanResponseRadio(HumanResponseBase, validate_assignment=True):
    """The choice of a radio prompt."""

    type: Literal[HumanPromptModelType.RADIO] = Field(default=HumanPromptModelType.RADIO, validation_alias=EITHER_NAME)
    selected_option: ChosenOption

    @property
    def summary(self) -> str:
        """The label of the option."""
        return self.selected_option.label


class HumanPromptRadio(HumanPromptMultipleChoiceBase[HumanResponseRadio]):
    """Asks for one of several options, shown as buttons."""

    response_model: ClassVar[type[HumanResponseBase]] = HumanResponseRadio

    input_type: Literal[HumanPromptModelType.RADIO] = HumanPromptModelType.RADIO


class HumanResponseCheckbox(HumanResponseBase):
    """The choices of a checkbox prompt: ``selected_options`` has all of them, ``selected_option`` is the first."""

    type: Literal[HumanPromptModelType.CHECKBOX] = Field(
        default=HumanPromptModelType.CHECKBOX, validation_alias=EITHER_NAME
    )
    # Either of the two may be given, so neither is required, but both are always there.
    selected_option: ChosenOption = Field(default=None)  # type: ignore[assignment]
    selected_options: list[ChosenOption] = Field(default_factory=list, max_length=MAX_OPTIONS)

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

    @property
    def summary(self) -> str:
        """The labels of the options."""
        return ", ".join(option.label for option in self.selected_options)


class HumanPromptCheckbox(HumanPromptMultipleChoiceBase[HumanResponseCheckbox]):
    """Asks for one or more of several options."""

    response_model: ClassVar[type[HumanResponseBase]] = HumanResponseCheckbox

    input_type: Literal[HumanPromptModelType.CHECKBOX] = HumanPromptModelType.CHECKBOX

    def _checked(self, response: HumanResponseCheckbox) -> HumanResponseCheckbox:
        chosen = [offered(self.options, option) for option in response.selected_options]
        refuse_repeats(chosen)
        if chosen == response.selected_options:
            return response
        return response.model_copy(update={"selected_option": chosen[0], "selected_options": chosen})

    def _alike(self, response: HumanResponseCheckbox) -> HumanResponseCheckbox:
        """With the options in the order in which they are offered."""
        chosen = [option for option in self.options if option in response.selected_options]
        return response.model_copy(update={"selected_option": chosen[0], "selected_options": chosen})

    @property
    def question(self) -> str:
        """Says how to choose several."""
        return "Which? (several: 1,3) "

    def typed(self, words: str) -> HumanResponseCheckbox:
        """The words stand for the options between the commas."""
        return self._chosen(between_commas(self.options, words))

    def _response(self, options: Sequence[Any]) -> HumanResponseCheckbox:
        return HumanResponseCheckbox(selected_options=list(options))


class HumanResponseDropdown(HumanResponseBase, validate_assignment=True):
    """The choice of a dropdown prompt."""

    type: Literal[HumanPromptModelType.DROPDOWN] = Field(
        default=HumanPromptModelType.DROPDOWN, validation_alias=EITHER_NAME
    )
    selected_option: ChosenOption

    @property
    def summary(self) -> str:
        """The label of the option."""
        return self.selected_option.label


class HumanPromptDropdown(HumanPromptMultipleChoiceBase[HumanResponseDropdown]):
    """Asks for one of several options, shown as a list."""

    response_model: ClassVar[type[HumanResponseBase]] = HumanResponseDropdown

    input_type: Literal[HumanPromptModelType.DROPDOWN] = HumanPromptModelType.DROPDOWN
