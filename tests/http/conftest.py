import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
import pytest_asyncio

from serving import GATES, make_app, served, whoever

if TYPE_CHECKING:
    from asking import Asking
    from chromium import Browser


@pytest.fixture
def file(fresh: Path, path: Path) -> Path:
    """A new file at the newest revision."""
    shutil.copyfile(fresh, path)
    GATES.clear()
    return path


@pytest_asyncio.fixture
async def client(file: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server without authentication, which takes everyone on this machine for an operator."""
    async with served(make_app(file)) as http:
        yield http


@pytest_asyncio.fixture
async def guarded(file: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server that wants to know who it is: the header ``x-user`` says so."""
    async with served(make_app(file, authenticate=whoever)) as http:
        yield http


@pytest.fixture
def asking(tmp_path: Path, fresh: Path, browser: "Browser") -> "Iterator[Asking]":
    """A server that asks Ada whatever it is told to, and her browser."""
    from asking import asking_ada  # here, because it takes a while and few tests want one

    with asking_ada(tmp_path, fresh, browser) as made:
        yield made
