"""The whole API against its own document: cases made by schemathesis, with every check it has."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from schema_cases import PROVIDER, hold_to_its_document
from serving import make_app, served


async def run(file: Path, examples: int, half: int) -> dict[str, int]:
    app = make_app(file, default="echo", providers=[PROVIDER])
    async with served(app) as client:
        return await asyncio.to_thread(hold_to_its_document, str(client.base_url), examples, half)


# In halves, so that two workers share what takes longest: making the cases.
@pytest.mark.parametrize("half", [0, 1])
async def test_25_every_reply_is_one_that_the_document_states(file: Path, half: int) -> None:
    statuses = await run(file, 2, half)
    assert len({key.rpartition(" ")[0] for key in statuses}) == len(range(half, 48, 2))
    assert not [key for key in statuses if " 5" in key[-4:]]


@pytest.mark.deep
async def test_25_every_reply_is_one_that_the_document_states_deep(file: Path) -> None:
    statuses: Counter[str] = Counter()
    for half in (0, 1):
        statuses.update(await run(file, 1_800, half))
    print(
        f"\n{sum(statuses.values())} cases:", *sorted(f"{key}: {count}" for key, count in statuses.items()), sep="\n  "
    )
    assert sum(statuses.values()) >= 10_000
    assert not [key for key in statuses if " 5" in key[-4:]]
