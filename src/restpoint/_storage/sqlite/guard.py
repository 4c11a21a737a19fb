"""The guard of an open file: what is written goes to the file that has the name, and its log stays where it is.

**Locks.** The operating system drops all POSIX locks that a process has on a file as soon as the process closes *any* descriptor
of it (https://www.sqlite.org/howtocorrupt.html, section 2.2): ``shutil.copy`` of the file is enough. Another process
then takes itself for the last user of the file when it closes it, moves the log into the file and deletes the log, and whatever
is committed later goes into a log without a name. So a guard takes the lock that every SQLite connection has once more, as a
lock of an open file description (``F_OFD_SETLK`` of fcntl(2)), which no other descriptor takes away. Only Linux has these locks.
The same holds for the index of the log, on which SQLite keeps the lock of the writer, so a writer also takes one of the log.

**Identity.** Before and after each COMMIT, ``check`` compares what stands at the path, and at those of the log and of its index,
with what is open here. Where somebody deleted, moved or replaced one of them, the write is refused.

**Descriptors.** For the same reason nothing of restpoint's may close a descriptor of a file that a connection of this process has
open. Only this module opens a database other than through SQLite, and it closes none while a connection is ``in_use``.
"""

import errno
import fcntl
import logging
import os
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from restpoint.errors import FileGone

log = logging.getLogger(__name__)

Identity = tuple[int, int]
"""Device and inode."""

# Where SQLite has its locks: https://www.sqlite.org/lockingv3.html and https://www.sqlite.org/walformat.html, section 2.3.
PENDING_BYTE: Final = 0x40000000
LOCK_BYTES: Final = 512
_SHARED: Final = (PENDING_BYTE + 2, 510)
_INDEX_IN_USE: Final = (128, 1)  # whoever finds it free takes itself for the first user, and empties the index

_LOG_HEADER: Final = b"\x37\x7f\x06"  # and 82 or 83: https://www.sqlite.org/walformat.html, section 1
_LOG_HEADER_BYTES, _FRAME_HEADER_BYTES = 32, 24
_COARSE: Final = 100_000_000
"""Nanoseconds. The kernel's times of change are as coarse as its clock ticks, so a folder that changed within the last of them
may have changed again without a trace."""


class _Held:
    """The descriptors that this process has of one file, for as long as any connection of this process is open on it."""

    def __init__(self) -> None:
        self.users = 0
        self.locked = 0
        self.descriptors: list[int] = []


_held: dict[Identity, _Held] = {}
_mutex = threading.Lock()


def _forget() -> None:
    """In a forked process: it must not keep the locks of its parent."""
    global _mutex  # noqa: PLW0603 - whoever held it is not in this process
    _mutex = threading.Lock()
    for held in _held.values():
        for descriptor in held.descriptors:
            os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_forget)


def _identity(status: os.stat_result) -> Identity:
    return status.st_dev, status.st_ino


def _release(identity: Identity, held: _Held) -> None:
    with _mutex:
        held.users -= 1
        if held.users == 0:
            _held.pop(identity, None)
            for descriptor in held.descriptors:
                os.close(descriptor)


@contextmanager
def in_use(path: Path) -> Iterator[Identity | None]:
    """Close no descriptor of the file meanwhile, because a connection is open on it. Gives which file it is, None for none."""
    try:
        with _mutex:
            identity = _identity(path.stat())
            held = _held.setdefault(identity, _Held())
            held.users += 1
    except OSError:  # SQLite says better what is wrong
        yield None
        return
    try:
        yield identity
    finally:
        _release(identity, held)


def used_here(path: Path) -> bool:
    """Whether a connection of this process is open on the file."""
    with _mutex:
        return _identity(path.stat()) in _held


def beginning(path: Path, size: int) -> bytes:
    """The first bytes of a file, which may be a database that this process has open. Raises ``OSError``."""
    with _mutex:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        held = _held.get(_identity(os.fstat(descriptor)))
        try:
            return os.pread(descriptor, size, 0)
        finally:
            if held is None:
                os.close(descriptor)
            else:
                held.descriptors.append(descriptor)


def _flock(kind: int, start: int, size: int) -> bytes:
    return struct.pack("hhqqi0q", kind, os.SEEK_SET, start, size, 0)  # struct flock


_WRITING: Final = _flock(fcntl.F_WRLCK, 0, 1)  # a byte of the log, where SQLite has no locks
_WRITTEN: Final = _flock(fcntl.F_UNLCK, 0, 1)


