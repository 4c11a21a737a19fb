"""What the tests of telling people share: a channel that keeps what it is given, and a routes file."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from restpoint import ExecutionStore
from restpoint.notify import routes_file
from restpoint.notify.addresses import Addresses
from restpoint.notify.deliverer import Deliverer
from restpoint.notify.notices import Channel, DeliveryFailed, Notice
from support import PATIENCE, eventually, rows


class TestChannel:
    """A channel that keeps what it was given, and fails as often as it is told to."""

    __test__ = False

    def __init__(self) -> None:
        self.sent: list[Notice] = []
        """Every attempt, in order, also those that failed."""
        self.failures: list[BaseException] = []
        """What the next attempts fail with, one by one."""
        self.always: BaseException | None = None
        self.gate: asyncio.Event | None = None
        """Where it is there, every attempt waits for it."""
        self.closed = False
        self._more = asyncio.Event()

    async def send(self, notice: Notice) -> None:
        self.sent.append(notice)
        self._more.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)
        if self.always is not None:
            raise self.always

    async def close(self) -> None:
        self.closed = True

    async def had(self, count: int) -> list[Notice]:
        """Every attempt, once there are so many."""
        async with asyncio.timeout(PATIENCE):
            while len(self.sent) < count:
                self._more.clear()
                await self._more.wait()
        return self.sent


def down(problem: str = "It is down.", **how: Any) -> DeliveryFailed:
    return DeliveryFailed(problem, **how)


def write_routes(folder: Path, text: str) -> Path:
    path = folder / "routes.toml"
    path.write_text(text)
    return path


def deliverer_of(
    store: ExecutionStore, folder: Path, text: str, *, jitter: float = 1.0, settle: int = 0, **channels: Channel
) -> Deliverer:
    """A deliverer by the routes in ``text``, with these channels."""
    routes = routes_file.read(write_routes(folder, text), channels)
    made: dict[str, Channel] = dict(channels)
    return Deliverer(store, routes, made, addresses=Addresses(routes), jitter=lambda: jitter, settle=settle)


def notices(path: Path, columns: str = "status") -> list[Any]:
    """The rows of the outbox, the oldest event first; bare values where one column is asked for."""
    found = rows(path, f"SELECT {columns} FROM outbox ORDER BY sequence, route, recipient")
    return [row[0] for row in found] if "," not in columns else found


async def settled(path: Path, wanted: Iterable[Any], columns: str = "status") -> None:
    """Return once the outbox has these statuses."""
    await until(lambda: notices(path, columns) == list(wanted), lambda: str(notices(path, columns)))


async def until(condition: Callable[[], bool], shown: Callable[[], str] = str) -> None:
    await eventually(condition)
    assert condition(), shown()
