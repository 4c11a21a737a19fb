"""The outbox, for operators: what is still to be told, and what became of it."""

from typing import TYPE_CHECKING

from restpoint._core.serialization import check_text
from restpoint._storage import outbox
from restpoint.access import Actor, Policy
from restpoint.errors import NotAllowed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restpoint._store.store import ExecutionStore


class Outbox:
    """The notices and the routes of a store, as the policy lets each actor see and change them."""

    def __init__(self, store: "ExecutionStore", policy: Policy) -> None:
        self._store = store
        self._policy = policy

    async def list(
        self,
        actor: Actor,
        *,
        status: str | None = None,
        route: str | None = None,
        execution_id: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> outbox.EntryPage:
        """A page of the notices, the newest first. Raises ``NotAllowed`` and ``InvalidArgument``."""
        self._must_see(actor)
        return await outbox.page(
            (await self._store.file()).database,
            status=status,
            route=route,
            execution_id=execution_id,
            limit=limit,
            cursor=cursor,
        )

    async def show(self, actor: Actor, notice_id: str) -> outbox.Entry:
        """One notice. Raises ``NotAllowed`` and ``NoticeNotFound``."""
        self._must_see(actor)
        return await outbox.find((await self._store.file()).database, notice_id)

    async def retry(self, actor: Actor, notice_id: str) -> None:
        """Have a notice tried again at once, for three more days. Nothing happens where it is being sent.

        Raises ``NotAllowed``, ``NoticeNotFound``, and ``Conflict`` where it was delivered or nobody needs it any more.
        """
        self._must_deliver(actor)
        await (await self._store.file()).database.write(outbox.retry, notice_id, actor.id)

    async def drop(self, actor: Actor, notice_id: str, reason: str | None = None) -> None:
        """Have a notice never be delivered. Nothing happens where it is dropped already.

        Raises ``NotAllowed``, ``NotJSON``, ``NoticeNotFound``, and ``Conflict`` where it was delivered or nobody needs it any
        more.
        """
        self._must_deliver(actor)
        if reason is not None:
            check_text("reason", reason)
        await (await self._store.file()).database.write(outbox.drop, notice_id, actor.id, reason)

    async def routes(self, actor: Actor) -> "Sequence[outbox.KnownRoute]":
        """The routes by which people are told. Raises ``NotAllowed``."""
        self._must_see(actor)
        return await outbox.known_routes((await self._store.file()).database)

    async def enable(self, actor: Actor, route: str) -> None:
        """Send by a route again whose receiver was gone. Nothing happens where it is not disabled.

        Raises ``NotAllowed`` and ``UnknownRoute``.
        """
        self._must_deliver(actor)
        await (await self._store.file()).database.write(outbox.enable, route, actor.id)

    async def opened(self, actor: Actor, execution_id: str, interaction_id: str) -> None:
        """Note that the actor sees the page of a prompt. The first time counts, and only where they were told of the prompt."""
        database = (await self._store.file()).database
        if await outbox.is_unopened(database, execution_id, interaction_id, actor.id):
            await database.write(outbox.opened, execution_id, interaction_id, actor.id)

    def _must_see(self, actor: Actor) -> None:
        if not self._policy.sees_everything(actor):
            raise NotAllowed(f"{actor.id} may not see the outbox: that takes the role reader or operator.")

    def _must_deliver(self, actor: Actor) -> None:
        if not self._policy.may_deliver(actor):
            raise NotAllowed(f"{actor.id} may not change the outbox: that takes the role operator.")
