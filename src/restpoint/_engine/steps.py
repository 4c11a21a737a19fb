"""Steps: how their functions are called and tried again, and what the journal keeps of their results and errors."""

import asyncio
import functools
import inspect
from collections.abc import Callable, Coroutine, Mapping
from contextvars import ContextVar
from typing import Any, Final, get_type_hints

from restpoint._core import tracing
from restpoint._core.clock import Clock
from restpoint._core.serialization import storable_text
from restpoint._engine.typed import Typed, Written, is_large, is_long, typed
from restpoint._storage import Call, Entry
from restpoint.errors import InvalidArgument, NotJSON, StepFailed, WorkflowFailed

_LONGEST_BACKOFF: Final = 300.0  # seconds

current_step: ContextVar[str | None] = ContextVar("restpoint_step", default=None)
"""The key of the step that calls."""


def step_key() -> str:
    """The key of the current step of this execution, the same at every attempt, for services that take idempotency keys.

    Raises ``InvalidArgument`` outside a step.
    """
    key = current_step.get()
    if key is None:
        raise InvalidArgument("step_key is for functions that ctx.step calls.")
    return key


async def called(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Call a function and return its result; one that is sync is called in a thread."""
    if inspect.iscoroutinefunction(function):
        return await function(*arguments)
    value = await asyncio.to_thread(function, *arguments)
    # A partial, a lambda or an object may return an awaitable.
    return await value if inspect.isawaitable(value) else value


def name_of(function: Callable[..., Any]) -> str:
    """The name of a function."""
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__qualname__", type(function).__qualname__).replace("<locals>.", "")


def result_type(function: Callable[..., Any]) -> Typed:
    """The type of a function's result, by its annotation."""
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


def kept_failure(step: str, error: Exception) -> dict[str, Any]:
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
        return await asyncio.to_thread(kind.write, value, is_large=True)
    return kind.write(value)


async def recorded_result(entry: Entry, returned: Typed) -> Any:
    """Read the result that the journal has. Raises ``pydantic.ValidationError`` for a result of another type."""
    text = entry.result or "null"
    return await asyncio.to_thread(returned.read_beside, text) if is_long(text) else returned.read(text)


async def attempts(
    clock: Clock, key: str, call: Call, function: Callable[[], Coroutine[Any, Any, Any]], retries: int, backoff: float
) -> Any:
    """Call a function up to ``retries`` times more, ``backoff`` seconds apart or longer. Raises what the last attempt raised."""
    for attempt in range(retries + 1):
        token = current_step.set(key)
        try:
            with tracing.step_span(call.name, attempt + 1):
                return await function()
        except WorkflowFailed:
            raise
        except Exception:
            if attempt == retries:
                raise
        finally:
            current_step.reset(token)
        due = clock.now() + round(min(backoff * 2**attempt, _LONGEST_BACKOFF) * 1000)
        while clock.now() < due:
            await clock.sleep_until(due)
    raise AssertionError("the last attempt returns or raises")
