"""The roots of the tree of errors, and the tree by its codes."""

from typing import ClassVar, Final


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


INSTANTS: Final = ("answered_at", "claimed_at", "voted_at")
"""The attributes of errors that are milliseconds since the epoch, and seconds in the replies of HTTP."""

MEMBERS: Final = (
    "execution_id", "how", "gone_at", "interaction_id", "answered_by", "claimed_by", *INSTANTS, "path", "reason", "sqlite_name",
)  # fmt: skip
"""The attributes of errors that the replies of HTTP tell, and that the errors of the client have again."""


def by_code() -> dict[str, type[RestpointError]]:
    """Every class of error that there is, by its ``code``."""
    found: dict[str, type[RestpointError]] = {}

    def add(kind: type[RestpointError]) -> None:
        found.setdefault(kind.code, kind)
        for each in kind.__subclasses__():
            add(each)

    add(RestpointError)
    return found
