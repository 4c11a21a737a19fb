"""The defects of the original that show over HTTP (numbers of the list they come from), each as what happens now."""

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving import GATES, TEXT_ANSWER, asked, ended, events, make_app, served
from support import PATIENCE, eventually, rows


async def test_3_a_cancelled_execution_ends_and_so_does_whoever_waits_for_it(
    client: httpx.AsyncClient, endless: Counter[float]
) -> None:
    key = {"idempotency-key": "one"}
    started = await client.post("/v1/workflows/gated", json="never", params={"wait": 0}, headers=key)
    execution_id = started.json()["execution_id"]
    waiting = [
        asyncio.create_task(client.post("/v1/workflows/gated", json="never", params={"wait": 20}, headers=key)),
        asyncio.create_task(client.get(f"/executions/{execution_id}", params={"wait": 20})),
    ]
    await eventually(lambda: endless[20] >= 2)
    for _ in range(2):
        reply = await client.post(f"/executions/{execution_id}/cancel", json={"reason": "changed my mind"})
        assert (reply.status_code, reply.json()["status"]) == (200, "cancelled")
    async with asyncio.timeout(PATIENCE):
        start, poll = await asyncio.gather(*waiting)
    assert (start.status_code, start.json()["code"]) == (409, "execution_cancelled")
    assert (poll.status_code, poll.json()["status"]) == (200, "cancelled")
    history = (await client.get(f"/executions/{execution_id}/history")).json()["items"]
    assert [row["to_status"] for row in history if row["to_status"]][-1] == "cancelled"


async def test_3_a_cancelled_prompt_takes_no_answer(client: httpx.AsyncClient) -> None:
    body = await asked(client, "greet")
    await client.post(f"/executions/{body['execution_id']}/cancel")
    reply = await client.post(body["response_url"], json=TEXT_ANSWER)
    assert (reply.status_code, reply.json()["code"]) == (410, "interaction_withdrawn")


@pytest.mark.parametrize(
    "response",
    [
        {"type": "text", "text": "mail"},
        {"type": "checkbox", "selected_option": {}},
        {"type": "checkbox", "selected_options": []},
        {"type": "checkbox", "selected_option": {"id": "fax", "label": "Fax", "value": "fax", "description": "x"}},
        {"type": "checkbox", "selected_options": [{"id": "mail", "value": "mail"}, {"id": "mail", "value": "mail"}]},
        {"type": "radio", "selected_option": {"id": "mail", "value": "mail"}},
        {"selected_option": {"id": "mail", "value": "mail"}},
        {},
    ],
)
async def test_8_what_does_not_answer_the_prompt_is_refused_and_the_prompt_stays_open(
    client: httpx.AsyncClient, response: dict[str, Any]
) -> None:
    body = await asked(client, "choose")
    reply = await client.post(body["response_url"], json={"response": response})
    assert (reply.status_code, reply.json()["code"]) == (422, "response_not_accepted")
    assert reply.headers["content-type"] == "application/problem+json"
    after = (await client.get(body["status_url"])).json()
    assert after["interaction_id"] == body["interaction_id"]


async def test_8_blank_text_is_no_answer_to_a_prompt_that_requires_text(client: httpx.AsyncClient) -> None:
    body = await asked(client, "greet")
    reply = await client.post(body["response_url"], json={"response": {"type": "text", "text": " \n"}})
    assert reply.status_code == 422
    assert "blank" in reply.json()["detail"]


async def test_8_twenty_megabytes_of_text_are_refused(client: httpx.AsyncClient) -> None:
    body = await asked(client, "greet")
    reply = await client.post(body["response_url"], json={"response": {"type": "text", "text": "x" * 20_000_000}})
    assert (reply.status_code, reply.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("kind", ["type", "input_type"])
@pytest.mark.parametrize("many", [False, True])
async def test_9_either_word_for_the_kind_and_either_form_of_a_checkbox_is_taken(
    client: httpx.AsyncClient, kind: str, many: bool
) -> None:
    body = await asked(client, "choose")
    options = body["prompt"]["options"]
    chosen = {"selected_options": options} if many else {"selected_option": options[0]}
    reply = await client.post(body["response_url"], json={"response": {kind: "checkbox", **chosen}})
    assert reply.status_code == 204
    result = (await ended(client, body["execution_id"]))["result"]
    assert result == (["mail", "call"] if many else ["mail"])


@pytest.mark.parametrize("chosen", ["call", "Call", {"id": "call"}, {"value": "call"}])
async def test_9_the_id_the_value_or_the_label_of_an_option_is_enough(
    client: httpx.AsyncClient, chosen: str | dict[str, str]
) -> None:
    body = await asked(client, "choose")
    response = {"type": "checkbox", "selected_options": [chosen], "comment": "In the morning, please."}
    reply = await client.post(body["response_url"], json={"response": response})
    assert reply.status_code == 204, reply.text
    assert (await ended(client, body["execution_id"]))["result"] == ["call"]
    history = (await client.get(f"/executions/{body['execution_id']}/history")).json()["items"]
    (kept,) = [row["detail"]["response"] for row in history if row["event"] == "interaction_answered"]
    assert kept["selected_options"] == [option for option in body["prompt"]["options"] if option["id"] == "call"]
    assert kept["comment"] == "In the morning, please."


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"response": {"type": "text", "text": "ok", "remark": "x"}}, "remark"),
        ({"response": {"type": "text", "text": "ok", "comment": 7}}, "comment"),
        ({"response": {"type": "text", "text": "ok"}, "comment": "x"}, "comment"),
    ],
)
async def test_9_a_field_that_there_is_not_is_refused_by_name(
    client: httpx.AsyncClient, body: dict[str, Any], field: str
) -> None:
    waiting = await asked(client, "greet")
    reply = await client.post(waiting["response_url"], json=body)
    assert 400 <= reply.status_code < 500
    assert field in reply.json()["detail"]
    after = (await client.get(waiting["status_url"])).json()
    assert after["interaction_id"] == waiting["interaction_id"]


