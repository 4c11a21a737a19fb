"""The votes on a prompt that several people answer: its SQL, and whether the votes can still come to an answer.

Each person has one vote, which stays. The first answer that as many of them gave as the prompt needs is its answer; the comment
does not count. The job that writes a vote is in ``waits.py``.
"""

from collections.abc import Collection, Iterable
from typing import Any, Final

from sqlalchemy import ColumnElement, bindparam, func, insert, literal_column, select

from restpoint._core.changes import Terms, Wait
from restpoint._core.serialization import decode
from restpoint._storage.schema import executions, interactions, votes
from restpoint._storage.sqlite.connection import ONE, limited, prepare
from restpoint._storage.sqlite.database import Transaction
from restpoint._storage.sqlite.triggers import choice
from restpoint.access import GROUP, LOCAL
from restpoint.errors import InvalidArgument

_e, _i, _v = executions.c, interactions.c, votes.c

VOTERS: Final[ColumnElement[Any]] = literal_column(
    "(SELECT json_group_array(voter) FROM (SELECT voter FROM votes WHERE interaction_key = interactions.key"
    " AND interactions.votes IS NOT NULL ORDER BY sequence))"
)
"""SQL: who has voted on an interaction, the first one first, as a JSON list."""

BARRED: Final[ColumnElement[Any]] = literal_column(
    "(SELECT nullif(json_group_array(name), '[]') FROM (SELECT value AS name FROM json_each(interactions.excluded)"
    " UNION SELECT voter FROM votes WHERE interaction_key = interactions.key))"
)
"""SQL: who must not answer an interaction, having answered another one, or voted on it; a JSON list, or NULL for nobody."""

CAST: Final = prepare(insert(votes), order=("interaction_key", "voter", "sequence", "voted_at", "response"))
_of_prompts: Final = executions.join(interactions, _i.execution_key == _e.key).join(votes, _v.interaction_key == _i.key)
_this: Final = (_e.id == bindparam("id"), _i.id == bindparam("wait"))
OWN: Final = prepare(
    select(_v.response, _v.voted_at).select_from(_of_prompts).where(*_this, _v.voter == bindparam("who"))
)
_OWNER: Final = prepare(select(_e.owner).where(_e.id == bindparam("id")))
_choice: Final[ColumnElement[str]] = literal_column(choice("response"))
_number: Final[ColumnElement[int]] = func.count()
_leading: Final[Any] = select(_choice, _number).where(_v.interaction_key == bindparam("wait_key"))
_LEADING: Final = prepare(limited(_leading.group_by(_choice).order_by(_number.desc()), ONE))


def leading(tx: Transaction, interaction_key: int) -> tuple[str | None, int]:
    """The answer that most people gave, as JSON without a comment, and how many they are."""
    return tx.one(_LEADING, {"wait_key": interaction_key}) or (None, 0)


def are_possible(
    needed: int, assignees: Iterable[str], barred: Collection[str], voters: Collection[str] = (), most: int = 0
) -> bool:
    """Whether those whom a prompt is addressed to can still give it so many equal votes.

    ``voters`` have voted already, ``most`` of them alike; those who are ``barred`` may not. A group may have any number of
    members.
    """
    names = set(assignees)
    return any(name.startswith(GROUP) for name in names) or most + len(names.difference(barred, voters)) >= needed


def must_be_possible(tx: Transaction, execution_id: str, terms: Terms, excluded: str | None) -> None:
    """Raise ``InvalidArgument`` where a prompt asks for more votes than those whom it is addressed to can give."""
    (owner,) = tx.one(_OWNER, {"id": execution_id}) or (None,)
    if not are_possible(terms.votes or 1, decode(terms.assignees) or (), barred(terms, owner, excluded)):
        raise InvalidArgument(
            f"The prompt takes {terms.votes} equal votes, and fewer of the people whom it is addressed to may vote; name more "
            "of them, or a group, or ask for fewer votes."
        )


def barred(wait: Wait | Terms, owner: str | None, excluded: str | None) -> set[str]:
    """Who must not answer a prompt; ``local``, who may be anybody, is among them where anybody is, and where it takes votes."""
    found: set[str] = set(decode(excluded) or ())
    if wait.four_eyes and owner is not None:
        found.add(owner)
    return found | {LOCAL} if found or wait.votes is not None else found
