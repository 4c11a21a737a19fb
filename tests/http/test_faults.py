"""Clients that leave in the middle of a request, and text that means something to SQL, shells and paths."""

import asyncio
import random
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from serving import TEXT_ANSWER, asked, ended, make_app, served
from support import dump, folded_statuses, rows

# --- 19: the client disconnects ---


async def leave(client: httpx.AsyncClient, request: bytes, after: float, cut: int | None) -> None:
    """Send a request, or a part of it, and hang up at some moment without reading."""
    reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    writer.write(request[:cut])
    await writer.drain()
    if after:
        with_reply = asyncio.ensure_future(reader.read(1))
        await asyncio.wait({with_reply}, timeout=after)
        with_reply.cancel()
        await asyncio.gather(with_reply, return_exceptions=True)
    writer.transport.abort()


def request(path: str, body: str, key: str | None = None) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    head += f"idempotency-key: {key}\r\n" if key else ""
    return f"{head}content-length: {len(body)}\r\n\r\n{body}".encode()


async def disconnects(file: Path, rounds: int) -> dict[str, int]:
    """Leave in the middle of starts and answers; then ask the file, and retry."""
    dice = random.Random(19)
    counted = {"left while starting": 0, "left while answering": 0, "of these, before all was sent": 0}
    async with served(make_app(file)) as client:
        for number in range(rounds):
            # A start that nobody hears of: a retry with its key is the same execution, whether it was stored or not.
            key, path = f"key-{number}", "/v1/workflows/greet" + dice.choice(["", "/stream", "?wait=0"])
            sent = request(path, f'"{number}"', key)
            cut = dice.choice([None, None, dice.randrange(1, len(sent))])
            await leave(client, sent, dice.choice([0, dice.uniform(0, 0.02)]), cut)
            counted["left while starting"] += 1
            counted["of these, before all was sent"] += cut is not None
            retried = [await asked(client, "greet", str(number), **{"idempotency-key": key}) for _ in range(2)]
            assert retried[0]["execution_id"] == retried[1]["execution_id"]
            # An answer that nobody hears of: the same again is a success, and it is there once.
            body = retried[0]
            sent = request(body["response_url"], '{"response": {"type": "text", "text": "Hopper"}}')
            cut = dice.choice([None, None, dice.randrange(1, len(sent))])
            await leave(client, sent, dice.choice([0, dice.uniform(0, 0.02)]), cut)
            counted["left while answering"] += 1
            counted["of these, before all was sent"] += cut is not None
            for _ in range(2):
                assert (await client.post(body["response_url"], json=TEXT_ANSWER)).status_code == 204
            assert (await ended(client, body["execution_id"]))["result"] == f"{number} Hopper"
        assert (await client.get("/healthz")).status_code == 200
    ((created,),) = rows(file, "SELECT count(*) FROM history WHERE event = 'execution_created'")
    ((answered,),) = rows(file, "SELECT count(*) FROM history WHERE event = 'interaction_answered'")
    assert created == answered == rounds  # never two for one key, never two for one prompt
    stored = dict(rows(file, "SELECT id, status FROM executions"))
    assert {name: status for name, status in folded_statuses(file).items() if name in stored} == stored
    assert set(stored.values()) == {"completed"}
    return counted


async def test_19_a_client_that_left_can_always_retry_and_gets_the_first_outcome(file: Path) -> None:
    await disconnects(file, 25)


@pytest.mark.deep
async def test_19_a_client_that_left_can_always_retry_deep(file: Path) -> None:
    counted = await disconnects(file, 500)
    print(f"\n{counted}")


async def test_19_a_poll_or_a_stream_that_nobody_reads_is_let_go(file: Path) -> None:
    app = make_app(file)
    async with served(app) as client:
        body = await asked(client, "greet")
        for path in (f"{body['status_url']}/events", f"{body['status_url']}/events"):
            async with client.stream("GET", path) as reply:
                async for _ in reply.aiter_bytes():
                    break
        assert (await client.post(body["response_url"], json=TEXT_ANSWER)).status_code == 204
        assert (await ended(client, body["execution_id"]))["status"] == "completed"


