"""Errors about telling people."""

from collections.abc import Iterable

from restpoint.errors.roots import NotFound


class NoticeNotFound(NotFound):
    """The outbox has no notice with this id: there was none, or it left the file with its execution."""

    code = "notice_not_found"

    def __init__(self, notice_id: str) -> None:
        super().__init__(f"There is no notice {notice_id[:80]} in the outbox; notices leave it with their execution.")


class UnknownRoute(NotFound):
    """People are told of nothing by a route with this name."""

    code = "unknown_route"

    def __init__(self, name: str, known: Iterable[str]) -> None:
        names = ", ".join(sorted(known)) or "none"
        super().__init__(f"There is no route {name[:80]!r} by which people are told. The routes are: {names}.")
