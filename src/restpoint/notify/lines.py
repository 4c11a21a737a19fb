"""Lines: what each channel has under way, and when its task looks at the outbox again."""

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from restpoint._core.clock import Clock
from restpoint.notify.notices import Channel

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Line:
    """What one channel has under way. Times are milliseconds since the epoch."""

    channel: Channel
    look: bool = True
    """Whether something may be due that was not claimed."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    sending: set[asyncio.Task[None]] = field(default_factory=set)
    next_due: int | None = None
    heard: int | None = None
    """When the first of what was heard of since the last look may be told."""
    quiet: tuple[int, int] = (0, 0)
    """From when until when the receiver asked to be left alone."""

    def is_quiet(self, now: int) -> bool:
        """Whether nothing may be sent now. A clock that is set back ends that."""
        return self.quiet[0] <= now < self.quiet[1]

    def wake(self) -> None:
        """Have the task of the channel look again."""
        self.look = True
        self.changed.set()

    def begin(self, sending: Coroutine[Any, Any, None], notice_id: str) -> None:
        """Begin to send a notice, beside the others."""
        task = asyncio.create_task(sending)
        self.sending.add(task)

        def done(ended: asyncio.Task[None]) -> None:
            self.sending.discard(ended)
            self.changed.set()
            if not ended.cancelled() and (error := ended.exception()) is not None:
                log.error("the attempt at notice %s did not come to its end", notice_id, exc_info=error)
                self.wake()

        task.add_done_callback(done)

    async def until_something(self, clock: Clock, most: int) -> None:
        """Wait until the line changes, or something of it falls due. It sends at most so many notices at the same time."""
        due = min((each for each in (self.next_due, self.heard) if each is not None), default=None)
        if len(self.sending) >= most:
            due = None
        elif self.is_quiet(clock.now()):
            due = self.quiet[1]
        if due is None or self.changed.is_set():
            await self.changed.wait()
            return
        waiting = [asyncio.ensure_future(self.changed.wait()), asyncio.ensure_future(clock.sleep_until(due))]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()
        if clock.now() >= due:
            self.look, self.next_due = True, None
