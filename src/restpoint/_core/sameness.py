"""Whether a value that was read back is the one that was written: equal, and of the same types all the way down.

``==`` is not enough: to Python ``1``, ``1.0`` and ``True`` are equal, and so are a ``str`` and a member of a ``StrEnum``.
"""

import dataclasses
import marshal
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, time
from decimal import Decimal
from functools import lru_cache
from itertools import chain
from typing import Any, Final

from pydantic import BaseModel

_ATOMS: Final = frozenset({str, int, float, bool, type(None), bytes})
_WORTH_MARSHAL: Final = 16  # items of a container, from which one call of C is quicker than a walk


class _Missing:
    """What stands for a part that a value does not have."""


_MISSING: Final = _Missing()

Difference = tuple[list[str | int], str]
"""Where two values differ, as the steps to that part from the innermost to the outermost, and how they do."""


def is_plain(value: Any) -> bool:
    """Whether a value is made of exactly ``str``, ``int``, ``float``, ``bool``, ``None``, ``list``, ``dict`` and the like.

    ``marshal`` refuses everything else, subclasses too, and it is C: 0.2 s for 36 MB of JSON, where a walk takes seconds.
    """
    try:
        marshal.dumps(value, 2)
    except ValueError:
        return False
    return True


def difference(written: object, read: object) -> Difference | None:
    """The first difference between a value that was written and the one that was read back; None where they are the same.

    An ``int`` where a ``float`` is read back is no difference if they are equal: by PEP 484 an annotation of ``float`` takes
    both. JSON has the offset of a time zone and not its name, so that is what is compared.
    """
    kind = type(written)
    if kind is not type(read):
        if kind is int and type(read) is float and written == read:
            return None
        return [], f"it is {_named(kind)} and would read back as {_named(type(read))}"
    if kind in _ATOMS or written is read:
        return None if written == read else ([], "it would read back with another value")
    return _compared_by(kind)(written, read)  # type: ignore[arg-type] # a class can be hashed


@lru_cache(maxsize=512)
def _compared_by(kind: type) -> Callable[[Any, Any], Difference | None]:
    if issubclass(kind, BaseModel):
        return _models
    if issubclass(kind, Mapping):
        return _mappings
    if issubclass(kind, Sequence) and not issubclass(kind, str | bytes | bytearray):
        return _sequences
    if issubclass(kind, AbstractSet):
        return _sets
    if dataclasses.is_dataclass(kind):
        return _dataclasses
    return _others


def _sequences(written: Sequence[object], read: Sequence[object]) -> Difference | None:
    if len(written) != len(read):
        return [], "it would read back with another length"
    if len(written) >= _WORTH_MARSHAL and _marshals_alike(written, read):
        return None
    return _parts(enumerate(written), iter(read))


def _mappings(written: Mapping[object, object], read: Mapping[object, object]) -> Difference | None:
    for key in written:
        if key not in read:
            return [], f"its key {str(key)[:80]!r} is {_named(type(key))} and would read back as another key"
    if len(written) != len(read):
        return [], "it would read back with more keys"
    if len(written) >= _WORTH_MARSHAL and _marshals_alike(written, read):
        return None
    if not all(type(key) is str for key in chain(written, read)):
        keys = {key: key for key in read}
        for key in written:
            if (found := difference(key, keys[key])) is not None:
                return found[0], f"its key {str(key)[:80]!r}: {found[1]}"
    return _parts(((str(key), value) for key, value in written.items()), (read[key] for key in written))


def _sets(written: AbstractSet[object], read: AbstractSet[object]) -> Difference | None:
    if written != read:
        return [], "it would read back with other members"
    members = {member: member for member in read}
    return next((found for each in written if (found := difference(each, members[each])) is not None), None)


def _models(written: BaseModel, read: BaseModel) -> Difference | None:
    # Not all of __dict__: a property that was cached is there too.
    found = _members(type(written).__pydantic_fields__, written.__dict__, read.__dict__)
    if found is None and (written.__pydantic_extra__ or read.__pydantic_extra__):
        found = _all_members(written.__pydantic_extra__ or {}, read.__pydantic_extra__ or {})
    if found is None and (written.__pydantic_private__ or read.__pydantic_private__):
        found = _all_members(written.__pydantic_private__ or {}, read.__pydantic_private__ or {})
    return found


def _dataclasses(written: Any, read: Any) -> Difference | None:
    names = [field.name for field in dataclasses.fields(written)]
    return _members(names, *({name: getattr(each, name, _MISSING) for name in names} for each in (written, read)))


def _all_members(written: Mapping[str, object], read: Mapping[str, object]) -> Difference | None:
    return _members(dict.fromkeys([*written, *read]), written, read)


def _members(names: Iterable[str], written: Mapping[str, object], read: Mapping[str, object]) -> Difference | None:
    for name in names:
        one, other = written.get(name, _MISSING), read.get(name, _MISSING)
        kind = type(one)
        if one is other or (kind in _ATOMS and kind is type(other) and one == other):
            continue
        if (found := difference(one, other)) is not None:
            found[0].append(name)
            return found
    return None


def _others(written: Any, read: Any) -> Difference | None:
    if isinstance(written, datetime | time):
        is_same = _times_alike(written, read)
    elif isinstance(written, Decimal):
        is_same = str(written) == str(read)  # 1.0 and 1.00 are equal, and still two
    else:
        is_same = written == read
    return None if is_same else ([], f"its {_named(type(written))} would read back with another value")


def _times_alike(written: Any, read: Any) -> bool:
    # By PEP 495 a time that a clock shows twice equals none of another zone, so look at the parts.
    offset = written.utcoffset()
    return (
        written.replace(tzinfo=None, fold=0) == read.replace(tzinfo=None, fold=0)
        and offset == read.utcoffset()
        and (offset is not None or written.fold == read.fold)
    )


def _parts(written: Iterable[tuple[str | int, object]], read: Iterable[object]) -> Difference | None:
    for (step, one), other in zip(written, read, strict=True):
        kind = type(one)
        if one is other or (kind in _ATOMS and kind is type(other) and one == other):
            continue
        if (found := difference(one, other)) is not None:
            found[0].append(step)
            return found
    return None


def _marshals_alike(one: Any, other: Any) -> bool:
    try:
        return marshal.dumps(one, 2) == marshal.dumps(other, 2)
    except ValueError:
        return False


def _named(kind: type) -> str:
    return {type(None): "None", _Missing: "missing"}.get(kind, kind.__qualname__)
