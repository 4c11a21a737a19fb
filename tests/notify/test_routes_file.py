"""The routes file: what it says, and what is said of one that is wrong."""

from pathlib import Path

import pytest

from notices import write_routes
from restpoint.errors import InvalidArgument
from restpoint.events import EventKind
from restpoint.notify import routes_file
from transcripts import DOCS, block

WHOLE = """
[people.joan]
mail = "joan@example.com"
[groups]
finance = ["joan", "zoe"]
[[routes]]
name = "questions"
channel = "office"
workflows = ["refund"]
owners = ["ada"]
groups = ["finance"]
assignees = ["joan"]
to = ["assignees", "group:finance"]
template = "question.txt"
[[routes]]
name = "ends"
channel = "office"
events = ["execution_failed", "execution_completed"]
"""


def test_a_routes_file_is_read_whole(tmp_path: Path) -> None:
    routes = routes_file.read(write_routes(tmp_path, WHOLE), ["office"])
    assert routes.people == {"joan": {"mail": "joan@example.com"}}
    assert routes.groups == {"finance": ("joan", "zoe")}
    first, second = (route.stored() for route in routes.routes)
    assert (first.events, first.workflows, first.owners) == ((EventKind.INTERACTION_ASKED,), ("refund",), ("ada",))
    assert first.assignees == ("joan", "group:finance")
    assert second.events == (EventKind.EXECUTION_FAILED, EventKind.EXECUTION_COMPLETED)
    assert routes.folder == tmp_path


def test_the_file_of_the_documentation_is_one(tmp_path: Path) -> None:
    page = DOCS / "how-to" / "notify.md"
    routes = routes_file.read(write_routes(tmp_path, block(page, "routes file")), ["chat"])
    assert [route.name for route in routes.routes] == ["finance-hears", "owners-hear"]


ROUTE = '[[routes]]\nname = "one"\nchannel = "office"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[routes", "is not TOML"),
        ("[hooks]", "hooks: there is no such setting; those here are people, groups, channels, routes"),
        (ROUTE + 'colour = "red"', "routes 'one' colour: there is no such setting; those here are name,"),
        (
            ROUTE.replace("channel", "chanel"),
            "routes 'one' chanel: there is no such setting; those here are name, channel,",
        ),
        (
            ROUTE + 'events = ["interaction_asked", "signed_in"]',
            "'signed_in' is no event that can be told; use some of",
        ),
        (ROUTE + "events = []", "routes 'one' events"),
        (ROUTE + 'events = ["notice_delivered"]', "'notice_delivered' is no event that can be told"),
        (ROUTE + 'groups = ["group:finance"]', "give the name of the group without 'group:'"),
        (ROUTE + 'to = ["group:finance"]', "tells 'group:finance'; there is no 'finance' under"),
        (ROUTE + 'to = ["assignees"]\nevents = ["execution_failed"]', "assignees of execution_failed"),
        (ROUTE + ROUTE, "the route 'one' is there twice"),
        ('[[routes]]\nname = "one"\nchannel = "nowhere"', "names the channel 'nowhere'; the file has office"),
        ('[[routes]]\nname = "one two"\nchannel = "office"', "routes 'one two' name"),
        (
            '[channels.hook]\nkind = "pigeon"',
            "the channel 'hook' has the kind pigeon; use one of webhook, mail, apprise",
        ),
        ("[channels.hook]", "the channel 'hook' has the kind None"),
    ],
)
def test_a_routes_file_that_is_wrong_is_refused_with_the_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InvalidArgument) as raised:
        routes_file.read(write_routes(tmp_path, text), ["office"])
    assert message in str(raised.value)
    assert "routes.toml" in str(raised.value)


def test_a_routes_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"nothing\.toml cannot be read"):
        routes_file.read(tmp_path / "nothing.toml")
