"""Samples, by which an operator tries a route, to people."""

from pathlib import Path

import pytest

from notices import TestChannel, down, write_routes
from restpoint.errors import InvalidArgument
from restpoint.notify import routes_file, samples
from restpoint.notify.addresses import Addresses
from restpoint.notify.samples import Outcome
from support import ManualClock

ROUTES = """
[people]
anna = { post = "anna@example.com" }
ben = { post = "ben@example.com" }
cora = {}

[groups]
finance = ["anna", "ben", "cora"]

[[routes]]
name = "asks"
channel = "post"
to = ["assignees"]

[[routes]]
name = "tells"
channel = "post"
to = ["owner", "group:finance"]
"""


async def sent(folder: Path, channel: TestChannel, name: str, *to: str) -> list[Outcome]:
    file = routes_file.read(write_routes(folder, ROUTES), ["post"])
    route = file.route(name)
    assert route is not None
    return await samples.send(route, channel, Addresses(file), ManualClock(), to=to)


async def test_each_person_of_a_route_gets_a_sample_and_who_cannot_be_reached_is_named(tmp_path: Path) -> None:
    channel = TestChannel()
    channel.failures = [down("The mailbox is full.")]

    outcomes = await sent(tmp_path, channel, "tells")

    assert outcomes == [
        Outcome("tells", "post", "anna", "The mailbox is full."),
        Outcome("tells", "post", "ben", None),
        Outcome("tells", "post", "cora", "Nobody knows where post reaches cora."),
    ]
    assert [notice.recipient and notice.recipient.address for notice in channel.sent] == [
        "anna@example.com",
        "ben@example.com",
    ]
    assert all(notice.is_sample for notice in channel.sent)


async def test_a_route_to_assignees_is_tried_with_people_that_are_named(tmp_path: Path) -> None:
    channel = TestChannel()

    with pytest.raises(InvalidArgument, match="--to anna"):
        await sent(tmp_path, channel, "asks")
    assert await sent(tmp_path, channel, "asks", "ben") == [Outcome("asks", "post", "ben", None)]
    assert len(channel.sent) == 1
