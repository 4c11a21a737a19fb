"""Steps: how their functions are called and tried again, and what the journal keeps of their results and errors."""

import asyncio
import functools
import inspect
import logging
import types
import weakref
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, Final, get_type_hints

from pydantic import ValidationError

from restpoint._core import tracing
from restpoint._core.clock import Clock, pass_until
from restpoint._core.oauth_token import with_fresh_tokens
from restpoint._core.serialization import decode, encode, storable_text
from restpoint._core.threads import in_thread
from restpoint._engine.attempts import cancellations, is_outcome
from restpoint._engine.calls import current_step
from restpoint._engine.typed import Typed, Written, is_large, is_long, typed
from restpoint._storage import Call, Entry
from restpoint.errors import InvalidArgument, NotJSON, StepFailed, WorkflowFailed

if TYPE_CHECKING:
    from restpoint._engine.run import Run

log = logging.getLogger(__name__)

_LONGEST_BACKOFF: Final = 300.0  # seconds
_MOST_DOUBLINGS: Final = 60  # of a backoff: beyond that any is longer than the longest, and a float would overflow
_GRACE_SECONDS: Final = 5.0  # for an attempt that is cancelled to end


def step_key() -> str:
    """The key of the current step of this execution, the same at every attempt, for services that take idempotency keys.

    Raises ``InvalidArgument`` outside a step.
    """
    key = current_step.get()
    if key is None:
        raise InvalidArgument("step_key is for functions that ctx.step calls.")
    return key


def name_of(function: Callable[..., Any]) -> str:
    """The name of a function."""
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__qualname__", type(function).__qualname__).replace("<locals>.", "")


_ANYTHING: Final = Typed(Any)
_result_types: "weakref.WeakKeyDictionary[types.FunctionType, Typed]" = weakref.WeakKeyDictionary()


def result_type(function: Callable[..., Any]) -> Typed:
    """The type of a function's result, by its annotation."""
    while isinstance(function, functools.partial):
        function = function.func
    function = getattr(function, "__func__", function)  # a bound method is made anew each time, and its function is not
    if not isinstance(function, types.FunctionType):
        return _annotated_result(function)
    found = _result_types.get(function)
    if found is None:
        found = _annotated_result(function)
        if "<locals>" not in function.__qualname__:  # one that is made in each run should go with what it captured
            _result_types[function] = found
    return found


def _annotated_result(function: Callable[..., Any]) -> Typed:
    try:
        annotation = get_type_hints(function, include_extras=True).get("return", Any)
    except (NameError, TypeError, AttributeError):
        annotation = Any
    return _ANYTHING if annotation is Any else typed(f"The result of step {name_of(function)}", annotation)


def kept_failure(step: str, error: BaseException) -> dict[str, Any]:
    """What the journal keeps of an exception, so that a replay can raise it again."""
    if isinstance(error, WorkflowFailed):
        return {"failed": storable_text(error), "code": storable_text(error.failure_code)}
    if isinstance(error, NotJSON):
        return {
            "path": storable_text(error.path),
            "problem": storable_text(f"{error.problem} (the step {step} returned it)"),
        }
    return {"step": step, "type": type(error).__name__, "message": storable_text(error)[:10_000]}


def raised_failure(failure: Mapping[str, Any]) -> Exception:
    """The exception that the journal kept."""
    if "failed" in failure:
        return WorkflowFailed(failure["failed"], failure["code"])
    if "path" in failure:
        return NotJSON(failure["path"], failure["problem"])
    return StepFailed(failure["step"], failure["type"], failure["message"])


async def written(value: object, kind: Typed) -> Written:
    """Write a value of the workflow's, beside the event loop if it is large. Raises ``NotJSON``."""
    if is_large(value):
        return await in_thread(functools.partial(kind.write, is_large=True), value)
    return kind.write(value)


async def recorded_result(entry: Entry, returned: Typed) -> Any:
    """Read the result that the journal has. Raises ``pydantic.ValidationError`` for a result of another type."""
    text = entry.result or "null"
    return await in_thread(returned.read_beside, text) if is_long(text) else returned.read(text)


# --- Trying --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Trying:
    """How a step is tried: ``retries`` times more, ``backoff`` seconds apart or longer, each at most ``timeout`` seconds long."""

    retries: int
    backoff: float
    timeout: float | None

    def pause(self, failed: int) -> int:
        """Milliseconds from the failure of attempt number ``failed`` to the next attempt."""
        doubled = self.backoff * 2.0 ** min(failed - 1, _MOST_DOUBLINGS)
        return round(min(doubled, _LONGEST_BACKOFF) * 1000)


async def stepped(
    run: "Run",
    call: Call,
    entry: Entry | None,
    function: Callable[..., Any],
    arguments: tuple[object, ...],
    trying: Trying,
    returned: Typed,
) -> Any:
    """The result of a step: what the journal has of it, or what its function returns now. Raises what its outcome is."""
    if entry is not None:
        if entry.error is not None:
            await run.replayed(entry)
            raise raised_failure(decode(entry.error))
        try:
            with run.busy():
                value = await recorded_result(entry, returned)
        except ValidationError as error:
            recorded = f"step {call.name} with the result {(entry.result or '')[:200]}"
            run.mismatch(call.position, recorded, f"step {call.name} with another result: {error}")
        await run.replayed(entry)
        return value
    await run.first_time(call)
    return await carry_out(run, call, function, arguments, trying, returned)


