"""The feed: everything that happens, over all executions, as far as an actor may see it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from restpoint._storage import feed, history
from restpoint.access import Actor, Policy
from restpoint.events import EventKind
from restpoint.service.histories import BATCH, Reauthenticate

if TYPE_CHECKING:
    from restpoint._storage import Database, HistoryEntry
    from restpoint._store.store import ExecutionStore

INTERVAL: Final = 0.2
"""Seconds between two looks at the end of the history. Nobody looks while nobody follows."""

_TOLD_AFTER: Final = 1_000  # rows that a reader may not see, after which they are told how far the feed is


@dataclass(frozen=True, slots=True)
class Position:
    """The feed has come to this row of the history, whose event is not for this reader: they may go on from there."""

    sequence: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Something is missing from the feed before the row ``sequence``. ``reason`` is for people.

    ``code`` is ``history_pruned`` where retention removed rows that the reader has not had, ``executions_swept`` where executions
    of theirs were deleted before they had all of it, and ``history_shorter`` where the file does not have the row that the
    reader had last, because an older copy of it was restored.
    """

    sequence: int
    code: str
    reason: str


class Feed:
    """The feeds of a store, as the policy lets each actor see what happens."""

    def __init__(self, store: "ExecutionStore", policy: Policy) -> None:
        self._store = store
        self._policy = policy
        self._head = 0
        self._looking: asyncio.Task[None] | None = None

    async def follow(
        self,
        actor: Actor,
        *,
        after: int | None = None,
        workflow: str | None = None,
        events: Collection[EventKind] = (),
        has_end: bool = False,
        reauthenticate: Reauthenticate | None = None,
    ) -> "AsyncGenerator[HistoryEntry | Position | Gap, None]":
        """What happens to all executions that the actor may see, after the row ``after`` or from now on.

        It goes on without end, or with ``has_end`` until there is no more now, and then a ``Position`` is last. Only of this
        ``workflow``, and only these ``events``, where any are given. Whoever may read the history of an execution gets all of its
        events. Whoever only sees it gets those of the prompts that they see, without what was answered. The policy is asked as
        each event is read, so what becomes visible later is not given again. Before each batch ``reauthenticate`` is called.
        Raises ``StoreClosed``, and what ``reauthenticate`` raises.
        """
        database = (await self._store.file()).database
        position = await history.last_sequence(database)
        wanted = feed.Wanted(actor.id, self._names(actor), workflow, frozenset(events))
        if after is not None:
            gaps, position = await _gaps(database, wanted, after, position), after
            for gap in gaps:
                position = gap.sequence
                yield gap
        told = position
        yield Position(position)
        while True:
            if reauthenticate is not None:
                actor = await reauthenticate()
                wanted = replace(wanted, actor=actor.id, names=self._names(actor))
            reading = await feed.read(database, wanted, position, BATCH)
            places = await self._visible(database, actor, reading.places)
            async for entry in _entries(database, places):
                told = entry.sequence
                yield entry
            moved, position = reading.through > position, reading.through
            if position - told >= _TOLD_AFTER:
                told = position
                yield Position(position)
            if not moved and has_end:
                yield Position(position)
                return
            if not moved:
                await self._newer_than(position)

    def _names(self, actor: Actor) -> frozenset[str] | None:
        return None if self._policy.sees_everything(actor) else actor.names

    async def _visible(
        self, database: "Database", actor: Actor, places: Collection[feed.Place]
    ) -> list[tuple[feed.Place, bool]]:
        """Those of these rows that the actor may see, each with whether they see its detail too."""
        if not places:
            return []
        known, found = await feed.facts(database, actor.id, places), list[tuple[feed.Place, bool]]()
        for place in places:
            facts = known.get(place.execution_id)
            if facts is None:  # it has left the file
                if self._policy.sees_everything(actor):
                    found.append((place, True))
                continue
            if not self._policy.may_see(actor, facts.subject):
                continue
            if self._policy.may_read_history(actor, facts.subject):
                found.append((place, True))
                continue
            prompt, kind = facts.prompts.get(place.wait_id or ""), EventKind.named(place.event)
            if prompt is not None and kind is not None and self._policy.may_see_prompt(actor, prompt):
                found.append((place, not kind.closes_wait))
        return found

    # --- News ---

    async def _newer_than(self, position: int) -> None:
        """Return once the history goes on after this row. All readers share one look at it. Raises ``StoreClosed``."""
        while self._head <= position:
            if self._looking is None or self._looking.done():
                self._looking = asyncio.create_task(self._look(), name="restpoint:feed")
                self._looking.add_done_callback(lambda look: look.cancelled() or look.exception())
            await asyncio.shield(self._looking)

    async def _look(self) -> None:
        await asyncio.sleep(INTERVAL)
        self._head = await history.last_sequence((await self._store.file()).database)


async def _entries(database: "Database", places: list[tuple[feed.Place, bool]]) -> "AsyncIterator[HistoryEntry]":
    at = 0
    while at < len(places):
        entries = await history.events_at(database, [place.sequence for place, _ in places[at:]])
        if not entries:  # retention removed them meanwhile
            return
        whole = {place.sequence: is_whole for place, is_whole in places[at:]}
        for entry in entries:
            yield entry if whole[entry.sequence] else replace(entry, detail=None)
        at = next(number for number, (place, _) in enumerate(places) if place.sequence == entries[-1].sequence) + 1


async def _gaps(database: "Database", wanted: feed.Wanted, after: int, head: int) -> list[Gap]:
    if after > head:
        return [
            Gap(
                head,
                "history_shorter",
                f"The history ends at row {head}, and you have had row {after}: an older copy of the file was restored. "
                "Compare what you know with the lists of executions.",
            )
        ]
    pruned = await feed.pruned_through(database)
    has_lost = wanted.names is not None and await feed.lost_executions(database, wanted, after)
    found = []
    if pruned > after:
        text = f"Retention has removed the rows {after + 1} to {pruned} of the history, and what you might have seen of them."
        found.append(Gap(pruned, EventKind.HISTORY_PRUNED.value, text))
    if has_lost:
        text = (
            f"Executions of yours were deleted that had events after row {after}; those events are not shown any more."
        )
        found.append(Gap(max(after, pruned), "executions_swept", text))
    return found
