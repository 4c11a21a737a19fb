"""Who gets what over HTTP: absent and not-yours are one reply, four eyes hold, and without authentication nobody far gets in."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from restpoint import ExecutionStore
from restpoint.access import Actor, Policy
from restpoint.http import bearer_tokens
from restpoint.http.requests import LOCAL_ACTOR
from restpoint.prompts import HumanPromptText
from serving import GATES, PEOPLE, TEXT_ANSWER, asked, ended, events, make_app, served, take, whoever
from support import PATIENCE, YES

ABSENT = "01890000-0000-7000-8000-000000000000"
APPROVAL = {"response": {"type": "binary_choice", "selected_option": YES.model_dump()}}

ROUTES: list[tuple[str, str, Any]] = [
    ("GET", "/executions/{id}", None),
    ("GET", "/executions/{id}?wait=1", None),
    ("GET", "/executions/{id}/history", None),
    ("GET", "/executions/{id}/events", None),
    ("POST", "/executions/{id}/cancel", {}),
    ("DELETE", "/executions/{id}", None),
    ("POST", "/executions/{id}/interactions/{wait}/response", TEXT_ANSWER),
    ("POST", "/executions/{id}/interactions/nothing/response", TEXT_ANSWER),
]


def as_(name: str) -> dict[str, str]:
    return {"x-user": name}


def facts(reply: httpx.Response, execution_id: str) -> tuple[Any, ...]:
    """All of a reply that a client can compare, but for the id it asked for."""
    headers = {name: value for name, value in reply.headers.items() if name != "date"}
    return reply.status_code, headers, reply.content.replace(execution_id.encode(), b"ID")


@pytest.mark.parametrize(("method", "route", "body"), ROUTES, ids=[f"{method} {route}" for method, route, _ in ROUTES])
@pytest.mark.parametrize("state", ["waiting", "ended"])
async def test_what_is_not_yours_is_answered_as_what_is_not_there(
    guarded: httpx.AsyncClient, method: str, route: str, body: Any, state: str
) -> None:
    mine = await asked(guarded, "greet", "Ada", **as_("ada"))
    if state == "ended":
        await guarded.post(mine["response_url"], json=TEXT_ANSWER, headers=as_("ada"))
        await ended(guarded, mine["execution_id"], **as_("ada"))
    told = []
    for execution_id in (mine["execution_id"], ABSENT):
        url = route.format(id=execution_id, wait=mine["interaction_id"])
        told.append(facts(await guarded.request(method, url, json=body, headers=as_("grace")), execution_id))
    assert told[0][0] == 404
    assert told[0] == told[1]
    after = await guarded.get(mine["status_url"], headers=as_("ada"))
    assert after.json()["status"] == ("completed" if state == "ended" else "interaction_required")


async def test_nobody_is_401_and_hears_nothing_of_what_exists(guarded: httpx.AsyncClient) -> None:
    mine = await asked(guarded, "greet", "Ada", **as_("ada"))
    replies = []
    for execution_id in (mine["execution_id"], ABSENT):
        reply = await guarded.get(f"/executions/{execution_id}")
        assert reply.headers["www-authenticate"] == "Bearer"
        replies.append(facts(reply, execution_id))
    assert replies[0] == replies[1]
    assert replies[0][0] == 401
    for path in ("/executions", "/workflows", "/metrics"):
        assert (await guarded.get(path)).status_code == 401
    assert (await guarded.post("/v1/workflows/echo", json=1)).status_code == 401


async def test_assignees_see_and_answer_what_is_addressed_to_them_and_the_owner_does_not(
    guarded: httpx.AsyncClient,
) -> None:
    mine = await asked(guarded, "approve", **as_("ada"))
    url = mine["status_url"]
    for name, sees, may in (("ada", 200, False), ("joan", 200, True), ("eye", 200, False), ("grace", 404, None)):
        seen = await guarded.get(url, headers=as_(name))
        assert seen.status_code == sees, name
        if sees == 200:
            assert seen.json()["interactions"][0]["may_answer"] is may
    own = await guarded.post(mine["response_url"], json=APPROVAL, headers=as_("ada"))
    assert (own.status_code, own.json()["code"]) == (403, "four_eyes")
    reader = await guarded.post(mine["response_url"], json=APPROVAL, headers=as_("eye"))
    assert (reader.status_code, reader.json()["code"]) == (403, "not_allowed")
    listed = [await guarded.get("/executions", headers=as_(name)) for name in ("ada", "joan", "op", "grace")]
    assert [len(reply.json()["items"]) for reply in listed] == [1, 1, 1, 0]
    for path, method in (("history", "GET"), ("events", "GET"), ("cancel", "POST")):
        reply = await guarded.request(method, f"{url}/{path}", headers=as_("joan"))
        assert (reply.status_code, reply.json()["code"]) == (403, "not_allowed")
    assert (await guarded.post(mine["response_url"], json=APPROVAL, headers=as_("joan"))).status_code == 204
    assert (await guarded.post(mine["response_url"], json=APPROVAL, headers=as_("joan"))).status_code == 204
    assert (await ended(guarded, mine["execution_id"], **as_("ada")))["result"] is True
    history = (await guarded.get(f"{url}/history", headers=as_("eye"))).json()["items"]
    assert [row["actor"] for row in history if row["event"] == "interaction_answered"] == ["joan"]


async def test_readers_see_everything_and_change_nothing(guarded: httpx.AsyncClient) -> None:
    mine = await asked(guarded, "greet", "Ada", **as_("ada"))
    url = mine["status_url"]
    assert (await guarded.get(f"{url}/history", headers=as_("eye"))).status_code == 200
    for method, path in (("POST", f"{url}/cancel"), ("DELETE", url)):
        assert (await guarded.request(method, path, headers=as_("eye"))).status_code == 403
    assert (await guarded.post(mine["response_url"], json=TEXT_ANSWER, headers=as_("eye"))).status_code == 403
    assert (await guarded.get(url, headers=as_("ada"))).json()["status"] == "interaction_required"


async def test_an_assignee_whose_prompt_is_answered_follows_no_more(file: Path) -> None:
    class Shared(Policy):
        def may_read_history(self, actor: Any, execution: Any) -> bool:
            return self.may_see(actor, execution)

    async with served(make_app(file, authenticate=whoever, policy=Shared())) as client:
        mine = await asked(client, "approve", **as_("ada"))
        async with client.stream("GET", f"{mine['status_url']}/events", headers=as_("joan")) as reply:
            stream = events(reply)
            assert [each.name for each in await take(stream, "interaction_asked")][-1] == "interaction_asked"
            assert (await client.post(mine["response_url"], json=APPROVAL, headers=as_("joan"))).status_code == 204
            told = [each async for each in stream]
    assert [(each.name, each.data["code"]) for each in told] == [("error", "execution_not_found")]


@pytest.mark.parametrize("route", ["/executions/{}/events", "/v1/workflows/progress/stream"])
@pytest.mark.parametrize(
    ("now", "code"),
    [
        (Actor("eye, without the role", roles=frozenset()), "execution_not_found"),
        (None, "not_authenticated"),
        (HTTPException(403, "The account is closed."), "refused"),
    ],
    ids=["lost the role", "is known no more", "is refused by the application"],
)
async def test_who_may_not_see_it_any_more_follows_no_more(
    file: Path, route: str, now: Actor | HTTPException | None, code: str
) -> None:
    people: dict[str, Actor | HTTPException | None] = dict(PEOPLE)

    async def whoever_still(request: Request) -> Actor | None:
        found = people.get(request.headers["x-user"])
        if isinstance(found, HTTPException):
            raise found
        return found

    async with served(make_app(file, authenticate=whoever_still)) as client:
        url = route.format((await asked(client, "progress", **as_("ada")))["execution_id"])
        method = "GET" if "events" in url else "POST"
        async with client.stream(method, url, headers=as_("eye")) as reply, asyncio.timeout(PATIENCE):
            stream = events(reply)
            shown = await take(stream, "interaction_asked" if method == "GET" else "interaction_required")
            people["eye"] = now
            for each in (await client.get("/executions", headers=as_("op"))).json()["items"]:
                waiting = (await client.get(f"/executions/{each['execution_id']}", headers=as_("op"))).json()
                await client.post(waiting["response_url"], json=TEXT_ANSWER, headers=as_("op"))
            told = [each async for each in stream]
    assert shown
    assert [(each.name, each.data["code"]) for each in told] == [("error", code)]


async def test_an_application_may_replace_the_policy(file: Path) -> None:
    class Closed(Policy):
        def may_start(self, _actor: Any, workflow: str) -> bool:
            return workflow == "echo"

    async with served(make_app(file, authenticate=whoever, policy=Closed()), **as_("ada")) as client:
        assert (await client.post("/v1/workflows/echo", json=1)).status_code == 200
        assert (await client.post("/v1/workflows/greet")).status_code == 403
        assert [each["name"] for each in (await client.get("/workflows")).json()["items"]] == ["echo"]
        for path in ("/v1/workflows/nothing", "/v1/workflow"):
            assert (await client.post(path)).json()["detail"].endswith("The workflows here are: echo.")


async def test_bearer_tokens_of_a_file_say_who_it_is(file: Path, tmp_path: Path) -> None:
    ada = bearer_tokens.add(tmp_path / "tokens.json", "ada")
    async with served(make_app(file, tokens_file=tmp_path / "tokens.json")) as client:
        for header in ({}, {"authorization": "Bearer no"}, {"authorization": f"Basic {ada}"}, {"authorization": ada}):
            assert (await client.post("/v1/workflows/echo", json=1, headers=header)).status_code == 401
        mine = await client.post("/v1/workflows/greet", headers={"authorization": f"Bearer {ada}"})
        assert mine.json()["owner"] == "ada"
        assert (
            await client.get(mine.json()["status_url"], headers={"authorization": f"bearer {ada}"})
        ).status_code == 200


# --- Without authentication ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil", "[::2]", "["]
)
async def test_a_name_that_leads_here_is_not_this_machine(client: httpx.AsyncClient, host: str) -> None:
    reply = await client.get("/executions", headers={"host": host})
    assert (reply.status_code, reply.json()["code"]) == (403, "loopback_only")


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "127.0.0.1:99", "127.9.9.9", "[::1]:8"])
async def test_this_machine_is_let_in_as_the_operator_under_each_of_its_names(
    client: httpx.AsyncClient, host: str
) -> None:
    assert (await client.get("/executions", headers={"host": host})).status_code == 200


async def test_what_a_proxy_hands_on_is_not_from_this_machine(client: httpx.AsyncClient) -> None:
    for header in (
        "x-forwarded-for", "forwarded", "x-real-ip", "x-forwarded-host", "x-forwarded-proto", "via", "X-Forwarded-Port",
        "x-forwarded-prefix", "x-forwarded-anything", "cf-connecting-ip", "CF-RAY", "true-client-ip", "x-client-ip",
        "fastly-client-ip", "x-original-forwarded-for", "x-envoy-external-address",
    ):  # fmt: skip
        reply = await client.get("/executions", headers={header: "for=10.0.0.1"})
        assert reply.status_code == 403, header


async def test_what_is_told_of_executions_is_kept_by_no_cache(client: httpx.AsyncClient) -> None:
    started = await client.post("/v1/workflows/echo", json=1)
    place = started.headers["location"]
    for path in ("/executions", place, f"{place}/history", f"{place}/events", "/executions/nobody", "/audit/head"):
        async with client.stream("GET", path) as reply:
            assert reply.headers["cache-control"] == "no-store", path


async def test_a_client_of_another_machine_is_told_what_the_operator_has_to_do(file: Path) -> None:
    app = make_app(file)
    transport = httpx.ASGITransport(app, client=("192.0.2.7", 1234))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as far,
    ):
        reply = await far.get("/executions")
        assert reply.status_code == 403
        assert "RESTPOINT_TOKENS_FILE" in reply.json()["detail"]
        assert (await far.get("/healthz")).status_code == 200
    assert LOCAL_ACTOR.id == "local"


# --- Browsers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://[evil"}, 403),
        ({"sec-fetch-site": "cross-site", "origin": "https://inbox.example"}, 200),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({}, 200),
        ({"sec-fetch-site": "cross-site", "authorization": "Bearer x"}, 200),
        # A browser adds a name and a password that it was once given, whoever's page asks.
        ({"sec-fetch-site": "cross-site", "authorization": "Basic eDp5"}, 403),
    ],
)
async def test_what_another_site_makes_a_browser_send_changes_nothing(
    file: Path, headers: dict[str, str], status: int
) -> None:
    async with served(make_app(file, trusted_origins=["https://inbox.example"])) as client:
        reply = await client.post("/v1/workflows/echo", content="1", headers={"content-type": "text/plain", **headers})
        assert reply.status_code == status
        assert len((await client.get("/executions", headers=headers)).json()["items"]) == (status == 200)


async def test_executions_without_an_owner_are_an_operators(file: Path) -> None:
    async with ExecutionStore(database=file) as store:
        one = await store.create_execution()
        await store.set_oauth_required(one.execution_id, "https://id.example/?state=x", "x")
    async with served(make_app(file, authenticate=whoever)) as client:
        seen = {
            name: (await client.get(f"/executions/{one.execution_id}", headers=as_(name)))
            for name in ("op", "eye", "ada")
        }
    assert (seen["op"].json()["oauth_state"], seen["eye"].json()["oauth_state"]) == ("x", "")
    assert seen["ada"].status_code == 404
    assert json.dumps(sorted(PEOPLE)) == '["ada", "eye", "grace", "joan", "op"]'


# --- Rights that end while a request is under way ---------------------------------------------------------------------


class Door:
    """An ``authenticate`` that lets in whom it knows still, and tells when it was asked."""

    def __init__(self) -> None:
        self.people = dict(PEOPLE)
        self.asked = asyncio.Event()

    def __call__(self, request: Request) -> Actor | None:
        self.asked.set()
        return self.people.get(request.headers.get("x-user", ""))


class Gate(asyncio.Event):
    """An event that tells when somebody waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = asyncio.Event()

    async def wait(self) -> Any:
        self.reached.set()
        return await super().wait()


