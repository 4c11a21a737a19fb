"""Erasure: it removes what people said and were asked, for good. The history still shows that and when it happened.

The erasure of an execution takes everything that it holds: its input, prompts, answers, what its workflow recorded, and its
result or error. Its rows leave the file, and the details that the history has of it become NULL. The chain still verifies,
because a row is chained by the SHA-256 of its detail. An event ``payloads_erased`` names the rows, so no detail can disappear
without a record of it. An execution that has not ended needs what it holds, and one that is on hold must stay, so neither can be
erased.

The erasure of a person takes

- every execution that they own, all of it;
- in the executions of others, each answer and each vote that they gave, each prompt that was ever addressed to them alone, when
  it was asked or by a delegation or reassignment, and why they could not be told of a prompt. What several votes came to stays,
  as the votes of the others do: at least one other person said the same;
- the mail address that they are known by since they signed in.

What a workflow made of an answer (the results of its steps, its own result) belongs to the execution and may have anyone's words.
So it stays in the executions of others, unless the caller asks for the ``whole``: then every execution in which the person
answered, or was asked alone, is erased as if it were theirs.

Names and times stay: actors, owners, assignees, statuses, and the reasons of holds, cancellations and delegations. The digests
stay too, so whoever can guess a text can still compare it with them. Backups that were made before keep what was in them.

The bytes leave the file as well: SQLite overwrites what it deletes (``secure_delete``), and after an erasure the unused pages are
given back and the log is emptied.
"""

from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from sqlalchemy import Select, bindparam, delete, func, insert, null, or_, select, update

from restpoint._core.serialization import encode
from restpoint._core.threads import in_thread
from restpoint._storage.executions import read
from restpoint._storage.history import append, last_sequence
from restpoint._storage.outbox import mail_addresses
from restpoint._storage.schema import erasures, executions, history, interactions, outbox, votes
from restpoint._storage.sqlite import vacuum
from restpoint._storage.sqlite.connection import ONE, limited, listed, prepare, word, words
from restpoint._storage.sqlite.database import Database, Transaction
from restpoint.errors import ExecutionHeld, ExecutionNotFound, IllegalTransition
from restpoint.events import DECISIONS, READDRESSINGS, EventKind
from restpoint.lifecycle import TERMINAL
from restpoint.prompts import HumanPromptNotification, write_prompt

AT_ONCE: Final = 200
"""How many rows of history one event names."""

_SCANNED_AT_ONCE: Final = 20_000  # rows of history
_ERASED_PROMPT: Final = write_prompt(HumanPromptNotification(text="(erased)"))
_ERASED_RESPONSE: Final = "null"

_e, _i, _h, _v = executions.c, interactions.c, history.c, votes.c


# The detail of an event that this version does not know may hold a payload, so it is erased too.
_ITS_DETAILS: Final = _h.detail.is_not(None) & _h.event.not_in(
    words(kind for kind in EventKind if not kind.has_payload)
)
_DECISIONS: Final = words(DECISIONS)
_THEM: Final = listed("names")
_IS_THEIRS: Final = _h.event.in_(_DECISIONS) & (_h.actor.in_(_THEM))
# What a receiver said of a person whom it could not tell.
_IS_OF_THEM: Final = (_h.event == word(EventKind.NOTICE_GIVEN_UP)) & (
    func.json_extract(_h.detail, word("$.recipient")).in_(_THEM)
)
_DETAILS: Final = prepare(
    select(_h.sequence).where(_h.execution_id == bindparam("id"), _ITS_DETAILS).order_by(_h.sequence)
)
_DETAILS_OF_WAIT: Final = prepare(
    select(_h.sequence)
    .where(
        _h.execution_id == bindparam("id"),
        _h.wait_id == bindparam("wait"),
        _ITS_DETAILS,
        _IS_THEIRS | _IS_OF_THEM | (bindparam("whole") == ONE),
    )
    .order_by(_h.sequence)
)
_LAST_STATUS: Final = prepare(
    limited(select(_h.to_status).where(_h.execution_id == bindparam("id")).order_by(_h.sequence.desc()), ONE)
)
_NAME: Final = prepare(insert(erasures), order=("sequence", "ordered"))
_ERASE: Final = prepare(update(history).where(_h.sequence == bindparam("row")).values(detail=null()), order=("row",))
_REMOVE: Final = prepare(delete(executions).where(_e.id == bindparam("the_id")))
_THIS_WAIT: Final = (
    _i.execution_key == select(_e.key).where(_e.id == bindparam("execution")).scalar_subquery(),
    _i.id == bindparam("wait"),
)
_BLANK_RESPONSE: Final = prepare(
    update(interactions)
    .where(*_THIS_WAIT, _i.response.is_not(None), _i.answered_by.in_(_THEM) | (bindparam("whole") == ONE))
    .values(response=bindparam("nothing"))
)
_BLANK_VOTES: Final = prepare(
    update(votes)
    .where(
        _v.interaction_key.in_(select(_i.key).where(*_THIS_WAIT)),
        _v.voter.in_(_THEM) | (bindparam("whole") == ONE),
    )
    .values(response=bindparam("nothing"))
)
_BLANK_PROMPT: Final = prepare(
    update(interactions).where(*_THIS_WAIT).values(prompt=bindparam("nothing"), default_response=null())
)
_BLANK_PROBLEMS: Final = prepare(
    update(outbox)
    .where(outbox.c.execution_id == bindparam("execution"), outbox.c.wait_id == bindparam("wait"))
    .values(problem=null())
)

