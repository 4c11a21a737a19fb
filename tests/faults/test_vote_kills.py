"""Death between votes: each acknowledged vote is there, counts once, and the prompt is answered when enough are in."""

from pathlib import Path

from faults.harness import Zygote, problems
from restpoint import ExecutionStore
from restpoint.prompts import HumanResponseText
from support import TEXT, rows

ROUNDS = 8
VOTERS = ("ada", "eve", "joe")


async def test_a_vote_whose_process_was_killed_counts_once(zygote: Zygote, path: Path) -> None:
    async with ExecutionStore(database=path) as store:
        record = await store.create_execution()
        asked = [
            await store.set_interaction_required(
                record.execution_id, TEXT, f"prompt {number}", assignees=["group:board"], votes=len(VOTERS)
            )
            for number in range(ROUNDS)
        ]
        for number, pending in enumerate(asked):
            future = pending.future
            for place, voter in enumerate(VOTERS):
                child = zygote.run(
                    "vote_until_killed", path=str(path), execution_id=record.execution_id,
                    wait_id=pending.interaction_id, voter=voter, is_told=(number + place) % 2 == 0,
                )  # fmt: skip
                assert child.line() == ["voted" if (number + place) % 2 == 0 else "voting"]
                child.kill()
                assert child.died_by_sigkill()
                zygote.forget(child)
                # Whoever was not told votes again, and nothing is counted twice.
                await store.resolve_interaction(
                    record.execution_id, pending.interaction_id, HumanResponseText(text="north"), actor=voter
                )
                assert voter == VOTERS[-1] or not future.done()
            assert await future == HumanResponseText(text="north")
    assert rows(path, "SELECT count(*), count(DISTINCT interaction_key) FROM votes") == [(3 * ROUNDS, ROUNDS)]
    told = rows(path, "SELECT event, count(*) FROM history WHERE wait_id IS NOT NULL GROUP BY event")
    assert dict(told) == {"interaction_asked": ROUNDS, "interaction_voted": 3 * ROUNDS, "interaction_answered": ROUNDS}
    assert problems(path, []) == []
