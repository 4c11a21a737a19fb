"""The body of a webhook: a CloudEvents 1.0 event in JSON (the structured mode of its HTTP binding).

It is made of what a notice always has, and nothing of an attempt, so that each attempt sends the same bytes. Its JSON Schema is
that of ``WebhookBody``.
"""

from datetime import UTC, datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, Field

from restpoint.notify.notices import Notice
from restpoint.prompts import HumanPrompt

Content = Literal["full", "ids"]

DEFAULT_SOURCE: Final = "/restpoint"
MAX_BODY_BYTES: Final = 256 * 1024
"""A larger body loses its prompt and detail, which a receiver gets over HTTP: many receivers refuse large ones for ever."""

_TYPE: Final = "restpoint."
_LARGE: Final = ("prompt", "detail")
_SAID: Final = (*_LARGE, "owner", "assignees", "actor", "recipient")
"""What people and workflows said, and who they are."""


class WebhookData(BaseModel, use_attribute_docstrings=True):
    """What happened. Times are seconds since the epoch. What is not known, or does not fit the event, is null."""

    event: str
    """The kind of event, as the history names it."""
    sequence: int
    """The number of the event's row of history: of two events the later one has the higher number."""
    route: str
    """The route that led here."""
    is_sample: bool
    """Whether an operator sent it to try the route: nothing has happened, and its ids are made up."""
    execution_id: str
    """The execution that it happened to."""
    workflow: str | None
    """The name of its workflow."""
    owner: str | None
    """Who started the execution."""
    status: str
    """The status of the execution as the event left it."""
    interaction_id: str | None
    """The prompt that the event is about."""
    prompt: HumanPrompt | None
    """What was asked."""
    assignees: list[str]
    """Whom the prompt is addressed to: people, and groups as ``group:NAME``."""
    priority: int
    """The priority of the prompt, or else of the execution."""
    due: float | None
    """When the prompt should be answered."""
    deadline: float | None
    """When the prompt cannot be answered any more."""
    actor: str | None
    """Who did it; null where it was no person."""
    detail: dict[str, Any] | None
    """What the history says of the event beside that."""
    link: str | None
    """The address of the page of the prompt or of the execution."""
    recipient: str | None
    """The person whom the notice is for, where the route tells people."""
    omitted: list[str]
    """The members that were left out, because the channel sends ids only, or because the body would be too large."""


class WebhookBody(BaseModel, use_attribute_docstrings=True):
    """The body of a webhook, in the shape of CloudEvents 1.0."""

    specversion: Literal["1.0"] = "1.0"
    """The version of CloudEvents."""
    id: str
    """The id of the notice, the same at every attempt and in ``webhook-id``."""
    source: str
    """Which restpoint it comes from, as the operator names it."""
    type: str
    """The word restpoint, a full stop, and the kind of event, such as ``"restpoint.interaction_asked"``."""
    subject: str
    """The id of the execution."""
    time: str = Field(json_schema_extra={"format": "date-time"})
    """When it happened (RFC 3339)."""
    datacontenttype: Literal["application/json"] = "application/json"
    """What ``data`` is."""
    data: WebhookData
    """What happened."""


def body_of(notice: Notice, content: Content, source: str) -> bytes:
    """Return the body of a notice as JSON, the same bytes at every attempt.

    ``ids`` leaves out what people said and who they are.
    """
    body = _json(notice, _SAID if content == "ids" else (), source)
    if len(body) > MAX_BODY_BYTES and content != "ids":
        body = _json(notice, _LARGE, source)
    return body


def _json(notice: Notice, omitted: tuple[str, ...], source: str) -> bytes:
    data: dict[str, Any] = {
        "event": notice.event,
        "sequence": notice.sequence,
        "route": notice.route,
        "is_sample": notice.is_sample,
        "execution_id": notice.execution_id,
        "workflow": notice.workflow,
        "owner": notice.owner,
        "status": notice.status,
        "interaction_id": notice.interaction_id,
        "prompt": notice.prompt,
        "assignees": list(notice.assignees),
        "priority": notice.priority,
        "due": _seconds(notice.due_at),
        "deadline": _seconds(notice.deadline_at),
        "actor": notice.actor,
        "detail": _detail(notice),
        "link": notice.link,
        "recipient": None if notice.recipient is None else notice.recipient.name,
        "omitted": sorted(omitted),
    }
    for name in omitted:
        data[name] = [] if name == "assignees" else None
    happened = datetime.fromtimestamp(notice.time / 1000, UTC).isoformat(timespec="milliseconds")
    return (
        WebhookBody.model_construct(
            id=notice.id,
            source=source,
            type=_TYPE + notice.event,
            subject=notice.execution_id,
            time=happened.replace("+00:00", "Z"),
            data=WebhookData.model_construct(**data),
        )
        .model_dump_json()
        .encode()
    )


def _detail(notice: Notice) -> dict[str, Any] | None:
    """The event's detail, without the prompt where the body has it already."""
    if notice.detail is None:
        return None
    return {name: value for name, value in notice.detail.items() if name != "prompt" or notice.prompt is None}


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
