"""The examples do what they say, over real HTTP, and also over a kill in the middle."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from restpoint.client.client import Client
from restpoint.errors import ExecutionNotFound, InputNotAccepted, NotAllowed
from restpoint.http import bearer_tokens
from restpoint.prompts import HumanPromptBinary, HumanPromptRadio, HumanResponseBinary, HumanResponseRadio
from served import EXAMPLES, PATIENCE, environment, served
from support import line_of

ORDER = {"customer": "Ada Lovelace", "amount": 120}


def made_tokens(folder: Path) -> dict[str, str]:
    people = {"sam": (), "joan": ("finance",), "eve": ("press",)}
    return {name: bearer_tokens.add(folder / "tokens.json", name, groups=groups) for name, groups in people.items()}


async def test_a_refund_above_the_limit_is_approved_by_finance_and_nobody_else(tmp_path: Path) -> None:
    people = made_tokens(tmp_path)
    with served(str(EXAMPLES / "approval.py"), tmp_path, "--tokens-file", "tokens.json") as server:
        async with (
            Client(server.url, people["sam"]) as sam,
            Client(server.url, people["joan"]) as joan,
            Client(server.url, people["eve"]) as eve,
        ):
            small = await sam.start("refund", {**ORDER, "amount": 20}, wait=20)
            assert small.result == {
                "status": "sent",
                "receipt": "receipt for 20.00 EUR to Ada Lovelace",
                "reason": None,
            }
            with pytest.raises(InputNotAccepted, match="amount"):
                await sam.start("refund", {**ORDER, "amount": -1})

            started = await sam.start("refund", ORDER, wait=20)
            execution_id, (asked,) = started.execution_id, started.interactions
            assert isinstance(asked.prompt, HumanPromptBinary)
            assert asked.prompt.text == "Refund 120.00 EUR to Ada Lovelace?"
            assert asked.assignees == ["group:finance"]
            yes = HumanResponseBinary(selected_option=asked.prompt.options[0])
            with pytest.raises(NotAllowed, match="second pair of eyes"):
                await sam.answer(execution_id, asked.interaction_id, yes)
            with pytest.raises(ExecutionNotFound):
                await eve.answer(execution_id, asked.interaction_id, yes)
            await joan.answer(execution_id, asked.interaction_id, yes)
            ended = await sam.wait_until_ended(execution_id, timeout=PATIENCE)
            assert ended.result["status"] == "sent"
            (answer,) = [item for item in await sam.history(execution_id) if item.event == "interaction_answered"]
            assert answer.actor == "joan"

            started = await sam.start("refund", ORDER, wait=20)
            no = HumanResponseBinary(selected_option=asked.prompt.options[1])
            await joan.answer(started.execution_id, started.interactions[0].interaction_id, no)
            ended = await sam.wait_until_ended(started.execution_id, timeout=PATIENCE)
            assert ended.result == {"status": "declined", "receipt": None, "reason": "finance said no"}


async def test_reviewers_are_asked_at_once_and_answer_in_any_order_over_a_kill(tmp_path: Path) -> None:
    target = str(EXAMPLES / "parallel.py")
    with served(target, tmp_path) as first:
        async with Client(first.url) as client:
            started = await client.start("review", {"title": "News"}, wait=20)
            execution = await client.status(started.execution_id)
            while len(execution.interactions) < 3:
                execution = await client.status(started.execution_id)
            by_name = {re.findall(r"For (\w+)", each.prompt.text)[0]: each for each in execution.interactions}
            assert set(by_name) == {"legal", "press", "security"}
            prompt = by_name["press"].prompt
            assert isinstance(prompt, HumanPromptRadio)
            approve, against = (HumanResponseRadio(selected_option=option) for option in prompt.options)
            await client.answer(execution.execution_id, by_name["security"].interaction_id, approve)
        first.kill()
    with served(target, tmp_path) as second:
        async with Client(second.url) as client:
            await client.answer(execution.execution_id, by_name["press"].interaction_id, against)
            await client.answer(execution.execution_id, by_name["legal"].interaction_id, approve)
            ended = await client.wait_until_ended(execution.execution_id, timeout=PATIENCE)
            assert ended.result == {
                "published": False,
                "votes": {"legal": "approve", "press": "object", "security": "approve"},
            }
            told = [event async for event in client.events(execution.execution_id)]
            emitted = [event.data["detail"]["data"]["reviewer"] for event in told if event.event == "emitted"]
            assert sorted(emitted) == ["legal", "press", "security"]


async def test_a_reviewer_who_is_silent_until_the_deadline_has_no_objection(tmp_path: Path) -> None:
    with served(str(EXAMPLES / "parallel.py"), tmp_path) as server:
        async with Client(server.url) as client:
            draft = {"title": "News", "reviewers": ["legal", "press"], "days": 1 / 24 / 3600}
            started = await client.start("review", draft)
            ended = await client.wait_until_ended(started.execution_id, timeout=PATIENCE)
            assert ended.result == {"published": True, "votes": {"legal": "approve", "press": "approve"}}
            answered = [
                item for item in await client.history(started.execution_id) if item.event == "interaction_answered"
            ]
            assert [(item.actor, item.cause) for item in answered] == [(None, "deadline")] * 2


@contextmanager
def shop(folder: Path) -> Iterator[str]:
    """The application that embeds the routes, run by the web server's own command."""
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(EXAMPLES), "--port", "0", "embedded:app"]
    variables = environment(SHOP_DATABASE=str(folder / "shop.db"), NO_COLOR="1")
    with subprocess.Popen(command, cwd=folder, env=variables, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = ""
        try:
            while (found := re.search(r"running on (http://[\d.:]+)", line := line_of(process.stderr))) is None:
                said += line
                assert line, said
            yield found[1]
            process.terminate()
            process.communicate(timeout=PATIENCE)
        finally:
            process.kill()


async def test_an_application_that_embeds_the_routes_asks_its_own_people(tmp_path: Path) -> None:
    ada, eve = {"x-demo-user": "ada"}, {"x-demo-user": "eve"}
    with shop(tmp_path) as url:
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE) as http:
            cancelled = (await http.post("/orders/17/cancel", headers=ada)).json()
            assert (await http.post("/orders/17/cancel", headers=ada)).json() == cancelled
            question = cancelled["question"]
            assert (await http.get(question)).status_code == 401
            assert (await http.get(question, headers=eve)).status_code == 404
            asked = (await http.get(question, headers=ada)).json()
            while asked["status"] == "running":
                asked = (await http.get(question, params={"wait": 20}, headers=ada)).json()
            assert asked["prompt"]["text"] == "Why did you cancel order 17?"
            assert asked["response_url"].startswith("/questions/executions/")
    with shop(tmp_path) as url:
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE) as http:
            body = {"response": {"type": "text", "text": "It rained."}}
            assert (await http.post(asked["response_url"], json=body, headers=eve)).status_code == 404
            assert (await http.post(asked["response_url"], json=body, headers=ada)).status_code == 204
            ended = (await http.get(question, headers=ada)).json()
            while ended["status"] != "completed":
                ended = (await http.get(question, params={"wait": 20}, headers=ada)).json()
            assert ended["result"] == "It rained."
