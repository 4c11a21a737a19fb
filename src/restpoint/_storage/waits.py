"""The transitions of waits: how an interaction or a consent is opened, and how it is closed.

The functions are jobs for the writer and follow the rules of ``executions.py``, which moves the execution itself.
"""

import sqlite3
from dataclasses import replace
from typing import Any, Final, Literal, NoReturn

from pydantic import BaseModel

from restpoint._core.changes import NO_TERMS, Change, Terms, Wait
from restpoint._core.reminders import planned, written
from restpoint._core.retention_rules import RetentionRules
from restpoint._core.serialization import decode, encode
from restpoint._storage import event_details, leases, statements, votes
from restpoint._storage.executions import Execution, close, end, from_state, open_waits, read, settle
from restpoint._storage.history import append, head
from restpoint._storage.leases import Claim
from restpoint._storage.sqlite.database import Transaction
from restpoint.access import LOCAL
from restpoint.errors import (
    AlreadyVoted,
    Conflict,
    FourEyes,
    InteractionAlreadyResolved,
    InteractionClaimed,
    InteractionExists,
    InteractionExpired,
    InteractionNotFound,
    InteractionWithdrawn,
    InvalidArgument,
    SamePerson,
    VoterUnknown,
)
from restpoint.events import EventKind
from restpoint.lifecycle import move


def ask(
    tx: Transaction,
    execution_id: str,
    wait_id: str,
    prompt: str,
    timeout: int | None,
    lease: int | None,
    actor: str | None,
    detail: str,
    *,
    chosen: bool = True,
    terms: Terms = NO_TERMS,
    given: BaseModel | None = None,
    claim: Claim | None = None,
) -> None:
    """Open one more interaction.

    ``timeout`` is in milliseconds from now; ``chosen`` says that the caller chose the id; ``given`` is the prompt as the
    caller's own object, which the event carries to those who wait here. Where a ``lease`` is given, it drives the execution
    from now on; ``claim`` is the claim that it has already.

    Raises ``InteractionExists``, ``LeaseLost`` if the execution was taken over from whoever has ``claim``, and for
    ``terms.other_than`` ``InteractionNotFound``, and ``InvalidArgument`` for a prompt that nobody has answered; also where
    ``terms.votes`` are more than those whom it is addressed to can give.
    """
    excluded = None if terms.other_than is None else _answerers(tx, execution_id, terms.other_than)
    if terms.votes is not None:
        votes.must_be_possible(tx, execution_id, terms, excluded)
    wait = Wait("interaction", wait_id, "pending", head(tx)[0] + 1, tx.now, _deadline(tx, timeout), prompt)
    wait.assignees, wait.four_eyes, wait.given = terms.assignees, terms.four_eyes, given
    due_at = None if terms.due is None else tx.now + terms.due
    wait.excluded, wait.priority, wait.due_at, wait.votes = excluded, terms.priority, due_at, terms.votes
    plan = planned(terms, tx.now)
    wait.reminders = written(plan)
    row = (
        *(wait.id, wait.opened, prompt, tx.now, wait.deadline_at),
        *(
            terms.assignees,
            terms.four_eyes,
            terms.on_deadline,
            terms.default_response,
            terms.priority,
            due_at,
            excluded,
            terms.votes,
        ),
    )
    _open(tx, execution_id, wait, "ask", statements.ASK, row, lease, actor, detail, claim, chosen=chosen)
    for one in plan:
        tx.execute(statements.PLAN, (one.at, one.what, one.assignees, execution_id, wait_id))


def _answerers(tx: Transaction, execution_id: str, other_than: str) -> str | None:
    """Who answered these prompts of an execution, as JSON. The default of a deadline, and somebody without a name, are nobody."""
    found = {row[0]: row[1:] for row in tx.all(statements.ANSWERERS, {"id": execution_id, "waits": other_than})}
    for wait_id in decode(other_than):
        if wait_id not in found:
            read(tx, execution_id)
            raise InteractionNotFound(execution_id, wait_id)
        if found[wait_id][0] != "answered":
            raise InvalidArgument(
                f"other_than names the prompt {wait_id}, which is {found[wait_id][0]}; ask once somebody has answered it."
            )
    people = {answered_by for _, answered_by, _ in found.values() if answered_by is not None}
    people.update(voter for *_, voters in found.values() for voter in decode(voters))
    return encode(sorted(people)) if people else None


