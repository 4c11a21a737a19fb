"""What the processes do that ``test_telling_kills.py`` kills: ask, answer, and tell of it over a real socket."""

import asyncio
import json
from pathlib import Path
from random import Random

from faults.harness import Link
from restpoint import ExecutionStore
from restpoint.errors import Refused
from restpoint.notify import routes_file
from restpoint.notify.deliverer import Deliverer
from restpoint.notify.notices import DeliveryFailed, Notice
from support import ADA, TEXT, sought

ROUTES = '[[routes]]\nname = "questions"\nchannel = "receiver"\n'


class Receiver:
    """A channel that posts each notice to a port of this machine."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def send(self, notice: Notice) -> None:
        body = json.dumps([notice.id, notice.attempt, notice.execution_id, notice.interaction_id]).encode()
        head = f"POST / HTTP/1.1\r\nHost: receiver\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            try:
                writer.write(head.encode() + body)
                await writer.drain()
                line = await reader.readline()
            finally:
                writer.close()
        except OSError as error:
            raise DeliveryFailed(f"The receiver cannot be reached: {error}.") from None
        if b" 200 " not in line:
            raise DeliveryFailed(f"The receiver said {line!r}.")

    async def close(self) -> None:
        pass


def deliverer(store: ExecutionStore, path: str, port: int) -> Deliverer:
    """A deliverer whose attempts follow each other closely."""
    file = Path(path).with_suffix(".toml")
    file.write_text(ROUTES)
    channel = {"receiver": Receiver(port)}
    return Deliverer(store, routes_file.read(file, channel), channel, jitter=lambda: 0.002, settle=0)


async def tell(link: Link, path: str, port: int, seed: int, writers: int) -> None:
    """Ask and answer, several at a time, and tell of the questions, until the test kills this process."""
    random = Random(seed)
    async with ExecutionStore(None, database=path) as store, deliverer(store, path, port):

        async def work() -> None:
            while True:
                record = await store.create_execution()
                pending = await store.set_interaction_required(record.execution_id, TEXT)
                link.tell("asked", record.execution_id, pending.interaction_id)
                match random.randrange(4):
                    case 0:
                        await store.resolve_interaction(record.execution_id, pending.interaction_id, ADA)
                    case 1:
                        await asyncio.sleep(random.uniform(0, 0.02))
                        await store.cancel(record.execution_id)
                    case _:
                        await asyncio.sleep(random.uniform(0, 0.01))

        link.tell("open")
        await asyncio.gather(*(work() for _ in range(writers)))


async def finish(link: Link, path: str, port: int) -> None:
    """Answer some of what was left, and tell of the rest until nothing waits any more."""
    async with ExecutionStore(None, database=path) as store:
        page = await store.list(status="interaction_required", limit=20)
        for item in page.items[::2]:
            record = await store.get(item.execution_id)
            for pending in () if record is None else record.pending_interactions:
                try:
                    await store.resolve_interaction(item.execution_id, pending.interaction_id, ADA)
                except Refused:
                    continue
        async with deliverer(store, path, port):
            await sought(store.gauges, lambda gauges: not gauges.notices.count)
        link.tell("done")
