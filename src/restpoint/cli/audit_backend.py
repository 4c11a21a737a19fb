"""The two backends of the audit commands: a file on this machine, or a server over HTTP."""

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, Final

from restpoint._storage import hash_chain, reading, search
from restpoint.audit import export as exports
from restpoint.audit import reports
from restpoint.audit.export import Format
from restpoint.audit.reports import Answer, Filters
from restpoint.audit.signing import SigningKey, seal_head
from restpoint.cli.abbreviations import CANDIDATES, find_on_server, only_one
from restpoint.cli.options import existing
from restpoint.cli.terminal import Usage
from restpoint.errors import ServerUnreachable

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Manifest = dict[str, Any]


class FileAudit:
    """A file on this machine, with a read-only connection. The methods of both backends raise ``RestpointError``."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def events(self, filters: Filters, after: int, limit: int | None) -> Iterator[Answer]:
        """Yield rows of the history."""
        return islice(reports.events(self.connection, filters, after), limit)

    def answers(self, name: str, filters: Filters) -> Iterator[Answer]:
        """Yield the rows of a report."""
        return reports.answers(self.connection, name, filters)

    def timeline(self, part: str) -> Iterator[Answer]:
        """Yield the history of the execution whose id begins or ends with ``part``."""
        return reports.timeline(self.connection, self.find(part))

    def find(self, part: str) -> str:
        """The id of the execution whose id begins or ends with ``part``, also of one that has left the file."""
        return only_one(part, search.ids_in_history(self.connection, part, CANDIDATES + 1))

    def pruned(self) -> int:
        """The last row that retention removed, which no answer tells of; 0 where none is known."""
        try:
            return hash_chain.read_anchor(self.connection).sequence
        except hash_chain.Broken:  # which a verification finds
            return 0

    def head(self, key: Path | None) -> str:
        """Return the sequence and digest of the newest row, signed if there is a key."""
        try:
            newest = hash_chain.read_head(self.connection)
        except hash_chain.Broken as broken:
            raise exports.damaged(broken) from None
        return str(newest) if key is None else seal_head(newest, SigningKey.read(key))

    def export(
        self, form: Format, of: dict[str, int | None], key: Path | None
    ) -> tuple[Iterator[bytes], Callable[[], Manifest]]:
        """Return the bytes of an export, and a function that returns its manifest after the bytes were read."""
        signer = None if key is None else SigningKey.read(key)
        export = exports.Export(self.connection, exports.span(self.connection, **of), form)
        return iter(export), lambda: export.manifest(signer)


class ServerAudit:
    """A server, over HTTP. The token of the environment determines the actor. The server signs with its own key."""

    def __init__(self, url: str, loop: asyncio.Runner) -> None:
        from restpoint.client.client import Client

        self._url = url
        self._loop = loop
        self._client = Client(url, os.environ.get("RESTPOINT_TOKEN") or None)

    def close(self) -> None:
        """Close the connections."""
        self._loop.run(self._client.close())

    def events(self, filters: Filters, after: int, limit: int | None) -> Iterator[Answer]:
        """As ``FileAudit.events``."""
        return self._rows("query", _query_of(filters), after=after, limit=limit)

    def answers(self, name: str, filters: Filters) -> Iterator[Answer]:
        """As ``FileAudit.answers``."""
        return self._rows(f"report/{reports.question(name).name}", _query_of(filters))

    def timeline(self, part: str) -> Iterator[Answer]:
        """As ``FileAudit.timeline``. An abbreviated id is searched among the executions that are still in the file."""
        return self._rows(f"timeline/{self.find(part)}", {})

    def find(self, part: str) -> str:
        """As ``FileAudit.find``, among the executions that are still in the file unless the id is whole."""
        return self._loop.run(find_on_server(self._client, part))

    def pruned(self) -> int:
        """0: a server does not tell it."""
        return 0

    def head(self, key: Path | None) -> str:
        """As ``FileAudit.head``."""
        self._refuse_key(key)
        return str(self._json("head", {})["head"])

    def export(
        self, form: Format, of: dict[str, int | None], key: Path | None
    ) -> tuple[Iterator[bytes], Callable[[], Manifest]]:
        """As ``FileAudit.export``. The received bytes are compared with the digest in the manifest."""
        self._refuse_key(key)
        times = {"from": _iso(of["since"]), "to": _iso(of["until"])}
        manifest = self._json("export/manifest", {"format": form, "first": of["first"], "last": of["last"], **times})
        selection = {"format": form, "first": manifest["first"], "last": manifest["last"]}

        def pieces() -> Iterator[bytes]:
            digest = sha256()
            for piece in self._pieces("export", selection):
                digest.update(piece)
                yield piece
            if digest.hexdigest() != manifest["sha256"]:
                raise ServerUnreachable(self._url, "the received export does not match its manifest")

        return pieces(), lambda: manifest

    def _refuse_key(self, key: Path | None) -> None:
        if key is not None:
            raise Usage("A server signs with its own key, if it has one.\nLeave out --key.")

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
        document: dict[str, Any] = json.loads(b"".join(self._pieces(what, params)))
        return document


async def _next(pieces: AsyncGenerator[bytes, None]) -> bytes | None:
    return await anext(pieces, None)


def _query_of(filters: Filters) -> dict[str, Any]:
    others = {name: getattr(filters, name) for name in ("workflow", "actor", "event", "status")}
    return {**others, "execution": filters.execution_id, "from": _iso(filters.since), "to": _iso(filters.until)}


def _iso(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else (_EPOCH + timedelta(milliseconds=milliseconds)).isoformat()


@contextmanager
def open_audit_backend(database: str, url: str | None) -> Iterator[FileAudit | ServerAudit]:
    """Open the backend for the options of a command."""
    if url is None:
        with reading(existing(database)) as connection:
            yield FileAudit(connection)
        return
    with asyncio.Runner() as loop:
        server = ServerAudit(url, loop)
        try:
            yield server
        finally:
            server.close()