def authorize(
    tx: Transaction,
    execution_id: str,
    wait_id: str,
    auth_url: str,
    oauth_state: str,
    timeout: int | None,
    lease: int | None,
    actor: str | None,
    provider: str | None = None,
    scopes: str | None = None,
    claim: Claim | None = None,
) -> None:
    """Open one more consent: with a ``provider``, restpoint sends the person there; without one, the caller drives it.

    History keeps neither the URL nor the state, because both are secrets.
    """
    wait = Wait("consent", wait_id, "pending", head(tx)[0] + 1, tx.now, _deadline(tx, timeout))
    wait.auth_url, wait.oauth_state, wait.provider, wait.scopes = auth_url, oauth_state, provider, scopes
    row = (wait.id, wait.opened, auth_url, oauth_state, tx.now, wait.deadline_at, provider, scopes)
    detail = None
    if provider is not None:
        detail = event_details.consent(provider, tuple(decode(scopes) or ()))
    _open(tx, execution_id, wait, "authorize", statements.AUTHORIZE, row, lease, actor, detail, claim)
    if provider is not None:
        tx.execute(statements.KEEP_SECRETS, (execution_id,))


def _deadline(tx: Transaction, timeout: int | None) -> int | None:
    return None if timeout is None else tx.now + timeout


def _open(
    tx: Transaction,
    execution_id: str,
    wait: Wait,
    trigger: str,
    sql: str,
    row: tuple[object, ...],
    lease: int | None,
    actor: str | None,
    detail: str | None,
    claim: Claim | None,
    *,
    chosen: bool = False,
) -> None:
    # An id is for one wait, of either kind; only one that a caller chose can be taken.
    if chosen and tx.one(statements.WAIT_STATUS, {"id": execution_id, "wait": wait.id}) is not None:
        move("execution", execution_id, read(tx, execution_id).status, trigger)
        raise InteractionExists(execution_id, wait.id)

    def attempt(execution: Execution) -> tuple[Execution, str] | None:
        to = move("execution", execution_id, execution.status, trigger)
        execution.check(tx, claim)
        expected = (execution_id, execution.status, execution.open_waits, execution.epoch)
        try:
            tx.execute(sql, (*expected, *row))
        except sqlite3.IntegrityError as error:
            if (
                error.sqlite_errorname == "SQLITE_CONSTRAINT_NOTNULL"
            ):  # it has no key, because its execution is not as expected
                return None
            raise InteractionExists(execution_id, wait.id) from error
        return execution, to

    execution, to = from_state(tx, execution_id, attempt, claim)
    before, waits = execution.status, execution.open_waits + 1
    epoch = execution.epoch
    if claim is None or not execution.write(tx, statements.MOVE_AS_DRIVER, to, waits, lease):
        if not execution.write(tx, statements.MOVE, to, waits):
            raise Conflict(f"Execution {execution_id}", before)
        driven = None if lease is None else leases.drive(tx, execution_id, lease)
        epoch = None if driven is None else driven.epoch
    event = EventKind.asked(wait.kind)
    sequence = append(tx, event, execution_id, wait_id=wait.id, moved=(before, to), actor=actor, detail=detail)
    change = Change(sequence, execution_id, event, before, to, tx.now, wait, actor=actor)
    if epoch is not None:
        change.lease, change.epoch = lease, epoch
    tx.emit(change)


def answer(
    tx: Transaction,
    execution_id: str,
    wait_id: str,
    response: str,
    actor: str | None,
    detail: str,
    keeping: RetentionRules,
    given: BaseModel | None = None,
    *,
    addressed: str | None = None,
) -> InteractionExpired | None:
    """Record a response to an open interaction. The same response of the same actor again changes nothing and is a success.

    Of another actor it is refused, or they would believe that it was they who decided.
    ``response`` must have passed ``prompts.accepts``; a prompt never changes, so that check needs no transaction. ``given`` is
    the response as the caller's own object, which the event carries to those who wait here. An open interaction whose
    deadline has passed expires here and now, and the refusal is returned: raised, it would undo the expiry. One with four
    eyes takes none of the execution's owner, and none of nobody where the execution has an owner: raises ``FourEyes``. Nor does
    one take any of those whom ``other_than`` excludes (``SamePerson``), or of anybody else while someone has claimed it
    (``InteractionClaimed``). ``addressed`` are the assignees that the actor's right was judged by (see ``rights``): where the
    prompt has others by now, it raises ``Conflict``.
    """
    to = move("interaction", wait_id, "pending", "answer")
    values = (to, tx.now, response, actor, *rights(tx, execution_id, wait_id, actor, addressed))
    if tx.execute(statements.ANSWER, values).rowcount != 1:
        return _not_answered(tx, execution_id, wait_id, response, actor, addressed, keeping)
    wait = Wait(
        "interaction", wait_id, to, 0, 0, None, response=response, answered_by=actor, closed_at=tx.now, given=given
    )
    execution = Execution(execution_id, "interaction_required", 1)  # the usual state, which the settling verifies
    settle(tx, execution, wait, actor=actor, detail=detail)
    return None


