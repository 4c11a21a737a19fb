"""What may be asked, and what counts as an answer to it."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from restpoint import ExecutionStore, models, prompts
from restpoint._core.serialization import MAX_PROMPT_BYTES, MAX_RESPONSE_BYTES
from restpoint._core.timestamps import MAX_TIMEOUT_SECONDS
from restpoint._storage.sqlite.views import VIEWS
from restpoint.errors import InteractionAlreadyResolved, PromptNotAccepted, ResponseNotAccepted
from restpoint.prompts import (
    PROMPT,
    PROMPTS,
    RESPONSE,
    RESPONSES,
    AnswerOptions,
    BinaryHumanPromptOption,
    HumanPrompt,
    HumanPromptBinary,
    HumanPromptCheckbox,
    HumanPromptModelType,
    HumanPromptNotification,
    HumanPromptRadio,
    HumanPromptText,
    HumanResponse,
    HumanResponseBinary,
    HumanResponseCheckbox,
    HumanResponseNotification,
    HumanResponseRadio,
    HumanResponseText,
    InteractionPrompt,
    InteractionResponse,
    InteractionStatus,
    MultipleChoiceOption,
    NotUnderstood,
    accepts,
    options,
    read_prompt,
    read_response,
    summary_of,
    write_prompt,
    write_response,
)
from restpoint.prompts.base import MAX_COMMENT_LENGTH
from restpoint.prompts.options import MAX_OPTIONS
from support import ADA, CALL, KINDS, MAIL, NO, PAIRS, TEXT, YES, ManualClock, dump, rows

CHECKBOX = HumanPromptCheckbox(text="How?", options=[MAIL, CALL])
RADIO = HumanPromptRadio(text="How?", options=[MAIL, CALL])
BINARY = HumanPromptBinary(text="Go on?", options=[YES, NO])


# --- The wire --------------------------------------------------------------------------------------------------------


def test_the_kinds_are_those_of_the_original() -> None:
    assert [str(kind) for kind in HumanPromptModelType] == [*KINDS, "form", "oauth_consent"]
    assert KINDS == ["text", "notification", "binary_choice", "radio", "checkbox", "dropdown"]
    assert [prompt.input_type for prompt, _ in PAIRS] == [response.type for _, response in PAIRS]


@pytest.mark.parametrize(("prompt", "response"), PAIRS, ids=KINDS)
def test_every_kind_goes_over_the_wire_and_back(prompt: HumanPrompt, response: HumanResponse) -> None:
    assert PROMPT.validate_json(prompt.model_dump_json()) == prompt
    assert RESPONSE.validate_json(response.model_dump_json()) == response
    assert type(PROMPT.validate_python(prompt.model_dump())) is type(prompt)
    assert type(RESPONSE.validate_python(response.model_dump(mode="json"))) is type(response)


def test_a_text_prompt_has_the_fields_and_defaults_of_the_original() -> None:
    assert json.loads(HumanPromptText(text="Name?").model_dump_json()) == {
        "text": "Name?",
        "timeout": None,
        "error": None,
        "input_type": "text",
        "placeholder": None,
        "required": True,
    }


def test_a_choice_has_the_fields_of_the_original() -> None:
    assert set(HumanPromptRadio.model_fields) == {"text", "timeout", "error", "input_type", "options"}
    assert set(MultipleChoiceOption.model_fields) == {"id", "label", "value", "description"}
    assert set(BinaryHumanPromptOption.model_fields) == {"id", "label", "value"}


@pytest.mark.parametrize(("prompt", "response"), PAIRS, ids=KINDS)
def test_a_response_may_name_its_kind_by_type_or_by_input_type(prompt: HumanPrompt, response: HumanResponse) -> None:
    body = response.model_dump(mode="json")
    documented = {("input_type" if name == "type" else name): value for name, value in body.items()}
    assert read_response(body) == read_response(documented) == response


def test_a_checkbox_response_may_carry_one_choice_or_a_list() -> None:
    one = {"id": "mail", "label": "E-mail", "value": "mail"}
    two = {"id": "call", "label": "Call", "value": "call"}
    for body, chosen in (
        ({"type": "checkbox", "selected_option": one}, ["mail"]),
        ({"input_type": "checkbox", "selected_options": [one]}, ["mail"]),
        ({"type": "checkbox", "selected_options": [two, one]}, ["call", "mail"]),
        ({"type": "checkbox", "selected_option": two, "selected_options": [two, one]}, ["call", "mail"]),
    ):
        response = read_response(body)
        assert isinstance(response, HumanResponseCheckbox)
        assert [option.id for option in response.selected_options] == chosen
        assert response.selected_option == response.selected_options[0]
        assert accepts(CHECKBOX, response) == response


@pytest.mark.parametrize(
    "body",
    [
        {"type": "checkbox"},
        {"type": "checkbox", "selected_options": []},
        {"type": "checkbox", "selected_options": None},
        {"type": "checkbox", "selected_options": "mail"},
        {"type": "checkbox", "selected_options": {"id": "mail"}},
        {"type": "checkbox", "selected_option": {"id": "call"}, "selected_options": [{"id": "mail"}]},
        {"type": "checkbox", "selected_options": [{"id": "mail", "value": 7}]},
        {"type": "checkbox", "selected_options": [7]},
    ],
)
def test_a_malformed_checkbox_response_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ResponseNotAccepted, match="not a response"):
        read_response(body)


def test_a_notification_needs_no_text() -> None:
    response = read_response({"type": "notification"})
    assert isinstance(response, HumanResponseNotification)
    assert accepts(HumanPromptNotification(text="Done."), response) is response


ENVELOPE: dict[str, Any] = {"id": "i-1", "thread_id": "t-1", "parent_id": "p-1", "timestamp": "2025-01-13T10:00:03Z"}


def test_the_envelopes_carry_a_prompt_and_a_response() -> None:
    for prompt, response in PAIRS:
        asked = InteractionPrompt(**ENVELOPE, content=prompt)
        answered = InteractionResponse(**ENVELOPE, content=response, status=InteractionStatus.COMPLETED)
        assert InteractionPrompt.model_validate_json(asked.model_dump_json()) == asked
        assert InteractionResponse.model_validate_json(answered.model_dump_json()) == answered
        assert json.loads(asked.model_dump_json())["timestamp"] == "2025-01-13T10:00:03Z"


@pytest.mark.parametrize(("prompt", "response"), PAIRS, ids=KINDS)
def test_an_unknown_field_is_refused_by_name(prompt: HumanPrompt, response: HumanResponse) -> None:
    asking, answering = prompt.model_dump(mode="json"), response.model_dump(mode="json")
    with pytest.raises(PromptNotAccepted, match="timout: there is no such field"):
        read_prompt({**asking, "timout": 60})
    with pytest.raises(ValidationError, match="timout"):
        type(prompt).model_validate({**asking, "timout": 60})
    with pytest.raises(ResponseNotAccepted, match="remark: there is no such field"):
        read_response({**answering, "remark": "only after Friday"})
    with pytest.raises(ValidationError, match="remark"):
        type(response).model_validate({**answering, "remark": "only after Friday"})
    for name, body, read in (("options", asking, read_prompt), ("selected_option", answering, read_response)):
        if name in body:
            options = body[name] if isinstance(body[name], list) else [body[name]]
            options[0]["lable"] = "Yes"
            with pytest.raises((PromptNotAccepted, ResponseNotAccepted), match="lable: there is no such field"):
                read(body)
    with pytest.raises(ValidationError, match="treshold"):
        InteractionPrompt(**ENVELOPE, content=prompt, treshold=1)  # type: ignore[call-arg]


def test_a_kind_under_both_names_is_taken_where_they_agree() -> None:
    assert read_response({"type": "text", "input_type": "text", "text": "Ada"}) == ADA
    with pytest.raises(ResponseNotAccepted, match="differ"):
        read_response({"type": "text", "input_type": "radio", "text": "Ada"})


@pytest.mark.parametrize(("prompt", "response"), PAIRS, ids=KINDS)
async def test_every_response_may_have_a_comment_which_is_kept(
    store: ExecutionStore, path: Path, prompt: HumanPrompt, response: HumanResponse
) -> None:
    record = await store.create_execution()
    pending = await store.set_interaction_required(record.execution_id, prompt)
    future = pending.future
    body = {**response.model_dump(mode="json"), "comment": "Only after Friday.\nAda"}
    for _ in range(2):
        await store.resolve_interaction(record.execution_id, pending.interaction_id, body, actor="ada")
    answer = await future
    assert answer.comment == "Only after Friday.\nAda"
    assert answer.model_copy(update={"comment": None}) == accepts(prompt, response)
    told = rows(
        path, "SELECT json_extract(detail, '$.response.comment') FROM history WHERE event = 'interaction_answered'"
    )
    assert told == [("Only after Friday.\nAda",)]
    with pytest.raises(InteractionAlreadyResolved):
        await store.resolve_interaction(record.execution_id, pending.interaction_id, response, actor="ada")


@pytest.mark.parametrize(("prompt", "response"), PAIRS, ids=KINDS)
def test_a_response_without_a_comment_has_no_field_of_it(prompt: HumanPrompt, response: HumanResponse) -> None:
    for comment in (None, "", " \n"):
        same = read_response({**response.model_dump(mode="json"), "comment": comment})
        assert same == response
        assert "comment" not in json.loads(write_response(accepts(prompt, same)))


@pytest.mark.parametrize("comment", ["x" * (MAX_COMMENT_LENGTH + 1), "a\x00b", "a\x1b[31mb", 7, ["x"]])
def test_a_comment_that_is_too_long_or_no_plain_text_is_refused(comment: object) -> None:
    with pytest.raises(ResponseNotAccepted, match="comment"):
        read_response({"type": "text", "text": "Ada", "comment": comment})


@pytest.mark.parametrize("timestamp", ["", "2025-01-13", "2025-13-13T10:00:03Z", "2025-01-13T10:00:03+00:00", "soon"])
def test_an_envelope_with_another_kind_of_timestamp_is_refused(timestamp: str) -> None:
    with pytest.raises(ValidationError, match="timestamp"):
        InteractionPrompt(id="i-1", timestamp=timestamp, content=TEXT)


# --- What may be asked -----------------------------------------------------------------------------------------------

OPTION = {"id": "a", "label": "A", "value": "a"}
NOT_A_PROMPT: dict[str, Any] = {
    "nothing": {},
    "no text": {"input_type": "text"},
    "unknown kind": {"input_type": "telepathy", "text": "?"},
    "a kind that is none": {"input_type": None, "text": "?"},
    "text that is a number": {"input_type": "text", "text": 7},
    "a timeout of zero": {"input_type": "text", "text": "?", "timeout": 0},
    "a timeout in the past": {"input_type": "text", "text": "?", "timeout": -1},
    "a timeout that is half a second": {"input_type": "text", "text": "?", "timeout": 0.5},
    "a timeout of ages": {"input_type": "text", "text": "?", "timeout": MAX_TIMEOUT_SECONDS + 1},
    "a timeout of 2**70": {"input_type": "text", "text": "?", "timeout": 2**70},
    "no options": {"input_type": "radio", "text": "?"},
    "an empty list of options": {"input_type": "dropdown", "text": "?", "options": []},
    "one option for a binary choice": {"input_type": "binary_choice", "text": "?", "options": [OPTION]},
    "three options for a binary choice": {
        "input_type": "binary_choice",
        "text": "?",
        "options": [{"id": str(n)} for n in range(3)],
    },
    "the same option twice": {"input_type": "checkbox", "text": "?", "options": [OPTION, {**OPTION, "label": "B"}]},
    "both binary options the same": {"input_type": "binary_choice", "text": "?", "options": [OPTION, OPTION]},
    "too many options": {
        "input_type": "radio",
        "text": "?",
        "options": [{"id": str(n)} for n in range(MAX_OPTIONS + 1)],
    },
}


@pytest.mark.parametrize("value", NOT_A_PROMPT.values(), ids=NOT_A_PROMPT.keys())
async def test_what_is_no_prompt_is_refused_and_nothing_is_written(
    store: ExecutionStore, path: Path, value: dict[str, Any]
) -> None:
    record = await store.create_execution()
    before = dump(path)
    with pytest.raises(PromptNotAccepted, match="not a prompt that can be asked"):
        await store.set_interaction_required(record.execution_id, value)
    assert dump(path) == before
    assert record.status == "running"


def test_options_are_told_apart_by_id_and_value_together() -> None:
    same_id = HumanPromptRadio(
        text="?", options=[MultipleChoiceOption(id="a", value="1"), MultipleChoiceOption(id="a", value="2")]
    )
    same_value = HumanPromptRadio(
        text="?", options=[MultipleChoiceOption(id="a", value="1"), MultipleChoiceOption(id="b", value="1")]
    )
    for prompt in (same_id, same_value):
        assert len(prompt.options) == 2
        for option in prompt.options:
            assert accepts(prompt, HumanResponseRadio(selected_option=option)).selected_option == option  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("first", "second"), [(1, True), (0, False), (1, "1"), (None, "null"), ({"a": 1}, {"a": 2}), ([], {}), (1, 1.5)]
)
def test_binary_options_are_told_apart_as_json_tells_them_apart(first: object, second: object) -> None:
    one, two = BinaryHumanPromptOption(id="x", value=first), BinaryHumanPromptOption(id="x", value=second)
    prompt = HumanPromptBinary(text="?", options=[one, two])
    for option, value in ((one, first), (two, second)):
        stored = accepts(prompt, HumanResponseBinary(selected_option=option))
        assert isinstance(stored, HumanResponseBinary)
        assert stored.selected_option.value == value
        assert type(stored.selected_option.value) is type(value)
    for offered, other in ((first, second), (second, first)):
        sole = HumanPromptBinary(
            text="?",
            options=[BinaryHumanPromptOption(id="x", value=offered), BinaryHumanPromptOption(id="y", value=other)],
        )
        with pytest.raises(ResponseNotAccepted, match="not offered"):
            accepts(sole, HumanResponseBinary(selected_option=BinaryHumanPromptOption(id="x", value=other)))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}, b"\xff\xfe"])
async def test_a_prompt_that_has_no_json_form_is_refused(store: ExecutionStore, path: Path, value: object) -> None:
    """Or it would come back another one after a restart."""
    record = await store.create_execution()
    before = dump(path)
    with pytest.raises(ValidationError, match="cannot be stored"):
        BinaryHumanPromptOption(id="a", value=value)
    body = {"input_type": "binary_choice", "text": "?", "options": [{"id": "a", "value": value}, {"id": "b"}]}
    with pytest.raises(PromptNotAccepted, match="cannot be stored"):
        await store.set_interaction_required(record.execution_id, body)
    assert dump(path) == before


@pytest.mark.parametrize("depth", [300, 100_000])
async def test_a_prompt_that_is_nested_too_deep_is_refused(store: ExecutionStore, path: Path, depth: int) -> None:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    record = await store.create_execution()
    before = dump(path)
    body = {"input_type": "binary_choice", "text": "?", "options": [{"id": "a", "value": value}, {"id": "b"}]}
    with pytest.raises(PromptNotAccepted):
        await store.set_interaction_required(record.execution_id, body)
    assert dump(path) == before


@pytest.mark.parametrize("text", ["half \ud800", "\udfff"])
async def test_half_a_surrogate_pair_is_refused_in_a_prompt_and_in_a_response(
    store: ExecutionStore, path: Path, text: str
) -> None:
    record = await store.create_execution()
    pending = await store.set_interaction_required(record.execution_id, TEXT)
    before = dump(path)
    for prompt in ({"input_type": "text", "text": text}, {"input_type": "text", "text": "?", "placeholder": text}):
        with pytest.raises(PromptNotAccepted):
            await store.set_interaction_required(record.execution_id, prompt)
    with pytest.raises(ResponseNotAccepted):
        await store.resolve_interaction(record.execution_id, pending.interaction_id, {"type": "text", "text": text})
    assert dump(path) == before


# --- What counts as an answer ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", range(6), ids=KINDS)
@pytest.mark.parametrize("answered", range(6), ids=KINDS)
def test_a_response_answers_prompts_of_its_own_kind_only(asked: int, answered: int) -> None:
    prompt, response = PAIRS[asked][0], PAIRS[answered][1]
    if asked == answered:
        assert accepts(prompt, response) == response
    else:
        with pytest.raises(ResponseNotAccepted, match=f"of kind {KINDS[asked]} and takes no {KINDS[answered]}"):
            accepts(prompt, response)


@pytest.mark.parametrize("text", ["", " ", "\t\r\n", "\u2003\u00a0"])
def test_blank_text_answers_only_a_prompt_that_does_not_require_text(text: str) -> None:
    with pytest.raises(ResponseNotAccepted, match="blank"):
        accepts(TEXT, HumanResponseText(text=text))
    free = HumanPromptText(text="Anything else?", required=False)
    assert accepts(free, HumanResponseText(text=text)) == HumanResponseText(text=text)


@pytest.mark.parametrize(
    "option",
    [
        MultipleChoiceOption(id="mail", value="call"),
        MultipleChoiceOption(id="call", value="mail"),
        MultipleChoiceOption(id="MAIL", value="mail"),
        MultipleChoiceOption(id="mail ", value="mail"),
        MultipleChoiceOption(id="", value=""),
    ],
)
def test_an_option_that_was_not_offered_is_refused_naming_what_was(option: MultipleChoiceOption) -> None:
    with pytest.raises(ResponseNotAccepted, match=r"mail \(E-mail\), call \(Call\)"):
        accepts(RADIO, HumanResponseRadio(selected_option=option))
    with pytest.raises(ResponseNotAccepted, match="was not offered"):
        accepts(CHECKBOX, HumanResponseCheckbox.model_validate({"selected_options": [MAIL, option]}))


SHORT: list[Any] = [
    "call",
    "Call",
    {"id": "call"},
    {"value": "call"},
    {"label": "Call"},
    {"id": "call", "label": "Ring up"},
    MultipleChoiceOption(id="call"),
]


@pytest.mark.parametrize("chosen", SHORT, ids=map(str, SHORT))
async def test_the_id_the_value_or_the_label_of_an_option_is_enough(store: ExecutionStore, chosen: Any) -> None:
    assert accepts(RADIO, HumanResponseRadio(selected_option=chosen)) == HumanResponseRadio(selected_option=CALL)
    ticked = accepts(CHECKBOX, read_response({"type": "checkbox", "selected_options": [MAIL.model_dump(), chosen]}))
    assert ticked == HumanResponseCheckbox(selected_options=[MAIL, CALL])
    for body in ({"type": "radio", "selected_option": chosen}, HumanResponseRadio(selected_option=chosen)):
        record = await store.create_execution()
        pending = await store.set_interaction_required(record.execution_id, RADIO)
        future = pending.future
        await store.resolve_interaction(record.execution_id, pending.interaction_id, body)
        assert await future == HumanResponseRadio(selected_option=CALL)


@pytest.mark.parametrize("chosen", [*SHORT, CALL], ids=str)
def test_an_option_means_the_same_to_whoever_reads_the_response_as_json(chosen: Any) -> None:
    response = HumanResponseRadio(selected_option=chosen)
    read = RESPONSE.validate_json(response.model_dump_json())
    assert accepts(RADIO, read) == accepts(RADIO, response) == HumanResponseRadio(selected_option=CALL)


def test_the_options_of_a_binary_prompt_may_be_chosen_by_a_value_that_is_no_text() -> None:
    one = BinaryHumanPromptOption(id="one", label="One", value=1)
    true = BinaryHumanPromptOption(id="true", label="True", value=True)
    prompt = HumanPromptBinary(text="?", options=[one, true])
    for chosen, option in ((1, one), (1.0, one), (True, true), ({"value": 1}, one), ({"value": True}, true)):
        body = {"type": "binary_choice", "selected_option": chosen}
        assert accepts(prompt, read_response(body)) == HumanResponseBinary(selected_option=option)


CROSSED = HumanPromptRadio(
    text="Which?",
    options=[
        MultipleChoiceOption(id="1", label="First", value="2"),
        MultipleChoiceOption(id="2", label="Second", value="1"),
    ],
)


@pytest.mark.parametrize("chosen", ["1", "2"])
def test_a_word_that_stands_for_several_options_is_refused_naming_them(chosen: Any) -> None:
    with pytest.raises(ResponseNotAccepted, match=rf"'{chosen}' stands for several options: 1 \(First\), 2 \(Second\)"):
        accepts(CROSSED, HumanResponseRadio(selected_option=chosen))
    with pytest.raises(NotUnderstood, match=r"stands for several options: 1 \(First\), 2 \(Second\)"):
        CROSSED.typed(chosen)
    by_id = accepts(CROSSED, read_response({"type": "radio", "selected_option": {"id": chosen}}))
    assert by_id.model_dump()["selected_option"]["id"] == chosen


def test_an_option_without_id_value_and_label_is_refused() -> None:
    for option in (MultipleChoiceOption(), MultipleChoiceOption(description="The quick one")):
        with pytest.raises(ResponseNotAccepted, match="has no id, no value and no label"):
            accepts(RADIO, HumanResponseRadio(selected_option=option))


def test_no_message_about_options_shows_a_default_that_nobody_chose() -> None:
    bare = HumanPromptBinary(text="?", options=[BinaryHumanPromptOption(id="yes"), BinaryHumanPromptOption(id="no")])
    choices: list[Any] = ["maybe", {"id": "maybe"}, {"value": "maybe"}, {"label": "maybe"}, {}]
    for chosen in choices:
        with pytest.raises(ResponseNotAccepted) as refused:
            accepts(bare, read_response({"type": "binary_choice", "selected_option": chosen}))
        assert "default" not in str(refused.value)
    for chosen in ({"id": "yes"}, BinaryHumanPromptOption(id="yes")):
        assert accepts(bare, HumanResponseBinary(selected_option=chosen)).summary == bare.options[0].label  # type: ignore[arg-type]


def test_the_stored_option_is_as_it_was_offered() -> None:
    forged = MultipleChoiceOption(id="mail", value="mail", label="Send me money", description="forged")
    stored = accepts(RADIO, HumanResponseRadio(selected_option=forged))
    assert isinstance(stored, HumanResponseRadio)
    assert stored.selected_option == MAIL
    ticked = accepts(CHECKBOX, HumanResponseCheckbox.model_validate({"selected_options": [CALL, forged]}))
    assert isinstance(ticked, HumanResponseCheckbox)
    assert ticked.selected_options == [CALL, MAIL]
    assert ticked.selected_option == CALL


def test_the_same_option_twice_is_refused() -> None:
    with pytest.raises(ResponseNotAccepted, match="chosen twice"):
        accepts(CHECKBOX, HumanResponseCheckbox.model_validate({"selected_options": [MAIL, CALL, MAIL]}))


def test_a_refusal_does_not_carry_a_huge_value_back() -> None:
    huge = MultipleChoiceOption(id="mail", value="v" * 1_000_000)
    with pytest.raises(ResponseNotAccepted) as caught:
        accepts(RADIO, HumanResponseRadio(selected_option=huge))
    assert len(str(caught.value)) < 5_000


@given(
    st.lists(st.tuples(st.text(max_size=3), st.text(max_size=3)), min_size=1, max_size=6, unique=True),
    st.tuples(st.text(max_size=3), st.text(max_size=3)),
)
def test_exactly_the_offered_options_are_accepted(offered: list[tuple[str, str]], chosen: tuple[str, str]) -> None:
    options = [MultipleChoiceOption(id=id_, value=value) for id_, value in offered]
    prompt = HumanPromptRadio(text="?", options=options)
    response = HumanResponseRadio(selected_option=MultipleChoiceOption(id=chosen[0], value=chosen[1]))
    if chosen in offered:
        assert accepts(prompt, response) == response
    else:
        with pytest.raises(ResponseNotAccepted):
            accepts(prompt, response)


# --- Forms -----------------------------------------------------------------------------------------------------------


def test_our_own_objects_are_taken_as_they_are() -> None:
    for prompt, response in PAIRS:
        assert read_prompt(prompt) is prompt
        assert read_response(response) is response
    assert len(PROMPTS) == len(RESPONSES) == len(PAIRS) + 1 == 7  # forms have tests of their own


@pytest.mark.parametrize("value", [{}, {"selected_option": "yes"}, {"type": "oauth_consent"}])
def test_a_response_of_no_kind_is_told_the_kinds(value: dict[str, object]) -> None:
    with pytest.raises(ResponseNotAccepted, match=r"its type must be one of text, notification, .*, form\.$"):
        read_response(value)
    with pytest.raises(PromptNotAccepted, match=r"its input_type must be one of text, notification, .*, form\.$"):
        read_prompt(value)


@pytest.mark.parametrize("value", [{}, {"type": None}, {"type": 7}, {"type": ["text"]}, {"type": "text", "text": None}])
def test_what_is_no_response_is_refused(value: dict[str, object]) -> None:
    with pytest.raises(ResponseNotAccepted, match="not a response"):
        read_response(value)


@pytest.mark.parametrize("value", [None, 7, "text", ["text"], object()])
def test_what_is_not_even_a_mapping_is_refused(value: Any) -> None:
    with pytest.raises(ResponseNotAccepted):
        read_response(value)
    with pytest.raises(PromptNotAccepted):
        read_prompt(value)


class Elsewhere(BaseModel):
    type: str = "text"
    text: object = None


def test_a_foreign_model_without_a_json_form_is_refused() -> None:
    with pytest.raises(ResponseNotAccepted):
        read_response(Elsewhere(text=object()))


# --- Size ------------------------------------------------------------------------------------------------------------


def test_the_size_limits_are_in_bytes_and_exact() -> None:
    def prompt_of(size: int) -> HumanPromptText:
        return HumanPromptText(text="ä" * ((size - empty) // 2) + "a" * ((size - empty) % 2))

    empty = len(write_prompt(HumanPromptText(text="")))
    assert len(write_prompt(prompt_of(MAX_PROMPT_BYTES)).encode()) == MAX_PROMPT_BYTES
    with pytest.raises(PromptNotAccepted, match=f"{MAX_PROMPT_BYTES + 1} bytes"):
        write_prompt(prompt_of(MAX_PROMPT_BYTES + 1))

    bare = len(write_response(HumanResponseText(text="")))
    assert len(write_response(HumanResponseText(text="a" * (MAX_RESPONSE_BYTES - bare)))) == MAX_RESPONSE_BYTES
    with pytest.raises(ResponseNotAccepted, match=f"limit is {MAX_RESPONSE_BYTES}"):
        write_response(HumanResponseText(text="a" * (MAX_RESPONSE_BYTES - bare + 1)))


WEIRD = "NUL \x00 bidi \u202eevil\u2066 astral 🧑‍🚀 separators \u2028\u2029 quotes \"'\\ tags <b>&amp; \ufeff\uffff"


@pytest.mark.parametrize("history", ["full", "digest"])
@pytest.mark.parametrize("text", [WEIRD, "m" * 1_000_000, "ü" * 500_000], ids=["weird", "1 MB", "1 MB of UTF-8"])
async def test_prompts_and_answers_of_any_text_survive_a_restart(
    path: Path, clock: ManualClock, text: str, history: Any
) -> None:
    prompt = HumanPromptText(text=text, placeholder=text[:50])
    async with ExecutionStore(database=path, clock=clock, history=history) as store:
        one = (await store.create_execution()).execution_id
        await store.set_interaction_required(one, prompt, "q")
    async with ExecutionStore(database=path, clock=clock, history=history) as store:
        record = await store.get(one)
        assert record is not None
        pending = record.pending_interaction
        assert pending is not None
        assert pending.prompt == prompt
        future = pending.future
        await store.resolve_interaction(one, "q", HumanResponseText(text=text))
        assert await future == HumanResponseText(text=text)
    async with ExecutionStore(database=path, clock=clock, history=history) as store:
        await store.resolve_interaction(one, "q", HumanResponseText(text=text))  # the same again
        asked = (await store.history(one))[1]
        assert (asked.detail == {"prompt": prompt.model_dump(mode="json")}) is (history == "full")
    ((stored,),) = rows(path, "SELECT response FROM interactions")
    assert json.loads(stored)["text"] == text


async def test_past_the_limit_nothing_is_written(store: ExecutionStore, path: Path) -> None:
    record = await store.create_execution()
    pending = await store.set_interaction_required(record.execution_id, TEXT)
    before = dump(path)
    with pytest.raises(PromptNotAccepted, match="limit"):
        await store.set_interaction_required(record.execution_id, HumanPromptText(text="x" * 3_000_000))
    response = HumanResponseText(text="x" * 10_000_000)
    with pytest.raises(ResponseNotAccepted, match="limit"):
        await store.resolve_interaction(record.execution_id, pending.interaction_id, response)
    assert dump(path) == before
    assert not pending.future.done()


async def test_a_thousand_options_are_offered_and_the_last_is_chosen(store: ExecutionStore) -> None:
    options = [MultipleChoiceOption(id=f"o-{n}", value=str(n)) for n in range(1_000)]
    record = await store.create_execution()
    pending = await store.set_interaction_required(
        record.execution_id, HumanPromptCheckbox(text="Which?", options=options)
    )
    future = pending.future
    everything = HumanResponseCheckbox.model_validate({"selected_options": options[::-1]})
    await store.resolve_interaction(record.execution_id, pending.interaction_id, everything)
    answer = await future
    assert isinstance(answer, HumanResponseCheckbox)
    assert answer.selected_options == options[::-1]


@pytest.mark.parametrize("value", [2**70, -(2**70), 2**63, 1e308, [2**70], {"n": 2**70}, None, "", "\x00"])
async def test_the_value_of_a_binary_option_is_any_json_and_survives_a_restart(
    path: Path, clock: ManualClock, value: Any
) -> None:
    options = [BinaryHumanPromptOption(id="a", value=value), BinaryHumanPromptOption(id="b", value="other")]
    prompt = HumanPromptBinary(text="?", options=options)
    async with ExecutionStore(database=path, clock=clock) as store:
        one = (await store.create_execution()).execution_id
        await store.set_interaction_required(one, prompt, "q")
    async with ExecutionStore(database=path, clock=clock) as store:
        record = await store.get(one)
        assert record is not None
        pending = record.pending_interaction
        assert pending is not None
        assert pending.prompt == prompt
        future = pending.future
        await store.resolve_interaction(one, "q", HumanResponseBinary(selected_option=options[0]))
        answer = await future
        assert isinstance(answer, HumanResponseBinary)
        assert answer.selected_option.value == value


# --- One class for each kind -----------------------------------------------------------------------------------------

SUMMARIES = ["Ada", "Acknowledged.", "Yes", "Call", "E-mail, Call", "E-mail"]
TYPED = ["Ada", "", "y", "2", "mail, 2", "e-m"]
GIVEN = [
    AnswerOptions(text="Ada"),
    AnswerOptions(acknowledge=True),
    AnswerOptions(yes=True),
    AnswerOptions(choices=("call",)),
    AnswerOptions(choices=("E-mail", "2")),
    AnswerOptions(choices=("mail",)),
]


def test_every_kind_has_one_class_for_its_prompts_and_one_for_its_responses() -> None:
    kinds = [kind for kind in HumanPromptModelType if kind != "oauth_consent"]
    assert [prompt.model_fields["input_type"].default for prompt in PROMPTS] == kinds
    assert [response.model_fields["type"].default for response in RESPONSES] == kinds
    assert [prompt.response_model for prompt in PROMPTS] == list(RESPONSES)
    assert all(prompt.__doc__ and prompt.question.__doc__ and prompt.typed.__doc__ for prompt in PROMPTS)


def test_text_and_acknowledgements_decide_nothing() -> None:
    assert [prompt.is_decision for prompt in PROMPTS] == [False, False, True, True, True, True, True]


@pytest.mark.parametrize(("pair", "summary"), list(zip(PAIRS, SUMMARIES, strict=True)), ids=KINDS)
def test_a_prompt_and_its_response_have_a_summary(pair: tuple[HumanPrompt, HumanResponse], summary: str) -> None:
    prompt, response = pair
    assert (prompt.summary, response.summary) == (prompt.text, summary)
    assert summary_of(prompt.model_dump(mode="json")) == prompt.text
    assert summary_of(response.model_dump(mode="json")) == summary
    assert summary_of({"something": "else"}) == ""


@pytest.mark.parametrize(("pair", "typed"), list(zip(PAIRS, TYPED, strict=True)), ids=KINDS)
def test_what_a_person_types_is_read_by_the_kind_of_the_prompt(
    pair: tuple[HumanPrompt, HumanResponse], typed: str
) -> None:
    prompt, response = pair
    assert prompt.typed(typed) == response


@pytest.mark.parametrize(("pair", "options"), list(zip(PAIRS, GIVEN, strict=True)), ids=KINDS)
def test_the_options_of_a_command_are_read_by_the_kind_of_the_prompt(
    pair: tuple[HumanPrompt, HumanResponse], options: AnswerOptions
) -> None:
    prompt, response = pair
    assert prompt.given(options) == response
    with pytest.raises(NotUnderstood, match=r"--(text|acknowledge|choose)"):
        prompt.given(AnswerOptions())


@pytest.mark.parametrize(
    ("prompt", "words", "why"),
    [
        (RADIO, "fax", "'fax' is no option"),
        (RADIO, " ", "Nothing is chosen"),
        (CHECKBOX, ",", "Nothing is chosen"),
        (RADIO, "3", "'3' is no option"),
        (HumanPromptRadio(text="?", options=[MAIL, MAIL.model_copy(update={"id": "mall"})]), "ma", "several options"),
    ],
)
def test_words_that_stand_for_no_single_option_are_not_guessed_at(prompt: HumanPrompt, words: str, why: str) -> None:
    with pytest.raises(NotUnderstood, match=why):
        prompt.typed(words)


def test_several_choices_are_for_checkboxes_only() -> None:
    with pytest.raises(NotUnderstood, match="takes one option"):
        RADIO.given(AnswerOptions(choices=("mail", "call")))
    with pytest.raises(ResponseNotAccepted, match="chosen twice"):
        CHECKBOX.typed("1,mail")


@pytest.mark.parametrize("word", [*options.YES, *options.NO])
def test_the_words_for_yes_and_no_are_those_of_the_auditors_views(word: str) -> None:
    yes = word in options.YES
    said, other = (BinaryHumanPromptOption(id=f"o{place}", label=name) for place, name in enumerate((word, "Hm")))
    prompt = HumanPromptBinary(text="?", options=[other, said])
    assert prompt.given(AnswerOptions(yes=yes)).selected_option == said
    assert f"'{word}'" in VIEWS["answers"]
    with pytest.raises(NotUnderstood, match="plainly means"):
        prompt.given(AnswerOptions(yes=not yes))


def test_an_option_that_may_mean_either_is_not_guessed_at() -> None:
    both = [BinaryHumanPromptOption(id=name, label="ok") for name in ("a", "b")]
    with pytest.raises(NotUnderstood, match="plainly means yes"):
        HumanPromptBinary(text="?", options=both).given(AnswerOptions(yes=True))


def test_what_only_code_of_the_original_needs_is_where_it_was() -> None:
    for name in ("InteractionBase", "InteractionPrompt", "InteractionResponse", "InteractionStatus"):
        assert name in prompts.__all__
        assert issubclass(getattr(prompts, name), BaseModel | StrEnum)
    for name in ("ExecutionAcceptedResponse", "ExecutionStatusResponse", "StreamInteractionEvent", "StreamOAuthEvent"):
        assert TypeAdapter(getattr(models, name)).json_schema()


@pytest.mark.parametrize(
    ("typed", "chosen"),
    [
        ("Red, light", ["r"]),
        ("red, light , 2", ["r", "g"]),
        ("green,Red, light", ["g", "r"]),
        ("1,2", ["r", "g"]),
        ("1,5", ["half"]),
        ("Red,Green", ["r", "g"]),
    ],
)
def test_a_comma_may_be_a_part_of_an_option_that_is_typed_whole(typed: str, chosen: list[str]) -> None:
    options = [
        MultipleChoiceOption(id="r", label="Red, light", value="r"),
        MultipleChoiceOption(id="g", label="Green", value="g"),
        MultipleChoiceOption(id="half", label="1,5", value="half"),
    ]
    response = HumanPromptCheckbox(text="?", options=options).typed(typed)
    assert [option.id for option in response.selected_options] == chosen
