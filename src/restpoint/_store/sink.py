"""The sink: everyone here who wants to hear of what this process commits, in one list and in one order."""

import logging
from collections.abc import Callable, Iterable
from typing import Final

from restpoint._core.changes import Change

log = logging.getLogger(__name__)

Listener = Callable[[Change], None]


class EventSink:
    """Tells each event to each subscriber, on the event loop, after COMMIT and before the caller of the write goes on.

    The records of the store come first, so that every other subscriber finds the record of an event as it is after it.
    """

    def __init__(self, records: Listener) -> None:
        self._listeners: tuple[Listener, ...] = (records,)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Have ``listener`` called with every event from now on; returns what ends that."""
        self._listeners = (*self._listeners, listener)

        def unsubscribe() -> None:
            self._listeners = tuple(each for each in self._listeners if each is not listener)

        return unsubscribe

    def tell(self, events: Iterable[Change]) -> None:
        """Tell these events, in their order."""
        for event in events:
            for listener in self._listeners:
                try:
                    listener(event)
                except Exception:  # who listens must not keep a committed event from those who wait for it
                    log.exception(_FAILED, event.event, event.execution_id)


_FAILED: Final = "a subscriber failed at %s of execution %s"
