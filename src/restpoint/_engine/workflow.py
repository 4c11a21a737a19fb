"""Workflows: async functions of an application, with a name and a version.

Pydantic types their input, their output and the results of their steps by the annotations of the functions (``typed.py``).
"""

import ast
import inspect
import re
import textwrap
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Literal, get_type_hints, overload

from pydantic import BaseModel, ValidationError

from restpoint._core.serialization import encode_exactly, first_problem
from restpoint._engine.typed import typed
from restpoint.errors import InputNotAccepted, InvalidArgument, NotJSON
from restpoint.prompts.form_models import schema_of

Function = Callable[..., Awaitable[Any]]
Wording = Literal["free", "exact"]
"""Whether changed code may word a prompt otherwise than it was asked."""

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,127}")
MAX_INPUT_BYTES: Final = 4 * 1024 * 1024
_NOTHING: Final = inspect.Parameter.empty


@dataclass(frozen=True, slots=True)
class WrittenInput:
    """An input that a workflow has checked, as the JSON text to store."""

    text: str


def _asked_models(function: Function) -> list[type[BaseModel]]:
    """The models that a function asks for by name, as in ``ctx.ask(Order, ...)``, as far as its code tells."""
    written: Any = inspect.unwrap(function)
    try:
        source = ast.parse(textwrap.dedent(inspect.getsource(written)))
        known, around = (
            dict(written.__globals__),
            zip(written.__code__.co_freevars, written.__closure__ or (), strict=True),
        )
    except (
        OSError,
        TypeError,
        SyntaxError,
        AttributeError,
    ):  # typed at a prompt, a part of a longer line, or no function
        return []
    for name, cell in around:
        with suppress(ValueError):  # it has no value yet
            known[name] = cell.cell_contents
    context = next(iter(inspect.signature(written).parameters), None)
    found = []
    for each in ast.walk(source):
        match each:
            case ast.Call(ast.Attribute(ast.Name(of), "ask" | "answer_to"), [ast.Name(name), *_]) if of == context:
                found.append(known.get(name))
    return [each for each in found if isinstance(each, type) and issubclass(each, BaseModel)]