async def test_a_long_poll_of_a_token_that_was_revoked_says_nothing_new(file: Path) -> None:
    door = Door()
    async with served(make_app(file, authenticate=door)) as client:
        paused = await asked(client, "greet", **as_("ada"))
        door.asked.clear()
        poll = asyncio.create_task(client.get(f"{paused['status_url']}?wait=60", headers=as_("eye")))
        async with asyncio.timeout(PATIENCE):
            await door.asked.wait()
        del door.people["eye"]
        await client.post(paused["response_url"], json=TEXT_ANSWER, headers=as_("ada"))
        reply = await poll
    assert (reply.status_code, reply.json()["code"]) == (401, "not_authenticated")


async def test_a_start_that_waits_for_its_result_asks_again_who_sent_it(file: Path) -> None:
    door = Door()
    async with served(make_app(file, authenticate=door)) as client:
        gate = GATES["gate"] = Gate()
        start = asyncio.create_task(client.post("/v1/workflows/gated?wait=60", json="gate", headers=as_("ada")))
        async with asyncio.timeout(PATIENCE):
            await gate.reached.wait()
        del door.people["ada"]
        gate.set()
        reply = await start
    assert (reply.status_code, reply.json()["code"]) == (401, "not_authenticated")


async def test_an_export_ends_when_its_auditor_is_none_any_more(file: Path) -> None:
    door, app = Door(), None
    app = make_app(file, authenticate=door)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)
        if message.get("body"):
            door.people.pop("eye", None)

    async with app.router.lifespan_context(app):
        store = app.state.store
        for _ in range(4):
            await asked_here(store, "a" * 600_000)
        headers = [(b"x-user", b"eye"), (b"host", b"localhost")]
        scope = {
            "type": "http", "method": "GET", "path": "/audit/query", "raw_path": b"/audit/query", "root_path": "",
            "query_string": b"", "headers": headers, "client": ("127.0.0.1", 1), "server": ("localhost", 80),
            "scheme": "http", "http_version": "1.1",
        }  # fmt: skip
        await app(scope, receive_nothing, send)
    assert sent[0]["status"] == 200
    assert [bool(each.get("body")) for each in sent[1:]] == [True]
    assert sent[-1]["more_body"]


async def asked_here(store: ExecutionStore, text: str) -> None:
    record = await store.create_execution()
    await store.set_interaction_required(record.execution_id, HumanPromptText(text=text))


async def receive_nothing() -> Any:
    await asyncio.Event().wait()
