"""A workflow asks for a consent, a person gives it, and the workflow goes on with a token."""

from pathlib import Path
from typing import Any

from fake_provider import Surfer, fake_provider
from restpoint import Context, workflow
from serving import asked, ended, make_app, served

TOKENS: list[Any] = []


async def use(token: Any) -> str:
    TOKENS.append(token)
    return str(token.scopes)


@workflow
async def connect(ctx: Context) -> str:
    token = await ctx.authorize("fake", scopes=["read", "write"])
    return await ctx.step(use, token)


async def test_a_person_consents_and_the_workflow_goes_on_with_the_token(path: Path) -> None:
    async with fake_provider() as provider, Surfer() as browser:
        app = make_app(path, workflows=[connect], providers=[provider.provider()])
        async with served(app) as client:
            told = await asked(client, "connect")
            assert told["status"] == "oauth_required"
            reply = await browser.consent(told["auth_url"])
            assert reply.status_code == 200, reply.text
            body = await ended(client, told["execution_id"])
            assert (body["status"], body["result"]) == ("completed", "('read', 'write')")
            assert TOKENS[-1].access_token == provider.access_tokens[-1]
