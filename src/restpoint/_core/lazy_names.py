"""Public names of a package that are imported when they are first used (PEP 562).

So ``restpoint --help`` does not wait for SQLAlchemy, and the core works without the packages of an extra.
"""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def lazy_names(
    package: str, namespace: dict[str, Any], homes: Mapping[str, Sequence[str]], modules: Sequence[str] = ()
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` for a package.

    ``package`` is its ``__name__``, and ``namespace`` its ``globals()``. ``homes`` maps each module that defines public names,
    relative to the package, to these names. ``modules`` are those that are public themselves, under the last part of their name.
    """
    home_of = {name: module for module, names in homes.items() for name in names}
    places = {**{module.rpartition(".")[2]: module for module in modules}, **home_of}

    def get(name: str) -> object:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = import_module(f"{package}.{places[name]}")
        value: object = getattr(module, name) if name in home_of else module
        namespace[name] = value
        return value

    return get, lambda: sorted({*namespace, *places})
