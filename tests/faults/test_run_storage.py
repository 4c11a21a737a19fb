"""FAULTS rows 3, 7 and 8 for runs: death between COMMIT of an answer and the wake-up, and a disk that is full for a while."""

from pathlib import Path

import pytest

from faults.harness import Zygote, percentile, problems
from restpoint._storage.sqlite import migrations
from support import rows


def _restart_many(zygote: Zygote, path: Path, rounds: int) -> float:
    """Returns the most seconds that a restart took."""
    migrations.prepare(path)
    took: list[float] = []
    for round_ in range(rounds):
        text = f"way {round_}"
        victim = zygote.run("run_workloads:answer_and_die", path=str(path), text=text)
        (execution_id,) = victim.line()
        assert list(victim.lines()) == [], "the answer was acknowledged before the process died"
        assert victim.died_by_sigkill()
        zygote.forget(victim)
        assert rows(path, f"SELECT status FROM executions WHERE id = '{execution_id}'") == [("running",)]
        heir = zygote.run("run_workloads:go_on", path=str(path), execution_id=execution_id)
        status, result, seconds = heir.line()
        assert (status, result) == ("completed", text)
        assert heir.reap() == 0
        zygote.forget(heir)
        took.append(seconds)
    assert problems(path, []) == []
    print(
        f"\n{rounds} restarts: completed {percentile(took, 0.5) * 1000:.0f} ms (median), {max(took) * 1000:.0f} ms (most) "
        "after the new process began, opening included"
    )
    return max(took)


def test_a_run_whose_answer_was_committed_and_not_told_goes_on_after_a_restart(zygote: Zygote, path: Path) -> None:
    _restart_many(zygote, path, 20)


@pytest.mark.deep
def test_five_hundred_runs_go_on_after_a_restart(zygote: Zygote, path: Path) -> None:
    assert _restart_many(zygote, path, 500) < 1.0


@pytest.mark.parametrize("rounds", [1, pytest.param(30, marks=pytest.mark.deep)])
def test_a_full_disk_fails_no_run_and_all_go_on_when_there_is_space(
    zygote: Zygote, tmp_path: Path, rounds: int
) -> None:
    failures = 0
    for number in range(rounds):
        path = tmp_path / f"{number}.db"
        migrations.prepare(path)
        child = zygote.run(
            "run_workloads:full_disk", path=str(path), effects=str(path.with_suffix(".effects")), starts=20
        )
        failed, ended_meanwhile, statuses = child.line()
        assert child.reap() == 0
        zygote.forget(child)
        assert failed, "the disk was full"
        assert ended_meanwhile < 20
        assert statuses == ["completed"]
        assert problems(path, []) == []
        assert rows(path, "SELECT count(*) FROM journal WHERE kind = 'step'") == [(60,)]
        failures += failed
    print(f"\n{failures} writes failed in {rounds} processes; 0 runs of {20 * rounds} failed, all completed")
