"""Steps: the functions that a workflow calls through its context, tried again where they fail, with results that are typed."""

import asyncio
import functools
import inspect
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any, Final, get_type_hints

from restpoint._core import tracing
from restpoint._core.clock import Clock
from restpoint._core.serialization import decode
from restpoint._engine.failures import raised_failure
from restpoint._engine.workflow import Typed, typed
from restpoint._storage import Call, Entry
from restpoint.errors import InvalidArgument, WorkflowFailed

_LONGEST_BACKOFF: Final = 300.0  # seconds

step_here: ContextVar[str | None] = ContextVar("restpoint_step", default=None)
"""The key of the step that this is called in."""


def step_key() -> str:
    """Inside a step: a key of this step of this execution, the same at every try, for services that take idempotency keys.

    Raises ``InvalidArgument`` elsewhere.
    """
    key = step_here.get()
    if key is None:
        raise InvalidArgument("step_key is for functions that ctx.step calls.")
    return key


async def called(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """What a function returns; one that is sync is called in a thread."""
    if inspect.iscoroutinefunction(function):
        return await function(*arguments)
    value = await asyncio.to_thread(function, *arguments)
    # A partial, a lambda or an object that gives an awaitable.
    return await value if inspect.isawaitable(value) else value


def name_of(function: Callable[..., Any]) -> str:
    """What a function is called."""
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__qualname__", type(function).__qualname__).replace("<locals>.", "")


def result_type(function: Callable[..., Any]) -> Typed:
    """What a function says that it returns."""
    while isinstance(function, functools.partial):
        function = function.func
    try:
        return _result_type_of(function)
    except TypeError:  # it cannot be hashed
        return Typed(Any)


@functools.lru_cache(maxsize=1_000)
def _result_type_of(function: Callable[..., Any]) -> Typed:
    try:
        annotation = get_type_hints(function, include_extras=True).get("return", Any)
    except (NameError, TypeError, AttributeError):
        annotation = Any
    return typed(f"The result of step {name_of(function)}", annotation)


def recorded_outcome(entry: Entry, returned: Typed) -> Any:
    """The outcome of a step as the journal has it: returned, or raised."""
    if entry.error is not None:
        raise raised_failure(decode(entry.error))
    return returned.read(entry.result or "null")


async def attempts(
    clock: Clock, key: str, call: Call, function: Callable[[], Coroutine[Any, Any, Any]], retries: int, backoff: float
) -> Any:
    """What the function gives, after as many tries as it takes and may take. Raises what the last one raised."""
    for attempt in range(retries + 1):
        token = step_here.set(key)
        try:
            with tracing.step_span(call.name, attempt + 1):
                return await function()
        except WorkflowFailed:
            raise
        except Exception:
            if attempt == retries:
                raise
        finally:
            step_here.reset(token)
        due = clock.now() + round(min(backoff * 2**attempt, _LONGEST_BACKOFF) * 1000)
        while clock.now() < due:
            await clock.sleep_until(due)
    raise AssertionError("the last attempt returns or raises")
