"""What tests say of themselves: the figure that a deep run holds them to, and what they need of the machine."""

import os
from shutil import which

import pytest

from support import PATIENCE


def within(seconds: float) -> pytest.MarkDecorator:
    """Give a test the argument ``seconds``: in a deep run this figure, in an ordinary run one that only a hang exceeds."""
    deep = pytest.param(seconds, marks=pytest.mark.deep, id=f"within {seconds:g} s")
    return pytest.mark.parametrize("seconds", [pytest.param(PATIENCE, id="in the end"), deep])


def need(missing: str | None, remedy: str) -> None:
    """Skip the test where something is missing that it needs; fail it where ``CI`` is set, because nobody reads skips there."""
    if missing is None:
        return
    if os.environ.get("CI"):
        pytest.fail(f"{missing}; {remedy}")
    pytest.skip(f"{missing}; {remedy}")


def need_program(*names: str, package: str) -> str:
    """The path of the first of these programs that is installed (see ``need``)."""
    found = next(filter(None, map(which, names)), None)
    need(None if found else f"{names[0]} is not installed", f"on a Debian: apt-get install {package}")
    return str(found)
