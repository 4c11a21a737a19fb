"""The wall around the storage: what the boxes above may import of it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import restpoint
from restpoint import _storage

ROOT = Path(restpoint.__file__).parent
ABOVE = sorted(path for path in ROOT.rglob("*.py") if ROOT / "_storage" not in path.parents)
MOST = 60


def imports(path: Path) -> Iterator[tuple[str, str | None]]:
    """Every module that is imported, with the name that is imported from it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", alias.name) for alias in node.names)


def test_only_the_names_of_the_storage_are_imported_from_above() -> None:
    found = 0
    for path in ABOVE:
        if "_storage" not in path.read_text():
            continue
        for module, name in imports(path):
            assert (module, name) != ("restpoint", "_storage"), f"{path}: name what is needed of the storage"
            if module.startswith("restpoint._storage"):
                assert module == "restpoint._storage", f"{path}: import {name} from restpoint._storage"
                assert name in _storage.__all__, path
                found += 1
    assert found > 50


def test_the_names_are_few_and_each_is_there() -> None:
    assert len(_storage.__all__) <= MOST
    assert len(set(_storage.__all__)) == len(_storage.__all__)
    for name in _storage.__all__:
        assert getattr(_storage, name) is not None
    assert set(_storage.__all__) <= set(dir(_storage))
