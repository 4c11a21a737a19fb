"""The outbox as operators see it: over HTTP, by the client, on the command line, on the pages, and as auditors ask for it."""

import json
from asyncio import to_thread
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import pytest_asyncio

from inside import Command
from notices import TestChannel, down, notices, until, write_routes
from restpoint import ExecutionStore
from restpoint.client.client import Client
from restpoint.errors import Conflict, NotAllowed, NoticeNotFound, UnknownRoute
from serving import asked, make_app, served, whoever
from support import rows

ROUTES = """
[people.joan]
office = "joan@example.com"
[people.ada]
office = "ada@example.com"
[[routes]]
name = "questions"
channel = "office"
groups = ["finance"]
to = ["joan"]
[[routes]]
name = "all"
channel = "other"
"""
OP, EYE, JOAN, ADA = ({"x-user": name} for name in ("op", "eye", "joan", "ada"))


@pytest.fixture
def office() -> TestChannel:
    return TestChannel()


@pytest.fixture
def other() -> TestChannel:
    channel = TestChannel()
    channel.always = down("410 Gone", disables=True)
    return channel


@pytest_asyncio.fixture
async def told(file: Path, tmp_path: Path, office: TestChannel, other: TestChannel) -> AsyncIterator[httpx.AsyncClient]:
    app = make_app(
        file,
        authenticate=whoever,
        routes=write_routes(tmp_path, ROUTES),
        channels={"office": office, "other": other},
        public_url="https://approvals.example.com/",
    )
    async with served(app) as http:
        yield http


async def test_a_server_with_routes_tells_people(told: httpx.AsyncClient, office: TestChannel, file: Path) -> None:
    body = await asked(told, "approve", **ADA)
    (notice,) = await office.had(1)
    where = f"/view/{body['execution_id']}/prompt/{body['interaction_id']}"
    assert notice.link == f"https://approvals.example.com{where}"
    assert notice.recipient is not None
    assert notice.recipient.address == "joan@example.com"
    await until(lambda: notices(file) == ["pending", "delivered"])


async def test_who_was_told_and_opened_the_page_is_history_once(
    told: httpx.AsyncClient, office: TestChannel, file: Path, restpoint: Command
) -> None:
    body = await asked(told, "approve", **ADA)
    where = f"/view/{body['execution_id']}/prompt/{body['interaction_id']}"
    await until(lambda: "delivered" in notices(file))
    for who in (OP, ADA):
        assert (await told.get(where, headers=who)).status_code == 200
    await told.head(where, headers=JOAN)
    assert rows(file, "SELECT actor FROM history WHERE event = 'notice_opened'") == []
    for _ in range(2):
        assert (await told.get(where, headers=JOAN)).status_code == 200
    assert rows(file, "SELECT actor FROM history WHERE event = 'notice_opened'") == [("joan",)]
    yes = {"response": {"type": "binary_choice", "selected_option": {"id": "yes", "label": "Yes", "value": True}}}
    reply = await told.post(body["response_url"], json=yes, headers=JOAN)
    assert reply.status_code == 204, reply.text
    (row,) = [json.loads(line) for line in (await told.get("/audit/report/told", headers=EYE)).text.splitlines()]
    assert (row["outcome"], row["recipient"], row["channel"], row["told"]) == (
        "delivered", "joan", "office", "interaction_asked",
    )  # fmt: skip
    assert (row["question"], row["answered_by"], row["owner"]) == ("Pay?", "joan", "ada")
    assert row["opened_at"] is not None
    assert row["answered_after_ms"] >= 0
    told_here = restpoint("audit", "report", "told", "--database", str(file), "-o", "jsonl")
    assert json.loads(told_here.stdout)["recipient"] == "joan"
    page = await told.get(f"/view/{body['execution_id']}", headers=OP)
    assert "Told" in page.text
    assert "joan by office" in page.text


