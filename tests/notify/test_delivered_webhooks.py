"""Webhooks as the deliverer sends them: what receivers get of a question, whatever they answer, and what the file says of it."""

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks

from notices import notices, settled, until, write_routes
from receivers import Receiver, receiving, says
from restpoint import ExecutionStore
from restpoint._storage import outbox
from restpoint.notify import routes_file, signatures
from restpoint.notify.deliverer import Deliverer
from support import ADA, PATIENCE, TEXT, ManualClock, dump, file_of, rows

SECRET = signatures.new_secret()
CHANNEL = """
[channels.{name}]
kind = "webhook"
url = "{url}"
secret_env = ["SECRET"]
allow_private = {private}
timeout = 50

[[routes]]
name = "to-{name}"
channel = "{name}"
"""


def channel(name: str, url: str, *, private: str = "true") -> str:
    return CHANNEL.format(name=name, url=url, private=private)


async def delivering(store: ExecutionStore, folder: Path, text: str, **more: Any) -> Deliverer:
    routes = routes_file.read(write_routes(folder, text))
    channels = routes.channels({"SECRET": SECRET}, "https://flows.example.com")
    return await Deliverer(
        store, routes, channels, public_url="https://flows.example.com", jitter=lambda: 1.0, settle=0, **more
    ).open()


async def ask(store: ExecutionStore) -> tuple[str, str]:
    record = await store.create_execution(workflow="refund", owner="ada")
    pending = await store.set_interaction_required(record.execution_id, TEXT, assignees=["grace"])
    return record.execution_id, pending.interaction_id


