"""The bytes of details: hashed into the chain and exported, so they never change for an event that has been written before."""

from hashlib import sha256
from typing import Any

import pytest

from restpoint._core.changes import Terms
from restpoint._core.execution_row import ExecutionRow
from restpoint._storage import event_details
from restpoint.access import Actor
from restpoint.errors import NotJSON

PROMPT = '{"text":"Go on?"}'
RESPONSE = '{"type":"text","text":"{\\"}"}'
ADDRESSED = Terms('["bob","group:finance"]', 1)


def new(**labels: Any) -> ExecutionRow:
    return ExecutionRow("e", "running", **labels)


def hashed(text: str) -> str:
    return sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("detail", "written"),
    [
        (event_details.created(new(workflow="refund", owner="ada")), '{"workflow":"refund","owner":"ada"}'),
        (event_details.created(new(owner="ada")), '{"owner":"ada"}'),
        (event_details.created(new(owner="ada", priority=-3)), '{"owner":"ada","priority":-3}'),
        (event_details.created(new()), None),
        (event_details.failed("no luck", "no_luck", digest=False), '{"error":"no luck","code":"no_luck"}'),
        (event_details.failed("no", None, digest=True), f'{{"error_sha256":"{hashed("no")}","code":null}}'),
        (event_details.asked(PROMPT, digest=False), f'{{"prompt":{PROMPT}}}'),
        (event_details.asked(PROMPT, digest=True), f'{{"prompt_sha256":"{hashed(PROMPT)}"}}'),
        (event_details.asked(PROMPT, digest=False, position="0/1"), f'{{"prompt":{PROMPT},"position":"0/1"}}'),
        (
            event_details.asked(PROMPT, ADDRESSED, digest=False, position="3"),
            f'{{"prompt":{PROMPT},"assignees":["bob","group:finance"],"four_eyes":true,"position":"3"}}',
        ),
        (
            event_details.asked(PROMPT, Terms('["bob"]'), digest=False),
            f'{{"prompt":{PROMPT},"assignees":["bob"],"four_eyes":false}}',
        ),
        (
            event_details.asked(PROMPT, Terms(four_eyes=1), digest=False),
            f'{{"prompt":{PROMPT},"assignees":null,"four_eyes":true}}',
        ),
        (
            event_details.asked(
                PROMPT, Terms(remind_after=(5, 7), escalate_after=9, escalate_to='["bob"]'), digest=False
            ),
            f'{{"prompt":{PROMPT},"remind_after_ms":[5,7],"escalate_after_ms":9,"escalate_to":["bob"]}}',
        ),
        (event_details.reminded(["bob", "group:it"]), '{"to":["bob","group:it"]}'),
        (event_details.escalated(["bob"], []), '{"assignees":["bob"]}'),
        (event_details.escalated(["bob"], ["ada"]), '{"assignees":["bob"],"kept_out":["ada"]}'),
        (event_details.escalated([], ["ada"]), '{"kept_out":["ada"]}'),
        (event_details.answered(RESPONSE, digest=False), f'{{"response":{RESPONSE}}}'),
        (
            event_details.answered(RESPONSE, digest=True, actor=Actor("bob")),
            f'{{"response_sha256":"{hashed(RESPONSE)}","authority":"application"}}',
        ),
        (
            event_details.answered(
                RESPONSE,
                digest=False,
                actor=Actor("bob", groups=frozenset({"it", "finance"}), roles=frozenset({"operator"})),
                authority="assignee",
            ),
            f'{{"response":{RESPONSE},"authority":"assignee","groups":["finance","it"],"roles":["operator"]}}',
        ),
        (event_details.consent("github", ("repo", "user")), '{"provider":"github","scopes":["repo","user"]}'),
        (event_details.denied("github", "access_denied"), '{"provider":"github","code":"access_denied"}'),
    ],
)
def test_a_detail_has_the_bytes_that_it_always_had(detail: str | None, written: str | None) -> None:
    assert detail == written


def test_an_authority_is_text() -> None:
    with pytest.raises(NotJSON, match="authority"):
        event_details.answered(RESPONSE, digest=False, actor=Actor("bob"), authority="\x00")
