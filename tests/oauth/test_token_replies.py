"""Replies of token endpoints, as providers really send them: what is taken, and what is not."""

import gzip
import json
from typing import Any
from urllib.parse import urlencode

import pytest

from restpoint.errors import ProviderUnreachable
from restpoint.oauth.providers import Provider
from restpoint.oauth.refusals import TokenRefused, read_refusal
from restpoint.oauth.token_replies import TokenReply, read_reply

SECRET = "canary-secret"


def read(reply: Any, status: int = 200, *, refresh: bool = False, **settings: Any) -> TokenReply:
    provider = Provider("fake", "id", SECRET, issuer="https://login.example", **settings)
    body = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
    return read_reply(provider, status, "application/json", body, [SECRET], refresh=refresh)


def refused(reply: Any, status: int = 200, **settings: Any) -> TokenRefused:
    with pytest.raises(TokenRefused) as found:
        read(reply, status, **settings)
    return found.value


@pytest.mark.parametrize(
    "beside",
    [
        {"error": None},
        {"error": ""},
        {"error": False},
        {"error": "none", "error_description": "nothing went wrong"},
        {"token_type": None},
        {"token_type": ""},
        {"token_type": 7},
        {"token_type": "bearer"},
        {"token_type": " Bearer "},
        {"expires_in": None},
        {"expires_in": "soon"},
        {"expires_in": []},
        {"expires_in": float("nan")},
        {"expires_in": 10**400},
        {"expires_at": "never"},
        {"scope": 5},
        {"scope": [1, "\ud800"]},
        {"refresh_token": {}},
        {"refresh_token": "\ud800"},
        {"id_token": 1},
        {"extra": "\ud800"},
        {"extra": float("inf")},
    ],
)
def test_a_wrong_member_beside_a_usable_token_costs_nothing(beside: dict[str, Any]) -> None:
    found = read({"access_token": "a", "token_type": "Bearer", "kept": "yes", **beside})
    assert (found.access_token, found.extra) == ("a", {"kept": "yes"})


@pytest.mark.parametrize(
    ("told", "seconds"),
    [(3600, 3600), ("3600", 3600), ("3600.0", 3600), (" 3600 ", 3600), (3599.9, 3599.9), (-1, None), (1e300, None)],
)
def test_a_lifetime_is_taken_in_every_form_that_has_a_meaning(told: object, seconds: float | None) -> None:
    assert read({"access_token": "a", "expires_in": told}).expires_in == seconds


@pytest.mark.parametrize(
    "token",
    ["a\r\nx-injected: 1", "a\n", "a\x00", "a\x7f", "a\x1b[2J", "\u00fcml\u00e4ut", "\ud800", "", None, 5, ["a"], {}],
)
def test_a_token_that_no_header_can_carry_is_no_token(token: object) -> None:
    assert refused({"access_token": token, "token_type": "Bearer"}).refusal.code == "invalid_token_response"


@pytest.mark.parametrize("kind", ["mac", "DPoP", "N_A", "bearer\r\n x"])
def test_a_token_that_is_no_bearer_token_is_refused(kind: str) -> None:
    refusal = refused({"access_token": "a", "token_type": kind}).refusal
    assert (refusal.code, "token_type" in refusal.description) == ("invalid_token_response", True)


def test_a_provider_may_have_its_own_word_for_bearer() -> None:
    assert read({"access_token": "a", "token_type": "user"}, token_type="user").access_token == "a"
    assert read({"access_token": "a", "token_type": "Bearer"}, token_type="user").access_token == "a"
    assert (
        refused({"access_token": "a", "token_type": "bot"}, token_type="user").refusal.code == "invalid_token_response"
    )


@pytest.mark.parametrize("status", [200, 400, 401, 403])
@pytest.mark.parametrize("code", ["invalid_client", "invalid_grant", "temporarily_unavailable"])
def test_an_error_without_a_token_is_read_whatever_its_status(code: str, status: int) -> None:
    assert refused({"ok": False, "error": code}, status).refusal.code == code


def test_an_error_status_gives_no_token() -> None:
    assert refused({"access_token": "a", "error": "invalid_grant"}, 400).refusal.code == "invalid_grant"
    assert refused({"access_token": "a"}, 400).refusal.code == "invalid_token_response"


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_status_that_passes_is_passing_whatever_the_body_says(status: int) -> None:
    with pytest.raises(ProviderUnreachable, match=str(status)):
        read({"error": "invalid_client"}, status)


