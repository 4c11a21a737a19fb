"""Output and errors of the command: streams that never fail on a character, errors in three lines, and exit codes."""

import contextlib
import os
import re
import sys
from collections.abc import Coroutine, Iterator
from typing import Any, Final, TypeVar

import typer

T = TypeVar("T")

REFUSED, USAGE, NOT_FOUND, NOT_ALLOWED, STORAGE, INTERRUPTED = 1, 2, 3, 4, 5, 130

GROUPS: Final = frozenset({"audit", "db", "keys", "providers", "tokens"})
"""The commands that have subcommands."""

_HINTS: Final = {
    "execution_not_found": "restpoint list",
    "interaction_not_found": "restpoint show ID",
    "already_resolved": "restpoint history ID",
    "interaction_expired": "restpoint show ID",
    "interaction_withdrawn": "restpoint show ID",
    "illegal_transition": "restpoint show ID",
    "response_not_accepted": "restpoint answer ID, at a terminal, which shows what the prompt accepts",
    "server_unreachable": "restpoint serve TARGET, or another --url",
    "not_allowed": "RESTPOINT_TOKEN=... restpoint ..., with the token of someone who may",
    "four_eyes": "restpoint answer ID, by someone else",
    "input_not_accepted": "restpoint start NAME --input '{...}'",
    "invalid_argument": "restpoint COMMAND --help",
    "execution_held": "restpoint show ID",
    "nothing_to_export": "restpoint audit head",
}
# Characters that a terminal acts on: control characters, and marks that change the direction of text.
_UNSAFE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


class Usage(Exception):
    """Wrong usage: exit code 2. The message may have three lines."""


def prepare() -> None:
    """Make the standard streams escape characters that their encoding lacks, instead of failing."""
    for stream in (sys.stdout, sys.stderr, sys.stdin):
        with contextlib.suppress(AttributeError, ValueError, OSError):
            stream.reconfigure(errors="replace" if stream is sys.stdin else "backslashreplace")  # type: ignore[union-attr]


def printable(text: str) -> str:
    """Escape control characters in ``text``, so that no prompt can manipulate the terminal."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def one_line(text: str, width: int = 60) -> str:
    """Return ``text`` as one printable line of at most ``width`` characters."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= width else f"{line[: width - 1]}…"


def print_message(words: str = "") -> None:
    """Print a message to standard error."""
    typer.echo(words, err=True)


def print_data(data: str | bytes) -> None:
    """Print data to standard output, bytes unchanged, and flush it.

    If the reader has gone (a closed pipe), end the command with exit code 0.
    """
    try:
        if isinstance(data, str):
            sys.stdout.write(data)
            sys.stdout.flush()
        else:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise typer.Exit(_discard_output()) from None


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a new event loop."""
    import asyncio

    return asyncio.run(work)


@contextlib.contextmanager
def exit_on_error() -> Iterator[None]:
    """Turn expected errors into a message and an exit code."""
    try:
        try:
            yield
        except SystemExit:
            sys.stdout.flush()
            raise
        except BrokenPipeError:  # the reader has gone, such as `head`
            raise SystemExit(_discard_output()) from None
        except KeyboardInterrupt:
            raise SystemExit(INTERRUPTED) from None
        except Usage as error:
            print_error(str(error))
            raise SystemExit(USAGE) from None
        except Exception as error:
            from restpoint.errors import RestpointError

            if not isinstance(error, RestpointError):
                raise
            print_restpoint_error(error)
            raise SystemExit(exit_code(error)) from None
    except BrokenPipeError:
        raise SystemExit(_discard_output()) from None


def exit_code(error: Exception) -> int:
    """Return the exit code of a ``RestpointError``."""
    from restpoint.errors import InvalidArgument, NotAllowed, NotFound, ServerUnreachable, StorageError

    if isinstance(error, InvalidArgument):
        return USAGE
    if isinstance(error, NotAllowed):
        return NOT_ALLOWED
    if isinstance(error, StorageError | ServerUnreachable):
        return STORAGE
    return NOT_FOUND if isinstance(error, NotFound) else REFUSED


def print_restpoint_error(error: Exception) -> None:
    """Print a ``RestpointError``: its message says what happened and why, and its code selects what to type next."""
    message = str(error)
    hint = _HINTS.get(getattr(error, "code", ""))
    if hint is not None:
        match = re.search(r"\b[Ee]xecution ([0-9a-f-]{36})\b", message)
        execution_id = getattr(error, "execution_id", None) or (match and match[1])
        hint = hint.replace("ID", str(execution_id)) if execution_id else hint
        hint = hint.replace("COMMAND", _command())
    print_error(message, None if re.search(r"\b([Rr]un|with): ", message) else hint)


def _command() -> str:
    """Return the command that was typed, with its group, such as ``audit query``."""
    words = [word for word in sys.argv[1:3] if word.isalpha()]
    return " ".join(words[: 2 if words[:1] and words[0] in GROUPS else 1]) or "COMMAND"


def print_error(message: str, hint: str | None = None) -> None:
    """Print what happened, why, and what to type next, each on its own line."""
    what, _, why = message.strip().partition("\n")
    if not why:
        parts = re.split(r"(?<=\.) (?=[A-Z])|(?<=;) ", what, maxsplit=1)
        what, why = parts[0], parts[1] if len(parts) > 1 else ""
    if what.endswith(";"):
        what, why = f"{what[:-1]}.", why if why.startswith("restpoint ") else f"{why[:1].upper()}{why[1:]}"
    print_message(f"restpoint: {printable(what)}")
    for line in why.splitlines():
        print_message(f"  {printable(line.strip())}")
    if hint is not None:
        print_message(f"  Try: {printable(hint)}")


def _discard_output() -> int:
    # Redirect what is still buffered to /dev/null, or Python reports a broken pipe at exit.
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.close(null)
    return 0
