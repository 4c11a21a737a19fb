"""The options that a prompt is asked with: whom it is addressed to, and what happens at its deadline. They are checked here."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel

from restpoint._core.changes import NO_TERMS, Terms
from restpoint._core.serialization import check_text, encode
from restpoint.errors import InvalidArgument
from restpoint.prompts import HumanPrompt, HumanResponse, accepts, read_response, write_response


def read_terms(
    prompt: HumanPrompt,
    assignees: Sequence[str] | None,
    four_eyes: bool,
    on_deadline: Literal["raise", "fail"],
    default: HumanResponse | BaseModel | Mapping[str, Any] | None,
) -> Terms:
    """Check the options of a prompt. Raises ``InvalidArgument``, ``NotJSON`` and ``ResponseNotAccepted``."""
    if assignees is None and not four_eyes and default is None and on_deadline == "raise":
        return NO_TERMS
    if isinstance(assignees, str) or (assignees is not None and not assignees):
        raise InvalidArgument(
            "assignees is a list of people and groups, with at least one in it; None addresses nobody."
        )
    for name in assignees or ():
        check_text("assignees", name, limit=1_000)
    if on_deadline not in {"raise", "fail"}:
        raise InvalidArgument(
            f"on_deadline is 'raise' or 'fail', not {on_deadline!r}; give a default to have it answered."
        )
    if default is not None and on_deadline == "fail":
        raise InvalidArgument("A prompt that has a default is answered with it at its deadline; leave on_deadline out.")
    response = None if default is None else write_response(accepts(prompt, read_response(default)))
    then: Literal["default", "fail"] | None = (
        "default" if default is not None else "fail" if on_deadline == "fail" else None
    )
    names = None if assignees is None else encode(list(assignees))
    return Terms(names, 1 if four_eyes else None, then, response)
