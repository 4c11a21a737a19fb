"""Providers are read strictly, so that a mistake is told at the start and not to the first person who consents."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from fake_provider import fake_provider
from restpoint.errors import InvalidArgument, ProviderUnreachable
from restpoint.oauth.provider_client import ProviderClient
from restpoint.oauth.providers import Provider, by_name, read

ISSUER = "https://login.example"


@pytest_asyncio.fixture
async def provider_client() -> AsyncIterator[ProviderClient]:
    made = ProviderClient(5)
    yield made
    await made.close()


def test_a_file_of_providers_is_read_with_secrets_from_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "providers.toml"
    path.write_text(
        """
        [github]
        title = "GitHub"
        client_id = "id"
        client_secret_env = "GITHUB"
        authorization_endpoint = "https://github.com/login/oauth/authorize"
        token_endpoint = "https://github.com/login/oauth/access_token"
        scopes = ["repo", "repo", "gist"]
        token_endpoint_auth_method = "client_secret_post"
        authorization_parameters = { allow_signup = "false" }
        redirect_uri = "https://approvals.example/auth/redirect/github"

        [local]
        client_id = "id"
        issuer = "http://127.0.0.1:9000"
        """
    )
    github, local = read(path, {"GITHUB": "canary-secret"})
    assert (github.shown, github.scopes, github.mount) == ("GitHub", ("repo", "gist"), "https://approvals.example")
    assert (github.client_secret, "canary" in repr(github)) == ("canary-secret", False)
    assert (local.shown, local.client_secret, local.mount) == ("local", None, None)
    assert list(by_name([github, local])) == ["github", "local"]
    with pytest.raises(InvalidArgument, match="GITHUB, which is not set"):
        read(path, {})
    with pytest.raises(InvalidArgument, match="Two providers"):
        by_name([github, github])


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ("a = 1", "must be a table"),
        ("[a", "not TOML"),
        ('[a]\nclient_id = "i"\nissuer = "https://i"\nclient_secret = "s"', "client_secret_env"),
        ('[a]\nclient_id = "i"\nisuer = "https://i"', "'isuer'"),
        ('[a]\nissuer = "https://i"', "client_id"),
        ('[a]\nclient_id = 1\nissuer = "https://i"', "needs client_id to be text"),
        ('[a]\nclient_id = "i"\nissuer = "https://i"\nscopes = "x"', "needs scopes to be a list"),
        ('[a]\nclient_id = "i"\nissuer = "https://i"\nresource = "x"', "needs resource to be a list"),
        ('[a]\nclient_id = "i"\nissuer = "https://i"\npkce = "no"', "needs pkce to be true or false"),
    ],
)
def test_a_file_that_is_wrong_is_refused(tmp_path: Path, table: str, problem: str) -> None:
    path = tmp_path / "providers.toml"
    path.write_text(table)
    with pytest.raises(InvalidArgument, match=problem):
        read(path, {})


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="cannot be read"):
        read(tmp_path / "missing.toml", {})


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"name": "a b"}, "another name"),
        ({"client_id": ""}, "client_id"),
        ({"issuer": None}, "its issuer"),
        ({"issuer": "http://login.example"}, "needs https"),
        ({"issuer": "login.example"}, "begins with https"),
        ({"issuer": f"{ISSUER}#x"}, "without a fragment"),
        ({"issuer": f"{ISSUER}?x=1"}, "with a query"),
        ({"issuer": "https://user@login.example"}, "user name"),
        ({"authorization_endpoint": f"{ISSUER}/a"}, "both endpoints"),
        ({"scopes": "repo"}, "list of names"),
        ({"scopes": ["two words"]}, "is not a scope"),
        ({"scopes": ['quo"te']}, "is not a scope"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "is one of"),
        ({"token_endpoint_auth_method": "client_secret_post"}, "no client secret"),
        ({"authorization_parameters": {"state": "x"}}, "sets state"),
        ({"authorization_parameters": {"x": 1}}, "needs text"),
        ({"issuer": "https://login.example/{tenantid}"}, "metadata_issuer"),
        (
            {"issuer": None, "metadata_issuer": ISSUER, "authorization_endpoint": ISSUER, "token_endpoint": ISSUER},
            "no issuer at whose address",
        ),
        ({"pkce": False}, "cannot do without PKCE"),
        ({"response_mode": "fragment"}, "one of 'query', 'form_post'"),
        ({"token_response_format": "xml"}, "one of 'json', 'form'"),
        ({"scope_parameter": "state"}, "name of a parameter"),
        ({"scope_separator": ";"}, "one of ' ', ','"),
        ({"scope_parameter": "a b"}, "name of a parameter"),
        ({"resource": "https://api.example"}, "to be a list"),
        ({"resource": ["api"]}, "absolute URI"),
        ({"resource": ["https://api.example#x"]}, "absolute URI"),
        ({"issuer": "https://login.example:99999"}, "begins with https"),
        ({"issuer": "https://login.example/" + "a" * 3_000}, "begins with https"),
        ({"redirect_uri": "https://approvals.example/callback"}, "ends with /auth/redirect"),
        ({"redirect_uri": "https://approvals.example/auth/redirect/other"}, "ends with /auth/redirect"),
    ],
)
def test_a_provider_that_is_wrong_is_refused(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidArgument, match=problem):
        Provider(**{"name": "a", "client_id": "i", "issuer": ISSUER, **settings})


async def test_the_metadata_of_an_issuer_say_the_rest(provider_client: ProviderClient) -> None:
    async with fake_provider() as fake:
        found = await provider_client.endpoints(fake.provider())
        assert (found.authorization, found.token) == (f"{fake.issuer}/authorize", f"{fake.issuer}/token")
        assert (found.auth_method, found.issuer, found.sends_issuer) == ("client_secret_basic", fake.issuer, True)
        fake.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"]}
        assert (await provider_client.endpoints(fake.provider())) is found, "asked once an hour"
        assert (await provider_client.endpoints(fake.provider("again"))).auth_method == "client_secret_post"


@pytest.mark.parametrize(
    ("metadata", "problem"),
    [
        ({"issuer": "https://evil.example"}, "must be identical"),
        ({"token_endpoint": None}, "no token_endpoint"),
        ({"authorization_endpoint": "http://login.example/a"}, "needs https"),
    ],
)
async def test_metadata_that_are_not_this_issuers_are_refused(
    provider_client: ProviderClient, metadata: dict[str, Any], problem: str
) -> None:
    async with fake_provider() as fake:
        fake.metadata = metadata
        with pytest.raises(InvalidArgument, match=problem):
            await provider_client.endpoints(fake.provider())


async def test_metadata_from_elsewhere_name_no_endpoint_on_this_machine(provider_client: ProviderClient) -> None:
    issuer = "https://login.example"
    told = {"issuer": issuer, "authorization_endpoint": f"{issuer}/a", "token_endpoint": "http://127.0.0.1:9200/token"}
    body = httpx.Response(200, json=told).content

    class Body(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield body

    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=Body()))
    provider_client._http = httpx.AsyncClient(transport=transport)
    with pytest.raises(InvalidArgument, match="token_endpoint"):
        await provider_client.endpoints(Provider("corporate", "id", "secret", issuer=issuer))


@pytest.mark.parametrize(
    ("told", "advice"),
    [
        ("SLASH", "the slash at the end: set issuer = "),
        ("https://login.example/{tenantid}/v2.0", "TENANT-ID"),
        ("https://other.example", "set metadata_issuer = 'https://other.example'"),
        (None, "Correct its issuer, or configure both endpoints"),
    ],
)
async def test_who_has_the_wrong_issuer_is_told_what_to_configure(
    provider_client: ProviderClient, told: str | None, advice: str
) -> None:
    async with fake_provider() as fake:
        fake.metadata = {"issuer": f"{fake.issuer}/" if told == "SLASH" else told}
        with pytest.raises(InvalidArgument, match=re.escape(advice)):
            await provider_client.endpoints(fake.provider())


async def test_a_way_to_send_the_secret_that_is_not_known_here_is_told(provider_client: ProviderClient) -> None:
    async with fake_provider() as fake:
        fake.metadata = {"token_endpoint_auth_methods_supported": ["private_key_jwt", "tls_client_auth"]}
        with pytest.raises(InvalidArgument, match="private_key_jwt, tls_client_auth"):
            await provider_client.endpoints(fake.provider())
        configured = fake.provider("configured", token_endpoint_auth_method="client_secret_post")
        assert (await provider_client.endpoints(configured)).auth_method == "client_secret_post"


async def test_an_issuer_that_has_no_metadata_is_not_reached(provider_client: ProviderClient) -> None:
    async with fake_provider() as fake:
        wrong = Provider("fake", "i", issuer=f"{fake.issuer}/nowhere")
        with pytest.raises(ProviderUnreachable, match="no metadata"):
            await provider_client.endpoints(wrong)
    with pytest.raises(ProviderUnreachable, match="ConnectError"):
        await provider_client.endpoints(Provider("fake", "i", issuer="http://127.0.0.1:9"))
