"""Ids as people type them: the beginning or the end of one, which must be that of one execution only."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from restpoint.cli.terminal import Usage
from restpoint.errors import ExecutionNotFound

if TYPE_CHECKING:
    from restpoint.client.client import Client

CANDIDATES: Final = 10
"""How many executions the error about an ambiguous id lists."""
_FULL_ID: Final = 36  # characters
_MAX_SCANNED: Final = 10_000  # executions of a server in which an abbreviated id is searched


def only_one(part: str, found: Sequence[str]) -> str:
    """Return the only id of ``found``. Raises ``ExecutionNotFound``, and ``Usage`` if there are several."""
    if not found:
        raise ExecutionNotFound(part)
    if len(found) > 1:
        shown = "\n".join(f"{each}  or {unique_end(each, found)}" for each in sorted(found)[:CANDIDATES])
        more = "\n…" if len(found) > CANDIDATES else ""
        raise Usage(f"{part!r} stands for several executions; type more of its beginning, or its end:\n{shown}{more}")
    return found[0]


def unique_end(one: str, all_of_them: Sequence[str], least: int = 4) -> str:
    """The shortest end of an id, of at least four characters, that no other of these ids has."""
    for length in range(least, len(one)):
        if not any(each.endswith(one[-length:]) for each in all_of_them if each != one):
            return one[-length:]
    return one


def is_whole(part: str) -> bool:
    """Whether this is a whole id, so that none need be searched. Raises ``Usage`` if it is empty."""
    if not part:
        raise Usage("The id is empty.\nTry: restpoint list")
    return len(part) >= _FULL_ID


async def find_on_server(client: "Client", part: str) -> str:
    """Return the id that begins or ends with ``part``, of the newest ten thousand executions that the client may see.

    Raises ``ExecutionNotFound``, and ``Usage`` if there are several, or none and there are more executions than those.
    """
    if is_whole(part):
        return part
    beginning, ending, scanned = list[str](), list[str](), 0
    async for item in client.list(page_size=1_000):
        if scanned >= _MAX_SCANNED:
            if not beginning and not ending:
                raise Usage(
                    f"None of the newest {scanned} executions has an id that begins or ends with {part!r}, and the others were "
                    "not searched.\nGive the whole id."
                )
            break
        scanned += 1
        if item.execution_id.startswith(part):
            beginning.append(item.execution_id)
        elif item.execution_id.endswith(part):
            ending.append(item.execution_id)
    return only_one(part, beginning or ending)
