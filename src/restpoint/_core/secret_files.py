"""Small files that are their owner's alone: bearer tokens, keys. Written whole or not at all, and told apart when they change."""

import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from restpoint.errors import InvalidArgument

Stamp = tuple[int, int, int, int]
"""What differs between a file and the one that took its place."""


def stamp(path: Path) -> Stamp:
    """The stamp of the file that is there now. Raises ``OSError``."""
    return _stamp(path.stat())


def read(path: Path, what: str, made_by: str) -> tuple[Stamp, bytes]:
    """What the file holds, with its stamp.

    Raises ``InvalidArgument``, which names ``what`` and the command that makes one, where it is missing or others may use it.
    """
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise InvalidArgument(
                    f"The {what} {path} may be used by others (mode {stat.S_IMODE(found.st_mode):04o}); "
                    f"run: chmod 600 {path}"
                )
            return _stamp(found), file.read()
    except OSError as error:
        raise InvalidArgument(f"The {what} {path} cannot be read: {error.strerror}. Make one with: {made_by}") from None


def write(path: Path, text: str, what: str, *, new: bool = False) -> None:
    """Put ``text`` in the place of what the file held, for its owner alone, and on the disk when this returns.

    With ``new``, one that another process made in the meantime stays. Raises ``InvalidArgument``.
    """
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if new:
            with suppress(FileExistsError):
                os.link(unfinished, path)
            unfinished.unlink()
        else:
            unfinished.replace(path)
        flush(path.parent)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise InvalidArgument(f"The {what} {path} cannot be written: {error.strerror}.") from None


@contextmanager
def in_turn(folder: Path) -> Iterator[None]:
    """One process after another, so that nothing is lost of two that change a file of this folder at once."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise InvalidArgument(f"The folder {folder} cannot be opened: {error.strerror}.") from None
    try:
        with suppress(OSError):  # a file system that has no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def flush(path: Path) -> None:
    """Have the operating system write a file, or the names in a folder, to the disk. Raises ``OSError``."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _stamp(found: os.stat_result) -> Stamp:
    return found.st_ino, found.st_mtime_ns, found.st_size, found.st_mode
