"""Small files that only their owner may read, such as bearer tokens and keys. They are written whole or not at all."""

import fcntl
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from restpoint.errors import InvalidArgument

Stamp = tuple[int, int, int, int]
"""Inode, time of change (nanoseconds), size and mode: two versions of a file differ in at least one of them."""


def stamp(path: Path) -> Stamp:
    """Return the stamp of the file now at ``path``. Raises ``OSError``."""
    return _stamp(path.stat())


def read(path: Path, what: str, made_by: str) -> tuple[Stamp, bytes]:
    """Return the file's stamp and content.

    Raises ``InvalidArgument`` if it cannot be read or its mode lets others use it; the message calls the file ``what`` and
    names the command ``made_by``.
    """
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise InvalidArgument(
                    f"The {what} {path} may be used by others (mode {stat.S_IMODE(status.st_mode):04o}); "
                    f"run: chmod 600 {path}"
                )
            return _stamp(status), file.read()
    except OSError as error:
        raise InvalidArgument(f"The {what} {path} cannot be read: {error.strerror}. Make one with: {made_by}") from None


def write(path: Path, text: str, what: str, *, new: bool = False) -> None:
    """Write ``text`` to the file, for its owner only. With ``new``, a file that another process made meanwhile stays.

    Raises ``InvalidArgument``; the message calls the file ``what``.
    """
    try:
        with suppress(FileExistsError):
            write_whole(path, [text.encode()], replace=not new)
    except OSError as error:
        raise InvalidArgument(f"The {what} {path} cannot be written: {error.strerror}.") from None


def write_whole(path: Path, pieces: Iterable[bytes], *, replace: bool, mode: int = 0o600) -> None:
    """Write a file whole or not at all. It is on the disk (fsync) when this returns.

    Raises ``FileExistsError`` if there is a file and ``replace`` is false, other ``OSError``s, and what ``pieces`` raises.
    """
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            for data in pieces:
                file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            unfinished.replace(path)
        else:
            path.hardlink_to(unfinished)  # a rename would replace an existing file
        flush(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold an exclusive lock on the folder, so that two processes that change a file in it do not lose each other's change.

    Raises ``InvalidArgument`` if the folder cannot be opened.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise InvalidArgument(f"The folder {folder} cannot be opened: {error.strerror}.") from None
    try:
        with suppress(OSError):  # some file systems have no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def flush(path: Path) -> None:
    """Flush a file, or the entries of a folder, to the disk (fsync). Raises ``OSError``."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_ino, status.st_mtime_ns, status.st_size, status.st_mode
