"""The HTTP interface: ``create_app`` for a server of its own, ``router`` for an application that has one.

The wire is the one of the in-memory store that restpoint succeeds, and more: the README has the table of all routes.

::

    app = create_app([refund], database="app.db")                      # a server of its own

    runner = Runner(store, [refund])                                   # in an application
    app.include_router(router(store, runner, authenticate=whoever), prefix="/approvals")
"""

import os
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import wraps
from typing import Any, Literal

from fastapi import APIRouter, FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from restpoint import logs
from restpoint._engine.runner import Runner
from restpoint._engine.workflow import Workflow
from restpoint._store.store import DEFAULT_EXECUTION_TTL, ExecutionStore, TimeToLive
from restpoint.access import DEFAULT_POLICY, Actor, Policy
from restpoint.audit.signing import SigningKey
from restpoint.http.bearer_tokens import Tokens
from restpoint.http.fast_path import Application, PlainRoute
from restpoint.http.handlers import Authenticate, Endpoints
from restpoint.http.metrics import Metrics
from restpoint.http.problems import Problem, problem_of
from restpoint.http.requests import MAX_BODY_BYTES
from restpoint.http.routes import Handler, routes
from restpoint.oauth.flow import Consents
from restpoint.oauth.keyring import Vault, vault_for
from restpoint.oauth.providers import Provider
from restpoint.oauth.providers import read as read_providers
from restpoint.service import Desk

__all__ = ["Authenticate", "bearer", "create_app", "router"]


def bearer(tokens: Tokens) -> Authenticate:
    """An ``authenticate`` that takes the bearer tokens (RFC 6750) of a tokens file."""

    def authenticate(request: Request) -> Actor | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return tokens.actor(token.strip()) if scheme.lower() == "bearer" else None

    return authenticate


def router(
    store: ExecutionStore,
    runner: Runner | None = None,
    *,
    authenticate: Authenticate | None = None,
    policy: Policy = DEFAULT_POLICY,
    default: str | None = None,
    max_body_bytes: int = MAX_BODY_BYTES,
    trusted_origins: Collection[str] = (),
    metrics: Metrics | None = None,
    audit_key: SigningKey | None = None,
    consents: Consents | None = None,
) -> APIRouter:
    """All routes, for an application that opens and closes the store and the runner itself.

    - ``authenticate``: who sent a request; None answers it with 401. Of a stream it is asked again while that lasts, with
      the same request. Without one, only requests from this machine are answered, as the operator ``local``.
    - ``policy``: who may do what.
    - ``default``: the workflow that ``/v1/workflow`` starts; the only one, where there is one.
    - ``max_body_bytes``: larger bodies are refused with 413.
    - ``trusted_origins``: of pages whose browsers may send what changes something, such as ``https://inbox.example``.
    - ``metrics``: what ``/metrics`` tells.
    - ``audit_key``: signs the heads and the manifests of exports that auditors take away; see ``restpoint audit keygen``.
    - ``consents``: the OAuth consents that the runner was given, for their pages and callbacks.

    Raises ``InvalidArgument`` for a default that is no workflow here.
    """
    return _router(
        Endpoints(
            Desk(store, runner, policy, audit_key),
            authenticate=authenticate,
            default=default,
            max_body_bytes=max_body_bytes,
            trusted_origins=trusted_origins,
            metrics=metrics,
            consents=consents,
        )
    )


