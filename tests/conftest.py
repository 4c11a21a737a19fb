from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from support import ManualClock

from restpoint import ExecutionStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "restpoint.db"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest_asyncio.fixture
async def store(path: Path, clock: ManualClock) -> AsyncIterator[ExecutionStore]:
    async with ExecutionStore(database=path, clock=clock) as opened:
        yield opened
