import functools
import gc
import os
import shutil
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import hypothesis
import pytest
import pytest_asyncio
import typer.main
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import new_files
from inside import Command, command
from marks import need
from restpoint import ExecutionStore
from restpoint._core import tracing
from restpoint._storage.sqlite import migrations
from restpoint.cli.app import application
from restpoint.http.sse import LongRequests
from support import ManualClock

if TYPE_CHECKING:
    from chromium import Browser
    from faults.harness import Zygote
    from provider import Provider


# While everything is imported and collected there is no garbage; to look for some takes a fifth of the time.
gc.disable()

# Some hundred processes are started, and each would compile everything anew where a variable keeps bytecode from being written.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Every write of a store is synced, and in memory that costs nothing: a third of what most tests take. Whoever says where the
# files of tests are (`--basetemp`, or this variable) has them there. Some tests run programs and load libraries that they made.
MEMORY, ROOM_BYTES = Path("/dev/shm"), 2 * 1024**3
if MEMORY.is_dir() and os.access(MEMORY, os.W_OK):
    memory = os.statvfs(MEMORY)
    if memory.f_bavail * memory.f_frsize >= ROOM_BYTES and not memory.f_flag & os.ST_NOEXEC:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

# An ordinary run has the same cases each time, and a machine that stands still fails none. The deep ones look for new cases.
hypothesis.settings.register_profile("ordinary", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ordinary")


MADE_BY_REVISIONS = {
    "test_bad_files", "test_creating", "test_migration_kill", "test_migrations", "test_revision_gate", "test_storage",
    "test_upgrades",
}  # fmt: skip
"""The files of tests that are about how a file is made."""


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c() -> None:
    """A shell starts what it puts into the background with SIGINT ignored, and the programs under test would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests in a browser come first and follow each other, so that one process has the browsers and the provider, and what
    takes longest is not what is left at the end. All others stay in the order that pytest-randomly gave them."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is None)


def pytest_collection_finish() -> None:
    """What was collected stays to the end: no search for garbage need look through it again, nor after every 700 new objects."""
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _one_tls_context() -> Iterator[None]:
    """For all HTTP clients: each would read the certificates of the world's authorities anew, and nothing here speaks TLS."""
    with pytest.MonkeyPatch.context() as patched:
        made = functools.cache(httpx.create_ssl_context)
        patched.setattr("httpx._transports.default.create_ssl_context", made)
        yield


@pytest.fixture(scope="session", autouse=True)
def _one_command_line() -> Iterator[None]:
    """For all commands of this process: Typer would look through the parameters of all of them anew for each that is typed."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("restpoint.cli.application", functools.cache(lambda: typer.main.get_command(application())))
        yield


@pytest.fixture(scope="session", autouse=True)
def _new_files_quickly() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(migrations, "_migrate", new_files.migrate)
        yield


@pytest.fixture(autouse=True)
def _new_files_by_revisions(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a test is about files and how they are made, the revisions make them."""
    if request.path.stem in MADE_BY_REVISIONS:
        monkeypatch.setattr(migrations, "_migrate", new_files.by_revisions)


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new file as the revisions make it: made once, because that takes ten times as long as copying it."""
    path = tmp_path_factory.mktemp("fresh") / "restpoint.db"
    migrations.upgrade(path)
    return path


@pytest.fixture(scope="session")
def running_zygote() -> "Iterator[Zygote]":
    from faults.harness import Zygote  # here, because few tests want one

    with Zygote() as running:
        yield running


@pytest.fixture
def zygote(running_zygote: "Zygote") -> "Iterator[Zygote]":
    """The process that forks those that are made to be killed. Those of this test are gone after it."""
    yield running_zygote
    running_zygote.end_children()


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
    monkeypatch.setattr(tracing, "_recorded", {})
    return exporter


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> Counter[float]:
    """No long wait of a server in this process ends by its limit, so what is waited for must be heard of.

    How often a wait with each limit, in seconds, has begun.
    """
    begun: Counter[float] = Counter()
    at_most = LongRequests.at_most

    def without_limit(waits: LongRequests, seconds: float | None) -> Any:
        begun[seconds or 0] += 1
        return at_most(waits, None)

    monkeypatch.setattr(LongRequests, "at_most", without_limit)
    return begun


# --- A real browser and a real provider, made once and handed to each test as if new ----------------------------------


@pytest.fixture(scope="session")
def running_provider() -> "Iterator[Provider]":
    import provider

    need(provider.missing(), "on a Debian .ci/browser installs it")
    with provider.Provider() as running:
        yield running


@pytest.fixture
def openid(running_provider: "Provider") -> "Iterator[Provider]":
    """A provider that nobody has called yet."""
    running_provider.reset()
    yield running_provider
    running_provider.reset()


@pytest.fixture(scope="session")
def running_browser() -> "Iterator[Browser]":
    yield from _browser()


@pytest.fixture(scope="session")
def another_running_browser() -> "Iterator[Browser]":
    yield from _browser()


@pytest.fixture
def browser(running_browser: "Browser") -> "Iterator[Browser]":
    """A browser without cookies. The pages it has seen broke no policy and asked for nothing from elsewhere."""
    yield from _checked(running_browser)


@pytest.fixture
def another_browser(another_running_browser: "Browser") -> "Iterator[Browser]":
    """A browser with another profile."""
    yield from _checked(another_running_browser)


def _browser() -> "Iterator[Browser]":
    import chromium  # here, because it takes a while and few tests want one

    need(chromium.missing(), "on a Debian .ci/browser installs it")
    with chromium.Browser() as running:
        yield running


def _checked(running: "Browser") -> "Iterator[Browser]":
    running.forget()
    yield running
    assert running.complaints() == []
    assert running.outside() == []


@pytest.fixture
def restpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command line, typed in ``tmp_path``, in this process."""
    return command(monkeypatch, capsys, tmp_path)