def create_app(
    workflows: Iterable[Workflow] = (),
    *,
    database: str | os.PathLike[str] | None = None,
    authenticate: Authenticate | None = None,
    tokens_file: str | os.PathLike[str] | None = None,
    policy: Policy = DEFAULT_POLICY,
    default: str | None = None,
    ttl_seconds: TimeToLive = DEFAULT_EXECUTION_TTL,
    history: Literal["full", "digest"] | None = None,
    history_retention_seconds: float | None = None,
    migrate: Literal["refuse", "auto"] = "refuse",
    concurrency: int = 100,
    hold_paused_for: float = 5.0,
    max_attempts: int = 5,
    max_body_bytes: int = MAX_BODY_BYTES,
    trusted_origins: Collection[str] = (),
    providers: Iterable[Provider] | str | os.PathLike[str] | None = None,
    keys: Vault | str | os.PathLike[str] | None = None,
    public_url: str | None = None,
    audit_key: str | os.PathLike[str] | None = None,
    title: str = "restpoint",
) -> FastAPI:
    """A server of its own: the store, the runner and all routes. It is run once; make another to run again.

    ``database`` to ``migrate`` are as ``ExecutionStore`` has them, ``concurrency`` to ``max_attempts`` as ``Runner`` does, the
    others as ``router`` does. ``tokens_file`` is a file of bearer tokens, ``RESTPOINT_TOKENS_FILE`` unless given; with
    neither that nor ``authenticate``, only requests from this machine are answered.

    ``providers`` are those that workflows get OAuth consents of, or the file that has them, ``RESTPOINT_PROVIDERS_FILE`` unless
    given. Secrets are sealed with ``keys``: a vault, or the file of a key ring; else ``RESTPOINT_KEYS_FILE``, else the ring
    that ``RESTPOINT_KEYS`` holds, else a file beside the database, which is made. ``public_url`` (``RESTPOINT_PUBLIC_URL``) is
    where browsers find the routes, where that is not where requests say that they went. ``audit_key`` (``RESTPOINT_AUDIT_KEY``)
    is the file of the private key that signs what auditors take away.

    ``app.state`` has ``store``, ``runner``, ``consents`` (None without providers) and ``shutdown``: a function that has every
    long poll and stream end now, with a reason, so that a server which waits for its replies can end. SIGTERM and SIGINT call
    it too. Raises ``InvalidArgument``.
    """
    if authenticate is None:
        file = tokens_file or os.environ.get("RESTPOINT_TOKENS_FILE")
        authenticate = bearer(Tokens(file)) if file else None
    store = ExecutionStore(
        ttl_seconds,
        database=database,
        history=history,
        history_retention_seconds=history_retention_seconds,
        migrate=migrate,
    )
    consents = _consents(store, providers, keys, public_url)
    runner = Runner(
        store, workflows, concurrency=concurrency, hold_paused_for=hold_paused_for, max_attempts=max_attempts,
        consents=consents,
    )  # fmt: skip
    signing = audit_key or os.environ.get("RESTPOINT_AUDIT_KEY") or None
    metrics = Metrics(store, runner, consents)
    api = Endpoints(
        Desk(store, runner, policy, None if signing is None else SigningKey.read(signing)),
        authenticate=authenticate,
        default=default,
        max_body_bytes=max_body_bytes,
        trusted_origins=trusted_origins,
        metrics=metrics,
        consents=consents,
    )

    # Not included but taken over: FastAPI looks longer for a route of a router that is included.
    plain = [route for route in _router(api).routes if isinstance(route, PlainRoute)]

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as opened:
            await opened.enter_async_context(store)
            opened.callback(metrics.close)
            if consents is not None:
                await opened.enter_async_context(consents)
            await opened.enter_async_context(runner)
            opened.enter_context(api.waits.ended_by_signals())
            opened.callback(api.waits.end)
            app.take_shortcuts(plain)
            yield

    app = Application(
        title=title,
        summary="Interactive workflow executions that survive restarts.",
        routes=[*plain],
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,  # pages that load scripts from elsewhere have no business on this origin
        redoc_url=None,
        exception_handlers={HTTPException: _refuse, Exception: _fail},
    )
    app.state.store, app.state.runner, app.state.shutdown = store, runner, api.waits.end
    app.state.consents = consents
    return app


def _consents(
    store: ExecutionStore,
    providers: Iterable[Provider] | str | os.PathLike[str] | None,
    keys: Vault | str | os.PathLike[str] | None,
    public_url: str | None,
) -> Consents | None:
    given = providers if providers is not None else os.environ.get("RESTPOINT_PROVIDERS_FILE")
    if not given:
        return None
    found = read_providers(given, os.environ) if isinstance(given, str | os.PathLike) else tuple(given)
    vault = keys if isinstance(keys, Vault) else vault_for(store.path, keys, os.environ)
    return Consents(store, found, vault, public_url=public_url or os.environ.get("RESTPOINT_PUBLIC_URL") or None)


def _router(api: Endpoints) -> APIRouter:
    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        with api.waits.ended_by_signals():
            yield
            api.waits.end()

    made = APIRouter(route_class=PlainRoute, lifespan=lifespan)
    for each in routes(api):
        made.add_api_route(
            each.path,
            _with_problems(each.handler),
            methods=[each.method],
            operation_id=each.operation,
            summary=(each.handler.__doc__ or "").strip(),
            status_code=each.status,
            responses=each.responses,
            response_class=Response,
            openapi_extra=each.extra,
            tags=["executions"],
        )
    return made


def _with_problems(handler: Handler) -> Handler:
    @wraps(handler)
    async def endpoint(request: Request) -> Response:
        logs.add(execution_id=request.path_params.get("execution_id"))
        try:
            return await handler(request)
        except HTTPException:  # of an application's authenticate
            raise
        except ClientDisconnect:
            return Response(status_code=400)  # which nobody gets
        except Exception as error:  # noqa: BLE001 - a client gets a problem, never a traceback
            return problem_of(error).reply()

    return endpoint


async def _refuse(request: Request, error: Exception) -> Response:
    """What Starlette says in plain text: no such route, not with this method."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    if error.status_code == 405:
        allowed = ", ".join(_methods(request.app.routes, request.scope))
        text = f"{request.url.path[:200]} takes {allowed}."
        return Problem(405, "method_not_allowed", text, headers={"allow": allowed}).reply()
    if error.status_code == 404:
        return Problem(
            404, "route_not_found", f"There is no {request.url.path[:200]} here; /openapi.json lists all."
        ).reply()
    return Problem(error.status_code, "refused", str(error.detail), headers=error.headers).reply()


async def _fail(_: Request, error: Exception) -> Response:
    return problem_of(error).reply()


def _methods(of: Sequence[Any], scope: Scope) -> list[str]:
    """Every method that some route takes at this path."""
    taken: set[str] = set()
    for route in of:
        if route.matches(scope)[0] is not Match.NONE:
            taken |= set(route.methods or ())
    return sorted(taken)
