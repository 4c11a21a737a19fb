"""The HTTP interface: a server of its own, or routes in an application that exists already.

The wire is the one of the in-memory store that restpoint succeeds, and more: ``/docs`` and ``/openapi.json`` have all of it.

::

    app = create_app([refund], database="app.db")                      # a server of its own

    runner = Runner(store, [refund])                                   # in a FastAPI application
    app.include_router(router(store, runner, authenticate=actor_of), prefix="/approvals")

    approvals = asgi_app(store, runner, authenticate=actor_of)         # in any other ASGI application
    app.mount("/approvals", approvals)
"""

import logging
import os
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Unpack

from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.routing import Route

from restpoint._core.retention_rules import SERVER_EXECUTION_TTL
from restpoint._engine.runner import Runner
from restpoint._engine.workflow import Workflow
from restpoint._store.owner_limits import OwnerLimits
from restpoint._store.store import ExecutionStore, TimeToLive
from restpoint.access import DEFAULT_POLICY, Actor, Policy
from restpoint.audit.signing import SigningKey
from restpoint.http.bearer_tokens import Tokens
from restpoint.http.credentials import credentials, oauth, vault_of
from restpoint.http.handlers import Authenticate, Handlers, RouteOptions
from restpoint.http.json_bodies import MAX_BODY_BYTES, MAX_BODY_VALUES
from restpoint.http.metrics import Metrics
from restpoint.http.routing import Endpoint, Routes, application, lifespan_of
from restpoint.http.sessions import IDLE_SECONDS, LIFETIME_SECONDS, SessionLimits
from restpoint.notify import routes_file
from restpoint.notify.addresses import Lookup, Members
from restpoint.notify.deliverer import Deliverer
from restpoint.notify.notices import Channel
from restpoint.oauth.keyring import Vault
from restpoint.oauth.providers import Provider
from restpoint.service import Service

if TYPE_CHECKING:
    from fastapi import APIRouter

__all__ = ["Authenticate", "OwnerLimits", "asgi_app", "bearer", "create_app", "router"]

log = logging.getLogger(__name__)

_TITLE: Final = "restpoint"
_SENT_BY_PAGES: Final = (
    "authorization",
    "content-type",
    "idempotency-key",
    "if-none-match",
    "last-event-id",
    "traceparent",
)
_READ_BY_PAGES: Final = ("location", "etag", "retry-after", "idempotency-replayed")


def bearer(tokens: Tokens) -> Authenticate:
    """An ``authenticate`` that takes the bearer tokens (RFC 6750) of a tokens file."""

    def authenticate(request: Request) -> Actor | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return tokens.actor(token.strip()) if scheme.lower() == "bearer" else None

    return authenticate


def asgi_app(
    store: ExecutionStore,
    runner: Runner | None = None,
    *,
    policy: Policy = DEFAULT_POLICY,
    audit_key: SigningKey | None = None,
    owner_limits: OwnerLimits | None = None,
    **options: Unpack[RouteOptions],
) -> Starlette:
    """The routes as an ASGI application, to be mounted in one that opens and closes the store and the runner itself.

    Mounted applications have no lifespan of their own: enter ``app.router.lifespan_context(app)`` in yours, so that SIGTERM and
    SIGINT end long polls and streams at once. Raises ``InvalidArgument`` for a default that is no workflow here.

    ``policy`` says who may do what. ``audit_key`` signs the heads and the manifests of exports that auditors take away; see
    ``restpoint audit keygen``. ``owner_limits`` say how many executions one owner may have open and start in a minute; beyond
    that a start is answered with 429 and Retry-After. The other options are:
    """
    handlers = Handlers(Service(store, runner, policy, audit_key, owner_limits), **options)
    return application(Routes(handlers, _TITLE), lifespan_of(handlers))


