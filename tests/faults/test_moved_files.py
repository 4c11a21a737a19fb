"""FAULTS row 31: the file or its log is copied within a process that has it open, deleted, moved or replaced, while two processes
use it, which are then killed.

What was acknowledged is in the file, or the write was refused.
"""

import fcntl
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from faults.harness import Acknowledged, Child, Zygote, problems
from faults.moved_workloads import OF_SQLITE, OPENINGS, second_library
from marks import need
from restpoint._storage.sqlite import backup
from support import dump

LOCKS = hasattr(fcntl, "F_OFD_SETLK")


class User:
    """A process that uses the file, with what it was told."""

    def __init__(self, zygote: Zygote, path: Path, **how: Any) -> None:
        self.child: Child = zygote.run("moved_workloads:use", path=str(path), **how)
        self.acknowledged: Acknowledged = []
        self.late: Acknowledged = []
        """What was acknowledged after the newest order to write."""
        self.refused: list[str] = []
        self._until("opened")

    def _until(self, word: str) -> list[Any]:
        while True:
            told = self.child.line()
            self._note(told)
            if told[0] == word:
                return told[1:]

    def _note(self, told: list[Any]) -> None:
        if told[0] == "refused":
            self.refused.append(told[1])
        elif told[0] == "from here":
            self.late.clear()
        elif told[0] not in {"opened", "done"}:
            self.acknowledged.append(told)
            self.late.append(told)

    def order(self, what: str) -> list[Any]:
        self.child.say(what)
        return self._until("done")

    def writes(self) -> bool:
        """Whether a write that begins now is acknowledged."""
        return bool(self.order("write")[0])

    def kill(self) -> None:
        self.child.kill()
        for told in self.child.lines():
            self._note(told)
        assert self.child.died_by_sigkill()


def look(zygote: Zygote, path: Path, how: str = "look") -> None:
    """Another process opens the file and closes it."""
    other = zygote.run(f"moved_workloads:{how}", path=str(path))
    assert other.line()[:1] == ["looked"]
    other.reap()


def openings() -> list[str]:
    return list(OPENINGS)


def test_opening_the_file_once_more_costs_nothing_that_was_acknowledged(
    zygote: Zygote, fresh: Path, path: Path
) -> None:
    """Each way ends by closing a descriptor of the file, which drops the POSIX locks of its process."""
    shutil.copyfile(fresh, path)
    one, other = User(zygote, path, busy=False), User(zygote, path, busy=True)
    written: dict[str, tuple[bool, bool]] = {}
    for number, how in enumerate(each for each in openings() if not lacks(each)):
        assert one.order(how) == [how]
        assert other.order(how) == [how]
        look(zygote, path, ("look", "look_with_sqlite")[number % 2])
        written[how] = one.writes(), other.writes()
    for user in (one, other):
        user.kill()
    assert problems(path, [*one.acknowledged, *other.acknowledged]) == []
    if LOCKS:
        assert written == dict.fromkeys(written, (True, True)), "nobody folded the log in"


@pytest.mark.parametrize("how", openings())
def test_without_locks_that_outlive_it_a_write_to_a_lost_log_is_refused(
    zygote: Zygote, fresh: Path, path: Path, how: str
) -> None:
    """As on a system that has only POSIX locks, where the fault cannot be prevented: it is noticed."""
    need(lacks(how), "build Python with a shared SQLite")
    shutil.copyfile(fresh, path)
    user = User(zygote, path, busy=False, locks=False)
    user.order(how)
    look(zygote, path)
    log_is_gone = not path.with_name(f"{path.name}-wal").exists()
    assert log_is_gone == (how not in OF_SQLITE), "the fault happened"
    assert user.writes() == (not log_is_gone)
    kind, message = user.order("check")
    if log_is_gone:
        assert kind == "FileGone"
        assert "restpoint db check" in message
        assert user.late == []
    else:
        assert kind is None
    user.kill()
    assert problems(path, user.acknowledged) == []


# --- Deleted, moved, replaced ------------------------------------------------------------------------------------------


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _index(path: Path) -> Path:
    return path.with_name(f"{path.name}-shm")


def delete_the_file(path: Path) -> None:
    path.unlink()


def delete_everything(path: Path) -> None:
    for each in (path, _log(path), _index(path)):
        each.unlink()


def move_the_file(path: Path) -> None:
    path.rename(path.with_name("moved.db"))


def move_the_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))
    path.parent.mkdir()


def replace_the_file(path: Path) -> None:
    path.with_name("other.db").replace(path)


def delete_the_log(path: Path) -> None:
    _log(path).unlink()


def delete_log_and_index(path: Path) -> None:
    _log(path).unlink()
    _index(path).unlink()


def move_the_log(path: Path) -> None:
    _log(path).rename(path.with_name("moved-wal"))


def delete_the_index(path: Path) -> None:
    _index(path).unlink()


def replace_the_log(path: Path) -> None:
    path.with_name("other-wal").write_bytes(b"")
    path.with_name("other-wal").replace(_log(path))


def empty_the_log(path: Path) -> None:
    os.truncate(_log(path), 0)


