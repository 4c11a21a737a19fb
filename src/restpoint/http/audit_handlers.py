"""What the auditors' routes do: read the request, ask the auditor behind the desk, stream what it finds.

Rows are JSON Lines, one object a line, sent as they are read. An export that comes to a row that is not what was written
ends in the middle: the client misses the end of the reply, and the manifest tells.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from restpoint._core import timestamps
from restpoint.access import Actor
from restpoint.audit.export import MEDIA_TYPES, Format, form_of
from restpoint.audit.reports import QUESTIONS, Filters
from restpoint.http import requests
from restpoint.service import Desk

LINES: Final = MEDIA_TYPES["jsonl"]


class Auditing:
    """The routes of one desk. ``actor`` tells who sent a request."""

    def __init__(self, desk: Desk, actor: Callable[[Request], Awaitable[Actor]]) -> None:
        self._desk = desk
        self._actor = actor

    async def query(self, request: Request) -> Response:
        """Rows of the history."""
        auditor = self._desk.auditor(await self._actor(request))
        after = requests.whole("after", requests.one(request, "after"), 0)
        limit = requests.whole("limit", requests.one(request, "limit"), 0, 1) or None
        return await _streamed(auditor.events(_filters(request), after, limit), LINES)

    async def questions(self, request: Request) -> Response:
        """What can be asked."""
        self._desk.auditor(await self._actor(request))
        items = [{"name": each.name, "title": each.title, "view": each.view} for each in QUESTIONS.values()]
        return _json({"items": items})

    async def report(self, request: Request) -> Response:
        """The rows that answer a question."""
        auditor = self._desk.auditor(await self._actor(request))
        return await _streamed(auditor.answers(request.path_params["question"], _filters(request)), LINES)

    async def timeline(self, request: Request) -> Response:
        """Everything that happened to one execution."""
        auditor = self._desk.auditor(await self._actor(request))
        return await _streamed(auditor.timeline(request.path_params["execution_id"]), LINES)

    async def export(self, request: Request) -> Response:
        """A range of the history, as bytes that are the same every time."""
        auditor = self._desk.auditor(await self._actor(request))
        form, of = _range(request)
        headers = {"content-disposition": f'attachment; filename="history.{form}"'}
        return await _streamed(auditor.export(form, **of), MEDIA_TYPES[form], headers)

    async def manifest(self, request: Request) -> Response:
        """What the bytes of an export are."""
        auditor = self._desk.auditor(await self._actor(request))
        form, of = _range(request)
        return _json(await auditor.manifest(form, **of))

    async def head(self, request: Request) -> Response:
        """The newest row, to be kept elsewhere."""
        return _json(await self._desk.auditor(await self._actor(request)).head())


def _filters(request: Request) -> Filters:
    workflow, actor, event, status = (requests.one(request, name) for name in ("workflow", "actor", "event", "status"))
    return Filters(*_times(request), workflow=workflow, actor=actor, event=event, status=status)


def _times(request: Request) -> tuple[int | None, int | None]:
    since, until = requests.one(request, "from"), requests.one(request, "to")
    return None if since is None else timestamps.since(since), None if until is None else timestamps.until(until)


def _range(request: Request) -> tuple[Format, dict[str, int | None]]:
    form = form_of(requests.one(request, "format") or "jsonl")
    since, until = _times(request)
    first, last = (requests.whole(name, requests.one(request, name), 0, 1) or None for name in ("first", "last"))
    return form, {"first": first, "last": last, "since": since, "until": until}


def _json(data: object) -> Response:
    return Response(to_json(data), headers={"cache-control": "no-store"}, media_type="application/json")


async def _streamed(
    pieces: AsyncGenerator[bytes, None], media_type: str, headers: dict[str, str] | None = None
) -> Response:
    """A reply of pieces. What is refused is refused with a status: the first piece comes before the reply begins."""
    try:
        first = await anext(pieces, b"")
    except BaseException:
        await pieces.aclose()
        raise

    async def all_of_it() -> AsyncGenerator[bytes, None]:
        try:
            yield first
            async for piece in pieces:
                yield piece
        finally:
            await pieces.aclose()

    return StreamingResponse(
        all_of_it(), headers={"cache-control": "no-store", **(headers or {})}, media_type=media_type
    )
