"""The wire as the original's clients know it: field for field."""

import json
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from restpoint.models import (
    ExecutionAcceptedInteraction,
    ExecutionAcceptedOAuth,
    ExecutionAcceptedResponse,
    ExecutionCancelledStatus,
    ExecutionCompletedStatus,
    ExecutionFailedStatus,
    ExecutionInteractionRequiredStatus,
    ExecutionOAuthRequiredStatus,
    ExecutionRunningStatus,
    ExecutionStatusResponse,
    InteractionResponseRequest,
    StreamInteractionEvent,
    StreamOAuthEvent,
)
from support import TEXT

PROMPT = {
    "text": "What is your name?", "timeout": None, "error": None, "input_type": "text", "placeholder": None, "required": True,
}  # fmt: skip
ASKS = {"interaction_id": "i", "prompt": PROMPT, "response_url": "/r"}
CONSENTS = {"auth_url": "https://id.example", "oauth_state": "s"}

STATUSES: list[tuple[type[Any], dict[str, Any]]] = [
    (ExecutionRunningStatus, {"status": "running"}),
    (ExecutionInteractionRequiredStatus, {"status": "interaction_required", **ASKS}),
    (ExecutionOAuthRequiredStatus, {"status": "oauth_required", **CONSENTS}),
    (ExecutionCompletedStatus, {"status": "completed", "result": {"a": [1, None]}}),
    (ExecutionFailedStatus, {"status": "failed", "error": "boom"}),
    (ExecutionCancelledStatus, {"status": "cancelled"}),
]
ACCEPTED: list[tuple[type[Any], dict[str, Any]]] = [
    (ExecutionAcceptedInteraction, {"status": "interaction_required", "status_url": "/e", **ASKS}),
    (ExecutionAcceptedOAuth, {"status": "oauth_required", "status_url": "/e", **CONSENTS}),
]


@pytest.mark.parametrize(("model", "body"), STATUSES)
def test_a_status_is_read_and_written_as_it_is_on_the_wire(model: type[Any], body: dict[str, Any]) -> None:
    whole = {"execution_id": "e", **body}
    read = TypeAdapter[Any](ExecutionStatusResponse).validate_python(whole)
    assert type(read) is model
    assert json.loads(read.model_dump_json()) == whole


@pytest.mark.parametrize(("model", "body"), ACCEPTED)
def test_an_accepted_start_is_read_and_written_as_it_is_on_the_wire(model: type[Any], body: dict[str, Any]) -> None:
    whole = {"execution_id": "e", **body}
    read = TypeAdapter[Any](ExecutionAcceptedResponse).validate_python(whole)
    assert type(read) is model
    assert json.loads(read.model_dump_json()) == whole


@pytest.mark.parametrize("word", ["type", "input_type"])
def test_the_body_of_a_response_takes_either_word_for_its_kind(word: str) -> None:
    body = InteractionResponseRequest.model_validate({"response": {word: "text", "text": "Ada"}})
    assert json.loads(body.model_dump_json()) == {"response": {"type": "text", "text": "Ada"}}


def test_an_unknown_status_is_refused() -> None:
    with pytest.raises(ValidationError):
        TypeAdapter[Any](ExecutionStatusResponse).validate_python({"execution_id": "e", "status": "sleeping"})


def test_stream_events_are_server_sent_events() -> None:
    asked = StreamInteractionEvent(execution_id="e", interaction_id="i", prompt=TEXT, response_url="/r")
    consent = StreamOAuthEvent(execution_id="e", auth_url="https://id.example", oauth_state="s")
    for event, name, rest in ((asked, "interaction_required", ASKS), (consent, "oauth_required", CONSENTS)):
        first, second, *end = event.get_stream_data().split("\n")
        assert first == f"event: {name}"
        assert json.loads(second.removeprefix("data: ")) == {"event_type": name, "execution_id": "e", **rest}
        assert end == ["", ""]
