"""The deliverer: sends what waits in the outbox, again and again until the receiver has it or nobody needs it any more.

Each channel is served by a task of its own, which claims as many notices as it may send at the same time, so a slow receiver
delays nobody but itself. Several processes may deliver from one file: a notice is claimed with the lease of its process, and what
a process had claimed that died or stands still is taken over. After a failure a notice waits for a random time of up to ten
seconds, twice that after the next one, and so on up to two hours (exponential backoff with full jitter). Three days after its
first attempt it is given up.
"""

import asyncio
import logging
import os
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from restpoint._core.changes import Change
from restpoint._core.log_limit import STORAGE_FAILURES
from restpoint._core.serialization import decode
from restpoint._storage import history, outbox
from restpoint._store.open_file import OpenFile
from restpoint._store.store import ExecutionStore
from restpoint.errors import InvalidArgument, StorageError, StorageFull, StoreClosed
from restpoint.events import EventKind
from restpoint.notify import routes_file
from restpoint.notify.addresses import Addresses, Lookup, Members, no_address
from restpoint.notify.lines import Line
from restpoint.notify.notices import Channel, DeliveryFailed, Notice, Recipient, notice_of
from restpoint.notify.routes_file import Routes, RouteSettings
from restpoint.notify.tickets import Tickets
from restpoint.oauth.keyring import Vault

log = logging.getLogger(__name__)

CONCURRENCY: Final = 16
"""How many notices of one channel are sent at the same time."""

SEND_SECONDS: Final = 60.0
"""After which an attempt has failed, whatever its channel or a function of the application waits for."""

SETTLE: Final = 200
"""Milliseconds that a notice waits before anybody is told: what is answered within them is told to nobody, and what comes in a
burst is claimed together."""

FIRST_DELAY: Final = 10_000
LONGEST_DELAY: Final = 2 * 3_600_000
"""Milliseconds: the most that a notice waits after its first failure, and after any."""

_POLL: Final = 1_000  # milliseconds between two looks for what other processes wrote
_CLOSE_SECONDS: Final = 1.0
_LONGEST_PROBLEM: Final = 1_000  # characters
_OURS: Final = "the routes of this process are those of the file again"
_THEIRS: Final = (
    "another process was started with other routes, by which people are told now; this one still sends what waits for its own: "
    "give all processes of this file the same routes file, and restart them"
)


