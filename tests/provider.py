"""A real OpenID provider on loopback: the npm package oidc-provider, in a Node.js process (see ``tests/oauth/provider``)."""

import json
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Self

import httpx

import support

SCRIPT = Path(__file__).parent / "oauth" / "provider"
PATIENCE = support.PATIENCE


def modules() -> Path:
    """Where ``.ci/browser`` installs the modules."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "restpoint-tests" / "provider"


def missing() -> str | None:
    """What a provider needs and this machine has not."""
    if shutil.which("node") is None:
        return "Node.js is not installed"
    wanted = json.loads((SCRIPT / "package.json").read_text())["dependencies"]["oidc-provider"]
    installed = modules() / "node_modules" / "oidc-provider" / "package.json"
    if not installed.exists() or json.loads(installed.read_text())["version"] != wanted:
        return f"the npm package oidc-provider {wanted} is not in {modules()}"
    return None


class Provider:
    """A running provider with one client. People log in under any name with any password."""

    client_id = "restpoint"
    client_secret = "the-secret-of-the-client"

    def __init__(self) -> None:
        # Its standard input is ours: where this process dies, the provider ends.
        self._process = subprocess.Popen(
            [
                "node", "server.js",
                "--modules", str(modules()),
                "--client-id", self.client_id,
                "--client-secret", self.client_secret,
            ],
            cwd=SCRIPT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )  # fmt: skip
        self.said: list[str] = []
        self.issuer = ""
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._ready.wait(PATIENCE) or not self.issuer:
            self.close()
            raise AssertionError("the provider did not start:\n" + "".join(self.said))
        self._http = httpx.Client(base_url=self.issuer, timeout=PATIENCE)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.said.append(line)
            if line.startswith("ready "):
                self.issuer = line.split()[1]
                self._ready.set()
        self._ready.set()

    def register(self, *redirect_uris: str) -> None:
        """From now on the client has these redirect URIs (RFC 7591), and no others."""
        reply = self._http.post("/reg", json={"redirect_uris": redirect_uris})
        assert reply.status_code == 201, reply.text

    def reset(self) -> None:
        """Forget the calls of the token endpoint, and let go what is held."""
        self._http.delete("/control").raise_for_status()

    def control(self, **changes: Any) -> None:
        """Change what the provider does next: ``accessTokenSeconds``, ``tokenFaults``, ``letGo`` (see the script)."""
        self._http.patch("/control", json=changes).raise_for_status()

    def token_requests(self) -> list[tuple[str | None, int | None]]:
        """Every call of the token endpoint since the reset: the grant type, and the status it was answered with."""
        requests = self._http.get("/control").json()["tokenRequests"]
        return [(each["grantType"], each["status"]) for each in requests]

    def tokens(self) -> list[str]:
        """Every token that was given out since the reset."""
        return [token for each in self._http.get("/control").json()["tokenRequests"] for token in each["tokens"]]

    def until_held(self) -> None:
        """Wait for a call of the token endpoint to arrive at where it is held."""
        deadline = time.monotonic() + PATIENCE
        while not self._http.get("/control").json()["held"]:
            assert time.monotonic() < deadline, f"nobody calls the token endpoint: {self.token_requests()}"
            time.sleep(0.01)

    def userinfo(self, access_token: str) -> httpx.Response:
        """Whom the token speaks for (OpenID Connect Core, section 5.3)."""
        return self._http.get("/me", headers={"authorization": f"Bearer {access_token}"})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()
        self.close()

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(PATIENCE)
        self._process.stdout.close()