async def carry_out(
    run: "Run", call: Call, function: Callable[..., Any], arguments: tuple[Any, ...], trying: Trying, returned: Typed
) -> Any:
    """Try a step that has no outcome in the journal until it has one, record that, and return or raise it.

    Whatever the function raises is the failure of an attempt, ``SystemExit`` and ``StopIteration`` too. Failed attempts are
    recorded, so a restart neither forgets them nor tries again too early.
    """
    try:
        with run.busy():
            await run.created()  # inside ``try``: a step that is cancelled meanwhile is abandoned too
        result, kept, cause = await _tried(run, call, functools.partial(function, *arguments), trying, returned)
    except asyncio.CancelledError:
        run.attempts.abandon(run, call)
        raise
    with run.busy():
        await run.attempts.record_outcome(run, call, None if result is None else result.text, kept)
    if result is not None:
        return result.value
    failure = raised_failure(decode(kept))
    raise failure from (None if isinstance(cause, WorkflowFailed | NotJSON) else cause)


async def _tried(
    run: "Run", call: Call, work: functools.partial[Any], trying: Trying, returned: Typed
) -> tuple[Written | None, str | None, BaseException | None]:
    """The result of a step; or what the journal keeps of its failure, with the exception."""
    clock, failed = run.file.clock, 0
    earlier = run.attempts.of(call)
    if earlier is not None:
        failed = earlier.attempts
        if failed > trying.retries:  # the code has fewer retries now
            return None, earlier.error, None
        await _rest(run, earlier.next_at, round(_LONGEST_BACKOFF * 1000))
    for number in count(failed + 1):
        with run.busy():
            result, error = await _attempt(run, call, number, work, trying.timeout, returned)
            if error is None:
                return result, None, None
            kept = encode(kept_failure(call.name, error))
            if isinstance(error, WorkflowFailed | NotJSON) or number > trying.retries:
                if not isinstance(error, WorkflowFailed):
                    log.warning("step %s failed in attempt %d, the last one: %s", call.name, number, _shown(error))
                return None, kept, error
            pause = trying.pause(number)
            log.warning(
                "step %s failed in attempt %d of %d, and is tried again in %g seconds: %s",
                call.name, number, trying.retries + 1, pause / 1000, _shown(error),
            )  # fmt: skip
            due = clock.now() + pause
            await run.attempts.record_failure(run, call, number, kept, due)
        await _rest(run, due, pause)
    raise AssertionError("the last attempt returns or fails")


async def _rest(run: "Run", due: int, longest: int) -> None:
    """Return at ``due`` (milliseconds since the epoch), ``longest`` milliseconds from now at most. The step needs no slot."""
    clock = run.file.clock
    if clock.now() < due:
        with run.parking.rest():
            await pass_until(clock, due, longest)
        await run.parking.be_here()


async def _attempt(
    run: "Run", call: Call, number: int, work: functools.partial[Any], timeout: float | None, returned: Typed
) -> tuple[Written | None, BaseException | None]:
    """One attempt: the result, or what was raised. Raises nothing but what ends the run in this process."""
    token = current_step.set(f"{run.claim.execution_id}:{call.position}")
    try:
        with tracing.step_span(call.name, number) as span:
            calling = _called(run, work, returned)
            outcome = await (calling if timeout is None else _in_time(run.file.clock, calling, timeout))
            if outcome[1] is not None:
                span.fail(type(outcome[1]).__qualname__)
            return outcome
    finally:
        current_step.reset(token)


async def _called(
    run: "Run", work: functools.partial[Any], returned: Typed
) -> tuple[Written | None, BaseException | None]:
    """Call the function; one that is sync is called in a thread. Tokens are fresh when it gets them."""
    before = cancellations()
    try:
        work = await with_fresh_tokens(work)
        if inspect.iscoroutinefunction(work.func):
            value = await work()
        else:
            value, error = await run.attempts.in_thread(work)
            if error is not None:
                return None, error
            if inspect.isawaitable(value):  # a partial, a lambda or an object may return one
                value = await value
        return await written(value, returned), None
    except BaseException as error:
        if not is_outcome(run, error, before):
            raise
        return None, error


async def _in_time(
    clock: Clock, calling: Coroutine[Any, Any, tuple[Written | None, BaseException | None]], timeout: float
) -> tuple[Written | None, BaseException | None]:
    """The outcome of an attempt, or ``TimeoutError`` where there is none after ``timeout`` seconds."""
    limit = round(timeout * 1000)
    timer = asyncio.ensure_future(pass_until(clock, clock.now() + limit, limit))
    attempt = asyncio.ensure_future(calling)
    try:
        await asyncio.wait({attempt, timer}, return_when=asyncio.FIRST_COMPLETED)
        if attempt.done():
            return attempt.result()
        return None, TimeoutError(f"it took longer than {timeout:g} seconds")
    finally:
        timer.cancel()
        if not attempt.done():
            attempt.cancel()
            await asyncio.wait({attempt}, timeout=_GRACE_SECONDS)


def _shown(error: BaseException) -> str:
    return f"{type(error).__name__}: {storable_text(error)[:1_000]}"
