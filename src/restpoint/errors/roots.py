"""The roots of the tree of errors, and the tree by its codes."""

from typing import ClassVar


class RestpointError(Exception):
    """The root of the tree. ``code`` is stable across releases; the message is for people and may change."""

    code: ClassVar[str] = "error"


class NotFound(RestpointError, KeyError):
    """The file has nothing with this id."""

    code = "not_found"

    def __str__(self) -> str:
        # KeyError shows the repr of its argument; people need the message itself.
        return str(self.args[0]) if self.args else self.code


class Refused(RestpointError, ValueError):
    """A rule forbids it. Nothing was written."""

    code = "refused"


class NotAllowed(RestpointError):
    """The actor may see this, but may not do that to it. Nothing was written."""

    code = "not_allowed"


def by_code() -> dict[str, type[RestpointError]]:
    """Every class of error that there is, by its ``code``."""
    found: dict[str, type[RestpointError]] = {}

    def add(kind: type[RestpointError]) -> None:
        found.setdefault(kind.code, kind)
        for each in kind.__subclasses__():
            add(each)

    add(RestpointError)
    return found
