"""The handlers of the auditors' routes: read the request, ask the auditor behind the service, stream what it finds.

Rows are JSON Lines, one object a line, sent as they are read. An export ends in the middle at a row that is not what was written:
the client misses the end of the reply, and the manifest says why.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from restpoint.access import Actor
from restpoint.audit.export import MEDIA_TYPES, Format
from restpoint.audit.reports import QUESTIONS, Filters
from restpoint.errors import NotAllowed
from restpoint.http import parameters
from restpoint.http.bodies import json_response
from restpoint.http.problems import Problem
from restpoint.service import Service

LINES: Final = MEDIA_TYPES["jsonl"]

_UNSTORED: Final = {"cache-control": "no-store"}


class AuditHandlers:
    """The auditors' routes of one service. ``actor`` says who sent a request, and raises if that is unknown."""

    def __init__(self, service: Service, actor: Callable[[Request], Awaitable[Actor]]) -> None:
        self._service = service
        self._actor = actor

    async def query(self, request: Request) -> Response:
        """Query the rows of the history."""
        auditor = self._service.auditor(await self._actor(request))
        after, limit = parameters.AFTER.of(request) or 0, parameters.ROWS.of(request)
        return await self._streamed(request, auditor.events(_filters(request), after, limit), LINES)

    async def questions(self, request: Request) -> Response:
        """List the questions that can be asked."""
        self._service.auditor(await self._actor(request))
        items = [{"name": each.name, "title": each.title, "view": each.view} for each in QUESTIONS.values()]
        return json_response({"items": items}, headers=_UNSTORED)

    async def report(self, request: Request) -> Response:
        """Answer a question with rows of the history."""
        auditor = self._service.auditor(await self._actor(request))
        rows = auditor.answers(request.path_params["question"], _filters(request))
        return await self._streamed(request, rows, LINES)

    async def timeline(self, request: Request) -> Response:
        """Show everything that happened to one execution."""
        auditor = self._service.auditor(await self._actor(request))
        return await self._streamed(request, auditor.timeline(request.path_params["execution_id"]), LINES)

    async def export(self, request: Request) -> Response:
        """Export a range of the history, as bytes that are the same every time."""
        auditor = self._service.auditor(await self._actor(request))
        form, limits = _range(request)
        headers = {"content-disposition": f'attachment; filename="history.{form}"'}
        return await self._streamed(request, auditor.export(form, **limits), MEDIA_TYPES[form], headers)

    async def manifest(self, request: Request) -> Response:
        """Describe the bytes of an export."""
        auditor = self._service.auditor(await self._actor(request))
        form, limits = _range(request)
        return json_response(await auditor.manifest(form, **limits), headers=_UNSTORED)

    async def head(self, request: Request) -> Response:
        """Show the newest row of the history, to be kept elsewhere."""
        head = await self._service.auditor(await self._actor(request)).head()
        return json_response(head, headers=_UNSTORED)

    async def _streamed(
        self,
        request: Request,
        pieces: AsyncGenerator[bytes, None],
        media_type: str,
        headers: dict[str, str] | None = None,
    ) -> Response:
        """A reply that is sent in pieces. The first is read before the reply begins, so that a refusal still has a status.

        Before each further piece the credentials are looked at again: an export of a large file takes minutes.
        """
        try:
            first = await anext(pieces, b"")
        except BaseException:
            await pieces.aclose()
            raise

        async def all_of_it() -> AsyncIterator[bytes]:
            async with aclosing(pieces):
                if request.method == "HEAD":
                    return
                yield first
                async for piece in pieces:
                    await self._check_again(request)
                    yield piece

        return StreamingResponse(all_of_it(), headers={**_UNSTORED, **(headers or {})}, media_type=media_type)

    async def _check_again(self, request: Request) -> None:
        """Raise ``Problem`` where whoever sent the request may not audit any more."""
        try:
            self._service.auditor(await self._actor(request))
        except (HTTPException, NotAllowed) as error:
            raise Problem("not_allowed", f"The credentials of an auditor are not valid any more: {error}") from error


def _filters(request: Request) -> Filters:
    return Filters(
        parameters.FROM.of(request),
        parameters.TO.of(request),
        workflow=parameters.WORKFLOW.of(request),
        actor=parameters.ACTOR.of(request),
        event=parameters.EVENT.of(request),
        status=parameters.STATUS.of(request),
        execution_id=parameters.EXECUTION.of(request),
    )


def _range(request: Request) -> tuple[Format, dict[str, int | None]]:
    limits = {
        "first": parameters.FIRST.of(request),
        "last": parameters.LAST.of(request),
        "since": parameters.FROM.of(request),
        "until": parameters.TO.of(request),
    }
    return parameters.FORMAT.of(request) or "jsonl", limits