async def had(receiver: Receiver, count: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while len(receiver.requests) < count:
            receiver.arrived.clear()
            await receiver.arrived.wait()


async def tried(path: Path, attempts: int) -> None:
    """Return once the notice waits for another attempt after so many."""
    await until(lambda: rows(path, "SELECT attempts, lease, problem IS NULL FROM outbox") == [(attempts, None, 0)])


async def test_a_question_reaches_its_receiver_and_its_answer_none(
    store: ExecutionStore, path: Path, tmp_path: Path
) -> None:
    async with receiving() as receiver:
        deliverer = await delivering(store, tmp_path, channel("crm", receiver.url()))
        execution_id, interaction_id = await ask(store)
        await settled(path, ["delivered"])
        await store.resolve_interaction(execution_id, interaction_id, ADA)
        await deliverer.close()

    (request,) = receiver.requests
    body = standardwebhooks.Webhook(SECRET).verify(request.body, request.headers)
    assert (body["type"], body["subject"]) == ("restpoint.interaction_asked", execution_id)
    assert body["id"] == request.headers["webhook-id"] == notices(path, "id")[0]
    assert body["source"] == "https://flows.example.com"
    told = body["data"]
    assert (told["interaction_id"], told["assignees"], told["owner"]) == (interaction_id, ["grace"], "ada")
    assert told["prompt"]["text"] == TEXT.text
    assert told["detail"] == {"assignees": ["grace"], "four_eyes": False}
    assert told["link"].startswith("https://flows.example.com/")


async def test_whatever_a_receiver_answers_it_gets_the_same_bytes_until_it_takes_them(
    store: ExecutionStore, path: Path, tmp_path: Path, clock: ManualClock
) -> None:
    async with receiving() as elsewhere:
        answers = [says(500), says(302, [f"location: {elsewhere.url()}"]), says(404), says(429), says(204)]
        async with receiving(*answers) as receiver:
            deliverer = await delivering(store, tmp_path, channel("crm", receiver.url()))
            await ask(store)
            for attempt in range(1, len(answers)):
                await tried(path, attempt)
                clock.step(10 * 2**attempt)
            await settled(path, ["delivered"])
            await deliverer.close()

    assert elsewhere.connections == 0
    assert len({request.body for request in receiver.requests}) == 1
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
    assert len(receiver.requests) == len(answers)


async def test_a_receiver_that_was_down_gets_the_notice_when_it_is_up(
    store: ExecutionStore, path: Path, tmp_path: Path, clock: ManualClock
) -> None:
    async with receiving() as receiver:
        url, port = receiver.url(), receiver.port
    deliverer = await delivering(store, tmp_path, channel("crm", url))
    await ask(store)
    await tried(path, 1)
    assert "nothing answered at 127.0.0.1" in notices(path, "problem")[0]
    async with receiving(port=port) as receiver:
        clock.step(11)
        await settled(path, ["delivered"])
        await deliverer.close()
    assert len(receiver.requests) == 1


async def test_a_receiver_is_left_alone_for_as_long_as_it_asks(
    store: ExecutionStore, path: Path, tmp_path: Path, clock: ManualClock
) -> None:
    async with receiving(says(503, ["retry-after: 600"]), says(204)) as receiver:
        deliverer = await delivering(store, tmp_path, channel("crm", receiver.url()))
        await ask(store)
        await tried(path, 1)
        assert notices(path, "due_at") == [clock.now() + 600_000]
        clock.step(601)
        await settled(path, ["delivered"])
        await deliverer.close()


async def test_a_receiver_that_is_gone_is_sent_nothing_until_its_route_is_enabled(
    store: ExecutionStore, path: Path, tmp_path: Path
) -> None:
    async with receiving(says(410), says(204)) as receiver:
        deliverer = await delivering(store, tmp_path, channel("crm", receiver.url()))
        await ask(store)
        await until(lambda: rows(path, "SELECT disabled_at IS NULL FROM routes") == [(0,)])
        await ask(store)
        assert len(receiver.requests) == 1
        await file_of(store).database.write(outbox.enable, "to-crm", "op")
        await had(receiver, 3)
        await settled(path, ["delivered", "delivered"])
        await deliverer.close()


async def test_a_receiver_at_a_private_address_is_not_sent_anything_until_that_is_allowed(
    store: ExecutionStore, path: Path, tmp_path: Path, clock: ManualClock
) -> None:
    async with receiving() as receiver:
        url = f"https://localhost:{receiver.port}/hook"
        deliverer = await delivering(store, tmp_path, channel("crm", url, private="false"))
        await ask(store)
        await tried(path, 1)
        assert "set allow_private = true" in notices(path, "problem")[0]
        await deliverer.close()
        assert receiver.connections == 0

        deliverer = await delivering(store, tmp_path, channel("crm", receiver.url()))
        clock.step(11)
        await settled(path, ["delivered"])
        await deliverer.close()


async def test_neither_the_file_nor_a_log_has_a_secret_or_the_path_of_a_url(
    store: ExecutionStore, path: Path, tmp_path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with receiving(says(401, [f"www-authenticate: {SECRET}"], SECRET.encode()), says(204)) as receiver:
        deliverer = await delivering(store, tmp_path, channel("crm", f"{receiver.url()}?key=canary"))
        await ask(store)
        await tried(path, 1)
        clock.step(11)
        await settled(path, ["delivered"])
        await deliverer.close()

    kept = "\n".join(dump(path)) + caplog.text
    assert "answered 401 (Unauthorized)" in kept
    for secret in (SECRET, SECRET.removeprefix("whsec_"), "canary", "/hooks/"):
        assert secret not in kept


async def test_a_receiver_that_never_answers_delays_no_other(store: ExecutionStore, path: Path, tmp_path: Path) -> None:
    async def silent(writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with receiving(silent) as slow, receiving() as quick:
        text = channel("slow", slow.url()) + channel("quick", quick.url())
        deliverer = await delivering(store, tmp_path, text)
        for _ in range(40):
            await ask(store)
        await had(quick, 40)
        await until(
            lambda: (
                rows(path, "SELECT count(*) FROM outbox WHERE channel = 'quick' AND status = 'delivered'") == [(40,)]
            )
        )
        assert rows(path, "SELECT count(*) FROM outbox WHERE channel = 'slow' AND status = 'pending'") == [(40,)]
        await deliverer.close()


@pytest.mark.parametrize(
    "settings", ['url_env = "NOWHERE"', 'url = "https://10.0.0.1/hook"', 'url = "http://a.example/hook"']
)
def test_a_channel_that_cannot_work_is_refused_when_the_file_is_read(tmp_path: Path, settings: str) -> None:
    from restpoint.errors import InvalidArgument

    text = f'[channels.crm]\nkind = "webhook"\nsecret_env = "SECRET"\n{settings}\n'
    with pytest.raises(InvalidArgument, match="The channel 'crm': "):
        routes_file.read(write_routes(tmp_path, text)).channels({"SECRET": SECRET})


async def test_a_receiver_is_told_whom_each_notice_is_meant_for_without_an_address_of_theirs(
    store: ExecutionStore, path: Path, tmp_path: Path
) -> None:
    async with receiving() as receiver:
        to = 'to = ["assignees", "group:finance"]\n[groups]\nfinance = ["joan"]\n'
        deliverer = await delivering(store, tmp_path, channel("crm", receiver.url()) + to)
        assert deliverer.routes.without_address() == []
        await ask(store)
        await had(receiver, 2)
        await settled(path, [("grace", "delivered"), ("joan", "delivered")], "recipient, status")
        assert {json.loads(request.body)["data"]["recipient"] for request in receiver.requests} == {"grace", "joan"}
        await deliverer.close()
