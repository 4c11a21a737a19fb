"""Output and errors of the command: streams that never fail on a character, errors in three lines, and exit codes."""

import contextlib
import errno
import os
import re
import sys
from collections.abc import Coroutine, Iterator
from typing import Any, Final, TypeVar

import typer
from typer.core import TyperCommand

T = TypeVar("T")

REFUSED, USAGE, NOT_FOUND, NOT_ALLOWED, STORAGE, INTERRUPTED = 1, 2, 3, 4, 5, 130

GROUPS: Final = frozenset({"audit", "db", "keys", "outbox", "providers", "routes", "sessions", "tokens"})
"""The commands that have subcommands."""

_HINTS: Final = {
    "execution_not_found": "restpoint list",
    "interaction_not_found": "restpoint show ID",
    "already_resolved": "restpoint history ID",
    "interaction_claimed": "restpoint reassign ID NAME, by an operator",
    "already_voted": "restpoint show ID",
    "interaction_expired": "restpoint show ID",
    "interaction_withdrawn": "restpoint show ID",
    "illegal_transition": "restpoint show ID",
    "response_not_accepted": "restpoint answer ID, at a terminal, which shows what the prompt accepts",
    "server_unreachable": "restpoint serve TARGET, or another --url",
    "not_allowed": "RESTPOINT_TOKEN=... restpoint ..., with the token of someone who may",
    "four_eyes": "restpoint answer ID, by someone else",
    "same_person": "restpoint answer ID, by someone else",
    "voter_unknown": "RESTPOINT_TOKEN=... restpoint answer ID --url URL, with a token of your own",
    "input_not_accepted": "restpoint start NAME --input '{...}'",
    "invalid_argument": "restpoint COMMAND --help",
    "execution_held": "restpoint show ID",
    "nothing_to_export": "restpoint audit head",
}
HIDDEN: Final = (
    "\x7f-\x9f\u2028\u2029"  # control characters, and line ends of Unicode
    "\u202a-\u202e"  # marks that change the direction of text
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""Characters beyond ASCII that a terminal acts on or does not show, as in a character class of ``re``.

With those that are not shown (Default_Ignorable_Code_Point of Unicode) two options that differ could look the same.
"""

_UNSAFE: Final = re.compile(f"[\x00-\x08\x0b-\x1f{HIDDEN}]")


# What a write to standard output may fail with that is no fault of the program.
_NOT_WRITTEN: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


class Usage(Exception):
    """Wrong usage: exit code 2. The message may have three lines."""


def prepare() -> None:
    """Give every standard stream something to write to, and make it escape characters that its encoding lacks.

    A stream that the caller closed (``>&-``) becomes ``/dev/null``, so that no file of ours gets its number.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - for as long as the process lives
    for stream in (sys.stdout, sys.stderr, sys.stdin):
        with contextlib.suppress(AttributeError, ValueError, OSError):
            stream.reconfigure(errors="replace" if stream is sys.stdin else "backslashreplace")  # type: ignore[union-attr]


class TakesNegativeNumbers(TyperCommand):
    """A command whose arguments may be negative numbers, which look like options: ``restpoint answer 4f1c09 -5``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put a negative number that no option takes behind ``--``, where nothing is an option any more."""
        takes_value = {name for each in self.params if not getattr(each, "is_flag", True) for name in each.opts}
        for at, word in enumerate(args):
            if word == "--":
                break
            if re.fullmatch(r"-\d[\d.,]*", word) and (at == 0 or args[at - 1] not in takes_value):
                args = [*args[:at], *args[at + 1 :], "--", word]
                break
        return list(super().parse_args(ctx, args))


def printable(text: str) -> str:
    """Escape what a terminal acts on or does not show, so that no prompt can manipulate it or look like another one."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def one_line(text: str, width: int = 60) -> str:
    """Return ``text`` as one printable line of at most ``width`` characters."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= width else f"{line[: width - 1]}…"


def print_message(words: str = "") -> None:
    """Print a message to standard error. Where that cannot be written, the exit code still tells."""
    with contextlib.suppress(OSError):
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
            sys.stdout.flush()
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

            if isinstance(error, RestpointError):
                print_restpoint_error(error)
                raise SystemExit(exit_code(error)) from None
            raise
    except BrokenPipeError:
        raise SystemExit(_discard_output()) from None
    except OSError as error:  # an error of a file would name the file
        if error.errno not in _NOT_WRITTEN or error.filename is not None:
            raise
        _discard_output()
        print_error(f"The output could not be written: {error.strerror}.")
        raise SystemExit(STORAGE) from None


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
    is_enough = re.search(r"\b([Rr]un|with): |^The (providers|routes|tokens) file ", message)
    print_error(message, None if is_enough else hint)


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
