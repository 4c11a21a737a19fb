"""The outbox of a server, for operators: what is still to be told, and what became of it."""

from collections.abc import AsyncIterator, Sequence
from urllib.parse import quote

from restpoint._core.serialization import encode
from restpoint.client import responses
from restpoint.client.connection import Connection
from restpoint.models import NoticeItem, NoticeList, RouteItem, RouteList


class Outbox:
    """The verbs of ``Client.outbox``. Each raises ``NotAllowed`` for who is no operator; readers may look."""

    def __init__(self, server: Connection) -> None:
        self._server = server

    async def list(
        self,
        *,
        status: str | None = None,
        route: str | None = None,
        execution_id: str | None = None,
        page_size: int = 100,
    ) -> AsyncIterator[NoticeItem]:
        """The notices, the newest first, page after page. Raises ``InvalidArgument``."""
        cursor = None
        while True:
            given = {"limit": page_size, "status": status, "route": route, "execution": execution_id, "cursor": cursor}
            params = {name: value for name, value in given.items() if value is not None}
            page = responses.read(NoticeList, await self._server.send("GET", "/outbox", params=params))
            for item in page.items:
                yield item
            cursor = page.next_cursor
            if cursor is None:
                return

    async def show(self, notice_id: str) -> NoticeItem:
        """One notice. Raises ``NoticeNotFound``."""
        return responses.read(NoticeItem, await self._server.send("GET", f"/outbox/{quote(notice_id, safe='')}"))

    async def retry(self, notice_id: str) -> None:
        """Have a notice tried again at once. Raises ``NoticeNotFound``, and ``Conflict`` where it is settled."""
        await self._server.send("POST", f"/outbox/{quote(notice_id, safe='')}/retry")

    async def drop(self, notice_id: str, reason: str | None = None) -> None:
        """Have a notice never be delivered. Raises ``NoticeNotFound``, and ``Conflict`` where it is settled."""
        body = None if reason is None else encode({"reason": reason})
        await self._server.send("POST", f"/outbox/{quote(notice_id, safe='')}/drop", body=body)

    async def routes(self) -> Sequence[RouteItem]:
        """The routes by which people are told."""
        return responses.read(RouteList, await self._server.send("GET", "/routes")).items

    async def enable(self, route: str) -> None:
        """Send by a route again whose receiver was gone. Raises ``UnknownRoute``."""
        await self._server.send("POST", f"/routes/{quote(route, safe='')}/enable")
