"""An OAuth provider of our own, on loopback, that does what the tests tell it: right, late, wrong or not at all."""

import asyncio
import base64
import hashlib
import re
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qs, quote_plus, urlencode, urlsplit

import httpx
import uvicorn
from joserfc import jwt
from joserfc.jwk import ECKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from restpoint.oauth.providers import Provider
from serving import Server
from support import PATIENCE, eventually

CLIENT_ID = "restpoint-tests"
CLIENT_SECRET = "canary-client-secret+%:6e1f"


@dataclass
class FakeProvider:
    """``token`` is what the token endpoint does next: a name of ``_token``, the JSON and status of its answer, or all of it."""

    issuer: str = ""
    token: str | tuple[Any, int] | Response = "grants"
    authorization: Response | None = None
    """What the authorization endpoint answers, where it does not send the browser back with a code."""
    metadata: dict[str, Any] = field(default_factory=dict)
    expires_in: Any = 3600
    gives_refresh_tokens: bool = True
    iss: str | None = "its own"
    person: dict[str, Any] | None = None
    """The claims that its ID tokens have beside those that all of them have; it gives no ID token where that is None."""
    userinfo: dict[str, Any] | Response = field(default_factory=dict)
    """The claims that it tells of whoever has an access token, or all of its answer."""
    signs_with: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", {"kid": "now", "use": "sig"}))
    keys_read: int = 0
    now: Callable[[], float] = time.time
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)
    """Every request to the token endpoint, its form."""
    cookies: list[dict[str, str]] = field(default_factory=list)
    """What cookies came with each of them, though each answer sets one."""
    resources: list[list[str]] = field(default_factory=list)
    """What resources each of them names."""
    authorizations: list[str] = field(default_factory=list)
    """Every request to the authorization endpoint."""
    encodings: list[str | None] = field(default_factory=list)
    """What encodings each of them accepts."""
    redeemed: list[str] = field(default_factory=list)
    access_tokens: list[str] = field(default_factory=list)
    refresh_tokens: list[str] = field(default_factory=list)
    codes_given: list[str] = field(default_factory=list)
    verifiers: list[str] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)

    def provider(self, name: str = "fake", **settings: Any) -> Provider:
        return Provider(name, CLIENT_ID, CLIENT_SECRET, issuer=self.issuer, **{"scopes": ("read",), **settings})

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._metadata),
                Route("/authorize", self._authorize),
                Route("/token", self._token, methods=["POST"]),
                Route("/user/repos", self._repositories),
                Route("/keys", self._keys),
                Route("/userinfo", self._userinfo),
            ]
        )

    async def _metadata(self, _: Request) -> Response:
        told = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "authorization_response_iss_parameter_supported": self.iss is not None,
        }
        return JSONResponse({**told, **self.metadata})

    async def _keys(self, _: Request) -> Response:
        self.keys_read += 1
        return JSONResponse({"keys": [{"kty": "oct", "k": "AAAA"}, self.signs_with.as_dict(private=False)]})

    def id_token(self, nonce: str | None) -> str:
        now = int(self.now())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": nonce,
            **(self.person or {}),
        }
        return jwt.encode({"alg": "ES256", "kid": self.signs_with.kid}, claims, self.signs_with)

    async def _authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        self.authorizations.append(str(request.url))
        if self.authorization is not None:
            return self.authorization
        code = f"canary-code-{secrets.token_hex(8)}"
        self.codes[code] = asked
        self.codes_given.append(code)
        back = {"code": code, "state": asked["state"]}
        if self.iss is not None:
            back["iss"] = self.issuer if self.iss == "its own" else self.iss
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(back)}", 303)

    async def _token(self, request: Request) -> Response:
        fields = parse_qs((await request.body()).decode())
        form = {key: values[0] for key, values in fields.items()}
        self.asked.append(form)
        self.resources.append(fields.get("resource", []))
        self.cookies.append(dict(request.cookies))
        self.encodings.append(request.headers.get("accept-encoding"))
        self.arrived.set()
        if "code_verifier" in form:
            self.verifiers.append(form["code_verifier"])
        match self.token:
            case "grants" | "hangs":
                if self.token == "hangs":
                    await self.let_go.wait()
                return self._grant(request, form)
            case "grants and hangs":
                reply = self._grant(request, form)
                await self.let_go.wait()
                return reply
            case "echoes":
                told = " ".join((*form.values(), CLIENT_SECRET, request.headers.get("authorization", "")))
                return JSONResponse({"error": "invalid_grant", "error_description": f"canary-said {told}"}, 400)
            case "html":
                return HTMLResponse("<h1>Welcome</h1>")
            case Response() as reply:
                return reply
            case (body, status):
                plain = isinstance(body, bytes)
                return Response(body, status, media_type="application/json") if plain else JSONResponse(body, status)
        raise AssertionError(self.token)

    def _knows(self, request: Request) -> bool:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return scheme == "Bearer" and token in self.access_tokens

    async def _repositories(self, request: Request) -> Response:
        if not self._knows(request):
            return JSONResponse({"message": "Bad credentials"}, 401)
        return JSONResponse([{"full_name": "ada/engine"}])

    async def _userinfo(self, request: Request) -> Response:
        if not self._knows(request):
            return JSONResponse({"error": "invalid_token"}, 401)
        return self.userinfo if isinstance(self.userinfo, Response) else JSONResponse(self.userinfo)

    def _grant(self, request: Request, form: dict[str, str]) -> Response:
        expected = base64.b64encode(f"{CLIENT_ID}:{quote_plus(CLIENT_SECRET)}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {expected}":
            return JSONResponse({"error": "invalid_client"}, 401)
        scope, asked = "read", None
        if form["grant_type"] == "authorization_code":
            asked = self.codes.pop(form["code"], None)
            challenge = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
            if (
                asked is None
                or asked["redirect_uri"] != form["redirect_uri"]
                or asked["code_challenge_method"] != "S256"
                or asked["code_challenge"] != base64.urlsafe_b64encode(challenge).decode().rstrip("=")
            ):
                return JSONResponse({"error": "invalid_grant"}, 400)
            self.redeemed.append(form["code"])
            scope = asked.get("scope", "")
        elif not self.refresh_tokens or form["refresh_token"] != self.refresh_tokens[-1]:
            return JSONResponse({"error": "invalid_grant"}, 400)
        answer = {"access_token": f"canary-access-{secrets.token_hex(8)}", "token_type": "Bearer", "scope": scope}
        self.access_tokens.append(answer["access_token"])
        if self.expires_in is not None:
            answer["expires_in"] = self.expires_in
        if self.person is not None and asked is not None:
            answer["id_token"] = self.id_token(asked.get("nonce"))
        if self.gives_refresh_tokens:
            answer["refresh_token"] = f"canary-refresh-{secrets.token_hex(8)}"
            self.refresh_tokens.append(answer["refresh_token"])
        return JSONResponse(answer, headers={"set-cookie": "session=of-one-person; Path=/"})

    def secrets(self) -> list[str]:
        """Everything that must be found nowhere."""
        return [
            CLIENT_SECRET,
            quote_plus(CLIENT_SECRET),
            *self.codes_given,
            *self.verifiers,
            *self.access_tokens,
            *self.refresh_tokens,
        ]


@asynccontextmanager
async def fake_provider(**settings: Any) -> AsyncIterator[FakeProvider]:
    """A running provider."""
    listening = socket.socket(proto=socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    provider = FakeProvider(f"http://127.0.0.1:{listening.getsockname()[1]}", **settings)
    config = uvicorn.Config(provider.app(), log_config=None, lifespan="off", ws="none", timeout_graceful_shutdown=1)
    server = Server(config)
    running = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        await eventually(lambda: server.started)
        yield provider
    finally:
        provider.let_go.set()
        server.told_to_end.set()
        await running
        listening.close()


class Surfer:
    """A browser, as far as consents need one: cookies, forms, and redirects that it follows when it is told to."""

    def __init__(self, **headers: str) -> None:
        self.http = httpx.AsyncClient(follow_redirects=False, timeout=PATIENCE, headers=headers)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()

    async def decide(self, url: str, decision: str = "allow", page: httpx.Response | None = None) -> httpx.Response:
        """Open the page of a consent and press one of its buttons."""
        shown = page if page is not None else await self.http.get(url)
        assert "<form" in shown.text, shown.text
        return await self.press(shown, decision)

    async def press(self, shown: httpx.Response, decision: str = "allow") -> httpx.Response:
        (action,) = re.findall(r'action="([^"]+)"', shown.text)
        (proof,) = re.findall(r'name="proof" value="([^"]+)"', shown.text)
        origin = f"{shown.url.scheme}://{shown.url.netloc.decode()}"
        return await self.http.post(
            str(shown.url.join(action)), data={"proof": proof, "decision": decision}, headers={"origin": origin}
        )

    async def to_the_callback(self, url: str, page: httpx.Response | None = None) -> str:
        """Set out, consent at the provider, and stop at the address that it sends back to."""
        away = await self.decide(url, page=page)
        assert away.status_code == 303, away.text
        return await self.at_the_provider(away.headers["location"])

    async def at_the_provider(self, url: str) -> str:
        back = await self.http.get(url)
        assert back.status_code == 303, back.text
        return str(back.headers["location"])

    async def consent(self, url: str) -> httpx.Response:
        """All of it."""
        return await self.http.get(await self.to_the_callback(url))


def query(url: str) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(urlsplit(url).query).items()}
