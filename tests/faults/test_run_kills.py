"""FAULTS row 1 for runs: SIGKILL at random instants of processes that run workflows.

Whatever was acknowledged is there, every execution completes with what its seed says, an answer is given to the question it
was given for, and an effect happens again only where the kill fell between the effect and its record.
"""

import json
import os
import shutil
import time
from pathlib import Path
from random import Random

import pytest

from faults.harness import Acknowledged, Child, Zygote, problems
from faults.run_workloads import DEFAULT, lines, reply_to, told_by
from restpoint._storage.sqlite import migrations
from support import folded_statuses, rows

KILLS_OF_A_FILE = 10


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "new.db"
    migrations.prepare(path)
    return path


class _File:
    """One file, the processes that ran on it, and what they acknowledged."""

    def __init__(self, zygote: Zygote, path: Path, random: Random) -> None:
        self.zygote = zygote
        self.path = path
        self.effects = path.with_suffix(".effects")
        self.random = random
        self.acknowledged: Acknowledged = []
        self.killed: set[int] = set()
        self.repeated = 0

    def _begin(self, most: int) -> Child:
        random = self.random
        return self.zygote.run(
            "run_workloads:programs",
            path=str(self.path),
            effects=str(self.effects),
            seed=random.getrandbits(40),
            most=most,
            hold=random.choice([0, 0, 0.01, 5]),
            concurrency=random.choice([1, 3, 100]),
            answers=random.random() < 0.8,
        )

    def _kill(self, child: Child) -> None:
        child.kill()
        assert child.died_by_sigkill()
        self.acknowledged.extend(child.lines())
        self.killed.add(child.pid)
        self.zygote.forget(child)

    def kill_some(self) -> int:
        """One process or two beside each other, killed at random instants after a number of starts that they told of."""
        random = self.random
        children = [(self._begin(most), most) for most in random.choices([0, 3, 10], k=random.choice([1, 1, 2]))]
        for child, most in children:
            for _ in range(random.randint(0, most)):
                self.acknowledged.append(child.line())
            self.acknowledged.extend(child.lines(random.choice([0.05, 0.1, 0.2, 0.3, 0.6]) * random.random()))
            self._kill(child)
        return len(children)

    def finish(self) -> int:
        """One more process runs all to their ends; then everything is looked at. How many executions there were."""
        child = self.zygote.run("run_workloads:to_the_end", path=str(self.path), hold=self.random.choice([0, 5]))
        assert child.line() == ["ended"], rows(self.path, "SELECT id, status FROM executions")
        assert child.reap() == 0
        last = child.pid
        self.zygote.forget(child)
        assert problems(self.path, self.acknowledged) == []
        found = rows(
            self.path,
            "SELECT e.id, e.status, e.result, r.input FROM executions e JOIN runs r ON r.execution_key = e.key",
        )
        assert {status for _, status, *_ in found} <= {"completed"}, rows(
            self.path, "SELECT id, status, error_code, error FROM executions WHERE status <> 'completed'"
        )
        assert folded_statuses(self.path) == {execution_id: "completed" for execution_id, *_ in found}
        assert rows(self.path, "SELECT 1 FROM history WHERE event = 'execution_stuck'") == []
        for _, _, result, given in found:
            self._look_at(json.loads(result), json.loads(given)["seed"])
        self._look_at_effects(last)
        return len(found)

    def _look_at(self, result: list[object], seed: int) -> None:
        for kind, told in told_by(result):
            question = str(told[0])
            assert question.startswith(f"{seed}."), "what another execution was given"
            if kind == "asked":
                assert told[1] in {reply_to(question), DEFAULT}, told
            else:
                assert told[1] == question, "the result of another step"

    def _look_at_effects(self, last: int) -> None:
        by_key: dict[str, list[int]] = {}
        for key, pid, _ in lines(self.effects):
            by_key.setdefault(key, []).append(int(pid))
        recorded = {
            f"{execution_id}:{position}": json.loads(result)
            for execution_id, position, result in rows(
                self.path,
                "SELECT e.id, j.position, j.result FROM journal j JOIN executions e ON e.key = j.execution_key"
                " WHERE j.kind = 'step'",
            )
        }
        assert by_key.keys() == recorded.keys(), "a step that was recorded and did nothing, or did something unrecorded"
        for key, pids in by_key.items():
            assert len(set(pids)) == len(pids), f"the process {pids} did the step {key} more than once"
            assert set(pids[:-1]) <= self.killed, f"{key} was done again though nobody had died: {pids}"
            assert recorded[key][1] == pids[-1], f"the record of {key} is not that of the last to do it"
            self.repeated += len(pids) - 1
        assert {pid for pids in by_key.values() for pid in pids} <= {*self.killed, last}


def _kill_many(zygote: Zygote, template: Path, folder: Path, kills: int, seed: int) -> None:
    random = Random(seed)
    begun = time.monotonic()
    killed = files = executions = acknowledged = steps = repeated = 0
    # Chance may have few of the first tell of anything before they are killed.
    while killed < kills or (acknowledged <= killed < 10 * kills):
        files += 1
        path = folder / f"{files}.db"
        shutil.copyfile(template, path)
        file = _File(zygote, path, random)
        of_this_file = 0
        while of_this_file < KILLS_OF_A_FILE:
            of_this_file += file.kill_some()
        killed += of_this_file
        try:
            executions += file.finish()
        except BaseException:
            print(f"seed {seed}, file {path}")
            raise
        acknowledged += len(file.acknowledged)
        steps += len(lines(file.effects))
        repeated += file.repeated
        path.unlink()
    assert acknowledged > killed, "the kills came before there was anything to lose"
    print(
        f"\n{killed} processes killed over {files} files in {time.monotonic() - begun:.0f} s (seed {seed}): "
        f"{acknowledged} starts and answers acknowledged, 0 lost; {executions} executions, all completed; "
        f"{steps} effects of steps, {repeated} of them again after a kill between effect and record"
    )


def test_twenty_kills_lose_no_run_and_give_no_answer_to_another_question(
    zygote: Zygote, template: Path, tmp_path: Path
) -> None:
    _kill_many(zygote, template, tmp_path, kills=20, seed=Random().getrandbits(32))


@pytest.mark.deep
def test_five_thousand_kills_lose_no_run(zygote: Zygote, template: Path, tmp_path: Path) -> None:
    kills = int(os.environ.get("RESTPOINT_DEEP_KILLS", "5000"))
    _kill_many(zygote, template, tmp_path, kills, seed=Random().getrandbits(32))
