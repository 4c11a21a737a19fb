"""This machine: where the file stands, and who is at its keyboard."""

import os
import pwd
from pathlib import Path


def path_of(database: str) -> Path:
    """Where the file stands, or will. Raises ``InvalidArgument`` for what is neither a path nor a URL of SQLite."""
    from restpoint._storage.sqlite.connection import locate

    return locate(database)


def existing(database: str) -> Path:
    """The path of a file that is there. Raises ``UnusableFile`` for one that is not: most commands are not to create it."""
    from restpoint._storage.sqlite import migrations
    from restpoint.errors import UnusableFile

    path = path_of(database)
    if migrations.current(path) is None:
        raise UnusableFile(f"{path} holds no tables; run: restpoint db upgrade --database {path}")
    return path


def user_name() -> str:
    """The user of the operating system, from its own records rather than from variables that anyone may set."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
