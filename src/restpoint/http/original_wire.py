"""The envelopes in which clients of the original store send and get text.

There, a workflow that takes text is started with ``{"input_message": "..."}``, or with the messages of a chat, and text comes
back as ``{"value": "..."}``. Here a workflow takes and gives any JSON, so an envelope is opened only where the workflow takes
text and the body is an envelope, and only then do its results come in one.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from restpoint._engine.workflow import Workflow
from restpoint.errors import InputNotAccepted


class Input(NamedTuple):
    """The input of a workflow; ``is_enveloped`` says that the client expects results in an envelope."""

    value: Any
    is_enveloped: bool = False

    def shown(self, result: Any) -> Any:
        """A result, or a part of one, as this client expects it."""
        return {"value": result} if self.is_enveloped and isinstance(result, str) else result


def input_of(workflow: Workflow | None, body: Any) -> Input:
    """The input that a body of ``/v1/workflow`` has."""
    if workflow is not None and workflow.takes_text and isinstance(body, Mapping) and body.keys() == {"input_message"}:
        return Input(body["input_message"], is_enveloped=True)
    return Input(body)


def input_of_chat(workflow: Workflow | None, body: Any) -> Input:
    """The input that a body of ``/v1/chat/stream`` has: what the user said last, where the workflow takes text.

    Raises ``InputNotAccepted`` where nobody said anything.
    """
    if workflow is None or not workflow.takes_text:
        return Input(body, is_enveloped=True)
    messages = body.get("messages") if isinstance(body, Mapping) else None
    for message in reversed(messages if isinstance(messages, Sequence) and not isinstance(messages, str) else ()):
        if isinstance(message, Mapping) and message.get("role") == "user":
            return Input(_text_of(message.get("content")), is_enveloped=True)
    raise InputNotAccepted('A chat has a message of the user: send {"messages": [{"role": "user", "content": "..."}]}.')


def _text_of(content: Any) -> Any:
    """The text of a message, whose content is text or a list of parts."""
    if not isinstance(content, Sequence) or isinstance(content, str):
        return content
    return "".join(part["text"] for part in content if isinstance(part, Mapping) and isinstance(part.get("text"), str))
