"""The tokens of granted consents: opened for their workflow, refreshed after they expire, resealed when keys are rotated.

A refresh calls the provider between two writes. The first write claims the token for this process, so that no two processes
send the same refresh token (a provider may take that for theft: RFC 9700, section 4.14.2). The second write stores the new
token, whoever runs the execution by then, because the old token is no longer valid. If a process dies in between, another one
can claim the token. If a refresh is refused, the workflow gets the expired token, and the service that it calls decides.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from restpoint import errors
from restpoint._core.oauth_token import OAuthToken
from restpoint._core.serialization import decode, encode
from restpoint._storage import Consent, Database, consents, history, vacuum
from restpoint._store.open_file import OpenFile
from restpoint.lifecycle import OPEN
from restpoint.oauth.keyring import Vault, sealed_with
from restpoint.oauth.provider_client import ProviderClient, TokenRefused, TokenReply
from restpoint.oauth.providers import Provider

log = logging.getLogger(__name__)

Token = dict[str, Any]

LEEWAY_SECONDS: Final = 60
"""A token that expires within this time is refreshed."""

_REFRESH_TIMEOUT: Final = 20.0  # seconds, while another process refreshes
_POLL_INTERVAL: Final = 0.2  # seconds


class TokenStore:
    """Reads and refreshes the tokens in one open file."""

    def __init__(
        self,
        file: OpenFile,
        vault: Vault,
        client: ProviderClient,
        provider: Callable[[str], Provider],
        counts: Counter[str],
    ) -> None:
        self._file = file
        self._vault = vault
        self._client = client
        self._provider = provider
        self._counts = counts
        self._refreshing: dict[int, asyncio.Lock] = {}

    async def outcome(self, execution_id: str, consent_id: str) -> OAuthToken | errors.RestpointError:
        """Return the token or the error of a closed consent. Raises ``SealBroken`` if the token does not open."""
        return await self._outcome(await consents.find(self._file.database, execution_id, consent_id))

    async def outcomes(self, execution_id: str) -> dict[str, OAuthToken | errors.RestpointError]:
        """Return the token or the error of each closed consent of an execution, by id; expired tokens are refreshed.

        Raises ``SealBroken`` if a token does not open.
        """
        found = await consents.of_execution(self._file.database, execution_id)
        return {each.id: await self._outcome(each) for each in found if each.status not in OPEN}

    async def _outcome(self, consent: Consent) -> OAuthToken | errors.RestpointError:
        match consent.status:
            case "granted":
                return _token(consent.provider, await self._fresh(consent))
            case "denied":
                return errors.ConsentDenied(consent.provider, consent.denial or "access_denied")
            case "expired":
                return errors.ConsentExpired(consent.provider)
        return errors.ConsentWithdrawn(consent.provider)

    async def _fresh(self, consent: Consent) -> Token:
        """Return the token of a granted consent, refreshed if it has expired and has a refresh token."""
        lock = self._refreshing.setdefault(consent.key, asyncio.Lock())
        try:
            async with lock:
                token = self._open(consent)
                if not self._has_expired(token) or not token["refresh_token"]:
                    return token
                return await self._refresh(await consents.find(self._file.database, consent.execution_id, consent.id))
        finally:
            if not lock.locked():
                self._refreshing.pop(consent.key, None)

    def _has_expired(self, token: Mapping[str, Any]) -> bool:
        expires_at, now = token["expires_at"], self._file.clock.now()
        return expires_at is not None and expires_at <= now + LEEWAY_SECONDS * 1000

    def _open(self, consent: Consent) -> dict[str, Any]:
        if consent.token is None:
            raise errors.DamagedFile(f"{consent.subject} was granted, but its token is not in the file.")
        token: dict[str, Any] = decode(self._vault.unseal(consent.token, *associated_data(consent, "token")))
        return token

    async def _refresh(self, consent: Consent) -> dict[str, Any]:
        file, give_up = self._file, time.monotonic() + _REFRESH_TIMEOUT
        while True:
            token = self._open(consent)
            if not self._has_expired(token):
                return token  # another process was faster
            if await file.database.write(partial(consents.take_token, consent=consent, lease=file.lease)):
                break
            if time.monotonic() > give_up:
                return token
            await asyncio.sleep(_POLL_INTERVAL)
            consent = await consents.find(self._file.database, consent.execution_id, consent.id)
        try:
            provider = self._provider(consent.provider)
            endpoints = await self._client.endpoints(provider)
            reply = await self._client.refresh(provider, endpoints, token["refresh_token"])
        except (errors.ProviderUnreachable, TokenRefused, errors.InvalidArgument) as error:
            self._counts["refused" if isinstance(error, TokenRefused) else "failed"] += 1
            log.warning("the token of consent %s has expired and could not be refreshed: %s", consent.id, error)
            await file.database.write(partial(consents.release_token, consent=consent, lease=file.lease))
            return token
        fresh = token_data(reply, token["scopes"], file.clock.now())
        fresh["refresh_token"] = fresh["refresh_token"] or token["refresh_token"]
        fresh["id_token"] = fresh["id_token"] or token["id_token"]
        sealed = self._vault.seal(encode(fresh), *associated_data(consent, "token"))
        # Do not fence this write by the run: whoever runs it by now, the old refresh token is no longer valid.
        await file.database.write(partial(consents.replace_token, consent=consent, sealed=sealed))
        self._counts["done"] += 1
        return fresh


async def reseal(database: Database, vault: Vault, actor: str | None = None) -> tuple[int, int]:
    """Reseal with the ring's first key all values that another key sealed, in batches, while the file is in use.

    Returns the number of resealed values and the number of values that do not open, which stay as they are. History records
    the rotation.
    """
    lost: set[tuple[int, str]] = set()
    retired: set[str] = set()

    def renew(consent: Consent, column: str, sealed: str) -> str | None:
        old = sealed_with(sealed)
        if old == vault.primary:  # read it each time: the ring may be rotated again meanwhile
            return None
        where = associated_data(consent, column)
        try:
            renewed = vault.seal(vault.unseal(sealed, *where), *where)
        except errors.SealBroken as error:
            lost.add((consent.key, column))
            log.error("a secret of %s was not resealed: %s", consent.subject, error)  # noqa: TRY400 - no traceback
            return None
        retired.add(old or "")
        return renewed

    total, in_this_pass, after = 0, 0, 0
    while True:
        done = await database.write(partial(consents.reseal, after=after, renew=renew))
        total, in_this_pass = total + done.count, in_this_pass + done.count
        if done.after is not None:
            after = done.after
        elif in_this_pass:  # another pass: a server may have used the old key before it saw the new one
            in_this_pass, after = 0, 0
        else:
            break
        await asyncio.sleep(vacuum.PAUSE_SECONDS)
    job = partial(history.keys_rotated, current=vault.primary, retired=sorted(retired), resealed=total, actor=actor)
    await database.write(job)
    return total, len(lost)


def associated_data(consent: Consent, column: str) -> tuple[str, ...]:
    """Return what a sealed value is bound to: table, row and column."""
    return "consents", consent.execution_id, consent.id, column


def token_data(reply: TokenReply, asked: Sequence[str], now: int) -> dict[str, Any]:
    """Return a token in the form in which it is sealed. ``expires_at`` is in milliseconds since the epoch."""
    return {
        "access_token": reply.access_token,
        "token_type": reply.token_type,
        "scopes": list(asked if reply.scopes is None else reply.scopes),
        "expires_at": None if reply.expires_in is None else now + round(reply.expires_in * 1000),
        "refresh_token": reply.refresh_token,
        "id_token": reply.id_token,
        "extra": reply.extra,
    }


def _token(provider: str, token: Mapping[str, Any]) -> OAuthToken:
    expires_at = token["expires_at"]
    return OAuthToken(
        provider,
        token["access_token"],
        token["token_type"],
        tuple(token["scopes"]),
        None if expires_at is None else expires_at / 1000,
        token["id_token"],
        token["extra"],
    )
