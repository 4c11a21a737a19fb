"""Lists by status, workflow, owner and audience: every combination gives what a plain filter gives, page by page."""

import itertools
from typing import Any

import pytest

from restpoint import ExecutionStore
from support import TEXT

STATUSES = ("running", "interaction_required", "completed", "failed")
OWNERS = ("ada", "grace", None)
WORKFLOWS = ("refund", "hello")
ADDRESSED = (None, ["ada"], ["group:finance"], ['b,"ada'])


@pytest.fixture
async def made(store: ExecutionStore) -> list[dict[str, Any]]:
    """What is in the file, the newest first."""
    kept = []
    for status, owner, workflow, assignees in itertools.product(STATUSES, OWNERS, WORKFLOWS, ADDRESSED):
        if assignees is not None and status != "interaction_required":
            continue
        record = await store.create_execution(workflow=workflow, owner=owner)
        if status == "interaction_required":
            await store.set_interaction_required(record.execution_id, TEXT, assignees=assignees)
        elif status == "completed":
            await store.set_completed(record.execution_id, None)
        elif status == "failed":
            await store.set_failed(record.execution_id, "no")
        kept.append({"id": record.execution_id, "status": status, "owner": owner, "workflow": workflow,
                     "names": {owner, *(assignees or ())}})  # fmt: skip
    return kept[::-1]


AUDIENCES = [None, ["ada"], ["grace", "group:finance"], ["ada", "grace"], ["eve"], []]


@pytest.mark.parametrize("status", [None, "running", "interaction_required", ["failed", "completed"], list(STATUSES)])
async def test_a_list_has_what_it_is_filtered_by_in_its_order(
    store: ExecutionStore, made: list[dict[str, Any]], status: Any
) -> None:
    for owner, workflow, visible_to in itertools.product((None, "ada", "nobody"), (None, "refund"), AUDIENCES):
        wanted = [status] if isinstance(status, str) else status
        expected = [
            each["id"]
            for each in made
            if (wanted is None or each["status"] in wanted)
            and owner in {None, each["owner"]}
            and workflow in {None, each["workflow"]}
            and (visible_to is None or each["names"] & set(visible_to))
        ]
        found, cursor = list[str](), None
        while True:
            page = await store.list(
                status=status, owner=owner, workflow=workflow, visible_to=visible_to, limit=7, cursor=cursor
            )
            found += [item.execution_id for item in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert found == expected, (owner, workflow, visible_to)
