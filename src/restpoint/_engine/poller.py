"""The poller: looks for runs that are ready, and claims as many as there are free slots.

A run is suspect if its processes died with nothing new recorded. Suspects are claimed one at a time.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from functools import partial
from typing import Final

from restpoint._core.log_limit import STORAGE_FAILURES
from restpoint._engine.slots import Slots
from restpoint._storage import Claim, claims, leases
from restpoint._store.open_file import OpenFile
from restpoint.errors import StorageError, StoreClosed

log = logging.getLogger(__name__)

INTERVAL: Final = 0.1
"""Seconds between two looks for runs that other processes made ready."""

_DEAD_INTERVAL: Final = 0.5  # seconds between two looks for processes that died
_TRY_AGAIN: Final = 1.0  # seconds, after the storage failed
_CLAIMED_AT_ONCE: Final = 200
# Seconds after which the next suspect runs beside one that got nowhere. Long: of two that run, nobody can tell which one
# killed their process, so a long step beside a killer would be counted out with it.
_PROBATION: Final = 600.0


class Poller:
    """Claims runs of ``known`` workflows (``name@version``) for one process, and hands each to ``take_up``."""

    def __init__(
        self,
        file: OpenFile,
        known: Collection[str],
        slots: Slots,
        news: asyncio.Event,
        take_up: Callable[[Claim], None],
        *,
        max_attempts: int,
    ) -> None:
        self._file = file
        self._known = known
        self._slots = slots
        self._news = news
        self._take_up = take_up
        self._max_attempts = max_attempts
        self._suspects: dict[str, asyncio.TimerHandle] = {}
        self._has_begun = False

    async def begin(self) -> None:
        """Take the lease of this process, and up again what no process could go on with. Raises ``StorageError``."""
        await self._file.take_lease()
        if not self._has_begun:
            await self._file.database.write(partial(claims.retry, known=list(self._known)))
            self._has_begun = True

    async def look_for_work(self) -> None:
        """Claim what is ready, at each event that makes one ready and every ``INTERVAL``, until cancelled or the store closes."""
        while True:
            self._news.clear()
            try:
                await self.begin()
                await self._claim()
            except StoreClosed:
                return
            except StorageError as error:
                STORAGE_FAILURES.error(log, "no work could be claimed; trying again: %s", error)
                await asyncio.sleep(_TRY_AGAIN)
            except Exception:  # no error may stop this process from claiming
                log.exception("no work could be claimed; trying again")
                await asyncio.sleep(_TRY_AGAIN)
            try:
                async with asyncio.timeout(INTERVAL):
                    await self._news.wait()
            except TimeoutError:
                pass

    async def _claim(self) -> None:
        file = self._file
        self._slots.saturated = True
        while self._slots.free > 0 and not self._slots.queued:
            self._slots.saturated = False
            wake = await claims.next_wake(file.database)
            asleep = wake is None or file.clock.now() < wake
            if asleep and not await claims.anything_ready(file.database, self._known):
                return
            most = min(self._slots.free, _CLAIMED_AT_ONCE)
            if await self._claim_some(most) < most:
                return

    async def _claim_some(self, most: int) -> int:
        """Claim as many as are ready, at most ``most``, which must be free; returns how many."""
        file = self._file
        job = partial(
            claims.claim, lease=file.lease, known=list(self._known), most=most, suspects=0 if self._suspects else 1,
            max_attempts=self._max_attempts, keeping=file.keeping, after=self._slots.last_owner,
        )  # fmt: skip
        # Take the slots before the runs are claimed, because runs that are in memory may ask for a slot meanwhile.
        self._slots.free -= most
        claimed: list[Claim] = []
        claiming = file.database.write(job)
        try:
            await claiming
        finally:  # also where this task was cancelled meanwhile: what is claimed is this process's to run or to let go
            if claiming.exception() is None:
                claimed = claiming.result()
            for claim in claimed:
                self._slots.given_to(claim.owner)
                if claim.suspect:
                    over = asyncio.get_running_loop().call_later(_PROBATION, self.trust, claim.execution_id)
                    self._suspects[claim.execution_id] = over
                self._take_up(claim)
            for _ in range(most - len(claimed)):
                self._slots.give()
        return len(claimed)

    def trust(self, execution_id: str) -> None:
        """Stop suspecting an execution that made progress or is gone, so that another suspect may be claimed."""
        handle = self._suspects.pop(execution_id, None)
        if handle is not None:
            handle.cancel()
            self._news.set()

    async def look_for_dead(self) -> None:
        """Make the runs of processes that died or stood still ready again, until cancelled or the store closes."""
        while True:
            file = self._file
            try:
                own = await file.take_lease()
                if await leases.any_lost(file.database, file.clock.now(), own):
                    await file.database.write(partial(claims.inherit, own=own))
            except StoreClosed:
                return
            except StorageError as error:
                STORAGE_FAILURES.error(log, "the leases could not be read; trying again: %s", error)
            except Exception:
                log.exception("the leases could not be read; trying again")
            await asyncio.sleep(_DEAD_INTERVAL)
