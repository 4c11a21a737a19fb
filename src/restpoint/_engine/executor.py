"""The executor: runs a workflow's function from its first call to its result, which is written as the end of the execution."""

import asyncio
import logging
from typing import Any

from pydantic import ValidationError

from restpoint._core import tracing
from restpoint._core.serialization import first_problem
from restpoint._engine.context import Context
from restpoint._engine.failures import public_failure
from restpoint._engine.replay import Branch, describe
from restpoint._engine.run import Run, branch_here
from restpoint._storage import journal
from restpoint.errors import InputNotAccepted, NotJSON, ReplayMismatch
from restpoint.logs import about

log = logging.getLogger(__name__)


async def follow(run: Run) -> None:
    """From beginning to end, in the task that is the run's first branch."""
    name, execution_id = run.workflow.name, run.claim.execution_id
    branch_here.set(Branch(asyncio.current_task()))
    with about(execution_id=execution_id, workflow=name), tracing.run_span(name, execution_id, run.trace) as span:
        try:
            result = await _call(run)
            run.check()
            await _complete(run, result)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if run.gone is None and task is not None and not task.cancelling():
                span.fail("CancelledError")
                await _fail(run, RuntimeError("the workflow cancelled itself"))
            elif run.gone is None:
                run.depart("released")  # the loop is closing, or someone cancels tasks
        except Exception as error:  # noqa: BLE001 - the workflow's own
            if run.gone is None:
                span.fail(type(error).__qualname__)
                await _fail(run, error)
        finally:
            run.depart("released")  # what has ended said so when that was written
            span.annotate(outcome=run.gone or "released")
            run.tear_down()


async def _call(run: Run) -> Any:
    try:
        arguments = run.workflow.arguments(run.input_text)
    except ValidationError as error:
        # The model changed since: the code that it was begun with may be back with the next release.
        run.stuck(
            InputNotAccepted(
                f"The stored input of execution {run.claim.execution_id} is not accepted now: {first_problem(error)}"
            )
        )
        raise asyncio.CancelledError from None
    return await run.workflow.function(Context(run), *arguments)


async def _complete(run: Run, result: Any) -> None:
    left_out = run.journal.unvisited
    if left_out is not None:
        entry = run.journal.entries[left_out]
        run.mismatch(left_out, describe(entry.call), "nothing: it has returned")
    try:
        text = run.workflow.output.write(result)
    except NotJSON as error:
        await _fail(run, error)
        return
    await run.end(journal.complete, text, run.file.keeping)


async def _fail(run: Run, error: BaseException) -> None:
    try:
        await _record_failure(run, error)
    except Exception as defect:
        log.exception("the failure of workflow %s could not be recorded", run.workflow.name)
        if run.gone is None:
            run.problem = f"Its failure could not be recorded: {type(defect).__name__}; the log of the server has more."
            run.depart("stuck")


async def _record_failure(run: Run, error: BaseException) -> None:
    left_out = run.journal.unvisited
    entry = None if left_out is None else run.journal.entries[left_out]
    if entry is not None and not run.has_branched and entry.is_given:
        # It once got further than to where it failed now: this is other code.
        recorded, at = describe(entry.call), entry.call.position
        asked = f"nothing: it has raised {type(error).__name__}"
        log.error("workflow %s failed before what it has recorded", run.workflow.name, exc_info=error)
        run.stuck(ReplayMismatch(run.claim.execution_id, at, recorded, asked))
        return
    message, code, public = public_failure(error, run.workflow.name)
    log.log(
        logging.INFO if public else logging.ERROR,
        "workflow %s failed: %s", run.workflow.name, code, exc_info=None if public else error,
    )  # fmt: skip
    await run.end(journal.fail, message, code, run.file.keeping)