# --- Jobs ------------------------------------------------------------------------------------------------------------


def _erase_rows(
    tx: Transaction, execution_id: str, rows: list[int], status: str | None, actor: str | None, reason: str | None
) -> None:
    """Append which details are erased, and then erase them: the file allows it for rows that such an event names."""
    for first in range(0, len(rows), AT_ONCE):
        some = rows[first : first + AT_ONCE]
        detail = encode({"sequences": some})
        moved = (status, status)
        event = append(
            tx, EventKind.PAYLOADS_ERASED, execution_id, moved=moved, actor=actor, cause=reason, detail=detail
        )
        tx.flush()
        for row in some:
            tx.execute(_NAME, (row, event))
            tx.execute(_ERASE, (row,))


def erase_execution(tx: Transaction, execution_id: str, actor: str | None, reason: str | None) -> int:
    """Erase an execution, also one that has left the file. Returns the number of details and rows; 0 where none was left.

    Raises ``ExecutionNotFound``, ``ExecutionHeld``, and ``IllegalTransition`` where it has not ended.
    """
    status, is_there = _erasable(tx, execution_id)
    rows = [sequence for (sequence,) in tx.all(_DETAILS, {"id": execution_id})]
    _erase_rows(tx, execution_id, rows, status, actor, reason)
    if is_there:
        tx.execute(_REMOVE, {"the_id": execution_id})
        append(tx, EventKind.EXECUTION_REMOVED, execution_id, moved=(status, None), actor=actor, cause="erased")
    return len(rows) + is_there


def erase_wait(
    tx: Transaction, execution_id: str, wait_id: str, names: str, actor: str | None, reason: str | None, *, whole: bool
) -> int:
    """Erase a person's answer to one prompt, and with ``whole`` the prompt too, with whatever was answered.

    Returns and raises as ``erase_execution`` does.
    """
    status, is_there = _erasable(tx, execution_id)
    about = {"id": execution_id, "wait": wait_id, "names": names, "whole": int(whole)}
    rows = [sequence for (sequence,) in tx.all(_DETAILS_OF_WAIT, about)]
    _erase_rows(tx, execution_id, rows, status, actor, reason)
    if is_there and rows:
        this = {"execution": execution_id, "wait": wait_id}
        for blank in (_BLANK_RESPONSE, _BLANK_VOTES):
            tx.execute(blank, {**this, "names": names, "whole": int(whole), "nothing": _ERASED_RESPONSE})
        tx.execute(_BLANK_PROBLEMS, this)
        if whole:
            tx.execute(_BLANK_PROMPT, {**this, "nothing": _ERASED_PROMPT})
    return len(rows)


def _erasable(tx: Transaction, execution_id: str) -> tuple[str | None, bool]:
    """Return the status of an execution that may be erased, and whether it is in the file."""
    try:
        execution = read(tx, execution_id)
    except ExecutionNotFound:
        row = tx.one(_LAST_STATUS, {"id": execution_id})
        if row is None:
            raise
        return row[0], False
    if execution.status not in TERMINAL:
        raise IllegalTransition(f"Execution {execution_id}", execution.status, "be erased", ("cancel",))
    if execution.hold is not None:
        raise ExecutionHeld(execution_id, execution.hold)
    return execution.status, True


# --- One person ------------------------------------------------------------------------------------------------------

_SPAN: Final = (_h.sequence > bindparam("after"), _h.sequence <= bindparam("to"))
_ASSIGNEES: Final = func.json_extract(_h.detail, word("$.assignees"))
_ADDRESSES: Final = (EventKind.INTERACTION_ASKED, *READDRESSINGS)
_CONCERNS: Final[Select[Any]] = select(_h.event, _h.execution_id, _h.wait_id).where(
    *_SPAN,
    or_(
        (_h.event == word(EventKind.EXECUTION_CREATED)) & (func.json_extract(_h.detail, word("$.owner")).in_(_THEM)),
        _IS_THEIRS,
        _h.event.in_(words(_ADDRESSES))
        & (func.json_array_length(_ASSIGNEES) == ONE)
        & (func.json_extract(_h.detail, word("$.assignees[0]")).in_(_THEM)),
        _IS_OF_THEM & _h.wait_id.is_not(None),
    ),
)
_CONCERNING: Final = prepare(_CONCERNS)
_OWNED: Final = prepare(select(_e.id).where(_e.owner.in_(_THEM)).order_by(_e.key))


