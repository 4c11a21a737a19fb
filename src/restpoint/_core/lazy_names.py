"""Public names of a package that are imported when they are first used (PEP 562).

So ``restpoint --help`` does not wait for SQLAlchemy, and the core works without the packages of an extra.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(
    package: str, namespace: dict[str, Any], homes: Mapping[str, str], modules: Mapping[str, str] | None = None
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` for a package.

    ``package`` is its ``__name__``, ``namespace`` its ``globals()``, and ``homes`` maps each public name to the module,
    relative to the package, that defines it. ``modules`` maps the names that are themselves modules to where they are.
    """
    places = {**homes, **(modules or {})}

    def get(name: str) -> object:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = import_module(f"{package}.{places[name]}")
        value: object = module if name not in homes else getattr(module, name)
        namespace[name] = value
        return value

    def names() -> list[str]:
        return sorted({*namespace, *places})

    return get, names
