"""The wheel, in an environment that knows nothing of the checkout: it creates a file, and upgrades one."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from elsewhere import CHECKOUT
from support import PATIENCE

PROGRAM = """
import asyncio, json, sys
from pathlib import Path
import restpoint
from restpoint import ExecutionStore
from restpoint._storage.sqlite import migrations as migrate
from restpoint.prompts import HumanPromptText, HumanResponseText
from restpoint._storage.schema import REVISION

new, old = Path("new.db").absolute(), Path("old.db").absolute()

async def trip(path):
    async with ExecutionStore(database=path) as store:
        record = await store.create_execution()
        pending = await store.set_interaction_required(record.execution_id, HumanPromptText(text="Who?"))
    async with ExecutionStore(database=path) as store:
        await store.resolve_interaction(record.execution_id, pending.interaction_id, HumanResponseText(text="Ada"))
        await store.set_completed(record.execution_id, "done")
        return (await store.get(record.execution_id)).result

told = {"file": restpoint.__file__, "scripts": str(migrate.scripts()), "path": sys.path}
told["created"] = asyncio.run(trip(new))
migrate.upgrade(old)
migrate.downgrade(old, "base")
told["old"] = migrate.current(old)
migrate.upgrade(old)
told["upgraded"] = migrate.current(old) == REVISION
told["checks"] = [passed for path in (new, old) for _, passed, _ in migrate.check(path)]
told["works"] = asyncio.run(trip(old))
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that the checkout stays as it is."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("src", "migrations"):
        shutil.copytree(CHECKOUT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "alembic.ini"):
        shutil.copy(CHECKOUT / name, source)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(target), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = target.glob("*.whl")
    return built


def test_the_wheel_holds_what_an_installed_program_needs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(next(name for name in names if name.endswith("METADATA"))).decode()
        points = archive.read(next(name for name in names if name.endswith("entry_points.txt"))).decode()
    assert "restpoint/py.typed" in names
    scripts = {str(path.relative_to(CHECKOUT)) for path in (CHECKOUT / "migrations").rglob("*.py")}
    assert {f"restpoint/{script}" for script in scripts} <= names
    assert "restpoint/migrations/env.py" in names
    modules = {f"restpoint/{path.name}" for path in (CHECKOUT / "src" / "restpoint").glob("*.py")}
    assert modules <= names
    source = CHECKOUT / "src" / "restpoint"
    folders = ("http/pages/templates", "http/pages/assets", "notify/templates")
    beside = {path for folder in folders for path in (source / folder).iterdir()}
    assert len(beside) > 8
    assert {f"restpoint/{path.relative_to(source)}" for path in beside} <= names
    assert not [name for name in names if "__pycache__" in name or name.startswith(("tests", "src", "migrations"))]
    assert any(name.endswith("LICENSE") for name in names)
    assert "Requires-Python: >=3.11" in metadata
    assert "restpoint = restpoint.cli:main" in points


def test_an_installed_wheel_creates_a_file_and_upgrades_one(wheel: Path, tmp_path: Path) -> None:
    environment, elsewhere = tmp_path / "venv", tmp_path / "elsewhere"
    elsewhere.mkdir()
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "RESTPOINT", "PIP"))}

    def run(*command: str) -> str:
        done = subprocess.run(
            command, cwd=elsewhere, env=clean, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(sys.executable, "-I", "-m", "venv", "--without-pip", str(environment))
    python = str(environment / "bin" / "python")
    run(
        *(sys.executable, "-I", "-m", "pip", "--python", python, "install", "--no-deps", "--no-index"),
        *("--disable-pip-version-check", str(wheel)),
    )
    # The dependencies are borrowed. A .pth file found through a .pth file is not read, so no editable install comes along.
    (site,) = (environment / "lib").glob("python*/site-packages")
    (site / "borrowed.pth").write_text("\n".join({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}))
    told: dict[str, Any] = json.loads(run(python, "-I", "-W", "error", "-c", PROGRAM))
    assert Path(told["file"]).is_relative_to(site)
    assert Path(told["scripts"]).is_relative_to(site)
    assert not [entry for entry in told["path"] if entry and Path(entry).is_relative_to(CHECKOUT / "src")]
    assert told["created"] == told["works"] == "done"
    assert told["old"] is None
    assert told["upgraded"]
    assert all(told["checks"])
    assert {entry.name for entry in elsewhere.iterdir()} >= {"new.db", "old.db"}


def test_the_source_distribution_takes_everything_that_is_kept() -> None:
    kept = subprocess.run(["git", "ls-files"], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if kept.returncode != 0:
        pytest.skip("not a checkout")
    included = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["sdist"][
        "include"
    ]
    # Hatchling takes these two by itself.
    assert {line.split("/")[0] for line in kept.stdout.splitlines()} == {*included, "pyproject.toml", ".gitignore"}
