"""Notices that tests of channels send."""

from typing import Any

from restpoint.events import EventKind
from restpoint.notify.notices import Notice
from support import START, TEXT

ASKED = Notice(
    id="01990c7e-4000-7abc-8def-0123456789ab",
    event=EventKind.INTERACTION_ASKED,
    sequence=7,
    time=START + 250,
    route="finance",
    attempt=1,
    execution_id="01990c7e-3fff-7abc-8def-0123456789ab",
    workflow="refund",
    owner="ada",
    status="interaction_required",
    interaction_id="01990c7e-3fff-7abc-8def-ba9876543210",
    prompt=TEXT,
    assignees=("group:finance", "grace"),
    actor=None,
    priority=2,
    due_at=START + 3_600_000,
    deadline_at=START + 7_200_500,
    detail={"amount": None, "note": "naïve ☕"},
    link="https://flows.example.com/executions/01990c7e-3fff-7abc-8def-0123456789ab",
)


def asked(**changes: Any) -> Notice:
    """A notice of a prompt, with changes."""
    from dataclasses import replace

    return replace(ASKED, **changes)
