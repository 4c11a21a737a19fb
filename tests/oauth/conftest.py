"""A real provider and a real browser, made once and handed to each test as if new."""

import os
from collections.abc import Iterator

import pytest

import chromium
import provider
from chromium import Browser
from provider import Provider


def need(missing: str | None) -> None:
    """Skip what cannot run here, or fail where it must run (``.ci/run`` says so)."""
    if missing is None:
        return
    reason = f"{missing}; on a Debian .ci/browser installs what is missing"
    if os.environ.get("RESTPOINT_TESTS_BROWSER") == "required":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def running_provider() -> Iterator[Provider]:
    need(provider.missing())
    with Provider() as running:
        yield running


@pytest.fixture(scope="session")
def running_browser() -> Iterator[Browser]:
    need(chromium.missing())
    with Browser() as running:
        yield running


@pytest.fixture(scope="session")
def another_running_browser() -> Iterator[Browser]:
    need(chromium.missing())
    with Browser() as running:
        yield running


@pytest.fixture
def openid(running_provider: Provider) -> Iterator[Provider]:
    """A provider that nobody has called yet."""
    running_provider.reset()
    yield running_provider
    running_provider.reset()


@pytest.fixture
def browser(running_browser: Browser) -> Iterator[Browser]:
    """A browser without cookies. The pages it has seen broke no policy and asked for nothing from elsewhere."""
    yield from checked(running_browser)


@pytest.fixture
def another_browser(another_running_browser: Browser) -> Iterator[Browser]:
    """A browser with another profile."""
    yield from checked(another_running_browser)


def checked(running: Browser) -> Iterator[Browser]:
    running.forget()
    yield running
    assert running.complaints() == []
    assert running.outside() == []
