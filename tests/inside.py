"""The command line in the test's own process: no second to wait for Python and its imports."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from restpoint.cli import main


@dataclass(frozen=True)
class Ran:
    """What a command came to."""

    returncode: int
    stdout: str
    stderr: str


Command = Callable[..., Ran]


def command(patch: pytest.MonkeyPatch, captured: pytest.CaptureFixture[str], cwd: Path) -> Command:
    """``restpoint`` as it is typed in a folder, with no variables of its own set but those that the test sets."""

    def restpoint(*arguments: str) -> Ran:
        captured.readouterr()
        with patch.context() as here:
            here.chdir(cwd)
            here.setattr(sys, "argv", ["restpoint", *arguments])
            with pytest.raises(SystemExit) as ended:
                main()
        told = captured.readouterr()
        code = ended.value.code
        return Ran(code if isinstance(code, int) else 0, told.out, told.err)

    return restpoint