def router(
    store: ExecutionStore,
    runner: Runner | None = None,
    *,
    policy: Policy = DEFAULT_POLICY,
    audit_key: SigningKey | None = None,
    owner_limits: OwnerLimits | None = None,
    **options: Unpack[RouteOptions],
) -> "APIRouter":
    """The routes for ``include_router`` of a FastAPI application, with any prefix and dependencies; needs ``fastapi``.

    The arguments are those of ``asgi_app``. The routes are documented by their own ``/docs`` and ``/openapi.json`` below the
    prefix, and not in the document of the application.
    """
    from fastapi import APIRouter

    app = asgi_app(store, runner, policy=policy, audit_key=audit_key, owner_limits=owner_limits, **options)
    made = APIRouter(lifespan=app.router.lifespan_context)
    for route in app.routes:
        if isinstance(route, Route) and isinstance(route.endpoint, Endpoint):
            made.add_api_route(
                route.path,
                route.endpoint.respond,
                methods=sorted(route.methods or ()),
                response_model=None,
                include_in_schema=False,
                name=route.name,
            )
    return made


def create_app(
    workflows: Iterable[Workflow] = (),
    *,
    database: str | os.PathLike[str] | None = None,
    authenticate: Authenticate | None = None,
    tokens_file: str | os.PathLike[str] | None = None,
    policy: Policy = DEFAULT_POLICY,
    default: str | None = None,
    ttl_seconds: TimeToLive = SERVER_EXECUTION_TTL,
    history: Literal["full", "digest"] | None = None,
    history_retention_seconds: float | None = None,
    idempotency_retention_seconds: float | None = None,
    abandoned_after_seconds: float | None = None,
    migrate: Literal["refuse", "auto"] = "refuse",
    create: bool = False,
    concurrency: int = 100,
    hold_paused_for: float = 5.0,
    max_attempts: int = 5,
    max_body_bytes: int = MAX_BODY_BYTES,
    max_body_values: int = MAX_BODY_VALUES,
    trusted_origins: Collection[str] = (),
    session_idle_seconds: float = IDLE_SECONDS,
    session_lifetime_seconds: float = LIFETIME_SECONDS,
    providers: Iterable[Provider] | str | os.PathLike[str] | None = None,
    keys: Vault | str | os.PathLike[str] | None = None,
    public_url: str | None = None,
    address: str | None = None,
    audit_key: str | os.PathLike[str] | None = None,
    starts: bool = True,
    pages: bool = True,
    owner_limits: OwnerLimits | None = None,
    routes: str | os.PathLike[str] | None = None,
    channels: Mapping[str, Channel] | None = None,
    lookup: Lookup | None = None,
    members: Members | None = None,
    title: str = _TITLE,
) -> Starlette:
    """A server of its own: the store, the runner and all routes. It is run once; make another to run again.

    ``database`` to ``create`` are those of ``ExecutionStore``, but an ended execution stays for 30 days where neither
    ``ttl_seconds`` nor the file says how long; ``concurrency`` to ``max_attempts`` those of ``Runner``, the others those of
    ``asgi_app``. Pages of ``trusted_origins`` may also read the replies in a browser (CORS, the Fetch Standard).
    ``tokens_file`` is a file of bearer tokens, ``RESTPOINT_TOKENS_FILE`` unless given. People sign in at ``/auth/sign-in``, with
    such a token or with a provider that has ``sign_in``; their session ends after ``session_idle_seconds`` without a request, an
    hour by default, and after ``session_lifetime_seconds`` in any case, a day by default. With no tokens, no such provider and no
    ``authenticate``, only requests from this machine are answered. With ``authenticate`` there are no such pages and sessions.

    ``providers`` are those that workflows get OAuth consents of and that people sign in with, or the file that lists them,
    ``RESTPOINT_PROVIDERS_FILE`` unless given. Secrets are sealed with ``keys``: a vault, or the file of a key ring; else
    ``RESTPOINT_KEYS_FILE``, else the ring that ``RESTPOINT_KEYS`` contains, else a file beside the database, which is made.
    ``public_url`` (``RESTPOINT_PUBLIC_URL``) is where browsers find the routes, where that is not where requests say that they
    went; ``address`` is where the server listens, for links that no request asks for. ``audit_key`` (``RESTPOINT_AUDIT_KEY``) is
    the file of the private key that signs what auditors take away.

    ``routes`` (``RESTPOINT_ROUTES_FILE``) is the file that says who is told of what; ``channels`` are the application's own, by
    the names that the file calls them. ``lookup`` gives where a person is reached, and ``members`` who is in a group, where the
    file does not say it; see ``Deliverer.of_file``.

    ``app.state`` has ``store``, ``runner``, ``consents`` (None without providers), ``deliverer`` (None without routes) and
    ``shutdown``: a function that ends every long poll and stream now, with a reason, so that a server which waits for its replies
    can end. SIGTERM and SIGINT call it too. Raises ``InvalidArgument``.
    """
    limits = SessionLimits(session_idle_seconds, session_lifetime_seconds)
    store = ExecutionStore(
        ttl_seconds,
        database=database,
        history=history,
        history_retention_seconds=history_retention_seconds,
        idempotency_retention_seconds=idempotency_retention_seconds,
        abandoned_after_seconds=abandoned_after_seconds,
        migrate=migrate,
        create=create,
    )
    public_url = public_url or os.environ.get("RESTPOINT_PUBLIC_URL") or None
    known = oauth(store, providers, keys, public_url, address, create=create)
    consents = None if known is None else known.consents
    sign_in = None
    if authenticate is None:
        people = credentials(store, tokens_file, known, limits, public_url)
        authenticate, sign_in = people.authenticate, people.pages
    runner = Runner(
        store, workflows, concurrency=concurrency, hold_paused_for=hold_paused_for, max_attempts=max_attempts,
        consents=consents,
    )  # fmt: skip
    signing = audit_key or os.environ.get("RESTPOINT_AUDIT_KEY") or None
    told_by = routes or os.environ.get("RESTPOINT_ROUTES_FILE") or None
    deliverer = None
    if told_by is not None:
        told = routes_file.read(Path(told_by), channels or ())
        if public_url is None and any(route.to for route in told.routes):
            log.warning(
                "people are told %s: name the URL that they reach this server at, with --public-url or RESTPOINT_PUBLIC_URL",
                "without a link" if address is None else f"with links to {address}",
            )
        vault = None if known is None else known.vault
        if vault is None and told.has_tickets:
            vault = vault_of(store, keys, create=create)
        deliverer = Deliverer.of_file(
            store,
            told,
            channels=channels,
            lookup=lookup,
            members=members,
            public_url=public_url or address,
            vault=vault,
        )
    metrics = Metrics(store, runner, consents, deliverer)
    handlers = Handlers(
        Service(store, runner, policy, None if signing is None else SigningKey.read(signing), owner_limits),
        sign_in,
        authenticate=authenticate,
        default=default,
        max_body_bytes=max_body_bytes,
        max_body_values=max_body_values,
        trusted_origins=trusted_origins,
        metrics=metrics,
        consents=consents,
        starts=starts,
        pages=pages,
        tickets=None if deliverer is None else deliverer.tickets,
        public_url=public_url,
    )

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as opened:
            await opened.enter_async_context(store)
            opened.callback(metrics.close)
            if sign_in is not None:
                opened.push_async_callback(sign_in.close)
            if consents is not None:
                await opened.enter_async_context(consents)
            await opened.enter_async_context(runner)
            if deliverer is not None:
                await opened.enter_async_context(deliverer)
            await opened.enter_async_context(lifespan_of(handlers)(app))
            yield

    app = application(Routes(handlers, title), lifespan)
    if trusted_origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=list(trusted_origins), allow_methods=["GET", "POST", "DELETE"],
            allow_headers=_SENT_BY_PAGES, expose_headers=_READ_BY_PAGES,
        )  # fmt: skip
    app.state.store, app.state.runner, app.state.shutdown = store, runner, handlers.long_requests.end
    app.state.consents, app.state.deliverer = consents, deliverer
    return app
