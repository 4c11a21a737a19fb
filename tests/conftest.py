import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from restpoint import ExecutionStore, migrate, tracing
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


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """What is traced, by a provider that the application configured. A process can set one only once, so it is patched in."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    monkeypatch.setattr(tracing, "_told", {})
    return exporter
