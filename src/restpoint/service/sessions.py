"""The verbs on sessions of people who signed in at a browser."""

import logging
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from restpoint._storage import Session, sessions
from restpoint.access import Actor, Policy
from restpoint.errors import NotAllowed
from restpoint.models import SessionItem

if TYPE_CHECKING:
    from restpoint._store.store import ExecutionStore

log = logging.getLogger(__name__)


class PeoplesSessions:
    """Who is signed in, and the end of that."""

    def __init__(self, store: "ExecutionStore", policy: Policy) -> None:
        self._store = store
        self._policy = policy

    async def list(self, actor: Actor, *, of: str | None = None) -> Sequence[SessionItem]:
        """The sessions that are not over, the oldest first, or those ``of`` one person. Raises ``NotAllowed``."""
        self._must_be_allowed(actor)
        file = await self._store.file()
        found = await sessions.open_ones(file.database, file.clock.now())
        return [item_of(each) for each in found if of in {None, each.actor.id}]

    async def end(self, actor: Actor, *, session: str | None = None, of: str | None = None, every: bool = False) -> int:
        """End the session that ``session`` is the id of, or begins it, those ``of`` a person, or ``every`` one; their number.

        Raises ``NotAllowed``, and ``InvalidArgument`` unless exactly one of the three is given.
        """
        self._must_be_allowed(actor)
        file = await self._store.file()
        ids = await sessions.chosen(file.database, file.clock.now(), session=session, of=of, every=every)
        ended = await file.database.write(partial(sessions.end_these, ids=ids, actor=actor.id, cause="revoked"))
        log.info("sessions were ended", extra={"actor": actor.id, "sessions": ended})
        return ended

    def _must_be_allowed(self, actor: Actor) -> None:
        if not self._policy.may_end_sessions(actor):
            raise NotAllowed(f"{actor.id} may not see or end the sessions of people: that takes the role operator.")


def item_of(session: Session) -> SessionItem:
    """A session as it is shown."""
    return SessionItem(
        id=session.id,
        person=session.actor.id,
        groups=sorted(session.actor.groups),
        roles=sorted(session.actor.roles),
        provider=session.provider,
        created_at=session.created_at / 1000,
        used_at=session.used_at / 1000,
        ends_at=session.ends_at / 1000,
        expires_at=session.expires_at / 1000,
    )
