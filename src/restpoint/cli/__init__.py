"""The ``restpoint`` command: for people who answer prompts, for operators of the file, and for cron.

Data goes to standard output, messages to standard error. The exit codes are 0 done, 1 refused by a rule or ended without a
result, 2 wrong usage, 3 not found, 4 not allowed, 5 the storage or the server failed, and 130 ended by Ctrl-C. An error has up
to three lines: what happened, why, and what to type next.
"""

import sys
from importlib import import_module

try:
    import_module("typer")
except ImportError as missing:
    print("The restpoint command needs the server extra; run: pip install 'restpoint[server]'", file=sys.stderr)
    raise SystemExit(2) from missing

from restpoint.cli import terminal
from restpoint.cli.app import application


def main() -> None:
    """Run the ``restpoint`` command."""
    terminal.prepare()
    with terminal.exit_on_error():
        application()()
