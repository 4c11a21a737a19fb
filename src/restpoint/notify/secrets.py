"""Secrets of channels, which come from the environment or from a file and are never in the routes file."""

from restpoint._core import secret_files
from restpoint.errors import InvalidArgument
from restpoint.notify.routes_file import ChannelContext


def secret(context: ChannelContext, variable: str | None, file: str | None, what: str) -> str | None:
    """Return the secret in the environment variable, or in the file, that the settings name; None where they name neither.

    A file must be readable by its owner only, and its last line break does not count. Raises ``InvalidArgument`` with ``what``
    in its message, and never the secret.
    """
    if variable is not None and file is not None:
        raise InvalidArgument(f"The {what} comes from {variable} or from {file}: name one of them.")
    if variable is not None:
        value = context.environ.get(variable)
        if not value:
            raise InvalidArgument(f"The {what} comes from {variable}, which is not set in the environment.")
        return value
    if file is None:
        return None
    _, data = secret_files.read(context.folder / file, what, "a text editor")
    try:
        value = data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise InvalidArgument(f"The {what} in {file} is no text in UTF-8.") from None
    if not value:
        raise InvalidArgument(f"The {what} {file} is empty.")
    return value