async def test_operators_see_the_outbox_and_others_do_not(told: httpx.AsyncClient, file: Path) -> None:
    await asked(told, "approve", **ADA)
    await until(lambda: bool(rows(file, "SELECT 1 FROM history WHERE event = 'route_disabled'")))
    await until(lambda: notices(file) == ["pending", "delivered"])
    for path in ("/outbox", "/routes", f"/outbox/{notices(file, 'id')[0]}"):
        assert (await told.get(path, headers=ADA)).status_code == 403
        assert (await told.get(path, headers=EYE)).status_code == 200
    page = (await told.get("/outbox", params={"limit": 1}, headers=OP)).json()
    rest = (await told.get("/outbox", params={"limit": 1, "cursor": page["next_cursor"]}, headers=OP)).json()
    assert {item["route"] for item in (*page["items"], *rest["items"])} == {"questions", "all"}
    assert rest["next_cursor"] is None
    (item,) = (await told.get("/outbox", params={"route": "all"}, headers=OP)).json()["items"]
    assert (item["status"], item["problem"], item["due_at"]) == ("pending", "410 Gone", None)
    assert (await told.get("/outbox", params={"status": "lost"}, headers=OP)).status_code == 422
    assert (await told.get("/outbox", params={"cursor": "x"}, headers=OP)).status_code == 422
    routes = (await told.get("/routes", headers=OP)).json()["items"]
    assert [(route["name"], route["problem"]) for route in routes] == [("all", "410 Gone"), ("questions", None)]


async def test_operators_change_the_outbox_with_the_client(
    told: httpx.AsyncClient, file: Path, other: TestChannel
) -> None:
    await asked(told, "approve", **ADA)
    await until(lambda: bool(rows(file, "SELECT 1 FROM history WHERE event = 'route_disabled'")))
    base = str(told.base_url)
    async with Client(base, transport=_As("op")) as client, Client(base, transport=_As("eye")) as reader:
        (notice,) = [item async for item in client.outbox.list(route="all")]
        for refused in (reader.outbox.drop(notice.id), reader.outbox.retry(notice.id), reader.outbox.enable("all")):
            with pytest.raises(NotAllowed, match="operator"):
                await refused
        await client.outbox.drop(notice.id, "They were called")
        assert (await client.outbox.show(notice.id)).status == "dropped"
        other.always = None
        await client.outbox.enable("all")
        await client.outbox.retry(notice.id)
        await until(lambda: notices(file) == ["delivered", "delivered"])
        with pytest.raises(Conflict, match="delivered"):
            await client.outbox.drop(notice.id)
        with pytest.raises(NoticeNotFound):
            await client.outbox.show("nothing")
        with pytest.raises(UnknownRoute, match="all, questions"):
            await client.outbox.enable("nothing")
    found = rows(file, "SELECT event, actor, cause FROM history WHERE actor = 'op' ORDER BY sequence")
    assert found == [
        ("notice_dropped", "op", "They were called"), ("route_enabled", "op", None), ("notice_retried", "op", None),
    ]  # fmt: skip


async def test_the_page_for_operators_says_what_could_not_be_told(
    told: httpx.AsyncClient, file: Path, office: TestChannel
) -> None:
    office.always = down("No such mailbox", is_final=True)
    await asked(told, "approve", **ADA)
    await until(lambda: notices(file) == ["pending", "given_up"])
    await until(lambda: bool(rows(file, "SELECT 1 FROM history WHERE event = 'route_disabled'")))
    page = (await told.get("/attention", headers=OP)).text
    assert "No such mailbox" in page
    assert "410 Gone" in page
    assert "(2)" in page


async def test_whoever_opens_a_page_that_they_were_told_of_changes_no_open_page(
    told: httpx.AsyncClient, office: TestChannel, file: Path
) -> None:
    body = await asked(told, "approve", **ADA)
    await until(lambda: notices(file) == ["pending", "delivered"])
    await until(lambda: bool(rows(file, "SELECT 1 FROM history WHERE event = 'route_disabled'")))
    async with ExecutionStore(database=file) as store:
        before, _ = await store.touched(None)
        assert (
            await told.get(f"/view/{body['execution_id']}/prompt/{body['interaction_id']}", headers=JOAN)
        ).is_success
        after, touched = await store.touched(before)
    assert after == before + 1, "the history has it"
    assert list(touched) == []


async def test_the_metrics_tell_of_the_outbox(told: httpx.AsyncClient, file: Path) -> None:
    await asked(told, "approve", **ADA)
    await until(lambda: notices(file) == ["pending", "delivered"])
    await until(lambda: bool(rows(file, "SELECT 1 FROM history WHERE event = 'route_disabled'")))
    text = (await told.get("/metrics", headers=EYE)).text
    for line in (
        'restpoint_notice_attempts_total{channel="office",outcome="delivered"} 1.0',
        'restpoint_notice_attempts_total{channel="other",outcome="failed"} 1.0',
        "restpoint_pending_notices 1.0",
        "restpoint_given_up_notices 0.0",
        "restpoint_disabled_routes 1.0",
    ):
        assert line in text


