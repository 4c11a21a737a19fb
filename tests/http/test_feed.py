"""``GET /events``: everything that happens, to each as far as they may see it, from any row of the history on."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from restpoint import Context, ExecutionStore, Runner, workflow
from restpoint._storage import feed as stored_feed
from restpoint._storage import history as stored_history
from restpoint.access import Actor, Policy, Subject
from restpoint.client import Client
from restpoint.client.sse import StreamEvent, read_events
from restpoint.errors import InvalidArgument
from restpoint.events import EventKind
from restpoint.http.app import create_app
from restpoint.service import Gap, Position, Service
from serving import PEOPLE, served, whoever
from support import ADA, PATIENCE, TEXT, ManualClock, rows, sql

OP, EYE, JOAN, GRACE = (PEOPLE[name] for name in ("op", "eye", "joan", "grace"))
ADA_ = PEOPLE["ada"]
MARKS = set[str | None]()
"""Executions that only show a reader that the feed has come so far."""


async def asked(
    store: ExecutionStore, owner: str | None = "ada", workflow: str | None = None, **terms: Any
) -> tuple[str, str]:
    record = await store.create_execution(owner=owner, workflow=workflow)
    pending = await store.set_interaction_required(record.execution_id, TEXT, **terms)
    return record.execution_id, pending.interaction_id


async def fed(service: Service, actor: Actor, after: int | None = 0, **filters: Any) -> list[Any]:
    """What the feed gives of what is in the file now. A last event that everyone sees ends it."""
    last = await service.store.create_execution(owner=actor.id, workflow=filters.get("workflow"))
    MARKS.add(last.execution_id)
    found: list[Any] = []
    async with asyncio.timeout(PATIENCE), aclosing(service.feed(actor, after=after, **filters)) as feed:
        async for each in feed:
            if isinstance(each, Position | Gap):
                found.append(each)
            elif each.execution_id == last.execution_id:
                return found
            elif each.execution_id not in MARKS:
                found.append(each)
    raise AssertionError("the feed has no end")


def told(found: Iterable[Any]) -> list[str]:
    return [each.event for each in found if not isinstance(each, Position | Gap)]


# --- Who sees what ---------------------------------------------------------------------------------------------------


async def test_each_gets_the_events_of_what_they_may_see(store: ExecutionStore) -> None:
    service = Service(store)
    own = await asked(store, "ada", assignees=["group:finance"], four_eyes=True)
    await store.claim_interaction(*own, actor="joan")
    other = await asked(store, "grace")
    nobodys = await asked(store, None)
    seen = {name: await fed(service, who) for name, who in PEOPLE.items()}
    whose = {
        name: {each.execution_id for each in found if not isinstance(each, Position)} & {own[0], other[0], nobodys[0]}
        for name, found in seen.items()
    }
    everything = {own[0], other[0], nobodys[0]}
    assert whose == {
        "ada": {own[0]}, "grace": {other[0]}, "joan": {own[0]}, "op": everything, "eye": everything,
    }  # fmt: skip
    assert told(seen["ada"]) == ["execution_created", "interaction_asked", "interaction_claimed"]
    assert told(seen["joan"]) == ["interaction_asked", "interaction_claimed"], "of the prompt, and not of the execution"
    await store.resolve_interaction(*own, ADA, actor="joan")
    told_to_joan = [each for each in await fed(service, JOAN) if not isinstance(each, Position)]
    assert [each.event for each in told_to_joan][-1] == "interaction_answered", "because she answered it"
    assert (told_to_joan[0].detail["prompt"]["text"], told_to_joan[-1].detail) == (TEXT.text, None)
    answered = [each for each in await fed(service, ADA_) if not isinstance(each, Position)][-1]
    assert answered.detail["response"]["text"] == "Ada"


async def test_an_assignee_does_not_hear_of_the_other_prompts_of_an_execution(store: ExecutionStore) -> None:
    service = Service(store)
    record = await store.create_execution(owner="ada")
    for assignees in (["joan"], ["zoe"], None):
        await store.set_interaction_required(record.execution_id, TEXT, assignees=assignees)
    found = [each for each in await fed(service, JOAN) if not isinstance(each, Position)]
    assert [each.detail["assignees"] for each in found] == [["joan"]]


class Changing(Policy):
    """Hides everything from Grace until it is said otherwise."""

    hides = True

    def may_see(self, actor: Actor, execution: Subject) -> bool:
        return not (self.hides and actor.id == "grace") and super().may_see(actor, execution)


async def test_what_becomes_visible_later_is_not_given_again(
    store: ExecutionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "restpoint.service.feed._TOLD_AFTER", 1
    )  # so that the feed tells when it has passed the hidden event
    policy = Changing()
    service = Service(store, policy=policy)
    hidden = await store.create_execution(owner="grace")
    async with asyncio.timeout(PATIENCE), aclosing(service.feed(GRACE, after=0)) as feed:
        assert [await anext(feed), await anext(feed)] == [Position(0), Position(1)]
        policy.hides = False
        seen = await store.create_execution(owner="grace")
        given = await anext(feed)
        assert not isinstance(given, Position | Gap)
        assert given.execution_id == seen.execution_id
    again = [each.execution_id for each in await fed(service, GRACE) if not isinstance(each, Position)]
    assert again == [hidden.execution_id, seen.execution_id], "whoever reads from the beginning gets all of it"


async def test_credentials_are_asked_for_again_while_the_feed_is_read(store: ExecutionStore) -> None:
    service, now = Service(store), {"actor": OP}

    async def reauthenticate() -> Actor:
        return now["actor"]

    await asked(store, "ada")
    async with asyncio.timeout(PATIENCE), aclosing(service.feed(OP, after=0, reauthenticate=reauthenticate)) as feed:
        found = [await anext(feed) for _ in range(3)]
        assert told(found) == ["execution_created", "interaction_asked"]
        now["actor"] = GRACE
        await asked(store, "ada")
        last = await store.create_execution(owner="grace")
        async for each in feed:
            if not isinstance(each, Position | Gap):
                assert each.execution_id == last.execution_id
                break


async def test_the_feed_can_be_filtered_by_workflow_and_by_events(store: ExecutionStore) -> None:
    service = Service(store)
    refund, _ = await asked(store, "ada", "refund")
    await asked(store, "ada", "other")
    await store.cancel(refund)
    gone = await store.create_execution(owner="ada", workflow="refund")
    await store.set_completed(gone.execution_id, None)
    await store.remove(gone.execution_id)
    assert told(await fed(service, OP, workflow="refund")) == [
        "execution_created", "interaction_asked", "execution_cancelled", "interaction_withdrawn",
        "execution_created", "execution_completed", "execution_removed",
    ]  # fmt: skip
    only = [EventKind.INTERACTION_ASKED, EventKind.EXECUTION_CREATED]
    assert told(await fed(service, ADA_, workflow="refund", events=only)) == ["execution_created", "interaction_asked"]
    assert told(await fed(service, ADA_, workflow="none")) == []


async def test_what_was_emitted_is_in_the_feed_whatever_its_size(path: Path) -> None:
    @workflow
    async def emits(ctx: Context) -> None:
        for number in range(5):
            await ctx.emit({"number": number, "text": "x" * 400_000})

    async with ExecutionStore(database=path) as store, Runner(store, [emits]) as runner:
        handle = await runner.start("emits", owner="ada")
        while handle.record.status != "completed":
            await handle.record.changed()
        found = [each for each in await fed(Service(store), ADA_) if not isinstance(each, Position)]
    assert [each.detail["data"]["number"] for each in found if each.kind is EventKind.EMITTED] == [0, 1, 2, 3, 4]
    assert [each.sequence for each in found] == sorted(each.sequence for each in found)


async def test_for_a_slow_reader_no_more_is_read_than_a_mebibyte_and_one_event(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @workflow
    async def emits(ctx: Context) -> None:
        for number in range(12):
            await ctx.emit({"number": number, "text": "x" * 400_000})

    sizes: list[int] = []
    events_at = stored_history.events_at

    async def counted(*arguments: Any) -> Any:
        entries = await events_at(*arguments)
        sizes.append(sum(each.kind is EventKind.EMITTED for each in entries))
        return entries

    monkeypatch.setattr(stored_history, "events_at", counted)
    async with ExecutionStore(database=path) as store, Runner(store, [emits]) as runner:
        record = (await runner.start("emits", owner="ada")).record
        while record.status != "completed":
            await record.changed()
        async with aclosing(Service(store).feed(ADA_, after=0)) as feed:
            taken = [await anext(feed) for _ in range(3)]  # a position, the beginning, and what was emitted first
            assert [each.event for each in taken[1:] if not isinstance(each, Position | Gap)][-1] == "emitted"
            assert sizes == [3], "the next ones are read when these have been taken"
            for _ in range(3):
                await anext(feed)
            assert sizes == [3, 3]


# --- Far behind ------------------------------------------------------------------------------------------------------


async def grown(store: ExecutionStore, count: int, owner: str) -> None:
    for start in range(0, count, 500):
        some = range(start, min(start + 500, count))
        await asyncio.gather(*(store.create_execution(owner=owner) for _ in some))


@pytest.mark.parametrize("few", [True, False], ids=["by index", "through all of it"])
async def test_whoever_is_far_behind_gets_the_same_by_index_as_by_going_through_all(
    store: ExecutionStore, monkeypatch: pytest.MonkeyPatch, few: bool
) -> None:
    monkeypatch.setattr(stored_feed, "WINDOW", 50)
    monkeypatch.setattr(stored_feed, "MOST_BY_INDEX", 100 if few else 1)
    service = Service(store)
    wanted = []
    for number in range(6):
        await grown(store, 70, "mallory")
        ids = await asked(store, "ada", f"flow {number % 2}", assignees=["joan"])
        wanted.append(ids)
        await grown(store, 70, "mallory")
        if number % 3 == 0:
            await store.resolve_interaction(*ids, ADA, actor="joan")
    for actor in (ADA_, JOAN):
        found = [each for each in await fed(service, actor) if not isinstance(each, Position)]
        assert [each.sequence for each in found] == sorted({each.sequence for each in found})
        asking = [each.execution_id for each in found if each.kind is EventKind.INTERACTION_ASKED]
        assert asking == [execution_id for execution_id, _ in wanted]
        assert [each.kind for each in found].count(EventKind.INTERACTION_ANSWERED) == 2
        middle = found[len(found) // 2].sequence
        rest = [each for each in await fed(service, actor, middle) if not isinstance(each, Position)]
        assert [each.sequence for each in rest] == [each.sequence for each in found if each.sequence > middle]
    assert len(told(await fed(service, ADA_, workflow="flow 1"))) == 3 * 2 + 1


def test_the_rows_of_few_executions_are_found_without_going_through_the_history(fresh: Path) -> None:
    for wanted in (stored_feed.Wanted("ada", ["ada"]), stored_feed.Wanted("ada", ["ada"], "flow", [EventKind.EMITTED])):
        given = {**wanted.parameters, "after": 0, "max": 500, "ids": '["one", "two"]'}
        with sql(fresh) as connection:
            query = f"EXPLAIN QUERY PLAN {stored_feed._by_index(wanted)}"
            plan = [detail for *_, detail in connection.execute(query, given)]
        assert "SEARCH history USING INDEX history_of_execution (execution_id=? AND rowid>?)" in plan


async def test_a_reader_of_nothing_is_told_how_far_the_feed_has_come(
    store: ExecutionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("restpoint.service.feed._TOLD_AFTER", 100)
    monkeypatch.setattr(stored_feed, "WINDOW", 50)
    monkeypatch.setattr(stored_feed, "MOST_BY_INDEX", -1)
    await grown(store, 450, "mallory")
    found = await fed(Service(store), GRACE)
    assert isinstance(found[-1], Position)
    assert found[-1].sequence >= 350


# --- What is missing -------------------------------------------------------------------------------------------------


async def test_whoever_comes_back_after_a_sweep_is_told_of_the_gap(path: Path) -> None:
    clock = ManualClock()
    async with ExecutionStore(60, database=path, clock=clock, sweep_interval_seconds=1e6) as store:
        service = Service(store)
        early = await store.create_execution(owner="ada")
        await store.set_completed(early.execution_id, "early")
        had = (await store.touched(None))[0]
        late = await store.create_execution(owner="ada")
        await store.set_completed(late.execution_id, "late")
        clock.step(61)
        assert await store.cleanup_expired() == 2
        (gap,) = [each for each in await fed(service, ADA_, had) if isinstance(each, Gap)]
        assert (gap.code, gap.sequence) == ("executions_swept", had)
        assert f"after row {had}" in gap.reason
        had_all = (await store.touched(None))[0]
        for actor, after in ((GRACE, had), (ADA_, had_all), (OP, had), (OP, 0)):
            assert not [each for each in await fed(service, actor, after) if isinstance(each, Gap)]
        everything = await fed(service, OP)
        assert told(everything)[:4] == ["execution_created", "execution_completed"] * 2


async def test_whoever_comes_back_after_the_history_was_pruned_is_told_of_the_gap(path: Path) -> None:
    clock = ManualClock()
    async with ExecutionStore(
        1, database=path, clock=clock, sweep_interval_seconds=1e6, history_retention_seconds=60
    ) as store:
        service = Service(store)
        for _ in range(5):
            await store.set_completed((await store.create_execution(owner="ada")).execution_id, None)
        clock.step(5)
        await store.cleanup_expired()
        clock.step(61)
        await store.create_execution(owner="ada")
        await store.cleanup_expired()
        ((anchor,),) = rows(path, "SELECT sequence FROM history_anchor")
        assert anchor > 0
        for actor in (ADA_, OP):
            found = await fed(service, actor, anchor - 3)
            assert (found[0].code, found[0].sequence) == ("history_pruned", anchor)
            assert f"the rows {anchor - 2} to {anchor} " in found[0].reason
            assert not [each for each in await fed(service, actor, anchor) if isinstance(each, Gap)]
        async with aclosing(service.feed(ADA_, after=10**9)) as feed:
            gap = await anext(feed)
            assert isinstance(gap, Gap)
            assert (gap.code, await anext(feed)) == ("history_shorter", Position(gap.sequence))


# --- Over HTTP -------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def streamed(
    http: httpx.AsyncClient, who: str, query: str = "", last: int | None = None
) -> AsyncIterator[AsyncIterator[StreamEvent]]:
    headers = {"x-user": who} | ({} if last is None else {"last-event-id": str(last)})
    async with asyncio.timeout(PATIENCE), http.stream("GET", f"/events{query}", headers=headers) as reply:
        assert reply.status_code == 200
        assert reply.headers["content-type"].startswith("text/event-stream")
        yield read_events(reply.aiter_bytes())


async def test_the_stream_begins_now_and_goes_on_from_the_last_id(path: Path) -> None:
    async with (
        ExecutionStore(database=path) as store,
        served(create_app([], database=path, authenticate=whoever)) as http,
    ):
        await asked(store, "ada")
        async with streamed(http, "ada") as events:
            first = await anext(events)
            assert (first.event, first.data) == ("", ""), "an id to go on from, and no event"
            await asked(store, "grace")
            execution_id, _ = await asked(store, "ada")
            created, asking = await anext(events), await anext(events)
            assert (created.event, asking.event) == ("execution_created", "interaction_asked")
            assert json.loads(asking.data)["execution_id"] == execution_id
            assert json.loads(asking.data)["sequence"] == int(asking.id)
        async with streamed(http, "ada", last=int(created.id)) as events:
            assert [(await anext(events)).event for _ in range(2)] == ["", "interaction_asked"]
        async with streamed(http, "ada", "?after=0") as events:
            assert [(await anext(events)).event for _ in range(3)] == ["", "execution_created", "interaction_asked"]
        async with streamed(http, "ada", "?after=0&follow=false") as events:
            found = [each async for each in events]
            names = ["execution_created", "interaction_asked"] * 2
            assert [each.event for each in found if each.event] == [*names, "end"]
            assert found[-1].id == str((await store.touched(None))[0])
        async with streamed(http, "op", "?after=0&event=interaction_asked&event=execution_failed") as events:
            assert [(await anext(events)).event for _ in range(4)] == ["", *["interaction_asked"] * 3]


@pytest.mark.parametrize(
    ("query", "who", "status", "code"),
    [
        ("", "nobody", 401, "not_authenticated"),
        ("?event=no_such_event", "ada", 422, "invalid_argument"),
        ("?after=x", "ada", 422, "invalid_argument"),
        ("?until=3", "ada", 400, "unknown_parameter"),
    ],
)
async def test_a_stream_that_cannot_be_given_is_refused_with_a_status(
    path: Path, query: str, who: str, status: int, code: str
) -> None:
    async with served(create_app([], database=path, authenticate=whoever)) as http:
        reply = await http.get(f"/events{query}", headers={"x-user": who})
        assert (reply.status_code, reply.json()["code"]) == (status, code)


async def test_a_shutdown_ends_the_stream_and_says_so(path: Path) -> None:
    app = create_app([], database=path, authenticate=whoever)
    async with served(app) as http, streamed(http, "ada") as events:
        assert (await anext(events)).event == ""
        app.state.shutdown()
        assert (await anext(events)).event == "shutdown"


class _Pieces(httpx.AsyncByteStream):
    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces


class Breaking(httpx.AsyncHTTPTransport):
    """Cuts each stream off after a few events, for Ada."""

    def __init__(self) -> None:
        super().__init__()
        self.connections = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.headers["x-user"] = "ada"
        reply = await super().handle_async_request(request)
        self.connections += 1

        async def some() -> AsyncIterator[bytes]:
            count = 0
            assert isinstance(reply.stream, httpx.AsyncByteStream)
            async for piece in reply.stream:
                yield piece
                count += piece.count(b"data: ")
                if count >= 3:
                    raise httpx.ReadError("cut off")

        return httpx.Response(reply.status_code, headers=reply.headers, stream=_Pieces(some()))


async def test_a_client_follows_everything_over_connections_that_break(path: Path) -> None:
    app, transport = create_app([], database=path, authenticate=whoever), Breaking()
    async with ExecutionStore(database=path) as store, served(app) as http:
        client = Client(str(http.base_url), transport=transport)
        async with client:
            wanted = [(await asked(store, "ada"))[0] for _ in range(6)]
            found = []
            async with asyncio.timeout(PATIENCE):
                async for each in client.events(after=0):
                    found.append(each)
                    if len(found) == 12:
                        break
            assert [each.sequence for each in found] == sorted({each.sequence for each in found})
            assert [each.data["execution_id"] for each in found[::2]] == wanted
            assert transport.connections > 1
            assert [each async for each in client.events(after=0, follow=False)] == found
            with pytest.raises(InvalidArgument):
                client.events("some", workflow="x")
