"""Loads the targets of ``restpoint serve``: modules, or ``.py`` files, that define workflows."""

import importlib
import importlib.util
import linecache
import re
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Final

from restpoint._engine.workflow import Workflow, by_key
from restpoint.errors import InvalidArgument

_HERE: Final = Path(__file__).parents[1]
_PUBLIC: Final = tuple(
    f"restpoint{each}" for each in ("", ".prompts", ".errors", ".access", ".events", ".http", ".client")
)


def load(*targets: str) -> list[Workflow]:
    """The workflows among the global names of the modules of all targets, in order.

    A target is a path that ends in ``.py``, or the dotted name of a module that can be imported from the current folder.
    Raises ``InvalidArgument`` if there is no such module, if importing it fails (with file and line), if it has no workflows,
    and if two of all of them have the same name and version.
    """
    found: list[Workflow] = []
    for target in targets:
        its = [value for value in vars(_module(target)).values() if isinstance(value, Workflow)]
        if not its:
            raise InvalidArgument(
                f"{target} has no workflows. Decorate an async function in it: @workflow, from restpoint import workflow."
            )
        found += [
            each for number, each in enumerate(its) if not any(each is other for other in [*found, *its[:number]])
        ]
    by_key(found)
    return found


def _module(target: str) -> ModuleType:
    path = Path(target)
    if target.endswith(".py") or path.is_dir() or len(path.parts) > 1:
        if not path.is_file() or path.suffix != ".py":
            what = "is no Python file" if path.exists() else "does not exist"
            raise InvalidArgument(f"{target} {what}. Name a .py file or a module with workflows in it.")
        return _from_file(path.resolve(), target)
    if not all(part.isidentifier() for part in target.split(".")):
        raise InvalidArgument(
            f"{target!r} is neither a .py file nor the name of a module. Name one with workflows in it."
        )
    _findable(Path.cwd())
    try:
        return importlib.import_module(target)
    except ModuleNotFoundError as error:
        if error.name is not None and (target == error.name or target.startswith(f"{error.name}.")):
            near = (
                f" There is a file {target}.py here: restpoint serve {target}.py"
                if Path(f"{target}.py").is_file()
                else ""
            )
            raise InvalidArgument(
                f"There is no module {target}. It must be installed, or stand in the current folder.{near}"
            ) from None
        raise _failed(target, error) from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - anything may happen in somebody's module
        raise _failed(target, error) from None


def _from_file(path: Path, target: str) -> ModuleType:
    _findable(path.parent)
    name = path.stem if path.stem.isidentifier() else "restpoint_target"
    if name in sys.modules and getattr(sys.modules[name], "__file__", None) != str(path):
        name = f"restpoint_target_{name}"  # do not hide a module of that name, which the file itself may import
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InvalidArgument(f"{target} cannot be loaded as Python.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pydantic and pickle look up the module of a class there
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - anything may happen in somebody's module
        del sys.modules[name]
        raise _failed(target, error) from None
    return module


def _findable(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _failed(target: str, error: BaseException) -> InvalidArgument:
    """The error of an import, with the line of the user's own code instead of a traceback."""
    what = str(error).splitlines()[0] if str(error) else ""
    if isinstance(error, SyntaxError):
        what, where = error.msg, f"{error.filename}:{error.lineno}"
    else:
        frames = [
            frame
            for frame in traceback.extract_tb(error.__traceback__)
            if not frame.filename.startswith("<") and not Path(frame.filename).is_relative_to(_HERE)
        ]
        own = [frame for frame in frames if "site-packages" not in frame.filename] or frames
        where = f"{own[-1].filename}:{own[-1].lineno}" if own else target
        if own and (line := linecache.getline(own[-1].filename, own[-1].lineno or 0).strip()):
            where += f" in: {line}"
    return InvalidArgument(f"{target} cannot be imported. {type(error).__name__}: {what}, at {where}{_home(error)}")


def _home(error: BaseException) -> str:
    """Where a name of ours is that was imported from another module of ours; empty where something else went wrong."""
    found = re.match(r"cannot import name '(\w+)' from 'restpoint", str(error))
    if found is None:
        return ""
    homes = [home for home in _PUBLIC if hasattr(importlib.import_module(home), found[1])]
    return f"; write: from {homes[0]} import {found[1]}" if homes else ""
