"""The loader: reads the runs that this process has claimed, and gives back the claims of those that it runs no more."""

import asyncio
import logging
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Final

from restpoint._core.serialization import decode
from restpoint._engine.replay import Journal
from restpoint._engine.run import Run
from restpoint._engine.workflow import Workflow
from restpoint._storage import Claim, claims, journal
from restpoint._store.open_file import OpenFile
from restpoint.errors import (
    LeaseLost,
    SealBroken,
    StorageError,
    StoreClosed,
)

if TYPE_CHECKING:
    from restpoint._engine.runner import Runner


log = logging.getLogger(__name__)

_TRY_AGAIN: Final = 1.0  # seconds, after the storage failed


class Loader:
    """Takes up the claims of one runner, whose workflows are ``known`` by ``name@version``."""

    def __init__(self, runner: "Runner", file: OpenFile, known: Mapping[str, Workflow]) -> None:
        self._runner = runner
        self._file = file
        self._known = known

    def take_up(self, claim: Claim) -> None:
        """Begin a run that this process has just claimed, as soon as it is read."""
        self._runner.later(self._load(claim))

    async def _load(self, claim: Claim) -> None:
        """Begin a claimed run, or release its claim where that is not possible."""
        run, problem = None, None
        try:
            run = await self._read(claim)
        except (LeaseLost, StoreClosed):
            pass
        except StorageError:
            log.exception("execution %s could not be loaded; trying again", claim.execution_id)
            self._runner.slots.give()
            await self.try_again(claim)
            return
        except SealBroken as error:
            problem = str(error)
            log.error("execution %s cannot be taken up: %s", claim.execution_id, error)  # noqa: TRY400 - says it all
        except Exception as error:
            problem = f"It could not be taken up: {type(error).__name__}; the log of the server has more."
            log.exception("execution %s cannot be taken up", claim.execution_id)
        if run is None or self._runner.is_closing:
            self._runner.slots.give()
            await self.release(claim, problem)
        else:
            self._runner.begin(run)

    async def _read(self, claim: Claim) -> Run | None:
        """Read a claimed run with its journal. None where the execution is not in the file any more."""
        file, workflow = self._file, self._known[f"{claim.workflow}@{claim.version}"]
        text, trace, attempted = await journal.read_run(file.database, claim.execution_id)
        entries = await journal.read_journal(file.database, claim.execution_id)
        asked = [str(decode(entry.result)) for entry in entries if entry.call.kind in journal.WAITING]
        found = await file.records.load(claim.execution_id, asked)
        if found is None:
            return None
        # No await until the run has the pending prompts, or it could miss an answer.
        record, snapshot = found
        waits = {wait.id: wait for wait in snapshot.waits}
        run = Run(claim, workflow, record, file, self._runner, input_text=text, trace=decode(trace), waits=waits)
        # Read after the waits, so that it has the closing of every wait that is closed.
        closings = await journal.read_closings(file.database, claim.execution_id) if entries else {}
        run.use(Journal(entries, closings))
        if attempted:
            run.attempts.use(await journal.read_attempts(file.database, claim.execution_id))
        if self._runner.consents is not None and any(entry.is_driven for entry in entries):
            # Before the run begins: refreshing a token takes time, and must not change the order of a replay.
            run.outcomes |= await self._runner.consents.outcomes(claim.execution_id)
        return run

    def stood_still(self) -> None:
        """End the copies of runs that others took over while this process stood still."""
        self._runner.later(self._leave_lost())

    async def _leave_lost(self) -> None:
        try:
            lost = await self._file.database.write(claims.lost, [run.claim for run in self._runner.runs])
        except (StorageError, StoreClosed):
            return  # whatever it writes is refused all the same
        for claim in lost:
            run = self._runner.find(claim.execution_id)
            if run is not None and run.claim == claim:
                log.warning(
                    "another process took execution %s over while this one stood still; it ends here", claim.execution_id,
                    extra={"execution_id": claim.execution_id},
                )  # fmt: skip
                run.leave("lost")

    async def release(self, claim: Claim, problem: str | None, *, pause: int = 0, got_on: bool = True) -> None:
        """Give a claim back, so that another process can go on with the run. ``pause`` is in milliseconds."""
        self._runner.trust(claim.execution_id)
        release = partial(claims.release, run=claim, problem=problem, pause=pause, got_on=got_on)
        try:
            await self._file.database.write(release)
        except (LeaseLost, StoreClosed):
            return
        except StorageError:
            log.exception("execution %s could not be let go", claim.execution_id)
            if not self._runner.is_closing:  # while this process has its lease, nobody else can take the run
                self._runner.later(self._release_later(claim, problem, pause=pause, got_on=got_on))
            return
        self._runner.news.set()

    async def _release_later(self, claim: Claim, problem: str | None, *, pause: int, got_on: bool) -> None:
        await asyncio.sleep(_TRY_AGAIN)
        await self.release(claim, problem, pause=pause, got_on=got_on)

    async def try_again(self, claim: Claim) -> None:
        """After the storage failed, load the run again: this process still has the claim."""
        await asyncio.sleep(_TRY_AGAIN)
        if self._runner.is_closing:
            await self.release(claim, None)
            return
        await self._runner.slots.take(claim.owner)
        await self._load(claim)
