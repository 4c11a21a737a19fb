"""What ``import restpoint`` offers: all of it there, documented, and known to type checkers."""

import ast
import inspect
from pathlib import Path

import pytest

import restpoint

SOURCE = ast.parse(Path(restpoint.__file__).read_text())


def test_each_name_is_where_type_checkers_are_told_that_it_is() -> None:
    told = {
        alias.name: node.module
        for block in SOURCE.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert told == {name: f"restpoint.{module}" for module, names in restpoint._HOMES.items() for name in names}
    assert sorted(told) == sorted(restpoint.__all__)
    assert set(restpoint.__all__) <= set(dir(restpoint))


@pytest.mark.parametrize("name", restpoint.__all__)
def test_each_name_is_documented_and_so_is_what_it_has(name: str) -> None:
    public = getattr(restpoint, name)
    if not (inspect.isclass(public) or inspect.isfunction(public)):
        return
    assert public.__doc__
    if inspect.isclass(public) and not issubclass(public, Exception):
        for member, value in vars(public).items():
            if not member.startswith("_") and (inspect.isfunction(value) or isinstance(value, property)):
                assert inspect.getdoc(value), f"{name}.{member}"


def test_a_name_that_is_not_there_says_so() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = restpoint.nothing
