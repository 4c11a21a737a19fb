"""The channel of webhooks, against real servers on loopback that answer right, late, wrong or not at all."""

import asyncio
import gzip
import importlib
import json
import logging
import socket
import traceback
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from receivers import Authority, Receiver, Request, asked, authority, receiving, says, sends
from restpoint._core.clock import SystemClock
from restpoint.errors import InvalidArgument
from restpoint.notify import signatures
from restpoint.notify.http_receiver import HttpReceiver
from restpoint.notify.notices import DeliveryFailed, Notice
from restpoint.notify.routes_file import ChannelContext
from restpoint.notify.webhook_bodies import MAX_BODY_BYTES, WebhookBody
from restpoint.notify.webhooks import WebhookChannel, WebhookSettings
from support import PATIENCE, START, ManualClock, eventually

NEW, OLD = signatures.new_secret(), signatures.new_secret()
PRIVATE = signatures.new_private_key()
ENVIRON = {"NEW": NEW, "OLD": OLD, "PRIVATE": PRIVATE, "HOOK_URL": "https://203.0.113.9/canary-in-the-url"}


def context(**more: Any) -> ChannelContext:
    return ChannelContext(name="crm", environ=ENVIRON, folder=Path("/nowhere"), **more)


@pytest.fixture(params=["standardwebhooks", "svix.webhooks"])
def package(request: pytest.FixtureRequest) -> Any:
    """What receivers verify with; imported where it is wanted, because that takes a while."""
    return importlib.import_module(request.param).Webhook


@asynccontextmanager
async def channel_to(
    url: str | None, *, clock: Any = None, resolve: Any = None, **settings: Any
) -> AsyncIterator[WebhookChannel]:
    """A channel to a receiver on this machine, unless the settings say otherwise."""
    given = {"url": url, "secret_env": "NEW", "allow_private": True, "timeout": 50, **settings}
    made = WebhookSettings.model_validate(given).channel(context(), clock=clock, resolve=resolve)
    try:
        yield made
    finally:
        await made.close()


async def sent(receiver: Receiver, notice: Notice | None = None, **settings: Any) -> Request:
    """Send a notice to a receiver that takes it, and return the request that it got."""
    async with channel_to(receiver.url(), **settings) as channel:
        await channel.send(notice or asked())
    return receiver.requests[-1]


async def failure(url: str, *, clock: Any = None, resolve: Any = None, **settings: Any) -> DeliveryFailed:
    """Send a notice to a receiver that does not take it, and return how that failed. Nothing secret may show in it."""
    async with channel_to(url, clock=clock, resolve=resolve, **settings) as channel:
        with pytest.raises(DeliveryFailed) as failed:
            await channel.send(asked())
    shown = "".join(traceback.format_exception(failed.value)) + failed.value.problem
    for secret in (NEW, OLD, PRIVATE, "canary", "/hooks/"):
        assert secret not in shown
    return failed.value


# --- What receivers get ----------------------------------------------------------------------------------------------


async def test_a_receiver_verifies_the_very_bytes_with_its_package(package: Any) -> None:
    async with receiving() as receiver:
        request = await sent(receiver)

    package(NEW).verify(request.body, request.headers)
    with pytest.raises(Exception, match="No matching signature"):
        package(NEW).verify(request.body.replace(b"refund", b"refumd"), request.headers)
    with pytest.raises(Exception, match="No matching signature"):
        package(OLD).verify(request.body, request.headers)


async def test_while_secrets_are_rotated_receivers_with_either_of_them_verify(package: Any) -> None:
    async with receiving() as receiver:
        request = await sent(receiver, secret_env=["NEW", "OLD", "PRIVATE"])

    for secret in (NEW, OLD):
        package(secret).verify(request.body, request.headers)
    assert [each.partition(",")[0] for each in request.headers["webhook-signature"].split(" ")] == ["v1", "v1", "v1a"]


