"""What a start gives: the execution, and its result once it has one."""

from dataclasses import dataclass, field
from typing import Any

from restpoint._core.threads import in_thread
from restpoint._engine.typed import Typed, is_long
from restpoint._store.records import ExecutionRecord
from restpoint.errors import ExecutionCancelled, ExecutionNotFound, WorkflowFailed
from restpoint.lifecycle import TERMINAL, ExecutionStatus


@dataclass(frozen=True, slots=True)
class Started:
    """A handle on an execution that was started: just now, or, where ``created`` is false, earlier with the same idempotency key.

    ``record`` is the live record, which has everything else: what is asked, what went wrong, and why nobody goes on with it.
    """

    record: ExecutionRecord
    created: bool
    _output: Typed = field(default_factory=lambda: Typed(Any), repr=False, compare=False)

    @property
    def id(self) -> str:
        """The id of the execution."""
        return self.record.execution_id

    @property
    def status(self) -> ExecutionStatus:
        """The status of the execution as this process knows it."""
        return self.record.status

    async def result(self) -> Any:
        """Wait until the execution has ended, in whichever process, and return its result by the annotation of its workflow.

        It waits as long as that takes, for people too; ``asyncio.timeout`` around it ends the waiting and not the execution.

        Raises ``WorkflowFailed`` with the public message and code of a failure, ``ExecutionCancelled``, ``StoreClosed`` when the
        store closes first, ``ExecutionNotFound`` where the execution was swept before this process read its result, and
        ``pydantic.ValidationError`` where another version of the workflow gave a result that the annotation does not accept.
        """
        record = self.record
        while record.status not in TERMINAL:
            await record.changed()
        if record.status is ExecutionStatus.FAILED:
            raise WorkflowFailed(record.error or "The execution failed.", record.error_code or WorkflowFailed.code)
        if record.status is ExecutionStatus.CANCELLED:
            raise ExecutionCancelled(f"Execution {self.id} was cancelled.")
        text = record.state.row.result
        if text is None:
            raise ExecutionNotFound(self.id)
        return await in_thread(self._output.read_beside, text) if is_long(text) else self._output.read(text)
