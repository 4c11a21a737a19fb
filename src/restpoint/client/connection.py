"""The connection of a client to one server: a request is sent again where its reply was lost, with pauses that grow."""

import asyncio
import random
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import httpx

from restpoint import errors
from restpoint._core.addresses import is_loopback
from restpoint.client import responses

RETRIED: Final = {429, 502, 503, 504}  # not 507: a full disk stays full for longer than the attempts last
"""The replies after which a request is sent again."""


class Connection:
    """Sends requests to one server. The arguments are those of ``Client``."""

    def __init__(
        self,
        base_url: str,
        token: str | None,
        attempts: int,
        timeout: float,
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        if attempts < 1:
            raise errors.InvalidArgument(f"attempts is {attempts}; give at least 1.")
        try:
            url = httpx.URL(base_url)
        except httpx.InvalidURL as error:
            raise errors.InvalidArgument(
                f"{base_url!r} is no address ({error}); give one like http://127.0.0.1:8000."
            ) from None
        if url.scheme not in {"http", "https"} or not url.host:
            raise errors.InvalidArgument(f"{base_url!r} is no address; give one like http://127.0.0.1:8000.")
        if token is not None and (not token.isascii() or not token.isprintable() or " " in token or not token):
            raise errors.InvalidArgument("The token has characters that no bearer token has; copy it again.")
        self.attempts = attempts
        self._timeout = timeout
        self._url = str(url).rstrip("/")
        self._http = httpx.AsyncClient(
            headers={} if token is None else {"authorization": f"Bearer {token}"},
            timeout=timeout,
            transport=transport,
            follow_redirects=False,
            trust_env=not is_loopback(url.host),  # a proxy does not lead to this machine
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def send(
        self,
        method: str,
        path: str,
        *,
        body: str | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        patience: float = 0.0,
        accept: Iterable[int] = (),
    ) -> httpx.Response:
        """The reply, if it is a success or in ``accept``; ``patience`` is how many seconds the server may wait on purpose."""
        sent = {"accept": "application/json", **(headers or {})}
        if body is not None:
            sent["content-type"] = "application/json"
        timeout = httpx.Timeout(self._timeout, read=self._timeout + patience)
        url = self._address(path, params)
        for attempt in range(1, self.attempts + 1):
            again = attempt < self.attempts
            try:
                reply = await self._http.request(method, url, content=body, headers=sent, timeout=timeout)
            except httpx.TransportError as error:
                if not again:
                    raise self.unreachable(error) from None
                await asyncio.sleep(pause(attempt))
                continue
            if again and reply.status_code in RETRIED:
                await asyncio.sleep(max(pause(attempt), responses.retry_after(reply)))
                continue
            if reply.is_success or reply.status_code in set(accept):
                reply.extensions["attempts"] = attempt
                return reply
            raise responses.error_in(reply)
        raise AssertionError("every attempt returns, raises or is followed by another")

    def stream(
        self,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        patience: float | None,
    ) -> AbstractAsyncContextManager[httpx.Response]:
        """The reply to a GET, to be read in pieces; ``patience`` is how many seconds there may be between two. None: any."""
        read = None if patience is None else max(self._timeout, patience)
        timeout = httpx.Timeout(self._timeout, read=read)
        return self._http.stream("GET", self._address(path, params), headers=headers, timeout=timeout)

    def _address(self, path: str, params: Mapping[str, Any] | None) -> httpx.URL:
        try:
            return httpx.URL(self._url + path, params=params)
        except httpx.InvalidURL as error:  # an id or a name that is as long as a letter
            raise errors.InvalidArgument(f"The ids and names given make no address ({error}); look at them.") from None

    def unreachable(self, problem: Exception | None) -> errors.ServerUnreachable:
        """The error that no usable reply came, and why; without a problem, the server ended a stream."""
        why = (str(problem) or type(problem).__name__) if problem is not None else "it ended the stream"
        return errors.ServerUnreachable(self._url, why)


def pause(attempt: int) -> float:
    """Seconds before the next attempt: 0.1, 0.2, 0.4 and so on up to 5, each times 0.5 to 1 so that clients spread."""
    return float(min(0.1 * 2 ** (attempt - 1), 5.0)) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