@pytest.mark.parametrize(("minutes", "said"), [(-6, "too old"), (6, "too new")])
async def test_a_receiver_refuses_a_request_of_another_time(package: Any, minutes: int, said: str) -> None:
    clock = ManualClock(SystemClock().now() + minutes * 60_000)
    async with receiving() as receiver:
        request = await sent(receiver, clock=clock)

    with pytest.raises(Exception, match=said):
        package(NEW).verify(request.body, request.headers)


async def test_the_holder_of_the_public_key_verifies_a_request() -> None:
    signer = signatures.read_signer(PRIVATE, "It")
    assert isinstance(signer, signatures.PrivateKey)
    async with receiving() as receiver:
        request = await sent(receiver, secret_env="PRIVATE")

    version, _, signature = request.headers["webhook-signature"].partition(",")
    content = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.body
    assert version == "v1a"
    Ed25519PublicKey.from_public_bytes(b64decode(signer.public[5:])).verify(b64decode(signature), content)


async def test_each_attempt_sends_the_same_bytes_and_id_at_a_time_of_its_own() -> None:
    clock = ManualClock()
    async with receiving(says(500), says(204)) as receiver, channel_to(receiver.url(), clock=clock) as channel:
        with pytest.raises(DeliveryFailed):
            await channel.send(asked())
        clock.step(301)
        await channel.send(asked(attempt=2))

    first, second = receiver.requests
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == asked().id
    assert first.headers["webhook-timestamp"] == str(START // 1000)
    assert second.headers["webhook-timestamp"] == str(START // 1000 + 301)


async def test_the_body_is_an_event_of_cloudevents_byte_for_byte() -> None:
    async with receiving() as receiver:
        request = await sent(receiver, source="https://flows.example.com")

    assert request.body.decode() == (
        '{"specversion":"1.0","id":"01990c7e-4000-7abc-8def-0123456789ab","source":"https://flows.example.com",'
        '"type":"restpoint.interaction_asked","subject":"01990c7e-3fff-7abc-8def-0123456789ab",'
        '"time":"2027-01-15T08:00:00.250Z","datacontenttype":"application/json","data":{"event":"interaction_asked",'
        '"sequence":7,"route":"finance","is_sample":false,"execution_id":"01990c7e-3fff-7abc-8def-0123456789ab",'
        '"workflow":"refund","owner":"ada","status":"interaction_required",'
        '"interaction_id":"01990c7e-3fff-7abc-8def-ba9876543210",'
        '"prompt":{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,'
        '"required":true},'
        '"assignees":["group:finance","grace"],"priority":2,"due":1800003600.0,"deadline":1800007200.5,"actor":null,'
        '"detail":{"amount":null,"note":"naïve ☕"},'
        '"link":"https://flows.example.com/executions/01990c7e-3fff-7abc-8def-0123456789ab","recipient":null,"omitted":[]}}'
    )
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"].startswith("restpoint/")
    assert "accept-encoding: identity" in request.head.decode().lower()


@pytest.mark.parametrize("content", ["full", "ids"])
async def test_bodies_have_the_documented_schema(content: str) -> None:
    schema = WebhookBody.model_json_schema(mode="serialization")
    async with receiving() as receiver:
        body = json.loads((await sent(receiver, asked(is_sample=True), content=content)).body)

    Draft202012Validator(schema).validate(body)
    assert body["data"]["is_sample"] is True
    assert set(schema["$defs"]["WebhookData"]["required"]) == set(body["data"])


async def test_a_channel_of_ids_tells_nothing_that_people_said_or_who_they_are() -> None:
    async with receiving() as receiver:
        request = await sent(receiver, asked(actor="joan"), content="ids")

    for said in ("name?", "naïve", "ada", "grace", 'finance"', "joan"):
        assert said not in request.body.decode().replace('"route":"finance"', "")
    data = json.loads(request.body)["data"]
    assert data["omitted"] == ["actor", "assignees", "detail", "owner", "prompt", "recipient"]
    assert data["interaction_id"] == asked().interaction_id


async def test_a_body_that_would_be_too_large_goes_without_its_prompt_and_detail() -> None:
    async with receiving() as receiver:
        request = await sent(receiver, asked(detail={"text": "x" * MAX_BODY_BYTES}))

    data = json.loads(request.body)["data"]
    assert (data["omitted"], data["prompt"], data["detail"]) == (["detail", "prompt"], None, None)
    assert data["owner"] == "ada"
    assert len(request.body) < 2_000


async def test_a_connection_is_used_again() -> None:
    async with receiving(says(200, body=b"thank you")) as receiver, channel_to(receiver.url()) as channel:
        for _ in range(5):
            await channel.send(asked())

    assert (receiver.connections, len(receiver.requests)) == (1, 5)


async def test_a_connection_that_the_receiver_has_closed_is_not_used_again() -> None:
    async with receiving(says(204)) as receiver, channel_to(receiver.url()) as channel:
        await channel.send(asked())
        receiver.writers.pop().close()
        await eventually(lambda: not channel._receiver._idle[0].is_usable)
        await channel.send(asked())

    assert (receiver.connections, len(receiver.requests)) == (2, 2)


async def test_requests_are_under_way_at_the_same_time() -> None:
    gate = asyncio.Event()

    async def wait(writer: asyncio.StreamWriter) -> None:
        await gate.wait()
        await says(204)(writer)

    async with receiving(wait) as receiver, channel_to(receiver.url()) as channel:
        sending = [asyncio.create_task(channel.send(asked())) for _ in range(5)]
        while len(receiver.requests) < 5:
            receiver.arrived.clear()
            await asyncio.wait_for(receiver.arrived.wait(), PATIENCE)
        gate.set()
        await asyncio.gather(*sending)

    assert receiver.connections == 5


# --- What receivers answer -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_every_2xx_is_delivery(status: int) -> None:
    async with receiving(says(status)) as receiver:
        await sent(receiver)


@pytest.mark.parametrize("status", [400, 401, 404, 422, 429, 499, 500, 502, 503, 504, 599])
async def test_every_other_status_is_tried_again(status: int) -> None:
    async with receiving(says(status)) as receiver:
        failed = await failure(receiver.url())

    assert str(status) in failed.problem
    assert f"http://127.0.0.1:{receiver.port}" in failed.problem
    assert (failed.is_final, failed.disables, failed.retry_after) == (False, False, None)


async def test_a_receiver_that_is_gone_is_sent_nothing_more() -> None:
    async with receiving(says(410)) as receiver:
        failed = await failure(receiver.url())

    assert (failed.is_final, failed.disables) == (True, True)
    assert "410 (Gone)" in failed.problem


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(status: int) -> None:
    async with receiving() as elsewhere, receiving(says(status, [f"location: {elsewhere.url()}"])) as receiver:
        failed = await failure(receiver.url())

    assert elsewhere.connections == 0
    assert "redirects are not followed" in failed.problem
    assert not failed.is_final


@pytest.mark.parametrize("status", [429, 503, 500])
async def test_a_receiver_that_asks_for_time_is_given_it(status: int) -> None:
    async with receiving(says(status, ["Retry-After: 30"])) as receiver:
        failed = await failure(receiver.url())

    assert failed.retry_after == 30
    assert "asked for 30 s without a request" in failed.problem


@pytest.mark.parametrize(
    ("said", "wait"),
    [
        ("30", 30.0),
        ("0", 0.0),
        ("99999999999999999999", 86_400.0),
        (format_datetime(datetime.fromtimestamp(START / 1000, UTC) + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(datetime.fromtimestamp(START / 1000, UTC) - timedelta(days=1), usegmt=True), 0.0),
        ("Friday, 15-Jan-27 08:02:00 GMT", 120.0),
        ("Fri Jan 15 08:00:45 2027", 45.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400.0),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("", None),
    ],
)
async def test_the_time_that_a_receiver_asks_for_is_seconds_or_a_date(said: str, wait: float | None) -> None:
    async with receiving(says(503, [f"retry-after: {said}"])) as receiver:
        failed = await failure(receiver.url(), clock=ManualClock())

    assert failed.retry_after == wait


async def test_a_receiver_that_is_down_is_tried_again() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # and nobody listens
        failed = await failure(f"http://127.0.0.1:{held.getsockname()[1]}/hooks/canary")

    assert "nothing answered at 127.0.0.1" in failed.problem
    assert not failed.is_final


@pytest.mark.parametrize("host", ["nowhere.invalid", "a..b", "x" * 70 + ".example"])
async def test_a_name_without_an_address_is_tried_again(host: str) -> None:
    async def look_up(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    failed = await failure(f"https://{host}/hooks/canary", resolve=look_up)

    assert failed.problem == f"The name {host} has no address."
    assert not failed.is_final


# --- Receivers that are slow, endless or broken ----------------------------------------------------------------------


async def silent(writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def dripping(writer: asyncio.StreamWriter) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nx: " + b"y" * 10_000:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("slow", [silent, dripping])
async def test_a_receiver_that_does_not_come_to_the_end_of_its_head_is_left(slow: Any) -> None:
    async with receiving(slow) as receiver:
        failed = await failure(receiver.url(), timeout=1)

    assert "did not answer within 1 s" in failed.problem
    assert not failed.is_final


async def test_a_receiver_that_sends_other_heads_for_ever_is_left() -> None:
    async with receiving(sends(b"", for_ever=b"HTTP/1.1 100 Continue\r\n\r\n")) as receiver:
        failed = await failure(receiver.url(), timeout=1)

    assert "did not answer within 1 s" in failed.problem


ENDLESS = b"HTTP/1.1 %b\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("status", [b"200 OK", b"500 Oh"])
async def test_an_endless_reply_is_not_read_to_its_end(status: bytes) -> None:
    chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
    async with receiving(sends(ENDLESS % status, for_ever=chunk)) as receiver, channel_to(receiver.url()) as channel:
        if status.startswith(b"2"):
            await channel.send(asked())
        else:
            with pytest.raises(DeliveryFailed, match="500"):
                await channel.send(asked())


async def test_a_notice_is_delivered_although_the_reply_to_it_never_ends() -> None:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(ENDLESS % b"200 OK" + b"1\r\nx\r\n")
        await writer.drain()
        await silent(writer)

    async with receiving(answer) as receiver:
        await sent(receiver, timeout=1)


async def test_a_compressed_reply_stays_packed() -> None:
    bomb = gzip.compress(bytes(30_000_000))
    async with receiving(says(200, ["content-encoding: gzip"], bomb)) as receiver:
        await sent(receiver)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"x-%d: y\r\n" % number for number in range(30_000)) + b"\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 1_000_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 " + b"O" * 1_000_000,
        b"220 mail.example.com ESMTP\r\n",
        b"\x16\x03\x01\x00\x05",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"",
    ],
    ids=["headers", "a header", "a reason", "mail", "TLS", "a status", "nothing"],
)
async def test_what_is_not_http_or_has_a_head_without_measure_is_a_failure(head: bytes) -> None:
    async with receiving(sends(head)) as receiver:
        failed = await failure(receiver.url())

    assert "broke the connection off, or answered something that is not HTTP" in failed.problem
    assert not failed.is_final


# --- TLS ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("authority"))


async def loopback(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


@pytest.mark.parametrize("host", ["hooks.example.com", "127.0.0.1"])
async def test_the_certificate_is_verified_against_the_name_while_the_address_is_connected_to(
    ca: Authority, host: str
) -> None:
    async with (
        receiving(tls=ca.server("hooks.example.com", "127.0.0.1")) as receiver,
        channel_to(receiver.url("https", host), ca_file=str(ca.file), resolve=loopback) as channel,
    ):
        await channel.send(asked())

    standardwebhooks.Webhook(NEW).verify(receiver.requests[0].body, receiver.requests[0].headers)
    assert receiver.requests[0].headers["host"] == f"{host}:{receiver.port}"


async def test_a_certificate_of_another_name_an_unknown_authority_or_another_year_is_refused(
    ca: Authority, tmp_path: Path
) -> None:
    unknown = authority(tmp_path, "Unknown")
    for tls, said in (
        (ca.server("other.example.com"), "Hostname mismatch"),
        (ca.server("hooks.example.com", age=timedelta(days=400)), "expired"),
        (unknown.server("hooks.example.com"), "certificate"),
    ):
        async with receiving(tls=tls) as receiver:
            url = receiver.url("https", "hooks.example.com")
            failed = await failure(url, ca_file=str(ca.file), resolve=loopback)
        assert "the certificate at 127.0.0.1 is not accepted" in failed.problem
        assert said in failed.problem
        assert receiver.requests == []


async def test_the_authorities_that_all_trust_are_not_those_of_the_tests(ca: Authority) -> None:
    async with receiving(tls=ca.server("hooks.example.com")) as receiver:
        failed = await failure(receiver.url("https", "hooks.example.com"), resolve=loopback)

    assert "the certificate at 127.0.0.1 is not accepted" in failed.problem


async def test_a_server_without_tls_is_not_sent_anything_at_an_https_address() -> None:
    async with receiving() as receiver:
        failed = await failure(receiver.url("https"), timeout=1)

    assert receiver.requests == []
    assert not failed.is_final


async def test_a_connection_is_closed_where_the_handshake_does_not_end() -> None:
    closed = asyncio.Event()

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # to the end, which comes when the other side closes
        closed.set()
        writer.close()

    async with await asyncio.start_server(never, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with channel_to(f"https://127.0.0.1:{port}/canary", timeout=1) as channel:
            with pytest.raises(DeliveryFailed, match="did not answer within 1 s"):
                await channel.send(asked())
            await asyncio.wait_for(closed.wait(), PATIENCE)


@pytest.mark.parametrize("answer", [sends(b"GET / HTTP/1.1\r\n\r\n"), sends(b"")])
async def test_a_server_that_speaks_no_tls_is_told_from_one_whose_certificate_is_wrong(answer: Any) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.read(1)
            await answer(writer)
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        failed = await failure(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/hooks/canary")

    assert "at 127.0.0.1" in failed.problem
    assert "certificate" not in failed.problem


# --- Addresses ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254", "fe80::1%lo"]
)
async def test_a_name_of_a_private_address_is_not_connected_to(address: str) -> None:
    async def look_up(host: str, port: int) -> list[str]:
        return [address]

    async with receiving() as receiver:
        failed = await failure(
            f"https://hooks.example.com:{receiver.port}/hooks/canary", allow_private=False, resolve=look_up
        )

    assert receiver.connections == 0
    assert address in failed.problem
    assert not failed.is_final


async def test_a_name_that_means_a_private_address_at_the_second_look_is_not_connected_to() -> None:
    looks = [["127.0.0.1"], ["127.0.0.2"]]

    async def look_up(host: str, port: int) -> list[str]:
        return looks.pop(0)

    async with (
        receiving(says(204, ["connection: close"])) as public,
        receiving(host="127.0.0.2", port=public.port) as private,
        channel_to(
            public.url("http", "hooks.example.com"), allow_private=False, networks=["127.0.0.1"], resolve=look_up
        ) as channel,
    ):
        await channel.send(asked())
        with pytest.raises(DeliveryFailed, match=r"127\.0\.0\.2 is a loopback address"):
            await channel.send(asked())

    assert (len(public.requests), private.connections, looks) == (1, 0, [])


async def test_the_name_is_looked_up_once_for_each_connection_so_nothing_comes_between_check_and_connection() -> None:
    looks: list[tuple[str, int]] = []

    async def look_up(host: str, port: int) -> list[str]:
        looks.append((host, port))
        return ["127.0.0.1"]

    async with (
        receiving() as receiver,
        channel_to(receiver.url("http", "hooks.example.com"), resolve=look_up) as channel,
    ):
        await channel.send(asked())
        await channel.send(asked())

    assert looks == [("hooks.example.com", receiver.port)]


async def test_addresses_that_are_refused_or_dead_are_passed_over() -> None:
    async def look_up(host: str, port: int) -> list[str]:
        return ["10.0.0.1", "127.0.0.9", "127.0.0.1"]

    async with (
        receiving() as receiver,
        channel_to(
            receiver.url("http", "hooks.example.com"), allow_private=False, networks=["127.0.0.0/8"], resolve=look_up
        ) as channel,
    ):
        await channel.send(asked())

    assert len(receiver.requests) == 1


async def test_a_real_name_is_looked_up() -> None:
    async with receiving() as receiver, channel_to(receiver.url("http", "localhost")) as channel:
        await channel.send(asked())

    assert len(receiver.requests) == 1


async def test_a_name_on_the_internet_is_sent_to_by_https_only() -> None:
    async def look_up(host: str, port: int) -> list[str]:
        return ["203.0.112.9"]

    failed = await failure("http://hooks.example.com/hooks/canary", resolve=look_up)

    assert "the URL is not https" in failed.problem


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as proxy, receiving() as receiver:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        await sent(receiver)

    assert (proxy.connections, receiver.connections) == (0, 1)


# --- Settings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "either url or url_env"),
        ({"url": "https://a.example", "url_env": "HOOK_URL"}, "either url or url_env"),
        ({"url": "http://a.example/canary"}, "a.example needs to begin with https://"),
        ({"url": "ftp://a.example/canary"}, "begins with https://"),
        ({"url": "https:///canary"}, "begins with https://"),
        ({"url": "https://a.example:0/canary"}, "begins with https://"),
        ({"url": "https://a.example:x/canary"}, "begins with https://"),
        ({"url": "https://[::1/canary"}, "begins with https://"),
        ({"url": "https://ä.example/canary"}, "in ASCII"),
        ({"url": "https://a.example/" + "canary" * 400}, "begins with https://"),
        ({"url": "https://a.example/canary#x"}, "without a fragment"),
        ({"url": "https://canary:canary@a.example/"}, "a.example needs to be without"),
        ({"url": "https://a.example/a canary"}, "spaces"),
        ({"url": "https://127.0.0.1/canary"}, "127.0.0.1 is a loopback address"),
        ({"url": "https://[::1]/canary"}, "::1 is a loopback address"),
        ({"url": "https://169.254.169.254/canary", "allow_private": True}, "metadata"),
        ({"url": "http://8.8.8.8/canary", "allow_private": True}, "not https"),
        ({"url_env": "NOT_SET"}, "NOT_SET, which is not set"),
        ({"url": "https://a.example", "networks": ["10.0.0.1/8"]}, "is not a network"),
        ({"url": "https://a.example", "secret_env": []}, "1 to 4 secrets"),
        ({"url": "https://a.example", "secret_env": ["NEW"] * 5}, "1 to 4 secrets"),
        ({"url": "https://a.example", "secret_env": "NOT_SET"}, "NOT_SET, which is not set"),
        ({"url": "https://a.example", "secret_env": "HOOK_URL"}, "The environment variable HOOK_URL holds no secret"),
        ({"url": "https://a.example", "secret_file": "hook.secret"}, "/nowhere/hook.secret cannot be read"),
        ({"url": "https://a.example", "ca_file": "ca.pem"}, "/nowhere/ca.pem holds no certificates"),
        ({"url": "https://a.example", "ca_file": __file__}, "holds no certificates"),
    ],
)
def test_wrong_settings_are_refused_with_what_to_do_and_without_a_secret(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        WebhookSettings.model_validate({"secret_env": "NEW", **settings}).channel(context())

    assert str(refused.value).startswith("The channel 'crm': ")
    assert said in str(refused.value)
    for secret in (NEW, "canary"):
        assert secret not in str(refused.value)


@pytest.mark.parametrize(
    "wrong", [{"secret": "whsec_x"}, {"timeout": 0}, {"timeout": "5"}, {"content": "some"}, {"source": "our server"}]
)
def test_a_setting_that_is_none_is_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        WebhookSettings.model_validate({"url": "https://a.example", **wrong})


async def test_secrets_come_from_files_of_their_owner_only(tmp_path: Path) -> None:
    secret = tmp_path / "hook.secret"
    secret.write_text(f"{NEW}\n")
    secret.chmod(0o600)
    async with receiving() as receiver:
        request = await sent(receiver, secret_env=[], secret_file=str(secret))
        standardwebhooks.Webhook(NEW).verify(request.body, request.headers)

        secret.chmod(0o644)
        with pytest.raises(InvalidArgument, match="may be used by others"):
            await sent(receiver, secret_env=[], secret_file=str(secret))


@pytest.mark.parametrize(
    ("given", "public_url", "source"),
    [
        (None, None, "/restpoint"),
        (None, "https://flows.example.com", "https://flows.example.com"),
        ("urn:example:flows", "https://flows.example.com", "urn:example:flows"),
    ],
)
async def test_the_source_is_as_configured_or_the_public_address(
    given: str | None, public_url: str | None, source: str
) -> None:
    async with receiving() as receiver:
        settings = {"url": receiver.url(), "allow_private": True, "secret_env": "NEW", "source": given}
        channel = WebhookSettings.model_validate(settings).channel(context(public_url=public_url))
        await channel.send(asked())
        await channel.close()

    assert json.loads(receiver.requests[0].body)["source"] == source


async def test_a_url_with_a_secret_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as receiver:
        monkeypatch.setitem(ENVIRON, "HOOK_URL", receiver.url() + "?key=canary")
        async with channel_to(None, url_env="HOOK_URL") as channel:
            await channel.send(asked())

    assert receiver.requests[0].head.startswith(b"POST /hooks/restpoint?key=canary HTTP/1.1\r\n")


async def test_no_log_of_any_package_has_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with receiving(says(500), says(204)) as receiver:
        await failure(receiver.url(), secret_env=["NEW", "PRIVATE"])
        await sent(receiver, secret_env=["NEW", "PRIVATE"])

    assert NEW not in caplog.text
    assert PRIVATE not in caplog.text
    assert b64decode(NEW[6:]).hex() not in caplog.text
    assert "/hooks/" not in caplog.text


async def test_a_channel_shows_no_secret_of_its_own() -> None:
    async with channel_to("http://127.0.0.1:9/canary", secret_env=["NEW", "PRIVATE"]) as channel:
        shown = repr(vars(channel)) + repr(channel)
    assert NEW not in shown
    assert PRIVATE not in shown


async def test_a_channel_sends_nothing_where_its_caller_gives_up() -> None:
    async with receiving(silent, says(204)) as receiver, channel_to(receiver.url()) as channel:
        sending = asyncio.create_task(channel.send(asked()))
        await asyncio.wait_for(receiver.arrived.wait(), PATIENCE)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await channel.send(asked())  # the connection of the first one does not count any more

    assert len(receiver.requests) == 2


def test_the_receiver_is_named_without_its_path() -> None:
    from restpoint.notify.destinations import Destinations

    receiver = HttpReceiver("https://a.example:8443/canary?x=canary", Destinations(), timeout=1)

    assert receiver.origin == "https://a.example:8443"