async def test_the_command_line_shows_and_changes_the_outbox_of_a_file(
    told: httpx.AsyncClient, file: Path, tmp_path: Path, restpoint: Command
) -> None:
    await asked(told, "approve", **ADA)
    await until(lambda: bool(rows(file, "SELECT 1 FROM history WHERE event = 'route_disabled'")))
    await until(lambda: notices(file) == ["pending", "delivered"])
    at = ("--database", str(file))
    assert "410 Gone" in (await to_thread(restpoint, "outbox", "list", *at)).stdout
    listed = await to_thread(restpoint, "outbox", "list", *at, "--status", "pending", "-o", "jsonl")
    notice: dict[str, Any] = json.loads(listed.stdout)
    part = notice["execution_id"][-6:]
    of_one = await to_thread(restpoint, "outbox", "list", *at, "--execution", part, "-o", "jsonl")
    assert {json.loads(line)["execution_id"] for line in of_one.stdout.splitlines()} == {notice["execution_id"]}
    of_none = await to_thread(restpoint, "outbox", "list", *at, "--execution", "nothing")
    assert (of_none.returncode, "no such notices" in of_none.stderr) == (3, False)
    assert "410 Gone" in (await to_thread(restpoint, "outbox", "show", notice["id"], *at)).stdout
    assert "410 Gone" in (await to_thread(restpoint, "routes", "list", *at)).stdout
    checked = await to_thread(restpoint, "db", "check", *at, "-o", "json")
    assert "the receiver is gone of all" in checked.stdout
    assert (await to_thread(restpoint, "outbox", "drop", notice["id"], *at, "--reason", "enough")).returncode == 0
    assert (await to_thread(restpoint, "outbox", "retry", notice["id"], *at)).returncode == 0
    assert (await to_thread(restpoint, "outbox", "retry", "nothing", *at)).returncode == 3
    assert (await to_thread(restpoint, "routes", "enable", "all", *at)).returncode == 0
    assert rows(file, "SELECT count(*) FROM routes WHERE disabled_at IS NOT NULL") == [(0,)]


async def test_what_was_given_up_and_is_still_needed_is_retried_at_once_on_the_command_line(
    told: httpx.AsyncClient, file: Path, office: TestChannel, restpoint: Command
) -> None:
    office.always = down("No such mailbox", is_final=True)
    bodies = [await asked(told, "approve", **ADA) for _ in range(3)]
    of_office = "SELECT status FROM outbox WHERE route = 'questions'"
    await until(lambda: rows(file, of_office) == [("given_up",)] * 3)
    cancelled = await told.post(f"/executions/{bodies[0]['execution_id']}/cancel", headers=OP)
    assert cancelled.is_success
    office.always = None
    at = ("--database", str(file))
    nothing = await to_thread(restpoint, "outbox", "retry", "--given-up", "--route", "all", *at)
    assert "0 notices are tried again." in nothing.stderr
    done = await to_thread(restpoint, "outbox", "retry", "--given-up", "--route", "questions", *at)
    assert "2 notices are tried again." in done.stderr
    await until(lambda: sorted(rows(file, of_office)) == [("delivered",), ("delivered",), ("moot",)])
    for wrong in ((), ("--given-up", "some-id"), ("some-id", "--route", "all")):
        assert (await to_thread(restpoint, "outbox", "retry", *wrong, *at)).returncode == 2


def test_a_routes_file_is_checked_on_the_command_line(tmp_path: Path, restpoint: Command) -> None:
    wrong = write_routes(tmp_path, '[[routes]]\nname = "one"\nchannel = "office"')
    refused = restpoint("routes", "check", "--routes", str(wrong))
    assert refused.returncode != 0
    assert "names the channel 'office'" in refused.stderr
    assert restpoint("routes", "check").returncode == 2
    nothing = write_routes(tmp_path, "")
    assert restpoint("routes", "check", "--routes", str(nothing)).returncode == 0


class _As(httpx.AsyncHTTPTransport):
    """A network on which everybody is the same person."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.headers["x-user"] = self._name
        return await super().handle_async_request(request)


async def test_a_server_whose_routes_are_not_those_of_the_file_any_more_needs_attention(file: Path) -> None:
    app = make_app(file, authenticate=whoever)
    async with served(app) as http:
        assert "All is well" in (await http.get("/attention", headers=OP)).text
        app.state.deliverer = SimpleNamespace(is_superseded=True)
        page = (await http.get("/attention", headers=OP)).text
        assert "Another server has other routes" in page
        assert "All is well" not in page
