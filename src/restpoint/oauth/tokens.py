"""The tokens of granted consents: opened for their workflow, refreshed after they expire, resealed when keys are rotated.

A refresh calls the provider between two writes. The first write claims the token for this process, so that no two processes
send the same refresh token (a provider may take that for theft: RFC 9700, section 4.14.2). The second write stores the new
token, even if another process runs the execution by then, because the old token is no longer valid. Between the two nothing
that happens to the workflow ends the refresh, or a refresh token that the provider has replaced would be lost. If a process
dies in between, another one can claim the token. If a refresh is refused, the workflow gets the expired token, and the service
that it calls decides.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, Self

from restpoint import errors
from restpoint._core.oauth_token import OAuthToken
from restpoint._core.serialization import decode, encode
from restpoint._storage import Consent, Database, consents, history, vacuum
from restpoint._store.open_file import OpenFile
from restpoint.lifecycle import OPEN
from restpoint.oauth.keyring import Vault, sealed_with
from restpoint.oauth.provider_client import ProviderClient
from restpoint.oauth.providers import Provider
from restpoint.oauth.refusals import TokenRefused
from restpoint.oauth.token_replies import TokenReply

log = logging.getLogger(__name__)

Token = dict[str, Any]

LEEWAY_SECONDS: Final = 60
"""A token that expires within this time is refreshed."""

_REFRESH_TIMEOUT: Final = 20.0  # seconds, while another process refreshes
_POLL_INTERVAL: Final = 0.2  # seconds
_RETRY_DELAY: Final = 1.0  # seconds, after the storage failed
_CLOSE_TIMEOUT: Final = 1.0  # seconds, for refreshes under way


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
        self._refreshes: dict[int, asyncio.Task[Token]] = {}

    async def close(self) -> None:
        """End the refreshes under way. They have a second for it, so that no replaced refresh token is lost."""
        tasks = list(self._refreshes.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_CLOSE_TIMEOUT)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def outcome(self, execution_id: str, consent_id: str) -> OAuthToken | errors.RestpointError:
        """Return the token or the error of a closed consent. Raises ``SealBroken`` if the token does not open."""
        return await self._outcome(await consents.find(self._file.database, execution_id, consent_id))

    async def outcomes(self, execution_id: str) -> dict[str, OAuthToken | errors.RestpointError]:
        """Return the token or the error of each closed consent of an execution, by id; expired tokens are refreshed.

        Raises ``SealBroken`` if a token does not open.
        """
        found = await consents.of_execution(self._file.database, execution_id)
        return {each.id: await self._outcome(each) for each in found if each.status not in OPEN}

    async def current(self, execution_id: str, consent_id: str) -> OAuthToken | None:
        """Return the token of a consent, refreshed if it has expired; None where it went with its execution."""
        consent = await consents.find(self._file.database, execution_id, consent_id)
        found = None if consent.token is None else await self._outcome(consent)
        return found if isinstance(found, OAuthToken) else None

    async def _outcome(self, consent: Consent) -> OAuthToken | errors.RestpointError:
        match consent.status:
            case "granted":
                source = ConsentSource(self, consent.execution_id, consent.id)
                return _token(consent.provider, await self._fresh(consent), source)
            case "denied":
                return errors.ConsentDenied(consent.provider, consent.denial or "access_denied")
            case "expired":
                return errors.ConsentExpired(consent.provider)
        return errors.ConsentWithdrawn(consent.provider)

    def has_expired(self, expires_at: int | None, lifetime: int | None = None) -> bool:
        """Whether a token has expired or soon will: within a minute, or half its ``lifetime``. All in milliseconds."""
        leeway = LEEWAY_SECONDS * 1000 if lifetime is None else min(LEEWAY_SECONDS * 1000, lifetime // 2)
        return expires_at is not None and expires_at <= self._file.clock.now() + leeway

    async def _fresh(self, consent: Consent) -> Token:
        """Return the token of a granted consent, refreshed if it has expired and has a refresh token."""
        token = self._open(consent)
        if not self._is_stale(token):
            return token
        task = self._refreshes.get(consent.key)
        if task is None:  # a task of its own, which a caller that is cancelled does not end
            task = asyncio.create_task(self._refresh(consent), name="restpoint:refresh")
            self._refreshes[consent.key] = task
            task.add_done_callback(lambda _: self._refreshes.pop(consent.key, None))
        return await asyncio.shield(task)

    def _is_stale(self, token: Token) -> bool:
        return bool(token["refresh_token"]) and self.has_expired(token["expires_at"], token.get("lifetime"))

    def _open(self, consent: Consent) -> Token:
        if consent.token is None:
            raise errors.DamagedFile(f"{consent.subject} was granted, but its token is not in the file.")
        token: Token = decode(self._vault.unseal(consent.token, *associated_data(consent, "token")))
        return token

    async def _refresh(self, consent: Consent) -> Token:
        file, give_up = self._file, time.monotonic() + _REFRESH_TIMEOUT
        while True:
            consent = await consents.find(file.database, consent.execution_id, consent.id)
            token = self._open(consent)
            if not self._is_stale(token):
                return token  # another process was faster
            if await file.database.write(partial(consents.take_token, consent=consent, lease=file.lease)):
                break
            if time.monotonic() > give_up:
                return token
            await asyncio.sleep(_POLL_INTERVAL)
        try:
            provider = self._provider(consent.provider)
            endpoints = await self._client.endpoints(provider)
            reply = await self._client.refresh(provider, endpoints, token["refresh_token"])
        except (errors.ProviderUnreachable, TokenRefused, errors.InvalidArgument) as error:
            return await self._not_refreshed(consent, token, error)
        fresh = token_data(reply, token["scopes"], file.clock.now())
        fresh["refresh_token"] = fresh["refresh_token"] or token["refresh_token"]
        fresh["id_token"] = fresh["id_token"] or token["id_token"]
        await self._replace(consent, token, fresh)
        self._counts["done"] += 1
        return fresh

    async def _not_refreshed(self, consent: Consent, token: Token, error: Exception) -> Token:
        """Give up the claim on a token that could not be refreshed, and return it as it is."""
        refused = error if isinstance(error, TokenRefused) else None
        self._counts["failed" if refused is None else "refused"] += 1
        level = logging.ERROR if refused is not None and refused.refusal.kind == "not_set_up" else logging.WARNING
        log.log(level, "the token of consent %s has expired and could not be refreshed: %s", consent.id, error)
        if refused is not None and refused.refresh_token is not None:
            token = {**token, "refresh_token": refused.refresh_token}  # which has replaced the one that was sent
            await self._replace(consent, token, token)
        else:
            job = partial(consents.release_token, consent=consent, lease=self._file.lease)
            await self._file.database.write(job)
        return token

    async def _replace(self, consent: Consent, old: Token, new: Token) -> None:
        """Store what a refresh brought, however long the storage fails: the provider takes the old refresh token no more.

        Do not fence this write by the run: it does not matter which process has the run now.
        """
        sealed = self._vault.seal(encode(new), *associated_data(consent, "token"))
        while True:
            try:
                job = partial(consents.replace_token, consent=consent, sealed=sealed)
                if await self._file.database.write(job):
                    return
                # The row differs from what was read: a rotation of keys has resealed it, or the execution has ended.
                consent = await consents.find(self._file.database, consent.execution_id, consent.id)
                if consent.token is None or self._open(consent)["access_token"] != old["access_token"]:
                    return
            except errors.NotFound:
                return
            except errors.StorageError:
                log.exception("a refreshed token could not be stored; trying again")
                await asyncio.sleep(_RETRY_DELAY)


class ConsentSource:
    """The source of a token: its consent. A token that is sent to another process has no source there."""

    def __init__(self, tokens: TokenStore, execution_id: str, consent_id: str) -> None:
        self._tokens = tokens
        self._execution_id = execution_id
        self._consent_id = consent_id

    async def fresh(self, token: OAuthToken) -> OAuthToken:
        """Return a token of the consent that has not expired, if there is one, else ``token``."""
        expires_at = None if token.expires_at is None else round(token.expires_at * 1000)
        if not self._tokens.has_expired(expires_at):
            return token
        try:
            return await self._tokens.current(self._execution_id, self._consent_id) or token
        except errors.NotFound:
            return token
        except (errors.SealBroken, errors.StorageError, errors.StoreClosed) as error:
            log.warning("the token of consent %s has expired and could not be read anew: %s", self._consent_id, error)
            return token

    def __deepcopy__(self, _: object) -> Self:
        return self

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return type(None), ()


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
    """Return a token as it is sealed. ``expires_at`` is in milliseconds since the epoch, ``lifetime`` in milliseconds."""
    lifetime = None if reply.expires_in is None else round(reply.expires_in * 1000)
    return {
        "access_token": reply.access_token,
        "scopes": list(asked if reply.scopes is None else reply.scopes),
        "expires_at": None if lifetime is None else now + lifetime,
        "lifetime": lifetime,
        "refresh_token": reply.refresh_token,
        "id_token": reply.id_token,
        "extra": reply.extra,
    }


def _token(provider: str, token: Mapping[str, Any], source: ConsentSource) -> OAuthToken:
    expires_at = token["expires_at"]
    return OAuthToken(
        provider,
        token["access_token"],
        scopes=tuple(token["scopes"]),
        expires_at=None if expires_at is None else expires_at / 1000,
        id_token=token["id_token"],
        extra=token["extra"],
        source=source,
    )
