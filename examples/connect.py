"""A consent: somebody lets the workflow look into their GitHub account, whenever they get to it.

Register an OAuth app at GitHub with the callback ``http://127.0.0.1:8000/auth/redirect``, write ``providers.toml``::

    [github]
    title = "GitHub"
    client_id = "..."
    client_secret_env = "GITHUB_CLIENT_SECRET"
    authorization_endpoint = "https://github.com/login/oauth/authorize"
    token_endpoint = "https://github.com/login/oauth/access_token"

and serve it. Kill the server while the consent waits, if you like: it completes all the same::

    restpoint serve examples/connect.py --providers providers.toml
    restpoint start repositories --url http://127.0.0.1:8000
    restpoint authorize ID --url http://127.0.0.1:8000
"""

import os

import httpx

from restpoint import ConsentDenied, Context, OAuthToken, WorkflowFailed, workflow

WEEK = 7 * 24 * 3600  # seconds


async def names_of_repositories(token: OAuthToken) -> list[str]:
    """What the account has. A step is given the token itself: its secret stays out of the journal."""
    api = os.environ.get("GITHUB_API", "https://api.github.com")
    headers = {"authorization": f"{token.token_type} {token.access_token}"}
    async with httpx.AsyncClient(base_url=api, headers=headers) as client:
        reply = await client.get("/user/repos")
        reply.raise_for_status()
        return [repository["full_name"] for repository in reply.json()]


@workflow
async def repositories(ctx: Context) -> list[str]:
    """List the repositories of whoever started this, after their consent."""
    try:
        token = await ctx.authorize("github", scopes=["repo"], timeout=WEEK)
    except ConsentDenied as error:
        raise WorkflowFailed(f"GitHub gave no access ({error.denial_code}).", code="no_access") from None
    return await ctx.step(names_of_repositories, token, retries=3)