def cut_the_log(path: Path) -> None:
    os.truncate(_log(path), _log(path).stat().st_size // 2)


AWAY = [delete_the_file, delete_everything, replace_the_file]
"""What was acknowledged before went with the file."""
BACK: dict[Callable[[Path], None], Callable[[Path], object]] = {
    move_the_file: lambda path: path.with_name("moved.db").rename(path),
    move_the_folder: lambda path: path.parent.with_name("elsewhere").rename(path.parent),
}
"""How it is put back."""
SAVED = [delete_the_log, delete_log_and_index, move_the_log]
"""What is in the log is still open, and is moved into the file."""
KEPT = [delete_the_index]
"""Which says nothing that the log does not say."""
LOST = [replace_the_log, empty_the_log, cut_the_log]
"""What was in the log alone is lost, and nobody is told that more was done."""
QUIET = [empty_the_log, cut_the_log]
"""A log that is cut short in place while a transaction writes to it is not noticed, so nobody writes then."""
DONE = [*AWAY, *BACK, *SAVED, *KEPT, *LOST]


def ruin(users: list[User], path: Path, how: Callable[[Path], None]) -> None:
    """Do it, and see that nobody acknowledges anything from then on, and what is left after everybody was killed."""
    other = path.with_name("other.db")
    backup.backup(path, other, verified=False)
    before = dump(other)
    how(path)
    for user in users:
        assert not user.writes(), how.__name__
        assert user.late == []
        assert "FileGone" in user.refused, user.refused
        assert user.order("check")[0] == "FileGone"
    for user in users:
        user.kill()
    everything = [each for user in users for each in user.acknowledged]
    assert everything
    if how is replace_the_file:
        assert dump(path) == before, "nobody wrote into the other file"
    elif how in AWAY:
        assert not path.exists(), "nobody made a new file"
    elif how in BACK:
        assert not path.exists(), "nobody made a new file"
        BACK[how](path)
        assert problems(path, everything) == []
    elif how in LOST:
        assert problems(path, []) == []
    else:
        assert problems(path, everything) == []


@pytest.mark.parametrize("how", DONE, ids=lambda how: how.__name__)
def test_what_is_written_to_a_file_that_is_not_in_its_place_is_refused(
    zygote: Zygote, fresh: Path, tmp_path: Path, how: Callable[[Path], None]
) -> None:
    path = tmp_path / "folder" / "restpoint.db"
    path.parent.mkdir()
    shutil.copyfile(fresh, path)
    ruin([User(zygote, path, busy=how not in QUIET), User(zygote, path, busy=False)], path, how)


def test_a_file_that_is_put_back_is_written_again(zygote: Zygote, fresh: Path, path: Path) -> None:
    shutil.copyfile(fresh, path)
    user = User(zygote, path, busy=False)
    move_the_file(path)
    assert not user.writes()
    BACK[move_the_file](path)
    assert user.writes()
    assert user.order("check") == [None, None]
    user.kill()
    assert problems(path, user.acknowledged) == []


@pytest.mark.parametrize("rounds", [3, pytest.param(100, marks=pytest.mark.deep)])
def test_two_writers_stay_apart_while_all_of_the_folder_is_copied(
    zygote: Zygote, fresh: Path, path: Path, rounds: int
) -> None:
    """To close a descriptor of the index of the log drops the lock of a writer in the middle of its transaction."""
    shutil.copyfile(fresh, path)
    users = [User(zygote, path, busy=True) for _ in range(2)]
    for _ in range(rounds):
        for user in users:
            user.order("tarfile")
    for user in users:
        assert user.writes() or not LOCKS
        user.kill()
    everything = [each for user in users for each in user.acknowledged]
    assert problems(path, everything) == []
    print(f"\n{2 * rounds} copies of the folder, {len(everything):,} acknowledged transitions, 0 lost")


@pytest.mark.deep
def test_200_random_sequences_lose_nothing_in_silence(zygote: Zygote, fresh: Path, tmp_path: Path) -> None:
    dice = random.Random(31)
    acknowledged = openings_done = looks = killed = 0
    ruined: dict[str, int] = {}
    if second_library() is None:
        pytest.skip("SQLite is not a shared library here")
    for number in range(200):
        path = tmp_path / str(number) / "restpoint.db"
        path.parent.mkdir()
        shutil.copyfile(fresh, path)
        how = dice.choice(DONE) if dice.random() < 0.5 else None
        busy = 0.0 if how in QUIET else 0.7
        users = [User(zygote, path, busy=dice.random() < busy) for _ in range(2)]
        dead: Acknowledged = []
        for _ in range(dice.randrange(2, 7)):
            user = dice.choice(users)
            step = dice.random()
            if step < 0.45:
                user.order(dice.choice(openings()))
                openings_done += 1
            elif step < 0.75:
                look(zygote, path, dice.choice(["look", "look_with_sqlite"]))
                looks += 1
            elif step < 0.9:
                assert user.writes()
            else:
                user.kill()
                killed += 1
                dead += user.acknowledged
                users[users.index(user)] = User(zygote, path, busy=dice.random() < busy)
        if how is None:
            for user in users:
                assert user.writes()
                user.kill()
            everything = dead + [each for user in users for each in user.acknowledged]
            assert problems(path, everything) == [], number
        else:
            ruined[how.__name__] = ruined.get(how.__name__, 0) + 1
            users[0].acknowledged += dead
            ruin(users, path, how)
            everything = [each for user in users for each in user.acknowledged]
        acknowledged += len(everything)
        zygote.end_children()
        shutil.rmtree(path.parent, ignore_errors=True)
    print(
        f"\n200 sequences, {acknowledged:,} acknowledged transitions: {openings_done} openings, {looks} looks of others, "
        f"{killed} killed in between, ruined: {ruined}; 0 lost in silence"
    )


def lacks(how: str) -> str | None:
    """What this way to open a file needs and this machine has not."""
    if how == "a second SQLite library" and second_library() is None:
        return "SQLite is not a shared library here"
    return None
