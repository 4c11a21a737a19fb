"""Executions as the wire shows them: the addresses and bodies of replies, and the data of events.

The bodies are made as plain dicts, because a poll is the request that is made most often. What they look like is documented
by the models of ``schemas.py``; a test holds every reply to its model.
"""

from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final
from urllib.parse import quote

from pydantic_core import to_json
from starlette.responses import Response

from restpoint._core.execution_row import LABELS
from restpoint._storage import InboxPage, Progress
from restpoint._store.futures import PendingInteraction
from restpoint.lifecycle import ExecutionStatus
from restpoint.service import View

_labels: Final = attrgetter(*LABELS)


@lru_cache(maxsize=1024)
def _in_a_path(text: str) -> str:
    return quote(text, safe="")


def status_url(base: str, execution_id: str) -> str:
    """Where an execution is polled; ``base`` is the path under which the routes are mounted."""
    return f"{base}/executions/{_in_a_path(execution_id)}"


def response_url(base: str, execution_id: str, interaction_id: str) -> str:
    """Where a response to an interaction is sent."""
    return f"{status_url(base, execution_id)}/interactions/{_in_a_path(interaction_id)}/response"


def status_body(view: View, base: str, consent_url: str = "") -> dict[str, Any]:
    """The body of a poll. ``consent_url`` is where the person grants the consent that the execution waits for."""
    record, status = view.record, view.status
    execution_id = record.execution_id
    body: dict[str, Any] = {
        "execution_id": execution_id,
        "status": status.value,
        **dict(zip(LABELS, _labels(record), strict=True)),
        "version": record.version,
        "created_at": record.created_at,
    }
    if view.ended:
        body["completed_at"], body["expires_at"] = record.completed_at, record.expires_at
        if status is ExecutionStatus.COMPLETED:
            body["result"] = record.result
        elif status is ExecutionStatus.FAILED:
            body["error"], body["error_code"] = record.error or "", record.error_code
        return body
    prompts = [(prompt, prompt_body(prompt, execution_id, base)) for prompt in view.prompts]
    if status is ExecutionStatus.INTERACTION_REQUIRED and (first := view.prompt) is not None:
        body |= next(shown for prompt, shown in prompts if prompt is first)
        body["deadline"] = first.deadline
    elif status is ExecutionStatus.OAUTH_REQUIRED:
        # Both contain the state, which only the person who grants the consent may see: they are empty for everyone else.
        body["auth_url"] = consent_url
        body["oauth_state"] = "" if view.consent is None else view.consent.oauth_state
    body["interactions"] = [
        {
            **shown,
            "created_at": prompt.created_at,
            "deadline": prompt.deadline,
            "assignees": list(prompt.assignees) or None,
            "four_eyes": prompt.four_eyes,
            "priority": record.priority if prompt.priority is None else prompt.priority,
            "due": prompt.due,
            "claimed_by": prompt.claimed_by,
            "claimed_at": prompt.claimed_at,
            "reminders": None if prompt.reminders is None else asdict(prompt.reminders),
            "may_answer": prompt.interaction_id in view.answerable,
            **({} if prompt.votes is None else {"votes": prompt.votes, "voted": list(prompt.voted)}),
        }
        for prompt, shown in prompts
    ]
    return body


def inbox_body(page: InboxPage, base: str) -> dict[str, Any]:
    """A page of an inbox, each prompt with the address that its response is sent to."""
    items = [
        {**asdict(item), "response_url": response_url(base, item.execution_id, item.interaction_id)}
        for item in page.items
    ]
    return {"items": items, "next_cursor": page.next_cursor}


def progress_body(progress: Progress) -> dict[str, Any]:
    """What an execution that runs is doing."""
    return {"problem": progress.problem, "sleeping_until": progress.sleeping_until, "steps": list(progress.steps)}


def prompt_body(prompt: PendingInteraction, execution_id: str, base: str) -> dict[str, Any]:
    """A prompt with its id and the address that its response is sent to."""
    return {
        "interaction_id": prompt.interaction_id,
        "prompt": prompt.data,
        "response_url": response_url(base, execution_id, prompt.interaction_id),
    }


class _JSONResponse(Response):
    """A reply of JSON, whose headers are written once: Starlette compares, looks up and adds, which costs three times that."""

    media_type = "application/json"

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        """Set the headers, which have lower-case names and none of these two."""
        self.raw_headers = [(b"content-length", b"%d" % len(self.body)), (b"content-type", b"application/json")]
        if headers:
            self.raw_headers += [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


def json_response(data: object, status: int = 200, *, headers: dict[str, str] | None = None) -> Response:
    """A reply of JSON; the names of ``headers`` are in lower case. A number that JSON does not have (NaN) becomes null."""
    return _JSONResponse(to_json(data, inf_nan_mode="null"), status, headers)
