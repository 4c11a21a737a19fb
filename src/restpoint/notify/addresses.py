"""Who is told: the people behind the names of a route, and where a channel reaches each of them."""

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping

from restpoint._core.mail_addresses import check_address
from restpoint._core.serialization import decode
from restpoint._storage import outbox
from restpoint._store.store import ExecutionStore
from restpoint.access import GROUP, LOCAL, normal
from restpoint.events import EventKind
from restpoint.notify.routes_file import ASSIGNEES, MAIL, OWNER, Routes, RouteSettings

Lookup = Callable[[str], Mapping[str, str] | Awaitable[Mapping[str, str] | None] | None]
"""A function of the application: the id of a person gives their addresses by the name or kind of a channel, or None."""

Members = Callable[[str], Iterable[str] | Awaitable[Iterable[str]]]
"""A function of the application: the name of a group gives the ids of its people."""


class Addresses:
    """Where people are reached: by the routes file, by a function of the application, and by how they signed in.

    They are asked in this order, and the first that knows an address for the channel gives it. The last of them is for mail: the
    address that a provider vouched for when the person signed in, which the file of ``store`` has, and then the id of the person
    where that is a mail address.
    """

    def __init__(
        self,
        routes: Routes,
        lookup: Lookup | None = None,
        members: Members | None = None,
        store: ExecutionStore | None = None,
    ) -> None:
        self._routes = routes
        self._lookup = lookup
        self._members = members
        self._store = store

    async def told(self, route: RouteSettings, notice: outbox.Claimed) -> dict[str, str | None]:
        """The people whom a route tells of what a notice is about, each with why they cannot be told, or None.

        Those who must not answer what it asks are not among them. Raises what the application's functions raise.
        """
        assignees = tuple(decode(notice.assignees) or ())
        if notice.event == EventKind.INTERACTION_REMINDED:  # whoever has claimed the prompt is reminded alone
            assignees = tuple((decode(notice.detail) or {}).get("to", assignees))
        found = await self.people(route.to, assignees=assignees, owner=notice.owner)
        barred = set(decode(notice.excluded) or ()) if notice.asks else set()
        if notice.asks and notice.four_eyes:
            barred.add(notice.owner)
        return {
            person: problem or await self._missing(person, route.channel)
            for person, problem in found.items()
            if person not in barred
        }

    async def _missing(self, person: str, channel: str) -> str | None:
        return no_address(person, channel) if await self.address(person, channel) is None else None

    async def people(
        self, to: Iterable[str], *, assignees: tuple[str, ...], owner: str | None
    ) -> dict[str, str | None]:
        """The people whom a route tells, each once, by name; with why somebody cannot be found, or None.

        ``assignees`` are those of the prompt, and ``owner`` is of its execution. What is found for nobody has the name as it
        stands in the route or the prompt. Raises what the application's function raises.
        """
        found: dict[str, str | None] = {}
        for name in to:
            owners = (owner,) if owner is not None else ()
            names = {ASSIGNEES: assignees or owners, OWNER: owners}.get(name, (name,))
            for each in names:
                await self._add(each, found)
        return found

    async def groups_of(self, person: str, groups: Iterable[str]) -> list[str]:
        """In which of these groups a person is, now, without ``group:``. Raises what the application's function raises."""
        return [group for group in groups if person in await self._members_of(group)]

    async def _add(self, name: str, found: dict[str, str | None]) -> None:
        if not name.startswith(GROUP):
            found[name] = "This is nobody in particular." if name == LOCAL else None
            return
        members = await self._members_of(name.removeprefix(GROUP))
        if not members:
            found[name] = "Nobody is known to be in this group: put it under [groups] of the routes file."
        for person in members:
            found[person] = None

    async def _members_of(self, group: str) -> tuple[str, ...]:
        members = self._routes.groups.get(group)
        if members is None and self._members is not None:
            given = self._members(group)
            members = tuple(map(normal, await given if inspect.isawaitable(given) else given))
        return members or ()

    async def address(self, person: str, channel: str) -> str | None:
        """Where a channel reaches a person; None where nobody knows, and empty where the channel needs no address.

        Raises what the application's function raises.
        """
        kind = self._routes.kinds.get(channel, channel)
        known: Mapping[str, str] | None = self._routes.people.get(person)
        for _ in range(2):
            for name in (channel, kind):
                if known is not None and name in known:
                    return known[name]
            if self._lookup is None:
                break
            given = self._lookup(person)
            known = await given if inspect.isawaitable(given) else given
        if kind != MAIL:
            return None if self._routes.needs_address(channel) else ""
        if self._store is not None:
            claimed = await outbox.mail_address((await self._store.file()).database, person)
            if claimed is not None:
                return claimed
        return person if _is_mail_address(person) else None


def no_address(person: str, channel: str) -> str:
    """Why somebody cannot be told, and what to do."""
    return f"Nobody knows where {channel} reaches {person}: put an address under [people] of the routes file."


def _is_mail_address(name: str) -> bool:
    """Whether the id of a person is a mail address, as it is where people sign in with the claim ``email``."""
    try:
        check_address(name)
    except ValueError:
        return False
    return "." in name.rpartition("@")[2]
