"""Annotations with values for them, and a workflow whose steps return these values; a second process replays it.

Run as a program, it answers what waits in a file, and prints what every execution came to.
"""

import asyncio
import dataclasses
import enum
import json
import re
import sys
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, Json, PrivateAttr, RootModel, SecretStr, computed_field
from pydantic.dataclasses import dataclass as checked_dataclass
from typing_extensions import TypedDict

from restpoint import Context, ExecutionStore, Runner, Workflow, workflow
from restpoint.errors import NotJSON
from restpoint.lifecycle import TERMINAL
from restpoint.prompts import HumanPromptText, HumanResponseText

T = TypeVar("T")


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


class Size(enum.IntEnum):
    SMALL = 1
    LARGE = 2


class State(enum.StrEnum):
    NEW = "new"
    OLD = "old"


class Corner(enum.Enum):
    TOP = (0, 1)
    BOTTOM = (1, 0)


class Address(BaseModel):
    street: str
    number: int | None = None


class Person(BaseModel):
    name: str
    born: date | None
    address: Address | None = None
    tags: set[str] = set()


class Customer(Person):
    discount: Decimal


class Aliased(BaseModel):
    card_no: str = Field(alias="cardNo")
    limit: Decimal = Field(default=Decimal(0), alias="creditLimit")


class ReadByAlias(BaseModel):
    card_no: str = Field(default="", validation_alias="cardNo", serialization_alias="card-no")


class Swapped(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    a: int = Field(alias="b")
    b: int = Field(alias="a")


class Excluded(BaseModel):
    name: str
    hint: str = Field(default="", exclude=True)


class Computed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    width: int

    @computed_field  # type: ignore[prop-decorator]
    @property
    def area(self) -> int:
        return self.width**2


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str


class Private(BaseModel):
    name: str
    _seen: int = PrivateAttr(default=0)

    @classmethod
    def noticed(cls, name: str, seen: int) -> "Private":
        made = cls(name=name)
        made._seen = seen
        return made


class Login(BaseModel):
    user: str
    password: SecretStr


class Page(BaseModel, Generic[T]):
    items: list[T]
    next: str | None = None


class Names(RootModel[list[str]]):
    pass


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    tricks: list[str]


class Node(BaseModel):
    value: int
    children: list["Node"] = []


@dataclasses.dataclass
class Receipt:
    number: int
    at: datetime
    lines: list[tuple[str, Decimal]] = dataclasses.field(default_factory=list)


@checked_dataclass
class Checked:
    width: float
    unit: Literal["mm", "cm"] = "mm"


class Row(TypedDict):
    id: int
    label: str


class Point(NamedTuple):
    x: float
    y: float


class Text(str):
    __slots__ = ()


def shown(value: object) -> str:  # noqa: PLR0911 - a case for each kind
    """A value in words, with the type of each part of it."""
    name = type(value).__name__
    if isinstance(value, enum.Enum):
        return f"{name}.{value.name}"
    if isinstance(value, BaseModel):
        parts = {**value.__dict__, **(value.__pydantic_extra__ or {}), **(value.__pydantic_private__ or {})}
        return f"{name}({shown(parts)})"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return f"{name}({shown(value.__dict__)})"
    if isinstance(value, Mapping):
        return f"{name}{{{', '.join(sorted(f'{shown(key)}: {shown(item)}' for key, item in value.items()))}}}"
    if isinstance(value, AbstractSet):
        return f"{name}{{{', '.join(sorted(map(shown, value)))}}}"
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return f"{name}[{', '.join(map(shown, value))}]"
    if isinstance(value, SecretStr):
        return f"{name} {value.get_secret_value()!r}"
    if isinstance(value, datetime | time):  # a zone comes back as its offset
        return f"{name} {value.isoformat()} {value.fold if value.tzinfo is None else ''}"
    return f"{name} {value!r}"


def floats(words: str) -> str:
    """Words of ``shown`` in which each whole number is a float, as an annotation of ``float`` makes it."""
    return re.sub(r"\b(?:int|float) (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)", lambda found: f"float {float(found[1])!r}", words)


ANNOTATIONS: dict[str, Any] = {
    "nothing said": None, "anything": Any, "int": int, "float": float, "str": str, "bool": bool, "bytes": bytes,
    "decimal": Decimal, "datetime": datetime, "date": date, "time": time, "timedelta": timedelta, "uuid": UUID,
    "path": PurePosixPath, "address": IPv4Address, "colour": Colour, "size": Size, "state": State, "corner": Corner,
    "literal": Literal["a", 1, True], "optional": int | None, "union": int | float | str | bool, "dates": date | str,
    "list": list, "dict": dict, "tuple": tuple, "set": set, "ints": list[int], "decimals": list[Decimal],
    "pairs": dict[str, tuple[int, str]], "by number": dict[int, str], "by date": dict[date, float],
    "by pair": dict[tuple[int, int], str], "strings": set[str], "frozen": frozenset[int], "bounded": tuple[int, ...],
    "mixed": tuple[int, str, float], "queue": deque[int], "defaults": defaultdict[str, int], "secret": SecretStr,
    "json": Json[list[int]], "positive": Annotated[int, Field(gt=0)], "person": Person, "people": list[Person],
    "customer or person": Customer | Person, "aliased": Aliased, "read by alias": ReadByAlias, "swapped": Swapped,
    "excluded": Excluded, "computed": Computed, "open": Open, "private": Private, "login": Login, "page": Page[Person],
    "page of ints": Page[int], "names": Names, "pet": Annotated[Cat | Dog, Field(discriminator="kind")], "node": Node,
    "receipt": Receipt, "receipts": dict[str, Receipt], "checked": Checked, "row": Row, "rows": list[Row], "point": Point,
}  # fmt: skip


def returning(annotation: str, make: Callable[[], Any]) -> Callable[[], Any]:
    """A step with this annotation, which returns what ``make`` makes."""

    async def step() -> Any:
        return make()

    step.__annotations__ = {} if annotation == "nothing said" else {"return": ANNOTATIONS[annotation]}
    return step


def _value(values: Mapping[str, Sequence[Any]], owner: str, index: int) -> Any:
    return values[owner][index]


def flow(values: Mapping[str, Sequence[Any]]) -> Workflow:
    """A workflow whose steps return the values that are named by the owner of the execution, one after the other.

    It returns what it was given, in words, the second time too: it waits for an answer before it returns.
    """

    @workflow("values")
    async def each(ctx: Context, names: list[str]) -> list[str]:
        seen = []
        for index, name in enumerate(names):
            step = returning(name, partial(_value, values, str(ctx.owner), index))
            try:
                seen.append(shown(await ctx.step(step, name=name)))
            except NotJSON as error:
                seen.append(f"NotJSON {error}")
        FIRST[str(ctx.owner)] = seen
        await ctx.ask(HumanPromptText(text="Go on?"))
        return seen

    return each


FIRST: dict[str, list[str]] = {}
"""What the workflow was given, by the owner of the execution."""


async def main(path: str) -> None:
    """Answer what waits, and print what each execution came to, by its owner. No step is called: there are no values here."""
    async with ExecutionStore(database=Path(path)) as store, Runner(store, [flow({})]):
        for each in (await store.list(limit=1_000)).items:
            record = await store.get(each.execution_id)
            assert record is not None
            (pending,) = record.pending_interactions
            await store.resolve_interaction(record.execution_id, pending.interaction_id, HumanResponseText(text="yes"))
            while record.status not in TERMINAL and record.problem is None:
                await record.changed()
            print(json.dumps([record.owner, record.result, record.problem or record.error]))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
