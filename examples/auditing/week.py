"""Makes restpoint.db, a file with a made-up week in it, for the questions of README.md.

Run it: python examples/auditing/week.py
"""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

from restpoint import ExecutionStore
from restpoint.access import Actor
from restpoint.prompts import (
    BinaryHumanPromptOption,
    HumanPromptBinary,
    HumanPromptText,
    HumanResponseBinary,
    HumanResponseText,
)
from restpoint.service import Service

YES = BinaryHumanPromptOption(id="approve", label="Approve", value=True)
NO = BinaryHumanPromptOption(id="reject", label="Reject", value=False)
GRACE = Actor("grace", groups=frozenset({"finance"}))
JOAN = Actor("joan", groups=frozenset({"finance"}))
ROOT = Actor("root", roles=frozenset({"operator"}))


class Week:
    """A clock that goes when it is told to."""

    def __init__(self, begin: datetime) -> None:
        self._now = begin
        self._moved = asyncio.Event()

    def now(self) -> int:
        """Milliseconds since the epoch."""
        return round(self._now.timestamp() * 1000)

    async def sleep_until(self, instant: int) -> None:
        """As ``restpoint._core.clock.Clock`` has it."""
        while self.now() < instant:
            await self._moved.wait()

    def goes(self, **time: float) -> None:
        """Let time go by."""
        self._now += timedelta(**time)
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()


async def refund(store: ExecutionStore, amount: str, *, default: bool = False) -> tuple[str, str]:
    """Ada asks finance for a refund."""
    record = await store.create_execution(workflow="refund", owner="ada", actor="ada")
    pending = await store.set_interaction_required(
        record.execution_id,
        HumanPromptBinary(text=f"Refund {amount} EUR?", options=[YES, NO]),
        assignees=["group:finance"],
        four_eyes=not default,
        timeout=2 * 24 * 3600 if default else None,
        default=HumanResponseBinary(selected_option=NO) if default else None,
    )
    return record.execution_id, pending.interaction_id


async def main(path: Path) -> None:
    """The week."""
    clock = Week(datetime(2026, 11, 16, 9, tzinfo=UTC))
    times_to_live = {"completed": 3 * 24 * 3600.0, "failed": None, "cancelled": None}
    async with ExecutionStore(times_to_live, database=path, clock=clock) as store:
        service = Service(store)
        first = await refund(store, "120.00")
        clock.goes(minutes=1)
        second = await refund(store, "80.00")
        clock.goes(minutes=11)
        await service.answer(GRACE, *first, HumanResponseBinary(selected_option=YES))
        await store.set_completed(first[0], {"refunded": True})
        clock.goes(hours=3)
        await service.answer(ROOT, *second, HumanResponseBinary(selected_option=NO))
        await store.set_completed(second[0], {"refunded": False})
        forgotten = await refund(store, "9.99", default=True)
        clock.goes(days=2, minutes=1)
        record = await store.get(forgotten[0])
        while record is not None and record.status != "running":
            await record.changed()  # the default answers
        await store.set_completed(forgotten[0], {"refunded": False})
        third = await refund(store, "2500.00")
        clock.goes(hours=5)
        await service.answer(JOAN, *third, HumanResponseBinary(selected_option=YES))
        await store.hold(third[0], "the audit of 2026", actor="root")
        await store.set_completed(third[0], {"refunded": True})
        named = await store.create_execution(workflow="onboarding", owner="bob", actor="bob")
        asked = await store.set_interaction_required(
            named.execution_id, HumanPromptText(text="Which team?"), assignees=["carol"]
        )
        await store.resolve_interaction(
            named.execution_id, asked.interaction_id, HumanResponseText(text="Blue"), actor="bob"
        )
        await store.cancel(named.execution_id, "bob left", actor="root")
        await refund(store, "77.00")
        await store.create_execution(workflow="import", owner="cron")
        clock.goes(days=2)
    # The import was under way when its process ended.
    async with ExecutionStore(times_to_live, database=path, clock=clock) as store:
        await store.cleanup_expired()
        await store.recover()
    print(path)


if __name__ == "__main__":
    asyncio.run(main(Path("restpoint.db")))
