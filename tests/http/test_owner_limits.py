"""Limits of one owner: how many executions are open, and how many are started in a minute."""

import asyncio
from pathlib import Path

import pytest

from restpoint.errors import InvalidArgument
from restpoint.http.app import OwnerLimits
from serving import TEXT_ANSWER, asked, make_app, served, whoever


def as_(name: str) -> dict[str, str]:
    return {"x-user": name}


async def test_an_owner_with_as_many_open_executions_as_allowed_starts_none_until_one_ends(file: Path) -> None:
    async with served(make_app(file, authenticate=whoever, owner_limits=OwnerLimits(open_executions=2))) as client:
        first, _ = [await asked(client, "greet", **as_("ada")) for _ in range(2)]
        reply = await client.post("/v1/workflows/greet", headers=as_("ada"))
        assert (reply.status_code, reply.json()["code"]) == (429, "owner_limit_reached")
        assert reply.headers["retry-after"] == "30"
        assert "ada has 2 executions" in reply.json()["detail"]
        await asked(client, "greet", **as_("grace"))
        await client.post(f"{first['response_url']}", json=TEXT_ANSWER, headers=as_("ada"))
        await client.get(f"{first['status_url']}?wait=60", headers=as_("ada"))
        await asked(client, "greet", **as_("ada"))


async def test_starts_at_once_do_not_pass_together(file: Path) -> None:
    async with served(make_app(file, authenticate=whoever, owner_limits=OwnerLimits(open_executions=3))) as client:
        replies = await asyncio.gather(*(client.post("/v1/workflows/greet", headers=as_("ada")) for _ in range(12)))
    codes = [reply.status_code for reply in replies]
    assert 1 <= codes.count(202) <= 3
    assert codes.count(429) == 12 - codes.count(202)


async def test_an_owner_who_starts_too_many_in_a_minute_is_told_for_how_long_to_wait(file: Path) -> None:
    async with served(make_app(file, authenticate=whoever, owner_limits=OwnerLimits(starts_per_minute=2))) as client:
        for _ in range(2):
            assert (await client.post("/v1/workflows/echo", json=1, headers=as_("ada"))).status_code == 200
        reply = await client.post("/v1/workflows/echo", json=1, headers=as_("ada"))
        assert reply.status_code == 429
        assert 1 <= int(reply.headers["retry-after"]) <= 60
        assert (await client.post("/v1/workflows/echo", json=1, headers=as_("grace"))).status_code == 200


@pytest.mark.parametrize("wrong", [0, -1, True, 1.5])
def test_a_limit_that_is_no_number_of_things_is_refused(wrong: int) -> None:
    with pytest.raises(InvalidArgument, match="give a whole number from 1"):
        OwnerLimits(open_executions=wrong)
