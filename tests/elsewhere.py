"""Files as other programs and other releases leave them, and processes that run apart from the test's."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final, Self

import pytest

from restpoint._storage import schema
from restpoint._storage.sqlite import migrations
from support import PATIENCE, line_of, variables

CHECKOUT = Path(__file__).resolve().parents[1]

NEXT_REVISION = '''
"""What the next release might bring: a column, a table that refers to an old one, and every row rewritten."""

import os
from pathlib import Path

from alembic import op

revision = "{revision}"
down_revision = "{down_revision}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE executions ADD COLUMN priority_{revision} INTEGER NOT NULL DEFAULT 3")
    op.execute(
        "CREATE TABLE notes_{revision} (key INTEGER PRIMARY KEY, execution_key INTEGER NOT NULL"
        " REFERENCES executions (key) ON DELETE CASCADE, text TEXT NOT NULL)"
    )
    op.execute("INSERT INTO notes_{revision} (execution_key, text) SELECT key, 'from ' || status FROM executions")
    op.execute("UPDATE executions SET priority_{revision} = 4 WHERE status <> 'running'")


def downgrade() -> None:
    op.execute("DROP TABLE notes_{revision}")
    op.execute("ALTER TABLE executions DROP COLUMN priority_{revision}")
'''


FOLLOWING: Final = f"{int(schema.REVISION) + 1:04}"
"""A revision that the next release might bring."""


def copied_scripts(folder: Path, *, upto: str = FOLLOWING) -> Path:
    """The revisions of this release, and made-up ones after them up to ``upto``."""
    target = folder / "migrations"
    shutil.copytree(CHECKOUT / "migrations", target, ignore=shutil.ignore_patterns("__pycache__"))
    for number in range(int(schema.REVISION) + 1, int(upto) + 1):
        text = NEXT_REVISION.format(revision=f"{number:04}", down_revision=f"{number - 1:04}")
        (target / "versions" / f"{number:04}_made_up.py").write_text(text)
    return target


def next_release(patch: pytest.MonkeyPatch, scripts: Path, revision: str = FOLLOWING) -> None:
    """From here on this process is a release that knows ``revision``, whose scripts are in ``scripts``."""
    patch.setattr(migrations, "scripts", lambda: scripts)
    for name, module in list(sys.modules.items()):
        if name.startswith("restpoint.") and name != schema.__name__ and hasattr(module, "REVISION"):
            patch.setattr(module, "REVISION", revision)


def tree(folder: Path) -> dict[str, tuple[object, ...]]:
    """Every entry below a folder with its mode, size, time of change and content, to compare before and after."""
    found: dict[str, tuple[object, ...]] = {}
    for entry in sorted(folder.rglob("*")):
        stat = entry.lstat()
        content = entry.read_bytes() if entry.is_file() and os.access(entry, os.R_OK) else None
        link = str(entry.readlink()) if entry.is_symlink() else None
        found[str(entry.relative_to(folder))] = (stat.st_mode, stat.st_size, stat.st_mtime_ns, content, link)
    return found


def schema_of(path: Path) -> dict[str, str]:
    """Every object of the file by name with its SQL, white space and quotes aside; not Alembic's and SQLite's own."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=PATIENCE)) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {
        name: " ".join(sql.replace('"', "").split())
        for name, sql in rows
        if name != "alembic_version" and not name.startswith("sqlite_")
    }


def stamp(path: Path, revision: str, *ddl: str) -> None:
    """What another release did to the file, as far as this one can see it."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=PATIENCE)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        for statement in ddl:
            connection.execute(statement)
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        connection.execute("COMMIT")


def environment(**more: str) -> dict[str, str]:
    """This process's environment without what would point a child at this process's files."""
    path = [str(CHECKOUT / "tests"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return variables(**{"PYTHONPATH": os.pathsep.join(path), **more})


def run_python(
    code: str,
    *arguments: str | Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 120,
) -> Any:
    """Run a program in a process of its own; what it printed, read as JSON."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *map(str, arguments)],
        env=dict(env or environment()),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


_NURSERY = """
import json, os, signal, sys, time
from pathlib import Path
from restpoint._storage import schema
from restpoint._storage.sqlite import migrations as migrate
from restpoint.errors import RestpointError
import alembic.command, alembic.config, alembic.autogenerate, sqlalchemy.dialects.sqlite.aiosqlite

def child(command, gate, report):
    if command.get("scripts"):
        migrate.scripts = lambda: Path(command["scripts"])
        for name, module in list(sys.modules.items()):
            if name.startswith("restpoint.") and name != "restpoint._storage.schema" and hasattr(module, "REVISION"):
                module.REVISION = command["revision"]
    if command.get("marks"):
        os.environ["MARKS"] = command["marks"]
    path = Path(command["path"])
    os.read(gate, 1)
    try:
        if command["action"] == "prepare":
            migrate.prepare(path)
        elif command["action"] == "upgrade":
            migrate.upgrade(path)
        else:
            migrate.downgrade(path, command["to"])
        told = "ok"
    except RestpointError as error:
        told = f"{type(error).__name__}: {error}"
    except BaseException as error:
        told = f"untyped {type(error).__name__}: {error}"
    os.write(report, (told + "\\n").encode()[:4000])

for line in sys.stdin:
    command = json.loads(line)
    gate, opener = os.pipe()
    report, reporter = os.pipe()
    pids = []
    for _ in range(command.get("times", 1)):
        pid = os.fork()
        if pid == 0:
            os.close(report)
            os.close(opener)
            try:
                child(command, gate, reporter)
            finally:
                os._exit(0)
        pids.append(pid)
    os.close(gate)
    os.close(reporter)
    began, began_at = time.perf_counter(), time.time()
    os.write(opener, b"x" * len(pids))
    mark = Path(command.get("marks") or "/nowhere", "begun")
    if command.get("kill_after") is not None:
        while command.get("once_begun") and not mark.exists() and time.perf_counter() - began < 30:
            pass
        if command.get("once_begun"):
            began = time.perf_counter()
        while time.perf_counter() - began < command["kill_after"]:
            pass
        for pid in pids:
            os.kill(pid, command.get("signal", signal.SIGKILL))
    signals = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    took = time.perf_counter() - began
    with os.fdopen(report) as lines:
        told = lines.read().splitlines()
    os.close(opener)
    begun = mark.stat().st_mtime - began_at if mark.exists() else None
    print(json.dumps({"exits": signals, "told": told, "took": took, "begun": begun}), flush=True)
"""


class Nursery:
    """A process that has everything imported and forks children that migrate, some of which it kills."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _NURSERY],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, action: str, path: Path, **command: object) -> dict[str, Any]:
        """Fork ``times`` children that do ``action`` at once; how they ended, what they told, how long it took."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"action": action, "path": str(path), **command}) + "\n")
        self._process.stdin.flush()
        answer = line_of(self._process.stdout)
        assert answer, "the nursery ended"
        told: dict[str, Any] = json.loads(answer)
        return told

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()
            self._process.wait(PATIENCE)
        finally:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()