def rights(
    tx: Transaction, execution_id: str, wait_id: str, actor: str | None, addressed: str | None
) -> tuple[object, ...]:
    """The values of ``statements.RIGHTS``. ``addressed`` is a JSON list; ``''`` for nobody, None where it does not matter."""
    return (execution_id, wait_id, "pending", tx.now, execution_id, actor, actor, actor, addressed)


def refuse(execution_id: str, wait_id: str, row: tuple[Any, ...], actor: str | None, addressed: str | None) -> NoReturn:
    """Raise why an actor may not answer or claim a prompt, whose ``row`` says that it is open and not past its deadline.

    ``row`` has claimed_by, claimed_at, assignees and excluded.
    """
    claimed_by, claimed_at, assignees, excluded = row
    if addressed is not None and addressed != (assignees or ""):
        raise Conflict(f"Interaction {wait_id} of execution {execution_id}", "addressed to others by now")
    if claimed_by is not None and claimed_by != actor:
        raise InteractionClaimed(execution_id, wait_id, claimed_by, claimed_at)
    people = decode(excluded) or ()
    if people and (actor is None or LOCAL in {actor, *people} or actor in people):
        raise SamePerson(execution_id, wait_id)
    raise FourEyes(execution_id, wait_id)


def vote(
    tx: Transaction,
    execution_id: str,
    wait_id: str,
    response: str,
    actor: str | None,
    detail: str,
    keeping: RetentionRules,
    *,
    addressed: str | None = None,
) -> InteractionExpired | None:
    """Record a vote on an open interaction that takes votes, and answer it where enough of them are equal.

    It is as ``answer``: the same vote of the same actor again is a success, and another one raises ``AlreadyVoted``. ``response``
    must be as ``as_vote`` of the prompt has it, so that equal answers are equal texts. Raises ``VoterUnknown`` for nobody and
    for ``local``, who may be anybody. Where no answer can get enough votes any more, what the deadline would do happens at once.
    """
    if actor is None or actor == LOCAL:
        raise VoterUnknown(execution_id, wait_id)
    own = tx.one(votes.OWN, {"id": execution_id, "wait": wait_id, "who": actor})
    if own is not None and own[0] == response:
        return None
    try:
        status, key, wait, owner = open_prompt(tx, execution_id, wait_id)
    except InteractionExpired as refusal:
        expire(tx, execution_id, wait_id, keeping)
        return refusal
    if own is not None:
        raise AlreadyVoted(execution_id, wait_id, own[1])
    if tx.execute(statements.MAY_ANSWER, rights(tx, execution_id, wait_id, actor, addressed)).fetchone() is None:
        row = (wait.claimed_by, wait.claimed_at, wait.assignees, wait.excluded)
        refuse(execution_id, wait_id, row, actor, addressed)
    tx.execute(votes.CAST, (key, actor, head(tx)[0] + 1, tx.now, response))
    voters = [*(decode(wait.voters) or ()), actor]
    wait.voters = encode(voters)
    event = EventKind.INTERACTION_VOTED
    sequence = append(tx, event, execution_id, wait_id=wait_id, moved=(status, status), actor=actor, detail=detail)
    tx.emit(Change(sequence, execution_id, event, status, status, tx.now, wait, actor=actor))
    _count(tx, Execution(execution_id, status, 1), key, replace(wait), owner, voters, keeping)
    return None


def _count(
    tx: Transaction,
    execution: Execution,
    key: int,
    wait: Wait,
    owner: str | None,
    voters: list[str],
    keeping: RetentionRules,
) -> None:
    """Close a prompt whose votes have come to an answer, or cannot come to one any more."""
    needed = wait.votes or 0
    answer, most = votes.leading(tx, key)
    if answer is not None and most >= needed:
        to = move("interaction", wait.id, wait.status, "answer")
        write(tx, execution.id, wait, statements.ANSWER_BY_VOTES, (to, tx.now, answer, key, wait.status))
        wait.status, wait.response, wait.closed_at = to, answer, tx.now
        settle(tx, execution, wait, cause="votes", detail=event_details.answered(answer, digest=keeping.digest))
        return
    barred = votes.barred(wait, owner, wait.excluded)
    if not votes.are_possible(needed, decode(wait.assignees) or (), barred, voters, most):
        _fall_due(tx, execution, key, wait, keeping, cause="undecided")


def write(tx: Transaction, execution_id: str, wait: Wait, sql: str, values: tuple[object, ...]) -> None:
    """Change one wait by a guarded statement. Raises ``Conflict`` where it was not as expected."""
    if tx.execute(sql, values).rowcount != 1:
        raise Conflict(f"The wait {wait.id} of execution {execution_id}", wait.status)