def lock(descriptor: int, kind: int, start: int, size: int) -> None:
    """Set a lock of kind ``F_RDLCK``, ``F_WRLCK`` or ``F_UNLCK`` for this descriptor only, without waiting.

    Raises ``OSError``: ``EAGAIN`` or ``EACCES`` where somebody has the bytes, ``EINVAL`` where the system has no such locks.
    """
    command = getattr(fcntl, "F_OFD_SETLK", None)
    if command is None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    fcntl.fcntl(descriptor, command, _flock(kind, start, size))


class Guard:
    """Guards the file at a path from before its first connection is opened until after its last one is closed."""

    def __init__(self, path: Path) -> None:
        """Raises ``OSError``."""
        self.path = path
        self._is_link = path.is_symlink()
        real = path.resolve() if self._is_link else path
        self._folder = str(real.parent)  # looked at with each commit, and a Path is made a text each time
        self._log_path = real.with_name(f"{real.name}-wal")
        self._index_path = real.with_name(f"{real.name}-shm")
        with _mutex:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            self.identity = _identity(os.fstat(self._descriptor))
            self._held = _held.setdefault(self.identity, _Held())
            self._held.users += 1
            self._held.descriptors.append(self._descriptor)
        self._log = self._index = -1
        self._log_identity = self._index_identity = self.identity
        self._log_bytes = 0
        self._unchanged: tuple[int, int] | None = None
        self._is_locked = self._has_entered = False

    def connected(self) -> None:
        """Note which log a connection has open; it has read the file in WAL mode. Raises ``FileGone``."""
        self._look(None, file_only=True)
        with _mutex:
            self._log = self._join(self._log_path)
            self._index = self._join(self._index_path)
        self._log_identity = _identity(os.fstat(self._log))
        self._index_identity = _identity(os.fstat(self._index))
        self._log_bytes = 0
        self._lock()

    def _join(self, path: Path) -> int:
        """Open what this process has open already. SQLite makes the log and its index when it first reads the file."""
        try:
            wanted = _identity(path.stat())
            if not _is_open_here(wanted):
                raise self._gone("log")
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            if isinstance(error, FileGone):
                raise
            raise self._gone("log") from error
        self._held.descriptors.append(descriptor)
        if _identity(os.fstat(descriptor)) != wanted:
            raise self._gone("log")
        return descriptor

    def _lock(self) -> None:
        """Keep others from taking themselves for the last user of the file, or for the first one of the index of its log."""
        if self._is_locked:
            return
        with _mutex:
            try:
                if not self._held.locked:
                    lock(self._descriptor, fcntl.F_RDLCK, *_SHARED)
                    lock(self._index, fcntl.F_RDLCK, *_INDEX_IN_USE)
            except OSError as error:
                log.debug("%s has only SQLite's own locks (%s)", self.path, error)
                with suppress(OSError):
                    lock(self._descriptor, fcntl.F_UNLCK, *_SHARED)
                return
            self._held.locked += 1
            self._is_locked = True

    def unlock(self) -> None:
        """Let the last connection of this process, which is about to be closed, move the log into the file."""
        if not self._is_locked:
            return
        with _mutex:
            self._is_locked = False
            self._held.locked -= 1
            if not self._held.locked:
                for descriptor in self._held.descriptors:
                    with suppress(OSError):
                        lock(descriptor, fcntl.F_UNLCK, *_SHARED)

    def enter(self) -> bool:
        """Be the one writer, before a transaction begins. False where another one is in its transaction.

        SQLite's own lock does not suffice: a writer loses it when somebody in its process closes the index of the log.
        """
        if self._is_locked and not self._has_entered:
            try:
                fcntl.fcntl(self._log, fcntl.F_OFD_SETLK, _WRITING)
            except OSError:
                return False
            self._has_entered = True
        return True

    def leave(self) -> None:
        """Let others write: the transaction has ended."""
        if self._has_entered:
            self._has_entered = False
            fcntl.fcntl(self._log, fcntl.F_OFD_SETLK, _WRITTEN)

    def close(self) -> None:
        """End; the connections that it was made for are closed."""
        self.unlock()
        _release(self.identity, self._held)

    # --- Checks ---

    def check(self) -> None:
        """Raise ``FileGone`` unless the path, and those of the log and its index, lead to what is open here.

        It costs about two microseconds: while their folder does not change, no name in it does.
        """
        try:
            folder = os.stat(self._folder)  # noqa: PTH116 - at each commit, and Path.stat takes half as long again
        except OSError:
            folder = None
        if folder is None or (folder.st_ino, folder.st_ctime_ns) != self._unchanged:
            self._look(folder)

    def check_before(self) -> None:
        """``check``, in a transaction that has written nothing yet; and see that the log was not cut short."""
        self.check()
        if self._size_of_log() != self._log_bytes:
            self._compare_with_index()

    def check_after(self) -> None:
        """``check``, after COMMIT; and see that the log begins as logs do, or what is in it would not be found."""
        self.check()
        beginning = os.pread(self._log, len(_LOG_HEADER), 0)
        if beginning not in {_LOG_HEADER, b""}:  # empty is a log that somebody has just moved into the file
            raise self._gone("log")
        self._log_bytes = self._size_of_log()

    def _look(self, folder: os.stat_result | None, *, file_only: bool = False) -> None:
        try:
            found = _identity(self.path.stat())
        except OSError as error:
            raise self._gone("file") from error
        if found != self.identity:
            raise self._gone("replaced")
        if file_only:
            return
        for path, identity in ((self._log_path, self._log_identity), (self._index_path, self._index_identity)):
            try:
                found = _identity(path.stat())
            except OSError as error:
                raise self._gone("log") from error
            if found != identity:
                raise self._gone("log")
        is_settled = folder is not None and time.time_ns() - folder.st_ctime_ns > _COARSE and not self._is_link
        self._unchanged = (folder.st_ino, folder.st_ctime_ns) if folder is not None and is_settled else None

    def _size_of_log(self) -> int:
        """In bytes."""
        return os.lseek(self._log, 0, os.SEEK_END)  # fstat costs four times as much, for all else that it tells

    def _compare_with_index(self) -> None:
        """See that a log whose size was changed by others has all the frames that its index tells of."""
        # https://www.sqlite.org/walformat.html, section 2.1. A log that is emptied is told to have no frames first.
        page_size, frames = struct.unpack("=HI", os.pread(self._index, 6, 14))
        needed = _LOG_HEADER_BYTES + frames * (_FRAME_HEADER_BYTES + (page_size if page_size > 1 else 65_536))
        size = self._size_of_log()
        if frames and size < needed:
            raise self._gone("log")
        self._log_bytes = size

    def _gone(self, what: str) -> FileGone:
        self._unchanged = None
        name = self.path.name
        happened, to_do = {
            "file": (
                f"{self.path} was deleted or moved while this program had it open",
                f"Put it back with its log ({name}-wal), or end this program and restore a backup",
            ),
            "replaced": (
                f"Another file was put in the place of {self.path} while this program had the former one open",
                "End every program that has it open, decide which of the two is right, and start again",
            ),
            "log": (
                f"The log of {self.path} ({name}-wal, {name}-shm) was deleted, moved, replaced or cut short while it was in use",
                f"End every program that has the file open, run `restpoint db check --database {self.path}`, and start again",
            ),
        }[what]
        return FileGone(
            f"{happened}. What this call asked for was not acknowledged, and nothing more is written. {to_do}."
        )

    # --- What may still be saved ---

    @contextmanager
    def alone_with_the_file(self) -> Iterator[bool]:
        """Whether the file is in its place and without a log, so that nobody has begun a new one; nobody does meanwhile."""
        try:
            lock(self._descriptor, fcntl.F_WRLCK, PENDING_BYTE, 1)  # whoever opens the file takes it for a moment
        except OSError:
            yield False
            return
        try:
            yield self._has_no_log()
        finally:
            lock(self._descriptor, fcntl.F_UNLCK, PENDING_BYTE, 1)

    def is_beside_another_file(self) -> bool:
        """Whether the log that is open here stands beside another file, to which SQLite would apply it."""
        try:
            return (
                _identity(self.path.stat()) != self.identity and _identity(self._log_path.stat()) == self._log_identity
            )
        except OSError:
            return False

    def _has_no_log(self) -> bool:
        try:
            if _identity(self.path.stat()) != self.identity or self._log_path.exists():
                return False
            return _identity(self._index_path.stat()) == self._index_identity
        except FileNotFoundError:
            return self.path.exists()
        except OSError:
            return False


def _is_open_here(identity: Identity) -> bool:
    """Whether this process has a descriptor of this file, as far as the system tells."""
    try:
        names = [entry.name for entry in Path("/dev/fd").iterdir()]
    except OSError:
        return True
    for name in names:
        with suppress(OSError, ValueError):
            if _identity(os.fstat(int(name))) == identity:
                return True
    return False