# --- 24: injection ---

PARTS = (
    "'", '"', ";", "--", "/*", "*/", " OR 1=1", "') OR ('1'='1", "'; DROP TABLE executions; --", " UNION SELECT 1,2,3",
    "%00", "\\", "\\'", "../", "..%2f", "%s", "{0}", "{{7*7}}", "${jndi:x}", "$(id)", "`id`", "\u2028", "\u202e", "\U0001f600",
    "json('x')", "x' COLLATE NOCASE", "?", ":id", "@a", "$b", "\x1b[2J", "\x7f", "a" * 2_000, "é", "NULL", "0x7f", "-1", "1e309",
    "<script>", "%0d%0aset-cookie: a=b", "group:finance", "~", "#", "&status=completed", "[]", "..",
)  # fmt: skip


def payloads(count: int) -> list[str]:
    dice = random.Random(24)
    made = list(PARTS)
    while len(made) < count:
        made.append("".join(dice.choices(PARTS, k=dice.randrange(2, 5))))
    return made[:count]


def payload_of(file: Path) -> list[str]:
    """All of the file but what keeps running by itself: leases are renewed, and who waits long is parked."""
    claim = {"lease", "epoch", "ready", "attempts", "wake_at", "problem"}
    others = ", ".join(f'"{row[1]}"' for row in rows(file, "PRAGMA table_info(executions)") if row[1] not in claim)
    lines = [line for line in dump(file) if not line.startswith(('INSERT INTO "leases"', 'INSERT INTO "executions"'))]
    return [*lines, *map(repr, rows(file, f"SELECT {others} FROM executions ORDER BY key"))]


async def inject(file: Path, count: int) -> int:
    """Each payload in every place that takes text from outside. Returns how many requests that were."""
    sent = 0
    async with served(make_app(file)) as client:
        body = await asked(client, "greet", "Ada")
        before = payload_of(file)
        for payload in payloads(count):
            raw = quote(payload, safe="")
            header = {"x": payload.encode("utf-8", "replace").strip()}
            for method, path, headers in (
                ("GET", f"/executions/{raw}", {}),
                ("GET", f"/executions/{raw}/history", {}),
                # With dots alone it is the stream of all executions, which has no end.
                ("GET", f"/executions/{raw}/events{'?follow=false' * (raw == '..')}", {}),
                ("POST", f"/executions/{raw}/cancel", {}),
                ("DELETE", f"/executions/{raw}", {}),
                ("POST", f"/executions/{body['execution_id']}/interactions/{raw}/response", {}),
                ("POST", f"/v1/workflows/{raw}", {}),
                ("GET", f"/executions?status={raw}", {}),
                ("GET", f"/executions?workflow={raw}", {}),
                ("GET", f"/executions?owner={raw}", {}),
                ("GET", f"/executions?cursor={raw}", {}),
                ("GET", f"/executions?limit={raw}", {}),
                ("GET", f"/executions/{body['execution_id']}/history?after={raw}", {}),
                ("GET", f"/executions/{body['execution_id']}", {b"if-none-match": header["x"]}),
            ):
                if any(byte < 32 or byte == 127 for value in headers.values() for byte in value):
                    continue  # no client sends such a header
                content = (
                    b'{"response": {"type": "text", "text": "x"}}' if method == "POST" and "response" in path else None
                )
                reply = await client.request(method, path, headers=headers, content=content)
                sent += 1
                assert reply.status_code < 500, (method, path, reply.text)
                if "workflow=" in path or "owner=" in path:
                    assert reply.status_code == 422 or reply.json()["items"] == []
                assert "set-cookie" not in reply.headers
        assert payload_of(file) == before
    return sent


async def test_24_no_text_from_outside_is_more_than_text(file: Path) -> None:
    assert await inject(file, 80) > 1_000


@pytest.mark.deep
async def test_24_no_text_from_outside_is_more_than_text_deep(file: Path) -> None:
    print(f"\n{await inject(file, 2_000)} requests with 2,000 payloads, and the file is as it was")