async def test_10_the_same_answer_again_is_a_success_and_another_one_is_told_who_was_first(
    guarded: httpx.AsyncClient,
) -> None:
    body = await asked(guarded, "greet", "Ada", **{"x-user": "ada"})
    for _ in range(3):
        reply = await guarded.post(body["response_url"], json=TEXT_ANSWER, headers={"x-user": "ada"})
        assert (reply.status_code, reply.content) == (204, b"")
    await ended(guarded, body["execution_id"], **{"x-user": "ada"})
    assert (await guarded.post(body["response_url"], json=TEXT_ANSWER, headers={"x-user": "ada"})).status_code == 204
    other = {"response": {"type": "text", "text": "Lovelace"}}
    reply = await guarded.post(body["response_url"], json=other, headers={"x-user": "op"})
    problem = reply.json()
    assert (reply.status_code, problem["code"], problem["answered_by"]) == (409, "already_resolved", "ada")
    assert problem["answered_at"] >= body["created_at"]


async def test_11_a_poll_after_the_204_never_shows_the_answered_prompt(client: httpx.AsyncClient) -> None:
    body = await asked(client, "both")
    first = body["interactions"][0]["interaction_id"]
    assert (await client.post(body["response_url"], json=TEXT_ANSWER)).status_code == 204
    for _ in range(20):
        after = (await client.get(body["status_url"])).json()
        assert first not in {each["interaction_id"] for each in after["interactions"]}
        assert after["interaction_id"] != first


async def test_12_an_answer_that_was_accepted_is_the_answer_whatever_the_timer_says(client: httpx.AsyncClient) -> None:
    raced = 0

    async def race(delay: float) -> None:
        nonlocal raced
        started = await client.post("/v1/workflows/hurried")
        body = started.json()
        if started.status_code != 202:  # the prompt was over before anyone was told of it
            assert (started.status_code, body["code"]) == (422, "interaction_expired"), body
            return
        if body["status"] == "running":  # likewise, and the execution has not failed yet
            return
        raced += 1
        await asyncio.sleep(max(0.0, body["deadline"] - body["created_at"] - 0.02 + delay))
        reply = await client.post(body["response_url"], json=TEXT_ANSWER)
        result = await ended(client, body["execution_id"])
        if reply.status_code == 204:
            assert (result["status"], result.get("result")) == ("completed", "Hopper")
        else:
            assert (reply.status_code, reply.json()["code"]) == (410, "interaction_expired")
            assert result["status"] == "failed"

    for _ in range(20):
        await asyncio.gather(*(race(step / 1000) for step in range(0, 30, 2)))
        if raced:
            break
    assert raced, "no prompt was ever open"


async def test_17_a_start_a_poll_and_an_answer_may_each_reach_another_process(
    file: Path, request: pytest.FixtureRequest
) -> None:
    async with (
        served(make_app(file)) as one,
        served(make_app(file)) as two,
        served(make_app(file, concurrency=0)) as web,
    ):
        body = await asked(one, "greet", "Ada")
        assert (await two.get(body["status_url"])).json()["interaction_id"] == body["interaction_id"]
        request.getfixturevalue("endless")
        waiting = asyncio.create_task(two.get(body["status_url"], params={"wait": 10}))
        assert (await web.post(body["response_url"], json=TEXT_ANSWER)).status_code == 204
        async with asyncio.timeout(PATIENCE):
            assert (await waiting).json()["status"] in {"running", "completed"}
        assert (await ended(web, body["execution_id"]))["result"] == "Ada Hopper"


