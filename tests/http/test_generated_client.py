"""A client that a generator makes of the OpenAPI document, and nobody touched, does what it is for."""

import asyncio
import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from restpoint.http import bearer_tokens
from serving import make_app, served

PACKAGE = "client_of_restpoint"
# JSON Lines are no content type that this generator knows; it may not warn of anything else.
CONFIG = "post_hooks: []\ncontent_type_overrides:\n  application/jsonl: text/plain\n"


def generate(document: bytes, folder: Path) -> None:
    (folder / "openapi.json").write_bytes(document)
    (folder / "config.yaml").write_text(CONFIG, "utf-8")
    command = [
        sys.executable,
        "-m",
        "openapi_python_client",
        "generate",
        "--path",
        "openapi.json",
        "--config",
        "config.yaml",
    ]
    command += ["--output-path", PACKAGE, "--meta", "none", "--fail-on-warning"]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def module(name: str) -> ModuleType:
    return importlib.import_module(f"{PACKAGE}.{name}")


async def test_a_generated_client_starts_a_workflow_and_answers_its_prompt(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = tmp_path / "tokens.json"
    token = bearer_tokens.add(tokens, "ada")
    async with served(make_app(file, tokens_file=tokens)) as http:
        await asyncio.to_thread(generate, (await http.get("/openapi.json")).content, tmp_path)
        monkeypatch.syspath_prepend(tmp_path)
        try:
            await exchange(str(http.base_url), token)
        finally:
            for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
                del sys.modules[name]


async def exchange(url: str, token: str) -> None:
    """Start, answer wrongly, answer rightly, poll, and poll as nobody, all by the generated functions."""
    models, clients = module("models"), module("client")
    start, poll = module("api.workflows.start_workflow"), module("api.executions.get_execution")
    answer = module("api.executions.answer_interaction")
    async with clients.AuthenticatedClient(base_url=url, token=token) as client:
        started = await start.asyncio("greet", client=client, body="Grace")
        assert isinstance(started, models.StartedInteractionRequired)
        assert isinstance(started.prompt, models.HumanPromptText)
        assert (started.prompt.text, started.owner) == ("Hello Grace?", "ada")
        ids = (started.execution_id, started.interaction_id)

        wrong = models.InteractionResponse(models.HumanResponseText(text=" ", type_="text"))
        refused = await answer.asyncio(*ids, client=client, body=wrong)
        assert isinstance(refused, models.ProblemDetails)
        assert (refused.status, refused.code) == (422, "response_not_accepted")
        right = models.InteractionResponse(models.HumanResponseText(text="Hopper", type_="text"))
        assert (await answer.asyncio_detailed(*ids, client=client, body=right)).status_code == 204

        polled = await poll.asyncio(started.execution_id, client=client, wait=20.0)
        while isinstance(polled, models.ExecutionRunning):
            polled = await poll.asyncio(started.execution_id, client=client, wait=20.0)
        assert isinstance(polled, models.ExecutionCompleted)
        assert polled.result == "Grace Hopper"
    async with clients.Client(base_url=url) as nobody:
        unknown = await poll.asyncio(started.execution_id, client=nobody)
        assert isinstance(unknown, models.ProblemDetails)
        assert unknown.code == "not_authenticated"
