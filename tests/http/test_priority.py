"""A priority from its start to the lists: over HTTP, with the client and on the command line."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from restpoint.client import Client
from restpoint.errors import IdempotencyConflict, InvalidArgument
from served import TARGET, Served, served, typed


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("server")
    (folder / "target.py").write_text(TARGET)
    with served("target.py", folder) as running:
        yield running


async def test_a_start_with_a_priority_has_it_in_every_reply(server: Served) -> None:
    async with httpx.AsyncClient(base_url=server.url) as http:
        started = await http.post("/v1/workflows/greet?wait=20&priority=-5", json="Ada")
        assert (started.status_code, started.json()["priority"]) == (202, -5)
        where = f"/executions/{started.json()['execution_id']}"
        assert (await http.get(where)).json()["priority"] == -5
        assert (await http.get("/executions")).json()["items"][0]["priority"] == -5
        assert (await http.post(f"{where}/cancel")).json()["priority"] == -5
        plain = await http.post("/v1/workflows/greet?wait=20", json="Ada")
        assert plain.json()["priority"] == 0


@pytest.mark.parametrize("priority", ["", "high", "1.5", "101", "-101", "--1", "5&priority=5"])
async def test_a_priority_that_is_none_is_refused_and_nothing_starts(server: Served, priority: str) -> None:
    async with httpx.AsyncClient(base_url=server.url) as http:
        before = (await http.get("/executions")).json()
        refused = await http.post(f"/v1/workflows/greet?priority={priority}", json="Ada")
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_argument")
        assert "priority" in refused.json()["detail"]
        assert (await http.get("/executions")).json() == before


async def test_the_client_starts_with_a_priority(server: Served) -> None:
    async with Client(server.url) as client:
        waiting = await client.start("greet", "Ada", wait=20, priority=9, idempotency_key="nine")
        assert waiting.priority == 9
        assert (
            await client.start("greet", "Ada", priority=9, idempotency_key="nine")
        ).execution_id == waiting.execution_id
        with pytest.raises(IdempotencyConflict):
            await client.start("greet", "Ada", idempotency_key="nine")
        assert [item.priority async for item in client.list() if item.execution_id == waiting.execution_id] == [9]
        assert (await client.start("echo", 1, wait=20, priority=3)).priority == 3, "also where it has ended"
        with pytest.raises(InvalidArgument):
            await client.start("greet", "Ada", priority=1_000)


def test_the_command_line_starts_with_a_priority_and_shows_it(server: Served, tmp_path: Path) -> None:
    def ask(*words: str) -> str:
        ran = typed(*words, "--url", server.url, cwd=tmp_path)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    started = json.loads(ask("start", "greet", "--priority", "-7", "--wait", "20", "-o", "json"))
    assert started["priority"] == -7
    assert "priority    -7" in ask("show", started["execution_id"]).splitlines()
    assert "priority -7; Hello you?" in ask("list").splitlines()[1]
    assert json.loads(ask("list", "-o", "json"))[0]["priority"] == -7
    refused = typed("start", "greet", "--priority", "101", "--url", server.url, cwd=tmp_path)
    assert refused.returncode != 0
    assert "from -100 to 100" in refused.stderr
