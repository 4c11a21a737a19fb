"""Commands on the outbox: what is still to be told to people, and what became of it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer

from restpoint.cli import terminal
from restpoint.cli.options import DEFAULT_DATABASE, Database, Format, Output, Url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restpoint.access import Actor
    from restpoint.client.outbox import Outbox as ServerOutbox
    from restpoint.models import NoticeItem, RouteItem
    from restpoint.service.outbox import Outbox as OutboxService

outbox = typer.Typer(
    help="The notices that are still to be delivered, and what became of others.", no_args_is_help=True
)

_AT_ONCE: Final = 100  # retries that are asked for together, so that they share a transaction

NoticeId = Annotated[str, typer.Argument(help="The id of a notice.", show_default=False)]


class FileOutbox:
    """The outbox of a file on this machine. Its methods are those of ``Client.outbox``."""

    def __init__(self, service: "OutboxService", actor: "Actor") -> None:
        self._service = service
        self._actor = actor

    async def list(
        self, *, status: str | None = None, route: str | None = None, execution_id: str | None = None
    ) -> AsyncIterator["NoticeItem"]:
        """Yield notices, the newest first."""
        from restpoint.models import NoticeItem

        cursor: str | None = None
        while True:
            page = await self._service.list(
                self._actor, status=status, route=route, execution_id=execution_id, limit=200, cursor=cursor
            )
            for item in page.items:
                yield NoticeItem.model_validate(asdict(item))
            cursor = page.next_cursor
            if cursor is None:
                return

    async def show(self, notice_id: str) -> "NoticeItem":
        """Return one notice."""
        from restpoint.models import NoticeItem

        return NoticeItem.model_validate(asdict(await self._service.show(self._actor, notice_id)))

    async def retry(self, notice_id: str) -> None:
        """Have a notice tried again."""
        await self._service.retry(self._actor, notice_id)

    async def drop(self, notice_id: str, reason: str | None = None) -> None:
        """Have a notice never be delivered."""
        await self._service.drop(self._actor, notice_id, reason)

    async def routes(self) -> "Sequence[RouteItem]":
        """Return the routes."""
        from restpoint.models import RouteItem

        return [RouteItem.model_validate(asdict(each)) for each in await self._service.routes(self._actor)]

    async def enable(self, route: str) -> None:
        """Send by a route again."""
        await self._service.enable(self._actor, route)


@asynccontextmanager
async def open_outbox(database: str, url: str | None) -> AsyncIterator["FileOutbox | ServerOutbox"]:
    """The outbox of a file, or of a server."""
    import os

    if url is not None:
        from restpoint.client.client import Client

        async with Client(url, os.environ.get("RESTPOINT_TOKEN") or None) as client:
            yield client.outbox
        return
    from restpoint._store.store import ExecutionStore
    from restpoint.access import OPERATOR, Actor
    from restpoint.cli.options import existing, user_name
    from restpoint.service import Service

    async with ExecutionStore(database=existing(database), remember=False) as store:
        actor = Actor(user_name(), roles=frozenset({OPERATOR}))
        yield FileOutbox(Service(store).outbox, actor)


@outbox.command("list")
def list_notices(
    database: Database = DEFAULT_DATABASE,
    url: Url = None,
    output: Output = Format.TABLE,
    status: Annotated[
        str | None,
        typer.Option("--status", "-s", help="Only pending, delivered, moot, given_up or dropped ones."),
    ] = None,
    route: Annotated[str | None, typer.Option("--route", help="Only by this route.")] = None,
    execution: Annotated[
        str | None, typer.Option("--execution", help="Only of the execution whose id begins or ends so.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most this many, the newest.")] = 50,
) -> None:
    """List notices, the newest first: what is told by which route to whom, and what became of it."""
    from restpoint.cli import output as shown
    from restpoint.cli.backend import open_backend

    async def work() -> None:
        items: list[NoticeItem] = []
        more, of = False, None
        if execution is not None:
            async with open_backend(database, url) as backend:
                of = await backend.find(execution)
        async with open_outbox(database, url) as opened:
            async for item in opened.list(status=status, route=route, execution_id=of):
                if len(items) == limit:
                    more = True
                    break
                items.append(item)
        if output is not Format.TABLE:
            shown.show_items(items, output)
        elif items:
            rows = [_row(item) for item in items]
            shown.table(("notice", "status", "event", "route", "to", "attempts", "next (UTC)", "problem"), rows)
        if not items:
            terminal.print_message("There are no such notices.")
        elif more:
            terminal.print_message(f"The newest {limit}; there are more: --limit {limit * 10}")

    terminal.run(work())


def _row(item: "NoticeItem") -> tuple[str, ...]:
    from restpoint.cli import output as shown

    due = "" if item.due_at is None else shown.when(item.due_at)
    to = item.recipient or item.channel
    waits = "" if item.opens_at is None else "It waits for the hours of its route. "
    problem = terminal.one_line(f"{waits}{item.problem or ''}".strip())
    return item.id, item.status, item.event, item.route, to, str(item.attempts), due, problem


@outbox.command()
def show(
    notice: NoticeId, database: Database = DEFAULT_DATABASE, url: Url = None, output: Output = Format.TABLE
) -> None:
    """Show one notice: what it tells, to whom, how often it was tried, and why the last attempt failed."""
    from restpoint.cli import output as shown

    async def work() -> None:
        async with open_outbox(database, url) as opened:
            item = await opened.show(notice)
        if output is not Format.TABLE:
            shown.show_json(item, output)
            return
        times = {"created_at", "due_at", "ended_at", "opened_at", "opens_at"}
        found = [(name, value) for name, value in item.model_dump().items() if value is not None]
        rows = [(name.removesuffix("_at"), shown.when(value) if name in times else str(value)) for name, value in found]
        shown.table(("", "(times in UTC)"), rows)

    terminal.run(work())


@outbox.command()
def retry(
    notice: Annotated[str | None, typer.Argument(help="The id of a notice.", show_default=False)] = None,
    database: Database = DEFAULT_DATABASE,
    url: Url = None,
    given_up: Annotated[
        bool, typer.Option("--given-up", help="All that were given up and that somebody still needs, instead of one.")
    ] = False,
    route: Annotated[str | None, typer.Option("--route", help="With --given-up: only by this route.")] = None,
) -> None:
    """Have notices tried again within a second, and then for three more days. One that was given up or dropped, too."""
    if given_up == (notice is not None):
        raise terminal.Usage("Name one notice, or give --given-up for all that were given up.")
    if notice is None:
        terminal.run(_retry_given_up(database, url, route))
    elif route is not None:
        raise terminal.Usage("--route chooses among those of --given-up; leave it out for one notice.")
    else:
        _do(database, url, lambda opened: opened.retry(notice), f"{terminal.one_line(notice)} is tried again.")


async def _retry_given_up(database: str, url: str | None, route: str | None) -> None:
    import asyncio

    async with open_outbox(database, url) as opened:
        ids = [item.id async for item in opened.list(status="given_up", route=route)]
        retried = 0
        for start in range(0, len(ids), _AT_ONCE):
            some = ids[start : start + _AT_ONCE]
            retried += sum(await asyncio.gather(*(_is_retried(opened, each) for each in some)))
    over = len(ids) - retried
    rest = f" {over} others are not needed any more." if over else ""
    terminal.print_message(f"{retried} notices are tried again.{rest}")


async def _is_retried(opened: "FileOutbox | ServerOutbox", notice: str) -> bool:
    """Have a notice tried again, and return whether anybody still needs it."""
    from restpoint.errors import Conflict, NoticeNotFound

    try:
        await opened.retry(notice)
    except (Conflict, NoticeNotFound):
        return False
    return True


@outbox.command()
def drop(
    notice: NoticeId,
    database: Database = DEFAULT_DATABASE,
    url: Url = None,
    reason: Annotated[str | None, typer.Option("--reason", "-r", help="The reason; it goes into the history.")] = None,
) -> None:
    """Have a notice never be delivered."""
    _do(database, url, lambda opened: opened.drop(notice, reason), f"{terminal.one_line(notice)} is dropped.")


def _do(
    database: str, url: str | None, verb: "Callable[[FileOutbox | ServerOutbox], Awaitable[None]]", done: str
) -> None:
    async def work() -> None:
        async with open_outbox(database, url) as opened:
            await verb(opened)
        terminal.print_message(done)

    terminal.run(work())
