"""Cases that schemathesis makes of the OpenAPI document of a server, each with every check it has."""

import json
from typing import TYPE_CHECKING, Any

import httpx
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from restpoint.oauth.providers import Provider
from serving import TEXT_ANSWER
from support import PATIENCE

if TYPE_CHECKING:
    from schemathesis import Case

_NOWHERE = "http://127.0.0.1:9/"
PROVIDER = Provider("nowhere", "a client", authorization_endpoint=_NOWHERE, token_endpoint=_NOWHERE)
"""The provider that the server needs, so that it has every operation."""


def known(url: str, case: "Case[Any]") -> dict[str, str]:
    """Ids that exist, so that a case gets past the 404: of an execution that waits, or for a stream one that has ended."""
    with httpx.Client(base_url=url) as client:
        if "consent_id" in case.path_parameters:
            body: dict[str, Any] = client.post("/v1/workflows/connect").json()
            return {"execution_id": body["execution_id"], "consent_id": body["oauth_state"]}
        body = client.post("/v1/workflows/greet").json()
        if case.path.endswith("/events"):
            client.post(f"{body['status_url']}/cancel")
        elif case.path.endswith("/response") and case.method == "POST":
            client.post(body["response_url"], json=TEXT_ANSWER)
    return {name: body[name] for name in ("execution_id", "interaction_id")}


def beyond_schemas(reply: Any) -> bool:
    """Whether what was sent is refused for what no schema can say: another prompt's answer, another request's key or page."""
    if reply.headers.get("content-type", [""])[0].startswith(
        "text/html"
    ):  # a state, a proof or a ticket that is nobody's
        return True
    if reply.status_code != 422:
        return False
    problem = json.loads(reply.content)
    return (
        problem["code"] in {"response_not_accepted", "idempotency_conflict"}
        or "is not a cursor" in problem["detail"]
        or "can reach nobody" in problem["detail"]
    )


def hold_its_code(case: "Case[Any]", reply: Any) -> None:
    """Hold the code of a problem to those that the document has under its status; a workflow that fails has its own."""
    if reply.headers.get("content-type", [""])[0] != "application/problem+json":
        return
    problem = json.loads(reply.content)
    if "execution_id" in problem and case.path.startswith("/v1/"):
        return
    responses = case.operation.definition.raw["responses"]
    assert problem["code"] in responses[str(reply.status_code)]["content"]["application/problem+json"]["examples"]


def hold_to_its_document(url: str, examples: int, half: int) -> dict[str, int]:
    """Make cases for half of the operations and check each reply. Returns how many each status was answered with."""
    # Here, because the import takes a second, and few tests want it.
    import schemathesis
    from schemathesis import GenerationMode
    from schemathesis.specs.openapi.checks import positive_data_acceptance

    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    statuses: dict[str, int] = {}
    operations = list(schema.get_all_operations())
    assert len(operations) == 48
    for found in operations[half::2]:
        operation = found.ok()  # type: ignore[union-attr]
        cases = st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in GenerationMode))

        @settings(
            max_examples=examples,
            derandomize=examples < 1_000,  # the same ones at every ordinary run; the deep one looks for new ones
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=cases, real=st.booleans(), label=st.just(operation.label))
        def hold(case: "Case[Any]", real: bool, label: str) -> None:
            if real and "execution_id" in case.path_parameters:
                ids = known(url, case)
                case.path_parameters.update({name: ids[name] for name in case.path_parameters})
                case.query.pop("wait", None)
            if case.path == "/events" and case.query.get("follow") not in {"false", False}:
                case.query["follow"] = "false"  # without it the stream has no end
            reply = case.call(timeout=PATIENCE)
            case.validate_response(reply, excluded_checks=[positive_data_acceptance] if beyond_schemas(reply) else [])
            hold_its_code(case, reply)
            key = f"{label} {reply.status_code}"
            statuses[key] = statuses.get(key, 0) + 1

        hold()
    return statuses
