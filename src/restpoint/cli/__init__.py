"""The command line: for the people who answer, for operators of the file, and for cron.

Data goes to standard output, words to standard error. Exit codes: 0 done, 1 refused by the rules, 2 wrong usage, 3 not
found, 4 not allowed, 5 the storage or the server failed, 130 ended by Ctrl-C. An error is told in up to three lines: what
happened, why, and what to type next.
"""

import sys

try:
    import typer as _typer  # noqa: F401 - whether it is there
except ImportError as missing:
    print("The restpoint command needs the server extra; run: pip install 'restpoint[server]'", file=sys.stderr)
    raise SystemExit(2) from missing

from restpoint.cli import terminal
from restpoint.cli.app import application


def main() -> None:
    """The entry point of the ``restpoint`` command."""
    terminal.prepare()
    with terminal.telling():
        application()()
