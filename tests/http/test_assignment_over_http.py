"""Who may do what with a prompt, by real requests: every actor and verb, on own, addressed, group and four-eyes prompts."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from restpoint import ExecutionStore
from restpoint.client import Client
from restpoint.errors import InteractionClaimed
from restpoint.prompts import HumanPromptText
from serving import TEXT_ANSWER, make_app, served, whoever

NOBODY, FORBIDDEN, DONE = 404, 403, 204
TERMS: dict[str, dict[str, Any]] = {
    "own": {},
    "addressed": {"assignees": ["grace"]},
    "group": {"assignees": ["group:finance"]},
    "four eyes": {"assignees": ["ada", "group:finance"], "four_eyes": True},
    "n of m": {"assignees": ["ada", "grace", "group:finance"], "votes": 2},
}
# By the kind of prompt and the actor: listed, seen, in the inbox, and the replies to claim, answer, delegate, reassign,
# cancel and retry. Ada owns it; joan is in the group finance; op is an operator, eye a reader.
MATRIX = {
    ("own", "ada"): (True, True, True, 204, 204, 204, 403, 200, 403),
    ("own", "grace"): (False, False, False, 404, 404, 404, 404, 404, 404),
    ("own", "joan"): (False, False, False, 404, 404, 404, 404, 404, 404),
    ("own", "op"): (True, True, True, 204, 204, 403, 204, 200, 409),
    ("own", "eye"): (True, True, False, 403, 403, 403, 403, 403, 403),
    ("addressed", "ada"): (True, True, False, 403, 403, 403, 403, 200, 403),
    ("addressed", "grace"): (True, True, True, 204, 204, 204, 403, 403, 403),
    ("addressed", "joan"): (False, False, False, 404, 404, 404, 404, 404, 404),
    ("addressed", "op"): (True, True, True, 204, 204, 403, 204, 200, 409),
    ("addressed", "eye"): (True, True, False, 403, 403, 403, 403, 403, 403),
    ("group", "ada"): (True, True, False, 403, 403, 403, 403, 200, 403),
    ("group", "grace"): (False, False, False, 404, 404, 404, 404, 404, 404),
    ("group", "joan"): (True, True, True, 204, 204, 204, 403, 403, 403),
    ("group", "op"): (True, True, True, 204, 204, 403, 204, 200, 409),
    ("four eyes", "ada"): (True, True, False, 403, 403, 403, 403, 200, 403),
    ("four eyes", "joan"): (True, True, True, 204, 204, 204, 403, 403, 403),
    ("four eyes", "op"): (True, True, True, 204, 204, 403, 204, 200, 409),
    ("four eyes", "grace"): (False, False, False, 404, 404, 404, 404, 404, 404),
    ("n of m", "ada"): (True, True, True, 403, 204, 204, 403, 200, 403),
    ("n of m", "grace"): (True, True, True, 403, 204, 204, 403, 403, 403),
    ("n of m", "joan"): (True, True, True, 403, 204, 204, 403, 403, 403),
    ("n of m", "op"): (True, True, True, 403, 204, 403, 204, 200, 409),
    ("n of m", "eye"): (True, True, False, 403, 403, 403, 403, 403, 403),
}
VERBS = {
    "claim": ("/interactions/{prompt}/claim", None),
    "answer": ("/interactions/{prompt}/response", TEXT_ANSWER),
    "delegate": ("/interactions/{prompt}/delegate", {"to": "zoe"}),
    "reassign": ("/interactions/{prompt}/reassign", {"to": ["zoe", "group:legal"], "reason": "on holiday"}),
    "cancel": ("/cancel", {}),
    "retry": ("/retry", {}),
}


async def asked(store: ExecutionStore, kind: str) -> tuple[str, str]:
    record = await store.create_execution(owner="ada")
    pending = await store.set_interaction_required(record.execution_id, HumanPromptText(text="?"), **TERMS[kind])
    return record.execution_id, pending.interaction_id


@pytest.mark.parametrize("kind", TERMS)
async def test_every_actor_may_do_what_the_matrix_says_and_nothing_else(file: Path, kind: str) -> None:
    async with served(make_app(file, authenticate=whoever)) as http, ExecutionStore(database=file) as store:
        for actor in (name for of, name in MATRIX if of == kind):
            said = {"x-user": actor}
            found: list[Any] = []
            execution_id, prompt = await asked(store, kind)
            listed = (await http.get("/executions", headers=said)).json()["items"]
            found.append(execution_id in {item["execution_id"] for item in listed})
            found.append((await http.get(f"/executions/{execution_id}", headers=said)).status_code == 200)
            inbox = (await http.get("/inbox", headers=said)).json()["items"]
            found.append(prompt in {item["interaction_id"] for item in inbox})
            for path, body in VERBS.values():
                execution_id, prompt = await asked(store, kind)
                url = f"/executions/{execution_id}{path.format(prompt=prompt)}"
                found.append((await http.post(url, json=body, headers=said)).status_code)
            assert tuple(found) == MATRIX[kind, actor], actor


FORMS = {
    "claim": ("/claim{prompt}", ""),
    "answer": ("{prompt}", "text=Hopper"),
    "delegate": ("/delegate{prompt}", "delegate-to=zoe"),
    "reassign": ("/reassign{prompt}", "reassign-to=zoe%0D%0Agroup:legal&reassign-reason=on+holiday"),
    "cancel": ("{execution}/cancel", ""),
    "retry": ("{execution}/retry", "reason=again"),
}
TAKEN = {204: 303, 200: 303}  # a page that took a form sends the browser on


@pytest.mark.parametrize("kind", TERMS)
async def test_every_actor_may_do_on_the_pages_what_the_matrix_says_and_sees_no_button_for_more(
    file: Path, kind: str
) -> None:
    async with served(make_app(file, authenticate=whoever)) as http, ExecutionStore(database=file) as store:
        for actor in (name for of, name in MATRIX if of == kind):
            said = {"x-user": actor, "content-type": "application/x-www-form-urlencoded"}

            async def asked_page() -> tuple[str, str]:
                execution_id, prompt = await asked(store, kind)
                return f"/view/{execution_id}", f"/view/{execution_id}/prompt/{prompt}"

            execution, prompt = await asked_page()
            pages = {path: await http.get(path, headers=said) for path in (execution, prompt, "/")}
            found: list[Any] = [pages[execution].status_code == 200, f'href="{prompt}"' in pages["/"].text]
            offered = {
                verb: f'action="{path.format(execution=execution, prompt=prompt)}"' in pages[page].text
                for verb, (path, _) in FORMS.items()
                for page in ([execution] if verb in {"cancel", "retry"} else [prompt])
            }
            offered |= {"answer": 'class="answer"' in pages[prompt].text}
            replies = {}
            for verb, (path, form) in FORMS.items():
                execution, prompt = await asked_page()
                url = path.format(execution=execution, prompt=prompt)
                replies[verb] = (await http.post(url, content=form, headers=said)).status_code
            _, seen, listed, *statuses = MATRIX[kind, actor]
            wanted = {verb: TAKEN.get(status, status) for verb, status in zip(FORMS, statuses, strict=True)}
            assert (*found, replies) == (seen, listed, wanted), actor
            assert {verb for verb, is_offered in offered.items() if is_offered} <= {
                verb for verb, status in wanted.items() if status == 303
            }, actor
            assert offered["answer"] == (wanted["answer"] == 303), actor
            assert offered["delegate"] == (wanted["delegate"] == 303), actor
            assert offered["reassign"] == (wanted["reassign"] == 303), actor
            assert offered["cancel"] == (wanted["cancel"] == 303), actor


async def test_a_claim_is_told_to_whoever_comes_second_and_the_client_raises_it(file: Path) -> None:
    async with served(make_app(file, authenticate=whoever)) as http, ExecutionStore(database=file) as store:
        execution_id, prompt = await asked(store, "group")
        url = f"/executions/{execution_id}/interactions/{prompt}"
        for _ in range(2):
            assert (await http.post(f"{url}/claim", headers={"x-user": "joan"})).status_code == 204
        for verb, body in (("claim", None), ("response", TEXT_ANSWER), ("release", None)):
            reply = await http.post(f"{url}/{verb}", json=body, headers={"x-user": "op"})
            if verb == "release":  # an operator ends the claim of anyone
                assert reply.status_code == 204
                continue
            told = reply.json()
            assert (reply.status_code, told["code"], told["claimed_by"]) == (409, "interaction_claimed", "joan")
            assert 0 < told["claimed_at"] < 1e11  # seconds
        assert (await http.post(f"{url}/response", json=TEXT_ANSWER, headers={"x-user": "joan"})).status_code == 204
        seen = await http.get(f"/executions/{execution_id}", headers={"x-user": "joan"})
        assert seen.status_code == 200  # what they answered stays visible to them


async def test_the_client_has_the_verbs_of_a_prompt(file: Path) -> None:
    async with served(make_app(file)) as http, ExecutionStore(database=file) as store:
        execution_id, prompt = await asked(store, "group")
        async with Client(str(http.base_url)) as client:
            assert [item.interaction_id async for item in client.inbox(page_size=1)] == [prompt]
            await client.claim(execution_id, prompt)
            assert [item.claimed_by async for item in client.inbox()] == ["local"]
            await client.release(execution_id, prompt, "later")
            await client.reassign(execution_id, prompt, ["local"])
            await client.delegate(execution_id, prompt, "grace")
            assert [item.assignees async for item in client.inbox()] == [["grace"]]
            await store.claim_interaction(execution_id, prompt, actor="grace")
            with pytest.raises(InteractionClaimed) as raised:
                await client.claim(execution_id, prompt)
            assert raised.value.claimed_by == "grace"
            assert raised.value.claimed_at > 1e12  # milliseconds


@pytest.mark.parametrize(("verb", "body"), [("delegate", {}), ("delegate", {"to": ["x"]}), ("reassign", {"to": "x"}),
                                            ("reassign", {"to": []}), ("reassign", {"to": [1]})])  # fmt: skip
async def test_a_body_that_names_nobody_is_refused(client: httpx.AsyncClient, verb: str, body: Any) -> None:
    reply = await client.post(f"/executions/x/interactions/y/{verb}", json=body)
    assert (reply.status_code, reply.json()["code"]) == (422, "invalid_body")


async def test_a_body_with_a_key_too_many_is_told_which_it_may_have(client: httpx.AsyncClient) -> None:
    reply = await client.post("/executions/x/interactions/y/response", json={"type": "text", "text": "Fine"})
    told = "The body has 'text'; it may have only response."
    assert (reply.status_code, reply.json()["detail"]) == (422, told)
