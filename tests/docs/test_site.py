"""The site that MkDocs makes of ``docs/``: every link leads somewhere, and no page asks another host for anything."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from transcripts import CHECKOUT

LOADED = re.compile(
    r"""<(?:script|img|iframe|link|source|video|audio)\b[^>]*?(?:src|href)=["']?((?:https?:)?//[^"'\s>]*)"""
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    # Not --quiet: then the warnings that --strict fails for are not counted.
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(target)]
    done = subprocess.run(
        [*command, "--config-file", str(CHECKOUT / ".ci" / "mkdocs.yml")],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return target


def test_the_site_is_built_without_a_warning_and_asks_no_other_host_for_anything(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 25
    for page in pages:
        assert LOADED.findall(page.read_text()) == [], page
    for style in site.rglob("*.css"):
        assert re.findall(r"(?:url\(|@import )[\"']?((?:https?:)?//[^\"')]*)", style.read_text()) == [], style


def test_a_page_that_loads_something_from_another_host_would_be_found() -> None:
    assert LOADED.findall('<link rel="stylesheet" href="https://fonts.example/css">') == ["https://fonts.example/css"]
