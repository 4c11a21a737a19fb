"""What stands beside the open prompts against them and against the history: the table of assignments, and the votes.

``comparison.py`` has compared the prompts themselves with the history by then.
"""

import sqlite3
from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import ColumnElement, exists, func, literal_column, or_, select

from restpoint._storage.event_details import differs
from restpoint._storage.hash_chain import Finding
from restpoint._storage.schema import executions, history, history_anchor, interactions, votes
from restpoint._storage.sqlite.connection import limited, prepare, word
from restpoint._storage.sqlite.triggers import UNASSIGNED, WRONGLY_ASSIGNED, choice
from restpoint.events import EventKind

_NAMED: Final = 5  # differences that are reported, of each kind

_e, _i, _h, _v = executions.c, interactions.c, history.c, votes.c

_of_votes: Final = votes.join(interactions, _i.key == _v.interaction_key).join(executions, _e.key == _i.execution_key)
_is_vote: Final = _h.event == word(EventKind.INTERACTION_VOTED)
_UNTOLD: Final = prepare(
    limited(
        select(_e.id, _i.id, _v.voter)
        .select_from(_of_votes)
        .where(
            # Retention may have taken the rows that told of older ones.
            _v.sequence > select(history_anchor.c.sequence).scalar_subquery(),
            ~exists(_h.sequence).where(
                *(_h.sequence == _v.sequence, _is_vote, _h.execution_id == _e.id, _h.wait_id == _i.id),
                *(_h.actor == _v.voter, _h.time == _v.voted_at),
                func.coalesce(differs("response", _h.detail, _v.response), literal_column("0")) == literal_column("0"),
            ),
        ),
        "most",
    )
)
_LOST: Final = prepare(
    limited(
        select(_e.id, _i.id, _h.actor)
        .select_from(
            history.join(executions, _e.id == _h.execution_id).join(
                interactions, (_i.execution_key == _e.key) & (_i.id == _h.wait_id)
            )
        )
        .where(
            _is_vote,
            ~exists(_v.sequence).where(_v.interaction_key == _i.key, _v.voter == _h.actor, _v.sequence == _h.sequence),
        ),
        "most",
    )
)
_choice: Final[ColumnElement[Any]] = literal_column(choice("votes.response"))
_erased: Final = word("null")
_equal: Final = (
    select(func.count())
    .where(_v.interaction_key == _i.key, or_(_choice == _i.response, _v.response == _erased))
    .correlate(interactions)
    .scalar_subquery()
)
_BY_TOO_FEW: Final = prepare(
    limited(
        select(_e.id, _i.id, _i.votes, _equal)
        .select_from(interactions.join(executions, _e.key == _i.execution_key))
        .where(
            *(_i.votes.is_not(None), _i.status == word("answered"), _i.response != _erased, _equal < _i.votes),
            exists(_h.sequence).where(
                *(_h.execution_id == _e.id, _h.wait_id == _i.id, _h.cause == word("votes")),
                _h.event == word(EventKind.INTERACTION_ANSWERED),
            ),
        ),
        "most",
    )
)


def of_prompts(connection: sqlite3.Connection) -> Iterator[Finding]:
    """Yield where the assignments differ from the open prompts, or the votes from the history.

    A file of a revision before 0014 is not looked at. The connection must have the function ``sha256_hex``.
    """
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'votes' AND type = 'table'").fetchone():
        return
    limit, changed = {"most": _NAMED}, "The table was changed by another program."
    for execution_id, wait_id in connection.execute(UNASSIGNED, limit).fetchall():
        what = f"The open prompt {wait_id} of execution {execution_id} is not in every inbox that it should be in."
        yield Finding("assignment_differs", None, what, changed)
    for name, key in connection.execute(WRONGLY_ASSIGNED, limit).fetchall():
        what = f"The inbox of {name or 'operators'} has a prompt (key {key}) that is not open, or not for them."
        yield Finding("assignment_differs", None, what, changed)
    for execution_id, wait_id, voter in connection.execute(_UNTOLD, limit).fetchall():
        what = f"The vote of {voter} on the prompt {wait_id} of execution {execution_id} is not one that the history tells of."
        yield Finding("vote_differs", None, what, changed)
    for execution_id, wait_id, voter in connection.execute(_LOST, limit).fetchall():
        what = f"The history tells of a vote of {voter} on the prompt {wait_id} of execution {execution_id}, which is not there."
        yield Finding("vote_differs", None, what, changed)
    for execution_id, wait_id, needed, equal in connection.execute(_BY_TOO_FEW, limit).fetchall():
        what = f"The prompt {wait_id} of execution {execution_id} takes {needed} equal votes, and was answered with {equal}."
        yield Finding("vote_differs", None, what, "A program got round the rule.")