@dataclass(slots=True)
class Scope:
    """What the file has of one person: whole executions, and waits in those of others, each with whether the prompt goes too."""

    executions: list[str] = field(default_factory=list)
    waits: dict[tuple[str, str], bool] = field(default_factory=dict)
    names: str = "[]"
    """Each spelling of the person's name, as a JSON list."""


async def scope(database: Database, person: Collection[str], *, whole: bool = False) -> Scope:
    """Find what the file has of a person, by each spelling of their name, also in executions that have left it.

    Reads the history some rows at a time.
    """
    names = encode(sorted(person))
    owned: dict[str, None] = {row[0]: None for row in await database.read(_OWNED, {"names": names}, lane="long")}
    waits: dict[tuple[str, str], bool] = {}
    async for event, execution_id, wait_id in _concerning(database, names):
        if event == EventKind.EXECUTION_CREATED or whole:
            owned[execution_id] = None
        else:
            waits[execution_id, wait_id] = waits.get((execution_id, wait_id), False) or event in _ADDRESSES
    in_others = {wait: prompt for wait, prompt in waits.items() if wait[0] not in owned}
    return Scope(list(owned), in_others, names)


async def _concerning(database: Database, names: str) -> AsyncIterator[tuple[str, str, str]]:
    last, after = await last_sequence(database), 0
    while after < last:
        span = {"after": after, "to": after + _SCANNED_AT_ONCE, "names": names}
        for event, execution_id, wait_id in await database.read(_CONCERNING, span, lane="long"):
            yield event, execution_id, wait_id
        after += _SCANNED_AT_ONCE


@dataclass(slots=True)
class Erasure:
    """What an erasure did. ``left`` are the executions that it could not erase, each with the error that says why."""

    executions: list[str] = field(default_factory=list)
    waits: list[tuple[str, str]] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)
    mail_addresses: int = 0
    """How many mail addresses were forgotten."""
    scrubbed: bool = True
    """Whether the log is empty too, so that nothing of what was erased is in the file or beside it any more."""


async def erase(
    database: Database, what: Scope, actor: str | None, reason: str | None, dropped: Callable[[str], None]
) -> Erasure:
    """Erase all of it, one execution at a time. Those that must stay are left; ``dropped`` is called with each other one."""

    def job(tx: Transaction, execution_id: str, wait_id: str | None, whole: bool) -> int:
        if wait_id is None:
            return erase_execution(tx, execution_id, actor, reason)
        return erase_wait(tx, execution_id, wait_id, what.names, actor, reason, whole=whole)

    done = await _each(database, what, job, dropped)
    if await mail_addresses.count(database, what.names):
        done.mail_addresses = await database.write(
            partial(mail_addresses.erase, names=what.names, actor=actor, reason=reason)
        )
    # Also if nothing was left to erase: the log may still have it from the last time.
    if what.executions or what.waits or done.mail_addresses:
        done.scrubbed = await scrub(database)
    return done


async def preview(database: Database, what: Scope) -> Erasure:
    """Return what ``erase`` would do. Nothing is written."""

    def count(tx: Transaction, execution_id: str, wait_id: str | None, whole: bool) -> int:
        _, is_there = _erasable(tx, execution_id)
        about = {"id": execution_id, "wait": wait_id, "names": what.names, "whole": int(whole)}
        if wait_id is None:
            return len(tx.all(_DETAILS, about)) + is_there
        return len(tx.all(_DETAILS_OF_WAIT, about))

    done = await _each(database, what, count, lambda _: None)
    done.mail_addresses = await mail_addresses.count(database, what.names)
    return done


async def _each(database: Database, what: Scope, job: Callable[..., int], done_with: Callable[[str], None]) -> Erasure:
    """Do a job for each execution and each wait, in a transaction of its own; it returns 0 if there was nothing to do."""
    done = Erasure()
    targets: list[tuple[str, str | None, bool]] = [(execution_id, None, True) for execution_id in what.executions]
    targets += [(execution_id, wait_id, whole) for (execution_id, wait_id), whole in what.waits.items()]
    for execution_id, wait_id, whole in targets:
        try:
            if not await database.write(partial(job, execution_id=execution_id, wait_id=wait_id, whole=whole)):
                continue
        except (IllegalTransition, ExecutionHeld) as error:
            done.left.append((execution_id, str(error)))
        except ExecutionNotFound:  # retention removed it meanwhile, so nothing is left to erase
            pass
        else:
            if wait_id is None:
                done.executions.append(execution_id)
            else:
                done.waits.append((execution_id, wait_id))
            done_with(execution_id)
    return done


async def scrub(database: Database) -> bool:
    """Give every unused page back and empty the log. Returns False where a reader keeps the log."""
    await vacuum.shrink(database, keep=0)
    return await in_thread(vacuum.fold_log, database.path)
