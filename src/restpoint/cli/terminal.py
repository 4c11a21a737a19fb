"""How the command speaks and ends: streams that never fail over a character, errors in three lines, exit codes."""

import contextlib
import os
import re
import sys
from collections.abc import Coroutine, Iterator
from typing import Any, Final, TypeVar

import typer

T = TypeVar("T")

REFUSED, USAGE, NOT_FOUND, NOT_ALLOWED, STORAGE, INTERRUPTED = 1, 2, 3, 4, 5, 130

GROUPS: Final = frozenset({"audit", "db", "keys", "tokens"})
"""The commands that have commands."""

_NEXT: Final = {
    "execution_not_found": "restpoint list",
    "interaction_not_found": "restpoint show ID",
    "already_resolved": "restpoint history ID",
    "interaction_expired": "restpoint show ID",
    "interaction_withdrawn": "restpoint show ID",
    "illegal_transition": "restpoint show ID",
    "response_not_accepted": "restpoint answer ID, at a terminal, which asks by the kind of the prompt",
    "server_unreachable": "restpoint serve TARGET, or another --url",
    "not_allowed": "RESTPOINT_TOKEN=... restpoint ..., with the token of someone who may",
    "four_eyes": "restpoint answer ID, by someone else",
    "input_not_accepted": "restpoint start NAME --input '{...}'",
    "invalid_argument": "restpoint COMMAND --help",
    "execution_held": "restpoint show ID",
    "nothing_to_export": "restpoint audit head",
}
# What a terminal obeys rather than shows: control characters, and marks that turn the direction of text.
_UNSAFE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


class Usage(Exception):
    """The command was called in a way that cannot be meant: exit code 2. The message may have three lines."""


def prepare() -> None:
    """Have the streams of this process show what their encoding lacks as escapes rather than fail."""
    for stream in (sys.stdout, sys.stderr, sys.stdin):
        with contextlib.suppress(AttributeError, ValueError, OSError):
            stream.reconfigure(errors="replace" if stream is sys.stdin else "backslashreplace")  # type: ignore[union-attr]


def printable(text: str) -> str:
    """``text`` with what a terminal would obey shown as escapes: nobody's prompt may paint this screen."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def one_line(text: str, width: int = 60) -> str:
    """``text`` as one printable line of at most ``width`` characters."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= width else f"{line[: width - 1]}…"


def say(words: str = "") -> None:
    """Words, to standard error."""
    typer.echo(words, err=True)


def put(text: str) -> None:
    """A piece of data, to standard output, at once. Ends the command quietly when nobody reads any more."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise typer.Exit(_hang_up()) from None


def put_bytes(data: bytes) -> None:
    """Data that is no text of ours to change, to standard output. Ends the command quietly when nobody reads any more."""
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise typer.Exit(_hang_up()) from None


def run(work: Coroutine[Any, Any, T]) -> T:
    """Do it in an event loop of its own."""
    import asyncio

    return asyncio.run(work)


@contextlib.contextmanager
def telling() -> Iterator[None]:
    """Turn what is expected to go wrong into words and an exit code."""
    try:
        try:
            yield
        except SystemExit:
            sys.stdout.flush()
            raise
        except BrokenPipeError:  # whoever read has seen enough, such as `head`
            raise SystemExit(_hang_up()) from None
        except KeyboardInterrupt:
            raise SystemExit(INTERRUPTED) from None
        except Usage as error:
            tell(str(error))
            raise SystemExit(USAGE) from None
        except Exception as error:
            from restpoint.errors import RestpointError

            if not isinstance(error, RestpointError):
                raise
            tell_error(error)
            raise SystemExit(exit_code(error)) from None
    except BrokenPipeError:
        raise SystemExit(_hang_up()) from None


def exit_code(error: Exception) -> int:
    """The exit code of an error of ours."""
    from restpoint.errors import (
        InvalidArgument,
        NotAllowed,
        NotFound,
        ServerUnreachable,
        StorageError,
    )

    if isinstance(error, InvalidArgument):
        return USAGE
    if isinstance(error, NotAllowed):
        return NOT_ALLOWED
    if isinstance(error, StorageError | ServerUnreachable):
        return STORAGE
    return NOT_FOUND if isinstance(error, NotFound) else REFUSED


def tell_error(error: Exception) -> None:
    """An error of ours in up to three lines: its message says what and why, and its code what to type next."""
    message = str(error)
    hint = _NEXT.get(getattr(error, "code", ""))
    if hint is not None:
        named = re.search(r"\b[Ee]xecution ([0-9a-f-]{36})\b", message)
        execution_id = getattr(error, "execution_id", None) or (named and named[1])
        hint = hint.replace("ID", str(execution_id)) if execution_id else hint
        hint = hint.replace("COMMAND", _command())
    tell(message, None if re.search(r"\b([Rr]un|with): ", message) else hint)


def _command() -> str:
    """The command that was typed, of a group with its own, such as ``audit query``."""
    words = [word for word in sys.argv[1:3] if word.isalpha()]
    return " ".join(words[: 2 if words[:1] and words[0] in GROUPS else 1]) or "COMMAND"


def tell(message: str, hint: str | None = None) -> None:
    """What happened, why, and what to type next, each on a line of its own."""
    what, _, why = message.strip().partition("\n")
    if not why:
        parts = re.split(r"(?<=\.) (?=[A-Z])|(?<=;) ", what, maxsplit=1)
        what, why = parts[0], parts[1] if len(parts) > 1 else ""
    if what.endswith(";"):
        what, why = f"{what[:-1]}.", why if why.startswith("restpoint ") else f"{why[:1].upper()}{why[1:]}"
    say(f"restpoint: {printable(what)}")
    for line in why.splitlines():
        say(f"  {printable(line.strip())}")
    if hint is not None:
        say(f"  Try: {printable(hint)}")


def _hang_up() -> int:
    # What is still buffered has nowhere to go, and Python would complain of it at its end.
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)
    return 0
