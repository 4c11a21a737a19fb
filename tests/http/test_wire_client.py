"""A client that knows only the table of the original's wire, in polling and in streaming mode.

It imports nothing of ours: the statuses, fields and events below are what the table names, and whatever else is there it
does not look at.
"""

import json
import time
import urllib.error
import urllib.request
from asyncio import to_thread
from pathlib import Path
from typing import Any

import pytest

from serving import make_app, served
from support import PATIENCE


class WireClient:
    """Polls, answers and reads streams with the standard library."""

    def __init__(self, server: str) -> None:
        self.server = server

    def _call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.server + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
            text = reply.read()
            return reply.status, json.loads(text) if text else None

    def _respond(self, asking: dict[str, Any], picks: dict[str, Any]) -> None:
        kind = asking["prompt"]["input_type"]
        if kind == "text":
            response = {"type": "text", "text": picks["text"]}
        else:
            response = {"type": kind, "selected_option": asking["prompt"]["options"][picks["option"]]}
        status, _ = self._call("POST", asking["response_url"], {"response": response})
        assert status == 204

    def poll(self, body: object, **picks: Any) -> Any:
        """Start, answer what is asked, and give the result."""
        status, told = self._call("POST", "/v1/workflow", body)
        if status == 200:
            return told
        assert status == 202
        execution_id, status_url = told["execution_id"], told["status_url"]
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            match told["status"]:
                case "completed":
                    return told["result"]
                case "failed":
                    raise RuntimeError(told["error"])
                case "interaction_required":
                    assert set(told) >= {"execution_id", "interaction_id", "prompt", "response_url"}
                    self._respond(told, picks)
                case "oauth_required":
                    return told["auth_url"], told["oauth_state"]
                case "running":
                    pass
            _, told = self._call("GET", status_url)
            assert told["execution_id"] == execution_id
        raise TimeoutError

    def stream(self, body: object, **picks: Any) -> list[Any]:
        """Start as a stream, answer what it asks, and give every chunk."""
        request = urllib.request.Request(
            f"{self.server}/v1/workflow/stream", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        chunks: list[Any] = []
        with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
            assert reply.headers["content-type"].startswith("text/event-stream")
            name = None
            for line in (raw.decode().rstrip("\n") for raw in reply):
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    data = json.loads(line.removeprefix("data: "))
                    if name is None:
                        chunks.append(data)
                    elif name == "interaction_required":
                        assert data["event_type"] == name
                        self._respond(data, picks)
                    elif name == "oauth_required":
                        assert data["event_type"] == name
                        return [data["auth_url"], data["oauth_state"]]
                    elif name == "error":
                        raise RuntimeError(data)
                elif not line:
                    name = None
        return chunks


CASES: list[tuple[str, Any, dict[str, Any], Any, list[Any]]] = [
    ("echo", {"a": 1}, {}, {"a": 1}, [{"a": 1}]),
    ("greet", "Ada", {"text": "Hopper"}, "Ada Hopper", ["Ada Hopper"]),
    ("choose", None, {"option": 1}, ["call"], [["call"]]),
    ("both", None, {"text": "x"}, ["x", "x"], [["x", "x"]]),
    ("progress", None, {"text": "y"}, "y", [{"done": 1}, "two", "y"]),
]


@pytest.mark.parametrize("mode", ["polling", "streaming"])
@pytest.mark.parametrize(("name", "body", "picks", "result", "chunks"), CASES, ids=[case[0] for case in CASES])
async def test_a_client_of_the_table_gets_its_result(
    file: Path, mode: str, name: str, body: Any, picks: dict[str, Any], result: Any, chunks: list[Any]
) -> None:
    async with served(make_app(file, default=name)) as http:
        client = WireClient(str(http.base_url))
        if mode == "polling":
            assert await to_thread(client.poll, body, **picks) == result
        else:
            assert await to_thread(client.stream, body, **picks) == chunks


@pytest.mark.parametrize("mode", ["poll", "stream"])
async def test_a_client_of_the_table_is_told_of_consents_and_failures(file: Path, mode: str) -> None:
    async with served(make_app(file, default="consent")) as http:
        told = await to_thread(getattr(WireClient(str(http.base_url)), mode), None)
        assert list(told) == ["https://id.example/go?state=s3cret", "s3cret"]
    async with served(make_app(file, default="broken")) as http:
        with pytest.raises((RuntimeError, urllib.error.HTTPError)):
            await to_thread(getattr(WireClient(str(http.base_url)), mode), None)