@pytest.mark.parametrize("body", [b"", b"<h1>Welcome</h1>", b"[]", b"1", b"[" * 100_000, b"9" * 5_000, b"\xff\xfe"])
def test_a_body_that_is_no_object_is_no_answer(body: bytes) -> None:
    with pytest.raises(ProviderUnreachable, match="not a token response"):
        read(body)
    refusal = refused(body, 404).refusal
    assert (refusal.code, refusal.kind, "404" in refusal.description) == ("invalid_token_response", "not_set_up", True)


def test_what_an_operator_is_told_is_one_printable_line_without_what_was_sent() -> None:
    trace = "b7e3c6a0-5f0e-4a39-9d0a-0a5a2b1d6c01"
    evil = f"AADSTS7000215:\r\n\x1b[31m {SECRET} \u202e\u2066 gho_{'A1' * 18} {trace} {'x ' * 10_000}"
    refusal = refused({"error": "invalid_client", "error_description": evil}, 401).refusal
    assert refusal.description.startswith(f"AADSTS7000215: [31m [removed] [removed] {trace} x")
    assert len(refusal.description) <= 501
    assert refusal.description.isprintable()


@pytest.mark.parametrize("code", [None, 5, [], "", "<b>", "a b", "x" * 101, "a\n"])
def test_a_code_of_another_form_is_unknown(code: object) -> None:
    assert read_refusal(code, code).code == "unknown_error"


def test_a_replaced_refresh_token_is_kept_where_the_access_token_beside_it_is_of_no_use() -> None:
    for reply in ({"access_token": "", "refresh_token": "new"}, {"error": "x", "refresh_token": "new"}):
        assert refused(reply).refresh_token == "new"


# --- Settings of a provider ------------------------------------------------------------------------------------------

SLACK = {
    "ok": True,
    "access_token": "xoxb-bot",
    "token_type": "bot",
    "scope": "commands",
    "team": {"id": "T1"},
    "authed_user": {
        "id": "U1", "scope": "chat:write,users:read", "access_token": "xoxp-user", "token_type": "user",
        "expires_in": 43200, "refresh_token": "xoxe-1",
    },
}  # fmt: skip


def test_the_token_is_taken_from_where_the_provider_puts_it() -> None:
    found = read(SLACK, token_path="authed_user", token_type="user")
    assert (found.access_token, found.refresh_token, found.expires_in) == ("xoxp-user", "xoxe-1", 43200)
    assert found.scopes == ("chat:write", "users:read")
    assert found.extra == {"id": "U1", "ok": True, "team": {"id": "T1"}}
    assert read({"data": {"token": {"access_token": "a"}}}, token_path="data.token").access_token == "a"


def test_the_token_of_somebody_else_is_not_taken_where_the_right_one_is_missing() -> None:
    refusal = refused({**SLACK, "authed_user": {"id": "U1"}}, token_path="authed_user", token_type="user").refusal
    assert (refusal.code, "authed_user" in refusal.description) == ("invalid_token_response", True)
    wrong: tuple[object, ...] = (None, "xoxp", [], 5)
    for elsewhere in wrong:
        assert refused({**SLACK, "authed_user": elsewhere}, token_path="authed_user").refusal.kind == "not_set_up"


def test_a_refreshed_token_may_be_at_the_top() -> None:
    reply = {"ok": True, "access_token": "xoxp-new", "token_type": "user", "refresh_token": "xoxe-2"}
    found = read(reply, token_path="authed_user", token_type="user", refresh=True)
    assert (found.access_token, found.refresh_token) == ("xoxp-new", "xoxe-2")


def test_an_operator_is_told_what_a_reply_has_instead_of_a_token() -> None:
    description = refused(SLACK | {"access_token": None}).refusal.description
    assert "authed_user" in description
    assert "token_path" in description
    assert "xoxp" not in description


def test_a_form_is_read_by_its_content_type_or_by_the_setting() -> None:
    body = urlencode(
        {"access_token": "gho_1", "scope": "repo,gist", "token_type": "bearer", "expires_in": "28800"}
    ).encode()
    provider = Provider("fake", "id", SECRET, issuer="https://login.example")
    found = read_reply(provider, 200, "application/x-www-form-urlencoded; charset=utf-8", body, [])
    assert (found.access_token, found.scopes, found.expires_in) == ("gho_1", ("repo", "gist"), 28800)
    assert read(body, token_response_format="form").access_token == "gho_1"
    error = b"error=incorrect_client_credentials&error_description=The+client_id+is+wrong."
    assert str(refused(error, token_response_format="form")) == "incorrect_client_credentials (The client_id is wrong.)"
    with pytest.raises(ProviderUnreachable):
        read(b"&".join([b"a=1"] * 2_000), token_response_format="form")
    with pytest.raises(ProviderUnreachable):
        read(gzip.compress(body), token_response_format="form")
