"""Reads the history for auditors over HTTP: on threads, through connections of their own, piece by piece.

So the event loop is not blocked, and a slow reader keeps no snapshot open. One auditor has at most ``AT_ONCE`` threads.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic_core import to_json

from restpoint._core.threads import in_thread
from restpoint._storage import Connection, hash_chain, reading
from restpoint.audit import export as exports
from restpoint.audit import reports
from restpoint.audit.export import Export, Format
from restpoint.audit.reports import Answer, Filters
from restpoint.audit.signing import SigningKey, seal_head
from restpoint.errors import ExecutionNotFound

T = TypeVar("T")

AT_ONCE: Final = 2
_PIECE_BYTES: Final = 256 * 1024  # of lines that are sent together; a line may be longer


class Auditor:
    """Reads the history of a file. With a ``key``, heads and manifests are signed."""

    def __init__(self, path: Path, key: SigningKey | None = None) -> None:
        self._path = path
        self._key = key
        self._turns = asyncio.Semaphore(AT_ONCE)

    def events(self, filters: Filters, after: int, limit: int | None) -> AsyncGenerator[bytes, None]:
        """Return rows of the history as JSON Lines, see ``reports.events``; at most ``limit``."""
        return self._pieces(lambda connection: _lines(islice(reports.events(connection, filters, after), limit)))

    def answers(self, name: str, filters: Filters) -> AsyncGenerator[bytes, None]:
        """Return the rows that answer a question as JSON Lines. The first piece raises ``InvalidArgument``."""
        return self._pieces(lambda connection: _lines(reports.answers(connection, name, filters)))

    def timeline(self, execution_id: str) -> AsyncGenerator[bytes, None]:
        """Return everything that happened to one execution as JSON Lines. The first piece raises ``ExecutionNotFound``."""

        def told(connection: Connection) -> Iterator[bytes]:
            lines = list(_lines(reports.timeline(connection, execution_id)))
            if not lines:
                raise ExecutionNotFound(execution_id)
            return iter(lines)

        return self._pieces(told)

    def export(self, form: Format, **of: int | None) -> AsyncGenerator[bytes, None]:
        """Return the bytes of an export. ``of`` are the arguments of ``export.span``, whose errors the first piece raises."""
        return self._pieces(lambda connection: Export(connection, exports.span(connection, **of), form))

    async def manifest(self, form: Format, **of: int | None) -> dict[str, Any]:
        """Return the manifest of an export, which is made for this. Raises the errors of ``export.span``."""
        made: list[dict[str, Any]] = []

        def make(connection: Connection) -> Iterator[bytes]:
            export = Export(connection, exports.span(connection, **of), form)
            yield from export
            made.append(export.manifest(self._key))

        async for _ in self._pieces(make):
            pass
        return made[0]

    async def head(self) -> dict[str, Any]:
        """Return the head of the history, to be kept elsewhere; signed if there is a key."""

        def look() -> dict[str, Any]:
            with reading(self._path) as connection:
                try:
                    head = hash_chain.read_head(connection)
                except hash_chain.Broken as broken:
                    raise exports.damaged(broken) from None
            token = str(head) if self._key is None else seal_head(head, self._key)
            return {"sequence": head.sequence, "digest": head.digest.hex(), "head": token}

        return await self._in_turn(look)

    async def _pieces(self, make: Callable[[Connection], Iterable[bytes]]) -> AsyncGenerator[bytes, None]:
        opened = ExitStack()
        try:
            pieces = await self._in_turn(lambda: iter(make(opened.enter_context(reading(self._path)))))
            while (piece := await self._in_turn(partial(next, pieces, None))) is not None:
                yield piece
        finally:
            await self._in_turn(opened.close)

    async def _in_turn(self, work: Callable[[], T]) -> T:
        """Do the work on a thread. A cancelled caller waits for the thread, so that nothing is closed which it still reads."""
        async with self._turns:
            done = asyncio.ensure_future(in_thread(work))
            try:
                return await asyncio.shield(done)
            except asyncio.CancelledError:
                await asyncio.wait({done})
                raise


def _lines(answers: Iterator[Answer]) -> Iterator[bytes]:
    lines, size = [], 0
    for row in answers:
        lines.append(to_json(row, inf_nan_mode="null") + b"\n")
        size += len(lines[-1])
        if size >= _PIECE_BYTES:
            yield b"".join(lines)
            lines, size = [], 0
    if lines:
        yield b"".join(lines)
