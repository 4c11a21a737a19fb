"""Consents that restpoint drives, in the file: attempts, exchanges and sealed tokens.

The functions are jobs for the writer, and they change a status through ``executions.py``. No job opens a secret or talks to a
provider: that happens between two jobs.

In an *attempt* a person goes to the provider. It has a number, a state, a verifier and a browser, and replaces the attempt before
it. Redeeming its code moves the consent to ``exchanging`` and deletes the verifier in the same write, so no code is redeemed
twice, even after a crash. The row has the lease of the process that exchanges; if that process dies, the consent is ``pending``
again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Select, bindparam, func, literal_column, null, select, union_all, update

from restpoint._core.changes import Change, Wait
from restpoint._core.serialization import decode
from restpoint._storage import event_details, leases, queries
from restpoint._storage.executions import close, read
from restpoint._storage.history import append
from restpoint._storage.schema import consents, executions
from restpoint._storage.sqlite.connection import ZERO, limited, prepare, word, words
from restpoint._storage.sqlite.database import Database, Transaction
from restpoint.errors import Conflict, ConsentExpired, InteractionNotFound
from restpoint.events import EventKind
from restpoint.lifecycle import OPEN, move

_e, _c = executions.c, consents.c

RESEALED_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class Consent:
    """A consent that restpoint drives, as the file has it. Times are milliseconds since the epoch."""

    key: int
    execution_id: str
    workflow: str | None
    owner: str | None
    id: str
    status: str
    provider: str
    scopes: tuple[str, ...]
    created_at: int
    deadline_at: int | None
    denial: str | None
    attempts: int
    begun_by: str | None
    browser_sha256: bytes | None
    state_expires_at: int | None
    redirect_uri: str | None
    verifier: str | None
    lease: int | None
    token: str | None

    @property
    def subject(self) -> str:
        """The name of the consent in messages."""
        return f"The consent {self.id} of execution {self.execution_id}"


_COLUMNS: Final = (
    _c.key, _e.id, _e.workflow, _e.owner, _c.id, _c.status, _c.provider, _c.scopes, _c.created_at, _c.deadline_at, _c.denial,
    _c.attempts, _c.begun_by, _c.browser_sha256, _c.state_expires_at, _c.redirect_uri, _c.verifier, _c.lease, _c.token,
)  # fmt: skip
_DRIVEN: Final[Select[Any]] = (
    select(*_COLUMNS).select_from(consents.join(executions, _e.key == _c.execution_key)).where(_c.provider.is_not(None))
)
_ONE: Final = prepare(_DRIVEN.where(_e.id == bindparam("id"), _c.id == bindparam("wait")))
_BY_STATE: Final = prepare(_DRIVEN.where(_c.state_sha256 == bindparam("state")))
_OF_EXECUTION: Final = prepare(_DRIVEN.where(_e.id == bindparam("id")))
_AWAITING: Final = prepare(
    limited(
        select(_e.id)
        .where(
            # A read of the open consents, and not of all that an owner has.
            _e.key.in_(select(_c.execution_key).where(_c.status.in_(words(OPEN)))),
            _e.owner.is_not_distinct_from(bindparam("owner")),
            bindparam("workflow").is_(None) | (_e.workflow == bindparam("workflow")),
        )
        .order_by(_e.key.desc())
    )
)


def _consent(row: tuple[Any, ...]) -> Consent:
    key, execution_id, workflow, owner, wait_id, status, provider, scopes, created, due, denial, attempts, *rest = row
    return Consent(
        key, execution_id, workflow, owner, wait_id, status, provider, tuple(decode(scopes) or ()), created, due, denial,
        attempts or 0, *rest,
    )  # fmt: skip


# --- Reading ---------------------------------------------------------------------------------------------------------


async def find(database: Database, execution_id: str, wait_id: str) -> Consent:
    """Return one consent. Raises ``ExecutionNotFound``, and ``InteractionNotFound``, also for one that a caller drives."""
    for row in await database.read(_ONE, {"id": execution_id, "wait": wait_id}):
        return _consent(row)
    raise await queries.missing(database, execution_id, wait_id)


async def awaiting(database: Database, owner: str | None, workflow: str | None, most: int) -> list[str]:
    """The executions of an owner, or of nobody, that wait for a consent, at most ``most``: their ids, the newest first.

    With ``workflow``, only those of this workflow.
    """
    given = {"owner": owner, "workflow": workflow, "max": most}
    return [execution_id for (execution_id,) in await database.read(_AWAITING, given, lane="long")]


async def find_by_state(database: Database, state_sha256: bytes) -> Consent | None:
    """Return the consent whose latest attempt has this state, even if the state was used; None if there is none."""
    for row in await database.read(_BY_STATE, {"state": state_sha256}):
        return _consent(row)
    return None


async def of_execution(database: Database, execution_id: str) -> list[Consent]:
    """Return all consents of an execution that restpoint drives."""
    return [_consent(row) for row in await database.read(_OF_EXECUTION, {"id": execution_id})]


# --- An attempt ------------------------------------------------------------------------------------------------------

_THIS: Final = _c.key == bindparam("the_key")
_AT: Final = (_THIS, _c.attempts == bindparam("attempt"))
_MINE: Final = (*_AT, _c.status == word("exchanging"), _c.lease == bindparam("the_lease"))
_BEGIN: Final = prepare(
    update(consents)
    .where(_THIS, _c.status == word("pending"), func.coalesce(_c.attempts, ZERO) == bindparam("attempt"))
    .values(
        attempts=bindparam("next"),
        begun_by=bindparam("person"),
        state_sha256=bindparam("state"),
        browser_sha256=bindparam("browser"),
        state_expires_at=bindparam("until"),
        redirect_uri=bindparam("uri"),
        verifier=bindparam("sealed"),
    )
)
_REDEEM: Final = prepare(
    update(consents)
    .where(*_AT, _c.status == word("pending"), _c.verifier.is_not(None))
    .values(status=word("exchanging"), verifier=null(), lease=bindparam("the_lease"))
)
_RETURN: Final = prepare(update(consents).where(*_MINE).values(status=word("pending"), lease=null()))
_SPEND: Final = prepare(update(consents).where(*_AT, _c.verifier.is_not(None)).values(verifier=null()))
_IS_MINE: Final = prepare(select(_c.key).where(*_MINE))
_TOKEN: Final = prepare(update(consents).where(_THIS).values(token=bindparam("sealed")))
_DENIAL: Final = prepare(update(consents).where(_THIS).values(denial=bindparam("why")))


@dataclass(frozen=True, slots=True)
class Attempt:
    """A new attempt. Digests are SHA-256; ``verifier`` is sealed; ``valid_for`` is in milliseconds."""

    person: str
    state_sha256: bytes
    browser_sha256: bytes
    verifier: str
    redirect_uri: str
    valid_for: int


def begin(tx: Transaction, consent: Consent, attempt: Attempt) -> None:
    """Replace the latest attempt by a new one.

    Raises ``ConsentExpired``, ``Conflict`` if another attempt was begun meanwhile, and ``IllegalTransition``.
    """
    _require(tx, consent, "redeem")
    values = {
        "the_key": consent.key, "attempt": consent.attempts, "next": consent.attempts + 1, "person": attempt.person,
        "state": attempt.state_sha256, "browser": attempt.browser_sha256, "until": tx.now + attempt.valid_for,
        "uri": attempt.redirect_uri, "sealed": attempt.verifier,
    }  # fmt: skip
    if tx.execute(_BEGIN, values).rowcount != 1:
        raise Conflict(consent.subject, f"at attempt {consent.attempts}")


def redeem(tx: Transaction, consent: Consent, lease: int) -> None:
    """Begin the exchange of the code, and delete the verifier so that the code is never sent again.

    Raises ``ConsentExpired`` (of the consent or the attempt), ``Conflict`` if the code was or is being redeemed, and
    ``IllegalTransition`` if the consent is closed.
    """
    _require(tx, consent, "redeem")
    if consent.state_expires_at is None or consent.state_expires_at <= tx.now:
        raise ConsentExpired(consent.provider)
    values = {"the_key": consent.key, "attempt": consent.attempts, "the_lease": lease}
    if tx.execute(_REDEEM, values).rowcount != 1:
        raise Conflict(consent.subject, f"at attempt {consent.attempts}, not redeemed")
    _append(tx, consent, EventKind.CONSENT_EXCHANGING, consent.begun_by, None)


def give_back(tx: Transaction, consent: Consent, lease: int, cause: str) -> None:
    """Make the consent pending again, because the provider could not be asked; do nothing if another lease has it."""
    move("consent", consent.id, "exchanging", "retry")
    values = {"the_key": consent.key, "attempt": consent.attempts, "the_lease": lease}
    if tx.execute(_RETURN, values).rowcount == 1:
        _append(tx, consent, EventKind.CONSENT_PENDING, None, cause)


def spend(tx: Transaction, consent: Consent) -> bool:
    """End an attempt that brought no code, and keep the consent pending. Returns False if it had ended already."""
    return tx.execute(_SPEND, {"the_key": consent.key, "attempt": consent.attempts}).rowcount == 1


def grant(tx: Transaction, consent: Consent, lease: int, token: str, scopes: tuple[str, ...]) -> None:
    """Grant the consent, with the sealed token. Raises ``Conflict`` if it was closed, or taken from this lease."""
    _fence(tx, consent, lease)
    detail = event_details.consent(consent.provider, scopes)
    execution = read(tx, consent.execution_id)
    wait = _wait(consent, "exchanging")
    close(tx, execution, consent.key, wait, "grant", actor=consent.begun_by, detail=detail)
    tx.execute(_TOKEN, {"the_key": consent.key, "sealed": token})


def deny(tx: Transaction, consent: Consent, code: str, actor: str | None, lease: int | None = None) -> None:
    """Deny the consent with a code, during the exchange that this ``lease`` makes, or without a lease before any exchange.

    Raises ``Conflict`` if another attempt was begun meanwhile, and ``IllegalTransition`` if the consent is closed.
    """
    if lease is None:
        _require(tx, consent, "deny")
        status = "pending"
    else:
        _fence(tx, consent, lease)
        status = "exchanging"
    tx.execute(_DENIAL, {"the_key": consent.key, "why": code})
    detail = event_details.denied(consent.provider, code)
    execution = read(tx, consent.execution_id)
    close(tx, execution, consent.key, _wait(consent, status), "deny", actor=actor, detail=detail)


def _require(tx: Transaction, consent: Consent, trigger: str) -> None:
    """Raise unless the consent is still pending, at this attempt and before its deadline."""
    row = tx.one(_ONE, {"id": consent.execution_id, "wait": consent.id})
    if row is None:
        raise InteractionNotFound(consent.execution_id, consent.id)
    now = _consent(row)
    if now.status == "exchanging" or now.attempts != consent.attempts:
        raise Conflict(consent.subject, f"at attempt {consent.attempts}, not redeemed")
    if now.status == "expired" or (now.deadline_at is not None and now.deadline_at <= tx.now):
        raise ConsentExpired(consent.provider)
    move("consent", consent.id, now.status, trigger)


def _fence(tx: Transaction, consent: Consent, lease: int) -> None:
    if tx.one(_IS_MINE, {"the_key": consent.key, "attempt": consent.attempts, "the_lease": lease}) is None:
        raise Conflict(consent.subject, f"exchanging, by lease {lease}")


def _wait(consent: Consent, status: str) -> Wait:
    return Wait("consent", consent.id, status, 0, consent.created_at, consent.deadline_at, provider=consent.provider)


def _append(tx: Transaction, consent: Consent, event: EventKind, actor: str | None, cause: str | None) -> None:
    execution = read(tx, consent.execution_id)
    moved = (execution.status, execution.status)
    sequence = append(tx, event, consent.execution_id, wait_id=consent.id, moved=moved, actor=actor, cause=cause)
    tx.emit(Change(sequence, consent.execution_id, event, execution.status, execution.status, tx.now))


# --- Processes that die ----------------------------------------------------------------------------------------------

_EXCHANGING: Final = prepare(_DRIVEN.where(_c.lease.is_not(None), _c.status == word("exchanging")))


async def left_behind(database: Database) -> bool:
    """Whether any process is exchanging a code."""
    return bool(list(await database.read(_EXCHANGING)))


def recover(tx: Transaction) -> None:
    """Make the consents that dead processes were exchanging pending again: their codes may or may not have been redeemed."""
    found = [_consent(row) for row in tx.all(_EXCHANGING)]
    alive = leases.live(tx) if found else set()
    for consent in found:
        if consent.lease is not None and consent.lease not in alive:
            give_back(tx, consent, consent.lease, "its process is gone")


# --- Tokens ----------------------------------------------------------------------------------------------------------

_READ_TOKEN: Final = (_THIS, _c.token == bindparam("known"))
_TAKE_TOKEN: Final = prepare(update(consents).where(*_READ_TOKEN).values(lease=bindparam("the_lease")))
_REPLACE_TOKEN: Final = prepare(update(consents).where(*_READ_TOKEN).values(token=bindparam("sealed"), lease=null()))
_RELEASE_TOKEN: Final = prepare(
    update(consents).where(_THIS, _c.status == word("granted"), _c.lease == bindparam("the_lease")).values(lease=null())
)
_HOLDER: Final = prepare(select(_c.lease).where(_THIS))


def take_token(tx: Transaction, consent: Consent, lease: int) -> bool:
    """Claim the token for a refresh. Returns False if a living process has claimed it, or it is not the one that was read."""
    row = tx.one(_HOLDER, {"the_key": consent.key})
    if row is None or (row[0] is not None and row[0] != lease and row[0] in leases.live(tx)):
        return False
    values = {"the_key": consent.key, "known": consent.token, "the_lease": lease}
    return tx.execute(_TAKE_TOKEN, values).rowcount == 1


def replace_token(tx: Transaction, consent: Consent, sealed: str) -> bool:
    """Store the refreshed, sealed token. Returns False if the one that was read is gone."""
    return tx.execute(_REPLACE_TOKEN, {"the_key": consent.key, "known": consent.token, "sealed": sealed}).rowcount == 1


def release_token(tx: Transaction, consent: Consent, lease: int) -> None:
    """Give up the claim on a token that was not refreshed."""
    tx.execute(_RELEASE_TOKEN, {"the_key": consent.key, "the_lease": lease})


# --- Rotation --------------------------------------------------------------------------------------------------------

_ARE_SEALED: Final = _c.verifier.is_not(None) | _c.token.is_not(None)
_SEALED: Final = prepare(limited(_DRIVEN.where(_ARE_SEALED, _c.key > bindparam("after")).order_by(_c.key), "most"))
_RESEAL: Final = prepare(
    update(consents).where(_THIS).values(verifier=bindparam("the_verifier"), token=bindparam("the_token"))
)
_USES: Final = prepare(
    select(literal_column("id"), func.count())
    .select_from(
        union_all(
            select(func.json_extract(_c.token, word("$.key")).label("id")).where(_c.token.is_not(None)),
            select(func.json_extract(_c.verifier, word("$.key"))).where(_c.verifier.is_not(None)),
        ).subquery()
    )
    .group_by(literal_column("id"))
)


@dataclass(frozen=True, slots=True)
class Resealed:
    """One batch of ``reseal``: where the next one begins (None: nothing is left), and how many values were resealed."""

    after: int | None
    count: int


def reseal(tx: Transaction, after: int, renew: Callable[[Consent, str, str], str | None]) -> Resealed:
    """Reseal the next values. ``renew(consent, "verifier" or "token", sealed)`` returns the new form, or None to keep it."""
    rows = [_consent(row) for row in tx.all(_SEALED, {"after": after, "most": RESEALED_AT_ONCE})]
    count = 0
    for consent in rows:
        verifier = None if consent.verifier is None else renew(consent, "verifier", consent.verifier)
        token = None if consent.token is None else renew(consent, "token", consent.token)
        if verifier is None and token is None:
            continue
        count += (verifier is not None) + (token is not None)
        values = {"the_verifier": verifier or consent.verifier, "the_token": token or consent.token}
        tx.execute(_RESEAL, {"the_key": consent.key, **values})
    return Resealed(rows[-1].key if rows else None, count)


async def uses(database: Database) -> dict[str, int]:
    """How many values in the file each key has sealed, by its id."""
    return {str(key): count for key, count in await database.read(_USES, lane="long")}
