"""The executor: runs a workflow's function and writes its result or failure as the end of the execution."""

import asyncio
import logging
import traceback
from collections.abc import Callable, Collection
from itertools import islice
from typing import Any, Concatenate, Final, ParamSpec

from pydantic import ValidationError

from restpoint._core import tracing
from restpoint._core.serialization import first_problem, storable_text
from restpoint._engine.attempts import is_outcome
from restpoint._engine.calls import Branch, current_branch
from restpoint._engine.context import Context
from restpoint._engine.rewording import described, recorded
from restpoint._engine.run import Run
from restpoint._engine.steps import written
from restpoint._storage import Call, Claim, Transaction, journal
from restpoint.errors import (
    ConsentDenied,
    ConsentExpired,
    ConsentWithdrawn,
    InputNotAccepted,
    InteractionExpired,
    InteractionWithdrawn,
    LeaseLost,
    NotJSON,
    PromptDeclined,
    ReplayMismatch,
    StepFailed,
    StorageError,
    StoreClosed,
    TimeLimitRefused,
    WorkflowFailed,
)
from restpoint.logs import about

log = logging.getLogger(__name__)

P = ParamSpec("P")

_RETRY_SECONDS: Final = 1.0  # after the storage failed
_LONGEST_TRACEBACK: Final = 20_000  # characters
_MOST_CALLS: Final = 5  # that a warning names

_EXPECTED: Final = (
    InteractionExpired, InteractionWithdrawn, PromptDeclined, ConsentDenied, ConsentExpired, ConsentWithdrawn, NotJSON,
    TimeLimitRefused,
)  # fmt: skip


async def follow(run: Run) -> None:
    """Run the function from beginning to end; the current task is the first branch of the run."""
    name, execution_id = run.workflow.name, run.claim.execution_id
    current_branch.set(Branch(asyncio.current_task()))
    with about(execution_id=execution_id, workflow=name), tracing.run_span(name, execution_id, run.trace) as span:
        try:
            result = await _call(run)
            run.check()
            await _complete(run, result)
        except BaseException as error:
            if is_outcome(run, error):
                span.fail(type(error).__qualname__)
                await fail(run, error)
            elif isinstance(error, KeyboardInterrupt | GeneratorExit):
                raise
        finally:
            # Counts only if the end was not written: the loop is closing, or someone cancels tasks.
            run.set_exit_reason("released")
            span.annotate(outcome=run.exit_reason or "released")
            run.tear_down()


async def _call(run: Run) -> Any:
    try:
        arguments = run.workflow.arguments(run.input_text)
    except ValidationError as error:
        # The model has changed; the next release may have code that accepts the input again.
        run.stuck(
            InputNotAccepted(
                f"The stored input of execution {run.claim.execution_id} is not accepted now: {first_problem(error)}"
            )
        )
        raise asyncio.CancelledError from None
    return await run.workflow.function(Context(run), *arguments)


async def _complete(run: Run, result: Any) -> None:
    unvisited = run.journal.unvisited
    if unvisited is not None:
        run.mismatch(unvisited.call.position, recorded(run, unvisited), "nothing: it has returned")
    if run.not_awaited:
        log.warning(
            "workflow %s returned without having awaited %s, so nothing came of that: write await before a call of the context",
            run.workflow.name, _calls(run.not_awaited.values()),
        )  # fmt: skip
    try:
        text = (await written(result, run.workflow.output)).text
    except NotJSON as error:
        await fail(run, NotJSON(error.path, f"{error.problem} (the workflow returned it)"))
        return
    await _end(run, journal.complete, text, run.file.keeping)


async def fail(run: Run, error: BaseException) -> None:
    """Write a failure as the end of the execution."""
    try:
        await _record_failure(run, error)
    except Exception as defect:
        log.exception("the failure of workflow %s could not be recorded", run.workflow.name)
        if run.exit_reason is None:
            run.problem = f"Its failure could not be recorded: {type(defect).__name__}; the log of the server has more."
            run.set_exit_reason("stuck")


async def _record_failure(run: Run, error: BaseException) -> None:
    entry = run.journal.unvisited
    if entry is not None and not run.has_branched and entry.is_given:
        # The first time it got further than where it failed now, so the code has changed.
        was, at = recorded(run, entry), entry.call.position
        asked = f"nothing: it has raised {type(error).__name__}"
        log.error("workflow %s failed before what it has recorded", run.workflow.name, exc_info=error)
        run.stuck(ReplayMismatch(run.claim.execution_id, at, was, asked))
        return
    message, code, public = public_failure(error, run.workflow.name)
    log.log(
        logging.INFO if public else logging.ERROR,
        "workflow %s failed: %s", run.workflow.name, code, exc_info=None if public else error,
    )  # fmt: skip
    raised = type(error).__qualname__, storable_text(error), _traceback_of(error)
    await _end(run, journal.fail, message, code, run.file.keeping, raised)


def _calls(calls: Collection[Call]) -> str:
    shown = [described(call, None) for call in islice(calls, _MOST_CALLS)]
    return ", ".join(shown) + (f" and {more} more" if (more := len(calls) - len(shown)) else "")


async def _end(
    run: Run, job: Callable[Concatenate[Transaction, Claim, P], None], *arguments: P.args, **named: P.kwargs
) -> None:
    """Write the end of the execution, again and again while the storage fails, until its runner closes."""
    run.detach()
    while True:
        if run.writes.are_refused:  # what came before the end is stored before it
            await asyncio.sleep(_RETRY_SECONDS)
            continue
        try:
            await run.writes.submit(lambda tx: job(tx, run.claim, *arguments, **named))
        except (LeaseLost, StoreClosed):
            run.set_exit_reason("lost")
        except StorageError:
            if run.is_to_stop:
                log.exception("the end of execution %s could not be written", run.claim.execution_id)
                return
            log.exception("the end of execution %s could not be written; trying again", run.claim.execution_id)
            await asyncio.sleep(_RETRY_SECONDS)
            continue
        run.set_exit_reason("ended")
        return


def _traceback_of(error: BaseException) -> str:
    """What Python prints of an exception; of a long one the end, where it was raised."""
    text = storable_text("".join(traceback.format_exception(error)))
    return text if len(text) <= _LONGEST_TRACEBACK else f"...{text[-_LONGEST_TRACEBACK:]}"


def public_failure(error: BaseException, workflow: str) -> tuple[str, str, bool]:
    """What clients may know of a failure: a message, a code, and whether the log has no more than that."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, WorkflowFailed):
        return storable_text(error) or "The workflow failed.", storable_text(error.failure_code) or error.code, True
    if isinstance(error, _EXPECTED):
        return storable_text(error), error.code, True
    if isinstance(error, StepFailed):
        return (
            f"The step {error.step} failed with {error.error_type}; the log of the server has more.",
            error.code,
            False,
        )
    message = f"The workflow {workflow} failed with {type(error).__name__}; the log of the server has more."
    return message, "workflow_error", False
