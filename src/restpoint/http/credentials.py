"""What the ready server knows people by: a tokens file, sessions of browsers, and providers that sign people in."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from restpoint._core.clock import SystemClock
from restpoint._storage import migrations
from restpoint.http.bearer_tokens import Tokens
from restpoint.http.pages.sign_in import SignInPages
from restpoint.http.sessions import SessionLimits, Sessions
from restpoint.oauth.flow import Consents
from restpoint.oauth.keyring import Vault, vault_for
from restpoint.oauth.providers import Provider
from restpoint.oauth.providers import read as read_providers
from restpoint.oauth.sign_in import SignIn

if TYPE_CHECKING:
    from restpoint._store.store import ExecutionStore
    from restpoint.http.handlers import Authenticate


@dataclass(frozen=True, slots=True)
class OAuth:
    """The providers of a server: for consents, and with the vault that seals what both flows need."""

    consents: Consents
    vault: Vault


def oauth(
    store: "ExecutionStore",
    providers: Iterable[Provider] | str | os.PathLike[str] | None,
    keys: Vault | str | os.PathLike[str] | None,
    public_url: str | None,
    address: str | None,
    *,
    create: bool,
) -> OAuth | None:
    """Return the providers that were given, or those of ``RESTPOINT_PROVIDERS_FILE``; None without any.

    Raises ``InvalidArgument``.
    """
    given = providers if providers is not None else os.environ.get("RESTPOINT_PROVIDERS_FILE")
    if not given:
        return None
    found = read_providers(given, os.environ) if isinstance(given, str | os.PathLike) else tuple(given)
    vault = vault_of(store, keys, create=create)
    return OAuth(Consents(store, found, vault, public_url=public_url, address=address), vault)


def vault_of(store: "ExecutionStore", keys: Vault | str | os.PathLike[str] | None, *, create: bool) -> Vault:
    """Return the vault that was given, or that of a key ring, which is made where there is none. Raises ``InvalidArgument``."""
    if isinstance(keys, Vault):
        return keys
    if not store.path.exists():  # the file comes before its ring, which alone would tell of a file that was deleted
        migrations.prepare(store.path, create=create)
    return vault_for(store.path, keys, os.environ)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who is let in: ``authenticate`` is None on a server that answers only its own machine. ``pages`` are those to sign in."""

    authenticate: "Authenticate | None"
    pages: SignInPages


def credentials(
    store: "ExecutionStore",
    tokens_file: str | os.PathLike[str] | None,
    providers: OAuth | None,
    limits: SessionLimits,
    public_url: str | None,
) -> Credentials:
    """Return who is let in by a tokens file (``RESTPOINT_TOKENS_FILE`` unless given), and by providers with ``sign_in``.

    With neither, only requests from this machine are. Raises ``InvalidArgument``.
    """
    file = tokens_file or os.environ.get("RESTPOINT_TOKENS_FILE")
    tokens, sign_in = Tokens(file) if file else None, None
    if providers is not None and any(each.sign_in for each in providers.consents.providers.values()):
        consents = providers.consents
        sign_in = SignIn(consents.providers.values(), providers.vault, consents.links, SystemClock())
    if tokens is None and sign_in is None:
        return Credentials(None, SignInPages(None, None, public_url))
    names = () if sign_in is None else tuple(sign_in.providers)
    sessions = Sessions(store, tokens, names, limits, public_url)
    return Credentials(sessions.authenticate, SignInPages(sessions, sign_in, public_url))
