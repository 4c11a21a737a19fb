"""FAULTS row 36: SIGKILL between asking, sending and marking loses no notice, and repeats one only with the same id."""

import json
import os
import shutil
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Any

import pytest

from faults.harness import Zygote
from support import PATIENCE, rows, sql

WRITERS = 3
KILLS_OF_A_FILE = 25


class Post:
    """A receiver that answers well, slowly, badly or not at all, and says when something has come."""

    def __init__(self, seed: int) -> None:
        self.received: list[tuple[str, int, str, str]] = []
        """Id, attempt, execution and interaction of every request, in order."""
        self.accepted: Counter[str] = Counter()
        self.honest = False
        """Whether every request is accepted from now on."""
        self.came = threading.Event()
        self._random = Random(seed)
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                with suppress(OSError):
                    body = self.rfile.read(int(self.headers["content-length"]))
                    outer.take(self, json.loads(body))

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def take(self, handler: BaseHTTPRequestHandler, told: list[Any]) -> None:
        with self._lock:
            self.received.append(tuple(told))
            way = 9 if self.honest else self._random.randrange(10)
            pause = self._random.uniform(0, 0.01)
        self.came.set()
        if way == 0:
            return  # it hangs up
        if way < 4:
            time.sleep(pause)
        if way != 1:
            with self._lock:
                self.accepted[told[0]] += 1
        handler.send_response(500 if way == 1 else 200)
        handler.end_headers()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def post() -> Iterator[Post]:
    receiver = Post(Random().getrandbits(32))
    yield receiver
    receiver.close()


def _watched(fresh: Path, path: Path) -> Path:
    """A new file that also notes, at each beginning of an attempt, how far the history had come."""
    shutil.copyfile(fresh, path)
    with sql(path) as connection:
        connection.execute("CREATE TABLE begun (notice TEXT, attempt INTEGER, sequence INTEGER)")
        connection.execute(
            "CREATE TRIGGER attempts_are_noted AFTER UPDATE OF attempts ON outbox WHEN NEW.attempts > OLD.attempts"
            " BEGIN INSERT INTO begun VALUES (NEW.id, NEW.attempts, (SELECT max(sequence) FROM history)); END"
        )
    return path


def _examine(path: Path, post: Post, asked: set[tuple[str, str]]) -> None:
    """What must hold once nothing waits any more."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    prompts = rows(path, "SELECT execution_id, wait_id, sequence FROM history WHERE event = 'interaction_asked'")
    found = rows(path, "SELECT execution_id, wait_id, sequence, id, status FROM outbox")
    assert asked <= {(execution, wait) for execution, wait, _ in prompts}
    # No question without its one notice, no notice without its question.
    assert sorted(prompts) == sorted((execution, wait, sequence) for execution, wait, sequence, _, _ in found)
    of_notice = {notice: (execution, wait) for execution, wait, _, notice, _ in found}
    for notice, _, execution, wait in post.received:
        if notice in of_notice or (execution, wait) in set(of_notice.values()):
            assert of_notice[notice] == (execution, wait), "a repetition has another id"
    settled = dict(rows(path, "SELECT wait_id, min(sequence) FROM history WHERE event IN"
                              " ('interaction_answered', 'interaction_withdrawn') GROUP BY wait_id"))  # fmt: skip
    for _, wait, _, notice, status in found:
        assert status in {"delivered", "moot"}, status
        if status == "delivered":
            assert post.accepted[notice], "what is marked as delivered was never accepted"
        else:
            assert wait in settled
    late = rows(path, "SELECT wait_id, attempt, begun.sequence FROM begun JOIN outbox ON outbox.id = begun.notice")
    assert [each for each in late if each[2] >= settled.get(each[0], each[2] + 1)] == []
    told = rows(path, "SELECT json_extract(detail, '$.notice') FROM history WHERE event = 'notice_delivered'")
    delivered = [notice for _, _, _, notice, status in found if status == "delivered"]
    assert sorted(notice for (notice,) in told) == sorted(delivered)


def _kill(zygote: Zygote, path: Path, post: Post, random: Random, asked: set[tuple[str, str]]) -> None:
    """One process, killed at some instant: after it asked, while it sends, or while it marks what came of that."""
    post.came.clear()
    child = zygote.run(
        "telling_workloads:tell", path=str(path), port=post.port, seed=random.getrandbits(32), writers=WRITERS
    )
    assert child.line() == ["open"]
    if random.random() < 0.5:
        assert post.came.wait(PATIENCE)  # a request of it, or of one that was killed a moment ago
    time.sleep(random.uniform(0, 0.03))
    child.kill()
    assert child.died_by_sigkill()
    asked.update((execution, wait) for _, execution, wait in child.lines())
    zygote.forget(child)


def _kill_many(zygote: Zygote, fresh: Path, folder: Path, post: Post, kills: int, seed: int) -> None:
    random, begun, files, notices = Random(seed), time.monotonic(), 0, 0
    for first in range(0, kills, KILLS_OF_A_FILE):
        path = _watched(fresh, folder / f"{files}.db")
        post.honest, asked = False, set[tuple[str, str]]()
        for _ in range(min(KILLS_OF_A_FILE, kills - first)):
            _kill(zygote, path, post, random, asked)
        post.honest = True
        child = zygote.run("telling_workloads:finish", path=str(path), port=post.port)
        assert child.line() == ["done"]
        child.reap()
        zygote.forget(child)
        _examine(path, post, asked)
        files += 1
        notices += rows(path, "SELECT count(*) FROM outbox")[0][0]
    repeated = sum(count - 1 for count in Counter(notice for notice, *_ in post.received).values())
    assert notices > kills / 2
    print(
        f"\n{kills} processes killed over {files} files in {time.monotonic() - begun:.0f} s (seed {seed}): {notices} notices,"
        f" {len(post.received)} requests of which {repeated} were repetitions; 0 lost, 0 without their question,"
        " 0 begun after the prompt was settled"
    )


def test_twelve_kills_lose_no_notice(zygote: Zygote, fresh: Path, tmp_path: Path, post: Post) -> None:
    _kill_many(zygote, fresh, tmp_path, post, kills=12, seed=Random().getrandbits(32))


@pytest.mark.deep
def test_a_thousand_kills_lose_no_notice(zygote: Zygote, fresh: Path, tmp_path: Path, post: Post) -> None:
    kills = int(os.environ.get("RESTPOINT_DEEP_KILLS", "1000"))
    _kill_many(zygote, fresh, tmp_path, post, kills, seed=Random().getrandbits(32))
