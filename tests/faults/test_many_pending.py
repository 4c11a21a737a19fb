"""FAULTS row 12: a restart with very many prompts open: ready at once, in little memory, and each can be answered."""

from pathlib import Path

import pytest

from faults.harness import problems, run_alone
from faults.prefilled import waiting_executions
from restpoint._storage.sqlite import migrations
from support import rows

READY_SECONDS = 2.0
RESIDENT_BYTES = 150_000_000


def _restart(path: Path, number: int, every: int) -> float:
    """Returns how many seconds the opening took."""
    migrations.prepare(path)
    waiting_executions(path, number)
    assert rows(path, "SELECT count(*) FROM open_waits") == [(number,)]
    opened, resident, answered, took = run_alone("answer_some", path=str(path), every=every, at_once=500)
    print(
        f"\n{number} prompts: open in {opened * 1000:.0f} ms "
        f"with {resident / 1e6:.0f} MB resident; {answered} loaded, answered and awaited in {took:.1f} s"
    )
    assert answered == number // every
    assert resident < RESIDENT_BYTES
    assert rows(path, "SELECT count(*) FROM open_waits") == [(number - answered,)]
    assert rows(path, "SELECT count(*) FROM answers") == [(answered,)]
    assert problems(path, []) == []
    return float(opened)


def test_a_file_with_ten_thousand_open_prompts_opens_at_once(path: Path) -> None:
    _restart(path, 10_000, every=20)


@pytest.mark.deep
def test_every_one_of_a_hundred_thousand_open_prompts_is_answerable_after_a_restart(path: Path) -> None:
    assert _restart(path, 100_000, every=1) < READY_SECONDS
