"""Errors about what a caller gave."""

from restpoint.errors.roots import Refused


class InvalidArgument(Refused):
    """An argument is outside its documented range."""

    code = "invalid_argument"


class NotJSON(Refused):
    """A value that must be stored has no JSON that reads back equal and of the same types.

    ``path`` names the part, such as ``$.rows[3].price``, and ``problem`` says what is wrong with it.
    """

    code = "not_json"

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"The value at {path} cannot be stored: {problem}.")
        self.path = path
        self.problem = problem
