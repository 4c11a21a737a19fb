"""Threads of our own, for whatever would block the event loop.

Nothing of restpoint runs in asyncio's default pool: that belongs to the application, has few threads, and the loop waits at its
end for all of them. These threads are daemons, so a process that is told to end does not wait for what blocks in them.
"""

import asyncio
import contextvars
import gc
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

T = TypeVar("T")

Returned = tuple[Any, BaseException | None]
"""What a function returned, and what it raised instead; None if it raised nothing."""


async def in_thread(function: Callable[..., T], /, *arguments: Any) -> T:
    """Call a function in a thread of its own, and return what it returns or raise what it raises.

    A caller that is cancelled does not wait for the function, which goes on.
    """
    pool = ThreadPool(1, f"restpoint-{getattr(function, '__name__', 'work')}")
    try:
        value, error = await pool.call(function, *arguments)
    finally:
        pool.close()
    if error is not None:
        try:
            raise error
        finally:
            del error  # it refers to this frame by its traceback
    return cast("T", value)


class _Collector:
    """Whether Python's garbage collector is off for those who make something large, and is to be on when they have done."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._users = 0
        self._was_on = False

    def pause(self) -> None:
        with self._mutex:
            if self._users == 0:
                self._was_on = gc.isenabled()
                gc.disable()
            self._users += 1

    def resume(self) -> None:
        with self._mutex:
            self._users -= 1
            if self._users == 0 and self._was_on:
                gc.enable()


_collector = _Collector()


@contextmanager
def uncollected() -> Iterator[None]:
    """Keep Python's garbage collector from running while something large is made in a thread.

    Many new objects make it look at every object of the process, again and again, and it holds the event loop each time: 0.4 s
    with 50,000 models. It goes on afterwards, unless the application had it off before.
    """
    _collector.pause()
    try:
        yield
    finally:
        _collector.resume()


class ThreadCall(asyncio.Future[Returned]):
    """The call of a function in a thread. Cancelling it ends the waiting; the function goes on if it has begun."""

    def __init__(self, work: Callable[[], Any], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self.work: Callable[[], Any] | None = work
        self.has_begun = False
        self.has_returned = False

    @property
    def is_over(self) -> bool:
        """Whether no thread works on it any more, or will."""
        return self.has_returned or (self.done() and not self.has_begun)


class ThreadPool:
    """Daemon threads, made when they are needed. At most ``limit`` calls that somebody awaits are under way at once.

    A call that is cancelled does not count any more, so what hangs for ever does not stop the others. Used from one event loop.
    """

    def __init__(self, limit: int, name: str) -> None:
        self._limit = limit
        self._name = name
        self._under_way = 0
        self._queued: deque[ThreadCall] = deque()
        self._idle: list[queue.SimpleQueue[ThreadCall | None]] = []
        self._is_closed = False

    def call(self, function: Callable[..., Any], /, *arguments: Any) -> ThreadCall:
        """Call a function in a copy of the current context. The future has what it returned or raised, and raises nothing."""
        context = contextvars.copy_context()
        made = ThreadCall(lambda: context.run(function, *arguments), asyncio.get_running_loop())
        made.add_done_callback(self._awaited_no_more)
        self._queued.append(made)
        self._begin_queued()
        return made

    def close(self) -> None:
        """End the threads that have nothing to do, and the others when their calls are over."""
        self._is_closed = True
        for orders in self._idle:
            orders.put(None)
        self._idle.clear()

    def _begin_queued(self) -> None:
        while self._queued and self._under_way < self._limit:
            call = self._queued.popleft()
            if call.done():  # cancelled before it began
                continue
            self._under_way += 1
            call.has_begun = True
            if self._idle:
                self._idle.pop().put(call)
            else:
                orders: queue.SimpleQueue[ThreadCall | None] = queue.SimpleQueue()
                orders.put(call)
                threading.Thread(
                    target=_work, args=(orders, self._over, call.get_loop()), name=self._name, daemon=True
                ).start()

    def _awaited_no_more(self, call: asyncio.Future[Returned]) -> None:
        if cast("ThreadCall", call).has_begun:
            self._under_way -= 1
            self._begin_queued()

    def _over(self, call: ThreadCall, returned: Returned, orders: "queue.SimpleQueue[ThreadCall | None]") -> None:
        """On the loop: a thread has nothing to do any more."""
        if self._is_closed:
            orders.put(None)
        else:
            self._idle.append(orders)
        if not call.done():
            call.set_result(returned)
        self._begin_queued()


_Over = Callable[[ThreadCall, Returned, "queue.SimpleQueue[ThreadCall | None]"], None]


def _work(orders: "queue.SimpleQueue[ThreadCall | None]", over: _Over, loop: asyncio.AbstractEventLoop) -> None:
    """What a thread does: one call after the other."""
    while (call := orders.get()) is not None:
        work, call.work = call.work, None
        returned: Returned = (None, None)
        if work is not None:
            returned = _outcome(work)
        call.has_returned = True
        try:
            loop.call_soon_threadsafe(over, call, returned, orders)
        except RuntimeError:  # the loop is closed: nobody waits for anything
            return
        del call, work, returned  # keep nothing of it while this thread waits


def _outcome(work: Callable[[], Any]) -> Returned:
    try:
        return work(), None
    except BaseException as error:  # noqa: BLE001 - SystemExit too: it ends what was called, and not the thread
        return None, error
