"""What a workflow waits for: prompts, consents and instants. How they are opened, and how the workflow gets their outcomes.

A run learns the outcome of a wait only after it is in the file, whoever wrote it. The workflow gets it in its turn
(``replay.py``), when the run is in memory and has a slot. If the workflow stops awaiting it first, that is recorded.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Concatenate, Final, ParamSpec, TypeVar, cast

from restpoint._core import tracing
from restpoint._core.changes import Wait
from restpoint._core.log_limit import STORAGE_FAILURES
from restpoint._core.serialization import decode, encode
from restpoint._engine import writes
from restpoint._engine.replay import Outcome
from restpoint._engine.run import Run
from restpoint._storage import Call, Claim, Entry, Transaction, journal, queries
from restpoint._store.futures import PendingInteraction, read_answer
from restpoint.errors import (
    DamagedFile,
    ExecutionCancelled,
    ExecutionNotFound,
    InteractionExpired,
    InteractionWithdrawn,
    InvalidArgument,
    NotFound,
    RestpointError,
    SealBroken,
    StorageError,
    StoreClosed,
)
from restpoint.prompts import HumanResponse

if TYPE_CHECKING:
    from restpoint._core.oauth_token import OAuthToken
    from restpoint.oauth.flow import Consents

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

_NO_CONSENTS: Final = (
    "This process drives no OAuth consents: give its server a file of providers (RESTPOINT_PROVIDERS_FILE), or its Runner "
    "the argument consents, and start it again."
)


async def begin(
    run: Run, wait_id: str | None, job: Callable[Concatenate[Transaction, Claim, Call, P], None], call: Call,
    *arguments: P.args, **named: P.kwargs,
) -> None:  # fmt: skip
    """Write the beginning of a wait or of a sleep, which has no ``wait_id``, with a job of ``journal.py``."""
    run.parking.opens_waits = True
    try:
        with run.busy():
            await run.write(job, call, *arguments, **named)
            run.recorded()
    except asyncio.CancelledError:
        run.abandon(call, wait_id)
        raise


async def answer(
    run: Run, wait_id: str, call: Call, *, takes_votes: bool = False
) -> "tuple[HumanResponse, Wait, Sequence[queries.Vote]]":
    """Return the response to an interaction, the row that has it and the votes, or raise how it was closed without one.

    The votes of one that expired are those of the ``InteractionExpired``.
    """
    closed = run.waits.get(wait_id)
    if closed is not None and closed.status != "pending":
        _trace_closed(run, closed, call)
        with _turn(run, call, wait_id) as turn:
            voted = await _votes(run, wait_id) if takes_votes else ()
            with run.busy():
                await _give(run, turn)
        return _outcome(run, closed, voted), closed, voted
    pending = run.pending.get(wait_id)
    if pending is None:
        raise DamagedFile(f"The journal of execution {run.claim.execution_id} names a wait that is not in the file.")
    outcome: HumanResponse | RestpointError
    try:
        with run.parking.wait(wait_id):
            outcome = await _answered(pending)
    except ExecutionCancelled:
        run.leave("ended")
        run.check()
        raise
    except (InteractionExpired, InteractionWithdrawn) as error:
        outcome = error
    except asyncio.CancelledError:
        run.abandon(call, wait_id)
        raise
    finally:  # a run may ask very often and abandon most prompts
        run.pending.pop(wait_id, None)
    with _turn(run, call, wait_id) as turn:
        voted = await _votes(run, wait_id) if takes_votes else ()
        await _give(run, turn)
    status = "expired" if isinstance(outcome, RestpointError) else "answered"
    tracing.wait_span("interaction", wait_id, round(pending.created_at * 1_000_000_000), outcome=status)
    if isinstance(outcome, RestpointError):
        if isinstance(outcome, InteractionExpired):
            outcome.votes = voted
        raise outcome
    if pending.closed is None:
        raise DamagedFile(f"The answer to a prompt of execution {run.claim.execution_id} is not in the file.")
    return outcome, pending.closed, voted


async def _votes(run: Run, wait_id: str) -> "Sequence[queries.Vote]":
    """Read the votes on a prompt before the workflow learns that it is closed."""
    execution_id = run.claim.execution_id
    try:
        return (await _read(run, lambda: queries.asked(run.file.database, execution_id, wait_id))).voted
    except NotFound:
        run.leave("ended")
    run.check()
    return ()


async def _read(run: Run, reading: Callable[[], Awaitable[T]]) -> T:
    """Read something that a run needs to go on, again and again while the storage fails.

    The run stays in memory, as it does for a write: were it replayed, its steps under way would begin once more.
    """
    with run.busy():
        while True:
            try:
                return await reading()
            except StorageError as error:
                STORAGE_FAILURES.error(
                    log, "execution %s goes on once it can be read again: %s", run.claim.execution_id, error
                )
                await asyncio.sleep(writes.AGAIN)
            except StoreClosed:
                run.leave("released")
            run.check()


def _consent_page(run: Run, provider: str, wait_id: str) -> str:
    """The URL of the page of a consent, as far as this process knows it."""
    if run.consents is None:
        return ""
    return run.consents.links.page_url(provider, run.claim.execution_id, wait_id)


def _consents(run: Run) -> "Consents":
    """The OAuth flow of this process. Where it has none, the execution is left for a process that has one."""
    if run.consents is None:
        run.stuck(InvalidArgument(_NO_CONSENTS))
        raise asyncio.CancelledError
    return run.consents


def _scopes_at(run: Run, provider: str) -> tuple[str, ...]:
    """The default scopes of a provider. Where it is unknown, the execution is left for a process that knows it."""
    consents = _consents(run)
    try:
        return consents.provider(provider).scopes
    except InvalidArgument as error:
        run.stuck(error)
        raise asyncio.CancelledError from None


async def shown(run: Run, call: Call, entry: Entry | None, text: str) -> None:
    """Show people something, which blocks nothing, at the first time that this is called."""
    if entry is not None:
        await run.replayed(entry)
        return
    await run.first_time(call)
    with run.busy():
        await run.outcome(journal.show, call, text)


async def opened(run: Run, entry: Entry) -> str:
    """The id of the wait that was opened at a call. Never returns if the workflow abandoned it."""
    run.begun(entry.call)
    if entry.is_abandoned:
        await run.replayed(entry)
    return str(decode(entry.result))


async def granted(
    run: Run, call: Call, entry: Entry | None, provider: str, scopes: tuple[str, ...] | None, due: int | None
) -> "OAuthToken":
    """Ask for a consent that restpoint drives, or find the one that was asked for; the token, once it is granted.

    ``due`` is in milliseconds from now. Raises ``ConsentDenied`` and the like.
    """
    if entry is None:
        await run.first_time(call)
        wait_id = run.file.identifiers.new()
        usual = _scopes_at(run, provider)
        wanted = usual if scopes is None else scopes
        page, asked = _consent_page(run, provider, wait_id), encode(list(wanted))
        await begin(run, wait_id, journal.authorize, call, wait_id, page, wait_id, due, provider, asked)
    else:
        wait_id = await opened(run, entry)
    await _closed(run, wait_id, call)
    outcome = run.outcomes[wait_id]
    if isinstance(outcome, RestpointError):
        raise outcome
    return outcome


async def consented(
    run: Run, call: Call, entry: Entry | None, auth_url: str, oauth_state: str, due: int | None
) -> None:
    """Ask for a consent that the application drives, and return when it is closed. ``due`` is in milliseconds from now."""
    if entry is None:
        await run.first_time(call)
        wait_id = run.file.identifiers.new()
        await begin(run, wait_id, journal.authorize, call, wait_id, auth_url, oauth_state, due)
    else:
        wait_id = await opened(run, entry)
    await _closed(run, wait_id, call)


async def _read_outcome(run: Run, wait_id: str) -> None:
    """Read the outcome of a consent before the workflow learns that it is closed."""
    consents = _consents(run)
    try:
        run.outcomes[wait_id] = await _read(run, lambda: consents.outcome(run.claim.execution_id, wait_id))
    except ExecutionNotFound:
        run.leave("ended")
    except SealBroken as error:
        run.stuck(error)
    run.check()


async def _closed(run: Run, wait_id: str, call: Call) -> None:
    """Return when a consent is closed, whoever drives it."""
    opened = next((each.created_at for each in run.record.pending_oauths if each.consent_id == wait_id), None)
    try:
        with run.parking.wait(wait_id):
            while any(consent.consent_id == wait_id for consent in run.record.pending_oauths):
                await run.record.changed()
    except StoreClosed:
        run.leave("released")
        run.check()
    except asyncio.CancelledError:
        run.abandon(call, wait_id)
        raise
    with _turn(run, call, wait_id) as turn:
        if call.kind == journal.AUTHORIZE and wait_id not in run.outcomes:
            await _read_outcome(run, wait_id)
        await _give(run, turn)
    if opened is not None:
        tracing.wait_span("consent", wait_id, round(opened * 1_000_000_000), outcome="closed")
    elif (closed := run.waits.get(wait_id)) is not None:
        _trace_closed(run, closed, call)


@contextmanager
def _turn(run: Run, call: Call, wait_id: str) -> Iterator[Outcome]:
    """The outcome of a closed wait, which has its place in the order from now on, unless the workflow stops awaiting it."""
    outcome = run.journal.outcome_of(call, wait_id, run.closings.pop(wait_id, None))
    try:
        yield outcome
    except asyncio.CancelledError:
        run.journal.order.drop(outcome)
        if not run.journal.has(call):
            run.abandon(call, wait_id)
        raise
    run.check()


async def _give(run: Run, outcome: Outcome) -> None:
    """Return when it is the turn of an outcome."""
    await run.parking.be_here()
    with run.busy():
        await run.journal.order.give(outcome)


def _trace_closed(run: Run, wait: Wait, call: Call) -> None:
    """Trace a wait that was closed while the run was not in memory; later replays do not trace it again."""
    if not run.journal.has(call):
        tracing.wait_span(wait.kind, wait.id, wait.created_at * 1_000_000, outcome=wait.status)


async def _until(run: Run, call: Call, instant: int, begun: int) -> None:
    """Return at ``instant``; the sleep began at ``begun`` (both in milliseconds since the epoch)."""
    try:
        with run.parking.wait(instant):
            while run.file.clock.now() < instant:
                await run.file.clock.sleep_until(instant)
        await run.parking.be_here()
        await run.first_time(call)
    except asyncio.CancelledError:
        run.abandon(call)
        raise
    tracing.wait_span("sleep", "", begun * 1_000_000)


async def slept(run: Run, call: Call, entry: Entry | None, length: int) -> None:
    """Sleep for ``length`` milliseconds from when the call was first made."""
    if entry is None:
        await run.first_time(call)
        until = run.file.clock.now() + length
        await begin(run, None, journal.begin, call, encode({"until": until}))
    else:
        await run.replayed(entry)
        if entry.ordinal is not None:
            return
        until = int(decode(entry.result)["until"])
    await _until(run, call, until, until - length)
    with run.busy():
        await run.outcome(journal.settle, call)


async def _answered(pending: PendingInteraction) -> HumanResponse:
    """The response, also where someone else who awaits the same future cancels it, as ``wait_for`` does."""
    while True:
        future = pending.future
        await asyncio.wait([future])
        if not future.cancelled():
            return future.result()


def _outcome(run: Run, wait: Wait, voted: "Sequence[queries.Vote]") -> HumanResponse:
    if wait.status == "answered":
        answer = read_answer(run.record.models, wait)
        if isinstance(answer, RestpointError):
            raise answer
        return cast("HumanResponse", answer)
    if wait.status == "expired":
        expired = InteractionExpired(run.claim.execution_id, wait.id)
        expired.votes = voted
        raise expired
    raise InteractionWithdrawn(run.claim.execution_id, wait.id)