class Workflow:
    """A workflow, made by the decorator ``workflow``. ``version`` distinguishes its executions from those of other code."""

    def __init__(self, function: Function, name: str, version: int, wording: Wording = "free") -> None:
        if not inspect.iscoroutinefunction(function):
            raise InvalidArgument(
                f"The workflow {name} is not a coroutine function; write: async def {name}(ctx, ...)."
            )
        if not _NAME.fullmatch(name):
            raise InvalidArgument(
                f"{name!r} is no name for a workflow: use letters, digits, '_', '-' and '.', 128 at most, a letter first."
            )
        if type(version) is not int or not 1 <= version < 1 << 31:
            raise InvalidArgument(f"version is {version!r}; give a whole number from 1.")
        if wording not in {"free", "exact"}:
            raise InvalidArgument(f"wording is {wording!r}; give 'free' or 'exact'.")
        for model in _asked_models(function):
            schema_of(model)
        self.function = function
        self.name = name
        self.wording = wording
        self.version = version
        self.description = inspect.getdoc(function)
        parameters = list(inspect.signature(function).parameters.values())
        positional = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
        if not 1 <= len(parameters) <= 2 or any(each.kind not in positional for each in parameters):
            raise InvalidArgument(
                f"The workflow {name} takes {len(parameters)} arguments; it takes the context and at most one input: "
                "put several values in one pydantic model."
            )
        try:
            hints = get_type_hints(function, include_extras=True)
        except (NameError, TypeError) as error:
            raise InvalidArgument(f"The annotations of workflow {name} cannot be read: {error}.") from None
        self.takes_input = len(parameters) > 1
        self._optional = self.takes_input and parameters[1].default is not _NOTHING
        self.input = typed(f"The input of workflow {name}", hints.get(parameters[1].name) if self.takes_input else None)
        self.output = typed(f"The result of workflow {name}", hints.get("return"))

    @property
    def key(self) -> str:
        """Its name and version, as in ``refund@2``."""
        return f"{self.name}@{self.version}"

    @property
    def takes_text(self) -> bool:
        """Whether its input is text."""
        return self.takes_input and self.input.annotation in (str, str | None)

    @property
    def input_schema(self) -> dict[str, Any]:
        """The JSON schema of the input; ``{"type": "null"}`` where it takes none."""
        return self.input.schema() if self.takes_input else {"type": "null"}

    @property
    def output_schema(self) -> dict[str, Any]:
        """The JSON schema of the result."""
        return self.output.schema()

    def write_input(self, value: object) -> str:
        """Check an input and return it as the JSON text to store. Raises ``InputNotAccepted``.

        JSON is kept as it was given, without the defaults of its model, so that these may change. A model, and whatever else
        the annotation takes, must read back equal and of the same types.
        """
        if isinstance(value, WrittenInput):
            return value.text
        try:
            try:
                text, _ = encode_exactly(value, limit=MAX_INPUT_BYTES)
            except NotJSON:
                if not self.takes_input or self.input.is_any:
                    raise
                return self.input.write(value, limit=MAX_INPUT_BYTES).text
            if not self.takes_input:
                if value not in (None, {}):
                    raise InputNotAccepted(f"The workflow {self.name} takes no input; send null, or nothing.")
            elif value is not None or not self._optional:
                self.input.read(text)
        except NotJSON as error:
            raise InputNotAccepted(f"The input of workflow {self.name} cannot be stored: {error}") from None
        except (ValidationError, RecursionError) as error:
            raise InputNotAccepted(f"This is no input of workflow {self.name}: {first_problem(error)}.") from None
        return text

    def written(self, value: object) -> WrittenInput:
        """Check an input, for ``write_input`` to take as it is. Raises ``InputNotAccepted``."""
        return WrittenInput(self.write_input(value))

    def arguments(self, text: str) -> tuple[Any, ...]:
        """The arguments of the function after the context. Raises ``pydantic.ValidationError``."""
        if not self.takes_input or (text == "null" and self._optional):
            return ()
        return (self.input.read(text),)

    def __repr__(self) -> str:
        return f"<Workflow {self.key}>"

    async def __call__(self, *arguments: Any) -> Any:
        """Call the function itself, for a workflow that is a part of another."""
        return await self.function(*arguments)


@overload
def workflow(function: Function, /) -> Workflow: ...
@overload
def workflow(
    name: str | None = None, /, *, version: int = 1, wording: Wording = "free"
) -> Callable[[Function], Workflow]: ...
def workflow(
    function: Function | str | None = None, /, *, version: int = 1, wording: Wording = "free"
) -> Workflow | Callable[[Function], Workflow]:
    """Make a workflow of an async function: ``@workflow``, ``@workflow("name")`` or ``@workflow("name", version=2)``.

    The function takes a ``Context`` and at most one more argument, the input. Give changed code a new ``version``, and keep the
    old function beside it until its executions have ended. With ``wording="exact"`` a prompt whose text, labels or
    descriptions differ from what was asked is another prompt, and the execution is left for code that asks the same.

    Raises ``InvalidArgument`` for a function that cannot be a workflow, and ``PromptNotAccepted`` where it asks for a model that
    no form can say, as far as its code tells.
    """
    if callable(function):
        return Workflow(function, getattr(function, "__name__", "workflow"), version, wording)

    def decorate(decorated: Function) -> Workflow:
        return Workflow(decorated, decorated.__name__ if function is None else function, version, wording)

    return decorate


def by_key(workflows: Iterable[Workflow]) -> dict[str, Workflow]:
    """Workflows by name and version. Raises ``InvalidArgument`` where two have both in common."""
    found: dict[str, Workflow] = {}
    for each in workflows:
        if not isinstance(each, Workflow):
            raise InvalidArgument(f"{each!r} is no workflow; decorate its function with @workflow.")
        if found.setdefault(each.key, each) is not each:
            raise InvalidArgument(f"Two workflows are named {each.name} in version {each.version}; rename one of them.")
    return found
