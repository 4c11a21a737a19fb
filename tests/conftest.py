import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from restpoint import ExecutionStore, migrate
from support import ManualClock


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new file as the revisions make it: made once, because that takes ten times as long as copying it."""
    path = tmp_path_factory.mktemp("fresh") / "restpoint.db"
    migrate.upgrade(path)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a file may stand; none does."""
    return tmp_path / "restpoint.db"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest_asyncio.fixture
async def store(fresh: Path, path: Path, clock: ManualClock) -> AsyncIterator[ExecutionStore]:
    """An open store on a file of its own."""
    shutil.copyfile(fresh, path)
    async with ExecutionStore(database=path, clock=clock) as opened:
        yield opened