async def test_18_an_id_gives_nobody_else_the_result_the_consent_or_the_right_to_answer(
    guarded: httpx.AsyncClient,
) -> None:
    mine = await asked(guarded, "consent", **{"x-user": "ada"})
    assert mine["oauth_state"] == "s3cret"
    assert (await guarded.get(mine["status_url"], headers={"x-user": "grace"})).status_code == 404
    for reader in ("op", "eye"):
        seen = await guarded.get(mine["status_url"], headers={"x-user": reader})
        assert seen.json()["status"] == "oauth_required"
        assert "s3cret" not in seen.text


@pytest.mark.parametrize("door", ["start", "poll", "stream"])
async def test_19_the_text_of_an_exception_stays_in_the_server(client: httpx.AsyncClient, door: str) -> None:
    started = await client.post("/v1/workflows/broken")
    assert started.status_code == 422
    told = started.text
    if door == "poll":
        body = await ended(client, started.json()["execution_id"])
        assert (
            "hunter2" in body.pop("failure")["message"]
        )  # without authentication everyone is an operator, who is told
        told = json.dumps(body)
    elif door == "stream":
        told = (await client.post("/v1/workflows/broken/stream")).text
    assert "hunter2" not in told
    assert "ValueError" in told  # the type, and a code, are for the caller

    public = (await client.post("/v1/workflows/refused")).json()
    assert (public["code"], public["detail"]) == ("account_closed", "The account is closed.")


async def test_20_paused_executions_hold_no_slot(file: Path) -> None:
    async with served(make_app(file, concurrency=2)) as client:
        paused = [await asked(client, "greet", str(number)) for number in range(12)]
        async with asyncio.timeout(PATIENCE):
            assert (await client.post("/v1/workflows/echo", json=1)).json() == 1
        replies = await asyncio.gather(*(client.post(each["response_url"], json=TEXT_ANSWER) for each in paused))
        assert {reply.status_code for reply in replies} == {204}
        results = await asyncio.gather(*(ended(client, each["execution_id"]) for each in paused))
        assert [each["result"] for each in results] == [f"{number} Hopper" for number in range(12)]


async def test_21_a_start_returns_after_the_wait_with_an_id_to_poll(client: httpx.AsyncClient) -> None:
    reply = await client.post("/v1/workflows/gated", json="later", params={"wait": 0.05})
    body = reply.json()
    assert (reply.status_code, body["status"]) == (202, "running")
    assert reply.headers["location"] == body["status_url"]
    assert int(reply.headers["retry-after"]) >= 1
    GATES["later"].set()
    assert (await ended(client, body["execution_id"]))["result"] == "later"


async def test_22_a_result_that_cannot_be_serialised_fails_the_execution(client: httpx.AsyncClient) -> None:
    reply = await client.post("/v1/workflows/unserialisable")
    assert reply.status_code == 422
    for _ in range(2):
        after = await client.get(f"/executions/{reply.json()['execution_id']}")
        assert (after.status_code, after.json()["status"]) == (200, "failed")
        assert "$.not" in after.json()["error"]


async def test_23_a_dropped_stream_drops_nothing_and_its_execution_ends_and_expires(file: Path) -> None:
    async with served(make_app(file, ttl_seconds=0)) as client:
        asking: dict[str, Any] = {}
        async with client.stream("POST", "/v1/workflows/progress/stream") as reply:
            async for each in events(reply):
                if each.name == "interaction_required":
                    asking = each.data
                    break
        assert (await client.post(asking["response_url"], json=TEXT_ANSWER)).status_code == 204
        async with (
            asyncio.timeout(PATIENCE),
            client.stream("GET", f"/executions/{asking['execution_id']}/events") as reply,
        ):
            names = [each.name async for each in events(reply)]
        assert {"emitted", "execution_completed"} < set(names)
        assert names[-1] == "end"
    ((expires,),) = rows(file, "SELECT expires_at FROM executions") or [(0,)]
    assert expires is not None


async def test_26_executions_are_listed_filtered_told_counted_and_deleted(client: httpx.AsyncClient) -> None:
    for number in range(5):
        await client.post("/v1/workflows/echo", json=number)
    waiting = await asked(client, "greet")
    seen: list[str] = []
    cursor = None
    while True:
        params: dict[str, Any] = {"workflow": "echo", "status": "completed,failed", "limit": 2}
        params |= {"cursor": cursor} if cursor else {}
        page = (await client.get("/executions", params=params)).json()
        seen += [item["execution_id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(set(seen)) == len(seen) == 5
    history = (await client.get(f"/executions/{seen[0]}/history")).json()["items"]
    assert [row["event"] for row in history][-1] == "execution_completed"
    assert (await client.delete(waiting["status_url"])).status_code == 409
    assert (await client.delete(f"/executions/{seen[0]}")).status_code == 204
    assert (await client.get(f"/executions/{seen[0]}")).status_code == 410
    metrics = (await client.get("/metrics")).text
    assert 'restpoint_transitions_total{event="execution_completed"} 5.0' in metrics
