"""The command line as Typer has it, for tests of what is shown of it."""

from collections.abc import Iterator
from typing import Any, Final

import typer.main

from restpoint.cli.app import application


def _commands(group: Any, *words: str) -> Iterator[tuple[str, Any]]:
    for name, each in group.commands.items():
        if hasattr(each, "commands"):
            yield from _commands(each, *words, name)
        else:
            yield " ".join((*words, name)), each


ROOT: Final[Any] = typer.main.get_command(application())
COMMANDS: Final = dict(_commands(ROOT))
"""Each command, by its words: ``audit query``."""
