"""What a fault would log for every request is logged once a second."""

import logging

import pytest

from restpoint._core.log_limit import LogLimit

log = logging.getLogger("restpoint.test")


def test_one_line_a_second_is_logged_and_says_how_many_were_not(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = 100.0
    monkeypatch.setattr("restpoint._core.log_limit.time.monotonic", lambda: now)
    limit = LogLimit()
    for _ in range(5):
        limit.error(log, "%s failed", "it")
    now += 1
    limit.error(log, "%s failed", "it")
    now += 1
    limit.error(log, "another failed")
    assert caplog.messages == ["it failed", "it failed (and 4 more such failures since)", "another failed"]
