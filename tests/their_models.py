"""The prompt models of another library, as applications of the original store have them: the same fields, other classes."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Discriminator, Field


class TheirOption(BaseModel):
    id: str = "x"
    label: str = "x"
    value: str = "x"
    description: str = "x"


class TheirBinaryOption(BaseModel):
    id: str = "x"
    label: str = "x"
    value: Any = "x"


class TheirPrompt(BaseModel):
    text: str
    timeout: int | None = Field(default=None, gt=0)
    error: str | None = "Too late for this one."


class TheirTextPrompt(TheirPrompt):
    input_type: Literal["text"] = "text"
    placeholder: str | None = "your name"
    required: bool = True


class TheirNotification(TheirPrompt):
    input_type: Literal["notification"] = "notification"


class TheirBinaryPrompt(TheirPrompt):
    input_type: Literal["binary_choice"] = "binary_choice"
    options: list[TheirBinaryOption]


class TheirRadio(TheirPrompt):
    input_type: Literal["radio"] = "radio"
    options: list[TheirOption]


class TheirCheckbox(TheirPrompt):
    input_type: Literal["checkbox"] = "checkbox"
    options: list[TheirOption]


class TheirDropdown(TheirPrompt):
    input_type: Literal["dropdown"] = "dropdown"
    options: list[TheirOption]


class TheirText(BaseModel):
    type: Literal["text"] = "text"
    text: str


class TheirAcknowledgement(BaseModel):
    type: Literal["notification"] = "notification"
    text: str | None = "Seen."


class TheirBinaryChoice(BaseModel):
    type: Literal["binary_choice"] = "binary_choice"
    selected_option: TheirBinaryOption


class TheirRadioChoice(BaseModel):
    type: Literal["radio"] = "radio"
    selected_option: TheirOption


class TheirCheckboxChoice(BaseModel):
    type: Literal["checkbox"] = "checkbox"
    selected_option: TheirOption


class TheirDropdownChoice(BaseModel):
    type: Literal["dropdown"] = "dropdown"
    selected_option: TheirOption


HumanPrompt = Annotated[
    TheirTextPrompt | TheirNotification | TheirBinaryPrompt | TheirRadio | TheirCheckbox | TheirDropdown,
    Discriminator("input_type"),
]
HumanResponse = Annotated[
    TheirText | TheirAcknowledgement | TheirBinaryChoice | TheirRadioChoice | TheirCheckboxChoice | TheirDropdownChoice,
    Discriminator("type"),
]

TEA = TheirOption(id="tea", label="Tea", value="t", description="hot")
COFFEE = TheirOption(id="coffee", label="Coffee", value="c", description="hotter")
GO = TheirBinaryOption(id="go", label="Go", value={"speed": 3})
STOP = TheirBinaryOption(id="stop", label="Stop", value=None)

THEIRS: list[tuple[BaseModel, BaseModel]] = [
    (TheirTextPrompt(text="Who?", timeout=90), TheirText(text="Hopper")),
    (TheirNotification(text="Lunch."), TheirAcknowledgement()),
    (TheirBinaryPrompt(text="Now?", options=[GO, STOP]), TheirBinaryChoice(selected_option=GO)),
    (TheirRadio(text="Cup?", options=[TEA, COFFEE]), TheirRadioChoice(selected_option=TEA)),
    (TheirCheckbox(text="Cups?", options=[TEA, COFFEE]), TheirCheckboxChoice(selected_option=COFFEE)),
    (TheirDropdown(text="Cup?", options=[TEA, COFFEE]), TheirDropdownChoice(selected_option=COFFEE)),
]
