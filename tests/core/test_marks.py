"""What a test needs and this machine has not: seen in CI, skipped elsewhere."""

import pytest

from marks import need, need_program


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_a_test_whose_program_is_missing_fails_in_ci_and_is_skipped_elsewhere(
    monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="no-such-program is not installed; on a Debian: apt-get install of-none"):
        need_program("no-such-program", "nor-this-one", package="of-none")
    with pytest.raises(outcome, match="it is broken; mend it"):
        need("it is broken", "mend it")


def test_a_program_is_the_first_of_those_that_are_installed() -> None:
    assert need_program("no-such-program", "sh", package="dash").endswith("/sh")
    need(None, "nothing is missing")
