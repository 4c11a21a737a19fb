"""The tree of errors as it is drawn is the tree as it is."""

import inspect
import re

from restpoint import errors


def classes() -> dict[str, type[errors.RestpointError]]:
    return {
        name: value
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, errors.RestpointError)
    }


def test_the_drawing_shows_every_class_under_its_parent_with_its_code() -> None:
    drawn: dict[str, tuple[str, str]] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"^    ([│ ]*)(?:[├└]── )?(\w+)(?: \(\w+\))?(?:\s+(\w+))?", line)
        if found is None or not found[2][0].isupper() or "The original" in line:
            continue
        depth = 0 if found[2] == "RestpointError" else 1 + len(found[1]) // 4
        del above[depth:]
        drawn[found[2]] = (above[-1] if above else "Exception", found[3] or "")
        above.append(found[2])
    assert set(drawn) == set(classes())
    for name, (parent, code) in drawn.items():
        error = classes()[name]
        assert error.__bases__[0].__name__ == parent
        if code and code == error.code:
            continue
        assert not code or error.__subclasses__(), f"{name} has the code {error.code}"


def test_every_code_is_one_error_only() -> None:
    codes = [error.code for error in classes().values()]
    assert len(codes) == len(set(codes))


def test_every_error_says_what_it_is() -> None:
    assert all(error.__doc__ for error in classes().values())