class Deliverer:
    """Delivers the notices of one store by the routes of one file, for as long as it is open: ``async with Deliverer(...)``.

    ``channels`` are those that the routes name; they are closed with it. ``jitter`` gives a random number from 0 to 1.
    ``settle`` is how many milliseconds a notice waits before it is told.
    """

    def __init__(
        self,
        store: ExecutionStore,
        routes: Routes,
        channels: Mapping[str, Channel],
        *,
        addresses: Addresses | None = None,
        public_url: str | None = None,
        concurrency: int = CONCURRENCY,
        jitter: Callable[[], float] = random.random,
        settle: int = SETTLE,
    ) -> None:
        missing = sorted({route.channel for route in routes.routes} - set(channels))
        if missing:
            raise InvalidArgument(f"The routes name the channel {missing[0]!r}, which nobody brings.")
        self.routes = routes
        self.outcomes: Counter[tuple[str, str]] = Counter()
        """How many attempts of each channel ended as ``delivered``, ``failed`` or ``given_up``, in this process."""
        self.is_superseded = False
        """Whether another process was started later with other routes, which are now those of the file."""
        self.tickets: Tickets | None = None
        """What makes the links with tickets, where a route has these."""
        self._store = store
        self._addresses = addresses or Addresses(routes, store=store)
        self._public_url = public_url
        self._concurrency = concurrency
        self._jitter = jitter
        self._settle = settle
        self._lines = {name: Line(channel) for name, channel in channels.items()}
        self._by_name = {route.name: route for route in routes.routes}
        self._events = frozenset(kind for route in routes.routes for kind in route.kinds)
        self._tasks: list[asyncio.Task[None]] = []
        self._unsubscribe: Callable[[], None] = lambda: None
        self._opened: OpenFile | None = None
        self._lease = 0

    @classmethod
    def of_file(
        cls,
        store: ExecutionStore,
        file: Routes | str | os.PathLike[str],
        *,
        channels: Mapping[str, Channel] | None = None,
        lookup: Lookup | None = None,
        members: Members | None = None,
        public_url: str | None = None,
        environ: Mapping[str, str] | None = None,
        vault: Vault | None = None,
    ) -> Self:
        """A deliverer by a routes file, with the channels that the file describes and those that the application brings.

        ``lookup`` and ``members`` are functions of the application that know addresses and groups. Secrets come from ``environ``,
        the environment of this process by default. ``vault`` seals the tickets of mails; without one these have plain links.
        Raises ``InvalidArgument``.
        """
        brought = dict(channels or {})
        routes = file if isinstance(file, Routes) else routes_file.read(Path(file), brought)
        public_url = None if public_url is None else public_url.rstrip("/")
        addresses = Addresses(routes, lookup, members, store)
        tickets = None
        if vault is not None and routes.has_tickets:
            tickets = Tickets(vault, public_url, addresses.groups_of)
        made = routes.channels(os.environ if environ is None else environ, public_url, tickets) | brought
        deliverer = cls(store, routes, made, addresses=addresses, public_url=public_url)
        deliverer.tickets = tickets
        return deliverer

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> Self:
        """Make the routes those of the file, and begin to deliver; on a full disk once there is room.

        Raises ``StorageError`` and its other kinds.
        """
        self._opened = await self._store.file()
        self._unsubscribe = self._store.subscribe(self._hear)
        try:
            await self._begin()
        except StorageFull as full:
            STORAGE_FAILURES.error(log, "nobody is told anything yet: %s", full)
            self._tasks = [asyncio.create_task(self._begin_later(), name="restpoint:outbox")]
        return self

    async def _begin_later(self) -> None:
        """Begin once there is room."""
        while True:
            await asyncio.sleep(1)
            try:
                await self._begin()
            except StorageError as error:
                STORAGE_FAILURES.error(log, "nobody is told anything yet: %s", error)
            else:
                return

    async def _begin(self) -> None:
        file = self._file
        self._lease = await file.take_lease()
        await file.database.write(outbox.register, [route.stored() for route in self.routes.routes])
        for name in self._lines:
            while await file.database.write(outbox.let_go, name, self._names(name)):
                pass
        self._tasks.append(asyncio.create_task(_repeat(self._poll), name="restpoint:outbox"))
        for name, line in self._lines.items():
            serve = _repeat(partial(self._serve, name, line))
            self._tasks.append(asyncio.create_task(serve, name=f"restpoint:outbox:{name}"))

    async def close(self) -> None:
        """End what is under way within a second, and close the channels. What was not delivered waits for the next process."""
        self._unsubscribe()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        sending = {task for line in self._lines.values() for task in line.sending}
        if sending:
            await asyncio.wait(sending, timeout=_CLOSE_SECONDS)
        for task in sending:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)
        if self._opened is not None:
            try:
                await self._opened.database.write(outbox.release, self._lease)
            except StorageError as error:  # a full disk keeps no process from its end; others take over what it had
                STORAGE_FAILURES.error(log, "the claims of the outbox could not be given up: %s", error)
        for name, line in self._lines.items():
            try:
                await line.channel.close()
            except Exception:  # the others are closed all the same
                log.exception("the channel %s could not be closed", name)

    @property
    def _file(self) -> OpenFile:
        if self._opened is None:
            raise StoreClosed("The deliverer is not open.")
        return self._opened

    # --- When ---

    def _hear(self, change: Change) -> None:
        if change.event in self._events:
            for line in self._lines.values():
                if line.heard is None:
                    line.heard = self._file.clock.now() + self._settle
                    line.changed.set()

    async def _poll(self) -> None:
        """Look once for what other processes wrote, and for what those left that are gone or stand still; then wait."""
        file = self._file
        newest = file.database.newest()
        self._wake_all()  # for what came while the file could not be read
        while True:
            if await outbox.leases(file.database) - {self._lease}:
                await file.database.write(outbox.take_over, self._lease)
                self._wake_all()
            await self._look_at_routes()
            for _ in range(10):
                await file.clock.sleep_until(file.clock.now() + _POLL)
                before, newest = newest, file.database.newest()
                if newest is None or newest != before:
                    self._wake_all()

    async def _look_at_routes(self) -> None:
        """Find out whether another process was started with other routes, and say so once."""
        counts = await outbox.are_registered(self._file.database, [route.stored() for route in self.routes.routes])
        if counts == self.is_superseded:
            self.is_superseded = not counts
            log.warning(_THEIRS if self.is_superseded else _OURS)

    def _names(self, channel: str) -> list[str]:
        return [route.name for route in self.routes.routes if route.channel == channel]

    def _wake_all(self) -> None:
        for line in self._lines.values():
            line.wake()

    async def _serve(self, name: str, line: Line) -> None:
        """Claim and send what is due for one channel, until cancelled."""
        file = self._file
        while True:
            line.changed.clear()
            free = self._concurrency - len(line.sending)
            if line.look and free and not line.is_quiet(file.clock.now()):
                line.look, line.heard = False, None
                try:
                    await self._claim(name, line, free)
                except BaseException:
                    line.look = True  # what was due is still due
                    raise
                continue
            await line.until_something(file.clock, self._concurrency)

    async def _claim(self, name: str, line: Line, most: int) -> None:
        """Begin to send what is due, at most ``most`` notices."""
        routes = self._opening(name, self._file.clock.now())
        # Whoever reads mail needs no second one about a question; a program may count on every event.
        claim = partial(outbox.claim, newest=self.routes.kinds.get(name) == "mail")
        claimed = await self._file.database.write(claim, name, self._lease, most, routes, self._settle)
        for notice in claimed:
            line.begin(self._deliver(name, line, notice), notice.id)
        if len(claimed) == most:
            line.look = True
        else:
            await self._plan(name, line)

    def _opening(self, channel: str, now: int) -> dict[str, int | None]:
        """The routes of a channel, with when their hours begin, in milliseconds since the epoch; None where they are now."""
        opens = {
            route.name: now if route.hours is None else route.hours.next_opening(now)
            for route in self.routes.routes
            if route.channel == channel
        }
        return {name: at if at > now else None for name, at in opens.items()}

    async def _plan(self, name: str, line: Line) -> None:
        """Find out when something of a line falls due."""
        due = await outbox.next_due(self._file.database, name, self._names(name))
        line.next_due = None if due is None else due + self._settle

    # --- One notice ---

    async def _deliver(self, name: str, line: Line, notice: outbox.Claimed) -> None:
        """One attempt, with what came of it in the file."""
        try:
            async with asyncio.timeout(SEND_SECONDS):
                is_handed_on = await self._attempt(name, line.channel, notice)
            if is_handed_on:
                line.wake()
                return
        except DeliveryFailed as failed:
            failure = failed
        except TimeoutError:
            failure = DeliveryFailed(f"Nobody took it within {SEND_SECONDS:g} seconds.")
        except BaseException as error:  # a channel, or a function of the application, may raise anything
            if _ends_task(error):
                raise
            log.exception("the channel %s failed at notice %s", name, notice.id)
            failure = DeliveryFailed(f"The channel {name} failed with {type(error).__name__}; the log has more.")
        else:
            await self._record(outbox.delivered, notice, self._lease)
            self.outcomes[name, "delivered"] += 1
            line.is_failing = False
            return
        await self._failed(name, line, notice, failure)

    async def _failed(self, name: str, line: Line, notice: outbox.Claimed, failure: DeliveryFailed) -> None:
        self.outcomes[name, "failed"] += 1
        delay = self._delay(notice.attempt, failure.retry_after)
        problem = failure.problem[:_LONGEST_PROBLEM]
        log.info("notice %s was not delivered by %s: %s", notice.id, notice.route, problem)
        if not line.is_failing and not failure.is_final:
            line.is_failing = True
            log.warning(
                "the channel %s did not deliver; what is to be told waits, and is tried again: %s", name, problem
            )
        if failure.retry_after is not None:
            now = self._file.clock.now()
            line.quiet = now, now + round(failure.retry_after * 1000)
        if failure.disables:
            log.warning("the route %s is disabled: %s", notice.route, problem)
        again = delay if failure.disables or not failure.is_final else None
        failed = partial(outbox.failed, disables=failure.disables)
        status = await self._record(failed, notice, self._lease, problem, again)
        if status == "given_up":
            self.outcomes[name, "given_up"] += 1
            log.warning("notice %s is given up, by the route %s: %s", notice.id, notice.route, problem)
        await self._plan(name, line)

    async def _attempt(self, name: str, channel: Channel, notice: outbox.Claimed) -> bool:
        """Send a notice, or replace it by one for each person; whether that."""
        route = self._by_name[notice.route]
        if route.to and notice.recipient is None:
            await self._fan_out(route, notice)
            return True
        recipient = None
        if notice.recipient is not None:
            address = await self._addresses.address(notice.recipient, name)
            if address is None:
                raise DeliveryFailed(no_address(notice.recipient, name))
            recipient = Recipient(name=notice.recipient, address=address)
        await channel.send(await self._notice(notice, recipient))
        return False

    def _delay(self, attempt: int, retry_after: float | None) -> int:
        """Milliseconds until the next attempt: random, up to a limit that doubles; but not before the receiver wants it."""
        most: int = min(LONGEST_DELAY, FIRST_DELAY << min(attempt - 1, 20))
        return max(round(self._jitter() * most), round((retry_after or 0) * 1000), 1)

    async def _fan_out(self, route: RouteSettings, notice: outbox.Claimed) -> None:
        """Replace a notice by one for each person whom its route tells."""
        found = await self._addresses.told(route, notice)
        if not found:
            raise DeliveryFailed("There is nobody to tell who may answer it.", is_final=True)
        people = [(self._file.identifiers.new(), person, problem) for person, problem in found.items()]
        await self._record(outbox.fan_out, notice, self._lease, people)

    async def _notice(self, row: outbox.Claimed, recipient: Recipient | None) -> Notice:
        """The notice that a claimed row tells."""
        detail: Any = decode(row.detail)
        kind = EventKind.named(row.event)
        if kind is None:
            raise DeliveryFailed(f"This version does not know the event {row.event}.", is_final=True)
        if kind.journal_field is not None:
            events = await history.events_of(self._file.database, row.execution_id, row.sequence - 1, 1)
            detail = events[0].detail if events else detail
        return notice_of(row, kind, detail, recipient, self._public_url)

    async def _record(self, job: Callable[..., Any], *arguments: Any) -> Any:
        """Write what came of an attempt, and wait for room where the storage has none."""
        while True:
            try:
                return await self._file.database.write(job, *arguments)
            except StoreClosed:
                return None
            except StorageError as error:
                STORAGE_FAILURES.error(log, "the outcome of a delivery could not be written: %s", error)
                await asyncio.sleep(1)


def _ends_task(error: BaseException) -> bool:
    """Whether an error is the end of the current task, and not one of what the task does.

    A ``CancelledError`` that nobody asked for, or a ``SystemExit``, is the failure of an attempt like any other.
    """
    try:
        task = asyncio.current_task()
    except RuntimeError:  # the loop is gone
        task = None
    was_cancelled = isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0
    return task is None or was_cancelled or isinstance(error, KeyboardInterrupt)


async def _repeat(step: Callable[[], Awaitable[None]]) -> None:
    """Repeat a step until cancelled; after an error, such as a full disk, try again a second later."""
    while True:
        try:
            await step()
        except StorageError as error:
            STORAGE_FAILURES.error(log, "the outbox could not be read or written: %s", error)
            await asyncio.sleep(1)
        except Exception:
            log.exception("the outbox: something is wrong; trying again")
            await asyncio.sleep(1)
