"""What a workflow waits for: prompts, consents and instants. How they are opened, and how the workflow gets their outcomes.

The outcome of a wait is in the file before a run hears of it, whoever wrote it. It is given to the workflow in its turn
(``ordering.py``), when the run has a slot and is still in memory. If the workflow stops awaiting it first, that is recorded.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Concatenate, Final, ParamSpec, cast

from restpoint._core import tracing
from restpoint._core.changes import Wait
from restpoint._core.serialization import encode
from restpoint._engine.run import Run
from restpoint._storage import Call, Claim, Transaction, journal
from restpoint._store.futures import PendingInteraction, read_answer
from restpoint.errors import (
    DamagedFile,
    ExecutionCancelled,
    ExecutionNotFound,
    InteractionExpired,
    InteractionWithdrawn,
    InvalidArgument,
    RestpointError,
    SealBroken,
    StorageError,
    StoreClosed,
)
from restpoint.prompts import HumanResponse

if TYPE_CHECKING:
    from restpoint._core.oauth_token import OAuthToken

log = logging.getLogger(__name__)

P = ParamSpec("P")

NO_CONSENTS: Final = (
    "This process drives no OAuth consents: give its server a file of providers (RESTPOINT_PROVIDERS_FILE), or its Runner "
    "the argument consents, and start it again."
)


async def ask(
    run: Run,
    job: Callable[Concatenate[Transaction, Claim, Call, str, P], None],
    call: Call,
    wait_id: str,
    *arguments: P.args,
    **named: P.kwargs,
) -> None:
    """Open a wait by a job of ``journal.py``."""
    try:
        with run.busy():
            await run.write(job, call, wait_id, *arguments, **named)
            run.recorded()
    except asyncio.CancelledError:
        run.abandon(call, wait_id)
        raise


async def answer(run: Run, wait_id: str, call: Call) -> HumanResponse:
    """The response to an interaction that was asked at this call."""
    closed = run.waits.get(wait_id)
    if closed is not None and closed.status != "pending":
        _tell_closed(run, closed, call)
        with run.busy():
            await _give(run, call, wait_id)
        return _outcome(run.claim.execution_id, closed)
    pending = run.pending.get(wait_id)
    if pending is None:
        raise DamagedFile(f"The journal of execution {run.claim.execution_id} names a wait that is not in the file.")
    outcome: HumanResponse | RestpointError
    try:
        with run.occupancy.wait(wait_id):
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
    finally:  # a run may ask without end, and give up on most of it
        run.pending.pop(wait_id, None)
    await _give(run, call, wait_id)
    told = "expired" if isinstance(outcome, RestpointError) else "answered"
    tracing.wait_span("interaction", wait_id, round(pending.created_at * 1_000_000_000), outcome=told)
    if isinstance(outcome, RestpointError):
        raise outcome
    return outcome


def consent_page(run: Run, provider: str, wait_id: str) -> str:
    """Where the page of a consent is, as far as this process knows."""
    if run.consents is None:
        return ""
    return run.consents.links.page_url(provider, run.claim.execution_id, wait_id)


def scopes_at(run: Run, provider: str) -> tuple[str, ...]:
    """What is asked for at a provider by default. Where it is unknown, the execution is left for a process that knows it."""
    if run.consents is None:
        run.stuck(InvalidArgument(NO_CONSENTS))
    else:
        try:
            return run.consents.provider(provider).scopes
        except InvalidArgument as error:
            run.stuck(error)
    run.check()
    raise AssertionError("a run that is stuck goes no further")


async def grant(run: Run, wait_id: str, call: Call) -> "OAuthToken":
    """The token of a consent that restpoint drives, once it is granted. Raises ``ConsentDenied`` and the like."""
    await consent(run, wait_id, call)
    outcome = run.outcomes[wait_id]
    if isinstance(outcome, RestpointError):
        raise outcome
    return outcome


async def _read_outcome(run: Run, wait_id: str) -> None:
    """What a consent came to, before the workflow hears that it is over."""
    if run.consents is None:
        run.stuck(InvalidArgument(NO_CONSENTS))
    else:
        try:
            run.outcomes[wait_id] = await run.consents.outcome(run.claim.execution_id, wait_id)
        except ExecutionNotFound:
            run.leave("ended")
        except SealBroken as error:
            run.stuck(error)
        except (StorageError, StoreClosed) as error:
            log.warning("execution %s stops here, and is tried again: %s", run.claim.execution_id, error)
            run.leave("failing storage")
    run.check()


async def consent(run: Run, wait_id: str, call: Call) -> None:
    """Return when a consent is open no more, whoever drives it."""
    begun = next((each.created_at for each in run.record.pending_oauths if each.consent_id == wait_id), None)
    try:
        with run.occupancy.wait(wait_id):
            while any(consent.consent_id == wait_id for consent in run.record.pending_oauths):
                await run.record.changed()
        if call.kind == journal.AUTHORIZE and wait_id not in run.outcomes:
            with run.busy():
                await _read_outcome(run, wait_id)
    except StoreClosed:
        run.leave("released")
        run.check()
    except asyncio.CancelledError:
        run.abandon(call, wait_id)
        raise
    await _give(run, call, wait_id)
    if begun is not None:
        tracing.wait_span("consent", wait_id, round(begun * 1_000_000_000), outcome="closed")
    elif (closed := run.waits.get(wait_id)) is not None:
        _tell_closed(run, closed, call)


async def _give(run: Run, call: Call, wait_id: str) -> None:
    """Return when it is the turn of the outcome of a wait that was closed."""
    outcome = run.journal.outcome_of(call, wait_id)
    try:
        await run.occupancy.be_here()
        with run.busy():
            await run.journal.order.give(outcome)
    except asyncio.CancelledError:
        run.journal.order.drop(outcome)
        if not run.journal.has(call):
            run.abandon(call, wait_id)
        raise
    run.check()


def _tell_closed(run: Run, wait: Wait, call: Call) -> None:
    """A pause that ended while the run was not in memory: told when it goes on, and not by each replay after that."""
    if not run.journal.has(call):
        tracing.wait_span(wait.kind, wait.id, wait.created_at * 1_000_000, outcome=wait.status)


async def fall_asleep(run: Run, call: Call, instant: int) -> None:
    """Record that a sleep has begun, which is over at ``instant``."""
    try:
        with run.busy():
            await run.write(journal.begin, call, encode({"until": instant}))
            run.recorded()
    except asyncio.CancelledError:
        run.abandon(call)
        raise


async def until(run: Run, call: Call, instant: int, begun: int) -> None:
    """Return at ``instant`` of a sleep that began at ``begun`` (both milliseconds since the epoch)."""
    try:
        with run.occupancy.wait(instant):
            while run.file.clock.now() < instant:
                await run.file.clock.sleep_until(instant)
        await run.occupancy.be_here()
        await run.first_time()
    except asyncio.CancelledError:
        run.abandon(call)
        raise
    tracing.wait_span("sleep", "", begun * 1_000_000)


async def _answered(pending: PendingInteraction) -> HumanResponse:
    """The response, whatever others do who await the same future: one who gives up (``wait_for``) cancels it."""
    while True:
        future = pending.future
        await asyncio.wait([future])
        if not future.cancelled():
            return future.result()


def _outcome(execution_id: str, wait: Wait) -> HumanResponse:
    if wait.status == "answered":
        answer = read_answer(wait)
        if isinstance(answer, RestpointError):
            raise answer
        return cast("HumanResponse", answer)
    if wait.status == "expired":
        raise InteractionExpired(execution_id, wait.id)
    raise InteractionWithdrawn(execution_id, wait.id)
