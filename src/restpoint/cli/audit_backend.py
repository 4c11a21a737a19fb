"""Where the history is read: a file on this machine, or a server. The auditors' commands need not know which."""

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, Final, Protocol

from restpoint._storage import hash_chain, search
from restpoint._storage.sqlite.connection import reading
from restpoint.audit import export as exports
from restpoint.audit import reports, signed_heads
from restpoint.audit.export import Format
from restpoint.audit.reports import Answer, Filters
from restpoint.audit.signing import SigningKey
from restpoint.cli import backend
from restpoint.cli.backend import CANDIDATES, ambiguous
from restpoint.cli.local import existing
from restpoint.cli.terminal import Usage
from restpoint.errors import ExecutionNotFound, ServerUnreachable

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Manifest = dict[str, Any]


class Source(Protocol):
    """What the commands ask for. The errors are restpoint's."""

    def events(self, filters: Filters, after: int, limit: int | None) -> Iterator[Answer]:
        """Rows of the history."""

    def answers(self, name: str, filters: Filters) -> Iterator[Answer]:
        """The rows that answer a question."""

    def timeline(self, part: str) -> Iterator[Answer]:
        """Everything that happened to the execution whose id begins or ends so."""

    def head(self, key: Path | None) -> str:
        """The newest row, signed where there is a key."""

    def export(
        self, form: Format, of: dict[str, int | None], key: Path | None
    ) -> tuple[Iterator[bytes], Callable[[], Manifest]]:
        """The bytes of an export, and what gives its manifest once they have been taken."""


class File:
    """A file on this machine, read with a connection of its own."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def events(self, filters: Filters, after: int, limit: int | None) -> Iterator[Answer]:
        """As ``Source.events``."""
        return islice(reports.events(self.connection, filters, after), limit)

    def answers(self, name: str, filters: Filters) -> Iterator[Answer]:
        """As ``Source.answers``."""
        return reports.answers(self.connection, name, filters)

    def timeline(self, part: str) -> Iterator[Answer]:
        """As ``Source.timeline``."""
        found = search.ids_in_history(self.connection, part, CANDIDATES + 1)
        if not found:
            raise ExecutionNotFound(part)
        if len(found) > 1:
            raise ambiguous(part, sorted(found))
        return reports.timeline(self.connection, found[0])

    def head(self, key: Path | None) -> str:
        """As ``Source.head``."""
        try:
            newest = hash_chain.read_head(self.connection)
        except hash_chain.Broken as broken:
            raise exports.damaged(broken) from None
        return str(newest) if key is None else signed_heads.seal(newest, SigningKey.read(key))

    def export(
        self, form: Format, of: dict[str, int | None], key: Path | None
    ) -> tuple[Iterator[bytes], Callable[[], Manifest]]:
        """As ``Source.export``."""
        signer = None if key is None else SigningKey.read(key)
        export = exports.Export(self.connection, exports.span(self.connection, **of), form)
        return iter(export), lambda: export.manifest(signer)


class Server:
    """A server, by its HTTP interface. Who asks is whoever the token says; it signs with a key of its own."""

    def __init__(self, url: str, loop: asyncio.Runner) -> None:
        from restpoint.client.client import Client

        self._url = url
        self._loop = loop
        self._client = Client(url, os.environ.get("RESTPOINT_TOKEN") or None)

    def close(self) -> None:
        """Close the connections."""
        self._loop.run(self._client.close())

    def events(self, filters: Filters, after: int, limit: int | None) -> Iterator[Answer]:
        """As ``Source.events``."""
        return self._rows("query", _sent(filters), after=after, limit=limit)

    def answers(self, name: str, filters: Filters) -> Iterator[Answer]:
        """As ``Source.answers``."""
        return self._rows(f"report/{reports.question(name).name}", _sent(filters))

    def timeline(self, part: str) -> Iterator[Answer]:
        """As ``Source.timeline``; an abbreviated id is looked for among the executions that have not left the file."""
        return self._rows(f"timeline/{self._loop.run(self._find(part))}", {})

    async def _find(self, part: str) -> str:
        async with backend.Server(self._url, os.environ.get("RESTPOINT_TOKEN") or None) as server:
            return await server.find(part)

    def head(self, key: Path | None) -> str:
        """As ``Source.head``."""
        self._no_key(key)
        return str(self._json("head", {})["head"])

    def export(
        self, form: Format, of: dict[str, int | None], key: Path | None
    ) -> tuple[Iterator[bytes], Callable[[], Manifest]]:
        """As ``Source.export``. What comes is compared with the manifest."""
        self._no_key(key)
        times = {"from": _moment(of["since"]), "to": _moment(of["until"])}
        manifest = self._json("export/manifest", {"format": form, "first": of["first"], "last": of["last"], **times})
        these = {"format": form, "first": manifest["first"], "last": manifest["last"]}

        def pieces() -> Iterator[bytes]:
            came = sha256()
            for piece in self._pieces("export", these):
                came.update(piece)
                yield piece
            if came.hexdigest() != manifest["sha256"]:
                raise ServerUnreachable(self._url, "the export that came is not the one of its manifest")

        return pieces(), lambda: manifest

    def _no_key(self, key: Path | None) -> None:
        if key is not None:
            raise Usage("A server signs with a key of its own, if it was given one.\nLeave --key out.")

    def _pieces(self, what: str, params: dict[str, Any]) -> Iterator[bytes]:
        pieces: AsyncGenerator[bytes, None] = self._client.audit(what, **params)
        try:
            while (piece := self._loop.run(_next(pieces))) is not None:
                yield piece
        finally:
            self._loop.run(pieces.aclose())

    def _rows(self, what: str, params: dict[str, Any], **more: int | None) -> Iterator[Answer]:
        rest = b""
        for piece in self._pieces(what, {**params, **more}):
            *lines, rest = (rest + piece).split(b"\n")
            yield from map(json.loads, lines)

    def _json(self, what: str, params: dict[str, Any]) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(b"".join(self._pieces(what, params)))
        return told


async def _next(pieces: AsyncGenerator[bytes, None]) -> bytes | None:
    return await anext(pieces, None)


def _sent(filters: Filters) -> dict[str, Any]:
    told = {name: getattr(filters, name) for name in ("workflow", "actor", "event", "status")}
    return {**told, "from": _moment(filters.since), "to": _moment(filters.until)}


def _moment(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else (_EPOCH + timedelta(milliseconds=milliseconds)).isoformat()


@contextmanager
def source(database: str, url: str | None) -> Iterator[Source]:
    """The source that the options of a command mean."""
    if url is None:
        with reading(existing(database)) as connection:
            yield File(connection)
        return
    with asyncio.Runner() as loop:
        server = Server(url, loop)
        try:
            yield server
        finally:
            server.close()
