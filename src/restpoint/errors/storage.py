"""Errors of the file, and of the server that is asked for it."""

from restpoint.errors.roots import RestpointError


class StorageError(RestpointError, OSError):
    """SQLite or the file system failed. The write of this call was not acknowledged.

    ``sqlite_name`` is SQLite's result code (https://www.sqlite.org/rescode.html), for instance ``SQLITE_IOERR_FSYNC``.
    """

    code = "storage_error"

    def __init__(self, message: str, sqlite_name: str | None = None) -> None:
        super().__init__(f"{message} [{sqlite_name}]" if sqlite_name else message)
        self.sqlite_name = sqlite_name


class StorageBusy(StorageError):
    """Another program held the lock on the file for longer than the busy timeout."""

    code = "storage_busy"


class StorageFull(StorageError):
    """The disk, the quota or the page limit is exhausted. Writes work again when there is room."""

    code = "storage_full"


class DamagedFile(StorageError):
    """The content of the file is not what restpoint wrote. Restore a backup."""

    code = "damaged_file"


class UnusableFile(StorageError):
    """The path cannot hold a restpoint file: not a database, a directory, read-only, or without a parent folder."""

    code = "unusable_file"


class FileGone(StorageError):
    """The file or its log was deleted, moved, replaced or cut short while it was open.

    What was acknowledged before is where the file went to. Writes are refused until it is back in its place.
    """

    code = "file_gone"


class SchemaTooOld(StorageError):
    """The file was written by an older release and must be upgraded first."""

    code = "schema_too_old"


class SchemaTooNew(StorageError):
    """The file was upgraded by a newer release than this program."""

    code = "schema_too_new"


class StoreClosed(RestpointError):
    """The store is closed. Everything that was acknowledged before is in the file."""

    code = "store_closed"


class ServerUnreachable(RestpointError, ConnectionError):
    """The client got no usable reply, after all its retries."""

    code = "server_unreachable"

    def __init__(self, url: str, problem: str) -> None:
        super().__init__(f"No restpoint server answered at {url}: {problem}. Check the address, and that it runs.")
        self.url = url