def open_prompt(tx: Transaction, execution_id: str, wait_id: str) -> tuple[str, int, Wait, str | None]:
    """The status of the execution, an open prompt of it with its key, and the owner. Raises why it is not open."""
    row = tx.one(statements.OPEN_INTERACTION, {"id": execution_id, "wait": wait_id})
    if row is None:
        read(tx, execution_id)
        raise InteractionNotFound(execution_id, wait_id)
    status, owner, key, answered_by, closed_at, *columns = row
    wait = Wait("interaction", **dict(zip(statements.OF_A_PROMPT, columns, strict=True)))
    if wait.status == "answered":
        raise InteractionAlreadyResolved(execution_id, wait_id, answered_by, closed_at)
    if wait.status == "withdrawn":
        raise InteractionWithdrawn(execution_id, wait_id)
    if wait.status != "pending" or (wait.deadline_at is not None and wait.deadline_at <= tx.now):
        raise InteractionExpired(execution_id, wait_id)
    return status, key, wait, owner


def _not_answered(
    tx: Transaction,
    execution_id: str,
    wait_id: str,
    response: str,
    actor: str | None,
    addressed: str | None,
    keeping: RetentionRules,
) -> InteractionExpired | None:
    """Refuse with the reason why the interaction took no response, unless it has this very response of this actor already."""
    row = tx.one(statements.INTERACTION, {"id": execution_id, "wait": wait_id})
    if row is None:
        read(tx, execution_id)
        raise InteractionNotFound(execution_id, wait_id)
    status, waits, wait_key, wait_status, deadline_at, stored, answered_by, closed_at, *claim = row
    if wait_status == "answered":
        if stored == response and actor in {answered_by, None}:  # a caller who names nobody vouches for the repeat
            return None
        raise InteractionAlreadyResolved(execution_id, wait_id, answered_by, closed_at)
    if wait_status == "withdrawn":
        raise InteractionWithdrawn(execution_id, wait_id)
    if wait_status == "pending" and (deadline_at is None or deadline_at > tx.now):
        refuse(execution_id, wait_id, tuple(claim), actor, addressed)
    if wait_status == "pending":
        wait = Wait("interaction", wait_id, wait_status, 0, 0, deadline_at)
        _fall_due(tx, Execution(execution_id, status, waits), wait_key, wait, keeping)
    return InteractionExpired(execution_id, wait_id)


def withdraw(tx: Transaction, execution_id: str, wait_id: str, reason: str | None, actor: str | None) -> None:
    """Withdraw one open wait. Do nothing if it is withdrawn already."""
    execution = read(tx, execution_id)
    for wait_key, wait in open_waits(tx, execution):
        if wait.id == wait_id:
            close(tx, execution, wait_key, wait, "withdraw", actor=actor, cause=reason)
            return
    row = tx.one(statements.WAIT_STATUS, {"id": execution_id, "wait": wait_id})
    if row is None:
        raise InteractionNotFound(execution_id, wait_id)
    kind, status = row
    if status != "withdrawn":
        move(kind, wait_id, status, "withdraw")


def expire(tx: Transaction, execution_id: str, wait_id: str, keeping: RetentionRules) -> None:
    """Do what an open wait's passed deadline asks for. Do nothing if the wait was closed meanwhile."""
    execution = read(tx, execution_id)
    for wait_key, wait in open_waits(tx, execution):
        if wait.id == wait_id and wait.deadline_at is not None and wait.deadline_at <= tx.now:
            _fall_due(tx, execution, wait_key, wait, keeping)
            return


_UNANSWERED: Final = {
    "deadline": ("Nobody answered a prompt of this execution before its deadline.", "deadline_passed"),
    "undecided": ("The votes on a prompt of this execution came to no answer.", "undecided"),
}


def _fall_due(
    tx: Transaction,
    execution: Execution,
    wait_key: int,
    wait: Wait,
    keeping: RetentionRules,
    cause: Literal["deadline", "undecided"] = "deadline",
) -> None:
    """Expire the wait, answer it with its default, or fail its execution, whichever was chosen when it was asked."""
    then, default = None, None
    if wait.kind == "interaction":
        then, default = tx.one(statements.AT_DEADLINE, {"wait_key": wait_key}) or (None, None)
    if then == "default":
        to = move("interaction", wait.id, wait.status, "answer")
        write(tx, execution.id, wait, statements.ANSWER_BY_DEFAULT, (to, tx.now, wait_key, wait.status))
        wait.status, wait.response, wait.closed_at = to, default, tx.now
        detail = event_details.answered(default or "", digest=keeping.digest)
        settle(tx, execution, wait, cause=cause, detail=detail)
        return
    close(tx, execution, wait_key, wait, "expire", cause=cause)
    if then == "fail":
        error, code = _UNANSWERED[cause]
        end(tx, execution.id, "fail", keeping, cause=cause, error=error, code=code)
